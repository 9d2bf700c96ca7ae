// SPDX-License-Identifier: GPL-2.0-only
/*
 * Vendor drivers to torture vfio-pci with
 *
 * For tests: drivers for any device, which in their open callbacks do what a
 * module option says, and whose handlers behave as another one says.  Both can
 * be changed at any time.  Not for use otherwise, as who can change them can
 * have vfio-pci access any register of the device.
 */

#include <linux/delay.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <linux/vfio.h>
#include <linux/vfio_pci_core.h>
#include <linux/vfio_pci_regops.h>

#define TORTURE_FEATURE_REGISTER	0x7f01

/* VFIO_DEVICE_FEATURE of the above: a register, past all overrides */
struct torture_register {
	__u32	bar;
	__u32	width;
	__u64	offset;
	__u64	value;
};

static char *ids = "";
module_param(ids, charp, 0444);
MODULE_PARM_DESC(ids, "Ids of devices, as vfio-pci's option of that name has them");

static unsigned int nr_ids;
module_param(nr_ids, uint, 0444);
MODULE_PARM_DESC(nr_ids, "How many ids of devices that nobody has are registered, too");

/* Separated by semicolons; numbers are decimal, or hexadecimal with 0x */
static char *setup = "";
module_param(setup, charp, 0644);
MODULE_PARM_DESC(setup, "What to do when a device is opened: range INDEX START SIZE; ranges INDEX START SIZE STRIDE COUNT; over INDEX; whole INDEX; size SIZE; flags FLAGS; add TYPE SUBTYPE SIZE FLAGS; alias BAR OFFSET SIZE; fail ERRNO");
static char *setup_same = "";
module_param(setup_same, charp, 0644);
MODULE_PARM_DESC(setup_same, "The same for a driver of the same priority that comes later");
static char *setup_high = "";
module_param(setup_high, charp, 0644);
MODULE_PARM_DESC(setup_high, "The same for a driver of a higher priority");

/* What handlers do */
enum torture_handler {
	/* Nothing on the device, and what userspace reads is made up */
	HANDLER_KEEP,
	/* What there would be without them */
	HANDLER_PASS,
	/* The same, but it takes its time */
	HANDLER_SLOW,
	/* Return an errno */
	HANDLER_FAIL,
	/* Return what is none, or more than they were asked for */
	HANDLER_NONSENSE,
};

static const char * const torture_handlers[] = {
	[HANDLER_KEEP]		= "keep",
	[HANDLER_PASS]		= "pass",
	[HANDLER_SLOW]		= "slow",
	[HANDLER_FAIL]		= "fail",
	[HANDLER_NONSENSE]	= "nonsense",
};

static enum torture_handler handler = HANDLER_KEEP;

static int torture_set_handler(const char *val, const struct kernel_param *kp)
{
	int i = sysfs_match_string(torture_handlers, val);

	if (i < 0)
		return i;

	WRITE_ONCE(handler, i);

	return 0;
}

static int torture_get_handler(char *buffer, const struct kernel_param *kp)
{
	return sysfs_emit(buffer, "%s\n", torture_handlers[READ_ONCE(handler)]);
}

static const struct kernel_param_ops torture_handler_ops = {
	.set	= torture_set_handler,
	.get	= torture_get_handler,
};

module_param_cb(handler, &torture_handler_ops, NULL, 0644);
MODULE_PARM_DESC(handler, "What handlers do: keep what they handle for themselves, pass it on, be slow, fail, return nonsense");

/* How often what happened, for all devices */
static atomic_t reads, writes, opens, closes, releases, prepares, resets;
/* How often we had the device read or write what we handle */
static atomic_t approved;

static int torture_get_count(char *buffer, const struct kernel_param *kp)
{
	return sysfs_emit(buffer, "%d\n", atomic_read((atomic_t *)kp->arg));
}

static const struct kernel_param_ops torture_count_ops = {
	.get = torture_get_count,
};

module_param_cb(reads, &torture_count_ops, &reads, 0444);
module_param_cb(writes, &torture_count_ops, &writes, 0444);
module_param_cb(opens, &torture_count_ops, &opens, 0444);
module_param_cb(closes, &torture_count_ops, &closes, 0444);
module_param_cb(releases, &torture_count_ops, &releases, 0444);
module_param_cb(prepares, &torture_count_ops, &prepares, 0444);
module_param_cb(resets, &torture_count_ops, &resets, 0444);
module_param_cb(approved, &torture_count_ops, &approved, 0444);

