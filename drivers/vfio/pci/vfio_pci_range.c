// SPDX-License-Identifier: GPL-2.0-only
/*
 * VFIO PCI ranges of bytes that vendor drivers handle
 *
 * Those of one vendor driver in one region make a region that overrides it and
 * takes each access apart: handlers get the registers in their ranges, and what
 * is between goes to the region below, in the width that it has there.
 */

#include <linux/pci.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/vfio.h>
#include <linux/vfio_pci_core.h>

#include "trace.h"
#include "vfio_pci_priv.h"

static bool vfio_pci_range_handles(const struct vfio_pci_range *range,
				   bool iswrite)
{
	return iswrite ? !!range->ops->write : !!range->ops->read;
}

/* The first range that ends after @pos, the one after the last if none does */
static struct vfio_pci_range *
vfio_pci_range_find(const struct vfio_pci_ranges *ranges, u64 pos)
{
	const u64 *end = ranges->end;
	unsigned int step;

	/* Each access gets here: no more than a comparison for each step */
	for (step = ranges->room / 2; step; step /= 2) {
		if (end[step - 1] <= pos)
			end += step;
	}

	return ranges->range + (end - ranges->end);
}

/* From @range on, the first that handles bytes before @end, or one after them */
static const struct vfio_pci_range *
vfio_pci_range_next(const struct vfio_pci_range *range, u64 end, bool iswrite)
{
	while (range->start < end && !vfio_pci_range_handles(range, iswrite))
		range++;

	return range;
}

static const struct vfio_pci_range *
vfio_pci_range_first(const struct vfio_pci_region *region, u64 pos,
		     size_t count, bool iswrite)
{
	return vfio_pci_range_next(vfio_pci_range_find(region->ranges, pos),
				   pos + count, iswrite);
}

bool vfio_pci_ranges_overlap(const struct vfio_pci_ranges *ranges, u64 start,
			     u64 end)
{
	return vfio_pci_range_find(ranges, start)->start < end;
}

static int vfio_pci_range_read_reg(const struct vfio_pci_range *range,
				   char __user *buf, size_t count, u64 pos)
{
	u64 val = 0;
	int ret;

	if (IS_ENABLED(CONFIG_VFIO_DEBUGFS))
		atomic_long_inc(&range->region->ranges->reads);
	ret = range->ops->read(range, &val, count, pos);
	if (ret)
		return vfio_pci_vendor_errno(range->region, ret);

	return copy_to_user(buf, &val, count) ? -EFAULT : 0;
}

static int vfio_pci_range_write_reg(const struct vfio_pci_range *range,
				    const char __user *buf, size_t count,
				    u64 pos)
{
	u64 val = 0;
	int ret;

	if (copy_from_user(&val, buf, count))
		return -EFAULT;

	if (IS_ENABLED(CONFIG_VFIO_DEBUGFS))
		atomic_long_inc(&range->region->ranges->writes);
	ret = range->ops->write(range, &val, count, pos);

	return ret ? vfio_pci_vendor_errno(range->region, ret) : 0;
}

/* How many of @count bytes at @pos are before @range, or are a register of it */
static size_t vfio_pci_range_part(const struct vfio_pci_range *range, u64 pos,
				  size_t count, unsigned int width)
{
	if (pos < range->start)
		return min_t(u64, count, range->start - pos);

	return vfio_pci_io_width(pos, min_t(u64, count, range->end - pos),
				 width);
}

/* As vfio_pci_lower_read(), for a region that has the size of that below */
static __always_inline ssize_t
vfio_pci_range_rw_lower(struct vfio_pci_region *region, char __user *buf,
			size_t count, loff_t pos, bool iswrite)
{
	struct vfio_pci_region *lower = region->lower;

	if (iswrite)
		return lower->ops->write ?
		       lower->ops->write(lower, buf, count, pos) : -EINVAL;

	return lower->ops->read ? lower->ops->read(lower, buf, count, pos) :
				  -EINVAL;
}

/* Compiled for each direction: most accesses go straight to what is below */
static __always_inline ssize_t
vfio_pci_range_rw(struct vfio_pci_region *region, char __user *buf,
		  size_t count, loff_t pos, bool iswrite)
{
	const struct vfio_pci_range *range;
	size_t done = 0;
	ssize_t ret;
	u64 end;

	range = vfio_pci_range_first(region, pos, count, iswrite);
	if (range->start >= pos + count)
		return vfio_pci_range_rw_lower(region, buf, count, pos,
					       iswrite);

	ret = vfio_pci_region_clip(region, count, pos);
	if (ret < 0)
		return ret;

	end = pos + ret;
	while (pos < end) {
		size_t part = vfio_pci_range_part(range, pos, end - pos,
						  region->width);

		if (pos >= range->start) {
			ret = iswrite ?
			      vfio_pci_range_write_reg(range, buf + done, part,
						       pos) :
			      vfio_pci_range_read_reg(range, buf + done, part,
						      pos);
			if (ret)
				return ret;
		} else {
			ret = vfio_pci_range_rw_lower(region, buf + done, part,
						      pos, iswrite);
			if (ret < 0)
				return ret;
			if (ret < part)
				return done + ret;
		}

		done += part;
		pos += part;
		if (pos >= range->end)
			range = vfio_pci_range_next(range + 1, end, iswrite);
	}

	return done;
}

