// SPDX-License-Identifier: GPL-2.0-only
/*
 * Open a device by VFIO, and ask for regions, migration and config space
 */

#include <errno.h>
#include <fcntl.h>
#include <linux/vfio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "lsvfio.h"

static int open_file(const struct device *dev, const char *name)
{
	int fd = open(name, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		die("cannot open %s of %s: %m; see lsvfio --why %s", name, dev->name, dev->name);

	return fd;
}

static void fail(const struct device *dev, const char *what)
{
	die("cannot open %s: %s: %m; see lsvfio --why %s, and dmesg", dev->name, what, dev->name);
}

static void open_cdev(struct opened *opened, const struct device *dev)
{
	struct vfio_device_bind_iommufd bind = { .argsz = sizeof(bind) };
	char node[2 * NAME_SIZE];

	device_node(dev, node, sizeof(node));
	opened->device = open_file(dev, node);
	opened->iommu = open_file(dev, "/dev/iommu");
	bind.iommufd = opened->iommu;
	if (ioctl(opened->device, VFIO_DEVICE_BIND_IOMMUFD, &bind))
		fail(dev, "VFIO_DEVICE_BIND_IOMMUFD");
}

static void open_group(struct opened *opened, const struct device *dev)
{
	unsigned long type = dev->noiommu ? VFIO_NOIOMMU_IOMMU : VFIO_TYPE1v2_IOMMU;
	char node[NAME_SIZE];

	group_node(dev, node, sizeof(node));
	opened->group = open_file(dev, node);
	opened->iommu = open_file(dev, "/dev/vfio/vfio");
	if (ioctl(opened->group, VFIO_GROUP_SET_CONTAINER, &opened->iommu))
		fail(dev, "VFIO_GROUP_SET_CONTAINER");
	if (ioctl(opened->iommu, VFIO_SET_IOMMU, type))
		fail(dev, "VFIO_SET_IOMMU");
	opened->device = ioctl(opened->group, VFIO_GROUP_GET_DEVICE_FD, dev->dma);
	if (opened->device < 0)
		fail(dev, "VFIO_GROUP_GET_DEVICE_FD");
}

/* Open a device that no process has open. The kernel refuses a second open. */
void open_device(struct opened *opened, const struct device *dev)
{
	*opened = (struct opened){ -1, -1, -1 };
	if (!*dev->vfio)
		die("cannot open %s: no VFIO driver is bound; see lsvfio --why %s", dev->name, dev->name);
	if (dev->nr_holders)
		die("cannot open %s: process %d (%s) has it open; stop this process first",
		    dev->name, dev->holders[0].pid, dev->holders[0].command);
	if (dev->has_cdev && exists("/dev/iommu"))
		open_cdev(opened, dev);
	else
		open_group(opened, dev);
}

void close_device(struct opened *opened)
{
	close(opened->device);
	if (opened->group >= 0)
		close(opened->group);
	close(opened->iommu);
}

/* Return the info of a region with all capabilities; the caller frees it */
static struct vfio_region_info *get_info(int fd, unsigned int index)
{
	struct vfio_region_info *info = NULL;
	unsigned int size = sizeof(*info);

	for (;;) {
		info = realloc(info, size);
		if (!info)
			die("out of memory");
		memset(info, 0, size);
		info->argsz = size;
		info->index = index;
		if (ioctl(fd, VFIO_DEVICE_GET_REGION_INFO, info)) {
			free(info);
			return NULL;
		}
		if (info->argsz <= size)
			return info;
		size = info->argsz;
	}
}

static void query_capabilities(struct region *region, const struct vfio_region_info *info)
{
	const struct vfio_region_info_cap_sparse_mmap *sparse;
	const struct vfio_region_info_cap_type *type;
	const struct vfio_info_cap_header *cap;
	unsigned int offset, i;

	for (offset = info->flags & VFIO_REGION_INFO_FLAG_CAPS ? info->cap_offset : 0; offset; offset = cap->next) {
		cap = (const void *)((const char *)info + offset);
		if (cap->id == VFIO_REGION_INFO_CAP_TYPE) {
			type = (const void *)cap;
			snprintf(region->name, sizeof(region->name), "%x:%x", type->type, type->subtype);
		} else if (cap->id == VFIO_REGION_INFO_CAP_SPARSE_MMAP) {
			sparse = (const void *)cap;
			region->nr_areas = 0;
			for (i = 0; i < sparse->nr_areas; i++)
				add_area(region, sparse->areas[i].offset,
					 sparse->areas[i].offset + sparse->areas[i].size - 1);
		}
	}
}

static void query_region(struct device *dev, const struct vfio_region_info *info)
{
	struct region *region;

	dev->regions = append(dev->regions, &dev->nr_regions, sizeof(*dev->regions));
	region = &dev->regions[dev->nr_regions - 1];
	region->index = info->index;
	region->size = info->size;
	if (info->index < NR_NAMES)
		copy(region->name, sizeof(region->name), region_names[info->index]);
	snprintf(region->flags, sizeof(region->flags), "%c%c%c",
		 info->flags & VFIO_REGION_INFO_FLAG_READ ? 'r' : '-',
		 info->flags & VFIO_REGION_INFO_FLAG_WRITE ? 'w' : '-',
		 info->flags & VFIO_REGION_INFO_FLAG_MMAP ? 'm' : '-');
	if (info->flags & VFIO_REGION_INFO_FLAG_MMAP && info->size)
		add_area(region, 0, info->size - 1);
	query_capabilities(region, info);
	dev->migration.v1 |= !strcmp(region->name, "3:1");
}

/* Replace the regions of a device by those that an open device file has */
void query_regions(struct device *dev, int fd)
{
	struct vfio_device_info device = { .argsz = sizeof(device) };
	struct vfio_region_info *info;
	unsigned int i;

	if (ioctl(fd, VFIO_DEVICE_GET_INFO, &device))
		die("cannot get the regions of %s: VFIO_DEVICE_GET_INFO: %m", dev->name);
	free_regions(dev);
	dev->source = SOURCE_IOCTL;
	for (i = 0; i < device.num_regions; i++) {
		info = get_info(fd, i);
		if (info)
			query_region(dev, info);
		free(info);
	}
}

void query_migration(struct device *dev, int fd)
{
	struct {
		struct vfio_device_feature feature;
		struct vfio_device_feature_migration migration;
	} arg = {
		.feature.argsz = sizeof(arg),
		.feature.flags = VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_MIGRATION,
	};
	struct vfio_device_feature log = {
		.argsz = sizeof(log),
		.flags = VFIO_DEVICE_FEATURE_PROBE | VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_DMA_LOGGING_START,
	};

	dev->migration.is_known = true;
	dev->migration.v2 = !ioctl(fd, VFIO_DEVICE_FEATURE, &arg);
	if (!dev->migration.v2)
		return;
	snprintf(dev->migration.features, sizeof(dev->migration.features), "%s%s%s%s",
		 arg.migration.flags & VFIO_MIGRATION_STOP_COPY ? "stop-copy" : "",
		 arg.migration.flags & VFIO_MIGRATION_P2P ? ",p2p" : "",
		 arg.migration.flags & VFIO_MIGRATION_PRE_COPY ? ",pre-copy" : "",
		 !ioctl(fd, VFIO_DEVICE_FEATURE, &log) ? ",dirty-tracking" : "");
}

/* Read config space as userspace sees it. Return its size. */
size_t query_config(int fd, uint8_t *config)
{
	struct vfio_region_info *info = get_info(fd, VFIO_PCI_CONFIG_REGION_INDEX);
	size_t size = 0;

	if (!info)
		return 0;
	while (size < info->size && size < CONFIG_SIZE && pread(fd, config + size, 4, info->offset + size) == 4)
		size += 4;
	free(info);

	return size;
}
