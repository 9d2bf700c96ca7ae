// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests of VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE: states and arcs of enum
 * vfio_device_mig_state, the driver operations that they call, and the state
 * after a driver error or a reset.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/ioctl.h>

#include <linux/compiler.h>

#include "migration.h"

#include "kselftest_harness.h"

FIXTURE(feature) {
	struct iommu *iommu;
	struct vfio_pci_device *device;
	int violations;
	int fd;
	/* The state of the device, to be loaded again */
	struct bytes state;
};

#define feature_data _test_data_feature

FIXTURE_VARIANT(feature) {
	const char *iommu_mode;
};

#define FIXTURE_VARIANT_ADD_IOMMU_MODE(mode) FIXTURE_VARIANT_IOMMU_MODE(feature, mode)

FIXTURE_VARIANT_ADD_ALL_IOMMU_MODES();

static void open_device(struct feature_data *self)
{
	self->device = vfio_pci_device_init(device_bdf, self->iommu);
	self->fd = self->device->fd;
}

static void close_device(struct feature_data *self)
{
	if (self->device)
		vfio_pci_device_cleanup(self->device);
	self->device = NULL;
}

static void open_with(struct feature_data *self, bool p2p, bool precopy)
{
	struct abilities abilities = { .p2p = p2p, .precopy = precopy ? 1000 : 0, .log = true };

	close_device(self);
	migration_load(&abilities);
	open_device(self);
	self->state.size = 0;
	save_state(self->fd, &self->state);
	VFIO_ASSERT_EQ(set_state(self->fd, STATE(RUNNING), NULL), 0);
}

/* Load the state, so that the device can leave RESUMING */
static void load_into(struct feature_data *self, int fd)
{
	VFIO_ASSERT_EQ(write_all(fd, self->state.data, self->state.size, 1 << 20), 0);
}

/* Change the state; in RESUMING, also load the state of the device */
static int change_state(struct feature_data *self, u32 state)
{
	int fd, ret = set_state(self->fd, state, &fd);

	if (fd < 0)
		return ret;
	if (state == STATE(RESUMING))
		load_into(self, fd);
	close(fd);

	return ret;
}

FIXTURE_SETUP(feature)
{
	self->iommu = iommu_init(variant->iommu_mode);
	open_with(self, true, true);
	self->violations = migration_count("violations");
}

FIXTURE_TEARDOWN(feature)
{
	migration_defaults();
	close_device(self);
	iommu_cleanup(self->iommu);
	free_bytes(&self->state);
	EXPECT_EQ(self->violations, migration_count("violations"));
}

/* Return the supported operations of a feature, VFIO_DEVICE_FEATURE_GET and _SET */
static u32 probe(int fd, u32 feature)
{
	static const u32 ops[] = { VFIO_DEVICE_FEATURE_GET, VFIO_DEVICE_FEATURE_SET };
	u32 found = 0;
	int i, ret;

	for (i = 0; i < ARRAY_SIZE(ops); i++) {
		ret = device_feature(fd, VFIO_DEVICE_FEATURE_PROBE | ops[i] | feature, NULL, 0);
		if (!ret)
			found |= ops[i];
		else
			VFIO_ASSERT_TRUE(ret == ENOTTY || ret == EINVAL);
	}

	return found;
}

static int start_logging(int fd)
{
	struct vfio_device_feature_dma_logging_range range = { .length = PAGE };
	struct vfio_device_feature_dma_logging_control control = {
		.page_size = PAGE, .num_ranges = 1, .ranges = (uintptr_t)&range,
	};

	return device_feature(fd, VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_DMA_LOGGING_START,
			      &control, sizeof(control));
}

