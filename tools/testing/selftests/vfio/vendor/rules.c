// SPDX-License-Identifier: GPL-2.0-only
/*
 * Rules that vfio-pci enforces for overridden regions: mappable and exportable
 * pages, the region that handles a page fault, and register accesses while
 * memory decode is off.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <linux/pci_regs.h>
#include <linux/sizes.h>

#include "need.h"
#include "testdrv.h"

#include "kselftest_harness.h"

#define RW		(VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE)
#define RWM		(RW | VFIO_REGION_INFO_FLAG_MMAP)

/* Maximum number of mmap areas, same as in vfio-pci */
#define MAX_AREAS	16384

const char *device_bdf;

FIXTURE(rules) {
	struct iommu *iommu;
	struct vfio_pci_device *device;
	struct region_info *info;
	int fd;
};

FIXTURE_VARIANT(rules) {
	const char *iommu_mode;
};

#define FIXTURE_VARIANT_ADD_IOMMU_MODE(mode) FIXTURE_VARIANT_IOMMU_MODE(rules, mode)

FIXTURE_VARIANT_ADD_ALL_IOMMU_MODES();

FIXTURE_SETUP(rules)
{
	testdrv_set("handler", "keep");
	self->iommu = iommu_init(variant->iommu_mode);
	self->info = calloc_assert(1, sizeof(*self->info));
}

FIXTURE_TEARDOWN(rules)
{
	if (self->device)
		vfio_pci_device_cleanup(self->device);
	iommu_cleanup(self->iommu);
	free(self->info);
}

#define rules_data _test_data_rules

static void open_with(struct rules_data *self, const char *setup,
		      const char *high)
{
	self->device = testdrv_open(self->iommu, setup, "", high);
	self->fd = self->device->fd;
}

static void close_again(struct rules_data *self)
{
	vfio_pci_device_cleanup(self->device);
	self->device = NULL;
}

static u32 flags_of(struct rules_data *self, u32 index)
{
	VFIO_ASSERT_EQ(get_region_info(self->device, index, self->info), 0);

	return self->info->info.flags & ~VFIO_REGION_INFO_FLAG_CAPS;
}

static void *map(int fd, u32 index, u64 offset, u64 size, int prot)
{
	return mmap(NULL, size, prot, MAP_SHARED, fd,
		    region_offset(index) + offset);
}

static bool can_map(int fd, u32 index, u64 offset, u64 size)
{
	void *addr = map(fd, index, offset, size, PROT_READ);

	if (addr == MAP_FAILED)
		return false;
	munmap(addr, size);

	return true;
}

/* Return 0, or the errno of an export */
static int export_errno(int fd, u32 index, u64 offset, u64 size)
{
	int dmabuf = export_dmabuf(fd, index, offset, size);

	if (dmabuf < 0)
		return errno;
	close(dmabuf);

	return 0;
}

/* A set of pages of a BAR is a mask with one bit per page */
#define MAX_PAGES	64

static u64 pages_of(u64 start, u64 end)
{
	u64 page, pages = 0;

	for (page = start / PAGE; page * PAGE < end && page < MAX_PAGES; page++)
		pages |= 1ULL << page;

	return pages;
}

struct msix {
	unsigned int table_bar, pba_bar;
	u64 table, table_size, pba, pba_size;
};

static bool find_msix(struct vfio_pci_device *device, struct msix *msix)
{
	u8 pos = find_pci_cap(device, PCI_CAP_ID_MSIX);
	u32 table, pba;
	unsigned int nr;

	if (!pos)
		return false;

	nr = (vfio_pci_config_readw(device, pos + PCI_MSIX_FLAGS) &
	      PCI_MSIX_FLAGS_QSIZE) + 1;
	table = vfio_pci_config_readl(device, pos + PCI_MSIX_TABLE);
	pba = vfio_pci_config_readl(device, pos + PCI_MSIX_PBA);
	*msix = (struct msix) {
		.table_bar = table & PCI_MSIX_TABLE_BIR,
		.table = table & PCI_MSIX_TABLE_OFFSET,
		.table_size = nr * 16,
		.pba_bar = pba & PCI_MSIX_PBA_BIR,
		.pba = pba & PCI_MSIX_PBA_OFFSET,
		.pba_size = (nr + 63) / 64 * 8,
	};

	return true;
}

