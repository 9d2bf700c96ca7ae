// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests of the region of VFIO_REGION_TYPE_MIGRATION_DEPRECATED for migration
 * v1: its states, the handshake for data, accesses by read(), write() and
 * mmap(), and the selection of one protocol.
 */
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/ioctl.h>
#include <sys/mman.h>

#include <linux/compiler.h>
#include <linux/sizes.h>

#include "migration.h"
#include "v1.h"

#include "kselftest_harness.h"

FIXTURE(region) {
	struct iommu *iommu;
	struct vfio_pci_device *device;
	struct vfio_pci_device *other;
	struct region_info *info;
	u64 offset;
	int violations;
	int fd;
};

#define region_data _test_data_region

FIXTURE_VARIANT(region) {
	const char *iommu_mode;
};

#define FIXTURE_VARIANT_ADD_IOMMU_MODE(mode) FIXTURE_VARIANT_IOMMU_MODE(region, mode)

FIXTURE_VARIANT_ADD_ALL_IOMMU_MODES();

static void open_device(struct region_data *self)
{
	if (self->device)
		vfio_pci_device_cleanup(self->device);
	self->device = vfio_pci_device_init(device_bdf, self->iommu);
	self->fd = self->device->fd;
	self->offset = find_region(self->device, self->info);
}

static void open_with(struct region_data *self, u64 precopy)
{
	const struct abilities abilities = { .p2p = true, .precopy = precopy, .log = true };

	if (self->device)
		vfio_pci_device_cleanup(self->device);
	self->device = NULL;
	migration_load(&abilities);
	self->violations = migration_count("violations");
	open_device(self);
}

FIXTURE_SETUP(region)
{
	self->iommu = iommu_init(variant->iommu_mode);
	self->info = calloc_assert(1, sizeof(*self->info));
	open_with(self, 5000);
}

FIXTURE_TEARDOWN(region)
{
	migration_defaults();
	vfio_pci_device_cleanup(self->device);
	if (self->other)
		vfio_pci_device_cleanup(self->other);
	iommu_cleanup(self->iommu);
	free(self->info);
	EXPECT_EQ(self->violations, migration_count("violations"));
}

static void set_seed(const char *bdf, u64 seed)
{
	migration_set("seed", "%s %#llx", bdf, (unsigned long long)seed);
}

static u64 get_seed(const char *bdf)
{
	return migration_view(bdf).seed;
}

/* The first page cannot be mapped, the data window can */
TEST_F_TIMEOUT(region, region_info_describes_the_window, 120)
{
	const u32 flags = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE |
			  VFIO_REGION_INFO_FLAG_MMAP | VFIO_REGION_INFO_FLAG_CAPS;
	struct vfio_region_info_cap_sparse_mmap *sparse;
	u64 at, size;

	ASSERT_EQ(flags, self->info->info.flags);
	ASSERT_EQ(PAGE + WINDOW, self->info->info.size);
	sparse = (void *)find_cap(self->info, VFIO_REGION_INFO_CAP_SPARSE_MMAP);
	ASSERT_NE(NULL, sparse);
	ASSERT_EQ(1, sparse->nr_areas);
	ASSERT_EQ(PAGE, sparse->areas[0].offset);
	ASSERT_EQ(WINDOW, sparse->areas[0].size);
	/* The data is in the mappable area */
	ASSERT_EQ(0, put_state(self->fd, self->offset, SAVING));
	ASSERT_EQ(PAGE, get(self->fd, self->offset + DATA_OFFSET));

	for (at = 0; at <= 66; at++) {
		for (size = 1; size <= 66; size += 13) {
			void *map = mmap(NULL, size * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED,
					 self->fd, self->offset + at * PAGE);

			if (!at || at + size > 65) {
				ASSERT_EQ(MAP_FAILED, map);
				ASSERT_EQ(EINVAL, errno);
			} else {
				ASSERT_NE(MAP_FAILED, map);
				munmap(map, size * PAGE);
			}
		}
	}
}

