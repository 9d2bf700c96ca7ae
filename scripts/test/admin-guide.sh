#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# admin-guide.sh: the commands of the administrator's guide work on a Debian with systemd, udev,
# libvirt and driverctl, where apt has installed the packages. It boots from a disk with its own
# initramfs, and once with a second kernel, which apt has installed after the packages. Results are
# in out/admin-guide.

# shellcheck disable=SC2034 # test.sh reads it
SUITE_LONG=1

. "$(dirname "$0")/../lib.sh"
. "$SCRIPTS/result.sh"

folder=$OUT/admin-guide
rm -rf "$folder"
mkdir -p "$folder"
system=$("$SCRIPTS/operator-disk.sh")
guide=$REPO/Documentation/admin-guide/vfio-pci-vendor-drivers.rst
kernel=$("$SCRIPTS/kernel.sh" stock)
abi=$(cat "$CACHE/${kernel#/cache/}/release")
rt=${abi%-amd64}-rt-amd64
"$SCRIPTS/in-root.sh" cp --sparse=always "$system/disk" out/admin-guide/disk

# boots STEP RELEASE [PARAMETER]: boot this kernel from the disk, and run a step. The -kernel in QEMU=
# overrides that of vm.sh.
boots()
{
	local status=0

	KERNEL=stock DEVICES='edu edu edu' NAME=admin-guide-$1 \
		QEMU="-drive if=none,id=disk,format=raw,file=/repo/out/admin-guide/disk -device virtio-blk-pci,drive=disk,addr=0x1e \
			-kernel $system/$2/vmlinuz -initrd $system/$2/initrd" \
		APPEND="root=/dev/vda rootfstype=ext4 rootflags=errors=remount-ro rw init=/sbin/init ${3-}" \
		"$SCRIPTS/vm.sh" scripts/guest/admin-guide.sh "$1" out/admin-guide </dev/null >"$folder/$1.log" 2>&1 || status=$?
	result "$status" "$1: the VM succeeds" "$folder/$1.log"
}

boots first "$abi" "$(grep -o -m 1 'vfio-pci[.]ids=[^ ]*' "$guide")"
boots second-kernel "$rt"
boots last "$abi"
rm -f "$folder/disk"

unit=0000:00:02.0 driverctl=0000:00:03.0 libvirt=0000:00:04.0
edu='^vfio_pci_edu '
status=0
[ "$(sed -n -E 's/.*(vfio_pci: add|EXT4-fs).*/\1/p' "$folder/early" | xargs)" = "vfio_pci: add EXT4-fs" ] || status=1
result "$status" "kernel command line: the initramfs binds the devices before the root is mounted" "$folder/early"
for device in "$unit" "$driverctl" "$libvirt"; do
	has ids "^$device vfio-pci$" "kernel command line: vfio-pci has $device"
done
has ids "$edu" "kernel command line: the initramfs has the vendor driver"
has ids-open '^open: ok$' "kernel command line: the device opens with its required driver"
empty "systemd: the unit has no error" "$folder/verify"
has boot "^$unit vfio-pci$" "systemd: the unit binds the device at boot"
has boot-services "Finished vfio-bind@${unit}[.]service" "systemd: the unit succeeds"
has_not boot-services 'status=[1-9]|cannot' "systemd: no command of the unit fails"
has unit-open '^open: ok$' "systemd: the device opens"
has unit-open '^  vfio_pci_edu 0x80-0x9f ' "systemd: the device has its vendor driver"
has boot "^$driverctl vfio-pci$" "driverctl: the override binds the device at boot"
has boot-services "^$driverctl vfio-pci$" "driverctl: the override is in the list"
has driverctl-open '^  vfio_pci_edu 0x80-0x9f ' "driverctl: the device has its vendor driver"
has boot "^$libvirt vfio-pci$" "driverctl: vfio-pci binds another device with these ids"
has removed "^$libvirt none$" "driverctl: without the ids, it is not bound"
status=0
[ "$(cat "$folder/release")" = "$rt" ] || status=1
result "$status" "second kernel: it runs" "$folder/release"
for module in vfio vfio_pci_core vfio_pci; do
	has second-kernel-modules/loaded "^$module .* updates/dkms/.* same\$" "second kernel: the loaded $module is ours"
done
has second-kernel "^$unit vfio-pci$" "second kernel: the unit binds the device"
has second-kernel-refused '^open: ENODEV$' "second kernel: the device does not open without its driver"
has second-kernel-open '^  vfio_pci_edu 0x80-0x9f ' "second kernel: the device opens once the driver is installed"
has detached "^$libvirt vfio-pci$" "libvirt: nodedev-detach binds the device"
has detached-xml '<name>vfio-pci</name>' "libvirt: nodedev-dumpxml shows vfio-pci"
has reattached "^$libvirt none$" "libvirt: nodedev-reattach gives the device back"
has managed "^$libvirt vfio-pci$" "libvirt: managed='yes' binds the device when the guest starts"
has regions '^  vfio_pci_edu 0x80-0x9f ' "debugfs: the guest has the vendor driver"
has managed-why 'qemu-system-x86' "lsvfio: --why names the process of the guest"
has destroyed "^$libvirt none$" "libvirt: managed='yes' gives the device back when the guest stops"
has blacklisted "^$unit vfio-pci$" "go back: the device is bound"
has_not blacklisted "$edu" "go back: the vendor driver is not loaded"
has blacklisted-open '^open: ENODEV$' "require: the device does not open without the driver"
has blacklisted-dmesg "$unit: open refused: vendor driver vfio_pci_edu is missing" "require: the log says why"
has blacklisted-why 'vfio_pci_edu' "require: lsvfio --why names the driver"
has without-open '^open: ok$' "go back: the device opens if the driver is not required"
has_not without-open 'vfio_pci_edu' "go back: the device does not have the vendor driver"
has sysfs "^$unit vfio-pci$" "sysfs: the commands bind the device"
totals
