#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# migration-long.sh: like migration-clients.sh and igbvf-clients.sh, with more cases and
# more versions of QEMU.

# shellcheck disable=SC2034 # test.sh reads it
SUITE_LONG=1

. "$(dirname "$0")/../lib.sh"
. "$SCRIPTS/result.sh"
. "$SCRIPTS/migrate.sh"

cases='cancel cancel-data cut-header cut-precopy cut-data cut-end flip-header flip-precopy flip-data flip-end id-mismatch
kill-destination move move-paused there-and-back cancel-data flip-data kill-source move'
runs=()
for run in 'bookworm type1' 'trixie type1' 'trixie iommufd' 'trixie-backports type1' 'trixie-backports iommufd'; do
	runs+=("$run ${cases//$'\n'/ }")
done
TIMEOUT=${TIMEOUT:-7200} migrate migration-long "${runs[@]}"

cases='cancel cancel-data kill-destination-early kill-destination move ten-moves reboot kill-source-early kill-source
destination-down source-down'
runs=()
# Not with QEMU 7.2: without a log, it also marks translated code as written, and its TCG
# then runs old code after a reboot.
for run in 'bookworm type1 0' 'trixie type1 1' 'trixie iommufd 1' 'trixie-backports iommufd 1'; do
	[[ "$run" == bookworm* ]] && skip=reboot || skip=''
	runs+=("$run $(tr ' ' '\n' <<<"${cases//$'\n'/ }" | grep -vx "$skip" | xargs)")
done
TIMEOUT=${TIMEOUT:-7200} migrate_igbvf migration-long-igbvf "${runs[@]}"
totals
