// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests of the vfio-pci region table
 */

#include <kunit/test.h>
#include <linux/module.h>
#include <linux/vfio_pci_core.h>

#include "../vfio_pci_priv.h"

/* Enough regions to reallocate the table several times */
#define NR_ADDED	40

struct region_test {
	struct vfio_pci_core_device *vdev;
	unsigned int released[NR_ADDED];
	unsigned int nr_released;
};

static void test_release(struct vfio_pci_region *region)
{
	struct region_test *t = region->data;

	t->released[t->nr_released++] = region->index;
}

static const struct vfio_pci_regops test_ops = {
	.release	= test_release,
};

static const struct vfio_pci_regops test_no_release_ops = {};

static int region_test_init(struct kunit *test)
{
	struct region_test *t;

	t = kunit_kzalloc(test, sizeof(*t), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, t);
	t->vdev = kunit_kzalloc(test, sizeof(*t->vdev), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, t->vdev);
	test->priv = t;

	return 0;
}

static void region_test_exit(struct kunit *test)
{
	struct region_test *t = test->priv;

	if (t && t->vdev)
		vfio_pci_regions_free(t->vdev);
}

static int test_add(struct region_test *t, unsigned int subtype)
{
	return vfio_pci_core_register_dev_region(t->vdev, 7, subtype, &test_ops,
						 100 + subtype,
						 VFIO_REGION_INFO_FLAG_READ, t);
}

static void test_region_get_checks_the_index(struct kunit *test)
{
	struct region_test *t = test->priv;
	struct vfio_region_info info = {};
	struct vfio_pci_core_region *region;
	unsigned int i;

	KUNIT_EXPECT_NULL(test, vfio_pci_region_get(t->vdev, 0));

	KUNIT_ASSERT_EQ(test, 0, vfio_pci_regions_alloc(t->vdev));
	for (i = 0; i < VFIO_PCI_NUM_REGIONS; i++) {
		region = vfio_pci_region_get(t->vdev, i);
		KUNIT_ASSERT_NOT_NULL(test, region);
		KUNIT_EXPECT_EQ(test, i, region->region.index);
		KUNIT_EXPECT_PTR_EQ(test, t->vdev, region->vdev);
		/* Absent until vfio_pci_regions_fill() */
		KUNIT_EXPECT_NULL(test, region->user.read);
		KUNIT_EXPECT_NULL(test, region->user.write);
		KUNIT_EXPECT_NULL(test, region->ops.read);
		KUNIT_EXPECT_NULL(test, region->ops.write);
		KUNIT_EXPECT_NULL(test, region->ops.mmap);
		KUNIT_EXPECT_EQ(test, -EINVAL,
				vfio_pci_region_get_info(region, &info, NULL));
	}
	KUNIT_EXPECT_NULL(test, vfio_pci_region_get(t->vdev, i));
	KUNIT_EXPECT_NULL(test, vfio_pci_region_get(t->vdev, 0xffffff));
	KUNIT_EXPECT_NULL(test, vfio_pci_region_get(t->vdev, UINT_MAX));

	vfio_pci_regions_free(t->vdev);
	KUNIT_EXPECT_NULL(test, vfio_pci_region_get(t->vdev, 0));
}

