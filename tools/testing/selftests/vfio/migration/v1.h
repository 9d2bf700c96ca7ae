/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The migration region of VFIO_REGION_TYPE_MIGRATION_DEPRECATED, for programs that
 * migrate a device by it.
 */
#ifndef SELFTESTS_VFIO_MIGRATION_V1_H
#define SELFTESTS_VFIO_MIGRATION_V1_H

#include <stddef.h>

#include <linux/sizes.h>
#include <linux/vfio.h>

#include "migration.h"

#define RUNNING		VFIO_DEVICE_STATE_V1_RUNNING
#define SAVING		VFIO_DEVICE_STATE_V1_SAVING
#define RESUMING	VFIO_DEVICE_STATE_V1_RESUMING
#define STOP		VFIO_DEVICE_STATE_V1_STOP
#define ERROR		(SAVING | RESUMING)

#define WINDOW		SZ_256K

/* Where it is, and what there is to know of it */
u64 find_region(struct vfio_pci_device *device, struct region_info *info);

/* Registers */
enum {
	PENDING_BYTES = offsetof(struct vfio_device_migration_info, pending_bytes),
	DATA_OFFSET = offsetof(struct vfio_device_migration_info, data_offset),
	DATA_SIZE = offsetof(struct vfio_device_migration_info, data_size),
};

/* One of the numbers: 0 or an errno */
int try_get(int fd, u64 offset, u64 *value);
/* That it can be had, too */
u64 get(int fd, u64 offset);

/* Given the offset of the region */
int put_data_size(int fd, u64 offset, u64 size);
int put_state(int fd, u64 offset, u32 state);
u32 state_of(int fd, u64 offset);
u8 *map_data(int fd, u64 offset);

#endif
