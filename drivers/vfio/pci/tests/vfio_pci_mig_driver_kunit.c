// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests of vendor drivers that migrate vfio-pci devices
 */

#include <kunit/test.h>
#include <linux/bitops.h>
#include <linux/interval_tree.h>
#include <linux/iova_bitmap.h>
#include <linux/mman.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/uaccess.h>
#include <linux/vfio.h>
#include <linux/vfio_pci_core.h>

#include "vfio_pci_mig_device_kunit.h"

static void test_first_protocol_excludes_the_other(struct kunit *test)
{
	struct mig_device *t = test->priv;

	mig_start(test, false, false);
	KUNIT_EXPECT_EQ(test, 0, vfio_pci_mig_claim(t->mig,
						    VFIO_PCI_MIG_BY_REGION));
	KUNIT_EXPECT_EQ(test, -EBUSY,
			vfio_pci_mig_claim(t->mig, VFIO_PCI_MIG_BY_FEATURE));
	vfio_pci_mig_reset_done(t->mig);
	KUNIT_EXPECT_EQ(test, 0, vfio_pci_mig_claim(t->mig,
						    VFIO_PCI_MIG_BY_REGION));
	KUNIT_EXPECT_EQ(test, -EBUSY,
			vfio_pci_mig_claim(t->mig, VFIO_PCI_MIG_BY_FEATURE));

	/* The next open allows either protocol again */
	mig_start(test, false, false);
	KUNIT_EXPECT_EQ(test, 0, vfio_pci_mig_claim(t->mig,
						    VFIO_PCI_MIG_BY_FEATURE));
	KUNIT_EXPECT_EQ(test, -EBUSY,
			vfio_pci_mig_claim(t->mig, VFIO_PCI_MIG_BY_REGION));
}

/* Logging continues in any state and across a reset */
static void test_logging_continues_across_a_reset(struct kunit *test)
{
	struct interval_tree_node node = {
		.start = PAGE_SIZE, .last = 2 * PAGE_SIZE - 1,
	};
	struct rb_root_cached root = RB_ROOT_CACHED;
	const struct vfio_log_ops *ops;
	struct mig_device *t = test->priv;
	struct vfio_device *vdev;
	u64 page_size = SZ_64K;

	if (!IS_ENABLED(CONFIG_IOMMUFD_DRIVER))
		kunit_skip(test, "no CONFIG_IOMMUFD_DRIVER");

	interval_tree_insert(&node, &root);
	mig_start(test, true, true);
	vdev = &t->vdev->vdev;
	ops = vdev->log_ops;
	KUNIT_ASSERT_NOT_NULL(test, ops);
	mig_fake_forget(t->fake);

	KUNIT_EXPECT_EQ(test, 0, ops->log_start(vdev, &root, 1, &page_size));
	KUNIT_EXPECT_EQ(test, PAGE_SIZE, page_size);
	KUNIT_EXPECT_EQ(test, SZ_64K, t->fake->log_page_size);
	KUNIT_EXPECT_EQ(test, 1, t->fake->log_nr_ranges);
	KUNIT_EXPECT_EQ(test, PAGE_SIZE, t->fake->log_first);
	KUNIT_EXPECT_EQ(test, -EBUSY,
			ops->log_start(vdev, &root, 1, &page_size));
	t->fake->log.restart = NULL;
	vfio_pci_mig_reset_done(t->mig);
	KUNIT_EXPECT_EQ(test, 0, ops->log_read_and_clear(vdev, PAGE_SIZE,
							 PAGE_SIZE, NULL));
	/* A length of 0 is invalid */
	KUNIT_EXPECT_EQ(test, -EINVAL, ops->log_read_and_clear(vdev, 0, 0,
							       NULL));
	KUNIT_EXPECT_EQ(test, 0, ops->log_stop(vdev));
	KUNIT_EXPECT_EQ(test, 0, ops->log_stop(vdev));
	KUNIT_EXPECT_STREQ(test, "lym", t->fake->events);
	KUNIT_EXPECT_EQ(test, -EINVAL, ops->log_read_and_clear(vdev, 0,
							       PAGE_SIZE, NULL));

	mig_fake_forget(t->fake);
	t->fake->fails = 'l';
	t->fake->fail_ret = -ENOSPC;
	KUNIT_EXPECT_EQ(test, -ENOSPC,
			ops->log_start(vdev, &root, 1, &page_size));
	t->fake->fails = 'y';
	KUNIT_EXPECT_EQ(test, 0, ops->log_start(vdev, &root, 1, &page_size));
	KUNIT_EXPECT_EQ(test, -ENOSPC,
			ops->log_read_and_clear(vdev, 0, PAGE_SIZE, NULL));
	page_size = 3 * PAGE_SIZE;
	KUNIT_EXPECT_EQ(test, -EINVAL,
			ops->log_start(vdev, &root, 1, &page_size));

	/* Closing the device stops logging */
	mig_fake_forget(t->fake);
	vfio_pci_vendors_close(t->vdev);
	KUNIT_EXPECT_STREQ(test, "m-", t->fake->events);
	KUNIT_EXPECT_EQ(test, -ENODEV,
			ops->log_start(vdev, &root, 1, &page_size));
	KUNIT_EXPECT_EQ(test, -ENODEV, ops->log_stop(vdev));
	KUNIT_EXPECT_EQ(test, -ENODEV,
			ops->log_read_and_clear(vdev, 0, PAGE_SIZE, NULL));
}

