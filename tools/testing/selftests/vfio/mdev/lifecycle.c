// SPDX-License-Identifier: GPL-2.0-only
/*
 * Life cycle of mediated devices of vfio-mdev-pci: valid and invalid creation,
 * removal of an open device, and the power state of an idle device.
 *
 * Needs four devices: an edu device, an edu device below a port, an igb, and a
 * device that shares its IOMMU group with another one.  The caller unplugs the
 * second device when the program prints "unplug".
 */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/ioctl.h>
#include <sys/mount.h>

#include "mdev.h"
#include "../vendor/need.h"
#include "../vendor/testdrv.h"

#include "kselftest_harness.h"

static const char *port_bdf, *igb_bdf, *shared_bdf;

static bool works(struct vfio_pci_device *device)
{
	static u32 value = 0x600df00d;

	edu_write(device, EDU_LIVENESS, ++value);

	return edu_read(device, EDU_LIVENESS) == ~value;
}

/* Start with a bound device that has no mediated device */
static void begin(void)
{
	VFIO_ASSERT_TRUE(mdev_load(NULL));
	mdev_bind(device_bdf, MDEV_DRIVER);
	if (mdev_exists(UUID))
		VFIO_ASSERT_EQ(mdev_try_remove(UUID), 0);
	VFIO_ASSERT_EQ(mdev_available(device_bdf), 1);
}

FIXTURE(lifecycle) {
	struct iommu *iommu;
};

FIXTURE_VARIANT(lifecycle) {
	const char *iommu_mode;
};

FIXTURE_VARIANT_ADD(lifecycle, vfio_type1v2_iommu) {
	.iommu_mode = MODE_VFIO_TYPE1V2_IOMMU,
};

FIXTURE_VARIANT_ADD(lifecycle, iommufd_compat_type1v2) {
	.iommu_mode = MODE_IOMMUFD_COMPAT_TYPE1V2,
};

FIXTURE_VARIANT_ADD(lifecycle, iommufd) {
	.iommu_mode = MODE_IOMMUFD,
};

FIXTURE_SETUP(lifecycle)
{
	begin();
	mdev_create(device_bdf, UUID);
	self->iommu = iommu_init(variant->iommu_mode);
}

FIXTURE_TEARDOWN(lifecycle)
{
	iommu_cleanup(self->iommu);
}

/*
 * Remove an open device.  The kernel asks userspace to release the device, and
 * waits until userspace closes it.  Until then the device works.
 */
static void remove_while_open(struct iommu *iommu, const char *bdf, const char *path,
			      const char *text)
{
	struct vfio_pci_device *device = vfio_pci_device_init(bdf, iommu);
	struct writer writer = {};
	int fd;

	vfio_pci_cmd_set(device, PCI_COMMAND_MEMORY);
	VFIO_ASSERT_TRUE(works(device));
	fd = irq_eventfd(device, VFIO_PCI_REQ_IRQ_INDEX);
	VFIO_ASSERT_FALSE(is_requested(fd, 0));

	if (path)
		writer_start(&writer, path, text);
	else
		printf("unplug\n"), fflush(stdout);
	VFIO_ASSERT_TRUE(is_requested(fd, 30000), "no request to release the device\n");
	VFIO_ASSERT_TRUE(!path || writer_waits(&writer));
	VFIO_ASSERT_TRUE(works(device));
	VFIO_ASSERT_EQ(mdev_unload(), EAGAIN);
	VFIO_ASSERT_TRUE(!path || writer_waits(&writer));

	vfio_pci_device_cleanup(device);
	VFIO_ASSERT_EQ(path ? writer_join(&writer) : 0, 0);
	close(fd);
}

