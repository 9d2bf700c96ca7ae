// SPDX-License-Identifier: GPL-2.0-only
/*
 * Register access and the status of the DMA engine
 */

#include <linux/iopoll.h>
#include <linux/pci.h>
#include <linux/string.h>

#include "edu.h"

/*
 * The holder of the lock may wait for the end of a reset, so the reset callback
 * does not take the lock.  It sets a flag, and the next holder handles it.
 */
void edu_lock(struct edu *edu)
{
	mutex_lock(&edu->lock);

	if (!test_and_clear_bit(0, &edu->was_reset))
		return;

	/* Forget the state from before the reset */
	edu->halted = false;
	edu->restore = false;
	edu->is_loaded = false;
	edu->masked = 0;
	memset64(edu->origin, EDU_UNFILLED, EDU_BUFFER_SIZE);
}

void edu_unlock(struct edu *edu)
{
	mutex_unlock(&edu->lock);
}

/* Access a register of the device, below the overrides of all vendor drivers */
int edu_read(struct edu *edu, unsigned int reg, u64 *val)
{
	return vfio_pci_vendor_read_bar(edu->dev, 0, reg,
					reg < EDU_DMA ? 4 : 8, val);
}

int edu_write(struct edu *edu, unsigned int reg, u64 val)
{
	return vfio_pci_vendor_write_bar(edu->dev, 0, reg,
					 reg < EDU_DMA ? 4 : 8, val);
}

/* Wait until these bits of a register are 0 */
int edu_wait(struct edu *edu, unsigned int reg, u64 bits)
{
	int ret, err;
	u64 val;

	ret = read_poll_timeout(edu_read, err, err || !(val & bits),
				EDU_POLL_US, EDU_TIMEOUT_US, false,
				edu, reg, &val);

	return ret ?: err;
}

int edu_wait_for_transfer(struct edu *edu)
{
	int ret = 0;

	if (edu->transferring)
		ret = edu_wait(edu, EDU_DMA_COMMAND, EDU_DMA_START);
	if (!ret)
		edu->transferring = false;

	return ret;
}

/* Check whether a transfer is over */
int edu_look_at_transfer(struct edu *edu)
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

/* Check whether the guest has enabled DMA */
bool edu_has_dma(struct edu *edu)
{
	u16 command;

	return !pci_read_config_word(edu->dev->pdev, PCI_COMMAND, &command) &&
	       command & PCI_COMMAND_MASTER;
}
