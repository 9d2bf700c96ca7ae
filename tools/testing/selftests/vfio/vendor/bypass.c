// SPDX-License-Identifier: GPL-2.0-only
/*
 * Try to bypass an override in all ways that userspace has.
 *
 * A register of QEMU's edu device reads the inverse of the last write.  A vendor
 * driver overrides this register and others: reads return constants, and writes
 * are dropped.  The register contains a secret.  Userspace must not be able to read
 * or change it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include <linux/compiler.h>
#include <linux/sizes.h>

#include "need.h"
#include "racer.h"
#include "testdrv.h"

#include "kselftest_harness.h"

#define EDU_LIVENESS	4

/* The register; a range that crosses from page 2 to 3; a range in page 6 */
#define SETUP		"range 0 4 4; range 0 0x2ffc 8; range 0 0x6010 4; range 7 0 4"
#define NR_PAGES	9

static bool is_kept(u64 pos)
{
	return (pos >= 4 && pos < 8) || (pos >= 0x2ffc && pos < 0x3004) ||
	       (pos >= 0x6010 && pos < 0x6014);
}

static bool page_is_kept(u64 page)
{
	return page == 0 || page == 2 || page == 3 || page == 6;
}

static bool pages_are_kept(u64 page, u64 nr)
{
	while (nr--)
		if (page_is_kept(page++))
			return true;

	return false;
}

const char *device_bdf;

#define bypass_data _test_data_bypass

FIXTURE(bypass) {
	struct iommu *iommu;
	struct vfio_pci_device *device;
	int fd;
	u32 secret;
	u32 handled;
};

FIXTURE_VARIANT(bypass) {
	const char *iommu_mode;
};

#define FIXTURE_VARIANT_ADD_IOMMU_MODE(mode) FIXTURE_VARIANT_IOMMU_MODE(bypass, mode)

FIXTURE_VARIANT_ADD_ALL_IOMMU_MODES();

FIXTURE_SETUP(bypass)
{
	struct timespec now;

	testdrv_set("handler", "keep");
	self->iommu = iommu_init(variant->iommu_mode);
	self->device = testdrv_open(self->iommu, SETUP, "", "");
	self->fd = self->device->fd;

	clock_gettime(CLOCK_MONOTONIC, &now);
	srand(now.tv_nsec);
	self->secret = rand() | 1;
	testdrv_write_register(self->device, 0, EDU_LIVENESS, ~self->secret);
	ASSERT_EQ(self->secret,
		  testdrv_read_register(self->device, 0, EDU_LIVENESS));
	memset(&self->handled, HANDLED_BYTE, 4);
}

FIXTURE_TEARDOWN(bypass)
{
	vfio_pci_cmd_set(self->device, PCI_COMMAND_MEMORY);
	EXPECT_EQ(self->secret,
		  testdrv_read_register(self->device, 0, EDU_LIVENESS));
	vfio_pci_device_cleanup(self->device);
	iommu_cleanup(self->iommu);
}

/* Check that overridden bytes are constants, not bytes of the secret */
static bool is_right(struct bypass_data *self, const u8 *buf, u64 pos,
		     size_t count)
{
	size_t i;

	for (i = 0; i < count; i++)
		if (is_kept(pos + i) ? buf[i] != HANDLED_BYTE :
				       buf[i] == HANDLED_BYTE)
			return false;

	return !memmem(buf, count, &self->secret, 4);
}

static const u64 around[] = { 0, 0x2ff0, 0x6008 };

