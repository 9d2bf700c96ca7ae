// SPDX-License-Identifier: GPL-2.0-only
/*
 * Messages from an 82576 VF to its PF
 *
 * The PF holds a part of the state, which the VF cannot read.  The driver
 * records each message of the guest that the PF has accepted.  On the
 * destination it sends them to the other PF.
 *
 * A read of the register V2PMAILBOX clears some of its flags.  The driver keeps
 * the flags that it has read itself for the next read of the guest.
 */

#include <linux/etherdevice.h>
#include <linux/iopoll.h>
#include <linux/string.h>
#include <linux/time64.h>
#include <linux/unaligned.h>
#include <linux/vfio_pci_core.h>

#include "igbvf.h"

#define IGBVF_MBX_POLL_US	200
#define IGBVF_MBX_TIMEOUT_US	USEC_PER_SEC

/* Types of messages, in the low half of the first word */
#define IGBVF_MSG_TYPE		GENMASK(15, 0)
#define IGBVF_MSG_RESET		1
#define IGBVF_MSG_MAC		2
#define IGBVF_MSG_MULTICAST	3
#define IGBVF_MSG_VLAN		4
#define IGBVF_MSG_LPE		5
#define IGBVF_MSG_PROMISC	6
#define IGBVF_MSG_INFO		GENMASK(23, 16)
#define IGBVF_MSG_MAC_CLEAR	BIT(16)
#define IGBVF_MSG_MAC_ADD	BIT(17)
#define IGBVF_MSG_VLAN_ADD	BIT(16)
/* Answers */
#define IGBVF_MSG_NACK		BIT(30)
#define IGBVF_MSG_ACK		BIT(31)

/* Read the mailbox register, and keep its flags for the guest */
static int igbvf_mailbox_peek(struct igbvf *igbvf, u32 *flags)
{
	int ret = igbvf_read(igbvf, IGBVF_V2PMAILBOX, flags);

	if (!ret)
		igbvf->unread |= *flags & IGBVF_MBX_R2C;

	return ret;
}

static int igbvf_read_memory(struct igbvf *igbvf, u32 *words, unsigned int nr)
{
	unsigned int i;
	int ret = 0;

	for (i = 0; i < nr && !ret; i++)
		ret = igbvf_read(igbvf, IGBVF_VMBMEM + 4 * i, &words[i]);

	return ret;
}

static int igbvf_write_memory(struct igbvf *igbvf, const u32 *words,
			      unsigned int nr)
{
	unsigned int i;
	int ret = 0;

	for (i = 0; i < nr && !ret; i++)
		ret = igbvf_write(igbvf, IGBVF_VMBMEM + 4 * i, words[i]);

	return ret;
}

/* The address in words 1 and 2 of a message */
static void igbvf_get_mac(const u32 *words, u8 *mac)
{
	put_unaligned_le32(words[1], mac);
	put_unaligned_le16(words[2], mac + 4);
}

static void igbvf_put_mac(u32 *words, const u8 *mac)
{
	words[1] = get_unaligned_le32(mac);
	words[2] = get_unaligned_le16(mac + 4);
}

static void igbvf_set_has(struct igbvf_pf_state *pf, u32 bits)
{
	pf->has |= cpu_to_le32(bits);
}

/* The PF accepted a new address, or changed the list of additional ones */
static void igbvf_record_mac(struct igbvf_pf_state *pf, const u32 *words)
{
	u16 nr = le16_to_cpu(pf->nr_filters);

	switch (words[0] & IGBVF_MSG_INFO) {
	case 0:
		igbvf_get_mac(words, pf->mac);
		igbvf_set_has(pf, IGBVF_HAS_MAC);
		break;
	case IGBVF_MSG_MAC_CLEAR:
		pf->nr_filters = 0;
		break;
	case IGBVF_MSG_MAC_ADD:
		/* The device has fewer filters, so the PF refuses the rest */
		if (nr >= IGBVF_MAX_FILTERS)
			break;
		igbvf_get_mac(words, pf->filters[nr]);
		pf->nr_filters = cpu_to_le16(nr + 1);
		break;
	}
}

