#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# libvirt.sh LAYER FOLDER GPU EDU: in the guest, let libvirt and driverctl bind devices as they
# do on a host. LAYER is the folder of scripts/libvirt.sh: run in it, with changes in memory.
# Write results to FOLDER:
#
#     xml         the GPU after virsh nodedev-detach
#     detached    the modules then; the next files have them, too
#     reattached  after virsh nodedev-reattach
#     overridden  after driverctl set-override on EDU, with the list of overrides
#     unset       after driverctl unset-override
#     old         the result of driverctl set-override on GPU with the variant driver's name

set -euo pipefail

if [ $# -eq 4 ]; then
	modprobe overlay
	mkdir -p /run/layer /run/host
	mount -t tmpfs layer /run/layer
	mkdir /run/layer/{upper,work}
	mount -t overlay -o "lowerdir=$1,upperdir=/run/layer/upper,workdir=/run/layer/work" host /run/host
	for folder in dev proc sys cache repo lib/modules; do
		mkdir -p "/run/host/$folder"
		mount --rbind "/$folder" "/run/host/$folder"
	done
	mount -t tmpfs run /run/host/run
	exec chroot /run/host /bin/bash /repo/scripts/guest/libvirt.sh "${@:2}"
fi

folder=$1
gpu=$2
edu=$3
# udevadm does nothing in a chroot without the variable
export LC_ALL=C SYSTEMD_IGNORE_CHROOT=1

modules()
{
	udevadm settle
	lsmod
}

# Do what the installation of the packages and the boot of a host do
printf 'root:x:0:0:root:/root:/bin/bash\nlibvirt-qemu:x:1:1::/:/bin/false\n' >/etc/passwd
printf 'root:x:0:\nlibvirt-qemu:x:1:\nlibvirt:x:2:\nkvm:x:3:\n' >/etc/group
rm -rf /var/run
ln -s /run /var/run
printf 'auth_unix_rw = "none"\n' >/etc/libvirt/libvirtd.conf
/usr/lib/systemd/systemd-udevd --daemon
udevadm trigger --action=add
udevadm settle
modprobe vfio
libvirtd --daemon

device=pci_${gpu//[:.]/_}
for _ in {1..60}; do
	! virsh -q nodedev-info "$device" >/dev/null 2>&1 || break
	sleep 0.5
done
virsh -q nodedev-detach "$device"
virsh -q nodedev-dumpxml "$device" >"$folder/xml"
modules >"$folder/detached"
virsh -q nodedev-reattach "$device"
modules >"$folder/reattached"

driverctl set-override "$edu" vfio-pci
{
	driverctl list-overrides
	modules
} >"$folder/overridden"
driverctl unset-override "$edu"
{
	driverctl list-overrides 2>&1 || true
	modules
} >"$folder/unset"
if driverctl set-override "$gpu" nvgrace_gpu_vfio_pci >"$folder/old" 2>&1; then
	echo "status 0" >>"$folder/old"
fi
basename "$(readlink "/sys/bus/pci/devices/$gpu/driver")" >>"$folder/old" || true