TEST_F_TIMEOUT(bypass, no_access_of_any_size_reaches_overridden_bytes, 120)
{
	u8 buf[64], data[64];
	u64 pos, count;
	int i;

	/* Values that are harmless in the other registers */
	memset(data, 0, sizeof(data));
	for (i = 0; i < ARRAY_SIZE(around); i++) {
		for (pos = around[i]; pos < around[i] + 24; pos++) {
			for (count = 1; count < 32; count++) {
				memset(buf, 0xaa, sizeof(buf));
				ASSERT_EQ(count, pread(self->fd, buf, count, pos));
				ASSERT_TRUE(is_right(self, buf, pos, count)) {
					TH_LOG("pread %lu at %#lx", count, pos);
				}
				ASSERT_EQ(count, pwrite(self->fd, data, count, pos));
			}
		}
	}
	ASSERT_EQ(4, pread(self->fd, buf, 4, region_offset(7)));
	ASSERT_EQ(0, memcmp(buf, &self->handled, 4));
}

TEST_F(bypass, large_and_vectored_accesses_skip_overridden_bytes)
{
	size_t size = NR_PAGES * PAGE, part, at, i;
	struct iovec iov[64];
	u8 *buf = calloc_assert(size, 1);

	ASSERT_EQ(size, pread(self->fd, buf, size, 0));
	ASSERT_TRUE(is_right(self, buf, 0, size));
	memset(buf, 0, size);
	ASSERT_EQ(size, pwrite(self->fd, buf, size, 0));

	for (part = 1; part < 14; part++) {
		for (i = 0, at = 0; i < ARRAY_SIZE(iov); i++, at += part) {
			iov[i].iov_base = buf + at;
			iov[i].iov_len = part;
		}
		memset(buf, 0xaa, size);
		ASSERT_EQ(at, preadv(self->fd, iov, i, 0));
		ASSERT_TRUE(is_right(self, buf, 0, at));
		ASSERT_EQ(at, pwritev(self->fd, iov, i, 0));
		ASSERT_EQ(at, preadv(self->fd, iov, i, 0x2ff1));
		ASSERT_TRUE(is_right(self, buf, 0x2ff1, at));
		ASSERT_EQ(at, pwritev(self->fd, iov, i, 0x2ff1));
	}
	free(buf);
}

TEST_F(bypass, faulting_buffers_do_not_reach_overridden_bytes)
{
	u8 *page = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	u64 pos, i;

	ASSERT_NE(MAP_FAILED, page);
	ASSERT_EQ(0, munmap(page + PAGE, PAGE));
	for (pos = 0; pos < 12; pos++) {
		for (i = 1; i < 12; i++) {
			memset(page, 0, PAGE);
			ASSERT_EQ(-1, pread(self->fd, page + PAGE - i, 24, pos));
			ASSERT_EQ(EFAULT, errno);
			ASSERT_EQ(NULL, memmem(page, PAGE, &self->secret, 4));
			ASSERT_EQ(-1, pwrite(self->fd, page + PAGE - i, 24, pos));
			ASSERT_EQ(EFAULT, errno);
		}
	}
	ASSERT_EQ(0, munmap(page, PAGE));
}

static void *map_pages(int fd, u64 page, u64 nr, int prot, int flags)
{
	return mmap(NULL, nr * PAGE, prot, flags, fd, page * PAGE);
}

static bool is_mapped(void *map)
{
	return map != MAP_FAILED;
}

/* Map every page range: only ranges without an overridden page must be mappable */
static bool windows_are_right(int fd)
{
	u64 page, nr;
	void *map;

	for (page = 0; page < NR_PAGES; page++) {
		for (nr = 1; nr <= NR_PAGES; nr++) {
			map = map_pages(fd, page, nr, PROT_READ | PROT_WRITE, MAP_SHARED);
			if (is_mapped(map) == pages_are_kept(page, nr)) {
				fprintf(stderr, "%lu pages from page %lu\n", nr, page);
				return false;
			}
			if (map != MAP_FAILED)
				munmap(map, nr * PAGE);
			if (map_pages(fd, page, nr, PROT_READ, MAP_PRIVATE) != MAP_FAILED)
				return false;
			map = map_pages(fd, page, nr, PROT_NONE, MAP_SHARED);
			if (is_mapped(map) == pages_are_kept(page, nr))
				return false;
			if (map != MAP_FAILED)
				munmap(map, nr * PAGE);
		}
	}

	return true;
}

