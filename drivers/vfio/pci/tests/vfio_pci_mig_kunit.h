/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Helpers for KUnit tests of migration: a vendor driver whose state is an array
 * of parts, and a second implementation of the stream in
 * Documentation/driver-api/vfio-pci-migration.rst.
 */
#ifndef VFIO_PCI_MIG_KUNIT_H
#define VFIO_PCI_MIG_KUNIT_H

#include <kunit/test.h>
#include <linux/crc32.h>
#include <linux/interval_tree.h>
#include <linux/pci.h>
#include <linux/string.h>
#include <linux/uio.h>
#include <linux/unaligned.h>
#include <linux/vfio_pci_core.h>
#include <linux/vmalloc.h>

#include "vfio_pci_kunit.h"
#include "../vfio_pci_mig.h"

#define MIG_PARTS	8
#define MIG_EVENTS	32

enum { MIG_PRECOPY, MIG_DATA, MIG_KINDS };

struct mig_fake {
	struct kunit			*test;
	struct vfio_pci_vendor_driver	driver;
	struct vfio_pci_migration_ops	ops;
	struct vfio_pci_precopy_ops	precopy;
	struct vfio_pci_dma_log_ops	log;
	struct pci_device_id		ids[2];
	u32				abilities;

	/* Sizes of the saved or loaded parts; 0 ends the list */
	u32				parts[MIG_KINDS][MIG_PARTS + 1];
	unsigned int			saved[MIG_KINDS];
	unsigned int			loaded[MIG_KINDS];
	/* Return values to inject, unless 0 */
	ssize_t				save_ret;
	int				load_ret;
	/* Report new initial data */
	bool				reinit;

	/* One letter per recorded call; failing calls; their return value */
	char				events[MIG_EVENTS];
	char				fails;
	char				also_fails;
	int				fail_ret;

	unsigned int			resets;
	/* Called during each recorded call */
	void				(*during)(struct mig_fake *f, char what);
	/* The device does not come back after a reset */
	bool				reset_fails;
	/* Arguments of the last start of logging */
	u64				log_first;
	u32				log_nr_ranges;
	u64				log_page_size;
};

static inline struct mig_fake *mig_fake(struct vfio_pci_vendor_device *dev)
{
	return container_of(dev->driver, struct mig_fake, driver);
}

static inline u8 mig_fake_byte(int kind, u64 pos)
{
	return pos * 31 + (pos >> 9) + kind * 77;
}

/* Find the part that starts at @pos; @pos may also be the end of the state */
static inline unsigned int mig_fake_part(struct mig_fake *f, int kind, u64 pos)
{
	unsigned int i;

	for (i = 0; pos && f->parts[kind][i]; i++)
		pos -= f->parts[kind][i];
	KUNIT_EXPECT_EQ(f->test, 0, pos);

	return i;
}

static inline u64 mig_fake_bytes(const struct mig_fake *f, int kind)
{
	u64 bytes = 0;
	unsigned int i;

	for (i = 0; f->parts[kind][i]; i++)
		bytes += f->parts[kind][i];

	return bytes;
}

static inline void mig_fake_fill(struct mig_fake *f, int kind, u64 pos, u8 *buf)
{
	u32 i, size = f->parts[kind][mig_fake_part(f, kind, pos)];

	for (i = 0; i < size; i++)
		buf[i] = mig_fake_byte(kind, pos + i);
}

static inline ssize_t mig_fake_do_save(struct vfio_pci_vendor_device *dev,
				       void *buf, size_t size, u64 pos,
				       int kind)
{
	struct mig_fake *f = mig_fake(dev);
	unsigned int part = mig_fake_part(f, kind, pos);

	KUNIT_EXPECT_EQ(f->test, VFIO_PCI_MIG_PART, size);
	KUNIT_EXPECT_GE(f->test, size, VFIO_PCI_MIGRATION_PART_MIN);
	KUNIT_EXPECT_EQ(f->test, f->saved[kind], part);
	if (f->save_ret)
		return f->save_ret;
	if (!f->parts[kind][part])
		return 0;

	mig_fake_fill(f, kind, pos, buf);
	f->saved[kind]++;

	return f->parts[kind][part];
}

static inline ssize_t mig_fake_save(struct vfio_pci_vendor_device *dev,
				    void *buf, size_t size, u64 pos)
{
	return mig_fake_do_save(dev, buf, size, pos, MIG_DATA);
}

