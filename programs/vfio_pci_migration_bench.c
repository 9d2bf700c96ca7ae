// SPDX-License-Identifier: GPL-2.0-only
/*
 * Benchmark for the transfer of migration data.
 *
 * The state comes from vfio_pci_testdrv_migration.  Its option cheap skips
 * computing and comparing the state, so the benchmark measures vfio-pci itself.
 * All results except mig_first_byte are for 64 KiB.  The reference is a read of a
 * memfd.
 *
 * See vfio_pci_region_bench.c for the clocks and the option -d.
 */
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/ioctl.h>
#include <sys/mman.h>

#include <linux/sizes.h>
#include <linux/types.h>
#include <linux/vfio.h>

#include <libvfio.h>

#include "bench.h"

#define CHUNK		SZ_64K
/* Bytes of one sample: several windows of the region */
#define SAMPLE		SZ_1M
#define NR_SAMPLES	15
/* Measured bytes; the stream is a little larger */
#define STREAM		(NR_SAMPLES * SAMPLE)
#define STATE		(STREAM + 2 * SAMPLE)

/* Size of the header before the records; each record fills a window */
#define HEADER		80

#define V1_FIELD(name)	offsetof(struct vfio_device_migration_info, name)

static u64 samples[NR_SAMPLES];
static u8 *stream;
static size_t stream_size;

static const char *bdf;
static struct iommu *iommu;
static struct vfio_pci_device *device;
/* The migration region, and the size of its data window */
static struct vfio_region_info region;
static u64 window_size;

static void report(const char *name, const char *what, u64 divisor)
{
	sort_samples(samples, NR_SAMPLES);
	print_samples(name, samples, NR_SAMPLES, 0, divisor, what);
}

static void open_device(void)
{
	iommu = iommu_init(MODE_VFIO_TYPE1V2_IOMMU);
	device = vfio_pci_device_init(bdf, iommu);
}

static void close_device(void)
{
	vfio_pci_device_cleanup(device);
	iommu_cleanup(iommu);
}

/* Set a state; return the data file, if there is one */
static int set_state(enum vfio_device_mig_state state)
{
	u8 buf[sizeof(struct vfio_device_feature) +
	       sizeof(struct vfio_device_feature_mig_state)]
		__aligned(8) = {};
	struct vfio_device_feature *feature = (void *)buf;
	struct vfio_device_feature_mig_state *mig = (void *)feature->data;

	feature->argsz = sizeof(buf);
	feature->flags = VFIO_DEVICE_FEATURE_SET |
			 VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE;
	mig->device_state = state;
	VFIO_ASSERT_EQ(ioctl(device->fd, VFIO_DEVICE_FEATURE, feature), 0,
		       "state %d\n", state);

	return mig->data_fd;
}

/* Time reads of CHUNK bytes */
static void time_reads(int fd, u8 *buf, bool keep)
{
	unsigned int i, j;
	u64 start;

	for (i = 0; i < NR_SAMPLES; i++) {
		start = timestamp();
		for (j = 0; j < SAMPLE / CHUNK; j++) {
			VFIO_ASSERT_EQ(read(fd, buf, CHUNK), CHUNK);
			if (keep)
				buf += CHUNK;
		}
		samples[i] = timestamp() - start;
	}
}

static void bench_memfd(void)
{
	int fd = memfd_create("state", 0);

	VFIO_ASSERT_GE(fd, 0);
	VFIO_ASSERT_EQ(write(fd, stream, STREAM), STREAM);
	VFIO_ASSERT_EQ(lseek(fd, 0, SEEK_SET), 0);
	time_reads(fd, stream, true);
	report("memfd_rd64k", "read 64 KiB from a memfd", SAMPLE / CHUNK);
	close(fd);
}

/* Time from a running device to the first byte of its state */
static void bench_first_byte(void)
{
	unsigned int i;
	u64 start;
	u8 byte;
	int fd;

	open_device();
	for (i = 0; i < NR_SAMPLES; i++) {
		start = timestamp();
		fd = set_state(VFIO_DEVICE_STATE_STOP_COPY);
		VFIO_ASSERT_EQ(read(fd, &byte, 1), 1);
		samples[i] = timestamp() - start;
		set_state(VFIO_DEVICE_STATE_RUNNING);
		close(fd);
	}
	report("mig_first_byte", "from running to the first byte of the state", 1);
	close_device();
}

