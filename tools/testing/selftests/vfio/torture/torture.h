/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What tests of overridden regions share: the vendor drivers of the module
 * vfio_pci_torture (CONFIG_VFIO_PCI_TORTURE_TEST), which do what its options
 * say, and a device opened under them.
 */
#ifndef SELFTESTS_VFIO_TORTURE_H
#define SELFTESTS_VFIO_TORTURE_H

#include <linux/types.h>
#include <linux/vfio.h>

#include <libvfio.h>

#define PAGE			4096UL

/* What handlers give for each byte of a range, unless told otherwise */
#define HANDLED_BYTE		0x5a

extern const char *device_bdf;

/* Options of the module, and its counters */
void torture_set(const char *param, const char *value);
int torture_count(const char *param);

/* Any register, past all overrides */
u64 torture_read_register(struct vfio_pci_device *device, u32 bar, u64 offset);
void torture_write_register(struct vfio_pci_device *device, u32 bar, u64 offset,
			    u64 value);

/* Open the device with the three vendor drivers set up like this */
struct vfio_pci_device *torture_open(struct iommu *iommu, const char *setup,
				     const char *same, const char *high);
/* That it fails, and how */
int torture_open_errno(const char *setup, const char *same, const char *high);

/* Room for any capability chain; index and argsz are set */
struct region_info {
	struct vfio_region_info info;
	u8 caps[65536];
};

int get_region_info(struct vfio_pci_device *device, u32 index,
		    struct region_info *info);
struct vfio_info_cap_header *find_cap(struct region_info *info, u16 id);

static inline u64 region_offset(u32 index)
{
	return (u64)index << 40;
}

#endif
