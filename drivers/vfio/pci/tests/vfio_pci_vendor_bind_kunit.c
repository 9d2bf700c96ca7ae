// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests of bind, open, close and reset callbacks of vendor drivers
 */

#include <kunit/test.h>
#include <linux/delay.h>
#include <linux/kthread.h>
#include <linux/pci.h>
#include <linux/vfio_pci_core.h>
#include <linux/workqueue.h>

#include "vfio_pci_kunit.h"
#include "../vfio_pci_priv.h"

#define TEST_DEVICE	0x0002
#define NR_DRIVERS	3

struct bind_test;

struct bind_driver {
	struct vfio_pci_vendor_driver	driver;
	struct pci_device_id		ids[3];
	struct bind_test		*t;
	int				bind_ret;
	int				open_ret;
	unsigned long			driver_data;
	struct work_struct		work;
	bool				reset_in_open;
	bool				own_reset;
	bool				done_in_open;
	bool				registered;
};

struct bind_test {
	struct vfio_pci_core_device	*vdev;
	struct bind_driver		drivers[NR_DRIVERS];
	/* Log of callbacks: one letter, then the name of the driver */
	char				events[64];
	int				ret;
	struct completion		closed;
};

static struct bind_driver *bind_driver(struct vfio_pci_vendor_device *dev,
				       char event)
{
	struct bind_driver *d = container_of(dev->driver, struct bind_driver,
					     driver);
	size_t len = strlen(d->t->events);

	snprintf(d->t->events + len, sizeof(d->t->events) - len, "%c%s", event,
		 d->driver.name);

	return d;
}

static int bind_test_bind(struct vfio_pci_vendor_device *dev)
{
	struct bind_driver *d = bind_driver(dev, 'b');

	d->driver_data = dev->id->driver_data;
	dev->bind_data = d;

	return d->bind_ret;
}

static void bind_test_unbind(struct vfio_pci_vendor_device *dev)
{
	bind_driver(dev, 'u');
}

/* Reset the device in another task */
static void bind_test_reset(struct work_struct *work)
{
	struct bind_driver *d = container_of(work, struct bind_driver, work);

	vfio_pci_vendors_reset_prepare(d->t->vdev, VFIO_PCI_IN_RESET);
	if (d->done_in_open)
		vfio_pci_vendors_reset_done(d->t->vdev, VFIO_PCI_IN_RESET);
}

static int bind_test_open(struct vfio_pci_vendor_device *dev)
{
	struct bind_driver *d = bind_driver(dev, 'o');

	dev->data = d;
	if (d->reset_in_open) {
		INIT_WORK(&d->work, bind_test_reset);
		schedule_work(&d->work);
		flush_work(&d->work);
	}
	if (d->own_reset) {
		vfio_pci_vendors_reset_prepare(dev->vdev, VFIO_PCI_IN_RESET);
		vfio_pci_vendors_reset_done(dev->vdev, VFIO_PCI_IN_RESET);
	}

	return d->open_ret;
}

static void bind_test_close(struct vfio_pci_vendor_device *dev)
{
	bind_driver(dev, 'c');
}

/* Log an upper case letter if the device is open */
static void bind_test_prepare(struct vfio_pci_vendor_device *dev)
{
	bind_driver(dev, dev->data ? 'P' : 'p');
}

static void bind_test_done(struct vfio_pci_vendor_device *dev)
{
	bind_driver(dev, dev->data ? 'D' : 'd');
}

static struct bind_driver *bind_test_add(struct kunit *test, const char *name,
					 int priority)
{
	struct bind_test *t = test->priv;
	struct bind_driver *d = t->drivers;

	while (d->driver.name)
		d++;

	d->t = t;
	d->ids[0] = (struct pci_device_id) {
		PCI_DEVICE(VFIO_PCI_KUNIT_VENDOR, TEST_DEVICE), .driver_data = 7,
	};
	d->driver = (struct vfio_pci_vendor_driver) {
		.name		= name,
		.id_table	= d->ids,
		.priority	= priority,
		.bind		= bind_test_bind,
		.unbind		= bind_test_unbind,
		.open		= bind_test_open,
		.close		= bind_test_close,
		.reset_prepare	= bind_test_prepare,
		.reset_done	= bind_test_done,
	};

	return d;
}

