// SPDX-License-Identifier: GPL-2.0-only
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include <sys/syscall.h>
#include <sys/wait.h>

#include "need.h"
#include "testdrv.h"

#define ENABLE_SRIOV	"/sys/module/vfio_pci/parameters/enable_sriov"
#define FAILSLAB	"/sys/kernel/debug/failslab/"

const char *need_bdf(int *argc, char *argv[])
{
	int given;

	return need_bdfs(argc, argv, 1, "one device", &given)[0];
}

char **need_bdfs(int *argc, char *argv[], int nr, const char *devices, int *given)
{
	char **bdfs;

	if (*argc < 2 && !getenv("VFIO_SELFTESTS_BDF"))
		ksft_exit_skip("no device: set VFIO_SELFTESTS_BDF or use scripts/run.sh\n");

	bdfs = vfio_selftests_get_bdfs(argc, argv, given);
	if (*given < nr)
		ksft_exit_skip("needs %s as arguments\n", devices);

	return bdfs;
}

static void need_device(const char *bdf, unsigned int vendor, unsigned int device,
			const char *name)
{
	if (device_id(bdf, "vendor") != vendor || device_id(bdf, "device") != device)
		ksft_exit_skip("%s is not QEMU's %s\n", bdf, name);
}

void need_edu(const char *bdf)
{
	need_device(bdf, 0x1234, 0x11e8, "edu");
}

void need_igb(const char *bdf)
{
	need_device(bdf, 0x8086, 0x10c9, "igb");
}

void need_file(const char *path, const char *what)
{
	if (access(path, F_OK))
		ksft_exit_skip("%s does not exist; needs %s\n", path, what);
}

void need_debugfs(void)
{
	need_file("/sys/kernel/debug/vfio", "CONFIG_VFIO_DEBUGFS and a mounted debugfs");
}

void need_fail_nth(void)
{
	need_file("/proc/self/fail-nth", "CONFIG_FAULT_INJECTION");
	need_file(FAILSLAB "verbose", "CONFIG_FAILSLAB and CONFIG_FAULT_INJECTION_DEBUG_FS");
	need_file(FAILSLAB "reject-start", "CONFIG_FAULT_INJECTION_STACKTRACE_FILTER");
}

void need_events(const char *events)
{
	if (!getenv("VFIO_SELFTESTS_EVENTS"))
		ksft_exit_skip("needs a caller that sets VFIO_SELFTESTS_EVENTS and executes: %s\n",
			       events);
}

void need_module(const char *module, const char *option)
{
	char args[128];

	snprintf_assert(args, sizeof(args), "-n %s", module);
	if (!module_is_loaded(module) && !run_modprobe(args))
		ksft_exit_skip("the kernel has no module %s (%s)\n", module, option);
}

void at_end(void (*end)(void))
{
	int status;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	VFIO_ASSERT_GE(pid, 0);
	if (!pid)
		return;

	/* A timeout ends the child, but not this process */
	signal(SIGTERM, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	VFIO_ASSERT_EQ(waitpid(pid, &status, 0), pid);
	end();
	_exit(WIFEXITED(status) ? WEXITSTATUS(status) : KSFT_FAIL);
}

/* The last call of need_loaded() */
static struct {
	const char *module;
	const char * const *bdfs;
	int nr;
} loaded;

static void unload(void)
{
	int i;

	for (i = 0; i < loaded.nr; i++)
		unbind_device(loaded.bdfs[i]);
	syscall(SYS_delete_module, loaded.module, O_NONBLOCK);
	for (i = 0; i < loaded.nr; i++)
		bind_device(loaded.bdfs[i]);
}

void need_loaded(const char *module, const char *parameters, const char *option,
		 const char * const *bdfs, int nr)
{
	char args[512];
	bool ok;
	int i;

	if (module_is_loaded(module))
		return;
	need_module(module, option);

	for (i = 0; i < nr; i++)
		unbind_device(bdfs[i]);
	snprintf_assert(args, sizeof(args), "%s %s", module, parameters ?: "");
	ok = run_modprobe(args);
	for (i = 0; i < nr; i++)
		bind_device(bdfs[i]);
	if (!ok)
		ksft_exit_skip("loading the module %s failed; see dmesg\n", module);

	loaded.module = module;
	loaded.bdfs = bdfs;
	loaded.nr = nr;
	at_end(unload);
}

static void forbid_vfs(void)
{
	put_text(ENABLE_SRIOV, "N");
}

void need_vfs(void)
{
	need_file(ENABLE_SRIOV, "CONFIG_PCI_IOV");
	if (*line_of(ENABLE_SRIOV) == 'Y')
		return;
	VFIO_ASSERT_EQ(put_text(ENABLE_SRIOV, "Y"), 0);
	at_end(forbid_vfs);
}

void need_no_samples(void)
{
	if (module_is_loaded("vfio_pci_edu") || module_is_loaded("vfio_pci_edu_migration"))
		ksft_exit_skip("blacklist and unload vfio_pci_edu and vfio_pci_edu_migration\n");
}
