/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Helpers for migration between two machines with one edu device each.
 */
#ifndef SELFTESTS_VFIO_PCI_MIGRATION_EDU_H
#define SELFTESTS_VFIO_PCI_MIGRATION_EDU_H

#include <errno.h>
#include <string.h>

#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/sizes.h>
#include <linux/vfio.h>

#include <libvfio.h>

#define EDU_LIVENESS		0x04
#define EDU_FACTORIAL		0x08
#define EDU_STATUS		0x20
#define EDU_IRQ_STATUS		0x24
#define EDU_IRQ_RAISE		0x60
#define EDU_IRQ_ACKNOWLEDGE	0x64
#define EDU_DMA_SOURCE		0x80
#define EDU_DMA_DESTINATION	0x88
#define EDU_DMA_COUNT		0x90
#define EDU_DMA_COMMAND		0x98

#define EDU_COMPUTING		0x01
#define EDU_IRQ_WHEN_DONE	0x80
#define EDU_IRQ_FACTORIAL	0x001
#define EDU_IRQ_DMA		0x100

#define EDU_DMA_START		1
#define EDU_DMA_FROM_DEVICE	2
#define EDU_DMA_IRQ		4
#define EDU_BUFFER		0x40000
#define EDU_BUFFER_SIZE		4096
#define EDU_MAX_PIECES		16

/* A computation with this n takes about a second; its result is 0 */
#define LONG_N			0x20000000

#define MEM_IOVA		SZ_1M
#define MEM_SIZE		SZ_64K

/* Migration data of the vendor driver */
struct edu_piece {
	u64 iova;
	u32 offset;
	u32 length;
};

struct edu_state {
	u32 liveness;
	u32 factorial;
	u32 status;
	u32 irq_status;
	u64 dma_source;
	u64 dma_destination;
	u64 dma_count;
	u64 dma_command;
	u32 reserved;
	u32 nr_pieces;
	struct edu_piece pieces[EDU_MAX_PIECES];
};

/* Stream format of vfio-pci: Documentation/driver-api/vfio-pci-migration.rst */
#define HEADER_SIZE		80
#define RECORD_SIZE		16
#define RECORD_PRECOPY		1
#define RECORD_DATA		2
#define RECORD_END		3
#define CRC_OFFSET		76
#define RECORD_CRC_OFFSET	12

struct stream {
	u8 bytes[SZ_64K];
	size_t size;
};

struct registers {
	u32 liveness;
	u32 factorial;
	u32 status;
	u32 irq_status;
	u64 source;
	u64 destination;
	u64 count;
	u64 command;
};

/* A device, and the memory that it can access */
struct machine {
	const char *bdf;
	struct iommu *iommu;
	struct vfio_pci_device *device;
	struct dma_region region;
	u8 *mem;
};

static int put_reg(struct machine *machine, u64 reg, u64 value)
{
	size_t size = reg < EDU_DMA_SOURCE ? 4 : 8;
	ssize_t ret = pwrite(machine->device->fd, &value, size,
			     machine->device->bars[0].info.offset + reg);

	return ret == size ? 0 : -errno;
}

static void write_reg(struct machine *machine, u64 reg, u64 value)
{
	VFIO_ASSERT_EQ(put_reg(machine, reg, value), 0);
}

static u64 read_reg(struct machine *machine, u64 reg)
{
	size_t size = reg < EDU_DMA_SOURCE ? 4 : 8;
	u64 value = 0;

	VFIO_ASSERT_EQ(pread(machine->device->fd, &value, size,
			     machine->device->bars[0].info.offset + reg), size);

	return value;
}

static void wait_while(struct machine *machine, u64 reg, u64 bit)
{
	while (read_reg(machine, reg) & bit)
		usleep(1000);
}

static void read_registers(struct machine *machine, struct registers *regs)
{
	memset(regs, 0, sizeof(*regs));
	regs->liveness = read_reg(machine, EDU_LIVENESS);
	regs->factorial = read_reg(machine, EDU_FACTORIAL);
	regs->status = read_reg(machine, EDU_STATUS);
	regs->irq_status = read_reg(machine, EDU_IRQ_STATUS);
	regs->source = read_reg(machine, EDU_DMA_SOURCE);
	regs->destination = read_reg(machine, EDU_DMA_DESTINATION);
	regs->count = read_reg(machine, EDU_DMA_COUNT);
	regs->command = read_reg(machine, EDU_DMA_COMMAND);
}

static void compute(struct machine *machine, u32 n)
{
	write_reg(machine, EDU_FACTORIAL, n);
	wait_while(machine, EDU_STATUS, EDU_COMPUTING);
}

static void start_transfer(struct machine *machine, u64 source,
			   u64 destination, u64 count, u64 command)
{
	write_reg(machine, EDU_DMA_SOURCE, source);
	write_reg(machine, EDU_DMA_DESTINATION, destination);
	write_reg(machine, EDU_DMA_COUNT, count);
	write_reg(machine, EDU_DMA_COMMAND, command | EDU_DMA_START);
}

static void transfer(struct machine *machine, u64 source, u64 destination,
		     u64 count, u64 command)
{
	start_transfer(machine, source, destination, count, command);
	wait_while(machine, EDU_DMA_COMMAND, EDU_DMA_START);
}

/* Copy from an offset in memory to an offset in the buffer */
static void fill(struct machine *machine, u64 from, u64 to, u64 count)
{
	transfer(machine, MEM_IOVA + from, EDU_BUFFER + to, count, 0);
}

/* Copy the buffer to an offset in memory */
static void dump(struct machine *machine, u64 to)
{
	transfer(machine, EDU_BUFFER, MEM_IOVA + to, EDU_BUFFER_SIZE,
		 EDU_DMA_FROM_DEVICE);
}

