// SPDX-License-Identifier: GPL-2.0-only
/*
 * Save and load the state of an 82576 VF
 */

#include <linux/slab.h>
#include <linux/string.h>

#include "igbvf.h"

const u16 igbvf_stats[IGBVF_NR_STATS] = {
	0x0f10, 0x0f14, 0x0f18, 0x0f34, 0x0f3c,
};

/* Write order: DCTL first, which disables the queue; the head last */
static const u8 igbvf_rx_regs[] = {
	IGBVF_DCTL, IGBVF_DBAL, IGBVF_DBAH, IGBVF_DLEN, IGBVF_SRRCTL, IGBVF_DCA,
	IGBVF_DH,
};

static const u8 igbvf_tx_regs[] = {
	IGBVF_DCTL, IGBVF_DBAL, IGBVF_DBAH, IGBVF_DLEN, IGBVF_DCA, IGBVF_DWBAL,
	IGBVF_DWBAH, IGBVF_DH,
};

static const u16 igbvf_other_regs[] = {
	0x0f0c,				/* PSRTYPE */
	0x1680, 0x1684, 0x1688,		/* VTEITR */
	IGBVF_VTIVAR, IGBVF_VTIVAR_MISC, IGBVF_VTEIAC, IGBVF_VTEIAM,
};

#define NR_RX_REGS	ARRAY_SIZE(igbvf_rx_regs)
#define NR_TX_REGS	ARRAY_SIZE(igbvf_tx_regs)
#define RX_REGS_END	(NR_RX_REGS * IGBVF_NR_RX)
#define TX_REGS_END	(RX_REGS_END + \
			 NR_TX_REGS * (IGBVF_NR_QUEUES - IGBVF_NR_RX))

static_assert(TX_REGS_END + ARRAY_SIZE(igbvf_other_regs) == IGBVF_NR_PLAIN);

/* Get the entry in @plain of struct igbvf_state that has the head of a queue */
static unsigned int igbvf_head_index(unsigned int q)
{
	return q < IGBVF_NR_RX ? (q + 1) * NR_RX_REGS - 1 :
	       RX_REGS_END + (q - IGBVF_NR_RX + 1) * NR_TX_REGS - 1;
}

/* Get the register of an entry in @plain of struct igbvf_state */
static unsigned int igbvf_plain_reg(unsigned int i)
{
	if (i < RX_REGS_END)
		return igbvf_queue(i / NR_RX_REGS) +
		       igbvf_rx_regs[i % NR_RX_REGS];
	if (i >= TX_REGS_END)
		return igbvf_other_regs[i - TX_REGS_END];

	i -= RX_REGS_END;

	return igbvf_queue(IGBVF_NR_RX + i / NR_TX_REGS) +
	       igbvf_tx_regs[i % NR_TX_REGS];
}

static int igbvf_save_reg(struct igbvf *igbvf, unsigned int reg, __le32 *to)
{
	u32 val;
	int ret = igbvf_read(igbvf, reg, &val);

	if (!ret)
		*to = cpu_to_le32(val);

	return ret;
}

static int igbvf_save_queues(struct igbvf *igbvf, struct igbvf_state *state)
{
	unsigned int q;
	int ret = 0;

	for (q = 0; q < IGBVF_NR_QUEUES && !ret; q++) {
		if (igbvf->loaded)
			state->tails[q] = cpu_to_le32(igbvf->tails[q]);
		else
			ret = igbvf_save_reg(igbvf, igbvf_queue(q) + IGBVF_DT,
					     &state->tails[q]);
	}
	state->enabled = cpu_to_le32(igbvf->enabled);

	return ret;
}

/*
 * A read of VTEIMS may return only the last write.  So add the vectors in
 * VTEIAC: a guest driver enables auto-clear for each vector that it uses.
 */
