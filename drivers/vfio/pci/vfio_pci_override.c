// SPDX-License-Identifier: GPL-2.0-only
/*
 * VFIO PCI regions that override others
 *
 * In the table, a region of a vendor driver can take the place of another,
 * which stays below it.  What it has no operations for is passed on to there,
 * but for what would lead around those that it has.
 */

#include <linux/pci.h>
#include <linux/slab.h>
#include <linux/vfio.h>
#include <linux/vfio_pci_core.h>

#include "trace.h"
#include "vfio_pci_priv.h"

/* A region of a vendor driver */
struct vfio_pci_vendor_region {
	struct vfio_pci_region		region;
	/* As the vendor driver has them, and with what is passed on */
	const struct vfio_pci_regops	*own;
	struct vfio_pci_regops		ops;
};

#define VFIO_PCI_REGION_RW \
	(VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE)

/**
 * vfio_pci_region_is_sealed() - find whether a region cannot be changed more
 * @region: a region of a vendor driver
 *
 * Return: whether what it serves has been worked out.
 */
bool vfio_pci_region_is_sealed(struct vfio_pci_region *region)
{
	struct vfio_pci_vendor_region *vendor_region =
		container_of(region, struct vfio_pci_vendor_region, region);

	return region->ops == &vendor_region->ops;
}

/*
 * Let an operation that a region does not have be that of the region below,
 * unless that would lead around one that it has.
 */
static void vfio_pci_region_pass_on(struct vfio_pci_region *region,
				    const struct vfio_pci_regops *own,
				    struct vfio_pci_regops *ops)
{
	const struct vfio_pci_region *lower = region->lower;
	/* What the user may no longer do */
	u32 less = lower->flags & ~region->flags;
	bool reads = own->read || own->read_buf ||
		     less & VFIO_REGION_INFO_FLAG_READ;
	bool writes = own->write || own->write_buf ||
		      less & VFIO_REGION_INFO_FLAG_WRITE;

	if (!reads && lower->ops->read)
		ops->read = vfio_pci_lower_read;
	if (!reads && lower->ops->read_buf)
		ops->read_buf = vfio_pci_lower_read_buf;
	if (!writes && lower->ops->write)
		ops->write = vfio_pci_lower_write;
	if (!writes && lower->ops->write_buf)
		ops->write_buf = vfio_pci_lower_write_buf;
	if (!writes && !own->ioeventfd && lower->ops->ioeventfd)
		ops->ioeventfd = vfio_pci_lower_ioeventfd;

	if (!reads && !writes && !own->mmap && !own->fault)
		ops->mmap = vfio_pci_lower_mmap;
	if (ops->mmap == vfio_pci_lower_mmap && !own->fault &&
	    lower->ops->fault)
		ops->fault = vfio_pci_lower_fault;
	if (!reads && !writes && !own->get_dmabuf_phys &&
	    !(less & VFIO_REGION_INFO_FLAG_MMAP))
		ops->get_dmabuf_phys = vfio_pci_lower_get_dmabuf_phys;

	/* What is below may have neither */
	if (ops->mmap == vfio_pci_lower_mmap && !lower->ops->mmap)
		ops->mmap = NULL;
	if (ops->get_dmabuf_phys == vfio_pci_lower_get_dmabuf_phys &&
	    !lower->ops->get_dmabuf_phys)
		ops->get_dmabuf_phys = NULL;
	if (!ops->mmap)
		region->flags &= ~VFIO_REGION_INFO_FLAG_MMAP;

	if (!own->get_info && lower->ops->get_info &&
	    region->size == lower->size && region->flags == lower->flags)
		ops->get_info = vfio_pci_lower_get_info;
	if (!own->add_capability && lower->ops->add_capability)
		ops->add_capability = vfio_pci_lower_add_capability;
}

/*
 * Let a region of a vendor driver have the operations, and what may be mapped
 * of it, that follow from what the driver has made of it.
 */
