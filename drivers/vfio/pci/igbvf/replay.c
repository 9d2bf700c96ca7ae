// SPDX-License-Identifier: GPL-2.0-only
/*
 * Messages of the driver from an 82576 VF to its PF
 *
 * The destination sends the messages that the driver has recorded on the source.
 */

#include <linux/etherdevice.h>
#include <linux/iopoll.h>
#include <linux/string.h>
#include <linux/time64.h>
#include <linux/unaligned.h>

#include "igbvf.h"

#define IGBVF_MBX_POLL_US	200
#define IGBVF_MBX_TIMEOUT_US	USEC_PER_SEC
/* Messages of the PF before its answer */
#define IGBVF_MBX_TRIES		4

static int igbvf_write_memory(struct igbvf *igbvf, const u32 *words,
			      unsigned int nr)
{
	unsigned int i;
	int ret = 0;

	for (i = 0; i < nr && !ret; i++)
		ret = igbvf_write(igbvf, IGBVF_VMBMEM + 4 * i, words[i]);

	return ret;
}

static void igbvf_put_mac(u32 *words, const u8 *mac)
{
	words[1] = get_unaligned_le32(mac);
	words[2] = get_unaligned_le16(mac + 4);
}

/* Try to take the mailbox from the PF */
static int igbvf_mailbox_take(struct igbvf *igbvf, u32 *flags)
{
	return igbvf_write(igbvf, IGBVF_V2PMAILBOX, IGBVF_MBX_VFU) ?:
	       igbvf_read(igbvf, IGBVF_V2PMAILBOX, flags);
}

/*
 * Send a message of the driver, and wait for the answer.  The PF may also send
 * messages of its own, for example when its link comes up.
 */
static int igbvf_mailbox_try(struct igbvf *igbvf, const u32 *words,
			     unsigned int nr, u32 *answer)
{
	unsigned int i;
	int ret, err;
	u32 flags;

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

	for (i = 0; i < IGBVF_MBX_TRIES; i++) {
		ret = read_poll_timeout(igbvf_read, err,
					err || flags & IGBVF_MBX_PFSTS,
					IGBVF_MBX_POLL_US, IGBVF_MBX_TIMEOUT_US,
					false, igbvf, IGBVF_V2PMAILBOX, &flags);
		if (ret ?: err)
			return err ?: ret;

		ret = igbvf_read_memory(igbvf, answer, 3) ?:
		      igbvf_write(igbvf, IGBVF_V2PMAILBOX, IGBVF_MBX_ACK);
		if (ret)
			return ret;
		if ((answer[0] & IGBVF_MSG_TYPE) == (words[0] & IGBVF_MSG_TYPE))
			return 0;
	}

	return -EPROTO;
}

/* Send a message of the driver, and overwrite @words with the answer */
static int igbvf_mailbox_send(struct igbvf *igbvf, u32 *words, unsigned int nr)
{
	u32 answer[3];
	int ret;

	ret = igbvf_mailbox_try(igbvf, words, nr, answer);
	/* A message of the PF can replace ours */
	if (ret == -ETIMEDOUT || ret == -EPROTO)
		ret = igbvf_mailbox_try(igbvf, words, nr, answer);
	if (!ret)
		memcpy(words, answer, sizeof(answer));

	return ret;
}

/* Send a message that the PF of the source has accepted */
static int igbvf_replay_one(struct igbvf *igbvf, const char *what, u32 *words,
			    unsigned int nr)
{
	int ret = igbvf_mailbox_send(igbvf, words, nr);

	if (ret) {
		igbvf_err(igbvf, "cannot restore %s: no valid answer from the PF (%d); its interface must be up",
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
	/* Wait for the end of a reset of the PF */
	ret = read_poll_timeout(igbvf_read, err,
				err || !(flags & IGBVF_MBX_RSTI),
				IGBVF_MBX_POLL_US, IGBVF_MBX_TIMEOUT_US, false,
				igbvf, IGBVF_V2PMAILBOX, &flags);
	if (err)
		return err;
	if (ret)
		igbvf_err(igbvf, "cannot restore the VF: the PF is not ready; its interface must be up");
	if (ret || !(pf->has & cpu_to_le32(IGBVF_HAS_CTS)))
		return ret;

	ret = igbvf_mailbox_send(igbvf, words, 1);
	if (ret) {
		igbvf_err(igbvf, "cannot restore the VF: no valid answer from the PF (%d); its interface must be up",
			  ret);
		return ret;
	}
	if (!(pf->has & cpu_to_le32(IGBVF_HAS_MAC)))
		return 0;

	/* The PF may refuse even its own address: send only a different one */
	igbvf_get_mac(words, mac);
	if (words[0] & IGBVF_MSG_ACK && ether_addr_equal(mac, pf->mac))
		return 0;

	words[0] = IGBVF_MSG_MAC;
	igbvf_put_mac(words, pf->mac);

	return igbvf_replay_one(igbvf, "the MAC address", words, 3);
}

/* The PF keeps the filters of earlier guests, until this message */
static int igbvf_clear_filters(struct igbvf *igbvf,
			       const struct igbvf_pf_state *pf)
{
	u32 words[3] = { IGBVF_MSG_MAC | IGBVF_MSG_MAC_CLEAR };
	int ret;

	if (!(pf->has & cpu_to_le32(IGBVF_HAS_MAC)))
		return 0;

	/* The PF refuses an invalid address here, and ignores a valid one */
	igbvf_put_mac(words, pf->mac);
	ret = igbvf_mailbox_send(igbvf, words, 3);
	/* A refusal is no error: a PF that permits no filters has none */
	if (ret)
		igbvf_err(igbvf, "cannot restore MAC filters: no valid answer from the PF (%d)",
			  ret);

	return ret;
}

static int igbvf_replay_filters(struct igbvf *igbvf,
				const struct igbvf_pf_state *pf)
{
	u32 words[IGBVF_MBX_WORDS];
	unsigned int i;
	int ret;

	ret = igbvf_clear_filters(igbvf, pf);
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
	unsigned int vid;
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

	/* The PF refuses the removal of a VLAN that it does not have */
	words[0] = le32_to_cpu(pf->last_vlan[0]);
	words[1] = le32_to_cpu(pf->last_vlan[1]);
	ret = igbvf_mailbox_send(igbvf, words, 2);
	if (ret)
		igbvf_err(igbvf, "cannot restore VLAN tag stripping: no valid answer from the PF (%d)",
			  ret);

	return ret;
}

/**
 * igbvf_mailbox_replay() - reset the VF, and give the PF a loaded state
 * @igbvf: the device, locked and stopped
 * @pf: the valid state
 *
 * Return: 0, -EPERM if the PF refuses a part of the state, -ETIMEDOUT if it does
 * not answer, -EPROTO if it sends other messages, or the errno of an access.
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
