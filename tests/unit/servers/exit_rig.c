/* SPDX-License-Identifier: MIT */
/* exit_rig - the exit's net process between a played node and hosts of this machine */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "broker/datapath/checksum.h"
#include "tests/unit/servers/exit_rig.h"

#define TURNS 400

const uint8_t rig_node4[4] = {198, 18, 0, 9};
const uint8_t rig_other4[4] = {198, 18, 0, 10};
const uint8_t rig_host4[4] = {127, 0, 0, 1};
const uint8_t rig_node6[16] = {0xfd, 0x6e, 1, 2, 3, 4, 5, 6, [15] = 9};
const uint8_t rig_host6[16] = {[15] = 1};

void rig_open(struct rig *r, unsigned int sockets)
{
	struct seam_control self = {
		.mark = SEAM_CONTROL, .op = SEAM_SELF, .slice_len = 15};
	struct net_conf conf = {.sockets = sockets, .mtu = RIG_MTU};
	int fd;

	memset(r, 0, sizeof(*r));
	assert_int_equal(filter_list_parse("127.0.0.1, ::1, 203.0.113.0/24",
					   &conf.filter.allow),
			 0);
	assert_int_equal(filter_list_parse("127.0.0.1, ::1", &conf.filter.own),
			 0);
	assert_int_equal(filter_ports_parse("25", &conf.filter), 0);
	assert_int_equal(seam_pair(&r->fd, &fd), 0);
	assert_int_equal(net_new(&conf, fd, &r->stats, &r->net), 0);
	memcpy(self.vip4, "\xc6\x12\x00\x01", 4);
	memcpy(self.vip6, rig_node6, 16);
	self.vip6[15] = 1;
	assert_int_equal(write(r->fd, &self, sizeof(self)), sizeof(self));
}

void rig_close(struct rig *r)
{
	net_free(r->net);
	close(r->fd);
}

/* --- the node's packets --------------------------------------------------------------- */

void ip_make(struct made *m, const void *src, const void *dst, bool six,
	     uint8_t proto, size_t l4_len)
{
	uint16_t sum;

	memset(m->b, 0, sizeof(m->b));
	if (six) {
		m->b[0] = 0x60;
		put16(m->b + 4, (uint32_t)l4_len);
		m->b[6] = proto;
		m->b[7] = 64;
		memcpy(m->b + 8, src, 16);
		memcpy(m->b + 24, dst, 16);
		m->len = 40 + l4_len;
		return;
	}
	m->b[0] = 0x45;
	put16(m->b + 2, (uint32_t)(20 + l4_len));
	m->b[8] = 64;
	m->b[9] = proto;
	memcpy(m->b + 12, src, 4);
	memcpy(m->b + 16, dst, 4);
	sum = (uint16_t)~checksum_fold(checksum_add(0, m->b, 20));
	memcpy(m->b + 10, &sum, 2);
	m->len = 20 + l4_len;
}

void rig_send(struct rig *r, const struct made *m)
{
	struct virtio_net_hdr vh = {.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM};
	struct iovec iov[2] = {{&vh, sizeof(vh)}, {(void *)m->b, m->len}};

	/* the checksum was left open, as a tunnel leaves it */
	assert_int_equal(writev(r->fd, iov, 2), sizeof(vh) + m->len);
}

void udp_make(struct made *m, bool six, const void *src, const void *dst,
	      uint16_t port, uint16_t to, const char *text)
{
	size_t n = strlen(text), at = six ? 40 : 20;

	ip_make(m, src, dst, six, IPPROTO_UDP, 8 + n);
	put16(m->b + at, port);
	put16(m->b + at + 2, to);
	put16(m->b + at + 4, (uint32_t)(8 + n));
	memcpy(m->b + at + 8, text, n);
}

void tcp_make(struct made *m, const void *src, const void *dst, uint16_t port,
	      uint16_t to, uint32_t seq, uint32_t ack, uint8_t flags,
	      const char *text)
{
	size_t n = strlen(text), head = flags & 2 ? 24 : 20;

	ip_make(m, src, dst, false, IPPROTO_TCP, head + n);
	put16(m->b + 20, port);
	put16(m->b + 22, to);
	put32(m->b + 24, seq);
	put32(m->b + 28, ack);
	m->b[32] = (uint8_t)(head / 4 << 4);
	m->b[33] = flags;
	put16(m->b + 34, 65535);
	if (flags & 2) {
		m->b[40] = 2;
		m->b[41] = 4;
		put16(m->b + 42, RIG_MTU - 40);
	}
	memcpy(m->b + 20 + head, text, n);
}

