// SPDX-License-Identifier: GPL-2.0-only
/*
 * VFIO PCI regions of vendor drivers
 *
 * Functions to add regions, and operations of regions in kernel memory.
 */

#include <linux/pci.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/vfio.h>
#include <linux/vfio_pci_core.h>
#include <linux/vmalloc.h>
#include <kunit/visibility.h>

#include "vfio_pci_priv.h"

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

/**
 * vfio_pci_vendor_errno() - sanitize the error of a driver operation
 * @region: the region
 * @ret: the return value of a failed operation
 *
 * Return: @ret, or -EIO if @ret is not an errno.
 */
int vfio_pci_vendor_errno(struct vfio_pci_core_region *region, ssize_t ret)
{
	const struct vfio_pci_vendor_device *dev = region->region.dev;

	if (ret < 0 && ret >= -MAX_ERRNO)
		return ret;

	dev_err_ratelimited(&region->vdev->pdev->dev,
			    "vendor driver %s: invalid return value %zd from an operation of region %u\n",
			    dev ? dev->driver->name : "(none)", ret,
			    region->region.index);

	return -EIO;
}

/* Serve an access by userspace through a kernel buffer */
static ssize_t vfio_pci_region_rw_user(struct vfio_pci_core_region *region,
				       char __user *buf, size_t count,
				       loff_t pos, bool iswrite)
{
	void *allocated __free(kfree) = NULL;
	u64 small[9];
	void *base = small;
	size_t done = 0;
	ssize_t ret;

	ret = vfio_pci_region_clip(region, count, pos);
	if (ret < 0)
		return ret;
	count = ret;

	if (iswrite ? !region->ops.write : !region->ops.read)
		return -EINVAL;

	/* Give registers the same alignment in the buffer and in the region */
	if (count > sizeof(small) - sizeof(u64)) {
		allocated = kmalloc(min(count + sizeof(u64), PAGE_SIZE),
				    GFP_KERNEL);
		if (!allocated)
			return -ENOMEM;
		base = allocated;
	}

	for (ret = 0; done < count; cond_resched()) {
		/* A page boundary never splits a register */
		size_t part = min(count - done,
				  PAGE_SIZE - offset_in_page(pos + done));
		void *bounce = base + ((pos + done) & (sizeof(u64) - 1));

		if (iswrite && copy_from_user(bounce, buf + done, part)) {
			ret = -EFAULT;
		} else if (iswrite) {
			ret = region->ops.write(&region->region, bounce, part,
						pos + done);
		} else {
			if (region->zero_buf)
				memset(bounce, 0, part);
			ret = region->ops.read(&region->region, bounce, part,
					       pos + done);
		}
		if (!ret && !iswrite && copy_to_user(buf + done, bounce, part))
			ret = -EFAULT;
		if (ret)
			break;
		done += part;
	}

	/* Same as for BARs: an error in a later part fails the whole access */
	return ret ? vfio_pci_vendor_errno(region, ret) : done;
}

/**
 * vfio_pci_region_read_user() - serve a read with the read operation
 * @region: the region
 * @buf: user buffer
 * @count: number of bytes
 * @pos: byte offset in the region
 *
 * This is the handler of regions whose operations use kernel buffers.
 *
 * Return: the number of bytes read, less than @count at the end of the region;
 * -EINVAL past the end or if the region is not readable; -ENOMEM if out of
 * memory; -EFAULT if @buf is not accessible; or the errno of the operation.
 */
ssize_t vfio_pci_region_read_user(struct vfio_pci_core_region *region,
				  char __user *buf, size_t count, loff_t pos)
{
	return vfio_pci_region_rw_user(region, buf, count, pos, false);
}
EXPORT_SYMBOL_IF_KUNIT(vfio_pci_region_read_user);

/**
 * vfio_pci_region_write_user() - serve a write with the write operation
 * @region: the region
 * @buf: user buffer
 * @count: number of bytes
 * @pos: byte offset in the region
 *
 * Return: the number of bytes written; for errors, see
 * vfio_pci_region_read_user().
 */
