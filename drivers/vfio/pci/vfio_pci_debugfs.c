// SPDX-License-Identifier: GPL-2.0-only
/*
 * VFIO PCI region table in debugfs
 */

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

/* One that overrides others, or that of the device */
static void vfio_pci_debugfs_layer(struct seq_file *seq,
				   const struct vfio_pci_region *region)
{
	const struct vfio_pci_ranges *ranges = region->ranges;
	unsigned int i;

	seq_printf(seq, "  %s", region->vendor ? region->vendor->driver->name :
			dev_driver_string(&region->vdev->pdev->dev));

	for (i = 0; ranges && i < ranges->nr; i++)
		seq_printf(seq, "%c%#llx-%#llx", i ? ',' : ' ',
			   ranges->range[i].start, ranges->range[i].end - 1);
	if (ranges)
		seq_printf(seq, " reads %lu writes %lu",
			   atomic_long_read(&ranges->reads),
			   atomic_long_read(&ranges->writes));
	seq_putc(seq, '\n');
}

static void vfio_pci_debugfs_region(struct seq_file *seq,
				    const struct vfio_pci_region *region)
{
	unsigned int i;

	seq_printf(seq, "%u ", region->index);
	vfio_pci_debugfs_name(seq, region);
	seq_printf(seq, " size %#llx flags %c%c%c reads %lu writes %lu",
		   region->size,
		   region->flags & VFIO_REGION_INFO_FLAG_READ ? 'r' : '-',
		   region->flags & VFIO_REGION_INFO_FLAG_WRITE ? 'w' : '-',
		   region->flags & VFIO_REGION_INFO_FLAG_MMAP ? 'm' : '-',
		   atomic_long_read(&region->reads),
		   atomic_long_read(&region->writes));

	for (i = 0; i < region->nr_areas; i++)
		seq_printf(seq, "%s%#llx-%#llx", i ? "," : " maps ",
			   region->areas[i].offset,
			   region->areas[i].offset + region->areas[i].size - 1);
	seq_putc(seq, '\n');

	for (; region; region = region->lower)
		vfio_pci_debugfs_layer(seq, region);
}

/**
 * vfio_pci_regions_show() - show the region table of a device
 * @seq: where to
 * @vdev: the device
 *
 * Return: 0.
 */
int vfio_pci_regions_show(struct seq_file *seq,
			  struct vfio_pci_core_device *vdev)
{
	unsigned int i;

	/* Keeps the device from being opened and closed */
	guard(mutex)(&vdev->vdev.dev_set->lock);

	for (i = 0; i < vdev->num_regions; i++)
		vfio_pci_debugfs_region(seq, vdev->regions[i]);

	return 0;
}
