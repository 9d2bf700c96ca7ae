// SPDX-License-Identifier: GPL-2.0-only
/*
 * Streams that were mutated, loaded from userspace in each way that there is: by
 * writes to the data file, and by the window of the region, mapped or written.
 *
 * What is to become of a stream is told by a second parser, which knows what is
 * written down of streams, and a model of the driver, which knows what it makes
 * of its state.  Of each stream the errno must be the one, and the driver must
 * have seen as much of it as is good: load_done() is for those that are whole.
 *
 * A device that has refused a stream is no good until it was reset.  A reset takes
 * longer than all else, so but for some of them the driver only has everybody
 * think that there was one.
 *
 * Each stream is made from the seed of the run and its number:
 *
 *	FUZZ_SEED	the seed; without it, each run has another
 *	FUZZ_STREAMS	how many streams each test makes, or 2000
 *	FUZZ_FIRST	the first of them, or 0
 */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/random.h>

#include <linux/compiler.h>
#include <linux/sizes.h>

#include "migration.h"
#include "stream_util.h"
#include "v1.h"

#include "../kselftest_harness.h"

/* What is written by the driver at a time, and what it writes in all */
#define PART	20
#define SIZE	40
/* What a stream may grow to, unless its sender lies of what it has put there */
#define LONG	2048
/* What is in the window when a sender lies; it is zero after that */
#define STALE	4096
/* Writes that a stream is made of */
#define PIECES	4096

#define HEADER	sizeof(struct stream_header)
#define HEAD	sizeof(struct stream_record)

enum way {
	BY_FILE,
	BY_MAPPING,
	BY_REGION,
};

/* One write: @put bytes, at the start of the window said to be @said, if by that */
struct piece {
	size_t put;
	u64 said;
};

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

struct counts {
	int load;
	int precopy_load;
	int load_done;
};

FIXTURE(fuzz) {
	struct iommu *iommu;
	struct vfio_pci_device *device;
	struct region_info *info;
	u64 offset;
	u8 *map;
	int violations;
	int fd;
	/* Files of the module, open as to open them takes long */
	int calls_fd;
	int devices_fd;
	int reset_fd;

	u64 seed;
	u64 random;
	/* A good one, another of another state, and what has become of the first */
	struct bytes good;
	struct bytes other;
	struct bytes bytes;
	/* As it arrives: what @pieces have from @bytes, and the window */
	struct bytes sent;
	struct piece *pieces;
	int nr_pieces;
	u8 *window;
	bool sealed;
};

#define fuzz_data _test_data_fuzz

FIXTURE_VARIANT(fuzz) {
	const char *iommu_mode;
};

FIXTURE_VARIANT_ADD(fuzz, vfio_type1_iommu) {
	.iommu_mode = "vfio_type1_iommu",
};

FIXTURE_VARIANT_ADD(fuzz, vfio_type1v2_iommu) {
	.iommu_mode = "vfio_type1v2_iommu",
};

FIXTURE_VARIANT_ADD(fuzz, iommufd_compat_type1) {
	.iommu_mode = "iommufd_compat_type1",
};

FIXTURE_VARIANT_ADD(fuzz, iommufd_compat_type1v2) {
	.iommu_mode = "iommufd_compat_type1v2",
};

FIXTURE_VARIANT_ADD(fuzz, iommufd) {
	.iommu_mode = "iommufd",
};

static u64 from_environment(const char *name, u64 otherwise)
{
	const char *text = getenv(name);
	char *end;
	u64 value;

	if (!text)
		return otherwise;
	value = strtoull(text, &end, 0);
	VFIO_ASSERT_TRUE(*text && !*end, "%s=%s\n", name, text);

	return value;
}

/* splitmix64 */
static u64 next_random(struct fuzz_data *self)
{
	u64 z = self->random += 0x9e3779b97f4a7c15ULL;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ z >> 27) * 0x94d049bb133111ebULL;

	return z ^ z >> 31;
}

static u32 below(struct fuzz_data *self, u32 ceiling)
{
	return ceiling ? next_random(self) % ceiling : 0;
}

static bool one_in(struct fuzz_data *self, u32 of)
{
	return !below(self, of);
}

