#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# qemu.sh SUITE: unpack the QEMU of another Debian suite with its libraries and
# firmware, if it is missing, and print its path in the root. bookworm has QEMU 7.2,
# trixie-backports has QEMU 11. The root itself has QEMU 10, from trixie.

. "$(dirname "$0")/lib.sh"
. "$SCRIPTS/debs.sh"

usage="usage: qemu.sh bookworm|trixie-backports"
[ $# -eq 1 ] || die "a Debian suite is needed; $usage"
case "$1" in
bookworm) suites=(bookworm) ;;
# Backports depend on packages of trixie.
trixie-backports) suites=(trixie trixie-backports) ;;
*) die "unknown suite '$1'; $usage" ;;
esac

# unpack DIR WORK SUITE...: in the root, unpack QEMU of the last SUITE into DIR.
unpack()
{
	local dir=$1 work=$2
	shift 2

	set -euo pipefail
	# shellcheck disable=SC2064 # expand now
	trap "rm -rf '$work'" EXIT
	unpack_debs "$work" qemu-system-x86 "$@"
	# Run the program with its own libc, modules and firmware.
	cat >"$work/root/qemu-system-x86_64" <<-'END'
	#!/bin/sh
	dir=$(dirname "$(readlink -f "$0")")
	export QEMU_MODULE_DIR=$dir/usr/lib/x86_64-linux-gnu/qemu
	exec "$dir/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2" --inhibit-cache \
		--library-path "$dir/lib/x86_64-linux-gnu:$dir/usr/lib/x86_64-linux-gnu" \
		"$dir/usr/bin/qemu-system-x86_64" -L "$dir/usr/share/qemu" -L "$dir/usr/share/seabios" "$@"
	END
	chmod +x "$work/root/qemu-system-x86_64"
	# Fail if a library or a module is missing.
	"$work/root/qemu-system-x86_64" --version
	echo quit | "$work/root/qemu-system-x86_64" -nodefaults -display none -accel tcg -S -monitor stdio
	mv -T "$work/root" "$dir"
}

dir=qemu-$1-$({ echo "${suites[*]}"; declare -f unpack unpack_debs; } | key)
suite=$1
build()
{
	step_in_root "unpacking QEMU of Debian $suite" "$CACHE/log/qemu-$suite.log" 'unpack unpack_debs' \
		"/cache/$dir" "/cache/tmp-qemu-$suite" "${suites[@]}"
}
once "$dir" "qemu-$suite" 700 "QEMU of Debian $suite" build
echo "/cache/$dir/qemu-system-x86_64"
