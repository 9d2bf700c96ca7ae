// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests of vfio-pci overrides
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
#include "../vfio_pci_priv.h"

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
	/* The open callback of the test */
	int (*open)(struct kunit *test, struct vfio_pci_vendor_device *dev);
	struct kunit *test;
	bool registered;
};

/* A call of a handler: 'r' of a range, 'b' of the lower region */
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
	/* Return values of range handlers, and of the lower region */
	int ret;
	int base_ret;
	/* Number of range writes with a wrong value */
	unsigned int nr_wrong;
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

/* The byte at @pos of the lower region, and of a range */
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

static int base_read(struct vfio_pci_region *region, void *buf, size_t count,
		     loff_t pos)
{
	size_t i;

	test_call(region_test(region), 'b', false, count, pos);
	for (i = 0; i < count; i++)
		((u8 *)buf)[i] = base_byte(pos + i);

	return region_test(region)->base_ret;
}

static int base_write(struct vfio_pci_region *region, const void *buf,
		      size_t count, loff_t pos)
{
	test_call(region_test(region), 'b', true, count, pos);

	return region_test(region)->base_ret;
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
	.mmap			= base_mmap,
	.fault			= base_fault,
	.get_dmabuf_phys	= base_get_dmabuf_phys,
};

static int base_ioeventfd(struct vfio_pci_core_region *region, loff_t pos,
			  u64 data, int count, int fd)
{
	return 0;
}

static const struct vfio_pci_user_regops base_user_ops = {
	.read		= vfio_pci_region_read_user,
	.write		= vfio_pci_region_write_user,
	.ioeventfd	= base_ioeventfd,
};

static int range_read(const struct vfio_pci_range *range, u64 pos,
		      unsigned int width, u64 *val)
{
	struct override_test *t = range->data;
	unsigned int i;

	test_call(t, 'r', false, width, pos);
	/* The core drops the bits above the width */
	*val = 0;
	for (i = 0; i < sizeof(*val); i++)
		*val |= (u64)range_byte(pos + i) << i * BITS_PER_BYTE;

	return t->ret;
}

static u8 user_byte(u64 pos);

static int range_write(const struct vfio_pci_range *range, u64 pos,
		       unsigned int width, u64 val)
{
	struct override_test *t = range->data;
	u64 want = 0;
	unsigned int i;

	test_call(t, 'r', true, width, pos);
	for (i = 0; i < width; i++)
		want |= (u64)user_byte(pos + i) << i * BITS_PER_BYTE;
	t->nr_wrong += val != want;

	return t->ret;
}

static const struct vfio_pci_range_ops range_ops = {
	.read	= range_read,
	.write	= range_write,
};

static const struct vfio_pci_range_ops range_write_only_ops = {
	.write	= range_write,
};

/* Access a region as the core does for userspace */
static ssize_t user_read(struct vfio_pci_core_region *region, u8 __user *buf,
			 size_t count, loff_t pos)
{
	return region->user.read ? region->user.read(region, buf, count, pos) :
				   -EINVAL;
}

static ssize_t user_write(struct vfio_pci_core_region *region,
			  const u8 __user *buf, size_t count, loff_t pos)
{
	return region->user.write ?
	       region->user.write(region, buf, count, pos) : -EINVAL;
}

static int user_ioeventfd(struct vfio_pci_core_region *region, loff_t pos,
			  int count)
{
	return region->user.ioeventfd ?
	       region->user.ioeventfd(region, pos, 0, count, 1) : -EINVAL;
}

static bool is_mappable(struct vfio_pci_core_region *region)
{
	return region->region.flags & VFIO_REGION_INFO_FLAG_MMAP;
}

static int add_region(struct vfio_pci_vendor_device *dev,
		      const struct vfio_pci_region_desc *desc)
{
	return PTR_ERR_OR_ZERO(vfio_pci_vendor_add_region(dev, desc));
}

static int override_region(struct vfio_pci_vendor_device *dev,
			   const struct vfio_pci_region_desc *desc)
{
	return PTR_ERR_OR_ZERO(vfio_pci_vendor_override_region(dev, BAR, desc));
}

