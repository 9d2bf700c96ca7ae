// SPDX-License-Identifier: GPL-2.0-only
/*
 * Log of the memory that an 82576 VF writes
 *
 * The device writes received packets, descriptors, and optionally the head of a
 * transmit queue.  It overwrites the address of a buffer in the descriptor, so
 * the driver reads the descriptors when the guest hands them to the device.
 *
 * A report contains the buffers from the first unreported one up to the tail.
 * The buffers before the head are complete: this is their last report.  The
 * others may be incomplete, so the next report contains them again.
 */

#include <linux/bitfield.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/vfio_pci_core.h>

#include "igbvf.h"

/* A buffer that the driver could not read from memory */
#define IGBVF_UNKNOWN		cpu_to_le64(U64_MAX)

/* In SRRCTL: size of packet buffers in KiB, of headers in units of 64 bytes */
#define IGBVF_SRRCTL_PACKET	GENMASK(6, 0)
#define IGBVF_SRRCTL_HEADER	GENMASK(13, 8)
#define IGBVF_SRRCTL_TYPE	GENMASK(27, 25)
/* If the size is 0, a setting of the PF applies: assume the largest */
#define IGBVF_PACKET_MAX	16384

static u32 igbvf_packet_size(const struct igbvf_ring *ring)
{
	return FIELD_GET(IGBVF_SRRCTL_PACKET, ring->srrctl) * 1024 ?:
	       IGBVF_PACKET_MAX;
}

/* Report the memory of one buffer; SRRCTL type 1 has no header */
static void igbvf_log_buffer(struct igbvf *igbvf, struct igbvf_ring *ring,
			     const struct igbvf_buffer *buffer)
{
	u32 header = FIELD_GET(IGBVF_SRRCTL_HEADER, ring->srrctl) * 64;

	if (ring->all_reported)
		return;
	/* The device wrote to an unknown address: report all memory */
	if (buffer->packet == IGBVF_UNKNOWN) {
		vfio_pci_vendor_log_dma(igbvf->dev, 0, U64_MAX);
		ring->all_reported = true;
		return;
	}

	vfio_pci_vendor_log_dma(igbvf->dev, le64_to_cpu(buffer->packet),
				igbvf_packet_size(ring));
	if (FIELD_GET(IGBVF_SRRCTL_TYPE, ring->srrctl) > 1 && header)
		vfio_pci_vendor_log_dma(igbvf->dev, le64_to_cpu(buffer->header),
					header);
}

/* Number of descriptors from @from to @to in a ring of @size */
static u32 igbvf_ring_count(u32 size, u32 from, u32 to)
{
	return from <= to ? to - from : size - from + to;
}

/* Report the buffers that the device may have written since the last report */
static int igbvf_log_ring(struct igbvf *igbvf, unsigned int q)
{
	struct igbvf_ring *ring = &igbvf->rings[q];
	u32 head, end, i, nr;
	int ret;

	if (!ring->enabled || !ring->size)
		return 0;

	/* This read returns after all earlier writes of the device */
	ret = igbvf_read(igbvf, igbvf_queue(q) + IGBVF_DH, &head);
	if (ret)
		return ret;

	vfio_pci_vendor_log_dma(igbvf->dev, ring->base,
				(u64)ring->size * IGBVF_DESC_SIZE);
	if (head >= ring->size)
		return 0;

	/* The device ignores a queue with an invalid tail */
	end = ring->tail < ring->size ? ring->tail : head;
	/* The guest may write an invalid head: report the whole ring */
	if (ring->unreported >= ring->size)
		ring->unreported = (end + 1) % ring->size;
	nr = igbvf_ring_count(ring->size, ring->unreported, end);
	for (i = ring->unreported; nr; nr--, i = (i + 1) % ring->size) {
		igbvf_log_buffer(igbvf, ring, &ring->buffers[i]);
		cond_resched();
	}
	ring->unreported = head;
	ring->all_reported = false;

	return 0;
}

/*
 * Report the descriptors and the head write-back of a transmit queue.  To trap
 * their registers would trap the tail, too, which is on the same page.  So a
 * ring that the guest replaces between two reports is missing.  The guest does
 * not read such a ring: it cannot know whether the device still wrote to it.
 */