/* Registers of a device that is not migrating */
TEST_F_TIMEOUT(region, idle_device_shows_its_registers, 120)
{
	u8 buf[80], whole[80];
	void *nowhere = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	u32 value = 0;
	int i, j;

	memset(whole, 0xaa, sizeof(whole));
	ASSERT_EQ(sizeof(whole), pread(self->fd, whole, sizeof(whole), self->offset));
	/* The rest of the page reads as 0 */
	for (i = 32; i < sizeof(whole); i++)
		ASSERT_EQ(0, whole[i]);
	for (i = 0; i < 32; i++) {
		for (j = 1; j <= 40; j++) {
			ASSERT_EQ(j, pread(self->fd, buf, j, self->offset + i));
			ASSERT_EQ(0, memcmp(buf, whole + i, j));
		}
	}
	ASSERT_EQ(RUNNING, state_of(self->fd, self->offset));
	ASSERT_EQ(0, get(self->fd, self->offset + PENDING_BYTES));
	ASSERT_EQ(PAGE, get(self->fd, self->offset + DATA_OFFSET));
	ASSERT_EQ(0, get(self->fd, self->offset + DATA_SIZE));

	buf[0] = 0xaa;
	ASSERT_EQ(1, pread(self->fd, buf, 1, self->offset + PAGE - 1));
	ASSERT_EQ(0, buf[0]);
	/* Writes to the rest fail, even if they continue into the window */
	ASSERT_EQ(-1, pwrite(self->fd, buf, 1, self->offset + 32));
	ASSERT_EQ(EINVAL, errno);
	ASSERT_EQ(-1, pwrite(self->fd, buf, 1, self->offset + PAGE - 1));
	ASSERT_EQ(EINVAL, errno);
	ASSERT_EQ(-1, pwrite(self->fd, buf, 64, self->offset + PAGE - 8));
	ASSERT_EQ(EINVAL, errno);
	ASSERT_EQ(-1, pread(self->fd, buf, 1, self->offset + PAGE + WINDOW));
	ASSERT_EQ(EINVAL, errno);
	ASSERT_EQ(1, pread(self->fd, buf, 64, self->offset + PAGE + WINDOW - 1));

	/* Userspace can only write whole registers, and only some of them */
	for (i = 0; i < 32; i++) {
		for (j = 1; j <= 8; j++) {
			bool ok = (!i && j == 4) || (i == 4 && j == 4) || (i == 24 && j == 8);

			memset(buf, 0, sizeof(buf));
			buf[0] = !i;
			/* A write of data_size fails, because the device is not in RESUMING */
			ASSERT_EQ(ok && i != 24 ? j : -1,
				  pwrite(self->fd, buf, j, self->offset + i)) {
				TH_LOG("%d bytes at %d", j, i);
			}
			if (!ok || i == 24)
				ASSERT_EQ(EINVAL, errno);
		}
	}
	ASSERT_EQ(-1, pread(self->fd, nowhere, 8, self->offset));
	ASSERT_EQ(EFAULT, errno);
	ASSERT_EQ(-1, pwrite(self->fd, nowhere, 4, self->offset));
	ASSERT_EQ(EFAULT, errno);
	ASSERT_EQ(4, pwrite(self->fd, &value, 4, self->offset));
	ASSERT_EQ(STOP, state_of(self->fd, self->offset));
}

static const char *level_of(u32 state)
{
	return state & RUNNING ? "running" : "stopped";
}

/* After a driver error, device_state shows the reached state */
TEST_F_TIMEOUT(region, driver_error_keeps_the_reached_state, 120)
{
	static const struct {
		const char *op;
		u32 from, to;
	} cases[] = {
		{ "quiesce", RUNNING, STOP }, { "stop", RUNNING, STOP },
		{ "stop", RUNNING, SAVING }, { "stop", RUNNING | SAVING, SAVING },
		{ "stop", RUNNING | SAVING, STOP }, { "quiesce", RUNNING | SAVING, SAVING },
		{ "quiesce", STOP, RUNNING }, { "quiesce", SAVING, RUNNING },
	};
	static const int returned[] = { -ETIMEDOUT, 4096 }, seen[] = { ETIMEDOUT, EIO };
	int i, k;

	for (k = 0; k < 2; k++) {
		open_with(self, k ? 5000 : 0);
		for (i = 0; i < ARRAY_SIZE(cases); i++) {
			u32 from = cases[i].from, state;

			ASSERT_EQ(0, put_state(self->fd, self->offset, from));
			migration_fail(cases[i].op, returned[i & 1], 0);
			ASSERT_EQ(seen[i & 1], put_state(self->fd, self->offset, cases[i].to));
			migration_fail("none", 0, 0);
			state = state_of(self->fd, self->offset);
			/* Pre-copy ends first, and then the device stops */
			if (from == (RUNNING | SAVING) && cases[i].to == STOP) {
				ASSERT_EQ(RUNNING, state & RUNNING);
			} else {
				ASSERT_EQ(from == SAVING ? STOP : from, state) {
					TH_LOG("case %d of %d", i, k);
				}
			}
			ASSERT_EQ(0, put_state(self->fd, self->offset, RUNNING));
		}
	}
}

