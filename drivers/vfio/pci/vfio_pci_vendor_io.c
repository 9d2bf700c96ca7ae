// SPDX-License-Identifier: GPL-2.0-only
/*
 * VFIO PCI register access for vendor drivers
 */

#include <linux/io-64-nonatomic-lo-hi.h>
#include <linux/log2.h>
#include <linux/pci.h>
#include <linux/vfio_pci_core.h>

#include "vfio_pci_priv.h"

/* Where a register is, or an error pointer */
static void __iomem *vfio_pci_vendor_io(struct vfio_pci_vendor_device *dev,
					unsigned int bar, u64 offset,
					unsigned int width, bool *is_mem)
{
	u64 size;

	if (bar >= PCI_STD_NUM_BARS || !is_power_of_2(width) || width > 8 ||
	    !IS_ALIGNED(offset, width))
		return IOMEM_ERR_PTR(-EINVAL);

	size = pci_resource_len(dev->pdev, bar);
	if (size < width || offset > size - width)
		return IOMEM_ERR_PTR(-EINVAL);

	*is_mem = pci_resource_flags(dev->pdev, bar) & IORESOURCE_MEM;

	return IS_ERR(dev->vdev->barmap[bar]) ? dev->vdev->barmap[bar] :
						dev->vdev->barmap[bar] + offset;
}

/* Move a register between the device and memory as userspace sees it */
static int vfio_pci_bar_reg(struct vfio_pci_region *region, void *buf,
			    unsigned int width, loff_t pos, bool iswrite)
{
	struct vfio_pci_core_device *vdev = region->vdev;
	void __iomem *io = region->io + pos;
	bool is_mem = region->is_mem;
	union {
		u64 val64;
		u32 val32;
		u16 val16;
		u8 val8;
	} val;
	int ret;

	if (iswrite)
		memcpy(&val, buf, width);

	switch (width) {
	case 8:
		ret = iswrite ?
		      vfio_pci_core_iowrite64(vdev, is_mem, val.val64, io) :
		      vfio_pci_core_ioread64(vdev, is_mem, &val.val64, io);
		break;
	case 4:
		ret = iswrite ?
		      vfio_pci_core_iowrite32(vdev, is_mem, val.val32, io) :
		      vfio_pci_core_ioread32(vdev, is_mem, &val.val32, io);
		break;
	case 2:
		ret = iswrite ?
		      vfio_pci_core_iowrite16(vdev, is_mem, val.val16, io) :
		      vfio_pci_core_ioread16(vdev, is_mem, &val.val16, io);
		break;
	default:
		ret = iswrite ?
		      vfio_pci_core_iowrite8(vdev, is_mem, val.val8, io) :
		      vfio_pci_core_ioread8(vdev, is_mem, &val.val8, io);
	}

	if (!ret && !iswrite)
		memcpy(buf, &val, width);

	return ret;
}

static int vfio_pci_bar_rw_buf(struct vfio_pci_region *region, void *buf,
			       size_t count, loff_t pos, bool iswrite)
{
	int ret;

	if (IS_ERR(region->io))
		return PTR_ERR(region->io);

	while (count) {
		size_t part = count;

		if (pos < region->x_start)
			part = min_t(u64, part, region->x_start - pos);

		/* The excluded bytes drop writes, and read as -1 */
		if (pos >= region->x_start && pos < region->x_end) {
			part = min_t(u64, part, region->x_end - pos);
			if (!iswrite)
				memset(buf, 0xff, part);
		} else {
			part = vfio_pci_io_width(pos, part, region->width);
			ret = vfio_pci_bar_reg(region, buf, part, pos, iswrite);
			if (ret)
				return ret;
		}

		count -= part;
		buf += part;
		pos += part;
	}

	return 0;
}

int vfio_pci_bar_read_buf(struct vfio_pci_region *region, void *buf,
			  size_t count, loff_t pos)
{
	return vfio_pci_bar_rw_buf(region, buf, count, pos, false);
}

