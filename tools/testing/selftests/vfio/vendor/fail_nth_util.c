// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <libvfio.h>

#include "fail_nth_util.h"

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);

	VFIO_ASSERT_GE(fd, 0, "%s: %m\n", path);
	VFIO_ASSERT_EQ(write(fd, text, strlen(text)), strlen(text), "%s: %m\n", path);
	close(fd);
}

/* Exclude allocations in a function of the kernel, and in functions that it calls */
static void exclude_function(const char *function)
{
	unsigned long address, start = 0, end = ULONG_MAX;
	char line[256], name[128], type, text[32];
	FILE *file;
	int i;

	/* Find the function, then the next symbol */
	for (i = 0; i < 2; i++) {
		file = fopen("/proc/kallsyms", "r");
		VFIO_ASSERT_NOT_NULL(file);
		while (fgets(line, sizeof(line), file)) {
			if (sscanf(line, "%lx %c %127s", &address, &type, name) != 3)
				continue;
			if (!i && !strcmp(name, function))
				start = address;
			if (i && address > start && address < end)
				end = address;
		}
		fclose(file);
	}
	VFIO_ASSERT_NE(start, 0, "%s is not in /proc/kallsyms\n", function);

	snprintf(text, sizeof(text), "0x%lx", start);
	write_file("/sys/kernel/debug/failslab/reject-start", text);
	snprintf(text, sizeof(text), "0x%lx", end);
	write_file("/sys/kernel/debug/failslab/reject-end", text);
}

int nth_open(const char *exclude)
{
	int fd;

	/* Include allocations that may sleep; do not log failures */
	write_file("/sys/kernel/debug/failslab/ignore-gfp-wait", "N");
	write_file("/sys/kernel/debug/failslab/verbose", "0");
	exclude_function(exclude);
	fd = open("/proc/self/fail-nth", O_RDWR);
	VFIO_ASSERT_GE(fd, 0, "/proc/self/fail-nth: %m\n");

	return fd;
}

void nth_fail(int nth_fd, unsigned int nth)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", nth);
	/* The pending failure may hit this write */
	while (pwrite(nth_fd, text, strlen(text), 0) < 0)
		VFIO_ASSERT_EQ(errno, EFAULT);
}

bool nth_has_failed(int nth_fd)
{
	char text[16] = {};
	bool failed = pread(nth_fd, text, sizeof(text) - 1, 0) > 0 &&
		      !strtoul(text, NULL, 10);

	nth_fail(nth_fd, 0);

	return failed;
}
