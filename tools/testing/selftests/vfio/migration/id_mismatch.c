// SPDX-License-Identifier: GPL-2.0-only
/*
 * A device refuses the state of a device with other ids, by each protocol.  The
 * driver gets no part of it.  Needs two devices with different ids.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "migration.h"
#include "v1.h"

#include "kselftest_harness.h"

FIXTURE(other) {
	struct iommu *iommu;
	struct vfio_pci_device *from;
	struct vfio_pci_device *to;
	struct region_info *info;
	struct bytes bytes;
	int loads;
	int violations;
};

FIXTURE_VARIANT(other) {
	const char *iommu_mode;
	/* Index of the source device */
	int from;
};

FIXTURE_VARIANT_ADD(other, first_to_second) {
	.iommu_mode = "iommufd",
	.from = 0,
};

FIXTURE_VARIANT_ADD(other, second_to_first) {
	.iommu_mode = "vfio_type1v2_iommu",
	.from = 1,
};

static int all_loads(void)
{
	return migration_calls("load") + migration_calls("precopy_load") +
	       migration_calls("load_done");
}

FIXTURE_SETUP(other)
{
	const struct abilities abilities = { .precopy = 100 };

	migration_load(&abilities);
	self->violations = migration_count("violations");
	self->info = calloc_assert(1, sizeof(*self->info));
	self->iommu = iommu_init(variant->iommu_mode);
	self->from = vfio_pci_device_init(migration_bdfs[variant->from], self->iommu);
	self->to = vfio_pci_device_init(migration_bdfs[!variant->from], self->iommu);
	save_state(self->from->fd, &self->bytes);
	self->loads = all_loads();
}

FIXTURE_TEARDOWN(other)
{
	vfio_pci_device_cleanup(self->to);
	vfio_pci_device_cleanup(self->from);
	iommu_cleanup(self->iommu);
	free_bytes(&self->bytes);
	free(self->info);
	EXPECT_EQ(self->violations, migration_count("violations"));
}

TEST_F(other, data_file_refuses_state_of_another_device)
{
	u64 seed = migration_view(self->to->bdf).seed;

	ASSERT_EQ(EINVAL, load_state(self->to->fd, &self->bytes));
	ASSERT_EQ(EINVAL, set_state(self->to->fd, STATE(STOP), NULL));
	ASSERT_EQ(STATE(ERROR), get_state(self->to->fd));
	EXPECT_EQ(self->loads, all_loads());
	EXPECT_EQ(seed, migration_view(self->to->bdf).seed);

	/* The source still accepts its own state */
	ASSERT_EQ(0, load_state(self->from->fd, &self->bytes));
	EXPECT_LT(self->loads, all_loads());
}

TEST_F(other, region_refuses_state_of_another_device)
{
	u64 seed = migration_view(self->to->bdf).seed;
	u64 offset = find_region(self->to, self->info);
	int fd = self->to->fd;
	u64 at;

	ASSERT_EQ(0, put_state(fd, offset, RESUMING));
	at = get(fd, offset + DATA_OFFSET);
	ASSERT_EQ(self->bytes.size, pwrite(fd, self->bytes.data, self->bytes.size, offset + at));
	ASSERT_EQ(EINVAL, put_data_size(fd, offset, self->bytes.size));
	ASSERT_EQ(EINVAL, put_state(fd, offset, RUNNING));
	ASSERT_EQ(ERROR, state_of(fd, offset));
	EXPECT_EQ(self->loads, all_loads());
	EXPECT_EQ(seed, migration_view(self->to->bdf).seed);
}

int main(int argc, char *argv[])
{
	migration_begin(&argc, argv, 2, "two devices with different ids");
	if (device_id(migration_bdfs[0], "device") == device_id(migration_bdfs[1], "device"))
		ksft_exit_skip("%s and %s have the same ids\n", migration_bdfs[0],
			       migration_bdfs[1]);

	return test_harness_run(argc, argv);
}