/* What a handler returns instead of what it should, 0 if it is to go on */
static int torture_misbehave(enum torture_handler how)
{
	switch (how) {
	case HANDLER_SLOW:
		msleep(20);
		return 0;
	case HANDLER_FAIL:
		return -EPERM;
	case HANDLER_NONSENSE:
		return atomic_read(&reads) & 1 ? 7 : INT_MIN;
	default:
		return 0;
	}
}

static int torture_approve(int ret)
{
	if (!ret)
		atomic_inc(&approved);

	return ret;
}

static int torture_range_read(const struct vfio_pci_range *range, void *buf,
			      size_t count, u64 pos)
{
	enum torture_handler how = READ_ONCE(handler);
	int ret = torture_misbehave(how);

	atomic_inc(&reads);
	if (ret)
		return ret;
	if (how != HANDLER_KEEP)
		return torture_approve(vfio_pci_lower_read_buf(range->region, buf,
							       count, pos));

	memset(buf, 0x5a, count);

	return 0;
}

static int torture_range_write(const struct vfio_pci_range *range,
			       const void *buf, size_t count, u64 pos)
{
	enum torture_handler how = READ_ONCE(handler);
	int ret = torture_misbehave(how);

	atomic_inc(&writes);
	if (ret || how == HANDLER_KEEP)
		return ret;

	return torture_approve(vfio_pci_lower_write_buf(range->region, buf,
							count, pos));
}

static const struct vfio_pci_range_ops torture_range_ops = {
	.read	= torture_range_read,
	.write	= torture_range_write,
};

static ssize_t torture_read(struct vfio_pci_region *region, char __user *buf,
			    size_t count, loff_t pos)
{
	enum torture_handler how = READ_ONCE(handler);
	int ret = torture_misbehave(how);

	atomic_inc(&reads);
	if (ret > 0)
		return count + 1;
	if (ret)
		return ret;
	if (how != HANDLER_KEEP)
		return vfio_pci_lower_read(region, buf, count, pos);
	if (pos >= region->size)
		return -EINVAL;

	count = min_t(u64, count, region->size - pos);

	return clear_user(buf, count) ? -EFAULT : count;
}

static ssize_t torture_write(struct vfio_pci_region *region,
			     const char __user *buf, size_t count, loff_t pos)
{
	enum torture_handler how = READ_ONCE(handler);
	int ret = torture_misbehave(how);

	atomic_inc(&writes);
	if (ret > 0)
		return count + 1;
	if (ret)
		return ret;
	if (how != HANDLER_KEEP)
		return vfio_pci_lower_write(region, buf, count, pos);

	return pos < region->size ? min_t(u64, count, region->size - pos) : -EINVAL;
}

static void torture_release(struct vfio_pci_region *region)
{
	atomic_inc(&releases);
}

static const struct vfio_pci_regops torture_whole_ops = {
	.read		= torture_read,
	.write		= torture_write,
	.release	= torture_release,
};

static const struct vfio_pci_regops torture_over_ops = {
	.release	= torture_release,
};

/* A region that is a part of a BAR, mapped page by page */
static int torture_alias_mmap(struct vfio_pci_region *region,
			      struct vm_area_struct *vma)
{
	vma->vm_page_prot = pgprot_noncached(vma->vm_page_prot);
	vm_flags_set(vma, VM_IO | VM_PFNMAP | VM_DONTEXPAND | VM_DONTDUMP);

	return 0;
}

static vm_fault_t torture_alias_fault(struct vfio_pci_region *region,
				      struct vm_fault *vmf, unsigned int order)
{
	struct vm_area_struct *vma = vmf->vma;
	phys_addr_t *phys = region->data;
	unsigned long pfn;

	if (order)
		return VM_FAULT_FALLBACK;

	pfn = (*phys + vfio_pci_region_vma_offset(vma) +
	       ((vmf->address & PAGE_MASK) - vma->vm_start)) >> PAGE_SHIFT;

	guard(rwsem_read)(&region->vdev->memory_lock);

