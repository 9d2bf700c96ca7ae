// SPDX-License-Identifier: GPL-2.0-only
/*
 * Errors of the PCI bus for a device that is bound to vfio-mdev-pci: before it
 * has a mediated device, while it has one, and afterwards.  The caller of this
 * program injects the errors that it prints.
 *
 * Needs a device that reports errors by AER, for example a modern virtio device
 * of QEMU with aer=on.
 */
#include <stdio.h>
#include <unistd.h>

#include <sys/eventfd.h>

#include "mdev.h"
#include "../vendor/need.h"
#include "../vendor/testdrv.h"

/*
 * Request an error and wait up to 60 s for the recovery by the PCI core.  The
 * recovery must succeed after "POISON_TLP".  It may fail after "DLP", a fatal
 * error.
 */
static void inject_error(const char *name)
{
	const char *end = *name == 'D' ? "device recovery " : "device recovery successful";
	int tries = 0;

	log_mark();
	printf("inject %s\n", name);
	while (!log_has(end)) {
		VFIO_ASSERT_LT(tries++, 600, "the PCI core did not recover the device\n");
		usleep(100000);
	}
	printf("%s: handled\n", name);
}

int main(int argc, char *argv[])
{
	struct vfio_pci_device *device;
	struct iommu *iommu;
	eventfd_t count;
	int fd, i;

	setvbuf(stdout, NULL, _IOLBF, 0);
	mdev_begin(&argc, argv, 1, "one device");
	need_events("inject ERROR");
	need_file(device_file(device_bdf, "aer_dev_fatal"), "a device with AER");
	/* Unload the module to remove devices of earlier tests */
	mdev_unload();
	VFIO_ASSERT_TRUE(mdev_load(NULL));
	mdev_bind(device_bdf, MDEV_DRIVER);
	inject_error("POISON_TLP");

	/* The second round checks that the removed mediated device gets no report */
	for (i = 0; i < 2; i++) {
		mdev_create(device_bdf, UUID);
		iommu = iommu_init(MODE_IOMMUFD);
		device = vfio_pci_device_init(device_bdf, iommu);
		fd = irq_eventfd(device, VFIO_PCI_ERR_IRQ_INDEX);
		inject_error("POISON_TLP");
		VFIO_ASSERT_EQ(eventfd_read(fd, &count), 0);
		VFIO_ASSERT_EQ(count, 1);
		vfio_pci_device_cleanup(device);
		iommu_cleanup(iommu);
		close(fd);
		inject_error("POISON_TLP");

		VFIO_ASSERT_EQ(mdev_try_remove(UUID), 0);
		inject_error("POISON_TLP");
	}
	/* Last, because the device reports no error after it */
	inject_error("DLP");
	mdev_bind(device_bdf, NULL);
	VFIO_ASSERT_EQ(mdev_unload(), 0);
	printf("1..1\nok 1 errors_are_handled_with_and_without_an_mdev\n");

	return KSFT_PASS;
}
