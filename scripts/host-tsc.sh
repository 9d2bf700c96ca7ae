#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# host-tsc.sh: print the TSC frequency of this machine in kHz. An emulated CPU
# has the same frequency.

. "$(dirname "$0")/lib.sh"

[ $# -eq 0 ] || die "unknown argument '$1'; usage: host-tsc.sh"

program=host-tsc-$(key <"$REPO/programs/host/host_tsc.c")
build()
{
	# Link statically: the root's libc may be newer than this machine's.
	step "building the program that measures the TSC" "$CACHE/log/host-tsc.log" "$SCRIPTS/in-root.sh" \
		gcc -O2 -static -Wall -Wextra -Werror -o "/cache/$program.new" programs/host/host_tsc.c
	mv "$CACHE/$program.new" "$CACHE/$program"
}
once "$program" host-tsc 16 "the program" build
exec "$CACHE/$program"
