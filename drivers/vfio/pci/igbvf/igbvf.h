/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The virtual function of an Intel 82576, its migration data, and the driver's
 * view of an open device
 *
 * The register names come from the 82576 datasheet.
 */
#ifndef VFIO_PCI_IGBVF_H
#define VFIO_PCI_IGBVF_H

#include <linux/bits.h>
#include <linux/cleanup.h>
#include <linux/device.h>
#include <linux/if_ether.h>
#include <linux/if_vlan.h>
#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/types.h>
#include <linux/unaligned.h>
#include <linux/vfio_pci_migration.h>
#include <linux/vfio_pci_regops.h>

#define IGBVF_BAR		0
#define IGBVF_BAR_SIZE		0x4000

#define IGBVF_VTCTRL		0x0000
#define IGBVF_VTCTRL_RST	BIT(26)

/* The mailbox: 16 words of memory, and a register with flags */
#define IGBVF_VMBMEM		0x0800
#define IGBVF_MBX_WORDS		16
#define IGBVF_V2PMAILBOX	0x0c40
#define IGBVF_MBX_REQ		BIT(0)
#define IGBVF_MBX_ACK		BIT(1)
#define IGBVF_MBX_VFU		BIT(2)
#define IGBVF_MBX_PFSTS		BIT(4)
#define IGBVF_MBX_PFACK		BIT(5)
#define IGBVF_MBX_RSTI		BIT(6)
#define IGBVF_MBX_RSTD		BIT(7)
/* A read of the register clears these flags */
#define IGBVF_MBX_R2C		(IGBVF_MBX_PFSTS | IGBVF_MBX_PFACK | \
				 IGBVF_MBX_RSTD)

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

/* Statistics; nothing resets or writes them */
#define IGBVF_NR_STATS		5

#define IGBVF_VTEICS		0x1520
#define IGBVF_VTEIMS		0x1524
#define IGBVF_VTEIMC		0x1528
#define IGBVF_VTEIAC		0x152c
#define IGBVF_VTEIAM		0x1530
#define IGBVF_VTEICR		0x1580
#define IGBVF_VECTORS		GENMASK(2, 0)
/* The vectors of the queues, one byte for each, and of the mailbox */
#define IGBVF_VTIVAR		0x1700
#define IGBVF_VTIVAR_MISC	0x1740
#define IGBVF_IVAR_VECTOR	GENMASK(1, 0)
#define IGBVF_IVAR_VALID	BIT(7)

/* Two queues of each kind: the receive queues, then the transmit queues */
#define IGBVF_NR_RX		2
#define IGBVF_NR_QUEUES		4

/* Get the offset of the registers of a queue */
static inline unsigned int igbvf_queue(unsigned int q)
{
	return (q < IGBVF_NR_RX ? 0x2800 : 0x3600) + 0x100 * q;
}

#define IGBVF_DBAL		0x00
#define IGBVF_DBAH		0x04
#define IGBVF_DLEN		0x08
#define IGBVF_SRRCTL		0x0c
#define IGBVF_DH		0x10
#define IGBVF_DCA		0x14
#define IGBVF_DT		0x18
#define IGBVF_DCTL		0x28
#define IGBVF_DCTL_ENABLE	BIT(25)
#define IGBVF_DWBAL		0x38
#define IGBVF_DWBAL_ENABLE	BIT(0)
#define IGBVF_DWBAH		0x3c
#define IGBVF_QUEUE_END		0x40

/* DLEN has bits 4 to 19, DH and DT have 16 bits */
#define IGBVF_DLEN_MASK		GENMASK(19, 4)
#define IGBVF_DESC_SIZE		16

/*
 * Registers that are saved by a read and restored by a write, see
 * igbvf_plain_reg()
 */
#define IGBVF_NR_PLAIN		38

/* Maximum number of MAC filters of the guest; an 82576 has fewer */
#define IGBVF_MAX_FILTERS	32

#define IGBVF_HAS_CTS		BIT(0)
#define IGBVF_HAS_MAC		BIT(1)
#define IGBVF_HAS_MULTICAST	BIT(2)
#define IGBVF_HAS_PROMISC	BIT(3)
#define IGBVF_HAS_LPE		BIT(4)
#define IGBVF_HAS_VLAN		BIT(5)
#define IGBVF_HAS_ALL		GENMASK(5, 0)

/*
 * Migration data: the settings of the VF in the PF.  The VF cannot read them, so
 * the driver records the messages of the guest.
 */
struct igbvf_pf_state {
	/* IGBVF_HAS_* */
	__le32	has;
	u8	mac[ETH_ALEN];
	__le16	nr_filters;
	u8	filters[IGBVF_MAX_FILTERS][ETH_ALEN];
	/* Messages */
	__le32	multicast[IGBVF_MBX_WORDS];
	__le32	promisc;
	__le32	lpe[2];
	/* The last VLAN message; it decides whether the PF strips tags */
	__le32	last_vlan[2];
	u8	vlans[VLAN_N_VID / BITS_PER_BYTE];
};

/* Migration data: a receive buffer that the device owns */
struct igbvf_buffer {
	__le64	packet;
	__le64	header;
};

