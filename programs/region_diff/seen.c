// SPDX-License-Identifier: GPL-2.0-only
/*
 * Access BARs by read() and write() only, in the same way on every run.  QEMU
 * traces the accesses that reach the device; the transcript has the results.
 */
#include "region_diff.h"

static void seen_region(u32 index)
{
	static const size_t sizes[] = {
		1, 2, 3, 4, 5, 7, 8, 9, 12, 15, 16, 17, 33, 65, 257, 600, 4096
	};
	u64 base = (u64)index << REGION_SHIFT;
	struct points p;
	size_t i, j;

	points_of_region(&p, index, false);
	for (i = 0; i < p.num; i++) {
		if (p.at[i] >= subject.size[index])
			continue;
		/* Use the largest size at every fourth point only: it fills the trace */
		for (j = 0; j < NUM(sizes) - !!(i % 4); j++) {
			case_read(base + p.at[i], sizes[j]);
			case_write(base + p.at[i], sizes[j]);
		}
	}
	case_read(base, MAX_RW);
	case_write(base, MAX_RW);
}

void stage_seen(void)
{
	u32 index;

	for (index = 0; index < 6; index++)
		if (subject.size[index])
			seen_region(index);
	in_state("fault");
	for (index = 0; index < 6; index++)
		if (subject.size[index])
			fault_region(index, true);
}
