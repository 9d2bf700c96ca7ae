// SPDX-License-Identifier: GPL-2.0-only
/*
 * Actual and expected events of the tracepoints vfio_pci:*, as text.
 */
#include <errno.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <sys/mount.h>
#include <sys/stat.h>

#include "events.h"
#include "testdrv.h"

#define TRACING		"/sys/kernel/tracing"
/* A separate instance, without events of other users */
#define INSTANCE	TRACING "/instances/vfio_pci_testdrv"

bool tracing_begin(void)
{
	cpu_set_t cpus;

	/* One CPU: clocks of two CPUs may differ and change the order of events */
	CPU_ZERO(&cpus);
	CPU_SET(0, &cpus);
	if (sched_setaffinity(0, sizeof(cpus), &cpus))
		return false;
	if (access(TRACING "/instances", F_OK) && mount("trace", TRACING, "tracefs", 0, NULL))
		return false;

	return !mkdir(INSTANCE, 0700) || errno == EEXIST;
}

void tracing_end(void)
{
	rmdir(INSTANCE);
}

void put_tracing(const char *file, const char *text)
{
	char path[160];
	int ret;

	snprintf_assert(path, sizeof(path), INSTANCE "/%s", file);
	ret = put_text(path, text);
	VFIO_ASSERT_EQ(ret, 0, "%s: %s\n", path, text);
}

const char *events(void)
{
	static char text[65536];
	char line[512], *event;
	size_t size = 0;
	FILE *file;

	text[0] = '\0';
	file = fopen(INSTANCE "/trace", "r");
	VFIO_ASSERT_NOT_NULL(file);
	while (fgets(line, sizeof(line), file)) {
		if (line[0] == '#')
			continue;
		event = strstr(line, ": vfio_pci_");
		event = event ? event + strlen(": vfio_pci_") : line;
		VFIO_ASSERT_LT(size + strlen(event), sizeof(text));
		size += sprintf(text + size, "%s", event);
	}
	fclose(file);
	/* An open with O_TRUNC clears the trace */
	fclose(fopen(INSTANCE "/trace", "w"));

	return text;
}

/* The expected events */
static char wanted_text[65536];
static size_t wanted_size;

void want(const char *event, const char *format, ...)
{
	va_list args;

	wanted_size += sprintf(wanted_text + wanted_size, "%s: %s: ", event, device_bdf);
	va_start(args, format);
	wanted_size += vsprintf(wanted_text + wanted_size, format, args);
	va_end(args);
	wanted_size += sprintf(wanted_text + wanted_size, "\n");
	VFIO_ASSERT_LT(wanted_size, sizeof(wanted_text) - 256);
}

const char *wanted(void)
{
	wanted_text[wanted_size] = '\0';
	wanted_size = 0;

	return wanted_text;
}

void want_open(const char *driver, int ret)
{
	want("vendor_open", "vfio_pci_testdrv%s ret=%d", driver, ret);
}

void want_close(const char *driver)
{
	want("vendor_close", "vfio_pci_testdrv%s ret=0", driver);
}

void want_override(const char *driver, int index, u64 start, u64 size, int ret)
{
	want("vendor_override", "vfio_pci_testdrv%s region %d start=0x%lx size=0x%lx ret=%d",
	     driver, index, start, size, ret);
}

void want_access(const char *event, int index, u64 pos, size_t count, ssize_t ret)
{
	want(event, "region %d pos=0x%lx count=%zu ret=%zd", index, pos, count, ret);
}
