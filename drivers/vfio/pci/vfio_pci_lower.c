// SPDX-License-Identifier: GPL-2.0-only
/*
 * VFIO PCI region access by drivers
 *
 * A driver calls these functions to access a region, most often the lower
 * region of its override.  If an override has no handler for an access, the
 * core uses the handlers at the end of this file.
 */

#include <linux/mm.h>
#include <linux/vfio.h>
#include <linux/vfio_pci_core.h>

#include "vfio_pci_priv.h"

/**
 * vfio_pci_region_lower() - get the lower region of an override
 * @region: the region
 *
 * Return: the lower region; NULL if @region is not an override.
 */
struct vfio_pci_region *vfio_pci_region_lower(struct vfio_pci_region *region)
{
	struct vfio_pci_core_region *lower = to_core_region(region)->lower;

	return lower ? &lower->region : NULL;
}
EXPORT_SYMBOL_GPL(vfio_pci_region_lower);

static bool vfio_pci_region_has(struct vfio_pci_region *region, size_t count,
				loff_t pos)
{
	return region && count && pos >= 0 && pos < region->size &&
	       count <= region->size - pos;
}

/**
 * vfio_pci_region_read() - read a region
 * @region: the region
 * @buf: kernel buffer of @count bytes
 * @count: number of bytes, not 0
 * @pos: byte offset in the region
 *
 * The device sees the same register accesses as for a read by userspace.
 *
 * Context: Process context, may sleep.
 * Return: 0 on success; -EINVAL if the region is not readable or too small;
 * -EIO if userspace has disabled memory decode; or the errno of a vendor
 * driver's operation.
 */
int vfio_pci_region_read(struct vfio_pci_region *region, void *buf,
			 size_t count, loff_t pos)
{
	struct vfio_pci_core_region *core = to_core_region(region);
	int ret;

	if (!vfio_pci_region_has(region, count, pos) || !core->ops.read)
		return -EINVAL;

	if (core->zero_buf)
		memset(buf, 0, count);

	while (count) {
		size_t part = min(count, PAGE_SIZE - offset_in_page(pos));

		ret = core->ops.read(region, buf, part, pos);
		if (ret)
			return vfio_pci_vendor_errno(core, ret);

		count -= part;
		buf += part;
		pos += part;
	}

	return 0;
}
EXPORT_SYMBOL_GPL(vfio_pci_region_read);

/**
 * vfio_pci_region_write() - write a region
 * @region: the region
 * @buf: kernel buffer of @count bytes
 * @count: number of bytes, not 0
 * @pos: byte offset in the region
 *
 * Same contract as vfio_pci_region_read().  A write to config space may reset
 * the device.  The core then calls the reset callbacks of all vendor drivers,
 * including the caller.
 *
 * Context: Process context, may sleep.
 * Return: 0 on success; -EINVAL if the region is not writable or too small;
 * otherwise the same as vfio_pci_region_read().
 */
int vfio_pci_region_write(struct vfio_pci_region *region, const void *buf,
			  size_t count, loff_t pos)
{
	struct vfio_pci_core_region *core = to_core_region(region);
	int ret;

	if (!vfio_pci_region_has(region, count, pos) || !core->ops.write)
		return -EINVAL;

	while (count) {
		size_t part = min(count, PAGE_SIZE - offset_in_page(pos));

		ret = core->ops.write(region, buf, part, pos);
		if (ret)
			return vfio_pci_vendor_errno(core, ret);

		count -= part;
		buf += part;
		pos += part;
	}

	return 0;
}
EXPORT_SYMBOL_GPL(vfio_pci_region_write);

/* Read a register; the caller has checked @pos and @width */
int __vfio_pci_region_read_reg(struct vfio_pci_core_region *region, u64 pos,
			       unsigned int width, u64 *val)
{
	__le64 le = 0;
	int ret;

	if (region->user.read_reg)
		return region->user.read_reg(region, pos, width, val);
	if (!region->ops.read)
		return -EINVAL;

	ret = region->ops.read(&region->region, &le, width, pos);
	if (ret)
		return vfio_pci_vendor_errno(region, ret);

	*val = le64_to_cpu(le);

	return 0;
}

/* Write a register; the caller has checked @pos and @width */
int __vfio_pci_region_write_reg(struct vfio_pci_core_region *region, u64 pos,
				unsigned int width, u64 val)
{
	__le64 le = cpu_to_le64(val);

	if (region->user.write_reg)
		return region->user.write_reg(region, pos, width, val);
	if (!region->ops.write)
		return -EINVAL;

	return vfio_pci_vendor_ret(region,
				   region->ops.write(&region->region, &le,
						     width, pos));
}

static bool vfio_pci_region_has_reg(struct vfio_pci_region *region, u64 pos,
				    unsigned int width)
{
	unsigned int last = width - 1;

	/* @pos is a multiple of @width, so @pos | @last equals @pos + @last */
	return region && last < to_core_region(region)->max_width &&
	       !(width & last) && !(pos & last) && (pos | last) < region->size;
}

/**
 * vfio_pci_region_read_reg() - read a register of a region
 * @region: the region
 * @pos: byte offset in the region, a multiple of @width
 * @width: 1, 2, 4 or 8 bytes; at most 4 in config space, ROM and VGA
 * @val: out: the value in CPU byte order
 *
 * Context: Process context, may sleep.
 * Return: 0 on success; -EINVAL if the region has no such register; otherwise
 * the same as vfio_pci_region_read().
 */
