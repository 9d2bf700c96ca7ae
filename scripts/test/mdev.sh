#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# mdev.sh: PCI devices as mediated devices, by the sample vfio-mdev-pci. In VMs, test:
# - the devices in each IOMMU mode, and that the IOMMU confines their DMA
# - the sample vendor driver, upstream's selftests and QEMU on a mediated device
# - creation fails without an IOMMU
# - devices that come and go, also all at the same time for SECONDS_RACE seconds
# - on the debug kernel, a failure of each allocation in turn
# KERNEL selects one kernel; the default is both.

# shellcheck disable=SC2034 # test.sh reads it
SUITE_CPUS=1 SUITE_SECONDS=400

. "$(dirname "$0")/../lib.sh"
. "$SCRIPTS/result.sh"
. "$SCRIPTS/qemu-events.sh"

read -r -a kernels <<<"${KERNEL:-release debug}"
programs=$("$SCRIPTS/userspace.sh")
folder=$OUT/mdev
rm -rf "$folder"
mkdir -p "$folder"
uuid=9a4e7c10-52d8-4f36-b1c7-e08d3f6a2b95

# Devices: edu with 32-bit DMA, edu to unplug, igb, edu with a reset, virtio-rng with AER.
# group: two edu devices behind a bridge, in one IOMMU group
devices='edu,dma_mask=0xffffffff port/edu,id=victim igb port/edu'
devices+=' port/virtio-rng-pci,id=faulty,aer=on,disable-legacy=on'
group='-device pcie-pci-bridge,id=bridge,bus=pcie.0,addr=0x10 -device edu,bus=bridge,addr=1 -device edu,bus=bridge,addr=2'

# prepare KERNEL: print the first commands for the guest.
prepare()
{
	cat <<-END
	out=/repo/out/mdev/$1
	export VFIO_SELFTESTS_EVENTS=1
	bdfs=(\$(tr ' ' '\n' <<<"\$VM_DEVICES" | sed 's/=.*//'))
	shared=\$(basename /sys/bus/pci/devices/0000:00:10.0/0000:*:01.0)
	# record NAME PROGRAM OPTIONS...: run a test program, keep output and status
	record()
	{
		local began=\$(cut -d. -f1 /proc/uptime)

		$programs/vfio_"\$2" "\${@:3}" 2>&1 | tee \$out/\$1.tap
		echo \${PIPESTATUS[0]} >\$out/\$1.status
		echo "\$1: \$((\$(cut -d. -f1 /proc/uptime) - began)) s"
	}
	END
}

# in_release: print the commands for the release kernel.
in_release()
{
	prepare release
	cat <<-END
	modprobe vfio-pci enable_sriov=1
	modprobe pci-pf-stub
	modprobe vfio-mdev-pci
	record device mdev_pci_device \${bdfs[0]}

	# QEMU takes the mediated device by iommufd. By type1 it takes the PCI device only.
	create=/sys/bus/pci/devices/\${bdfs[0]}/mdev_supported_types/vfio-mdev-pci-type1/create
	echo 1 >/sys/bus/pci/devices/\${bdfs[0]}/*-*-*-*-*/remove
	echo $uuid >\$create
	lsmod >\$out/created
	mdev=sysfsdev=/sys/bus/mdev/devices/$uuid
	start_qemu() { scripts/guest/qemu-guest.sh out/mdev/payload \$out/device.log "\$out/\$1" "\${@:2}"; }
	start_qemu qemu-iommufd iommufd \$mdev
	start_qemu qemu-type1 type1 host=\${bdfs[0]}
	start_qemu qemu-refused type1 \$mdev
	echo 1 >/sys/bus/mdev/devices/$uuid/remove

	# The vendor driver adds its region to a mediated device
	scripts/guest/bind.sh \${bdfs[3]} vfio-mdev-pci
	echo $uuid >/sys/bus/pci/devices/\${bdfs[3]}/mdev_supported_types/vfio-mdev-pci-type1/create
	record vendor pci_vendor_edu_test \${bdfs[3]}
	scripts/guest/bind.sh all none

	# Skip this on the debug kernel: lockdep reports a deadlock that stock has, too. The
	# PCI core resumes a device under pci_bus_sem, which takes vfio's memory_lock. A reset
	# takes the two in reverse order.
	record errors mdev_pci_errors \${bdfs[4]}
	record lifecycle mdev_pci_lifecycle \${bdfs[@]:0:3} \$shared
	record races mdev_pci_races ${SECONDS_RACE:-15} \${bdfs[3]}

	# Upstream's libvfio maps whole BARs, which vfio_pci_edu prevents
	mkdir -p \$out/igb \$out/edu
	scripts/guest/bind.sh all none
	scripts/guest/without-vendor.sh vfio_pci_edu
	modprobe vfio-mdev-pci
	scripts/guest/mdev-selftests.sh $programs/upstream \$out/igb \${bdfs[2]}
	scripts/guest/mdev-selftests.sh $programs/upstream \$out/edu \${bdfs[3]}
	rmmod vfio-mdev-pci
	END
}

