// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests of the data files of a migration.  A destination must get the state of
 * the source with chunks of any size, and after errors.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/uio.h>

#include <linux/compiler.h>
#include <linux/sizes.h>

#include "migration.h"

#include "kselftest_harness.h"

#define INITIAL		1000
#define ONE_DEVICE	"needs two devices with the same ids"

FIXTURE(data) {
	struct iommu *iommu;
	struct vfio_pci_device *device;
	struct vfio_pci_device *other;
	/* One page, followed by an unmapped one */
	u8 *edge;
	int violations;
	int fd;
};

#define data_data _test_data_data

FIXTURE_VARIANT(data) {
	const char *iommu_mode;
};

#define FIXTURE_VARIANT_ADD_IOMMU_MODE(mode) FIXTURE_VARIANT_IOMMU_MODE(data, mode)

FIXTURE_VARIANT_ADD_ALL_IOMMU_MODES();

FIXTURE_SETUP(data)
{
	const struct abilities abilities = { .p2p = true, .precopy = INITIAL };

	migration_load(&abilities);
	self->iommu = iommu_init(variant->iommu_mode);
	self->device = vfio_pci_device_init(device_bdf, self->iommu);
	self->fd = self->device->fd;
	self->violations = migration_count("violations");
	self->edge = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			  -1, 0);
	ASSERT_NE(MAP_FAILED, self->edge);
	ASSERT_EQ(0, munmap(self->edge + PAGE, PAGE));
}

FIXTURE_TEARDOWN(data)
{
	migration_defaults();
	vfio_pci_device_cleanup(self->device);
	if (self->other)
		vfio_pci_device_cleanup(self->other);
	iommu_cleanup(self->iommu);
	munmap(self->edge, PAGE);
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

/* Save and load in chunks of these sizes, and check the loaded state */
static void check_chunks(struct __test_metadata *_metadata, struct data_data *self,
			 size_t read_chunk, size_t write_chunk)
{
	static u64 seed = 0x123456789abcdef0ULL;
	struct bytes bytes = {};
	int fd;

	set_seed(device_bdf, ++seed);
	ASSERT_EQ(0, set_state(self->fd, STATE(STOP_COPY), &fd));
	ASSERT_EQ(0, read_all(fd, &bytes, read_chunk));
	close(fd);

	set_seed(device_bdf, 0);
	ASSERT_EQ(0, set_state(self->fd, STATE(RESUMING), &fd));
	ASSERT_EQ(0, write_all(fd, bytes.data, bytes.size - 1, write_chunk));
	/* The state takes effect only when the stream is complete */
	ASSERT_EQ(0, get_seed(device_bdf));
	ASSERT_EQ(0, write_all(fd, bytes.data + bytes.size - 1, 1, 1));
	ASSERT_EQ(seed, get_seed(device_bdf));
	ASSERT_EQ(0, set_state(self->fd, STATE(STOP), NULL));
	close(fd);
	free_bytes(&bytes);
}

/* Every chunk size up to the size of the stream */
TEST_F_TIMEOUT(data, state_moves_in_chunks_of_any_size, 120)
{
	struct bytes bytes = {};
	size_t chunk, size;

	migration_set("size", "100");
	save_state(self->fd, &bytes);
	size = bytes.size;
	free_bytes(&bytes);
	/* A header, a data record, and the trailer with two numbers */
	ASSERT_EQ(sizeof(struct stream_header) + 2 * sizeof(struct stream_record) + 100 + 16,
		  size);
	ASSERT_EQ(0, set_state(self->fd, STATE(STOP), NULL));

	for (chunk = 1; chunk <= size + 1; chunk++) {
		check_chunks(_metadata, self, chunk, size);
		check_chunks(_metadata, self, size, chunk);
	}
	/* The parts of the driver are independent of the chunks */
	for (chunk = 1; chunk <= 101; chunk++) {
		migration_set("part", "%zu", chunk);
		check_chunks(_metadata, self, 7, 13);
	}
}

/* Fill a vector with buffers, some of them empty; return their total size */
static size_t cut(struct iovec *iov, int nr, u8 *buf, size_t most, size_t step)
{
	size_t size = 0;
	int i;

	for (i = 0; i < nr; i++) {
		iov[i].iov_base = buf + size;
		iov[i].iov_len = i % 7 * step;
		if (size + iov[i].iov_len > most)
			iov[i].iov_len = most - size;
		size += iov[i].iov_len;
	}

	return size;
}

/* Many buffers in one call */
TEST_F_TIMEOUT(data, state_moves_by_readv_and_writev, 120)
{
	u8 *buf = malloc_assert(2 * SZ_1M);
	size_t size = 0, at, count;
	struct iovec iov[50];
	ssize_t ret;
	int fd;

	migration_set("size", "%u", SZ_1M);
	set_seed(device_bdf, 77);
	ASSERT_EQ(0, set_state(self->fd, STATE(STOP_COPY), &fd));
	do {
		count = cut(iov, ARRAY_SIZE(iov), buf + size, 2 * SZ_1M - size, 1111);
		ret = readv(fd, iov, ARRAY_SIZE(iov));
		ASSERT_LE(0, ret);
		size += ret;
	} while (ret == count);
	ASSERT_EQ(0, read(fd, buf + size, 1));
	close(fd);

	set_seed(device_bdf, 0);
	ASSERT_EQ(0, set_state(self->fd, STATE(RESUMING), &fd));
	for (at = 0; at < size; at += count) {
		count = cut(iov, ARRAY_SIZE(iov), buf + at, size - at, 999);
		ASSERT_EQ(count, writev(fd, iov, ARRAY_SIZE(iov)));
	}
	ASSERT_EQ(0, set_state(self->fd, STATE(STOP), NULL));
	close(fd);
	ASSERT_EQ(77, get_seed(device_bdf));
	free(buf);
}

/* Reads at the end return 0 */
TEST_F_TIMEOUT(data, read_at_the_end_returns_0, 120)
{
	struct bytes bytes = {};
	struct pollfd pollfd;
	u8 buf[16];
	int i, fd;

	ASSERT_EQ(0, set_state(self->fd, STATE(STOP_COPY), &fd));
	ASSERT_EQ(0, read(fd, buf, 0));
	ASSERT_EQ(0, read_all(fd, &bytes, SZ_64K));
	for (i = 0; i < 10; i++)
		ASSERT_EQ(0, read(fd, buf, sizeof(buf)));
	pollfd = (struct pollfd) { .fd = fd, .events = POLLIN };
	ASSERT_EQ(1, poll(&pollfd, 1, 1000));
	ASSERT_EQ(POLLIN, pollfd.revents & POLLIN);
	close(fd);
	free_bytes(&bytes);
}

/* A file has one direction, and no offset */
TEST_F_TIMEOUT(data, data_file_refuses_wrong_operations, 120)
{
	struct vfio_precopy_info info = { .argsz = sizeof(info) };
	u8 buf[16] = {};
	void *map;
	int fd, i;

	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, set_state(self->fd, i ? STATE(RESUMING) : STATE(STOP_COPY), &fd));
		ASSERT_EQ(i ? O_WRONLY : O_RDONLY, fcntl(fd, F_GETFL) & O_ACCMODE);
		ASSERT_EQ(FD_CLOEXEC, fcntl(fd, F_GETFD));
		ASSERT_EQ(-1, i ? read(fd, buf, 1) : write(fd, buf, 1));
		ASSERT_EQ(EBADF, errno);
		ASSERT_EQ(-1, lseek(fd, 0, SEEK_SET));
		ASSERT_EQ(ESPIPE, errno);
		ASSERT_EQ(-1, i ? pwrite(fd, buf, 1, 0) : pread(fd, buf, 1, 0));
		ASSERT_EQ(ESPIPE, errno);
		ASSERT_EQ(-1, ftruncate(fd, 0));
		map = mmap(NULL, PAGE, i ? PROT_WRITE : PROT_READ, MAP_SHARED, fd, 0);
		ASSERT_EQ(MAP_FAILED, map);
		/* The device does not run, so there is no pre-copy */
		ASSERT_EQ(-1, ioctl(fd, VFIO_MIG_GET_PRECOPY_INFO, &info));
		ASSERT_EQ(i ? ENOTTY : EINVAL, errno);
		ASSERT_EQ(-1, ioctl(fd, VFIO_DEVICE_RESET));
		ASSERT_EQ(ENOTTY, errno);
		close(fd);
	}
}

