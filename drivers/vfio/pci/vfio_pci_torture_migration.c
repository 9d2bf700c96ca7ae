// SPDX-License-Identifier: GPL-2.0-only
/*
 * Scriptable vendor driver for the selftests of migration
 *
 * The driver migrates any device with a made-up state: a seed, and bytes that
 * follow from it.  It never accesses the device.  Module options make its
 * operations slow or fail.  It counts calls that violate the contract of struct
 * vfio_pci_migration_ops.  For tests only.
 */

#include <linux/atomic.h>
#include <linux/cleanup.h>
#include <linux/delay.h>
#include <linux/list.h>
#include <linux/lockdep.h>
#include <linux/minmax.h>
#include <linux/module.h>
#include <linux/overflow.h>
#include <linux/pci.h>
#include <linux/pm_runtime.h>
#include <linux/rwsem.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/unaligned.h>
#include <linux/vfio_pci_core.h>
#include <linux/vfio_pci_migration.h>
#include <linux/vfio_pci_regops.h>

static char *ids = "";
module_param(ids, charp, 0444);
MODULE_PARM_DESC(ids, "Supported devices, in the format of vfio-pci's ids");

/* Abilities of a device; vfio-pci reads them when it binds the device */
static bool p2p;
module_param(p2p, bool, 0444);
MODULE_PARM_DESC(p2p, "Support P2P");
static unsigned long long precopy;
module_param(precopy, ullong, 0444);
MODULE_PARM_DESC(precopy, "Initial bytes of pre-copy; 0 disables pre-copy");
static bool can_log;
module_param_named(log, can_log, bool, 0444);
MODULE_PARM_DESC(log, "Support DMA logging");

static unsigned long long size = 4096;
module_param(size, ullong, 0644);
MODULE_PARM_DESC(size, "Size of the state in bytes");
static unsigned int part;
module_param(part, uint, 0644);
MODULE_PARM_DESC(part, "Bytes of each save; 0 fills the buffer");
static unsigned long long dirty;
module_param(dirty, ullong, 0644);
MODULE_PARM_DESC(dirty, "Bytes that become dirty at each precopy_pending");
static unsigned int delay_ms;
module_param(delay_ms, uint, 0644);
MODULE_PARM_DESC(delay_ms, "Delay of each operation");
static bool cheap;
module_param(cheap, bool, 0644);
MODULE_PARM_DESC(cheap, "Skip computing and comparing the state, for benchmarks");
static unsigned long long sync_iova, sync_length;
module_param(sync_iova, ullong, 0644);
MODULE_PARM_DESC(sync_iova, "First address that each log_sync reports");
module_param(sync_length, ullong, 0644);
MODULE_PARM_DESC(sync_length, "Bytes that each log_sync reports");

enum torture_op {
	OP_STOP,
	OP_RUN,
	OP_QUIESCE,
	OP_SIZE,
	OP_SAVE,
	OP_LOAD,
	OP_LOAD_DONE,
	OP_PRECOPY_START,
	OP_PRECOPY_STOP,
	OP_PRECOPY_PENDING,
	OP_PRECOPY_SAVE,
	OP_PRECOPY_LOAD,
	OP_LOG_START,
	OP_LOG_STOP,
	OP_LOG_SYNC,
	NR_OPS,
};

static const char * const torture_ops[] = {
	[OP_STOP]		= "stop",
	[OP_RUN]		= "run",
	[OP_QUIESCE]		= "quiesce",
	[OP_SIZE]		= "size",
	[OP_SAVE]		= "save",
	[OP_LOAD]		= "load",
	[OP_LOAD_DONE]		= "load_done",
	[OP_PRECOPY_START]	= "precopy_start",
	[OP_PRECOPY_STOP]	= "precopy_stop",
	[OP_PRECOPY_PENDING]	= "precopy_pending",
	[OP_PRECOPY_SAVE]	= "precopy_save",
	[OP_PRECOPY_LOAD]	= "precopy_load",
	[OP_LOG_START]		= "log_start",
	[OP_LOG_STOP]		= "log_stop",
	[OP_LOG_SYNC]		= "log_sync",
};

