// SPDX-License-Identifier: GPL-2.0-only
/*
 * VFIO PCI register access for vendor drivers
 */

#include <linux/io-64-nonatomic-lo-hi.h>
#include <linux/log2.h>
#include <linux/rwsem.h>
#include <linux/pci.h>
#include <linux/vfio_pci_core.h>

#include "vfio_pci_priv.h"

static void __iomem *vfio_pci_vendor_io(struct vfio_pci_vendor_device *dev,
					unsigned int bar, u64 offset,
					unsigned int width, bool *is_mem)
{
	u64 size;

	if (bar >= PCI_STD_NUM_BARS || !is_power_of_2(width) || width > 8 ||
	    !IS_ALIGNED(offset, width))
		return IOMEM_ERR_PTR(-EINVAL);

	/* Not enabled, as in the bind and unbind callbacks */
	if (!dev->vdev->regions)
		return IOMEM_ERR_PTR(-EBUSY);

	size = pci_resource_len(dev->pdev, bar);
	if (size < width || offset > size - width)
		return IOMEM_ERR_PTR(-EINVAL);

	*is_mem = pci_resource_flags(dev->pdev, bar) & IORESOURCE_MEM;

	return IS_ERR(dev->vdev->barmap[bar]) ? dev->vdev->barmap[bar] :
						dev->vdev->barmap[bar] + offset;
}

/**
 * vfio_pci_io_read_reg() - read a register of a device
 * @vdev: the device
 * @test_mem: whether to take the memory lock, and to fail if memory decode is
 *	      disabled
 * @io: the register
 * @width: size of the register in bytes: 1, 2, 4 or 8
 * @val: out: the value in CPU byte order; 0 on error
 *
 * Return: 0, or -EIO if memory decode is disabled.
 */
int vfio_pci_io_read_reg(struct vfio_pci_core_device *vdev, bool test_mem,
			 void __iomem *io, unsigned int width, u64 *val)
{
	u64 val64;
	u32 val32;
	u16 val16;
	u8 val8;
	int ret;

	/* These read what userspace gets: little endian */
	switch (width) {
	case 8:
		ret = vfio_pci_core_ioread64(vdev, test_mem, &val64, io);
		*val = ret ? 0 : le64_to_cpu((__force __le64)val64);
		return ret;
	case 4:
		ret = vfio_pci_core_ioread32(vdev, test_mem, &val32, io);
		*val = ret ? 0 : le32_to_cpu((__force __le32)val32);
		return ret;
	case 2:
		ret = vfio_pci_core_ioread16(vdev, test_mem, &val16, io);
		*val = ret ? 0 : le16_to_cpu((__force __le16)val16);
		return ret;
	default:
		ret = vfio_pci_core_ioread8(vdev, test_mem, &val8, io);
		*val = ret ? 0 : val8;
		return ret;
	}
}

/**
 * vfio_pci_io_write_reg() - write a register of a device
 * @vdev: the device
 * @test_mem: whether to take the memory lock, and to fail if memory decode is
 *	      disabled
 * @io: the register
 * @width: size of the register in bytes: 1, 2, 4 or 8
 * @val: the value in CPU byte order
 *
 * Return: 0, or -EIO if memory decode is disabled.
 */
int vfio_pci_io_write_reg(struct vfio_pci_core_device *vdev, bool test_mem,
			  void __iomem *io, unsigned int width, u64 val)
{
	switch (width) {
	case 8:
		return vfio_pci_core_iowrite64(vdev, test_mem,
					       (__force u64)cpu_to_le64(val), io);
	case 4:
		return vfio_pci_core_iowrite32(vdev, test_mem,
					       (__force u32)cpu_to_le32(val), io);
	case 2:
		return vfio_pci_core_iowrite16(vdev, test_mem,
					       (__force u16)cpu_to_le16(val), io);
	default:
		return vfio_pci_core_iowrite8(vdev, test_mem, val, io);
	}
}

static int vfio_pci_io_rw_reg(struct vfio_pci_core_device *vdev, bool test_mem,
			      void __iomem *io, unsigned int width, u64 *val,
			      bool iswrite)
{
	return iswrite ? vfio_pci_io_write_reg(vdev, test_mem, io, width, *val) :
			 vfio_pci_io_read_reg(vdev, test_mem, io, width, val);
}

/* Check whether userspace lets the device decode its I/O ports */
static bool vfio_pci_io_enabled(struct vfio_pci_core_device *vdev)
{
	u16 cmd = le16_to_cpu(*(__le16 *)&vdev->vconfig[PCI_COMMAND]);

	return vdev->pdev->current_state == PCI_D0 && cmd & PCI_COMMAND_IO;
}

