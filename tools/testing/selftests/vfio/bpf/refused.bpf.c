// SPDX-License-Identifier: GPL-2.0-only
/*
 * Programs that the verifier must refuse.  Each has a struct_ops of its own, and
 * vfio_pci_bpf_test has a part of the verifier's message for each.
 */

#include "vfio_pci_bpf.h"

#define OPS(_name, _member)				\
	SEC("?.struct_ops.link")			\
	struct vfio_pci_bpf_ops ops_##_name = {		\
		.name		= #_name,		\
		.ids		= { { .vendor = 1 } },	\
		._member	= (void *)_name,	\
	}

/* Only an open program has a struct vfio_pci_bpf_open */
SEC("?struct_ops.s/read")
int BPF_PROG(override_in_read, struct vfio_pci_bpf_access *access)
{
	return vfio_pci_bpf_override_range((void *)access, 0, 0, 4);
}

OPS(override_in_read, read);

SEC("?struct_ops.s/write")
int BPF_PROG(hide_in_write, struct vfio_pci_bpf_access *access)
{
	return vfio_pci_bpf_hide_cap((void *)access->dev, 5);
}

OPS(hide_in_write, write);

SEC("?struct_ops.s/close")
void BPF_PROG(add_in_close, struct vfio_pci_vendor_device *dev)
{
	__u8 cap[8] = { 9 };

	vfio_pci_bpf_add_cap((void *)dev, cap, sizeof(cap));
}

OPS(add_in_close, close);

SEC("?struct_ops.s/open")
int BPF_PROG(lower_in_open, struct vfio_pci_bpf_open *open)
{
	return vfio_pci_bpf_read_lower((void *)open);
}

OPS(lower_in_open, open);

/* Pointers to other devices */
struct pci_bus {
	struct pci_dev	*self;
} __attribute__((preserve_access_index));

struct pci_dev___bus {
	struct pci_bus	*bus;
} __attribute__((preserve_access_index));

SEC("?struct_ops.s/read")
int BPF_PROG(bridge_as_device, struct vfio_pci_bpf_access *access)
{
	struct pci_dev___bus *pdev = (void *)access->dev->pdev;
	__u64 val = 0;

	return vfio_pci_bpf_read_config((void *)pdev->bus->self, 0, 2, &val);
}

OPS(bridge_as_device, read);

__u64 saved;

SEC("?struct_ops.s/read")
int BPF_PROG(saved_device, struct vfio_pci_bpf_access *access)
{
	struct vfio_pci_vendor_device *dev = (void *)saved;
	__u64 val = 0;

	saved = (__u64)access->dev;

	return vfio_pci_bpf_read_config(dev, 0, 2, &val);
}

OPS(saved_device, read);

SEC("?struct_ops.s/read")
int BPF_PROG(moved_device, struct vfio_pci_bpf_access *access)
{
	__u64 val = 0;

	return vfio_pci_bpf_read_config((void *)access->dev + 8, 0, 2, &val);
}

OPS(moved_device, read);

/* Accesses to the context */
SEC("?struct_ops.s/read")
int BPF_PROG(read_past_the_end, struct vfio_pci_bpf_access *access)
{
	return ((__u64 *)access)[64];
}

OPS(read_past_the_end, read);

SEC("?struct_ops.s/read")
int BPF_PROG(write_past_the_end, struct vfio_pci_bpf_access *access)
{
	((__u64 *)access)[64] = 1;

	return 0;
}

OPS(write_past_the_end, read);

SEC("?struct_ops.s/write")
int BPF_PROG(write_the_position, struct vfio_pci_bpf_access *access)
{
	access->pos = 0;

	return vfio_pci_bpf_write_lower(access);
}

OPS(write_the_position, write);

SEC("?struct_ops.s/open")
int BPF_PROG(write_to_the_device, struct vfio_pci_bpf_open *open)
{
	open->dev->pdev->vendor = 0;

	return 0;
}

OPS(write_to_the_device, open);

/* Memory of the wrong size */
SEC("?struct_ops.s/open")
int BPF_PROG(long_contents, struct vfio_pci_bpf_open *open)
{
	__u8 contents[8] = {};

	return vfio_pci_bpf_add_memory(open, 1, 1, contents, 64);
}

OPS(long_contents, open);

/* The kfuncs may sleep */
SEC("?struct_ops/read")
int BPF_PROG(not_sleepable, struct vfio_pci_bpf_access *access)
{
	return vfio_pci_bpf_read_lower(access);
}

OPS(not_sleepable, read);

char LICENSE[] SEC("license") = "GPL";
