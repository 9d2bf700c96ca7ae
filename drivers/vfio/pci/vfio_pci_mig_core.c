// SPDX-License-Identifier: GPL-2.0-only
/*
 * VFIO PCI migration
 *
 * State machine of a device that a vendor driver migrates.  It implements the
 * states of VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE.  The migration region maps v1
 * states to these.
 *
 * The migration lock serializes the operations of the driver and the transfer
 * of data.  A reset cannot wait for this lock, because the resetting thread may
 * hold locks that nest inside it.  If a reset finds the lock taken, the holder
 * handles the reset before it unlocks.  The same holds for an error that the
 * driver reports.
 */

#include <linux/pci.h>
#include <linux/slab.h>
#include <linux/vfio.h>
#include <linux/vfio_pci_core.h>
#include <linux/vmalloc.h>
#include <kunit/visibility.h>

#include "vfio_pci_mig.h"
#include "vfio_pci_priv.h"

/* Activity of the device in a state */
enum vfio_pci_mig_level {
	VFIO_PCI_MIG_STOPPED,
	VFIO_PCI_MIG_QUIET,
	VFIO_PCI_MIG_RUNNING,
};

static enum vfio_pci_mig_level vfio_pci_mig_level(enum vfio_device_mig_state state)
{
	switch (state) {
	case VFIO_DEVICE_STATE_RUNNING:
	case VFIO_DEVICE_STATE_PRE_COPY:
		return VFIO_PCI_MIG_RUNNING;
	case VFIO_DEVICE_STATE_RUNNING_P2P:
	case VFIO_DEVICE_STATE_PRE_COPY_P2P:
		return VFIO_PCI_MIG_QUIET;
	default:
		return VFIO_PCI_MIG_STOPPED;
	}
}

bool vfio_pci_mig_is_stopped(enum vfio_device_mig_state state)
{
	return vfio_pci_mig_level(state) == VFIO_PCI_MIG_STOPPED;
}

bool vfio_pci_mig_is_saving(enum vfio_device_mig_state state)
{
	return state == VFIO_DEVICE_STATE_STOP_COPY ||
	       state == VFIO_DEVICE_STATE_PRE_COPY ||
	       state == VFIO_DEVICE_STATE_PRE_COPY_P2P;
}

/**
 * vfio_pci_mig_window() - get the data window
 * @mig: the migration
 *
 * Userspace may map the window.  The core frees it when the device is closed,
 * even if data files are still open.
 *
 * Return: a buffer of VFIO_PCI_MIG_WINDOW bytes, or NULL if out of memory.
 */
void *vfio_pci_mig_window(struct vfio_pci_mig *mig)
{
	void *window = READ_ONCE(mig->window), *other;

	if (window)
		return window;

	/* No vmalloc_user(): the fault handler maps single pages */
	window = __vmalloc(VFIO_PCI_MIG_WINDOW, GFP_KERNEL_ACCOUNT | __GFP_ZERO);
	if (!window)
		return NULL;

	other = cmpxchg(&mig->window, NULL, window);
	if (other) {
		vfree(window);
		return other;
	}

	return window;
}

/* A reset usually takes less; userspace may try again */
#define VFIO_PCI_MIG_RESET_TIMEOUT	(5 * HZ)

/* End the data transfer session without calling the driver */
static void vfio_pci_mig_drop(struct vfio_pci_mig *mig)
{
	mig->session++;
	mig->v1_offered = false;
	vfio_pci_mig_end(&mig->stream);
}

/* Begin a data transfer session, or continue it in STOP_COPY */
static int vfio_pci_mig_begin(struct vfio_pci_mig *mig,
			      enum vfio_device_mig_state state)
{
	int ret = 0;

	if (state == VFIO_DEVICE_STATE_PRE_COPY_P2P)
		state = VFIO_DEVICE_STATE_PRE_COPY;
	if (mig->ops->begin)
		ret = mig->ops->begin(mig->dev, state);
	if (ret)
		return vfio_pci_mig_errno(mig->dev, "begin", ret);
	mig->in_session = true;

