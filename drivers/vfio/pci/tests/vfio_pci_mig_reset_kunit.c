// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests of the migration of a vfio-pci device that is reset or loses its
 * state
 */

#include <kunit/test.h>
#include <linux/delay.h>
#include <linux/interval_tree.h>
#include <linux/jiffies.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/vfio.h>
#include <linux/vfio_pci_core.h>

#include "vfio_pci_mig_device_kunit.h"

static void test_expect_reset(struct kunit *test, const char *what, u64 session,
			      bool transfers)
{
	struct mig_device *t = test->priv;

	KUNIT_EXPECT_STREQ_MSG(test, "", t->fake->events, "%s", what);
	KUNIT_EXPECT_EQ_MSG(test, VFIO_DEVICE_STATE_RUNNING, t->mig->state,
			    "%s", what);
	KUNIT_EXPECT_FALSE(test, mutex_is_locked(&t->mig->lock));
	KUNIT_EXPECT_FALSE(test, t->mig->deferred_reset);
	KUNIT_EXPECT_FALSE(test, t->mig->in_session);
	KUNIT_EXPECT_NULL(test, t->mig->stream.payload);
	KUNIT_EXPECT_EQ(test, 0, vfio_pci_mig_left(&t->mig->stream));
	if (transfers)
		KUNIT_EXPECT_NE(test, session, t->mig->session);
}

/* A reset in each state, with and without the lock */
static void test_reset_ends_the_session(struct kunit *test)
{
	struct mig_device *t = test->priv;
	enum vfio_device_mig_state state;
	unsigned int resets;
	bool transfers;
	u64 session;

	mig_start(test, true, true);
	for (state = 0; state < MIG_STATES; state++) {
		transfers = mig_transfers(state);
		mig_reach(test, state);
		if (transfers && state != VFIO_DEVICE_STATE_RESUMING)
			KUNIT_EXPECT_EQ(test, 0,
					vfio_pci_mig_fill(&t->mig->stream,
							  false));
		session = t->mig->session;
		resets = t->fake->resets;
		vfio_pci_mig_reset_done(t->mig);
		test_expect_reset(test, mig_state_name(state), session, transfers);
		KUNIT_EXPECT_EQ(test, resets + 1, t->fake->resets);

		/* The session continues until the lock is released */
		mig_reach(test, state);
		session = t->mig->session;
		vfio_pci_mig_lock(t->mig);
		vfio_pci_mig_reset_done(t->mig);
		vfio_pci_mig_reset_done(t->mig);
		KUNIT_EXPECT_EQ(test, state, t->mig->state);
		KUNIT_EXPECT_EQ(test, session, t->mig->session);
		KUNIT_EXPECT_EQ(test, state == VFIO_DEVICE_STATE_RESUMING,
				!!t->mig->stream.payload);
		vfio_pci_mig_unlock(t->mig);
		test_expect_reset(test, mig_state_name(state), session, transfers);
		mig_expect(test, "after", VFIO_DEVICE_STATE_STOP, 0, "qs",
			   VFIO_DEVICE_STATE_STOP);

		/* Call the reset handlers of vfio-pci-core */
		mig_reach(test, state);
		session = t->mig->session;
		vfio_pci_core_reset_prepare(t->vdev->pdev);
		KUNIT_EXPECT_EQ(test, state, t->mig->state);
		vfio_pci_core_reset_done(t->vdev->pdev);
		test_expect_reset(test, mig_state_name(state), session, transfers);
	}
}

#define NR_DEFERRED	100

static int reset_thread(void *data)
{
	struct mig_device *t = data;

	while (!kthread_should_stop()) {
		vfio_pci_mig_reset_done(t->mig);
		usleep_range(10, 100);
	}

	return 0;
}