/* A file belongs to one session, not to the next one of the same kind */
TEST_F_TIMEOUT(data, file_of_an_ended_session_fails, 120)
{
	struct vfio_precopy_info info = { .argsz = sizeof(info) };
	int fd, next, write_fd, write_next;
	struct bytes bytes = {};
	u8 buf[16] = {};

	save_state(self->fd, &bytes);
	ASSERT_EQ(0, set_state(self->fd, STATE(RUNNING), NULL));
	ASSERT_EQ(0, set_state(self->fd, STATE(PRE_COPY), &fd));
	ASSERT_EQ(0, set_state(self->fd, STATE(RUNNING), NULL));
	ASSERT_EQ(0, set_state(self->fd, STATE(PRE_COPY), &next));
	ASSERT_EQ(-1, read(fd, buf, 1));
	ASSERT_EQ(ENODEV, errno);
	ASSERT_EQ(-1, ioctl(fd, VFIO_MIG_GET_PRECOPY_INFO, &info));
	ASSERT_EQ(ENODEV, errno);
	ASSERT_EQ(1, read(next, buf, 1));
	ASSERT_EQ(0, ioctl(next, VFIO_MIG_GET_PRECOPY_INFO, &info));
	close(fd);
	ASSERT_EQ(1, read(next, buf, 1));

	ASSERT_EQ(0, set_state(self->fd, STATE(RESUMING), &write_fd));
	ASSERT_EQ(-1, read(next, buf, 1));
	ASSERT_EQ(ENODEV, errno);
	ASSERT_EQ(0, write_all(write_fd, bytes.data, bytes.size, bytes.size));
	free_bytes(&bytes);
	ASSERT_EQ(0, set_state(self->fd, STATE(STOP), NULL));
	ASSERT_EQ(0, set_state(self->fd, STATE(RESUMING), &write_next));
	ASSERT_EQ(-1, write(write_fd, buf, 1));
	ASSERT_EQ(ENODEV, errno);
	ASSERT_EQ(1, write(write_next, buf, 1));

	/* A file may outlive the device and its next open */
	vfio_pci_device_cleanup(self->device);
	ASSERT_EQ(-1, write(write_next, buf, 1));
	ASSERT_EQ(ENODEV, errno);
	self->device = vfio_pci_device_init(device_bdf, self->iommu);
	self->fd = self->device->fd;
	ASSERT_EQ(0, set_state(self->fd, STATE(RESUMING), &fd));
	ASSERT_EQ(-1, write(write_next, buf, 1));
	ASSERT_EQ(ENODEV, errno);
	ASSERT_EQ(-1, read(next, buf, 1));
	ASSERT_EQ(ENODEV, errno);
	ASSERT_EQ(-1, ioctl(next, VFIO_MIG_GET_PRECOPY_INFO, &info));
	ASSERT_EQ(ENODEV, errno);
	ASSERT_EQ(1, write(fd, buf, 1));
	close(write_next);
	close(write_fd);
	close(next);
	close(fd);
}

