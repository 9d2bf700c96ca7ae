// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/syscall.h>

#include "mdev.h"
#include "../vendor/need.h"
#include "../vendor/testdrv.h"

/* First device of the command line; vendor/ uses it, too */
const char *device_bdf;

static char **all_bdfs, *all_drivers[8];
static bool was_loaded;

static void mdev_end(void)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(all_drivers); i++)
		if (all_drivers[i] && device_exists(all_bdfs[i]))
			mdev_try_bind(all_bdfs[i], all_drivers[i]);
	if (!was_loaded)
		mdev_unload();
}

char **mdev_begin(int *argc, char *argv[], int nr, const char *devices)
{
	int i, given;

	all_bdfs = need_bdfs(argc, argv, nr, devices, &given);
	need_module("vfio_mdev_pci", "CONFIG_SAMPLE_VFIO_MDEV_PCI");
	device_bdf = all_bdfs[0];
	for (i = 0; i < given && i < ARRAY_SIZE(all_drivers); i++)
		all_drivers[i] = sysfs_driver_get(all_bdfs[i]);
	was_loaded = module_is_loaded("vfio_mdev_pci");
	at_end(mdev_end);
	if (!was_loaded && !mdev_load(NULL))
		ksft_exit_skip("loading the module vfio_mdev_pci failed; see dmesg\n");

	return all_bdfs;
}

int mdev_try_bind(const char *bdf, const char *driver)
{
	char *now = sysfs_driver_get(bdf);
	int ret = 0;

	if (now && driver && !strcmp(now, driver))
		goto out;
	if (now)
		ret = put_device(bdf, "driver/unbind", bdf);
	if (!ret)
		ret = put_device(bdf, "driver_override", driver ?: "\n");
	if (!ret && driver)
		ret = put_text("/sys/bus/pci/drivers_probe", bdf);
out:
	free(now);

	return ret;
}

bool mdev_is_bound(const char *bdf)
{
	char *driver = sysfs_driver_get(bdf);
	bool bound = driver && !strcmp(driver, MDEV_DRIVER);

	free(driver);

	return bound;
}

void mdev_bind(const char *bdf, const char *driver)
{
	VFIO_ASSERT_EQ(mdev_try_bind(bdf, driver), 0);
	VFIO_ASSERT_EQ(mdev_is_bound(bdf), driver && !strcmp(driver, MDEV_DRIVER));
}

int mdev_try_create(const char *bdf, const char *uuid)
{
	return put_device(bdf, MDEV_TYPE "create", uuid);
}

void mdev_create(const char *bdf, const char *uuid)
{
	VFIO_ASSERT_EQ(mdev_try_create(bdf, uuid), 0);
}

const char *mdev_file(const char *uuid, const char *file)
{
	static char path[PATH_MAX];

	snprintf_assert(path, sizeof(path), "/sys/bus/mdev/devices/%s/%s", uuid, file);

	return path;
}

int mdev_try_remove(const char *uuid)
{
	return put_text(mdev_file(uuid, "remove"), "1");
}

bool mdev_exists(const char *uuid)
{
	return !access(mdev_file(uuid, ""), F_OK);
}

int mdev_available(const char *bdf)
{
	const char *line = line_of(device_file(bdf, MDEV_TYPE "available_instances"));

	return *line ? atoi(line) : -1;
}

bool mdev_load(const char *options)
{
	char args[256];

	snprintf_assert(args, sizeof(args), MDEV_DRIVER " %s", options ?: "");

	return run_modprobe(args);
}

int mdev_unload(void)
{
	return syscall(SYS_delete_module, "vfio_mdev_pci", O_NONBLOCK) ? errno : 0;
}

bool line_becomes(const char *path, const char *text)
{
	int tries = 100;

	while (strcmp(line_of(path), text) && tries--)
		usleep(50000);

	return tries >= 0;
}

static char log_text[1 << 20];
static size_t log_size;
static int log_fd = -1;

void log_mark(void)
{
	if (log_fd < 0)
		log_fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK);
	VFIO_ASSERT_GE(log_fd, 0);
	VFIO_ASSERT_EQ(lseek(log_fd, 0, SEEK_END), 0);
	log_size = 0;
}

/* A read returns one message, or EPIPE if the kernel dropped messages */
bool log_has(const char *text)
{
	ssize_t ret;

	for (;;) {
		ret = read(log_fd, log_text + log_size, sizeof(log_text) - log_size - 1);
		if (ret < 0 && errno == EPIPE)
			continue;
		if (ret < 0)
			break;
		log_size += ret;
	}
	VFIO_ASSERT_EQ(errno, EAGAIN);
	log_text[log_size] = 0;

	return strstr(log_text, text);
}
