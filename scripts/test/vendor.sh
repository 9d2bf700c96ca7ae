#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# vendor.sh: vendor drivers of vfio_pci_testdrv override regions in VMs, and userspace
# cannot bypass the overrides. Also test drivers and devices that come and go, traces,
# debugfs, a failure of each allocation in turn, and concurrent operations. Run fewer
# tests on the debug kernel, which must report no bug. Only the stock kernel has memory
# cgroups.
#
#     KERNEL              release (with stock) or debug; the default is both
#     SECONDS_RACE, SEED  duration and random seed of the concurrent operations

. "$(dirname "$0")/../lib.sh"
. "$SCRIPTS/result.sh"
. "$SCRIPTS/qemu-events.sh"

programs=$("$SCRIPTS/userspace.sh")
folder=$OUT/vendor
rm -rf "$folder"
declare -A devices

# Runs: VM NAME DEVICE[+DEVICE...] PROGRAM OPTIONS. Programs that hardly depend on the
# IOMMU run in two modes, on the slow debug kernel in one.
runs='
release	lifecycle	edu+edu+port/edu+port/edu	lifecycle	-v vfio_type1v2_iommu -v iommufd -t unplugged_device_works_until_it_is_closed -t drivers_attach_only_to_matching_ids
release	sriov		igb		sriov		-v vfio_type1v2_iommu -v iommufd
release	resets		igb		resets
release	caps		igb		caps
release	alias		igb		device_alias
release	dma		edu		dma
release	bypass		port/edu	bypass
release	override	port/edu	override
release	override	igb		override	-v vfio_type1v2_iommu -v iommufd
release	regions		pci-testdev	override	-t whole_region_override_gets_all_accesses -t rom_can_be_replaced_or_shrunk -t override_without_operations_changes_nothing -t range_handler_gets_only_its_bytes
release	regions		VGA		override	-t whole_region_override_gets_all_accesses -t override_without_operations_changes_nothing -t range_handler_gets_only_its_bytes
release	rules		port/edu	rules
release	rules		igb		rules		-v vfio_type1v2_iommu -v iommufd
release	rules		nvme		rules		-t vmms_map_no_msix_table_and_no_range -t no_msix_mappable_without_msix -v iommufd
release	rules		e1000e		rules		-v iommufd
release	rules		VGA		rules		-t rom_is_patched_by_a_range
release	rules		pci-testdev,membar=8G	rules	-t mmap_areas_are_limited
release	debugfs		edu		debugfs		-v vfio_type1v2_iommu -v iommufd
release	debugfs		igb		debugfs		-T is_empty_or_complete_during_open_and_close -v iommufd
release	debugfs		VGA		debugfs		-T is_empty_or_complete_during_open_and_close -v iommufd
release	tracing		edu		tracing		-t drivers_open_in_order_and_close_in_reverse -t each_read_and_write_is_one_event -t each_mmap_is_one_event -t each_ioeventfd_is_one_event -t failed_open_closes_only_opened_drivers -t failed_override_is_one_event -v iommufd
traced	bypass		edu		bypass		-v vfio_type1v2_iommu -v iommufd
errors	errors		port/virtio-rng-pci,id=faulty,aer=on,disable-legacy=on	errors
errors	sibling		port/igb	sibling
stock	rules		edu		rules		-v vfio_type1v2_iommu
debug	lifecycle	edu+edu+port/edu+port/edu	lifecycle	-v iommufd -t unplugged_device_works_until_it_is_closed
debug	bypass		port/edu	bypass		-v iommufd
debug	override	port/edu	override	-v iommufd
debug	regions		pci-testdev	override	-t whole_region_override_gets_all_accesses -t rom_can_be_replaced_or_shrunk -t override_without_operations_changes_nothing -t range_handler_gets_only_its_bytes
debug	rules		port/edu	rules		-v iommufd
debug	rules		igb		rules		-v iommufd
debug	debugfs		edu		debugfs		-T is_empty_or_complete_during_open_and_close -v iommufd
debug	tracing		edu		tracing		-T only_enabled_tracepoints_print_events -T each_field_filters_events -v iommufd
debug	sriov		igb		sriov		-v iommufd
debug	resets		igb		resets		-v iommufd
debug	sibling		port/igb	sibling		-v iommufd
debug	caps		igb		caps
debug	dma		edu		dma	-v iommufd -f dma_type1 -f dma_attach
user	caps		user:caps	caps
user	caps		user:long_cap	caps
user-debug	caps		user:caps	caps
user-debug	caps		user:long_cap	caps
faults	failures	edu		fail_nth'
devices=([release]='port/edu igb pci-testdev VGA edu edu port/edu nvme e1000e pci-testdev,membar=8G' [debug]='port/edu pci-testdev edu edu port/edu igb port/igb'
	[faults]='edu port/edu' [traced]='edu' [stock]='edu' [errors]='port/virtio-rng-pci,id=faulty,aer=on,disable-legacy=on port/igb'
	[user]='user:caps user:long_cap' [user-debug]='user:caps user:long_cap')

