#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# kunit.sh: load our KUnit modules in a VM. Each of their cases is a test.

. "$(dirname "$0")/../lib.sh"
. "$SCRIPTS/result.sh"

export KERNEL=${KERNEL:-release}

folder=$OUT/kunit/$KERNEL
rm -rf "$folder"
mkdir -p "$folder"

dir=$("$SCRIPTS/modules.sh" "$KERNEL" ours)
mapfile -t modules < <(find "$CACHE/${dir#/cache/}" -path '*/updates/*' -name '*_kunit.ko*' -printf '%f\n' |
	sed 's/\.ko.*//' | sort)
[ ${#modules[@]} -gt 0 ] || die "the modules have no KUnit tests; enable some in configs/modules.config"

# debugfs has the results until a module is unloaded. Load each module twice: the second
# load must work, too.
rounds=20000
[ "$KERNEL" != debug ] || rounds=50000
status=0
# shellcheck disable=SC2016 # for the shell in the guest
MODULES=ours NAME=kunit-$KERNEL "$SCRIPTS/vm.sh" 'set -e
	modprobe kunit enable=1 autorun=1
	for module in '"${modules[*]}"'; do
		options=
		[ "$module" != vfio_pci_mig_fuzz_kunit ] || options=rounds='"$rounds"'
		modprobe "$module" $options
		cat /sys/kernel/debug/kunit/*/results >"out/kunit/$KERNEL/$module.tap"
		modprobe -r "$module"
		modprobe "$module" ${options:+rounds=100}
		modprobe -r "$module"
	done' >"$folder/vm.log" 2>&1 || status=$?
result "$status" "kunit: the VM succeeds" "$folder/vm.log"

for module in "${modules[@]}"; do
	tap=$folder/$module.tap
	reasons=$(grep -B 15 '^ *not ok' "$tap" 2>/dev/null || true)
	if [ ! -s "$tap" ]; then
		echo "no results; see $folder/vm.log and out/vm/kunit-$KERNEL.console.log" >"$folder/why"
		result 1 "kunit $module: the module has results" "$folder/why"
		continue
	fi
	# KUnit indents cases by four spaces, parameters of a case by more, suites by none.
	planned=0
	cases=0
	while IFS= read -r line; do
		if [[ "$line" =~ ^\ {4}1\.\.([0-9]+) ]]; then
			planned=$((planned + BASH_REMATCH[1]))
		elif [[ "$line" =~ ^\ {4}(not\ )?ok\ [0-9]+\ ([^#]*)(.*) ]]; then
			cases=$((cases + 1))
			name="kunit ${BASH_REMATCH[2]%% }"
			if [ -n "${BASH_REMATCH[1]}" ]; then
				echo "$reasons" >"$folder/why"
				result 1 "$name" "$folder/why"
			elif [[ "${BASH_REMATCH[3]}" == *SKIP* ]]; then
				skip "$name" "${BASH_REMATCH[3]#*SKIP }"
			else
				result 0 "$name"
			fi
		fi
	done <"$tap"
	echo "$cases of $planned cases ran in $tap" >"$folder/why"
	status=0
	[ "$cases" -gt 0 ] && [ "$cases" -eq "$planned" ] || status=1
	result "$status" "kunit $module: all $planned cases ran" "$folder/why"
done
totals
