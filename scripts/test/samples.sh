#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# samples.sh: the sample vendor drivers work in a VM. Binding a device loads them.
# vfio_pci_edu adds a region, and its module is pinned while a device is bound.
# vfio_pci_edu_migration migrates one device to another, with vfio_pci_edu and without
# it.

# shellcheck disable=SC2034 # test.sh reads it
SUITE_SECONDS=200

. "$(dirname "$0")/../lib.sh"

suite=samples
. "$SCRIPTS/selftest-vms.sh"

vms=(
	[release]='release edu=edu port=port/edu other=pci-testdev'
	[debug]='debug edu=edu port=port/edu'
)
# The VMs load the samples
variables=([release]='APPEND=' [debug]='APPEND=')
# shellcheck disable=SC2016 # $ is for the shell in the guest
runs='
debug	vfio_pci_vendor_edu_test	1	-v iommufd $edu
debug	vfio_pci_migration_edu_test	0	-v iommufd $edu $port'

before_release()
{
	cat <<-END
	has_region() { record "\$1" $programs/vfio_pci_vendor_edu_test "\$2"; }
	migrates() { record "\$1" $programs/vfio_pci_migration_edu_test \$edu \$port; }
	lsmod >\$out/bound
	has_region first \$edu
	has_region second \$port
	migrates both
	rmmod vfio_pci_edu 2>\$out/pinned
	scripts/guest/without-vendor.sh vfio_pci_edu
	lsmod >\$out/unloaded
	# The programs must not load it, either
	echo 'install vfio_pci_edu /bin/false' >/run/modprobe.d/install.conf
	migrates alone
	has_region without \$edu
	rm /run/modprobe.d/install.conf
	modprobe vfio_pci_edu
	has_region again \$edu
	# A device with other ids
	has_region other \$other
	END
}

check_release()
{
	has release/bound '^vfio_pci_edu ' 'release: binding a device loads vfio_pci_edu'
	has release/bound '^vfio_pci_edu_migration ' 'release: binding a device loads vfio_pci_edu_migration'
	passes release first 'a device has the region of the vendor driver' 5
	passes release second 'a device with a reset has the region, too' 0
	passes release both 'the device migrates with both vendor drivers' 0
	has release/pinned 'vfio_pci_edu is in use' 'release: bound devices pin vfio_pci_edu'
	has_not release/unloaded '^vfio_pci_edu ' 'release: vfio_pci_edu can be unloaded after unbind'
	passes release alone 'the device migrates with vfio_pci_edu_migration alone' 0
	# The program looks for a reason only if the device lacks the region
	has release/without.tap '^1[.][.]0 # SKIP .*loading the module vfio_pci_edu failed' \
		'release: the device has no region without vfio_pci_edu'
	passes release again 'the region returns when vfio_pci_edu is loaded again' 5
	has release/other.tap "^1[.][.]0 # SKIP .*is not QEMU's edu" 'release: a device with other ids has no region'
}

test_in_vms release debug
totals
