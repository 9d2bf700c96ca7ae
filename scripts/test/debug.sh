#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# debug.sh: what the release kernel passes, the debug kernel passes too, and its
# checkers (KASAN, UBSAN, lockdep, kmemleak) have nothing to say: vm.sh fails
# if they do. It is several times as slow, so the suites do less. (The suite
# selftests runs on both kernels.)

# shellcheck disable=SC2034 # test.sh reads it
SUITE_CPUS=1 SUITE_SECONDS=150

. "$(dirname "$0")/../lib.sh"
. "$SCRIPTS/result.sh"

export KERNEL=debug QUICK=1

status=0
for suite in kunit 'region-diff edu igb'; do
	read -r -a command <<<"$suite"
	# Each suite prints its own lines; the totals are of all of them.
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