static inline ssize_t mig_fake_precopy_save(struct vfio_pci_vendor_device *dev,
					    void *buf, size_t size, u64 pos)
{
	return mig_fake_do_save(dev, buf, size, pos, MIG_PRECOPY);
}

/* Expect the next saved part, even in a stream that fails later */
static inline int mig_fake_do_load(struct vfio_pci_vendor_device *dev,
				   const void *buf, size_t size, u64 pos,
				   int kind)
{
	struct mig_fake *f = mig_fake(dev);
	unsigned int part = f->loaded[kind]++;
	const u8 *bytes = buf;
	size_t i;

	KUNIT_EXPECT_EQ(f->test, mig_fake_part(f, kind, pos), part);
	KUNIT_ASSERT_LT(f->test, part, MIG_PARTS);
	KUNIT_EXPECT_EQ(f->test, f->parts[kind][part], size);
	if (kind == MIG_PRECOPY)
		KUNIT_EXPECT_EQ(f->test, 0, f->loaded[MIG_DATA]);
	for (i = 0; i < size; i++)
		if (bytes[i] != mig_fake_byte(kind, pos + i))
			break;
	KUNIT_EXPECT_EQ(f->test, size, i);

	return f->load_ret;
}

static inline int mig_fake_load(struct vfio_pci_vendor_device *dev,
				const void *buf, size_t size, u64 pos)
{
	return mig_fake_do_load(dev, buf, size, pos, MIG_DATA);
}

static inline int mig_fake_precopy_load(struct vfio_pci_vendor_device *dev,
					const void *buf, size_t size, u64 pos)
{
	return mig_fake_do_load(dev, buf, size, pos, MIG_PRECOPY);
}

static inline int mig_fake_size(struct vfio_pci_vendor_device *dev, u64 *bytes)
{
	struct mig_fake *f = mig_fake(dev);

	*bytes = mig_fake_bytes(f, MIG_DATA);

	return f->fails == 'z' ? f->fail_ret : 0;
}

static inline int mig_fake_precopy_pending(struct vfio_pci_vendor_device *dev,
					   struct vfio_pci_precopy_info *info)
{
	info->initial = mig_fake_bytes(mig_fake(dev), MIG_PRECOPY);
	info->dirty = 7;
	info->reinit = mig_fake(dev)->reinit;

	return 0;
}

static inline int mig_fake_event(struct vfio_pci_vendor_device *dev, char what)
{
	struct mig_fake *f = mig_fake(dev);
	size_t len = strlen(f->events);

	/* A full record is not equal to any that a test expects */
	if (len < MIG_EVENTS - 1)
		f->events[len] = what;
	if (f->during)
		f->during(f, what);

	return f->fails == what || f->also_fails == what ? f->fail_ret : 0;
}

static inline u32 mig_fake_abilities(struct vfio_pci_vendor_device *dev)
{
	return mig_fake(dev)->abilities;
}

static inline int mig_fake_stop(struct vfio_pci_vendor_device *dev)
{
	return mig_fake_event(dev, 's');
}

static inline int mig_fake_run(struct vfio_pci_vendor_device *dev)
{
	return mig_fake_event(dev, 'r');
}

static inline int mig_fake_quiesce(struct vfio_pci_vendor_device *dev)
{
	return mig_fake_event(dev, 'q');
}

static inline void mig_fake_reset(struct vfio_pci_vendor_device *dev)
{
	mig_fake(dev)->resets++;
}

static inline int mig_fake_load_done(struct vfio_pci_vendor_device *dev)
{
	return mig_fake_event(dev, 'd');
}

static inline int mig_fake_begin(struct vfio_pci_vendor_device *dev,
				 enum vfio_device_mig_state state)
{
	switch (state) {
	case VFIO_DEVICE_STATE_PRE_COPY:
		return mig_fake_event(dev, 'p');
	case VFIO_DEVICE_STATE_STOP_COPY:
		return mig_fake_event(dev, 'c');
	case VFIO_DEVICE_STATE_RESUMING:
		return mig_fake_event(dev, 'i');
	default:
		return mig_fake_event(dev, '?');
	}
}

static inline void mig_fake_end(struct vfio_pci_vendor_device *dev)
{
	mig_fake_event(dev, 'e');
}

static inline int mig_fake_log_start(struct vfio_pci_vendor_device *dev,
				     struct rb_root_cached *ranges,
				     u32 nr_ranges, u64 page_size)
{
	struct interval_tree_node *node =
		interval_tree_iter_first(ranges, 0, ULONG_MAX);
	struct mig_fake *f = mig_fake(dev);

	f->log_first = node->start;
	f->log_nr_ranges = nr_ranges;
	f->log_page_size = page_size;

	return mig_fake_event(dev, 'l');
}

