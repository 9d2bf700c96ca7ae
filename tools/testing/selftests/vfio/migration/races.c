// SPDX-License-Identifier: GPL-2.0-only
/*
 * Concurrent changes of the state, transfers of data, resets and driver errors.
 * A single call may succeed or fail, but it must return.  The core must not
 * violate the contract of the driver operations.  After each round, userspace
 * and the driver must see the same device state.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <sys/ioctl.h>
#include <sys/mman.h>

#include <linux/compiler.h>
#include <linux/sizes.h>

#include "migration.h"
#include "../vendor/racer.h"

#include "kselftest_harness.h"

#define NR_FILES	8

FIXTURE(races) {
	struct iommu *iommu;
	struct vfio_pci_device *device;
	struct bytes good;
	u64 region;
	int violations;
	/* Data files of current and former sessions */
	int files[NR_FILES];
	unsigned int seed;
};

#define races_data _test_data_races

FIXTURE_VARIANT(races) {
	const char *iommu_mode;
};

#define FIXTURE_VARIANT_ADD_IOMMU_MODE(mode) FIXTURE_VARIANT_IOMMU_MODE(races, mode)

FIXTURE_VARIANT_ADD_ALL_IOMMU_MODES();

FIXTURE_SETUP(races)
{
	const struct abilities abilities = { .p2p = true, .precopy = 100000, .log = true };
	int i;

	migration_load(&abilities);
	self->iommu = iommu_init(variant->iommu_mode);
	self->device = vfio_pci_device_init(device_bdf, self->iommu);
	self->region = region_offset(self->device->info.num_regions - 1);
	self->violations = migration_count("violations");
	for (i = 0; i < NR_FILES; i++)
		self->files[i] = -1;
	save_state(self->device->fd, &self->good);
	ASSERT_EQ(0, set_state(self->device->fd, STATE(RUNNING), NULL));
	migration_set("dirty", "1000");
}

FIXTURE_TEARDOWN(races)
{
	int i;

	migration_defaults();
	for (i = 0; i < NR_FILES; i++)
		close(self->files[i]);
	vfio_pci_device_cleanup(self->device);
	iommu_cleanup(self->iommu);
	free_bytes(&self->good);
	EXPECT_EQ(self->violations, migration_count("violations"));
}

/* Put a file into a slot for the other threads, and close the previous one */
static void keep_file(struct racer *racer, int fd)
{
	struct races_data *self = racer->data;
	int *slot = &self->files[pick(racer, NR_FILES)];

	fd = __atomic_exchange_n(slot, fd, __ATOMIC_ACQ_REL);
	if (fd >= 0)
		close(fd);
}

/* Change to any state, also to invalid ones */
static void race_states(struct racer *racer)
{
	struct vfio_device_feature_mig_data_size size;
	struct races_data *self = racer->data;
	int fd;

	if (!set_state(self->device->fd, pick(racer, 9), &fd))
		racer->done++;
	if (fd >= 0) {
		/* A device cannot leave RESUMING without a state */
		if (pick(racer, 4))
			write_all(fd, self->good.data, self->good.size, SZ_64K);
		keep_file(racer, fd);
		/* Give the other threads time to use the file */
		usleep(pick(racer, 3000));
	}
	/* Fails if the driver cannot run the device after a reset */
	device_feature(self->device->fd, VFIO_DEVICE_FEATURE_GET |
		       VFIO_DEVICE_FEATURE_MIG_DATA_SIZE, &size, sizeof(size));
}

/* Take a file out of its slot and use it */
static void race_files(struct racer *racer)
{
	struct races_data *self = racer->data;
	struct vfio_precopy_info info = { .argsz = sizeof(info) };
	const struct bytes *good = &self->good;
	int *slot = &self->files[pick(racer, NR_FILES)];
	int fd = __atomic_exchange_n(slot, -1, __ATOMIC_ACQ_REL);
	u8 buf[20000] = {};
	int i;

	if (fd < 0) {
		usleep(100);
		return;
	}
	switch (pick(racer, 4)) {
	case 0:
		for (i = 0; i < 50; i++)
			racer->done += read(fd, buf, pick(racer, sizeof(buf))) > 0;
		break;
	case 1:
		racer->done += write(fd, good->data, good->size) > 0;
		break;
	case 2:
		racer->done += write(fd, good->data, pick(racer, good->size)) > 0;
		racer->done += write(fd, buf, 100) > 0;
		break;
	case 3:
		racer->done += !ioctl(fd, VFIO_MIG_GET_PRECOPY_INFO, &info);
		break;
	}
	fd = __atomic_exchange_n(slot, fd, __ATOMIC_ACQ_REL);
	if (fd >= 0)
		close(fd);
}

