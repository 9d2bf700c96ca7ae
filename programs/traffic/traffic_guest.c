// SPDX-License-Identifier: GPL-2.0-only
/*
 * The init of a nested guest: load igbvf, and exchange traffic with traffic_peer. The
 * kernel passes its parameter traffic_rate=N as a variable of the environment. Print to the
 * console
 *
 *     up       the interface has a link
 *     ...      the output of traffic.h
 *     done     the traffic has ended
 *
 * From "up" on, the console also has all messages of the kernel up to KERN_INFO.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/klog.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <linux/ethtool.h>
#include <linux/sockios.h>

#include "traffic.h"

#define INTERFACE	"eth0"
#define MODULE		"/igbvf.ko"
/* Print messages up to KERN_INFO */
#define SYSLOG_ACTION_CONSOLE_LEVEL	8
#define CONSOLE_LEVEL			7

static void load_module(void)
{
	int fd = open(MODULE, O_RDONLY);

	if (fd < 0 || syscall(SYS_finit_module, fd, "", 0))
		fail("module " MODULE);
	close(fd);
}

static void set_address(int fd, unsigned long request, const char *address)
{
	struct ifreq ifr = { .ifr_name = INTERFACE };
	struct sockaddr_in *in = (struct sockaddr_in *)&ifr.ifr_addr;

	in->sin_family = AF_INET;
	in->sin_addr.s_addr = inet_addr(address);
	if (ioctl(fd, request, &ifr))
		fail("address");
}

/*
 * QEMU's igb writes the checksum of a packet into the memory of the guest. No NIC does so,
 * and no log of its DMA has these writes.
 */
static void disable_checksum_offload(int fd)
{
	struct ethtool_value value = { .cmd = ETHTOOL_STXCSUM };
	struct ifreq ifr = { .ifr_name = INTERFACE, .ifr_data = (char *)&value };

	if (ioctl(fd, SIOCETHTOOL, &ifr))
		fail("checksum offload");
}

static void bring_up(void)
{
	struct ifreq ifr = { .ifr_name = INTERFACE };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	disable_checksum_offload(fd);
	set_address(fd, SIOCSIFADDR, GUEST_ADDRESS);
	set_address(fd, SIOCSIFNETMASK, NETMASK);
	if (ioctl(fd, SIOCGIFFLAGS, &ifr))
		fail("interface " INTERFACE);
	ifr.ifr_flags |= IFF_UP;
	if (ioctl(fd, SIOCSIFFLAGS, &ifr))
		fail("interface " INTERFACE);
	do {
		usleep(100000);
		ioctl(fd, SIOCGIFFLAGS, &ifr);
	} while (!(ifr.ifr_flags & IFF_RUNNING));
	close(fd);
}

static int connect_to_peer(void)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_port = htons(TCP_PORT),
		.sin_addr.s_addr = inet_addr(PEER_ADDRESS),
	};
	int tcp;

	for (;;) {
		tcp = socket(AF_INET, SOCK_STREAM, 0);
		if (!connect(tcp, (struct sockaddr *)&address, sizeof(address)))
			return tcp;
		close(tcp);
		usleep(100000);
	}
}

int main(void)
{
	struct traffic traffic = {};
	const char *rate = getenv("traffic_rate");

	setvbuf(stdout, NULL, _IOLBF, 0);
	traffic.rate = rate ? atoi(rate) : 0;
	load_module();
	bring_up();
	printf("up\n");
	if (klogctl(SYSLOG_ACTION_CONSOLE_LEVEL, NULL, CONSOLE_LEVEL))
		fail("console level");
	traffic.udp = traffic_udp(GUEST_ADDRESS, PEER_ADDRESS);
	traffic.tcp = connect_to_peer();
	traffic_run(&traffic);
	printf("done\n");
	for (;;)
		pause();
}
