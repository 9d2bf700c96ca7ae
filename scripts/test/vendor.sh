#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# vendor.sh: the sample vendor driver in a VM: loaded by itself when a device is
# bound, its region there for userspace, gone without it, and its module pinned
# while a device is open; on the release and on the debug kernel (KERNEL names
# one of them), which must have nothing to say; that is slow and does less.
#
# One processor is enough for it.

. "$(dirname "$0")/../lib.sh"
. "$SCRIPTS/result.sh"

read -r -a kernels <<<"${KERNEL:-release debug}"
program=$("$SCRIPTS/userspace.sh")/vfio_pci_vendor_edu_test
folder=$OUT/vendor
rm -rf "$folder"

# in_guest KERNEL OPTIONS: what the guest runs; it leaves its findings in
# out/vendor/KERNEL.
in_guest()
{
	cat <<-END
	out=/repo/out/vendor/$1
	bdfs=(\$(tr ' ' '\n' <<<"\$VM_DEVICES" | sed 's/=.*//'))
	run() { $program $2 "\$2" >\$out/\$1.tap 2>&1; echo \$? >\$out/\$1.status; }
	scripts/guest/bind.sh all vfio-pci
	lsmod >\$out/bound
	run first "\${bdfs[0]}"
	run second "\${bdfs[1]}"
	rmmod vfio_pci_edu && lsmod >\$out/unloaded
	END
	[ "$1" = release ] || return 0
	cat <<-END
	run without "\${bdfs[0]}"
	modprobe vfio_pci_edu
	run again "\${bdfs[0]}"
	# Those of other ids are not asked
	run other "\${bdfs[2]}"
	END
}

# passes KERNEL RUN WHAT: all that a run of the program found is as it should
# be, in all IOMMU modes that it was to run in.
passes()
{
	local tap=$folder/$1/$2.tap p f s status=0

	read -r p f s < <(counts "$tap")
	[ "$f" -eq 0 ] && [ "$p" -ge $((5 * modes)) ] && [ "$(cat "$folder/$1/$2.status")" = 0 ] || status=1
	grep -A 2 -e '^# .*Expected' -e '^not ok' "$tap" >"$folder/why" || tail -n 20 "$tap" >"$folder/why"
	result "$status" "$1: $3 ($p passed, $s skipped)" "$folder/why"
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
	result "$status" "$kernel: the VM ends well" "$folder/$kernel/log"

	status=0
	grep -q '^vfio_pci_edu ' "$folder/$kernel/bound" || status=1
	result "$status" "$kernel: the module is loaded when a device is bound" "$folder/$kernel/bound"
	passes "$kernel" first "a device has the region of the vendor driver"
	passes "$kernel" second "and so does a second one, which can be reset"
	status=0
	grep -q '^vfio_pci ' "$folder/$kernel/unloaded" && ! grep -q '^vfio_pci_edu ' "$folder/$kernel/unloaded" || status=1
	result "$status" "$kernel: the module is unloaded once the devices are closed" "$folder/$kernel/unloaded"
	[ "$kernel" = release ] || continue
	fails "$kernel" without "without the module there is no region"
	passes "$kernel" again "with the module it is there again"
	fails "$kernel" other "a device of other ids does not have it"
done
totals
