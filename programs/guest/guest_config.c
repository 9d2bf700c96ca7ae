// SPDX-License-Identifier: GPL-2.0-only
/*
 * Program for a nested guest: print the ids and the capabilities of the device at address
 * 5 of the bus, as lspci does, and write to the register EECD of an igb.
 * scripts/test/bpf.sh checks the values.
 */

#include "guest.h"

#define DEVICE			5
#define PCI_CLASS		0x08
#define PCI_CAPABILITIES	0x34

#define IGB_STATUS		0x08
#define IGB_EECD		0x10

static u8 config_read8(u32 reg)
{
	return config_read(DEVICE, reg & ~3) >> (reg & 3) * 8;
}

void run(void)
{
	u8 pos;

	show("id", config_read(DEVICE, PCI_ID));
	show("class", config_read(DEVICE, PCI_CLASS));
	for (pos = config_read8(PCI_CAPABILITIES); pos; pos = config_read8(pos + 1))
		show("capability", config_read8(pos));

	bar = config_read(DEVICE, PCI_BAR0);
	config_write(DEVICE, PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_NO_INTX);
	show("status", bar_read(IGB_STATUS));
	show("eecd", bar_read(IGB_EECD));
	bar_write(IGB_EECD, 0x41);
	show("eecd", bar_read(IGB_EECD));

	exit_qemu(EXIT_DONE);
}