# runs_of VM: print the runs for a VM, without the first column.
runs_of()
{
	tr -s '\t' <<<"$runs" | sed -n "s/^$1\t//p"
}

# tap NAME DEVICES [ENDING]: print the name of a result file.
tap()
{
	local device=${2##*/}

	echo "$1-${device%%,*}.${3:-tap}"
}

# loads_itself PROGRAM: check whether a program loads and unloads the module.
loads_itself()
{
	[[ "$1" =~ ^(lifecycle|sriov)$ ]]
}

# has_monitor VM: check whether programs of a VM request events.
has_monitor()
{
	[[ "$1" == errors || "$1" == debug ]]
}

# command VM NAME DEVICES PROGRAM OPTIONS: print the command for one run.
command()
{
	local device index args='' used=' ' all

	mapfile -t all < <(tr ' ' '\n' <<<"${devices[$1]}")
	for device in ${3//+/ }; do
		for index in "${!all[@]}"; do
			[ "${all[$index]}" != "$device" ] || [[ "$used" == *" $index "* ]] || break
		done
		used+="$index "
		args+=" \"\${bdfs[$index]}\""
	done
	echo "$programs/vfio_pci_vendor_$4 $5$args 2>&1 | tee \$out/$(tap "$2" "$3"); \
		echo \${PIPESTATUS[0]} >\$out/$(tap "$2" "$3" status)"
}

# in_guest VM EDU: print the commands for the guest. Results are in out/vendor/VM. EDU is
# the index of the device for concurrent operations.
in_guest()
{
	local name device program options seconds=30

	# The debug kernel needs minutes for the same work
	[ "$1" = release ] || seconds=150
	cat <<-END
	out=/repo/out/vendor/$1
	bdfs=(\$(tr ' ' '\n' <<<"\$VM_DEVICES" | sed 's/=.*//'))
	modprobe vfio-pci
	export VFIO_SELFTESTS_EVENTS=1
	END
	while IFS=$'\t' read -r name device program options; do
		! loads_itself "$program" || command "$1" "$name" "$device" "$program" "$options"
	done < <(runs_of "$1")
	echo "lsmod >\$out/unloaded"

	cat <<-END
	# One may have been unplugged
	VM_DEVICES=\$(for device in \$VM_DEVICES; do [ ! -e /sys/bus/pci/devices/\${device%%=*} ] || echo \$device; done)
	modprobe pci_endpoint_test
	modprobe vfio_pci_testdrv ids=1234:11e8,8086:10c9,8086:10ca,8086:10d3,1af4:1044,1b36:5,1b36:10,1234:1111,1234:cab5,1234:cab6
	# An enabled device skips interrupt routing by ACPI, which takes most of an open
	[ $1 != faults ] || echo 1 >/sys/bus/pci/devices/\${bdfs[0]}/enable
	scripts/guest/bind.sh all vfio-pci
	END
	# Make binds fast: a stub replaces modprobe
	[ "$1" != faults ] || echo "mount --bind /bin/true \$(readlink -f /sbin/modprobe)"
	while IFS=$'\t' read -r name device program options; do
		loads_itself "$program" || command "$1" "$name" "$device" "$program" "$options"
	done < <(runs_of "$1")
	[ "$1" != faults ] || echo "umount \$(readlink -f /sbin/modprobe)"
	# The module must have no open device and no reference left
	cat <<-END
	scripts/guest/bind.sh all none
	grep . /sys/module/vfio_pci_testdrv/parameters/* >\$out/counts
	cat /sys/module/vfio_pci_testdrv/refcnt >\$out/refcnt
	rmmod vfio_pci_testdrv
	lsmod >>\$out/unloaded
	END
	[[ "$1" == release || "$1" == faults ]] || return 0
	cat <<-END
	scripts/guest/bind.sh all vfio-pci
	$programs/vfio_pci_vendor_races -i 1234:11e8 -r ${SEED:-1} -s ${SECONDS_RACE:-$seconds} "\${bdfs[$2]}" >\$out/races 2>&1
	echo \$? >\$out/races.status
	END
}

# guarded: print the accesses in QEMU's trace that touch registers of edu guarded by
# bypass: 4 to 7, 0x2ffc to 0x3003 and 0x6010 to 0x6013. The trace has all accesses, by
# userspace and by the module.
guarded()
{
	grep " name 'edu-mmio'" | sed -E -n \
		's/.*memory_region_ops_(read|write) cpu [-0-9]+ mr 0x[0-9a-f]+ addr 0x[0-9a-f]*([0-9a-f]{5}) value (0x[0-9a-f]+) size ([0-9]+) .*/\2 \4 \1 \3/p' |
		while read -r offset size what; do
			first=$((16#$offset)) last=$((16#$offset + size - 1))
			if ((first <= 7 && last >= 4)) || ((first <= 0x3003 && last >= 0x2ffc)) ||
				((first <= 0x6013 && last >= 0x6010)); then
				echo "0x$offset $size $what"
			fi
		done
}

# start VM: start a VM.
start()
{
	local kernel=release edu=0 qemu=''

	[[ ! "$1" =~ debug|faults ]] || kernel=debug edu=1
	[ "$1" != stock ] || kernel=stock
	mkdir -p "$folder/$1"
	"$SCRIPTS/modules.sh" "$kernel" ours >/dev/null
	say "vendor: the VM $1"
	if [ "$1" = traced ]; then
		mkfifo "$folder/$1/fifo"
		guarded <"$folder/$1/fifo" >"$folder/$1/accesses" &
		qemu="-trace memory_region_ops_read -trace memory_region_ops_write -D /repo/out/vendor/$1/fifo"
	elif has_monitor "$1"; then
		mkfifo "$folder/$1"/monitor.{in,out}
		# After a bus reset, the kernel waits for the link of a port above 5 GT/s.
		# QEMU's ports never report such a link
		qemu="-global pcie-root-port.x-speed=5 -chardev pipe,id=monitor,path=/repo/out/vendor/$1/monitor -mon chardev=monitor,mode=readline"
	fi
	KERNEL=$kernel MODULES=ours DEVICES=${devices[$1]} NAME=vendor-$1 APPEND=$NO_VENDOR TIMEOUT=${TIMEOUT:-3600} QEMU=$qemu \
		"$SCRIPTS/vm.sh" "$(in_guest "$1" "$edu")" </dev/null >"$folder/$1/log" 2>&1 &
	running[$!]=$1
	! has_monitor "$1" || serve_events "$folder/$1" "$!" &
}

# reap: wait until a VM ends and report its status.
reap()
{
	local pid status=0

	wait -n -p pid "${!running[@]}" || status=$?
	result "$status" "${running[$pid]}: the VM succeeds" "$folder/${running[$pid]}/log"
	unset "running[$pid]"
}

# check VM: check the results of a VM.
check()
{
	local dir=$folder/$1 name device program options tap status p f s opens closes seen approved

	while IFS=$'\t' read -r name device program options; do
		tap=$dir/$(tap "$name" "$device") status=0
		read -r p f s < <(counts "$tap")
		[ "$f" -eq 0 ] && [ "$p" -ge 1 ] && [ "$(cat "${tap%.tap}.status")" = 0 ] || status=1
		grep -B 3 '^not ok' "$tap" >"$folder/why" || tail -n 20 "$tap" >"$folder/why"
		result "$status" "$1: $name passes on ${device%%,*} ($p passed, $s skipped)" "$folder/why"
	done < <(runs_of "$1")

	status=0
	[ "$(cat "$dir/refcnt")" = 0 ] && ! grep -q vfio_pci_testdrv "$dir/unloaded" || status=1
	opens=$(sed -n 's,.*/opens:,,p' "$dir/counts")
	closes=$(sed -n 's,.*/closes:,,p' "$dir/counts")
	[ "${opens:-0}" -gt 0 ] && [ "$opens" = "$closes" ] || status=1
	result "$status" "$1: all $opens opens are closed and the module can be unloaded" "$dir/counts"

	if [ "$1" = traced ]; then
		status=0 approved=$(sed -n 's,.*/approved:,,p' "$dir/counts")
		seen=$(wc -l <"$dir/accesses")
		[ "$seen" -eq "$approved" ] && [ "$approved" -gt 0 ] || status=1
		head -n 20 "$dir/accesses" >"$folder/why"
		result "$status" "$1: only the vendor driver accesses guarded registers ($approved of $seen accesses)" "$folder/why"
	fi
	[[ "$1" == release || "$1" == faults ]] || return 0
	grep -h '# .* allocations' "$dir"/*.tap | sed 's/.*# */# /' || true
	sed 's/^/# /' "$dir/races"
	result "$(cat "$dir/races.status")" "$1: concurrent operations do no harm" "$dir/races"
}

# Run two VMs in parallel, the slowest first
vms=(faults debug release traced user-debug errors user stock)
[ -z "${KERNEL-}" ] || vms=(release traced errors user stock)
[ "${KERNEL-}" != debug ] || vms=(faults debug user-debug)
declare -A running=()
for vm in "${vms[@]}"; do
	[ ${#running[@]} -lt 2 ] || reap
	start "$vm"
done
while [ ${#running[@]} -gt 0 ]; do reap; done
for vm in "${vms[@]}"; do
	check "$vm"
done
totals
