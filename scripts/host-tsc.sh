#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# host-tsc.sh: print the TSC frequency of this machine in kHz. An emulated CPU
# has the same frequency.

. "$(dirname "$0")/lib.sh"

[ $# -eq 0 ] || die "unknown argument '$1'; usage: host-tsc.sh"

program=host-tsc-$(key <"$SCRIPTS/host-tsc.c")
if [ ! -e "$CACHE/$program" ]; then
	lock host-tsc
	# Link statically: the root's libc may be newer than this machine's.
	# shellcheck disable=SC2016 # for the shell in the root
	[ -e "$CACHE/$program" ] ||
		step "building the program that measures the TSC" "$CACHE/log/host-tsc.log" "$SCRIPTS/in-root.sh" sh -ec '
			gcc -O2 -static -Wall -Wextra -Werror -o "$1.new" scripts/host-tsc.c
			mv "$1.new" "$1"' - "/cache/$program"
	unlock
fi
used "$program"
exec "$CACHE/$program"
