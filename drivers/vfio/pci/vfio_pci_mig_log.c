// SPDX-License-Identifier: GPL-2.0-only
/*
 * VFIO PCI migration: log of the memory that a device writes
 *
 * A vendor driver reports each write of the device.  The log has one bitmap for
 * each written part of the address space.  The memory and time for the log
 * depend on the dirty pages, not on the mapped ones.
 *
 * If such a bitmap cannot be allocated, the log marks larger blocks as dirty, in
 * a bitmap that it allocates at the start.
 */

#include <linux/bitmap.h>
#include <linux/interval_tree.h>
#include <linux/iova_bitmap.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/slab.h>
#include <linux/vfio.h>
#include <linux/vfio_pci_core.h>
#include <linux/xarray.h>
#include <kunit/visibility.h>

#include "vfio_pci_mig.h"
#include "vfio_pci_priv.h"

/* Pages in one bitmap */
#define LOG_CHUNK_PAGES	2048
#define LOG_CHUNK_SIZE	((u64)LOG_CHUNK_PAGES << PAGE_SHIFT)

struct vfio_pci_mig_chunk {
	DECLARE_BITMAP(dirty, LOG_CHUNK_PAGES);
};

#define LOG_BLOCKS_SHIFT	10

/* A logged range of addresses, including both ends */
struct vfio_pci_mig_log_range {
	u64		start;
	u64		last;
	/* Blocks of 1 << @shift bytes that may be dirty */
	unsigned int	shift;
	DECLARE_BITMAP(blocks, 1 << LOG_BLOCKS_SHIFT);
};

static void vfio_pci_mig_log_free(struct vfio_pci_mig_log *log)
{
	struct vfio_pci_mig_chunk *chunk;
	unsigned long index;

	xa_for_each(&log->chunks, index, chunk)
		kfree(chunk);
	xa_destroy(&log->chunks);
	kvfree(log->ranges);
	log->ranges = NULL;
	log->nr_ranges = 0;
	log->nr_chunks = 0;
}

void vfio_pci_mig_log_init(struct vfio_pci_mig_log *log)
{
	mutex_init(&log->lock);
	xa_init_flags(&log->chunks, XA_FLAGS_ACCOUNT);
}
EXPORT_SYMBOL_IF_KUNIT(vfio_pci_mig_log_init);

/**
 * vfio_pci_mig_log_begin() - start logging
 * @log: the log
 * @root: ranges to log, as struct interval_tree_node, without overlaps
 * @nnodes: number of ranges, not 0
 *
 * Return: 0, -EBUSY if logging is on, -ENOMEM if out of memory.
 */
int vfio_pci_mig_log_begin(struct vfio_pci_mig_log *log,
			   struct rb_root_cached *root, u32 nnodes)
{
	struct vfio_pci_mig_log_range *range;
	struct interval_tree_node *node;
	unsigned int i = 0;

	guard(mutex)(&log->lock);

	if (log->ranges)
		return -EBUSY;

	log->ranges = kvzalloc_objs(*log->ranges, nnodes, GFP_KERNEL_ACCOUNT);
	if (!log->ranges)
		return -ENOMEM;

	for (node = interval_tree_iter_first(root, 0, ULONG_MAX);
	     node && i < nnodes;
	     node = interval_tree_iter_next(node, 0, ULONG_MAX), i++) {
		range = &log->ranges[i];
		range->start = node->start;
		range->last = node->last;
		range->shift = max(PAGE_SHIFT, fls64(range->last - range->start) -
					       LOG_BLOCKS_SHIFT);
	}
	log->nr_ranges = i;

	return 0;
}
EXPORT_SYMBOL_IF_KUNIT(vfio_pci_mig_log_begin);

/**
 * vfio_pci_mig_log_has_begun() - check whether logging is on
 * @log: the log
 *
 * Return: true between vfio_pci_mig_log_begin() and vfio_pci_mig_log_end().
 */
bool vfio_pci_mig_log_has_begun(struct vfio_pci_mig_log *log)
{
	guard(mutex)(&log->lock);

	return log->ranges;
}

/**
 * vfio_pci_mig_log_end() - stop logging and free the log
 * @log: the log
 *
 * Return: true if logging was on.
 */
bool vfio_pci_mig_log_end(struct vfio_pci_mig_log *log)
{
	guard(mutex)(&log->lock);

	if (!log->ranges)
		return false;

	vfio_pci_mig_log_free(log);

	return true;
}
EXPORT_SYMBOL_IF_KUNIT(vfio_pci_mig_log_end);