/* Migration data, followed by the buffers of both receive queues */
struct igbvf_state {
	__le32	plain[IGBVF_NR_PLAIN];
	__le32	tails[IGBVF_NR_QUEUES];
	/* Queues that are enabled, and vectors that are not masked */
	__le32	enabled;
	__le32	vectors;
	__le32	mailbox;
	__le32	memory[IGBVF_MBX_WORDS];
	__le32	stats[IGBVF_NR_STATS];
	/* Number of known buffers of each receive queue, from its head on */
	__le32	nr_buffers[IGBVF_NR_RX];
	struct igbvf_pf_state pf;
};

/* The buffers are aligned */
static_assert(sizeof(struct igbvf_state) % sizeof(struct igbvf_buffer) == 0);

/* A receive queue in memory, for the log of the device's writes */
struct igbvf_ring {
	u64			base;
	/* Number of descriptors, and of entries in @buffers */
	u32			size;
	u32			srrctl;
	u32			tail;
	/* First descriptor that may have been used since the last report */
	u32			unreported;
	/* All memory was reported since then */
	bool			all_reported;
	bool			enabled;
	/* Number of changes of @base, @size and @buffers */
	unsigned int		generation;
	struct igbvf_buffer	*buffers;
};

/* An open device */
struct igbvf {
	struct vfio_pci_vendor_device	*dev;
	/* The operator wants DMA logging */
	bool				can_log;
	/* Set without the lock, see igbvf_lock() */
	unsigned long			was_reset;

	/*
	 * Serializes writes to the registers of the receive queues.  Such a
	 * write reads descriptors from memory, and userspace can block this
	 * read indefinitely.  Outer to @lock.
	 */
	struct mutex			ring_lock;

	/* Protects the members below, and sequences of register accesses */
	struct mutex			lock;
	bool				stopped;
	bool				logging;
	/* Loaded, and not run since */
	bool				loaded;
	/* Queues that were enabled when the device was stopped */
	u32				enabled;
	/* Tails of a loaded device, and heads of a stopped one */
	u32				tails[IGBVF_NR_QUEUES];
	u32				heads[IGBVF_NR_QUEUES];
	u32				vectors;

	/* Flags that the driver has read, but the guest has not */
	u32				unread;
	/* A message whose answer the driver has not seen */
	bool				is_pending;
	u32				pending[IGBVF_MBX_WORDS];
	struct igbvf_pf_state		pf;
	/* Values to add to the statistics of the device */
	u32				stats[IGBVF_NR_STATS];

	struct igbvf_ring		rings[IGBVF_NR_RX];

	/* Data of the last session, saved or loaded */
	void				*data;
	size_t				size;
};

/* Get the MAC address from words 1 and 2 of a message */
static inline void igbvf_get_mac(const u32 *words, u8 *mac)
{
	put_unaligned_le32(words[1], mac);
	put_unaligned_le16(words[2], mac + 4);
}

void igbvf_lock(struct igbvf *igbvf);
void igbvf_unlock(struct igbvf *igbvf);

DEFINE_GUARD(igbvf, struct igbvf *, igbvf_lock(_T), igbvf_unlock(_T))

int igbvf_read(struct igbvf *igbvf, unsigned int reg, u32 *val);
int igbvf_write(struct igbvf *igbvf, unsigned int reg, u32 val);

#define igbvf_err(igbvf, fmt, ...) \
	dev_err_ratelimited(&(igbvf)->dev->pdev->dev, \
			    "vfio-pci-igbvf: " fmt "\n", ##__VA_ARGS__)

/* queue.c: stop and run the queues */
int igbvf_stop_queues(struct igbvf *igbvf);
int igbvf_run_queues(struct igbvf *igbvf);

/* mailbox.c: messages of the guest to the PF */
int igbvf_read_memory(struct igbvf *igbvf, u32 *words, unsigned int nr);
int igbvf_mailbox_trap(struct igbvf *igbvf);
int igbvf_mailbox_settle(struct igbvf *igbvf);
int igbvf_mailbox_check(struct igbvf *igbvf, u32 flags);
void igbvf_mailbox_reset(struct igbvf *igbvf);

/* replay.c: messages of the driver to the PF */
int igbvf_mailbox_replay(struct igbvf *igbvf, const struct igbvf_pf_state *pf);
bool igbvf_pf_state_is_valid(const struct igbvf_pf_state *pf);

/* state.c: save and load a state */
extern const u16 igbvf_stats[IGBVF_NR_STATS];
int igbvf_begin(struct vfio_pci_vendor_device *dev,
		enum vfio_device_mig_state state);
int igbvf_size(struct vfio_pci_vendor_device *dev, u64 *bytes);
ssize_t igbvf_save(struct vfio_pci_vendor_device *dev, void *buf, size_t size,
		   u64 pos);
int igbvf_load(struct vfio_pci_vendor_device *dev, const void *buf,
	       size_t size, u64 pos);
int igbvf_load_done(struct vfio_pci_vendor_device *dev);

/* log.c: log the memory that the device writes */
extern const struct vfio_pci_dma_log_ops igbvf_log_ops;
int igbvf_log_trap(struct igbvf *igbvf);
void igbvf_log_disable(struct igbvf *igbvf);
void igbvf_log_free(struct igbvf *igbvf);
int igbvf_log_load(struct igbvf *igbvf, unsigned int q, u32 tail,
		   const struct igbvf_buffer *buffers, u32 nr);
u32 igbvf_log_save(struct igbvf *igbvf, unsigned int q, u32 head,
		   struct igbvf_buffer *buffers);

#endif /* VFIO_PCI_IGBVF_H */
