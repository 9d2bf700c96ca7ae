// SPDX-License-Identifier: GPL-2.0-only
/* System calls that return -errno on error. */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>

#include <sys/ioctl.h>
#include <sys/syscall.h>

#include "region_diff.h"

static sigjmp_buf fault_env;

long do_pread(int fd, void *buf, size_t n, u64 pos)
{
	long ret = syscall(SYS_pread64, fd, buf, n, pos);

	return ret < 0 ? -errno : ret;
}

long do_pwrite(int fd, const void *buf, size_t n, u64 pos)
{
	long ret = syscall(SYS_pwrite64, fd, buf, n, pos);

	return ret < 0 ? -errno : ret;
}

long do_ioctl(int fd, unsigned long request, void *arg)
{
	long ret = ioctl(fd, request, arg);

	return ret < 0 ? -errno : ret;
}

/* A vfio device file cannot seek, but fdinfo shows its position */
long file_position(int fd)
{
	char path[64], line[128];
	long pos = -ENOENT;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	f = fopen(path, "r");
	VFIO_ASSERT_NOT_NULL(f);
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "pos: %ld", &pos) == 1)
			break;
	fclose(f);
	return pos;
}

static void on_fault(int sig)
{
	siglongjmp(fault_env, sig);
}

/* Return the signal that @fn raised, or 0 */
int catch_faults(void (*fn)(void *), void *arg)
{
	struct sigaction act = { .sa_handler = on_fault };
	struct sigaction old_bus, old_segv;
	int sig;

	sigaction(SIGBUS, &act, &old_bus);
	sigaction(SIGSEGV, &act, &old_segv);
	sig = sigsetjmp(fault_env, 1);
	if (!sig)
		fn(arg);
	sigaction(SIGBUS, &old_bus, NULL);
	sigaction(SIGSEGV, &old_segv, NULL);
	return sig;
}
