// SPDX-License-Identifier: GPL-2.0-only
/*
 * VFIO PCI regions of vendor drivers
 *
 * How a vendor driver adds regions to a device, and ready-made operations for
 * regions that are served from kernel memory.
 */

#include <linux/pci.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/vfio.h>
#include <linux/vfio_pci_core.h>
#include <linux/vmalloc.h>

#include "vfio_pci_priv.h"

/**
 * vfio_pci_vendor_add_region() - add a region to a device
 * @dev: the device, in the open callback of the vendor driver
 * @type: VFIO_REGION_TYPE_*, or a PCI vendor id with
 *	  VFIO_REGION_TYPE_PCI_VENDOR_TYPE
 * @subtype: VFIO_REGION_SUBTYPE_* of the @type
 * @ops: what serves the region
 * @size: size of the region in bytes
 * @flags: VFIO_REGION_INFO_FLAG_READ, _WRITE and _MMAP, as reported to the user
 * @data: for the use of @ops, to be freed by its release operation
 *
 * On success the core calls @ops->release exactly once, when the device is
 * closed or fails to open; on failure @data stays with the caller.
 *
 * Context: Process context, may sleep.
 * Return: 0, -EINVAL if there are no @ops or the region has no size or more
 * than there is room for, -EBUSY outside of the open callback, -ENOMEM.
 */
int vfio_pci_vendor_add_region(struct vfio_pci_vendor_device *dev,
			       u32 type, u32 subtype,
			       const struct vfio_pci_regops *ops, u64 size,
			       u32 flags, void *data)
{
	struct vfio_pci_core_device *vdev = dev->vdev;
	int ret;

	if (vdev->vendor_opening != dev) {
		dev_err_ratelimited(&dev->pdev->dev,
				    "vendor driver %s adds a region outside of its open callback\n",
				    dev->driver->name);
		return -EBUSY;
	}

	if (!ops || !size || size > VFIO_PCI_OFFSET_MASK + 1) {
		dev_err_ratelimited(&dev->pdev->dev,
				    "vendor driver %s adds a region %s\n",
				    dev->driver->name,
				    ops ? "of no valid size" : "without ops");
		return -EINVAL;
	}

	ret = vfio_pci_core_register_dev_region(vdev, type, subtype, ops, size,
						flags, data);
	if (!ret)
		vdev->regions[vdev->num_regions - 1]->vendor = dev;

	return ret;
}
EXPORT_SYMBOL_GPL(vfio_pci_vendor_add_region);

/* An operation of a vendor driver cannot give userspace what is no errno */
static int vfio_pci_vendor_errno(struct vfio_pci_region *region, int ret)
{
	if (ret <= 0 && ret >= -MAX_ERRNO)
		return ret;

	dev_err_ratelimited(&region->vdev->pdev->dev,
			    "vendor driver %s returns %d for region %u\n",
			    region->vendor ? region->vendor->driver->name : "(none)",
			    ret, region->index);

	return -EIO;
}

static ssize_t vfio_pci_region_rw_buf(struct vfio_pci_region *region,
				      char __user *buf, size_t count,
				      loff_t pos, bool iswrite)
{
	size_t done = 0;
	int ret = 0;

	if (pos >= region->size)
		return -EINVAL;

	count = min_t(u64, count, region->size - pos);

	void *bounce __free(kfree) = kmalloc(min(count, PAGE_SIZE), GFP_KERNEL);

	if (!bounce)
		return -ENOMEM;

	while (done < count) {
		size_t part = min(count - done, PAGE_SIZE);

		if (iswrite && copy_from_user(bounce, buf + done, part))
			ret = -EFAULT;
		else if (iswrite)
			ret = region->ops->write_buf(region, bounce, part,
						     pos + done);
		else
			ret = region->ops->read_buf(region, bounce, part,
						    pos + done);
		if (!ret && !iswrite && copy_to_user(buf + done, bounce, part))
			ret = -EFAULT;
		if (ret)
			break;
		done += part;
	}

	if (ret)
		ret = vfio_pci_vendor_errno(region, ret);

	return done ?: ret;
}

/**
 * vfio_pci_region_read_buf() - read a region by its read_buf operation
 * @region: the region, which has a size and read_buf
 * @buf: buffer of userspace
 * @count: number of bytes
 * @pos: byte offset in the region
 *
 * For the read operation of struct vfio_pci_regops.
 *
 * Return: the number of bytes read, less than @count at the end of the region
 * or before an error, -EINVAL past the end, -ENOMEM, -EFAULT, or what read_buf
 * failed with.
 */
