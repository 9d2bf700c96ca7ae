#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# demo.sh: the demo works on the stock and the release kernel, and its program fails
# on a device other than edu.

# shellcheck disable=SC2034 # test.sh reads it
SUITE_SECONDS=75

. "$(dirname "$0")/../lib.sh"

. "$SCRIPTS/result.sh"

folder=$OUT/test-demo
rm -rf "$folder"
mkdir -p "$folder"
cd "$REPO"

for kernel in stock release; do
	status=0
	KERNEL=$kernel "$SCRIPTS/demo.sh" >"$folder/$kernel" 2>&1 || status=$?
	result "$status" "$kernel: make demo succeeds" "$folder/$kernel"
	has "$kernel" '^guest: vfio-pci has loaded vfio_pci_edu, by the alias$' "$kernel: binding the device loads the sample module"
	has "$kernel" '^ +ok +the driver refuses to start it: Operation not permitted$' "$kernel: a write to a guarded register fails"
	has "$kernel" '^ +ok +identification register reads 0x010000ed$' "$kernel: other registers work"
	has "$kernel" '^ +ok +mmap of page 0: Invalid argument$' "$kernel: mapping the guarded page fails"
	has "$kernel" '^ +ok +mmap of page 1: done$' "$kernel: mapping the next page works"
	has "$kernel" '^  [|] 0 bar0 size 0x100000 flags rwm reads [0-9]+ writes [0-9]+ maps 0x1000-0xfffff$' "$kernel: debugfs shows BAR0"
	has "$kernel" '^  [|]   vfio_pci_edu 0x80-0x9f reads 0 writes 4$' "$kernel: debugfs shows the range of the vendor driver"
	has "$kernel" '^  [|]   vfio-pci$' "$kernel: debugfs shows vfio-pci below it"
	has "$kernel" '^ +0  BAR0 +0 +0x100000 +read +write mmap +none$' "$kernel: region info reports BAR0"
	has "$kernel" '^ +7  config +0x70000000000 +0x100 +read +write - +none$' "$kernel: region info reports config space"
	has "$kernel" '^ +ok +10! = 3628800$' "$kernel: the device computes by read and write"
	has "$kernel" '^ +ok +12! = 479001600$' "$kernel: the device computes by mmap"
	has "$kernel" '^ +ok +unmasked: the eventfd counts 1$' "$kernel: MSI and INTx signal an eventfd"
	has "$kernel" '^  ok - QEMU 7[.]2, type1, move: the guest keeps running$' "$kernel: QEMU 7.2 migrates by the migration region"
	has "$kernel" '^  ok - QEMU 10[.][0-9]+, type1, move: the guest keeps running$' "$kernel: QEMU 10 migrates by device features"
	status=0
	[ "$(grep -c -E '^  # .* ms, downtime [0-9]+ ms; [0-9]+ bytes, (440|464) of the device; ' "$folder/$kernel")" = 2 ] ||
		status=1
	result "$status" "$kernel: both migrations report times and sizes" "$folder/$kernel"
	has "$kernel" '^  # [0-9]+ frames came back, 0 lost; stopped for [0-9]+ ms, [0-9]+ frames came meanwhile, [0-9]+ lost in the gap; [0-9]+ bytes of the device$' \
		"$kernel: the move of testpmd reports times and sizes"
	has "$kernel" '^  ok - testpmd: a move loses no frame while a function runs$' "$kernel: a virtual function moves with testpmd"
	has "$kernel" '^ +[0-9]+\.[0-9] s  total$' "$kernel: the demo prints its total time"
done

# Only the stock kernel has BTF
has stock '^  with the program: wrote 0x41, read 0x1110$' "stock: a BPF program locks a register"
has stock '^  detached: wrote 0x41, read 0x1141$' "stock: the register works when the program is detached"

# The program must fail on a device other than edu, with status 1.
userspace=$("$SCRIPTS/userspace.sh")
status=0
KERNEL=release MODULES=ours DEVICES=pci-testdev NAME=demo-wrong "$SCRIPTS/vm.sh" "
	scripts/guest/bind.sh all vfio-pci && $userspace/vfio_pci_edu_demo \${VM_DEVICES%%=*}" >"$folder/wrong" 2>&1 </dev/null || status=$?
[ "$status" -eq 1 ] && status=0 || status=1
result "$status" "the program fails on a device other than edu" "$folder/wrong"
has wrong '^ *FAILED config space says vendor 1b36' "the program names the ids of the other device"

totals
