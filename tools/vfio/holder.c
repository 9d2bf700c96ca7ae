// SPDX-License-Identifier: GPL-2.0-only
/*
 * Processes that have a device open
 */

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lsvfio.h"

static void add_holder(struct device *dev, int pid)
{
	struct holder *holder;
	char command[NAME_SIZE];
	size_t i;

	for (i = 0; i < dev->nr_holders; i++) {
		if (dev->holders[i].pid == pid)
			return;
	}
	dev->holders = append(dev->holders, &dev->nr_holders, sizeof(*dev->holders));
	holder = &dev->holders[dev->nr_holders - 1];
	holder->pid = pid;
	read_text(command, sizeof(command), path("/proc/%d/comm", pid));
	copy(holder->command, sizeof(holder->command), command);
}

/*
 * The file of a device that userspace opens by its group has no name. The kernel
 * shows the path of the device in fdinfo; older kernels do not.
 */
static void read_syspath(char *buf, size_t size, int pid, const char *fd)
{
	char text[1024];
	char *line, *end;

	*buf = '\0';
	read_text(text, sizeof(text), path("/proc/%d/fdinfo/%s", pid, fd));
	line = strstr(text, "vfio-device-syspath:");
	if (!line)
		return;
	end = line + strcspn(line, "\n");
	*end = '\0';
	copy(buf, size, strrchr(line, '/') ? strrchr(line, '/') + 1 : "");
}

static void check_file(int pid, const char *fd, const char *target)
{
	char name[NAME_SIZE] = "", cdev[2 * NAME_SIZE], group[NAME_SIZE];
	struct device *dev;

	if (!strcmp(target, "anon_inode:[vfio-device]"))
		read_syspath(name, sizeof(name), pid, fd);
	else if (strncmp(target, "/dev/vfio/", 10))
		return;

	for (dev = devices; dev < devices + nr_devices; dev++) {
		if (!*dev->vfio)
			continue;
		device_node(dev, cdev, sizeof(cdev));
		group_node(dev, group, sizeof(group));
		if (!strcmp(dev->dma, name) || !strcmp(target, cdev) || !strcmp(target, group))
			add_holder(dev, pid);
	}
}

/* Look at all files that a process has open. Return false without permission. */
static bool check_process(int pid)
{
	char target[PATH_MAX];
	struct dirent *entry;
	ssize_t len;
	DIR *dir;

	dir = opendir(path("/proc/%d/fd", pid));
	if (!dir)
		return errno != EACCES;
	while ((entry = readdir(dir))) {
		len = readlinkat(dirfd(dir), entry->d_name, target, sizeof(target) - 1);
		if (len <= 0)
			continue;
		target[len] = '\0';
		check_file(pid, entry->d_name, target);
	}
	closedir(dir);

	return true;
}

void load_holders(void)
{
	bool complete = true;
	struct dirent *entry;
	DIR *dir;

	dir = opendir(path("/proc"));
	while (dir && (entry = readdir(dir))) {
		/* lsvfio may inherit a file, but does not use it */
		if (isdigit((unsigned char)entry->d_name[0]) && atoi(entry->d_name) != getpid())
			complete &= check_process(atoi(entry->d_name));
	}
	if (dir)
		closedir(dir);
	if (!dir || !complete)
		note("cannot read the open files of all processes: the holder of a device may be missing; run lsvfio as root");
}
