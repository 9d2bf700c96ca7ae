/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Helpers for KUnit tests of migration: a device that vendor drivers migrate
 */
#ifndef VFIO_PCI_MIG_DEVICE_KUNIT_H
#define VFIO_PCI_MIG_DEVICE_KUNIT_H

#include <kunit/test.h>
#include <linux/pci.h>
#include <linux/vfio.h>
#include <linux/vfio_pci_core.h>

#include "vfio_pci_mig_kunit.h"

#define MIG_DEVICE	0x0002
#define MIG_DRIVERS	3
#define MIG_STATES	(VFIO_DEVICE_STATE_PRE_COPY_P2P + 1)

struct mig_device {
	struct vfio_pci_core_device *vdev;
	struct mig_fake *fakes[MIG_DRIVERS];
	bool registered[MIG_DRIVERS];
	/* The first driver, and its migration of the open device */
	struct mig_fake *fake;
	struct vfio_pci_mig *mig;
};

static inline int mig_device_init(struct kunit *test)
{
	static const char * const names[] = { "mig_a", "mig_b", "mig_c" };
	struct mig_device *t;
	unsigned int i;

	t = kunit_kzalloc(test, sizeof(*t), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, t);
	test->priv = t;
	for (i = 0; i < MIG_DRIVERS; i++)
		t->fakes[i] = mig_fake_alloc(test, names[i], MIG_DEVICE);
	t->fake = t->fakes[0];

	return 0;
}

static inline int mig_register(struct mig_device *t, unsigned int i)
{
	int ret = vfio_pci_register_vendor_driver(&t->fakes[i]->driver);

	t->registered[i] = !ret;

	return ret;
}

static inline void mig_unregister(struct mig_device *t, unsigned int i)
{
	/* A bound device pins the driver */
	if (t->vdev)
		vfio_pci_vendors_unbind(t->vdev);
	if (t->registered[i])
		vfio_pci_unregister_vendor_driver(&t->fakes[i]->driver);
	t->registered[i] = false;
}

static inline void mig_close(struct mig_device *t)
{
	if (t->vdev && t->vdev->regions) {
		vfio_pci_vendors_close(t->vdev);
		vfio_pci_regions_free(t->vdev);
	}
	t->mig = NULL;
}

static inline void mig_device_exit(struct kunit *test)
{
	struct mig_device *t = test->priv;
	unsigned int i;

	if (!t)
		return;
	mig_close(t);
	for (i = 0; i < MIG_DRIVERS; i++)
		mig_unregister(t, i);
}

/* Bind a new device, with the registered drivers */
static inline void mig_bind(struct kunit *test)
{
	struct mig_device *t = test->priv;

	mig_close(t);
	if (t->vdev)
		vfio_pci_vendors_unbind(t->vdev);
	t->vdev = vfio_pci_kunit_device(test, MIG_DEVICE);
	dev_set_drvdata(&t->vdev->pdev->dev, t->vdev);
	KUNIT_ASSERT_EQ(test, 0, vfio_pci_vendors_bind(t->vdev));
}

static inline void mig_open(struct kunit *test)
{
	struct mig_device *t = test->priv;

	KUNIT_ASSERT_EQ(test, 0, vfio_pci_vendors_attach_late(t->vdev));
	KUNIT_ASSERT_EQ(test, 0, vfio_pci_regions_alloc(t->vdev));
	KUNIT_ASSERT_EQ(test, 0, vfio_pci_core_open_vendors(t->vdev));
	t->mig = t->vdev->migration;
}

/* Open a device that the first driver migrates with these abilities */
static inline void mig_start(struct kunit *test, bool p2p, bool precopy)
{
	struct mig_device *t = test->priv;

	mig_close(t);
	mig_unregister(t, 0);
	mig_fake_reset_ops(t->fake);
	if (!p2p)
		t->fake->ops.quiesce = NULL;
	if (!precopy)
		t->fake->ops.precopy = NULL;
	KUNIT_ASSERT_EQ(test, 0, mig_register(t, 0));
	mig_bind(test);
	KUNIT_EXPECT_EQ(test, VFIO_MIGRATION_STOP_COPY |
			(p2p ? VFIO_MIGRATION_P2P : 0) |
			(precopy ? VFIO_MIGRATION_PRE_COPY : 0),
			t->vdev->vdev.migration_flags);
	mig_open(test);
	KUNIT_ASSERT_NOT_NULL(test, t->mig);
}

static inline int mig_set(struct mig_device *t, enum vfio_device_mig_state state)
{
	guard(vfio_pci_mig)(t->mig);

	return vfio_pci_mig_set_state(t->mig, state);
}

static inline const char *mig_state_name(enum vfio_device_mig_state state)
{
	static const char * const names[MIG_STATES] = {
		"ERROR", "STOP", "RUNNING", "STOP_COPY", "RESUMING",
		"RUNNING_P2P", "PRE_COPY", "PRE_COPY_P2P",
	};

	return names[state];
}

/* Whether the backend saves or loads in @state */
static inline bool mig_transfers(enum vfio_device_mig_state state)
{
	return state == VFIO_DEVICE_STATE_RESUMING ||
	       state == VFIO_DEVICE_STATE_STOP_COPY ||
	       state >= VFIO_DEVICE_STATE_PRE_COPY;
}

/* Change the state, and check the result, the calls and the new state */
static inline void mig_expect(struct kunit *test, const char *what,
			      enum vfio_device_mig_state to, int ret,
			      const char *events,
			      enum vfio_device_mig_state state)
{
	struct mig_device *t = test->priv;

	memset(t->fake->events, 0, sizeof(t->fake->events));
	KUNIT_EXPECT_EQ_MSG(test, ret, mig_set(t, to), "%s", what);
	KUNIT_EXPECT_STREQ_MSG(test, events, t->fake->events, "%s", what);
	/* The next check depends on this state */
	KUNIT_ASSERT_EQ_MSG(test, state, t->mig->state, "%s", what);
}

/* Reset the device and change to a state */
static inline void mig_reach(struct kunit *test, enum vfio_device_mig_state state)
{
	struct mig_device *t = test->priv;

	vfio_pci_mig_reset_done(t->mig);
	mig_fake_forget(t->fake);
	if (state == VFIO_DEVICE_STATE_ERROR) {
		KUNIT_ASSERT_EQ(test, 0,
				mig_set(t, VFIO_DEVICE_STATE_RESUMING));
		KUNIT_ASSERT_EQ(test, 0, mig_feed(&t->mig->stream, "V", 1, 1));
		KUNIT_ASSERT_EQ(test, -EINVAL,
				mig_set(t, VFIO_DEVICE_STATE_STOP));
	} else {
		KUNIT_ASSERT_EQ(test, 0, mig_set(t, state));
	}
	KUNIT_ASSERT_EQ(test, state, t->mig->state);
	mig_fake_forget(t->fake);
}

#endif /* VFIO_PCI_MIG_DEVICE_KUNIT_H */
