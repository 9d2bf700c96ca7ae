/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Migration of vfio-pci devices by vendor drivers
 *
 * A vendor driver stops a device, saves its state and loads it.  The core
 * implements both migration protocols of the uapi on top: the v2 device
 * features and the v1 migration region.
 */
#ifndef VFIO_PCI_MIGRATION_H
#define VFIO_PCI_MIGRATION_H

#include <linux/bits.h>
#include <linux/types.h>
#include <uapi/linux/vfio.h>

struct rb_root_cached;
struct vfio_pci_vendor_device;

/**
 * struct vfio_pci_precopy_info - pending pre-copy data of a device
 */
struct vfio_pci_precopy_info {
	/**
	 * @initial: Number of initial bytes that are left.  Userspace should
	 * read them before it stops the device.  Must eventually reach 0.
	 */
	u64 initial;

	/** @dirty: Number of saved bytes that have changed since. */
	u64 dirty;

	/**
	 * @reinit: The device has new initial data, for example after a new
	 * configuration.  @initial may exceed earlier values, and @dirty counts
	 * changes since the new data.  Set this once.  The core keeps the flag
	 * until userspace reads it.  If userspace does not know
	 * VFIO_PRECOPY_INFO_REINIT, the core counts the new bytes as dirty.
	 */
	bool reinit;
};

/**
 * struct vfio_pci_precopy_ops - operations that save the state of a running device
 *
 * Same context as struct vfio_pci_migration_ops.
 */
struct vfio_pci_precopy_ops {
	/**
	 * @pending: Report the pending pre-copy data.
	 *
	 * - @dev: the device, running or quiesced
	 * - @info: set to the pending data; zeroed by the core
	 *
	 * Used for VFIO_MIG_GET_PRECOPY_INFO and poll(), so it must be cheap.
	 * If nothing is pending, userspace may wait.  The wait ends when
	 * userspace stops the device or the driver calls
	 * vfio_pci_vendor_data_ready().
	 *
	 * Return: 0, or a negative errno: -EIO if the device failed.
	 */
	int (*pending)(struct vfio_pci_vendor_device *dev,
		       struct vfio_pci_precopy_info *info);

	/**
	 * @save: Save a part of the state of a running device.
	 *
	 * Same contract as @save of struct vfio_pci_migration_ops, but 0 means
	 * that no data is available now.  Userspace may stop the device before
	 * it has read all pre-copy data.  Then the other @save must return
	 * everything that is missing.
	 *
	 * Return: same as the other @save, but never -EAGAIN.
	 */
	ssize_t (*save)(struct vfio_pci_vendor_device *dev, void *buf,
			size_t size, u64 pos);

	/**
	 * @load: Load a part that @save returned.
	 *
	 * Same contract as @load of struct vfio_pci_migration_ops.  The core
	 * calls this before the first call of the other @load.
	 *
	 * Return: same as the other @load.
	 */
	int (*load)(struct vfio_pci_vendor_device *dev, const void *buf,
		    size_t size, u64 pos);
};

/**
 * struct vfio_pci_dma_log_ops - operations that log the DMA writes of a device
 *
 * Same context as struct vfio_pci_migration_ops.
 *
 * The driver reports each write by vfio_pci_vendor_log_dma(), at or after its
 * completion.  Userspace may copy a page as soon as it has read the report, and
 * copies it again only after another report.  So if the driver reports a write
 * that may not be complete, it must repeat the report after the completion.  For
 * example, a driver that traps the start of a transfer reports the memory at
 * each @sync, the last time at the first @sync after the end of the transfer.
 */
struct vfio_pci_dma_log_ops {
	/**
	 * @start: Start logging.
	 *
	 * - @dev: the device, in any state
	 * - @ranges: IOVA ranges that userspace logs: nodes of struct
	 *   interval_tree_node, valid during the call.  The core ignores
	 *   reports of other addresses.  The operation may change the tree: a
	 *   device that logs only a few ranges merges them by
	 *   vfio_combine_iova_ranges() of linux/vfio.h.
	 * - @nr_ranges: number of ranges, at least 1
	 * - @page_size: page size that userspace prefers, a power of 2.  The
	 *   device may use another one.
	 *
	 * Return: 0, or a negative errno: -ENOMEM if out of memory, -EIO if the
	 * device failed.
	 */
	int (*start)(struct vfio_pci_vendor_device *dev,
		     struct rb_root_cached *ranges, u32 nr_ranges,
		     u64 page_size);

