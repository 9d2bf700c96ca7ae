// SPDX-License-Identifier: GPL-2.0-only
/*
 * Program for a nested guest that QEMU migrates.  Each round checks the memory of
 * the last round, writes it again, reads a register of the device, and prints
 * "round N".  scripts/migrate.sh uses it with a synthetic state of the device.
 */

#include "guest.h"

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
				flush_tlb();
			if (round && memory[i] != pattern(round - 1, i)) {
				show("wrong: memory in round", round);
				exit_qemu(EXIT_FAILED);
			}
			memory[i] = pattern(round, i);
		}
		for (i = 0; i < READS; i++) {
			if (bar_read(EDU_IDENTIFICATION) != 0x010000ed) {
				show("wrong: device in round", round);
				exit_qemu(EXIT_FAILED);
			}
		}
		show("round", round);
	}
}