static int vfio_pci_mig_log_pages(struct vfio_pci_mig_log *log, u64 first,
				  u64 last)
{
	struct vfio_pci_mig_chunk *chunk;
	u64 index, from, to;
	int ret;

	for (index = first / LOG_CHUNK_PAGES; index <= last / LOG_CHUNK_PAGES;
	     index++) {
		chunk = xa_load(&log->chunks, index);
		if (!chunk) {
			if (log->nr_chunks >= VFIO_PCI_MIG_LOG_CHUNKS)
				return -ENOSPC;
			chunk = kzalloc_obj(*chunk, GFP_KERNEL_ACCOUNT);
			if (!chunk)
				return -ENOMEM;
			ret = xa_err(xa_store(&log->chunks, index, chunk,
					      GFP_KERNEL_ACCOUNT));
			if (ret) {
				kfree(chunk);
				return ret;
			}
			log->nr_chunks++;
		}
		from = max(first, index * LOG_CHUNK_PAGES);
		to = min(last, index * LOG_CHUNK_PAGES + LOG_CHUNK_PAGES - 1);
		bitmap_set(chunk->dirty, from % LOG_CHUNK_PAGES, to - from + 1);
		cond_resched();
	}

	return 0;
}

/**
 * vfio_pci_mig_log_write() - log a write of the device
 * @log: the log
 * @iova: first address
 * @length: number of bytes
 *
 * Return: 0, -ENOMEM if out of memory, or -ENOSPC if the log is full.  After an
 * error, the log also reports clean pages near the written ones as dirty.
 */
int vfio_pci_mig_log_write(struct vfio_pci_mig_log *log, u64 iova, u64 length)
{
	unsigned int i, first;
	u64 last, from, to;
	int err, ret = 0;

	if (!length)
		return 0;
	if (check_add_overflow(iova, length - 1, &last))
		last = U64_MAX;

	guard(mutex)(&log->lock);

	for (i = 0; i < log->nr_ranges; i++) {
		struct vfio_pci_mig_log_range *range = &log->ranges[i];

		from = max(iova, range->start);
		to = min(last, range->last);
		if (from > to)
			continue;
		err = vfio_pci_mig_log_pages(log, from >> PAGE_SHIFT,
					     to >> PAGE_SHIFT);
		if (err) {
			first = (from - range->start) >> range->shift;
			bitmap_set(range->blocks, first,
				   ((to - range->start) >> range->shift) -
				   first + 1);
			ret = err;
		}
	}

	return ret;
}
EXPORT_SYMBOL_IF_KUNIT(vfio_pci_mig_log_write);

/* Report the dirty pages of a chunk between the bytes @iova and @last */
static void vfio_pci_mig_log_report(struct vfio_pci_mig_chunk *chunk, u64 base,
				    u64 iova, u64 last,
				    struct iova_bitmap *dirty)
{
	unsigned int from, to, end;
	u64 first = iova >> PAGE_SHIFT, start, stop;

	from = first > base ? first - base : 0;
	end = min((last >> PAGE_SHIFT) - base, LOG_CHUNK_PAGES - 1) + 1;
	for_each_set_bitrange_from(from, to, chunk->dirty, end) {
		/* The bitmap of userspace has no bits outside the range */
		start = max((base + from) << PAGE_SHIFT, iova);
		stop = min(((base + to) << PAGE_SHIFT) - 1, last);
		iova_bitmap_set(dirty, start, stop - start + 1);
	}
}

/* Clear the reported pages, but keep a page that is only partly in the range */
static void vfio_pci_mig_log_forget(struct vfio_pci_mig_chunk *chunk, u64 base,
				    u64 iova, u64 last)
{
	u64 first = (iova >> PAGE_SHIFT) + !!offset_in_page(iova);
	u64 end = (last >> PAGE_SHIFT) + !offset_in_page(last + 1);

	first = max(first, base);
	end = min(end, base + LOG_CHUNK_PAGES);
	if (first < end)
		bitmap_clear(chunk->dirty, first - base, end - first);
}

/*
 * Report and clear dirty blocks.  Of a block that is only partly read, log the
 * other pages; without memory for this, keep the block.
 */
static void vfio_pci_mig_log_read_blocks(struct vfio_pci_mig_log *log,
					 struct vfio_pci_mig_log_range *range,
					 u64 iova, u64 last,
					 struct iova_bitmap *dirty)
{
	u64 from = max(iova, range->start), to = min(last, range->last);
	u64 start, stop;
	unsigned int i;
	int ret;

	if (from > to)
		return;