/* The PF has answered the pending message */
static void igbvf_record(struct igbvf *igbvf, const u32 *answer)
{
	struct igbvf_pf_state *pf = &igbvf->pf;
	const u32 *words = igbvf->pending;
	u32 type = words[0] & IGBVF_MSG_TYPE;
	unsigned int i, vid;

	/* Another message of the PF, for example a change of the link */
	if ((answer[0] & IGBVF_MSG_TYPE) != type)
		return;
	igbvf->is_pending = false;

	/* Without ACK the VF has no MAC address, but the reset is done */
	if (type == IGBVF_MSG_RESET) {
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
		igbvf_set_has(pf, IGBVF_HAS_MULTICAST);
		break;
	case IGBVF_MSG_VLAN:
		vid = words[1] % VLAN_N_VID;
		if (words[0] & IGBVF_MSG_VLAN_ADD)
			pf->vlans[vid / 8] |= BIT(vid % 8);
		else
			pf->vlans[vid / 8] &= ~BIT(vid % 8);
		for (i = 0; i < 2; i++)
			pf->last_vlan[i] = cpu_to_le32(words[i]);
		igbvf_set_has(pf, IGBVF_HAS_VLAN);
		break;
	case IGBVF_MSG_LPE:
		for (i = 0; i < 2; i++)
			pf->lpe[i] = cpu_to_le32(words[i]);
		igbvf_set_has(pf, IGBVF_HAS_LPE);
		break;
	case IGBVF_MSG_PROMISC:
		pf->promisc = cpu_to_le32(words[0]);
		igbvf_set_has(pf, IGBVF_HAS_PROMISC);
		break;
	}
}

/* Record the pending message if the flags show an answer */
static int igbvf_mailbox_check(struct igbvf *igbvf, u32 flags)
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
 * igbvf_mailbox_reset() - forget what the PF held before a reset of the VF
 * @igbvf: the device, locked
 *
 * The PF keeps the maximum frame size.
 */
void igbvf_mailbox_reset(struct igbvf *igbvf)
{
	struct igbvf_pf_state *pf = &igbvf->pf;
	struct igbvf_pf_state kept = {
		.has	= pf->has & cpu_to_le32(IGBVF_HAS_LPE),
		.lpe	= { pf->lpe[0], pf->lpe[1] },
	};

	*pf = kept;
	igbvf->is_pending = false;
}

/**
 * igbvf_mailbox_settle() - record the last message of the guest
 * @igbvf: the device, locked
 *
 * Waits for the answer of the PF, which takes less than a millisecond.
 *
 * Return: 0, also if the PF does not answer, or the errno of an access.
 */
int igbvf_mailbox_settle(struct igbvf *igbvf)
{
	u32 flags;
	int err = 0;

	if (!igbvf->is_pending)
		return 0;

	read_poll_timeout(igbvf_mailbox_peek, err,
			  err || flags & IGBVF_MBX_PFSTS, IGBVF_MBX_POLL_US,
			  IGBVF_MBX_TIMEOUT_US / 10, false, igbvf, &flags);

	return err ?: igbvf_mailbox_check(igbvf, flags);
}

/* Try to take the mailbox from the PF */
static int igbvf_mailbox_take(struct igbvf *igbvf, u32 *flags)
{
	return igbvf_write(igbvf, IGBVF_V2PMAILBOX, IGBVF_MBX_VFU) ?:
	       igbvf_read(igbvf, IGBVF_V2PMAILBOX, flags);
}

/* Send a message of the driver; replace it by the answer */
static int igbvf_mailbox_send(struct igbvf *igbvf, u32 *words, unsigned int nr)
{
	u32 type = words[0] & IGBVF_MSG_TYPE, flags;
	int ret, err;

	ret = read_poll_timeout(igbvf_mailbox_take, err,
				err || flags & IGBVF_MBX_VFU,
				IGBVF_MBX_POLL_US, IGBVF_MBX_TIMEOUT_US, false,
				igbvf, &flags);
	if (ret ?: err)
		return err ?: ret;

	ret = igbvf_write_memory(igbvf, words, nr) ?:
	      igbvf_write(igbvf, IGBVF_V2PMAILBOX, IGBVF_MBX_REQ);
	if (ret)
		return ret;

	ret = read_poll_timeout(igbvf_read, err, err || flags & IGBVF_MBX_PFSTS,
				IGBVF_MBX_POLL_US, IGBVF_MBX_TIMEOUT_US, false,
				igbvf, IGBVF_V2PMAILBOX, &flags);
	if (ret ?: err)
		return err ?: ret;

	ret = igbvf_read_memory(igbvf, words, 3) ?:
	      igbvf_write(igbvf, IGBVF_V2PMAILBOX, IGBVF_MBX_ACK);
	if (ret)
		return ret;

	return (words[0] & IGBVF_MSG_TYPE) == type ? 0 : -EPROTO;
}

