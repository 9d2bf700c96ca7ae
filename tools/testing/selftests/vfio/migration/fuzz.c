// SPDX-License-Identifier: GPL-2.0-only
/*
 * Load mutated streams by the data file, by the mapped window of the region,
 * and by writes to this window.
 *
 * The oracle in fuzz_oracle.c predicts the errno and the number of driver calls
 * for each stream.  The core must call load_done() for complete streams only.
 *
 * A device that has refused a stream needs a reset.  A real reset takes long,
 * so the driver only calls the reset handlers, except for a few streams.
 *
 * The seed and the number of a stream determine its contents:
 *
 *	FUZZ_SEED	seed; random by default
 *	FUZZ_STREAMS	number of streams for each test; 2000 by default
 *	FUZZ_FIRST	number of the first stream; 0 by default
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

#include "fuzz.h"
#include "stream_util.h"
#include "v1.h"

#include "kselftest_harness.h"

/* Bytes of old data in the window, for senders that give a wrong size */
#define STALE	4096
/* Maximum number of writes for a stream */
#define PIECES	4096

enum way {
	BY_FILE,
	BY_MAPPING,
	BY_REGION,
};

/* One write of @put bytes; the region gets @said as its data_size */
struct piece {
	size_t put;
	u64 said;
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
	/* Parameters of the module, kept open for speed */
	int calls_fd;
	int devices_fd;
	int reset_fd;

	u64 seed;
	struct mutant mutant;
	/* The stream as it arrives, the writes, and a copy of the window */
	struct bytes sent;
	struct piece *pieces;
	int nr_pieces;
	u8 *window;
	/* Calls of the driver before the stream */
	struct counts counts;
	bool sealed;
};

#define fuzz_data _test_data_fuzz

FIXTURE_VARIANT(fuzz) {
	const char *iommu_mode;
};

#define FIXTURE_VARIANT_ADD_IOMMU_MODE(mode) FIXTURE_VARIANT_IOMMU_MODE(fuzz, mode)

FIXTURE_VARIANT_ADD_ALL_IOMMU_MODES();

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

/* Save a stream that depends only on the seed */
static void save_stream(struct fuzz_data *self, struct bytes *bytes)
{
	u64 seed = next_random(&self->mutant.random);
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
	header->nonce = htole64(next_random(&self->mutant.random));
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
	self->mutant.random = self->seed;

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
	save_stream(self, &self->mutant.good);
	save_stream(self, &self->mutant.other);
	self->mutant.bytes = copy_bytes(&self->mutant.good);
	self->sent = copy_bytes(&self->mutant.good);
	self->pieces = calloc_assert(PIECES, sizeof(*self->pieces));
	self->window = calloc_assert(1, WINDOW);

	/* Only a new open allows the other protocol */
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
	free_bytes(&self->mutant.good);
	free_bytes(&self->mutant.other);
	free_bytes(&self->mutant.bytes);
	free_bytes(&self->sent);
	free(self->pieces);
	free(self->window);
	free(self->info);
}

/* Fill the start of the window with copies of a valid stream */
static void fill(u8 *stale, const struct bytes *good)
{
	size_t i;

	for (i = 0; i < STALE; i++)
		stale[i] = good->data[i % good->size];
}

