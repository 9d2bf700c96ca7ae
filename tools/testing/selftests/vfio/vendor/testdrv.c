// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/ioctl.h>

#include <linux/compiler.h>
#include <linux/pci_regs.h>

#include "testdrv.h"

#define PARAMETERS	"/sys/module/vfio_pci_testdrv/parameters/"

struct testdrv_register {
	struct vfio_device_feature feature;
	__u32 bar;
	__u32 width;
	__u64 offset;
	__u64 value;
};

void testdrv_set(const char *param, const char *value)
{
	char path[128];
	FILE *file;
	int ret;

	snprintf(path, sizeof(path), PARAMETERS "%s", param);
	file = fopen(path, "w");
	VFIO_ASSERT_NOT_NULL(file, "%s: %m; the module vfio_pci_testdrv is needed\n", path);
	ret = fprintf(file, "%s\n", value);
	VFIO_ASSERT_GT(ret, 0);
	ret = fclose(file);
	VFIO_ASSERT_EQ(ret, 0, "%s: %s\n", path, value);
}

int testdrv_count(const char *param)
{
	char path[128];
	FILE *file;
	int count, ret;

	snprintf(path, sizeof(path), PARAMETERS "%s", param);
	file = fopen(path, "r");
	VFIO_ASSERT_NOT_NULL(file, "%s: %m\n", path);
	ret = fscanf(file, "%d", &count);
	VFIO_ASSERT_EQ(ret, 1);
	fclose(file);

	return count;
}

bool testdrv_wait_count(const char *param, int count)
{
	int i;

	for (i = 0; i < 100 && testdrv_count(param) < count; i++)
		usleep(100000);

	return testdrv_count(param) >= count;
}

static void testdrv_feature(struct vfio_pci_device *device, u32 flag,
			    struct testdrv_register *reg)
{
	reg->feature.argsz = sizeof(*reg);
	reg->feature.flags = flag | TESTDRV_FEATURE_REGISTER;
	reg->width = 4;
	ioctl_assert(device->fd, VFIO_DEVICE_FEATURE, reg);
}

u64 testdrv_read_register(struct vfio_pci_device *device, u32 bar, u64 offset)
{
	struct testdrv_register reg = { .bar = bar, .offset = offset };

	testdrv_feature(device, VFIO_DEVICE_FEATURE_GET, &reg);

	return reg.value;
}

void testdrv_write_register(struct vfio_pci_device *device, u32 bar, u64 offset,
			    u64 value)
{
	struct testdrv_register reg = {
		.bar = bar, .offset = offset, .value = value,
	};

	testdrv_feature(device, VFIO_DEVICE_FEATURE_SET, &reg);
}

void testdrv_setup(const char *setup, const char *same, const char *high)
{
	testdrv_set("setup", setup);
	testdrv_set("setup_same", same);
	testdrv_set("setup_high", high);
}

struct vfio_pci_device *testdrv_open_bdf(struct iommu *iommu, const char *bdf,
					 const char *setup, const char *same,
					 const char *high)
{
	struct vfio_pci_device *device;

	testdrv_setup(setup, same, high);
	device = vfio_pci_device_init(bdf, iommu);
	vfio_pci_cmd_set(device, PCI_COMMAND_MEMORY);

	return device;
}

struct vfio_pci_device *testdrv_open(struct iommu *iommu, const char *setup,
				     const char *same, const char *high)
{
	return testdrv_open_bdf(iommu, device_bdf, setup, same, high);
}

int testdrv_open_errno(const char *setup, const char *same, const char *high)
{
	struct iommu *iommu = iommu_init(MODE_VFIO_TYPE1V2_IOMMU);
	struct vfio_pci_device *device = vfio_pci_device_alloc(device_bdf, iommu);
	int fd, ret = 0;

	testdrv_setup(setup, same, high);
	vfio_pci_group_setup(device, device_bdf);
	vfio_container_set_iommu(device);
	fd = ioctl(device->group_fd, VFIO_GROUP_GET_DEVICE_FD, device_bdf);
	if (fd < 0)
		ret = errno;
	else
		close(fd);
	close(device->group_fd);
	vfio_pci_device_free(device);
	iommu_cleanup(iommu);

	return ret;
}

int get_region_info(struct vfio_pci_device *device, u32 index,
		    struct region_info *info)
{
	memset(info, 0, sizeof(*info));
	info->info.argsz = sizeof(*info);
	info->info.index = index;

	return ioctl(device->fd, VFIO_DEVICE_GET_REGION_INFO, info) ? errno : 0;
}

struct vfio_info_cap_header *find_cap(struct region_info *info, u16 id)
{
	struct vfio_info_cap_header *cap;
	u32 next;

	if (!(info->info.flags & VFIO_REGION_INFO_FLAG_CAPS))
		return NULL;

	for (next = info->info.cap_offset; next; next = cap->next) {
		cap = (void *)info + next;
		if (cap->id == id)
			return cap;
	}

	return NULL;
}

u8 find_pci_cap(struct vfio_pci_device *device, u8 id)
{
	u8 pos = vfio_pci_config_readb(device, PCI_CAPABILITY_LIST);

	while (pos && vfio_pci_config_readb(device, pos) != id)
		pos = vfio_pci_config_readb(device, pos + 1);

	return pos;
}

static sigjmp_buf bus_error;

static void on_bus_error(int sig)
{
	siglongjmp(bus_error, 1);
}

bool readable(u32 *mem, u32 *value)
{
	struct sigaction action = { .sa_handler = on_bus_error }, old;
	bool ok = true;

	sigaction(SIGBUS, &action, &old);
	if (!sigsetjmp(bus_error, 1))
		*value = READ_ONCE(*mem);
	else
		ok = false;
	sigaction(SIGBUS, &old, NULL);

	return ok;
}

int export_dmabuf(int fd, u32 index, u64 offset, u64 size)
{
	struct {
		struct vfio_device_feature feature;
		struct vfio_device_feature_dma_buf buf;
		struct vfio_region_dma_range range;
	} arg = {
		.feature.argsz = sizeof(arg),
		.feature.flags = VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_DMA_BUF,
		.buf.region_index = index,
		.buf.open_flags = O_CLOEXEC | O_RDWR,
		.buf.nr_ranges = 1,
		.range.offset = offset,
		.range.length = size,
	};

	return ioctl(fd, VFIO_DEVICE_FEATURE, &arg);
}
