#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# igd.sh: userspace sees no difference between vfio_pci_igd and stock's support for Intel
# graphics. A server emulates graphics devices with valid and invalid OpRegions. With our
# modules and with stock modules that have the fixes of the first series, userspace must
# see the same bytes and errors. Also test vfio_pci_igd together with a second vendor driver. On the
# debug kernel, fail each allocation of an open in turn. KERNEL selects one kernel; the
# default is both. Results are in out/igd.

# shellcheck disable=SC2034 # test.sh reads it
SUITE_SECONDS=330

. "$(dirname "$0")/../lib.sh"
. "$SCRIPTS/result.sh"
. "$SCRIPTS/side-by-side.sh"
OTHER=fixes

read -r -a kernels <<<"${KERNEL:-release debug}"
userspace=$("$SCRIPTS/userspace.sh")
folder=$OUT/igd
rm -rf "$folder"
mkdir -p "$folder"/{fixes,ours,debug}
mapfile -t regions < <("$SCRIPTS/in-root.sh" python3 programs/vfio_user/opregions.py out/igd)
[ ${#regions[@]} -gt 0 ] || die "programs/vfio_user/opregions.py wrote no OpRegions"

# in_vm MODULES DEVICES COMMAND: run a command in a VM with the OpRegions in reserved
# memory.
in_vm()
{
	MODULES=$1 DEVICES=$2 NAME=igd-$KERNEL-$1 MEM=1G TIMEOUT=${TIMEOUT:-3600} APPEND="memmap=2M\$0x30000000" \
		QEMU="-device loader,file=/repo/out/igd/opregions,addr=0x30000000,force-raw=on" \
		"$SCRIPTS/vm.sh" "$3"
}

# transcripts MODULES: write the transcripts of all devices.
transcripts()
{
	in_vm "$1" "$(printf 'user:out/igd/%s.json ' "${regions[@]% *}")" \
		"scripts/guest/igd.sh $userspace/vfio_pci_region_diff /repo/out/igd/$1 $(printf '%s ' "${regions[@]/ /:}")"
}

# cases FILE: print the number of cases; fail if the program failed.
cases()
{
	[ "$(cat "$1.status" 2>/dev/null)" = 0 ] || return 1
	sed -n '$s/ cases$//p' "$1.txt"
}

# equal NAME A B LEAST: check that two transcripts are equal and have LEAST cases.
equal()
{
	local a=$folder/$2 b=$folder/$3 status=0 n=0

	cmp "$a.txt" "$b.txt" >"$folder/why" 2>&1 || status=1
	diff --speed-large-files -U 2 "$a.txt" "$b.txt" 2>/dev/null | head -n 20 >>"$folder/why" || true
	if ! n=$(cases "$a") || ! cases "$b" >/dev/null; then
		status=1
		echo "a program failed; see out/igd/*.log" >>"$folder/why"
	elif [ "${n:-0}" -lt "$4" ]; then
		status=1
		echo "only ${n:-0} cases" >>"$folder/why"
	fi
	result "$status" "$1 (${n:-0} cases equal)" "$folder/why"
	total=$((total + ${n:-0}))
}

total=0
if [[ " ${kernels[*]} " == *" release "* ]]; then
	export KERNEL=release
	side_by_side transcripts "$folder"

	# Check that the devices show the intended cases
	has fixes/vbt20.iommufd.txt '^added:   argsz [0-9]+ flags 0x9 index 0x9 cap 32 size 0x3c01 ' "an OpRegion of 8 KB and an extended VBT are one region"
	has fixes/large.iommufd.txt '^added:   argsz [0-9]+ flags 0x9 index 0x9 cap 32 size 0x2000 ' "an OpRegion of 16 KB is a region of 8 KB"
	has fixes/empty.iommufd.txt '^added:   argsz [0-9]+ flags 0x9 index 0x9 cap 32 size 0x2000 ' "an OpRegion of 4 GB is a region of 8 KB"
	has fixes/leaks.iommufd.txt '^added:   argsz [0-9]+ flags 0x9 index 0x9 cap 32 size 0x3c01 ' "an OpRegion of 16 KB does not move its VBT"
	has fixes/vbt21.iommufd.txt '^added:     type 0x80008086 subtype 0x3' "a device has a region for the LPC bridge"
	has_not fixes/none.iommufd.txt '^added:     type 0x8' "a device without an OpRegion has no added region"
	has_not fixes/no-lpc.iommufd.txt '^added:     type 0x80008086 subtype 0x3' "without the LPC bridge, its region is missing"
	has fixes/unsigned.iommufd.txt '^open = EINVAL|: open = EINVAL' "a bad signature fails the open"

	for region in "${regions[@]}"; do
		name=${region% *} least=700
		if [ "${region#* }" = fails ]; then
			equal "igd: $name, type1" {fixes,ours}"/$name.vfio_type1v2_iommu" 1
			least=1
		fi
		equal "igd: $name" {fixes,ours}"/$name.iommufd" "$least"
	done
	equal "igd: all stages on one device" {fixes,ours}/all.iommufd 50000
	equal "igd: one device with type1" {fixes,ours}"/${regions[0]% *}.vfio_type1v2_iommu" 2000
	equal "igd: without the LPC bridge" {fixes,ours}/no-lpc.iommufd 2000
	equal "igd: without both bridges" {fixes,ours}/no-host.iommufd 2000

	has ours/bound '^vfio_pci_igd ' "binding a device loads the module"
	has_not fixes/bound '^vfio_pci_igd ' "stock with the fixes has no such module"
	has ours/pinned 'vfio_pci_igd is in use' "while the device is bound, the module cannot be unloaded"
	has_not ours/unloaded '^vfio_pci_igd ' "after unbind, the module can be unloaded"
	has ours/hint 'OpRegion .* without the module vfio-pci-igd' "without the module, the log names it"
	equal "igd: the module is loaded after bind" ours/{alone,late}.iommufd 2000
	has_not ours/without.iommufd.txt '^added:     type 0x8' "without the module, the device opens without its regions"
	equal "igd: the load order of two vendor drivers makes no difference" ours/igd-{first,last}.iommufd 2000
	equal "igd: the load order of two vendor drivers does not change reads" ours/igd-{first,last}-read.iommufd 500
	equal "igd: unloading the second vendor driver restores the device" ours/{alone,again}.iommufd 2000
	has ours/igd-first.regions '^12 ffff:1 ' "the region of the second vendor driver has the last index"
	has ours/igd-last.regions '^  vfio_pci_testdrv 0x1008-0x100f ' "debugfs shows the range of vfio_pci_testdrv"
	has ours/igd-last.regions '^  vfio_pci_igd 0xfc-0xff ' "debugfs shows the range of vfio_pci_igd: the address of the OpRegion"
	cmp "$folder"/ours/igd-{first,last}.regions >"$folder/why" 2>&1 && status=0 || status=1
	result "$status" "debugfs does not depend on the load order" "$folder/why"
	echo "# $total cases equal"
fi

# failures MODULES: fail each allocation of an open in turn. With our modules, also
# write the transcripts of two large OpRegions.
failures()
{
	in_vm "$1" "user:out/igd/vbt20.json user:out/igd/far21.json user:out/igd/large.json" "
		# An enabled device skips interrupt routing by ACPI, which takes most of an open
		echo 1 >/sys/bus/pci/devices/0000:00:02.0/enable
		scripts/guest/bind.sh all vfio-pci
		$userspace/vfio_pci_vendor_display 0000:00:02.0 >out/igd/debug/$1.tap 2>&1
		[ $1 = ours ] || exit 0
		$userspace/vfio_pci_region_diff --iommu iommufd --stage added 0000:00:03.0 >out/igd/debug/far21
		$userspace/vfio_pci_region_diff --iommu iommufd --stage added 0000:00:04.0 >out/igd/debug/large
		scripts/guest/bind.sh all none
		rmmod vfio_pci_igd"
}

if [[ " ${kernels[*]} " == *" debug "* ]]; then
	export KERNEL=debug
	side_by_side failures "$folder/debug"
	for modules in fixes ours; do
		tap=$folder/debug/$modules.tap
		read -r p f s < <(counts "$tap")
		[ "$f" -eq 0 ] && [ "$s" -eq 0 ] && [ "$p" -eq 2 ] && status=0 || status=1
		result "$status" "debug, $modules: if an allocation fails, the device opens with all regions or not at all" "$tap"
		grep -h ' allocations' "$tap" | sed 's/.*:open_fails_or_is_complete_if_an_allocation_fails:/# /' || true
	done
	for name in far21 large; do
		[[ " ${kernels[*]} " == *" release "* ]] || continue
		cmp "$folder/debug/$name" "$folder/ours/$name.iommufd.txt" >"$folder/why" 2>&1 && status=0 || status=1
		result "$status" "debug: the transcript of $name equals that on the release kernel" "$folder/why"
	done
fi
totals
