// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests of the log of DMA writes for migration
 */

#include <kunit/test.h>
#include <linux/bitmap.h>
#include <linux/interval_tree.h>
#include <linux/iova_bitmap.h>
#include <linux/mman.h>
#include <linux/module.h>
#include <linux/prandom.h>
#include <linux/uaccess.h>

#include "vfio_pci_mig_kunit.h"

/* Covers several chunks of the log */
#define LOG_BITS	16384
#define LOG_RANGES	4

struct log_test {
	struct vfio_pci_mig_log log;
	struct interval_tree_node nodes[LOG_RANGES];
	struct rb_root_cached root;
	unsigned long __user *user;
	unsigned long *bits;
	unsigned long *expect;
};

static int log_test_init(struct kunit *test)
{
	const size_t size = 2 * LOG_BITS / BITS_PER_BYTE;
	struct log_test *t;
	unsigned long addr;

	if (!IS_ENABLED(CONFIG_IOMMUFD_DRIVER))
		kunit_skip(test, "no CONFIG_IOMMUFD_DRIVER");

	t = kunit_kzalloc(test, sizeof(*t), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, t);
	t->bits = kunit_kzalloc(test, size, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, t->bits);
	t->expect = kunit_kzalloc(test, size, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, t->expect);
	addr = kunit_vm_mmap(test, NULL, 0, size, PROT_READ | PROT_WRITE,
			     MAP_ANONYMOUS | MAP_PRIVATE, 0);
	KUNIT_ASSERT_FALSE(test, IS_ERR_VALUE(addr));
	KUNIT_ASSERT_NE(test, 0, addr);
	t->user = (unsigned long __user *)addr;
	t->root = RB_ROOT_CACHED;
	vfio_pci_mig_log_init(&t->log);
	test->priv = t;

	return 0;
}

static void log_test_exit(struct kunit *test)
{
	struct log_test *t = test->priv;

	if (t)
		vfio_pci_mig_log_end(&t->log);
}

/* Add a range of addresses to log, including @start and @last */
static void log_range(struct log_test *t, unsigned int i, u64 start, u64 last)
{
	t->nodes[i].start = start;
	t->nodes[i].last = last;
	interval_tree_insert(&t->nodes[i], &t->root);
}

/* Read the dirty bits of a range into t->bits, one for each @page_size */
static int log_read(struct kunit *test, u64 iova, u64 length, u64 page_size)
{
	const size_t size = 2 * LOG_BITS / BITS_PER_BYTE;
	struct log_test *t = test->priv;
	struct iova_bitmap *bitmap;
	int ret;

	KUNIT_ASSERT_EQ(test, 0, clear_user(t->user, size));
	bitmap = iova_bitmap_alloc(iova, length, page_size,
				   (u64 __user *)t->user);
	KUNIT_ASSERT_FALSE(test, IS_ERR_OR_NULL(bitmap));
	ret = vfio_pci_mig_log_read(&t->log, iova, length, bitmap);
	iova_bitmap_free(bitmap);
	KUNIT_ASSERT_EQ(test, 0, copy_from_user(t->bits, t->user, size));

	return ret;
}

/* Expect that exactly the pages @from to @to - 1 are dirty */
static void log_expect(struct kunit *test, u64 iova, u64 pages,
		       unsigned int from, unsigned int to)
{
	struct log_test *t = test->priv;

	KUNIT_ASSERT_LE(test, pages, LOG_BITS);
	KUNIT_EXPECT_EQ(test, 0, log_read(test, iova, pages << PAGE_SHIFT,
					  PAGE_SIZE));
	KUNIT_EXPECT_EQ_MSG(test, to - from,
			    bitmap_weight(t->bits, 2 * LOG_BITS),
			    "at %#llx", iova);
	KUNIT_EXPECT_GE_MSG(test, find_next_zero_bit(t->bits, 2 * LOG_BITS,
						     from), to,
			    "at %#llx", iova);
	/* The read has cleared the pages */
	KUNIT_EXPECT_EQ(test, 0, log_read(test, iova, pages << PAGE_SHIFT,
					  PAGE_SIZE));
	KUNIT_EXPECT_TRUE_MSG(test, bitmap_empty(t->bits, 2 * LOG_BITS),
			      "at %#llx", iova);
}