/* Split the mutated stream into writes, and compute the received stream */
static void cut(struct fuzz_data *self, enum way way)
{
	const struct bytes *bytes = &self->mutant.bytes, *good = &self->mutant.good;
	u64 *random = &self->mutant.random;
	size_t most = one_in(random, 2) ? LONG : one_in(random, 64) ? 4 : 1 + below(random, 200);
	bool lies = way != BY_FILE && one_in(random, 8);
	size_t at = 0, put;

	self->nr_pieces = 0;
	self->sent.size = 0;
	if (lies)
		fill(self->window, good);

	while (at < bytes->size) {
		struct piece *piece = &self->pieces[self->nr_pieces++];

		put = 1 + below(random, most);
		if (put > bytes->size - at)
			put = bytes->size - at;
		piece->put = put;
		piece->said = put;
		if (lies && one_in(random, 8))
			/* A size larger than the window is refused */
			piece->said = one_in(random, 2) ? some_large_number(random) :
				      one_in(random, 256) ? below(random, WINDOW + 1) :
							    below(random, STALE);
		if (way == BY_FILE) {
			append_bytes(&self->sent, bytes->data + at, put);
		} else {
			memcpy(self->window, bytes->data + at, put);
			if (piece->said <= WINDOW &&
			    self->sent.size + piece->said > self->sent.room)
				piece->said = 0;
			if (piece->said <= WINDOW)
				append_bytes(&self->sent, self->window, piece->said);
		}
		/* After a refused write, repeat it */
		if (piece->said <= WINDOW || self->nr_pieces > PIECES / 2)
			at += put;
	}
}

