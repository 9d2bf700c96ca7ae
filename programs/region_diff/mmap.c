// SPDX-License-Identifier: GPL-2.0-only
/* Map every region; print the flags of the mapping and the data in it. */
#include <sys/mman.h>

#include "region_diff.h"

/* Number of accesses to each mapping */
#define MAX_TOUCH 8

struct touch {
	u32 *where;
	u32 value;
	bool write;
};

static void touch(void *arg)
{
	struct touch *t = arg;

	if (t->write)
		WRITE_ONCE(*t->where, t->value);
	else
		t->value = READ_ONCE(*t->where);
}

static u32 read_through(u8 *map, u64 pos, size_t offset, int *sig)
{
	struct touch t = { .where = (void *)(map + offset) };

	*sig = catch_faults(touch, &t);
	if (*sig)
		return 0;
	hide_volatile(&t.value, 4, pos + offset);
	return t.value;
}

/* Return VmFlags of the mapping; needs CONFIG_PROC_PAGE_MONITOR */
static const char *vm_flags(void *map)
{
	static char flags[128];
	unsigned long start, end;
	bool here = false;
	char line[512];
	FILE *f;

	f = fopen("/proc/self/smaps", "r");
	VFIO_ASSERT_NOT_NULL(f);
	flags[0] = '\0';
	while (!flags[0] && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx-%lx ", &start, &end) == 2) {
			here = start <= (unsigned long)map && (unsigned long)map < end;
		} else if (here && !strncmp(line, "VmFlags: ", 9)) {
			line[strcspn(line, "\n")] = '\0';
			snprintf(flags, sizeof(flags), "%.100s", line + 9);
		}
	}
	fclose(f);
	VFIO_ASSERT_NE(flags[0], '\0');
	return flags;
}

static void touch_mapping(u8 *map, u64 pos, size_t len)
{
	size_t offsets[MAX_TOUCH] = {
		0, 4, 0x24, 0x80, len / 2, len - PAGE, len - 8, len - 4
	};
	int i, sig;

	for (i = 0; i < MAX_TOUCH; i++) {
		u32 value = read_through(map, pos, offsets[i], &sig);

		say("  %s = %#x signal %d", at(pos + offsets[i]), value, sig);
	}
}

static void map_one(u64 pos, size_t len, int prot, int flags)
{
	u8 *map = mmap(NULL, len, prot, flags, subject.fd, pos);
	long ret = map == MAP_FAILED ? -errno : 0;

	say("mmap %s len %#zx prot %d flags %d = %s %s", at(pos), len, prot, flags, result(ret),
	    ret ? "" : vm_flags(map));
	if (ret)
		return;
	touch_mapping(map, pos, (len + PAGE - 1) & ~(PAGE - 1));
	ret = munmap(map, len);
	if (ret)
		say("munmap = %s", result(-errno));
}

static void maps_of_region(u32 index)
{
	static const int prots[] = {
		PROT_NONE, PROT_READ, PROT_WRITE, PROT_READ | PROT_WRITE, PROT_READ | PROT_EXEC
	};
	static const int flags[] = { MAP_SHARED, MAP_PRIVATE, MAP_SHARED | MAP_POPULATE };
	u64 base = (u64)index << REGION_SHIFT;
	u64 size = index < subject.num_regions ? subject.size[index] : 0;
	u64 pages = (size + PAGE - 1) & ~(PAGE - 1);
	u64 starts[] = { 0, PAGE, 2 * PAGE, pages / 2, pages - PAGE, pages, pages + PAGE, 1,
			 0x80, REGION_SPACE - PAGE };
	u64 lens[] = { 0, 1, 0x100, PAGE, PAGE + 1, 2 * PAGE, 4 * PAGE, pages / 2, pages - PAGE,
		       pages, pages + 1, pages + PAGE };
	size_t i, j;

	for (i = 0; i < NUM(starts); i++) {
		if ((s64)starts[i] < 0)
			continue;
		for (j = 0; j < NUM(lens); j++)
			if ((s64)lens[j] >= 0)
				map_one(base + starts[i], lens[j], PROT_READ, MAP_SHARED);
	}
	for (i = 0; i < NUM(prots); i++)
		for (j = 0; j < NUM(flags); j++)
			map_one(base, PAGE, prots[i], flags[j]);
}

/* mremap(), mprotect(), madvise(), msync() and munmap() of a mapping */
static void later_calls(u32 index)
{
	u64 base = (u64)index << REGION_SHIFT;
	u64 size = (subject.size[index] + PAGE - 1) & ~(PAGE - 1);
	long ret;
	u8 *map;
	void *other;

	map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, subject.fd, base);
	if (map == MAP_FAILED)
		return;
	other = mremap(map, size, size + PAGE, MREMAP_MAYMOVE);
	say("mremap %u larger = %s", index, result(other == MAP_FAILED ? -errno : 0));
	ret = mprotect(map, PAGE, PROT_READ) ? -errno : 0;
	say("mprotect %u = %s %s", index, result(ret), vm_flags(map));
	ret = madvise(map, size, MADV_DONTNEED) ? -errno : 0;
	say("madvise %u dontneed = %s", index, result(ret));
	ret = madvise(map, size, MADV_DODUMP) ? -errno : 0;
	say("madvise %u dodump = %s", index, result(ret));
	ret = msync(map, size, MS_SYNC) ? -errno : 0;
	say("msync %u = %s", index, result(ret));
	if (size > PAGE) {
		munmap(map, PAGE);
		touch_mapping(map + PAGE, base + PAGE, PAGE);
		munmap(map + PAGE, size - PAGE);
	} else {
		munmap(map, size);
	}
}

/* Write a register through the mapping, and read it by pread() */
static void write_through(const struct scratch *s)
{
	u64 pos = ((u64)s->region << REGION_SHIFT) + (s->offset & ~(PAGE - 1));
	struct touch t = { .write = true };
	int i, sig;
	u8 *map;

	map = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, subject.fd, pos);
	if (map == MAP_FAILED) {
		say("scratch %s = %s", at(pos), result(-errno));
		return;
	}
	for (i = 0; i < 4; i++) {
		t.where = (void *)(map + (s->offset & (PAGE - 1) & ~3));
		t.value = 0x11223344 * (i + 1);
		sig = catch_faults(touch, &t);
		say("scratch %s written through map, signal %d now %s",
		    at(((u64)s->region << REGION_SHIFT) + s->offset), sig, show_scratch(s));
	}
	munmap(map, PAGE);
}

void stage_mmap(void)
{
	static const u32 far_indexes[] = { 16, 255, 0x7fff, 0x7fffff };
	const struct scratch *s;
	u32 index;

	for (index = 0; index < subject.num_regions + 2; index++) {
		maps_of_region(index);
		if (index < subject.num_regions && subject.size[index])
			later_calls(index);
	}
	for (index = 0; index < NUM(far_indexes); index++)
		map_one((u64)far_indexes[index] << REGION_SHIFT, PAGE, PROT_READ, MAP_SHARED);
	for (s = next_scratch(NULL); s; s = next_scratch(s))
		write_through(s);
}

void brief_mmap(void)
{
	const struct scratch *s;
	u32 index;

	for (index = 0; index < subject.num_regions + 1; index++) {
		u64 size = index < subject.num_regions ? subject.size[index] : 0;

		map_one((u64)index << REGION_SHIFT, size ? size : PAGE, PROT_READ, MAP_SHARED);
	}
	for (s = next_scratch(NULL); s; s = next_scratch(s))
		write_through(s);
}
