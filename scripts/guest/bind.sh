#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# bind.sh BDF|all DRIVER: in the guest, bind a PCI device (0000:00:02.0), or all
# devices in VM_DEVICES, to DRIVER and keep other drivers off. DRIVER "none" unbinds.

set -euo pipefail

die()
{
	printf 'error: %s\n' "$*" >&2
	exit 1
}

[ $# -eq 2 ] || die "bind.sh needs two arguments; usage: bind.sh BDF|all DRIVER"
driver=$2

bdfs=("$1")
if [ "$1" = all ]; then
	mapfile -t bdfs < <(tr ' ' '\n' <<<"${VM_DEVICES-}" | sed -e '/^$/d' -e 's/=.*//')
	[ ${#bdfs[@]} -gt 0 ] || die "the VM has no devices; start it with DEVICES='edu ...'"
fi

if [ "$driver" != none ] && [ ! -e "/sys/bus/pci/drivers/$driver" ]; then
	modprobe "$driver" || die "cannot load the driver $driver; see dmesg"
fi
for bdf in "${bdfs[@]}"; do
	device=/sys/bus/pci/devices/$bdf
	[ -e "$device" ] || die "there is no PCI device $bdf; see lspci"
	if [ -e "$device/driver" ]; then
		[ "$(basename "$(readlink "$device/driver")")" != "$driver" ] || continue
		echo "$bdf" >"$device/driver/unbind"
	fi
	[ "$driver" != none ] || continue
	echo "$driver" >"$device/driver_override"
	echo "$bdf" >/sys/bus/pci/drivers_probe
	[ "$(basename "$(readlink "$device/driver")")" = "$driver" ] ||
		die "$driver did not bind $bdf; see dmesg"
done
