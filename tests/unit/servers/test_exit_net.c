/* SPDX-License-Identifier: MIT */
/*
 * test_exit_net - the exit's net process between a played node and hosts of this machine
 *
 * The node's packets are made by hand, as its data path would write them; the hosts are
 * sockets on loopback, which exit.allow opens here and nothing else would.
 */
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
#include "broker/datapath/inner.h"
#include "servers/exit/net.h"
#include "servers/exit/seam.h"
#include "servers/exit/stack.h"

#define MTU   1416
#define TURNS 400

static const uint8_t node4[4] = {198, 18, 0, 9};
static const uint8_t other4[4] = {198, 18, 0, 10};
static const uint8_t host4[4] = {127, 0, 0, 1};
static const uint8_t node6[16] = {0xfd, 0x6e, 1, 2, 3, 4, 5, 6, [15] = 9};
static const uint8_t host6[16] = {[15] = 1};

struct rig {
	struct net *net;
	struct net_stats stats;
	int fd;
	struct virtio_net_hdr vh; /* of what came last */
	uint8_t pkt[SEAM_PACKET_MAX];
	struct inner in;
};

static void rig_open(struct rig *r, unsigned int sockets)
{
	struct seam_control self = {
		.mark = SEAM_CONTROL, .op = SEAM_SELF, .slice_len = 15};
	struct net_conf conf = {.sockets = sockets, .mtu = MTU};
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
	memcpy(self.vip6, node6, 16);
	self.vip6[15] = 1;
	assert_int_equal(write(r->fd, &self, sizeof(self)), sizeof(self));
}

static void rig_close(struct rig *r)
{
	net_free(r->net);
	close(r->fd);
}

/* --- the node's packets --------------------------------------------------------------- */

struct made {
	uint8_t b[2048];
	size_t len;
};

static void ip_make(struct made *m, const void *src, const void *dst, bool six,
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

static void send_made(struct rig *r, const struct made *m)
{
	struct virtio_net_hdr vh = {.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM};
	struct iovec iov[2] = {{&vh, sizeof(vh)}, {(void *)m->b, m->len}};

	/* the checksum was left open, as a tunnel leaves it */
	assert_int_equal(writev(r->fd, iov, 2), sizeof(vh) + m->len);
}

static void udp_make(struct made *m, bool six, const void *src, const void *dst,
		     uint16_t port, uint16_t to, const char *text)
{
	size_t n = strlen(text), at = six ? 40 : 20;

	ip_make(m, src, dst, six, IPPROTO_UDP, 8 + n);
	put16(m->b + at, port);
	put16(m->b + at + 2, to);
	put16(m->b + at + 4, (uint32_t)(8 + n));
	memcpy(m->b + at + 8, text, n);
}

static void tcp_make(struct made *m, const void *src, const void *dst,
		     uint16_t port, uint16_t to, uint32_t seq, uint32_t ack,
		     uint8_t flags, const char *text)
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
		put16(m->b + 42, MTU - 40);
	}
	memcpy(m->b + 20 + head, text, n);
}

static void echo_make(struct made *m, bool six, const void *src,
		      const void *dst, uint16_t id, uint16_t seq)
{
	size_t at = six ? 40 : 20;

	ip_make(m, src, dst, six, six ? IPPROTO_ICMPV6 : IPPROTO_ICMP, 16);
	m->b[at] = six ? 128 : 8;
	put16(m->b + at + 4, id);
	put16(m->b + at + 6, seq);
	memcpy(m->b + at + 8, "abcdefgh", 8);
}

/* --- what comes back --------------------------------------------------------------------- */

static bool next(struct rig *r)
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
static void nothing(struct rig *r)
{
	struct iovec iov[2] = {{&r->vh, sizeof(r->vh)},
			       {r->pkt, sizeof(r->pkt)}};

	for (int i = 0; i < 4; i++)
		assert_int_equal(net_turn(r->net, 5), 0);
	assert_int_equal(readv(r->fd, iov, 2), -1);
}

static void is_prohibited(struct rig *r, bool six)
{
	assert_true(next(r));
	assert_int_equal(r->in.version, six ? 6 : 4);
	assert_int_equal(r->pkt[r->in.l4], six ? 1 : 3);
	assert_int_equal(r->pkt[r->in.l4 + 1], six ? 1 : 13);
	assert_int_equal(r->in.src[six ? 15 : 3], 1); /* ours */
}

