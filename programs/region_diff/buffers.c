// SPDX-License-Identifier: GPL-2.0-only
/* User buffers that fault at a chosen byte. */
#include <fcntl.h>

#include <sys/mman.h>

#include "region_diff.h"

static u8 *reserve(size_t n)
{
	u8 *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	VFIO_ASSERT_NE(p, MAP_FAILED);
	return p;
}

/*
 * Return @n bytes that end at inaccessible memory.  That memory stays mapped;
 * otherwise the next mapping of the device could take its place.  All calls share
 * one buffer, so use only one at a time.
 */
void *buffer_ending_after(size_t n, bool writable)
{
	static u8 *end;
	u8 *start;

	if (!end) {
		end = reserve(2 * MAX_RW) + MAX_RW;
		mprotect(end, MAX_RW, PROT_NONE);
	}
	VFIO_ASSERT_TRUE(n <= MAX_RW);
	start = end - MAX_RW;
	mprotect(start, MAX_RW, PROT_READ | PROT_WRITE);
	memset(end - n, POISON, n);
	if (!writable)
		mprotect(start, MAX_RW, PROT_READ);
	return end - n;
}

/* Return @before bytes, an inaccessible page, @after bytes; both at most a page */
void *buffer_with_hole(size_t before, size_t after)
{
	static u8 *hole;

	if (!hole) {
		hole = reserve(3 * PAGE) + PAGE;
		mprotect(hole, PAGE, PROT_NONE);
	}
	memset(hole - before, POISON, before);
	memset(hole + PAGE, POISON, after);
	return hole - before;
}

/* Return the invalid pointer number @i; set @name to NULL after the last */
void *buffer_bad(unsigned int i, const char **name)
{
	static u8 *none, *beyond;

	if (!none) {
		int fd = memfd_create("empty", 0);

		none = mmap(NULL, MAX_RW, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		beyond = mmap(NULL, MAX_RW, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		VFIO_ASSERT_NE(none, MAP_FAILED);
		VFIO_ASSERT_NE(beyond, MAP_FAILED);
		close(fd);
	}

	switch (i) {
	case 0:
		*name = "null";
		return NULL;
	case 1:
		*name = "one";
		return (void *)1;
	case 2:
		*name = "kernel";
		return (void *)0xffff888000000000UL;
	case 3:
		*name = "noncanonical";
		return (void *)0x0000900000000000UL;
	case 4:
		*name = "top";
		return (void *)-8UL;
	case 5:
		*name = "unmapped";
		return (void *)SZ_64K;
	case 6:
		*name = "prot-none";
		return none;
	case 7:
		*name = "beyond-file";
		return beyond;
	default:
		*name = NULL;
		return NULL;
	}
}
