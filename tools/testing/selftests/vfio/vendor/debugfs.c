// SPDX-License-Identifier: GPL-2.0-only
/*
 * Test the debugfs file pci/regions (Documentation/ABI/testing/debugfs-vfio).  It
 * must match VFIO_DEVICE_GET_REGION_INFO and list the drivers of each region.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <linux/compiler.h>
#include <linux/sizes.h>

#include "need.h"
#include "testdrv.h"

#include "kselftest_harness.h"

#define RW		(VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE)
#define RWM		(RW | VFIO_REGION_INFO_FLAG_MMAP)

#define NR_SHOWN	16

const char *device_bdf;

/* A region in the debugfs file */
struct shown {
	unsigned int index;
	char name[32];
	u64 size;
	u32 flags;
	unsigned long reads, writes;
	/* "0x1000-0x1fff,0x3000-0x3fff" */
	char maps[256];
	/* The lines of the drivers, without indentation */
	char layers[512];
};

static unsigned int parse_flags(const char *text)
{
	VFIO_ASSERT_EQ(strlen(text), 3);
	VFIO_ASSERT_TRUE(text[0] == 'r' || text[0] == '-');
	VFIO_ASSERT_TRUE(text[1] == 'w' || text[1] == '-');
	VFIO_ASSERT_TRUE(text[2] == 'm' || text[2] == '-');

	return (text[0] == 'r' ? VFIO_REGION_INFO_FLAG_READ : 0) |
	       (text[1] == 'w' ? VFIO_REGION_INFO_FLAG_WRITE : 0) |
	       (text[2] == 'm' ? VFIO_REGION_INFO_FLAG_MMAP : 0);
}

/* Parse the file and fail on an unknown line; return the number of regions */
static int parse(char *text, struct shown *shown)
{
	struct shown *s = NULL;
	char *line, flags[8];
	int nr = 0, n;

	for (line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
		if (!strncmp(line, "  ", 2)) {
			VFIO_ASSERT_NOT_NULL(s);
			VFIO_ASSERT_LT(strlen(s->layers) + strlen(line), sizeof(s->layers));
			strcat(strcat(s->layers, line + 2), "\n");
			continue;
		}
		VFIO_ASSERT_LT(nr, NR_SHOWN);
		s = &shown[nr];
		memset(s, 0, sizeof(*s));
		n = sscanf(line, "%u %31s size %lli flags %7s reads %lu writes %lu maps %255s",
			   &s->index, s->name, (long long *)&s->size, flags,
			   &s->reads, &s->writes, s->maps);
		VFIO_ASSERT_GE(n, 6, "%s\n", line);
		VFIO_ASSERT_EQ(s->index, nr++);
		s->flags = parse_flags(flags);
	}

	return nr;
}

FIXTURE(debugfs) {
	struct iommu *iommu;
	struct vfio_pci_device *device;
	struct region_info *info;
	struct shown shown[NR_SHOWN];
	int fd, nr;
};

FIXTURE_VARIANT(debugfs) {
	const char *iommu_mode;
};

#define FIXTURE_VARIANT_ADD_IOMMU_MODE(mode) FIXTURE_VARIANT_IOMMU_MODE(debugfs, mode)

FIXTURE_VARIANT_ADD_ALL_IOMMU_MODES();

FIXTURE_SETUP(debugfs)
{
	testdrv_set("handler", "keep");
	self->iommu = iommu_init(variant->iommu_mode);
	self->info = calloc_assert(1, sizeof(*self->info));
}

FIXTURE_TEARDOWN(debugfs)
{
	if (self->device)
		close_bare(self->device);
	iommu_cleanup(self->iommu);
	free(self->info);
}

#define debugfs_data _test_data_debugfs

/* Open the device without any access, so that all counts are 0 */
static void open_with(struct debugfs_data *self, const char *setup,
		      const char *same, const char *high)
{
	int ret;

	testdrv_setup(setup, same, high);
	self->device = open_bare(self->iommu, device_bdf, NULL, &ret);
	VFIO_ASSERT_EQ(ret, 0);
	self->fd = self->device->fd;
}