/* A device that stops logging at a reset */
static void test_log_restarts_after_a_reset(struct kunit *test)
{
	struct interval_tree_node node = { .start = 0, .last = 4 * PAGE_SIZE - 1 };
	struct rb_root_cached root = RB_ROOT_CACHED;
	struct mig_device *t = test->priv;
	const struct vfio_log_ops *ops;
	struct iova_bitmap *bitmap;
	struct vfio_device *vdev;
	u64 page_size = PAGE_SIZE;
	unsigned long addr;
	u8 bits = 0;

	if (!IS_ENABLED(CONFIG_IOMMUFD_DRIVER))
		kunit_skip(test, "no CONFIG_IOMMUFD_DRIVER");

	addr = kunit_vm_mmap(test, NULL, 0, PAGE_SIZE, PROT_READ | PROT_WRITE,
			     MAP_ANONYMOUS | MAP_PRIVATE, 0);
	KUNIT_ASSERT_FALSE(test, IS_ERR_VALUE(addr));
	interval_tree_insert(&node, &root);
	mig_start(test, true, true);
	vdev = &t->vdev->vdev;
	ops = vdev->log_ops;
	/* A reset before the start has no effect */
	vfio_pci_mig_reset_done(t->mig);
	mig_fake_forget(t->fake);
	KUNIT_EXPECT_EQ(test, 0, ops->log_start(vdev, &root, 1, &page_size));
	KUNIT_EXPECT_EQ(test, 0, ops->log_read_and_clear(vdev, 0, PAGE_SIZE,
							 NULL));
	KUNIT_EXPECT_STREQ(test, "ly", t->fake->events);

	/* If the restart fails, the report fails, and the next one tries again */
	vfio_pci_mig_reset_done(t->mig);
	mig_fake_forget(t->fake);
	t->fake->fails = 'L';
	t->fake->fail_ret = -EIO;
	KUNIT_EXPECT_EQ(test, -EIO, ops->log_read_and_clear(vdev, 0, PAGE_SIZE,
							    NULL));
	t->fake->fails = 0;
	bitmap = iova_bitmap_alloc(0, 8 * PAGE_SIZE, PAGE_SIZE,
				   (u64 __user *)addr);
	KUNIT_ASSERT_FALSE(test, IS_ERR_OR_NULL(bitmap));
	KUNIT_EXPECT_EQ(test, 0, ops->log_read_and_clear(vdev, 0, 8 * PAGE_SIZE,
							 bitmap));
	iova_bitmap_free(bitmap);
	KUNIT_EXPECT_STREQ(test, "LLy", t->fake->events);
	KUNIT_EXPECT_EQ(test, 0, copy_from_user(&bits, (void __user *)addr, 1));
	KUNIT_EXPECT_EQ(test, 0xf, bits);

	/* Once */
	KUNIT_EXPECT_EQ(test, 0, ops->log_read_and_clear(vdev, 0, 8 * PAGE_SIZE,
							 NULL));
	KUNIT_EXPECT_STREQ(test, "LLyy", t->fake->events);
}