/* Userspace sees the abilities of the driver */
TEST_F_TIMEOUT(feature, features_match_the_driver, 120)
{
	const u32 get = VFIO_DEVICE_FEATURE_GET, set = VFIO_DEVICE_FEATURE_SET;
	struct vfio_device_feature_mig_state state;
	int i;

	for (i = 0; i < 8; i++) {
		struct abilities abilities = {
			.p2p = i & 1, .precopy = i & 2 ? 1 : 0, .log = i & 4,
		};

		close_device(self);
		migration_load(&abilities);
		open_device(self);
		ASSERT_EQ(VFIO_MIGRATION_STOP_COPY |
			  (abilities.p2p ? VFIO_MIGRATION_P2P : 0) |
			  (abilities.precopy ? VFIO_MIGRATION_PRE_COPY : 0), get_flags(self->fd));
		ASSERT_EQ(get, probe(self->fd, VFIO_DEVICE_FEATURE_MIGRATION));
		ASSERT_EQ(get | set, probe(self->fd, VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE));
		ASSERT_EQ(get, probe(self->fd, VFIO_DEVICE_FEATURE_MIG_DATA_SIZE));
		ASSERT_EQ(abilities.log ? set : 0,
			  probe(self->fd, VFIO_DEVICE_FEATURE_DMA_LOGGING_START));
		ASSERT_EQ(abilities.log ? set : 0,
			  probe(self->fd, VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP));
		ASSERT_EQ(abilities.log ? get : 0,
			  probe(self->fd, VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT));
		ASSERT_EQ(STATE(RUNNING), get_state(self->fd));
	}

	/* Wrong operations and sizes */
	ASSERT_EQ(EINVAL, device_feature(self->fd, set | VFIO_DEVICE_FEATURE_MIGRATION,
					 &state, sizeof(state)));
	ASSERT_EQ(EINVAL, device_feature(self->fd, get | VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE,
					 &state, sizeof(state) - 1));
	ASSERT_EQ(EINVAL, device_feature(self->fd, get | VFIO_DEVICE_FEATURE_MIG_DATA_SIZE,
					 &state, sizeof(u64) - 1));
}

static void expect_no_migration(struct __test_metadata *_metadata, struct feature_data *self)
{
	ASSERT_EQ(0, probe(self->fd, VFIO_DEVICE_FEATURE_MIGRATION));
	ASSERT_EQ(0, probe(self->fd, VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE));
	ASSERT_EQ(ENOTTY, start_logging(self->fd));
	ASSERT_EQ(VFIO_PCI_NUM_REGIONS, self->device->info.num_regions);
}

/* A driver may be unable to migrate one of its devices */
TEST_F_TIMEOUT(feature, incapable_device_opens_without_migration, 120)
{
	close_device(self);
	migration_unbind();
	migration_set("incapable", "%s", device_bdf);
	bind_device(device_bdf);
	open_device(self);
	expect_no_migration(_metadata, self);

	close_device(self);
	migration_unbind();
	migration_set("incapable", "none");
	bind_device(device_bdf);
	open_device(self);
	ASSERT_EQ(0, set_state(self->fd, STATE(STOP), NULL));
}

/* Only a driver that was loaded before the bind can migrate the device */
TEST_F_TIMEOUT(feature, driver_loaded_after_bind_does_not_migrate, 120)
{
	const struct abilities abilities = { .p2p = true, .precopy = 1000, .log = true };
	u32 num_regions = self->device->info.num_regions;

	ASSERT_EQ(VFIO_PCI_NUM_REGIONS + 1, num_regions);
	close_device(self);
	/* A bound device pins its driver, so its abilities cannot change */
	ASSERT_EQ(EAGAIN, migration_try_rmmod());

	migration_unbind();
	ASSERT_EQ(0, migration_try_rmmod());
	bind_device(device_bdf);
	migration_modprobe(&abilities);
	open_device(self);
	expect_no_migration(_metadata, self);
	close_device(self);
	migration_unbind();
	ASSERT_EQ(0, migration_try_rmmod());

	migration_load(&abilities);
	open_device(self);
	ASSERT_EQ(num_regions, self->device->info.num_regions);
	ASSERT_EQ(0, set_state(self->fd, STATE(STOP), NULL));
}

