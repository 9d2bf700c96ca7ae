// SPDX-License-Identifier: GPL-2.0-only
/*
 * Test vfio-pci drivers in BPF on QEMU's edu device.  Needs the module vfio-pci-bpf
 * (CONFIG_VFIO_PCI_BPF).  Some tests need the sample vfio_pci_edu, others
 * CONFIG_FAULT_INJECTION and CONFIG_FAILSLAB.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/capability.h>
#include <linux/userfaultfd.h>
#include <linux/vfio.h>

#include <libvfio.h>

#include "kselftest_harness.h"
#include "vendor/fail_nth_util.h"
#include "vendor/need.h"
#include "vendor/testdrv.h"

#include "test.h"
#include "test.skel.h"

#define EDU_VENDOR		0x1234
#define EDU_DEVICE		0x11e8

/* One more than a device may have, with that of the fixture */
#define MAX_DRIVERS		8

/* Registers in BAR 0.  A read of LIVENESS returns the inverse of the last write. */
#define EDU_IDENTIFICATION	0x00
#define EDU_ID			0x010000ed
#define EDU_LIVENESS		0x04
/* Bit 7 can be written */
#define EDU_STATUS		0x20

struct test_id {
	u16 vendor, device, subvendor, subdevice;
	u32 class, class_mask;
};

/* The data of a struct_ops map before it is loaded */
struct test_ops {
	char name[32];
	struct test_id ids[16];
	s32 priority;
};

const char *device_bdf;

/* A test expects an error */
static bool libbpf_quiet;

static int libbpf_print(enum libbpf_print_level level, const char *format,
			va_list args)
{
	if (level == LIBBPF_DEBUG || libbpf_quiet)
		return 0;

	return vfprintf(stderr, format, args);
}

static struct test_ops *ops_of(struct bpf_map *map)
{
	size_t size;

	return bpf_map__initial_value(map, &size);
}

/* Open the driver's file for a device, without loading it into the kernel */
static struct test_bpf *open_driver(const char *name, int priority)
{
	struct test_bpf *bpf = test_bpf__open();
	struct test_ops *ops;

	VFIO_ASSERT_NOT_NULL(bpf);
	ops = ops_of(bpf->maps.test_ops);
	strcpy(ops->name, name);
	ops->priority = priority;
	ops->ids[0].vendor = EDU_VENDOR;
	ops->ids[0].device = EDU_DEVICE;
	ops_of(bpf->maps.write_only_ops)->ids[0] = ops->ids[0];
	ops_of(bpf->maps.open_only_ops)->ids[0] = ops->ids[0];

	return bpf;
}

/* Load a driver that overrides a register */
static struct test_bpf *load_driver(const char *name, int priority, u64 start,
				    u64 size)
{
	struct test_bpf *bpf = open_driver(name, priority);

	VFIO_ASSERT_EQ(test_bpf__load(bpf), 0);
	bpf->bss->settings.ranges[0].start = start;
	bpf->bss->settings.ranges[0].size = size;

	return bpf;
}

static struct bpf_link *attach(struct bpf_map *map)
{
	struct bpf_link *link = bpf_map__attach_struct_ops(map);

	VFIO_ASSERT_NOT_NULL(link);

	return link;
}

static void detach(struct bpf_link *link)
{
	VFIO_ASSERT_EQ(bpf_link__destroy(link), 0);
}

static ssize_t read_bar(struct vfio_pci_device *device, u64 pos, void *buf,
			size_t count)
{
	ssize_t ret = pread(device->fd, buf, count, region_offset(0) + pos);

	return ret < 0 ? -errno : ret;
}

static ssize_t write_bar(struct vfio_pci_device *device, u64 pos, const void *buf,
			 size_t count)
{
	ssize_t ret = pwrite(device->fd, buf, count, region_offset(0) + pos);

	return ret < 0 ? -errno : ret;
}

static u32 read_reg(struct vfio_pci_device *device, u64 pos)
{
	u32 val;

	VFIO_ASSERT_EQ(read_bar(device, pos, &val, sizeof(val)), (ssize_t)sizeof(val));

	return val;
}

static void write_reg(struct vfio_pci_device *device, u64 pos, u32 val)
{
	VFIO_ASSERT_EQ(write_bar(device, pos, &val, sizeof(val)), (ssize_t)sizeof(val));
}

/* For tests that do not depend on the IOMMU mode */
static const char *any_mode(void)
{
	return access("/dev/iommu", F_OK) ? "vfio_type1v2_iommu" : "iommufd";
}

/* Open and close the device; return 0 or the errno of the open */
static int open_errno(void)
{
	struct iommu *iommu = iommu_init(any_mode());
	struct vfio_pci_device *device;
	int ret;

	device = open_bare(iommu, device_bdf, NULL, &ret);
	if (device)
		close_bare(device);
	iommu_cleanup(iommu);

	return device ? 0 : ret;
}

/* The kernel's messages from here on */
static int kmsg_open(void)
{
	int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK);

	VFIO_ASSERT_GE(fd, 0);
	VFIO_ASSERT_GE(lseek(fd, 0, SEEK_END), 0);

	return fd;
}

static bool kmsg_has(int fd, const char *text)
{
	char line[2048];
	bool found = false;
	ssize_t len;

	while ((len = read(fd, line, sizeof(line) - 1)) > 0) {
		line[len] = '\0';
		found |= !!strstr(line, text);
	}
	close(fd);

	return found;
}

FIXTURE(vfio_pci_bpf_test) {
	struct iommu *iommu;
	struct vfio_pci_device *device;
	struct test_bpf *bpf;
	struct bpf_link *link;
};

FIXTURE_VARIANT(vfio_pci_bpf_test) {
	const char *iommu_mode;
};

