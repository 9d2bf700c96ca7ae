// SPDX-License-Identifier: GPL-2.0-only
/*
 * Test the sample vendor driver on QEMU's edu device: it adds a region, and
 * confines the DMA engine to the device's buffer.  Needs the module vfio_pci_edu
 * (CONFIG_SAMPLE_VFIO_PCI_EDU).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/compiler.h>
#include <linux/sizes.h>
#include <linux/vfio.h>

#include <libvfio.h>

#include "kselftest_harness.h"
#include "vendor/need.h"

#define EDU_VENDOR		0x1234
#define EDU_REGION_TYPE		(VFIO_REGION_TYPE_PCI_VENDOR_TYPE | EDU_VENDOR)
#define EDU_REGION_IDENTITY	1
#define EDU_IDENTIFICATION	0x010000ed

#define EDU_DMA_SOURCE		0x80
#define EDU_DMA_DESTINATION	0x88
#define EDU_DMA_COUNT		0x90
#define EDU_DMA_COMMAND		0x98
#define EDU_DMA_START		1
#define EDU_DMA_FROM_DEVICE	2
#define EDU_BUFFER		0x40000

struct edu_identity {
	char name[8];
	u32 major;
	u32 minor;
	u32 started;
	u32 refused;
};

const char *device_bdf;

/* Return the index of the region with @type and @subtype, or -1 */
static int find_region(struct vfio_pci_device *device, u32 type, u32 subtype,
		       struct vfio_region_info *found)
{
	u8 buf[256];
	struct vfio_region_info *info = (void *)buf;
	struct vfio_region_info_cap_type *cap;
	u32 i, next;

	for (i = VFIO_PCI_NUM_REGIONS; i < device->info.num_regions; i++) {
		memset(buf, 0, sizeof(buf));
		info->argsz = sizeof(buf);
		info->index = i;
		ioctl_assert(device->fd, VFIO_DEVICE_GET_REGION_INFO, info);
		if (!(info->flags & VFIO_REGION_INFO_FLAG_CAPS))
			continue;
		for (next = info->cap_offset; next; next = cap->header.next) {
			cap = (void *)(buf + next);
			if (cap->header.id == VFIO_REGION_INFO_CAP_TYPE &&
			    cap->type == type && cap->subtype == subtype) {
				*found = *info;
				return i;
			}
		}
	}

	return -1;
}

static bool has_region(void)
{
	struct iommu *iommu = iommu_init(NULL);
	struct vfio_pci_device *device = vfio_pci_device_init(device_bdf, iommu);
	struct vfio_region_info info;
	bool found;

	found = find_region(device, EDU_REGION_TYPE, EDU_REGION_IDENTITY, &info) >= 0;
	vfio_pci_device_cleanup(device);
	iommu_cleanup(iommu);

	return found;
}

FIXTURE(vfio_pci_vendor_edu_test) {
	struct iommu *iommu;
	struct vfio_pci_device *device;
	struct vfio_region_info info;
};

FIXTURE_VARIANT(vfio_pci_vendor_edu_test) {
	const char *iommu_mode;
};

#define FIXTURE_VARIANT_ADD_IOMMU_MODE(mode) \
	FIXTURE_VARIANT_IOMMU_MODE(vfio_pci_vendor_edu_test, mode)

FIXTURE_VARIANT_ADD_ALL_IOMMU_MODES();

FIXTURE_SETUP(vfio_pci_vendor_edu_test)
{
	self->iommu = iommu_init(variant->iommu_mode);
	self->device = vfio_pci_device_init(device_bdf, self->iommu);
	ASSERT_EQ(VFIO_PCI_NUM_REGIONS,
		  find_region(self->device, EDU_REGION_TYPE,
			      EDU_REGION_IDENTITY, &self->info));
}

FIXTURE_TEARDOWN(vfio_pci_vendor_edu_test)
{
	vfio_pci_device_cleanup(self->device);
	iommu_cleanup(self->iommu);
}

TEST_F(vfio_pci_vendor_edu_test, added_region_is_read_only_and_has_a_type)
{
	/* Another vendor driver may add more regions */
	ASSERT_LE(VFIO_PCI_NUM_REGIONS + 1, self->device->info.num_regions);
	ASSERT_EQ(sizeof(struct edu_identity), self->info.size);
	ASSERT_EQ(VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_CAPS,
		  self->info.flags);
	ASSERT_EQ((u64)VFIO_PCI_NUM_REGIONS << 40, self->info.offset);
}