static void bench_fd(void)
{
	unsigned int i, j;
	ssize_t ret;
	u64 start;
	u8 *at;
	int fd;

	open_device();
	fd = set_state(VFIO_DEVICE_STATE_STOP_COPY);
	time_reads(fd, stream, true);
	report("mig_save_fd", "read 64 KiB from a data file", SAMPLE / CHUNK);

	stream_size = STREAM;
	while ((ret = read(fd, stream + stream_size, CHUNK)) > 0)
		stream_size += ret;
	VFIO_ASSERT_EQ(ret, 0);
	close(fd);

	fd = set_state(VFIO_DEVICE_STATE_RESUMING);
	at = stream;
	for (i = 0; i < NR_SAMPLES; i++) {
		start = timestamp();
		for (j = 0; j < SAMPLE / CHUNK; j++, at += CHUNK)
			VFIO_ASSERT_EQ(write(fd, at, CHUNK), CHUNK);
		samples[i] = timestamp() - start;
	}
	report("mig_load_fd", "write 64 KiB to a data file", SAMPLE / CHUNK);
	while (at < stream + stream_size) {
		ret = write(fd, at, stream + stream_size - at);
		VFIO_ASSERT_GT(ret, 0);
		at += ret;
	}
	/* Check that the measured data is valid */
	set_state(VFIO_DEVICE_STATE_RUNNING);
	close(fd);
	close_device();
}

static u64 v1_read(size_t offset, size_t size)
{
	u64 val = 0;

	VFIO_ASSERT_EQ(pread(device->fd, &val, size, region.offset + offset),
		       size);
	return val;
}

static void v1_write(size_t offset, size_t size, u64 val)
{
	VFIO_ASSERT_EQ(pwrite(device->fd, &val, size, region.offset + offset),
		       size);
}

static void v1_set_state(u32 state)
{
	v1_write(V1_FIELD(device_state), sizeof(u32), state);
}

static void v1_open(void)
{
	unsigned int i;

	open_device();
	for (i = VFIO_PCI_NUM_REGIONS; i < device->info.num_regions; i++) {
		u8 buf[1024] __aligned(8) = {};
		struct vfio_region_info *info = (void *)buf;
		struct vfio_region_info_cap_type *type;

		info->argsz = sizeof(buf);
		info->index = i;
		VFIO_ASSERT_EQ(ioctl(device->fd, VFIO_DEVICE_GET_REGION_INFO,
				     info), 0);
		/* The region has a type and a sparse mmap capability */
		type = (void *)(buf + info->cap_offset);
		while (type->header.id != VFIO_REGION_INFO_CAP_TYPE &&
		       type->header.next)
			type = (void *)(buf + type->header.next);
		if (type->header.id == VFIO_REGION_INFO_CAP_TYPE &&
		    type->type == VFIO_REGION_TYPE_MIGRATION_DEPRECATED) {
			region = *info;
			window_size = region.size - getpagesize();
			return;
		}
	}
	VFIO_ASSERT_TRUE(false, "the device has no migration region\n");
}

/* Request data from the region; return its size, or 0 at the end */
static size_t v1_next(void)
{
	if (!v1_read(V1_FIELD(pending_bytes), sizeof(u64)))
		return 0;
	VFIO_ASSERT_EQ(v1_read(V1_FIELD(data_offset), sizeof(u64)),
		       getpagesize());

	return v1_read(V1_FIELD(data_size), sizeof(u64));
}

static void *v1_map(void)
{
	void *window = mmap(NULL, window_size, PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_POPULATE, device->fd,
			    region.offset + getpagesize());

	VFIO_ASSERT_TRUE(window != MAP_FAILED, "mmap\n");
	return window;
}