static int host_socket(bool six, int type, uint16_t *port)
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
static void await(struct rig *r, int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	for (int i = 0; i < TURNS && poll(&p, 1, 0) < 1; i++)
		assert_int_equal(net_turn(r->net, 10), 0);
	assert_int_equal(poll(&p, 1, 0), 1);
}

/* --- tests ---------------------------------------------------------------------------------- */

static void udp_both_ways(bool six)
{
	struct sockaddr_storage from;
	socklen_t len = sizeof(from);
	uint16_t port, stranger_port;
	struct rig r;
	struct made m;
	char buf[64];
	int host, stranger;

	rig_open(&r, 8);
	host = host_socket(six, SOCK_DGRAM, &port);
	stranger = host_socket(six, SOCK_DGRAM, &stranger_port);
	udp_make(&m, six, six ? node6 : node4, six ? host6 : host4, 5000, port,
		 "question");
	send_made(&r, &m);
	await(&r, host);
	assert_int_equal(recvfrom(host, buf, sizeof(buf), 0,
				  (struct sockaddr *)&from, &len),
			 8);
	assert_memory_equal(buf, "question", 8);
	assert_int_equal(
		sendto(host, "answer", 6, 0, (struct sockaddr *)&from, len), 6);
	assert_true(next(&r));
	assert_int_equal(r.in.proto, IPPROTO_UDP);
	assert_memory_equal(r.in.src, six ? host6 : host4, six ? 16 : 4);
	assert_memory_equal(r.in.dst, six ? node6 : node4, six ? 16 : 4);
	assert_int_equal(get16(r.pkt + r.in.l4 + 2), 5000);
	assert_memory_equal(r.pkt + r.in.l4 + 8, "answer", 6);
	assert_true(inner_checksum_ok(r.pkt, &r.in));
	/* from whom the node never wrote to nothing comes */
	assert_int_equal(
		sendto(stranger, "hello", 5, 0, (struct sockaddr *)&from, len),
		5);
	nothing(&r);
	assert_int_equal(r.stats.unsolicited, 1);
	close(stranger);
	close(host);
	rig_close(&r);
}

static void test_udp4(void **state)
{
	(void)state;
	udp_both_ways(false);
}

static void test_udp6(void **state)
{
	(void)state;
	udp_both_ways(true);
}

/* the node's end of one connection */
struct tcp {
	uint16_t port, to;
	uint32_t seq, ack;
};

static void tcp_connect(struct rig *r, struct tcp *t)
{
	struct made m;

	tcp_make(&m, node4, host4, t->port, t->to, t->seq++, 0, 2, "");
	send_made(r, &m);
	assert_true(next(r));
	assert_int_equal(r->pkt[r->in.l4 + 13] & 0x12, 0x12);
	assert_int_equal(get32(r->pkt + r->in.l4 + 8), t->seq);
	t->ack = get32(r->pkt + r->in.l4 + 4) + 1;
	tcp_make(&m, node4, host4, t->port, t->to, t->seq, t->ack, 0x10, "");
	send_made(r, &m);
}