	return vfio_pci_vmf_insert_pfn(region->vdev, vmf, pfn, 0);
}

static void torture_alias_release(struct vfio_pci_region *region)
{
	kfree(region->data);
	atomic_inc(&releases);
}

static const struct vfio_pci_regops torture_alias_ops = {
	.mmap		= torture_alias_mmap,
	.fault		= torture_alias_fault,
	.release	= torture_alias_release,
};

static struct vfio_pci_region *
torture_alias(struct vfio_pci_vendor_device *dev, u64 bar, u64 offset, u64 size)
{
	struct vfio_pci_region *region;
	phys_addr_t *phys;

	if (bar >= PCI_STD_NUM_BARS || offset + size > pci_resource_len(dev->pdev, bar))
		return ERR_PTR(-EINVAL);

	phys = kmalloc_obj(*phys, GFP_KERNEL_ACCOUNT);
	if (!phys)
		return ERR_PTR(-ENOMEM);

	*phys = pci_resource_start(dev->pdev, bar) + offset;
	region = vfio_pci_vendor_add_region(dev, 0xffff, 0xa, &torture_alias_ops,
					    size, VFIO_REGION_INFO_FLAG_MMAP, phys);
	if (IS_ERR(region))
		kfree(phys);

	return region;
}

static int torture_ranges(struct vfio_pci_vendor_device *dev, const u64 *arg)
{
	u64 i;
	int ret;

	for (i = 0; i < arg[4]; i++) {
		ret = vfio_pci_vendor_override_range(dev, arg[0],
						     arg[1] + i * arg[3], arg[2],
						     &torture_range_ops, NULL);
		if (ret)
			return ret;
	}

	return 0;
}

/* One step of a setup; *region is the one that the last step is about */
static int torture_step(struct vfio_pci_vendor_device *dev, const char *step,
			struct vfio_pci_region **region)
{
	u64 arg[5] = {};
	char what[8];
	void *memory;
	int n;

	n = sscanf(step, " %7s %lli %lli %lli %lli %lli", what, &arg[0],
		   &arg[1], &arg[2], &arg[3], &arg[4]);
	if (n < 1)
		return 0;

	if (!strcmp(what, "fail"))
		return -(int)arg[0];

	if (!strcmp(what, "range")) {
		arg[4] = 1;
		return torture_ranges(dev, arg);
	}

	if (!strcmp(what, "ranges"))
		return torture_ranges(dev, arg);

	if (!strcmp(what, "add")) {
		memory = vfio_pci_vendor_add_memory(dev, arg[0], arg[1], NULL,
						    arg[2], arg[3]);
		return PTR_ERR_OR_ZERO(memory);
	}

	if (!strcmp(what, "size") && *region) {
		(*region)->size = arg[0];
		return 0;
	}

	if (!strcmp(what, "flags") && *region) {
		(*region)->flags = arg[0];
		return 0;
	}

	if (!strcmp(what, "over"))
		*region = vfio_pci_vendor_override_region(dev, arg[0],
							  &torture_over_ops, NULL);
	else if (!strcmp(what, "whole"))
		*region = vfio_pci_vendor_override_region(dev, arg[0],
							  &torture_whole_ops, NULL);
	else if (!strcmp(what, "alias"))
		*region = torture_alias(dev, arg[0], arg[1], arg[2]);
	else
		*region = ERR_PTR(-EINVAL);

	return PTR_ERR_OR_ZERO(*region);
}

static int torture_do_setup(struct vfio_pci_vendor_device *dev, char **param)
{
	struct vfio_pci_region *region = NULL;
	char *steps, *step, *rest;
	int ret = 0;

	kernel_param_lock(THIS_MODULE);
	steps = kstrdup(*param, GFP_KERNEL);
	kernel_param_unlock(THIS_MODULE);
	if (!steps)
		return -ENOMEM;

	rest = steps;
	while (!ret && (step = strsep(&rest, ";\n")))
		ret = torture_step(dev, step, &region);

	kfree(steps);
	if (!ret)
		atomic_inc(&opens);

	return ret;
}

static int torture_open(struct vfio_pci_vendor_device *dev)
{
	return torture_do_setup(dev, &setup);
}

static int torture_open_same(struct vfio_pci_vendor_device *dev)
{
	return torture_do_setup(dev, &setup_same);
}

