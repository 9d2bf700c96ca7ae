// SPDX-License-Identifier: GPL-2.0-only
#include <endian.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include <linux/bits.h>
#include <linux/compiler.h>

#include "igbvf_guest.h"

/* Messages of the mailbox */
#define VF_RESET		0x01
#define SET_MAC_ADDR		0x02
#define SET_MULTICAST		0x03
#define SET_VLAN		0x04
#define SET_LPE			0x05
#define SET_PROMISC		0x06
#define MESSAGE_TYPE		0xffff
#define MESSAGE_INFO(info)	((info) << 16)
#define CLEAR_FILTERS		MESSAGE_INFO(1)
#define ADD_FILTER		MESSAGE_INFO(2)
#define ALL_MULTICAST		MESSAGE_INFO(2)
#define MESSAGE_ACK		0x80000000
#define MESSAGE_NACK		0x40000000

/* Bits that a read of the mailbox register clears */
#define READ_TO_CLEAR		(IGBVF_MAILBOX_PFSTS | IGBVF_MAILBOX_PFACK | IGBVF_MAILBOX_RSTD)

/* With a tag and the checksum */
#define USUAL_MAX_FRAME		1522

#define IVAR_VALID		0x80

#define SRRCTL_DROP_EN		0x80000000
#define SRRCTL_ONE_BUFFER	0x02000000
#define RXDCTL_THRESHOLDS	(16 | 8 << 8 | 1 << 16)
#define TXCTRL_WB_RO_EN		0x00000800

#define TXD_DATA		0x00300000
#define TXD_EOP			0x01000000
#define TXD_IFCS		0x02000000
#define TXD_RS			0x08000000
#define TXD_DEXT		0x20000000
#define TXD_PAYLOAD_SHIFT	14

#define STATUS_DD		0x01
#define STATUS_EOP		0x02
#define STATUS_VP		0x08

union rx_desc {
	struct {
		__le64 buffer;
		__le64 header;
	} read;
	struct {
		__le64 info;
		__le32 status;
		__le16 length;
		__le16 vlan;
	} done;
};

union tx_desc {
	struct {
		__le64 buffer;
		__le32 command;
		__le32 options;
	} read;
	struct {
		__le64 reserved;
		__le32 reserved2;
		__le32 status;
	} done;
};

static u64 register_offset(struct guest *guest, u32 reg)
{
	return guest->device->bars[0].info.offset + reg;
}

u32 guest_read(struct guest *guest, u32 reg)
{
	__le32 value;
	ssize_t ret;

	ret = pread(guest->device->fd, &value, sizeof(value), register_offset(guest, reg));
	VFIO_ASSERT_EQ(ret, sizeof(value), "read of register %#x: %m\n", reg);

	return le32toh(value);
}

void guest_write(struct guest *guest, u32 reg, u32 value)
{
	__le32 le = htole32(value);
	ssize_t ret;

	ret = pwrite(guest->device->fd, &le, sizeof(le), register_offset(guest, reg));
	VFIO_ASSERT_EQ(ret, sizeof(le), "write of register %#x: %m\n", reg);
}

static void *page_of(struct guest *guest, int page)
{
	return guest->memory->vaddr + page * GUEST_PAGE;
}

static u64 iova_of(struct guest *guest, int page)
{
	return guest->memory->iova + page * GUEST_PAGE;
}

static union rx_desc *rx_desc(struct guest *guest, u16 index)
{
	return (union rx_desc *)page_of(guest, GUEST_RX_RING_PAGE) + index;
}

static union tx_desc *tx_desc(struct guest *guest, u16 index)
{
	return (union tx_desc *)page_of(guest, GUEST_TX_RING_PAGE) + index;
}

static u16 next(u16 index)
{
	return (index + 1) % GUEST_RING_SIZE;
}

/* Order accesses to memory that the device accesses, too */
static void barrier_dma(void)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

/* Wait until the device has finished a descriptor */
static bool is_done(__le32 *status, int ms)
{
	for (;;) {
		if (le32toh(READ_ONCE(*status)) & STATUS_DD) {
			barrier_dma();
			return true;
		}
		if (ms-- <= 0)
			return false;
		usleep(1000);
	}
}

void guest_plug(struct vfio_pci_device *device)
{
	vfio_pci_cmd_set(device, PCI_COMMAND_MASTER);
	if (device->msi_eventfds[0] < 0)
		vfio_pci_msix_enable(device, 0, GUEST_VECTORS);
	else
		vfio_pci_msix_reenable(device, 0, GUEST_VECTORS);
}

