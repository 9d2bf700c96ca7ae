// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests of vfio-pci regions that vendor drivers override
 */

#include <kunit/test.h>
#include <linux/mman.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/uaccess.h>
#include <linux/unaligned.h>
#include <linux/vfio.h>
#include <linux/vfio_pci_core.h>

#include "vfio_pci_kunit.h"
#include "vfio_pci_priv.h"

#define TEST_VENDOR	VFIO_PCI_KUNIT_VENDOR
#define TEST_DEVICE	0x0002

#define BAR		VFIO_PCI_BAR2_REGION_INDEX
#define BAR_SIZE	(4 * PAGE_SIZE)
#define RW		(VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE)
#define RWM		(RW | VFIO_REGION_INFO_FLAG_MMAP)

#define NR_DRIVERS	3
#define NR_CALLS	64

struct test_driver {
	struct vfio_pci_vendor_driver driver;
	struct pci_device_id ids[2];
	/* What it does in its open callback */
	int (*open)(struct kunit *test, struct vfio_pci_vendor_device *dev);
	struct kunit *test;
	bool registered;
};

/* A call of an operation: of a range, or of the region below */
struct call {
	char who;
	bool iswrite;
	u8 count;
	u64 pos;
};

struct override_test {
	struct vfio_pci_core_device *vdev;
	struct test_driver drivers[NR_DRIVERS];
	u8 __user *user;
	struct call calls[NR_CALLS];
	unsigned int nr_calls;
	/* What the handlers of ranges return */
	int ret;
	/* How many bytes of one access the region below moves, all if 0 */
	size_t most;
	unsigned int nr_released;
	int result;
};

static void test_call(struct override_test *t, char who, bool iswrite,
		      size_t count, u64 pos)
{
	if (t->nr_calls < NR_CALLS)
		t->calls[t->nr_calls] = (struct call){ who, iswrite, count, pos };
	t->nr_calls++;
}

/* What byte of the region below, and of a range, is read where */
static u8 base_byte(u64 pos)
{
	return pos * 5 + 1;
}

static u8 range_byte(u64 pos)
{
	return ~base_byte(pos);
}

static struct override_test *region_test(struct vfio_pci_region *region)
{
	return region->data;
}

static ssize_t base_read(struct vfio_pci_region *region, char __user *buf,
			 size_t count, loff_t pos)
{
	ssize_t ret = vfio_pci_region_clip(region, count, pos);
	size_t most = region_test(region)->most;
	size_t i;

	test_call(region_test(region), 'b', false, count, pos);
	if (most && ret > 0)
		ret = min_t(ssize_t, ret, most);
	for (i = 0; ret > 0 && i < ret; i++) {
		if (put_user(base_byte(pos + i), buf + i))
			return -EFAULT;
	}

	return ret;
}

static ssize_t base_write(struct vfio_pci_region *region,
			  const char __user *buf, size_t count, loff_t pos)
{
	ssize_t ret = vfio_pci_region_clip(region, count, pos);
	size_t most = region_test(region)->most;

	test_call(region_test(region), 'b', true, count, pos);

	return most && ret > 0 ? min_t(ssize_t, ret, most) : ret;
}

static int base_read_buf(struct vfio_pci_region *region, void *buf,
			 size_t count, loff_t pos)
{
	size_t i;

	test_call(region_test(region), 'b', false, count, pos);
	for (i = 0; i < count; i++)
		((u8 *)buf)[i] = base_byte(pos + i);

	return 0;
}

static int base_mmap(struct vfio_pci_region *region, struct vm_area_struct *vma)
{
	return 0;
}

static vm_fault_t base_fault(struct vfio_pci_region *region,
			     struct vm_fault *vmf, unsigned int order)
{
	return VM_FAULT_SIGBUS;
}

static int base_ioeventfd(struct vfio_pci_region *region, loff_t pos, u64 data,
			  int count, int fd)
{
	return 0;
}

static int base_get_dmabuf_phys(struct vfio_pci_region *region,
				struct p2pdma_provider **provider,
				struct phys_vec *phys_vec,
				struct vfio_region_dma_range *dma_ranges,
				size_t nr_ranges)
{
	return 0;
}

static const struct vfio_pci_regops base_ops = {
	.read			= base_read,
	.write			= base_write,
	.read_buf		= base_read_buf,
	.mmap			= base_mmap,
	.fault			= base_fault,
	.ioeventfd		= base_ioeventfd,
	.get_dmabuf_phys	= base_get_dmabuf_phys,
};

static int range_read(const struct vfio_pci_range *range, void *buf,
		      size_t count, u64 pos)
{
	struct override_test *t = range->data;
	size_t i;

	test_call(t, 'r', false, count, pos);
	for (i = 0; i < count; i++)
		((u8 *)buf)[i] = range_byte(pos + i);

	return t->ret;
}

static int range_write(const struct vfio_pci_range *range, const void *buf,
		       size_t count, u64 pos)
{
	struct override_test *t = range->data;

	test_call(t, 'r', true, count, pos);

	return t->ret;
}

static const struct vfio_pci_range_ops range_ops = {
	.read	= range_read,
	.write	= range_write,
};

static const struct vfio_pci_range_ops range_write_only_ops = {
	.write	= range_write,
};

static void count_release(struct vfio_pci_region *region)
{
	region_test(region)->nr_released++;
}

static int test_open(struct vfio_pci_vendor_device *dev)
{
	struct test_driver *d = container_of(dev->driver, struct test_driver,
					     driver);

	return d->open(d->test, dev);
}