/* A stream that does not depend on anything but the seed */
static void save_stream(struct fuzz_data *self, struct bytes *bytes)
{
	u64 seed = next_random(self);
	struct stream_header *header;
	int fd, ret;

	migration_set("seed", "%s %#llx", device_bdf, (unsigned long long)seed);
	ret = set_state(self->fd, STATE(PRE_COPY), &fd);
	VFIO_ASSERT_EQ(ret, 0);
	ret = read_all(fd, bytes, SZ_4K);
	VFIO_ASSERT_EQ(ret, ENOMSG);
	ret = set_state(self->fd, STATE(STOP_COPY), NULL);
	VFIO_ASSERT_EQ(ret, 0);
	ret = read_all(fd, bytes, SZ_4K);
	VFIO_ASSERT_EQ(ret, 0);
	close(fd);
	ret = set_state(self->fd, STATE(RUNNING), NULL);
	VFIO_ASSERT_EQ(ret, 0);

	header = (void *)bytes->data;
	header->nonce = htole64(next_random(self));
	seal(bytes);
}

static void open_device(struct fuzz_data *self)
{
	self->device = vfio_pci_device_init(device_bdf, self->iommu);
	self->fd = self->device->fd;
	self->offset = find_region(self->device, self->info);
}

FIXTURE_SETUP(fuzz)
{
	const struct abilities abilities = { .precopy = SIZE };
	ssize_t seed_size;
	u64 seed;

	seed_size = getrandom(&seed, sizeof(seed), 0);
	VFIO_ASSERT_EQ(seed_size, (ssize_t)sizeof(seed));
	self->seed = from_environment("FUZZ_SEED", seed >> 1);
	self->random = self->seed;

	migration_load(&abilities);
	migration_set("size", "%u", SIZE);
	migration_set("part", "%u", PART);
	self->violations = migration_count("violations");
	self->calls_fd = migration_open("calls", O_RDONLY);
	self->devices_fd = migration_open("devices", O_RDONLY);
	self->reset_fd = migration_open("reset", O_WRONLY);

	self->iommu = iommu_init(variant->iommu_mode);
	self->info = calloc_assert(1, sizeof(*self->info));
	open_device(self);
	save_stream(self, &self->good);
	save_stream(self, &self->other);
	self->bytes = copy_bytes(&self->good);
	self->sent = copy_bytes(&self->good);
	self->pieces = calloc_assert(PIECES, sizeof(*self->pieces));
	self->window = calloc_assert(1, WINDOW);

	/* To migrate it by the other protocol it has to be opened anew */
	vfio_pci_device_cleanup(self->device);
	open_device(self);
}

FIXTURE_TEARDOWN(fuzz)
{
	if (self->map)
		munmap(self->map, WINDOW);
	migration_defaults();
	vfio_pci_device_cleanup(self->device);
	iommu_cleanup(self->iommu);
	EXPECT_EQ(self->violations, migration_count("violations"));
	close(self->calls_fd);
	close(self->devices_fd);
	close(self->reset_fd);
	free_bytes(&self->good);
	free_bytes(&self->other);
	free_bytes(&self->bytes);
	free_bytes(&self->sent);
	free(self->pieces);
	free(self->window);
	free(self->info);
}

/* Mutations */

static u32 get_le32(const void *from)
{
	__le32 val;

	memcpy(&val, from, sizeof(val));

	return le32toh(val);
}

static u64 get_le64(const void *from)
{
	__le64 val;

	memcpy(&val, from, sizeof(val));

	return le64toh(val);
}

static void put_bytes(struct fuzz_data *self, size_t at, const void *from, size_t size)
{
	if (at + size <= self->bytes.size)
		memcpy(self->bytes.data + at, from, size);
}

/* Where the record after that at @at is, if there is one */
static size_t next_record(const struct bytes *bytes, size_t at)
{
	size_t left = at < bytes->size ? bytes->size - at : 0;

	if (at < HEADER)
		return HEADER;
	if (left < HEAD || get_le32(bytes->data + at + 4) > left - HEAD)
		return bytes->size;

	return at + HEAD + get_le32(bytes->data + at + 4);
}