static void count_release(struct vfio_pci_region *region)
{
	if (region->data)
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

/* Open the device, so that the drivers override its BAR */
static struct vfio_pci_core_region *test_open_bar(struct kunit *test, int ret)
{
	struct override_test *t = test->priv;
	struct vfio_pci_core_region *bar;

	KUNIT_ASSERT_EQ(test, 0, vfio_pci_regions_alloc(t->vdev));
	bar = t->vdev->regions[BAR];
	vfio_pci_region_set_ops(bar, &base_ops, &base_user_ops);
	bar->region.data = t;
	bar->region.size = BAR_SIZE;
	bar->region.flags = RWM;
	KUNIT_ASSERT_EQ(test, ret, vfio_pci_kunit_open(t->vdev));

	return t->vdev->regions[BAR];
}

static void test_close_bar(struct kunit *test)
{
	struct override_test *t = test->priv;

	vfio_pci_vendors_close(t->vdev);
	KUNIT_EXPECT_PTR_EQ(test, &base_ops, t->vdev->regions[BAR]->own);
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

#define R	VFIO_REGION_INFO_FLAG_READ
#define W	VFIO_REGION_INFO_FLAG_WRITE
#define M	VFIO_REGION_INFO_FLAG_MMAP

/* Operations and flags of an override, and the resulting region */
static const struct inherit_case {
	const char *what;
	struct vfio_pci_regops ops;
	u32 flags;
	int ret;
	u32 result;
	bool ioeventfd, dmabuf;
} inherit_cases[] = {
	{ "nothing", .result = RWM, .ioeventfd = 1, .dmabuf = 1 },
	{ "all flags", .flags = RWM, .result = RWM, .ioeventfd = 1, .dmabuf = 1 },
	{ "no mmap flag", .flags = RW, .result = RW, .ioeventfd = 1 },
	{ "no write flag", .flags = R | M, .result = R | M },
	{ "no read flag", .flags = W, .result = W, .ioeventfd = 1 },
	{ "mmap flag only", .flags = M, .ret = -EINVAL },
	{ "no read flag, mmap flag", .flags = W | M, .ret = -EINVAL },
	{ "hidden", .flags = VFIO_PCI_REGION_HIDDEN },
	{ "hidden, read flag", .flags = VFIO_PCI_REGION_HIDDEN | R, .ret = -EINVAL },
	{ "read", .ops.read = base_read, .result = RW, .ioeventfd = 1 },
	{ "read, all flags", .ops.read = base_read, .flags = RWM, .ret = -EINVAL },
	{ "write", .ops.write = base_write, .result = RW },
	{ "write, no write flag", .ops.write = base_write, .flags = R, .result = R },
	{ "write, mmap", .ops.write = base_write, .ops.mmap = base_mmap,
	  .result = RWM },
	{ "write, mmap, dma-buf", .ops.write = base_write, .ops.mmap = base_mmap,
	  .ops.get_dmabuf_phys = base_get_dmabuf_phys, .result = RWM, .dmabuf = 1 },
	{ "mmap", .ops.mmap = base_mmap, .result = RWM, .ioeventfd = 1 },
	{ "mmap, dma-buf", .ops.mmap = base_mmap,
	  .ops.get_dmabuf_phys = base_get_dmabuf_phys, .result = RWM,
	  .ioeventfd = 1, .dmabuf = 1 },
	{ "mmap, dma-buf, no write flag", .ops.mmap = base_mmap,
	  .ops.get_dmabuf_phys = base_get_dmabuf_phys, .flags = R | M,
	  .result = R | M },
	{ "fault", .ops.fault = base_fault, .ret = -EINVAL },
};

static int open_override(struct kunit *test, struct vfio_pci_vendor_device *dev)
{
	const struct inherit_case *c = test->param_value;
	struct vfio_pci_region_desc desc = {
		.ops	= &c->ops,
		.data	= test->priv,
		.flags	= c->flags,
	};

	return override_region(dev, &desc);
}

static void inherit_desc(const struct inherit_case *c, char *desc)
{
	strscpy(desc, c->what, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(inherit, inherit_cases, inherit_desc);

static void test_override_inherits_from_the_lower_region(struct kunit *test)
{
	const struct inherit_case *c = test->param_value;
	struct override_test *t = test->priv;
	struct vfio_pci_core_region *region;

	test_register(test, "a", 0, open_override);
	region = test_open_bar(test, c->ret);
	if (c->ret) {
		test_close_bar(test);
		return;
	}

	KUNIT_ASSERT_NOT_NULL(test, region->lower);
	KUNIT_EXPECT_EQ(test, c->result, region->region.flags);
	KUNIT_EXPECT_EQ(test, c->flags == VFIO_PCI_REGION_HIDDEN ? 0 : BAR_SIZE,
			region->region.size);
	KUNIT_EXPECT_EQ(test, !!(c->result & R), !!region->user.read);
	KUNIT_EXPECT_EQ(test, !!(c->result & W), !!region->user.write);
	KUNIT_EXPECT_EQ(test, c->ioeventfd, !!region->user.ioeventfd);
	/* A driver above sees the same operations */
	KUNIT_EXPECT_EQ(test, !!(c->result & R), !!region->ops.read);
	KUNIT_EXPECT_EQ(test, !!(c->result & W), !!region->ops.write);
	KUNIT_EXPECT_EQ(test, !!(c->result & M), !!region->ops.mmap);
	KUNIT_EXPECT_EQ(test, c->dmabuf, !!region->ops.get_dmabuf_phys);
	/* Overrides do not inherit fault: the lower region serves faults */
	KUNIT_EXPECT_NULL(test, region->ops.fault);

	KUNIT_EXPECT_EQ(test, c->result & R ? 8 : -EINVAL,
			user_read(region, t->user, 8, 8));
	KUNIT_EXPECT_EQ(test, c->result & W ? 8 : -EINVAL,
			user_write(region, t->user, 8, 8));
	test_close_bar(test);
}

/* Adjacent ranges, separate ones, and one without a read handler */
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

/* The byte that a user read returns, and that the test writes back */
static u8 user_byte(u64 pos)
{
	return is_handled(pos, false) ? range_byte(pos) : base_byte(pos);
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
 * Check the recorded calls.  Positions must ascend without a gap.  Range
 * handlers get single registers.  The lower region gets each part between
 * ranges in one call.
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
		/* The handler gets the widest possible register */
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

static void test_ranges_get_only_their_registers(struct kunit *test)
{
	struct override_test *t = test->priv;
	struct vfio_pci_core_region *region;
	u8 seen[64];
	u64 pos, i, val;
	size_t count;

	test_register(test, "a", 0, open_ranges);
	region = test_open_bar(test, 0);

	for (pos = 0; pos < 0x38; pos++) {
		for (count = 1; count < sizeof(seen); count++) {
			t->nr_calls = 0;
			KUNIT_ASSERT_EQ(test, count,
					user_read(region, t->user, count, pos));
			KUNIT_ASSERT_TRUE_MSG(test,
					      calls_are_right(t, pos, count, false),
					      "read %zu at %#llx", count, pos);
			KUNIT_ASSERT_EQ(test, 0, copy_from_user(seen, t->user, count));
			for (i = 0; i < count; i++)
				KUNIT_ASSERT_EQ(test, seen[i], user_byte(pos + i));

			/* The same access by a driver above */
			memset(seen, 0xaa, sizeof(seen));
			t->nr_calls = 0;
			KUNIT_ASSERT_EQ(test, 0, vfio_pci_region_read(&region->region, seen,
								      count, pos));
			KUNIT_ASSERT_TRUE(test, calls_are_right(t, pos, count, false));
			for (i = 0; i < count; i++)
				KUNIT_ASSERT_EQ(test, seen[i], user_byte(pos + i));

			t->nr_calls = 0;
			KUNIT_ASSERT_EQ(test, count,
					user_write(region, t->user, count, pos));
			KUNIT_ASSERT_TRUE_MSG(test,
					      calls_are_right(t, pos, count, true),
					      "write %zu at %#llx", count, pos);

			t->nr_calls = 0;
			KUNIT_ASSERT_EQ(test, 0, vfio_pci_region_write(&region->region, seen,
								       count, pos));
			KUNIT_ASSERT_TRUE(test, calls_are_right(t, pos, count, true));
			KUNIT_ASSERT_EQ(test, 0, t->nr_wrong);
		}
	}

	/* Single registers, also across range boundaries */
	for (pos = 0; pos < 0x38; pos++) {
		for (count = 1; count <= 8; count *= 2) {
			int ret = pos & (count - 1) ? -EINVAL : 0;
			u64 want = 0;

			for (i = 0; i < count; i++)
				want |= (u64)user_byte(pos + i) << i * BITS_PER_BYTE;
			val = U64_MAX;
			t->nr_calls = 0;
			KUNIT_ASSERT_EQ(test, ret,
					vfio_pci_region_read_reg(&region->region, pos,
								 count, &val));
			if (!ret) {
				KUNIT_ASSERT_TRUE(test, calls_are_right(t, pos, count,
									false));
				KUNIT_ASSERT_EQ(test, want, val);
			}
			t->nr_calls = 0;
			KUNIT_ASSERT_EQ(test, ret,
					vfio_pci_region_write_reg(&region->region, pos,
								  count, want));
			if (!ret)
				KUNIT_ASSERT_TRUE(test, calls_are_right(t, pos, count,
									true));
			KUNIT_ASSERT_EQ(test, 0, t->nr_wrong);
		}
	}

	/* An ioeventfd must not bypass a write handler */
	for (pos = 0; pos < 0x38; pos++) {
		for (count = 1; count <= 8; count *= 2) {
			int ret = 0;

			for (i = 0; i < count; i++)
				if (is_handled(pos + i, true))
					ret = -EINVAL;
			KUNIT_ASSERT_EQ(test, ret,
					user_ioeventfd(region, pos, count));
		}
	}
	test_close_bar(test);
}

static int open_end_ranges(struct kunit *test, struct vfio_pci_vendor_device *dev)
{
	return vfio_pci_vendor_override_range(dev, BAR, BAR_SIZE - 4, 4,
					      &range_ops, test->priv);
}

static void test_invalid_range_accesses_fail(struct kunit *test)
{
	struct override_test *t = test->priv;
	struct vfio_pci_core_region *region;
	struct vfio_pci_region *lower;
	u8 __user *bad = t->user + BAR_SIZE - 4;
	u8 bytes[4] = {};
	u64 val;

	test_register(test, "a", 0, open_end_ranges);
	region = test_open_bar(test, 0);
	lower = vfio_pci_region_lower(&region->region);
	KUNIT_ASSERT_NOT_NULL(test, lower);

	/* Accesses at and past the end of the region */
	KUNIT_EXPECT_EQ(test, 4, user_read(region, t->user, 64, BAR_SIZE - 4));
	KUNIT_EXPECT_EQ(test, 12, user_write(region, t->user, 64, BAR_SIZE - 12));
	KUNIT_EXPECT_EQ(test, -EINVAL, user_read(region, t->user, 1, BAR_SIZE));
	KUNIT_EXPECT_EQ(test, -EINVAL,
			user_read(region, t->user, INT_MAX, BIT_ULL(40) - 1));
	/* Config space does not allow partial access */
	region->no_partial = true;
	t->nr_calls = 0;
	KUNIT_EXPECT_EQ(test, -EFAULT, user_read(region, t->user, 5, BAR_SIZE - 4));
	KUNIT_EXPECT_EQ(test, -EFAULT, user_write(region, t->user, 13, BAR_SIZE - 12));
	KUNIT_EXPECT_EQ(test, 0, t->nr_calls);
	region->no_partial = false;

	/* Handlers that fail or return an invalid value */
	t->ret = -EPERM;
	KUNIT_EXPECT_EQ(test, -EPERM, user_read(region, t->user, 8, BAR_SIZE - 8));
	KUNIT_EXPECT_EQ(test, -EPERM, user_write(region, t->user, 8, BAR_SIZE - 8));
	t->ret = 4;
	KUNIT_EXPECT_EQ(test, -EIO, user_read(region, t->user, 4, BAR_SIZE - 4));
	KUNIT_EXPECT_EQ(test, -EIO, vfio_pci_region_read_reg(&region->region, BAR_SIZE - 4,
							     4, &val));
	t->ret = INT_MIN;
	KUNIT_EXPECT_EQ(test, -EIO, user_write(region, t->user, 4, BAR_SIZE - 4));
	t->ret = 0;

	/* A write from a bad buffer calls no handler */
	KUNIT_ASSERT_EQ(test, 0, vm_munmap((unsigned long)t->user + BAR_SIZE - PAGE_SIZE,
					   PAGE_SIZE));
	t->nr_calls = 0;
	KUNIT_EXPECT_EQ(test, -EFAULT, user_write(region, bad, 4, BAR_SIZE - 4));
	KUNIT_EXPECT_EQ(test, 0, t->nr_calls);
	KUNIT_EXPECT_EQ(test, -EFAULT, user_read(region, bad, 4, BAR_SIZE - 4));
	KUNIT_EXPECT_EQ(test, 1, t->nr_calls);

	/* After an error of the lower region, the core calls no handler */
	t->base_ret = -EIO;
	t->nr_calls = 0;
	KUNIT_EXPECT_EQ(test, -EIO, user_read(region, t->user, 16, BAR_SIZE - 16));
	KUNIT_EXPECT_EQ(test, -EIO, user_write(region, t->user, 16, BAR_SIZE - 16));
	KUNIT_EXPECT_EQ(test, 2, t->nr_calls);
	t->base_ret = 0;

	/* A driver cannot access bytes past the end of the lower region */
	KUNIT_EXPECT_EQ(test, 0, vfio_pci_region_read(lower, bytes, 4, BAR_SIZE - 4));
	KUNIT_EXPECT_EQ(test, -EINVAL, vfio_pci_region_read(lower, bytes, 4, BAR_SIZE - 3));
	KUNIT_EXPECT_EQ(test, -EINVAL, vfio_pci_region_read(lower, bytes, 4, BAR_SIZE));
	KUNIT_EXPECT_EQ(test, -EINVAL, vfio_pci_region_read(lower, bytes, 4, -1));
	KUNIT_EXPECT_EQ(test, -EINVAL, vfio_pci_region_read(lower, bytes, 0, 0));
	KUNIT_EXPECT_EQ(test, -EINVAL, vfio_pci_region_write(lower, bytes, 4, BAR_SIZE - 3));
	KUNIT_EXPECT_EQ(test, -EINVAL, vfio_pci_region_read_reg(lower, BAR_SIZE, 4, &val));
	KUNIT_EXPECT_EQ(test, -EINVAL, vfio_pci_region_read_reg(lower, 0, 3, &val));
	KUNIT_EXPECT_EQ(test, -EINVAL, vfio_pci_region_read_reg(lower, 0, 16, &val));
	KUNIT_EXPECT_EQ(test, -EINVAL, vfio_pci_region_write_reg(lower, 2, 4, 0));
	KUNIT_EXPECT_NULL(test, vfio_pci_region_lower(lower));
	test_close_bar(test);
}

/* Many ranges with gaps, in pseudo-random order */
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
	/* Each range conflicts with a second override */
	for (i = 0; i < NR_MANY && !ret; i++) {
		if (vfio_pci_vendor_override_range(dev, BAR, i * 8 + 3, 2,
						   &range_ops, test->priv) != -EBUSY)
			ret = -EIO;
	}

	return ret;
}

static void test_accesses_find_one_of_many_ranges(struct kunit *test)
{
	struct override_test *t = test->priv;
	struct vfio_pci_core_region *region;
	unsigned int i;

	test_register(test, "a", 0, open_many);
	region = test_open_bar(test, 0);
	for (i = 0; i < NR_MANY; i++) {
		t->nr_calls = 0;
		KUNIT_ASSERT_EQ(test, 8, user_read(region, t->user, 8, i * 8));
		KUNIT_ASSERT_EQ(test, 2, t->nr_calls);
		KUNIT_ASSERT_EQ(test, 'r', t->calls[0].who);
		KUNIT_ASSERT_EQ(test, 'b', t->calls[1].who);
	}
	KUNIT_ASSERT_NOT_NULL(test, region->sparse);
	KUNIT_EXPECT_EQ(test, 1, region->sparse->nr_areas);
	test_close_bar(test);
}

/* Ranges, and the remaining mmap areas */
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

/* An override without operations, above another driver */
static int open_above(struct kunit *test, struct vfio_pci_vendor_device *dev)
{
	static const struct vfio_pci_regops no_ops;
	const struct vfio_pci_region_desc desc = {
		.ops	= &no_ops,
		.data	= test->priv,
	};

	return override_region(dev, &desc);
}

static void test_ranges_remove_pages_from_mmap_areas(struct kunit *test)
{
	const struct areas_case *c = test->param_value;
	struct vfio_pci_core_region *region;
	bool twice = false;
	unsigned int i;
	u64 page;

	test_register(test, "a", 0, open_areas);
again:
	region = test_open_bar(test, 0);
	KUNIT_EXPECT_EQ(test, c->none, !is_mappable(region));
	KUNIT_EXPECT_EQ(test, c->none, !region->ops.mmap);
	KUNIT_EXPECT_EQ(test, c->none, !region->ops.get_dmabuf_phys);
	if (c->nr) {
		KUNIT_ASSERT_NOT_NULL(test, region->sparse);
		KUNIT_ASSERT_EQ(test, c->nr, region->sparse->nr_areas);
		KUNIT_EXPECT_MEMEQ(test, c->areas, region->sparse->areas,
				   c->nr * sizeof(c->areas[0]));
	}

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
	static const struct vfio_region_sparse_mmap_area good[] = {
		{ 0, PAGE_SIZE }, { 2 * PAGE_SIZE, 2 * PAGE_SIZE },
	};
	static const struct vfio_region_sparse_mmap_area bad[][2] = {
		{ { 0, PAGE_SIZE }, { 0, PAGE_SIZE } },
		{ { 2 * PAGE_SIZE, PAGE_SIZE }, { PAGE_SIZE, PAGE_SIZE } },
		{ { 0, PAGE_SIZE }, { PAGE_SIZE, 4 * PAGE_SIZE } },
		{ { 0, PAGE_SIZE }, { 2 * PAGE_SIZE, 0 } },
		{ { 0, PAGE_SIZE }, { 2 * PAGE_SIZE + 4, PAGE_SIZE } },
		{ { 0, PAGE_SIZE }, { 2 * PAGE_SIZE, PAGE_SIZE + 4 } },
		{ { 0, PAGE_SIZE }, { -PAGE_SIZE, 2 * PAGE_SIZE } },
	};
	struct vfio_pci_region_desc desc = {
		.ops		= &ops,
		.data		= test->priv,
		.nr_areas	= 2,
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		desc.areas = bad[i];
		KUNIT_EXPECT_EQ(test, -EINVAL, override_region(dev, &desc));
	}
	desc.areas = good;
	desc.flags = R;
	KUNIT_EXPECT_EQ(test, -EINVAL, override_region(dev, &desc));
	desc.flags = 0;

	return override_region(dev, &desc);
}

static int open_sparse_smaller(struct kunit *test, struct vfio_pci_vendor_device *dev)
{
	const struct vfio_pci_region_desc desc = { .size = 3 * PAGE_SIZE };

	return override_region(dev, &desc);
}

static int open_sparse_range(struct kunit *test, struct vfio_pci_vendor_device *dev)
{
	return vfio_pci_vendor_override_range(dev, BAR, 3 * PAGE_SIZE + 8, 4,
					      &range_ops, test->priv);
}

/* A driver above removes the last page, by a range or by a smaller size */
static void test_sparse(struct kunit *test,
			int (*above)(struct kunit *test,
				     struct vfio_pci_vendor_device *dev))
{
	static const struct vfio_region_sparse_mmap_area areas[] = {
		{ 0, PAGE_SIZE }, { 2 * PAGE_SIZE, PAGE_SIZE },
	};
	struct vfio_pci_core_region *region;

	test_register(test, "a", 0, open_sparse);
	test_register(test, "b", 1, above);
	region = test_open_bar(test, 0);
	KUNIT_ASSERT_NOT_NULL(test, region->lower->sparse);
	KUNIT_EXPECT_EQ(test, 2, region->lower->sparse->nr_areas);
	KUNIT_ASSERT_NOT_NULL(test, region->sparse);
	KUNIT_ASSERT_EQ(test, 2, region->sparse->nr_areas);
	KUNIT_EXPECT_MEMEQ(test, areas, region->sparse->areas, sizeof(areas));
	KUNIT_EXPECT_TRUE(test, vfio_pci_region_mappable(region, 2 * PAGE_SIZE, PAGE_SIZE));
	KUNIT_EXPECT_FALSE(test, vfio_pci_region_mappable(region, PAGE_SIZE, PAGE_SIZE));
	KUNIT_EXPECT_FALSE(test, vfio_pci_region_mappable(region, 3 * PAGE_SIZE, PAGE_SIZE));
	KUNIT_EXPECT_FALSE(test, vfio_pci_region_mappable(region, -PAGE_SIZE, PAGE_SIZE));
	test_close_bar(test);
}

static void test_range_cuts_listed_mmap_areas(struct kunit *test)
{
	test_sparse(test, open_sparse_range);
}

static void test_smaller_override_cuts_listed_mmap_areas(struct kunit *test)
{
	test_sparse(test, open_sparse_smaller);
}

static int open_smaller(struct kunit *test, struct vfio_pci_vendor_device *dev)
{
	struct override_test *t = test->priv;
	const struct vfio_pci_region_desc desc = {
		.size = t->result ?: PAGE_SIZE + 16,
	};

	return override_region(dev, &desc);
}

static void test_smaller_override_hides_bytes_past_its_end(struct kunit *test)
{
	struct override_test *t = test->priv;
	struct vfio_pci_core_region *region;

	test_register(test, "a", 0, open_smaller);
	region = test_open_bar(test, 0);
	KUNIT_EXPECT_EQ(test, 16, user_read(region, t->user, 64, PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, 1, user_write(region, t->user, 64, PAGE_SIZE + 15));
	KUNIT_EXPECT_EQ(test, -EINVAL, user_read(region, t->user, 1, PAGE_SIZE + 16));
	KUNIT_EXPECT_EQ(test, -EINVAL, user_write(region, t->user, 1, PAGE_SIZE + 16));
	KUNIT_EXPECT_EQ(test, 0, user_ioeventfd(region, PAGE_SIZE + 12, 4));
	KUNIT_EXPECT_EQ(test, -EINVAL, user_ioeventfd(region, PAGE_SIZE + 16, 4));
	KUNIT_EXPECT_EQ(test, -EINVAL, user_ioeventfd(region, PAGE_SIZE + 12, 8));
	/* A partial page at the end is not mappable */
	KUNIT_ASSERT_NOT_NULL(test, region->sparse);
	KUNIT_ASSERT_EQ(test, 1, region->sparse->nr_areas);
	KUNIT_EXPECT_EQ(test, 0, region->sparse->areas[0].offset);
	KUNIT_EXPECT_EQ(test, PAGE_SIZE, region->sparse->areas[0].size);
	region->no_partial = true;
	KUNIT_EXPECT_EQ(test, -EFAULT, user_read(region, t->user, 17, PAGE_SIZE));
	region->no_partial = false;
	test_close_bar(test);

	/* Whole pages are mappable up to the end */
	t->result = 2 * PAGE_SIZE;
	region = test_open_bar(test, 0);
	KUNIT_EXPECT_NULL(test, region->sparse);
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
	static const struct vfio_pci_regops ops = {
		.read		= base_read,
		.release	= count_release,
	};
	const struct vfio_pci_region_desc desc = {
		.ops		= &ops,
		.data		= test->priv,
		.size		= 64,
		.flags		= R,
		.type		= 7,
		.subtype	= 3,
	};

	return add_region(dev, &desc);
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
	{ "region, then region", open_above, open_above, 0, -EBUSY },
	{ "region, then region of higher priority", open_above, open_above, 1, 0 },
	{ "region, then range", open_above, open_range_8, 0, -EBUSY },
	{ "range, then region", open_range_8, open_above, 0, -EBUSY },
	{ "range, then region of higher priority", open_range_8, open_above, 1, 0 },
	{ "same range twice", open_range_8, open_range_8, 0, -EBUSY },
	{ "overlapping ranges", open_range_8, open_range_10, 0, -EBUSY },
	{ "overlapping ranges in reverse order", open_range_10, open_range_8, 0, -EBUSY },
	{ "adjacent ranges", open_range_8, open_range_12, 0, 0 },
	{ "adjacent ranges in reverse order", open_range_12, open_range_8, 0, 0 },
	{ "same range, then with higher priority", open_range_8, open_range_8, 7, 0 },
	{ "range of a driver on its own region", open_whole_and_range, open_range_12, 1, 0 },
	{ "region of a driver on its own range", open_range_and_whole, open_range_12, 1, -EBUSY },
	{ "range of an added region", open_added, open_over_added, 0, 0 },
};

static void conflict_desc(const struct conflict_case *c, char *desc)
{
	strscpy(desc, c->what, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(conflict, conflict_cases, conflict_desc);

static void test_overrides_of_one_priority_conflict(struct kunit *test)
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

/* Invalid descriptions */
static const struct vfio_pci_regops only_release = { .release = count_release };
static const struct vfio_pci_regops only_read = { .read = base_read };
static const struct vfio_pci_regops only_write = { .write = base_write };
static const struct vfio_pci_regops only_fault = { .fault = base_fault };
static const struct vfio_region_sparse_mmap_area first_page = { 0, PAGE_SIZE };

static const struct vfio_pci_region_desc bad_overrides[] = {
	{},
	{ .data = (void *)1 },
	{ .ops = &only_fault },
	{ .ops = &only_read, .flags = RWM },
	{ .size = BIT_ULL(40) + 1 },
	{ .flags = RW | VFIO_REGION_INFO_FLAG_CAPS },
	{ .flags = M },
	{ .flags = VFIO_PCI_REGION_HIDDEN | R },
	{ .flags = VFIO_PCI_REGION_HIDDEN, .size = PAGE_SIZE },
	{ .ops = &only_release, .type = 7 },
	{ .ops = &only_release, .subtype = 7 },
	{ .flags = R, .areas = &first_page, .nr_areas = 1 },
	{ .size = PAGE_SIZE, .areas = &first_page },
	{ .size = PAGE_SIZE, .nr_areas = 1 },
};

static const struct vfio_pci_region_desc bad_regions[] = {
	{ .type = 7, .size = 16 },
	{ .ops = &only_read, .type = 7, .flags = R },
	{ .ops = &only_read, .size = 16, .flags = R },
	{ .ops = &only_read, .type = 7, .size = BIT_ULL(40) + 1, .flags = R },
	{ .ops = &only_release, .type = 7, .size = 16, .flags = R },
	{ .ops = &only_read, .type = 7, .size = 16, .flags = W },
	{ .ops = &only_write, .type = 7, .size = 16, .flags = R },
	{ .ops = &only_read, .type = 7, .size = PAGE_SIZE, .flags = R | M },
	{ .ops = &only_read, .type = 7, .size = PAGE_SIZE, .flags = R,
	  .areas = &first_page, .nr_areas = 1 },
	{ .ops = &only_release, .type = 7, .size = 16, .flags = VFIO_PCI_REGION_HIDDEN },
	{ .ops = &only_read, .type = 7, .size = 16, .flags = R | BIT(20) },
};

static int open_bad(struct kunit *test, struct vfio_pci_vendor_device *dev)
{
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
	struct vfio_pci_region_desc good = {
		.ops = &only_release,
		.data = test->priv,
	};
	struct override_test *t = test->priv;
	struct vfio_pci_region *region;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bad); i++)
		KUNIT_EXPECT_EQ(test, -EINVAL,
				vfio_pci_vendor_override_range(dev, bad[i].index, bad[i].start,
							       bad[i].size, bad[i].ops, t));
	for (i = 0; i < ARRAY_SIZE(bad_overrides); i++)
		KUNIT_EXPECT_EQ_MSG(test, -EINVAL,
				    override_region(dev, &bad_overrides[i]),
				    "override %u", i);
	for (i = 0; i < ARRAY_SIZE(bad_regions); i++)
		KUNIT_EXPECT_EQ_MSG(test, -EINVAL,
				    add_region(dev, &bad_regions[i]),
				    "region %u", i);
	region = vfio_pci_vendor_override_region(dev, VFIO_PCI_NUM_REGIONS, &good);
	KUNIT_EXPECT_PTR_EQ(test, ERR_PTR(-EINVAL), region);
	/* Failed calls do not change the table */
	KUNIT_EXPECT_PTR_EQ(test, &base_ops, t->vdev->regions[BAR]->own);
	KUNIT_EXPECT_EQ(test, VFIO_PCI_NUM_REGIONS, t->vdev->num_regions);
	KUNIT_EXPECT_EQ(test, 0, t->nr_released);

	KUNIT_EXPECT_EQ(test, 0, override_region(dev, &good));

	return t->result;
}

static void test_invalid_overrides_fail(struct kunit *test)
{
	struct override_test *t = test->priv;
	const struct vfio_pci_region_desc desc = { .ops = &base_ops, .data = t };
	struct vfio_pci_vendor *vendor;
	struct vfio_pci_region *region;

	test_register(test, "a", 0, open_bad);
	test_open_bar(test, 0);

	/* Calls outside the open callback fail */
	KUNIT_ASSERT_FALSE(test, list_empty(&t->vdev->vendors));
	vendor = list_first_entry(&t->vdev->vendors, struct vfio_pci_vendor, node);
	region = vfio_pci_vendor_override_region(&vendor->dev, BAR, &desc);
	KUNIT_EXPECT_PTR_EQ(test, ERR_PTR(-EBUSY), region);
	KUNIT_EXPECT_EQ(test, -EBUSY,
			vfio_pci_vendor_override_range(&vendor->dev, BAR, 0, 4,
						       &range_ops, t));
	test_close_bar(test);
	KUNIT_EXPECT_EQ(test, 1, t->nr_released);

	/* A failed open releases its regions */
	t->nr_released = 0;
	t->result = -EXDEV;
	test_open_bar(test, -EXDEV);
	KUNIT_EXPECT_EQ(test, 1, t->nr_released);
	test_close_bar(test);
	KUNIT_EXPECT_EQ(test, 1, t->nr_released);
}

static struct kunit_case override_test_cases[] = {
	KUNIT_CASE_PARAM(test_override_inherits_from_the_lower_region, inherit_gen_params),
	KUNIT_CASE(test_ranges_get_only_their_registers),
	KUNIT_CASE(test_invalid_range_accesses_fail),
	KUNIT_CASE(test_accesses_find_one_of_many_ranges),
	KUNIT_CASE_PARAM(test_ranges_remove_pages_from_mmap_areas, areas_gen_params),
	KUNIT_CASE(test_range_cuts_listed_mmap_areas),
	KUNIT_CASE(test_smaller_override_cuts_listed_mmap_areas),
	KUNIT_CASE(test_smaller_override_hides_bytes_past_its_end),
	KUNIT_CASE_PARAM(test_overrides_of_one_priority_conflict, conflict_gen_params),
	KUNIT_CASE(test_invalid_overrides_fail),
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
MODULE_DESCRIPTION("KUnit tests of vfio-pci overrides");
MODULE_LICENSE("GPL");
