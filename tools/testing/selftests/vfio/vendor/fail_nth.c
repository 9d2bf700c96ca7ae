// SPDX-License-Identifier: GPL-2.0-only
/*
 * Fail each allocation in turn while a device with vendor drivers is bound,
 * opened, used and closed.  The next call without a failure must succeed.  Needs
 * CONFIG_FAULT_INJECTION and CONFIG_FAILSLAB.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "fail_nth_util.h"
#include "need.h"
#include "testdrv.h"

#include "kselftest_harness.h"

#define SETUP	"range 0 4 4; range 0 0x2ffc 8; over 7; range 7 0 4; add 0xffff 1 0x2000 7; over 2"
#define HIGH	"whole 6; size 0x1000; flags 1; range 0 4 8"

const char *device_bdf;

#define fail_nth_data _test_data_fail_nth

FIXTURE(fail_nth) {
	struct iommu *iommu;
	struct vfio_pci_device *group;
	int nth_fd;
};

FIXTURE_SETUP(fail_nth)
{
	self->nth_fd = nth_open(NTH_EXCLUDE_OPEN);
	testdrv_set("handler", "pass");
	testdrv_set("setup", SETUP);
	testdrv_set("setup_same", "");
	testdrv_set("setup_high", HIGH);
	self->iommu = iommu_init(MODE_VFIO_TYPE1V2_IOMMU);
	self->group = vfio_pci_device_alloc(device_bdf, self->iommu);
	vfio_pci_group_setup(self->group, device_bdf);
	vfio_container_set_iommu(self->group);
}

FIXTURE_TEARDOWN(fail_nth)
{
	close(self->group->group_fd);
	vfio_pci_device_free(self->group);
	iommu_cleanup(self->iommu);
	close(self->nth_fd);
}

static int open_device(struct fail_nth_data *self)
{
	return ioctl(self->group->group_fd, VFIO_GROUP_GET_DEVICE_FD, device_bdf);
}

static int all_info(int fd)
{
	static struct region_info info;
	struct vfio_pci_device device = { .fd = fd };
	int i, ret = 0;

	for (i = 0; i <= VFIO_PCI_NUM_REGIONS && !ret; i++) {
		ret = get_region_info(&device, i, &info);
		if (ret == EINVAL && i == VFIO_PCI_VGA_REGION_INDEX)
			ret = 0;
	}

	return ret ? -ret : 0;
}

static int map_one(int fd)
{
	u8 *map = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, PAGE);
	u8 *mem;

	if (map == MAP_FAILED)
		return -errno;
	munmap(map, PAGE);

	mem = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd,
		   region_offset(VFIO_PCI_NUM_REGIONS));
	if (mem == MAP_FAILED)
		return -errno;
	munmap(mem, PAGE);

	return 0;
}

static int read_all(int fd)
{
	static u8 buf[8192];

	if (pread(fd, buf, sizeof(buf), 0) < 0 ||
	    pread(fd, buf, 256, region_offset(7)) < 0 ||
	    pread(fd, buf, sizeof(buf), region_offset(VFIO_PCI_NUM_REGIONS)) < 0)
		return -errno;

	return 0;
}

static int write_eventfd(int fd)
{
	static unsigned int calls;
	struct vfio_device_ioeventfd arg = {
		.argsz = sizeof(arg),
		.flags = VFIO_DEVICE_IOEVENTFD_32,
		.offset = 0x10,
		/* Use a new value in each call: ioeventfds stay until close */
		.data = calls++,
		.fd = eventfd(0, 0),
	};
	int ret = 0;

	if (arg.fd < 0)
		return -errno;
	if (ioctl(fd, VFIO_DEVICE_IOEVENTFD, &arg))
		ret = -errno;
	close(arg.fd);

	return ret;
}

/* The page of an overridden range must not be mappable */
static bool is_overridden(int fd)
{
	return mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0) == MAP_FAILED;
}

