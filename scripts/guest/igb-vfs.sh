#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# igb-vfs.sh PF...: in the guest, bind the devices to igb, give each PF NR_VFS virtual
# functions (1), and bind these to vfio-pci. Print the address of the first one of each PF.

set -euo pipefail

die()
{
	printf 'error: %s\n' "$*" >&2
	exit 1
}

# wait_for WHAT COMMAND...: wait up to 60 s until COMMAND succeeds.
wait_for()
{
	local tries=600

	until "${@:2}" >/dev/null; do
		tries=$((tries - 1))
		[ "$tries" -gt 0 ] || die "waited 60 s for $1; see dmesg"
		sleep 0.1
	done
}

interface()
{
	ls "/sys/bus/pci/devices/$1/net" 2>/dev/null
}

# A reset of the device clears the carrier, and igb looks at the link every 2 s.
has_link()
{
	[ "$(cat "/sys/class/net/$(interface "$1")/carrier" 2>/dev/null)" = 1 ]
}

[ $# -gt 0 ] || die "no PF; usage: igb-vfs.sh PF..."
# The tests count frames, so the interfaces must not send any by themselves.
if [ -e /proc/sys/net/ipv6 ]; then
	echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6
	echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6
fi
for pf in "$@"; do
	scripts/guest/bind.sh "$pf" igb
	wait_for "the interface of $pf" interface "$pf"
	echo 0 >"/sys/bus/pci/devices/$pf/sriov_drivers_autoprobe"
	# This resets the PF, so bring it up afterwards.
	echo "${NR_VFS:-1}" >"/sys/bus/pci/devices/$pf/sriov_numvfs"
	busybox ifconfig "$(interface "$pf")" up
	for vf in "/sys/bus/pci/devices/$pf"/virtfn*; do
		scripts/guest/bind.sh "$(basename "$(readlink "$vf")")" vfio-pci
	done
	basename "$(readlink "/sys/bus/pci/devices/$pf/virtfn0")"
done
for pf in "$@"; do
	wait_for "the link of $pf" has_link "$pf"
done
