// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests of vfio-pci vendor drivers and their regions
 */

#include <kunit/test.h>
#include <linux/delay.h>
#include <linux/kthread.h>
#include <linux/mman.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/uaccess.h>
#include <linux/vfio.h>
#include <linux/vfio_pci_core.h>

#include "vfio_pci_kunit.h"
#include "../vfio_pci_priv.h"

#define TEST_VENDOR	VFIO_PCI_KUNIT_VENDOR
#define TEST_DEVICE	0x0001

#define NR_DRIVERS	4
#define NR_EVENTS	32

struct test_driver {
	struct vfio_pci_vendor_driver driver;
	struct pci_device_id ids[4];
	char *option;
	struct vendor_test *t;
	unsigned int regions;
	int ret;
	bool registered;
};

struct vendor_test {
	struct vfio_pci_core_device *vdev;
	struct test_driver drivers[NR_DRIVERS];
	/* Log of calls: a sign and the name of the driver for each */
	char events[NR_EVENTS];
};

static void test_event(struct vendor_test *t, const char *what, const char *name)
{
	size_t len = strlen(t->events);

	snprintf(t->events + len, sizeof(t->events) - len, "%s%s", what, name);
}

static void test_release(struct vfio_pci_region *region)
{
	struct test_driver *d = region->data;

	test_event(d->t, "~", d->driver.name);
}

static const struct vfio_pci_regops test_ops = {
	.release	= test_release,
};

static struct vfio_pci_region *test_add(struct vfio_pci_vendor_device *dev,
					u32 type, u32 subtype, u64 size,
					void *data)
{
	const struct vfio_pci_region_desc desc = {
		.ops		= &test_ops,
		.data		= data,
		.size		= size,
		.type		= type,
		.subtype	= subtype,
	};

	return vfio_pci_vendor_add_region(dev, &desc);
}

static int test_open(struct vfio_pci_vendor_device *dev)
{
	struct test_driver *d = container_of(dev->driver, struct test_driver,
					     driver);
	struct vfio_pci_region *region;
	unsigned int i;

	test_event(d->t, "+", d->driver.name);
	for (i = 0; i < d->regions; i++) {
		region = test_add(dev, 7, i, 16, d);
		if (IS_ERR(region))
			return PTR_ERR(region);
	}
	dev->data = d;

	return d->ret;
}

static void test_close(struct vfio_pci_vendor_device *dev)
{
	struct test_driver *d = dev->data;

	test_event(d->t, "-", d->driver.name);
}

/* Prepare a driver for the test device, without registering it */
static struct test_driver *test_driver(struct vendor_test *t, const char *name,
				       int priority)
{
	struct test_driver *d = t->drivers;

	while (d->driver.name)
		d++;

	d->t = t;
	d->ids[0] = (struct pci_device_id){ PCI_DEVICE(TEST_VENDOR, TEST_DEVICE) };
	d->driver.name = name;
	d->driver.id_table = d->ids;
	d->driver.priority = priority;
	d->driver.open = test_open;
	d->driver.close = test_close;

	return d;
}

static int test_register(struct test_driver *d)
{
	int ret = vfio_pci_register_vendor_driver(&d->driver);

	d->registered = !ret;

	return ret;
}

static void test_unregister(struct test_driver *d)
{
	vfio_pci_unregister_vendor_driver(&d->driver);
	d->registered = false;
}

/* Open and close the device, and check the log of calls */
static void test_expect(struct kunit *test, int ret, const char *events)
{
	struct vendor_test *t = test->priv;

	t->events[0] = '\0';
	KUNIT_ASSERT_EQ(test, 0, vfio_pci_regions_alloc(t->vdev));
	KUNIT_EXPECT_EQ(test, ret, vfio_pci_kunit_open(t->vdev));
	vfio_pci_vendors_close(t->vdev);
	KUNIT_EXPECT_EQ(test, VFIO_PCI_NUM_REGIONS, t->vdev->num_regions);
	vfio_pci_regions_free(t->vdev);
	vfio_pci_vendors_unbind(t->vdev);
	KUNIT_EXPECT_STREQ(test, events, t->events);
}