#define FIXTURE_VARIANT_ADD_IOMMU_MODE(mode) \
	FIXTURE_VARIANT_IOMMU_MODE(vfio_pci_bpf_test, mode)

FIXTURE_VARIANT_ADD_ALL_IOMMU_MODES();

FIXTURE_SETUP(vfio_pci_bpf_test)
{
	self->bpf = load_driver("test", 0, EDU_LIVENESS, 4);
	self->link = attach(self->bpf->maps.test_ops);
	self->iommu = iommu_init(variant->iommu_mode);
	self->device = vfio_pci_device_init(device_bdf, self->iommu);
}

FIXTURE_TEARDOWN(vfio_pci_bpf_test)
{
	if (self->device)
		vfio_pci_device_cleanup(self->device);
	iommu_cleanup(self->iommu);
	if (self->link)
		detach(self->link);
	test_bpf__destroy(self->bpf);
}

#define REOPEN() do {							  \
	vfio_pci_device_cleanup(self->device);				  \
	self->device = vfio_pci_device_init(device_bdf, self->iommu);	  \
} while (0)

TEST_F(vfio_pci_bpf_test, programs_get_only_their_range)
{
	struct test_settings *settings = &self->bpf->bss->settings;
	struct test_seen *seen = &self->bpf->bss->seen;
	u32 bytes[3];
	u8 byte;

	ASSERT_EQ(1, seen->opens);
	ASSERT_EQ(EDU_VENDOR, seen->vendor);
	ASSERT_EQ(EDU_DEVICE, seen->device);

	settings->val = 0xffffffff12345678;
	ASSERT_EQ(0x12345678, read_reg(self->device, EDU_LIVENESS));
	ASSERT_EQ(EDU_ID, read_reg(self->device, EDU_IDENTIFICATION));
	ASSERT_EQ(1, seen->reads);
	ASSERT_EQ(EDU_LIVENESS, seen->pos);
	ASSERT_EQ(4, seen->width);
	ASSERT_EQ(VFIO_PCI_BAR0_REGION_INDEX, seen->region);
	/* The core clears the value before the program runs */
	ASSERT_EQ(0, seen->val);

	/* The core splits a long access */
	ASSERT_EQ(12, read_bar(self->device, 0, bytes, sizeof(bytes)));
	ASSERT_EQ(EDU_ID, bytes[0]);
	ASSERT_EQ(0x12345678, bytes[1]);
	ASSERT_EQ(2, seen->reads);
	ASSERT_EQ(1, read_bar(self->device, EDU_LIVENESS + 1, &byte, 1));
	ASSERT_EQ(0x78, byte);
	ASSERT_EQ(1, seen->width);
	ASSERT_EQ(EDU_LIVENESS + 1, seen->pos);

	write_reg(self->device, EDU_LIVENESS, 0xcafe0001);
	ASSERT_EQ(1, seen->writes);
	ASSERT_EQ(0xcafe0001, seen->val);

	REOPEN();
	ASSERT_EQ(2, seen->opens);
	ASSERT_EQ(1, seen->closes);
}

TEST_F(vfio_pci_bpf_test, programs_access_the_register_below)
{
	struct test_settings *settings = &self->bpf->bss->settings;

	settings->mode = TEST_LOWER;
	write_reg(self->device, EDU_LIVENESS, 0x0f0f0f0f);
	ASSERT_EQ(0xf0f0f0f0, read_reg(self->device, EDU_LIVENESS));
	/* The programs invert these bits of the written and of the read value */
	settings->val = 0xff;
	write_reg(self->device, EDU_LIVENESS, 0x12345678);
	settings->val = 0xff00;
	ASSERT_EQ(~0x12345687 ^ 0xff00, read_reg(self->device, EDU_LIVENESS));

	/* The same errno as without the program */
	vfio_pci_cmd_clear(self->device, PCI_COMMAND_MEMORY);
	ASSERT_EQ(-EIO, write_bar(self->device, EDU_LIVENESS, "abcd", 4));
}

TEST_F(vfio_pci_bpf_test, programs_access_registers_in_their_ranges)
{
	struct test_settings *settings = &self->bpf->bss->settings;
	u32 val;

	settings->ranges[1].start = EDU_STATUS;
	settings->ranges[1].size = 8;
	REOPEN();

	settings->mode = TEST_REG;
	settings->reg = EDU_STATUS;
	settings->width = 4;
	write_reg(self->device, EDU_LIVENESS, 0x80);
	ASSERT_EQ(0x80, read_reg(self->device, EDU_LIVENESS));
	settings->mode = TEST_LOWER;
	ASSERT_EQ(0x80, read_reg(self->device, EDU_STATUS));

	/* Not other registers, not with another width, not in other regions */
	settings->mode = TEST_REG;
	settings->reg = EDU_IDENTIFICATION;
	ASSERT_EQ(-EACCES, read_bar(self->device, EDU_LIVENESS, &val, 4));
	ASSERT_EQ(-EACCES, write_bar(self->device, EDU_LIVENESS, &val, 4));
	settings->width = 8;
	ASSERT_EQ(-EACCES, read_bar(self->device, EDU_LIVENESS, &val, 4));
	settings->reg = EDU_LIVENESS;
	ASSERT_EQ(-EACCES, read_bar(self->device, EDU_LIVENESS, &val, 4));
	settings->reg = EDU_STATUS + 4;
	ASSERT_EQ(-EACCES, read_bar(self->device, EDU_LIVENESS, &val, 4));
	settings->reg = -4;
	ASSERT_EQ(-EACCES, read_bar(self->device, EDU_LIVENESS, &val, 4));
	settings->reg = -1;
	ASSERT_EQ(-EACCES, read_bar(self->device, EDU_LIVENESS, &val, 4));
	settings->reg = EDU_STATUS;
	settings->reg_region = VFIO_PCI_CONFIG_REGION_INDEX;
	ASSERT_EQ(-EACCES, read_bar(self->device, EDU_LIVENESS, &val, 4));
	settings->reg_region = -1;
	ASSERT_EQ(-EACCES, read_bar(self->device, EDU_LIVENESS, &val, 4));
	settings->reg_region = 0;
	/* No such register */
	settings->width = 3;
	ASSERT_EQ(-EINVAL, read_bar(self->device, EDU_LIVENESS, &val, 4));
	settings->width = 0;
	ASSERT_EQ(-EINVAL, read_bar(self->device, EDU_LIVENESS, &val, 4));
	settings->width = 4;
	settings->reg = EDU_STATUS + 2;
	ASSERT_EQ(-EINVAL, read_bar(self->device, EDU_LIVENESS, &val, 4));
}