#define OP(name)	offsetof(struct mig_fake, name)

/* Required and optional operations */
static void test_incomplete_operations_are_refused(struct kunit *test)
{
	static const struct {
		int ret;
		/* Offset of the missing operation */
		size_t without;
	} cases[] = {
		{ -EINVAL, OP(ops.stop) },
		{ -EINVAL, OP(ops.run) },
		{ -EINVAL, OP(ops.size) },
		{ -EINVAL, OP(ops.save) },
		{ -EINVAL, OP(ops.load) },
		{ -EINVAL, OP(ops.load_done) },
		{ 0, OP(ops.abilities) },
		{ 0, OP(ops.quiesce) },
		{ 0, OP(ops.begin) },
		{ 0, OP(ops.end) },
		{ -EINVAL, OP(ops.reset) },
		{ 0, OP(ops.precopy) },
		{ 0, OP(ops.log) },
		{ -EINVAL, OP(precopy.pending) },
		{ -EINVAL, OP(precopy.save) },
		{ -EINVAL, OP(precopy.load) },
		{ -EINVAL, OP(log.start) },
		{ 0, OP(log.stop) },
		{ -EINVAL, OP(log.sync) },
		{ 0, OP(log.restart) },
	};
	struct mig_device *t = test->priv;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		mig_fake_reset_ops(t->fake);
		memset((void *)t->fake + cases[i].without, 0, sizeof(void *));
		KUNIT_EXPECT_EQ_MSG(test, cases[i].ret, mig_register(t, 0),
				    "%u", i);
		mig_unregister(t, 0);
	}

	/* Only the end of a session needs reset */
	mig_fake_reset_ops(t->fake);
	t->fake->ops.end = NULL;
	t->fake->ops.reset = NULL;
	KUNIT_EXPECT_EQ(test, 0, mig_register(t, 0));
	mig_unregister(t, 0);

	mig_fake_reset_ops(t->fake);
	t->fake->ops.min_version = t->fake->ops.version + 1;
	KUNIT_EXPECT_EQ(test, -EINVAL, mig_register(t, 0));
	t->fake->ops.min_version = t->fake->ops.version;
	KUNIT_EXPECT_EQ(test, 0, mig_register(t, 0));
	mig_unregister(t, 0);

	/* The name must fit into the stream header */
	t->fake->driver.name = "a_name_that_is_33_characters_long";
	KUNIT_EXPECT_EQ(test, -EINVAL, mig_register(t, 0));
	t->fake->driver.name++;
	KUNIT_EXPECT_EQ(test, 0, mig_register(t, 0));
	mig_unregister(t, 0);
	t->fake->driver.name--;
	t->fake->driver.migration = NULL;
	KUNIT_EXPECT_EQ(test, 0, mig_register(t, 0));
}