/* Read all data by the handshake, from the mapping if there is one.  Return 0 or an errno. */
static int save(struct __test_metadata *_metadata, int fd, u64 offset, u8 *map,
		struct bytes *bytes)
{
	u64 at, size;
	int ret;

	while (get(fd, offset + PENDING_BYTES)) {
		ret = try_get(fd, offset + DATA_OFFSET, &at);
		if (ret)
			return ret;
		size = get(fd, offset + DATA_SIZE);
		ASSERT_GE(WINDOW, size);
		ASSERT_EQ(PAGE, at);
		/* Pending bytes mean that there is data */
		ASSERT_NE(0, size);
		if (bytes->room < bytes->size + size) {
			bytes->room = 2 * (bytes->room + size);
			bytes->data = realloc(bytes->data, bytes->room);
			ASSERT_NE(NULL, bytes->data);
		}
		if (map)
			memcpy(bytes->data + bytes->size, map + at - PAGE, size);
		else
			ASSERT_EQ(size, pread(fd, bytes->data + bytes->size, size, offset + at));
		/* Repeated reads of the registers have no effect */
		ASSERT_EQ(at, get(fd, offset + DATA_OFFSET));
		ASSERT_EQ(size, get(fd, offset + DATA_SIZE));
		ASSERT_EQ(size, get(fd, offset + DATA_SIZE));
		bytes->size += size;
	}

	return 0;
}

static int load(struct __test_metadata *_metadata, int fd, u64 offset, u8 *map,
		const struct bytes *bytes, size_t chunk)
{
	u64 at, size, done;
	int ret;

	for (done = 0; done < bytes->size; done += size) {
		size = bytes->size - done < chunk ? bytes->size - done : chunk;
		at = get(fd, offset + DATA_OFFSET);
		ASSERT_EQ(PAGE, at);
		if (map)
			memcpy(map, bytes->data + done, size);
		else
			ASSERT_EQ(size, pwrite(fd, bytes->data + done, size, offset + at));
		ret = put_data_size(fd, offset, size);
		if (ret)
			return ret;
	}

	return 0;
}

static void check_transfer(struct __test_metadata *_metadata, struct region_data *self,
			   u64 size, bool precopy, bool mapped, size_t chunk)
{
	/* A small state has no room for a large seed */
	u64 seed = size < sizeof(seed) ? 0x99 : 0x1234567890abcdefULL + size, other_offset;
	u8 *map = NULL, *other_map = NULL;
	int other_fd = self->other->fd;
	struct bytes bytes = {};

	other_offset = find_region(self->other, self->info);
	if (mapped) {
		map = map_data(self->fd, self->offset);
		other_map = map_data(other_fd, other_offset);
	}
	migration_set("size", "%llu", (unsigned long long)size);
	set_seed(migration_bdfs[0], seed);
	set_seed(migration_bdfs[1], 0);
	if (precopy) {
		ASSERT_EQ(0, put_state(self->fd, self->offset, RUNNING | SAVING));
		ASSERT_LT(5000, get(self->fd, self->offset + PENDING_BYTES));
		ASSERT_EQ(0, save(_metadata, self->fd, self->offset, map, &bytes));
		ASSERT_LT(5000, bytes.size);
	}
	ASSERT_EQ(0, put_state(self->fd, self->offset, SAVING));
	ASSERT_LT(size, get(self->fd, self->offset + PENDING_BYTES));
	ASSERT_EQ(0, save(_metadata, self->fd, self->offset, map, &bytes));
	ASSERT_LT(size, bytes.size);
	/* No more data */
	ASSERT_EQ(0, get(self->fd, self->offset + DATA_SIZE));
	ASSERT_EQ(0, put_state(self->fd, self->offset, STOP));
	ASSERT_EQ(0, get(self->fd, self->offset + PENDING_BYTES));

	ASSERT_EQ(0, put_state(other_fd, other_offset, RESUMING));
	ASSERT_EQ(0, load(_metadata, other_fd, other_offset, other_map, &bytes, chunk));
	ASSERT_EQ(size ? seed : 0, get_seed(migration_bdfs[1]));
	ASSERT_EQ(0, put_state(other_fd, other_offset, RUNNING));
	ASSERT_EQ(0, put_state(self->fd, self->offset, RUNNING));
	free_bytes(&bytes);
	if (mapped) {
		munmap(map, WINDOW);
		munmap(other_map, WINDOW);
	}
}

