#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# vendor.sh: the sample vendor drivers in a VM, which are loaded by themselves when
# a device is bound. The first one: its region there for userspace, gone without
# it, and its module pinned while a device is open. The one that migrates: from one
# device to another, on top of the first and alone. On the release and on the debug
# kernel (KERNEL names one of them), which must have nothing to say; that is slow
# and does less.

# shellcheck disable=SC2034 # test.sh reads it
SUITE_CPUS=1 SUITE_SECONDS=320

. "$(dirname "$0")/../lib.sh"
. "$SCRIPTS/result.sh"

read -r -a kernels <<<"${KERNEL:-release debug}"
programs=$("$SCRIPTS/userspace.sh")
folder=$OUT/vendor
rm -rf "$folder"

# in_guest KERNEL OPTIONS: what the guest runs; it leaves its findings in
# out/vendor/KERNEL.
in_guest()
{
	cat <<-END
	out=/repo/out/vendor/$1
	bdfs=(\$(tr ' ' '\n' <<<"\$VM_DEVICES" | sed 's/=.*//'))
	note() { "\${@:2}" >\$out/\$1.tap 2>&1; echo \$? >\$out/\$1.status; }
	run() { note "\$1" $programs/vfio_pci_vendor_edu_test $2 "\$2"; }
	migrate() { note "\$1" $programs/vfio_pci_migration_edu_test $2 "\${bdfs[@]:0:2}"; }
	scripts/guest/bind.sh all vfio-pci
	lsmod >\$out/bound
	run first "\${bdfs[0]}"
	run second "\${bdfs[1]}"
	migrate both
	rmmod vfio_pci_edu 2>\$out/pinned
	scripts/guest/without-vendor.sh vfio_pci_edu
	lsmod >\$out/unloaded
	END
	[ "$1" = release ] || return 0
	cat <<-END
	migrate alone
	run without "\${bdfs[0]}"
	modprobe vfio_pci_edu
	run again "\${bdfs[0]}"
	# Those of other ids are not asked
	run other "\${bdfs[2]}"
	END
}

# passes KERNEL RUN TESTS WHAT: all that a run of the program found is as it should
# be, in all IOMMU modes that it was to run in; so many tests pass in each.
passes()
{
	local tap=$folder/$1/$2.tap p f s status=0

	read -r p f s < <(counts "$tap")
	[ "$f" -eq 0 ] && [ "$p" -ge $(($3 * modes)) ] && [ "$(cat "$folder/$1/$2.status")" = 0 ] || status=1
	grep -A 2 -e '^# .*Expected' -e '^not ok' "$tap" >"$folder/why" || tail -n 20 "$tap" >"$folder/why"
	result "$status" "$1: $4 ($p passed, $s skipped)" "$folder/why"
}

# fails KERNEL RUN WHAT: none of them passes, and the program says so.
fails()
{
	local tap=$folder/$1/$2.tap status=0

	if grep -q '^ok ' "$tap" || [ "$(cat "$folder/$1/$2.status")" = 0 ]; then status=1; fi
	grep -q "find_region.*(-1)" "$tap" || status=1
	result "$status" "$1: $3" "$tap"
}

for kernel in "${kernels[@]}"; do
	options='' modes=5
	[ "$kernel" = release ] || options='-v iommufd' modes=1
	mkdir -p "$folder/$kernel"
	status=0
	KERNEL=$kernel MODULES=ours DEVICES='edu port/edu pci-testdev' NAME=vendor-$kernel \
		"$SCRIPTS/vm.sh" "$(in_guest "$kernel" "$options")" </dev/null >"$folder/$kernel/log" 2>&1 || status=$?
	result "$status" "$kernel: the VM succeeds" "$folder/$kernel/log"

	status=0
	for module in vfio_pci_edu vfio_pci_edu_migration; do
		grep -q "^$module " "$folder/$kernel/bound" || status=1
	done
	result "$status" "$kernel: the modules are loaded when a device is bound" "$folder/$kernel/bound"
	passes "$kernel" first 5 "a device has the region of the vendor driver"
	passes "$kernel" second 5 "and so does a second one, which can be reset"
	passes "$kernel" both 19 "the one is migrated to the other"
	status=0
	grep -q '^vfio_pci ' "$folder/$kernel/unloaded" && ! grep -q '^vfio_pci_edu ' "$folder/$kernel/unloaded" || status=1
	result "$status" "$kernel: the first module is unloaded once the devices are unbound" "$folder/$kernel/unloaded"
	status=0
	grep -q 'vfio_pci_edu is in use' "$folder/$kernel/pinned" || status=1
	result "$status" "$kernel: while they are bound, it is pinned" "$folder/$kernel/pinned"
	[ "$kernel" = release ] || continue
	passes "$kernel" alone 19 "the one is migrated to the other by that driver alone"
	fails "$kernel" without "without the module there is no region"
	passes "$kernel" again 5 "with the module it is there again"
	fails "$kernel" other "a device of other ids does not have it"
done
totals
