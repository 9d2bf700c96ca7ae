// SPDX-License-Identifier: GPL-2.0-only
/*
 * VFIO PCI areas of regions that can be mapped
 *
 * Which pages of a region userspace may map or export: all, unless a vendor
 * driver handles bytes in some of them or says so.
 */

#include <linux/mm.h>
#include <linux/pci.h>
#include <linux/slab.h>
#include <linux/vfio.h>
#include <linux/vfio_pci_core.h>
#include <kunit/visibility.h>

#include "vfio_pci_priv.h"

struct vfio_pci_areas {
	struct vfio_region_sparse_mmap_area *area;
	unsigned int nr;
};

static void vfio_pci_areas_add(struct vfio_pci_areas *areas, u64 start, u64 end)
{
	if (start >= end)
		return;

	areas->area[areas->nr].offset = start;
	areas->area[areas->nr].size = end - start;
	areas->nr++;
}

/* Add the pages from @start to @end that no range is in, from @range on */
static unsigned int vfio_pci_areas_cut(struct vfio_pci_areas *areas,
				       const struct vfio_pci_ranges *ranges,
				       unsigned int i, u64 start, u64 end)
{
	for (; ranges && i < ranges->nr && start < end; i++) {
		const struct vfio_pci_range *range = &ranges->range[i];

		if (range->start >= end)
			break;
		if (range->end <= start)
			continue;
		vfio_pci_areas_add(areas, start,
				   round_down(range->start, PAGE_SIZE));
		start = round_up(range->end, PAGE_SIZE);
		/* The next area may begin in this range, too */
		if (start >= end)
			break;
	}
	vfio_pci_areas_add(areas, start, end);

	return i;
}

/**
 * vfio_pci_region_set_areas() - find what may be mapped of a region
 * @region: a region of a vendor driver
 * @ops: the operations that it will have, with one to map it or to export it
 *
 * Of the areas that it has, that is what the region below lets be mapped, if
 * that is what it maps, without the pages of ranges.
 *
 * Return: 0, -ENOMEM, -ENOSPC if there is nothing.
 */
int vfio_pci_region_set_areas(struct vfio_pci_region *region,
			      const struct vfio_pci_regops *ops)
{
	struct vfio_pci_region *lower = region->lower;
	u64 all = round_up(region->size, PAGE_SIZE), end = all;
	unsigned int i, j, nr_lower = 1, nr_own = region->nr_areas ?: 1, at = 0;
	struct vfio_region_sparse_mmap_area *own = region->areas;
	struct vfio_pci_areas areas = {};
	int ret = 0;
	size_t nr;

	if (ops->mmap && ops->mmap != vfio_pci_lower_mmap)
		lower = NULL;
	if (lower) {
		end = region->size < lower->size ?
		      round_down(region->size, PAGE_SIZE) :
		      round_up(lower->size, PAGE_SIZE);
		nr_lower = lower->nr_areas ?: 1;
	}

	/* Mostly, there is nothing to be left out */
	if (!region->ranges && end == all && !own && !(lower && lower->areas))
		return 0;

	nr = (size_t)nr_own + nr_lower + (region->ranges ? region->ranges->nr : 0);
	areas.area = kvmalloc_array(nr, sizeof(*areas.area), GFP_KERNEL_ACCOUNT);
	if (!areas.area)
		return -ENOMEM;

	for (i = 0; i < nr_own; i++) {
		for (j = 0; j < nr_lower; j++) {
			u64 from = 0, to = end;

			if (own) {
				from = own[i].offset;
				to = min(to, from + own[i].size);
			}
			if (lower && lower->areas) {
				from = max(from, lower->areas[j].offset);
				to = min(to, lower->areas[j].offset +
					     lower->areas[j].size);
			}
			at = vfio_pci_areas_cut(&areas, region->ranges, at,
						from, to);
		}
	}

	if (areas.nr == 1 && areas.area->size == all)
		areas.nr = 0;
	else if (!areas.nr)
		ret = -ENOSPC;

	kvfree(own);
	region->areas = areas.nr ? areas.area : NULL;
	region->nr_areas = areas.nr;
	if (!areas.nr)
		kvfree(areas.area);

	return ret;
}

/**
 * vfio_pci_region_set_sparse_mmap() - say which parts of a region can be mapped
 * @region: a region of the vendor driver, in its open callback, which has
 *	    VFIO_REGION_INFO_FLAG_MMAP
 * @areas: the parts: page aligned, not empty, ascending, not overlapping
 * @nr_areas: number of entries of @areas, not 0
 *
 * The user is told of them by VFIO_REGION_INFO_CAP_SPARSE_MMAP, and what is in
 * none of them is neither mapped nor exported.
 *
 * Context: Process context, may sleep.
 * Return: 0, -EINVAL for areas that are not as said or not in the region,
 * -EBUSY outside of the open callback, -ENOMEM.
 */
