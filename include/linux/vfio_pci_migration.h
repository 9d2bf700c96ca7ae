/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Migration of vfio-pci devices by their vendor drivers
 *
 * A vendor driver says how a device is stopped, and how its state is saved and
 * loaded.  vfio-pci makes of that what userspace sees: the device features of
 * today's migration protocol, and the region of the one before.
 */
#ifndef VFIO_PCI_MIGRATION_H
#define VFIO_PCI_MIGRATION_H

#include <linux/types.h>

struct vfio_pci_vendor_device;

/**
 * struct vfio_pci_migration_ops - how a vendor driver migrates a device
 *
 * Unless said otherwise an operation is called in process context, may sleep,
 * and is never called while another one of the same device is: a lock of the
 * device's migration is held, which is taken before the memory lock of vfio-pci
 * and those of an access to a region, none of which is held.  The device is
 * open and runtime resumed, although userspace may have it sleep between two
 * operations.  Yet its memory decoding may be off, in which case its registers
 * fail with -EIO.  An operation may reach the device by
 * vfio_pci_vendor_read_bar() and such.
 *
 * An errno is given to userspace as it is, after a message in the log.  What is
 * no errno and not what an operation returns on success becomes -EIO.
 *
 * A device runs once the open callback of the driver has returned, in whatever
 * state it was closed before.  A reset has it run again, and ends whatever is going
 * on, without a call of any of these but @reset.
 *
 * The states are those of enum vfio_device_mig_state in the uapi.
 */
struct vfio_pci_migration_ops {
	/**
	 * @version: Version of the state that @save gives, of the driver's own
	 * counting.  It is part of what is sent.
	 */
	u32 version;

	/**
	 * @min_version: The oldest version that @load takes, at most @version.
	 * Which one it is given, vfio_pci_vendor_load_version() tells.
	 */
	u32 min_version;

	/**
	 * @stop: Let the device stop.
	 *
	 * - @dev: the device, which runs or is quiesced
	 *
	 * From here on the device does no DMA, raises no interrupt, and changes
	 * nothing of its state, other than by accesses of userspace, which has
	 * no business with it then.  VFIO_DEVICE_STATE_STOP.
	 *
	 * Return: 0, or a negative errno, and then the device is as before:
	 * -ETIMEDOUT if it does not come to an end of what it does, -EIO.
	 */
	int (*stop)(struct vfio_pci_vendor_device *dev);

	/**
	 * @run: Let the device run.
	 *
	 * - @dev: the device, which is stopped or quiesced
	 *
	 * VFIO_DEVICE_STATE_RUNNING.
	 *
	 * Return: 0, or a negative errno, and then the device is as before: -EIO.
	 */
	int (*run)(struct vfio_pci_vendor_device *dev);

	/**
	 * @quiesce: Let the device do nothing by itself.
	 *
	 * - @dev: the device, which is stopped or runs
	 *
	 * Unlike a device that is stopped, it reacts to accesses, also of other
	 * devices, but does not start any of its own.
	 * VFIO_DEVICE_STATE_RUNNING_P2P.
	 *
	 * Optional, with it there is VFIO_MIGRATION_P2P.
	 *
	 * Return: 0, or a negative errno, and then the device is as before:
	 * -ETIMEDOUT if it does not come to an end of what it does, -EIO.
	 */
	int (*quiesce)(struct vfio_pci_vendor_device *dev);

	/**
	 * @size: Estimate the size of the device's state.
	 *
	 * - @dev: the device, in any state
	 *
	 * For VFIO_DEVICE_FEATURE_MIG_DATA_SIZE, and pending_bytes of a device
	 * that is stopped.
	 *
	 * Return: about how many bytes all of @save would give now.
	 */
	u64 (*size)(struct vfio_pci_vendor_device *dev);

	/**
	 * @save: Save a part of the state of a device that is stopped.
	 *
	 * - @dev: the device
	 * - @buf: buffer of the core, to be written and never read, as
	 *   userspace may have it mapped
	 * - @size: size of @buf in bytes, at least VFIO_PCI_MIGRATION_PART_MIN
	 * - @pos: number of bytes that this has given before, 0 at the start
	 *
	 * Called until it returns 0.  It may be called again for the same @pos
	 * after an error, and from the start if saving was given up.
	 *
	 * Return: the number of bytes, 0 if there is nothing more, or a
	 * negative errno: -ENOMEM, -EIO.
	 */
	ssize_t (*save)(struct vfio_pci_vendor_device *dev, void *buf,
			size_t size, u64 pos);

	/**
	 * @load: Take a part of the state that a device is to have.
	 *
	 * - @dev: the device, which is stopped
	 * - @buf: what one call of @save gave, in a buffer of the core
	 * - @size: size of it in bytes
	 * - @pos: number of bytes that came before, 0 at the start
	 *
	 * What is in @buf is as it was sent, but is no more to be trusted than
	 * who sent it.  Nothing of it may take effect before @load_done: what
	 * is missing may never come.
	 *
	 * Return: 0, or a negative errno, after which there are no more parts:
	 * -EINVAL for a state that cannot be, -ENOMEM.
	 */
	int (*load)(struct vfio_pci_vendor_device *dev, const void *buf,
		    size_t size, u64 pos);

