// SPDX-License-Identifier: GPL-2.0-only
/*
 * Protect the EEPROM and the flash memory of an Intel 82576 (igb)
 *
 * The user of the device can read the EEPROM, but not write it: the program
 * ignores all writes to the registers for this, and to the window through which
 * they can be reached.  It counts these writes in the map "ignored".  A write to
 * EERD, which starts a read, reaches the device.
 *
 * The program hides the capability Vital Product Data (VPD).  The VPD is in the
 * EEPROM, and vfio-pci writes it for the user.
 *
 * The register names come from the 82576 datasheet.
 */

#include "vfio_pci_bpf.h"

/* BAR 2 has a window to the registers: IOADDR and IODATA */
#define WINDOW_SIZE	8

/* Registers in BAR 0 */
#define EECD	0x0010	/* pins of the EEPROM */
#define FLA	0x001c	/* pins of the flash memory */
#define EEWR	0x102c	/* write a word of the EEPROM */

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16);
	__type(key, __u64);
	__type(value, __u64);
} ignored SEC(".maps");

SEC("struct_ops.s/open")
int BPF_PROG(lock_eeprom_open, struct vfio_pci_bpf_open *open)
{
	int ret;

	ret = vfio_pci_bpf_hide_cap(open, PCI_CAP_ID_VPD);
	/* A device need not have this capability */
	if (ret && ret != -2 /* ENOENT */)
		return ret;

	return vfio_pci_bpf_override_range(open, VFIO_PCI_BAR0_REGION_INDEX,
					   EECD, 4) ?:
	       vfio_pci_bpf_override_range(open, VFIO_PCI_BAR0_REGION_INDEX,
					   FLA, 4) ?:
	       vfio_pci_bpf_override_range(open, VFIO_PCI_BAR0_REGION_INDEX,
					   EEWR, 4) ?:
	       vfio_pci_bpf_override_range(open, VFIO_PCI_BAR2_REGION_INDEX,
					   0, WINDOW_SIZE);
}

/* There is no read program, so reads go to the device */
SEC("struct_ops/write")
int BPF_PROG(lock_eeprom_write, struct vfio_pci_bpf_access *access)
{
	/* The region and the offset, for example 2:4 is 0x0000000200000004 */
	__u64 pos = (__u64)access->region << 32 | access->pos, zero = 0, *count;

	bpf_map_update_elem(&ignored, &pos, &zero, BPF_NOEXIST);
	count = bpf_map_lookup_elem(&ignored, &pos);
	if (count)
		__sync_fetch_and_add(count, 1);

	return 0;
}

SEC(".struct_ops.link")
struct vfio_pci_bpf_ops lock_eeprom = {
	.name	= "lock_eeprom",
	.ids	= { { .vendor = 0x8086, .device = 0x10c9 } },
	.open	= (void *)lock_eeprom_open,
	.write	= (void *)lock_eeprom_write,
};

char LICENSE[] SEC("license") = "GPL";
