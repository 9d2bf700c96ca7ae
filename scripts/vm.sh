#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# vm.sh [COMMAND...] | --shell: boot a VM, run a command in it as root, and exit with
# the status of the command. The root is read-only in the VM. The checkout is writable
# at /repo (the working directory), the cache at /cache.
#
#     RUN      the command, if there are no arguments
#     KERNEL   release (default), debug, debug-btf or stock
#     MODULES  ours (default), stock, or fixes: stock with the first series; or a folder in
#              the root with lib/modules
#     DEVICES  QEMU devices with options: "edu igb nvme,serial=x". The first one is
#              0000:00:02.0. Each has its own IOMMU group. In the guest, VM_DEVICES
#              lists them as "0000:00:02.0=edu ...". "port/igb" puts the device behind
#              a PCIe root port. Block devices get an empty disk. "user:NAME" is the
#              device in programs/vfio_user/NAME.json; NAME may also
#              be the path of such a file in the checkout. The VM then uses QEMU 11.
#     QEMU     more arguments for QEMU
#     APPEND   more kernel parameters
#     ACCEL    auto (default: KVM if a kernel boots with it), kvm or tcg
#     SMP MEM  CPUs (2) and memory (2G)
#     ICOUNT=1 the guest's clock counts instructions; sets SMP=1
#     TIMEOUT  time limit in seconds (1800; debug: 3600; none for a shell)
#     NAME     keep the log files, as out/vm/NAME.*
#     INSTALLED  a folder in the checkout with modules of vendor.sh; the VM has them
#              in addition to ours (make vm and make shell: out/vendor-modules)
#
# Other exit statuses: 99, the kernel reported a bug; 124, the time limit expired;
# 125, the VM did not start or died.
#
# An emulated TSC has the frequency of the host's TSC. On a busy machine, the guest
# kernel may measure a wrong frequency, and its clock then runs many times too fast.
# Therefore vm.sh passes the frequency as a kernel parameter. The guest also compares its clock with
# the host's. If the clock is too fast, vm.sh restarts the VM, up to two times.

. "$(dirname "$0")/lib.sh"

KERNEL=${KERNEL:-release}
MODULES=${MODULES:-ours}
DEVICES=${DEVICES-}
ACCEL=${ACCEL:-auto}
SMP=${SMP:-2}
MEM=${MEM:-2G}
[[ "$KERNEL" == debug* ]] && limit=3600 || limit=1800
TIMEOUT=${TIMEOUT:-$limit}

