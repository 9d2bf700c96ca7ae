// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests of damaged and forged streams.  The device must refuse each of them,
 * and the driver must not get any invalid record.  After a reset, the device
 * must work as before.
 */
#include <endian.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/ioctl.h>

#include <linux/compiler.h>
#include <linux/sizes.h>

#include "migration.h"
#include "stream_util.h"

#include "kselftest_harness.h"

#define SEED	0x1122334455667788ULL
/* Bytes of one part of the driver, and of the whole state */
#define PART	50
#define SIZE	120

FIXTURE(stream) {
	struct iommu *iommu;
	struct vfio_pci_device *device;
	struct bytes bytes;
	int violations;
	int fd;
};

#define stream_data _test_data_stream

FIXTURE_VARIANT(stream) {
	const char *iommu_mode;
};

#define FIXTURE_VARIANT_ADD_IOMMU_MODE(mode) FIXTURE_VARIANT_IOMMU_MODE(stream, mode)

FIXTURE_VARIANT_ADD_ALL_IOMMU_MODES();

static void save_seed(struct stream_data *self, u64 seed, struct bytes *bytes)
{
	int fd, ret;

	migration_set("seed", "%s %#llx", device_bdf, (unsigned long long)seed);
	bytes->size = 0;
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
}

FIXTURE_SETUP(stream)
{
	const struct abilities abilities = { .precopy = SIZE };

	migration_load(&abilities);
	migration_set("size", "%u", SIZE);
	migration_set("part", "%u", PART);
	self->iommu = iommu_init(variant->iommu_mode);
	self->device = vfio_pci_device_init(device_bdf, self->iommu);
	self->fd = self->device->fd;
	self->violations = migration_count("violations");
	save_seed(self, SEED, &self->bytes);
}

FIXTURE_TEARDOWN(stream)
{
	migration_defaults();
	vfio_pci_device_cleanup(self->device);
	iommu_cleanup(self->iommu);
	free_bytes(&self->bytes);
	EXPECT_EQ(self->violations, migration_count("violations"));
}

static u64 get_seed(void)
{
	return migration_view(device_bdf).seed;
}

static void set_seed(u64 seed)
{
	migration_set("seed", "%s %#llx", device_bdf, (unsigned long long)seed);
}

static void expect_good(struct __test_metadata *_metadata, struct stream_data *self,
			const struct bytes *bytes, u64 seed)
{
	set_seed(1);
	ASSERT_EQ(0, load_state(self->fd, bytes));
	ASSERT_EQ(seed, get_seed());
	ASSERT_EQ(0, set_state(self->fd, STATE(RUNNING), NULL));
}

static int load_calls(void)
{
	return migration_calls("load") + migration_calls("precopy_load");
}

static void expect_refused(struct __test_metadata *_metadata, struct stream_data *self,
			   const struct bytes *bytes, int error, int parts, bool loaded)
{
	int before = load_calls(), done = migration_calls("load_done"), fd;

	set_seed(1);
	ASSERT_EQ(0, set_state(self->fd, STATE(RESUMING), &fd));
	ASSERT_EQ(error, write_all(fd, bytes->data, bytes->size, bytes->size));
	ASSERT_EQ(parts, load_calls() - before);
	/* After the error, valid data fails, too */
	if (error)
		ASSERT_EQ(error, write_all(fd, self->bytes.data, self->bytes.size, 64));
	ASSERT_EQ(error ?: EINVAL, set_state(self->fd, STATE(STOP), NULL));
	ASSERT_EQ(STATE(ERROR), get_state(self->fd));
	ASSERT_EQ(parts, load_calls() - before);
	ASSERT_EQ(done + loaded, migration_calls("load_done"));
	ASSERT_EQ(loaded ? SEED : 1, get_seed());
	ASSERT_EQ(-1, write(fd, bytes->data, 1));
	ASSERT_EQ(ENODEV, errno);
	close(fd);

	vfio_pci_device_reset(self->device);
	ASSERT_EQ(STATE(RUNNING), get_state(self->fd));
}

/*
 * Expect that the device refuses a stream after @parts records.  The write
 * fails with @error, or succeeds if @error is 0.  Leaving RESUMING always
 * fails.
 */
static void expect_bad(struct __test_metadata *_metadata, struct stream_data *self,
		       const struct bytes *bytes, int error, int parts)
{
	expect_refused(_metadata, self, bytes, error, parts, false);
}

/* Same, for data after the trailer: the driver has loaded the state */
static void expect_bad_tail(struct __test_metadata *_metadata, struct stream_data *self,
			    const struct bytes *bytes, int parts)
{
	expect_refused(_metadata, self, bytes, EINVAL, parts, true);
}

