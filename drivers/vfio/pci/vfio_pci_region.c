// SPDX-License-Identifier: GPL-2.0-only
/*
 * VFIO PCI region table
 *
 * The table contains all regions of an open device by index: first the fixed
 * regions (BARs, ROM, config space, VGA), then the regions that drivers add.
 * The core fills the table while it opens the device.  The table does not
 * change until the device is closed, so an access needs no lock to look up its
 * region.
 */

#include <linux/overflow.h>
#include <linux/pci.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/vfio_pci_core.h>
#include <kunit/visibility.h>

#include "vfio_pci_priv.h"

static int vfio_pci_absent_get_info(struct vfio_pci_core_region *region,
				    struct vfio_region_info *info)
{
	return -EINVAL;
}

/* A fixed region that this device does not have */
static const struct vfio_pci_user_regops vfio_pci_absent_user_regops = {
	.get_info	= vfio_pci_absent_get_info,
};

static const struct vfio_pci_regops vfio_pci_absent_regops;

/**
 * vfio_pci_region_set_ops() - set the operations of a region
 * @region: the region
 * @ops: operations on kernel buffers
 * @user: handlers of the core
 */
void vfio_pci_region_set_ops(struct vfio_pci_core_region *region,
			     const struct vfio_pci_regops *ops,
			     const struct vfio_pci_user_regops *user)
{
	region->own = ops;
	region->ops = *ops;
	region->user = *user;
}
EXPORT_SYMBOL_IF_KUNIT(vfio_pci_region_set_ops);

/**
 * vfio_pci_regions_alloc() - allocate the region table of a device
 * @vdev: the device, without a region table
 *
 * The fixed regions are absent until vfio_pci_regions_fill().
 *
 * Return: 0 on success, or -ENOMEM if out of memory.
 */
int vfio_pci_regions_alloc(struct vfio_pci_core_device *vdev)
{
	struct vfio_pci_core_region **regions, *fixed;
	unsigned int i;

	regions = kzalloc_objs(*regions, VFIO_PCI_NUM_REGIONS,
			       GFP_KERNEL_ACCOUNT);
	fixed = kzalloc_objs(*fixed, VFIO_PCI_NUM_REGIONS, GFP_KERNEL_ACCOUNT);
	if (!regions || !fixed) {
		kfree(regions);
		kfree(fixed);
		return -ENOMEM;
	}

	for (i = 0; i < VFIO_PCI_NUM_REGIONS; i++) {
		fixed[i].vdev = vdev;
		fixed[i].region.index = i;
		fixed[i].max_width = sizeof(u64);
		vfio_pci_region_set_ops(&fixed[i], &vfio_pci_absent_regops,
					&vfio_pci_absent_user_regops);
		regions[i] = &fixed[i];
	}

	vdev->regions = regions;
	vdev->num_regions = VFIO_PCI_NUM_REGIONS;
	vdev->regions_final = false;
	vdev->vendors_opened = false;

	return 0;
}
EXPORT_SYMBOL_IF_KUNIT(vfio_pci_regions_alloc);

/* Exclude the MSI-X table from reads and writes: userspace uses ioctls */
static void vfio_pci_regions_fill_msix(struct vfio_pci_core_device *vdev)
{
	struct vfio_pci_core_region *region;
	u32 pba;

	if (vdev->msix_bar < PCI_STD_NUM_BARS) {
		region = vdev->regions[vdev->msix_bar];
		region->x_start = vdev->msix_offset;
		region->x_end = vdev->msix_offset + vdev->msix_size;
		region->has_caps = true;
	}

	if (!vdev->pdev->msix_cap || !vdev->msix_size)
		return;

	pci_read_config_dword(vdev->pdev, vdev->pdev->msix_cap + PCI_MSIX_PBA,
			      &pba);
	if ((pba & PCI_MSIX_PBA_BIR) >= PCI_STD_NUM_BARS)
		return;

	region = vdev->regions[pba & PCI_MSIX_PBA_BIR];
	region->pba_start = pba & PCI_MSIX_PBA_OFFSET;
	/* One bit per table entry of 16 bytes, rounded up to 64 bits */
	region->pba_end = region->pba_start +
			  DIV_ROUND_UP(vdev->msix_size / 16, 64) * 8;
}

/**
 * vfio_pci_regions_fill() - fill in the fixed regions
 * @vdev: the device, after setup of its config space, MSI-X and BAR maps
 */
