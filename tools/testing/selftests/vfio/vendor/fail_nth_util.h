/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Fail the nth next allocation of this thread.  Needs CONFIG_FAULT_INJECTION
 * and CONFIG_FAILSLAB.
 */
#ifndef SELFTESTS_VFIO_FAIL_NTH_UTIL_H
#define SELFTESTS_VFIO_FAIL_NTH_UTIL_H

#include <stdbool.h>

/* Enable fault injection for all allocations; return an fd for the calls below */
int nth_open(void);
void nth_fail(int nth_fd, unsigned int nth);
/*
 * Check whether an allocation failed, and cancel the failure otherwise.  The
 * failed allocation may be in this call itself.
 */
bool nth_has_failed(int nth_fd);

#endif
