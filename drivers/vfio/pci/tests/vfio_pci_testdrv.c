// SPDX-License-Identifier: GPL-2.0-only
/*
 * Scriptable vendor drivers for the selftests
 *
 * The drivers support any device.  Module parameters script their open
 * callbacks and the behavior of their handlers, and can change at any time.
 * For tests only: the parameters give access to every register of the device.
 */

#include <linux/delay.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/pci-p2pdma.h>
#include <linux/pci.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <linux/unaligned.h>
#include <linux/vfio.h>
#include <linux/vfio_pci_core.h>
#include <linux/vfio_pci_regops.h>

#define TESTDRV_FEATURE_REGISTER	0x8001
#define TESTDRV_FEATURE_DMA		0x8002
#define TESTDRV_DMA_MAX			0x10000

/* Data of the feature: access a BAR register below all overrides */
struct testdrv_register {
	__u32	bar;
	__u32	width;
	__u64	offset;
	__u64	value;
};

/* Data of the feature: memory at an IOVA, copied from or to @buf */
struct testdrv_dma {
	__u64	iova;
	__u64	buf;
	__u32	count;
	__u32	write;
};

static char *ids = "";
module_param(ids, charp, 0444);
MODULE_PARM_DESC(ids, "Supported devices, in the format of vfio-pci's ids");

static unsigned int nr_ids;
module_param(nr_ids, uint, 0444);
MODULE_PARM_DESC(nr_ids, "Number of ids that match no device, to make matching slow");

static int bind_errno;
module_param(bind_errno, int, 0644);
MODULE_PARM_DESC(bind_errno, "Errno returned by the bind callback, 0 for success");

/*
 * A setup is a list of steps, separated by semicolons.  Numbers are decimal, or
 * hexadecimal with 0x.
 *
 *   range INDEX START SIZE
 *   ranges INDEX START SIZE STRIDE COUNT
 *   over INDEX			override a region without operations
 *   whole INDEX		override a region with read and write
 *   wrap INDEX			override a region, map the lower region
 *   window INDEX BAR OFFSET SIZE	override a region by a part of a BAR
 *   add TYPE SUBTYPE SIZE FLAGS	add a memory region
 *   alias BAR OFFSET SIZE	add a region that maps a part of a BAR
 *   peek BAR OFFSET		read a register in open and close
 *   hide ID			hide a capability
 *   hidext ID			hide an extended capability
 *   addcap ID SIZE		add a capability
 *   sleep MS			sleep in open
 *   fail ERRNO			fail the open
 *
 * These steps change the region of the previous step:
 *
 *   size SIZE
 *   flags FLAGS
 *   type TYPE SUBTYPE
 *   area OFFSET SIZE		append a mmap area
 *   ops LETTERS		set operations, see testdrv_letters; - for none
 */
static char *setup = "";
module_param(setup, charp, 0644);
MODULE_PARM_DESC(setup, "Steps of the open callback of the first driver, see vfio_pci_testdrv.c");
static char *setup_same = "";
module_param(setup_same, charp, 0644);
MODULE_PARM_DESC(setup_same, "Setup of a second driver with the same priority");
static char *setup_high = "";
module_param(setup_high, charp, 0644);
MODULE_PARM_DESC(setup_high, "Setup of a third driver with a higher priority");

enum testdrv_handler {
	/* Return a constant, do not access the device */
	HANDLER_KEEP,
	/* Access the lower region */
	HANDLER_PASS,
	/* Access the lower region after a delay */
	HANDLER_SLOW,
	/* Return an errno */
	HANDLER_FAIL,
	/* Return an invalid value */
	HANDLER_NONSENSE,
};

static const char * const testdrv_handlers[] = {
	[HANDLER_KEEP]		= "keep",
	[HANDLER_PASS]		= "pass",
	[HANDLER_SLOW]		= "slow",
	[HANDLER_FAIL]		= "fail",
	[HANDLER_NONSENSE]	= "nonsense",
};

static enum testdrv_handler handler = HANDLER_KEEP;

static int testdrv_set_handler(const char *val, const struct kernel_param *kp)
{
	int i = sysfs_match_string(testdrv_handlers, val);

	if (i < 0)
		return i;

	WRITE_ONCE(handler, i);

	return 0;
}

