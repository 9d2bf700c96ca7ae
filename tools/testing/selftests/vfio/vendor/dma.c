// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory access by vendor drivers at an IOVA of the device.
 *
 * Needs QEMU's edu, bound to vfio-pci, and the module vfio_pci_testdrv, which
 * calls vfio_pci_vendor_dma_rw() on request.
 */
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include <linux/iommufd.h>
#include <linux/sizes.h>

#include "edu.h"
#include "need.h"
#include "testdrv.h"

#include "kselftest_harness.h"

/* Two writable pages, then a read-only page */
#define IOVA			SZ_4M
#define READ_ONLY		(IOVA + 2 * PAGE)
#define NOT_MAPPED		(IOVA + 3 * PAGE)

struct testdrv_dma {
	struct vfio_device_feature feature;
	__u64 iova;
	__u64 buf;
	__u32 count;
	__u32 write;
};

const char *device_bdf;

/* Make the driver copy between @buf and an IOVA; return 0 or an errno */
static int driver_copies(struct vfio_pci_device *device, u64 iova,
			 const void *buf, u32 count, bool write)
{
	struct testdrv_dma dma = {
		.feature.argsz = sizeof(dma),
		.feature.flags = VFIO_DEVICE_FEATURE_SET | TESTDRV_FEATURE_DMA,
		.iova = iova,
		.buf = (uintptr_t)buf,
		.count = count,
		.write = write,
	};

	return ioctl(device->fd, VFIO_DEVICE_FEATURE, &dma) ? errno : 0;
}

static int driver_reads(struct vfio_pci_device *device, u64 iova, void *buf,
			u32 count)
{
	return driver_copies(device, iova, buf, count, false);
}

static int driver_writes(struct vfio_pci_device *device, u64 iova,
			 const void *buf, u32 count)
{
	return driver_copies(device, iova, buf, count, true);
}

FIXTURE(dma) {
	struct iommu *iommu;
	struct vfio_pci_device *device;
	u8 *memory;
};

FIXTURE_VARIANT(dma) {
	const char *iommu_mode;
};

#define FIXTURE_VARIANT_ADD_IOMMU_MODE(mode) FIXTURE_VARIANT_IOMMU_MODE(dma, mode)

FIXTURE_VARIANT_ADD_ALL_IOMMU_MODES();

static bool is_mode(struct iommu *iommu, const char *mode)
{
	return !strcmp(iommu->mode->name, mode);
}

/* Check for VFIO type1; iommufd can emulate it */
static bool is_type1(struct iommu *iommu)
{
	return is_mode(iommu, MODE_VFIO_TYPE1_IOMMU) ||
	       is_mode(iommu, MODE_VFIO_TYPE1V2_IOMMU);
}

static void *anonymous(size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	VFIO_ASSERT_NE(memory, MAP_FAILED);

	return memory;
}

/* Map memory for DMA, with iommufd into the IOAS @ioas_id */
static void map_ioas(struct iommu *iommu, u32 ioas_id, void *vaddr, u64 iova,
		     u64 size, bool writable)
{
	struct iommu_ioas_map ioas = {
		.size = sizeof(ioas),
		.flags = IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_FIXED_IOVA |
			 (writable ? IOMMU_IOAS_MAP_WRITEABLE : 0),
		.ioas_id = ioas_id,
		.user_va = (uintptr_t)vaddr,
		.length = size,
		.iova = iova,
	};
	struct vfio_iommu_type1_dma_map type1 = {
		.argsz = sizeof(type1),
		.flags = VFIO_DMA_MAP_FLAG_READ |
			 (writable ? VFIO_DMA_MAP_FLAG_WRITE : 0),
		.vaddr = (uintptr_t)vaddr,
		.iova = iova,
		.size = size,
	};

	if (is_mode(iommu, MODE_IOMMUFD))
		ioctl_assert(iommu->iommufd, IOMMU_IOAS_MAP, &ioas);
	else
		ioctl_assert(iommu->container_fd, VFIO_IOMMU_MAP_DMA, &type1);
}

static void map(struct iommu *iommu, void *vaddr, u64 iova, u64 size,
		bool writable)
{
	map_ioas(iommu, iommu->ioas_id, vaddr, iova, size, writable);
}

