// SPDX-License-Identifier: GPL-2.0-only
/*
 * What userspace does with the registers: nothing while the device is halted;
 * and of each transfer that it starts we note what memory that reads, as the
 * buffer is filled from there, and log what it writes.
 */

#include <linux/pci.h>
#include <linux/string.h>
#include <linux/vfio.h>

#include "edu.h"

/* Whether @length bytes at @start, as the DMA engine sees it, are the buffer's */
static bool edu_in_buffer(u64 start, u64 length)
{
	return start >= EDU_BUFFER && length <= EDU_BUFFER_SIZE &&
	       start <= EDU_BUFFER + EDU_BUFFER_SIZE - length;
}

/* The device reads @count bytes of memory into its buffer */
static void edu_note_filled(struct edu *edu, u64 source, u64 destination,
			    u64 count)
{
	bool known = edu_in_buffer(destination, count) && edu_has_dma(edu) &&
		     source <= EDU_UNKNOWN - count;
	u64 i;

	/* Nobody knows what it does if it is to write past its buffer */
	if (count && !edu_in_buffer(destination, count)) {
		destination = EDU_BUFFER;
		count = EDU_BUFFER_SIZE;
	}

	for (i = 0; i < count; i++)
		edu->origin[destination - EDU_BUFFER + i] =
			known ? source + i : EDU_UNKNOWN;
}

/* The device writes @count bytes of its buffer to memory */
static void edu_note_read(struct edu *edu, u64 source, u64 destination,
			  u64 count)
{
	u64 i;

	edu->written = destination;
	edu->written_length = count;

	if (!edu_in_buffer(source, count))
		return;

	/* What it has shown to the guest must stay the same from now on */
	for (i = source - EDU_BUFFER; i < source - EDU_BUFFER + count; i++) {
		if (edu->origin[i] == EDU_UNFILLED)
			edu->origin[i] = EDU_UNKNOWN;
	}
}

/*
 * Log what a transfer writes.  As that comes later than its start, it is logged
 * each time that somebody asks until it is known to have come to its end.
 */
static void edu_log_transfer(struct edu *edu)
{
	if (!edu->written_length)
		return;

	vfio_pci_vendor_log_dma(edu->dev, edu->written, edu->written_length);
	/* QEMU cuts off what an address has too much */
	if (edu->written > EDU_DMA_MASK)
		vfio_pci_vendor_log_dma(edu->dev, edu->written & EDU_DMA_MASK,
					edu->written_length);
	if (!edu->transferring)
		edu->written_length = 0;
}

/*
 * Accesses of userspace.  While the device is halted nothing may start, so no
 * register can be written.  By what is said of these states in the uapi, there is
 * nobody who would.
 */
static int edu_register_write(const struct vfio_pci_range *range,
			      const void *buf, size_t count, u64 pos)
{
	struct edu *edu = range->data;

	guard(edu)(edu);

	if (edu->halted)
		return -EBUSY;

	return vfio_pci_lower_write_buf(range->region, buf, count, pos);
}

static int edu_dma_start(struct edu *edu, const struct vfio_pci_range *range,
			 const void *buf, size_t count, u64 command)
{
	u64 source, destination, length;
	int ret;

	ret = edu_look_at_transfer(edu);
	if (ret)
		return ret;
	/* It would ignore this, or take it if it got ready just now */
	if (edu->transferring)
		return 0;

	ret = edu_read(edu, EDU_DMA_SOURCE, &source) ?:
	      edu_read(edu, EDU_DMA_DESTINATION, &destination) ?:
	      edu_read(edu, EDU_DMA_COUNT, &length);
	if (ret)
		return ret;

	/* Whoever is below may have something against it */
	ret = vfio_pci_lower_write_buf(range->region, buf, count,
				       EDU_DMA_COMMAND);
	if (ret)
		return ret;

	/* The last time that we can tell of the transfer before this one */
	edu_log_transfer(edu);
	edu->transferring = true;
	edu->command = command & ~EDU_DMA_START;
	if (command & EDU_DMA_FROM_DEVICE)
		edu_note_read(edu, source, destination, length);
	else
		edu_note_filled(edu, source, destination, length);

	return 0;
}

static int edu_dma_write(const struct vfio_pci_range *range, const void *buf,
			 size_t count, u64 pos)
{
	struct edu *edu = range->data;
	__le64 val = 0;

	guard(edu)(edu);

	if (edu->halted)
		return -EBUSY;

	/* The device takes 4 or 8 bytes, and ignores anything else */
	memcpy(&val, buf, count);
	if (pos == EDU_DMA_COMMAND && count >= 4 &&
	    le64_to_cpu(val) & EDU_DMA_START)
		return edu_dma_start(edu, range, buf, count, le64_to_cpu(val));

	return vfio_pci_lower_write_buf(range->region, buf, count, pos);
}

/*
 * The command register can only be set by starting a transfer.  So after a
 * migration, what it has is of a transfer that we have started, but what it
 * reads as is of the last one that the guest has.
 */
static int edu_dma_read(const struct vfio_pci_range *range, void *buf,
			size_t count, u64 pos)
{
	struct edu *edu = range->data;
	__le64 val = 0;
	int ret;

	guard(edu)(edu);

	ret = vfio_pci_lower_read_buf(range->region, &val, count, pos);
	if (ret)
		return ret;

	if (pos == EDU_DMA_COMMAND && count >= 4) {
		val &= cpu_to_le64(EDU_DMA_START);
		val |= cpu_to_le64(edu->command);
	}
	memcpy(buf, &val, count);

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

/* Operation log_start: what was written before does not count */
int edu_log_start(struct vfio_pci_vendor_device *dev)
{
	struct edu *edu = dev->data;

	guard(edu)(edu);

	/* If we cannot look at it, it may be writing still */
	edu_look_at_transfer(edu);
	if (!edu->transferring)
		edu->written_length = 0;

	return 0;
}

/* Operation log_sync: the log is about to be read */
int edu_log_sync(struct vfio_pci_vendor_device *dev, u64 iova, u64 length)
{
	struct edu *edu = dev->data;

	guard(edu)(edu);

	edu_look_at_transfer(edu);
	edu_log_transfer(edu);

	return 0;
}