static int testdrv_get_handler(char *buffer, const struct kernel_param *kp)
{
	return sysfs_emit(buffer, "%s\n", testdrv_handlers[READ_ONCE(handler)]);
}

static const struct kernel_param_ops testdrv_handler_ops = {
	.set	= testdrv_set_handler,
	.get	= testdrv_get_handler,
};

module_param_cb(handler, &testdrv_handler_ops, NULL, 0644);
MODULE_PARM_DESC(handler, "Behavior of handlers: keep, pass, slow, fail, nonsense");

/* Number of calls for all devices */
static atomic_t reads, writes, opens, closes, releases, prepares, resets;
/* Number of handler accesses to the device */
static atomic_t approved;

static int testdrv_get_count(char *buffer, const struct kernel_param *kp)
{
	return sysfs_emit(buffer, "%d\n", atomic_read((atomic_t *)kp->arg));
}

static const struct kernel_param_ops testdrv_count_ops = {
	.get = testdrv_get_count,
};

module_param_cb(reads, &testdrv_count_ops, &reads, 0444);
module_param_cb(writes, &testdrv_count_ops, &writes, 0444);
module_param_cb(opens, &testdrv_count_ops, &opens, 0444);
module_param_cb(closes, &testdrv_count_ops, &closes, 0444);
module_param_cb(releases, &testdrv_count_ops, &releases, 0444);
module_param_cb(prepares, &testdrv_count_ops, &prepares, 0444);
module_param_cb(resets, &testdrv_count_ops, &resets, 0444);
module_param_cb(approved, &testdrv_count_ops, &approved, 0444);

/* The last results of the step "peek" */
struct testdrv_peek {
	int ret;
	u64 val;
};

static struct testdrv_peek peek_open, peek_close;

static int testdrv_get_peek(char *buffer, const struct kernel_param *kp)
{
	const struct testdrv_peek *peek = kp->arg;

	return sysfs_emit(buffer, "%d %#llx\n", peek->ret, peek->val);
}

static const struct kernel_param_ops testdrv_peek_ops = {
	.get = testdrv_get_peek,
};

module_param_cb(peek_open, &testdrv_peek_ops, &peek_open, 0444);
module_param_cb(peek_close, &testdrv_peek_ops, &peek_close, 0444);

/* Return the value of a misbehaving handler, or 0 to continue */
static int testdrv_misbehave(enum testdrv_handler how)
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

static int testdrv_approve(int ret)
{
	if (!ret)
		atomic_inc(&approved);

	return ret;
}

static int testdrv_range_read(const struct vfio_pci_range *range, u64 pos,
			      unsigned int width, u64 *val)
{
	struct vfio_pci_region *lower = vfio_pci_region_lower(range->region);
	enum testdrv_handler how = READ_ONCE(handler);
	int ret = testdrv_misbehave(how);

	atomic_inc(&reads);
	if (ret)
		return ret;
	if (how != HANDLER_KEEP)
		return testdrv_approve(vfio_pci_region_read_reg(lower, pos,
								width, val));

	*val = 0x5a5a5a5a5a5a5a5aULL;

	return 0;
}

static int testdrv_range_write(const struct vfio_pci_range *range, u64 pos,
			       unsigned int width, u64 val)
{
	struct vfio_pci_region *lower = vfio_pci_region_lower(range->region);
	enum testdrv_handler how = READ_ONCE(handler);
	int ret = testdrv_misbehave(how);

	atomic_inc(&writes);
	if (ret || how == HANDLER_KEEP)
		return ret;

	return testdrv_approve(vfio_pci_region_write_reg(lower, pos, width,
							 val));
}

static const struct vfio_pci_range_ops testdrv_range_ops = {
	.read	= testdrv_range_read,
	.write	= testdrv_range_write,
};

/* Region data: the part of a BAR that backs the region */
struct testdrv_window {
	phys_addr_t	phys;
	u64		size;
	u64		offset;
	unsigned int	bar;
};

static unsigned int testdrv_width(loff_t pos, size_t count)
{
	return count < 4 || pos & 3 ? 1 : 4;
}

