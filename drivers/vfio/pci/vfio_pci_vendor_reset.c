// SPDX-License-Identifier: GPL-2.0-only
/*
 * VFIO PCI reset callbacks of vendor drivers
 *
 * The core calls reset_done exactly once after each reset_prepare, even if
 * userspace opens or closes the device in between.
 */

#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/srcu.h>
#include <linux/vfio_pci_core.h>
#include <linux/wait.h>
#include <kunit/visibility.h>

#include "vfio_pci_mig.h"
#include "vfio_pci_priv.h"

/* Call with vendors_lock held */
static void vfio_pci_vendor_prepare(struct vfio_pci_vendor *vendor, u8 source)
{
	struct vfio_pci_vendor_device *dev = &vendor->dev;

	/* The open or close callback is running, and may reset the device */
	if (vendor->busy) {
		if (dev->vdev->vendors_task != current)
			vendor->missed_reset = true;
		return;
	}

	/* From here on, the core begins no migration operation */
	if (vendor->migration)
		vfio_pci_mig_reset_prepare(vendor->migration);
	if (!vendor->in_reset && dev->driver->reset_prepare)
		dev->driver->reset_prepare(dev);
	vendor->in_reset |= source;
}

/* Call with vendors_lock held */
static void vfio_pci_vendor_done(struct vfio_pci_vendor *vendor, u8 source)
{
	struct vfio_pci_vendor_device *dev = &vendor->dev;

	if (!(vendor->in_reset & source))
		return;
	vendor->in_reset &= ~source;
	if (vendor->in_reset)
		return;

	if (vendor->migration)
		vfio_pci_mig_reset(vendor->migration);
	if (dev->driver->reset_done)
		dev->driver->reset_done(dev);
	if (vendor->migration)
		vfio_pci_mig_reset_done(vendor->migration);
}

/**
 * vfio_pci_vendors_reset_prepare() - call reset_prepare of vendor drivers
 * @vdev: the device
 * @source: VFIO_PCI_IN_RESET or VFIO_PCI_IN_RECOVERY
 *
 * If both sources overlap, the drivers get one pair of callbacks.
 */
void vfio_pci_vendors_reset_prepare(struct vfio_pci_core_device *vdev,
				    u8 source)
{
	struct vfio_pci_vendor *vendor;

	guard(mutex)(&vdev->vendors_lock);

	WRITE_ONCE(vdev->in_reset, vdev->in_reset | source);
	list_for_each_entry_reverse(vendor, &vdev->vendors, node)
		vfio_pci_vendor_prepare(vendor, source);
}
EXPORT_SYMBOL_IF_KUNIT(vfio_pci_vendors_reset_prepare);

/**
 * vfio_pci_vendors_reset_done() - call reset_done of vendor drivers
 * @vdev: the device
 * @source: VFIO_PCI_IN_RESET or VFIO_PCI_IN_RECOVERY
 */
void vfio_pci_vendors_reset_done(struct vfio_pci_core_device *vdev, u8 source)
{
	struct vfio_pci_vendor *vendor;

	guard(mutex)(&vdev->vendors_lock);

	/* A recovery can end without a reset */
	if (source == VFIO_PCI_IN_RESET || vdev->in_reset & source)
		WRITE_ONCE(vdev->resets, vdev->resets + 1);
	WRITE_ONCE(vdev->in_reset, vdev->in_reset & ~source);
	list_for_each_entry(vendor, &vdev->vendors, node)
		vfio_pci_vendor_done(vendor, source);
	wake_up_all(&vdev->vendors_wait);
}
EXPORT_SYMBOL_IF_KUNIT(vfio_pci_vendors_reset_done);

/**
 * vfio_pci_vendors_settle() - finish pending resets before close or unbind
 * @vdev: the device
 *
 * Wait for a reset to complete.  Do not wait for error recovery: it needs the
 * device lock, which the caller may hold.  Call reset_done early instead.
 *
 * Context: May sleep.  Called with vendors_lock held; drops it while waiting.
 */
