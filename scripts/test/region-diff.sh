#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# region-diff.sh [NAME...]: userspace sees no difference between our modules and stock.
# A program makes tens of thousands of accesses to each device, in one VM with stock
# modules and one with ours. The transcripts must be byte for byte equal. They are in
# out/region-diff. QUICK=1 makes fewer accesses, in one IOMMU mode.

# shellcheck disable=SC2034 # test.sh reads it
SUITE_SECONDS=200

. "$(dirname "$0")/../lib.sh"
. "$SCRIPTS/result.sh"
. "$SCRIPTS/side-by-side.sh"

export KERNEL=${KERNEL:-release}

# NAME=DEVICE. e1000e and VGA have a ROM, VGA has the VGA region, and a device behind a
# port supports a bus reset.
subjects=(
	edu=edu
	igb=igb
	nvme=nvme
	pci-testdev=pci-testdev
	'pci-testdev-mem=pci-testdev,membar=64K'
	vga=VGA
	e1000e=e1000e
	edu-port=port/edu
)
# The minimum number of cases in a complete transcript
least=50000
least_quick=15000

folder=$OUT/region-diff/$KERNEL
userspace=$("$SCRIPTS/userspace.sh")
rm -rf "$folder"
mkdir -p "$folder/stock" "$folder/ours"

# The devices in "all" get all accesses, the others fewer. Accesses run the same code with
# type1 as with iommufd, so make fewer with type1. With our modules, type1 runs under vendor
# drivers whose overrides pass all accesses through.
all=(edu igb pci-testdev-mem vga)
type1=(edu igb vga)

devices=()
runs=()
for subject in "${subjects[@]}"; do
	name=${subject%%=*}
	[ $# -eq 0 ] || [[ " $* " == *" $name "* ]] || continue
	options=--quick
	[ -n "${QUICK-}" ] || [[ " ${all[*]} " != *" $name "* ]] || options=
	runs+=("$name:${#devices[@]}:iommufd:$options")
	[ -n "${QUICK-}" ] || [[ " ${type1[*]} " != *" $name "* ]] ||
		runs+=("$name:${#devices[@]}:vfio_type1v2_iommu:--quick")
	devices+=("${subject#*=}")
done
[ ${#devices[@]} -gt 0 ] || die "unknown device '$*'; choose from: ${subjects[*]%%=*}"

# transcripts MODULES: write the transcripts of all devices.
transcripts()
{
	MODULES=$1 DEVICES=${devices[*]} NAME=region-diff-$KERNEL-$1 TIMEOUT=${TIMEOUT:-3600} \
		"$SCRIPTS/vm.sh" scripts/guest/region-diff.sh "$userspace/vfio_pci_region_diff" \
		"/repo/out/region-diff/$KERNEL/$1" "${runs[@]}"
}

# compare NAME MODE LEAST: check that two transcripts are equal and have LEAST cases.
compare()
{
	local a=$folder/stock/$1.$2 b=$folder/ours/$1.$2 what="region-diff $1 $2: the transcripts are equal" cases status

	for file in "$a" "$b"; do
		status=$(cat "$file.status" 2>/dev/null || echo missing)
		if [ "$status" != 0 ]; then
			echo "the program ended with status $status; see $file.txt and out/vm/region-diff-*" >"$folder/why"
			result 1 "$what" "$folder/why"
			return
		fi
	done
	cases=$(sed -n '$s/ cases$//p' "$a.txt")
	if differ "$a.txt" "$b.txt" >"$folder/why"; then
		result 1 "$what" "$folder/why"
	elif [ "${cases:-0}" -lt "$3" ]; then
		echo "only ${cases:-0} cases; see $a.txt" >"$folder/why"
		result 1 "$what" "$folder/why"
	else
		result 0 "$what ($cases cases)"
		total=$((total + cases))
	fi
}

side_by_side transcripts "$folder"

total=0
for run in "${runs[@]}"; do
	IFS=: read -r name _ mode options <<<"$run"
	if [ "$options" = --quick ]; then
		compare "$name" "$mode" "$least_quick"
	else
		compare "$name" "$mode" "$least"
	fi
done

# Test the comparison: it must detect one changed digit.
IFS=: read -r name _ mode _ <<<"${runs[0]}"
file=$folder/stock/$name.$mode.txt
if [ -s "$file" ]; then
	awk -v line="$((RANDOM % 1000 + 500))" 'NR >= line && !done { done = sub(/ = /, " = 1") } 1' \
		"$file" >"$folder/changed"
	status=0
	differ "$file" "$folder/changed" >"$folder/why" || status=$?
	grep -q '^2 lines differ' "$folder/why" || status=1
	result "$status" "region-diff: the comparison detects a changed digit" "$folder/why"
fi
echo "# $total cases equal"
totals