static int torture_open_high(struct vfio_pci_vendor_device *dev)
{
	return torture_do_setup(dev, &setup_high);
}

static void torture_close(struct vfio_pci_vendor_device *dev)
{
	atomic_inc(&closes);
}

static void torture_reset_prepare(struct vfio_pci_vendor_device *dev)
{
	atomic_inc(&prepares);
}

static void torture_reset_done(struct vfio_pci_vendor_device *dev)
{
	atomic_inc(&resets);
}

static int torture_feature(struct vfio_pci_vendor_device *dev, u32 flags,
			   void __user *arg, size_t argsz)
{
	struct torture_register reg;
	int ret;

	if ((flags & VFIO_DEVICE_FEATURE_MASK) != TORTURE_FEATURE_REGISTER)
		return -ENOTTY;

	ret = vfio_check_feature(flags, argsz, VFIO_DEVICE_FEATURE_GET |
				 VFIO_DEVICE_FEATURE_SET, sizeof(reg));
	if (ret != 1)
		return ret;

	if (copy_from_user(&reg, arg, sizeof(reg)))
		return -EFAULT;

	if (flags & VFIO_DEVICE_FEATURE_SET)
		return torture_approve(vfio_pci_vendor_write_bar(dev, reg.bar,
								 reg.offset,
								 reg.width,
								 reg.value));

	ret = torture_approve(vfio_pci_vendor_read_bar(dev, reg.bar, reg.offset,
						       reg.width, &reg.value));
	if (ret)
		return ret;

	return copy_to_user(arg, &reg, sizeof(reg)) ? -EFAULT : 0;
}

static struct vfio_pci_vendor_driver torture_drivers[] = {
	{
		.name		= "vfio_pci_torture",
		.open		= torture_open,
		.close		= torture_close,
		.reset_prepare	= torture_reset_prepare,
		.reset_done	= torture_reset_done,
		.device_feature	= torture_feature,
	}, {
		.name		= "vfio_pci_torture_same",
		.open		= torture_open_same,
		.close		= torture_close,
	}, {
		.name		= "vfio_pci_torture_high",
		.priority	= 10,
		.open		= torture_open_high,
		.close		= torture_close,
	},
};

static int torture_open_none(struct vfio_pci_vendor_device *dev)
{
	return -ENODEV;
}

/* One that is never asked, but has to be passed by */
static struct vfio_pci_vendor_driver torture_crowd = {
	.name	= "vfio_pci_torture_crowd",
	.open	= torture_open_none,
};

static int torture_register_crowd(void)
{
	struct pci_device_id *table;
	unsigned int i;
	int ret;

	table = kvcalloc(nr_ids + 1, sizeof(*table), GFP_KERNEL);
	if (!table)
		return -ENOMEM;

	for (i = 0; i < nr_ids; i++)
		table[i] = (struct pci_device_id){ PCI_DEVICE(0xfffe, i) };

	torture_crowd.id_table = table;
	ret = vfio_pci_register_vendor_driver(&torture_crowd);
	/* It is not looked at later */
	torture_crowd.id_table = NULL;
	kvfree(table);

	return ret;
}

static void torture_unregister(unsigned int nr)
{
	while (nr--)
		vfio_pci_unregister_vendor_driver(&torture_drivers[nr]);
}

static int __init torture_init(void)
{
	unsigned int i;
	int ret;

	for (i = 0; *ids && i < ARRAY_SIZE(torture_drivers); i++) {
		torture_drivers[i].ids = ids;
		ret = vfio_pci_register_vendor_driver(&torture_drivers[i]);
		if (ret)
			goto err_unregister;
	}

	if (nr_ids) {
		ret = torture_register_crowd();
		if (ret)
			goto err_unregister;
	}

	return 0;

err_unregister:
	torture_unregister(i);
	return ret;
}

static void __exit torture_exit(void)
{
	if (nr_ids)
		vfio_pci_unregister_vendor_driver(&torture_crowd);
	if (*ids)
		torture_unregister(ARRAY_SIZE(torture_drivers));
}

module_init(torture_init);
module_exit(torture_exit);

MODULE_DESCRIPTION("Vendor drivers to torture vfio-pci with");
MODULE_LICENSE("GPL");