static void close_again(struct debugfs_data *self)
{
	close_bare(self->device);
	self->device = NULL;
}

static void look(struct debugfs_data *self)
{
	char *text = read_regions(device_bdf);

	VFIO_ASSERT_NOT_NULL(text);
	self->nr = parse(text, self->shown);
	free(text);
}

/* Format the sparse mmap areas as the file does: rounded to pages */
static void areas_of(struct region_info *info, char *text)
{
	struct vfio_region_info_cap_sparse_mmap *sparse;
	unsigned int i;

	*text = '\0';
	sparse = (void *)find_cap(info, VFIO_REGION_INFO_CAP_SPARSE_MMAP);
	for (i = 0; sparse && i < sparse->nr_areas; i++) {
		u64 start = sparse->areas[i].offset, end = start + sparse->areas[i].size;

		text += sprintf(text, "%s0x%lx-0x%lx", i ? "," : "", start,
				(end + PAGE - 1) / PAGE * PAGE - 1);
	}
}

/* Compare the file with the region info */
static void compare(struct debugfs_data *self)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };
	char areas[256];
	int i;

	ioctl_assert(self->fd, VFIO_DEVICE_GET_INFO, &info);
	VFIO_ASSERT_EQ(self->nr, info.num_regions);
	for (i = 0; i < self->nr; i++) {
		struct shown *s = &self->shown[i];

		/* The device has no such region */
		if (get_region_info(self->device, i, self->info)) {
			VFIO_ASSERT_EQ(i, VFIO_PCI_VGA_REGION_INDEX);
			VFIO_ASSERT_EQ(s->size | s->flags, 0);
			continue;
		}
		/* Region info reports size 0 for a ROM without a valid image */
		if (i == VFIO_PCI_ROM_REGION_INDEX && !self->info->info.size)
			continue;
		VFIO_ASSERT_EQ(s->size, self->info->info.size, "region %d\n", i);
		VFIO_ASSERT_EQ(s->flags, self->info->info.flags & RWM, "region %d\n", i);
		areas_of(self->info, areas);
		VFIO_ASSERT_EQ(strcmp(s->maps, areas), 0, "region %d: %s, not %s\n", i,
			       s->maps, areas);
	}
}

TEST_F_TIMEOUT(debugfs, lists_regions_only_while_open, 120)
{
	static const char *const names[VFIO_PCI_NUM_REGIONS] = {
		"bar0", "bar1", "bar2", "bar3", "bar4", "bar5", "rom", "config", "vga",
	};
	int i;

	look(self);
	ASSERT_EQ(0, self->nr);
	open_with(self, "", "", "");
	look(self);
	ASSERT_EQ(VFIO_PCI_NUM_REGIONS, self->nr);
	for (i = 0; i < self->nr; i++) {
		ASSERT_STREQ(names[i], self->shown[i].name);
		ASSERT_STREQ("vfio-pci\n", self->shown[i].layers);
		ASSERT_STREQ("", self->shown[i].maps);
		ASSERT_EQ(0, self->shown[i].reads | self->shown[i].writes);
	}
	compare(self);
	close_again(self);
	look(self);
	ASSERT_EQ(0, self->nr);
}

