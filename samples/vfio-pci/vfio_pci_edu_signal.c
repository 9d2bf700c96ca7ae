// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sample vendor driver: signal an eventfd for a register of QEMU's edu
 *
 * Userspace sets an eventfd with VFIO_DEVICE_FEATURE.  When userspace writes
 * the interrupt raise register, the driver signals the eventfd and then writes
 * to the device.
 *
 * See docs/specs/edu.rst of QEMU for the registers.
 */

#include <linux/eventfd.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/vfio.h>
#include <linux/vfio_pci_regops.h>

#define IRQ_RAISE	0x60

/* VFIO_DEVICE_FEATURE_SET only; the data is an eventfd as s32 */
#define SIGNAL_FEATURE	(VFIO_DEVICE_FEATURE_VENDOR + 1)

struct signal {
	struct mutex		lock;	/* protects eventfd */
	struct eventfd_ctx	*eventfd;
};

static int signal_write(const struct vfio_pci_range *range, u64 pos,
			unsigned int width, u64 val)
{
	struct vfio_pci_region *lower = vfio_pci_region_lower(range->region);
	struct signal *signal = range->data;

	scoped_guard(mutex, &signal->lock) {
		if (signal->eventfd)
			eventfd_signal(signal->eventfd);
	}

	return vfio_pci_region_write_reg(lower, pos, width, val);
}

static const struct vfio_pci_range_ops signal_ops = {
	.write	= signal_write,
};

static int signal_feature(struct vfio_pci_vendor_device *dev, u32 flags,
			  void __user *arg, size_t argsz)
{
	struct signal *signal = dev->data;
	struct eventfd_ctx *eventfd;
	s32 fd;
	int ret;

	if ((flags & VFIO_DEVICE_FEATURE_MASK) != SIGNAL_FEATURE)
		return -ENOTTY;

	ret = vfio_check_feature(flags, argsz, VFIO_DEVICE_FEATURE_SET,
				 sizeof(fd));
	if (ret != 1)
		return ret;
	if (copy_from_user(&fd, arg, sizeof(fd)))
		return -EFAULT;

	eventfd = eventfd_ctx_fdget(fd);
	if (IS_ERR(eventfd))
		return PTR_ERR(eventfd);

	scoped_guard(mutex, &signal->lock)
		swap(signal->eventfd, eventfd);
	if (eventfd)
		eventfd_ctx_put(eventfd);

	return 0;
}

static int signal_open(struct vfio_pci_vendor_device *dev)
{
	struct signal *signal;
	int ret;

	signal = kzalloc_obj(*signal, GFP_KERNEL_ACCOUNT);
	if (!signal)
		return -ENOMEM;

	mutex_init(&signal->lock);
	ret = vfio_pci_vendor_override_range(dev, VFIO_PCI_BAR0_REGION_INDEX,
					     IRQ_RAISE, 4, &signal_ops, signal);
	if (ret)
		kfree(signal);
	else
		dev->data = signal;

	return ret;
}

static void signal_close(struct vfio_pci_vendor_device *dev)
{
	struct signal *signal = dev->data;

	if (signal->eventfd)
		eventfd_ctx_put(signal->eventfd);
	kfree(signal);
}

static const struct pci_device_id signal_ids[] = {
	{ PCI_DEVICE(0x1234, 0x11e8) },
	{}
};

static const struct vfio_pci_vendor_driver signal_driver = {
	.name		= "vfio_pci_edu_signal",
	.id_table	= signal_ids,
	.open		= signal_open,
	.close		= signal_close,
	.device_feature	= signal_feature,
};

module_vfio_pci_vendor_driver(signal_driver);
MODULE_DEVICE_TABLE(vfio_pci_vendor, signal_ids);
MODULE_DESCRIPTION("Sample vfio-pci vendor driver that signals an eventfd");
MODULE_LICENSE("GPL");
