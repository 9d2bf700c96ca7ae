// SPDX-License-Identifier: GPL-2.0-only
/*
 * The core resumes a device in low power for each migration operation, and
 * suspends it afterwards.  The driver counts each operation on a suspended
 * device as a violation.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <sys/ioctl.h>

#include "migration.h"
#include "v1.h"

#include "kselftest_harness.h"

FIXTURE(power) {
	struct iommu *iommu;
	struct vfio_pci_device *device;
	struct region_info *info;
	int violations;
	int fd;
};

FIXTURE_SETUP(power)
{
	const struct abilities abilities = { .p2p = true, .precopy = 100, .log = true };

	migration_load(&abilities);
	self->violations = migration_count("violations");
	self->info = calloc_assert(1, sizeof(*self->info));
	self->iommu = iommu_init("iommufd");
	self->device = vfio_pci_device_init(device_bdf, self->iommu);
	self->fd = self->device->fd;
}

FIXTURE_TEARDOWN(power)
{
	vfio_pci_device_cleanup(self->device);
	iommu_cleanup(self->iommu);
	free(self->info);
	EXPECT_EQ(self->violations, migration_count("violations"));
}

/* Runtime power management suspends the device asynchronously */
static bool is_asleep(void)
{
	char status[32];
	FILE *file;
	int i;

	for (i = 0; i < 500; i++) {
		file = fopen(device_file(device_bdf, "power/runtime_status"), "r");
		VFIO_ASSERT_NOT_NULL(file);
		VFIO_ASSERT_NOT_NULL(fgets(status, sizeof(status), file));
		fclose(file);
		if (!strcmp(status, "suspended\n"))
			return true;
		usleep(10000);
	}

	return false;
}

static int sleep_from_now_on(int fd)
{
	return device_feature(fd, VFIO_DEVICE_FEATURE_SET |
			      VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY, NULL, 0);
}

/* The device is suspended before and after the call */
#define ASSERT_WAKES(_expected, _what) do {		\
	ASSERT_TRUE(is_asleep());			\
	ASSERT_EQ(_expected, _what);			\
	ASSERT_TRUE(is_asleep());			\
} while (0)

TEST_F_TIMEOUT(power, data_file_resumes_the_device, 60)
{
	struct vfio_precopy_info info = { .argsz = sizeof(info) };
	int fd = self->fd, data_fd, saves, loads, i;
	struct bytes bytes = {};
	u8 data[1000];
	ssize_t size;

	migration_set("size", "500");
	migration_set("part", "100");
	ASSERT_EQ(0, sleep_from_now_on(fd));
	ASSERT_WAKES(0, set_state(fd, STATE(PRE_COPY), &data_fd));
	ASSERT_WAKES(0, ioctl(data_fd, VFIO_MIG_GET_PRECOPY_INFO, &info));
	saves = migration_calls("precopy_save");
	ASSERT_TRUE(is_asleep());
	size = read(data_fd, data, sizeof(data));
	ASSERT_LT(0, size);
	ASSERT_LT(saves, migration_calls("precopy_save"));
	bytes.data = calloc_assert(1, 1 << 20);
	bytes.room = 1 << 20;
	memcpy(bytes.data, data, size);
	bytes.size = size;

	ASSERT_WAKES(0, set_state(fd, STATE(STOP_COPY), NULL));
	saves = migration_calls("save");
	for (i = 0; i < 20; i++) {
		ASSERT_TRUE(is_asleep());
		size = read(data_fd, bytes.data + bytes.size, 100);
		ASSERT_LE(0, size);
		bytes.size += size;
	}
	ASSERT_EQ(0, size);
	ASSERT_LE(saves + 5, migration_calls("save"));
	ASSERT_EQ(0, close(data_fd));
	ASSERT_WAKES(0, set_state(fd, STATE(RUNNING), NULL));

	ASSERT_WAKES(0, set_state(fd, STATE(RESUMING), &data_fd));
	loads = migration_calls("load");
	ASSERT_WAKES((ssize_t)bytes.size, write(data_fd, bytes.data, bytes.size));
	ASSERT_EQ(loads + 5, migration_calls("load"));
	ASSERT_WAKES(0, set_state(fd, STATE(STOP), NULL));
	ASSERT_EQ(0, close(data_fd));
	ASSERT_WAKES(0, set_state(fd, STATE(RUNNING), NULL));
	ASSERT_LT(0, migration_calls("load_done"));
	free_bytes(&bytes);
}

/* Request data; return its offset */
static u64 get_data(int fd, u64 offset, u64 *size)
{
	u64 at;

	get(fd, offset + PENDING_BYTES);
	at = get(fd, offset + DATA_OFFSET);
	*size = get(fd, offset + DATA_SIZE);

	return at;
}

TEST_F_TIMEOUT(power, region_resumes_the_device, 60)
{
	u64 offset = find_region(self->device, self->info);
	int fd = self->fd, saves;
	u64 size;

	ASSERT_EQ(0, sleep_from_now_on(fd));
	ASSERT_WAKES(0, put_state(fd, offset, SAVING | RUNNING));
	saves = migration_calls("precopy_save");
	/* The first data is the header */
	ASSERT_WAKES(PAGE, get_data(fd, offset, &size));
	ASSERT_WAKES(PAGE, get_data(fd, offset, &size));
	ASSERT_LT(saves, migration_calls("precopy_save"));
	ASSERT_WAKES(0, put_state(fd, offset, SAVING));
	saves = migration_calls("save");
	do {
		ASSERT_WAKES(PAGE, get_data(fd, offset, &size));
	} while (size);
	ASSERT_LT(saves, migration_calls("save"));
	ASSERT_WAKES(0, put_state(fd, offset, RUNNING));
}

/* The core resumes the device before it ends the session at close */
TEST_F_TIMEOUT(power, close_resumes_the_device, 60)
{
	int data_fd, ends = migration_calls("end");

	ASSERT_EQ(0, sleep_from_now_on(self->fd));
	ASSERT_EQ(0, set_state(self->fd, STATE(PRE_COPY), &data_fd));
	ASSERT_TRUE(is_asleep());
	ASSERT_EQ(0, close(data_fd));
	vfio_pci_device_cleanup(self->device);
	ASSERT_EQ(ends + 1, migration_calls("end"));
	self->device = vfio_pci_device_init(device_bdf, self->iommu);
}

int main(int argc, char *argv[])
{
	migration_begin(&argc, argv, 1, "one device");

	return test_harness_run(argc, argv);
}
