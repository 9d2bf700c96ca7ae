// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests of a virtual function of the Intel 82576, and of the vendor driver that
 * migrates it.  The test is the guest: it drives the function, and exchanges frames
 * with a peer.  Both functions use one IOMMU map, so the memory of the guest needs no
 * migration.
 *
 * Needs two functions of different 82576 devices, bound to vfio-pci, and a network
 * interface of a third one.  All three must be on one network, and the interfaces
 * of the physical functions must be up.  Tests that migrate need a vendor driver.
 */
#include <endian.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <sys/mman.h>

#include <linux/bits.h>
#include <linux/kernel.h>
#include <linux/sizes.h>
#include <linux/vfio.h>

#include <libvfio.h>

#include "igbvf/igbvf_guest.h"
#include "igbvf/igbvf_peer.h"
#include "migration/migration.h"
#include "migration/stream_util.h"
#include "vendor/need.h"

#include "kselftest_harness.h"

/* Above 4 GiB, so that the upper halves of addresses count */
#define MEMORY_IOVA	(SZ_4G + SZ_16M)

#define VLAN		100
#define OTHER_VLAN	101
/* A frame with a tag and a checksum must fit, too */
#define MAX_FRAME	2000
#define LARGE_FRAME	1900
#define FRAME		100
/* The largest usual frame */
#define ETH_FRAME	1514

/* An address such as 0000:01:10.0 */
#define BDF_SIZE	sizeof("0000:00:00.0")
#define WAIT_MS		2000
#define HANG_SECONDS	30

#define MAILBOX_FLAGS	(IGBVF_MAILBOX_PFSTS | IGBVF_MAILBOX_PFACK)
#define NO_MIGRATION	"needs a vendor driver that migrates the function"
#define NO_LOG		"needs a vendor driver that logs the DMA writes of the function"

static const u8 guest_mac[] = { 0x02, 0x00, 0x5e, 0x10, 0x20, 0x30 };
static const u8 other_mac[] = { 0x02, 0x00, 0x5e, 0x10, 0x20, 0x31 };
static const u8 other_guest_mac[] = { 0x02, 0x00, 0x5e, 0x10, 0x20, 0x40 };
static const u8 wrong_mac[] = { 0x02, 0x00, 0x5e, 0x10, 0x20, 0x32 };
static const u8 multicast_mac[] = { 0x01, 0x00, 0x5e, 0x11, 0x22, 0x33 };
static const u8 other_multicast_mac[] = { 0x01, 0x00, 0x5e, 0x11, 0x62, 0x37 };

/* VF A, VF B and the peer */
static char **bdfs;

struct bench {
	struct iommu *iommu;
	struct vfio_pci_device *a;
	struct vfio_pci_device *b;
	struct dma_region memory;
	struct guest guest;
	struct peer peer;
	/* Number of the next frame */
	u32 number;
};

