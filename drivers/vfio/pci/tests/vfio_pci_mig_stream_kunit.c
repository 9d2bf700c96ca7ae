// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests of the migration stream of vfio-pci
 */

#include <kunit/test.h>
#include <linux/mman.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/uaccess.h>
#include <linux/uio.h>
#include <linux/vfio_pci_core.h>

#include "vfio_pci_mig_kunit.h"

#define PART		((u32)VFIO_PCI_MIG_PART)
#define NONCE		0x1122334455667788ULL
/* Room for the largest stream of these tests */
#define STREAM_MAX	(5 * VFIO_PCI_MIG_WINDOW)

struct stream_test {
	struct mig_fake *fake;
	struct vfio_pci_vendor vendor;
	struct vfio_pci_core_device *vdev;
	void *window;
	struct mig_bytes sent;
	struct mig_bytes bytes;
};

static int stream_test_init(struct kunit *test)
{
	struct stream_test *t;

	t = kunit_kzalloc(test, sizeof(*t), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, t);
	t->vdev = vfio_pci_kunit_device(test, 0x1234);
	t->vdev->pdev->subsystem_vendor = 0x5678;
	t->vdev->pdev->subsystem_device = 0x9abc;
	t->vdev->pdev->revision = 0xde;
	t->fake = mig_fake_alloc(test, "stream_test", 0x1234);
	t->vendor.dev = (struct vfio_pci_vendor_device) {
		.vdev = t->vdev,
		.pdev = t->vdev->pdev,
		.driver = &t->fake->driver,
	};
	t->window = mig_vmalloc(test, VFIO_PCI_MIG_WINDOW);
	mig_bytes_alloc(test, &t->sent, STREAM_MAX);
	mig_bytes_alloc(test, &t->bytes, STREAM_MAX);
	test->priv = t;

	return 0;
}

static void stream_parts(struct stream_test *t, int kind, const u32 *parts)
{
	unsigned int i;

	for (i = 0; i < MIG_PARTS && parts[i]; i++)
		t->fake->parts[kind][i] = parts[i];
	t->fake->parts[kind][i] = 0;
}

/* A stream that is short enough for a test that flips each bit */
static void stream_short(struct stream_test *t)
{
	stream_parts(t, MIG_PRECOPY, (u32 []){ 5, 0 });
	stream_parts(t, MIG_DATA, (u32 []){ 3, 17, 0 });
	mig_put_all(&t->bytes, t->fake, t->vendor.dev.pdev, NONCE);
}

static int stream_verdict(struct stream_test *t)
{
	return mig_verdict(t->fake, &t->vendor.dev, t->bytes.data, t->bytes.len,
			   SIZE_MAX);
}

/* Expect that all parts were loaded */
static void stream_expect_loaded(struct stream_test *t)
{
	unsigned int kind, nr;

	for (kind = 0; kind < MIG_KINDS; kind++) {
		for (nr = 0; t->fake->parts[kind][nr]; nr++)
			;
		KUNIT_EXPECT_EQ(t->fake->test, nr, t->fake->loaded[kind]);
	}
}

static void stream_take(struct stream_test *t,
			struct vfio_pci_mig_stream *stream, size_t size)
{
	struct mig_bytes *sent = &t->sent;

	KUNIT_ASSERT_LE(t->fake->test, size, vfio_pci_mig_left(stream));
	KUNIT_ASSERT_LE(t->fake->test, sent->len + size, sent->max);
	memcpy(sent->data + sent->len, stream->window + stream->taken, size);
	stream->taken += size;
	sent->len += size;
}

/* Take all available data, each record in two pieces */
static void stream_take_all(struct stream_test *t,
			    struct vfio_pci_mig_stream *stream, bool stopped)
{
	struct kunit *test = t->fake->test;

	for (;;) {
		KUNIT_ASSERT_EQ(test, 0, vfio_pci_mig_fill(stream, stopped));
		if (!vfio_pci_mig_left(stream))
			return;
		stream_take(t, stream, vfio_pci_mig_left(stream) / 2);
		/* A fill has no effect while the window has data */
		KUNIT_ASSERT_EQ(test, 0, vfio_pci_mig_fill(stream, stopped));
		stream_take(t, stream, vfio_pci_mig_left(stream));
	}
}

struct layout {
	const char *name;
	u32 precopy[MIG_PARTS];
	u32 data[MIG_PARTS];
};

static const struct layout layouts[] = {
	{ "empty" },
	{ "a byte", {}, { 1 } },
	{ "a byte less than a part", {}, { PART - 1 } },
	{ "a part", {}, { PART } },
	{ "a byte more than a part", {}, { PART, 1 } },
	{ "parts", {}, { PART, PART, 77 } },
	{ "pieces", {}, { 1, 2, 3, 65536, 4, 5, 6, 7 } },
	{ "precopy only", { 5, 1 }, {} },
	{ "precopy", { PART, 3, PART - 1 }, { 9, PART } },
};

