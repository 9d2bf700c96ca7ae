// SPDX-License-Identifier: GPL-2.0-only
/*
 * Fail each allocation in turn while a device is saved and loaded by both
 * protocols, and while its DMA is logged.  After each failure, a retry without
 * failures must succeed, and the log must still contain every written page.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/ioctl.h>
#include <sys/mman.h>

#include <linux/compiler.h>
#include <linux/sizes.h>

#include "migration.h"
#include "../vendor/fail_nth_util.h"
#include "../vendor/need.h"
#include "v1.h"

#include "kselftest_harness.h"

#define STATE_SIZE	300000

/* Static, so that the test itself does not allocate */
static u8 stream[2 * SZ_1M];
static size_t stream_size;
static struct region_info info;
/* Offset of the migration region */
static u64 region;

#define fail_nth_data _test_data_fail_nth

FIXTURE(fail_nth) {
	struct iommu *iommu;
	struct vfio_pci_device *device;
	int violations;
	int nth_fd;
};

FIXTURE_SETUP(fail_nth)
{
	const struct abilities abilities = { .p2p = true, .precopy = 5000, .log = true };

	migration_load(&abilities);
	migration_set("size", "%u", STATE_SIZE);
	self->violations = migration_count("violations");
	self->nth_fd = nth_open(NTH_EXCLUDE_OPEN);
	self->iommu = iommu_init(MODE_VFIO_TYPE1V2_IOMMU);
	self->device = vfio_pci_device_init(device_bdf, self->iommu);
	memset(stream, 1, sizeof(stream));
}

FIXTURE_TEARDOWN(fail_nth)
{
	migration_defaults();
	vfio_pci_device_cleanup(self->device);
	iommu_cleanup(self->iommu);
	close(self->nth_fd);
	EXPECT_EQ(self->violations, migration_count("violations"));
}

/* Open the device again, to free its allocations and its protocol */
static int open_again(struct fail_nth_data *self)
{
	vfio_pci_device_cleanup(self->device);
	self->device = vfio_pci_device_init(device_bdf, self->iommu);

	return 0;
}

static int run(struct fail_nth_data *self)
{
	return set_state(self->device->fd, STATE(RUNNING), NULL);
}

/* Append all available data to the stream; return 0 or an errno */
static int read_file(int fd)
{
	ssize_t ret;

	while ((ret = read(fd, stream + stream_size, sizeof(stream) - stream_size)) > 0)
		stream_size += ret;

	return ret && errno != ENOMSG ? errno : 0;
}

static int save(struct fail_nth_data *self)
{
	int fd = -1, ret;

	stream_size = 0;
	ret = set_state(self->device->fd, STATE(PRE_COPY), &fd);
	if (!ret)
		ret = read_file(fd);
	if (!ret)
		ret = set_state(self->device->fd, STATE(STOP_COPY), NULL);
	if (!ret)
		ret = read_file(fd);
	if (!ret)
		ret = run(self);
	if (fd >= 0)
		close(fd);

	return ret;
}

static int load(struct fail_nth_data *self)
{
	int fd = -1, ret;

	ret = set_state(self->device->fd, STATE(RESUMING), &fd);
	if (!ret && write(fd, stream, stream_size) != (ssize_t)stream_size)
		ret = errno;
	if (!ret)
		ret = run(self);
	if (fd >= 0)
		close(fd);

	return ret;
}

static int v1_run(struct fail_nth_data *self)
{
	return put_state(self->device->fd, region, RUNNING);
}

static int v1_read_data(int fd)
{
	u64 pending, offset, size;
	int ret;

	for (;;) {
		ret = try_get(fd, region + PENDING_BYTES, &pending);
		if (ret || !pending)
			return ret;
		ret = try_get(fd, region + DATA_OFFSET, &offset) ?:
		      try_get(fd, region + DATA_SIZE, &size);
		if (ret)
			return ret;
		if (pread(fd, stream + stream_size, size, region + offset) != (ssize_t)size)
			return errno;
		stream_size += size;
	}
}

static int v1_save(struct fail_nth_data *self)
{
	int fd = self->device->fd;

	stream_size = 0;

	return put_state(fd, region, RUNNING | SAVING) ?: v1_read_data(fd) ?:
	       put_state(fd, region, SAVING) ?: v1_read_data(fd) ?: v1_run(self);
}

static int v1_load(struct fail_nth_data *self)
{
	int fd = self->device->fd, ret;
	u64 at, size, offset;

	ret = put_state(fd, region, RESUMING) ?: try_get(fd, region + DATA_OFFSET, &offset);
	for (at = 0; at < stream_size && !ret; at += size) {
		size = min_t(u64, stream_size - at, SZ_64K);
		if (pwrite(fd, stream + at, size, region + offset) != (ssize_t)size)
			return errno;
		ret = put_data_size(fd, region, size);
	}

	return ret ?: v1_run(self);
}

