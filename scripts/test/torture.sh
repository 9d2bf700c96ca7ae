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

programs=$("$SCRIPTS/userspace.sh")
folder=$OUT/torture
rm -rf "$folder"
declare -A devices

# What runs: KERNEL NAME DEVICE PROGRAM OPTIONS. The debug kernel, which is slow,
# does less, and in one IOMMU mode.
runs='
release	bypass		port/edu	bypass
release	override	port/edu	override
release	override	igb		override
release	regions		pci-testdev	override	-t whole -t rom -t nothing
release	regions		VGA		override	-t whole -t nothing
debug	bypass		port/edu	bypass		-v iommufd
debug	override	port/edu	override	-v iommufd
debug	regions		pci-testdev	override	-t whole -t rom -t nothing
faults	failures	edu		fail_nth'
devices=([release]='port/edu igb pci-testdev VGA' [debug]='port/edu pci-testdev' [faults]='edu port/edu')

# runs_of VM: its lines of the above, without the first word
runs_of()
{
	tr -s '\t' <<<"$runs" | sed -n "s/^$1\t//p"
}

# in_guest VM EDU: what the guest runs; it leaves its findings in out/torture/VM.
# EDU is which device is to be raced for.
in_guest()
{
	local name device program options index

	cat <<-END
	out=/repo/out/torture/$1
	bdfs=(\$(tr ' ' '\n' <<<"\$VM_DEVICES" | sed 's/=.*//'))
	modprobe vfio_pci_torture ids=1234:11e8,8086:10c9,1b36:5,1234:1111
	# One that is enabled already has no need for ACPI, which takes most of an open
	[ $1 != faults ] || echo 1 >/sys/bus/pci/devices/\${bdfs[0]}/enable
	scripts/guest/bind.sh all vfio-pci
	END
	# What each bind has loaded is nothing here, and takes long on a debug kernel
	[ "$1" != faults ] || echo "mount --bind /bin/true \$(readlink -f /sbin/modprobe)"
	while IFS=$'\t' read -r name device program options; do
		index=$(tr ' ' '\n' <<<"${devices[$1]}" | grep -n -x "$device" | cut -d : -f 1)
		echo "$programs/vfio_pci_torture_$program $options \"\${bdfs[$((index - 1))]}\" \
			>\$out/$name-${device#*/}.tap 2>&1; echo \$? >\$out/$name-${device#*/}.status"
	done < <(runs_of "$1")
	[ "$1" != faults ] || echo "umount \$(readlink -f /sbin/modprobe)"
	# Whatever they did, all of it is undone
	cat <<-END
	scripts/guest/bind.sh all none
	grep . /sys/module/vfio_pci_torture/parameters/* >\$out/counts
	cat /sys/module/vfio_pci_torture/refcnt >\$out/refcnt
	rmmod vfio_pci_torture
	lsmod >\$out/unloaded
	END
	[ "$1" != debug ] || return 0
	cat <<-END
	scripts/guest/bind.sh all vfio-pci
	$programs/vfio_pci_torture_races -i 1234:11e8 -r ${SEED:-1} -s ${SECONDS_RACE:-90} "\${bdfs[$2]}" >\$out/races 2>&1
	echo \$? >\$out/races.status
	END
}

# start VM
start()
{
	local kernel=debug edu=1

	[ "$1" != release ] || kernel=release edu=0
	mkdir -p "$folder/$1"
	"$SCRIPTS/modules.sh" "$kernel" ours >/dev/null
	say "torture: the VM $1"
	KERNEL=$kernel MODULES=ours DEVICES=${devices[$1]} NAME=torture-$1 APPEND=$NO_VENDOR TIMEOUT=${TIMEOUT:-1200} \
		"$SCRIPTS/vm.sh" "$(in_guest "$1" "$edu")" </dev/null >"$folder/$1/log" 2>&1 &
	running[$!]=$1
}

# reap: wait for one of the VMs.
reap()
{
	local pid status=0

	wait -n -p pid "${!running[@]}" || status=$?
	result "$status" "${running[$pid]}: the VM ends well" "$folder/${running[$pid]}/log"
	unset "running[$pid]"
}

# judge VM: what it found
judge()
{
	local dir=$folder/$1 name device program options tap status p f s opens closes

	while IFS=$'\t' read -r name device program options; do
		tap=$dir/$name-${device#*/}.tap status=0
		read -r p f s < <(counts "$tap")
		[ "$f" -eq 0 ] && [ "$p" -ge 1 ] && [ "$(cat "${tap%.tap}.status")" = 0 ] || status=1
		grep -B 3 '^not ok' "$tap" >"$folder/why" || tail -n 20 "$tap" >"$folder/why"
		result "$status" "$1: $name on $device ($p passed, $s skipped)" "$folder/why"
	done < <(runs_of "$1")

	status=0
	[ "$(cat "$dir/refcnt")" = 0 ] && ! grep -q vfio_pci_torture "$dir/unloaded" || status=1
	opens=$(sed -n 's,.*/opens:,,p' "$dir/counts")
	closes=$(sed -n 's,.*/closes:,,p' "$dir/counts")
	[ "${opens:-0}" -gt 0 ] && [ "$opens" = "$closes" ] || status=1
	result "$status" "$1: $opens opens, as many closes, and the module can be unloaded" "$dir/counts"

	[ "$1" != debug ] || return 0
	grep -h '# .* allocations' "$dir"/*.tap | sed 's/.*# */# /' || true
	sed 's/^/# /' "$dir/races"
	result "$(cat "$dir/races.status")" "$1: all at once" "$dir/races"
}

# Two at a time, that which takes longest first
vms=(faults debug release)
[ -z "${KERNEL-}" ] || vms=(release)
[ "${KERNEL-}" != debug ] || vms=(faults debug)
declare -A running=()
for vm in "${vms[@]}"; do
	[ ${#running[@]} -lt 2 ] || reap
	start "$vm"
done
while [ ${#running[@]} -gt 0 ]; do reap; done
for vm in "${vms[@]}"; do
	judge "$vm"
done
totals