static int igbvf_save_vectors(struct igbvf *igbvf, struct igbvf_state *state)
{
	u32 mask, clear;
	int ret;

	ret = igbvf_read(igbvf, IGBVF_VTEIMS, &mask) ?:
	      igbvf_read(igbvf, IGBVF_VTEIAC, &clear);
	if (ret)
		return ret;

	mask &= IGBVF_VECTORS;
	if (mask)
		mask |= clear & IGBVF_VECTORS;
	if (igbvf->loaded)
		mask |= igbvf->vectors;
	state->vectors = cpu_to_le32(mask);

	return 0;
}

static int igbvf_save_mailbox(struct igbvf *igbvf, struct igbvf_state *state)
{
	unsigned int i;
	u32 flags;
	int ret;

	ret = igbvf_read(igbvf, IGBVF_V2PMAILBOX, &flags);
	if (ret)
		return ret;

	if (flags & IGBVF_MBX_RSTI) {
		igbvf_err(igbvf, "cannot save the VF while its PF is reset");
		return -EIO;
	}

	/* If the migration is cancelled, the guest still needs the flags */
	igbvf->unread |= flags & IGBVF_MBX_R2C;
	state->mailbox = cpu_to_le32(igbvf->unread | (flags & IGBVF_MBX_VFU));
	for (i = 0; i < IGBVF_MBX_WORDS && !ret; i++)
		ret = igbvf_save_reg(igbvf, IGBVF_VMBMEM + 4 * i,
				     &state->memory[i]);
	/* The answer may have come only now */
	if (!ret)
		ret = igbvf_mailbox_check(igbvf, igbvf->unread);
	state->pf = igbvf->pf;

	return ret;
}

static int igbvf_save_stats(struct igbvf *igbvf, struct igbvf_state *state)
{
	unsigned int i;
	int ret = 0;
	u32 val;

	for (i = 0; i < IGBVF_NR_STATS && !ret; i++) {
		ret = igbvf_read(igbvf, igbvf_stats[i], &val);
		if (!ret)
			state->stats[i] = cpu_to_le32(val + igbvf->stats[i]);
	}

	return ret;
}

/* Save the buffers of the receive queues from @heads on */
static void igbvf_save_buffers(struct igbvf *igbvf, struct igbvf_state *state,
			       const u32 *heads)
{
	struct igbvf_buffer *to = (void *)(state + 1);
	unsigned int q;
	u32 nr;

	for (q = 0; q < IGBVF_NR_RX; q++) {
		nr = igbvf_log_save(igbvf, q, heads[q], to);
		state->nr_buffers[q] = cpu_to_le32(nr);
		to += nr;
	}
}

static void igbvf_free_data(struct igbvf *igbvf)
{
	kvfree(igbvf->data);
	igbvf->data = NULL;
	igbvf->size = 0;
}

/* Save the state of the stopped device */
static int igbvf_save_all(struct igbvf *igbvf)
{
	struct igbvf_state *state;
	u32 heads[IGBVF_NR_RX];
	size_t total = 0;
	unsigned int i;
	int ret;

	ret = igbvf_mailbox_settle(igbvf);
	/* Userspace may change the heads: read them once */
	for (i = 0; i < IGBVF_NR_RX && !ret; i++) {
		ret = igbvf_read(igbvf, igbvf_queue(i) + IGBVF_DH, &heads[i]);
		if (!ret)
			total += igbvf_log_save(igbvf, i, heads[i], NULL);
	}
	if (ret)
		return ret;

	igbvf->size = sizeof(*state) + total * sizeof(struct igbvf_buffer);
	state = kvzalloc(igbvf->size, GFP_KERNEL_ACCOUNT);
	if (!state)
		return -ENOMEM;
	igbvf->data = state;

	igbvf_save_buffers(igbvf, state, heads);
	ret = igbvf_save_queues(igbvf, state) ?:
	      igbvf_save_vectors(igbvf, state) ?:
	      igbvf_save_mailbox(igbvf, state) ?:
	      igbvf_save_stats(igbvf, state);
	for (i = 0; i < IGBVF_NR_PLAIN && !ret; i++)
		ret = igbvf_save_reg(igbvf, igbvf_plain_reg(i),
				     &state->plain[i]);

	return ret;
}