static int unmap(struct iommu *iommu, u64 iova, u64 size, u32 flags)
{
	struct iommu_ioas_unmap ioas = {
		.size = sizeof(ioas),
		.ioas_id = iommu->ioas_id,
		.iova = iova,
		.length = size,
	};
	struct vfio_iommu_type1_dma_unmap type1 = {
		.argsz = sizeof(type1),
		.flags = flags,
		.iova = iova,
		.size = size,
	};
	int ret;

	if (is_mode(iommu, MODE_IOMMUFD))
		ret = ioctl(iommu->iommufd, IOMMU_IOAS_UNMAP, &ioas);
	else
		ret = ioctl(iommu->container_fd, VFIO_IOMMU_UNMAP_DMA, &type1);

	return ret ? errno : 0;
}

static void fill(u8 *buf, size_t count, u8 seed)
{
	size_t i;

	for (i = 0; i < count; i++)
		buf[i] = i * 7 + seed;
}

FIXTURE_SETUP(dma)
{
	self->iommu = iommu_init(variant->iommu_mode);
	self->device = testdrv_open(self->iommu, "", "", "");
	vfio_pci_cmd_set(self->device, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	self->memory = anonymous(3 * PAGE);
	/* One mapping for each page, so that a copy crosses mappings */
	map(self->iommu, self->memory, IOVA, PAGE, true);
	map(self->iommu, self->memory + PAGE, IOVA + PAGE, PAGE, true);
	map(self->iommu, self->memory + 2 * PAGE, READ_ONLY, PAGE, false);
}

FIXTURE_TEARDOWN(dma)
{
	vfio_pci_device_cleanup(self->device);
	iommu_cleanup(self->iommu);
	munmap(self->memory, 3 * PAGE);
}

TEST_F(dma, driver_reads_and_writes_across_mappings)
{
	u8 buf[PAGE], copy[PAGE];

	fill(self->memory, 3 * PAGE, 1);
	ASSERT_EQ(0, driver_reads(self->device, IOVA + PAGE / 2, buf, PAGE));
	ASSERT_EQ(0, memcmp(buf, self->memory + PAGE / 2, PAGE));

	fill(buf, PAGE, 100);
	ASSERT_EQ(0, driver_writes(self->device, IOVA + PAGE - 3, buf, 5));
	ASSERT_EQ(0, memcmp(self->memory + PAGE - 3, buf, 5));
	fill(copy, PAGE, 1);
	ASSERT_EQ(0, memcmp(self->memory, copy, PAGE - 3));
}

TEST_F(dma, device_and_driver_reach_the_same_memory)
{
	u8 buf[PAGE], copy[PAGE];

	fill(buf, PAGE, 42);
	ASSERT_EQ(0, driver_writes(self->device, IOVA, buf, PAGE));
	edu_dma_from(self->device, IOVA, PAGE);
	edu_dma_to(self->device, IOVA + PAGE, PAGE);
	ASSERT_EQ(0, driver_reads(self->device, IOVA + PAGE, copy, PAGE));
	ASSERT_EQ(0, memcmp(buf, copy, PAGE));
}

TEST_F(dma, access_to_an_unmapped_iova_fails)
{
	const int not_mapped = is_type1(self->iommu) ? EINVAL : ENOENT;
	u8 buf[PAGE] = {};

	ASSERT_EQ(not_mapped, driver_reads(self->device, NOT_MAPPED, buf, 1));
	ASSERT_EQ(not_mapped, driver_reads(self->device, IOVA - 1, buf, 2));
	ASSERT_EQ(not_mapped, driver_reads(self->device, NOT_MAPPED - 1, buf, 2));
	ASSERT_EQ(0, driver_reads(self->device, NOT_MAPPED - 1, buf, 1));
	ASSERT_EQ(EINVAL, driver_reads(self->device, IOVA, buf, 0));
	ASSERT_EQ(EOVERFLOW, driver_reads(self->device, -1ULL, buf, 2));

	ASSERT_EQ(0, unmap(self->iommu, IOVA, PAGE, 0));
	ASSERT_EQ(not_mapped, driver_reads(self->device, IOVA, buf, 1));
	ASSERT_EQ(not_mapped, driver_writes(self->device, IOVA, buf, 1));
}

TEST_F(dma, read_only_memory_cannot_be_written)
{
	u8 before[PAGE], buf[PAGE];

	fill(self->memory, 3 * PAGE, 9);
	memcpy(before, self->memory + 2 * PAGE, PAGE);
	ASSERT_EQ(0, driver_reads(self->device, READ_ONLY, buf, PAGE));
	ASSERT_EQ(0, memcmp(before, buf, PAGE));

	memset(buf, 0xee, PAGE);
	ASSERT_EQ(EPERM, driver_writes(self->device, READ_ONLY, buf, PAGE));
	/* A write from a writable page into the read-only page fails */
	ASSERT_EQ(EPERM, driver_writes(self->device, READ_ONLY - 4, buf, 8));
	ASSERT_EQ(0, memcmp(before, self->memory + 2 * PAGE, PAGE));
}

TEST_F(dma, access_fails_after_the_process_unmaps_the_memory)
{
	u8 buf[8];

	munmap(self->memory, PAGE);
	ASSERT_EQ(EFAULT, driver_reads(self->device, IOVA, buf, 8));
	VFIO_ASSERT_EQ(mmap(self->memory, PAGE, PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0),
		       self->memory);
}

/* iommufd can read the memory of another process, type1 cannot */
TEST_F(dma, only_iommufd_permits_an_access_in_another_process)
{
	const int expected = is_type1(self->iommu) ? EFAULT : 0;
	int status;
	u8 buf[8];
	pid_t pid;

	fill(self->memory, 3 * PAGE, 77);
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		if (driver_reads(self->device, IOVA, buf, 8) != expected)
			_exit(1);
		_exit(!expected && memcmp(buf, self->memory, 8) ? 2 : 0);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	ASSERT_EQ(0, status);
}

FIXTURE(dma_type1) {
	struct iommu *iommu;
	struct vfio_pci_device *device;
	u8 *memory;
};

FIXTURE_SETUP(dma_type1)
{
	self->iommu = iommu_init(MODE_VFIO_TYPE1V2_IOMMU);
	self->device = testdrv_open(self->iommu, "", "", "");
	self->memory = anonymous(PAGE);
	map(self->iommu, self->memory, IOVA, PAGE, true);
}

FIXTURE_TEARDOWN(dma_type1)
{
	vfio_pci_device_cleanup(self->device);
	iommu_cleanup(self->iommu);
	munmap(self->memory, PAGE);
}

/* Userspace decides when addresses change, so the kernel must not warn */
TEST_F(dma_type1, access_fails_while_addresses_change)
{
	struct vfio_iommu_type1_dma_map new = {
		.argsz = sizeof(new),
		.flags = VFIO_DMA_MAP_FLAG_VADDR,
		.vaddr = (uintptr_t)self->memory,
		.iova = IOVA,
		.size = PAGE,
	};
	u8 buf[8];

	ASSERT_EQ(0, unmap(self->iommu, IOVA, PAGE, VFIO_DMA_UNMAP_FLAG_VADDR));
	ASSERT_EQ(EBUSY, driver_reads(self->device, IOVA, buf, 8));
	ioctl_assert(self->iommu->container_fd, VFIO_IOMMU_MAP_DMA, &new);
	ASSERT_EQ(0, driver_reads(self->device, IOVA, buf, 8));
}

/* Attach the device to another page table, by ioctls on the device file */
FIXTURE(dma_attach) {
	struct iommu *iommu;
	struct vfio_pci_device *device;
	u8 *memory;
	u32 other_ioas;
};

static void attach(struct vfio_pci_device *device, u32 pt_id)
{
	struct vfio_device_attach_iommufd_pt args = {
		.argsz = sizeof(args),
		.pt_id = pt_id,
	};

	ioctl_assert(device->fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &args);
}

static void detach(struct vfio_pci_device *device)
{
	struct vfio_device_detach_iommufd_pt args = { .argsz = sizeof(args) };

	ioctl_assert(device->fd, VFIO_DEVICE_DETACH_IOMMUFD_PT, &args);
}

static u32 alloc_hwpt(struct iommu *iommu, u32 dev_id, u32 ioas_id)
{
	struct iommu_hwpt_alloc args = {
		.size = sizeof(args),
		.dev_id = dev_id,
		.pt_id = ioas_id,
	};

	return ioctl(iommu->iommufd, IOMMU_HWPT_ALLOC, &args) ? 0 : args.out_hwpt_id;
}

/* libvfio does not store the device id of iommufd, so try the first ids */
static u32 find_hwpt(struct iommu *iommu, u32 ioas_id)
{
	u32 id, hwpt = 0;

	for (id = 1; id < 16 && !hwpt; id++)
		hwpt = alloc_hwpt(iommu, id, ioas_id);
	VFIO_ASSERT_NE(hwpt, 0);

	return hwpt;
}

static u32 alloc_ioas(struct iommu *iommu, void *vaddr)
{
	struct iommu_ioas_alloc args = { .size = sizeof(args) };

	ioctl_assert(iommu->iommufd, IOMMU_IOAS_ALLOC, &args);
	map_ioas(iommu, args.out_ioas_id, vaddr, IOVA, PAGE, true);

	return args.out_ioas_id;
}

static void free_ioas(struct iommu *iommu, u32 id)
{
	struct iommu_destroy args = { .size = sizeof(args), .id = id };

	ioctl_assert(iommu->iommufd, IOMMU_DESTROY, &args);
}

FIXTURE_SETUP(dma_attach)
{
	self->iommu = iommu_init(MODE_IOMMUFD);
	self->device = testdrv_open(self->iommu, "", "", "");
	self->memory = anonymous(2 * PAGE);
	memset(self->memory, 1, PAGE);
	memset(self->memory + PAGE, 2, PAGE);
	map(self->iommu, self->memory, IOVA, PAGE, true);
	self->other_ioas = alloc_ioas(self->iommu, self->memory + PAGE);
}

FIXTURE_TEARDOWN(dma_attach)
{
	vfio_pci_device_cleanup(self->device);
	iommu_cleanup(self->iommu);
	munmap(self->memory, 2 * PAGE);
}

static int first_byte(struct vfio_pci_device *device)
{
	u8 value;
	int ret = driver_reads(device, IOVA, &value, 1);

	return ret ? -ret : value;
}

TEST_F(dma_attach, driver_reads_the_attached_ioas)
{
	ASSERT_EQ(1, first_byte(self->device));
	attach(self->device, self->other_ioas);
	ASSERT_EQ(2, first_byte(self->device));
	detach(self->device);
	ASSERT_EQ(-ENOENT, first_byte(self->device));
	attach(self->device, self->iommu->ioas_id);
	ASSERT_EQ(1, first_byte(self->device));
}

/* QEMU attaches devices to a page table */
TEST_F(dma_attach, driver_reads_the_ioas_of_a_page_table)
{
	u32 hwpt = find_hwpt(self->iommu, self->other_ioas);

	attach(self->device, hwpt);
	ASSERT_EQ(2, first_byte(self->device));
	attach(self->device, self->iommu->ioas_id);
	ASSERT_EQ(1, first_byte(self->device));
}

struct switcher {
	struct vfio_pci_device *device;
	u8 *memory;
	u32 ids[3];
	unsigned int nr;
	bool stop;
};

static void *switch_tables(void *arg)
{
	struct switcher *switcher = arg;
	struct iommu *iommu = switcher->device->iommu;
	unsigned int i;
	u32 ioas;

	for (i = 0; !READ_ONCE(switcher->stop); i++) {
		attach(switcher->device, switcher->ids[i % 3]);
		if (i % 4)
			continue;
		ioas = alloc_ioas(iommu, switcher->memory);
		attach(switcher->device, ioas);
		detach(switcher->device);
		free_ioas(iommu, ioas);
	}
	switcher->nr = i;

	return NULL;
}

TEST_F_TIMEOUT(dma_attach, switch_of_tables_does_not_break_reads, 120)
{
	struct switcher switcher = {
		.device = self->device,
		.memory = self->memory,
		.ids = {
			self->iommu->ioas_id, self->other_ioas,
			find_hwpt(self->iommu, self->other_ioas),
		},
	};
	unsigned int seen[3] = {};
	time_t end = time(NULL) + 5;
	pthread_t thread;
	int value;

	ASSERT_EQ(0, pthread_create(&thread, NULL, switch_tables, &switcher));
	do {
		value = first_byte(self->device);
		if (value == 1 || value == 2)
			seen[value]++;
		else
			seen[0]++;
	} while ((value == -ENOENT || value > 0) && time(NULL) < end);
	WRITE_ONCE(switcher.stop, true);
	pthread_join(thread, NULL);
	ksft_print_msg("%u switches; reads: %u detached, %u first IOAS, %u second IOAS\n",
		       switcher.nr, seen[0], seen[1], seen[2]);
	ASSERT_TRUE(value == -ENOENT || value == 1 || value == 2);
	ASSERT_NE(0, seen[1]);
	ASSERT_NE(0, seen[2]);
}

int main(int argc, char *argv[])
{
	device_bdf = need_bdf(&argc, argv);
	need_edu(device_bdf);
	testdrv_begin();

	return test_harness_run(argc, argv);
}
