/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The traffic between a guest and its peer, the same at both ends: numbered UDP
 * datagrams, and a TCP stream in each direction. Each end prints
 *
 *     round N received R lost L stream S   each second; R and L are datagrams, S is bytes
 *     lost A-B sent T-U                    datagrams A to B did not arrive; their sender
 *                                          sent the ones before and after them at T and U
 *                                          milliseconds of its CLOCK_MONOTONIC
 *     wrong ...                            a datagram came twice or late, or data differ
 *     total sent N received R lost L stream-sent S stream-received T
 */
#ifndef TRAFFIC_H
#define TRAFFIC_H

#include <stdbool.h>
#include <stdint.h>
#include <stdnoreturn.h>

#define PEER_ADDRESS	"10.0.0.1"
#define GUEST_ADDRESS	"10.0.0.2"
#define NETMASK		"255.255.255.0"
#define UDP_PORT	5000
#define TCP_PORT	5001

struct traffic {
	int udp;
	int tcp;
	/* Datagrams and pieces of the stream per second, or 0 for no limit */
	unsigned int rate;
	/* End the traffic when this becomes true, or when the other end does; may be NULL */
	const volatile bool *stop;

	/* private: */
	uint64_t sent;
	/* Time of the last datagram in ns, and the first number without an acknowledgment */
	uint64_t last_sent;
	uint64_t acked;
	uint64_t received;
	uint64_t lost;
	/* The time in the last datagram that was received */
	uint64_t last_sent_ms;
	uint64_t stream_sent;
	uint64_t stream_received;
	bool ending;
	bool ended;
};

/* Open a UDP socket from one address to the other */
int traffic_udp(const char *from, const char *to);

/* Exchange traffic until both ends have ended; exit with status 1 on an error */
void traffic_run(struct traffic *traffic);

/* Print a line "wrong ..." with errno, and exit with status 1 */
noreturn void fail(const char *what);

#endif
