#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# igbvf.sh: migrate a virtual function of QEMU's igb to a function of a second igb, and
# exchange frames with a third igb. One hub connects them. The guest is a selftest, or
# DPDK's testpmd. Each device has a second function, which must not notice a hostile guest of
# the first one. On the debug kernel, userspace also loads states that an attacker has
# changed. This kernel must report no bug.
#
#     STREAMS  number of these states
#     TRIPS    number of round trips of testpmd

# shellcheck disable=SC2034 # test.sh reads it
SUITE_SECONDS=300

. "$(dirname "$0")/../lib.sh"

suite=igbvf
. "$SCRIPTS/selftest-vms.sh"

testpmd=$("$SCRIPTS/dpdk.sh")
streams=${STREAMS:-1000}
trips=${TRIPS:-10}
# A bind must load the vendor driver
NO_VENDOR=

igbs='a=port/igb,netdev=a b=port/igb,netdev=b peer=port/igb,netdev=peer'
vms=(
	[release]="release $igbs"
	[unlogged]="release $igbs"
	[debug]="debug $igbs"
)
for vm in "${!vms[@]}"; do
	# shellcheck disable=SC2034 # selftest-vms.sh reads it
	qemu[$vm]='-netdev hubport,id=a,hubid=0 -netdev hubport,id=b,hubid=0 -netdev hubport,id=peer,hubid=0'
done
# shellcheck disable=SC2016,SC2034 # $ is for the shell in the guest
runs='
release	vfio_pci_migration_igbvf_test	0	-v vfio_type1v2_iommu -v iommufd $vfs $peer
unlogged	vfio_pci_migration_igbvf_test	1	-v iommufd $vfs $peer
debug	vfio_pci_migration_igbvf_test	0	-v iommufd -f igbvf_stream $vfs $peer'

# vfs: print commands for the guest that make the virtual functions.
vfs()
{
	cat <<-'END'
	scripts/guest/bind.sh $peer igb
	vfs=$(NR_VFS=2 scripts/guest/igb-vfs.sh $a $b | xargs)
	END
}

# vfio-pci loads the driver by its alias.
before_release()
{
	vfs
	# shellcheck disable=SC2016 # for the shell in the guest
	echo 'lsmod >$out/loaded'
}

before_unlogged()
{
	echo 'modprobe vfio-pci-igbvf log=0'
	vfs
}

before_debug()
{
	echo "export STREAMS=$streams"
	vfs
}

# Unbinding a PF with virtual functions gives a warning.
without_vfs()
{
	# shellcheck disable=SC2016 # for the shell in the guest
	echo 'for pf in $a $b; do echo 0 >/sys/bus/pci/devices/$pf/sriov_numvfs; done'
}
after_debug() { without_vfs; }

# testpmd: print commands for the guest that migrate testpmd.
testpmd()
{
	# shellcheck disable=SC2016 # for the shell in the guest
	echo "record testpmd programs/migrate/testpmd.py $testpmd $programs/mmio_socket.so" '$vfs $peer' "$trips" '$out'
}
after_release() { testpmd; without_vfs; }
after_unlogged() { testpmd; without_vfs; }

check_release()
{
	passes release testpmd "testpmd moves between functions" 0
	has release/loaded '^vfio_pci_igbvf ' "release: a bind loads the vendor driver"
}

check_unlogged()
{
	passes unlogged testpmd "testpmd moves between functions" 1
}

check_debug()
{
	has debug/1-vfio_pci_migration_igbvf_test.tap "$streams streams, [0-9]+ accepted" \
		"debug: the driver survives $streams forged states"
}

test_in_vms debug release unlogged
totals
