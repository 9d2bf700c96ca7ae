// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sample vendor driver: a BAR in device memory that firmware describes
 *
 * The CPU can access the memory of some devices at an address that is not in a
 * BAR.  The firmware describes it by properties of the device, for example in
 * ACPI:
 *
 *	Name (_DSD, Package () {
 *		ToUUID ("daffd814-6eba-4d8c-8a91-bc9bbf4aa301"),
 *		Package () {
 *			Package () { "devmem-base", 0x100000000 },
 *			Package () { "devmem-size", 0x2000000 }
 *		}
 *	})
 *
 * The driver gives this memory to userspace as BAR 4.  Userspace can read, write
 * and map it, also with huge pages, and export it as a dma-buf.
 *
 *	modprobe vfio_pci_devmem ids=1234:11e8
 */

#include <linux/log2.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/property.h>
#include <linux/slab.h>
#include <linux/vfio_pci_regops.h>

#define DEVMEM_BAR	4

static char *ids;
module_param(ids, charp, 0444);
MODULE_PARM_DESC(ids, "Devices with device memory, as for the parameter ids of vfio-pci");

static bool write_combine;
module_param(write_combine, bool, 0444);
MODULE_PARM_DESC(write_combine, "Map the memory write-combining instead of cached (default: false)");

static int devmem_bind(struct vfio_pci_vendor_device *dev)
{
	struct vfio_pci_devmem *devmem;
	u64 base, size;

	if (device_property_read_u64(&dev->pdev->dev, "devmem-base", &base) ||
	    device_property_read_u64(&dev->pdev->dev, "devmem-size", &size))
		return -ENODEV;

	if (!size || size > SIZE_MAX / 2 || base > PHYS_ADDR_MAX - size)
		return -EINVAL;

	devmem = kzalloc_obj(*devmem);
	if (!devmem)
		return -ENOMEM;

	devmem->phys = base;
	devmem->length = size;
	devmem->size = roundup_pow_of_two(size);
	devmem->write_combine = write_combine;
	dev->bind_data = devmem;

	return 0;
}

static void devmem_unbind(struct vfio_pci_vendor_device *dev)
{
	kfree(dev->bind_data);
}

static int devmem_open(struct vfio_pci_vendor_device *dev)
{
	return vfio_pci_vendor_override_devmem(dev, DEVMEM_BAR, dev->bind_data);
}

static const struct vfio_pci_vendor_driver devmem_driver = {
	.name		= KBUILD_MODNAME,
	.ids		= &ids,
	.bind		= devmem_bind,
	.unbind		= devmem_unbind,
	.open		= devmem_open,
};
module_vfio_pci_vendor_driver(devmem_driver);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Sample vfio-pci vendor driver for device memory that firmware describes");
