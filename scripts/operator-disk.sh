#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# operator-disk.sh: install a Debian with systemd, libvirt and driverctl, then the packages in out/deb as
# the administrator's guide says, then a second kernel. Print a folder in the root with:
#
#     disk                      runs the command of vm.sh when it has booted; the edu device
#                               requires its vendor driver
#     RELEASE/{vmlinuz,initrd}  of both kernels; the initramfs has vfio-pci
#
# scripts/test/admin-guide.sh uses it.

. "$(dirname "$0")/lib.sh"
. "$SCRIPTS/debian-copy.sh"

[ $# -eq 0 ] || die "unknown argument '$1'; usage: operator-disk.sh"

# install_all DEBIAN DIR OPTION: in the root, make DIR from the system of debian.sh. OPTION is the
# line of the guide that requires the vendor driver.
install_all()
{
	local dir=$2.new release

	set -euo pipefail
	rm -rf --one-file-system "$dir"
	mkdir -p "$dir"
	copy_debian "$1" "$dir/root"
	cp -L /etc/resolv.conf "$root/etc/resolv.conf"

	printf '%s\n' ext4 virtio_pci virtio_blk >>"$root/etc/initramfs-tools/modules"
	inside apt-get -q -y install --no-install-recommends systemd-sysv udev dbus kmod pciutils python3 driverctl \
		libvirt-daemon-system libvirt-clients qemu-system-x86
	inside sh -c 'apt-get -q -y install /debs/vfio-*.deb'
	inside sh -c "$(example_build "$abi") && $(example_install "$abi")"
	echo "$3" >"$root/etc/modprobe.d/vfio.conf"
	inside update-initramfs -u
	inside apt-get -q -y install --no-install-recommends "linux-image-$rt" "linux-headers-$rt"
	inside sh -c "$(example_build "$rt")"

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
	unmount_debian
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
option=$(grep -o 'options vfio-pci-core require_vendor_driver=.*' "$REPO/Documentation/admin-guide/vfio-pci-vendor-drivers.rst")
functions=(install_all copy_debian unmount_debian inside example_build example_install)
dir=operator-disk-$({ echo "$debian $option"; declare -f "${functions[@]}"; cd "$OUT/deb"; sha256sum ./*.deb; } | key)
build()
{
	step_in_root "installing the packages on a Debian with libvirt" "$CACHE/log/operator-disk.log" \
		"${functions[*]}" "$debian" "/cache/$dir" "$option"
}

once "$dir" operator-disk 5000 "a Debian with libvirt" build
echo "/cache/$dir"