static int testdrv_window_rw(struct vfio_pci_region *region, void *buf,
			     size_t count, loff_t pos, bool iswrite)
{
	struct testdrv_window *window = region->data;
	unsigned int width;
	int ret = 0;
	u64 at, val;

	for (; count && !ret; count -= width, buf += width, pos += width) {
		at = window->offset + pos;
		width = testdrv_width(at, count);
		if (iswrite) {
			val = width == 4 ? get_unaligned_le32(buf) : *(u8 *)buf;
			ret = vfio_pci_vendor_write_bar(region->dev, window->bar,
							at, width, val);
			continue;
		}
		ret = vfio_pci_vendor_read_bar(region->dev, window->bar, at,
					       width, &val);
		if (width == 4)
			put_unaligned_le32(val, buf);
		else
			*(u8 *)buf = val;
	}

	return ret;
}

static int testdrv_read(struct vfio_pci_region *region, void *buf,
			size_t count, loff_t pos)
{
	enum testdrv_handler how = READ_ONCE(handler);
	int ret = testdrv_misbehave(how);

	atomic_inc(&reads);
	if (ret || (how == HANDLER_KEEP && !region->data))
		return ret;
	if (region->data)
		return testdrv_window_rw(region, buf, count, pos, false);

	return vfio_pci_region_read(vfio_pci_region_lower(region), buf, count,
				    pos);
}

static int testdrv_write(struct vfio_pci_region *region, const void *buf,
			 size_t count, loff_t pos)
{
	enum testdrv_handler how = READ_ONCE(handler);
	int ret = testdrv_misbehave(how);

	atomic_inc(&writes);
	if (ret || (how == HANDLER_KEEP && !region->data))
		return ret;
	if (region->data)
		return testdrv_window_rw(region, (void *)buf, count, pos, true);

	return vfio_pci_region_write(vfio_pci_region_lower(region), buf, count,
				     pos);
}

static int testdrv_mmap(struct vfio_pci_region *region,
			struct vm_area_struct *vma)
{
	struct testdrv_window *window = region->data;

	if (!window)
		return vfio_pci_region_mmap(vfio_pci_region_lower(region), vma);

	return vfio_pci_region_mmap_bar(region, vma, window->bar);
}

static vm_fault_t testdrv_fault(struct vfio_pci_region *region,
				struct vm_fault *vmf, unsigned int order)
{
	struct testdrv_window *window = region->data;

	if (!window)
		return VM_FAULT_SIGBUS;

	return vfio_pci_region_fault_bar(region, vmf, order, window->bar,
					 window->offset);
}

/* Not allowed: without a fault operation, the core cannot zap this mapping */
static int testdrv_mmap_by_hand(struct vfio_pci_region *region,
				struct vm_area_struct *vma)
{
	phys_addr_t phys = pci_resource_start(region->dev->pdev, region->index);

	vma->vm_page_prot = pgprot_noncached(vma->vm_page_prot);

	return io_remap_pfn_range(vma, vma->vm_start,
				  (phys + vfio_pci_region_vma_offset(vma)) >>
				  PAGE_SHIFT,
				  vma->vm_end - vma->vm_start,
				  vma->vm_page_prot);
}

static int testdrv_dmabuf(struct vfio_pci_region *region,
			  struct p2pdma_provider **provider,
			  struct phys_vec *phys_vec,
			  struct vfio_region_dma_range *dma_ranges,
			  size_t nr_ranges)
{
	struct testdrv_window *window = region->data;

	if (!window)
		return vfio_pci_region_get_dmabuf_phys(vfio_pci_region_lower(region),
						       provider, phys_vec,
						       dma_ranges, nr_ranges);

	*provider = pcim_p2pdma_provider(region->dev->pdev, window->bar);
	if (!*provider)
		return -EINVAL;

	return vfio_pci_core_fill_phys_vec(phys_vec, dma_ranges, nr_ranges,
					   window->phys, window->size);
}

static int testdrv_add_capability(struct vfio_pci_region *region,
				  struct vfio_info_cap *caps)
{
	struct vfio_info_cap_header header = { .id = 0x7f01, .version = 1 };

	return vfio_info_add_capability(caps, &header, sizeof(header));
}

static void testdrv_release(struct vfio_pci_region *region)
{
	kfree(region->data);
	atomic_inc(&releases);
}

/* Letters of the step "ops"; each is a bit in the index of testdrv_ops[] */
static const char testdrv_letters[] = "rwmhfdc";