static int vfio_pci_region_seal(struct vfio_pci_region *region)
{
	struct vfio_pci_vendor_region *vendor_region =
		container_of(region, struct vfio_pci_vendor_region, region);
	struct vfio_pci_regops *ops = &vendor_region->ops;
	const struct vfio_pci_regops *own = vendor_region->own;
	struct device *dev = &region->vdev->pdev->dev;
	int ret;

	if (vfio_pci_region_is_sealed(region))
		return 0;

	if (region->size > VFIO_PCI_OFFSET_MASK + 1 ||
	    (!region->lower && !region->size) ||
	    region->flags & ~(VFIO_PCI_REGION_RW | VFIO_REGION_INFO_FLAG_MMAP)) {
		dev_err_ratelimited(dev,
				    "vendor driver %s: region %u has no valid size or flags\n",
				    region->vendor->driver->name, region->index);
		return -EINVAL;
	}

	*ops = *own;
	if (!own->read && own->read_buf)
		ops->read = vfio_pci_region_read_buf;
	if (!own->write && own->write_buf)
		ops->write = vfio_pci_region_write_buf;

	if (region->lower) {
		vfio_pci_region_pass_on(region, own, ops);
	} else if (region->flags & VFIO_REGION_INFO_FLAG_MMAP && !ops->mmap) {
		dev_err_ratelimited(dev,
				    "vendor driver %s: region %u has no mmap operation\n",
				    region->vendor->driver->name, region->index);
		return -EINVAL;
	}

	if (own->add_capability)
		region->has_caps = true;
	if (!(region->flags & VFIO_REGION_INFO_FLAG_MMAP)) {
		ops->mmap = NULL;
		ops->fault = NULL;
	}

	if (!ops->mmap && !ops->get_dmabuf_phys)
		goto out;

	ret = vfio_pci_region_set_areas(region, ops);
	if (ret == -ENOSPC) {
		region->flags &= ~VFIO_REGION_INFO_FLAG_MMAP;
		ops->mmap = NULL;
		ops->fault = NULL;
		ops->get_dmabuf_phys = NULL;
	} else if (ret) {
		return ret;
	}

out:
	region->ops = ops;

	return 0;
}

/**
 * vfio_pci_vendor_seal() - let the regions of a vendor driver not change more
 * @dev: the device, which the driver has just opened
 *
 * Return: 0, -ENOMEM, -EINVAL for a region that the driver made invalid.
 */
int vfio_pci_vendor_seal(struct vfio_pci_vendor_device *dev)
{
	struct vfio_pci_region *region;
	int ret;

	list_for_each_entry(region, &dev->regions, node) {
		ret = vfio_pci_region_seal(region);
		if (ret)
			return ret;
	}

	return 0;
}

/**
 * vfio_pci_vendor_check_open() - find whether regions may be changed
 * @dev: the device, which the vendor driver is opening or not
 *
 * Return: 0, or -EBUSY outside of the open callback.
 */
int vfio_pci_vendor_check_open(struct vfio_pci_vendor_device *dev)
{
	if (dev->vdev->vendor_opening == dev)
		return 0;

	dev_err_ratelimited(&dev->pdev->dev,
			    "vendor driver %s changes regions outside of its open callback\n",
			    dev->driver->name);

	return -EBUSY;
}

/**
 * vfio_pci_vendor_new_region() - lay a region of a vendor driver over another
 * @dev: the device
 * @lower: the region that it overrides, the one in the table, or NULL
 * @ops: what serves it
 * @data: for the use of @ops
 *
 * Return: the region, or an error pointer: -ENOMEM, -EINVAL if @lower is one
 * of the driver's own that it made invalid.
 */
struct vfio_pci_region *
vfio_pci_vendor_new_region(struct vfio_pci_vendor_device *dev,
			   struct vfio_pci_region *lower,
			   const struct vfio_pci_regops *ops, void *data)
{
	struct vfio_pci_vendor_region *vendor_region;
	struct vfio_pci_region *region;
	int ret;

	if (lower && lower->vendor) {
		ret = vfio_pci_region_seal(lower);
		if (ret)
			return ERR_PTR(ret);
	}

	vendor_region = kzalloc_obj(*vendor_region, GFP_KERNEL_ACCOUNT);
	if (!vendor_region)
		return ERR_PTR(-ENOMEM);

	region = &vendor_region->region;
	if (lower)
		*region = *lower;
	else
		region->width = sizeof(u64);

	vendor_region->own = ops;
	region->vdev = dev->vdev;
	region->ops = ops;
	region->data = data;
	region->vendor = dev;
	region->lower = lower;
	region->ranges = NULL;
	atomic_long_set(&region->reads, 0);
	atomic_long_set(&region->writes, 0);
	region->areas = NULL;
	region->nr_areas = 0;

	if (lower)
		dev->vdev->regions[lower->index] = region;
	list_add_tail(&region->node, &dev->regions);

	return region;
}

