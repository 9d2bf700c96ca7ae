#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# bpf.sh: BPF programs handle registers, on Debian's kernel, because ours have no BTF. The
# selftest drives edu, the samples an igb and a device with VPD. Results are in out/bpf.

# shellcheck disable=SC2034 # test.sh reads it
SUITE_SECONDS=300

. "$(dirname "$0")/../lib.sh"

suite=bpf
. "$SCRIPTS/selftest-vms.sh"

selftest=$("$SCRIPTS/bpf.sh" selftest)
samples=$("$SCRIPTS/bpf.sh" samples)
bpftool=$("$SCRIPTS/bpf.sh" bpftool)/bpftool
payload=$("$SCRIPTS/userspace.sh")/guest_config
testpmd=$("$SCRIPTS/dpdk.sh")
vms=(
	[selftest]='stock edu=edu'
	# VFs of igb use the slots 16 and 17 above its own: keep a slot between the devices
	[samples]='stock igb=igb,netdev=port0 edu=edu other=igb,netdev=port1'
	# QEMU's igb has no capability VPD
	[vpd]='stock vpd=user:vpd'
)
qemu[samples]='-netdev hubport,id=port0,hubid=0 -netdev hubport,id=port1,hubid=0'
runs=''

before_selftest()
{
	# shellcheck disable=SC2016 # for the shell in the guest
	echo 'mount -t bpf bpf /sys/fs/bpf'
	# shellcheck disable=SC2016
	echo "record modes $selftest/vfio_pci_bpf_test -v vfio_type1v2_iommu \$edu"
	echo "record others $selftest/vfio_pci_bpf_test -f global \$edu"
	echo "record verifier $selftest/vfio_pci_bpf_verifier; rmmod vfio_pci_bpf"
}

before_samples()
{
	echo "scripts/guest/bpf.sh $samples $bpftool $testpmd $payload \$out"
}

before_vpd()
{
	cat <<-END
	mount -t bpf bpf /sys/fs/bpf
	modprobe vfio-pci-bpf
	cp -r $samples /run/guide
	cp out/bpf/guide/lock.bpf.c /run/guide/
	make -s -C /run/guide CLANG=clang-19 lock.bpf.o
	look() { scripts/guest/registers.py \$vpd config:0x34:1 config:0xe0:2 config:0xe2:2=0x8000 config:0xe2:2 >\$out/\$1; }
	look before
	for program in lock_eeprom lock; do
		$samples/attach /run/guide/\$program.bpf.o
		look \$program
		rm /sys/fs/bpf/\$program
	done
	look after
	END
}

check_selftest()
{
	passes selftest modes 'vfio_pci_bpf_test' 0
	passes selftest others 'vfio_pci_bpf_test -f global' 0
	passes selftest verifier 'vfio_pci_bpf_verifier' 0
	has_not selftest/modules '^vfio_pci_bpf ' 'selftest: no program is left over'
}

# looks NAME DESCRIPTION [VM]: compare the lines on stdin with what userspace sees.
looks()
{
	local status=0 vm=${3:-samples}

	diff - "$folder/$vm/$1" >"$folder/why" 2>&1 || status=1
	result "$status" "$vm: $1: $2" "$folder/why"
}

# same SAMPLE: compare what userspace sees before a sample is attached and after.
same()
{
	local status=0

	[ -s "$folder/samples/$1.before" ] && diff "$folder/samples/$1".{before,after} >"$folder/why" 2>&1 || status=1
	result "$status" "samples: $1: the device is as before when the sample is detached" "$folder/why"
}