TEST_F(vfio_pci_vendor_edu_test, added_region_is_readable_up_to_its_end)
{
	struct edu_identity identity;
	u8 buf[64];
	void *inaccessible;
	u64 i;

	ASSERT_EQ(sizeof(identity), pread(self->device->fd, &identity,
					  sizeof(identity), self->info.offset));
	ASSERT_STREQ("edu", identity.name);
	ASSERT_EQ(EDU_IDENTIFICATION >> 24, identity.major);
	ASSERT_EQ(EDU_IDENTIFICATION >> 16 & 0xff, identity.minor);

	/* A read from each offset stops at the end of the region */
	for (i = 0; i < sizeof(identity); i++) {
		memset(buf, 0xaa, sizeof(buf));
		ASSERT_EQ(sizeof(identity) - i,
			  pread(self->device->fd, buf, sizeof(buf),
				self->info.offset + i));
		ASSERT_EQ(0, memcmp(buf, (u8 *)&identity + i,
				    sizeof(identity) - i));
		ASSERT_EQ(0xaa, buf[sizeof(identity) - i]);
	}
	ASSERT_EQ(-1, pread(self->device->fd, buf, 1, self->info.offset + i));
	ASSERT_EQ(EINVAL, errno);
	inaccessible = mmap(NULL, SZ_4K, PROT_NONE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, inaccessible);
	ASSERT_EQ(-1, pread(self->device->fd, inaccessible, 1,
			    self->info.offset));
	ASSERT_EQ(EFAULT, errno);
	ASSERT_EQ(0, munmap(inaccessible, SZ_4K));
	/* Past the last region */
	ASSERT_EQ(-1, pread(self->device->fd, buf, 1,
			    (u64)self->device->info.num_regions << 40));
	ASSERT_EQ(EINVAL, errno);
}

TEST_F(vfio_pci_vendor_edu_test, write_mmap_and_ioeventfd_fail_on_added_region)
{
	struct vfio_device_ioeventfd ioeventfd = {
		.argsz = sizeof(ioeventfd),
		.flags = VFIO_DEVICE_IOEVENTFD_32,
		.offset = self->info.offset,
		.fd = -1,
	};
	u32 value = 0;

	ASSERT_EQ(-1, pwrite(self->device->fd, &value, 4, self->info.offset));
	ASSERT_EQ(EINVAL, errno);
	ASSERT_EQ(MAP_FAILED, mmap(NULL, SZ_4K, PROT_READ, MAP_SHARED,
				   self->device->fd, self->info.offset));
	ASSERT_EQ(EINVAL, errno);
	ASSERT_EQ(-1, ioctl(self->device->fd, VFIO_DEVICE_IOEVENTFD, &ioeventfd));
	ASSERT_EQ(EINVAL, errno);
}

static void read_identity(struct vfio_pci_device *device,
			  struct vfio_region_info *info,
			  struct edu_identity *identity)
{
	VFIO_ASSERT_EQ(pread(device->fd, identity, sizeof(*identity),
			     info->offset), sizeof(*identity));
}

static int write_reg(struct vfio_pci_device *device, u64 reg, u64 value)
{
	ssize_t ret = pwrite(device->fd, &value, 8, device->bars[0].info.offset + reg);

	return ret == 8 ? 0 : -errno;
}

static u64 read_reg(struct vfio_pci_device *device, u64 reg)
{
	u64 value;

	VFIO_ASSERT_EQ(pread(device->fd, &value, 8,
			     device->bars[0].info.offset + reg), 8);

	return value;
}

/* Start a DMA transfer and wait for its end; -EPERM if the driver refuses it */
static int transfer(struct vfio_pci_device *device, u64 source, u64 destination,
		    u64 count, u64 command)
{
	int ret;

	VFIO_ASSERT_EQ(write_reg(device, EDU_DMA_SOURCE, source), 0);
	VFIO_ASSERT_EQ(write_reg(device, EDU_DMA_DESTINATION, destination), 0);
	VFIO_ASSERT_EQ(write_reg(device, EDU_DMA_COUNT, count), 0);

	ret = write_reg(device, EDU_DMA_COMMAND, command | EDU_DMA_START);
	while (read_reg(device, EDU_DMA_COMMAND) & EDU_DMA_START)
		usleep(1000);

	return ret;
}

TEST_F(vfio_pci_vendor_edu_test, dma_is_confined_to_the_device_buffer)
{
	struct vfio_pci_device *device = self->device;
	struct edu_identity before, after;
	struct dma_region region = {
		.size = SZ_4K,
		.iova = SZ_1M,
	};
	u16 command;
	u8 *mem;
	int i;

	mem = mmap(NULL, region.size, PROT_READ | PROT_WRITE,
		   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, mem);
	region.vaddr = mem;
	iommu_map(self->iommu, &region);
	command = vfio_pci_config_readw(device, PCI_COMMAND);
	vfio_pci_config_writew(device, PCI_COMMAND, command | PCI_COMMAND_MASTER);
	read_identity(device, &self->info, &before);

	for (i = 0; i < 64; i++)
		mem[i] = i + 1;
	ASSERT_EQ(0, transfer(device, region.iova, EDU_BUFFER, 64, 0));
	ASSERT_EQ(0, transfer(device, EDU_BUFFER, region.iova + 64, 64,
			      EDU_DMA_FROM_DEVICE));
	ASSERT_EQ(0, memcmp(mem, mem + 64, 64));

	ASSERT_EQ(-EPERM, transfer(device, region.iova, 0, 64, 0));
	ASSERT_EQ(-EPERM, transfer(device, region.iova, EDU_BUFFER + 4033, 64, 0));
	ASSERT_EQ(-EPERM, transfer(device, EDU_BUFFER - 1, region.iova + 128, 64,
				   EDU_DMA_FROM_DEVICE));
	ASSERT_EQ(-EPERM, transfer(device, EDU_BUFFER, region.iova + 128, 4097,
				   EDU_DMA_FROM_DEVICE));
	for (i = 128; i < SZ_4K; i++)
		ASSERT_EQ(0, mem[i]);

	read_identity(device, &self->info, &after);
	ASSERT_EQ(before.started + 2, after.started);
	ASSERT_EQ(before.refused + 4, after.refused);
	iommu_unmap(self->iommu, &region);
	ASSERT_EQ(0, munmap(mem, region.size));
}