static int vendor_test_init(struct kunit *test)
{
	struct vendor_test *t;

	t = kunit_kzalloc(test, sizeof(*t), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, t);
	t->vdev = vfio_pci_kunit_device(test, TEST_DEVICE);

	t->vdev->pdev->subsystem_vendor = 0x1111;
	t->vdev->pdev->subsystem_device = 0x2222;
	t->vdev->pdev->class = 0x028000;
	test->priv = t;

	return 0;
}

static void vendor_test_exit(struct kunit *test)
{
	struct vendor_test *t = test->priv;
	unsigned int i;

	if (!t || !t->vdev)
		return;
	vfio_pci_kunit_close(t->vdev);
	for (i = 0; i < NR_DRIVERS; i++)
		if (t->drivers[i].registered)
			test_unregister(&t->drivers[i]);
}

static void test_invalid_drivers_are_rejected(struct kunit *test)
{
	struct vendor_test *t = test->priv;
	struct test_driver *a = test_driver(t, "a", 0);
	struct test_driver *b = test_driver(t, "a", 0);

	a->driver.name = "";
	KUNIT_EXPECT_EQ(test, -EINVAL, test_register(a));
	a->driver.name = NULL;
	KUNIT_EXPECT_EQ(test, -EINVAL, test_register(a));
	a->driver.name = "a";
	a->driver.open = NULL;
	KUNIT_EXPECT_EQ(test, -EINVAL, test_register(a));
	a->driver.open = test_open;
	a->driver.id_table = NULL;
	KUNIT_EXPECT_EQ(test, -EINVAL, test_register(a));
	a->driver.id_table = a->ids + 1;
	KUNIT_EXPECT_EQ(test, -EINVAL, test_register(a));
	a->driver.id_table = a->ids;
	test_expect(test, 0, "");

	KUNIT_ASSERT_EQ(test, 0, test_register(a));
	KUNIT_EXPECT_EQ(test, -EEXIST,
			vfio_pci_register_vendor_driver(&a->driver));
	KUNIT_EXPECT_EQ(test, -EEXIST, test_register(b));
	test_expect(test, 0, "+a-a");

	test_unregister(a);
	test_expect(test, 0, "");
	KUNIT_ASSERT_EQ(test, 0, test_register(b));
	test_expect(test, 0, "+a-a");
}

static void test_drivers_open_by_priority_and_name(struct kunit *test)
{
	struct vendor_test *t = test->priv;
	struct test_driver *c = test_driver(t, "c", -1);
	struct test_driver *b = test_driver(t, "b", 5);
	struct test_driver *a = test_driver(t, "a", 5);
	struct test_driver *d = test_driver(t, "d", INT_MAX);

	KUNIT_ASSERT_EQ(test, 0, test_register(b));
	KUNIT_ASSERT_EQ(test, 0, test_register(d));
	KUNIT_ASSERT_EQ(test, 0, test_register(a));
	KUNIT_ASSERT_EQ(test, 0, test_register(c));
	test_expect(test, 0, "+c+a+b+d-d-b-a-c");

	/* The order of registration does not matter */
	test_unregister(a);
	test_unregister(c);
	KUNIT_ASSERT_EQ(test, 0, test_register(c));
	KUNIT_ASSERT_EQ(test, 0, test_register(a));
	test_expect(test, 0, "+c+a+b+d-d-b-a-c");
}

static void test_failed_open_is_undone_in_reverse(struct kunit *test)
{
	struct vendor_test *t = test->priv;
	struct test_driver *a = test_driver(t, "a", 1);
	struct test_driver *b = test_driver(t, "b", 2);
	struct test_driver *c = test_driver(t, "c", 3);

	a->regions = 1;
	b->regions = 2;
	c->regions = 1;
	KUNIT_ASSERT_EQ(test, 0, test_register(a));
	KUNIT_ASSERT_EQ(test, 0, test_register(b));
	KUNIT_ASSERT_EQ(test, 0, test_register(c));
	test_expect(test, 0, "+a+b+c~c-c~b~b-b~a-a");

	/* -ENODEV: the core undoes the open of b and continues with c */
	b->ret = -ENODEV;
	test_expect(test, 0, "+a+b~b~b+c~c-c~a-a");

	/* Any other error fails the open, and the core does not call c */
	b->ret = -EIO;
	test_expect(test, -EIO, "+a+b~b~b~a-a");
	b->ret = 1;
	test_expect(test, -EIO, "+a+b~b~b~a-a");
	b->ret = 0;
	test_expect(test, 0, "+a+b+c~c-c~b~b-b~a-a");
}

