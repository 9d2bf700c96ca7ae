// SPDX-License-Identifier: GPL-2.0-only
/*
 * Bus resets that the driver of another function requests.  After a non-fatal
 * error of a root port, the driver of a PF requests a bus reset.  The reset also
 * affects the VF, so the core must call reset_prepare and reset_done of the
 * vendor drivers of the VF.
 *
 * Needs QEMU's igb below a root port, the module vfio_pci_testdrv, and the
 * module pci_endpoint_test for the PF.  The program prints an error and a port.
 * The caller (see need_events()) must inject this error into this port.
 */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "need.h"
#include "testdrv.h"

#include "kselftest_harness.h"

#define PF_DRIVER	"pci-endpoint-test"

const char *device_bdf;

static void bind_pf(const char *driver)
{
	char *bound;

	put_device(device_bdf, "driver/unbind", device_bdf);
	VFIO_ASSERT_EQ(put_device(device_bdf, "driver_override", driver), 0);
	VFIO_ASSERT_EQ(put_text("/sys/bus/pci/drivers_probe", device_bdf), 0);
	bound = sysfs_driver_get(device_bdf);
	VFIO_ASSERT_TRUE(bound && !strcmp(bound, driver), "%s does not bind %s\n",
			 driver, device_bdf);
	free(bound);
}

FIXTURE(sibling) {
	struct iommu *iommu;
	char *vf;
	int prepares, resets;
};

FIXTURE_VARIANT(sibling) {
	const char *iommu_mode;
};

#define FIXTURE_VARIANT_ADD_IOMMU_MODE(mode) FIXTURE_VARIANT_IOMMU_MODE(sibling, mode)

FIXTURE_VARIANT_ADD_ALL_IOMMU_MODES();

FIXTURE_SETUP(sibling)
{
	bind_pf(PF_DRIVER);
	sysfs_sriov_numvfs_set(device_bdf, 1);
	self->vf = sysfs_sriov_vf_bdf_get(device_bdf, 0);
	bind_device(self->vf);
	/*
	 * The recovery resumes a suspended device under pci_bus_sem, and
	 * vfio-pci then takes memory_lock.  A reset takes the locks in the
	 * opposite order, same as in stock.  Hide this from lockdep.
	 */
	if (!access("/proc/lockdep", F_OK))
		ASSERT_EQ(0, put_device(self->vf, "power/control", "on"));
	self->iommu = iommu_init(variant->iommu_mode);
}

FIXTURE_TEARDOWN(sibling)
{
	iommu_cleanup(self->iommu);
	sysfs_sriov_numvfs_set(device_bdf, 0);
	bind_pf("vfio-pci");
	free(self->vf);
}

#define sibling_data _test_data_sibling

static void inject_error(struct sibling_data *self)
{
	char port[PATH_MAX];

	VFIO_ASSERT_NOT_NULL(realpath(device_file(device_bdf, ".."), port));
	self->prepares = testdrv_count("prepares");
	self->resets = testdrv_count("resets");
	printf("inject POISON_TLP %s\n", strrchr(port, '/') + 1);
	fflush(stdout);
}

TEST_F_TIMEOUT(sibling, reset_by_the_pf_driver_reaches_an_open_vf, 120)
{
	struct vfio_pci_device *device;
	u32 value = 0;
	int fd;

	device = testdrv_open_bdf(self->iommu, self->vf,
				  "range 0 0x10 4; range 7 0 4", "", "");
	fd = irq_eventfd(device, VFIO_PCI_ERR_IRQ_INDEX);
	inject_error(self);
	EXPECT_TRUE(is_requested(fd, 60000));
	EXPECT_TRUE(testdrv_wait_count("resets", self->resets + 1));
	EXPECT_EQ(self->prepares + 1, testdrv_count("prepares"));
	EXPECT_EQ(self->resets + 1, testdrv_count("resets"));

	/* The overrides still work */
	EXPECT_EQ(0x5a5a5a5a, vfio_pci_config_readl(device, PCI_VENDOR_ID));
	EXPECT_EQ(4, pread(device->fd, &value, 4, region_offset(0) + 0x10));
	EXPECT_EQ(0x5a5a5a5a, value);
	close(fd);
	vfio_pci_device_cleanup(device);
	EXPECT_EQ(testdrv_count("prepares"), testdrv_count("resets"));
}

TEST_F_TIMEOUT(sibling, reset_by_the_pf_driver_reaches_a_closed_vf, 120)
{
	inject_error(self);
	EXPECT_TRUE(testdrv_wait_count("resets", self->resets + 1));
	EXPECT_EQ(self->prepares + 1, testdrv_count("prepares"));
	EXPECT_EQ(self->resets + 1, testdrv_count("resets"));
}

int main(int argc, char *argv[])
{
	device_bdf = need_bdf(&argc, argv);
	need_igb(device_bdf);
	need_events("inject ERROR PORT");
	need_loaded("pci_endpoint_test", NULL, "CONFIG_PCI_ENDPOINT_TEST", &device_bdf, 1);
	testdrv_begin();

	return test_harness_run(argc, argv);
}
