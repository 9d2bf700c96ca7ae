#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# deb-symbols.sh SOURCE: print NAME=NAME_CHECKSUM for each function that the Debian package
# renames, see packaging/debian/README.source. SOURCE has the headers of the package and
# the file options.

set -euo pipefail

cd "$1"
checksum=$({ grep '^CONFIG_' options; find include drivers -type f -name '*.h' | LC_ALL=C sort | xargs cat; } | sha256sum | cut -c1-8)
for symbol in vfio_register_group_dev vfio_register_emulated_iommu_dev vfio_register_iommu_driver \
	vfio_pci_core_register_device __vfio_pci_register_vendor_driver vfio_pci_register_bpf_driver \
	mdev_register_parent; do
	echo "$symbol=${symbol}_$checksum"
done