static u64 msix_pages(const struct msix *msix, u32 bar)
{
	u64 pages = 0;

	if (msix->table_bar == bar)
		pages |= pages_of(msix->table, msix->table + msix->table_size);
	if (msix->pba_bar == bar)
		pages |= pages_of(msix->pba, msix->pba + msix->pba_size);

	return pages;
}

/* Return the pages in a sparse mmap capability */
static u64 listed_pages(struct vfio_info_cap_header *cap)
{
	struct vfio_region_info_cap_sparse_mmap *sparse = (void *)cap;
	u64 pages = 0;
	unsigned int i;

	for (i = 0; i < sparse->nr_areas; i++)
		pages |= pages_of(sparse->areas[i].offset,
				  sparse->areas[i].offset + sparse->areas[i].size);

	return pages;
}

/* Like cloud-hypervisor, use only the first of the two capabilities */
static u64 cloud_hypervisor_maps(struct region_info *info,
				 const struct msix *msix, u32 bar)
{
	struct vfio_info_cap_header *cap;
	u32 next = info->info.cap_offset;

	if (!(info->info.flags & VFIO_REGION_INFO_FLAG_CAPS))
		next = 0;

	for (; next; next = cap->next) {
		cap = (void *)info + next;
		if (cap->id == VFIO_REGION_INFO_CAP_SPARSE_MMAP)
			return listed_pages(cap);
		if (cap->id == VFIO_REGION_INFO_CAP_MSIX_MAPPABLE)
			return pages_of(0, info->info.size) & ~msix_pages(msix, bar);
	}

	return pages_of(0, info->info.size);
}

/* Like Firecracker, reject areas with the MSI-X table or pending bits */
static bool firecracker_accepts(struct region_info *info,
				const struct msix *msix, u32 bar)
{
	struct vfio_info_cap_header *cap =
		find_cap(info, VFIO_REGION_INFO_CAP_SPARSE_MMAP);

	return !cap || !(listed_pages(cap) & msix_pages(msix, bar));
}

/* Try a range in each page of the BARs with the MSI-X table and pending bits */
TEST_F_TIMEOUT(rules, vmms_map_no_msix_table_and_no_range, 300)
{
	u64 page, pages, all, hidden;
	struct msix msix = {};
	char setup[64];
	bool has_msix;
	u32 bar;

	open_with(self, "", "");
	has_msix = find_msix(self->device, &msix);
	close_again(self);
	if (!has_msix)
		SKIP(return, "the device has no MSI-X\n");

	for (bar = 0; bar < PCI_STD_NUM_BARS; bar++) {
		hidden = msix_pages(&msix, bar);
		if (!hidden)
			continue;

		/* Without an override, the region info does not change */
		open_with(self, "", "");
		ASSERT_EQ(RWM, flags_of(self, bar));
		all = pages_of(0, self->info->info.size);
		ASSERT_NULL(find_cap(self->info, VFIO_REGION_INFO_CAP_SPARSE_MMAP));
		ASSERT_EQ(bar == msix.table_bar,
			  !!find_cap(self->info, VFIO_REGION_INFO_CAP_MSIX_MAPPABLE));
		close_again(self);

		for (page = 0; all & (1ULL << page); page++) {
			snprintf(setup, sizeof(setup), "range %u %lu 4", bar,
				 page * PAGE);
			open_with(self, setup, "");
			ASSERT_EQ(RWM, flags_of(self, bar));
			pages = all & ~hidden & ~(1ULL << page);
			EXPECT_EQ(pages, cloud_hypervisor_maps(self->info, &msix, bar)) {
				TH_LOG("BAR %u, range in page %lu", bar, page);
			}
			EXPECT_TRUE(firecracker_accepts(self->info, &msix, bar));
			EXPECT_EQ(bar == msix.table_bar,
				  !!find_cap(self->info, VFIO_REGION_INFO_CAP_MSIX_MAPPABLE));
			/* The MSI-X pages are not listed, but mappable */
			for (pages = 0; all & (1ULL << pages); pages++)
				EXPECT_EQ(pages != page,
					  can_map(self->fd, bar, pages * PAGE, PAGE));
			close_again(self);
		}
	}
}

