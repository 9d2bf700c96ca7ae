// SPDX-License-Identifier: GPL-2.0-only
/*
 * Handle one register of QEMU's edu device, for make bench: a read returns a constant, as
 * the handler of vfio_pci_testdrv does.
 */

#include "vfio_pci_bpf.h"

SEC("struct_ops.s/open")
int BPF_PROG(bench_open, struct vfio_pci_bpf_open *open)
{
	return vfio_pci_bpf_override_range(open, VFIO_PCI_BAR0_REGION_INDEX, 0x10, 4);
}

SEC("struct_ops/read")
int BPF_PROG(bench_read, struct vfio_pci_bpf_access *access)
{
	access->val = 0x5a5a5a5a;

	return 0;
}

SEC(".struct_ops.link")
struct vfio_pci_bpf_ops bench = {
	.name	= "bench",
	.ids	= { { .vendor = 0x1234, .device = 0x11e8 } },
	.open	= (void *)bench_open,
	.read	= (void *)bench_read,
};

char LICENSE[] SEC("license") = "GPL";
