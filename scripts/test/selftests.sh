#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# selftests.sh [DEVICE...]: upstream's vfio selftests, built unchanged from the
# pristine kernel source, all pass with our modules on edu and igb, in all
# IOMMU modes (each test brings its variants). What they skip must be what they
# skip with stock modules, of which a run is kept in the cache. The output
# stays in out/selftests.

. "$(dirname "$0")/../lib.sh"
. "$SCRIPTS/result.sh"

export KERNEL=${KERNEL:-release}
devices=(edu igb)
[ $# -eq 0 ] || devices=("$@")

programs=$("$SCRIPTS/userspace.sh")/upstream
folder=$OUT/selftests/$KERNEL
rm -rf "$folder"
mkdir -p "$folder"

# Stock is run on the release kernel, once.
stock=$CACHE/selftests-stock-$({
	"$SCRIPTS/kernel.sh" release
	"$SCRIPTS/modules.sh" release stock
	"$SCRIPTS/in-root.sh" readlink -f "$programs"
	cat "$SCRIPTS/guest/selftests.sh" "$SCRIPTS/guest/init.sh"
} | key)

# run KERNEL MODULES DEVICE: leaves out/selftests/KERNEL/MODULES-DEVICE
run()
{
	local dir=out/selftests/$1/$2-$3

	mkdir -p "$REPO/$dir"
	KERNEL=$1 MODULES=$2 DEVICES=$3 NAME=selftests-$1-$2-$3 TIMEOUT=${TIMEOUT:-1200} \
		"$SCRIPTS/vm.sh" scripts/guest/selftests.sh "$programs" "/repo/$dir"
}

# counts TAP: "PASSED FAILED SKIPPED"
counts()
{
	awk '/^ok / { if (/# SKIP/) s++; else p++ } /^not ok / { f++ } END { print p + 0, f + 0, s + 0 }' "$1"
}

# judge DEVICE PROGRAM
judge()
{
	local tap=$folder/ours-$1/$2.tap what="selftests $1 $2" passed_ failed_ skipped_ status plan was

	if [ ! -s "$tap" ]; then
		echo "no output: $tap" >"$folder/why"
		result 1 "$what" "$folder/why"
		return
	fi
	read -r passed_ failed_ skipped_ < <(counts "$tap")
	status=$(cat "$folder/ours-$1/$2.status")
	plan=$(sed -n 's/^1\.\.\([0-9]*\).*/\1/p' "$tap" | head -n 1)
	was=$(counts "$stock/$1/$2.tap" 2>/dev/null || echo none)
	{
		echo "$passed_ passed, $failed_ failed, $skipped_ skipped of ${plan:-?}, status $status; stock: $was; see $tap"
		grep '^not ok' "$tap" | head -n 20 || true
	} >"$folder/why"
	# Status 4 is "skipped", of the whole program.
	if [ "$failed_" -gt 0 ] || { [ "$status" -ne 0 ] && [ "$status" -ne 4 ]; } ||
		[ $((passed_ + skipped_)) -ne "${plan:-0}" ] || [ "$was" != "$passed_ $failed_ $skipped_" ]; then
		result 1 "$what" "$folder/why"
	else
		result 0 "$what ($passed_ passed, $skipped_ skipped, as with stock)"
		sum=$((sum + passed_))
	fi
}

# both MODULES KERNEL: one VM for each device, two at a time.
both()
{
	local device i status pids=()

	"$SCRIPTS/modules.sh" "$2" "$1" >/dev/null
	for device in "${devices[@]}"; do
		run "$2" "$1" "$device" </dev/null >"$OUT/selftests/$2/$1-$device.log" 2>&1 &
		pids+=($!)
	done
	for i in "${!devices[@]}"; do
		status=0
		wait "${pids[$i]}" || status=$?
		result "$status" "selftests ${devices[$i]}: the VM with $1 modules on kernel $2 ends well" \
			"$OUT/selftests/$2/$1-${devices[$i]}.log"
	done
}

missing=
for device in "${devices[@]}"; do
	[ -d "$stock/$device" ] || missing=y
done
if [ -n "$missing" ]; then
	say "running upstream's selftests with stock modules once, to compare with"
	mkdir -p "$OUT/selftests/release"
	both stock release
	mkdir -p "$stock"
	for device in "${devices[@]}"; do
		rm -rf "${stock:?}/$device"
		# Keep it only if all of it ran.
		[ "$(cat "$OUT/vm/selftests-release-stock-$device.status" 2>/dev/null)" != 0 ] ||
			cp -r "$OUT/selftests/release/stock-$device" "$stock/$device"
	done
fi

both ours "$KERNEL"
sum=0
for device in "${devices[@]}"; do
	for program in "$CACHE/${programs#/cache/}"/vfio_*_test; do
		judge "$device" "${program##*/}"
	done
done
echo "# $sum test cases of upstream's passed"
totals