static int call_count(const char *text, const char *op)
{
	const char *line = strstr(text, op);

	VFIO_ASSERT_NOT_NULL(line, "the module has no operation%s\n", op);

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

/* Each line is "BDF LEVEL SEED ..." */
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
	if (one_in(&self->mutant.random, 1000)) {
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
	const struct bytes *bytes = &self->mutant.bytes, *good = &self->mutant.good;
	int i, data_fd, ret;
	size_t at = 0;

	ret = set_state(self->fd, STATE(RESUMING), &data_fd);
	VFIO_ASSERT_EQ(ret, 0);
	for (i = 0; i < self->nr_pieces && !ret; at += self->pieces[i++].put)
		if (write(data_fd, bytes->data + at, self->pieces[i].put) !=
		    (ssize_t)self->pieces[i].put)
			ret = errno;
	/* After an error, a valid stream fails, too */
	if (ret && one_in(&self->mutant.random, 8)) {
		VFIO_ASSERT_EQ(write(data_fd, good->data, good->size), -1);
		VFIO_ASSERT_EQ(errno, ret);
	}
	close(data_fd);

	return ret;
}

static void put_window(struct fuzz_data *self, enum way way, const u8 *data, size_t size)
{
	u64 *random = &self->mutant.random;
	u64 at = get(self->fd, self->offset + DATA_OFFSET);
	size_t first = size;

	if (way == BY_MAPPING) {
		memcpy(self->map + at - PAGE, data, size);
		return;
	}
	if (one_in(random, 4))
		first = 1 + below(random, size);
	VFIO_ASSERT_EQ(pwrite(self->fd, data, first, self->offset + at), (ssize_t)first);
	if (first < size)
		VFIO_ASSERT_EQ(pwrite(self->fd, data + first, size - first,
				      self->offset + at + first), (ssize_t)(size - first));
}

static int write_region(struct fuzz_data *self, enum way way)
{
	const struct bytes *bytes = &self->mutant.bytes, *good = &self->mutant.good;
	bool lies = false;
	size_t at = 0;
	int i, ret;

	ret = put_state(self->fd, self->offset, RESUMING);
	VFIO_ASSERT_EQ(ret, 0);
	for (i = 0; i < self->nr_pieces; i++)
		lies |= self->pieces[i].said != self->pieces[i].put;
	if (lies) {
		u8 stale[STALE];

		fill(stale, good);
		put_window(self, way, stale, STALE);
	}

	for (i = 0; i < self->nr_pieces && !ret; i++) {
		const struct piece *piece = &self->pieces[i];

		put_window(self, way, bytes->data + at, piece->put);
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

/* Return whether the stream was accepted */
static bool check_stream(struct __test_metadata *_metadata, struct fuzz_data *self, enum way way,
			 u64 *seed)
{
	struct verdict verdict = judge(&self->sent, (void *)self->mutant.good.data);
	struct counts before = self->counts, after;
	int error, ret;

	error = way == BY_FILE ? write_file(self) : write_region(self, way);
	ret = state(self, way, STATE(STOP), STOP);
	after = get_counts(self);
	self->counts = after;

	EXPECT_TRUE(!error || error == ret);
	EXPECT_TRUE(is_error(&verdict, ret)) {
		TH_LOG("errno %d, expected %d", ret, verdict.error);
	}
	EXPECT_EQ(verdict.loads, after.load - before.load);
	EXPECT_EQ(verdict.precopy_loads, after.precopy_load - before.precopy_load);
	EXPECT_EQ(verdict.done, after.load_done - before.load_done);
	if (verdict.has_seed)
		*seed = verdict.seed;
	EXPECT_EQ(*seed, get_seed(self));

	/* Only a reset leaves the state ERROR */
	if (ret) {
		EXPECT_TRUE(is_in_error(self, way));
		EXPECT_EQ(EINVAL, state(self, way, STATE(RUNNING), RUNNING));
		reset(self);
	} else {
		EXPECT_EQ(0, state(self, way, STATE(RUNNING), RUNNING));
	}

	return !ret;
}

static bool same(const struct bytes *a, const struct bytes *b)
{
	return a->size == b->size && !memcmp(a->data, b->data, a->size);
}

/* The current stream, printed if the program exits */
static struct {
	bool on;
	u64 seed;
	u64 nr;
} current;

static void print_current(void)
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
	struct mutant *mutant = &self->mutant;
	int j;

	TH_LOG("seed %llu, streams %llu to %llu", (unsigned long long)self->seed,
	       (unsigned long long)first, (unsigned long long)(first + nr - 1));
	atexit(print_current);
	current.seed = self->seed;
	self->counts = get_counts(self);
	for (i = first; i < first + nr; i++) {
		bool original;

		current.nr = i;
		current.on = true;
		mutant->random = self->seed + i * 0x123456789abcdefULL;
		mutant->random = next_random(&mutant->random);
		memcpy(mutant->bytes.data, mutant->good.data, mutant->good.size);
		mutant->bytes.size = mutant->good.size;
		for (j = 1 + below(&mutant->random, 4); j; j--)
			mutate(mutant);
		/* Half of the streams get correct checksums, as in an attack */
		self->sealed = one_in(&mutant->random, 2);
		if (self->sealed)
			seal(&mutant->bytes);
		cut(self, way);
		/* A mutation may have no effect, or result in the other stream */
		original = same(&self->sent, &mutant->good) || same(&self->sent, &mutant->other);

		if (check_stream(_metadata, self, way, &seed)) {
			accepted++;
			if (!original) {
				EXPECT_TRUE(self->sealed);
				forged++;
			}
		}
		/* Stop at the first failure, which was printed */
		ASSERT_EQ(0, _metadata->exit_code) {
			print_current();
		}
	}
	current.on = false;

	TH_LOG("seed %llu: %llu streams, %u accepted, %u of them forged",
	       (unsigned long long)self->seed, (unsigned long long)nr, accepted, forged);
	/* The device must have accepted some streams, and refused others */
	if (nr >= 1000) {
		ASSERT_LT(0, forged);
		ASSERT_LT(accepted, nr / 2);
	}
}

TEST_F_TIMEOUT(fuzz, data_file_accepts_only_valid_streams, 600)
{
	fuzz(_metadata, self, BY_FILE);
}

TEST_F_TIMEOUT(fuzz, mapped_window_accepts_only_valid_streams, 600)
{
	self->map = map_data(self->fd, self->offset);
	fuzz(_metadata, self, BY_MAPPING);
}

TEST_F_TIMEOUT(fuzz, written_window_accepts_only_valid_streams, 600)
{
	fuzz(_metadata, self, BY_REGION);
}

int main(int argc, char *argv[])
{
	migration_begin(&argc, argv, 1, "one device");

	return test_harness_run(argc, argv);
}