	return 0;
}

static void vfio_pci_mig_end_session(struct vfio_pci_mig *mig)
{
	if (mig->in_session && mig->ops->end)
		mig->ops->end(mig->dev);
	mig->in_session = false;
	vfio_pci_mig_drop(mig);
}

/* Only a reset makes the device usable again */
static void vfio_pci_mig_fail(struct vfio_pci_mig *mig)
{
	vfio_pci_mig_end_session(mig);
	mig->state = VFIO_DEVICE_STATE_ERROR;
	vfio_pci_mig_wake(mig);
}

static int vfio_pci_mig_start_saving(struct vfio_pci_mig *mig,
				     enum vfio_device_mig_state state)
{
	void *window = vfio_pci_mig_window(mig);
	int ret;

	if (!window)
		return -ENOMEM;

	ret = vfio_pci_mig_begin(mig, state);
	if (ret)
		return ret;
	mig->initial = U64_MAX;
	mig->reinit = false;
	mig->no_data = 0;
	mig->session++;
	vfio_pci_mig_send(&mig->stream, mig->dev, window);

	return 0;
}

static int vfio_pci_mig_start_resuming(struct vfio_pci_mig *mig)
{
	int ret;

	ret = vfio_pci_mig_receive(&mig->stream, mig->dev);
	if (ret)
		return ret;

	ret = vfio_pci_mig_begin(mig, VFIO_DEVICE_STATE_RESUMING);
	if (ret)
		vfio_pci_mig_end(&mig->stream);
	else
		mig->session++;

	return ret;
}

/* Userspace ends the stream.  Without a valid state, the device must not run. */
static int vfio_pci_mig_stop_resuming(struct vfio_pci_mig *mig)
{
	int ret = vfio_pci_mig_received(&mig->stream);

	if (ret) {
		vfio_pci_mig_fail(mig);
		return ret;
	}

	mig->loaded = true;
	vfio_pci_mig_end_session(mig);

	return 0;
}

/* Wait for the end of a reset, unlocked: the reset may need inner locks */
static int vfio_pci_mig_wait_for_reset(struct vfio_pci_mig *mig)
{
	long ret;

	vfio_pci_mig_unlock(mig);
	ret = wait_event_killable_timeout(mig->reset_over,
					  !READ_ONCE(mig->resetting),
					  VFIO_PCI_MIG_RESET_TIMEOUT);
	vfio_pci_mig_lock(mig);
	if (ret > 0)
		return 0;

	if (mig->stop_raced) {
		dev_err_ratelimited(&mig->dev->pdev->dev,
				    "%s: a reset is still in progress; when it has ended, reset the device again before you use it\n",
				    mig->dev->driver->name);
		mig->stop_raced = false;
		mig->stop_lost = true;
	}

	return ret ?: -EAGAIN;
}

/**
 * vfio_pci_mig_settle() - wait for the end of a reset or an error recovery
 * @mig: the migration, locked
 *
 * Unlocks @mig while it waits.  After a reset, the device runs, and its session
 * is over.
 *
 * Return: 0, -EAGAIN if the reset does not end in time, -ERESTARTSYS if a fatal
 * signal is pending, or the errno of run, which also sets the state to ERROR.
 */
int vfio_pci_mig_settle(struct vfio_pci_mig *mig)
{
	int ret;

	while (vfio_pci_mig_in_reset(mig)) {
		ret = vfio_pci_mig_wait_for_reset(mig);
		if (ret)
			return ret;
	}
	if (!mig->stop_raced)
		return 0;

	/* stop or quiesce may have reached the device after the reset */
	mig->stop_raced = false;
	if (mig->state != VFIO_DEVICE_STATE_RUNNING)
		return 0;
	ret = mig->ops->run(mig->dev);
	if (!ret)
		return 0;
	vfio_pci_mig_fail(mig);

	return vfio_pci_mig_errno(mig->dev, "run", ret);
}

