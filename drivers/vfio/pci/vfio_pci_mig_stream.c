// SPDX-License-Identifier: GPL-2.0-only
/*
 * VFIO PCI migration: the stream that the state of a device is sent in
 *
 * What a vendor driver gives is wrapped in records, each of which goes on with
 * the checksum of the one before, so that a stream that lacks, repeats or
 * changes any part of another is not taken for it.  Nobody trusts a stream:
 * what is in a record reaches the driver once the record is known to be whole,
 * and takes effect once all of them are.
 */

#include <linux/crc32.h>
#include <linux/pci.h>
#include <linux/random.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uio.h>
#include <linux/vfio_pci_core.h>
#include <kunit/visibility.h>

#include "vfio_pci_mig.h"
#include "vfio_pci_priv.h"

/**
 * vfio_pci_mig_errno() - check what a migration operation returned
 * @dev: the device
 * @what: the operation
 * @ret: what it returned, which is not what it should on success
 *
 * Return: @ret, or -EIO if that is no errno.
 */
int vfio_pci_mig_errno(struct vfio_pci_vendor_device *dev, const char *what,
		       ssize_t ret)
{
	dev_err_ratelimited(&dev->pdev->dev,
			    "vendor driver %s: migration: %s returns %zd\n",
			    dev->driver->name, what, ret);

	return ret < 0 && ret >= -MAX_ERRNO ? ret : -EIO;
}

static const struct vfio_pci_migration_ops *
vfio_pci_mig_ops(const struct vfio_pci_mig_stream *stream)
{
	return stream->dev->driver->migration;
}

/* Who sends, or should have */
static void vfio_pci_mig_identify(struct vfio_pci_mig_header *header,
				  struct vfio_pci_vendor_device *dev)
{
	struct pci_dev *pdev = dev->pdev;

	memcpy(header->magic, VFIO_PCI_MIG_MAGIC, sizeof(header->magic));
	header->format = cpu_to_le32(VFIO_PCI_MIG_FORMAT);
	header->size = cpu_to_le32(sizeof(*header));
	header->vendor = cpu_to_le16(pdev->vendor);
	header->device = cpu_to_le16(pdev->device);
	header->subvendor = cpu_to_le16(pdev->subsystem_vendor);
	header->subdevice = cpu_to_le16(pdev->subsystem_device);
	header->revision = pdev->revision;
	header->version = cpu_to_le32(dev->driver->migration->version);
	strtomem_pad(header->driver, dev->driver->name, 0);
}

static u32 vfio_pci_mig_header_crc(const struct vfio_pci_mig_header *header)
{
	return crc32c(~0, header, offsetof(struct vfio_pci_mig_header, crc));
}

static u32 vfio_pci_mig_record_crc(const struct vfio_pci_mig_stream *stream,
				   const struct vfio_pci_mig_record *record,
				   const void *payload, size_t size)
{
	u32 crc = crc32c(stream->crc, record,
			 offsetof(struct vfio_pci_mig_record, crc));

	return crc32c(crc, payload, size);
}

/**
 * vfio_pci_mig_send() - begin to send the state of a device
 * @stream: the stream
 * @dev: the device
 * @window: VFIO_PCI_MIG_WINDOW bytes, which the caller keeps
 */
void vfio_pci_mig_send(struct vfio_pci_mig_stream *stream,
		       struct vfio_pci_vendor_device *dev, void *window)
{
	*stream = (struct vfio_pci_mig_stream) { .dev = dev, .window = window };
}
EXPORT_SYMBOL_IF_KUNIT(vfio_pci_mig_send);

/* Complete a record whose @size bytes are in the window */
static void vfio_pci_mig_put_record(struct vfio_pci_mig_stream *stream,
				    enum vfio_pci_mig_type type, size_t size)
{
	struct vfio_pci_mig_record record = {
		.type	= cpu_to_le32(type),
		.size	= cpu_to_le32(size),
	};

