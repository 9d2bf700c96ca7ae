#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# demo.sh: boot Debian's kernel with our vfio modules in a VM, and drive a PCI device
# from userspace, with and without the sample vendor driver. Then let QEMU migrate a
# nested guest from one device to another, by both protocols, and move DPDK's testpmd from
# a virtual function of one NIC to that of another. Last, attach a BPF program that locks
# the EEPROM of a NIC, if the kernel has BTF. Print the time that each step took. Fail if a
# step fails. KERNEL and MODULES work as for vm.sh.

. "$(dirname "$0")/lib.sh"

[ $# -eq 0 ] || die "unknown argument '$1'; usage: demo.sh"

kernel=${KERNEL:-stock}
kind=${MODULES:-ours}
log=$OUT/demo.log
mkdir -p "$OUT"

now()
{
	echo $(($(date +%s%N) / 1000000))
}

# took NAME BEGAN ENDED: add a row to the table of times; both are in ms.
rows=()
took()
{
	rows+=("$(printf '%6d.%d s  %s' $((($3 - $2) / 1000)) $((($3 - $2) / 100 % 10)) "$1")")
}

# timed NAME COMMAND...: run a command and record its time; set result to its output.
timed()
{
	local began name=$1
	shift

	began=$(now)
	result=$("$@")
	took "$name" "$began" "$(now)"
}

# show: copy stdin to stdout, and record the time of the guest's first line.
show()
{
	local line

	rm -f "$log.up"
	while IFS= read -r line; do
		if [[ "$line" == "guest: "* ]] && [ ! -e "$log.up" ]; then
			now >"$log.up"
		fi
		printf '%s\n' "$line"
	done
}

start=$(now)
timed 'root: the Debian for builds and VMs' "$SCRIPTS/root.sh"
timed 'source: the pristine kernel' "$SCRIPTS/source.sh"
timed "kernel: $kernel" "$SCRIPTS/kernel.sh" "$kernel"
timed "modules: vfio, $kind" "$SCRIPTS/modules.sh" "$kernel" "$kind"
timed 'programs: the demo programs' "$SCRIPTS/userspace.sh"
userspace=$result
qemu72='' dpdk='' bpf=''
if [ "$kind" = ours ]; then
	mkdir -p "$OUT/demo"
	timed 'programs: QEMU 7.2' "$SCRIPTS/qemu.sh" bookworm
	qemu72=$result
	timed 'programs: DPDK' "$SCRIPTS/dpdk.sh"
	dpdk=$result
	timed 'programs: the BPF samples' "$SCRIPTS/bpf.sh" samples
	bpf=$result
fi

# The commands for the guest. They check that the loaded module is ours, not Debian's.
in_guest=$(cat <<END
set -e
read -r bdf _ a b peer < <(tr ' ' '\n' <<<"\$VM_DEVICES" | sed 's/=.*//' | xargs)
VM_DEVICES=\${VM_DEVICES%% 0000:0[1-9]*}
echo "guest: kernel \$(uname -r)"
scripts/guest/bind.sh "\$bdf" vfio-pci
file=\$(find "\$VM_MODULES/lib/modules/\$(uname -r)/updates" -name vfio-pci-core.ko)
loaded=/sys/module/vfio_pci_core/notes/.note.gnu.build-id
echo "guest: vfio_pci_core with build id \$(tail -c 20 \$loaded | od -An -v -tx1 | tr -d ' \n'), from"
echo "       \$file"
objcopy -O binary --only-section=.note.gnu.build-id "\$file" /tmp/built
cmp /tmp/built "\$loaded"
if grep '^vfio_pci_edu ' /proc/modules >/tmp/edu; then
	echo "guest: vfio-pci has loaded \$(cut -d ' ' -f 1 /tmp/edu), by the alias"
	modinfo -F alias vfio_pci_edu | sed 's/^/       /'
	mountpoint -q /sys/kernel/debug || mount -t debugfs none /sys/kernel/debug
	$userspace/vfio_pci_vendor_demo "\$bdf"
	rmmod vfio_pci_edu 2>/tmp/why || sed 's/^rmmod: ERROR: /guest: /' /tmp/why
	scripts/guest/without-vendor.sh vfio_pci_edu
	echo "guest: the same device without vfio_pci_edu"
fi
$userspace/vfio_pci_edu_demo "\$bdf"
[ -n "$qemu72" ] || exit 0
echo "guest: QEMU migrates a nested guest that uses the device all the time:"
modprobe vfio_pci_edu_migration
scripts/guest/bind.sh all none
scripts/guest/bind.sh all vfio-pci
set -o pipefail
programs/migrate/edu.py $userspace/guest_dma out/demo/region $qemu72 type1 move | sed 's/^/  /'
programs/migrate/edu.py $userspace/guest_dma out/demo/features qemu-system-x86_64 type1 move | sed 's/^/  /'
echo "guest: a virtual function of igb sends the frames of a peer back, by DPDK's testpmd, and moves to another igb:"
scripts/guest/bind.sh "\$peer" igb
vfs=\$(scripts/guest/igb-vfs.sh "\$a" "\$b" | xargs)
grep -q '^vfio_pci_igbvf ' /proc/modules
programs/migrate/testpmd.py $dpdk $userspace/mmio_socket.so \$vfs "\$peer" 0 out/demo | sed -n 's/^\(ok\|not ok\|#\)/  &/p'
[ -e /sys/kernel/btf/vmlinux ] || exit 0
echo "guest: a BPF program locks the EEPROM of a NIC:"
scripts/guest/bind.sh "\$peer" vfio-pci
modprobe vfio-pci-bpf
mount -t bpf bpf /sys/fs/bpf
# eecd WHEN VALUE: write 0x41 to the register with the pins of the EEPROM, and compare it
eecd()
{
	scripts/guest/registers.py "\$peer" 0:0x10:4=0x41 0:0x10:4 >/tmp/eecd
	echo "  \$1: wrote 0x41, read \$(sed -n 's/^0:0x10:4 //p' /tmp/eecd)"
	grep -q -x "0:0x10:4 \$2" /tmp/eecd
}
eecd "without the program" 0x1141
$bpf/attach $bpf/lock_eeprom.bpf.o | sed 's/^/  /'
eecd "with the program" 0x1110
rm /sys/fs/bpf/lock_eeprom
eecd "detached" 0x1141
END
)

began=$(now)
status=0
KERNEL=$kernel MODULES=$kind NAME=demo APPEND=$NO_MIGRATION \
	DEVICES='edu edu port/igb,netdev=a port/igb,netdev=b port/igb,netdev=peer' \
	QEMU='-netdev hubport,id=a,hubid=0 -netdev hubport,id=b,hubid=0 -netdev hubport,id=peer,hubid=0' \
	"$SCRIPTS/vm.sh" "$in_guest" </dev/null |
	tee "$log" | show || status=$?
ended=$(now)
[ -e "$log.up" ] || die "the VM did not boot (log: $log)"
up=$(cat "$log.up")
took 'boot: the VM, until its first command' "$began" "$up"
took 'run: the output above, and power off' "$up" "$ended"
took 'total' "$start" "$ended"
[ "$status" -eq 0 ] || die "the demo failed with status $status; see above (log: $log)"

echo
echo "Time by step:"
printf '%s\n' "${rows[@]}"