int vfio_pci_region_set_sparse_mmap(struct vfio_pci_region *region,
				    const struct vfio_region_sparse_mmap_area *areas,
				    unsigned int nr_areas)
{
	struct vfio_region_sparse_mmap_area *copy;
	unsigned int i;
	u64 at = 0, end;
	int ret;

	if (!region->vendor)
		return -EINVAL;

	ret = vfio_pci_vendor_check_open(region->vendor);
	if (ret)
		return ret;
	if (vfio_pci_region_is_sealed(region))
		return -EBUSY;

	for (i = 0; i < nr_areas; i++) {
		if (!PAGE_ALIGNED(areas[i].offset) ||
		    !PAGE_ALIGNED(areas[i].size) || !areas[i].size ||
		    areas[i].offset < at ||
		    check_add_overflow(areas[i].offset, areas[i].size, &end) ||
		    end > round_up(region->size, PAGE_SIZE))
			break;
		at = end;
	}
	if (!nr_areas || i < nr_areas ||
	    !(region->flags & VFIO_REGION_INFO_FLAG_MMAP)) {
		dev_err_ratelimited(&region->vdev->pdev->dev,
				    "vendor driver %s: area %u to map of region %u is not valid\n",
				    region->vendor->driver->name, i,
				    region->index);
		return -EINVAL;
	}

	copy = kvmalloc_array(nr_areas, sizeof(*areas), GFP_KERNEL_ACCOUNT);
	if (!copy)
		return -ENOMEM;

	memcpy(copy, areas, array_size(nr_areas, sizeof(*areas)));
	kvfree(region->areas);
	region->areas = copy;
	region->nr_areas = nr_areas;

	return 0;
}
EXPORT_SYMBOL_GPL(vfio_pci_region_set_sparse_mmap);

/**
 * vfio_pci_region_mappable() - find whether a part of a region may be mapped
 * @region: the region
 * @start: byte offset in the region
 * @size: number of bytes
 *
 * Return: whether all of it is in one area that may be mapped.
 */
bool vfio_pci_region_mappable(struct vfio_pci_region *region, u64 start,
			      u64 size)
{
	struct vfio_region_sparse_mmap_area *area;
	u64 end = round_up(region->size, PAGE_SIZE);
	unsigned int low = 0, high = region->nr_areas;

	/* The regions of the device have their own idea of what there is */
	if (!region->vendor)
		return true;

	if (!region->areas)
		return start <= end && size <= end - start;

	/* They ascend: find the first that starts later */
	while (low < high) {
		unsigned int mid = low + (high - low) / 2;

		if (region->areas[mid].offset <= start)
			low = mid + 1;
		else
			high = mid;
	}
	if (!low)
		return false;

	area = &region->areas[low - 1];
	start -= area->offset;

	return start <= area->size && size <= area->size - start;
}
EXPORT_SYMBOL_IF_KUNIT(vfio_pci_region_mappable);

/**
 * vfio_pci_region_sparse_cap() - tell which parts of a region may be mapped
 * @region: the region
 * @caps: capability chain, which gets the capability if not all may be mapped
 *
 * Return: 0, or -ENOMEM.
 */
int vfio_pci_region_sparse_cap(struct vfio_pci_region *region,
			       struct vfio_info_cap *caps)
{
	struct vfio_region_info_cap_sparse_mmap *sparse __free(kvfree) = NULL;
	unsigned int i;
	size_t size;

	if (!region->areas || !(region->flags & VFIO_REGION_INFO_FLAG_MMAP))
		return 0;

	size = struct_size(sparse, areas, region->nr_areas);
	sparse = kvzalloc(size, GFP_KERNEL_ACCOUNT);
	if (!sparse)
		return -ENOMEM;

	sparse->header.id = VFIO_REGION_INFO_CAP_SPARSE_MMAP;
	sparse->header.version = 1;
	sparse->nr_areas = region->nr_areas;
	for (i = 0; i < region->nr_areas; i++) {
		sparse->areas[i] = region->areas[i];
		/* The last page may be one that the region does not fill */
		sparse->areas[i].size = min(sparse->areas[i].size,
					    region->size -
					    sparse->areas[i].offset);
	}

	return vfio_info_add_capability(caps, &sparse->header, size);
}
