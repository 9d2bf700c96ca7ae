/* SPDX-License-Identifier: GPL-2.0-only */
/* Streams that were mutated, and what is to become of them */
#ifndef SELFTESTS_VFIO_MIGRATION_FUZZ_H
#define SELFTESTS_VFIO_MIGRATION_FUZZ_H

#include <endian.h>
#include <string.h>

#include "migration.h"

/* What is written by the driver at a time, and what it writes in all */
#define PART	20
#define SIZE	40
/* What a stream may grow to, unless its sender lies of what it has put there */
#define LONG	2048

#define HEADER	sizeof(struct stream_header)
#define HEAD	sizeof(struct stream_record)

static inline u32 get_le32(const void *from)
{
	__le32 val;

	memcpy(&val, from, sizeof(val));

	return le32toh(val);
}

static inline u64 get_le64(const void *from)
{
	__le64 val;

	memcpy(&val, from, sizeof(val));

	return le64toh(val);
}

/* Numbers that follow from @random, which becomes another */
u64 next_random(u64 *random);
/* Less than @ceiling */
u32 below(u64 *random, u32 ceiling);
bool one_in(u64 *random, u32 of);
/* More than anything is long */
u64 some_large_number(u64 *random);

struct mutant {
	u64 random;
	/* A good one, another of another state, and what has become of the first */
	struct bytes good;
	struct bytes other;
	struct bytes bytes;
};

/* Change something of it, or nothing if there is nothing to be changed */
void mutate(struct mutant *mutant);

/* What is to become of a stream */
struct verdict {
	bool empty;
	/* Its errno, or another one that it may be as well; 0 if it is taken */
	int error;
	int or;
	/* What the driver sees of it */
	int loads;
	int precopy_loads;
	bool done;
	/* The state that it has, if that is any */
	bool has_seed;
	u64 seed;
};

/* Of what was sent to a device with @ours as its header */
struct verdict judge(const struct bytes *sent, const struct stream_header *ours);

#endif