/* Allocate memory, and start the guest on device A */
static void bench_start(struct bench *bench, const u8 *mac)
{
	struct dma_region *memory = &bench->memory;

	memory->iova = MEMORY_IOVA;
	memory->size = GUEST_MEMORY_SIZE;
	memory->vaddr = mmap(NULL, memory->size, PROT_READ | PROT_WRITE,
			     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	VFIO_ASSERT_NE(memory->vaddr, MAP_FAILED);
	iommu_map(bench->iommu, memory);

	guest_plug(bench->a);
	memcpy(bench->guest.mac, mac, sizeof(bench->guest.mac));
	guest_init(&bench->guest, bench->a, memory);
}

static void bench_stop(struct bench *bench)
{
	vfio_pci_device_cleanup(bench->a);
	iommu_cleanup(bench->iommu);
	munmap(bench->memory.vaddr, bench->memory.size);
}

static void bench_open(struct bench *bench, const char *iommu_mode)
{
	bench->iommu = iommu_init(iommu_mode);
	bench->a = vfio_pci_device_init(bdfs[0], bench->iommu);
	bench->b = vfio_pci_device_init(bdfs[1], bench->iommu);
	guest_plug(bench->b);
	peer_open(&bench->peer, bdfs[2]);
	bench_start(bench, guest_mac);
}

static void bench_close(struct bench *bench)
{
	peer_close(&bench->peer);
	vfio_pci_device_cleanup(bench->b);
	bench_stop(bench);
}

/* Reset both functions, and start the guest on one of them */
static void restart(struct bench *bench, struct vfio_pci_device *device)
{
	vfio_pci_device_reset(bench->a);
	vfio_pci_device_reset(bench->b);
	guest_plug(bench->a);
	guest_plug(bench->b);
	guest_init(&bench->guest, device, &bench->memory);
}

/* Send a frame to the guest; return its number */
static u32 send_to_guest(struct bench *bench, const u8 *mac, u16 vlan, size_t length)
{
	struct frame frame;

	frame_make(&frame, mac, bench->peer.mac, vlan, bench->number, length);
	peer_send(&bench->peer, &frame);

	return bench->number++;
}

/* The next frame in the ring of the guest must have this number */
static bool guest_gets(struct bench *bench, u32 number, size_t length)
{
	struct frame frame;

	frame.length = guest_receive(&bench->guest, frame.bytes, WAIT_MS);

	return frame_is(&frame, number, length, "the guest");
}

static bool send_to_peer(struct bench *bench, size_t length)
{
	struct frame frame;
	u32 number = bench->number++;

	frame_make(&frame, bench->peer.mac, bench->guest.mac, 0, number, length);
	if (!guest_send(&bench->guest, frame.bytes, frame.length)) {
		fprintf(stderr, "# the device did not send frame %u\n", number);
		return false;
	}
	if (!peer_receive(&bench->peer, &frame, WAIT_MS))
		frame.length = 0;

	return frame_is(&frame, number, length, "the peer");
}

/* Exchange frames of all usual sizes in both directions; return how many succeed */
static int exchange(struct bench *bench, int count)
{
	size_t length;
	int i;

	for (i = 0; i < count; i++) {
		length = PEER_MIN_FRAME + bench->number * 37 % (ETH_FRAME - PEER_MIN_FRAME + 1);
		if (!guest_gets(bench, send_to_guest(bench, bench->guest.mac, 0, length), length) ||
		    !send_to_peer(bench, length))
			break;
		/* As drivers do, give buffers back in groups */
		if (i % 8 == 7)
			guest_refill(&bench->guest);
	}
	guest_refill(&bench->guest);

	return i;
}

/*
 * Send a frame that the device must not receive, then one that it must receive.
 * Frames do not overtake, so the first one is lost if the second one is there.
 */
static bool filters(struct bench *bench, const u8 *bad_mac, u16 bad_vlan, size_t bad_length,
		    const u8 *mac, u16 vlan, size_t length)
{
	bool ok;

	send_to_guest(bench, bad_mac, bad_vlan, bad_length);
	ok = guest_gets(bench, send_to_guest(bench, mac, vlan, length), length);
	guest_refill(&bench->guest);

	return ok && bench->guest.rx_vlan == vlan;
}

/* Find another function of the same device, bound to vfio-pci */
static bool second_vf(const char *bdf, char other[BDF_SIZE])
{
	char path[64], to[PATH_MAX];
	ssize_t length;
	int i;

	for (i = 0; i < 2; i++) {
		snprintf_assert(path, sizeof(path), "/sys/bus/pci/devices/%s/physfn/virtfn%d",
				bdf, i);
		length = readlink(path, to, sizeof(to) - 1);
		if (length < BDF_SIZE - 1)
			continue;
		to[length] = '\0';
		memcpy(other, to + length - (BDF_SIZE - 1), BDF_SIZE);
		snprintf_assert(path, sizeof(path), "/sys/bus/pci/drivers/vfio-pci/%s", other);
		if (strcmp(other, bdf) && !access(path, F_OK))
			return true;
	}

	return false;
}

static bool has_migration(struct bench *bench)
{
	struct vfio_device_feature_migration flags = {};

	return !device_feature(bench->a->fd, VFIO_DEVICE_FEATURE_GET |
			       VFIO_DEVICE_FEATURE_MIGRATION, &flags, sizeof(flags)) &&
	       !device_feature(bench->b->fd, VFIO_DEVICE_FEATURE_GET |
			       VFIO_DEVICE_FEATURE_MIGRATION, &flags, sizeof(flags));
}

/* Move the guest from its device to another one; return 0 or an errno */
static int migrate(struct bench *bench, struct vfio_pci_device *to)
{
	struct vfio_pci_device *from = bench->guest.device;
	struct bytes bytes = {};
	int i, ret;

	save_state(from->fd, &bytes);
	ret = load_state(to->fd, &bytes);
	free_bytes(&bytes);
	if (ret)
		return ret;

	guest_move(&bench->guest, to);
	/* The driver may have caused interrupts while it loaded; they do not count */
	for (i = 0; i < GUEST_VECTORS; i++)
		guest_interrupts(&bench->guest, i, 0);
	ret = set_state(to->fd, STATE(RUNNING), NULL);

	/* Afterwards, the source can be a destination */
	return ret ?: set_state(from->fd, STATE(STOP), NULL);
}

/* Save the state of a device that may refuse; return 0 or an errno */
static int try_save(int fd, struct bytes *bytes)
{
	int data_fd, ret;

	ret = set_state(fd, STATE(STOP_COPY), &data_fd);
	if (ret)
		return ret;
	ret = read_all(data_fd, bytes, SZ_64K);
	close(data_fd);

	return ret;
}

FIXTURE(igbvf) {
	struct bench bench;
};

FIXTURE_VARIANT(igbvf) {
	const char *iommu_mode;
};

#define FIXTURE_VARIANT_ADD_IOMMU_MODE(mode) FIXTURE_VARIANT_IOMMU_MODE(igbvf, mode)

FIXTURE_VARIANT_ADD_ALL_IOMMU_MODES();

FIXTURE_SETUP(igbvf)
{
	bench_open(&self->bench, variant->iommu_mode);
}

FIXTURE_TEARDOWN(igbvf)
{
	bench_close(&self->bench);
}

TEST_F_TIMEOUT(igbvf, vf_exchanges_packets, 60)
{
	struct bench *bench = &self->bench;

	ASSERT_EQ(100, exchange(bench, 100));
	restart(bench, bench->b);
	ASSERT_EQ(100, exchange(bench, 100));
}

TEST_F_TIMEOUT(igbvf, vf_receives_only_frames_of_its_filters, 60)
{
	struct bench *bench = &self->bench;
	struct guest *guest = &bench->guest;

	/* At first, it receives only untagged frames of a normal size to its address */
	ASSERT_TRUE(filters(bench, other_mac, 0, FRAME, guest_mac, 0, FRAME));
	ASSERT_TRUE(filters(bench, multicast_mac, 0, FRAME, guest_mac, 0, FRAME));
	ASSERT_TRUE(filters(bench, guest_mac, VLAN, FRAME, guest_mac, 0, FRAME));
	ASSERT_TRUE(filters(bench, guest_mac, 0, LARGE_FRAME, guest_mac, 0, FRAME));

	ASSERT_EQ(0, guest_set_multicast(guest, multicast_mac));
	ASSERT_TRUE(filters(bench, other_multicast_mac, 0, FRAME, multicast_mac, 0, FRAME));
	ASSERT_EQ(0, guest_set_vlan(guest, VLAN, true));
	ASSERT_TRUE(filters(bench, guest_mac, OTHER_VLAN, FRAME, guest_mac, VLAN, FRAME));
	ASSERT_EQ(0, guest_set_max_frame(guest, MAX_FRAME));
	ASSERT_TRUE(filters(bench, other_mac, 0, FRAME, guest_mac, 0, LARGE_FRAME));
}

TEST_F(igbvf, received_frame_raises_an_interrupt)
{
	struct bench *bench = &self->bench;
	struct guest *guest = &bench->guest;
	int i;

	guest_interrupts(guest, GUEST_RX_VECTOR, 0);
	for (i = 0; i < 3; i++) {
		send_to_guest(bench, guest_mac, 0, FRAME);
		ASSERT_LE(1, guest_interrupts(guest, GUEST_RX_VECTOR, WAIT_MS));
		ASSERT_EQ(0, guest_interrupts(guest, GUEST_RX_VECTOR, 100));
	}
	guest_interrupts(guest, GUEST_TX_VECTOR, 0);
	ASSERT_TRUE(send_to_peer(bench, FRAME));
	ASSERT_LE(1, guest_interrupts(guest, GUEST_TX_VECTOR, WAIT_MS));
}

TEST_F_TIMEOUT(igbvf, traffic_continues_on_the_destination, 120)
{
	struct bench *bench = &self->bench;
	struct guest *guest = &bench->guest;
	u32 first;
	int i, trip;

	if (!has_migration(bench))
		SKIP(return, NO_MIGRATION);

	for (trip = 0; trip < 10; trip++) {
		ASSERT_EQ(trip ? 10 : 100, exchange(bench, trip ? 10 : 100));
		/* These frames are in the ring, and the guest takes them only later */
		first = bench->number;
		for (i = 0; i < 3; i++)
			send_to_guest(bench, guest_mac, 0, FRAME);
		ASSERT_LE(1, guest_interrupts(guest, GUEST_RX_VECTOR, WAIT_MS));
		for (i = 0; i < WAIT_MS; i++) {
			if (guest_read(guest, IGBVF_RDH) == (guest->rx_next + 3) % GUEST_RING_SIZE)
				break;
			usleep(1000);
		}
		ASSERT_GT(WAIT_MS, i);

		ASSERT_EQ(0, migrate(bench, trip % 2 ? bench->a : bench->b));

		/* No descriptor is used twice or skipped */
		ASSERT_EQ((guest->rx_next + 3) % GUEST_RING_SIZE, guest_read(guest, IGBVF_RDH));
		ASSERT_EQ(guest->rx_tail, guest_read(guest, IGBVF_RDT));
		ASSERT_EQ(guest->tx_tail, guest_read(guest, IGBVF_TDH));
		ASSERT_EQ(guest->tx_tail, guest_read(guest, IGBVF_TDT));
		for (i = 0; i < 3; i++)
			ASSERT_TRUE(guest_gets(bench, first + i, FRAME));
	}
	ASSERT_EQ(100, exchange(bench, 100));
}

TEST_F_TIMEOUT(igbvf, pf_state_moves, 60)
{
	struct bench *bench = &self->bench;
	struct guest *guest = &bench->guest;
	struct vfio_pci_device *from;
	int trip;

	if (!has_migration(bench))
		SKIP(return, NO_MIGRATION);

	/* A reset keeps the maximum frame.  Start the guest on B, to set it there. */
	restart(bench, bench->b);
	restart(bench, bench->a);
	ASSERT_EQ(0, guest_set_multicast(guest, multicast_mac));
	ASSERT_EQ(0, guest_set_vlan(guest, VLAN, true));
	ASSERT_EQ(0, guest_set_max_frame(guest, MAX_FRAME));
	for (trip = 0; trip < 2; trip++) {
		from = guest->device;
		ASSERT_EQ(0, migrate(bench, trip ? bench->a : bench->b));
		/* A source that still runs would write the frames to the same memory */
		vfio_pci_device_reset(from);
		guest_plug(from);
		ASSERT_TRUE(filters(bench, other_mac, 0, FRAME, guest_mac, 0, FRAME));
		ASSERT_TRUE(filters(bench, other_multicast_mac, 0, FRAME, multicast_mac, 0,
				    FRAME));
		ASSERT_TRUE(filters(bench, guest_mac, OTHER_VLAN, FRAME, guest_mac, VLAN, FRAME));
		ASSERT_TRUE(filters(bench, other_mac, 0, FRAME, guest_mac, 0, LARGE_FRAME));
	}

	/* The PF of the destination still answers messages */
	ASSERT_EQ(0, guest_set_mac(guest, other_mac));
	ASSERT_TRUE(filters(bench, guest_mac, 0, FRAME, other_mac, 0, FRAME));
}

/* Change the devices more often than the PF has room for filters */
#define MANY_TRIPS	44

TEST_F_TIMEOUT(igbvf, mac_filters_move, 480)
{
	struct bench *bench = &self->bench;
	struct guest *guest = &bench->guest;
	int trip;

	if (!has_migration(bench))
		SKIP(return, NO_MIGRATION);

	ASSERT_EQ(0, guest_add_filter(guest, other_mac));
	/* A reset keeps the filter, and a driver adds it again */
	guest_init(guest, bench->a, &bench->memory);
	ASSERT_TRUE(filters(bench, wrong_mac, 0, FRAME, other_mac, 0, FRAME));
	ASSERT_EQ(0, guest_add_filter(guest, other_mac));
	/* QEMU has no such mode, but the PF of the destination must accept it */
	ASSERT_EQ(0, guest_set_promisc(guest, true));
	for (trip = 0; trip < MANY_TRIPS; trip++) {
		ASSERT_EQ(0, migrate(bench, trip % 2 ? bench->a : bench->b)) {
			TH_LOG("trip %d", trip);
		}
		ASSERT_TRUE(filters(bench, wrong_mac, 0, FRAME, other_mac, 0, FRAME));
	}

	ASSERT_EQ(0, guest_set_promisc(guest, false));
	ASSERT_EQ(0, guest_clear_filters(guest));
	for (trip = 0; trip < 2; trip++) {
		ASSERT_TRUE(filters(bench, other_mac, 0, FRAME, guest_mac, 0, FRAME));
		/* The PF of the destination still has the filter of an earlier trip */
		ASSERT_EQ(0, migrate(bench, trip ? bench->a : bench->b));
	}
	ASSERT_TRUE(filters(bench, other_mac, 0, FRAME, guest_mac, 0, FRAME));
}

/* Let the administrator set the MAC address of a function, or take it back */
static int set_admin_mac(const char *bdf, const char *mac)
{
	char command[PATH_MAX];

	snprintf_assert(command, sizeof(command),
			"set -e; cd /sys/bus/pci/devices/%s/physfn\n"
			"for vf in virtfn*; do\n"
			"  [ \"$(basename \"$(readlink \"$vf\")\")\" != %s ] ||\n"
			"    ip link set dev \"$(ls net)\" vf \"${vf#virtfn}\" mac %s\n"
			"done", bdf, bdf, mac);

	return system(command);
}

TEST_F_TIMEOUT(igbvf, pf_refuses_another_mac, 60)
{
	struct bench *bench = &self->bench;
	int ret;

	if (!has_migration(bench))
		SKIP(return, NO_MIGRATION);

	ASSERT_EQ(20, exchange(bench, 20));
	ASSERT_EQ(0, set_admin_mac(bdfs[1], "02:00:5e:10:20:31"));
	ret = migrate(bench, bench->b);
	ASSERT_EQ(0, set_admin_mac(bdfs[1], "00:00:00:00:00:00"));
	ASSERT_EQ(EPERM, ret);

	/* The guest goes on, and can move later */
	ASSERT_EQ(0, set_state(bench->a->fd, STATE(RUNNING), NULL));
	ASSERT_EQ(20, exchange(bench, 20));
	vfio_pci_device_reset(bench->b);
	guest_plug(bench->b);
	ASSERT_EQ(0, migrate(bench, bench->b));
	ASSERT_EQ(20, exchange(bench, 20));
}

/* QEMU's functions have a bit for memory decode, and a guest may clear it */
TEST_F_TIMEOUT(igbvf, memory_decode_may_be_off, 60)
{
	struct bench *bench = &self->bench;
	struct vfio_pci_device *from, *to;
	int trip;

	if (!has_migration(bench))
		SKIP(return, NO_MIGRATION);

	for (trip = 0; trip < 2; trip++) {
		from = trip ? bench->b : bench->a;
		to = trip ? bench->a : bench->b;
		ASSERT_EQ(20, exchange(bench, 20));
		vfio_pci_cmd_clear(from, PCI_COMMAND_MEMORY);
		vfio_pci_cmd_clear(to, PCI_COMMAND_MEMORY);
		ASSERT_EQ(0, migrate(bench, to));
		ASSERT_EQ(0, vfio_pci_config_readw(to, PCI_COMMAND) & PCI_COMMAND_MEMORY);
		vfio_pci_cmd_set(from, PCI_COMMAND_MEMORY);
		vfio_pci_cmd_set(to, PCI_COMMAND_MEMORY);
		ASSERT_EQ(20, exchange(bench, 20));
	}
}

TEST_F(igbvf, pending_interrupt_arrives_on_the_destination)
{
	struct bench *bench = &self->bench;
	struct guest *guest = &bench->guest;
	u32 number;

	if (!has_migration(bench))
		SKIP(return, NO_MIGRATION);

	guest_interrupts(guest, GUEST_RX_VECTOR, 0);
	number = send_to_guest(bench, guest_mac, 0, FRAME);
	/* The guest does not handle this interrupt */
	ASSERT_LE(1, guest_interrupts(guest, GUEST_RX_VECTOR, WAIT_MS));

	ASSERT_EQ(0, migrate(bench, bench->b));
	ASSERT_LE(1, guest_interrupts(guest, GUEST_RX_VECTOR, WAIT_MS));
	ASSERT_TRUE(guest_gets(bench, number, FRAME));

	/* Later interrupts arrive, too */
	guest_interrupts(guest, GUEST_RX_VECTOR, 100);
	number = send_to_guest(bench, guest_mac, 0, FRAME);
	ASSERT_LE(1, guest_interrupts(guest, GUEST_RX_VECTOR, WAIT_MS));
	ASSERT_TRUE(guest_gets(bench, number, FRAME));
}

/* Without need, it makes igbvf check its link */
TEST_F(igbvf, mailbox_interrupt_arrives_only_with_an_unread_flag)
{
	struct bench *bench = &self->bench;
	struct guest *guest = &bench->guest;
	u32 flags;

	if (!has_migration(bench))
		SKIP(return, NO_MIGRATION);

	ASSERT_EQ(0, guest_read(guest, IGBVF_V2PMAILBOX) & MAILBOX_FLAGS);
	ASSERT_EQ(0, migrate(bench, bench->b));
	ASSERT_LE(1, guest_interrupts(guest, GUEST_RX_VECTOR, WAIT_MS));
	ASSERT_EQ(0, guest_interrupts(guest, GUEST_OTHER_VECTOR, 100));

	ASSERT_TRUE(guest_leave_reply(guest, MAX_FRAME));
	ASSERT_EQ(0, migrate(bench, bench->a));
	ASSERT_LE(1, guest_interrupts(guest, GUEST_OTHER_VECTOR, WAIT_MS));
	flags = guest_read(guest, IGBVF_V2PMAILBOX);
	ASSERT_EQ(MAILBOX_FLAGS, flags & MAILBOX_FLAGS);
}

static const u32 statistics[] = { IGBVF_VFGPRC, IGBVF_VFGPTC, IGBVF_VFGORC, IGBVF_VFGOTC };

static void read_statistics(struct guest *guest, u32 *values)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(statistics); i++)
		values[i] = guest_read(guest, statistics[i]);
}