/*
 * Stop, quiesce or run the device.  If @mig->resets changes, a reset came, and
 * the device runs.
 */
static int vfio_pci_mig_set_level(struct vfio_pci_mig *mig,
				  enum vfio_pci_mig_level level)
{
	const char *what;
	int ret;

	switch (level) {
	case VFIO_PCI_MIG_RUNNING:
		what = "run";
		ret = mig->ops->run(mig->dev);
		break;
	case VFIO_PCI_MIG_QUIET:
		what = "quiesce";
		ret = mig->ops->quiesce(mig->dev);
		break;
	default:
		what = "stop";
		ret = mig->ops->stop(mig->dev);
		break;
	}

	if (ret) {
		/* The device may hold only a part of the loaded state */
		if (mig->loaded && level > vfio_pci_mig_level(mig->state))
			vfio_pci_mig_fail(mig);
		return vfio_pci_mig_errno(mig->dev, what, ret);
	}
	if (level == VFIO_PCI_MIG_RUNNING) {
		mig->loaded = false;
		return 0;
	}
	if (!vfio_pci_mig_in_reset(mig))
		return 0;

	/* A reset began during the operation */
	mig->stop_raced = true;

	return vfio_pci_mig_settle(mig);
}

/* Stop a device in pre-copy, and continue the session.  Undo this on error. */
static int vfio_pci_mig_stop_precopy(struct vfio_pci_mig *mig)
{
	unsigned int resets = mig->resets;
	int ret;

	ret = vfio_pci_mig_set_level(mig, VFIO_PCI_MIG_STOPPED);
	if (ret || mig->resets != resets)
		return ret;

	ret = vfio_pci_mig_begin(mig, VFIO_DEVICE_STATE_STOP_COPY);
	if (ret && vfio_pci_mig_set_level(mig, vfio_pci_mig_level(mig->state)) &&
	    mig->resets == resets)
		vfio_pci_mig_fail(mig);

	return ret;
}

/* Take one arc of the state machine: change the level, or the session */
static int vfio_pci_mig_arc(struct vfio_pci_mig *mig,
			    enum vfio_device_mig_state next)
{
	enum vfio_device_mig_state state = mig->state;
	unsigned int resets = mig->resets;
	int ret = 0;

	if (vfio_pci_mig_is_saving(state) && next == VFIO_DEVICE_STATE_STOP_COPY) {
		ret = vfio_pci_mig_stop_precopy(mig);
	} else if (vfio_pci_mig_level(state) != vfio_pci_mig_level(next)) {
		ret = vfio_pci_mig_set_level(mig, vfio_pci_mig_level(next));
	} else if (state == VFIO_DEVICE_STATE_RESUMING) {
		ret = vfio_pci_mig_stop_resuming(mig);
	} else if (next == VFIO_DEVICE_STATE_RESUMING) {
		ret = vfio_pci_mig_start_resuming(mig);
	} else if (vfio_pci_mig_is_saving(state) &&
		   !vfio_pci_mig_is_saving(next)) {
		vfio_pci_mig_end_session(mig);
	} else if (vfio_pci_mig_is_saving(next) &&
		   !vfio_pci_mig_is_saving(state)) {
		ret = vfio_pci_mig_start_saving(mig, next);
	}
	if (!ret && mig->resets == resets)
		mig->state = next;
	vfio_pci_mig_wake(mig);

	return ret;
}

/**
 * vfio_pci_mig_set_state() - change the device state
 * @mig: the migration, locked
 * @state: the new state
 *
 * On error, the device is in the last state that it reached, or in ERROR.
 * Unlocks @mig to wait for a reset in progress.
 *
 * Return: 0, -EINVAL if the state cannot be reached, -EAGAIN if a reset does
 * not end in time, -ERESTARTSYS if a fatal signal is pending, -ENOMEM if out of memory,
 * or the errno of a driver operation.
 */