	/* The window may be mapped: what is there is no more ours to read */
	stream->crc = vfio_pci_mig_record_crc(stream, &record,
					      stream->window + sizeof(record),
					      size);
	record.crc = cpu_to_le32(stream->crc);
	memcpy(stream->window, &record, sizeof(record));
	stream->filled = sizeof(record) + size;
}

/* One part of the state, or none */
static int vfio_pci_mig_put_data(struct vfio_pci_mig_stream *stream,
				 enum vfio_pci_mig_type type)
{
	const struct vfio_pci_migration_ops *ops = vfio_pci_mig_ops(stream);
	void *buf = stream->window + sizeof(struct vfio_pci_mig_record);
	bool precopy = type == VFIO_PCI_MIG_PRECOPY;
	u64 *pos = precopy ? &stream->precopy_bytes : &stream->data_bytes;
	ssize_t ret;

	if (precopy)
		ret = ops->precopy_save(stream->dev, buf, VFIO_PCI_MIG_PART,
					*pos);
	else
		ret = ops->save(stream->dev, buf, VFIO_PCI_MIG_PART, *pos);
	if (!ret)
		return 0;
	if (ret < 0 || ret > VFIO_PCI_MIG_PART)
		return vfio_pci_mig_errno(stream->dev, "save", ret);

	vfio_pci_mig_put_record(stream, type, ret);
	*pos += ret;

	return 0;
}

static void vfio_pci_mig_put_header(struct vfio_pci_mig_stream *stream)
{
	struct vfio_pci_mig_header header = {
		.nonce = cpu_to_le64(get_random_u64()),
	};

	vfio_pci_mig_identify(&header, stream->dev);
	stream->crc = vfio_pci_mig_header_crc(&header);
	header.crc = cpu_to_le32(stream->crc);
	memcpy(stream->window, &header, sizeof(header));
	stream->filled = sizeof(header);
}

static void vfio_pci_mig_put_end(struct vfio_pci_mig_stream *stream)
{
	struct vfio_pci_mig_end end = {
		.precopy_bytes	= cpu_to_le64(stream->precopy_bytes),
		.data_bytes	= cpu_to_le64(stream->data_bytes),
	};

	memcpy(stream->window + sizeof(struct vfio_pci_mig_record), &end,
	       sizeof(end));
	vfio_pci_mig_put_record(stream, VFIO_PCI_MIG_END, sizeof(end));
}

/**
 * vfio_pci_mig_fill() - fill the window of a stream that is sent
 * @stream: the stream
 * @stopped: whether the device is stopped, hence all of it may be sent
 *
 * There is nothing to do if the window was not taken whole.  If there is nothing
 * in it afterwards, that is all for now, or forever if the stream is complete.
 *
 * Return: 0, or what the driver failed with; it may be called again then.
 */
int vfio_pci_mig_fill(struct vfio_pci_mig_stream *stream, bool stopped)
{
	int ret;

	if (vfio_pci_mig_left(stream))
		return 0;

	stream->filled = 0;
	stream->taken = 0;

	switch (stream->phase) {
	case VFIO_PCI_MIG_AT_HEADER:
		vfio_pci_mig_put_header(stream);
		stream->phase = VFIO_PCI_MIG_AT_PRECOPY;
		return 0;
	case VFIO_PCI_MIG_AT_PRECOPY:
		if (!stopped)
			return vfio_pci_mig_put_data(stream,
						     VFIO_PCI_MIG_PRECOPY);
		stream->phase = VFIO_PCI_MIG_AT_DATA;
		fallthrough;
	case VFIO_PCI_MIG_AT_DATA:
		ret = vfio_pci_mig_put_data(stream, VFIO_PCI_MIG_DATA);
		if (ret || stream->filled)
			return ret;
		stream->phase = VFIO_PCI_MIG_AT_END;
		fallthrough;
	case VFIO_PCI_MIG_AT_END:
		vfio_pci_mig_put_end(stream);
		stream->phase = VFIO_PCI_MIG_COMPLETE;
		return 0;
	default:
		return 0;
	}
}
EXPORT_SYMBOL_IF_KUNIT(vfio_pci_mig_fill);

