// SPDX-License-Identifier: GPL-2.0-only
/*
 * What runs in the guest of a guest that is migrated with a device whose state is
 * made up: it changes memory, in which it has to find what the round before has
 * left, and prints "round N".  Of the device it just reads a register.
 */

#include "guest-payload.h"

#define WORDS			16384
#define READS			500

static volatile u32 memory[WORDS];

static u32 pattern(u32 round, u32 word)
{
	return round * 0x9e3779b1 ^ word * 0x01010101;
}

void run(void)
{
	u32 round, i;

	find_device();
	for (round = 0; ; round++) {
		for (i = 0; i < WORDS; i++) {
			if (i % 256 == 0)
				be_seen();
			if (round && memory[i] != pattern(round - 1, i)) {
				show("wrong: memory in round", round);
				leave(EXIT_LOST);
			}
			memory[i] = pattern(round, i);
		}
		for (i = 0; i < READS; i++) {
			if (bar_read(EDU_IDENTIFICATION) != 0x010000ed) {
				show("wrong: device in round", round);
				leave(EXIT_LOST);
			}
		}
		show("round", round);
	}
}
