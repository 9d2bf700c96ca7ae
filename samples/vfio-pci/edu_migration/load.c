// SPDX-License-Identifier: GPL-2.0-only
/*
 * Load a state: validate it, write the registers, and repeat the DMA transfers
 */

#include <linux/pci.h>
#include <linux/string.h>

#include "edu.h"

/* Validate an untrusted state */
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

/* Compare the revision of the source */
int edu_early_load(struct vfio_pci_vendor_device *dev, const void *buf,
		   size_t size, u64 pos)
{
	const struct edu_early_state *early = buf;
	struct edu *edu = dev->data;

	if (pos || size != sizeof(*early) || early->reserved)
		return -EINVAL;

	if (le32_to_cpu(early->identification) != edu->identification) {
		edu_refuse(edu,
			   "migration data refused: saved by revision %#x, the device has revision %#x",
			   le32_to_cpu(early->identification),
			   edu->identification);
		return -EINVAL;
	}

	return 0;
}

/* Operation load: validate the state and keep it for load_done */
int edu_load(struct vfio_pci_vendor_device *dev, const void *buf,
	     size_t size, u64 pos)
{
	struct edu *edu = dev->data;

	guard(edu)(edu);

	if (pos || size != sizeof(edu->loaded))
		return -EINVAL;

	memcpy(&edu->loaded, buf, size);
	if (!edu_state_is_valid(&edu->loaded)) {
		edu_refuse(edu, "migration data refused: invalid device state");
		return -EINVAL;
	}
	edu->is_loaded = true;

	return 0;
}

/*
 * Operation load_done: keep the state until edu_run() restores it, which needs
 * DMA.  If edu_run() fails, QEMU cannot continue on the source.
 */
int edu_load_done(struct vfio_pci_vendor_device *dev)
{
	struct edu *edu = dev->data;
	const struct edu_piece *piece = edu->loaded.pieces;
	u32 i, offset;

	guard(edu)(edu);

	/* The stream may contain no state */
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

/* Repeat the transfers that filled the buffer, without interrupts */
static int edu_restore_buffer(struct edu *edu)
{
	unsigned int start = 0, length;
	int ret;

	for (; edu_next_piece(edu, &start, &length); start += length) {
		if (!edu_has_dma(edu)) {
			edu_refuse(edu, "cannot restore the buffer: the guest has disabled DMA");
			return -EIO;
		}

		/* A transfer of a failed attempt may still run */
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

	/* Only a computation that was not over may raise an interrupt */
	if (status & EDU_COMPUTING)
		return edu_write(edu, EDU_STATUS, status) ?:
		       edu_write(edu, EDU_FACTORIAL, n);

	return edu_write(edu, EDU_FACTORIAL, n) ?:
	       edu_wait(edu, EDU_STATUS, EDU_COMPUTING) ?:
	       edu_write(edu, EDU_STATUS, status);
}

/* Write the loaded state to the device */
int edu_restore(struct edu *edu)
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
