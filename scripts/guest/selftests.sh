#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# selftests.sh FOLDER OUTPUT: in the guest, run all vfio selftests of FOLDER on
# the first device of the VM, with the scripts that come with them. Writes
# OUTPUT/PROGRAM.tap and OUTPUT/PROGRAM.status. With QUICK=1, what takes minutes
# and not much of which is about the device is not run in all IOMMU modes; then
# OUTPUT/PROGRAM.part says so.

set -euo pipefail

folder=$1
output=$2
bdf=${VM_DEVICES%%=*}

modprobe vfio-pci
# Some tests map memory by large pages. One fills 1 GiB of shared memory within
# its 30 s for each case: page by page, the debug kernel would need longer.
echo 64 >/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages
echo always >/sys/kernel/mm/transparent_hugepage/shmem_enabled

bash "$folder/scripts/setup.sh" "$bdf" >/dev/null
for program in "$folder"/vfio_*_test; do
	name=${program##*/}
	status=0
	began=$(cut -d. -f1 /proc/uptime)
	options=
	case ${QUICK:+$name ${VM_DEVICES#*=}} in
	"vfio_pci_driver_test "*) options="-v iommufd" ;;
	vfio_dma_mapping_*" edu") options="-v iommufd -v vfio_type1v2_iommu" ;;
	esac
	[ -z "$options" ] || echo "$options" >"$output/$name.part"
	# shellcheck disable=SC2086 # options are words
	bash "$folder/scripts/run.sh" "$program" $options >"/tmp/$name" 2>&1 || status=$?
	cp "/tmp/$name" "$output/$name.tap"
	echo "$status" >"$output/$name.status"
	echo "$MODULES $name: status $status, $(($(cut -d. -f1 /proc/uptime) - began)) s"
done
bash "$folder/scripts/cleanup.sh" "$bdf" >/dev/null
