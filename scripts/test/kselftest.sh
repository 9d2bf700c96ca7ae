#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# kselftest.sh: install the vfio selftests as the kernel does, and run each program by
# run_kselftest.sh in a VM: first without a device, then with one that the program can
# use. Every program must be skipped first, with a reason, and pass then. KERNEL selects
# the kernel; only the debug kernel can run the programs that need fault injection.

# shellcheck disable=SC2034 # test.sh reads it
SUITE_CPUS=1 SUITE_SECONDS=300

. "$(dirname "$0")/../lib.sh"
. "$SCRIPTS/result.sh"
. "$SCRIPTS/qemu-events.sh"

kernel=${KERNEL:-release}
installed=$("$SCRIPTS/userspace.sh")/kselftest
folder=$OUT/kselftest
rm -rf "$folder"
mkdir -p "$folder"
mkfifo "$folder"/monitor.{in,out}

# Two edu devices in one IOMMU group, behind a bridge
qemu='-device pcie-pci-bridge,id=bridge,bus=pcie.0,addr=0x10 -device edu,bus=bridge,addr=1 -device edu,bus=bridge,addr=2'
# See vendor.sh for the speed
qemu+=' -global pcie-root-port.x-speed=5 -chardev pipe,id=monitor,path=/repo/out/kselftest/monitor -mon chardev=monitor,mode=readline'
devices='port/edu edu edu port/edu,id=victim port/edu port/edu port/igb port/virtio-rng-pci,id=faulty,aer=on,disable-legacy=on'

# Arguments of programs: PROGRAM ARGUMENTS. The others use the device in VFIO_SELFTESTS_BDF.
# Slow programs that hardly depend on the IOMMU run in one mode.
# shellcheck disable=SC2016 # for the shell in the guest
arguments='
vfio_dma_mapping_test		-v iommufd -v vfio_type1v2_iommu
vfio_dma_mapping_mmio_test	-v iommufd -v vfio_type1v2_iommu
vfio_pci_driver_test		-v iommufd $igb
vfio_pci_sriov_uapi_test	-v iommufd_null_uuid $igb
vfio_pci_vendor_bypass		-v iommufd
vfio_pci_vendor_caps		$igb
vfio_pci_vendor_debugfs		-v iommufd
vfio_pci_vendor_device_alias	$igb
vfio_pci_vendor_dma		-v iommufd
vfio_pci_vendor_errors		$faulty
vfio_pci_vendor_lifecycle	-v iommufd -t unplugged_device_works_until_it_is_closed $edu $other $port $spare
vfio_pci_vendor_override	-v iommufd
vfio_pci_vendor_resets		-v iommufd $igb
vfio_pci_vendor_rules		-v iommufd
vfio_pci_vendor_sibling		-v iommufd $igb
vfio_pci_vendor_sriov		-v iommufd $igb
vfio_pci_vendor_tracing		-v iommufd
vfio_pci_migration_data		-v iommufd $port $second
vfio_pci_migration_edu_test	-v iommufd $edu $port
vfio_pci_migration_feature	-v iommufd
vfio_pci_migration_id_mismatch	$port $igb
vfio_pci_migration_races	-v iommufd
vfio_pci_migration_region	-v iommufd $port $second
vfio_pci_migration_stream	-v iommufd
vfio_mdev_pci_device		-v iommufd
vfio_mdev_pci_errors		$faulty
vfio_mdev_pci_lifecycle		-v iommufd -f once $edu $victim $igb $shared'

# Programs that need fault injection
cannot_run='vfio_pci_vendor_display'
[ "$kernel" = debug ] || cannot_run+=' vfio_pci_vendor_fail_nth vfio_pci_migration_fail_nth vfio_mdev_pci_fail_nth'

