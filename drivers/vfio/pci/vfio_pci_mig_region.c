// SPDX-License-Identifier: GPL-2.0-only
/*
 * VFIO PCI migration by a region
 *
 * Implements VFIO_REGION_TYPE_MIGRATION_DEPRECATED for userspace that only
 * knows migration v1.  The region starts with struct
 * vfio_device_migration_info.  The data window follows on separate pages, which
 * userspace may map.
 */

#include <linux/mm.h>
#include <linux/pci.h>
#include <linux/uio.h>
#include <linux/vfio.h>
#include <linux/vfio_pci_core.h>
#include <linux/vmalloc.h>

#include "vfio_pci_mig.h"
#include "vfio_pci_priv.h"

#define VFIO_PCI_MIG_V1_ERROR	(VFIO_DEVICE_STATE_V1_SAVING | \
				 VFIO_DEVICE_STATE_V1_RESUMING)

static u32 vfio_pci_mig_v1_state(const struct vfio_pci_mig *mig)
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

static int vfio_pci_mig_v1_set_state(struct vfio_pci_mig *mig, u32 val)
{
	enum vfio_device_mig_state state;
	bool saving = false;
	int ret;

	switch (val) {
	case VFIO_DEVICE_STATE_V1_RUNNING:
		state = VFIO_DEVICE_STATE_RUNNING;
		break;
	case VFIO_DEVICE_STATE_V1_RUNNING | VFIO_DEVICE_STATE_V1_SAVING:
		/* v1 has this state even for devices without pre-copy */
		saving = !(mig->vdev->vdev.migration_flags &
			   VFIO_MIGRATION_PRE_COPY);
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
	if (!ret)
		mig->v1_saving = saving;

	return ret;
}

/* A read of pending_bytes confirms that userspace took the offered data */
static int vfio_pci_mig_v1_pending(struct vfio_pci_mig *mig, u64 *val)
{
	struct vfio_pci_mig_stream *stream = &mig->stream;
	struct vfio_pci_precopy_info info;
	int ret;

	*val = 0;
	if (!vfio_pci_mig_is_saving(mig->state))
		return 0;

	if (mig->v1_offered)
		stream->taken = stream->filled;
	mig->v1_offered = false;

	if (vfio_pci_mig_is_stopped(mig->state))
		return vfio_pci_mig_size(mig, val);

	ret = vfio_pci_mig_pending(mig, &info);
	if (ret)
		return ret;
	if (check_add_overflow(info.initial, info.dirty, val))
		*val = U64_MAX;

	return 0;
}

/*
 * A read of data_offset asks for data.  Wait for the data, because userspace
 * takes a size of 0 as its end.
 */
static int vfio_pci_mig_v1_offset(struct vfio_pci_mig *mig, u64 *val)
{
	u64 session = mig->session, news;
	int ret;

	*val = PAGE_SIZE;
	if (!vfio_pci_mig_is_saving(mig->state))
		return 0;

	for (;;) {
		news = atomic64_read(&mig->news);
		ret = vfio_pci_mig_fill(&mig->stream,
					vfio_pci_mig_is_stopped(mig->state));
		if (vfio_pci_mig_in_reset(mig))
			return -EIO;
		if (ret != -EAGAIN)
			break;

		vfio_pci_mig_unlock(mig);
		ret = wait_event_interruptible(mig->more,
					       atomic64_read(&mig->news) != news);
		vfio_pci_mig_lock(mig);
		if (ret)
			return ret;
		if (mig->session != session || vfio_pci_mig_in_reset(mig))
			return -EIO;
	}
	if (!ret)
		mig->v1_offered = vfio_pci_mig_left(&mig->stream);

	return ret;
}

/* Load @size bytes from the window; userspace may change them concurrently */
static int vfio_pci_mig_v1_consume(struct vfio_pci_mig *mig, u64 size)
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

/* Read the 8 bytes at offset @pos of struct vfio_device_migration_info */
static int vfio_pci_mig_v1_read_field(struct vfio_pci_mig *mig,
				      unsigned int pos, u64 *val)
{
	struct vfio_device_migration_info info = {};

	switch (pos) {
	case offsetof(struct vfio_device_migration_info, device_state):
		/* Includes the reserved field */
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

static int vfio_pci_mig_v1_read_info(struct vfio_pci_mig *mig, void *buf,
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

static int vfio_pci_mig_v1_write_info(struct vfio_pci_mig *mig,
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

static int vfio_pci_mig_v1_read(struct vfio_pci_mig *mig,
				struct iov_iter *to, loff_t pos)
{
	struct vfio_device_migration_info info;
	void *window;
	size_t part;
	int ret;

	guard(vfio_pci_mig)(mig);

	/* A read of the first page does not claim the protocol */
	if (READ_ONCE(mig->protocol) == VFIO_PCI_MIG_BY_FEATURE)
		return -EBUSY;

	if (pos < sizeof(info)) {
		part = min(iov_iter_count(to), sizeof(info) - pos);
		ret = vfio_pci_mig_settle(mig) ?:
		      vfio_pci_mig_v1_read_info(mig, &info, part, pos);
		if (ret)
			return ret;
		if (copy_to_iter(&info, part, to) != part)
			return -EFAULT;
		pos += part;
	}

	/* The rest of the first page reads as 0 */
	if (pos < PAGE_SIZE) {
		part = min(iov_iter_count(to), PAGE_SIZE - pos);
		if (iov_iter_zero(part, to) != part)
			return -EFAULT;
		pos += part;
	}

	part = iov_iter_count(to);
	if (!part)
		return 0;

	ret = vfio_pci_mig_claim(mig, VFIO_PCI_MIG_BY_REGION);
	if (ret)
		return ret;

	window = vfio_pci_mig_window(mig);
	if (!window)
		return -ENOMEM;

	return copy_to_iter(window + pos - PAGE_SIZE, part, to) == part ?
	       0 : -EFAULT;
}

static int vfio_pci_mig_v1_write(struct vfio_pci_mig *mig,
				 struct iov_iter *from, loff_t pos)
{
	size_t count = iov_iter_count(from);
	void *window;
	u64 field;
	int ret;

	guard(vfio_pci_mig)(mig);

	ret = vfio_pci_mig_claim(mig, VFIO_PCI_MIG_BY_REGION);
	if (ret)
		return ret;

	if (pos < PAGE_SIZE) {
		/* No field is larger */
		if (count > sizeof(field))
			return -EINVAL;
		if (copy_from_iter(&field, count, from) != count)
			return -EFAULT;
		return vfio_pci_mig_settle(mig) ?:
		       vfio_pci_mig_v1_write_info(mig, &field, count, pos);
	}

	if (mig->state != VFIO_DEVICE_STATE_RESUMING)
		return -EINVAL;

	window = vfio_pci_mig_window(mig);
	if (!window)
		return -ENOMEM;

	return copy_from_iter(window + pos - PAGE_SIZE, count, from) == count ?
	       0 : -EFAULT;
}

static int vfio_pci_mig_region_read(struct vfio_pci_region *region, void *buf,
				    size_t count, loff_t pos)
{
	struct kvec kvec = { .iov_base = buf, .iov_len = count };
	struct iov_iter to;

	iov_iter_kvec(&to, ITER_DEST, &kvec, 1, count);

	return vfio_pci_mig_v1_read(region->data, &to, pos);
}

static int vfio_pci_mig_region_write(struct vfio_pci_region *region,
				     const void *buf, size_t count, loff_t pos)
{
	struct kvec kvec = { .iov_base = (void *)buf, .iov_len = count };
	struct iov_iter from;

	iov_iter_kvec(&from, ITER_SOURCE, &kvec, 1, count);

	return vfio_pci_mig_v1_write(region->data, &from, pos);
}

/* Copy between userspace and the window without a bounce buffer */
static ssize_t vfio_pci_mig_user_read(struct vfio_pci_core_region *region,
				      char __user *buf, size_t count,
				      loff_t pos)
{
	struct iov_iter to;
	ssize_t ret;

	ret = vfio_pci_region_clip(region, count, pos);
	if (ret < 0)
		return ret;

	count = ret;
	ret = import_ubuf(ITER_DEST, buf, count, &to);
	if (!ret)
		ret = vfio_pci_mig_v1_read(region->region.data, &to, pos);

	return ret ?: count;
}

static ssize_t vfio_pci_mig_user_write(struct vfio_pci_core_region *region,
				       const char __user *buf, size_t count,
				       loff_t pos)
{
	struct iov_iter from;
	ssize_t ret;

	ret = vfio_pci_region_clip(region, count, pos);
	if (ret < 0)
		return ret;

	count = ret;
	ret = import_ubuf(ITER_SOURCE, (char __user *)buf, count, &from);
	if (!ret)
		ret = vfio_pci_mig_v1_write(region->region.data, &from, pos);

	return ret ?: count;
}

/* Take no lock: a copy with the lock held may fault in this mapping */
static int vfio_pci_mig_region_mmap(struct vfio_pci_region *region,
				    struct vm_area_struct *vma)
{
	struct vfio_pci_mig *mig = region->data;
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
	struct vfio_pci_mig *mig = region->data;
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
	vfio_pci_mig_put(region->data);
}

static const struct vfio_pci_user_regops vfio_pci_mig_user_regops = {
	.read	= vfio_pci_mig_user_read,
	.write	= vfio_pci_mig_user_write,
};

static const struct vfio_pci_regops vfio_pci_mig_regops = {
	.read		= vfio_pci_mig_region_read,
	.write		= vfio_pci_mig_region_write,
	.mmap		= vfio_pci_mig_region_mmap,
	.fault		= vfio_pci_mig_region_fault,
	.release	= vfio_pci_mig_region_release,
};

/**
 * vfio_pci_mig_add_region() - add the v1 migration region to a device
 * @mig: the migration; the region holds a reference
 *
 * Return: 0 on success; -EINVAL if the core cannot add a region; -ENOMEM if out
 * of memory.
 */
int vfio_pci_mig_add_region(struct vfio_pci_mig *mig)
{
	const struct vfio_region_sparse_mmap_area area = {
		.offset	= PAGE_SIZE,
		.size	= VFIO_PCI_MIG_WINDOW,
	};
	const struct vfio_pci_region_desc desc = {
		.ops		= &vfio_pci_mig_regops,
		.data		= mig,
		.size		= PAGE_SIZE + VFIO_PCI_MIG_WINDOW,
		.flags		= VFIO_REGION_INFO_FLAG_READ |
				  VFIO_REGION_INFO_FLAG_WRITE |
				  VFIO_REGION_INFO_FLAG_MMAP,
		.type		= VFIO_REGION_TYPE_MIGRATION_DEPRECATED,
		.subtype	= VFIO_REGION_SUBTYPE_MIGRATION_DEPRECATED,
		.areas		= &area,
		.nr_areas	= 1,
	};
	struct vfio_pci_region *region;

	kref_get(&mig->kref);
	region = vfio_pci_vendor_add_region_user(mig->dev, &desc,
						 &vfio_pci_mig_user_regops);
	if (IS_ERR(region)) {
		vfio_pci_mig_put(mig);
		return PTR_ERR(region);
	}

	return 0;
}
