#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# bpf.sh SAMPLES BPFTOOL TESTPMD PAYLOAD FOLDER: in the guest, attach each BPF sample to the
# first igb of VM_DEVICES, and look at what userspace sees before, with it and after. SAMPLES
# has the compiled samples, PAYLOAD is for a nested guest. Write the results to FOLDER.

set -euo pipefail

samples=$1
bpftool=$2
testpmd=$3
payload=$4
folder=$5
mapfile -t igb < <(tr ' ' '\n' <<<"$VM_DEVICES" | sed -n 's/=igb$//p')
pins=/sys/fs/bpf

# look NAME ACCESS...: open the first igb and access registers.
look()
{
	scripts/guest/registers.py "${igb[0]}" "${@:2}" >"$folder/$1" 2>&1 || true
}

# around SAMPLE ACCESS...: look before the sample is attached, with it and after.
around()
{
	look "$1.before" "${@:2}"
	"$samples/attach" "$samples/$1.bpf.o"
	if declare -F "fill_$1" >/dev/null; then "fill_$1"; fi
	look "$1.with" "${@:2}"
	if declare -F "during_$1" >/dev/null; then "during_$1"; fi
	rm "$pins/$1"
	look "$1.after" "${@:2}"
	echo "$1: up $(cut -d. -f1 /proc/uptime) s"
}

# nested NAME: boot a program in QEMU that has the first igb, and keep its output.
nested()
{
	local status=0

	timeout 200 qemu-system-x86_64 -nodefaults -no-user-config -display none -no-reboot -accel tcg -m 64M \
		-kernel "$payload" -device "vfio-pci,host=${igb[0]},addr=5" -device isa-debug-exit,iobase=0xf4,iosize=4 \
		-serial stdio </dev/null >"$folder/$1.guest" 2>&1 || status=$?
	echo "status $status" >>"$folder/$1.guest"
	echo "$1: up $(cut -d. -f1 /proc/uptime) s"
}

# DPDK maps the BARs: config space does not matter to it
during_hide_sriov()
{
	local log=$folder/hide_sriov.testpmd

	: >"$log"
	# Use one CPU, because testpmd polls. It writes the log that grep reads.
	# shellcheck disable=SC2094
	{
		for _ in {1..150}; do
			! grep -q 'testpmd> ' "$log" || break
			sleep 0.2
		done
		echo start tx_first
		sleep 3
		printf '%s\n' stop 'show port stats all' quit
	} | timeout 100 stdbuf -oL "$testpmd" --lcores 0@0,1@0 --in-memory -a "${igb[0]}" -a "${igb[1]}" -- \
		--total-num-mbufs=4096 -i >"$log" 2>&1 || echo "status $?" >>"$log"
}

during_lock_eeprom()
{
	bpftool map dump name ignored >"$folder/lock_eeprom.map" 2>&1
	scripts/guest/while-open.py "${igb[0]}" cp "/sys/kernel/debug/vfio/${igb[0]}/pci/regions" "$folder/lock_eeprom.open"
}

fill_set_ids()
{
	bpftool map update name ids key 0 0 0 0 value 0x86 0x80 0x21 0x15 0x77 0x66 0x55 0
}

during_set_ids()
{
	bpftool map update name ids key 0 0 0 0 value 0 0 0 0 0 0 0 0
	look set_ids.empty config:0:4
}

fill_trace_writes()
{
	"$samples/trace_writes" >"$folder/trace_writes.log" 2>&1 &
	sleep 1
}

during_trace_writes()
{
	sleep 1
	kill %%
	wait %% || true
	rm "$pins/writes"
}

