/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PROGRAMS_BENCH_H
#define PROGRAMS_BENCH_H

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <sys/mman.h>

#include <linux/types.h>

/* -d: clock ticks per instruction */
static u64 ticks = 1;

static inline u64 ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

static inline u64 timestamp(void)
{
#ifdef __x86_64__
	return __builtin_ia32_rdtsc();
#else
	return ns(CLOCK_MONOTONIC_RAW);
#endif
}

static int compare_u64(const void *a, const void *b)
{
	u64 x = *(const u64 *)a, y = *(const u64 *)b;

	return x < y ? -1 : x > y;
}

static void sort_samples(u64 *samples, unsigned int nr)
{
	qsort(samples, nr, sizeof(*samples), compare_u64);
}

/* Print sorted samples of @per operations each, minus the overhead of measuring */
static void print_samples(const char *name, const u64 *samples, unsigned int nr, u64 overhead,
			  u64 per, const char *what)
{
	u64 divisor = per * ticks;

	printf("%s\t%lu\t%lu\t%lu\t%u\t%s\n", name, (samples[nr / 2] - overhead) / divisor,
	       (samples[0] - overhead) / divisor, (samples[nr * 9 / 10] - overhead) / divisor,
	       nr, what);
}

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