static int v1_map(struct fail_nth_data *self)
{
	void *window = mmap(NULL, WINDOW, PROT_READ | PROT_WRITE, MAP_SHARED,
			    self->device->fd, region + PAGE);

	if (window == MAP_FAILED)
		return errno;
	munmap(window, WINDOW);

	return 0;
}

static const struct {
	const char *name;
	int (*run)(struct fail_nth_data *self);
	/* Run before the retry */
	int (*recover)(struct fail_nth_data *self);
	/* Minimum number of allocations whose failure fails the call */
	unsigned int needed;
} calls[] = {
	/* A load uses the stream of the save before it */
	{ "save by features", save, run, 2 },
	{ "load by features", load, open_again, 2 },
	{ "save by the region", v1_save, v1_run, 1 },
	{ "load by the region", v1_load, open_again, 2 },
	{ "map the region", v1_map, v1_run, 1 },
};

TEST_F_TIMEOUT(fail_nth, retry_succeeds_after_a_failed_allocation, 600)
{
	unsigned int i, nth, failures;
	bool failed;
	int ret;

	region = find_region(self->device, &info);
	for (i = 0; i < ARRAY_SIZE(calls); i++) {
		nth = 0;
		failures = 0;
		do {
			open_again(self);
			nth_fail(self->nth_fd, ++nth);
			ret = calls[i].run(self);
			failed = nth_has_failed(self->nth_fd);
			ASSERT_TRUE(!ret || failed) {
				TH_LOG("%s: %d", calls[i].name, ret);
			}
			if (!ret)
				continue;
			failures++;
			/* The fault injection also fails copies from and to userspace */
			ASSERT_TRUE(ret == ENOMEM || ret == EFAULT) {
				TH_LOG("%s: %d", calls[i].name, ret);
			}
			ASSERT_EQ(0, calls[i].recover(self));
			ASSERT_EQ(0, calls[i].run(self));
		} while (failed && nth < 1000);
		TH_LOG("%s: %u allocations, %u of them required", calls[i].name, nth - 1,
		       failures);
		ASSERT_LT(nth, 1000);
		ASSERT_GE(failures, calls[i].needed);
	}
}

static int log_control(int fd, u32 op, void *data, size_t size)
{
	return device_feature(fd, VFIO_DEVICE_FEATURE_SET | op, data, size);
}

/* Start the log, report a write of one page, and read the log */
static int log_writes(int fd, u64 *dirty)
{
	struct vfio_device_feature_dma_logging_range range = { .length = SZ_1G };
	struct vfio_device_feature_dma_logging_control control = {
		.page_size = PAGE, .num_ranges = 1, .ranges = (uintptr_t)&range,
	};
	struct vfio_device_feature_dma_logging_report report = {
		.length = PAGE * 64, .page_size = PAGE, .bitmap = (uintptr_t)dirty,
	};
	int ret;

	ret = log_control(fd, VFIO_DEVICE_FEATURE_DMA_LOGGING_START, &control, sizeof(control));
	if (ret)
		return ret;

	/* If this write fails, the driver reports nothing */
	ret = put_text("/sys/module/vfio_pci_testdrv_migration/parameters/mark_dirty",
		       "0x3000 0x1000");
	if (ret)
		return ret;

	return device_feature(fd, VFIO_DEVICE_FEATURE_GET |
			      VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT, &report, sizeof(report));
}

/*
 * Fail each allocation of log_writes() in turn.  Return the number of failures
 * that made clean pages dirty.
 */
static unsigned int fail_log_writes(struct __test_metadata *_metadata, struct fail_nth_data *self)
{
	unsigned int nth = 0, all = 0;
	static u64 dirty;
	bool failed;
	int ret;

	do {
		dirty = 0;
		nth_fail(self->nth_fd, ++nth);
		ret = log_writes(self->device->fd, &dirty);
		failed = nth_has_failed(self->nth_fd);
		ASSERT_TRUE(!ret || failed);
		if (!ret) {
			/* Without memory the log reports more pages, but never fewer */
			ASSERT_TRUE(dirty == 1 << 3 || (failed && dirty == ~0ULL)) {
				TH_LOG("%#llx", (unsigned long long)dirty);
			}
			all += dirty == ~0ULL;
		}
		ASSERT_EQ(0, log_control(self->device->fd, VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP,
					 NULL, 0));
	} while (failed && nth < 1000);
	TH_LOG("log: %u allocations, %u failures made all pages dirty", nth - 1, all);
	ASSERT_LT(nth, 1000);

	return all;
}

/*
 * The allocator itself sometimes allocates, which changes the order of allocations.
 * The failure may then miss the allocation of the log: try again.
 */
TEST_F_TIMEOUT(fail_nth, failed_allocation_loses_no_dirty_page, 300)
{
	unsigned int tries = 10, all = 0;

	while (!all && tries--)
		all = fail_log_writes(_metadata, self);
	ASSERT_GE(all, 1);
}

int main(int argc, char *argv[])
{
	need_fail_nth();
	migration_begin(&argc, argv, 1, "one device");

	return test_harness_run(argc, argv);
}
