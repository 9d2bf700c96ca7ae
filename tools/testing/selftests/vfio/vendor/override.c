// SPDX-License-Identifier: GPL-2.0-only
/*
 * Overrides by vendor drivers, as seen by userspace.  See
 * Documentation/driver-api/vfio-pci-regops.rst for the rules.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <sys/ioctl.h>
#include <sys/mman.h>

#include <linux/compiler.h>
#include <linux/sizes.h>

#include "need.h"
#include "testdrv.h"

#include "kselftest_harness.h"

#define RW	(VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE)
#define RWM	(RW | VFIO_REGION_INFO_FLAG_MMAP)

const char *device_bdf;

#define override_data _test_data_override

FIXTURE(override) {
	struct iommu *iommu;
	struct vfio_pci_device *device;
	struct region_info *info;
	int fd;
};

FIXTURE_VARIANT(override) {
	const char *iommu_mode;
};

#define FIXTURE_VARIANT_ADD_IOMMU_MODE(mode) FIXTURE_VARIANT_IOMMU_MODE(override, mode)

FIXTURE_VARIANT_ADD_ALL_IOMMU_MODES();

FIXTURE_SETUP(override)
{
	testdrv_set("handler", "keep");
	self->iommu = iommu_init(variant->iommu_mode);
	self->info = calloc_assert(1, sizeof(*self->info));
}

FIXTURE_TEARDOWN(override)
{
	if (self->device)
		vfio_pci_device_cleanup(self->device);
	iommu_cleanup(self->iommu);
	free(self->info);
}

static void open_with(struct override_data *self, const char *setup,
		      const char *high)
{
	self->device = testdrv_open(self->iommu, setup, "", high);
	self->fd = self->device->fd;
}

static void close_again(struct override_data *self)
{
	vfio_pci_device_cleanup(self->device);
	self->device = NULL;
}

static u32 flags_of(struct override_data *self, u32 index)
{
	VFIO_ASSERT_EQ(get_region_info(self->device, index, self->info), 0);

	return self->info->info.flags & ~VFIO_REGION_INFO_FLAG_CAPS;
}

TEST_F_TIMEOUT(override, whole_region_override_gets_all_accesses, 120)
{
	u32 flags[VFIO_PCI_NUM_REGIONS];
	u64 sizes[VFIO_PCI_NUM_REGIONS];
	struct vfio_device_ioeventfd ioeventfd = {
		.argsz = sizeof(ioeventfd),
		.flags = VFIO_DEVICE_IOEVENTFD_32,
		.fd = -1,
	};
	char setup[64];
	u8 buf[16];
	int i, reads, writes;

	open_with(self, "", "");
	for (i = 0; i < VFIO_PCI_NUM_REGIONS; i++) {
		sizes[i] = 0;
		if (get_region_info(self->device, i, self->info))
			continue;
		sizes[i] = self->info->info.size;
		flags[i] = self->info->info.flags & RWM;
	}
	close_again(self);

	for (i = 0; i < VFIO_PCI_NUM_REGIONS; i++) {
		if (!sizes[i] || i == VFIO_PCI_CONFIG_REGION_INDEX)
			continue;
		snprintf(setup, sizeof(setup), "whole %d; size %lu; flags %u", i,
			 sizes[i], flags[i] & RW);
		open_with(self, setup, "");
		ASSERT_EQ(flags[i] & RW, flags_of(self, i));
		ASSERT_EQ(sizes[i], self->info->info.size);

		reads = testdrv_count("reads");
		writes = testdrv_count("writes");
		memset(buf, 0xff, sizeof(buf));
		ASSERT_EQ(16, pread(self->fd, buf, 16, region_offset(i)));
		ASSERT_EQ(0, buf[0]);
		ASSERT_EQ(0, memcmp(buf, buf + 1, 15));
		ASSERT_EQ(1, pread(self->fd, buf, 2, region_offset(i) + sizes[i] - 1));
		ASSERT_EQ(-1, pread(self->fd, buf, 1, region_offset(i) + sizes[i]));
		ASSERT_EQ(reads + 2, testdrv_count("reads"));
		/* The core never calls the write operation of a read-only region */
		if (flags[i] & VFIO_REGION_INFO_FLAG_WRITE) {
			ASSERT_EQ(16, pwrite(self->fd, buf, 16, region_offset(i)));
			ASSERT_EQ(writes + 1, testdrv_count("writes"));
		} else {
			ASSERT_EQ(-1, pwrite(self->fd, buf, 16, region_offset(i)));
			ASSERT_EQ(EINVAL, errno);
			ASSERT_EQ(writes, testdrv_count("writes"));
		}

		ASSERT_EQ(MAP_FAILED, mmap(NULL, PAGE, PROT_READ, MAP_SHARED,
					   self->fd, region_offset(i)));
		ASSERT_EQ(EINVAL, errno);
		ioeventfd.offset = region_offset(i);
		ASSERT_EQ(-1, ioctl(self->fd, VFIO_DEVICE_IOEVENTFD, &ioeventfd));
		ASSERT_EQ(EINVAL, errno);
		close_again(self);
	}
}