TEST_F_TIMEOUT(igbvf, statistics_never_decrease, 60)
{
	struct bench *bench = &self->bench;
	u32 before[ARRAY_SIZE(statistics)], after[ARRAY_SIZE(statistics)];
	int i, trip;

	if (!has_migration(bench))
		SKIP(return, NO_MIGRATION);

	for (trip = 0; trip < 4; trip++) {
		ASSERT_EQ(20, exchange(bench, 20));
		read_statistics(&bench->guest, before);
		ASSERT_EQ(0, migrate(bench, trip % 2 ? bench->a : bench->b));
		read_statistics(&bench->guest, after);
		/* The counters may wrap.  A decrease would look like a huge increase. */
		for (i = 0; i < ARRAY_SIZE(statistics); i++) {
			ASSERT_LE(0, (s32)(after[i] - before[i])) {
				TH_LOG("register %#x: %u, then %u", statistics[i], before[i],
				       after[i]);
			}
		}

		ASSERT_EQ(5, exchange(bench, 5));
		read_statistics(&bench->guest, before);
		ASSERT_LE(5, before[0] - after[0]);
		ASSERT_LE(5, before[1] - after[1]);
		ASSERT_LE(5 * PEER_MIN_FRAME, before[2] - after[2]);
		ASSERT_LE(5 * PEER_MIN_FRAME, before[3] - after[3]);
	}
}