/* The arcs that the uapi header requires */
static const struct arc {
	u32 from, to;
} arcs[] = {
	{ STATE(RUNNING_P2P), STATE(STOP) },
	{ STATE(STOP_COPY), STATE(STOP) },
	{ STATE(RESUMING), STATE(STOP) },
	{ STATE(PRE_COPY), STATE(RUNNING) },
	{ STATE(RUNNING_P2P), STATE(RUNNING) },
	{ STATE(PRE_COPY_P2P), STATE(RUNNING_P2P) },
	{ STATE(RUNNING), STATE(RUNNING_P2P) },
	{ STATE(STOP), STATE(RUNNING_P2P) },
	{ STATE(RUNNING), STATE(PRE_COPY) },
	{ STATE(RUNNING_P2P), STATE(PRE_COPY_P2P) },
	{ STATE(STOP), STATE(STOP_COPY) },
	{ STATE(PRE_COPY), STATE(PRE_COPY_P2P) },
	{ STATE(PRE_COPY_P2P), STATE(PRE_COPY) },
	{ STATE(PRE_COPY_P2P), STATE(STOP_COPY) },
	{ STATE(STOP), STATE(RESUMING) },
};

static bool is_saving(u32 state)
{
	return state == STATE(STOP_COPY) || state == STATE(PRE_COPY) ||
	       state == STATE(PRE_COPY_P2P);
}

static bool is_supported(u32 state, bool p2p, bool precopy)
{
	switch (state) {
	case STATE(STOP):
	case STATE(RUNNING):
	case STATE(STOP_COPY):
	case STATE(RESUMING):
		return true;
	case STATE(RUNNING_P2P):
		return p2p;
	case STATE(PRE_COPY):
		return precopy;
	case STATE(PRE_COPY_P2P):
		return p2p && precopy;
	default:
		return false;
	}
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

/*
 * Find the shortest path between two states.  A saving state may be inside the
 * path only if both ends are saving states.  Return its length, or 0 if there
 * is none.
 */
static int find_path(u32 from, u32 to, u32 *path, int most)
{
	u32 rest[8], best[8];
	int i, length, found = 0;

	if (from == to) {
		path[0] = to;
		return 1;
	}
	if (!most)
		return 0;

	for (i = 0; i < ARRAY_SIZE(arcs); i++) {
		if (arcs[i].from != from)
			continue;
		if (is_saving(arcs[i].to) && arcs[i].to != to &&
		    !(is_saving(from) && is_saving(to)))
			continue;
		/* A path between saving states does not leave them */
		if (is_saving(from) && is_saving(to) && !is_saving(arcs[i].to))
			continue;
		length = find_path(arcs[i].to, to, rest, most - 1);
		if (length && (!found || length < found)) {
			memcpy(best, rest, sizeof(best));
			found = length;
		}
	}
	if (!found)
		return 0;

	path[0] = from;
	memcpy(path + 1, best, found * sizeof(*best));

	return found + 1;
}

static const char * const counted[] = {
	"stop", "run", "quiesce", "begin", "end", "load", "load_done",
};

static void count_calls(int *calls)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(counted); i++)
		calls[i] = migration_calls(counted[i]);
}

static bool is_in_session(u32 state)
{
	return is_saving(state) || state == STATE(RESUMING);
}

/* Count the calls on a path, without its unsupported states */
static void expect_calls(const u32 *path, int length, bool p2p, bool precopy, int *calls)
{
	u32 last = path[0];
	int i;

	for (i = 1; i < length; i++) {
		u32 state = path[i];

		if (!is_supported(state, p2p, precopy))
			continue;
		if (strcmp(level_of(last), level_of(state))) {
			calls[0] += !strcmp(level_of(state), "stopped");
			calls[1] += !strcmp(level_of(state), "running");
			calls[2] += !strcmp(level_of(state), "quiet");
		}
		/* A session that began with pre-copy begins STOP_COPY, too */
		calls[3] += is_in_session(state) &&
			    (!is_in_session(last) || state == STATE(STOP_COPY));
		calls[4] += is_in_session(last) && !is_in_session(state);
		last = state;
	}
}