TEST_F(vfio_pci_bpf_test, programs_read_config_space)
{
	struct test_settings *settings = &self->bpf->bss->settings;
	u32 val;

	/* The driver overrides the ids, and reads the ones below */
	settings->ranges[1].region = VFIO_PCI_CONFIG_REGION_INDEX;
	settings->ranges[1].size = 4;
	REOPEN();
	settings->val = 0x55667788;
	ASSERT_EQ(0x7788, vfio_pci_config_readw(self->device, PCI_VENDOR_ID));
	settings->mode = TEST_CONFIG;
	settings->width = 2;
	ASSERT_EQ(EDU_VENDOR, read_reg(self->device, EDU_LIVENESS));
	ASSERT_EQ(EDU_VENDOR, vfio_pci_config_readw(self->device, PCI_DEVICE_ID));
	settings->reg = PCI_DEVICE_ID;
	ASSERT_EQ(EDU_DEVICE, read_reg(self->device, EDU_LIVENESS));

	settings->width = 8;
	settings->reg = 0;
	ASSERT_EQ(-EINVAL, read_bar(self->device, EDU_LIVENESS, &val, 4));
	settings->width = 4;
	settings->reg = 4096;
	ASSERT_EQ(-EINVAL, read_bar(self->device, EDU_LIVENESS, &val, 4));
}

TEST_F(vfio_pci_bpf_test, bad_results_become_errors)
{
	struct test_settings *settings = &self->bpf->bss->settings;
	static const struct {
		int ret, errno_;
	} results[] = {
		{ 0, 0 },
		{ -EPERM, EPERM },
		{ -ENODEV, ENODEV },
		{ 1, EIO },
		{ 4, EIO },
		{ INT32_MAX, EIO },
		{ -4095, 4095 },
		{ -4096, EIO },
		{ INT32_MIN, EIO },
	};
	unsigned int i;
	u32 val;

	settings->val = 0x1234;
	for (i = 0; i < ARRAY_SIZE(results); i++) {
		settings->ret = results[i].ret;
		val = 0xaaaaaaaa;
		ASSERT_EQ(results[i].errno_ ? -results[i].errno_ : 4,
			  read_bar(self->device, EDU_LIVENESS, &val, 4));
		/* Neither the device nor the program gives a value */
		ASSERT_EQ(results[i].errno_ ? 0xaaaaaaaa : 0x1234, val);
		ASSERT_EQ(results[i].errno_ ? -results[i].errno_ : 4,
			  write_bar(self->device, EDU_LIVENESS, &val, 4));
	}
	/* No write has reached the device */
	settings->mode = TEST_LOWER;
	settings->val = 0;
	write_reg(self->device, EDU_LIVENESS, 0);
	settings->mode = TEST_VALUE;
	settings->ret = 1;
	ASSERT_EQ(-EIO, write_bar(self->device, EDU_LIVENESS, "abcd", 4));
	settings->mode = TEST_LOWER;
	ASSERT_EQ(0xffffffff, read_reg(self->device, EDU_LIVENESS));
}

TEST_F(vfio_pci_bpf_test, full_map_and_long_loop_do_no_harm)
{
	struct test_settings *settings = &self->bpf->bss->settings;
	u32 val;
	u16 half;

	settings->mode = TEST_MAP;
	ASSERT_EQ(4, read_bar(self->device, EDU_LIVENESS, &val, 4));
	ASSERT_EQ(2, read_bar(self->device, EDU_LIVENESS + 2, &half, 2));
	ASSERT_EQ(-E2BIG, read_bar(self->device, EDU_LIVENESS + 1, &half, 1));

	/* The limit of bpf_loop() */
	settings->mode = TEST_LOOP;
	settings->val = 1 << 23;
	ASSERT_EQ(1 << 23, read_reg(self->device, EDU_LIVENESS));
	settings->val++;
	ASSERT_EQ(-E2BIG, read_bar(self->device, EDU_LIVENESS, &val, 4));
}

TEST_F(vfio_pci_bpf_test, userspace_cannot_map_the_range)
{
	struct region_info info;
	struct vfio_region_info_cap_sparse_mmap *sparse;

	get_region_info(self->device, 0, &info);
	sparse = (void *)find_cap(&info, VFIO_REGION_INFO_CAP_SPARSE_MMAP);
	ASSERT_NE(NULL, sparse);
	ASSERT_EQ(1, sparse->nr_areas);
	ASSERT_EQ(PAGE, sparse->areas[0].offset);
	ASSERT_EQ(MAP_FAILED, mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED,
				   self->device->fd, region_offset(0)));
	ASSERT_EQ(EINVAL, errno);
}

