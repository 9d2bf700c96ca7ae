// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sample vendor driver: live migration of QEMU's educational device, edu
 *
 * Read vfio_pci_edu.c first: it introduces vendor drivers.  This driver lets
 * userspace migrate a device to another machine.  It halts the device, saves
 * its state and loads it.  vfio-pci implements the migration protocols.
 *
 * edu has no support for migration, so the driver rebuilds each part of the
 * state in its own way:
 *
 * - The driver copies registers that it can read and write.
 * - The factorial register takes n and returns n!.  The driver finds n from n!,
 *   and the destination computes it again.  While the device computes, the
 *   register still holds n.
 * - The driver raises pending interrupts again by the interrupt raise register.
 *   The guest may see an interrupt twice, but never loses one.
 * - Only DMA reaches the buffer.  The driver records the source address of each
 *   byte, and the destination repeats the transfers.
 *
 * The driver sends all of this after the device is halted.  While the device
 * runs, the driver sends only the revision of the device.
 *
 * The buffer has limits.  The driver refuses to save contents that the
 * destination cannot restore.  But the guest may change the memory or the IOMMU
 * mapping after a transfer.  Then the buffer of the destination has the new
 * contents.
 *
 * See docs/specs/edu.rst in QEMU for the device.
 */

#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/vfio_pci_migration.h>
#include <linux/vfio_pci_regops.h>

#include "edu.h"

/*
 * Operation run.  Restore a loaded state only now: userspace has restored
 * config space, interrupts and memory by this time.
 */
static int edu_run(struct vfio_pci_vendor_device *dev)
{
	struct edu *edu = dev->data;
	int ret;

	guard(edu)(edu);

	ret = edu->restore ? edu_restore(edu) : edu_resume(edu);
	if (!ret)
		edu->halted = false;

	return ret;
}

static void edu_reset(struct vfio_pci_vendor_device *dev)
{
	struct edu *edu = dev->data;

	set_bit(0, &edu->was_reset);
}

static const struct vfio_pci_precopy_ops edu_precopy_ops = {
	.pending	= edu_early_pending,
	.save		= edu_early_save,
	.load		= edu_early_load,
};

static const struct vfio_pci_dma_log_ops edu_log_ops = {
	.start		= edu_log_start,
	.sync		= edu_log_sync,
};

static const struct vfio_pci_migration_ops edu_migration_ops = {
	.version	= 1,
	.min_version	= 1,
	.stop		= edu_halt,
	.quiesce	= edu_halt,
	.run		= edu_run,
	.begin		= edu_begin,
	.size		= edu_size,
	.save		= edu_save,
	.load		= edu_load,
	.load_done	= edu_load_done,
	.reset		= edu_reset,
	.precopy	= &edu_precopy_ops,
	.log		= &edu_log_ops,
};

static int edu_open(struct vfio_pci_vendor_device *dev)
{
	struct edu *edu;
	u64 id, command;
	int ret;

	ret = vfio_pci_vendor_read_bar(dev, 0, EDU_IDENTIFICATION, 4, &id);
	if (ret)
		return ret;

	if ((id & 0xffff) != 0x00ed)
		return -ENODEV;

	edu = kvzalloc_obj(*edu, GFP_KERNEL_ACCOUNT);
	if (!edu)
		return -ENOMEM;

	edu->dev = dev;
	edu->identification = id;
	mutex_init(&edu->lock);
	memset64(edu->origin, EDU_UNFILLED, EDU_BUFFER_SIZE);

	/* A transfer of the previous user may still run */
	ret = edu_wait(edu, EDU_DMA_COMMAND, EDU_DMA_START) ?:
	      edu_read(edu, EDU_DMA_COMMAND, &command);
	if (ret)
		goto err_free;
	edu->command = command;

	ret = edu_trap(edu);
	if (ret)
		goto err_free;

	dev->data = edu;

	return 0;

err_free:
	kvfree(edu);
	return ret;
}

static void edu_close(struct vfio_pci_vendor_device *dev)
{
	kvfree(dev->data);
}

static const struct pci_device_id edu_migration_ids[] = {
	{ PCI_DEVICE(EDU_VENDOR, EDU_DEVICE) },
	{}
};

/* The priority puts this driver above vfio_pci_edu; both also work alone */
static const struct vfio_pci_vendor_driver edu_driver = {
	.name		= "vfio_pci_edu_migration",
	.id_table	= edu_migration_ids,
	.priority	= 1,
	.open		= edu_open,
	.close		= edu_close,
	.migration	= &edu_migration_ops,
};

module_vfio_pci_vendor_driver(edu_driver);

MODULE_DEVICE_TABLE(vfio_pci_vendor, edu_migration_ids);
MODULE_DESCRIPTION("Sample vfio-pci vendor driver that migrates QEMU's edu device");
MODULE_LICENSE("GPL");
