/* SPDX-License-Identifier: GPL-2.0-only */
/* Count the MSIs of the device, for programs that use guest.h. */
#ifndef GUEST_MSI_H
#define GUEST_MSI_H

#include "guest.h"

#define PCI_CAPABILITIES	0x34
#define PCI_CAPABILITY_MSI	0x05
#define  MSI_ENABLE		0x00010000
#define  MSI_64_BIT		0x00800000

/* The local APIC of CPU 0 */
#define APIC			0xfee00000
#define APIC_EOI		0xb0
#define APIC_SPURIOUS		0xf0
#define  APIC_ENABLE		0x100

#define PIC_MASK_1		0x21
#define PIC_MASK_2		0xa1

#define CODE_SEGMENT		0x08
#define GATE			0x8e00
#define VECTOR_MSI		0x40
#define VECTOR_SPURIOUS		0x4f
#define VECTORS			0x50

struct table {
	u16 limit;
	u32 base;
} __attribute__((packed));

/* Flat segments: the loader's table may be overwritten */
static const u32 segments[][2] = {
	{ 0, 0 },
	{ 0x0000ffff, 0x00cf9a00 },
	{ 0x0000ffff, 0x00cf9200 },
};

static u32 gates[VECTORS][2];
static volatile u32 interrupts;

static inline void apic_write(u32 reg, u32 value)
{
	*(volatile u32 *)(APIC + reg) = value;
}

__attribute__((interrupt))
static void on_msi(void *frame __attribute__((unused)))
{
	interrupts++;
	apic_write(APIC_EOI, 0);
}

__attribute__((interrupt))
static void on_spurious(void *frame __attribute__((unused)))
{
}

static inline void set_gate(u32 vector, void (*handler)(void *))
{
	gates[vector][0] = CODE_SEGMENT << 16 | ((u32)handler & 0xffff);
	gates[vector][1] = ((u32)handler & 0xffff0000) | GATE;
}

static inline void enable_msi(u32 device)
{
	const struct table gdt = { sizeof(segments) - 1, (u32)segments };
	const struct table idt = { sizeof(gates) - 1, (u32)gates };
	u32 cap, header, data;

	asm volatile("lgdt %0\n"
		     "ljmp %1, $1f\n"
		     "1:\n"
		     "movw %2, %%ax\n"
		     "movw %%ax, %%ds\n"
		     "movw %%ax, %%es\n"
		     "movw %%ax, %%ss\n"
		     : : "m" (gdt), "i" (CODE_SEGMENT), "i" (CODE_SEGMENT + 8)
		     : "eax", "memory");
	set_gate(VECTOR_MSI, on_msi);
	set_gate(VECTOR_SPURIOUS, on_spurious);
	asm volatile("lidt %0" : : "m" (idt), "m" (gates));

	/* Mask the interrupts of the firmware */
	port_write8(PIC_MASK_1, 0xff);
	port_write8(PIC_MASK_2, 0xff);
	apic_write(APIC_SPURIOUS, APIC_ENABLE | VECTOR_SPURIOUS);

	for (cap = config_read(device, PCI_CAPABILITIES) & 0xff; cap;
	     cap = header >> 8 & 0xff) {
		header = config_read(device, cap);
		if ((header & 0xff) == PCI_CAPABILITY_MSI)
			break;
	}
	if (!cap) {
		print("no-msi\n");
		exit_qemu(EXIT_FAILED);
	}
	data = 8;
	config_write(device, cap + 4, APIC);
	if (header & MSI_64_BIT) {
		config_write(device, cap + 8, 0);
		data += 4;
	}
	config_write(device, cap + data, VECTOR_MSI);
	config_write(device, cap, header | MSI_ENABLE);
	asm volatile("sti" : : : "memory");
}

/*
 * Wait until the count of interrupts exceeds @before.  A lost interrupt hangs the
 * guest, and the test fails.  Halt instead of polling the device: QEMU's thread
 * that delivers the message would wait for these accesses.
 */
static inline void wait_for_msi(u32 before)
{
	asm volatile("cli" : : : "memory");
	while (interrupts == before)
		asm volatile("sti; hlt; cli" : : : "memory");
	asm volatile("sti" : : : "memory");
}

#endif /* GUEST_MSI_H */
