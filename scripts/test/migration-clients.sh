#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# migration-clients.sh: real clients: QEMU, in the VM, migrates a guest of its own
# from one edu device to another: QEMU 7.2, which knows the migration region, and
# QEMU 10 and 11, which know the device features, by a container and by iommufd.
# The guest uses the device all the time, and finds it as it should be, also where
# the migration does not succeed. migration-long.sh has more of this.

# shellcheck disable=SC2034 # test.sh reads it
SUITE_CPUS=1 SUITE_SECONDS=250

. "$(dirname "$0")/../lib.sh"
. "$SCRIPTS/result.sh"
. "$SCRIPTS/migrate.sh"

migrate migration-clients \
	'bookworm type1 move cancel flip-data kill-destination move' \
	'trixie type1 move cut-end kill-source move' \
	'trixie iommufd move-ack cancel-data flip-data revision kill-destination move' \
	'trixie-backports iommufd move id-mismatch flip-precopy move-ack' \
	'trixie type1 large move move-ack' \
	'trixie-backports iommufd large move-ack move'
totals
