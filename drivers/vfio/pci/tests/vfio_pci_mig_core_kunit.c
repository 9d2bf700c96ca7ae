// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests of the migration state machine of vfio-pci
 */

#include <kunit/test.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/vfio.h>
#include <linux/vfio_pci_core.h>

#include "vfio_pci_mig_device_kunit.h"

/* Reset the device and change to a state; in RESUMING, load an empty state */
static void test_reach_loaded(struct kunit *test,
			      enum vfio_device_mig_state state)
{
	struct mig_device *t = test->priv;
	u8 data[MIG_HEADER + MIG_HEAD + 16];
	struct mig_bytes b = { .data = data };

	mig_reach(test, state);
	if (state != VFIO_DEVICE_STATE_RESUMING)
		return;

	mig_put_header(&b, t->fake, t->vdev->pdev, 0);
	mig_put_end(&b, 0, 0);
	KUNIT_ASSERT_EQ(test, 0, mig_feed(&t->mig->stream, data, b.len, b.len));
	KUNIT_EXPECT_STREQ(test, "d", t->fake->events);
	mig_fake_forget(t->fake);
}

/*
 * Calls on the path from one state (row) to another (column), in the order of
 * the enum: s stop, r run, q quiesce; p, c and i begin PRE_COPY, STOP_COPY and
 * RESUMING; e end.  "-" means that there is no path.
 */
struct abilities {
	const char *name;
	bool p2p, precopy;
	const char *calls[MIG_STATES][MIG_STATES];
};

static const struct abilities abilities[] = {
	{ "none", false, false, {
		{ "", "-", "-", "-", "-", "-", "-", "-" },
		{ "-", "", "r", "c", "i", "-", "-", "-" },
		{ "-", "s", "", "sc", "si", "-", "-", "-" },
		{ "-", "e", "er", "", "ei", "-", "-", "-" },
		{ "-", "e", "er", "ec", "", "-", "-", "-" },
	} },
	{ "P2P", true, false, {
		{ "", "-", "-", "-", "-", "-", "-", "-" },
		{ "-", "", "qr", "c", "i", "q", "-", "-" },
		{ "-", "qs", "", "qsc", "qsi", "q", "-", "-" },
		{ "-", "e", "eqr", "", "ei", "eq", "-", "-" },
		{ "-", "e", "eqr", "ec", "", "eq", "-", "-" },
		{ "-", "s", "r", "sc", "si", "", "-", "-" },
	} },
	{ "PRE_COPY", false, true, {
		{ "", "-", "-", "-", "-", "-", "-", "-" },
		{ "-", "", "r", "c", "i", "-", "rp", "-" },
		{ "-", "s", "", "sc", "si", "-", "p", "-" },
		{ "-", "e", "er", "", "ei", "-", "-", "-" },
		{ "-", "e", "er", "ec", "", "-", "erp", "-" },
		{},
		{ "-", "es", "e", "sc", "esi", "-", "", "-" },
	} },
	{ "P2P and PRE_COPY", true, true, {
		{ "", "-", "-", "-", "-", "-", "-", "-" },
		{ "-", "", "qr", "c", "i", "q", "qrp", "qp" },
		{ "-", "qs", "", "qsc", "qsi", "q", "p", "qp" },
		{ "-", "e", "eqr", "", "ei", "eq", "-", "-" },
		{ "-", "e", "eqr", "ec", "", "eq", "eqrp", "eqp" },
		{ "-", "s", "r", "sc", "si", "", "rp", "p" },
		{ "-", "eqs", "e", "qsc", "eqsi", "eq", "", "q" },
		{ "-", "es", "er", "sc", "esi", "e", "r", "" },
	} },
};

