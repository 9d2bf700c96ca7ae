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
#include <linux/err.h>
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

/* Abilities of the devices; vfio-pci reads them when it binds a device */
static bool p2p;
module_param(p2p, bool, 0444);
MODULE_PARM_DESC(p2p, "Support P2P");
static unsigned long long precopy;
module_param(precopy, ullong, 0444);
MODULE_PARM_DESC(precopy, "Initial bytes of pre-copy; 0 disables pre-copy");
static bool can_log;
module_param_named(log, can_log, bool, 0444);
MODULE_PARM_DESC(log, "Support DMA logging");
static char incapable[16];
module_param_string(incapable, incapable, sizeof(incapable), 0644);
MODULE_PARM_DESC(incapable, "Address of a device that cannot be migrated");

static unsigned long long size = 4096;
module_param(size, ullong, 0644);
MODULE_PARM_DESC(size, "Size of the state in bytes");
static unsigned int part;
module_param(part, uint, 0644);
MODULE_PARM_DESC(part, "Bytes of each save; 0 fills the buffer");
static unsigned long long dirty;
module_param(dirty, ullong, 0644);
MODULE_PARM_DESC(dirty, "Bytes that become dirty at each query of pending bytes");
static unsigned int delay_ms;
module_param(delay_ms, uint, 0644);
MODULE_PARM_DESC(delay_ms, "Delay of each operation");
static bool cheap;
module_param(cheap, bool, 0644);
MODULE_PARM_DESC(cheap, "Skip computing and comparing the state, for benchmarks");
static unsigned long long sync_iova, sync_length;
module_param(sync_iova, ullong, 0644);
MODULE_PARM_DESC(sync_iova, "First address that each sync of the log reports");
module_param(sync_length, ullong, 0644);
MODULE_PARM_DESC(sync_length, "Bytes that each sync of the log reports");

enum testdrv_op {
	OP_STOP,
	OP_RUN,
	OP_QUIESCE,
	OP_BEGIN,
	OP_END,
	OP_SIZE,
	OP_SAVE,
	OP_LOAD,
	OP_LOAD_DONE,
	OP_PRECOPY_PENDING,
	OP_PRECOPY_SAVE,
	OP_PRECOPY_LOAD,
	OP_LOG_START,
	OP_LOG_STOP,
	OP_LOG_SYNC,
	OP_LOG_RESTART,
	NR_OPS,
};

static const char * const testdrv_ops[] = {
	[OP_STOP]		= "stop",
	[OP_RUN]		= "run",
	[OP_QUIESCE]		= "quiesce",
	[OP_BEGIN]		= "begin",
	[OP_END]		= "end",
	[OP_SIZE]		= "size",
	[OP_SAVE]		= "save",
	[OP_LOAD]		= "load",
	[OP_LOAD_DONE]		= "load_done",
	[OP_PRECOPY_PENDING]	= "precopy_pending",
	[OP_PRECOPY_SAVE]	= "precopy_save",
	[OP_PRECOPY_LOAD]	= "precopy_load",
	[OP_LOG_START]		= "log_start",
	[OP_LOG_STOP]		= "log_stop",
	[OP_LOG_SYNC]		= "log_sync",
	[OP_LOG_RESTART]	= "log_restart",
};

/* Number of calls, for all devices */
static atomic_t testdrv_calls[NR_OPS];

static int testdrv_get_calls(char *buffer, const struct kernel_param *kp)
{
	int i, len = 0;

	for (i = 0; i < NR_OPS; i++)
		len += sysfs_emit_at(buffer, len, "%s %d\n", testdrv_ops[i],
				     atomic_read(&testdrv_calls[i]));

	return len;
}

static const struct kernel_param_ops testdrv_calls_ops = {
	.get = testdrv_get_calls,
};

module_param_cb(calls, &testdrv_calls_ops, NULL, 0444);

/* The failing operation, its first failing call and its return value */
static int fail_op = NR_OPS;
static unsigned int fail_after;
module_param(fail_after, uint, 0644);
MODULE_PARM_DESC(fail_after, "Number of calls before the operation fails");
static int fail_errno;
module_param(fail_errno, int, 0644);
MODULE_PARM_DESC(fail_errno, "Return value of the failing operation");