shell=
if [ "${1-}" = --shell ]; then
	[ $# -eq 1 ] || die "unknown argument '$2'; usage: vm.sh [COMMAND...] | --shell"
	if [ ! -t 0 ] || [ ! -t 1 ]; then
		die "a shell needs a terminal; use make vm RUN='COMMAND' instead"
	fi
	shell=y
	TIMEOUT=0
	run=
elif [ $# -gt 0 ]; then
	run=$*
else
	run=${RUN-}
	[ -n "$run" ] || die "nothing to run; set RUN='COMMAND', or use make shell"
fi

[[ "$KERNEL" =~ ^(release|debug|debug-btf|stock)$ ]] || die "unknown KERNEL '$KERNEL'; use release, debug, debug-btf or stock"
[[ "$MODULES" =~ ^(ours|stock|fixes|/.*)$ ]] || die "unknown MODULES '$MODULES'; use ours, stock or fixes"
[[ "$ACCEL" =~ ^(auto|kvm|tcg)$ ]] || die "unknown ACCEL '$ACCEL'; use auto, kvm or tcg"
[[ "$TIMEOUT" =~ ^[0-9]+$ ]] || die "TIMEOUT is a number of seconds, not '$TIMEOUT'"
[[ "$SMP" =~ ^[1-9][0-9]*$ ]] || die "SMP is a number of CPUs, not '$SMP'"
[[ "$MEM" =~ ^[1-9][0-9]*[MG]$ ]] || die "MEM is a size such as 2G or 512M, not '$MEM'"
[[ "${ICOUNT-}" =~ ^[01]?$ ]] || die "ICOUNT is 1 or nothing, not '$ICOUNT'"
[[ "${NAME-}" =~ ^[A-Za-z0-9_.-]*$ ]] || die "NAME may only contain letters, digits and _.-, not '$NAME'"

kernel=$("$SCRIPTS/kernel.sh" "$KERNEL")
[[ "$MODULES" == /* ]] && modules=$MODULES || modules=$("$SCRIPTS/modules.sh" "$KERNEL" "$MODULES")
installed=${INSTALLED:+$INSTALLED/$KERNEL}
if [ -n "$installed" ] && [ "$MODULES" = ours ] && [ -e "$REPO/$installed/base" ]; then
	[ "$(cat "$REPO/$installed/base")" = "$modules" ] ||
		die "make vendor built the modules in $installed for other vfio modules; run make vendor M=... KERNEL=$KERNEL again, or remove $installed"
	modules=/repo/$installed
fi

name=${NAME:-$KERNEL-${MODULES##*/}-$$}
mkdir -p "$OUT/vm"
files=$OUT/vm/$name
rm -f "$files".*

# The VM's own devices have the slots 0x1b to 0x1d. DEVICES start at slot 2, because the
# VFs of igb need slots above igb.
args=()
vm_devices=
slot=2
drives=0
sockets=()
for device in $DEVICES; do
	at=$(printf '%02x' "$slot")
	bus=pcie.0,addr=0x$at
	place=0000:00:$at.0
	if [[ "$device" == port/* ]]; then
		device=${device#port/}
		args+=(-device "pcie-root-port,id=port$at,bus=$bus,chassis=$slot,slot=$slot")
		bus=port$at
		place=$place/
	fi
	[ "$slot" -lt 27 ] || die "DEVICES has too many devices; use 25 at most"
	slot=$((slot + 1))
	type=${device%%,*}
	if [[ "$type" =~ ^(nvme|virtio-blk-pci)$ && "$device" != *drive=* ]]; then
		args+=(-blockdev "null-co,node-name=disk$drives,size=67108864,read-zeroes=on")
		device+=,drive=disk$drives
		[[ "$type" != nvme || "$device" == *serial=* ]] || device+=,serial=disk$drives
		drives=$((drives + 1))
	fi
	[[ "$device" == *,bus=* ]] || device+=,bus=$bus
	if [[ "$type" == user:* ]]; then
		description=${type#user:}
		[[ "$description" == */* ]] || description=programs/vfio_user/$description.json
		[ -f "$REPO/$description" ] || die "DEVICES: there is no file $description in the checkout"
		sockets+=("/run/device$at=$description")
		device="{\"driver\":\"vfio-user-pci\",\"socket\":{\"type\":\"unix\",\"path\":\"/run/device$at\"}$(
			tr ',' '\n' <<<"${device#"$type",}" | sed -E -e 's/^([^=]*)=(.*)$/,"\1":"\2"/' \
				-e 's/"on"$/true/' -e 's/"off"$/false/' -e 's/"([0-9]+)"$/\1/' | tr -d '\n')}"
	fi
	args+=(-device "$device")
	vm_devices+="${vm_devices:+ }$place=$type"
done

# With icount, the clock and the TSC count instructions, 1 ns each or more.
[[ "${QEMU-}" == *-icount* ]] && icount=y || icount=
if [ "${ICOUNT-}" = 1 ]; then
	[ "$ACCEL" != kvm ] || die "ICOUNT=1 needs an emulated CPU; remove ACCEL=kvm"
	ACCEL=tcg
	SMP=1
	icount=y
	args+=(-icount "shift=0,sleep=off")
fi
if [ "$ACCEL" = auto ]; then
	# Use the modules that this run needs anyway.
	ACCEL=$(KERNEL=$KERNEL MODULES=$MODULES "$SCRIPTS/accel.sh")
fi
# KVM reports the TSC frequency to the kernel.
tsc=''
clock=y
case $ACCEL in
kvm) args+=(-accel kvm -cpu host) ;;
# Use one thread for all CPUs: with more, QEMU's devices race, and QEMU
# fails an assertion in iotlb_to_section() or hangs. QEMU still preempts a CPU at any instruction.
tcg)
	args+=(-accel "tcg,thread=${TCG_THREAD:-single}" -cpu "max,la57=off")
	if [ -n "$icount" ]; then
		clock=
		khz=1000000
	else
		khz=$("$SCRIPTS/host-tsc.sh")
	fi
	tsc=tsc_early_khz=$khz
	;;
