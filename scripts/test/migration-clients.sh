#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# migration-clients.sh: QEMU in the VM migrates a nested guest from one edu device to
# another. QEMU 7.2 uses the migration region; QEMU 10 and 11 use device features, with
# type1 and iommufd. The nested guest uses the device all the time and checks its state,
# also after a failed migration. migration-long.sh has more cases.

# shellcheck disable=SC2034 # test.sh reads it
SUITE_SECONDS=150

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
