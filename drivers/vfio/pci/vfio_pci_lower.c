// SPDX-License-Identifier: GPL-2.0-only
/*
 * VFIO PCI regions that are overridden
 *
 * How operations of a region reach the one below it, which it overrides.
 */

#include <linux/mm.h>
#include <linux/vfio.h>
#include <linux/vfio_pci_core.h>

#include "vfio_pci_priv.h"

/* What is left of an access to a region that may end before the one below */
static ssize_t vfio_pci_lower_clip(struct vfio_pci_region *region, size_t count,
				   loff_t pos)
{
	if (!region->lower)
		return -EINVAL;

	/* Whoever knows the size of what is below, as of the ROM, is below */
	if (region->size == region->lower->size ||
	    (region->lower->size && region->size > region->lower->size))
		return count;

	return vfio_pci_region_clip(region, count, pos);
}

/**
 * vfio_pci_lower_read() - read what a region overrides
 * @region: the region that overrides it
 * @buf: buffer of userspace
 * @count: number of bytes
 * @pos: byte offset in the region
 *
 * For a read operation to call, or to be one.
 *
 * Return: as the read operation of struct vfio_pci_regops.
 */
ssize_t vfio_pci_lower_read(struct vfio_pci_region *region, char __user *buf,
			    size_t count, loff_t pos)
{
	struct vfio_pci_region *lower = region->lower;
	ssize_t ret = vfio_pci_lower_clip(region, count, pos);

	if (ret < 0)
		return ret;

	return lower->ops->read ? lower->ops->read(lower, buf, ret, pos) :
				  -EINVAL;
}
EXPORT_SYMBOL_GPL(vfio_pci_lower_read);

/**
 * vfio_pci_lower_write() - write what a region overrides
 * @region: the region that overrides it
 * @buf: buffer of userspace
 * @count: number of bytes
 * @pos: byte offset in the region
 *
 * For a write operation to call, or to be one.  A write of config space may
 * reset the device, and so have the driver's own callbacks for that called.
 *
 * Return: as the write operation of struct vfio_pci_regops.
 */
ssize_t vfio_pci_lower_write(struct vfio_pci_region *region,
			     const char __user *buf, size_t count, loff_t pos)
{
	struct vfio_pci_region *lower = region->lower;
	ssize_t ret = vfio_pci_lower_clip(region, count, pos);

	if (ret < 0)
		return ret;

	return lower->ops->write ? lower->ops->write(lower, buf, ret, pos) :
				   -EINVAL;
}
EXPORT_SYMBOL_GPL(vfio_pci_lower_write);

static bool vfio_pci_lower_has(struct vfio_pci_region *region, size_t count,
			       loff_t pos)
{
	struct vfio_pci_region *lower = region->lower;

	return lower && count && pos >= 0 && pos < lower->size &&
	       count <= lower->size - pos;
}

/**
 * vfio_pci_lower_read_buf() - read what a region overrides into kernel memory
 * @region: the region that overrides it, or that a range is of
 * @buf: buffer for @count bytes
 * @count: number of bytes
 * @pos: byte offset in the region
 *
 * The device sees an access of userspace of that size.  Not for callbacks about
 * resets, as what is below may take the memory lock of vfio-pci.
 *
 * Context: Process context, may sleep.
 * Return: 0, -EINVAL for bytes that are not in what is below, -EOPNOTSUPP if
 * that can be read into memory of userspace only, as the ROM and VGA can, -EIO
 * if the device does not decode.
 */
int vfio_pci_lower_read_buf(struct vfio_pci_region *region, void *buf,
			    size_t count, loff_t pos)
{
	struct vfio_pci_region *lower = region->lower;

	if (!vfio_pci_lower_has(region, count, pos))
		return -EINVAL;

	return lower->ops->read_buf ?
	       lower->ops->read_buf(lower, buf, count, pos) : -EOPNOTSUPP;
}
EXPORT_SYMBOL_GPL(vfio_pci_lower_read_buf);

/**
 * vfio_pci_lower_write_buf() - write what a region overrides from kernel memory
 * @region: the region that overrides it, or that a range is of
 * @buf: buffer of @count bytes
 * @count: number of bytes
 * @pos: byte offset in the region
 *
 * Otherwise as vfio_pci_lower_read_buf().
 *
 * Context: Process context, may sleep.
 * Return: 0, or an errno as of vfio_pci_lower_read_buf().
 */
int vfio_pci_lower_write_buf(struct vfio_pci_region *region, const void *buf,
			     size_t count, loff_t pos)
{
	struct vfio_pci_region *lower = region->lower;

	if (!vfio_pci_lower_has(region, count, pos))
		return -EINVAL;

	return lower->ops->write_buf ?
	       lower->ops->write_buf(lower, buf, count, pos) : -EOPNOTSUPP;
}
EXPORT_SYMBOL_GPL(vfio_pci_lower_write_buf);