static inline void mig_fake_log_stop(struct vfio_pci_vendor_device *dev)
{
	mig_fake_event(dev, 'm');
}

static inline int mig_fake_log_sync(struct vfio_pci_vendor_device *dev,
				    u64 iova, u64 length)
{
	return mig_fake_event(dev, 'y');
}

static inline int mig_fake_log_restart(struct vfio_pci_vendor_device *dev)
{
	return mig_fake_event(dev, 'L');
}

static inline int mig_fake_open(struct vfio_pci_vendor_device *dev)
{
	return mig_fake_event(dev, '+');
}

static inline void mig_fake_close(struct vfio_pci_vendor_device *dev)
{
	mig_fake_event(dev, '-');
}

static inline void mig_fake_reset_done(struct vfio_pci_vendor_device *dev)
{
	if (mig_fake(dev)->reset_fails)
		vfio_pci_vendor_migration_failed(dev);
}

static const struct vfio_pci_migration_ops mig_fake_ops = {
	.version		= 5,
	.min_version		= 3,
	.abilities		= mig_fake_abilities,
	.stop			= mig_fake_stop,
	.run			= mig_fake_run,
	.quiesce		= mig_fake_quiesce,
	.begin			= mig_fake_begin,
	.end			= mig_fake_end,
	.size			= mig_fake_size,
	.save			= mig_fake_save,
	.load			= mig_fake_load,
	.load_done		= mig_fake_load_done,
	.reset			= mig_fake_reset,
};

static const struct vfio_pci_precopy_ops mig_fake_precopy_ops = {
	.pending		= mig_fake_precopy_pending,
	.save			= mig_fake_precopy_save,
	.load			= mig_fake_precopy_load,
};

static const struct vfio_pci_dma_log_ops mig_fake_log_ops = {
	.start			= mig_fake_log_start,
	.stop			= mig_fake_log_stop,
	.sync			= mig_fake_log_sync,
	.restart		= mig_fake_log_restart,
};

/* Forget the recorded calls */
static inline void mig_fake_forget(struct mig_fake *f)
{
	memset(f->events, 0, sizeof(f->events));
	memset(f->saved, 0, sizeof(f->saved));
	memset(f->loaded, 0, sizeof(f->loaded));
	f->fails = 0;
	f->also_fails = 0;
}

/* Give a driver all operations */
static inline void mig_fake_reset_ops(struct mig_fake *f)
{
	f->ops = mig_fake_ops;
	f->precopy = mig_fake_precopy_ops;
	f->log = mig_fake_log_ops;
	f->ops.precopy = &f->precopy;
	f->ops.log = &f->log;
	f->abilities = U32_MAX;
}

/* Allocate a driver with all operations; a test may remove some */
static inline struct mig_fake *mig_fake_alloc(struct kunit *test,
					      const char *name, u16 device)
{
	struct mig_fake *f = kunit_kzalloc(test, sizeof(*f), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, f);
	f->test = test;
	mig_fake_reset_ops(f);
	f->ids[0] = (struct pci_device_id){
		PCI_DEVICE(VFIO_PCI_KUNIT_VENDOR, device)
	};
	f->driver.name = name;
	f->driver.id_table = f->ids;
	f->driver.open = mig_fake_open;
	f->driver.close = mig_fake_close;
	f->driver.reset_done = mig_fake_reset_done;
	f->driver.migration = &f->ops;

	return f;
}

/* A stream, built with the offsets and numbers in the documentation */
struct mig_bytes {
	u8	*data;
	size_t	len;
	size_t	max;
	u32	crc;
};

#define MIG_HEADER	80
#define MIG_HEAD	16

KUNIT_DEFINE_ACTION_WRAPPER(mig_vfree, vfree, const void *);

static inline void *mig_vmalloc(struct kunit *test, size_t size)
{
	void *mem = vzalloc(size);

	KUNIT_ASSERT_NOT_NULL(test, mem);
	KUNIT_ASSERT_EQ(test, 0,
			kunit_add_action_or_reset(test, mig_vfree, mem));

	return mem;
}

static inline void mig_bytes_alloc(struct kunit *test, struct mig_bytes *b,
				   size_t max)
{
	*b = (struct mig_bytes) {
		.data = mig_vmalloc(test, max),
		.max = max,
	};
}