	/**
	 * @stop: Stop logging.
	 *
	 * - @dev: the device, in any state
	 *
	 * Also called when userspace closes the device.  Optional.
	 */
	void (*stop)(struct vfio_pci_vendor_device *dev);

	/**
	 * @sync: Report the writes that are complete, at least those in the
	 * range.
	 *
	 * - @dev: the device, in any state
	 * - @iova: first address of the range that userspace reads.  The range
	 *   may also contain addresses that are not logged.
	 * - @length: size of the range in bytes
	 *
	 * The core calls this before it returns the log of the range to
	 * userspace.
	 *
	 * Return: 0, or a negative errno: -EIO if the device failed.
	 */
	int (*sync)(struct vfio_pci_vendor_device *dev, u64 iova, u64 length);

	/**
	 * @restart: Start logging again after a reset of the device.
	 *
	 * - @dev: the device, in any state
	 *
	 * For a device that stops logging at a reset.  The core calls this
	 * before the next @sync, and then reports all logged memory as dirty,
	 * because it does not know what the device wrote in between.  Without
	 * this operation, the driver must also log writes across a reset.
	 * Optional.
	 *
	 * Return: 0, or a negative errno: -EIO if the device failed.  The core
	 * then calls it again before the next @sync.
	 */
	int (*restart)(struct vfio_pci_vendor_device *dev);
};

/**
 * struct vfio_pci_migration_ops - migration operations of a vendor driver
 *
 * Unless noted otherwise, the core calls an operation in process context, and
 * the operation may sleep.  The core holds the migration lock of the device,
 * which serializes all operations of the device.  It takes this lock before the
 * memory lock of vfio-pci and the locks of a region access.  It does not hold
 * these other locks during the call.
 *
 * The device is open and runtime resumed.  Userspace may put it into a low
 * power state between two calls.  An operation may access the device by
 * vfio_pci_vendor_read_bar() and vfio_pci_vendor_write_bar(), which also work
 * while memory decode is off.  Region accesses fail with -EIO then.  For VFs,
 * the core takes decode as always on, because real VFs have no bit for it.
 * QEMU's VFs have one.
 *
 * The core logs an errno and returns it to userspace unchanged.  It does not
 * log -EAGAIN, -EINTR and -ERESTARTSYS, because the caller may try again.  A
 * failed load is final: the core converts these and -EFAULT to -EIO.  It also
 * converts an invalid return value to -EIO.
 *
 * After the open callback of the driver, and after a reset, the device runs.  A
 * reset also ends the data transfer session, and the core then calls @reset
 * instead of @end.
 *
 * The core begins no operation during a reset or error recovery, except @end
 * and the stop operation of the DMA log.  A reset may begin during an operation.
 * The core then discards its data and the new state.  If a device loses
 * its state in another way, for example by a reset of its PF, the driver calls
 * vfio_pci_vendor_migration_failed().
 *
 * The uapi defines the states in enum vfio_device_mig_state.
 */
struct vfio_pci_migration_ops {
	/**
	 * @version: Version of the state that @save returns.  The driver
	 * defines it, and the core stores it in the stream.
	 */
	u32 version;

	/**
	 * @min_version: Oldest version that @load accepts, at most @version.
	 * vfio_pci_vendor_load_version() returns the version of the loaded
	 * state.
	 */
	u32 min_version;

	/**
	 * @ignore_ids: Ids that may differ between the saved and the loading
	 * device: a set of VFIO_PCI_MIGRATION_ANY_REVISION and
	 * VFIO_PCI_MIGRATION_ANY_SUBSYSTEM.  The core ignores these ids.
	 * Vendor and device id must always match.  If more must match, the
	 * driver saves it and compares it in @load.
	 */
	u32 ignore_ids;

	/**
	 * @abilities: Report the migration abilities of a device.
	 *
	 * - @dev: the device, bound; its data member may be NULL
	 *
	 * For drivers whose devices differ, for example in their firmware.  The
	 * core calls this after the bind callback of the driver and after its
	 * open callback, in the same context, without the migration lock.  The
	 * result must not change while the device is bound.  Optional.  Without
	 * this operation, the device can do everything that the driver has
	 * operations for.
	 *
	 * A device without VFIO_MIGRATION_PRE_COPY still loads pre-copy data of
	 * another device.
	 *
	 * Return: a set of VFIO_MIGRATION_STOP_COPY, which all others need,
	 * VFIO_MIGRATION_P2P, VFIO_MIGRATION_PRE_COPY and
	 * VFIO_PCI_MIGRATION_LOG; 0 if the device cannot be migrated.
	 */
	u32 (*abilities)(struct vfio_pci_vendor_device *dev);

