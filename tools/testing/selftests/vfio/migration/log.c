// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests of DMA logging: VFIO_DEVICE_FEATURE_DMA_LOGGING_START, _REPORT and
 * _STOP.  The tests make the driver report writes, and compare the log with
 * these writes.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <sys/ioctl.h>
#include <sys/mman.h>

#include <linux/compiler.h>
#include <linux/sizes.h>

#include "migration.h"

#include "kselftest_harness.h"

FIXTURE(log) {
	struct iommu *iommu;
	struct vfio_pci_device *device;
	int violations;
	int fd;
};

#define log_data _test_data_log

FIXTURE_VARIANT(log) {
	const char *iommu_mode;
};

#define FIXTURE_VARIANT_ADD_IOMMU_MODE(mode) FIXTURE_VARIANT_IOMMU_MODE(log, mode)

FIXTURE_VARIANT_ADD_ALL_IOMMU_MODES();

FIXTURE_SETUP(log)
{
	const struct abilities abilities = { .log = true };

	migration_load(&abilities);
	self->violations = migration_count("violations");
	self->iommu = iommu_init(variant->iommu_mode);
	self->device = vfio_pci_device_init(device_bdf, self->iommu);
	self->fd = self->device->fd;
}

FIXTURE_TEARDOWN(log)
{
	migration_defaults();
	vfio_pci_device_cleanup(self->device);
	iommu_cleanup(self->iommu);
	EXPECT_EQ(self->violations, migration_count("violations"));
}

static int start_ranges(int fd, u64 *page_size, const void *ranges, u32 nr)
{
	struct vfio_device_feature_dma_logging_control control = {
		.page_size = *page_size, .num_ranges = nr, .ranges = (uintptr_t)ranges,
	};
	int ret;

	ret = device_feature(fd, VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_DMA_LOGGING_START,
			     &control, sizeof(control));
	*page_size = control.page_size;

	return ret;
}

static int start(int fd, u64 iova, u64 length)
{
	struct vfio_device_feature_dma_logging_range range = { .iova = iova, .length = length };
	u64 page_size = PAGE;

	return start_ranges(fd, &page_size, &range, 1);
}

static int stop(int fd)
{
	return device_feature(fd, VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP,
			      NULL, 0);
}

static int report(int fd, u64 iova, u64 length, u64 page_size, u64 *bitmap)
{
	struct vfio_device_feature_dma_logging_report report = {
		.iova = iova, .length = length, .page_size = page_size,
		.bitmap = (uintptr_t)bitmap,
	};

	return device_feature(fd, VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT,
			      &report, sizeof(report));
}

static void mark(u64 iova, u64 length)
{
	migration_set("mark_dirty", "%#llx %#llx", (unsigned long long)iova,
		      (unsigned long long)length);
}

/* Return the reported pages as bits; check that the words around them do not change */
static u64 pages(int fd, u64 iova, u64 nr)
{
	u64 bitmap[3] = { 0x1234567890abcdef, 0, 0x1234567890abcdef };
	int ret = report(fd, iova, nr * PAGE, PAGE, bitmap + 1);

	VFIO_ASSERT_EQ(ret, 0);
	VFIO_ASSERT_EQ(bitmap[0], 0x1234567890abcdef);
	VFIO_ASSERT_EQ(bitmap[2], 0x1234567890abcdef);

	return bitmap[1];
}