/* No reset is lost, and none takes effect while the lock is held */
static void test_concurrent_resets_are_not_lost(struct kunit *test)
{
	static const enum vfio_device_mig_state states[] = {
		VFIO_DEVICE_STATE_RESUMING, VFIO_DEVICE_STATE_PRE_COPY,
		VFIO_DEVICE_STATE_STOP_COPY, VFIO_DEVICE_STATE_RUNNING_P2P,
	};
	unsigned long timeout = jiffies + 20 * HZ;
	struct mig_device *t = test->priv;
	unsigned int i, deferred = 0;
	struct task_struct *task;
	struct mig_bytes b;
	u64 session;
	int ret = 0;

	mig_bytes_alloc(test, &b, PAGE_SIZE);

	mig_start(test, true, true);
	mig_put_all(&b, t->fake, t->vdev->pdev, 0);
	task = kthread_run(reset_thread, t, "mig_reset");
	KUNIT_ASSERT_FALSE(test, IS_ERR(task));
	for (i = 0; !ret && deferred < NR_DEFERRED; i++) {
		if (time_after(jiffies, timeout))
			break;
		vfio_pci_mig_lock(t->mig);
		/* Each state can follow the previous one, and RUNNING */
		ret = vfio_pci_mig_set_state(t->mig, states[i % 4]);
		session = t->mig->session;
		/* Only a complete state lets the device leave RESUMING */
		if (!ret && states[i % 4] == VFIO_DEVICE_STATE_RESUMING) {
			ret = mig_feed(&t->mig->stream, b.data, b.len, b.len);
			ret = ret == -ENODEV ? 0 : ret;
		}
		usleep_range(10, 100);
		KUNIT_EXPECT_EQ(test, states[i % 4], t->mig->state);
		KUNIT_EXPECT_EQ(test, session, t->mig->session);
		deferred += READ_ONCE(t->mig->deferred_reset);
		vfio_pci_mig_unlock(t->mig);
		mig_fake_forget(t->fake);
	}
	kthread_stop(task);
	KUNIT_EXPECT_EQ(test, 0, ret);
	KUNIT_EXPECT_EQ(test, NR_DEFERRED, deferred);
	KUNIT_EXPECT_FALSE(test, t->mig->deferred_reset);
	KUNIT_EXPECT_FALSE(test, mutex_is_locked(&t->mig->lock));
	/* The last reset took effect without the lock */
	KUNIT_EXPECT_EQ(test, VFIO_DEVICE_STATE_RUNNING, t->mig->state);
	mig_expect(test, "after", VFIO_DEVICE_STATE_STOP, 0, "qs",
		   VFIO_DEVICE_STATE_STOP);
}

static int end_reset_thread(void *data)
{
	struct mig_device *t = data;

	msleep(50);
	vfio_pci_core_reset_done(t->vdev->pdev);
	while (!kthread_should_stop())
		usleep_range(1000, 2000);

	return 0;
}

/* Begin a reset that another thread ends later */
static struct task_struct *begin_reset(struct mig_device *t)
{
	struct task_struct *task;

	vfio_pci_core_reset_prepare(t->vdev->pdev);
	task = kthread_run(end_reset_thread, t, "mig_end_reset");
	KUNIT_ASSERT_FALSE(t->fake->test, IS_ERR(task));

	return task;
}

/* Operations wait for the end of a reset; the data of a session is lost */
static void test_operations_wait_for_a_reset(struct kunit *test)
{
	struct interval_tree_node node = { .last = PAGE_SIZE - 1 };
	struct rb_root_cached root = RB_ROOT_CACHED;
	struct mig_device *t = test->priv;
	struct task_struct *task;
	struct vfio_device *vdev;
	u64 page_size = PAGE_SIZE;
	unsigned long length;

	interval_tree_insert(&node, &root);
	mig_start(test, true, true);
	vdev = &t->vdev->vdev;

	task = begin_reset(t);
	mig_expect(test, "set state", VFIO_DEVICE_STATE_STOP, 0, "qs",
		   VFIO_DEVICE_STATE_STOP);
	kthread_stop(task);

	/* The size of the state of the running device */
	task = begin_reset(t);
	KUNIT_EXPECT_EQ(test, 0,
			vdev->mig_ops->migration_get_data_size(vdev, &length));
	KUNIT_EXPECT_EQ(test, VFIO_DEVICE_STATE_RUNNING, t->mig->state);
	kthread_stop(task);

	mig_reach(test, VFIO_DEVICE_STATE_RESUMING);
	vfio_pci_core_reset_prepare(t->vdev->pdev);
	KUNIT_EXPECT_EQ(test, -ENODEV, mig_feed(&t->mig->stream, "V", 1, 1));
	vfio_pci_core_reset_done(t->vdev->pdev);

	if (!vdev->log_ops)
		return;

	mig_fake_forget(t->fake);
	task = begin_reset(t);
	KUNIT_EXPECT_EQ(test, 0, vdev->log_ops->log_start(vdev, &root, 1,
							  &page_size));
	KUNIT_EXPECT_STREQ(test, "l", t->fake->events);
	kthread_stop(task);
	task = begin_reset(t);
	/* Nothing is dirty outside the logged page */
	KUNIT_EXPECT_EQ(test, 0,
			vdev->log_ops->log_read_and_clear(vdev, SZ_1M, 1, NULL));
	KUNIT_EXPECT_STREQ(test, "lLy", t->fake->events);
	kthread_stop(task);
}

