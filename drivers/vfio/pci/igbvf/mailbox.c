// SPDX-License-Identifier: GPL-2.0-only
/*
 * Messages of the guest from an 82576 VF to its PF
 *
 * The PF holds settings of the VF that the VF cannot read.  The driver records
 * each message of the guest that the PF has accepted.
 *
 * A read of V2PMAILBOX clears some of its flags.  The driver keeps the flags
 * that its own reads clear, and returns them at the next read by the guest.
 */

#include <linux/etherdevice.h>
#include <linux/iopoll.h>
#include <linux/string.h>
#include <linux/time64.h>
#include <linux/vfio_pci_core.h>

#include "igbvf.h"

#define IGBVF_MBX_POLL_US	200
#define IGBVF_MBX_TIMEOUT_US	(100 * USEC_PER_MSEC)

/**
 * igbvf_read_memory() - read a message
 * @igbvf: the device, locked
 * @words: set to the message
 * @nr: number of words
 *
 * Return: 0, or the errno of an access.
 */
int igbvf_read_memory(struct igbvf *igbvf, u32 *words, unsigned int nr)
{
	unsigned int i;
	int ret = 0;

	for (i = 0; i < nr && !ret; i++)
		ret = igbvf_read(igbvf, IGBVF_VMBMEM + 4 * i, &words[i]);

	return ret;
}

/* The bits of the first word that have a meaning */
static __le32 igbvf_message(u32 word)
{
	return cpu_to_le32(word & (IGBVF_MSG_TYPE | IGBVF_MSG_INFO));
}

static void igbvf_set_has(struct igbvf_pf_state *pf, u32 bits)
{
	pf->has |= cpu_to_le32(bits);
}

static bool igbvf_has_filter(const struct igbvf_pf_state *pf, const u8 *mac)
{
	unsigned int i;

	for (i = 0; i < le16_to_cpu(pf->nr_filters); i++)
		if (ether_addr_equal(pf->filters[i], mac))
			return true;

	return false;
}

/* Record an accepted message that sets the address or changes the filters */
static void igbvf_record_mac(struct igbvf_pf_state *pf, const u32 *words)
{
	u16 nr = le16_to_cpu(pf->nr_filters);
	u8 mac[ETH_ALEN];

	switch (words[0] & IGBVF_MSG_INFO) {
	case 0:
		igbvf_get_mac(words, pf->mac);
		igbvf_set_has(pf, IGBVF_HAS_MAC);
		break;
	case IGBVF_MSG_MAC_CLEAR:
		pf->nr_filters = 0;
		break;
	case IGBVF_MSG_MAC_ADD:
		igbvf_get_mac(words, mac);
		/* The device has fewer filters, so the PF refuses the rest */
		if (nr >= IGBVF_MAX_FILTERS || igbvf_has_filter(pf, mac))
			break;
		ether_addr_copy(pf->filters[nr], mac);
		pf->nr_filters = cpu_to_le16(nr + 1);
		break;
	}
}