static void test_one_id(struct kunit *test, struct pci_device_id id, bool match)
{
	struct vendor_test *t = test->priv;
	struct test_driver *a = &t->drivers[0];

	a->ids[0] = id;
	KUNIT_ASSERT_EQ(test, 0, test_register(a));
	test_expect(test, 0, match ? "+a-a" : "");
	test_unregister(a);
}

static void test_only_matching_drivers_open(struct kunit *test)
{
	struct vendor_test *t = test->priv;
	struct test_driver *a = test_driver(t, "a", 0);

	test_one_id(test, (struct pci_device_id){ PCI_DEVICE(TEST_VENDOR, 2) }, false);
	test_one_id(test, (struct pci_device_id){ PCI_DEVICE(1, TEST_DEVICE) }, false);
	test_one_id(test, (struct pci_device_id){
		PCI_DEVICE(TEST_VENDOR, PCI_ANY_ID) }, true);
	test_one_id(test, (struct pci_device_id){
		PCI_DEVICE(PCI_ANY_ID, TEST_DEVICE) }, true);
	test_one_id(test, (struct pci_device_id){
		PCI_DEVICE(PCI_ANY_ID, PCI_ANY_ID) }, true);
	test_one_id(test, (struct pci_device_id){
		PCI_DEVICE_SUB(TEST_VENDOR, TEST_DEVICE, 0x1111, 0x2222) }, true);
	test_one_id(test, (struct pci_device_id){
		PCI_DEVICE_SUB(TEST_VENDOR, TEST_DEVICE, 0x1111, 0x2223) }, false);
	test_one_id(test, (struct pci_device_id){
		PCI_DEVICE_SUB(TEST_VENDOR, TEST_DEVICE, PCI_ANY_ID, 0x2222) }, true);
	test_one_id(test, (struct pci_device_id){
		PCI_DEVICE_CLASS(0x028000, ~0) }, true);
	test_one_id(test, (struct pci_device_id){
		PCI_DEVICE_CLASS(0x020000, 0xff0000) }, true);
	test_one_id(test, (struct pci_device_id){
		PCI_DEVICE_CLASS(0x030000, 0xff0000) }, false);

	/* Several matching ids open the device only once */
	a->ids[1] = (struct pci_device_id){ PCI_DEVICE(TEST_VENDOR, TEST_DEVICE) };
	a->ids[2] = (struct pci_device_id){ PCI_DEVICE(PCI_ANY_ID, PCI_ANY_ID) };
	test_one_id(test, (struct pci_device_id){ PCI_DEVICE(TEST_VENDOR, TEST_DEVICE) },
		    true);
}

static void test_ids_option_selects_devices(struct kunit *test)
{
	static const char * const bad[] = { "", ",", "1", "x:1", "fffe:1,1" };
	static const struct { const char *ids; bool match; } good[] = {
		{ "fffe:1", true },
		{ "FFFE:0001", true },
		{ "fffe:2", false },
		{ "1:2,fffe:1", true },
		{ "fffe:1:1111:2222", true },
		{ "fffe:1:1111:2221", false },
		{ "fffe:1:ffffffff:ffffffff:28000:ffffff", true },
		{ "fffe:1:ffffffff:ffffffff:28100:ffffff", false },
		{ "fffe:1,fffe:1", true },
		{ "fffe:1,", true },
		{ ",,1:2,,fffe:1", true },
	};
	struct vendor_test *t = test->priv;
	struct test_driver *a = test_driver(t, "a", 0);
	unsigned int i;

	a->driver.id_table = NULL;
	a->driver.ids = &a->option;
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		a->option = (char *)bad[i];
		KUNIT_EXPECT_EQ_MSG(test, -EINVAL, test_register(a), "%s", bad[i]);
	}
	for (i = 0; i < ARRAY_SIZE(good); i++) {
		a->option = (char *)good[i].ids;
		KUNIT_ASSERT_EQ(test, 0, test_register(a));
		test_expect(test, 0, good[i].match ? "+a-a" : "");
		test_unregister(a);
	}

	/* An option together with a table */
	a->driver.id_table = a->ids;
	a->option = "1:2";
	KUNIT_ASSERT_EQ(test, 0, test_register(a));
	test_expect(test, 0, "+a-a");
}