static struct vfio_pci_regops testdrv_ops[1 << (sizeof(testdrv_letters) - 1)];

#define TESTDRV_OP(letter)	BIT(strchr(testdrv_letters, letter) - testdrv_letters)

static const struct vfio_pci_regops *testdrv_find_ops(const char *letters)
{
	unsigned int i = 0;

	if (!strcmp(letters, "-"))
		return NULL;

	for (; *letters; letters++) {
		if (!strchr(testdrv_letters, *letters))
			return ERR_PTR(-EINVAL);
		i |= TESTDRV_OP(*letters);
	}

	return &testdrv_ops[i];
}

static void testdrv_fill_ops(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(testdrv_ops); i++) {
		struct vfio_pci_regops *ops = &testdrv_ops[i];

		ops->release = testdrv_release;
		if (i & TESTDRV_OP('r'))
			ops->read = testdrv_read;
		if (i & TESTDRV_OP('w'))
			ops->write = testdrv_write;
		if (i & TESTDRV_OP('m'))
			ops->mmap = testdrv_mmap;
		if (i & TESTDRV_OP('h'))
			ops->mmap = testdrv_mmap_by_hand;
		if (i & TESTDRV_OP('f'))
			ops->fault = testdrv_fault;
		if (i & TESTDRV_OP('d'))
			ops->get_dmabuf_phys = testdrv_dmabuf;
		if (i & TESTDRV_OP('c'))
			ops->add_capability = testdrv_add_capability;
	}
}

#define TESTDRV_AREAS	8

enum testdrv_kind {
	KIND_NONE,
	KIND_OVERRIDE,
	KIND_ADD,
	KIND_MEMORY,
};

/* A region that the next steps may change */
struct testdrv_pending {
	enum testdrv_kind			kind;
	unsigned int				index;
	struct vfio_pci_region_desc		desc;
	struct vfio_region_sparse_mmap_area	areas[TESTDRV_AREAS];
};

/* Device data: the register of the step "peek" */
struct testdrv_device {
	u64	bar;
	u64	offset;
};

static int testdrv_start(struct testdrv_pending *pending,
			 enum testdrv_kind kind, u64 index, const char *letters)
{
	*pending = (struct testdrv_pending) {
		.kind = kind,
		.index = index,
		.desc.ops = testdrv_find_ops(letters),
	};

	return 0;
}

/* Register the pending region */
static int testdrv_finish(struct vfio_pci_vendor_device *dev,
			  struct testdrv_pending *pending)
{
	struct vfio_pci_region_desc *desc = &pending->desc;
	struct vfio_pci_region *region = NULL;
	void *memory = NULL;

	if (desc->nr_areas)
		desc->areas = pending->areas;

	switch (pending->kind) {
	case KIND_OVERRIDE:
		region = vfio_pci_vendor_override_region(dev, pending->index,
							 desc);
		break;
	case KIND_ADD:
		region = vfio_pci_vendor_add_region(dev, desc);
		break;
	case KIND_MEMORY:
		memory = vfio_pci_vendor_add_memory(dev, desc, NULL);
		break;
	default:
		break;
	}

	pending->kind = KIND_NONE;
	if (IS_ERR(region)) {
		kfree(desc->data);
		return PTR_ERR(region);
	}

	return PTR_ERR_OR_ZERO(memory);
}

static int testdrv_window(struct vfio_pci_vendor_device *dev,
			  struct testdrv_pending *pending, u64 bar, u64 offset,
			  u64 size)
{
	struct testdrv_window *window;

	if (bar >= PCI_STD_NUM_BARS ||
	    offset + size > pci_resource_len(dev->pdev, bar))
		return -EINVAL;

	window = kmalloc_obj(*window, GFP_KERNEL_ACCOUNT);
	if (!window)
		return -ENOMEM;

	*window = (struct testdrv_window) {
		.phys = pci_resource_start(dev->pdev, bar) + offset,
		.size = size,
		.offset = offset,
		.bar = bar,
	};
	pending->desc.data = window;
	pending->desc.size = size;
	pending->desc.flags = VFIO_REGION_INFO_FLAG_READ |
			      VFIO_REGION_INFO_FLAG_WRITE |
			      VFIO_REGION_INFO_FLAG_MMAP;

	return 0;
}

