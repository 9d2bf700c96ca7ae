#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# nvgrace.sh: userspace sees no difference between the vendor driver for the GPUs of NVIDIA
# Grace and stock's variant driver with the fixes of the first series. A server emulates
# the GPUs; the guest's memory from 1 GiB on is their device memory. QEMU passes a GPU to a
# nested guest. The selftest of device memory runs on the release kernel and on the debug
# kernel, which must report no bug; also with the sample vfio_pci_devmem on an edu device.
# KERNEL selects one kernel; the default is both. Results are in out/nvgrace.

# shellcheck disable=SC2034 # test.sh reads it
SUITE_SECONDS=300

. "$(dirname "$0")/../lib.sh"
. "$SCRIPTS/result.sh"
. "$SCRIPTS/side-by-side.sh"
OTHER=fixes

read -r -a kernels <<<"${KERNEL:-release debug}"
programs=$("$SCRIPTS/userspace.sh")
folder=$OUT/nvgrace
rm -rf "$folder"
mkdir -p "$folder"/{fixes,ours,debug}
. "$SCRIPTS/nvgrace-vm.sh"

# in_vm MODULES COMMAND: run a command in a VM with the GPUs and edu.
in_vm()
{
	MODULES=$1 DEVICES=$NVGRACE_DEVICES NAME=nvgrace-$KERNEL-$1 MEM=$NVGRACE_MEM TIMEOUT=${TIMEOUT:-3600} \
		APPEND=$NVGRACE_APPEND QEMU=$NVGRACE_QEMU "$SCRIPTS/vm.sh" "$2"
}

# selftest FOLDER: print commands for the guest that define test_gpu NAME BDF ADDRESS OPTIONS...,
# which runs the selftest of device memory on a GPU. ADDRESS is that of its memory.
selftest()
{
	cat <<-END
		read -r nvgrace nvgrace_mig nvgrace_cxl nvgrace_late edu < <(tr ' ' '\n' <<<"\$VM_DEVICES" | sed 's/=.*//' | xargs)
		modprobe vfio-pci
		scripts/guest/bind.sh \$edu vfio-pci
		test_gpu()
		{
			local status=0

			scripts/guest/bind.sh "\$2" vfio-pci
			VFIO_SELFTESTS_DEVMEM=\$3 $programs/vfio_pci_vendor_devmem "\${@:4}" "\$2" \$edu \
				>"$1/\$1.tap" 2>&1 || status=\$?
			echo "\$status" >"$1/\$1.status"
		}
	END
}

# The addresses of the memory of nvgrace_mig and of edu in nvgrace.asl
mig=0xa4000000 sample=0xae000000
fail_nth=open_fails_or_is_complete_if_an_allocation_fails
transcripts()
{
	in_vm "$1" "set -e
		scripts/guest/nvgrace.sh $programs /repo/out/nvgrace/$1
		[ $1 = ours ] || exit 0
		$(selftest out/nvgrace/ours)
		test_gpu mig \$nvgrace_mig $mig -T accesses_race_with_resets -T $fail_nth -v iommufd
		test_gpu gh200 \$nvgrace 0 -r devmem.iommufd.all_accesses_reach_the_same_memory \
			-r devmem.iommufd.bytes_after_the_memory_are_ones
		scripts/guest/bind.sh \$edu none
		modprobe vfio_pci_devmem ids=1234:11e8
		test_gpu sample \$edu $sample -T accesses_race_with_resets -T $fail_nth \
			-T dma_by_another_device_reaches_the_memory -v iommufd"
}

debug()
{
	in_vm "$1" "set -e
		$(selftest out/nvgrace/debug)
		test_gpu mig \$nvgrace_mig $mig -T $fail_nth -v iommufd
		test_gpu fail_nth \$nvgrace_mig $mig -r devmem.vfio_type1v2_iommu.$fail_nth
		scripts/guest/bind.sh all none
		rmmod nvgrace_gpu_vfio_pci"
}

# Lines that differ for a known reason, see the patch that converts the driver: ioeventfds
# (ioctl 16), accesses of 0 bytes after the end of a region, dma-bufs of device memory, and the
# data of config reads that fail. Also, stock reads the buffer of a config write twice; in
# the stage alias, the write makes this buffer inaccessible. In a race with resets, the
# GPU may not become ready in time for an access to its memory.
known='ioeventfd|ioctl 16 without|n=0 |^dmabuf: |^power/.*(dma-?_?buf|iommufd maps)| rd 7\+.* = EFAULT |alias: wr 7\+|^reset/reset-race: (4 (byte|KiB) reads|writes|touches)| cases$'

