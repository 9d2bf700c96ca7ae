// SPDX-License-Identifier: GPL-2.0-only
/* Mutations of a stream, accidental and malicious */
#include "fuzz.h"
#include "stream_util.h"
#include "v1.h"

/* splitmix64 */
u64 next_random(u64 *random)
{
	u64 z = *random += 0x9e3779b97f4a7c15ULL;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ z >> 27) * 0x94d049bb133111ebULL;

	return z ^ z >> 31;
}

u32 below(u64 *random, u32 ceiling)
{
	return ceiling ? next_random(random) % ceiling : 0;
}

bool one_in(u64 *random, u32 of)
{
	return !below(random, of);
}

static void put_bytes(struct mutant *mutant, size_t at, const void *from, size_t size)
{
	if (at + size <= mutant->bytes.size)
		memcpy(mutant->bytes.data + at, from, size);
}

/* Return the offset of the record after @at, or the end of the stream */
static size_t next_record(const struct bytes *bytes, size_t at)
{
	size_t left = at < bytes->size ? bytes->size - at : 0;

	if (at < HEADER)
		return HEADER;
	if (left < HEAD || get_le32(bytes->data + at + 4) > left - HEAD)
		return bytes->size;

	return at + HEAD + get_le32(bytes->data + at + 4);
}

/* Return the offset of a random record of the mutated stream */
static size_t some_record(struct mutant *mutant)
{
	int i = below(&mutant->random, 6);
	size_t at = 0;

	do {
		at = next_record(&mutant->bytes, at);
	} while (i-- && at < mutant->bytes.size);

	return at < mutant->bytes.size ? at : mutant->bytes.size;
}

/* Replace @old bytes at @at by @size bytes at @from */
static void replace(struct mutant *mutant, size_t at, size_t old, const void *from, size_t size)
{
	struct bytes *bytes = &mutant->bytes;

	if (at > bytes->size)
		at = bytes->size;
	if (old > bytes->size - at)
		old = bytes->size - at;
	if (bytes->size - old + size > LONG)
		return;
	memmove(bytes->data + at + size, bytes->data + at + old, bytes->size - at - old);
	memcpy(bytes->data + at, from, size);
	bytes->size += size - old;
}

static u32 some_number(u64 *random)
{
	static const u32 numbers[] = {
		0, 1, 2, 3, 4, 15, 16, 17, 20, 40, 80, 0x7fffffff, 0x80000000, 0xfffffff0,
		0xffffffff, RECORD_MAX, RECORD_MAX + 1,
	};

	return numbers[below(random, ARRAY_SIZE(numbers))];
}

u64 some_large_number(u64 *random)
{
	static const u64 numbers[] = {
		1ULL << 63, (1ULL << 63) - 1, (1ULL << 63) + SIZE, ~0ULL, 1ULL << 32,
		(1ULL << 32) + SIZE, 1ULL << 62, 0x80000000, WINDOW + 1, -WINDOW,
	};

	return numbers[below(random, ARRAY_SIZE(numbers))];
}

void mutate(struct mutant *mutant)
{
	size_t record = some_record(mutant), to = next_record(&mutant->bytes, record);
	struct bytes *bytes = &mutant->bytes;
	u64 *random = &mutant->random;
	__le32 number = htole32(some_number(random));
	__le64 large = htole64(some_large_number(random));
	size_t at = below(random, bytes->size), size = below(random, 64), i;
	bool odd = one_in(random, 2);
	u8 copy[LONG];

	switch (below(random, 14)) {
	case 0: /* Flip a bit */
		if (bytes->size)
			bytes->data[at] ^= 1 << below(random, 8);
		break;
	case 1: /* Set random bytes */
		for (i = at; i < at + size % 8 && i < bytes->size; i++)
			bytes->data[i] = below(random, 256);
		break;
	case 2: /* Truncate the stream */
		bytes->size = at;
		break;
	case 3: /* Set a field of a record head */
		put_bytes(mutant, record + 4 * below(random, 4), &number, 4);
		break;
	case 4: /* Set an aligned word anywhere */
		put_bytes(mutant, at & ~3, &number, 4);
		break;
	case 5: /* Change the size of a record by one */
		if (record + HEAD <= bytes->size) {
			number = htole32(get_le32(bytes->data + record + 4) + (odd ? 1 : -1));
			put_bytes(mutant, record + 4, &number, 4);
		}
		break;
	case 6: /* Overwrite bytes with the other stream */
		for (i = at; i < bytes->size && i < mutant->other.size; i++)
			if (odd || i < at + size)
				bytes->data[i] = mutant->other.data[i];
		break;
	case 7: /* Remove or replace bytes */
		replace(mutant, at, size, mutant->other.data, odd ? 0 : size);
		break;
	case 8: /* Remove a record */
		replace(mutant, record, to - record, mutant->other.data, 0);
		break;
	case 9: /* Insert a copy of a record, or replace a record with it */
		memcpy(copy, bytes->data + record, to - record);
		replace(mutant, some_record(mutant), odd ? to - record : 0, copy, to - record);
		break;
	case 10: /* Swap two records */
		i = next_record(bytes, to);
		if (i > to && i <= bytes->size) {
			memcpy(copy, bytes->data + record, to - record);
			memmove(bytes->data + record, bytes->data + to, i - to);
			memcpy(bytes->data + record + i - to, copy, to - record);
		}
		break;
	case 11: /* Append bytes */
		i = at % mutant->good.size;
		replace(mutant, bytes->size, 0, mutant->good.data + i,
			size < mutant->good.size - i ? size : mutant->good.size - i);
		break;
	case 12: /* Set a total size in the trailer */
		if (bytes->size >= 16)
			put_bytes(mutant, bytes->size - (odd ? 8 : 16), &large, 8);
		break;
	default: /* Set a field of the header */
		put_bytes(mutant, 4 * below(random, HEADER / 4), &number, 4);
		break;
	}
}