# in_guest: print the commands for the guest. The output has two runs of all programs.
in_guest()
{
	local program options

	cat <<-END
	read -r port edu other victim spare second igb faulty < <(tr ' ' '\n' <<<"\$VM_DEVICES" | sed 's/=.*//' | xargs)
	shared=\$(basename /sys/bus/pci/devices/0000:00:10.0/0000:*:01.0)
	cd $installed
	echo "run none"
	./run_kselftest.sh -o 900
	echo 64 >/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages
	echo always >/sys/kernel/mm/transparent_hugepage/shmem_enabled
	modprobe vfio-pci enable_sriov=1
	bash vfio/setup.sh \$port \$edu \$other \$victim \$spare \$second \$igb \$faulty \$shared \${shared%1.0}2.0
	export VFIO_SELFTESTS_EVENTS=1 VFIO_SELFTESTS_BDF=\$port
	END
	while read -r program options; do
		[ -z "$program" ] || echo "export KSELFTEST_${program^^}_ARGS=\"$options\""
	done <<<"$arguments"
	cat <<-END
	echo "run device"
	./run_kselftest.sh -o 900
	status=\$?
	lsmod | sed 's/^/module /'
	exit \$status
	END
}

# results RUN: print "PROGRAM STATUS PASSED REASON" for each program of a run. STATUS is
# passed, failed or skipped, and PASSED the number of its passed tests.
results()
{
	sed -n "/^run $1\$/,/^run /p" "$folder/log" | awk '
		/^# selftests: vfio: / { passed = 0; reason = "no reason" }
		/^# 1\.\.0 # SKIP / { reason = $0; sub(/.*# SKIP /, "", reason) }
		/^# Unable to determine/ { reason = substr($0, 3) }
		/^# ok / && !/# SKIP/ { passed++ }
		match($0, /^(not )?ok [0-9]+ selftests: vfio: /) {
			split(substr($0, RLENGTH + 1), name, " ")
			status = $1 == "not" ? "failed" : /# SKIP/ ? "skipped" : "passed"
			print name[1], status, passed, reason
		}'
}

# section RUN PROGRAM: print the output of a program.
section()
{
	sed -n "/^run $1\$/,/^run /p" "$folder/log" |
		sed -n "/^# selftests: vfio: $2\$/,/ selftests: vfio: $2\( #.*\)*\$/{/^# selftests/!p}" >"$folder/section"
	grep -B 5 '^\(# \)*not ok' "$folder/section" || tail -n 20 "$folder/section"
}

status=0
KERNEL=$kernel MODULES=ours DEVICES=$devices NAME=kselftest APPEND=$NO_VENDOR TIMEOUT=${TIMEOUT:-3600} QEMU=$qemu \
	"$SCRIPTS/vm.sh" "$(in_guest)" </dev/null >"$folder/log" 2>&1 &
vm=$!
serve_events "$folder" "$vm" &
wait "$vm" || status=$?
result "$status" "the VM succeeds" "$folder/log"

mapfile -t programs < <(sed 's/.*://' "$CACHE/${installed#/cache/}/kselftest-list.txt")
results none >"$folder/none"
results device >"$folder/device"
status=0
[ "$(grep -c ' skipped 0 ' "$folder/none")" = ${#programs[@]} ] && ! grep -q 'no reason' "$folder/none" || status=1
grep -v ' skipped 0 ' "$folder/none" >"$folder/why" || grep 'no reason' "$folder/none" >"$folder/why" || true
result "$status" "without a device, all ${#programs[@]} programs are skipped with a reason" "$folder/why"

for program in "${programs[@]}"; do
	read -r _ outcome count reason < <(grep "^$program " "$folder/device") || outcome=missing
	section device "$program" >"$folder/why" || true
	case $outcome in
	passed)
		status=0
		[ "$count" -gt 0 ] || status=1
		result "$status" "$program ($count passed)" "$folder/why"
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
done
status=0
! grep -E '^module (vfio_pci_testdrv|vfio_pci_edu|vfio_mdev_pci)' "$folder/log" >"$folder/why" || status=1
result "$status" "all programs unload the modules that they loaded" "$folder/why"
totals
