/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Output of the demos
 */
#ifndef PROGRAMS_DEMO_H
#define PROGRAMS_DEMO_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

#include <linux/compiler.h>

static int failures;

/* Print a check and its result */
static __printf(2, 3) void check(bool ok, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	printf("  %-7s", ok ? "ok" : "FAILED");
	vprintf(fmt, args);
	printf("\n");
	va_end(args);

	failures += !ok;
}

#endif
