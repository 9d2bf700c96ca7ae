#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# qemu-guest.sh: a real client: QEMU, in the VM, gives an edu device to a guest of
# its own, by a container and by iommufd. That guest, started by its firmware,
# finds of the overridden registers and of all others what it should, its DMA
# reaches its memory, and a transfer that the sample vendor driver refuses does
# not start; without the sample it does.

# shellcheck disable=SC2034 # test.sh reads it
SUITE_CPUS=1 SUITE_SECONDS=60

. "$(dirname "$0")/../lib.sh"
. "$SCRIPTS/result.sh"

"$SCRIPTS/modules.sh" release ours >/dev/null
folder=$OUT/qemu-guest
rm -rf "$folder"
mkdir -p "$folder"

status=0
"$SCRIPTS/guest-payload.sh" scripts/guest/qemu-guest.c out/qemu-guest/payload >"$folder/gcc.log" 2>&1 || status=$?
result "$status" "what the guest of QEMU runs compiles" "$folder/gcc.log"

# The device says by itself when it is told to leave its buffer.
in_guest=$(cat <<END
set -e
scripts/guest/bind.sh all vfio-pci
run() { scripts/guest/qemu-guest.sh out/qemu-guest/payload out/qemu-guest/device.log "out/qemu-guest/\$1" "\$2"; }
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

# prints RUN WHAT: of what the guest of QEMU prints, the lines that begin with
# one of the words that lines of stdin begin with are equal to these.
prints()
{
	local status=0

	cat >"$folder/expected"
	awk 'NR == FNR { asked[$1]; next } $1 in asked' "$folder/expected" "$folder/$1/printed" |
		diff "$folder/expected" - >"$folder/why" || status=1
	result "$status" "$1: $2" "$folder/why"
}

# holds RUN FILE WHAT: this file is equal to stdin.
holds()
{
	local status=0

	diff - "$folder/$1/$2" >"$folder/why" || status=1
	result "$status" "$1: $3" "$folder/why"
}

# number RUN NAME: a value that the guest of QEMU prints, as decimal
number()
{
	echo $(($(sed -n "s/^$2 //p" "$folder/$1/printed")))
}

for run in type1 iommufd type1-without iommufd-without; do
	mkdir -p "$folder/$run"
	touch "$folder/$run"/{printed,errors,status,regions,counts,device}
	sed -n 's/^.*\(vfio_region_\)/\1/p' "$folder/$run/errors" >"$folder/$run/refused"
	sed -n '/^1 /q;p' "$folder/$run/regions" >"$folder/$run/bar0"

	# Twice what the guest gives to isa-debug-exit, and one
	status=0
	[ "$(cat "$folder/$run/status")" = 33 ] || status=1
	tail -n 20 "$folder/$run"/{status,errors,printed} >"$folder/why"
	result "$status" "$run: QEMU runs a guest with the device to its end" "$folder/why"
	status=0
	grep -q -x 'bar 0xf[0-9a-f][0-9a-f]00000' "$folder/$run/printed" || status=1
	result "$status" "$run: the firmware of the guest gives the device a BAR" "$folder/$run/printed"
	prints "$run" 'registers that are not overridden read right' <<-END
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
	prints "$run" "DMA from the guest's memory to the device and back, before and after the bad ones" <<-END
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
	prints "$run" 'what is written to overridden registers is read again' <<-END
	beyond-source 0x00040ff8
	beyond-count 0x00000010
	behind-destination 0x00041001
	behind-count 0x00000000
	END
done

for run in type1 iommufd; do
	# Newer edu devices leave memory alone by themselves, older ones do not
	prints "$run" 'transfers that leave the buffer do not start' <<-END
	beyond-command 0x00000002
	beyond-interrupt 0x00000000
	behind-command 0x00000002
	behind-interrupt 0x00000000
	beyond 0xa5a5a5a5
	beyond 0xa5a5a5a5
	beyond 0xa5a5a5a5
	beyond 0xa5a5a5a5
	END
	holds "$run" device 'the device is not told to start them' </dev/null
	holds "$run" refused 'QEMU says that the writes that start them were refused' <<-END
	vfio_region_write(0000:00:02.0:region0+0x98, 0x7,4) failed: Operation not permitted
	vfio_region_write(0000:00:02.0:region0+0x98, 0x5,4) failed: Operation not permitted
	END
	holds "$run" counts 'the sample counts 4 transfers, and 2 that it refused' <<<'edu 1 0 4 2'
	holds "$run" bar0 'each access of the guest to the page of these registers is one that vfio-pci serves' <<-END
	0 bar0 size 0x100000 flags rwm reads $(number "$run" page-reads) writes $(number "$run" page-writes) maps 0x1000-0xfffff
	  vfio_pci_edu 0x80-0x9f reads 0 writes $(number "$run" dma-writes)
	  vfio-pci
	END
done

# The same, without the sample
for run in type1-without iommufd-without; do
	prints "$run" 'the same transfers start' <<-END
	beyond-command 0x00000006
	beyond-interrupt 0x00000100
	behind-command 0x00000004
	behind-interrupt 0x00000100
	END
	holds "$run" device 'the device is told to leave its buffer' <<-END
	EDU: DMA range 0x0000000000040ff8-0x0000000000041007 out of bounds (0x0000000000040000-0x0000000000040fff)!
	EDU: DMA range 0x0000000000041001-0x0000000000041000 out of bounds (0x0000000000040000-0x0000000000040fff)!
	END
	holds "$run" refused 'no write is refused' </dev/null
	holds "$run" counts 'there is no region that counts' <<<'no region: Invalid argument'
	holds "$run" bar0 'the guest has all registers mapped' <<-END
	0 bar0 size 0x100000 flags rwm reads 0 writes 0
	  vfio-pci
	END
done
totals
