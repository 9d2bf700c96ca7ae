// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit fuzzing of the migration stream of vfio-pci
 *
 * A failure prints the seed.  The same seed makes the same streams again.
 */

#include <kunit/test.h>
#include <linux/minmax.h>
#include <linux/module.h>
#include <linux/prandom.h>
#include <linux/random.h>
#include <linux/sched.h>
#include <linux/vfio_pci_core.h>

#include "vfio_pci_mig_kunit.h"

static unsigned long long seed;
module_param(seed, ullong, 0444);
MODULE_PARM_DESC(seed, "Seed of the random numbers, or 0 for a random seed");

static unsigned int rounds = 20000;
module_param(rounds, uint, 0444);
MODULE_PARM_DESC(rounds, "Number of streams in each case (default 20000)");

#define FUZZ_MAX	2048

struct fuzz_test {
	struct mig_fake *fake;
	struct vfio_pci_vendor vendor;
	struct rnd_state rnd;
	u64 seed;
	/* A valid stream, and another one with the same payload */
	struct mig_bytes good;
	struct mig_bytes other;
	/* The mutated stream */
	struct mig_bytes bytes;
	/* Loads that the oracle expects before the stream ends or fails */
	unsigned int nr_loads;
	unsigned int loads;
	struct { u32 type, size; u64 pos; } load[FUZZ_MAX / MIG_HEAD];
};

static u32 fuzz_below(struct fuzz_test *t, u32 ceiling)
{
	return ceiling ? prandom_u32_state(&t->rnd) % ceiling : 0;
}

/* Accept any data, but compare the load with the oracle */
static int fuzz_do_load(struct vfio_pci_vendor_device *dev, const void *buf,
			size_t size, u64 pos, u32 type)
{
	struct fuzz_test *t = mig_fake(dev)->test->priv;
	unsigned int i = t->loads++;

	if (i >= t->nr_loads || t->load[i].type != type ||
	    t->load[i].size != size || t->load[i].pos != pos)
		KUNIT_FAIL(t->fake->test, "load %u: type %u size %zu at %llu",
			   i, type, size, pos);

	return 0;
}

static int fuzz_load(struct vfio_pci_vendor_device *dev, const void *buf,
		     size_t size, u64 pos)
{
	return fuzz_do_load(dev, buf, size, pos, 2);
}

static int fuzz_precopy_load(struct vfio_pci_vendor_device *dev,
			     const void *buf, size_t size, u64 pos)
{
	return fuzz_do_load(dev, buf, size, pos, 1);
}

static int fuzz_test_init(struct kunit *test)
{
	static const u32 parts[MIG_KINDS][MIG_PARTS] = {
		{ 5, 40 }, { 100, 3, 16, 64 },
	};
	struct vfio_pci_core_device *vdev;
	struct fuzz_test *t;

	t = kunit_kzalloc(test, sizeof(*t), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, t);
	vdev = vfio_pci_kunit_device(test, 1);
	t->fake = mig_fake_alloc(test, "fuzz_test", 1);
	t->fake->ops.load = fuzz_load;
	t->fake->precopy.load = fuzz_precopy_load;
	t->vendor.dev = (struct vfio_pci_vendor_device) {
		.vdev = vdev,
		.pdev = vdev->pdev,
		.driver = &t->fake->driver,
	};
	memcpy(t->fake->parts[MIG_PRECOPY], parts[MIG_PRECOPY],
	       sizeof(parts[MIG_PRECOPY]));
	memcpy(t->fake->parts[MIG_DATA], parts[MIG_DATA],
	       sizeof(parts[MIG_DATA]));

	t->seed = seed ?: get_random_u64();
	prandom_seed_state(&t->rnd, t->seed);
	kunit_info(test, "seed=%llu rounds=%u", t->seed, rounds);

	mig_bytes_alloc(test, &t->good, FUZZ_MAX);
	mig_bytes_alloc(test, &t->other, FUZZ_MAX);
	mig_bytes_alloc(test, &t->bytes, FUZZ_MAX);
	mig_put_all(&t->good, t->fake, vdev->pdev, prandom_u32_state(&t->rnd));
	mig_put_all(&t->other, t->fake, vdev->pdev, ~0ULL);
	test->priv = t;

	return 0;
}

/* Return the offset of the record after @at, or the end of the stream */
static size_t fuzz_next(const struct mig_bytes *b, size_t at)
{
	size_t left = b->len - min(at, b->len);

	if (at < MIG_HEADER)
		return MIG_HEADER;
	if (left < MIG_HEAD ||
	    get_unaligned_le32(b->data + at + 4) > left - MIG_HEAD)
		return b->len;

	return at + MIG_HEAD + get_unaligned_le32(b->data + at + 4);
}