TEST_F_TIMEOUT(lifecycle, removal_waits_for_close, 60)
{
	struct vfio_pci_device *device;

	remove_while_open(self->iommu, device_bdf, mdev_file(UUID, "remove"), "1");
	ASSERT_FALSE(mdev_exists(UUID));
	ASSERT_TRUE(mdev_is_bound(device_bdf));
	ASSERT_EQ(1, mdev_available(device_bdf));

	/* The next mediated device works, too */
	mdev_create(device_bdf, OTHER_UUID);
	device = vfio_pci_device_init(device_bdf, self->iommu);
	vfio_pci_cmd_set(device, PCI_COMMAND_MEMORY);
	ASSERT_TRUE(works(device));
	vfio_pci_device_cleanup(device);
	ASSERT_EQ(0, mdev_try_remove(OTHER_UUID));
}

TEST_F_TIMEOUT(lifecycle, unbind_waits_for_close, 60)
{
	remove_while_open(self->iommu, device_bdf, MDEV_DRIVERS "unbind", device_bdf);
	ASSERT_FALSE(mdev_exists(UUID));
	ASSERT_FALSE(mdev_is_bound(device_bdf));
	ASSERT_EQ(-1, mdev_available(device_bdf));
	mdev_bind(device_bdf, MDEV_DRIVER);
	ASSERT_EQ(1, mdev_available(device_bdf));
}

/* The mediated device remains after the unbind of its driver */
TEST_F_TIMEOUT(lifecycle, mdev_unbind_waits_for_close, 60)
{
	remove_while_open(self->iommu, device_bdf, "/sys/bus/mdev/drivers/vfio-mdev-pci/unbind",
			  UUID);
	ASSERT_TRUE(mdev_exists(UUID));
	ASSERT_EQ(0, mdev_available(device_bdf));
	ASSERT_NE(0, access(mdev_file(UUID, "vfio-dev"), F_OK));
	ASSERT_EQ(0, mdev_try_remove(UUID));
	ASSERT_EQ(1, mdev_available(device_bdf));
}

TEST_F_TIMEOUT(lifecycle, unload_fails_while_open, 60)
{
	struct vfio_pci_device *device = vfio_pci_device_init(device_bdf, self->iommu);

	ASSERT_EQ(EAGAIN, mdev_unload());
	vfio_pci_device_cleanup(device);
	/* A closed mediated device does not delay the unload */
	ASSERT_TRUE(mdev_exists(UUID));
	ASSERT_EQ(0, mdev_unload());
	ASSERT_FALSE(mdev_exists(UUID));
	ASSERT_NE(0, access(device_file(device_bdf, "mdev_supported_types"), F_OK));
	ASSERT_NE(0, access("/sys/bus/pci/drivers/vfio-mdev-pci", F_OK));
}

/* Tests that are independent of the IOMMU mode */
FIXTURE(once) {
};

FIXTURE_SETUP(once)
{
	begin();
}

FIXTURE_TEARDOWN(once)
{
}

TEST_F(once, one_instance_is_available)
{
	ASSERT_STREQ("type1", line_of(device_file(device_bdf, MDEV_TYPE "name")));
	ASSERT_STREQ("vfio-pci", line_of(device_file(device_bdf, MDEV_TYPE "device_api")));
	ASSERT_EQ(1, mdev_available(device_bdf));
	mdev_create(device_bdf, UUID);
	ASSERT_EQ(0, mdev_available(device_bdf));
	ASSERT_EQ(EUSERS, mdev_try_create(device_bdf, OTHER_UUID));
	ASSERT_EQ(EEXIST, mdev_try_create(device_bdf, UUID));
	ASSERT_FALSE(mdev_exists(OTHER_UUID));
	/* Two devices cannot use the same UUID */
	mdev_bind(port_bdf, MDEV_DRIVER);
	ASSERT_EQ(EEXIST, mdev_try_create(port_bdf, UUID));
	ASSERT_EQ(1, mdev_available(port_bdf));
	mdev_create(port_bdf, OTHER_UUID);
	ASSERT_EQ(0, mdev_try_remove(OTHER_UUID));
	mdev_bind(port_bdf, NULL);

	ASSERT_EQ(0, mdev_try_remove(UUID));
	ASSERT_EQ(1, mdev_available(device_bdf));
	ASSERT_EQ(0, mdev_try_create(device_bdf, UUID "\n"));
	ASSERT_TRUE(mdev_exists(UUID));
}

