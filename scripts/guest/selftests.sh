#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# selftests.sh FOLDER OUTPUT: in the guest, run all vfio selftests in FOLDER, by their
# own scripts, on the first device of the VM. Write OUTPUT/PROGRAM.tap and
# OUTPUT/PROGRAM.status.
#
# Run the slow vfio_pci_driver_test in two IOMMU modes. Write the options of a program that
# runs in few modes to OUTPUT/PROGRAM.part.
#
#     QUICK=1   run slow programs that hardly depend on the device in fewer IOMMU
#               modes
#     VENDOR=1  run all programs under vendor drivers whose overrides pass all
#               accesses through

set -euo pipefail

folder=$1
output=$2
bdf=${VM_DEVICES%%=*}

# One test creates VFs
modprobe vfio-pci enable_sriov=1
# Some tests map huge pages. One fills 1 GiB of shared memory in each case: with small
# pages, the debug kernel would exceed the time limit of 30 s.
echo 64 >/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages
echo always >/sys/kernel/mm/transparent_hugepage/shmem_enabled

if [ -n "${VENDOR-}" ]; then
	read -r vendor <"/sys/bus/pci/devices/$bdf/vendor"
	read -r device <"/sys/bus/pci/devices/$bdf/device"
	modprobe vfio_pci_testdrv ids="${vendor#0x}:${device#0x}"
	printf 'over %d;' {0..8} >/sys/module/vfio_pci_testdrv/parameters/setup_high
fi

bash "$folder/scripts/setup.sh" "$bdf" >/dev/null
for program in "$folder"/vfio_*_test; do
	name=${program##*/}
	status=0
	began=$(cut -d. -f1 /proc/uptime)
	options=
	case ${QUICK:+$name ${VM_DEVICES#*=}} in
	"vfio_pci_driver_test "*) options="-v iommufd" ;;
	"vfio_pci_sriov_uapi_test "*) options="-v iommufd_null_uuid" ;;
	vfio_dma_mapping_*" edu") options="-v iommufd -v vfio_type1v2_iommu" ;;
	esac
	[ "$name$options" != vfio_pci_driver_test ] || options="-v iommufd -v vfio_type1v2_iommu"
	[ -z "$options" ] || echo "$options" >"$output/$name.part"
	# shellcheck disable=SC2086 # options are words
	bash "$folder/scripts/run.sh" "$program" $options >"/tmp/$name" 2>&1 || status=$?
	# Remove leftover VFs: unbinding a PF with VFs gives a warning
	[ ! -e "/sys/bus/pci/devices/$bdf/sriov_numvfs" ] || echo 0 >"/sys/bus/pci/devices/$bdf/sriov_numvfs"
	cp "/tmp/$name" "$output/$name.tap"
	echo "$status" >"$output/$name.status"
	echo "$MODULES $name: status $status, $(($(cut -d. -f1 /proc/uptime) - began)) s"
done
bash "$folder/scripts/cleanup.sh" "$bdf" >/dev/null
if [ -n "${VENDOR-}" ]; then
	# The suite checks that the vendor drivers were attached
	grep -H . /sys/module/vfio_pci_testdrv/parameters/{releases,opens,closes} >"$output/vendor"
	scripts/guest/without-vendor.sh vfio_pci_testdrv
fi
