// SPDX-License-Identifier: GPL-2.0-only
/*
 * VFIO PCI migration: the stream of migration data
 *
 * The core wraps the data of a vendor driver in records.  The checksum of a
 * record continues the checksum of the previous one.  The core refuses a stream
 * if an accident lost, repeated or changed a part.  A checksum cannot detect an
 * attacker, so drivers validate the data.
 *
 * The core verifies the checksum of a record before the driver gets it.  The
 * driver applies the state after the end of the stream.
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
 * vfio_pci_mig_errno() - sanitize the return value of a migration operation
 * @dev: the device
 * @what: name of the operation
 * @ret: its return value, an errno or an invalid value
 *
 * Logs the failure, unless the caller may simply try again.
 *
 * Return: @ret if it is an errno, -EIO otherwise.
 */
int vfio_pci_mig_errno(struct vfio_pci_vendor_device *dev, const char *what,
		       ssize_t ret)
{
	if (ret == -EAGAIN || ret == -EINTR || ret == -ERESTARTSYS)
		return ret;

	dev_err_ratelimited(&dev->pdev->dev,
			    "%s: migration failed: operation %s returned %zd\n",
			    dev->driver->name, what, ret);

	return ret < 0 && ret >= -MAX_ERRNO ? ret : -EIO;
}

static const struct vfio_pci_migration_ops *
vfio_pci_mig_ops(const struct vfio_pci_mig_stream *stream)
{
	return stream->dev->driver->migration;
}

/* Fill in the identity of the sender, for comparison at the receiver */
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
 * vfio_pci_mig_send() - start an outgoing stream
 * @stream: the stream
 * @dev: the device
 * @window: buffer of VFIO_PCI_MIG_WINDOW bytes, owned by the caller
 */
void vfio_pci_mig_send(struct vfio_pci_mig_stream *stream,
		       struct vfio_pci_vendor_device *dev, void *window)
{
	*stream = (struct vfio_pci_mig_stream) { .dev = dev, .window = window };
}
EXPORT_SYMBOL_IF_KUNIT(vfio_pci_mig_send);

/* Complete a record; its @size bytes of payload are in the window */
static void vfio_pci_mig_put_record(struct vfio_pci_mig_stream *stream,
				    enum vfio_pci_mig_type type, size_t size)
{
	struct vfio_pci_mig_record record = {
		.type	= cpu_to_le32(type),
		.size	= cpu_to_le32(size),
	};

	/* The receiver refuses a payload that userspace changes after this */
	stream->crc = vfio_pci_mig_record_crc(stream, &record,
					      stream->window + sizeof(record),
					      size);
	record.crc = cpu_to_le32(stream->crc);
	memcpy(stream->window, &record, sizeof(record));
	stream->filled = sizeof(record) + size;
}

/* Save one part of the state, if there is one */
static int vfio_pci_mig_put_data(struct vfio_pci_mig_stream *stream,
				 enum vfio_pci_mig_type type)
{
	const struct vfio_pci_migration_ops *ops = vfio_pci_mig_ops(stream);
	void *buf = stream->window + sizeof(struct vfio_pci_mig_record);
	bool precopy = type == VFIO_PCI_MIG_PRECOPY;
	u64 *pos = precopy ? &stream->precopy_bytes : &stream->data_bytes;
	ssize_t ret;

	if (precopy)
		ret = ops->precopy->save(stream->dev, buf, VFIO_PCI_MIG_PART,
					 *pos);
	else
		ret = ops->save(stream->dev, buf, VFIO_PCI_MIG_PART, *pos);
	if (!ret)
		return 0;
	if (ret < 0 || ret > VFIO_PCI_MIG_PART)
		return vfio_pci_mig_errno(stream->dev,
					  precopy ? "precopy->save" : "save",
					  ret);

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
 * vfio_pci_mig_fill() - fill the window of an outgoing stream
 * @stream: the stream
 * @stopped: true if the device is stopped, so that the driver can save all
 *
 * Does nothing if the window still has data.  If the window is empty
 * afterwards, no data is available now, or the stream is complete.
 *
 * Return: 0, -EAGAIN if the driver of a stopped device has no data yet, or
 * another errno of the driver; the caller may try again.
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
 * vfio_pci_mig_estimate() - estimate the remaining size of a stream
 * @stream: the stream, started or not
 * @bytes: size of the whole state, as estimated by the driver
 *
 * Return: the approximate number of bytes that are left to send.
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
 * vfio_pci_mig_receive() - start an incoming stream
 * @stream: the stream
 * @dev: the device
 *
 * Return: 0, -ENOMEM if out of memory.
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
 * vfio_pci_mig_end() - end a stream, complete or not
 * @stream: the stream
 */
void vfio_pci_mig_end(struct vfio_pci_mig_stream *stream)
{
	kvfree(stream->payload);
	*stream = (struct vfio_pci_mig_stream) {};
}
EXPORT_SYMBOL_IF_KUNIT(vfio_pci_mig_end);

/* Log the reason for refusing a stream */
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
			    "%s: migration data refused: %pV\n",
			    stream->dev->driver->name, &vaf);
	va_end(args);
}