static void abilities_name(const struct abilities *a, char *name)
{
	strscpy(name, a->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(abilities, abilities, abilities_name);

/* Fail one call: earlier calls have taken effect, and a retry succeeds */
static void test_one_failure(struct kunit *test, const struct abilities *a,
			     unsigned int from, unsigned int to, unsigned int i,
			     int fail_ret)
{
	const char *calls = a->calls[from][to];
	struct mig_device *t = test->priv;
	unsigned int undone;
	char what[64];
	bool fatal;
	int ret;

	/* end cannot fail */
	if (calls[i] == 'e')
		return;

	/* A loaded device is unusable if it cannot run */
	fatal = from == VFIO_DEVICE_STATE_RESUMING && strchr("qr", calls[i]);

	/* If begin fails in pre-copy, the core runs the stopped device again */
	undone = calls[i] == 'c' && from >= VFIO_DEVICE_STATE_PRE_COPY;
	snprintf(what, sizeof(what), "%s to %s, %c fails", mig_state_name(from),
		 mig_state_name(to), calls[i]);
	test_reach_loaded(test, from);
	t->fake->fails = calls[i];
	t->fake->fail_ret = fail_ret;
	ret = fail_ret < 0 && fail_ret >= -MAX_ERRNO ? fail_ret : -EIO;
	KUNIT_EXPECT_EQ_MSG(test, ret, mig_set(t, to), "%s", what);
	if (fatal) {
		KUNIT_EXPECT_EQ_MSG(test, VFIO_DEVICE_STATE_ERROR,
				    t->mig->state, "%s", what);
		return;
	}
	KUNIT_EXPECT_EQ_MSG(test, i + 1 + undone, strlen(t->fake->events), "%s",
			    what);
	KUNIT_EXPECT_EQ_MSG(test, 0, strncmp(calls, t->fake->events, i + 1),
			    "%s", what);
	if (undone)
		KUNIT_EXPECT_EQ_MSG(test, a->p2p ? 'q' : 'r',
				    t->fake->events[i + 1], "%s", what);
	if (!i)
		KUNIT_EXPECT_EQ_MSG(test, from, t->mig->state, "%s", what);

	t->fake->fails = 0;
	mig_expect(test, what, to, 0, calls + i - undone, to);
}

/* All pairs of states, and a failure of each call between them */
static void test_state_changes_call_operations_in_order(struct kunit *test)
{
	static const int fail_rets[] = { -EIO, -ETIMEDOUT, 1, INT_MIN };
	const struct abilities *a = test->param_value;
	struct mig_device *t = test->priv;
	unsigned int from, to, i;
	const char *calls;
	char what[64];

	mig_start(test, a->p2p, a->precopy);
	for (from = 0; from < MIG_STATES; from++) {
		if (!a->calls[from][0]) {
			vfio_pci_mig_reset_done(t->mig);
			mig_fake_forget(t->fake);
			mig_expect(test, mig_state_name(from), from, -EINVAL, "",
				   VFIO_DEVICE_STATE_RUNNING);
			continue;
		}
		for (to = 0; to < MIG_STATES; to++) {
			calls = a->calls[from][to];
			snprintf(what, sizeof(what), "%s to %s",
				 mig_state_name(from), mig_state_name(to));
			test_reach_loaded(test, from);
			if (!strcmp(calls, "-")) {
				mig_expect(test, what, to, -EINVAL, "", from);
				continue;
			}
			mig_expect(test, what, to, 0, calls, to);
			for (i = 0; calls[i]; i++)
				test_one_failure(test, a, from, to, i,
						 fail_rets[(from + to) %
							   ARRAY_SIZE(fail_rets)]);
		}
		mig_reach(test, from);
		mig_expect(test, mig_state_name(from), MIG_STATES, -EINVAL, "",
			   from);
		mig_expect(test, mig_state_name(from), U32_MAX, -EINVAL, "",
			   from);
	}
}

/* The state after a failure on the path */
static void test_failure_keeps_the_last_reached_state(struct kunit *test)
{
	static const struct {
		enum vfio_device_mig_state from, to, at;
		char fails;
	} cases[] = {
		{ VFIO_DEVICE_STATE_RUNNING, VFIO_DEVICE_STATE_STOP,
		  VFIO_DEVICE_STATE_RUNNING_P2P, 's' },
		{ VFIO_DEVICE_STATE_RUNNING, VFIO_DEVICE_STATE_RESUMING,
		  VFIO_DEVICE_STATE_RUNNING_P2P, 's' },
		{ VFIO_DEVICE_STATE_RESUMING, VFIO_DEVICE_STATE_RUNNING,
		  VFIO_DEVICE_STATE_ERROR, 'q' },
		{ VFIO_DEVICE_STATE_RESUMING, VFIO_DEVICE_STATE_RUNNING,
		  VFIO_DEVICE_STATE_ERROR, 'r' },
		{ VFIO_DEVICE_STATE_STOP_COPY, VFIO_DEVICE_STATE_RUNNING,
		  VFIO_DEVICE_STATE_STOP, 'q' },
		{ VFIO_DEVICE_STATE_STOP, VFIO_DEVICE_STATE_PRE_COPY,
		  VFIO_DEVICE_STATE_RUNNING, 'p' },
		{ VFIO_DEVICE_STATE_STOP, VFIO_DEVICE_STATE_PRE_COPY_P2P,
		  VFIO_DEVICE_STATE_RUNNING_P2P, 'p' },
		{ VFIO_DEVICE_STATE_PRE_COPY, VFIO_DEVICE_STATE_STOP,
		  VFIO_DEVICE_STATE_RUNNING, 'q' },
		{ VFIO_DEVICE_STATE_PRE_COPY, VFIO_DEVICE_STATE_STOP_COPY,
		  VFIO_DEVICE_STATE_PRE_COPY, 'q' },
		{ VFIO_DEVICE_STATE_PRE_COPY, VFIO_DEVICE_STATE_STOP_COPY,
		  VFIO_DEVICE_STATE_PRE_COPY_P2P, 's' },
		{ VFIO_DEVICE_STATE_PRE_COPY_P2P, VFIO_DEVICE_STATE_RUNNING,
		  VFIO_DEVICE_STATE_RUNNING_P2P, 'r' },
		{ VFIO_DEVICE_STATE_RUNNING, VFIO_DEVICE_STATE_STOP_COPY,
		  VFIO_DEVICE_STATE_STOP, 'c' },
		{ VFIO_DEVICE_STATE_PRE_COPY, VFIO_DEVICE_STATE_STOP_COPY,
		  VFIO_DEVICE_STATE_PRE_COPY_P2P, 'c' },
		{ VFIO_DEVICE_STATE_STOP_COPY, VFIO_DEVICE_STATE_RESUMING,
		  VFIO_DEVICE_STATE_STOP, 'i' },
	};
	struct mig_device *t = test->priv;
	struct vfio_device *vdev;
	unsigned long length;
	unsigned int i;

	mig_start(test, true, true);
	vdev = &t->vdev->vdev;
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		test_reach_loaded(test, cases[i].from);
		t->fake->fails = cases[i].fails;
		t->fake->fail_ret = -EBUSY;
		KUNIT_EXPECT_EQ(test, -EBUSY, mig_set(t, cases[i].to));
		KUNIT_EXPECT_EQ_MSG(test, cases[i].at, t->mig->state, "%u", i);
	}

	/* The core cannot run the stopped device again */
	mig_reach(test, VFIO_DEVICE_STATE_PRE_COPY_P2P);
	t->fake->fails = 'c';
	t->fake->also_fails = 'q';
	mig_expect(test, "failed undo", VFIO_DEVICE_STATE_STOP_COPY, -EBUSY,
		   "scqe", VFIO_DEVICE_STATE_ERROR);
	KUNIT_EXPECT_EQ(test, 0, vfio_pci_mig_left(&t->mig->stream));

	mig_reach(test, VFIO_DEVICE_STATE_STOP_COPY);
	t->fake->fails = 'z';
	KUNIT_EXPECT_EQ(test, -EBUSY,
			vdev->mig_ops->migration_get_data_size(vdev, &length));
	KUNIT_EXPECT_EQ(test, VFIO_DEVICE_STATE_STOP_COPY, t->mig->state);
}

#define ALL	LONG_MAX

/* Incoming streams and their results */
static void test_incomplete_stream_is_an_error(struct kunit *test)
{
	static const struct {
		const char *what;
		/*
		 * Number of bytes to load; if negative, number of missing bytes
		 */
		long len;
		size_t flip;
		char fails;
		int ret;
		const char *events;
	} cases[] = {
		{ "empty stream", 0, 0, 0, -EINVAL, "" },
		{ "one byte", 1, 0, 0, -EINVAL, "" },
		{ "the header", MIG_HEADER, 0, 0, -EINVAL, "" },
		{ "all but the trailer", -32, 0, 0, -EINVAL, "" },
		{ "all but one byte", -1, 0, 0, -EINVAL, "" },
		{ "damaged header", ALL, 20, 0, -EBADMSG, "" },
		{ "damaged part", ALL, 100, 0, -EBADMSG, "" },
		{ "all", ALL, 0, 0, 0, "d" },
		{ "invalid state", ALL, 0, 'd', -EILSEQ, "d" },
	};
	struct mig_device *t = test->priv;
	struct vfio_pci_mig_stream *stream;
	struct mig_bytes b;
	unsigned int i;
	long len;

	mig_bytes_alloc(test, &b, PAGE_SIZE);
	mig_start(test, true, true);
	stream = &t->mig->stream;
	t->fake->parts[MIG_PRECOPY][0] = 9;
	t->fake->parts[MIG_DATA][0] = 100;
	t->fake->fail_ret = -EILSEQ;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *what = cases[i].what;
		int ret = cases[i].ret;
		int fed = 0;

		mig_reach(test, VFIO_DEVICE_STATE_RESUMING);
		mig_put_all(&b, t->fake, t->vdev->pdev, i);
		len = cases[i].len;
		len = len < 0 ? b.len + len : min_t(long, len, b.len);
		if (cases[i].flip)
			b.data[cases[i].flip] ^= 1;
		t->fake->fails = cases[i].fails;
		if (cases[i].flip || cases[i].fails)
			fed = ret;
		KUNIT_EXPECT_EQ_MSG(test, fed,
				    mig_feed(stream, b.data, len, 100),
				    "%s", what);
		/* The core calls load_done() only for a complete stream */
		KUNIT_EXPECT_STREQ_MSG(test, cases[i].events, t->fake->events,
				       "%s", what);
		KUNIT_EXPECT_EQ(test, VFIO_DEVICE_STATE_RESUMING,
				t->mig->state);

		mig_fake_forget(t->fake);
		mig_expect(test, what, VFIO_DEVICE_STATE_RUNNING_P2P,
			   ret, ret ? "e" : "eq",
			   ret ? VFIO_DEVICE_STATE_ERROR :
				 VFIO_DEVICE_STATE_RUNNING_P2P);
		KUNIT_EXPECT_NULL(test, stream->payload);
		if (!ret)
			continue;

		/* Only a reset leaves the state ERROR */
		mig_expect(test, what, VFIO_DEVICE_STATE_RUNNING, -EINVAL, "",
			   VFIO_DEVICE_STATE_ERROR);
		vfio_pci_mig_reset_done(t->mig);
		mig_expect(test, what, VFIO_DEVICE_STATE_STOP, 0, "qs",
			   VFIO_DEVICE_STATE_STOP);
	}

	/* An invalid return value of load_done becomes -EIO */
	mig_reach(test, VFIO_DEVICE_STATE_RESUMING);
	mig_put_all(&b, t->fake, t->vdev->pdev, 1);
	t->fake->fails = 'd';
	t->fake->fail_ret = 1;
	KUNIT_EXPECT_EQ(test, -EIO, mig_feed(stream, b.data, b.len, b.len));
	mig_fake_forget(t->fake);
	mig_expect(test, "1", VFIO_DEVICE_STATE_STOP, -EIO, "e",
		   VFIO_DEVICE_STATE_ERROR);

	/* After a failed load, leaving RESUMING fails, too */
	mig_reach(test, VFIO_DEVICE_STATE_RESUMING);
	t->fake->load_ret = -ENOSPC;
	KUNIT_EXPECT_EQ(test, -ENOSPC, mig_feed(stream, b.data, b.len, b.len));
	t->fake->load_ret = 0;
	mig_expect(test, "load", VFIO_DEVICE_STATE_STOP, -ENOSPC, "e",
		   VFIO_DEVICE_STATE_ERROR);
}