TEST_F_TIMEOUT(bypass, overridden_pages_cannot_be_mapped, 120)
{
	struct vfio_region_info_cap_sparse_mmap *sparse;
	const u64 areas[][2] = {
		{ 1, 1 }, { 4, 2 }, { 7, SZ_1M / PAGE - 7 },
	};
	struct region_info *info = calloc_assert(1, sizeof(*info));
	int i;

	ASSERT_EQ(0, get_region_info(self->device, 0, info));
	sparse = (void *)find_cap(info, VFIO_REGION_INFO_CAP_SPARSE_MMAP);
	ASSERT_NE(NULL, sparse);
	ASSERT_EQ(ARRAY_SIZE(areas), sparse->nr_areas);
	for (i = 0; i < ARRAY_SIZE(areas); i++) {
		ASSERT_EQ(areas[i][0] * PAGE, sparse->areas[i].offset);
		ASSERT_EQ(areas[i][1] * PAGE, sparse->areas[i].size);
	}
	ASSERT_EQ(0, get_region_info(self->device, 7, info));
	ASSERT_EQ(NULL, find_cap(info, VFIO_REGION_INFO_CAP_SPARSE_MMAP));
	free(info);

	ASSERT_TRUE(windows_are_right(self->fd));
	vfio_pci_cmd_clear(self->device, PCI_COMMAND_MEMORY);
	ASSERT_TRUE(windows_are_right(self->fd));
	vfio_pci_cmd_set(self->device, PCI_COMMAND_MEMORY);
}

/* A reset clears the secret, so write the secret again */
TEST_F_TIMEOUT(bypass, overridden_pages_cannot_be_mapped_after_reset, 120)
{
	if (__vfio_pci_device_reset(self->device))
		SKIP(return, "the device cannot be reset\n");
	vfio_pci_cmd_set(self->device, PCI_COMMAND_MEMORY);
	testdrv_write_register(self->device, 0, EDU_LIVENESS, ~self->secret);
	ASSERT_TRUE(windows_are_right(self->fd));
}

TEST_F_TIMEOUT(bypass, overridden_pages_cannot_be_mapped_in_low_power, 120)
{
	struct vfio_device_feature feature = {
		.argsz = sizeof(feature),
		.flags = VFIO_DEVICE_FEATURE_SET |
			 VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY,
	};
	u32 value;

	ASSERT_EQ(0, ioctl(self->fd, VFIO_DEVICE_FEATURE, &feature));
	ASSERT_TRUE(windows_are_right(self->fd));
	/* The core resumes the device for each access */
	ASSERT_EQ(4, pread(self->fd, &value, 4, EDU_LIVENESS));
	ASSERT_EQ(self->handled, value);
	feature.flags = VFIO_DEVICE_FEATURE_SET |
			VFIO_DEVICE_FEATURE_LOW_POWER_EXIT;
	ASSERT_EQ(0, ioctl(self->fd, VFIO_DEVICE_FEATURE, &feature));
	vfio_pci_cmd_set(self->device, PCI_COMMAND_MEMORY);
	ASSERT_TRUE(windows_are_right(self->fd));
	ASSERT_EQ(4, pread(self->fd, &value, 4, EDU_LIVENESS));
	ASSERT_EQ(self->handled, value);
}