TEST_F(once, invalid_uuids_are_refused)
{
	static const char * const bad[] = {
		"\n", "1", "5f3a1c9e", "5f3a1c9e-0b52-4a7d-9c41-6f0e2d83b70",
		"5f3a1c9e-0b52-4a7d-9c41-6f0e2d83b70g", "5f3a1c9e_0b52_4a7d_9c41_6f0e2d83b701",
		"5f3a1c9e0b524a7d9c416f0e2d83b7010000", UUID "  ", UUID "00", " " UUID " ",
		"../../../../../../../../../etc/passwd", "------------------------------------",
		UUID "-" OTHER_UUID,
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bad); i++)
		EXPECT_EQ(EINVAL, mdev_try_create(device_bdf, bad[i])) {
			TH_LOG("\"%s\"", bad[i] ?: "");
		}
	ASSERT_EQ(1, mdev_available(device_bdf));
	ASSERT_EQ(ENOENT, put_text(mdev_file(UUID, "remove"), "1"));
}

static bool has(const char *pattern)
{
	glob_t found;
	bool ret = !glob(pattern, 0, NULL, &found);

	globfree(&found);

	return ret;
}

/* The device file is below the mediated device, the group below the PCI device */
TEST_F(once, vfio_device_is_below_the_mdev)
{
	char path[PATH_MAX];

	snprintf_assert(path, sizeof(path), "/dev/vfio/%d", sysfs_iommu_group_get(device_bdf));
	ASSERT_FALSE(has(device_file(device_bdf, "vfio-dev")));
	ASSERT_FALSE(has(path));
	mdev_create(device_bdf, UUID);
	ASSERT_TRUE(has(path));
	ASSERT_TRUE(has(mdev_file(UUID, "vfio-dev/vfio*/dev")));
	ASSERT_TRUE(has(mdev_file(UUID, "mdev_type/available_instances")));
	ASSERT_TRUE(has(device_file(device_bdf, UUID)));
	ASSERT_TRUE(has(device_file(device_bdf, MDEV_TYPE "devices/" UUID)));
	ASSERT_FALSE(has(device_file(device_bdf, "vfio-dev")));
	ASSERT_FALSE(has(mdev_file(UUID, "iommu_group")));
	ASSERT_EQ(0, mdev_try_remove(UUID));
	ASSERT_FALSE(has(path));
}

/* Removal waits for an open device file, even if it is not bound */
TEST_F_TIMEOUT(once, removal_waits_for_an_unbound_file, 60)
{
	struct iommu *iommu = iommu_init(MODE_IOMMUFD);
	struct vfio_pci_device device = { .iommu = iommu };
	struct writer writer;

	mdev_create(device_bdf, UUID);
	vfio_pci_cdev_open(&device, device_bdf);
	writer_start(&writer, mdev_file(UUID, "remove"), "1");
	ASSERT_TRUE(writer_waits(&writer));
	/* The holder of the file may still use it */
	ASSERT_EQ(0, __vfio_device_bind_iommufd(device.fd, iommu->iommufd, NULL));
	ASSERT_TRUE(writer_waits(&writer));
	ASSERT_EQ(0, close(device.fd));
	ASSERT_EQ(0, writer_join(&writer));
	ASSERT_FALSE(mdev_exists(UUID));
	iommu_cleanup(iommu);
}

