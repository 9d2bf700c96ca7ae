// SPDX-License-Identifier: GPL-2.0-only
/*
 * Measure the cost of the most frequent vfio-pci calls.
 *
 * The program times each operation many times and prints the median, which a
 * few interrupted samples do not change.  Results are in cycles.  Under
 * "qemu -icount shift=N" the time stamp counter advances by 2^N for each
 * instruction; pass 2^N as -d to get the exact number of instructions.
 *
 * The device is QEMU's edu, or a GPU with device memory in BAR4.  The BAR0 of edu
 * has registers in the first 256 bytes and ignores accesses to the rest.
 */
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/ioctl.h>
#include <sys/mman.h>

#include <linux/compiler.h>
#include <linux/pci_regs.h>
#include <linux/sizes.h>
#include <linux/types.h>
#include <linux/vfio.h>

#include <libvfio.h>

#include "bench.h"

#define EDU_VENDOR	0x1234
#define EDU_DEVICE	0x11e8
#define EDU_LIVENESS	0x04	/* reads the inverse of the last write */
#define EDU_UNUSED	0x1000	/* start of 4 KiB without a register */

#define NVIDIA_VENDOR	0x10de
#define MEMORY_BAR	4
#define MEMORY_SIZE	(48 * SZ_1M)

#define MAX_SAMPLES	1001

struct bench {
	struct vfio_pci_device *device;
	int zero_fd;
	u64 config;
	u64 bar0;
	u64 reg;
	u64 written;
	u64 block;
	u16 command;
	u32 word;
	struct vfio_region_info region_info;
	u8 *buf;
	/* The next address of run_fault(), and the distance to the one after it */
	u8 *next;
	u64 step;
};

struct op {
	const char *name;
	const char *what;
	/* Returns @expected on success */
	ssize_t (*run)(struct bench *b);
	ssize_t expected;
	unsigned int samples;
	/* Measure CPU time instead of elapsed time, see cpu_time() */
	bool sleeps;
};

/*
 * open() and close() may sleep, for example during a device reset.  Under
 * -icount, the clock jumps to the next timer while all CPUs are idle.  Elapsed
 * time includes these jumps; the CPU time of the thread does not.
 */
static u64 cpu_time(void)
{
	return ns(CLOCK_THREAD_CPUTIME_ID);
}

static ssize_t run_nothing(struct bench *b)
{
	return 0;
}

static ssize_t run_floor(struct bench *b)
{
	return pread(b->zero_fd, &b->word, 4, 0);
}

static ssize_t run_open(struct bench *b)
{
	int fd = ioctl(b->device->group_fd, VFIO_GROUP_GET_DEVICE_FD,
		       b->device->bdf);

	return close(fd);
}

static ssize_t run_region_info(struct bench *b)
{
	b->region_info.argsz = sizeof(b->region_info);
	b->region_info.index = VFIO_PCI_BAR0_REGION_INDEX;
	return ioctl(b->device->fd, VFIO_DEVICE_GET_REGION_INFO,
		     &b->region_info);
}

static ssize_t run_cfg_rd2(struct bench *b)
{
	return pread(b->device->fd, b->buf, 2, b->config + PCI_VENDOR_ID);
}

/* From 64 bytes on, vfio-pci copies registers in bulk */
static ssize_t run_cfg_rd64(struct bench *b)
{
	return pread(b->device->fd, b->buf, 64, b->config);
}

static ssize_t run_cfg_rd256(struct bench *b)
{
	return pread(b->device->fd, b->buf, 256, b->config);
}

static ssize_t run_cfg_wr2(struct bench *b)
{
	return pwrite(b->device->fd, &b->command, 2, b->config + PCI_COMMAND);
}

static ssize_t run_bar_rd4(struct bench *b)
{
	return pread(b->device->fd, &b->word, 4, b->bar0 + b->reg);
}

static ssize_t run_bar_wr4(struct bench *b)
{
	return pwrite(b->device->fd, &b->word, 4, b->bar0 + b->written);
}

static ssize_t run_bar_rd64(struct bench *b)
{
	return pread(b->device->fd, b->buf, 64, b->bar0 + EDU_UNUSED);
}

static ssize_t run_bar_wr64(struct bench *b)
{
	return pwrite(b->device->fd, b->buf, 64, b->bar0 + EDU_UNUSED);
}

static ssize_t run_bar_rd4096(struct bench *b)
{
	return pread(b->device->fd, b->buf, 4096, b->bar0 + b->block);
}

static ssize_t run_bar_wr4096(struct bench *b)
{
	return pwrite(b->device->fd, b->buf, 4096, b->bar0 + EDU_UNUSED);
}

