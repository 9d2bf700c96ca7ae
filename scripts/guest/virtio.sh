#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# virtio.sh PROGRAM MODULE FOLDER PF: in the guest, give the virtio device PF a virtual
# function with legacy I/O, by MODULE, and bind it to the variant driver of virtio. Write
# the transcript of PROGRAM to FOLDER/transcript, and the results of legacy-io.py to
# FOLDER/legacy. Use type1, because Debian's kernel has no
# iommufd.

set -euo pipefail

program=$1
module=$2
folder=$3
pf=$4

modprobe virtio_net
insmod "$module"
echo 0 >"/sys/bus/pci/devices/$pf/sriov_drivers_autoprobe"
echo 1 >"/sys/bus/pci/devices/$pf/sriov_numvfs"
vf=$(basename "$(readlink "/sys/bus/pci/devices/$pf/virtfn0")")
modprobe -a virtio_vfio_pci vfio_iommu_type1
scripts/guest/bind.sh "$vf" virtio_vfio_pci
"$program" --iommu vfio_type1v2_iommu --quick "$vf" >"/tmp/transcript"
cp /tmp/transcript "$folder"
scripts/guest/legacy-io.py "$vf" >"$folder/legacy"
# A variant driver does not pin itself
rmmod virtio_vfio_pci
lsmod >"$folder/unbound"
