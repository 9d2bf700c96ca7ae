/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Helpers for the tests of vfio-mdev-pci (CONFIG_SAMPLE_VFIO_MDEV_PCI).  They
 * create and remove mediated devices, and access QEMU's edu device by libvfio.
 * libvfio finds the vfio device by the address of the PCI device.
 */
#ifndef SELFTESTS_VFIO_MDEV_H
#define SELFTESTS_VFIO_MDEV_H

#include <libvfio.h>

#include "../vendor/edu.h"

#define MDEV_DRIVER		"vfio-mdev-pci"
#define MDEV_DRIVERS		"/sys/bus/pci/drivers/vfio-mdev-pci/"
#define MDEV_TYPE		"mdev_supported_types/vfio-mdev-pci-type1/"

#define UUID			"5f3a1c9e-0b52-4a7d-9c41-6f0e2d83b701"
#define OTHER_UUID		"5f3a1c9e-0b52-4a7d-9c41-6f0e2d83b702"

#define EDU_IDENTIFICATION	0
#define EDU_LIVENESS		4
#define EDU_IRQ_RAISE		0x60
#define EDU_IRQ_LOWER		0x64

/*
 * Get @nr devices or more, and load the module; skip if impossible.  At exit, bind
 * the devices to their drivers again, and unload the module if it was not loaded.
 */
char **mdev_begin(int *argc, char *argv[], int nr, const char *devices);

/* Bind a device to a driver, or to none if NULL; return 0 or an errno */
int mdev_try_bind(const char *bdf, const char *driver);
void mdev_bind(const char *bdf, const char *driver);
bool mdev_is_bound(const char *bdf);

/* Return 0 or an errno */
int mdev_try_create(const char *bdf, const char *uuid);
void mdev_create(const char *bdf, const char *uuid);
int mdev_try_remove(const char *uuid);
bool mdev_exists(const char *uuid);
/* Return the path of a file of a mediated device, valid until the next call */
const char *mdev_file(const char *uuid, const char *file);
/* Return how many mediated devices can still be created, or -1 */
int mdev_available(const char *bdf);

/* Load the module with options or NULL, and unload it; mdev_unload() returns 0 or an errno */
bool mdev_load(const char *options);
int mdev_unload(void);

/* Wait some seconds until the first line of a file is @text */
bool line_becomes(const char *path, const char *text);
/* Search the kernel log after the mark */
void log_mark(void);
bool log_has(const char *text);

#endif