/* Record the pending message if the PF has accepted it */
static void igbvf_record(struct igbvf *igbvf, const u32 *answer)
{
	struct igbvf_pf_state *pf = &igbvf->pf;
	const u32 *words = igbvf->pending;
	u32 type = words[0] & IGBVF_MSG_TYPE;
	unsigned int i, vid;

	/*
	 * Another message of the PF, for example a change of the link, or still
	 * the message of the guest
	 */
	if ((answer[0] & IGBVF_MSG_TYPE) != type ||
	    !(answer[0] & (IGBVF_MSG_ACK | IGBVF_MSG_NACK)))
		return;
	igbvf->is_pending = false;

	/* Without ACK the VF has no MAC address, but the reset is done */
	if (words[0] == IGBVF_MSG_RESET) {
		igbvf_mailbox_reset(igbvf);
		igbvf_set_has(pf, IGBVF_HAS_CTS);
		if (answer[0] & IGBVF_MSG_ACK) {
			igbvf_get_mac(answer, pf->mac);
			igbvf_set_has(pf, IGBVF_HAS_MAC);
		}
		return;
	}
	if (!(answer[0] & IGBVF_MSG_ACK))
		return;

	switch (type) {
	case IGBVF_MSG_MAC:
		igbvf_record_mac(pf, words);
		break;
	case IGBVF_MSG_MULTICAST:
		for (i = 0; i < IGBVF_MBX_WORDS; i++)
			pf->multicast[i] = cpu_to_le32(words[i]);
		pf->multicast[0] = igbvf_message(words[0]);
		igbvf_set_has(pf, IGBVF_HAS_MULTICAST);
		break;
	case IGBVF_MSG_VLAN:
		vid = words[1] % VLAN_N_VID;
		if (words[0] & IGBVF_MSG_VLAN_ADD)
			pf->vlans[vid / 8] |= BIT(vid % 8);
		else
			pf->vlans[vid / 8] &= ~BIT(vid % 8);
		/* The PF ignores the removal of VLAN 0 */
		if (!vid && !(words[0] & IGBVF_MSG_VLAN_ADD))
			break;
		pf->last_vlan[0] = igbvf_message(words[0]);
		pf->last_vlan[1] = cpu_to_le32(words[1]);
		igbvf_set_has(pf, IGBVF_HAS_VLAN);
		break;
	case IGBVF_MSG_LPE:
		pf->lpe[0] = igbvf_message(words[0]);
		pf->lpe[1] = cpu_to_le32(words[1]);
		igbvf_set_has(pf, IGBVF_HAS_LPE);
		break;
	case IGBVF_MSG_PROMISC:
		pf->promisc = igbvf_message(words[0]);
		igbvf_set_has(pf, IGBVF_HAS_PROMISC);
		break;
	}
}

/**
 * igbvf_mailbox_check() - record the pending message if there is an answer
 * @igbvf: the device, locked
 * @flags: flags of the mailbox register
 *
 * Return: 0, or the errno of an access.
 */
int igbvf_mailbox_check(struct igbvf *igbvf, u32 flags)
{
	u32 answer[3];
	int ret;

	if (!igbvf->is_pending || !(flags & IGBVF_MBX_PFSTS))
		return 0;

	ret = igbvf_read_memory(igbvf, answer, ARRAY_SIZE(answer));
	if (!ret)
		igbvf_record(igbvf, answer);

	return ret;
}

/**
 * igbvf_mailbox_reset() - forget the settings that a reset of the VF clears
 * @igbvf: the device, locked
 *
 * The PF keeps the maximum frame size and the MAC filters.
 */
void igbvf_mailbox_reset(struct igbvf *igbvf)
{
	struct igbvf_pf_state *pf = &igbvf->pf;
	struct igbvf_pf_state kept = {
		.has	= pf->has & cpu_to_le32(IGBVF_HAS_LPE),
		.lpe	= { pf->lpe[0], pf->lpe[1] },
		.nr_filters = pf->nr_filters,
	};

	memcpy(kept.filters, pf->filters, sizeof(kept.filters));
	*pf = kept;
	igbvf->is_pending = false;
}

/* Read the mailbox register, keep its flags for the guest, look for an answer */
static int igbvf_mailbox_poll(struct igbvf *igbvf)
{
	u32 flags;
	int ret;

	ret = igbvf_read(igbvf, IGBVF_V2PMAILBOX, &flags);
	if (ret)
		return ret;

	igbvf->unread |= flags & IGBVF_MBX_R2C;

	return igbvf_mailbox_check(igbvf, igbvf->unread);
}

/**
 * igbvf_mailbox_settle() - record the last message of the guest
 * @igbvf: the device, locked
 *
 * Waits at most 100 ms for the PF, which usually takes less than 1 ms.
 *
 * Return: 0, even if the PF does not answer, or the errno of an access.
 */
int igbvf_mailbox_settle(struct igbvf *igbvf)
{
	int err;

	if (!igbvf->is_pending)
		return 0;

	read_poll_timeout(igbvf_mailbox_poll, err, err || !igbvf->is_pending,
			  IGBVF_MBX_POLL_US, IGBVF_MBX_TIMEOUT_US, false,
			  igbvf);

	return err;
}

