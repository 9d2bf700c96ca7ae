// SPDX-License-Identifier: GPL-2.0-only
/*
 * vfio_pci_doc_examples BDF: open a device (edu, or igb with a ROM) and print the effect of
 * each example module of the documentation.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/pci_regs.h>
#include <linux/vfio.h>

#include <libvfio.h>

#define REGION(index)		((__u64)(index) << 40)
#define CONFIG			REGION(VFIO_PCI_CONFIG_REGION_INDEX)

#define SIGNAL_FEATURE		(0x8000 + 1)
#define WINDOW_TYPE		(VFIO_REGION_TYPE_PCI_VENDOR_TYPE | 0x8086)
#define WINDOW_SUBTYPE		100
#define WINDOW			0x5000
/* Offset of the MAC address in the window */
#define RECEIVE_ADDRESS		0x400

static int fd;

static __u32 get(__u64 pos, unsigned int width)
{
	__u32 val = 0;

	VFIO_ASSERT_EQ(pread(fd, &val, width, pos), width);

	return val;
}

static ssize_t put(__u64 pos, __u32 val)
{
	return pwrite(fd, &val, sizeof(val), pos);
}

static int feature(__u32 flags, const void *in, void *out, size_t size)
{
	struct vfio_device_feature *arg = calloc(1, sizeof(*arg) + size);
	int ret;

	arg->argsz = sizeof(*arg) + size;
	arg->flags = flags;
	memcpy(arg->data, in, size);
	ret = ioctl(fd, VFIO_DEVICE_FEATURE, arg);
	if (out)
		memcpy(out, arg->data, size);
	free(arg);

	return ret;
}

static void guard_factorial(void)
{
	int error = put(0x08, 13) == 4 ? 0 : errno;

	VFIO_ASSERT_EQ(put(0x08, 5), 4);
	while (get(0x20, 4) & 1)
		;
	printf("factorial: 13 %s, 5! is %u\n", strerror(error), get(0x08, 4));
}

static void signal_eventfd(void)
{
	__s32 eventfd_fd = eventfd(0, EFD_NONBLOCK);
	__u64 count = 0;
	int ret;

	ret = feature(VFIO_DEVICE_FEATURE_SET | SIGNAL_FEATURE, &eventfd_fd,
		      NULL, sizeof(eventfd_fd));
	put(0x60, 1);
	put(0x60, 2);
	if (read(eventfd_fd, &count, sizeof(count)) != sizeof(count))
		count = 0;
	printf("eventfd: feature %d, signalled %u, device raises %u\n", ret,
	       (unsigned int)count, get(0x24, 4));
	put(0x64, 3);
}

static int set_state(__u32 state)
{
	struct vfio_device_feature_mig_state mig = { .device_state = state };

	if (feature(VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE,
		    &mig, &mig, sizeof(mig)))
		return -1;

	return mig.data_fd;
}

/* Save the register, overwrite it, and load it */
static void migrate_register(void)
{
	char data[4096];
	ssize_t size, more;
	int data_fd;

	put(4, 5);
	data_fd = set_state(VFIO_DEVICE_STATE_STOP_COPY);
	for (size = 0; (more = read(data_fd, data + size, sizeof(data) - size)) > 0;)
		size += more;
	set_state(VFIO_DEVICE_STATE_RUNNING);
	put(4, 6);
	data_fd = set_state(VFIO_DEVICE_STATE_RESUMING);
	more = write(data_fd, data, size);
	set_state(VFIO_DEVICE_STATE_RUNNING);
	printf("migration: %s, the register is %x\n",
	       size > 0 && more == size ? "done" : "failed", get(4, 4));
}

static const char *ext_cap(__u16 id)
{
	__u16 pos = PCI_CFG_SPACE_SIZE;
	int loops = 960;
	__u32 header;

	for (; pos && loops--; pos = PCI_EXT_CAP_NEXT(header)) {
		header = get(CONFIG + pos, 4);
		if (PCI_EXT_CAP_ID(header) == id)
			return "visible";
	}

	return "hidden";
}