static int testdrv_set_fail_op(const char *val, const struct kernel_param *kp)
{
	int i = __sysfs_match_string(testdrv_ops, NR_OPS, val);

	if (i < 0 && !sysfs_streq(val, "none"))
		return i;

	WRITE_ONCE(fail_op, i < 0 ? NR_OPS : i);

	return 0;
}

static int testdrv_get_fail_op(char *buffer, const struct kernel_param *kp)
{
	int i = READ_ONCE(fail_op);

	return sysfs_emit(buffer, "%s\n", i < NR_OPS ? testdrv_ops[i] : "none");
}

static const struct kernel_param_ops testdrv_fail_op_ops = {
	.set	= testdrv_set_fail_op,
	.get	= testdrv_get_fail_op,
};

module_param_cb(fail_op, &testdrv_fail_op_ops, NULL, 0644);
MODULE_PARM_DESC(fail_op, "The failing operation, or none");

/* Violations of the contract, and resets, for all devices */
static atomic_t violations, resets;

static int testdrv_get_count(char *buffer, const struct kernel_param *kp)
{
	return sysfs_emit(buffer, "%d\n", atomic_read((atomic_t *)kp->arg));
}

static const struct kernel_param_ops testdrv_count_ops = {
	.get = testdrv_get_count,
};

module_param_cb(violations, &testdrv_count_ops, &violations, 0444);
module_param_cb(resets, &testdrv_count_ops, &resets, 0444);

enum testdrv_level {
	LEVEL_STOPPED,
	LEVEL_QUIET,
	LEVEL_RUNNING,
};

static const char * const testdrv_levels[] = {
	[LEVEL_STOPPED]	= "stopped",
	[LEVEL_QUIET]	= "quiet",
	[LEVEL_RUNNING]	= "running",
};

/* Data of one transfer */
struct testdrv_transfer {
	u64	seed;
	u64	size;
	/* Position of the next byte */
	u64	pos;
};

struct testdrv_device {
	struct list_head		node;
	struct vfio_pci_vendor_device	*dev;
	/* Number of running operations; the contract allows one */
	atomic_t			busy;

	enum testdrv_level		level;
	/* A reset may have overtaken a state change that began before it */
	bool				late;

	/* The core serializes operations; parameters change these in between */
	u64				seed;
	/* The last state that began, or 0 outside of sessions */
	u32				session;
	bool				logging;
	/* Version of the last loaded state, or 0 */
	u32				version;
	u64				initial;
	bool				reinit;
	u64				dirty;
	struct testdrv_transfer		save;
	struct testdrv_transfer		presave;
	struct testdrv_transfer		load;
	struct testdrv_transfer		preload;
};

/* Open devices, in the order of opening */
static LIST_HEAD(testdrv_devices);
static DECLARE_RWSEM(testdrv_lock);
static u64 testdrv_next_seed;

static int testdrv_get_devices(char *buffer, const struct kernel_param *kp)
{
	struct testdrv_device *t;
	int len = 0;

	guard(rwsem_write)(&testdrv_lock);

	list_for_each_entry(t, &testdrv_devices, node)
		len += sysfs_emit_at(buffer, len, "%s %s %#llx version %u%s%s\n",
				     pci_name(t->dev->pdev),
				     testdrv_levels[READ_ONCE(t->level)],
				     READ_ONCE(t->seed), READ_ONCE(t->version),
				     READ_ONCE(t->session) ? " in session" : "",
				     READ_ONCE(t->logging) ? " logging" : "");

	return len;
}

static const struct kernel_param_ops testdrv_devices_ops = {
	.get = testdrv_get_devices,
};

module_param_cb(devices, &testdrv_devices_ops, NULL, 0444);

/* Find an open device by its BDF */
static struct testdrv_device *testdrv_find(const char *bdf)
{
	struct testdrv_device *t;

	lockdep_assert_held(&testdrv_lock);

	list_for_each_entry(t, &testdrv_devices, node)
		if (sysfs_streq(bdf, pci_name(t->dev->pdev)))
			return t;

	return NULL;
}

/* Find an open device by its BDF, which a number follows */
static struct testdrv_device *testdrv_parse(const char *val, u64 *number)
{
	struct testdrv_device *t;
	char bdf[16];

	if (sscanf(val, "%15s %lli", bdf, number) != 2)
		return ERR_PTR(-EINVAL);

	t = testdrv_find(bdf);

	return t ?: ERR_PTR(-ENODEV);
}