ssize_t vfio_pci_region_read_buf(struct vfio_pci_region *region,
				 char __user *buf, size_t count, loff_t pos)
{
	return vfio_pci_region_rw_buf(region, buf, count, pos, false);
}
EXPORT_SYMBOL_GPL(vfio_pci_region_read_buf);

/**
 * vfio_pci_region_write_buf() - write a region by its write_buf operation
 * @region: the region, which has a size and write_buf
 * @buf: buffer of userspace
 * @count: number of bytes
 * @pos: byte offset in the region
 *
 * For the write operation of struct vfio_pci_regops.
 *
 * Return: as vfio_pci_region_read_buf().
 */
ssize_t vfio_pci_region_write_buf(struct vfio_pci_region *region,
				  const char __user *buf, size_t count,
				  loff_t pos)
{
	return vfio_pci_region_rw_buf(region, (char __user *)buf, count, pos,
				      true);
}
EXPORT_SYMBOL_GPL(vfio_pci_region_write_buf);

static ssize_t vfio_pci_memory_read(struct vfio_pci_region *region,
				    char __user *buf, size_t count, loff_t pos)
{
	if (pos >= region->size || !(region->flags & VFIO_REGION_INFO_FLAG_READ))
		return -EINVAL;

	count = min_t(u64, count, region->size - pos);

	return copy_to_user(buf, region->data + pos, count) ? -EFAULT : count;
}

static ssize_t vfio_pci_memory_write(struct vfio_pci_region *region,
				     const char __user *buf, size_t count,
				     loff_t pos)
{
	if (pos >= region->size ||
	    !(region->flags & VFIO_REGION_INFO_FLAG_WRITE))
		return -EINVAL;

	count = min_t(u64, count, region->size - pos);

	return copy_from_user(region->data + pos, buf, count) ? -EFAULT : count;
}

static int vfio_pci_memory_mmap(struct vfio_pci_region *region,
				struct vm_area_struct *vma)
{
	/* Neither now nor by a later mprotect() */
	if (!(region->flags & VFIO_REGION_INFO_FLAG_WRITE)) {
		if (vma->vm_flags & VM_WRITE)
			return -EACCES;
		vm_flags_clear(vma, VM_MAYWRITE);
	}

	return remap_vmalloc_range(vma, region->data,
				   vfio_pci_region_vma_offset(vma) >> PAGE_SHIFT);
}

static void vfio_pci_memory_release(struct vfio_pci_region *region)
{
	vfree(region->data);
}

static const struct vfio_pci_regops vfio_pci_memory_regops = {
	.read		= vfio_pci_memory_read,
	.write		= vfio_pci_memory_write,
	.mmap		= vfio_pci_memory_mmap,
	.release	= vfio_pci_memory_release,
};

/**
 * vfio_pci_vendor_add_memory() - add a region that is a buffer in memory
 * @dev: the device, in the open callback of the vendor driver
 * @type: VFIO_REGION_TYPE_*, or a PCI vendor id with
 *	  VFIO_REGION_TYPE_PCI_VENDOR_TYPE
 * @subtype: VFIO_REGION_SUBTYPE_* of the @type
 * @contents: what is in the region to begin with, or NULL for zeroes
 * @size: size of the region, and of @contents, in bytes
 * @flags: VFIO_REGION_INFO_FLAG_READ, _WRITE and _MMAP: what the user may do
 *
 * The memory is allocated here, and freed when the device is closed.  The user
 * may change it at any time if @flags allow that.
 *
 * Context: Process context, may sleep.
 * Return: the memory, or an error pointer: -ENOMEM, or one of those of
 * vfio_pci_vendor_add_region().
 */
void *vfio_pci_vendor_add_memory(struct vfio_pci_vendor_device *dev,
				 u32 type, u32 subtype, const void *contents,
				 size_t size, u32 flags)
{
	void *memory;
	int ret;

	memory = size ? vmalloc_user(size) : NULL;
	if (size && !memory)
		return ERR_PTR(-ENOMEM);

	if (memory && contents)
		memcpy(memory, contents, size);

	ret = vfio_pci_vendor_add_region(dev, type, subtype,
					 &vfio_pci_memory_regops, size, flags,
					 memory);
	if (ret) {
		vfree(memory);
		return ERR_PTR(ret);
	}

	return memory;
}
EXPORT_SYMBOL_GPL(vfio_pci_vendor_add_memory);
