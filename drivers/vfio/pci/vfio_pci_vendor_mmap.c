// SPDX-License-Identifier: GPL-2.0-only
/*
 * VFIO PCI mappings of BARs by vendor drivers
 */

#include <linux/mm.h>
#include <linux/pci.h>
#include <linux/vfio.h>
#include <linux/vfio_pci_core.h>

#include "vfio_pci_priv.h"

/*
 * Check whether the vendor driver of @region may map a part of a BAR.  The
 * driver must not map bytes that another driver overrides, nor a page that a
 * smaller BAR shares with other resources.
 */
static bool vfio_pci_region_may_map_bar(struct vfio_pci_core_region *region,
					struct vm_area_struct *vma,
					unsigned int bar, u64 start, u64 size)
{
	struct vfio_pci_core_region *layer = region->vdev->regions[bar];

	for (; layer; layer = layer->lower) {
		if (layer->region.dev == region->region.dev)
			continue;
		if (!(layer->region.flags & VFIO_REGION_INFO_FLAG_MMAP) ||
		    !vfio_pci_region_mappable(layer, start, size))
			return false;
		if (vma->vm_flags & VM_MAYWRITE &&
		    !(layer->region.flags & VFIO_REGION_INFO_FLAG_WRITE))
			return false;
		/* The mmap operation may map memory other than the BAR */
		if (layer->lower && layer->ops.mmap != vfio_pci_lower_mmap)
			return false;
	}

	return true;
}

/**
 * vfio_pci_region_fault_bar() - handle a fault in a mapping of a part of a BAR
 * @region: the region of the vendor driver
 * @vmf: the fault
 * @order: page order of the fault
 * @bar: the BAR, 0 to 5
 * @offset: page-aligned byte offset of the region in the BAR
 *
 * Call this in the fault operation of a region whose mmap operation calls
 * vfio_pci_region_mmap_bar().
 *
 * Return: VM_FAULT_NOPAGE on success; VM_FAULT_FALLBACK if @order is too large;
 * VM_FAULT_SIGBUS if the page is not in the BAR, another vendor driver
 * overrides it, or memory decode is off.
 */
vm_fault_t vfio_pci_region_fault_bar(struct vfio_pci_region *region,
				     struct vm_fault *vmf, unsigned int order,
				     unsigned int bar, u64 offset)
{
	struct vfio_pci_core_region *core = to_core_region(region);
	struct pci_dev *pdev = core->vdev->pdev;
	unsigned long size = PAGE_SIZE << order;
	unsigned long addr = ALIGN_DOWN(vmf->address, size);
	u64 pos;

	if (bar >= PCI_STD_NUM_BARS || !PAGE_ALIGNED(offset))
		return VM_FAULT_SIGBUS;
	if (addr < vmf->vma->vm_start)
		return VM_FAULT_FALLBACK;

	pos = offset + vfio_pci_region_vma_offset(vmf->vma) +
	      (addr - vmf->vma->vm_start);
	if (pos + size > PAGE_ALIGN(pci_resource_len(pdev, bar)) ||
	    !vfio_pci_region_may_map_bar(core, vmf->vma, bar, pos, size))
		return order ? VM_FAULT_FALLBACK : VM_FAULT_SIGBUS;

	return vfio_pci_fault_phys(region, vmf, order,
				   pci_resource_start(pdev, bar) + offset);
}
EXPORT_SYMBOL_GPL(vfio_pci_region_fault_bar);

/**
 * vfio_pci_region_mmap_bar() - prepare a mapping of a part of a BAR
 * @region: the region of the vendor driver
 * @vma: the mapping
 * @bar: the BAR, 0 to 5
 *
 * Call this in the mmap operation of a region whose fault operation calls
 * vfio_pci_region_fault_bar().  The mapping has the same attributes as a
 * mapping of the BAR itself.  On x86 it is always uncached (UC-), because the
 * kernel mapping of the BAR has reserved this memory type.
 *
 * Return: 0 on success; -EINVAL if the device has no such memory BAR; or the
 * errno of the failed kernel mapping of the BAR.
 */
int vfio_pci_region_mmap_bar(struct vfio_pci_region *region,
			     struct vm_area_struct *vma, unsigned int bar)
{
	struct vfio_pci_core_device *vdev = to_core_region(region)->vdev;

	if (bar >= PCI_STD_NUM_BARS ||
	    !(pci_resource_flags(vdev->pdev, bar) & IORESOURCE_MEM) ||
	    !vdev->barmap[bar])
		return -EINVAL;
	if (IS_ERR(vdev->barmap[bar]))
		return PTR_ERR(vdev->barmap[bar]);

	vfio_pci_prepare_bar_vma(vma);

	return 0;
}
EXPORT_SYMBOL_GPL(vfio_pci_region_mmap_bar);