/* Valid and invalid arguments */
TEST_F_TIMEOUT(log, invalid_ranges_are_refused, 120)
{
	static const u64 bad_sizes[] = { 0, 3, 4095, 4097, 12288, ~0ULL, (1ULL << 40) + 1 };
	struct vfio_device_feature_dma_logging_range ranges[257] = {
		{ .iova = 0, .length = SZ_1M }, { .iova = SZ_1M, .length = SZ_1M },
	};
	int starts = migration_calls("log_start"), stops = migration_calls("log_stop");
	int syncs = migration_calls("log_sync"), i;
	u64 bitmap[64] = {}, page_size;

	/* Logging is off */
	ASSERT_EQ(EINVAL, report(self->fd, 0, SZ_1M, PAGE, bitmap));
	ASSERT_EQ(0, stop(self->fd));
	ASSERT_EQ(stops, migration_calls("log_stop"));
	ASSERT_EQ(syncs, migration_calls("log_sync"));

	for (i = 0; i < ARRAY_SIZE(bad_sizes); i++) {
		page_size = bad_sizes[i];
		ASSERT_EQ(EINVAL, start_ranges(self->fd, &page_size, ranges, 1));
		ASSERT_FALSE(migration_view(device_bdf).logging);
	}
	page_size = PAGE;
	ASSERT_EQ(EINVAL, start_ranges(self->fd, &page_size, ranges, 0));
	ASSERT_EQ(E2BIG, start_ranges(self->fd, &page_size, ranges, 257));
	ASSERT_EQ(EFAULT, start_ranges(self->fd, &page_size, NULL, 1));
	/* Ranges that overlap, are not aligned to pages, or are too large */
	ranges[1].iova = SZ_1M - PAGE;
	ASSERT_EQ(EINVAL, start_ranges(self->fd, &page_size, ranges, 2));
	ranges[1].iova = SZ_1M + 1;
	ASSERT_EQ(EINVAL, start_ranges(self->fd, &page_size, ranges, 2));
	ranges[1].iova = -(u64)SZ_1M;
	ranges[1].length = SZ_2M;
	ASSERT_EQ(EOVERFLOW, start_ranges(self->fd, &page_size, ranges, 2));
	ASSERT_EQ(starts, migration_calls("log_start"));

	/* The kernel returns its own page size for any requested size */
	for (page_size = 1; page_size <= SZ_1G; page_size = i * 2) {
		i = page_size;
		ranges[0].iova = 0;
		ranges[0].length = SZ_2G;
		ASSERT_EQ(0, start_ranges(self->fd, &page_size, ranges, 1));
		ASSERT_EQ(PAGE, page_size);
		ASSERT_TRUE(migration_view(device_bdf).logging);
		ASSERT_EQ(EBUSY, start_ranges(self->fd, &page_size, ranges, 1));
		ASSERT_TRUE(migration_view(device_bdf).logging);
		ASSERT_EQ(0, stop(self->fd));
		ASSERT_FALSE(migration_view(device_bdf).logging);
		if (i == SZ_1G)
			break;
	}

	/* The maximum number of ranges */
	for (i = 0; i < 256; i++) {
		ranges[i].iova = i * SZ_2M;
		ranges[i].length = PAGE;
	}
	page_size = PAGE;
	ASSERT_EQ(0, start_ranges(self->fd, &page_size, ranges, 256));
	mark(0, SZ_1G);
	for (i = 0; i < 256; i++)
		ASSERT_EQ(1, pages(self->fd, i * SZ_2M, 64));
	ASSERT_EQ(0, pages(self->fd, 256 * SZ_2M, 64));

	/* Invalid page sizes and ranges of a report */
	ASSERT_EQ(EINVAL, report(self->fd, 0, SZ_1M, PAGE / 2, bitmap));
	ASSERT_EQ(EINVAL, report(self->fd, 0, SZ_1M, 3 * PAGE, bitmap));
	ASSERT_EQ(EINVAL, report(self->fd, 0, SZ_1M, 0, bitmap));
	ASSERT_EQ(EOVERFLOW, report(self->fd, -(u64)PAGE, SZ_1M, PAGE, bitmap));
	ASSERT_EQ(EOVERFLOW, report(self->fd, PAGE, -(u64)PAGE, PAGE, bitmap));

	/* Closing the device stops logging */
	vfio_pci_device_cleanup(self->device);
	self->device = vfio_pci_device_init(device_bdf, self->iommu);
	self->fd = self->device->fd;
	ASSERT_FALSE(migration_view(device_bdf).logging);
	ASSERT_EQ(migration_calls("log_start") - starts, migration_calls("log_stop") - stops);
	ASSERT_EQ(EINVAL, report(self->fd, 0, SZ_1M, PAGE, bitmap));
}

