// SPDX-License-Identifier: GPL-2.0-only
/*
 * Halt the device and save its state
 */

#include <linux/delay.h>
#include <linux/pci.h>
#include <linux/string.h>

#include "edu.h"

/* Return n for a given n! modulo 2^32, or an errno */
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
 * The driver cannot stop a computation.  It disables the interrupt and saves n.
 * The destination computes n! again.
 */
static int edu_halt_factorial(struct edu *edu)
{
	u64 factorial, status, after, irq_status;
	int ret, n;

	/*
	 * Read the status last: if the device still computes then, the
	 * factorial register held n.
	 */
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
		/* The device may be about to raise the interrupt */
		usleep_range(1000, 2000);
	} else {
		after = status;
	}

	ret = edu_read(edu, EDU_IRQ_STATUS, &irq_status);
	if (ret)
		return ret;
	/* Completion raced with the disable; a spurious interrupt is fine */
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

/* Read the state of the halted device */
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
 * Operations stop and quiesce.  Peer devices may access a quiesced device, but
 * they cannot reach its registers: the page with the registers has no mapping.
 */
int edu_halt(struct vfio_pci_vendor_device *dev)
{
	struct edu *edu = dev->data;
	int ret;

	guard(edu)(edu);

	if (edu->halted)
		return 0;

	/* The lock keeps userspace from starting another transfer */
	ret = edu_wait_for_transfer(edu);
	if (ret)
		return ret;

	/* An error matters only if the state is saved later */
	edu->state_error = edu_read_state(edu);
	edu->halted = true;

	return 0;
}

/* Let the device continue where it was halted */
int edu_resume(struct edu *edu)
{
	u64 status;
	int ret;

	if (!edu->masked)
		return 0;

	ret = edu_write(edu, EDU_STATUS, EDU_IRQ_WHEN_DONE) ?:
	      edu_read(edu, EDU_STATUS, &status);
	/* The computation ended while its interrupt was disabled */
	if (!ret && edu->masked & ~status & EDU_COMPUTING)
		ret = edu_write(edu, EDU_IRQ_RAISE, EDU_IRQ_FACTORIAL);
	if (!ret)
		edu->masked = 0;

	return ret;
}

/* Find the next contiguous piece of the buffer, from @start on */
bool edu_next_piece(const struct edu *edu, unsigned int *start,
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

static int edu_save_buffer(struct edu *edu, struct edu_state *state)
{
	unsigned int start = 0, length, nr = 0;

	for (; edu_next_piece(edu, &start, &length); start += length) {
		if (edu->origin[start] == EDU_UNKNOWN) {
			edu_refuse(edu,
				   "cannot migrate: unknown buffer contents at %#x; the guest must fill them again",
				   start);
			return -EOPNOTSUPP;
		}
		if (nr == EDU_MAX_PIECES) {
			edu_refuse(edu,
				   "cannot migrate: the buffer has more than %u pieces; the guest must fill it by fewer transfers",
				   EDU_MAX_PIECES);
			return -EOPNOTSUPP;
		}
		state->pieces[nr++] = (struct edu_piece) {
			.iova	= cpu_to_le64(edu->origin[start]),
			.offset	= cpu_to_le32(start),
			.length	= cpu_to_le32(length),
		};
	}
	state->nr_pieces = cpu_to_le32(nr);

	/* The destination could not repeat the transfers */
	if (nr && !edu_has_dma(edu)) {
		edu_refuse(edu,
			   "cannot migrate: the buffer is filled, but the guest has disabled DMA");
		return -EOPNOTSUPP;
	}

	return 0;
}

/* Operation save: the whole state in one call */
ssize_t edu_save(struct vfio_pci_vendor_device *dev, void *buf,
		 size_t size, u64 pos)
{
	struct edu *edu = dev->data;
	struct edu_state state;
	int ret;

	if (pos)
		return 0;

	guard(edu)(edu);

	if (edu->state_error) {
		edu_refuse(edu, "cannot migrate: reading the registers failed: %d",
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

int edu_size(struct vfio_pci_vendor_device *dev, u64 *bytes)
{
	*bytes = sizeof(struct edu_state);

	return 0;
}

/* Each pre-copy sends the early state again */
int edu_begin(struct vfio_pci_vendor_device *dev,
	      enum vfio_device_mig_state state)
{
	struct edu *edu = dev->data;

	edu->early_sent = false;

	return 0;
}

/* The early data never changes */
int edu_early_pending(struct vfio_pci_vendor_device *dev,
		      struct vfio_pci_precopy_info *info)
{
	struct edu *edu = dev->data;

	info->initial = edu->early_sent ? 0 : sizeof(struct edu_early_state);

	return 0;
}

/*
 * Send the revision of the device.  The destination can refuse it while the
 * guest still runs on the source.
 */
ssize_t edu_early_save(struct vfio_pci_vendor_device *dev, void *buf,
		       size_t size, u64 pos)
{
	struct edu *edu = dev->data;
	const struct edu_early_state early = {
		.identification	= cpu_to_le32(edu->identification),
	};

	if (pos)
		return 0;

	memcpy(buf, &early, sizeof(early));
	edu->early_sent = true;

	return sizeof(early);
}