/* Number of calls, for all devices */
static atomic_t torture_calls[NR_OPS];

static int torture_get_calls(char *buffer, const struct kernel_param *kp)
{
	int i, len = 0;

	for (i = 0; i < NR_OPS; i++)
		len += sysfs_emit_at(buffer, len, "%s %d\n", torture_ops[i],
				     atomic_read(&torture_calls[i]));

	return len;
}

static const struct kernel_param_ops torture_calls_ops = {
	.get = torture_get_calls,
};

module_param_cb(calls, &torture_calls_ops, NULL, 0444);

/* The failing operation, its first failing call and its return value */
static int fail_op = NR_OPS;
static unsigned int fail_after;
module_param(fail_after, uint, 0644);
MODULE_PARM_DESC(fail_after, "Number of calls before the operation fails");
static int fail_errno;
module_param(fail_errno, int, 0644);
MODULE_PARM_DESC(fail_errno, "Return value of the failing operation");

static int torture_set_fail_op(const char *val, const struct kernel_param *kp)
{
	int i = __sysfs_match_string(torture_ops, NR_OPS, val);

	if (i < 0 && !sysfs_streq(val, "none"))
		return i;

	WRITE_ONCE(fail_op, i < 0 ? NR_OPS : i);

	return 0;
}

static int torture_get_fail_op(char *buffer, const struct kernel_param *kp)
{
	int i = READ_ONCE(fail_op);

	return sysfs_emit(buffer, "%s\n", i < NR_OPS ? torture_ops[i] : "none");
}

static const struct kernel_param_ops torture_fail_op_ops = {
	.set	= torture_set_fail_op,
	.get	= torture_get_fail_op,
};

module_param_cb(fail_op, &torture_fail_op_ops, NULL, 0644);
MODULE_PARM_DESC(fail_op, "The failing operation, or none");

/* Violations of the contract, and resets, for all devices */
static atomic_t violations, resets;

static int torture_get_count(char *buffer, const struct kernel_param *kp)
{
	return sysfs_emit(buffer, "%d\n", atomic_read((atomic_t *)kp->arg));
}

static const struct kernel_param_ops torture_count_ops = {
	.get = torture_get_count,
};

module_param_cb(violations, &torture_count_ops, &violations, 0444);
module_param_cb(resets, &torture_count_ops, &resets, 0444);

enum torture_level {
	LEVEL_STOPPED,
	LEVEL_QUIET,
	LEVEL_RUNNING,
};

static const char * const torture_levels[] = {
	[LEVEL_STOPPED]	= "stopped",
	[LEVEL_QUIET]	= "quiet",
	[LEVEL_RUNNING]	= "running",
};

/* Data of one transfer */
struct torture_transfer {
	u64	seed;
	u64	size;
	/* Position of the next byte */
	u64	pos;
};

struct torture_device {
	struct list_head		node;
	struct vfio_pci_vendor_device	*dev;
	/* Number of running operations; the contract allows one */
	atomic_t			busy;

	enum torture_level		level;
	/* A reset may have overtaken a state change that began before it */
	bool				late;

	/* The core serializes operations; options change it between migrations */
	u64				seed;
	bool				precopying;
	bool				logging;
	/* Version of the last loaded state, or 0 */
	u32				version;
	u64				initial;
	u64				dirty;
	struct torture_transfer		save;
	struct torture_transfer		presave;
	struct torture_transfer		load;
	struct torture_transfer		preload;
};

/* Open devices, in the order of opening */
static LIST_HEAD(torture_devices);
static DECLARE_RWSEM(torture_lock);
static u64 torture_next_seed;

static int torture_get_devices(char *buffer, const struct kernel_param *kp)
{
	struct torture_device *t;
	int len = 0;

	guard(rwsem_write)(&torture_lock);

	list_for_each_entry(t, &torture_devices, node)
		len += sysfs_emit_at(buffer, len, "%s %s %#llx version %u%s%s\n",
				     pci_name(t->dev->pdev),
				     torture_levels[READ_ONCE(t->level)],
				     READ_ONCE(t->seed), READ_ONCE(t->version),
				     READ_ONCE(t->precopying) ? " precopying" : "",
				     READ_ONCE(t->logging) ? " logging" : "");

	return len;
}

