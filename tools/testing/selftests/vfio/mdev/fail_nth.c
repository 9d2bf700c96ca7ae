// SPDX-License-Identifier: GPL-2.0-only
/*
 * Fail each allocation in turn while a device is bound to vfio-mdev-pci, and
 * while a mediated device is created, opened and removed.  A failure must leave
 * nothing behind, and a retry without failures must succeed.  Needs
 * CONFIG_FAULT_INJECTION and CONFIG_FAILSLAB.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include <sys/ioctl.h>

#include "mdev.h"
#include "../vendor/fail_nth_util.h"
#include "../vendor/need.h"
#include "../vendor/testdrv.h"

#include "kselftest_harness.h"

FIXTURE(fail_nth) {
	struct iommu *iommu;
	int create_fd;
	int bind_fd;
	int unbind_fd;
	int nth_fd;
};

static int open_file(const char *path)
{
	int fd = open(path, O_WRONLY);

	VFIO_ASSERT_GE(fd, 0, "%s: %m\n", path);

	return fd;
}

/* Write to an open file, so that only the write can fail */
static int put(int fd, const char *text)
{
	return pwrite(fd, text, strlen(text), 0) < 0 ? -errno : 0;
}

FIXTURE_SETUP(fail_nth)
{
	mdev_bind(device_bdf, MDEV_DRIVER);
	self->nth_fd = nth_open(NTH_EXCLUDE_BIND);
	self->iommu = iommu_init(MODE_IOMMUFD);
	self->bind_fd = open_file(MDEV_DRIVERS "bind");
	self->unbind_fd = open_file(MDEV_DRIVERS "unbind");
	self->create_fd = open_file(device_file(device_bdf, MDEV_TYPE "create"));
}

FIXTURE_TEARDOWN(fail_nth)
{
	close(self->create_fd);
	close(self->bind_fd);
	close(self->unbind_fd);
	iommu_cleanup(self->iommu);
	close(self->nth_fd);
}

TEST_F_TIMEOUT(fail_nth, failed_create_leaves_nothing_behind, 600)
{
	unsigned int nth, failures = 0;
	bool failed;
	int ret;

	for (nth = 1; ; nth++) {
		nth_fail(self->nth_fd, nth);
		ret = put(self->create_fd, UUID);
		failed = nth_has_failed(self->nth_fd);
		if (ret) {
			failures++;
			/* The fault injection also fails the copy from userspace */
			ASSERT_TRUE(ret == -ENOMEM || ret == -EFAULT) {
				TH_LOG("%d", ret);
			}
			ASSERT_FALSE(mdev_exists(UUID));
			ASSERT_EQ(1, mdev_available(device_bdf));
			ASSERT_EQ(0, put(self->create_fd, UUID));
		}
		ASSERT_EQ(0, access(mdev_file(UUID, "vfio-dev"), F_OK));
		ASSERT_EQ(0, mdev_try_remove(UUID));
		if (!failed)
			break;
	}
	TH_LOG("create: %u allocations, %u of them required", nth - 1, failures);
	ASSERT_GT(failures, 10);
}

/* Check that the open device is complete */
static bool is_complete(int fd)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };
	u16 ids[2];

	return !ioctl(fd, VFIO_DEVICE_GET_INFO, &info) &&
	       info.num_regions == VFIO_PCI_NUM_REGIONS && info.num_irqs == VFIO_PCI_NUM_IRQS &&
	       pread(fd, ids, 4, region_offset(VFIO_PCI_CONFIG_REGION_INDEX)) == 4 &&
	       ids[0] == 0x1234 && ids[1] == 0x11e8;
}

/* Bind a device file that was just opened */
TEST_F_TIMEOUT(fail_nth, failed_open_can_be_repeated, 600)
{
	unsigned int nth, failures = 0;
	bool failed;
	int ret;

	mdev_create(device_bdf, UUID);
	for (nth = 1; ; nth++) {
		struct vfio_pci_device device = { .iommu = self->iommu };

		vfio_pci_cdev_open(&device, device_bdf);
		nth_fail(self->nth_fd, nth);
		ret = __vfio_device_bind_iommufd(device.fd, self->iommu->iommufd, NULL);
		failed = nth_has_failed(self->nth_fd);
		if (ret) {
			failures++;
			/* The fault injection also fails copies from and to userspace */
			ASSERT_TRUE(ret == -ENOMEM || ret == -EFAULT) {
				TH_LOG("errno %d for allocation %u", ret, nth);
			}
		} else {
			ASSERT_TRUE(is_complete(device.fd)) {
				TH_LOG("incomplete device after a failure of allocation %u", nth);
			}
		}
		close(device.fd);
		if (!failed)
			break;
	}
	ASSERT_EQ(0, ret);
	TH_LOG("open: %u allocations, %u of them required", nth - 1, failures);
	/* About ten; caches may serve some allocations */
	ASSERT_GT(failures, 5);
	ASSERT_EQ(0, mdev_try_remove(UUID));
}

/* Removal cannot report an error */
TEST_F_TIMEOUT(fail_nth, removal_survives_failed_allocations, 600)
{
	unsigned int nth;
	bool failed = true;
	int fd;

	for (nth = 1; failed; nth++) {
		mdev_create(device_bdf, UUID);
		fd = open_file(mdev_file(UUID, "remove"));
		nth_fail(self->nth_fd, nth);
		(void)!write(fd, "1", 1);
		failed = nth_has_failed(self->nth_fd);
		close(fd);
		if (mdev_exists(UUID))
			ASSERT_EQ(0, mdev_try_remove(UUID));
		ASSERT_EQ(1, mdev_available(device_bdf));
	}
}

TEST_F_TIMEOUT(fail_nth, failed_bind_leaves_nothing_behind, 600)
{
	unsigned int nth, failures = 0;
	bool failed;
	int ret;

	for (nth = 1; ; nth++) {
		ASSERT_EQ(0, put(self->unbind_fd, device_bdf));
		nth_fail(self->nth_fd, nth);
		ret = put(self->bind_fd, device_bdf);
		failed = nth_has_failed(self->nth_fd);
		if (ret) {
			failures++;
			ASSERT_EQ(-1, mdev_available(device_bdf));
			ASSERT_EQ(0, put(self->bind_fd, device_bdf));
		}
		ASSERT_EQ(1, mdev_available(device_bdf));
		if (!failed)
			break;
	}
	TH_LOG("bind: %u allocations, %u of them required", nth - 1, failures);
	ASSERT_GT(failures, 5);
}

int main(int argc, char *argv[])
{
	need_fail_nth();
	mdev_begin(&argc, argv, 1, "one device");
	need_edu(device_bdf);

	return test_harness_run(argc, argv);
}
