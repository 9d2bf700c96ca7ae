#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# selftests.sh [DEVICE...]: upstream's vfio selftests, built unchanged from the
# pristine kernel source, all pass with our modules on edu and igb, in all
# IOMMU modes (each test brings its variants). What they skip must be what they
# skip with stock modules, of which a run is kept in the cache. The output
# stays in out/selftests. QUICK=1 runs the longest test in one IOMMU mode only.

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
used "${stock##*/}"

# run KERNEL MODULES DEVICE: leaves out/selftests/KERNEL/MODULES-DEVICE
run()
{
	local dir=out/selftests/$1/$2-$3 quick=${QUICK-}

	[ "$2" = ours ] || quick=
	rm -rf "${REPO:?}/$dir"
	mkdir -p "$REPO/$dir"
	KERNEL=$1 MODULES=$2 DEVICES=$3 NAME=selftests-$1-$2-$3 TIMEOUT=${TIMEOUT:-1200} \
		"$SCRIPTS/vm.sh" QUICK="$quick" scripts/guest/selftests.sh "$programs" "/repo/$dir"
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
	[ -z "${QUICK-}" ] || [ "$2" != vfio_pci_driver_test ] || was="$passed_ $failed_ $skipped_"
	{
		echo "$passed_ passed, $failed_ failed, $skipped_ skipped of ${plan:-?}, status $status; stock: $was; see $tap"
		grep '^not ok' "$tap" | head -n 20 || true
	} >"$folder/why"
	# Status 4 is "skipped", of the whole program.
	if [ "$status" -eq 4 ] && [ "$(cat "$stock/$1/$2.status" 2>/dev/null)" = 4 ]; then
		skip "$what" "as with stock: $(tail -n 1 "$tap")"
	elif [ "$failed_" -gt 0 ] || [ "$status" -ne 0 ] ||
		[ $((passed_ + skipped_)) -ne "${plan:-0}" ] || [ "$was" != "$passed_ $failed_ $skipped_" ]; then
		result 1 "$what" "$folder/why"
	else
		result 0 "$what ($passed_ passed, $skipped_ skipped, as with stock)"
		sum=$((sum + passed_))
	fi
}

# together RUN...: VMs side by side, each RUN is "KERNEL MODULES DEVICE".
together()
{
	local run i status log dir pids=() logs=()

	for run; do
		# shellcheck disable=SC2086 # three words
		set -- $run
		"$SCRIPTS/modules.sh" "$1" "$2" >/dev/null
		log=$OUT/selftests/$1/$2-$3.log
		mkdir -p "${log%/*}"
		run "$1" "$2" "$3" </dev/null >"$log" 2>&1 &
		pids+=($!)
		logs+=("$log")
	done
	for i in "${!pids[@]}"; do
		status=0
		wait "${pids[$i]}" || status=$?
		log=${logs[$i]}
		dir=${log%.log}
		result "$status" "selftests: the VM of ${dir##*/} on kernel $(basename "${dir%/*}") ends well" "$log"
		# Keep what stock gives only if all of it ran.
		[[ "$dir" == */release/stock-* && $status -eq 0 ]] || continue
		mkdir -p "$stock"
		cp -rT "$dir" "$stock/${dir##*/stock-}"
	done
}

# Stock has not been run yet: next to ours, device by device. Else one VM for
# each device. Two at a time in any case.
runs=()
for device in "${devices[@]}"; do
	[ -d "$stock/$device" ] || runs+=("release stock $device")
	runs+=("$KERNEL ours $device")
done
for ((i = 0; i < ${#runs[@]}; i += 2)); do
	say "upstream's selftests: ${runs[*]:i:2}"
	together "${runs[@]:i:2}"
done

sum=0
for device in "${devices[@]}"; do
	for program in "$CACHE/${programs#/cache/}"/vfio_*_test; do
		judge "$device" "${program##*/}"
	done
done
echo "# $sum test cases of upstream's passed"
totals
