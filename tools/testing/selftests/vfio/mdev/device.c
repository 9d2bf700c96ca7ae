// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests of a PCI device as a mediated device, in each IOMMU mode.  The tests open
 * the device file of the mediated device, or the IOMMU group of the PCI device.
 * DMA must reach only mapped memory.
 *
 * Needs QEMU's edu device with 32 address bits (dma_mask=0xffffffff).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/ioctl.h>
#include <sys/mman.h>

#include <linux/compiler.h>
#include <linux/sizes.h>

#include "mdev.h"
#include "../vendor/need.h"
#include "../vendor/testdrv.h"

#include "kselftest_harness.h"

/* IOVAs of the mapped pages; they are not adjacent */
#define IOVA		0x100000UL
#define OTHER_IOVA	0x200000UL

FIXTURE(mdev) {
	struct iommu *iommu;
	struct vfio_pci_device *device;
	/* Five pages; the second and the fourth are mapped for the device */
	u8 *mem;
	struct dma_region region, other;
};

FIXTURE_VARIANT(mdev) {
	const char *iommu_mode;
};

#define FIXTURE_VARIANT_ADD_IOMMU_MODE(mode) FIXTURE_VARIANT_IOMMU_MODE(mdev, mode)

FIXTURE_VARIANT_ADD_ALL_IOMMU_MODES();

FIXTURE_SETUP(mdev)
{
	mdev_bind(device_bdf, MDEV_DRIVER);
	if (!mdev_exists(UUID))
		mdev_create(device_bdf, UUID);
	self->iommu = iommu_init(variant->iommu_mode);
	self->device = vfio_pci_device_init(device_bdf, self->iommu);
	vfio_pci_cmd_set(self->device, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);

	self->mem = mmap(NULL, 5 * SZ_4K, PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE | MAP_LOCKED, -1, 0);
	ASSERT_NE(MAP_FAILED, self->mem);
	self->region = (struct dma_region) {
		.vaddr = self->mem + SZ_4K, .iova = IOVA, .size = SZ_4K,
	};
	self->other = (struct dma_region) {
		.vaddr = self->mem + 3 * SZ_4K, .iova = OTHER_IOVA, .size = SZ_4K,
	};
	iommu_map(self->iommu, &self->region);
	iommu_map(self->iommu, &self->other);
}

FIXTURE_TEARDOWN(mdev)
{
	vfio_pci_device_cleanup(self->device);
	iommu_cleanup(self->iommu);
	munmap(self->mem, 5 * SZ_4K);
}

TEST_F(mdev, registers_are_accessible)
{
	u32 *bar = self->device->bars[0].vaddr;

	ASSERT_TRUE(self->device->info.flags & VFIO_DEVICE_FLAGS_PCI);
	ASSERT_EQ(0x1234, vfio_pci_config_readw(self->device, PCI_VENDOR_ID));
	ASSERT_EQ(0x11e8, vfio_pci_config_readw(self->device, PCI_DEVICE_ID));
	ASSERT_EQ(0x010000ed, edu_read(self->device, EDU_IDENTIFICATION));
	edu_write(self->device, EDU_LIVENESS, 0x12345678);
	ASSERT_EQ(~0x12345678U, edu_read(self->device, EDU_LIVENESS));
	/* The last page reads as ones; a bad mapping would raise SIGBUS */
	ASSERT_NE(NULL, bar);
	ASSERT_EQ(~0U, READ_ONCE(bar[(SZ_1M - SZ_4K) / 4]));
}

TEST_F(mdev, interrupt_is_delivered)
{
	u64 count;

	vfio_pci_irq_enable(self->device, VFIO_PCI_MSI_IRQ_INDEX, 0, 1);
	edu_write(self->device, EDU_IRQ_RAISE, 1);
	ASSERT_EQ(8, read(self->device->msi_eventfds[0], &count, 8));
	ASSERT_EQ(1, count);
	edu_write(self->device, EDU_IRQ_LOWER, 1);
	vfio_pci_irq_disable(self->device, VFIO_PCI_MSI_IRQ_INDEX);
}

static void fill(u8 *page, u8 with)
{
	memset(page, with, SZ_4K);
}

static bool is_filled(u8 *page, u8 with)
{
	return page[0] == with && !memcmp(page, page + 1, SZ_4K - 1);
}

/* Fill the buffer of the device */
static void fill_buffer(struct __test_metadata *_metadata,
			struct _test_data_mdev *self, u8 with)
{
	fill(self->region.vaddr, with);
	edu_dma_from(self->device, IOVA, EDU_BUFFER_SIZE);
	fill(self->region.vaddr, 0);
	edu_dma_to(self->device, IOVA, EDU_BUFFER_SIZE);
	ASSERT_TRUE(is_filled(self->region.vaddr, with));
}

TEST_F(mdev, dma_reaches_mapped_memory)
{
	u8 *mem = self->mem;
	int i;

	for (i = 0; i < SZ_4K; i++)
		mem[SZ_4K + i] = i ^ (i >> 8);
	edu_dma_from(self->device, IOVA, EDU_BUFFER_SIZE);
	edu_dma_to(self->device, OTHER_IOVA, EDU_BUFFER_SIZE);
	ASSERT_EQ(0, memcmp(mem + SZ_4K, mem + 3 * SZ_4K, SZ_4K));
	ASSERT_TRUE(is_filled(mem, 0));
	ASSERT_TRUE(is_filled(mem + 2 * SZ_4K, 0));
	ASSERT_TRUE(is_filled(mem + 4 * SZ_4K, 0));
}