void echo_make(struct made *m, bool six, const void *src, const void *dst,
	       uint16_t id, uint16_t seq)
{
	size_t at = six ? 40 : 20;

	ip_make(m, src, dst, six, six ? IPPROTO_ICMPV6 : IPPROTO_ICMP, 16);
	m->b[at] = six ? 128 : 8;
	put16(m->b + at + 4, id);
	put16(m->b + at + 6, seq);
	memcpy(m->b + at + 8, "abcdefgh", 8);
}

/* --- what comes back --------------------------------------------------------------------- */

bool rig_next(struct rig *r)
{
	struct iovec iov[2] = {{&r->vh, sizeof(r->vh)},
			       {r->pkt, sizeof(r->pkt)}};

	for (int i = 0; i < TURNS; i++) {
		ssize_t n = readv(r->fd, iov, 2);

		if (n > (ssize_t)sizeof(r->vh)) {
			assert_int_equal(inner_parse(r->pkt,
						     (size_t)n - sizeof(r->vh),
						     &r->in),
					 0);
			return true;
		}
		assert_int_equal(net_turn(r->net, 10), 0);
	}
	return false;
}

/* everything sent is dealt with, and nothing comes */
void rig_nothing(struct rig *r)
{
	struct iovec iov[2] = {{&r->vh, sizeof(r->vh)},
			       {r->pkt, sizeof(r->pkt)}};

	for (int i = 0; i < 4; i++)
		assert_int_equal(net_turn(r->net, 5), 0);
	assert_int_equal(readv(r->fd, iov, 2), -1);
}

void rig_prohibited(struct rig *r, bool six)
{
	assert_true(rig_next(r));
	assert_int_equal(r->in.version, six ? 6 : 4);
	assert_int_equal(r->pkt[r->in.l4], six ? 1 : 3);
	assert_int_equal(r->pkt[r->in.l4 + 1], six ? 1 : 13);
	assert_int_equal(r->in.src[six ? 15 : 3], 1); /* ours */
}

int rig_host(bool six, int type, uint16_t *port)
{
	struct sockaddr_in6 a6 = {.sin6_family = AF_INET6,
				  .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	struct sockaddr_in a4 = {.sin_family = AF_INET,
				 .sin_addr.s_addr = htonl(0x7f000001)};
	struct sockaddr *sa =
		six ? (struct sockaddr *)&a6 : (struct sockaddr *)&a4;
	socklen_t len = six ? sizeof(a6) : sizeof(a4);
	int fd = socket(sa->sa_family, type | SOCK_NONBLOCK, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, sa, len), 0);
	if (type == SOCK_STREAM)
		assert_int_equal(listen(fd, 8), 0);
	assert_int_equal(getsockname(fd, sa, &len), 0);
	*port = ntohs(six ? a6.sin6_port : a4.sin_port);
	return fd;
}

/* turns until @fd can be read */
void rig_await(struct rig *r, int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	for (int i = 0; i < TURNS && poll(&p, 1, 0) < 1; i++)
		assert_int_equal(net_turn(r->net, 10), 0);
	assert_int_equal(poll(&p, 1, 0), 1);
}

static void put_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd >= 0) {
		(void)!write(fd, text, strlen(text));
		close(fd);
	}
}

/* A network of our own, where ping sockets are allowed, if there may be one. */
void rig_network(void)
{
	struct ifreq lo = {.ifr_name = "lo", .ifr_flags = IFF_UP};
	unsigned int uid = getuid(), gid = getgid();
	char map[32];
	int fd;

	if (unshare(CLONE_NEWUSER | CLONE_NEWNET))
		return;
	put_text("/proc/self/setgroups", "deny");
	snprintf(map, sizeof(map), "0 %u 1", uid);
	put_text("/proc/self/uid_map", map);
	snprintf(map, sizeof(map), "0 %u 1", gid);
	put_text("/proc/self/gid_map", map);
	put_text("/proc/sys/net/ipv4/ping_group_range", "0 0");
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && !ioctl(fd, SIOCSIFFLAGS, &lo))
		close(fd);
}
