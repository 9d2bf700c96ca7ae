/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Helpers for tests of the vendor drivers in the module vfio_pci_testdrv
 * (CONFIG_VFIO_PCI_TEST_DRIVERS).  Parameters of the module script the drivers.
 */
#ifndef SELFTESTS_VFIO_TESTDRV_H
#define SELFTESTS_VFIO_TESTDRV_H

#include <sys/types.h>

#include <linux/types.h>
#include <linux/vfio.h>

#include <libvfio.h>

#define PAGE			4096UL

/* Default value of each byte that a range handler returns */
#define HANDLED_BYTE		0x5a

/* Device features of the module */
#define TESTDRV_FEATURE_REGISTER	0x8001
#define TESTDRV_FEATURE_DMA		0x8002

extern const char *device_bdf;

/* Load the module for the device, and bind it to vfio-pci; skip if impossible */
void testdrv_begin(void);

/* Parameters and counters of the module */
void testdrv_set(const char *param, const char *value);
int testdrv_count(const char *param);
/* Wait up to 10 s until a counter reaches a number */
bool testdrv_wait_count(const char *param, int count);

/* Access a BAR register below all overrides */
u64 testdrv_read_register(struct vfio_pci_device *device, u32 bar, u64 offset);
void testdrv_write_register(struct vfio_pci_device *device, u32 bar, u64 offset,
			    u64 value);

/* Set the setups of the three vendor drivers for later opens */
void testdrv_setup(const char *setup, const char *same, const char *high);
/* Open a device with these setups */
struct vfio_pci_device *testdrv_open_bdf(struct iommu *iommu, const char *bdf,
					 const char *setup, const char *same,
					 const char *high);
struct vfio_pci_device *testdrv_open(struct iommu *iommu, const char *setup,
				     const char *same, const char *high);
/* Open a device with these setups, and close it; return 0 or the errno */
int testdrv_open_errno(const char *setup, const char *same, const char *high);

/* A region info with space for any capability chain */
struct region_info {
	struct vfio_region_info info;
	u8 caps[65536];
};

int get_region_info(struct vfio_pci_device *device, u32 index,
		    struct region_info *info);
struct vfio_info_cap_header *find_cap(struct region_info *info, u16 id);

/* Return the position of a PCI capability in config space, or 0 */
u8 find_pci_cap(struct vfio_pci_device *device, u8 id);
/* Check whether memory can be read, and read it */
bool readable(u32 *mem, u32 *value);
/* Return a dma-buf of a part of a region, or -1 and errno */
int export_dmabuf(int fd, u32 index, u64 offset, u64 size);

/* Return the path of a file of a PCI device, in a static buffer */
const char *device_file(const char *bdf, const char *file);
/* Write to a file, or to a file of a PCI device; return 0 or an errno */
int put_text(const char *path, const char *text);
int put_device(const char *bdf, const char *file, const char *text);

/* Read the BARs in config space, without vfio */
void read_bars(const char *bdf, u32 bars[PCI_STD_NUM_BARS]);

/* Return the first line of a file, or "" */
const char *line_of(const char *path);
/* Read a hexadecimal file of a PCI device, such as "vendor" */
unsigned int device_id(const char *bdf, const char *file);

/* Run modprobe with these arguments; return false if it fails */
bool run_modprobe(const char *args);
bool module_is_loaded(const char *module);
/* Load the module with @ids, or unload it; the latter returns 0 or an errno */
bool testdrv_try_load(const char *ids);
void testdrv_load(const char *ids);
int testdrv_unload(void);

bool device_exists(const char *bdf);
bool device_is_bound(const char *bdf);
/* Bind a device to vfio-pci; rescan the bus if the device was removed */
void bind_device(const char *bdf);
/* Unbind a device from vfio-pci, if bound; this unpins its vendor drivers */
void unbind_device(const char *bdf);

/* Only open a device; return NULL and set @ret to the errno on failure */
struct vfio_pci_device *open_bare(struct iommu *iommu, const char *bdf,
				  const char *token, int *ret);
void close_bare(struct vfio_pci_device *device);

/* Return the text of pci/regions in debugfs, or NULL; the caller frees it */
char *read_regions(const char *bdf);
bool regions_have(const char *bdf, const char *what);

/* Set an eventfd for an interrupt index, such as the request eventfd */
int irq_eventfd(struct vfio_pci_device *device, u32 index);
bool is_requested(int fd, int timeout_ms);

/* A process that writes to a file and blocks until the device is closed */
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
