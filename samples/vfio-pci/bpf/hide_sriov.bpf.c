// SPDX-License-Identifier: GPL-2.0-only
/*
 * Hide SR-IOV and ARI of an Intel 82576 (igb)
 *
 * A guest that gets the physical function then sees a NIC without virtual
 * functions.
 */

#include "vfio_pci_bpf.h"

SEC("struct_ops.s/open")
int BPF_PROG(hide_sriov_open, struct vfio_pci_bpf_open *open)
{
	int ret;

	ret = vfio_pci_bpf_hide_ext_cap(open, PCI_EXT_CAP_ID_SRIOV);
	if (ret)
		return ret;

	/* A device need not have ARI */
	ret = vfio_pci_bpf_hide_ext_cap(open, PCI_EXT_CAP_ID_ARI);

	return ret == -2 /* ENOENT */ ? 0 : ret;
}

SEC(".struct_ops.link")
struct vfio_pci_bpf_ops hide_sriov = {
	.name	= "hide_sriov",
	.ids	= { { .vendor = 0x8086, .device = 0x10c9 } },
	.open	= (void *)hide_sriov_open,
};

char LICENSE[] SEC("license") = "GPL";