static void bind_test_register(struct kunit *test, struct bind_driver *d)
{
	int ret = vfio_pci_register_vendor_driver(&d->driver);

	KUNIT_ASSERT_EQ(test, 0, ret);
	d->registered = true;
}

static void bind_test_unregister(struct bind_driver *d)
{
	vfio_pci_unregister_vendor_driver(&d->driver);
	d->registered = false;
}

static void bind_test_expect(struct kunit *test, const char *events)
{
	struct bind_test *t = test->priv;

	KUNIT_EXPECT_STREQ(test, events, t->events);
	t->events[0] = '\0';
}

/* Do the steps of an open that involve vendor drivers */
static int bind_test_open_device(struct bind_test *t)
{
	int ret = vfio_pci_vendors_attach_late(t->vdev);

	if (ret) {
		vfio_pci_vendors_close(t->vdev);
		return ret;
	}
	ret = vfio_pci_regions_alloc(t->vdev);

	return ret ?: vfio_pci_core_open_vendors(t->vdev);
}

static void bind_test_close_device(struct bind_test *t)
{
	vfio_pci_vendors_close(t->vdev);
	vfio_pci_regions_free(t->vdev);
}

static void bind_test_bind_device(struct kunit *test)
{
	struct bind_test *t = test->priv;

	KUNIT_ASSERT_EQ(test, 0, vfio_pci_vendors_bind(t->vdev));
}

static int bind_test_init(struct kunit *test)
{
	struct bind_test *t;

	t = kunit_kzalloc(test, sizeof(*t), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, t);
	t->vdev = vfio_pci_kunit_device(test, TEST_DEVICE);
	init_completion(&t->closed);
	test->priv = t;

	return 0;
}

static void bind_test_exit(struct kunit *test)
{
	struct bind_test *t = test->priv;
	unsigned int i;

	if (!t || !t->vdev)
		return;
	t->vdev->in_reset = 0;
	if (t->vdev->regions)
		bind_test_close_device(t);
	vfio_pci_vendors_unbind(t->vdev);
	for (i = 0; i < NR_DRIVERS; i++)
		if (t->drivers[i].registered)
			bind_test_unregister(&t->drivers[i]);
}

static void bind_attaches_in_order_and_unbind_in_reverse(struct kunit *test)
{
	struct bind_driver *b = bind_test_add(test, "b", 1);
	struct bind_driver *a = bind_test_add(test, "a", 2);
	struct bind_test *t = test->priv;

	bind_test_register(test, a);
	bind_test_register(test, b);
	bind_test_bind_device(test);
	bind_test_expect(test, "bbba");
	KUNIT_EXPECT_EQ(test, 7UL, a->driver_data);

	/* Open and close keep the drivers attached */
	KUNIT_EXPECT_EQ(test, 0, bind_test_open_device(t));
	bind_test_close_device(t);
	KUNIT_EXPECT_EQ(test, 0, bind_test_open_device(t));
	bind_test_close_device(t);
	bind_test_expect(test, "oboacacboboacacb");

	vfio_pci_vendors_unbind(t->vdev);
	bind_test_expect(test, "uaub");
}

