#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# libvirt.sh: unpack a Debian system with libvirt, driverctl and udev, if it is missing, and
# print its folder in the root. scripts/guest/libvirt.sh uses it.

. "$(dirname "$0")/lib.sh"
. "$SCRIPTS/debs.sh"

[ $# -eq 0 ] || die "unknown argument '$1'; usage: libvirt.sh"

# unpack DIR WORK: in the root, unpack the packages into DIR.
unpack()
{
	local dir=$1 work=$2

	set -euo pipefail
	# shellcheck disable=SC2064 # expand now
	trap "rm -rf '$work'" EXIT
	unpack_debs "$work" "libvirt-daemon libvirt-daemon-driver-nodedev libvirt-daemon-driver-qemu libvirt-clients driverctl udev \
		bash coreutils grep sed gawk util-linux kmod pciutils procps mount" trixie
	rm -rf "$dir"
	mv -T "$work/root" "$dir"
}

dir=libvirt-$(declare -f unpack unpack_debs | key)
build()
{
	step_in_root "unpacking libvirt and driverctl" "$CACHE/log/libvirt.log" 'unpack unpack_debs' "/cache/$dir" /cache/tmp-libvirt
}
once "$dir" libvirt 1000 "libvirt and driverctl" build
echo "/cache/$dir"