static void check_arc(struct __test_metadata *_metadata, struct feature_data *self,
		      u32 from, u32 to, bool p2p, bool precopy)
{
	int before[ARRAY_SIZE(counted)], after[ARRAY_SIZE(counted)];
	int ret, length, i, old_fd, new_fd;
	u32 path[8];
	u8 byte;

	ASSERT_EQ(0, set_state(self->fd, from, &old_fd));
	ASSERT_EQ(is_in_session(from), migration_view(device_bdf).in_session);
	if (from == STATE(RESUMING))
		load_into(self, old_fd);
	length = find_path(from, to, path, 6);
	if (!is_supported(to, p2p, precopy))
		length = 0;

	count_calls(before);
	ret = set_state(self->fd, to, &new_fd);
	ASSERT_EQ(length ? 0 : EINVAL, ret) {
		TH_LOG("from %u to %u: %s", from, to, strerror(ret));
	}
	count_calls(after);

	if (length)
		expect_calls(path, length, p2p, precopy, before);
	else
		to = from;
	for (i = 0; i < ARRAY_SIZE(counted); i++) {
		ASSERT_EQ(before[i], after[i]) {
			TH_LOG("from %u to %u: operation %d", from, to, i);
		}
	}

	ASSERT_EQ(to, get_state(self->fd));
	ASSERT_STREQ(level_of(to), migration_view(device_bdf).level);

	/* Each session has a new file, which fails after the session */
	ASSERT_EQ(from != to && ((is_saving(to) && !is_saving(from)) || to == STATE(RESUMING)),
		  new_fd >= 0) {
		TH_LOG("from %u to %u: fd %d", from, to, new_fd);
	}
	if (is_saving(from)) {
		ret = read(old_fd, &byte, 1);
		ASSERT_EQ(is_saving(to) ? 1 : -1, ret);
		if (ret < 0)
			ASSERT_EQ(ENODEV, errno);
	} else if (from == STATE(RESUMING)) {
		/* An empty write checks whether the file is valid */
		ret = write(old_fd, &byte, 0);
		if (to != from) {
			ASSERT_EQ(-1, write(old_fd, &byte, 1));
			ASSERT_EQ(ENODEV, errno);
		} else {
			ASSERT_EQ(0, ret);
		}
	} else {
		ASSERT_EQ(-1, old_fd);
	}
	if (to == STATE(RESUMING) && new_fd >= 0)
		load_into(self, new_fd);
	if (old_fd >= 0)
		close(old_fd);
	if (new_fd >= 0)
		close(new_fd);

	ASSERT_EQ(0, set_state(self->fd, STATE(RUNNING), NULL));
	ASSERT_EQ(STATE(RUNNING), get_state(self->fd));
	ASSERT_STREQ("running", migration_view(device_bdf).level);
	ASSERT_FALSE(migration_view(device_bdf).in_session);
}

/* Change from each state to each valid or invalid state */
TEST_F_TIMEOUT(feature, state_changes_follow_the_uapi, 120)
{
	static const u32 targets[] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0x80000000, ~0U };
	int i, j, from;

	for (i = 0; i < 4; i++) {
		open_with(self, i & 1, i & 2);
		for (from = 1; from < 8; from++) {
			if (!is_supported(from, i & 1, i & 2))
				continue;
			for (j = 0; j < ARRAY_SIZE(targets); j++)
				check_arc(_metadata, self, from, targets[j], i & 1, i & 2);
		}
	}
}

