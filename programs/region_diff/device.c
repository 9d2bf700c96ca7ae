// SPDX-License-Identifier: GPL-2.0-only
/*
 * A table of devices that QEMU emulates: registers that accept any value, and
 * registers that change by themselves.  On other devices, the program writes the
 * value that each register had at open.
 */
#include <time.h>

#include "region_diff.h"

#define SNAPSHOT	SZ_1M	/* bytes saved per region */
#define SNAPSHOT_TRACED	SZ_64K

static u8 *snapshot[MAX_REGIONS];
static u32 salt;

void sleep_ms(u32 ms)
{
	struct timespec t = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L };

	nanosleep(&t, NULL);
}

#define EDU_FACTORIAL		0x08
#define EDU_STATUS		0x20
#define EDU_STATUS_COMPUTING	0x01

/*
 * QEMU computes the factorial in a thread: wait for it.  The factorial of a
 * large number takes seconds, and more on a busy machine.
 */
static void edu_settle(u64 pos, size_t n)
{
	u32 status;
	int i;

	if (pos > EDU_FACTORIAL || pos + n <= EDU_FACTORIAL)
		return;
	for (i = 0; i < 60000; i++) {
		if (do_pread(subject.fd, &status, 4, EDU_STATUS) != 4 ||
		    !(status & EDU_STATUS_COMPUTING))
			return;
		sleep_ms(1);
	}
}

/* Without these values in the status registers of BAR0, the GPU is not ready */
#define NVGRACE								\
	.fill = PATTERN,						\
	.window = { { 0, KEEP, 0, SZ_1M } },				\
	.hidden = {							\
		{ 0, KEEP, 0x1498, 0x1499 },				\
		{ 0, KEEP, 0x200bc, 0x200bd },				\
	},								\
	.settle_ms = 2500

static const struct knowledge devices[] = {
	{
		/* QEMU edu: a write to 0x98 starts DMA, and one to 0x60 raises an interrupt */
		.vendor = 0x1234,
		.device = 0x11e8,
		.fill = PATTERN,
		.window = {
			{ 0, ZERO, 0x00, 0x100 },
			{ 0, PATTERN, 0x04, 0x08 },
			{ 0, SMALL, 0x08, 0x0c },
			{ 0, PATTERN, 0x80, 0x98 },
		},
		.scratch = {
			{ 0, 4, 0x04 },
			{ 0, 8, 0x80 },
			{ 0, 4, 0x88 },
			{ 0, 8, 0x90 },
		},
		.settle = edu_settle,
	}, {
		/* QEMU pci-testdev: bytes of a buffer, and a count of writes */
		.vendor = 0x1b36,
		.device = 0x0005,
		.fill = PATTERN,
		.scratch = {
			{ 0, 1, 0x00 },
			{ 1, 1, 0x00 },
			{ 0, 4, 0x08 },
			{ 1, 2, 0x08 },
			{ 2, 8, 0x0fe0, true },
		},
	}, {
		/* Intel 82576 (igb): multicast and VLAN tables, RSS key and table */
		.vendor = 0x8086,
		.device = 0x10c9,
		.fill = KEEP,
		.window = {
			{ 0, PATTERN, 0x5200, 0x5400 },
			{ 0, PATTERN, 0x5600, 0x5800 },
			{ 0, PATTERN, 0x5c00, 0x5ca8 },
		},
		.scratch = {
			{ 0, 4, 0x5200 },
			{ 0, 4, 0x5604 },
			{ 0, 8, 0x5c00 },
			{ 0, 4, 0x5c80 },
		},
		.settle_ms = 1000,
	}, {
		/* Intel 82574L (e1000e): same as igb */
		.vendor = 0x8086,
		.device = 0x10d3,
		.fill = KEEP,
		.window = {
			{ 0, PATTERN, 0x5200, 0x5400 },
			{ 0, PATTERN, 0x5600, 0x5800 },
		},
		.scratch = {
			{ 0, 4, 0x5200 },
			{ 0, 4, 0x5604 },
			{ 0, 8, 0x5600 },
		},
		.settle_ms = 1000,
	}, {
		/* QEMU nvme: queue addresses; the controller stays disabled */
		.vendor = 0x1b36,
		.device = 0x0010,
		.fill = PATTERN,
		.window = {
			{ 0, ZERO, 0x00, 0x1000 },
			{ 0, PATTERN, 0x24, 0x38 },
		},
		.scratch = {
			{ 0, 4, 0x24 },
			{ 0, 8, 0x28 },
			{ 0, 4, 0x30 },
		},
	}, {
		/* The graphics device of vfio_user/gpu.json: memory */
		.vendor = 0x8086,
		.device = 0xf1a0,
		.fill = PATTERN,
		.scratch = {
			{ 0, 4, 0x1000, true },
			{ 2, 8, 0x2008, true },
			{ 4, 4, 0x10 },
		},
	}, {
		/* vfio_user/nvgrace.json: BAR2 and BAR4 are memory */
		.vendor = 0x10de,
		.device = 0x2342,
		NVGRACE,
		.scratch = {
			{ 4, 8, 0x1000, true },
			{ 4, 4, 0x2004 },
			{ 2, 8, 0x1000, true },
			{ 2, 2, 0x3002 },
		},
	}, {
		/* vfio_user/nvgrace_mig.json: BAR4 is memory */
		.vendor = 0x10de,
		.device = 0x2941,
		NVGRACE,
		.scratch = {
			{ 4, 8, 0x1000, true },
			{ 4, 4, 0x2004 },
		},
	}, {
		/* vfio_user/nvgrace_cxl.json: same */
		.vendor = 0x10de,
		.device = 0x31c2,
		NVGRACE,
		.scratch = {
			{ 4, 8, 0x1000, true },
			{ 4, 4, 0x2004 },
		},
	}, {
		/* QEMU VGA: video memory; each port is written with its own value */
		.vendor = 0x1234,
		.device = 0x1111,
		.fill = PATTERN,
		.window = {
			{ 2, KEEP, 0x00, 0x1000 },
			{ VFIO_PCI_VGA_REGION_INDEX, KEEP, 0x00, 0x1000 },
		},
		.scratch = {
			{ 0, 4, 0x1000, true },
			{ 0, 8, 0x2008 },
			{ 0, 1, 0x1003 },
			{ 0, 2, 0x1006 },
		},
	},
};

