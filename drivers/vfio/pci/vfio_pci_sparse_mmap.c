// SPDX-License-Identifier: GPL-2.0-only
/*
 * VFIO PCI mmap areas
 *
 * The pages of a region that userspace can map and export.  A region has a list
 * of areas if a vendor driver overrides registers in it or lists areas itself.
 * Without a list, all pages are mappable.
 */

#include <linux/mm.h>
#include <linux/pci.h>
#include <linux/slab.h>
#include <linux/vfio.h>
#include <linux/vfio_pci_core.h>
#include <kunit/visibility.h>

#include "vfio_pci_priv.h"

/* The last area may end in the middle of a page, at the end of the region */
static u64 vfio_pci_area_end(const struct vfio_region_sparse_mmap_area *area)
{
	return PAGE_ALIGN(area->offset + area->size);
}

static int vfio_pci_areas_reserve(struct vfio_pci_core_region *region,
				  unsigned int nr)
{
	struct vfio_region_info_cap_sparse_mmap *sparse = region->sparse;
	unsigned int room = max(roundup_pow_of_two(nr), 4);

	if (nr > VFIO_PCI_MAX_AREAS) {
		dev_err_ratelimited(&region->vdev->pdev->dev,
				    "vendor driver %s: region %u would have more than %u mmap areas; override fewer, larger ranges\n",
				    region->region.dev->driver->name,
				    region->region.index, VFIO_PCI_MAX_AREAS);
		return -ENOSPC;
	}

	if (sparse && nr <= region->areas_room)
		return 0;

	sparse = kvrealloc(region->sparse, struct_size(sparse, areas, room),
			   GFP_KERNEL_ACCOUNT);
	if (!sparse)
		return -ENOMEM;

	if (!region->sparse) {
		memset(sparse, 0, sizeof(*sparse));
		sparse->header.id = VFIO_REGION_INFO_CAP_SPARSE_MMAP;
		sparse->header.version = 1;
		region->has_caps = true;
	}
	region->sparse = sparse;
	region->areas_room = room;

	return 0;
}

static void vfio_pci_area_set(struct vfio_pci_core_region *region,
			      struct vfio_region_sparse_mmap_area *area,
			      u64 start, u64 end)
{
	area->offset = start;
	area->size = min(end, region->region.size) - start;
}

/* Clear the MMAP flag because no mappable page is left */
static void vfio_pci_areas_none(struct vfio_pci_core_region *region)
{
	kvfree(region->sparse);
	region->sparse = NULL;
	region->areas_room = 0;
	region->region.flags &= ~VFIO_REGION_INFO_FLAG_MMAP;
}

/**
 * vfio_pci_region_set_areas() - set the mmap areas of a region
 * @region: a region of a vendor driver
 * @own: areas of the driver, or NULL for the areas of the lower region
 * @nr_own: number of entries of @own
 * @by_lower: the lower region serves the mappings
 *
 * If the lower region serves the mappings, intersect the areas of both regions.
 * Clear the MMAP flag if no area remains; the caller then removes the handlers.
 *
 * Return: 0 on success, -ENOMEM if out of memory, or -ENOSPC if there are too
 * many areas.
 */
