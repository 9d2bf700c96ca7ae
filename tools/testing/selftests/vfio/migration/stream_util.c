// SPDX-License-Identifier: GPL-2.0-only
#include <endian.h>
#include <stddef.h>
#include <string.h>

#include <linux/sizes.h>

#include "stream_util.h"

u32 crc32c(u32 crc, const void *data, size_t size)
{
	static u32 table[256];
	const u8 *byte = data;
	int i, bit;

	for (i = 0; !table[1] && i < 256; i++) {
		u32 entry = 255 - i;

		/* Fill the table from its end: table[1] shows that it is complete */
		for (bit = 0; bit < 8; bit++)
			entry = entry >> 1 ^ (entry & 1 ? 0x82f63b78 : 0);
		table[255 - i] = entry;
	}
	for (; size; size--)
		crc = crc >> 8 ^ table[(crc ^ *byte++) & 0xff];

	return crc;
}

int find_records(const struct bytes *bytes, struct record *records)
{
	u8 *at = bytes->data + sizeof(struct stream_header);
	int nr = 0;

	for (; at < bytes->data + bytes->size; nr++) {
		records[nr].head = (void *)at;
		records[nr].size = sizeof(struct stream_record) + le32toh(records[nr].head->size);
		at += records[nr].size;
	}
	VFIO_ASSERT_EQ(at - bytes->data, bytes->size);

	return nr;
}

u32 seal_header(void *data)
{
	struct stream_header *header = data;
	u32 crc = crc32c(~0U, header, offsetof(struct stream_header, crc));

	header->crc = htole32(crc);

	return crc;
}

u32 seal_record(struct stream_record *record, u32 crc, size_t size)
{
	crc = crc32c(crc, record, offsetof(struct stream_record, crc));
	crc = crc32c(crc, record + 1, size);
	record->crc = htole32(crc);

	return crc;
}

void seal(struct bytes *bytes)
{
	size_t at = sizeof(struct stream_header);
	struct stream_record *record;
	size_t left, size;
	u32 crc;

	if (bytes->size < at)
		return;
	crc = seal_header(bytes->data);
	for (; bytes->size - at >= sizeof(*record); at += sizeof(*record) + size) {
		record = (void *)bytes->data + at;
		left = bytes->size - at - sizeof(*record);
		size = le32toh(record->size);
		if (size > left)
			size = left;
		crc = seal_record(record, crc, size);
	}
}

struct bytes copy_bytes(const struct bytes *bytes)
{
	struct bytes new = { .data = malloc_assert(SZ_1M), .size = bytes->size, .room = SZ_1M };

	memcpy(new.data, bytes->data, bytes->size);

	return new;
}

void append_bytes(struct bytes *bytes, const void *data, size_t size)
{
	memcpy(bytes->data + bytes->size, data, size);
	bytes->size += size;
}
