// SPDX-License-Identifier: GPL-2.0-only
/*
 * VFIO PCI regions of vendor drivers
 *
 * Check the description of a region, and create the region.  An override
 * inherits the handlers that its driver does not implement.
 */

#include <linux/pci.h>
#include <linux/slab.h>
#include <linux/vfio.h>
#include <linux/vfio_pci_core.h>
#include <kunit/visibility.h>

#include "vfio_pci_priv.h"

static const struct vfio_pci_regops vfio_pci_no_regops;

/* Check the flags of a region; return NULL or the first error */
static const char *
vfio_pci_region_check_flags(const struct vfio_pci_regops *ops, u32 flags,
			    u32 lower_flags)
{
	if (flags & ~VFIO_PCI_REGION_RWM)
		return "unknown flags";
	if (flags & VFIO_REGION_INFO_FLAG_READ && !ops->read &&
	    !(lower_flags & VFIO_REGION_INFO_FLAG_READ))
		return "READ flag, but neither the driver nor the lower region can read";
	if (flags & VFIO_REGION_INFO_FLAG_WRITE && !ops->write &&
	    !(lower_flags & VFIO_REGION_INFO_FLAG_WRITE))
		return "WRITE flag, but neither the driver nor the lower region can write";
	if (!(flags & VFIO_REGION_INFO_FLAG_MMAP))
		return NULL;
	if (!(flags & VFIO_REGION_INFO_FLAG_READ))
		return "MMAP flag without READ flag";
	if (!ops->mmap && !(lower_flags & VFIO_REGION_INFO_FLAG_MMAP))
		return "MMAP flag, but neither the driver nor the lower region can map";
	if (!ops->mmap && vfio_pci_regops_trap(ops))
		return "MMAP flag, but a mapping would bypass the read or write operation";

	return NULL;
}

/* Return the flags of the lower region that an override keeps */
static u32 vfio_pci_region_keep_flags(const struct vfio_pci_regops *ops,
				      u32 lower_flags)
{
	if (!ops->mmap && vfio_pci_regops_trap(ops))
		return lower_flags & ~VFIO_REGION_INFO_FLAG_MMAP;

	return lower_flags;
}

static const char *
vfio_pci_region_check_areas(const struct vfio_pci_region_desc *desc, u64 size)
{
	const struct vfio_region_sparse_mmap_area *area = desc->areas;
	u64 end, last = 0;
	unsigned int i;

	if (!desc->areas != !desc->nr_areas)
		return "areas and nr_areas do not match";
	if (desc->nr_areas > VFIO_PCI_MAX_AREAS)
		return "too many mmap areas";

	for (i = 0; i < desc->nr_areas; i++) {
		if (!area[i].size || !PAGE_ALIGNED(area[i].offset | area[i].size))
			return "an mmap area is empty or not page aligned";
		if (area[i].offset < last)
			return "mmap areas overlap or are not in ascending order";
		if (check_add_overflow(area[i].offset, area[i].size, &end) ||
		    end > PAGE_ALIGN(size))
			return "an mmap area is outside the region";
		last = end;
	}

	return NULL;
}

/**
 * vfio_pci_region_check_desc() - check a region description
 * @desc: the description
 * @lower: the region to override, or NULL for an added region
 *
 * Return: NULL if @desc is valid, or the error as text for a message.
 */