int vfio_pci_region_set_areas(struct vfio_pci_core_region *region,
			      const struct vfio_region_sparse_mmap_area *own,
			      unsigned int nr_own, bool by_lower)
{
	struct vfio_region_sparse_mmap_area all = { .size = region->region.size };
	struct vfio_pci_core_region *lower = region->lower;
	struct vfio_region_sparse_mmap_area lower_all;
	const struct vfio_region_sparse_mmap_area *below = &all;
	unsigned int i = 0, j = 0, nr = 0, nr_below = 1;
	u64 end = PAGE_ALIGN(region->region.size);
	int ret;

	if (!(region->region.flags & VFIO_REGION_INFO_FLAG_MMAP))
		return 0;

	if (by_lower) {
		/* Exclude a page that the override contains only in part */
		if (region->region.size < lower->region.size)
			end = round_down(region->region.size, PAGE_SIZE);
		lower_all = (struct vfio_region_sparse_mmap_area) {
			.size = lower->region.size,
		};
		below = &lower_all;
	}
	/* An mmap operation without areas may map the lower region */
	if (lower && !own && region->region.size < lower->region.size)
		end = round_down(region->region.size, PAGE_SIZE);
	if (lower && lower->sparse && (by_lower || !own)) {
		below = lower->sparse->areas;
		nr_below = lower->sparse->nr_areas;
	}
	if (!own) {
		own = &all;
		nr_own = 1;
	}

	while (i < nr_own && j < nr_below) {
		u64 own_end = vfio_pci_area_end(&own[i]);
		u64 below_end = vfio_pci_area_end(&below[j]);
		u64 start = max(own[i].offset, below[j].offset);
		u64 stop = min3(own_end, below_end, end);

		if (start < stop) {
			ret = vfio_pci_areas_reserve(region, nr + 1);
			if (ret) {
				kvfree(region->sparse);
				region->sparse = NULL;
				return ret;
			}
			vfio_pci_area_set(region, &region->sparse->areas[nr++],
					  start, stop);
		}

		if (own_end < below_end)
			i++;
		else
			j++;
	}

	if (!nr) {
		vfio_pci_areas_none(region);
		return 0;
	}

	/* No list is needed if all of the region is mappable */
	if (nr == 1 && region->sparse->areas[0].size == region->region.size) {
		kvfree(region->sparse);
		region->sparse = NULL;
		region->areas_room = 0;
		return 0;
	}

	region->sparse->nr_areas = nr;

	return 0;
}

/* Return the first area that ends after @pos, or nr_areas if none does */
static unsigned int vfio_pci_area_find(const struct vfio_region_info_cap_sparse_mmap *sparse,
				       u64 pos)
{
	unsigned int low = 0, high = sparse->nr_areas;

	while (low < high) {
		unsigned int mid = low + (high - low) / 2;

		if (vfio_pci_area_end(&sparse->areas[mid]) <= pos)
			low = mid + 1;
		else
			high = mid;
	}

	return low;
}

/**
 * vfio_pci_region_cut_areas() - make the pages of a byte range unmappable
 * @region: a region of a vendor driver
 * @start: byte offset of the first byte in the region
 * @end: byte offset after the last byte in the region
 *
 * Clear the MMAP flag if no mappable page remains; the caller then removes the
 * handlers.
 *
 * Return: 0 on success, -ENOMEM if out of memory, or -ENOSPC if there are too
 * many areas.  On error, the areas are unchanged.
 */
int vfio_pci_region_cut_areas(struct vfio_pci_core_region *region, u64 start,
			      u64 end)
{
	struct vfio_region_sparse_mmap_area *area, left[2];
	struct vfio_region_info_cap_sparse_mmap *sparse;
	unsigned int first, last, nr, nr_left = 0;
	u64 from, to;
	int ret;

	if (!(region->region.flags & VFIO_REGION_INFO_FLAG_MMAP))
		return 0;

	start = round_down(start, PAGE_SIZE);
	end = PAGE_ALIGN(end);

	if (!region->sparse) {
		ret = vfio_pci_areas_reserve(region, 1);
		if (ret)
			return ret;
		vfio_pci_area_set(region, &region->sparse->areas[0], 0,
				  PAGE_ALIGN(region->region.size));
		region->sparse->nr_areas = 1;
	}

	sparse = region->sparse;
	first = vfio_pci_area_find(sparse, start);
	for (last = first; last < sparse->nr_areas; last++) {
		area = &sparse->areas[last];
		if (area->offset >= end)
			break;

		from = area->offset;
		to = vfio_pci_area_end(area);
		if (from < start)
			vfio_pci_area_set(region, &left[nr_left++], from, start);
		if (to > end)
			vfio_pci_area_set(region, &left[nr_left++], end, to);
	}

	nr = sparse->nr_areas + nr_left - (last - first);
	ret = vfio_pci_areas_reserve(region, nr ?: 1);
	if (ret)
		return ret;

	sparse = region->sparse;
	memmove(&sparse->areas[first + nr_left], &sparse->areas[last],
		(sparse->nr_areas - last) * sizeof(*area));
	memcpy(&sparse->areas[first], left, nr_left * sizeof(*area));
	sparse->nr_areas = nr;

	if (!nr)
		vfio_pci_areas_none(region);

	return 0;
}

