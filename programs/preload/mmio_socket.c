// SPDX-License-Identifier: GPL-2.0-only
/*
 * Preload this library into a userspace driver, to move the driver from one vfio device
 * to another. The driver needs no change.
 *
 * The library does not map region 0 (BAR0) of vfio devices, so each access faults. The
 * signal handler asks the process at the other end of MMIO_SOCKET for the file of the
 * current device, accesses the register by this file, and reports the end of the access.
 * The other process can so delay an access, or redirect it to another device. A VMM does
 * the same for a guest. One device is supported, and only accesses of 32 bits by a mov
 * instruction, which compilers emit for volatile variables.
 */
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>
#include <unistd.h>

#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <linux/vfio.h>

/* The offset of a region in the file of the device is its index, shifted */
#define OFFSET_MASK	((1ull << 40) - 1)

static const int registers[] = {
	REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
	REG_R8, REG_R9, REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15,
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static uintptr_t base;
static size_t size;

static void die(const char *why)
{
	fprintf(stderr, "mmio_socket: %s\n", why);
	abort();
}

/* Get the file of the current device */
static int receive_file(int from)
{
	union {
		char buffer[CMSG_SPACE(sizeof(int))];
		struct cmsghdr header;
	} control;
	char byte;
	struct iovec data = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr message = {
		.msg_iov = &data,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *header;
	int fd;

	if (recvmsg(from, &message, MSG_CMSG_CLOEXEC) != 1)
		return -1;
	header = CMSG_FIRSTHDR(&message);
	if (!header || header->cmsg_type != SCM_RIGHTS)
		return -1;
	memcpy(&fd, CMSG_DATA(header), sizeof(fd));

	return fd;
}

/* Access a register of the current device */
static void access_register(bool write, uint32_t offset, uint32_t *value)
{
	int to = atoi(getenv("MMIO_SOCKET") ?: "-1");
	ssize_t done;
	int fd;

	pthread_mutex_lock(&lock);
	if (send(to, "r", 1, MSG_NOSIGNAL) != 1)
		die("the process that serves MMIO_SOCKET is gone");
	fd = receive_file(to);
	if (fd < 0)
		die("the process that serves MMIO_SOCKET gives no file");
	done = write ? pwrite(fd, value, sizeof(*value), offset) :
		       pread(fd, value, sizeof(*value), offset);
	if (done != sizeof(*value))
		die("cannot access a register");
	close(fd);
	if (send(to, "d", 1, MSG_NOSIGNAL) != 1)
		die("the process that serves MMIO_SOCKET is gone");
	pthread_mutex_unlock(&lock);
}

/* Get the length of the operands: ModRM, SIB and the displacement */
static size_t operand_length(const uint8_t *modrm)
{
	unsigned int mod = modrm[0] >> 6, rm = modrm[0] & 7;
	size_t length = 1;

	if (rm == 4) {
		length++;
		if (mod == 0 && (modrm[1] & 7) == 5)
			length += 4;
	}
	if (mod == 1)
		length++;
	else if (mod == 2 || (mod == 0 && rm == 5))
		length += 4;

	return length;
}

/* Execute the instruction that accesses a register of the device */
static void emulate(greg_t *regs, uint32_t offset)
{
	const uint8_t *ip = (const uint8_t *)regs[REG_RIP];
	unsigned int rex = 0, opcode, reg;
	uint32_t value;

	if ((*ip & 0xf0) == 0x40)
		rex = *ip++;
	opcode = *ip++;
	reg = registers[(*ip >> 3 & 7) | (rex & 4) << 1];
	ip += operand_length(ip);

	if (rex & 8)
		die("an access of 64 bits");
	switch (opcode) {
	case 0x8b:
		access_register(false, offset, &value);
		regs[reg] = value;
		break;
	case 0x89:
		value = regs[reg];
		access_register(true, offset, &value);
		break;
	case 0xc7:
		memcpy(&value, ip, sizeof(value));
		ip += sizeof(value);
		access_register(true, offset, &value);
		break;
	default:
		die("an unknown instruction accesses a register");
	}
	regs[REG_RIP] = (greg_t)ip;
}

static void on_fault(int signal, siginfo_t *info, void *context)
{
	uintptr_t address = (uintptr_t)info->si_addr;
	ucontext_t *state = context;

	if (address - base < size)
		emulate(state->uc_mcontext.gregs, address - base);
	else
		/* Not ours: the instruction faults again */
		sigaction(SIGSEGV, &(struct sigaction){ .sa_handler = SIG_DFL }, NULL);
}

/* Take the place of a mapping of BAR0 */
static void take(uintptr_t start, int fd)
{
	struct vfio_region_info info = { .argsz = sizeof(info) };
	struct sigaction action = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_NODEFER };

	if (base && base != start)
		die("a second device");
	if (ioctl(fd, VFIO_DEVICE_GET_REGION_INFO, &info) ||
	    sigaction(SIGSEGV, &action, NULL))
		die("cannot replace the mapping of BAR0");
	base = start;
	size = info.size;
}

static bool is_vfio_device(int fd)
{
	char path[32], name[64] = "";

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);

	return fd >= 0 && readlink(path, name, sizeof(name) - 1) > 0 &&
	       strstr(name, "[vfio-device]");
}

void *mmap(void *address, size_t length, int prot, int flags, int fd, off_t offset)
{
	bool taken = offset <= OFFSET_MASK && is_vfio_device(fd);
	void *start;

	if (taken)
		start = (void *)syscall(SYS_mmap, address, length, PROT_NONE,
					MAP_PRIVATE | MAP_ANONYMOUS | (flags & MAP_FIXED), -1, 0);
	else
		start = (void *)syscall(SYS_mmap, address, length, prot, flags, fd, offset);
	if (taken && start != MAP_FAILED)
		take((uintptr_t)start - offset, fd);

	return start;
}

void *mmap64(void *address, size_t length, int prot, int flags, int fd, off_t offset)
	__attribute__((alias("mmap")));
