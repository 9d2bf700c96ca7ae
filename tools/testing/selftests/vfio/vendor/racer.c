// SPDX-License-Identifier: GPL-2.0-only
#include <stdlib.h>
#include <unistd.h>

#include <linux/compiler.h>

#include <libvfio.h>

#include "racer.h"

static bool over;

unsigned int pick(struct racer *racer, unsigned int nr)
{
	return rand_r(&racer->seed) % nr;
}

bool race_is_over(void)
{
	return READ_ONCE(over);
}

static void *race(void *arg)
{
	struct racer *racer = arg;

	for (; !race_is_over() && !racer->failed; racer->rounds++)
		racer->run(racer);

	return NULL;
}

void race_for(struct racer *racers, unsigned int nr, unsigned int seed,
	      unsigned int ms)
{
	unsigned int i;

	WRITE_ONCE(over, false);
	for (i = 0; i < nr; i++) {
		racers[i].seed = seed + i;
		VFIO_ASSERT_EQ(pthread_create(&racers[i].thread, NULL, race, &racers[i]), 0);
	}
	/* usleep() may reject one second and more */
	for (; ms >= 1000; ms -= 1000)
		sleep(1);
	usleep(ms * 1000);
	WRITE_ONCE(over, true);
	for (i = 0; i < nr; i++)
		VFIO_ASSERT_EQ(pthread_join(racers[i].thread, NULL), 0);
}