static void test_tcp(void **state)
{
	static uint8_t much[60000];
	struct tcp t = {.port = 6000, .seq = 1000};
	size_t got = 0, largest = 0;
	struct made m;
	struct rig r;
	char buf[64];
	int listener, host;

	(void)state;
	rig_open(&r, 8);
	listener = host_socket(false, SOCK_STREAM, &t.to);
	tcp_connect(&r, &t);
	await(&r, listener);
	host = accept(listener, NULL, NULL);
	assert_true(host >= 0);
	tcp_make(&m, node4, host4, t.port, t.to, t.seq, t.ack, 0x18, "GET /");
	send_made(&r, &m);
	t.seq += 5;
	await(&r, host);
	assert_int_equal(read(host, buf, sizeof(buf)), 5);
	assert_int_equal(r.stats.sockets, 1);
	/* it comes in super-packets, which the data path is told how to cut */
	assert_int_equal(send(host, much, sizeof(much), 0), sizeof(much));
	while (got < sizeof(much) && next(&r)) {
		size_t n = r.in.len - r.in.l4 - r.in.l4_len;

		if (!n)
			continue;
		assert_int_equal(get32(r.pkt + r.in.l4 + 4), t.ack);
		got += n;
		t.ack += (uint32_t)n;
		if (r.in.len > MTU) {
			assert_int_equal(r.vh.gso_type,
					 VIRTIO_NET_HDR_GSO_TCPV4);
			assert_int_equal(r.vh.gso_size,
					 MTU - r.in.l4 - r.in.l4_len);
		}
		largest = n > largest ? n : largest;
		tcp_make(&m, node4, host4, t.port, t.to, t.seq, t.ack, 0x10,
			 "");
		send_made(&r, &m);
	}
	assert_int_equal(got, sizeof(much));
	assert_true(largest > MTU);
	close(host);
	close(listener);
	rig_close(&r);
}

/* nobody listens: the node hears so at once */
static void test_refused(void **state)
{
	uint16_t port;
	struct made m;
	struct rig r;

	(void)state;
	rig_open(&r, 8);
	close(host_socket(false, SOCK_STREAM, &port));
	tcp_make(&m, node4, host4, 6001, port, 77, 0, 2, "");
	send_made(&r, &m);
	assert_true(next(&r));
	assert_int_equal(r.in.proto, IPPROTO_TCP);
	assert_true(r.pkt[r.in.l4 + 13] & 4);
	rig_close(&r);
}

static void test_echo(void **state)
{
	struct made m;
	struct rig r;

	(void)state;
	for (int six = 0; six < 2; six++) {
		rig_open(&r, 8);
		echo_make(&m, six, six ? node6 : node4, six ? host6 : host4,
			  4711, 3);
		send_made(&r, &m);
		if (!next(&r)) {
			/* a machine that allows no ping sockets says so */
			assert_int_equal(r.stats.echo_denied, 1);
			rig_close(&r);
			skip();
		}
		if (r.stats.echo_denied) {
			rig_close(&r);
			skip();
		}
		assert_int_equal(r.pkt[r.in.l4], six ? 129 : 0);
		assert_int_equal(get16(r.pkt + r.in.l4 + 4), 4711);
		assert_int_equal(get16(r.pkt + r.in.l4 + 6), 3);
		assert_memory_equal(r.pkt + r.in.l4 + 8, "abcdefgh", 8);
		assert_memory_equal(r.in.dst, six ? node6 : node4,
				    six ? 16 : 4);
		rig_close(&r);
	}
}

static void test_forbidden(void **state)
{
	static const uint8_t closed4[][4] = {{10, 0, 0, 1},
					     {169, 254, 169, 254},
					     {127, 0, 0, 2},
					     {192, 0, 0, 9}, /* libslirp's */
					     {198, 18, 0, 10}};
	static const uint8_t closed6[][16] = {
		{[10] = 0xff, 0xff, 10, 0, 0, 1},
		{0, 0x64, 0xff, 0x9b, [12] = 169, 254, 169, 254},
		{0x20, 0x02, 10, 0, 0, 1},
		{0xfd, 0, 0x6e, 0x74, 0x6d, [15] = 2}, /* libslirp's */
		{0xfe, 0x80, [15] = 1}};
	struct made m;
	struct rig r;

	(void)state;
	rig_open(&r, 8);
	for (size_t i = 0; i < 5; i++) {
		tcp_make(&m, node4, closed4[i], 6000, 80, 1, 0, 2, "");
		send_made(&r, &m);
		is_prohibited(&r, false);
		udp_make(&m, false, node4, closed4[i], 6000, 53, "x");
		send_made(&r, &m);
		is_prohibited(&r, false);
		udp_make(&m, true, node6, closed6[i], 6000, 53, "x");
		send_made(&r, &m);
		is_prohibited(&r, true);
		echo_make(&m, true, node6, closed6[i], 1, 1);
		send_made(&r, &m);
		is_prohibited(&r, true);
	}
	assert_int_equal(r.stats.forbidden, 20);
	tcp_make(&m, node4, (const uint8_t[]){203, 0, 113, 5}, 6000, 25, 1, 0,
		 2, "");
	send_made(&r, &m);
	is_prohibited(&r, false);
	assert_int_equal(r.stats.nodes, 0);
	assert_int_equal(r.stats.sockets, 0);
	rig_close(&r);
}

