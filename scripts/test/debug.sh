#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# debug.sh: what the release kernel passes, the debug kernel passes too, and its
# checkers (KASAN, UBSAN, lockdep, kmemleak) have nothing to say: vm.sh fails
# if they do.

. "$(dirname "$0")/../lib.sh"
. "$SCRIPTS/result.sh"

export KERNEL=debug QUICK=1

status=0
for suite in kunit diff selftests; do
	# Each suite prints its own lines; the totals are of all of them.
	"$SCRIPTS/test/$suite.sh" </dev/null >"$OUT/debug-$suite.log" || status=1
	while IFS= read -r line; do
		case $line in
		"ok - "*" # SKIP"*) skipped=$((skipped + 1)) ;;
		"ok - "*) passed=$((passed + 1)) ;;
		"not ok - "*) failed=$((failed + 1)) ;;
		*" passed, "*" failed, "*) continue ;;
		esac
		printf '%s\n' "${line/ok - /ok - debug: }"
	done <"$OUT/debug-$suite.log"
done
totals && [ "$status" -eq 0 ]