	/**
	 * @stop: Stop the device for VFIO_DEVICE_STATE_STOP.
	 *
	 * - @dev: the device, running or quiesced
	 *
	 * A stopped device does no DMA and raises no interrupt.  Its state does
	 * not change, unless userspace violates the uapi by an access to the
	 * device.
	 *
	 * Return: 0, or a negative errno that leaves the device unchanged:
	 * -ETIMEDOUT if the device does not finish its work, -EIO if the device
	 * failed.
	 */
	int (*stop)(struct vfio_pci_vendor_device *dev);

	/**
	 * @run: Run the device for VFIO_DEVICE_STATE_RUNNING.
	 *
	 * - @dev: the device, stopped or quiesced; if a reset raced with
	 *   another operation, it may already run
	 *
	 * After @load_done, a failure of the first @run, or of a @quiesce before
	 * it, makes the device unusable until a reset.
	 *
	 * Return: 0, or a negative errno that leaves the device unchanged: -EIO
	 * if the device failed.
	 */
	int (*run)(struct vfio_pci_vendor_device *dev);

	/**
	 * @quiesce: Quiesce the device for VFIO_DEVICE_STATE_RUNNING_P2P.
	 *
	 * - @dev: the device, stopped or running
	 *
	 * A quiesced device starts no access to a peer device.  If it cannot
	 * tell these accesses from other DMA, it starts no DMA.  Unlike a
	 * stopped device, it still responds to accesses, including those by
	 * peer devices.
	 *
	 * Optional.  Provides VFIO_MIGRATION_P2P.
	 *
	 * Return: 0, or a negative errno that leaves the device unchanged:
	 * -ETIMEDOUT if the device does not finish its work, -EIO if the device
	 * failed.
	 */
	int (*quiesce)(struct vfio_pci_vendor_device *dev);

	/**
	 * @begin: Begin or continue a data transfer session.
	 *
	 * - @dev: the device, stopped; for VFIO_DEVICE_STATE_PRE_COPY, running
	 *   or quiesced
	 * - @state: the state to enter: VFIO_DEVICE_STATE_PRE_COPY (also for
	 *   PRE_COPY_P2P), VFIO_DEVICE_STATE_STOP_COPY or
	 *   VFIO_DEVICE_STATE_RESUMING
	 *
	 * The core calls this before the first operation that saves or loads.
	 * If a session begins with pre-copy and continues in STOP_COPY, the
	 * core calls this twice.  Userspace changes the state of all devices
	 * before it reads their data, so a device that starts to save here
	 * works at the same time as the others.  Optional.
	 *
	 * If the call for STOP_COPY fails after pre-copy, the core runs or
	 * quiesces the device again, and pre-copy continues.
	 *
	 * Return: 0, or a negative errno: -ENOMEM if out of memory, -EIO if the
	 * device failed.
	 */
	int (*begin)(struct vfio_pci_vendor_device *dev,
		     enum vfio_device_mig_state state);

	/**
	 * @end: End a data transfer session.
	 *
	 * - @dev: the device, in any state
	 *
	 * Called after a session that @begin began, complete or not, also when
	 * userspace closes the device.  A session that a reset ends has no
	 * @end.  @end cannot fail.  If the device does not work afterwards,
	 * call vfio_pci_vendor_migration_failed().  Optional.  Requires @reset.
	 */
	void (*end)(struct vfio_pci_vendor_device *dev);

	/**
	 * @size: Estimate the size of the device state.
	 *
	 * - @dev: the device, in any state
	 * - @bytes: set to the approximate number of bytes that all @save calls
	 *   of a session return, including earlier calls
	 *
	 * Used for VFIO_DEVICE_FEATURE_MIG_DATA_SIZE, and for pending_bytes of
	 * a stopped device.
	 *
	 * Return: 0, or a negative errno: -EIO if the device failed.
	 */
	int (*size)(struct vfio_pci_vendor_device *dev, u64 *bytes);