/* A device has the abilities that it reports and the driver has operations for */
static void test_devices_have_their_own_abilities(struct kunit *test)
{
	const u32 all = VFIO_MIGRATION_STOP_COPY | VFIO_MIGRATION_P2P |
			VFIO_MIGRATION_PRE_COPY;
	static const struct {
		u32 reported, advertised;
		bool log;
	} cases[] = {
		{ 0, 0, false },
		{ U32_MAX, VFIO_MIGRATION_STOP_COPY | VFIO_MIGRATION_P2P |
			   VFIO_MIGRATION_PRE_COPY, true },
		{ VFIO_MIGRATION_STOP_COPY, VFIO_MIGRATION_STOP_COPY, false },
		{ VFIO_MIGRATION_STOP_COPY | VFIO_MIGRATION_P2P,
		  VFIO_MIGRATION_STOP_COPY | VFIO_MIGRATION_P2P, false },
		{ VFIO_MIGRATION_STOP_COPY | VFIO_MIGRATION_PRE_COPY,
		  VFIO_MIGRATION_STOP_COPY | VFIO_MIGRATION_PRE_COPY, false },
		{ VFIO_MIGRATION_STOP_COPY | VFIO_PCI_MIGRATION_LOG,
		  VFIO_MIGRATION_STOP_COPY, true },
		/* STOP_COPY is the minimum */
		{ VFIO_MIGRATION_P2P | VFIO_MIGRATION_PRE_COPY |
		  VFIO_PCI_MIGRATION_LOG, 0, false },
	};
	struct mig_device *t = test->priv;
	unsigned int i;

	KUNIT_ASSERT_EQ(test, 0, mig_register(t, 0));
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		t->fake->abilities = cases[i].reported;
		mig_bind(test);
		KUNIT_EXPECT_EQ_MSG(test, cases[i].advertised,
				    t->vdev->vdev.migration_flags, "%u", i);
		KUNIT_EXPECT_EQ_MSG(test, !!cases[i].advertised,
				    !!t->vdev->vdev.mig_ops, "%u", i);
		KUNIT_EXPECT_EQ_MSG(test, cases[i].log &&
				    IS_ENABLED(CONFIG_IOMMUFD_DRIVER),
				    !!t->vdev->vdev.log_ops, "%u", i);
		mig_open(test);
		KUNIT_EXPECT_EQ_MSG(test, !!cases[i].advertised, !!t->mig,
				    "%u", i);
	}

	/* The driver has no operations for the reported abilities */
	mig_close(t);
	t->fake->ops.quiesce = NULL;
	t->fake->ops.precopy = NULL;
	t->fake->ops.log = NULL;
	t->fake->abilities = all | VFIO_PCI_MIGRATION_LOG;
	mig_bind(test);
	KUNIT_EXPECT_EQ(test, VFIO_MIGRATION_STOP_COPY,
			t->vdev->vdev.migration_flags);
	KUNIT_EXPECT_NULL(test, t->vdev->vdev.log_ops);

	/* Without the operation, it can do everything that the driver can */
	mig_fake_reset_ops(t->fake);
	t->fake->ops.abilities = NULL;
	mig_bind(test);
	KUNIT_EXPECT_EQ(test, all, t->vdev->vdev.migration_flags);

	/* A driver that cannot migrate this device leaves it to another one */
	KUNIT_ASSERT_EQ(test, 0, mig_register(t, 1));
	t->fakes[1]->abilities = 0;
	mig_bind(test);
	mig_open(test);
	KUNIT_ASSERT_NOT_NULL(test, t->mig);
	KUNIT_EXPECT_PTR_EQ(test, &t->fake->ops, t->mig->ops);
}

static void test_restore_fake(struct mig_fake *f, bool p2p)
{
	mig_fake_reset_ops(f);
	if (!p2p)
		f->ops.quiesce = NULL;
	memset(f->events, 0, sizeof(f->events));
}