static void test_only_open_adds_regions(struct kunit *test)
{
	struct vendor_test *t = test->priv;
	struct test_driver *a = test_driver(t, "a", 0);
	struct vfio_pci_core_region *core;
	struct vfio_pci_vendor_device *dev;
	struct vfio_pci_region *region;

	a->regions = 1;
	KUNIT_ASSERT_EQ(test, 0, test_register(a));
	KUNIT_ASSERT_EQ(test, 0, vfio_pci_regions_alloc(t->vdev));
	KUNIT_ASSERT_EQ(test, 0, vfio_pci_kunit_open(t->vdev));
	KUNIT_ASSERT_FALSE(test, list_empty(&t->vdev->vendors));
	dev = &list_first_entry(&t->vdev->vendors, struct vfio_pci_vendor,
				node)->dev;
	core = vfio_pci_region_get(t->vdev, VFIO_PCI_NUM_REGIONS);
	KUNIT_ASSERT_NOT_NULL(test, core);
	KUNIT_EXPECT_PTR_EQ(test, dev, core->region.dev);
	KUNIT_EXPECT_PTR_EQ(test, t->vdev->pdev, dev->pdev);

	/* A call outside the open callback fails */
	KUNIT_EXPECT_PTR_EQ(test, ERR_PTR(-EBUSY), test_add(dev, 7, 0, 16, a));

	t->vdev->vendor_opening = dev;
	KUNIT_EXPECT_PTR_EQ(test, ERR_PTR(-EINVAL), test_add(dev, 7, 0, 0, a));
	KUNIT_EXPECT_PTR_EQ(test, ERR_PTR(-EINVAL),
			    test_add(dev, 7, 0, BIT_ULL(40) + 1, a));
	region = test_add(dev, 8, 1, BIT_ULL(40), a);
	KUNIT_ASSERT_FALSE(test, IS_ERR(region));
	KUNIT_EXPECT_EQ(test, VFIO_PCI_NUM_REGIONS + 1, region->index);
	KUNIT_EXPECT_EQ(test, VFIO_PCI_NUM_REGIONS + 1,
			vfio_pci_vendor_find_region(dev, 8, 1));
	KUNIT_EXPECT_EQ(test, VFIO_PCI_NUM_REGIONS,
			vfio_pci_vendor_find_region(dev, 7, 0));
	KUNIT_EXPECT_EQ(test, -ENOENT, vfio_pci_vendor_find_region(dev, 8, 0));
	t->vdev->vendor_opening = NULL;
}

static void test_reset_prepare(struct vfio_pci_vendor_device *dev)
{
	struct test_driver *d = dev->data;

	test_event(d->t, "<", d->driver.name);
}

static void test_reset_done(struct vfio_pci_vendor_device *dev)
{
	struct test_driver *d = dev->data;

	test_event(d->t, ">", d->driver.name);
}