static int log_write(struct kunit *test, u64 iova, u64 length)
{
	struct log_test *t = test->priv;

	return vfio_pci_mig_log_write(&t->log, iova, length);
}

static void test_log_starts_empty(struct kunit *test)
{
	struct log_test *t = test->priv;

	/* While logging is off, a write succeeds and has no effect */
	KUNIT_EXPECT_FALSE(test, vfio_pci_mig_log_end(&t->log));
	KUNIT_EXPECT_EQ(test, 0, log_write(test, 0, SZ_1M));
	KUNIT_EXPECT_TRUE(test, xa_empty(&t->log.chunks));
	KUNIT_EXPECT_EQ(test, -EINVAL, log_read(test, 0, SZ_1M, PAGE_SIZE));

	log_range(t, 0, 0, SZ_1M - 1);
	KUNIT_ASSERT_EQ(test, 0, vfio_pci_mig_log_begin(&t->log, &t->root, 1));
	KUNIT_EXPECT_EQ(test, -EBUSY,
			vfio_pci_mig_log_begin(&t->log, &t->root, 1));
	KUNIT_EXPECT_EQ(test, 0, log_write(test, 0, SZ_1M));
	KUNIT_EXPECT_FALSE(test, xa_empty(&t->log.chunks));
	KUNIT_EXPECT_TRUE(test, vfio_pci_mig_log_end(&t->log));
	KUNIT_EXPECT_TRUE(test, xa_empty(&t->log.chunks));
	KUNIT_EXPECT_FALSE(test, vfio_pci_mig_log_end(&t->log));

	/* A new log starts empty */
	KUNIT_ASSERT_EQ(test, 0, vfio_pci_mig_log_begin(&t->log, &t->root, 1));
	log_expect(test, 0, SZ_1M >> PAGE_SHIFT, 0, 0);
	KUNIT_EXPECT_EQ(test, 0, log_write(test, 3 * PAGE_SIZE, 1));
	log_expect(test, 0, SZ_1M >> PAGE_SHIFT, 3, 4);
	KUNIT_EXPECT_TRUE(test, xa_empty(&t->log.chunks));
}

/* A write to any byte makes the page dirty, but only in the logged ranges */
static void test_written_pages_are_dirty(struct kunit *test)
{
	/* Written bytes, and the pages @from to @to - 1 that become dirty */
	static const struct {
		u64 iova, length;
		unsigned int from, to;
	} cases[] = {
		{ 0, 0, 0, 0 },
		{ 100 * PAGE_SIZE, 0, 0, 0 },
		{ 100 * PAGE_SIZE, 1, 100, 101 },
		{ 100 * PAGE_SIZE + 5, PAGE_SIZE - 5, 100, 101 },
		{ 100 * PAGE_SIZE + 5, PAGE_SIZE - 4, 100, 102 },
		{ 101 * PAGE_SIZE - 1, 1, 100, 101 },
		{ 101 * PAGE_SIZE - 1, 2, 100, 102 },
		{ 100 * PAGE_SIZE, PAGE_SIZE, 100, 101 },
		{ 100 * PAGE_SIZE, 7 * PAGE_SIZE, 100, 107 },
		/* Pages 10 to 999 and 5000 to 13999 are logged */
		{ 0, 10 * PAGE_SIZE, 0, 0 },
		{ 0, 10 * PAGE_SIZE + 1, 10, 11 },
		{ 9 * PAGE_SIZE, 2 * PAGE_SIZE, 10, 11 },
		{ 999 * PAGE_SIZE, PAGE_SIZE, 999, 1000 },
		{ 999 * PAGE_SIZE, 5 * PAGE_SIZE, 999, 1000 },
		{ 1000 * PAGE_SIZE, 4000 * PAGE_SIZE, 0, 0 },
		{ 1000 * PAGE_SIZE, 4001 * PAGE_SIZE, 5000, 5001 },
		{ 14000 * PAGE_SIZE, U64_MAX, 0, 0 },
		{ 13999 * PAGE_SIZE, U64_MAX, 13999, 14000 },
		{ 13999 * PAGE_SIZE, U64_MAX - 13999 * PAGE_SIZE, 13999, 14000 },
		{ 5000 * PAGE_SIZE, U64_MAX, 5000, 14000 },
		/* Across chunks */
		{ 6143 * PAGE_SIZE, 2 * PAGE_SIZE, 6143, 6145 },
		{ 6143 * PAGE_SIZE + 1, PAGE_SIZE - 1, 6143, 6144 },
		{ 6144 * PAGE_SIZE, 1, 6144, 6145 },
		{ 6144 * PAGE_SIZE, 2048 * PAGE_SIZE, 6144, 8192 },
		{ 6100 * PAGE_SIZE, 5000 * PAGE_SIZE, 6100, 11100 },
	};
	struct log_test *t = test->priv;
	unsigned int i;

	log_range(t, 0, 5000 * PAGE_SIZE, 14000 * PAGE_SIZE - 1);
	log_range(t, 1, 10 * PAGE_SIZE, 1000 * PAGE_SIZE - 1);
	KUNIT_ASSERT_EQ(test, 0, vfio_pci_mig_log_begin(&t->log, &t->root, 2));
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		KUNIT_EXPECT_EQ(test, 0, log_write(test, cases[i].iova,
						   cases[i].length));
		log_expect(test, 0, LOG_BITS, cases[i].from, cases[i].to);
		/* Clean pages take no memory */
		KUNIT_EXPECT_TRUE(test, xa_empty(&t->log.chunks));

		/* Writing twice has the same effect */
		log_write(test, cases[i].iova, cases[i].length);
		log_write(test, cases[i].iova, cases[i].length);
		log_expect(test, 0, LOG_BITS, cases[i].from, cases[i].to);
	}

	/* One write to both ranges */
	KUNIT_EXPECT_EQ(test, 0, log_write(test, 0, U64_MAX));
	log_expect(test, 0, 4096, 10, 1000);
	log_expect(test, 4096 * PAGE_SIZE, 12288, 5000 - 4096, 14000 - 4096);
}

