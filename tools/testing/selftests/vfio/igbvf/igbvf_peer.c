// SPDX-License-Identifier: GPL-2.0-only
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <net/ethernet.h>
#include <netpacket/packet.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "igbvf_peer.h"

#define MTU	3000

/* Two addresses, then the type, the number and the length */
#define TYPE	12
#define NUMBER	14
#define LENGTH	18
#define PAYLOAD	20

static void put16(u8 *to, u16 value)
{
	value = htons(value);
	memcpy(to, &value, sizeof(value));
}

static void put32(u8 *to, u32 value)
{
	value = htonl(value);
	memcpy(to, &value, sizeof(value));
}

static u8 byte_of(u32 number, size_t index)
{
	return number * 7 + index * 13;
}

void frame_make(struct frame *frame, const u8 *to, const u8 *from, u16 vlan, u32 number,
		size_t length)
{
	u8 *bytes = frame->bytes;
	size_t i;

	VFIO_ASSERT_GE(length, PEER_MIN_FRAME);
	VFIO_ASSERT_LE(length + 4, sizeof(frame->bytes));
	memcpy(bytes, to, ETH_ALEN);
	memcpy(bytes + ETH_ALEN, from, ETH_ALEN);
	frame->length = length;
	if (vlan) {
		put16(bytes + TYPE, ETHERTYPE_VLAN);
		put16(bytes + TYPE + 2, vlan);
		/* The rest of the frame moves by the size of the tag */
		bytes += 4;
		frame->length += 4;
	}
	put16(bytes + TYPE, PEER_ETHERTYPE);
	put32(bytes + NUMBER, number);
	put16(bytes + LENGTH, length);
	for (i = PAYLOAD; i < length; i++)
		bytes[i] = byte_of(number, i);
}

bool frame_is(const struct frame *frame, u32 number, size_t length, const char *receiver)
{
	u8 header[PAYLOAD - TYPE];
	size_t i;

	put16(header, PEER_ETHERTYPE);
	put32(header + NUMBER - TYPE, number);
	put16(header + LENGTH - TYPE, length);
	if (frame->length != length || memcmp(frame->bytes + TYPE, header, sizeof(header)))
		goto different;
	for (i = PAYLOAD; i < length; i++)
		if (frame->bytes[i] != byte_of(number, i))
			goto different;

	return true;

different:
	fprintf(stderr, "# %s expected frame %u of %zu bytes, and got %zu bytes:", receiver,
		number, length, frame->length);
	for (i = 0; i < frame->length && i < 32; i++)
		fprintf(stderr, " %02x", frame->bytes[i]);
	fprintf(stderr, "\n");

	return false;
}

bool peer_find(const char *bdf, char name[IFNAMSIZ])
{
	char path[128];
	struct dirent *entry;
	DIR *dir;

	*name = '\0';
	snprintf_assert(path, sizeof(path), "/sys/bus/pci/devices/%s/net", bdf);
	dir = opendir(path);
	if (!dir)
		return false;
	while ((entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			snprintf_assert(name, IFNAMSIZ, "%.*s", IFNAMSIZ - 1, entry->d_name);
	closedir(dir);

	return *name;
}

static void interface_ioctl(struct peer *peer, unsigned long request, struct ifreq *ifr)
{
	snprintf_assert(ifr->ifr_name, sizeof(ifr->ifr_name), "%s", peer->name);
	VFIO_ASSERT_EQ(ioctl(peer->fd, request, ifr), 0, "%s: %m\n", peer->name);
}

/* A change of the MTU resets the device, so do it only once */
static void bring_up(struct peer *peer)
{
	struct ifreq ifr = {};
	int ms;

	interface_ioctl(peer, SIOCGIFMTU, &ifr);
	if (ifr.ifr_mtu != MTU) {
		ifr.ifr_mtu = MTU;
		interface_ioctl(peer, SIOCSIFMTU, &ifr);
	}

	interface_ioctl(peer, SIOCGIFFLAGS, &ifr);
	if (!(ifr.ifr_flags & IFF_UP)) {
		ifr.ifr_flags |= IFF_UP;
		interface_ioctl(peer, SIOCSIFFLAGS, &ifr);
	}

	for (ms = 0;; ms += 10) {
		interface_ioctl(peer, SIOCGIFFLAGS, &ifr);
		if (ifr.ifr_flags & IFF_RUNNING)
			return;
		VFIO_ASSERT_LT(ms, 20000, "%s has no link\n", peer->name);
		usleep(10000);
	}
}

void peer_open(struct peer *peer, const char *bdf)
{
	struct sockaddr_ll address = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(PEER_ETHERTYPE),
	};
	struct packet_mreq promiscuous = { .mr_type = PACKET_MR_PROMISC };
	struct ifreq ifr = {};
	int ret;

	VFIO_ASSERT_TRUE(peer_find(bdf, peer->name), "%s has no network interface\n", bdf);
	/* Without a protocol, the socket receives nothing before bind() */
	peer->fd = socket(AF_PACKET, SOCK_RAW, 0);
	VFIO_ASSERT_GE(peer->fd, 0, "packet socket: %m\n");
	bring_up(peer);

	interface_ioctl(peer, SIOCGIFHWADDR, &ifr);
	memcpy(peer->mac, ifr.ifr_hwaddr.sa_data, sizeof(peer->mac));
	interface_ioctl(peer, SIOCGIFINDEX, &ifr);
	peer->index = ifr.ifr_ifindex;

	address.sll_ifindex = peer->index;
	ret = bind(peer->fd, (struct sockaddr *)&address, sizeof(address));
	VFIO_ASSERT_EQ(ret, 0, "%s: bind: %m\n", peer->name);
	promiscuous.mr_ifindex = peer->index;
	ret = setsockopt(peer->fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &promiscuous,
			 sizeof(promiscuous));
	VFIO_ASSERT_EQ(ret, 0, "%s: promiscuous mode: %m\n", peer->name);
}

void peer_close(struct peer *peer)
{
	close(peer->fd);
}

void peer_send(struct peer *peer, const struct frame *frame)
{
	ssize_t ret = send(peer->fd, frame->bytes, frame->length, 0);

	VFIO_ASSERT_EQ(ret, (ssize_t)frame->length, "%s: send: %m\n", peer->name);
}

bool peer_receive(struct peer *peer, struct frame *frame, int ms)
{
	struct pollfd fd = { .fd = peer->fd, .events = POLLIN };
	ssize_t ret;

	if (poll(&fd, 1, ms) != 1)
		return false;
	ret = recv(peer->fd, frame->bytes, sizeof(frame->bytes), 0);
	VFIO_ASSERT_GT(ret, 0, "%s: recv: %m\n", peer->name);
	frame->length = ret;

	return true;
}