/* Some record of the stream, as it is now */
static size_t some_record(struct fuzz_data *self)
{
	int i = below(self, 6);
	size_t at = 0;

	do {
		at = next_record(&self->bytes, at);
	} while (i-- && at < self->bytes.size);

	return at < self->bytes.size ? at : self->bytes.size;
}

/* Have @size bytes at @at of what is in @from, instead of @old bytes */
static void replace(struct fuzz_data *self, size_t at, size_t old, const void *from, size_t size)
{
	struct bytes *bytes = &self->bytes;

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

static u32 some_number(struct fuzz_data *self)
{
	static const u32 numbers[] = {
		0, 1, 2, 3, 4, 15, 16, 17, 20, 40, 80, 0x7fffffff, 0x80000000, 0xfffffff0,
		0xffffffff, RECORD_MAX, RECORD_MAX + 1,
	};

	return numbers[below(self, ARRAY_SIZE(numbers))];
}

static u64 some_large_number(struct fuzz_data *self)
{
	static const u64 numbers[] = {
		1ULL << 63, (1ULL << 63) - 1, (1ULL << 63) + SIZE, ~0ULL, 1ULL << 32,
		(1ULL << 32) + SIZE, 1ULL << 62, 0x80000000, WINDOW + 1, -WINDOW,
	};

	return numbers[below(self, ARRAY_SIZE(numbers))];
}

static void mutate(struct fuzz_data *self)
{
	size_t record = some_record(self), to = next_record(&self->bytes, record);
	__le32 number = htole32(some_number(self));
	__le64 large = htole64(some_large_number(self));
	struct bytes *bytes = &self->bytes;
	size_t at = below(self, bytes->size), size = below(self, 64), i;
	bool odd = one_in(self, 2);
	u8 copy[LONG];

	switch (below(self, 14)) {
	case 0: /* A bit */
		if (bytes->size)
			bytes->data[at] ^= 1 << below(self, 8);
		break;
	case 1: /* Bytes of all kinds */
		for (i = at; i < at + size % 8 && i < bytes->size; i++)
			bytes->data[i] = below(self, 256);
		break;
	case 2: /* Its end */
		bytes->size = at;
		break;
	case 3: /* The type, the size or else of a record */
		put_bytes(self, record + 4 * below(self, 4), &number, 4);
		break;
	case 4: /* Numbers anywhere */
		put_bytes(self, at & ~3, &number, 4);
		break;
	case 5: /* One more byte in a record, or one less */
		if (record + HEAD <= bytes->size) {
			number = htole32(get_le32(bytes->data + record + 4) + (odd ? 1 : -1));
			put_bytes(self, record + 4, &number, 4);
		}
		break;
	case 6: /* From here on, or for a while, the other */
		for (i = at; i < bytes->size && i < self->other.size && (odd || i < at + size); i++)
			bytes->data[i] = self->other.data[i];
		break;
	case 7: /* Nothing, or something else */
		replace(self, at, size, self->other.data, odd ? 0 : size);
		break;
	case 8: /* A record less */
		replace(self, record, to - record, self->other.data, 0);
		break;
	case 9: /* A record where another was, or before it */
		memcpy(copy, bytes->data + record, to - record);
		replace(self, some_record(self), odd ? to - record : 0, copy, to - record);
		break;
	case 10: /* Two that have changed places */
		i = next_record(bytes, to);
		if (i > to && i <= bytes->size) {
			memcpy(copy, bytes->data + record, to - record);
			memmove(bytes->data + record, bytes->data + to, i - to);
			memcpy(bytes->data + record + i - to, copy, to - record);
		}
		break;
	case 11: /* More at the end */
		i = at % self->good.size;
		replace(self, bytes->size, 0, self->good.data + i,
			size < self->good.size - i ? size : self->good.size - i);
		break;
	case 12: /* The sums of its end, or what is there by now */
		if (bytes->size >= 16)
			put_bytes(self, bytes->size - (odd ? 8 : 16), &large, 8);
		break;
	default: /* One of the numbers of the header */
		put_bytes(self, 4 * below(self, HEADER / 4), &number, 4);
		break;
	}
}

/* How it is written, and what arrives by that */
static void cut(struct fuzz_data *self, enum way way)
{
	size_t most = one_in(self, 2) ? LONG : one_in(self, 64) ? 4 : 1 + below(self, 200);
	bool lies = way != BY_FILE && one_in(self, 8);
	size_t at = 0, put, i;

	self->nr_pieces = 0;
	self->sent.size = 0;
	if (lies)
		for (i = 0; i < STALE; i++)
			self->window[i] = self->good.data[i % self->good.size];

	while (at < self->bytes.size) {
		struct piece *piece = &self->pieces[self->nr_pieces++];

		put = 1 + below(self, most);
		if (put > self->bytes.size - at)
			put = self->bytes.size - at;
		piece->put = put;
		piece->said = put;
		if (lies && one_in(self, 8))
			/* More than there can be takes nothing */
			piece->said = one_in(self, 2) ? some_large_number(self) :
				      one_in(self, 256) ? below(self, WINDOW + 1) :
							  below(self, STALE);
		if (way == BY_FILE) {
			append_bytes(&self->sent, self->bytes.data + at, put);
		} else {
			memcpy(self->window, self->bytes.data + at, put);
			if (piece->said <= WINDOW &&
			    self->sent.size + piece->said > self->sent.room)
				piece->said = 0;
			if (piece->said <= WINDOW)
				append_bytes(&self->sent, self->window, piece->said);
		}
		/* What was put there to no avail is put there again */
		if (piece->said <= WINDOW || self->nr_pieces > PIECES / 2)
			at += put;
	}
}

/* What the driver makes of its state */
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

/* It begins with the seed and the size of all, from which the rest follows */
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

/* The header: what it is refused with */
static void judge_header(struct fuzz_data *self, struct verdict *verdict)
{
	const struct stream_header *header = (void *)self->sent.data;
	struct stream_header ours = *(struct stream_header *)self->good.data;
	u32 version = le32toh(header->version);

	/* As the device would send it, but for a number and an older version */
	ours.nonce = header->nonce;
	ours.version = header->version;
	if (memcmp(&ours, header, offsetof(struct stream_header, crc)) ||
	    version < 2 || version > 3)
		verdict->error = EINVAL;
	/* Who does not know what it is does not know where its checksum is */
	if (crc32c(~0, header, offsetof(struct stream_header, crc)) != le32toh(header->crc)) {
		if (verdict->error)
			verdict->or = EBADMSG;
		else
			verdict->error = EBADMSG;
	}
}

/* What Documentation/driver-api/vfio-pci-migration.rst says of what was sent */
static struct verdict judge(struct fuzz_data *self)
{
	struct verdict verdict = {};
	struct model load = {}, preload = {};
	const struct bytes *sent = &self->sent;
	bool taken;
	u32 type, size, crc;
	size_t at;

	verdict.empty = !sent->size;
	if (verdict.empty)
		return verdict;
	/* Unless it is found to be good, it is not all there */
	if (sent->size < HEADER) {
		verdict.error = EINVAL;
		return verdict;
	}
	judge_header(self, &verdict);
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
		    (type != RECORD_DATA && type != RECORD_PRECOPY) || !size)
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
			if (get_le64(data) != preload.pos || get_le64(data + 8) != load.pos ||
			    at + HEAD + size != sent->size)
				return verdict;
			verdict.done = true;
			if (!model_is_good(&load, &preload))
				return verdict;
			verdict.error = 0;
			verdict.has_seed = load.pos;
			verdict.seed = load.seed;
			return verdict;
		}

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

