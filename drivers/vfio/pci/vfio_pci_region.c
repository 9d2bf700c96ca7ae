// SPDX-License-Identifier: GPL-2.0-only
/*
 * VFIO PCI region table
 *
 * One table holds every region of an open device, by region index: those that
 * each PCI device has, then those that a driver registers.  It is filled while
 * the device is being opened and does not change until the device is closed,
 * so that an access looks its region up without a lock.
 */

#include <linux/pci.h>
#include <linux/slab.h>
#include <linux/vfio_pci_core.h>
#include <kunit/visibility.h>

#include "vfio_pci_priv.h"

static int vfio_pci_absent_get_info(struct vfio_pci_region *region,
				    struct vfio_region_info *info,
				    struct vfio_info_cap *caps)
{
	return -EINVAL;
}

/* An index that userspace knows but this device has nothing at */
static const struct vfio_pci_regops vfio_pci_absent_regops = {
	.get_info	= vfio_pci_absent_get_info,
};

/**
 * vfio_pci_regions_alloc() - allocate the region table of a device
 * @vdev: the device, which has no region table
 *
 * The regions that each PCI device has are there but absent, until
 * vfio_pci_regions_fill().
 *
 * Return: 0, or -ENOMEM.
 */
int vfio_pci_regions_alloc(struct vfio_pci_core_device *vdev)
{
	struct vfio_pci_region **regions, *fixed;
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
		fixed[i].index = i;
		fixed[i].ops = &vfio_pci_absent_regops;
		fixed[i].width = sizeof(u64);
		regions[i] = &fixed[i];
	}

	vdev->regions = regions;
	vdev->num_regions = VFIO_PCI_NUM_REGIONS;
	vdev->regions_frozen = false;
	vdev->vendors_asked = false;

	return 0;
}
EXPORT_SYMBOL_IF_KUNIT(vfio_pci_regions_alloc);

/**
 * vfio_pci_regions_fill() - describe the regions that each PCI device has
 * @vdev: the device: enabled, with its config space, MSI-X and BAR maps known
 */
void vfio_pci_regions_fill(struct vfio_pci_core_device *vdev)
{
	const u32 rw = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE;
	struct vfio_pci_region **regions = vdev->regions;
	struct pci_dev *pdev = vdev->pdev;
	struct vfio_pci_region *region;
	unsigned int bar;

	for (bar = 0; bar < PCI_STD_NUM_BARS; bar++) {
		region = regions[VFIO_PCI_BAR0_REGION_INDEX + bar];
		region->ops = &vfio_pci_bar_regops;
		region->size = pci_resource_len(pdev, bar);
		region->flags = region->size ? rw : 0;
		region->is_mem = pci_resource_flags(pdev, bar) & IORESOURCE_MEM;
		region->io = vdev->barmap[bar];
	}

	/* The user gets at the MSI-X table by ioctl only */
	if (vdev->msix_bar < PCI_STD_NUM_BARS) {
		region = regions[VFIO_PCI_BAR0_REGION_INDEX + vdev->msix_bar];
		region->x_start = vdev->msix_offset;
		region->x_end = vdev->msix_offset + vdev->msix_size;
		region->has_caps = true;
	}

	/* What there is of a ROM is only known when it is looked at */
	region = regions[VFIO_PCI_ROM_REGION_INDEX];
	region->ops = &vfio_pci_rom_regops;
	region->width = sizeof(u32);

	region = regions[VFIO_PCI_CONFIG_REGION_INDEX];
	region->ops = &vfio_pci_config_regops;
	region->size = pdev->cfg_size;
	region->flags = rw;
	region->exact = true;
	region->width = sizeof(u32);

	if (vdev->has_vga) {
		region = regions[VFIO_PCI_VGA_REGION_INDEX];
		region->ops = &vfio_pci_vga_regops;
		region->size = 0xc0000;
		region->flags = rw;
		region->width = sizeof(u32);
	}
}

/**
 * vfio_pci_regions_freeze() - let the region table not change any more
 * @vdev: the device, about to be given to userspace
 */
void vfio_pci_regions_freeze(struct vfio_pci_core_device *vdev)
{
	vdev->regions_frozen = true;
}
EXPORT_SYMBOL_IF_KUNIT(vfio_pci_regions_freeze);