/* A fatal error starts a reset; slot_reset, resume or a failure ends it */
static void test_pci_errors_pair_reset_callbacks(struct kunit *test)
{
	const struct pci_error_handlers *handlers = &vfio_pci_core_err_handlers;
	struct vendor_test *t = test->priv;
	struct test_driver *a = test_driver(t, "a", 0);
	struct pci_dev *pdev = t->vdev->pdev;

	a->driver.reset_prepare = test_reset_prepare;
	a->driver.reset_done = test_reset_done;
	KUNIT_ASSERT_EQ(test, 0, test_register(a));
	dev_set_drvdata(&pdev->dev, t->vdev);
	KUNIT_ASSERT_EQ(test, 0, vfio_pci_regions_alloc(t->vdev));
	KUNIT_ASSERT_EQ(test, 0, vfio_pci_kunit_open(t->vdev));

	handlers->error_detected(pdev, pci_channel_io_normal);
	handlers->resume(pdev);
	KUNIT_EXPECT_STREQ(test, "+a", t->events);
	/* Another device on the bus requests a reset */
	handlers->error_detected(pdev, pci_channel_io_normal);
	KUNIT_EXPECT_EQ(test, PCI_ERS_RESULT_NONE, handlers->slot_reset(pdev));
	handlers->resume(pdev);
	KUNIT_EXPECT_STREQ(test, "+a<a>a", t->events);
	t->events[2] = '\0';
	handlers->error_detected(pdev, pci_channel_io_frozen);
	KUNIT_EXPECT_STREQ(test, "+a<a", t->events);
	handlers->resume(pdev);
	KUNIT_EXPECT_STREQ(test, "+a<a>a", t->events);
	handlers->error_detected(pdev, pci_channel_io_frozen);
	handlers->error_detected(pdev, pci_channel_io_perm_failure);
	handlers->error_detected(pdev, pci_channel_io_perm_failure);
	KUNIT_EXPECT_STREQ(test, "+a<a>a<a>a", t->events);

	/* Overlapping resets call the driver once */
	t->events[0] = '\0';
	handlers->error_detected(pdev, pci_channel_io_frozen);
	handlers->reset_prepare(pdev);
	handlers->reset_done(pdev);
	KUNIT_EXPECT_STREQ(test, "<a", t->events);
	handlers->resume(pdev);
	handlers->reset_prepare(pdev);
	handlers->error_detected(pdev, pci_channel_io_frozen);
	handlers->resume(pdev);
	KUNIT_EXPECT_STREQ(test, "<a>a<a", t->events);
	handlers->reset_done(pdev);
	KUNIT_EXPECT_STREQ(test, "<a>a<a>a", t->events);
}

static int test_open_late(struct vfio_pci_vendor_device *dev)
{
	struct test_driver *d = container_of(dev->driver, struct test_driver,
					     driver);

	/* Only a variant driver may call this, before vendor drivers open */
	return vfio_pci_core_register_dev_region(dev->vdev, 7, 0, &test_ops, 16,
						 VFIO_REGION_INFO_FLAG_READ, d);
}

/* Calls too early, too late or twice, and invalid return values of open */
static void test_calls_in_the_wrong_state_fail(struct kunit *test)
{
	struct vendor_test *t = test->priv;
	struct test_driver *a = test_driver(t, "a", 0);

	KUNIT_ASSERT_EQ(test, 0, test_register(a));
	KUNIT_EXPECT_EQ(test, -EINVAL, vfio_pci_core_open_vendors(t->vdev));
	KUNIT_ASSERT_EQ(test, 0, vfio_pci_regions_alloc(t->vdev));
	KUNIT_ASSERT_EQ(test, 0, vfio_pci_kunit_open(t->vdev));
	KUNIT_EXPECT_EQ(test, -EBUSY, vfio_pci_core_open_vendors(t->vdev));
	KUNIT_EXPECT_EQ(test, -EBUSY,
			vfio_pci_core_register_dev_region(t->vdev, 7, 0, &test_ops,
							  16, 0, a));
	vfio_pci_vendors_close(t->vdev);
	vfio_pci_regions_free(t->vdev);

	KUNIT_ASSERT_EQ(test, 0, vfio_pci_regions_alloc(t->vdev));
	vfio_pci_regions_finalize(t->vdev);
	KUNIT_EXPECT_EQ(test, -EBUSY, vfio_pci_kunit_open(t->vdev));
	vfio_pci_regions_free(t->vdev);

	a->driver.open = test_open_late;
	test_expect(test, -EBUSY, "");
	a->driver.open = test_open;
	a->ret = 1;
	test_expect(test, -EIO, "+a");
	a->ret = -MAX_ERRNO - 1;
	test_expect(test, -EIO, "+a");
}

static int unregister_thread(void *data)
{
	struct test_driver *d = data;

	vfio_pci_unregister_vendor_driver(&d->driver);
	test_event(d->t, "!", "");
	WRITE_ONCE(d->registered, false);

	return 0;
}

