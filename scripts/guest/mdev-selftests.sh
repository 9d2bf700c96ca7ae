#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# mdev-selftests.sh FOLDER OUTPUT BDF: in the guest, create a mediated device of a PCI
# device, and run upstream's vfio selftests in FOLDER on it. Write OUTPUT/PROGRAM.tap
# and OUTPUT/PROGRAM.status. The unchanged programs look for the character device below
# the PCI device. Therefore mount a copy of /sys/bus/pci/devices with a link to that device.
#
# Some tests cannot run on a mediated device:
# - vfio_pci_sriov_uapi_test creates VFs, which vfio-mdev-pci refuses.
# - vfio_pci_driver_test needs a libvfio driver, and edu has none.
# - Tests with containers use the IOMMU group of the PCI device. Our own programs
#   cover containers.

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

# Some tests map huge pages
echo 64 >/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages
echo always >/sys/kernel/mm/transparent_hugepage/shmem_enabled

for program in "$folder"/vfio_*_test; do
	name=${program##*/}
	options='-v iommufd'
	case $name-${VM_DEVICES#*"$bdf="} in
	vfio_pci_sriov_uapi_test-* | vfio_pci_driver_test-edu*) continue ;;
	# All cases use the character device
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
