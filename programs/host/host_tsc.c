// SPDX-License-Identifier: GPL-2.0-only
/*
 * Print the TSC frequency of this machine in kHz. Take many readings and use the
 * fastest one, so that interrupts do not change the result.
 */

#include <stdint.h>
#include <stdio.h>
#include <time.h>
#include <x86intrin.h>

#define READINGS 200
#define SPAN_NS 50000000

struct reading {
	uint64_t ns;
	uint64_t tsc;
};

static uint64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1000000000ull + time.tv_nsec;
}

static struct reading read_both(void)
{
	uint64_t least = UINT64_MAX, before, tsc, after;
	struct reading best = {};

	for (int i = 0; i < READINGS; i++) {
		before = now();
		tsc = __rdtsc();
		after = now();
		if (after - before < least) {
			least = after - before;
			best.ns = before + least / 2;
			best.tsc = tsc;
		}
	}
	return best;
}

int main(void)
{
	struct timespec span = { .tv_nsec = SPAN_NS };
	struct reading first, last;

	first = read_both();
	nanosleep(&span, NULL);
	last = read_both();
	if (last.ns <= first.ns || last.tsc <= first.tsc) {
		fprintf(stderr, "error: the TSC of this machine does not increase; use ACCEL=kvm\n");
		return 1;
	}
	printf("%.0f\n", (last.tsc - first.tsc) * 1e6 / (last.ns - first.ns));
	return 0;
}
