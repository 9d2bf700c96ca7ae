/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PROGRAMS_BENCH_H
#define PROGRAMS_BENCH_H

#include <sched.h>
#include <stdio.h>

#include <sys/mman.h>

/*
 * Keep other tasks on the CPU out of the samples.  This is optional: print a
 * failure and continue.
 */
static void isolate(void)
{
	struct sched_param param = { .sched_priority = 50 };

	if (mlockall(MCL_CURRENT | MCL_FUTURE))
		perror("# mlockall");
	if (sched_setscheduler(0, SCHED_FIFO, &param))
		perror("# sched_setscheduler");
}

#endif