	/**
	 * @load_done: Give the device the state that was loaded.
	 *
	 * - @dev: the device, which is stopped
	 *
	 * Called once all of the state was loaded, and is known to be whole.  If
	 * the device is reset meanwhile, it runs afterwards, with whatever of the
	 * state it was given after the reset.  A driver which cannot have that
	 * keeps the state for @run.
	 *
	 * Return: 0, or a negative errno, after which the device is of no use
	 * until it is reset: -EINVAL for a state that cannot be, -EIO.
	 */
	int (*load_done)(struct vfio_pci_vendor_device *dev);

	/**
	 * @reset: The device was reset, hence it runs.
	 *
	 * - @dev: the device, in any state
	 *
	 * Unlike the reset_done callback of the driver, which may be called
	 * while another operation is running, this is called before or after
	 * it, so that it tells of the state that userspace sees.  Nothing is
	 * loaded or saved any more.  It may be called twice for one reset, and
	 * also for one that failed, which the PCI core does not tell apart.
	 *
	 * The memory lock of vfio-pci may be held, so this may not reach the
	 * device, as reset_done may not.  Optional.
	 */
	void (*reset)(struct vfio_pci_vendor_device *dev);

	/**
	 * @precopy_start: Begin to save while the device runs.
	 *
	 * - @dev: the device, which runs or is quiesced
	 *
	 * Optional.
	 *
	 * Return: 0, or a negative errno: -ENOMEM, -EIO.
	 */
	int (*precopy_start)(struct vfio_pci_vendor_device *dev);

	/**
	 * @precopy_stop: End what @precopy_start began.
	 *
	 * - @dev: the device, in any state
	 *
	 * Called when all was saved, or userspace has given up, also by closing
	 * the device.  Optional.
	 */
	void (*precopy_stop)(struct vfio_pci_vendor_device *dev);

	/**
	 * @precopy_pending: Tell what is to be saved while the device runs.
	 *
	 * - @dev: the device, which runs or is quiesced
	 * - @initial: set to how many bytes should be saved before the device
	 *   is stopped, of those that are there from the start; it must become
	 *   0 by and by
	 * - @dirty: set to how many other bytes there are, as the device has
	 *   changed since they were saved
	 *
	 * For VFIO_MIG_GET_PRECOPY_INFO and poll().  If both are 0, userspace
	 * may wait until the device is stopped, or the driver calls
	 * vfio_pci_vendor_precopy_ready().
	 *
	 * Return: 0, or a negative errno: -EIO.
	 */
	int (*precopy_pending)(struct vfio_pci_vendor_device *dev,
			       u64 *initial, u64 *dirty);

	/**
	 * @precopy_save: Save a part of the state of a device that runs.
	 *
	 * As @save, but that 0 says that there is nothing just now.  @save is
	 * still to give whatever is needed when the device has been stopped;
	 * userspace need not have read all of this before.
	 *
	 * Optional, with it there is VFIO_MIGRATION_PRE_COPY, and there must be
	 * @precopy_pending and @precopy_load.
	 *
	 * Return: as @save.
	 */
	ssize_t (*precopy_save)(struct vfio_pci_vendor_device *dev, void *buf,
				size_t size, u64 pos);

	/**
	 * @precopy_load: Take a part of what @precopy_save gave.
	 *
	 * As @load.  All of these come before the first of @load.
	 *
	 * Return: as @load.
	 */
	int (*precopy_load)(struct vfio_pci_vendor_device *dev, const void *buf,
			    size_t size, u64 pos);

	/**
	 * @log_start: Begin to tell what memory the device writes.
	 *
	 * - @dev: the device, in any state
	 *
	 * From here on the driver calls vfio_pci_vendor_log_dma() for all that
	 * the device writes, before @log_stop returns at the latest, and before
	 * @log_sync returns for what was written until then.
	 *
	 * Optional, with it there are the device features of DMA logging.
	 *
	 * Return: 0, or a negative errno: -ENOMEM, -EIO.
	 */
	int (*log_start)(struct vfio_pci_vendor_device *dev);

	/**
	 * @log_stop: End what @log_start began.
	 *
	 * - @dev: the device, in any state
	 *
	 * Optional.
	 */
	void (*log_stop)(struct vfio_pci_vendor_device *dev);

	/**
	 * @log_sync: Tell what the device has written until now.
	 *
	 * - @dev: the device, in any state
	 * - @iova: first address that userspace asks for
	 * - @length: number of bytes that it asks for
	 *
	 * Called before what was logged is reported.  Optional, for devices
	 * that log by themselves.
	 *
	 * Return: 0, or a negative errno: -EIO.
	 */
	int (*log_sync)(struct vfio_pci_vendor_device *dev, u64 iova,
			u64 length);
};

/* The smallest buffer for a part of the state */
#define VFIO_PCI_MIGRATION_PART_MIN	65536

u32 vfio_pci_vendor_load_version(struct vfio_pci_vendor_device *dev);
void vfio_pci_vendor_precopy_ready(struct vfio_pci_vendor_device *dev);
void vfio_pci_vendor_log_dma(struct vfio_pci_vendor_device *dev, u64 iova,
			     u64 length);

#endif /* VFIO_PCI_MIGRATION_H */