TEST_F_TIMEOUT(data, closing_the_file_keeps_the_state, 120)
{
	struct bytes bytes = {};
	int fd;

	ASSERT_EQ(0, set_state(self->fd, STATE(PRE_COPY), &fd));
	close(fd);
	ASSERT_EQ(STATE(PRE_COPY), get_state(self->fd));
	ASSERT_EQ(0, set_state(self->fd, STATE(STOP_COPY), &fd));
	ASSERT_EQ(-1, fd);
	ASSERT_EQ(STATE(STOP_COPY), get_state(self->fd));
	ASSERT_EQ(0, set_state(self->fd, STATE(STOP), NULL));
	save_state(self->fd, &bytes);

	/* An empty stream is incomplete */
	ASSERT_EQ(0, set_state(self->fd, STATE(RESUMING), &fd));
	close(fd);
	ASSERT_EQ(STATE(RESUMING), get_state(self->fd));
	ASSERT_EQ(EINVAL, set_state(self->fd, STATE(RUNNING), NULL));
	ASSERT_EQ(STATE(ERROR), get_state(self->fd));
	vfio_pci_device_reset(self->device);

	/* A complete stream */
	set_seed(device_bdf, 0);
	ASSERT_EQ(0, set_state(self->fd, STATE(RESUMING), &fd));
	ASSERT_EQ(0, write_all(fd, bytes.data, bytes.size, bytes.size));
	close(fd);
	ASSERT_EQ(0, set_state(self->fd, STATE(RUNNING), NULL));
	ASSERT_NE(0, get_seed(device_bdf));

	/* An incomplete stream */
	ASSERT_EQ(0, set_state(self->fd, STATE(RESUMING), &fd));
	ASSERT_EQ(0, write_all(fd, bytes.data, bytes.size - 1, bytes.size));
	close(fd);
	ASSERT_EQ(EINVAL, set_state(self->fd, STATE(RUNNING), NULL));
	ASSERT_EQ(STATE(ERROR), get_state(self->fd));
	free_bytes(&bytes);
}

static void get_pending(struct __test_metadata *_metadata, int fd, u64 *initial, u64 *dirty)
{
	struct vfio_precopy_info info = { .argsz = sizeof(info) };

	ASSERT_EQ(0, ioctl(fd, VFIO_MIG_GET_PRECOPY_INFO, &info));
	ASSERT_EQ(0, info.flags);
	*initial = info.initial_bytes;
	*dirty = info.dirty_bytes;
}

