# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2154 # checks.sh sets the variables
#
# Build the documents of the series. Check that Sphinx gives no warning, and that
# the pages contain the kernel-doc of the API.

status=0
"$SCRIPTS/docs.sh" "$tmp/out" >"$tmp/log" 2>&1 || status=$?
result "$status" "docs: sphinx gives no warning" "$tmp/log"

# has PAGE NAME...: check that a page documents these functions and structures.
has()
{
	local page=$1 name

	shift
	: >"$tmp/missing"
	for name; do
		grep -s -q "id=\"c\.$name\"" "$tmp/out/$page.html" || echo "$name" >>"$tmp/missing"
	done
	empty "docs: $page contains its kernel-doc" "$tmp/missing"
}

has driver-api/vfio-pci-regions vfio_pci_regops vfio_pci_region_desc vfio_pci_range_ops vfio_pci_vendor_driver
has driver-api/vfio-pci-migration vfio_pci_migration_ops vfio_pci_vendor_log_dma
# All functions of the vendor driver API
mapfile -t names < <(sed -n 's/^\(struct [a-z_]* \*\|[a-z_]* \**\)\?\(vfio_pci_\(vendor\|region\)_[a-z_]*\)(.*/\2/p' \
	"$tree/include/linux/vfio_pci_regops.h" | sort -u)
has driver-api/vfio-pci-regops "${names[@]}"
mapfile -t names < <(sed -n 's/^__bpf_kfunc int \([a-z_]*\)(.*/\1/p' "$tree/drivers/vfio/pci/bpf/kfunc.c")
has admin-guide/vfio-pci-bpf vfio_pci_bpf_ops vfio_pci_bpf_open vfio_pci_bpf_access vfio_pci_bpf_id "${names[@]}"

# The first two words of each message to an operator, after the name of the driver
guide=$(tr -s '[:space:]' ' ' <"$REPO/Documentation/admin-guide/vfio-pci-vendor-drivers.rst")
grep -h -A 1 -E '\b(dev|pr)_(err|warn)[a-z_]*\(' "$REPO"/drivers/vfio/pci/vfio_pci_{vendor,vendor_re*,override,region,mig_*}.c |
	sed -n -E 's/^[^"]*"(.*)\\n".*/\1/; T; s/^(vfio-pci: |vendor drivers? %s( and %s)?:? |%s:? )//; p' | cut -d' ' -f1-2 |
	while read -r words; do
		[[ "$guide" == *"$words"* ]] || echo "$words"
	done >"$tmp/missing"
empty "docs: the administrator's guide explains the messages" "$tmp/missing"
