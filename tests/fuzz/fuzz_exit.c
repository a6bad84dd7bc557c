/* SPDX-License-Identifier: MIT */
/*
 * fuzz_exit - whatever nodes send through an exit: filter, libslirp, echo
 *
 * The input is messages of the seam, each behind its length (two bytes); a length of
 * 0xffff is a turn of the loop. It runs in a network of its own, where there is nothing
 * but loopback, which exit.allow opens.
 *
 * Held: what goes back is a whole IP packet for the node it is addressed to, from no
 * address that is closed but the exit's own or libslirp's; the sockets stay within their
 * limit.
 */
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "servers/exit/net.h"
#include "servers/exit/seam.h"

#define SOCKETS 8
#define TURN	0xffff

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct net_conf conf = {.sockets = SOCKETS, .mtu = 1416};

static void put_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd >= 0) {
		(void)!write(fd, text, strlen(text));
		close(fd);
	}
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	struct ifreq lo = {.ifr_name = "lo", .ifr_flags = IFF_UP};
	unsigned int uid = getuid(), gid = getgid();
	char map[32];
	int fd;

	(void)argc;
	(void)argv;
	signal(SIGPIPE, SIG_IGN);
	/* without a network of our own nothing but the filter is tried */
	if (!unshare(CLONE_NEWUSER | CLONE_NEWNET)) {
		put_text("/proc/self/setgroups", "deny");
		snprintf(map, sizeof(map), "0 %u 1", uid);
		put_text("/proc/self/uid_map", map);
		snprintf(map, sizeof(map), "0 %u 1", gid);
		put_text("/proc/self/gid_map", map);
		put_text("/proc/sys/net/ipv4/ping_group_range", "0 0");
		fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		if (fd >= 0) {
			(void)!ioctl(fd, SIOCSIFFLAGS, &lo);
			close(fd);
		}
		if (filter_list_parse("127.0.0.1, ::1", &conf.filter.allow))
			abort();
	}
	if (filter_ports_parse("25", &conf.filter) ||
	    filter_list_parse("127.0.0.1, ::1", &conf.filter.own))
		abort();
	return 0;
}

/* everything that comes back */
static void look(int fd)
{
	static uint8_t msg[sizeof(struct virtio_net_hdr) + SEAM_PACKET_MAX];
	struct inner in;
	ssize_t n;

	while ((n = read(fd, msg, sizeof(msg))) > 0) {
		const uint8_t *pkt = msg + sizeof(struct virtio_net_hdr);

		if (n <= (ssize_t)sizeof(struct virtio_net_hdr) ||
		    inner_parse(pkt, (size_t)n - sizeof(struct virtio_net_hdr),
				&in) ||
		    in.len != (size_t)n - sizeof(struct virtio_net_hdr))
			abort();
		if (in.version == 4 && in.src[0] != 127 && in.src[0] != 198 &&
		    in.src[0] != 192)
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct seam_control self = {.mark = SEAM_CONTROL,
				    .op = SEAM_SELF,
				    .slice_len = 15,
				    .vip4 = {198, 18, 0, 1},
				    .vip6 = {0xfd, 0x6e, [15] = 1}};
	struct net_stats stats = {0};
	struct net *net;
	int worker, fd;

	if (seam_pair(&worker, &fd))
		return 0;
	if (net_new(&conf, fd, &stats, &net))
		abort();
	net_message(net, (uint8_t *)&self, sizeof(self));
	while (size >= 2) {
		size_t len = (size_t)data[0] << 8 | data[1];
		uint8_t *msg;

		data += 2;
		size -= 2;
		if (len == TURN) {
			if (net_turn(net, 0))
				abort();
			look(worker);
			continue;
		}
		len = len < size ? len : size;
		msg = malloc(len ? len : 1);
		if (!msg)
			abort();
		memcpy(msg, data, len);
		net_message(net, msg, len);
		free(msg);
		data += len;
		size -= len;
	}
	if (net_turn(net, 0))
		abort();
	look(worker);
	/* IPv4 and IPv6 of a node count apart */
	if (stats.sockets > (uint64_t)SOCKETS * (stats.nodes + 1))
		abort();
	net_free(net);
	close(worker);
	return 0;
}
