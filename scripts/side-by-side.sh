# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# Sourced after lib.sh and result.sh by suites that compare stock modules with ours.
# OTHER selects what to compare with: stock (default) or fixes.

export APPEND=$NO_VENDOR

# side_by_side SUITE FUNCTION FOLDER: run "FUNCTION $OTHER" and "FUNCTION ours" in
# parallel, with logs in FOLDER, and report their results. Each is a process group,
# so that the trap can end all its processes.
side_by_side()
{
	local modules status other=${OTHER:-stock}

	for modules in "$other" ours; do
		"$SCRIPTS/modules.sh" "$KERNEL" "$modules" >/dev/null
	done
	set -m
	declare -gA pids=()
	# shellcheck disable=SC2154 # the trap assigns pid
	trap 'for pid in "${pids[@]}"; do kill -- "-$pid" 2>/dev/null || true; done' EXIT
	for modules in "$other" ours; do
		"$2" "$modules" </dev/null >"$3/$modules.log" 2>&1 &
		pids[$modules]=$!
	done
	for modules in "$other" ours; do
		status=0
		wait "${pids[$modules]}" || status=$?
		result "$status" "$1: the VM with MODULES=$modules succeeds" "$3/$modules.log"
	done
	pids=()
}
