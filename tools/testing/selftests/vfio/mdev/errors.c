// SPDX-License-Identifier: GPL-2.0-only
/*
 * Errors of the PCI bus of a device that is bound to vfio-mdev-pci, be there a
 * mediated device, be there none any more, or none yet: whoever has this program run
 * is to inject the error that it names into the device.  For a device that
 * reports errors by AER, as QEMU's modern virtio devices with aer=on.
 */
#include <stdio.h>
#include <unistd.h>

#include <sys/eventfd.h>

#include "mdev.h"
#include "../torture/torture.h"

/*
 * Within 60 s, the PCI core has dealt with it, and the driver had a part in that: a
 * device is well again after "POISON_TLP", but need not be after "DLP", a fatal one.
 */
static void suffer(const char *name)
{
	const char *end = *name == 'D' ? "device recovery " : "device recovery successful";
	int tries = 0;

	log_mark();
	printf("inject %s\n", name);
	while (!log_has(end)) {
		VFIO_ASSERT_LT(tries++, 600, "it never came to an end\n");
		usleep(100000);
	}
	printf("%s: over\n", name);
}

int main(int argc, char *argv[])
{
	struct vfio_pci_device *device;
	struct iommu *iommu;
	eventfd_t count;
	int fd, i;

	setvbuf(stdout, NULL, _IOLBF, 0);
	device_bdf = vfio_selftests_get_bdf(&argc, argv);
	/* Whatever was there before is gone by that */
	mdev_unload();
	VFIO_ASSERT_TRUE(mdev_load(NULL));
	mdev_bind(device_bdf, MDEV_DRIVER);
	suffer("POISON_TLP");

	/* Twice, as what was there before must not be told of it */
	for (i = 0; i < 2; i++) {
		mdev_create(device_bdf, UUID);
		iommu = iommu_init(MODE_IOMMUFD);
		device = vfio_pci_device_init(device_bdf, iommu);
		fd = irq_eventfd(device, VFIO_PCI_ERR_IRQ_INDEX);
		suffer("POISON_TLP");
		VFIO_ASSERT_EQ(eventfd_read(fd, &count), 0);
		VFIO_ASSERT_EQ(count, 1);
		vfio_pci_device_cleanup(device);
		iommu_cleanup(iommu);
		close(fd);
		suffer("POISON_TLP");

		VFIO_ASSERT_EQ(mdev_try_remove(UUID), 0);
		suffer("POISON_TLP");
	}
	/* The last, as the device reports no more after it */
	suffer("DLP");
	mdev_bind(device_bdf, NULL);
	VFIO_ASSERT_EQ(mdev_unload(), 0);
	printf("1..1\nok 1 errors\n");

	return KSFT_PASS;
}