/* "BDF seed": set the state of an open device */
static int testdrv_set_seed(const char *val, const struct kernel_param *kp)
{
	struct testdrv_device *t;
	u64 seed;

	guard(rwsem_write)(&testdrv_lock);

	t = testdrv_parse(val, &seed);
	if (IS_ERR(t))
		return PTR_ERR(t);
	WRITE_ONCE(t->seed, seed);

	return 0;
}

static const struct kernel_param_ops testdrv_seed_ops = {
	.set = testdrv_set_seed,
};

module_param_cb(seed, &testdrv_seed_ops, NULL, 0200);

/* "BDF bytes": add dirty bytes while no one reads the data of the device */
static int testdrv_make_dirty(const char *val, const struct kernel_param *kp)
{
	struct testdrv_device *t;
	u64 bytes;

	guard(rwsem_write)(&testdrv_lock);

	t = testdrv_parse(val, &bytes);
	if (IS_ERR(t))
		return PTR_ERR(t);
	t->dirty += bytes;
	vfio_pci_vendor_data_ready(t->dev);

	return 0;
}

static const struct kernel_param_ops testdrv_make_dirty_ops = {
	.set = testdrv_make_dirty,
};

module_param_cb(make_dirty, &testdrv_make_dirty_ops, NULL, 0200);

/* "BDF bytes": add initial data; do not read data at the same time */
static int testdrv_reinit(const char *val, const struct kernel_param *kp)
{
	struct testdrv_device *t;
	u64 bytes;

	guard(rwsem_write)(&testdrv_lock);

	t = testdrv_parse(val, &bytes);
	if (IS_ERR(t))
		return PTR_ERR(t);
	t->initial = bytes;
	t->dirty = 0;
	t->reinit = true;
	vfio_pci_vendor_data_ready(t->dev);

	return 0;
}

static const struct kernel_param_ops testdrv_reinit_ops = {
	.set = testdrv_reinit,
};

module_param_cb(reinit, &testdrv_reinit_ops, NULL, 0200);

/* "BDF": the driver reports that the device lost its state */
static int testdrv_lose_state(const char *val, const struct kernel_param *kp)
{
	struct testdrv_device *t;

	guard(rwsem_read)(&testdrv_lock);

	t = testdrv_find(val);
	if (!t)
		return -ENODEV;
	vfio_pci_vendor_migration_failed(t->dev);

	return 0;
}

static const struct kernel_param_ops testdrv_lose_state_ops = {
	.set = testdrv_lose_state,
};

module_param_cb(lose_state, &testdrv_lose_state_ops, NULL, 0200);

/* Find the PCI device of a BDF if it is open; the caller puts it */
static struct pci_dev *testdrv_find_pdev(const char *bdf)
{
	struct testdrv_device *t;

	guard(rwsem_write)(&testdrv_lock);

	t = testdrv_find(bdf);

	return t ? pci_dev_get(t->dev->pdev) : NULL;
}

