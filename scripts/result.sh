# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2154 # the suites set folder
#
# Sourced after lib.sh: print and count the results of checks and tests.

passed=0
failed=0
skipped=0

# result STATUS NAME [FILE]: print one result, and the end of FILE if it failed.
result()
{
	if [ "$1" -eq 0 ]; then
		passed=$((passed + 1))
		echo "ok - $2"
	else
		failed=$((failed + 1))
		echo "not ok - $2"
		[ -z "${3:-}" ] || tail -n 40 "$3" 2>&1 | sed 's/^/#   /' || true
	fi
}

# why OUTPUT: print the end of the output of a program, and the failed tests in it with the
# lines before them.
why()
{
	tail -n 12 "$1"
	grep -B 8 -E '^(# )*not ok' "$1" | head -n 25 || true
}

# empty NAME FILE: print one result; it passes if FILE is empty.
empty()
{
	if [ -s "$2" ]; then result 1 "$@"; else result 0 "$@"; fi
}

# has FILE PATTERN NAME, has_not FILE PATTERN NAME: print one result; it passes if a line,
# or no line, of $folder/FILE matches. A missing or an empty file fails both.
has()
{
	local status=0

	grep -q -E -e "$2" "$folder/$1" 2>/dev/null || status=1
	result "$status" "$3" "$folder/$1"
}

has_not()
{
	local status=0

	if [ ! -s "$folder/$1" ] || grep -q -E -e "$2" "$folder/$1"; then status=1; fi
	result "$status" "$3" "$folder/$1"
}

# skip NAME WHY: print one skipped result.
skip()
{
	skipped=$((skipped + 1))
	echo "ok - $1 # SKIP $2"
}

# counts TAP: print "PASSED FAILED SKIPPED" of the results in a file.
counts()
{
	awk '/^ok / { if (/# SKIP/) s++; else p++ } /^not ok / { f++ } END { print p + 0, f + 0, s + 0 }' "$1"
}

# totals: print the totals as the last line; return an error if a result failed.
totals()
{
	echo "$passed passed, $failed failed, $skipped skipped"
	[ "$failed" -eq 0 ]
}