static bool vfio_pci_mig_same_device(const struct vfio_pci_migration_ops *ops,
				     const struct vfio_pci_mig_header *a,
				     const struct vfio_pci_mig_header *b)
{
	if (a->vendor != b->vendor || a->device != b->device)
		return false;
	if (!(ops->ignore_ids & VFIO_PCI_MIGRATION_ANY_SUBSYSTEM) &&
	    (a->subvendor != b->subvendor || a->subdevice != b->subdevice))
		return false;

	return ops->ignore_ids & VFIO_PCI_MIGRATION_ANY_REVISION ||
	       a->revision == b->revision;
}

static int vfio_pci_mig_check_header(struct vfio_pci_mig_stream *stream)
{
	const struct vfio_pci_migration_ops *ops = vfio_pci_mig_ops(stream);
	const struct vfio_pci_mig_header *header = &stream->header;
	struct vfio_pci_mig_header ours = {};
	u32 version;

	vfio_pci_mig_identify(&ours, stream->dev);

	if (memcmp(header->magic, ours.magic, sizeof(header->magic))) {
		vfio_pci_mig_refuse(stream, "not a vfio-pci migration stream");
		return -EINVAL;
	}
	if (header->format != ours.format || header->size != ours.size) {
		vfio_pci_mig_refuse(stream,
				    "unsupported format %u or header size, expected format %u",
				    le32_to_cpu(header->format),
				    VFIO_PCI_MIG_FORMAT);
		return -EINVAL;
	}

	stream->crc = vfio_pci_mig_header_crc(header);
	if (le32_to_cpu(header->crc) != stream->crc) {
		vfio_pci_mig_refuse(stream, "wrong header checksum");
		return -EBADMSG;
	}

	if (!vfio_pci_mig_same_device(ops, header, &ours)) {
		vfio_pci_mig_refuse(stream,
				    "saved by a different device: %04x:%04x, subsystem %04x:%04x, revision %02x",
				    le16_to_cpu(header->vendor),
				    le16_to_cpu(header->device),
				    le16_to_cpu(header->subvendor),
				    le16_to_cpu(header->subdevice),
				    header->revision);
		return -EINVAL;
	}
	if (memcmp(header->driver, ours.driver, sizeof(header->driver))) {
		vfio_pci_mig_refuse(stream, "saved by a different vendor driver: %*pE",
				    (int)strnlen(header->driver,
						 sizeof(header->driver)),
				    header->driver);
		return -EINVAL;
	}

	version = le32_to_cpu(header->version);
	if (version > ops->version || version < ops->min_version) {
		vfio_pci_mig_refuse(stream,
				    "unsupported state version %u, expected %u to %u",
				    version, ops->min_version, ops->version);
		return -EINVAL;
	}
	if (memchr_inv(header->reserved, 0, sizeof(header->reserved)) ||
	    header->reserved2) {
		vfio_pci_mig_refuse(stream, "reserved header fields are not 0");
		return -EINVAL;
	}

	return 0;
}

/* Check the head of a record before its payload arrives */
static int vfio_pci_mig_check_record(struct vfio_pci_mig_stream *stream)
{
	const struct vfio_pci_mig_record *record = &stream->record;
	u32 type = le32_to_cpu(record->type), size = le32_to_cpu(record->size);
	bool valid = !record->reserved;

	switch (type) {
	case VFIO_PCI_MIG_PRECOPY:
		valid &= stream->phase == VFIO_PCI_MIG_AT_PRECOPY &&
			 vfio_pci_mig_ops(stream)->precopy &&
			 size && size <= VFIO_PCI_MIG_PART;
		break;
	case VFIO_PCI_MIG_DATA:
		valid &= size && size <= VFIO_PCI_MIG_PART;
		break;
	case VFIO_PCI_MIG_END:
		valid &= size == sizeof(struct vfio_pci_mig_end);
		break;
	default:
		valid &= type & VFIO_PCI_MIG_OPTIONAL &&
			 size <= VFIO_PCI_MIG_PART;
	}
	if (valid)
		return 0;

	vfio_pci_mig_refuse(stream, "unexpected record of type %u and size %u",
			    type, size);

	return -EINVAL;
}

