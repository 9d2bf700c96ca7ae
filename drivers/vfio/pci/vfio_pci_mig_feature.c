// SPDX-License-Identifier: GPL-2.0-only
/*
 * VFIO PCI migration by device features
 *
 * Implements VFIO_DEVICE_FEATURE_MIGRATION, the related features, DMA logging
 * and the data files.  A data file may outlive its data transfer session and
 * the open device; it then fails with -ENODEV.  A read calls the driver to save
 * data.  It waits only for a stopped device whose driver has no data yet.
 */

#include <linux/anon_inodes.h>
#include <linux/compat.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/pci.h>
#include <linux/poll.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/uio.h>
#include <linux/vfio.h>
#include <linux/vfio_pci_core.h>

#include "vfio_pci_mig.h"
#include "vfio_pci_priv.h"

struct vfio_pci_mig_file {
	struct vfio_pci_mig		*mig;
	u64				session;
};

/* Lock the migration, if the session of the file exists; a reset ends it */
static int vfio_pci_mig_file_lock(struct vfio_pci_mig_file *mig_file)
{
	struct vfio_pci_mig *mig = mig_file->mig;
	int ret = -ENODEV;

	vfio_pci_mig_lock(mig);
	if (mig->vdev && mig->session == mig_file->session &&
	    !vfio_pci_mig_in_reset(mig))
		ret = vfio_pci_access_begin(mig->vdev);
	if (ret)
		vfio_pci_mig_unlock(mig);

	return ret;
}

static void vfio_pci_mig_file_unlock(struct vfio_pci_mig_file *mig_file)
{
	struct vfio_pci_mig *mig = mig_file->mig;

	vfio_pci_access_end(mig->vdev);
	vfio_pci_mig_unlock(mig);
}

static ssize_t vfio_pci_mig_read(struct vfio_pci_mig *mig,
				 struct iov_iter *to)
{
	struct vfio_pci_mig_stream *stream = &mig->stream;
	bool stopped = vfio_pci_mig_is_stopped(mig->state);
	size_t count = iov_iter_count(to), copied;
	int ret = 0;

	while (iov_iter_count(to)) {
		u64 news = atomic64_read(&mig->news);

		ret = vfio_pci_mig_fill(stream, stopped);
		if (vfio_pci_mig_in_reset(mig))
			ret = -ENODEV;
		if (ret == -EAGAIN)
			mig->no_data = news;
		if (ret)
			break;

		/* Only a running device may have more data later */
		if (!vfio_pci_mig_left(stream)) {
			ret = stopped ? 0 : -ENOMSG;
			break;
		}

		copied = copy_to_iter(stream->window + stream->taken,
				      vfio_pci_mig_left(stream), to);
		stream->taken += copied;
		if (vfio_pci_mig_left(stream) && iov_iter_count(to)) {
			ret = -EFAULT;
			break;
		}
		if (fatal_signal_pending(current)) {
			ret = -EINTR;
			break;
		}
		cond_resched();
	}

	return count - iov_iter_count(to) ?: ret;
}

static ssize_t vfio_pci_mig_read_iter(struct kiocb *iocb, struct iov_iter *to)
{
	struct vfio_pci_mig_file *mig_file = iocb->ki_filp->private_data;
	bool wait = !(iocb->ki_filp->f_flags & O_NONBLOCK) &&
		    !(iocb->ki_flags & IOCB_NOWAIT);
	struct vfio_pci_mig *mig = mig_file->mig;
	ssize_t ret;
	u64 news;

	for (;;) {
		ret = vfio_pci_mig_file_lock(mig_file);
		if (ret)
			return ret;

		ret = vfio_pci_mig_read(mig, to);
		news = mig->no_data;
		vfio_pci_mig_file_unlock(mig_file);
		if (ret != -EAGAIN || !wait)
			return ret;

		ret = wait_event_interruptible(mig->more,
					       atomic64_read(&mig->news) != news);
		if (ret)
			return ret;
	}
}

static ssize_t vfio_pci_mig_write_iter(struct kiocb *iocb,
				       struct iov_iter *from)
{
	struct vfio_pci_mig_file *mig_file = iocb->ki_filp->private_data;
	size_t count = iov_iter_count(from);
	ssize_t ret;

	ret = vfio_pci_mig_file_lock(mig_file);
	if (ret)
		return ret;

	ret = vfio_pci_mig_feed(&mig_file->mig->stream, from);
	/* After a fault or a signal, report the bytes that were consumed */
	if (!ret || ret == -EFAULT || ret == -EINTR)
		ret = count - iov_iter_count(from) ?: ret;
	vfio_pci_mig_file_unlock(mig_file);