static void change_caps(void)
{
	char text[5] = "none";
	int loops = 48;
	__u8 pos;

	for (pos = get(CONFIG + PCI_CAPABILITY_LIST, 1); pos && loops--;
	     pos = get(CONFIG + pos + 1, 1)) {
		if (get(CONFIG + pos, 1) == PCI_CAP_ID_VNDR)
			VFIO_ASSERT_EQ(pread(fd, text, 4, CONFIG + pos + 4), 4);
	}
	printf("capabilities: SR-IOV %s, ARI %s, AER %s, vendor-specific %s\n",
	       ext_cap(PCI_EXT_CAP_ID_SRIOV), ext_cap(PCI_EXT_CAP_ID_ARI),
	       ext_cap(PCI_EXT_CAP_ID_ERR), text);
}

static void patch_rom(void)
{
	unsigned char rom[512] = {}, sum = 0;
	unsigned int i;
	ssize_t size;

	size = pread(fd, rom, sizeof(rom), REGION(VFIO_PCI_ROM_REGION_INDEX));
	for (i = 0; i < sizeof(rom); i++)
		sum += rom[i];
	printf("ROM: %zd bytes, %02x%02x, entry %02x, sum %u\n", size, rom[0],
	       rom[1], rom[3], sum);
}

/* Find a region by its type */
static int find_region(__u32 type, __u32 subtype, __u64 *offset)
{
	struct vfio_device_info device_info = { .argsz = sizeof(device_info) };
	struct vfio_region_info_cap_type *cap;
	struct vfio_region_info *info;
	char buf[4096];
	unsigned int i;

	ioctl(fd, VFIO_DEVICE_GET_INFO, &device_info);
	for (i = VFIO_PCI_NUM_REGIONS; i < device_info.num_regions; i++) {
		info = (void *)buf;
		info->argsz = sizeof(buf);
		info->index = i;
		if (ioctl(fd, VFIO_DEVICE_GET_REGION_INFO, info) || !info->cap_offset)
			continue;
		cap = (void *)(buf + info->cap_offset);
		if (cap->header.id == VFIO_REGION_INFO_CAP_TYPE &&
		    cap->type == type && cap->subtype == subtype) {
			*offset = info->offset;
			return 0;
		}
	}

	return -1;
}

static void map_window(void)
{
	__u32 bar, read = 0, mapped = 0;
	__u64 offset;
	__u32 *map;

	bar = get(WINDOW + RECEIVE_ADDRESS, 4);
	if (find_region(WINDOW_TYPE, WINDOW_SUBTYPE, &offset)) {
		printf("window: none\n");
		return;
	}
	VFIO_ASSERT_EQ(pread(fd, &read, 4, offset + RECEIVE_ADDRESS), 4);
	map = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, offset);
	if (map != MAP_FAILED)
		mapped = map[RECEIVE_ADDRESS / 4];
	printf("window: read %s, mapping %s, address %s\n",
	       read == bar ? "same" : "differs",
	       mapped == bar ? "same" : "differs", bar ? "set" : "empty");
	map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, offset);
	printf("window: writable mapping: %s\n",
	       map == MAP_FAILED ? strerror(errno) : "done");
}

int main(int argc, char *argv[])
{
	const char *bdf = vfio_selftests_get_bdf(&argc, argv);
	struct iommu *iommu = iommu_init(MODE_VFIO_TYPE1V2_IOMMU);
	struct vfio_pci_device *device = vfio_pci_device_init(bdf, iommu);
	char path[256];

	fd = device->fd;
	vfio_pci_cmd_set(device, PCI_COMMAND_MEMORY);
	if (get(CONFIG, 4) == 0x11e81234) {
		guard_factorial();
		signal_eventfd();
		migrate_register();
	} else {
		change_caps();
		patch_rom();
		map_window();
	}
	fflush(stdout);

	/* debugfs shows the region table only while the device is open */
	snprintf(path, sizeof(path), "cat /sys/kernel/debug/vfio/%s/pci/regions", bdf);
	system(path);

	vfio_pci_device_cleanup(device);
	iommu_cleanup(iommu);
	return 0;
}
