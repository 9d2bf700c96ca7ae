// SPDX-License-Identifier: GPL-2.0-only
/*
 * Program for a nested guest: use the registers and the DMA engine of the edu
 * device, and print the results to the serial port, a name and a value per line.
 * scripts/test/qemu-guest.sh checks the values.
 *
 * After "look" the program waits for a byte, so that qemu-guest.sh can inspect
 * the device while QEMU has it open.
 */

#include "guest.h"

#define PATTERN			0xa5a5a5a5
#define WORDS			(EDU_BUFFER_SIZE / 4)

static u32 out[WORDS];
static u32 in[WORDS];
static u32 beyond[4];

/* Count accesses to the page with overridden registers, and to these registers */
static u32 page_reads, page_writes, dma_writes;

static u32 read(u32 reg)
{
	if (reg < EDU_PAGE_1)
		page_reads++;

	return bar_read(reg);
}

static void write(u32 reg, u32 value)
{
	if (reg < EDU_PAGE_1)
		page_writes++;
	if (reg >= EDU_BEFORE_DMA + 4 && reg < EDU_AFTER_DMA)
		dma_writes++;

	bar_write(reg, value);
}

/* No register here has an override; all but the last share a page with overrides */
static void use_registers(void)
{
	show("identification", read(EDU_IDENTIFICATION));

	write(EDU_LIVENESS, 0x12345678);
	show("liveness", read(EDU_LIVENESS));

	write(EDU_FACTORIAL, 10);
	while (read(EDU_STATUS) & EDU_COMPUTING)
		;
	show("factorial", read(EDU_FACTORIAL));

	write(EDU_IRQ_RAISE, 5);
	show("raised", read(EDU_IRQ_STATUS));
	write(EDU_IRQ_LOWER, 5);
	show("lowered", read(EDU_IRQ_STATUS));

	show("before-dma", read(EDU_BEFORE_DMA));
	show("after-dma", read(EDU_AFTER_DMA));
	show("page-1", read(EDU_PAGE_1));
}

static void start(u32 source, u32 destination, u32 count, u32 command)
{
	write(EDU_DMA_SOURCE, source);
	write(EDU_DMA_DESTINATION, destination);
	write(EDU_DMA_COUNT, count);
	write(EDU_DMA_COMMAND, command | EDU_DMA_START);
}

static void finish(void)
{
	while (read(EDU_DMA_COMMAND) & EDU_DMA_START)
		;
	/* The device may have written to memory */
	asm volatile("" : : : "memory");
}

/* Copy memory to the device's buffer, and back to other memory */
static void transfer(u32 seed)
{
	u32 i, equal = 0;

	for (i = 0; i < WORDS; i++)
		out[i] = seed + i * 0x01010101;
	asm volatile("" : : : "memory");

	start((u32)out, EDU_BUFFER, EDU_BUFFER_SIZE, 0);
	finish();
	start(EDU_BUFFER, (u32)in, EDU_BUFFER_SIZE, EDU_DMA_FROM_DEVICE);
	show("source", read(EDU_DMA_SOURCE));
	show("destination-is-ours", read(EDU_DMA_DESTINATION) == (u32)in);
	show("count", read(EDU_DMA_COUNT));
	finish();

	for (i = 0; i < WORDS; i++)
		equal += in[i] == seed + i * 0x01010101;
	show("words-equal", equal);
	show("last-word", in[WORDS - 1]);
}

/*
 * Start two transfers outside the device's buffer.  The first one reads the last 8
 * bytes of the buffer and 8 more.  The second one writes 0 bytes behind the buffer.
 * The vendor driver must refuse both.  Both are harmless without it.  The command
 * register shows whether a transfer started.
 */
static void leave_buffer(void)
{
	u32 i;

	for (i = 0; i < 4; i++)
		beyond[i] = PATTERN;
	asm volatile("" : : : "memory");

	start(EDU_BUFFER + EDU_BUFFER_SIZE - 8, (u32)beyond, 16,
	      EDU_DMA_FROM_DEVICE | EDU_DMA_INTERRUPT);
	show("beyond-command", read(EDU_DMA_COMMAND) & ~EDU_DMA_START);
	show("beyond-source", read(EDU_DMA_SOURCE));
	show("beyond-count", read(EDU_DMA_COUNT));
	finish();
	show("beyond-interrupt", read(EDU_IRQ_STATUS));
	write(EDU_IRQ_LOWER, 0xffffffff);

	start((u32)out, EDU_BUFFER + EDU_BUFFER_SIZE + 1, 0, EDU_DMA_INTERRUPT);
	show("behind-command", read(EDU_DMA_COMMAND) & ~EDU_DMA_START);
	show("behind-destination", read(EDU_DMA_DESTINATION));
	show("behind-count", read(EDU_DMA_COUNT));
	finish();
	show("behind-interrupt", read(EDU_IRQ_STATUS));
	write(EDU_IRQ_LOWER, 0xffffffff);
}

void run(void)
{
	int i;

	find_device();
	use_registers();

	transfer(0x01234567);
	leave_buffer();
	/* The device still works; bad transfers would end before this one does */
	transfer(0x89abcdef);
	for (i = 0; i < 4; i++)
		show("beyond", beyond[i]);

	show("page-reads", page_reads);
	show("page-writes", page_writes);
	show("dma-writes", dma_writes);

	print("look\n");
	while (!(port_read8(SERIAL_STATUS) & SERIAL_RECEIVED))
		;
	print("done\n");
	exit_qemu(EXIT_DONE);
}
