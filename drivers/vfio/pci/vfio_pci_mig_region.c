// SPDX-License-Identifier: GPL-2.0-only
/*
 * VFIO PCI migration by a region
 *
 * The migration protocol of VFIO_REGION_TYPE_MIGRATION_DEPRECATED, for userspace
 * that knows no other: struct vfio_device_migration_info, then, in pages of its
 * own, the data, which may be mapped.
 */

#include <linux/mm.h>
#include <linux/pci.h>
#include <linux/uaccess.h>
#include <linux/uio.h>
#include <linux/vfio.h>
#include <linux/vfio_pci_core.h>
#include <linux/vmalloc.h>

#include "vfio_pci_mig.h"
#include "vfio_pci_priv.h"

#define VFIO_PCI_MIG_V1_ERROR	(VFIO_DEVICE_STATE_V1_SAVING | \
				 VFIO_DEVICE_STATE_V1_RESUMING)

static u32 vfio_pci_mig_v1_state(const struct vfio_pci_migration *mig)
{
	switch (mig->state) {
	case VFIO_DEVICE_STATE_RUNNING:
	case VFIO_DEVICE_STATE_RUNNING_P2P:
		return VFIO_DEVICE_STATE_V1_RUNNING |
		       (mig->v1_saving ? VFIO_DEVICE_STATE_V1_SAVING : 0);
	case VFIO_DEVICE_STATE_PRE_COPY:
	case VFIO_DEVICE_STATE_PRE_COPY_P2P:
		return VFIO_DEVICE_STATE_V1_RUNNING |
		       VFIO_DEVICE_STATE_V1_SAVING;
	case VFIO_DEVICE_STATE_STOP_COPY:
		return VFIO_DEVICE_STATE_V1_SAVING;
	case VFIO_DEVICE_STATE_RESUMING:
		return VFIO_DEVICE_STATE_V1_RESUMING;
	case VFIO_DEVICE_STATE_STOP:
		return VFIO_DEVICE_STATE_V1_STOP;
	default:
		return VFIO_PCI_MIG_V1_ERROR;
	}
}

static int vfio_pci_mig_v1_set_state(struct vfio_pci_migration *mig, u32 val)
{
	enum vfio_device_mig_state state;
	bool saving = false;
	int ret;

	switch (val) {
	case VFIO_DEVICE_STATE_V1_RUNNING:
		state = VFIO_DEVICE_STATE_RUNNING;
		break;
	case VFIO_DEVICE_STATE_V1_RUNNING | VFIO_DEVICE_STATE_V1_SAVING:
		/* All devices have this state, be there anything to save or not */
		saving = !mig->ops->precopy_save;
		state = saving ? VFIO_DEVICE_STATE_RUNNING :
				 VFIO_DEVICE_STATE_PRE_COPY;
		if (saving && mig->state == VFIO_DEVICE_STATE_STOP_COPY)
			return -EINVAL;
		break;
	case VFIO_DEVICE_STATE_V1_SAVING:
		state = VFIO_DEVICE_STATE_STOP_COPY;
		break;
	case VFIO_DEVICE_STATE_V1_RESUMING:
		state = VFIO_DEVICE_STATE_RESUMING;
		break;
	case VFIO_DEVICE_STATE_V1_STOP:
		state = VFIO_DEVICE_STATE_STOP;
		break;
	default:
		return -EINVAL;
	}

	ret = vfio_pci_mig_set_state(mig, state);
	/* One that still runs does what it did before */
	if (!ret)
		mig->v1_saving = saving;

	return ret;
}

/* That it is read says that what was offered before has been taken */
static int vfio_pci_mig_v1_pending(struct vfio_pci_migration *mig, u64 *val)
{
	struct vfio_pci_mig_stream *stream = &mig->stream;
	u64 initial, dirty;
	int ret;

	*val = 0;
	if (!vfio_pci_mig_is_saving(mig->state))
		return 0;

	if (mig->v1_offered)
		stream->taken = stream->filled;
	mig->v1_offered = false;

	if (vfio_pci_mig_is_stopped(mig->state)) {
		*val = vfio_pci_mig_estimate(stream, mig->ops->size(mig->dev));
		return 0;
	}

	ret = vfio_pci_mig_pending(mig, &initial, &dirty);
	if (ret)
		return ret;
	if (check_add_overflow(initial, dirty, val))
		*val = U64_MAX;

	return 0;
}

