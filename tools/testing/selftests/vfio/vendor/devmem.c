// SPDX-License-Identifier: GPL-2.0-only
/*
 * A BAR in device memory, see vfio_pci_vendor_override_devmem().
 *
 * Needs a device with such a BAR 4, bound to vfio-pci: an NVIDIA Grace GPU, or a
 * device that the sample vfio_pci_devmem supports.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include <linux/iommufd.h>
#include <linux/sizes.h>

#include "edu.h"
#include "fail_nth_util.h"
#include "need.h"
#include "racer.h"
#include "testdrv.h"

#include "kselftest_harness.h"

#define BAR		4
#define BAR_REG		(PCI_BASE_ADDRESS_0 + 4 * BAR)
#define RACE_MS		10000

const char *device_bdf;
/* An edu device for DMA, or NULL */
static const char *edu_bdf;
static unsigned int seed = 1;

FIXTURE(devmem) {
	struct iommu *iommu;
	struct vfio_pci_device *device;
	/* Length of the memory, and size of the BAR */
	u64 length;
	u64 size;
	u8 *map;
};

FIXTURE_VARIANT(devmem) {
	const char *iommu_mode;
};

#define FIXTURE_VARIANT_ADD_IOMMU_MODE(mode) FIXTURE_VARIANT_IOMMU_MODE(devmem, mode)

FIXTURE_VARIANT_ADD_ALL_IOMMU_MODES();

/* Return the length of the memory in BAR 4, which begins at offset 0, or 0 */
static u64 memory_length(struct vfio_pci_device *device, struct region_info *info)
{
	struct vfio_region_info_cap_sparse_mmap *sparse;

	if (get_region_info(device, BAR, info))
		return 0;
	if (!(info->info.flags & VFIO_REGION_INFO_FLAG_MMAP))
		return 0;
	sparse = (void *)find_cap(info, VFIO_REGION_INFO_CAP_SPARSE_MMAP);
	if (!sparse)
		return info->info.size;
	if (sparse->nr_areas != 1 || sparse->areas[0].offset)
		return 0;

	return sparse->areas[0].size;
}

static u8 *map_memory(struct vfio_pci_device *device, u64 length)
{
	u8 *map = mmap_reserve(length, SZ_1G, 0);

	VFIO_ASSERT_EQ(mmap(map, length, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
			    device->fd, region_offset(BAR)), map);

	return map;
}

static ssize_t read_at(struct vfio_pci_device *device, void *buf, size_t n, u64 offset)
{
	return pread(device->fd, buf, n, region_offset(BAR) + offset);
}

static ssize_t write_at(struct vfio_pci_device *device, const void *buf, size_t n, u64 offset)
{
	return pwrite(device->fd, buf, n, region_offset(BAR) + offset);
}

static void set_memory_decode(struct vfio_pci_device *device, bool on)
{
	u16 command = vfio_pci_config_readw(device, PCI_COMMAND);

	vfio_pci_config_writew(device, PCI_COMMAND, on ? command | PCI_COMMAND_MEMORY :
						    command & ~PCI_COMMAND_MEMORY);
}

FIXTURE_SETUP(devmem)
{
	static struct region_info info;

	self->iommu = iommu_init(variant->iommu_mode);
	self->device = vfio_pci_device_init(device_bdf, self->iommu);
	self->length = memory_length(self->device, &info);
	self->size = info.info.size;
	ASSERT_GE(self->length, SZ_4M);
	self->map = map_memory(self->device, self->length);
}

FIXTURE_TEARDOWN(devmem)
{
	munmap(self->map, self->length);
	vfio_pci_device_cleanup(self->device);
	iommu_cleanup(self->iommu);
}

static void fill(u8 *buf, size_t n, u8 first)
{
	size_t i;

	for (i = 0; i < n; i++)
		buf[i] = first + i * 7 + (i >> 8);
}

