/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The edu device, its state, and what is known of it while it is open
 *
 * The device: docs/specs/edu.rst of QEMU.
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
#include <linux/vfio_pci_regops.h>

#define EDU_VENDOR		0x1234
#define EDU_DEVICE		0x11e8

/* The registers, in BAR 0: of 4 bytes, and those for DMA of 8 */
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

/* The buffer of the device, as its DMA engine sees it */
#define EDU_BUFFER		0x40000
#define EDU_BUFFER_SIZE		4096

/* Address bits of the DMA engine, unless QEMU is told otherwise */
#define EDU_DMA_MASK		DMA_BIT_MASK(28)

/* 34! has 2 as a factor 32 times: from here on all that is left of n! is 0 */
#define EDU_FACTORIAL_ZERO	34

/* A transfer takes 0.1 s, the largest factorial that somebody left some seconds */
#define EDU_TIMEOUT_US		(10 * USEC_PER_SEC)
#define EDU_POLL_US		1000

/*
 * Where a byte of the buffer is from: an address that the device has read, or
 * one of these.  What the guest neither has filled nor read is not of its state.
 */
#define EDU_UNFILLED		U64_MAX
#define EDU_UNKNOWN		(U64_MAX - 1)

/* What we send: little endian, nothing in it but what is named */
struct edu_piece {
	__le64	iova;
	__le32	offset;
	__le32	length;
};

/* Each piece is a transfer, for which the guest has to wait: not too many */
#define EDU_MAX_PIECES		16

struct edu_state {
	__le32	liveness;
	/* n, of what is or was computed last */
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
	/* In ascending order; those after the last are 0 */
	struct edu_piece pieces[EDU_MAX_PIECES];
};

static_assert(sizeof(struct edu_state) == 56 + EDU_MAX_PIECES * 16);

/* What we send before, while the device runs */
struct edu_early_state {
	__le32	identification;
	__le32	reserved;
};

/* What we know of a device while it is open */
struct edu {
	struct vfio_pci_vendor_device	*dev;
	u32				identification;
	/* Only for operations, of which there is one at a time */
	bool				early_sent;
	/* Set without the lock, see edu_lock() */
	unsigned long			was_reset;

	/*
	 * Of what is below.  Whoever accesses the device holds it, as accesses
	 * may mean something only together.
	 */
	struct mutex			lock;

	/* No registers are written but by us */
	bool				halted;
	/* The state of the device when it was halted, or that it is to have */
	struct edu_state		state;
	/* Why the state is not known, if it is not */
	int				state_error;
	/* The device does not have the state yet, as it was loaded */
	bool				restore;
	/* What EDU_STATUS was before we disabled its interrupt, or 0 */
	u32				masked;

	/* A state of which it is not known yet whether it is to be taken */
	struct edu_state		loaded;
	bool				is_loaded;

	/* A transfer was started, and is not known to have ended */
	bool				transferring;
	/* What EDU_DMA_COMMAND is to be read as, other than EDU_DMA_START */
	u64				command;
	/* What memory the last transfer writes, if it is still to be logged */
	u64				written;
	u64				written_length;
	/* Where each byte of the buffer is from */
	u64				origin[EDU_BUFFER_SIZE];
};

/* access.c: registers, and what tells of transfers */
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

/* trap.c: what userspace does with the registers */
int edu_trap(struct edu *edu);
int edu_log_start(struct vfio_pci_vendor_device *dev);
int edu_log_sync(struct vfio_pci_vendor_device *dev, u64 iova, u64 length);

/* save.c: from the device to what is sent */
int edu_halt(struct vfio_pci_vendor_device *dev);
int edu_resume(struct edu *edu);
u64 edu_size(struct vfio_pci_vendor_device *dev);
ssize_t edu_save(struct vfio_pci_vendor_device *dev, void *buf, size_t size,
		 u64 pos);
bool edu_next_piece(const struct edu *edu, unsigned int *start,
		    unsigned int *length);
int edu_early_start(struct vfio_pci_vendor_device *dev);
int edu_early_pending(struct vfio_pci_vendor_device *dev, u64 *initial,
		      u64 *dirty);
ssize_t edu_early_save(struct vfio_pci_vendor_device *dev, void *buf,
		       size_t size, u64 pos);

/* load.c: from what was sent to the device */
int edu_load(struct vfio_pci_vendor_device *dev, const void *buf, size_t size,
	     u64 pos);
int edu_load_done(struct vfio_pci_vendor_device *dev);
int edu_restore(struct edu *edu);
int edu_early_load(struct vfio_pci_vendor_device *dev, const void *buf,
		   size_t size, u64 pos);

#endif /* EDU_MIGRATION_H */
