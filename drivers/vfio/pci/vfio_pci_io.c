// SPDX-License-Identifier: GPL-2.0-only
/*
 * VFIO PCI access to registers by the kernel
 *
 * Operations of BARs, ROM and VGA on kernel buffers.  The device sees the same
 * register accesses as for an access by userspace.
 */

#include <linux/io.h>
#include <linux/io-64-nonatomic-lo-hi.h>
#include <linux/pci.h>
#include <linux/vfio.h>
#include <linux/vfio_pci_core.h>

#include "vfio_pci_priv.h"

/* Copy registers between the device and kernel memory */
static __always_inline int
vfio_pci_io_rw(struct vfio_pci_core_device *vdev, bool test_mem,
	       void __iomem *io, void *buf, size_t count, loff_t off,
	       size_t x_start, size_t x_end, unsigned int max_width,
	       bool iswrite)
{
	if (test_mem) {
		down_read(&vdev->memory_lock);
		if (!__vfio_pci_memory_enabled(vdev)) {
			up_read(&vdev->memory_lock);
			return -EIO;
		}
	}

	while (count) {
		size_t part = count;

		if (off < x_start)
			part = min_t(u64, part, x_start - off);

		if (off >= x_start && off < x_end) {
			/* The excluded range reads as -1 and ignores writes */
			part = min_t(u64, part, x_end - off);
			if (!iswrite)
				memset(buf, 0xff, part);
		} else {
			unsigned int width = vfio_pci_io_width(off, part,
							       max_width);

			/* All following registers are aligned as well */
			part = width == max_width ? round_down(part, width) :
						    width;
			if (iswrite)
				vfio_pci_iowrite_regs(io + off, buf, part,
						      width);
			else
				vfio_pci_ioread_regs(io + off, buf, part,
						     width);
		}

		count -= part;
		buf += part;
		off += part;
	}

	if (test_mem)
		up_read(&vdev->memory_lock);

	return 0;
}

/* Read registers into kernel memory; see vfio_pci_core_do_io_rw() */
static int vfio_pci_io_read(struct vfio_pci_core_device *vdev, bool test_mem,
			    void __iomem *io, void *buf, size_t count,
			    loff_t off, size_t x_start, size_t x_end,
			    unsigned int max_width)
{
	return vfio_pci_io_rw(vdev, test_mem, io, buf, count, off, x_start,
			      x_end, max_width, false);
}

/* Write registers from kernel memory */
static int vfio_pci_io_write(struct vfio_pci_core_device *vdev, bool test_mem,
			     void __iomem *io, const void *buf, size_t count,
			     loff_t off, size_t x_start, size_t x_end,
			     unsigned int max_width)
{
	return vfio_pci_io_rw(vdev, test_mem, io, (void *)buf, count, off,
			      x_start, x_end, max_width, true);
}

int vfio_pci_bar_read(struct vfio_pci_region *region, void *buf, size_t count,
		      loff_t pos)
{
	struct vfio_pci_core_region *bar = to_core_region(region);

	if (IS_ERR(bar->io))
		return PTR_ERR(bar->io);

	return vfio_pci_io_read(bar->vdev, bar->is_mem, bar->io, buf, count, pos,
				bar->x_start, bar->x_end, VFIO_PCI_IO_WIDTH_8);
}

int vfio_pci_bar_write(struct vfio_pci_region *region, const void *buf,
		       size_t count, loff_t pos)
{
	struct vfio_pci_core_region *bar = to_core_region(region);

	if (IS_ERR(bar->io))
		return PTR_ERR(bar->io);

	return vfio_pci_io_write(bar->vdev, bar->is_mem, bar->io, buf, count,
				 pos, bar->x_start, bar->x_end,
				 VFIO_PCI_IO_WIDTH_8);
}

/**
 * vfio_pci_io_read_reg() - read a register of a device
 * @vdev: the device
 * @test_mem: take the memory lock, and fail if memory decode is disabled
 * @io: the register
 * @width: size of the register in bytes: 1, 2, 4 or 8
 * @val: out: the value in CPU byte order; 0 on error
 *
 * Return: 0 on success; -EIO if memory decode is disabled.
 */