TEST_F(vfio_pci_bpf_test, capabilities_are_hidden_and_added)
{
	struct test_settings *settings = &self->bpf->bss->settings;
	struct test_seen *seen = &self->bpf->bss->seen;
	struct vfio_region_info_cap_type *type;
	struct region_info info;
	u32 words[4];
	u8 pos;

	ASSERT_NE(0, find_pci_cap(self->device, PCI_CAP_ID_MSI));
	ASSERT_EQ(0, find_pci_cap(self->device, PCI_CAP_ID_VNDR));

	settings->hide_cap = PCI_CAP_ID_MSI;
	settings->add_cap = PCI_CAP_ID_VNDR;
	settings->add_memory = VFIO_REGION_TYPE_PCI_VENDOR_TYPE | EDU_VENDOR;
	REOPEN();
	ASSERT_EQ(0, seen->open_ret);
	ASSERT_EQ(0, find_pci_cap(self->device, PCI_CAP_ID_MSI));
	pos = find_pci_cap(self->device, PCI_CAP_ID_VNDR);
	ASSERT_NE(0, pos);
	ASSERT_EQ(seen->cap, pos);
	ASSERT_EQ(0xc5c4c3c2, vfio_pci_config_readl(self->device, pos + 4));

	ASSERT_EQ(VFIO_PCI_NUM_REGIONS + 1, self->device->info.num_regions);
	get_region_info(self->device, VFIO_PCI_NUM_REGIONS, &info);
	ASSERT_EQ(sizeof(words), info.info.size);
	ASSERT_EQ(0, info.info.flags & VFIO_REGION_INFO_FLAG_WRITE);
	type = (void *)find_cap(&info, VFIO_REGION_INFO_CAP_TYPE);
	ASSERT_NE(NULL, type);
	ASSERT_EQ(settings->add_memory, type->type);
	ASSERT_EQ(sizeof(words), pread(self->device->fd, words, sizeof(words),
				       info.info.offset));
	ASSERT_EQ(0x44444444, words[3]);

	/* An unknown capability fails the open if the program says so */
	vfio_pci_device_cleanup(self->device);
	self->device = NULL;
	settings->hide_ext_cap = PCI_EXT_CAP_ID_SRIOV;
	ASSERT_EQ(ENOENT, open_errno());
}

TEST_F(vfio_pci_bpf_test, open_program_decides)
{
	struct test_settings *settings = &self->bpf->bss->settings;
	struct test_seen *seen = &self->bpf->bss->seen;
	int closes;

	vfio_pci_device_cleanup(self->device);
	self->device = NULL;
	closes = seen->closes;

	settings->open_ret = -EPERM;
	ASSERT_EQ(EPERM, open_errno());
	settings->open_ret = 1;
	ASSERT_EQ(EIO, open_errno());
	settings->open_ret = 0;
	/* Past the end of the BAR, no such region, the same bytes twice */
	settings->ranges[1].start = 0x100000;
	settings->ranges[1].size = 1;
	ASSERT_EQ(EINVAL, open_errno());
	settings->ranges[1].start = 0;
	settings->ranges[1].region = 99;
	ASSERT_EQ(EINVAL, open_errno());
	settings->ranges[1].region = 0;
	settings->ranges[1].start = EDU_LIVENESS + 3;
	ASSERT_EQ(EBUSY, open_errno());
	settings->ranges[1].size = 0;
	ASSERT_EQ(closes, seen->closes);

	/* Without the driver */
	settings->open_ret = -ENODEV;
	self->device = vfio_pci_device_init(device_bdf, self->iommu);
	settings->val = 0x11111111;
	write_reg(self->device, EDU_LIVENESS, 0x22222222);
	ASSERT_EQ(~0x22222222, read_reg(self->device, EDU_LIVENESS));
	ASSERT_EQ(0, seen->reads);
}

TEST_F(vfio_pci_bpf_test, open_device_keeps_a_detached_driver)
{
	struct test_settings *settings = &self->bpf->bss->settings;

	settings->val = 0x11223344;
	detach(self->link);
	self->link = NULL;
	ASSERT_EQ(0x11223344, read_reg(self->device, EDU_LIVENESS));
	REOPEN();
	write_reg(self->device, EDU_LIVENESS, 0);
	ASSERT_EQ(0xffffffff, read_reg(self->device, EDU_LIVENESS));
	/* It can be attached again */
	self->link = attach(self->bpf->maps.test_ops);
	REOPEN();
	ASSERT_EQ(0x11223344, read_reg(self->device, EDU_LIVENESS));
}

struct reader {
	struct vfio_pci_device *device;
	ssize_t ret;
	u32 val;
};

static void *read_once(void *arg)
{
	struct reader *reader = arg;

	reader->ret = read_bar(reader->device, EDU_LIVENESS, &reader->val, 4);

	return NULL;
}

TEST_F(vfio_pci_bpf_test, detach_while_a_program_sleeps)
{
	u32 contents[PAGE / 4] = { 0x600df00d };
	struct reader reader = { .device = self->device };
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	struct uffdio_copy copy = { .src = (u64)contents, .len = PAGE };
	struct uffd_msg msg;
	pthread_t thread;
	int fd;

	/* The first access to the page waits for UFFDIO_COPY */
	copy.dst = (u64)mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	reg.range.start = copy.dst;
	reg.range.len = PAGE;
	fd = syscall(SYS_userfaultfd, O_CLOEXEC);
	ASSERT_EQ(0, ioctl(fd, UFFDIO_API, &api));
	ASSERT_EQ(0, ioctl(fd, UFFDIO_REGISTER, &reg));

	self->bpf->bss->settings.mode = TEST_USER;
	self->bpf->bss->settings.val = copy.dst;
	ASSERT_EQ(0, pthread_create(&thread, NULL, read_once, &reader));
	ASSERT_EQ(sizeof(msg), read(fd, &msg, sizeof(msg)));
	ASSERT_EQ(1, self->bpf->bss->seen.reads);
	detach(self->link);
	self->link = NULL;
	/* The program still waits */
	ASSERT_EQ(0, READ_ONCE(reader.ret));
	ASSERT_EQ(0, ioctl(fd, UFFDIO_COPY, &copy));
	ASSERT_EQ(0, pthread_join(thread, NULL));
	ASSERT_EQ(4, reader.ret);
	ASSERT_EQ(contents[0], reader.val);
	close(fd);
	munmap((void *)copy.dst, PAGE);
}

