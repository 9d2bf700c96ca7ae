// SPDX-License-Identifier: GPL-2.0-only
/* All kinds of access while decode is off or the device is in low power. */
#include <sys/eventfd.h>
#include <sys/mman.h>

#include "region_diff.h"

struct mapped {
	u8 *map;
	size_t len;
};

static struct mapped mapped[6];

static void touch(void *arg)
{
	(void)READ_ONCE(*(u32 *)arg);
}

/* Map and touch the BARs before the state changes */
static void map_before(void)
{
	u32 i;

	for (i = 0; i < 6; i++) {
		mapped[i].map = NULL;
		mapped[i].len = (subject.size[i] + PAGE - 1) & ~(PAGE - 1);
		if (!(subject.flags[i] & VFIO_REGION_INFO_FLAG_MMAP))
			continue;
		mapped[i].map = mmap(NULL, mapped[i].len, PROT_READ, MAP_SHARED, subject.fd,
				     (u64)i << REGION_SHIFT);
		if (mapped[i].map == MAP_FAILED) {
			say("mapping of region %u = %s", i, result(-errno));
			mapped[i].map = NULL;
			continue;
		}
		catch_faults(touch, mapped[i].map);
	}
}

static void look_at_maps(const char *when)
{
	u32 i;

	for (i = 0; i < 6; i++) {
		if (!mapped[i].map)
			continue;
		say("%s: mapping of region %u touched: signal %d, last page: signal %d", when, i,
		    catch_faults(touch, mapped[i].map),
		    catch_faults(touch, mapped[i].map + mapped[i].len - PAGE));
	}
}

static void unmap_after(void)
{
	u32 i;

	for (i = 0; i < 6; i++)
		if (mapped[i].map)
			munmap(mapped[i].map, mapped[i].len);
}

static void all_accesses(void)
{
	look_at_maps("during");
	brief_info();
	brief_rw();
	brief_fault();
	brief_mmap();
	brief_ioeventfd();
	brief_dmabuf();
	look_at_maps("at the end");
}

static void decode_off(const char *name, u16 bits)
{
	u16 command = subject.command;

	in_state(name);
	map_before();
	subject.command = command & ~bits;
	config_set(PCI_COMMAND, 2, subject.command);
	device_keep_config();
	say("command %04x", config_get(PCI_COMMAND, 2));
	all_accesses();
	subject.command = command;
	config_set(PCI_COMMAND, 2, command);
	device_keep_config();
	look_at_maps("after");
	say("command %04x", config_get(PCI_COMMAND, 2));
	unmap_after();
	brief_rw();
}

static void d_state(const char *name, u16 state)
{
	u16 control;

	in_state(name);
	if (!subject.pm) {
		say("no power management");
		return;
	}
	map_before();
	control = config_get(subject.pm + PCI_PM_CTRL, 2) & ~PCI_PM_CTRL_STATE_MASK;
	config_set(subject.pm + PCI_PM_CTRL, 2, control | state);
	device_keep_config();
	say("control %04x", config_get(subject.pm + PCI_PM_CTRL, 2));
	all_accesses();
	config_set(subject.pm + PCI_PM_CTRL, 2, control);
	say("control %04x command %04x", config_get(subject.pm + PCI_PM_CTRL, 2),
	    config_get(PCI_COMMAND, 2));
	look_at_maps("after");
	config_set(PCI_COMMAND, 2, subject.command);
	device_keep_config();
	look_at_maps("after command");
	unmap_after();
	device_settle_reset();
	brief_rw();
}

static long feature(u32 flags, void *payload, size_t n)
{
	struct {
		struct vfio_device_feature feature;
		u8 payload[32];
	} arg = {
		.feature.argsz = sizeof(arg.feature) + n,
		.feature.flags = flags,
	};

	if (n)
		memcpy(arg.payload, payload, n);
	return do_ioctl(subject.fd, VFIO_DEVICE_FEATURE, &arg);
}

/* Runtime PM suspends the device later, in a worker */
static void wait_suspended(void)
{
	char path[128], status[32];
	int i;
	FILE *f;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/power/runtime_status", subject.bdf);
	for (i = 0; i < 100; i++) {
		f = fopen(path, "r");
		if (!f)
			return;
		if (!fgets(status, sizeof(status), f))
			status[0] = '\0';
		fclose(f);
		if (!strcmp(status, "suspended\n"))
			break;
		sleep_ms(10);
	}
	say("device is %.*s", (int)strcspn(status, "\n"), status);
}

/* Each access resumes the device, which is slow: do only a few */
static void low_power_accesses(void)
{
	u32 index;

	for (index = 0; index < subject.num_regions + 1; index++) {
		u64 base = (u64)index << REGION_SHIFT;

		case_read(base, 4);
		case_read(base + 0x80, 64);
		case_read(base + 0x80, 4096);
		case_write(base + 0x80, 4);
	}
}

static void low_power(void)
{
	u32 set = VFIO_DEVICE_FEATURE_SET;
	struct vfio_device_low_power_entry_with_wakeup wakeup = { };
	u64 count = 0;

	in_state("low-power");
	map_before();
	say("exit without entry = %s",
	    result(feature(set | VFIO_DEVICE_FEATURE_LOW_POWER_EXIT, NULL, 0)));
	say("entry = %s", result(feature(set | VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY, NULL, 0)));
	wait_suspended();
	say("entry again = %s", result(feature(set | VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY,
					       NULL, 0)));
	look_at_maps("during");
	low_power_accesses();
	look_at_maps("still during");
	say("exit = %s", result(feature(set | VFIO_DEVICE_FEATURE_LOW_POWER_EXIT, NULL, 0)));
	look_at_maps("after");
	brief_rw();

	in_state("low-power-wakeup");
	wakeup.wakeup_eventfd = eventfd(0, EFD_NONBLOCK);
	say("entry = %s", result(feature(set | VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY_WITH_WAKEUP,
					 &wakeup, sizeof(wakeup))));
	wait_suspended();
	case_read(0, 4);
	if (read(wakeup.wakeup_eventfd, &count, 8) != 8)
		count = 0;
	say("wakeups %llu", (unsigned long long)count);
	look_at_maps("after");
	say("exit = %s", result(feature(set | VFIO_DEVICE_FEATURE_LOW_POWER_EXIT, NULL, 0)));
	close(wakeup.wakeup_eventfd);
	unmap_after();
	brief_rw();
}

void stage_power(void)
{
	decode_off("memory-off", PCI_COMMAND_MEMORY);
	if (!subject.quick) {
		decode_off("io-off", PCI_COMMAND_IO);
		decode_off("decode-off", PCI_COMMAND_MEMORY | PCI_COMMAND_IO);
		d_state("d1", 1);
	}
	d_state("d3hot", 3);
	low_power();
}
