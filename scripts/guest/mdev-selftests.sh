#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# mdev-selftests.sh FOLDER OUTPUT BDF: in the guest, make a PCI device a mediated
# device, and run on it, by its character device, what of the vfio selftests of
# FOLDER can be. They are as upstream has them, and look for that device below the
# PCI device: so they are shown a folder of PCI devices where it is. Writes
# OUTPUT/PROGRAM.tap and OUTPUT/PROGRAM.status.
#
# Not vfio_pci_sriov_uapi_test: it makes VFs of the device that it opens, which
# vfio-mdev-pci refuses. Not vfio_pci_driver_test on edu, for which libvfio has no
# driver. Not what takes containers, which is by the IOMMU group of the PCI device
# and knows of no mediated one; our own programs do that.

set -euo pipefail

folder=$1
output=$2
bdf=$3
uuid=3c9d2f64-84a1-4be2-8f0e-1d5b7a96c0e3
view=/run/mdev-view

scripts/guest/bind.sh "$bdf" vfio-mdev-pci
device=/sys/bus/pci/devices/$bdf
echo "$uuid" >"$device/mdev_supported_types/vfio-mdev-pci-type1/create"

mkdir -p "$view/$bdf"
for path in "$device"/*; do
	ln -s "$(readlink -f "$path")" "$view/$bdf/${path##*/}"
done
ln -s "/sys/bus/mdev/devices/$uuid/vfio-dev" "$view/$bdf/vfio-dev"
mount --bind "$view" /sys/bus/pci/devices

# Some tests map memory by large pages
echo 64 >/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages
echo always >/sys/kernel/mm/transparent_hugepage/shmem_enabled

for program in "$folder"/vfio_*_test; do
	name=${program##*/}
	options='-v iommufd'
	case $name-${VM_DEVICES#*"$bdf="} in
	vfio_pci_sriov_uapi_test-* | vfio_pci_driver_test-edu*) continue ;;
	# All of it is by the character device
	vfio_iommufd_setup_test-* | vfio_pci_device_test-*) options= ;;
	vfio_dma_mapping_test-*) options='-v iommufd -v iommufd_anonymous -v iommufd_anonymous_hugetlb_2mb' ;;
	esac
	status=0
	began=$(cut -d. -f1 /proc/uptime)
	# shellcheck disable=SC2086 # options are words
	"$program" $options "$bdf" >"$output/$name.tap" 2>&1 || status=$?
	echo "$status" >"$output/$name.status"
	echo "$name: status $status, $(($(cut -d. -f1 /proc/uptime) - began)) s"
done

umount /sys/bus/pci/devices
rm -r "$view"
echo 1 >"/sys/bus/mdev/devices/$uuid/remove"
scripts/guest/bind.sh "$bdf" none