static const struct kernel_param_ops torture_devices_ops = {
	.get = torture_get_devices,
};

module_param_cb(devices, &torture_devices_ops, NULL, 0444);

/* Find an open device by its BDF */
static struct torture_device *torture_find(const char *bdf)
{
	struct torture_device *t;

	lockdep_assert_held(&torture_lock);

	list_for_each_entry(t, &torture_devices, node)
		if (sysfs_streq(bdf, pci_name(t->dev->pdev)))
			return t;

	return NULL;
}

/* "BDF seed": set the state of an open device */
static int torture_set_seed(const char *val, const struct kernel_param *kp)
{
	struct torture_device *t;
	char bdf[16];
	u64 seed;

	if (sscanf(val, "%15s %lli", bdf, &seed) != 2)
		return -EINVAL;

	guard(rwsem_write)(&torture_lock);

	t = torture_find(bdf);
	if (!t)
		return -ENODEV;
	WRITE_ONCE(t->seed, seed);

	return 0;
}

static const struct kernel_param_ops torture_seed_ops = {
	.set = torture_set_seed,
};

module_param_cb(seed, &torture_seed_ops, NULL, 0200);

/* "BDF bytes": add dirty bytes to a device that no one reads from */
static int torture_make_dirty(const char *val, const struct kernel_param *kp)
{
	struct torture_device *t;
	char bdf[16];
	u64 bytes;

	if (sscanf(val, "%15s %lli", bdf, &bytes) != 2)
		return -EINVAL;

	guard(rwsem_write)(&torture_lock);

	t = torture_find(bdf);
	if (!t)
		return -ENODEV;
	t->dirty += bytes;
	vfio_pci_vendor_precopy_ready(t->dev);

	return 0;
}

static const struct kernel_param_ops torture_make_dirty_ops = {
	.set = torture_make_dirty,
};

module_param_cb(make_dirty, &torture_make_dirty_ops, NULL, 0200);

/* Find the PCI device of a BDF if it is open; the caller puts it */
static struct pci_dev *torture_find_pdev(const char *bdf)
{
	struct torture_device *t;

	guard(rwsem_write)(&torture_lock);

	t = torture_find(bdf);

	return t ? pci_dev_get(t->dev->pdev) : NULL;
}

/* "BDF": call the reset handlers, without the delay of a reset */
static int torture_pretend_reset(const char *val, const struct kernel_param *kp)
{
	struct pci_dev *pdev __free(pci_dev_put) = torture_find_pdev(val);
	const struct pci_error_handlers *handlers;

	if (!pdev)
		return -ENODEV;

	guard(device)(&pdev->dev);

	handlers = pdev->driver ? pdev->driver->err_handler : NULL;
	if (!handlers || !handlers->reset_prepare || !handlers->reset_done)
		return -ENODEV;
	handlers->reset_prepare(pdev);
	handlers->reset_done(pdev);

	return 0;
}

static const struct kernel_param_ops torture_reset_ops = {
	.set = torture_pretend_reset,
};

module_param_cb(reset, &torture_reset_ops, NULL, 0200);

/* "iova length": all open devices write memory */
static int torture_mark_dirty(const char *val, const struct kernel_param *kp)
{
	struct torture_device *t;
	u64 iova, length;

	if (sscanf(val, "%lli %lli", &iova, &length) != 2)
		return -EINVAL;

	/* Several threads may do this concurrently */
	guard(rwsem_read)(&torture_lock);

	list_for_each_entry(t, &torture_devices, node)
		vfio_pci_vendor_log_dma(t->dev, iova, length);

	return 0;
}

static const struct kernel_param_ops torture_mark_dirty_ops = {
	.set = torture_mark_dirty,
};

module_param_cb(mark_dirty, &torture_mark_dirty_ops, NULL, 0200);

static void torture_violation(struct torture_device *t, enum torture_op op,
			      const char *what)
{
	atomic_inc(&violations);
	dev_err_ratelimited(&t->dev->pdev->dev, "contract violated: %s: %s\n",
			    torture_ops[op], what);
}

