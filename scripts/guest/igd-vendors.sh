# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2154 # igd.sh sets the variables
#
# Sourced by igd.sh: test vfio_pci_igd together with vfio_pci_testdrv, which overrides
# registers and adds a region. Load the two in both orders, and unload each.

bdf=${bdfs[0]}
read -r vendor <"/sys/bus/pci/devices/$bdf/vendor"
read -r device <"/sys/bus/pci/devices/$bdf/device"

load()
{
	modprobe vfio_pci_testdrv "ids=${vendor#0x}:${device#0x}"
	echo "range 0 0x1008 8; add 0xffff 1 0x2000 3" >/sys/module/vfio_pci_testdrv/parameters/setup
}

# while_open COMMAND...: run a command while the device is open.
while_open()
{
	scripts/guest/while-open.py "$bdf" "$@" | sed '1{/^open: ok$/d}'
}

# record NAME: write the transcripts and the region table.
record()
{
	transcript "$1" iommufd "$bdf" --stage added
	transcript "$1-read" iommufd "$bdf" --quick --stage read
	while_open cat "/sys/kernel/debug/vfio/$bdf/pci/regions" >"$folder/$1.regions"
}

transcript alone iommufd "$bdf" --stage added
load
record igd-first
# The bound device pins both modules, closed or open
rmmod vfio_pci_igd >"$folder/pinned" 2>&1 || true
while_open rmmod vfio_pci_testdrv >>"$folder/pinned" 2>&1 || true
scripts/guest/without-vendor.sh vfio_pci_igd vfio_pci_testdrv
lsmod >"$folder/unloaded"

# Without vfio_pci_igd the device still opens, and the log names the module
dmesg -C
transcript without iommufd "$bdf" --stage added
dmesg >"$folder/hint"
# A module loaded after bind takes effect at the next open
modprobe vfio_pci_igd
transcript late iommufd "$bdf" --stage added
scripts/guest/without-vendor.sh vfio_pci_igd

load
modprobe vfio_pci_igd
record igd-last
scripts/guest/without-vendor.sh vfio_pci_testdrv
transcript again iommufd "$bdf" --stage added
