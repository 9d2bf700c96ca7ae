// SPDX-License-Identifier: GPL-2.0-only
/*
 * VFIO PCI regions in kernel memory
 */

#include <linux/mm.h>
#include <linux/pci.h>
#include <linux/uaccess.h>
#include <linux/vfio.h>
#include <linux/vfio_pci_core.h>
#include <linux/vmalloc.h>

#include "vfio_pci_priv.h"

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