int vfio_pci_bar_write_buf(struct vfio_pci_region *region, const void *buf,
			   size_t count, loff_t pos)
{
	return vfio_pci_bar_rw_buf(region, (void *)buf, count, pos, true);
}

/**
 * vfio_pci_vendor_read_bar() - read a register of a device
 * @dev: the device
 * @bar: the BAR that the register is in, 0 to 5
 * @offset: byte offset of the register, aligned to @width
 * @width: size of the register in bytes: 1, 2, 4 or 8
 * @val: set to what was read
 *
 * For use in operations of regions and in the open and close callbacks, not in
 * those about resets: takes the memory lock of vfio-pci.
 *
 * Context: Process context, may sleep.
 * Return: 0, -EINVAL for what is no register, -EIO if the device does not
 * decode its memory, which userspace can have it do at any time, or why the
 * BAR could not be mapped: -ENODEV, -EBUSY or -ENOMEM.
 */
int vfio_pci_vendor_read_bar(struct vfio_pci_vendor_device *dev,
			     unsigned int bar, u64 offset, unsigned int width,
			     u64 *val)
{
	struct vfio_pci_core_device *vdev = dev->vdev;
	void __iomem *io;
	bool is_mem;
	u64 val64;
	u32 val32;
	u16 val16;
	u8 val8;
	int ret;

	io = vfio_pci_vendor_io(dev, bar, offset, width, &is_mem);
	if (IS_ERR(io))
		return PTR_ERR(io);

	/* What these read is as the device has it, for userspace: little endian */
	switch (width) {
	case 8:
		ret = vfio_pci_core_ioread64(vdev, is_mem, &val64, io);
		*val = ret ? 0 : le64_to_cpu((__force __le64)val64);
		return ret;
	case 4:
		ret = vfio_pci_core_ioread32(vdev, is_mem, &val32, io);
		*val = ret ? 0 : le32_to_cpu((__force __le32)val32);
		return ret;
	case 2:
		ret = vfio_pci_core_ioread16(vdev, is_mem, &val16, io);
		*val = ret ? 0 : le16_to_cpu((__force __le16)val16);
		return ret;
	default:
		ret = vfio_pci_core_ioread8(vdev, is_mem, &val8, io);
		*val = ret ? 0 : val8;
		return ret;
	}
}
EXPORT_SYMBOL_GPL(vfio_pci_vendor_read_bar);

/**
 * vfio_pci_vendor_write_bar() - write a register of a device
 * @dev: the device
 * @bar: the BAR that the register is in, 0 to 5
 * @offset: byte offset of the register, aligned to @width
 * @width: size of the register in bytes: 1, 2, 4 or 8
 * @val: what to write
 *
 * Otherwise as vfio_pci_vendor_read_bar().
 *
 * Context: Process context, may sleep.
 * Return: 0, or an errno as of vfio_pci_vendor_read_bar().
 */
int vfio_pci_vendor_write_bar(struct vfio_pci_vendor_device *dev,
			      unsigned int bar, u64 offset, unsigned int width,
			      u64 val)
{
	struct vfio_pci_core_device *vdev = dev->vdev;
	void __iomem *io;
	bool is_mem;

	io = vfio_pci_vendor_io(dev, bar, offset, width, &is_mem);
	if (IS_ERR(io))
		return PTR_ERR(io);

	switch (width) {
	case 8:
		return vfio_pci_core_iowrite64(vdev, is_mem,
					       (__force u64)cpu_to_le64(val), io);
	case 4:
		return vfio_pci_core_iowrite32(vdev, is_mem,
					       (__force u32)cpu_to_le32(val), io);
	case 2:
		return vfio_pci_core_iowrite16(vdev, is_mem,
					       (__force u16)cpu_to_le16(val), io);
	default:
		return vfio_pci_core_iowrite8(vdev, is_mem, val, io);
	}
}
EXPORT_SYMBOL_GPL(vfio_pci_vendor_write_bar);