esac

# On a busy machine, the default timeouts of the kernel's watchdogs are too short.
timeouts=rcupdate.rcu_cpu_stall_timeout=120
case $KERNEL in
stock) timeouts+=" watchdog_thresh=60 sysctl.kernel.hung_task_timeout_secs=600" ;;
debug*) timeouts+=" sysctl.kernel.hung_task_timeout_secs=600" ;;
esac

printf '%s\n' "$run" >"$files.run"
{
	printf 'export KERNEL=%q MODULES=%q VM_DEVICES=%q VM_MODULES=%q\n' "$KERNEL" "$MODULES" "$vm_devices" "$modules"
	printf 'VM_CLOCK=%q\n' "$clock"
	printf 'VM_SHELL=%q VM_TERM=%q\n' "$shell" "${TERM:-linux}"
	if [ -n "$shell" ]; then
		read -r rows columns < <(stty size)
		printf 'VM_ROWS=%q VM_COLUMNS=%q\n' "$rows" "$columns"
	fi
} >"$files.run.env"

qemu=(qemu-system-x86_64) machine=
if [ ${#sockets[@]} -gt 0 ]; then
	# vfio_user.py starts QEMU and exits with it. It maps the guest's memory by a memfd.
	qemu=(programs/vfio_user/vfio_user.py "${sockets[@]}" -- "$("$SCRIPTS/qemu.sh" trixie-backports)")
	args+=(-object "memory-backend-memfd,id=memory,size=$MEM,share=on")
	machine=,memory-backend=memory
fi

[ ! -e "$CACHE/${kernel#/cache/}/initrd" ] || args+=(-initrd "$kernel/initrd")
out=/repo/out/vm/$name
fs="trans=virtio,version=9p2000.L,msize=512000"
args+=(
	-nodefaults -no-user-config -display none -no-reboot
	-machine "q35,kernel-irqchip=split$machine" -smp "$SMP" -m "$MEM"
	-kernel "$kernel/vmlinuz"
	-append "console=ttyS0 loglevel=5 printk.time=1 panic=-1 oops=panic tsc=reliable $tsc no_timer_check $timeouts kunit.enable=1 kunit.autorun=1 intel_iommu=on root=root rootfstype=9p rootflags=$fs,cache=loose ro init=/repo/scripts/guest/init.sh vm.run=$out.run vm.repo=$fs,cache=mmap${APPEND:+ $APPEND}"
	-serial "file:$out.console.log"
	-fsdev "local,id=root,path=/,security_model=none,readonly=on,multidevs=remap"
	-device "virtio-9p-pci,fsdev=root,mount_tag=root,bus=pcie.0,addr=0x1b"
	-fsdev "local,id=repo,path=/repo,security_model=none,multidevs=remap"
	-device "virtio-9p-pci,fsdev=repo,mount_tag=repo,bus=pcie.0,addr=0x1c"
	-device "virtio-serial-pci,bus=pcie.0,addr=0x1d"
	-chardev "file,id=status,path=$out.status" -device "virtserialport,chardev=status,name=status"
)
if [ -n "$shell" ]; then
	args+=(-chardev "stdio,id=out,signal=off" -device "virtconsole,chardev=out")
else
	args+=(-chardev "file,id=out,path=$out.fifo" -device "virtserialport,chardev=out,name=out")
fi
# QEMU needs the IOMMU before the devices behind it. xargs handles quotes in QEMU=.
mapfile -t more < <(xargs -n 1 printf '%s\n' <<<"${QEMU-}" | sed '/^$/d')
args=(-device "intel-iommu,intremap=on,caching-mode=on" "${args[@]}" "${more[@]}")

command=("$SCRIPTS/in-root.sh" timeout --foreground --kill-after=5 "$TIMEOUT" "${qemu[@]}" "${args[@]}")

# start: run the VM; set began and status.
start()
{
	local fifo=$files.fifo cat vm

	began=$(date +%s)
	status=0
	echo "VM_BEGAN=$began" >"$files.run.began"
	if [ -n "$shell" ]; then
		"${command[@]}" || status=$?
		return
	fi
	# QEMU sets its output to non-blocking. Give it a pipe instead of our output.
	mkfifo "$fifo"
	cat "$fifo" &
	cat=$!
	"${command[@]}" </dev/null >"$fifo" 2>"$files.qemu.log" &
	vm=$!
	# shellcheck disable=SC2064 # expand now
	trap "kill $vm 2>/dev/null; wait; rm -f '$fifo'; exit 130" INT TERM HUP
	wait "$vm" || status=$?
	wait "$cat"
	trap - INT TERM HUP
	rm "$fifo"
}

for attempt in 1 2 3; do
	start
	[ "$(cat "$files.status" 2>/dev/null)" = clock ] || break
	if [ "$attempt" -eq 3 ]; then
		printf 'error: the clock of the VM runs too fast (%s), 3 times in a row; check tsc_early_khz= in %s\n' \
			"$(cat "$files.run.clock")" "$files.console.log" >&2
		exit 125
	fi
	say "the clock of the VM runs too fast ($(cat "$files.run.clock")); restarting the VM"
	rm -f "$files.status" "$files.console.log" "$files.run.dmesg" "$files.run.kmemleak"
done

# Kernel messages that report a bug. oops=panic ends the VM on an oops; find the
# others here.
bugs='Kernel panic|Oops|BUG: |BUG at |WARNING: |------------\[ cut here|KASAN: |UBSAN: |KCSAN: |INFO: (possible|suspicious|trying|inconsistent|HARDIRQ|SOFTIRQ|task .* blocked|lockdep)|possible (circular|recursive|irq)|general protection fault|[uU]nable to handle|detected stall|soft lockup|hard LOCKUP|refcount_t: |list_(add|del) corruption|ODEBUG: |bad unlock balance|held lock freed|sleeping function called|scheduling while atomic|Bad page state|double free|Memory manager not clean'

report=0
if grep -a -q -E "$bugs" "$files.console.log" 2>/dev/null; then
	printf 'error: the kernel reported a bug (%s):\n' "$files.console.log" >&2
	grep -a -n -E "$bugs" "$files.console.log" | head -n 1 | cut -d: -f1 | {
		read -r line
		tail -n "+$((line > 3 ? line - 3 : 1))" "$files.console.log" | head -n 100 >&2
	}
	report=99
elif [ -s "$files.run.dmesg" ] && grep -q -E "$bugs" "$files.run.dmesg"; then
	printf 'error: the kernel reported a bug (%s):\n' "$files.run.dmesg" >&2
	grep -n -E -A 60 "$bugs" "$files.run.dmesg" | head -n 100 >&2
	report=99
fi
# Ignore leaks from the boot of the kernel.
if [ -s "$files.run.kmemleak" ]; then
	awk '/^unreferenced/ { object = $0; getline; show = !/comm "swapper/; if (show) print object }
		show' "$files.run.kmemleak" >"$files.kmemleak"
	if [ -s "$files.kmemleak" ]; then
		printf 'error: the kernel leaks memory (%s):\n' "$files.kmemleak" >&2
		head -n 100 "$files.kmemleak" >&2
		report=99
	fi
fi
[ "$report" -eq 0 ] || exit "$report"

if [ "$status" -eq 124 ] || [ "$status" -eq 137 ]; then
	printf 'error: time limit: the VM ran for %d s (TIMEOUT=%s); console: %s\n' \
		$(($(date +%s) - began)) "$TIMEOUT" "$files.console.log" >&2
	exit 124
fi
if [ ! -s "$files.status" ]; then
	tail -n 10 "$files.console.log" 2>/dev/null >&2 || true
	if [ -s "$files.qemu.log" ]; then
		why=$(tail -n 1 "$files.qemu.log")
		# vfio_user.py prints complete errors.
		[[ "$why" == "error: "* ]] || why="error: QEMU: $why"
		printf '%s\n' "$why" >&2
	else
		printf 'error: the VM died before the command ended; console: %s\n' "$files.console.log" >&2
	fi
	exit 125
fi
status=$(cat "$files.status")
[ -n "${NAME-}" ] || [ "$status" -ne 0 ] || rm -f "$files".*
exit "$status"
