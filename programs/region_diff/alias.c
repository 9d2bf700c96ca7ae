// SPDX-License-Identifier: GPL-2.0-only
/*
 * Use a mapping of the device as the buffer of an access.  The copy faults, and
 * the fault handler needs locks that the access may hold.  The access width of
 * such a copy is not ABI, so the transcript shows data only for registers that
 * behave like memory.
 */
#include <sys/mman.h>

#include "region_diff.h"

#define MAX_COPY (2 * PAGE)

/* Create a mapping without page table entries, so that the copy faults */
static u8 *fresh_map(u32 index)
{
	u8 *map = mmap(NULL, MAX_COPY, PROT_READ | PROT_WRITE, MAP_SHARED, subject.fd,
		       (u64)index << REGION_SHIFT);

	return map == MAP_FAILED ? NULL : map;
}

static void copy(const struct scratch *s, u32 to, u64 offset, size_t n)
{
	u64 pos = ((u64)to << REGION_SHIFT) + offset;
	u8 *map = fresh_map(s->region);
	long ret;

	if (!map) {
		say("alias %s of region %u = %s", at(pos), s->region, result(-errno));
		return;
	}
	ret = do_pwrite(subject.fd, map + s->offset % PAGE, n, pos);
	device_settle(pos, n);
	say("wr %s n=%zu from region %u+%#x = %s", at(pos), n, s->region, s->offset, result(ret));
	restore_command();
	munmap(map, MAX_COPY);
}

static void copy_back(const struct scratch *s, u32 from, u64 offset, size_t n)
{
	u64 pos = ((u64)from << REGION_SHIFT) + offset;
	u8 *map = fresh_map(s->region);
	long ret;

	if (!map)
		return;
	ret = do_pread(subject.fd, map + s->offset % PAGE, n, pos);
	device_settle(((u64)s->region << REGION_SHIFT) + s->offset, n);
	say("rd %s n=%zu to region %u+%#x = %s", at(pos), n, s->region, s->offset, result(ret));
	munmap(map, MAX_COPY);
}

/* Write the command register from a mapped register of the device */
static void command_from(const struct scratch *s, u16 command)
{
	if (s->width < 2)
		return;
	set_scratch(s, command);
	copy(s, VFIO_PCI_CONFIG_REGION_INDEX, PCI_COMMAND, 2);
	config_set(PCI_COMMAND, 2, subject.command);
}

/*
 * Copy the device's memory onto itself, where the order of the bytes matters.
 * Then copy it to config space, where a write to the command register can
 * disable the rest of the buffer.
 */
static void copy_memory(const struct scratch *s)
{
	static const size_t sizes[] = { 12, 16, 31, 64, 256, 1000, PAGE };
	static const u64 from[] = { 0, PCI_COMMAND - 2, PCI_COMMAND, PCI_CACHE_LINE_SIZE };
	u64 start = ((u64)s->region << REGION_SHIFT) + s->offset % PAGE;
	static u8 buf[MAX_COPY];
	size_t i, j;
	int up;

	for (i = 0; i < NUM(sizes); i++) {
		for (up = 0; up < 2; up++) {
			struct scratch moved = *s;

			fill_for_write(buf, sizeof(buf) - PAGE, start);
			do_pwrite(subject.fd, buf, sizeof(buf) - PAGE, start);
			moved.offset = s->offset % PAGE + (up ? 12 : 0);
			copy(&moved, s->region, s->offset % PAGE + (up ? 0 : 12), sizes[i]);
			copy_back(&moved, s->region, s->offset % PAGE + (up ? 0 : 8), sizes[i]);
			do_pread(subject.fd, buf, sizeof(buf) - PAGE, start);
			say("memory %s = %s", at(start), data(buf, sizeof(buf) - PAGE));
		}

		for (j = 0; j < NUM(from); j++) {
			u64 pos = ((u64)VFIO_PCI_CONFIG_REGION_INDEX << REGION_SHIFT) + from[j];
			int on;

			if (sizes[i] > PCI_STD_HEADER_SIZEOF - from[j])
				continue;
			for (on = 0; on < 2; on++) {
				u16 command = subject.command & ~(on ? 0 : PCI_COMMAND_MEMORY);

				fill_for_write(buf, sizes[i], pos);
				if (from[j] <= PCI_COMMAND)
					memcpy(buf + PCI_COMMAND - from[j], &command, 2);
				do_pwrite(subject.fd, buf, sizes[i], start);
				copy(s, VFIO_PCI_CONFIG_REGION_INDEX, from[j], sizes[i]);
			}
		}
	}
}

void stage_alias(void)
{
	static const size_t sizes[] = { 1, 2, 4, 8, 16 };
	const struct scratch *s;
	size_t i;

	for (s = next_scratch(NULL); s; s = next_scratch(s)) {
		if (s->offset >= MAX_COPY - 16)
			continue;
		for (i = 0; i < NUM(sizes) && sizes[i] <= s->width; i++) {
			u16 off = subject.command & ~PCI_COMMAND_MEMORY;

			copy(s, s->region, s->offset, sizes[i]);
			copy_back(s, s->region, s->offset, sizes[i]);
			copy(s, VFIO_PCI_CONFIG_REGION_INDEX, PCI_INTERRUPT_LINE, sizes[i]);
			copy_back(s, VFIO_PCI_CONFIG_REGION_INDEX, PCI_INTERRUPT_LINE, sizes[i]);

			/* With memory decode off, the buffer faults */
			config_set(PCI_COMMAND, 2, off);
			copy(s, VFIO_PCI_CONFIG_REGION_INDEX, PCI_INTERRUPT_LINE, sizes[i]);
			config_set(PCI_COMMAND, 2, off);
			copy_back(s, VFIO_PCI_CONFIG_REGION_INDEX, PCI_INTERRUPT_LINE, sizes[i]);
			config_set(PCI_COMMAND, 2, subject.command);
		}
		command_from(s, subject.command);
		command_from(s, subject.command & ~PCI_COMMAND_MEMORY);
		set_scratch(s, 0);
		if (s->memory)
			copy_memory(s);
	}
}