static void make_error(struct __test_metadata *_metadata, struct feature_data *self)
{
	int fd;

	ASSERT_EQ(0, set_state(self->fd, STATE(RESUMING), &fd));
	ASSERT_EQ(4, write(fd, "none", 4));
	ASSERT_EQ(EINVAL, set_state(self->fd, STATE(STOP), NULL));
	ASSERT_EQ(STATE(ERROR), get_state(self->fd));
	ASSERT_EQ(-1, write(fd, "none", 4));
	ASSERT_EQ(ENODEV, errno);
	close(fd);
}

TEST_F_TIMEOUT(feature, only_reset_or_open_leaves_error, 120)
{
	u32 state;
	int fd;

	make_error(_metadata, self);
	for (state = 1; state < 10; state++) {
		ASSERT_EQ(EINVAL, set_state(self->fd, state, &fd));
		ASSERT_EQ(-1, fd);
		ASSERT_EQ(STATE(ERROR), get_state(self->fd));
	}
	ASSERT_LT(0, get_data_size(self->fd));

	vfio_pci_device_reset(self->device);
	ASSERT_EQ(STATE(RUNNING), get_state(self->fd));
	ASSERT_EQ(0, set_state(self->fd, STATE(STOP_COPY), NULL));

	ASSERT_EQ(0, set_state(self->fd, STATE(RUNNING), NULL));
	make_error(_metadata, self);
	close_device(self);
	open_device(self);
	ASSERT_EQ(STATE(RUNNING), get_state(self->fd));
	ASSERT_EQ(0, set_state(self->fd, STATE(STOP_COPY), NULL));
}

/* Read or write one byte of a data file */
static ssize_t use_file(int fd, u32 state)
{
	u8 byte = 0;

	return is_saving(state) ? read(fd, &byte, 1) : write(fd, &byte, 1);
}

/* A reset in any state makes the device run */
TEST_F_TIMEOUT(feature, reset_ends_the_session, 120)
{
	struct vfio_precopy_info info = { .argsz = sizeof(info) };
	int resets, fd, ret;
	u32 state;

	for (state = 1; state < 8; state++) {
		ASSERT_EQ(0, set_state(self->fd, state, &fd));
		resets = migration_count("resets");
		vfio_pci_device_reset(self->device);
		ASSERT_EQ(resets + 1, migration_count("resets"));
		ASSERT_EQ(STATE(RUNNING), get_state(self->fd));
		if (fd >= 0) {
			ret = use_file(fd, state);
			ASSERT_EQ(-1, ret);
			ASSERT_EQ(ENODEV, errno);
			if (is_saving(state)) {
				ASSERT_EQ(-1, ioctl(fd, VFIO_MIG_GET_PRECOPY_INFO, &info));
				ASSERT_EQ(ENODEV, errno);
			}
			close(fd);
		}
		/* The same state can be reached again */
		ASSERT_EQ(0, change_state(self, state));
		ASSERT_EQ(0, set_state(self->fd, STATE(RUNNING), NULL));
	}
}

/* After the device is closed, its data file fails */
TEST_F_TIMEOUT(feature, close_ends_the_session, 120)
{
	struct bytes bytes = {};
	int fd, ret, stops;
	u32 state;

	for (state = 0; state < 8; state++) {
		fd = -1;
		if (state == STATE(ERROR))
			make_error(_metadata, self);
		else
			ASSERT_EQ(0, set_state(self->fd, state, &fd));
		/* Start the transfer of data */
		if (fd >= 0) {
			ret = use_file(fd, state);
			ASSERT_EQ(1, ret);
		}
		ASSERT_EQ(0, start_logging(self->fd));
		stops = migration_calls("log_stop");
		close_device(self);
		ASSERT_EQ(stops + 1, migration_calls("log_stop"));
		if (fd >= 0) {
			ret = use_file(fd, state);
			ASSERT_EQ(-1, ret);
			ASSERT_EQ(ENODEV, errno);
			close(fd);
		}

		open_device(self);
		ASSERT_EQ(STATE(RUNNING), get_state(self->fd));
		ASSERT_STREQ("running", migration_view(device_bdf).level);
		ASSERT_FALSE(migration_view(device_bdf).in_session);
		ASSERT_FALSE(migration_view(device_bdf).logging);
		bytes.size = 0;
		save_state(self->fd, &bytes);
		ASSERT_EQ(0, load_state(self->fd, &bytes));
	}
	free_bytes(&bytes);
}

