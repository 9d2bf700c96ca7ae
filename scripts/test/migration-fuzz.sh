#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# migration-fuzz.sh: load 100,000 mutated streams on the debug kernel. Userspace loads
# them by the data file, by a mapping of the migration region, and by write(). The kernel
# must accept only valid streams and report no bug.
#
#     FUZZ_STREAMS  streams for each of the three ways
#     FUZZ_SEED     seed of an earlier run, to repeat its streams

# shellcheck disable=SC2034 # test.sh reads it
SUITE_CPUS=1 SUITE_SECONDS=300

. "$(dirname "$0")/../lib.sh"
. "$SCRIPTS/result.sh"

programs=$("$SCRIPTS/userspace.sh")
folder=$OUT/migration-fuzz
streams=${FUZZ_STREAMS:-33400}
rm -rf "$folder"
mkdir -p "$folder"
tap=$folder/fuzz.tap

status=0
KERNEL=${KERNEL:-debug} MODULES=ours DEVICES=igb SMP=1 NAME=migration-fuzz APPEND=$NO_VENDOR "$SCRIPTS/vm.sh" "
	modprobe vfio-pci
	export FUZZ_STREAMS=$streams ${FUZZ_SEED:+FUZZ_SEED=$FUZZ_SEED}
	$programs/vfio_pci_migration_fuzz -v iommufd 0000:00:02.0 2>&1 | tee out/migration-fuzz/fuzz.tap
	exit \${PIPESTATUS[0]}" </dev/null >"$folder/log" 2>&1 || status=$?
result "$status" "the VM succeeds" "$folder/log"
for way in data_file mapped_window written_window; do
	status=0
	line=$(grep -o "${way}_accepts_only_valid_streams:seed [0-9]*: $streams streams, [0-9]* accepted, [0-9]* of them forged" "$tap" || true)
	[ -n "$line" ] && grep -q "^ok [0-9]* fuzz.iommufd.${way}_accepts_only_valid_streams$" "$tap" || status=1
	result "$status" "no invalid stream is accepted: ${line:-$way: fewer than $streams streams}" "$tap"
done
totals