	return ret;
}

static long vfio_pci_mig_file_ioctl(struct file *file, unsigned int cmd,
				    unsigned long arg)
{
	struct vfio_pci_mig_file *mig_file = file->private_data;
	struct vfio_pci_mig *mig = mig_file->mig;
	struct vfio_pci_precopy_info pending;
	struct vfio_precopy_info info = {};
	int ret;

	ret = vfio_pci_mig_file_lock(mig_file);
	if (ret)
		return ret;

	ret = vfio_check_precopy_ioctl(&mig->vdev->vdev, cmd, arg, &info);
	if (!ret && (!vfio_pci_mig_is_saving(mig->state) ||
		     vfio_pci_mig_is_stopped(mig->state)))
		ret = -EINVAL;
	if (!ret)
		ret = vfio_pci_mig_pending(mig, &pending);
	if (ret)
		goto out_unlock;

	info.initial_bytes = pending.initial;
	info.dirty_bytes = pending.dirty;
	if (pending.reinit)
		info.flags |= VFIO_PRECOPY_INFO_REINIT;
	if (copy_to_user((void __user *)arg, &info,
			 offsetofend(struct vfio_precopy_info, dirty_bytes)))
		ret = -EFAULT;
	else
		mig->reinit = false;

out_unlock:
	vfio_pci_mig_file_unlock(mig_file);

	return ret;
}

/*
 * A running device is readable while bytes are pending, a stopped one until
 * save returns -EAGAIN.  A later read may still find no data.
 */
static __poll_t vfio_pci_mig_poll(struct file *file, poll_table *wait)
{
	const __poll_t readable = EPOLLIN | EPOLLRDNORM;
	struct vfio_pci_mig_file *mig_file = file->private_data;
	struct vfio_pci_mig *mig = mig_file->mig;
	struct vfio_pci_precopy_info pending;
	__poll_t mask = readable;

	poll_wait(file, &mig->more, wait);

	if (vfio_pci_mig_file_lock(mig_file))
		return readable | EPOLLERR;

	if (vfio_pci_mig_is_stopped(mig->state)) {
		if (mig->no_data == atomic64_read(&mig->news))
			mask = 0;
	} else if (vfio_pci_mig_pending(mig, &pending)) {
		/* Report the error, so that userspace does not wait forever */
		mask = readable | EPOLLERR;
	} else if (!pending.initial && !pending.dirty) {
		mask = 0;
	}
	vfio_pci_mig_file_unlock(mig_file);

	return mask;
}

/**
 * vfio_pci_vendor_data_ready() - report new data to save
 * @dev: the device
 *
 * For vendor drivers whose precopy->pending reported nothing, or whose save
 * returned -EAGAIN.  Wakes up userspace that reads or polls the data file.  The
 * core then calls the operation again.
 *
 * Context: Any, from the open of the device until the close callback of the
 * driver returns.
 */
void vfio_pci_vendor_data_ready(struct vfio_pci_vendor_device *dev)
{
	struct vfio_pci_vendor *vendor = to_vfio_pci_vendor(dev);
	/* Pairs with the release in vfio_pci_mig_open() */
	struct vfio_pci_mig *mig = smp_load_acquire(&vendor->migration);

	if (mig)
		vfio_pci_mig_wake(mig);
}
EXPORT_SYMBOL_GPL(vfio_pci_vendor_data_ready);

static int vfio_pci_mig_file_release(struct inode *inode, struct file *file)
{
	struct vfio_pci_mig_file *mig_file = file->private_data;

	vfio_pci_mig_put(mig_file->mig);
	kfree(mig_file);

	return 0;
}

static const struct file_operations vfio_pci_mig_save_fops = {
	.owner		= THIS_MODULE,
	.read_iter	= vfio_pci_mig_read_iter,
	.poll		= vfio_pci_mig_poll,
	.unlocked_ioctl	= vfio_pci_mig_file_ioctl,
	.compat_ioctl	= compat_ptr_ioctl,
	.release	= vfio_pci_mig_file_release,
};

static const struct file_operations vfio_pci_mig_load_fops = {
	.owner		= THIS_MODULE,
	.write_iter	= vfio_pci_mig_write_iter,
	.release	= vfio_pci_mig_file_release,
};

/* Create a file for the current data transfer session */
static struct file *vfio_pci_mig_data_file(struct vfio_pci_mig *mig)
{
	bool saving = vfio_pci_mig_is_saving(mig->state);
	struct vfio_pci_mig_file *mig_file;
	struct file *file;

	mig_file = kzalloc_obj(*mig_file, GFP_KERNEL_ACCOUNT);
	if (!mig_file)
		return ERR_PTR(-ENOMEM);