TEST_F(rules, no_msix_mappable_without_msix)
{
	struct msix msix;
	bool has_msix;
	u32 bar;

	/* Override BAR 0 and add a capability */
	open_with(self, "over 0; ops c", "");
	has_msix = find_msix(self->device, &msix);
	for (bar = 0; bar < PCI_STD_NUM_BARS; bar++) {
		ASSERT_EQ(0, get_region_info(self->device, bar, self->info));
		EXPECT_EQ(has_msix && bar == msix.table_bar,
			  !!find_cap(self->info, VFIO_REGION_INFO_CAP_MSIX_MAPPABLE));
		EXPECT_EQ(!bar, !!find_cap(self->info, 0x7f01));
	}
}

TEST_F(rules, wrapped_mmap_is_served_by_the_lower_region)
{
	u32 want, seen, *mem;

	open_with(self, "wrap 0", "");
	ASSERT_EQ(RWM, flags_of(self, 0));
	ASSERT_EQ(4, pread(self->fd, &want, 4, 0));
	mem = map(self->fd, 0, 0, PAGE, PROT_READ);
	ASSERT_NE(MAP_FAILED, mem);
	ASSERT_TRUE(readable(mem, &seen));
	EXPECT_EQ(want, seen);

	/* The core zaps this mapping */
	vfio_pci_cmd_clear(self->device, PCI_COMMAND_MEMORY);
	EXPECT_FALSE(readable(mem, &seen));
	vfio_pci_cmd_set(self->device, PCI_COMMAND_MEMORY);
	EXPECT_TRUE(readable(mem, &seen));
	EXPECT_EQ(want, seen);
	ASSERT_EQ(0, munmap(mem, PAGE));
}

TEST_F(rules, wrapped_mmap_cannot_reach_a_range_below)
{
	open_with(self, "range 0 0 4", "wrap 0");
	EXPECT_FALSE(can_map(self->fd, 0, 0, PAGE));
	flags_of(self, 0);
	if (self->info->info.size > PAGE) {
		EXPECT_EQ(RWM, flags_of(self, 0));
		EXPECT_TRUE(can_map(self->fd, 0, PAGE, PAGE));
		EXPECT_NE(NULL, find_cap(self->info, VFIO_REGION_INFO_CAP_SPARSE_MMAP));
	}
}

TEST_F(rules, mapping_without_a_fault_operation_fails)
{
	struct vfio_pci_device *device;
	int ret;

	/* libvfio maps all BARs when it opens a device */
	testdrv_setup("over 0; ops rwh; flags 7", "", "");
	device = open_bare(self->iommu, device_bdf, NULL, &ret);
	ASSERT_EQ(0, ret);
	EXPECT_EQ(MAP_FAILED, map(device->fd, 0, 0, PAGE, PROT_READ));
	EXPECT_EQ(EINVAL, errno);
	close_bare(device);

	/* The fault operation maps a zapped page again */
	testdrv_setup("over 0; ops rwhf; flags 7", "", "");
	device = open_bare(self->iommu, device_bdf, NULL, &ret);
	ASSERT_EQ(0, ret);
	EXPECT_TRUE(can_map(device->fd, 0, 0, PAGE));
	close_bare(device);
}

