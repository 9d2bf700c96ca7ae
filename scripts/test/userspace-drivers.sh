#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# userspace-drivers.sh: unchanged userspace drivers on vfio-pci. Without overrides they
# work as with stock modules: DPDK's testpmd forwards packets between two igb devices,
# and qemu-img and qemu-io read and write an nvme device. With overrides, the documented
# limits hold:
# - DPDK does not map the page of an overridden register. testpmd crashes if its driver
#   uses that page, and works otherwise.
# - QEMU's NVMe driver always maps the first page of BAR0. It fails if that page has an
#   overridden register.

# shellcheck disable=SC2034 # test.sh reads it
SUITE_SECONDS=80

. "$(dirname "$0")/../lib.sh"
. "$SCRIPTS/result.sh"

kernel=${KERNEL:-release}
for modules in ours stock; do
	"$SCRIPTS/modules.sh" "$kernel" "$modules" >/dev/null
done
testpmd=$("$SCRIPTS/dpdk.sh")
"$SCRIPTS/root.sh" --add qemu-utils >/dev/null
folder=$OUT/userspace-drivers
rm -rf "$folder"

# ended RUN STATUS NAME: check the status of a program.
ended()
{
	local status=0

	[ "$(cat "$folder/$1.status" 2>/dev/null)" = "$2" ] || status=1
	tail -n 15 "$folder/$1.status" "$folder/$1.log" >"$folder/why" 2>&1 || true
	result "$status" "$1: $3" "$folder/why"
}

# forwards RUN: check the counters of the devices.
forwards()
{
	local log=$folder/$1.log port status=0 rx tx other

	ended "$1" 0 "testpmd exits without an error"
	# Take the last statistics
	awk '/NIC statistics for port 0/ { text = "" }
		/NIC statistics for port/ { port = $6 }
		/^ *#####*$/ { port = "" }
		/^  [RT]X-.*:/ && port != "" { for (i = 1; i < NF; i += 2) text = text port " " $i " " $(i + 1) "\n" }
		END { printf "%s", text }' \
		"$log" >"$folder/$1.stats"
	awk '$2 ~ /^[RT]X-packets:$/ && $3 >= 1000 { print $1, $2 }' "$folder/$1.stats" | sort |
		diff <(printf '%s\n' '0 RX-packets:' '0 TX-packets:' '1 RX-packets:' '1 TX-packets:') - >/dev/null || status=1
	result "$status" "$1: both ports receive and send packets ($(
		awk '$2 ~ /^[RT]X-packets:$/ { printf "%sport %s %s %s", sep, $1, $2, $3; sep = ", " }' "$folder/$1.stats"))" \
		"$folder/$1.stats"
	# Some packets are in transit at the end.
	status=0
	for port in 0 1; do
		other=$((1 - port))
		rx=$(awk -v port="$port" '$1 == port && $2 == "RX-packets:" { print $3 }' "$folder/$1.stats")
		tx=$(awk -v port="$other" '$1 == port && $2 == "TX-packets:" { print $3 }' "$folder/$1.stats")
		[ "$((rx))" -gt 0 ] && [ "$((rx))" -le "$((tx))" ] && [ "$((tx - rx))" -le 64 ] || status=1
	done
	result "$status" "$1: each port receives the packets of the other one" "$folder/$1.stats"
	status=0
	[ "$(awk '$2 ~ /errors|missed|nombuf/ && $3 == 0' "$folder/$1.stats" | wc -l)" -eq 8 ] || status=1
	result "$status" "$1: the counters show no lost packet and no error" "$folder/$1.stats"
}

for modules in ours stock; do
	mkdir -p "$folder/$modules"
	head -c 16M /dev/urandom >"$folder/$modules/image"
	truncate -s 16M "$folder/$modules/disk"
	# VFs of igb use the slots 16 and 17 above its own. Keep a slot between the two igb
	# devices, so that their VFs do not collide.
	status=0
	KERNEL=$kernel MODULES=$modules NAME=userspace-drivers-$modules TIMEOUT=${TIMEOUT:-400} \
		DEVICES='igb,netdev=port0 nvme,drive=disk,serial=disk igb,netdev=port1' \
		QEMU="-netdev hubport,id=port0,hubid=0 -netdev hubport,id=port1,hubid=0
			-blockdev driver=file,node-name=disk,filename=/repo/out/userspace-drivers/$modules/disk" \
		"$SCRIPTS/vm.sh" "scripts/guest/userspace-drivers.sh $testpmd out/userspace-drivers/$modules" \
		</dev/null >"$folder/$modules/log" 2>&1 || status=$?
	result "$status" "$modules: the VM succeeds" "$folder/$modules/log"

	forwards "$modules/forward"
	has "$modules/forward.log" 'Using IOMMU type 1 [(]Type 1[)]' "$modules/forward: DPDK uses the IOMMU"
	status=0
	sed 's,^/dev/vfio/[0-9]*$,/dev/vfio/GROUP,' "$folder/$modules/forward.files" | uniq -c | awk '{ print $1, $2 }' |
		diff - <(printf '%s\n' '2 /dev/vfio/GROUP' '1 /dev/vfio/vfio' '2 anon_inode:[vfio-device]') >"$folder/why" || status=1
	! grep -q uio "$folder/$modules/modules" || status=1
	result "$status" "$modules/forward: testpmd opens the devices only by vfio" "$folder/why"

	ended "$modules/nvme" 0 "qemu-img and qemu-io write and read the device, also after a reopen"
	# The expected content of the disk
	status=0
	{
		head -c 1M "$folder/$modules/image"
		head -c 1M /dev/zero | tr '\0' '\132'
		head -c 4M "$folder/$modules/image" | tail -c 2M
		head -c 64K /dev/zero
		head -c 8M "$folder/$modules/image" | tail -c +$((4160 * 1024 + 1))
		head -c 8000K /dev/zero | tr '\0' '\74'
		tail -c $((192 * 1024)) "$folder/$modules/image"
	} | cmp - "$folder/$modules/disk" >"$folder/why" 2>&1 || status=1
	result "$status" "$modules/nvme: the disk has the written data" "$folder/why"
done

# Addresses vary: compare sizes, permissions, offsets and files.
status=0
for modules in ours stock; do
	sed -E 's/^([0-9a-f]+)-([0-9a-f]+) (\S+) (\S+) .* /0x\1 0x\2 \3 \4 /' "$folder/$modules/forward.maps" |
		while read -r from to access at file; do
			echo "$((to - from)) $access $at $file"
		done >"$folder/$modules/mapped"
done
[ -s "$folder/ours/mapped" ] && diff "$folder/stock/mapped" "$folder/ours/mapped" >"$folder/why" || status=1
result "$status" "testpmd has the same mappings with our modules as with stock" "$folder/why"

forwards ours/forward-beside
has ours/forward-beside.regions 'maps 0x0-0x1efff' "ours/forward-beside: only the page of the overridden register cannot be mapped"
ended ours/forward-override 139 "testpmd crashes when it accesses the page of an overridden register"
has ours/forward-override.dmesg 'in librte_net_e1000[.]so' "ours/forward-override: DPDK's driver caused the fault"
ended ours/nvme-override 1 "qemu-io does not start if a register in the first page of BAR0 is overridden"
has ours/nvme-override.log 'Failed to map BAR region: Invalid argument' "ours/nvme-override: qemu-io reports that it cannot map the page"
forwards ours/forward-again
ended ours/nvme-again 0 "the device works again after the override is removed"
totals
