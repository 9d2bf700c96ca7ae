#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# test.sh [NAME...]: run the test suites scripts/test/NAME.sh, all of them or
# those that are named (also as T='NAME...'), and count what they report: lines
# "ok - what", "not ok - what" and "ok - what # SKIP why". A suite that fails
# without naming a test, or reports none, counts as one failed test. Those that
# say in their head that one processor is enough run two at a time, last, and of
# these the longest, by the seconds that they say there, first. Those that say
# there "Only by its name." run if they are named.

. "$(dirname "$0")/lib.sh"

mapfile -t all < <(find "$SCRIPTS/test" -maxdepth 1 -name "*.sh" -printf "%f\n" | sed "s/\.sh\$//" | sort)
names=("$@")
[ $# -gt 0 ] || read -r -d '' -a names <<<"${T-}" || true
# head_of NAME: what a suite says of itself
head_of()
{
	sed '/^$/q' "$SCRIPTS/test/$1.sh"
}

if [ ${#names[@]} -eq 0 ]; then
	for name in "${all[@]}"; do
		head_of "$name" | grep -q '^# Only by its name' || names+=("$name")
	done
fi
for name in "${names[@]}"; do
	[ -x "$SCRIPTS/test/$name.sh" ] || die "there is no test suite '$name'; there are: ${all[*]}"
done

logs=$OUT/test
mkdir -p "$logs"
passed=0 failed=0 skipped=0
failures=()

# count NAME STATUS SECONDS: what a suite has printed
count()
{
	local log=$logs/$1.log p f s

	s=$(grep -c -E '^ok .*# SKIP' "$log" || true)
	p=$(($(grep -c -E '^ok( |$)' "$log" || true) - s))
	f=$(grep -c -E '^not ok( |$)' "$log" || true)
	mapfile -t -O ${#failures[@]} failures < <(sed -n -E "s/^not ok( - )?/$1: /p" "$log")
	if [ "$f" -eq 0 ] && [ "$2" -ne 0 ]; then
		f=1
		failures+=("$1: the suite ended with status $2")
	elif [ $((p + s + f)) -eq 0 ]; then
		f=1
		failures+=("$1: the suite ran no test")
	fi
	passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
	say "test suite $1: $p passed, $f failed, $s skipped in $3 s (log: $log)"
}

# reap: wait for one of those that run beside each other, and show what it printed.
reap()
{
	local pid status=0 name

	wait -n -p pid "${!running[@]}" || status=$?
	name=${running[$pid]}
	unset "running[$pid]"
	cat "$logs/$name.log"
	count "$name" "$status" $(($(date +%s) - began[$name]))
}

# Process groups, so that all of them end if we do
# shellcheck disable=SC2154 # the trap assigns pid
trap 'for pid in "${!running[@]}"; do kill -- "-$pid" 2>/dev/null || true; done' EXIT
declare -A running=() began=()
beside=()
for name in "${names[@]}"; do
	if [ ${#names[@]} -gt 1 ] && head_of "$name" | grep -q '^# One processor'; then
		beside+=("$name")
		continue
	fi
	began[$name]=$(date +%s)
	say "test suite $name"
	status=0
	"$SCRIPTS/test/$name.sh" </dev/null 2>&1 | tee "$logs/$name.log" || status=$?
	count "$name" "$status" $(($(date +%s) - began[$name]))
done

# seconds_of NAME: how long a suite takes, as it says
seconds_of()
{
	local seconds

	seconds=$(head_of "$1" | sed -n 's/^# One processor.*, for \([0-9]*\) s\.$/\1/p')
	echo "${seconds:-0}"
}

mapfile -t beside < <(for name in ${beside[@]+"${beside[@]}"}; do echo "$(seconds_of "$name") $name"; done |
	sort -s -k 1,1nr | cut -d ' ' -f 2)
for name in ${beside[@]+"${beside[@]}"}; do
	[ ${#running[@]} -lt 2 ] || reap
	began[$name]=$(date +%s)
	say "test suite $name (its output follows when it ends; log: $logs/$name.log)"
	set -m
	"$SCRIPTS/test/$name.sh" </dev/null >"$logs/$name.log" 2>&1 &
	set +m
	running[$!]=$name
done
while [ ${#running[@]} -gt 0 ]; do reap; done

for failure in ${failures[@]+"${failures[@]}"}; do
	echo "failed: $failure"
done
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
