#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# test.sh [NAME...]: run the test suites scripts/test/NAME.sh and count their
# results. Without arguments, T='NAME...' selects suites. By default, all suites except the
# long ones run; "long" selects the long ones.
#
# A suite prints lines "ok - NAME", "not ok - NAME" and "ok - NAME # SKIP WHY". It counts
# as one failed test if it prints no result, or exits with an error although no test
# failed.
#
# One suite has the whole machine. Of several, JOBS run at a time, or fewer if the memory
# is small, and each starts one VM at a time. Suites that only compile run one at a time
# beside the others, with the CPU time that these leave. A suite may set these variables to
# numbers, on one line that begins with SUITE_:
#
#     SUITE_SECONDS=N    expected run time; longer ones start first
#     SUITE_LONG=1       a long suite
#     SUITE_COMPILES=1   a suite that only compiles

. "$(dirname "$0")/lib.sh"

mapfile -t all < <(find "$SCRIPTS/test" -maxdepth 1 -name "*.sh" -printf "%f\n" | sed "s/\.sh\$//" | sort)
names=("$@")
[ $# -gt 0 ] || read -r -d '' -a names <<<"${T-}" || true

# setting NAME VARIABLE: print a variable of a suite without running the suite.
setting()
{
	sed -n -E "s/^(SUITE_[A-Z]+=[0-9]+ )*$2=([0-9]+)( .*)?\$/\2/p" "$SCRIPTS/test/$1.sh"
}

short=() long=()
for name in "${all[@]}"; do
	if [ "$(setting "$name" SUITE_LONG)" = 1 ]; then
		long+=("$name")
	else
		short+=("$name")
	fi
done
[ ${#names[@]} -gt 0 ] || names=("${short[@]}")
[ "${names[*]}" != long ] || names=("${long[@]}")
for name in "${names[@]}"; do
	[ -x "$SCRIPTS/test/$name.sh" ] || die "there is no test suite '$name'; choose from: ${all[*]} long"
done

logs=$OUT/test
mkdir -p "$logs"
passed=0 failed=0 skipped=0
failures=()

# count NAME STATUS SECONDS: add the results in the log of a suite.
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

# start NAME: start a suite.
start()
{
	local priority=()

	[ "$(setting "$1" SUITE_COMPILES)" != 1 ] || priority=(nice -n 19)
	began[$1]=$(date +%s)
	say "test suite $1 (output appears when it ends; log: $logs/$1.log)"
	touch "$logs/$1.running"
	VM_LIMIT=1 ${priority[@]+"${priority[@]}"} "$SCRIPTS/test/$1.sh" </dev/null >"$logs/$1.log" 2>&1 &
	running[$!]=$1
}

# reap: wait until a suite ends; print and count its results. Set name.
reap()
{
	local pid status=0

	wait -n -p pid "${!running[@]}" || status=$?
	name=${running[$pid]}
	unset "running[$pid]"
	rm -f "$logs/$name.running"
	cat "$logs/$name.log"
	count "$name" "$status" $(($(date +%s) - began[$name]))
}

# progress: print every minute the suites that run.
progress()
{
	while sleep 60; do
		say "running: $(find "$logs" -name '*.running' -printf '%f\n' | sed 's/\.running$//' | sort | xargs)"
	done
}

rm -f "$logs"/*.running
if [ ${#names[@]} -eq 1 ]; then
	name=${names[0]}
	SECONDS=0
	say "test suite $name"
	status=0
	"$SCRIPTS/test/$name.sh" </dev/null 2>&1 | tee "$logs/$name.log" || status=$?
	count "$name" "$status" "$SECONDS"
else
	mapfile -t names < <(for name in "${names[@]}"; do
		echo "$(setting "$name" SUITE_SECONDS) $name"
	done | sort -s -k 1,1nr | awk '{ print $NF }')
	tests=() builds=()
	for name in "${names[@]}"; do
		if [ "$(setting "$name" SUITE_COMPILES)" = 1 ]; then builds+=("$name"); else tests+=("$name"); fi
	done
	# A VM needs 2 GB, and compilers need 2 GB
	slots=$(awk -v jobs="$JOBS" -v builds="${#builds[@]}" '/^MemAvailable/ {
		n = int(($2 - (builds ? 2000000 : 0)) / 3000000)
		print n < 1 ? 1 : n < jobs ? n : jobs
	}' /proc/meminfo)
	declare -A running=() began=()
	set -m
	progress &
	ticker=$!
	# Kill the process groups of the suites.
	# shellcheck disable=SC2154 # the trap assigns pid
	trap 'for pid in "$ticker" "${!running[@]}"; do kill -- "-$pid" 2>/dev/null || true; done' EXIT
	building=0
	while :; do
		while [ ${#tests[@]} -gt 0 ] && [ $((${#running[@]} - building)) -lt "$slots" ]; do
			start "${tests[0]}"
			tests=("${tests[@]:1}")
		done
		if [ ${#builds[@]} -gt 0 ] && [ "$building" -eq 0 ]; then
			start "${builds[0]}"
			builds=("${builds[@]:1}")
			building=1
		fi
		[ ${#running[@]} -gt 0 ] || break
		reap
		[ "$(setting "$name" SUITE_COMPILES)" != 1 ] || building=0
	done
fi

for failure in ${failures[@]+"${failures[@]}"}; do
	echo "failed: $failure"
done
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
