// SPDX-License-Identifier: GPL-2.0-only
/*
 * Test the tracepoints vfio_pci:* with the vendor drivers of vfio_pci_testdrv.
 * Each access to a region, and each open and close of a vendor driver, must log
 * exactly one event, in order and with the result.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/uio.h>

#include "events.h"
#include "need.h"
#include "testdrv.h"

#include "kselftest_harness.h"

/* The last register of the offset space of a region */
#define LAST		((1ULL << 40) - 8)

const char *device_bdf;

FIXTURE(tracing) {
	struct iommu *iommu;
	struct vfio_pci_device *device;
	u64 bar_size;
	int fd;
};

FIXTURE_VARIANT(tracing) {
	const char *iommu_mode;
};

#define FIXTURE_VARIANT_ADD_IOMMU_MODE(mode) FIXTURE_VARIANT_IOMMU_MODE(tracing, mode)

FIXTURE_VARIANT_ADD_ALL_IOMMU_MODES();

static void trace(const char *on)
{
	put_tracing("events/vfio_pci/enable", on);
}

FIXTURE_SETUP(tracing)
{
	testdrv_set("handler", "keep");
	self->iommu = iommu_init(variant->iommu_mode);
	trace("1");
	put_tracing("tracing_on", "1");
	events();
}

FIXTURE_TEARDOWN(tracing)
{
	trace("0");
	put_tracing("events/vfio_pci/filter", "0");
	if (self->device)
		close_bare(self->device);
	iommu_cleanup(self->iommu);
}

/* Open the device, and clear the events of the open */
static void open_with(struct _test_data_tracing *self, const char *setup,
		      const char *high)
{
	struct region_info *info = calloc_assert(1, sizeof(*info));
	int ret;

	testdrv_setup(setup, "", high);
	self->device = open_bare(self->iommu, device_bdf, NULL, &ret);
	VFIO_ASSERT_EQ(ret, 0);
	self->fd = self->device->fd;
	vfio_pci_cmd_set(self->device, PCI_COMMAND_MEMORY);
	VFIO_ASSERT_EQ(get_region_info(self->device, 0, info), 0);
	self->bar_size = info->info.size;
	free(info);
	events();
}

static void close_again(struct _test_data_tracing *self)
{
	close_bare(self->device);
	self->device = NULL;
}

static int try_open(struct iommu *iommu, const char *setup, const char *same,
		    const char *high)
{
	struct vfio_pci_device *device;
	int ret;

	testdrv_setup(setup, same, high);
	device = open_bare(iommu, device_bdf, NULL, &ret);
	if (device)
		close_bare(device);

	return ret;
}

static ssize_t read_at(int fd, void *buf, size_t count, int index, u64 pos)
{
	ssize_t ret = pread(fd, buf, count, region_offset(index) + pos);

	ret = ret < 0 ? -errno : ret;
	want_access("region_read", index, pos, count, ret);

	return ret;
}

static ssize_t write_at(int fd, const void *buf, size_t count, int index, u64 pos)
{
	ssize_t ret = pwrite(fd, buf, count, region_offset(index) + pos);

	ret = ret < 0 ? -errno : ret;
	want_access("region_write", index, pos, count, ret);

	return ret;
}

static int map_at(int fd, size_t size, int index, u64 pos)
{
	void *map = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, region_offset(index) + pos);
	int ret = map == MAP_FAILED ? -errno : 0;

	want_access("region_map", index, pos, size, ret);
	if (!ret)
		munmap(map, size);

	return ret;
}

static int ioeventfd_at(int fd, int event_fd, int index, u64 pos)
{
	struct vfio_device_ioeventfd ioeventfd = {
		.argsz = sizeof(ioeventfd),
		.flags = VFIO_DEVICE_IOEVENTFD_32,
		.offset = region_offset(index) + pos,
		.fd = event_fd,
	};
	int ret = ioctl(fd, VFIO_DEVICE_IOEVENTFD, &ioeventfd) ? -errno : 0;

	want_access("region_ioeventfd", index, pos, 4, ret);

	return ret;
}