static void layout_name(const struct layout *layout, char *name)
{
	strscpy(name, layout->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(layout, layouts, layout_name);

/* The sent stream follows the documentation and can be received */
static void test_sent_stream_is_received(struct kunit *test)
{
	static const size_t pieces[] = { SIZE_MAX, 4097, 81, 79, 16, 7, 1 };
	const struct layout *layout = test->param_value;
	struct stream_test *t = test->priv;
	struct vfio_pci_mig_stream stream;
	unsigned int i;

	stream_parts(t, MIG_PRECOPY, layout->precopy);
	stream_parts(t, MIG_DATA, layout->data);

	vfio_pci_mig_send(&stream, &t->vendor.dev, t->window);
	stream_take_all(t, &stream, false);
	KUNIT_EXPECT_EQ(test, 0, t->fake->saved[MIG_DATA]);
	stream_take_all(t, &stream, true);
	KUNIT_EXPECT_EQ(test, VFIO_PCI_MIG_COMPLETE, stream.phase);

	mig_put_all(&t->bytes, t->fake, t->vendor.dev.pdev,
		    get_unaligned_le64(t->sent.data + 64));
	KUNIT_ASSERT_EQ(test, t->bytes.len, t->sent.len);
	/* KUNIT_EXPECT_MEMEQ() would print all bytes */
	KUNIT_EXPECT_EQ(test, 0, memcmp(t->bytes.data, t->sent.data,
					t->sent.len));

	for (i = 0; i < ARRAY_SIZE(pieces); i++) {
		/* Small pieces of a large stream would take too long */
		if (t->sent.len / pieces[i] > 100000)
			continue;
		KUNIT_EXPECT_EQ(test, 0,
				mig_verdict(t->fake, &t->vendor.dev, t->sent.data,
					    t->sent.len, pieces[i]));
		stream_expect_loaded(t);
	}
}

/* Each byte of the header */
static void test_header_follows_the_documentation(struct kunit *test)
{
	static const u8 start[64] = {
		'V', 'F', 'I', 'O', '-', 'P', 'C', 'I', 1, 0, 0, 0, 80, 0, 0, 0,
		0xfe, 0xff, 0x34, 0x12, 0x78, 0x56, 0xbc, 0x9a, 0xde, 0, 0, 0,
		5, 0, 0, 0,
		's', 't', 'r', 'e', 'a', 'm', '_', 't', 'e', 's', 't',
	};
	struct stream_test *t = test->priv;
	struct vfio_pci_mig_stream stream;
	u64 nonces[2];
	unsigned int i;

	for (i = 0; i < 2; i++) {
		vfio_pci_mig_send(&stream, &t->vendor.dev, t->window);
		KUNIT_EXPECT_EQ(test, 0, vfio_pci_mig_left(&stream));
		KUNIT_ASSERT_EQ(test, 0, vfio_pci_mig_fill(&stream, true));
		KUNIT_ASSERT_EQ(test, 80, vfio_pci_mig_left(&stream));
		KUNIT_EXPECT_MEMEQ(test, t->window, start, sizeof(start));
		nonces[i] = get_unaligned_le64(t->window + 64);
		KUNIT_EXPECT_EQ(test, 0, get_unaligned_le32(t->window + 72));
		KUNIT_EXPECT_EQ(test, crc32c(0xffffffff, t->window, 76),
				get_unaligned_le32(t->window + 76));
	}
	/* Two streams of the same state differ */
	KUNIT_EXPECT_NE(test, nonces[0], nonces[1]);

	/* A name of maximum length has no terminating 0 */
	t->fake->driver.name = "a_name_that_is_32_characters_long";
	KUNIT_ASSERT_EQ(test, 33, strlen(t->fake->driver.name));
	t->fake->driver.name++;
	vfio_pci_mig_send(&stream, &t->vendor.dev, t->window);
	KUNIT_ASSERT_EQ(test, 0, vfio_pci_mig_fill(&stream, true));
	KUNIT_EXPECT_MEMEQ(test, t->window + 32, t->fake->driver.name, 32);
	mig_put_all(&t->bytes, t->fake, t->vendor.dev.pdev, NONCE);
	KUNIT_EXPECT_EQ(test, 0, stream_verdict(t));
	t->bytes.data[63] ^= 1;
	put_unaligned_le32(crc32c(0xffffffff, t->bytes.data, 76),
			   t->bytes.data + 76);
	KUNIT_EXPECT_EQ(test, -EINVAL, stream_verdict(t));
}

/* The estimate is large enough, if all parts but the last are full */
static void test_estimate_covers_the_stream(struct kunit *test)
{
	const struct layout *layout = test->param_value;
	struct stream_test *t = test->priv;
	struct vfio_pci_mig_stream stream;
	u64 bytes, left, estimate;
	unsigned int heads;

	stream_parts(t, MIG_DATA, layout->data);
	bytes = mig_fake_bytes(t->fake, MIG_DATA);
	/*
	 * The estimate assumes full parts: count the heads of additional parts
	 */
	heads = 0;
	while (t->fake->parts[MIG_DATA][heads])
		heads++;
	heads -= DIV_ROUND_UP(bytes, PART);

	mig_put_header(&t->bytes, t->fake, t->vendor.dev.pdev, NONCE);
	mig_put_parts(&t->bytes, t->fake, MIG_DATA);
	mig_put_end(&t->bytes, 0, bytes);
	left = t->bytes.len - heads * MIG_HEAD;

	vfio_pci_mig_send(&stream, &t->vendor.dev, t->window);
	estimate = vfio_pci_mig_estimate(&stream, bytes);
	KUNIT_EXPECT_GE(test, estimate, left);
	KUNIT_EXPECT_LE(test, estimate, left + MIG_HEAD);
	KUNIT_EXPECT_EQ(test, U64_MAX,
			vfio_pci_mig_estimate(&stream, U64_MAX));
	KUNIT_EXPECT_EQ(test, U64_MAX,
			vfio_pci_mig_estimate(&stream, U64_MAX - 100));

	while (stream.phase != VFIO_PCI_MIG_COMPLETE) {
		KUNIT_ASSERT_EQ(test, 0, vfio_pci_mig_fill(&stream, true));
		while (vfio_pci_mig_left(&stream)) {
			left = t->bytes.len - t->sent.len - heads * MIG_HEAD;
			estimate = vfio_pci_mig_estimate(&stream, bytes);
			if (!heads)
				KUNIT_EXPECT_GE(test, estimate, left);
			KUNIT_EXPECT_LE(test, estimate,
					left + (heads + 1) * MIG_HEAD);
			/*
			 * If the state shrinks, the estimate still includes the
			 * window
			 */
			left = vfio_pci_mig_left(&stream);
			estimate = vfio_pci_mig_estimate(&stream, 0);
			KUNIT_EXPECT_GE(test, estimate, left);
			KUNIT_EXPECT_LE(test, estimate, left + 3 * MIG_HEAD);
			stream_take(t, &stream,
				    DIV_ROUND_UP(vfio_pci_mig_left(&stream), 2));
		}
	}
	KUNIT_EXPECT_EQ(test, 0, vfio_pci_mig_estimate(&stream, U64_MAX));
}

/* A stream is complete only at its end, and may arrive in two pieces */
static void test_truncated_stream_is_refused(struct kunit *test)
{
	struct stream_test *t = test->priv;
	struct vfio_pci_mig_stream stream;
	size_t at;

	stream_short(t);
	for (at = 0; at < t->bytes.len; at++) {
		mig_fake_forget(t->fake);
		KUNIT_ASSERT_EQ(test, 0, vfio_pci_mig_receive(&stream, &t->vendor.dev));
		KUNIT_EXPECT_EQ(test, 0, mig_feed(&stream, t->bytes.data, at,
						  SIZE_MAX));
		KUNIT_EXPECT_EQ_MSG(test, -EINVAL,
				    vfio_pci_mig_received(&stream),
				    "after %zu bytes", at);
		KUNIT_EXPECT_EQ(test, 0, mig_feed(&stream, t->bytes.data + at,
						  t->bytes.len - at, SIZE_MAX));
		KUNIT_EXPECT_EQ(test, 0, vfio_pci_mig_received(&stream));
		stream_expect_loaded(t);
		vfio_pci_mig_end(&stream);
	}
}

static void test_bit_flips_are_detected(struct kunit *test)
{
	struct stream_test *t = test->priv;
	size_t bit;
	int ret;

	stream_short(t);
	for (bit = 0; bit < t->bytes.len * 8; bit++) {
		t->bytes.data[bit / 8] ^= BIT(bit % 8);
		ret = stream_verdict(t);
		KUNIT_EXPECT_TRUE_MSG(test, ret == -EINVAL || ret == -EBADMSG,
				      "bit %zu: %d", bit, ret);
		t->bytes.data[bit / 8] ^= BIT(bit % 8);
	}
	KUNIT_EXPECT_EQ(test, 0, stream_verdict(t));
	stream_expect_loaded(t);
}

/* After an error, no data makes the stream valid */
static void test_error_is_permanent(struct kunit *test)
{
	struct stream_test *t = test->priv;
	struct vfio_pci_mig_stream stream;
	size_t at;

	stream_short(t);
	/* Change the first record after the header */
	at = MIG_HEADER + MIG_HEAD;
	t->bytes.data[at] ^= 1;
	KUNIT_ASSERT_EQ(test, 0, vfio_pci_mig_receive(&stream, &t->vendor.dev));
	KUNIT_EXPECT_EQ(test, -EBADMSG, mig_feed(&stream, t->bytes.data,
						 t->bytes.len, SIZE_MAX));
	t->bytes.data[at] ^= 1;
	KUNIT_EXPECT_EQ(test, -EBADMSG, mig_feed(&stream, t->bytes.data,
						 t->bytes.len, SIZE_MAX));
	KUNIT_EXPECT_EQ(test, -EBADMSG,
			mig_feed(&stream, t->bytes.data + at,
				 t->bytes.len - at, SIZE_MAX));
	KUNIT_EXPECT_EQ(test, -EBADMSG, vfio_pci_mig_received(&stream));
	KUNIT_EXPECT_EQ(test, 0, t->fake->loaded[MIG_PRECOPY]);
	KUNIT_EXPECT_EQ(test, 0, t->fake->loaded[MIG_DATA]);
	vfio_pci_mig_end(&stream);
}

#define NR_RECORDS	6

/* Offsets of the records in the next test; all have the same size */
#define RECORD		(MIG_HEAD + 16)
#define RECORD_AT(i)	(MIG_HEADER + (i) * RECORD)

static void stream_copy(struct mig_bytes *b, const u8 *from, size_t len)
{
	memcpy(b->data + b->len, from, len);
	b->len += len;
}

/* Valid records that are missing, repeated, swapped or from another stream */
static void test_misplaced_records_are_refused(struct kunit *test)
{
	struct stream_test *t = test->priv;
	u8 *one = t->sent.data, *other = t->sent.data + PAGE_SIZE;
	struct mig_bytes *b = &t->bytes;
	unsigned int i, j;
	size_t len;

	stream_parts(t, MIG_PRECOPY, (u32 []){ 16, 16, 0 });
	stream_parts(t, MIG_DATA, (u32 []){ 16, 16, 16, 0 });
	mig_put_all(b, t->fake, t->vendor.dev.pdev, NONCE + 1);
	len = b->len;
	KUNIT_ASSERT_EQ(test, RECORD_AT(NR_RECORDS), len);
	memcpy(other, b->data, len);
	mig_put_all(b, t->fake, t->vendor.dev.pdev, NONCE);
	memcpy(one, b->data, len);

	for (i = 0; i < NR_RECORDS; i++) {
		/* A missing record */
		b->len = 0;
		stream_copy(b, one, RECORD_AT(i));
		stream_copy(b, one + RECORD_AT(i + 1), len - RECORD_AT(i + 1));
		KUNIT_EXPECT_NE_MSG(test, 0, stream_verdict(t), "%u", i);

		/* A repeated record */
		b->len = 0;
		stream_copy(b, one, RECORD_AT(i + 1));
		stream_copy(b, one + RECORD_AT(i), len - RECORD_AT(i));
		KUNIT_EXPECT_NE_MSG(test, 0, stream_verdict(t), "%u", i);

		/* Two swapped records */
		for (j = i + 1; j < NR_RECORDS; j++) {
			b->len = 0;
			stream_copy(b, one, len);
			memcpy(b->data + RECORD_AT(i), one + RECORD_AT(j),
			       RECORD);
			memcpy(b->data + RECORD_AT(j), one + RECORD_AT(i),
			       RECORD);
			KUNIT_EXPECT_NE_MSG(test, 0, stream_verdict(t),
					    "%u %u", i, j);
		}

		/*
		 * All records from @i on, or only record @i, come from another
		 * stream
		 */
		b->len = 0;
		stream_copy(b, one, RECORD_AT(i));
		stream_copy(b, other + RECORD_AT(i), len - RECORD_AT(i));
		KUNIT_EXPECT_EQ_MSG(test, -EBADMSG, stream_verdict(t), "%u", i);
		b->len = 0;
		stream_copy(b, one, len);
		memcpy(b->data + RECORD_AT(i), other + RECORD_AT(i), RECORD);
		KUNIT_EXPECT_EQ_MSG(test, -EBADMSG, stream_verdict(t), "%u", i);
	}

	/* Data after the end */
	b->len = 0;
	stream_copy(b, one, len);
	KUNIT_EXPECT_EQ(test, 0, stream_verdict(t));
	b->data[b->len++] = 0;
	KUNIT_EXPECT_EQ(test, -EINVAL, stream_verdict(t));
	b->len = len;
	stream_copy(b, one, len);
	KUNIT_EXPECT_EQ(test, -EINVAL, stream_verdict(t));
}

/* Invalid record heads with valid checksums */
static void test_invalid_record_heads_are_refused(struct kunit *test)
{
	static const struct { u32 type, size, reserved; } bad[] = {
		{ 0, 16 }, { 4, 16 }, { 0x7fffffff, 16 }, { 0x01000000, 16 },
		{ 0x80000000, PART + 1 }, { 0xffffffff, 0xffffffff },
		{ 0xffffffff, 16, 1 },
		{ 1, 0 }, { 2, 0 }, { 3, 0 },
		{ 1, PART + 1 }, { 2, PART + 1 }, { 3, PART + 1 },
		{ 1, 0x7fffffff }, { 2, 0x7fffffff }, { 3, 0x7fffffff },
		{ 1, 0x80000000 }, { 2, 0x80000000 }, { 3, 0x80000000 },
		{ 1, 0xffffffff }, { 2, 0xffffffff }, { 3, 0xffffffff },
		{ 1, 0xfffffff0 }, { 2, 0xfffffff0 }, { 3, 0xfffffff0 },
		{ 3, 15 }, { 3, 17 }, { 3, 32 },
		{ 1, 16, 1 }, { 2, 16, 1 }, { 3, 16, 1 },
		{ 2, 16, 0x80000000 },
	};
	struct stream_test *t = test->priv;
	struct mig_bytes *b = &t->bytes;
	unsigned int i;
	u8 *head;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		mig_put_header(b, t->fake, t->vendor.dev.pdev, NONCE);
		head = b->data + b->len;
		memset(head, 0, MIG_HEAD + 64);
		put_unaligned_le32(bad[i].type, head);
		put_unaligned_le32(bad[i].size, head + 4);
		put_unaligned_le32(bad[i].reserved, head + 8);
		put_unaligned_le32(crc32c(crc32c(b->crc, head, 12),
					  head + MIG_HEAD,
					  min(bad[i].size, 64)), head + 12);
		/*
		 * The core refuses the head before the payload arrives
		 */
		b->len = MIG_HEADER + MIG_HEAD - 1;
		KUNIT_EXPECT_EQ(test, -EINVAL, stream_verdict(t));
		b->len = MIG_HEADER + MIG_HEAD;
		KUNIT_EXPECT_EQ_MSG(test, -EINVAL,
				    mig_verdict(t->fake, &t->vendor.dev, b->data,
						b->len, 1),
				    "%u", i);
		b->len += min(bad[i].size, 64);
		KUNIT_EXPECT_EQ_MSG(test, -EINVAL, stream_verdict(t), "%u", i);
	}

	/* A valid pre-copy record is refused if the driver has no pre-copy */
	stream_parts(t, MIG_PRECOPY, (u32 []){ 16, 0 });
	mig_put_all(b, t->fake, t->vendor.dev.pdev, NONCE);
	KUNIT_EXPECT_EQ(test, 0, stream_verdict(t));
	t->fake->ops.precopy = NULL;
	KUNIT_EXPECT_EQ(test, -EINVAL, stream_verdict(t));
	KUNIT_EXPECT_EQ(test, 0, t->fake->loaded[MIG_PRECOPY]);
	t->fake->ops.precopy = &t->fake->precopy;

	/* Pre-copy records are refused after a data record */
	mig_put_header(b, t->fake, t->vendor.dev.pdev, NONCE);
	stream_parts(t, MIG_DATA, (u32 []){ 3, 0 });
	mig_put_parts(b, t->fake, MIG_DATA);
	mig_put_parts(b, t->fake, MIG_PRECOPY);
	mig_put_end(b, 16, 3);
	KUNIT_EXPECT_EQ(test, -EINVAL, stream_verdict(t));
	KUNIT_EXPECT_EQ(test, 1, t->fake->loaded[MIG_DATA]);
	KUNIT_EXPECT_EQ(test, 0, t->fake->loaded[MIG_PRECOPY]);
}

/* The core skips unknown optional records anywhere before the trailer */
static void test_unknown_optional_records_are_skipped(struct kunit *test)
{
	static const u32 sizes[] = { 0, 1, 100, PART };
	struct stream_test *t = test->priv;
	struct mig_bytes *b = &t->bytes;
	unsigned int i, place;

	stream_parts(t, MIG_PRECOPY, (u32 []){ 5, 0 });
	stream_parts(t, MIG_DATA, (u32 []){ 3, 0 });
	for (i = 0; i < ARRAY_SIZE(sizes) * 4; i++) {
		u32 type = 0x80000000 | i, size = sizes[i / 4];

		place = i % 4;
		mig_put_header(b, t->fake, t->vendor.dev.pdev, NONCE);
		if (place == 0)
			mig_put_record(b, type, size);
		mig_put_parts(b, t->fake, MIG_PRECOPY);
		if (place == 1)
			mig_put_record(b, type, size);
		mig_put_parts(b, t->fake, MIG_DATA);
		if (place == 2)
			mig_put_record(b, type, size);
		mig_put_end(b, 5, 3);
		if (place == 3)
			mig_put_record(b, type, size);
		KUNIT_EXPECT_EQ_MSG(test, place == 3 ? -EINVAL : 0,
				    stream_verdict(t), "%u", i);
		stream_expect_loaded(t);

		/* The checksum also covers these records */
		if (place)
			continue;
		b->data[MIG_HEADER + 1] ^= 1;
		KUNIT_EXPECT_EQ(test, -EBADMSG, stream_verdict(t));
	}
}

/* A driver may accept some differences between the devices */
static void test_driver_may_ignore_ids(struct kunit *test)
{
	static const struct { u8 at; u32 needs; } ids[] = {
		{ 16, U32_MAX }, { 18, U32_MAX },
		{ 20, VFIO_PCI_MIGRATION_ANY_SUBSYSTEM },
		{ 22, VFIO_PCI_MIGRATION_ANY_SUBSYSTEM },
		{ 24, VFIO_PCI_MIGRATION_ANY_REVISION },
	};
	struct stream_test *t = test->priv;
	struct mig_bytes *b = &t->bytes;
	unsigned int i;
	u32 ignore;

	for (i = 0; i < ARRAY_SIZE(ids); i++) {
		mig_put_header(b, t->fake, t->vendor.dev.pdev, NONCE);
		b->data[ids[i].at] ^= 1;
		b->crc = crc32c(0xffffffff, b->data, 76);
		put_unaligned_le32(b->crc, b->data + 76);
		mig_put_end(b, 0, 0);
		for (ignore = 0; ignore < 4; ignore++) {
			t->fake->ops.ignore_ids = ignore;
			KUNIT_EXPECT_EQ_MSG(test,
					    (ignore & ids[i].needs) == ids[i].needs ?
					    0 : -EINVAL,
					    stream_verdict(t), "%u %u", i, ignore);
		}
	}
}

/* The trailer must have the total sizes of the records */
static void test_wrong_total_sizes_are_refused(struct kunit *test)
{
	static const struct { u64 precopy, data; int ret; } ends[] = {
		{ 5, 3, 0 },
		{ 3, 5, -EINVAL }, { 5, 2, -EINVAL }, { 5, 4, -EINVAL },
		{ 4, 3, -EINVAL }, { 6, 3, -EINVAL }, { 0, 8, -EINVAL },
		{ 5, 3 + BIT_ULL(32), -EINVAL }, { 5 + BIT_ULL(32), 3, -EINVAL },
		{ 5 + BIT_ULL(63), 3, -EINVAL }, { 0, 0, -EINVAL },
	};
	struct stream_test *t = test->priv;
	unsigned int i;

	stream_parts(t, MIG_PRECOPY, (u32 []){ 5, 0 });
	stream_parts(t, MIG_DATA, (u32 []){ 3, 0 });
	for (i = 0; i < ARRAY_SIZE(ends); i++) {
		mig_put_header(&t->bytes, t->fake, t->vendor.dev.pdev, NONCE);
		mig_put_parts(&t->bytes, t->fake, MIG_PRECOPY);
		mig_put_parts(&t->bytes, t->fake, MIG_DATA);
		mig_put_end(&t->bytes, ends[i].precopy, ends[i].data);
		KUNIT_EXPECT_EQ_MSG(test, ends[i].ret, stream_verdict(t), "%u",
				    i);
	}
}

/* Headers with a valid checksum */
static void test_invalid_headers_are_refused(struct kunit *test)
{
	static const struct { u8 at; u8 val; int ret; } edits[] = {
		{ 0, 'v', -EINVAL }, { 7, 0, -EINVAL },
		/* Unknown formats */
		{ 8, 0, -EINVAL }, { 8, 2, -EINVAL }, { 11, 1, -EINVAL },
		{ 12, 79, -EINVAL }, { 12, 81, -EINVAL }, { 15, 1, -EINVAL },
		/* Another vendor, device, subsystem or revision */
		{ 16, 0xff, -EINVAL }, { 17, 0xfe, -EINVAL },
		{ 18, 0x35, -EINVAL }, { 19, 0x13, -EINVAL },
		{ 20, 0x79, -EINVAL }, { 21, 0x57, -EINVAL },
		{ 22, 0xbd, -EINVAL }, { 23, 0x9b, -EINVAL },
		{ 24, 0xdf, -EINVAL },
		{ 25, 1, -EINVAL }, { 26, 1, -EINVAL }, { 27, 1, -EINVAL },
		/* The driver accepts versions 3 to 5 */
		{ 28, 0, -EINVAL }, { 28, 2, -EINVAL }, { 28, 3, 0 },
		{ 28, 4, 0 }, { 28, 5, 0 }, { 28, 6, -EINVAL },
		{ 29, 1, -EINVAL }, { 31, 0x80, -EINVAL },
		/* Another driver, also with a similar name */
		{ 32, 'S', -EINVAL }, { 42, 0, -EINVAL }, { 43, '2', -EINVAL },
		{ 63, 1, -EINVAL },
		/* Any nonce is valid */
		{ 64, 0, 0 }, { 71, 0xff, 0 },
		{ 72, 1, -EINVAL }, { 75, 0x80, -EINVAL },
	};
	struct stream_test *t = test->priv;
	struct mig_bytes *b = &t->bytes;
	unsigned int i;

	stream_parts(t, MIG_DATA, (u32 []){ 3, 0 });
	for (i = 0; i < ARRAY_SIZE(edits); i++) {
		mig_put_header(b, t->fake, t->vendor.dev.pdev, NONCE);
		b->data[edits[i].at] = edits[i].val;
		b->crc = crc32c(0xffffffff, b->data, 76);
		put_unaligned_le32(b->crc, b->data + 76);
		mig_put_parts(b, t->fake, MIG_DATA);
		mig_put_end(b, 0, 3);
		KUNIT_EXPECT_EQ_MSG(test, edits[i].ret, stream_verdict(t),
				    "byte %u as %#x", edits[i].at, edits[i].val);
		if (!edits[i].ret)
			continue;
		KUNIT_EXPECT_EQ(test, 0, t->fake->loaded[MIG_DATA]);
		/* The header alone is enough to refuse the stream */
		b->len = MIG_HEADER;
		KUNIT_EXPECT_EQ(test, -EINVAL, stream_verdict(t));
	}

	/* The driver may be older or newer than the sender */
	mig_put_all(b, t->fake, t->vendor.dev.pdev, NONCE);
	t->fake->ops.version = 4;
	KUNIT_EXPECT_EQ(test, -EINVAL, stream_verdict(t));
	t->fake->ops.version = 9;
	t->fake->ops.min_version = 6;
	KUNIT_EXPECT_EQ(test, -EINVAL, stream_verdict(t));
	t->fake->ops.min_version = 5;
	KUNIT_EXPECT_EQ(test, 0, stream_verdict(t));
}

static const struct { ssize_t ret; int error; } save_errors[] = {
	{ -EBUSY, -EBUSY }, { -MAX_ERRNO, -MAX_ERRNO },
	{ -MAX_ERRNO - 1, -EIO }, { LONG_MIN, -EIO },
	{ PART + 1, -EIO }, { VFIO_PCI_MIG_WINDOW, -EIO }, { LONG_MAX, -EIO },
};

/* After an error, saving continues at the same position */
static void test_saving_continues_after_an_error(struct kunit *test)
{
	struct stream_test *t = test->priv;
	struct vfio_pci_mig_stream stream;
	unsigned int i;
	bool stopped;

	stream_short(t);
	vfio_pci_mig_send(&stream, &t->vendor.dev, t->window);
	/* The header needs no data from the driver */
	t->fake->save_ret = -EBUSY;
	KUNIT_ASSERT_EQ(test, 0, vfio_pci_mig_fill(&stream, false));
	stream_take(t, &stream, vfio_pci_mig_left(&stream));

	for (i = 0; stream.phase != VFIO_PCI_MIG_COMPLETE; i++) {
		stopped = t->fake->saved[MIG_PRECOPY] == 1;
		t->fake->save_ret = save_errors[i % ARRAY_SIZE(save_errors)].ret;
		KUNIT_EXPECT_EQ_MSG(test,
				    save_errors[i % ARRAY_SIZE(save_errors)].error,
				    vfio_pci_mig_fill(&stream, stopped), "%u", i);
		KUNIT_EXPECT_EQ(test, 0, vfio_pci_mig_left(&stream));
		if (i % 3)
			continue;
		t->fake->save_ret = 0;
		KUNIT_ASSERT_EQ(test, 0, vfio_pci_mig_fill(&stream, stopped));
		stream_take(t, &stream, vfio_pci_mig_left(&stream));
	}
	/* Three parts with three calls each, and the end */
	KUNIT_EXPECT_EQ(test, 3 * 3 + 1, i);

	/* A complete stream does not call the driver again */
	t->fake->save_ret = -EIO;
	KUNIT_EXPECT_EQ(test, 0, vfio_pci_mig_fill(&stream, true));
	KUNIT_EXPECT_EQ(test, 0, vfio_pci_mig_left(&stream));

	mig_put_all(&t->bytes, t->fake, t->vendor.dev.pdev,
		    get_unaligned_le64(t->sent.data + 64));
	KUNIT_ASSERT_EQ(test, t->bytes.len, t->sent.len);
	KUNIT_EXPECT_MEMEQ(test, t->bytes.data, t->sent.data, t->sent.len);
}

/* After an error, no further part is loaded */
static void test_loading_ends_after_an_error(struct kunit *test)
{
	static const struct { int ret, error; } errors[] = {
		{ -EINVAL, -EINVAL }, { -ENOSPC, -ENOSPC },
		{ -MAX_ERRNO - 1, -EIO }, { INT_MIN, -EIO },
		{ 1, -EIO }, { INT_MAX, -EIO },
	};
	struct stream_test *t = test->priv;
	unsigned int i;

	stream_short(t);
	for (i = 0; i < ARRAY_SIZE(errors); i++) {
		t->fake->load_ret = errors[i].ret;
		KUNIT_EXPECT_EQ(test, errors[i].error, stream_verdict(t));
		KUNIT_EXPECT_EQ(test, 1, t->fake->loaded[MIG_PRECOPY]);
		KUNIT_EXPECT_EQ(test, 0, t->fake->loaded[MIG_DATA]);
	}

	t->fake->parts[MIG_PRECOPY][0] = 0;
	mig_put_all(&t->bytes, t->fake, t->vendor.dev.pdev, NONCE);
	for (i = 0; i < ARRAY_SIZE(errors); i++) {
		t->fake->load_ret = errors[i].ret;
		KUNIT_EXPECT_EQ(test, errors[i].error, stream_verdict(t));
		KUNIT_EXPECT_EQ(test, 1, t->fake->loaded[MIG_DATA]);
	}
	t->fake->load_ret = 0;
	KUNIT_EXPECT_EQ(test, 0, stream_verdict(t));
}

/* A fault is reported, and the stream may continue after it */
static void test_loading_continues_after_a_fault(struct kunit *test)
{
	struct stream_test *t = test->priv;
	struct vfio_pci_mig_stream stream;
	struct iov_iter from;
	unsigned long addr;
	size_t at, done;
	u8 __user *user;

	stream_short(t);
	addr = kunit_vm_mmap(test, NULL, 0, 2 * PAGE_SIZE,
			     PROT_READ | PROT_WRITE,
			     MAP_ANONYMOUS | MAP_PRIVATE, 0);
	KUNIT_ASSERT_FALSE(test, IS_ERR_VALUE(addr));
	KUNIT_ASSERT_NE(test, 0, addr);
	user = (u8 __user *)addr;
	KUNIT_ASSERT_EQ(test, 0, vm_munmap(addr + PAGE_SIZE, PAGE_SIZE));
	KUNIT_ASSERT_GT(test, PAGE_SIZE, t->bytes.len);

	for (at = 0; at < t->bytes.len; at += 7) {
		memset(t->fake->loaded, 0, sizeof(t->fake->loaded));
		KUNIT_ASSERT_EQ(test, 0, vfio_pci_mig_receive(&stream, &t->vendor.dev));
		KUNIT_ASSERT_EQ(test, 0,
				copy_to_user(user + PAGE_SIZE - at,
					     t->bytes.data, at));
		iov_iter_ubuf(&from, ITER_SOURCE, user + PAGE_SIZE - at,
			      t->bytes.len);
		KUNIT_EXPECT_EQ(test, -EFAULT,
				vfio_pci_mig_feed(&stream, &from));
		done = t->bytes.len - iov_iter_count(&from);
		KUNIT_EXPECT_LE(test, done, at);
		KUNIT_EXPECT_NE(test, 0, vfio_pci_mig_received(&stream));
		KUNIT_EXPECT_EQ(test, 0,
				mig_feed(&stream, t->bytes.data + done,
					 t->bytes.len - done, SIZE_MAX));
		KUNIT_EXPECT_EQ(test, 0, vfio_pci_mig_received(&stream));
		stream_expect_loaded(t);
		vfio_pci_mig_end(&stream);
	}
}

static struct kunit_case stream_test_cases[] = {
	KUNIT_CASE_PARAM(test_sent_stream_is_received, layout_gen_params),
	KUNIT_CASE(test_header_follows_the_documentation),
	KUNIT_CASE_PARAM(test_estimate_covers_the_stream, layout_gen_params),
	KUNIT_CASE(test_truncated_stream_is_refused),
	KUNIT_CASE(test_bit_flips_are_detected),
	KUNIT_CASE(test_error_is_permanent),
	KUNIT_CASE(test_misplaced_records_are_refused),
	KUNIT_CASE(test_invalid_record_heads_are_refused),
	KUNIT_CASE(test_unknown_optional_records_are_skipped),
	KUNIT_CASE(test_driver_may_ignore_ids),
	KUNIT_CASE(test_wrong_total_sizes_are_refused),
	KUNIT_CASE(test_invalid_headers_are_refused),
	KUNIT_CASE(test_saving_continues_after_an_error),
	KUNIT_CASE(test_loading_ends_after_an_error),
	KUNIT_CASE(test_loading_continues_after_a_fault),
	{}
};

static struct kunit_suite stream_test_suite = {
	.name		= "vfio-pci-mig-stream",
	.init		= stream_test_init,
	.test_cases	= stream_test_cases,
};

kunit_test_suite(stream_test_suite);

MODULE_IMPORT_NS("EXPORTED_FOR_KUNIT_TESTING");
MODULE_DESCRIPTION("KUnit tests of the migration stream of vfio-pci");
MODULE_LICENSE("GPL");