/* Data of a running device */
TEST_F_TIMEOUT(data, precopy_reports_pending_bytes, 120)
{
	struct vfio_precopy_info info = {};
	struct bytes bytes = {};
	u64 initial, dirty, last;
	int fd, i;

	set_seed(device_bdf, 42);
	ASSERT_EQ(0, set_state(self->fd, STATE(PRE_COPY), &fd));

	/* Userspace must read all initial bytes */
	get_pending(_metadata, fd, &initial, &dirty);
	ASSERT_LE(INITIAL, initial);
	ASSERT_EQ(0, dirty);
	last = initial;
	ASSERT_EQ(0, set_state(self->fd, STATE(PRE_COPY_P2P), NULL));
	bytes.data = malloc_assert(SZ_1M);
	bytes.room = SZ_1M;
	while (initial) {
		ASSERT_EQ(7, read(fd, bytes.data + bytes.size, 7));
		bytes.size += 7;
		get_pending(_metadata, fd, &initial, &dirty);
		ASSERT_GE(last, initial);
		last = initial;
		if (initial < 7)
			break;
	}
	ASSERT_EQ(ENOMSG, read_all(fd, &bytes, SZ_64K));
	ASSERT_EQ(ENOMSG, read_all(fd, &bytes, SZ_64K));
	get_pending(_metadata, fd, &initial, &dirty);
	ASSERT_EQ(0, initial);
	ASSERT_EQ(0, dirty);

	/* Bytes that become dirty later do not count as initial bytes */
	migration_set("dirty", "3000");
	for (i = 0; i < 5; i++) {
		get_pending(_metadata, fd, &initial, &dirty);
		get_pending(_metadata, fd, &initial, &dirty);
		ASSERT_EQ(0, initial);
		ASSERT_LT(0, dirty);
		/* The rest of a record does not count as initial bytes, either */
		ASSERT_EQ(1000, read(fd, bytes.data + bytes.size, 1000));
		bytes.size += 1000;
		get_pending(_metadata, fd, &initial, &dirty);
		ASSERT_EQ(0, initial);
		ASSERT_LT(0, dirty);
		ASSERT_EQ(ENOMSG, read_all(fd, &bytes, 1000));
	}
	migration_set("dirty", "0");

	/* A wrong argsz, and an unmapped address */
	ASSERT_EQ(-1, ioctl(fd, VFIO_MIG_GET_PRECOPY_INFO, &info));
	ASSERT_EQ(EINVAL, errno);
	info.argsz = sizeof(info) - 1;
	ASSERT_EQ(-1, ioctl(fd, VFIO_MIG_GET_PRECOPY_INFO, &info));
	ASSERT_EQ(EINVAL, errno);
	ASSERT_EQ(-1, ioctl(fd, VFIO_MIG_GET_PRECOPY_INFO, self->edge + PAGE));
	ASSERT_EQ(EFAULT, errno);

	/* Read the rest after the device is stopped */
	ASSERT_EQ(0, set_state(self->fd, STATE(STOP_COPY), NULL));
	info.argsz = sizeof(info);
	ASSERT_EQ(-1, ioctl(fd, VFIO_MIG_GET_PRECOPY_INFO, &info));
	ASSERT_EQ(EINVAL, errno);
	ASSERT_EQ(0, read_all(fd, &bytes, SZ_64K));
	close(fd);
	set_seed(device_bdf, 0);
	ASSERT_EQ(0, load_state(self->fd, &bytes));
	ASSERT_EQ(42, get_seed(device_bdf));
	free_bytes(&bytes);
}

/* Poll for at most @ms; return the events, or 0 if they came too late */
static int wait_for(int fd, int ms)
{
	struct pollfd pollfd = { .fd = fd, .events = POLLIN };
	struct timespec began, ended;
	int ret;

	clock_gettime(CLOCK_MONOTONIC, &began);
	ret = poll(&pollfd, 1, ms);
	clock_gettime(CLOCK_MONOTONIC, &ended);
	VFIO_ASSERT_GE(ret, 0);

	return ret && (!ms || (ended.tv_sec - began.tv_sec) * 1000 < ms) ? pollfd.revents : 0;
}

static bool is_readable(int fd, int ms)
{
	return wait_for(fd, ms) == POLLIN;
}

/* A call that another thread makes while this one polls */
struct later {
	void (*run)(int fd);
	int fd;
	pthread_t thread;
};

static void *do_later(void *data)
{
	struct later *later = data;

	usleep(300000);
	later->run(later->fd);

	return NULL;
}

static void make_dirty(int fd)
{
	migration_set("make_dirty", "%s 3000", device_bdf);
}

static void stop_and_copy(int fd)
{
	VFIO_ASSERT_EQ(set_state(fd, STATE(STOP_COPY), NULL), 0);
}

static void run_again(int fd)
{
	VFIO_ASSERT_EQ(set_state(fd, STATE(RUNNING), NULL), 0);
}

/* After reading all data, poll() waits for new data or the end of the session */
TEST_F_TIMEOUT(data, poll_waits_for_more_data, 60)
{
	struct later later = { .fd = self->fd };
	struct bytes bytes = {};
	int fd;

	ASSERT_EQ(0, set_state(self->fd, STATE(PRE_COPY), &fd));
	ASSERT_TRUE(is_readable(fd, 0));
	ASSERT_EQ(ENOMSG, read_all(fd, &bytes, SZ_64K));
	ASSERT_FALSE(is_readable(fd, 100));

	later.run = make_dirty;
	ASSERT_EQ(0, pthread_create(&later.thread, NULL, do_later, &later));
	ASSERT_TRUE(is_readable(fd, 20000));
	ASSERT_EQ(0, pthread_join(later.thread, NULL));
	bytes.size = 0;
	ASSERT_EQ(ENOMSG, read_all(fd, &bytes, SZ_64K));
	ASSERT_LE(3000, bytes.size);
	ASSERT_FALSE(is_readable(fd, 0));

	later.run = stop_and_copy;
	ASSERT_EQ(0, pthread_create(&later.thread, NULL, do_later, &later));
	ASSERT_TRUE(is_readable(fd, 20000));
	ASSERT_EQ(0, pthread_join(later.thread, NULL));
	ASSERT_EQ(0, read_all(fd, &bytes, SZ_64K));
	ASSERT_TRUE(is_readable(fd, 0));
	ASSERT_EQ(0, set_state(self->fd, STATE(RUNNING), NULL));

	/* A session that has ended has no more data */
	ASSERT_EQ(POLLIN | POLLERR, wait_for(fd, 0));
	close(fd);
	ASSERT_EQ(0, set_state(self->fd, STATE(PRE_COPY), &fd));
	ASSERT_EQ(ENOMSG, read_all(fd, &bytes, SZ_64K));
	later.run = run_again;
	ASSERT_EQ(0, pthread_create(&later.thread, NULL, do_later, &later));
	ASSERT_EQ(POLLIN | POLLERR, wait_for(fd, 20000));
	ASSERT_EQ(0, pthread_join(later.thread, NULL));
	close(fd);
	free_bytes(&bytes);
}