/* Copy the state to the other device */
TEST_F_TIMEOUT(region, state_moves_to_another_device, 120)
{
	static const u64 sizes[] = {
		0, 1, 100, SZ_64K, WINDOW - 16, WINDOW, WINDOW + 1, SZ_1M + 5,
	};
	static const size_t chunks[] = { WINDOW, SZ_64K, 4097 };
	int i, j;

	if (migration_nr_bdfs < 2)
		SKIP(return, "needs two devices with the same ids");
	self->other = vfio_pci_device_init(migration_bdfs[1], self->iommu);
	for (i = 0; i < ARRAY_SIZE(sizes); i++)
		for (j = 0; j < 12; j++)
			check_transfer(_metadata, self, sizes[i], j & 1, j & 2, chunks[j / 4]);
	check_transfer(_metadata, self, SZ_16M, true, true, WINDOW);
}

/* Each protocol can load the data of the other one */
TEST_F_TIMEOUT(region, protocols_share_the_stream_format, 120)
{
	struct bytes old = {}, new = {};

	migration_set("size", "%u", SZ_1M);
	set_seed(device_bdf, 0x31);
	ASSERT_EQ(0, put_state(self->fd, self->offset, SAVING));
	ASSERT_EQ(0, save(_metadata, self->fd, self->offset, NULL, &old));
	open_device(self);
	set_seed(device_bdf, 0);
	ASSERT_EQ(0, load_state(self->fd, &old));
	ASSERT_EQ(0x31, get_seed(device_bdf));

	set_seed(device_bdf, 0x32);
	save_state(self->fd, &new);
	open_device(self);
	set_seed(device_bdf, 0);
	ASSERT_EQ(0, put_state(self->fd, self->offset, RESUMING));
	ASSERT_EQ(0, load(_metadata, self->fd, self->offset, NULL, &new, SZ_64K));
	ASSERT_EQ(0, put_state(self->fd, self->offset, RUNNING));
	ASSERT_EQ(0x32, get_seed(device_bdf));
	free_bytes(&old);
	free_bytes(&new);
}

/* Change the state; in RESUMING, also load a state, so that the device can leave it */
static void change_state(struct __test_metadata *_metadata, struct region_data *self, u32 state,
			 const struct bytes *bytes)
{
	ASSERT_EQ(0, put_state(self->fd, self->offset, state));
	if (state == RESUMING)
		ASSERT_EQ(0, load(_metadata, self->fd, self->offset, NULL, bytes, SZ_64K));
}

/* Change from each state to each other state; an invalid state has no effect */
TEST_F_TIMEOUT(region, invalid_state_changes_are_refused, 120)
{
	static const u32 states[] = { STOP, RUNNING, SAVING, RUNNING | SAVING, RESUMING };
	static const u32 bad[] = {
		5, 6, 7, 8, 9, 10, 12, 15, 0x100, 0x101, 0x10002, 0x80000000, ~0U,
	};
	struct bytes bytes = {};
	int i, j, k;

	for (k = 0; k < 2; k++) {
		open_with(self, k ? 5000 : 0);
		bytes.size = 0;
		ASSERT_EQ(0, put_state(self->fd, self->offset, SAVING));
		ASSERT_EQ(0, save(_metadata, self->fd, self->offset, NULL, &bytes));
		for (i = 0; i < ARRAY_SIZE(states); i++) {
			change_state(_metadata, self, states[i], &bytes);
			for (j = 0; j < ARRAY_SIZE(bad); j++) {
				ASSERT_EQ(EINVAL, put_state(self->fd, self->offset, bad[j]));
				ASSERT_EQ(states[i], state_of(self->fd, self->offset));
			}
			for (j = 0; j < ARRAY_SIZE(states); j++) {
				/* A device in SAVING cannot return to RUNNING | SAVING */
				bool back = states[i] == SAVING && states[j] == (RUNNING | SAVING);
				u32 left = back ? states[i] : states[j];

				change_state(_metadata, self, RUNNING, &bytes);
				change_state(_metadata, self, states[i], &bytes);
				if (back) {
					ASSERT_EQ(EINVAL, put_state(self->fd, self->offset,
								    states[j]));
				} else if (i != j) {
					change_state(_metadata, self, states[j], &bytes);
				}
				ASSERT_EQ(left, state_of(self->fd, self->offset));
				ASSERT_STREQ(level_of(left), migration_view(device_bdf).level);
				ASSERT_EQ(0, put_state(self->fd, self->offset, RUNNING));
				ASSERT_FALSE(migration_view(device_bdf).in_session);
			}
		}
	}
	free_bytes(&bytes);
}

