// SPDX-License-Identifier: GPL-2.0-only
/*
 * Messages of vfio-pci-core in the kernel log
 */

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lsvfio.h"

/* Remember the names of vendor drivers in a message */
static void parse_drivers(struct device *dev)
{
	char (*conflict)[NAME_SIZE] = dev->conflict;
	char name[NAME_SIZE];

	if (sscanf(dev->log, "vendor driver %79[^ :]", name) == 1)
		add_driver(name);
	if (sscanf(dev->log, "vendor drivers %79s and %79s of the same priority", conflict[0], conflict[1]) == 2) {
		add_driver(conflict[0]);
		add_driver(conflict[1]);
	} else {
		memset(conflict, 0, sizeof(dev->conflict));
	}
}

/* A record is "PREFIX;DRIVER ADDRESS: MESSAGE"; other lines start with a space */
static void parse_record(char *line)
{
	char *text = strchr(line, ';'), *message;
	struct device *dev;
	char end[NAME_SIZE + 3];

	if (*line == ' ' || !text || !strstr(text, "vendor driver"))
		return;
	text[strcspn(text, "\n")] = '\0';

	for (dev = devices; dev < devices + nr_devices; dev++) {
		snprintf(end, sizeof(end), " %s: ", *dev->parent ? dev->parent : dev->name);
		message = strstr(text, end);
		/* The kernel reports -EBUSY after a conflict */
		if (!message || (*dev->conflict[0] && strstr(message, "failed to open the device: -16")))
			continue;
		copy(dev->log, sizeof(dev->log), message + strlen(end));
		parse_drivers(dev);
	}
}

void load_log(void)
{
	char buf[8192];
	char *line = NULL;
	size_t size = 0;
	FILE *file;
	int fd;

	fd = open(path("/dev/kmsg"), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	file = fd < 0 ? NULL : fdopen(fd, "r");
	if (!file) {
		note("cannot read /dev/kmsg: conflicts of vendor drivers are not shown; run lsvfio as root");
		return;
	}
	/* One read returns one record. The kernel returns EPIPE if it dropped records. */
	setvbuf(file, buf, _IOFBF, sizeof(buf));
	for (;;) {
		if (getline(&line, &size, file) > 0)
			parse_record(line);
		else if (errno == EPIPE && ferror(file))
			clearerr(file);
		else
			break;
	}
	free(line);
	fclose(file);
}
