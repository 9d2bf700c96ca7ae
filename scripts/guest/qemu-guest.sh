#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# qemu-guest.sh PAYLOAD DEVICE_LOG FOLDER type1|iommufd [DEVICE]: in the guest, boot
# PAYLOAD (see programs/guest) in QEMU, with the first device of VM_DEVICES passed
# through. DEVICE replaces the default option host=BDF. DEVICE_LOG is the log of the
# outer QEMU. Write to FOLDER:
#
#     printed          output of PAYLOAD
#     errors, status   of QEMU
#     device           new lines about edu in DEVICE_LOG
#     regions, counts  the region table, and the counters of vfio_pci_edu, while
#                      QEMU has the device open

set -euo pipefail

payload=$1
device_log=$2
folder=$3
bdf=${VM_DEVICES%%=*}
before=$(stat -c %s "$device_log")

device=${5:-host=$bdf}
args=(-device "vfio-pci,$device")
[ "$4" != iommufd ] || args=(-object "iommufd,id=iommufd0" -device "vfio-pci,$device,iommufd=iommufd0")
mkdir -p "$folder"
mkfifo /run/qemu-guest.in /run/qemu-guest.out
timeout 400 qemu-system-x86_64 -nodefaults -no-user-config -display none -no-reboot -accel tcg -m 64M \
	-pidfile /run/qemu-guest.pid -kernel "$payload" "${args[@]}" -device isa-debug-exit,iobase=0xf4,iosize=4 \
	-chardev stdio,id=serial,signal=off -serial chardev:serial \
	</run/qemu-guest.in >/run/qemu-guest.out 2>"$folder/errors" &
qemu=$!
exec {in}>/run/qemu-guest.in {out}</run/qemu-guest.out

# counts PID: print the region that vfio_pci_edu adds, a name and four numbers. QEMU
# ignores this region. Duplicate QEMU's device file by pidfd_open and pidfd_getfd,
# and read region 9 by pread64.
counts()
{
	# shellcheck disable=SC2016 # perl's variables
	perl -e 'my $pidfd = syscall(434, $ARGV[0] + 0, 0);
		for my $link (glob "/proc/$ARGV[0]/fd/*") {
			readlink($link) =~ m,\[vfio-device\]|^/dev/vfio/devices/, or next;
			my $fd = syscall(438, $pidfd, substr($link, rindex($link, "/") + 1) + 0, 0);
			my $region = "\0" x 24;
			syscall(17, $fd, $region, 24, 9 << 40) == 24 or die "no region: $!\n";
			print join(" ", unpack("Z8V4", $region)), "\n";
			exit;
		}
		die "no device\n"' "$1" 2>&1 || true
}

while IFS= read -r -u "$out" line; do
	printf '%s\n' "$line"
	[ "$line" = look ] || continue
	cp "/sys/kernel/debug/vfio/$bdf/pci/regions" "$folder/regions"
	counts "$(cat /run/qemu-guest.pid)" >"$folder/counts"
	echo >&"$in"
done >"$folder/printed"
status=0
wait "$qemu" || status=$?
echo "$status" >"$folder/status"
exec {in}>&- {out}<&-
rm -f /run/qemu-guest.in /run/qemu-guest.out /run/qemu-guest.pid
tail -c "+$((before + 1))" "$device_log" | grep -o 'EDU: [^!]*!' >"$folder/device" || true
echo "${folder##*/}: status $status, up $(cut -d. -f1 /proc/uptime) s"