/* Return the offset of a random record of the mutated stream */
static size_t fuzz_record(struct fuzz_test *t)
{
	unsigned int i = fuzz_below(t, 8);
	size_t at = 0;

	do {
		at = fuzz_next(&t->bytes, at);
	} while (i-- && at < t->bytes.len);

	return min(at, t->bytes.len);
}

/* Replace @old bytes at @at by @size bytes at @from */
static void fuzz_replace(struct fuzz_test *t, size_t at, size_t old,
			 const u8 *from, size_t size)
{
	struct mig_bytes *b = &t->bytes;

	at = min(at, b->len);
	old = min(old, b->len - at);
	if (b->len - old + size > FUZZ_MAX / 2)
		return;
	memmove(b->data + at + size, b->data + at + old, b->len - at - old);
	memcpy(b->data + at, from, size);
	b->len += size - old;
}

static void fuzz_put_le32(struct fuzz_test *t, size_t at, u32 val)
{
	if (at + 4 <= t->bytes.len)
		put_unaligned_le32(val, t->bytes.data + at);
}

static void fuzz_once(struct fuzz_test *t)
{
	static const u32 numbers[] = {
		0, 1, 2, 3, 4, 15, 16, 17, 80, 0x7fffffff, 0x80000000,
		0xfffffff0, 0xffffffff, VFIO_PCI_MIG_PART, VFIO_PCI_MIG_PART + 1,
	};
	u32 number = numbers[fuzz_below(t, ARRAY_SIZE(numbers))];
	struct mig_bytes *b = &t->bytes;
	size_t at = fuzz_below(t, b->len), size = fuzz_below(t, 64);
	size_t record = fuzz_record(t), to = fuzz_next(b, record);
	u8 copy[256];
	unsigned int i;

	switch (fuzz_below(t, 12)) {
	case 0: /* Flip a bit */
		if (b->len)
			b->data[at] ^= BIT(fuzz_below(t, 8));
		break;
	case 1: /* Set random bytes */
		for (i = 0; i < size % 8; i++)
			if (at + i < b->len)
				b->data[at + i] = fuzz_below(t, 256);
		break;
	case 2: /* Truncate the stream */
		b->len = at;
		break;
	case 3: /* Set a field of a record head */
		fuzz_put_le32(t, record + 4 * fuzz_below(t, 4), number);
		break;
	case 4: /* Set an aligned word anywhere */
		fuzz_put_le32(t, round_down(at, 4), number);
		break;
	case 5: /* Change the size of a record by one */
		if (record + MIG_HEAD <= b->len)
			fuzz_put_le32(t, record + 4,
				      get_unaligned_le32(b->data + record + 4) +
				      (number & 1 ? 1 : -1));
		break;
	case 6: /* Overwrite bytes with the other stream */
		for (i = at; i < b->len && i < t->other.len &&
		     (number & 1 || i < at + size); i++)
			b->data[i] = t->other.data[i];
		break;
	case 7: /* Remove or replace bytes */
		fuzz_replace(t, at, size, t->other.data, number & 1 ? 0 : size);
		break;
	case 8: /* Remove a record */
		fuzz_replace(t, record, to - record, copy, 0);
		break;
	case 9: /* Insert a copy of a record, or replace bytes with it */
		memcpy(copy, b->data + record, min(to - record, sizeof(copy)));
		fuzz_replace(t, fuzz_record(t), number & 1 ? to - record : 0,
			     copy, min(to - record, sizeof(copy)));
		break;
	case 10: /* Append bytes */
		fuzz_replace(t, b->len, 0, t->good.data + at % t->good.len,
			     min(size, t->good.len - at % t->good.len));
		break;
	default: /* Set a field of the header */
		fuzz_put_le32(t, 4 * fuzz_below(t, MIG_HEADER / 4), number);
		break;
	}
}

/* Correct all checksums, as an attacker can */
static void fuzz_correct_checksums(struct mig_bytes *b)
{
	size_t at = MIG_HEADER, next;
	u8 *r;

	if (b->len < MIG_HEADER)
		return;
	b->crc = crc32c(~0, b->data, 76);
	put_unaligned_le32(b->crc, b->data + 76);
	for (; b->len - at >= MIG_HEAD; at = next) {
		next = fuzz_next(b, at);
		r = b->data + at;
		b->crc = crc32c(crc32c(b->crc, r, 12), r + MIG_HEAD,
				next - at - MIG_HEAD);
		put_unaligned_le32(b->crc, r + 12);
	}
}

