// SPDX-License-Identifier: GPL-2.0-only
/*
 * Capabilities that vendor drivers hide or add.
 *
 * Needs the module vfio_pci_testdrv, and one of these devices, bound to vfio-pci:
 *
 * - QEMU's igb.  Its extended capabilities begin with AER; SR-IOV and ARI follow.
 * - The device in vfio_user/caps.json.  Capabilities with the same id abut.
 * - The device in vfio_user/long_cap.json.  A capability exceeds config space.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <linux/pci_regs.h>

#include "need.h"
#include "testdrv.h"

#include "kselftest_harness.h"

#define IGB		0x10c9
#define ABUTTING	0xcab5
#define LONG		0xcab6

const char *device_bdf;

static struct iommu *iommu;
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

/* Return the positions of the capabilities, in the order of the list */
static const char *std_caps(void)
{
	static char list[256];
	int loops = 48, len = 0;
	u8 pos;

	list[0] = '\0';
	if (!(config(PCI_STATUS, 2) & PCI_STATUS_CAP_LIST))
		return list;
	for (pos = config(PCI_CAPABILITY_LIST, 1); pos; pos = config(pos + 1, 1)) {
		VFIO_ASSERT_GT(loops--, 0);
		len += sprintf(list + len, "%s%x", len ? " " : "", pos);
	}

	return list;
}

static const char *ext_caps(void)
{
	static char list[256];
	u16 pos = PCI_CFG_SPACE_SIZE;
	int loops = 48, len = 0;

	do {
		VFIO_ASSERT_GT(loops--, 0);
		len += sprintf(list + len, "%s%x", len ? " " : "", pos);
		pos = PCI_EXT_CAP_NEXT(config(pos, 4));
	} while (pos);

	return list;
}

/* Compare one large read with a read of each register */
static void check_batch(void)
{
	u32 all[PCI_CFG_SPACE_EXP_SIZE / 4];
	unsigned int i;

	VFIO_ASSERT_EQ(pread(device->fd, all, sizeof(all),
			     region_offset(VFIO_PCI_CONFIG_REGION_INDEX)),
		       (ssize_t)sizeof(all));
	for (i = PCI_STD_HEADER_SIZEOF / 4; i < ARRAY_SIZE(all); i++)
		VFIO_ASSERT_EQ(all[i], config(i * 4, 4));
}

static void close_device(void)
{
	if (device)
		vfio_pci_device_cleanup(device);
	device = NULL;
}

static void reopen(const char *setup, const char *same, const char *high)
{
	close_device();
	device = testdrv_open(iommu, setup, same, high);
}

static int refused(const char *setup, const char *same, const char *high)
{
	close_device();

	return testdrv_open_errno(setup, same, high);
}

static bool device_is(unsigned int id)
{
	return device_id(device_bdf, "device") == id;
}

static void setup_device(void)
{
	iommu = iommu_init(MODE_VFIO_TYPE1V2_IOMMU);
	reopen("", "", "");
}

static void teardown_device(void)
{
	close_device();
	iommu_cleanup(iommu);
}

/* Each test starts without changes by vendor drivers */
FIXTURE(caps) {
};

FIXTURE_SETUP(caps)
{
	if (!device_is(IGB))
		SKIP(return, "the device is not an igb");
	setup_device();
}

FIXTURE_TEARDOWN(caps)
{
	teardown_device();
}

TEST_F(caps, hidden_ext_cap_is_gone_and_back_after_close)
{
	u16 aer, sriov, ari;

	aer = find_ext_cap(PCI_EXT_CAP_ID_ERR);
	sriov = find_ext_cap(PCI_EXT_CAP_ID_SRIOV);
	ari = find_ext_cap(PCI_EXT_CAP_ID_ARI);
	ASSERT_EQ(PCI_CFG_SPACE_SIZE, aer);
	ASSERT_NE(0, ari);
	ASSERT_NE(0, sriov);

	reopen("hidext 0xe; hidext 0x10", "", "");
	ASSERT_EQ(0, find_ext_cap(PCI_EXT_CAP_ID_ARI));
	ASSERT_EQ(0, find_ext_cap(PCI_EXT_CAP_ID_SRIOV));
	ASSERT_EQ(aer, find_ext_cap(PCI_EXT_CAP_ID_ERR));
	check_hidden(ari, 8);
	check_hidden(sriov, 0x40);

	reopen("", "", "");
	ASSERT_EQ(ari, find_ext_cap(PCI_EXT_CAP_ID_ARI));
	ASSERT_EQ(sriov, find_ext_cap(PCI_EXT_CAP_ID_SRIOV));
}

