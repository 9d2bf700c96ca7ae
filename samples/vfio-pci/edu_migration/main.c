// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sample vendor driver: live migration of QEMU's educational device, edu
 *
 * Read vfio_pci_edu.c first, which shows what a vendor driver is.  This one lets
 * userspace move a device to another machine: it says how the device is halted,
 * and what its state is made of.  vfio-pci does the rest.
 *
 * A device that is made for it saves and loads its state by itself.  This one is
 * not, so each part of its state has a way of its own here:
 *
 * - Registers that can be read and written: they are.
 * - The factorial, written as n and read as n!: which n that was can be told
 *   from n!, so it is computed again.  While the device computes, the register
 *   still has n.
 * - Interrupts that are pending: they are raised again, by a register for that.
 *   The guest may see one twice, but never loses one.
 * - The buffer, which only DMA reaches: we watch transfers start, and so know
 *   from where in memory each byte has come.  They are done again.
 *
 * All of this is sent once the device has been halted.  What is sent before, as
 * it runs, is which revision of the device it is.
 *
 * What is done to the buffer has limits.  Of what we can know we take care: a state that
 * would get lost is not saved.  But a guest that has changed the memory since
 * it started a transfer finds the new contents in the buffer, as would one that
 * had started it later; and so does one whose IOMMU leads elsewhere by now.
 *
 * The device: docs/specs/edu.rst of QEMU.
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
 * Operation run.  A state that was loaded is given to the device only now: its
 * config space, interrupts and memory are as they were where it comes from.
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

static const struct vfio_pci_migration_ops edu_migration_ops = {
	.version	= 1,
	.min_version	= 1,
	.stop		= edu_halt,
	.quiesce	= edu_halt,
	.run		= edu_run,
	.size		= edu_size,
	.save		= edu_save,
	.load		= edu_load,
	.load_done	= edu_load_done,
	.reset		= edu_reset,
	.precopy_start	= edu_early_start,
	.precopy_pending = edu_early_pending,
	.precopy_save	= edu_early_save,
	.precopy_load	= edu_early_load,
	.log_start	= edu_log_start,
	.log_sync	= edu_log_sync,
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

	/* There may be a transfer of who had the device before */
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

/* On top of vfio_pci_edu, if that is there: it need not know of us, nor we of it */
static struct vfio_pci_vendor_driver edu_driver = {
	.name		= "vfio_pci_edu_migration",
	.id_table	= edu_migration_ids,
	.priority	= 1,
	.open		= edu_open,
	.close		= edu_close,
	.migration	= &edu_migration_ops,
};

module_vfio_pci_vendor_driver(edu_driver);

MODULE_VFIO_PCI_VENDOR_ALIAS(1234, 11E8);
MODULE_VFIO_PCI_VENDOR_TABLE(edu_migration_ids);
MODULE_DESCRIPTION("Sample vfio-pci vendor driver that migrates QEMU's edu device");
MODULE_LICENSE("GPL");