/* Writes inside and outside of the logged range */
TEST_F_TIMEOUT(log, written_pages_are_reported_once, 120)
{
	const u64 at = 0x100000;
	u64 i;

	/* Writes before the start of logging do not count */
	mark(at, SZ_1M);
	ASSERT_EQ(0, start(self->fd, at, 16 * PAGE));
	ASSERT_EQ(0, pages(self->fd, at - 16 * PAGE, 64));

	/* The first and last byte of each page; each page is reported once */
	for (i = 0; i < 16; i++) {
		mark(at + i * PAGE, 1);
		ASSERT_EQ(1ULL << (i + 16), pages(self->fd, at - 16 * PAGE, 64));
		ASSERT_EQ(0, pages(self->fd, at - 16 * PAGE, 64));
		mark(at + i * PAGE + PAGE - 1, 1);
		mark(at + i * PAGE + PAGE - 1, 1);
		ASSERT_EQ(1ULL << i, pages(self->fd, at, 64));
		ASSERT_EQ(0, pages(self->fd, at, 64));
	}

	/* A write to two pages, and an empty write */
	mark(at + PAGE - 1, 2);
	mark(at + 5 * PAGE, 0);
	ASSERT_EQ(3, pages(self->fd, at, 64));

	/* Writes next to the range and across its ends */
	mark(at - PAGE, PAGE);
	mark(at + 16 * PAGE, PAGE);
	ASSERT_EQ(0, pages(self->fd, at - 16 * PAGE, 64));
	mark(at - PAGE, PAGE + 1);
	mark(at + 16 * PAGE - 1, 100 * PAGE);
	ASSERT_EQ(0x8001ULL << 16, pages(self->fd, at - 16 * PAGE, 64));
	mark(0, ~0ULL);
	ASSERT_EQ(0xffffULL << 16, pages(self->fd, at - 16 * PAGE, 64));
	mark(~0ULL, ~0ULL);
	mark(at, ~0ULL);
	ASSERT_EQ(0xffffULL << 16, pages(self->fd, at - 16 * PAGE, 64));

	/* A report leaves the other pages in the log */
	mark(at, 16 * PAGE);
	ASSERT_EQ(0xf, pages(self->fd, at + 4 * PAGE, 4));
	ASSERT_EQ(0xff0f, pages(self->fd, at, 64));

	/* Stopping discards the log */
	mark(at, 16 * PAGE);
	ASSERT_EQ(0, stop(self->fd));
	ASSERT_EQ(0, start(self->fd, at, 16 * PAGE));
	ASSERT_EQ(0, pages(self->fd, at, 64));
}