TEST_F(vfio_pci_bpf_test, death_of_the_owner_detaches_the_driver)
{
	struct test_settings *settings;
	struct test_bpf *bpf;
	pid_t pid;
	int status;

	vfio_pci_device_cleanup(self->device);
	self->device = NULL;
	detach(self->link);
	self->link = NULL;

	/* The settings are in memory of the map, which both processes share */
	bpf = load_driver("mortal", 0, EDU_LIVENESS, 4);
	settings = &bpf->bss->settings;
	settings->val = 0x77777777;
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		attach(bpf->maps.test_ops);
		settings->ret = -EXDEV;
		pause();
		_exit(1);
	}
	while (!READ_ONCE(settings->ret))
		usleep(1000);
	settings->ret = 0;
	self->device = vfio_pci_device_init(device_bdf, self->iommu);
	ASSERT_EQ(0x77777777, read_reg(self->device, EDU_LIVENESS));
	ASSERT_EQ(0, kill(pid, SIGKILL));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	usleep(100000);
	ASSERT_EQ(0x77777777, read_reg(self->device, EDU_LIVENESS));
	REOPEN();
	write_reg(self->device, EDU_LIVENESS, 0);
	ASSERT_EQ(0xffffffff, read_reg(self->device, EDU_LIVENESS));
	test_bpf__destroy(bpf);
}

TEST_F(vfio_pci_bpf_test, drivers_compose_in_order_of_priority)
{
	struct test_settings *settings = &self->bpf->bss->settings;
	struct test_bpf *low, *high;
	struct bpf_link *links[2];

	low = load_driver("low", -1, EDU_LIVENESS, 4);
	high = load_driver("high", 1, EDU_LIVENESS, 4);
	links[0] = attach(high->maps.test_ops);
	links[1] = attach(low->maps.test_ops);
	settings->mode = TEST_LOWER;
	settings->val = 0x000000f0;
	high->bss->settings.mode = TEST_LOWER;
	high->bss->settings.val = 0x0000000f;
	low->bss->settings.val = 0x12345600;
	REOPEN();
	ASSERT_EQ(0x123456ff, read_reg(self->device, EDU_LIVENESS));
	ASSERT_EQ(1, low->bss->seen.reads);
	/* The highest gets the access first */
	high->bss->settings.mode = TEST_VALUE;
	ASSERT_EQ(0x0000000f, read_reg(self->device, EDU_LIVENESS));
	ASSERT_EQ(1, low->bss->seen.reads);

	vfio_pci_device_cleanup(self->device);
	self->device = NULL;
	detach(links[0]);
	detach(links[1]);
	test_bpf__destroy(low);
	test_bpf__destroy(high);
}

TEST_F(vfio_pci_bpf_test, conflict_fails_the_open)
{
	struct test_bpf *other = load_driver("other", 0, EDU_LIVENESS + 2, 4);
	struct bpf_link *link = attach(other->maps.test_ops);
	int kmsg = kmsg_open();

	vfio_pci_device_cleanup(self->device);
	self->device = NULL;
	ASSERT_EQ(EBUSY, open_errno());
	ASSERT_TRUE(kmsg_has(kmsg, "drivers other and test of the same priority both override"));
	detach(link);
	ASSERT_EQ(0, open_errno());
	test_bpf__destroy(other);
}

/* The sample module refuses transfers outside the device's buffer by -EPERM */
static ssize_t start_bad_transfer(struct vfio_pci_device *device)
{
	u64 zero = 0, count = 8, start = 1;

	VFIO_ASSERT_EQ(write_bar(device, 0x80, &zero, 8), 8);
	VFIO_ASSERT_EQ(write_bar(device, 0x88, &zero, 8), 8);
	VFIO_ASSERT_EQ(write_bar(device, 0x90, &count, 8), 8);

	return write_bar(device, 0x98, &start, 8);
}

TEST_F(vfio_pci_bpf_test, module_and_program_work_in_both_orders)
{
	struct test_settings *settings;
	struct test_bpf *bpf;
	struct bpf_link *link;
	int priority;

	if (!run_modprobe("vfio_pci_edu"))
		SKIP(return, "needs the module vfio_pci_edu");

	for (priority = -1; priority <= 1; priority++) {
		bpf = load_driver("order", priority, 0x80, 0x20);
		settings = &bpf->bss->settings;
		settings->mode = TEST_LOWER;
		link = attach(bpf->maps.test_ops);
		vfio_pci_device_cleanup(self->device);
		self->device = NULL;
		if (!priority) {
			ASSERT_EQ(EBUSY, open_errno());
		} else {
			self->device = vfio_pci_device_init(device_bdf, self->iommu);
			ASSERT_EQ(-EPERM, start_bad_transfer(self->device));
			/* Below the module, the program does not see this write */
			ASSERT_EQ(priority < 0 ? 3 : 4, bpf->bss->seen.writes);
			settings->mode = TEST_VALUE;
			settings->ret = -EXDEV;
			ASSERT_EQ(priority < 0 ? -EPERM : -EXDEV,
				  write_bar(self->device, 0x98, "\1\0\0\0\0\0\0", 8));
			vfio_pci_device_cleanup(self->device);
		}
		detach(link);
		test_bpf__destroy(bpf);
		self->device = vfio_pci_device_init(device_bdf, self->iommu);
	}

	/* Unload the module */
	vfio_pci_device_cleanup(self->device);
	self->device = NULL;
	unbind_device(device_bdf);
	ASSERT_TRUE(run_modprobe("-r vfio_pci_edu"));
	bind_device(device_bdf);
}