TEST_F_TIMEOUT(igbvf, stopped_device_receives_nothing, 60)
{
	static const u32 states[] = { STATE(RUNNING_P2P), STATE(STOP), STATE(STOP_COPY) };
	struct bench *bench = &self->bench;
	struct frame frame;
	int fd = bench->a->fd, i;

	if (!has_migration(bench))
		SKIP(return, NO_MIGRATION);

	for (i = 0; i < ARRAY_SIZE(states); i++) {
		if (states[i] == STATE(RUNNING_P2P) && !(get_flags(fd) & VFIO_MIGRATION_P2P))
			continue;
		ASSERT_EQ(20, exchange(bench, 20));
		ASSERT_EQ(0, set_state(fd, states[i], NULL));
		send_to_guest(bench, guest_mac, 0, FRAME);
		ASSERT_EQ(0, guest_receive(&bench->guest, frame.bytes, 100));
		ASSERT_EQ(0, set_state(fd, STATE(RUNNING), NULL));
		/* The frame is lost, but the traffic goes on */
		ASSERT_EQ(20, exchange(bench, 20));
	}
}

TEST_F_TIMEOUT(igbvf, cancelled_migration_keeps_the_source, 60)
{
	struct bench *bench = &self->bench;
	int fd = bench->a->fd, data_fd, i;
	u8 part[10];

	if (!has_migration(bench))
		SKIP(return, NO_MIGRATION);

	for (i = 0; i < 3; i++) {
		ASSERT_EQ(20, exchange(bench, 20));
		ASSERT_EQ(0, set_state(fd, STATE(STOP_COPY), &data_fd));
		ASSERT_EQ(sizeof(part), read(data_fd, part, sizeof(part)));
		ASSERT_EQ(0, set_state(fd, STATE(RUNNING), NULL));
		close(data_fd);
	}
	ASSERT_EQ(20, exchange(bench, 20));
	ASSERT_EQ(0, migrate(bench, bench->b));
	ASSERT_EQ(20, exchange(bench, 20));
}