int vfio_pci_mig_set_state(struct vfio_pci_mig *mig,
			   enum vfio_device_mig_state state)
{
	enum vfio_device_mig_state next;
	int ret;

	for (;;) {
		/* A reset would undo a part of a change */
		ret = vfio_pci_mig_settle(mig);
		if (ret)
			return ret;
		if (mig->state == state)
			return 0;

		/* Only a reset leaves ERROR; vfio_mig_get_next_state() warns */
		if (mig->state == VFIO_DEVICE_STATE_ERROR)
			return -EINVAL;

		ret = vfio_mig_get_next_state(&mig->vdev->vdev, mig->state,
					      state, &next);
		if (ret)
			return ret;

		ret = vfio_pci_mig_arc(mig, next);
		if (ret)
			return ret;
	}
}
EXPORT_SYMBOL_IF_KUNIT(vfio_pci_mig_set_state);

/**
 * vfio_pci_mig_cancel() - end a session before userspace uses it
 * @mig: the migration, locked, in a session
 */
void vfio_pci_mig_cancel(struct vfio_pci_mig *mig)
{
	static const enum vfio_device_mig_state states[] = {
		[VFIO_PCI_MIG_STOPPED]	= VFIO_DEVICE_STATE_STOP,
		[VFIO_PCI_MIG_QUIET]	= VFIO_DEVICE_STATE_RUNNING_P2P,
		[VFIO_PCI_MIG_RUNNING]	= VFIO_DEVICE_STATE_RUNNING,
	};

	vfio_pci_mig_end_session(mig);
	mig->state = states[vfio_pci_mig_level(mig->state)];
}

/**
 * vfio_pci_mig_pending() - get the number of pending pre-copy bytes
 * @mig: the migration, locked, in a pre-copy state
 * @info: set to the pending data
 *
 * The number of initial bytes increases only if @info->reinit is set.
 *
 * Return: 0, or the errno of a driver operation.
 */
int vfio_pci_mig_pending(struct vfio_pci_mig *mig,
			 struct vfio_pci_precopy_info *info)
{
	u64 ready = vfio_pci_mig_left(&mig->stream);
	int ret;

	*info = (struct vfio_pci_precopy_info) {};
	ret = mig->ops->precopy->pending(mig->dev, info);
	if (ret)
		return vfio_pci_mig_errno(mig->dev, "precopy->pending",
					  ret);

	if (mig->stream.phase == VFIO_PCI_MIG_AT_HEADER)
		ready = sizeof(struct vfio_pci_mig_header);
	if (check_add_overflow(info->initial, ready, &info->initial))
		info->initial = U64_MAX;

	/* Keep the flag until userspace reads it: poll() also comes here */
	if (info->reinit && mig->vdev->vdev.precopy_info_v2) {
		mig->reinit = true;
		mig->initial = info->initial;
	}
	info->reinit = mig->reinit;

	/* initial_bytes must not increase, so count the rest as dirty */
	if (info->initial > mig->initial &&
	    check_add_overflow(info->dirty, info->initial - mig->initial,
			       &info->dirty))
		info->dirty = U64_MAX;
	info->initial = min(info->initial, mig->initial);
	mig->initial = info->initial;

	return 0;
}
EXPORT_SYMBOL_IF_KUNIT(vfio_pci_mig_pending);

/**
 * vfio_pci_mig_size() - estimate the number of bytes that are left to send
 * @mig: the migration, locked
 * @bytes: set to the number of bytes, of a new stream unless the device saves
 *
 * Return: 0, or the errno of a driver operation.
 */
