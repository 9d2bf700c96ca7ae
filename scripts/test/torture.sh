#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# torture.sh: what vendor drivers can override and how, and that nobody gets
# around it, with those of vfio_pci_torture in a VM; on the release and on the
# debug kernel (KERNEL names one of them), which must have nothing to say, not
# even when each allocation fails in turn, or all happens at once. SECONDS_RACE
# and SEED say for how long that is, and what in which order.

. "$(dirname "$0")/../lib.sh"
. "$SCRIPTS/result.sh"

read -r -a kernels <<<"${KERNEL:-release debug}"
programs=$("$SCRIPTS/userspace.sh")
folder=$OUT/torture
rm -rf "$folder"

# What runs: NAME DEVICE PROGRAM OPTIONS; the debug kernel, which is slow, does
# it in one IOMMU mode.
both='
bypass		edu		bypass
override	edu		override
override	igb		override
regions		pci-testdev	override	-t whole -t rom -t nothing
regions		VGA		override	-t whole -t nothing'
debug="
failures	edu		fail_nth"
devices='port/edu igb pci-testdev VGA'

# in_guest KERNEL MODE: what the guest runs; it leaves its findings in
# out/torture/KERNEL.
in_guest()
{
	local name device program options mode index

	cat <<-END
	out=/repo/out/torture/$1
	bdfs=(\$(tr ' ' '\n' <<<"\$VM_DEVICES" | sed 's/=.*//'))
	modprobe vfio_pci_torture ids=1234:11e8,8086:10c9,1b36:5,1234:1111
	scripts/guest/bind.sh all vfio-pci
	END
	while IFS=$'\t' read -r name device program options; do
		mode=$2
		[ "$program" != fail_nth ] || mode=''
		index=$(tr ' ' '\n' <<<"$devices" | grep -n "$device\$" | cut -d : -f 1)
		echo "$programs/vfio_pci_torture_$program $options $mode \"\${bdfs[$((index - 1))]}\" \
			>\$out/$name-$device.tap 2>&1; echo \$? >\$out/$name-$device.status"
	done <<<"$runs"
	# Whatever they did, all of it is undone
	cat <<-END
	scripts/guest/bind.sh all none
	grep . /sys/module/vfio_pci_torture/parameters/* >\$out/counts
	cat /sys/module/vfio_pci_torture/refcnt >\$out/refcnt
	rmmod vfio_pci_torture
	lsmod >\$out/unloaded
	END
	[ "$1" = debug ] || return 0
	cat <<-END
	scripts/guest/bind.sh all vfio-pci
	$programs/vfio_pci_torture_races -i 1234:11e8 -r ${SEED:-1} -s ${SECONDS_RACE:-90} "\${bdfs[0]}" >\$out/races 2>&1
	echo \$? >\$out/races.status
	END
}

for kernel in "${kernels[@]}"; do
	options=''
	runs=$(tr -s '\t' <<<"$both" | sed 1d)
	[ "$kernel" = release ] || runs+=$(tr -s '\t' <<<"$debug")
	[ "$kernel" = release ] || options='-v iommufd'
	mkdir -p "$folder/$kernel"
	status=0
	KERNEL=$kernel MODULES=ours DEVICES=$devices NAME=torture-$kernel APPEND=$NO_VENDOR \
		"$SCRIPTS/vm.sh" "$(in_guest "$kernel" "$options")" </dev/null >"$folder/$kernel/log" 2>&1 || status=$?
	result "$status" "$kernel: the VM ends well" "$folder/$kernel/log"

	while IFS=$'\t' read -r name device program options; do
		tap=$folder/$kernel/$name-$device.tap status=0
		read -r p f s < <(counts "$tap")
		[ "$f" -eq 0 ] && [ "$p" -ge 1 ] && [ "$(cat "${tap%.tap}.status")" = 0 ] || status=1
		grep -B 3 '^not ok' "$tap" >"$folder/why" || tail -n 20 "$tap" >"$folder/why"
		result "$status" "$kernel: $name on $device ($p passed, $s skipped)" "$folder/why"
	done <<<"$runs"

	status=0
	[ "$(cat "$folder/$kernel/refcnt")" = 0 ] && ! grep -q vfio_pci_torture "$folder/$kernel/unloaded" || status=1
	opens=$(sed -n 's,.*/opens:,,p' "$folder/$kernel/counts")
	closes=$(sed -n 's,.*/closes:,,p' "$folder/$kernel/counts")
	[ "$opens" -gt 0 ] && [ "$opens" = "$closes" ] || status=1
	result "$status" "$kernel: $opens opens, as many closes, and the module can be unloaded" "$folder/$kernel/counts"

	[ "$kernel" = debug ] || continue
	sed 's/^/# /' "$folder/$kernel/races"
	result "$(cat "$folder/$kernel/races.status")" "$kernel: all at once" "$folder/$kernel/races"
done
totals
