// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/klog.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "mdev.h"
#include "../torture/torture.h"

/* First device of the command line; torture/ uses it, too */
const char *device_bdf;

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
	int status;
	pid_t pid;

	pid = fork();
	VFIO_ASSERT_GE(pid, 0);
	if (!pid) {
		execlp("sh", "sh", "-c", "exec modprobe " MDEV_DRIVER " $1", "sh",
		       options ?: "", NULL);
		_exit(127);
	}
	VFIO_ASSERT_EQ(waitpid(pid, &status, 0), pid);

	return !status;
}

int mdev_unload(void)
{
	return syscall(SYS_delete_module, "vfio_mdev_pci", O_NONBLOCK) ? errno : 0;
}

const char *line_of(const char *path)
{
	static char line[256];
	FILE *file = fopen(path, "r");

	line[0] = 0;
	if (file) {
		if (!fgets(line, sizeof(line), file))
			line[0] = 0;
		fclose(file);
	}
	line[strcspn(line, "\n")] = 0;

	return line;
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

static void log_read(void)
{
	/* SYSLOG_ACTION_READ_ALL */
	int size = klogctl(3, log_text, sizeof(log_text) - 1);

	VFIO_ASSERT_GE(size, 0);
	log_text[size] = 0;
}

void log_mark(void)
{
	log_read();
	log_size = strlen(log_text);
}

/* The log must not have dropped the text before the mark */
bool log_has(const char *text)
{
	log_read();
	VFIO_ASSERT_GE(strlen(log_text), log_size);

	return strstr(log_text + log_size, text);
}