/**
 * vfio_pci_mig_estimate() - estimate what a stream takes
 * @stream: the stream, which is sent or not
 * @bytes: how many bytes the driver estimates, in all
 *
 * Return: about how many bytes are still to be sent of it.
 */
u64 vfio_pci_mig_estimate(const struct vfio_pci_mig_stream *stream, u64 bytes)
{
	u64 records;

	if (stream->phase == VFIO_PCI_MIG_COMPLETE)
		return vfio_pci_mig_left(stream);

	bytes -= min(bytes, stream->data_bytes);
	records = div_u64(bytes, VFIO_PCI_MIG_PART) + 2;
	if (check_add_overflow(bytes, vfio_pci_mig_left(stream) +
			       sizeof(struct vfio_pci_mig_end) +
			       records * sizeof(struct vfio_pci_mig_record),
			       &bytes))
		return U64_MAX;

	if (stream->phase == VFIO_PCI_MIG_AT_HEADER &&
	    check_add_overflow(bytes, sizeof(struct vfio_pci_mig_header),
			       &bytes))
		return U64_MAX;

	return bytes;
}
EXPORT_SYMBOL_IF_KUNIT(vfio_pci_mig_estimate);

/**
 * vfio_pci_mig_receive() - begin to receive the state of a device
 * @stream: the stream
 * @dev: the device
 *
 * Return: 0, -ENOMEM.
 */
int vfio_pci_mig_receive(struct vfio_pci_mig_stream *stream,
			 struct vfio_pci_vendor_device *dev)
{
	*stream = (struct vfio_pci_mig_stream) { .dev = dev };
	stream->payload = kvmalloc(VFIO_PCI_MIG_PART, GFP_KERNEL_ACCOUNT);

	return stream->payload ? 0 : -ENOMEM;
}
EXPORT_SYMBOL_IF_KUNIT(vfio_pci_mig_receive);

/**
 * vfio_pci_mig_end() - end a stream, whether it is complete or not
 * @stream: the stream
 */
void vfio_pci_mig_end(struct vfio_pci_mig_stream *stream)
{
	kvfree(stream->payload);
	*stream = (struct vfio_pci_mig_stream) {};
}
EXPORT_SYMBOL_IF_KUNIT(vfio_pci_mig_end);

/* Say why a stream is not taken */
static __printf(2, 3)
void vfio_pci_mig_refuse(const struct vfio_pci_mig_stream *stream,
			 const char *fmt, ...)
{
	struct va_format vaf;
	va_list args;

	va_start(args, fmt);
	vaf.fmt = fmt;
	vaf.va = &args;
	dev_err_ratelimited(&stream->dev->pdev->dev,
			    "vendor driver %s: the state of a device is refused: %pV\n",
			    stream->dev->driver->name, &vaf);
	va_end(args);
}

static int vfio_pci_mig_check_header(struct vfio_pci_mig_stream *stream)
{
	const struct vfio_pci_migration_ops *ops = vfio_pci_mig_ops(stream);
	const struct vfio_pci_mig_header *header = &stream->header;
	struct vfio_pci_mig_header ours = {};
	u32 version;

	vfio_pci_mig_identify(&ours, stream->dev);

	if (memcmp(header->magic, ours.magic, sizeof(header->magic))) {
		vfio_pci_mig_refuse(stream, "it is none");
		return -EINVAL;
	}
	if (header->format != ours.format || header->size != ours.size) {
		vfio_pci_mig_refuse(stream, "its format is %u, ours %u",
				    le32_to_cpu(header->format),
				    VFIO_PCI_MIG_FORMAT);
		return -EINVAL;
	}

	stream->crc = vfio_pci_mig_header_crc(header);
	if (le32_to_cpu(header->crc) != stream->crc) {
		vfio_pci_mig_refuse(stream, "its header has a wrong checksum");
		return -EBADMSG;
	}

	if (header->vendor != ours.vendor || header->device != ours.device ||
	    header->subvendor != ours.subvendor ||
	    header->subdevice != ours.subdevice ||
	    header->revision != ours.revision) {
		vfio_pci_mig_refuse(stream,
				    "it is of a device %04x:%04x (%04x:%04x) revision %02x",
				    le16_to_cpu(header->vendor),
				    le16_to_cpu(header->device),
				    le16_to_cpu(header->subvendor),
				    le16_to_cpu(header->subdevice),
				    header->revision);
		return -EINVAL;
	}
	if (memcmp(header->driver, ours.driver, sizeof(header->driver))) {
		vfio_pci_mig_refuse(stream, "it is of the driver %*pE",
				    (int)strnlen(header->driver,
						 sizeof(header->driver)),
				    header->driver);
		return -EINVAL;
	}

	version = le32_to_cpu(header->version);
	if (version > ops->version || version < ops->min_version) {
		vfio_pci_mig_refuse(stream, "its version is %u, ours are %u to %u",
				    version, ops->min_version, ops->version);
		return -EINVAL;
	}
	if (memchr_inv(header->reserved, 0, sizeof(header->reserved)) ||
	    header->reserved2) {
		vfio_pci_mig_refuse(stream, "it has what we do not know");
		return -EINVAL;
	}

	return 0;
}

