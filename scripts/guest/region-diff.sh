#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# region-diff.sh PROGRAM FOLDER NAME:INDEX:MODE:OPTIONS...: in the guest, run PROGRAM
# on device INDEX of VM_DEVICES (from 0) in an IOMMU mode. Write the transcript to
# FOLDER/NAME.MODE.txt and the status to FOLDER/NAME.MODE.status. With our modules,
# type1 modes run under vendor drivers whose overrides pass all accesses through.
# DRIVER is the driver of the devices, by default vfio-pci.

set -euo pipefail

program=$1
folder=$2
shift 2

mapfile -t bdfs < <(tr ' ' '\n' <<<"$VM_DEVICES" | sed -e '/^$/d' -e 's/=.*//')
for subject; do
	IFS=: read -r name index mode options <<<"$subject"
	bdf=${bdfs[$index]}
	"$(dirname "$0")/bind.sh" "$bdf" "${DRIVER:-vfio-pci}"
	if [ "$MODULES" = ours ] && [[ "$mode" == *type1* ]]; then
		read -r vendor <"/sys/bus/pci/devices/$bdf/vendor"
		read -r device <"/sys/bus/pci/devices/$bdf/device"
		modprobe vfio_pci_testdrv ids="${vendor#0x}:${device#0x}"
		printf 'over %d;' {0..8} >/sys/module/vfio_pci_testdrv/parameters/setup_high
	fi
	status=0
	# shellcheck disable=SC2086 # options are words
	"$program" --iommu "$mode" ${options-} "$bdf" >"/tmp/$name.$mode" 2>"/tmp/$name.$mode.err" || status=$?
	if [ -e /sys/module/vfio_pci_testdrv ]; then
		# Fail if the vendor drivers were not attached
		[ "$(cat /sys/module/vfio_pci_testdrv/parameters/releases)" -ge 9 ] || status=1
		scripts/guest/without-vendor.sh vfio_pci_testdrv
	fi
	[ "$status" -eq 0 ] || tail -n 5 "/tmp/$name.$mode.err" >&2
	cp "/tmp/$name.$mode" "$folder/$name.$mode.txt"
	rm "/tmp/$name.$mode"
	printf '%s\n' "$status" >"$folder/$name.$mode.status"
	printf '%s %s %s: status %d, up %s s\n' "$MODULES" "$name" "$mode" "$status" "$(cut -d. -f1 /proc/uptime)"
done
