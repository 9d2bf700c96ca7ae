#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# operator-disk.sh: install the packages in out/deb on a Debian with systemd, libvirt and driverctl, as
# the administrator's guide says, and print a folder in the root with a disk and an initrd. The
# initramfs has vfio-pci, and the edu device requires its vendor driver. The disk runs the
# command of vm.sh when it has booted. scripts/test/admin-guide.sh uses it.

. "$(dirname "$0")/lib.sh"

[ $# -eq 0 ] || die "unknown argument '$1'; usage: operator-disk.sh"

# install_all DEBIAN DIR: in the root, make DIR/disk and DIR/initrd from the system of debian.sh.
install_all()
{
	local debian=$1 dir=$2.new root=$2.new/root abi folder

	set -euo pipefail
	rm -rf --one-file-system "$dir"
	mkdir -p "$dir"
	cp -a "$debian" "$root"
	mkdir "$root/debs"
	cp out/deb/*.deb "$root/debs/"
	cp -L /etc/resolv.conf "$root/etc/resolv.conf"
	for folder in proc dev sys; do
		mount --rbind "/$folder" "$root/$folder"
	done
	abi=$(basename "$root"/usr/lib/modules/*)
	# inside COMMAND: run a command in the system
	inside()
	{
		chroot "$root" env -i DEBIAN_FRONTEND=noninteractive HOME=/root LC_ALL=C.UTF-8 \
			PATH=/usr/sbin:/usr/bin ABI="$abi" sh -e -c "$1" </dev/null
	}

	printf '%s\n' ext4 virtio_pci virtio_blk >>"$root/etc/initramfs-tools/modules"
	inside 'apt-get -q -y install --no-install-recommends systemd-sysv udev dbus kmod pciutils python3 driverctl \
		libvirt-daemon-system libvirt-clients qemu-system-x86'
	inside 'apt-get -q -y install /debs/vfio-*.deb'
	# shellcheck disable=SC2016 # for the shell in the system
	inside 'cp -r /usr/share/doc/vfio-pci-regops-dev/examples/edu /root/
		make -C /root/edu KERNEL=$ABI
		install -D -t /lib/modules/$ABI/updates /root/edu/vfio_pci_edu.ko
		depmod $ABI'
	# The line of the guide that requires the vendor driver
	grep -o 'options vfio-pci-core require_vendor_driver=.*' Documentation/admin-guide/vfio-pci-vendor-drivers.rst \
		>"$root/etc/modprobe.d/vfio.conf"
	inside 'update-initramfs -u'

	# What vm.sh needs
	mkdir "$root/repo"
	cat >"$root/etc/fstab" <<-END
	/dev/vda / ext4 defaults 0 0
	repo /repo 9p trans=virtio,version=9p2000.L,msize=512000,cache=mmap 0 0
	END
	cat >"$root/etc/systemd/system/vm.service" <<-END
	[Unit]
	Description=Run the command of vm.sh
	RequiresMountsFor=/repo

	[Service]
	ExecStart=/bin/bash /repo/scripts/guest/booted.sh

	[Install]
	WantedBy=multi-user.target
	END
	inside 'systemctl enable vm.service && rm -r /debs && apt-get clean'
	umount -l "$root"/{proc,dev,sys}
	cp -L "$root/boot/initrd.img-$abi" "$dir/initrd"
	mke2fs -q -t ext4 -d "$root" "$dir/disk" 6G
	rm -rf --one-file-system "$root"
	mv -T "$dir" "$2"
}

"$SCRIPTS/deb.sh" >/dev/null
"$SCRIPTS/root.sh" --add e2fsprogs >/dev/null
debian=$("$SCRIPTS/debian.sh")
dir=operator-disk-$({ echo "$debian"; declare -f install_all; cd "$OUT/deb"; sha256sum ./*.deb; } | key)
build()
{
	step_in_root "installing the packages on a Debian with libvirt" "$CACHE/log/operator-disk.log" \
		install_all "$debian" "/cache/$dir"
}

once "$dir" operator-disk 5000 "a Debian with libvirt" build
echo "/cache/$dir"
