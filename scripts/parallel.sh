# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# Sourced after lib.sh and result.sh by suites that use several VMs.

# in_parallel LOGS FUNCTION ARGUMENT...: run "FUNCTION ARGUMENT" for each argument, VM_LIMIT
# (default: JOBS) at a time, with its output in LOGS/ARGUMENT.log. Report whether each run
# succeeds. Each run is a process group, so that the trap can end all its processes.
in_parallel()
{
	local logs=$1 function=$2 argument
	shift 2

	set -m
	declare -gA running=()
	# shellcheck disable=SC2154 # the trap assigns pid
	trap 'for pid in "${!running[@]}"; do kill -- "-$pid" 2>/dev/null || true; done' EXIT
	for argument; do
		[ ${#running[@]} -lt "${VM_LIMIT:-$JOBS}" ] || reap "$logs"
		say "VM: $argument"
		"$function" "$argument" </dev/null >"$logs/$argument.log" 2>&1 &
		running[$!]=$argument
	done
	while [ ${#running[@]} -gt 0 ]; do reap "$logs"; done
	set +m
}

# reap LOGS: wait until a function ends and report its status.
reap()
{
	local pid status=0 argument

	wait -n -p pid "${!running[@]}" || status=$?
	argument=${running[$pid]}
	unset "running[$pid]"
	why "$1/$argument.log" >"$1/why"
	result "$status" "$argument: the VM succeeds" "$1/why"
}