/* Check a condition of the contract, unless a reset raced with the call */
static void torture_require(struct torture_device *t, enum torture_op op,
			    bool holds, const char *what)
{
	if (!holds && !READ_ONCE(t->late))
		torture_violation(t, op, what);
}

#define torture_need(t, op, cond)	torture_require(t, op, cond, "requires " #cond)

static int torture_fails(enum torture_op op)
{
	unsigned int after = READ_ONCE(fail_after);

	if (READ_ONCE(fail_op) != op)
		return 0;
	if (after) {
		WRITE_ONCE(fail_after, after - 1);
		return 0;
	}

	return READ_ONCE(fail_errno);
}

/* Begin an operation; return 0, or the value that the operation must return */
static int torture_begin(struct torture_device *t, enum torture_op op)
{
	unsigned int ms = READ_ONCE(delay_ms);

	atomic_inc(&torture_calls[op]);
	if (atomic_inc_return(&t->busy) != 1)
		torture_violation(t, op, "another operation is running");
	if (!pm_runtime_active(&t->dev->pdev->dev))
		torture_violation(t, op, "the device is suspended");
	if (ms)
		msleep(ms);

	return torture_fails(op);
}

static void torture_end(struct torture_device *t)
{
	atomic_dec(&t->busy);
}

static enum torture_level torture_level(struct torture_device *t)
{
	return READ_ONCE(t->level);
}

static int torture_change_level(struct vfio_pci_vendor_device *dev,
				enum torture_op op, enum torture_level level)
{
	struct torture_device *t = dev->data;
	int ret;

	torture_need(t, op, torture_level(t) != level);
	if (level != LEVEL_RUNNING)
		WRITE_ONCE(t->late, false);
	ret = torture_begin(t, op);
	/* After a reset the device runs, even if this call fails */
	if (!ret || (level == LEVEL_RUNNING && READ_ONCE(t->late)))
		WRITE_ONCE(t->level, level);
	torture_end(t);

	return ret;
}

static int torture_stop(struct vfio_pci_vendor_device *dev)
{
	return torture_change_level(dev, OP_STOP, LEVEL_STOPPED);
}

static int torture_run(struct vfio_pci_vendor_device *dev)
{
	return torture_change_level(dev, OP_RUN, LEVEL_RUNNING);
}

static int torture_quiesce(struct vfio_pci_vendor_device *dev)
{
	return torture_change_level(dev, OP_QUIESCE, LEVEL_QUIET);
}

static u64 torture_size(struct vfio_pci_vendor_device *dev)
{
	struct torture_device *t = dev->data;
	int ret = torture_begin(t, OP_SIZE);

	torture_end(t);

	return ret ? (u64)ret : READ_ONCE(size);
}

/* Compute the word at an index: the seed, the size, or a derived word */
static u64 torture_word(const struct torture_transfer *transfer, u64 index)
{
	if (!index)
		return transfer->seed;
	if (index == 1)
		return transfer->size;

	return (transfer->seed + index) * 0x9e3779b97f4a7c15ULL;
}

/* Copy up to @count bytes from @pos to the end of its word */
static size_t torture_bytes(const struct torture_transfer *transfer, u64 pos,
			    size_t count, u8 *bytes)
{
	unsigned int skip = pos % sizeof(u64);
	u8 word[sizeof(u64)];

	count = min_t(size_t, count, sizeof(u64) - skip);
	put_unaligned_le64(torture_word(transfer, pos / sizeof(u64)), word);
	memcpy(bytes, word + skip, count);

	return count;
}

static void torture_fill(const struct torture_transfer *transfer, u64 pos,
			 u8 *buf, size_t count)
{
	size_t done;

	for (; count; count -= done, buf += done, pos += done) {
		if (IS_ALIGNED(pos, sizeof(u64)) && count >= sizeof(u64)) {
			done = sizeof(u64);
			put_unaligned_le64(torture_word(transfer, pos / done),
					   buf);
		} else {
			done = torture_bytes(transfer, pos, count, buf);
		}
	}
}