TEST_F_TIMEOUT(region, mapping_stays_valid_in_all_states, 120)
{
	u8 *map = map_data(self->fd, self->offset), *again;
	struct bytes bytes = {};
	u8 byte = 0;
	int i;

	/* The window starts zeroed */
	for (i = 0; i < WINDOW; i++)
		ASSERT_EQ(0, map[i]);
	for (i = 0; i < 3; i++) {
		set_seed(device_bdf, 0x40 + i);
		ASSERT_EQ(0, put_state(self->fd, self->offset, RUNNING | SAVING));
		ASSERT_EQ(0, save(_metadata, self->fd, self->offset, map, &bytes));
		ASSERT_EQ(0, put_state(self->fd, self->offset, SAVING));
		ASSERT_EQ(0, save(_metadata, self->fd, self->offset, map, &bytes));
		ASSERT_EQ(0, put_state(self->fd, self->offset, RESUMING));
		ASSERT_EQ(0, load(_metadata, self->fd, self->offset, map, &bytes, 1000));
		set_seed(device_bdf, 0);
		vfio_pci_device_reset(self->device);
		ASSERT_EQ(RUNNING, state_of(self->fd, self->offset));
		ASSERT_EQ(0, get_seed(device_bdf));
		again = map_data(self->fd, self->offset);
		ASSERT_EQ(0, memcmp(map, again, WINDOW));
		again[17]++;
		ASSERT_EQ(map[17], again[17]);
		ASSERT_EQ(1, pread(self->fd, &byte, 1, self->offset + PAGE + 17));
		ASSERT_EQ(map[17], byte);
		munmap(again, WINDOW);
		bytes.size = 0;
	}
	/* Userspace can only write to the window in RESUMING */
	ASSERT_EQ(-1, pwrite(self->fd, &byte, 1, self->offset + PAGE));
	ASSERT_EQ(EINVAL, errno);
	/* The mapped window itself is a valid buffer for read() and write() */
	ASSERT_EQ(0, put_state(self->fd, self->offset, RESUMING));
	ASSERT_EQ(PAGE, pwrite(self->fd, map + PAGE, PAGE, self->offset + PAGE));
	ASSERT_EQ(PAGE, pread(self->fd, map + PAGE, PAGE, self->offset + PAGE));
	munmap(map, WINDOW);
	free_bytes(&bytes);
}

/* If userspace changes the data in the window, only its own stream is damaged */
TEST_F_TIMEOUT(region, changed_window_damages_only_the_stream, 120)
{
	u8 *map = map_data(self->fd, self->offset);
	struct bytes bytes = {};
	u64 size;

	ASSERT_EQ(0, put_state(self->fd, self->offset, SAVING));
	while (get(self->fd, self->offset + PENDING_BYTES)) {
		memset(map, 0xff, WINDOW);
		get(self->fd, self->offset + DATA_OFFSET);
		size = get(self->fd, self->offset + DATA_SIZE);
		memset(map + 16, 0xff, WINDOW - 16);
		bytes.data = realloc(bytes.data, bytes.size + size);
		memcpy(bytes.data + bytes.size, map, size);
		bytes.size += size;
	}
	ASSERT_EQ(0, put_state(self->fd, self->offset, RESUMING));
	ASSERT_EQ(EBADMSG, load(_metadata, self->fd, self->offset, map, &bytes, WINDOW));
	munmap(map, WINDOW);
	free_bytes(&bytes);
}

