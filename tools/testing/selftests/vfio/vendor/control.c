// SPDX-License-Identifier: GPL-2.0-only
/*
 * Helpers for tests that load and unload the module, bind and open devices, and
 * remove devices while they are open.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "need.h"
#include "testdrv.h"

int put_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);
	int ret = 0;

	if (fd < 0)
		return errno;
	if (write(fd, text, strlen(text)) < 0)
		ret = errno;
	close(fd);

	return ret;
}

bool run_modprobe(const char *args)
{
	int status;
	pid_t pid;

	pid = fork();
	VFIO_ASSERT_GE(pid, 0);
	if (!pid) {
		execlp("sh", "sh", "-c", "exec modprobe $1 2>/dev/null", "sh", args, NULL);
		_exit(127);
	}
	VFIO_ASSERT_EQ(waitpid(pid, &status, 0), pid);

	return !status;
}

bool module_is_loaded(const char *module)
{
	char path[PATH_MAX];

	snprintf_assert(path, sizeof(path), "/sys/module/%s", module);

	return !access(path, F_OK);
}

void testdrv_begin(void)
{
	char ids[32];

	need_no_samples();
	/* A VF has the vendor of its PF, and another device id */
	snprintf_assert(ids, sizeof(ids), "ids=%x:ffffffff", device_id(device_bdf, "vendor"));
	need_loaded("vfio_pci_testdrv", ids, "CONFIG_VFIO_PCI_TEST_DRIVERS", &device_bdf, 1);
	bind_device(device_bdf);
}

bool testdrv_try_load(const char *ids)
{
	char args[256];

	snprintf_assert(args, sizeof(args), "vfio_pci_testdrv ids=%s", ids);

	return run_modprobe(args);
}

void testdrv_load(const char *ids)
{
	VFIO_ASSERT_TRUE(testdrv_try_load(ids), "loading vfio_pci_testdrv failed\n");
}

int testdrv_unload(void)
{
	return syscall(SYS_delete_module, "vfio_pci_testdrv", O_NONBLOCK) ? errno : 0;
}

const char *device_file(const char *bdf, const char *file)
{
	static char path[PATH_MAX];

	snprintf_assert(path, sizeof(path), "/sys/bus/pci/devices/%s/%s", bdf, file);

	return path;
}

const char *line_of(const char *path)
{
	static char line[256];
	FILE *file = fopen(path, "r");

	line[0] = 0;
	if (file) {
		if (!fgets(line, sizeof(line), file))
			line[0] = 0;
		fclose(file);
	}
	line[strcspn(line, "\n")] = 0;

	return line;
}

unsigned int device_id(const char *bdf, const char *file)
{
	FILE *stream = fopen(device_file(bdf, file), "r");
	unsigned int id;
	int ret;

	VFIO_ASSERT_NOT_NULL(stream, "%s has no file %s\n", bdf, file);
	ret = fscanf(stream, "%x", &id);
	VFIO_ASSERT_EQ(ret, 1);
	fclose(stream);

	return id;
}

bool device_exists(const char *bdf)
{
	return !access(device_file(bdf, ""), F_OK);
}

bool device_is_bound(const char *bdf)
{
	char *driver = sysfs_driver_get(bdf);
	bool bound = driver && !strcmp(driver, "vfio-pci");

	free(driver);

	return bound;
}

int put_device(const char *bdf, const char *file, const char *text)
{
	return put_text(device_file(bdf, file), text);
}

void read_bars(const char *bdf, u32 bars[PCI_STD_NUM_BARS])
{
	const ssize_t size = PCI_STD_NUM_BARS * sizeof(*bars);
	int fd = open(device_file(bdf, "config"), O_RDONLY);

	VFIO_ASSERT_GE(fd, 0);
	VFIO_ASSERT_EQ(pread(fd, bars, size, PCI_BASE_ADDRESS_0), size);
	close(fd);
}

void bind_device(const char *bdf)
{
	if (!device_exists(bdf))
		put_text("/sys/bus/pci/rescan", "1");
	VFIO_ASSERT_TRUE(device_exists(bdf), "%s does not exist\n", bdf);
	if (device_is_bound(bdf))
		return;
	VFIO_ASSERT_EQ(put_device(bdf, "driver_override", "vfio-pci"), 0);
	VFIO_ASSERT_EQ(put_text("/sys/bus/pci/drivers_probe", bdf), 0);
	VFIO_ASSERT_TRUE(device_is_bound(bdf), "binding %s to vfio-pci failed, see dmesg\n", bdf);
}