/* Take seed and size; check that all other bytes follow from them */
static bool torture_matches(struct torture_transfer *transfer, const u8 *buf,
			    size_t count)
{
	u64 pos = transfer->pos;
	u8 bytes[sizeof(u64)];
	size_t done;

	for (; count; count -= done, buf += done, pos += done) {
		if (pos < sizeof(u64)) {
			done = 1;
			transfer->seed |= (u64)*buf << (pos * BITS_PER_BYTE);
			continue;
		}
		if (pos < 2 * sizeof(u64)) {
			done = 1;
			transfer->size |= (u64)*buf << (pos % sizeof(u64) * BITS_PER_BYTE);
			continue;
		}
		if (READ_ONCE(cheap))
			break;
		if (IS_ALIGNED(pos, sizeof(u64)) && count >= sizeof(u64)) {
			done = sizeof(u64);
			if (get_unaligned_le64(buf) !=
			    torture_word(transfer, pos / done))
				return false;
		} else {
			done = torture_bytes(transfer, pos, count, bytes);
			if (memcmp(buf, bytes, done))
				return false;
		}
	}

	return true;
}

static ssize_t torture_give(struct torture_transfer *transfer, void *buf,
			    size_t count, u64 left)
{
	unsigned int most = READ_ONCE(part);

	if (most)
		count = min_t(size_t, count, most);
	count = min_t(u64, count, left);
	/* A benchmark sends the old contents of the buffer */
	if (!READ_ONCE(cheap) || !transfer->pos)
		torture_fill(transfer, transfer->pos, buf, count);
	transfer->pos += count;

	return count;
}

static ssize_t torture_save(struct vfio_pci_vendor_device *dev, void *buf,
			    size_t count, u64 pos)
{
	struct torture_device *t = dev->data;
	ssize_t ret = torture_begin(t, OP_SAVE);

	torture_need(t, OP_SAVE, torture_level(t) == LEVEL_STOPPED);
	torture_need(t, OP_SAVE, count >= VFIO_PCI_MIGRATION_PART_MIN);
	torture_need(t, OP_SAVE, !pos || pos == t->save.pos);
	if (!pos)
		t->save = (struct torture_transfer){
			.seed = t->seed, .size = READ_ONCE(size)
		};
	if (!ret)
		ret = torture_give(&t->save, buf, count,
				   t->save.size - t->save.pos);
	torture_end(t);

	return ret;
}

static int torture_take(struct torture_transfer *transfer, const void *buf,
			size_t count, u64 pos)
{
	if (!pos)
		*transfer = (struct torture_transfer){};
	if (!torture_matches(transfer, buf, count))
		return -EINVAL;
	transfer->pos += count;

	return 0;
}

/* All parts of a state have the version of the first */
static void torture_check_version(struct torture_device *t, enum torture_op op,
				  bool first)
{
	u32 version = vfio_pci_vendor_load_version(t->dev);

	if (first)
		WRITE_ONCE(t->version, version);
	torture_need(t, op, version == t->version);
}

static int torture_load(struct vfio_pci_vendor_device *dev, const void *buf,
			size_t count, u64 pos)
{
	struct torture_device *t = dev->data;
	int ret = torture_begin(t, OP_LOAD);

	torture_check_version(t, OP_LOAD, !pos && !t->preload.pos);
	torture_need(t, OP_LOAD, torture_level(t) == LEVEL_STOPPED);
	torture_need(t, OP_LOAD, count);
	torture_need(t, OP_LOAD, !pos || pos == t->load.pos);
	if (!ret)
		ret = torture_take(&t->load, buf, count, pos);
	torture_end(t);

	return ret;
}

/* A state of less than 16 bytes does not contain its size */
static int torture_use_loaded(struct torture_device *t)
{
	if (!t->load.pos)
		return 0;
	if (t->load.pos >= 2 * sizeof(u64) && t->load.size != t->load.pos)
		return -EINVAL;
	if (t->load.pos >= sizeof(u64) && t->preload.pos >= sizeof(u64) &&
	    t->load.seed != t->preload.seed)
		return -EINVAL;
	WRITE_ONCE(t->seed, t->load.seed);

	return 0;
}

