/* SPDX-License-Identifier: GPL-2.0-only */
/* Helpers to parse and to forge streams */
#ifndef SELFTESTS_VFIO_STREAM_UTIL_H
#define SELFTESTS_VFIO_STREAM_UTIL_H

#include "migration.h"

/* Maximum contents of a record */
#define RECORD_MAX	262128

/* Continue the checksum @crc, without a final inversion */
u32 crc32c(u32 crc, const void *data, size_t size);

/* A record in a stream */
struct record {
	struct stream_record *head;
	u32 size;
};

/* Find the records of a valid stream, at most 32; return their number */
int find_records(const struct bytes *bytes, struct record *records);

/* Set the checksum of the header */
u32 seal_header(void *data);
/* Set the checksum of a record; @crc is the checksum of the stream before it */
u32 seal_record(struct stream_record *record, u32 crc, size_t size);
/* Set all checksums of a stream, as an attacker can.  The last record may be incomplete. */
void seal(struct bytes *bytes);

/* Copy a stream into a buffer of 1 MiB */
struct bytes copy_bytes(const struct bytes *bytes);
void append_bytes(struct bytes *bytes, const void *data, size_t size);

#endif
