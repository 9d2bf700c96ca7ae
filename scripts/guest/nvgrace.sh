#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# nvgrace.sh PROGRAMS FOLDER: in the guest, write transcripts of the GPUs in VM_DEVICES to
# FOLDER: nvgrace, nvgrace_mig, nvgrace_cxl and nvgrace_late. The last one is not ready: a
# bind must fail, until this script writes its status registers. With our modules, also
# let QEMU pass nvgrace_mig to a nested guest.

set -euo pipefail

programs=$1
folder=$2
diff=$programs/vfio_pci_region_diff
mapfile -t bdfs < <(tr ' ' '\n' <<<"$VM_DEVICES" | sed -e '/^$/d' -e 's/=.*//')
late=${bdfs[3]}

export DRIVER=vfio-pci
[ "$MODULES" = ours ] || DRIVER=nvgrace_gpu_vfio_pci

# set_ready BDF: write the status registers of a GPU in BAR 0.
set_ready()
{
	python3 - "/sys/bus/pci/devices/$1" <<-'END'
	import mmap, sys
	with open(sys.argv[1] + "/enable", "w") as file:
	    file.write("1")
	with open(sys.argv[1] + "/resource0", "r+b") as file:
	    bar = mmap.mmap(file.fileno(), 0)
	    bar[0x1498] = bar[0x200bc] = 0xff
	with open(sys.argv[1] + "/enable", "w") as file:
	    file.write("0")
	END
}

modprobe "$DRIVER"
scripts/guest/bind.sh "${bdfs[0]}" "$DRIVER"
lsmod >"$folder/bound"

# The driver waits 30 s for the device
(
	began=$(cut -d. -f1 /proc/uptime)
	if scripts/guest/bind.sh "$late" "$DRIVER" 2>"$folder/late.errors"; then
		echo "bound"
	else
		echo "refused"
	fi
	if [ $(($(cut -d. -f1 /proc/uptime) - began)) -ge 29 ]; then
		echo "after 30 s"
	fi
) >"$folder/late.bind" &
refused=$!

scripts/guest/region-diff.sh "$diff" "$folder" nvgrace:0:iommufd:--quick nvgrace_cxl:2:iommufd:--quick

wait "$refused"
# Not earlier: with our modules, this unbinds all devices and binds them again
scripts/guest/region-diff.sh "$diff" "$folder" nvgrace_mig:1:vfio_type1v2_iommu:--quick
set_ready "$late"
scripts/guest/bind.sh "$late" "$DRIVER"
"$diff" --iommu iommufd --stage unready "$late" >"$folder/late.txt"
for index in 0 1 2; do
	"$diff" --iommu iommufd --stage devmem "${bdfs[$index]}" >"$folder/devmem-$index.txt"
done

[ "$MODULES" = ours ] || exit 0
for run in iommufd type1; do
	iommu='' object=()
	if [ "$run" = iommufd ]; then
		iommu=,iommufd=iommufd0 object=(-object "iommufd,id=iommufd0")
	fi
	status=0
	timeout 400 qemu-system-x86_64 -nodefaults -no-user-config -display none -no-reboot -accel tcg -m 64M \
		-kernel "$programs/guest_devmem" "${object[@]}" -device "vfio-pci,host=${bdfs[1]}$iommu" -device isa-debug-exit,iobase=0xf4,iosize=4 \
		-serial stdio </dev/null >"$folder/guest-$run" 2>"$folder/guest-$run.errors" || status=$?
	echo "status $status" >>"$folder/guest-$run"
done
scripts/guest/bind.sh all none
rmmod nvgrace_gpu_vfio_pci
lsmod >"$folder/unbound"