/* A range in each region: memory and I/O BARs, VGA, config space */
TEST_F_TIMEOUT(override, range_handler_gets_only_its_bytes, 120)
{
	int i, seen = 0;

	for (i = 0; i < VFIO_PCI_NUM_REGIONS; i++) {
		u64 pos = region_offset(i), size;
		u16 below[2], value = 0;
		int reads, writes;
		char setup[32];

		/* A sequencer register and the next register */
		if (i == VFIO_PCI_VGA_REGION_INDEX)
			pos += 0x3c4;
		open_with(self, "", "");
		vfio_pci_cmd_set(self->device, PCI_COMMAND_IO);
		size = get_region_info(self->device, i, self->info) ? 0 :
								      self->info->info.size;
		/* A ROM is not writable; rules.c tests a range in a ROM */
		if (i == VFIO_PCI_ROM_REGION_INDEX || !size) {
			close_again(self);
			continue;
		}
		ASSERT_EQ(2, pread(self->fd, &below[0], 2, pos));
		ASSERT_EQ(2, pread(self->fd, &below[1], 2, pos + 2));
		close_again(self);

		snprintf(setup, sizeof(setup), "range %d %lu 2", i,
			 pos - region_offset(i));
		open_with(self, setup, "");
		vfio_pci_cmd_set(self->device, PCI_COMMAND_IO);
		ASSERT_EQ(0, get_region_info(self->device, i, self->info));
		ASSERT_EQ(size, self->info->info.size);
		reads = testdrv_count("reads");
		writes = testdrv_count("writes");
		ASSERT_EQ(2, pread(self->fd, &value, 2, pos));
		ASSERT_EQ(0x5a5a, value);
		ASSERT_EQ(2, pread(self->fd, &value, 2, pos + 2));
		ASSERT_EQ(below[1], value);
		value = ~below[0];
		ASSERT_EQ(2, pwrite(self->fd, &value, 2, pos));
		ASSERT_EQ(reads + 1, testdrv_count("reads"));
		ASSERT_EQ(writes + 1, testdrv_count("writes"));
		ASSERT_EQ(MAP_FAILED, mmap(NULL, PAGE, PROT_READ, MAP_SHARED,
					   self->fd, region_offset(i)));
		testdrv_set("handler", "pass");
		ASSERT_EQ(2, pread(self->fd, &value, 2, pos));
		ASSERT_EQ(below[0], value) {
			TH_LOG("region %d", i);
		}
		testdrv_set("handler", "keep");
		close_again(self);
		seen++;
	}
	ASSERT_LE(2, seen);
}

/* The device may have no ROM */
TEST_F(override, rom_can_be_replaced_or_shrunk)
{
	bool has_rom;
	u8 buf[32];

	open_with(self, "", "");
	has_rom = !get_region_info(self->device, VFIO_PCI_ROM_REGION_INDEX, self->info) &&
		  self->info->info.size;
	close_again(self);

	open_with(self, "whole 6; size 0x1800; flags 1", "");
	ASSERT_EQ(VFIO_REGION_INFO_FLAG_READ, flags_of(self, VFIO_PCI_ROM_REGION_INDEX));
	ASSERT_EQ(0x1800, self->info->info.size);
	ASSERT_EQ(16, pread(self->fd, buf, 32, region_offset(6) + 0x17f0));
	ASSERT_EQ(0, buf[0]);
	close_again(self);

	/* Without a ROM, a smaller override has no read operation */
	if (!has_rom) {
		ASSERT_EQ(EINVAL, testdrv_open_errno("over 6; size 16; flags 1", "", ""));
		return;
	}

	open_with(self, "over 6; size 16; flags 1", "");
	ASSERT_EQ(VFIO_REGION_INFO_FLAG_READ, flags_of(self, VFIO_PCI_ROM_REGION_INDEX));
	ASSERT_EQ(16, self->info->info.size);
	ASSERT_GE(8, pread(self->fd, buf, 32, region_offset(6) + 8));
	ASSERT_EQ(-1, pread(self->fd, buf, 1, region_offset(6) + 16));
	ASSERT_EQ(EINVAL, errno);
}