/* Handle a complete record */
static int vfio_pci_mig_take_record(struct vfio_pci_mig_stream *stream)
{
	const struct vfio_pci_migration_ops *ops = vfio_pci_mig_ops(stream);
	const struct vfio_pci_mig_record *record = &stream->record;
	const struct vfio_pci_mig_end *end = stream->payload;
	u32 size = le32_to_cpu(record->size);
	const char *what = "load";
	int ret;

	stream->crc = vfio_pci_mig_record_crc(stream, record, stream->payload,
					      size);
	if (le32_to_cpu(record->crc) != stream->crc) {
		vfio_pci_mig_refuse(stream,
				    "wrong checksum after %llu pre-copy and %llu state bytes",
				    stream->precopy_bytes, stream->data_bytes);
		return -EBADMSG;
	}

	switch (le32_to_cpu(record->type)) {
	case VFIO_PCI_MIG_PRECOPY:
		what = "precopy->load";
		ret = ops->precopy->load(stream->dev, stream->payload, size,
					 stream->precopy_bytes);
		stream->precopy_bytes += size;
		break;
	case VFIO_PCI_MIG_DATA:
		stream->phase = VFIO_PCI_MIG_AT_DATA;
		ret = ops->load(stream->dev, stream->payload, size,
				stream->data_bytes);
		stream->data_bytes += size;
		break;
	case VFIO_PCI_MIG_END:
		if (le64_to_cpu(end->precopy_bytes) != stream->precopy_bytes ||
		    le64_to_cpu(end->data_bytes) != stream->data_bytes) {
			vfio_pci_mig_refuse(stream, "trailer does not match the received data");
			return -EINVAL;
		}
		what = "load_done";
		ret = ops->load_done(stream->dev);
		if (!ret)
			stream->phase = VFIO_PCI_MIG_COMPLETE;
		break;
	default:
		return 0;
	}

	if (!ret)
		return 0;
	ret = vfio_pci_mig_errno(stream->dev, what, ret);
	/* Userspace would try again, but a failed load is final */
	if (ret == -EAGAIN || ret == -EFAULT || ret == -EINTR ||
	    ret == -ERESTARTSYS)
		return -EIO;

	return ret;
}

/* Receive the rest of an item: @size bytes from offset @start of the record */
static bool vfio_pci_mig_gather(struct vfio_pci_mig_stream *stream, void *to,
				size_t start, size_t size,
				struct iov_iter *from)
{
	size_t have = stream->got - start;

	stream->got += copy_from_iter(to + have, size - have, from);

	return stream->got == start + size;
}

/* The stream needs more bytes */
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
		vfio_pci_mig_refuse(stream, "data after the end of the stream");
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
 * @from: the bytes; the function advances it past the received bytes
 *
 * After -EFAULT or -EINTR, the caller may continue.  After any other error, the
 * stream accepts no more bytes.
 *
 * Return: 0, -EFAULT if a copy from userspace faulted, -EINTR if a fatal signal
 * is pending, -ENODEV if the device was reset, -EINVAL if the stream is
 * invalid, -EBADMSG for a wrong checksum, or the errno of the driver.
 */
int vfio_pci_mig_feed(struct vfio_pci_mig_stream *stream, struct iov_iter *from)
{
	struct vfio_pci_vendor *vendor = to_vfio_pci_vendor(stream->dev);
	struct vfio_pci_mig *mig = vendor->migration;
	int ret = stream->error;

	while (!ret && iov_iter_count(from)) {
		if (fatal_signal_pending(current))
			return -EINTR;
		/* Do not load anything after a reset */
		if (mig && vfio_pci_mig_in_reset(mig))
			return -ENODEV;
		ret = vfio_pci_mig_step(stream, from);
		/* If bytes are left, the copy from userspace faulted */
		if (ret == VFIO_PCI_MIG_LACKS)
			return iov_iter_count(from) ? -EFAULT : 0;
		stream->error = ret;
		cond_resched();
	}
	/* A reset discards the loaded state */
	if (!ret && mig && vfio_pci_mig_in_reset(mig))
		return -ENODEV;
	/* The driver reported that the device lost its state */
	if (!ret && mig && READ_ONCE(mig->deferred_error))
		return -EIO;

	return ret;
}
EXPORT_SYMBOL_IF_KUNIT(vfio_pci_mig_feed);

/**
 * vfio_pci_mig_received() - check whether a stream was received and loaded
 * @stream: the stream
 *
 * Return: 0, -EINVAL if the stream is empty or incomplete, or the error of the
 * stream.
 */
int vfio_pci_mig_received(const struct vfio_pci_mig_stream *stream)
{
	if (stream->error)
		return stream->error;
	if (stream->phase == VFIO_PCI_MIG_COMPLETE)
		return 0;

	vfio_pci_mig_refuse(stream,
			    "incomplete after %llu pre-copy and %llu state bytes",
			    stream->precopy_bytes, stream->data_bytes);

	return -EINVAL;
}
EXPORT_SYMBOL_IF_KUNIT(vfio_pci_mig_received);