static int igbvf_log_transmit(struct igbvf *igbvf, unsigned int q)
{
	const unsigned int queue = igbvf_queue(q);
	u32 low, high, len, wb_low, wb_high;
	int ret;

	ret = igbvf_read(igbvf, queue + IGBVF_DLEN, &len) ?:
	      igbvf_read(igbvf, queue + IGBVF_DBAL, &low) ?:
	      igbvf_read(igbvf, queue + IGBVF_DBAH, &high) ?:
	      igbvf_read(igbvf, queue + IGBVF_DWBAL, &wb_low) ?:
	      igbvf_read(igbvf, queue + IGBVF_DWBAH, &wb_high);
	if (ret || !len)
		return ret;

	vfio_pci_vendor_log_dma(igbvf->dev, (u64)high << 32 | low, len);
	if (wb_low & IGBVF_DWBAL_ENABLE)
		vfio_pci_vendor_log_dma(igbvf->dev, (u64)wb_high << 32 |
					(wb_low & ~GENMASK(1, 0)), 4);

	return 0;
}

static int igbvf_log_sync(struct vfio_pci_vendor_device *dev, u64 iova,
			  u64 length)
{
	struct igbvf *igbvf = dev->data;
	unsigned int q;
	int ret = 0;

	guard(igbvf)(igbvf);

	for (q = 0; q < IGBVF_NR_QUEUES && !ret; q++)
		ret = q < IGBVF_NR_RX ? igbvf_log_ring(igbvf, q) :
					igbvf_log_transmit(igbvf, q);

	return ret;
}

/* The driver always tracks the buffers: only set where reports begin */
static int igbvf_log_start(struct vfio_pci_vendor_device *dev,
			   struct rb_root_cached *ranges, u32 nr_ranges,
			   u64 page_size)
{
	struct igbvf *igbvf = dev->data;
	unsigned int q;
	int ret = 0;
	u32 head;

	guard(igbvf)(igbvf);

	for (q = 0; q < IGBVF_NR_RX && !ret; q++) {
		ret = igbvf_read(igbvf, igbvf_queue(q) + IGBVF_DH, &head);
		if (!ret)
			igbvf->rings[q].unreported = head;
	}
	igbvf->logging = !ret;

	return ret;
}

static void igbvf_log_stop(struct vfio_pci_vendor_device *dev)
{
	struct igbvf *igbvf = dev->data;

	guard(igbvf)(igbvf);

	igbvf->logging = false;
}

/* Nothing to start: after this, the core reports all memory once */
static int igbvf_log_restart(struct vfio_pci_vendor_device *dev)
{
	return 0;
}

const struct vfio_pci_dma_log_ops igbvf_log_ops = {
	.start		= igbvf_log_start,
	.stop		= igbvf_log_stop,
	.sync		= igbvf_log_sync,
	.restart	= igbvf_log_restart,
};

/*
 * The guest hands over one buffer.  If the new tail reaches the first unreported
 * buffer, the device no longer owns that buffer: report it now.
 */
static void igbvf_set_buffer(struct igbvf *igbvf, struct igbvf_ring *ring,
			     u32 i, const struct igbvf_buffer *buffer)
{
	if ((i + 1) % ring->size == ring->unreported) {
		if (igbvf->logging)
			igbvf_log_buffer(igbvf, ring,
					 &ring->buffers[ring->unreported]);
		ring->unreported = (ring->unreported + 1) % ring->size;
	}
	ring->buffers[i] = *buffer;
}

/*
 * The guest hands the descriptors up to @tail to the device.  Read them without
 * the lock.  If the guest changes them later, it breaks only itself.
 */
static int igbvf_add_buffers(struct igbvf *igbvf, unsigned int q, u32 tail)
{
	struct igbvf_ring *ring = &igbvf->rings[q];
	struct igbvf_buffer buffers[32];
	u32 size, at, nr, i;
	unsigned int generation;
	int ret = 0;
	u64 base;

	lockdep_assert_held(&igbvf->ring_lock);

	scoped_guard(igbvf, igbvf) {
		generation = ring->generation;
		base = ring->base;
		size = ring->enabled ? ring->size : 0;
		at = ring->tail;
		ring->tail = tail;
		/* The device ignores a queue with an invalid tail until now */
		if (size && at >= size)
			ret = igbvf_read(igbvf, igbvf_queue(q) + IGBVF_DH, &at);
	}
	if (ret || at >= size || tail >= size)
		return ret;

	for (; at != tail; at = (at + nr) % size) {
		nr = min3(igbvf_ring_count(size, at, tail), size - at,
			  (u32)ARRAY_SIZE(buffers));
		if (vfio_pci_vendor_dma_rw(igbvf->dev,
					   base + (u64)at * IGBVF_DESC_SIZE,
					   buffers, nr * IGBVF_DESC_SIZE, false))
			memset(buffers, 0xff, nr * IGBVF_DESC_SIZE);
		if (fatal_signal_pending(current))
			return -EINTR;

		guard(igbvf)(igbvf);
		/* A reset or a load may have changed the queue */
		if (!ring->enabled || ring->generation != generation)
			return 0;
		for (i = 0; i < nr; i++)
			igbvf_set_buffer(igbvf, ring, at + i, &buffers[i]);
	}

	return 0;
}

