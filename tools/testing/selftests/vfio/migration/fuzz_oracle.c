// SPDX-License-Identifier: GPL-2.0-only
/*
 * Oracle for the result of a stream.  It has a second parser, written from the
 * documentation, and a model of the state in the driver.
 */
#include <errno.h>
#include <stddef.h>

#include "fuzz.h"
#include "stream_util.h"

/* Model of the state in the driver */
struct model {
	u64 seed;
	u64 size;
	u64 pos;
};

static u8 byte_of_state(const struct model *model)
{
	u64 index = model->pos / 8, word;

	if (!index)
		word = model->seed;
	else if (index == 1)
		word = model->size;
	else
		word = (model->seed + index) * 0x9e3779b97f4a7c15ULL;

	return word >> (model->pos % 8 * 8);
}

/* A state starts with its seed and its size; all other bytes derive from them */
static bool model_takes(struct model *model, const u8 *data, size_t size)
{
	for (; size; size--, data++, model->pos++) {
		if (model->pos < 8)
			model->seed |= (u64)*data << (model->pos * 8);
		else if (model->pos < 16)
			model->size |= (u64)*data << (model->pos % 8 * 8);
		else if (*data != byte_of_state(model))
			return false;
	}

	return true;
}

static bool model_is_good(const struct model *load, const struct model *preload)
{
	if (load->pos >= 16 && load->size != load->pos)
		return false;

	return load->pos < 8 || preload->pos < 8 || load->seed == preload->seed;
}

/* Predict the errno for a header */
static void judge_header(struct verdict *verdict, const struct stream_header *header,
			 struct stream_header ours)
{
	u32 version = le32toh(header->version);

	/* The header of the device, with the nonce and version of the stream */
	ours.nonce = header->nonce;
	ours.version = header->version;
	if (memcmp(&ours, header, offsetof(struct stream_header, crc)) ||
	    version < 2 || version > 3)
		verdict->error = EINVAL;
	/* The core may check the checksum before or after the other fields */
	if (crc32c(~0, header, offsetof(struct stream_header, crc)) != le32toh(header->crc)) {
		if (verdict->error)
			verdict->or = EBADMSG;
		else
			verdict->error = EBADMSG;
	}
}

/* Follow the rules in Documentation/driver-api/vfio-pci-migration.rst */
struct verdict judge(const struct bytes *sent, const struct stream_header *ours)
{
	struct verdict verdict = {};
	struct model load = {}, preload = {};
	bool taken;
	u32 type, size, crc;
	size_t at;

	/* Until the trailer, the stream is incomplete */
	if (sent->size < HEADER) {
		verdict.error = EINVAL;
		return verdict;
	}
	judge_header(&verdict, (void *)sent->data, *ours);
	if (verdict.error)
		return verdict;

	verdict.error = EINVAL;
	crc = get_le32(sent->data + HEADER - 4);
	for (at = HEADER; sent->size - at >= HEAD; at += HEAD + size) {
		const u8 *head = sent->data + at, *data = head + HEAD;

		type = get_le32(head);
		size = get_le32(head + 4);
		if (get_le32(head + 8) || size > RECORD_MAX)
			return verdict;
		if (type == RECORD_END ? size != 16 :
		    !(type & RECORD_OPTIONAL) &&
		    ((type != RECORD_DATA && type != RECORD_PRECOPY) || !size))
			return verdict;
		if (type == RECORD_PRECOPY && verdict.loads)
			return verdict;
		if (size > sent->size - at - HEAD)
			return verdict;
		crc = crc32c(crc32c(crc, head, 12), data, size);
		if (crc != get_le32(head + 12)) {
			verdict.error = EBADMSG;
			return verdict;
		}
		if (type == RECORD_END) {
			if (get_le64(data) != preload.pos || get_le64(data + 8) != load.pos)
				return verdict;
			verdict.done = true;
			if (!model_is_good(&load, &preload))
				return verdict;
			verdict.has_seed = load.pos;
			verdict.seed = load.seed;
			/* The driver has loaded the state when data after the trailer arrives */
			if (at + HEAD + size == sent->size)
				verdict.error = 0;
			return verdict;
		}

		if (type & RECORD_OPTIONAL)
			continue;
		if (type == RECORD_DATA) {
			verdict.loads++;
			taken = model_takes(&load, data, size);
		} else {
			verdict.precopy_loads++;
			taken = model_takes(&preload, data, size);
		}
		if (!taken)
			return verdict;
	}

	return verdict;
}
