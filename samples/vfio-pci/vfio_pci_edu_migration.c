// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sample vendor driver: live migration of QEMU's educational device, edu
 *
 * Read vfio_pci_edu.c first, which shows what a vendor driver is.  This one lets
 * userspace move a device to another machine: it says how the device is halted,
 * and what its state is made of.  vfio-pci does the rest.
 *
 * A device that is made for it saves and loads its state by itself.  This one is
 * not, so each part of its state has a way of its own here:
 *
 * - Registers that can be read and written: they are.
 * - The factorial, written as n and read as n!: which n that was can be told
 *   from n!, so it is computed again.  While the device computes, the register
 *   still has n.
 * - Interrupts that are pending: they are raised again, by a register for that.
 *   The guest may see one twice, but never loses one.
 * - The buffer, which only DMA reaches: we watch transfers start, and so know
 *   from where in memory each byte has come.  They are done again.
 *
 * The last of these has limits.  Of what we can know we take care: a state that
 * would get lost is not saved.  But a guest that has changed the memory since
 * it started a transfer finds the new contents in the buffer, as would one that
 * had started it later; and so does one whose IOMMU leads elsewhere by now.
 *
 * The device: docs/specs/edu.rst of QEMU.
 */

#include <linux/delay.h>
#include <linux/iopoll.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/slab.h>
#include <linux/vfio.h>
#include <linux/vfio_pci_migration.h>
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