TEST_F_TIMEOUT(bypass, remap_does_not_reach_overridden_pages, 120)
{
	u8 *map = map_pages(self->fd, 4, 2, PROT_READ | PROT_WRITE, MAP_SHARED);
	u8 *more, byte;
	int status;
	pid_t pid;
	u64 page;

	ASSERT_NE(MAP_FAILED, map);
	byte = READ_ONCE(*map);

	/* Grow a mapping, in place or moved */
	ASSERT_EQ(MAP_FAILED, mremap(map, 2 * PAGE, 4 * PAGE, MREMAP_MAYMOVE));
	ASSERT_EQ(MAP_FAILED, mremap(map, PAGE, 3 * PAGE, MREMAP_MAYMOVE));
	/* An old size of 0 duplicates a mapping; the size must not grow */
	more = mremap(map, 0, 4 * PAGE, MREMAP_MAYMOVE);
	ASSERT_EQ(MAP_FAILED, more);
	/* remap_file_pages() must not expose another part of the file */
	for (page = 0; page < NR_PAGES; page++) {
		if (!page_is_kept(page))
			continue;
		more = map_pages(self->fd, 4, 1, PROT_READ | PROT_WRITE, MAP_SHARED);
		ASSERT_NE(MAP_FAILED, more);
		ASSERT_EQ(-1, syscall(SYS_remap_file_pages, more, PAGE, 0, page, 0));
		munmap(more, PAGE);
	}
	/* Adjacent mappings, which the kernel might merge */
	for (page = 0; page < NR_PAGES; page++) {
		if (!page_is_kept(page))
			continue;
		ASSERT_EQ(MAP_FAILED,
			  mmap(map + 2 * PAGE, PAGE, PROT_READ,
			       MAP_SHARED | MAP_FIXED_NOREPLACE, self->fd, page * PAGE));
	}
	ASSERT_EQ(0, mprotect(map, PAGE, PROT_READ));
	ASSERT_EQ(0, mprotect(map, 2 * PAGE, PROT_READ | PROT_WRITE));
	madvise(map, 2 * PAGE, MADV_HUGEPAGE);
	madvise(map, 2 * PAGE, MADV_DOFORK);

	/* A child process has the same limits */
	pid = fork();
	ASSERT_NE(-1, pid);
	if (!pid)
		_exit(!(READ_ONCE(*map) == byte && windows_are_right(self->fd)));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	ASSERT_EQ(0, status);

	more = mremap(map, 2 * PAGE, PAGE, 0);
	ASSERT_EQ(map, more);
	ASSERT_EQ(byte, READ_ONCE(*map));
	ASSERT_EQ(0, munmap(map, PAGE));
}

TEST_F(bypass, ioeventfd_cannot_write_overridden_bytes)
{
	struct vfio_device_ioeventfd arg = { .argsz = sizeof(arg) };
	int fd = eventfd(0, 0);
	u64 pos, count, i;

	ASSERT_GE(fd, 0);
	for (i = 0; i < ARRAY_SIZE(around); i++) {
		for (pos = around[i]; pos < around[i] + 24; pos++) {
			for (count = 1; count <= 8; count *= 2) {
				bool kept = false;
				u64 j;
				int ret;

				for (j = 0; j < count; j++)
					kept |= is_kept(pos + j);
				arg.flags = count;
				arg.offset = pos;
				arg.fd = fd;
				ret = ioctl(self->fd, VFIO_DEVICE_IOEVENTFD, &arg);
				ASSERT_EQ(kept ? -1 : 0, ret) {
					TH_LOG("%lu bytes at %#lx: %m", count, pos);
				}
				if (kept) {
					ASSERT_EQ(EINVAL, errno);
					continue;
				}
				ASSERT_EQ(0, eventfd_write(fd, 1));
				arg.fd = -1;
				ASSERT_EQ(0, ioctl(self->fd, VFIO_DEVICE_IOEVENTFD, &arg));
			}
		}
	}
	close(fd);
}

static int export_pages(int fd, u64 page, u64 nr)
{
	return export_dmabuf(fd, 0, page * PAGE, nr * PAGE);
}

TEST_F_TIMEOUT(bypass, dmabuf_cannot_contain_overridden_pages, 120)
{
	u64 page, nr;
	int fd;

	fd = export_pages(self->fd, 1, 1);
	if (fd < 0 && errno == ENOTTY)
		SKIP(return, "this kernel exports no dma-bufs\n");
	ASSERT_GE(fd, 0);
	close(fd);

	for (page = 0; page < NR_PAGES; page++) {
		for (nr = 1; nr <= NR_PAGES; nr++) {
			fd = export_pages(self->fd, page, nr);
			ASSERT_EQ(pages_are_kept(page, nr), fd < 0);
			if (fd < 0)
				ASSERT_EQ(EINVAL, errno);
			if (fd >= 0)
				close(fd);
		}
	}
}