TEST_F_TIMEOUT(tracing, drivers_open_in_order_and_close_in_reverse, 120)
{
	ASSERT_EQ(0, try_open(self->iommu, "range 0 4 4; range 7 0x3c 1", "over 2",
			      "over 0; range 0 0 8; add 0xffff 1 64 3"));
	want_override("", 0, 4, 4, 0);
	want_override("", 7, 0x3c, 1, 0);
	want_open("", 0);
	want_override("_same", 2, 0, 0, 0);
	want_open("_same", 0);
	want_override("_high", 0, 0, 0, 0);
	want_override("_high", 0, 0, 8, 0);
	want_open("_high", 0);
	want_close("_high");
	want_close("_same");
	want_close("");
	ASSERT_STREQ(wanted(), events());
}

TEST_F_TIMEOUT(tracing, each_read_and_write_is_one_event, 120)
{
	u8 buf[64] = {};
	struct iovec iov[2] = { { buf, 4 }, { buf + 4, 4 } };
	void *bad = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	open_with(self, "range 0 4 4; range 7 0 2", "add 0xffff 1 64 3");

	/* In a range, beside it, and across its ends */
	ASSERT_EQ(4, read_at(self->fd, buf, 4, 0, 4));
	ASSERT_EQ(4, read_at(self->fd, buf, 4, 0, 0));
	ASSERT_EQ(8, read_at(self->fd, buf, 8, 0, 0));
	ASSERT_EQ(12, read_at(self->fd, buf, 12, 0, 0));
	ASSERT_EQ(4, write_at(self->fd, buf, 4, 0, 4));
	ASSERT_EQ(8, write_at(self->fd, buf, 8, 0, 0));
	ASSERT_EQ(2, read_at(self->fd, buf, 2, 7, 0));
	ASSERT_EQ(4, read_at(self->fd, buf, 4, 7, 0));
	ASSERT_EQ(2, write_at(self->fd, buf, 2, 7, 0));
	/* An added region, and a missing region */
	ASSERT_EQ(8, write_at(self->fd, buf, 16, 9, 56));
	ASSERT_EQ(8, read_at(self->fd, buf, 16, 9, 56));
	ASSERT_EQ(-EINVAL, read_at(self->fd, buf, 16, 9, 64));
	ASSERT_GT(0, read_at(self->fd, buf, 4, 8, 0));
	/* The end of a region, and invalid accesses */
	ASSERT_EQ(8, read_at(self->fd, buf, 16, 0, self->bar_size - 8));
	ASSERT_EQ(-EINVAL, read_at(self->fd, buf, 4, 0, self->bar_size));
	ASSERT_EQ(-EINVAL, write_at(self->fd, buf, 4, 0, LAST));
	ASSERT_EQ(-EFAULT, read_at(self->fd, bad, 4, 0, 4));
	ASSERT_EQ(-EFAULT, write_at(self->fd, bad, 4, 0, 0));
	/* Failing handlers */
	testdrv_set("handler", "fail");
	ASSERT_EQ(-EPERM, read_at(self->fd, buf, 8, 0, 0));
	ASSERT_EQ(-EPERM, write_at(self->fd, buf, 4, 0, 4));
	testdrv_set("handler", "nonsense");
	ASSERT_EQ(-EIO, read_at(self->fd, buf, 4, 0, 4));
	ASSERT_STREQ(wanted(), events());

	/* Each iovec is one event; an empty access or an invalid index is none */
	testdrv_set("handler", "keep");
	ASSERT_EQ(8, preadv(self->fd, iov, 2, 0));
	want_access("region_read", 0, 0, 4, 4);
	want_access("region_read", 0, 4, 4, 4);
	ASSERT_EQ(0, pread(self->fd, buf, 0, 0));
	ASSERT_EQ(-1, pread(self->fd, buf, 4, region_offset(10)));
	ASSERT_EQ(-1, pwrite(self->fd, buf, 4, region_offset(1000)));
	ASSERT_STREQ(wanted(), events());

	close_again(self);
	want_close("_high");
	want_close("_same");
	want_close("");
	ASSERT_STREQ(wanted(), events());
}

TEST_F_TIMEOUT(tracing, each_mmap_is_one_event, 120)
{
	open_with(self, "range 0 4 4", "add 0xffff 1 0x1000 5");
	ASSERT_EQ(-EINVAL, map_at(self->fd, PAGE, 0, 0));
	ASSERT_EQ(0, map_at(self->fd, PAGE, 0, PAGE));
	ASSERT_EQ(-EINVAL, map_at(self->fd, 2 * PAGE, 0, 0));
	ASSERT_EQ(0, map_at(self->fd, self->bar_size - PAGE, 0, PAGE));
	ASSERT_EQ(-EINVAL, map_at(self->fd, PAGE, 0, self->bar_size));
	ASSERT_EQ(-EINVAL, map_at(self->fd, PAGE, 7, 0));
	ASSERT_EQ(0, map_at(self->fd, PAGE, 9, 0));
	ASSERT_EQ(-EINVAL, map_at(self->fd, PAGE, 9, PAGE));
	ASSERT_STREQ(wanted(), events());
}