static void bind_failure_detaches_all(struct kunit *test)
{
	struct bind_driver *a = bind_test_add(test, "a", 0);
	struct bind_driver *b = bind_test_add(test, "b", 0);
	struct bind_driver *c = bind_test_add(test, "c", 0);
	struct bind_test *t = test->priv;

	bind_test_register(test, a);
	bind_test_register(test, b);
	bind_test_register(test, c);
	b->bind_ret = -EIO;
	KUNIT_EXPECT_EQ(test, -EIO, vfio_pci_vendors_bind(t->vdev));
	bind_test_expect(test, "babbua");
	b->bind_ret = 1;
	KUNIT_EXPECT_EQ(test, -EIO, vfio_pci_vendors_bind(t->vdev));
	bind_test_expect(test, "babbua");
	KUNIT_EXPECT_TRUE(test, list_empty(&t->vdev->vendors));

	/* After -ENODEV, the core does not call the driver at later opens */
	b->bind_ret = -ENODEV;
	bind_test_bind_device(test);
	bind_test_expect(test, "babbbc");
	KUNIT_EXPECT_EQ(test, 0, bind_test_open_device(t));
	bind_test_close_device(t);
	bind_test_expect(test, "oaocccca");
	/* The core has unpinned the driver */
	bind_test_unregister(b);
}

static void late_driver_takes_part_from_the_next_open(struct kunit *test)
{
	struct bind_driver *a = bind_test_add(test, "a", 0);
	struct bind_driver *b = bind_test_add(test, "b", -1);
	struct bind_test *t = test->priv;

	bind_test_register(test, a);
	bind_test_bind_device(test);
	KUNIT_EXPECT_EQ(test, 0, bind_test_open_device(t));
	bind_test_register(test, b);
	bind_test_close_device(t);
	bind_test_expect(test, "baoaca");

	/* If bind fails, only this open fails */
	b->bind_ret = -EIO;
	KUNIT_EXPECT_EQ(test, -EIO, bind_test_open_device(t));
	bind_test_expect(test, "bb");
	b->bind_ret = 0;
	KUNIT_EXPECT_EQ(test, 0, bind_test_open_device(t));
	bind_test_expect(test, "bboboa");
	bind_test_close_device(t);
	bind_test_expect(test, "cacb");
	KUNIT_EXPECT_EQ(test, 0, bind_test_open_device(t));
	bind_test_close_device(t);
	vfio_pci_vendors_unbind(t->vdev);
	bind_test_expect(test, "oboacacbuaub");
}

static void variant_driver_attaches_its_own(struct kunit *test)
{
	struct bind_driver *a = bind_test_add(test, "a", 0);
	struct bind_driver *b = bind_test_add(test, "b", -1);
	struct bind_driver *c = bind_test_add(test, "c", 1);
	struct bind_test *t = test->priv;

	a->driver.id_table = NULL;
	a->bind_ret = -EIO;
	KUNIT_EXPECT_EQ(test, -EIO,
			vfio_pci_core_attach_vendor(t->vdev, &a->driver));
	a->bind_ret = -ENODEV;
	KUNIT_EXPECT_EQ(test, -ENODEV,
			vfio_pci_core_attach_vendor(t->vdev, &a->driver));
	KUNIT_EXPECT_TRUE(test, list_empty(&t->vdev->vendors));
	a->bind_ret = 0;
	KUNIT_ASSERT_EQ(test, 0,
			vfio_pci_core_attach_vendor(t->vdev, &a->driver));
	bind_test_expect(test, "bababa");

	/* The core attaches registered drivers only if the variant driver asks */
	bind_test_register(test, b);
	bind_test_register(test, c);
	KUNIT_EXPECT_EQ(test, 0, bind_test_open_device(t));
	vfio_pci_vendors_reset_prepare(t->vdev, VFIO_PCI_IN_RESET);
	vfio_pci_vendors_reset_done(t->vdev, VFIO_PCI_IN_RESET);
	bind_test_close_device(t);
	bind_test_expect(test, "oaPaDaca");

	/* Unlike a registered driver, it cannot ignore the device */
	a->open_ret = -ENODEV;
	KUNIT_EXPECT_EQ(test, -ENODEV, bind_test_open_device(t));
	bind_test_close_device(t);
	a->open_ret = 0;
	bind_test_expect(test, "oa");

	bind_test_bind_device(test);
	KUNIT_EXPECT_EQ(test, 0, bind_test_open_device(t));
	bind_test_close_device(t);
	bind_test_expect(test, "bbbcoboaoccccacb");
	vfio_pci_vendors_unbind(t->vdev);
	bind_test_expect(test, "ucuaub");
}