static void race_resets(struct racer *racer)
{
	struct races_data *self = racer->data;

	racer->done += !ioctl(self->device->fd, VFIO_DEVICE_RESET);
	usleep(pick(racer, 50000));
}

static void race_failures(struct racer *racer)
{
	static const char * const ops[] = {
		"stop", "run", "quiesce", "save", "load", "load_done", "begin",
		"precopy_save", "precopy_load", "precopy_pending",
	};

	migration_fail(pick(racer, 2) ? "none" : ops[pick(racer, ARRAY_SIZE(ops))],
		       pick(racer, 2) ? -EIO : 5000000, pick(racer, 3));
	racer->done++;
	usleep(pick(racer, 20000));
}

static int start_logging(int fd)
{
	struct vfio_device_feature_dma_logging_range range = { .length = SZ_1G };
	struct vfio_device_feature_dma_logging_control control = {
		.page_size = PAGE, .num_ranges = 1, .ranges = (uintptr_t)&range,
	};

	return device_feature(fd, VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_DMA_LOGGING_START,
			      &control, sizeof(control));
}

static void race_logs(struct racer *racer)
{
	struct races_data *self = racer->data;
	u64 bitmap[64];
	struct vfio_device_feature_dma_logging_report report = {
		.length = sizeof(bitmap) * 8 * PAGE, .page_size = PAGE,
		.bitmap = (uintptr_t)bitmap,
	};
	int fd = self->device->fd;

	switch (pick(racer, 4)) {
	case 0:
		racer->done += !start_logging(fd);
		break;
	case 1:
		racer->done += !device_feature(fd, VFIO_DEVICE_FEATURE_SET |
					       VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP, NULL, 0);
		break;
	case 2:
		migration_set("mark_dirty", "%#x %#x", pick(racer, SZ_1G), pick(racer, SZ_16M));
		break;
	default:
		racer->done += !device_feature(fd, VFIO_DEVICE_FEATURE_GET |
					       VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT,
					       &report, sizeof(report));
	}
}

/* The other protocol, with valid and invalid values */
static void race_region(struct racer *racer)
{
	static const u32 states[] = { 0, 1, 2, 3, 4, 5, 6 };
	struct races_data *self = racer->data;
	int fd = self->device->fd;
	u64 info[4], value;
	u8 buf[5000];
	u32 state;

	switch (pick(racer, 6)) {
	case 0:
		state = states[pick(racer, ARRAY_SIZE(states))];
		racer->done += pwrite(fd, &state, sizeof(state), self->region) > 0;
		break;
	case 1:
		racer->done += pread(fd, info, sizeof(info), self->region) > 0;
		break;
	case 2:
		racer->done += pread(fd, buf, pick(racer, sizeof(buf)), self->region + PAGE) > 0;
		break;
	case 3:
		value = pick(racer, 2) ? self->good.size : pick(racer, 300000);
		racer->done += pwrite(fd, &value, sizeof(value), self->region + 24) > 0;
		break;
	case 4:
		racer->done += pwrite(fd, self->good.data, self->good.size,
				      self->region + PAGE) > 0;
		break;
	default:
		racer->done += pread(fd, &value, sizeof(value), self->region + 8) > 0;
		racer->done += pread(fd, &value, sizeof(value), self->region + 16) > 0;
	}
}

/* Write to the mapped window all the time */
static void race_window(struct racer *racer)
{
	struct races_data *self = racer->data;
	u8 *map = mmap(NULL, SZ_256K, PROT_READ | PROT_WRITE, MAP_SHARED, self->device->fd,
		       self->region + PAGE);
	int i;

	if (map == MAP_FAILED)
		return;
	for (i = 0; i < 50; i++) {
		memcpy(map, self->good.data, self->good.size);
		map[pick(racer, SZ_256K)] ^= 1;
	}
	racer->done++;
	munmap(map, SZ_256K);
}

static const char *level_of(u32 state)
{
	switch (state) {
	case STATE(RUNNING):
	case STATE(PRE_COPY):
		return "running";
	case STATE(RUNNING_P2P):
	case STATE(PRE_COPY_P2P):
		return "quiet";
	default:
		return "stopped";
	}
}

static bool all_done(const struct racer *racers, unsigned int nr)
{
	while (nr && racers[nr - 1].done)
		nr--;

	return !nr;
}

static void race(struct races_data *self, struct racer *racers, unsigned int nr,
		 unsigned int ms)
{
	unsigned int i;

	for (i = 0; i < nr; i++)
		racers[i].data = self;
	race_for(racers, nr, self->seed, ms);
	self->seed += nr;
}

