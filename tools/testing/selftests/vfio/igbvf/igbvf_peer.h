/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The peer: a network interface of this kernel that sends frames to the guest and
 * receives its frames by a packet socket.
 */
#ifndef SELFTESTS_VFIO_IGBVF_PEER_H
#define SELFTESTS_VFIO_IGBVF_PEER_H

#include <net/if.h>

#include <linux/types.h>

#include <libvfio.h>

/* A type for local experiments; no protocol of the kernel uses it */
#define PEER_ETHERTYPE		0x88b5
#define PEER_FRAME_SIZE		2048
/* Without the checksum, which the devices add and remove */
#define PEER_MIN_FRAME		60

/* A frame with a number */
struct frame {
	u8 bytes[PEER_FRAME_SIZE];
	size_t length;
};

/*
 * Make a frame.  @vlan is its tag, or 0 for none.  @length is the length without a
 * tag.  The contents depend on @number and @length.
 */
void frame_make(struct frame *frame, const u8 *to, const u8 *from, u16 vlan, u32 number,
		size_t length);
/*
 * Check that a frame without a tag has this number and intact contents.  @receiver
 * is for the message that describes another frame.
 */
bool frame_is(const struct frame *frame, u32 number, size_t length, const char *receiver);

struct peer {
	int fd;
	int index;
	char name[IFNAMSIZ];
	u8 mac[6];
};

/* Find the network interface of a PCI device; return false if it has none */
bool peer_find(const char *bdf, char name[IFNAMSIZ]);
/* Bring the interface up, and wait for the link */
void peer_open(struct peer *peer, const char *bdf);
void peer_close(struct peer *peer);
void peer_send(struct peer *peer, const struct frame *frame);
/* Return false if no frame arrives within @ms */
bool peer_receive(struct peer *peer, struct frame *frame, int ms);

#endif
