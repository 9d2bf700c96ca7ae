// SPDX-License-Identifier: GPL-2.0-only
/*
 * VFIO PCI register and memory access for vendor drivers
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

	/* In the bind and unbind callbacks, the device is not enabled */
	if (!dev->vdev->regions)
		return IOMEM_ERR_PTR(-EBUSY);

	size = pci_resource_len(dev->pdev, bar);
	if (size < width || offset > size - width)
		return IOMEM_ERR_PTR(-EINVAL);

	*is_mem = pci_resource_flags(dev->pdev, bar) & IORESOURCE_MEM;

	return IS_ERR(dev->vdev->barmap[bar]) ? dev->vdev->barmap[bar] :
						dev->vdev->barmap[bar] + offset;
}

static int vfio_pci_io_rw_reg(struct vfio_pci_core_device *vdev, bool test_mem,
			      void __iomem *io, unsigned int width, u64 *val,
			      bool iswrite)
{
	return iswrite ? vfio_pci_io_write_reg(vdev, test_mem, io, width, *val) :
			 vfio_pci_io_read_reg(vdev, test_mem, io, width, val);
}

/*
 * Check whether userspace has enabled decode.  A VF must not depend on this bit,
 * but QEMU's VFs do.
 */
static bool vfio_pci_decodes(struct vfio_pci_core_device *vdev, u16 decode)
{
	u16 cmd = le16_to_cpu(*(__le16 *)&vdev->vconfig[PCI_COMMAND]);

	return vdev->pdev->current_state == PCI_D0 && cmd & decode;
}

/*
 * Wake the device, access a register, and restore the power state and decode.
 * Userspace cannot reach the device meanwhile: vfio-pci has zapped the
 * mappings, and the lock blocks page faults.
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
	u16 decode;
	int ret;

	io = vfio_pci_vendor_io(dev, bar, offset, width, &is_mem);
	if (IS_ERR(io))
		return PTR_ERR(io);

	decode = is_mem ? PCI_COMMAND_MEMORY : PCI_COMMAND_IO;
	if (vfio_pci_decodes(vdev, decode)) {
		ret = vfio_pci_io_rw_reg(vdev, is_mem, io, width, val, iswrite);
		if (ret != -EIO)
			return ret;
	}

	return vfio_pci_vendor_wake_rw(vdev, io, width, val, iswrite, decode);
}

/**
 * vfio_pci_vendor_read_bar() - read a register of a device
 * @dev: the device
 * @bar: the BAR that holds the register, 0 to 5
 * @offset: byte offset of the register, aligned to @width
 * @width: size of the register in bytes: 1, 2, 4 or 8
 * @val: out: the value in CPU byte order; 0 on error
 *
 * The access bypasses all overrides.  If userspace has disabled decode or put
 * the device into D3hot, the core wakes the device for the access, which is
 * slow.  The core does not restore state that the device lost in D3hot.
 *
 * Do not call this in mmap, fault or reset callbacks.  The device may be
 * suspended, or the caller may hold the memory lock of vfio-pci, which this
 * function takes.
 *
 * Context: Process context, may sleep.  The device is runtime resumed.
 * Return: 0 on success; -EINVAL if the device has no such register; -EBUSY if
 * the device is closed; -ENODEV, -EBUSY or -ENOMEM if vfio-pci could not map
 * the BAR; or an errno if the device does not wake up.
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
 * Return: Same as vfio_pci_vendor_read_bar().
 */
int vfio_pci_vendor_write_bar(struct vfio_pci_vendor_device *dev,
			      unsigned int bar, u64 offset, unsigned int width,
			      u64 val)
{
	return vfio_pci_vendor_rw_bar(dev, bar, offset, width, &val, true);
}
EXPORT_SYMBOL_GPL(vfio_pci_vendor_write_bar);

/**
 * vfio_pci_vendor_dma_rw() - read or write memory at an IOVA of a device
 * @dev: the device
 * @iova: I/O virtual address of the first byte, same as for DMA without a PASID
 * @buf: kernel buffer of @count bytes
 * @count: number of bytes, at least 1
 * @write: true to write @buf to memory, false to read memory into @buf
 *
 * Userspace must have mapped the memory for DMA by the device, with VFIO type1
 * or iommufd.  The permissions of the mapping apply.  The core does not check
 * Bus Master Enable.  With type1, only kernel threads and the process that
 * mapped the memory can access it.
 *
 * Userspace can change the memory at any time, so validate the copy.  A driver
 * that logs DMA must also log the pages that it writes with this function.  Any
 * other driver must not write while userspace tracks dirty pages: iommufd does
 * not report these pages.
 *
 * Context: Process context, may sleep and take the mmap lock.  Call this in the
 * read, write and device_feature operations, or from a kernel thread while the
 * device is open.  Userspace can block the call indefinitely, for example by
 * userfaultfd.  Therefore hold no lock that open, close, mmap, fault or reset
 * callbacks take, and do not wait for the call in these callbacks.
 * Return: 0 on success; -ENOENT or -EINVAL if a byte is not mapped, or userspace
 * has not attached the device; -EPERM if the mapping does not permit the access,
 * or with type1 does not permit reads; -EFAULT or -ENOMEM if the core cannot
 * access the memory; -EBUSY if userspace is changing addresses
 * (VFIO_UPDATE_VADDR); -EOVERFLOW if the range wraps; -EOPNOTSUPP with a nested
 * page table of iommufd; -ENOTTY, -EOPNOTSUPP or -EINVAL without an IOMMU.  On
 * error, the core may have copied a part of the data.
 */
int vfio_pci_vendor_dma_rw(struct vfio_pci_vendor_device *dev, dma_addr_t iova,
			   void *buf, size_t count, bool write)
{
	return vfio_dma_rw(&dev->vdev->vdev, iova, buf, count, write);
}
EXPORT_SYMBOL_GPL(vfio_pci_vendor_dma_rw);