/* Reset the device in the first call of an operation */
static void reset_in(struct mig_fake *f, char what, char operation)
{
	struct mig_device *t = f->test->priv;

	if (what != operation)
		return;
	f->during = NULL;
	vfio_pci_core_reset_prepare(t->vdev->pdev);
	vfio_pci_core_reset_done(t->vdev->pdev);
}

static void reset_in_stop(struct mig_fake *f, char what)
{
	reset_in(f, what, 's');
}

static struct task_struct *reset_task;

static void reset_begins_in_stop(struct mig_fake *f, char what)
{
	if (what != 's')
		return;
	f->during = NULL;
	reset_task = begin_reset(f->test->priv);
}

static void endless_reset_begins_in_stop(struct mig_fake *f, char what)
{
	struct mig_device *t = f->test->priv;

	if (what != 's')
		return;
	f->during = NULL;
	vfio_pci_core_reset_prepare(t->vdev->pdev);
}

/* If a reset overlaps with stop, the core runs the device and starts again */
static void test_state_change_starts_again_after_a_reset(struct kunit *test)
{
	struct mig_device *t = test->priv;

	mig_start(test, true, true);
	t->fake->during = reset_in_stop;
	mig_expect(test, "reset in stop", VFIO_DEVICE_STATE_STOP_COPY, 0,
		   "qsrqsc", VFIO_DEVICE_STATE_STOP_COPY);

	mig_reach(test, VFIO_DEVICE_STATE_RUNNING);
	t->fake->during = reset_begins_in_stop;
	mig_expect(test, "reset after stop", VFIO_DEVICE_STATE_STOP_COPY, 0,
		   "qsrqsc", VFIO_DEVICE_STATE_STOP_COPY);
	kthread_stop(reset_task);

	/* A session that began before the reset does not continue */
	mig_reach(test, VFIO_DEVICE_STATE_PRE_COPY);
	t->fake->during = reset_in_stop;
	mig_expect(test, "reset in pre-copy", VFIO_DEVICE_STATE_STOP_COPY, 0,
		   "qsrqsc", VFIO_DEVICE_STATE_STOP_COPY);

	/* A device that does not run after a reset is unusable */
	mig_reach(test, VFIO_DEVICE_STATE_RUNNING);
	t->fake->during = reset_in_stop;
	t->fake->fails = 'r';
	t->fake->fail_ret = -EBUSY;
	mig_expect(test, "failed run", VFIO_DEVICE_STATE_STOP, -EBUSY, "qsr",
		   VFIO_DEVICE_STATE_ERROR);

	/* After a wait that ends early, the core does not trust the device */
	mig_reach(test, VFIO_DEVICE_STATE_RUNNING);
	t->fake->during = endless_reset_begins_in_stop;
	KUNIT_EXPECT_EQ(test, -EAGAIN, mig_set(t, VFIO_DEVICE_STATE_STOP));
	KUNIT_EXPECT_STREQ(test, "qs", t->fake->events);
	vfio_pci_core_reset_done(t->vdev->pdev);
	KUNIT_EXPECT_EQ(test, VFIO_DEVICE_STATE_ERROR, t->mig->state);
	vfio_pci_core_reset_prepare(t->vdev->pdev);
	vfio_pci_core_reset_done(t->vdev->pdev);
	KUNIT_EXPECT_EQ(test, VFIO_DEVICE_STATE_RUNNING, t->mig->state);
}

static void reset_in_load_done(struct mig_fake *f, char what)
{
	reset_in(f, what, 'd');
}