TEST_F(vfio_pci_vendor_edu_test, only_the_page_of_overridden_registers_cannot_be_mapped)
{
	struct vfio_region_info *bar = &self->device->bars[0].info;
	int fd = self->device->fd;
	void *map;
	u64 page;

	ASSERT_TRUE(bar->flags & VFIO_REGION_INFO_FLAG_CAPS);
	for (page = 0; page < bar->size; page += SZ_4K) {
		map = mmap(NULL, SZ_4K, PROT_READ, MAP_SHARED, fd,
			   bar->offset + page);
		if (page) {
			ASSERT_NE(MAP_FAILED, map);
			ASSERT_EQ(0, munmap(map, SZ_4K));
		} else {
			ASSERT_EQ(MAP_FAILED, map);
			ASSERT_EQ(EINVAL, errno);
		}
	}
	ASSERT_EQ(MAP_FAILED, mmap(NULL, 2 * SZ_4K, PROT_READ, MAP_SHARED, fd,
				   bar->offset));
	ASSERT_EQ(MAP_FAILED, mmap(NULL, bar->size, PROT_READ, MAP_SHARED, fd,
				   bar->offset));
}

TEST_F(vfio_pci_vendor_edu_test, other_registers_are_passed_through)
{
	u32 id, value;

	ASSERT_EQ(4, pread(self->device->fd, &id, 4, 0));
	ASSERT_EQ(EDU_IDENTIFICATION, id);
	ASSERT_EQ(EDU_VENDOR, vfio_pci_config_readw(self->device, PCI_VENDOR_ID));
	ASSERT_NE(NULL, self->device->bars[0].vaddr);
	id = READ_ONCE(*(u32 *)(self->device->bars[0].vaddr + SZ_4K));
	ASSERT_EQ(sizeof(id), pread(self->device->fd, &value, sizeof(id), SZ_4K));
	ASSERT_EQ(value, id);
}

TEST_F(vfio_pci_vendor_edu_test, module_of_a_bound_device_cannot_be_unloaded)
{
	ASSERT_EQ(-1, syscall(SYS_delete_module, "vfio_pci_edu", O_NONBLOCK));
	ASSERT_EQ(EWOULDBLOCK, errno);
}

/* Check whether the kernel log since the open of @kmsg shows a device reset */
static bool reset_was_logged(int kmsg)
{
	char line[1024];
	ssize_t ret;

	while ((ret = read(kmsg, line, sizeof(line) - 1)) > 0) {
		line[ret] = '\0';
		if (strstr(line, device_bdf) && strstr(line, "reset done"))
			return true;
	}

	return false;
}

TEST_F(vfio_pci_vendor_edu_test, reset_keeps_added_region_and_overrides)
{
	int kmsg = open("/dev/kmsg", O_RDONLY | O_NONBLOCK);
	struct edu_identity before, after;

	ASSERT_LE(0, kmsg);
	ASSERT_LE(0, lseek(kmsg, 0, SEEK_END));
	read_identity(self->device, &self->info, &before);
	if (__vfio_pci_device_reset(self->device))
		SKIP(return, "%s does not support a reset\n", device_bdf);
	ASSERT_TRUE(reset_was_logged(kmsg));
	close(kmsg);

	read_identity(self->device, &self->info, &after);
	ASSERT_EQ(0, memcmp(&before, &after, sizeof(before)));
	ASSERT_EQ(-EPERM, transfer(self->device, SZ_1M, 0, 64, 0));
	read_identity(self->device, &self->info, &after);
	ASSERT_EQ(before.refused + 1, after.refused);
}

int main(int argc, char *argv[])
{
	device_bdf = need_bdf(&argc, argv);
	if (!has_region()) {
		need_edu(device_bdf);
		need_loaded("vfio_pci_edu", NULL, "CONFIG_SAMPLE_VFIO_PCI_EDU", &device_bdf, 1);
	}

	return test_harness_run(argc, argv);
}
