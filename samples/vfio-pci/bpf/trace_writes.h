/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef TRACE_WRITES_H
#define TRACE_WRITES_H

/* An entry of the ring buffer "writes" */
struct write_event {
	unsigned long long	time;	/* nanoseconds since boot */
	unsigned long long	pos;	/* byte offset in BAR 0 */
	unsigned long long	val;
	unsigned int		width;	/* bytes */
	int			ret;	/* 0, or the errno of the access */
};

#endif /* TRACE_WRITES_H */
