#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# vendor.sh: vendor drivers of vfio_pci_testdrv override regions, and userspace cannot
# bypass the overrides. The suite kselftest runs the same programs on edu and igb with the
# release kernel. This suite runs them on other devices and on the debug kernel, which
# must report no bug. On the debug kernel, operations run concurrently for SECONDS_RACE
# seconds with the random seed SEED.

# shellcheck disable=SC2034 # test.sh reads it
SUITE_SECONDS=600

. "$(dirname "$0")/../lib.sh"

suite=vendor
. "$SCRIPTS/selftest-vms.sh"

vms=(
	[devices]='release igb=igb testdev=pci-testdev vga=VGA nvme=nvme e1000e=e1000e large=pci-testdev,membar=8G port=port/igb'
	[traced]='release edu=edu'
	# Only the stock kernel has memory cgroups
	[stock]='stock edu=edu'
	[user]='release caps=user:caps long=user:long_cap'
	[debug]="debug igb=igb edu=edu other=edu port=port/edu spare=port/edu testdev=pci-testdev sibling=port/igb"
	[races]='debug port=port/edu'
	[user-debug]='debug caps=user:caps long=user:long_cap'
)
# shellcheck disable=SC2016,SC2034 # $ is for the shell in the guest
runs='
devices	vfio_pci_vendor_override	0	-v iommufd $igb
devices	vfio_pci_vendor_override	0	-t whole_region_override_gets_all_accesses -t rom_can_be_replaced_or_shrunk -t override_without_operations_changes_nothing -t range_handler_gets_only_its_bytes $testdev
devices	vfio_pci_vendor_override	0	-t whole_region_override_gets_all_accesses -t override_without_operations_changes_nothing -t range_handler_gets_only_its_bytes $vga
devices	vfio_pci_vendor_rules		6	-v vfio_type1v2_iommu -v iommufd $igb
devices	vfio_pci_vendor_rules		3	-t vmms_map_no_msix_table_and_no_range -t no_msix_mappable_without_msix -v iommufd $nvme
devices	vfio_pci_vendor_rules		2	-v iommufd $e1000e
devices	vfio_pci_vendor_rules		0	-t rom_is_patched_by_a_range $vga
devices	vfio_pci_vendor_rules		0	-t mmap_areas_are_limited $large
devices	vfio_pci_vendor_debugfs		0	-T is_empty_or_complete_during_open_and_close -v iommufd $igb
devices	vfio_pci_vendor_debugfs		0	-T is_empty_or_complete_during_open_and_close -v iommufd $vga
devices	vfio_pci_vendor_sibling		0	$port
traced	vfio_pci_vendor_bypass		1	-v iommufd $edu
stock	vfio_pci_vendor_rules		3	-v vfio_type1v2_iommu $edu
user	vfio_pci_vendor_caps		7	$caps
user	vfio_pci_vendor_caps		12	$long
debug	vfio_pci_vendor_lifecycle	1	-v iommufd -t unplugged_device_works_until_it_is_closed $edu $other $port $spare
debug	vfio_pci_vendor_sriov		0	-v iommufd $igb
debug	vfio_pci_vendor_bypass		0	-v iommufd $port
debug	vfio_pci_vendor_override	1	-v iommufd $port
debug	vfio_pci_vendor_override	0	-t whole_region_override_gets_all_accesses -t rom_can_be_replaced_or_shrunk -t override_without_operations_changes_nothing -t range_handler_gets_only_its_bytes $testdev
debug	vfio_pci_vendor_rules		4	-v iommufd $port
debug	vfio_pci_vendor_rules		3	-v iommufd $igb
debug	vfio_pci_vendor_debugfs		0	-T is_empty_or_complete_during_open_and_close -v iommufd $edu
debug	vfio_pci_vendor_tracing		0	-T only_enabled_tracepoints_print_events -T each_field_filters_events -v iommufd $edu
debug	vfio_pci_vendor_resets		0	-v iommufd $igb
debug	vfio_pci_vendor_sibling		0	-v iommufd $sibling
debug	vfio_pci_vendor_caps		7	$igb
debug	vfio_pci_vendor_dma		0	-v iommufd -f dma_type1 -f dma_attach $edu
user-debug	vfio_pci_vendor_caps	7	$caps
user-debug	vfio_pci_vendor_caps	12	$long
'
runs+="races	vfio_pci_vendor_races		0	-r ${SEED:-1} -s ${SECONDS_RACE:-50} \$port"

# The module counts its own accesses until it is unloaded
before_traced()
{
	echo 'modprobe vfio_pci_testdrv ids=1234:11e8'
}

after_traced()
{
	# shellcheck disable=SC2016 # for the shell in the guest
	echo 'cat /sys/module/vfio_pci_testdrv/parameters/approved >$out/approved'
}

# guarded: print the accesses in QEMU's trace that touch registers of edu guarded by
# bypass: 4 to 7, 0x2ffc to 0x3003 and 0x6010 to 0x6013. The trace has all accesses, by
# userspace and by the module.
guarded()
{
	grep " name 'edu-mmio'" | sed -E -n \
		's/.*memory_region_ops_(read|write) cpu [-0-9]+ mr 0x[0-9a-f]+ addr 0x[0-9a-f]*([0-9a-f]{5}) value (0x[0-9a-f]+) size ([0-9]+) .*/\2 \4 \1 \3/p' |
		while read -r offset size what; do
			first=$((16#$offset)) last=$((16#$offset + size - 1))
			if ((first <= 7 && last >= 4)) || ((first <= 0x3003 && last >= 0x2ffc)) ||
				((first <= 0x6013 && last >= 0x6010)); then
				echo "0x$offset $size $what"
			fi
		done
}

check_traced()
{
	local status=0 approved seen trace

	# If QEMU did not start, the reader still waits for it
	exec {trace}<>"$folder/trace"
	exec {trace}>&-
	wait "$reader"
	approved=$(cat "$folder/traced/approved")
	seen=$(wc -l <"$folder/accesses")
	[ "$seen" -eq "$approved" ] && [ "$approved" -gt 0 ] || status=1
	head -n 20 "$folder/accesses" >"$folder/why"
	result "$status" "traced: only the vendor driver accesses guarded registers ($seen accesses, $approved by the driver)" "$folder/why"
}

mkfifo "$folder/trace"
if selected traced; then
	guarded <"$folder/trace" >"$folder/accesses" &
	reader=$!
fi
qemu[traced]="-trace memory_region_ops_read -trace memory_region_ops_write -D /repo/out/$suite/trace"
test_in_vms debug races devices traced user-debug user stock
totals
