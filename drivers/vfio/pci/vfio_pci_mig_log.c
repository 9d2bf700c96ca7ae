// SPDX-License-Identifier: GPL-2.0-only
/*
 * VFIO PCI migration: log of the memory that a device writes
 *
 * A vendor driver reports each write of the device.  The log has one bitmap for
 * each written part of the address space.  The memory and time for the log
 * depend on the dirty pages, not on the mapped ones.
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
/* Limit the memory: a guest can make a device write to any address */
#define LOG_MAX_CHUNKS	65536

struct vfio_pci_mig_chunk {
	DECLARE_BITMAP(dirty, LOG_CHUNK_PAGES);
};

/* A logged range of addresses, including both ends */
struct vfio_pci_mig_log_range {
	u64	start;
	u64	last;
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
	log->lost = false;
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
	struct interval_tree_node *node;
	unsigned int i = 0;

	guard(mutex)(&log->lock);

	if (log->ranges)
		return -EBUSY;

	log->ranges = kvmalloc_objs(*log->ranges, nnodes, GFP_KERNEL_ACCOUNT);
	if (!log->ranges)
		return -ENOMEM;

	for (node = interval_tree_iter_first(root, 0, ULONG_MAX);
	     node && i < nnodes;
	     node = interval_tree_iter_next(node, 0, ULONG_MAX), i++) {
		log->ranges[i].start = node->start;
		log->ranges[i].last = node->last;
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
			if (log->nr_chunks == LOG_MAX_CHUNKS)
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
 * error, the log reports all logged pages as dirty.
 */
int vfio_pci_mig_log_write(struct vfio_pci_mig_log *log, u64 iova, u64 length)
{
	unsigned int i;
	u64 last;
	int ret;

	if (!length)
		return 0;
	if (check_add_overflow(iova, length - 1, &last))
		last = U64_MAX;

	guard(mutex)(&log->lock);

	for (i = 0; i < log->nr_ranges && !log->lost; i++) {
		const struct vfio_pci_mig_log_range *range = &log->ranges[i];

		if (last < range->start || iova > range->last)
			continue;
		ret = vfio_pci_mig_log_pages(log,
					     max(iova, range->start) >> PAGE_SHIFT,
					     min(last, range->last) >> PAGE_SHIFT);
		if (ret) {
			log->lost = true;
			return ret;
		}
	}

	return 0;
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

	guard(mutex)(&log->lock);

	if (!log->ranges)
		return -EINVAL;

	if (log->lost) {
		iova_bitmap_set(dirty, iova, length);
		return 0;
	}

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
 * For vendor drivers with a log_start operation.  Report a write after it is
 * complete, but before the next log_sync or log_stop returns.  If you report a
 * write earlier, report it again when it is complete.  The core ignores
 * addresses that userspace does not log.
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
				     "%s: DMA log overflowed: all logged pages are reported as dirty, migration takes longer\n",
				     dev->driver->name);
}
EXPORT_SYMBOL_GPL(vfio_pci_vendor_log_dma);

/**
 * vfio_pci_mig_stop_logging() - stop the logging of a device
 * @mig: the migration, locked
 */
void vfio_pci_mig_stop_logging(struct vfio_pci_mig *mig)
{
	if (vfio_pci_mig_log_end(&mig->log) && mig->ops->log_stop)
		mig->ops->log_stop(mig->dev);
}

MODULE_IMPORT_NS("IOMMUFD");