static int igbvf_mailbox_read(const struct vfio_pci_range *range, u64 pos,
			      unsigned int width, u64 *val)
{
	struct vfio_pci_region *lower = vfio_pci_region_lower(range->region);
	struct igbvf *igbvf = range->data;
	u64 flags;
	int ret;

	guard(igbvf)(igbvf);

	/* Even a narrow read clears all flags of the device */
	ret = vfio_pci_region_read_reg(lower, IGBVF_V2PMAILBOX, 4, &flags);
	if (ret)
		return ret;

	flags |= igbvf->unread;
	igbvf->unread = 0;
	*val = flags >> (pos - IGBVF_V2PMAILBOX) * BITS_PER_BYTE;

	return igbvf_mailbox_check(igbvf, flags);
}

static int igbvf_mailbox_write(const struct vfio_pci_range *range, u64 pos,
			       unsigned int width, u64 val)
{
	struct vfio_pci_region *lower = vfio_pci_region_lower(range->region);
	struct igbvf *igbvf = range->data;
	int ret;

	guard(igbvf)(igbvf);

	/* The device has no narrow registers */
	if (width != 4)
		return 0;
	if (val & IGBVF_MBX_REQ) {
		ret = igbvf_read_memory(igbvf, igbvf->pending, IGBVF_MBX_WORDS);
		if (ret)
			return ret;
		igbvf->is_pending = true;
	}

	return vfio_pci_region_write_reg(lower, pos, width, val);
}

static const struct vfio_pci_range_ops igbvf_mailbox_ops = {
	.read	= igbvf_mailbox_read,
	.write	= igbvf_mailbox_write,
};

/* The guest resets the VF, by any of two registers */
static int igbvf_ctrl_write(const struct vfio_pci_range *range, u64 pos,
			    unsigned int width, u64 val)
{
	struct vfio_pci_region *lower = vfio_pci_region_lower(range->region);
	struct igbvf *igbvf = range->data;
	int ret;

	guard(igbvf)(igbvf);

	ret = vfio_pci_region_write_reg(lower, pos, width, val);
	if (!ret && val & (IGBVF_VTCTRL_RST | (u64)IGBVF_VTCTRL_RST << 32)) {
		igbvf_mailbox_reset(igbvf);
		igbvf_log_disable(igbvf);
	}

	return ret;
}

static const struct vfio_pci_range_ops igbvf_ctrl_ops = {
	.write	= igbvf_ctrl_write,
};

/* The guest takes a decrease for an overflow: continue the old count */
static int igbvf_stat_read(const struct vfio_pci_range *range, u64 pos,
			   unsigned int width, u64 *val)
{
	struct vfio_pci_region *lower = vfio_pci_region_lower(range->region);
	struct igbvf *igbvf = range->data;
	unsigned int i;
	int ret;

	ret = vfio_pci_region_read_reg(lower, pos, width, val);
	if (ret || width != 4)
		return ret;

	guard(igbvf)(igbvf);

	for (i = 0; i < IGBVF_NR_STATS; i++)
		if (igbvf_stats[i] == pos)
			*val = (u32)(*val + igbvf->stats[i]);

	return 0;
}

static const struct vfio_pci_range_ops igbvf_stat_ops = {
	.read	= igbvf_stat_read,
};

/**
 * igbvf_mailbox_trap() - override the registers of the first page
 * @igbvf: the device, in the open callback
 *
 * Return: 0, or the errno of an override.
 */
int igbvf_mailbox_trap(struct igbvf *igbvf)
{
	unsigned int i;
	int ret;

	ret = vfio_pci_vendor_override_range(igbvf->dev, IGBVF_BAR, IGBVF_VTCTRL,
					     8, &igbvf_ctrl_ops, igbvf) ?:
	      vfio_pci_vendor_override_range(igbvf->dev, IGBVF_BAR,
					     IGBVF_V2PMAILBOX, 4,
					     &igbvf_mailbox_ops, igbvf);
	for (i = 0; i < IGBVF_NR_STATS && !ret; i++)
		ret = vfio_pci_vendor_override_range(igbvf->dev, IGBVF_BAR,
						     igbvf_stats[i], 4,
						     &igbvf_stat_ops, igbvf);

	return ret;
}