static void have_data(int fd)
{
	migration_fail("none", 0, 0);
	make_dirty(fd);
}

static void set_nonblock(int fd, bool nonblock)
{
	VFIO_ASSERT_EQ(fcntl(fd, F_SETFL, nonblock ? O_NONBLOCK : 0), 0);
}

/* The driver of a stopped device may need time to save a part */
TEST_F_TIMEOUT(data, read_and_poll_wait_for_a_slow_driver, 60)
{
	struct later later = { .fd = self->fd };
	struct bytes bytes = {};
	u8 *buf = malloc_assert(SZ_1M);
	int fd;

	migration_set("part", "100");
	set_seed(device_bdf, 4713);
	ASSERT_EQ(0, set_state(self->fd, STATE(STOP_COPY), &fd));

	/* After the data of two calls, the driver has none */
	migration_fail("save", -EAGAIN, 2);
	set_nonblock(fd, true);
	ASSERT_TRUE(is_readable(fd, 0));
	ASSERT_EQ(EAGAIN, read_all(fd, &bytes, SZ_64K));
	ASSERT_LT(200, bytes.size);
	ASSERT_EQ(EAGAIN, read_all(fd, &bytes, SZ_64K));
	ASSERT_FALSE(is_readable(fd, 100));

	/* poll() waits for data, and a failed attempt does not end the wait */
	later.run = make_dirty;
	ASSERT_EQ(0, pthread_create(&later.thread, NULL, do_later, &later));
	ASSERT_TRUE(is_readable(fd, 20000));
	ASSERT_EQ(0, pthread_join(later.thread, NULL));
	ASSERT_EQ(EAGAIN, read_all(fd, &bytes, SZ_64K));
	ASSERT_FALSE(is_readable(fd, 0));

	/* read() waits, too */
	set_nonblock(fd, false);
	later.run = have_data;
	ASSERT_EQ(0, pthread_create(&later.thread, NULL, do_later, &later));
	ASSERT_EQ(0, read_all(fd, &bytes, SZ_64K));
	ASSERT_EQ(0, pthread_join(later.thread, NULL));
	ASSERT_TRUE(is_readable(fd, 0));
	close(fd);
	set_seed(device_bdf, 0);
	ASSERT_EQ(0, load_state(self->fd, &bytes));
	ASSERT_EQ(4713, get_seed(device_bdf));
	ASSERT_EQ(0, set_state(self->fd, STATE(RUNNING), NULL));

	/* The end of the session ends the wait */
	ASSERT_EQ(0, set_state(self->fd, STATE(STOP_COPY), &fd));
	migration_fail("save", -EAGAIN, 0);
	ASSERT_LT(0, read(fd, buf, SZ_1M));
	later.run = run_again;
	ASSERT_EQ(0, pthread_create(&later.thread, NULL, do_later, &later));
	ASSERT_EQ(-1, read(fd, buf, SZ_1M));
	ASSERT_EQ(ENODEV, errno);
	ASSERT_EQ(0, pthread_join(later.thread, NULL));
	close(fd);
	migration_fail("none", 0, 0);
	free(buf);
	free_bytes(&bytes);
}

