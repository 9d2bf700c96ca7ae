#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=dash disable=SC1090,SC2154
#
# The guest's init: mount file systems, run the command of vm.sh, report its status
# through a virtio port, power off. Use busybox: each fork and exec takes milliseconds
# under emulation.

PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export PATH HOME=/root LC_ALL=C.UTF-8 TERM="${TERM:-linux}"

mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
# A root built without privileges has no /dev/console before this mount.
exec </dev/console >/dev/console 2>&1
mkdir -p /dev/pts /dev/shm /dev/hugepages
mount -t devpts devpts /dev/pts
mount -t tmpfs shm /dev/shm
mount -t tmpfs tmp /tmp
mount -t tmpfs run /run
mount -t tmpfs vartmp /var/tmp
mount -t tmpfs home /root
mount -t debugfs debug /sys/kernel/debug
mount -t tracefs trace /sys/kernel/tracing
mount -t hugetlbfs huge /dev/hugepages
ln -s /proc/self/fd /dev/fd
ln -s /proc/self/fd/0 /dev/stdin
ln -s /proc/self/fd/1 /dev/stdout
ln -s /proc/self/fd/2 /dev/stderr

# The checkout is writable: tests write results to out/.
read -r line </proc/cmdline
for word in $line; do
	case $word in
	vm.run=*) run=${word#vm.run=} ;;
	vm.repo=*) repo=${word#vm.repo=} ;;
	esac
done
mount -t 9p -o "$repo" repo /repo
ifconfig lo 127.0.0.1 up 2>/dev/null
hostname guest

for port in /sys/class/virtio-ports/*; do
	read -r name <"$port/name" && eval "port_$name=/dev/${port##*/}"
done

# VM_DEVICES lists the devices as BDF=TYPE. An entry such as "0000:00:02.0/=igb" has
# the address of a root port: replace it by the address of the device behind the port.
. "$run.env"
devices=
for device in $VM_DEVICES; do
	case $device in
	*/=*)
		for bdf in /sys/bus/pci/devices/"${device%%/=*}"/0000:*.0; do
			device=${bdf##*/}=${device#*/=}
		done
		;;
	esac
	devices="$devices${devices:+ }$device"
done
export VM_DEVICES="$devices"

# Check the guest's clock: the uptime must not exceed the time since the start of the
# VM. A new file in /repo has the host's time. Allow 2 s for rounding.
. "$run.began"
if [ -n "$VM_CLOCK" ]; then
	: >"$run.clock"
	ran=$(($(stat -c %Y "$run.clock") - VM_BEGAN))
	read -r uptime _ </proc/uptime
	if [ "${uptime%.*}" -gt $((ran + 2)) ]; then
		echo "$uptime s in $ran s" >"$run.clock"
		echo clock >"$port_status"
		umount /repo
		poweroff -f
	fi
	rm "$run.clock"
fi

mount --bind "$VM_MODULES/lib/modules" /lib/modules
cd /repo || exit

if [ -n "$VM_SHELL" ]; then
	stty -F /dev/hvc0 rows "$VM_ROWS" cols "$VM_COLUMNS" sane 2>/dev/null
	TERM=$VM_TERM setsid -c bash -i </dev/hvc0 >/dev/hvc0 2>&1
	status=$?
else
	# A virtio port opens only once. The command may reopen its output, so give
	# it a pipe.
	mkfifo /run/output
	cat /run/output >"$port_out" &
	cat=$!
	setsid bash "$run" </dev/null >/run/output 2>&1
	status=$?
	# A background process may still hold the pipe: wait 10 s at most.
	tries=100
	while kill -0 $cat 2>/dev/null && [ $tries -gt 0 ]; do
		usleep 100000
		tries=$((tries - 1))
	done
fi

# kmemleak reports objects older than 5 s. Scan twice: one scan may miss a pointer
# that moves from one list to another.
leaks=/sys/kernel/debug/kmemleak
if [ -e $leaks ]; then
	sleep 6
	echo scan >$leaks
	if [ -n "$(cat $leaks)" ]; then
		echo scan >$leaks
		cat $leaks >"$run.kmemleak"
	fi
fi
dmesg >"$run.dmesg"
echo "$status" >"$port_status"
cd /
umount /lib/modules
umount /repo
poweroff -f
