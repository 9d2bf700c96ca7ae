#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# qemu-guest.sh PAYLOAD DEVICE_LOG FOLDER type1|iommufd [DEVICE]: in the guest, start
# QEMU with the first device of VM_DEVICES, or what of it QEMU knows as DEVICE
# (sysfsdev=...), by a container or by iommufd, and PAYLOAD in it (see qemu-guest.c).
# Writes to FOLDER what it prints, QEMU's errors and status, what is new about edu
# in DEVICE_LOG, which is that of the QEMU around us; and the region table and the
# counts of vfio_pci_edu while QEMU has the device.

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

# counts PID: the region that the sample adds is nothing that QEMU knows. Read it
# by the file that QEMU has, with pidfd_open, pidfd_getfd and pread64: region 9,
# a name and four numbers.
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