/* Check whether one of the bits is or was set, and forget it */
static bool mailbox_has(struct guest *guest, u32 bits)
{
	u32 value = guest_read(guest, IGBVF_V2PMAILBOX) | guest->mailbox;

	guest->mailbox |= value & READ_TO_CLEAR;
	guest->mailbox &= ~bits;

	return value & bits;
}

static bool mailbox_wait(struct guest *guest, u32 bits, int ms)
{
	while (!mailbox_has(guest, bits)) {
		if (ms-- <= 0)
			return false;
		usleep(1000);
	}

	return true;
}

static bool mailbox_take(struct guest *guest)
{
	int tries;

	for (tries = 0; tries < 100; tries++) {
		guest_write(guest, IGBVF_V2PMAILBOX, IGBVF_MAILBOX_VFU);
		if (mailbox_has(guest, IGBVF_MAILBOX_VFU))
			return true;
		usleep(1000);
	}

	return false;
}

static bool post(struct guest *guest, const u32 *message, int words)
{
	int i;

	if (!mailbox_take(guest))
		return false;
	/* The message overwrites an older one of the PF */
	mailbox_has(guest, IGBVF_MAILBOX_PFACK | IGBVF_MAILBOX_PFSTS);
	for (i = 0; i < words; i++)
		guest_write(guest, IGBVF_VMBMEM(i), message[i]);
	guest_write(guest, IGBVF_V2PMAILBOX, IGBVF_MAILBOX_REQ);

	return true;
}

static int mailbox_try(struct guest *guest, u32 *message, int words)
{
	u32 type = message[0] & MESSAGE_TYPE;
	u32 reply[3];
	int i, tries;

	if (!post(guest, message, words) ||
	    !mailbox_wait(guest, IGBVF_MAILBOX_PFACK, 2000))
		return -ETIMEDOUT;

	/* The PF may also send a message of its own, such as a change of the link */
	for (tries = 0; tries < 3; tries++) {
		if (!mailbox_wait(guest, IGBVF_MAILBOX_PFSTS, 2000) || !mailbox_take(guest))
			return -ETIMEDOUT;
		for (i = 0; i < ARRAY_SIZE(reply); i++)
			reply[i] = guest_read(guest, IGBVF_VMBMEM(i));
		guest_write(guest, IGBVF_V2PMAILBOX, IGBVF_MAILBOX_ACK);
		if ((reply[0] & MESSAGE_TYPE) != type)
			continue;
		memcpy(message, reply, sizeof(reply));

		return reply[0] & MESSAGE_ACK ? 0 : -EPERM;
	}

	return -ETIMEDOUT;
}

int guest_mailbox(struct guest *guest, u32 *message, int words)
{
	u32 copy[IGBVF_MAILBOX_WORDS] = {};
	int ret, tries;

	VFIO_ASSERT_LE(words, IGBVF_MAILBOX_WORDS);
	/* A message of the PF may overwrite ours, so send it again */
	for (tries = 0; tries < 3; tries++) {
		memcpy(copy, message, words * sizeof(*message));
		ret = mailbox_try(guest, copy, words);
		if (ret != -ETIMEDOUT)
			break;
	}
	memcpy(message, copy, words * sizeof(*message));

	return ret;
}

static int send_mac(struct guest *guest, u32 info, const u8 *mac)
{
	u32 message[3] = { SET_MAC_ADDR | info };

	memcpy(&message[1], mac, sizeof(guest->mac));

	return guest_mailbox(guest, message, ARRAY_SIZE(message));
}

int guest_set_mac(struct guest *guest, const u8 *mac)
{
	return send_mac(guest, 0, mac);
}

int guest_add_filter(struct guest *guest, const u8 *mac)
{
	return send_mac(guest, ADD_FILTER, mac);
}

int guest_clear_filters(struct guest *guest)
{
	/* The PF refuses an invalid address, and ignores a valid one */
	return send_mac(guest, CLEAR_FILTERS, guest->mac);
}

int guest_set_multicast(struct guest *guest, const u8 *mac)
{
	u32 message[IGBVF_MAILBOX_WORDS] = { SET_MULTICAST | MESSAGE_INFO(1) };

	/* The hash of one address: the upper 12 bits of its last two bytes */
	message[1] = (mac[4] >> 4 | mac[5] << 4) & 0xfff;

	return guest_mailbox(guest, message, ARRAY_SIZE(message));
}

int guest_set_promisc(struct guest *guest, bool on)
{
	u32 message[1] = { SET_PROMISC | (on ? ALL_MULTICAST : 0) };

	return guest_mailbox(guest, message, ARRAY_SIZE(message));
}

