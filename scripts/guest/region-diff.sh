#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# region-diff.sh PROGRAM FOLDER NAME:INDEX:MODE:OPTIONS...: in the guest, write
# the transcript of a device of VM_DEVICES, counted from 0, in an IOMMU mode to
# FOLDER/NAME.MODE.txt, and the program's status to FOLDER/NAME.MODE.status.

set -euo pipefail

program=$1
folder=$2
shift 2

mapfile -t bdfs < <(tr ' ' '\n' <<<"$VM_DEVICES" | sed -e '/^$/d' -e 's/=.*//')
for subject; do
	IFS=: read -r name index mode options <<<"$subject"
	bdf=${bdfs[$index]}
	"$(dirname "$0")/bind.sh" "$bdf" vfio-pci
	status=0
	# shellcheck disable=SC2086 # options are words
	"$program" --iommu "$mode" ${options-} "$bdf" >"/tmp/$name.$mode" 2>"/tmp/$name.$mode.err" || status=$?
	[ "$status" -eq 0 ] || tail -n 5 "/tmp/$name.$mode.err" >&2
	cp "/tmp/$name.$mode" "$folder/$name.$mode.txt"
	rm "/tmp/$name.$mode"
	printf '%s\n' "$status" >"$folder/$name.$mode.status"
	printf '%s %s %s: status %d, up %s s\n' "$MODULES" "$name" "$mode" "$status" "$(cut -d. -f1 /proc/uptime)"
done