TEST_F(override, override_without_operations_changes_nothing)
{
	static const char over[] = "over 0; over 1; over 2; over 3; over 4; over 5; over 7";
	u8 below[64], above[64], *map;
	struct region_info *infos;
	u32 flags;
	int i;

	/* Compare the capabilities too, such as the one for the MSI-X table */
	infos = calloc_assert(PCI_STD_NUM_BARS, sizeof(*infos));
	open_with(self, "", "");
	for (i = 0; i < PCI_STD_NUM_BARS; i++)
		ASSERT_EQ(0, get_region_info(self->device, i, &infos[i]));
	flags = flags_of(self, 0);
	ASSERT_EQ(64, pread(self->fd, below, 64, region_offset(7)));
	close_again(self);

	open_with(self, over, over);
	for (i = 0; i < PCI_STD_NUM_BARS; i++) {
		ASSERT_EQ(0, get_region_info(self->device, i, self->info));
		ASSERT_EQ(0, memcmp(&infos[i], self->info, sizeof(*infos)));
	}
	free(infos);
	ASSERT_EQ(64, pread(self->fd, above, 64, region_offset(7)));
	above[PCI_COMMAND] = below[PCI_COMMAND];
	ASSERT_EQ(0, memcmp(below, above, 64));

	/* Config space does not allow a partial access */
	ASSERT_EQ(-1, pread(self->fd, above, 8, region_offset(7) +
			    self->device->config_space.size - 4));
	ASSERT_EQ(EFAULT, errno);
	if (flags & VFIO_REGION_INFO_FLAG_MMAP) {
		map = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, self->fd, 0);
		ASSERT_NE(MAP_FAILED, map);
		ASSERT_EQ(4, pread(self->fd, above, 4, 0));
		ASSERT_EQ(*(u32 *)above, READ_ONCE(*(u32 *)map));
		ASSERT_EQ(0, munmap(map, PAGE));
	}
}

TEST_F(override, range_overrides_emulated_config_space)
{
	u8 buf[12];
	u16 vendor = 0;

	open_with(self, "range 7 0 2; range 7 0xb 1", "");
	ASSERT_EQ(0x5a5a, vfio_pci_config_readw(self->device, PCI_VENDOR_ID));
	ASSERT_EQ(12, pread(self->fd, buf, 12, region_offset(7)));
	ASSERT_EQ(HANDLED_BYTE, buf[1]);
	ASSERT_NE(HANDLED_BYTE, buf[2]);
	ASSERT_EQ(HANDLED_BYTE, buf[11]);
	ASSERT_EQ(2, pwrite(self->fd, &vendor, 2, region_offset(7)));
	ASSERT_EQ(0x5a5a, vfio_pci_config_readw(self->device, PCI_VENDOR_ID));
	/* A handler that passes accesses on changes nothing */
	testdrv_set("handler", "pass");
	ASSERT_NE(0x5a5a, vfio_pci_config_readw(self->device, PCI_VENDOR_ID));
	close_again(self);

	/* A failing handler at the end of config space */
	testdrv_set("handler", "fail");
	open_with(self, "range 7 0xfe 2", "");
	ASSERT_EQ(-1, pread(self->fd, buf, 2, region_offset(7) + 0xfe));
	ASSERT_EQ(EPERM, errno);
	ASSERT_EQ(2, pread(self->fd, buf, 2, region_offset(7) + 0xfc));
}

