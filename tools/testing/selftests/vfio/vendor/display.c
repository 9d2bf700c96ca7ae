// SPDX-License-Identifier: GPL-2.0-only
/*
 * Fail each allocation in turn while an Intel graphics device is opened.  The open
 * must fail, or add all regions of the vendor driver (CONFIG_VFIO_PCI_IGD).  Needs
 * CONFIG_FAULT_INJECTION and CONFIG_FAILSLAB.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <sys/ioctl.h>

#include "fail_nth_util.h"
#include "need.h"
#include "testdrv.h"

#include "kselftest_harness.h"

#define INTEL		(VFIO_REGION_TYPE_PCI_VENDOR_TYPE | 0x8086)
#define ASLS		0xfc

const char *device_bdf;

FIXTURE(display) {
	struct iommu *iommu;
	struct vfio_pci_device *group;
	int nth_fd;
};

FIXTURE_SETUP(display)
{
	self->nth_fd = nth_open(NTH_EXCLUDE_OPEN);
	self->iommu = iommu_init(MODE_VFIO_TYPE1V2_IOMMU);
	self->group = vfio_pci_device_alloc(device_bdf, self->iommu);
	vfio_pci_group_setup(self->group, device_bdf);
	vfio_container_set_iommu(self->group);
}

FIXTURE_TEARDOWN(display)
{
	close(self->group->group_fd);
	vfio_pci_device_free(self->group);
	iommu_cleanup(self->iommu);
	close(self->nth_fd);
}

static int open_device(struct vfio_pci_device *group)
{
	return ioctl(group->group_fd, VFIO_GROUP_GET_DEVICE_FD, device_bdf);
}

/* Check the order of the regions, their first bytes, and the ASLS register */
static bool is_complete(int fd)
{
	static const struct {
		u32 subtype;
		u8 first[4];
	} regions[] = {
		{ VFIO_REGION_SUBTYPE_INTEL_IGD_OPREGION, "Inte" },
		{ VFIO_REGION_SUBTYPE_INTEL_IGD_HOST_CFG, { 0x86, 0x80 } },
		{ VFIO_REGION_SUBTYPE_INTEL_IGD_LPC_CFG, { 0x86, 0x80 } },
	};
	struct vfio_pci_device device = { .fd = fd };
	static struct region_info info;
	u32 asls = 0x12345678, now = 0;
	u64 pos = region_offset(VFIO_PCI_CONFIG_REGION_INDEX) + ASLS;
	int i;

	for (i = 0; i < ARRAY_SIZE(regions); i++) {
		struct vfio_region_info_cap_type *cap;
		u32 index = VFIO_PCI_NUM_REGIONS + i;
		u8 first[4];

		if (get_region_info(&device, index, &info))
			return false;
		cap = (void *)find_cap(&info, VFIO_REGION_INFO_CAP_TYPE);
		if (!cap || cap->type != INTEL || cap->subtype != regions[i].subtype)
			return false;
		if (pread(fd, first, 4, region_offset(index)) != 4 ||
		    memcmp(first, regions[i].first, i ? 2 : 4))
			return false;
	}

	return get_region_info(&device, VFIO_PCI_NUM_REGIONS + i, &info) == EINVAL &&
	       pwrite(fd, &asls, 4, pos) == 4 && pread(fd, &now, 4, pos) == 4 &&
	       now == asls;
}

TEST_F_TIMEOUT(display, open_fails_or_is_complete_if_an_allocation_fails, 600)
{
	unsigned int nth, failures = 0;
	bool failed;
	int fd;

	for (nth = 1; ; nth++) {
		nth_fail(self->nth_fd, nth);
		fd = open_device(self->group);
		failed = nth_has_failed(self->nth_fd);
		if (fd >= 0) {
			ASSERT_TRUE(is_complete(fd)) {
				TH_LOG("regions are missing after allocation %u failed", nth);
			}
			ASSERT_EQ(0, close(fd));
		} else {
			/* The fault injection also fails copies from userspace */
			ASSERT_TRUE(errno == ENOMEM || errno == EFAULT) {
				TH_LOG("errno %d after allocation %u failed", errno, nth);
			}
			failures++;
		}
		if (!failed)
			break;
	}
	ASSERT_GE(fd, 0);
	TH_LOG("%u allocations, %u of them required", nth - 1, failures);
	/* Three regions, the OpRegion, its mapping, and the ASLS register */
	ASSERT_GE(failures, 6);
}

TEST_F_TIMEOUT(display, repeated_opens_are_complete, 120)
{
	int i, fd;

	for (i = 0; i < 20; i++) {
		fd = open_device(self->group);
		ASSERT_GE(fd, 0);
		ASSERT_TRUE(is_complete(fd));
		ASSERT_EQ(0, close(fd));
	}
}

int main(int argc, char *argv[])
{
	device_bdf = need_bdf(&argc, argv);
	need_fail_nth();
	/* Class 3 is a display controller */
	if (device_id(device_bdf, "vendor") != 0x8086 || device_id(device_bdf, "class") >> 16 != 3)
		ksft_exit_skip("%s is not an Intel graphics device\n", device_bdf);

	return test_harness_run(argc, argv);
}
