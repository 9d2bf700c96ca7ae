// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <sys/socket.h>

#include "traffic.h"

#define SECOND		UINT64_C(1000000000)
/* A prime, so that no two pages or packets with data are equal */
#define PATTERN		65521
#define PIECE		1400
/* A slow program must lose no datagram */
#define RECEIVE_BUFFER	(8 << 20)
/* Datagrams that the other end may not have received; the smallest receive ring has 256 */
#define WINDOW		64
/* Send a datagram at least once in this time */
#define PROBE		(SECOND / 10)
/* Receive at most this many pieces before sending the next one */
#define TURN		8
/* No datagram comes later than this after the end of the stream */
#define DRAIN_MS	500

struct datagram {
	uint64_t number;
	uint64_t sent_ms;
	/* The next number that the sender expects from the receiver */
	uint64_t expected;
	uint8_t data[512];
};

static uint8_t pattern[PATTERN + PIECE];

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);

	return now.tv_sec * SECOND + now.tv_nsec;
}

noreturn void fail(const char *what)
{
	printf("wrong %s: %s\n", what, strerror(errno));
	exit(1);
}

static void pattern_init(void)
{
	uint32_t random = 1;

	for (int i = 0; i < PATTERN; i++) {
		random = random * 1664525 + 1013904223;
		pattern[i] = random >> 24;
	}
	memcpy(pattern + PATTERN, pattern, PIECE);
}

static const uint8_t *datagram_data(uint64_t number)
{
	return pattern + number * 61 % PATTERN;
}

int traffic_udp(const char *from, const char *to)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_port = htons(UDP_PORT),
		.sin_addr.s_addr = inet_addr(from),
	};
	int size = RECEIVE_BUFFER, udp = socket(AF_INET, SOCK_DGRAM, 0);

	if (setsockopt(udp, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)))
		fail("receive buffer");
	if (bind(udp, (struct sockaddr *)&address, sizeof(address)))
		fail("bind");
	address.sin_addr.s_addr = inet_addr(to);
	if (connect(udp, (struct sockaddr *)&address, sizeof(address)))
		fail("connect of UDP");

	return udp;
}

static void check_datagram(struct traffic *traffic, const struct datagram *datagram)
{
	uint64_t expected = traffic->received + traffic->lost;

	if (datagram->number < expected) {
		printf("wrong datagram: %" PRIu64 " after %" PRIu64 "\n", datagram->number, expected - 1);
		exit(1);
	}
	if (memcmp(datagram->data, datagram_data(datagram->number), sizeof(datagram->data))) {
		printf("wrong data in datagram %" PRIu64 "\n", datagram->number);
		exit(1);
	}
	if (datagram->number > expected) {
		printf("lost %" PRIu64 "-%" PRIu64 " sent %" PRIu64 "-%" PRIu64 "\n", expected,
		       datagram->number - 1, traffic->last_sent_ms, datagram->sent_ms);
		traffic->lost += datagram->number - expected;
	}
	traffic->received++;
	traffic->last_sent_ms = datagram->sent_ms;
	traffic->acked = datagram->expected;
}

static void receive_datagrams(struct traffic *traffic)
{
	struct datagram datagram;
	ssize_t size;

	for (int n = 0; n < TURN; n++) {
		size = recv(traffic->udp, &datagram, sizeof(datagram), MSG_DONTWAIT);
		if (size == sizeof(datagram)) {
			check_datagram(traffic, &datagram);
		} else if (size >= 0) {
			printf("wrong size of a datagram: %zd\n", size);
			exit(1);
		} else if (errno == EAGAIN) {
			break;
		} else if (errno != ECONNREFUSED) {
			/* ECONNREFUSED: the other end has no socket yet */
			fail("receive of a datagram");
		}
	}
}

static void send_datagram(struct traffic *traffic, uint64_t now)
{
	struct datagram datagram = {
		.number = traffic->sent,
		.sent_ms = now / 1000000,
		.expected = traffic->received + traffic->lost,
	};

	if (traffic->sent - traffic->acked >= WINDOW && now < traffic->last_sent + PROBE)
		return;
	traffic->last_sent = now;
	memcpy(datagram.data, datagram_data(datagram.number), sizeof(datagram.data));
	if (send(traffic->udp, &datagram, sizeof(datagram), MSG_DONTWAIT) == sizeof(datagram))
		traffic->sent++;
	else if (errno != EAGAIN && errno != ECONNREFUSED)
		fail("send of a datagram");
}

static void receive_stream(struct traffic *traffic)
{
	uint8_t data[PIECE];
	ssize_t size;

	for (int n = 0; n < TURN; n++) {
		size = recv(traffic->tcp, data, sizeof(data), MSG_DONTWAIT);
		if (size <= 0)
			break;
		if (memcmp(data, pattern + traffic->stream_received % PATTERN, size)) {
			printf("wrong data in the stream after %" PRIu64 " bytes\n", traffic->stream_received);
			exit(1);
		}
		traffic->stream_received += size;
	}
	if (!size)
		traffic->ended = true;
	else if (size < 0 && errno != EAGAIN)
		fail("receive of the stream");
}

static void send_stream(struct traffic *traffic)
{
	ssize_t size;

	size = send(traffic->tcp, pattern + traffic->stream_sent % PATTERN, PIECE,
		    MSG_DONTWAIT | MSG_NOSIGNAL);
	if (size > 0)
		traffic->stream_sent += size;
	else if (errno != EAGAIN)
		fail("send of the stream");
}

static void print_round(const struct traffic *traffic, unsigned int round)
{
	printf("round %u received %" PRIu64 " lost %" PRIu64 " stream %" PRIu64 "\n", round,
	       traffic->received, traffic->lost, traffic->stream_received);
}

void traffic_run(struct traffic *traffic)
{
	uint64_t period = traffic->rate ? SECOND / traffic->rate : 0;
	uint64_t next_send = now_ns(), next_round = next_send;
	unsigned int round = 0;
	struct pollfd fds[] = {
		{ .fd = traffic->udp, .events = POLLIN },
		{ .fd = traffic->tcp, .events = POLLIN },
	};

	pattern_init();
	while (!traffic->ended) {
		uint64_t now = now_ns();

		if (!traffic->ending && now >= next_send) {
			send_datagram(traffic, now);
			send_stream(traffic);
			next_send += period;
			/* Make up for at most a second */
			if (next_send + SECOND < now)
				next_send = now;
		}
		if (now >= next_round) {
			print_round(traffic, round++);
			next_round += SECOND;
		}
		if (!traffic->ending && traffic->stop && *traffic->stop) {
			shutdown(traffic->tcp, SHUT_WR);
			traffic->ending = true;
		}
		now = now_ns();
		if (traffic->ending)
			next_send = next_round;
		poll(fds, 2, next_send <= now ? 0 : (next_send - now) / 1000000 + 1);
		receive_datagrams(traffic);
		receive_stream(traffic);
	}
	shutdown(traffic->tcp, SHUT_WR);
	while (poll(fds, 1, DRAIN_MS) > 0)
		receive_datagrams(traffic);
	printf("total sent %" PRIu64 " received %" PRIu64 " lost %" PRIu64 " stream-sent %" PRIu64
	       " stream-received %" PRIu64 "\n", traffic->sent, traffic->received, traffic->lost,
	       traffic->stream_sent, traffic->stream_received);
}