/* Only userspace that knows VFIO_PRECOPY_INFO_REINIT sees initial bytes increase */
TEST_F_TIMEOUT(data, new_initial_data_is_reported_once, 60)
{
	struct vfio_precopy_info info = { .argsz = sizeof(info) };
	struct vfio_precopy_info *read_only;
	struct bytes bytes = {};
	int i, fd;

	read_only = mmap(NULL, sizeof(info), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			 -1, 0);
	ASSERT_NE(MAP_FAILED, read_only);
	read_only->argsz = sizeof(info);
	ASSERT_EQ(0, mprotect(read_only, sizeof(info), PROT_READ));

	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, set_state(self->fd, STATE(PRE_COPY), &fd));
		bytes.size = 0;
		ASSERT_EQ(ENOMSG, read_all(fd, &bytes, SZ_64K));
		ASSERT_EQ(0, ioctl(fd, VFIO_MIG_GET_PRECOPY_INFO, &info));
		ASSERT_EQ(0, info.initial_bytes);
		migration_set("reinit", "%s 2000", device_bdf);
		ASSERT_TRUE(is_readable(fd, 0));
		/* Userspace did not get this report */
		ASSERT_EQ(-1, ioctl(fd, VFIO_MIG_GET_PRECOPY_INFO, read_only));
		ASSERT_EQ(EFAULT, errno);
		ASSERT_EQ(0, ioctl(fd, VFIO_MIG_GET_PRECOPY_INFO, &info));
		ASSERT_EQ(i ? VFIO_PRECOPY_INFO_REINIT : 0, info.flags);
		ASSERT_EQ(i ? 2000 : 0, info.initial_bytes);
		ASSERT_EQ(i ? 0 : 2000, info.dirty_bytes);
		ASSERT_EQ(0, ioctl(fd, VFIO_MIG_GET_PRECOPY_INFO, &info));
		ASSERT_EQ(0, info.flags);
		ASSERT_EQ(i ? 2000 : 0, info.initial_bytes);
		ASSERT_EQ(ENOMSG, read_all(fd, &bytes, SZ_64K));
		ASSERT_EQ(0, set_state(self->fd, STATE(STOP_COPY), NULL));
		ASSERT_EQ(0, read_all(fd, &bytes, SZ_64K));
		close(fd);
		ASSERT_EQ(0, load_state(self->fd, &bytes));
		ASSERT_EQ(0, set_state(self->fd, STATE(RUNNING), NULL));
		/* From the second round on, userspace knows the flag */
		ASSERT_EQ(0, device_feature(self->fd, VFIO_DEVICE_FEATURE_SET |
					    VFIO_DEVICE_FEATURE_MIG_PRECOPY_INFOv2, NULL, 0));
	}
	munmap(read_only, sizeof(info));
	free_bytes(&bytes);
}

/* Memory used by vmalloc(), in KiB */
static long vmalloc_used(void)
{
	char line[128];
	long used = -1;
	FILE *file = fopen("/proc/meminfo", "r");

	VFIO_ASSERT_NOT_NULL(file);
	while (used < 0 && fgets(line, sizeof(line), file))
		sscanf(line, "VmallocUsed: %ld", &used);
	fclose(file);
	VFIO_ASSERT_GE(used, 0);

	return used;
}

TEST_F_TIMEOUT(data, file_of_a_closed_device_holds_no_buffer, 120)
{
	int fds[32], i;
	long before;

	before = vmalloc_used();
	for (i = 0; i < ARRAY_SIZE(fds); i++) {
		ASSERT_EQ(0, set_state(self->fd, i & 1 ? STATE(STOP_COPY) : STATE(RESUMING),
				       &fds[i]));
		vfio_pci_device_cleanup(self->device);
		self->device = vfio_pci_device_init(device_bdf, self->iommu);
		self->fd = self->device->fd;
	}
	/* In KiB.  Kept buffers would be four times as large. */
	ASSERT_GT(2048, vmalloc_used() - before);
	for (i = 0; i < ARRAY_SIZE(fds); i++)
		close(fds[i]);
}

/* Userspace stops the device before it has read all pre-copy data */
TEST_F_TIMEOUT(data, precopy_may_be_read_in_part, 120)
{
	struct bytes bytes = {};
	int i, n, fd;

	for (n = 0; n < 1200; n += 37) {
		set_seed(device_bdf, n + 1);
		ASSERT_EQ(0, set_state(self->fd, STATE(PRE_COPY), &fd));
		bytes.size = 0;
		for (i = 0; i < n; i++) {
			u8 byte;

			if (read(fd, &byte, 1) != 1)
				break;
			if (bytes.room < n) {
				bytes.room = 2 * n;
				bytes.data = realloc(bytes.data, bytes.room);
			}
			bytes.data[bytes.size++] = byte;
		}
		ASSERT_EQ(0, set_state(self->fd, STATE(STOP_COPY), NULL));
		ASSERT_EQ(0, read_all(fd, &bytes, SZ_64K));
		close(fd);
		set_seed(device_bdf, 0);
		ASSERT_EQ(0, load_state(self->fd, &bytes));
		ASSERT_EQ(n + 1, get_seed(device_bdf));
		ASSERT_EQ(0, set_state(self->fd, STATE(RUNNING), NULL));
	}
	free_bytes(&bytes);
}

