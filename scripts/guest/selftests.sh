#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# selftests.sh FOLDER OUTPUT: in the guest, run all vfio selftests of FOLDER on
# the first device of the VM, with the scripts that come with them. Writes
# OUTPUT/PROGRAM.tap and OUTPUT/PROGRAM.status. With QUICK=1, what takes minutes
# and not much of which is about the device is not run in all IOMMU modes; then
# OUTPUT/PROGRAM.part says so. With VENDOR=1, all is under vendor drivers of which
# one does nothing and one overrides each region with nothing.

set -euo pipefail

folder=$1
output=$2
bdf=${VM_DEVICES%%=*}

# One test makes VFs
modprobe vfio-pci enable_sriov=1
# Some tests map memory by large pages. One fills 1 GiB of shared memory within
# its 30 s for each case: page by page, the debug kernel would need longer.
echo 64 >/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages
echo always >/sys/kernel/mm/transparent_hugepage/shmem_enabled

if [ -n "${VENDOR-}" ]; then
	read -r vendor <"/sys/bus/pci/devices/$bdf/vendor"
	read -r device <"/sys/bus/pci/devices/$bdf/device"
	modprobe vfio_pci_torture ids="${vendor#0x}:${device#0x}"
	printf 'over %d;' {0..8} >/sys/module/vfio_pci_torture/parameters/setup_high
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
	[ -z "$options" ] || echo "$options" >"$output/$name.part"
	# shellcheck disable=SC2086 # options are words
	bash "$folder/scripts/run.sh" "$program" $options >"/tmp/$name" 2>&1 || status=$?
	# VFs that it left: a PF that has some cannot be unbound without a warning
	[ ! -e "/sys/bus/pci/devices/$bdf/sriov_numvfs" ] || echo 0 >"/sys/bus/pci/devices/$bdf/sriov_numvfs"
	cp "/tmp/$name" "$output/$name.tap"
	echo "$status" >"$output/$name.status"
	echo "$MODULES $name: status $status, $(($(cut -d. -f1 /proc/uptime) - began)) s"
done
bash "$folder/scripts/cleanup.sh" "$bdf" >/dev/null
if [ -n "${VENDOR-}" ]; then
	# All was as without only if it was there
	grep -H . /sys/module/vfio_pci_torture/parameters/{releases,opens,closes} >"$output/vendor"
	scripts/guest/without-vendor.sh vfio_pci_torture
fi
