// SPDX-License-Identifier: GPL-2.0-only
/*
 * Overrides of a PF and its VF.  Both devices have separate overrides.  Vendor
 * drivers do not change VF tokens.  An open VF can be removed.
 *
 * Needs QEMU's igb.  Loads the module vfio_pci_testdrv.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "need.h"
#include "testdrv.h"

#include "kselftest_harness.h"

#define IDS		"8086:10c9,8086:10ca"
#define NR_DRIVERS	3

#define TOKEN		"7d5e1c1c-3d5c-44b1-9a5e-0f9a51a1e101"
#define OTHER_TOKEN	"7d5e1c1c-3d5c-44b1-9a5e-0f9a51a1e102"

/* Registers of both functions that are safe to read */
#define STATUS		8
#define CONTROL		0

#define ADDED		region_offset(VFIO_PCI_NUM_REGIONS)

const char *device_bdf;
static char *vf_bdf;

static u32 read_at(struct vfio_pci_device *device, u64 offset)
{
	u32 value;

	VFIO_ASSERT_EQ(pread(device->fd, &value, sizeof(value), offset), sizeof(value));

	return value;
}

/* Check whether a BAR0 register is handled; if not, the device must serve it */
static bool handled(struct vfio_pci_device *device, u64 offset)
{
	u32 value = read_at(device, offset);

	if (value == 0x5a5a5a5a)
		return true;
	VFIO_ASSERT_EQ(value, testdrv_read_register(device, 0, offset));

	return false;
}

static struct vfio_pci_device *open_with(struct iommu *iommu, const char *bdf,
					 const char *setup, const char *high)
{
	struct vfio_pci_device *device;
	int ret;

	testdrv_setup(setup, "", high);
	device = open_bare(iommu, bdf, TOKEN, &ret);
	VFIO_ASSERT_EQ(ret, 0, "opening %s failed\n", bdf);
	vfio_pci_cmd_set(device, PCI_COMMAND_MEMORY);

	return device;
}

static void close_it(struct vfio_pci_device **device)
{
	if (*device)
		close_bare(*device);
	*device = NULL;
}

FIXTURE(sriov) {
	struct iommu *iommu;
	struct vfio_pci_device *pf, *vf;
};

FIXTURE_VARIANT(sriov) {
	const char *iommu_mode;
};

#define FIXTURE_VARIANT_ADD_IOMMU_MODE(mode) FIXTURE_VARIANT_IOMMU_MODE(sriov, mode)

FIXTURE_VARIANT_ADD_ALL_IOMMU_MODES();

FIXTURE_SETUP(sriov)
{
	bind_device(device_bdf);
	self->iommu = iommu_init(variant->iommu_mode);
	testdrv_load(IDS);
	if (!sysfs_sriov_numvfs_get(device_bdf))
		sysfs_sriov_numvfs_set(device_bdf, 1);
	bind_device(vf_bdf);
}

FIXTURE_TEARDOWN(sriov)
{
	close_it(&self->vf);
	close_it(&self->pf);
	iommu_cleanup(self->iommu);
	EXPECT_EQ(testdrv_count("opens"), testdrv_count("closes"));
	/* Both devices pin the module until unbind */
	EXPECT_EQ(EAGAIN, testdrv_unload());
	/* The PCI core warns if the PF loses its driver before its VFs */
	sysfs_sriov_numvfs_set(device_bdf, 0);
	EXPECT_EQ(EAGAIN, testdrv_unload());
	unbind_device(device_bdf);
	EXPECT_EQ(0, testdrv_unload());
}