/* Send a message that the PF of the source has accepted */
static int igbvf_replay_one(struct igbvf *igbvf, const char *what, u32 *words,
			    unsigned int nr)
{
	int ret = igbvf_mailbox_send(igbvf, words, nr);

	if (ret) {
		igbvf_err(igbvf, "cannot restore %s: the PF does not answer (%d); its interface must be up",
			  what, ret);
		return ret;
	}
	if (!(words[0] & IGBVF_MSG_ACK)) {
		igbvf_err(igbvf, "cannot restore %s: the PF refuses it; set up this VF like the one on the source",
			  what);
		return -EPERM;
	}

	return 0;
}

/* Reset the VF, and set its MAC address if the PF has another one */
static int igbvf_replay_reset(struct igbvf *igbvf,
			      const struct igbvf_pf_state *pf)
{
	u32 words[3] = { IGBVF_MSG_RESET };
	u8 mac[ETH_ALEN];
	u32 flags;
	int ret, err;

	ret = igbvf_write(igbvf, IGBVF_VTCTRL, IGBVF_VTCTRL_RST);
	if (ret)
		return ret;
	/* The PF is being reset */
	ret = read_poll_timeout(igbvf_read, err,
				err || !(flags & IGBVF_MBX_RSTI),
				IGBVF_MBX_POLL_US, IGBVF_MBX_TIMEOUT_US, false,
				igbvf, IGBVF_V2PMAILBOX, &flags);
	if (err)
		return err;
	if (ret)
		igbvf_err(igbvf, "the PF is not ready; its interface must be up");
	if (ret || !(pf->has & cpu_to_le32(IGBVF_HAS_CTS)))
		return ret;

	ret = igbvf_mailbox_send(igbvf, words, 1);
	if (ret) {
		igbvf_err(igbvf, "the PF does not answer (%d); its interface must be up",
			  ret);
		return ret;
	}
	if (!(pf->has & cpu_to_le32(IGBVF_HAS_MAC)))
		return 0;

	/* The PF may refuse even the address that the administrator has set */
	igbvf_get_mac(words, mac);
	if (words[0] & IGBVF_MSG_ACK && ether_addr_equal(mac, pf->mac))
		return 0;

	words[0] = IGBVF_MSG_MAC;
	igbvf_put_mac(words, pf->mac);

	return igbvf_replay_one(igbvf, "the MAC address", words, 3);
}

static int igbvf_replay_filters(struct igbvf *igbvf,
				const struct igbvf_pf_state *pf)
{
	u32 words[IGBVF_MBX_WORDS];
	unsigned int i;
	int ret = 0;

	for (i = 0; i < le16_to_cpu(pf->nr_filters) && !ret; i++) {
		words[0] = IGBVF_MSG_MAC | IGBVF_MSG_MAC_ADD;
		igbvf_put_mac(words, pf->filters[i]);
		ret = igbvf_replay_one(igbvf, "a MAC filter", words, 3);
	}
	if (!ret && pf->has & cpu_to_le32(IGBVF_HAS_MULTICAST)) {
		for (i = 0; i < IGBVF_MBX_WORDS; i++)
			words[i] = le32_to_cpu(pf->multicast[i]);
		ret = igbvf_replay_one(igbvf, "multicast addresses", words,
				       IGBVF_MBX_WORDS);
	}
	if (!ret && pf->has & cpu_to_le32(IGBVF_HAS_PROMISC)) {
		words[0] = le32_to_cpu(pf->promisc);
		ret = igbvf_replay_one(igbvf, "promiscuous mode", words, 1);
	}

	return ret;
}

static int igbvf_replay_vlans(struct igbvf *igbvf,
			      const struct igbvf_pf_state *pf)
{
	u32 words[3];
	unsigned int vid, i;
	int ret;

	if (!(pf->has & cpu_to_le32(IGBVF_HAS_VLAN)))
		return 0;

	for (vid = 0; vid < VLAN_N_VID; vid++) {
		if (!(pf->vlans[vid / 8] & BIT(vid % 8)))
			continue;
		words[0] = IGBVF_MSG_VLAN | IGBVF_MSG_VLAN_ADD;
		words[1] = vid;
		ret = igbvf_replay_one(igbvf, "a VLAN", words, 2);
		if (ret)
			return ret;
	}
	for (i = 0; i < 2; i++)
		words[i] = le32_to_cpu(pf->last_vlan[i]);

	return igbvf_replay_one(igbvf, "the mode of VLAN tags", words, 2);
}

/**
 * igbvf_mailbox_replay() - reset the VF, and give the PF a loaded state
 * @igbvf: the device, locked and stopped
 * @pf: the valid state
 *
 * Return: 0, -EPERM if the PF refuses a part of the state, -ETIMEDOUT if it does
 * not answer, or the errno of an access.
 */