static void test_added_regions_have_consecutive_indexes(struct kunit *test)
{
	struct region_test *t = test->priv;
	struct vfio_pci_core_region *region, *first, *config;
	unsigned int i;

	KUNIT_EXPECT_EQ(test, -EINVAL, test_add(t, 0));

	KUNIT_ASSERT_EQ(test, 0, vfio_pci_regions_alloc(t->vdev));
	KUNIT_EXPECT_EQ(test, -EINVAL,
			vfio_pci_core_register_dev_region(t->vdev, 7, 0, NULL,
							  1, 0, t));
	KUNIT_ASSERT_EQ(test, 0, test_add(t, 0));
	first = vfio_pci_region_get(t->vdev, VFIO_PCI_NUM_REGIONS);
	config = vfio_pci_region_get(t->vdev, VFIO_PCI_CONFIG_REGION_INDEX);

	for (i = 1; i < NR_ADDED; i++)
		KUNIT_ASSERT_EQ(test, 0, test_add(t, i));

	for (i = 0; i < NR_ADDED; i++) {
		region = vfio_pci_region_get(t->vdev, VFIO_PCI_NUM_REGIONS + i);
		KUNIT_ASSERT_NOT_NULL(test, region);
		KUNIT_EXPECT_EQ(test, VFIO_PCI_NUM_REGIONS + i,
				region->region.index);
		KUNIT_EXPECT_TRUE(test, region->has_type);
		KUNIT_EXPECT_EQ(test, 7, region->region.type);
		KUNIT_EXPECT_EQ(test, i, region->region.subtype);
		KUNIT_EXPECT_EQ(test, 100 + i, region->region.size);
		KUNIT_EXPECT_EQ(test, VFIO_REGION_INFO_FLAG_READ,
				region->region.flags);
		KUNIT_EXPECT_PTR_EQ(test, &test_ops, region->own);
		KUNIT_EXPECT_PTR_EQ(test, (void *)t, region->region.data);
	}
	KUNIT_EXPECT_NULL(test, vfio_pci_region_get(t->vdev,
						    VFIO_PCI_NUM_REGIONS + i));

	/* Regions do not move while the table grows */
	KUNIT_EXPECT_PTR_EQ(test, first,
			    vfio_pci_region_get(t->vdev, VFIO_PCI_NUM_REGIONS));
	KUNIT_EXPECT_PTR_EQ(test, config,
			    vfio_pci_region_get(t->vdev,
						VFIO_PCI_CONFIG_REGION_INDEX));
}

static void test_final_table_accepts_no_region(struct kunit *test)
{
	struct region_test *t = test->priv;

	KUNIT_ASSERT_EQ(test, 0, vfio_pci_regions_alloc(t->vdev));
	KUNIT_ASSERT_EQ(test, 0, test_add(t, 0));
	vfio_pci_regions_finalize(t->vdev);
	KUNIT_EXPECT_EQ(test, -EBUSY, test_add(t, 1));
	KUNIT_EXPECT_EQ(test, VFIO_PCI_NUM_REGIONS + 1, t->vdev->num_regions);
	vfio_pci_regions_free(t->vdev);
	KUNIT_EXPECT_EQ(test, 1, t->nr_released);

	/* The next open accepts regions again */
	KUNIT_ASSERT_EQ(test, 0, vfio_pci_regions_alloc(t->vdev));
	KUNIT_EXPECT_EQ(test, 0, test_add(t, 1));
}

static void test_regions_are_released_in_reverse_order(struct kunit *test)
{
	struct region_test *t = test->priv;
	unsigned int i;

	KUNIT_ASSERT_EQ(test, 0, vfio_pci_regions_alloc(t->vdev));
	for (i = 0; i < NR_ADDED - 1; i++)
		KUNIT_ASSERT_EQ(test, 0, test_add(t, i));
	KUNIT_ASSERT_EQ(test, 0,
			vfio_pci_core_register_dev_region(t->vdev, 7, 0,
							  &test_no_release_ops,
							  1, 0, t));

	vfio_pci_regions_free(t->vdev);
	KUNIT_ASSERT_EQ(test, NR_ADDED - 1, t->nr_released);
	for (i = 0; i < NR_ADDED - 1; i++)
		KUNIT_EXPECT_EQ(test, VFIO_PCI_NUM_REGIONS + NR_ADDED - 2 - i,
				t->released[i]);

	vfio_pci_regions_free(t->vdev);
	KUNIT_EXPECT_EQ(test, NR_ADDED - 1, t->nr_released);
}

static struct kunit_case region_test_cases[] = {
	KUNIT_CASE(test_region_get_checks_the_index),
	KUNIT_CASE(test_added_regions_have_consecutive_indexes),
	KUNIT_CASE(test_final_table_accepts_no_region),
	KUNIT_CASE(test_regions_are_released_in_reverse_order),
	{}
};

static struct kunit_suite region_test_suite = {
	.name		= "vfio-pci-region",
	.init		= region_test_init,
	.exit		= region_test_exit,
	.test_cases	= region_test_cases,
};

kunit_test_suite(region_test_suite);

MODULE_IMPORT_NS("EXPORTED_FOR_KUNIT_TESTING");
MODULE_DESCRIPTION("KUnit tests of the vfio-pci region table");
MODULE_LICENSE("GPL");
