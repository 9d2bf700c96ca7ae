// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sample vendor driver: QEMU's educational device, edu
 *
 * A vendor driver extends vfio-pci for the devices that it supports.  It does
 * not bind a device.  vfio-pci loads this module when it binds an edu device.
 * The driver changes two things for userspace:
 *
 * - It adds a region that identifies the device and counts its DMA transfers.
 * - It refuses DMA transfers outside the device's own buffer.
 *
 * All other registers are unchanged.  Userspace can map all pages except the
 * page with the registers of the DMA engine.
 *
 * See docs/specs/edu.rst of QEMU for the registers.
 */

#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/slab.h>
#include <linux/vfio.h>
#include <linux/vfio_pci_regops.h>

#define EDU_VENDOR		0x1234
#define EDU_DEVICE		0x11e8

/* Registers in BAR 0 */
#define EDU_IDENTIFICATION	0x00
#define EDU_DMA			0x80
#define EDU_DMA_SOURCE		0x80
#define EDU_DMA_DESTINATION	0x88
#define EDU_DMA_COUNT		0x90
#define EDU_DMA_COMMAND		0x98
#define EDU_DMA_SIZE		0x20

#define EDU_DMA_START		BIT(0)
#define EDU_DMA_FROM_DEVICE	BIT(1)

/* The device's buffer in the address space of the DMA engine */
#define EDU_BUFFER		0x40000
#define EDU_BUFFER_SIZE		4096

/* Type, subtype and contents of the added region */
#define EDU_REGION_TYPE		(VFIO_REGION_TYPE_PCI_VENDOR_TYPE | EDU_VENDOR)
#define EDU_REGION_IDENTITY	1

struct edu_identity {
	char	name[8];
	__le32	major;
	__le32	minor;
	/* Number of DMA transfers */
	__le32	started;
	__le32	refused;
};

struct edu {
	struct vfio_pci_vendor_device	*dev;
	struct edu_identity		*identity;
	/* Protects the DMA registers between check and start of a transfer */
	struct mutex			dma_lock;
};

/* Check that the programmed transfer stays inside the buffer */
static int edu_check_transfer(struct edu *edu, u64 command)
{
	unsigned int inside = command & EDU_DMA_FROM_DEVICE ?
			      EDU_DMA_SOURCE : EDU_DMA_DESTINATION;
	u64 start, count;
	int ret;

	ret = vfio_pci_vendor_read_bar(edu->dev, 0, inside, 8, &start);
	if (ret)
		return ret;

	ret = vfio_pci_vendor_read_bar(edu->dev, 0, EDU_DMA_COUNT, 8, &count);
	if (ret)
		return ret;

	if (start < EDU_BUFFER || start > EDU_BUFFER + EDU_BUFFER_SIZE ||
	    count > EDU_BUFFER + EDU_BUFFER_SIZE - start)
		return -EPERM;

	return 0;
}

/* Handle a write to a register of the DMA engine */
static int edu_dma_write(const struct vfio_pci_range *range, u64 pos,
			 unsigned int width, u64 val)
{
	struct vfio_pci_region *lower = vfio_pci_region_lower(range->region);
	struct edu *edu = range->data;
	int ret;

	guard(mutex)(&edu->dma_lock);

	if (pos == EDU_DMA_COMMAND && val & EDU_DMA_START) {
		ret = edu_check_transfer(edu, val);
		if (ret == -EPERM)
			le32_add_cpu(&edu->identity->refused, 1);
		if (ret)
			return ret;

		le32_add_cpu(&edu->identity->started, 1);
	}

	return vfio_pci_region_write_reg(lower, pos, width, val);
}

/* Without a read handler, reads go to the device */
static const struct vfio_pci_range_ops edu_dma_ops = {
	.write	= edu_dma_write,
};

static int edu_open(struct vfio_pci_vendor_device *dev)
{
	struct edu_identity identity = { .name = "edu" };
	const struct vfio_pci_region_desc desc = {
		.type		= EDU_REGION_TYPE,
		.subtype	= EDU_REGION_IDENTITY,
		.size		= sizeof(identity),
		.flags		= VFIO_REGION_INFO_FLAG_READ,
	};
	struct edu *edu;
	int ret;
	u64 id;

	ret = vfio_pci_vendor_read_bar(dev, 0, EDU_IDENTIFICATION, 4, &id);
	if (ret)
		return ret;

	/* 0xRRrr00ed: RR is the major version, rr the minor version */
	if ((id & 0xffff) != 0x00ed)
		return -ENODEV;

	identity.major = cpu_to_le32(id >> 24);
	identity.minor = cpu_to_le32(id >> 16 & 0xff);

	edu = kzalloc_obj(*edu, GFP_KERNEL_ACCOUNT);
	if (!edu)
		return -ENOMEM;

	edu->dev = dev;
	mutex_init(&edu->dma_lock);

	/* If open fails, the core removes the region and the range */
	edu->identity = vfio_pci_vendor_add_memory(dev, &desc, &identity);
	if (IS_ERR(edu->identity)) {
		ret = PTR_ERR(edu->identity);
		goto err_free;
	}

	ret = vfio_pci_vendor_override_range(dev, VFIO_PCI_BAR0_REGION_INDEX,
					     EDU_DMA, EDU_DMA_SIZE,
					     &edu_dma_ops, edu);
	if (ret)
		goto err_free;

	dev->data = edu;

	return 0;

err_free:
	kfree(edu);
	return ret;
}

static void edu_close(struct vfio_pci_vendor_device *dev)
{
	kfree(dev->data);
}

static const struct pci_device_id edu_ids[] = {
	{ PCI_DEVICE(EDU_VENDOR, EDU_DEVICE) },
	{}
};

static const struct vfio_pci_vendor_driver edu_driver = {
	.name		= "vfio_pci_edu",
	.id_table	= edu_ids,
	.open		= edu_open,
	.close		= edu_close,
};

module_vfio_pci_vendor_driver(edu_driver);

MODULE_DEVICE_TABLE(vfio_pci_vendor, edu_ids);
MODULE_DESCRIPTION("Sample vfio-pci vendor driver for QEMU's edu device");
MODULE_LICENSE("GPL");