static void expect_error(struct __test_metadata *_metadata, struct region_data *self, int error)
{
	static const u32 states[] = { STOP, RUNNING, SAVING, RUNNING | SAVING, RESUMING };
	u64 seed = get_seed(device_bdf);
	int i;

	ASSERT_EQ(error, put_state(self->fd, self->offset, RUNNING));
	ASSERT_EQ(ERROR, state_of(self->fd, self->offset));
	ASSERT_TRUE(VFIO_DEVICE_STATE_IS_ERROR(state_of(self->fd, self->offset)));
	for (i = 0; i < ARRAY_SIZE(states); i++) {
		ASSERT_EQ(EINVAL, put_state(self->fd, self->offset, states[i]));
		ASSERT_EQ(ERROR, state_of(self->fd, self->offset));
	}
	ASSERT_EQ(EINVAL, put_data_size(self->fd, self->offset, 16));
	ASSERT_EQ(0, get(self->fd, self->offset + PENDING_BYTES));
	ASSERT_EQ(seed, get_seed(device_bdf));

	vfio_pci_device_reset(self->device);
	ASSERT_EQ(RUNNING, state_of(self->fd, self->offset));
	ASSERT_EQ(0, put_state(self->fd, self->offset, SAVING));
	ASSERT_EQ(0, put_state(self->fd, self->offset, RUNNING));
}

/* Incomplete data, damaged data, and data that the driver refuses */
TEST_F_TIMEOUT(region, invalid_data_enters_error, 120)
{
	struct bytes bytes = {};
	size_t size;

	ASSERT_EQ(0, put_state(self->fd, self->offset, SAVING));
	ASSERT_EQ(0, save(_metadata, self->fd, self->offset, NULL, &bytes));
	size = bytes.size;
	for (bytes.size = 0; bytes.size < size; bytes.size += 1 + bytes.size / 3) {
		ASSERT_EQ(0, put_state(self->fd, self->offset, RESUMING));
		ASSERT_EQ(0, load(_metadata, self->fd, self->offset, NULL, &bytes, 1000));
		expect_error(_metadata, self, EINVAL);
	}
	bytes.size = size;
	bytes.data[size / 2] ^= 1;
	ASSERT_EQ(0, put_state(self->fd, self->offset, RESUMING));
	ASSERT_EQ(EBADMSG, load(_metadata, self->fd, self->offset, NULL, &bytes, 1000));
	expect_error(_metadata, self, EBADMSG);
	bytes.data[size / 2] ^= 1;

	migration_fail("load_done", -EPERM, 0);
	ASSERT_EQ(0, put_state(self->fd, self->offset, RESUMING));
	ASSERT_EQ(EPERM, load(_metadata, self->fd, self->offset, NULL, &bytes, 1000));
	expect_error(_metadata, self, EPERM);
	migration_fail("load", -EPERM, 0);
	ASSERT_EQ(0, put_state(self->fd, self->offset, RESUMING));
	ASSERT_EQ(EPERM, load(_metadata, self->fd, self->offset, NULL, &bytes, 1000));
	expect_error(_metadata, self, EPERM);
	migration_fail("none", 0, 0);

	/* A data_size beyond the window is refused and loads nothing */
	ASSERT_EQ(0, put_state(self->fd, self->offset, RESUMING));
	ASSERT_EQ(EINVAL, put_data_size(self->fd, self->offset, WINDOW + 1));
	ASSERT_EQ(EINVAL, put_data_size(self->fd, self->offset, ~0ULL));
	ASSERT_EQ(0, put_data_size(self->fd, self->offset, 0));
	ASSERT_EQ(0, load(_metadata, self->fd, self->offset, NULL, &bytes, 1000));
	ASSERT_EQ(0, put_state(self->fd, self->offset, RUNNING));
	free_bytes(&bytes);
}

/* After a failed save, userspace can try again */
TEST_F_TIMEOUT(region, save_continues_after_a_driver_error, 120)
{
	u64 seed = 0x55, value;
	struct bytes bytes = {};

	migration_set("part", "100");
	set_seed(device_bdf, seed);
	ASSERT_EQ(0, put_state(self->fd, self->offset, RUNNING | SAVING));
	migration_fail("precopy_pending", -EPERM, 0);
	ASSERT_EQ(EPERM, try_get(self->fd, self->offset + PENDING_BYTES, &value));
	migration_fail("precopy_save", -EPERM, 3);
	ASSERT_EQ(EPERM, save(_metadata, self->fd, self->offset, NULL, &bytes));
	migration_fail("precopy_save", INT_MAX, 3);
	ASSERT_EQ(EIO, save(_metadata, self->fd, self->offset, NULL, &bytes));
	migration_fail("save", -EPERM, 3);
	ASSERT_EQ(0, save(_metadata, self->fd, self->offset, NULL, &bytes));
	ASSERT_EQ(0, put_state(self->fd, self->offset, SAVING));
	ASSERT_EQ(EPERM, save(_metadata, self->fd, self->offset, NULL, &bytes));
	migration_fail("none", 0, 0);
	ASSERT_EQ(0, save(_metadata, self->fd, self->offset, NULL, &bytes));

	set_seed(device_bdf, 0);
	ASSERT_EQ(0, put_state(self->fd, self->offset, RESUMING));
	ASSERT_EQ(0, load(_metadata, self->fd, self->offset, NULL, &bytes, 1000));
	ASSERT_EQ(0, put_state(self->fd, self->offset, RUNNING));
	ASSERT_EQ(seed, get_seed(device_bdf));
	free_bytes(&bytes);
}

