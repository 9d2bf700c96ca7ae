/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Events of the tracepoints vfio_pci:*
 */
#ifndef SELFTESTS_VFIO_TESTDRV_EVENTS_H
#define SELFTESTS_VFIO_TESTDRV_EVENTS_H

#include <linux/compiler.h>
#include <linux/types.h>

#include <libvfio.h>

/* Mount tracefs if needed, create an instance, and stay on one CPU */
bool tracing_begin(void);
void tracing_end(void);

/* Write to a file of the instance */
void put_tracing(const char *file, const char *text);

/* Return and clear all events, one per line, without task and timestamp */
const char *events(void);

/* Append an event of the device to the expected events */
__printf(2, 3) void want(const char *event, const char *format, ...);
void want_open(const char *driver, int ret);
void want_close(const char *driver);
void want_override(const char *driver, int index, u64 start, u64 size, int ret);
void want_access(const char *event, int index, u64 pos, size_t count, ssize_t ret);
/* Return and clear all expected events, in the format of events() */
const char *wanted(void);

#endif