/* Validate the stream by the rules of the documentation */
static bool fuzz_oracle(struct fuzz_test *t)
{
	u64 bytes[] = { 0, 0 };
	struct mig_bytes *b = &t->bytes;
	u8 ours[MIG_HEADER];
	struct mig_bytes header = { .data = ours };
	bool at_data = false;
	u32 type, size, crc;
	size_t at;
	u8 *r;

	t->loads = 0;
	t->nr_loads = 0;
	if (b->len < 80)
		return false;
	/* The expected header, with the nonce and the version of the stream */
	mig_put_header(&header, t->fake, t->vendor.dev.pdev,
		       get_unaligned_le64(b->data + 64));
	memcpy(header.data + 28, b->data + 28, 4);
	crc = crc32c(0xffffffff, header.data, 76);
	put_unaligned_le32(crc, header.data + 76);
	if (memcmp(header.data, b->data, 80))
		return false;
	if (get_unaligned_le32(b->data + 28) < 3 ||
	    get_unaligned_le32(b->data + 28) > 5)
		return false;

	for (at = 80; at + 16 <= b->len; at += 16 + size) {
		r = b->data + at;
		type = get_unaligned_le32(r);
		size = get_unaligned_le32(r + 4);
		if (size > b->len - at - 16 || size > 262128 ||
		    get_unaligned_le32(r + 8))
			return false;
		crc = crc32c(crc, r, 12);
		crc = crc32c(crc, r + 16, size);
		if (crc != get_unaligned_le32(r + 12))
			return false;
		if (type == 3)
			return size == 16 && at + 32 == b->len &&
			       get_unaligned_le64(r + 16) == bytes[0] &&
			       get_unaligned_le64(r + 24) == bytes[1];
		/* An optional record of an unknown type */
		if (type >= 0x80000000)
			continue;
		if ((type != 1 && type != 2) || !size ||
		    (type == 1 && at_data))
			return false;
		at_data = type == 2;
		t->load[t->nr_loads].type = type;
		t->load[t->nr_loads].size = size;
		t->load[t->nr_loads++].pos = bytes[type - 1];
		bytes[type - 1] += size;
	}

	return false;
}

static bool fuzz_same(const struct mig_bytes *a, const struct mig_bytes *b)
{
	return a->len == b->len && !memcmp(a->data, b->data, a->len);
}

/* Return the number of accepted streams that differ from the originals */
static unsigned int fuzz(struct kunit *test, bool forged)
{
	struct fuzz_test *t = test->priv;
	unsigned int i, j, accepted = 0, failures = 0;
	struct mig_bytes *b = &t->bytes;
	bool same, good;
	size_t piece;
	int ret;

	/* Stop after five failures */
	for (i = 0; i < rounds && failures < 5; i++) {
		memcpy(b->data, t->good.data, t->good.len);
		b->len = t->good.len;
		for (j = 1 + fuzz_below(t, 4); j; j--)
			fuzz_once(t);
		if (forged)
			fuzz_correct_checksums(b);

		same = fuzz_same(b, &t->good) || fuzz_same(b, &t->other);
		good = fuzz_oracle(t);
		piece = i & 1 ? SIZE_MAX : 1 + fuzz_below(t, 200);
		ret = mig_verdict(t->fake, &t->vendor.dev, b->data, b->len, piece);
		/*
		 * A mutation may have no effect, or result in the other stream
		 */
		if (!forged && !ret != same) {
			KUNIT_FAIL(test, "seed=%llu round %u: result %d for %s stream",
				   t->seed, i, ret, same ? "an original" : "a damaged");
			failures++;
		}
		if (!ret != good || t->loads != t->nr_loads) {
			KUNIT_FAIL(test,
				   "seed=%llu round %u: result %d, %u loads; expected failure %d, %u loads",
				   t->seed, i, ret, t->loads, !good,
				   t->nr_loads);
			failures++;
		}
		if (ret && ret != -EINVAL && ret != -EBADMSG) {
			KUNIT_FAIL(test, "seed=%llu round %u: unexpected errno %d", t->seed, i,
				   ret);
			failures++;
		}
		accepted += !ret && !same;
		cond_resched();
	}

	return accepted;
}

/* Accidental damage is always detected */
static void test_damaged_streams_are_refused(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, 0, fuzz(test, false));
}

/* With correct checksums, the core accepts all valid streams and no others */
static void test_forged_streams_are_accepted_only_if_valid(struct kunit *test)
{
	unsigned int accepted = fuzz(test, true);

	kunit_info(test, "%u of %u streams are valid", accepted, rounds);
	if (rounds >= 1000)
		KUNIT_EXPECT_NE(test, 0, accepted);
}

static struct kunit_case fuzz_test_cases[] = {
	KUNIT_CASE_SLOW(test_damaged_streams_are_refused),
	KUNIT_CASE_SLOW(test_forged_streams_are_accepted_only_if_valid),
	{}
};

static struct kunit_suite fuzz_test_suite = {
	.name		= "vfio-pci-mig-fuzz",
	.init		= fuzz_test_init,
	.test_cases	= fuzz_test_cases,
};

kunit_test_suite(fuzz_test_suite);

MODULE_IMPORT_NS("EXPORTED_FOR_KUNIT_TESTING");
MODULE_DESCRIPTION("KUnit fuzzing of the migration stream of vfio-pci");
MODULE_LICENSE("GPL");