static int testdrv_ranges(struct vfio_pci_vendor_device *dev, const u64 *arg)
{
	u64 i;
	int ret;

	for (i = 0; i < arg[4]; i++) {
		ret = vfio_pci_vendor_override_range(dev, arg[0],
						     arg[1] + i * arg[3], arg[2],
						     &testdrv_range_ops, NULL);
		if (ret)
			return ret;
	}

	return 0;
}

static int testdrv_peek(struct vfio_pci_vendor_device *dev, u64 bar, u64 offset)
{
	struct testdrv_device *t = kmalloc_obj(*t, GFP_KERNEL_ACCOUNT);

	if (!t)
		return -ENOMEM;

	t->bar = bar;
	t->offset = offset;
	kfree(dev->data);
	dev->data = t;
	peek_open.ret = vfio_pci_vendor_read_bar(dev, bar, offset, 4,
						 &peek_open.val);

	return 0;
}

/* Change the pending region; return 1 if the step does not change a region */
static int testdrv_change(struct testdrv_pending *pending, const char *what,
			  const char *step, const u64 *arg)
{
	struct vfio_pci_region_desc *desc = &pending->desc;
	const struct vfio_pci_regops *ops;
	char letters[16];

	if (pending->kind == KIND_NONE)
		return 1;

	if (!strcmp(what, "size")) {
		desc->size = arg[0];
	} else if (!strcmp(what, "flags")) {
		desc->flags = arg[0];
	} else if (!strcmp(what, "type")) {
		desc->type = arg[0];
		desc->subtype = arg[1];
	} else if (!strcmp(what, "area")) {
		if (desc->nr_areas == TESTDRV_AREAS)
			return -ENOSPC;
		pending->areas[desc->nr_areas].offset = arg[0];
		pending->areas[desc->nr_areas].size = arg[1];
		desc->nr_areas++;
	} else if (!strcmp(what, "ops")) {
		if (sscanf(step, " ops %15s", letters) != 1)
			return -EINVAL;
		ops = testdrv_find_ops(letters);
		if (IS_ERR(ops))
			return PTR_ERR(ops);
		desc->ops = ops;
	} else {
		return 1;
	}

	return 0;
}

/* Add a capability; the value of each byte is its offset */
static int testdrv_add_cap(struct vfio_pci_vendor_device *dev, u8 id, u8 size)
{
	u8 cap[256];
	int i, ret;

	for (i = 0; i < size; i++)
		cap[i] = i;
	cap[PCI_CAP_LIST_ID] = id;
	ret = vfio_pci_vendor_add_cap(dev, cap, size, NULL, NULL);

	return ret < 0 ? ret : 0;
}

static int testdrv_step(struct vfio_pci_vendor_device *dev, const char *step,
			struct testdrv_pending *pending)
{
	u64 arg[5] = {};
	char what[8];
	int n, ret;

	n = sscanf(step, " %7s %lli %lli %lli %lli %lli", what, &arg[0],
		   &arg[1], &arg[2], &arg[3], &arg[4]);
	if (n < 1)
		return 0;

	ret = testdrv_change(pending, what, step, arg);
	if (ret <= 0)
		return ret;

	ret = testdrv_finish(dev, pending);
	if (ret)
		return ret;

	if (!strcmp(what, "fail"))
		return -(int)arg[0];

	if (!strcmp(what, "sleep")) {
		msleep(arg[0]);
		return 0;
	}

	if (!strcmp(what, "hide"))
		return vfio_pci_vendor_hide_cap(dev, arg[0]);

	if (!strcmp(what, "hidext"))
		return vfio_pci_vendor_hide_ext_cap(dev, arg[0]);

	if (!strcmp(what, "addcap"))
		return testdrv_add_cap(dev, arg[0], arg[1]);

	if (!strcmp(what, "peek"))
		return testdrv_peek(dev, arg[0], arg[1]);

	if (!strcmp(what, "range")) {
		arg[4] = 1;
		return testdrv_ranges(dev, arg);
	}

	if (!strcmp(what, "ranges"))
		return testdrv_ranges(dev, arg);

	if (!strcmp(what, "over"))
		return testdrv_start(pending, KIND_OVERRIDE, arg[0], "");

	if (!strcmp(what, "whole"))
		return testdrv_start(pending, KIND_OVERRIDE, arg[0], "rw");