static int bind_test_unregister_thread(void *data)
{
	struct bind_driver *d = data;

	bind_test_unregister(d);
	complete(&d->t->closed);

	return 0;
}

static void attached_driver_is_pinned_until_unbind(struct kunit *test)
{
	struct bind_driver *a = bind_test_add(test, "a", 0);
	struct bind_test *t = test->priv;
	struct task_struct *task;

	bind_test_register(test, a);
	bind_test_bind_device(test);
	task = kthread_run(bind_test_unregister_thread, a, "unregister");
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, task);
	msleep(100);
	KUNIT_EXPECT_FALSE(test, completion_done(&t->closed));

	/* The driver still opens the device */
	KUNIT_EXPECT_EQ(test, 0, bind_test_open_device(t));
	bind_test_close_device(t);
	bind_test_expect(test, "baoaca");
	KUNIT_EXPECT_FALSE(test, completion_done(&t->closed));

	vfio_pci_vendors_unbind(t->vdev);
	wait_for_completion(&t->closed);
	bind_test_expect(test, "ua");
}

static void reset_is_reported_while_closed(struct kunit *test)
{
	struct bind_driver *a = bind_test_add(test, "a", 0);
	struct bind_driver *b = bind_test_add(test, "b", 0);
	struct bind_test *t = test->priv;

	bind_test_register(test, a);
	bind_test_register(test, b);
	bind_test_bind_device(test);
	t->events[0] = '\0';

	vfio_pci_vendors_reset_prepare(t->vdev, VFIO_PCI_IN_RESET);
	vfio_pci_vendors_reset_done(t->vdev, VFIO_PCI_IN_RESET);
	bind_test_expect(test, "pbpadadb");

	KUNIT_EXPECT_EQ(test, 0, bind_test_open_device(t));
	t->events[0] = '\0';
	/* Overlapping sources count as one reset */
	vfio_pci_vendors_reset_prepare(t->vdev, VFIO_PCI_IN_RECOVERY);
	vfio_pci_vendors_reset_prepare(t->vdev, VFIO_PCI_IN_RESET);
	vfio_pci_vendors_reset_done(t->vdev, VFIO_PCI_IN_RESET);
	bind_test_expect(test, "PbPa");
	vfio_pci_vendors_reset_done(t->vdev, VFIO_PCI_IN_RECOVERY);
	bind_test_expect(test, "DaDb");
	/* The core ignores an end without a start */
	vfio_pci_vendors_reset_done(t->vdev, VFIO_PCI_IN_RECOVERY);
	bind_test_expect(test, "");
}

static void reset_during_open_fails_the_open(struct kunit *test)
{
	struct bind_driver *a = bind_test_add(test, "a", 0);
	struct bind_test *t = test->priv;

	bind_test_register(test, a);
	bind_test_bind_device(test);
	t->events[0] = '\0';

	a->reset_in_open = true;
	a->done_in_open = true;
	KUNIT_EXPECT_EQ(test, -EAGAIN, bind_test_open_device(t));
	bind_test_close_device(t);
	bind_test_expect(test, "oaca");

	/* The reset ends after the open has failed */
	a->done_in_open = false;
	KUNIT_EXPECT_EQ(test, -EAGAIN, bind_test_open_device(t));
	vfio_pci_vendors_reset_done(t->vdev, VFIO_PCI_IN_RESET);
	bind_test_close_device(t);
	bind_test_expect(test, "oaca");
	/* During recovery, an open fails before the core calls the driver */
	vfio_pci_vendors_reset_prepare(t->vdev, VFIO_PCI_IN_RECOVERY);
	bind_test_expect(test, "pa");
	KUNIT_EXPECT_EQ(test, -EAGAIN, bind_test_open_device(t));
	bind_test_close_device(t);
	bind_test_expect(test, "");
	vfio_pci_vendors_reset_done(t->vdev, VFIO_PCI_IN_RECOVERY);
	bind_test_expect(test, "da");

	a->reset_in_open = false;
	KUNIT_EXPECT_EQ(test, 0, bind_test_open_device(t));
	bind_test_close_device(t);

	/* A driver may reset the device in its open callback */
	a->own_reset = true;
	KUNIT_EXPECT_EQ(test, 0, bind_test_open_device(t));
}