int igbvf_mailbox_replay(struct igbvf *igbvf, const struct igbvf_pf_state *pf)
{
	u32 words[3];
	int ret;

	ret = igbvf_replay_reset(igbvf, pf);
	if (!ret && pf->has & cpu_to_le32(IGBVF_HAS_CTS)) {
		ret = igbvf_replay_filters(igbvf, pf) ?:
		      igbvf_replay_vlans(igbvf, pf);
		if (!ret && pf->has & cpu_to_le32(IGBVF_HAS_LPE)) {
			words[0] = le32_to_cpu(pf->lpe[0]);
			words[1] = le32_to_cpu(pf->lpe[1]);
			ret = igbvf_replay_one(igbvf, "the frame size", words, 2);
		}
	}
	if (ret)
		return ret;

	igbvf->pf = *pf;
	igbvf->is_pending = false;
	igbvf->unread = 0;

	return 0;
}

static bool igbvf_is_message(__le32 word, u32 type)
{
	return (le32_to_cpu(word) & ~IGBVF_MSG_INFO) == type;
}

/**
 * igbvf_pf_state_is_valid() - validate a loaded state
 * @pf: the state
 *
 * Only messages that igbvf_record() records may be sent to the PF.
 *
 * Return: true if the state is valid.
 */
bool igbvf_pf_state_is_valid(const struct igbvf_pf_state *pf)
{
	u32 has = le32_to_cpu(pf->has);

	if (has & ~IGBVF_HAS_ALL ||
	    le16_to_cpu(pf->nr_filters) > IGBVF_MAX_FILTERS)
		return false;
	if (has & IGBVF_HAS_MULTICAST &&
	    !igbvf_is_message(pf->multicast[0], IGBVF_MSG_MULTICAST))
		return false;
	if (has & IGBVF_HAS_PROMISC &&
	    !igbvf_is_message(pf->promisc, IGBVF_MSG_PROMISC))
		return false;
	if (has & IGBVF_HAS_LPE && !igbvf_is_message(pf->lpe[0], IGBVF_MSG_LPE))
		return false;

	return !(has & IGBVF_HAS_VLAN) ||
	       igbvf_is_message(pf->last_vlan[0], IGBVF_MSG_VLAN);
}

static int igbvf_mailbox_read(const struct vfio_pci_range *range, u64 pos,
			      unsigned int width, u64 *val)
{
	struct vfio_pci_region *lower = vfio_pci_region_lower(range->region);
	struct igbvf *igbvf = range->data;
	int ret;

	guard(igbvf)(igbvf);

	ret = vfio_pci_region_read_reg(lower, pos, width, val);
	if (ret || width != 4)
		return ret;

	*val |= igbvf->unread;
	igbvf->unread = 0;

	return igbvf_mailbox_check(igbvf, *val);
}

static int igbvf_mailbox_write(const struct vfio_pci_range *range, u64 pos,
			       unsigned int width, u64 val)
{
	struct vfio_pci_region *lower = vfio_pci_region_lower(range->region);
	struct igbvf *igbvf = range->data;
	int ret;

	guard(igbvf)(igbvf);

	if (width == 4 && val & IGBVF_MBX_REQ) {
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

/* The guest resets the VF */
static int igbvf_ctrl_write(const struct vfio_pci_range *range, u64 pos,
			    unsigned int width, u64 val)
{
	struct vfio_pci_region *lower = vfio_pci_region_lower(range->region);
	struct igbvf *igbvf = range->data;
	int ret;

	guard(igbvf)(igbvf);

	ret = vfio_pci_region_write_reg(lower, pos, width, val);
	if (!ret && width == 4 && val & IGBVF_VTCTRL_RST) {
		igbvf_mailbox_reset(igbvf);
		igbvf_log_disable(igbvf);
	}

	return ret;
}

static const struct vfio_pci_range_ops igbvf_ctrl_ops = {
	.write	= igbvf_ctrl_write,
};

/* The guest takes a decrease of a counter for an overflow, so continue it */
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
					     4, &igbvf_ctrl_ops, igbvf) ?:
	      vfio_pci_vendor_override_range(igbvf->dev, IGBVF_BAR,
					     IGBVF_V2PMAILBOX, 4,
					     &igbvf_mailbox_ops, igbvf);
	for (i = 0; i < IGBVF_NR_STATS && !ret; i++)
		ret = vfio_pci_vendor_override_range(igbvf->dev, IGBVF_BAR,
						     igbvf_stats[i], 4,
						     &igbvf_stat_ops, igbvf);

	return ret;
}
