// SPDX-License-Identifier: GPL-2.0-only
/* Offsets and sizes where the behaviour of a region may change. */
#include "region_diff.h"

const size_t sizes_all[] = {
	0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128,
	255, 256, 257, 511, 512, 1023, 4095, 4096, 4097, 65535, 65536, SIZES_END
};

const size_t sizes_few[] = { 0, 1, 2, 3, 4, 8, 15, 64, 4096, SIZES_END };

static void add(struct points *p, s64 at)
{
	size_t i;

	if (at < 0 || at >= (s64)REGION_SPACE)
		return;
	for (i = 0; i < p->num; i++)
		if (p->at[i] == (u64)at)
			return;
	VFIO_ASSERT_LT(p->num, NUM(p->at));
	p->at[p->num++] = at;
}

static void add_around(struct points *p, u64 edge, const int *distance, size_t num)
{
	size_t i;

	for (i = 0; i < num; i++)
		add(p, (s64)edge + distance[i]);
}

#define ADD_AROUND(p, edge, ...) do {					\
	static const int _d[] = { __VA_ARGS__ };			\
	add_around(p, edge, _d, NUM(_d));		\
} while (0)

static void points_vga(struct points *p)
{
	ADD_AROUND(p, 0x3b0, -1, 0, 1, 10, 11, 12);
	ADD_AROUND(p, 0x3c0, -1, 0, 1, 4, 5);
	ADD_AROUND(p, 0x3e0, -8, -4, -1, 0, 1);
	ADD_AROUND(p, 0xa0000, -4, -1, 0, 1, 2, 3, 4, 8);
	ADD_AROUND(p, 0xc0000, -64, -8, -4, -3, -2, -1, 0);
}

/* The region has no size */
static void points_none(struct points *p)
{
	ADD_AROUND(p, 0, 0, 1, 4, 8, 0xfff, 0x1000);
	ADD_AROUND(p, REGION_SPACE, -8, -4, -1);
}

void points_of_region(struct points *p, u32 index, bool few)
{
	u64 size = index < MAX_REGIONS ? subject.size[index] : 0;

	p->num = 0;
	if (!size) {
		points_none(p);
		return;
	}

	if (few) {
		ADD_AROUND(p, 0, 0, 1, 2, 4, 8, 0x80);
		ADD_AROUND(p, size, -8, -3, -1, 0, 1);
	} else {
		ADD_AROUND(p, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 15, 16, 31, 32, 63, 64,
			   0x80, 0x81, 0x84, 0xff, 0x100, 0x101);
		ADD_AROUND(p, PAGE, -8, -4, -3, -2, -1, 0, 1, 4);
		ADD_AROUND(p, size / 2, -4, -1, 0);
		ADD_AROUND(p, size, -4097, -257, -64, -17, -16, -9, -8, -7, -6, -5, -4, -3, -2,
			   -1, 0, 1, 2, 3, 4, 7, 8, 16, 4095, 4096);
		ADD_AROUND(p, REGION_SPACE, -65536, -9, -8, -7, -4, -3, -2, -1);
	}

	if ((int)index == subject.msix_bar && few) {
		ADD_AROUND(p, subject.msix_start, -4, 0, 3);
		ADD_AROUND(p, subject.msix_end, -5, 0);
	} else if ((int)index == subject.msix_bar) {
		ADD_AROUND(p, subject.msix_start, -64, -16, -9, -8, -7, -6, -5, -4, -3, -2, -1,
			   0, 1, 2, 4, 7, 8);
		ADD_AROUND(p, subject.msix_end, -16, -9, -8, -5, -4, -3, -2, -1, 0, 1, 2, 4, 8);
	}

	if (index == VFIO_PCI_VGA_REGION_INDEX)
		points_vga(p);
}
