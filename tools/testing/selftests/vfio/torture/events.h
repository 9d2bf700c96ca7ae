/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Events of the tracepoints vfio_pci:*
 */
#ifndef SELFTESTS_VFIO_TORTURE_EVENTS_H
#define SELFTESTS_VFIO_TORTURE_EVENTS_H

#include <linux/compiler.h>
#include <linux/types.h>

#include <libvfio.h>

/* A trace of our own, mounted if need be; of one processor, as to the order */
bool tracing_begin(void);
void tracing_end(void);

/* Write to a file of it */
void put_tracing(const char *file, const char *text);

/* All events so far, one a line, without task and time; they are gone then */
const char *events(void);

/* Add an event of the device to those that there should be */
__printf(2, 3) void want(const char *event, const char *format, ...);
void want_open(const char *driver, int ret);
void want_close(const char *driver);
void want_override(const char *driver, int index, u64 start, u64 size, int ret);
void want_access(const char *event, int index, u64 pos, size_t count, ssize_t ret);
/* All of these, in the same form; they are forgotten then */
const char *wanted(void);

#endif