/* What has come of it */

static int call_count(const char *text, const char *op)
{
	const char *line = strstr(text, op);

	VFIO_ASSERT_NOT_NULL(line, "the module does not know%s\n", op);

	return atoi(line + strlen(op));
}

static struct counts get_counts(struct fuzz_data *self)
{
	char text[1024];
	ssize_t ret = pread(self->calls_fd, text, sizeof(text) - 1, 0);

	VFIO_ASSERT_GT(ret, 0);
	text[ret] = '\0';

	return (struct counts) {
		.load = call_count(text, "\nload "),
		.precopy_load = call_count(text, "\nprecopy_load "),
		.load_done = call_count(text, "\nload_done "),
	};
}

/* "BDF LEVEL SEED ..." */
static u64 get_seed(struct fuzz_data *self)
{
	char text[1024], *line;
	ssize_t ret = pread(self->devices_fd, text, sizeof(text) - 1, 0);
	unsigned long long seed;

	VFIO_ASSERT_GT(ret, 0);
	text[ret] = '\0';
	line = strstr(text, device_bdf);
	VFIO_ASSERT_NOT_NULL(line);
	ret = sscanf(line, "%*s %*s %llx", &seed);
	VFIO_ASSERT_EQ(ret, 1);

	return seed;
}

static void reset(struct fuzz_data *self)
{
	if (one_in(self, 1000)) {
		vfio_pci_device_reset(self->device);
		return;
	}
	VFIO_ASSERT_EQ(pwrite(self->reset_fd, device_bdf, strlen(device_bdf), 0),
		       (ssize_t)strlen(device_bdf));
}