/* The head of a record: its payload has not come yet */
static int vfio_pci_mig_check_record(struct vfio_pci_mig_stream *stream)
{
	const struct vfio_pci_mig_record *record = &stream->record;
	u32 type = le32_to_cpu(record->type), size = le32_to_cpu(record->size);
	bool valid = !record->reserved;

	switch (type) {
	case VFIO_PCI_MIG_PRECOPY:
		valid &= stream->phase == VFIO_PCI_MIG_AT_PRECOPY &&
			 vfio_pci_mig_ops(stream)->precopy_load &&
			 size && size <= VFIO_PCI_MIG_PART;
		break;
	case VFIO_PCI_MIG_DATA:
		valid &= size && size <= VFIO_PCI_MIG_PART;
		break;
	case VFIO_PCI_MIG_END:
		valid &= size == sizeof(struct vfio_pci_mig_end);
		break;
	default:
		valid = false;
	}
	if (valid)
		return 0;

	vfio_pci_mig_refuse(stream, "a record of type %u and size %u cannot be here",
			    type, size);

	return -EINVAL;
}

/* A record has come */
static int vfio_pci_mig_take_record(struct vfio_pci_mig_stream *stream)
{
	const struct vfio_pci_migration_ops *ops = vfio_pci_mig_ops(stream);
	const struct vfio_pci_mig_record *record = &stream->record;
	const struct vfio_pci_mig_end *end = stream->payload;
	u32 size = le32_to_cpu(record->size);
	int ret;

	stream->crc = vfio_pci_mig_record_crc(stream, record, stream->payload,
					      size);
	if (le32_to_cpu(record->crc) != stream->crc) {
		vfio_pci_mig_refuse(stream,
				    "wrong checksum after %llu and %llu bytes",
				    stream->precopy_bytes, stream->data_bytes);
		return -EBADMSG;
	}

	switch (le32_to_cpu(record->type)) {
	case VFIO_PCI_MIG_PRECOPY:
		ret = ops->precopy_load(stream->dev, stream->payload, size,
					stream->precopy_bytes);
		stream->precopy_bytes += size;
		break;
	case VFIO_PCI_MIG_DATA:
		stream->phase = VFIO_PCI_MIG_AT_DATA;
		ret = ops->load(stream->dev, stream->payload, size,
				stream->data_bytes);
		stream->data_bytes += size;
		break;
	default:
		if (le64_to_cpu(end->precopy_bytes) != stream->precopy_bytes ||
		    le64_to_cpu(end->data_bytes) != stream->data_bytes) {
			vfio_pci_mig_refuse(stream, "its end is of another");
			return -EINVAL;
		}
		stream->phase = VFIO_PCI_MIG_COMPLETE;
		return 0;
	}

	return ret ? vfio_pci_mig_errno(stream->dev, "load", ret) : 0;
}