# in_debug: print the commands for the debug kernel.
in_debug()
{
	prepare debug
	cat <<-END
	modprobe vfio-pci enable_sriov=1
	modprobe pci-pf-stub
	modprobe vfio-mdev-pci
	record device mdev_pci_device -v iommufd \${bdfs[0]}
	record lifecycle mdev_pci_lifecycle -v iommufd -t one_instance_is_available -t invalid_uuids_are_refused -t vfio_device_is_below_the_mdev -t removal_waits_for_an_unbound_file \
		-t removal_during_creation_fails -t reset_works_with_and_without_an_mdev -t idle_device_is_suspended -t module_options_apply_to_new_devices -t bound_device_cannot_enable_vfs -t device_with_vfs_is_refused -t vf_needs_the_token_of_its_pf -t shared_iommu_group_is_refused -t unplug_waits_for_close \${bdfs[@]:0:3} \$shared
	modprobe vfio-mdev-pci
	# Make opens and binds fast: an enabled device skips interrupt routing by ACPI, and
	# a stub replaces modprobe
	for bdf in \${bdfs[0]} \${bdfs[3]}; do
		scripts/guest/bind.sh \$bdf none
		echo 1 >/sys/bus/pci/devices/\$bdf/enable
	done
	mount --bind /bin/true \$(readlink -f /sbin/modprobe)
	record fail_nth mdev_pci_fail_nth \${bdfs[0]}
	umount \$(readlink -f /sbin/modprobe)
	record races mdev_pci_races ${SECONDS_RACE:-60} \${bdfs[3]}
	END
}

# in_nommu: print the commands for a VM without an IOMMU.
in_nommu()
{
	cat <<-END
	out=/repo/out/mdev/nommu
	modprobe vfio enable_unsafe_noiommu_mode=1
	scripts/guest/bind.sh all vfio-mdev-pci
	cd /sys/bus/pci/devices/\${VM_DEVICES%%=*}
	{
		echo $uuid >mdev_supported_types/vfio-mdev-pci-type1/create
		ls /sys/bus/mdev/devices
		cat mdev_supported_types/vfio-mdev-pci-type1/available_instances
	} >\$out/created 2>&1
	dmesg | grep 'cannot create a mediated device' >\$out/message
	rmmod vfio-mdev-pci
	END
}

# run VM KERNEL DEVICES [VARIABLE=VALUE...]: run the commands for a VM.
run()
{
	local vm=$1 kernel=$2 status=0 pid

	mkdir -p "$folder/$vm"
	mkfifo "$folder/$vm"/monitor.{in,out}
	say "mdev: the VM $vm"
	env KERNEL="$kernel" MODULES=ours DEVICES="$3" NAME="mdev-$vm" TIMEOUT="${TIMEOUT:-3600}" "${@:4}" \
		"$SCRIPTS/vm.sh" "$("in_$vm")" </dev/null >"$folder/$vm/log" 2>&1 &
	pid=$!
	[ "$vm" = nommu ] || serve_events "$folder/$vm" "$pid" &
	wait "$pid" || status=$?
	result "$status" "$vm: the VM succeeds" "$folder/$vm/log"
}

# passes VM PROGRAM NAME [SKIPPED]: check that all tests of a program passed, except
# SKIPPED ones.
passes()
{
	local tap=$folder/$1/$2.tap status=0 p f s plan

	touch "$tap"
	read -r p f s < <(counts "$tap")
	plan=$(sed -n 's/^1\.\.\([0-9]*\).*/\1/p' "$tap" | head -n 1)
	[ "$f" -eq 0 ] && [ "$p" -ge 1 ] && [ "$s" -eq "${4:-0}" ] && [ $((p + s)) -eq "${plan:-0}" ] &&
		[ "$(cat "${tap%.tap}.status")" = 0 ] || status=1
	grep -B 5 '^not ok' "$tap" >"$folder/why" || tail -n 20 "$tap" >"$folder/why"
	result "$status" "$1: $3 ($p passed, $s skipped)" "$folder/why"
}