TEST_F(devmem, all_accesses_reach_the_same_memory)
{
	u64 at[] = { 0, 1, PAGE - 5, SZ_2M - PAGE - 3, self->length / 2, self->length - 3 * PAGE };
	u8 *other = mmap(NULL, self->length, PROT_READ, MAP_SHARED, self->device->fd,
			 region_offset(BAR));
	u8 pattern[3 * PAGE], buf[3 * PAGE];
	size_t i;

	ASSERT_NE(MAP_FAILED, other);
	for (i = 0; i < ARRAY_SIZE(at); i++) {
		fill(pattern, sizeof(pattern), i);
		memcpy(self->map + at[i], pattern, sizeof(pattern));
		ASSERT_EQ(sizeof(buf), read_at(self->device, buf, sizeof(buf), at[i]));
		ASSERT_EQ(0, memcmp(buf, pattern, sizeof(buf)));
		ASSERT_EQ(0, memcmp(other + at[i], pattern, sizeof(pattern)));

		fill(pattern, sizeof(pattern), ~i);
		ASSERT_EQ(sizeof(buf), write_at(self->device, pattern, sizeof(pattern), at[i]));
		ASSERT_EQ(0, memcmp(self->map + at[i], pattern, sizeof(pattern)));
		ASSERT_EQ(0, memcmp(other + at[i], pattern, sizeof(pattern)));
	}
	munmap(other, self->length);
}

TEST_F(devmem, bytes_after_the_memory_are_ones)
{
	u64 after = self->size - self->length;
	u8 ones[128], buf[128];

	memset(ones, 0xff, sizeof(ones));
	if (after) {
		ASSERT_GE(after, 2 * sizeof(buf));
		memset(self->map + self->length - 64, 0x12, 64);
		memset(buf, 0, sizeof(buf));
		ASSERT_EQ(sizeof(buf), write_at(self->device, buf, sizeof(buf), self->length - 4));
		ASSERT_EQ(sizeof(buf), read_at(self->device, buf, sizeof(buf), self->length - 64));
		ASSERT_EQ(0x12, buf[59]);
		ASSERT_EQ(0, buf[60]);
		ASSERT_EQ(0, memcmp(buf + 64, ones, 64));
		ASSERT_EQ(sizeof(buf), read_at(self->device, buf, sizeof(buf), self->size - 128));
		ASSERT_EQ(0, memcmp(buf, ones, sizeof(buf)));
	}
	/* The end of the BAR cuts an access */
	ASSERT_EQ(64, read_at(self->device, buf, sizeof(buf), self->size - 64));
	ASSERT_EQ(-1, read_at(self->device, buf, 1, self->size));
	ASSERT_EQ(EINVAL, errno);
}

TEST_F(devmem, bar_registers_report_the_size)
{
	u32 low, high;

	low = vfio_pci_config_readl(self->device, BAR_REG);
	ASSERT_EQ(PCI_BASE_ADDRESS_MEM_TYPE_64 | PCI_BASE_ADDRESS_MEM_PREFETCH, low & 0xf);

	vfio_pci_config_writel(self->device, BAR_REG, ~0);
	vfio_pci_config_writel(self->device, BAR_REG + 4, ~0);
	low = vfio_pci_config_readl(self->device, BAR_REG);
	high = vfio_pci_config_readl(self->device, BAR_REG + 4);
	ASSERT_EQ(~(self->size - 1), ((u64)high << 32 | low) & ~0xfULL);

	vfio_pci_config_writel(self->device, BAR_REG + 4, 0x12);
	vfio_pci_config_writew(self->device, BAR_REG, 0);
	ASSERT_EQ(0x12, vfio_pci_config_readl(self->device, BAR_REG + 4));
	vfio_pci_config_writeb(self->device, BAR_REG + 5, 0x34);
	ASSERT_EQ(0x3412, vfio_pci_config_readw(self->device, BAR_REG + 4));

	if (!(self->device->info.flags & VFIO_DEVICE_FLAGS_RESET))
		SKIP(return, "the device has no reset");
	vfio_pci_device_reset(self->device);
	ASSERT_EQ(0, vfio_pci_config_readl(self->device, BAR_REG + 4));
	ASSERT_EQ(0xc, vfio_pci_config_readl(self->device, BAR_REG));
}

static int map_errno(struct vfio_pci_device *device, u64 offset, u64 n, int flags)
{
	void *map = mmap(NULL, n, PROT_READ, flags, device->fd, region_offset(BAR) + offset);

	if (map == MAP_FAILED)
		return errno;
	munmap(map, n);

	return 0;
}

TEST_F(devmem, only_the_memory_can_be_mapped)
{
	ASSERT_EQ(0, map_errno(self->device, self->length - PAGE, PAGE, MAP_SHARED));
	ASSERT_EQ(EINVAL, map_errno(self->device, self->length - PAGE, 2 * PAGE, MAP_SHARED));
	ASSERT_EQ(EINVAL, map_errno(self->device, self->length, PAGE, MAP_SHARED));
	ASSERT_EQ(EINVAL, map_errno(self->device, 0, PAGE, MAP_PRIVATE));
}