/* Only type1 maps BARs for peer-to-peer DMA */
static bool maps_bars(const struct iommu *iommu)
{
	return !strcmp(iommu->mode->name, MODE_VFIO_TYPE1V2_IOMMU) ||
	       !strcmp(iommu->mode->name, MODE_VFIO_TYPE1_IOMMU);
}

TEST_F(bypass, type1_maps_only_mappable_pages_for_dma)
{
	u8 *base = self->device->bars[0].vaddr;
	struct dma_region region = {
		.iova = SZ_4M,
	};
	u64 page, nr;
	bool mapped;

	for (page = 0; page < NR_PAGES; page++) {
		for (nr = 1; nr <= 3; nr++) {
			region.vaddr = base + page * PAGE;
			region.size = nr * PAGE;
			mapped = !__iommu_map(self->iommu, &region);
			ASSERT_EQ(maps_bars(self->iommu) && !pages_are_kept(page, nr),
				  mapped) {
				TH_LOG("%lu pages from page %lu", nr, page);
			}
			if (mapped)
				iommu_unmap(self->iommu, &region);
		}
	}
}

static void race_map(struct racer *r)
{
	struct bypass_data *self = r->data;
	u64 page = pick(r, NR_PAGES), nr = 1 + pick(r, 4);
	void *map = map_pages(self->fd, page, nr, PROT_READ, MAP_SHARED);

	if (is_mapped(map) == pages_are_kept(page, nr))
		r->failed = true;
	if (map != MAP_FAILED)
		munmap(map, nr * PAGE);
}

static void race_write(struct racer *r)
{
	struct bypass_data *self = r->data;
	u64 data[4] = {}, pos = pick(r, 16);

	if (pwrite(self->fd, data, 1 + pick(r, 24), pos) < 0 &&
	    errno != EIO)
		r->failed = true;
}

static void race_read(struct racer *r)
{
	struct bypass_data *self = r->data;
	u64 pos = pick(r, 16);
	u8 buf[24];

	if (pread(self->fd, buf, sizeof(buf), pos) == sizeof(buf) &&
	    memmem(buf, sizeof(buf), &self->secret, 4))
		r->failed = true;
}

static void race_decode(struct racer *r)
{
	struct bypass_data *self = r->data;
	u16 command = pick(r, 2) ? PCI_COMMAND_MEMORY : 0;

	if (pwrite(self->fd, &command, 2, region_offset(7) + PCI_COMMAND) != 2)
		r->failed = true;
}

static void race_export(struct racer *r)
{
	struct bypass_data *self = r->data;
	u64 page = pick(r, NR_PAGES);
	int fd = export_pages(self->fd, page, 1);

	if (fd >= 0 && page_is_kept(page))
		r->failed = true;
	if (fd >= 0)
		close(fd);
}

TEST_F_TIMEOUT(bypass, racing_accesses_do_not_reach_overridden_bytes, 120)
{
	static void (*const run[])(struct racer *) = {
		race_map, race_write, race_read, race_decode, race_export,
	};
	struct racer racers[ARRAY_SIZE(run)] = {};
	unsigned int seed = rand(), i;

	for (i = 0; i < ARRAY_SIZE(run); i++) {
		racers[i].run = run[i];
		racers[i].data = self;
	}
	race_for(racers, ARRAY_SIZE(run), seed, 2000);
	for (i = 0; i < ARRAY_SIZE(run); i++) {
		EXPECT_FALSE(racers[i].failed) {
			TH_LOG("racer %u of seed %u", i, seed);
		}
		EXPECT_LT(0, racers[i].rounds);
	}
}

int main(int argc, char *argv[])
{
	device_bdf = need_bdf(&argc, argv);
	need_edu(device_bdf);
	testdrv_begin();

	return test_harness_run(argc, argv);
}
