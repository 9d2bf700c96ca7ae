// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reset callbacks of vendor drivers.  reset_prepare and reset_done must pair while
 * the device is open or closed, and during open and close.  Resets must not lose the
 * BARs.
 *
 * Needs a device with function level reset, which takes 100 ms, bound to vfio-pci,
 * and the module vfio_pci_testdrv.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <linux/compiler.h>

#include "need.h"
#include "testdrv.h"

#include "kselftest_harness.h"

const char *device_bdf;

static int prepares(void)
{
	return testdrv_count("prepares");
}

static int resets(void)
{
	return testdrv_count("resets");
}

static void start_reset(struct writer *writer)
{
	int before = prepares();

	writer_start(writer, device_file(device_bdf, "reset"), "1");
	while (prepares() == before)
		usleep(1000);
}

FIXTURE(resets) {
	struct iommu *iommu;
};

FIXTURE_VARIANT(resets) {
	const char *iommu_mode;
};

#define FIXTURE_VARIANT_ADD_IOMMU_MODE(mode) FIXTURE_VARIANT_IOMMU_MODE(resets, mode)

FIXTURE_VARIANT_ADD_ALL_IOMMU_MODES();

FIXTURE_SETUP(resets)
{
	self->iommu = iommu_init(variant->iommu_mode);
	/* Attach the drivers: they were loaded after the device was bound */
	vfio_pci_device_cleanup(testdrv_open(self->iommu, "", "", ""));
	ASSERT_EQ(prepares(), resets());
}

FIXTURE_TEARDOWN(resets)
{
	iommu_cleanup(self->iommu);
}

TEST_F(resets, resets_by_open_and_close_call_the_driver)
{
	struct vfio_pci_device *device;
	int before = prepares(), opened;

	device = testdrv_open(self->iommu, "", "", "");
	opened = prepares();
	ASSERT_GT(opened, before);
	ASSERT_EQ(opened, resets());
	vfio_pci_device_cleanup(device);
	ASSERT_GT(prepares(), opened);
	ASSERT_EQ(prepares(), resets());
}

TEST_F(resets, reset_of_a_closed_device_calls_the_driver)
{
	int before = prepares();

	ASSERT_EQ(0, put_device(device_bdf, "reset", "1"));
	ASSERT_EQ(before + 1, prepares());
	ASSERT_EQ(before + 1, resets());
}

TEST_F(resets, close_waits_for_reset_done)
{
	struct vfio_pci_device *device;
	struct writer writer;
	int i, before;

	for (i = 0; i < 5; i++) {
		device = testdrv_open(self->iommu, "", "", "");
		before = resets();
		start_reset(&writer);
		/* close() begins during the reset */
		ASSERT_EQ(before, resets());
		vfio_pci_device_cleanup(device);
		ASSERT_LT(before, resets());
		ASSERT_EQ(0, writer_join(&writer));
		ASSERT_EQ(prepares(), resets());
	}
}

struct opener {
	pthread_t thread;
	int ret;
};

static void *open_slowly(void *arg)
{
	struct opener *opener = arg;

	opener->ret = testdrv_open_errno("sleep 3000", "", "");

	return NULL;
}

TEST_F(resets, reset_during_open_fails_the_open)
{
	int opens = testdrv_count("opens"), closes = testdrv_count("closes");
	struct opener opener = { .ret = -1 };
	int before = resets();

	ASSERT_EQ(0, pthread_create(&opener.thread, NULL, open_slowly, &opener));
	/* open() resets the device, then the driver sleeps */
	while (resets() == before)
		usleep(1000);
	usleep(1000000);
	ASSERT_EQ(opens, testdrv_count("opens"));
	ASSERT_EQ(0, put_device(device_bdf, "reset", "1"));
	ASSERT_EQ(0, pthread_join(opener.thread, NULL));
	ASSERT_EQ(EAGAIN, opener.ret);
	ASSERT_EQ(opens + 1, testdrv_count("opens"));
	ASSERT_EQ(closes + 1, testdrv_count("closes"));
	ASSERT_EQ(prepares(), resets());

	ASSERT_EQ(0, testdrv_open_errno("sleep 3000", "", ""));
	ASSERT_EQ(prepares(), resets());
}

struct repeater {
	pthread_t thread;
	bool stop;
	int opens;
};

static void *open_repeatedly(void *arg)
{
	struct repeater *repeater = arg;

	while (!READ_ONCE(repeater->stop))
		repeater->opens += !testdrv_open_errno("", "", "");

	return NULL;
}

/* Return: microseconds that one open and close take */
static long time_open(void)
{
	struct timespec began, ended;

	clock_gettime(CLOCK_MONOTONIC, &began);
	VFIO_ASSERT_EQ(testdrv_open_errno("", "", ""), 0);
	clock_gettime(CLOCK_MONOTONIC, &ended);

	return (ended.tv_sec - began.tv_sec) * 1000000 + (ended.tv_nsec - began.tv_nsec) / 1000;
}

TEST_F_TIMEOUT(resets, resets_during_opens_and_closes_keep_the_bars, 300)
{
	u32 before[PCI_STD_NUM_BARS], after[PCI_STD_NUM_BARS];
	struct sched_param first = { .sched_priority = 1 };
	struct repeater repeater = {};
	long open_us = time_open();
	cpu_set_t cpus;
	char *reset;
	int i;

	read_bars(device_bdf, before);
	ASSERT_NE(0, before[0] & PCI_BASE_ADDRESS_MEM_MASK);
	reset = strdup(device_file(device_bdf, "reset"));
	CPU_ZERO(&cpus);
	CPU_SET(sched_getcpu(), &cpus);
	ASSERT_EQ(0, sched_setaffinity(0, sizeof(cpus), &cpus));
	ASSERT_EQ(0, pthread_create(&repeater.thread, NULL, open_repeatedly, &repeater));
	/*
	 * On a preemptible kernel, a reset now starts when the other thread
	 * unlocks the device.  A kernel may refuse real-time priority.
	 */
	sched_setscheduler(0, SCHED_FIFO, &first);
	/* A reset fails an open in progress.  Some opens fit between two resets. */
	for (i = 0; i < 40 || (i < 120 && !READ_ONCE(repeater.opens)); i++) {
		ASSERT_EQ(0, put_text(reset, "1"));
		usleep(rand() % open_us);
	}
	WRITE_ONCE(repeater.stop, true);
	ASSERT_EQ(0, pthread_join(repeater.thread, NULL));
	free(reset);
	TH_LOG("%d resets, %d opens", i, repeater.opens);
	ASSERT_LT(0, repeater.opens);
	read_bars(device_bdf, after);
	for (i = 0; i < PCI_STD_NUM_BARS; i++)
		ASSERT_EQ(before[i], after[i]);
}

int main(int argc, char *argv[])
{
	device_bdf = need_bdf(&argc, argv);
	if (!strstr(line_of(device_file(device_bdf, "reset_method")), "flr"))
		ksft_exit_skip("%s has no function level reset\n", device_bdf);
	testdrv_begin();

	return test_harness_run(argc, argv);
}
