// SPDX-License-Identifier: GPL-2.0-only
/*
 * Access the regions that a driver adds: every offset, in every register width
 * and in some larger sizes.  On Intel graphics, also access the ASLS register,
 * which the driver overrides.
 */
#include "region_diff.h"

#define LINE		64	/* offsets per line of the transcript */
#define BEYOND		16	/* bytes read past the end of a region */
#define LARGE		0x10000	/* larger regions are read at both ends only */

#define INTEL		0x8086
#define CLASS_DISPLAY	0x03
#define ASLS		0xfc	/* OpRegion address */

static const size_t sizes[] = { 1, 2, 3, 4, 7, 8, 64, 4099 };

static u8 buffer[MAX_RW + GUARD];

static u64 mix(u64 h, const void *buf, size_t n)
{
	const u8 *p = buf;

	while (n--)
		h = (h ^ *p++) * 0x100000001b3ULL;
	return h;
}

/* Read at LINE offsets; print one hash of all results and data */
static void read_line(u64 pos, size_t n)
{
	u64 h = 0xcbf29ce484222325ULL;
	long last = 0, failed = 0;
	u64 end;

	for (end = pos + LINE; pos < end; pos++) {
		long ret;

		memset(buffer, POISON, n + GUARD);
		ret = do_pread(subject.fd, buffer, n, pos);
		h = mix(h, &ret, sizeof(ret));
		h = mix(h, buffer, n + GUARD);
		if (ret < 0) {
			failed++;
			last = ret;
		}
	}
	say("rd before %s n=%zu = %016llx, %ld failed %s", at(end), n, (unsigned long long)h,
	    failed, result(last));
}

/* Return the offset after @pos; skip the middle of a large region */
static u64 after(u64 pos, u64 step, u64 size)
{
	pos += step;
	if (size > LARGE && pos >= LARGE / 2 && pos < size - LARGE / 2)
		return size - LARGE / 2;

	return pos;
}

static void read_all_of(u32 index)
{
	u64 base = (u64)index << REGION_SHIFT;
	u64 size = subject.size[index];
	size_t i;
	u64 pos;

	for (i = 0; i < NUM(sizes); i++)
		for (pos = 0; pos < size + BEYOND; pos = after(pos, LINE, size))
			read_line(base + pos, sizes[i]);

	/* Large reads, also past the end */
	for (pos = 0; pos < size; pos = after(pos, MAX_RW, size)) {
		case_read(base + pos, MAX_RW);
		if (size - pos < MAX_RW)
			case_read(base + pos, size - pos);
	}
}

static void write_some_of(u32 index)
{
	u64 base = (u64)index << REGION_SHIFT;
	u64 size = subject.size[index];
	size_t i;

	for (i = 0; i < NUM(sizes); i++) {
		case_write(base, sizes[i]);
		case_write(base + size / 2 + i, sizes[i]);
		case_write(base + size - 1, sizes[i]);
		case_write(base + size, sizes[i]);
	}
}

/* Write each part of the register, then read it and its neighbours */
static void sweep_asls(void)
{
	u64 base = (u64)VFIO_PCI_CONFIG_REGION_INDEX << REGION_SHIFT;
	u32 asls = config_get(ASLS, 4);
	u64 pos;
	size_t n;

	for (pos = ASLS - 4; pos < ASLS + 4; pos++)
		for (n = 1; n <= 8; n++)
			case_read(base + pos, n);
	for (pos = ASLS; pos < ASLS + 4; pos++) {
		for (n = 1; n <= ASLS + 4 - pos; n++) {
			long ret;

			memset(buffer, 0x11 * n + pos, n);
			ret = do_pwrite(subject.fd, buffer, n, base + pos);
			say("wr %s n=%zu = %s", at(base + pos), n, result(ret));
			case_read(base + ASLS - 4, 8);
		}
	}
	/* Restore the value: the device itself may keep it after close */
	config_set(ASLS, 4, asls);
}

void stage_added(void)
{
	u32 index;

	brief_info();
	for (index = VFIO_PCI_NUM_REGIONS; index < subject.num_regions; index++) {
		read_all_of(index);
		write_some_of(index);
	}
	brief_mmap();
	brief_ioeventfd();
	if (config_get(PCI_VENDOR_ID, 2) == INTEL &&
	    config_get(PCI_CLASS_DEVICE + 1, 1) == CLASS_DISPLAY)
		sweep_asls();
}