static int state(struct fuzz_data *self, enum way way, u32 v2, u32 v1)
{
	return way == BY_FILE ? set_state(self->fd, v2, NULL) :
				put_state(self->fd, self->offset, v1);
}

static int write_file(struct fuzz_data *self)
{
	int i, data_fd, ret;
	size_t at = 0;

	ret = set_state(self->fd, STATE(RESUMING), &data_fd);
	VFIO_ASSERT_EQ(ret, 0);
	for (i = 0; i < self->nr_pieces && !ret; at += self->pieces[i++].put)
		if (write(data_fd, self->bytes.data + at, self->pieces[i].put) !=
		    (ssize_t)self->pieces[i].put)
			ret = errno;
	/* What is good does not help it any more */
	if (ret && one_in(self, 8)) {
		VFIO_ASSERT_EQ(write(data_fd, self->good.data, self->good.size), -1);
		VFIO_ASSERT_EQ(errno, ret);
	}
	close(data_fd);

	return ret;
}

static void put_window(struct fuzz_data *self, enum way way, const u8 *data, size_t size)
{
	u64 at = get(self->fd, self->offset + DATA_OFFSET);
	size_t first = size;

	if (way == BY_MAPPING) {
		memcpy(self->map + at - PAGE, data, size);
		return;
	}
	if (one_in(self, 4))
		first = 1 + below(self, size);
	VFIO_ASSERT_EQ(pwrite(self->fd, data, first, self->offset + at), (ssize_t)first);
	if (first < size)
		VFIO_ASSERT_EQ(pwrite(self->fd, data + first, size - first,
				      self->offset + at + first), (ssize_t)(size - first));
}

static int write_region(struct fuzz_data *self, enum way way)
{
	bool lies = false;
	size_t at = 0;
	int i, ret;

	ret = put_state(self->fd, self->offset, RESUMING);
	VFIO_ASSERT_EQ(ret, 0);
	for (i = 0; i < self->nr_pieces; i++)
		lies |= self->pieces[i].said != self->pieces[i].put;
	if (lies) {
		u8 stale[STALE];

		for (i = 0; i < STALE; i++)
			stale[i] = self->good.data[i % self->good.size];
		put_window(self, way, stale, STALE);
	}

	for (i = 0; i < self->nr_pieces && !ret; i++) {
		const struct piece *piece = &self->pieces[i];

		put_window(self, way, self->bytes.data + at, piece->put);
		ret = put_data_size(self->fd, self->offset, piece->said);
		if (piece->said > WINDOW) {
			VFIO_ASSERT_EQ(ret, EINVAL);
			ret = 0;
			if (i + 1 <= PIECES / 2)
				continue;
		}
		at += piece->put;
	}

	return ret;
}

static bool is_error(const struct verdict *verdict, int error)
{
	return error == verdict->error || (verdict->or && error == verdict->or);
}

static bool is_in_error(struct fuzz_data *self, enum way way)
{
	return way == BY_FILE ? get_state(self->fd) == STATE(ERROR) :
				state_of(self->fd, self->offset) == ERROR;
}