TEST_F_TIMEOUT(sriov, vendor_drivers_do_not_open_without_the_vf_token, 60)
{
	int ret;

	self->pf = open_with(self->iommu, device_bdf, "", "");
	ASSERT_EQ(NR_DRIVERS, testdrv_count("opens"));
	self->vf = open_bare(self->iommu, vf_bdf, NULL, &ret);
	ASSERT_EQ(EACCES, ret);
	self->vf = open_bare(self->iommu, vf_bdf, OTHER_TOKEN, &ret);
	ASSERT_EQ(EACCES, ret);
	ASSERT_EQ(NR_DRIVERS, testdrv_count("opens"));

	self->vf = open_with(self->iommu, vf_bdf, "range 0 8 4", "");
	ASSERT_EQ(2 * NR_DRIVERS, testdrv_count("opens"));
	ASSERT_TRUE(handled(self->vf, STATUS));

	/* The PF needs the token while its VF is in use */
	close_it(&self->pf);
	ASSERT_EQ(NR_DRIVERS, testdrv_count("closes"));
	self->pf = open_bare(self->iommu, device_bdf, NULL, &ret);
	ASSERT_EQ(EACCES, ret);
	self->pf = open_bare(self->iommu, device_bdf, OTHER_TOKEN, &ret);
	ASSERT_EQ(EACCES, ret);
	ASSERT_EQ(2 * NR_DRIVERS, testdrv_count("opens"));
	self->pf = open_with(self->iommu, device_bdf, "range 0 0 4", "");
	ASSERT_TRUE(handled(self->pf, CONTROL));
	ASSERT_TRUE(handled(self->vf, STATUS));

	/* The PF sets another token */
	vfio_device_set_vf_token(self->pf->fd, OTHER_TOKEN);
	close_it(&self->vf);
	self->vf = open_bare(self->iommu, vf_bdf, TOKEN, &ret);
	ASSERT_EQ(EACCES, ret);
	self->vf = open_bare(self->iommu, vf_bdf, OTHER_TOKEN, &ret);
	ASSERT_EQ(0, ret);
	ASSERT_EQ(4 * NR_DRIVERS, testdrv_count("opens"));
}

TEST_F_TIMEOUT(sriov, override_of_a_vf_lies_above_emulated_config_space, 60)
{
	int reads;

	self->pf = open_with(self->iommu, device_bdf, "", "");
	self->vf = open_with(self->iommu, vf_bdf, "", "");
	ASSERT_EQ(0x8086, vfio_pci_config_readw(self->vf, PCI_VENDOR_ID));
	ASSERT_EQ(0x10ca, vfio_pci_config_readw(self->vf, PCI_DEVICE_ID));
	ASSERT_FALSE(handled(self->vf, STATUS));
	close_it(&self->vf);

	self->vf = open_with(self->iommu, vf_bdf, "range 7 0 2; range 0 8 4", "");
	reads = testdrv_count("reads");
	ASSERT_EQ(0x5a5a, vfio_pci_config_readw(self->vf, PCI_VENDOR_ID));
	ASSERT_EQ(0x10ca5a5a, vfio_pci_config_readl(self->vf, PCI_VENDOR_ID));
	ASSERT_TRUE(handled(self->vf, STATUS));
	ASSERT_FALSE(handled(self->vf, CONTROL));
	ASSERT_EQ(reads + 3, testdrv_count("reads"));
	testdrv_set("handler", "pass");
	ASSERT_EQ(0x10ca8086, vfio_pci_config_readl(self->vf, PCI_VENDOR_ID));
	ASSERT_FALSE(handled(self->vf, STATUS));
	testdrv_set("handler", "keep");

	/* The PF has no overrides */
	ASSERT_FALSE(handled(self->pf, STATUS));
	ASSERT_EQ(0x8086, vfio_pci_config_readw(self->pf, PCI_VENDOR_ID));
}

