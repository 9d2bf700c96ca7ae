/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Shared by the tests of migration: control of the vendor driver in the module
 * vfio_pci_testdrv_migration (CONFIG_VFIO_PCI_TEST_DRIVERS), and helpers for
 * both migration protocols.
 */
#ifndef SELFTESTS_VFIO_MIGRATION_H
#define SELFTESTS_VFIO_MIGRATION_H

#include <sys/types.h>

#include <linux/compiler.h>
#include <linux/types.h>
#include <linux/vfio.h>

#include <libvfio.h>

#include "../vendor/testdrv.h"

#define STATE(x)	VFIO_DEVICE_STATE_##x

/* Devices on the command line */
extern char **migration_bdfs;
extern int migration_nr_bdfs;

/* Get @nr or more devices that support reset; skip if one, or the module, is missing */
void migration_begin(int *argc, char *argv[], int nr, const char *devices);

/* Abilities of the driver; vfio-pci reads them at bind */
struct abilities {
	bool p2p;
	u64 precopy;
	bool log;
};

/* Load the driver with these abilities and default options, and bind the devices */
void migration_load(const struct abilities *abilities);
void migration_defaults(void);
/* Single steps of migration_load() */
void migration_modprobe(const struct abilities *abilities);
/* Return 0 or an errno */
int migration_try_rmmod(void);
void migration_unbind(void);

__printf(2, 3)
void migration_set(const char *param, const char *fmt, ...);
/* Open a parameter, for frequent accesses */
int migration_open(const char *param, int flags);
/* Return the number of calls of an operation */
int migration_calls(const char *op);
int migration_count(const char *param);
/* State of an open device in the driver */
struct driver_view {
	char level[16];
	u64 seed;
	/* Version of the last loaded state */
	unsigned int version;
	bool in_session;
	bool logging;
};

struct driver_view migration_view(const char *bdf);
void migration_fail(const char *op, int error, unsigned int after);

/* Call VFIO_DEVICE_FEATURE with data; return 0 or an errno */
int device_feature(int fd, u32 flags, void *data, size_t size);
/* Features of migration; @data_fd may be NULL */
int set_state(int fd, u32 state, int *data_fd);
u32 get_state(int fd);
u64 get_data_size(int fd);
u64 get_flags(int fd);

/* Bytes of a stream; @room bytes are allocated */
struct bytes {
	u8 *data;
	size_t size;
	size_t room;
};

/* Read in chunks until the end; return 0 or the final errno */
int read_all(int fd, struct bytes *bytes, size_t chunk);
/* Write in chunks; return 0 or an errno */
int write_all(int fd, const void *data, size_t size, size_t chunk);
/* Save and load a whole state; the caller restores the device state */
void save_state(int fd, struct bytes *bytes);
int load_state(int fd, const struct bytes *bytes);
void free_bytes(struct bytes *bytes);

/* Format of a stream, all little endian */
struct stream_header {
	u8 magic[8];
	__le32 format;
	__le32 size;
	__le16 vendor;
	__le16 device;
	__le16 subvendor;
	__le16 subdevice;
	u8 revision;
	u8 reserved[3];
	__le32 version;
	u8 driver[32];
	__le64 nonce;
	__le32 reserved2;
	__le32 crc;
};

struct stream_record {
	__le32 type;
	__le32 size;
	__le32 reserved;
	__le32 crc;
};

#define RECORD_PRECOPY	1
#define RECORD_DATA	2
#define RECORD_END	3
#define RECORD_OPTIONAL	0x80000000

#endif