static ssize_t run_memory_info(struct bench *b)
{
	b->region_info.argsz = sizeof(b->region_info);
	b->region_info.index = MEMORY_BAR;
	return ioctl(b->device->fd, VFIO_DEVICE_GET_REGION_INFO,
		     &b->region_info);
}

static ssize_t run_memory_rd4096(struct bench *b)
{
	return pread(b->device->fd, b->buf, 4096, b->device->bars[MEMORY_BAR].info.offset);
}

static ssize_t run_memory_wr4096(struct bench *b)
{
	return pwrite(b->device->fd, b->buf, 4096, b->device->bars[MEMORY_BAR].info.offset);
}

static ssize_t run_fault(struct bench *b)
{
	(void)READ_ONCE(*(u32 *)b->next);
	b->next += b->step;

	return 0;
}

static const struct op open_op = {
	"open", "VFIO_GROUP_GET_DEVICE_FD and close, CPU time",
	run_open, 0, 33, true
};

static const struct op ops[] = {
	{ "floor", "pread 4 bytes of /dev/zero", run_floor, 4, 1001 },
	{ "region_info", "VFIO_DEVICE_GET_REGION_INFO of BAR0",
	  run_region_info, 0, 1001 },
	{ "cfg_rd2", "pread 2 bytes of config space, vendor id",
	  run_cfg_rd2, 2, 1001 },
	{ "cfg_rd64", "pread 64 bytes of config space", run_cfg_rd64, 64, 401 },
	{ "cfg_rd256", "pread 256 bytes of config space",
	  run_cfg_rd256, 256, 201 },
	{ "cfg_wr2", "pwrite 2 bytes of config space, command",
	  run_cfg_wr2, 2, 1001 },
	{ "bar_rd4", "pread 4 bytes of BAR0", run_bar_rd4, 4, 1001 },
	{ "bar_wr4", "pwrite 4 bytes of BAR0", run_bar_wr4, 4, 1001 },
	{ "bar_rd64", "pread 64 bytes of BAR0", run_bar_rd64, 64, 401 },
	{ "bar_wr64", "pwrite 64 bytes of BAR0", run_bar_wr64, 64, 401 },
	{ "bar_rd4096", "pread 4096 bytes of BAR0", run_bar_rd4096, 4096, 101 },
	{ "bar_wr4096", "pwrite 4096 bytes of BAR0", run_bar_wr4096, 4096, 101 },
};

static const struct op memory_ops[] = {
	{ "memory_info", "VFIO_DEVICE_GET_REGION_INFO of device memory",
	  run_memory_info, 0, 1001 },
	{ "memory_rd4096", "pread 4096 bytes of device memory",
	  run_memory_rd4096, 4096, 401 },
	{ "memory_wr4096", "pwrite 4096 bytes of device memory",
	  run_memory_wr4096, 4096, 401 },
};

static const struct op fault_4k = {
	"memory_fault4k", "page fault of 4 KiB of device memory", run_fault, 0, 1001
};

static const struct op fault_2m = {
	"memory_fault2m", "page fault of 2 MiB of device memory", run_fault, 0, 23
};

/* -o: measure only this metric */
static const char *only;

/* Measure @op and sort the samples */
static void measure(struct bench *b, const struct op *op, u64 *samples)
{
	unsigned int i;
	ssize_t ret;
	u64 start;

	for (i = 0; i < op->samples; i++) {
		if (op->sleeps) {
			/* Let the device runtime suspend */
			usleep(5000);
			start = cpu_time();
			ret = op->run(b);
			samples[i] = cpu_time() - start;
		} else {
			start = timestamp();
			ret = op->run(b);
			samples[i] = timestamp() - start;
		}
		VFIO_ASSERT_EQ(ret, op->expected, "%s failed\n", op->name);
	}

	sort_samples(samples, op->samples);
}

/* Print the cost of an operation minus the overhead of measuring */
static void report(struct bench *b, const struct op *op)
{
	static u64 samples[MAX_SAMPLES];
	unsigned int n = op->samples;
	struct op nothing = *op;
	u64 overhead;

	if (only && strcmp(only, op->name))
		return;

	nothing.run = run_nothing;
	nothing.expected = 0;
	measure(b, &nothing, samples);
	overhead = samples[n / 2];
	measure(b, op, samples);

	print_samples(op->name, samples, n, overhead, 1, op->what);
}