static void test_unregister_waits_for_unbind(struct kunit *test)
{
	struct vendor_test *t = test->priv;
	struct test_driver *a = test_driver(t, "a", 0);
	struct task_struct *task;

	KUNIT_ASSERT_EQ(test, 0, test_register(a));
	KUNIT_ASSERT_EQ(test, 0, vfio_pci_regions_alloc(t->vdev));
	KUNIT_ASSERT_EQ(test, 0, vfio_pci_kunit_open(t->vdev));

	task = kthread_run(unregister_thread, a, "unregister");
	KUNIT_ASSERT_FALSE(test, IS_ERR(task));
	msleep(50);
	KUNIT_EXPECT_TRUE(test, READ_ONCE(a->registered));
	vfio_pci_vendors_close(t->vdev);
	msleep(50);
	KUNIT_EXPECT_TRUE(test, READ_ONCE(a->registered));
	vfio_pci_vendors_unbind(t->vdev);
	while (READ_ONCE(a->registered))
		msleep(20);
	KUNIT_EXPECT_STREQ(test, "+a-a!", t->events);
}

/* A region that ends in the middle of a page */
#define BUF_SIZE	(2 * PAGE_SIZE + 100)

struct buf_region {
	u8 mem[BUF_SIZE];
	loff_t fail_at;
	int ret;
	unsigned int nr_calls;
};

static int buf_call(struct buf_region *b, size_t count, loff_t pos)
{
	b->nr_calls++;
	if (count < 1 || count > PAGE_SIZE || pos < 0 || pos > BUF_SIZE - count)
		return -EDOM;

	return pos >= b->fail_at ? b->ret : 0;
}

static int buf_read(struct vfio_pci_region *region, void *buf, size_t count,
		    loff_t pos)
{
	struct buf_region *b = region->data;
	int ret = buf_call(b, count, pos);

	if (ret != -EDOM)
		memcpy(buf, b->mem + pos, count);

	return ret;
}

static int buf_write(struct vfio_pci_region *region, const void *buf,
		     size_t count, loff_t pos)
{
	struct buf_region *b = region->data;
	int ret = buf_call(b, count, pos);

	if (!ret)
		memcpy(b->mem + pos, buf, count);

	return ret;
}

static const struct vfio_pci_regops buf_ops = {
	.read	= buf_read,
	.write	= buf_write,
};

static u8 __user *buf_user(struct kunit *test, size_t size)
{
	unsigned long addr;

	addr = kunit_vm_mmap(test, NULL, 0, size, PROT_READ | PROT_WRITE,
			     MAP_ANONYMOUS | MAP_PRIVATE, 0);
	KUNIT_ASSERT_FALSE(test, IS_ERR_VALUE(addr));
	KUNIT_ASSERT_NE(test, 0, addr);

	return (u8 __user *)addr;
}