TEST_F_TIMEOUT(fail_nth, open_fails_or_is_complete_if_an_allocation_fails, 900)
{
	int opens = testdrv_count("opens"), closes = testdrv_count("closes");
	unsigned int nth, failures = 0;
	bool failed;
	int fd;

	for (nth = 1; ; nth++) {
		nth_fail(self->nth_fd, nth);
		fd = open_device(self);
		failed = nth_has_failed(self->nth_fd);
		if (fd >= 0) {
			/* The allocation was optional: all overrides must be active */
			ASSERT_TRUE(is_overridden(fd));
			ASSERT_EQ(0, all_info(fd));
			ASSERT_EQ(0, close(fd));
		} else {
			failures++;
		}
		if (!failed)
			break;
	}
	ASSERT_GE(fd, 0);
	TH_LOG("%u allocations, %u of them required", nth - 1, failures);
	ASSERT_GE(failures, 6);
	ASSERT_EQ(testdrv_count("opens") - opens, testdrv_count("closes") - closes);
}

static const struct {
	const char *name;
	int (*run)(int fd);
} calls[] = {
	{ "region info", all_info },
	{ "mmap", map_one },
	{ "read", read_all },
	{ "ioeventfd", write_eventfd },
};

TEST_F_TIMEOUT(fail_nth, calls_fail_only_if_an_allocation_fails, 300)
{
	unsigned int nth, i;
	int fd, ret;

	fd = open_device(self);
	ASSERT_GE(fd, 0);
	for (i = 0; i < ARRAY_SIZE(calls); i++) {
		bool failed;

		nth = 0;
		do {
			nth_fail(self->nth_fd, ++nth);
			ret = calls[i].run(fd);
			failed = nth_has_failed(self->nth_fd);
			ASSERT_TRUE(!ret || failed) {
				TH_LOG("%s: %d", calls[i].name, ret);
			}
		} while (failed && nth < 1000);
		TH_LOG("%s: %u allocations", calls[i].name, nth - 1);
		ASSERT_LT(nth, 1000);
		ASSERT_TRUE(is_overridden(fd));
	}
	ASSERT_EQ(0, close(fd));
}

/* close() cannot report an error, but must close all vendor drivers */
TEST_F_TIMEOUT(fail_nth, close_is_complete_if_an_allocation_fails, 300)
{
	unsigned int nth;
	bool failed = true;
	int fd;

	for (nth = 1; failed; nth++) {
		fd = open_device(self);
		ASSERT_GE(fd, 0);
		nth_fail(self->nth_fd, nth);
		close(fd);
		failed = nth_has_failed(self->nth_fd);
	}
	ASSERT_EQ(testdrv_count("opens"), testdrv_count("closes"));
}

static int open_driver(const char *what)
{
	char path[PATH_MAX];
	int fd;

	snprintf(path, sizeof(path), "/sys/bus/pci/drivers/vfio-pci/%s", what);
	fd = open(path, O_WRONLY);
	VFIO_ASSERT_GE(fd, 0, "%s: %m\n", path);

	return fd;
}

static int bind(int fd)
{
	return pwrite(fd, device_bdf, strlen(device_bdf), 0) < 0 ? -errno : 0;
}

FIXTURE(fail_nth_bind) {
	int bind_fd;
	int unbind_fd;
	int nth_fd;
};

FIXTURE_SETUP(fail_nth_bind)
{
	self->nth_fd = nth_open(NTH_EXCLUDE_BIND);
	self->bind_fd = open_driver("bind");
	self->unbind_fd = open_driver("unbind");
}

FIXTURE_TEARDOWN(fail_nth_bind)
{
	close(self->bind_fd);
	close(self->unbind_fd);
	close(self->nth_fd);
}

TEST_F_TIMEOUT(fail_nth_bind, bind_works_after_a_failed_allocation, 600)
{
	unsigned int nth, failures = 0;
	bool failed;
	int ret;

	for (nth = 1; ; nth++) {
		ASSERT_EQ(0, bind(self->unbind_fd));
		nth_fail(self->nth_fd, nth);
		ret = bind(self->bind_fd);
		failed = nth_has_failed(self->nth_fd);
		if (ret) {
			failures++;
			ASSERT_EQ(0, bind(self->bind_fd));
		}
		if (!failed)
			break;
	}
	TH_LOG("%u allocations, %u of them required", nth - 1, failures);
}

int main(int argc, char *argv[])
{
	device_bdf = need_bdf(&argc, argv);
	need_fail_nth();
	testdrv_begin();

	return test_harness_run(argc, argv);
}
