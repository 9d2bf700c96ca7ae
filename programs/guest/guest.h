/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Common code of the programs for nested guests.  The firmware starts such a
 * program as a multiboot kernel.  It uses the edu device that QEMU passes
 * through by vfio-pci, and prints to the first serial port.
 *
 * The programs are freestanding 32-bit code without paging, so pointers are
 * DMA addresses.
 */
#ifndef GUEST_H
#define GUEST_H

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;

#define SERIAL			0x3f8
#define SERIAL_STATUS		0x3fd
#define  SERIAL_RECEIVED	0x01
#define  SERIAL_CAN_SEND	0x20

/* isa-debug-exit: the exit status of QEMU is twice the value plus one */
#define DEBUG_EXIT		0xf4
#define  EXIT_DONE		0x10
#define  EXIT_FAILED		0x20

#define PCI_ADDRESS		0xcf8
#define PCI_DATA		0xcfc
#define  PCI_ENABLE		0x80000000
#define PCI_ID			0x00
#define PCI_COMMAND		0x04
#define  PCI_COMMAND_MEMORY	0x002
#define  PCI_COMMAND_MASTER	0x004
#define  PCI_COMMAND_NO_INTX	0x400
#define PCI_BAR0		0x10

#define CR0_WP			0x10000

#define EDU_ID			0x11e81234
#define EDU_IDENTIFICATION	0x00
#define EDU_LIVENESS		0x04
#define EDU_FACTORIAL		0x08
#define EDU_STATUS		0x20
#define  EDU_COMPUTING		0x01
#define EDU_IRQ_STATUS		0x24
#define  EDU_DMA_DONE		0x100
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

/* The multiboot header and the entry point */
asm(".section .text.start, \"ax\"\n"
	".balign 4\n"
	".long 0x1badb002, 0, -0x1badb002\n"
	".globl _start\n"
	"_start:\n"
	"movl $stack + 16384, %esp\n"
	"call run\n"
	".previous\n");

u8 stack[16384];

void run(void);

static unsigned long bar;

static inline void port_write8(u16 port, u8 value)
{
	asm volatile("outb %0, %1" : : "a" (value), "d" (port) : "memory");
}

static inline void port_write32(u16 port, u32 value)
{
	asm volatile("outl %0, %1" : : "a" (value), "d" (port) : "memory");
}

static inline u8 port_read8(u16 port)
{
	u8 value;

	asm volatile("inb %1, %0" : "=a" (value) : "d" (port) : "memory");
	return value;
}

static inline u32 port_read32(u16 port)
{
	u32 value;

	asm volatile("inl %1, %0" : "=a" (value) : "d" (port) : "memory");
	return value;
}

static inline void print(const char *text)
{
	for (; *text; text++) {
		while (!(port_read8(SERIAL_STATUS) & SERIAL_CAN_SEND))
			;
		port_write8(SERIAL, *text);
	}
}

static inline void show(const char *name, u32 value)
{
	char text[] = " 0x00000000\n";
	int i;

	for (i = 0; i < 8; i++)
		text[10 - i] = "0123456789abcdef"[value >> 4 * i & 0xf];

	print(name);
	print(text);
}

static inline void exit_qemu(u8 value)
{
	port_write8(DEBUG_EXIT, value);
	for (;;)
		asm volatile("cli; hlt");
}

static inline u32 config_read(u32 device, u32 reg)
{
	port_write32(PCI_ADDRESS, PCI_ENABLE | device << 11 | reg);
	return port_read32(PCI_DATA);
}

static inline void config_write(u32 device, u32 reg, u32 value)
{
	port_write32(PCI_ADDRESS, PCI_ENABLE | device << 11 | reg);
	port_write32(PCI_DATA, value);
}

/*
 * Make QEMU log later writes to memory as dirty.  QEMU up to 11.1 has a bug with
 * TCG: cpu_physical_memory_sync_dirty_bitmap() clears the dirty bit of an unsent
 * page, but it resets the TLB only if another page became dirty.  Without paging,
 * toggling CR0.WP only flushes the TLB.
 */
static inline void flush_tlb(void)
{
	u32 cr0;

	asm volatile("movl %%cr0, %0" : "=r" (cr0));
	asm volatile("movl %0, %%cr0" : : "r" (cr0 ^ CR0_WP) : "memory");
}

static inline u32 bar_read(u32 reg)
{
	u32 value;

	flush_tlb();
	asm volatile("movl %1, %0" : "=r" (value) : "m" (*(u32 *)(bar + reg)));
	return value;
}

static inline void bar_write(u32 reg, u32 value)
{
	flush_tlb();
	asm volatile("movl %1, %0" : "=m" (*(u32 *)(bar + reg)) : "r" (value));
}

/* Enable the edu device and return its number on the bus. */
static inline u32 find_device(void)
{
	u32 device;

	for (device = 0; device < 32; device++)
		if (config_read(device, PCI_ID) == EDU_ID)
			break;
	if (device == 32) {
		print("no-device\n");
		exit_qemu(EXIT_FAILED);
	}

	bar = config_read(device, PCI_BAR0);
	show("bar", bar);
	if (!bar)
		exit_qemu(EXIT_FAILED);

	config_write(device, PCI_COMMAND, PCI_COMMAND_MEMORY |
		     PCI_COMMAND_MASTER | PCI_COMMAND_NO_INTX);
	show("command", config_read(device, PCI_COMMAND) & 0xffff);

	return device;
}

#endif /* GUEST_H */
