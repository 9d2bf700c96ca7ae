#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# userspace-drivers.sh TESTPMD FOLDER: in the guest, run DPDK on the first two igb
# devices of VM_DEVICES, and QEMU's NVMe driver on the first nvme device. With our
# modules, run both again with overridden registers. The NVMe runs write FOLDER/image
# to the device. Write to FOLDER for each run NAME:
#
#     NAME.log, NAME.status  output and status of the program
#     NAME.files, NAME.maps  vfio files and mappings of DPDK
#     NAME.regions           the region table of the first igb device

set -euo pipefail

testpmd=$1
folder=$2

# devices TYPE: print the addresses of all devices of a type.
devices()
{
	tr ' ' '\n' <<<"$VM_DEVICES" | sed -n "s/=$1\$//p"
}

mapfile -t igb < <(devices igb)
nvme=nvme://$(devices nvme)/1

# record NAME COMMAND...: run a command and keep its output and status.
record()
{
	local status=0

	timeout 200 "${@:2}" >"$folder/$1.log" 2>&1 || status=$?
	echo "$status" >"$folder/$1.status"
	echo "$MODULES $1: status $status, up $(cut -d. -f1 /proc/uptime) s"
}

# inspect NAME: record files and mappings of the process that has a vfio device open.
inspect()
{
	local fd dir

	for fd in /proc/[0-9]*/fd/*; do
		[ "$(readlink "$fd")" = 'anon_inode:[vfio-device]' ] || continue
		dir=${fd%/fd/*}
		find "$dir/fd" -type l -printf '%l\n' | grep -E 'vfio|uio|/resource[0-9]' | sort >"$folder/$1.files"
		grep -E 'vfio|uio|/resource[0-9]' "$dir/maps" >"$folder/$1.maps"
		break
	done
	cp "/sys/kernel/debug/vfio/${igb[0]}/pci/regions" "$folder/$1.regions" 2>/dev/null || true
}

# pmd ARGUMENT...: run testpmd; one CPU forwards, the other one takes commands.
pmd()
{
	stdbuf -oL "$testpmd" -l 0,1 --in-memory -a "${igb[0]}" -a "${igb[1]}" -- --total-num-mbufs=4096 "$@"
}

# wait_for_lines FILE NUMBER PATTERN: wait until NUMBER lines match, or 60 s.
wait_for_lines()
{
	for _ in {1..300}; do
		[ "$(grep -c "$3" "$1")" -lt "$2" ] || return 0
		sleep 0.2
	done
}

# forward NAME: forward packets between the ports for some seconds. If a port received
# fewer than 1000 packets, retry for longer: a late link loses all packets, and a busy
# machine forwards few.
forward()
{
	local log=$folder/$1.log try

	{
		wait_for_lines "$log" 1 'testpmd> '
		for try in {1..6}; do
			printf '%s\n' 'clear port stats all' 'start tx_first'
			sleep "$((2 * try))"
			inspect "$1"
			printf '%s\n' stop 'show port stats all'
			wait_for_lines "$log" "$((2 * try))" TX-errors:
			[ "$(grep 'RX-packets:.*RX-missed:' "$log" | tail -n 2 | awk '$2 >= 1000' | wc -l)" -lt 2 ] || break
		done
		echo quit
	} | pmd -i
}

# blocks: write and read the nvme device; each command reopens it.
blocks()
{
	qemu-img convert -n -f raw -O raw "$folder/image" "$nvme"
	qemu-img compare -f raw -F raw "$folder/image" "$nvme"
	qemu-io -f raw -c 'write -P 0x5a 1M 1M' -c 'write -z 4M 64k' -c 'read -P 0x5a 1M 1M' -c 'read -P 0 4M 64k' "$nvme"
	qemu-io -f raw -c 'read -P 0x5a 1M 1M' -c 'read -P 0 4M 64k' "$nvme"
	qemu-img bench -f raw -c 2000 -d 16 -s 4096 -o 8M -w --pattern=60 "$nvme"
	qemu-io -f raw -c 'read -P 60 8M 8000k' "$nvme"
}

# run() calls this script again, because timeout cannot run a function.
case "${3-}" in
forward) forward "$4"; exit ;;
pmd) pmd; exit ;;
blocks) set -x; blocks; exit ;;
esac

# run NAME FUNCTION: record a run of a function of this script.
run()
{
	record "$1" "$0" "$testpmd" "$folder" "$2" "$1"
}

echo 64 >/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages
scripts/guest/bind.sh all vfio-pci
run forward forward
run nvme blocks
lsmod | cut -d ' ' -f 1 >"$folder/modules"

[ "$MODULES" = ours ] || exit 0
modprobe vfio_pci_testdrv ids=8086:10c9,1b36:0010
overrides=/sys/module/vfio_pci_testdrv/parameters/setup

# Override a register in the last page of BAR0, which neither driver uses
echo 'range 0 0x1f000 4' >$overrides
run forward-beside forward
# Override the status register of igb, then the controller configuration of nvme
echo 'range 0 0x8 4' >$overrides
dmesg -C
run forward-override pmd
dmesg >"$folder/forward-override.dmesg"
echo 'range 0 0x14 4' >$overrides
record nvme-override qemu-io -f raw -c 'read 0 4k' "$nvme"
echo >$overrides
run forward-again forward
record nvme-again qemu-io -f raw -c 'read -P 0x5a 1M 1M' "$nvme"
