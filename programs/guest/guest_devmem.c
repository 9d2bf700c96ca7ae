// SPDX-License-Identifier: GPL-2.0-only
/*
 * Program for a nested guest: print the BARs of a GPU of NVIDIA and words in the device
 * memory behind BAR 4, and increment the words.  scripts/test/nvgrace.sh checks the output.
 */

#include "guest.h"

#define VENDOR_NVIDIA	0x10de
#define BAR_MASK	0xfffffff0

/* Offsets in the memory of vfio_user/nvgrace_mig.json, and behind it */
static const u32 offsets[] = { 0x0, 0x1ffffc, 0x200000, 0x3001ffc, 0x3002000, 0x3fffffc };

static u32 bar_size(u32 device, u32 reg)
{
	u32 value = config_read(device, reg), mask;

	config_write(device, reg, 0xffffffff);
	mask = config_read(device, reg) & BAR_MASK;
	config_write(device, reg, value);

	return -mask;
}

void run(void)
{
	u32 device, i;

	for (device = 0; device < 32; device++)
		if ((config_read(device, PCI_ID) & 0xffff) == VENDOR_NVIDIA)
			break;
	if (device == 32) {
		print("no-device\n");
		exit_qemu(EXIT_FAILED);
	}

	show("id", config_read(device, PCI_ID));
	for (i = 0; i < 6; i += 2) {
		show("type", config_read(device, PCI_BAR0 + 4 * i) & ~BAR_MASK);
		show("size", bar_size(device, PCI_BAR0 + 4 * i));
	}

	config_write(device, PCI_COMMAND, PCI_COMMAND_MEMORY);
	bar = config_read(device, PCI_BAR0 + 4 * 4) & BAR_MASK;
	if (!bar || config_read(device, PCI_BAR0 + 4 * 5)) {
		print("no-memory\n");
		exit_qemu(EXIT_FAILED);
	}
	for (i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++) {
		show("found", bar_read(offsets[i]));
		bar_write(offsets[i], bar_read(offsets[i]) + 1);
		show("word", bar_read(offsets[i]));
	}
	print("done\n");
	exit_qemu(EXIT_DONE);
}