static void test_register(struct kunit *test, const char *name, int priority,
			  int (*open)(struct kunit *test,
				      struct vfio_pci_vendor_device *dev))
{
	struct override_test *t = test->priv;
	struct test_driver *d = t->drivers;

	while (d->registered)
		d++;

	d->ids[0] = (struct pci_device_id){ PCI_DEVICE(TEST_VENDOR, TEST_DEVICE) };
	d->driver.name = name;
	d->driver.id_table = d->ids;
	d->driver.priority = priority;
	d->driver.open = test_open;
	d->open = open;
	d->test = test;
	KUNIT_ASSERT_EQ(test, 0, vfio_pci_register_vendor_driver(&d->driver));
	d->registered = true;
}

/* Open the device, whose BAR the drivers override */
static struct vfio_pci_region *test_open_bar(struct kunit *test, int ret)
{
	struct override_test *t = test->priv;
	struct vfio_pci_region *bar;

	KUNIT_ASSERT_EQ(test, 0, vfio_pci_regions_alloc(t->vdev));
	bar = t->vdev->regions[BAR];
	bar->ops = &base_ops;
	bar->data = t;
	bar->size = BAR_SIZE;
	bar->flags = RWM;
	KUNIT_ASSERT_EQ(test, ret, vfio_pci_core_open_vendors(t->vdev));

	return t->vdev->regions[BAR];
}

static void test_close_bar(struct kunit *test)
{
	struct override_test *t = test->priv;

	vfio_pci_vendors_close(t->vdev);
	KUNIT_EXPECT_PTR_EQ(test, &base_ops, t->vdev->regions[BAR]->ops);
	vfio_pci_regions_free(t->vdev);
}

static int override_test_init(struct kunit *test)
{
	struct override_test *t;
	unsigned long addr;

	t = kunit_kzalloc(test, sizeof(*t), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, t);
	t->vdev = vfio_pci_kunit_device(test, TEST_DEVICE);
	addr = kunit_vm_mmap(test, NULL, 0, BAR_SIZE, PROT_READ | PROT_WRITE,
			     MAP_ANONYMOUS | MAP_PRIVATE, 0);
	KUNIT_ASSERT_FALSE(test, IS_ERR_VALUE(addr));
	KUNIT_ASSERT_NE(test, 0, addr);

	t->user = (u8 __user *)addr;
	test->priv = t;

	return 0;
}

static void override_test_exit(struct kunit *test)
{
	struct override_test *t = test->priv;
	unsigned int i;

	if (!t || !t->vdev)
		return;
	vfio_pci_kunit_close(t->vdev);
	for (i = 0; i < NR_DRIVERS; i++)
		if (t->drivers[i].registered)
			vfio_pci_unregister_vendor_driver(&t->drivers[i].driver);
}

/* What an override has, and what must and must not be passed on then */
static const struct pass_on {
	struct vfio_pci_regops ops;
	u32 flags;
	bool read, write, mmap, ioeventfd, dmabuf;
} pass_on[] = {
	{ .flags = RWM, .read = 1, .write = 1, .mmap = 1, .ioeventfd = 1, .dmabuf = 1 },
	{ .flags = RW, .read = 1, .write = 1, .ioeventfd = 1 },
	{ .flags = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_MMAP, .read = 1 },
	{ .flags = VFIO_REGION_INFO_FLAG_WRITE | VFIO_REGION_INFO_FLAG_MMAP,
	  .write = 1, .ioeventfd = 1 },
	{ .flags = 0 },
	{ .ops.read = base_read, .flags = RWM, .read = 1, .write = 1, .ioeventfd = 1 },
	{ .ops.read_buf = base_read_buf, .flags = RWM, .read = 1, .write = 1,
	  .ioeventfd = 1 },
	{ .ops.write = base_write, .flags = RWM, .read = 1, .write = 1 },
	{ .ops.write = base_write, .ops.mmap = vfio_pci_lower_mmap, .flags = RWM,
	  .read = 1, .write = 1, .mmap = 1 },
	{ .ops.write = base_write, .ops.ioeventfd = vfio_pci_lower_ioeventfd,
	  .flags = RWM, .read = 1, .write = 1, .ioeventfd = 1 },
	{ .ops.mmap = base_mmap, .flags = RWM, .read = 1, .write = 1, .mmap = 1,
	  .ioeventfd = 1, .dmabuf = 1 },
};

static int open_override(struct kunit *test, struct vfio_pci_vendor_device *dev)
{
	const struct pass_on *f = test->param_value;
	struct vfio_pci_region *region;

	region = vfio_pci_vendor_override_region(dev, BAR, &f->ops, test->priv);
	if (IS_ERR(region))
		return PTR_ERR(region);
	KUNIT_EXPECT_EQ(test, RWM, region->flags);
	KUNIT_EXPECT_EQ(test, BAR_SIZE, region->size);
	region->flags = f->flags;

	return 0;
}

static void pass_on_desc(const struct pass_on *f, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "flags %x%s%s%s%s", f->flags,
		 f->ops.read || f->ops.read_buf ? ", reads" : "",
		 f->ops.write ? ", writes" : "", f->ops.mmap ? ", maps" : "",
		 f->ops.ioeventfd ? ", ioeventfd" : "");
}

KUNIT_ARRAY_PARAM(pass_on, pass_on, pass_on_desc);