/* After a fault, reading and writing continue at the same position */
TEST_F_TIMEOUT(data, read_and_write_continue_after_a_fault, 120)
{
	struct bytes bytes = {};
	size_t at, n;
	int fd;

	migration_set("size", "%u", SZ_64K);
	set_seed(device_bdf, 4711);
	bytes.data = malloc_assert(SZ_1M);
	ASSERT_EQ(0, set_state(self->fd, STATE(STOP_COPY), &fd));
	for (n = 0;; n = (n + 131) % 500) {
		ssize_t ret;

		ASSERT_EQ(-1, read(fd, self->edge + PAGE, 100));
		ASSERT_EQ(EFAULT, errno);
		ret = read(fd, self->edge + PAGE - n, n + 100);
		if (!n) {
			ASSERT_EQ(-1, ret);
			ASSERT_EQ(EFAULT, errno);
			continue;
		}
		ASSERT_LT(0, ret);
		ASSERT_GE(n, ret);
		memcpy(bytes.data + bytes.size, self->edge + PAGE - n, ret);
		bytes.size += ret;
		if (bytes.size > SZ_64K)
			break;
	}
	bytes.room = SZ_1M;
	ASSERT_EQ(0, read_all(fd, &bytes, SZ_64K));
	ASSERT_EQ(0, read(fd, self->edge + PAGE, 100));
	close(fd);

	set_seed(device_bdf, 0);
	ASSERT_EQ(0, set_state(self->fd, STATE(RESUMING), &fd));
	for (at = 0, n = 131; at < bytes.size; n = 1 + (n + 131) % 500) {
		size_t part = n < bytes.size - at ? n : bytes.size - at;
		ssize_t ret;

		ASSERT_EQ(-1, write(fd, self->edge + PAGE, 100));
		ASSERT_EQ(EFAULT, errno);
		memcpy(self->edge + PAGE - part, bytes.data + at, part);
		/* Do not write past the end of the stream */
		ret = write(fd, self->edge + PAGE - part,
			    part + (at + part < bytes.size ? 100 : 0));
		ASSERT_LT(0, ret);
		ASSERT_GE(part, ret);
		at += ret;
	}
	ASSERT_EQ(0, set_state(self->fd, STATE(STOP), NULL));
	close(fd);
	ASSERT_EQ(4711, get_seed(device_bdf));
	free_bytes(&bytes);
}

/* After an error of the driver, userspace can try again */
TEST_F_TIMEOUT(data, save_continues_after_a_driver_error, 120)
{
	static const int errnos[] = { EIO, ENOMEM, EBUSY, ENODEV, 4095 };
	static const int nonsense[] = { INT_MAX, 256 * 1024, -4096, INT_MIN };
	struct bytes bytes = {};
	int i, fd, precopy;

	migration_set("part", "100");
	for (precopy = 0; precopy < 2; precopy++) {
		const char *op = precopy ? "precopy_save" : "save";
		int end = precopy ? ENOMSG : 0;

		bytes.size = 0;
		set_seed(device_bdf, 4712);
		ASSERT_EQ(0, set_state(self->fd, precopy ? STATE(PRE_COPY) : STATE(STOP_COPY),
				       &fd));
		for (i = 0; i < ARRAY_SIZE(errnos); i++) {
			migration_fail(op, -errnos[i], i % 3);
			ASSERT_EQ(errnos[i], read_all(fd, &bytes, 64));
			ASSERT_EQ(errnos[i], read_all(fd, &bytes, 64));
		}
		for (i = 0; i < ARRAY_SIZE(nonsense); i++) {
			migration_fail(op, nonsense[i], i % 3);
			ASSERT_EQ(EIO, read_all(fd, &bytes, 64));
		}
		migration_fail("none", 0, 0);
		ASSERT_EQ(end, read_all(fd, &bytes, 64));
		if (precopy) {
			struct vfio_precopy_info info = { .argsz = sizeof(info) };

			migration_fail("precopy_pending", -EPERM, 0);
			ASSERT_EQ(-1, ioctl(fd, VFIO_MIG_GET_PRECOPY_INFO, &info));
			ASSERT_EQ(EPERM, errno);
			migration_fail("precopy_pending", 1, 0);
			ASSERT_EQ(-1, ioctl(fd, VFIO_MIG_GET_PRECOPY_INFO, &info));
			ASSERT_EQ(EIO, errno);
			migration_fail("none", 0, 0);
			ASSERT_EQ(0, set_state(self->fd, STATE(STOP_COPY), NULL));
			ASSERT_EQ(0, read_all(fd, &bytes, 64));
		}
		close(fd);
		set_seed(device_bdf, 0);
		ASSERT_EQ(0, load_state(self->fd, &bytes));
		ASSERT_EQ(4712, get_seed(device_bdf));
		ASSERT_EQ(0, set_state(self->fd, STATE(RUNNING), NULL));
	}
	free_bytes(&bytes);
}

static void reopen(struct data_data *self)
{
	vfio_pci_device_cleanup(self->device);
	self->device = vfio_pci_device_init(device_bdf, self->iommu);
	self->fd = self->device->fd;
}