#define OUTSIDE		0x1234

static const struct garbage {
	const char *what;
	struct {
		u32 reg;
		u32 value;
	} writes[8];
} garbage[] = {
	{ "rings outside of the memory", {
		{ IGBVF_RDBAH, OUTSIDE }, { IGBVF_TDBAH, OUTSIDE },
		{ IGBVF_RDT, 20 }, { IGBVF_TDT, 20 } } },
	{ "rings without descriptors", {
		{ IGBVF_RDLEN, 0 }, { IGBVF_TDLEN, 0 }, { IGBVF_RDT, 20 }, { IGBVF_TDT, 20 } } },
	{ "rings larger than the memory", {
		{ IGBVF_RDLEN, ~0U }, { IGBVF_TDLEN, ~0U },
		{ IGBVF_RDT, 0xffff }, { IGBVF_TDT, 300 } } },
	{ "tails past the end", {
		{ IGBVF_RDT, 0xffff }, { IGBVF_TDT, 0xffff } } },
	{ "heads past the end", {
		{ IGBVF_RDH, 0xffff }, { IGBVF_TDH, 0xffff }, { IGBVF_TDT, 3 } } },
	{ "unknown message", {
		{ IGBVF_V2PMAILBOX, IGBVF_MAILBOX_VFU }, { IGBVF_VMBMEM(0), 0x00ffbeef },
		{ IGBVF_VMBMEM(1), ~0U }, { IGBVF_VMBMEM(15), 0xa5a5a5a5 },
		{ IGBVF_V2PMAILBOX, IGBVF_MAILBOX_REQ } } },
	{ "message without an end", {
		{ IGBVF_V2PMAILBOX, IGBVF_MAILBOX_VFU }, { IGBVF_VMBMEM(0), 0x00ffbeef } } },
	{ "requests without a message", {
		{ IGBVF_VMBMEM(0), ~0U }, { IGBVF_V2PMAILBOX, ~0U },
		{ IGBVF_V2PMAILBOX, ~0U }, { IGBVF_V2PMAILBOX, ~0U } } },
};

