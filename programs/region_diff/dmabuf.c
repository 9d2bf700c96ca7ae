// SPDX-License-Identifier: GPL-2.0-only
/* Export regions as dma-bufs, and map these through iommufd. */
#include <fcntl.h>

#include <sys/mman.h>

#include <linux/iommufd.h>

#include "region_diff.h"

#define MAX_RANGES	4

struct export {
	struct vfio_device_feature feature;
	struct vfio_device_feature_dma_buf buf;
	struct vfio_region_dma_range range[MAX_RANGES];
};

static long export(u32 index, u32 num, const struct vfio_region_dma_range *range)
{
	struct export arg = {
		.feature.argsz = sizeof(arg),
		.feature.flags = VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_DMA_BUF,
		.buf.region_index = index,
		.buf.open_flags = O_CLOEXEC | O_RDWR,
		.buf.nr_ranges = num,
	};

	memcpy(arg.range, range, (num < MAX_RANGES ? num : MAX_RANGES) * sizeof(*range));
	return do_ioctl(subject.fd, VFIO_DEVICE_FEATURE, &arg);
}

/* iommufd gets the physical address through a private interface of vfio-pci */
static long map_to_iommu(int fd, u64 length)
{
	struct iommu_ioas_map_file map = {
		.size = sizeof(map),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE |
			 IOMMU_IOAS_MAP_WRITEABLE,
		.ioas_id = subject.iommu->ioas_id,
		.fd = fd,
		.length = length,
		.iova = 0x100000000ULL,
	};
	struct iommu_ioas_unmap unmap = {
		.size = sizeof(unmap),
		.ioas_id = subject.iommu->ioas_id,
		.iova = map.iova,
		.length = length,
	};
	long ret = do_ioctl(subject.iommu->iommufd, IOMMU_IOAS_MAP_FILE, &map);

	if (!ret)
		do_ioctl(subject.iommu->iommufd, IOMMU_IOAS_UNMAP, &unmap);
	return ret;
}

static void look_at(int fd, u64 length)
{
	off_t size = lseek(fd, 0, SEEK_END);
	void *map = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0);

	say("  dma-buf of %#lx bytes, mmap = %s", (long)size,
	    result(map == MAP_FAILED ? -errno : 0));
	if (map != MAP_FAILED)
		munmap(map, PAGE);
	if (subject.cdev)
		say("  iommufd maps it = %s", result(map_to_iommu(fd, length)));
}

static void try_ranges(u32 index, const char *what, u32 num,
		       const struct vfio_region_dma_range *range)
{
	long fd = export(index, num, range);

	say("dma_buf region %#x %s = %s", index, what, fd < 0 ? result(fd) : "fd");
	if (fd < 0)
		return;
	look_at(fd, range[0].length);
	close(fd);
}

static void one(u32 index, u64 offset, u64 length)
{
	struct vfio_region_dma_range range = { offset, length };
	char what[64];

	snprintf(what, sizeof(what), "%#llx+%#llx", (unsigned long long)offset,
		 (unsigned long long)length);
	try_ranges(index, what, 1, &range);
}

static void ranges_of_region(u32 index)
{
	u64 size = index < subject.num_regions ? subject.size[index] : 0;
	const u64 offsets[] = {
		0, 1, 0x800, PAGE, 2 * PAGE, size / 2, size - PAGE, size, size + PAGE,
		REGION_SPACE, REGION_SPACE - PAGE, -PAGE, 1ULL << 63
	};
	const u64 lengths[] = {
		0, 1, 0x800, PAGE, 2 * PAGE, size / 2, size - PAGE, size, size + PAGE,
		REGION_SPACE, -PAGE, 1ULL << 63, (1ULL << 62) | PAGE
	};
	const struct vfio_region_dma_range sets[][MAX_RANGES] = {
		{ { 0, PAGE }, { PAGE, PAGE } },
		{ { PAGE, PAGE }, { 0, PAGE } },
		{ { 0, PAGE }, { 0, PAGE }, { 0, PAGE }, { 0, PAGE } },
		{ { 0, 2 * PAGE }, { PAGE, 2 * PAGE } },
		{ { 0, PAGE }, { size, PAGE } },
		{ { 0, PAGE }, { 0, 0 } },
		{ { 0, PAGE }, { 1, PAGE } },
		{ { 0, size }, { 0, 1ULL << 63 } },
		{ { 0, 1ULL << 63 }, { 0, 1ULL << 63 } },
	};
	char what[32];
	size_t i, j;
	u32 num;

	for (i = 0; i < NUM(offsets); i++)
		for (j = 0; j < NUM(lengths); j++)
			one(index, offsets[i], lengths[j]);
	for (i = 0; i < NUM(sets); i++) {
		for (num = 0; num <= MAX_RANGES; num++) {
			snprintf(what, sizeof(what), "set %zu num %u", i, num);
			try_ranges(index, what, num, sets[i]);
		}
	}
}

