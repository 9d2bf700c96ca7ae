#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# test.sh [NAME...]: run the test suites scripts/test/NAME.sh, all of them or
# those that are named (also as T='NAME...'), and count what they report: lines
# "ok - what", "not ok - what" and "ok - what # SKIP why". A suite that fails
# without naming a test, or reports none, counts as one failed test.

. "$(dirname "$0")/lib.sh"

mapfile -t all < <(find "$SCRIPTS/test" -maxdepth 1 -name "*.sh" -printf "%f\n" | sed "s/\.sh\$//" | sort)
names=("$@")
[ $# -gt 0 ] || read -r -d '' -a names <<<"${T-}" || true
[ ${#names[@]} -gt 0 ] || names=("${all[@]}")
for name in "${names[@]}"; do
	[ -x "$SCRIPTS/test/$name.sh" ] || die "there is no test suite '$name'; there are: ${all[*]}"
done

logs=$OUT/test
mkdir -p "$logs"
passed=0 failed=0 skipped=0
failures=()
for name in "${names[@]}"; do
	log=$logs/$name.log
	began=$(date +%s)
	say "test suite $name"
	status=0
	"$SCRIPTS/test/$name.sh" </dev/null 2>&1 | tee "$log" || status=$?
	s=$(grep -c -E '^ok .*# SKIP' "$log" || true)
	p=$(($(grep -c -E '^ok( |$)' "$log" || true) - s))
	f=$(grep -c -E '^not ok( |$)' "$log" || true)
	mapfile -t -O ${#failures[@]} failures < <(sed -n -E "s/^not ok( - )?/$name: /p" "$log")
	if [ "$f" -eq 0 ] && [ "$status" -ne 0 ]; then
		f=1
		failures+=("$name: the suite ended with status $status")
	elif [ $((p + s + f)) -eq 0 ]; then
		f=1
		failures+=("$name: the suite ran no test")
	fi
	passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
	say "test suite $name: $p passed, $f failed, $s skipped in $(($(date +%s) - began)) s (log: $log)"
done

for failure in ${failures[@]+"${failures[@]}"}; do
	echo "failed: $failure"
done
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
