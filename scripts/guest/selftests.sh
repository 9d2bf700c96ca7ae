#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# selftests.sh FOLDER OUTPUT: in the guest, run all vfio selftests of FOLDER on
# the first device of the VM, with the scripts that come with them. Writes
# OUTPUT/PROGRAM.tap and OUTPUT/PROGRAM.status. With QUICK=1, the test that takes
# minutes, as it moves much data, is run in one IOMMU mode only.

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
	[ -z "${QUICK-}" ] || [ "$name" != vfio_pci_driver_test ] || options="-v iommufd"
	# shellcheck disable=SC2086 # options are words
	bash "$folder/scripts/run.sh" "$program" $options >"/tmp/$name" 2>&1 || status=$?
	cp "/tmp/$name" "$output/$name.tap"
	echo "$status" >"$output/$name.status"
	echo "$MODULES $name: status $status, $(($(cut -d. -f1 /proc/uptime) - began)) s"
done
bash "$folder/scripts/cleanup.sh" "$bdf" >/dev/null