/* Write garbage, and send frames that the device would write by it */
static void put_garbage(struct bench *bench, const struct garbage *garbage)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(garbage->writes); i++)
		if (garbage->writes[i].reg)
			guest_write(&bench->guest, garbage->writes[i].reg,
				    garbage->writes[i].value);
	for (i = 0; i < 3; i++)
		send_to_guest(bench, guest_mac, 0, FRAME);
	usleep(10000);
}

/*
 * Reset both functions, and check that a new guest works.  QEMU keeps a packet that is
 * sent only in part, even over a reset.  The next frame ends it, and may be lost.
 */
static bool works_after_reset(struct bench *bench, struct vfio_pci_device *device)
{
	struct frame frame;

	restart(bench, device);
	frame_make(&frame, bench->peer.mac, guest_mac, 0, bench->number++, FRAME);
	guest_send(&bench->guest, frame.bytes, frame.length);
	/* With a wrong head, the device sends frames of the old ring again */
	while (peer_receive(&bench->peer, &frame, 100))
		;

	return exchange(bench, 4) == 4;
}

TEST_F_TIMEOUT(igbvf, device_works_after_garbage_and_reset, 120)
{
	struct bench *bench = &self->bench;
	int i;

	for (i = 0; i < ARRAY_SIZE(garbage); i++) {
		put_garbage(bench, &garbage[i]);
		ASSERT_TRUE(works_after_reset(bench, bench->a)) {
			TH_LOG("after %s", garbage[i].what);
		}
	}
}

/* Check that another guest works; the garbage may have sent frames to the peer */
static bool other_guest_works(struct bench *other)
{
	struct frame frame;

	while (peer_receive(&other->peer, &frame, 100))
		;

	return exchange(other, 4) == 4;
}

TEST_F_TIMEOUT(igbvf, garbage_does_not_reach_another_vf, 240)
{
	struct bench *bench = &self->bench;
	struct bench other = { .peer = bench->peer, .number = 1000000 };
	struct bytes bytes = {};
	char bdf[BDF_SIZE];
	int i;

	if (!second_vf(bdfs[0], bdf))
		SKIP(return, "needs a second function of the same device, bound to vfio-pci");

	other.iommu = iommu_init(variant->iommu_mode);
	other.a = vfio_pci_device_init(bdf, other.iommu);
	bench_start(&other, other_guest_mac);
	for (i = 0; i < ARRAY_SIZE(garbage); i++) {
		put_garbage(bench, &garbage[i]);
		ASSERT_TRUE(other_guest_works(&other)) {
			TH_LOG("after %s", garbage[i].what);
		}
		if (has_migration(bench)) {
			try_save(bench->a->fd, &bytes);
			free_bytes(&bytes);
			ASSERT_TRUE(other_guest_works(&other)) {
				TH_LOG("save after %s", garbage[i].what);
			}
		}
		ASSERT_TRUE(works_after_reset(bench, bench->a));
		ASSERT_TRUE(other_guest_works(&other));
	}
	bench_stop(&other);
}