static void test_pass_on(struct kunit *test)
{
	const struct pass_on *f = test->param_value;
	struct override_test *t = test->priv;
	struct vfio_pci_region *region;

	test_register(test, "a", 0, open_override);
	region = test_open_bar(test, 0);
	KUNIT_ASSERT_NOT_NULL(test, region->lower);

	KUNIT_EXPECT_EQ(test, f->read, !!region->ops->read);
	KUNIT_EXPECT_EQ(test, f->write, !!region->ops->write);
	KUNIT_EXPECT_EQ(test, f->mmap, !!region->ops->mmap);
	KUNIT_EXPECT_EQ(test, f->mmap, !!(region->flags & VFIO_REGION_INFO_FLAG_MMAP));
	KUNIT_EXPECT_EQ(test, f->ioeventfd, !!region->ops->ioeventfd);
	KUNIT_EXPECT_EQ(test, f->dmabuf, !!region->ops->get_dmabuf_phys);
	/* Faults of the region below only in mappings of it */
	KUNIT_EXPECT_EQ(test, region->ops->mmap == vfio_pci_lower_mmap,
			region->ops->fault == vfio_pci_lower_fault);
	/* The same holds for access from above */
	KUNIT_EXPECT_EQ(test, f->read && !f->ops.read, !!region->ops->read_buf);

	if (f->read && !f->ops.read && !f->ops.read_buf)
		KUNIT_EXPECT_EQ(test, 8, region->ops->read(region, t->user, 8, 8));
	test_close_bar(test);
}

/* Ranges that are next to each other, apart, and of which one is not read */
static const struct {
	u64 start, size;
	const struct vfio_pci_range_ops *ops;
} ranges[] = {
	{ 0x28, 8, &range_ops },
	{ 0x04, 4, &range_ops },
	{ 0x08, 1, &range_ops },
	{ 0x0e, 3, &range_ops },
	{ 0x18, 8, &range_write_only_ops },
};

static bool is_handled(u64 pos, bool iswrite)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(ranges); i++) {
		if (pos >= ranges[i].start &&
		    pos < ranges[i].start + ranges[i].size &&
		    (iswrite || ranges[i].ops->read))
			return true;
	}

	return false;
}

static int open_ranges(struct kunit *test, struct vfio_pci_vendor_device *dev)
{
	unsigned int i;
	int ret = 0;

	for (i = 0; i < ARRAY_SIZE(ranges) && !ret; i++)
		ret = vfio_pci_vendor_override_range(dev, BAR, ranges[i].start,
						     ranges[i].size,
						     ranges[i].ops, test->priv);

	return ret;
}

/*
 * Each call comes after the one before, handlers get registers, nothing that
 * they handle goes below, and what goes there is not taken apart.
 */
static bool calls_are_right(struct override_test *t, u64 pos, size_t count,
			    bool iswrite)
{
	u64 end = pos + count;
	unsigned int i;
	u64 j;

	for (i = 0; i < t->nr_calls && i < NR_CALLS; i++) {
		struct call *call = &t->calls[i];
		bool handled = call->who == 'r';

		if (call->pos != pos || !call->count || call->iswrite != iswrite)
			return false;
		for (j = pos; j < pos + call->count; j++)
			if (is_handled(j, iswrite) != handled)
				return false;
		if (handled && vfio_pci_io_width(pos, call->count, 8) != call->count)
			return false;
		/* As wide as the device would have it */
		if (handled && call->count < 8 && !(pos & (2 * call->count - 1)) &&
		    pos + 2 * call->count <= end) {
			for (j = pos; j < pos + 2 * call->count; j++)
				handled &= is_handled(j, iswrite);
			if (handled)
				return false;
		}
		pos += call->count;
		if (call->who == 'b' && pos < end && !is_handled(pos, iswrite))
			return false;
	}

	return pos == end && t->nr_calls < NR_CALLS;
}

static void test_ranges(struct kunit *test)
{
	struct override_test *t = test->priv;
	struct vfio_pci_region *region;
	u8 seen[64];
	u64 pos, i;
	size_t count;

	test_register(test, "a", 0, open_ranges);
	region = test_open_bar(test, 0);

	for (pos = 0; pos < 0x38; pos++) {
		for (count = 1; count < sizeof(seen); count++) {
			t->nr_calls = 0;
			KUNIT_ASSERT_EQ(test, count,
					region->ops->read(region, t->user, count, pos));
			KUNIT_ASSERT_TRUE_MSG(test,
					      calls_are_right(t, pos, count, false),
					      "read %zu at %#llx", count, pos);
			KUNIT_ASSERT_EQ(test, 0, copy_from_user(seen, t->user, count));
			for (i = 0; i < count; i++)
				KUNIT_ASSERT_EQ(test, seen[i], is_handled(pos + i, false) ?
						range_byte(pos + i) : base_byte(pos + i));

			/* The same for a region above */
			memset(seen, 0xaa, sizeof(seen));
			t->nr_calls = 0;
			KUNIT_ASSERT_EQ(test, 0, region->ops->read_buf(region, seen, count, pos));
			KUNIT_ASSERT_TRUE(test, calls_are_right(t, pos, count, false));
			for (i = 0; i < count; i++)
				KUNIT_ASSERT_EQ(test, seen[i], is_handled(pos + i, false) ?
						range_byte(pos + i) : base_byte(pos + i));

			t->nr_calls = 0;
			KUNIT_ASSERT_EQ(test, count,
					region->ops->write(region, t->user, count, pos));
			KUNIT_ASSERT_TRUE_MSG(test,
					      calls_are_right(t, pos, count, true),
					      "write %zu at %#llx", count, pos);
		}
	}

	/* An ioeventfd is on bytes that nothing handles when they are written */
	for (pos = 0; pos < 0x38; pos++) {
		for (count = 1; count <= 8; count *= 2) {
			int ret = 0;

			for (i = 0; i < count; i++)
				if (is_handled(pos + i, true))
					ret = -EINVAL;
			KUNIT_ASSERT_EQ(test, ret,
					region->ops->ioeventfd(region, pos, 0, count, 1));
		}
	}
	test_close_bar(test);
}