static void *have_data(void *data)
{
	usleep(300000);
	migration_fail("none", 0, 0);
	migration_set("make_dirty", "%s 0", device_bdf);

	return NULL;
}

/* QEMU takes a size of 0 as the end of the data */
TEST_F_TIMEOUT(region, data_offset_waits_for_a_slow_driver, 60)
{
	struct bytes bytes = {};
	pthread_t thread;
	u64 pending;

	set_seed(device_bdf, 0x56);
	ASSERT_EQ(0, put_state(self->fd, self->offset, SAVING));
	migration_fail("save", -EAGAIN, 0);
	ASSERT_EQ(0, pthread_create(&thread, NULL, have_data, NULL));
	while ((pending = get(self->fd, self->offset + PENDING_BYTES))) {
		u64 at = get(self->fd, self->offset + DATA_OFFSET);
		u64 size = get(self->fd, self->offset + DATA_SIZE);

		ASSERT_LT(0, size);
		bytes.data = realloc(bytes.data, bytes.size + size);
		ASSERT_EQ(size, pread(self->fd, bytes.data + bytes.size, size,
				      self->offset + at));
		bytes.size += size;
	}
	ASSERT_EQ(0, pthread_join(thread, NULL));
	set_seed(device_bdf, 0);
	ASSERT_EQ(0, put_state(self->fd, self->offset, RESUMING));
	ASSERT_EQ(0, load(_metadata, self->fd, self->offset, NULL, &bytes, 1000));
	ASSERT_EQ(0, put_state(self->fd, self->offset, RUNNING));
	ASSERT_EQ(0x56, get_seed(device_bdf));
	free_bytes(&bytes);
}

/* Huge numbers of pending bytes, and a driver without pre-copy */
TEST_F_TIMEOUT(region, huge_pending_bytes_saturate, 120)
{
	int i;

	ASSERT_EQ(0, put_state(self->fd, self->offset, RUNNING | SAVING));
	migration_set("dirty", "%llu", ~0ULL);
	for (i = 0; i < 3; i++)
		ASSERT_NE(0, get(self->fd, self->offset + PENDING_BYTES));
	ASSERT_EQ(~0ULL, get(self->fd, self->offset + PENDING_BYTES));
	ASSERT_EQ(0, put_state(self->fd, self->offset, SAVING));
	migration_set("size", "%llu", ~0ULL);
	ASSERT_EQ(~0ULL, get(self->fd, self->offset + PENDING_BYTES));

	/* Without pre-copy, a running device has no data */
	open_with(self, 0);
	ASSERT_EQ(0, put_state(self->fd, self->offset, RUNNING | SAVING));
	ASSERT_EQ(0, get(self->fd, self->offset + PENDING_BYTES));
	ASSERT_EQ(PAGE, get(self->fd, self->offset + DATA_OFFSET));
	ASSERT_EQ(0, get(self->fd, self->offset + DATA_SIZE));
	ASSERT_EQ(0, put_state(self->fd, self->offset, SAVING));
	ASSERT_NE(0, get(self->fd, self->offset + PENDING_BYTES));
}