/* While a slow modprobe delays the creation, the device cannot be removed */
TEST_F_TIMEOUT(once, removal_during_creation_fails, 60)
{
	static const char script[] = "/run/slow-modprobe", text[] = "#!/bin/sh\nsleep 2\n";
	char *modprobe = realpath("/sbin/modprobe", NULL);
	struct writer writer;
	int fd, early, created;

	ASSERT_NE(NULL, modprobe);
	fd = open(script, O_WRONLY | O_CREAT | O_TRUNC, 0755);
	ASSERT_GE(fd, 0);
	ASSERT_EQ((ssize_t)strlen(text), write(fd, text, strlen(text)));
	ASSERT_EQ(0, close(fd));

	ASSERT_EQ(0, mount(script, modprobe, NULL, MS_BIND, NULL));
	writer_start(&writer, device_file(device_bdf, MDEV_TYPE "create"), UUID);
	while (access(mdev_file(UUID, "remove"), F_OK) && writer_waits(&writer))
		usleep(1000);
	early = mdev_try_remove(UUID);
	created = writer_join(&writer);
	ASSERT_EQ(0, umount(modprobe));
	unlink(script);
	free(modprobe);

	ASSERT_EQ(EAGAIN, early);
	ASSERT_EQ(0, created);
	ASSERT_EQ(0, access(mdev_file(UUID, "vfio-dev"), F_OK));
	ASSERT_EQ(0, mdev_try_remove(UUID));
	ASSERT_FALSE(mdev_exists(UUID));
}

/* A reset works before, during and after the life of a mediated device */
TEST_F_TIMEOUT(once, reset_works_with_and_without_an_mdev, 60)
{
	struct iommu *iommu;

	if (!getenv("VFIO_SELFTESTS_EVENTS"))
		SKIP(return, "no caller that unplugs the device; see need_events()");
	iommu = iommu_init(MODE_IOMMUFD);
	mdev_bind(port_bdf, MDEV_DRIVER);
	ASSERT_EQ(0, put_device(port_bdf, "reset", "1"));
	mdev_create(port_bdf, UUID);
	ASSERT_EQ(0, put_device(port_bdf, "reset", "1"));
	vfio_pci_device_cleanup(vfio_pci_device_init(port_bdf, iommu));
	ASSERT_EQ(0, mdev_try_remove(UUID));
	ASSERT_EQ(0, put_device(port_bdf, "reset", "1"));
	mdev_bind(port_bdf, NULL);
	iommu_cleanup(iommu);
}

static const char *pm_status(const char *bdf)
{
	return device_file(bdf, "power/runtime_status");
}

static int low_power(struct vfio_pci_device *device, u32 feature)
{
	struct vfio_device_feature args = {
		.argsz = sizeof(args),
		.flags = VFIO_DEVICE_FEATURE_SET | feature,
	};

	return ioctl(device->fd, VFIO_DEVICE_FEATURE, &args);
}

TEST_F_TIMEOUT(once, idle_device_is_suspended, 60)
{
	struct iommu *iommu = iommu_init(MODE_IOMMUFD);
	struct vfio_pci_device *device;

	ASSERT_STREQ("active", line_of(pm_status(device_bdf)));
	mdev_create(device_bdf, UUID);
	ASSERT_TRUE(line_becomes(pm_status(device_bdf), "suspended"));
	device = vfio_pci_device_init(device_bdf, iommu);
	ASSERT_STREQ("active", line_of(pm_status(device_bdf)));
	ASSERT_EQ(0, low_power(device, VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY));
	ASSERT_TRUE(line_becomes(pm_status(device_bdf), "suspended"));
	ASSERT_EQ(0, low_power(device, VFIO_DEVICE_FEATURE_LOW_POWER_EXIT));
	ASSERT_STREQ("active", line_of(pm_status(device_bdf)));
	vfio_pci_device_cleanup(device);
	ASSERT_TRUE(line_becomes(pm_status(device_bdf), "suspended"));

	/* The power control of userspace does not change the state after removal */
	ASSERT_EQ(0, put_device(device_bdf, "power/control", "on"));
	ASSERT_STREQ("active", line_of(pm_status(device_bdf)));
	ASSERT_EQ(0, put_device(device_bdf, "power/control", "auto"));
	ASSERT_TRUE(line_becomes(pm_status(device_bdf), "suspended"));
	ASSERT_EQ(0, mdev_try_remove(UUID));
	ASSERT_STREQ("active", line_of(pm_status(device_bdf)));
	ASSERT_EQ(0, put_device(device_bdf, "power/control", "auto"));
	usleep(200000);
	ASSERT_STREQ("active", line_of(pm_status(device_bdf)));
	iommu_cleanup(iommu);
}