static int open_end_ranges(struct kunit *test, struct vfio_pci_vendor_device *dev)
{
	return vfio_pci_vendor_override_range(dev, BAR, BAR_SIZE - 4, 4,
					      &range_ops, test->priv);
}

static void test_range_errors(struct kunit *test)
{
	struct override_test *t = test->priv;
	struct vfio_pci_region *region;
	u8 __user *bad = t->user + BAR_SIZE - 4;
	u8 bytes[4] = {};

	test_register(test, "a", 0, open_end_ranges);
	region = test_open_bar(test, 0);

	/* At and beyond the end of the region */
	KUNIT_EXPECT_EQ(test, 4, region->ops->read(region, t->user, 64, BAR_SIZE - 4));
	KUNIT_EXPECT_EQ(test, 12, region->ops->write(region, t->user, 64, BAR_SIZE - 12));
	KUNIT_EXPECT_EQ(test, -EINVAL, region->ops->read(region, t->user, 1, BAR_SIZE));
	KUNIT_EXPECT_EQ(test, -EINVAL,
			region->ops->read(region, t->user, INT_MAX, BIT_ULL(40) - 1));
	/* Of config space, all of an access is there or none */
	region->exact = true;
	t->nr_calls = 0;
	KUNIT_EXPECT_EQ(test, -EFAULT, region->ops->read(region, t->user, 5, BAR_SIZE - 4));
	KUNIT_EXPECT_EQ(test, -EFAULT, region->ops->write(region, t->user, 13, BAR_SIZE - 12));
	KUNIT_EXPECT_EQ(test, 0, t->nr_calls);
	region->exact = false;

	/* A handler that fails, or returns what it must not */
	t->ret = -EPERM;
	KUNIT_EXPECT_EQ(test, -EPERM, region->ops->read(region, t->user, 8, BAR_SIZE - 8));
	KUNIT_EXPECT_EQ(test, -EPERM, region->ops->write(region, t->user, 8, BAR_SIZE - 8));
	t->ret = 4;
	KUNIT_EXPECT_EQ(test, -EIO, region->ops->read(region, t->user, 4, BAR_SIZE - 4));
	t->ret = INT_MIN;
	KUNIT_EXPECT_EQ(test, -EIO, region->ops->write(region, t->user, 4, BAR_SIZE - 4));
	t->ret = 0;

	/* A bad buffer, of which nothing gets to a handler */
	KUNIT_ASSERT_EQ(test, 0, vm_munmap((unsigned long)t->user + BAR_SIZE - PAGE_SIZE,
					   PAGE_SIZE));
	t->nr_calls = 0;
	KUNIT_EXPECT_EQ(test, -EFAULT, region->ops->write(region, bad, 4, BAR_SIZE - 4));
	KUNIT_EXPECT_EQ(test, 0, t->nr_calls);
	KUNIT_EXPECT_EQ(test, -EFAULT, region->ops->read(region, bad, 4, BAR_SIZE - 4));
	KUNIT_EXPECT_EQ(test, 1, t->nr_calls);

	/* What is below stops early: so do we, and no handler comes after it */
	t->most = 3;
	t->nr_calls = 0;
	KUNIT_EXPECT_EQ(test, 3, region->ops->read(region, t->user, 16, BAR_SIZE - 16));
	KUNIT_EXPECT_EQ(test, 3, region->ops->write(region, t->user, 16, BAR_SIZE - 16));
	KUNIT_EXPECT_EQ(test, 2, t->nr_calls);
	t->most = 0;

	/* A handler reaches no further than the region below */
	KUNIT_EXPECT_EQ(test, 0, vfio_pci_lower_read_buf(region, bytes, 4, BAR_SIZE - 4));
	KUNIT_EXPECT_EQ(test, -EINVAL, vfio_pci_lower_read_buf(region, bytes, 4, BAR_SIZE - 3));
	KUNIT_EXPECT_EQ(test, -EINVAL, vfio_pci_lower_read_buf(region, bytes, 4, BAR_SIZE));
	KUNIT_EXPECT_EQ(test, -EINVAL, vfio_pci_lower_read_buf(region, bytes, 4, -1));
	KUNIT_EXPECT_EQ(test, -EINVAL, vfio_pci_lower_read_buf(region, bytes, 0, 0));
	KUNIT_EXPECT_EQ(test, -EINVAL, vfio_pci_lower_write_buf(region, bytes, 4, BAR_SIZE - 3));
	KUNIT_EXPECT_EQ(test, -EOPNOTSUPP, vfio_pci_lower_write_buf(region, bytes, 4, 0));
	KUNIT_EXPECT_EQ(test, -EINVAL,
			vfio_pci_lower_read_buf(region->lower, bytes, 4, 0));
	test_close_bar(test);
}

