// SPDX-License-Identifier: GPL-2.0-only
/*
 * An introduction to vfio-pci in userspace, for QEMU's edu device.  List the
 * regions of the device, compute a factorial by read/write and by mmap, and
 * receive its interrupt as MSI and as INTx.
 *
 * The program prints each step with its result, and fails if a result is wrong.
 * iommu_init() and vfio_pci_device_init() of libvfio, the library of the vfio
 * selftests, open the IOMMU, the IOMMU group and the device.
 *
 * See docs/specs/edu.rst of QEMU for the registers.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include <linux/io.h>
#include <linux/pci_regs.h>
#include <linux/types.h>
#include <linux/vfio.h>

#include <libvfio.h>

#include "demo.h"

#define EDU_VENDOR		0x1234
#define EDU_DEVICE		0x11e8

#define EDU_ID			0x00	/* major, minor version, 0x00ed */
#define EDU_LIVENESS		0x04	/* reads the inverse of the last write */
#define EDU_FACTORIAL		0x08	/* write n, read n! */
#define EDU_STATUS		0x20
#define  EDU_STATUS_COMPUTING	0x01
#define  EDU_STATUS_IRQ		0x80	/* raise an interrupt when n! is ready */
#define EDU_IRQ_STATUS		0x24	/* pending interrupt reasons */
#define  EDU_IRQ_FACTORIAL	0x01
#define EDU_IRQ_RAISE		0x60
#define EDU_IRQ_ACK		0x64

#define TIMEOUT_MS		5000

/* Access a register by read/write of the device file, or through mmap */
struct access {
	const char *name;
	u32 (*read)(struct vfio_pci_device *device, u32 reg);
	void (*write)(struct vfio_pci_device *device, u32 reg, u32 value);
};

static u32 file_read(struct vfio_pci_device *device, u32 reg)
{
	u32 value = 0;
	ssize_t ret;

	ret = pread(device->fd, &value, 4, device->bars[0].info.offset + reg);
	VFIO_ASSERT_EQ(ret, 4, "read of register %#x\n", reg);
	return value;
}

static void file_write(struct vfio_pci_device *device, u32 reg, u32 value)
{
	ssize_t ret;

	ret = pwrite(device->fd, &value, 4, device->bars[0].info.offset + reg);
	VFIO_ASSERT_EQ(ret, 4, "write of register %#x\n", reg);
}

static u32 mmap_read(struct vfio_pci_device *device, u32 reg)
{
	return readl(device->bars[0].vaddr + reg);
}

static void mmap_write(struct vfio_pci_device *device, u32 reg, u32 value)
{
	writel(value, device->bars[0].vaddr + reg);
}

static const struct access by_file = { "read/write", file_read, file_write };
static const struct access by_mmap = { "mmap", mmap_read, mmap_write };

static const char *cap_name(u16 id)
{
	switch (id) {
	case VFIO_REGION_INFO_CAP_SPARSE_MMAP:
		return "sparse-mmap";
	case VFIO_REGION_INFO_CAP_TYPE:
		return "type";
	case VFIO_REGION_INFO_CAP_MSIX_MAPPABLE:
		return "msix-mappable";
	default:
		return "other";
	}
}

static void print_caps(struct vfio_region_info *info)
{
	struct vfio_info_cap_header *cap;
	u32 offset = info->cap_offset;

	if (!(info->flags & VFIO_REGION_INFO_FLAG_CAPS) || !offset)
		printf(" none");

	for (; offset; offset = cap->next) {
		VFIO_ASSERT_LE(offset + sizeof(*cap), info->argsz);
		cap = (void *)info + offset;
		printf(" %s(%u)", cap_name(cap->id), cap->id);
	}
}