TEST_F(override, shrunk_region_cannot_be_mapped_past_its_end)
{
	u64 value = 0;
	u8 *map;

	open_with(self, "over 0; size 0x2000", "");
	ASSERT_EQ(0x2000, (flags_of(self, 0), self->info->info.size));
	map = mmap(NULL, 2 * PAGE, PROT_READ, MAP_SHARED, self->fd, 0);
	ASSERT_NE(MAP_FAILED, map);
	ASSERT_EQ(0, munmap(map, 2 * PAGE));
	ASSERT_EQ(MAP_FAILED, mmap(NULL, PAGE, PROT_READ, MAP_SHARED, self->fd, 2 * PAGE));
	ASSERT_EQ(MAP_FAILED, mmap(NULL, 3 * PAGE, PROT_READ, MAP_SHARED, self->fd, 0));
	ASSERT_EQ(4, pread(self->fd, &value, 8, 0x1ffc));
	ASSERT_EQ(-1, pread(self->fd, &value, 4, 0x2000));
	ASSERT_EQ(EINVAL, errno);
	close_again(self);

	open_with(self, "over 0; flags 5", "");
	ASSERT_EQ(VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_MMAP,
		  flags_of(self, 0));
	ASSERT_EQ(4, pread(self->fd, &value, 4, 0));
	ASSERT_EQ(-1, pwrite(self->fd, &value, 4, 4));
	ASSERT_EQ(EINVAL, errno);
	ASSERT_EQ(MAP_FAILED, mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED,
				   self->fd, 0));
	ASSERT_EQ(EACCES, errno);
	map = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, self->fd, 0);
	ASSERT_NE(MAP_FAILED, map);
	ASSERT_EQ(-1, mprotect(map, PAGE, PROT_READ | PROT_WRITE));
	ASSERT_EQ(EACCES, errno);
	ASSERT_EQ(0, munmap(map, PAGE));
	close_again(self);

	open_with(self, "over 0; flags 3", "");
	ASSERT_EQ(RW, flags_of(self, 0));
	ASSERT_EQ(4, pread(self->fd, &value, 4, 0));
	ASSERT_EQ(MAP_FAILED, mmap(NULL, PAGE, PROT_READ, MAP_SHARED, self->fd, 0));
}

TEST_F(override, higher_priority_handles_an_access_first)
{
	int reads;
	u32 value;

	open_with(self, "range 0 0 4", "range 0 0 8");
	reads = testdrv_count("reads");
	ASSERT_EQ(4, pread(self->fd, &value, 4, 0));
	ASSERT_EQ(0x5a5a5a5a, value);
	ASSERT_EQ(reads + 1, testdrv_count("reads"));
	testdrv_set("handler", "pass");
	ASSERT_EQ(4, pread(self->fd, &value, 4, 0));
	ASSERT_NE(0x5a5a5a5a, value);
	ASSERT_EQ(reads + 3, testdrv_count("reads"));
}