/* After a failed load, the driver gets no further part */
TEST_F_TIMEOUT(data, load_ends_after_a_driver_error, 120)
{
	static const struct {
		int returned, expected;
	} cases[] = {
		{ -EIO, EIO }, { -EINVAL, EINVAL }, { -4095, 4095 }, { -4096, EIO }, { 1, EIO },
		{ 4096, EIO }, { INT_MAX, EIO },
	};
	struct bytes bytes = {};
	int i, fd, precopy;

	migration_set("part", "100");
	ASSERT_EQ(0, set_state(self->fd, STATE(PRE_COPY), &fd));
	ASSERT_EQ(ENOMSG, read_all(fd, &bytes, SZ_64K));
	ASSERT_EQ(0, set_state(self->fd, STATE(STOP_COPY), NULL));
	ASSERT_EQ(0, read_all(fd, &bytes, SZ_64K));
	close(fd);

	for (precopy = 0; precopy < 2; precopy++) {
		const char *op = precopy ? "precopy_load" : "load";

		for (i = 0; i < ARRAY_SIZE(cases); i++) {
			int before = migration_calls(op), done = migration_calls("load_done");
			u64 seed = get_seed(device_bdf);

			migration_fail(op, cases[i].returned, 2);
			ASSERT_EQ(0, set_state(self->fd, STATE(RESUMING), &fd));
			ASSERT_EQ(cases[i].expected, write_all(fd, bytes.data, bytes.size, 64));
			migration_fail("none", 0, 0);
			ASSERT_EQ(cases[i].expected, write_all(fd, bytes.data, bytes.size, 64));
			ASSERT_EQ(before + 3, migration_calls(op));
			ASSERT_EQ(cases[i].expected, set_state(self->fd, STATE(STOP), NULL));
			close(fd);
			ASSERT_EQ(STATE(ERROR), get_state(self->fd));
			ASSERT_EQ(done, migration_calls("load_done"));
			ASSERT_EQ(seed, get_seed(device_bdf));
			reopen(self);
		}
	}
	ASSERT_EQ(0, load_state(self->fd, &bytes));
	free_bytes(&bytes);
}

/* Copy the state to the other device with a buffer of one chunk */
static void transfer(struct __test_metadata *_metadata, struct data_data *self, u64 size,
		     u64 seed, size_t chunk)
{
	int from, to, other_fd = self->other->fd;
	u8 *buf = malloc_assert(chunk);
	u64 total = 0, estimate;
	long before;
	ssize_t ret;

	before = vmalloc_used();
	migration_set("size", "%llu", (unsigned long long)size);
	set_seed(migration_bdfs[0], seed);
	set_seed(migration_bdfs[1], 0);
	ASSERT_EQ(0, set_state(self->fd, STATE(STOP_COPY), &from));
	estimate = get_data_size(self->fd);
	ASSERT_EQ(0, set_state(other_fd, STATE(RESUMING), &to));
	while ((ret = read(from, buf, chunk)) > 0) {
		ASSERT_EQ(0, write_all(to, buf, ret, ret));
		total += ret;
	}
	ASSERT_EQ(0, ret);
	/* In KiB; each side has one buffer, for any size of the state */
	ASSERT_GT(2048, vmalloc_used() - before);
	ASSERT_LE(size, total);
	ASSERT_GE(estimate, total);
	close(from);
	close(to);
	ASSERT_EQ(0, set_state(other_fd, STATE(RUNNING), NULL));
	ASSERT_EQ(size ? seed : 0, get_seed(migration_bdfs[1]));
	ASSERT_EQ(seed, get_seed(migration_bdfs[0]));
	ASSERT_EQ(0, set_state(self->fd, STATE(RUNNING), NULL));
	free(buf);
}

TEST_F_TIMEOUT(data, state_moves_to_another_device, 120)
{
	static const struct {
		u64 size;
		u64 seed;
	} cases[] = {
		{ 0, 99 }, { 1, 99 }, { 7, 99 }, { 8, 0x123456789abcdef0 }, { 15, 99 },
		{ 16, 0x123456789abcdef0 }, { 17, 99 }, { SZ_64K - 1, 100 }, { SZ_64K, 101 },
		{ SZ_256K - 16, 102 }, { SZ_256K, 103 }, { SZ_256K + 16, 103 }, { SZ_1M, 104 },
		{ SZ_1M + 1, 105 },
	};
	static const size_t chunks[] = { 999, SZ_64K, SZ_1M };
	int i, j;

	if (migration_nr_bdfs < 2)
		SKIP(return, ONE_DEVICE);
	self->other = vfio_pci_device_init(migration_bdfs[1], self->iommu);
	for (i = 0; i < ARRAY_SIZE(cases); i++)
		for (j = 0; j < ARRAY_SIZE(chunks); j++)
			transfer(_metadata, self, cases[i].size, cases[i].seed, chunks[j]);
	transfer(_metadata, self, SZ_64M, 106, SZ_1M);
}

FIXTURE(large) {
	struct data_data data;
};

FIXTURE_SETUP(large)
{
	const struct abilities abilities = {};

	if (migration_nr_bdfs < 2)
		SKIP(return, ONE_DEVICE);
	migration_load(&abilities);
	self->data.iommu = iommu_init(default_iommu_mode);
	self->data.device = vfio_pci_device_init(device_bdf, self->data.iommu);
	self->data.fd = self->data.device->fd;
	self->data.other = vfio_pci_device_init(migration_bdfs[1], self->data.iommu);
}

FIXTURE_TEARDOWN(large)
{
	migration_defaults();
	vfio_pci_device_cleanup(self->data.device);
	vfio_pci_device_cleanup(self->data.other);
	iommu_cleanup(self->data.iommu);
}

TEST_F_TIMEOUT(large, large_state_moves_in_constant_memory, 300)
{
	transfer(_metadata, &self->data, SZ_1G, 0x6789abcdef012345, SZ_1M);
}

int main(int argc, char *argv[])
{
	migration_begin(&argc, argv, 1, "one device");

	return test_harness_run(argc, argv);
}