int guest_set_vlan(struct guest *guest, u16 vlan, bool add)
{
	u32 message[2] = { SET_VLAN | MESSAGE_INFO((u32)add), vlan };

	return guest_mailbox(guest, message, ARRAY_SIZE(message));
}

int guest_set_max_frame(struct guest *guest, u32 size)
{
	u32 message[2] = { SET_LPE, size };

	return guest_mailbox(guest, message, ARRAY_SIZE(message));
}

bool guest_leave_reply(struct guest *guest, u32 size)
{
	u32 message[2] = { SET_LPE, size };
	int ms;

	if (!post(guest, message, ARRAY_SIZE(message)))
		return false;
	for (ms = 0; ms < 2000; ms++) {
		if (guest_read(guest, IGBVF_VMBMEM(0)) & MESSAGE_ACK)
			return true;
		usleep(1000);
	}

	return false;
}

static void reset_function(struct guest *guest)
{
	u32 message[3] = { VF_RESET };
	int ret, ms;

	guest_write(guest, IGBVF_VTCTRL, IGBVF_VTCTRL_RST);
	/* The PF may be in reset itself */
	for (ms = 0; guest_read(guest, IGBVF_V2PMAILBOX) & IGBVF_MAILBOX_RSTI; ms++) {
		VFIO_ASSERT_LT(ms, 10000, "the PF does not run, is its interface up?\n");
		usleep(1000);
	}
	guest->mailbox = 0;

	/* The PF refuses if the function has no MAC address yet; this is no error */
	ret = guest_mailbox(guest, message, 1);
	VFIO_ASSERT_TRUE(!ret || ret == -EPERM, "the PF does not answer a reset: %d\n", ret);
	ret = guest_set_mac(guest, guest->mac);
	VFIO_ASSERT_EQ(ret, 0, "the PF refuses the MAC address\n");
}

static void start_transmit(struct guest *guest)
{
	u64 ring = iova_of(guest, GUEST_TX_RING_PAGE);
	u32 control;

	memset(page_of(guest, GUEST_TX_RING_PAGE), 0, GUEST_PAGE);
	guest->tx_tail = 0;

	control = guest_read(guest, IGBVF_TXDCTL) & ~IGBVF_QUEUE_ENABLE;
	guest_write(guest, IGBVF_TXDCTL, control);
	guest_write(guest, IGBVF_TDLEN, GUEST_RING_SIZE * sizeof(union tx_desc));
	guest_write(guest, IGBVF_TDBAL, ring);
	guest_write(guest, IGBVF_TDBAH, ring >> 32);
	guest_write(guest, IGBVF_TDH, 0);
	guest_write(guest, IGBVF_TDT, 0);
	guest_write(guest, IGBVF_DCA_TXCTRL,
		    guest_read(guest, IGBVF_DCA_TXCTRL) & ~TXCTRL_WB_RO_EN);
	guest_write(guest, IGBVF_TXDCTL, control | IGBVF_QUEUE_ENABLE);
}

static void start_receive(struct guest *guest)
{
	u64 ring = iova_of(guest, GUEST_RX_RING_PAGE);

	memset(page_of(guest, GUEST_RX_RING_PAGE), 0, GUEST_PAGE);
	guest->rx_next = 0;
	guest->rx_tail = 0;

	guest_write(guest, IGBVF_RXDCTL, guest_read(guest, IGBVF_RXDCTL) & ~IGBVF_QUEUE_ENABLE);
	guest_write(guest, IGBVF_RDBAL, ring);
	guest_write(guest, IGBVF_RDBAH, ring >> 32);
	guest_write(guest, IGBVF_RDLEN, GUEST_RING_SIZE * sizeof(union rx_desc));
	guest_write(guest, IGBVF_RDH, 0);
	guest_write(guest, IGBVF_RDT, 0);
	/* The size of a buffer is in KiB */
	guest_write(guest, IGBVF_SRRCTL,
		    SRRCTL_DROP_EN | SRRCTL_ONE_BUFFER | GUEST_BUFFER_SIZE / 1024);
	guest_write(guest, IGBVF_RXDCTL, RXDCTL_THRESHOLDS | IGBVF_QUEUE_ENABLE);
	guest_refill(guest);
}