int vfio_pci_io_read_reg(struct vfio_pci_core_device *vdev, bool test_mem,
			 void __iomem *io, unsigned int width, u64 *val)
{
	u64 val64;
	u32 val32;
	u16 val16;
	u8 val8;
	int ret;

	/* These functions return little-endian values, for userspace */
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
 * @test_mem: take the memory lock, and fail if memory decode is disabled
 * @io: the register
 * @width: size of the register in bytes: 1, 2, 4 or 8
 * @val: the value in CPU byte order
 *
 * Return: 0 on success; -EIO if memory decode is disabled.
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

int vfio_pci_bar_read_reg(struct vfio_pci_core_region *region, u64 pos,
			  unsigned int width, u64 *val)
{
	if (IS_ERR(region->io))
		return PTR_ERR(region->io);

	/* The boundaries of the excluded range never split a register */
	if (pos >= region->x_start && pos < region->x_end) {
		*val = GENMASK_ULL(width * 8 - 1, 0);
		return 0;
	}

	return vfio_pci_io_read_reg(region->vdev, region->is_mem,
				    region->io + pos, width, val);
}

int vfio_pci_bar_write_reg(struct vfio_pci_core_region *region, u64 pos,
			   unsigned int width, u64 val)
{
	if (IS_ERR(region->io))
		return PTR_ERR(region->io);

	if (pos >= region->x_start && pos < region->x_end)
		return 0;

	/* Fast path: most registers have 4 bytes */
	if (width == VFIO_PCI_IO_WIDTH_4)
		return vfio_pci_core_iowrite32(region->vdev, region->is_mem,
					       (__force u32)cpu_to_le32(val),
					       region->io + pos);

	return vfio_pci_io_write_reg(region->vdev, region->is_mem,
				     region->io + pos, width, val);
}

int vfio_pci_rom_read(struct vfio_pci_region *region, void *buf, size_t count,
		      loff_t pos)
{
	struct vfio_pci_core_device *vdev = to_core_region(region)->vdev;
	struct resource *res = &vdev->pdev->resource[PCI_ROM_RESOURCE];
	void __iomem *io;
	size_t x_start;
	int ret;

	io = vfio_pci_rom_map(vdev->pdev, &x_start);
	if (!io)
		return -ENOMEM;

	ret = vfio_pci_io_read(vdev, res->flags & IORESOURCE_MEM, io, buf, count,
			       pos, x_start, region->size, VFIO_PCI_IO_WIDTH_4);

	vfio_pci_rom_unmap(vdev->pdev, io);

	return ret;
}

#ifdef CONFIG_VFIO_PCI_VGA
static int vfio_pci_vga_rw(struct vfio_pci_region *region, void *buf,
			   size_t count, loff_t pos, bool iswrite)
{
	struct vfio_pci_core_device *vdev = to_core_region(region)->vdev;
	struct vfio_pci_vga_window window;
	size_t part = count;
	int ret;

	ret = vfio_pci_vga_get(vdev->pdev, &window, pos, &part);
	if (ret)
		return ret;

	/* Fail an access that crosses the end of the window */
	if (part < count)
		ret = -EINVAL;
	else if (iswrite)
		ret = vfio_pci_io_write(vdev, false, window.io, buf, count,
					window.off, 0, 0, VFIO_PCI_IO_WIDTH_4);
	else
		ret = vfio_pci_io_read(vdev, false, window.io, buf, count,
				       window.off, 0, 0, VFIO_PCI_IO_WIDTH_4);

	vfio_pci_vga_put(vdev->pdev, &window);

	return ret;
}

int vfio_pci_vga_read(struct vfio_pci_region *region, void *buf, size_t count,
		      loff_t pos)
{
	return vfio_pci_vga_rw(region, buf, count, pos, false);
}

int vfio_pci_vga_write(struct vfio_pci_region *region, const void *buf,
		       size_t count, loff_t pos)
{
	return vfio_pci_vga_rw(region, (void *)buf, count, pos, true);
}
#endif
