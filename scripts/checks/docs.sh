# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2154 # checks.sh sets the variables
#
# make docs on the documents of the series: each warning of Sphinx is an error,
# and the pages hold the kernel-doc that they include.

status=0
"$SCRIPTS/docs.sh" "$tmp/out" >"$tmp/log" 2>&1 || status=$?
result "$status" "docs: sphinx has nothing to say" "$tmp/log"

# has PAGE NAME...: the page describes these functions, structures or macros.
has()
{
	local page=$1 name

	shift
	: >"$tmp/missing"
	for name; do
		grep -s -q "id=\"c\.$name\"" "$tmp/out/driver-api/$page.html" || echo "$name" >>"$tmp/missing"
	done
	empty "docs: the kernel-doc is in $page" "$tmp/missing"
}

has vfio-pci-regions vfio_pci_regops vfio_pci_region_desc vfio_pci_range_ops vfio_pci_vendor_driver
has vfio-pci-migration vfio_pci_migration_ops vfio_pci_vendor_log_dma
# What a driver calls: each function that the sources of the guide export
mapfile -t names < <(sed -n 's/^\(struct [a-z_]* \*\|[a-z_]* \**\)\?\(vfio_pci_\(vendor\|region\)_[a-z_]*\)(.*/\2/p' \
	"$tree/include/linux/vfio_pci_regops.h" | sort -u)
has vfio-pci-regops "${names[@]}"