/* The last driver to open that can migrate the device migrates it */
static void test_last_capable_driver_migrates(struct kunit *test)
{
	struct mig_device *t = test->priv;
	struct mig_fake **f = t->fakes;
	unsigned int i;

	/* Same priority: drivers open in order of name, not of registration */
	for (i = MIG_DRIVERS; i-- > 0;)
		KUNIT_ASSERT_EQ(test, 0, mig_register(t, i));

	mig_bind(test);
	mig_open(test);
	KUNIT_ASSERT_NOT_NULL(test, t->mig);
	KUNIT_EXPECT_PTR_EQ(test, &f[2]->ops,
			    t->mig->ops);

	/* The first driver now has the highest priority, so it opens last */
	mig_close(t);
	mig_unregister(t, 0);
	f[0]->driver.priority = 1;
	KUNIT_ASSERT_EQ(test, 0, mig_register(t, 0));
	test_restore_fake(f[0], false);
	mig_bind(test);
	mig_open(test);
	KUNIT_ASSERT_NOT_NULL(test, t->mig);
	KUNIT_EXPECT_PTR_EQ(test, &f[0]->ops,
			    t->mig->ops);
	KUNIT_EXPECT_EQ(test, VFIO_MIGRATION_STOP_COPY | VFIO_MIGRATION_PRE_COPY,
			t->vdev->vdev.migration_flags);
	KUNIT_EXPECT_EQ(test, 0, mig_set(t, VFIO_DEVICE_STATE_STOP));
	KUNIT_EXPECT_STREQ(test, "+s", f[0]->events);

	/* The core ignores a driver without migration operations */
	mig_close(t);
	f[0]->driver.migration = NULL;
	mig_bind(test);
	mig_open(test);
	KUNIT_ASSERT_NOT_NULL(test, t->mig);
	KUNIT_EXPECT_PTR_EQ(test, &f[2]->ops,
			    t->mig->ops);

	/* The abilities at open and at bind must be the same */
	mig_close(t);
	f[0]->driver.migration = &f[0]->ops;
	mig_open(test);
	KUNIT_EXPECT_NULL(test, t->mig);
	mig_close(t);
	test_restore_fake(f[0], true);
	mig_open(test);
	KUNIT_ASSERT_NOT_NULL(test, t->mig);
	KUNIT_EXPECT_PTR_EQ(test, &f[0]->ops,
			    t->mig->ops);

	/* If a driver declines the device, the previous one migrates it */
	mig_close(t);
	f[0]->fails = '+';
	f[0]->fail_ret = -ENODEV;
	mig_open(test);
	KUNIT_ASSERT_NOT_NULL(test, t->mig);
	KUNIT_EXPECT_PTR_EQ(test, &f[2]->ops,
			    t->mig->ops);

	/* Without a driver, the device opens but cannot migrate */
	mig_close(t);
	for (i = 0; i < MIG_DRIVERS; i++)
		mig_unregister(t, i);
	mig_open(test);
	KUNIT_EXPECT_NULL(test, t->mig);
	KUNIT_EXPECT_NULL(test, vfio_pci_mig_get(&t->vdev->vdev));

	/* A driver that registers after the bind cannot migrate, either */
	mig_bind(test);
	KUNIT_EXPECT_NULL(test, t->vdev->vdev.mig_ops);
	KUNIT_EXPECT_EQ(test, 0, t->vdev->vdev.migration_flags);
	KUNIT_ASSERT_EQ(test, 0, mig_register(t, 1));
	mig_open(test);
	KUNIT_EXPECT_NULL(test, t->mig);
}

/* The core does not replace the migration operations of a variant driver */
static void test_variant_driver_keeps_its_operations(struct kunit *test)
{
	static const struct vfio_migration_ops own_ops;
	struct mig_device *t = test->priv;

	KUNIT_ASSERT_EQ(test, 0, mig_register(t, 0));
	t->vdev = vfio_pci_kunit_device(test, MIG_DEVICE);
	t->vdev->vdev.mig_ops = &own_ops;
	t->vdev->vdev.migration_flags = VFIO_MIGRATION_STOP_COPY;
	KUNIT_EXPECT_EQ(test, 0, vfio_pci_vendors_bind(t->vdev));
	KUNIT_EXPECT_PTR_EQ(test, &own_ops,
			    t->vdev->vdev.mig_ops);
	KUNIT_EXPECT_EQ(test, VFIO_MIGRATION_STOP_COPY,
			t->vdev->vdev.migration_flags);
	KUNIT_EXPECT_NULL(test, t->vdev->vdev.log_ops);
	mig_open(test);
	KUNIT_EXPECT_NULL(test, t->mig);
}

static void test_region_release(struct vfio_pci_region *region)
{
	mig_fake_event(region->dev, '~');
}

static const struct vfio_pci_regops test_region_ops = {
	.release	= test_region_release,
};

static int test_open_region(struct vfio_pci_vendor_device *dev)
{
	const struct vfio_pci_region_desc desc = {
		.ops	= &test_region_ops,
		.size	= 16,
		.type	= 7,
	};

	return PTR_ERR_OR_ZERO(vfio_pci_vendor_add_region(dev, &desc));
}

