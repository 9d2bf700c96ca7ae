#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# qemu-guest.sh: QEMU in the VM passes an edu device to a nested guest, with type1 and
# with iommufd. The nested guest uses overridden registers, other registers and DMA. The
# sample vendor driver refuses transfers outside the device's buffer; without the sample
# they start.

. "$(dirname "$0")/../lib.sh"
. "$SCRIPTS/result.sh"

"$SCRIPTS/modules.sh" release ours >/dev/null
folder=$OUT/qemu-guest
rm -rf "$folder"
mkdir -p "$folder"

programs=$("$SCRIPTS/userspace.sh")
# QEMU logs DMA outside the buffer of edu to device.log.
in_guest=$(cat <<END
set -e
scripts/guest/bind.sh all vfio-pci
run() { scripts/guest/qemu-guest.sh $programs/guest_registers out/qemu-guest/device.log "out/qemu-guest/\$1" "\$2"; }
run type1 type1
run iommufd iommufd
scripts/guest/without-vendor.sh vfio_pci_edu
run type1-without type1
run iommufd-without iommufd
END
)
status=0
KERNEL=release MODULES=ours DEVICES=edu NAME=qemu-guest APPEND=$NO_MIGRATION TIMEOUT=${TIMEOUT:-1800} \
	QEMU='-d guest_errors -D /repo/out/qemu-guest/device.log' \
	"$SCRIPTS/vm.sh" "$in_guest" </dev/null >"$folder/log" 2>&1 || status=$?
result "$status" "the VM succeeds" "$folder/log"

# prints RUN NAME: check the output of the nested guest. For each first word of a line
# on stdin, the lines with this word must be equal.
prints()
{
	local status=0

	cat >"$folder/expected"
	awk 'NR == FNR { words[$1]; next } $1 in words' "$folder/expected" "$folder/$1/printed" |
		diff "$folder/expected" - >"$folder/why" || status=1
	result "$status" "$1: $2" "$folder/why"
}

# equals RUN FILE NAME: check that a file is equal to stdin.
equals()
{
	local status=0

	diff - "$folder/$1/$2" >"$folder/why" || status=1
	result "$status" "$1: $3" "$folder/why"
}

# number RUN NAME: print a value of the nested guest as decimal.
number()
{
	echo $(($(sed -n "s/^$2 //p" "$folder/$1/printed")))
}

for run in type1 iommufd type1-without iommufd-without; do
	mkdir -p "$folder/$run"
	touch "$folder/$run"/{printed,errors,status,regions,counts,device}
	sed -n 's/^.*\(vfio_region_\)/\1/p' "$folder/$run/errors" >"$folder/$run/refused"
	sed -n '/^1 /q;p' "$folder/$run/regions" >"$folder/$run/bar0"

	# QEMU's status is twice EXIT_DONE, plus one
	status=0
	[ "$(cat "$folder/$run/status")" = 33 ] || status=1
	tail -n 20 "$folder/$run"/{status,errors,printed} >"$folder/why"
	result "$status" "$run: the nested guest completes" "$folder/why"
	status=0
	grep -q -x 'bar 0xf[0-9a-f][0-9a-f]00000' "$folder/$run/printed" || status=1
	result "$status" "$run: the firmware of the nested guest maps the BAR" "$folder/$run/printed"
	prints "$run" 'registers without an override have the right values' <<-END
	command 0x00000406
	identification 0x010000ed
	liveness 0xedcba987
	factorial 0x00375f00
	raised 0x00000005
	lowered 0x00000000
	before-dma 0xffffffff
	after-dma 0xffffffff
	page-1 0xffffffff
	END
	prints "$run" "DMA to the device and back works before and after the bad transfers" <<-END
	source 0x00040000
	destination-is-ours 0x00000001
	count 0x00001000
	words-equal 0x00000400
	last-word 0x04264866
	source 0x00040000
	destination-is-ours 0x00000001
	count 0x00001000
	words-equal 0x00000400
	last-word 0x8caed0ee
	END
	prints "$run" 'overridden registers keep written values' <<-END
	beyond-source 0x00040ff8
	beyond-count 0x00000010
	behind-destination 0x00041001
	behind-count 0x00000000
	END
done

for run in type1 iommufd; do
	# New versions of edu check the range themselves; old ones would write to memory
	prints "$run" 'transfers outside the buffer do not start' <<-END
	beyond-command 0x00000002
	beyond-interrupt 0x00000000
	behind-command 0x00000002
	behind-interrupt 0x00000000
	beyond 0xa5a5a5a5
	beyond 0xa5a5a5a5
	beyond 0xa5a5a5a5
	beyond 0xa5a5a5a5
	END
	equals "$run" device 'bad transfers do not reach the device' </dev/null
	equals "$run" refused 'QEMU reports the refused writes' <<-END
	vfio_region_write(0000:00:02.0:region0+0x98, 0x7,4) failed: Operation not permitted
	vfio_region_write(0000:00:02.0:region0+0x98, 0x5,4) failed: Operation not permitted
	END
	equals "$run" counts 'the sample counts 4 transfers and 2 refused ones' <<<'edu 1 0 4 2'
	equals "$run" bar0 'vfio-pci traps all accesses to the page with overridden registers' <<-END
	0 bar0 size 0x100000 flags rwm reads $(number "$run" page-reads) writes $(number "$run" page-writes) maps 0x1000-0xfffff
	  vfio_pci_edu 0x80-0x9f reads 0 writes $(number "$run" dma-writes)
	  vfio-pci
	END
done

# Without the sample
for run in type1-without iommufd-without; do
	prints "$run" 'transfers outside the buffer start' <<-END
	beyond-command 0x00000006
	beyond-interrupt 0x00000100
	behind-command 0x00000004
	behind-interrupt 0x00000100
	END
	equals "$run" device 'bad transfers reach the device' <<-END
	EDU: DMA range 0x0000000000040ff8-0x0000000000041007 out of bounds (0x0000000000040000-0x0000000000040fff)!
	EDU: DMA range 0x0000000000041001-0x0000000000041000 out of bounds (0x0000000000040000-0x0000000000040fff)!
	END
	equals "$run" refused 'no write is refused' </dev/null
	equals "$run" counts 'the device has no region of the sample' <<<'no region: Invalid argument'
	equals "$run" bar0 'all registers of the nested guest are mapped' <<-END
	0 bar0 size 0x100000 flags rwm reads 0 writes 0
	  vfio-pci
	END
done
totals