/* The end of the address space */
static void test_addresses_do_not_wrap_around(struct kunit *test)
{
	const u64 base = -(256 * PAGE_SIZE);
	struct log_test *t = test->priv;

	log_range(t, 0, -(128 * PAGE_SIZE), U64_MAX);
	log_range(t, 1, 0, PAGE_SIZE - 1);
	KUNIT_ASSERT_EQ(test, 0, vfio_pci_mig_log_begin(&t->log, &t->root, 2));
	KUNIT_EXPECT_EQ(test, 0, log_write(test, U64_MAX, 1));
	log_expect(test, base, 256, 255, 256);
	/* No wrap around to address 0 */
	KUNIT_EXPECT_EQ(test, 0, log_write(test, U64_MAX, 2));
	KUNIT_EXPECT_EQ(test, 0, log_write(test, U64_MAX - PAGE_SIZE, U64_MAX));
	log_expect(test, base, 256, 254, 256);
	log_expect(test, 0, 256, 0, 0);
	KUNIT_EXPECT_EQ(test, 0, log_write(test, base, U64_MAX));
	log_expect(test, base, 256, 128, 256);
	log_expect(test, 0, 256, 0, 0);
	KUNIT_EXPECT_EQ(test, 0, log_write(test, 0, U64_MAX));
	log_expect(test, 0, 256, 0, 1);
	log_expect(test, base, 256, 128, 256);
}