static void test_fill_all(struct kunit *test, struct mig_bytes *b, bool stopped)
{
	struct mig_device *t = test->priv;
	struct vfio_pci_mig_stream *stream = &t->mig->stream;
	size_t left;

	for (;;) {
		KUNIT_ASSERT_EQ(test, 0, vfio_pci_mig_fill(stream, stopped));
		left = vfio_pci_mig_left(stream);
		if (!left)
			return;
		KUNIT_ASSERT_LE(test, b->len + left, b->max);
		memcpy(b->data + b->len, stream->window + stream->taken, left);
		b->len += left;
		stream->taken += left;
	}
}

static void test_session_spans_precopy_and_stop_copy(struct kunit *test)
{
	struct mig_device *t = test->priv;
	struct vfio_pci_precopy_info info;
	struct mig_bytes b;
	u64 session;

	mig_bytes_alloc(test, &b, PAGE_SIZE);
	mig_start(test, true, true);
	t->fake->parts[MIG_PRECOPY][0] = 9;
	t->fake->parts[MIG_DATA][0] = 100;

	session = t->mig->session;
	mig_expect(test, "start", VFIO_DEVICE_STATE_PRE_COPY, 0, "p",
		   VFIO_DEVICE_STATE_PRE_COPY);
	KUNIT_EXPECT_NE(test, session, t->mig->session);
	session = t->mig->session;
	KUNIT_EXPECT_EQ(test, 0, vfio_pci_mig_pending(t->mig, &info));
	KUNIT_EXPECT_EQ(test, MIG_HEADER + 9, info.initial);
	KUNIT_EXPECT_EQ(test, 7, info.dirty);
	test_fill_all(test, &b, false);
	KUNIT_EXPECT_EQ(test, 0, vfio_pci_mig_pending(t->mig, &info));
	KUNIT_EXPECT_EQ(test, 9, info.initial);
	mig_expect(test, "continue", VFIO_DEVICE_STATE_STOP_COPY, 0, "qsc",
		   VFIO_DEVICE_STATE_STOP_COPY);
	KUNIT_EXPECT_EQ(test, session, t->mig->session);
	test_fill_all(test, &b, true);
	KUNIT_EXPECT_EQ(test, VFIO_PCI_MIG_COMPLETE, t->mig->stream.phase);
	mig_expect(test, "end", VFIO_DEVICE_STATE_STOP, 0, "e",
		   VFIO_DEVICE_STATE_STOP);
	KUNIT_EXPECT_NE(test, session, t->mig->session);

	/* The device loads its own state */
	session = t->mig->session;
	mig_expect(test, "resume", VFIO_DEVICE_STATE_RESUMING, 0, "i",
		   VFIO_DEVICE_STATE_RESUMING);
	KUNIT_EXPECT_NE(test, session, t->mig->session);
	KUNIT_EXPECT_EQ(test, 0, mig_feed(&t->mig->stream, b.data, b.len, 50));
	mig_expect(test, "run", VFIO_DEVICE_STATE_RUNNING, 0, "eqr",
		   VFIO_DEVICE_STATE_RUNNING);
	KUNIT_EXPECT_EQ(test, 1, t->fake->loaded[MIG_PRECOPY]);
	KUNIT_EXPECT_EQ(test, 1, t->fake->loaded[MIG_DATA]);

	/* After an aborted session, userspace starts a new one */
	mig_fake_forget(t->fake);
	b.len = 0;
	mig_expect(test, "restart", VFIO_DEVICE_STATE_STOP_COPY, 0, "qsc",
		   VFIO_DEVICE_STATE_STOP_COPY);
	session = t->mig->session;
	KUNIT_EXPECT_EQ(test, 0, vfio_pci_mig_fill(&t->mig->stream, true));
	mig_expect(test, "abort", VFIO_DEVICE_STATE_STOP, 0, "e",
		   VFIO_DEVICE_STATE_STOP);
	mig_expect(test, "second restart", VFIO_DEVICE_STATE_STOP_COPY, 0, "c",
		   VFIO_DEVICE_STATE_STOP_COPY);
	KUNIT_EXPECT_NE(test, session, t->mig->session);
	test_fill_all(test, &b, true);
	KUNIT_EXPECT_EQ(test, 0, mig_verdict(t->fake, t->mig->dev, b.data,
					     b.len, SIZE_MAX));
}