static ssize_t vfio_pci_range_read(struct vfio_pci_region *region,
				   char __user *buf, size_t count, loff_t pos)
{
	return vfio_pci_range_rw(region, buf, count, pos, false);
}

static ssize_t vfio_pci_range_write(struct vfio_pci_region *region,
				    const char __user *buf, size_t count,
				    loff_t pos)
{
	return vfio_pci_range_rw(region, (char __user *)buf, count, pos, true);
}

/* The same between the region and memory of the kernel, for regions above */
static int vfio_pci_range_rw_buf(struct vfio_pci_region *region, void *buf,
				 size_t count, loff_t pos, bool iswrite)
{
	const struct vfio_pci_range *range;
	int ret = 0;

	range = vfio_pci_range_first(region, pos, count, iswrite);

	while (count) {
		size_t part = vfio_pci_range_part(range, pos, count,
						  region->width);

		if (pos < range->start)
			ret = iswrite ?
			      vfio_pci_lower_write_buf(region, buf, part, pos) :
			      vfio_pci_lower_read_buf(region, buf, part, pos);
		else
			ret = iswrite ?
			      range->ops->write(range, buf, part, pos) :
			      range->ops->read(range, buf, part, pos);
		if (ret)
			return vfio_pci_vendor_errno(region, ret);

		count -= part;
		buf += part;
		pos += part;
		if (pos >= range->end)
			range = vfio_pci_range_next(range + 1, pos + count,
						    iswrite);
	}

	return 0;
}

static int vfio_pci_range_read_buf(struct vfio_pci_region *region, void *buf,
				   size_t count, loff_t pos)
{
	memset(buf, 0, count);

	return vfio_pci_range_rw_buf(region, buf, count, pos, false);
}

static int vfio_pci_range_write_buf(struct vfio_pci_region *region,
				    const void *buf, size_t count, loff_t pos)
{
	return vfio_pci_range_rw_buf(region, (void *)buf, count, pos, true);
}

/* An eventfd writes by itself, where nothing may be in its way */
static int vfio_pci_range_ioeventfd(struct vfio_pci_region *region, loff_t pos,
				    u64 data, int count, int fd)
{
	if (vfio_pci_range_first(region, pos, count, true)->start < pos + count)
		return -EINVAL;

	return vfio_pci_lower_ioeventfd(region, pos, data, count, fd);
}

static void vfio_pci_ranges_free(struct vfio_pci_ranges *ranges)
{
	kvfree(ranges->range);
	kvfree(ranges->end);
	kfree(ranges);
}

static void vfio_pci_range_release(struct vfio_pci_region *region)
{
	vfio_pci_ranges_free(region->ranges);
}

/* What may be mapped and exported are the pages that no range is in */
static const struct vfio_pci_regops vfio_pci_range_regops = {
	.read			= vfio_pci_range_read,
	.write			= vfio_pci_range_write,
	.read_buf		= vfio_pci_range_read_buf,
	.write_buf		= vfio_pci_range_write_buf,
	.mmap			= vfio_pci_lower_mmap,
	.ioeventfd		= vfio_pci_range_ioeventfd,
	.get_dmabuf_phys	= vfio_pci_lower_get_dmabuf_phys,
	.release		= vfio_pci_range_release,
};

static const struct vfio_pci_range_ops vfio_pci_range_no_ops;

/* What comes after the last range, so that there is always one to look at */
static void vfio_pci_ranges_end(struct vfio_pci_ranges *ranges)
{
	ranges->range[ranges->nr] = (struct vfio_pci_range) {
		.ops = &vfio_pci_range_no_ops,
		.start = U64_MAX,
		.end = U64_MAX,
	};
}