/* "BDF": call the reset handlers, without the delay of a reset */
static int testdrv_pretend_reset(const char *val, const struct kernel_param *kp)
{
	struct pci_dev *pdev __free(pci_dev_put) = testdrv_find_pdev(val);
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

static const struct kernel_param_ops testdrv_reset_ops = {
	.set = testdrv_pretend_reset,
};

module_param_cb(reset, &testdrv_reset_ops, NULL, 0200);

/* "iova length": all open devices write memory */
static int testdrv_mark_dirty(const char *val, const struct kernel_param *kp)
{
	struct testdrv_device *t;
	u64 iova, length;

	if (sscanf(val, "%lli %lli", &iova, &length) != 2)
		return -EINVAL;

	/* Several threads may do this concurrently */
	guard(rwsem_read)(&testdrv_lock);

	list_for_each_entry(t, &testdrv_devices, node)
		vfio_pci_vendor_log_dma(t->dev, iova, length);

	return 0;
}

static const struct kernel_param_ops testdrv_mark_dirty_ops = {
	.set = testdrv_mark_dirty,
};

module_param_cb(mark_dirty, &testdrv_mark_dirty_ops, NULL, 0200);

static void testdrv_violation(struct testdrv_device *t, enum testdrv_op op,
			      const char *what)
{
	atomic_inc(&violations);
	dev_err_ratelimited(&t->dev->pdev->dev, "contract violated: %s: %s\n",
			    testdrv_ops[op], what);
}

/* Check a condition of the contract, unless a reset raced with the call */
static void testdrv_require(struct testdrv_device *t, enum testdrv_op op,
			    bool holds, const char *what)
{
	if (!holds && !READ_ONCE(t->late))
		testdrv_violation(t, op, what);
}

#define testdrv_need(t, op, cond)	testdrv_require(t, op, cond, "requires " #cond)

static int testdrv_fails(enum testdrv_op op)
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
static int testdrv_begin(struct testdrv_device *t, enum testdrv_op op)
{
	unsigned int ms = READ_ONCE(delay_ms);

	atomic_inc(&testdrv_calls[op]);
	if (atomic_inc_return(&t->busy) != 1)
		testdrv_violation(t, op, "another operation is running");
	if (!pm_runtime_active(&t->dev->pdev->dev))
		testdrv_violation(t, op, "the device is suspended");
	if (ms)
		msleep(ms);

	return testdrv_fails(op);
}

static void testdrv_end(struct testdrv_device *t)
{
	atomic_dec(&t->busy);
}

static enum testdrv_level testdrv_level(struct testdrv_device *t)
{
	return READ_ONCE(t->level);
}

static u32 testdrv_abilities(struct vfio_pci_vendor_device *dev)
{
	return sysfs_streq(incapable, pci_name(dev->pdev)) ? 0 : U32_MAX;
}

static int testdrv_change_level(struct vfio_pci_vendor_device *dev,
				enum testdrv_op op, enum testdrv_level level)
{
	struct testdrv_device *t = dev->data;
	int ret;

	testdrv_need(t, op, testdrv_level(t) != level);
	if (level != LEVEL_RUNNING)
		WRITE_ONCE(t->late, false);
	ret = testdrv_begin(t, op);
	/* After a reset the device runs, even if this call fails */
	if (!ret || (level == LEVEL_RUNNING && READ_ONCE(t->late)))
		WRITE_ONCE(t->level, level);
	testdrv_end(t);

	return ret;
}

static int testdrv_stop(struct vfio_pci_vendor_device *dev)
{
	return testdrv_change_level(dev, OP_STOP, LEVEL_STOPPED);
}

static int testdrv_run(struct vfio_pci_vendor_device *dev)
{
	return testdrv_change_level(dev, OP_RUN, LEVEL_RUNNING);
}

static int testdrv_quiesce(struct vfio_pci_vendor_device *dev)
{
	return testdrv_change_level(dev, OP_QUIESCE, LEVEL_QUIET);
}

static int testdrv_begin_session(struct vfio_pci_vendor_device *dev,
				 enum vfio_device_mig_state state)
{
	bool is_precopy = state == VFIO_DEVICE_STATE_PRE_COPY;
	struct testdrv_device *t = dev->data;
	int ret = testdrv_begin(t, OP_BEGIN);

	testdrv_need(t, OP_BEGIN,
		     (testdrv_level(t) == LEVEL_STOPPED) == !is_precopy);
	testdrv_need(t, OP_BEGIN, !t->session ||
		     (t->session == VFIO_DEVICE_STATE_PRE_COPY &&
		      state == VFIO_DEVICE_STATE_STOP_COPY));
	if (is_precopy)
		WRITE_ONCE(t->late, false);
	if (!ret) {
		WRITE_ONCE(t->session, state);
		if (is_precopy) {
			t->initial = precopy;
			t->dirty = 0;
		}
	}
	testdrv_end(t);

	return ret;
}

static void testdrv_end_session(struct vfio_pci_vendor_device *dev)
{
	struct testdrv_device *t = dev->data;

	testdrv_begin(t, OP_END);
	testdrv_need(t, OP_END, t->session);
	WRITE_ONCE(t->session, 0);
	testdrv_end(t);
}

static int testdrv_size(struct vfio_pci_vendor_device *dev, u64 *bytes)
{
	struct testdrv_device *t = dev->data;
	int ret = testdrv_begin(t, OP_SIZE);

	*bytes = READ_ONCE(size);
	testdrv_end(t);

	return ret;
}

/* Compute the word at an index: the seed, the size, or a derived word */
static u64 testdrv_word(const struct testdrv_transfer *transfer, u64 index)
{
	if (!index)
		return transfer->seed;
	if (index == 1)
		return transfer->size;

	return (transfer->seed + index) * 0x9e3779b97f4a7c15ULL;
}

/* Copy up to @count bytes from @pos to the end of its word */
static size_t testdrv_bytes(const struct testdrv_transfer *transfer, u64 pos,
			    size_t count, u8 *bytes)
{
	unsigned int skip = pos % sizeof(u64);
	u8 word[sizeof(u64)];

	count = min_t(size_t, count, sizeof(u64) - skip);
	put_unaligned_le64(testdrv_word(transfer, pos / sizeof(u64)), word);
	memcpy(bytes, word + skip, count);

	return count;
}

static void testdrv_fill(const struct testdrv_transfer *transfer, u64 pos,
			 u8 *buf, size_t count)
{
	size_t done;

	for (; count; count -= done, buf += done, pos += done) {
		if (IS_ALIGNED(pos, sizeof(u64)) && count >= sizeof(u64)) {
			done = sizeof(u64);
			put_unaligned_le64(testdrv_word(transfer, pos / done),
					   buf);
		} else {
			done = testdrv_bytes(transfer, pos, count, buf);
		}
	}
}

/* Take seed and size; check that all other bytes follow from them */
static bool testdrv_matches(struct testdrv_transfer *transfer, const u8 *buf,
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
			    testdrv_word(transfer, pos / done))
				return false;
		} else {
			done = testdrv_bytes(transfer, pos, count, bytes);
			if (memcmp(buf, bytes, done))
				return false;
		}
	}

	return true;
}

