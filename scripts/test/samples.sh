#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# samples.sh: the sample vendor drivers work in a VM. Binding a device loads them.
# vfio_pci_edu adds a region, and its module is pinned while a device is bound.
# vfio_pci_edu_migration migrates one device to another, with vfio_pci_edu and without
# it. Run fewer tests on the debug kernel, which must report no bug. KERNEL selects one
# kernel; the default is both.

# shellcheck disable=SC2034 # test.sh reads it
SUITE_CPUS=1 SUITE_SECONDS=320

. "$(dirname "$0")/../lib.sh"
. "$SCRIPTS/result.sh"

read -r -a kernels <<<"${KERNEL:-release debug}"
programs=$("$SCRIPTS/userspace.sh")
folder=$OUT/samples
rm -rf "$folder"

# in_guest KERNEL OPTIONS: print the commands for the guest. Results are in
# out/samples/KERNEL.
in_guest()
{
	cat <<-END
	out=/repo/out/samples/$1
	bdfs=(\$(tr ' ' '\n' <<<"\$VM_DEVICES" | sed 's/=.*//'))
	record() { "\${@:2}" >\$out/\$1.tap 2>&1; echo \$? >\$out/\$1.status; }
	run() { record "\$1" $programs/vfio_pci_vendor_edu_test $2 "\$2"; }
	migrate() { record "\$1" $programs/vfio_pci_migration_edu_test $2 "\${bdfs[@]:0:2}"; }
	scripts/guest/bind.sh all vfio-pci
	lsmod >\$out/bound
	run first "\${bdfs[0]}"
	run second "\${bdfs[1]}"
	migrate both
	rmmod vfio_pci_edu 2>\$out/pinned
	scripts/guest/without-vendor.sh vfio_pci_edu
	lsmod >\$out/unloaded
	# The programs must not load it, either
	echo 'install vfio_pci_edu /bin/false' >/run/modprobe.d/install.conf
	END
	[ "$1" = release ] || return 0
	cat <<-END
	migrate alone
	run without "\${bdfs[0]}"
	rm /run/modprobe.d/install.conf
	modprobe vfio_pci_edu
	run again "\${bdfs[0]}"
	# A device with other ids
	run other "\${bdfs[2]}"
	END
}

# passes KERNEL RUN TESTS NAME: check that a run has no failure, and that TESTS tests
# passed in each IOMMU mode.
passes()
{
	local tap=$folder/$1/$2.tap p f s status=0

	read -r p f s < <(counts "$tap")
	[ "$f" -eq 0 ] && [ "$p" -ge $(($3 * modes)) ] && [ "$(cat "$folder/$1/$2.status")" = 0 ] || status=1
	grep -A 2 -e '^# .*Expected' -e '^not ok' "$tap" >"$folder/why" || tail -n 20 "$tap" >"$folder/why"
	result "$status" "$1: $4 ($p passed, $s skipped)" "$folder/why"
}

# lacks KERNEL RUN REASON NAME: check that a run is skipped for a reason. The program
# looks for the reason only if the device lacks the region.
lacks()
{
	local tap=$folder/$1/$2.tap status=0

	[ "$(cat "$folder/$1/$2.status")" = 4 ] && grep -q "^1..0 # SKIP .*$3" "$tap" || status=1
	result "$status" "$1: $4" "$tap"
}

for kernel in "${kernels[@]}"; do
	options='' modes=5
	[ "$kernel" = release ] || options='-v iommufd' modes=1
	mkdir -p "$folder/$kernel"
	status=0
	KERNEL=$kernel MODULES=ours DEVICES='edu port/edu pci-testdev' NAME=samples-$kernel \
		"$SCRIPTS/vm.sh" "$(in_guest "$kernel" "$options")" </dev/null >"$folder/$kernel/log" 2>&1 || status=$?
	result "$status" "$kernel: the VM succeeds" "$folder/$kernel/log"

	status=0
	for module in vfio_pci_edu vfio_pci_edu_migration; do
		grep -q "^$module " "$folder/$kernel/bound" || status=1
	done
	result "$status" "$kernel: binding a device loads the modules" "$folder/$kernel/bound"
	passes "$kernel" first 5 "a device has the region of the vendor driver"
	passes "$kernel" second 5 "a device with a reset has the region, too"
	passes "$kernel" both 19 "the device migrates with both vendor drivers"
	status=0
	grep -q '^vfio_pci ' "$folder/$kernel/unloaded" && ! grep -q '^vfio_pci_edu ' "$folder/$kernel/unloaded" || status=1
	result "$status" "$kernel: vfio_pci_edu can be unloaded after unbind" "$folder/$kernel/unloaded"
	status=0
	grep -q 'vfio_pci_edu is in use' "$folder/$kernel/pinned" || status=1
	result "$status" "$kernel: bound devices pin vfio_pci_edu" "$folder/$kernel/pinned"
	[ "$kernel" = release ] || continue
	passes "$kernel" alone 19 "the device migrates with vfio_pci_edu_migration alone"
	lacks "$kernel" without "loading the module vfio_pci_edu failed" "the device has no region without vfio_pci_edu"
	passes "$kernel" again 5 "the region returns when vfio_pci_edu is loaded again"
	lacks "$kernel" other "is not QEMU's edu" "a device with other ids has no region"
done
totals
