// SPDX-License-Identifier: GPL-2.0-only
/*
 * Capabilities that vendor drivers hide from userspace and add.
 *
 * Needs QEMU's igb, bound to vfio-pci, and the module vfio_pci_torture.  Its
 * extended capabilities begin with AER; SR-IOV and ARI follow.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <linux/pci_regs.h>

#include "torture.h"

#include "../kselftest_harness.h"

const char *device_bdf;

static struct vfio_pci_device *device;

static u32 config(u16 pos, unsigned int width)
{
	u32 value = 0;

	VFIO_ASSERT_EQ(pread(device->fd, &value, width,
			     region_offset(VFIO_PCI_CONFIG_REGION_INDEX) + pos),
		       width);

	return value;
}

static void config_write(u16 pos, u32 value)
{
	VFIO_ASSERT_EQ(pwrite(device->fd, &value, 4,
			      region_offset(VFIO_PCI_CONFIG_REGION_INDEX) + pos), 4);
}

static u8 find_std_cap(u8 id)
{
	int loops = 48;
	u8 pos;

	if (!(config(PCI_STATUS, 2) & PCI_STATUS_CAP_LIST))
		return 0;
	for (pos = config(PCI_CAPABILITY_LIST, 1); pos; pos = config(pos + 1, 1)) {
		VFIO_ASSERT_GT(loops--, 0);
		if (config(pos, 1) == id)
			return pos;
	}

	return 0;
}

static u16 find_ext_cap(u16 id)
{
	u16 pos = PCI_CFG_SPACE_SIZE;
	int loops = 960;
	u32 header;

	do {
		VFIO_ASSERT_GT(loops--, 0);
		header = config(pos, 4);
		if (PCI_EXT_CAP_ID(header) == id)
			return pos;
		pos = PCI_EXT_CAP_NEXT(header);
	} while (pos);

	return 0;
}

static void check_hidden(u16 pos, unsigned int len)
{
	unsigned int i;

	for (i = 0; i < len; i += 4) {
		VFIO_ASSERT_EQ(config(pos + i, 4), 0);
		config_write(pos + i, ~0);
		VFIO_ASSERT_EQ(config(pos + i, 4), 0);
	}
}

FIXTURE(caps) {
	struct iommu *iommu;
};

FIXTURE_SETUP(caps)
{
	self->iommu = iommu_init(MODE_VFIO_TYPE1V2_IOMMU);
	device = NULL;
}

FIXTURE_TEARDOWN(caps)
{
	if (device)
		vfio_pci_device_cleanup(device);
	iommu_cleanup(self->iommu);
}

static void reopen(struct iommu *iommu, const char *setup, const char *same,
		   const char *high)
{
	if (device)
		vfio_pci_device_cleanup(device);
	device = torture_open(iommu, setup, same, high);
}

TEST_F(caps, hidden_ext_cap_is_gone_and_back_after_close)
{
	u16 aer, sriov, ari;

	reopen(self->iommu, "", "", "");
	aer = find_ext_cap(PCI_EXT_CAP_ID_ERR);
	sriov = find_ext_cap(PCI_EXT_CAP_ID_SRIOV);
	ari = find_ext_cap(PCI_EXT_CAP_ID_ARI);
	ASSERT_EQ(PCI_CFG_SPACE_SIZE, aer);
	ASSERT_NE(0, ari);
	ASSERT_NE(0, sriov);

	reopen(self->iommu, "hidext 0xe; hidext 0x10", "", "");
	ASSERT_EQ(0, find_ext_cap(PCI_EXT_CAP_ID_ARI));
	ASSERT_EQ(0, find_ext_cap(PCI_EXT_CAP_ID_SRIOV));
	ASSERT_EQ(aer, find_ext_cap(PCI_EXT_CAP_ID_ERR));
	check_hidden(ari, 8);
	check_hidden(sriov, 0x40);

	reopen(self->iommu, "", "", "");
	ASSERT_EQ(ari, find_ext_cap(PCI_EXT_CAP_ID_ARI));
	ASSERT_EQ(sriov, find_ext_cap(PCI_EXT_CAP_ID_SRIOV));
}

TEST_F(caps, hidden_head_of_ext_caps_keeps_the_list)
{
	u16 ari;

	reopen(self->iommu, "", "", "");
	ari = find_ext_cap(PCI_EXT_CAP_ID_ARI);
	reopen(self->iommu, "hidext 1", "", "");
	ASSERT_EQ(0, config(PCI_CFG_SPACE_SIZE, 2));
	ASSERT_EQ(0, find_ext_cap(PCI_EXT_CAP_ID_ERR));
	ASSERT_EQ(ari, find_ext_cap(PCI_EXT_CAP_ID_ARI));
	check_hidden(PCI_CFG_SPACE_SIZE + 4, 0x28);
}

TEST_F(caps, drivers_compose)
{
	u16 ari;
	u8 msi, msix, exp, added;

	reopen(self->iommu, "", "", "");
	ari = find_ext_cap(PCI_EXT_CAP_ID_ARI);
	msi = find_std_cap(PCI_CAP_ID_MSI);
	msix = find_std_cap(PCI_CAP_ID_MSIX);
	exp = find_std_cap(PCI_CAP_ID_EXP);
	ASSERT_NE(0, msi);
	ASSERT_NE(0, msix);
	ASSERT_NE(0, exp);

	/* Neighbours in the list, by three drivers, and an added one */
	reopen(self->iommu, "hide 5; hidext 0xe", "hide 0x11; addcap 9 0x10",
	       "hidext 1; addcap 9 8");
	ASSERT_EQ(0, find_std_cap(PCI_CAP_ID_MSI));
	ASSERT_EQ(0, find_std_cap(PCI_CAP_ID_MSIX));
	ASSERT_EQ(exp, find_std_cap(PCI_CAP_ID_EXP));
	ASSERT_EQ(0, find_ext_cap(PCI_EXT_CAP_ID_ARI));
	ASSERT_EQ(0, find_ext_cap(PCI_EXT_CAP_ID_ERR));
	check_hidden(ari, 8);
	check_hidden(msi, 0xc);
	check_hidden(msix, 0xc);

	added = find_std_cap(PCI_CAP_ID_VNDR);
	ASSERT_NE(0, added);
	ASSERT_EQ(0x03020009 | config(added + 1, 1) << 8, config(added, 4));
	ASSERT_EQ(0x0f0e0d0c, config(added + 0xc, 4));
	config_write(added + 0xc, 0);
	ASSERT_EQ(0x0f0e0d0c, config(added + 0xc, 4));
	/* The second one ends the list */
	ASSERT_NE(0, config(added + 1, 1));
	ASSERT_EQ(0x03020009, config(config(added + 1, 1), 4));

	reopen(self->iommu, "", "", "");
	ASSERT_EQ(0, find_std_cap(PCI_CAP_ID_VNDR));
	ASSERT_EQ(msi, find_std_cap(PCI_CAP_ID_MSI));
	ASSERT_EQ(msix, find_std_cap(PCI_CAP_ID_MSIX));
}