/* Read a migration file of vfio in debugfs */
static const char *debugfs(const char *name)
{
	static char text[128];
	char path[PATH_MAX];
	ssize_t ret;
	int fd;

	snprintf_assert(path, sizeof(path), "/sys/kernel/debug/vfio/%s/migration/%s", device_bdf,
			name);
	fd = open(path, O_RDONLY);
	VFIO_ASSERT_GE(fd, 0, "%s: %m\n", path);
	ret = read(fd, text, sizeof(text) - 1);
	VFIO_ASSERT_GE(ret, 0);
	text[ret] = '\0';
	close(fd);

	return text;
}

/* debugfs shows the state of open and closed devices */
TEST_F_TIMEOUT(feature, debugfs_shows_features_and_state, 120)
{
	static const char * const names[] = {
		"ERROR\n", "STOP\n", "RUNNING\n", "STOP_COPY\n", "RESUMING\n", "RUNNING_P2P\n",
		"PRE_COPY\n", "PRE_COPY_P2P\n",
	};
	u32 state;

	ASSERT_STREQ("stop-copy\np2p\npre-copy\ndirty-tracking\n", debugfs("features"));
	for (state = 1; state < 8; state++) {
		ASSERT_EQ(0, change_state(self, state));
		ASSERT_STREQ(names[state], debugfs("state"));
	}
	ASSERT_EQ(0, set_state(self->fd, STATE(RUNNING), NULL));
	make_error(_metadata, self);
	ASSERT_STREQ(names[STATE(ERROR)], debugfs("state"));
	close_device(self);
	ASSERT_STREQ(names[STATE(RUNNING)], debugfs("state"));
	open_with(self, false, false);
	ASSERT_STREQ("stop-copy\ndirty-tracking\n", debugfs("features"));
}

static const int nonsense[] = { 1, 7, 4096, INT_MAX, -4096, INT_MIN };
static const int errnos[] = { EIO, ETIMEDOUT, ENODEV, ENOTTY, EINVAL, 4095 };

static void check_failure(struct __test_metadata *_metadata, struct feature_data *self,
			  const char *op, int error, int expected, u32 from, u32 to, u32 left)
{
	int fd;

	ASSERT_EQ(0, change_state(self, from));
	migration_fail(op, error, 0);
	ASSERT_EQ(expected, set_state(self->fd, to, &fd)) {
		TH_LOG("operation %s returned %d", op, error);
	}
	ASSERT_EQ(-1, fd);
	ASSERT_EQ(left, get_state(self->fd)) {
		TH_LOG("operation %s returned %d", op, error);
	}
	ASSERT_STREQ(level_of(left), migration_view(device_bdf).level);
	migration_fail("none", 0, 0);

	/* A retry succeeds */
	ASSERT_EQ(0, change_state(self, to));
	ASSERT_EQ(0, set_state(self->fd, STATE(RUNNING), NULL));
}