/* Returns whether it was taken */
static bool check_stream(struct __test_metadata *_metadata, struct fuzz_data *self, enum way way,
			 u64 *seed)
{
	struct verdict verdict = judge(self);
	struct counts before = get_counts(self), after;
	int error, ret;

	error = way == BY_FILE ? write_file(self) : write_region(self, way);
	ret = state(self, way, STATE(STOP), STOP);
	after = get_counts(self);

	EXPECT_TRUE(!error || error == ret);
	EXPECT_TRUE(is_error(&verdict, ret)) {
		TH_LOG("%d, not %d", ret, verdict.error);
	}
	EXPECT_EQ(verdict.loads, after.load - before.load);
	EXPECT_EQ(verdict.precopy_loads, after.precopy_load - before.precopy_load);
	EXPECT_EQ(verdict.done, after.load_done - before.load_done);
	if (verdict.has_seed)
		*seed = verdict.seed;
	EXPECT_EQ(*seed, get_seed(self));

	/* Only a reset leads out of it */
	if (ret) {
		EXPECT_TRUE(is_in_error(self, way));
		EXPECT_EQ(EINVAL, state(self, way, STATE(RUNNING), RUNNING));
		reset(self);
	} else {
		EXPECT_EQ(0, state(self, way, STATE(RUNNING), RUNNING));
	}

	return !ret && !verdict.empty;
}

static bool same(const struct bytes *a, const struct bytes *b)
{
	return a->size == b->size && !memcmp(a->data, b->data, a->size);
}

/* The stream that is on, should the program end with it */
static struct {
	bool on;
	u64 seed;
	u64 nr;
} current;

static void tell_current(void)
{
	if (current.on)
		fprintf(stderr, "# FUZZ_SEED=%llu FUZZ_FIRST=%llu\n",
			(unsigned long long)current.seed, (unsigned long long)current.nr);
}

static void fuzz(struct __test_metadata *_metadata, struct fuzz_data *self, enum way way)
{
	u64 first = from_environment("FUZZ_FIRST", 0), seed = get_seed(self), i;
	u64 nr = from_environment("FUZZ_STREAMS", 2000);
	unsigned int forged = 0, accepted = 0;
	int j;

	TH_LOG("seed %llu, streams %llu to %llu", (unsigned long long)self->seed,
	       (unsigned long long)first, (unsigned long long)(first + nr - 1));
	atexit(tell_current);
	current.seed = self->seed;
	for (i = first; i < first + nr; i++) {
		bool original;

		current.nr = i;
		current.on = true;
		self->random = self->seed + i * 0x123456789abcdefULL;
		self->random = next_random(self);
		memcpy(self->bytes.data, self->good.data, self->good.size);
		self->bytes.size = self->good.size;
		for (j = 1 + below(self, 4); j; j--)
			mutate(self);
		/* By intent, as whoever sends a stream can, or by chance */
		self->sealed = one_in(self, 2);
		if (self->sealed)
			seal(&self->bytes);
		cut(self, way);
		/* Some changes have nothing to change, or change all */
		original = same(&self->sent, &self->good) || same(&self->sent, &self->other);

		if (check_stream(_metadata, self, way, &seed)) {
			accepted++;
			if (!original) {
				EXPECT_TRUE(self->sealed);
				forged++;
			}
		}
		/* What is wrong with it was said */
		ASSERT_EQ(0, _metadata->exit_code) {
			tell_current();
		}
	}
	current.on = false;

	TH_LOG("seed %llu: %llu streams, %u taken, of these %u forged",
	       (unsigned long long)self->seed, (unsigned long long)nr, accepted, forged);
	/* If none was, or all were, nothing was tried */
	if (nr >= 1000) {
		ASSERT_LT(0, forged);
		ASSERT_LT(accepted, nr / 2);
	}
}

/* By the data file */
TEST_F_TIMEOUT(fuzz, file, 600)
{
	fuzz(_metadata, self, BY_FILE);
}

/* By the region, whose window is mapped */
TEST_F_TIMEOUT(fuzz, mapping, 600)
{
	self->map = map_data(self->fd, self->offset);
	fuzz(_metadata, self, BY_MAPPING);
}

/* By the region, whose window is written to */
TEST_F_TIMEOUT(fuzz, region, 600)
{
	fuzz(_metadata, self, BY_REGION);
}

int main(int argc, char *argv[])
{
	migration_main_bdfs(&argc, argv);

	return test_harness_run(argc, argv);
}