int vfio_pci_mig_size(struct vfio_pci_mig *mig, u64 *bytes)
{
	const struct vfio_pci_mig_stream none = {}, *stream = &none;
	u64 size = 0;
	int ret;

	ret = mig->ops->size(mig->dev, &size);
	if (ret)
		return vfio_pci_mig_errno(mig->dev, "size", ret);

	if (vfio_pci_mig_is_saving(mig->state))
		stream = &mig->stream;
	*bytes = vfio_pci_mig_estimate(stream, size);

	return 0;
}

/**
 * vfio_pci_vendor_load_version() - get the version of the loaded state
 * @dev: the device
 *
 * For vendor drivers that load older versions than they save.
 *
 * Context: The load and load_done operations.
 * Return: the version, from min_version to version of struct
 * vfio_pci_migration_ops.
 */
u32 vfio_pci_vendor_load_version(struct vfio_pci_vendor_device *dev)
{
	struct vfio_pci_mig *mig = to_vfio_pci_vendor(dev)->migration;

	return le32_to_cpu(mig->stream.header.version);
}
EXPORT_SYMBOL_GPL(vfio_pci_vendor_load_version);

/**
 * vfio_pci_mig_claim() - select the migration protocol of an open device
 * @mig: the migration
 * @protocol: the protocol
 *
 * Return: 0, -EBUSY if userspace already uses the other protocol.
 */
int vfio_pci_mig_claim(struct vfio_pci_mig *mig,
		       enum vfio_pci_mig_protocol protocol)
{
	enum vfio_pci_mig_protocol old;

	old = cmpxchg(&mig->protocol, VFIO_PCI_MIG_NO_PROTOCOL, protocol);

	return old == VFIO_PCI_MIG_NO_PROTOCOL || old == protocol ? 0 : -EBUSY;
}
EXPORT_SYMBOL_IF_KUNIT(vfio_pci_mig_claim);

void vfio_pci_mig_lock(struct vfio_pci_mig *mig)
{
	mutex_lock(&mig->lock);
}
EXPORT_SYMBOL_IF_KUNIT(vfio_pci_mig_lock);

/* The device was reset: it runs, and its session is over */
static void vfio_pci_mig_do_reset(struct vfio_pci_mig *mig)
{
	mig->state = mig->stop_lost ? VFIO_DEVICE_STATE_ERROR :
				      VFIO_DEVICE_STATE_RUNNING;
	mig->resets++;
	mig->in_session = false;
	mig->loaded = false;
	mig->v1_saving = false;
	mig->log_restart = true;
	/* One reset may come here twice, the second time after its end */
	if (!READ_ONCE(mig->resetting))
		mig->stop_lost = false;
	vfio_pci_mig_drop(mig);
	vfio_pci_mig_wake(mig);
	if (mig->vdev && mig->ops->reset)
		mig->ops->reset(mig->dev);
}

void vfio_pci_mig_unlock(struct vfio_pci_mig *mig)
{
	bool reset, error;

	for (;;) {
		spin_lock(&mig->reset_lock);
		reset = mig->deferred_reset;
		/* A reset in progress clears the error */
		error = mig->deferred_error && !mig->resetting;
		if (!reset && !error)
			break;
		mig->deferred_reset = false;
		if (error)
			mig->deferred_error = false;
		spin_unlock(&mig->reset_lock);
		if (reset)
			vfio_pci_mig_do_reset(mig);
		if (error && mig->vdev)
			vfio_pci_mig_fail(mig);
	}
	/* From here on, a reset or an error finds the lock free */
	mutex_unlock(&mig->lock);
	spin_unlock(&mig->reset_lock);
}
EXPORT_SYMBOL_IF_KUNIT(vfio_pci_mig_unlock);

/*
 * Handle deferred events now, or leave them to the holder of the lock.  Call
 * this with @reset_lock held; releases it.
 */
static void vfio_pci_mig_handle_events(struct vfio_pci_mig *mig)
	__releases(&mig->reset_lock)
{
	bool locked = mutex_trylock(&mig->lock);

	spin_unlock(&mig->reset_lock);
	if (locked)
		vfio_pci_mig_unlock(mig);
}

