// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests of access to registers and of the starts of capabilities
 */

#include <kunit/test.h>
#include <linux/mman.h>
#include <linux/module.h>
#include <linux/vfio_pci_core.h>

#include "../vfio_pci_priv.h"

/* Two user pages; a test unmaps the second */
#define USER_SIZE	(2 * PAGE_SIZE)

/* Start of a user buffer that crosses the page boundary */
#define USER_START	(PAGE_SIZE - 600)

static int io_test_init(struct kunit *test)
{
	test->priv = kunit_kzalloc(test, sizeof(struct vfio_pci_core_device),
				   GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, test->priv);

	return 0;
}

static void test_io_width_is_aligned_and_limited(struct kunit *test)
{
	static const unsigned int max_widths[] = {
		VFIO_PCI_IO_WIDTH_1, VFIO_PCI_IO_WIDTH_2,
		VFIO_PCI_IO_WIDTH_4, VFIO_PCI_IO_WIDTH_8,
	};
	unsigned int i, width;
	size_t count;
	loff_t off;

	for (i = 0; i < ARRAY_SIZE(max_widths); i++) {
		for (off = 0; off < 32; off++) {
			for (count = 1; count < 32; count++) {
				unsigned int max = max_widths[i];

				/* The access width is ABI */
				if (count >= 8 && !(off % 8) && max >= 8)
					width = 8;
				else if (count >= 4 && !(off % 4) && max >= 4)
					width = 4;
				else if (count >= 2 && !(off % 2) && max >= 2)
					width = 2;
				else
					width = 1;

				KUNIT_EXPECT_EQ_MSG(test, width,
						    vfio_pci_io_width(off,
								      count,
								      max),
						    "off %lld count %zu max %u",
						    off, count, max);
			}
		}
	}
}

/* Offset, size and excluded range of an access */
static const struct io_case {
	size_t off;
	size_t count;
	size_t x_start;
	size_t x_end;
} io_cases[] = {
	{ 0, 1 },
	{ 3, 4 },
	{ 0, 8 },
	{ 0, VFIO_PCI_IO_BATCH },
	{ 1, VFIO_PCI_IO_BATCH },
	{ 7, VFIO_PCI_IO_BATCH + 2 },
	{ 0, 1024 },
	{ 5, 1019 },
	{ 6, 1024 },
	{ 0, 1024, 16, 32 },
	{ 2, 1021, 500, 900 },
	{ 100, 800, 0, 200 },
	{ 100, 800, 850, 2048 },
	{ 100, 800, 99, 2048 },
};

struct io_test {
	u8 *mem;
	u8 *kbuf;
	u8 __user *ubuf;
};

static void io_test_setup(struct kunit *test, struct io_test *io)
{
	unsigned long addr;

	io->mem = kunit_kzalloc(test, PAGE_SIZE, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, io->mem);
	io->kbuf = kunit_kzalloc(test, USER_SIZE, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, io->kbuf);
	addr = kunit_vm_mmap(test, NULL, 0, USER_SIZE, PROT_READ | PROT_WRITE,
			     MAP_ANONYMOUS | MAP_PRIVATE, 0);
	KUNIT_ASSERT_FALSE(test, IS_ERR_VALUE(addr));
	KUNIT_ASSERT_NE(test, 0, addr);
	io->ubuf = (u8 __user *)addr;
}

static u8 io_pattern(size_t i, bool iswrite)
{
	return (i * 7 + 1) ^ (iswrite ? 0xa5 : 0);
}

static bool io_excluded(const struct io_case *c, size_t off)
{
	return off >= c->x_start && off < c->x_end;
}

/* Access a buffer that takes the place of a BAR */
static ssize_t io_run(struct kunit *test, struct io_test *io,
		      const struct io_case *c, u8 __user *ubuf, bool iswrite)
{
	size_t i;

	for (i = 0; i < PAGE_SIZE; i++)
		io->mem[i] = io_pattern(i, false);

	return vfio_pci_core_do_io_rw(test->priv, false,
				      (void __iomem __force *)io->mem, ubuf,
				      c->off, c->count, c->x_start, c->x_end,
				      iswrite, VFIO_PCI_IO_WIDTH_8);
}