static u32 touch_all(u8 *map, u64 length)
{
	u32 sum = 0;
	u64 i;

	for (i = 0; i < length; i += PAGE)
		sum += READ_ONCE(*(u32 *)(map + i));

	return sum;
}

TEST_F(devmem, write_that_faults_keeps_the_rest)
{
	u8 *buf = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ASSERT_NE(MAP_FAILED, buf);
	memset(buf, 0x34, PAGE);
	ASSERT_EQ(0, mprotect(buf + PAGE, PAGE, PROT_NONE));
	memset(self->map, 0x12, 4 * PAGE);
	ASSERT_EQ(-1, write_at(self->device, buf + PAGE - 100, PAGE + 100, 0));
	ASSERT_EQ(EFAULT, errno);
	ASSERT_EQ(0x34, self->map[99]);
	ASSERT_EQ(0x12, self->map[100]);
	ASSERT_EQ(0x12, self->map[2 * PAGE]);
	munmap(buf, 2 * PAGE);
}

TEST_F(devmem, read_into_the_memory_itself_keeps_it)
{
	u8 *other = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, self->device->fd,
			 region_offset(BAR));
	u8 pattern[2 * PAGE];

	ASSERT_NE(MAP_FAILED, other);
	fill(pattern, sizeof(pattern), 0x55);
	memcpy(self->map, pattern, sizeof(pattern));
	/* The pages of the buffer are not mapped yet, so the copy faults */
	ASSERT_EQ(sizeof(pattern), read_at(self->device, other, sizeof(pattern), 0));
	ASSERT_EQ(0, memcmp(self->map, pattern, sizeof(pattern)));
	munmap(other, 2 * PAGE);
}

TEST_F(devmem, memory_decode_off_unmaps_the_memory)
{
	u32 value;

	ASSERT_TRUE(readable((u32 *)self->map, &value));
	set_memory_decode(self->device, false);
	ASSERT_FALSE(readable((u32 *)self->map, &value));
	set_memory_decode(self->device, true);
	ASSERT_TRUE(readable((u32 *)self->map, &value));
}

TEST_F(devmem, dma_by_another_device_reaches_the_memory)
{
	struct vfio_pci_device *edu;
	u8 pattern[EDU_BUFFER_SIZE];
	struct iommu_ioas_map_file map = {
		.size = sizeof(map),
		.flags = IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE |
			 IOMMU_IOAS_MAP_FIXED_IOVA,
		.ioas_id = self->iommu->ioas_id,
		.iova = SZ_4M,
		.length = 2 * PAGE,
	};

	if (strcmp(variant->iommu_mode, MODE_IOMMUFD))
		SKIP(return, "only iommufd maps dma-bufs");
	if (!edu_bdf)
		SKIP(return, "no edu device given");

	map.fd = export_dmabuf(self->device->fd, BAR, SZ_2M, 2 * PAGE);
	ASSERT_GE(map.fd, 0);
	edu = vfio_pci_device_init(edu_bdf, self->iommu);
	vfio_pci_cmd_set(edu, PCI_COMMAND_MASTER);
	ASSERT_EQ(0, ioctl(self->iommu->iommufd, IOMMU_IOAS_MAP_FILE, &map));

	fill(pattern, sizeof(pattern), 0x31);
	memcpy(self->map + SZ_2M, pattern, sizeof(pattern));
	edu_dma_from(edu, map.iova, sizeof(pattern));
	edu_dma_to(edu, map.iova + PAGE, sizeof(pattern));
	ASSERT_EQ(0, memcmp(self->map + SZ_2M + PAGE, pattern, sizeof(pattern)));

	ASSERT_EQ(-1, export_dmabuf(self->device->fd, BAR, self->length, PAGE));
	ASSERT_EQ(EINVAL, errno);
	vfio_pci_device_cleanup(edu);
	close(map.fd);
}

static void on_memory_failure(int sig, siginfo_t *info, void *context)
{
	_exit(info->si_code == BUS_MCEERR_AR || info->si_code == BUS_MCEERR_AO ? 42 : 1);
}