static ssize_t testdrv_give(struct testdrv_transfer *transfer, void *buf,
			    size_t count, u64 left)
{
	unsigned int most = READ_ONCE(part);

	if (most)
		count = min_t(size_t, count, most);
	count = min_t(u64, count, left);
	/* A benchmark sends the old contents of the buffer */
	if (!READ_ONCE(cheap) || !transfer->pos)
		testdrv_fill(transfer, transfer->pos, buf, count);
	transfer->pos += count;

	return count;
}

static ssize_t testdrv_save(struct vfio_pci_vendor_device *dev, void *buf,
			    size_t count, u64 pos)
{
	struct testdrv_device *t = dev->data;
	ssize_t ret = testdrv_begin(t, OP_SAVE);

	testdrv_need(t, OP_SAVE, testdrv_level(t) == LEVEL_STOPPED);
	testdrv_need(t, OP_SAVE, t->session == VFIO_DEVICE_STATE_STOP_COPY);
	testdrv_need(t, OP_SAVE, count >= VFIO_PCI_MIGRATION_PART_MIN);
	testdrv_need(t, OP_SAVE, !pos || pos == t->save.pos);
	if (!pos)
		t->save = (struct testdrv_transfer){
			.seed = t->seed, .size = READ_ONCE(size)
		};
	if (!ret)
		ret = testdrv_give(&t->save, buf, count,
				   t->save.size - t->save.pos);
	testdrv_end(t);

	return ret;
}

static int testdrv_take(struct testdrv_transfer *transfer, const void *buf,
			size_t count, u64 pos)
{
	if (!pos)
		*transfer = (struct testdrv_transfer){};
	if (!testdrv_matches(transfer, buf, count))
		return -EINVAL;
	transfer->pos += count;

	return 0;
}

/* All parts of a state have the version of the first */
static void testdrv_check_version(struct testdrv_device *t, enum testdrv_op op,
				  bool first)
{
	u32 version = vfio_pci_vendor_load_version(t->dev);

	if (first)
		WRITE_ONCE(t->version, version);
	testdrv_need(t, op, version == t->version);
}

static int testdrv_load(struct vfio_pci_vendor_device *dev, const void *buf,
			size_t count, u64 pos)
{
	struct testdrv_device *t = dev->data;
	int ret = testdrv_begin(t, OP_LOAD);

	testdrv_check_version(t, OP_LOAD, !pos && !t->preload.pos);
	testdrv_need(t, OP_LOAD, testdrv_level(t) == LEVEL_STOPPED);
	testdrv_need(t, OP_LOAD, t->session == VFIO_DEVICE_STATE_RESUMING);
	testdrv_need(t, OP_LOAD, count);
	testdrv_need(t, OP_LOAD, !pos || pos == t->load.pos);
	if (!ret)
		ret = testdrv_take(&t->load, buf, count, pos);
	testdrv_end(t);

	return ret;
}

/* A state of less than 16 bytes does not contain its size */
static int testdrv_use_loaded(struct testdrv_device *t)
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

static void testdrv_forget(struct testdrv_device *t)
{
	t->load = (struct testdrv_transfer){};
	t->preload = (struct testdrv_transfer){};
}

