#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# demo.sh: the demo runs on every kernel that can have it, prints what it
# promises, and fails when the device is not as it should be.

# shellcheck disable=SC2034 # test.sh reads it
SUITE_CPUS=1 SUITE_SECONDS=100

. "$(dirname "$0")/../lib.sh"

. "$SCRIPTS/result.sh"

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$REPO"

# prints NAME PATTERN: the demo's output has such a line.
prints()
{
	local status=0

	grep -q -E -e "$2" "$tmp/demo" || status=$?
	result "$status" "$kernel: $1" "$tmp/demo"
}

for kernel in stock release; do
	status=0
	KERNEL=$kernel "$SCRIPTS/demo.sh" >"$tmp/demo" 2>&1 || status=$?
	result "$status" "$kernel: make demo" "$tmp/demo"
	prints 'the sample module is loaded by itself' '^guest: loaded by itself: vfio_pci_edu, for$'
	prints 'a guarded register' '^ +ok +its start is refused: Operation not permitted$'
	prints 'one that is not' '^ +ok +identification register reads 0x010000ed$'
	prints 'a mapping that is refused' '^ +ok +a mapping of page 0: Invalid argument$'
	prints 'and one that is not' '^ +ok +a mapping of page 1: done$'
	prints 'who serves BAR0' '^  [|] 0 bar0 size 0x100000 flags rwm reads [0-9]+ writes [0-9]+ maps 0x1000-0xfffff$'
	prints 'with the registers' '^  [|]   vfio_pci_edu 0x80-0x9f reads 0 writes 4$'
	prints 'and the driver below' '^  [|]   vfio-pci$'
	prints 'the region table has BAR0' '^ +0  BAR0 +0 +0x100000 +read +write mmap +none$'
	prints 'the region table has config space' '^ +7  config +0x70000000000 +0x100 +read +write - +none$'
	prints 'a factorial by read and write' '^ +ok +10! = 3628800$'
	prints 'a factorial by mmap' '^ +ok +12! = 479001600$'
	prints 'an interrupt as MSI and as INTx' '^ +ok +unmasked: the eventfd counts 1$'
	prints 'a migration by the region' '^  ok - QEMU 7[.]2, type1: move, and the guest runs on$'
	prints 'a migration by device features' '^  ok - QEMU 10[.][0-9]+, type1: move, and the guest runs on$'
	status=0
	[ "$(grep -c -E '^  # .* ms, of these [0-9]+ ms stopped; [0-9]+ bytes, of devices (440|464); ' "$tmp/demo")" = 2 ] ||
		status=1
	result "$status" "$kernel: how long both take, and how many bytes" "$tmp/demo"
	prints 'where the time went' '^ +[0-9]+\.[0-9] s  in all$'
done

# A device that is none of edu's: everything that reads it must say so.
userspace=$("$SCRIPTS/userspace.sh")
status=0
KERNEL=release MODULES=ours DEVICES=pci-testdev NAME=demo-wrong "$SCRIPTS/vm.sh" "
	scripts/guest/bind.sh all vfio-pci && $userspace/vfio_pci_edu_demo \${VM_DEVICES%%=*}" >"$tmp/wrong" 2>&1 </dev/null || status=$?
# 1, and neither another status nor success.
if [ "$status" -eq 1 ] && grep -q '^ *FAILED config space says vendor 1b36' "$tmp/wrong"; then
	status=0
else
	status=1
fi
result "$status" "on a device that is not edu the program fails, status 1" "$tmp/wrong"

totals
