/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Requirements of a test program.  If one is missing, the functions print the
 * reason and end the program with KSFT_SKIP.  Call them before the first test.
 */
#ifndef SELFTESTS_VFIO_NEED_H
#define SELFTESTS_VFIO_NEED_H

/* Return one device, or @nr or more, from the command line or the environment */
const char *need_bdf(int *argc, char *argv[]);
char **need_bdfs(int *argc, char *argv[], int nr, const char *devices, int *given);

/* Devices of QEMU */
void need_edu(const char *bdf);
void need_igb(const char *bdf);

/* A file that exists only with @what, such as an option of the kernel */
void need_file(const char *path, const char *what);
/* vfio's folder in debugfs */
void need_debugfs(void);
/* Fault injection for nth_open() */
void need_fail_nth(void);
/*
 * A caller that executes the events that the program prints, such as "inject DLP"
 * or "unplug", and sets VFIO_SELFTESTS_EVENTS.
 */
void need_events(const char *events);

/*
 * Continue the program in a child process.  When the child has ended and closed its
 * devices, the parent calls @end, and exits with the status of the child.
 */
void at_end(void (*end)(void));

/* A module of the kernel, loaded or not */
void need_module(const char *module, const char *option);
/*
 * Load a module with parameters or NULL, and bind the devices again.  Do nothing if
 * the module is loaded; otherwise unload it when the program exits.
 */
void need_loaded(const char *module, const char *parameters, const char *option,
		 const char * const *bdfs, int nr);
/* VFs of devices that are bound to vfio-pci, until the program exits */
void need_vfs(void);
/* Sample drivers override the registers that the tests use */
void need_no_samples(void);

#endif