TEST_F_TIMEOUT(debugfs, lists_drivers_of_a_region_by_descending_priority, 120)
{
	struct shown *s = self->shown;

	open_with(self, "range 0 4 4; range 0 0x2ffc 8; over 7; range 7 0 2; range 7 4 2;"
			"add 0xffff 1 0x1800 7; add 0x80001234 0x20 0x40 1;"
			"whole 6; size 0x1000; flags 1",
		  "range 0 8 4; alias 0 0 0x1000",
		  "range 0 0 8; over 7; whole 2; range 9 0 4; range 9 0x10 4");
	look(self);
	ASSERT_EQ(VFIO_PCI_NUM_REGIONS + 3, self->nr);
	compare(self);

	ASSERT_STREQ("vfio_pci_testdrv_high 0x0-0x7 reads 0 writes 0\n"
		     "vfio_pci_testdrv_same 0x8-0xb reads 0 writes 0\n"
		     "vfio_pci_testdrv 0x4-0x7 reads 0 writes 0\n"
		     "vfio_pci_testdrv 0x2ffc-0x3003 reads 0 writes 0\n"
		     "vfio-pci\n", s[0].layers);
	ASSERT_STREQ("vfio-pci\n", s[1].layers);
	ASSERT_STREQ("vfio_pci_testdrv_high\nvfio-pci\n", s[2].layers);
	ASSERT_STREQ("vfio_pci_testdrv\nvfio-pci\n", s[6].layers);
	ASSERT_EQ(0x1000, s[6].size);
	ASSERT_EQ(VFIO_REGION_INFO_FLAG_READ, s[6].flags);
	ASSERT_STREQ("vfio_pci_testdrv_high\n"
		     "vfio_pci_testdrv 0x0-0x1 reads 0 writes 0\n"
		     "vfio_pci_testdrv 0x4-0x5 reads 0 writes 0\n"
		     "vfio_pci_testdrv\n"
		     "vfio-pci\n", s[7].layers);
	ASSERT_STREQ("ffff:1", s[9].name);
	ASSERT_EQ(0x1800, s[9].size);
	ASSERT_EQ(RWM, s[9].flags);
	ASSERT_STREQ("0x1000-0x1fff", s[9].maps);
	ASSERT_STREQ("vfio_pci_testdrv_high 0x0-0x3 reads 0 writes 0\n"
		     "vfio_pci_testdrv_high 0x10-0x13 reads 0 writes 0\n"
		     "vfio_pci_testdrv\n", s[9].layers);
	ASSERT_STREQ("80001234:20", s[10].name);
	ASSERT_STREQ("vfio_pci_testdrv\n", s[10].layers);
	ASSERT_STREQ("ffff:a", s[11].name);
	ASSERT_EQ(RWM, s[11].flags);
	ASSERT_STREQ("vfio_pci_testdrv_same\n", s[11].layers);

	close_again(self);
	look(self);
	ASSERT_EQ(0, self->nr);
}

TEST_F_TIMEOUT(debugfs, lists_the_sparse_mmap_areas, 120)
{
	struct shown *s = self->shown;
	u32 flags;
	char maps[64];

	open_with(self, "", "", "");
	look(self);
	flags = s[0].flags;
	close_again(self);

	open_with(self, "range 0 4 4; range 0 0x3000 1", "", "");
	look(self);
	compare(self);
	if (flags & VFIO_REGION_INFO_FLAG_MMAP && s[0].size > 4 * PAGE) {
		snprintf_assert(maps, sizeof(maps), "0x1000-0x2fff,0x4000-%#lx", s[0].size - 1);
		ASSERT_STREQ(maps, s[0].maps);
		ASSERT_EQ(flags, s[0].flags);
	}
	close_again(self);

	open_with(self, "over 0; size 0x3000; ranges 0 0 1 0x1000 3", "", "");
	look(self);
	compare(self);
	ASSERT_EQ(0x3000, s[0].size);
	ASSERT_EQ(flags & RW, s[0].flags);
	ASSERT_STREQ("", s[0].maps);
	ASSERT_STREQ("vfio_pci_testdrv 0x0-0x0 reads 0 writes 0\n"
		     "vfio_pci_testdrv 0x1000-0x1000 reads 0 writes 0\n"
		     "vfio_pci_testdrv 0x2000-0x2000 reads 0 writes 0\n"
		     "vfio_pci_testdrv\n"
		     "vfio-pci\n", s[0].layers);
}

