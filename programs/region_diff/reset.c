// SPDX-License-Identifier: GPL-2.0-only
/* Accesses after a reset, and while another thread resets or toggles decode. */
#include <pthread.h>

#include <sys/mman.h>

#include "region_diff.h"

struct rival {
	pthread_t thread;
	void *(*run)(void *arg);
	bool done;
};

static void *reset_loop(void *arg)
{
	struct rival *rival = arg;
	int i;

	for (i = 0; i < 5; i++)
		do_ioctl(subject.fd, VFIO_DEVICE_RESET, NULL);
	WRITE_ONCE(rival->done, true);
	return NULL;
}

/* Toggle memory decode; leave it on */
static void *decode_loop(void *arg)
{
	struct rival *rival = arg;
	int i;

	for (i = 0; i < 200; i++) {
		config_set(PCI_COMMAND, 2, subject.command & ~PCI_COMMAND_MEMORY);
		config_set(PCI_COMMAND, 2, subject.command);
	}
	WRITE_ONCE(rival->done, true);
	return NULL;
}

static void touch(void *arg)
{
	(void)READ_ONCE(*(u32 *)arg);
}

/* A race has a fixed set of outcomes; their number and order vary */
struct outcomes {
	bool full;
	bool eio;
	bool other;
	long ret;
};

static void note(struct outcomes *o, long ret, size_t n)
{
	if (ret == (long)n) {
		o->full = true;
	} else if (ret == -EIO) {
		o->eio = true;
	} else {
		o->other = true;
		o->ret = ret;
	}
}

static void report(const char *name, const struct outcomes *o, bool may_fail)
{
	if (o->other)
		say("%s: %s", name, result(o->ret));
	else if (o->eio && !may_fail)
		say("%s: EIO", name);
	else
		say("%s: as allowed", name);
}

static void race(const char *name, void *(*run)(void *arg), bool may_fail)
{
	struct outcomes rd4 = {}, rd4k = {}, wr4 = {}, cfg = {}, map = {};
	const struct scratch *s = next_scratch(NULL);
	struct rival rival = { .run = run };
	u8 buf[PAGE];
	u64 pos;
	u8 *page;

	in_state(name);
	if (!s) {
		say("no register that is safe to use");
		return;
	}
	pos = (u64)s->region << REGION_SHIFT;
	page = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, subject.fd, pos);
	VFIO_ASSERT_EQ(pthread_create(&rival.thread, NULL, run, &rival), 0);
	while (!READ_ONCE(rival.done)) {
		note(&rd4, do_pread(subject.fd, buf, 4, pos), 4);
		note(&rd4k, do_pread(subject.fd, buf, PAGE, pos), PAGE);
		note(&wr4, do_pwrite(subject.fd, buf, s->width, pos + s->offset), s->width);
		note(&cfg, do_pread(subject.fd, buf, 256,
				    (u64)VFIO_PCI_CONFIG_REGION_INDEX << REGION_SHIFT), 256);
		if (page == MAP_FAILED)
			continue;
		note(&map, catch_faults(touch, page) ? -EIO : 0, 0);
	}
	pthread_join(rival.thread, NULL);
	/* The value of the last write varies, and a later run must not read it */
	set_scratch(s, 0);
	if (page != MAP_FAILED)
		munmap(page, PAGE);
	report("4 byte reads", &rd4, may_fail);
	report("4 KiB reads", &rd4k, may_fail);
	report("writes", &wr4, may_fail);
	report("config reads", &cfg, false);
	report("touches of a mapping", &map, may_fail);
	say("command %04x", config_get(PCI_COMMAND, 2));
}

static void after_reset(long ret)
{
	u32 i;

	say("reset = %s command %04x", result(ret), config_get(PCI_COMMAND, 2));
	device_settle_reset();
	for (i = 0; i < subject.size[VFIO_PCI_CONFIG_REGION_INDEX]; i += 16)
		case_read(((u64)VFIO_PCI_CONFIG_REGION_INDEX << REGION_SHIFT) + i, 16);
	config_set(PCI_COMMAND, 2, subject.command);
	brief_rw();
}

static long hot_reset_info(u32 argsz, u32 *count)
{
	struct {
		struct vfio_pci_hot_reset_info info;
		struct vfio_pci_dependent_device devices[64];
	} arg = { .info.argsz = argsz };
	long ret = do_ioctl(subject.fd, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, &arg);

	*count = arg.info.count;
	return ret;
}

static long hot_reset(u32 argsz, u32 flags, u32 num, int fd)
{
	struct {
		struct vfio_pci_hot_reset reset;
		int fds[4];
	} arg = {
		.reset.argsz = argsz,
		.reset.flags = flags,
		.reset.count = num,
		.fds = { fd, -1, -1, -1 },
	};

	return do_ioctl(subject.fd, VFIO_DEVICE_PCI_HOT_RESET, &arg);
}

static void hot_resets(void)
{
	u32 num = subject.cdev ? 0 : 1;
	u32 argsz, count, i;
	long ret;

	in_state("hot-reset");
	for (argsz = 0; argsz < 64; argsz += 4) {
		ret = hot_reset_info(argsz, &count);
		say("hot_reset_info argsz %u = %s", argsz, result(ret));
	}
	ret = hot_reset_info(64 * sizeof(struct vfio_pci_dependent_device), &count);
	say("hot_reset_info = %s count %u", result(ret), count);

	for (argsz = 0; argsz < 12; argsz += 4)
		say("hot_reset argsz %u = %s", argsz,
		    result(hot_reset(argsz, 0, num, subject.dev->group_fd)));
	for (i = 1; i < 4; i++)
		say("hot_reset flags %u = %s", i, result(hot_reset(64, i, num, -1)));
	say("hot_reset with the wrong number of groups = %s",
	    result(hot_reset(64, 0, !num, subject.dev->group_fd)));
	say("hot_reset with a bad fd = %s", result(hot_reset(64, 0, 1, -1)));
	say("hot_reset with a device fd = %s", result(hot_reset(64, 0, 1, subject.fd)));
	after_reset(hot_reset(64, 0, num, subject.dev->group_fd));
}

void stage_reset(void)
{
	const struct scratch *s;
	long ret;

	for (s = next_scratch(NULL); s; s = next_scratch(s)) {
		set_scratch(s, 0x0102030405060708ULL);
		say("before: %s", show_scratch(s));
	}
	ret = do_ioctl(subject.fd, VFIO_DEVICE_RESET, NULL);
	for (s = next_scratch(NULL); s; s = next_scratch(s))
		say("after: %s", show_scratch(s));
	after_reset(ret);

	/* A reset must not turn decode on */
	in_state("decode-off");
	config_set(PCI_COMMAND, 2, subject.command & ~PCI_COMMAND_MEMORY);
	ret = do_ioctl(subject.fd, VFIO_DEVICE_RESET, NULL);
	say("reset = %s command %04x", result(ret), config_get(PCI_COMMAND, 2));
	case_read(0, 4);
	after_reset(ret);

	hot_resets();
	race("reset-race", reset_loop, false);
	device_settle_reset();
	race("decode-race", decode_loop, true);
}
