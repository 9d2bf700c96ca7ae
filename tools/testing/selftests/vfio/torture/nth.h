/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Let one allocation of this thread fail, the nth from now on.  Needs
 * CONFIG_FAULT_INJECTION and CONFIG_FAILSLAB.
 */
#ifndef SELFTESTS_VFIO_NTH_H
#define SELFTESTS_VFIO_NTH_H

#include <stdbool.h>

/* Have any allocation be one that can fail; what the others are called with */
int nth_open(void);
void nth_fail(int nth_fd, unsigned int nth);
/*
 * Whether the allocation was there to fail; none does from here on.  What was
 * not there may be the one of this read.
 */
bool nth_has_failed(int nth_fd);

#endif