/**
 * vfio_pci_vendor_check_override() - find whether bytes may be overridden
 * @dev: the device, which the vendor driver is opening or not
 * @index: index of the region
 * @start: byte offset of the first byte
 * @end: byte offset after the last byte, 0 for the whole region
 *
 * Return: 0, -EINVAL for a region that the device does not have, -EBUSY
 * outside of the open callback, or if a driver of the same priority overrides
 * the bytes already.
 */
int vfio_pci_vendor_check_override(struct vfio_pci_vendor_device *dev,
				   unsigned int index, u64 start, u64 end)
{
	struct vfio_pci_core_device *vdev = dev->vdev;
	struct vfio_pci_region *region;
	int ret;

	ret = vfio_pci_vendor_check_open(dev);
	if (ret)
		return ret;

	if (index >= vdev->num_regions) {
		dev_err_ratelimited(&dev->pdev->dev,
				    "vendor driver %s overrides region %u, which the device does not have\n",
				    dev->driver->name, index);
		return -EINVAL;
	}

	for (region = vdev->regions[index]; region->lower; region = region->lower) {
		struct vfio_pci_vendor_driver *other = region->vendor->driver;

		if (other->priority != dev->driver->priority)
			continue;
		/* Ranges of a region that the driver itself overrides */
		if (end && !region->ranges && region->vendor == dev)
			continue;
		if (end && region->ranges &&
		    !vfio_pci_ranges_overlap(region->ranges, start, end))
			continue;

		if (end)
			dev_err_ratelimited(&dev->pdev->dev,
					    "vendor drivers %s and %s both override bytes %#llx to %#llx of region %u\n",
					    other->name, dev->driver->name,
					    start, end - 1, index);
		else
			dev_err_ratelimited(&dev->pdev->dev,
					    "vendor drivers %s and %s both override region %u\n",
					    other->name, dev->driver->name, index);
		return -EBUSY;
	}

	return 0;
}

/**
 * vfio_pci_vendor_override_region() - override a region of a device
 * @dev: the device, in the open callback of the vendor driver
 * @index: index of the region: VFIO_PCI_BAR0_REGION_INDEX and so on, or what
 *	   vfio_pci_vendor_find_region() gives
 * @ops: what serves the region
 * @data: for the use of @ops, to be freed by its release operation
 *
 * The region starts out with the size and the flags of the one that it
 * overrides, and the open callback may change both.  What @ops does not have is
 * passed on to the overridden region, but nothing that would lead around what it
 * has: if it can read or write, or if the flags do not let the user read or
 * write any more, the region cannot be mapped or exported, and if it can write,
 * there is no ioeventfd, unless @ops has operations for these, which may be
 * those that are named vfio_pci_lower_*().  get_info is passed on if size and
 * flags are unchanged.  A region that was made smaller ends there for what is
 * passed on, too.  The region of the ROM has no size and no flags, as what there
 * is of it is found when the user asks: to hide it, have operations of your own.
 *
 * Of several drivers, that with the highest priority is asked first.  On
 * success the core calls @ops->release exactly once, when the device is closed
 * or fails to open; on failure @data stays with the caller.
 *
 * Context: Process context, may sleep.
 * Return: the region, or an error pointer: -EINVAL if there are no @ops or no
 * such region, -EBUSY outside of the open callback, or if a driver of the same
 * priority, be it this one, overrides the region or a part of it, -ENOMEM.
 */
struct vfio_pci_region *
vfio_pci_vendor_override_region(struct vfio_pci_vendor_device *dev,
				unsigned int index,
				const struct vfio_pci_regops *ops, void *data)
{
	struct vfio_pci_region *region;
	int ret;

	ret = vfio_pci_vendor_check_override(dev, index, 0, 0);
	if (ret) {
		region = ERR_PTR(ret);
	} else if (!ops) {
		dev_err_ratelimited(&dev->pdev->dev,
				    "vendor driver %s overrides region %u without ops\n",
				    dev->driver->name, index);
		region = ERR_PTR(-EINVAL);
	} else {
		region = vfio_pci_vendor_new_region(dev, dev->vdev->regions[index],
						    ops, data);
	}

	trace_vfio_pci_vendor_override(dev->pdev, dev->driver->name, index, 0, 0,
				       PTR_ERR_OR_ZERO(region));

	return region;
}
EXPORT_SYMBOL_GPL(vfio_pci_vendor_override_region);