static inline void mig_put_header(struct mig_bytes *b, const struct mig_fake *f,
				  const struct pci_dev *pdev, u64 nonce)
{
	u8 *h = b->data;

	memset(h, 0, MIG_HEADER);
	memcpy(h, "VFIO-PCI", 8);
	put_unaligned_le32(1, h + 8);
	put_unaligned_le32(80, h + 12);
	put_unaligned_le16(pdev->vendor, h + 16);
	put_unaligned_le16(pdev->device, h + 18);
	put_unaligned_le16(pdev->subsystem_vendor, h + 20);
	put_unaligned_le16(pdev->subsystem_device, h + 22);
	h[24] = pdev->revision;
	put_unaligned_le32(f->ops.version, h + 28);
	memcpy(h + 32, f->driver.name, strlen(f->driver.name));
	put_unaligned_le64(nonce, h + 64);
	b->crc = crc32c(0xffffffff, h, 76);
	put_unaligned_le32(b->crc, h + 76);
	b->len = MIG_HEADER;
}

/* Complete a record; its @size bytes of payload are already in place */
static inline void mig_put_record(struct mig_bytes *b, u32 type, u32 size)
{
	u8 *r = b->data + b->len;

	put_unaligned_le32(type, r);
	put_unaligned_le32(size, r + 4);
	put_unaligned_le32(0, r + 8);
	b->crc = crc32c(crc32c(b->crc, r, 12), r + MIG_HEAD, size);
	put_unaligned_le32(b->crc, r + 12);
	b->len += MIG_HEAD + size;
}

static inline void mig_put_end(struct mig_bytes *b, u64 precopy, u64 data)
{
	put_unaligned_le64(precopy, b->data + b->len + MIG_HEAD);
	put_unaligned_le64(data, b->data + b->len + MIG_HEAD + 8);
	mig_put_record(b, 3, 16);
}

/* Append a record for each part of the driver */
static inline void mig_put_parts(struct mig_bytes *b, struct mig_fake *f,
				 int kind)
{
	unsigned int i;
	u64 pos = 0;

	for (i = 0; f->parts[kind][i]; pos += f->parts[kind][i++]) {
		KUNIT_ASSERT_LE(f->test,
				b->len + 2 * MIG_HEAD + f->parts[kind][i] + 16,
				b->max);
		mig_fake_fill(f, kind, pos, b->data + b->len + MIG_HEAD);
		mig_put_record(b, kind == MIG_PRECOPY ? 1 : 2,
			       f->parts[kind][i]);
	}
}

static inline void mig_put_all(struct mig_bytes *b, struct mig_fake *f,
			       const struct pci_dev *pdev, u64 nonce)
{
	mig_put_header(b, f, pdev, nonce);
	mig_put_parts(b, f, MIG_PRECOPY);
	mig_put_parts(b, f, MIG_DATA);
	mig_put_end(b, mig_fake_bytes(f, MIG_PRECOPY),
		    mig_fake_bytes(f, MIG_DATA));
}

/* Feed bytes to a stream in pieces of @piece bytes */
static inline int mig_feed(struct vfio_pci_mig_stream *stream, const u8 *data,
			   size_t len, size_t piece)
{
	struct iov_iter from;
	struct kvec kvec;
	int ret = 0;

	while (len && !ret) {
		kvec.iov_base = (void *)data;
		kvec.iov_len = min(len, piece);
		iov_iter_kvec(&from, ITER_SOURCE, &kvec, 1, kvec.iov_len);
		data += kvec.iov_len;
		len -= kvec.iov_len;
		ret = vfio_pci_mig_feed(stream, &from);
	}

	return ret;
}

/* Receive a stream; return 0 if it is complete and valid, or its error */
static inline int mig_verdict(struct mig_fake *f,
			      struct vfio_pci_vendor_device *dev,
			      const u8 *data, size_t len, size_t piece)
{
	struct vfio_pci_mig_stream stream;
	bool complete;
	int ret, fed;

	mig_fake_forget(f);
	KUNIT_ASSERT_EQ(f->test, 0, vfio_pci_mig_receive(&stream, dev));
	fed = mig_feed(&stream, data, len, piece);
	ret = vfio_pci_mig_received(&stream);
	complete = stream.phase == VFIO_PCI_MIG_COMPLETE;
	vfio_pci_mig_end(&stream);
	if (fed)
		KUNIT_EXPECT_EQ(f->test, fed, ret);
	KUNIT_EXPECT_STREQ(f->test, complete ? "d" : "", f->events);

	return ret;
}

#endif /* VFIO_PCI_MIG_KUNIT_H */
