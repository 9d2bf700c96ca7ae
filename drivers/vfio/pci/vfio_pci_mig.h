/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef VFIO_PCI_MIG_H
#define VFIO_PCI_MIG_H

#include <linux/cleanup.h>
#include <linux/kref.h>
#include <linux/mutex.h>
#include <linux/spinlock.h>
#include <linux/vfio.h>
#include <linux/vfio_pci_core.h>
#include <linux/vfio_pci_migration.h>
#include <linux/wait.h>
#include <linux/xarray.h>

struct iov_iter;
struct iova_bitmap;
struct vfio_pci_mig_log_range;

/*
 * Stream format, all little endian: a header, then records.  See
 * Documentation/driver-api/vfio-pci-migration.rst.
 */
#define VFIO_PCI_MIG_MAGIC	"VFIO-PCI"
#define VFIO_PCI_MIG_FORMAT	1
#define VFIO_PCI_MIG_NAME	32

struct vfio_pci_mig_header {
	u8	magic[8] __nonstring;
	__le32	format;
	__le32	size;
	__le16	vendor;
	__le16	device;
	__le16	subvendor;
	__le16	subdevice;
	u8	revision;
	u8	reserved[3];
	__le32	version;
	u8	driver[VFIO_PCI_MIG_NAME] __nonstring;
	__le64	nonce;
	__le32	reserved2;
	__le32	crc;
};

static_assert(sizeof(struct vfio_pci_mig_header) == 80);

enum vfio_pci_mig_type {
	VFIO_PCI_MIG_PRECOPY	= 1,
	VFIO_PCI_MIG_DATA	= 2,
	VFIO_PCI_MIG_END	= 3,
};

/* A receiver skips a record of an unknown type that has this bit */
#define VFIO_PCI_MIG_OPTIONAL	BIT(31)

struct vfio_pci_mig_record {
	__le32	type;
	__le32	size;
	__le32	reserved;
	__le32	crc;
};

static_assert(sizeof(struct vfio_pci_mig_record) == 16);

struct vfio_pci_mig_end {
	__le64	precopy_bytes;
	__le64	data_bytes;
};

/* Size of the buffer for one record, including its head */
#define VFIO_PCI_MIG_WINDOW	SZ_256K
#define VFIO_PCI_MIG_PART	(VFIO_PCI_MIG_WINDOW - \
				 sizeof(struct vfio_pci_mig_record))

/* Next expected part of a stream */
enum vfio_pci_mig_phase {
	VFIO_PCI_MIG_AT_HEADER,
	VFIO_PCI_MIG_AT_PRECOPY,
	VFIO_PCI_MIG_AT_DATA,
	VFIO_PCI_MIG_AT_END,
	VFIO_PCI_MIG_COMPLETE,
};

/* An outgoing or incoming stream */
struct vfio_pci_mig_stream {
	struct vfio_pci_vendor_device	*dev;
	enum vfio_pci_mig_phase		phase;
	/* Checksum of the stream so far */
	u32				crc;
	/* Payload bytes so far */
	u64				precopy_bytes;
	u64				data_bytes;

	/* Outgoing: the current record, and the part already sent */
	void				*window;
	size_t				filled;
	size_t				taken;

	/* Incoming: the received part of the current header or record */
	void				*payload;
	size_t				got;
	int				error;
	struct vfio_pci_mig_header	header;
	struct vfio_pci_mig_record	record;
};

int vfio_pci_mig_errno(struct vfio_pci_vendor_device *dev, const char *what,
		       ssize_t ret);

void vfio_pci_mig_send(struct vfio_pci_mig_stream *stream,
		       struct vfio_pci_vendor_device *dev, void *window);
int vfio_pci_mig_fill(struct vfio_pci_mig_stream *stream, bool stopped);

static inline size_t vfio_pci_mig_left(const struct vfio_pci_mig_stream *stream)
{
	return stream->filled - stream->taken;
}

u64 vfio_pci_mig_estimate(const struct vfio_pci_mig_stream *stream, u64 bytes);

