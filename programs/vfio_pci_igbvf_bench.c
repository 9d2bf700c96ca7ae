// SPDX-License-Identifier: GPL-2.0-only
/*
 * Measure the price of trapped tails: receive frames by a virtual function of QEMU's igb,
 * and give the buffers back by writes to the tail of the queue.
 *
 * The program maps the page of this register.  If vfio-pci refuses, it uses pwrite().
 * A VMM does the same for its guest; in addition, a trapped write of the guest exits to the
 * VMM, which this program does not measure.
 *
 * See vfio_pci_region_bench.c for the clock and the option -d.
 */
#include <endian.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/mman.h>

#include <linux/compiler.h>
#include <linux/types.h>

#include <libvfio.h>

#include "vfio/igbvf/igbvf_guest.h"
#include "vfio/igbvf/igbvf_peer.h"

#include "bench.h"

#define MEMORY_IOVA	0x1000000

#define ROUNDS		12
/* Frames of a round; DPDK and igbvf also give back 16 buffers or more by one write */
#define BATCH		16
#define NR_SAMPLES	(ROUNDS * BATCH)

#define DESC_DONE	1

struct desc {
	__le64 buffer;
	__le64 status;
};

static const u8 guest_mac[] = { 0x02, 0x00, 0x5e, 0x10, 0x20, 0x30 };

/* -d: clock ticks per instruction */
static u64 ticks = 1;

static struct guest guest;
static struct peer peer;
static u32 number;
/* The tail in the mapped page, or NULL */
static __le32 *tail;

static u64 frames[NR_SAMPLES], tails[NR_SAMPLES];

static inline u64 timestamp(void)
{
	return __builtin_ia32_rdtsc();
}

static int compare_u64(const void *a, const void *b)
{
	u64 x = *(const u64 *)a, y = *(const u64 *)b;

	return x < y ? -1 : x > y;
}

static u64 median(u64 *samples, unsigned int nr)
{
	qsort(samples, nr, sizeof(*samples), compare_u64);

	return samples[nr / 2];
}

static u64 overhead(void)
{
	unsigned int i;
	u64 start;

	for (i = 0; i < NR_SAMPLES; i++) {
		start = timestamp();
		frames[i] = timestamp() - start;
	}

	return median(frames, NR_SAMPLES);
}

static void report(const char *name, u64 *samples, unsigned int nr, u64 none, unsigned int divisor,
		   const char *what)
{
	divisor *= ticks;
	median(samples, nr);
	printf("%s\t%lu\t%lu\t%lu\t%u\t%s\n", name, (samples[nr / 2] - none) / divisor,
	       (samples[0] - none) / divisor, (samples[nr * 9 / 10] - none) / divisor, nr, what);
}

static struct desc *desc_at(u16 index)
{
	return (struct desc *)(guest.memory->vaddr + GUEST_RX_RING_PAGE * GUEST_PAGE) + index;
}

static u16 next(u16 index, u16 by)
{
	return (index + by) % GUEST_RING_SIZE;
}

/* Send a batch of frames, and wait until the device has written them */
static void fill_ring(void)
{
	struct desc *last = desc_at(next(guest.rx_next, BATCH - 1));
	struct frame frame;
	int i;

	for (i = 0; i < BATCH; i++) {
		frame_make(&frame, guest_mac, peer.mac, 0, number + i, PEER_MIN_FRAME);
		peer_send(&peer, &frame);
	}
	for (i = 0; !(le64toh(READ_ONCE(last->status)) & DESC_DONE); i++) {
		VFIO_ASSERT_LT(i, 5000, "the function does not receive the frames\n");
		usleep(1000);
	}
}

/* What a driver does for a frame.  write_tail() gives the buffer to the device. */
static void receive(struct frame *frame)
{
	struct desc *desc = desc_at(guest.rx_tail);

	frame->length = guest_receive(&guest, frame->bytes, 0);
	desc->buffer = htole64(guest.memory->iova + GUEST_RX_PAGE(guest.rx_tail) * GUEST_PAGE);
	desc->status = 0;
	guest.rx_tail = next(guest.rx_tail, 1);
}