/* Measure faults of @step bytes at an address that is @misaligned to huge pages */
static void report_faults(struct bench *b, const struct op *op, u64 step, u64 misaligned)
{
	u8 *space = mmap_reserve(MEMORY_SIZE + SZ_2M, SZ_2M, 0);
	u8 *map = mmap(space + misaligned, MEMORY_SIZE, PROT_READ, MAP_SHARED | MAP_FIXED,
		       b->device->fd, b->device->bars[MEMORY_BAR].info.offset);

	VFIO_ASSERT_NE(map, MAP_FAILED);
	b->next = map;
	b->step = step;
	report(b, op);
	munmap(space, MEMORY_SIZE + SZ_2M);
}

static void report_memory(struct bench *b)
{
	unsigned int i;

	/* Wait until the device is ready */
	VFIO_ASSERT_EQ(run_memory_rd4096(b), 4096);
	for (i = 0; i < ARRAY_SIZE(memory_ops); i++)
		report(b, &memory_ops[i]);
	report_faults(b, &fault_4k, SZ_4K, SZ_4K);
	report_faults(b, &fault_2m, SZ_2M, 0);
}

int main(int argc, char *argv[])
{
	const char *mode = MODE_VFIO_TYPE1V2_IOMMU;
	/* Like malloc(): large buffers cross a page boundary, small ones do not */
	static u8 pages[2 * 4096] __aligned(4096);
	struct bench b = {
		.buf = pages + 64,
		.reg = EDU_LIVENESS,
		.written = EDU_LIVENESS,
		.block = EDU_UNUSED,
	};
	u64 reg = EDU_LIVENESS;
	struct iommu *iommu;
	const char *bdf;
	u32 word = 0x12345678;
	int i, c;

	while ((c = getopt(argc, argv, "b:d:m:o:r:w:h")) != -1) {
		switch (c) {
		case 'b':
			b.block = strtoul(optarg, NULL, 0);
			break;
		case 'd':
			ticks = strtoul(optarg, NULL, 10);
			VFIO_ASSERT_GT(ticks, 0, "-d %s\n", optarg);
			break;
		case 'm':
			mode = optarg;
			break;
		case 'o':
			only = optarg;
			break;
		case 'r':
			reg = strtoul(optarg, NULL, 0);
			break;
		case 'w':
			b.written = strtoul(optarg, NULL, 0);
			break;
		default:
			fprintf(stderr,
				"usage: %s [-b block] [-d ticks] [-m mode] [-o metric] [-r register] [-w register] BDF\n",
				argv[0]);
			return c == 'h' ? KSFT_PASS : KSFT_FAIL;
		}
	}

	bdf = vfio_selftests_get_bdf(&argc, argv);
	isolate();
	printf("metric\tmedian\tmin\tp90\tsamples\twhat\n");

	iommu = iommu_init(mode);
	VFIO_ASSERT_NOT_NULL(iommu->mode->container_path,
			     "-m %s: this mode has no group interface, use a type1 mode\n", mode);

	/* Measure open first: it needs the group and a closed device */
	b.device = vfio_pci_device_alloc(bdf, iommu);
	vfio_pci_group_setup(b.device, bdf);
	vfio_container_set_iommu(b.device);
	report(&b, &open_op);
	VFIO_ASSERT_EQ(close(b.device->group_fd), 0);
	vfio_pci_device_free(b.device);

	b.device = vfio_pci_device_init(bdf, iommu);
	if (vfio_pci_config_readw(b.device, PCI_VENDOR_ID) == NVIDIA_VENDOR) {
		vfio_pci_cmd_set(b.device, PCI_COMMAND_MEMORY);
		report_memory(&b);
		return KSFT_PASS;
	}
	VFIO_ASSERT_TRUE(vfio_pci_device_match(b.device, EDU_VENDOR, EDU_DEVICE),
			 "%s is not an edu device\n", bdf);
	b.config = b.device->config_space.offset;
	b.bar0 = b.device->bars[0].info.offset;
	b.zero_fd = open("/dev/zero", O_RDONLY);
	VFIO_ASSERT_GE(b.zero_fd, 0);

	vfio_pci_cmd_set(b.device, PCI_COMMAND_MEMORY);
	b.command = vfio_pci_config_readw(b.device, PCI_COMMAND);

	/* Check that accesses reach the device */
	VFIO_ASSERT_EQ(pwrite(b.device->fd, &word, 4, b.bar0 + EDU_LIVENESS), 4);
	VFIO_ASSERT_EQ(run_bar_rd4(&b), 4);
	VFIO_ASSERT_EQ(b.word, ~word, "wrong value in the liveness register\n");

	b.reg = reg;
	for (i = 0; i < ARRAY_SIZE(ops); i++)
		report(&b, &ops[i]);

	close(b.zero_fd);
	vfio_pci_device_cleanup(b.device);
	iommu_cleanup(iommu);
	return KSFT_PASS;
}
