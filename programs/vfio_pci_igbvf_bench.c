// SPDX-License-Identifier: GPL-2.0-only
/*
 * Measure the price of a trapped tail: receive frames by a virtual function of QEMU's igb, and
 * give the buffers back by writes to the tail of the queue.
 *
 * A VMM writes the tail by a mapping or by pwrite(), as this program does.  The program does
 * not measure what a write of a guest also costs: the exit of the guest, and the VMM.
 *
 * See vfio_pci_region_bench.c for the clock and the option -d.
 */
#include <endian.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <sys/ioctl.h>
#include <sys/mman.h>

#include <linux/compiler.h>
#include <linux/types.h>
#include <linux/vfio.h>

#include <libvfio.h>

#include "vfio/igbvf/igbvf_guest.h"
#include "vfio/igbvf/igbvf_peer.h"

#include "bench.h"

#define MEMORY_IOVA	0x1000000

#define BATCH		16
#define ROUNDS		12
#define NR_SAMPLES	(ROUNDS * BATCH)

static const u8 guest_mac[] = { 0x02, 0x00, 0x5e, 0x10, 0x20, 0x30 };

static struct vfio_pci_device *device;
static struct guest guest;
static struct peer peer;
static u32 number;
/* The tail in a mapped page; NULL: use pwrite() */
static __le32 *tail;

static u64 frames[NR_SAMPLES], tails[NR_SAMPLES];

static u64 overhead(void)
{
	unsigned int i;
	u64 start;

	for (i = 0; i < NR_SAMPLES; i++) {
		start = timestamp();
		frames[i] = timestamp() - start;
	}
	sort_samples(frames, NR_SAMPLES);

	return frames[NR_SAMPLES / 2];
}

static void report(const char *name, u64 *samples, unsigned int nr, u64 none, u64 per,
		   const char *what)
{
	sort_samples(samples, nr);
	print_samples(name, samples, nr, none, per, what);
}

/* Send a batch of frames, and wait until they are in the ring */
static void fill_ring(void)
{
	struct frame frame;
	int i;

	for (i = 0; i < BATCH; i++) {
		frame_make(&frame, guest_mac, peer.mac, 0, number + i, PEER_MIN_FRAME);
		peer_send(&peer, &frame);
	}
	for (i = 0; !guest_all_received(&guest, BATCH); i++) {
		VFIO_ASSERT_LT(i, 5000, "the function does not receive the frames\n");
		usleep(1000);
	}
}

static void receive(struct frame *frame)
{
	frame->length = guest_receive(&guest, frame->bytes, 0);
	guest_prepare_buffer(&guest);
}

static void write_tail(void)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
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

/*
 * Write the tail once for a batch of frames.  Leave out the batches with which the ring
 * wraps, because half of them do in this small ring, and few in the ring of a real driver.
 */
static void bench_batches(void)
{
	static struct frame batch[BATCH];
	u64 none = overhead(), start;
	unsigned int i = 0, j;
	u16 before;

	while (i < ROUNDS) {
		fill_ring();
		before = guest.rx_tail;
		start = timestamp();
		for (j = 0; j < BATCH; j++)
			receive(&batch[j]);
		write_tail();
		frames[i] = timestamp() - start;
		i += before < guest.rx_tail;
		for (j = 0; j < BATCH; j++)
			check(&batch[j]);
	}
	report("vf_frame16", frames, ROUNDS, none, BATCH,
	       "receive a frame, and write the tail after 16 frames");
}

/* Log the memory that the device writes, as in a migration */
static void start_log(void)
{
	struct vfio_device_feature_dma_logging_range range = {
		.iova = MEMORY_IOVA,
		.length = GUEST_MEMORY_SIZE,
	};
	struct {
		struct vfio_device_feature feature;
		struct vfio_device_feature_dma_logging_control control;
	} start = {
		.feature.argsz = sizeof(start),
		.feature.flags = VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_DMA_LOGGING_START,
		.control.page_size = GUEST_PAGE,
		.control.num_ranges = 1,
		.control.ranges = (uintptr_t)&range,
	};

	VFIO_ASSERT_EQ(ioctl(device->fd, VFIO_DEVICE_FEATURE, &start), 0,
		       "the DMA log does not start: %m\n");
}

static void map_tail(bool trapped)
{
	u8 *page = mmap(NULL, GUEST_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, device->fd,
			device->bars[0].info.offset + IGBVF_RDT / GUEST_PAGE * GUEST_PAGE);

	if (trapped) {
		VFIO_ASSERT_EQ(page, MAP_FAILED, "-t: the tail can be mapped\n");
		return;
	}
	VFIO_ASSERT_NE(page, MAP_FAILED, "the tail cannot be mapped: %m\n");
	tail = (__le32 *)(page + IGBVF_RDT % GUEST_PAGE);
}

static void usage(const char *program)
{
	fprintf(stderr, "usage: %s [-d ticks] [-l] [-p] [-t] VF PEER\n"
		"-l  log what the device writes, as in a migration\n"
		"-p  write the tail by pwrite(), although it can be mapped\n"
		"-t  write the tail by pwrite(); fail if it can be mapped\n", program);
}

int main(int argc, char *argv[])
{
	struct dma_region memory = { .iova = MEMORY_IOVA, .size = GUEST_MEMORY_SIZE };
	bool logged = false, by_pwrite = false, trapped = false;
	struct iommu *iommu;
	int c;

	while ((c = getopt(argc, argv, "d:hlpt")) != -1) {
		switch (c) {
		case 'd':
			ticks = strtoul(optarg, NULL, 10);
			VFIO_ASSERT_GT(ticks, 0, "-d %s\n", optarg);
			break;
		case 'l':
			logged = true;
			break;
		case 'p':
			by_pwrite = true;
			break;
		case 't':
			trapped = true;
			break;
		default:
			usage(argv[0]);
			return c == 'h' ? KSFT_PASS : KSFT_FAIL;
		}
	}
	if (argc - optind != 2) {
		usage(argv[0]);
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
	if (!by_pwrite)
		map_tail(trapped);
	if (logged)
		start_log();
	isolate();
	bench_frames();
	bench_batches();

	peer_close(&peer);
	vfio_pci_device_cleanup(device);
	iommu_cleanup(iommu);

	return KSFT_PASS;
}
