// SPDX-License-Identifier: GPL-2.0-only
/*
 * Show other ids of a device to userspace
 *
 * The ids come from the map "ids".  Fill it before userspace opens a device, for
 * example with 8086:1521 and class 020000:
 *
 *     bpftool map update name ids key 0 0 0 0 \
 *         value 0x86 0x80 0x21 0x15 0 0 2 0
 *
 * If the map has zeroes at the open, the device keeps its own ids.
 */

#include "vfio_pci_bpf.h"

struct ids {
	__u16	vendor;
	__u16	device;
	/* Programming interface, subclass and class */
	__u8	class[3];
	__u8	pad;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct ids);
} ids SEC(".maps");

SEC("struct_ops.s/open")
int BPF_PROG(set_ids_open, struct vfio_pci_bpf_open *open)
{
	struct ids *new;
	__u32 key = 0;

	new = bpf_map_lookup_elem(&ids, &key);
	if (!new || !new->vendor)
		return -19 /* ENODEV: open the device without this driver */;

	return vfio_pci_bpf_override_range(open, VFIO_PCI_CONFIG_REGION_INDEX,
					   PCI_VENDOR_ID, 4) ?:
	       vfio_pci_bpf_override_range(open, VFIO_PCI_CONFIG_REGION_INDEX,
					   PCI_CLASS_PROG, 3);
}

SEC("struct_ops/read")
int BPF_PROG(set_ids_read, struct vfio_pci_bpf_access *access)
{
	__u64 pos = access->pos, val = 0;
	__u32 key = 0;
	struct ids *new;

	new = bpf_map_lookup_elem(&ids, &key);
	if (!new)
		return -5 /* EIO */;

	if (pos < PCI_CLASS_PROG)
		val = (new->vendor | (__u32)new->device << 16) >> pos * 8;
	else
		val = (new->class[0] | new->class[1] << 8 |
		       new->class[2] << 16) >> (pos - PCI_CLASS_PROG) * 8;

	/* The core ignores the bits above access->width */
	access->val = val;

	return 0;
}

SEC(".struct_ops.link")
struct vfio_pci_bpf_ops set_ids = {
	.name		= "set_ids",
	/* Any network controller */
	.ids		= { { .class = 0x020000, .class_mask = 0xff0000 } },
	/* Before other drivers, so that these can override the ids */
	.priority	= -1,
	.open		= (void *)set_ids_open,
	.read		= (void *)set_ids_read,
};

char LICENSE[] SEC("license") = "GPL";