/* A region counts accesses by userspace, a range counts calls of its handler */
TEST_F_TIMEOUT(debugfs, counts_accesses_per_region_and_range, 120)
{
	struct shown *s = self->shown;
	u8 buf[64] = {};

	open_with(self, "range 0 4 4; range 0 16 8", "", "add 0xffff 1 0x40 3; range 9 0 4");
	ASSERT_EQ(1, pwrite(self->fd, (u8[]){ PCI_COMMAND_MEMORY }, 1,
			    region_offset(VFIO_PCI_CONFIG_REGION_INDEX) + PCI_COMMAND));
	/* Beside the ranges, in one, across one, across both */
	ASSERT_EQ(4, pread(self->fd, buf, 4, 8));
	ASSERT_EQ(4, pread(self->fd, buf, 4, 4));
	ASSERT_EQ(8, pread(self->fd, buf, 8, 0));
	ASSERT_EQ(32, pread(self->fd, buf, 32, 0));
	ASSERT_EQ(2, pwrite(self->fd, buf, 2, 6));
	/* A failed access counts, an empty one does not */
	testdrv_set("handler", "fail");
	ASSERT_EQ(-1, pwrite(self->fd, buf, 4, 4));
	testdrv_set("handler", "keep");
	ASSERT_EQ(0, pread(self->fd, buf, 0, 0));
	ASSERT_EQ(-1, pread(self->fd, buf, 4, region_offset(5)));
	ASSERT_EQ(4, pread(self->fd, buf, 4, region_offset(9) + 0x20));
	ASSERT_EQ(4, pwrite(self->fd, buf, 4, region_offset(9)));

	look(self);
	ASSERT_EQ(4, s[0].reads);
	ASSERT_EQ(2, s[0].writes);
	/* A range counts registers, of up to 8 bytes each */
	ASSERT_STREQ("vfio_pci_testdrv 0x4-0x7 reads 3 writes 2\n"
		     "vfio_pci_testdrv 0x10-0x17 reads 1 writes 0\n"
		     "vfio-pci\n", s[0].layers);
	ASSERT_EQ(0, s[1].reads | s[1].writes);
	ASSERT_EQ(1, s[5].reads);
	ASSERT_EQ(0, s[7].reads);
	ASSERT_EQ(1, s[7].writes);
	ASSERT_EQ(1, s[9].reads);
	ASSERT_EQ(1, s[9].writes);
	ASSERT_STREQ("vfio_pci_testdrv_high 0x0-0x3 reads 0 writes 1\nvfio_pci_testdrv_high\n",
		     s[9].layers);
	close_again(self);

	/* Each open starts at 0 */
	open_with(self, "range 0 4 4", "", "");
	look(self);
	ASSERT_EQ(0, s[0].reads | s[0].writes);
	ASSERT_STREQ("vfio_pci_testdrv 0x4-0x7 reads 0 writes 0\nvfio-pci\n", s[0].layers);
}

struct looker {
	pthread_t thread;
	bool stop;
	int empty, full, other;
};

/* The file must be empty or complete at any time */
static void *look_often(void *arg)
{
	struct looker *looker = arg;
	struct shown *s = calloc_assert(NR_SHOWN, sizeof(*s));
	char *text;
	int nr;

	while (!READ_ONCE(looker->stop)) {
		text = read_regions(device_bdf);
		nr = text ? parse(text, s) : -1;
		free(text);
		if (!nr)
			looker->empty++;
		else if (nr == VFIO_PCI_NUM_REGIONS + 1 && !strcmp(s[9].name, "ffff:1") &&
			 !strncmp(s[0].layers, "vfio_pci_testdrv_high 0x0-0x7 ", 30) &&
			 strstr(s[0].layers, "\nvfio_pci_testdrv 0x4-0x7 "))
			looker->full++;
		else
			looker->other++;
	}
	free(s);

	return NULL;
}

TEST_F_TIMEOUT(debugfs, is_empty_or_complete_during_open_and_close, 120)
{
	struct looker looker = {};
	int i;

	ASSERT_EQ(0, pthread_create(&looker.thread, NULL, look_often, &looker));
	for (i = 0; i < 25; i++) {
		open_with(self, "range 0 4 4", "", "range 0 0 8; add 0xffff 1 0x1000 7");
		usleep(i * 200);
		close_again(self);
		usleep(i * 200);
	}
	WRITE_ONCE(looker.stop, true);
	ASSERT_EQ(0, pthread_join(looker.thread, NULL));
	ASSERT_EQ(0, looker.other);
	/* The test has seen both states */
	ASSERT_NE(0, looker.empty);
	ASSERT_NE(0, looker.full);
}

int main(int argc, char *argv[])
{
	device_bdf = need_bdf(&argc, argv);
	need_debugfs();
	testdrv_begin();

	return test_harness_run(argc, argv);
}
