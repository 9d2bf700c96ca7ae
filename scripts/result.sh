# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# Sourced, after lib.sh: the lines that say how a check or a test case went.

passed=0
failed=0
skipped=0

# result STATUS NAME [FILE]: one line for a case; FILE has the reasons.
result()
{
	if [ "$1" -eq 0 ]; then
		passed=$((passed + 1))
		echo "ok - $2"
	else
		failed=$((failed + 1))
		echo "not ok - $2"
		[ -z "${3:-}" ] || sed -e 's/^/#   /' -e '40{s/.*/#   .../;q}' "$3"
	fi
}

# empty NAME FILE: a case that is good if nothing is in FILE.
empty()
{
	if [ -s "$2" ]; then result 1 "$@"; else result 0 "$@"; fi
}

# skip NAME WHY
skip()
{
	skipped=$((skipped + 1))
	echo "ok - $1 # SKIP $2"
}

# counts TAP: "PASSED FAILED SKIPPED"
counts()
{
	awk '/^ok / { if (/# SKIP/) s++; else p++ } /^not ok / { f++ } END { print p + 0, f + 0, s + 0 }' "$1"
}

# totals: the last line; fails if anything did.
totals()
{
	echo "$passed passed, $failed failed, $skipped skipped"
	[ "$failed" -eq 0 ]
}
