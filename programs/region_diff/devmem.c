// SPDX-License-Identifier: GPL-2.0-only
/*
 * Device memory in BAR 2 and BAR 4: cache attributes and page sizes of mappings, and
 * accesses while the device is not ready.  The kernel shows the page tables in debugfs.
 */
#include <sys/mman.h>

#include "region_diff.h"

#define PAGE_TABLES	"/sys/kernel/debug/page_tables/current_kernel"
#define HUGE		(2UL << 20)

static void touch(void *arg)
{
	(void)READ_ONCE(*(u32 *)arg);
}

/* Print the entries of a mapping, by their offset in it */
static void show_page_tables(u8 *map, u64 len)
{
	unsigned long start, end, first = (unsigned long)map, last = first + len;
	char line[256], attributes[200];
	FILE *f = fopen(PAGE_TABLES, "r");

	VFIO_ASSERT_NOT_NULL(f);
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "0x%lx-0x%lx %*s %199[^\n]", &start, &end, attributes) != 3 ||
		    end <= first || start >= last || !strstr(attributes, "USR"))
			continue;
		say("  %#lx-%#lx %s", start < first ? 0 : start - first,
		    (end > last ? last : end) - first, attributes);
	}
	fclose(f);
}

static u64 area_of(u32 index)
{
	struct {
		struct vfio_region_info info;
		struct vfio_region_info_cap_sparse_mmap sparse;
		struct vfio_region_sparse_mmap_area area;
		u8 more[256];
	} arg = { .info.argsz = sizeof(arg), .info.index = index };

	if (do_ioctl(subject.fd, VFIO_DEVICE_GET_REGION_INFO, &arg) || !arg.info.cap_offset)
		return 0;

	return arg.area.size;
}

static void mappings(u32 index)
{
	u64 base = (u64)index << REGION_SHIFT, len = area_of(index), i;
	u64 where[] = { 0, PAGE, HUGE, len / 2, len - PAGE };
	u8 *map, *space;
	int sig;

	say("region %u has %#llx bytes of memory", index, (unsigned long long)len);
	if (!len)
		return;

	/* An address that permits huge pages */
	space = mmap(NULL, len + SZ_1G, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
		     -1, 0);
	VFIO_ASSERT_NE(space, MAP_FAILED);
	map = (u8 *)(((unsigned long)space + SZ_1G - 1) & ~(SZ_1G - 1UL));
	VFIO_ASSERT_EQ(mmap(map, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, subject.fd,
			    base), map);

	for (i = 0; i < NUM(where); i++) {
		sig = catch_faults(touch, map + where[i]);
		say("touch %s: signal %d", at(base + where[i]), sig);
	}
	say("mapped");
	show_page_tables(map, len);
	/* The kernel's own mapping, which read() creates, may change the attributes */
	case_read(base, 4);
	VFIO_ASSERT_EQ(mmap(map, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, subject.fd,
			    base), map);
	for (i = 0; i < NUM(where); i++)
		catch_faults(touch, map + where[i]);
	say("mapped after a read");
	show_page_tables(map, len);
	munmap(space, len + SZ_1G);
}

void stage_devmem(void)
{
	mappings(VFIO_PCI_BAR2_REGION_INDEX);
	mappings(VFIO_PCI_BAR4_REGION_INDEX);
}

/* After a reset, the device does not become ready; each access waits 30 s */
void stage_unready(void)
{
	u64 base = (u64)VFIO_PCI_BAR4_REGION_INDEX << REGION_SHIFT;
	u8 *map = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, subject.fd, base);

	VFIO_ASSERT_NE(map, MAP_FAILED);
	case_read(base, 4);
	say("touch: signal %d", catch_faults(touch, map));
	config_set(PCI_COMMAND, 2, subject.command & ~PCI_COMMAND_MEMORY);
	case_read(base, 4);
	case_write(base, 4);
	say("touch: signal %d", catch_faults(touch, map));
	munmap(map, PAGE);
}