TEST_F_TIMEOUT(stream, stream_has_the_documented_format, 120)
{
	const struct stream_header *header = (void *)self->bytes.data;
	struct bytes sealed = copy_bytes(&self->bytes);
	struct record records[32];
	u64 totals[2];
	int nr;

	ASSERT_EQ(0, memcmp(header->magic, "VFIO-PCI", 8));
	ASSERT_EQ(1, le32toh(header->format));
	ASSERT_EQ(80, le32toh(header->size));
	ASSERT_EQ(vfio_pci_config_readw(self->device, PCI_VENDOR_ID), le16toh(header->vendor));
	ASSERT_EQ(vfio_pci_config_readw(self->device, PCI_DEVICE_ID), le16toh(header->device));
	ASSERT_EQ(vfio_pci_config_readw(self->device, PCI_SUBSYSTEM_VENDOR_ID),
		  le16toh(header->subvendor));
	ASSERT_EQ(vfio_pci_config_readw(self->device, PCI_SUBSYSTEM_ID),
		  le16toh(header->subdevice));
	ASSERT_EQ(vfio_pci_config_readb(self->device, PCI_REVISION_ID), header->revision);
	ASSERT_EQ(3, le32toh(header->version));
	ASSERT_STREQ("vfio_pci_testdrv_migration", (const char *)header->driver);

	nr = find_records(&self->bytes, records);
	ASSERT_EQ(7, nr);
	ASSERT_EQ(RECORD_PRECOPY, le32toh(records[0].head->type));
	ASSERT_EQ(RECORD_DATA, le32toh(records[3].head->type));
	ASSERT_EQ(RECORD_END, le32toh(records[6].head->type));
	memcpy(totals, records[6].head + 1, sizeof(totals));
	ASSERT_EQ(SIZE, le64toh(totals[0]));
	ASSERT_EQ(SIZE, le64toh(totals[1]));

	/* The helpers can forge streams with correct checksums */
	seal(&sealed);
	ASSERT_EQ(0, memcmp(sealed.data, self->bytes.data, self->bytes.size));
	free_bytes(&sealed);
	expect_good(_metadata, self, &self->bytes, SEED);
}

/* A stream that ends at any earlier byte */
TEST_F_TIMEOUT(stream, truncated_stream_is_refused, 120)
{
	struct bytes bytes = self->bytes;
	struct record records[32];
	int nr = find_records(&self->bytes, records);

	for (bytes.size = 0; bytes.size < self->bytes.size; bytes.size++) {
		int parts = 0;

		while (parts < nr - 1 && bytes.data + bytes.size >= (u8 *)records[parts + 1].head)
			parts++;
		expect_bad(_metadata, self, &bytes, 0, parts);
	}
	expect_good(_metadata, self, &self->bytes, SEED);
}

/* A stream with one flipped bit, in any byte */
TEST_F_TIMEOUT(stream, flipped_bit_is_detected, 120)
{
	struct bytes bytes = copy_bytes(&self->bytes);
	struct record records[32];
	size_t at;
	int error, nr = find_records(&self->bytes, records), fd;

	srand(1);
	for (at = 0; at < bytes.size; at++) {
		u8 bit = 1 << (rand() & 7);
		int parts = 0, before = load_calls();

		while (parts < nr - 1 && at >= (u8 *)records[parts + 1].head - self->bytes.data)
			parts++;
		bytes.data[at] ^= bit;
		set_seed(1);
		ASSERT_EQ(0, set_state(self->fd, STATE(RESUMING), &fd));
		error = write_all(fd, bytes.data, bytes.size, bytes.size);
		/* A longer record is only noticed at the end of the stream */
		ASSERT_TRUE(!error || error == EINVAL || error == EBADMSG);
		ASSERT_EQ(parts, load_calls() - before) {
			TH_LOG("bit %#x of byte %zu", bit, at);
		}
		ASSERT_EQ(error ?: EINVAL, set_state(self->fd, STATE(RUNNING), NULL));
		ASSERT_EQ(STATE(ERROR), get_state(self->fd));
		ASSERT_EQ(1, get_seed());
		close(fd);
		vfio_pci_device_reset(self->device);
		bytes.data[at] ^= bit;
	}
	expect_good(_metadata, self, &bytes, SEED);
	free_bytes(&bytes);
}

