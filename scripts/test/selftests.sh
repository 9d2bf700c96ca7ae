#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# selftests.sh [DEVICE...]: upstream's unchanged vfio selftests pass with our modules on
# edu and igb, in all IOMMU modes, or in two if they are slow. They must skip the same number of tests as with stock
# modules; the cache keeps one run with stock. The debug kernel runs slow programs in
# fewer modes, and all programs under vendor drivers whose overrides pass all accesses
# through. KERNEL selects one kernel; the default is both. The output is in
# out/selftests.

# shellcheck disable=SC2034 # test.sh reads it
SUITE_SECONDS=600

. "$(dirname "$0")/../lib.sh"
. "$SCRIPTS/result.sh"
. "$SCRIPTS/parallel.sh"

read -r -a kernels <<<"${KERNEL:-release debug}"
# The slowest one first
devices=(igb edu)
[ $# -eq 0 ] || devices=("$@")

programs=$("$SCRIPTS/userspace.sh")/upstream
folder=$OUT/selftests
rm -rf "$folder"
mkdir -p "$folder"

# The cached run with stock modules, on the release kernel
stock=$CACHE/selftests-stock-$({
	"$SCRIPTS/kernel.sh" release
	"$SCRIPTS/modules.sh" release stock
	"$SCRIPTS/in-root.sh" readlink -f "$programs"
	cat "$SCRIPTS/guest/selftests.sh" "$SCRIPTS/guest/init.sh"
} | key)
used "${stock##*/}"

# run KERNEL-MODULES-DEVICE: run the selftests in a VM; results go to
# out/selftests/KERNEL/MODULES-DEVICE. Cache complete runs with stock.
run()
{
	local kernel modules device quick='' dir

	IFS=- read -r kernel modules device <<<"$1"
	dir=out/selftests/$kernel/$modules-$device
	[ "$kernel" = release ] || quick=1
	mkdir -p "$REPO/$dir"
	# Upstream's libvfio maps whole BARs, which vfio_pci_edu prevents.
	KERNEL=$kernel MODULES=$modules DEVICES=$device NAME=selftests-$1 TIMEOUT=${TIMEOUT:-3600} APPEND=$NO_VENDOR \
		"$SCRIPTS/vm.sh" QUICK="$quick" VENDOR="$quick" scripts/guest/selftests.sh "$programs" "/repo/$dir" || return
	[ "$modules" = stock ] || return 0
	mkdir -p "$stock"
	cp -rT "$REPO/$dir" "$stock/$device"
}

# same_tests A B: print the results in B of the tests that have a result in A.
same_tests()
{
	awk '!/^(not )?ok [0-9]/ { next } { name = $1 == "not" ? $4 : $3 }
		NR == FNR { ran[name]; next } name in ran' "$1" "$2"
}

# check KERNEL DEVICE PROGRAM: compare the results of a program with those of stock.
check()
{
	local tap=$folder/$1/ours-$2/$3.tap what="selftests $1 $2: $3 passes as with stock" passed_ failed_ skipped_ status plan was

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
	# Status 4: the whole program was skipped.
	if [ "$status" -eq 4 ] && [ "$(cat "$stock/$2/$3.status" 2>/dev/null)" = 4 ]; then
		skip "$what" "stock skips it, too: $(tail -n 1 "$tap")"
	elif [ "$failed_" -gt 0 ] || [ "$status" -ne 0 ] ||
		[ $((passed_ + skipped_)) -ne "${plan:-0}" ] || [ "$was" != "$passed_ $failed_ $skipped_" ]; then
		result 1 "$what" "$folder/why"
	else
		result 0 "$what ($passed_ passed, $skipped_ skipped)"
		sum=$((sum + passed_))
	fi
}

# check_vendor KERNEL DEVICE: check that the vendor drivers were attached.
check_vendor()
{
	local file=$folder/$1/ours-$2/vendor opens status=0

	opens=$(sed -n 's,.*/opens:,,p' "$file") || true
	[ "${opens:-0}" -gt 0 ] && [ "$opens" = "$(sed -n 's,.*/closes:,,p' "$file")" ] || status=1
	# Each open releases the overrides of three drivers
	[ "$(sed -n 's,.*/releases:,,p' "$file")" = $((opens * 3)) ] || status=1
	result "$status" "selftests $1 $2: the vendor drivers were attached at all $opens opens" "$file"
}

# Run stock only if the cache lacks it.
vms=()
for device in "${devices[@]}"; do
	vms+=("${kernels[@]/%/-ours-$device}")
	[ -d "$stock/$device" ] || vms+=("release-stock-$device")
done
for vm in "${vms[@]}"; do
	IFS=- read -r kernel modules _ <<<"$vm"
	"$SCRIPTS/modules.sh" "$kernel" "$modules" >/dev/null
done
in_parallel "$folder" run "${vms[@]}"

sum=0
for kernel in "${kernels[@]}"; do
	for device in "${devices[@]}"; do
		for program in "$CACHE/${programs#/cache/}"/vfio_*_test; do
			check "$kernel" "$device" "${program##*/}"
		done
		[ "$kernel" = release ] || check_vendor "$kernel" "$device"
	done
done
echo "# $sum upstream test cases passed"
totals
