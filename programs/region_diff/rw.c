// SPDX-License-Identifier: GPL-2.0-only
/* read() and write() at all interesting offsets, in all sizes. */
#include "region_diff.h"

static u8 buffer[MAX_RW + GUARD];

/* Invalid region indexes, up to the largest that fits into an offset */
static const u32 far_indexes[] = { 16, 255, 256, 0x7fff, 0x8000, 0x7ffffe, 0x7fffff };

/* Offsets that are negative, or overflow when the size is added */
static const u64 far_offsets[] = {
	-1ULL, -2ULL, -4ULL, -8ULL, -4096ULL, -1ULL << REGION_SHIFT,
	(-1ULL << REGION_SHIFT) + 4, 1ULL << 63, (1ULL << 63) + 8, ~(1ULL << 63),
	(1ULL << 63) - 4, (1ULL << 63) - 8, (1ULL << 63) - 4096,
};

void case_read(u64 pos, size_t n)
{
	long ret;

	memset(buffer, POISON, n + GUARD);
	ret = do_pread(subject.fd, buffer, n, pos);
	hide_volatile(buffer, n, pos);
	say("rd %s n=%zu = %s %s", at(pos), n, result(ret), data(buffer, n + GUARD));
}

/* Read and print the surroundings of a write */
void readback(u64 pos, size_t n)
{
	u64 start = pos & ~7ULL;

	n = (n + (pos - start) + 16) & ~7UL;
	if (n > MAX_RW)
		n = MAX_RW;
	case_read(start, n);
}

void case_write(u64 pos, size_t n)
{
	u8 window[40];
	u64 start = pos & ~7ULL;
	long ret;

	fill_for_write(buffer, n, pos);
	ret = do_pwrite(subject.fd, buffer, n, pos);
	device_settle(pos, n);
	if (n > 17) {
		say("wr %s n=%zu = %s", at(pos), n, result(ret));
		return;
	}
	memset(window, POISON, sizeof(window));
	if (do_pread(subject.fd, window, sizeof(window), start) > 0)
		hide_volatile(window, sizeof(window), start);
	say("wr %s n=%zu = %s now %s", at(pos), n, result(ret), data(window, sizeof(window)));
}

/* Restore the command register after a write to config space */
void restore_command(void)
{
	u16 now;
	long ret;

	ret = do_pread(subject.fd, &now, 2,
		       ((u64)VFIO_PCI_CONFIG_REGION_INDEX << REGION_SHIFT) + PCI_COMMAND);
	if (ret == 2 && now != subject.command)
		config_set(PCI_COMMAND, 2, subject.command);
}

static void sweep_region(u32 index, bool write, bool few)
{
	u64 base = (u64)index << REGION_SHIFT;
	bool real = index < MAX_REGIONS && subject.size[index];
	const size_t *sizes = few || !real ? sizes_few : sizes_all;
	struct points p;
	size_t i, j;

	points_of_region(&p, index, few);
	for (i = 0; i < p.num; i++) {
		for (j = 0; sizes[j] != SIZES_END; j++) {
			if (write)
				case_write(base + p.at[i], sizes[j]);
			else
				case_read(base + p.at[i], sizes[j]);
		}
		/* Print the result of all these writes once */
		if (write && real)
			readback(base + p.at[i], 4096);
	}
	if (write && index == VFIO_PCI_CONFIG_REGION_INDEX)
		restore_command();
}

static void sweep(bool write, bool few)
{
	size_t i, j;
	u32 index;

	for (index = 0; index < subject.num_regions + 4; index++)
		sweep_region(index, write, few);
	if (few)
		return;
	for (i = 0; i < NUM(far_indexes); i++)
		sweep_region(far_indexes[i], write, few);
	for (i = 0; i < NUM(far_offsets); i++)
		for (j = 0; sizes_few[j] != SIZES_END; j++)
			if (write)
				case_write(far_offsets[i], sizes_few[j]);
			else
				case_read(far_offsets[i], sizes_few[j]);
}

void stage_read(void)
{
	sweep(false, subject.quick);
}

void stage_write(void)
{
	sweep(true, subject.quick);
}

void brief_rw(void)
{
	sweep(false, true);
	sweep(true, true);
}