static void bind_test_release(const struct vfio_pci_vendor_driver *driver)
{
	struct bind_driver *d = container_of(driver, struct bind_driver, driver);
	size_t len = strlen(d->t->events);

	snprintf(d->t->events + len, sizeof(d->t->events) - len, "r%s",
		 driver->name);
}

static void bind_test_register_bpf(struct kunit *test, struct bind_driver *d)
{
	int ret = vfio_pci_register_bpf_driver(&d->driver, THIS_MODULE,
					       bind_test_release);

	KUNIT_ASSERT_EQ(test, 0, ret);
}

static void bpf_driver_is_attached_while_open(struct kunit *test)
{
	struct bind_driver *a = bind_test_add(test, "a", 0);
	struct bind_driver *b = bind_test_add(test, "b", 1);
	struct bind_test *t = test->priv;

	b->driver.bind = NULL;
	b->driver.unbind = NULL;
	bind_test_register(test, a);
	bind_test_register_bpf(test, b);
	bind_test_bind_device(test);
	bind_test_expect(test, "ba");
	KUNIT_EXPECT_EQ(test, 0, bind_test_open_device(t));
	bind_test_close_device(t);
	KUNIT_EXPECT_EQ(test, 0, bind_test_open_device(t));
	bind_test_expect(test, "oaobcbcaoaob");

	/* An open device keeps the driver */
	vfio_pci_unregister_bpf_driver(&b->driver);
	bind_test_expect(test, "");
	bind_test_close_device(t);
	bind_test_expect(test, "cbcarb");
	KUNIT_EXPECT_EQ(test, 0, bind_test_open_device(t));
	bind_test_close_device(t);
	bind_test_expect(test, "oaca");

	/* A closed device does not */
	bind_test_register_bpf(test, b);
	vfio_pci_unregister_bpf_driver(&b->driver);
	bind_test_expect(test, "rb");
	bind_test_register_bpf(test, b);
	KUNIT_EXPECT_EQ(test, 0, bind_test_open_device(t));
	bind_test_close_device(t);
	bind_test_expect(test, "oaobcbca");
	vfio_pci_unregister_bpf_driver(&b->driver);
	bind_test_expect(test, "rb");
}

static void bpf_driver_does_not_repeat_the_bind_of_others(struct kunit *test)
{
	struct bind_driver *a = bind_test_add(test, "a", 0);
	struct bind_driver *b = bind_test_add(test, "b", 1);
	struct bind_test *t = test->priv;

	b->driver.bind = NULL;
	b->driver.unbind = NULL;
	bind_test_register_bpf(test, b);
	a->bind_ret = -ENODEV;
	bind_test_register(test, a);
	bind_test_bind_device(test);
	KUNIT_EXPECT_EQ(test, 0, bind_test_open_device(t));
	bind_test_close_device(t);
	KUNIT_EXPECT_EQ(test, 0, bind_test_open_device(t));
	bind_test_close_device(t);
	bind_test_expect(test, "baobcbobcb");
	vfio_pci_unregister_bpf_driver(&b->driver);
	bind_test_expect(test, "rb");
}