/* After a driver error the device is in the last state that it reached */
TEST_F_TIMEOUT(feature, driver_error_keeps_the_reached_state, 120)
{
	static const struct {
		const char *op;
		u32 from, to, left;
	} cases[] = {
		{ "quiesce", STATE(RUNNING), STATE(RUNNING_P2P), STATE(RUNNING) },
		{ "quiesce", STATE(RUNNING), STATE(STOP), STATE(RUNNING) },
		{ "quiesce", STATE(STOP), STATE(RUNNING), STATE(STOP) },
		{ "quiesce", STATE(PRE_COPY), STATE(STOP_COPY), STATE(PRE_COPY) },
		{ "stop", STATE(RUNNING), STATE(STOP), STATE(RUNNING_P2P) },
		{ "stop", STATE(RUNNING), STATE(RESUMING), STATE(RUNNING_P2P) },
		{ "stop", STATE(PRE_COPY), STATE(STOP_COPY), STATE(PRE_COPY_P2P) },
		{ "run", STATE(STOP), STATE(RUNNING), STATE(RUNNING_P2P) },
		{ "run", STATE(PRE_COPY_P2P), STATE(PRE_COPY), STATE(PRE_COPY_P2P) },
		{ "begin", STATE(RUNNING), STATE(PRE_COPY), STATE(RUNNING) },
		{ "begin", STATE(STOP), STATE(PRE_COPY_P2P), STATE(RUNNING_P2P) },
		{ "begin", STATE(RUNNING), STATE(STOP_COPY), STATE(STOP) },
		{ "begin", STATE(PRE_COPY), STATE(STOP_COPY), STATE(PRE_COPY_P2P) },
		{ "begin", STATE(RUNNING), STATE(RESUMING), STATE(STOP) },
	};
	int i, j;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		for (j = 0; j < ARRAY_SIZE(errnos); j++)
			check_failure(_metadata, self, cases[i].op, -errnos[j], errnos[j],
				      cases[i].from, cases[i].to, cases[i].left);
		for (j = 0; j < ARRAY_SIZE(nonsense); j++)
			check_failure(_metadata, self, cases[i].op, nonsense[j], EIO,
				      cases[i].from, cases[i].to, cases[i].left);
	}
}

/* The driver refuses a complete state */
TEST_F_TIMEOUT(feature, failed_load_done_enters_error, 120)
{
	/* A failed load is final, so the errnos of a retry do not reach userspace */
	static const int converted[] = { -EAGAIN, -EFAULT, -EINTR, 1, 4096, INT_MIN };
	struct bytes bytes = {};
	int i, fd;

	save_state(self->fd, &bytes);
	for (i = 0; i < ARRAY_SIZE(converted) + ARRAY_SIZE(errnos); i++) {
		int error = i < ARRAY_SIZE(errnos) ? -errnos[i] : converted[i - ARRAY_SIZE(errnos)];
		int expected = i < ARRAY_SIZE(errnos) ? errnos[i] : EIO;

		migration_fail("load_done", error, 0);
		ASSERT_EQ(0, set_state(self->fd, STATE(RESUMING), &fd));
		ASSERT_EQ(expected, write_all(fd, bytes.data, bytes.size, 1 << 20));
		ASSERT_EQ(expected, set_state(self->fd, STATE(RUNNING), NULL));
		ASSERT_EQ(STATE(ERROR), get_state(self->fd));
		close(fd);
		migration_fail("none", 0, 0);
		close_device(self);
		open_device(self);
		ASSERT_EQ(STATE(RUNNING), get_state(self->fd));
	}
	ASSERT_EQ(0, load_state(self->fd, &bytes));
	free_bytes(&bytes);
}

/* If a loaded device cannot run, only a reset makes it usable */
TEST_F_TIMEOUT(feature, loaded_device_that_cannot_run_enters_error, 120)
{
	static const struct {
		const char *op;
		bool p2p;
	} cases[] = {
		{ "quiesce", true }, { "run", true }, { "run", false },
	};
	int i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		open_with(self, cases[i].p2p, true);
		ASSERT_EQ(0, change_state(self, STATE(RESUMING)));
		ASSERT_EQ(0, set_state(self->fd, STATE(STOP), NULL));
		migration_fail(cases[i].op, -EIO, 0);
		ASSERT_EQ(EIO, set_state(self->fd, STATE(RUNNING), NULL));
		ASSERT_EQ(STATE(ERROR), get_state(self->fd));
		migration_fail("none", 0, 0);
		ASSERT_EQ(EINVAL, set_state(self->fd, STATE(RUNNING), NULL));
		vfio_pci_device_reset(self->device);
		ASSERT_EQ(STATE(RUNNING), get_state(self->fd));
		ASSERT_STREQ("running", migration_view(device_bdf).level);
	}
}