static void test_begin_and_end_are_optional(struct kunit *test)
{
	struct mig_device *t = test->priv;

	mig_start(test, true, true);
	t->fake->ops.begin = NULL;
	t->fake->ops.end = NULL;
	mig_expect(test, "in", VFIO_DEVICE_STATE_PRE_COPY, 0, "",
		   VFIO_DEVICE_STATE_PRE_COPY);
	mig_expect(test, "out", VFIO_DEVICE_STATE_STOP, 0, "qs",
		   VFIO_DEVICE_STATE_STOP);
}

/* Closing the device in any state ends the session */
static void test_close_ends_the_session(struct kunit *test)
{
	struct mig_device *t = test->priv;
	struct vfio_pci_mig *mig;
	enum vfio_device_mig_state state;

	mig_start(test, true, true);
	for (state = 0; state < MIG_STATES; state++) {
		mig_reach(test, state);
		mig = vfio_pci_mig_get(&t->vdev->vdev);
		KUNIT_EXPECT_PTR_EQ(test, t->mig, mig);
		vfio_pci_vendors_close(t->vdev);
		KUNIT_EXPECT_STREQ_MSG(test,
				       mig_transfers(state) ? "e-" : "-",
				       t->fake->events, "%s",
				       mig_state_name(state));
		/*
		 * Other holders of a reference notice that the device is closed
		 */
		KUNIT_EXPECT_NULL(test, mig->vdev);
		KUNIT_EXPECT_NULL(test, mig->stream.payload);
		KUNIT_EXPECT_NULL(test, vfio_pci_mig_get(&t->vdev->vdev));
		vfio_pci_mig_put(mig);
		vfio_pci_regions_free(t->vdev);
		mig_open(test);
		KUNIT_ASSERT_NOT_NULL(test, t->mig);
		KUNIT_EXPECT_EQ(test, VFIO_DEVICE_STATE_RUNNING, t->mig->state);
	}

	/* A session that began with pre-copy ends once */
	mig_reach(test, VFIO_DEVICE_STATE_PRE_COPY);
	KUNIT_EXPECT_EQ(test, 0, mig_set(t, VFIO_DEVICE_STATE_STOP_COPY));
	vfio_pci_vendors_close(t->vdev);
	KUNIT_EXPECT_STREQ(test, "qsce-", t->fake->events);
}