# qemu RUN NAME: check the output of a nested guest.
qemu()
{
	local dir=$folder/release/$1 status=0

	touch "$dir"/{status,printed,errors}
	# QEMU's status is twice EXIT_DONE, plus one
	[ "$(cat "$dir/status")" = 33 ] || status=1
	grep -q -x 'identification 0x010000ed' "$dir/printed" || status=1
	[ "$(grep -c -x 'words-equal 0x00000400' "$dir/printed")" = 2 ] || status=1
	# The vendor driver refuses two transfers
	[ "$(grep -c 'failed: Operation not permitted' "$dir/errors")" = 2 ] || status=1
	tail -n 20 "$dir"/{status,errors,printed} >"$folder/why"
	result "$status" "release: $2" "$folder/why"
}

if [[ " ${kernels[*]} " == *" release "* ]]; then
	status=0
	"$SCRIPTS/guest-payload.sh" scripts/guest/qemu-guest.c out/mdev/payload >"$folder/gcc.log" 2>&1 || status=$?
	result "$status" "the payload for nested guests compiles" "$folder/gcc.log"
	run release release "$devices" APPEND="$NO_MIGRATION" \
		QEMU="$group -chardev pipe,id=monitor,path=/repo/out/mdev/release/monitor -mon chardev=monitor,mode=readline -d guest_errors -D /repo/out/mdev/release/device.log"
	# The four other modes skip the test that needs an unattached device
	passes release device 'a mediated device works in all IOMMU modes' 4
	status=0
	grep -q '^vfio_pci_edu ' "$folder/release/created" || status=1
	result "$status" "release: creating a mediated device loads the vendor driver" "$folder/release/created"
	passes release vendor 'the vendor driver adds its region to a mediated device'
	passes release errors 'a device survives bus errors with and without a mediated device'
	qemu qemu-iommufd "a nested guest uses the mediated device by iommufd"
	qemu qemu-type1 "a nested guest uses the PCI device by type1"
	status=0
	grep -q 'no iommu_group found' "$folder/release/qemu-refused/errors" || status=1
	result "$status" "release: QEMU cannot use the mediated device by type1" "$folder/release/qemu-refused/errors"
	passes release lifecycle 'devices come and go without errors'
	result "$(cat "$folder/release/races.status")" "release: concurrent operations do no harm" "$folder/release/races.tap"
	for program in edu/vfio_{dma_mapping_mmio,dma_mapping,iommufd_setup,pci_device_init_perf,pci_device}_test \
		igb/vfio_{dma_mapping_mmio,dma_mapping,iommufd_setup,pci_device_init_perf,pci_device,pci_driver}_test; do
		# edu has no MSI-X
		skipped=0
		[ "$program" != edu/vfio_pci_device_test ] || skipped=1
		passes release "$program" "upstream's $program passes on a mediated device" "$skipped"
	done

	run nommu release edu APPEND="$NO_VENDOR intel_iommu=off"
	status=0
	grep -q 'No such device' "$folder/nommu/created" && [ "$(tail -n 1 "$folder/nommu/created")" = 1 ] &&
		[ "$(wc -l <"$folder/nommu/created")" = 2 ] && grep -q 'without an IOMMU to confine its DMA' "$folder/nommu/message" || status=1
	cat "$folder/nommu"/{created,message} >"$folder/why"
	result "$status" "nommu: creating a mediated device fails without an IOMMU" "$folder/why"
fi
if [[ " ${kernels[*]} " == *" debug "* ]]; then
	run debug debug "$devices" APPEND="$NO_VENDOR" \
		QEMU="$group -chardev pipe,id=monitor,path=/repo/out/mdev/debug/monitor -mon chardev=monitor,mode=readline"
	passes debug device 'a mediated device works'
	passes debug lifecycle 'devices come and go without errors'
	passes debug fail_nth 'operations survive a failure of any allocation'
	grep -h '# .* allocations' "$folder/debug/fail_nth.tap" | sed 's/.*: \([a-z]*: [0-9]* alloc\)/# \1/' || true
	result "$(cat "$folder/debug/races.status")" "debug: concurrent operations do no harm" "$folder/debug/races.tap"
fi
totals
