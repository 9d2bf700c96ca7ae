#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# userspace-drivers.sh TESTPMD FOLDER: in the guest, run DPDK and QEMU's NVMe
# driver on the first two igb devices and the first nvme device of VM_DEVICES.
# With our modules, run them again with overridden registers. Writes to FOLDER,
# for each run NAME, what the program prints (NAME.log) and its status
# (NAME.status); of DPDK also the files that it has open (NAME.files), what it
# maps of the devices (NAME.maps) and the region table of the first device
# (NAME.regions). The nvme device gets what FOLDER/image holds.

set -euo pipefail

testpmd=$1
folder=$2

# devices TYPE: the addresses of the devices of this type
devices()
{
	tr ' ' '\n' <<<"$VM_DEVICES" | sed -n "s/=$1\$//p"
}

mapfile -t igb < <(devices igb)
nvme=nvme://$(devices nvme)/1

# note NAME COMMAND...: run it, keep output and status.
note()
{
	local status=0

	timeout 200 "${@:2}" >"$folder/$1.log" 2>&1 || status=$?
	echo "$status" >"$folder/$1.status"
	echo "$MODULES $1: status $status, up $(cut -d. -f1 /proc/uptime) s"
}

# look NAME: what the process that has a vfio device open holds of it
look()
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

# pmd ARGUMENT...: one processor forwards, the other takes commands.
pmd()
{
	stdbuf -oL "$testpmd" -l 0,1 --in-memory -a "${igb[0]}" -a "${igb[1]}" -- --total-num-mbufs=4096 "$@"
}

# prints FILE NUMBER PATTERN: wait until the file has so many such lines.
prints()
{
	for _ in {1..300}; do
		[ "$(grep -c "$3" "$1")" -lt "$2" ] || return 0
		sleep 0.2
	done
}

# forward NAME: packets that the ports exchange go round until they are told to
# stop. A link that comes up late loses all of them, and a busy machine forwards
# few: then once more, for longer.
forward()
{
	local log=$folder/$1.log try

	{
		prints "$log" 1 'testpmd> '
		for try in {1..6}; do
			printf '%s\n' 'clear port stats all' 'start tx_first'
			sleep "$((2 * try))"
			look "$1"
			printf '%s\n' stop 'show port stats all'
			prints "$log" "$((2 * try))" TX-errors:
			[ "$(grep 'RX-packets:.*RX-missed:' "$log" | tail -n 2 | awk '$2 >= 1000' | wc -l)" -lt 2 ] || break
		done
		echo quit
	} | pmd -i
}

# Each command opens the device anew.
blocks()
{
	qemu-img convert -n -f raw -O raw "$folder/image" "$nvme"
	qemu-img compare -f raw -F raw "$folder/image" "$nvme"
	qemu-io -f raw -c 'write -P 0x5a 1M 1M' -c 'write -z 4M 64k' -c 'read -P 0x5a 1M 1M' -c 'read -P 0 4M 64k' "$nvme"
	qemu-io -f raw -c 'read -P 0x5a 1M 1M' -c 'read -P 0 4M 64k' "$nvme"
	# 16 requests at a time
	qemu-img bench -f raw -c 2000 -d 16 -s 4096 -o 8M -w --pattern=60 "$nvme"
	qemu-io -f raw -c 'read -P 60 8M 8000k' "$nvme"
}

# timeout needs a program to run
case "${3-}" in
forward) forward "$4"; exit ;;
pmd) pmd; exit ;;
blocks) set -x; blocks; exit ;;
esac

# run NAME FUNCTION
run()
{
	note "$1" "$0" "$testpmd" "$folder" "$2" "$1"
}

echo 64 >/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages
scripts/guest/bind.sh all vfio-pci
run forward forward
run nvme blocks
lsmod | cut -d ' ' -f 1 >"$folder/modules"

[ "$MODULES" = ours ] || exit 0
modprobe vfio_pci_torture ids=8086:10c9,1b36:0010
overrides=/sys/module/vfio_pci_torture/parameters/setup

# The last page of BAR0, which neither driver uses
echo 'range 0 0x1f000 4' >$overrides
run forward-beside forward
# The device status register of igb, the controller configuration register of nvme
echo 'range 0 0x8 4' >$overrides
dmesg -C
run forward-override pmd
dmesg >"$folder/forward-override.dmesg"
echo 'range 0 0x14 4' >$overrides
note nvme-override qemu-io -f raw -c 'read 0 4k' "$nvme"
echo >$overrides
run forward-again forward
note nvme-again qemu-io -f raw -c 'read -P 0x5a 1M 1M' "$nvme"
