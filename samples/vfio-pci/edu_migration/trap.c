// SPDX-License-Identifier: GPL-2.0-only
/*
 * Register accesses by userspace.  While the device is halted, refuse writes.
 * At the start of a DMA transfer, record the source addresses of the buffer, or
 * log the written memory.
 */

#include <linux/pci.h>
#include <linux/string.h>
#include <linux/vfio.h>

#include "edu.h"

/* Check that @length bytes at DMA engine address @start are in the buffer */
static bool edu_in_buffer(u64 start, u64 length)
{
	return start >= EDU_BUFFER && length <= EDU_BUFFER_SIZE &&
	       start <= EDU_BUFFER + EDU_BUFFER_SIZE - length;
}

/* Record that the device reads @count bytes of memory into its buffer */
static void edu_note_filled(struct edu *edu, u64 source, u64 destination,
			    u64 count)
{
	bool known = edu_in_buffer(destination, count) && edu_has_dma(edu) &&
		     source <= EDU_UNKNOWN - count;
	u64 i;

	/* A transfer past the buffer has no defined effect */
	if (count && !edu_in_buffer(destination, count)) {
		destination = EDU_BUFFER;
		count = EDU_BUFFER_SIZE;
	}

	for (i = 0; i < count; i++)
		edu->origin[destination - EDU_BUFFER + i] =
			known ? source + i : EDU_UNKNOWN;
}

/* Record that the device writes @count bytes of its buffer to memory */
static void edu_note_read(struct edu *edu, u64 source, u64 destination,
			  u64 count)
{
	u64 i;

	edu->written = destination;
	edu->written_length = count;

	if (!edu_in_buffer(source, count))
		return;

	/* Bytes that the guest has seen belong to the state from now on */
	for (i = source - EDU_BUFFER; i < source - EDU_BUFFER + count; i++) {
		if (edu->origin[i] == EDU_UNFILLED)
			edu->origin[i] = EDU_UNKNOWN;
	}
}

/*
 * Log the memory that a transfer writes.  The device writes after the start of
 * the transfer, so log again at each sync until the transfer is over.
 */
static void edu_log_transfer(struct edu *edu)
{
	if (!edu->written_length)
		return;

	vfio_pci_vendor_log_dma(edu->dev, edu->written, edu->written_length);
	/* QEMU masks the address */
	if (edu->written > EDU_DMA_MASK)
		vfio_pci_vendor_log_dma(edu->dev, edu->written & EDU_DMA_MASK,
					edu->written_length);
	if (!edu->transferring)
		edu->written_length = 0;
}

/*
 * Nothing may start while the device is halted, so refuse all writes.  The uapi
 * forbids accesses by userspace in these states.
 */
static int edu_register_write(const struct vfio_pci_range *range, u64 pos,
			      unsigned int width, u64 val)
{
	struct edu *edu = range->data;

	guard(edu)(edu);

	if (edu->halted)
		return -EBUSY;

	return vfio_pci_region_write_reg(vfio_pci_region_lower(range->region),
					 pos, width, val);
}

static int edu_dma_start(struct edu *edu, const struct vfio_pci_range *range,
			 unsigned int width, u64 command)
{
	u64 source, destination, length;
	int ret;

	ret = edu_look_at_transfer(edu);
	if (ret)
		return ret;
	/* The device ignores a start while a transfer runs */
	if (edu->transferring)
		return 0;

	ret = edu_read(edu, EDU_DMA_SOURCE, &source) ?:
	      edu_read(edu, EDU_DMA_DESTINATION, &destination) ?:
	      edu_read(edu, EDU_DMA_COUNT, &length);
	if (ret)
		return ret;

	/* A lower driver may refuse the transfer */
	ret = vfio_pci_region_write_reg(vfio_pci_region_lower(range->region),
					EDU_DMA_COMMAND, width, command);
	if (ret)
		return ret;

	/* Last chance to log the previous transfer */
	edu_log_transfer(edu);
	edu->transferring = true;
	edu->command = command & ~EDU_DMA_START;
	if (command & EDU_DMA_FROM_DEVICE)
		edu_note_read(edu, source, destination, length);
	else
		edu_note_filled(edu, source, destination, length);

	return 0;
}

static int edu_dma_write(const struct vfio_pci_range *range, u64 pos,
			 unsigned int width, u64 val)
{
	struct edu *edu = range->data;

	guard(edu)(edu);

	if (edu->halted)
		return -EBUSY;

	/* The device ignores accesses that are narrower than 4 bytes */
	if (pos == EDU_DMA_COMMAND && width >= 4 && val & EDU_DMA_START)
		return edu_dma_start(edu, range, width, val);

	return vfio_pci_region_write_reg(vfio_pci_region_lower(range->region),
					 pos, width, val);
}

/*
 * Only the start of a transfer sets the command register.  After a migration,
 * the register has the command of the driver's last transfer.  Show the guest
 * the command of its own last transfer.
 */
static int edu_dma_read(const struct vfio_pci_range *range, u64 pos,
			unsigned int width, u64 *val)
{
	struct edu *edu = range->data;
	int ret;

	guard(edu)(edu);

	ret = vfio_pci_region_read_reg(vfio_pci_region_lower(range->region),
				       pos, width, val);
	if (ret)
		return ret;

	if (pos == EDU_DMA_COMMAND && width >= 4) {
		*val &= EDU_DMA_START;
		*val |= edu->command;
	}

	return 0;
}

static const struct vfio_pci_range_ops edu_register_ops = {
	.write	= edu_register_write,
};

static const struct vfio_pci_range_ops edu_dma_ops = {
	.read	= edu_dma_read,
	.write	= edu_dma_write,
};

/* Trap all registers of the device */
int edu_trap(struct edu *edu)
{
	return vfio_pci_vendor_override_range(edu->dev,
					      VFIO_PCI_BAR0_REGION_INDEX,
					      0, EDU_DMA, &edu_register_ops,
					      edu) ?:
	       vfio_pci_vendor_override_range(edu->dev,
					      VFIO_PCI_BAR0_REGION_INDEX,
					      EDU_DMA, EDU_DMA_END - EDU_DMA,
					      &edu_dma_ops, edu);
}

/* Start of the log: earlier writes do not count */
int edu_log_start(struct vfio_pci_vendor_device *dev,
		  struct rb_root_cached *ranges, u32 nr_ranges, u64 page_size)
{
	struct edu *edu = dev->data;

	guard(edu)(edu);

	/* If the register cannot be read, assume that the transfer goes on */
	edu_look_at_transfer(edu);
	if (!edu->transferring)
		edu->written_length = 0;

	return 0;
}

/* Sync of the log: userspace is about to read it */
int edu_log_sync(struct vfio_pci_vendor_device *dev, u64 iova, u64 length)
{
	struct edu *edu = dev->data;

	guard(edu)(edu);

	edu_look_at_transfer(edu);
	edu_log_transfer(edu);

	return 0;
}
