/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Helpers for KUnit tests of vendor drivers
 */
#ifndef VFIO_PCI_KUNIT_H
#define VFIO_PCI_KUNIT_H

#include <kunit/test.h>
#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/vfio_pci_core.h>

#include "../vfio_pci_priv.h"

/* No real device has this id, so drivers of the tests open only test devices */
#define VFIO_PCI_KUNIT_VENDOR	0xfffe

/* Create a minimal device that vendor drivers can open */
static inline struct vfio_pci_core_device *
vfio_pci_kunit_device(struct kunit *test, u16 device)
{
	struct vfio_pci_core_device *vdev;

	vdev = kunit_kzalloc(test, sizeof(*vdev), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, vdev);
	vdev->pdev = kunit_kzalloc(test, sizeof(*vdev->pdev), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, vdev->pdev);

	vdev->pdev->vendor = VFIO_PCI_KUNIT_VENDOR;
	vdev->pdev->device = device;
	mutex_init(&vdev->vendors_lock);
	INIT_LIST_HEAD(&vdev->vendors);
	init_waitqueue_head(&vdev->vendors_wait);

	return vdev;
}

/* Attach the registered vendor drivers and open the device */
static inline int vfio_pci_kunit_open(struct vfio_pci_core_device *vdev)
{
	int ret = vdev->vendors_bound ? vfio_pci_vendors_attach_late(vdev) :
					vfio_pci_vendors_bind(vdev);

	return ret ?: vfio_pci_core_open_vendors(vdev);
}

/* Close and unbind the device, in any state that a failed test leaves */
static inline void vfio_pci_kunit_close(struct vfio_pci_core_device *vdev)
{
	if (vdev->regions) {
		vfio_pci_vendors_close(vdev);
		vfio_pci_regions_free(vdev);
	}
	vfio_pci_vendors_unbind(vdev);
}

#endif /* VFIO_PCI_KUNIT_H */