mountpoint -q "$pins" || mount -t bpf bpf "$pins"
mountpoint -q /sys/kernel/debug || mount -t debugfs none /sys/kernel/debug
# For testpmd
echo 64 >/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages
scripts/guest/bind.sh all vfio-pci
nested none
# Without the module
"$samples/attach" "$samples/hide_sriov.bpf.o" >"$folder/no-module" 2>&1 || true
modprobe vfio-pci-bpf
"$samples/attach" "$samples/hide_sriov.bpf.o" >"$folder/twice" 2>&1
"$samples/attach" "$samples/hide_sriov.bpf.o" >>"$folder/twice" 2>&1 || true
rm "$pins/hide_sriov"

around hide_sriov caps
around lock_eeprom 0:0x10:4 0:0x10:4=0x41 0:0x10:4 0:0x1c:4=0x1234 0:0x1c:4 0:0x102c:4=0x5678 \
	0:0x14:4=1 0:0x14:4 0:0x8:4 2:0:4=0x10 2:4:4=0x42 0:0x10:4
around set_ids config:0:4 config:0:2 config:2:2 config:3:1 config:8:4 config:9:1 config:0xa:2 config:4:2
around trace_writes 0:0x18:4 0:0x100:4=0 0:0xe018:4=0 0:0xe058:4=5 0:0x5400:4=0x1234 0:0x5400:4

# All samples at once: they compose
for sample in hide_sriov lock_eeprom set_ids trace_writes; do
	"$samples/attach" "$samples/$sample.bpf.o"
done
bpftool map update name ids key 0 0 0 0 value 0x86 0x80 0x21 0x15 0 0 2 0
look all caps config:0:4 0:0x10:4 0:0x10:4=0x41 0:0x10:4
nested all
rm "$pins"/{hide_sriov,lock_eeprom,set_ids,trace_writes,writes}

# bpftool, with the fix
{
	"$bpftool" struct_ops register "$samples/lock_eeprom.bpf.o" "$pins"
	"$bpftool" struct_ops list
	"$bpftool" struct_ops dump name lock_eeprom
	look bpftool.with 0:0x10:4=0x41 0:0x10:4
	rm "$pins/lock_eeprom"
	look bpftool.after 0:0x10:4=0x41 0:0x10:4
} >"$folder/bpftool" 2>&1 || echo "status $?" >>"$folder/bpftool"

# The commands of the guide, up to the one that detaches the program. The guest does not have the
# package with the examples.
mkdir -p /run/guide/examples
cp -r "$samples" /run/guide/examples/bpf
rm /run/guide/examples/bpf/{attach,trace_writes,*.o}
cp "$folder/../guide/lock.bpf.c" /run/guide/examples/bpf/
back=$PWD
cd /run/guide
while read -r command; do
	[[ "$command" != rm* ]] || break
	command=${command//0000:01:00.0/${igb[0]}}
	command=${command/\/usr\/share\/doc\/vfio-pci-regops-dev/\/run\/guide}
	# Debian's clang has no short name in the root
	eval "${command/#make/make CLANG=clang-19}" >>"$folder/guide.log" 2>&1 || echo "failed: $command" >>"$folder/guide.log"
done <"$folder/../guide/commands"
cd "$back"
look guide.with 0:0x10:4=0x41 0:0x10:4 regions
eval "$command"

# A required driver
scripts/guest/bind.sh all none
rmmod vfio_pci
rmmod vfio_pci_bpf vfio_pci_core
lsmod >"$folder/unloaded"
modprobe vfio-pci-core require_vendor_driver=8086:10c9=lock_eeprom
modprobe vfio-pci-bpf
scripts/guest/bind.sh "${igb[0]}" vfio-pci
dmesg -C
{
	scripts/guest/while-open.py "${igb[0]}" || true
	"$samples/attach" "$samples/lock_eeprom.bpf.o" >/dev/null && echo attached
	scripts/guest/while-open.py "${igb[0]}"
	rm "$pins/lock_eeprom" && echo detached
	scripts/guest/while-open.py "${igb[0]}" || true
} >"$folder/required" 2>&1
dmesg >"$folder/required.dmesg"