TEST_F_TIMEOUT(sriov, pf_and_vf_have_separate_overrides, 60)
{
	u32 value = 0xaaaa;

	self->pf = open_with(self->iommu, device_bdf, "range 0 8 4", "add 0xffff 1 0x1000 3");
	self->vf = open_with(self->iommu, vf_bdf, "range 0 0 4; range 7 2 2",
			     "add 0xffff 1 0x1000 3");
	ASSERT_TRUE(handled(self->pf, STATUS));
	ASSERT_FALSE(handled(self->pf, CONTROL));
	ASSERT_FALSE(handled(self->vf, STATUS));
	ASSERT_TRUE(handled(self->vf, CONTROL));
	ASSERT_EQ(0x10c98086, vfio_pci_config_readl(self->pf, PCI_VENDOR_ID));
	ASSERT_EQ(0x5a5a8086, vfio_pci_config_readl(self->vf, PCI_VENDOR_ID));
	ASSERT_EQ(4, pwrite(self->pf->fd, &value, 4, ADDED));
	ASSERT_EQ(0, read_at(self->vf, ADDED));
	ASSERT_TRUE(regions_have(device_bdf, "  vfio_pci_testdrv 0x8-0xb reads 1 writes 0\n"));
	ASSERT_TRUE(regions_have(vf_bdf, "  vfio_pci_testdrv 0x0-0x3 reads 1 writes 0\n"));
	ASSERT_FALSE(regions_have(vf_bdf, "0x8-0xb"));

	close_it(&self->vf);
	ASSERT_TRUE(handled(self->pf, STATUS));
	ASSERT_EQ(0xaaaa, read_at(self->pf, ADDED));
	self->vf = open_with(self->iommu, vf_bdf, "", "");
	ASSERT_FALSE(handled(self->vf, CONTROL));
	close_it(&self->pf);
	ASSERT_EQ(0x10ca8086, vfio_pci_config_readl(self->vf, PCI_VENDOR_ID));
	ASSERT_EQ(3 * NR_DRIVERS, testdrv_count("opens"));
	ASSERT_EQ(2 * NR_DRIVERS, testdrv_count("closes"));
}

TEST_F_TIMEOUT(sriov, removed_vf_works_until_it_is_closed, 120)
{
	struct writer writer;
	int fd, ret;

	self->pf = open_with(self->iommu, device_bdf, "range 0 0 4", "");
	self->vf = open_with(self->iommu, vf_bdf, "range 0 8 4", "");
	ASSERT_TRUE(handled(self->vf, STATUS));
	fd = irq_eventfd(self->vf, VFIO_PCI_REQ_IRQ_INDEX);

	writer_start(&writer, device_file(device_bdf, "sriov_numvfs"), "0");
	ASSERT_TRUE(is_requested(fd, 10000));
	ASSERT_TRUE(writer_waits(&writer));
	ASSERT_TRUE(handled(self->vf, STATUS));
	ASSERT_FALSE(handled(self->vf, CONTROL));
	ASSERT_TRUE(handled(self->pf, CONTROL));
	ASSERT_EQ(0, testdrv_count("closes"));
	ASSERT_TRUE(writer_waits(&writer));
	close_it(&self->vf);
	ASSERT_EQ(0, writer_join(&writer));
	close(fd);

	ASSERT_FALSE(device_exists(vf_bdf));
	ASSERT_EQ(NR_DRIVERS, testdrv_count("closes"));
	ASSERT_TRUE(handled(self->pf, CONTROL));
	ASSERT_FALSE(handled(self->pf, STATUS));

	/* The token of the PF also opens a new VF */
	sysfs_sriov_numvfs_set(device_bdf, 1);
	self->vf = open_bare(self->iommu, vf_bdf, NULL, &ret);
	ASSERT_EQ(EACCES, ret);
	self->vf = open_with(self->iommu, vf_bdf, "range 0 8 4", "");
	ASSERT_TRUE(handled(self->vf, STATUS));
	ASSERT_EQ(3 * NR_DRIVERS, testdrv_count("opens"));
}

static void end(void)
{
	sysfs_sriov_numvfs_set(device_bdf, 0);
	bind_device(device_bdf);
}

int main(int argc, char *argv[])
{
	device_bdf = need_bdf(&argc, argv);
	need_igb(device_bdf);
	need_debugfs();
	need_no_samples();
	need_module("vfio_pci_testdrv", "CONFIG_VFIO_PCI_TEST_DRIVERS");
	need_vfs();
	bind_device(device_bdf);
	if (sysfs_sriov_totalvfs_get(device_bdf) <= 0)
		ksft_exit_skip("%s has no SR-IOV; needs CONFIG_PCI_IOV and CONFIG_PCI_MMCONFIG\n",
			       device_bdf);
	sysfs_sriov_numvfs_set(device_bdf, 0);
	sysfs_sriov_numvfs_set(device_bdf, 1);
	vf_bdf = sysfs_sriov_vf_bdf_get(device_bdf, 0);

	at_end(end);

	return test_harness_run(argc, argv);
}
