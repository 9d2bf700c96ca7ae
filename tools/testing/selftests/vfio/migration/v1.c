// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <unistd.h>

#include <sys/mman.h>

#include "v1.h"

u64 find_region(struct vfio_pci_device *device, struct region_info *info)
{
	struct vfio_region_info_cap_type *type;
	u32 i;

	for (i = VFIO_PCI_NUM_REGIONS; i < device->info.num_regions; i++) {
		VFIO_ASSERT_EQ(get_region_info(device, i, info), 0);
		type = (void *)find_cap(info, VFIO_REGION_INFO_CAP_TYPE);
		if (type && type->type == VFIO_REGION_TYPE_MIGRATION_DEPRECATED &&
		    type->subtype == VFIO_REGION_SUBTYPE_MIGRATION_DEPRECATED)
			return info->info.offset;
	}

	VFIO_FAIL("%s has no migration region\n", device->bdf);
}

int try_get(int fd, u64 offset, u64 *value)
{
	ssize_t ret = pread(fd, value, sizeof(*value), offset);

	if (ret < 0)
		return errno;
	VFIO_ASSERT_EQ(ret, sizeof(*value));

	return 0;
}

u64 get(int fd, u64 offset)
{
	u64 value;
	int ret = try_get(fd, offset, &value);

	VFIO_ASSERT_EQ(ret, 0);

	return value;
}

int put_data_size(int fd, u64 offset, u64 size)
{
	ssize_t ret = pwrite(fd, &size, sizeof(size), offset + DATA_SIZE);

	if (ret < 0)
		return errno;
	VFIO_ASSERT_EQ(ret, sizeof(size));

	return 0;
}

int put_state(int fd, u64 offset, u32 state)
{
	ssize_t ret = pwrite(fd, &state, sizeof(state), offset);

	if (ret < 0)
		return errno;
	VFIO_ASSERT_EQ(ret, sizeof(state));

	return 0;
}

u32 state_of(int fd, u64 offset)
{
	u32 state;
	ssize_t ret = pread(fd, &state, sizeof(state), offset);

	VFIO_ASSERT_EQ(ret, sizeof(state));

	return state;
}

u8 *map_data(int fd, u64 offset)
{
	u8 *map = mmap(NULL, WINDOW, PROT_READ | PROT_WRITE, MAP_SHARED, fd, offset + PAGE);

	VFIO_ASSERT_NE(map, MAP_FAILED);

	return map;
}