int vfio_pci_mig_receive(struct vfio_pci_mig_stream *stream,
			 struct vfio_pci_vendor_device *dev);
int vfio_pci_mig_feed(struct vfio_pci_mig_stream *stream, struct iov_iter *from);
int vfio_pci_mig_received(const struct vfio_pci_mig_stream *stream);
void vfio_pci_mig_end(struct vfio_pci_mig_stream *stream);

/* Migration protocol of an open device, selected by its first use */
enum vfio_pci_mig_protocol {
	VFIO_PCI_MIG_NO_PROTOCOL,
	VFIO_PCI_MIG_BY_REGION,
	VFIO_PCI_MIG_BY_FEATURE,
};

/* Limit the memory: a guest can make a device write to any address */
#define VFIO_PCI_MIG_LOG_CHUNKS	65536

/* Memory that a device has written */
struct vfio_pci_mig_log {
	/* Protects the members below */
	struct mutex			lock;
	/* Logged ranges of addresses; NULL while logging is off */
	struct vfio_pci_mig_log_range	*ranges;
	unsigned int			nr_ranges;
	struct xarray			chunks;
	unsigned int			nr_chunks;
};

void vfio_pci_mig_log_init(struct vfio_pci_mig_log *log);
int vfio_pci_mig_log_begin(struct vfio_pci_mig_log *log,
			   struct rb_root_cached *root, u32 nnodes);
bool vfio_pci_mig_log_has_begun(struct vfio_pci_mig_log *log);
bool vfio_pci_mig_log_end(struct vfio_pci_mig_log *log);
int vfio_pci_mig_log_write(struct vfio_pci_mig_log *log, u64 iova, u64 length);
void vfio_pci_mig_log_all(struct vfio_pci_mig_log *log);
int vfio_pci_mig_log_read(struct vfio_pci_mig_log *log, u64 iova, u64 length,
			  struct iova_bitmap *dirty);

/* Migration of an open device */
struct vfio_pci_mig {
	/* Held by the device, vendor driver, v1 region and each data file */
	struct kref			kref;
	/* Protects the members below; outer to the locks of region accesses */
	struct mutex			lock;
	/* NULL once the device is closed */
	struct vfio_pci_core_device	*vdev;
	struct vfio_pci_vendor_device	*dev;
	const struct vfio_pci_migration_ops *ops;
	enum vfio_device_mig_state	state;
	/* Current data transfer session; a data file belongs to one session */
	u64				session;
	struct vfio_pci_mig_stream	stream;
	bool				in_session;
	/* Number of resets so far */
	unsigned int			resets;
	/* The device was loaded and has not run since */
	bool				loaded;
	/* stop or quiesce may have followed a reset: call run then */
	bool				stop_raced;
	/* The wait for that reset ended early: enter ERROR at its end */
	bool				stop_lost;
	/* Number of initial bytes in the last report to userspace */
	u64				initial;
	/* New initial data that was not yet reported */
	bool				reinit;
	/* Value of @news when the driver had no data to save */
	u64				no_data;
	/* A reset may have stopped the log of the device */
	bool				log_restart;
	/* v1 states without an equivalent in enum vfio_device_mig_state */
	bool				v1_saving;
	bool				v1_offered;

	/* Has its own lock */
	struct vfio_pci_mig_log		log;

	/* Set once, without a lock */
	enum vfio_pci_mig_protocol	protocol;
	void				*window;

	/* Protects the flags for deferred events and a reset in progress */
	spinlock_t			reset_lock;
	bool				deferred_reset;
	bool				deferred_error;
	bool				resetting;
	wait_queue_head_t		reset_over;

	/* Threads that wait for more data, and the number of their wakeups */
	wait_queue_head_t		more;
	atomic64_t			news;
};

