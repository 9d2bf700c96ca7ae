// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sample vendor driver: QEMU's educational device, edu
 *
 * A vendor driver extends vfio-pci for the devices that it knows.  Nobody binds
 * anything to it: whoever binds an edu device to vfio-pci has this module
 * loaded, and finds one region more than the device itself has.
 *
 * The device: docs/specs/edu.rst of QEMU.
 */

#include <linux/module.h>
#include <linux/pci.h>
#include <linux/vfio.h>
#include <linux/vfio_pci_regops.h>

#define EDU_VENDOR		0x1234
#define EDU_DEVICE		0x11e8

/* The registers, in BAR 0 */
#define EDU_IDENTIFICATION	0x00

/* The region that we add, by which userspace knows it, and what is in it */
#define EDU_REGION_TYPE		(VFIO_REGION_TYPE_PCI_VENDOR_TYPE | EDU_VENDOR)
#define EDU_REGION_IDENTITY	1

struct edu_identity {
	char	name[8];
	__le32	major;
	__le32	minor;
};

/*
 * A device is being opened.  Return -ENODEV for one that is not ours after
 * all, and it is opened as if we did not exist.
 */
static int edu_open(struct vfio_pci_vendor_device *dev)
{
	struct edu_identity identity = { .name = "edu" };
	void *memory;
	u64 id;
	int ret;

	ret = vfio_pci_vendor_read_bar(dev, 0, EDU_IDENTIFICATION, 4, &id);
	if (ret)
		return ret;

	/* 0xRRrr00ed, where RR is the major and rr the minor version */
	if ((id & 0xffff) != 0x00ed)
		return -ENODEV;

	identity.major = cpu_to_le32(id >> 24);
	identity.minor = cpu_to_le32(id >> 16 & 0xff);

	/* What is added here is gone when the device is closed */
	memory = vfio_pci_vendor_add_memory(dev, EDU_REGION_TYPE,
					    EDU_REGION_IDENTITY, &identity,
					    sizeof(identity),
					    VFIO_REGION_INFO_FLAG_READ);

	return PTR_ERR_OR_ZERO(memory);
}

static const struct pci_device_id edu_ids[] = {
	{ PCI_DEVICE(EDU_VENDOR, EDU_DEVICE) },
	{}
};

static struct vfio_pci_vendor_driver edu_driver = {
	.name		= "vfio_pci_edu",
	.id_table	= edu_ids,
	.open		= edu_open,
};

module_vfio_pci_vendor_driver(edu_driver);

/* As edu_ids: let the module be loaded when such a device is bound */
MODULE_VFIO_PCI_VENDOR_ALIAS(1234, 11E8);
MODULE_DESCRIPTION("Sample vfio-pci vendor driver for QEMU's edu device");
MODULE_LICENSE("GPL");
