#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# debug.sh: run short versions of the suites kunit and region-diff on the debug kernel.
# vm.sh fails if KASAN, UBSAN, lockdep or kmemleak report a bug.

# shellcheck disable=SC2034 # test.sh reads it
SUITE_SECONDS=190

. "$(dirname "$0")/../lib.sh"
. "$SCRIPTS/result.sh"

export KERNEL=debug QUICK=1

status=0
for suite in kunit 'region-diff edu igb'; do
	read -r -a command <<<"$suite"
	# Add the results of each suite to the totals.
	log=$OUT/debug-${command[0]}.log
	"$SCRIPTS/test/${command[0]}.sh" "${command[@]:1}" </dev/null >"$log" || status=1
	while IFS= read -r line; do
		case $line in
		"ok - "*" # SKIP"*) skipped=$((skipped + 1)) ;;
		"ok - "*) passed=$((passed + 1)) ;;
		"not ok - "*) failed=$((failed + 1)) ;;
		*" passed, "*" failed, "*) continue ;;
		esac
		printf '%s\n' "${line/ok - /ok - debug: }"
	done <"$log"
done
totals && [ "$status" -eq 0 ]