/* Get what is missing of @size bytes, the first of which is @start of all */
static bool vfio_pci_mig_gather(struct vfio_pci_mig_stream *stream, void *to,
				size_t start, size_t size,
				struct iov_iter *from)
{
	size_t have = stream->got - start;

	stream->got += copy_from_iter(to + have, size - have, from);

	return stream->got == start + size;
}

/* There is not enough of it yet */
#define VFIO_PCI_MIG_LACKS	1

static int vfio_pci_mig_step(struct vfio_pci_mig_stream *stream,
			     struct iov_iter *from)
{
	const size_t head = sizeof(stream->record);
	int ret;

	switch (stream->phase) {
	case VFIO_PCI_MIG_AT_HEADER:
		if (!vfio_pci_mig_gather(stream, &stream->header, 0,
					 sizeof(stream->header), from))
			return VFIO_PCI_MIG_LACKS;
		stream->got = 0;
		stream->phase = VFIO_PCI_MIG_AT_PRECOPY;
		return vfio_pci_mig_check_header(stream);
	case VFIO_PCI_MIG_COMPLETE:
		vfio_pci_mig_refuse(stream, "it goes on after its end");
		return -EINVAL;
	default:
		break;
	}

	if (stream->got < head) {
		if (!vfio_pci_mig_gather(stream, &stream->record, 0, head,
					 from))
			return VFIO_PCI_MIG_LACKS;
		ret = vfio_pci_mig_check_record(stream);
		if (ret)
			return ret;
	}
	if (!vfio_pci_mig_gather(stream, stream->payload, head,
				 le32_to_cpu(stream->record.size), from))
		return VFIO_PCI_MIG_LACKS;
	stream->got = 0;

	return vfio_pci_mig_take_record(stream);
}

/**
 * vfio_pci_mig_feed() - receive bytes of a stream
 * @stream: the stream
 * @from: the bytes, of which those that were received are gone afterwards
 *
 * Return: 0, -EFAULT if not all could be got from userspace, or -EINTR if that
 * was killed, and it can go on; -ENODEV if the device was reset meanwhile; or else
 * what is wrong with the stream, of which nothing more is received: -EINVAL,
 * -EBADMSG for a wrong checksum, or what the driver failed with.
 */
int vfio_pci_mig_feed(struct vfio_pci_mig_stream *stream, struct iov_iter *from)
{
	struct vfio_pci_vendor *vendor = to_vfio_pci_vendor(stream->dev);
	struct vfio_pci_migration *mig = vendor->migration;
	int ret = stream->error;

	while (!ret && iov_iter_count(from)) {
		if (fatal_signal_pending(current))
			return -EINTR;
		/* The driver is not to be given what it is not to have */
		if (mig && vfio_pci_mig_was_reset(mig))
			return -ENODEV;
		ret = vfio_pci_mig_step(stream, from);
		/* If what it was given was not all used, that cannot be got */
		if (ret == VFIO_PCI_MIG_LACKS)
			return iov_iter_count(from) ? -EFAULT : 0;
		stream->error = ret;
		cond_resched();
	}

	return ret;
}
EXPORT_SYMBOL_IF_KUNIT(vfio_pci_mig_feed);

/**
 * vfio_pci_mig_received() - find whether a stream was received
 * @stream: the stream
 *
 * Return: 0 if it was received whole, -ENODATA if nothing of it was, -EINVAL if
 * it is not complete, or what was wrong with it.
 */
int vfio_pci_mig_received(const struct vfio_pci_mig_stream *stream)
{
	if (stream->error)
		return stream->error;
	if (stream->phase == VFIO_PCI_MIG_COMPLETE)
		return 0;
	if (stream->phase == VFIO_PCI_MIG_AT_HEADER && !stream->got)
		return -ENODATA;

	vfio_pci_mig_refuse(stream, "it ends after %llu and %llu bytes",
			    stream->precopy_bytes, stream->data_bytes);

	return -EINVAL;
}
EXPORT_SYMBOL_IF_KUNIT(vfio_pci_mig_received);
