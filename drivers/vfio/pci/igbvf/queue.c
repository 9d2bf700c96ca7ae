// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stop and run the queues of an 82576 VF
 */

#include <linux/bits.h>
#include <linux/iopoll.h>
#include <linux/time64.h>

#include "igbvf.h"

#define IGBVF_POLL_US		100
#define IGBVF_QUEUE_TIMEOUT_US	(20 * USEC_PER_MSEC)

/* Wait until the device has sent all packets of a queue, for a limited time */
static int igbvf_drain(struct igbvf *igbvf, unsigned int q)
{
	u32 head, tail;
	int ret, err;

	ret = igbvf_read(igbvf, igbvf_queue(q) + IGBVF_DT, &tail);
	if (ret)
		return ret;

	/*
	 * A queue with an invalid tail, or without a link, never becomes empty.
	 * The destination sends the rest.
	 */
	read_poll_timeout(igbvf_read, err, err || head == tail,
			  IGBVF_POLL_US, IGBVF_QUEUE_TIMEOUT_US, false,
			  igbvf, igbvf_queue(q) + IGBVF_DH, &head);

	return err;
}

/* Disable a queue, and wait until the device does not use it */
static int igbvf_disable(struct igbvf *igbvf, unsigned int q, u32 ctl)
{
	const unsigned int reg = igbvf_queue(q) + IGBVF_DCTL;
	int ret, err;

	ret = igbvf_write(igbvf, reg, ctl & ~IGBVF_DCTL_ENABLE);
	if (ret)
		return ret;

	ret = read_poll_timeout(igbvf_read, err,
				err || !(ctl & IGBVF_DCTL_ENABLE),
				IGBVF_POLL_US, IGBVF_QUEUE_TIMEOUT_US, false,
				igbvf, reg, &ctl);

	return err ?: ret;
}

static int igbvf_enable(struct igbvf *igbvf, unsigned int q)
{
	const unsigned int reg = igbvf_queue(q) + IGBVF_DCTL;
	u32 ctl;

	/* The guest has not enabled the queue since the reset */
	if (test_bit(0, &igbvf->was_reset))
		return -EIO;

	return igbvf_read(igbvf, reg, &ctl) ?:
	       igbvf_write(igbvf, reg, ctl | IGBVF_DCTL_ENABLE);
}

/* Write the tail of an enabled queue, which starts DMA */
static int igbvf_kick(struct igbvf *igbvf, unsigned int q)
{
	const unsigned int queue = igbvf_queue(q);
	u32 head, tail = igbvf->tails[q];
	int ret;

	/* The tail of a device that was not loaded permits it to receive at once */
	if (igbvf->loaded || q >= IGBVF_NR_RX) {
		ret = igbvf_read(igbvf, queue + IGBVF_DH, &head);
		if (ret)
			return ret;
		/* Some devices clear the head when a queue is enabled */
		if (head != igbvf->heads[q]) {
			igbvf_err(igbvf, "queue %u has head %u instead of %u: this device cannot be migrated",
				  q, head, igbvf->heads[q]);
			return -EIO;
		}
	}
	if (!igbvf->loaded) {
		ret = igbvf_read(igbvf, queue + IGBVF_DT, &tail);
		if (ret)
			return ret;
	}

	return igbvf_write(igbvf, queue + IGBVF_DT, tail);
}

/* Undo igbvf_enable_queues() as far as the device permits */
static void igbvf_disable_queues(struct igbvf *igbvf)
{
	unsigned int q;
	u32 ctl;

	for (q = 0; q < IGBVF_NR_QUEUES; q++)
		if (igbvf->enabled & BIT(q) &&
		    !igbvf_read(igbvf, igbvf_queue(q) + IGBVF_DCTL, &ctl))
			igbvf_disable(igbvf, q, ctl);
}

/* Enable the queues that the guest has enabled */
static int igbvf_enable_queues(struct igbvf *igbvf)
{
	unsigned int q;
	int ret = 0;

	for (q = 0; q < IGBVF_NR_QUEUES && !ret; q++)
		if (igbvf->enabled & BIT(q))
			ret = igbvf_enable(igbvf, q) ?: igbvf_kick(igbvf, q);

	return ret;
}

/**
 * igbvf_stop_queues() - stop the queues
 * @igbvf: the device, locked and running
 *
 * On error, tries to enable the queues again.
 *
 * Return: 0, -ETIMEDOUT if a queue does not stop, or the errno of an access.
 */
int igbvf_stop_queues(struct igbvf *igbvf)
{
	unsigned int i, q;
	int ret = 0;
	u32 ctl;

	igbvf->enabled = 0;
	for (i = 0; i < IGBVF_NR_QUEUES; i++) {
		/* Stop transmit queues first: another VF may receive the packets */
		q = IGBVF_NR_QUEUES - 1 - i;
		ret = igbvf_read(igbvf, igbvf_queue(q) + IGBVF_DCTL, &ctl);
		if (ret)
			break;
		if (!(ctl & IGBVF_DCTL_ENABLE))
			continue;

		igbvf->enabled |= BIT(q);
		if (q >= IGBVF_NR_RX)
			ret = igbvf_drain(igbvf, q);
		if (!ret)
			ret = igbvf_disable(igbvf, q, ctl);
		if (!ret)
			ret = igbvf_read(igbvf, igbvf_queue(q) + IGBVF_DH,
					 &igbvf->heads[q]);
		if (ret)
			break;
	}
	for (q = 0; q < IGBVF_NR_QUEUES && ret; q++)
		if (igbvf->enabled & BIT(q))
			igbvf_enable(igbvf, q);

	return ret;
}

static u32 igbvf_vector(u32 entry)
{
	return entry & IGBVF_IVAR_VALID ? BIT(entry & IGBVF_IVAR_VECTOR) : 0;
}

/*
 * Raise each unmasked vector that may have been pending on the source.  The
 * vector of the mailbox was pending only if the guest has not read a flag of the
 * mailbox.  Do not raise it without need: igbvf then checks its link, and
 * reports a lost link if its timer does so at the same time.
 */
static int igbvf_raise_vectors(struct igbvf *igbvf)
{
	u32 queues, mailbox, vectors = 0;
	unsigned int q;
	int ret;

	ret = igbvf_read(igbvf, IGBVF_VTIVAR, &queues) ?:
	      igbvf_read(igbvf, IGBVF_VTIVAR_MISC, &mailbox);
	if (ret)
		return ret;

	for (q = 0; q < IGBVF_NR_QUEUES; q++)
		vectors |= igbvf_vector(queues >> q * BITS_PER_BYTE);
	if (igbvf->unread)
		vectors |= igbvf_vector(mailbox);

	return igbvf_write(igbvf, IGBVF_VTEICS, vectors & igbvf->vectors);
}

/**
 * igbvf_run_queues() - run the queues that ran before the stop or the save
 * @igbvf: the device, locked and stopped
 *
 * Return: 0, -EIO if the device lost the state of a queue, or the errno of an
 * access.
 */
int igbvf_run_queues(struct igbvf *igbvf)
{
	int ret;

	ret = igbvf_enable_queues(igbvf);
	if (!ret && igbvf->loaded)
		ret = igbvf_raise_vectors(igbvf);
	if (ret)
		igbvf_disable_queues(igbvf);

	return ret;
}