/* The guest moves the head, so the device owns other descriptors */
static int igbvf_write_head(struct igbvf *igbvf, unsigned int q, u32 head)
{
	struct igbvf_ring *ring = &igbvf->rings[q];
	int ret = 0;
	u32 tail;

	scoped_guard(igbvf, igbvf) {
		if (igbvf->logging)
			ret = igbvf_log_ring(igbvf, q);
		tail = ring->tail;
		ring->tail = head;
		ring->unreported = head;
	}

	return ret ?: igbvf_add_buffers(igbvf, q, tail);
}

/* Take over the ring that the guest has set up; it has no known buffers */
static int igbvf_set_up_ring(struct igbvf *igbvf, unsigned int q, u32 head)
{
	struct igbvf_ring *ring = &igbvf->rings[q];
	const unsigned int queue = igbvf_queue(q);
	struct igbvf_buffer *buffers = NULL;
	u32 low, high, len, srrctl;
	int ret;

	ret = igbvf_read(igbvf, queue + IGBVF_DBAL, &low) ?:
	      igbvf_read(igbvf, queue + IGBVF_DBAH, &high) ?:
	      igbvf_read(igbvf, queue + IGBVF_DLEN, &len) ?:
	      igbvf_read(igbvf, queue + IGBVF_SRRCTL, &srrctl);
	if (ret)
		return ret;

	len &= IGBVF_DLEN_MASK;
	if (len) {
		buffers = kvmalloc(len, GFP_KERNEL_ACCOUNT);
		if (!buffers)
			return -ENOMEM;
		memset(buffers, 0xff, len);
	}
	kvfree(ring->buffers);
	ring->buffers = buffers;
	ring->size = len / IGBVF_DESC_SIZE;
	ring->base = (u64)high << 32 | (low & ~GENMASK(4, 0));
	ring->srrctl = srrctl;
	ring->tail = head;
	ring->unreported = head;
	ring->all_reported = false;
	ring->enabled = true;
	ring->generation++;

	return 0;
}

/* The guest enables or disables a receive queue */
static int igbvf_write_dctl(struct igbvf *igbvf, unsigned int q, u32 val)
{
	struct igbvf_ring *ring = &igbvf->rings[q];
	u32 head, tail;
	int ret = 0;

	scoped_guard(igbvf, igbvf) {
		if (ring->enabled == !!(val & IGBVF_DCTL_ENABLE))
			return 0;
		if (ring->enabled) {
			/* The last chance to report its buffers */
			if (igbvf->logging)
				ret = igbvf_log_ring(igbvf, q);
			ring->enabled = false;
			return ret;
		}
		ret = igbvf_read(igbvf, igbvf_queue(q) + IGBVF_DH, &head) ?:
		      igbvf_read(igbvf, igbvf_queue(q) + IGBVF_DT, &tail) ?:
		      igbvf_set_up_ring(igbvf, q, head);
	}

	/* The guest may have set the tail before */
	return ret ?: igbvf_add_buffers(igbvf, q, tail);
}

/* Prepare for a write to a register of a receive queue */
static int igbvf_before_write(struct igbvf *igbvf, unsigned int q,
			      unsigned int reg, u32 val)
{
	struct igbvf_ring *ring = &igbvf->rings[q];

	switch (reg) {
	case IGBVF_DT:
		return igbvf_add_buffers(igbvf, q, (u16)val);
	case IGBVF_DCTL:
		if (val & IGBVF_DCTL_ENABLE)
			return igbvf_write_dctl(igbvf, q, val);
		return 0;
	case IGBVF_DH:
		return igbvf_write_head(igbvf, q, (u16)val);
	case IGBVF_SRRCTL:
		scoped_guard(igbvf, igbvf)
			ring->srrctl = val;
		return 0;
	default:
		return 0;
	}
}