/* What we know of a device while it is open */
struct edu {
	struct vfio_pci_vendor_device	*dev;
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

/*
 * A reset finds the lock held by who waits for the end of the reset.  So it
 * leaves a note, which whoever has the lock next sees to.
 */
static void edu_lock(struct edu *edu)
{
	mutex_lock(&edu->lock);

	if (!test_and_clear_bit(0, &edu->was_reset))
		return;

	/* The guest starts anew, and knows that */
	edu->halted = false;
	edu->restore = false;
	edu->is_loaded = false;
	edu->masked = 0;
	memset64(edu->origin, EDU_UNFILLED, EDU_BUFFER_SIZE);
}

static void edu_unlock(struct edu *edu)
{
	mutex_unlock(&edu->lock);
}

DEFINE_GUARD(edu, struct edu *, edu_lock(_T), edu_unlock(_T))

/*
 * Registers of the device itself, below whatever other vendor drivers make of
 * them.  These fail with -EIO if the guest has disabled the memory of the device.
 */
static int edu_read(struct edu *edu, unsigned int reg, u64 *val)
{
	return vfio_pci_vendor_read_bar(edu->dev, 0, reg,
					reg < EDU_DMA ? 4 : 8, val);
}

static int edu_write(struct edu *edu, unsigned int reg, u64 val)
{
	return vfio_pci_vendor_write_bar(edu->dev, 0, reg,
					 reg < EDU_DMA ? 4 : 8, val);
}

/* Wait until these bits of a register are 0 */
static int edu_wait(struct edu *edu, unsigned int reg, u64 bits)
{
	int ret, err;
	u64 val;

	ret = read_poll_timeout(edu_read, err, err || !(val & bits),
				EDU_POLL_US, EDU_TIMEOUT_US, false,
				edu, reg, &val);

	return ret ?: err;
}

static int edu_wait_for_transfer(struct edu *edu)
{
	int ret = 0;

	if (edu->transferring)
		ret = edu_wait(edu, EDU_DMA_COMMAND, EDU_DMA_START);
	if (!ret)
		edu->transferring = false;

	return ret;
}

/* Find out whether a transfer has come to its end */
static int edu_look_at_transfer(struct edu *edu)
{
	u64 command;
	int ret;

	if (!edu->transferring)
		return 0;

	ret = edu_read(edu, EDU_DMA_COMMAND, &command);
	if (!ret)
		edu->transferring = command & EDU_DMA_START;

	return ret;
}

/* The device does not reach memory unless the guest allows it to */
static bool edu_has_dma(struct edu *edu)
{
	u16 command;

	return !pci_read_config_word(edu->dev->pdev, PCI_COMMAND, &command) &&
	       command & PCI_COMMAND_MASTER;
}

/* Whether @length bytes at @start, as the DMA engine sees it, are the buffer's */
static bool edu_in_buffer(u64 start, u64 length)
{
	return start >= EDU_BUFFER && length <= EDU_BUFFER_SIZE &&
	       start <= EDU_BUFFER + EDU_BUFFER_SIZE - length;
}

/* The device reads @count bytes of memory into its buffer */
static void edu_note_filled(struct edu *edu, u64 source, u64 destination,
			    u64 count)
{
	bool known = edu_in_buffer(destination, count) && edu_has_dma(edu) &&
		     source <= EDU_UNKNOWN - count;
	u64 i;

	/* Nobody knows what it does if it is to write past its buffer */
	if (count && !edu_in_buffer(destination, count)) {
		destination = EDU_BUFFER;
		count = EDU_BUFFER_SIZE;
	}

	for (i = 0; i < count; i++)
		edu->origin[destination - EDU_BUFFER + i] =
			known ? source + i : EDU_UNKNOWN;
}

/* The device writes @count bytes of its buffer to memory */
static void edu_note_read(struct edu *edu, u64 source, u64 destination,
			  u64 count)
{
	u64 i;

	edu->written = destination;
	edu->written_length = count;

	if (!edu_in_buffer(source, count))
		return;

	/* What it has shown to the guest must stay the same from now on */
	for (i = source - EDU_BUFFER; i < source - EDU_BUFFER + count; i++) {
		if (edu->origin[i] == EDU_UNFILLED)
			edu->origin[i] = EDU_UNKNOWN;
	}
}

/*
 * Log what a transfer writes.  As that comes later than its start, it is logged
 * each time that somebody asks until it is known to have come to its end.
 */
static void edu_log_transfer(struct edu *edu)
{
	if (!edu->written_length)
		return;

	vfio_pci_vendor_log_dma(edu->dev, edu->written, edu->written_length);
	/* QEMU cuts off what an address has too much */
	if (edu->written > EDU_DMA_MASK)
		vfio_pci_vendor_log_dma(edu->dev, edu->written & EDU_DMA_MASK,
					edu->written_length);
	if (!edu->transferring)
		edu->written_length = 0;
}

/*
 * Accesses of userspace.  While the device is halted nothing may start, so no
 * register can be written.  By what is said of these states in the uapi, there is
 * nobody who would.
 */
static int edu_register_write(const struct vfio_pci_range *range,
			      const void *buf, size_t count, u64 pos)
{
	struct edu *edu = range->data;

	guard(edu)(edu);

	if (edu->halted)
		return -EBUSY;

	return vfio_pci_lower_write_buf(range->region, buf, count, pos);
}

static int edu_dma_start(struct edu *edu, const struct vfio_pci_range *range,
			 const void *buf, size_t count, u64 command)
{
	u64 source, destination, length;
	int ret;

	ret = edu_look_at_transfer(edu);
	if (ret)
		return ret;
	/* It would ignore this, or take it if it got ready just now */
	if (edu->transferring)
		return 0;

	ret = edu_read(edu, EDU_DMA_SOURCE, &source) ?:
	      edu_read(edu, EDU_DMA_DESTINATION, &destination) ?:
	      edu_read(edu, EDU_DMA_COUNT, &length);
	if (ret)
		return ret;

	/* Whoever is below may have something against it */
	ret = vfio_pci_lower_write_buf(range->region, buf, count,
				       EDU_DMA_COMMAND);
	if (ret)
		return ret;

	/* The last time that we can tell of the transfer before this one */
	edu_log_transfer(edu);
	edu->transferring = true;
	edu->command = command & ~EDU_DMA_START;
	if (command & EDU_DMA_FROM_DEVICE)
		edu_note_read(edu, source, destination, length);
	else
		edu_note_filled(edu, source, destination, length);

	return 0;
}

static int edu_dma_write(const struct vfio_pci_range *range, const void *buf,
			 size_t count, u64 pos)
{
	struct edu *edu = range->data;
	__le64 val = 0;

	guard(edu)(edu);

	if (edu->halted)
		return -EBUSY;

	/* The device takes 4 or 8 bytes, and ignores anything else */
	memcpy(&val, buf, count);
	if (pos == EDU_DMA_COMMAND && count >= 4 &&
	    le64_to_cpu(val) & EDU_DMA_START)
		return edu_dma_start(edu, range, buf, count, le64_to_cpu(val));

	return vfio_pci_lower_write_buf(range->region, buf, count, pos);
}

/*
 * The command register can only be set by starting a transfer.  So after a
 * migration, what it has is of a transfer that we have started, but what it
 * reads as is of the last one that the guest has.
 */
static int edu_dma_read(const struct vfio_pci_range *range, void *buf,
			size_t count, u64 pos)
{
	struct edu *edu = range->data;
	__le64 val = 0;
	int ret;

	guard(edu)(edu);

	ret = vfio_pci_lower_read_buf(range->region, &val, count, pos);
	if (ret)
		return ret;

	if (pos == EDU_DMA_COMMAND && count >= 4) {
		val &= cpu_to_le64(EDU_DMA_START);
		val |= cpu_to_le64(edu->command);
	}
	memcpy(buf, &val, count);

	return 0;
}

static const struct vfio_pci_range_ops edu_register_ops = {
	.write	= edu_register_write,
};

static const struct vfio_pci_range_ops edu_dma_ops = {
	.read	= edu_dma_read,
	.write	= edu_dma_write,
};

/* An n of which this is n!, as far as it fits into the register, or an errno */
static int edu_factorial_of(u32 result)
{
	u32 product = 1;
	int n = 0;

	while (product != result) {
		if (n == EDU_FACTORIAL_ZERO)
			return -EOPNOTSUPP;
		product *= ++n;
	}

	return n;
}

/*
 * The device goes on computing, as nothing can stop it, but nobody notices: what
 * we take is n, to start anew with, and its interrupt is disabled.
 */
static int edu_halt_factorial(struct edu *edu)
{
	u64 factorial, status, after, irq_status;
	int ret, n;

	/* In this order: if it computes afterwards, it did so before */
	ret = edu_read(edu, EDU_FACTORIAL, &factorial) ?:
	      edu_read(edu, EDU_STATUS, &status);
	if (ret)
		return ret;

	status &= EDU_COMPUTING | EDU_IRQ_WHEN_DONE;
	edu->state.status = cpu_to_le32(status);

	if (status & EDU_IRQ_WHEN_DONE) {
		edu->masked = status;
		ret = edu_write(edu, EDU_STATUS, 0) ?:
		      edu_read(edu, EDU_STATUS, &after);
		if (ret)
			return ret;
		/* It may already be about to raise the interrupt */
		usleep_range(1000, 2000);
	} else {
		after = status;
	}

	ret = edu_read(edu, EDU_IRQ_STATUS, &irq_status);
	if (ret)
		return ret;
	/* If that was just before we disabled it, or just after: who knows */
	if (status & ~after & EDU_COMPUTING)
		irq_status |= EDU_IRQ_FACTORIAL;
	edu->state.irq_status = cpu_to_le32(irq_status);

	if (!(after & EDU_COMPUTING)) {
		edu->state.status &= ~cpu_to_le32(EDU_COMPUTING);
		ret = edu_read(edu, EDU_FACTORIAL, &factorial);
		if (ret)
			return ret;
		n = edu_factorial_of(factorial);
		if (n < 0)
			return n;
		factorial = n;
	}
	edu->state.factorial = cpu_to_le32(factorial);

	return 0;
}

/* Read what does not change any more, now that the device is halted */
static int edu_read_state(struct edu *edu)
{
	u64 liveness, source, destination, count;
	int ret;

	memset(&edu->state, 0, sizeof(edu->state));

	ret = edu_halt_factorial(edu) ?:
	      edu_read(edu, EDU_LIVENESS, &liveness) ?:
	      edu_read(edu, EDU_DMA_SOURCE, &source) ?:
	      edu_read(edu, EDU_DMA_DESTINATION, &destination) ?:
	      edu_read(edu, EDU_DMA_COUNT, &count);
	if (ret)
		return ret;

	edu->state.liveness = cpu_to_le32(liveness);
	edu->state.dma_source = cpu_to_le64(source);
	edu->state.dma_destination = cpu_to_le64(destination);
	edu->state.dma_count = cpu_to_le64(count);
	edu->state.dma_command = cpu_to_le64(edu->command);

	return 0;
}

/*
 * Operation stop, and quiesce, too: a quiesced device may be accessed by other
 * devices, but these find no way to our registers, as their page cannot be
 * mapped, and userspace "must not touch the device", as the uapi has it.
 */
static int edu_halt(struct vfio_pci_vendor_device *dev)
{
	struct edu *edu = dev->data;
	int ret;

	guard(edu)(edu);

	if (edu->halted)
		return 0;

	/* With the lock held, nothing follows this one */
	ret = edu_wait_for_transfer(edu);
	if (ret)
		return ret;

	/*
	 * It is halted even if its state is not known, as when the guest has
	 * disabled its memory: that does not matter until it is to be saved.
	 */
	edu->state_error = edu_read_state(edu);
	edu->halted = true;

	return 0;
}

/* Find the next piece of the buffer that is from memory as a whole */
static bool edu_next_piece(const struct edu *edu, unsigned int *start,
			   unsigned int *length)
{
	const u64 *origin = edu->origin;
	unsigned int i = *start, n = 1;

	while (i < EDU_BUFFER_SIZE && origin[i] == EDU_UNFILLED)
		i++;
	if (i == EDU_BUFFER_SIZE)
		return false;

	while (i + n < EDU_BUFFER_SIZE && origin[i + n] == origin[i] + n)
		n++;
	*start = i;
	*length = n;

	return true;
}

#define edu_refuse(edu, fmt, ...) \
	dev_err_ratelimited(&(edu)->dev->pdev->dev, \
			    "vfio_pci_edu_migration: " fmt "\n", ##__VA_ARGS__)

static int edu_save_buffer(struct edu *edu, struct edu_state *state)
{
	unsigned int start = 0, length, nr = 0;

	for (; edu_next_piece(edu, &start, &length); start += length) {
		if (edu->origin[start] == EDU_UNKNOWN) {
			edu_refuse(edu, "nobody knows what its buffer has at %#x",
				   start);
			return -EOPNOTSUPP;
		}
		if (nr == EDU_MAX_PIECES) {
			edu_refuse(edu, "its buffer is of too many pieces");
			return -EOPNOTSUPP;
		}
		state->pieces[nr++] = (struct edu_piece) {
			.iova	= cpu_to_le64(edu->origin[start]),
			.offset	= cpu_to_le32(start),
			.length	= cpu_to_le32(length),
		};
	}
	state->nr_pieces = cpu_to_le32(nr);

	/* It would not be able to do the transfers again */
	if (nr && !edu_has_dma(edu)) {
		edu_refuse(edu, "its buffer is filled, and DMA is off");
		return -EOPNOTSUPP;
	}

	return 0;
}

/* Operation save: all of it in one part */
static ssize_t edu_save(struct vfio_pci_vendor_device *dev, void *buf,
			size_t size, u64 pos)
{
	struct edu *edu = dev->data;
	struct edu_state state;
	int ret;

	if (pos)
		return 0;

	guard(edu)(edu);

	if (edu->state_error) {
		edu_refuse(edu, "its registers could not be read: %d",
			   edu->state_error);
		return edu->state_error;
	}

	state = edu->state;
	ret = edu_save_buffer(edu, &state);
	if (ret)
		return ret;
	memcpy(buf, &state, sizeof(state));

	return sizeof(state);
}

static u64 edu_size(struct vfio_pci_vendor_device *dev)
{
	return sizeof(struct edu_state);
}

/* Whether there can be such a state: it may come from anyone */
static bool edu_state_is_valid(const struct edu_state *state)
{
	u32 status = le32_to_cpu(state->status);
	u32 nr_pieces = le32_to_cpu(state->nr_pieces);
	u32 i, offset, length, end = 0;

	if (state->reserved || status & ~(EDU_COMPUTING | EDU_IRQ_WHEN_DONE))
		return false;
	if (!(status & EDU_COMPUTING) &&
	    le32_to_cpu(state->factorial) > EDU_FACTORIAL_ZERO)
		return false;
	if (le64_to_cpu(state->dma_command) & EDU_DMA_START)
		return false;

	if (nr_pieces > EDU_MAX_PIECES ||
	    memchr_inv(&state->pieces[nr_pieces], 0,
		       (EDU_MAX_PIECES - nr_pieces) * sizeof(struct edu_piece)))
		return false;

	for (i = 0; i < nr_pieces; i++) {
		offset = le32_to_cpu(state->pieces[i].offset);
		length = le32_to_cpu(state->pieces[i].length);
		if (!length || length > EDU_BUFFER_SIZE || offset < end ||
		    offset > EDU_BUFFER_SIZE - length)
			return false;
		if (le64_to_cpu(state->pieces[i].iova) > EDU_UNKNOWN - length)
			return false;
		end = offset + length;
	}

	return true;
}

/* Operation load: look at it, and keep it aside */
static int edu_load(struct vfio_pci_vendor_device *dev, const void *buf,
		    size_t size, u64 pos)
{
	struct edu *edu = dev->data;

	guard(edu)(edu);

	if (pos || size != sizeof(edu->loaded))
		return -EINVAL;

	memcpy(&edu->loaded, buf, size);
	if (!edu_state_is_valid(&edu->loaded)) {
		edu_refuse(edu, "a device cannot have such a state");
		return -EINVAL;
	}
	edu->is_loaded = true;

	return 0;
}

/* Operation load_done: take it for the state of the device, which is halted */
static int edu_load_done(struct vfio_pci_vendor_device *dev)
{
	struct edu *edu = dev->data;
	const struct edu_piece *piece = edu->loaded.pieces;
	u32 i, offset;

	guard(edu)(edu);

	/* It could be that there was nothing in what was sent */
	if (!edu->is_loaded)
		return -EINVAL;

	edu->is_loaded = false;
	edu->state = edu->loaded;
	edu->state_error = 0;
	edu->restore = true;

	memset64(edu->origin, EDU_UNFILLED, EDU_BUFFER_SIZE);
	for (; piece < edu->loaded.pieces + le32_to_cpu(edu->loaded.nr_pieces);
	     piece++) {
		offset = le32_to_cpu(piece->offset);
		for (i = 0; i < le32_to_cpu(piece->length); i++)
			edu->origin[offset + i] = le64_to_cpu(piece->iova) + i;
	}

	return 0;
}

/* Do the transfers again that have filled the buffer, without interrupts */
static int edu_restore_buffer(struct edu *edu)
{
	unsigned int start = 0, length;
	int ret;

	for (; edu_next_piece(edu, &start, &length); start += length) {
		if (!edu_has_dma(edu)) {
			edu_refuse(edu, "its buffer cannot be filled, as DMA is off");
			return -EIO;
		}

		/* There may still be one of a try before */
		ret = edu_wait_for_transfer(edu);
		if (ret)
			return ret;
		ret = edu_write(edu, EDU_DMA_SOURCE, edu->origin[start]) ?:
		      edu_write(edu, EDU_DMA_DESTINATION, EDU_BUFFER + start) ?:
		      edu_write(edu, EDU_DMA_COUNT, length) ?:
		      edu_write(edu, EDU_DMA_COMMAND, EDU_DMA_START);
		if (ret)
			return ret;
		edu->transferring = true;
	}

	return edu_wait_for_transfer(edu);
}

static int edu_restore_factorial(struct edu *edu)
{
	u32 n = le32_to_cpu(edu->state.factorial);
	u32 status = le32_to_cpu(edu->state.status);

	/* Only one that was not done yet may interrupt when it is */
	if (status & EDU_COMPUTING)
		return edu_write(edu, EDU_STATUS, status) ?:
		       edu_write(edu, EDU_FACTORIAL, n);

	return edu_write(edu, EDU_FACTORIAL, n) ?:
	       edu_wait(edu, EDU_STATUS, EDU_COMPUTING) ?:
	       edu_write(edu, EDU_STATUS, status);
}

/* Give the device the state that was loaded, whatever it did before */
static int edu_restore(struct edu *edu)
{
	const struct edu_state *state = &edu->state;
	int ret;

	ret = edu_write(edu, EDU_STATUS, 0) ?:
	      edu_wait(edu, EDU_STATUS, EDU_COMPUTING) ?:
	      edu_write(edu, EDU_IRQ_ACKNOWLEDGE, U32_MAX) ?:
	      edu_restore_buffer(edu) ?:
	      edu_write(edu, EDU_DMA_SOURCE, le64_to_cpu(state->dma_source)) ?:
	      edu_write(edu, EDU_DMA_DESTINATION,
			le64_to_cpu(state->dma_destination)) ?:
	      edu_write(edu, EDU_DMA_COUNT, le64_to_cpu(state->dma_count)) ?:
	      edu_write(edu, EDU_LIVENESS, ~le32_to_cpu(state->liveness)) ?:
	      edu_restore_factorial(edu);
	if (!ret && state->irq_status)
		ret = edu_write(edu, EDU_IRQ_RAISE,
				le32_to_cpu(state->irq_status));
	if (ret)
		return ret;

	edu->command = le64_to_cpu(state->dma_command);
	edu->restore = false;
	edu->masked = 0;

	return 0;
}

/* The device goes on where it was, as if nothing had happened */
static int edu_resume(struct edu *edu)
{
	u64 status;
	int ret;

	if (!edu->masked)
		return 0;

	ret = edu_write(edu, EDU_STATUS, EDU_IRQ_WHEN_DONE) ?:
	      edu_read(edu, EDU_STATUS, &status);
	/* That it is done it could not tell meanwhile */
	if (!ret && edu->masked & ~status & EDU_COMPUTING)
		ret = edu_write(edu, EDU_IRQ_RAISE, EDU_IRQ_FACTORIAL);
	if (!ret)
		edu->masked = 0;

	return ret;
}

/*
 * Operation run.  A state that was loaded is given to the device only now: its
 * config space, interrupts and memory are as they were where it comes from.
 */
static int edu_run(struct vfio_pci_vendor_device *dev)
{
	struct edu *edu = dev->data;
	int ret;

	guard(edu)(edu);

	ret = edu->restore ? edu_restore(edu) : edu_resume(edu);
	if (!ret)
		edu->halted = false;

	return ret;
}

/* Operation log_start: what was written before does not count */
static int edu_log_start(struct vfio_pci_vendor_device *dev)
{
	struct edu *edu = dev->data;

	guard(edu)(edu);

	/* If we cannot look at it, it may be writing still */
	edu_look_at_transfer(edu);
	if (!edu->transferring)
		edu->written_length = 0;

	return 0;
}

/* Operation log_sync: the log is about to be read */
static int edu_log_sync(struct vfio_pci_vendor_device *dev, u64 iova,
			u64 length)
{
	struct edu *edu = dev->data;

	guard(edu)(edu);

	edu_look_at_transfer(edu);
	edu_log_transfer(edu);

	return 0;
}

static void edu_reset(struct vfio_pci_vendor_device *dev)
{
	struct edu *edu = dev->data;

	set_bit(0, &edu->was_reset);
}

static const struct vfio_pci_migration_ops edu_migration_ops = {
	.version	= 1,
	.min_version	= 1,
	.stop		= edu_halt,
	.quiesce	= edu_halt,
	.run		= edu_run,
	.size		= edu_size,
	.save		= edu_save,
	.load		= edu_load,
	.load_done	= edu_load_done,
	.reset		= edu_reset,
	.log_start	= edu_log_start,
	.log_sync	= edu_log_sync,
};

static int edu_open(struct vfio_pci_vendor_device *dev)
{
	struct edu *edu;
	u64 id, command;
	int ret;

	ret = vfio_pci_vendor_read_bar(dev, 0, EDU_IDENTIFICATION, 4, &id);
	if (ret)
		return ret;

	if ((id & 0xffff) != 0x00ed)
		return -ENODEV;

	edu = kvzalloc_obj(*edu, GFP_KERNEL_ACCOUNT);
	if (!edu)
		return -ENOMEM;

	edu->dev = dev;
	mutex_init(&edu->lock);
	memset64(edu->origin, EDU_UNFILLED, EDU_BUFFER_SIZE);

	/* There may be a transfer of who had the device before */
	ret = edu_wait(edu, EDU_DMA_COMMAND, EDU_DMA_START) ?:
	      edu_read(edu, EDU_DMA_COMMAND, &command);
	if (ret)
		goto err_free;
	edu->command = command;

	ret = vfio_pci_vendor_override_range(dev, VFIO_PCI_BAR0_REGION_INDEX,
					     0, EDU_DMA, &edu_register_ops,
					     edu);
	if (ret)
		goto err_free;

	ret = vfio_pci_vendor_override_range(dev, VFIO_PCI_BAR0_REGION_INDEX,
					     EDU_DMA, EDU_DMA_END - EDU_DMA,
					     &edu_dma_ops, edu);
	if (ret)
		goto err_free;

	dev->data = edu;

	return 0;

err_free:
	kvfree(edu);
	return ret;
}

static void edu_close(struct vfio_pci_vendor_device *dev)
{
	kvfree(dev->data);
}

static const struct pci_device_id edu_migration_ids[] = {
	{ PCI_DEVICE(EDU_VENDOR, EDU_DEVICE) },
	{}
};

/* On top of vfio_pci_edu, if that is there: it need not know of us, nor we of it */
static struct vfio_pci_vendor_driver edu_driver = {
	.name		= "vfio_pci_edu_migration",
	.id_table	= edu_migration_ids,
	.priority	= 1,
	.open		= edu_open,
	.close		= edu_close,
	.migration	= &edu_migration_ops,
};

module_vfio_pci_vendor_driver(edu_driver);

MODULE_VFIO_PCI_VENDOR_ALIAS(1234, 11E8);
MODULE_VFIO_PCI_VENDOR_TABLE(edu_migration_ids);
MODULE_DESCRIPTION("Sample vfio-pci vendor driver that migrates QEMU's edu device");
MODULE_LICENSE("GPL");