static void test_kernel_buffer_accesses_are_clipped(struct kunit *test)
{
	static const struct {
		size_t count;
		loff_t pos;
		ssize_t ret;
	} cases[] = {
		{ 1, 0, 1 },
		{ 100, BUF_SIZE - 100, 100 },
		{ 101, BUF_SIZE - 100, 100 },
		{ 1, BUF_SIZE, -EINVAL },
		{ 1, BIT_ULL(40) - 1, -EINVAL },
		{ PAGE_SIZE + 1, 7, PAGE_SIZE + 1 },
		{ BUF_SIZE, 0, BUF_SIZE },
		{ 4 * PAGE_SIZE, 0, BUF_SIZE },
		{ 4 * PAGE_SIZE, 1, BUF_SIZE - 1 },
	};
	struct vendor_test *t = test->priv;
	struct vfio_pci_core_region region = {
		.region.size = BUF_SIZE,
		.vdev = t->vdev,
		.own = &buf_ops,
		.ops = buf_ops,
	};
	struct buf_region *b;
	u8 __user *user;
	u8 *seen;
	size_t i, j;

	b = kunit_kzalloc(test, sizeof(*b), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, b);
	seen = kunit_kzalloc(test, 4 * PAGE_SIZE, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, seen);
	user = buf_user(test, 4 * PAGE_SIZE);
	region.region.data = b;
	b->fail_at = BUF_SIZE;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		ssize_t ret = cases[i].ret;
		size_t n = max(ret, 0);
		u8 *part = b->mem;

		for (j = 0; j < BUF_SIZE; j++)
			b->mem[j] = j * 7 + i;
		KUNIT_ASSERT_EQ(test, 0, clear_user(user, 4 * PAGE_SIZE));
		KUNIT_EXPECT_EQ(test, ret,
				vfio_pci_region_read_user(&region, user,
							  cases[i].count,
							  cases[i].pos));
		KUNIT_ASSERT_EQ(test, 0, copy_from_user(seen, user,
							4 * PAGE_SIZE));
		if (n)
			part += cases[i].pos;
		KUNIT_EXPECT_MEMEQ(test, seen, part, n);
		KUNIT_EXPECT_NULL(test, memchr_inv(seen + n, 0,
						   4 * PAGE_SIZE - n));

		/* A write of the same bytes restores the memory */
		memset(b->mem, 0, BUF_SIZE);
		KUNIT_EXPECT_EQ(test, ret,
				vfio_pci_region_write_user(&region, user,
							   cases[i].count,
							   cases[i].pos));
		KUNIT_EXPECT_MEMEQ(test, seen, part, n);
		memset(part, 0, n);
		KUNIT_EXPECT_NULL(test, memchr_inv(b->mem, 0, BUF_SIZE));
	}

	/* The call returns the errno even if it copied bytes before */
	b->fail_at = 0;
	b->ret = -EPERM;
	KUNIT_EXPECT_EQ(test, -EPERM, vfio_pci_region_read_user(&region, user, BUF_SIZE, 0));
	KUNIT_EXPECT_EQ(test, -EPERM, vfio_pci_region_write_user(&region, user, 8, 0));
	b->fail_at = PAGE_SIZE;
	KUNIT_EXPECT_EQ(test, -EPERM,
			vfio_pci_region_read_user(&region, user, BUF_SIZE, 0));
	KUNIT_EXPECT_EQ(test, -EPERM,
			vfio_pci_region_write_user(&region, user, BUF_SIZE, 0));
	/* The pages before the failure are copied */
	KUNIT_ASSERT_EQ(test, 0, copy_from_user(seen, user, PAGE_SIZE));
	KUNIT_EXPECT_MEMEQ(test, seen, b->mem, PAGE_SIZE);

	/* An invalid return value becomes -EIO and ends the access */
	b->fail_at = 0;
	b->ret = 5;
	KUNIT_EXPECT_EQ(test, -EIO, vfio_pci_region_read_user(&region, user, 8, 0));
	b->ret = INT_MIN;
	b->nr_calls = 0;
	KUNIT_EXPECT_EQ(test, -EIO, vfio_pci_region_write_user(&region, user, BUF_SIZE, 0));
	KUNIT_EXPECT_EQ(test, 1, b->nr_calls);

	/* A bad user buffer */
	b->fail_at = BUF_SIZE;
	KUNIT_ASSERT_EQ(test, 0, vm_munmap((unsigned long)user + PAGE_SIZE,
					   3 * PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, -EFAULT,
			vfio_pci_region_read_user(&region, user, BUF_SIZE, 0));
	b->nr_calls = 0;
	KUNIT_EXPECT_EQ(test, -EFAULT,
			vfio_pci_region_write_user(&region, user + PAGE_SIZE, 8, 0));
	KUNIT_EXPECT_EQ(test, 0, b->nr_calls);
}