static void bench_v1_save(bool map)
{
	unsigned int per_sample, i, j;
	void *window = NULL;
	size_t size;
	u64 start;

	v1_open();
	per_sample = SAMPLE / window_size;
	if (map)
		window = v1_map();
	v1_set_state(VFIO_DEVICE_STATE_V1_SAVING);
	stream_size = v1_next();
	VFIO_ASSERT_EQ(stream_size, HEADER);
	VFIO_ASSERT_EQ(pread(device->fd, stream, stream_size,
			     region.offset + getpagesize()), stream_size);

	for (i = 0; i < NR_SAMPLES; i++) {
		start = timestamp();
		for (j = 0; j < per_sample; j++) {
			size = v1_next();
			VFIO_ASSERT_EQ(size, window_size);
			/* A mapped window needs no copy */
			if (!map)
				VFIO_ASSERT_EQ(pread(device->fd, stream + stream_size,
						     size, region.offset + getpagesize()),
					       size);
			stream_size += size;
		}
		samples[i] = timestamp() - start;
	}
	if (map)
		report("mig_save_mmap", "save 64 KiB by the mapped window",
		       SAMPLE / CHUNK);
	else
		report("mig_save_rw", "save 64 KiB by reads of the region",
		       SAMPLE / CHUNK);

	while ((size = v1_next())) {
		VFIO_ASSERT_EQ(pread(device->fd, stream + stream_size, size,
				     region.offset + getpagesize()), size);
		stream_size += size;
	}
	v1_set_state(VFIO_DEVICE_STATE_V1_STOP);
	if (map)
		munmap(window, window_size);
	close_device();
}

/* Load the stream that bench_v1_save(false) left */
static void bench_v1_load(bool map)
{
	unsigned int per_sample, i, j;
	void *window = NULL;
	size_t at, size;
	u64 start, spent;

	v1_open();
	per_sample = SAMPLE / window_size;
	if (map)
		window = v1_map();
	v1_set_state(VFIO_DEVICE_STATE_V1_RESUMING);
	VFIO_ASSERT_EQ(pwrite(device->fd, stream, HEADER,
			      region.offset + getpagesize()), HEADER);
	v1_write(V1_FIELD(data_size), sizeof(u64), HEADER);
	at = HEADER;

	for (i = 0; i < NR_SAMPLES; i++) {
		for (spent = 0, j = 0; j < per_sample; j++, at += window_size) {
			/* Do not time this copy: a real receiver has the data in the window */
			if (map)
				memcpy(window, stream + at,
				       window_size);
			start = timestamp();
			VFIO_ASSERT_EQ(v1_read(V1_FIELD(data_offset), sizeof(u64)),
				       getpagesize());
			if (!map)
				VFIO_ASSERT_EQ(pwrite(device->fd, stream + at, window_size,
						      region.offset + getpagesize()),
					       window_size);
			v1_write(V1_FIELD(data_size), sizeof(u64), window_size);
			spent += timestamp() - start;
		}
		samples[i] = spent;
	}
	if (map)
		report("mig_load_mmap", "load 64 KiB by the mapped window",
		       SAMPLE / CHUNK);
	else
		report("mig_load_rw", "load 64 KiB by writes to the region",
		       SAMPLE / CHUNK);

	for (; at < stream_size; at += size) {
		size = min_t(size_t, window_size, stream_size - at);
		VFIO_ASSERT_EQ(pwrite(device->fd, stream + at, size,
				      region.offset + getpagesize()), size);
		v1_write(V1_FIELD(data_size), sizeof(u64), size);
	}
	v1_set_state(VFIO_DEVICE_STATE_V1_RUNNING);
	if (map)
		munmap(window, window_size);
	close_device();
}

int main(int argc, char *argv[])
{
	bool memfd_only = false;
	int c;

	while ((c = getopt(argc, argv, "d:mh")) != -1) {
		switch (c) {
		case 'd':
			ticks = strtoul(optarg, NULL, 10);
			VFIO_ASSERT_GT(ticks, 0, "-d %s\n", optarg);
			break;
		case 'm':
			memfd_only = true;
			break;
		default:
			fprintf(stderr, "usage: %s [-d ticks] [-m] BDF\n",
				argv[0]);
			return c == 'h' ? KSFT_PASS : KSFT_FAIL;
		}
	}

	isolate();
	stream = mmap(NULL, STATE + SAMPLE, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	VFIO_ASSERT_TRUE(stream != MAP_FAILED, "mmap\n");

	printf("metric\tmedian\tmin\tp90\tsamples\twhat\n");
	bench_memfd();
	if (memfd_only)
		return KSFT_PASS;

	bdf = vfio_selftests_get_bdf(&argc, argv);
	bench_first_byte();
	bench_fd();
	bench_v1_save(true);
	bench_v1_save(false);
	bench_v1_load(false);
	bench_v1_load(true);
	return KSFT_PASS;
}
