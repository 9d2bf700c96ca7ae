// SPDX-License-Identifier: GPL-2.0-only
/*
 * Show how the sample vendor driver changes QEMU's edu device.  Access an
 * overridden register and another one, map the page of the overridden registers
 * and the next page, and print the region table.
 *
 * Needs the module vfio_pci_edu, and debugfs.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/ioctl.h>
#include <sys/mman.h>

#include <linux/sizes.h>
#include <linux/types.h>
#include <linux/vfio.h>

#include <libvfio.h>

#include "demo.h"

#define EDU_ID			0x00	/* major, minor version, 0x00ed */
#define EDU_DMA_SOURCE		0x80
#define EDU_DMA_DESTINATION	0x88
#define EDU_DMA_COUNT		0x90
#define EDU_DMA_COMMAND		0x98
#define  EDU_DMA_START		0x01

#define EDU_IDENTITY_INDEX	VFIO_PCI_NUM_REGIONS

struct edu_identity {
	char name[8];
	u32 major;
	u32 minor;
	u32 started;
	u32 refused;
};

static void show_table(struct vfio_pci_device *device)
{
	char path[128], line[256];
	FILE *file;

	snprintf(path, sizeof(path), "/sys/kernel/debug/vfio/%s/pci/regions",
		 device->bdf);
	printf("%s:\n", path);
	file = fopen(path, "r");
	check(file, "the region table is readable");
	while (file && fgets(line, sizeof(line), file))
		printf("  | %s", line);
	if (file)
		fclose(file);
}

static void show_identity(struct vfio_pci_device *device,
			  struct edu_identity *identity)
{
	struct vfio_region_info info = {
		.argsz = sizeof(info),
		.index = EDU_IDENTITY_INDEX,
	};
	ssize_t ret;

	ioctl_assert(device->fd, VFIO_DEVICE_GET_REGION_INFO, &info);
	ret = pread(device->fd, identity, sizeof(*identity), info.offset);
	check(ret == sizeof(*identity) && !strcmp(identity->name, "edu"),
	      "region %d says: %.7s, version %u.%u, %u transfers, %u refused",
	      EDU_IDENTITY_INDEX, identity->name, identity->major,
	      identity->minor, identity->started, identity->refused);
}

static int write_register(struct vfio_pci_device *device, u64 reg, u64 value)
{
	ssize_t ret = pwrite(device->fd, &value, 8,
			     device->bars[0].info.offset + reg);

	return ret == 8 ? 0 : errno;
}

static void try_transfer(struct vfio_pci_device *device)
{
	struct edu_identity before, after;
	int ret;

	printf("A DMA transfer outside the device's buffer:\n");
	show_identity(device, &before);
	write_register(device, EDU_DMA_SOURCE, 0);
	write_register(device, EDU_DMA_DESTINATION, 0xdead0000);
	write_register(device, EDU_DMA_COUNT, 64);
	ret = write_register(device, EDU_DMA_COMMAND, EDU_DMA_START);
	check(ret == EPERM, "the driver refuses to start it: %s", strerror(ret));
	show_identity(device, &after);
	check(after.refused == before.refused + 1, "the driver counts the refused transfer");
}

static void try_map(struct vfio_pci_device *device, u64 page, bool expected)
{
	void *map = mmap(NULL, SZ_4K, PROT_READ | PROT_WRITE, MAP_SHARED,
			 device->fd, device->bars[0].info.offset + page * SZ_4K);

	check((map != MAP_FAILED) == expected, "mmap of page %lu: %s",
	      page, map == MAP_FAILED ? strerror(errno) : "done");
	if (map != MAP_FAILED)
		munmap(map, SZ_4K);
}

int main(int argc, char *argv[])
{
	struct vfio_pci_device *device;
	struct iommu *iommu;
	const char *bdf;
	ssize_t ret;
	u32 id = 0;

	setvbuf(stdout, NULL, _IOLBF, 0);
	bdf = vfio_selftests_get_bdf(&argc, argv);
	printf("Device %s, driver %s\n", bdf, sysfs_driver_get(bdf));
	iommu = iommu_init(MODE_VFIO_TYPE1V2_IOMMU);
	device = vfio_pci_device_init(bdf, iommu);
	vfio_pci_cmd_set(device, PCI_COMMAND_MEMORY);
	VFIO_ASSERT_GT(device->info.num_regions, EDU_IDENTITY_INDEX,
		       "%s has no vendor region; load vfio_pci_edu and rebind it\n", bdf);

	try_transfer(device);

	printf("A register without an override:\n");
	ret = pread(device->fd, &id, 4, device->bars[0].info.offset + EDU_ID);
	check(ret == 4 && (id & 0xffff) == 0x00ed,
	      "identification register reads 0x%08x", id);

	printf("The page of the overridden registers, and the next page:\n");
	try_map(device, 0, false);
	try_map(device, 1, true);

	show_table(device);

	vfio_pci_device_cleanup(device);
	iommu_cleanup(iommu);

	if (failures)
		printf("%d checks failed\n", failures);
	else
		printf("All checks passed\n");
	return failures ? KSFT_FAIL : KSFT_PASS;
}