/**
 * vfio_pci_lower_mmap() - map what a region overrides
 * @region: the region that overrides it
 * @vma: the mapping
 *
 * For a region that has operations to read or write, and may be mapped none the
 * less: it has this as its mmap operation.
 *
 * Return: as the mmap operation of struct vfio_pci_regops.
 */
int vfio_pci_lower_mmap(struct vfio_pci_region *region,
			struct vm_area_struct *vma)
{
	return region->lower ? vfio_pci_region_mmap(region->lower, vma) :
			       -EINVAL;
}
EXPORT_SYMBOL_GPL(vfio_pci_lower_mmap);

/**
 * vfio_pci_lower_fault() - serve a fault in a mapping of what is overridden
 * @region: the region that overrides it
 * @vmf: the fault
 * @order: order of the page that is wanted
 *
 * Return: as the fault operation of struct vfio_pci_regops.
 */
vm_fault_t vfio_pci_lower_fault(struct vfio_pci_region *region,
				struct vm_fault *vmf, unsigned int order)
{
	struct vfio_pci_region *lower = region->lower;

	if (!lower || !lower->ops->fault)
		return VM_FAULT_SIGBUS;

	return lower->ops->fault(lower, vmf, order);
}
EXPORT_SYMBOL_GPL(vfio_pci_lower_fault);

/**
 * vfio_pci_lower_get_info() - tell what there is to tell of what is overridden
 * @region: the region that overrides it
 * @info: as for the get_info operation
 * @caps: as for the get_info operation
 *
 * Return: as the get_info operation of struct vfio_pci_regops.
 */
int vfio_pci_lower_get_info(struct vfio_pci_region *region,
			    struct vfio_region_info *info,
			    struct vfio_info_cap *caps)
{
	if (!region->lower)
		return -EINVAL;

	return vfio_pci_region_get_info(region->lower, info, caps);
}
EXPORT_SYMBOL_GPL(vfio_pci_lower_get_info);

/**
 * vfio_pci_lower_add_capability() - add the capabilities of what is overridden
 * @region: the region that overrides it
 * @caps: as for the add_capability operation
 *
 * Return: as the add_capability operation of struct vfio_pci_regops.
 */
int vfio_pci_lower_add_capability(struct vfio_pci_region *region,
				  struct vfio_info_cap *caps)
{
	struct vfio_pci_region *lower = region->lower;

	if (!lower || !lower->ops->add_capability)
		return 0;

	return lower->ops->add_capability(lower, caps);
}
EXPORT_SYMBOL_GPL(vfio_pci_lower_add_capability);

/**
 * vfio_pci_lower_ioeventfd() - have an eventfd write to what is overridden
 * @region: the region that overrides it
 * @pos: byte offset in the region
 * @data: what to write
 * @count: number of bytes to write
 * @fd: the eventfd, or -1
 *
 * Return: as the ioeventfd operation of struct vfio_pci_regops.
 */
int vfio_pci_lower_ioeventfd(struct vfio_pci_region *region, loff_t pos,
			     u64 data, int count, int fd)
{
	struct vfio_pci_region *lower = region->lower;

	if (!lower || !lower->ops->ioeventfd)
		return -EINVAL;
	if (region->size < lower->size && pos + count > region->size)
		return -EINVAL;

	return lower->ops->ioeventfd(lower, pos, data, count, fd);
}
EXPORT_SYMBOL_GPL(vfio_pci_lower_ioeventfd);

/**
 * vfio_pci_lower_get_dmabuf_phys() - export parts of what is overridden
 * @region: the region that overrides it
 * @provider: as for the get_dmabuf_phys operation
 * @phys_vec: as for the get_dmabuf_phys operation
 * @dma_ranges: as for the get_dmabuf_phys operation
 * @nr_ranges: as for the get_dmabuf_phys operation
 *
 * Return: as the get_dmabuf_phys operation of struct vfio_pci_regops.
 */
int vfio_pci_lower_get_dmabuf_phys(struct vfio_pci_region *region,
				   struct p2pdma_provider **provider,
				   struct phys_vec *phys_vec,
				   struct vfio_region_dma_range *dma_ranges,
				   size_t nr_ranges)
{
	if (!region->lower)
		return -ENODEV;

	return vfio_pci_region_get_dmabuf_phys(region->lower, provider,
					       phys_vec, dma_ranges, nr_ranges);
}
EXPORT_SYMBOL_GPL(vfio_pci_lower_get_dmabuf_phys);
