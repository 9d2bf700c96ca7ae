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
 * The region gets the next free index, and userspace finds it by its type.  On
 * success the core calls @ops->release exactly once, when the device is closed
 * or fails to open; on failure @data stays with the caller.
 *
 * Context: Process context, may sleep.
 * Return: the region, or an error pointer: -EINVAL if there are no @ops or the
 * region has no size or more than there is room for, -EBUSY outside of the open
 * callback, -ENOMEM.
 */
struct vfio_pci_region *
vfio_pci_vendor_add_region(struct vfio_pci_vendor_device *dev, u32 type,
			   u32 subtype, const struct vfio_pci_regops *ops,
			   u64 size, u32 flags, void *data)
{
	struct vfio_pci_region *region;
	int ret;

	ret = vfio_pci_vendor_check_open(dev);
	if (ret)
		return ERR_PTR(ret);

	if (!ops || !size || size > VFIO_PCI_OFFSET_MASK + 1) {
		dev_err_ratelimited(&dev->pdev->dev,
				    "vendor driver %s adds a region %s\n",
				    dev->driver->name,
				    ops ? "of no valid size" : "without ops");
		return ERR_PTR(-EINVAL);
	}

	region = vfio_pci_vendor_new_region(dev, NULL, ops, data);
	if (IS_ERR(region))
		return region;

	region->type = type;
	region->subtype = subtype;
	region->size = size;
	region->flags = flags;

	ret = vfio_pci_regions_append(dev->vdev, region);
	if (ret) {
		list_del(&region->node);
		kfree(region);
		return ERR_PTR(ret);
	}

	return region;
}
EXPORT_SYMBOL_GPL(vfio_pci_vendor_add_region);

/**
 * vfio_pci_vendor_find_region() - find a region that has been added to a device
 * @dev: the device
 * @type: VFIO_REGION_TYPE_*, or a PCI vendor id with
 *	  VFIO_REGION_TYPE_PCI_VENDOR_TYPE
 * @subtype: VFIO_REGION_SUBTYPE_* of the @type
 *
 * To override a region of another vendor driver, that must have opened the
 * device before.
 *
 * Return: the index of the first such region, or -ENOENT.
 */
int vfio_pci_vendor_find_region(struct vfio_pci_vendor_device *dev, u32 type,
				u32 subtype)
{
	struct vfio_pci_core_device *vdev = dev->vdev;
	unsigned int i;

	for (i = VFIO_PCI_NUM_REGIONS; i < vdev->num_regions; i++) {
		struct vfio_pci_region *region = vdev->regions[i];

		if (region->type == type && region->subtype == subtype)
			return i;
	}

	return -ENOENT;
}
EXPORT_SYMBOL_GPL(vfio_pci_vendor_find_region);

/**
 * vfio_pci_vendor_errno() - check what an operation of a vendor driver returned
 * @region: the region
 * @ret: what it returned, which is not what it should on success
 *
 * Return: @ret, or -EIO if that is no errno.
 */
int vfio_pci_vendor_errno(struct vfio_pci_region *region, ssize_t ret)
{
	if (ret < 0 && ret >= -MAX_ERRNO)
		return ret;

	dev_err_ratelimited(&region->vdev->pdev->dev,
			    "vendor driver %s returns %zd for region %u\n",
			    region->vendor ? region->vendor->driver->name : "(none)",
			    ret, region->index);

	return -EIO;
}

/**
 * vfio_pci_vendor_result() - mend what an operation should not have returned
 * @region: the region that was read or written
 * @ret: what the operation returned: more than @count, or not an errno
 * @count: number of bytes that it was asked for
 *
 * Return: @count, or -EIO.
 */
ssize_t vfio_pci_vendor_result(struct vfio_pci_region *region, ssize_t ret,
			       size_t count)
{
	int err = vfio_pci_vendor_errno(region, ret);

	return ret < 0 ? err : count;
}

static ssize_t vfio_pci_region_rw_buf(struct vfio_pci_region *region,
				      char __user *buf, size_t count,
				      loff_t pos, bool iswrite)
{
	void *allocated __free(kfree) = NULL;
	u8 small[64] = {}, *bounce = small;
	size_t done = 0;
	ssize_t ret;

	ret = vfio_pci_region_clip(region, count, pos);
	if (ret < 0)
		return ret;
	count = ret;

	if (count > sizeof(small)) {
		allocated = kzalloc(min(count, PAGE_SIZE), GFP_KERNEL);
		if (!allocated)
			return -ENOMEM;
		bounce = allocated;
	}

	for (ret = 0; done < count; cond_resched()) {
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
 * What a region of a vendor driver has for its read operation if it has none.
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
 * What a region of a vendor driver has for its write operation if it has none.
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

static int vfio_pci_memory_read_buf(struct vfio_pci_region *region, void *buf,
				    size_t count, loff_t pos)
{
	memcpy(buf, region->data + pos, count);

	return 0;
}

static int vfio_pci_memory_write_buf(struct vfio_pci_region *region,
				     const void *buf, size_t count, loff_t pos)
{
	memcpy(region->data + pos, buf, count);

	return 0;
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

	vm_flags_set(vma, VM_DONTDUMP);

	return 0;
}

static vm_fault_t vfio_pci_memory_fault(struct vfio_pci_region *region,
					struct vm_fault *vmf,
					unsigned int order)
{
	struct vm_area_struct *vma = vmf->vma;
	u64 pos = vfio_pci_region_vma_offset(vma) +
		  ((vmf->address & PAGE_MASK) - vma->vm_start);

	if (order)
		return VM_FAULT_FALLBACK;
	if (pos >= region->size)
		return VM_FAULT_SIGBUS;

	vmf->page = vmalloc_to_page(region->data + pos);
	get_page(vmf->page);

	return 0;
}

static void vfio_pci_memory_release(struct vfio_pci_region *region)
{
	vfree(region->data);
}

static const struct vfio_pci_regops vfio_pci_memory_regops = {
	.read		= vfio_pci_memory_read,
	.write		= vfio_pci_memory_write,
	.read_buf	= vfio_pci_memory_read_buf,
	.write_buf	= vfio_pci_memory_write_buf,
	.mmap		= vfio_pci_memory_mmap,
	.fault		= vfio_pci_memory_fault,
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
	struct vfio_pci_region *region;
	void *memory;

	memory = size ? vmalloc_user(size) : NULL;
	if (size && !memory)
		return ERR_PTR(-ENOMEM);

	if (memory && contents)
		memcpy(memory, contents, size);

	region = vfio_pci_vendor_add_region(dev, type, subtype,
					    &vfio_pci_memory_regops, size,
					    flags, memory);
	if (IS_ERR(region)) {
		vfree(memory);
		return ERR_CAST(region);
	}

	return memory;
}
EXPORT_SYMBOL_GPL(vfio_pci_vendor_add_memory);
