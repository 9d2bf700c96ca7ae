#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# operator-disk.sh: install the packages in out/deb on a Debian with systemd, libvirt and driverctl, as
# the administrator's guide says, and then another kernel. Print a folder in the root with:
#
#     disk                      runs the command of vm.sh when it has booted; the edu device
#                               requires its vendor driver
#     RELEASE/{vmlinuz,initrd}  of both kernels; the initramfs has vfio-pci
#
# scripts/test/admin-guide.sh uses it.

. "$(dirname "$0")/lib.sh"
. "$SCRIPTS/debian-copy.sh"

[ $# -eq 0 ] || die "unknown argument '$1'; usage: operator-disk.sh"

# install_all DEBIAN DIR: in the root, make DIR from the system of debian.sh.
install_all()
{
	local dir=$2.new rt release

	set -euo pipefail
	rm -rf --one-file-system "$dir"
	mkdir -p "$dir"
	copy_debian "$1" "$dir/root"
	rt=${abi%-amd64}-rt-amd64

	printf '%s\n' ext4 virtio_pci virtio_blk >>"$root/etc/initramfs-tools/modules"
	inside apt-get -q -y install --no-install-recommends systemd-sysv udev dbus kmod pciutils python3 driverctl \
		libvirt-daemon-system libvirt-clients qemu-system-x86
	inside sh -c 'apt-get -q -y install /debs/vfio-*.deb'
	inside sh -c "$(example "$abi")"
	# The line of the guide that requires the vendor driver
	grep -o 'options vfio-pci-core require_vendor_driver=.*' Documentation/admin-guide/vfio-pci-vendor-drivers.rst \
		>"$root/etc/modprobe.d/vfio.conf"
	inside update-initramfs -u
	inside apt-get -q -y install --no-install-recommends "linux-image-$rt" "linux-headers-$rt"
	# The vendor module is built for this kernel, but not installed
	inside sh -c "$(example "$rt") && rm /lib/modules/$rt/updates/vfio_pci_edu.ko && depmod $rt"

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
	inside sh -c 'systemctl enable vm.service && rm -r /debs && apt-get clean'
	umount -l "$root"/{proc,dev,sys}
	for release in "$abi" "$rt"; do
		mkdir "$dir/$release"
		cp -L "$root/boot/initrd.img-$release" "$dir/$release/initrd"
		cp -L "$root/boot/vmlinuz-$release" "$dir/$release/vmlinuz"
	done
	mke2fs -q -t ext4 -d "$root" "$dir/disk" 6G
	rm -rf --one-file-system "$root"
	mv -T "$dir" "$2"
}

"$SCRIPTS/deb.sh" >/dev/null
"$SCRIPTS/root.sh" --add e2fsprogs >/dev/null
debian=$("$SCRIPTS/debian.sh")
functions=(install_all copy_debian inside example)
dir=operator-disk-$({ echo "$debian"; declare -f "${functions[@]}"; cd "$OUT/deb"; sha256sum ./*.deb; } | key)
build()
{
	step_in_root "installing the packages on a Debian with libvirt" "$CACHE/log/operator-disk.log" \
		"${functions[*]}" "$debian" "/cache/$dir"
}

once "$dir" operator-disk 5000 "a Debian with libvirt" build
echo "/cache/$dir"
