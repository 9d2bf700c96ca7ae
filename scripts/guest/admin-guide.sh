#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# admin-guide.sh first|second-kernel|last FOLDER: on a booted Debian with three edu devices, run
# the commands of Documentation/admin-guide/vfio-pci-vendor-drivers.rst. Write results to FOLDER.
#
#     first          the kernel command line has ids; make the devices bind at the next boot
#     second-kernel  the vendor driver is built for this kernel, but not installed
#     last           the devices are bound; libvirt binds the third one; then go back

set -euo pipefail

out=$2
doc=Documentation/admin-guide/vfio-pci-vendor-drivers.rst
read -r unit driverctl libvirt < <(tr ' ' '\n' <<<"$VM_DEVICES" | sed 's/=.*//' | xargs)
node=pci_${libvirt//[:.]/_}
mkdir -p "$out"

# listing PATTERN: print the listing after the line of the guide that matches
listing()
{
	awk -v pattern="$1" '$0 ~ pattern { inside = 1; next } inside && /^\t? ? ? ?[^\t ]/ { exit }
		inside { sub(/^\t    /, ""); print }' "$doc"
}

# guide PATTERN DEVICE: run the commands of the guide that match, for a device
guide()
{
	local commands

	# shellcheck disable=SC2016 # backquotes of the guide
	commands=$(sed -n -E -e 's/^[[:space:]]+# //p' -e 's/.*``((systemctl|virsh|driverctl) [^`]*)``.*/\1/p' "$doc" | grep -E -e "$1")
	commands=${commands//0000:01:00.0/$2}
	commands=${commands//pci_0000_01_00_0/pci_${2//[:.]/_}}
	eval "$commands"
}

# state NAME: write the drivers of the devices, the modules, and what lsvfio shows
state()
{
	local device driver

	udevadm settle
	for device in "$unit" "$driverctl" "$libvirt"; do
		driver=$(readlink "/sys/bus/pci/devices/$device/driver" || echo none)
		echo "$device ${driver##*/}"
	done >"$out/$1"
	{
		lsmod
		lsvfio
	} >>"$out/$1"
}

# opens NAME DEVICE: open a device, and write the result and the regions
opens()
{
	scripts/guest/while-open.py "$2" cat "/sys/kernel/debug/vfio/$2/pci/regions" >"$out/$1" 2>&1 || true
}

first()
{
	dmesg | grep -E 'vfio_pci: add|EXT4-fs .*: mounted' >"$out/early" || true
	state ids
	opens ids-open "$unit"

	listing 'vfio-bind@.service``::$' >/etc/systemd/system/vfio-bind@.service
	systemd-analyze verify /etc/systemd/system/vfio-bind@.service >"$out/verify" 2>&1 || echo "status $?" >>"$out/verify"
	guide '^systemctl enable' "$unit" >"$out/enable" 2>&1
	guide '^driverctl set-override' "$driverctl"
}

second-kernel()
{
	uname -r >"$out/release"
	state second-kernel
	scripts/guest/deb.sh loaded "$out/second-kernel-modules"
	opens second-kernel-refused "$unit"
	install -D -t "/lib/modules/$(uname -r)/updates" "/root/edu-$(uname -r)/vfio_pci_edu.ko"
	depmod
	opens second-kernel-open "$unit"
}

last()
{
	state boot
	{
		systemctl status "vfio-bind@$unit" || true
		driverctl list-overrides
	} >"$out/boot-services" 2>&1
	opens unit-open "$unit"
	opens driverctl-open "$driverctl"

	# driverctl has made vfio-pci bind the third device, too
	guide 'remove_id$' "$libvirt"
	echo "$libvirt" >"/sys/bus/pci/devices/$libvirt/driver/unbind"
	state removed
	guide '^virsh nodedev-detach' "$libvirt"
	virsh -q nodedev-dumpxml "$node" >"$out/detached-xml"
	state detached
	virsh -q nodedev-reattach "$node"
	state reattached

	cat >/root/guest.xml <<-END
	<domain type='qemu'>
	  <name>guest</name>
	  <memory unit='MiB'>64</memory>
	  <os><type arch='x86_64' machine='q35'>hvm</type></os>
	  <devices>
	    $(listing 'when the guest stops::$' | sed "s/bus='0x01' slot='0x00'/bus='0x00' slot='0x${libvirt:8:2}'/")
	  </devices>
	</domain>
	END
	virsh -q create /root/guest.xml
	state managed
	guide '^cat .*/pci/regions' "$libvirt" >"$out/regions"
	lsvfio --why "$libvirt" >"$out/managed-why" 2>&1 || true
	virsh -q destroy guest
	state destroyed

	# Go back. The device has no driver of its own, so do not probe it.
	driverctl --noprobe unset-override "$driverctl"
	systemctl disable "vfio-bind@$unit"
	guide 'driver/unbind$' "$unit"
	guide '^(echo blacklist|modprobe -r)' "$unit"
	guide 'drivers_probe$' "$unit"
	# /etc/modprobe.d/vfio.conf still requires the driver
	state blacklisted
	opens blacklisted-open "$unit"
	lsvfio --why "$unit" >"$out/blacklisted-why" 2>&1 || true
	dmesg | grep 'open refused' >"$out/blacklisted-dmesg" || true
	guide 'driver/unbind$' "$unit"
	rm /etc/modprobe.d/vfio.conf
	modprobe -r vfio-pci
	modprobe vfio-pci
	state without
	opens without-open "$unit"
	guide '/sys/bus/pci/(devices|drivers_probe)' "$unit"
	state sysfs
}

"$1"