/**
 * vfio_pci_mig_reset_prepare() - note the start of a reset
 * @mig: the migration
 */
void vfio_pci_mig_reset_prepare(struct vfio_pci_mig *mig)
{
	guard(spinlock)(&mig->reset_lock);

	WRITE_ONCE(mig->resetting, true);
}

/**
 * vfio_pci_mig_reset() - note that the device was reset
 * @mig: the migration
 *
 * Call this before the reset_done callback of the driver.  If an operation
 * stops the device after the callback, the core must already know of the reset.
 */
void vfio_pci_mig_reset(struct vfio_pci_mig *mig)
{
	guard(spinlock)(&mig->reset_lock);

	mig->deferred_reset = true;
	mig->deferred_error = false;
}

/**
 * vfio_pci_mig_reset_done() - handle the end of a reset
 * @mig: the migration
 *
 * Call this after the reset_done callback of the driver.  Does not wait for the
 * migration lock: if it is taken, the holder handles the reset.
 */
void vfio_pci_mig_reset_done(struct vfio_pci_mig *mig)
{
	spin_lock(&mig->reset_lock);
	WRITE_ONCE(mig->resetting, false);
	wake_up_all(&mig->reset_over);
	mig->deferred_reset = true;
	vfio_pci_mig_handle_events(mig);
}
EXPORT_SYMBOL_IF_KUNIT(vfio_pci_mig_reset_done);

/**
 * vfio_pci_vendor_migration_failed() - report that a device lost its state
 * @dev: the device
 *
 * For events that no operation of the driver can return, for example a reset of
 * the PF.  Ends the data transfer session and sets the state to
 * VFIO_DEVICE_STATE_ERROR, which only a reset of the device leaves.  If the
 * migration lock is held, the report takes effect when the holder unlocks.
 * Until then, the core may call more operations.  A reset in progress discards
 * the report.  If the device does not survive a reset, call this in the
 * reset_done callback.  DMA logging goes on.
 *
 * Context: Process context, may sleep.  May call the operations end and reset,
 * so the caller must not hold a lock that they take.  Valid from the open of
 * the device until the close callback of the driver returns.
 */
void vfio_pci_vendor_migration_failed(struct vfio_pci_vendor_device *dev)
{
	struct vfio_pci_vendor *vendor = to_vfio_pci_vendor(dev);
	/* Pairs with the release in vfio_pci_mig_open() */
	struct vfio_pci_mig *mig = smp_load_acquire(&vendor->migration);

	if (!mig)
		return;

	dev_err_ratelimited(&dev->pdev->dev,
			    "%s: the device lost its state, reset it before you use it again\n",
			    dev->driver->name);
	spin_lock(&mig->reset_lock);
	mig->deferred_error = true;
	vfio_pci_mig_handle_events(mig);
}
EXPORT_SYMBOL_GPL(vfio_pci_vendor_migration_failed);

static void vfio_pci_mig_free(struct kref *kref)
{
	struct vfio_pci_mig *mig =
		container_of(kref, struct vfio_pci_mig, kref);

	mutex_destroy(&mig->log.lock);
	mutex_destroy(&mig->lock);
	kfree(mig);
}

/**
 * vfio_pci_mig_get() - get the migration of a device
 * @core_vdev: the device; userspace may open or close it concurrently
 *
 * Return: the migration with a reference, or NULL if no vendor driver migrates
 * the open device.
 */
struct vfio_pci_mig *vfio_pci_mig_get(struct vfio_device *core_vdev)
{
	struct vfio_pci_core_device *vdev =
		container_of(core_vdev, struct vfio_pci_core_device, vdev);

	guard(mutex)(&vdev->vendors_lock);

	if (vdev->migration)
		kref_get(&vdev->migration->kref);