static void test_quota(void **state)
{
	struct made m;
	struct rig r;
	uint16_t port;
	int host = host_socket(false, SOCK_DGRAM, &port);

	(void)state;
	rig_open(&r, 4);
	for (uint16_t i = 0; i < 4; i++) {
		udp_make(&m, false, node4, host4, (uint16_t)(5000 + i), port,
			 "x");
		send_made(&r, &m);
	}
	nothing(&r);
	assert_int_equal(r.stats.sockets, 4);
	udp_make(&m, false, node4, host4, 5100, port, "x");
	send_made(&r, &m);
	is_prohibited(&r, false);
	tcp_make(&m, node4, host4, 6000, port, 1, 0, 2, "");
	send_made(&r, &m);
	is_prohibited(&r, false);
	assert_int_equal(r.stats.over_limit, 2);
	/* what is open goes on, and another node has its own */
	udp_make(&m, false, node4, host4, 5003, port, "x");
	send_made(&r, &m);
	udp_make(&m, false, other4, host4, 5000, port, "x");
	send_made(&r, &m);
	nothing(&r);
	assert_int_equal(r.stats.over_limit, 2);
	assert_int_equal(r.stats.sockets, 5);
	close(host);
	rig_close(&r);
}

/* who goes takes its sockets along */
static void test_forget(void **state)
{
	struct seam_control c = {.mark = SEAM_CONTROL, .op = SEAM_FORGET};
	struct made m;
	struct rig r;
	uint16_t port;
	int host = host_socket(false, SOCK_DGRAM, &port);

	(void)state;
	rig_open(&r, 4);
	udp_make(&m, false, node4, host4, 5000, port, "x");
	send_made(&r, &m);
	nothing(&r);
	assert_int_equal(r.stats.sockets, 1);
	memcpy(c.vip4, node4, 4);
	memcpy(c.vip6, node6, 16);
	assert_int_equal(write(r.fd, &c, sizeof(c)), sizeof(c));
	nothing(&r);
	assert_int_equal(r.stats.sockets, 0);
	assert_int_equal(r.stats.nodes, 0);
	close(host);
	rig_close(&r);
}

static void test_malformed(void **state)
{
	struct made m;
	struct rig r;

	(void)state;
	rig_open(&r, 4);
	udp_make(&m, false, node4, host4, 5000, 7, "payload");
	for (size_t n = 1; n < m.len; n++) { /* cut off at every byte */
		struct made cut = m;

		cut.len = n;
		send_made(&r, &cut);
		assert_int_equal(net_turn(r.net, 0), 0);
	}
	assert_true(r.stats.malformed >= m.len - 1);
	assert_int_equal(r.stats.sockets, 0);
	/* an extension header, a protocol that is none of ours, TCP in parts */
	ip_make(&m, node6, host6, true, IPPROTO_DSTOPTS, 16);
	m.b[40] = IPPROTO_UDP;
	send_made(&r, &m);
	ip_make(&m, node4, host4, false, 132, 16);
	send_made(&r, &m);
	tcp_make(&m, node4, host4, 1, 2, 3, 4, 2, "");
	m.b[6] = 0x20;
	send_made(&r, &m);
	nothing(&r);
	assert_int_equal(r.stats.nodes, 0);
	rig_close(&r);
}

/* the other process ended */
static void test_closed(void **state)
{
	struct rig r;

	(void)state;
	rig_open(&r, 4);
	nothing(&r);
	close(r.fd);
	assert_int_equal(net_turn(r.net, 10), -NTM_ECLOSED);
	net_free(r.net);
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
static void own_network(void)
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_udp4),
		cmocka_unit_test(test_udp6),
		cmocka_unit_test(test_tcp),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_echo),
		cmocka_unit_test(test_forbidden),
		cmocka_unit_test(test_quota),
		cmocka_unit_test(test_forget),
		cmocka_unit_test(test_malformed),
		cmocka_unit_test(test_closed),
	};

	own_network();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
