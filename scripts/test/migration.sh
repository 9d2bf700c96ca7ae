#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# migration.sh: the vendor driver vfio_pci_testdrv_migration migrates devices in a VM,
# by both protocols. Test failures of the driver, errors of userspace and concurrent
# operations. Run fewer tests on the debug kernel, which must report no bug. KERNEL
# selects one kernel; the default is both.

# shellcheck disable=SC2034 # test.sh reads it
SUITE_CPUS=1 SUITE_SECONDS=300

. "$(dirname "$0")/../lib.sh"
. "$SCRIPTS/result.sh"

read -r -a kernels <<<"${KERNEL:-release debug}"
programs=$("$SCRIPTS/userspace.sh")
folder=$OUT/migration
rm -rf "$folder"

# Runs: KERNEL NAME PROGRAM DEVICES OPTIONS. DEVICES are indexes. Programs that hardly
# depend on the IOMMU run in few modes.
runs='
release	feature		feature	0	-v vfio_type1v2_iommu -v iommufd
release	data		data	0 1	-v vfio_type1v2_iommu -v iommufd
release	large		data	0 1	-f large
release	stream		stream	0	-v iommufd
release	region		region	0 1	-v vfio_type1v2_iommu -v iommufd
release	log		log	0
release	races		races	0	-v iommufd
release	fuzz		fuzz	2	-v iommufd
release	id_mismatch	id_mismatch	0 2
release	power		power	2
release	igb-feature	feature	2	-T state_changes_follow_the_uapi -T features_match_the_driver -T driver_error_keeps_the_reached_state -v iommufd_compat_type1
release	igb-data	data	2	-T state_moves_to_another_device -v vfio_type1v2_iommu
debug	feature		feature	0	-T state_changes_follow_the_uapi -T features_match_the_driver -T driver_error_keeps_the_reached_state -T driver_loaded_after_bind_does_not_migrate -v iommufd
debug	data		data	0 1	-T state_moves_in_chunks_of_any_size -T state_moves_to_another_device -T precopy_may_be_read_in_part -T load_ends_after_a_driver_error -v iommufd
debug	stream		stream	0	-T truncated_stream_is_refused -T flipped_bit_is_detected -T random_bytes_are_refused -v iommufd
debug	region		region	0 1	-T state_moves_to_another_device -T invalid_state_changes_are_refused -T idle_device_shows_its_registers -T invalid_data_enters_error -T driver_error_keeps_the_reached_state -T reset_ends_the_session -v iommufd
debug	log		log	0	-T random_writes_match_a_bitmap -v iommufd
debug	races		races	0	-v iommufd
debug	power		power	2
debug	fail_nth	fail_nth	0'

# list_runs KERNEL: print the runs for a kernel, without the first column.
list_runs()
{
	tr -s '\t' <<<"$runs" | sed -n "s/^$1\t//p"
}

# in_guest KERNEL: print the commands for the guest. Results are in out/migration/KERNEL.
in_guest()
{
	local name program devices options index bdfs

	cat <<-END
	out=/repo/out/migration/$1
	bdfs=(\$(tr ' ' '\n' <<<"\$VM_DEVICES" | sed 's/=.*//'))
	# An enabled device skips interrupt routing by ACPI, which takes most of an open
	[ $1 = release ] || echo 1 >/sys/bus/pci/devices/\${bdfs[0]}/enable
	modprobe vfio-pci
	# The suite migration-fuzz loads more streams
	export FUZZ_STREAMS=3000
	END
	while IFS=$'\t' read -r name program devices options; do
		bdfs=
		for index in $devices; do bdfs+=" \"\${bdfs[$index]}\""; done
		cat <<-END
		began=\$(cut -d. -f1 /proc/uptime)
		$programs/vfio_pci_migration_$program $options$bdfs >\$out/$name.tap 2>&1
		echo \$? >\$out/$name.status
		echo "$name: \$((\$(cut -d. -f1 /proc/uptime) - began)) s"
		END
	done < <(list_runs "$1")
	echo "lsmod >\$out/unloaded"
}

# check KERNEL: check the results on a kernel.
check()
{
	local dir=$folder/$1 name program devices options tap status p f s plan

	while IFS=$'\t' read -r name program devices options; do
		tap=$dir/$name.tap status=0
		touch "$tap"
		read -r p f s < <(counts "$tap")
		plan=$(sed -n 's/^1\.\.\([0-9]*\).*/\1/p' "$tap" | head -n 1)
		[ "$f" -eq 0 ] && [ "$s" -eq 0 ] && [ "$p" -ge 1 ] && [ "$p" -eq "${plan:-0}" ] &&
			[ "$(cat "$dir/$name.status")" = 0 ] || status=1
		grep -B 5 '^not ok' "$tap" >"$folder/why" || tail -n 20 "$tap" >"$folder/why"
		result "$status" "$1: $name passes ($p tests)" "$folder/why"
	done < <(list_runs "$1")

	status=0
	[ -s "$dir/unloaded" ] && ! grep -q vfio_pci_testdrv_migration "$dir/unloaded" || status=1
	result "$status" "$1: all devices are closed and the module is unloaded" "$dir/unloaded"
}

for kernel in "${kernels[@]}"; do
	mkdir -p "$folder/$kernel"
	say "migration: the kernel $kernel"
	status=0
	KERNEL=$kernel MODULES=ours DEVICES='port/edu port/edu igb' NAME=migration-$kernel APPEND=$NO_VENDOR \
		"$SCRIPTS/vm.sh" "$(in_guest "$kernel")" </dev/null >"$folder/$kernel/log" 2>&1 || status=$?
	result "$status" "$kernel: the VM succeeds" "$folder/$kernel/log"
	check "$kernel"
done
totals