	return vdev->migration;
}
EXPORT_SYMBOL_IF_KUNIT(vfio_pci_mig_get);

void vfio_pci_mig_put(struct vfio_pci_mig *mig)
{
	if (mig)
		kref_put(&mig->kref, vfio_pci_mig_free);
}
EXPORT_SYMBOL_IF_KUNIT(vfio_pci_mig_put);

/**
 * vfio_pci_mig_check_driver() - validate the migration operations of a driver
 * @driver: the vendor driver
 *
 * Return: 0, -EINVAL if a required operation is missing, min_version exceeds
 * version, ignore_ids has unknown bits, or the name does not fit into the
 * stream.
 */
int vfio_pci_mig_check_driver(const struct vfio_pci_vendor_driver *driver)
{
	const struct vfio_pci_migration_ops *ops = driver->migration;

	if (!ops)
		return 0;

	if (!ops->stop || !ops->run || !ops->size || !ops->save || !ops->load ||
	    !ops->load_done || ops->min_version > ops->version)
		return -EINVAL;
	if (ops->ignore_ids & ~(VFIO_PCI_MIGRATION_ANY_REVISION |
				VFIO_PCI_MIGRATION_ANY_SUBSYSTEM))
		return -EINVAL;
	/* A session ends by either */
	if (ops->end && !ops->reset)
		return -EINVAL;
	if (ops->precopy && (!ops->precopy->pending || !ops->precopy->save ||
			     !ops->precopy->load))
		return -EINVAL;
	if (ops->log && (!ops->log->start || !ops->log->sync))
		return -EINVAL;

	return strlen(driver->name) > VFIO_PCI_MIG_NAME ? -EINVAL : 0;
}

/**
 * vfio_pci_mig_open() - set up the migration of a device
 * @dev: the device; its vendor driver has opened it
 *
 * Return: 0 on success, or -ENOMEM if out of memory.
 */
int vfio_pci_mig_open(struct vfio_pci_vendor_device *dev)
{
	struct vfio_pci_mig *mig;

	mig = kzalloc_obj(*mig, GFP_KERNEL_ACCOUNT);
	if (!mig)
		return -ENOMEM;

	kref_init(&mig->kref);
	mutex_init(&mig->lock);
	spin_lock_init(&mig->reset_lock);
	init_waitqueue_head(&mig->reset_over);
	init_waitqueue_head(&mig->more);
	/* Differs from the initial value of @no_data */
	atomic64_set(&mig->news, 1);
	vfio_pci_mig_log_init(&mig->log);
	mig->vdev = dev->vdev;
	mig->dev = dev;
	mig->ops = dev->driver->migration;
	mig->state = VFIO_DEVICE_STATE_RUNNING;

	/*
	 * The open device owns the first reference.  The driver may use the
	 * second one from any context until its close callback returns.
	 */
	kref_get(&mig->kref);
	/* Pairs with smp_load_acquire() in functions that the driver calls */
	smp_store_release(&to_vfio_pci_vendor(dev)->migration, mig);
	scoped_guard(mutex, &dev->vdev->vendors_lock)
		dev->vdev->migration = mig;

	return 0;
}

/**
 * vfio_pci_mig_close() - end the migration when the device is closed
 * @mig: the migration, or NULL; open data files, the vendor driver and the v1
 *	 region keep references
 */
void vfio_pci_mig_close(struct vfio_pci_mig *mig)
{
	if (!mig)
		return;

	scoped_guard(mutex, &mig->vdev->vendors_lock)
		mig->vdev->migration = NULL;

	scoped_guard(vfio_pci_mig, mig) {
		vfio_pci_mig_end_session(mig);
		vfio_pci_mig_stop_logging(mig);
		mig->vdev = NULL;
		vfree(mig->window);
		mig->window = NULL;
	}
	vfio_pci_mig_wake(mig);

	vfio_pci_mig_put(mig);
}
