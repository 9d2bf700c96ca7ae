/* SPDX-License-Identifier: GPL-2.0-only */
/* Streams of devices that are migrated, to be taken apart and made anew */
#ifndef SELFTESTS_VFIO_STREAM_UTIL_H
#define SELFTESTS_VFIO_STREAM_UTIL_H

#include "migration.h"

/* What is in one record at most */
#define RECORD_MAX	262128

/* As the checksums are made: what comes before is in @crc, nothing is inverted */
u32 crc32c(u32 crc, const void *data, size_t size);

/* The records of a stream */
struct record {
	struct stream_record *head;
	u32 size;
};

/* Of a good one, at most 32: how many there are */
int find_records(const struct bytes *bytes, struct record *records);

/* The checksum of the header, whatever is in it */
u32 seal_header(void *data);
/* That of a record, given that of what comes before it */
u32 seal_record(struct stream_record *record, u32 crc, size_t size);
/*
 * All of them, as if who sent it had meant it so; the last one's is of what there
 * is of it
 */
void seal(struct bytes *bytes);

/* With room for 1 MiB */
struct bytes copy_bytes(const struct bytes *bytes);
void append_bytes(struct bytes *bytes, const void *data, size_t size);

#endif
