// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sample vendor driver: QEMU's educational device, edu
 *
 * A vendor driver extends vfio-pci for the devices that it knows.  Nobody binds
 * anything to it: whoever binds an edu device to vfio-pci has this module
 * loaded, and finds two things that the device itself does not have:
 *
 * - a region that tells what the device is, and counts its DMA transfers;
 * - a DMA engine that cannot be told to reach outside of the device's own
 *   buffer.  All other registers are the device's, and can be mapped but for
 *   the page that those of the DMA engine are in.
 *
 * The device: docs/specs/edu.rst of QEMU.
 */

#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/slab.h>
#include <linux/vfio.h>
#include <linux/vfio_pci_regops.h>

#define EDU_VENDOR		0x1234
#define EDU_DEVICE		0x11e8

/* The registers, in BAR 0 */
#define EDU_IDENTIFICATION	0x00
#define EDU_DMA			0x80
#define EDU_DMA_SOURCE		0x80
#define EDU_DMA_DESTINATION	0x88
#define EDU_DMA_COUNT		0x90
#define EDU_DMA_COMMAND		0x98
#define EDU_DMA_SIZE		0x20

#define EDU_DMA_START		BIT(0)
#define EDU_DMA_FROM_DEVICE	BIT(1)

/* The buffer of the device, as its DMA engine sees it */
#define EDU_BUFFER		0x40000
#define EDU_BUFFER_SIZE		4096

/* The region that we add, by which userspace knows it, and what is in it */
#define EDU_REGION_TYPE		(VFIO_REGION_TYPE_PCI_VENDOR_TYPE | EDU_VENDOR)
#define EDU_REGION_IDENTITY	1

struct edu_identity {
	char	name[8];
	__le32	major;
	__le32	minor;
	/* DMA transfers that were started, and that were refused */
	__le32	started;
	__le32	refused;
};

/* What we know of a device while it is open */
struct edu {
	struct vfio_pci_vendor_device	*dev;
	struct edu_identity		*identity;
	/* Lets nobody change a transfer between our look and its start */
	struct mutex			dma_lock;
};

/* Whether the registers describe a transfer that stays inside */
static int edu_check_transfer(struct edu *edu, u8 command)
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

/*
 * Userspace writes a register of the DMA engine: 1, 2, 4 or 8 bytes of it,
 * little endian.  Having no read handler, we leave reads to the device.
 */
static int edu_dma_write(const struct vfio_pci_range *range, const void *buf,
			 size_t count, u64 pos)
{
	struct edu *edu = range->data;
	const u8 *command = buf;
	int ret;

	guard(mutex)(&edu->dma_lock);

	/* What we lay over is the device itself */
	if (pos != EDU_DMA_COMMAND || !(*command & EDU_DMA_START))
		return vfio_pci_lower_write_buf(range->region, buf, count, pos);

	ret = edu_check_transfer(edu, *command);
	if (ret == -EPERM)
		le32_add_cpu(&edu->identity->refused, 1);
	if (ret)
		return ret;

	le32_add_cpu(&edu->identity->started, 1);

	return vfio_pci_lower_write_buf(range->region, buf, count, pos);
}

static const struct vfio_pci_range_ops edu_dma_ops = {
	.write = edu_dma_write,
};

/*
 * A device is being opened.  Return -ENODEV for one that is not ours after
 * all, and it is opened as if we did not exist.
 */
static int edu_open(struct vfio_pci_vendor_device *dev)
{
	struct edu_identity identity = { .name = "edu" };
	struct edu *edu;
	int ret;
	u64 id;

	ret = vfio_pci_vendor_read_bar(dev, 0, EDU_IDENTIFICATION, 4, &id);
	if (ret)
		return ret;

	/* 0xRRrr00ed, where RR is the major and rr the minor version */
	if ((id & 0xffff) != 0x00ed)
		return -ENODEV;

	identity.major = cpu_to_le32(id >> 24);
	identity.minor = cpu_to_le32(id >> 16 & 0xff);

	edu = kzalloc_obj(*edu, GFP_KERNEL_ACCOUNT);
	if (!edu)
		return -ENOMEM;

	edu->dev = dev;
	mutex_init(&edu->dma_lock);

	/* What is added and overridden here is as before on close, or failure */
	edu->identity = vfio_pci_vendor_add_memory(dev, EDU_REGION_TYPE,
						   EDU_REGION_IDENTITY,
						   &identity, sizeof(identity),
						   VFIO_REGION_INFO_FLAG_READ);
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

static struct vfio_pci_vendor_driver edu_driver = {
	.name		= "vfio_pci_edu",
	.id_table	= edu_ids,
	.open		= edu_open,
	.close		= edu_close,
};

module_vfio_pci_vendor_driver(edu_driver);

/* As edu_ids: let the module be loaded when such a device is bound */
MODULE_VFIO_PCI_VENDOR_ALIAS(1234, 11E8);
MODULE_VFIO_PCI_VENDOR_TABLE(edu_ids);
MODULE_DESCRIPTION("Sample vfio-pci vendor driver for QEMU's edu device");
MODULE_LICENSE("GPL");