/* Try each write access to a read-only BAR, with one and two overrides */
TEST_F(rules, read_only_region_is_never_writable)
{
	static const char *const setups[][2] = {
		{ "over 0; flags 5", "" },
		{ "over 0; ops -; flags 5", "" },
		{ "wrap 0; flags 5", "" },
		{ "over 0; flags 5", "wrap 0" },
		{ "over 0; flags 5", "range 0 0x1000 4" },
	};
	unsigned int i;
	u32 value = 0;
	void *mem;

	for (i = 0; i < ARRAY_SIZE(setups); i++) {
		open_with(self, setups[i][0], setups[i][1]);
		ASSERT_EQ(VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_MMAP,
			  flags_of(self, 0));
		EXPECT_EQ(4, pread(self->fd, &value, 4, 0));
		EXPECT_EQ(-1, pwrite(self->fd, &value, 4, 0));
		EXPECT_EQ(EINVAL, errno);
		EXPECT_EQ(MAP_FAILED, map(self->fd, 0, 0, PAGE, PROT_READ | PROT_WRITE));
		EXPECT_EQ(EACCES, errno);
		mem = map(self->fd, 0, 0, PAGE, PROT_READ);
		ASSERT_NE(MAP_FAILED, mem);
		EXPECT_EQ(-1, mprotect(mem, PAGE, PROT_READ | PROT_WRITE));
		EXPECT_EQ(EACCES, errno);
		ASSERT_EQ(0, munmap(mem, PAGE));
		EXPECT_NE(0, export_errno(self->fd, 0, 0, PAGE));
		close_again(self);
	}

	/* An override cannot add flags that the lower region does not have */
	EXPECT_EQ(EINVAL, testdrv_open_errno("over 0; flags 5", "", "over 0; flags 7"));
}

TEST_F(rules, own_mmap_is_not_bypassed_by_a_dmabuf)
{
	int ret;

	open_with(self, "", "");
	ret = export_errno(self->fd, 0, 0, PAGE);
	close_again(self);
	if (ret == ENOTTY)
		SKIP(return, "this kernel does not export dma-bufs\n");
	ASSERT_EQ(0, ret);

	/* The driver maps the lower region, but may fail for some pages */
	open_with(self, "wrap 0", "");
	EXPECT_EQ(ENODEV, export_errno(self->fd, 0, 0, PAGE));
	close_again(self);

	open_with(self, "over 0; ops md", "");
	EXPECT_EQ(0, export_errno(self->fd, 0, 0, PAGE));
	close_again(self);

	/* No export past the end of an override */
	open_with(self, "over 0; ops md; size 0x1000", "");
	EXPECT_EQ(0, export_errno(self->fd, 0, 0, PAGE));
	EXPECT_EQ(EINVAL, export_errno(self->fd, 0, PAGE, PAGE));
	EXPECT_EQ(EINVAL, export_errno(self->fd, 0, 0, 2 * PAGE));
}

TEST_F(rules, empty_bar_with_own_memory_is_exported)
{
	char setup[64];
	u32 bar;

	open_with(self, "", "");
	if (export_errno(self->fd, 0, 0, PAGE) == ENOTTY)
		SKIP(return, "this kernel does not export dma-bufs\n");
	for (bar = 2; bar < PCI_STD_NUM_BARS; bar++) {
		flags_of(self, bar);
		if (!self->info->info.size)
			break;
	}
	close_again(self);
	if (bar == PCI_STD_NUM_BARS)
		SKIP(return, "the device has no empty BAR\n");

	snprintf(setup, sizeof(setup), "window %u 0 0x1000 0x1000", bar);
	open_with(self, setup, "");
	ASSERT_EQ(RWM, flags_of(self, bar));
	EXPECT_EQ(0, export_errno(self->fd, bar, 0, PAGE));
	close_again(self);

	/* Another driver adds a range on top */
	open_with(self, setup, "range 0 0 4");
	EXPECT_EQ(0, export_errno(self->fd, bar, 0, PAGE));
}