/* That it is read says that there shall be data */
static int vfio_pci_mig_v1_offset(struct vfio_pci_migration *mig, u64 *val)
{
	int ret;

	*val = PAGE_SIZE;
	if (!vfio_pci_mig_is_saving(mig->state))
		return 0;

	ret = vfio_pci_mig_fill(&mig->stream,
				vfio_pci_mig_is_stopped(mig->state));
	if (!ret)
		mig->v1_offered = vfio_pci_mig_left(&mig->stream);

	return ret;
}

/* The user has put @size bytes into the window, which it may still change */
static int vfio_pci_mig_v1_consume(struct vfio_pci_migration *mig, u64 size)
{
	struct iov_iter from;
	struct kvec kvec;

	if (mig->state != VFIO_DEVICE_STATE_RESUMING ||
	    size > VFIO_PCI_MIG_WINDOW)
		return -EINVAL;

	kvec.iov_base = vfio_pci_mig_window(mig);
	kvec.iov_len = size;
	if (!kvec.iov_base)
		return -ENOMEM;

	iov_iter_kvec(&from, ITER_SOURCE, &kvec, 1, size);

	return vfio_pci_mig_feed(&mig->stream, &from);
}

/* What is at @pos of the info: whole fields, of which parts may be read */
static int vfio_pci_mig_v1_read_field(struct vfio_pci_migration *mig,
				      unsigned int pos, u64 *val)
{
	struct vfio_device_migration_info info = {};

	switch (pos) {
	case offsetof(struct vfio_device_migration_info, device_state):
		/* And the reserved field */
		info.device_state = vfio_pci_mig_v1_state(mig);
		memcpy(val, &info, sizeof(*val));
		return 0;
	case offsetof(struct vfio_device_migration_info, pending_bytes):
		return vfio_pci_mig_v1_pending(mig, val);
	case offsetof(struct vfio_device_migration_info, data_offset):
		return vfio_pci_mig_v1_offset(mig, val);
	default:
		*val = vfio_pci_mig_is_saving(mig->state) ?
		       vfio_pci_mig_left(&mig->stream) : 0;
		return 0;
	}
}

static int vfio_pci_mig_v1_read_info(struct vfio_pci_migration *mig, void *buf,
				     size_t count, unsigned int pos)
{
	while (count) {
		unsigned int skip = pos % sizeof(u64);
		size_t part = min(count, sizeof(u64) - skip);
		u64 val;
		int ret;

		ret = vfio_pci_mig_v1_read_field(mig, pos - skip, &val);
		if (ret)
			return ret;

		memcpy(buf, (void *)&val + skip, part);
		buf += part;
		pos += part;
		count -= part;
	}

	return 0;
}

static int vfio_pci_mig_v1_write_info(struct vfio_pci_migration *mig,
				      const void *buf, size_t count,
				      unsigned int pos)
{
	u64 size;
	u32 state;

	if (pos == offsetof(struct vfio_device_migration_info, device_state) &&
	    count == sizeof(state)) {
		memcpy(&state, buf, sizeof(state));
		return vfio_pci_mig_v1_set_state(mig, state);
	}

	if (pos == offsetof(struct vfio_device_migration_info, data_size) &&
	    count == sizeof(size)) {
		memcpy(&size, buf, sizeof(size));
		return vfio_pci_mig_v1_consume(mig, size);
	}

	if (pos == offsetof(struct vfio_device_migration_info, reserved) &&
	    count == sizeof(u32))
		return 0;

	return -EINVAL;
}

/* Data, in the window: all of the access is in it */
static ssize_t vfio_pci_mig_v1_data(struct vfio_pci_migration *mig,
				    char __user *to, const char __user *from,
				    size_t count, loff_t pos)
{
	void *window = vfio_pci_mig_window(mig);

	if (!window)
		return -ENOMEM;

	if (to)
		return copy_to_user(to, window + pos, count) ? -EFAULT : count;

	if (mig->state != VFIO_DEVICE_STATE_RESUMING)
		return -EINVAL;

	return copy_from_user(window + pos, from, count) ? -EFAULT : count;
}