int vfio_pci_region_read_reg(struct vfio_pci_region *region, u64 pos,
			     unsigned int width, u64 *val)
{
	struct vfio_pci_core_region *core = to_core_region(region);

	*val = 0;
	if (!vfio_pci_region_has_reg(region, pos, width))
		return -EINVAL;

	if (likely(core->user.read_reg))
		return core->user.read_reg(core, pos, width, val);

	return __vfio_pci_region_read_reg(core, pos, width, val);
}
EXPORT_SYMBOL_GPL(vfio_pci_region_read_reg);

/**
 * vfio_pci_region_write_reg() - write a register of a region
 * @region: the region
 * @pos: byte offset in the region, a multiple of @width
 * @width: 1, 2, 4 or 8 bytes; at most 4 in config space, ROM and VGA
 * @val: the value in CPU byte order
 *
 * Context: Process context, may sleep.
 * Return: 0 on success; -EINVAL if the region has no such register; otherwise
 * the same as vfio_pci_region_write().
 */
int vfio_pci_region_write_reg(struct vfio_pci_region *region, u64 pos,
			      unsigned int width, u64 val)
{
	struct vfio_pci_core_region *core = to_core_region(region);

	if (!vfio_pci_region_has_reg(region, pos, width))
		return -EINVAL;

	if (likely(core->user.write_reg))
		return core->user.write_reg(core, pos, width, val);

	return __vfio_pci_region_write_reg(core, pos, width, val);
}
EXPORT_SYMBOL_GPL(vfio_pci_region_write_reg);

/* Clip an access if the override is smaller than the lower region */
static ssize_t vfio_pci_lower_clip(struct vfio_pci_core_region *region,
				   size_t count, loff_t pos)
{
	/* The lower region clips the access itself */
	if (region->region.size >= region->lower->region.size)
		return count;

	return vfio_pci_region_clip(region, count, pos);
}

static ssize_t vfio_pci_lower_read_user(struct vfio_pci_core_region *region,
					char __user *buf, size_t count,
					loff_t pos)
{
	struct vfio_pci_core_region *lower = region->lower;
	ssize_t ret = vfio_pci_lower_clip(region, count, pos);

	return ret < 0 ? ret : lower->user.read(lower, buf, ret, pos);
}

static ssize_t vfio_pci_lower_write_user(struct vfio_pci_core_region *region,
					 const char __user *buf, size_t count,
					 loff_t pos)
{
	struct vfio_pci_core_region *lower = region->lower;
	ssize_t ret = vfio_pci_lower_clip(region, count, pos);

	return ret < 0 ? ret : lower->user.write(lower, buf, ret, pos);
}

static int vfio_pci_lower_read_reg(struct vfio_pci_core_region *region, u64 pos,
				   unsigned int width, u64 *val)
{
	return vfio_pci_region_read_reg(&region->lower->region, pos, width,
					val);
}

static int vfio_pci_lower_write_reg(struct vfio_pci_core_region *region,
				    u64 pos, unsigned int width, u64 val)
{
	return vfio_pci_region_write_reg(&region->lower->region, pos, width,
					 val);
}

static int vfio_pci_lower_ioeventfd(struct vfio_pci_core_region *region,
				    loff_t pos, u64 data, int count, int fd)
{
	struct vfio_pci_core_region *lower = region->lower;

	if (region->region.size < lower->region.size &&
	    pos + count > region->region.size)
		return -EINVAL;

	return lower->user.ioeventfd(lower, pos, data, count, fd);
}

int vfio_pci_lower_get_info(struct vfio_pci_core_region *region,
			    struct vfio_region_info *info)
{
	return region->lower->user.get_info(region->lower, info);
}

const struct vfio_pci_user_regops vfio_pci_lower_user_regops = {
	.read		= vfio_pci_lower_read_user,
	.write		= vfio_pci_lower_write_user,
	.read_reg	= vfio_pci_lower_read_reg,
	.write_reg	= vfio_pci_lower_write_reg,
	.ioeventfd	= vfio_pci_lower_ioeventfd,
	.get_info	= vfio_pci_lower_get_info,
};

int vfio_pci_lower_read(struct vfio_pci_region *region, void *buf,
			size_t count, loff_t pos)
{
	return vfio_pci_region_read(vfio_pci_region_lower(region), buf, count,
				    pos);
}

int vfio_pci_lower_write(struct vfio_pci_region *region, const void *buf,
			 size_t count, loff_t pos)
{
	return vfio_pci_region_write(vfio_pci_region_lower(region), buf, count,
				     pos);
}

int vfio_pci_lower_mmap(struct vfio_pci_region *region,
			struct vm_area_struct *vma)
{
	return vfio_pci_region_mmap(vfio_pci_region_lower(region), vma);
}

int vfio_pci_lower_add_capability(struct vfio_pci_region *region,
				  struct vfio_info_cap *caps)
{
	struct vfio_pci_core_region *lower = to_core_region(region)->lower;

	return lower->ops.add_capability(&lower->region, caps);
}

int vfio_pci_lower_get_dmabuf_phys(struct vfio_pci_region *region,
				   struct p2pdma_provider **provider,
				   struct phys_vec *phys_vec,
				   struct vfio_region_dma_range *dma_ranges,
				   size_t nr_ranges)
{
	return vfio_pci_region_get_dmabuf_phys(vfio_pci_region_lower(region),
					       provider, phys_vec, dma_ranges,
					       nr_ranges);
}