	if (!strcmp(what, "wrap"))
		return testdrv_start(pending, KIND_OVERRIDE, arg[0], "m");

	if (!strcmp(what, "window"))
		return testdrv_start(pending, KIND_OVERRIDE, arg[0], "rwmfd") ?:
		       testdrv_window(dev, pending, arg[1], arg[2], arg[3]);

	if (!strcmp(what, "alias")) {
		testdrv_start(pending, KIND_ADD, 0, "rwmfd");
		pending->desc.type = 0xffff;
		pending->desc.subtype = 0xa;
		return testdrv_window(dev, pending, arg[0], arg[1], arg[2]);
	}

	if (!strcmp(what, "add")) {
		testdrv_start(pending, KIND_MEMORY, 0, "-");
		pending->desc.type = arg[0];
		pending->desc.subtype = arg[1];
		pending->desc.size = arg[2];
		pending->desc.flags = arg[3];
		return 0;
	}

	return -EINVAL;
}

static int testdrv_do_setup(struct vfio_pci_vendor_device *dev, char **param)
{
	struct testdrv_pending pending = {};
	char *steps, *step, *rest;
	int ret = 0;

	kernel_param_lock(THIS_MODULE);
	steps = kstrdup(*param, GFP_KERNEL);
	kernel_param_unlock(THIS_MODULE);
	if (!steps)
		return -ENOMEM;

	rest = steps;
	while (!ret && (step = strsep(&rest, ";\n")))
		ret = testdrv_step(dev, step, &pending);
	if (!ret)
		ret = testdrv_finish(dev, &pending);
	else if (pending.kind != KIND_NONE)
		kfree(pending.desc.data);

	kfree(steps);
	if (ret)
		kfree(dev->data);
	else
		atomic_inc(&opens);

	return ret;
}

static int testdrv_open(struct vfio_pci_vendor_device *dev)
{
	return testdrv_do_setup(dev, &setup);
}

static int testdrv_open_same(struct vfio_pci_vendor_device *dev)
{
	return testdrv_do_setup(dev, &setup_same);
}

static int testdrv_open_high(struct vfio_pci_vendor_device *dev)
{
	return testdrv_do_setup(dev, &setup_high);
}

static void testdrv_close(struct vfio_pci_vendor_device *dev)
{
	struct testdrv_device *t = dev->data;

	if (t)
		peek_close.ret = vfio_pci_vendor_read_bar(dev, t->bar,
							  t->offset, 4,
							  &peek_close.val);
	kfree(t);
	atomic_inc(&closes);
}

static int testdrv_bind(struct vfio_pci_vendor_device *dev)
{
	return -READ_ONCE(bind_errno);
}

static void testdrv_reset_prepare(struct vfio_pci_vendor_device *dev)
{
	atomic_inc(&prepares);
}

static void testdrv_reset_done(struct vfio_pci_vendor_device *dev)
{
	atomic_inc(&resets);
}

static int testdrv_feature_dma(struct vfio_pci_vendor_device *dev, u32 flags,
			       void __user *arg, size_t argsz)
{
	struct testdrv_dma dma;
	void __user *user;
	int ret;

	ret = vfio_check_feature(flags, argsz, VFIO_DEVICE_FEATURE_SET,
				 sizeof(dma));
	if (ret != 1)
		return ret;

	if (copy_from_user(&dma, arg, sizeof(dma)))
		return -EFAULT;
	if (dma.count > TESTDRV_DMA_MAX)
		return -EINVAL;
	user = u64_to_user_ptr(dma.buf);

	void *buf __free(kvfree) = kvzalloc(dma.count + 1, GFP_KERNEL_ACCOUNT);
	if (!buf)
		return -ENOMEM;

	if (dma.write && copy_from_user(buf, user, dma.count))
		return -EFAULT;

	ret = vfio_pci_vendor_dma_rw(dev, dma.iova, buf, dma.count, dma.write);
	if (ret || dma.write)
		return ret;

	return copy_to_user(user, buf, dma.count) ? -EFAULT : 0;
}

