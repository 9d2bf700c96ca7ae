// SPDX-License-Identifier: GPL-2.0-only
/*
 * Concurrent operations: create, open, use and remove a mediated device; bind,
 * unbind and reset the PCI device; load and unload the module.  A single call may
 * succeed or fail, but it must return.  Afterwards the device must work.
 *
 * The first argument is the duration in seconds; 10 by default.
 */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <sys/ioctl.h>
#include <sys/mman.h>

#include <linux/compiler.h>

#include "mdev.h"
#include "../vendor/need.h"
#include "../vendor/racer.h"
#include "../vendor/testdrv.h"

static char group_path[32];

static unsigned long now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);

	return ts.tv_sec * 1000000UL + ts.tv_nsec / 1000;
}

/* After a removal, rest at least three times as long, so that other threads run */
static void rest(struct racer *racer, unsigned long began)
{
	unsigned long end = now() + 3 * (now() - began) + pick(racer, 1000000);

	while (now() < end && !race_is_over())
		usleep(10000);
}

/* Build the path on the stack, because several threads build paths */
#define DEVICE(file)	(snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/%s", \
				  device_bdf, file), path)

static void use(struct racer *racer, int fd)
{
	u32 command = PCI_COMMAND_MEMORY;
	u8 buf[64];
	void *map;
	int i;

	for (i = 0; i < 10; i++) {
		switch (pick(racer, 6)) {
		case 0:
			(void)!pwrite(fd, &command, 2, region_offset(7) + PCI_COMMAND);
			break;
		case 1:
			(void)!pread(fd, buf, 4, pick(racer, 4) * 4);
			break;
		case 2:
			(void)!pread(fd, buf, sizeof(buf), region_offset(7));
			break;
		case 3:
			map = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, pick(racer, 8) * PAGE);
			if (map != MAP_FAILED)
				munmap(map, PAGE);
			break;
		case 4:
			ioctl(fd, VFIO_DEVICE_RESET);
			break;
		case 5:
			usleep(pick(racer, 5000));
			break;
		}
	}
}

static void race_cdev(struct racer *racer)
{
	struct vfio_device_attach_iommufd_pt attach = { .argsz = sizeof(attach) };
	struct vfio_device_bind_iommufd bind = { .argsz = sizeof(bind) };
	struct iommu *iommu;
	char path[256];
	glob_t found;
	int fd = -1;

	if (glob("/sys/bus/mdev/devices/" UUID "/vfio-dev/vfio*", 0, NULL, &found)) {
		usleep(pick(racer, 2000));
		return;
	}
	snprintf(path, sizeof(path), "/dev/vfio/devices/%s", strrchr(found.gl_pathv[0], '/') + 1);
	globfree(&found);
	fd = open(path, O_RDWR);
	if (fd < 0)
		return;

	iommu = iommu_init(MODE_IOMMUFD);
	bind.iommufd = iommu->iommufd;
	attach.pt_id = iommu->ioas_id;
	if (pick(racer, 8) && !ioctl(fd, VFIO_DEVICE_BIND_IOMMUFD, &bind) &&
	    !ioctl(fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach)) {
		racer->done++;
		use(racer, fd);
	}
	close(fd);
	iommu_cleanup(iommu);
}

static void race_group(struct racer *racer)
{
	int container = open("/dev/vfio/vfio", O_RDWR);
	int group = open(group_path, O_RDWR), fd = -1;

	if (group >= 0 && !ioctl(group, VFIO_GROUP_SET_CONTAINER, &container) &&
	    !ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU))
		fd = ioctl(group, VFIO_GROUP_GET_DEVICE_FD, device_bdf);
	if (fd >= 0) {
		racer->done++;
		use(racer, fd);
		close(fd);
	}
	if (group >= 0)
		close(group);
	if (container >= 0)
		close(container);
	usleep(pick(racer, 20000));
}

static void race_create(struct racer *racer)
{
	char path[256];

	racer->done += !put_text(DEVICE(MDEV_TYPE "create"), UUID);
	usleep(pick(racer, 5000));
}

static void race_remove(struct racer *racer)
{
	unsigned long began = now();

	racer->done += !put_text("/sys/bus/mdev/devices/" UUID "/remove", "1");
	rest(racer, began);
}

/* Unbind the mediated device from its driver, and remove it for the next one */
static void race_detach(struct racer *racer)
{
	unsigned long began = now();

	if (!put_text("/sys/bus/mdev/drivers/vfio-mdev-pci/unbind", UUID)) {
		racer->done++;
		put_text("/sys/bus/mdev/devices/" UUID "/remove", "1");
	}
	rest(racer, began);
}