static void torture_forget(struct torture_device *t)
{
	t->load = (struct torture_transfer){};
	t->preload = (struct torture_transfer){};
}

static int torture_load_done(struct vfio_pci_vendor_device *dev)
{
	struct torture_device *t = dev->data;
	int ret = torture_begin(t, OP_LOAD_DONE);

	torture_need(t, OP_LOAD_DONE, torture_level(t) == LEVEL_STOPPED);
	torture_check_version(t, OP_LOAD_DONE, !t->load.pos && !t->preload.pos);
	if (!ret)
		ret = torture_use_loaded(t);
	torture_forget(t);
	torture_end(t);

	return ret;
}

/* A reset ends loading */
static void torture_reset(struct vfio_pci_vendor_device *dev)
{
	torture_forget(dev->data);
}

static int torture_precopy_start(struct vfio_pci_vendor_device *dev)
{
	struct torture_device *t = dev->data;
	int ret = torture_begin(t, OP_PRECOPY_START);

	torture_need(t, OP_PRECOPY_START, torture_level(t) != LEVEL_STOPPED);
	torture_need(t, OP_PRECOPY_START, !t->precopying);
	WRITE_ONCE(t->late, false);
	if (!ret) {
		WRITE_ONCE(t->precopying, true);
		t->initial = precopy;
		t->dirty = 0;
	}
	torture_end(t);

	return ret;
}

static void torture_precopy_stop(struct vfio_pci_vendor_device *dev)
{
	struct torture_device *t = dev->data;

	torture_begin(t, OP_PRECOPY_STOP);
	torture_need(t, OP_PRECOPY_STOP, t->precopying);
	WRITE_ONCE(t->precopying, false);
	torture_end(t);
}

static int torture_precopy_pending(struct vfio_pci_vendor_device *dev,
				   u64 *initial, u64 *more)
{
	struct torture_device *t = dev->data;
	int ret = torture_begin(t, OP_PRECOPY_PENDING);

	torture_need(t, OP_PRECOPY_PENDING, torture_level(t) != LEVEL_STOPPED);
	torture_need(t, OP_PRECOPY_PENDING, t->precopying);
	if (!ret) {
		*initial = t->initial;
		*more = t->dirty;
		if (check_add_overflow(t->dirty, READ_ONCE(dirty), &t->dirty))
			t->dirty = U64_MAX;
	}
	torture_end(t);

	return ret;
}

static ssize_t torture_precopy_save(struct vfio_pci_vendor_device *dev,
				    void *buf, size_t count, u64 pos)
{
	struct torture_device *t = dev->data;
	ssize_t ret = torture_begin(t, OP_PRECOPY_SAVE);
	u64 *left = t->initial ? &t->initial : &t->dirty;

	torture_need(t, OP_PRECOPY_SAVE, torture_level(t) != LEVEL_STOPPED);
	torture_need(t, OP_PRECOPY_SAVE, t->precopying);
	torture_need(t, OP_PRECOPY_SAVE, count >= VFIO_PCI_MIGRATION_PART_MIN);
	torture_need(t, OP_PRECOPY_SAVE, !pos || pos == t->presave.pos);
	if (!pos)
		t->presave = (struct torture_transfer){ .seed = t->seed };
	if (!ret) {
		ret = torture_give(&t->presave, buf, count, *left);
		*left -= ret;
	}
	torture_end(t);

	return ret;
}

static int torture_precopy_load(struct vfio_pci_vendor_device *dev,
				const void *buf, size_t count, u64 pos)
{
	struct torture_device *t = dev->data;
	int ret = torture_begin(t, OP_PRECOPY_LOAD);

	torture_check_version(t, OP_PRECOPY_LOAD, !pos);
	torture_need(t, OP_PRECOPY_LOAD, torture_level(t) == LEVEL_STOPPED);
	torture_need(t, OP_PRECOPY_LOAD, count);
	torture_need(t, OP_PRECOPY_LOAD, !pos || pos == t->preload.pos);
	if (!ret)
		ret = torture_take(&t->preload, buf, count, pos);
	torture_end(t);

	return ret;
}