/* Only userspace that knows the flag sees more initial bytes than before */
static void test_new_initial_data_is_reported_once(struct kunit *test)
{
	struct mig_device *t = test->priv;
	struct vfio_pci_precopy_info info;
	struct mig_bytes b;
	bool knows;

	mig_bytes_alloc(test, &b, PAGE_SIZE);
	mig_start(test, true, true);
	t->fake->parts[MIG_PRECOPY][0] = 9;
	for (knows = false; ; knows = true) {
		t->vdev->vdev.precopy_info_v2 = knows;
		mig_reach(test, VFIO_DEVICE_STATE_PRE_COPY);
		t->fake->parts[MIG_PRECOPY][0] = 9;
		b.len = 0;
		test_fill_all(test, &b, false);
		KUNIT_EXPECT_EQ(test, 0, vfio_pci_mig_pending(t->mig, &info));
		KUNIT_EXPECT_EQ(test, 9, info.initial);
		KUNIT_EXPECT_FALSE(test, info.reinit);

		t->fake->reinit = true;
		t->fake->parts[MIG_PRECOPY][0] = 20;
		KUNIT_EXPECT_EQ(test, 0, vfio_pci_mig_pending(t->mig, &info));
		KUNIT_EXPECT_EQ(test, knows ? 20 : 9, info.initial);
		KUNIT_EXPECT_EQ(test, knows ? 7 : 7 + 11, info.dirty);
		KUNIT_EXPECT_EQ(test, knows, info.reinit);

		/* The flag stays until userspace reads it */
		t->fake->reinit = false;
		t->fake->parts[MIG_PRECOPY][0] = 15;
		KUNIT_EXPECT_EQ(test, 0, vfio_pci_mig_pending(t->mig, &info));
		KUNIT_EXPECT_EQ(test, knows ? 15 : 9, info.initial);
		KUNIT_EXPECT_EQ(test, knows, info.reinit);
		if (knows)
			break;
	}
}

static struct kunit_case mig_test_cases[] = {
	KUNIT_CASE_PARAM(test_state_changes_call_operations_in_order, abilities_gen_params),
	KUNIT_CASE(test_failure_keeps_the_last_reached_state),
	KUNIT_CASE(test_incomplete_stream_is_an_error),
	KUNIT_CASE(test_session_spans_precopy_and_stop_copy),
	KUNIT_CASE(test_begin_and_end_are_optional),
	KUNIT_CASE(test_new_initial_data_is_reported_once),
	KUNIT_CASE(test_close_ends_the_session),
	{}
};

static struct kunit_suite mig_test_suite = {
	.name		= "vfio-pci-migration",
	.init		= mig_device_init,
	.exit		= mig_device_exit,
	.test_cases	= mig_test_cases,
};

kunit_test_suite(mig_test_suite);

MODULE_IMPORT_NS("EXPORTED_FOR_KUNIT_TESTING");
MODULE_DESCRIPTION("KUnit tests of the migration state machine of vfio-pci");
MODULE_LICENSE("GPL");