/* Records that are missing, repeated, swapped or from another stream */
TEST_F_TIMEOUT(stream, misplaced_records_are_refused, 120)
{
	size_t header = sizeof(struct stream_header);
	struct record records[32], others[32];
	struct bytes bytes, other = {};
	int i, j, nr = find_records(&self->bytes, records);

	save_seed(self, SEED, &other);
	ASSERT_EQ(nr, find_records(&other, others));
	/* Two streams of the same state differ */
	ASSERT_NE(0, memcmp(self->bytes.data, other.data, other.size));

	for (i = 0; i < nr; i++) {
		bytes = copy_bytes(&self->bytes);
		bytes.size = header;
		for (j = 0; j < nr; j++)
			if (j != i)
				append_bytes(&bytes, records[j].head, records[j].size);
		/* A missing trailer is only noticed when the device leaves RESUMING */
		expect_bad(_metadata, self, &bytes, i < nr - 1 ? EBADMSG : 0, i);

		bytes.size = header;
		for (j = 0; j < nr; j++) {
			append_bytes(&bytes, records[j].head, records[j].size);
			if (j == i)
				append_bytes(&bytes, records[j].head, records[j].size);
		}
		if (i < nr - 1)
			expect_bad(_metadata, self, &bytes, EBADMSG, i + 1);
		else
			expect_bad_tail(_metadata, self, &bytes, i);

		bytes.size = header;
		for (j = 0; j < nr; j++)
			append_bytes(&bytes, j == i ? others[j].head : records[j].head,
				     records[j].size);
		expect_bad(_metadata, self, &bytes, EBADMSG, i);

		if (i + 1 < nr) {
			bytes.size = header;
			for (j = 0; j < nr; j++) {
				int k = j == i ? i + 1 : j == i + 1 ? i : j;

				append_bytes(&bytes, records[k].head, records[k].size);
			}
			expect_bad(_metadata, self, &bytes, EBADMSG, i);
		}
		free_bytes(&bytes);
	}

	/* Data after the trailer */
	bytes = copy_bytes(&self->bytes);
	append_bytes(&bytes, "", 1);
	expect_bad_tail(_metadata, self, &bytes, nr - 1);
	bytes.size = self->bytes.size;
	append_bytes(&bytes, self->bytes.data, self->bytes.size);
	expect_bad_tail(_metadata, self, &bytes, nr - 1);
	free_bytes(&bytes);
	free_bytes(&other);
}

/* Invalid records with correct checksums */
TEST_F_TIMEOUT(stream, forged_records_are_refused, 120)
{
	static const u32 types[] = { 0, 4, 5, 0x100, 0x7fffffff };
	static const u32 sizes[] = { 0, SZ_256K - 15, SZ_256K, SZ_1M, 0x7fffffff, 0x80000000, ~0U };
	const struct stream_record optional = {
		.type = htole32(RECORD_OPTIONAL | 4), .size = htole32(8),
	};
	struct bytes bytes = copy_bytes(&self->bytes);
	struct record records[32];
	int i, j, nr;
	u64 *totals;
	u32 crc;

	nr = find_records(&bytes, records);
	for (i = 0; i < ARRAY_SIZE(types); i++) {
		records[1].head->type = htole32(types[i]);
		seal(&bytes);
		expect_bad(_metadata, self, &bytes, EINVAL, 1);
	}
	/* Pre-copy data after stop-copy data */
	records[1].head->type = htole32(RECORD_DATA);
	seal(&bytes);
	expect_bad(_metadata, self, &bytes, EINVAL, 2);
	/* An early trailer */
	records[1].head->type = htole32(RECORD_END);
	seal(&bytes);
	expect_bad(_metadata, self, &bytes, EINVAL, 1);
	records[1].head->type = htole32(RECORD_PRECOPY);
	records[1].head->reserved = htole32(1);
	seal(&bytes);
	expect_bad(_metadata, self, &bytes, EINVAL, 1);
	records[1].head->reserved = 0;

	totals = (void *)(records[nr - 1].head + 1);
	for (i = 0; i < 4; i++) {
		totals[i & 1] = htole64(SIZE + (i & 2 ? 1 : -1));
		seal(&bytes);
		expect_bad(_metadata, self, &bytes, EINVAL, nr - 1);
		totals[i & 1] = htole64(SIZE);
	}

	/* Invalid sizes of each record type */
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		for (j = 1; j <= 3; j++) {
			struct stream_record *record = (void *)bytes.data + 80;

			record->type = htole32(j);
			record->size = htole32(sizes[i]);
			crc = seal_header(bytes.data);
			if (sizes[i] <= SZ_256K)
				seal_record(record, crc, sizes[i]);
			bytes.size = SZ_512K;
			expect_bad(_metadata, self, &bytes, EINVAL, 0);
		}
	}
	free_bytes(&bytes);

	/* A stream with recomputed checksums is accepted if its records are valid */
	bytes = copy_bytes(&self->bytes);
	seal(&bytes);
	expect_good(_metadata, self, &bytes, SEED);

	/* The core skips an optional record of an unknown type */
	bytes.size = sizeof(struct stream_header);
	append_bytes(&bytes, &optional, sizeof(optional));
	append_bytes(&bytes, "optional", le32toh(optional.size));
	append_bytes(&bytes, self->bytes.data + sizeof(struct stream_header),
		     self->bytes.size - sizeof(struct stream_header));
	seal(&bytes);
	expect_good(_metadata, self, &bytes, SEED);
	free_bytes(&bytes);
	bytes = copy_bytes(&self->bytes);
	seal(&bytes);

	/* The driver validates the data, too */
	nr = find_records(&bytes, records);
	((u8 *)records[4].head)[20] ^= 1;
	seal(&bytes);
	expect_bad(_metadata, self, &bytes, EINVAL, 5);
	free_bytes(&bytes);
}