static void bpf_driver_is_detached_if_the_open_fails(struct kunit *test)
{
	struct bind_driver *a = bind_test_add(test, "a", 0);
	struct bind_driver *b = bind_test_add(test, "b", -1);
	struct bind_test *t = test->priv;

	b->driver.bind = NULL;
	b->driver.unbind = NULL;
	bind_test_bind_device(test);
	bind_test_register(test, a);
	bind_test_register_bpf(test, b);
	/* Fail before and in the open callbacks */
	a->bind_ret = -EIO;
	KUNIT_EXPECT_EQ(test, -EIO, bind_test_open_device(t));
	a->bind_ret = 0;
	a->open_ret = -EIO;
	KUNIT_EXPECT_EQ(test, -EIO, bind_test_open_device(t));
	bind_test_close_device(t);
	bind_test_expect(test, "babaoboacb");
	vfio_pci_unregister_bpf_driver(&b->driver);
	bind_test_expect(test, "rb");
}

static int bind_test_close_thread(void *data)
{
	struct bind_test *t = data;

	vfio_pci_vendors_close(t->vdev);
	complete(&t->closed);

	return 0;
}

static void close_waits_for_the_end_of_a_reset(struct kunit *test)
{
	struct bind_driver *a = bind_test_add(test, "a", 0);
	struct bind_test *t = test->priv;
	struct task_struct *task;

	bind_test_register(test, a);
	bind_test_bind_device(test);
	KUNIT_EXPECT_EQ(test, 0, bind_test_open_device(t));
	t->events[0] = '\0';

	vfio_pci_vendors_reset_prepare(t->vdev, VFIO_PCI_IN_RESET);
	task = kthread_run(bind_test_close_thread, t, "close");
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, task);
	msleep(100);
	bind_test_expect(test, "Pa");
	vfio_pci_vendors_reset_done(t->vdev, VFIO_PCI_IN_RESET);
	wait_for_completion(&t->closed);
	bind_test_expect(test, "Daca");
}

static void close_ends_a_recovery_early(struct kunit *test)
{
	struct bind_driver *a = bind_test_add(test, "a", 0);
	struct bind_test *t = test->priv;

	bind_test_register(test, a);
	bind_test_bind_device(test);
	KUNIT_EXPECT_EQ(test, 0, bind_test_open_device(t));
	t->events[0] = '\0';

	vfio_pci_vendors_reset_prepare(t->vdev, VFIO_PCI_IN_RECOVERY);
	bind_test_close_device(t);
	bind_test_expect(test, "PaDaca");
	vfio_pci_vendors_reset_done(t->vdev, VFIO_PCI_IN_RECOVERY);
	bind_test_expect(test, "");

	/* Unbind also ends a recovery early */
	vfio_pci_vendors_reset_prepare(t->vdev, VFIO_PCI_IN_RECOVERY);
	vfio_pci_vendors_unbind(t->vdev);
	bind_test_expect(test, "padaua");
}

static struct kunit_case bind_test_cases[] = {
	KUNIT_CASE(bind_attaches_in_order_and_unbind_in_reverse),
	KUNIT_CASE(bind_failure_detaches_all),
	KUNIT_CASE(late_driver_takes_part_from_the_next_open),
	KUNIT_CASE(variant_driver_attaches_its_own),
	KUNIT_CASE_SLOW(attached_driver_is_pinned_until_unbind),
	KUNIT_CASE(reset_is_reported_while_closed),
	KUNIT_CASE(reset_during_open_fails_the_open),
	KUNIT_CASE(bpf_driver_is_attached_while_open),
	KUNIT_CASE(bpf_driver_does_not_repeat_the_bind_of_others),
	KUNIT_CASE(bpf_driver_is_detached_if_the_open_fails),
	KUNIT_CASE_SLOW(close_waits_for_the_end_of_a_reset),
	KUNIT_CASE(close_ends_a_recovery_early),
	{}
};

static struct kunit_suite bind_test_suite = {
	.name		= "vfio_pci_vendor_bind",
	.init		= bind_test_init,
	.exit		= bind_test_exit,
	.test_cases	= bind_test_cases,
};

kunit_test_suite(bind_test_suite);

MODULE_IMPORT_NS("EXPORTED_FOR_KUNIT_TESTING");
MODULE_DESCRIPTION("KUnit tests of vfio-pci vendor drivers at bind and reset");
MODULE_LICENSE("GPL");