/* The migration region is the last one, and close removes all regions */
static void test_migration_region_is_the_last(struct kunit *test)
{
	struct vfio_pci_core_region *region;
	struct mig_device *t = test->priv;
	struct mig_fake **f = t->fakes;
	unsigned int i, migrates, has, index;

	if (!IS_ENABLED(CONFIG_VFIO_PCI_MIGRATION_V1))
		kunit_skip(test, "CONFIG_VFIO_PCI_MIGRATION_V1 is not set");

	for (i = 0; i < MIG_DRIVERS; i++)
		KUNIT_ASSERT_EQ(test, 0, mig_register(t, i));

	/*
	 * Each driver that can migrate, with each set of drivers that add a
	 * region
	 */
	for (migrates = 0; migrates < MIG_DRIVERS; migrates++) {
		for (has = 0; has < BIT(MIG_DRIVERS); has++) {
			for (i = 0; i < MIG_DRIVERS; i++) {
				test_restore_fake(f[i], true);
				f[i]->driver.migration =
					i == migrates ? &f[i]->ops : NULL;
				f[i]->driver.open = has & BIT(i) ?
					test_open_region : mig_fake_open;
			}
			mig_bind(test);
			mig_open(test);
			KUNIT_ASSERT_NOT_NULL(test, t->mig);
			index = VFIO_PCI_NUM_REGIONS + hweight32(has);
			region = vfio_pci_region_get(t->vdev, index);
			KUNIT_ASSERT_NOT_NULL(test, region);
			KUNIT_EXPECT_EQ(test, index + 1, t->vdev->num_regions);
			KUNIT_EXPECT_PTR_EQ(test, (void *)t->mig,
					    region->region.data);
			KUNIT_EXPECT_PTR_EQ(test, t->mig->dev,
					    region->region.dev);
			KUNIT_EXPECT_EQ(test,
					VFIO_REGION_TYPE_MIGRATION_DEPRECATED,
					region->region.type);
			KUNIT_EXPECT_EQ(test, PAGE_SIZE + VFIO_PCI_MIG_WINDOW,
					region->region.size);

			vfio_pci_vendors_close(t->vdev);
			KUNIT_EXPECT_NULL(test, t->vdev->migration);
			for (i = 0; i < MIG_DRIVERS; i++)
				KUNIT_EXPECT_STREQ(test, has & BIT(i) ?
						   "~-" : "+-", f[i]->events);
			KUNIT_EXPECT_EQ_MSG(test, VFIO_PCI_NUM_REGIONS,
					    t->vdev->num_regions,
					    "driver %u migrates, drivers %#x add regions",
					    migrates, has);
			/* Do not free the removed regions again */
			t->vdev->num_regions = VFIO_PCI_NUM_REGIONS;
			vfio_pci_regions_free(t->vdev);
		}
	}
}

static struct kunit_case driver_test_cases[] = {
	KUNIT_CASE(test_first_protocol_excludes_the_other),
	KUNIT_CASE(test_logging_continues_across_a_reset),
	KUNIT_CASE(test_log_restarts_after_a_reset),
	KUNIT_CASE(test_incomplete_operations_are_refused),
	KUNIT_CASE(test_devices_have_their_own_abilities),
	KUNIT_CASE(test_last_capable_driver_migrates),
	KUNIT_CASE(test_variant_driver_keeps_its_operations),
	KUNIT_CASE(test_migration_region_is_the_last),
	{}
};

static struct kunit_suite driver_test_suite = {
	.name		= "vfio-pci-mig-driver",
	.init		= mig_device_init,
	.exit		= mig_device_exit,
	.test_cases	= driver_test_cases,
};

kunit_test_suite(driver_test_suite);

MODULE_IMPORT_NS("EXPORTED_FOR_KUNIT_TESTING");
MODULE_IMPORT_NS("IOMMUFD");
MODULE_DESCRIPTION("KUnit tests of vendor drivers that migrate vfio-pci devices");
MODULE_LICENSE("GPL");