TEST_F_TIMEOUT(igbvf, garbage_does_not_hang_a_migration, 240)
{
	struct bench *bench = &self->bench;
	int i, ret;

	if (!has_migration(bench))
		SKIP(return, NO_MIGRATION);

	for (i = 0; i < ARRAY_SIZE(garbage); i++) {
		struct bytes bytes = {};
		time_t begin;

		put_garbage(bench, &garbage[i]);
		/* Each step may fail, but it must end */
		begin = time(NULL);
		ret = try_save(bench->a->fd, &bytes);
		if (!ret)
			ret = load_state(bench->b->fd, &bytes);
		if (!ret)
			ret = set_state(bench->b->fd, STATE(RUNNING), NULL);
		ASSERT_GT(HANG_SECONDS, time(NULL) - begin) {
			TH_LOG("%s", garbage[i].what);
		}
		TH_LOG("%s: %s", garbage[i].what, ret ? strerror(ret) : "migrated");
		free_bytes(&bytes);

		ASSERT_TRUE(works_after_reset(bench, bench->b)) {
			TH_LOG("B after %s", garbage[i].what);
		}
		ASSERT_TRUE(works_after_reset(bench, bench->a)) {
			TH_LOG("A after %s", garbage[i].what);
		}
	}
}

struct head_writer {
	struct guest *guest;
	bool stop;
};

/* A guest that moves the receive queue while userspace saves the device */
static void *write_heads(void *data)
{
	struct head_writer *writer = data;
	unsigned int seed = 1;

	while (!__atomic_load_n(&writer->stop, __ATOMIC_RELAXED)) {
		guest_write(writer->guest, IGBVF_RDH, rand_r(&seed) % GUEST_RING_SIZE);
		guest_write(writer->guest, IGBVF_RDT, rand_r(&seed) % GUEST_RING_SIZE);
	}

	return NULL;
}

TEST_F_TIMEOUT(igbvf, registers_may_change_during_a_save, 120)
{
	struct bench *bench = &self->bench;
	struct head_writer writer = { .guest = &bench->guest };
	struct bytes bytes = {};
	pthread_t thread;
	int i;

	if (!has_migration(bench))
		SKIP(return, NO_MIGRATION);

	ASSERT_EQ(0, pthread_create(&thread, NULL, write_heads, &writer));
	for (i = 0; i < 300; i++) {
		bytes.size = 0;
		ASSERT_EQ(0, try_save(bench->a->fd, &bytes));
		ASSERT_EQ(0, set_state(bench->a->fd, STATE(RUNNING), NULL));
	}
	__atomic_store_n(&writer.stop, true, __ATOMIC_RELAXED);
	ASSERT_EQ(0, pthread_join(thread, NULL));
	free_bytes(&bytes);
	ASSERT_TRUE(works_after_reset(bench, bench->a));
}

/* Return 0 or an errno */
static int start_log(struct bench *bench)
{
	struct vfio_device_feature_dma_logging_range range = {
		.iova = MEMORY_IOVA,
		.length = GUEST_MEMORY_SIZE,
	};
	struct vfio_device_feature_dma_logging_control control = {
		.page_size = GUEST_PAGE,
		.num_ranges = 1,
		.ranges = (uintptr_t)&range,
	};

	return device_feature(bench->a->fd, VFIO_DEVICE_FEATURE_SET |
			      VFIO_DEVICE_FEATURE_DMA_LOGGING_START, &control, sizeof(control));
}

struct pages {
	u64 bits[GUEST_PAGES / 64];
};

static bool has_page(const struct pages *pages, int page)
{
	return pages->bits[page / 64] >> page % 64 & 1;
}

static struct pages report_log(struct bench *bench)
{
	struct pages pages = {};
	struct vfio_device_feature_dma_logging_report report = {
		.iova = MEMORY_IOVA,
		.length = GUEST_MEMORY_SIZE,
		.page_size = GUEST_PAGE,
		.bitmap = (uintptr_t)pages.bits,
	};
	int ret;

	ret = device_feature(bench->a->fd, VFIO_DEVICE_FEATURE_GET |
			     VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT, &report, sizeof(report));
	VFIO_ASSERT_EQ(ret, 0);

	return pages;
}

/* Without traffic, only these pages may be reported */
static bool may_be_reported(struct guest *guest, int page)
{
	if (page == GUEST_RX_RING_PAGE || page == GUEST_TX_RING_PAGE)
		return true;
	if (page < GUEST_RX_PAGE(0) || page >= GUEST_RX_PAGE(GUEST_RING_SIZE))
		return false;

	return guest_device_owns(guest, page - GUEST_RX_PAGE(0));
}

