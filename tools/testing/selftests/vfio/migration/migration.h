/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What tests of migration share: the vendor driver of the module
 * vfio_pci_torture_migration (CONFIG_VFIO_PCI_TORTURE_TEST), and the two
 * protocols that a device which it migrates is migrated by.
 */
#ifndef SELFTESTS_VFIO_MIGRATION_H
#define SELFTESTS_VFIO_MIGRATION_H

#include <sys/types.h>

#include <linux/compiler.h>
#include <linux/types.h>
#include <linux/vfio.h>

#include <libvfio.h>

#include "../torture/torture.h"

#define STATE(x)	VFIO_DEVICE_STATE_##x

/* The devices that the program is to use: one, or two of the same ids */
extern char **migration_bdfs;
extern int migration_nr_bdfs;

void migration_main_bdfs(int *argc, char *argv[]);

/* What the driver can do with the devices that are bound to vfio-pci */
struct abilities {
	bool p2p;
	u64 precopy;
	bool log;
};

/* Have it loaded with these, and with all other options as they are at first */
void migration_load(const struct abilities *abilities);
void migration_defaults(void);
/* The steps of that */
void migration_modprobe(const struct abilities *abilities);
/* 0 or an errno */
int migration_try_rmmod(void);
void migration_unbind(void);

__printf(2, 3)
void migration_set(const char *param, const char *fmt, ...);
/* An option that is to be read or written more often than it can be opened */
int migration_open(const char *param, int flags);
/* How often an operation of the driver was called */
int migration_calls(const char *op);
int migration_count(const char *param);
/* What the driver says of a device that is open */
struct driver_view {
	char level[16];
	u64 seed;
	/* Of what it has loaded last */
	unsigned int version;
	bool precopying;
	bool logging;
};

struct driver_view migration_view(const char *bdf);
void migration_fail(const char *op, int error, unsigned int after);

/* VFIO_DEVICE_FEATURE with some data: 0 or an errno */
int device_feature(int fd, u32 flags, void *data, size_t size);
/* Those of migration; what is not asked for may be NULL */
int set_state(int fd, u32 state, int *data_fd);
u32 get_state(int fd);
u64 get_data_size(int fd);
u64 get_flags(int fd);

/* Bytes of a stream; all of what there is to read */
struct bytes {
	u8 *data;
	size_t size;
	size_t room;
};

/* Read in chunks until there is no more: 0, or the errno that it ends with */
int read_all(int fd, struct bytes *bytes, size_t chunk);
/* Write in chunks: 0, or the errno */
int write_all(int fd, const void *data, size_t size, size_t chunk);
/* All of it, with the state of the device before and afterwards as it may be */
void save_state(int fd, struct bytes *bytes);
int load_state(int fd, const struct bytes *bytes);
void free_bytes(struct bytes *bytes);

/* What a stream is made of; all of it is little endian */
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

#endif
