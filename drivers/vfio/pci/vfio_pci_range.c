// SPDX-License-Identifier: GPL-2.0-only
/*
 * VFIO PCI ranges of registers that vendor drivers handle
 *
 * One override of a region holds all ranges of a vendor driver in that region.
 * This override splits each access at the boundaries of ranges.  Handlers get
 * the registers in their ranges, and the lower region gets the rest.
 */

#include <linux/nospec.h>
#include <linux/pci.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/vfio.h>
#include <linux/vfio_pci_core.h>

#include "vfio_pci_priv.h"

static bool vfio_pci_range_handles(const struct vfio_pci_core_range *range,
				   bool iswrite)
{
	const struct vfio_pci_range_ops *ops = range->range.ops;

	return iswrite ? !!ops->write : !!ops->read;
}

/* Find the first range that ends after @pos, or the terminator */
static __always_inline struct vfio_pci_core_range *
vfio_pci_range_find(const struct vfio_pci_ranges *ranges, u64 pos)
{
	const u64 *end = ranges->end;
	unsigned int step;

	/* Every access runs this loop, so a step is only one comparison */
	for (step = ranges->room / 2; step; step /= 2) {
		if (end[step - 1] <= pos)
			end += step;
	}

	return ranges->range + (end - ranges->end);
}

/* Skip ranges before @end that have no handler for the access */
static struct vfio_pci_core_range *
vfio_pci_range_next(struct vfio_pci_core_range *range, u64 end, bool iswrite)
{
	while (range->range.start < end && !vfio_pci_range_handles(range, iswrite))
		range++;

	return range;
}

static struct vfio_pci_core_range *
vfio_pci_range_first(const struct vfio_pci_core_region *region, u64 pos,
		     size_t count, bool iswrite)
{
	return vfio_pci_range_next(vfio_pci_range_find(region->ranges, pos),
				   pos + count, iswrite);
}

bool vfio_pci_ranges_overlap(const struct vfio_pci_ranges *ranges, u64 start,
			     u64 end)
{
	return vfio_pci_range_find(ranges, start)->range.start < end;
}

static int vfio_pci_range_call_read(struct vfio_pci_core_region *region,
				    struct vfio_pci_core_range *range, u64 pos,
				    unsigned int width, u64 *val)
{
	u64 reg = 0;
	int ret;

	if (IS_ENABLED(CONFIG_VFIO_DEBUGFS))
		atomic_long_inc(&range->reads);

	ret = range->range.ops->read(&range->range, pos, width, &reg);
	/* A handler need not clear the bits above the register */
	*val = reg & GENMASK_ULL(width * 8 - 1, 0);

	return vfio_pci_vendor_ret(region, ret);
}

static int vfio_pci_range_call_write(struct vfio_pci_core_region *region,
				     struct vfio_pci_core_range *range, u64 pos,
				     unsigned int width, u64 val)
{
	if (IS_ENABLED(CONFIG_VFIO_DEBUGFS))
		atomic_long_inc(&range->writes);

	return vfio_pci_vendor_ret(region,
				   range->range.ops->write(&range->range, pos,
							   width, val));
}

/* Do a part of an access: the bytes before @range, or one register in it */
static int vfio_pci_range_rw_part(struct vfio_pci_core_region *region,
				  struct vfio_pci_core_range *range, void *buf,
				  size_t count, u64 pos, bool iswrite,
				  size_t *part)
{
	struct vfio_pci_region *lower = &region->lower->region;
	__le64 le = 0;
	u64 val;
	int ret;

	if (pos < range->range.start) {
		*part = min_t(u64, count, range->range.start - pos);
		return iswrite ? vfio_pci_region_write(lower, buf, *part, pos) :
				 vfio_pci_region_read(lower, buf, *part, pos);
	}

	*part = vfio_pci_io_width(pos, min_t(u64, count, range->range.end - pos),
				  region->max_width);
	if (iswrite) {
		memcpy(&le, buf, *part);
		return vfio_pci_range_call_write(region, range, pos, *part,
						 le64_to_cpu(le));
	}

	ret = vfio_pci_range_call_read(region, range, pos, *part, &val);
	le = cpu_to_le64(val);
	memcpy(buf, &le, *part);

	return ret;
}