static void print_region(struct vfio_pci_device *device, u32 index)
{
	static const char * const names[] = {
		"BAR0", "BAR1", "BAR2", "BAR3", "BAR4", "BAR5",
		"ROM", "config", "VGA",
	};
	const char *name = index < ARRAY_SIZE(names) ? names[index] : "device";
	struct vfio_region_info *info;
	u32 argsz = sizeof(*info);

	info = calloc_assert(1, argsz);
	info->argsz = argsz;
	info->index = index;

	if (ioctl(device->fd, VFIO_DEVICE_GET_REGION_INFO, info)) {
		printf("  %5u  %-7s %s\n", index, name,
		       errno == EINVAL ? "not present" : strerror(errno));
		free(info);
		return;
	}

	/* The kernel returned the size that it needs for the capabilities */
	if (info->argsz > argsz) {
		argsz = info->argsz;
		info = realloc(info, argsz);
		VFIO_ASSERT_NOT_NULL(info);
		ioctl_assert(device->fd, VFIO_DEVICE_GET_REGION_INFO, info);
	}

	printf("  %5u  %-7s %#-13llx %#-9llx %-5s %-5s %-5s", index, name,
	       info->offset, info->size,
	       info->flags & VFIO_REGION_INFO_FLAG_READ ? "read" : "-",
	       info->flags & VFIO_REGION_INFO_FLAG_WRITE ? "write" : "-",
	       info->flags & VFIO_REGION_INFO_FLAG_MMAP ? "mmap" : "-");
	print_caps(info);
	printf("\n");
	free(info);
}

static void show_regions(struct vfio_pci_device *device)
{
	u32 i;

	printf("Regions of the device, each at its own offset of the device file:\n");
	printf("  index  name    offset        size      access            capabilities\n");
	for (i = 0; i < device->info.num_regions; i++)
		print_region(device, i);

	check(device->bars[0].info.size == 0x100000,
	      "BAR0 is 1 MiB: %#llx", device->bars[0].info.size);
	check(device->bars[0].vaddr,
	      "BAR0 is mapped");
	check(vfio_pci_device_match(device, EDU_VENDOR, EDU_DEVICE),
	      "config space says vendor %04x, device %04x: edu",
	      vfio_pci_config_readw(device, PCI_VENDOR_ID),
	      vfio_pci_config_readw(device, PCI_DEVICE_ID));
}

static void compute_factorial(struct vfio_pci_device *device,
			      const struct access *access, u32 n)
{
	u32 i, id, alive, result, expected = 1;

	for (i = 2; i <= n; i++)
		expected *= i;

	printf("A factorial, with access to the registers by %s:\n", access->name);

	id = access->read(device, EDU_ID);
	check((id & 0xffff) == 0x00ed, "identification register reads 0x%08x", id);

	access->write(device, EDU_LIVENESS, n);
	alive = access->read(device, EDU_LIVENESS);
	check(alive == ~n, "liveness register was written %#x, reads %#x", n, alive);

	access->write(device, EDU_FACTORIAL, n);
	for (i = 0; i < TIMEOUT_MS; i++) {
		if (!(access->read(device, EDU_STATUS) & EDU_STATUS_COMPUTING))
			break;
		usleep(1000);
	}
	result = access->read(device, EDU_FACTORIAL);
	check(result == expected, "%u! = %u", n, result);
}

/* Return the number of interrupts so far, or 0 after a timeout */
static u64 wait_irq(int eventfd)
{
	struct pollfd pfd = { .fd = eventfd, .events = POLLIN };
	u64 count = 0;

	if (poll(&pfd, 1, TIMEOUT_MS) != 1)
		return 0;

	VFIO_ASSERT_EQ(read(eventfd, &count, sizeof(count)), sizeof(count));
	return count;
}

/* Wait for an interrupt, check its reason, acknowledge it */
static void take_irq(struct vfio_pci_device *device, int eventfd,
		     const char *what, u32 reason)
{
	u64 count = wait_irq(eventfd);
	u32 status = file_read(device, EDU_IRQ_STATUS);

	check(count == 1, "%s: the eventfd counts %lu", what, count);
	check(status == reason, "%s: interrupt status register reads %#x, expected %#x",
	      what, status, reason);

	file_write(device, EDU_IRQ_ACK, status);
	status = file_read(device, EDU_IRQ_STATUS);
	check(!status, "%s: acknowledged, interrupt status register reads %#x",
	      what, status);
}

