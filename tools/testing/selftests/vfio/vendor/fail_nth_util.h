/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Fail the nth next allocation of this thread.  Needs CONFIG_FAULT_INJECTION
 * and CONFIG_FAILSLAB.
 */
#ifndef SELFTESTS_VFIO_FAIL_NTH_UTIL_H
#define SELFTESTS_VFIO_FAIL_NTH_UTIL_H

#include <stdbool.h>

/*
 * Functions of the kernel that do not survive a failure.  When a device is bound,
 * the error path of vfio_create_group() warns about an uninitialized device.  When a
 * device is opened or closed, a failure in ACPICA leads to a use after free at the
 * next evaluation of _PRT.
 */
#define NTH_EXCLUDE_BIND	"vfio_create_group"
#define NTH_EXCLUDE_OPEN	"acpi_pci_irq_lookup"

/*
 * Enable fault injection for all allocations, except those in the function
 * @exclude; return an fd for the calls below
 */
int nth_open(const char *exclude);
void nth_fail(int nth_fd, unsigned int nth);
/*
 * Check whether an allocation failed, and cancel the failure otherwise.  The
 * failed allocation may be in this call itself.
 */
bool nth_has_failed(int nth_fd);

#endif
