#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# region-diff.sh [NAME...]: userspace cannot tell our modules from stock. The same
# program makes tens of thousands of accesses to each device in two VMs that
# differ in the modules only, and the transcripts must be equal, byte for byte.
# They stay in out/region-diff. QUICK=1 makes fewer accesses, in one IOMMU mode.

. "$(dirname "$0")/../lib.sh"
. "$SCRIPTS/result.sh"
. "$SCRIPTS/side-by-side.sh"

export KERNEL=${KERNEL:-release}

# The names of the subjects and what they are: e1000e and VGA have a ROM, VGA
# its own region; a device behind a port can be reset by its bus.
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
# A transcript that is shorter than this did not test what it should.
least=50000
least_quick=15000

folder=$OUT/region-diff/$KERNEL
userspace=$("$SCRIPTS/userspace.sh")
rm -rf "$folder"
mkdir -p "$folder/stock" "$folder/ours"

# Those that differ most from each other get all accesses, the others fewer. The
# other way to open a device leads to the same code: fewer of them, too, and with
# our modules under vendor drivers that override all regions with nothing.
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
[ ${#devices[@]} -gt 0 ] || die "no device is called '$*'; there are: ${subjects[*]%%=*}"

# transcripts MODULES
transcripts()
{
	MODULES=$1 DEVICES=${devices[*]} NAME=region-diff-$KERNEL-$1 TIMEOUT=${TIMEOUT:-3600} \
		"$SCRIPTS/vm.sh" scripts/guest/region-diff.sh "$userspace/vfio_pci_region_diff" \
		"/repo/out/region-diff/$KERNEL/$1" "${runs[@]}"
}

# differ A B: true if two transcripts differ, and print how.
differ()
{
	local changed

	! cmp -s "$1" "$2" || return 1
	changed=$(diff --speed-large-files "$1" "$2" | grep -c '^[<>]' || true)
	echo "$changed lines differ between $1 and $2; the first:"
	diff --speed-large-files -U 2 "$1" "$2" | tail -n +3 | head -n 16 || true
}

# compare NAME MODE LEAST
compare()
{
	local a=$folder/stock/$1.$2 b=$folder/ours/$1.$2 what="region-diff $1 $2" cases status

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
		result 0 "$what ($cases cases equal)"
		total=$((total + cases))
	fi
}

side_by_side region-diff transcripts "$folder"

total=0
for run in "${runs[@]}"; do
	IFS=: read -r name _ mode options <<<"$run"
	if [ "$options" = --quick ]; then
		compare "$name" "$mode" "$least_quick"
	else
		compare "$name" "$mode" "$least"
	fi
done

# The comparison itself: one digit that changes in one line must be noticed.
IFS=: read -r name _ mode _ <<<"${runs[0]}"
file=$folder/stock/$name.$mode.txt
if [ -s "$file" ]; then
	awk -v line="$((RANDOM % 1000 + 500))" 'NR >= line && !done { done = sub(/ = /, " = 1") } 1' \
		"$file" >"$folder/changed"
	status=0
	differ "$file" "$folder/changed" >"$folder/why" || status=$?
	grep -q '^2 lines differ' "$folder/why" || status=1
	result "$status" "region-diff: a changed digit is noticed" "$folder/why"
fi
echo "# $total cases equal"
totals