/* Return the physical address of a page, for DMA without translation */
static u64 physical_address(void *page)
{
	int fd = open("/proc/self/pagemap", O_RDONLY);
	u64 entry;

	VFIO_ASSERT_GE(fd, 0);
	VFIO_ASSERT_EQ(pread(fd, &entry, 8, (u64)page / SZ_4K * 8), 8);
	close(fd);
	/* The page is present, and the program may see its address */
	VFIO_ASSERT_TRUE(entry >> 63 && (entry & ((1ULL << 55) - 1)));

	return (entry & ((1ULL << 55) - 1)) * SZ_4K;
}

/* Check that DMA at an IOVA does not access the pages of the test */
static void expect_no_access(struct __test_metadata *_metadata,
			     struct _test_data_mdev *self, u64 iova)
{
	int i;

	fill_buffer(_metadata, self, 0x11);
	for (i = 0; i < 5; i++)
		fill(self->mem + i * SZ_4K, 0x22);
	edu_dma_to(self->device, iova, EDU_BUFFER_SIZE);
	for (i = 0; i < 5; i++)
		ASSERT_TRUE(is_filled(self->mem + i * SZ_4K, 0x22));
	edu_dma_from(self->device, iova, EDU_BUFFER_SIZE);
	edu_dma_to(self->device, IOVA, EDU_BUFFER_SIZE);
	ASSERT_NE(0x22, *(u8 *)self->region.vaddr);
}

TEST_F_TIMEOUT(mdev, dma_reaches_no_other_memory, 60)
{
	u64 iova[] = {
		0, IOVA - SZ_4K, IOVA + SZ_4K, OTHER_IOVA - SZ_4K, OTHER_IOVA + SZ_4K,
		/* Physical addresses of the pages */
		physical_address(self->mem), physical_address(self->mem + SZ_4K),
		physical_address(self->mem + 2 * SZ_4K),
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(iova); i++) {
		if (iova[i] == IOVA || iova[i] == OTHER_IOVA)
			continue;
		ASSERT_LT(iova[i], 1ULL << 32);
		expect_no_access(_metadata, self, iova[i]);
	}

	/* After an unmap */
	iommu_unmap(self->iommu, &self->other);
	expect_no_access(_metadata, self, OTHER_IOVA);
	iommu_map(self->iommu, &self->other);
}

static int attach(struct vfio_pci_device *device, u32 pt_id)
{
	struct vfio_device_attach_iommufd_pt args = {
		.argsz = sizeof(args),
		.pt_id = pt_id,
	};

	return ioctl(device->fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &args);
}

/* While the device is bound but not attached, all DMA is blocked */
TEST_F(mdev, detached_device_has_no_dma)
{
	struct vfio_device_detach_iommufd_pt args = { .argsz = sizeof(args) };
	u64 iova[] = { IOVA, OTHER_IOVA, physical_address(self->mem) };
	unsigned int i, j;

	if (self->iommu->mode->container_path)
		SKIP(return, "a container always attaches the device");

	fill_buffer(_metadata, self, 0x11);
	for (j = 0; j < 5; j++)
		fill(self->mem + j * SZ_4K, 0x22);
	ASSERT_EQ(0, ioctl(self->device->fd, VFIO_DEVICE_DETACH_IOMMUFD_PT, &args));
	for (i = 0; i < ARRAY_SIZE(iova); i++) {
		edu_dma_to(self->device, iova[i], EDU_BUFFER_SIZE);
		for (j = 0; j < 5; j++)
			ASSERT_TRUE(is_filled(self->mem + j * SZ_4K, 0x22));
	}
	ASSERT_EQ(0, attach(self->device, self->iommu->ioas_id));
	edu_dma_to(self->device, OTHER_IOVA, EDU_BUFFER_SIZE);
	ASSERT_TRUE(is_filled(self->other.vaddr, 0x11));
}

TEST_F(mdev, group_and_device_file_exclude_each_other)
{
	char path[32];
	int fd;

	if (self->iommu->mode->container_path) {
		struct iommu *iommu = iommu_init(MODE_IOMMUFD);
		struct vfio_pci_device *device;
		int ret;

		device = open_bare(iommu, device_bdf, NULL, &ret);
		ASSERT_EQ(NULL, device);
		ASSERT_EQ(EBUSY, ret);
		iommu_cleanup(iommu);
		return;
	}

	snprintf_assert(path, sizeof(path), "/dev/vfio/%d", sysfs_iommu_group_get(device_bdf));
	fd = open(path, O_RDWR);
	ASSERT_EQ(-1, fd);
	ASSERT_EQ(EBUSY, errno);
}

int main(int argc, char *argv[])
{
	mdev_begin(&argc, argv, 1, "one device");
	need_edu(device_bdf);

	return test_harness_run(argc, argv);
}