static int torture_log_start(struct vfio_pci_vendor_device *dev)
{
	struct torture_device *t = dev->data;
	int ret = torture_begin(t, OP_LOG_START);

	if (t->logging)
		torture_violation(t, OP_LOG_START, "logging is on");
	if (!ret)
		WRITE_ONCE(t->logging, true);
	torture_end(t);

	return ret;
}

static void torture_log_stop(struct vfio_pci_vendor_device *dev)
{
	struct torture_device *t = dev->data;

	torture_begin(t, OP_LOG_STOP);
	if (!t->logging)
		torture_violation(t, OP_LOG_STOP, "logging is off");
	WRITE_ONCE(t->logging, false);
	torture_end(t);
}

static int torture_log_sync(struct vfio_pci_vendor_device *dev, u64 iova,
			    u64 length)
{
	struct torture_device *t = dev->data;
	int ret = torture_begin(t, OP_LOG_SYNC);

	if (!t->logging)
		torture_violation(t, OP_LOG_SYNC, "logging is off");
	if (!ret)
		vfio_pci_vendor_log_dma(dev, READ_ONCE(sync_iova),
					READ_ONCE(sync_length));
	torture_end(t);

	return ret;
}

static int torture_open(struct vfio_pci_vendor_device *dev)
{
	struct torture_device *t = kzalloc_obj(*t, GFP_KERNEL_ACCOUNT);

	if (!t)
		return -ENOMEM;

	t->dev = dev;
	t->level = LEVEL_RUNNING;
	dev->data = t;

	guard(rwsem_write)(&torture_lock);

	t->seed = ++torture_next_seed;
	list_add_tail(&t->node, &torture_devices);

	return 0;
}

static void torture_close(struct vfio_pci_vendor_device *dev)
{
	struct torture_device *t = dev->data;

	scoped_guard(rwsem_write, &torture_lock)
		list_del(&t->node);

	if (t->precopying)
		torture_violation(t, OP_PRECOPY_STOP, "missing before close");
	if (t->logging)
		torture_violation(t, OP_LOG_STOP, "missing before close");
	kfree(t);
}

static void torture_reset_done(struct vfio_pci_vendor_device *dev)
{
	struct torture_device *t = dev->data;

	/* The device is closed */
	if (!t)
		return;

	atomic_inc(&resets);
	WRITE_ONCE(t->late, true);
	WRITE_ONCE(t->level, LEVEL_RUNNING);
	WRITE_ONCE(t->precopying, false);
}

static struct vfio_pci_migration_ops torture_migration_ops = {
	.version	= 3,
	.min_version	= 2,
	.stop		= torture_stop,
	.run		= torture_run,
	.size		= torture_size,
	.save		= torture_save,
	.load		= torture_load,
	.load_done	= torture_load_done,
	.reset		= torture_reset,
};

static const struct vfio_pci_vendor_driver torture_driver = {
	.name		= "vfio_pci_torture_migration",
	.ids		= &ids,
	.open		= torture_open,
	.close		= torture_close,
	.reset_done	= torture_reset_done,
	.migration	= &torture_migration_ops,
};

static int __init torture_init(void)
{
	struct vfio_pci_migration_ops *ops = &torture_migration_ops;

	if (!*ids)
		return 0;

	if (p2p)
		ops->quiesce = torture_quiesce;
	if (precopy) {
		ops->precopy_start = torture_precopy_start;
		ops->precopy_stop = torture_precopy_stop;
		ops->precopy_pending = torture_precopy_pending;
		ops->precopy_save = torture_precopy_save;
		ops->precopy_load = torture_precopy_load;
	}
	if (can_log) {
		ops->log_start = torture_log_start;
		ops->log_stop = torture_log_stop;
		ops->log_sync = torture_log_sync;
	}

	return vfio_pci_register_vendor_driver(&torture_driver);
}

static void __exit torture_exit(void)
{
	if (*ids)
		vfio_pci_unregister_vendor_driver(&torture_driver);
}

module_init(torture_init);
module_exit(torture_exit);

MODULE_DESCRIPTION("Scriptable vfio-pci vendor driver for the selftests of migration");
MODULE_LICENSE("GPL");