void vfio_pci_regions_fill(struct vfio_pci_core_device *vdev)
{
	const u32 rw = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE;
	struct vfio_pci_core_region **regions = vdev->regions;
	struct pci_dev *pdev = vdev->pdev;
	struct vfio_pci_core_region *region;
	unsigned int bar;

	for (bar = 0; bar < PCI_STD_NUM_BARS; bar++) {
		region = regions[VFIO_PCI_BAR0_REGION_INDEX + bar];
		vfio_pci_region_set_ops(region, &vfio_pci_bar_regops,
					&vfio_pci_bar_user_regops);
		region->region.size = pci_resource_len(pdev, bar);
		region->region.flags = region->region.size ? rw : 0;
		region->is_mem = pci_resource_flags(pdev, bar) & IORESOURCE_MEM;
		region->io = vdev->barmap[bar];
	}

	vfio_pci_regions_fill_msix(vdev);

	/* Region info reports size 0 for a ROM without a valid image */
	region = regions[VFIO_PCI_ROM_REGION_INDEX];
	vfio_pci_region_set_ops(region, &vfio_pci_rom_regops,
				&vfio_pci_rom_user_regops);
	if (pci_resource_start(pdev, PCI_ROM_RESOURCE))
		region->region.size = pci_resource_len(pdev, PCI_ROM_RESOURCE);
	else if (pdev->rom && pdev->romlen)
		region->region.size = roundup_pow_of_two(pdev->romlen);
	if (region->region.size)
		region->region.flags = VFIO_REGION_INFO_FLAG_READ;
	region->max_width = sizeof(u32);

	region = regions[VFIO_PCI_CONFIG_REGION_INDEX];
	vfio_pci_region_set_ops(region, &vfio_pci_config_regops,
				&vfio_pci_config_user_regops);
	region->region.size = pdev->cfg_size;
	region->region.flags = rw;
	region->no_partial = true;
	region->max_width = sizeof(u32);

	if (vdev->has_vga) {
		region = regions[VFIO_PCI_VGA_REGION_INDEX];
		vfio_pci_region_set_ops(region, &vfio_pci_vga_regops,
					&vfio_pci_vga_user_regops);
		region->region.size = 0xc0000;
		region->region.flags = rw;
		region->max_width = sizeof(u32);
	}
}

/**
 * vfio_pci_regions_finalize() - make the region table final
 * @vdev: the device, which userspace cannot access yet
 */
void vfio_pci_regions_finalize(struct vfio_pci_core_device *vdev)
{
	vdev->regions_final = true;
}
EXPORT_SYMBOL_IF_KUNIT(vfio_pci_regions_finalize);

/*
 * Remove an override from the top of its index, or an added region from the
 * table.  The migration region has the last index, but the core removes it
 * after the regions of drivers.  Its removal must not grow the table.
 */
void vfio_pci_region_remove(struct vfio_pci_core_region *region)
{
	struct vfio_pci_core_device *vdev = region->vdev;

	if (region->lower)
		vdev->regions[region->region.index] = region->lower;
	else
		vdev->num_regions = min(vdev->num_regions, region->region.index);

	if (region->own->release)
		region->own->release(&region->region);
	kvfree(region->sparse);
	kfree(region);
}

/**
 * vfio_pci_regions_free() - release all regions and the table
 * @vdev: the device, which userspace cannot access
 *
 * Do nothing if the device has no region table.
 */
void vfio_pci_regions_free(struct vfio_pci_core_device *vdev)
{
	struct vfio_pci_core_region **regions = vdev->regions;

	if (!regions)
		return;

	while (vdev->num_regions > VFIO_PCI_NUM_REGIONS)
		vfio_pci_region_remove(regions[vdev->num_regions - 1]);

	vdev->num_regions = 0;
	vdev->regions = NULL;
	kfree(regions[0]);
	kfree(regions);
}
EXPORT_SYMBOL_IF_KUNIT(vfio_pci_regions_free);

/**
 * vfio_pci_regions_append() - append a region to the table
 * @vdev: the device, before vfio_pci_regions_finalize()
 * @region: the region
 *
 * Return: 0 on success, or -ENOMEM if out of memory.
 */
int vfio_pci_regions_append(struct vfio_pci_core_device *vdev,
			    struct vfio_pci_core_region *region)
{
	struct vfio_pci_core_region **regions;

	regions = krealloc_array(vdev->regions, vdev->num_regions + 1,
				 sizeof(*regions), GFP_KERNEL_ACCOUNT);
	if (!regions)
		return -ENOMEM;

	region->vdev = vdev;
	region->region.index = vdev->num_regions;
	region->has_caps = true;
	region->has_type = true;

	regions[vdev->num_regions++] = region;
	vdev->regions = regions;

	return 0;
}

/* Check whether the lower region serves all dma-buf exports */
static bool
vfio_pci_region_is_transparent(const struct vfio_pci_core_region *region)
{
	return region->lower && !vfio_pci_regops_trap(region->own) &&
	       !region->own->get_dmabuf_phys &&
	       region->region.flags == region->lower->region.flags &&
	       region->region.size == region->lower->region.size;
}

/**
 * vfio_pci_region_apply_flags() - remove the handlers that flags do not permit
 * @region: the region
 */
