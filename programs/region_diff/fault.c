// SPDX-License-Identifier: GPL-2.0-only
/*
 * User buffers that fault at once or after some bytes.  The bytes that the call
 * transfers before the fault are part of the ABI.
 */
#include "region_diff.h"

static const size_t good_bytes[] = {
	0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 15, 16, 17, 20, 24, 31, 32, 33, 60, 63, 64, 65, 100,
	127, 128, 129, 255, 256, 257, 500, 511, 512, 513, 1000, 1023, 1024, 2047, 2048,
	4000, 4095, 4096, 5000, 8192
};

static const size_t bad_bytes[] = { 1, 4, 13, 4096 };

static const size_t hole_before[] = { 1, 4, 8, 13, 64, 255 };

static void read_until_fault(u64 pos, size_t good, size_t n)
{
	u8 *buf = buffer_ending_after(good, true);
	long ret = do_pread(subject.fd, buf, n, pos);

	hide_volatile(buf, good, pos);
	say("rd %s n=%zu good=%zu = %s %s", at(pos), n, good, result(ret), data(buf, good));
}

static void write_until_fault(u64 pos, size_t good, size_t n)
{
	u8 *buf = buffer_ending_after(good, true);
	u64 start = pos & ~7ULL;
	u8 now[256 + GUARD];
	long ret;

	fill_for_write(buf, good, pos);
	ret = do_pwrite(subject.fd, buf, n, pos);
	device_settle(pos, good);
	memset(now, POISON, sizeof(now));
	if (do_pread(subject.fd, now, sizeof(now), start) > 0)
		hide_volatile(now, sizeof(now), start);
	say("wr %s n=%zu good=%zu = %s now %s", at(pos), n, good, result(ret),
	    data(now, sizeof(now)));
	if (pos >> REGION_SHIFT == VFIO_PCI_CONFIG_REGION_INDEX)
		restore_command();
}

static void with_hole(u64 pos, size_t before)
{
	u8 *buf = buffer_with_hole(before, 64);
	long ret = do_pread(subject.fd, buf, before + PAGE + 64, pos);

	hide_volatile(buf, before, pos);
	hide_volatile(buf + before + PAGE, 64, pos + before + PAGE);
	say("rd %s hole after %zu = %s %s and %s", at(pos), before, result(ret), data(buf, before),
	    data(buf + before + PAGE, 64));

	buf = buffer_with_hole(before, 64);
	fill_for_write(buf, before, pos);
	fill_for_write(buf + before + PAGE, 64, pos + before + PAGE);
	ret = do_pwrite(subject.fd, buf, before + PAGE + 64, pos);
	device_settle(pos, before);
	say("wr %s hole after %zu = %s", at(pos), before, result(ret));
	readback(pos, before + PAGE + 64);
}

static void bad_pointers(u64 pos)
{
	static const size_t sizes[] = { 0, 1, 2, 4, 8, 64, 4096 };
	const char *name;
	unsigned int i;
	size_t j;
	void *buf;
	long ret;

	for (i = 0; buf = buffer_bad(i, &name), name; i++) {
		for (j = 0; j < NUM(sizes); j++) {
			ret = do_pread(subject.fd, buf, sizes[j], pos);
			say("rd %s n=%zu to %s = %s", at(pos), sizes[j], name, result(ret));
			ret = do_pwrite(subject.fd, buf, sizes[j], pos);
			say("wr %s n=%zu from %s = %s", at(pos), sizes[j], name, result(ret));
		}
	}

	/* pread() into a read-only buffer */
	for (j = 0; j < NUM(sizes); j++) {
		buf = buffer_ending_after(sizes[j] + 8, false);
		ret = do_pread(subject.fd, buf, sizes[j], pos);
		say("rd %s n=%zu to read-only = %s %s", at(pos), sizes[j], result(ret),
		    data(buf, sizes[j]));
	}
	readback(pos, 64);
}

static void fault_points(struct points *p, u32 index)
{
	u64 size = subject.size[index];
	size_t i, num = 0;
	const s64 want[] = {
		0, 1, 4, 6, 0x24, 0x80, 0x85, 0x88, 0x100, 0x3b0, 0x3c1, 0x1000, 0x5202,
		0x5c00, 0xa0000, 0xa0003, size / 2 - 4, size - 64, size - 9, size - 4,
		subject.msix_start - 64, subject.msix_start - 7, subject.msix_start - 4,
		subject.msix_start, subject.msix_start + 5,
		subject.msix_end - 8, subject.msix_end - 3, subject.msix_end,
	};
	size_t end = (int)index == subject.msix_bar ? NUM(want) : NUM(want) - 8;

	for (i = 0; i < end; i++)
		if (want[i] >= 0 && want[i] < (s64)size)
			p->at[num++] = want[i];
	p->num = num;
}

void fault_region(u32 index, bool few)
{
	u64 base = (u64)index << REGION_SHIFT;
	struct points p;
	size_t i, g, b, step = few ? 5 : 1;

	fault_points(&p, index);
	for (i = 0; i < p.num; i += few ? 3 : 1) {
		u64 pos = base + p.at[i];

		for (g = 0; g < NUM(good_bytes); g += step) {
			for (b = 0; b < NUM(bad_bytes); b += few || i % 2 ? 2 : 1) {
				size_t n = good_bytes[g] + bad_bytes[b];

				read_until_fault(pos, good_bytes[g], n);
				write_until_fault(pos, good_bytes[g], n);
			}
		}
		for (g = 0; g < NUM(hole_before); g += few ? 3 : 1)
			with_hole(pos, hole_before[g]);
		if (!few || !i)
			bad_pointers(pos);
	}
}

static void fault(bool few)
{
	u32 index;

	for (index = 0; index < subject.num_regions; index++)
		if (subject.size[index])
			/* QEMU emulates each byte of VGA memory: few cases are enough */
			fault_region(index, few || index == VFIO_PCI_VGA_REGION_INDEX);
	if (few)
		return;
	/* Outside of all regions, the kernel must not use the pointer */
	bad_pointers((u64)subject.num_regions << REGION_SHIFT);
	bad_pointers(0x7fffffULL << REGION_SHIFT);
	for (index = 0; index < subject.num_regions; index++)
		bad_pointers(((u64)index << REGION_SHIFT) + subject.size[index]);
}

void stage_fault(void)
{
	fault(subject.quick);
}

void brief_fault(void)
{
	fault(true);
}
