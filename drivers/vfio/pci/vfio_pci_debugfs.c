// SPDX-License-Identifier: GPL-2.0-only
/*
 * VFIO PCI region table in debugfs
 */

#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/seq_file.h>
#include <linux/vfio.h>
#include <linux/vfio_pci_core.h>

#include "vfio_pci_priv.h"

static void vfio_pci_debugfs_name(struct seq_file *seq,
				  const struct vfio_pci_region *region)
{
	static const char *const names[VFIO_PCI_NUM_REGIONS] = {
		"bar0", "bar1", "bar2", "bar3", "bar4", "bar5", "rom",
		"config", "vga",
	};

	if (region->index < VFIO_PCI_NUM_REGIONS)
		seq_puts(seq, names[region->index]);
	else
		seq_printf(seq, "%x:%x", region->type, region->subtype);
}

/* Show a driver of a region, or each of its ranges */
static void vfio_pci_debugfs_layer(struct seq_file *seq,
				   const struct vfio_pci_core_region *region)
{
	const struct vfio_pci_vendor_device *dev = region->region.dev;
	const struct vfio_pci_ranges *ranges = region->ranges;
	const char *name;
	unsigned int i;

	name = dev ? dev->driver->name :
		     dev_driver_string(&region->vdev->pdev->dev);
	if (!ranges) {
		seq_printf(seq, "  %s\n", name);
		return;
	}

	for (i = 0; i < ranges->nr; i++) {
		const struct vfio_pci_core_range *range = &ranges->range[i];

		seq_printf(seq, "  %s %#llx-%#llx reads %lu writes %lu\n", name,
			   range->range.start, range->range.end - 1,
			   atomic_long_read(&range->reads),
			   atomic_long_read(&range->writes));
	}
}

static void vfio_pci_debugfs_region(struct seq_file *seq,
				    const struct vfio_pci_core_region *core)
{
	const struct vfio_pci_region *region = &core->region;
	unsigned int i;

	seq_printf(seq, "%u ", region->index);
	vfio_pci_debugfs_name(seq, region);
	seq_printf(seq, " size %#llx flags %c%c%c reads %lu writes %lu",
		   region->size,
		   region->flags & VFIO_REGION_INFO_FLAG_READ ? 'r' : '-',
		   region->flags & VFIO_REGION_INFO_FLAG_WRITE ? 'w' : '-',
		   region->flags & VFIO_REGION_INFO_FLAG_MMAP ? 'm' : '-',
		   atomic_long_read(&core->reads),
		   atomic_long_read(&core->writes));

	for (i = 0; core->sparse && i < core->sparse->nr_areas; i++) {
		const struct vfio_region_sparse_mmap_area *area =
			&core->sparse->areas[i];

		seq_printf(seq, "%s%#llx-%#llx", i ? "," : " maps ",
			   area->offset,
			   PAGE_ALIGN(area->offset + area->size) - 1);
	}
	seq_putc(seq, '\n');

	for (; core; core = core->lower)
		vfio_pci_debugfs_layer(seq, core);
}

/**
 * vfio_pci_regions_show() - show the region table of a device
 * @seq: the file
 * @vdev: the device
 *
 * Return: 0 (always).
 */
int vfio_pci_regions_show(struct seq_file *seq,
			  struct vfio_pci_core_device *vdev)
{
	unsigned int i;

	/* Prevent an open or close of the device */
	guard(mutex)(&vdev->vdev.dev_set->lock);

	for (i = 0; i < vdev->num_regions; i++)
		vfio_pci_debugfs_region(seq, vdev->regions[i]);

	return 0;
}
