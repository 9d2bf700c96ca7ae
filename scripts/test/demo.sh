#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# demo.sh: the demo works on the stock and the release kernel, and its program fails
# on a device other than edu.

# shellcheck disable=SC2034 # test.sh reads it
SUITE_CPUS=1 SUITE_SECONDS=100

. "$(dirname "$0")/../lib.sh"

. "$SCRIPTS/result.sh"

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$REPO"

# prints NAME PATTERN: check that a line of the demo's output matches.
prints()
{
	local status=0

	grep -q -E -e "$2" "$tmp/demo" || status=$?
	result "$status" "$kernel: $1" "$tmp/demo"
}

for kernel in stock release; do
	status=0
	KERNEL=$kernel "$SCRIPTS/demo.sh" >"$tmp/demo" 2>&1 || status=$?
	result "$status" "$kernel: make demo succeeds" "$tmp/demo"
	prints 'binding the device loads the sample module' '^guest: vfio-pci has loaded vfio_pci_edu, by the alias$'
	prints 'a write to a guarded register fails' '^ +ok +the driver refuses to start it: Operation not permitted$'
	prints 'other registers work' '^ +ok +identification register reads 0x010000ed$'
	prints 'mapping the guarded page fails' '^ +ok +mmap of page 0: Invalid argument$'
	prints 'mapping the next page works' '^ +ok +mmap of page 1: done$'
	prints 'debugfs shows BAR0' '^  [|] 0 bar0 size 0x100000 flags rwm reads [0-9]+ writes [0-9]+ maps 0x1000-0xfffff$'
	prints 'debugfs shows the range of the vendor driver' '^  [|]   vfio_pci_edu 0x80-0x9f reads 0 writes 4$'
	prints 'debugfs shows vfio-pci below it' '^  [|]   vfio-pci$'
	prints 'region info reports BAR0' '^ +0  BAR0 +0 +0x100000 +read +write mmap +none$'
	prints 'region info reports config space' '^ +7  config +0x70000000000 +0x100 +read +write - +none$'
	prints 'the device computes by read and write' '^ +ok +10! = 3628800$'
	prints 'the device computes by mmap' '^ +ok +12! = 479001600$'
	prints 'MSI and INTx signal an eventfd' '^ +ok +unmasked: the eventfd counts 1$'
	prints 'QEMU 7.2 migrates by the migration region' '^  ok - QEMU 7[.]2, type1, move: the guest keeps running$'
	prints 'QEMU 10 migrates by device features' '^  ok - QEMU 10[.][0-9]+, type1, move: the guest keeps running$'
	status=0
	[ "$(grep -c -E '^  # .* ms, downtime [0-9]+ ms; [0-9]+ bytes, (440|464) of the device; ' "$tmp/demo")" = 2 ] ||
		status=1
	result "$status" "$kernel: both migrations report times and sizes" "$tmp/demo"
	prints 'the demo prints its total time' '^ +[0-9]+\.[0-9] s  total$'
done

# The program must fail on a device other than edu, with status 1.
userspace=$("$SCRIPTS/userspace.sh")
status=0
KERNEL=release MODULES=ours DEVICES=pci-testdev NAME=demo-wrong "$SCRIPTS/vm.sh" "
	scripts/guest/bind.sh all vfio-pci && $userspace/vfio_pci_edu_demo \${VM_DEVICES%%=*}" >"$tmp/wrong" 2>&1 </dev/null || status=$?
if [ "$status" -eq 1 ] && grep -q '^ *FAILED config space says vendor 1b36' "$tmp/wrong"; then
	status=0
else
	status=1
fi
result "$status" "the program fails on a device other than edu" "$tmp/wrong"

totals
