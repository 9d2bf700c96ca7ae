/* SPDX-License-Identifier: GPL-2.0-only */
/* Mutated streams, and the oracle for their results */
#ifndef SELFTESTS_VFIO_MIGRATION_FUZZ_H
#define SELFTESTS_VFIO_MIGRATION_FUZZ_H

#include <endian.h>
#include <string.h>

#include "migration.h"

/* Bytes of one part of the driver, and of the whole state */
#define PART	20
#define SIZE	40
/* Maximum size of a stream, unless its sender gives a wrong size */
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

/* Pseudorandom numbers; each call advances @random */
u64 next_random(u64 *random);
/* Return a number less than @ceiling */
u32 below(u64 *random, u32 ceiling);
bool one_in(u64 *random, u32 of);
/* Return a number that exceeds every size */
u64 some_large_number(u64 *random);

struct mutant {
	u64 random;
	/* A valid stream, one with another state, and the mutated stream */
	struct bytes good;
	struct bytes other;
	struct bytes bytes;
};

/* Mutate the stream once; a mutation may have no effect */
void mutate(struct mutant *mutant);

/* Expected result of a stream */
struct verdict {
	/* Expected errno, and an alternative one; 0 if the stream is accepted */
	int error;
	int or;
	/* Expected calls of the driver */
	int loads;
	int precopy_loads;
	bool done;
	/* The loaded state, if there is one */
	bool has_seed;
	u64 seed;
};

/* Predict the result of a stream for a device that sends the header @ours */
struct verdict judge(const struct bytes *sent, const struct stream_header *ours);

#endif
