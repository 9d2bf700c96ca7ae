// SPDX-License-Identifier: GPL-2.0-only
/*
 * Print the log of trace_writes.bpf.c, with names of registers
 *
 * Usage: trace_writes [/sys/fs/bpf/writes]
 */

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "trace_writes.h"

/* Registers of the 82576; a register with a count repeats for each queue */
static const struct reg {
	unsigned int	pos, step, count;
	const char	*name;
} registers[] = {
	{ 0x00000, 0, 1, "CTRL" },
	{ 0x00010, 0, 1, "EECD" },
	{ 0x00014, 0, 1, "EERD" },
	{ 0x00018, 0, 1, "CTRL_EXT" },
	{ 0x0001c, 0, 1, "FLA" },
	{ 0x00020, 0, 1, "MDIC" },
	{ 0x00100, 0, 1, "RCTL" },
	{ 0x00400, 0, 1, "TCTL" },
	{ 0x0102c, 0, 1, "EEWR" },
	{ 0x01500, 0, 1, "ICR" },
	{ 0x01508, 0, 1, "IMS" },
	{ 0x0150c, 0, 1, "IMC" },
	{ 0x01680, 4, 25, "EITR" },
	{ 0x0c000, 0x40, 16, "RDBAL" },
	{ 0x0c004, 0x40, 16, "RDBAH" },
	{ 0x0c008, 0x40, 16, "RDLEN" },
	{ 0x0c010, 0x40, 16, "RDH" },
	{ 0x0c018, 0x40, 16, "RDT" },
	{ 0x0c028, 0x40, 16, "RXDCTL" },
	{ 0x0e000, 0x40, 16, "TDBAL" },
	{ 0x0e004, 0x40, 16, "TDBAH" },
	{ 0x0e008, 0x40, 16, "TDLEN" },
	{ 0x0e010, 0x40, 16, "TDH" },
	{ 0x0e018, 0x40, 16, "TDT" },
	{ 0x0e028, 0x40, 16, "TXDCTL" },
	{}
};

static void print_name(unsigned long long pos)
{
	const struct reg *reg;
	unsigned int n;

	for (reg = registers; reg->name; reg++) {
		for (n = 0; n < reg->count; n++) {
			if (pos != reg->pos + n * reg->step)
				continue;
			if (reg->count > 1)
				printf("%s(%u)", reg->name, n);
			else
				printf("%s", reg->name);
			return;
		}
	}
	printf("0x%05llx", pos);
}

static int print_event(void *ctx, void *data, size_t size)
{
	const struct write_event *event = data;

	printf("%llu.%06llu ", event->time / 1000000000,
	       event->time / 1000 % 1000000);
	print_name(event->pos);
	printf(" = 0x%0*llx", (int)event->width * 2, event->val);
	if (event->ret)
		printf(" (%s)", strerror(-event->ret));
	putchar('\n');
	fflush(stdout);

	return 0;
}

int main(int argc, char **argv)
{
	const char *path = argc > 1 ? argv[1] : "/sys/fs/bpf/writes";
	struct ring_buffer *ring;
	int fd, ret;

	fd = bpf_obj_get(path);
	if (fd < 0) {
		fprintf(stderr, "trace_writes: %s: %s; attach trace_writes.bpf.o first\n",
			path, strerror(errno));
		return 1;
	}

	ring = ring_buffer__new(fd, print_event, NULL, NULL);
	if (!ring) {
		fprintf(stderr, "trace_writes: %s: %s\n", path, strerror(errno));
		return 1;
	}

	/* Until a signal ends the program */
	do
		ret = ring_buffer__poll(ring, -1);
	while (ret >= 0);

	fprintf(stderr, "trace_writes: %s\n", strerror(-ret));
	ring_buffer__free(ring);

	return 1;
}
