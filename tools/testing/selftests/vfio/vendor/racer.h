/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Threads that race: each thread repeats a random step.
 */
#ifndef SELFTESTS_VFIO_RACER_H
#define SELFTESTS_VFIO_RACER_H

#include <pthread.h>
#include <stdbool.h>

#define RACER_ERRNOS	128

struct racer {
	const char *name;
	/* Run one step; set @failed to stop the thread */
	void (*run)(struct racer *racer);
	/* Data of the test */
	void *data;
	bool failed;
	/* Steps, successful steps, and failed steps by errno */
	unsigned long rounds;
	unsigned long done;
	unsigned long why[RACER_ERRNOS];

	/* Set by race_for() */
	unsigned int seed;
	pthread_t thread;
};

/* A random number below @nr */
unsigned int pick(struct racer *racer, unsigned int nr);

/* Check whether the race is over, for steps that wait */
bool race_is_over(void);

/* Run all racers at once; the same seed gives the same random numbers */
void race_for(struct racer *racers, unsigned int nr, unsigned int seed,
	      unsigned int ms);

#endif