/* Race, check the state, and repeat until each thread has had success */
static void run_races(struct __test_metadata *_metadata, struct races_data *self,
		      void (**runs)(struct racer *racer), unsigned int nr)
{
	struct racer racers[8] = {};
	unsigned int i, round;

	for (i = 0; i < nr; i++)
		racers[i].run = runs[i];
	for (round = 0; round < 6 || (round < 60 && !all_done(racers, nr)); round++) {
		migration_set("delay_ms", "%u", round & 1);
		race(self, racers, nr, 500);
		migration_fail("none", 0, 0);
		ASSERT_STREQ(level_of(get_state(self->device->fd)),
			     migration_view(device_bdf).level) {
			TH_LOG("round %u: state %u", round, get_state(self->device->fd));
		}
		/* Only a reset leaves the state ERROR */
		if (get_state(self->device->fd) == STATE(ERROR))
			vfio_pci_device_reset(self->device);
	}
	ASSERT_TRUE(all_done(racers, nr));

	/* Afterwards the device still migrates */
	migration_set("delay_ms", "0");
	vfio_pci_device_reset(self->device);
	ASSERT_EQ(STATE(RUNNING), get_state(self->device->fd));
	ASSERT_STREQ("running", migration_view(device_bdf).level);
}

static void check_works(struct __test_metadata *_metadata, struct races_data *self)
{
	struct bytes bytes = {};

	save_state(self->device->fd, &bytes);
	ASSERT_EQ(0, load_state(self->device->fd, &bytes));
	ASSERT_EQ(0, set_state(self->device->fd, STATE(RUNNING), NULL));
	free_bytes(&bytes);
}

TEST_F_TIMEOUT(races, state_changes_race_with_transfers, 120)
{
	void (*runs[])(struct racer *racer) = {
		race_states, race_states, race_files, race_files, race_logs,
	};

	run_races(_metadata, self, runs, ARRAY_SIZE(runs));
	check_works(_metadata, self);
}

TEST_F_TIMEOUT(races, driver_errors_race_with_resets, 120)
{
	void (*runs[])(struct racer *racer) = {
		race_states, race_states, race_files, race_files, race_failures, race_resets,
	};

	run_races(_metadata, self, runs, ARRAY_SIZE(runs));
	check_works(_metadata, self);
}

TEST_F_TIMEOUT(races, resets_race_with_transfers, 120)
{
	void (*runs[])(struct racer *racer) = {
		race_states, race_states, race_files, race_files, race_resets,
	};

	run_races(_metadata, self, runs, ARRAY_SIZE(runs));
	check_works(_metadata, self);
}

TEST_F_TIMEOUT(races, region_accesses_race_with_resets, 120)
{
	void (*runs[])(struct racer *racer) = {
		race_region, race_region, race_region, race_window, race_resets,
	};

	/* Only a new open allows the other protocol */
	vfio_pci_device_cleanup(self->device);
	self->device = vfio_pci_device_init(device_bdf, self->iommu);
	run_races(_metadata, self, runs, ARRAY_SIZE(runs));
}

/* Open and close the device while the driver reports writes */
static void race_open(struct racer *racer)
{
	struct races_data *self = racer->data;
	struct vfio_pci_device *device = vfio_pci_device_init(device_bdf, self->iommu);
	int fd;

	VFIO_ASSERT_EQ(start_logging(device->fd), 0);
	VFIO_ASSERT_EQ(set_state(device->fd, STATE(PRE_COPY), &fd), 0);
	keep_file(racer, fd);
	vfio_pci_device_cleanup(device);
	racer->done++;
}

static void race_marks(struct racer *racer)
{
	migration_set("mark_dirty", "%#x %#x", pick(racer, SZ_1G), pick(racer, SZ_64K));
	racer->done++;
}

static void race_polls(struct racer *racer)
{
	struct races_data *self = racer->data;
	struct pollfd pollfd = {
		.fd = READ_ONCE(self->files[pick(racer, NR_FILES)]), .events = POLLIN,
	};

	racer->done += poll(&pollfd, 1, pick(racer, 3)) >= 0;
}

TEST_F_TIMEOUT(races, opens_race_with_dma_reports, 120)
{
	struct racer racers[] = {
		{ .run = race_open }, { .run = race_marks }, { .run = race_marks },
		{ .run = race_marks }, { .run = race_marks }, { .run = race_files },
		{ .run = race_polls },
	};
	int i;

	vfio_pci_device_cleanup(self->device);
	race(self, racers, ARRAY_SIZE(racers), 5000);
	for (i = 0; i < ARRAY_SIZE(racers); i++)
		TH_LOG("racer %d: %lu", i, racers[i].done);
	self->device = vfio_pci_device_init(device_bdf, self->iommu);
	ASSERT_LT(0, racers[0].done);
	ASSERT_LT(0, racers[1].done);
	check_works(_metadata, self);
}

int main(int argc, char *argv[])
{
	migration_begin(&argc, argv, 1, "one device");

	return test_harness_run(argc, argv);
}