const char *vfio_pci_region_check_desc(const struct vfio_pci_region_desc *desc,
				       const struct vfio_pci_core_region *lower)
{
	const struct vfio_pci_regops *ops = desc->ops ?: &vfio_pci_no_regops;
	u32 lower_flags = lower ? lower->region.flags : 0;
	u64 size = desc->size;
	u32 flags = desc->flags;
	const char *why;

	if (!desc->ops && desc->data)
		return "data without operations to release it";
	if (ops->fault && !ops->mmap)
		return "fault operation without mmap operation";

	if (flags & VFIO_PCI_REGION_HIDDEN) {
		if (!lower)
			return "an added region cannot be hidden";
		if (flags != VFIO_PCI_REGION_HIDDEN || size || desc->type ||
		    desc->subtype || desc->areas || desc->nr_areas)
			return "HIDDEN flag with other flags, a size, a type or mmap areas";
		return NULL;
	}

	if (size > VFIO_PCI_OFFSET_MASK + 1)
		return "size exceeds the maximum of a region";

	if (!lower) {
		if (!desc->ops)
			return "no operations";
		if (!size)
			return "no size";
		if (!desc->type)
			return "no type";
	} else {
		if (!desc->ops && !size && !flags && !desc->nr_areas)
			return "the override changes nothing";
		if (desc->type || desc->subtype)
			return "an override cannot change the type";
		size = size ?: lower->region.size;
		flags = flags ?: vfio_pci_region_keep_flags(ops, lower_flags);
		if (desc->size && !flags)
			return "size without flags";
		if (flags && !size)
			return "flags without size";
	}

	why = vfio_pci_region_check_flags(ops, flags, lower_flags);
	if (why)
		return why;

	if (desc->nr_areas && !(flags & VFIO_REGION_INFO_FLAG_MMAP))
		return "mmap areas without MMAP flag";

	return vfio_pci_region_check_areas(desc, size);
}
EXPORT_SYMBOL_IF_KUNIT(vfio_pci_region_check_desc);

/*
 * Inherit missing handlers from the lower region, unless that would bypass
 * another handler of the override.
 */
static void vfio_pci_region_inherit(struct vfio_pci_core_region *region)
{
	const struct vfio_pci_user_regops *pass = &vfio_pci_lower_user_regops;
	struct vfio_pci_core_region *lower = region->lower;
	struct vfio_pci_user_regops *user = &region->user;
	const struct vfio_pci_regops *own = region->own;
	struct vfio_pci_regops *ops = &region->ops;

	if (!own->read) {
		user->read = lower->user.read ? pass->read : NULL;
		user->read_reg = pass->read_reg;
		ops->read = lower->ops.read ? vfio_pci_lower_read : NULL;
		if (region->region.size == lower->region.size &&
		    region->region.flags == lower->region.flags)
			user->get_info = pass->get_info;
	}
	if (!own->write) {
		user->write = lower->user.write ? pass->write : NULL;
		user->write_reg = pass->write_reg;
		user->ioeventfd = pass->ioeventfd;
		ops->write = lower->ops.write ? vfio_pci_lower_write : NULL;
	}
	if (!own->mmap && !vfio_pci_regops_trap(own)) {
		ops->mmap = vfio_pci_lower_mmap;
		if (!own->get_dmabuf_phys)
			ops->get_dmabuf_phys = vfio_pci_lower_get_dmabuf_phys;
	}
	if (!own->add_capability && lower->ops.add_capability)
		ops->add_capability = vfio_pci_lower_add_capability;

	/* The caller may have set handlers that the lower region lacks */
	if (!lower->user.get_info)
		user->get_info = NULL;
	if (!lower->user.ioeventfd)
		user->ioeventfd = NULL;
	if (ops->mmap == vfio_pci_lower_mmap && !lower->ops.mmap)
		ops->mmap = NULL;
	if (ops->get_dmabuf_phys == vfio_pci_lower_get_dmabuf_phys &&
	    !lower->ops.get_dmabuf_phys)
		ops->get_dmabuf_phys = NULL;
}