TEST_F_TIMEOUT(override, open_after_a_failed_open_works, 300)
{
	static const struct {
		const char *setup, *same, *high;
		int ret;
	} cases[] = {
		{ "range 0 4 4", "range 0 4 4", "", EBUSY },
		{ "range 0 4 4", "range 0 6 8", "", EBUSY },
		{ "range 0 4 4", "whole 0", "", EBUSY },
		{ "whole 0", "range 0 4 4", "", EBUSY },
		{ "whole 0", "over 0", "", EBUSY },
		{ "range 0 4 4; range 0 4 4", "", "", EBUSY },
		{ "over 0; over 0", "", "", EBUSY },
		{ "range 0 4 0", "", "", EINVAL },
		{ "range 0 0x7fffffffffffffff 4", "", "", EINVAL },
		{ "range 0 -4 4", "", "", EINVAL },
		{ "range 0 4 -1", "", "", EINVAL },
		{ "range 5 0 4", "", "", EINVAL },
		{ "range 9 0 4", "", "", EINVAL },
		{ "range 7 0x1000 1", "", "", EINVAL },
		{ "whole 9", "", "", EINVAL },
		{ "whole -1", "", "", EINVAL },
		{ "whole 0; size 0x20000000000", "", "", EINVAL },
		{ "whole 0; flags 0x80", "", "", EINVAL },
		{ "add 0xffff 1 0 1", "", "", EINVAL },
		{ "add 0 1 64 1", "", "", EINVAL },
		{ "add 0xffff 1 64 4", "", "", EINVAL },
		{ "add 0xffff 1 0x1000 1; area 0 0x1000", "", "", EINVAL },
		{ "add 0xffff 1 0x1000 7; area 0x1000 0x1000", "", "", EINVAL },
		{ "add 0xffff 1 0x1000 1; ops r", "", "", EINVAL },
		/* Invalid descriptions */
		{ "alias 0 0 0x1000; type 0 0", "", "", EINVAL },
		{ "alias 0 0 0x1000; size 0", "", "", EINVAL },
		{ "alias 0 0 0x1000; ops -", "", "", EINVAL },
		{ "alias 0 0 0x1000; ops wm", "", "", EINVAL },
		{ "alias 0 0 0x1000; ops rm", "", "", EINVAL },
		{ "alias 0 0 0x1000; ops rw", "", "", EINVAL },
		{ "alias 0 0 0x1000; flags 1; ops rf", "", "", EINVAL },
		{ "over 0; ops -", "", "", EINVAL },
		{ "over 0; ops f", "", "", EINVAL },
		{ "over 0; flags 4", "", "", EINVAL },
		{ "over 0; flags 3; area 0 0x1000", "", "", EINVAL },
		{ "over 0; area 0x100 0x1000", "", "", EINVAL },
		{ "over 0; type 0xffff 1", "", "", EINVAL },
		{ "over 0; flags 0x80000000; size 0x1000", "", "", EINVAL },
		{ "over 5; flags 1", "", "", EINVAL },
		{ "over 5; size 0x1000", "", "", EINVAL },
		{ "whole 0; flags 7", "", "", EINVAL },
		{ "nonsense", "", "", EINVAL },
		{ "fail 5", "", "", EIO },
		{ "whole 0; add 0xffff 1 64 1; fail 12", "", "", ENOMEM },
		{ "whole 0", "", "range 0 4 4; over 7; fail 5", EIO },
		/* -ENODEV skips a driver and undoes its overrides */
		{ "whole 0; fail 19", "range 0 4 4", "", 0 },
		{ "range 0 4 4", "range 0 8 4", "range 0 4 8; over 0", EBUSY },
		{ "range 0 4 4", "range 0 8 4", "over 0; range 0 4 8", 0 },
	};
	int i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		int opens = testdrv_count("opens"), closes = testdrv_count("closes");

		ASSERT_EQ(cases[i].ret, testdrv_open_errno(cases[i].setup, cases[i].same,
							   cases[i].high)) {
			TH_LOG("%s / %s / %s", cases[i].setup, cases[i].same, cases[i].high);
		}
		/* The core closes each driver that it opened */
		ASSERT_EQ(testdrv_count("opens") - opens, testdrv_count("closes") - closes);
	}

	open_with(self, "", "");
	ASSERT_EQ(VFIO_PCI_NUM_REGIONS, self->device->info.num_regions);
}

TEST_F_TIMEOUT(override, failed_open_releases_each_region_once, 120)
{
	char setup[128] = "";
	int n;

	for (n = 0; n <= 3; n++) {
		static const char *const steps[] = { "over 0;", "whole 2;", "over 7;" };
		int releases = testdrv_count("releases");
		char failing[160];

		if (n)
			strcat(setup, steps[n - 1]);
		snprintf(failing, sizeof(failing), "%s fail 11", setup);
		ASSERT_EQ(EAGAIN, testdrv_open_errno(failing, "", ""));
		ASSERT_EQ(releases + n, testdrv_count("releases"));
		ASSERT_EQ(0, testdrv_open_errno(setup, "", ""));
		ASSERT_EQ(releases + 2 * n, testdrv_count("releases"));
	}
}

TEST_F(override, failing_and_slow_handlers_do_not_break_accesses)
{
	struct timespec before, after;
	u64 value;
	int i;

	open_with(self, "range 0 4 4; whole 7", "");
	testdrv_set("handler", "fail");
	ASSERT_EQ(-1, pread(self->fd, &value, 8, 0));
	ASSERT_EQ(EPERM, errno);
	ASSERT_EQ(-1, pwrite(self->fd, &value, 4, 4));
	ASSERT_EQ(EPERM, errno);
	ASSERT_EQ(-1, pread(self->fd, &value, 4, region_offset(7)));
	ASSERT_EQ(EPERM, errno);

	testdrv_set("handler", "nonsense");
	for (i = 0; i < 4; i++) {
		ASSERT_EQ(-1, pread(self->fd, &value, 4, 4));
		ASSERT_EQ(EIO, errno);
		ASSERT_EQ(-1, pread(self->fd, &value, 4, region_offset(7)));
		ASSERT_EQ(EIO, errno);
	}

	testdrv_set("handler", "slow");
	clock_gettime(CLOCK_MONOTONIC, &before);
	ASSERT_EQ(4, pread(self->fd, &value, 4, 4));
	clock_gettime(CLOCK_MONOTONIC, &after);
	/* The handler sleeps 20 ms; an emulated clock may count less */
	ASSERT_LE(2000000, (after.tv_sec - before.tv_sec) * 1000000000 +
			    after.tv_nsec - before.tv_nsec);
	testdrv_set("handler", "keep");
}

