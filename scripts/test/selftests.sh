#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# selftests.sh [DEVICE...]: upstream's vfio selftests, built unchanged from the
# pristine kernel source, all pass with our modules on edu and igb, in all
# IOMMU modes (each test brings its variants), on the release and on the debug
# kernel (KERNEL names one of them). What they skip must be what they skip with
# stock modules, of which a run is kept in the cache. The output stays in
# out/selftests. The debug kernel does not run the longest ones in all modes, and
# all of them under vendor drivers that override each region with nothing.

. "$(dirname "$0")/../lib.sh"
. "$SCRIPTS/result.sh"

read -r -a kernels <<<"${KERNEL:-release debug}"
# The one that takes longest comes first.
devices=(igb edu)
[ $# -eq 0 ] || devices=("$@")

programs=$("$SCRIPTS/userspace.sh")/upstream
folder=$OUT/selftests
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
	local dir=out/selftests/$1/$2-$3 quick=

	[ "$1" = release ] || quick=1
	mkdir -p "$REPO/$dir"
	# Upstream's libvfio maps BARs as a whole, which the sample for edu does not let it do.
	KERNEL=$1 MODULES=$2 DEVICES=$3 NAME=selftests-$1-$2-$3 TIMEOUT=${TIMEOUT:-3600} APPEND=$NO_VENDOR \
		"$SCRIPTS/vm.sh" QUICK="$quick" VENDOR="$quick" scripts/guest/selftests.sh "$programs" "/repo/$dir"
}

# same_tests A B: of the results in B, those of tests that have one in A
same_tests()
{
	awk '!/^(not )?ok [0-9]/ { next } { name = $1 == "not" ? $4 : $3 }
		NR == FNR { ran[name]; next } name in ran' "$1" "$2"
}

# judge KERNEL DEVICE PROGRAM
judge()
{
	local tap=$folder/$1/ours-$2/$3.tap what="selftests $1 $2 $3" passed_ failed_ skipped_ status plan was

	if [ ! -s "$tap" ]; then
		echo "no output: $tap" >"$folder/why"
		result 1 "$what" "$folder/why"
		return
	fi
	read -r passed_ failed_ skipped_ < <(counts "$tap")
	status=$(cat "$folder/$1/ours-$2/$3.status")
	plan=$(sed -n 's/^1\.\.\([0-9]*\).*/\1/p' "$tap" | head -n 1)
	was=$(counts "$stock/$2/$3.tap" 2>/dev/null || echo none)
	if [ -e "${tap%.tap}.part" ] && [ -s "$stock/$2/$3.tap" ]; then
		same_tests "$tap" "$stock/$2/$3.tap" >"$folder/part"
		was=$(counts "$folder/part")
	fi
	{
		echo "$passed_ passed, $failed_ failed, $skipped_ skipped of ${plan:-?}, status $status; stock: $was; see $tap"
		grep '^not ok' "$tap" | head -n 20 || true
	} >"$folder/why"
	# Status 4 is "skipped", of the whole program.
	if [ "$status" -eq 4 ] && [ "$(cat "$stock/$2/$3.status" 2>/dev/null)" = 4 ]; then
		skip "$what" "as with stock: $(tail -n 1 "$tap")"
	elif [ "$failed_" -gt 0 ] || [ "$status" -ne 0 ] ||
		[ $((passed_ + skipped_)) -ne "${plan:-0}" ] || [ "$was" != "$passed_ $failed_ $skipped_" ]; then
		result 1 "$what" "$folder/why"
	else
		result 0 "$what ($passed_ passed, $skipped_ skipped, as with stock)"
		sum=$((sum + passed_))
	fi
}

# under_vendor KERNEL DEVICE: the vendor drivers that it was to run under were there
under_vendor()
{
	local file=$folder/$1/ours-$2/vendor opens status=0

	opens=$(sed -n 's,.*/opens:,,p' "$file") || true
	[ "${opens:-0}" -gt 0 ] && [ "$opens" = "$(sed -n 's,.*/closes:,,p' "$file")" ] || status=1
	# One of the three drivers overrides all nine regions
	[ "$(sed -n 's,.*/releases:,,p' "$file")" = $((opens * 3)) ] || status=1
	result "$status" "selftests $1 $2: under vendor drivers that override with nothing, $opens opens" "$file"
}

# start RUN: the VM of a RUN, which is "KERNEL MODULES DEVICE".
start()
{
	local kernel modules device log

	read -r kernel modules device <<<"$1"
	"$SCRIPTS/modules.sh" "$kernel" "$modules" >/dev/null
	log=$folder/$kernel/$modules-$device.log
	mkdir -p "${log%/*}"
	say "upstream's selftests on $device, kernel $kernel, modules $modules"
	run "$kernel" "$modules" "$device" </dev/null >"$log" 2>&1 &
	running[$!]=$1
}

# reap: wait for one of the VMs.
reap()
{
	local pid status=0 kernel modules device

	wait -n -p pid "${!running[@]}" || status=$?
	read -r kernel modules device <<<"${running[$pid]}"
	unset "running[$pid]"
	result "$status" "selftests: the VM of $modules modules with $device on kernel $kernel succeeds" \
		"$folder/$kernel/$modules-$device.log"
	# Keep what stock gives only if all of it ran.
	[ "$modules" = stock ] && [ "$status" -eq 0 ] || return 0
	mkdir -p "$stock"
	cp -rT "$folder/$kernel/stock-$device" "$stock/$device"
}

# Two VMs at a time. Stock is run if it has not been yet.
declare -A running=()
for device in "${devices[@]}"; do
	runs=("${kernels[@]/%/ ours $device}")
	[ -d "$stock/$device" ] || runs+=("release stock $device")
	for run in "${runs[@]}"; do
		[ ${#running[@]} -lt 2 ] || reap
		start "$run"
	done
done
while [ ${#running[@]} -gt 0 ]; do reap; done

sum=0
for kernel in "${kernels[@]}"; do
	for device in "${devices[@]}"; do
		for program in "$CACHE/${programs#/cache/}"/vfio_*_test; do
			judge "$kernel" "$device" "${program##*/}"
		done
		[ "$kernel" = release ] || under_vendor "$kernel" "$device"
	done
done
echo "# $sum test cases of upstream's passed"
totals
