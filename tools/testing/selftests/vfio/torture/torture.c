// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/ioctl.h>

#include "torture.h"

#define PARAMETERS	"/sys/module/vfio_pci_torture/parameters/"

/* As the module has them */
#define TORTURE_FEATURE_REGISTER	0x8001

struct torture_register {
	struct vfio_device_feature feature;
	__u32 bar;
	__u32 width;
	__u64 offset;
	__u64 value;
};

void torture_set(const char *param, const char *value)
{
	char path[128];
	FILE *file;
	int ret;

	snprintf(path, sizeof(path), PARAMETERS "%s", param);
	file = fopen(path, "w");
	VFIO_ASSERT_NOT_NULL(file, "%s: %m; the module vfio_pci_torture is needed\n", path);
	ret = fprintf(file, "%s\n", value);
	VFIO_ASSERT_GT(ret, 0);
	ret = fclose(file);
	VFIO_ASSERT_EQ(ret, 0, "%s: %s\n", path, value);
}

int torture_count(const char *param)
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

static void torture_feature(struct vfio_pci_device *device, u32 flag,
			    struct torture_register *reg)
{
	reg->feature.argsz = sizeof(*reg);
	reg->feature.flags = flag | TORTURE_FEATURE_REGISTER;
	reg->width = 4;
	ioctl_assert(device->fd, VFIO_DEVICE_FEATURE, reg);
}

u64 torture_read_register(struct vfio_pci_device *device, u32 bar, u64 offset)
{
	struct torture_register reg = { .bar = bar, .offset = offset };

	torture_feature(device, VFIO_DEVICE_FEATURE_GET, &reg);

	return reg.value;
}

void torture_write_register(struct vfio_pci_device *device, u32 bar, u64 offset,
			    u64 value)
{
	struct torture_register reg = {
		.bar = bar, .offset = offset, .value = value,
	};

	torture_feature(device, VFIO_DEVICE_FEATURE_SET, &reg);
}

void torture_setup(const char *setup, const char *same, const char *high)
{
	torture_set("setup", setup);
	torture_set("setup_same", same);
	torture_set("setup_high", high);
}

struct vfio_pci_device *torture_open_bdf(struct iommu *iommu, const char *bdf,
					 const char *setup, const char *same,
					 const char *high)
{
	struct vfio_pci_device *device;

	torture_setup(setup, same, high);
	device = vfio_pci_device_init(bdf, iommu);
	vfio_pci_cmd_set(device, PCI_COMMAND_MEMORY);

	return device;
}

struct vfio_pci_device *torture_open(struct iommu *iommu, const char *setup,
				     const char *same, const char *high)
{
	return torture_open_bdf(iommu, device_bdf, setup, same, high);
}

int torture_open_errno(const char *setup, const char *same, const char *high)
{
	struct iommu *iommu = iommu_init(MODE_VFIO_TYPE1V2_IOMMU);
	struct vfio_pci_device *device = vfio_pci_device_alloc(device_bdf, iommu);
	int fd, ret = 0;

	torture_setup(setup, same, high);
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