	/**
	 * @save: Save a part of the state of a stopped device.
	 *
	 * - @dev: the device
	 * - @buf: buffer of the core.  Do not read it: userspace may map and
	 *   change it.
	 * - @size: size of @buf in bytes, at least VFIO_PCI_MIGRATION_PART_MIN
	 * - @pos: number of bytes that earlier calls returned, 0 at the start
	 *
	 * The core calls @save until it returns 0.  After an error, the core
	 * may repeat the call with the same @pos.  If userspace aborts the
	 * session, the next session starts from @pos 0.
	 *
	 * The core holds the migration lock during the call, so a slow call
	 * blocks other operations.  If the device needs long, return -EAGAIN,
	 * and call vfio_pci_vendor_data_ready() later.
	 *
	 * Return: the number of bytes, 0 at the end of the state, or a negative
	 * errno: -EAGAIN if no data is available yet, -ENOMEM if out of memory,
	 * -EIO if the device failed.
	 */
	ssize_t (*save)(struct vfio_pci_vendor_device *dev, void *buf,
			size_t size, u64 pos);

	/**
	 * @load: Load a part of a saved state.
	 *
	 * - @dev: the device, stopped
	 * - @buf: result of one @save call, in a buffer of the core
	 * - @size: size of the result in bytes
	 * - @pos: number of bytes in earlier calls, 0 at the start
	 *
	 * @buf passed the checksum but is untrusted: the checksum detects
	 * accidents, not attacks.  Validate @buf.  Apply the state in
	 * @load_done, not before: the rest may never arrive.  There is one
	 * exception: a device that takes its state in parts may get a part now,
	 * if a stopped device does not act on it, and if a reset discards it.
	 *
	 * Return: 0, or a negative errno: -EINVAL for an invalid state, -ENOMEM
	 * if out of memory.  After an error the core loads no more parts.
	 */
	int (*load)(struct vfio_pci_vendor_device *dev, const void *buf,
		    size_t size, u64 pos);

	/**
	 * @load_done: Apply the loaded state to the device.
	 *
	 * - @dev: the device, stopped
	 *
	 * The core calls this after @load got all parts of a complete stream,
	 * while userspace writes the end of the stream.  If this fails, a VMM
	 * can continue on the source.  If @run fails, it is too late for that.
	 * So validate the state as a whole, and restore everything that a
	 * stopped device can hold.
	 *
	 * Userspace may restore config space after this call (QEMU does).
	 * Memory decode, bus mastering and interrupts may be off.
	 *
	 * If a reset happens during the call, the device runs with a part of
	 * the state.  A driver that cannot accept this must apply the state in
	 * @run.  The session can still fail after the call, for example by data
	 * after the end of the stream.
	 *
	 * Return: 0, or a negative errno: -EINVAL for an invalid state, -EIO if
	 * the device failed.  After an error, the device is unusable until a
	 * reset.
	 */
	int (*load_done)(struct vfio_pci_vendor_device *dev);

	/**
	 * @reset: Handle a reset of the device.
	 *
	 * - @dev: the device, in any state
	 *
	 * After a reset the device runs.  If there was a session, it has ended
	 * without @end.  The core has set the state to
	 * VFIO_DEVICE_STATE_RUNNING, or to VFIO_DEVICE_STATE_ERROR if it does
	 * not know whether the device runs.
	 *
	 * The core serializes @reset with the other operations, unlike the reset_done
	 * callback of the driver.  The core may call @reset twice for one
	 * reset.  It also calls @reset after a failed reset, because the PCI
	 * core does not report failures.
	 *
	 * The caller may hold the memory lock of vfio-pci.  Do not access the
	 * device.  Optional.
	 */
	void (*reset)(struct vfio_pci_vendor_device *dev);

	/** @precopy: Optional.  Provides VFIO_MIGRATION_PRE_COPY. */
	const struct vfio_pci_precopy_ops *precopy;

	/** @log: Optional.  Provides the device features for DMA logging. */
	const struct vfio_pci_dma_log_ops *log;
};

/* Differences that a driver accepts when it loads a state */
#define VFIO_PCI_MIGRATION_ANY_REVISION		BIT(0)
#define VFIO_PCI_MIGRATION_ANY_SUBSYSTEM	BIT(1)

/* An ability besides VFIO_MIGRATION_*: the device can log its DMA writes */
#define VFIO_PCI_MIGRATION_LOG		BIT(31)

/* Minimum size of the buffer that @save gets */
#define VFIO_PCI_MIGRATION_PART_MIN	65536

u32 vfio_pci_vendor_load_version(struct vfio_pci_vendor_device *dev);
void vfio_pci_vendor_data_ready(struct vfio_pci_vendor_device *dev);
void vfio_pci_vendor_migration_failed(struct vfio_pci_vendor_device *dev);
void vfio_pci_vendor_log_dma(struct vfio_pci_vendor_device *dev, u64 iova,
			     u64 length);

#endif /* VFIO_PCI_MIGRATION_H */
