// SPDX-License-Identifier: GPL-2.0-only
/*
 * preadv() and pwritev(): each part starts at the end of the previous part.
 * read() and write(): both advance the file position.
 */
#include <sys/syscall.h>
#include <sys/uio.h>

#include "region_diff.h"

#define MAX_PARTS 6

static const size_t parts[][MAX_PARTS] = {
	{ 4, 4, 4 },
	{ 1, 2, 3, 4 },
	{ 8, 0, 8 },
	{ 0 },
	{ 0, 4 },
	{ 1, 1, 1, 1, 1, 1 },
	{ 3, 8, 5 },
	{ 64, 64, 1, 64 },
	{ 4096, 1, 4095 },
	{ 2, 65536, 2 },
	{ 16, 17, 18, 19 },
};

static u8 buffer[MAX_RW + 4096 + GUARD];

static size_t make_vector(struct iovec *iov, const size_t *part, int bad)
{
	size_t total = 0;
	int i;

	for (i = 0; i < MAX_PARTS; i++) {
		iov[i].iov_base = i == bad ? NULL : buffer + total;
		iov[i].iov_len = part[i];
		total += part[i];
	}
	return total;
}

static void vectors_at(u64 pos)
{
	struct iovec iov[MAX_PARTS];
	size_t i, total;
	long ret;
	int bad;

	for (i = 0; i < NUM(parts); i++) {
		for (bad = -1; bad < 4; bad++) {
			total = make_vector(iov, parts[i], bad);
			memset(buffer, POISON, total + GUARD);
			ret = preadv(subject.fd, iov, MAX_PARTS, pos);
			ret = ret < 0 ? -errno : ret;
			hide_volatile(buffer, total, pos);
			say("readv %s set %zu bad %d = %s %s", at(pos), i, bad, result(ret),
			    data(buffer, total + GUARD));

			fill_for_write(buffer, total, pos);
			ret = pwritev(subject.fd, iov, MAX_PARTS, pos);
			ret = ret < 0 ? -errno : ret;
			device_settle(pos, total);
			say("writev %s set %zu bad %d = %s", at(pos), i, bad, result(ret));
			readback(pos, total > 256 ? 256 : total);
		}
	}
	if (pos >> REGION_SHIFT == VFIO_PCI_CONFIG_REGION_INDEX)
		restore_command();
}

static void step(int fd, bool write, void *buf, size_t n)
{
	long ret;

	if (write) {
		if (buf)
			fill_for_write(buf, n, file_position(fd));
		ret = syscall(SYS_write, fd, buf, n);
	} else {
		if (buf)
			memset(buf, POISON, n);
		ret = syscall(SYS_read, fd, buf, n);
	}
	ret = ret < 0 ? -errno : ret;
	if (write)
		device_settle(0, n);
	if (buf && !write)
		hide_volatile(buf, n, file_position(fd) - (ret > 0 ? ret : 0));
	say("%s n=%zu %s = %s %s, at %ld", write ? "write" : "read", n, buf ? "good" : "bad",
	    result(ret), buf && !write ? data(buf, n) : "", file_position(fd));
}

/* A new file starts at position 0, the first byte of BAR0 */
static void positions(int fd)
{
	static const size_t sizes[] = { 4, 1, 8, 3, 0, 16, 64, 5, 255, 4096, 2 };
	size_t i;
	long ret;
	int n;

	for (i = 0; i < NUM(sizes); i++) {
		step(fd, false, buffer, sizes[i]);
		step(fd, true, buffer, sizes[i]);
		step(fd, false, NULL, sizes[i]);
		step(fd, true, NULL, sizes[i]);
	}

	for (n = SEEK_SET; n <= SEEK_HOLE; n++) {
		errno = 0;
		ret = lseek(fd, 8, n);
		say("lseek 8 whence %d = %s, at %ld", n, result(ret < 0 ? -errno : ret),
		    file_position(fd));
	}

	/* Read up to the end of the region */
	if (!subject.size[0] || subject.size[0] > 1 << 20)
		return;
	for (n = 0; n < 20; n++)
		step(fd, false, buffer, MAX_RW);
	step(fd, true, buffer, 4);
	step(fd, false, buffer, 0);
}

void stage_vector(void)
{
	u32 index;

	for (index = 0; index < subject.num_regions + 1; index++) {
		u64 size = index < subject.num_regions ? subject.size[index] : 0;
		u64 base = (u64)index << REGION_SHIFT;

		vectors_at(base);
		if (!size)
			continue;
		vectors_at(base + 0x24);
		vectors_at(base + 0x83);
		vectors_at(base + size - 12);
		vectors_at(base + size - 5);
		vectors_at(base + REGION_SPACE - 4);
		if ((int)index != subject.msix_bar)
			continue;
		vectors_at(base + subject.msix_start - 7);
		vectors_at(base + subject.msix_end - 18);
	}

	if (subject.cdev) {
		positions(subject.fd);
	} else {
		int fd = ioctl(subject.dev->group_fd, VFIO_GROUP_GET_DEVICE_FD, subject.bdf);

		VFIO_ASSERT_GE(fd, 0);
		positions(fd);
		close(fd);
	}
}