void vfio_pci_region_apply_flags(struct vfio_pci_core_region *region)
{
	u32 flags = region->region.flags;

	if (!(flags & VFIO_REGION_INFO_FLAG_READ)) {
		region->user.read = NULL;
		region->user.read_reg = NULL;
		region->ops.read = NULL;
	}
	if (!(flags & VFIO_REGION_INFO_FLAG_WRITE)) {
		region->user.write = NULL;
		region->user.write_reg = NULL;
		region->user.ioeventfd = NULL;
		region->ops.write = NULL;
	}
	if (!(flags & VFIO_REGION_INFO_FLAG_MMAP)) {
		region->ops.mmap = NULL;
		region->ops.fault = NULL;
	}
	if ((flags & VFIO_PCI_REGION_RWM) != VFIO_PCI_REGION_RWM &&
	    !vfio_pci_region_is_transparent(region))
		region->ops.get_dmabuf_phys = NULL;
}

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

/**
 * vfio_pci_core_register_dev_region() - add a device specific region
 * @vdev: the device, in its open_device callback after vfio_pci_core_enable(),
 *	  before vfio_pci_core_open_vendors() and vfio_pci_core_finish_enable()
 * @type: VFIO_REGION_TYPE_*, or a PCI vendor id with
 *	  VFIO_REGION_TYPE_PCI_VENDOR_TYPE
 * @subtype: VFIO_REGION_SUBTYPE_* of the @type
 * @ops: operations of the region
 * @size: size of the region in bytes
 * @flags: VFIO_REGION_INFO_FLAG_READ, _WRITE and _MMAP
 * @data: private data of @ops, freed by the release operation
 *
 * The region gets the next free index.  Userspace finds it by its type.  On
 * success the core calls @ops->release exactly once, when the device is closed
 * or its open fails.  On failure the caller still owns @data.
 *
 * Context: Process context, may sleep.
 * Return: 0 on success; -ENOMEM if out of memory; -EINVAL if the device is not
 * enabled or @ops is NULL; -EBUSY if the device is open or
 * vfio_pci_core_open_vendors() has run.
 */
int vfio_pci_core_register_dev_region(struct vfio_pci_core_device *vdev,
				      unsigned int type, unsigned int subtype,
				      const struct vfio_pci_regops *ops,
				      size_t size, u32 flags, void *data)
{
	struct vfio_pci_core_region *region;
	int ret;

	if (!vdev->regions || !ops)
		return -EINVAL;
	if (vdev->regions_final || vdev->vendors_opened)
		return -EBUSY;

	region = kzalloc_obj(*region, GFP_KERNEL_ACCOUNT);
	if (!region)
		return -ENOMEM;

	region->region.type = type;
	region->region.subtype = subtype;
	region->region.size = size;
	region->region.flags = flags;
	region->region.data = data;
	region->max_width = sizeof(u64);
	region->own = ops;
	region->ops = *ops;
	region->zero_buf = true;
	region->user.read = vfio_pci_region_read_user;
	region->user.write = vfio_pci_region_write_user;
	vfio_pci_region_apply_flags(region);

	ret = vfio_pci_regions_append(vdev, region);
	if (ret)
		kfree(region);

	return ret;
}
EXPORT_SYMBOL_GPL(vfio_pci_core_register_dev_region);

/**
 * vfio_pci_region_get_dmabuf_phys() - look up physical addresses of a region
 * @region: the region
 * @provider: out: peer-to-peer DMA provider of the region
 * @phys_vec: out: @nr_ranges entries
 * @dma_ranges: page-aligned parts of the region, not empty
 * @nr_ranges: number of entries, at least 1
 *
 * Return: 0 on success; -ENODEV if the region does not support the export;
 * -EINVAL if userspace cannot map a range; -EOVERFLOW if the end of a range
 * overflows; or the errno of the region's operation.
 */
int vfio_pci_region_get_dmabuf_phys(struct vfio_pci_region *region,
				    struct p2pdma_provider **provider,
				    struct phys_vec *phys_vec,
				    struct vfio_region_dma_range *dma_ranges,
				    size_t nr_ranges)
{
	struct vfio_pci_core_region *core = to_core_region(region);
	size_t i;
	u64 end;

	if (!region || !core->ops.get_dmabuf_phys)
		return -ENODEV;

	/* Without the MMAP flag, the lower region checks the ranges */
	for (i = 0; region->flags & VFIO_REGION_INFO_FLAG_MMAP && i < nr_ranges;
	     i++) {
		if (vfio_pci_region_mappable(core, dma_ranges[i].offset,
					     dma_ranges[i].length))
			continue;

		return check_add_overflow(dma_ranges[i].offset,
					  dma_ranges[i].length, &end) ?
		       -EOVERFLOW : -EINVAL;
	}

	return vfio_pci_vendor_ret(core,
				   core->ops.get_dmabuf_phys(region, provider,
							     phys_vec,
							     dma_ranges,
							     nr_ranges));
}
EXPORT_SYMBOL_GPL(vfio_pci_region_get_dmabuf_phys);