static int testdrv_load_done(struct vfio_pci_vendor_device *dev)
{
	struct testdrv_device *t = dev->data;
	int ret = testdrv_begin(t, OP_LOAD_DONE);

	testdrv_need(t, OP_LOAD_DONE, testdrv_level(t) == LEVEL_STOPPED);
	testdrv_check_version(t, OP_LOAD_DONE, !t->load.pos && !t->preload.pos);
	if (!ret)
		ret = testdrv_use_loaded(t);
	testdrv_forget(t);
	testdrv_end(t);

	return ret;
}

/* A reset ends the session */
static void testdrv_reset(struct vfio_pci_vendor_device *dev)
{
	struct testdrv_device *t = dev->data;

	testdrv_forget(t);
	WRITE_ONCE(t->session, 0);
}

static int testdrv_precopy_pending(struct vfio_pci_vendor_device *dev,
				   struct vfio_pci_precopy_info *info)
{
	struct testdrv_device *t = dev->data;
	int ret = testdrv_begin(t, OP_PRECOPY_PENDING);

	testdrv_need(t, OP_PRECOPY_PENDING, testdrv_level(t) != LEVEL_STOPPED);
	testdrv_need(t, OP_PRECOPY_PENDING,
		     t->session == VFIO_DEVICE_STATE_PRE_COPY);
	if (!ret) {
		info->initial = t->initial;
		info->dirty = t->dirty;
		info->reinit = t->reinit;
		t->reinit = false;
		if (check_add_overflow(t->dirty, READ_ONCE(dirty), &t->dirty))
			t->dirty = U64_MAX;
	}
	testdrv_end(t);

	return ret;
}

static ssize_t testdrv_precopy_save(struct vfio_pci_vendor_device *dev,
				    void *buf, size_t count, u64 pos)
{
	struct testdrv_device *t = dev->data;
	ssize_t ret = testdrv_begin(t, OP_PRECOPY_SAVE);
	u64 *left = t->initial ? &t->initial : &t->dirty;

	testdrv_need(t, OP_PRECOPY_SAVE, testdrv_level(t) != LEVEL_STOPPED);
	testdrv_need(t, OP_PRECOPY_SAVE,
		     t->session == VFIO_DEVICE_STATE_PRE_COPY);
	testdrv_need(t, OP_PRECOPY_SAVE, count >= VFIO_PCI_MIGRATION_PART_MIN);
	testdrv_need(t, OP_PRECOPY_SAVE, !pos || pos == t->presave.pos);
	if (!pos)
		t->presave = (struct testdrv_transfer){ .seed = t->seed };
	if (!ret) {
		ret = testdrv_give(&t->presave, buf, count, *left);
		*left -= ret;
	}
	testdrv_end(t);

	return ret;
}

static int testdrv_precopy_load(struct vfio_pci_vendor_device *dev,
				const void *buf, size_t count, u64 pos)
{
	struct testdrv_device *t = dev->data;
	int ret = testdrv_begin(t, OP_PRECOPY_LOAD);

	testdrv_check_version(t, OP_PRECOPY_LOAD, !pos);
	testdrv_need(t, OP_PRECOPY_LOAD, testdrv_level(t) == LEVEL_STOPPED);
	testdrv_need(t, OP_PRECOPY_LOAD,
		     t->session == VFIO_DEVICE_STATE_RESUMING);
	testdrv_need(t, OP_PRECOPY_LOAD, count);
	testdrv_need(t, OP_PRECOPY_LOAD, !pos || pos == t->preload.pos);
	if (!ret)
		ret = testdrv_take(&t->preload, buf, count, pos);
	testdrv_end(t);

	return ret;
}

static int testdrv_log_start(struct vfio_pci_vendor_device *dev,
			     struct rb_root_cached *ranges, u32 nr_ranges,
			     u64 page_size)
{
	struct testdrv_device *t = dev->data;
	int ret = testdrv_begin(t, OP_LOG_START);

	if (t->logging)
		testdrv_violation(t, OP_LOG_START, "logging is on");
	if (!ret)
		WRITE_ONCE(t->logging, true);
	testdrv_end(t);

	return ret;
}

static void testdrv_log_stop(struct vfio_pci_vendor_device *dev)
{
	struct testdrv_device *t = dev->data;

	testdrv_begin(t, OP_LOG_STOP);
	if (!t->logging)
		testdrv_violation(t, OP_LOG_STOP, "logging is off");
	WRITE_ONCE(t->logging, false);
	testdrv_end(t);
}