TEST_F(rules, rom_is_patched_by_a_range)
{
	u8 rom[512], patched[512];
	u64 size, offset = region_offset(VFIO_PCI_ROM_REGION_INDEX);

	open_with(self, "", "");
	flags_of(self, VFIO_PCI_ROM_REGION_INDEX);
	size = self->info->info.size;
	if (size)
		ASSERT_EQ(sizeof(rom), pread(self->fd, rom, sizeof(rom), offset));
	close_again(self);
	if (!size)
		SKIP(return, "the device has no ROM\n");

	open_with(self, "range 6 0x41 6", "");
	ASSERT_EQ(VFIO_REGION_INFO_FLAG_READ, flags_of(self, VFIO_PCI_ROM_REGION_INDEX));
	ASSERT_EQ(size, self->info->info.size);
	ASSERT_EQ(sizeof(patched), pread(self->fd, patched, sizeof(patched), offset));
	memset(rom + 0x41, HANDLED_BYTE, 6);
	EXPECT_EQ(0, memcmp(rom, patched, sizeof(rom)));
	/* The handler reads the lower region */
	testdrv_set("handler", "pass");
	ASSERT_EQ(4, pread(self->fd, patched, 4, offset + 0x42));
	testdrv_set("handler", "keep");
	EXPECT_NE(0, memcmp(rom + 0x42, patched, 4));
	EXPECT_EQ(-1, pwrite(self->fd, rom, 4, offset + 0x42));
	EXPECT_EQ(1, pread(self->fd, patched, 4, offset + size - 1));
	EXPECT_EQ(-1, pread(self->fd, patched, 4, offset + size));
}

TEST_F_TIMEOUT(rules, mmap_areas_are_limited, 300)
{
	struct vfio_region_info_cap_sparse_mmap *sparse;
	struct vfio_region_info *info;
	size_t size = SZ_1M;
	char setup[64];
	u32 bar;

	open_with(self, "", "");
	for (bar = 0; bar < PCI_STD_NUM_BARS; bar++) {
		if (flags_of(self, bar) == RWM &&
		    self->info->info.size >= (MAX_AREAS + 2) * 2 * PAGE)
			break;
	}
	close_again(self);
	if (bar == PCI_STD_NUM_BARS)
		SKIP(return, "no BAR is large enough\n");

	snprintf(setup, sizeof(setup), "ranges %u 0 4 0x2000 %u", bar, MAX_AREAS);
	open_with(self, setup, "");
	info = calloc_assert(1, size);
	info->argsz = size;
	info->index = bar;
	ASSERT_EQ(0, ioctl(self->fd, VFIO_DEVICE_GET_REGION_INFO, info));
	ASSERT_LE(info->argsz, size);
	sparse = (void *)info + info->cap_offset;
	ASSERT_EQ(VFIO_REGION_INFO_CAP_SPARSE_MMAP, sparse->header.id);
	EXPECT_EQ(MAX_AREAS, sparse->nr_areas);
	EXPECT_EQ(PAGE, sparse->areas[0].offset);
	EXPECT_EQ(info->size, sparse->areas[MAX_AREAS - 1].offset +
			      sparse->areas[MAX_AREAS - 1].size);
	free(info);
	close_again(self);

	snprintf(setup, sizeof(setup), "ranges %u 0 4 0x2000 %u", bar, MAX_AREAS + 1);
	EXPECT_EQ(ENOSPC, testdrv_open_errno(setup, "", ""));
	/* A second range in a page needs no new area */
	snprintf(setup, sizeof(setup),
		 "ranges %u 0 4 0x2000 %u; ranges %u 8 4 0x2000 100", bar,
		 MAX_AREAS, bar);
	EXPECT_EQ(0, testdrv_open_errno(setup, "", ""));
}

#define CGROUP		"/tmp/vfio_pci_rules_cgroup"

static u64 cgroup_usage(void)
{
	FILE *file = fopen(CGROUP "/rules/memory.current", "r");
	u64 usage = 0;
	int nr;

	VFIO_ASSERT_NOT_NULL(file);
	nr = fscanf(file, "%lu", &usage);
	VFIO_ASSERT_EQ(nr, 1);
	fclose(file);

	return usage;
}

/* Mount a memory cgroup hierarchy and enter a new cgroup */
static bool enter_cgroup(void)
{
	mkdir(CGROUP, 0700);
	if (mount("cgroup2", CGROUP, "cgroup2", 0, NULL))
		return false;
	if (put_text(CGROUP "/cgroup.subtree_control", "+memory") ||
	    (mkdir(CGROUP "/rules", 0700) && errno != EEXIST)) {
		umount(CGROUP);
		return false;
	}

	return !put_text(CGROUP "/rules/cgroup.procs", "0");
}