static void arguments(u32 index)
{
	static const u32 flags[] = {
		VFIO_DEVICE_FEATURE_PROBE,
		VFIO_DEVICE_FEATURE_PROBE | VFIO_DEVICE_FEATURE_GET,
		VFIO_DEVICE_FEATURE_PROBE | VFIO_DEVICE_FEATURE_SET,
		VFIO_DEVICE_FEATURE_SET,
		VFIO_DEVICE_FEATURE_GET,
	};
	struct export arg = {
		.feature.argsz = sizeof(arg),
		.buf.region_index = index,
		.buf.nr_ranges = 1,
		.range[0].length = PAGE,
	};
	u32 i, argsz;
	long ret;

	for (i = 0; i < NUM(flags); i++) {
		for (argsz = 0; argsz <= sizeof(arg) + 8; argsz += 4) {
			arg.feature.argsz = argsz;
			arg.feature.flags = flags[i] | VFIO_DEVICE_FEATURE_DMA_BUF;
			ret = do_ioctl(subject.fd, VFIO_DEVICE_FEATURE, &arg);
			say("dma_buf region %u flags %#x argsz %u = %s", index, flags[i], argsz,
			    ret > 0 ? "fd" : result(ret));
			if (ret > 0)
				close(ret);
		}
	}

	arg.feature.argsz = sizeof(arg);
	arg.feature.flags = VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_DMA_BUF;
	for (i = 0; i < 32; i++) {
		arg.buf.flags = 1U << i;
		say("dma_buf region %u own flags %#x = %s", index, arg.buf.flags,
		    result(do_ioctl(subject.fd, VFIO_DEVICE_FEATURE, &arg)));
		arg.buf.flags = 0;
		arg.buf.open_flags = 1U << i;
		ret = do_ioctl(subject.fd, VFIO_DEVICE_FEATURE, &arg);
		say("dma_buf region %u open flags %#x = %s", index, arg.buf.open_flags,
		    ret > 0 ? "fd" : result(ret));
		if (ret > 0)
			close(ret);
		arg.buf.open_flags = 0;
	}
	arg.buf.nr_ranges = 0xffffffff;
	say("dma_buf region %u too many ranges = %s", index,
	    result(do_ioctl(subject.fd, VFIO_DEVICE_FEATURE, &arg)));

	/* The buffer of the argument faults before or inside the ranges */
	arg.buf.nr_ranges = 1;
	for (i = 0; i <= sizeof(arg); i += 4) {
		u8 *short_arg = buffer_ending_after(i, true);

		memcpy(short_arg, &arg, i);
		ret = do_ioctl(subject.fd, VFIO_DEVICE_FEATURE, short_arg);
		say("dma_buf region %u good=%u = %s", index, i, ret > 0 ? "fd" : result(ret));
		if (ret > 0)
			close(ret);
	}
}

void stage_dmabuf(void)
{
	static const u32 far_indexes[] = { 16, 255, 0x7fffffff, 0x80000000, 0xffffffff };
	u32 index;

	for (index = 0; index < subject.num_regions + 2; index++) {
		ranges_of_region(index);
		arguments(index);
	}
	for (index = 0; index < NUM(far_indexes); index++)
		one(far_indexes[index], 0, PAGE);
}

void brief_dmabuf(void)
{
	u32 index;

	for (index = 0; index < subject.num_regions + 1; index++) {
		one(index, 0, PAGE);
		if (index < subject.num_regions && subject.size[index])
			one(index, 0, subject.size[index]);
	}
}