/* Determine the handlers and the mmap areas of a region */
static int vfio_pci_region_setup(struct vfio_pci_core_region *region,
				 const struct vfio_pci_region_desc *desc,
				 const struct vfio_pci_user_regops *user)
{
	const struct vfio_pci_regops *own = region->own;
	int ret;

	region->ops = *own;
	if (user)
		region->user = *user;
	else
		memset(&region->user, 0, sizeof(region->user));
	region->zero_buf = own->read && !user;
	if (own->read && !region->user.read)
		region->user.read = vfio_pci_region_read_user;
	if (own->write && !region->user.write)
		region->user.write = vfio_pci_region_write_user;
	/* The exported memory is not the BAR of the lower region */
	if (own->get_dmabuf_phys &&
	    own->get_dmabuf_phys != vfio_pci_lower_get_dmabuf_phys)
		region->io = NULL;

	if (region->lower)
		vfio_pci_region_inherit(region);
	if (desc->flags & VFIO_PCI_REGION_HIDDEN) {
		region->ops.add_capability = NULL;
		region->has_caps = false;
	}
	if (region->ops.add_capability)
		region->has_caps = true;

	ret = vfio_pci_region_set_areas(region, desc->areas, desc->nr_areas,
					region->ops.mmap == vfio_pci_lower_mmap);
	if (ret)
		return ret;

	vfio_pci_region_apply_flags(region);

	return 0;
}

/**
 * vfio_pci_vendor_new_region() - create a region of a vendor driver
 * @dev: the device of the vendor driver
 * @lower: the region to override, or NULL for an added region
 * @desc: the description
 * @user: handlers of the core, or NULL
 *
 * Put an override into the table.  The caller appends an added region.
 *
 * Return: the region on success, or an error pointer: -EINVAL if @desc is
 * invalid; -ENOMEM if out of memory; -ENOSPC if there are too many mmap areas.
 */
struct vfio_pci_core_region *
vfio_pci_vendor_new_region(struct vfio_pci_vendor_device *dev,
			   struct vfio_pci_core_region *lower,
			   const struct vfio_pci_region_desc *desc,
			   const struct vfio_pci_user_regops *user)
{
	struct vfio_pci_core_region *region;
	const char *why;
	int ret;

	why = vfio_pci_region_check_desc(desc, lower);
	if (why) {
		dev_err_ratelimited(&dev->pdev->dev,
				    "vendor driver %s: invalid description of region %u: %s\n",
				    dev->driver->name,
				    lower ? lower->region.index :
					    dev->vdev->num_regions, why);
		return ERR_PTR(-EINVAL);
	}

	region = kzalloc_obj(*region, GFP_KERNEL_ACCOUNT);
	if (!region)
		return ERR_PTR(-ENOMEM);

	if (lower)
		*region = *lower;
	else
		region->max_width = sizeof(u64);

	region->vdev = dev->vdev;
	region->lower = lower;
	region->own = desc->ops ?: &vfio_pci_no_regops;
	region->ranges = NULL;
	region->sparse = NULL;
	region->areas_room = 0;
	atomic_long_set(&region->reads, 0);
	atomic_long_set(&region->writes, 0);
	region->region.dev = dev;
	region->region.data = desc->data;

	if (lower) {
		if (desc->size)
			region->region.size = desc->size;
		region->region.flags = desc->flags ?:
				       vfio_pci_region_keep_flags(region->own,
								  lower->region.flags);
		if (desc->flags & VFIO_PCI_REGION_HIDDEN) {
			region->region.size = 0;
			region->region.flags = 0;
		}
	} else {
		region->region.size = desc->size;
		region->region.flags = desc->flags;
		region->region.type = desc->type;
		region->region.subtype = desc->subtype;
	}

	ret = vfio_pci_region_setup(region, desc, user);
	if (ret) {
		kfree(region);
		return ERR_PTR(ret);
	}

	if (lower)
		dev->vdev->regions[lower->region.index] = region;
	list_add_tail(&region->node, &to_vfio_pci_vendor(dev)->regions);

	return region;
}

/**
 * vfio_pci_vendor_check_open() - check whether a driver may change regions
 * @dev: the device of the vendor driver
 *
 * Return: 0 on success, or -EBUSY outside the open callback.
 */