static void leave_cgroup(void)
{
	put_text(CGROUP "/cgroup.procs", "0");
	rmdir(CGROUP "/rules");
	umount(CGROUP);
	rmdir(CGROUP);
}

TEST_F(rules, memory_regions_are_accounted)
{
	u64 before, after;

	if (!enter_cgroup())
		SKIP(return, "this kernel has no memory cgroups\n");

	open_with(self, "add 0xffff 1 0x1000 3", "");
	before = cgroup_usage();
	close_again(self);
	open_with(self, "add 0xffff 1 0x2000000 3", "");
	after = cgroup_usage();
	close_again(self);
	leave_cgroup();

	EXPECT_LE(before + 0x1f00000, after);
}

/* Return the value that the step "peek" read in open or close */
static void peeked(const char *when, int *ret, u64 *val)
{
	char path[96];
	FILE *file;
	int nr;

	snprintf(path, sizeof(path), "/sys/module/vfio_pci_testdrv/parameters/%s", when);
	file = fopen(path, "r");
	VFIO_ASSERT_NOT_NULL(file);
	nr = fscanf(file, "%d %lx", ret, val);
	VFIO_ASSERT_EQ(nr, 2);
	fclose(file);
}

TEST_F(rules, drivers_access_registers_while_decode_is_off)
{
	u64 want, val;
	u32 seen;
	u16 pmcsr;
	int ret;
	u8 pm;

	open_with(self, "peek 0 0", "");
	peeked("peek_open", &ret, &val);
	EXPECT_EQ(0, ret);
	vfio_pci_cmd_set(self->device, PCI_COMMAND_MEMORY);
	want = testdrv_read_register(self->device, 0, 0);
	ASSERT_EQ(4, pread(self->fd, &seen, 4, 0));
	ASSERT_EQ(seen, want);
	EXPECT_EQ(want, val);

	/* Only the driver can access the register; decode stays off */
	vfio_pci_cmd_clear(self->device, PCI_COMMAND_MEMORY);
	EXPECT_EQ(want, testdrv_read_register(self->device, 0, 0));
	EXPECT_EQ(-1, pread(self->fd, &seen, 4, 0));
	EXPECT_EQ(EIO, errno);
	EXPECT_EQ(0, vfio_pci_config_readw(self->device, PCI_COMMAND) & PCI_COMMAND_MEMORY);
	/* This register of edu reads the inverse of the last write */
	if (vfio_pci_device_match(self->device, 0x1234, 0x11e8))
		testdrv_write_register(self->device, 0, 4, 0x12345678);
	vfio_pci_cmd_set(self->device, PCI_COMMAND_MEMORY);
	if (vfio_pci_device_match(self->device, 0x1234, 0x11e8)) {
		EXPECT_EQ(4, pread(self->fd, &seen, 4, 4));
		EXPECT_EQ(~0x12345678U, seen);
	}

	pm = find_pci_cap(self->device, PCI_CAP_ID_PM);
	if (pm) {
		pmcsr = vfio_pci_config_readw(self->device, pm + PCI_PM_CTRL);
		vfio_pci_config_writew(self->device, pm + PCI_PM_CTRL, pmcsr | 3);
		EXPECT_EQ(want, testdrv_read_register(self->device, 0, 0));
		EXPECT_EQ(-1, pread(self->fd, &seen, 4, 0));
		EXPECT_EQ(EIO, errno);
		EXPECT_EQ(3, vfio_pci_config_readw(self->device, pm + PCI_PM_CTRL) & 3);
		vfio_pci_config_writew(self->device, pm + PCI_PM_CTRL, pmcsr);
	}

	/* The close callback can access the register, too */
	vfio_pci_cmd_clear(self->device, PCI_COMMAND_MEMORY);
	close_again(self);
	peeked("peek_close", &ret, &val);
	EXPECT_EQ(0, ret);
	EXPECT_EQ(want, val);
}

int main(int argc, char *argv[])
{
	device_bdf = need_bdf(&argc, argv);
	testdrv_begin();

	return test_harness_run(argc, argv);
}