void unbind_device(const char *bdf)
{
	if (device_exists(bdf) && device_is_bound(bdf))
		VFIO_ASSERT_EQ(put_device(bdf, "driver/unbind", bdf), 0);
}

struct vfio_pci_device *open_bare(struct iommu *iommu, const char *bdf,
				  const char *token, int *ret)
{
	struct vfio_pci_device *device = vfio_pci_device_alloc(bdf, iommu);

	if (iommu->mode->container_path) {
		vfio_pci_group_setup(device, bdf);
		vfio_container_set_iommu(device);
		__vfio_pci_group_get_device_fd(device, bdf, token);
		*ret = device->fd < 0 ? errno : 0;
	} else {
		vfio_pci_cdev_open(device, bdf);
		*ret = -__vfio_device_bind_iommufd(device->fd, iommu->iommufd, token);
	}
	if (*ret) {
		close_bare(device);
		return NULL;
	}

	/* libvfio uses this offset for config space */
	device->config_space.offset = region_offset(VFIO_PCI_CONFIG_REGION_INDEX);

	return device;
}

void close_bare(struct vfio_pci_device *device)
{
	if (device->fd >= 0)
		VFIO_ASSERT_EQ(close(device->fd), 0);
	if (device->group_fd)
		VFIO_ASSERT_EQ(close(device->group_fd), 0);
	vfio_pci_device_free(device);
}

char *read_regions(const char *bdf)
{
	size_t size = 0, room = 1 << 20;
	char path[PATH_MAX], *text;
	ssize_t ret;
	int fd;

	snprintf_assert(path, sizeof(path), "/sys/kernel/debug/vfio/%s/pci/regions", bdf);
	fd = open(path, O_RDONLY);
	if (fd < 0)
		return NULL;
	text = calloc_assert(1, room);
	/* One read() returns at most a page of a seq_file */
	while ((ret = read(fd, text + size, room - size - 1)) > 0)
		size += ret;
	VFIO_ASSERT_EQ(ret, 0, "%s: %m\n", path);
	close(fd);

	return text;
}

bool regions_have(const char *bdf, const char *what)
{
	char *text = read_regions(bdf);
	bool found = text && strstr(text, what);

	free(text);

	return found;
}

int irq_eventfd(struct vfio_pci_device *device, u32 index)
{
	u8 buf[sizeof(struct vfio_irq_set) + sizeof(int)] = {};
	struct vfio_irq_set *irq = (void *)buf;
	int fd = eventfd(0, EFD_CLOEXEC);

	VFIO_ASSERT_GE(fd, 0);
	irq->argsz = sizeof(buf);
	irq->flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER;
	irq->index = index;
	irq->count = 1;
	memcpy(irq->data, &fd, sizeof(fd));
	ioctl_assert(device->fd, VFIO_DEVICE_SET_IRQS, irq);

	return fd;
}

bool is_requested(int fd, int timeout_ms)
{
	struct pollfd pollfd = { .fd = fd, .events = POLLIN };

	return poll(&pollfd, 1, timeout_ms) == 1;
}

/*
 * Write in another process that shares no file with the test.  If the test fails
 * and exits, the device closes, and a blocked writer can continue.
 */
void writer_start(struct writer *writer, const char *path, const char *text)
{
	writer->pid = fork();
	VFIO_ASSERT_GE(writer->pid, 0);
	if (!writer->pid) {
		close_range(STDERR_FILENO + 1, ~0U, 0);
		execlp("sh", "sh", "-c", "printf %s \"$1\" >\"$2\"", "sh", text, path, NULL);
		_exit(127);
	}
	writer->status = -1;
}

bool writer_waits(struct writer *writer)
{
	usleep(150000);

	return !waitpid(writer->pid, &writer->status, WNOHANG);
}

int writer_join(struct writer *writer)
{
	VFIO_ASSERT_EQ(waitpid(writer->pid, &writer->status, 0), writer->pid);

	return writer->status;
}