/*
 * Access a register of a device that userspace has put to sleep.  Userspace has
 * no mapping of the device then, and cannot get one while we hold the lock.
 */
static int vfio_pci_vendor_wake_rw(struct vfio_pci_core_device *vdev,
				   void __iomem *io, unsigned int width,
				   u64 *val, bool iswrite, u16 decode)
{
	struct pci_dev *pdev = vdev->pdev;
	pci_power_t state;
	u16 cmd;
	int ret;

	guard(rwsem_write)(&vdev->memory_lock);

	state = pdev->current_state;
	if (state != PCI_D0) {
		ret = vfio_pci_set_power_state(vdev, PCI_D0);
		if (ret)
			return ret;
	}

	pci_read_config_word(pdev, PCI_COMMAND, &cmd);
	if (!(cmd & decode))
		pci_write_config_word(pdev, PCI_COMMAND, cmd | decode);

	ret = vfio_pci_io_rw_reg(vdev, false, io, width, val, iswrite);

	if (!(cmd & decode))
		pci_write_config_word(pdev, PCI_COMMAND, cmd);
	if (state != PCI_D0)
		vfio_pci_set_power_state(vdev, state);

	return ret;
}

static int vfio_pci_vendor_rw_bar(struct vfio_pci_vendor_device *dev,
				  unsigned int bar, u64 offset,
				  unsigned int width, u64 *val, bool iswrite)
{
	struct vfio_pci_core_device *vdev = dev->vdev;
	void __iomem *io;
	bool is_mem;
	int ret;

	io = vfio_pci_vendor_io(dev, bar, offset, width, &is_mem);
	if (IS_ERR(io))
		return PTR_ERR(io);

	if (is_mem || vfio_pci_io_enabled(vdev)) {
		ret = vfio_pci_io_rw_reg(vdev, is_mem, io, width, val, iswrite);
		if (ret != -EIO)
			return ret;
	}

	return vfio_pci_vendor_wake_rw(vdev, io, width, val, iswrite,
				       is_mem ? PCI_COMMAND_MEMORY :
						PCI_COMMAND_IO);
}

/**
 * vfio_pci_vendor_read_bar() - read a register of a device
 * @dev: the device
 * @bar: the BAR that holds the register, 0 to 5
 * @offset: byte offset of the register, aligned to @width
 * @width: size of the register in bytes: 1, 2, 4 or 8
 * @val: out: the value in CPU byte order; 0 on error
 *
 * The access bypasses all overrides.  It also works while userspace has
 * disabled decode or has put the device into D3hot: the core then wakes the
 * device for the access, which is slow.  A device that loses state in D3hot
 * has lost it.
 *
 * Call this from operations of regions and from the open and close callbacks,
 * not from the reset callbacks: it takes the memory lock of vfio-pci.
 *
 * Context: Process context, may sleep.  The device is runtime resumed.
 * Return: 0; -EINVAL if there is no such register; -EBUSY if the device is
 * closed; -ENODEV, -EBUSY or -ENOMEM if the BAR could not be mapped; or an errno
 * if the device does not wake up.
 */
int vfio_pci_vendor_read_bar(struct vfio_pci_vendor_device *dev,
			     unsigned int bar, u64 offset, unsigned int width,
			     u64 *val)
{
	*val = 0;

	return vfio_pci_vendor_rw_bar(dev, bar, offset, width, val, false);
}
EXPORT_SYMBOL_GPL(vfio_pci_vendor_read_bar);

/**
 * vfio_pci_vendor_write_bar() - write a register of a device
 * @dev: the device
 * @bar: the BAR that holds the register, 0 to 5
 * @offset: byte offset of the register, aligned to @width
 * @width: size of the register in bytes: 1, 2, 4 or 8
 * @val: the value in CPU byte order
 *
 * Same contract as vfio_pci_vendor_read_bar().
 *
 * Context: Process context, may sleep.  The device is runtime resumed.
 * Return: as vfio_pci_vendor_read_bar().
 */
int vfio_pci_vendor_write_bar(struct vfio_pci_vendor_device *dev,
			      unsigned int bar, u64 offset, unsigned int width,
			      u64 val)
{
	return vfio_pci_vendor_rw_bar(dev, bar, offset, width, &val, true);
}
EXPORT_SYMBOL_GPL(vfio_pci_vendor_write_bar);
