#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# deb.sh loaded|demo|mixtures|bpf FOLDER [PROGRAMS|STOCK OTHER|SAMPLES]: in the guest, use the
# modules that the Debian packages have installed.
#
#     loaded             write the loaded modules to FOLDER/loaded
#     demo PROGRAMS      bind the edu device, write FOLDER/loaded, and run the demo programs in
#                        the folder PROGRAMS
#     mixtures STOCK OTHER
#                        load modules of the kernel, in STOCK/modules.dep, and of another build
#                        of ours, in OTHER/modules.dep, together with ours
#     bpf SAMPLES        load vfio-pci-bpf, and attach a BPF program of the folder SAMPLES

set -euo pipefail

what=$1 folder=$2 argument=${3-} other=${4-}
mkdir -p "$folder"
modules=/lib/modules/$(uname -r)

# loaded: for each loaded vfio module, write its name, its srcversion, that of its file, the file,
# and whether the file has the same build id.
loaded()
{
	local module file same

	awk '/^(vfio|mdev|virtio_vfio)/ { print $1 }' /proc/modules | sort | while read -r module; do
		file=$(modinfo -n "$module")
		xz -dcf "$file" >/tmp/module.ko
		objcopy -O binary --only-section=.note.gnu.build-id /tmp/module.ko /tmp/built
		cmp -s /tmp/built "/sys/module/$module/notes/.note.gnu.build-id" && same=same || same=different
		echo "$module $(cat "/sys/module/$module/srcversion" 2>/dev/null || echo -) $(modinfo -F srcversion "$file") ${file#"$modules/"} $same"
	done >"$folder/loaded"
}

demo()
{
	local bdf=${VM_DEVICES%%=*} status=0

	scripts/guest/bind.sh "$bdf" vfio-pci
	loaded
	if grep -q '^vfio_pci_edu ' /proc/modules; then
		"$argument/vfio_pci_vendor_demo" "$bdf" >"$folder/vendor-demo" 2>&1 || status=$?
		scripts/guest/without-vendor.sh vfio_pci_edu
	fi
	"$argument/vfio_pci_edu_demo" "$bdf" >"$folder/edu-demo" 2>&1 || status=$?
	return "$status"
}

# unload: unload all vfio modules.
unload()
{
	local module

	for module in vfio_pci_bpf vfio_pci_igbvf vfio_pci_igd vfio_pci vfio_pci_core mdev vfio_iommu_type1 vfio; do
		[ ! -e "/sys/module/$module" ] || rmmod "$module"
	done
}

# mixture NAME MODULE...: load modules, o/NAME ours, s/NAME the kernel's and b/NAME those of another
# build. Write to FOLDER/NAME whether the last one loads, and the kernel's messages.
mixture()
{
	local name=$1 module path status=0
	shift

	unload
	dmesg -C
	for module; do
		[ "$status" -eq 0 ] || { echo "error: $name: a module before $module does not load"; exit 1; }
		case $module in
		o/*) path=$modules ;;
		s/*) path=$argument ;;
		b/*) path=$other ;;
		esac
		path+=/$(sed -n "s,^\(.*/${module#*/}\.ko[^:]*\):.*,\1,p" "$path/modules.dep")
		insmod "$path" 2>/tmp/why || status=$?
	done
	{
		if [ "$status" -eq 0 ]; then echo loads; else echo refused; cat /tmp/why; fi
		dmesg | sed 's/^\[[^]]*\] //'
	} >"$folder/$name"
}

mixtures()
{
	modprobe irqbypass
	mixture all-ours o/vfio o/vfio_iommu_type1 o/vfio-pci-core o/vfio-pci o/vfio-pci-igbvf o/vfio-pci-bpf
	mixture all-stock s/vfio s/vfio_iommu_type1 s/vfio-pci-core s/vfio-pci
	mixture stock-vfio-our-core s/vfio o/vfio-pci-core
	mixture our-vfio-stock-core o/vfio s/vfio-pci-core
	mixture our-core-stock-pci o/vfio o/vfio-pci-core s/vfio-pci
	mixture stock-core-our-pci s/vfio s/vfio-pci-core o/vfio-pci
	mixture stock-core-our-igbvf s/vfio s/vfio-pci-core o/vfio-pci-igbvf
	mixture our-core-other-bpf o/vfio o/vfio-pci-core b/vfio-pci-bpf
	mixture stock-vfio-our-type1 s/vfio o/vfio_iommu_type1
	mixture our-vfio-stock-type1 o/vfio s/vfio_iommu_type1
	# kvmgt needs i915, too: compare the unknown symbols
	mixture our-vfio-stock-kvmgt o/vfio o/mdev s/kvmgt
	mixture stock-vfio-stock-kvmgt s/vfio s/mdev s/kvmgt
}

bpf()
{
	unload
	modprobe vfio-pci-bpf
	loaded
	mountpoint -q /sys/fs/bpf || mount -t bpf bpf /sys/fs/bpf
	"$argument/attach" "$argument/lock_eeprom.bpf.o" >"$folder/attach" 2>&1 || true
}

"$what"