static int vfio_pci_ranges_grow(struct vfio_pci_ranges *ranges)
{
	unsigned int room = ranges->room ? ranges->room * 2 : 2;
	struct vfio_pci_range *range;
	u64 *end;

	if (ranges->nr + 1 < ranges->room)
		return 0;

	range = kvrealloc(ranges->range, array_size(room, sizeof(*range)),
			  GFP_KERNEL_ACCOUNT);
	if (!range)
		return -ENOMEM;
	ranges->range = range;

	end = kvrealloc(ranges->end, array_size(room, sizeof(*end)),
			GFP_KERNEL_ACCOUNT);
	if (!end)
		return -ENOMEM;
	ranges->end = end;

	memset64(end + ranges->room, U64_MAX, room - ranges->room);
	ranges->room = room;

	return 0;
}

/* The region for the ranges of a vendor driver, on top of all others */
static struct vfio_pci_region *
vfio_pci_range_region(struct vfio_pci_vendor_device *dev, unsigned int index)
{
	struct vfio_pci_region *region = dev->vdev->regions[index];
	struct vfio_pci_ranges *ranges;
	int ret;

	if (region->ranges && region->vendor == dev)
		return region;

	ranges = kzalloc_obj(*ranges, GFP_KERNEL_ACCOUNT);
	if (!ranges)
		return ERR_PTR(-ENOMEM);

	ret = vfio_pci_ranges_grow(ranges);
	if (ret)
		goto err_free;
	vfio_pci_ranges_end(ranges);

	region = vfio_pci_vendor_new_region(dev, region, &vfio_pci_range_regops,
					    NULL);
	if (IS_ERR(region)) {
		ret = PTR_ERR(region);
		goto err_free;
	}
	region->ranges = ranges;

	return region;

err_free:
	vfio_pci_ranges_free(ranges);
	return ERR_PTR(ret);
}

static int vfio_pci_range_add(struct vfio_pci_vendor_device *dev,
			      unsigned int index, u64 start, u64 size,
			      const struct vfio_pci_range_ops *ops, void *data)
{
	struct vfio_pci_ranges *ranges;
	struct vfio_pci_region *region;
	struct vfio_pci_range *range;
	unsigned int at;
	u64 end;
	int ret;

	/* No region is that large */
	if (!size || check_add_overflow(start, size, &end))
		end = U64_MAX;

	ret = vfio_pci_vendor_check_override(dev, index, start, end);
	if (ret)
		return ret;

	if (!ops || end > dev->vdev->regions[index]->size) {
		dev_err_ratelimited(&dev->pdev->dev,
				    "vendor driver %s overrides %#llx bytes at %#llx of region %u %s\n",
				    dev->driver->name, size, start, index,
				    ops ? "which has no such bytes" : "without ops");
		return -EINVAL;
	}

	region = vfio_pci_range_region(dev, index);
	if (IS_ERR(region))
		return PTR_ERR(region);

	ranges = region->ranges;
	ret = vfio_pci_ranges_grow(ranges);
	if (ret)
		return ret;

	range = vfio_pci_range_find(ranges, start);
	at = range - ranges->range;
	memmove(range + 1, range, (ranges->nr - at) * sizeof(*range));
	memmove(ranges->end + at + 1, ranges->end + at,
		(ranges->nr - at) * sizeof(*ranges->end));

	ranges->end[at] = end;
	*range = (struct vfio_pci_range) {
		.region = region,
		.ops = ops,
		.data = data,
		.start = start,
		.end = end,
	};

	ranges->nr++;
	vfio_pci_ranges_end(ranges);

	return 0;
}

/**
 * vfio_pci_vendor_override_range() - override bytes of a region of a device
 * @dev: the device, in the open callback of the vendor driver
 * @index: index of the region: VFIO_PCI_BAR0_REGION_INDEX and so on, or what
 *	   vfio_pci_vendor_find_region() gives
 * @start: byte offset of the first byte in the region
 * @size: number of bytes
 * @ops: what handles the bytes
 * @data: for the use of @ops, stays the vendor driver's
 *
 * All accesses to the bytes get to @ops: pages that they are in can neither be
 * mapped nor exported, and if they are written by @ops, no ioeventfd is on
 * them.  What is known of config space otherwise, which parts of it are
 * emulated, for one, lies below.
 *
 * Context: Process context, may sleep.
 * Return: 0, -EINVAL if there are no @ops, no such region or no such bytes in
 * it, -EBUSY outside of the open callback, or if a driver of the same priority,
 * be it this one, overrides some of the bytes, -ENOMEM.
 */
int vfio_pci_vendor_override_range(struct vfio_pci_vendor_device *dev,
				   unsigned int index, u64 start, u64 size,
				   const struct vfio_pci_range_ops *ops,
				   void *data)
{
	int ret = vfio_pci_range_add(dev, index, start, size, ops, data);

	trace_vfio_pci_vendor_override(dev->pdev, dev->driver->name, index,
				       start, size, ret);

	return ret;
}
EXPORT_SYMBOL_GPL(vfio_pci_vendor_override_range);