check_samples()
{
	has samples/no-module 'is the module vfio-pci-bpf loaded[?]$' 'samples: without the module, the loader says what is missing'
	has samples/twice '^attach: hide_sriov is attached; to detach it, remove /sys/fs/bpf/hide_sriov$' \
		'samples: the loader attaches a sample once'

	looks hide_sriov.before 'igb has ARI and SR-IOV' <<<'caps 01 05 11 10 ext-01 ext-0e ext-10'
	looks hide_sriov.with 'ARI and SR-IOV are hidden' <<<'caps 01 05 11 10 ext-01'
	same hide_sriov
	# Port, direction and number of packets
	awk '/NIC statistics for port/ { port = $6 } /^  [RT]X-packets:/ && port != "" { print port, $1, ($2 >= 32) }' \
		"$folder/samples/hide_sriov.testpmd" >"$folder/samples/packets"
	looks packets 'testpmd forwards packets while a capability is hidden' <<-END
	0 RX-packets: 1
	0 TX-packets: 1
	1 RX-packets: 1
	1 TX-packets: 1
	END

	looks lock_eeprom.before 'EECD and FLA can be written, EECD also by the window in BAR 2' <<-END
	0:0x10:4 0x1110
	0:0x10:4=0x41 written
	0:0x10:4 0x1141
	0:0x1c:4=0x1234 written
	0:0x1c:4 0x1234
	0:0x102c:4=0x5678 written
	0:0x14:4=1 written
	0:0x14:4 0x54520002
	0:0x8:4 0x80080481
	2:0:4=0x10 written
	2:4:4=0x42 written
	0:0x10:4 0x1142
	END
	looks lock_eeprom.with 'they ignore writes; other registers do not change' <<-END
	0:0x10:4 0x1110
	0:0x10:4=0x41 written
	0:0x10:4 0x1110
	0:0x1c:4=0x1234 written
	0:0x1c:4 0x0
	0:0x102c:4=0x5678 written
	0:0x14:4=1 written
	0:0x14:4 0x54520002
	0:0x8:4 0x80080481
	2:0:4=0x10 written
	2:4:4=0x42 written
	0:0x10:4 0x1110
	END
	same lock_eeprom
	tr -d ' \n' <"$folder/samples/lock_eeprom.map" | grep -o '"key":[0-9]*,"value":[0-9]*' | sort >"$folder/samples/ignored"
	looks ignored 'the map counts the ignored writes' <<-END
	"key":16,"value":1
	"key":28,"value":1
	"key":4140,"value":1
	"key":8589934592,"value":1
	"key":8589934596,"value":1
	END
	has samples/lock_eeprom.open '^  lock_eeprom 0x10-0x13 reads 0 writes 0$' 'samples: lock_eeprom: debugfs shows the ranges'
	has samples/lock_eeprom.open '^0 bar0 .* maps 0x2000-0x1ffff$' 'samples: lock_eeprom: userspace cannot map the pages'

	looks set_ids.with 'userspace sees other ids' <<-END
	config:0:4 0x15218086
	config:0:2 0x8086
	config:2:2 0x1521
	config:3:1 0x15
	config:8:4 0x55667701
	config:9:1 0x77
	config:0xa:2 0x5566
	config:4:2 0x103
	END
	looks set_ids.empty 'without ids in the map, the device keeps its own' <<<'config:0:4 0x10c98086'
	same set_ids

	looks trace_writes.with 'accesses reach the device' <"$folder/samples/trace_writes.before"
	same trace_writes
	sed 's/^[0-9.]* //' "$folder/samples/trace_writes.log" >"$folder/samples/traced"
	looks traced 'the reader prints the writes' <<-END
	RCTL = 0x00000000
	TDT(0) = 0x00000000
	TDT(1) = 0x00000005
	0x05400 = 0x00001234
	END

	looks all 'all samples at once' <<-END
	caps 01 05 11 10 ext-01
	config:0:4 0x15218086
	0:0x10:4 0x1110
	0:0x10:4=0x41 written
	0:0x10:4 0x1110
	END
	looks none.guest 'a nested guest sees the device' <<-END
	id 0x10c98086
	class 0x02000001
	capability 0x00000001
	capability 0x00000005
	capability 0x00000011
	capability 0x00000010
	status 0x80080481
	eecd 0x00001110
	eecd 0x00001141
	status 33
	END
	looks all.guest 'with all samples, it sees other ids and cannot write EECD' <<-END
	id 0x15218086
	class 0x02000001
	capability 0x00000001
	capability 0x00000005
	capability 0x00000011
	capability 0x00000010
	status 0x80080481
	eecd 0x00001110
	eecd 0x00001110
	status 33
	END

	has samples/bpftool '^Registered vfio_pci_bpf_ops lock_eeprom map id [0-9]+ link id [0-9]+$' 'samples: bpftool attaches a sample'
	has samples/bpftool '^[0-9]+: lock_eeprom +vfio_pci_bpf_ops' 'samples: bpftool lists it'
	has samples/bpftool '"write": "int [(]struct vfio_pci_bpf_access [*][)] lock_eeprom_write/prog_id:[0-9]+"' \
		'samples: bpftool dumps it'
	looks bpftool.with 'its program ignores writes' <<<$'0:0x10:4=0x41 written\n0:0x10:4 0x1110'

	looks required 'a required driver must be attached' <<-END
	open: ENODEV
	attached
	open: ok
	detached
	open: ENODEV
	END
	has samples/required.dmesg 'open refused: vendor driver lock_eeprom is missing' 'samples: the log names the missing driver'
	has_not samples/unloaded '^vfio_pci_bpf ' 'samples: no program is left over'

	has_not samples/guide.log '^failed: ' 'samples: guide: the commands succeed'
	sed '/^regions/q' "$folder/samples/guide.with" >"$folder/samples/guide.registers"
	looks guide.registers 'its program locks the register' <<<$'0:0x10:4=0x41 written\n0:0x10:4 0x1110\nregions '
	sed -n '/^0 bar0/,/^1 /{/^1 /!p}' "$folder/samples/guide.with" >"$folder/samples/guide.regions"
	sed -n '/^    0 bar0/,/^    [.][.][.]/s/^    //p' "$guide" | grep -v '^[.]' >"$folder/guide/regions"
	looks guide.regions 'debugfs shows what the guide prints' <"$folder/guide/regions"
}

check_vpd()
{
	local name visible hidden

	visible=$'config:0x34:1 0xe0\nconfig:0xe0:2 0x3\nconfig:0xe2:2=0x8000 written\nconfig:0xe2:2 0x8000'
	hidden=$'config:0x34:1 0x0\nconfig:0xe0:2 0x0\nconfig:0xe2:2=0x8000 written\nconfig:0xe2:2 0x0'
	looks before 'userspace can write VPD' vpd <<<"$visible"
	for name in lock_eeprom lock; do
		looks "$name" 'VPD is hidden and ignores writes' vpd <<<"$hidden"
	done
	looks after 'the device is as before when the program is detached' vpd <<<"$visible"
}

# The commands and the program of the guide. The guest has the tools.
guide=$REPO/Documentation/admin-guide/vfio-pci-bpf.rst
mkdir -p "$folder/guide"
awk '/::$/ { inside = 1; next } inside && /^\t/ { sub(/^\t/, ""); text = text $0 "\n"; next }
	inside && /^$/ { text = text "\n"; next }
	{ if (text ~ /struct_ops/) printf "%s", text; text = ""; inside = 0 }' "$guide" >"$folder/guide/lock.bpf.c"
sed -n 's/^    # //p' "$guide" | grep -v -x -e 'apt .*' -e reboot -e 'cat .*' >"$folder/guide/commands"

test_in_vms samples selftest vpd
totals