static int testdrv_log_sync(struct vfio_pci_vendor_device *dev, u64 iova,
			    u64 length)
{
	struct testdrv_device *t = dev->data;
	int ret = testdrv_begin(t, OP_LOG_SYNC);

	if (!t->logging)
		testdrv_violation(t, OP_LOG_SYNC, "logging is off");
	if (!ret)
		vfio_pci_vendor_log_dma(dev, READ_ONCE(sync_iova),
					READ_ONCE(sync_length));
	testdrv_end(t);

	return ret;
}

static int testdrv_log_restart(struct vfio_pci_vendor_device *dev)
{
	struct testdrv_device *t = dev->data;
	int ret = testdrv_begin(t, OP_LOG_RESTART);

	if (!t->logging)
		testdrv_violation(t, OP_LOG_RESTART, "logging is off");
	testdrv_end(t);

	return ret;
}

static int testdrv_open(struct vfio_pci_vendor_device *dev)
{
	struct testdrv_device *t = kzalloc_obj(*t, GFP_KERNEL_ACCOUNT);

	if (!t)
		return -ENOMEM;

	t->dev = dev;
	t->level = LEVEL_RUNNING;
	dev->data = t;

	guard(rwsem_write)(&testdrv_lock);

	t->seed = ++testdrv_next_seed;
	list_add_tail(&t->node, &testdrv_devices);

	return 0;
}

static void testdrv_close(struct vfio_pci_vendor_device *dev)
{
	struct testdrv_device *t = dev->data;

	scoped_guard(rwsem_write, &testdrv_lock)
		list_del(&t->node);

	if (t->session)
		testdrv_violation(t, OP_END, "missing before close");
	if (t->logging)
		testdrv_violation(t, OP_LOG_STOP, "missing before close");
	kfree(t);
}

static void testdrv_reset_done(struct vfio_pci_vendor_device *dev)
{
	struct testdrv_device *t = dev->data;

	/* The device is closed */
	if (!t)
		return;

	atomic_inc(&resets);
	WRITE_ONCE(t->late, true);
	WRITE_ONCE(t->level, LEVEL_RUNNING);
	WRITE_ONCE(t->session, 0);
}

static const struct vfio_pci_precopy_ops testdrv_precopy_ops = {
	.pending	= testdrv_precopy_pending,
	.save		= testdrv_precopy_save,
	.load		= testdrv_precopy_load,
};

static const struct vfio_pci_dma_log_ops testdrv_log_ops = {
	.start		= testdrv_log_start,
	.stop		= testdrv_log_stop,
	.sync		= testdrv_log_sync,
	.restart	= testdrv_log_restart,
};

static struct vfio_pci_migration_ops testdrv_migration_ops = {
	.version	= 3,
	.min_version	= 2,
	.abilities	= testdrv_abilities,
	.stop		= testdrv_stop,
	.run		= testdrv_run,
	.begin		= testdrv_begin_session,
	.end		= testdrv_end_session,
	.size		= testdrv_size,
	.save		= testdrv_save,
	.load		= testdrv_load,
	.load_done	= testdrv_load_done,
	.reset		= testdrv_reset,
};

static const struct vfio_pci_vendor_driver testdrv_driver = {
	.name		= "vfio_pci_testdrv_migration",
	.ids		= &ids,
	.open		= testdrv_open,
	.close		= testdrv_close,
	.reset_done	= testdrv_reset_done,
	.migration	= &testdrv_migration_ops,
};

static int __init testdrv_init(void)
{
	struct vfio_pci_migration_ops *ops = &testdrv_migration_ops;

	if (!*ids)
		return 0;

	if (p2p)
		ops->quiesce = testdrv_quiesce;
	if (precopy)
		ops->precopy = &testdrv_precopy_ops;
	if (can_log)
		ops->log = &testdrv_log_ops;

	return vfio_pci_register_vendor_driver(&testdrv_driver);
}

static void __exit testdrv_exit(void)
{
	if (*ids)
		vfio_pci_unregister_vendor_driver(&testdrv_driver);
}

module_init(testdrv_init);
module_exit(testdrv_exit);

MODULE_DESCRIPTION("Scriptable vfio-pci vendor driver for the selftests of migration");
MODULE_LICENSE("GPL");
