# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2154 # igd.sh sets the variables
#
# Sourced by igd.sh: the graphics device under its vendor driver and another one,
# which overrides registers and adds a region, loaded in both orders; without the
# former; and what debugfs says.

bdf=${bdfs[0]}
read -r vendor <"/sys/bus/pci/devices/$bdf/vendor"
read -r device <"/sys/bus/pci/devices/$bdf/device"

torture()
{
	modprobe vfio_pci_torture "ids=${vendor#0x}:${device#0x}"
	echo "range 0 0x1008 8; add 0xffff 1 0x2000 3" >/sys/module/vfio_pci_torture/parameters/setup
}

# while_open COMMAND...: run it while the device is open
while_open()
{
	python3 -c '
import fcntl, os, struct, subprocess, sys

def call(fd, nr, arg):
    return fcntl.ioctl(fd, ord(";") << 8 | 100 + nr, arg)

bdf = sys.argv[1]
container = os.open("/dev/vfio/vfio", os.O_RDWR)
link = os.readlink(f"/sys/bus/pci/devices/{bdf}/iommu_group")
group = os.open("/dev/vfio/" + os.path.basename(link), os.O_RDWR)
call(group, 4, struct.pack("i", container))
call(container, 2, 3)
# Open until the end, whichever its number
call(group, 6, bdf.encode() + b"\0")
sys.exit(subprocess.call(sys.argv[2:]))' "$bdf" "$@"
}

# both NAME: what userspace sees, and debugfs
both()
{
	transcript "$1" iommufd "$bdf" --stage added
	transcript "$1-read" iommufd "$bdf" --quick --stage read
	while_open cat "/sys/kernel/debug/vfio/$bdf/pci/regions" >"$folder/$1.regions"
}

transcript alone iommufd "$bdf" --stage added
torture
both igd-first
# Who has the device open keeps both
while_open rmmod vfio_pci_igd >"$folder/pinned" 2>&1 || true
while_open rmmod vfio_pci_torture >>"$folder/pinned" 2>&1 || true
rmmod vfio_pci_igd
rmmod vfio_pci_torture
lsmod >"$folder/unloaded"

# One that is not there is not missed
transcript without iommufd "$bdf" --stage added
mkdir -p /run/modprobe.d
echo "blacklist vfio_pci_igd" >/run/modprobe.d/igd.conf
scripts/guest/bind.sh "$bdf" none
scripts/guest/bind.sh "$bdf" vfio-pci
lsmod >"$folder/blacklisted"
transcript blacklisted iommufd "$bdf" --stage added
rm /run/modprobe.d/igd.conf

torture
modprobe vfio_pci_igd
both igd-last
rmmod vfio_pci_torture
transcript again iommufd "$bdf" --stage added