/* Split an access at the boundaries of ranges */
static int vfio_pci_range_rw(struct vfio_pci_region *region, void *buf,
			     size_t count, loff_t pos, bool iswrite)
{
	struct vfio_pci_core_region *core = to_core_region(region);
	struct vfio_pci_core_range *range;
	size_t part;
	int ret;

	range = vfio_pci_range_first(core, pos, count, iswrite);

	while (count) {
		ret = vfio_pci_range_rw_part(core, range, buf, count, pos,
					     iswrite, &part);
		if (ret)
			return ret;

		count -= part;
		buf += part;
		pos += part;
		if (pos >= range->range.end)
			range = vfio_pci_range_next(range + 1, pos + count,
						    iswrite);
	}

	return 0;
}

static int vfio_pci_range_read(struct vfio_pci_region *region, void *buf,
			       size_t count, loff_t pos)
{
	return vfio_pci_range_rw(region, buf, count, pos, false);
}

static int vfio_pci_range_write(struct vfio_pci_region *region, const void *buf,
				size_t count, loff_t pos)
{
	return vfio_pci_range_rw(region, (void *)buf, count, pos, true);
}

/* Check whether @range handles an aligned register */
static __always_inline bool
vfio_pci_range_handles_reg(const struct vfio_pci_core_range *range, u64 pos,
			   unsigned int width, bool iswrite)
{
	return pos >= range->range.start && pos + width <= range->range.end &&
	       vfio_pci_range_handles(range, iswrite);
}

/* Check whether an access is one register */
static __always_inline bool
vfio_pci_range_is_reg(const struct vfio_pci_core_region *region, size_t count,
		      u64 pos)
{
	return count <= region->max_width && !(count & (count - 1)) &&
	       !(pos & (count - 1));
}

/* Most registers have 4 bytes, and put_user() is faster than a copy */
static int vfio_pci_range_put_user(char __user *buf, u64 val, size_t count)
{
	__le64 le = cpu_to_le64(val);

	if (count == sizeof(u32) && IS_ALIGNED((unsigned long)buf, sizeof(u32)))
		return put_user(cpu_to_le32(val), (__le32 __user *)buf);

	return copy_to_user(buf, &le, count) ? -EFAULT : 0;
}

static int vfio_pci_range_get_user(u64 *val, const char __user *buf,
				   size_t count)
{
	__le64 le = 0;
	__le32 le32;

	if (count == sizeof(u32) && IS_ALIGNED((unsigned long)buf, sizeof(u32))) {
		if (get_user(le32, (const __le32 __user *)buf))
			return -EFAULT;
		*val = le32_to_cpu(le32);
		return 0;
	}

	if (copy_from_user(&le, buf, count))
		return -EFAULT;
	*val = le64_to_cpu(le);

	return 0;
}

static ssize_t vfio_pci_range_read_user(struct vfio_pci_core_region *region,
					char __user *buf, size_t count,
					loff_t pos)
{
	struct vfio_pci_core_region *lower = region->lower;
	struct vfio_pci_core_range *range;
	u64 val;
	int ret;

	/* Most accesses go straight to the lower region */
	range = vfio_pci_range_find(region->ranges, pos);
	if (range->range.start >= pos + count)
		return lower->user.read(lower, buf, count, pos);

	if (vfio_pci_range_is_reg(region, count, pos) &&
	    vfio_pci_range_handles_reg(range, pos, count, false)) {
		ret = vfio_pci_range_call_read(region, range, pos, count, &val);
		if (!ret)
			ret = vfio_pci_range_put_user(buf, val, count);

		return ret ?: count;
	}

	range = vfio_pci_range_next(range, pos + count, false);
	if (range->range.start >= pos + count)
		return lower->user.read(lower, buf, count, pos);

	return vfio_pci_region_read_user(region, buf, count, pos);
}

static ssize_t vfio_pci_range_write_user(struct vfio_pci_core_region *region,
					 const char __user *buf, size_t count,
					 loff_t pos)
{
	struct vfio_pci_core_region *lower = region->lower;
	struct vfio_pci_core_range *range;
	u64 val;
	int ret;

	range = vfio_pci_range_find(region->ranges, pos);
	if (range->range.start >= pos + count)
		return lower->user.write(lower, buf, count, pos);

	if (vfio_pci_range_is_reg(region, count, pos) &&
	    vfio_pci_range_handles_reg(range, pos, count, true)) {
		ret = vfio_pci_range_get_user(&val, buf, count);
		if (!ret)
			ret = vfio_pci_range_call_write(region, range, pos,
							count, val);

		return ret ?: count;
	}

	range = vfio_pci_range_next(range, pos + count, true);
	if (range->range.start >= pos + count)
		return lower->user.write(lower, buf, count, pos);

	return vfio_pci_region_write_user(region, buf, count, pos);
}

