/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What tests of overridden regions share: the vendor drivers of the module
 * vfio_pci_torture (CONFIG_VFIO_PCI_TORTURE_TEST), which do what its options
 * say, and a device opened under them.
 */
#ifndef SELFTESTS_VFIO_TORTURE_H
#define SELFTESTS_VFIO_TORTURE_H

#include <sys/types.h>

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

/* What the three vendor drivers do with devices that are opened from now on */
void torture_setup(const char *setup, const char *same, const char *high);
/* Open a device with them set up like this */
struct vfio_pci_device *torture_open_bdf(struct iommu *iommu, const char *bdf,
					 const char *setup, const char *same,
					 const char *high);
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

/* The path of a file of a PCI device, until the next one is asked for */
const char *device_file(const char *bdf, const char *file);
/* Write to a file, or one of a PCI device: 0 or an errno */
int put_text(const char *path, const char *text);
int put_device(const char *bdf, const char *file, const char *text);

/* The module, with these ids; to unload it gives 0 or an errno */
bool torture_try_load(const char *ids);
void torture_load(const char *ids);
int torture_unload(void);

bool device_exists(const char *bdf);
bool device_is_bound(const char *bdf);
/* To vfio-pci, also if it was removed */
void bind_device(const char *bdf);
/* From vfio-pci, which unpins its vendor drivers; nothing if it is not bound */
void unbind_device(const char *bdf);

/* Open a device and do no more; NULL and an errno if that fails */
struct vfio_pci_device *open_bare(struct iommu *iommu, const char *bdf,
				  const char *token, int *ret);
void close_bare(struct vfio_pci_device *device);

/* pci/regions in debugfs, to be freed; NULL if there is none */
char *read_regions(const char *bdf);
bool regions_have(const char *bdf, const char *what);

/* What tells of an event, as that the device is wanted back */
int irq_eventfd(struct vfio_pci_device *device, u32 index);
bool is_requested(int fd, int timeout_ms);

/* A write to a file that waits until the device is closed; 0 if it succeeds */
struct writer {
	pid_t pid;
	int status;
};

void writer_start(struct writer *writer, const char *path, const char *text);
bool writer_waits(struct writer *writer);
int writer_join(struct writer *writer);

static inline u64 region_offset(u32 index)
{
	return (u64)index << 40;
}

#endif
