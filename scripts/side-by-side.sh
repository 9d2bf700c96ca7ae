# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# Sourced after lib.sh and result.sh by suites that compare stock modules with ours.
# OTHER selects the modules to compare with: stock (default) or fixes.

. "$SCRIPTS/parallel.sh"

export APPEND=$NO_VENDOR

# side_by_side FUNCTION FOLDER: run "FUNCTION $OTHER" and "FUNCTION ours" in parallel, with
# logs in FOLDER, and report their results.
side_by_side()
{
	local modules

	for modules in "${OTHER:-stock}" ours; do
		"$SCRIPTS/modules.sh" "$KERNEL" "$modules" >/dev/null
	done
	in_parallel "$2" "$1" "${OTHER:-stock}" ours
}

# differ A B: succeed if two transcripts differ, and print the first differences.
differ()
{
	local changed

	! cmp -s "$1" "$2" || return 1
	changed=$(diff --speed-large-files "$1" "$2" | grep -c '^[<>]' || true)
	echo "$changed lines differ between $1 and $2; the first:"
	diff --speed-large-files -U 2 "$1" "$2" | tail -n +3 | head -n 16 || true
}