static void write_tail(void)
{
	if (tail)
		WRITE_ONCE(*tail, htole32(guest.rx_tail));
	else
		guest_write(&guest, IGBVF_RDT, guest.rx_tail);
}

static void check(struct frame *frame)
{
	VFIO_ASSERT_TRUE(frame_is(frame, number++, PEER_MIN_FRAME, "the function"));
}

/* Write the tail after each frame */
static void bench_frames(void)
{
	u64 none = overhead(), received, start;
	struct frame frame;
	unsigned int i;

	for (i = 0; i < NR_SAMPLES; i++) {
		if (i % BATCH == 0)
			fill_ring();
		start = timestamp();
		receive(&frame);
		received = timestamp();
		write_tail();
		tails[i] = timestamp() - received;
		frames[i] = received - start + tails[i];
		check(&frame);
	}
	report("vf_tail", tails, NR_SAMPLES, none, 1, "write the tail of a receive queue");
	report("vf_frame", frames, NR_SAMPLES, 2 * none, 1,
	       "receive a frame, and write the tail");
}

/* Write the tail once for a batch of frames */
static void bench_batches(void)
{
	static struct frame batch[BATCH];
	u64 none = overhead(), start;
	unsigned int i, j;

	for (i = 0; i < ROUNDS; i++) {
		fill_ring();
		start = timestamp();
		for (j = 0; j < BATCH; j++)
			receive(&batch[j]);
		write_tail();
		frames[i] = timestamp() - start;
		for (j = 0; j < BATCH; j++)
			check(&batch[j]);
	}
	report("vf_frame16", frames, ROUNDS, none, BATCH,
	       "receive a frame, and write the tail after 16 frames");
}

int main(int argc, char *argv[])
{
	struct dma_region memory = { .iova = MEMORY_IOVA, .size = GUEST_MEMORY_SIZE };
	bool trapped = false, by_pwrite = false;
	struct vfio_pci_device *device;
	struct iommu *iommu;
	void *page;
	int c;

	while ((c = getopt(argc, argv, "d:pth")) != -1) {
		switch (c) {
		case 'd':
			ticks = strtoul(optarg, NULL, 10);
			VFIO_ASSERT_GT(ticks, 0, "-d %s\n", optarg);
			break;
		case 'p':
			by_pwrite = true;
			break;
		case 't':
			trapped = true;
			break;
		default:
			argc = 0;
		}
	}
	if (argc - optind != 2) {
		fprintf(stderr, "usage: %s [-d ticks] [-p] [-t] VF PEER\n"
			"-p  write the tail by pwrite(), even if it can be mapped\n"
			"-t  fail if the tail can be mapped\n", argv[0]);
		return KSFT_FAIL;
	}

	memory.vaddr = mmap(NULL, memory.size, PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	VFIO_ASSERT_NE(memory.vaddr, MAP_FAILED);
	iommu = iommu_init(MODE_VFIO_TYPE1V2_IOMMU);
	device = vfio_pci_device_init(argv[optind], iommu);
	iommu_map(iommu, &memory);
	guest_plug(device);
	peer_open(&peer, argv[optind + 1]);
	memcpy(guest.mac, guest_mac, sizeof(guest_mac));
	guest_init(&guest, device, &memory);

	page = mmap(NULL, GUEST_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, device->fd,
		    device->bars[0].info.offset + (IGBVF_RDT & ~(GUEST_PAGE - 1)));
	VFIO_ASSERT_EQ(page == MAP_FAILED, trapped, "the page of the tail: %m\n");
	if (!trapped && !by_pwrite)
		tail = page + IGBVF_RDT % GUEST_PAGE;
	isolate();
	bench_frames();
	bench_batches();

	peer_close(&peer);
	vfio_pci_device_cleanup(device);
	iommu_cleanup(iommu);

	return KSFT_PASS;
}