/* The handlers of all drivers run on one stack; each program uses 400 bytes */
TEST_F(vfio_pci_bpf_test, number_of_drivers_is_limited)
{
	struct test_bpf *bpf[MAX_DRIVERS];
	struct bpf_link *link[MAX_DRIVERS];
	int i, kmsg = kmsg_open();
	char name[32];

	vfio_pci_device_cleanup(self->device);
	self->device = NULL;
	for (i = 0; i < MAX_DRIVERS; i++) {
		snprintf(name, sizeof(name), "stacked-%d", i);
		bpf[i] = load_driver(name, i + 1, EDU_LIVENESS, 4);
		bpf[i]->bss->settings.mode = TEST_STACK;
		link[i] = attach(bpf[i]->maps.test_ops);
	}
	ASSERT_EQ(E2BIG, open_errno());
	ASSERT_TRUE(kmsg_has(kmsg, "stacked-7: more than 8 BPF drivers for a device"));

	detach(link[MAX_DRIVERS - 1]);
	self->device = vfio_pci_device_init(device_bdf, self->iommu);
	self->bpf->bss->settings.val = 0x12345678;
	ASSERT_EQ(0x12345678, read_reg(self->device, EDU_LIVENESS));
	for (i = 0; i < MAX_DRIVERS; i++) {
		ASSERT_EQ(i < MAX_DRIVERS - 1, bpf[i]->bss->seen.reads);
		if (i < MAX_DRIVERS - 1)
			detach(link[i]);
		test_bpf__destroy(bpf[i]);
	}
}

/* Another way to detach */
TEST_F(vfio_pci_bpf_test, struct_ops_without_a_link)
{
	struct test_bpf *bpf = open_driver("no-link", 1);
	struct bpf_map *map = bpf->maps.test_ops;
	u32 flags = bpf_map__map_flags(map);
	struct bpf_link *link;
	int zero = 0;

	ASSERT_EQ(0, bpf_map__set_map_flags(map, flags & ~BPF_F_LINK));
	ASSERT_EQ(0, test_bpf__load(bpf));
	bpf->bss->settings.ranges[0].start = EDU_LIVENESS;
	bpf->bss->settings.ranges[0].size = 4;
	bpf->bss->settings.val = 0x66666666;
	link = attach(bpf->maps.test_ops);
	REOPEN();
	ASSERT_EQ(0x66666666, read_reg(self->device, EDU_LIVENESS));
	ASSERT_EQ(0, bpf_map_delete_elem(bpf_map__fd(map), &zero));
	ASSERT_EQ(0x66666666, read_reg(self->device, EDU_LIVENESS));
	REOPEN();
	ASSERT_EQ(0, read_reg(self->device, EDU_LIVENESS));
	bpf_link__destroy(link);
	test_bpf__destroy(bpf);

	/* A link, detached while its owner keeps it */
	ASSERT_EQ(0, bpf_link__detach(self->link));
	write_reg(self->device, EDU_LIVENESS, 0);
	ASSERT_EQ(0, read_reg(self->device, EDU_LIVENESS));
	REOPEN();
	write_reg(self->device, EDU_LIVENESS, 0);
	ASSERT_EQ(0xffffffff, read_reg(self->device, EDU_LIVENESS));
}

TEST_F(vfio_pci_bpf_test, attached_driver_pins_the_module)
{
	ASSERT_NE(0, syscall(SYS_delete_module, "vfio_pci_bpf", O_NONBLOCK));
	ASSERT_EQ(EWOULDBLOCK, errno);
	detach(self->link);
	self->link = NULL;
	ASSERT_NE(0, syscall(SYS_delete_module, "vfio_pci_bpf", O_NONBLOCK));
	ASSERT_EQ(EWOULDBLOCK, errno);
}

struct opener {
	const char *iommu_mode;
	bool stop;
	unsigned int opens;
	unsigned int with;
	unsigned int bad;
};

static void *open_and_close(void *arg)
{
	struct opener *opener = arg;
	struct vfio_pci_device *device;
	struct iommu *iommu;
	bool with, still;

	iommu = iommu_init(opener->iommu_mode);
	while (!READ_ONCE(opener->stop)) {
		device = vfio_pci_device_init(device_bdf, iommu);
		with = read_reg(device, EDU_LIVENESS) == 0x0badcafe;
		still = read_reg(device, EDU_LIVENESS) == 0x0badcafe;
		opener->opens++;
		opener->with += with;
		/* The driver stays or stays away until the close */
		opener->bad += with != still;
		vfio_pci_device_cleanup(device);
	}
	iommu_cleanup(iommu);

	return NULL;
}

TEST_F_TIMEOUT(vfio_pci_bpf_test, attach_and_detach_race_with_opens, 300)
{
	struct opener opener = { .iommu_mode = variant->iommu_mode };
	struct test_seen *seen = &self->bpf->bss->seen;
	pthread_t thread;
	int i;

	vfio_pci_device_cleanup(self->device);
	self->device = NULL;
	detach(self->link);
	self->link = NULL;
	iommu_cleanup(self->iommu);
	seen->opens = 0;
	seen->closes = 0;
	self->bpf->bss->settings.val = 0x0badcafe;

	ASSERT_EQ(0, pthread_create(&thread, NULL, open_and_close, &opener));
	for (i = 0; i < 1000; i++) {
		struct bpf_link *link = attach(self->bpf->maps.test_ops);

		usleep(rand() % 20000);
		detach(link);
		usleep(rand() % 5000);
	}
	WRITE_ONCE(opener.stop, true);
	ASSERT_EQ(0, pthread_join(thread, NULL));
	self->iommu = iommu_init(variant->iommu_mode);

	printf("# %u opens, %u with the driver\n", opener.opens, opener.with);
	ASSERT_EQ(0, opener.bad);
	ASSERT_LT(0, opener.with);
	ASSERT_LT(opener.with, opener.opens);
	ASSERT_EQ(seen->opens, opener.with);
	ASSERT_EQ(seen->closes, opener.with);
}