TEST_F(caps, hidden_head_of_ext_caps_keeps_the_list)
{
	u16 ari;

	ari = find_ext_cap(PCI_EXT_CAP_ID_ARI);
	reopen("hidext 1", "", "");
	ASSERT_EQ(0, config(PCI_CFG_SPACE_SIZE, 2));
	ASSERT_EQ(0, find_ext_cap(PCI_EXT_CAP_ID_ERR));
	ASSERT_EQ(ari, find_ext_cap(PCI_EXT_CAP_ID_ARI));
	check_hidden(PCI_CFG_SPACE_SIZE + 4, 0x28);
}

TEST_F(caps, drivers_can_hide_adjacent_capabilities)
{
	u16 ari;
	u8 msi, msix, exp, added;

	ari = find_ext_cap(PCI_EXT_CAP_ID_ARI);
	msi = find_std_cap(PCI_CAP_ID_MSI);
	msix = find_std_cap(PCI_CAP_ID_MSIX);
	exp = find_std_cap(PCI_CAP_ID_EXP);
	ASSERT_NE(0, msi);
	ASSERT_NE(0, msix);
	ASSERT_NE(0, exp);

	/* Three drivers hide adjacent capabilities, and one adds a capability */
	reopen("hide 5; hidext 0xe", "hide 0x11; addcap 9 0x10",
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
	/* The second added capability ends the list */
	ASSERT_NE(0, config(added + 1, 1));
	ASSERT_EQ(0x03020009, config(config(added + 1, 1), 4));

	reopen("", "", "");
	ASSERT_EQ(0, find_std_cap(PCI_CAP_ID_VNDR));
	ASSERT_EQ(msi, find_std_cap(PCI_CAP_ID_MSI));
	ASSERT_EQ(msix, find_std_cap(PCI_CAP_ID_MSIX));
}

TEST_F(caps, failed_open_restores_hidden_capabilities)
{
	u8 msi;

	msi = find_std_cap(PCI_CAP_ID_MSI);
	ASSERT_EQ(EPERM, refused("hide 5; addcap 9 8; fail 1", "", ""));

	reopen("hide 5; addcap 9 8; fail 19", "", "");
	ASSERT_EQ(msi, find_std_cap(PCI_CAP_ID_MSI));
	ASSERT_EQ(0, find_std_cap(PCI_CAP_ID_VNDR));
}

TEST_F(caps, invalid_changes_fail_the_open)
{
	ASSERT_EQ(ENOENT, refused("hide 9", "", ""));
	ASSERT_EQ(ENOENT, refused("hide 5; hide 5", "", ""));
	ASSERT_EQ(ENOENT, refused("hidext 0x19", "", ""));
	ASSERT_EQ(EINVAL, refused("addcap 9 2", "", ""));
	ASSERT_EQ(ENOSPC, refused("addcap 9 0xc0", "", ""));
	/* Another driver of the same priority overrides the registers */
	ASSERT_EQ(EBUSY, refused("whole 7", "hide 5", ""));
}

TEST_F(caps, added_cap_avoids_the_ranges_of_drivers)
{
	char range[32];
	u8 pos;

	reopen("addcap 9 8", "", "");
	pos = find_std_cap(PCI_CAP_ID_VNDR);
	ASSERT_NE(0, pos);

	snprintf(range, sizeof(range), "range 7 %#x 1", pos);
	reopen(range, "addcap 9 4", "");
	ASSERT_EQ(pos + 4, find_std_cap(PCI_CAP_ID_VNDR));
	ASSERT_EQ(HANDLED_BYTE, config(pos, 1));
}

/*
 * The lists are 40 90 80 a0 b8 c0 and 100 110 120 130 140 150 170:
 *
 * - 0x80, 0x90, 0xa0: vendor-specific.  0xa0 links to a capability that vfio-pci
 *   hides.
 * - 0xb8, 0xc0: power management.
 * - 0x100: null.
 * - 0x110, 0x120: vendor-specific.
 * - 0x130, 0x140, 0x150: DVSEC.  0x150 links to a capability that vfio-pci hides.
 */
FIXTURE(abutting) {
};

FIXTURE_SETUP(abutting)
{
	if (!device_is(ABUTTING))
		SKIP(return, "the device is not the one in caps.json");
	setup_device();
}

FIXTURE_TEARDOWN(abutting)
{
	teardown_device();
}

TEST_F(abutting, caps_that_vfio_hides_stay_hidden)
{
	ASSERT_STREQ("40 90 80 a0 b8 c0", std_caps());
	ASSERT_STREQ("100 110 120 130 140 150 170", ext_caps());
	check_batch();
}

TEST_F(abutting, each_cap_has_its_own_registers)
{
	/* vfio-pci clears the PME support bits */
	ASSERT_EQ(0x0003, config(0xb8 + PCI_PM_PMC, 2));
	ASSERT_EQ(0x0003, config(0xc0 + PCI_PM_PMC, 2));
}

TEST_F(abutting, hidden_cap_ends_where_the_next_one_starts)
{
	reopen("hide 9", "", "");
	ASSERT_STREQ("40 80 a0 b8 c0", std_caps());
	check_hidden(0x90, 0x10);
	ASSERT_EQ(0x80111111, config(0x84, 4));
	ASSERT_EQ(0xa0333333, config(0xa4, 4));
	check_batch();

	/* Hide the two abutting capabilities at 0x80 and 0x90 */
	reopen("hide 9; hide 9", "", "");
	ASSERT_STREQ("40 a0 b8 c0", std_caps());
	check_hidden(0x80, 0x20);
	ASSERT_EQ(0xa0333333, config(0xa4, 4));

	reopen("hide 9", "hide 9", "hide 9; hide 1");
	ASSERT_STREQ("40 c0", std_caps());
	check_hidden(0x80, 0x2c);
	check_hidden(0xb8, 8);
}

TEST_F(abutting, hidden_ext_cap_ends_where_the_next_one_starts)
{
	reopen("hidext 0x23", "", "");
	ASSERT_STREQ("100 110 120 140 150 170", ext_caps());
	check_hidden(0x130, 0x10);
	ASSERT_EQ(0x15010023, config(0x140, 4));

	reopen("hidext 0xb", "hidext 0x23", "hidext 0x23; hidext 0xb");
	ASSERT_STREQ("100 150 170", ext_caps());
	check_hidden(0x110, 0x40);
	ASSERT_EQ(0x17010023, config(0x150, 4));
	check_batch();
}

TEST_F(abutting, hidden_cap_behind_a_run_leaves_the_list)
{
	/* The second of two abutting capabilities links to these */
	reopen("hide 1; hidext 3", "", "");
	ASSERT_STREQ("40 90 80 a0 c0", std_caps());
	ASSERT_STREQ("100 110 120 130 140 150", ext_caps());

	/* The null capability links to this one */
	reopen("hidext 0xb", "", "");
	ASSERT_STREQ("100 120 130 140 150 170", ext_caps());
}

TEST_F(abutting, added_cap_behind_a_run_is_in_the_list)
{
	char list[64];
	u8 pos;

	reopen("hide 1; hide 1; addcap 0xa 8; addcap 0xb 8", "", "");
	pos = find_std_cap(PCI_CAP_ID_DBG);
	ASSERT_NE(0, pos);
	snprintf(list, sizeof(list), "40 90 80 a0 %x %x", pos, pos + 8);
	ASSERT_STREQ(list, std_caps());

	/* Hide added capabilities that abut */
	reopen("addcap 0xa 8; addcap 0xb 8", "", "hide 0xb; hide 0xa");
	ASSERT_STREQ("40 90 80 a0 b8 c0", std_caps());
	check_hidden(pos, 0x10);
}

/*
 * The vendor-specific capability at 0xfe0 reports a length of 0xfff, and links to
 * a serial number at 0xff8, which needs 12 bytes.
 */
TEST(cap_that_exceeds_config_space_is_clipped_or_hidden)
{
	if (!device_is(LONG))
		SKIP(return, "the device is not the one in long_cap.json");

	setup_device();
	EXPECT_STREQ("100 110 120 130 140 150 170 fe0", ext_caps());
	check_batch();

	reopen("hidext 0xb; hidext 0xb; hidext 0xb", "", "");
	EXPECT_STREQ("100 130 140 150 170", ext_caps());
	check_hidden(0xfe0, 0x20);
	teardown_device();
}

int main(int argc, char *argv[])
{
	device_bdf = need_bdf(&argc, argv);
	if (!device_is(IGB) && !device_is(ABUTTING) && !device_is(LONG))
		ksft_exit_skip("%s is none of the devices at the top of caps.c\n", device_bdf);
	testdrv_begin();

	return test_harness_run(argc, argv);
}
