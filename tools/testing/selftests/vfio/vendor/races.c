// SPDX-License-Identifier: GPL-2.0-only
/*
 * Race all operations.  Some threads open, use, close, bind, unbind and reset a
 * device.  Others load, unload and reconfigure the module of its vendor drivers.
 * Each call may fail, but must return.  The kernel must log no warning, and the
 * device must work at the end.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <sys/ioctl.h>
#include <sys/mman.h>

#include <linux/compiler.h>

#include "need.h"
#include "racer.h"
#include "testdrv.h"

#define PARAMETERS	"/sys/module/vfio_pci_testdrv/parameters/"

const char *device_bdf;

static char ids[64];

static bool write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);
	bool ok;

	if (fd < 0)
		return false;
	ok = write(fd, text, strlen(text)) > 0;
	close(fd);

	return ok;
}

static bool write_device(const char *file, const char *text)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/%s", device_bdf, file);

	return write_text(path, text);
}

/* Return the IOMMU group, which the device keeps while it is unbound */
static int group_number(void)
{
	char path[PATH_MAX], link[PATH_MAX] = {};

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/iommu_group", device_bdf);
	VFIO_ASSERT_GT(readlink(path, link, sizeof(link) - 1), 0);

	return atoi(strrchr(link, '/') + 1);
}

struct opened {
	int container, group, device;
};

static bool open_all(struct opened *o)
{
	char path[32];

	errno = 0;
	o->container = open("/dev/vfio/vfio", O_RDWR);
	snprintf(path, sizeof(path), "/dev/vfio/%d", group_number());
	o->group = open(path, O_RDWR);
	o->device = -1;
	if (o->group >= 0 && !ioctl(o->group, VFIO_GROUP_SET_CONTAINER, &o->container) &&
	    !ioctl(o->container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU))
		o->device = ioctl(o->group, VFIO_GROUP_GET_DEVICE_FD, device_bdf);

	return o->device >= 0;
}

static void close_all(struct opened *o)
{
	if (o->device >= 0)
		close(o->device);
	if (o->group >= 0)
		close(o->group);
	if (o->container >= 0)
		close(o->container);
}

/* Use an open device in random order */
static void use(struct racer *racer, int fd)
{
	struct vfio_pci_device device = { .fd = fd };
	struct region_info *info = malloc(sizeof(*info));
	u32 command = PCI_COMMAND_MEMORY;
	u8 buf[64] = {};
	void *map;
	int i;

	for (i = 0; i < 20; i++) {
		u64 page = pick(racer, 8);

		switch (pick(racer, 7)) {
		case 0:
			get_region_info(&device, pick(racer, 12), info);
			break;
		case 1:
			(void)!pread(fd, buf, pick(racer, 64), pick(racer, 8));
			break;
		case 2:
			(void)!pwrite(fd, buf, pick(racer, 8), pick(racer, 8));
			break;
		case 3:
			(void)!pread(fd, buf, 64, region_offset(7));
			break;
		case 4:
			command = pick(racer, 4) ? PCI_COMMAND_MEMORY : 0;
			(void)!pwrite(fd, &command, 2, region_offset(7) + PCI_COMMAND);
			break;
		case 5:
			map = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, page * PAGE);
			if (map != MAP_FAILED)
				munmap(map, PAGE);
			break;
		case 6:
			ioctl(fd, VFIO_DEVICE_RESET);
			break;
		}
	}
	free(info);
}

static void race_open(struct racer *racer)
{
	struct opened o;

	if (open_all(&o)) {
		racer->done++;
		use(racer, o.device);
	} else {
		racer->why[errno < RACER_ERRNOS ? errno : 0]++;
		/* Leave the CPU to the thread that has the group open */
		usleep(pick(racer, 20000));
	}
	close_all(&o);
}

static void race_bind(struct racer *racer)
{
	struct timespec before, after;

	clock_gettime(CLOCK_MONOTONIC, &before);
	if (write_text("/sys/bus/pci/drivers/vfio-pci/unbind", device_bdf))
		racer->done++;
	/* The module can be unloaded only while no device is bound */
	usleep(pick(racer, 50000));
	while (!write_text("/sys/bus/pci/drivers_probe", device_bdf) && !race_is_over())
		usleep(1000);
	clock_gettime(CLOCK_MONOTONIC, &after);

	/* Stay bound most of the time, so that opens succeed */
	usleep(pick(racer, 1000000) + 3 * ((after.tv_sec - before.tv_sec) * 1000000 +
					   (after.tv_nsec - before.tv_nsec) / 1000));
}

static void race_reset(struct racer *racer)
{
	racer->done += write_device("reset", "1");
	usleep(200000 + pick(racer, 500000));
}

static void race_module(struct racer *racer)
{
	testdrv_try_load(ids);
	usleep(pick(racer, 1000000));
	/* A bound device pins the module: retry until it is unbound */
	while (testdrv_unload()) {
		if (race_is_over())
			return;
		usleep(1000);
	}
	racer->done++;
	usleep(pick(racer, 200000));
}