/* A report only sets bits, and only in the requested range */
TEST_F_TIMEOUT(log, report_sets_only_requested_bits, 120)
{
	u64 bitmap[4] = { 0xf0, 0, 0x8000000000000000 };
	u64 i;

	ASSERT_EQ(0, start(self->fd, 0, SZ_1G));
	mark(0, PAGE);
	mark(130 * PAGE, PAGE);
	ASSERT_EQ(0, report(self->fd, 0, 192 * PAGE, PAGE, bitmap));
	ASSERT_EQ(0xf1, bitmap[0]);
	ASSERT_EQ(0, bitmap[1]);
	ASSERT_EQ(0x8000000000000004, bitmap[2]);

	/* A bit for larger pages is set if one of their pages is dirty */
	memset(bitmap, 0, sizeof(bitmap));
	mark(15 * PAGE, PAGE);
	mark(16 * PAGE, PAGE);
	mark(17 * PAGE, PAGE);
	mark(SZ_1M + PAGE, PAGE);
	ASSERT_EQ(0, report(self->fd, 0, SZ_2M, SZ_64K, bitmap));
	ASSERT_EQ(0x10003, bitmap[0]);
	ASSERT_EQ(0, bitmap[1]);

	/* Ranges that start and end inside of pages */
	for (i = 1; i < PAGE; i += 1023) {
		u64 length = 8 * PAGE - 2 * i;

		memset(bitmap, 0, sizeof(bitmap));
		mark(0, 32 * PAGE);
		ASSERT_EQ(0, report(self->fd, 16 * PAGE + i, length, PAGE, bitmap));
		ASSERT_EQ((1ULL << (length + PAGE - 1) / PAGE) - 1, bitmap[0]) {
			TH_LOG("range starts %#lx bytes into the page", (long)i);
		}
		ASSERT_EQ(0, bitmap[1]);
		/* The partial pages at the ends stay dirty, the whole pages do not */
		bitmap[0] = pages(self->fd, 0, 64);
		ASSERT_EQ(0xffff, bitmap[0] & 0xffff);
		ASSERT_EQ(0, bitmap[0] & 0x7e0000);
	}

	/* Empty ranges */
	memset(bitmap, 0, sizeof(bitmap));
	mark(0, 32 * PAGE);
	ASSERT_EQ(EINVAL, report(self->fd, 0, 0, PAGE, bitmap));
	ASSERT_EQ(EINVAL, report(self->fd, PAGE, 0, PAGE, bitmap));
	for (i = 0; i < 4; i++)
		ASSERT_EQ(0, bitmap[i]);
	ASSERT_EQ(0xffffffff, pages(self->fd, 0, 64));
}

/* Random writes, compared with a bitmap, over many chunks of the log */
TEST_F_TIMEOUT(log, random_writes_match_a_bitmap, 120)
{
	const u64 nr = 40000, base = 0x123456000;
	u64 size = 8 * ((nr + 63) / 64), i, j, round;
	u64 *ours = calloc_assert(1, size), *theirs = calloc_assert(1, size + 8);

	srand(3);
	ASSERT_EQ(0, start(self->fd, base, nr * PAGE));
	for (round = 0; round < 20; round++) {
		for (i = 0; i < 50; i++) {
			u64 at = rand() % (nr * PAGE), length = rand() % (1 << rand() % 26);

			if (length > nr * PAGE - at)
				length = nr * PAGE - at;
			mark(base + at, length);
			for (j = at / PAGE; length && j <= (at + length - 1) / PAGE; j++)
				ours[j / 64] |= 1ULL << j % 64;
		}
		memset(theirs, 0, size);
		/* Parts that are not aligned to the chunks of the log */
		for (i = 0; i < nr; i += 64 * 37) {
			u64 part = nr - i < 64 * 37 ? nr - i : 64 * 37;

			ASSERT_EQ(0, report(self->fd, base + i * PAGE, part * PAGE, PAGE,
					    theirs + i / 64));
		}
		ASSERT_EQ(0, memcmp(ours, theirs, size));
		memset(ours, 0, size);
		memset(theirs, 0, size);
		ASSERT_EQ(0, report(self->fd, base, nr * PAGE, PAGE, theirs));
		ASSERT_EQ(0, memcmp(ours, theirs, size));
	}
	free(ours);
	free(theirs);
}

static u64 now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);

	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* The time of a report depends on the dirty pages, not on the range */
