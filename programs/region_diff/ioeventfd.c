// SPDX-License-Identifier: GPL-2.0-only
/* VFIO_DEVICE_IOEVENTFD: allowed offsets, and the write to the device. */
#include <sys/eventfd.h>
#include <sys/mman.h>

#include "region_diff.h"

static int event;

static long ioeventfd(u64 pos, u64 value, u32 flags, int fd, u32 argsz)
{
	struct vfio_device_ioeventfd arg = {
		.argsz = argsz,
		.flags = flags,
		.offset = pos,
		.data = value,
		.fd = fd,
	};

	return do_ioctl(subject.fd, VFIO_DEVICE_IOEVENTFD, &arg);
}

static long add(u64 pos, u64 value, u32 width)
{
	return ioeventfd(pos, value, width, event, sizeof(struct vfio_device_ioeventfd));
}

static long del(u64 pos, u64 value, u32 width)
{
	return ioeventfd(pos, value, width, -1, sizeof(struct vfio_device_ioeventfd));
}

/* Signal the event; an ioeventfd consumes it, else it stays readable */
static const char *fire(u64 pos, u32 width)
{
	u64 count = 1;
	const char *fired;

	VFIO_ASSERT_EQ(write(event, &count, 8), 8);
	fired = read(event, &count, 8) == 8 ? "unheard" : "heard";
	/* 8 bytes at offset 4 also write edu's register 8, which starts a computation */
	device_settle(pos, width);

	return fired;
}

/* Add and remove an ioeventfd, each twice */
static void places(u32 index, bool few)
{
	static const u32 widths[] = { 1, 2, 4, 8 };
	u64 base = (u64)index << REGION_SHIFT;
	struct points p;
	size_t i, w;

	points_of_region(&p, index, few);
	for (i = 0; i < p.num; i++) {
		for (w = 0; w < NUM(widths); w++) {
			u64 pos = base + p.at[i];
			long first = add(pos, 5, widths[w]);
			long second = add(pos, 5, widths[w]);
			long other = add(pos, 6, widths[w]);
			long gone = del(pos, 5, widths[w]);
			long again = del(pos, 5, widths[w]);

			del(pos, 6, widths[w]);
			say("ioeventfd %s width %u = %s, again %s, other %s, gone %s, again %s",
			    at(pos), widths[w], result(first), result(second), result(other),
			    result(gone), result(again));
		}
	}
}

static void far_places(void)
{
	static const u64 offsets[] = {
		-1ULL, -8ULL, -1ULL << REGION_SHIFT, 1ULL << 63, ~(1ULL << 63),
		0xffULL << REGION_SHIFT, 0x7fffffULL << REGION_SHIFT, 0xffffffULL << REGION_SHIFT,
		(1ULL << 48) - 4, (1ULL << 63) - 4,
	};
	size_t i;

	for (i = 0; i < NUM(offsets); i++) {
		say("ioeventfd %s = %s", at(offsets[i]), result(add(offsets[i], 5, 4)));
		say("ioeventfd %s removed = %s", at(offsets[i]), result(del(offsets[i], 5, 4)));
	}
}

static void arguments(u64 pos)
{
	static const u32 argszs[] = { 0, 4, 16, 24, 27, 28, 31, 32, 33, 64, 0xffffffff };
	static const int fds[] = { -3, -2, 1000000, 0x7fffffff, -0x7fffffff - 1 };
	u32 flags;
	size_t i;
	int file;

	for (i = 0; i < NUM(argszs); i++) {
		say("ioeventfd %s argsz %u = %s", at(pos), argszs[i],
		    result(ioeventfd(pos, 5, 4, event, argszs[i])));
		del(pos, 5, 4);
	}
	for (flags = 0; flags < 40; flags++) {
		say("ioeventfd %s flags %#x = %s", at(pos), flags,
		    result(ioeventfd(pos, 5, flags, event, 32)));
		ioeventfd(pos, 5, flags, -1, 32);
	}
	for (i = 0; i < NUM(fds); i++)
		say("ioeventfd %s fd %d = %s", at(pos), fds[i],
		    result(ioeventfd(pos, 5, 4, fds[i], 32)));
	file = memfd_create("file", 0);
	say("ioeventfd %s fd of a file = %s", at(pos), result(ioeventfd(pos, 5, 4, file, 32)));
	say("ioeventfd %s fd of the device = %s", at(pos),
	    result(ioeventfd(pos, 5, 4, subject.fd, 32)));
	close(file);
}

static void fire_at(const struct scratch *s)
{
	static const u32 widths[] = { 1, 2, 4, 8 };
	size_t i;

	for (i = 0; i < NUM(widths); i++) {
		u64 pos = ((u64)s->region << REGION_SHIFT) + s->offset;
		u64 value = 0x8877665544332211ULL + i;
		const char *fired;
		long ret;

		set_scratch(s, 0);
		ret = add(pos, value, widths[i]);
		fired = fire(pos, widths[i]);
		say("ioeventfd %s width %u = %s fired: %s, now %s", at(pos), widths[i],
		    result(ret), fired, show_scratch(s));
		set_scratch(s, 0);
		fired = fire(pos, widths[i]);
		say("ioeventfd %s width %u fired again: %s, now %s", at(pos), widths[i], fired,
		    show_scratch(s));
		ret = del(pos, value, widths[i]);
		set_scratch(s, 0);
		fired = fire(pos, widths[i]);
		say("ioeventfd %s width %u removed = %s fired: %s, now %s", at(pos), widths[i],
		    result(ret), fired, show_scratch(s));
	}
}

/* Add ioeventfds up to the kernel's limit */
static void too_many(u64 pos)
{
	long ret;
	int i, n;

	for (n = 0; n < 1100; n++) {
		ret = add(pos, n, 4);
		if (ret)
			break;
	}
	say("ioeventfd %s number %d = %s", at(pos), n, result(ret));
	say("ioeventfd %s duplicate of a full table = %s", at(pos), result(add(pos, 0, 4)));
	for (i = 0; i < n; i++) {
		ret = del(pos, i, 4);
		if (ret)
			break;
	}
	say("ioeventfd %s removed %d = %s", at(pos), i, result(ret));
}

static void open_event(void)
{
	event = eventfd(0, EFD_NONBLOCK);
	VFIO_ASSERT_GE(event, 0);
}

void stage_ioeventfd(void)
{
	const struct scratch *s;
	u32 index;

	open_event();
	for (index = 0; index < subject.num_regions + 4; index++)
		places(index, false);
	far_places();
	arguments(0);
	for (s = next_scratch(NULL); s; s = next_scratch(s))
		fire_at(s);
	for (index = 0; index < 6; index++)
		if (subject.size[index])
			too_many((u64)index << REGION_SHIFT);
	close(event);
}

void brief_ioeventfd(void)
{
	const struct scratch *s;
	u32 index;

	open_event();
	for (index = 0; index < subject.num_regions + 2; index++)
		places(index, true);
	for (s = next_scratch(NULL); s; s = next_scratch(s))
		fire_at(s);
	close(event);
}