	i = (from - range->start) >> range->shift;
	for_each_set_bit_from(i, range->blocks,
			      ((to - range->start) >> range->shift) + 1) {
		start = range->start + ((u64)i << range->shift);
		stop = start + min(BIT_ULL(range->shift) - 1,
				   range->last - start);
		ret = 0;
		if (start < from)
			ret = vfio_pci_mig_log_pages(log, start >> PAGE_SHIFT,
						     (from - 1) >> PAGE_SHIFT);
		if (stop > to && !ret)
			ret = vfio_pci_mig_log_pages(log, (to + 1) >> PAGE_SHIFT,
						     stop >> PAGE_SHIFT);
		if (!ret)
			__clear_bit(i, range->blocks);
		start = max(start, from);
		stop = min(stop, to);
		iova_bitmap_set(dirty, start, stop - start + 1);
	}
}

/**
 * vfio_pci_mig_log_all() - log writes to all logged memory
 * @log: the log
 */
void vfio_pci_mig_log_all(struct vfio_pci_mig_log *log)
{
	unsigned int i;

	guard(mutex)(&log->lock);

	for (i = 0; i < log->nr_ranges; i++)
		bitmap_fill(log->ranges[i].blocks, 1 << LOG_BLOCKS_SHIFT);
}
EXPORT_SYMBOL_IF_KUNIT(vfio_pci_mig_log_all);

/**
 * vfio_pci_mig_log_read() - report and clear the dirty pages of a range
 * @log: the log
 * @iova: first address
 * @length: number of bytes, not 0; addresses that are not logged are clean
 * @dirty: bitmap in which to set the dirty pages
 *
 * Return: 0, -EINVAL if logging is off.
 */
int vfio_pci_mig_log_read(struct vfio_pci_mig_log *log, u64 iova, u64 length,
			  struct iova_bitmap *dirty)
{
	struct vfio_pci_mig_chunk *chunk;
	u64 last = iova + length - 1;
	unsigned long index;
	unsigned int i;

	guard(mutex)(&log->lock);

	if (!log->ranges)
		return -EINVAL;

	for (i = 0; i < log->nr_ranges; i++)
		vfio_pci_mig_log_read_blocks(log, &log->ranges[i], iova, last,
					     dirty);

	xa_for_each_range(&log->chunks, index, chunk, iova / LOG_CHUNK_SIZE,
			  last / LOG_CHUNK_SIZE) {
		u64 base = (u64)index * LOG_CHUNK_PAGES;

		vfio_pci_mig_log_report(chunk, base, iova, last, dirty);
		vfio_pci_mig_log_forget(chunk, base, iova, last);
		if (bitmap_empty(chunk->dirty, LOG_CHUNK_PAGES)) {
			xa_erase(&log->chunks, index);
			kfree(chunk);
			log->nr_chunks--;
		}
		cond_resched();
	}

	return 0;
}
EXPORT_SYMBOL_IF_KUNIT(vfio_pci_mig_log_read);

/**
 * vfio_pci_vendor_log_dma() - report a DMA write of a device
 * @dev: the device
 * @iova: first address
 * @length: number of bytes
 *
 * For vendor drivers with struct vfio_pci_dma_log_ops, which explains when to
 * call this.  The core ignores addresses that userspace does not log.
 *
 * Context: Process context, may sleep.  From the open of the device until the
 * close callback of the driver returns.
 */
void vfio_pci_vendor_log_dma(struct vfio_pci_vendor_device *dev, u64 iova,
			     u64 length)
{
	struct vfio_pci_vendor *vendor = to_vfio_pci_vendor(dev);
	/* Pairs with the release in vfio_pci_mig_open() */
	struct vfio_pci_mig *mig = smp_load_acquire(&vendor->migration);

	if (mig && vfio_pci_mig_log_write(&mig->log, iova, length))
		dev_warn_ratelimited(&dev->pdev->dev,
				     "%s: the DMA log is full or out of memory: clean pages near the written ones count as dirty, migration takes longer\n",
				     dev->driver->name);
}
EXPORT_SYMBOL_GPL(vfio_pci_vendor_log_dma);

/**
 * vfio_pci_mig_stop_logging() - stop the logging of a device
 * @mig: the migration, locked
 */
void vfio_pci_mig_stop_logging(struct vfio_pci_mig *mig)
{
	if (vfio_pci_mig_log_end(&mig->log) && mig->ops->log->stop)
		mig->ops->log->stop(mig->dev);
}

MODULE_IMPORT_NS("IOMMUFD");