static void io_check(struct kunit *test, struct io_test *io,
		     const struct io_case *c, unsigned int shift, bool iswrite)
{
	u8 __user *ubuf = io->ubuf + USER_START + shift;
	size_t i;
	u8 want;

	for (i = 0; i < USER_SIZE; i++)
		io->kbuf[i] = io_pattern(i, true);
	KUNIT_ASSERT_EQ(test, 0, copy_to_user(io->ubuf, io->kbuf, USER_SIZE));
	KUNIT_EXPECT_EQ(test, c->count,
			io_run(test, io, c, ubuf, iswrite));
	KUNIT_ASSERT_EQ(test, 0, copy_from_user(io->kbuf, io->ubuf, USER_SIZE));

	for (i = 0; i < USER_SIZE; i++) {
		size_t pos = i - USER_START - shift;

		want = io_pattern(i, true);
		if (!iswrite && i >= USER_START + shift && pos < c->count)
			want = io_excluded(c, c->off + pos) ? 0xff :
					   io_pattern(c->off + pos, false);
		KUNIT_ASSERT_EQ_MSG(test, want, io->kbuf[i],
				    "user byte %zu, off %zu count %zu shift %u",
				    i, c->off, c->count, shift);
	}

	for (i = 0; i < PAGE_SIZE; i++) {
		size_t pos = i - c->off;

		want = io_pattern(i, false);
		if (iswrite && i >= c->off && pos < c->count &&
		    !io_excluded(c, i))
			want = io_pattern(USER_START + shift + pos, true);
		KUNIT_ASSERT_EQ_MSG(test, want, io->mem[i],
				    "device byte %zu, off %zu count %zu shift %u",
				    i, c->off, c->count, shift);
	}
}

static void test_io_rw_skips_the_excluded_range(struct kunit *test)
{
	struct io_test io;
	unsigned int i, shift;

	io_test_setup(test, &io);
	for (i = 0; i < ARRAY_SIZE(io_cases); i++) {
		for (shift = 0; shift < 9; shift++) {
			io_check(test, &io, &io_cases[i], shift, false);
			io_check(test, &io, &io_cases[i], shift, true);
		}
	}
}

/* Return the bytes of all registers that fit into @room bytes */
static size_t io_whole(const struct io_case *c, size_t room)
{
	size_t done = 0;

	while (done < c->count) {
		size_t off = c->off + done, left = c->count - done, width = 1;

		if (!io_excluded(c, off)) {
			if (off < c->x_start)
				left = min(left, c->x_start - off);
			width = vfio_pci_io_width(off, left,
						  VFIO_PCI_IO_WIDTH_8);
		}
		if (done + width > room)
			break;
		done += width;
	}

	return done;
}

/* Use a user buffer that faults after @room bytes */
static void io_check_fault(struct kunit *test, struct io_test *io,
			   const struct io_case *c, size_t room, bool iswrite)
{
	u8 __user *ubuf = io->ubuf + PAGE_SIZE - room;
	size_t i, whole = io_whole(c, room);
	u8 got, want;

	/* A write to the excluded range does not read the user buffer */
	if (room >= c->count || (iswrite && io_excluded(c, c->off + room)))
		return;

	for (i = 0; i < room; i++)
		KUNIT_ASSERT_EQ(test, 0,
				put_user(io_pattern(i, true), ubuf + i));

	KUNIT_EXPECT_EQ(test, -EFAULT, io_run(test, io, c, ubuf, iswrite));

	for (i = 0; i < whole; i++) {
		want = io_pattern(i, true);
		if (!iswrite)
			want = io_excluded(c, c->off + i) ? 0xff :
					   io_pattern(c->off + i, false);
		KUNIT_ASSERT_EQ(test, 0, get_user(got, ubuf + i));
		KUNIT_ASSERT_EQ_MSG(test, want, got,
				    "user byte %zu, off %zu count %zu room %zu",
				    i, c->off, c->count, room);
	}

	/* A write stops before the register that faults */
	for (i = 0; i < PAGE_SIZE; i++) {
		want = io_pattern(i, false);
		if (iswrite && i >= c->off && i - c->off < whole &&
		    !io_excluded(c, i))
			want = io_pattern(i - c->off, true);
		KUNIT_ASSERT_EQ_MSG(test, want, io->mem[i],
				    "device byte %zu, off %zu count %zu room %zu",
				    i, c->off, c->count, room);
	}
}

