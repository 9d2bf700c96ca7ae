# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# Sourced, after lib.sh and result.sh, by suites that compare: run the same with
# stock modules and with ours at the same time.

export APPEND=$NO_VENDOR

# side_by_side SUITE FUNCTION FOLDER: run "FUNCTION stock" and "FUNCTION ours",
# with FOLDER/stock.log and FOLDER/ours.log, and report whether they ended well.
# A group of processes each, so that both end if we do.
side_by_side()
{
	local modules status

	for modules in stock ours; do
		"$SCRIPTS/modules.sh" "$KERNEL" "$modules" >/dev/null
	done
	set -m
	declare -gA pids=()
	# shellcheck disable=SC2154 # the trap assigns pid
	trap 'for pid in "${pids[@]}"; do kill -- "-$pid" 2>/dev/null || true; done' EXIT
	for modules in stock ours; do
		"$2" "$modules" </dev/null >"$3/$modules.log" 2>&1 &
		pids[$modules]=$!
	done
	for modules in stock ours; do
		status=0
		wait "${pids[$modules]}" || status=$?
		result "$status" "$1: the VM with $modules modules ends well" "$3/$modules.log"
	done
	pids=()
}