/* A VMM must not run a guest on a device that lost the loaded state */
static void test_reset_in_load_done_fails_the_write(struct kunit *test)
{
	struct mig_device *t = test->priv;
	struct mig_bytes b;

	mig_bytes_alloc(test, &b, PAGE_SIZE);
	mig_start(test, true, true);
	mig_reach(test, VFIO_DEVICE_STATE_RESUMING);
	mig_put_all(&b, t->fake, t->vdev->pdev, 0);
	t->fake->during = reset_in_load_done;
	vfio_pci_mig_lock(t->mig);
	KUNIT_EXPECT_EQ(test, -ENODEV, mig_feed(&t->mig->stream, b.data, b.len,
						b.len));
	KUNIT_EXPECT_STREQ(test, "d", t->fake->events);
	vfio_pci_mig_unlock(t->mig);
	KUNIT_EXPECT_EQ(test, VFIO_DEVICE_STATE_RUNNING, t->mig->state);
}

/* The driver reports that the device lost its state */
static void test_reported_failure_enters_error(struct kunit *test)
{
	struct mig_device *t = test->priv;
	enum vfio_device_mig_state state;
	bool transfers;

	mig_start(test, true, true);
	for (state = 0; state < MIG_STATES; state++) {
		transfers = mig_transfers(state);
		mig_reach(test, state);
		vfio_pci_vendor_migration_failed(t->mig->dev);
		KUNIT_EXPECT_EQ(test, VFIO_DEVICE_STATE_ERROR, t->mig->state);
		KUNIT_EXPECT_STREQ(test, transfers ? "e" : "", t->fake->events);
		mig_expect(test, "run", VFIO_DEVICE_STATE_RUNNING, -EINVAL, "",
			   VFIO_DEVICE_STATE_ERROR);

		/* During an operation, the report takes effect after it */
		mig_reach(test, state);
		vfio_pci_mig_lock(t->mig);
		vfio_pci_vendor_migration_failed(t->mig->dev);
		KUNIT_EXPECT_EQ(test, state, t->mig->state);
		vfio_pci_mig_unlock(t->mig);
		KUNIT_EXPECT_EQ(test, VFIO_DEVICE_STATE_ERROR, t->mig->state);

		/* A later reset makes the device usable again */
		mig_reach(test, state);
		vfio_pci_mig_lock(t->mig);
		vfio_pci_vendor_migration_failed(t->mig->dev);
		vfio_pci_core_reset_prepare(t->vdev->pdev);
		vfio_pci_core_reset_done(t->vdev->pdev);
		vfio_pci_mig_unlock(t->mig);
		KUNIT_EXPECT_EQ(test, VFIO_DEVICE_STATE_RUNNING, t->mig->state);
		KUNIT_EXPECT_STREQ(test, "", t->fake->events);

		/* A reset that began before the report has the same effect */
		mig_reach(test, state);
		vfio_pci_core_reset_prepare(t->vdev->pdev);
		vfio_pci_vendor_migration_failed(t->mig->dev);
		KUNIT_EXPECT_EQ(test, state, t->mig->state);
		vfio_pci_core_reset_done(t->vdev->pdev);
		KUNIT_EXPECT_EQ(test, VFIO_DEVICE_STATE_RUNNING, t->mig->state);
	}

	/* The device did not survive the reset */
	t->fake->reset_fails = true;
	vfio_pci_core_reset_prepare(t->vdev->pdev);
	vfio_pci_core_reset_done(t->vdev->pdev);
	KUNIT_EXPECT_EQ(test, VFIO_DEVICE_STATE_ERROR, t->mig->state);
	t->fake->reset_fails = false;
	mig_reach(test, VFIO_DEVICE_STATE_STOP);
}

static struct kunit_case reset_test_cases[] = {
	KUNIT_CASE(test_reset_ends_the_session),
	KUNIT_CASE(test_concurrent_resets_are_not_lost),
	KUNIT_CASE(test_operations_wait_for_a_reset),
	KUNIT_CASE(test_state_change_starts_again_after_a_reset),
	KUNIT_CASE(test_reset_in_load_done_fails_the_write),
	KUNIT_CASE(test_reported_failure_enters_error),
	{}
};

static struct kunit_suite reset_test_suite = {
	.name		= "vfio-pci-mig-reset",
	.init		= mig_device_init,
	.exit		= mig_device_exit,
	.test_cases	= reset_test_cases,
};

kunit_test_suite(reset_test_suite);

MODULE_IMPORT_NS("EXPORTED_FOR_KUNIT_TESTING");
MODULE_DESCRIPTION("KUnit tests of the migration of a vfio-pci device that is reset");
MODULE_LICENSE("GPL");