/* Read and clear parts of the range, also parts of a page */
static void test_partial_read_keeps_the_rest(struct kunit *test)
{
	struct log_test *t = test->priv;
	unsigned int at;

	log_range(t, 0, 0, LOG_BITS * PAGE_SIZE - 1);
	KUNIT_ASSERT_EQ(test, 0, vfio_pci_mig_log_begin(&t->log, &t->root, 1));
	KUNIT_EXPECT_EQ(test, 0, log_write(test, 2000 * PAGE_SIZE,
					   3000 * PAGE_SIZE));
	/* Each read reports its part and keeps the others */
	for (at = 1000; at < 6000; at += 500)
		log_expect(test, at * PAGE_SIZE, 500,
			   0, at >= 2000 && at < 5000 ? 500 : 0);
	log_expect(test, 0, LOG_BITS, 0, 0);

	KUNIT_EXPECT_EQ(test, 0, log_write(test, 2000 * PAGE_SIZE,
					   3000 * PAGE_SIZE));
	log_expect(test, 3000 * PAGE_SIZE, 1, 0, 1);
	log_expect(test, 2047 * PAGE_SIZE, 1, 0, 1);
	log_expect(test, 2048 * PAGE_SIZE, 1, 0, 1);
	log_expect(test, 1900 * PAGE_SIZE, 147, 100, 147);
	log_expect(test, 2049 * PAGE_SIZE, 951, 0, 951);
	log_expect(test, 3001 * PAGE_SIZE, 5000, 0, 1999);
	log_expect(test, 0, LOG_BITS, 0, 0);

	/* A read of half a page reports the page, but does not clear it */
	KUNIT_EXPECT_EQ(test, 0, log_write(test, 8 * PAGE_SIZE, 1));
	KUNIT_EXPECT_EQ(test, 0, log_read(test, 8 * PAGE_SIZE + 2048, 2048,
					  PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, 1, bitmap_weight(t->bits, 2 * LOG_BITS));
	KUNIT_EXPECT_TRUE(test, test_bit(0, t->bits));
	KUNIT_EXPECT_EQ(test, 0, log_read(test, 7 * PAGE_SIZE + 2048, PAGE_SIZE,
					  PAGE_SIZE));
	KUNIT_EXPECT_NE(test, 0, bitmap_weight(t->bits, 2 * LOG_BITS));
	log_expect(test, 0, 100, 8, 9);
}

static void test_larger_page_with_a_dirty_page_is_dirty(struct kunit *test)
{
	struct log_test *t = test->priv;

	log_range(t, 0, 0, LOG_BITS * PAGE_SIZE - 1);
	KUNIT_ASSERT_EQ(test, 0, vfio_pci_mig_log_begin(&t->log, &t->root, 1));
	KUNIT_EXPECT_EQ(test, 0, log_write(test, 17 * PAGE_SIZE, 1));
	KUNIT_EXPECT_EQ(test, 0, log_write(test, 47 * PAGE_SIZE, 2 * PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, 0, log_read(test, 0, LOG_BITS * PAGE_SIZE,
					  16 * PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, 3, bitmap_weight(t->bits, 2 * LOG_BITS));
	KUNIT_EXPECT_TRUE(test, test_bit(1, t->bits));
	KUNIT_EXPECT_TRUE(test, test_bit(2, t->bits));
	KUNIT_EXPECT_TRUE(test, test_bit(3, t->bits));
	log_expect(test, 0, LOG_BITS, 0, 0);
}

/*
 * A write that the log has no memory for makes blocks dirty.  The log recovers
 * when userspace has read them.
 */
static void test_log_recovers_from_an_overflow(struct kunit *test)
{
	/* Blocks start with the range, not at multiples of their size */
	const u64 start = 100 * PAGE_SIZE, block = 16 * PAGE_SIZE;
	struct log_test *t = test->priv;

	log_range(t, 0, start, start + LOG_BITS * PAGE_SIZE - 1);
	log_range(t, 1, 0, 10 * PAGE_SIZE - 1);
	KUNIT_ASSERT_EQ(test, 0, vfio_pci_mig_log_begin(&t->log, &t->root, 2));
	KUNIT_EXPECT_EQ(test, 0, log_write(test, 5 * PAGE_SIZE, 1));
	t->log.nr_chunks += VFIO_PCI_MIG_LOG_CHUNKS;
	KUNIT_EXPECT_EQ(test, -ENOSPC,
			log_write(test, start + block + 2048 * PAGE_SIZE, 1));
	t->log.nr_chunks -= VFIO_PCI_MIG_LOG_CHUNKS;

	/* Only the block of the write is dirty */
	KUNIT_EXPECT_EQ(test, 0, log_read(test, start + 2048 * PAGE_SIZE,
					  block, PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, 0, bitmap_weight(t->bits, 2 * LOG_BITS));
	/* A read of a half reports the half, and keeps the other one */
	KUNIT_EXPECT_EQ(test, 0, log_read(test, start + 2048 * PAGE_SIZE,
					  block + block / 2, PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, 8, bitmap_weight(t->bits, 2 * LOG_BITS));
	KUNIT_EXPECT_EQ(test, 16, find_first_bit(t->bits, 2 * LOG_BITS));
	/* Other writes are logged by page */
	KUNIT_EXPECT_EQ(test, 0, log_write(test, start + 9000 * PAGE_SIZE, 1));
	log_expect(test, start + 8000 * PAGE_SIZE, 2000, 1000, 1001);
	log_expect(test, start + 2048 * PAGE_SIZE, 1000, 24, 32);
	log_expect(test, 0, 10, 5, 6);
	log_expect(test, start, LOG_BITS, 0, 0);
}

/* Without memory, a block that is only partly read stays dirty */
static void test_partly_read_block_stays_dirty_without_memory(struct kunit *test)
{
	const u64 block = 16 * PAGE_SIZE;
	struct log_test *t = test->priv;

	log_range(t, 0, 0, LOG_BITS * PAGE_SIZE - 1);
	KUNIT_ASSERT_EQ(test, 0, vfio_pci_mig_log_begin(&t->log, &t->root, 1));
	t->log.nr_chunks = VFIO_PCI_MIG_LOG_CHUNKS;
	KUNIT_EXPECT_EQ(test, -ENOSPC, log_write(test, 2 * block, 1));
	KUNIT_EXPECT_EQ(test, 0, log_read(test, 2 * block + PAGE_SIZE, PAGE_SIZE,
					  PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, 1, bitmap_weight(t->bits, 2 * LOG_BITS));
	t->log.nr_chunks = 0;
	log_expect(test, 0, LOG_BITS, 32, 48);

	/* With memory, each page is dirty once, in any order of reads */
	t->log.nr_chunks = VFIO_PCI_MIG_LOG_CHUNKS;
	KUNIT_EXPECT_EQ(test, -ENOSPC, log_write(test, 2 * block, 1));
	t->log.nr_chunks = 0;
	log_expect(test, 2 * block + 4 * PAGE_SIZE, 4, 0, 4);
	log_expect(test, 2 * block + 8 * PAGE_SIZE, 100, 0, 8);
	log_expect(test, 0, LOG_BITS, 32, 36);
	KUNIT_EXPECT_TRUE(test, xa_empty(&t->log.chunks));
}

/* At the end of the address space, in a range that ends inside a block */
static void test_last_block_ends_with_the_range(struct kunit *test)
{
	struct log_test *t = test->priv;

	log_range(t, 0, -(1501 * PAGE_SIZE), U64_MAX);
	KUNIT_ASSERT_EQ(test, 0, vfio_pci_mig_log_begin(&t->log, &t->root, 1));
	t->log.nr_chunks = VFIO_PCI_MIG_LOG_CHUNKS;
	KUNIT_EXPECT_EQ(test, -ENOSPC, log_write(test, U64_MAX, U64_MAX));
	KUNIT_EXPECT_EQ(test, -ENOSPC,
			log_write(test, -(1501 * PAGE_SIZE), 2 * PAGE_SIZE));
	t->log.nr_chunks = 0;
	KUNIT_EXPECT_EQ(test, 0, log_read(test, -(1600 * PAGE_SIZE),
					  1600 * PAGE_SIZE, PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, 3, bitmap_weight(t->bits, 2 * LOG_BITS));
	KUNIT_EXPECT_TRUE(test, test_bit(99, t->bits));
	KUNIT_EXPECT_TRUE(test, test_bit(100, t->bits));
	KUNIT_EXPECT_TRUE(test, test_bit(1599, t->bits));
	log_expect(test, -(1600 * PAGE_SIZE), 1600, 0, 0);
}

/* A huge write overflows the log, and takes little time */
static void test_log_size_is_limited(struct kunit *test)
{
	struct log_test *t = test->priv;

	log_range(t, 0, 0, BIT_ULL(60) - 1);
	KUNIT_ASSERT_EQ(test, 0, vfio_pci_mig_log_begin(&t->log, &t->root, 1));
	KUNIT_EXPECT_EQ(test, 0, log_write(test, 0, BIT_ULL(32)));
	KUNIT_EXPECT_EQ(test, -ENOSPC, log_write(test, 0, BIT_ULL(60)));
	KUNIT_EXPECT_EQ(test, VFIO_PCI_MIG_LOG_CHUNKS, t->log.nr_chunks);
	KUNIT_EXPECT_EQ(test, 0, log_read(test, BIT_ULL(59), PAGE_SIZE,
					  PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, 1, bitmap_weight(t->bits, 2 * LOG_BITS));

	/* A read frees memory of the log */
	KUNIT_EXPECT_TRUE(test, vfio_pci_mig_log_end(&t->log));
	KUNIT_ASSERT_EQ(test, 0, vfio_pci_mig_log_begin(&t->log, &t->root, 1));
	KUNIT_EXPECT_EQ(test, 0, log_write(test, 5 * PAGE_SIZE, PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, 1, t->log.nr_chunks);
	log_expect(test, 0, LOG_BITS, 5, 6);
	KUNIT_EXPECT_EQ(test, 0, t->log.nr_chunks);
}

/* Random writes and reads, compared with a bitmap of all pages */
static void test_random_writes_match_a_bitmap(struct kunit *test)
{
	struct log_test *t = test->priv;
	struct rnd_state rnd;
	unsigned int i, from, nr, end;

	prandom_seed_state(&rnd, 12345);
	log_range(t, 0, 0, 3000 * PAGE_SIZE - 1);
	log_range(t, 1, 4096 * PAGE_SIZE, LOG_BITS * PAGE_SIZE - 1);
	KUNIT_ASSERT_EQ(test, 0, vfio_pci_mig_log_begin(&t->log, &t->root, 2));
	for (i = 0; i < 3000; i++) {
		from = prandom_u32_state(&rnd) % LOG_BITS;
		nr = 1 + prandom_u32_state(&rnd) % (i % 8 ? 20 : 5000);
		if (i % 3) {
			KUNIT_EXPECT_EQ(test, 0,
					log_write(test, from * PAGE_SIZE,
						  nr * PAGE_SIZE));
			nr = min(nr, LOG_BITS - from);
			bitmap_set(t->expect, from, nr);
			bitmap_clear(t->expect, 3000, 4096 - 3000);
			continue;
		}
		nr = min(nr, LOG_BITS - from);
		end = from + nr;
		KUNIT_ASSERT_EQ(test, 0, log_read(test, from * PAGE_SIZE,
						  nr * PAGE_SIZE, PAGE_SIZE));
		for (; from < end; from++)
			if (test_bit(from, t->expect) !=
			    test_bit(nr - (end - from), t->bits))
				break;
		KUNIT_EXPECT_EQ_MSG(test, end, from, "round %u", i);
		bitmap_clear(t->expect, end - nr, nr);
	}
	KUNIT_EXPECT_FALSE(test, bitmap_empty(t->expect, LOG_BITS));
	KUNIT_ASSERT_EQ(test, 0, log_read(test, 0, LOG_BITS * PAGE_SIZE,
					  PAGE_SIZE));
	KUNIT_EXPECT_TRUE(test, bitmap_equal(t->expect, t->bits, LOG_BITS));
	KUNIT_EXPECT_TRUE(test, xa_empty(&t->log.chunks));
}

static struct kunit_case log_test_cases[] = {
	KUNIT_CASE(test_log_starts_empty),
	KUNIT_CASE(test_written_pages_are_dirty),
	KUNIT_CASE(test_addresses_do_not_wrap_around),
	KUNIT_CASE(test_partial_read_keeps_the_rest),
	KUNIT_CASE(test_larger_page_with_a_dirty_page_is_dirty),
	KUNIT_CASE(test_log_recovers_from_an_overflow),
	KUNIT_CASE(test_partly_read_block_stays_dirty_without_memory),
	KUNIT_CASE(test_last_block_ends_with_the_range),
	KUNIT_CASE(test_log_size_is_limited),
	KUNIT_CASE(test_random_writes_match_a_bitmap),
	{}
};

static struct kunit_suite log_test_suite = {
	.name		= "vfio-pci-mig-log",
	.init		= log_test_init,
	.exit		= log_test_exit,
	.test_cases	= log_test_cases,
};

kunit_test_suite(log_test_suite);

MODULE_IMPORT_NS("EXPORTED_FOR_KUNIT_TESTING");
MODULE_IMPORT_NS("IOMMUFD");
MODULE_DESCRIPTION("KUnit tests of the log of DMA writes for vfio-pci migration");
MODULE_LICENSE("GPL");
