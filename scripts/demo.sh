#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# demo.sh: from nothing to userspace that drives a PCI device through vfio-pci,
# with our modules on Debian's own kernel, in a VM, with the sample vendor driver
# and without it; and to QEMU that migrates a guest from one device to another,
# by both protocols; then say where the time went. Fails if the device does not do
# what it should. KERNEL and MODULES name others, as for vm.sh.

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

# took NAME BEGAN ENDED: one row of the table at the end; times in ms.
rows=()
took()
{
	rows+=("$(printf '%6d.%d s  %s' $((($3 - $2) / 1000)) $((($3 - $2) / 100 % 10)) "$1")")
}

# timed NAME COMMAND...: run a command with its output in $result.
timed()
{
	local began name=$1
	shift

	began=$(now)
	result=$("$@")
	took "$name" "$began" "$(now)"
}

# show: pass on what the guest prints; note when its first line comes.
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
timed 'root: a Debian to build in and to boot' "$SCRIPTS/root.sh"
timed 'source: the kernel that the series is for' "$SCRIPTS/source.sh"
timed "kernel: $kernel" "$SCRIPTS/kernel.sh" "$kernel"
timed "modules: vfio, $kind" "$SCRIPTS/modules.sh" "$kernel" "$kind"
timed 'programs: the one that drives the device' "$SCRIPTS/userspace.sh"
userspace=$result
qemu72=
if [ "$kind" = ours ]; then
	mkdir -p "$OUT/demo"
	timed 'programs: QEMU 7.2, and what its guest runs' "$SCRIPTS/qemu.sh" bookworm
	qemu72=$result
	"$SCRIPTS/guest-payload.sh" scripts/guest/guest_dma.c out/demo/payload
fi

# What the guest runs. The module that drives the device must be the one that
# was built, not one of Debian's.
in_guest=$(cat <<END
set -e
bdf=\${VM_DEVICES%%=*}
echo "guest: kernel \$(uname -r)"
scripts/guest/bind.sh "\$bdf" vfio-pci
file=\$(find "\$VM_MODULES/lib/modules/\$(uname -r)/updates" -name vfio-pci-core.ko)
loaded=/sys/module/vfio_pci_core/notes/.note.gnu.build-id
echo "guest: vfio_pci_core with build id \$(tail -c 20 \$loaded | od -An -v -tx1 | tr -d ' \n'), from"
echo "       \$file"
objcopy -O binary --only-section=.note.gnu.build-id "\$file" /tmp/built
cmp /tmp/built "\$loaded"
if grep '^vfio_pci_edu ' /proc/modules >/tmp/edu; then
	echo "guest: loaded by itself: \$(cut -d ' ' -f 1 /tmp/edu), for"
	modinfo -F alias vfio_pci_edu | sed 's/^/       /'
	mountpoint -q /sys/kernel/debug || mount -t debugfs none /sys/kernel/debug
	$userspace/vfio_pci_vendor_demo "\$bdf"
	rmmod vfio_pci_edu 2>/tmp/why || sed 's/^rmmod: ERROR: /guest: /' /tmp/why
	scripts/guest/without-vendor.sh vfio_pci_edu
	echo "guest: bound again without vfio_pci_edu: the device as it is"
fi
$userspace/vfio_pci_edu_demo "\$bdf"
[ -n "$qemu72" ] || exit 0
echo "guest: the device is migrated, with a guest of QEMU that uses it all the time:"
modprobe vfio_pci_edu_migration
scripts/guest/bind.sh all none
scripts/guest/bind.sh all vfio-pci
set -o pipefail
scripts/guest/migrate.py out/demo/payload out/demo/region $qemu72 type1 move | sed 's/^/  /'
scripts/guest/migrate.py out/demo/payload out/demo/features qemu-system-x86_64 type1 move | sed 's/^/  /'
END
)

began=$(now)
status=0
KERNEL=$kernel MODULES=$kind DEVICES='edu edu' NAME=demo APPEND=$NO_MIGRATION "$SCRIPTS/vm.sh" "$in_guest" </dev/null |
	tee "$log" | show || status=$?
ended=$(now)
[ -e "$log.up" ] || die "the VM did not come up (log: $log)"
up=$(cat "$log.up")
took 'boot: the VM, until it runs its first command' "$began" "$up"
took 'run: all that the device did above, and power off' "$up" "$ended"
took 'in all' "$start" "$ended"
[ "$status" -eq 0 ] || die "the demo failed with status $status; see above (log: $log)"

echo
echo "Where the time went:"
printf '%s\n' "${rows[@]}"