static const char *option_of(const char *name)
{
	char path[PATH_MAX];

	snprintf_assert(path, sizeof(path), "/sys/kernel/debug/vfio/%s/pci/%s", device_bdf, name);

	return line_of(path);
}

TEST_F(once, module_options_apply_to_new_devices)
{
	mdev_create(device_bdf, UUID);
	ASSERT_STREQ("N", option_of("nointxmask"));
	ASSERT_STREQ("N", option_of("disable_idle_d3"));
	ASSERT_EQ(0, mdev_unload());
	ASSERT_EQ(0, put_device(device_bdf, "driver_override", "\n"));

	/* Bind by ids, without driver_override */
	ASSERT_TRUE(mdev_load("ids=junk,8086:1,1234:11e8 nointxmask=1 disable_idle_d3=1"));
	ASSERT_TRUE(mdev_is_bound(device_bdf));
	mdev_create(device_bdf, UUID);
	ASSERT_STREQ("Y", option_of("nointxmask"));
	ASSERT_STREQ("Y", option_of("disable_idle_d3"));
	usleep(200000);
	ASSERT_STREQ("active", line_of(pm_status(device_bdf)));
	ASSERT_EQ(0, mdev_unload());

	ASSERT_TRUE(mdev_load(NULL));
	ASSERT_FALSE(mdev_is_bound(device_bdf));
	ASSERT_EQ(0, put_text(MDEV_DRIVERS "new_id", "1234 11e8"));
	ASSERT_TRUE(mdev_is_bound(device_bdf));
	ASSERT_EQ(0, put_text(MDEV_DRIVERS "remove_id", "1234 11e8"));
	ASSERT_EQ(0, mdev_unload());
}

TEST_F(once, bound_device_cannot_enable_vfs)
{
	mdev_bind(igb_bdf, MDEV_DRIVER);
	ASSERT_EQ(ENOENT, put_device(igb_bdf, "sriov_numvfs", "1"));
	mdev_create(igb_bdf, UUID);
	ASSERT_EQ(ENOENT, put_device(igb_bdf, "sriov_numvfs", "1"));
	ASSERT_EQ(0, sysfs_sriov_numvfs_get(igb_bdf));
	mdev_bind(igb_bdf, NULL);
	ASSERT_FALSE(mdev_exists(UUID));
}

/* pci-pf-stub leaves VFs enabled when it is unbound */
TEST_F(once, device_with_vfs_is_refused)
{
	mdev_bind(igb_bdf, "pci-pf-stub");
	sysfs_sriov_numvfs_set(igb_bdf, 1);
	mdev_bind(igb_bdf, NULL);
	ASSERT_EQ(1, sysfs_sriov_numvfs_get(igb_bdf));

	log_mark();
	ASSERT_EQ(0, mdev_try_bind(igb_bdf, MDEV_DRIVER));
	ASSERT_FALSE(mdev_is_bound(igb_bdf));
	ASSERT_TRUE(log_has("Cannot bind to PF with SR-IOV enabled"));
	ASSERT_EQ(EBUSY, put_text(MDEV_DRIVERS "bind", igb_bdf));

	mdev_bind(igb_bdf, "pci-pf-stub");
	sysfs_sriov_numvfs_set(igb_bdf, 0);
	mdev_bind(igb_bdf, MDEV_DRIVER);
	mdev_bind(igb_bdf, NULL);
}

