// SPDX-License-Identifier: GPL-2.0-only
/* Several files of one device, duplicates, and cdev files before BIND_IOMMUFD. */
#include <fcntl.h>

#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "region_diff.h"

static void use(const char *name, int fd)
{
	struct vfio_region_info info = { .argsz = sizeof(info) };
	u64 config = (u64)VFIO_PCI_CONFIG_REGION_INDEX << REGION_SHIFT;
	u8 buf[16];
	long ret;
	void *map;

	memset(buf, POISON, sizeof(buf));
	ret = do_pread(fd, buf, 4, config);
	say("%s: config read = %s %s", name, result(ret), data(buf, sizeof(buf)));
	ret = do_pwrite(fd, &subject.command, 2, config + PCI_COMMAND);
	say("%s: config write = %s", name, result(ret));
	ret = do_pread(fd, buf, 0, config);
	say("%s: empty read = %s", name, result(ret));
	ret = do_pread(fd, NULL, 0, 0x7fffffULL << REGION_SHIFT);
	say("%s: empty read far away = %s", name, result(ret));
	ret = do_pread(fd, buf, 4, 0);
	say("%s: read = %s", name, result(ret));
	ret = do_ioctl(fd, VFIO_DEVICE_GET_REGION_INFO, &info);
	say("%s: region_info = %s flags %#x size %#llx", name, result(ret), info.flags, info.size);
	map = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0);
	say("%s: mmap = %s", name, result(map == MAP_FAILED ? -errno : 0));
	if (map != MAP_FAILED)
		munmap(map, PAGE);
	map = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	say("%s: writable mmap = %s", name, result(map == MAP_FAILED ? -errno : 0));
	if (map != MAP_FAILED)
		munmap(map, PAGE);
}

static void copies(void)
{
	int a = dup(subject.fd);
	int b = fcntl(subject.fd, F_DUPFD_CLOEXEC, 100);
	pid_t child;

	use("dup", a);
	close(a);
	use("other dup", b);
	close(b);
	use("original", subject.fd);

	/* When the child exits, the parent's file must stay usable */
	fflush(stdout);
	child = fork();
	if (!child) {
		u8 buf[4];

		_exit(do_pread(subject.fd, buf, 4,
			       (u64)VFIO_PCI_CONFIG_REGION_INDEX << REGION_SHIFT) == 4 ? 0 : 1);
	}
	waitpid(child, (int *)&child, 0);
	say("child reads = %d", WEXITSTATUS(child));
	use("after the child", subject.fd);
}

static void group_files(void)
{
	int a = ioctl(subject.dev->group_fd, VFIO_GROUP_GET_DEVICE_FD, subject.bdf);
	int b = ioctl(subject.dev->group_fd, VFIO_GROUP_GET_DEVICE_FD, subject.bdf);

	use("second open", a);
	use("third open", b);
	close(a);
	use("third open, second closed", b);
	close(b);
	use("first open, others closed", subject.fd);
}

static void cdev_file(const char *name, int flags)
{
	const char *path = vfio_pci_get_cdev_path(subject.bdf);
	int fd = open(path, flags);

	say("%s: open = %s", name, fd < 0 ? result(-errno) : "fd");
	free((void *)path);
	if (fd < 0)
		return;
	use(name, fd);
	say("%s: bind = %s", name,
	    result(__vfio_device_bind_iommufd(fd, subject.iommu->iommufd, NULL)));
	use(name, fd);
	close(fd);
}

void stage_files(void)
{
	use("first open", subject.fd);
	copies();
	if (subject.cdev) {
		cdev_file("second cdev", O_RDWR);
		cdev_file("read-only cdev", O_RDONLY);
		cdev_file("write-only cdev", O_WRONLY);
		use("first cdev", subject.fd);
	} else {
		group_files();
	}
	use("closed", -1);
}