/* As many ranges as there is room for, with a gap after each, out of order */
#define NR_MANY		1000

static int open_many(struct kunit *test, struct vfio_pci_vendor_device *dev)
{
	unsigned int i, at = 0;
	int ret = 0;

	for (i = 0; i < NR_MANY && !ret; i++) {
		at = (at + 617) % NR_MANY;
		ret = vfio_pci_vendor_override_range(dev, BAR, at * 8, 4,
						     &range_ops, test->priv);
	}
	/* None of them is given away again */
	for (i = 0; i < NR_MANY && !ret; i++) {
		if (vfio_pci_vendor_override_range(dev, BAR, i * 8 + 3, 2,
						   &range_ops, test->priv) != -EBUSY)
			ret = -EIO;
	}

	return ret;
}

static void test_many_ranges(struct kunit *test)
{
	struct override_test *t = test->priv;
	struct vfio_pci_region *region;
	unsigned int i;

	test_register(test, "a", 0, open_many);
	region = test_open_bar(test, 0);
	for (i = 0; i < NR_MANY; i++) {
		t->nr_calls = 0;
		KUNIT_ASSERT_EQ(test, 8, region->ops->read(region, t->user, 8, i * 8));
		KUNIT_ASSERT_EQ(test, 2, t->nr_calls);
		KUNIT_ASSERT_EQ(test, 'r', t->calls[0].who);
		KUNIT_ASSERT_EQ(test, 'b', t->calls[1].who);
	}
	KUNIT_EXPECT_EQ(test, 1, region->nr_areas);
	test_close_bar(test);
}

/* What the user may map, of ranges in pages of the BAR */
static const struct areas_case {
	struct { u64 start, size; } ranges[4];
	struct vfio_region_sparse_mmap_area areas[3];
	unsigned int nr;
	bool none;
} areas_cases[] = {
	{ .ranges = { { 0, 1 } },
	  .areas = { { PAGE_SIZE, 3 * PAGE_SIZE } }, .nr = 1 },
	{ .ranges = { { BAR_SIZE - 1, 1 } },
	  .areas = { { 0, 3 * PAGE_SIZE } }, .nr = 1 },
	{ .ranges = { { PAGE_SIZE, 4 }, { 2 * PAGE_SIZE - 1, 1 } },
	  .areas = { { 0, PAGE_SIZE }, { 2 * PAGE_SIZE, 2 * PAGE_SIZE } }, .nr = 2 },
	{ .ranges = { { 2 * PAGE_SIZE - 1, 2 } },
	  .areas = { { 0, PAGE_SIZE }, { 3 * PAGE_SIZE, PAGE_SIZE } }, .nr = 2 },
	{ .ranges = { { PAGE_SIZE, PAGE_SIZE }, { 3 * PAGE_SIZE, 8 } },
	  .areas = { { 0, PAGE_SIZE }, { 2 * PAGE_SIZE, PAGE_SIZE } }, .nr = 2 },
	{ .ranges = { { 8, 4 }, { PAGE_SIZE + 8, 4 }, { 2 * PAGE_SIZE, 1 },
		      { 4 * PAGE_SIZE - 4, 4 } },
	  .none = true },
	{ .ranges = { { 0, BAR_SIZE } }, .none = true },
};

static void areas_desc(const struct areas_case *c, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "ranges from %#llx, %u areas",
		 c->ranges[0].start, c->nr);
}

KUNIT_ARRAY_PARAM(areas, areas_cases, areas_desc);

static int open_areas(struct kunit *test, struct vfio_pci_vendor_device *dev)
{
	const struct areas_case *c = test->param_value;
	unsigned int i;
	int ret = 0;

	for (i = 0; i < ARRAY_SIZE(c->ranges) && c->ranges[i].size && !ret; i++)
		ret = vfio_pci_vendor_override_range(dev, BAR, c->ranges[i].start,
						     c->ranges[i].size,
						     &range_ops, test->priv);

	return ret;
}

/* A second driver above keeps what the first has taken */
static int open_above(struct kunit *test, struct vfio_pci_vendor_device *dev)
{
	static const struct vfio_pci_regops no_ops;

	return PTR_ERR_OR_ZERO(vfio_pci_vendor_override_region(dev, BAR, &no_ops,
							       test->priv));
}

static void test_areas(struct kunit *test)
{
	const struct areas_case *c = test->param_value;
	struct vfio_pci_region *region;
	bool twice = false;
	unsigned int i;
	u64 page;

	test_register(test, "a", 0, open_areas);
again:
	region = test_open_bar(test, 0);
	KUNIT_EXPECT_EQ(test, c->none, !(region->flags & VFIO_REGION_INFO_FLAG_MMAP));
	KUNIT_EXPECT_EQ(test, c->none, !region->ops->mmap);
	KUNIT_EXPECT_EQ(test, c->none, !region->ops->get_dmabuf_phys);
	KUNIT_ASSERT_EQ(test, c->nr, region->nr_areas);
	if (c->nr)
		KUNIT_EXPECT_MEMEQ(test, c->areas, region->areas,
				   c->nr * sizeof(c->areas[0]));

	for (page = 0; page < BAR_SIZE && !c->none; page += PAGE_SIZE) {
		bool free = true;

		for (i = 0; i < ARRAY_SIZE(c->ranges); i++) {
			if (c->ranges[i].start < page + PAGE_SIZE &&
			    c->ranges[i].start + c->ranges[i].size > page)
				free = false;
		}
		KUNIT_EXPECT_EQ(test, free,
				vfio_pci_region_mappable(region, page, PAGE_SIZE));
	}
	if (!c->none) {
		KUNIT_EXPECT_FALSE(test, vfio_pci_region_mappable(region, 0, BAR_SIZE));
		KUNIT_EXPECT_FALSE(test, vfio_pci_region_mappable(region, BAR_SIZE, PAGE_SIZE));
		KUNIT_EXPECT_FALSE(test, vfio_pci_region_mappable(region, 0, U64_MAX));
	}
	test_close_bar(test);

	if (!twice) {
		test_register(test, "b", 1, open_above);
		twice = true;
		goto again;
	}
}