static void take_msi(struct vfio_pci_device *device)
{
	printf("Interrupt as MSI:\n");

	/* An MSI is a write to memory by the device */
	vfio_pci_cmd_set(device, PCI_COMMAND_MASTER);
	vfio_pci_msi_enable(device, 0, 1);

	file_write(device, EDU_IRQ_RAISE, 0x42);
	take_irq(device, device->msi_eventfds[0], "raised by a register write", 0x42);

	file_write(device, EDU_STATUS, EDU_STATUS_IRQ);
	file_write(device, EDU_FACTORIAL, 5);
	take_irq(device, device->msi_eventfds[0], "5! is ready", EDU_IRQ_FACTORIAL);
	check(file_read(device, EDU_FACTORIAL) == 120, "5! = %u",
	      file_read(device, EDU_FACTORIAL));
	file_write(device, EDU_STATUS, 0);

	vfio_pci_msi_disable(device);
}

/* libvfio supports only MSI and MSI-X; pass -1 as @fd to remove the eventfd */
static void set_intx_eventfd(struct vfio_pci_device *device, int fd)
{
	u8 buf[sizeof(struct vfio_irq_set) + sizeof(s32)] = {};
	struct vfio_irq_set *set = (void *)buf;

	set->argsz = sizeof(buf);
	set->flags = VFIO_IRQ_SET_ACTION_TRIGGER | VFIO_IRQ_SET_DATA_EVENTFD;
	set->index = VFIO_PCI_INTX_IRQ_INDEX;
	set->count = 1;
	memcpy(set->data, &fd, sizeof(s32));
	ioctl_assert(device->fd, VFIO_DEVICE_SET_IRQS, set);
}

static void unmask_intx(struct vfio_pci_device *device)
{
	struct vfio_irq_set set = {
		.argsz = sizeof(set),
		.flags = VFIO_IRQ_SET_ACTION_UNMASK | VFIO_IRQ_SET_DATA_NONE,
		.index = VFIO_PCI_INTX_IRQ_INDEX,
		.count = 1,
	};

	ioctl_assert(device->fd, VFIO_DEVICE_SET_IRQS, &set);
}

static void take_intx(struct vfio_pci_device *device)
{
	int fd = eventfd(0, 0);

	VFIO_ASSERT_GE(fd, 0);
	printf("Interrupt as INTx:\n");
	set_intx_eventfd(device, fd);

	/*
	 * INTx is level triggered.  The kernel masks it when it signals the
	 * eventfd; userspace unmasks it after it acknowledged the interrupt.
	 */
	file_write(device, EDU_IRQ_RAISE, 0x42);
	take_irq(device, fd, "raised by a register write", 0x42);

	file_write(device, EDU_IRQ_RAISE, 0x43);
	usleep(10000);
	check(!poll(&(struct pollfd){ .fd = fd, .events = POLLIN }, 1, 0),
	      "raised again while masked: no event");

	unmask_intx(device);
	take_irq(device, fd, "unmasked", 0x43);

	set_intx_eventfd(device, -1);
	close(fd);
}

int main(int argc, char *argv[])
{
	const char *mode = MODE_VFIO_TYPE1V2_IOMMU;
	struct vfio_pci_device *device;
	struct iommu *iommu;
	const char *bdf;

	setvbuf(stdout, NULL, _IOLBF, 0);
	bdf = vfio_selftests_get_bdf(&argc, argv);
	if (argc > 1)
		mode = argv[1];

	printf("Device %s, driver %s, IOMMU interface %s\n", bdf,
	       sysfs_driver_get(bdf), mode);
	iommu = iommu_init(mode);
	device = vfio_pci_device_init(bdf, iommu);
	vfio_pci_cmd_set(device, PCI_COMMAND_MEMORY);

	show_regions(device);
	VFIO_ASSERT_EQ(failures, 0, "%s is not a working edu device, see above\n", bdf);

	compute_factorial(device, &by_file, 10);
	compute_factorial(device, &by_mmap, 12);
	take_msi(device);
	take_intx(device);

	vfio_pci_device_cleanup(device);
	iommu_cleanup(iommu);

	if (failures)
		printf("%d checks failed\n", failures);
	else
		printf("All checks passed\n");
	return failures ? KSFT_FAIL : KSFT_PASS;
}