static void race_setup(struct racer *racer)
{
	static const char * const good[] = {
		"", "range 0 4 4; range 0 0x2ffc 8; range 7 0 4", "over 0; over 7",
		"add 0xffff 1 0x2000 7; alias 0 0 0x1000", "over 0; size 0x1000",
		"ranges 0 0 4 8 200",
	};
	/* The open fails, or the driver returns -ENODEV */
	static const char * const bad[] = {
		"fail 5", "fail 19", "range 0 4 0", "whole 6; fail 12", "whole 0",
	};
	static const char * const handlers[] = { "keep", "pass", "slow", "fail", "nonsense" };
	const char *setup = pick(racer, 5) ? good[pick(racer, ARRAY_SIZE(good))] :
					     bad[pick(racer, ARRAY_SIZE(bad))];

	racer->done += write_text(PARAMETERS "setup", setup);
	write_text(PARAMETERS "setup_same", pick(racer, 5) ? "range 7 8 4" : setup);
	write_text(PARAMETERS "setup_high", good[pick(racer, ARRAY_SIZE(good))]);
	write_text(PARAMETERS "handler", handlers[pick(racer, 5)]);
	usleep(pick(racer, 100000));
}

static void race_look(struct racer *racer)
{
	char path[PATH_MAX], line[256];
	FILE *file;

	snprintf(path, sizeof(path), "/sys/kernel/debug/vfio/%s/pci/regions", device_bdf);
	file = fopen(path, "r");
	while (file && fgets(line, sizeof(line), file))
		racer->done++;
	if (file)
		fclose(file);
	usleep(pick(racer, 100000));
}

static struct racer racers[] = {
	{ .name = "opens", .run = race_open },
	{ .name = "opens", .run = race_open },
	{ .name = "unbinds", .run = race_bind },
	{ .name = "resets", .run = race_reset },
	{ .name = "unloads", .run = race_module },
	{ .name = "setups", .run = race_setup },
	{ .name = "lines of pci/regions", .run = race_look },
};

/* Each operation must succeed at least once, except reads of debugfs */
static bool all_succeed(void)
{
	int i;

	for (i = 2; i < ARRAY_SIZE(racers); i++)
		if (!racers[i].done && racers[i].run != race_look)
			return false;

	return racers[0].done + racers[1].done;
}

int main(int argc, char *argv[])
{
	unsigned int seed = 1, seconds = 10, rounds = 0, i;
	u32 before[PCI_STD_NUM_BARS], after[PCI_STD_NUM_BARS];
	struct opened o;
	int c;

	setvbuf(stdout, NULL, _IOLBF, 0);
	while ((c = getopt(argc, argv, "i:r:s:")) != -1) {
		switch (c) {
		case 'i':
			snprintf_assert(ids, sizeof(ids), "%s", optarg);
			break;
		case 'r':
			seed = strtoul(optarg, NULL, 0);
			break;
		case 's':
			seconds = strtoul(optarg, NULL, 0);
			break;
		default:
			fprintf(stderr, "usage: %s [-i ids] [-r seed] [-s seconds] BDF\n", argv[0]);
			return KSFT_FAIL;
		}
	}
	device_bdf = need_bdf(&argc, argv);
	need_no_samples();
	need_module("vfio_pci_testdrv", "CONFIG_VFIO_PCI_TEST_DRIVERS");
	need_file(device_file(device_bdf, "reset"), "a device with a reset");
	if (!*ids)
		snprintf_assert(ids, sizeof(ids), "%x:%x", device_id(device_bdf, "vendor"),
				device_id(device_bdf, "device"));
	bind_device(device_bdf);
	read_bars(device_bdf, before);
	VFIO_ASSERT_NE(before[0] & PCI_BASE_ADDRESS_MEM_MASK, 0, "the BARs are lost\n");

	printf("seed %u, %u s\n", seed, seconds);
	/* On a busy machine, an operation may lose all races: try again */
	do {
		race_for(racers, ARRAY_SIZE(racers), seed, seconds * 1000);
	} while (!all_succeed() && ++rounds < 5);
	for (i = 0; i < ARRAY_SIZE(racers); i++) {
		printf("%lu rounds, %lu %s", racers[i].rounds, racers[i].done, racers[i].name);
		for (c = 0; c < RACER_ERRNOS; c++)
			if (racers[i].why[c])
				printf(", %lu %s", racers[i].why[c], strerror(c));
		printf("\n");
	}

	/* The device must open after the module is unloaded */
	write_text("/sys/bus/pci/drivers/vfio-pci/unbind", device_bdf);
	testdrv_unload();
	VFIO_ASSERT_NE(access("/sys/module/vfio_pci_testdrv", F_OK), 0,
		       "unloading vfio_pci_testdrv failed\n");
	write_text("/sys/bus/pci/drivers_probe", device_bdf);
	VFIO_ASSERT_TRUE(open_all(&o), "opening the device failed: %m\n");
	close_all(&o);
	read_bars(device_bdf, after);
	VFIO_ASSERT_EQ(memcmp(before, after, sizeof(before)), 0, "BARs are lost\n");
	VFIO_ASSERT_TRUE(all_succeed(), "an operation never succeeded\n");
	printf("1..1\nok 1 concurrent_operations_do_no_harm\n");

	return KSFT_PASS;
}