static ssize_t vfio_pci_mig_v1_info(struct vfio_pci_migration *mig,
				    char __user *to, const char __user *from,
				    size_t count, loff_t pos)
{
	struct vfio_device_migration_info info;
	int ret;

	if (pos >= sizeof(info))
		return -EINVAL;
	count = min_t(size_t, count, sizeof(info) - pos);

	if (to) {
		ret = vfio_pci_mig_v1_read_info(mig, &info, count, pos);
		if (!ret && copy_to_user(to, &info, count))
			ret = -EFAULT;
	} else if (copy_from_user(&info, from, count)) {
		ret = -EFAULT;
	} else {
		ret = vfio_pci_mig_v1_write_info(mig, &info, count, pos);
	}

	return ret ?: count;
}

/* Read to @to, or write from @from */
static ssize_t vfio_pci_mig_v1_rw(struct vfio_pci_region *region,
				  char __user *to, const char __user *from,
				  size_t count, loff_t pos)
{
	struct vfio_pci_migration *mig = region->data;
	ssize_t ret;

	ret = vfio_pci_region_clip(region, count, pos);
	if (ret < 0)
		return ret;
	count = ret;

	guard(vfio_pci_mig)(mig);

	/* To look at it is not to use it */
	if (to && pos < PAGE_SIZE)
		ret = READ_ONCE(mig->protocol) == VFIO_PCI_MIG_BY_FEATURE ?
		      -EBUSY : 0;
	else
		ret = vfio_pci_mig_claim(mig, VFIO_PCI_MIG_BY_REGION);
	if (ret)
		return ret;

	if (pos < PAGE_SIZE)
		return vfio_pci_mig_v1_info(mig, to, from, count, pos);

	return vfio_pci_mig_v1_data(mig, to, from, count, pos - PAGE_SIZE);
}

static ssize_t vfio_pci_mig_region_read(struct vfio_pci_region *region,
					char __user *buf, size_t count,
					loff_t pos)
{
	return vfio_pci_mig_v1_rw(region, buf, NULL, count, pos);
}

static ssize_t vfio_pci_mig_region_write(struct vfio_pci_region *region,
					 const char __user *buf, size_t count,
					 loff_t pos)
{
	return vfio_pci_mig_v1_rw(region, NULL, buf, count, pos);
}

/* Takes no lock: data may be copied to and from the mapping with it held */
static int vfio_pci_mig_region_mmap(struct vfio_pci_region *region,
				    struct vm_area_struct *vma)
{
	struct vfio_pci_migration *mig = region->data;
	int ret;

	ret = vfio_pci_mig_claim(mig, VFIO_PCI_MIG_BY_REGION);
	if (ret)
		return ret;
	if (!vfio_pci_mig_window(mig))
		return -ENOMEM;

	vm_flags_set(vma, VM_DONTDUMP);

	return 0;
}

static vm_fault_t vfio_pci_mig_region_fault(struct vfio_pci_region *region,
					    struct vm_fault *vmf,
					    unsigned int order)
{
	struct vfio_pci_migration *mig = region->data;
	struct vm_area_struct *vma = vmf->vma;
	u64 pos = vfio_pci_region_vma_offset(vma) +
		  ((vmf->address & PAGE_MASK) - vma->vm_start);

	if (order)
		return VM_FAULT_FALLBACK;
	if (pos < PAGE_SIZE || pos >= region->size)
		return VM_FAULT_SIGBUS;

	vmf->page = vmalloc_to_page(READ_ONCE(mig->window) + pos - PAGE_SIZE);
	get_page(vmf->page);

	return 0;
}

static void vfio_pci_mig_region_release(struct vfio_pci_region *region)
{
	vfio_pci_mig_close(region->data);
}

const struct vfio_pci_regops vfio_pci_mig_regops = {
	.read		= vfio_pci_mig_region_read,
	.write		= vfio_pci_mig_region_write,
	.mmap		= vfio_pci_mig_region_mmap,
	.fault		= vfio_pci_mig_region_fault,
	.release	= vfio_pci_mig_region_release,
};