TEST_F_TIMEOUT(override, thousands_of_ranges_work, 120)
{
	u32 values[2];
	int i;

	open_with(self, "ranges 0 0x1000 4 8 2000", "");
	for (i = 0; i < 2000; i += 7) {
		ASSERT_EQ(8, pread(self->fd, values, 8, 0x1000 + i * 8));
		ASSERT_EQ(0x5a5a5a5a, values[0]);
		ASSERT_NE(0x5a5a5a5a, values[1]);
	}
	ASSERT_EQ(MAP_FAILED, mmap(NULL, PAGE, PROT_READ, MAP_SHARED, self->fd, 2 * PAGE));
}

TEST_F(override, memory_region_can_be_mapped)
{
	u32 value = 0x12345678, seen;
	u64 offset;
	u32 *map;

	open_with(self, "add 0xffff 1 0x1800 7; add 0xffff 2 0x1000 5", "");
	ASSERT_EQ(RWM, flags_of(self, VFIO_PCI_NUM_REGIONS));
	ASSERT_EQ(NULL, find_cap(self->info, VFIO_REGION_INFO_CAP_SPARSE_MMAP));
	offset = self->info->info.offset;
	map = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, self->fd, offset);
	ASSERT_NE(MAP_FAILED, map);
	map[1] = value;
	ASSERT_EQ(4, pread(self->fd, &seen, 4, offset + 4));
	ASSERT_EQ(value, seen);
	ASSERT_EQ(4, pwrite(self->fd, &value, 4, offset + 0x17fc));
	ASSERT_EQ(value, map[0x17fc / 4]);
	ASSERT_EQ(-1, pwrite(self->fd, &value, 4, offset + 0x1800));
	ASSERT_EQ(MAP_FAILED, mmap(NULL, 3 * PAGE, PROT_READ, MAP_SHARED, self->fd, offset));
	ASSERT_EQ(MAP_FAILED, mremap(map, 2 * PAGE, 3 * PAGE, MREMAP_MAYMOVE));
	ASSERT_EQ(MAP_FAILED, mmap(NULL, PAGE, PROT_READ, MAP_SHARED, self->fd,
				   offset + 2 * PAGE));

	/* The mapping works without memory decode and after a reset */
	vfio_pci_cmd_clear(self->device, PCI_COMMAND_MEMORY);
	ASSERT_TRUE(readable(map + 1, &seen));
	ASSERT_EQ(value, seen);
	vfio_pci_cmd_set(self->device, PCI_COMMAND_MEMORY);
	__vfio_pci_device_reset(self->device);
	ASSERT_TRUE(readable(map + 1, &seen));
	ASSERT_EQ(value, seen);
	ASSERT_EQ(0, munmap(map, 2 * PAGE));

	/* mprotect() cannot make a read-only region writable */
	offset = region_offset(VFIO_PCI_NUM_REGIONS + 1);
	ASSERT_EQ(MAP_FAILED, mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED,
				   self->fd, offset));
	ASSERT_EQ(EACCES, errno);
	map = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, self->fd, offset);
	ASSERT_NE(MAP_FAILED, map);
	ASSERT_EQ(-1, mprotect(map, PAGE, PROT_READ | PROT_WRITE));
	ASSERT_EQ(EACCES, errno);
	ASSERT_EQ(0, munmap(map, PAGE));
}

