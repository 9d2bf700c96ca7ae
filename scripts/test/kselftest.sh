#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# kselftest.sh: install the vfio selftests as the kernel does, and run each program by
# run_kselftest.sh in a VM: first without a device, then with one that the program can
# use. In the first run, every program must be skipped with a reason. In the second run, it
# must pass. Programs that need fault injection run on the debug kernel. The suites vendor,
# migration and mdev run the programs on other devices, and more of them on the debug
# kernel.

# shellcheck disable=SC2034 # test.sh reads it
SUITE_SECONDS=600

. "$(dirname "$0")/../lib.sh"

suite=kselftest
. "$SCRIPTS/selftest-vms.sh"

installed=$programs/kselftest
vms[release]='release port=port/edu edu=edu other=edu victim=port/edu,id=victim spare=port/edu second=port/edu
	igb=port/igb faulty=port/virtio-rng-pci,id=faulty,aer=on,disable-legacy=on'
vms[debug]='debug edu=edu port=port/edu'
# Two edu devices behind a bridge, in one IOMMU group
qemu[release]='-device pcie-pci-bridge,id=bridge,bus=pcie.0,addr=0x10 -device edu,bus=bridge,addr=1 -device edu,bus=bridge,addr=2'

# PROGRAM, SKIPPED and ARGUMENTS, see selftest-vms.sh. Programs without a line use the
# device in VFIO_SELFTESTS_BDF and skip no test. Programs that hardly depend on the IOMMU
# run in few modes.
# shellcheck disable=SC2016 # for the shell in the guest
arguments='
vfio_dma_mapping_test		0	-v iommufd -v vfio_type1v2_iommu
vfio_dma_mapping_mmio_test	0	-v iommufd -v vfio_type1v2_iommu
vfio_pci_device_test		1
vfio_pci_driver_test		0	-v iommufd $igb
vfio_pci_sriov_uapi_test	0	-v iommufd_null_uuid $igb
vfio_pci_vendor_caps		7	$igb
vfio_pci_vendor_debugfs		0	-v vfio_type1v2_iommu -v iommufd
vfio_pci_vendor_device_alias	0	$igb
vfio_pci_vendor_errors		0	$faulty
vfio_pci_vendor_fail_nth	0	$edu
vfio_pci_vendor_lifecycle	1	-v vfio_type1v2_iommu -v iommufd -t unplugged_device_works_until_it_is_closed -t drivers_attach_only_to_matching_ids $edu $other $port $spare
vfio_pci_vendor_override	2	-v vfio_type1v2_iommu -v iommufd
vfio_pci_vendor_resets		0	-v vfio_type1v2_iommu -v iommufd $igb
vfio_pci_vendor_races		0	-s 30
vfio_pci_vendor_rules		8	-v vfio_type1v2_iommu -v iommufd
vfio_pci_vendor_sibling		0	-v iommufd $igb
vfio_pci_vendor_sriov		0	-v vfio_type1v2_iommu -v iommufd $igb
vfio_pci_vendor_tracing		0	-t drivers_open_in_order_and_close_in_reverse -t each_read_and_write_is_one_event -t each_mmap_is_one_event -t each_ioeventfd_is_one_event -t failed_open_closes_only_opened_drivers -t failed_override_is_one_event -v iommufd
vfio_pci_migration_data		0	-v vfio_type1v2_iommu -v iommufd $port $second
vfio_pci_migration_edu_test	0	-v iommufd $edu $port
vfio_pci_migration_fail_nth	0	$port
vfio_pci_migration_feature	0	-v vfio_type1v2_iommu -v iommufd
vfio_pci_migration_fuzz		0	-v iommufd
vfio_pci_migration_id_mismatch	0	$port $igb
vfio_pci_migration_races	0	-v iommufd
vfio_pci_migration_region	0	-v vfio_type1v2_iommu -v iommufd $port $second
vfio_pci_migration_stream	0	-v iommufd
vfio_mdev_pci_device		4
vfio_mdev_pci_errors		0	$faulty
vfio_mdev_pci_fail_nth		0	$edu
vfio_mdev_pci_lifecycle		0	$edu $victim $igb $shared'

# Programs that need fault injection. The suite igd runs vfio_pci_vendor_display, which
# needs a graphics device. The suite nvgrace runs vfio_pci_vendor_devmem, which needs device
# memory. The suite igbvf runs vfio_pci_migration_igbvf_test, which needs a network.
debug=(vfio_pci_vendor_fail_nth vfio_pci_migration_fail_nth vfio_mdev_pci_fail_nth)
cannot_run='vfio_pci_vendor_devmem vfio_pci_vendor_display vfio_pci_migration_igbvf_test'