	file = anon_inode_getfile("vfio-pci-migration",
				  saving ? &vfio_pci_mig_save_fops :
					   &vfio_pci_mig_load_fops,
				  mig_file, saving ? O_RDONLY : O_WRONLY);
	if (IS_ERR(file)) {
		kfree(mig_file);
		return file;
	}

	stream_open(file_inode(file), file);
	kref_get(&mig->kref);
	mig_file->mig = mig;
	mig_file->session = mig->session;

	return file;
}

static struct file *vfio_pci_mig_change_state(struct vfio_pci_mig *mig,
					      enum vfio_device_mig_state state)
{
	u64 session = mig->session;
	struct file *file;
	int ret;

	ret = vfio_pci_mig_set_state(mig, state);
	if (ret)
		return ERR_PTR(ret);

	/* If the old session continues, it already has a file */
	if (mig->session == session ||
	    (state != VFIO_DEVICE_STATE_RESUMING &&
	     !vfio_pci_mig_is_saving(state)))
		return NULL;

	file = vfio_pci_mig_data_file(mig);
	if (IS_ERR(file)) {
		/* The session is unusable without a file */
		vfio_pci_mig_cancel(mig);
	}

	return file;
}

static struct file *
vfio_pci_mig_feature_set_state(struct vfio_device *core_vdev,
			       enum vfio_device_mig_state state)
{
	struct vfio_pci_mig *mig __free(vfio_pci_mig_put) =
		vfio_pci_mig_get(core_vdev);
	int ret;

	/* No vendor driver migrates the open device */
	if (!mig)
		return ERR_PTR(-ENODEV);

	ret = vfio_pci_mig_claim(mig, VFIO_PCI_MIG_BY_FEATURE);
	if (ret)
		return ERR_PTR(ret);

	guard(vfio_pci_mig)(mig);

	return vfio_pci_mig_change_state(mig, state);
}

/* debugfs also calls this for closed devices, which are RUNNING */
static int vfio_pci_mig_feature_get_state(struct vfio_device *core_vdev,
					  enum vfio_device_mig_state *state)
{
	struct vfio_pci_mig *mig __free(vfio_pci_mig_put) =
		vfio_pci_mig_get(core_vdev);

	*state = VFIO_DEVICE_STATE_RUNNING;
	if (!mig)
		return 0;

	guard(vfio_pci_mig)(mig);

	*state = mig->state;

	return 0;
}

static int vfio_pci_mig_feature_data_size(struct vfio_device *core_vdev,
					  unsigned long *length)
{
	struct vfio_pci_mig *mig __free(vfio_pci_mig_put) =
		vfio_pci_mig_get(core_vdev);
	u64 bytes;
	int ret;

	if (!mig)
		return -ENODEV;

	guard(vfio_pci_mig)(mig);

	ret = vfio_pci_mig_settle(mig) ?: vfio_pci_mig_size(mig, &bytes);
	if (!ret)
		*length = min_t(u64, bytes, ULONG_MAX);

	return ret;
}

static const struct vfio_migration_ops vfio_pci_mig_feature_ops = {
	.migration_set_state		= vfio_pci_mig_feature_set_state,
	.migration_get_state		= vfio_pci_mig_feature_get_state,
	.migration_get_data_size	= vfio_pci_mig_feature_data_size,
};

static int vfio_pci_mig_feature_log_start(struct vfio_device *core_vdev,
					  struct rb_root_cached *ranges,
					  u32 nnodes, u64 *page_size)
{
	struct vfio_pci_mig *mig __free(vfio_pci_mig_put) =
		vfio_pci_mig_get(core_vdev);
	int ret;

	if (!mig)
		return -ENODEV;
	if (!is_power_of_2(*page_size))
		return -EINVAL;

	guard(vfio_pci_mig)(mig);

	ret = vfio_pci_mig_settle(mig) ?:
	      vfio_pci_mig_log_begin(&mig->log, ranges, nnodes);
	if (ret)
		return ret;

	mig->log_restart = false;
	ret = mig->ops->log->start(mig->dev, ranges, nnodes, *page_size);
	if (ret) {
		vfio_pci_mig_log_end(&mig->log);
		return vfio_pci_mig_errno(mig->dev, "log->start", ret);
	}

	/* The page size of the log, even if userspace asks for another one */
	*page_size = PAGE_SIZE;

	return 0;
}

static int vfio_pci_mig_feature_log_stop(struct vfio_device *core_vdev)
{
	struct vfio_pci_mig *mig __free(vfio_pci_mig_put) =
		vfio_pci_mig_get(core_vdev);

	if (!mig)
		return -ENODEV;

	guard(vfio_pci_mig)(mig);

	vfio_pci_mig_stop_logging(mig);

	return 0;
}

