/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Helpers for the region of VFIO_REGION_TYPE_MIGRATION_DEPRECATED.
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

/* Return the offset of the migration region, and its region info */
u64 find_region(struct vfio_pci_device *device, struct region_info *info);

/* Registers */
enum {
	PENDING_BYTES = offsetof(struct vfio_device_migration_info, pending_bytes),
	DATA_OFFSET = offsetof(struct vfio_device_migration_info, data_offset),
	DATA_SIZE = offsetof(struct vfio_device_migration_info, data_size),
};

/* Read a register of 8 bytes; return 0 or an errno */
int try_get(int fd, u64 offset, u64 *value);
/* Read a register of 8 bytes; an error ends the test */
u64 get(int fd, u64 offset);

/* @offset is the offset of the region */
int put_data_size(int fd, u64 offset, u64 size);
int put_state(int fd, u64 offset, u32 state);
u32 state_of(int fd, u64 offset);
u8 *map_data(int fd, u64 offset);

#endif