static int open_sparse(struct kunit *test, struct vfio_pci_vendor_device *dev)
{
	static const struct vfio_pci_regops ops = {
		.read = base_read,
		.mmap = base_mmap,
	};
	const struct vfio_region_sparse_mmap_area good[] = {
		{ 0, PAGE_SIZE }, { 2 * PAGE_SIZE, 2 * PAGE_SIZE },
	};
	const struct vfio_region_sparse_mmap_area bad[][2] = {
		{ { 0, PAGE_SIZE }, { 0, PAGE_SIZE } },
		{ { 2 * PAGE_SIZE, PAGE_SIZE }, { PAGE_SIZE, PAGE_SIZE } },
		{ { 0, PAGE_SIZE }, { PAGE_SIZE, 4 * PAGE_SIZE } },
		{ { 0, PAGE_SIZE }, { 2 * PAGE_SIZE, 0 } },
		{ { 0, PAGE_SIZE }, { 2 * PAGE_SIZE + 4, PAGE_SIZE } },
		{ { 0, PAGE_SIZE }, { 2 * PAGE_SIZE, PAGE_SIZE + 4 } },
		{ { 0, PAGE_SIZE }, { -PAGE_SIZE, 2 * PAGE_SIZE } },
	};
	struct vfio_pci_region *region;
	unsigned int i;

	region = vfio_pci_vendor_override_region(dev, BAR, &ops, test->priv);
	if (IS_ERR(region))
		return PTR_ERR(region);
	for (i = 0; i < ARRAY_SIZE(bad); i++)
		KUNIT_EXPECT_EQ(test, -EINVAL,
				vfio_pci_region_set_sparse_mmap(region, bad[i], 2));
	KUNIT_EXPECT_EQ(test, -EINVAL, vfio_pci_region_set_sparse_mmap(region, good, 0));

	return vfio_pci_region_set_sparse_mmap(region, good, 2);
}

/* It gets smaller after it was said what may be mapped */
static int open_sparse_smaller(struct kunit *test, struct vfio_pci_vendor_device *dev)
{
	int ret = open_sparse(test, dev);

	dev->vdev->regions[BAR]->size = 3 * PAGE_SIZE;

	return ret;
}

static int open_sparse_range(struct kunit *test, struct vfio_pci_vendor_device *dev)
{
	return vfio_pci_vendor_override_range(dev, BAR, 3 * PAGE_SIZE + 8, 4,
					      &range_ops, test->priv);
}

static void test_sparse(struct kunit *test)
{
	const struct vfio_region_sparse_mmap_area areas[] = {
		{ 0, PAGE_SIZE }, { 2 * PAGE_SIZE, PAGE_SIZE },
	};
	struct vfio_pci_region *region;

	test_register(test, "a", 0, open_sparse);
	test_register(test, "b", 1, open_sparse_range);
	region = test_open_bar(test, 0);
	KUNIT_EXPECT_EQ(test, 2, region->lower->nr_areas);
	KUNIT_ASSERT_EQ(test, 2, region->nr_areas);
	KUNIT_EXPECT_MEMEQ(test, areas, region->areas, sizeof(areas));
	KUNIT_EXPECT_EQ(test, -EBUSY, vfio_pci_region_set_sparse_mmap(region, areas, 2));
	test_close_bar(test);
}

static void test_sparse_smaller(struct kunit *test)
{
	const struct vfio_region_sparse_mmap_area areas[] = {
		{ 0, PAGE_SIZE }, { 2 * PAGE_SIZE, PAGE_SIZE },
	};
	struct vfio_pci_region *region;

	test_register(test, "a", 0, open_sparse_smaller);
	region = test_open_bar(test, 0);
	KUNIT_ASSERT_EQ(test, 2, region->nr_areas);
	KUNIT_EXPECT_MEMEQ(test, areas, region->areas, sizeof(areas));
	KUNIT_EXPECT_TRUE(test, vfio_pci_region_mappable(region, 2 * PAGE_SIZE, PAGE_SIZE));
	KUNIT_EXPECT_FALSE(test, vfio_pci_region_mappable(region, PAGE_SIZE, PAGE_SIZE));
	KUNIT_EXPECT_FALSE(test, vfio_pci_region_mappable(region, 3 * PAGE_SIZE, PAGE_SIZE));
	KUNIT_EXPECT_FALSE(test, vfio_pci_region_mappable(region, -PAGE_SIZE, PAGE_SIZE));
	test_close_bar(test);
}

static int open_smaller(struct kunit *test, struct vfio_pci_vendor_device *dev)
{
	static const struct vfio_pci_regops no_ops;
	struct override_test *t = test->priv;
	struct vfio_pci_region *region;

	region = vfio_pci_vendor_override_region(dev, BAR, &no_ops, t);
	if (IS_ERR(region))
		return PTR_ERR(region);
	region->size = t->result ?: PAGE_SIZE + 16;

	return 0;
}

