#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# mdev.sh: PCI devices as mediated devices, by the sample vfio-mdev-pci. The suite
# kselftest runs our programs on the release kernel. In VMs, this suite tests:
# - the sample vendor driver, upstream's selftests and QEMU on a mediated device
# - creation fails without an IOMMU
# - on the debug kernel, creation and removal of devices, also concurrently for
#   SECONDS_RACE seconds

# shellcheck disable=SC2034 # test.sh reads it
SUITE_SECONDS=280

. "$(dirname "$0")/../lib.sh"

suite=mdev
. "$SCRIPTS/selftest-vms.sh"

uuid=9a4e7c10-52d8-4f36-b1c7-e08d3f6a2b95
vms=(
	[release]='release edu=edu,dma_mask=0xffffffff igb=igb port=port/edu'
	[debug]='debug edu=edu,dma_mask=0xffffffff victim=port/edu,id=victim igb=igb port=port/edu'
	[nommu]='release edu=edu'
)
# shellcheck disable=SC2016,SC2034 # $ is for the shell in the guest
runs='
debug	vfio_mdev_pci_device	0	-v iommufd $edu
debug	vfio_mdev_pci_lifecycle	0	-v iommufd -t one_instance_is_available -t invalid_uuids_are_refused -t vfio_device_is_below_the_mdev -t removal_waits_for_an_unbound_file -t removal_during_creation_fails -t reset_works_with_and_without_an_mdev -t idle_device_is_suspended -t module_options_apply_to_new_devices -t bound_device_cannot_enable_vfs -t device_with_vfs_is_refused -t vf_needs_the_token_of_its_pf -t shared_iommu_group_is_refused -t unplug_waits_for_close $edu $victim $igb $shared
'
runs+="debug	vfio_mdev_pci_races	0	${SECONDS_RACE:-40} \$port"
# The release VM loads vfio_pci_edu
variables[release]=APPEND=$NO_MIGRATION
qemu[release]="-d guest_errors -D /repo/out/$suite/device.log"
variables[nommu]="APPEND='$NO_VENDOR intel_iommu=off vfio.enable_unsafe_noiommu_mode=1'"
# Two edu devices behind a bridge, in one IOMMU group
qemu[debug]='-device pcie-pci-bridge,id=bridge,bus=pcie.0,addr=0x10 -device edu,bus=bridge,addr=1 -device edu,bus=bridge,addr=2'

before_debug()
{
	cat <<-'END'
	shared=$(basename /sys/bus/pci/devices/0000:00:10.0/0000:*:01.0)
	modprobe pci-pf-stub
	modprobe vfio-mdev-pci
	END
}

after_debug()
{
	echo 'modprobe -r vfio-mdev-pci'
}

before_release()
{
	cat <<-END
	# With iommufd, QEMU opens the mediated device. With type1, it opens only the PCI device.
	scripts/guest/bind.sh all vfio-mdev-pci
	create() { echo $uuid >/sys/bus/pci/devices/\$1/mdev_supported_types/vfio-mdev-pci-type1/create; }
	remove() { echo 1 >/sys/bus/mdev/devices/$uuid/remove; }
	create \$edu
	lsmod >\$out/created
	mdev=sysfsdev=/sys/bus/mdev/devices/$uuid
	start_qemu() { scripts/guest/qemu-guest.sh $programs/guest_registers out/$suite/device.log "\$out/\$1" "\${@:2}"; }
	start_qemu qemu-iommufd iommufd \$mdev
	start_qemu qemu-type1 type1 host=\$edu
	start_qemu qemu-refused type1 \$mdev
	remove

	# The vendor driver adds its region to a mediated device
	create \$port
	record vendor $programs/vfio_pci_vendor_edu_test \$port
	remove

	# Upstream's libvfio maps whole BARs, which vfio_pci_edu prevents
	mkdir -p \$out/igb \$out/edu
	scripts/guest/bind.sh all none
	scripts/guest/without-vendor.sh vfio_pci_edu
	scripts/guest/mdev-selftests.sh $programs/upstream \$out/igb \$igb
	scripts/guest/mdev-selftests.sh $programs/upstream \$out/edu \$port
	rmmod vfio-mdev-pci
	END
}

before_nommu()
{
	cat <<-END
	scripts/guest/bind.sh all vfio-mdev-pci
	(
		cd /sys/bus/pci/devices/\$edu
		echo $uuid >mdev_supported_types/vfio-mdev-pci-type1/create
		ls /sys/bus/mdev/devices
		cat mdev_supported_types/vfio-mdev-pci-type1/available_instances
	) >\$out/created 2>&1
	dmesg | grep 'cannot create a mediated device' >\$out/message
	rmmod vfio-mdev-pci
	END
}

# qemu_works RUN NAME: check the output of a nested guest.
qemu_works()
{
	local dir=$folder/release/$1 status=0

	# QEMU's status is twice EXIT_DONE, plus one
	[ "$(cat "$dir/status")" = 33 ] || status=1
	grep -q -x 'identification 0x010000ed' "$dir/printed" || status=1
	[ "$(grep -c -x 'words-equal 0x00000400' "$dir/printed")" = 2 ] || status=1
	# The vendor driver refuses two transfers
	[ "$(grep -c 'failed: Operation not permitted' "$dir/errors")" = 2 ] || status=1
	tail -n 20 "$dir"/{status,errors,printed} >"$folder/why" 2>&1 || true
	result "$status" "release: $2" "$folder/why"
}

check_release()
{
	local program skipped

	has release/created '^vfio_pci_edu ' 'release: creating a mediated device loads the vendor driver'
	passes release vendor 'the vendor driver adds its region to a mediated device' 0
	qemu_works qemu-iommufd 'a nested guest uses the mediated device by iommufd'
	qemu_works qemu-type1 'a nested guest uses the PCI device by type1'
	has release/qemu-refused/errors 'no iommu_group found' 'release: QEMU cannot use the mediated device by type1'
	for program in edu/vfio_{dma_mapping_mmio,dma_mapping,iommufd_setup,pci_device_init_perf,pci_device}_test \
		igb/vfio_{dma_mapping_mmio,dma_mapping,iommufd_setup,pci_device_init_perf,pci_device,pci_driver}_test; do
		# edu has no MSI-X
		skipped=0
		[ "$program" != edu/vfio_pci_device_test ] || skipped=1
		passes release "$program" "upstream's $program passes on a mediated device" "$skipped"
	done
}

check_nommu()
{
	has nommu/created 'No such device' 'nommu: creating a mediated device fails without an IOMMU'
	has nommu/created '^1$' 'nommu: the instance stays available'
	has_not nommu/created '^[0-9a-f-]{36}$' 'nommu: no mediated device exists'
	has nommu/message 'without an IOMMU to confine its DMA' 'nommu: the log gives the reason'
}

test_in_vms debug release nommu
totals
