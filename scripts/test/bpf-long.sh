#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# bpf-long.sh: BPF drivers on a debug kernel with BTF, which must report no bug. This also
# fails each allocation of an attach and of an open. The kernel takes long to build, so the
# suite bpf uses Debian's. Results are in out/bpf-long.

# shellcheck disable=SC2034 # test.sh reads it
SUITE_LONG=1

. "$(dirname "$0")/../lib.sh"

suite=bpf-long
. "$SCRIPTS/selftest-vms.sh"

selftest=$("$SCRIPTS/bpf.sh" selftest)
vms=([debug]='debug-btf edu=edu')
runs=''

before_debug()
{
	# shellcheck disable=SC2016 # for the shell in the guest
	echo 'mount -t bpf bpf /sys/fs/bpf'
	# shellcheck disable=SC2016
	for name in vfio_pci_bpf_test global fail_nth; do
		echo "record $name $selftest/vfio_pci_bpf_test -f $name \$edu"
	done
	echo "record verifier $selftest/vfio_pci_bpf_verifier; rmmod vfio_pci_bpf"
}

check_debug()
{
	for name in vfio_pci_bpf_test global fail_nth; do
		passes debug "$name" "vfio_pci_bpf_test -f $name" 0
	done
	passes debug verifier vfio_pci_bpf_verifier 0
	has_not debug/modules '^vfio_pci_bpf ' 'debug: no program is left over'
}

test_in_vms debug
totals