ssize_t vfio_pci_region_write_user(struct vfio_pci_core_region *region,
				   const char __user *buf, size_t count,
				   loff_t pos)
{
	return vfio_pci_region_rw_user(region, (char __user *)buf, count, pos,
				       true);
}
EXPORT_SYMBOL_IF_KUNIT(vfio_pci_region_write_user);

static ssize_t vfio_pci_memory_read_user(struct vfio_pci_core_region *region,
					 char __user *buf, size_t count,
					 loff_t pos)
{
	ssize_t ret = vfio_pci_region_clip(region, count, pos);

	if (ret < 0)
		return ret;

	return copy_to_user(buf, region->region.data + pos, ret) ? -EFAULT : ret;
}

static ssize_t vfio_pci_memory_write_user(struct vfio_pci_core_region *region,
					  const char __user *buf, size_t count,
					  loff_t pos)
{
	ssize_t ret = vfio_pci_region_clip(region, count, pos);

	if (ret < 0)
		return ret;

	return copy_from_user(region->region.data + pos, buf, ret) ?
	       -EFAULT : ret;
}

static const struct vfio_pci_user_regops vfio_pci_memory_user_regops = {
	.read		= vfio_pci_memory_read_user,
	.write		= vfio_pci_memory_write_user,
};

static int vfio_pci_memory_read(struct vfio_pci_region *region, void *buf,
				size_t count, loff_t pos)
{
	memcpy(buf, region->data + pos, count);

	return 0;
}

static int vfio_pci_memory_write(struct vfio_pci_region *region,
				 const void *buf, size_t count, loff_t pos)
{
	memcpy(region->data + pos, buf, count);

	return 0;
}

static int vfio_pci_memory_mmap(struct vfio_pci_region *region,
				struct vm_area_struct *vma)
{
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
	.mmap		= vfio_pci_memory_mmap,
	.fault		= vfio_pci_memory_fault,
	.release	= vfio_pci_memory_release,
};

/**
 * vfio_pci_vendor_add_memory() - add a region in kernel memory
 * @dev: the device, in the open callback of the vendor driver
 * @desc: the description; @desc->ops and @desc->data must be NULL
 * @contents: @desc->size bytes of initial contents, or NULL for zeroes
 *
 * The core allocates the memory and frees it when the device is closed.
 * If @desc->flags permit writes, userspace may change the memory at any time.
 *
 * Context: Process context, may sleep.
 * Return: the memory on success, or an error pointer: -EINVAL if @desc->ops or
 * @desc->data is set; -ENOMEM if out of memory; or an error of
 * vfio_pci_vendor_add_region().
 */
void *vfio_pci_vendor_add_memory(struct vfio_pci_vendor_device *dev,
				 const struct vfio_pci_region_desc *desc,
				 const void *contents)
{
	struct vfio_pci_region_desc memory = *desc;
	struct vfio_pci_region *region;

	if (desc->ops || desc->data) {
		dev_err_ratelimited(&dev->pdev->dev,
				    "vendor driver %s: invalid description of a memory region: ops and data must be NULL\n",
				    dev->driver->name);
		return ERR_PTR(-EINVAL);
	}

	if (desc->size != (size_t)desc->size)
		return ERR_PTR(-ENOMEM);

	memory.ops = &vfio_pci_memory_regops;
	if (desc->size) {
		memory.data = __vmalloc(desc->size,
					GFP_KERNEL_ACCOUNT | __GFP_ZERO);
		if (!memory.data)
			return ERR_PTR(-ENOMEM);
		if (contents)
			memcpy(memory.data, contents, desc->size);
	}

	region = vfio_pci_vendor_add_region_user(dev, &memory,
						 &vfio_pci_memory_user_regops);
	if (IS_ERR(region)) {
		vfree(memory.data);
		return ERR_CAST(region);
	}

	return region->data;
}
EXPORT_SYMBOL_GPL(vfio_pci_vendor_add_memory);