/**
 * vfio_pci_region_mappable() - check whether a part of a region is mappable
 * @region: the region
 * @start: byte offset in the region
 * @size: number of bytes
 *
 * Return: true if one mmap area contains the whole part.
 */
bool vfio_pci_region_mappable(struct vfio_pci_core_region *region, u64 start,
			      u64 size)
{
	const struct vfio_region_info_cap_sparse_mmap *sparse = region->sparse;
	u64 end = PAGE_ALIGN(region->region.size), from = 0;

	/* A region without a vendor driver checks its bounds itself */
	if (!region->region.dev)
		return true;

	if (sparse) {
		unsigned int i = vfio_pci_area_find(sparse, start);

		if (i == sparse->nr_areas)
			return false;
		from = sparse->areas[i].offset;
		end = vfio_pci_area_end(&sparse->areas[i]);
	}

	return start >= from && start <= end && size <= end - start;
}
EXPORT_SYMBOL_IF_KUNIT(vfio_pci_region_mappable);

/* Store the parts of @area outside @start to @end in @to; return the count */
static unsigned int vfio_pci_area_cut(struct vfio_region_sparse_mmap_area *to,
				      const struct vfio_region_sparse_mmap_area *area,
				      u64 start, u64 end)
{
	u64 from = area->offset, stop = area->offset + area->size;
	unsigned int nr = 0;

	start = round_down(start, PAGE_SIZE);
	end = PAGE_ALIGN(end);

	if (start >= stop || end <= from) {
		to[nr++] = *area;
		return nr;
	}

	if (from < start)
		to[nr++] = (struct vfio_region_sparse_mmap_area) {
			.offset = from,
			.size = start - from,
		};
	if (end < stop)
		to[nr++] = (struct vfio_region_sparse_mmap_area) {
			.offset = end,
			.size = stop - end,
		};

	return nr;
}

/**
 * vfio_pci_region_sparse_size() - get the size of the sparse mmap capability
 * @region: the region, with a list of areas
 *
 * Return: the size in bytes of the capability that vfio_pci_region_sparse_cap()
 * adds.
 */
size_t vfio_pci_region_sparse_size(const struct vfio_pci_core_region *region)
{
	/* Each of the two holes splits at most one area */
	return struct_size(region->sparse, areas, region->sparse->nr_areas +
			   !!region->x_end + !!region->pba_end);
}

/**
 * vfio_pci_region_sparse_cap() - add the sparse mmap capability
 * @region: the region, with a list of areas
 * @caps: the capability chain
 *
 * Do not list the pages of the MSI-X table and of the PBA.  These pages stay
 * mappable, same as without a vendor driver.  A VMM that maps each listed area
 * would expose the real table to its guest, and some VMMs reject an area that
 * contains the table.
 *
 * Return: 0 on success, or -ENOMEM if out of memory.
 */
int vfio_pci_region_sparse_cap(struct vfio_pci_core_region *region,
			       struct vfio_info_cap *caps)
{
	const struct vfio_region_info_cap_sparse_mmap *sparse = region->sparse;
	struct vfio_region_info_cap_sparse_mmap *cap;
	unsigned int i, j, nr_parts, nr = sparse->nr_areas;
	struct vfio_region_sparse_mmap_area parts[2];
	struct vfio_info_cap_header *header;

	header = vfio_info_cap_add(caps, vfio_pci_region_sparse_size(region),
				   VFIO_REGION_INFO_CAP_SPARSE_MMAP, 1);
	if (IS_ERR(header))
		return PTR_ERR(header);

	cap = container_of(header, struct vfio_region_info_cap_sparse_mmap,
			   header);
	if (!region->x_end && !region->pba_end) {
		cap->nr_areas = nr;
		memcpy(cap->areas, sparse->areas, nr * sizeof(*cap->areas));
		return 0;
	}

	for (i = 0; i < nr; i++) {
		nr_parts = vfio_pci_area_cut(parts, &sparse->areas[i],
					     region->x_start, region->x_end);
		for (j = 0; j < nr_parts; j++)
			cap->nr_areas += vfio_pci_area_cut(cap->areas +
							   cap->nr_areas,
							   &parts[j],
							   region->pba_start,
							   region->pba_end);
	}

	return 0;
}