static int testdrv_feature_register(struct vfio_pci_vendor_device *dev,
				    u32 flags, void __user *arg, size_t argsz)
{
	struct testdrv_register reg;
	int ret;

	ret = vfio_check_feature(flags, argsz, VFIO_DEVICE_FEATURE_GET |
				 VFIO_DEVICE_FEATURE_SET, sizeof(reg));
	if (ret != 1)
		return ret;

	if (copy_from_user(&reg, arg, sizeof(reg)))
		return -EFAULT;

	if (flags & VFIO_DEVICE_FEATURE_SET)
		return testdrv_approve(vfio_pci_vendor_write_bar(dev, reg.bar,
								 reg.offset,
								 reg.width,
								 reg.value));

	ret = testdrv_approve(vfio_pci_vendor_read_bar(dev, reg.bar, reg.offset,
						       reg.width, &reg.value));
	if (ret)
		return ret;

	return copy_to_user(arg, &reg, sizeof(reg)) ? -EFAULT : 0;
}

static int testdrv_feature(struct vfio_pci_vendor_device *dev, u32 flags,
			   void __user *arg, size_t argsz)
{
	switch (flags & VFIO_DEVICE_FEATURE_MASK) {
	case TESTDRV_FEATURE_REGISTER:
		return testdrv_feature_register(dev, flags, arg, argsz);
	case TESTDRV_FEATURE_DMA:
		return testdrv_feature_dma(dev, flags, arg, argsz);
	default:
		return -ENOTTY;
	}
}

static const struct vfio_pci_vendor_driver testdrv_drivers[] = {
	{
		.name		= "vfio_pci_testdrv",
		.ids		= &ids,
		.bind		= testdrv_bind,
		.open		= testdrv_open,
		.close		= testdrv_close,
		.reset_prepare	= testdrv_reset_prepare,
		.reset_done	= testdrv_reset_done,
		.device_feature	= testdrv_feature,
	}, {
		.name		= "vfio_pci_testdrv_same",
		.ids		= &ids,
		.open		= testdrv_open_same,
		.close		= testdrv_close,
	}, {
		.name		= "vfio_pci_testdrv_high",
		.ids		= &ids,
		.priority	= 10,
		.open		= testdrv_open_high,
		.close		= testdrv_close,
	},
};

static int testdrv_open_none(struct vfio_pci_vendor_device *dev)
{
	return -ENODEV;
}

/* A driver whose ids match no device */
static struct vfio_pci_vendor_driver testdrv_crowd = {
	.name	= "vfio_pci_testdrv_crowd",
	.open	= testdrv_open_none,
};

static int testdrv_register_crowd(void)
{
	struct pci_device_id *table;
	unsigned int i;
	int ret;

	table = kvcalloc(nr_ids + 1, sizeof(*table), GFP_KERNEL);
	if (!table)
		return -ENOMEM;

	for (i = 0; i < nr_ids; i++)
		table[i] = (struct pci_device_id){ PCI_DEVICE(0xfffe, i) };

	testdrv_crowd.id_table = table;
	ret = vfio_pci_register_vendor_driver(&testdrv_crowd);
	if (ret)
		kvfree(table);

	return ret;
}

static void testdrv_unregister(unsigned int nr)
{
	while (nr--)
		vfio_pci_unregister_vendor_driver(&testdrv_drivers[nr]);
}

static int __init testdrv_init(void)
{
	unsigned int i;
	int ret;

	testdrv_fill_ops();

	for (i = 0; *ids && i < ARRAY_SIZE(testdrv_drivers); i++) {
		ret = vfio_pci_register_vendor_driver(&testdrv_drivers[i]);
		if (ret)
			goto err_unregister;
	}

	if (nr_ids) {
		ret = testdrv_register_crowd();
		if (ret)
			goto err_unregister;
	}

	return 0;

err_unregister:
	testdrv_unregister(i);
	return ret;
}

static void __exit testdrv_exit(void)
{
	if (nr_ids) {
		vfio_pci_unregister_vendor_driver(&testdrv_crowd);
		kvfree(testdrv_crowd.id_table);
	}
	if (*ids)
		testdrv_unregister(ARRAY_SIZE(testdrv_drivers));
	/* Each open must have been closed */
	WARN_ON(atomic_read(&opens) != atomic_read(&closes));
}

module_init(testdrv_init);
module_exit(testdrv_exit);

MODULE_DESCRIPTION("Scriptable vfio-pci vendor drivers for the selftests");
MODULE_LICENSE("GPL");