TEST_F(devmem, memory_failure_raises_sigbus)
{
	struct sigaction action = {
		.sa_sigaction = on_memory_failure,
		.sa_flags = SA_SIGINFO,
	};
	const char *offline = "/sys/devices/system/memory/hard_offline_page";
	u8 *page = self->map + self->length - PAGE;
	const char *base = getenv("VFIO_SELFTESTS_DEVMEM");
	char address[32];
	int status;
	pid_t pid;

	if (access(offline, W_OK))
		SKIP(return, "needs CONFIG_MEMORY_FAILURE and CONFIG_MEMORY_HOTPLUG");

	if (!base)
		SKIP(return, "set VFIO_SELFTESTS_DEVMEM to the physical address of the memory");
	snprintf(address, sizeof(address), "%#llx",
		 strtoull(base, NULL, 0) + self->length - PAGE);

	pid = fork();
	ASSERT_GE(pid, 0);
	if (!pid) {
		sigaction(SIGBUS, &action, NULL);
		touch_all(page, PAGE);
		_exit(put_text(offline, address) ? 2 : 3);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	ASSERT_TRUE(WIFEXITED(status));
	ASSERT_EQ(42, WEXITSTATUS(status));
}

TEST_F(devmem, unbind_waits_until_the_memory_is_unmapped)
{
	struct writer writer;

	self->map[0] = 0x5a;
	writer_start(&writer, device_file(device_bdf, "driver/unbind"), device_bdf);
	ASSERT_TRUE(writer_waits(&writer));
	/* Only the mapping keeps the device open */
	vfio_pci_device_cleanup(self->device);
	ASSERT_TRUE(writer_waits(&writer));
	ASSERT_EQ(0x5a, self->map[0]);
	self->map[self->length - 1] = 0x5b;
	ASSERT_EQ(0, munmap(self->map, self->length));
	ASSERT_EQ(0, writer_join(&writer));

	bind_device(device_bdf);
	self->device = vfio_pci_device_init(device_bdf, self->iommu);
	self->map = map_memory(self->device, self->length);
	ASSERT_EQ(0x5b, self->map[self->length - 1]);
}

/* Check that BAR 4 is the memory, and that its register exists */
static bool is_complete(int fd, u64 length)
{
	u64 pos = region_offset(VFIO_PCI_CONFIG_REGION_INDEX) + BAR_REG;
	struct vfio_pci_device device = { .fd = fd };
	static struct region_info info;
	u8 byte;

	return memory_length(&device, &info) == length &&
	       read_at(&device, &byte, 1, length - 1) == 1 &&
	       pread(fd, &byte, 1, pos) == 1 && (byte & 0xf) == 0xc;
}

TEST_F_TIMEOUT(devmem, open_fails_or_is_complete_if_an_allocation_fails, 600)
{
	struct vfio_pci_device *group;
	unsigned int nth, failures = 0;
	int fd, nth_fd;
	bool failed;

	if (strcmp(variant->iommu_mode, MODE_VFIO_TYPE1V2_IOMMU))
		SKIP(return, "once is enough");
	if (access("/sys/kernel/debug/failslab/reject-start", W_OK))
		SKIP(return, "needs CONFIG_FAILSLAB and CONFIG_FAULT_INJECTION_STACKTRACE_FILTER");

	/* Close the device, and open only its group */
	munmap(self->map, self->length);
	vfio_pci_device_cleanup(self->device);
	group = vfio_pci_device_alloc(device_bdf, self->iommu);
	vfio_pci_group_setup(group, device_bdf);
	vfio_container_set_iommu(group);
	nth_fd = nth_open(NTH_EXCLUDE_OPEN);
	for (nth = 1; ; nth++) {
		nth_fail(nth_fd, nth);
		fd = ioctl(group->group_fd, VFIO_GROUP_GET_DEVICE_FD, device_bdf);
		failed = nth_has_failed(nth_fd);
		if (fd >= 0) {
			ASSERT_TRUE(is_complete(fd, self->length)) {
				TH_LOG("no memory after allocation %u failed", nth);
			}
			ASSERT_EQ(0, close(fd));
		} else {
			/* Fault injection also fails copies from userspace, and requests of BARs */
			ASSERT_TRUE(errno == ENOMEM || errno == EFAULT || errno == EBUSY) {
				TH_LOG("errno %d after allocation %u failed", errno, nth);
			}
			failures++;
		}
		if (!failed)
			break;
	}
	ASSERT_GE(fd, 0);
	TH_LOG("%u allocations, %u of them required", nth - 1, failures);
	/* The region, its area, its data, and the ranges of two registers */
	ASSERT_GE(failures, 5);

	close(nth_fd);
	close(group->group_fd);
	vfio_pci_device_free(group);
	self->device = vfio_pci_device_init(device_bdf, self->iommu);
	self->map = map_memory(self->device, self->length);
}

struct race {
	struct vfio_pci_device *device;
	u8 *map;
	u64 length;
};

/* A random offset in the memory with at least @n bytes after it */
static u64 anywhere(struct racer *racer, u64 n)
{
	struct race *race = racer->data;

	return ((u64)pick(racer, race->length / PAGE) * PAGE + pick(racer, PAGE)) %
	       (race->length - n);
}

static void touch_mapping(struct racer *racer)
{
	struct race *race = racer->data;
	u32 value;

	racer->done += readable((u32 *)(race->map + anywhere(racer, 4)), &value);
}

/* The user buffer is a mapping of the memory, and its page faults */
static void copy_memory(struct racer *racer)
{
	struct race *race = racer->data;
	size_t n = 1 + pick(racer, 3 * PAGE);
	u8 *map = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, race->device->fd,
		       region_offset(BAR) + anywhere(racer, 5 * PAGE) / PAGE * PAGE);
	ssize_t ret;

	VFIO_ASSERT_NE(map, MAP_FAILED);
	if (pick(racer, 2))
		ret = read_at(race->device, map, n, anywhere(racer, n));
	else
		ret = write_at(race->device, map, n, anywhere(racer, n));
	if (ret == (ssize_t)n)
		racer->done++;
	else
		racer->why[errno]++;
	munmap(map, 4 * PAGE);
}