void vfio_pci_vendors_settle(struct vfio_pci_core_device *vdev)
{
	struct vfio_pci_vendor *vendor;

	lockdep_assert_held(&vdev->vendors_lock);

	while (vdev->in_reset & VFIO_PCI_IN_RESET) {
		mutex_unlock(&vdev->vendors_lock);
		wait_event(vdev->vendors_wait,
			   !(READ_ONCE(vdev->in_reset) & VFIO_PCI_IN_RESET));
		mutex_lock(&vdev->vendors_lock);
	}

	list_for_each_entry(vendor, &vdev->vendors, node)
		vfio_pci_vendor_done(vendor, VFIO_PCI_IN_RECOVERY);
}

/* Report the start or the end of a reset from an error handler */
static void vfio_pci_core_report_reset(struct pci_dev *pdev, u8 source,
				       void (*report)(struct vfio_pci_core_device *vdev,
						      u8 source))
{
	struct vfio_pci_core_device *vdev;

	guard(srcu)(&vfio_pci_drvdata_srcu);

	vdev = pci_get_drvdata(pdev);
	if (vdev)
		report(vdev, source);
}

/**
 * vfio_pci_core_reset_prepare() - report the start of a reset to vendor drivers
 * @pdev: a device of a driver built on vfio-pci-core
 *
 * Use this as the reset_prepare callback of struct pci_error_handlers.
 */
void vfio_pci_core_reset_prepare(struct pci_dev *pdev)
{
	/* The PCI core prints this for drivers without the callback */
	pci_warn(pdev, "resetting");
	vfio_pci_core_report_reset(pdev, VFIO_PCI_IN_RESET,
				   vfio_pci_vendors_reset_prepare);
}
EXPORT_SYMBOL_GPL(vfio_pci_core_reset_prepare);

/**
 * vfio_pci_core_reset_done() - report the end of a reset to vendor drivers
 * @pdev: a device of a driver built on vfio-pci-core
 *
 * Use this as the reset_done callback of struct pci_error_handlers.
 */
void vfio_pci_core_reset_done(struct pci_dev *pdev)
{
	pci_warn(pdev, "reset done");
	vfio_pci_core_report_reset(pdev, VFIO_PCI_IN_RESET,
				   vfio_pci_vendors_reset_done);
}
EXPORT_SYMBOL_GPL(vfio_pci_core_reset_done);

/**
 * vfio_pci_vendors_error() - report a PCI error to vendor drivers
 * @vdev: the device
 * @state: channel state from the PCI core
 *
 * A fatal error resets the link.  The end of the recovery ends this reset.
 */
void vfio_pci_vendors_error(struct vfio_pci_core_device *vdev,
			    pci_channel_state_t state)
{
	/* Userspace recovers the device by resets, which call reset_prepare */
	if (vfio_pci_zdev_mediated_recovery(vdev))
		return;

	if (state == pci_channel_io_frozen)
		vfio_pci_vendors_reset_prepare(vdev, VFIO_PCI_IN_RECOVERY);
	else if (state == pci_channel_io_perm_failure)
		vfio_pci_vendors_reset_done(vdev, VFIO_PCI_IN_RECOVERY);
}

/**
 * vfio_pci_core_aer_slot_reset() - report a bus reset to vendor drivers
 * @pdev: a device of a driver built on vfio-pci-core
 *
 * Use this as the slot_reset callback of struct pci_error_handlers.  After a
 * non-fatal error, the driver of another device on the bus may request a bus
 * reset.  The PCI core reports that reset only by this callback.
 *
 * Return: PCI_ERS_RESULT_NONE, which leaves the recovery to the other drivers.
 */
pci_ers_result_t vfio_pci_core_aer_slot_reset(struct pci_dev *pdev)
{
	vfio_pci_core_report_reset(pdev, VFIO_PCI_IN_RECOVERY,
				   vfio_pci_vendors_reset_prepare);

	return PCI_ERS_RESULT_NONE;
}
EXPORT_SYMBOL_GPL(vfio_pci_core_aer_slot_reset);

/**
 * vfio_pci_core_aer_resume() - report the end of a recovery to vendor drivers
 * @pdev: a device of a driver built on vfio-pci-core
 *
 * Use this as the resume callback of struct pci_error_handlers.
 */
void vfio_pci_core_aer_resume(struct pci_dev *pdev)
{
	vfio_pci_core_report_reset(pdev, VFIO_PCI_IN_RECOVERY,
				   vfio_pci_vendors_reset_done);
}
EXPORT_SYMBOL_GPL(vfio_pci_core_aer_resume);
