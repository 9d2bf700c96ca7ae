// SPDX-License-Identifier: GPL-2.0-only
/*
 * What runs in the guest of a guest: started by the firmware as a multiboot
 * kernel, it finds the edu device that QEMU has by vfio-pci, uses its registers
 * and its DMA engine, and prints what it saw on the first serial port, a name
 * and a value a line.  It judges nothing but whether it can go on.
 *
 * After "look" it waits for a byte, so that somebody can look at the device
 * from outside while QEMU still has it.
 *
 * Freestanding, 32 bits: physical addresses are all that there is, and those
 * are the ones that the device uses too.
 */

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;

#define SERIAL			0x3f8
#define SERIAL_STATUS		0x3fd
#define  SERIAL_RECEIVED	0x01
#define  SERIAL_CAN_SEND	0x20

/* isa-debug-exit: QEMU ends with twice the value, plus one */
#define DEBUG_EXIT		0xf4
#define  EXIT_DONE		0x10
#define  EXIT_LOST		0x20

#define PCI_ADDRESS		0xcf8
#define PCI_DATA		0xcfc
#define  PCI_ENABLE		0x80000000
#define PCI_ID			0x00
#define PCI_COMMAND		0x04
#define  PCI_COMMAND_MEMORY	0x002
#define  PCI_COMMAND_MASTER	0x004
#define  PCI_COMMAND_NO_INTX	0x400
#define PCI_BAR0		0x10

#define EDU_ID			0x11e81234
#define EDU_IDENTIFICATION	0x00
#define EDU_LIVENESS		0x04
#define EDU_FACTORIAL		0x08
#define EDU_STATUS		0x20
#define  EDU_COMPUTING		0x01
#define EDU_IRQ_STATUS		0x24
#define EDU_IRQ_RAISE		0x60
#define EDU_IRQ_LOWER		0x64
#define EDU_BEFORE_DMA		0x7c
#define EDU_DMA_SOURCE		0x80
#define EDU_DMA_DESTINATION	0x88
#define EDU_DMA_COUNT		0x90
#define EDU_DMA_COMMAND		0x98
#define  EDU_DMA_START		0x01
#define  EDU_DMA_FROM_DEVICE	0x02
#define  EDU_DMA_INTERRUPT	0x04
#define EDU_AFTER_DMA		0xa0
#define EDU_PAGE_1		0x1000

#define EDU_BUFFER		0x40000
#define EDU_BUFFER_SIZE		4096

#define PATTERN			0xa5a5a5a5
#define WORDS			(EDU_BUFFER_SIZE / 4)

/* What a multiboot loader looks for, and where it jumps to */
asm(".section .text.start, \"ax\"\n"
	".balign 4\n"
	".long 0x1badb002, 0, -0x1badb002\n"
	".globl _start\n"
	"_start:\n"
	"movl $stack + 16384, %esp\n"
	"call run\n"
	".previous\n");

u8 stack[16384];

static u32 out[WORDS];
static u32 in[WORDS];
static u32 beyond[4];

static unsigned long bar;

/* How often we used the page that has overridden registers, and these */
static u32 page_reads, page_writes, dma_writes;

static void port_write8(u16 port, u8 value)
{
	asm volatile("outb %0, %1" : : "a" (value), "d" (port) : "memory");
}

static void port_write32(u16 port, u32 value)
{
	asm volatile("outl %0, %1" : : "a" (value), "d" (port) : "memory");
}

static u8 port_read8(u16 port)
{
	u8 value;

	asm volatile("inb %1, %0" : "=a" (value) : "d" (port) : "memory");
	return value;
}

static u32 port_read32(u16 port)
{
	u32 value;

	asm volatile("inl %1, %0" : "=a" (value) : "d" (port) : "memory");
	return value;
}

static void print(const char *text)
{
	for (; *text; text++) {
		while (!(port_read8(SERIAL_STATUS) & SERIAL_CAN_SEND))
			;
		port_write8(SERIAL, *text);
	}
}

static void show(const char *name, u32 value)
{
	char text[] = " 0x00000000\n";
	int i;

	for (i = 0; i < 8; i++)
		text[10 - i] = "0123456789abcdef"[value >> 4 * i & 0xf];

	print(name);
	print(text);
}

static void leave(u8 how)
{
	port_write8(DEBUG_EXIT, how);
	for (;;)
		asm volatile("cli; hlt");
}

static u32 config_read(u32 device, u32 reg)
{
	port_write32(PCI_ADDRESS, PCI_ENABLE | device << 11 | reg);
	return port_read32(PCI_DATA);
}

static void config_write(u32 device, u32 reg, u32 value)
{
	port_write32(PCI_ADDRESS, PCI_ENABLE | device << 11 | reg);
	port_write32(PCI_DATA, value);
}

static u32 read(u32 reg)
{
	u32 value;

	if (reg < EDU_PAGE_1)
		page_reads++;

	asm volatile("movl %1, %0" : "=r" (value) : "m" (*(u32 *)(bar + reg)));
	return value;
}

static void write(u32 reg, u32 value)
{
	if (reg < EDU_PAGE_1)
		page_writes++;
	if (reg >= EDU_BEFORE_DMA + 4 && reg < EDU_AFTER_DMA)
		dma_writes++;

	asm volatile("movl %1, %0" : "=m" (*(u32 *)(bar + reg)) : "r" (value));
}

static void find_device(void)
{
	u32 device;

	for (device = 0; device < 32; device++)
		if (config_read(device, PCI_ID) == EDU_ID)
			break;
	if (device == 32) {
		print("no-device\n");
		leave(EXIT_LOST);
	}

	bar = config_read(device, PCI_BAR0);
	show("bar", bar);
	if (!bar)
		leave(EXIT_LOST);

	config_write(device, PCI_COMMAND, PCI_COMMAND_MEMORY |
		     PCI_COMMAND_MASTER | PCI_COMMAND_NO_INTX);
	show("command", config_read(device, PCI_COMMAND) & 0xffff);
}

/* None of these is overridden; all but the last are next to ones that are */
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
	/* The device has written to memory */
	asm volatile("" : : : "memory");
}

/* Through the device's buffer, and back to other memory */
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
 * What a guard has to refuse, but what does no harm without one, even to a
 * device that checks nothing: the last 8 bytes of its buffer, and 8 more; and
 * to behind the buffer, nothing at all.  The command that the device has is then
 * a new one or not; that it runs is over at some time.
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
	/* It still works, and takes its time, in which the others would be done */
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
	leave(EXIT_DONE);
}
