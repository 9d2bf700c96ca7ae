// SPDX-License-Identifier: GPL-2.0-only
/*
 * Program for a nested guest that QEMU migrates: use the edu device in rounds, and
 * print "round N" after each.  A round writes values derived from its number to
 * every register and to the device's buffer.  The next round checks them, and so
 * detects lost, old and new state.  On a mismatch, print "wrong: ..." and exit.
 *
 * A DMA transfer is active most of the time, and in every other round the device
 * also computes a factorial.  The program waits for each MSI: a migration may add
 * interrupts, but must not lose any.
 */

#include "msi.h"

/* A round fills one half of the buffer, so the other half keeps older data */
#define HALF			(EDU_BUFFER_SIZE / 2)
#define WORDS			(HALF / 4)

/* Pages for DMA from the device; the program only reads them */
#define PAGES			4

/* The device computes it for about 0.1 s; the 32-bit result is 0 */
#define LONG_FACTORIAL		0x08000000

/* One page for DMA to each half of the buffer */
static u32 out[2][2 * WORDS] __attribute__((aligned(4096)));
static volatile u32 in[PAGES][2 * WORDS] __attribute__((aligned(4096)));

/* The last transfer: the registers must keep its parameters until the next one */
static u32 last_source, last_destination, last_count, last_command;

static u32 number;

static void expect(const char *what, u32 expected, u32 found)
{
	if (expected == found)
		return;

	print("wrong: ");
	print(what);
	show("\nwrong: in round", number);
	show("wrong: expected", expected);
	show("wrong: found", found);
	exit_qemu(EXIT_FAILED);
}

static u32 pattern(u32 round, u32 word)
{
	return round * 0x9e3779b1 ^ word * 0x01010101;
}

static u32 factorial(u32 round)
{
	return round % 2 ? 1 + round % 12 : LONG_FACTORIAL;
}

static u32 factorial_result(u32 round)
{
	u32 i, product = 1;

	if (factorial(round) == LONG_FACTORIAL)
		return 0;
	for (i = 2; i <= factorial(round); i++)
		product *= i;

	return product;
}

/* The interrupt status that a round leaves raised */
static u32 raised(u32 round)
{
	return 1u << round % 8;
}

/* Restart a long factorial when it is done */
static void keep_computing(u32 round)
{
	if (factorial(round) != LONG_FACTORIAL ||
	    bar_read(EDU_STATUS) & EDU_COMPUTING)
		return;

	expect("factorial again", 0, bar_read(EDU_FACTORIAL));
	bar_write(EDU_FACTORIAL, LONG_FACTORIAL);
}

static void wait_for_factorial(void)
{
	while (bar_read(EDU_STATUS) & EDU_COMPUTING)
		;
}

static void expect_last_transfer(void)
{
	expect("source", last_source, bar_read(EDU_DMA_SOURCE));
	expect("destination", last_destination,
	       bar_read(EDU_DMA_DESTINATION));
	expect("count", last_count, bar_read(EDU_DMA_COUNT));
	expect("command", last_command, bar_read(EDU_DMA_COMMAND));
}

static void transfer(u32 round, u32 source, u32 destination, u32 count,
		     u32 command)
{
	u32 before = interrupts;

	if (last_count)
		expect_last_transfer();

	bar_write(EDU_DMA_SOURCE, source);
	bar_write(EDU_DMA_DESTINATION, destination);
	bar_write(EDU_DMA_COUNT, count);
	bar_write(EDU_DMA_COMMAND, command | EDU_DMA_START);
	while (bar_read(EDU_DMA_COMMAND) & EDU_DMA_START)
		keep_computing(round);
	wait_for_msi(before);
	/* The device may have written to memory */
	asm volatile("" : : : "memory");

	last_source = source;
	last_destination = destination;
	last_count = count;
	last_command = command;
	expect_last_transfer();
}

/* Check the copy of the device's buffer that a round left */
static void expect_buffer(u32 round)
{
	u32 i;

	for (i = 0; i < 2 * WORDS; i++)
		expect("memory written by DMA",
		       pattern(i / WORDS == round % 2 ? round : round - 1, i),
		       in[round % PAGES][i]);
}

/* Check the state that the last round left */
static void check_round(u32 before)
{
	u32 i;

	expect("interrupts", raised(before) | EDU_DMA_DONE,
	       bar_read(EDU_IRQ_STATUS));
	bar_write(EDU_IRQ_LOWER, EDU_DMA_DONE);

	transfer(before, EDU_BUFFER, (u32)in[before % PAGES], EDU_BUFFER_SIZE,
		 EDU_DMA_FROM_DEVICE | EDU_DMA_INTERRUPT);
	for (i = 0; i < PAGES && i < before; i++)
		expect_buffer(before - i);

	expect("interrupts again", raised(before) | EDU_DMA_DONE,
	       bar_read(EDU_IRQ_STATUS));
	expect("liveness", ~before, bar_read(EDU_LIVENESS));
	wait_for_factorial();
	expect("factorial", factorial_result(before),
	       bar_read(EDU_FACTORIAL));
}

/* Write the state first and wait afterwards, so that a migration finds new state */
static void write_round(u32 round)
{
	u32 *half = out[round % 2];
	u32 i, before;

	/* A previous guest may have left a factorial running; edu has no reset */
	wait_for_factorial();
	bar_write(EDU_FACTORIAL, factorial(round));
	bar_write(EDU_LIVENESS, round);
	bar_write(EDU_IRQ_LOWER, 0xffffffff);
	expect("lowered", 0, bar_read(EDU_IRQ_STATUS));
	before = interrupts;
	bar_write(EDU_IRQ_RAISE, raised(round));
	wait_for_msi(before);

	for (i = 0; i < WORDS; i++)
		half[i] = pattern(round, round % 2 * WORDS + i);
	asm volatile("" : : : "memory");
	transfer(round, (u32)half, EDU_BUFFER + round % 2 * HALF, HALF,
		 EDU_DMA_INTERRUPT);
}

void run(void)
{
	enable_msi(find_device());
	expect("identification", 0x010000ed, bar_read(EDU_IDENTIFICATION));

	for (number = 0; ; number++) {
		if (number > 1)
			check_round(number - 1);
		write_round(number);
		show("round", number);
	}
}
