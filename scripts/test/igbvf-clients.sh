#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# igbvf-clients.sh: QEMU 10 in the VM migrates a nested Linux guest between virtual
# functions of two igb devices, while the guest exchanges traffic with a third one.
# migration-long.sh has more cases and more versions of QEMU.

# shellcheck disable=SC2034 # test.sh reads it
SUITE_SECONDS=150

. "$(dirname "$0")/../lib.sh"
. "$SCRIPTS/result.sh"
. "$SCRIPTS/migrate.sh"

migrate_igbvf igbvf-clients 'trixie iommufd 1 move-compare kill-destination destination-down'
totals