/*
 * Remove what is the last of its driver, or of all that override a region.  The
 * region of a migration comes after those of drivers that are closed before it.
 */
static void vfio_pci_region_remove(struct vfio_pci_region *region)
{
	struct vfio_pci_core_device *vdev = region->vdev;

	if (region->lower)
		vdev->regions[region->index] = region->lower;
	else
		vdev->num_regions = min(vdev->num_regions, region->index);

	if (region->ops->release)
		region->ops->release(region);
	kvfree(region->areas);
	kfree(region);
}

/**
 * vfio_pci_regions_free_vendor() - release the regions of a vendor driver
 * @dev: the device, and the last vendor driver of it that has regions
 */
void vfio_pci_regions_free_vendor(struct vfio_pci_vendor_device *dev)
{
	struct vfio_pci_region *region;

	while (!list_empty(&dev->regions)) {
		region = list_last_entry(&dev->regions, struct vfio_pci_region,
					 node);
		list_del(&region->node);
		vfio_pci_region_remove(region);
	}
}

/**
 * vfio_pci_regions_free() - release all regions, and the table
 * @vdev: the device, which userspace has no access to; nothing is done if it
 *	  has no region table
 */
void vfio_pci_regions_free(struct vfio_pci_core_device *vdev)
{
	struct vfio_pci_region **regions = vdev->regions;

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
 * vfio_pci_regions_append() - let a region have the next free index
 * @vdev: the device, whose region table is not frozen
 * @region: the region
 *
 * Return: 0, or -ENOMEM.
 */
int vfio_pci_regions_append(struct vfio_pci_core_device *vdev,
			    struct vfio_pci_region *region)
{
	struct vfio_pci_region **regions;

	regions = krealloc_array(vdev->regions, vdev->num_regions + 1,
				 sizeof(*regions), GFP_KERNEL_ACCOUNT);
	if (!regions)
		return -ENOMEM;

	region->vdev = vdev;
	region->index = vdev->num_regions;
	region->has_caps = true;
	region->has_type = true;

	regions[vdev->num_regions++] = region;
	vdev->regions = regions;

	return 0;
}

/**
 * vfio_pci_core_register_dev_region() - add a device specific region
 * @vdev: the device, which is being opened: after vfio_pci_core_enable() and
 *	  before vfio_pci_core_open_vendors() and vfio_pci_core_finish_enable()
 * @type: VFIO_REGION_TYPE_*, or a PCI vendor id with
 *	  VFIO_REGION_TYPE_PCI_VENDOR_TYPE
 * @subtype: VFIO_REGION_SUBTYPE_* of the @type
 * @ops: what serves the region
 * @size: size of the region in bytes
 * @flags: VFIO_REGION_INFO_FLAG_READ, _WRITE and _MMAP, as reported to the user
 * @data: for the use of @ops, to be freed by its release operation
 *
 * The region gets the next free index, and the user finds it by its type.  On
 * success the core calls @ops->release exactly once, when the device is closed
 * or fails to open; on failure @data stays with the caller.
 *
 * Context: Process context, may sleep.
 * Return: 0, -ENOMEM, -EINVAL if the device is not enabled or there are no
 * @ops, -EBUSY if it is open already or vendor drivers have been asked.
 */
int vfio_pci_core_register_dev_region(struct vfio_pci_core_device *vdev,
				      unsigned int type, unsigned int subtype,
				      const struct vfio_pci_regops *ops,
				      size_t size, u32 flags, void *data)
{
	struct vfio_pci_region *region;
	int ret;

	if (!vdev->regions || !ops)
		return -EINVAL;
	if (vdev->regions_frozen || vdev->vendors_asked)
		return -EBUSY;

	region = kzalloc_obj(*region, GFP_KERNEL_ACCOUNT);
	if (!region)
		return -ENOMEM;

	region->type = type;
	region->subtype = subtype;
	region->ops = ops;
	region->size = size;
	region->flags = flags;
	region->data = data;
	region->width = sizeof(u64);

	ret = vfio_pci_regions_append(vdev, region);
	if (ret)
		kfree(region);

	return ret;
}
EXPORT_SYMBOL_GPL(vfio_pci_core_register_dev_region);
