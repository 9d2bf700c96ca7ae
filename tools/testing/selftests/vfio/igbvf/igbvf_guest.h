/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A driver of a virtual function of the Intel 82576, as a guest runs it: mailbox,
 * one receive queue, one transmit queue and three interrupts.  It accesses all
 * registers by pread() and pwrite(), because a vendor driver may not let
 * userspace map them.
 *
 * The state of the driver is in struct guest and in one memory area.  Therefore a
 * test can move the driver to another device, as a migration does.
 */
#ifndef SELFTESTS_VFIO_IGBVF_GUEST_H
#define SELFTESTS_VFIO_IGBVF_GUEST_H

#include <linux/types.h>

#include <libvfio.h>

/* Registers in BAR0 */
#define IGBVF_VTCTRL		0x0000
#define IGBVF_STATUS		0x0008
#define IGBVF_VMBMEM(word)	(0x0800 + 4 * (word))
#define IGBVF_V2PMAILBOX	0x0c40
#define IGBVF_VFGPRC		0x0f10
#define IGBVF_VFGPTC		0x0f14
#define IGBVF_VFGORC		0x0f18
#define IGBVF_VFGOTC		0x0f34
#define IGBVF_VTEICS		0x1520
#define IGBVF_VTEIMS		0x1524
#define IGBVF_VTEIMC		0x1528
#define IGBVF_VTEIAC		0x152c
#define IGBVF_VTEIAM		0x1530
#define IGBVF_VTEICR		0x1580
#define IGBVF_VTEITR(vector)	(0x1680 + 4 * (vector))
#define IGBVF_VTIVAR0		0x1700
#define IGBVF_VTIVAR_MISC	0x1740
#define IGBVF_RDBAL		0x2800
#define IGBVF_RDBAH		0x2804
#define IGBVF_RDLEN		0x2808
#define IGBVF_SRRCTL		0x280c
#define IGBVF_RDH		0x2810
#define IGBVF_RDT		0x2818
#define IGBVF_RXDCTL		0x2828
#define IGBVF_TDBAL		0x3800
#define IGBVF_TDBAH		0x3804
#define IGBVF_TDLEN		0x3808
#define IGBVF_TDH		0x3810
#define IGBVF_DCA_TXCTRL	0x3814
#define IGBVF_TDT		0x3818
#define IGBVF_TXDCTL		0x3828

#define IGBVF_VTCTRL_RST	0x04000000
#define IGBVF_STATUS_LU		0x00000002
#define IGBVF_QUEUE_ENABLE	0x02000000

#define IGBVF_MAILBOX_WORDS	16
#define IGBVF_MAILBOX_REQ	0x01
#define IGBVF_MAILBOX_ACK	0x02
#define IGBVF_MAILBOX_VFU	0x04
#define IGBVF_MAILBOX_PFSTS	0x10
#define IGBVF_MAILBOX_PFACK	0x20
#define IGBVF_MAILBOX_RSTI	0x40
#define IGBVF_MAILBOX_RSTD	0x80

/* Vectors, as igbvf assigns them */
#define GUEST_TX_VECTOR		0
#define GUEST_RX_VECTOR		1
#define GUEST_OTHER_VECTOR	2
#define GUEST_VECTORS		3

/*
 * The memory of the driver: one page for each ring, then one page for each
 * buffer.  A test can tell by the page what the device wrote.
 */
#define GUEST_PAGE		4096UL
#define GUEST_RING_SIZE		32
#define GUEST_BUFFER_SIZE	2048
#define GUEST_RX_RING_PAGE	0
#define GUEST_TX_RING_PAGE	1
#define GUEST_RX_PAGE(index)	(2 + (index))
#define GUEST_TX_PAGE(index)	(2 + GUEST_RING_SIZE + (index))
#define GUEST_PAGES		128
#define GUEST_MEMORY_SIZE	(GUEST_PAGES * GUEST_PAGE)

struct guest {
	struct vfio_pci_device *device;
	struct dma_region *memory;
	u8 mac[6];
	/* Bits of the mailbox that a read cleared, and that were not used yet */
	u32 mailbox;
	/* The next descriptor that the device fills, and the value of RDT */
	u16 rx_next;
	u16 rx_tail;
	/* The value of TDT */
	u16 tx_tail;
	/* VLAN tag of the last received frame, or 0 */
	u16 rx_vlan;
};

/*
 * Do the work of a VMM: allow DMA, and connect the interrupts to eventfds.
 * Call it for the source and for the destination, and after a reset.
 */
void guest_plug(struct vfio_pci_device *device);

u32 guest_read(struct guest *guest, u32 reg);
void guest_write(struct guest *guest, u32 reg, u32 value);

/* Reset the function and start the driver; guest->mac is the MAC address that it sets */
void guest_init(struct guest *guest, struct vfio_pci_device *device, struct dma_region *memory);
/* Continue on another device.  This does not access the device. */
void guest_move(struct guest *guest, struct vfio_pci_device *device);

/*
 * Send a message of @words to the PF, and read the reply into @message.  Return 0,
 * -ETIMEDOUT, or -EPERM if the PF refused.
 */
int guest_mailbox(struct guest *guest, u32 *message, int words);
int guest_set_mac(struct guest *guest, const u8 *mac);
/* Receive the frames to one more address, and drop all such addresses */
int guest_add_filter(struct guest *guest, const u8 *mac);
int guest_clear_filters(struct guest *guest);
int guest_set_multicast(struct guest *guest, const u8 *mac);
/* Receive all multicast frames, or not */
int guest_set_promisc(struct guest *guest, bool on);
int guest_set_vlan(struct guest *guest, u16 vlan, bool add);
int guest_set_max_frame(struct guest *guest, u32 size);
/* Send this message.  If the PF accepts it, return true, and leave its flags unread. */
bool guest_leave_reply(struct guest *guest, u32 size);

/* Send a frame, and wait until the device has sent it */
bool guest_send(struct guest *guest, const void *frame, size_t length);
/*
 * Take the next frame from the ring.  Return its length, or 0 after @ms.  The device
 * gets the buffer back by guest_refill().
 */
size_t guest_receive(struct guest *guest, void *frame, int ms);
/* Check whether the next @nr frames are in the ring */
bool guest_all_received(struct guest *guest, u16 nr);
/* Put a taken buffer into the ring; the device owns it after a write of rx_tail to RDT */
void guest_prepare_buffer(struct guest *guest);
/* Give all taken buffers to the device */
void guest_refill(struct guest *guest);
/* Check whether the device owns a receive buffer */
bool guest_device_owns(struct guest *guest, u16 index);

/* Wait for an interrupt, and clear the eventfd; return the number of interrupts */
u64 guest_interrupts(struct guest *guest, int vector, int ms);

#endif