/* Access a register that is only partly in a range */
static int vfio_pci_range_rw_reg(struct vfio_pci_core_region *region, u64 pos,
				 unsigned int width, u64 *val, bool iswrite)
{
	__le64 le = cpu_to_le64(*val);
	int ret;

	ret = vfio_pci_range_rw(&region->region, &le, width, pos, iswrite);
	if (!iswrite)
		*val = ret ? 0 : le64_to_cpu(le);

	return ret;
}

static int vfio_pci_range_read_reg(struct vfio_pci_core_region *region, u64 pos,
				   unsigned int width, u64 *val)
{
	struct vfio_pci_core_range *range;

	range = vfio_pci_range_find(region->ranges, pos);
	if (vfio_pci_range_handles_reg(range, pos, width, false))
		return vfio_pci_range_call_read(region, range, pos, width, val);

	range = vfio_pci_range_next(range, pos + width, false);
	if (range->range.start >= pos + width)
		return __vfio_pci_region_read_reg(region->lower, pos, width,
						  val);

	*val = 0;

	return vfio_pci_range_rw_reg(region, pos, width, val, false);
}

static int vfio_pci_range_write_reg(struct vfio_pci_core_region *region,
				    u64 pos, unsigned int width, u64 val)
{
	struct vfio_pci_core_range *range;

	range = vfio_pci_range_find(region->ranges, pos);
	if (vfio_pci_range_handles_reg(range, pos, width, true))
		return vfio_pci_range_call_write(region, range, pos, width,
						 val);

	range = vfio_pci_range_next(range, pos + width, true);
	if (range->range.start >= pos + width)
		return __vfio_pci_region_write_reg(region->lower, pos, width,
						   val);

	return vfio_pci_range_rw_reg(region, pos, width, &val, true);
}

/* An ioeventfd bypasses the handlers, so it must not overlap a range */
static int vfio_pci_range_ioeventfd(struct vfio_pci_core_region *region,
				    loff_t pos, u64 data, int count, int fd)
{
	struct vfio_pci_core_range *range;

	range = vfio_pci_range_first(region, pos, count, true);
	if (range->range.start < pos + count)
		return -EINVAL;

	return region->lower->user.ioeventfd(region->lower, pos, data, count,
					     fd);
}

static void vfio_pci_ranges_free(struct vfio_pci_ranges *ranges)
{
	kvfree(ranges->range);
	kvfree(ranges->end);
	kfree(ranges);
}

static void vfio_pci_range_release(struct vfio_pci_region *region)
{
	vfio_pci_ranges_free(to_core_region(region)->ranges);
}

/* Userspace can map and export the pages without ranges */
static const struct vfio_pci_regops vfio_pci_range_regops = {
	.read			= vfio_pci_range_read,
	.write			= vfio_pci_range_write,
	.mmap			= vfio_pci_lower_mmap,
	.get_dmabuf_phys	= vfio_pci_lower_get_dmabuf_phys,
	.release		= vfio_pci_range_release,
};

static const struct vfio_pci_user_regops vfio_pci_range_user_regops = {
	.read			= vfio_pci_range_read_user,
	.write			= vfio_pci_range_write_user,
	.read_reg		= vfio_pci_range_read_reg,
	.write_reg		= vfio_pci_range_write_reg,
	.ioeventfd		= vfio_pci_range_ioeventfd,
	.get_info		= vfio_pci_lower_get_info,
};

static const struct vfio_pci_range_ops vfio_pci_range_no_ops;

/* Add a terminator, so that a search always finds an entry */
static void vfio_pci_ranges_end(struct vfio_pci_ranges *ranges)
{
	ranges->range[ranges->nr] = (struct vfio_pci_core_range) {
		.range = {
			.ops = &vfio_pci_range_no_ops,
			.start = U64_MAX,
			.end = U64_MAX,
		},
	};
}