static void race_bind(struct racer *racer)
{
	unsigned long began = now();

	racer->done += !put_text(MDEV_DRIVERS "unbind", device_bdf);
	while (put_text("/sys/bus/pci/drivers_probe", device_bdf) && !race_is_over())
		usleep(1000);
	rest(racer, began);
}

static void race_reset(struct racer *racer)
{
	char path[256];

	racer->done += !put_text(DEVICE("reset"), "1");
	/* On a slow machine, a reset holds the device lock for a second */
	usleep(200000 + pick(racer, 500000));
}

/* driver_override binds the device again after the next load */
static void race_unload(struct racer *racer)
{
	unsigned long began = now();

	racer->done += !mdev_unload();
	mdev_load(NULL);
	rest(racer, began);
}

static void race_look(struct racer *racer)
{
	char path[256];
	FILE *file;

	snprintf(path, sizeof(path), "/sys/kernel/debug/vfio/%s/pci/regions", device_bdf);
	file = fopen(pick(racer, 2) ? path : DEVICE(MDEV_TYPE "available_instances"), "r");
	if (file) {
		while (fgets(path, sizeof(path), file))
			racer->done++;
		fclose(file);
	}
	usleep(pick(racer, 20000));
}

static struct racer racers[] = {
	{ "open the file", race_cdev },
	{ "open the group", race_group },
	{ "create", race_create },
	{ "create", race_create },
	{ "remove", race_remove },
	{ "remove", race_remove },
	{ "detach", race_detach },
	{ "bind", race_bind },
	{ "reset", race_reset },
	{ "unload", race_unload },
	{ "look", race_look },
};

static unsigned int done(void (*run)(struct racer *racer))
{
	unsigned int i, sum = 0;

	for (i = 0; i < ARRAY_SIZE(racers); i++)
		sum += racers[i].run == run ? racers[i].done : 0;

	return sum;
}

/* The numbers depend on the speed of the machine, but must not be 0 */
static bool all_succeed(void)
{
	return done(race_cdev) + done(race_group) && done(race_create) &&
	       done(race_remove) + done(race_bind) + done(race_unload);
}

int main(int argc, char *argv[])
{
	struct vfio_pci_device *device;
	struct iommu *iommu;
	unsigned int i;
	int tries = 0, rounds = 0, seconds = 10;

	mdev_begin(&argc, argv, 1, "one device");
	need_edu(device_bdf);
	if (argc > 1)
		seconds = atoi(argv[1]);
	mdev_bind(device_bdf, MDEV_DRIVER);
	snprintf_assert(group_path, sizeof(group_path), "/dev/vfio/%d",
			sysfs_iommu_group_get(device_bdf));

	/* On a busy machine, an operation may lose all races: try again */
	do {
		race_for(racers, ARRAY_SIZE(racers), 1, seconds * 1000);
	} while (!all_succeed() && ++rounds < 5);
	for (i = 0; i < ARRAY_SIZE(racers); i++)
		printf("%s: %lu of %lu\n", racers[i].name, racers[i].done, racers[i].rounds);
	fflush(stdout);
	VFIO_ASSERT_TRUE(all_succeed(), "an operation never succeeded\n");

	/* The unbind removes a mediated device that may be left */
	VFIO_ASSERT_TRUE(mdev_load(NULL));
	mdev_bind(device_bdf, NULL);
	mdev_bind(device_bdf, MDEV_DRIVER);
	mdev_create(device_bdf, UUID);
	/* A kernel thread creates the nodes in /dev */
	while (tries++ < 100 && access(group_path, F_OK))
		usleep(10000);
	iommu = iommu_init(MODE_IOMMUFD);
	device = vfio_pci_device_init(device_bdf, iommu);
	vfio_pci_cmd_set(device, PCI_COMMAND_MEMORY);
	VFIO_ASSERT_EQ(edu_read(device, EDU_IDENTIFICATION), 0x010000ed);
	vfio_pci_device_cleanup(device);
	iommu_cleanup(iommu);
	VFIO_ASSERT_EQ(mdev_try_remove(UUID), 0);
	VFIO_ASSERT_EQ(mdev_available(device_bdf), 1);
	VFIO_ASSERT_EQ(mdev_unload(), 0);
	printf("1..1\nok 1 device_works_after_concurrent_operations\n");

	return 0;
}
