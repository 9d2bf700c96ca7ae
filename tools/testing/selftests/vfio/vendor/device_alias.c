// SPDX-License-Identifier: GPL-2.0-only
/*
 * A documented limit: the core does not know about aliases of a register inside
 * the device.  A vendor driver that overrides a register must block its aliases.
 *
 * Needs QEMU's igb, bound to vfio-pci, and the module vfio_pci_testdrv.  The I/O
 * ports of its BAR2 reach every register of BAR0.
 */
#include <errno.h>
#include <unistd.h>

#include "need.h"
#include "testdrv.h"

#include "kselftest_harness.h"

#define HANDLED		0x5a5a5a5a
#define IGB_STATUS	0x8
#define IGB_IOADDR	(region_offset(2) + 0)
#define IGB_IODATA	(region_offset(2) + 4)

const char *device_bdf;

static u32 read_at(struct vfio_pci_device *device, u64 offset)
{
	u32 value;

	VFIO_ASSERT_EQ(pread(device->fd, &value, sizeof(value), offset), sizeof(value));

	return value;
}

static u32 read_by_io_ports(struct vfio_pci_device *device, u32 reg)
{
	VFIO_ASSERT_EQ(pwrite(device->fd, &reg, sizeof(reg), IGB_IOADDR), sizeof(reg));

	return read_at(device, IGB_IODATA);
}

static struct vfio_pci_device *open_with(struct iommu *iommu, const char *setup)
{
	struct vfio_pci_device *device = testdrv_open(iommu, setup, "", "");

	vfio_pci_cmd_set(device, PCI_COMMAND_IO);

	return device;
}

FIXTURE(device_alias) {
	struct iommu *iommu;
};

FIXTURE_SETUP(device_alias)
{
	self->iommu = iommu_init(MODE_VFIO_TYPE1V2_IOMMU);
}

FIXTURE_TEARDOWN(device_alias)
{
	iommu_cleanup(self->iommu);
}

TEST_F(device_alias, io_ports_reach_an_overridden_register)
{
	struct vfio_pci_device *device;
	u32 status;

	device = open_with(self->iommu, "");
	status = read_at(device, IGB_STATUS);
	ASSERT_NE(HANDLED, status);
	ASSERT_EQ(status, read_by_io_ports(device, IGB_STATUS));
	vfio_pci_device_cleanup(device);

	device = open_with(self->iommu, "range 0 8 4");
	ASSERT_EQ(HANDLED, read_at(device, IGB_STATUS));
	ASSERT_EQ(status, read_by_io_ports(device, IGB_STATUS));
	vfio_pci_device_cleanup(device);
}

TEST_F(device_alias, driver_can_override_the_io_ports_too)
{
	struct vfio_pci_device *device;

	device = open_with(self->iommu, "range 0 8 4; range 2 0 8");
	ASSERT_EQ(HANDLED, read_at(device, IGB_STATUS));
	ASSERT_EQ(HANDLED, read_by_io_ports(device, IGB_STATUS));
	vfio_pci_device_cleanup(device);
}

int main(int argc, char *argv[])
{
	device_bdf = need_bdf(&argc, argv);
	need_igb(device_bdf);
	testdrv_begin();

	return test_harness_run(argc, argv);
}