/* Return the number of interrupts since the last call */
static u64 interrupts(struct machine *machine)
{
	u64 count;

	/* Interrupts may be delayed */
	usleep(10000);
	if (read(machine->device->msi_eventfds[0], &count, sizeof(count)) < 0) {
		VFIO_ASSERT_EQ(errno, EAGAIN);
		return 0;
	}

	return count;
}

static int feature(struct machine *machine, u32 flags, void *data, size_t size)
{
	u8 buf[sizeof(struct vfio_device_feature) + 64]
		__aligned(__alignof__(u64)) = {};
	struct vfio_device_feature *feature = (void *)buf;
	int ret;

	VFIO_ASSERT_LE(size, 64);
	feature->argsz = sizeof(*feature) + size;
	feature->flags = flags;
	memcpy(feature->data, data, size);
	ret = ioctl(machine->device->fd, VFIO_DEVICE_FEATURE, feature);
	memcpy(data, feature->data, size);

	return ret < 0 ? -errno : 0;
}

/* Set a state; store the data file in @data_fd, or -1 if there is none */
static int put_state(struct machine *machine, u32 state, int *data_fd)
{
	struct vfio_device_feature_mig_state arg = {
		.device_state = state,
		.data_fd = -1,
	};
	int ret;

	ret = feature(machine, VFIO_DEVICE_FEATURE_SET |
		      VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE, &arg, sizeof(arg));
	if (data_fd)
		*data_fd = ret ? -1 : arg.data_fd;
	else if (!ret && arg.data_fd >= 0)
		close(arg.data_fd);

	return ret;
}

static void set_state(struct machine *machine, u32 state)
{
	VFIO_ASSERT_EQ(put_state(machine, state, NULL), 0);
}

static u32 get_state(struct machine *machine)
{
	struct vfio_device_feature_mig_state arg = {};

	VFIO_ASSERT_EQ(feature(machine, VFIO_DEVICE_FEATURE_GET |
			       VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE, &arg,
			       sizeof(arg)), 0);

	return arg.device_state;
}

/* Stop a device and save its state; return 0 or the errno of a read */
static int save(struct machine *machine, struct stream *stream)
{
	ssize_t ret;
	int fd;

	VFIO_ASSERT_EQ(put_state(machine, VFIO_DEVICE_STATE_STOP_COPY, &fd), 0);
	VFIO_ASSERT_GE(fd, 0);
	stream->size = 0;
	do {
		ret = read(fd, stream->bytes + stream->size,
			   sizeof(stream->bytes) - stream->size);
		if (ret < 0)
			ret = -errno;
		else
			stream->size += ret;
	} while (ret > 0);
	close(fd);

	return ret;
}

/* Load a state into a device; return 0 or the errno of the write */
static int load(struct machine *machine, const struct stream *stream)
{
	ssize_t ret;
	int fd;

	VFIO_ASSERT_EQ(put_state(machine, VFIO_DEVICE_STATE_RESUMING, &fd), 0);
	VFIO_ASSERT_GE(fd, 0);
	ret = write(fd, stream->bytes, stream->size);
	if (ret < 0)
		ret = -errno;
	else
		VFIO_ASSERT_EQ(ret, stream->size);
	close(fd);

	return ret < 0 ? ret : 0;
}

/* Migrate a device; copy the memory after the source has stopped */
static void migrate(struct machine *from, struct machine *to)
{
	struct stream stream;

	VFIO_ASSERT_EQ(save(from, &stream), 0);
	memcpy(to->mem, from->mem, MEM_SIZE);
	VFIO_ASSERT_EQ(load(to, &stream), 0);
	set_state(to, VFIO_DEVICE_STATE_RUNNING);
}

static void machine_open(struct machine *machine, const char *bdf,
			 const char *iommu_mode)
{
	machine->bdf = bdf;
	machine->iommu = iommu_init(iommu_mode);
	machine->device = vfio_pci_device_init(bdf, machine->iommu);
	machine->mem = mmap(NULL, MEM_SIZE, PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	VFIO_ASSERT_NE(machine->mem, MAP_FAILED);
	machine->region = (struct dma_region) {
		.vaddr = machine->mem,
		.iova = MEM_IOVA,
		.size = MEM_SIZE,
	};
	iommu_map(machine->iommu, &machine->region);
	vfio_pci_cmd_set(machine->device,
			 PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	vfio_pci_msi_enable(machine->device, 0, 1);
	fcntl_set_nonblock(machine->device->msi_eventfds[0]);
}

static void machine_close(struct machine *machine)
{
	iommu_unmap(machine->iommu, &machine->region);
	VFIO_ASSERT_EQ(munmap(machine->mem, MEM_SIZE), 0);
	vfio_pci_device_cleanup(machine->device);
	iommu_cleanup(machine->iommu);
}

/* Set the registers, because the device keeps them from earlier tests */
static void machine_clean(struct machine *machine, u32 value)
{
	wait_while(machine, EDU_STATUS, EDU_COMPUTING);
	write_reg(machine, EDU_STATUS, 0);
	write_reg(machine, EDU_IRQ_ACKNOWLEDGE, ~0U);
	write_reg(machine, EDU_LIVENESS, value);
	write_reg(machine, EDU_DMA_SOURCE, value);
	write_reg(machine, EDU_DMA_DESTINATION, value);
	write_reg(machine, EDU_DMA_COUNT, value);
	compute(machine, 5);
	interrupts(machine);
}

static void put_pattern(u8 *mem, size_t size, unsigned int seed)
{
	size_t i;

	for (i = 0; i < size; i++) {
		seed = seed * 1103515245 + 12345;
		mem[i] = seed >> 16;
	}
}

#endif /* SELFTESTS_VFIO_PCI_MIGRATION_EDU_H */