int vfio_pci_vendor_check_open(struct vfio_pci_vendor_device *dev)
{
	if (dev->vdev->vendor_opening == dev)
		return 0;

	dev_err_ratelimited(&dev->pdev->dev,
			    "vendor driver %s: regions can be added or overridden only in the open callback\n",
			    dev->driver->name);

	return -EBUSY;
}

/**
 * vfio_pci_vendor_add_region_user() - add a region with handlers of the core
 * @dev: the device, in the open callback of the vendor driver
 * @desc: the description
 * @user: handlers of the core, or NULL
 *
 * Return: see vfio_pci_vendor_add_region().
 */
struct vfio_pci_region *
vfio_pci_vendor_add_region_user(struct vfio_pci_vendor_device *dev,
				const struct vfio_pci_region_desc *desc,
				const struct vfio_pci_user_regops *user)
{
	struct vfio_pci_core_region *region;
	int ret;

	ret = vfio_pci_vendor_check_open(dev);
	if (ret)
		return ERR_PTR(ret);

	region = vfio_pci_vendor_new_region(dev, NULL, desc, user);
	if (IS_ERR(region))
		return ERR_CAST(region);

	ret = vfio_pci_regions_append(dev->vdev, region);
	if (ret) {
		list_del(&region->node);
		kvfree(region->sparse);
		kfree(region);
		return ERR_PTR(ret);
	}

	return &region->region;
}

/**
 * vfio_pci_vendor_add_region() - add a region to a device
 * @dev: the device, in the open callback of the vendor driver
 * @desc: the description
 *
 * The region gets the next free index.  Userspace finds it by its type.  On
 * success the core calls the release operation exactly once, when the device is
 * closed or its open fails.  On failure the caller still owns @desc->data.
 *
 * Context: Process context, may sleep.
 * Return: the region on success, or an error pointer: -EINVAL if @desc is
 * invalid; -EBUSY outside the open callback; -ENOMEM if out of memory; -ENOSPC
 * if there are too many mmap areas.
 */
struct vfio_pci_region *
vfio_pci_vendor_add_region(struct vfio_pci_vendor_device *dev,
			   const struct vfio_pci_region_desc *desc)
{
	return vfio_pci_vendor_add_region_user(dev, desc, NULL);
}
EXPORT_SYMBOL_GPL(vfio_pci_vendor_add_region);

/**
 * vfio_pci_regions_free_vendor() - release the regions of a vendor driver
 * @dev: the device of the vendor driver; drivers above it have no regions left
 */
void vfio_pci_regions_free_vendor(struct vfio_pci_vendor_device *dev)
{
	struct list_head *regions = &to_vfio_pci_vendor(dev)->regions;
	struct vfio_pci_core_region *region;

	while (!list_empty(regions)) {
		region = list_last_entry(regions, struct vfio_pci_core_region,
					 node);
		list_del(&region->node);
		vfio_pci_region_remove(region);
	}
}

/**
 * vfio_pci_vendor_find_region() - find an added region by its type
 * @dev: the device
 * @type: VFIO_REGION_TYPE_*, or a PCI vendor id with
 *	  VFIO_REGION_TYPE_PCI_VENDOR_TYPE
 * @subtype: VFIO_REGION_SUBTYPE_* of the @type
 *
 * A driver calls this to override a region of another vendor driver.  The other
 * driver must open the device first, that is, sort before this driver by
 * priority and name.
 *
 * Return: the index of the first matching region, or -ENOENT if there is none.
 */
int vfio_pci_vendor_find_region(struct vfio_pci_vendor_device *dev, u32 type,
				u32 subtype)
{
	struct vfio_pci_core_device *vdev = dev->vdev;
	unsigned int i;

	for (i = VFIO_PCI_NUM_REGIONS; i < vdev->num_regions; i++) {
		const struct vfio_pci_region *region = &vdev->regions[i]->region;

		if (region->type == type && region->subtype == subtype)
			return i;
	}

	return -ENOENT;
}
EXPORT_SYMBOL_GPL(vfio_pci_vendor_find_region);