static int igbvf_ring_write(const struct vfio_pci_range *range, u64 pos,
			    unsigned int width, u64 val)
{
	struct vfio_pci_region *lower = vfio_pci_region_lower(range->region);
	unsigned int q = pos >= igbvf_queue(1);
	unsigned int reg = pos - igbvf_queue(q);
	struct igbvf *igbvf = range->data;
	int ret;

	/* The device has no narrow registers */
	if (width < 4)
		return 0;
	if (width == 8)
		return igbvf_ring_write(range, pos, 4, lower_32_bits(val)) ?:
		       igbvf_ring_write(range, pos + 4, 4, upper_32_bits(val));

	ret = mutex_lock_killable(&igbvf->ring_lock);
	if (ret)
		return ret;

	ret = igbvf_before_write(igbvf, q, reg, val) ?:
	      vfio_pci_region_write_reg(lower, pos, width, val);
	if (!ret && reg == IGBVF_DCTL && !(val & IGBVF_DCTL_ENABLE))
		ret = igbvf_write_dctl(igbvf, q, val);
	mutex_unlock(&igbvf->ring_lock);

	return ret;
}

static const struct vfio_pci_range_ops igbvf_ring_ops = {
	.write	= igbvf_ring_write,
};

/**
 * igbvf_log_trap() - override the registers of the receive queues
 * @igbvf: the device, in the open callback
 *
 * Return: 0, or the errno of an override.
 */
int igbvf_log_trap(struct igbvf *igbvf)
{
	unsigned int q;
	int ret = 0;

	for (q = 0; q < IGBVF_NR_RX && !ret; q++)
		ret = vfio_pci_vendor_override_range(igbvf->dev, IGBVF_BAR,
						     igbvf_queue(q),
						     IGBVF_QUEUE_END,
						     &igbvf_ring_ops, igbvf);

	return ret;
}

/**
 * igbvf_log_disable() - report the buffers of queues that a reset has disabled
 * @igbvf: the device, locked
 */
void igbvf_log_disable(struct igbvf *igbvf)
{
	unsigned int q;

	for (q = 0; q < IGBVF_NR_RX; q++) {
		if (igbvf->logging && igbvf_log_ring(igbvf, q))
			vfio_pci_vendor_log_dma(igbvf->dev, 0, U64_MAX);
		igbvf->rings[q].enabled = false;
	}
}

void igbvf_log_free(struct igbvf *igbvf)
{
	unsigned int q;

	for (q = 0; q < IGBVF_NR_RX; q++)
		kvfree(igbvf->rings[q].buffers);
}

/**
 * igbvf_log_save() - save the buffers that the device owns
 * @igbvf: the device, locked and stopped
 * @q: receive queue
 * @head: head of the queue
 * @buffers: set to the buffers from @head on, or NULL
 *
 * Return: the number of buffers, 0 if they are not known.
 */
u32 igbvf_log_save(struct igbvf *igbvf, unsigned int q, u32 head,
		   struct igbvf_buffer *buffers)
{
	const struct igbvf_ring *ring = &igbvf->rings[q];
	u32 i, nr;

	if (!ring->enabled || head >= ring->size || ring->tail >= ring->size)
		return 0;

	nr = igbvf_ring_count(ring->size, head, ring->tail);
	for (i = 0; buffers && i < nr; i++)
		buffers[i] = ring->buffers[(head + i) % ring->size];

	return nr;
}

/**
 * igbvf_log_load() - take over the buffers of a loaded queue
 * @igbvf: the device, locked and stopped; it has the loaded registers
 * @q: receive queue, enabled by the guest
 * @tail: tail of the queue
 * @buffers: known buffers, from the head on
 * @nr: number of @buffers
 *
 * Other buffers are unknown until the guest hands them over again.
 *
 * Return: 0, -ENOMEM if out of memory, or the errno of an access.
 */
int igbvf_log_load(struct igbvf *igbvf, unsigned int q, u32 tail,
		   const struct igbvf_buffer *buffers, u32 nr)
{
	struct igbvf_ring *ring = &igbvf->rings[q];
	u32 head, i;
	int ret;

	ret = igbvf_read(igbvf, igbvf_queue(q) + IGBVF_DH, &head) ?:
	      igbvf_set_up_ring(igbvf, q, head);
	if (ret)
		return ret;

	ring->tail = tail;
	if (head >= ring->size)
		return 0;
	for (i = 0; i < min(nr, ring->size); i++)
		ring->buffers[(head + i) % ring->size] = buffers[i];

	return 0;
}
