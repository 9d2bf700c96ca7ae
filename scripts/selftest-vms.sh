# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2154 # the suites set vms and runs
#
# Sourced after lib.sh by suites that run our selftests in VMs. A suite declares:
#
#     suite          its name; results are in out/SUITE/VM
#     vms[VM]        "KERNEL NAME=DEVICE...": the kernel and the devices of a VM; vm.sh
#                    explains DEVICE
#     runs           lines of VM, PROGRAM, SKIPPED and OPTIONS, separated by tabs. The
#                    program must skip SKIPPED tests and pass all others. OPTIONS are
#                    shell words; $NAME is the address of a device
#     qemu[VM]       more arguments for QEMU (optional)
#     variables[VM]  more variables for vm.sh, as shell words (optional)
#
# and these functions, all optional:
#
#     before_VM, after_VM  print commands for the guest before and after the programs
#     check_VM             check more results
#
# KERNEL selects the VMs with one kernel, VMS='VM...' selects VMs.

. "$SCRIPTS/result.sh"
. "$SCRIPTS/parallel.sh"
. "$SCRIPTS/qemu-events.sh"

programs=$("$SCRIPTS/userspace.sh")
folder=$OUT/$suite
rm -rf "$folder"
mkdir -p "$folder"
declare -A vms=() qemu=() variables=()

# runs_of VM: print PROGRAM, SKIPPED and OPTIONS of the runs in a VM.
runs_of()
{
	sed -n "s/^$1\t\+//p" <<<"$runs"
}

# devices_of VM: print the devices of a VM as NAME=DEVICE, one per line.
devices_of()
{
	xargs -n 1 <<<"${vms[$1]#* }"
}

# guest_helpers VM: print functions and variables for the guest.
guest_helpers()
{
	cat <<-END
	out=/repo/out/$suite/$1
	read -r $(devices_of "$1" | sed 's/=.*//' | xargs) \
		< <(tr ' ' '\n' <<<"\$VM_DEVICES" | sed 's/=.*//' | xargs)
	export VFIO_SELFTESTS_EVENTS=1
	# record NAME COMMAND...: run a test program, keep its output and status
	record()
	{
		local began=\$(cut -d. -f1 /proc/uptime)

		"\${@:2}" 2>&1 | tee "\$out/\$1.tap"
		echo \${PIPESTATUS[0]} >"\$out/\$1.status"
		echo "\$1: \$((\$(cut -d. -f1 /proc/uptime) - began)) s"
	}
	END
}

# in_guest VM: print all commands for the guest.
in_guest()
{
	local program options n=0

	guest_helpers "$1"
	echo 'modprobe vfio-pci enable_sriov=1; scripts/guest/bind.sh all vfio-pci'
	! declare -F "before_$1" >/dev/null || "before_$1"
	while IFS=$'\t' read -r program _ options; do
		n=$((n + 1))
		echo "record $n-$program $programs/$program $options"
	done < <(runs_of "$1")
	! declare -F "after_$1" >/dev/null || "after_$1"
	echo "scripts/guest/bind.sh all none"
	echo "rmmod vfio_pci_testdrv 2>/dev/null; lsmod >\$out/modules"
}

# run_vm VM: boot a VM and run its programs. Execute the events that they request.
run_vm()
{
	local vm events status=0 more=()

	mkdir "$folder/$1"
	mkfifo "$folder/$1"/monitor.{in,out}
	touch "$folder/$1/log"
	eval "more=(${variables[$1]-})"
	# After a bus reset, the kernel waits for the link of a port above 5 GT/s. QEMU's
	# ports never report such a link.
	env KERNEL="${vms[$1]%% *}" MODULES=ours NAME="$suite-$1" TIMEOUT="${TIMEOUT:-3600}" APPEND="$NO_VENDOR" \
		DEVICES="$(devices_of "$1" | sed 's/[^=]*=//' | xargs)" "${more[@]}" \
		QEMU="-global pcie-root-port.x-speed=5 -chardev pipe,id=monitor,path=/repo/out/$suite/$1/monitor
			-mon chardev=monitor,mode=readline ${qemu[$1]-}" \
		"$SCRIPTS/vm.sh" "$(in_guest "$1")" >"$folder/$1/log" 2>&1 &
	vm=$!
	serve_events "$folder/$1" "$vm" &
	events=$!
	wait "$vm" || status=$?
	wait "$events"
	cat "$folder/$1/log"
	return "$status"
}

# passes VM NAME WHAT SKIPPED: check that all tests of a program passed, except SKIPPED
# ones.
passes()
{
	local tap=$folder/$1/$2.tap status=0 p=0 f s plan

	if [ -s "$tap" ]; then
		read -r p f s < <(counts "$tap")
		plan=$(sed -n 's/^1\.\.\([0-9]*\).*/\1/p' "$tap" | head -n 1)
		[ "$f" -eq 0 ] && [ "$p" -ge 1 ] && [ "$s" -eq "$4" ] && [ $((p + s)) -eq "${plan:-0}" ] &&
			[ "$(cat "${tap%.tap}.status")" = 0 ] || status=1
		{ [ "$s" -eq "$4" ] || echo "expected $4 skipped tests"; why "$tap"; } >"$folder/why"
	else
		echo "no output; see $folder/$1/log" >"$folder/why"
		status=1
	fi
	result "$status" "$1: $3 ($p passed${s:+, $s skipped})" "$folder/why"
	grep -h -E '# .* (allocations|streams, )' "$tap" | sed 's/.*# */# /' || true
}

# check_runs VM: check all programs of a VM.
check_runs()
{
	local program skipped options n=0 status=0

	while IFS=$'\t' read -r program skipped options; do
		n=$((n + 1))
		passes "$1" "$n-$program" "$program $options" "$skipped"
	done < <(runs_of "$1")
	[ -s "$folder/$1/modules" ] && ! grep -E '^vfio_(pci_testdrv|mdev)' "$folder/$1/modules" >"$folder/why" || status=1
	result "$status" "$1: the modules can be unloaded" "$folder/why"
}

# selected VM: check whether KERNEL and VMS select a VM.
selected()
{
	[ -z "${KERNEL-}" ] || [ "${vms[$1]%% *}" = "$KERNEL" ] || return 1
	[ -z "${VMS-}" ] || [[ " $VMS " == *" $1 "* ]]
}

# test_in_vms VM...: run all programs in VMs, the slowest VM first, and check them.
test_in_vms()
{
	local vm chosen=()

	for vm; do
		! selected "$vm" || chosen+=("$vm")
	done
	[ ${#chosen[@]} -gt 0 ] || die "no VM of the suite $suite is selected; choose from: $*"
	for vm in "${chosen[@]}"; do
		"$SCRIPTS/modules.sh" "${vms[$vm]%% *}" ours >/dev/null
	done
	in_parallel "$folder" run_vm "${chosen[@]}"
	for vm in "${chosen[@]}"; do
		check_runs "$vm"
		! declare -F "check_$vm" >/dev/null || "check_$vm"
	done
}