static void start_interrupts(struct guest *guest)
{
	u32 all = GENMASK(GUEST_VECTORS - 1, 0);
	int i;

	guest_write(guest, IGBVF_VTEIMC, all);
	guest_write(guest, IGBVF_VTEICR, all);
	for (i = 0; i < GUEST_VECTORS; i++)
		guest_write(guest, IGBVF_VTEITR(i), 0);
	guest_write(guest, IGBVF_VTIVAR0, (GUEST_RX_VECTOR | IVAR_VALID) |
		    (GUEST_TX_VECTOR | IVAR_VALID) << 8);
	guest_write(guest, IGBVF_VTIVAR_MISC, GUEST_OTHER_VECTOR | IVAR_VALID);
	guest_write(guest, IGBVF_VTEIAC, all);
	guest_write(guest, IGBVF_VTEIAM, all);
	guest_write(guest, IGBVF_VTEIMS, all);
}

void guest_init(struct guest *guest, struct vfio_pci_device *device, struct dma_region *memory)
{
	int ret;

	guest->device = device;
	guest->memory = memory;
	guest->rx_vlan = 0;
	VFIO_ASSERT_LE(GUEST_MEMORY_SIZE, memory->size);

	reset_function(guest);
	/* A reset keeps the maximum of the driver before */
	ret = guest_set_max_frame(guest, USUAL_MAX_FRAME);
	VFIO_ASSERT_EQ(ret, 0, "the PF refuses the size of a frame\n");
	start_transmit(guest);
	start_interrupts(guest);
	start_receive(guest);
}

void guest_move(struct guest *guest, struct vfio_pci_device *device)
{
	guest->device = device;
}

bool guest_send(struct guest *guest, const void *frame, size_t length)
{
	union tx_desc *desc = tx_desc(guest, guest->tx_tail);
	int page = GUEST_TX_PAGE(guest->tx_tail);

	VFIO_ASSERT_LE(length, GUEST_BUFFER_SIZE);
	memcpy(page_of(guest, page), frame, length);
	desc->read.buffer = htole64(iova_of(guest, page));
	desc->read.command = htole32(TXD_DATA | TXD_EOP | TXD_IFCS | TXD_RS | TXD_DEXT | length);
	desc->read.options = htole32(length << TXD_PAYLOAD_SHIFT);
	barrier_dma();
	guest->tx_tail = next(guest->tx_tail);
	guest_write(guest, IGBVF_TDT, guest->tx_tail);

	return is_done(&desc->done.status, 2000);
}

size_t guest_receive(struct guest *guest, void *frame, int ms)
{
	union rx_desc *desc = rx_desc(guest, guest->rx_next);
	u32 status;
	size_t length;

	/* The device cannot fill a buffer that it does not own */
	if (guest->rx_next == guest->rx_tail || !is_done(&desc->done.status, ms))
		return 0;

	status = le32toh(desc->done.status);
	length = le16toh(desc->done.length);
	VFIO_ASSERT_TRUE(status & STATUS_EOP, "a frame has two buffers\n");
	VFIO_ASSERT_LE(length, GUEST_BUFFER_SIZE);
	guest->rx_vlan = status & STATUS_VP ? le16toh(desc->done.vlan) & 0xfff : 0;
	memcpy(frame, page_of(guest, GUEST_RX_PAGE(guest->rx_next)), length);
	guest->rx_next = next(guest->rx_next);

	return length;
}

void guest_prepare_buffer(struct guest *guest)
{
	union rx_desc *desc = rx_desc(guest, guest->rx_tail);

	desc->read.header = 0;
	desc->read.buffer = htole64(iova_of(guest, GUEST_RX_PAGE(guest->rx_tail)));
	guest->rx_tail = next(guest->rx_tail);
}

void guest_refill(struct guest *guest)
{
	/* A full ring has one free descriptor, because equal indexes mean an empty ring */
	while (next(guest->rx_tail) != guest->rx_next)
		guest_prepare_buffer(guest);
	barrier_dma();
	guest_write(guest, IGBVF_RDT, guest->rx_tail);
}

bool guest_all_received(struct guest *guest, u16 nr)
{
	u16 last = (guest->rx_next + nr - 1) % GUEST_RING_SIZE;

	return is_done(&rx_desc(guest, last)->done.status, 0);
}

bool guest_device_owns(struct guest *guest, u16 index)
{
	u16 distance = (index - guest->rx_next + GUEST_RING_SIZE) % GUEST_RING_SIZE;
	u16 owned = (guest->rx_tail - guest->rx_next + GUEST_RING_SIZE) % GUEST_RING_SIZE;

	return distance < owned;
}

u64 guest_interrupts(struct guest *guest, int vector, int ms)
{
	struct pollfd fd = { .fd = guest->device->msi_eventfds[vector], .events = POLLIN };
	u64 count;

	if (poll(&fd, 1, ms) != 1)
		return 0;
	VFIO_ASSERT_EQ(read(fd.fd, &count, sizeof(count)), sizeof(count));

	return count;
}
