// SPDX-License-Identifier: GPL-2.0-only
/*
 * Vendor driver: live migration of a virtual function of an Intel 82576
 *
 * The driver stops the queues, copies the registers, and writes them on the
 * destination.  Two parts of the state cannot be read:
 *
 * - The settings of the VF in the PF, for example the MAC address and the VLANs.
 *   The driver records the messages of the guest to the PF.  The destination
 *   sends them to its own PF.
 * - Pending interrupts.  The destination raises the unmasked vectors of the
 *   queues once, and that of the mailbox if a message is unread.
 *
 * The MAC address and other settings by the administrator must be the same on
 * both hosts.  The transmit context of a queue is not part of the state.  A guest
 * driver that sets the context with each packet, like igbvf, does not notice.
 */

#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/slab.h>
#include <linux/vfio.h>
#include <linux/vfio_pci_core.h>
#include <linux/vfio_pci_migration.h>
#include <linux/vfio_pci_regops.h>

#include "igbvf.h"

static bool log = true;
module_param(log, bool, 0444);
MODULE_PARM_DESC(log, "Log the memory that the device writes, so that a migration copies only this memory again; traps each write to a receive queue's tail (default: true)");

/*
 * The holder of the lock may wait for the end of a reset, so the reset callback
 * does not take the lock.  It sets a flag, and the next holder handles it.
 */
void igbvf_lock(struct igbvf *igbvf)
{
	unsigned int q;

	mutex_lock(&igbvf->lock);

	if (!test_and_clear_bit(0, &igbvf->was_reset))
		return;

	/* A reset disables the queues, and the PF drops settings of the VF */
	igbvf->stopped = false;
	igbvf->loaded = false;
	for (q = 0; q < IGBVF_NR_RX; q++)
		igbvf->rings[q].enabled = false;
	igbvf->unread = 0;
	igbvf_mailbox_reset(igbvf);
}

void igbvf_unlock(struct igbvf *igbvf)
{
	mutex_unlock(&igbvf->lock);
}

/* Access a register of the device, below the overrides of all vendor drivers */
int igbvf_read(struct igbvf *igbvf, unsigned int reg, u32 *val)
{
	u64 wide;
	int ret;

	ret = vfio_pci_vendor_read_bar(igbvf->dev, IGBVF_BAR, reg, 4, &wide);
	if (!ret)
		*val = wide;

	return ret;
}

int igbvf_write(struct igbvf *igbvf, unsigned int reg, u32 val)
{
	return vfio_pci_vendor_write_bar(igbvf->dev, IGBVF_BAR, reg, 4, val);
}

/* Operations stop and quiesce: the same, because only the queues do DMA */
static int igbvf_stop(struct vfio_pci_vendor_device *dev)
{
	struct igbvf *igbvf = dev->data;
	int ret;

	guard(igbvf)(igbvf);

	if (igbvf->stopped)
		return 0;

	ret = igbvf_stop_queues(igbvf);
	if (!ret)
		igbvf->stopped = true;

	return ret;
}

static int igbvf_run(struct vfio_pci_vendor_device *dev)
{
	struct igbvf *igbvf = dev->data;
	int ret;

	guard(igbvf)(igbvf);

	if (!igbvf->stopped)
		return 0;

	ret = igbvf_run_queues(igbvf);
	if (!ret) {
		igbvf->stopped = false;
		igbvf->loaded = false;
	}

	return ret;
}

static u32 igbvf_abilities(struct vfio_pci_vendor_device *dev)
{
	return log ? U32_MAX : ~VFIO_PCI_MIGRATION_LOG;
}

static const struct vfio_pci_migration_ops igbvf_migration_ops = {
	.version	= 1,
	.min_version	= 1,
	/* All 82576 VFs are alike; the subsystem ids identify the card */
	.ignore_ids	= VFIO_PCI_MIGRATION_ANY_SUBSYSTEM,
	.abilities	= igbvf_abilities,
	.stop		= igbvf_stop,
	.quiesce	= igbvf_stop,
	.run		= igbvf_run,
	.begin		= igbvf_begin,
	.size		= igbvf_size,
	.save		= igbvf_save,
	.load		= igbvf_load,
	.load_done	= igbvf_load_done,
	.log		= &igbvf_log_ops,
};

static int igbvf_open(struct vfio_pci_vendor_device *dev)
{
	struct igbvf *igbvf;
	unsigned int i;
	int ret;

	if (pci_resource_len(dev->pdev, IGBVF_BAR) < IGBVF_BAR_SIZE)
		return -ENODEV;

	igbvf = kzalloc_obj(*igbvf, GFP_KERNEL_ACCOUNT);
	if (!igbvf)
		return -ENOMEM;

	igbvf->dev = dev;
	igbvf->can_log = log;
	mutex_init(&igbvf->ring_lock);
	mutex_init(&igbvf->lock);

	/* Userspace sees statistics that start at 0 at each open */
	for (i = 0; i < IGBVF_NR_STATS; i++) {
		ret = igbvf_read(igbvf, igbvf_stats[i], &igbvf->stats[i]);
		if (ret)
			goto err_free;
		igbvf->stats[i] = -igbvf->stats[i];
	}

	ret = igbvf_mailbox_trap(igbvf);
	if (!ret && log)
		ret = igbvf_log_trap(igbvf);
	if (ret)
		goto err_free;

	dev->data = igbvf;

	return 0;

err_free:
	kfree(igbvf);
	return ret;
}

static void igbvf_close(struct vfio_pci_vendor_device *dev)
{
	struct igbvf *igbvf = dev->data;

	igbvf_log_free(igbvf);
	kvfree(igbvf->data);
	kfree(igbvf);
}

static void igbvf_reset_done(struct vfio_pci_vendor_device *dev)
{
	struct igbvf *igbvf = dev->data;

	/* The device may be closed */
	if (igbvf)
		set_bit(0, &igbvf->was_reset);
}

static const struct pci_device_id igbvf_ids[] = {
	{ PCI_DEVICE(PCI_VENDOR_ID_INTEL, 0x10ca) },
	{}
};
MODULE_DEVICE_TABLE(vfio_pci_vendor, igbvf_ids);

static const struct vfio_pci_vendor_driver igbvf_driver = {
	.name		= "vfio-pci-igbvf",
	.id_table	= igbvf_ids,
	.open		= igbvf_open,
	.close		= igbvf_close,
	.reset_done	= igbvf_reset_done,
	.migration	= &igbvf_migration_ops,
};

module_vfio_pci_vendor_driver(igbvf_driver);

MODULE_DESCRIPTION("vfio-pci vendor driver that migrates virtual functions of the Intel 82576");
MODULE_LICENSE("GPL");