TEST_F(caps, driver_that_fails_or_declines_leaves_all_as_it_was)
{
	u8 msi;

	reopen(self->iommu, "", "", "");
	msi = find_std_cap(PCI_CAP_ID_MSI);
	vfio_pci_device_cleanup(device);
	device = NULL;
	ASSERT_EQ(EPERM, torture_open_errno("hide 5; addcap 9 8; fail 1", "", ""));

	reopen(self->iommu, "hide 5; addcap 9 8; fail 19", "", "");
	ASSERT_EQ(msi, find_std_cap(PCI_CAP_ID_MSI));
	ASSERT_EQ(0, find_std_cap(PCI_CAP_ID_VNDR));
}

TEST_F(caps, impossible_changes_are_refused)
{
	ASSERT_EQ(ENOENT, torture_open_errno("hide 9", "", ""));
	ASSERT_EQ(ENOENT, torture_open_errno("hide 5; hide 5", "", ""));
	ASSERT_EQ(ENOENT, torture_open_errno("hidext 0x19", "", ""));
	ASSERT_EQ(EINVAL, torture_open_errno("addcap 9 2", "", ""));
	ASSERT_EQ(ENOSPC, torture_open_errno("addcap 9 0xc0", "", ""));
	/* The registers are another driver's, of the same priority */
	ASSERT_EQ(EBUSY, torture_open_errno("whole 7", "hide 5", ""));
}

int main(int argc, char *argv[])
{
	device_bdf = vfio_selftests_get_bdf(&argc, argv);

	return test_harness_run(argc, argv);
}