static void toggle_decode(struct racer *racer)
{
	struct race *race = racer->data;

	set_memory_decode(race->device, false);
	if (!pick(racer, 4))
		usleep(pick(racer, 3000));
	set_memory_decode(race->device, true);
	racer->done++;
	usleep(pick(racer, 3000));
}

static void reset(struct racer *racer)
{
	struct race *race = racer->data;

	if (ioctl(race->device->fd, VFIO_DEVICE_RESET))
		racer->why[errno]++;
	else
		racer->done++;
	/* The device may need seconds to become ready */
	sleep(3);
}

/* Fails by a timeout if a page fault of the copy waits for a lock that the copy holds */
TEST_F_TIMEOUT(devmem, accesses_race_with_resets, 120)
{
	struct race race = { self->device, self->map, self->length };
	struct racer racers[] = {
		{ .name = "touch", .run = touch_mapping },
		{ .name = "copy", .run = copy_memory },
		{ .name = "copy", .run = copy_memory },
		{ .name = "decode", .run = toggle_decode },
		{ .name = "reset", .run = reset },
	};
	unsigned int i;
	u8 byte;

	for (i = 0; i < ARRAY_SIZE(racers); i++)
		racers[i].data = &race;
	race_for(racers, ARRAY_SIZE(racers), seed, RACE_MS);

	for (i = 0; i < ARRAY_SIZE(racers); i++) {
		TH_LOG("%s: %lu of %lu rounds done", racers[i].name, racers[i].done,
		       racers[i].rounds);
		ASSERT_GT(racers[i].done, 0);
	}
	/* A fault of the buffer fails with EFAULT; a reset without decode fails with EIO */
	for (i = 1; i < RACER_ERRNOS; i++)
		if (i != EFAULT && i != EIO)
			ASSERT_EQ(0, racers[1].why[i] + racers[2].why[i]);
	self->map[0] = 0x77;
	ASSERT_EQ(1, read_at(self->device, &byte, 1, 0));
	ASSERT_EQ(0x77, byte);
}

int main(int argc, char *argv[])
{
	static struct region_info info;
	struct vfio_pci_device *device;
	struct iommu *iommu;
	int given;
	char **bdfs = need_bdfs(&argc, argv, 1, "DEVICE [EDU]", &given);
	u64 length;

	device_bdf = bdfs[0];
	edu_bdf = given > 1 ? bdfs[1] : NULL;

	iommu = iommu_init(default_iommu_mode);
	device = vfio_pci_device_init(device_bdf, iommu);
	length = memory_length(device, &info);
	vfio_pci_device_cleanup(device);
	iommu_cleanup(iommu);
	if (length < SZ_4M)
		ksft_exit_skip("BAR %d of %s is not device memory\n", BAR, device_bdf);

	return test_harness_run(argc, argv);
}
