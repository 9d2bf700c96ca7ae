/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * vfio_pci_region_diff prints the behaviour of the regions of a vfio-pci device
 * as a transcript, which is the same on every run.
 */
#ifndef SELFTESTS_VFIO_REGION_DIFF_H
#define SELFTESTS_VFIO_REGION_DIFF_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/types.h>

#include <linux/bits.h>
#include <linux/compiler.h>
#include <linux/pci_regs.h>
#include <linux/sizes.h>
#include <linux/types.h>
#include <linux/vfio.h>

#include <libvfio.h>

#define REGION_SHIFT	40	/* VFIO_PCI_OFFSET_SHIFT of the kernel */
#define REGION_SPACE	BIT_ULL(REGION_SHIFT)
#define MAX_REGIONS	16	/* swept one by one */
#define MAX_RW		65536	/* largest access */
#define GUARD		32	/* bytes after a buffer that must not change */
#define POISON		0x5c	/* content of buffers before the call */
#define PAGE		4096UL
#define NUM(a)		(sizeof(a) / sizeof((a)[0]))

/* How fill_for_write() chooses a byte of a region */
enum fill {
	KEEP,		/* the value at open */
	PATTERN,	/* changes from case to case */
	ZERO,
	SMALL,		/* dwords with a value from 0 to 8 */
};

struct window {
	u8 region;
	enum fill fill;
	u64 start;
	u64 end;
};

/* A register that reads back the written value, or a function of it */
struct scratch {
	u8 region;
	u8 width;
	u32 offset;
	bool memory;	/* plain memory up to the end of the next page */
};

#define MAX_WINDOWS	12
#define MAX_SCRATCH	5

struct knowledge {
	u16 vendor;
	u16 device;
	enum fill fill;			/* outside of all windows */
	struct window window[MAX_WINDOWS];
	struct window hidden[MAX_WINDOWS];	/* volatile: not in the transcript */
	struct scratch scratch[MAX_SCRATCH];
	u32 settle_ms;			/* time to wait after a reset */
	void (*settle)(u64 pos, size_t n);	/* wait after a write */
};

struct subject {
	const char *bdf;
	const char *mode;
	bool quick;
	bool traced;	/* only accesses that do not depend on timing */
	bool unready;	/* each access waits long, and fails */
	u64 seed;

	struct iommu *iommu;
	struct vfio_pci_device *dev;
	int fd;
	bool cdev;

	u32 num_regions;
	u64 size[MAX_REGIONS];
	u32 flags[MAX_REGIONS];

	u16 command;			/* value while regions are swept */
	u8 pm, pcie;			/* capability offsets, or 0 */
	int msix_bar;
	u64 msix_start, msix_end;

	const struct knowledge *know;
};

extern struct subject subject;

/* subject.c */
void subject_open(void);
void subject_fails(void);
void subject_close(void);
u32 config_get(u32 offset, u32 width);
void config_set(u32 offset, u32 width, u32 value);

/* report.c */
extern unsigned long num_cases;
void in_stage(const char *name);
void in_state(const char *name);
void say(const char *format, ...) __printf(1, 2);
const char *result(long ret);
const char *data(const void *buf, size_t n);
const char *at(u64 pos);

/* call.c: system calls that return -errno on error */
long do_pread(int fd, void *buf, size_t n, u64 pos);
long do_pwrite(int fd, const void *buf, size_t n, u64 pos);
long do_ioctl(int fd, unsigned long request, void *arg);
long file_position(int fd);
int catch_faults(void (*fn)(void *), void *arg);

/* device.c */
void device_learn(void);
void device_settle(u64 pos, size_t n);
void device_settle_reset(void);
void device_keep_config(void);
void sleep_ms(u32 ms);
void fill_for_write(void *buf, size_t n, u64 pos);
void hide_volatile(void *buf, size_t n, u64 pos);
void set_scratch(const struct scratch *s, u64 value);
const char *show_scratch(const struct scratch *s);
const struct scratch *next_scratch(const struct scratch *s);

/* points.c: offsets and sizes */
struct points {
	size_t num;
	u64 at[160];
};

void points_of_region(struct points *p, u32 index, bool few);
#define SIZES_END ((size_t)-1)
extern const size_t sizes_all[], sizes_few[];

/* buffers.c: user buffers that fault */
void *buffer_ending_after(size_t n, bool writable);
void *buffer_with_hole(size_t before, size_t after);
void *buffer_bad(unsigned int i, const char **name);

/* fault.c */
void fault_region(u32 index, bool few);

/* rw.c */
void case_read(u64 pos, size_t n);
void case_write(u64 pos, size_t n);
void readback(u64 pos, size_t n);
void restore_command(void);

/* The stages, one per file */
void stage_info(void);
void stage_read(void);
void stage_write(void);
void stage_config(void);
void stage_fault(void);
void stage_vector(void);
void stage_mmap(void);
void stage_ioeventfd(void);
void stage_dmabuf(void);
void stage_alias(void);
void stage_power(void);
void stage_reset(void);
void stage_files(void);
void stage_seen(void);
void stage_added(void);
void stage_devmem(void);
void stage_unready(void);

/* Short forms, for each power and decode state */
void brief_info(void);
void brief_rw(void);
void brief_fault(void);
void brief_mmap(void);
void brief_ioeventfd(void);
void brief_dmabuf(void);

#endif