TEST_F_TIMEOUT(tracing, each_ioeventfd_is_one_event, 120)
{
	int event_fd = eventfd(0, EFD_CLOEXEC);

	open_with(self, "range 0 4 4", "");
	ASSERT_EQ(-EINVAL, ioeventfd_at(self->fd, event_fd, 0, 4));
	ASSERT_EQ(0, ioeventfd_at(self->fd, event_fd, 0, 8));
	ASSERT_EQ(-EEXIST, ioeventfd_at(self->fd, event_fd, 0, 8));
	ASSERT_EQ(0, ioeventfd_at(self->fd, -1, 0, 8));
	ASSERT_STREQ(wanted(), events());
	close_again(self);

	/* A region without ioeventfd support fails with the same event */
	open_with(self, "whole 0", "");
	ASSERT_EQ(-EINVAL, ioeventfd_at(self->fd, event_fd, 0, 8));
	ASSERT_STREQ(wanted(), events());
	close(event_fd);
}

TEST_F_TIMEOUT(tracing, failed_open_closes_only_opened_drivers, 120)
{
	ASSERT_EQ(EIO, try_open(self->iommu, "range 0 4 4; fail 5", "", ""));
	want_override("", 0, 4, 4, 0);
	want_open("", -EIO);
	ASSERT_STREQ(wanted(), events());

	ASSERT_EQ(EBUSY, try_open(self->iommu, "range 0 4 4", "range 0 6 8", ""));
	want_override("", 0, 4, 4, 0);
	want_open("", 0);
	want_override("_same", 0, 6, 8, -EBUSY);
	want_open("_same", -EBUSY);
	want_close("");
	ASSERT_STREQ(wanted(), events());

	/* An invalid override */
	ASSERT_EQ(EINVAL, try_open(self->iommu, "whole 0; flags 0x80", "", ""));
	want_override("", 0, 0, 0, -EINVAL);
	want_open("", -EINVAL);
	ASSERT_STREQ(wanted(), events());

	/* -ENODEV: the drivers do not support this device */
	ASSERT_EQ(0, try_open(self->iommu, "fail 19", "", "fail 19"));
	want_open("", -ENODEV);
	want_open("_same", 0);
	want_open("_high", -ENODEV);
	want_close("_same");
	ASSERT_STREQ(wanted(), events());
}

TEST_F_TIMEOUT(tracing, failed_override_is_one_event, 120)
{
	static const struct {
		const char *setup;
		int index;
		u64 start, size;
	} cases[] = {
		{ "range 0 4 0", 0, 4, 0 },
		{ "range 0 -4 8", 0, -4, 8 },
		{ "range 0 0x10000000 4", 0, 0x10000000, 4 },
		{ "range 6 0 4", 6, 0, 4 },
		{ "range 9 0 4", 9, 0, 4 },
		{ "over 9", 9, 0, 0 },
	};
	int i;

	/* Another test covers failed opens */
	trace("0");
	put_tracing("events/vfio_pci/vfio_pci_vendor_override/enable", "1");
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		ASSERT_EQ(EINVAL, try_open(self->iommu, cases[i].setup, "", ""));
		want_override("", cases[i].index, cases[i].start, cases[i].size, -EINVAL);
		EXPECT_STREQ(wanted(), events());
	}
}

static const char *const all_events[] = {
	"vendor_override", "vendor_open", "region_read", "region_write", "region_map",
	"region_ioeventfd", "vendor_close",
};

/* Trigger all events, and clear the expected ones */
static void do_all(struct iommu *iommu)
{
	int event_fd = eventfd(0, EFD_CLOEXEC);
	struct vfio_pci_device *device;
	u32 value = 0;
	int ret;

	testdrv_setup("range 0 4 4", "", "");
	device = open_bare(iommu, device_bdf, NULL, &ret);
	VFIO_ASSERT_EQ(ret, 0);
	write_at(device->fd, (u8[]){ PCI_COMMAND_MEMORY }, 1, 7, PCI_COMMAND);
	read_at(device->fd, &value, 4, 0, 4);
	read_at(device->fd, &value, 2, 7, 0);
	read_at(device->fd, &value, 4, 0, LAST);
	map_at(device->fd, PAGE, 0, PAGE);
	ioeventfd_at(device->fd, event_fd, 0, 8);
	close_bare(device);
	close(event_fd);
	wanted();
}

