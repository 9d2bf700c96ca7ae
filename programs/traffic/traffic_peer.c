// SPDX-License-Identifier: GPL-2.0-only
/*
 * traffic_peer RATE: wait for traffic_guest, and exchange traffic with it at RATE
 * datagrams and stream pieces per second (0: no limit). End on SIGTERM. The interface must have
 * PEER_ADDRESS.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include <arpa/inet.h>
#include <sys/socket.h>

#include "traffic.h"

static volatile bool stop;

static void on_signal(int signal)
{
	(void)signal;
	stop = true;
}

static int accept_guest(void)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_port = htons(TCP_PORT),
		.sin_addr.s_addr = inet_addr(PEER_ADDRESS),
	};
	int on = 1, tcp, listener = socket(AF_INET, SOCK_STREAM, 0);

	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(listener, (struct sockaddr *)&address, sizeof(address)) || listen(listener, 1))
		fail("listen");
	tcp = accept(listener, NULL, NULL);
	if (tcp < 0)
		fail("accept");

	return tcp;
}

int main(int argc, char **argv)
{
	struct traffic traffic = { .stop = &stop };
	struct sigaction action = { .sa_handler = on_signal };

	if (argc != 2) {
		fprintf(stderr, "usage: traffic_peer RATE\n");
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	traffic.rate = atoi(argv[1]);
	traffic.udp = traffic_udp(PEER_ADDRESS, GUEST_ADDRESS);
	sigaction(SIGTERM, &action, NULL);
	traffic.tcp = accept_guest();
	printf("connected\n");
	traffic_run(&traffic);

	return 0;
}