/* Make the driver report the writes so far */
static int vfio_pci_mig_log_sync(struct vfio_pci_mig *mig, u64 iova, u64 length)
{
	const struct vfio_pci_dma_log_ops *log = mig->ops->log;
	int ret;

	if (mig->log_restart && log->restart) {
		ret = log->restart(mig->dev);
		if (ret)
			return vfio_pci_mig_errno(mig->dev, "log->restart", ret);
		vfio_pci_mig_log_all(&mig->log);
	}
	mig->log_restart = false;

	ret = log->sync(mig->dev, iova, length);

	return ret ? vfio_pci_mig_errno(mig->dev, "log->sync", ret) : 0;
}

static int vfio_pci_mig_feature_log_read(struct vfio_device *core_vdev,
					 unsigned long iova,
					 unsigned long length,
					 struct iova_bitmap *dirty)
{
	struct vfio_pci_mig *mig __free(vfio_pci_mig_put) =
		vfio_pci_mig_get(core_vdev);
	int ret;

	if (!mig)
		return -ENODEV;
	if (!length)
		return -EINVAL;

	guard(vfio_pci_mig)(mig);

	ret = vfio_pci_mig_settle(mig);
	if (ret)
		return ret;
	if (!vfio_pci_mig_log_has_begun(&mig->log))
		return -EINVAL;

	ret = vfio_pci_mig_log_sync(mig, iova, length);
	if (ret)
		return ret;

	return vfio_pci_mig_log_read(&mig->log, iova, length, dirty);
}

static const struct vfio_log_ops vfio_pci_mig_feature_log_ops = {
	.log_start		= vfio_pci_mig_feature_log_start,
	.log_stop		= vfio_pci_mig_feature_log_stop,
	.log_read_and_clear	= vfio_pci_mig_feature_log_read,
};

/**
 * vfio_pci_mig_abilities() - get the migration abilities of a device
 * @dev: the device; its vendor driver has bound it
 *
 * Return: a set of VFIO_MIGRATION_* and VFIO_PCI_MIGRATION_LOG, or 0 if the
 * vendor driver cannot migrate the device.
 */
u32 vfio_pci_mig_abilities(struct vfio_pci_vendor_device *dev)
{
	const struct vfio_pci_migration_ops *ops = dev->driver->migration;
	u32 abilities;

	if (!ops)
		return 0;

	abilities = VFIO_MIGRATION_STOP_COPY |
		    (ops->quiesce ? VFIO_MIGRATION_P2P : 0) |
		    (ops->precopy ? VFIO_MIGRATION_PRE_COPY : 0) |
		    (ops->log ? VFIO_PCI_MIGRATION_LOG : 0);
	if (ops->abilities)
		abilities &= ops->abilities(dev);

	/* The other abilities need this one */
	return abilities & VFIO_MIGRATION_STOP_COPY ? abilities : 0;
}

static const struct vfio_log_ops *vfio_pci_mig_log_ops(u32 abilities)
{
	return IS_ENABLED(CONFIG_IOMMUFD_DRIVER) &&
	       abilities & VFIO_PCI_MIGRATION_LOG ?
	       &vfio_pci_mig_feature_log_ops : NULL;
}

/**
 * vfio_pci_mig_bind() - advertise migration of a device
 * @dev: the device, before its registration with vfio
 */
void vfio_pci_mig_bind(struct vfio_pci_vendor_device *dev)
{
	struct vfio_device *core_vdev = &dev->vdev->vdev;
	u32 abilities = vfio_pci_mig_abilities(dev);

	core_vdev->mig_ops = &vfio_pci_mig_feature_ops;
	core_vdev->migration_flags = abilities & ~VFIO_PCI_MIGRATION_LOG;
	core_vdev->log_ops = vfio_pci_mig_log_ops(abilities);
}

/**
 * vfio_pci_mig_bound() - check whether the device advertises its abilities
 * @dev: the device
 *
 * Return: false if a variant driver migrates the device, or if the vendor driver
 * was loaded after bind.
 */
bool vfio_pci_mig_bound(struct vfio_pci_vendor_device *dev)
{
	const struct vfio_device *core_vdev = &dev->vdev->vdev;
	u32 abilities = vfio_pci_mig_abilities(dev);

	return core_vdev->mig_ops == &vfio_pci_mig_feature_ops &&
	       core_vdev->migration_flags == (abilities & ~VFIO_PCI_MIGRATION_LOG) &&
	       core_vdev->log_ops == vfio_pci_mig_log_ops(abilities);
}