static int vfio_pci_ranges_grow(struct vfio_pci_ranges *ranges)
{
	unsigned int room = ranges->room ? ranges->room * 2 : 2;
	struct vfio_pci_core_range *range;
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

/* Return the override that holds the ranges of @dev; create it if missing */
static struct vfio_pci_core_region *
vfio_pci_range_region(struct vfio_pci_vendor_device *dev, unsigned int index)
{
	struct vfio_pci_core_region *region = dev->vdev->regions[index];
	const struct vfio_pci_region_desc desc = {
		.ops = &vfio_pci_range_regops,
	};
	struct vfio_pci_ranges *ranges;
	int ret;

	if (region->ranges && region->region.dev == dev)
		return region;

	ranges = kzalloc_obj(*ranges, GFP_KERNEL_ACCOUNT);
	if (!ranges)
		return ERR_PTR(-ENOMEM);

	ret = vfio_pci_ranges_grow(ranges);
	if (ret)
		goto err_free;
	vfio_pci_ranges_end(ranges);

	region = vfio_pci_vendor_new_region(dev, region, &desc,
					    &vfio_pci_range_user_regops);
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

/**
 * vfio_pci_range_insert() - add a range to the ranges of a vendor driver
 * @dev: the device of the vendor driver
 * @index: index of the region
 * @start: byte offset of the first byte
 * @end: byte offset after the last byte, inside the region
 * @ops: the handlers
 * @data: private data of @ops
 *
 * The caller has checked that no other override contains one of the bytes.
 *
 * Return: 0 on success, -ENOMEM if out of memory, or -ENOSPC if there are too
 * many mmap areas.
 */
int vfio_pci_range_insert(struct vfio_pci_vendor_device *dev,
			  unsigned int index, u64 start, u64 end,
			  const struct vfio_pci_range_ops *ops, void *data)
{
	struct vfio_pci_core_region *region;
	struct vfio_pci_core_range *range;
	struct vfio_pci_ranges *ranges;
	unsigned int at;
	int ret;

	region = vfio_pci_range_region(dev, index);
	if (IS_ERR(region))
		return PTR_ERR(region);

	ranges = region->ranges;
	ret = vfio_pci_ranges_grow(ranges);
	if (ret)
		return ret;

	ret = vfio_pci_region_cut_areas(region, start, end);
	if (ret)
		return ret;
	vfio_pci_region_apply_flags(region);

	range = vfio_pci_range_find(ranges, start);
	at = range - ranges->range;
	memmove(range + 1, range, (ranges->nr - at) * sizeof(*range));
	memmove(ranges->end + at + 1, ranges->end + at,
		(ranges->nr - at) * sizeof(*ranges->end));

	ranges->end[at] = end;
	*range = (struct vfio_pci_core_range) {
		.range = {
			.region = &region->region,
			.ops = ops,
			.data = data,
			.start = start,
			.end = end,
		},
	};

	ranges->nr++;
	vfio_pci_ranges_end(ranges);

	return 0;
}

/**
 * vfio_pci_range_lower() - find the lower region of a register
 * @dev: the device of the vendor driver, open
 * @index: index of the region
 * @pos: byte offset of the register
 * @width: size of the register in bytes
 *
 * Return: the region below the ranges of the driver; NULL if the register is not
 * inside one of these ranges.
 */
struct vfio_pci_region *vfio_pci_range_lower(struct vfio_pci_vendor_device *dev,
					     unsigned int index, u64 pos,
					     unsigned int width)
{
	struct vfio_pci_core_device *vdev = dev->vdev;
	struct vfio_pci_core_region *region;
	struct vfio_pci_core_range *range;

	if (index >= vdev->num_regions)
		return NULL;

	index = array_index_nospec(index, vdev->num_regions);
	for (region = vdev->regions[index]; region; region = region->lower) {
		if (!region->ranges || region->region.dev != dev ||
		    pos >= region->region.size)
			continue;
		range = vfio_pci_range_find(region->ranges, pos);
		if (pos >= range->range.start && pos < range->range.end &&
		    width <= range->range.end - pos)
			return &region->lower->region;
	}

	return NULL;
}
EXPORT_SYMBOL_FOR_MODULES(vfio_pci_range_lower, "vfio-pci-bpf");