TEST(missing_programs)
{
	struct test_bpf *bpf = load_driver("test", 0, EDU_LIVENESS, 4);
	struct iommu *iommu = iommu_init(any_mode());
	struct vfio_pci_device *device;
	struct bpf_link *link;

	/* Reads go to the device */
	bpf->bss->settings.val = 0x5555;
	link = attach(bpf->maps.write_only_ops);
	device = vfio_pci_device_init(device_bdf, iommu);
	bpf->bss->settings.mode = TEST_LOWER;
	write_reg(device, EDU_LIVENESS, 0);
	ASSERT_EQ(1, bpf->bss->seen.writes);
	ASSERT_EQ(~0x5555, read_reg(device, EDU_LIVENESS));
	ASSERT_EQ(0, bpf->bss->seen.reads);
	vfio_pci_device_cleanup(device);
	iommu_cleanup(iommu);
	detach(link);

	/* A range without handlers */
	link = attach(bpf->maps.open_only_ops);
	ASSERT_EQ(EINVAL, open_errno());
	detach(link);
	test_bpf__destroy(bpf);
}

/* Load and attach a driver; return 0 or the errno */
static int try_attach(struct test_bpf *bpf)
{
	struct bpf_link *link = NULL;
	int ret;

	libbpf_quiet = true;
	ret = -test_bpf__load(bpf);
	if (!ret) {
		link = bpf_map__attach_struct_ops(bpf->maps.test_ops);
		ret = link ? 0 : errno;
	}
	libbpf_quiet = false;
	bpf_link__destroy(link);
	test_bpf__destroy(bpf);

	return ret;
}

TEST(bad_drivers_cannot_be_attached)
{
	static const char * const names[] = {
		"", "a name", "a/b", "a%s", "\xe4", "a=b", "a,b",
		"abcdefghijklmnopqrstuvwxyz123456",
	};
	struct test_bpf *bpf, *same;
	struct bpf_link *link;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(names); i++) {
		bpf = open_driver("test", 0);
		/* The longest name fills the array */
		memcpy(ops_of(bpf->maps.test_ops)->name, names[i],
		       min(strlen(names[i]) + 1, 32UL));
		ASSERT_EQ(EINVAL, try_attach(bpf)) TH_LOG("name \"%s\"", names[i]);
	}
	bpf = open_driver("abc-123_X.y", 0);
	ASSERT_EQ(0, try_attach(bpf));

	/* A class without a mask, or with bits that the mask lacks */
	bpf = open_driver("test", 0);
	ops_of(bpf->maps.test_ops)->ids[0].class = 0x020000;
	ASSERT_EQ(EINVAL, try_attach(bpf));
	bpf = open_driver("test", 0);
	ops_of(bpf->maps.test_ops)->ids[1].class = 0x020000;
	ops_of(bpf->maps.test_ops)->ids[1].class_mask = 0xfdffff;
	ASSERT_EQ(EINVAL, try_attach(bpf));

	bpf = open_driver("test", 0);
	memset(ops_of(bpf->maps.test_ops)->ids, 0, sizeof(struct test_id) * 16);
	ASSERT_EQ(EINVAL, try_attach(bpf));

	same = load_driver("same", 0, 0, 4);
	link = attach(same->maps.test_ops);
	ASSERT_EQ(EEXIST, try_attach(open_driver("same", 1)));
	/* Neither can the same map be attached twice */
	ASSERT_EQ(NULL, bpf_map__attach_struct_ops(same->maps.test_ops));
	ASSERT_EQ(EEXIST, errno);
	detach(link);
	test_bpf__destroy(same);
}

/* Drop a capability of this process; return 0 on success */
static int drop(int cap)
{
	struct __user_cap_header_struct header = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct data[2];

	if (syscall(SYS_capget, &header, data))
		return -1;
	data[cap / 32].effective &= ~(1U << cap % 32);

	return syscall(SYS_capset, &header, data);
}

TEST(privileges_are_needed)
{
	struct test_bpf *bpf;
	pid_t pid;
	int status;

	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		bpf = load_driver("test", 0, 0, 4);
		if (drop(CAP_SYS_ADMIN))
			_exit(1);
		libbpf_quiet = true;
		if (bpf_map__attach_struct_ops(bpf->maps.test_ops) || errno != EPERM)
			_exit(2);
		test_bpf__destroy(bpf);
		if (drop(CAP_PERFMON))
			_exit(3);
		/* Without CAP_SYS_ADMIN, libbpf cannot find the type in the module */
		_exit(try_attach(open_driver("test", 0)) ? 0 : 4);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	ASSERT_EQ(0, status);
}

TEST(ids_select_devices)
{
	static const struct {
		struct test_id id;
		bool matches;
	} tests[] = {
		{ { EDU_VENDOR, EDU_DEVICE, 0, 0, 0, 0 }, true },
		{ { EDU_VENDOR, 0, 0, 0, 0, 0 }, true },
		{ { EDU_VENDOR, EDU_DEVICE, 0x1af4, 0x1100, 0, 0 }, true },
		{ { EDU_VENDOR, EDU_DEVICE, 0x1af4, 0x1101, 0, 0 }, false },
		{ { EDU_VENDOR, EDU_DEVICE + 1, 0, 0, 0, 0 }, false },
		{ { 0, 0, 0, 0, 0x00ff00, 0xffff00 }, true },
		{ { 0, 0, 0, 0, 0x020000, 0xff0000 }, false },
		{ { EDU_VENDOR, 0, 0, 0, 0x020000, 0xff0000 }, false },
	};
	struct test_bpf *bpf;
	struct bpf_link *link;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(tests); i++) {
		bpf = open_driver("test", 0);
		ops_of(bpf->maps.test_ops)->ids[0] = tests[i].id;
		ASSERT_EQ(0, test_bpf__load(bpf));
		link = attach(bpf->maps.test_ops);
		ASSERT_EQ(0, open_errno());
		EXPECT_EQ(tests[i].matches, bpf->bss->seen.opens) TH_LOG("entry %u", i);
		detach(link);
		test_bpf__destroy(bpf);
	}
}

