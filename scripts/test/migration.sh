#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# migration.sh: the vendor driver vfio_pci_testdrv_migration migrates devices. The suite
# kselftest runs the same programs on edu with the release kernel. This suite adds a large
# state, igb, and the debug kernel, which must report no bug. There, userspace loads
# 100,000 mutated streams: by the data file, by a mapping of the migration region, and by
# write(). The kernel must accept only valid streams.
#
#     FUZZ_STREAMS  streams for each of the three ways
#     FUZZ_SEED     seed of an earlier run, to repeat its streams

# shellcheck disable=SC2034 # test.sh reads it
SUITE_SECONDS=430

. "$(dirname "$0")/../lib.sh"

suite=migration
. "$SCRIPTS/selftest-vms.sh"

vms=(
	[release]='release edu=port/edu other=port/edu igb=igb'
	[debug]='debug edu=port/edu other=port/edu igb=igb'
	[fuzz]='debug igb=igb'
)
# shellcheck disable=SC2016,SC2034 # $ is for the shell in the guest
runs='
release	vfio_pci_migration_data		0	-f large $edu $other
release	vfio_pci_migration_power	0	$igb
release	vfio_pci_migration_fuzz		0	-v iommufd $igb
release	vfio_pci_migration_feature	0	-T state_changes_follow_the_uapi -T features_match_the_driver -T driver_error_keeps_the_reached_state -v iommufd_compat_type1 $igb
release	vfio_pci_migration_data		0	-T state_moves_to_another_device -v vfio_type1v2_iommu $igb
debug	vfio_pci_migration_feature	0	-T state_changes_follow_the_uapi -T features_match_the_driver -T driver_error_keeps_the_reached_state -T driver_loaded_after_bind_does_not_migrate -v iommufd $edu
debug	vfio_pci_migration_data		0	-T state_moves_in_chunks_of_any_size -T state_moves_to_another_device -T precopy_may_be_read_in_part -T load_ends_after_a_driver_error -v iommufd $edu $other
debug	vfio_pci_migration_stream	0	-T truncated_stream_is_refused -T flipped_bit_is_detected -T random_bytes_are_refused -v iommufd $edu
debug	vfio_pci_migration_region	0	-T state_moves_to_another_device -T invalid_state_changes_are_refused -T idle_device_shows_its_registers -T invalid_data_enters_error -T driver_error_keeps_the_reached_state -T reset_ends_the_session -v iommufd $edu $other
debug	vfio_pci_migration_log		0	-T random_writes_match_a_bitmap -v iommufd $edu
debug	vfio_pci_migration_races	0	-v iommufd $edu
debug	vfio_pci_migration_power	0	$igb
fuzz	vfio_pci_migration_fuzz		0	-v iommufd $igb'
variables[fuzz]='SMP=1'

streams=${FUZZ_STREAMS:-33400}

before_fuzz()
{
	echo "export FUZZ_STREAMS=$streams"
	[ -z "${FUZZ_SEED-}" ] || echo "export FUZZ_SEED=$FUZZ_SEED"
}

check_fuzz()
{
	local way

	for way in data_file mapped_window written_window; do
		has fuzz/1-vfio_pci_migration_fuzz.tap \
			"${way}_accepts_only_valid_streams:seed [0-9]+: $streams streams, [0-9]+ accepted, [0-9]+ of them forged" \
			"fuzz: $way loads $streams streams"
	done
}

test_in_vms fuzz debug release
totals
