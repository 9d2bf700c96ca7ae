// SPDX-License-Identifier: GPL-2.0-only
/*
 * PCI errors while a device is open.  The program prints the name of an error, and
 * its caller (see need_events()) must inject this error into the device.  The core
 * must report the resets to the vendor drivers.
 *
 * Needs a device with AER and a BAR4, for example a modern virtio device of QEMU
 * with aer=on.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <sys/eventfd.h>

#include "need.h"
#include "testdrv.h"

const char *device_bdf;

static void wait_for_error(int fd, const char *name)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
	eventfd_t count;

	printf("inject %s\n", name);
	VFIO_ASSERT_EQ(poll(&poll_fd, 1, 60000), 1, "no error eventfd within 60 s\n");
	VFIO_ASSERT_EQ(eventfd_read(fd, &count), 0);
	printf("%s: the error eventfd has fired\n", name);
}

/* Wait up to 10 s: recovery continues after the error eventfd fires */
static void expect_resets(int prepares, int resets)
{
	testdrv_wait_count("resets", resets);
	VFIO_ASSERT_EQ(testdrv_count("prepares"), prepares);
	VFIO_ASSERT_EQ(testdrv_count("resets"), resets);
	printf("%d calls of reset_prepare, %d of reset_done\n", prepares, resets);
}

int main(int argc, char *argv[])
{
	struct vfio_pci_device *device;
	int fd, prepares, resets;
	struct iommu *iommu;
	u32 value = 0;

	setvbuf(stdout, NULL, _IOLBF, 0);
	device_bdf = need_bdf(&argc, argv);
	need_events("inject ERROR");
	need_file(device_file(device_bdf, "aer_dev_fatal"), "a device with AER");
	need_file(device_file(device_bdf, "resource4"), "a device with a BAR4");
	testdrv_begin();
	iommu = iommu_init(MODE_VFIO_TYPE1V2_IOMMU);
	device = testdrv_open(iommu, "range 4 0x10 4; range 7 0 4", "", "");
	fd = irq_eventfd(device, VFIO_PCI_ERR_IRQ_INDEX);
	prepares = testdrv_count("prepares");
	resets = testdrv_count("resets");

	/* A non-fatal error causes no reset */
	wait_for_error(fd, "POISON_TLP");
	sleep(1);
	expect_resets(prepares, resets);
	wait_for_error(fd, "DLP");
	expect_resets(prepares + 1, resets + 1);

	/* Overrides stay active after the reset */
	VFIO_ASSERT_EQ(vfio_pci_config_readl(device, PCI_VENDOR_ID), 0x5a5a5a5a);
	VFIO_ASSERT_EQ(pread(device->fd, &value, 4, region_offset(4) + 0x10), 4);
	VFIO_ASSERT_EQ(value, 0x5a5a5a5a);

	/* VFIO_DEVICE_RESET restores config space, and the device works again */
	ioctl_assert(device->fd, VFIO_DEVICE_RESET, NULL);
	expect_resets(prepares + 2, resets + 2);
	vfio_pci_device_cleanup(device);
	iommu_cleanup(iommu);

	device = vfio_pci_device_init(device_bdf, iommu_init(MODE_VFIO_TYPE1V2_IOMMU));
	VFIO_ASSERT_EQ(vfio_pci_config_readl(device, PCI_VENDOR_ID), 0x5a5a5a5a);
	printf("1..1\nok 1 errors_reach_userspace_and_resets_reach_the_driver\n");

	return KSFT_PASS;
}