TEST_F_TIMEOUT(log, report_of_few_dirty_pages_is_fast, 120)
{
	const u64 length = 1ULL << 40, bits = length / PAGE;
	u64 *bitmap = mmap(NULL, bits / 8, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	u64 i, page, began, best = ~0ULL;

	ASSERT_NE(MAP_FAILED, bitmap);
	ASSERT_EQ(0, start(self->fd, 0, length));
	for (i = 0; i < 20; i++) {
		page = (i * 0x9e3779b97f4a7c15ULL) % bits;
		mark(page * PAGE, 1);
		began = now_ms();
		ASSERT_EQ(0, report(self->fd, 0, length, PAGE, bitmap));
		if (best > now_ms() - began)
			best = now_ms() - began;
		ASSERT_EQ(1ULL << page % 64, bitmap[page / 64]);
		bitmap[page / 64] = 0;
	}
	/* The best of all rounds, because other tasks may be running */
	ASSERT_GT(50, best);
	/* The report did not touch the bits of clean pages */
	for (i = 0; i < bits / 64; i += 9999 * 512)
		ASSERT_EQ(0, bitmap[i]);
	munmap(bitmap, bits / 8);
}

TEST_F_TIMEOUT(log, log_sync_is_called_before_a_report, 120)
{
	static const int errors[] = { -EIO, -ENODEV, 1, 4096, -4096 };
	u64 bitmap[1] = {};
	int i;

	ASSERT_EQ(0, start(self->fd, 0, SZ_1M));
	migration_set("sync_iova", "%lu", 3 * PAGE);
	migration_set("sync_length", "%lu", 2 * PAGE);
	ASSERT_EQ(0x18, pages(self->fd, 0, 64));
	ASSERT_EQ(0x18, pages(self->fd, 0, 64));
	migration_set("sync_length", "0");
	ASSERT_EQ(0, pages(self->fd, 0, 64));

	for (i = 0; i < ARRAY_SIZE(errors); i++) {
		int error = errors[i], expected = error < 0 && error >= -4095 ? -error : EIO;

		mark(0, PAGE);
		migration_fail("log_sync", error, 0);
		ASSERT_EQ(expected, report(self->fd, 0, SZ_1M, PAGE, bitmap));
		migration_fail("none", 0, 0);
		ASSERT_EQ(1, pages(self->fd, 0, 64));

		ASSERT_EQ(0, stop(self->fd));
		migration_fail("log_start", error, 0);
		ASSERT_EQ(expected, start(self->fd, 0, SZ_1M));
		ASSERT_EQ(EINVAL, report(self->fd, 0, SZ_1M, PAGE, bitmap));
		migration_fail("none", 0, 0);
		ASSERT_EQ(0, start(self->fd, 0, SZ_1M));
	}

	/* Logging is independent of the device state */
	mark(0, PAGE);
	ASSERT_EQ(0, set_state(self->fd, STATE(STOP_COPY), NULL));
	ASSERT_EQ(1, pages(self->fd, 0, 64));
}

/* After a reset, logging continues, and all pages are dirty once */
TEST_F_TIMEOUT(log, reset_restarts_logging, 120)
{
	int restarts = migration_calls("log_restart");
	u64 bitmap[1] = {};

	ASSERT_EQ(0, start(self->fd, 0, 32 * PAGE));
	mark(0, PAGE);
	ASSERT_EQ(1, pages(self->fd, 0, 64));
	vfio_pci_device_reset(self->device);
	ASSERT_EQ(restarts, migration_calls("log_restart"));

	migration_fail("log_restart", -EIO, 0);
	ASSERT_EQ(EIO, report(self->fd, 0, 64 * PAGE, PAGE, bitmap));
	migration_fail("none", 0, 0);
	mark(0, PAGE);
	/* Each part of the log, even if userspace reads it later */
	ASSERT_EQ(0xffff, pages(self->fd, 0, 16));
	ASSERT_EQ(restarts + 2, migration_calls("log_restart"));
	mark(PAGE, PAGE);
	ASSERT_EQ(2, pages(self->fd, 0, 16));
	ASSERT_EQ(0xffff0000, pages(self->fd, 0, 64));
	ASSERT_EQ(0, pages(self->fd, 0, 64));
	ASSERT_EQ(restarts + 2, migration_calls("log_restart"));
}

int main(int argc, char *argv[])
{
	migration_begin(&argc, argv, 1, "one device");

	return test_harness_run(argc, argv);
}