# in_guest VM: print the commands for the guest. In the release VM, run_kselftest.sh runs all
# programs twice, first without a device. In the debug VM, it runs the programs that need
# fault injection.
in_guest()
{
	local program options

	guest_helpers "$1"
	echo "cd $installed"
	if [ "$1" = release ]; then
		cat <<-'END'
		echo "run none"
		env -u VFIO_SELFTESTS_EVENTS ./run_kselftest.sh -o 900
		shared=$(basename /sys/bus/pci/devices/0000:00:10.0/0000:*:01.0)
		echo 64 >/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages
		echo always >/sys/kernel/mm/transparent_hugepage/shmem_enabled
		modprobe vfio-pci enable_sriov=1
		bash vfio/setup.sh $port $edu $other $victim $spare $second $igb $faulty $shared ${shared%1.0}2.0
		END
	else
		# Make opens and binds fast: an enabled device skips interrupt routing by
		# ACPI. The kernel runs a stub instead of modprobe, the tests a copy.
		cat <<-'END'
		modprobe vfio-pci
		for bdf in $edu $port; do echo 1 >/sys/bus/pci/devices/$bdf/enable; done
		bash vfio/setup.sh $edu $port
		mount -t tmpfs local /usr/local/sbin
		cp /sbin/modprobe /usr/local/sbin/kmod
		for name in modprobe rmmod lsmod; do ln -s kmod /usr/local/sbin/$name; done
		mount --bind /bin/true "$(readlink -f /sbin/modprobe)"
		END
	fi
	while IFS=$'\t' read -r program _ options; do
		[ -z "$program" ] || echo "arguments+=(\"KSELFTEST_${program^^}_ARGS=$options\")"
	done <<<"$arguments"
	cat <<-END
	echo "run device"
	env "\${arguments[@]}" VFIO_SELFTESTS_BDF=\$port ./run_kselftest.sh -o 900 $(
		[ "$1" = release ] || printf -- '-t vfio:%s ' "${debug[@]}")
	status=\$?
	lsmod | sed 's/^/module /'
	exit \$status
	END
}

# results VM RUN: print "PROGRAM STATUS PASSED SKIPPED REASON" for each program of a run.
# STATUS is passed, failed or skipped; PASSED and SKIPPED are numbers of its tests.
results()
{
	sed -n "/^run $2\$/,/^run /p" "$folder/$1/log" | awk '
		/^# selftests: vfio: / { passed = skipped = 0; reason = "no reason" }
		/^# 1\.\.0 # SKIP / { reason = $0; sub(/.*# SKIP /, "", reason) }
		/^# Unable to determine/ { reason = substr($0, 3) }
		/^# ok / { if (/# SKIP/) skipped++; else passed++ }
		match($0, /^(not )?ok [0-9]+ selftests: vfio: /) {
			split(substr($0, RLENGTH + 1), name, " ")
			status = $1 == "not" ? "failed" : /# SKIP/ ? "skipped" : "passed"
			print name[1], status, passed, skipped, reason
		}'
}

# section VM RUN PROGRAM: print the output of a program.
section()
{
	sed -n "/^run $2\$/,/^run /p" "$folder/$1/log" |
		sed -n "/^# selftests: vfio: $3\$/,/ selftests: vfio: $3\( #.*\)*\$/{/^# selftests/!p}" >"$folder/section"
	why "$folder/section"
}

for vm in release debug; do
	"$SCRIPTS/modules.sh" "$vm" ours >/dev/null
done
in_parallel "$folder" run_vm release debug

mapfile -t all < <(sed 's/.*://' "$CACHE/${installed#/cache/}/kselftest-list.txt")
results release none >"$folder/none"
results release device >"$folder/device-release"
results debug device >"$folder/device-debug"
status=0
[ "$(grep -c ' skipped 0 0 ' "$folder/none")" = ${#all[@]} ] && ! grep -q 'no reason' "$folder/none" || status=1
grep -v ' skipped 0 0 ' "$folder/none" >"$folder/why" || grep 'no reason' "$folder/none" >"$folder/why" || true
result "$status" "without a device, all ${#all[@]} programs are skipped with a reason" "$folder/why"

for program in "${all[@]}"; do
	expected=$(sed -n "s/^$program\t\+\([0-9]*\).*/\1/p" <<<"$arguments")
	vm=release
	[[ " ${debug[*]} " != *" $program "* ]] || vm=debug
	read -r _ outcome count skips reason < <(grep "^$program " "$folder/device-$vm") || outcome=missing
	section "$vm" device "$program" >"$folder/why" || true
	case $outcome in
	passed)
		status=0
		[ "$count" -gt 0 ] && [ "$skips" -eq "${expected:-0}" ] || status=1
		result "$status" "$program ($count passed, $skips skipped)" "$folder/why"
		;;
	skipped)
		if [[ " $cannot_run " == *" $program "* ]]; then
			skip "$program" "$reason"
		else
			result 1 "$program is skipped: $reason" "$folder/why"
		fi
		;;
	*) result 1 "$program" "$folder/why" ;;
	esac
	grep -h -E '^# # .* allocations' "$folder/section" | sed 's/.*# /# /' || true
done
status=0
! grep -h -E '^module (vfio_pci_testdrv|vfio_pci_edu|vfio_mdev_pci)' "$folder"/{release,debug}/log >"$folder/why" || status=1
result "$status" "all programs unload the modules that they loaded" "$folder/why"
totals