static void test_memory_regions_hold_data(struct kunit *test)
{
	const u32 ro = VFIO_REGION_INFO_FLAG_READ;
	const u32 rw = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE;
	struct vendor_test *t = test->priv;
	const struct vfio_pci_vendor_driver driver = { .name = "memory" };
	struct vfio_pci_vendor vendor = {
		.dev = {
			.vdev = t->vdev,
			.pdev = t->vdev->pdev,
			.driver = &driver,
		},
	};
	struct vfio_pci_vendor_device *dev = &vendor.dev;
	struct vfio_pci_region_desc desc = { .type = 7, .flags = ro };
	struct vfio_pci_core_region *region;
	u8 __user *user;
	u8 seen[8] = {};
	u8 *mem;

	INIT_LIST_HEAD(&vendor.regions);
	user = buf_user(test, PAGE_SIZE);
	KUNIT_ASSERT_EQ(test, 0, vfio_pci_regions_alloc(t->vdev));

	desc.size = 8;
	mem = vfio_pci_vendor_add_memory(dev, &desc, "1234567");
	KUNIT_EXPECT_PTR_EQ(test, ERR_PTR(-EBUSY), (void *)mem);
	t->vdev->vendor_opening = dev;
	desc.size = 0;
	mem = vfio_pci_vendor_add_memory(dev, &desc, NULL);
	KUNIT_EXPECT_PTR_EQ(test, ERR_PTR(-EINVAL), (void *)mem);
	desc.size = 8;
	desc.ops = &buf_ops;
	mem = vfio_pci_vendor_add_memory(dev, &desc, NULL);
	KUNIT_EXPECT_PTR_EQ(test, ERR_PTR(-EINVAL), (void *)mem);
	desc.ops = NULL;

	mem = vfio_pci_vendor_add_memory(dev, &desc, "1234567");
	KUNIT_ASSERT_FALSE(test, IS_ERR(mem));
	region = vfio_pci_region_get(t->vdev, VFIO_PCI_NUM_REGIONS);
	KUNIT_ASSERT_NOT_NULL(test, region);
	KUNIT_EXPECT_EQ(test, 5, region->user.read(region, user, 20, 3));
	KUNIT_ASSERT_EQ(test, 0, copy_from_user(seen, user, 8));
	KUNIT_EXPECT_STREQ(test, "4567", (char *)seen);
	KUNIT_EXPECT_EQ(test, -EINVAL, region->user.read(region, user, 1, 8));
	KUNIT_EXPECT_NULL(test, region->user.write);
	KUNIT_EXPECT_NULL(test, region->ops.write);

	desc.subtype = 1;
	desc.flags = rw;
	mem = vfio_pci_vendor_add_memory(dev, &desc, NULL);
	KUNIT_ASSERT_FALSE(test, IS_ERR(mem));
	region = vfio_pci_region_get(t->vdev, VFIO_PCI_NUM_REGIONS + 1);
	KUNIT_ASSERT_NOT_NULL(test, region);
	KUNIT_EXPECT_EQ(test, 4, region->user.write(region, user, 20, 4));
	KUNIT_EXPECT_MEMEQ(test, mem, "\0\0\0\0004567", 8);
	KUNIT_EXPECT_EQ(test, -EINVAL, region->user.write(region, user, 1, 8));
	t->vdev->vendor_opening = NULL;
}

static struct kunit_case vendor_test_cases[] = {
	KUNIT_CASE(test_invalid_drivers_are_rejected),
	KUNIT_CASE(test_drivers_open_by_priority_and_name),
	KUNIT_CASE(test_failed_open_is_undone_in_reverse),
	KUNIT_CASE(test_only_matching_drivers_open),
	KUNIT_CASE(test_ids_option_selects_devices),
	KUNIT_CASE(test_only_open_adds_regions),
	KUNIT_CASE(test_kernel_buffer_accesses_are_clipped),
	KUNIT_CASE(test_memory_regions_hold_data),
	KUNIT_CASE(test_pci_errors_pair_reset_callbacks),
	KUNIT_CASE(test_calls_in_the_wrong_state_fail),
	KUNIT_CASE(test_unregister_waits_for_unbind),
	{}
};

static struct kunit_suite vendor_test_suite = {
	.name		= "vfio-pci-vendor",
	.init		= vendor_test_init,
	.exit		= vendor_test_exit,
	.test_cases	= vendor_test_cases,
};

kunit_test_suite(vendor_test_suite);

MODULE_IMPORT_NS("EXPORTED_FOR_KUNIT_TESTING");
MODULE_DESCRIPTION("KUnit tests of vfio-pci vendor drivers and their regions");
MODULE_LICENSE("GPL");