int igbvf_begin(struct vfio_pci_vendor_device *dev,
		enum vfio_device_mig_state state)
{
	struct igbvf *igbvf = dev->data;
	int ret = 0;

	guard(igbvf)(igbvf);

	igbvf_free_data(igbvf);
	if (state == VFIO_DEVICE_STATE_STOP_COPY)
		ret = igbvf_save_all(igbvf);
	if (ret)
		igbvf_free_data(igbvf);

	return ret;
}

int igbvf_size(struct vfio_pci_vendor_device *dev, u64 *bytes)
{
	struct igbvf *igbvf = dev->data;
	unsigned int q;

	guard(igbvf)(igbvf);

	*bytes = sizeof(struct igbvf_state);
	for (q = 0; q < IGBVF_NR_RX; q++)
		*bytes += (u64)igbvf->rings[q].size * sizeof(struct igbvf_buffer);

	return 0;
}

ssize_t igbvf_save(struct vfio_pci_vendor_device *dev, void *buf, size_t size,
		   u64 pos)
{
	struct igbvf *igbvf = dev->data;

	guard(igbvf)(igbvf);

	size = min(size, igbvf->size - pos);
	memcpy(buf, igbvf->data + pos, size);

	return size;
}

/* The largest state: all descriptors of both receive queues */
#define IGBVF_STATE_MAX	(sizeof(struct igbvf_state) + \
			 IGBVF_NR_RX * (IGBVF_DLEN_MASK + IGBVF_DESC_SIZE))

int igbvf_load(struct vfio_pci_vendor_device *dev, const void *buf,
	       size_t size, u64 pos)
{
	struct igbvf *igbvf = dev->data;
	void *data;

	guard(igbvf)(igbvf);

	if (pos != igbvf->size || size > IGBVF_STATE_MAX - pos)
		return -EINVAL;

	data = kvrealloc(igbvf->data, pos + size, GFP_KERNEL_ACCOUNT);
	if (!data)
		return -ENOMEM;
	memcpy(data + pos, buf, size);
	igbvf->data = data;
	igbvf->size = pos + size;

	return 0;
}

static bool igbvf_state_is_valid(const struct igbvf *igbvf)
{
	const struct igbvf_state *state = igbvf->data;
	u64 total = 0;
	unsigned int q;

	if (igbvf->size < sizeof(*state) ||
	    le32_to_cpu(state->enabled) >= BIT(IGBVF_NR_QUEUES) ||
	    le32_to_cpu(state->vectors) & ~IGBVF_VECTORS ||
	    le32_to_cpu(state->mailbox) & ~(IGBVF_MBX_R2C | IGBVF_MBX_VFU) ||
	    !igbvf_pf_state_is_valid(&state->pf))
		return false;

	for (q = 0; q < IGBVF_NR_QUEUES; q++)
		if (le32_to_cpu(state->tails[q]) > U16_MAX)
			return false;
	for (q = 0; q < IGBVF_NR_RX; q++)
		total += le32_to_cpu(state->nr_buffers[q]);

	return igbvf->size == sizeof(*state) +
	       total * sizeof(struct igbvf_buffer);
}

static int igbvf_restore_queues(struct igbvf *igbvf,
				const struct igbvf_state *state)
{
	unsigned int i, reg;
	int ret = 0;
	u32 val;

	for (i = 0; i < IGBVF_NR_PLAIN && !ret; i++) {
		reg = igbvf_plain_reg(i);
		val = le32_to_cpu(state->plain[i]);
		/* igbvf_run_queues() enables the queues */
		if (reg >= igbvf_queue(0) && (reg & 0xff) == IGBVF_DCTL)
			val &= ~IGBVF_DCTL_ENABLE;
		ret = igbvf_write(igbvf, reg, val);
	}

	igbvf->enabled = le32_to_cpu(state->enabled);
	for (i = 0; i < IGBVF_NR_QUEUES && !ret; i++) {
		reg = igbvf_queue(i);
		igbvf->tails[i] = le32_to_cpu(state->tails[i]);
		igbvf->heads[i] = le32_to_cpu(state->plain[igbvf_head_index(i)]);
		/* An empty queue does no DMA when it is enabled */
		ret = igbvf_read(igbvf, reg + IGBVF_DH, &val) ?:
		      igbvf_write(igbvf, reg + IGBVF_DT, val);
		if (!ret && igbvf->enabled & BIT(i) && val != igbvf->heads[i]) {
			igbvf_err(igbvf, "queue %u refuses the head %u", i,
				  igbvf->heads[i]);
			ret = -EIO;
		}
	}

	return ret;
}