/* The driver reports that the device lost its state, for example by a reset of its PF */
TEST_F_TIMEOUT(feature, lost_state_enters_error, 120)
{
	int fd, ret;
	u32 state;

	for (state = 1; state < 8; state++) {
		ASSERT_EQ(0, set_state(self->fd, state, &fd));
		ASSERT_EQ(0, start_logging(self->fd));
		migration_set("lose_state", "%s", device_bdf);
		ASSERT_EQ(STATE(ERROR), get_state(self->fd));
		ASSERT_FALSE(migration_view(device_bdf).in_session);
		ASSERT_TRUE(migration_view(device_bdf).logging);
		if (fd >= 0) {
			ret = use_file(fd, state);
			ASSERT_EQ(-1, ret);
			ASSERT_EQ(ENODEV, errno);
			close(fd);
		}
		ASSERT_EQ(EINVAL, set_state(self->fd, STATE(RUNNING), NULL));
		vfio_pci_device_reset(self->device);
		ASSERT_EQ(STATE(RUNNING), get_state(self->fd));
		ASSERT_EQ(0, device_feature(self->fd, VFIO_DEVICE_FEATURE_SET |
					    VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP, NULL, 0));
		ASSERT_EQ(0, change_state(self, state));
		ASSERT_EQ(0, set_state(self->fd, STATE(RUNNING), NULL));
	}
}

/* The data size is an estimate; the driver may return any number */
TEST_F_TIMEOUT(feature, data_size_covers_the_stream, 120)
{
	struct bytes bytes = {};
	u64 size;
	int fd;

	migration_set("size", "1000000");
	size = get_data_size(self->fd);
	save_state(self->fd, &bytes);
	ASSERT_LE(bytes.size, size);
	ASSERT_GT(bytes.size + 4096, size);
	free_bytes(&bytes);

	/* The size decreases to 0 */
	ASSERT_EQ(0, set_state(self->fd, STATE(RUNNING), NULL));
	ASSERT_EQ(0, set_state(self->fd, STATE(STOP_COPY), &fd));
	bytes.data = malloc_assert(1 << 20);
	while (true) {
		ssize_t ret = read(fd, bytes.data, 100000);

		ASSERT_LE(0, ret);
		if (!ret)
			break;
		size -= ret;
		/* The estimate may be off by a few record heads */
		ASSERT_GE(size + 64, get_data_size(self->fd));
	}
	ASSERT_EQ(0, get_data_size(self->fd));
	close(fd);
	free_bytes(&bytes);

	migration_fail("size", -EIO, 0);
	ASSERT_EQ(EIO, device_feature(self->fd, VFIO_DEVICE_FEATURE_GET |
				      VFIO_DEVICE_FEATURE_MIG_DATA_SIZE, &size, sizeof(size)));
	migration_fail("none", 0, 0);

	ASSERT_EQ(0, set_state(self->fd, STATE(RUNNING), NULL));
	migration_set("size", "%llu", 1ULL << 40);
	ASSERT_LE(1ULL << 40, get_data_size(self->fd));
	migration_set("size", "%llu", ~0ULL);
	ASSERT_EQ(~0ULL, get_data_size(self->fd));
	migration_set("size", "%llu", ~0ULL - 200);
	ASSERT_LE(~0ULL - 200, get_data_size(self->fd));
}

int main(int argc, char *argv[])
{
	migration_begin(&argc, argv, 1, "one device");

	return test_harness_run(argc, argv);
}
