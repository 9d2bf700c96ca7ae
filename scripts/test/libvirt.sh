#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# libvirt.sh: libvirt and driverctl bind devices to vfio-pci, which loads the vendor drivers.
# Debian's packages and kernel, with udev. With the modules of the first series, libvirt
# chooses the variant driver nvgrace-gpu. Results are in out/libvirt.

# shellcheck disable=SC2034 # test.sh and vm.sh read variables
SUITE_SECONDS=60

. "$(dirname "$0")/../lib.sh"
. "$SCRIPTS/result.sh"
. "$SCRIPTS/side-by-side.sh"
OTHER=fixes

export KERNEL=stock
# The devices have vendor drivers
APPEND=
layer=$("$SCRIPTS/libvirt.sh")
folder=$OUT/libvirt
rm -rf "$folder"
mkdir -p "$folder"/{fixes,ours}

in_vm()
{
	MODULES=$1 DEVICES='port/user:nvgrace edu' NAME=libvirt-$1 "$SCRIPTS/vm.sh" \
		"scripts/guest/libvirt.sh $layer /repo/out/libvirt/$1 \$(tr ' ' '\n' <<<\"\$VM_DEVICES\" | sed 's/=.*//' | xargs)"
}

side_by_side in_vm "$folder"
has fixes/xml '<name>nvgrace_gpu_vfio_pci</name>' "the variant driver: libvirt chooses it"
has ours/xml '<name>vfio-pci</name>' "the vendor driver: libvirt chooses vfio-pci"
has ours/detached '^nvgrace_gpu_vfio_pci ' "vfio-pci loads the vendor driver"
has ours/reattached '^nvgrace_gpu_vfio_pci +[0-9]+ +0' "after reattach, the module can be unloaded"
has ours/overridden '^0000:00:03.0 vfio-pci$' "driverctl saves the override"
has ours/overridden '^vfio_pci_edu ' "the override loads the vendor driver"
has_not ours/unset '^0000:00:03.0 ' "driverctl removes the override"
has fixes/old '^status 0$' "the variant driver: driverctl binds it"
has_not ours/old '^status 0$' "the vendor driver: driverctl refuses to bind its name"
totals