/* A VF of a device that is bound to vfio-pci needs the token of the PF */
TEST_F(once, vf_needs_the_token_of_its_pf)
{
	struct iommu *iommu = iommu_init(MODE_IOMMUFD);
	struct vfio_pci_device *pf, *vf;
	char *vf_bdf;
	int ret;

	mdev_bind(igb_bdf, "vfio-pci");
	sysfs_sriov_numvfs_set(igb_bdf, 1);
	vf_bdf = sysfs_sriov_vf_bdf_get(igb_bdf, 0);
	mdev_bind(vf_bdf, MDEV_DRIVER);
	mdev_create(vf_bdf, UUID);

	pf = vfio_pci_device_init(igb_bdf, iommu);
	vfio_device_set_vf_token(pf->fd, OTHER_UUID);
	vf = open_bare(iommu, vf_bdf, NULL, &ret);
	ASSERT_EQ(NULL, vf);
	ASSERT_EQ(EACCES, ret);
	vf = open_bare(iommu, vf_bdf, UUID, &ret);
	ASSERT_EQ(NULL, vf);
	ASSERT_EQ(EACCES, ret);
	vf = open_bare(iommu, vf_bdf, OTHER_UUID, &ret);
	ASSERT_NE(NULL, vf);
	ASSERT_EQ(0x8086, vfio_pci_config_readw(vf, PCI_VENDOR_ID));
	close_bare(vf);
	vfio_pci_device_cleanup(pf);

	/* Disabling VFs removes the VF and its mediated device */
	sysfs_sriov_numvfs_set(igb_bdf, 0);
	ASSERT_FALSE(mdev_exists(UUID));
	mdev_bind(igb_bdf, NULL);
	free(vf_bdf);
	iommu_cleanup(iommu);
}

TEST_F(once, shared_iommu_group_is_refused)
{
	char bridge[PATH_MAX], link[PATH_MAX] = {};

	log_mark();
	mdev_bind(shared_bdf, MDEV_DRIVER);
	ASSERT_EQ(EBUSY, mdev_try_create(shared_bdf, UUID));
	ASSERT_TRUE(log_has("has other devices"));
	ASSERT_FALSE(mdev_exists(UUID));
	ASSERT_EQ(1, mdev_available(shared_bdf));
	mdev_bind(shared_bdf, NULL);

	/* The driver does not bind the bridge above the devices */
	snprintf_assert(bridge, sizeof(bridge), "/sys/bus/pci/devices/%s", shared_bdf);
	ASSERT_GT(readlink(bridge, link, sizeof(link) - 1), 0);
	*strrchr(link, '/') = 0;
	put_device(strrchr(link, '/') + 1, "driver_override", MDEV_DRIVER);
	put_text(MDEV_DRIVERS "bind", strrchr(link, '/') + 1);
	ASSERT_FALSE(mdev_is_bound(strrchr(link, '/') + 1));
	put_device(strrchr(link, '/') + 1, "driver_override", "\n");
}

/* The device does not come back */
TEST_F_TIMEOUT(once, unplug_waits_for_close, 120)
{
	struct iommu *iommu;

	if (!getenv("VFIO_SELFTESTS_EVENTS"))
		SKIP(return, "no caller that unplugs the device; see need_events()");
	iommu = iommu_init(MODE_IOMMUFD);
	mdev_bind(port_bdf, MDEV_DRIVER);
	mdev_create(port_bdf, UUID);
	remove_while_open(iommu, port_bdf, NULL, NULL);
	while (device_exists(port_bdf))
		usleep(10000);
	ASSERT_FALSE(mdev_exists(UUID));
	ASSERT_EQ(0, mdev_unload());
	iommu_cleanup(iommu);
}

int main(int argc, char *argv[])
{
	char **bdfs;

	bdfs = mdev_begin(&argc, argv, 4,
			  "two edu devices, an igb, and a device in a shared IOMMU group");
	need_edu(bdfs[0]);
	need_edu(bdfs[1]);
	need_igb(bdfs[2]);
	need_vfs();
	need_loaded("pci_pf_stub", NULL, "CONFIG_PCI_PF_STUB", NULL, 0);
	port_bdf = bdfs[1];
	igb_bdf = bdfs[2];
	shared_bdf = bdfs[3];

	return test_harness_run(argc, argv);
}
