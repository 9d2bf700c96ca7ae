#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# igd.sh PROGRAM FOLDER NAME:opens|fails...: in the guest, run PROGRAM
# on each graphics device of VM_DEVICES. The arguments give their names and expected
# results. Write the output to FOLDER/NAME.MODE.txt and the status to
# FOLDER/NAME.MODE.status. With our modules, also run igd-vendors.sh. Last, remove the
# bridges and run PROGRAM on the first device.

set -euo pipefail

program=$1
folder=$2
shift 2

mapfile -t bdfs < <(tr ' ' '\n' <<<"$VM_DEVICES" | sed -e '/^$/d' -e 's/=.*//')

# transcript NAME MODE BDF OPTIONS...
transcript()
{
	local name=$1.$2 mode=$2 bdf=$3 status=0
	shift 3

	"$program" --iommu "$mode" "$@" "$bdf" >"/tmp/$name" 2>"/tmp/$name.err" || status=$?
	[ "$status" -eq 0 ] || tail -n 5 "/tmp/$name.err" >&2
	cp "/tmp/$name" "$folder/$name.txt"
	rm "/tmp/$name"
	printf '%s\n' "$status" >"$folder/$name.status"
	printf '%s %s: status %d, up %s s\n' "$MODULES" "$name" "$status" "$(cut -d. -f1 /proc/uptime)"
}

# remove BDF NAME: remove a bridge and write a transcript of the first device.
remove()
{
	echo 1 >"/sys/bus/pci/devices/$1/remove"
	transcript "$2" iommufd "${bdfs[0]}" --stage added
}

scripts/guest/bind.sh "${bdfs[0]}" vfio-pci
lsmod >"$folder/bound"
scripts/guest/bind.sh all vfio-pci
index=0
for subject; do
	name=${subject%:*} bdf=${bdfs[$index]}
	index=$((index + 1))
	result=${subject#*:}
	if [ "$result" = fails ]; then
		transcript "$name" iommufd "$bdf" --fails
		transcript "$name" vfio_type1v2_iommu "$bdf" --fails
		continue
	fi
	transcript "$name" iommufd "$bdf" --stage added
done
transcript all iommufd "${bdfs[0]}" --quick
transcript "${1%:*}" vfio_type1v2_iommu "${bdfs[0]}" --stage added

if [ "$MODULES" = ours ]; then
	. scripts/guest/igd-vendors.sh
fi

remove 0000:00:1f.0 no-lpc
remove 0000:00:00.0 no-host