TEST_F(override, region_of_a_bar_part_needs_memory_decode)
{
	u32 bar, seen;
	u64 offset;
	u32 *map;

	open_with(self, "alias 0 0 0x1000", "");
	ASSERT_EQ(RWM, flags_of(self, VFIO_PCI_NUM_REGIONS));
	offset = self->info->info.offset;
	map = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, self->fd, offset);
	ASSERT_NE(MAP_FAILED, map);
	ASSERT_EQ(4, pread(self->fd, &bar, 4, 0));
	ASSERT_EQ(4, pread(self->fd, &seen, 4, offset));
	ASSERT_EQ(bar, seen);
	ASSERT_TRUE(readable(map, &seen));
	ASSERT_EQ(bar, seen);
	vfio_pci_cmd_clear(self->device, PCI_COMMAND_MEMORY);
	ASSERT_FALSE(readable(map, &seen));
	vfio_pci_cmd_set(self->device, PCI_COMMAND_MEMORY);
	ASSERT_TRUE(readable(map, &seen));
	ASSERT_EQ(bar, seen);
	ASSERT_EQ(0, munmap(map, PAGE));
}

TEST_F(override, window_hides_pages_that_another_driver_overrides)
{
	u64 offset = region_offset(VFIO_PCI_NUM_REGIONS);
	u32 seen, *map;

	open_with(self, "alias 0 0 0x3000", "range 0 0x1004 4");
	map = mmap(NULL, 3 * PAGE, PROT_READ, MAP_SHARED, self->fd, offset);
	ASSERT_NE(MAP_FAILED, map);
	ASSERT_TRUE(readable(map, &seen));
	ASSERT_FALSE(readable((void *)map + PAGE, &seen));
	ASSERT_TRUE(readable((void *)map + 2 * PAGE, &seen));
	ASSERT_EQ(0, munmap(map, 3 * PAGE));
}

TEST_F(override, window_shows_pages_that_its_own_driver_overrides)
{
	u64 offset = region_offset(VFIO_PCI_NUM_REGIONS);
	u32 seen, *map;

	open_with(self, "alias 0 0 0x3000; range 0 0x1004 4", "");
	map = mmap(NULL, 3 * PAGE, PROT_READ, MAP_SHARED, self->fd, offset);
	ASSERT_NE(MAP_FAILED, map);
	ASSERT_TRUE(readable((void *)map + PAGE, &seen));
	ASSERT_EQ(0, munmap(map, 3 * PAGE));
}

TEST_F(override, overrides_stay_active_in_d3_and_after)
{
	u32 seen, *map;
	u8 pos;

	open_with(self, "range 0 0x1004 4", "");
	pos = find_pci_cap(self->device, PCI_CAP_ID_PM);
	if (!pos)
		SKIP(return, "the device has no power management\n");

	map = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, self->fd, 0);
	ASSERT_NE(MAP_FAILED, map);
	ASSERT_TRUE(readable(map, &seen));
	vfio_pci_config_writew(self->device, pos + PCI_PM_CTRL, 3);
	ASSERT_FALSE(readable(map, &seen));
	ASSERT_EQ(MAP_FAILED, mmap(NULL, PAGE, PROT_READ, MAP_SHARED, self->fd, PAGE));
	vfio_pci_config_writew(self->device, pos + PCI_PM_CTRL, 0);
	vfio_pci_cmd_set(self->device, PCI_COMMAND_MEMORY);
	ASSERT_EQ(MAP_FAILED, mmap(NULL, PAGE, PROT_READ, MAP_SHARED, self->fd, PAGE));
	ASSERT_EQ(4, pread(self->fd, &seen, 4, PAGE + 4));
	ASSERT_EQ(0x5a5a5a5a, seen);
	ASSERT_TRUE(readable(map, &seen));
	ASSERT_EQ(0, munmap(map, PAGE));
}

TEST_F(override, vendor_driver_handles_only_its_features)
{
	struct vfio_device_feature feature = {
		.argsz = sizeof(feature),
		.flags = VFIO_DEVICE_FEATURE_PROBE | VFIO_DEVICE_FEATURE_GET,
	};
	u32 value;

	open_with(self, "", "");
	feature.flags |= TESTDRV_FEATURE_REGISTER;
	ASSERT_EQ(0, ioctl(self->fd, VFIO_DEVICE_FEATURE, &feature));
	feature.flags |= VFIO_DEVICE_FEATURE_MASK;
	ASSERT_EQ(-1, ioctl(self->fd, VFIO_DEVICE_FEATURE, &feature));
	ASSERT_EQ(ENOTTY, errno);
	ASSERT_EQ(4, pread(self->fd, &value, 4, 0));
	ASSERT_EQ(value, testdrv_read_register(self->device, 0, 0));
}

int main(int argc, char *argv[])
{
	device_bdf = need_bdf(&argc, argv);
	testdrv_begin();

	return test_harness_run(argc, argv);
}