TEST_F_TIMEOUT(igbvf, dma_log_reports_received_buffers, 60)
{
	struct bench *bench = &self->bench;
	struct guest *guest = &bench->guest;
	int first, page, i, round;
	struct pages pages;
	u32 number;

	if (!has_migration(bench))
		SKIP(return, NO_MIGRATION);
	if (device_feature(bench->a->fd, VFIO_DEVICE_FEATURE_PROBE | VFIO_DEVICE_FEATURE_SET |
			   VFIO_DEVICE_FEATURE_DMA_LOGGING_START, NULL, 0))
		SKIP(return, NO_LOG);

	/* The ring is not at its start, and buffers were handed over before the log starts */
	ASSERT_EQ(20, exchange(bench, 20));
	ASSERT_EQ(0, start_log(bench));

	/* In the rounds, the ring wraps */
	for (round = 0; round < 4; round++) {
		first = guest->rx_next;
		for (i = 0; i < 12; i++) {
			number = send_to_guest(bench, guest_mac, 0, FRAME);
			ASSERT_TRUE(guest_gets(bench, number, FRAME));
		}
		ASSERT_TRUE(send_to_peer(bench, FRAME));

		pages = report_log(bench);
		ASSERT_TRUE(has_page(&pages, GUEST_RX_RING_PAGE));
		ASSERT_TRUE(has_page(&pages, GUEST_TX_RING_PAGE));
		for (i = 0; i < 12; i++) {
			page = GUEST_RX_PAGE((first + i) % GUEST_RING_SIZE);
			ASSERT_TRUE(has_page(&pages, page)) {
				TH_LOG("round %d: page %d of frame %d", round, page, i);
			}
		}

		/* A driver may report a used buffer once more, but not for ever */
		report_log(bench);
		pages = report_log(bench);
		for (page = 0; page < GUEST_PAGES; page++) {
			if (may_be_reported(guest, page))
				continue;
			ASSERT_FALSE(has_page(&pages, page)) {
				TH_LOG("round %d: page %d", round, page);
			}
		}
		guest_refill(guest);
	}

	ASSERT_EQ(0, device_feature(bench->a->fd, VFIO_DEVICE_FEATURE_SET |
				    VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP, NULL, 0));
	ASSERT_EQ(20, exchange(bench, 20));
}

/* One IOMMU mode is enough for many states */
FIXTURE(igbvf_stream) {
	struct bench bench;
};

FIXTURE_SETUP(igbvf_stream)
{
	bench_open(&self->bench, default_iommu_mode);
}

FIXTURE_TEARDOWN(igbvf_stream)
{
	bench_close(&self->bench);
}

/* Number of streams; STREAMS in the environment changes it */
static int nr_streams(void)
{
	const char *text = getenv("STREAMS");

	return text ? atoi(text) : 1000;
}

/* Change some bytes of the state, and correct the checksums, as an attacker can */
static void forge(struct bytes *bytes, const struct record *record)
{
	u8 *state = (u8 *)(record->head + 1);
	int i;

	for (i = rand() % 4; i >= 0; i--)
		state[rand() % le32toh(record->head->size)] = rand() % 3 ? rand() : 0xff;
	seal(bytes);
}

TEST_F_TIMEOUT(igbvf_stream, forged_state_is_refused_or_harmless, 1800)
{
	struct bench *bench = &self->bench;
	int i, ret, fd = bench->b->fd, accepted = 0;
	struct bytes bytes = {}, forged;
	struct record records[32];

	if (!has_migration(bench))
		SKIP(return, NO_MIGRATION);

	srand(1);
	ASSERT_EQ(20, exchange(bench, 20));
	save_state(bench->a->fd, &bytes);
	forged = copy_bytes(&bytes);
	for (i = 0; i < nr_streams(); i++) {
		memcpy(forged.data, bytes.data, bytes.size);
		ASSERT_EQ(2, find_records(&forged, records));
		forge(&forged, &records[0]);
		ret = load_state(fd, &forged);
		if (!ret)
			ret = set_state(fd, STATE(RUNNING), NULL);
		accepted += !ret;
		if (ret)
			vfio_pci_device_reset(bench->b);
		ASSERT_EQ(STATE(RUNNING), get_state(fd)) {
			TH_LOG("stream %d", i);
		}
	}
	TH_LOG("%d streams, %d accepted", i, accepted);
	free_bytes(&forged);
	free_bytes(&bytes);

	/* Afterwards both devices work, and migrate */
	ASSERT_TRUE(works_after_reset(bench, bench->b));
	ASSERT_TRUE(works_after_reset(bench, bench->a));
	ASSERT_EQ(0, migrate(bench, bench->b));
	ASSERT_EQ(20, exchange(bench, 20));
}

static void need_vf(const char *bdf)
{
	char path[64];

	/* The ids in the config space of a function are invalid, but not those in sysfs */
	if (device_id(bdf, "vendor") != 0x8086 || device_id(bdf, "device") != 0x10ca)
		ksft_exit_skip("%s is not a virtual function of an 82576\n", bdf);
	snprintf_assert(path, sizeof(path), "/sys/bus/pci/drivers/vfio-pci/%s", bdf);
	need_file(path, "a function that is bound to vfio-pci");
}

int main(int argc, char *argv[])
{
	char name[IFNAMSIZ];
	int nr;

	bdfs = need_bdfs(&argc, argv, 3, "two functions of 82576 devices, and a network device",
			 &nr);
	need_vf(bdfs[0]);
	need_vf(bdfs[1]);
	if (!peer_find(bdfs[2], name))
		ksft_exit_skip("%s has no network interface\n", bdfs[2]);

	return test_harness_run(argc, argv);
}
