#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# igbvf-clients.sh: QEMU in the VM migrates a nested Linux guest between virtual functions
# of two igb devices, while the guest exchanges traffic with a third one. QEMU 7.2 uses the
# migration region, QEMU 10 uses device features. migration-long.sh has more cases.

# shellcheck disable=SC2034 # test.sh reads it
SUITE_SECONDS=240

. "$(dirname "$0")/../lib.sh"
. "$SCRIPTS/result.sh"
. "$SCRIPTS/migrate.sh"

migrate_igbvf igbvf-clients \
	'bookworm type1 0 move' \
	'trixie iommufd 1 move-compare kill-destination destination-down'
totals