/* Nothing that is passed on gets past the end of a smaller region */
static void test_smaller(struct kunit *test)
{
	struct override_test *t = test->priv;
	struct vfio_pci_region *region;

	test_register(test, "a", 0, open_smaller);
	region = test_open_bar(test, 0);
	KUNIT_EXPECT_EQ(test, 16, region->ops->read(region, t->user, 64, PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, 1, region->ops->write(region, t->user, 64, PAGE_SIZE + 15));
	KUNIT_EXPECT_EQ(test, -EINVAL, region->ops->read(region, t->user, 1, PAGE_SIZE + 16));
	KUNIT_EXPECT_EQ(test, -EINVAL, region->ops->write(region, t->user, 1, PAGE_SIZE + 16));
	KUNIT_EXPECT_EQ(test, 0, region->ops->ioeventfd(region, PAGE_SIZE + 12, 0, 4, 1));
	KUNIT_EXPECT_EQ(test, -EINVAL, region->ops->ioeventfd(region, PAGE_SIZE + 16, 0, 4, 1));
	/* Not even its last page, which has more */
	KUNIT_ASSERT_EQ(test, 1, region->nr_areas);
	KUNIT_EXPECT_EQ(test, 0, region->areas->offset);
	KUNIT_EXPECT_EQ(test, PAGE_SIZE, region->areas->size);
	region->exact = true;
	KUNIT_EXPECT_EQ(test, -EFAULT, region->ops->read(region, t->user, 17, PAGE_SIZE));
	region->exact = false;
	test_close_bar(test);

	/* Of whole pages, all can be mapped, and no more */
	t->result = 2 * PAGE_SIZE;
	region = test_open_bar(test, 0);
	KUNIT_EXPECT_EQ(test, 0, region->nr_areas);
	KUNIT_EXPECT_TRUE(test, vfio_pci_region_mappable(region, 0, 2 * PAGE_SIZE));
	KUNIT_EXPECT_TRUE(test, vfio_pci_region_mappable(region, PAGE_SIZE, PAGE_SIZE));
	KUNIT_EXPECT_FALSE(test, vfio_pci_region_mappable(region, 0, 3 * PAGE_SIZE));
	KUNIT_EXPECT_FALSE(test, vfio_pci_region_mappable(region, PAGE_SIZE, U64_MAX));
	KUNIT_EXPECT_FALSE(test, vfio_pci_region_mappable(region, 2 * PAGE_SIZE, PAGE_SIZE));
	test_close_bar(test);
}

static int open_range_8(struct kunit *test, struct vfio_pci_vendor_device *dev)
{
	return vfio_pci_vendor_override_range(dev, BAR, 8, 4, &range_ops, test->priv);
}

static int open_range_10(struct kunit *test, struct vfio_pci_vendor_device *dev)
{
	return vfio_pci_vendor_override_range(dev, BAR, 10, 4, &range_ops, test->priv);
}

static int open_range_12(struct kunit *test, struct vfio_pci_vendor_device *dev)
{
	return vfio_pci_vendor_override_range(dev, BAR, 12, 4, &range_ops, test->priv);
}

static int open_whole_and_range(struct kunit *test, struct vfio_pci_vendor_device *dev)
{
	return open_above(test, dev) ?: open_range_8(test, dev);
}

static int open_range_and_whole(struct kunit *test, struct vfio_pci_vendor_device *dev)
{
	return open_range_8(test, dev) ?: open_above(test, dev);
}

static int open_added(struct kunit *test, struct vfio_pci_vendor_device *dev)
{
	static const struct vfio_pci_regops ops = { .release = count_release };

	return PTR_ERR_OR_ZERO(vfio_pci_vendor_add_region(dev, 7, 3, &ops, 64,
							  VFIO_REGION_INFO_FLAG_READ,
							  test->priv));
}

static int open_over_added(struct kunit *test, struct vfio_pci_vendor_device *dev)
{
	int index = vfio_pci_vendor_find_region(dev, 7, 3);

	if (index < 0)
		return index;

	return vfio_pci_vendor_override_range(dev, index, 8, 4, &range_ops, test->priv);
}

static const struct conflict_case {
	const char *what;
	int (*first)(struct kunit *test, struct vfio_pci_vendor_device *dev);
	int (*second)(struct kunit *test, struct vfio_pci_vendor_device *dev);
	int priority;
	int ret;
} conflict_cases[] = {
	{ "whole, whole", open_above, open_above, 0, -EBUSY },
	{ "whole, higher whole", open_above, open_above, 1, 0 },
	{ "whole, range", open_above, open_range_8, 0, -EBUSY },
	{ "range, whole", open_range_8, open_above, 0, -EBUSY },
	{ "range, higher whole", open_range_8, open_above, 1, 0 },
	{ "the same range", open_range_8, open_range_8, 0, -EBUSY },
	{ "overlapping ranges", open_range_8, open_range_10, 0, -EBUSY },
	{ "overlapping ranges, other order", open_range_10, open_range_8, 0, -EBUSY },
	{ "adjacent ranges", open_range_8, open_range_12, 0, 0 },
	{ "adjacent ranges, other order", open_range_12, open_range_8, 0, 0 },
	{ "the same range, higher", open_range_8, open_range_8, 7, 0 },
	{ "own range on own whole", open_whole_and_range, open_range_12, 1, 0 },
	{ "own whole on own range", open_range_and_whole, open_range_12, 1, -EBUSY },
	{ "range of an added region", open_added, open_over_added, 0, 0 },
};

static void conflict_desc(const struct conflict_case *c, char *desc)
{
	strscpy(desc, c->what, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(conflict, conflict_cases, conflict_desc);

static void test_conflicts(struct kunit *test)
{
	const struct conflict_case *c = test->param_value;
	struct override_test *t = test->priv;

	test_register(test, "a", 0, c->first);
	test_register(test, "b", c->priority, c->second);
	test_open_bar(test, c->ret);
	KUNIT_EXPECT_EQ(test, 0, t->nr_released);
	test_close_bar(test);
	KUNIT_EXPECT_EQ(test, c->first == open_added, t->nr_released);
}

static int open_bad(struct kunit *test, struct vfio_pci_vendor_device *dev)
{
	static const struct vfio_pci_regops ops = { .release = count_release };
	const struct {
		unsigned int index;
		u64 start, size;
		const struct vfio_pci_range_ops *ops;
	} bad[] = {
		{ BAR, 0, 0, &range_ops },
		{ BAR, 0, 4, NULL },
		{ BAR, BAR_SIZE, 1, &range_ops },
		{ BAR, BAR_SIZE - 3, 4, &range_ops },
		{ BAR, U64_MAX - 3, 4, &range_ops },
		{ BAR, U64_MAX - 3, 8, &range_ops },
		{ BAR, 8, U64_MAX, &range_ops },
		{ BAR, 8, -4ULL, &range_ops },
		{ VFIO_PCI_ROM_REGION_INDEX, 0, 4, &range_ops },
		{ VFIO_PCI_NUM_REGIONS, 0, 4, &range_ops },
		{ UINT_MAX, 0, 4, &range_ops },
	};
	struct override_test *t = test->priv;
	struct vfio_pci_region *region;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bad); i++)
		KUNIT_EXPECT_EQ(test, -EINVAL,
				vfio_pci_vendor_override_range(dev, bad[i].index, bad[i].start,
							       bad[i].size, bad[i].ops, t));
	region = vfio_pci_vendor_override_region(dev, BAR, NULL, t);
	KUNIT_EXPECT_PTR_EQ(test, ERR_PTR(-EINVAL), region);
	region = vfio_pci_vendor_override_region(dev, VFIO_PCI_NUM_REGIONS, &ops, t);
	KUNIT_EXPECT_PTR_EQ(test, ERR_PTR(-EINVAL), region);
	/* None of that left anything behind */
	KUNIT_EXPECT_PTR_EQ(test, &base_ops, t->vdev->regions[BAR]->ops);

	region = vfio_pci_vendor_override_region(dev, BAR, &ops, t);
	KUNIT_ASSERT_FALSE(test, IS_ERR(region));
	if (t->result & 1)
		region->size = BIT_ULL(40) + 1;
	if (t->result & 2)
		region->flags |= VFIO_REGION_INFO_FLAG_CAPS;

	return 0;
}

static void test_bad_overrides(struct kunit *test)
{
	struct override_test *t = test->priv;
	struct vfio_pci_vendor_device *dev;
	struct vfio_pci_region *region;

	test_register(test, "a", 0, open_bad);
	test_open_bar(test, 0);

	/* Outside of the open callback */
	KUNIT_ASSERT_FALSE(test, list_empty(&t->vdev->vendors));
	dev = list_first_entry(&t->vdev->vendors, struct vfio_pci_vendor_device, node);
	region = vfio_pci_vendor_override_region(dev, BAR, &base_ops, t);
	KUNIT_EXPECT_PTR_EQ(test, ERR_PTR(-EBUSY), region);
	KUNIT_EXPECT_EQ(test, -EBUSY,
			vfio_pci_vendor_override_range(dev, BAR, 0, 4, &range_ops, t));
	test_close_bar(test);
	KUNIT_EXPECT_EQ(test, 1, t->nr_released);

	/* What no region can be fails the open, and is undone */
	for (t->result = 1; t->result < 4; t->result++) {
		test_open_bar(test, -EINVAL);
		KUNIT_EXPECT_EQ(test, 1 + t->result, t->nr_released);
		test_close_bar(test);
	}
}

static struct kunit_case override_test_cases[] = {
	KUNIT_CASE_PARAM(test_pass_on, pass_on_gen_params),
	KUNIT_CASE(test_ranges),
	KUNIT_CASE(test_range_errors),
	KUNIT_CASE(test_many_ranges),
	KUNIT_CASE_PARAM(test_areas, areas_gen_params),
	KUNIT_CASE(test_sparse),
	KUNIT_CASE(test_sparse_smaller),
	KUNIT_CASE(test_smaller),
	KUNIT_CASE_PARAM(test_conflicts, conflict_gen_params),
	KUNIT_CASE(test_bad_overrides),
	{}
};

static struct kunit_suite override_test_suite = {
	.name		= "vfio-pci-override",
	.init		= override_test_init,
	.exit		= override_test_exit,
	.test_cases	= override_test_cases,
};

kunit_test_suite(override_test_suite);

MODULE_IMPORT_NS("EXPORTED_FOR_KUNIT_TESTING");
MODULE_DESCRIPTION("KUnit tests of vfio-pci regions that vendor drivers override");
MODULE_LICENSE("GPL");
