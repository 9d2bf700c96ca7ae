// SPDX-License-Identifier: GPL-2.0-only
/*
 * Config space: read at every byte in many sizes.  Write several patterns at
 * every byte, read the result, and restore the old value.
 */
#include "region_diff.h"

#define BASE	((u64)VFIO_PCI_CONFIG_REGION_INDEX << REGION_SHIFT)

static u8 saved[PCI_CFG_SPACE_EXP_SIZE];

/* Past the first 256 bytes, only test capabilities and the bytes after them */
static bool worth_it(u32 offset)
{
	u32 i;

	if (offset < PCI_CFG_SPACE_SIZE)
		return true;
	for (i = 0; i < 0x20; i++)
		if (saved[offset - i])
			return true;
	return offset >= subject.size[VFIO_PCI_CONFIG_REGION_INDEX] - 4;
}

static void dump(void)
{
	u32 i;

	for (i = 0; i < subject.size[VFIO_PCI_CONFIG_REGION_INDEX]; i += 16)
		case_read(BASE + i, 16);
}

static void read_all(void)
{
	static const size_t sizes[] = { 1, 2, 3, 4, 5, 6, 7, 8, 13, 16, 64 };
	u32 i, j;

	for (i = 0; i < subject.size[VFIO_PCI_CONFIG_REGION_INDEX]; i++) {
		if (!worth_it(i))
			continue;
		for (j = 0; j < NUM(sizes); j += i < PCI_CFG_SPACE_SIZE ? 1 : 3)
			case_read(BASE + i, sizes[j]);
	}
}

static void put_back(u32 offset, size_t n)
{
	u32 size = subject.size[VFIO_PCI_CONFIG_REGION_INDEX];
	u32 i;

	/* Restore D0 first: a device in D3 may drop the other writes */
	if (subject.pm && offset + n > subject.pm && offset < subject.pm + PCI_PM_SIZEOF)
		do_pwrite(subject.fd, saved + subject.pm + PCI_PM_CTRL, 2,
			  BASE + subject.pm + PCI_PM_CTRL);
	for (i = offset & ~3; i < offset + n && i < size; i += 4)
		do_pwrite(subject.fd, saved + i, 4, BASE + i);
	do_pwrite(subject.fd, saved + PCI_COMMAND, 2, BASE + PCI_COMMAND);
}

static void write_one(u32 offset, size_t n, int pattern)
{
	u8 value[8], now[16];
	u64 start = offset & ~3;
	long ret;
	size_t i;

	for (i = 0; i < n; i++) {
		switch (pattern) {
		case 0:
			value[i] = 0x00;
			break;
		case 1:
			value[i] = 0xff;
			break;
		case 2:
			value[i] = 0xa5 + 0x3d * (offset + i);
			break;
		default:
			value[i] = ~saved[offset + i];
			break;
		}
	}
	ret = do_pwrite(subject.fd, value, n, BASE + offset);
	memset(now, POISON, sizeof(now));
	if (start + sizeof(now) > subject.size[VFIO_PCI_CONFIG_REGION_INDEX])
		start = subject.size[VFIO_PCI_CONFIG_REGION_INDEX] - sizeof(now);
	do_pread(subject.fd, now, sizeof(now), BASE + start);
	say("cw %#x n=%zu pattern %d = %s now %s command %04x", offset, n, pattern, result(ret),
	    data(now, sizeof(now)), config_get(PCI_COMMAND, 2));
	put_back(offset, n);
}

static void write_all(void)
{
	static const size_t sizes[] = { 1, 2, 3, 4, 8 };
	u32 size = subject.size[VFIO_PCI_CONFIG_REGION_INDEX];
	u32 i, j;
	int pattern;

	for (i = 0; i < size; i++) {
		if (!worth_it(i))
			continue;
		for (j = 0; j < NUM(sizes); j++) {
			bool header = i < PCI_CFG_SPACE_SIZE;

			if (i + sizes[j] > size)
				continue;
			for (pattern = 0; pattern < 4; pattern++)
				if (header || (j % 2 == 1 && pattern == 1))
					write_one(i, sizes[j], pattern);
		}
	}
}

/* Size the BARs and the ROM as firmware does */
static void size_bars(void)
{
	static const u32 values[] = { 0xffffffff, 0, 0xfffffff0, 0xdeadbeef, 0x1 };
	u32 offset, i;

	for (offset = PCI_BASE_ADDRESS_0; offset <= PCI_ROM_ADDRESS; offset += 4) {
		if (offset > PCI_BASE_ADDRESS_5 && offset < PCI_ROM_ADDRESS)
			continue;
		for (i = 0; i < NUM(values); i++) {
			config_set(offset, 4, values[i]);
			say("bar %#x sized with %#x = %#x", offset, values[i],
			    config_get(offset, 4));
			config_set(offset + 1, 2, values[i]);
			say("bar %#x sized in the middle = %#x", offset, config_get(offset, 4));
			put_back(offset, 4);
		}
	}
}

void stage_config(void)
{
	long ret = do_pread(subject.fd, saved, sizeof(saved), BASE);

	if (ret < 0)
		ret = do_pread(subject.fd, saved, PCI_CFG_SPACE_SIZE, BASE);
	VFIO_ASSERT_GT(ret, 0);
	dump();
	read_all();
	size_bars();
	if (!subject.quick)
		write_all();
	device_settle_reset();
	dump();
}
