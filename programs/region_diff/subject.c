// SPDX-License-Identifier: GPL-2.0-only
/* The device under test: open it in any IOMMU mode and query its regions. */
#include <fcntl.h>

#include <sys/ioctl.h>

#include "region_diff.h"

struct subject subject;

u32 config_get(u32 offset, u32 width)
{
	u64 pos = (u64)VFIO_PCI_CONFIG_REGION_INDEX << REGION_SHIFT;
	u32 value = 0;
	long ret;

	ret = do_pread(subject.fd, &value, width, pos + offset);
	VFIO_ASSERT_EQ(ret, (long)width, "config read at %#x\n", offset);
	return value;
}

void config_set(u32 offset, u32 width, u32 value)
{
	u64 pos = (u64)VFIO_PCI_CONFIG_REGION_INDEX << REGION_SHIFT;
	long ret;

	ret = do_pwrite(subject.fd, &value, width, pos + offset);
	VFIO_ASSERT_EQ(ret, (long)width, "config write at %#x\n", offset);
}

static u8 find_capability(u8 id)
{
	u8 pos = config_get(PCI_CAPABILITY_LIST, 1);
	int ttl = 48;

	while (pos && ttl--) {
		if (config_get(pos, 1) == id)
			return pos;
		pos = config_get(pos + 1, 1);
	}
	return 0;
}

static void learn_msix(void)
{
	u8 cap = find_capability(PCI_CAP_ID_MSIX);
	u32 table;

	subject.msix_bar = -1;
	if (!cap)
		return;
	table = config_get(cap + PCI_MSIX_TABLE, 4);
	subject.msix_bar = table & PCI_MSIX_TABLE_BIR;
	subject.msix_start = table & PCI_MSIX_TABLE_OFFSET;
	subject.msix_end = subject.msix_start +
		((config_get(cap + PCI_MSIX_FLAGS, 2) & PCI_MSIX_FLAGS_QSIZE) + 1) *
		PCI_MSIX_ENTRY_SIZE;
}

static void learn_regions(void)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };
	u32 i;

	ioctl_assert(subject.fd, VFIO_DEVICE_GET_INFO, &info);
	subject.num_regions = info.num_regions;
	VFIO_ASSERT_TRUE(subject.num_regions <= MAX_REGIONS);

	for (i = 0; i < subject.num_regions; i++) {
		struct vfio_region_info region = {
			.argsz = sizeof(region),
			.index = i,
		};

		subject.size[i] = 0;
		subject.flags[i] = 0;
		if (ioctl(subject.fd, VFIO_DEVICE_GET_REGION_INFO, &region))
			continue;
		subject.size[i] = region.size;
		subject.flags[i] = region.flags;
	}
}

/* Open the device; return 0 or -errno.  Abort if a step before the open fails */
static int open_device(void)
{
	struct vfio_pci_device *dev;

	subject.iommu = iommu_init(subject.mode);
	dev = vfio_pci_device_alloc(subject.bdf, subject.iommu);
	subject.dev = dev;
	subject.cdev = !subject.iommu->mode->container_path;

	if (subject.cdev) {
		vfio_pci_cdev_open(dev, subject.bdf);
		return __vfio_device_bind_iommufd(dev->fd, subject.iommu->iommufd, NULL);
	}

	vfio_pci_group_setup(dev, subject.bdf);
	vfio_container_set_iommu(dev);
	__vfio_pci_group_get_device_fd(dev, subject.bdf, NULL);
	return dev->fd < 0 ? -errno : 0;
}

void subject_fails(void)
{
	int ret = open_device();

	VFIO_ASSERT_NE(ret, 0, "opening the device succeeded, should fail\n");
	say("open = %s", result(ret));
}

void subject_open(void)
{
	VFIO_ASSERT_EQ(open_device(), 0);
	subject.fd = subject.dev->fd;

	if (subject.cdev) {
		struct vfio_device_attach_iommufd_pt attach = {
			.argsz = sizeof(attach),
			.pt_id = subject.iommu->ioas_id,
		};

		ioctl_assert(subject.fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach);
	}

	subject.command = config_get(PCI_COMMAND, 2) | PCI_COMMAND_MEMORY | PCI_COMMAND_IO;
	config_set(PCI_COMMAND, 2, subject.command);
	subject.command = config_get(PCI_COMMAND, 2);
	subject.pm = find_capability(PCI_CAP_ID_PM);
	subject.pcie = find_capability(PCI_CAP_ID_EXP);
	learn_msix();
	learn_regions();
	device_learn();
}

void subject_close(void)
{
	close(subject.fd);
	if (!subject.cdev)
		close(subject.dev->group_fd);
	vfio_pci_device_free(subject.dev);
	iommu_cleanup(subject.iommu);
}
