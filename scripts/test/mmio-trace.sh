#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# mmio-trace.sh: devices see the same accesses with our modules as with stock. A program
# makes large and unaligned accesses to BARs, across the MSI-X table and with partly
# unmapped buffers. QEMU traces the accesses to registers. Offset, width, direction,
# value and order must be equal. The traces are in out/mmio-trace.

. "$(dirname "$0")/../lib.sh"
. "$SCRIPTS/result.sh"
. "$SCRIPTS/side-by-side.sh"

export KERNEL=${KERNEL:-release}

# The devices, and QEMU's names of their memory regions
devices=(edu pci-testdev igb)
declare -A regions=(
	[edu]='edu-mmio'
	[pci-testdev]='pci-testdev-[a-z]*'
	[igb]='(igb|msix)-[a-z]*'
)

folder=$OUT/mmio-trace
userspace=$("$SCRIPTS/userspace.sh")
rm -rf "$folder"
mkdir -p "$folder/stock" "$folder/ours"

runs=()
for i in "${!devices[@]}"; do
	runs+=("${devices[$i]}:$i:iommufd:--stage seen")
done

# trace MODULES: write the traces of all devices. One CPU makes the order deterministic.
trace()
{
	local dir=out/mmio-trace/$1 device command

	# Options contain spaces: quote each run for the shell in the guest.
	command=$(printf '%q ' scripts/guest/region-diff.sh "$userspace/vfio_pci_region_diff" "/repo/$dir" "${runs[@]}")
	mkfifo "$folder/$1/fifo"
	# QEMU traces the whole machine: keep only the regions of the devices.
	grep -E " name '($(IFS='|'; echo "${regions[*]}"))'" <"$folder/$1/fifo" |
		sed -E -n "s/.*memory_region_ops_([a-z]*) cpu [-0-9]+ mr 0x[0-9a-f]+ addr (0x[0-9a-f]+) value (0x[0-9a-f]+) size ([0-9]+) name '(.*)'.*/\5 \1 \2 \4 \3/p" \
		>"$folder/$1/trace" &
	MODULES=$1 DEVICES=${devices[*]} SMP=1 NAME=mmio-trace-$1 ACCEL=tcg \
		QEMU="-trace memory_region_ops_read -trace memory_region_ops_write -D /repo/$dir/fifo" \
		"$SCRIPTS/vm.sh" "$command"
	wait
	rm "$folder/$1/fifo"
	# Drop reads of edu's status register: their number varies, because the program
	# polls it until a factorial is done.
	for device in "${devices[@]}"; do
		grep -E "^${regions[$device]} " "$folder/$1/trace" |
			grep -v '^edu-mmio read 0x[0-9a-f]*00020 4 ' >"$folder/$1/$device.trace" || true
	done
	rm "$folder/$1/trace"
}

side_by_side trace "$folder"

for device in "${devices[@]}"; do
	a=$folder/stock/$device b=$folder/ours/$device
	for what in trace iommufd.txt; do
		count=$(wc -l <"$a.$what")
		name="mmio-trace $device: the results are equal"
		[ "$what" != trace ] || name="mmio-trace $device: the accesses are equal"
		if differ "$a.$what" "$b.$what" >"$folder/why"; then
			result 1 "$name" "$folder/why"
		elif [ "$count" -lt 1000 ]; then
			echo "only $count lines in $a.$what" >"$folder/why"
			result 1 "$name" "$folder/why"
		elif [ "$what" = trace ]; then
			result 0 "$name ($(grep -c ' read ' "$a.$what") reads, $(grep -c ' write ' "$a.$what") writes)"
		else
			result 0 "$name ($count)"
		fi
	done
done

# Test the comparison: it must detect a changed order and a changed width.
file=$folder/stock/edu.trace
if [ -s "$file" ]; then
	# Swap two different lines.
	at=$(awk 'NR > 1000 && $0 != before { print NR; exit } { before = $0 }' "$file")
	awk -v at="${at:-0}" 'NR == at - 1 { held = $0; next } { print } NR == at { print held }' "$file" >"$folder/changed"
	status=0
	differ "$file" "$folder/changed" >"$folder/why" || status=$?
	result "$status" "mmio-trace: the comparison detects a changed order"
	status=0
	awk 'NR == 1500 { $4 = $4 == 8 ? 4 : 8 } 1' "$file" >"$folder/changed"
	differ "$file" "$folder/changed" >"$folder/why" || status=$?
	result "$status" "mmio-trace: the comparison detects a changed width"
fi
totals