#ifdef CONFIG_VFIO_PCI_MIGRATION
u32 vfio_pci_mig_abilities(struct vfio_pci_vendor_device *dev);
void vfio_pci_mig_bind(struct vfio_pci_vendor_device *dev);
bool vfio_pci_mig_bound(struct vfio_pci_vendor_device *dev);
int vfio_pci_mig_check_driver(const struct vfio_pci_vendor_driver *driver);
int vfio_pci_mig_open(struct vfio_pci_vendor_device *dev);
void vfio_pci_mig_close(struct vfio_pci_mig *mig);
void vfio_pci_mig_reset_prepare(struct vfio_pci_mig *mig);
void vfio_pci_mig_reset(struct vfio_pci_mig *mig);
void vfio_pci_mig_reset_done(struct vfio_pci_mig *mig);
void vfio_pci_mig_put(struct vfio_pci_mig *mig);
#else
static inline u32 vfio_pci_mig_abilities(struct vfio_pci_vendor_device *dev)
{
	return 0;
}

static inline void vfio_pci_mig_bind(struct vfio_pci_vendor_device *dev)
{
}

static inline bool vfio_pci_mig_bound(struct vfio_pci_vendor_device *dev)
{
	return false;
}

static inline int
vfio_pci_mig_check_driver(const struct vfio_pci_vendor_driver *driver)
{
	return 0;
}

static inline int vfio_pci_mig_open(struct vfio_pci_vendor_device *dev)
{
	return 0;
}

static inline void vfio_pci_mig_close(struct vfio_pci_mig *mig)
{
}

static inline void vfio_pci_mig_reset_prepare(struct vfio_pci_mig *mig)
{
}

static inline void vfio_pci_mig_reset(struct vfio_pci_mig *mig)
{
}

static inline void vfio_pci_mig_reset_done(struct vfio_pci_mig *mig)
{
}

static inline void vfio_pci_mig_put(struct vfio_pci_mig *mig)
{
}
#endif

struct vfio_pci_mig *vfio_pci_mig_get(struct vfio_device *core_vdev);
DEFINE_FREE(vfio_pci_mig_put, struct vfio_pci_mig *, vfio_pci_mig_put(_T))

void vfio_pci_mig_lock(struct vfio_pci_mig *mig);
void vfio_pci_mig_unlock(struct vfio_pci_mig *mig);
DEFINE_GUARD(vfio_pci_mig, struct vfio_pci_mig *,
	     vfio_pci_mig_lock(_T), vfio_pci_mig_unlock(_T))

/*
 * Check whether a reset or an error recovery is in progress or not yet handled.
 * vfio_pci_mig_unlock() handles it.  If this is true, do not call the driver,
 * and drop the result of the last call.
 */
static inline bool vfio_pci_mig_in_reset(struct vfio_pci_mig *mig)
{
	guard(spinlock)(&mig->reset_lock);

	return mig->resetting || mig->deferred_reset;
}

/* Wake up threads that wait for more data */
static inline void vfio_pci_mig_wake(struct vfio_pci_mig *mig)
{
	atomic64_inc(&mig->news);
	wake_up_all(&mig->more);
}

int vfio_pci_mig_settle(struct vfio_pci_mig *mig);

int vfio_pci_mig_claim(struct vfio_pci_mig *mig,
		       enum vfio_pci_mig_protocol protocol);
void *vfio_pci_mig_window(struct vfio_pci_mig *mig);
bool vfio_pci_mig_is_saving(enum vfio_device_mig_state state);
bool vfio_pci_mig_is_stopped(enum vfio_device_mig_state state);
int vfio_pci_mig_set_state(struct vfio_pci_mig *mig,
			   enum vfio_device_mig_state state);
int vfio_pci_mig_pending(struct vfio_pci_mig *mig,
			 struct vfio_pci_precopy_info *info);
void vfio_pci_mig_cancel(struct vfio_pci_mig *mig);
int vfio_pci_mig_size(struct vfio_pci_mig *mig, u64 *bytes);
void vfio_pci_mig_stop_logging(struct vfio_pci_mig *mig);

#ifdef CONFIG_VFIO_PCI_MIGRATION_V1
int vfio_pci_mig_add_region(struct vfio_pci_mig *mig);
#else
static inline int vfio_pci_mig_add_region(struct vfio_pci_mig *mig)
{
	return 0;
}
#endif

#endif /* VFIO_PCI_MIG_H */