static const struct knowledge unknown = { .fill = KEEP };

static void take_snapshot(u32 index)
{
	u64 pos = (u64)index << REGION_SHIFT;
	u64 size = subject.size[index];
	u64 i, step;

	if (subject.traced && size > SNAPSHOT_TRACED)
		size = SNAPSHOT_TRACED;
	if (subject.unready)
		size = 0;
	if (!size || !(subject.flags[index] & VFIO_REGION_INFO_FLAG_WRITE))
		return;
	if (!snapshot[index])
		snapshot[index] = calloc_assert(1, SNAPSHOT);
	for (i = 0; i < size && i < SNAPSHOT; i += step) {
		step = PAGE - i % PAGE;
		if (do_pread(subject.fd, snapshot[index] + i, step, pos + i) > 0)
			continue;
		/* The VGA region has holes: read the rest in small steps */
		step = 16;
		do_pread(subject.fd, snapshot[index] + i, step, pos + i);
	}
}

void device_learn(void)
{
	u16 vendor = config_get(PCI_VENDOR_ID, 2);
	u16 device = config_get(PCI_DEVICE_ID, 2);
	u32 i;

	subject.know = &unknown;
	for (i = 0; i < NUM(devices); i++)
		if (devices[i].vendor == vendor && devices[i].device == device)
			subject.know = &devices[i];

	device_settle_reset();
	for (i = 0; i < subject.num_regions; i++)
		take_snapshot(i);
}

/* Save config space again, so that later writes do not change it */
void device_keep_config(void)
{
	take_snapshot(VFIO_PCI_CONFIG_REGION_INDEX);
}

void device_settle(u64 pos, size_t n)
{
	if (subject.know->settle)
		subject.know->settle(pos, n);
}

void device_settle_reset(void)
{
	sleep_ms(subject.know->settle_ms);
}

static u8 byte_for(enum fill fill, u32 index, u64 offset)
{
	switch (fill) {
	case PATTERN:
		return offset * 0x9d + (offset >> 8) * 0x3b + salt * 0x1f + subject.seed;
	case SMALL:
		return offset % 4 ? 0 : salt % 9;
	case KEEP:
		if (snapshot[index] && offset < SNAPSHOT)
			return snapshot[index][offset];
		return 0;
	default:
		return 0;
	}
}

static u64 later(u64 a, u64 b)
{
	return a > b ? a : b;
}

static u64 earlier(u64 a, u64 b)
{
	return a < b ? a : b;
}

/* Choose bytes that are safe to write to @pos */
void fill_for_write(void *buf, size_t n, u64 pos)
{
	u64 index = pos >> REGION_SHIFT;
	u64 start = pos & (REGION_SPACE - 1);
	u64 end = start + n;
	u8 *p = buf;
	enum fill fill = subject.know->fill;
	u64 i;
	int w;

	salt++;
	if (index >= MAX_REGIONS) {
		memset(buf, salt, n);
		return;
	}
	if (index == VFIO_PCI_CONFIG_REGION_INDEX)
		fill = KEEP;
	for (i = start; i < end; i++)
		p[i - start] = byte_for(fill, index, i);
	if (index == VFIO_PCI_CONFIG_REGION_INDEX)
		return;

	for (w = 0; w < MAX_WINDOWS; w++) {
		const struct window *win = &subject.know->window[w];

		if (win->region != index)
			continue;
		for (i = later(start, win->start); i < earlier(end, win->end); i++)
			p[i - start] = byte_for(win->fill, index, i);
	}
}

/* Clear the volatile bytes of data that was read at @pos */
void hide_volatile(void *buf, size_t n, u64 pos)
{
	u64 start = pos & (REGION_SPACE - 1);
	u64 end = start + n;
	u8 *p = buf;
	u64 i;
	int w;

	for (w = 0; w < MAX_WINDOWS; w++) {
		const struct window *win = &subject.know->hidden[w];

		if (win->region != pos >> REGION_SHIFT)
			continue;
		for (i = later(start, win->start); i < earlier(end, win->end); i++)
			p[i - start] = 0;
	}
}

void set_scratch(const struct scratch *s, u64 value)
{
	do_pwrite(subject.fd, &value, s->width, ((u64)s->region << REGION_SHIFT) + s->offset);
}

/* Read the register and its neighbours */
const char *show_scratch(const struct scratch *s)
{
	u64 pos = ((u64)s->region << REGION_SHIFT) + (s->offset & ~7);
	u8 buf[16];

	memset(buf, POISON, sizeof(buf));
	if (do_pread(subject.fd, buf, sizeof(buf), pos) < 0)
		return "no access";
	hide_volatile(buf, sizeof(buf), pos);
	return data(buf, sizeof(buf));
}

/* Pass NULL to get the first entry; returns NULL after the last */
const struct scratch *next_scratch(const struct scratch *s)
{
	s = s ? s + 1 : subject.know->scratch;
	if (s == subject.know->scratch + MAX_SCRATCH || !s->width)
		return NULL;
	return s;
}