/* Change one byte of the header and correct its checksum */
static void expect_bad_byte(struct __test_metadata *_metadata, struct stream_data *self,
			    struct bytes *bytes, size_t at, u8 value)
{
	u8 good = bytes->data[at];

	bytes->data[at] = value;
	seal(bytes);
	expect_bad(_metadata, self, bytes, EINVAL, 0);
	bytes->data[at] = good;
}

/* If the header is wrong, the driver gets nothing */
TEST_F_TIMEOUT(stream, invalid_header_is_refused, 120)
{
	struct bytes bytes = copy_bytes(&self->bytes);
	struct stream_header *header = (void *)bytes.data;
	const size_t version = offsetof(struct stream_header, version);
	size_t i;

	/* Change each byte except the version, the nonce and the checksum */
	for (i = 0; i < offsetof(struct stream_header, crc); i++) {
		if (i == version || (i >= offsetof(struct stream_header, nonce) &&
				     i < offsetof(struct stream_header, reserved2)))
			continue;
		expect_bad_byte(_metadata, self, &bytes, i, bytes.data[i] ^ 1);
	}
	expect_bad_byte(_metadata, self, &bytes, version, 0);
	expect_bad_byte(_metadata, self, &bytes, version, 1);
	expect_bad_byte(_metadata, self, &bytes, version, 4);
	expect_bad_byte(_metadata, self, &bytes, version, 0xff);

	/* A known older version is accepted */
	header->version = htole32(2);
	header->nonce++;
	seal(&bytes);
	expect_good(_metadata, self, &bytes, SEED);
	ASSERT_EQ(2, migration_view(device_bdf).version);
	expect_good(_metadata, self, &self->bytes, SEED);
	ASSERT_EQ(3, migration_view(device_bdf).version);
	free_bytes(&bytes);
}

TEST_F_TIMEOUT(stream, precopy_data_needs_precopy_support, 120)
{
	const struct abilities less = {}, more = { .precopy = SIZE };

	vfio_pci_device_cleanup(self->device);
	migration_load(&less);
	self->device = vfio_pci_device_init(device_bdf, self->iommu);
	self->fd = self->device->fd;
	self->violations = migration_count("violations");
	expect_bad(_metadata, self, &self->bytes, EINVAL, 0);

	/* A driver with pre-copy accepts a stream without it */
	self->bytes.size = 0;
	migration_set("size", "%u", SIZE);
	set_seed(SEED);
	save_state(self->fd, &self->bytes);
	vfio_pci_device_cleanup(self->device);
	migration_load(&more);
	self->device = vfio_pci_device_init(device_bdf, self->iommu);
	self->fd = self->device->fd;
	self->violations = migration_count("violations");
	expect_good(_metadata, self, &self->bytes, SEED);
}

TEST_F_TIMEOUT(stream, random_bytes_are_refused, 120)
{
	struct bytes bytes = copy_bytes(&self->bytes);
	int i, j;

	srand(2);
	for (i = 0; i < 50; i++) {
		bytes.size = 80 + rand() % SZ_64K;
		for (j = 0; j < bytes.size; j++)
			bytes.data[j] = rand();
		expect_bad(_metadata, self, &bytes, EINVAL, 0);
		/* Random bytes after a valid header */
		memcpy(bytes.data, self->bytes.data, 80);
		bytes.size += 16;
		expect_bad(_metadata, self, &bytes, EINVAL, 0);
	}
	free_bytes(&bytes);
}

int main(int argc, char *argv[])
{
	migration_begin(&argc, argv, 1, "one device");

	return test_harness_run(argc, argv);
}
