// SPDX-License-Identifier: GPL-2.0-only
/*
 * VFIO PCI overrides of regions and registers
 *
 * An override is a region of a vendor driver that replaces another region, the
 * lower region, in the table.  The lower region serves accesses for which the
 * override has no operation, unless they would bypass another operation of the
 * override.
 */

#include <linux/overflow.h>
#include <linux/pci.h>
#include <linux/vfio.h>
#include <linux/vfio_pci_core.h>

#include "vfio_pci_priv.h"
#include "vfio_pci_trace.h"

/*
 * Check whether a vendor driver may override the bytes from @start to @end, or
 * the whole region if @end is 0.  Return 0 on success; -EINVAL if the device
 * has no such region; -EBUSY outside the open callback, or if a driver of the
 * same priority overrides the bytes.
 */
static int
vfio_pci_vendor_check_override(struct vfio_pci_vendor_device *dev,
			       unsigned int index, u64 start, u64 end)
{
	struct vfio_pci_core_device *vdev = dev->vdev;
	struct vfio_pci_core_region *region;
	int ret;

	ret = vfio_pci_vendor_check_open(dev);
	if (ret)
		return ret;

	if (index >= vdev->num_regions) {
		dev_err_ratelimited(&dev->pdev->dev,
				    "vendor driver %s: cannot override region %u: the device has no such region\n",
				    dev->driver->name, index);
		return -EINVAL;
	}

	for (region = vdev->regions[index]; region->lower; region = region->lower) {
		const struct vfio_pci_vendor_driver *other =
			region->region.dev->driver;

		if (other->priority != dev->driver->priority)
			continue;
		/* A driver may add ranges to its own override */
		if (end && !region->ranges && region->region.dev == dev)
			continue;
		if (end && region->ranges &&
		    !vfio_pci_ranges_overlap(region->ranges, start, end))
			continue;

		if (end)
			dev_err_ratelimited(&dev->pdev->dev,
					    "vendor drivers %s and %s of the same priority both override bytes %#llx to %#llx of region %u\n",
					    other->name, dev->driver->name,
					    start, end - 1, index);
		else
			dev_err_ratelimited(&dev->pdev->dev,
					    "vendor drivers %s and %s of the same priority both override region %u\n",
					    other->name, dev->driver->name, index);
		return -EBUSY;
	}

	return 0;
}

/**
 * vfio_pci_vendor_override_region_user() - override with handlers of the core
 * @dev: the device, in the open callback of the vendor driver
 * @index: index of the region
 * @desc: the description
 * @user: handlers of the core, or NULL
 *
 * Return: see vfio_pci_vendor_override_region().
 */
struct vfio_pci_region *
vfio_pci_vendor_override_region_user(struct vfio_pci_vendor_device *dev,
				     unsigned int index,
				     const struct vfio_pci_region_desc *desc,
				     const struct vfio_pci_user_regops *user)
{
	struct vfio_pci_core_region *region;
	int ret;

	ret = vfio_pci_vendor_check_override(dev, index, 0, 0);
	if (ret)
		region = ERR_PTR(ret);
	else
		region = vfio_pci_vendor_new_region(dev,
						    dev->vdev->regions[index],
						    desc, user);

	trace_vfio_pci_vendor_override(dev->pdev, dev->driver->name, index, 0, 0,
				       PTR_ERR_OR_ZERO(region));

	return IS_ERR(region) ? ERR_CAST(region) : &region->region;
}

/**
 * vfio_pci_vendor_override_region() - override a region of a device
 * @dev: the device, in the open callback of the vendor driver
 * @index: index of the region: VFIO_PCI_BAR0_REGION_INDEX and so on, or the
 *	   return value of vfio_pci_vendor_find_region()
 * @desc: the description; see struct vfio_pci_region_desc for the defaults
 *
 * The lower region serves accesses for which @desc->ops has no operation, up to
 * the size of the override.  The core prevents a bypass of the operations:
 *
 * - With a read or write operation, but no mmap operation, userspace cannot map
 *   the region.
 * - With an mmap, read or write operation, but no get_dmabuf_phys operation,
 *   userspace cannot export the region as a dma-buf.
 * - With a write operation, the region does not support ioeventfds.
 *
 * The override of the driver with the highest priority gets an access first.
 * On success the core calls the release operation exactly once, when the device
 * is closed or its open fails.  On failure the caller still owns @desc->data.
 *
 * Context: Process context, may sleep.
 * Return: the region on success, or an error pointer: -EINVAL if the device has
 * no such region or @desc is invalid; -EBUSY outside the open callback, or if a
 * driver of the same priority, including this one, overrides the region or a
 * part of it; -ENOMEM if out of memory; -ENOSPC if there are too many mmap
 * areas.
 */
struct vfio_pci_region *
vfio_pci_vendor_override_region(struct vfio_pci_vendor_device *dev,
				unsigned int index,
				const struct vfio_pci_region_desc *desc)
{
	return vfio_pci_vendor_override_region_user(dev, index, desc, NULL);
}
EXPORT_SYMBOL_GPL(vfio_pci_vendor_override_region);

static int vfio_pci_vendor_add_range(struct vfio_pci_vendor_device *dev,
				     unsigned int index, u64 start, u64 size,
				     const struct vfio_pci_range_ops *ops,
				     void *data)
{
	u64 end;
	int ret;

	/* U64_MAX is past the end of every region, so the checks below fail */
	if (!size || check_add_overflow(start, size, &end))
		end = U64_MAX;

	ret = vfio_pci_vendor_check_override(dev, index, start, end);
	if (ret)
		return ret;

	if (!ops || end > dev->vdev->regions[index]->region.size) {
		dev_err_ratelimited(&dev->pdev->dev,
				    "vendor driver %s: cannot override %#llx bytes at %#llx of region %u: %s\n",
				    dev->driver->name, size, start, index,
				    ops ? "out of bounds" : "no ops");
		return -EINVAL;
	}

	return vfio_pci_range_insert(dev, index, start, end, ops, data);
}

/**
 * vfio_pci_vendor_override_range() - override a range of registers
 * @dev: the device, in the open callback of the vendor driver
 * @index: index of the region: VFIO_PCI_BAR0_REGION_INDEX and so on, or the
 *	   return value of vfio_pci_vendor_find_region()
 * @start: byte offset of the first byte in the region
 * @size: number of bytes
 * @ops: the handlers
 * @data: private data of @ops; the driver frees it
 *
 * The core calls @ops for each access to the range.  Userspace can neither map
 * nor export the pages of the range.  If @ops has a write handler, userspace
 * cannot set an ioeventfd in the range.  In config space, the lower region
 * includes vfio-pci's emulation.
 *
 * Context: Process context, may sleep.
 * Return: 0 on success; -EINVAL if @ops is NULL, the region does not exist, or
 * the range exceeds it; -EBUSY outside of the open callback, or if a driver of
 * the same priority, including this one, has overridden some of the bytes;
 * -ENOSPC if the region would have too many mmap areas; -ENOMEM if out of
 * memory.
 */
int vfio_pci_vendor_override_range(struct vfio_pci_vendor_device *dev,
				   unsigned int index, u64 start, u64 size,
				   const struct vfio_pci_range_ops *ops,
				   void *data)
{
	int ret = vfio_pci_vendor_add_range(dev, index, start, size, ops, data);

	trace_vfio_pci_vendor_override(dev->pdev, dev->driver->name, index,
				       start, size, ret);

	return ret;
}
EXPORT_SYMBOL_GPL(vfio_pci_vendor_override_range);