/* Closing the device in any state ends the session */
TEST_F_TIMEOUT(region, close_ends_the_session, 120)
{
	static const u32 states[] = { STOP, RUNNING, SAVING, RUNNING | SAVING, RESUMING, ERROR };
	int i, k;

	for (k = 0; k < 2; k++) {
		open_with(self, k ? 5000 : 0);
		for (i = 0; i < ARRAY_SIZE(states); i++) {
			if (states[i] == ERROR) {
				/* A single byte is not a valid stream */
				ASSERT_EQ(0, put_state(self->fd, self->offset, RESUMING));
				ASSERT_EQ(0, put_data_size(self->fd, self->offset, 1));
				ASSERT_EQ(EINVAL, put_state(self->fd, self->offset, STOP));
			} else {
				ASSERT_EQ(0, put_state(self->fd, self->offset, states[i]));
			}
			ASSERT_EQ(states[i], state_of(self->fd, self->offset));
			if (states[i] & SAVING && states[i] != ERROR)
				get(self->fd, self->offset + DATA_OFFSET);
			open_device(self);
			ASSERT_EQ(RUNNING, state_of(self->fd, self->offset));
			ASSERT_EQ(0, get(self->fd, self->offset + DATA_SIZE));
			ASSERT_STREQ("running", migration_view(device_bdf).level);
			ASSERT_FALSE(migration_view(device_bdf).in_session);
		}
	}
}

TEST_F_TIMEOUT(region, reset_ends_the_session, 120)
{
	static const u32 states[] = { STOP, RUNNING, SAVING, RUNNING | SAVING, RESUMING };
	int i, k;

	for (k = 0; k < 2; k++) {
		open_with(self, k ? 5000 : 0);
		for (i = 0; i < ARRAY_SIZE(states); i++) {
			ASSERT_EQ(0, put_state(self->fd, self->offset, states[i]));
			if (states[i] & SAVING)
				get(self->fd, self->offset + DATA_OFFSET);
			vfio_pci_device_reset(self->device);
			ASSERT_EQ(RUNNING, state_of(self->fd, self->offset));
			ASSERT_EQ(0, get(self->fd, self->offset + DATA_SIZE));
			ASSERT_STREQ("running", migration_view(device_bdf).level);
		}
	}
}

/* The first protocol that userspace uses stays selected until the next open */
TEST_F_TIMEOUT(region, first_protocol_excludes_the_other, 120)
{
	u64 value;
	u8 byte;
	int i;

	/* Queries do not select a protocol */
	ASSERT_EQ(STATE(RUNNING), get_state(self->fd));
	ASSERT_NE(0, get_flags(self->fd));
	ASSERT_EQ(RUNNING, state_of(self->fd, self->offset));
	ASSERT_NE(0, get_data_size(self->fd));
	ASSERT_EQ(0, set_state(self->fd, STATE(RUNNING), NULL));
	ASSERT_EQ(EBUSY, put_state(self->fd, self->offset, RUNNING));
	ASSERT_EQ(EBUSY, try_get(self->fd, self->offset, &value));
	ASSERT_EQ(EBUSY, put_data_size(self->fd, self->offset, 0));
	ASSERT_EQ(-1, pread(self->fd, &byte, 1, self->offset + PAGE));
	ASSERT_EQ(EBUSY, errno);
	ASSERT_EQ(MAP_FAILED, mmap(NULL, PAGE, PROT_READ, MAP_SHARED, self->fd,
				   self->offset + PAGE));
	ASSERT_EQ(EBUSY, errno);
	ASSERT_EQ(0, set_state(self->fd, STATE(STOP), NULL));
	/* A reset does not change the selection */
	vfio_pci_device_reset(self->device);
	ASSERT_EQ(EBUSY, put_state(self->fd, self->offset, RUNNING));

	for (i = 0; i < 4; i++) {
		void *map = NULL;

		open_device(self);
		switch (i) {
		case 0:
			ASSERT_EQ(0, put_state(self->fd, self->offset, STOP));
			break;
		case 1:
			ASSERT_EQ(EINVAL, put_data_size(self->fd, self->offset, 0));
			break;
		case 2:
			ASSERT_EQ(1, pread(self->fd, &byte, 1, self->offset + PAGE));
			break;
		case 3:
			map = map_data(self->fd, self->offset);
			break;
		}
		ASSERT_EQ(EBUSY, set_state(self->fd, STATE(RUNNING), NULL));
		ASSERT_EQ(i ? STATE(RUNNING) : STATE(STOP), get_state(self->fd));
		ASSERT_NE(0, get_data_size(self->fd));
		if (map)
			munmap(map, WINDOW);
	}
	open_device(self);
	ASSERT_EQ(0, set_state(self->fd, STATE(STOP), NULL));
}

int main(int argc, char *argv[])
{
	migration_begin(&argc, argv, 1, "one device");

	return test_harness_run(argc, argv);
}