static void set_filter(const char *event, const char *text)
{
	char file[128];

	snprintf_assert(file, sizeof(file), "events/vfio_pci/vfio_pci_%s/filter", event);
	put_tracing(file, text);
}

TEST_F_TIMEOUT(tracing, only_enabled_tracepoints_print_events, 120)
{
	char file[128];
	const char *e;
	int i;

	trace("0");
	do_all(self->iommu);
	ASSERT_STREQ("", events());

	for (i = 0; i < ARRAY_SIZE(all_events); i++) {
		snprintf_assert(file, sizeof(file), "events/vfio_pci/vfio_pci_%s/enable",
				all_events[i]);
		put_tracing(file, "1");
		do_all(self->iommu);
		put_tracing(file, "0");
		e = events();
		ASSERT_STRNE("", e);
		for (; *e; e = strchr(e, '\n') + 1)
			ASSERT_EQ(0, strncmp(e, all_events[i], strlen(all_events[i]))) {
				TH_LOG("enabled %s, got %s", all_events[i], e);
			}
	}
}

/* perf and trace-cmd use such filters */
TEST_F_TIMEOUT(tracing, each_field_filters_events, 120)
{
	const char *e;
	char text[64];
	int i;

	/* Filter by one field at a time */
	trace("0");
	put_tracing("events/vfio_pci/vfio_pci_region_read/enable", "1");
	set_filter("region_read", "index == 0");
	do_all(self->iommu);
	want_access("region_read", 0, 4, 4, 4);
	want_access("region_read", 0, LAST, 4, -EINVAL);
	ASSERT_STREQ(wanted(), events());
	set_filter("region_read", "ret < 0");
	do_all(self->iommu);
	want_access("region_read", 0, LAST, 4, -EINVAL);
	ASSERT_STREQ(wanted(), events());
	set_filter("region_read", "pos == 4");
	do_all(self->iommu);
	want_access("region_read", 0, 4, 4, 4);
	ASSERT_STREQ(wanted(), events());
	set_filter("region_read", "count == 2 && index == 7");
	do_all(self->iommu);
	want_access("region_read", 7, 0, 2, 2);
	ASSERT_STREQ(wanted(), events());

	trace("0");
	set_filter("vendor_override", "index == 0 && start == 4 && size == 4 && ret == 0");
	set_filter("vendor_open", "driver == \"vfio_pci_testdrv_same\"");
	set_filter("vendor_close", "driver ~ \"*_high\" && ret == 0");
	put_tracing("events/vfio_pci/vfio_pci_vendor_override/enable", "1");
	put_tracing("events/vfio_pci/vfio_pci_vendor_open/enable", "1");
	put_tracing("events/vfio_pci/vfio_pci_vendor_close/enable", "1");
	do_all(self->iommu);
	want_override("", 0, 4, 4, 0);
	want_open("_same", 0);
	want_close("_high");
	ASSERT_STREQ(wanted(), events());

	/* Filter by device */
	snprintf_assert(text, sizeof(text), "name == \"%s\"", device_bdf);
	for (i = 0; i < ARRAY_SIZE(all_events); i++)
		set_filter(all_events[i], text);
	trace("1");
	do_all(self->iommu);
	e = events();
	for (i = 0; i < ARRAY_SIZE(all_events); i++)
		ASSERT_NE(NULL, strstr(e, all_events[i]));
	for (i = 0; i < ARRAY_SIZE(all_events); i++)
		set_filter(all_events[i], "name == \"0000:ff:1f.7\"");
	do_all(self->iommu);
	ASSERT_STREQ("", events());
}

int main(int argc, char *argv[])
{
	device_bdf = need_bdf(&argc, argv);
	testdrv_begin();
	if (!tracing_begin())
		ksft_exit_skip("no tracing instance (%m); needs CONFIG_TRACING and root\n");
	need_file("/sys/kernel/tracing/events/vfio_pci", "the tracepoints of vfio-pci");
	at_end(tracing_end);

	return test_harness_run(argc, argv);
}