#define NEW_ID	0x12345678

/* Fail each allocation in turn.  The next call without a failure must succeed. */
FIXTURE(fail_nth) {
	struct iommu *iommu;
	struct vfio_pci_device *group;
	int nth_fd;
};

FIXTURE_SETUP(fail_nth)
{
	if (access("/proc/self/fail-nth", W_OK) ||
	    access("/sys/kernel/debug/failslab", F_OK))
		SKIP(return, "needs CONFIG_FAULT_INJECTION and CONFIG_FAILSLAB");

	self->nth_fd = nth_open(NTH_EXCLUDE_OPEN);
	/* Only a group can be set up before the device is opened */
	self->iommu = iommu_init(MODE_VFIO_TYPE1V2_IOMMU);
	self->group = vfio_pci_device_alloc(device_bdf, self->iommu);
	vfio_pci_group_setup(self->group, device_bdf);
	vfio_container_set_iommu(self->group);
}

FIXTURE_TEARDOWN(fail_nth)
{
	close(self->group->group_fd);
	vfio_pci_device_free(self->group);
	iommu_cleanup(self->iommu);
	close(self->nth_fd);
}

/* Open the device, and store its fd in @device->fd */
static bool open_in_group(struct vfio_pci_device *device)
{
	device->fd = ioctl(device->group_fd, VFIO_GROUP_GET_DEVICE_FD, device_bdf);

	return device->fd >= 0;
}

/* Check whether all changes of load_full_driver() are in effect */
static bool is_complete(struct vfio_pci_device *device)
{
	struct vfio_region_info info = {
		.argsz = sizeof(info),
		.index = VFIO_PCI_NUM_REGIONS,
	};
	u32 id = 0;
	void *page;

	page = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, device->fd, 0);
	if (page != MAP_FAILED) {
		munmap(page, PAGE);
		return false;
	}
	if (pread(device->fd, &id, sizeof(id),
		  region_offset(VFIO_PCI_CONFIG_REGION_INDEX)) != sizeof(id))
		return false;

	return id == NEW_ID && !ioctl(device->fd, VFIO_DEVICE_GET_REGION_INFO, &info);
}

static struct test_bpf *load_full_driver(void)
{
	struct test_bpf *bpf = load_driver("test", 0, EDU_LIVENESS, 4);
	struct test_settings *settings = &bpf->bss->settings;

	settings->ranges[1].region = VFIO_PCI_CONFIG_REGION_INDEX;
	settings->ranges[1].size = 4;
	settings->hide_cap = PCI_CAP_ID_MSI;
	settings->add_cap = PCI_CAP_ID_VNDR;
	settings->add_memory = 0xffff;
	settings->val = NEW_ID;

	return bpf;
}

TEST_F_TIMEOUT(fail_nth, attach_fails_or_is_complete, 1800)
{
	unsigned int nth, failures = 0;
	struct bpf_link *link;
	struct test_bpf *bpf;
	bool failed;

	libbpf_quiet = true;
	for (nth = 1; ; nth++) {
		bpf = load_full_driver();
		nth_fail(self->nth_fd, nth);
		link = bpf_map__attach_struct_ops(bpf->maps.test_ops);
		failed = nth_has_failed(self->nth_fd);
		ASSERT_TRUE(open_in_group(self->group));
		ASSERT_EQ(!!link, is_complete(self->group));
		ASSERT_EQ(!!link, bpf->bss->seen.opens);
		ASSERT_EQ(0, close(self->group->fd));
		if (link)
			detach(link);
		else
			failures++;
		test_bpf__destroy(bpf);
		if (!failed)
			break;
	}
	ASSERT_NE(NULL, link);
	TH_LOG("%u allocations, %u of them required", nth - 1, failures);
	ASSERT_GE(failures, 5);
}

TEST_F_TIMEOUT(fail_nth, open_fails_or_is_complete, 900)
{
	struct test_bpf *bpf = load_full_driver();
	struct bpf_link *link = attach(bpf->maps.test_ops);
	unsigned int nth, failures = 0;
	bool failed, opened;

	for (nth = 1; ; nth++) {
		nth_fail(self->nth_fd, nth);
		opened = open_in_group(self->group);
		failed = nth_has_failed(self->nth_fd);
		if (opened) {
			ASSERT_TRUE(is_complete(self->group));
			ASSERT_EQ(0, close(self->group->fd));
		} else {
			failures++;
		}
		if (!failed)
			break;
	}
	ASSERT_TRUE(opened);
	TH_LOG("%u allocations, %u of them required", nth - 1, failures);
	ASSERT_GE(failures, 5);
	detach(link);
	test_bpf__destroy(bpf);
}

int main(int argc, char *argv[])
{
	device_bdf = need_bdf(&argc, argv);
	need_edu(device_bdf);
	need_no_samples();
	need_module("vfio-pci-bpf", "CONFIG_VFIO_PCI_BPF");
	if (!run_modprobe("vfio-pci-bpf"))
		ksft_exit_skip("the module vfio-pci-bpf cannot be loaded\n");
	libbpf_set_print(libbpf_print);

	return test_harness_run(argc, argv);
}
