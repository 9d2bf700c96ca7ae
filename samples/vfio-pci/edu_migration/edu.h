/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The edu device, its migration data, and the driver's view of an open device
 *
 * See docs/specs/edu.rst in QEMU for the device.
 */
#ifndef EDU_MIGRATION_H
#define EDU_MIGRATION_H

#include <linux/bits.h>
#include <linux/cleanup.h>
#include <linux/device.h>
#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/time64.h>
#include <linux/types.h>
#include <linux/vfio_pci_migration.h>
#include <linux/vfio_pci_regops.h>

#define EDU_VENDOR		0x1234
#define EDU_DEVICE		0x11e8

/* Registers in BAR 0; DMA registers have 8 bytes, others have 4 bytes */
#define EDU_IDENTIFICATION	0x00
#define EDU_LIVENESS		0x04
#define EDU_FACTORIAL		0x08
#define EDU_STATUS		0x20
#define EDU_IRQ_STATUS		0x24
#define EDU_IRQ_RAISE		0x60
#define EDU_IRQ_ACKNOWLEDGE	0x64
#define EDU_DMA			0x80
#define EDU_DMA_SOURCE		0x80
#define EDU_DMA_DESTINATION	0x88
#define EDU_DMA_COUNT		0x90
#define EDU_DMA_COMMAND		0x98
#define EDU_DMA_END		0xa0

/* In EDU_STATUS */
#define EDU_COMPUTING		BIT(0)
#define EDU_IRQ_WHEN_DONE	BIT(7)

/* In EDU_IRQ_STATUS, if EDU_IRQ_WHEN_DONE was set */
#define EDU_IRQ_FACTORIAL	BIT(0)

/* In EDU_DMA_COMMAND */
#define EDU_DMA_START		BIT_ULL(0)
#define EDU_DMA_FROM_DEVICE	BIT_ULL(1)

/* The device's buffer in the address space of the DMA engine */
#define EDU_BUFFER		0x40000
#define EDU_BUFFER_SIZE		4096

/* Address bits of the DMA engine; QEMU's default */
#define EDU_DMA_MASK		DMA_BIT_MASK(28)

/* 34! has 32 factors of 2, so n! is 0 in 32 bits from here on */
#define EDU_FACTORIAL_ZERO	34

/* A transfer takes 0.1 s; a large factorial takes some seconds */
#define EDU_TIMEOUT_US		(10 * USEC_PER_SEC)
#define EDU_POLL_US		1000

/*
 * Origin of a byte in the buffer: an IOVA or one of these.  Bytes that the
 * guest has neither filled nor read are not part of the state.
 */
#define EDU_UNFILLED		U64_MAX
#define EDU_UNKNOWN		(U64_MAX - 1)

/* Migration data: a range of the buffer that the device read from @iova */
struct edu_piece {
	__le64	iova;
	__le32	offset;
	__le32	length;
};

/* The destination repeats one transfer for each piece while the guest waits */
#define EDU_MAX_PIECES		16

struct edu_state {
	__le32	liveness;
	/* n of the last computation */
	__le32	factorial;
	/* EDU_COMPUTING and EDU_IRQ_WHEN_DONE */
	__le32	status;
	__le32	irq_status;
	__le64	dma_source;
	__le64	dma_destination;
	__le64	dma_count;
	__le64	dma_command;
	__le32	reserved;
	__le32	nr_pieces;
	/* In ascending order; unused ones are 0 */
	struct edu_piece pieces[EDU_MAX_PIECES];
};

static_assert(sizeof(struct edu_state) == 56 + EDU_MAX_PIECES * 16);

/* Migration data that is sent while the device runs */
struct edu_early_state {
	__le32	identification;
	__le32	reserved;
};

/* An open device */
struct edu {
	struct vfio_pci_vendor_device	*dev;
	u32				identification;
	/* Only migration operations use it, and the core serializes them */
	bool				early_sent;
	/* Set without the lock, see edu_lock() */
	unsigned long			was_reset;

	/* Protects the members below, and sequences of register accesses */
	struct mutex			lock;

	/* Only the driver may write registers */
	bool				halted;
	/* State of the halted device, or the state to restore */
	struct edu_state		state;
	/* Error if the state could not be read */
	int				state_error;
	/* The device does not have the loaded @state yet */
	bool				restore;
	/* EDU_STATUS before the driver disabled its interrupt, or 0 */
	u32				masked;

	/* A loaded state before load_done */
	struct edu_state		loaded;
	bool				is_loaded;

	/* A transfer was started, and may still run */
	bool				transferring;
	/* EDU_DMA_COMMAND as the guest sees it, without EDU_DMA_START */
	u64				command;
	/* Memory that the last transfer writes, if not logged yet */
	u64				written;
	u64				written_length;
	/* Origin of each byte in the buffer */
	u64				origin[EDU_BUFFER_SIZE];
};

/* access.c: register access and the status of the DMA engine */
void edu_lock(struct edu *edu);
void edu_unlock(struct edu *edu);

DEFINE_GUARD(edu, struct edu *, edu_lock(_T), edu_unlock(_T))

int edu_read(struct edu *edu, unsigned int reg, u64 *val);
int edu_write(struct edu *edu, unsigned int reg, u64 val);
int edu_wait(struct edu *edu, unsigned int reg, u64 bits);
int edu_wait_for_transfer(struct edu *edu);
int edu_look_at_transfer(struct edu *edu);
bool edu_has_dma(struct edu *edu);

#define edu_refuse(edu, fmt, ...) \
	dev_err_ratelimited(&(edu)->dev->pdev->dev, \
			    "vfio_pci_edu_migration: " fmt "\n", ##__VA_ARGS__)

/* trap.c: register accesses of userspace */
int edu_trap(struct edu *edu);
int edu_log_start(struct vfio_pci_vendor_device *dev,
		  struct rb_root_cached *ranges, u32 nr_ranges, u64 page_size);
int edu_log_sync(struct vfio_pci_vendor_device *dev, u64 iova, u64 length);

/* save.c: halt the device and save its state */
int edu_halt(struct vfio_pci_vendor_device *dev);
int edu_resume(struct edu *edu);
int edu_size(struct vfio_pci_vendor_device *dev, u64 *bytes);
ssize_t edu_save(struct vfio_pci_vendor_device *dev, void *buf, size_t size,
		 u64 pos);
bool edu_next_piece(const struct edu *edu, unsigned int *start,
		    unsigned int *length);
int edu_begin(struct vfio_pci_vendor_device *dev,
	      enum vfio_device_mig_state state);
int edu_early_pending(struct vfio_pci_vendor_device *dev,
		      struct vfio_pci_precopy_info *info);
ssize_t edu_early_save(struct vfio_pci_vendor_device *dev, void *buf,
		       size_t size, u64 pos);

/* load.c: load and restore a state */
int edu_load(struct vfio_pci_vendor_device *dev, const void *buf, size_t size,
	     u64 pos);
int edu_load_done(struct vfio_pci_vendor_device *dev);
int edu_restore(struct edu *edu);
int edu_early_load(struct vfio_pci_vendor_device *dev, const void *buf,
		   size_t size, u64 pos);

#endif /* EDU_MIGRATION_H */
