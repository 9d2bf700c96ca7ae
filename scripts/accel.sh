#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# accel.sh: print kvm if a VM boots with KVM on this machine, tcg otherwise.
# /dev/kvm may exist and still fail under nested virtualization, so boot one VM
# and cache the result.

. "$(dirname "$0")/lib.sh"

[ $# -eq 0 ] || die "unknown argument '$1'; usage: accel.sh"

if [ ! -r /dev/kvm ] || [ ! -w /dev/kvm ]; then
	echo tcg
	exit
fi
file=accel-$({ uname -rm; grep -m 1 'model name' /proc/cpuinfo || true; id -u; } | key)
try_kvm()
{
	say "trying KVM"
	if ACCEL=kvm KERNEL=${KERNEL:-release} MODULES=${MODULES:-stock} TIMEOUT=60 DEVICES='' QEMU='' NAME=accel \
		"$SCRIPTS/vm.sh" true >/dev/null 2>&1; then
		echo kvm >"$CACHE/$file"
		say "KVM works"
	else
		echo tcg >"$CACHE/$file"
		say "KVM boots no kernel here; using emulation (see out/vm/accel.console.log)"
	fi
}

once "$file" accel 16 "the result" try_kvm
cat "$CACHE/$file"