static void test_io_rw_stops_at_a_bad_user_page(struct kunit *test)
{
	static const size_t rooms[] = {
		0, 1, 3, 4, 7, 8, 9, 20, VFIO_PCI_IO_BATCH - 1,
		VFIO_PCI_IO_BATCH, VFIO_PCI_IO_BATCH + 1, 515, 600, 777,
	};
	struct io_test io;
	unsigned int i, j;

	io_test_setup(test, &io);
	KUNIT_ASSERT_EQ(test, 0,
			vm_munmap((unsigned long)io.ubuf + PAGE_SIZE,
				  PAGE_SIZE));

	for (i = 0; i < ARRAY_SIZE(io_cases); i++) {
		for (j = 0; j < ARRAY_SIZE(rooms); j++) {
			io_check_fault(test, &io, &io_cases[i], rooms[j],
				       false);
			io_check_fault(test, &io, &io_cases[i], rooms[j], true);
		}
	}
}

/* Check the start of the capability at @pos and the bytes left in it */
static void cap_check(struct kunit *test, u16 pos, u16 start,
		      size_t remaining)
{
	struct vfio_pci_core_device *vdev = test->priv;

	KUNIT_EXPECT_EQ_MSG(test, start, vfio_find_cap_start(vdev, pos),
			    "at %#x", pos);
	KUNIT_EXPECT_EQ_MSG(test, remaining,
			    vfio_pci_config_remaining(vdev, pos),
			    "at %#x", pos);
}

