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

#include <linux/pci.h>
#include <linux/slab.h>
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
	vdev->regions_frozen = false;
	vdev->vendors_asked = false;

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
 * vfio_pci_regions_freeze() - make the region table final
 * @vdev: the device, which userspace cannot access yet
 */
void vfio_pci_regions_freeze(struct vfio_pci_core_device *vdev)
{
	vdev->regions_frozen = true;
}
EXPORT_SYMBOL_IF_KUNIT(vfio_pci_regions_freeze);

/*
 * Remove an override from the top of its index, or an added region from the
 * table.  The migration region has the last index, but the core removes it
 * after the regions of drivers.  Do not grow the table again then.
 */
static void vfio_pci_region_remove(struct vfio_pci_core_region *region)
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
 * @vdev: the device, before vfio_pci_regions_freeze()
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
	if (vdev->regions_frozen || vdev->vendors_asked)
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