static int igbvf_restore_vectors(struct igbvf *igbvf,
				 const struct igbvf_state *state)
{
	igbvf->vectors = le32_to_cpu(state->vectors);

	return igbvf_write(igbvf, IGBVF_VTEICR, IGBVF_VECTORS) ?:
	       igbvf_write(igbvf, IGBVF_VTEIMS, igbvf->vectors);
}

/* The messages of the driver have overwritten the memory: restore it */
static int igbvf_restore_mailbox(struct igbvf *igbvf,
				 const struct igbvf_state *state)
{
	u32 flags = le32_to_cpu(state->mailbox), drained;
	unsigned int i;
	int ret = 0;

	for (i = 0; i < IGBVF_MBX_WORDS && !ret; i++)
		ret = igbvf_write(igbvf, IGBVF_VMBMEM + 4 * i,
				  le32_to_cpu(state->memory[i]));
	if (!ret)
		ret = igbvf_read(igbvf, IGBVF_V2PMAILBOX, &drained);
	if (!ret && flags & IGBVF_MBX_VFU)
		ret = igbvf_write(igbvf, IGBVF_V2PMAILBOX, IGBVF_MBX_VFU);
	igbvf->unread = flags & IGBVF_MBX_R2C;

	return ret;
}

static int igbvf_restore_stats(struct igbvf *igbvf,
			       const struct igbvf_state *state)
{
	unsigned int i;
	int ret = 0;
	u32 val;

	for (i = 0; i < IGBVF_NR_STATS && !ret; i++) {
		ret = igbvf_read(igbvf, igbvf_stats[i], &val);
		if (!ret)
			igbvf->stats[i] = le32_to_cpu(state->stats[i]) - val;
	}

	return ret;
}

static int igbvf_restore_buffers(struct igbvf *igbvf,
				 const struct igbvf_state *state)
{
	const struct igbvf_buffer *buffers = (const void *)(state + 1);
	unsigned int q;
	int ret = 0;
	u32 nr;

	for (q = 0; q < IGBVF_NR_RX && !ret; q++) {
		nr = le32_to_cpu(state->nr_buffers[q]);
		if (igbvf->can_log && igbvf->enabled & BIT(q))
			ret = igbvf_log_load(igbvf, q, igbvf->tails[q], buffers,
					     nr);
		buffers += nr;
	}

	return ret;
}

int igbvf_load_done(struct vfio_pci_vendor_device *dev)
{
	struct igbvf *igbvf = dev->data;
	const struct igbvf_state *state;
	int ret;

	guard(igbvf)(igbvf);

	state = igbvf->data;
	if (!igbvf_state_is_valid(igbvf)) {
		igbvf_err(igbvf, "migration data refused: invalid state");
		return -EINVAL;
	}

	/* The guest must not see the interrupts of the messages */
	ret = igbvf_write(igbvf, IGBVF_VTEIMC, IGBVF_VECTORS) ?:
	      /* Resets the VF, so it precedes the registers */
	      igbvf_mailbox_replay(igbvf, &state->pf);
	if (ret)
		return ret;

	igbvf_log_disable(igbvf);
	ret = igbvf_restore_queues(igbvf, state) ?:
	      igbvf_restore_vectors(igbvf, state) ?:
	      igbvf_restore_mailbox(igbvf, state) ?:
	      igbvf_restore_stats(igbvf, state) ?:
	      igbvf_restore_buffers(igbvf, state);
	if (!ret)
		igbvf->loaded = true;

	return ret;
}