# After a fault of the buffer, write-combining memory has the bytes up to the fault; stock
# writes registers of 8 bytes. These are the lines with data of this memory after the first
# such fault.
faulted='^(vector|fault|alias|power[^:]*|reset[^:]*): (rd|wr|readv|writev|memory) 2\+|^(mmap|power[^:]*|reset[^:]*):   2\+|^(vector|mmap|alias|power[^:]*|reset[^:]*): scratch 2\+'

# same NAME FILE LEAST [PATTERN]: check that a transcript is the same, except for known lines
# and those that match PATTERN, and has LEAST lines.
same()
{
	local a=$folder/fixes/$2.same b=$folder/ours/$2.same lines=0 kind

	for kind in fixes ours; do
		[ ! -e "$folder/$kind/$2" ] || grep -v -E "$known${4:+|$4}" "$folder/$kind/$2" >"$folder/$kind/$2.same" || true
	done
	[ ! -e "$a" ] || lines=$(wc -l <"$a")
	if differ "$a" "$b" >"$folder/why" 2>&1; then
		result 1 "$1" "$folder/why"
	elif [ "$lines" -lt "$3" ]; then
		echo "only $lines lines; see out/nvgrace/*.log" >"$folder/why"
		result 1 "$1" "$folder/why"
	else
		result 0 "$1 ($lines lines)"
		total=$((total + lines))
	fi
}

# passes FOLDER NAME SKIPPED: check the results of the selftest.
passes()
{
	local tap=$folder/$1/$2.tap status=0 p=0 f=0 s=0

	[ ! -s "$tap" ] || read -r p f s < <(counts "$tap")
	[ "$f" -eq 0 ] && [ "$p" -ge 1 ] && [ "$s" -eq "$3" ] && [ "$(cat "$folder/$1/$2.status" 2>/dev/null)" = 0 ] ||
		status=1
	why "$tap" >"$folder/why" 2>&1 || true
	result "$status" "$1: the selftest of device memory passes on $2 ($p passed, $s skipped)" "$folder/why"
}

if [[ " ${kernels[*]} " == *" release "* ]]; then
	export KERNEL=release
	total=0
	side_by_side transcripts "$folder"

	has ours/bound '^nvgrace_gpu_vfio_pci ' "binding a GPU to vfio-pci loads the vendor driver"
	has_not ours/unbound '^nvgrace_gpu_vfio_pci ' "after unbind, the module can be unloaded"
	same "a bind fails in the same way if the GPU is not ready" late.bind 2
	has ours/late.bind '^refused$' "the bind fails"
	has ours/late.bind '^after 30 s$' "the bind waits 30 s"
	same "nvgrace_mig, type1" nvgrace_mig.vfio_type1v2_iommu.txt 15000
	same "nvgrace, iommufd" nvgrace.iommufd.txt 15000 "$faulted"
	same "nvgrace_cxl, iommufd" nvgrace_cxl.iommufd.txt 15000
	same "accesses fail if the GPU is not ready after a reset" late.txt 5
	has ours/late.txt '= ETIME' "a read fails after 30 s"
	gpus=(nvgrace nvgrace_mig nvgrace_cxl)
	for index in 0 1 2; do
		same "${gpus[$index]}: page tables of mappings" "devmem-$index.txt" 8
	done
	has ours/devmem-1.txt ' pmd$' "mappings have huge pages"
	echo "# $total lines equal"

	for run in iommufd type1; do
		has "ours/guest-$run" '^status 33$' "QEMU, $run: the nested guest completes"
		has "ours/guest-$run" '^size 0x04000000$' "QEMU, $run: the nested guest sees a BAR of 64 MiB"
	done
	# The nested guest increments words in the memory; the next one finds them
	for run in found/type1 word/iommufd; do
		sed -n "s/^${run%/*} //p" "$folder/ours/guest-${run#*/}" >"$folder/words-${run#*/}" 2>/dev/null || true
	done
	status=0
	[ "$(wc -l <"$folder/words-iommufd")" -eq 6 ] || status=1
	diff "$folder"/words-{iommufd,type1} >"$folder/why" || status=1
	result "$status" "QEMU: a nested guest finds what the previous one has written" "$folder/why"
	passes ours mig 0
	passes ours gh200 0
	passes ours sample 0
fi

if [[ " ${kernels[*]} " == *" debug "* ]]; then
	export KERNEL=debug
	status=0
	"$SCRIPTS/modules.sh" debug ours >/dev/null
	debug ours >"$folder/debug.log" 2>&1 || status=$?
	why "$folder/debug.log" >"$folder/why"
	result "$status" "debug: the VM succeeds" "$folder/why"
	passes debug mig 0
	passes debug fail_nth 0
fi
totals