static void test_cap_start_separates_abutting_caps(struct kunit *test)
{
	struct vfio_pci_core_device *vdev = test->priv;
	u8 *map;

	map = kunit_kmalloc(test, PCI_CFG_SPACE_EXP_SIZE, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, map);
	memset(map, 0, PCI_STD_HEADER_SIZEOF);
	memset(map + PCI_STD_HEADER_SIZEOF, PCI_CAP_ID_INVALID,
	       PCI_CFG_SPACE_EXP_SIZE - PCI_STD_HEADER_SIZEOF);
	vdev->pci_config_map = map;
	vdev->pdev = kunit_kzalloc(test, sizeof(*vdev->pdev), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, vdev->pdev);
	vdev->pdev->cfg_size = PCI_CFG_SPACE_EXP_SIZE;

	/* Three abutting capabilities of one id, not in ascending order */
	vfio_pci_config_map_cap(vdev, 0x40, PCI_CAP_ID_VNDR, 0x10);
	vfio_pci_config_map_cap(vdev, 0x60, PCI_CAP_ID_VNDR, 0x0c);
	vfio_pci_config_map_cap(vdev, 0x50, PCI_CAP_ID_VNDR, 0x10);
	cap_check(test, 0x40, 0x40, 0x10);
	cap_check(test, 0x4f, 0x40, 1);
	cap_check(test, 0x50, 0x50, 0x10);
	cap_check(test, 0x55, 0x50, 0xb);
	cap_check(test, 0x60, 0x60, 0xc);
	cap_check(test, 0x6b, 0x60, 1);

	/* The same id behind a gap, and another id */
	vfio_pci_config_map_cap(vdev, 0x70, PCI_CAP_ID_VNDR, 3);
	vfio_pci_config_map_cap(vdev, 0x74, PCI_CAP_ID_MSIX, 0xc);
	cap_check(test, 0x72, 0x70, 1);
	cap_check(test, 0x74, 0x74, 0xc);
	KUNIT_EXPECT_EQ(test, 4, vfio_pci_config_remaining(vdev, 0x6c));

	/* A capability inside another one, and one that covers another one */
	vfio_pci_config_map_cap(vdev, 0x80, PCI_CAP_ID_EXP, 0x20);
	vfio_pci_config_map_cap(vdev, 0x88, PCI_CAP_ID_PM, 8);
	cap_check(test, 0x87, 0x80, 1);
	cap_check(test, 0x8c, 0x88, 4);
	cap_check(test, 0x94, 0x90, 0xc);
	vfio_pci_config_map_cap(vdev, 0xb0, PCI_CAP_ID_PM, 8);
	vfio_pci_config_map_cap(vdev, 0xa0, PCI_CAP_ID_EXP, 0x20);
	cap_check(test, 0xb4, 0xa0, 0xc);

	/* Add a capability and remove it */
	vfio_pci_config_map_cap(vdev, 0xc0, PCI_CAP_ID_INVALID_VIRT, 8);
	vfio_pci_config_map_cap(vdev, 0xc8, PCI_CAP_ID_INVALID_VIRT, 8);
	KUNIT_EXPECT_EQ(test, 8, vfio_pci_config_remaining(vdev, 0xc0));
	vfio_pci_config_map_cap(vdev, 0xc8, PCI_CAP_ID_INVALID, 8);
	vfio_pci_config_map_cap(vdev, 0xc0, PCI_CAP_ID_INVALID, 8);
	KUNIT_EXPECT_EQ(test, 0x40, vfio_pci_config_remaining(vdev, 0xc0));

	/* Capabilities that overlap one of the same id */
	vfio_pci_config_map_cap(vdev, 0xc8, PCI_CAP_ID_PM, 8);
	vfio_pci_config_map_cap(vdev, 0xc4, PCI_CAP_ID_PM, 8);
	cap_check(test, 0xc8, 0xc4, 4);
	cap_check(test, 0xcc, 0xcc, 4);
	vfio_pci_config_map_cap(vdev, 0xe0, PCI_CAP_ID_PM, 8);
	vfio_pci_config_map_cap(vdev, 0xdc, PCI_CAP_ID_MSIX, 8);
	vfio_pci_config_map_cap(vdev, 0xd8, PCI_CAP_ID_PM, 8);
	cap_check(test, 0xe0, 0xe0, 4);
	cap_check(test, 0xe4, 0xe4, 4);

	/* A standard capability, and the hidden head of the extended ones */
	vfio_pci_config_map_cap(vdev, 0xf0, PCI_CAP_ID_VNDR, 0x10);
	vfio_pci_config_map_cap(vdev, 0x100, 0, 4);
	cap_check(test, 0xfc, 0xf0, 4);
	cap_check(test, 0x102, 0x100, 2);
	cap_check(test, 0x20, 0, 0x20);
	vfio_pci_config_map_cap(vdev, 0x104, PCI_EXT_CAP_ID_DVSEC, 0x10);
	vfio_pci_config_map_cap(vdev, 0x114, PCI_EXT_CAP_ID_DVSEC, 0xeec);
	cap_check(test, 0x110, 0x104, 4);
	cap_check(test, 0xfff, 0x114, 1);
}

static struct kunit_case io_test_cases[] = {
	KUNIT_CASE(test_io_width_is_aligned_and_limited),
	KUNIT_CASE(test_io_rw_skips_the_excluded_range),
	KUNIT_CASE(test_io_rw_stops_at_a_bad_user_page),
	KUNIT_CASE(test_cap_start_separates_abutting_caps),
	{}
};

static struct kunit_suite io_test_suite = {
	.name		= "vfio-pci-io",
	.init		= io_test_init,
	.test_cases	= io_test_cases,
};

kunit_test_suite(io_test_suite);

MODULE_IMPORT_NS("EXPORTED_FOR_KUNIT_TESTING");
MODULE_DESCRIPTION("KUnit tests of access to registers of vfio-pci devices");
MODULE_LICENSE("GPL");
