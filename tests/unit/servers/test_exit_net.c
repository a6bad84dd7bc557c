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
#include "tests/unit/servers/exit_rig.h"

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
	host = rig_host(six, SOCK_DGRAM, &port);
	stranger = rig_host(six, SOCK_DGRAM, &stranger_port);
	udp_make(&m, six, six ? rig_node6 : rig_node4,
		 six ? rig_host6 : rig_host4, 5000, port, "question");
	rig_send(&r, &m);
	rig_await(&r, host);
	assert_int_equal(recvfrom(host, buf, sizeof(buf), 0,
				  (struct sockaddr *)&from, &len),
			 8);
	assert_memory_equal(buf, "question", 8);
	assert_int_equal(
		sendto(host, "answer", 6, 0, (struct sockaddr *)&from, len), 6);
	assert_true(rig_next(&r));
	assert_int_equal(r.in.proto, IPPROTO_UDP);
	assert_memory_equal(r.in.src, six ? rig_host6 : rig_host4,
			    six ? 16 : 4);
	assert_memory_equal(r.in.dst, six ? rig_node6 : rig_node4,
			    six ? 16 : 4);
	assert_int_equal(get16(r.pkt + r.in.l4 + 2), 5000);
	assert_memory_equal(r.pkt + r.in.l4 + 8, "answer", 6);
	assert_true(inner_checksum_ok(r.pkt, &r.in));
	/* from whom the node never wrote to nothing comes */
	assert_int_equal(
		sendto(stranger, "hello", 5, 0, (struct sockaddr *)&from, len),
		5);
	rig_nothing(&r);
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

	tcp_make(&m, rig_node4, rig_host4, t->port, t->to, t->seq++, 0, 2, "");
	rig_send(r, &m);
	assert_true(rig_next(r));
	assert_int_equal(r->pkt[r->in.l4 + 13] & 0x12, 0x12);
	assert_int_equal(get32(r->pkt + r->in.l4 + 8), t->seq);
	t->ack = get32(r->pkt + r->in.l4 + 4) + 1;
	tcp_make(&m, rig_node4, rig_host4, t->port, t->to, t->seq, t->ack, 0x10,
		 "");
	rig_send(r, &m);
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
	listener = rig_host(false, SOCK_STREAM, &t.to);
	tcp_connect(&r, &t);
	rig_await(&r, listener);
	host = accept(listener, NULL, NULL);
	assert_true(host >= 0);
	tcp_make(&m, rig_node4, rig_host4, t.port, t.to, t.seq, t.ack, 0x18,
		 "GET /");
	rig_send(&r, &m);
	t.seq += 5;
	rig_await(&r, host);
	assert_int_equal(read(host, buf, sizeof(buf)), 5);
	assert_int_equal(r.stats.sockets, 1);
	/* it comes in super-packets, which the data path is told how to cut */
	assert_int_equal(send(host, much, sizeof(much), 0), sizeof(much));
	while (got < sizeof(much) && rig_next(&r)) {
		size_t n = r.in.len - r.in.l4 - r.in.l4_len;

		if (!n)
			continue;
		assert_int_equal(get32(r.pkt + r.in.l4 + 4), t.ack);
		got += n;
		t.ack += (uint32_t)n;
		if (r.in.len > RIG_MTU) {
			assert_int_equal(r.vh.gso_type,
					 VIRTIO_NET_HDR_GSO_TCPV4);
			assert_int_equal(r.vh.gso_size,
					 RIG_MTU - r.in.l4 - r.in.l4_len);
		}
		largest = n > largest ? n : largest;
		tcp_make(&m, rig_node4, rig_host4, t.port, t.to, t.seq, t.ack,
			 0x10, "");
		rig_send(&r, &m);
	}
	assert_int_equal(got, sizeof(much));
	assert_true(largest > RIG_MTU);
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
	close(rig_host(false, SOCK_STREAM, &port));
	tcp_make(&m, rig_node4, rig_host4, 6001, port, 77, 0, 2, "");
	rig_send(&r, &m);
	assert_true(rig_next(&r));
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
		echo_make(&m, six, six ? rig_node6 : rig_node4,
			  six ? rig_host6 : rig_host4, 4711, 3);
		rig_send(&r, &m);
		if (!rig_next(&r)) {
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
		assert_memory_equal(r.in.dst, six ? rig_node6 : rig_node4,
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
		tcp_make(&m, rig_node4, closed4[i], 6000, 80, 1, 0, 2, "");
		rig_send(&r, &m);
		rig_prohibited(&r, false);
		udp_make(&m, false, rig_node4, closed4[i], 6000, 53, "x");
		rig_send(&r, &m);
		rig_prohibited(&r, false);
		udp_make(&m, true, rig_node6, closed6[i], 6000, 53, "x");
		rig_send(&r, &m);
		rig_prohibited(&r, true);
		echo_make(&m, true, rig_node6, closed6[i], 1, 1);
		rig_send(&r, &m);
		rig_prohibited(&r, true);
	}
	assert_int_equal(r.stats.forbidden, 20);
	tcp_make(&m, rig_node4, (const uint8_t[]){203, 0, 113, 5}, 6000, 25, 1,
		 0, 2, "");
	rig_send(&r, &m);
	rig_prohibited(&r, false);
	assert_int_equal(r.stats.nodes, 0);
	assert_int_equal(r.stats.sockets, 0);
	rig_close(&r);
}

static void test_quota(void **state)
{
	struct made m;
	struct rig r;
	uint16_t port;
	int host = rig_host(false, SOCK_DGRAM, &port);

	(void)state;
	rig_open(&r, 4);
	for (uint16_t i = 0; i < 4; i++) {
		udp_make(&m, false, rig_node4, rig_host4, (uint16_t)(5000 + i),
			 port, "x");
		rig_send(&r, &m);
	}
	rig_nothing(&r);
	assert_int_equal(r.stats.sockets, 4);
	udp_make(&m, false, rig_node4, rig_host4, 5100, port, "x");
	rig_send(&r, &m);
	rig_prohibited(&r, false);
	tcp_make(&m, rig_node4, rig_host4, 6000, port, 1, 0, 2, "");
	rig_send(&r, &m);
	rig_prohibited(&r, false);
	assert_int_equal(r.stats.over_limit, 2);
	/* what is open goes on, and another node has its own */
	udp_make(&m, false, rig_node4, rig_host4, 5003, port, "x");
	rig_send(&r, &m);
	udp_make(&m, false, rig_other4, rig_host4, 5000, port, "x");
	rig_send(&r, &m);
	rig_nothing(&r);
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
	int host = rig_host(false, SOCK_DGRAM, &port);

	(void)state;
	rig_open(&r, 4);
	udp_make(&m, false, rig_node4, rig_host4, 5000, port, "x");
	rig_send(&r, &m);
	rig_nothing(&r);
	assert_int_equal(r.stats.sockets, 1);
	memcpy(c.vip4, rig_node4, 4);
	memcpy(c.vip6, rig_node6, 16);
	assert_int_equal(write(r.fd, &c, sizeof(c)), sizeof(c));
	rig_nothing(&r);
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
	udp_make(&m, false, rig_node4, rig_host4, 5000, 7, "payload");
	for (size_t n = 1; n < m.len; n++) { /* cut off at every byte */
		struct made cut = m;

		cut.len = n;
		rig_send(&r, &cut);
		assert_int_equal(net_turn(r.net, 0), 0);
	}
	assert_true(r.stats.malformed >= m.len - 1);
	assert_int_equal(r.stats.sockets, 0);
	/* an extension header, a protocol that is none of ours, TCP in parts */
	ip_make(&m, rig_node6, rig_host6, true, IPPROTO_DSTOPTS, 16);
	m.b[40] = IPPROTO_UDP;
	rig_send(&r, &m);
	ip_make(&m, rig_node4, rig_host4, false, 132, 16);
	rig_send(&r, &m);
	tcp_make(&m, rig_node4, rig_host4, 1, 2, 3, 4, 2, "");
	m.b[6] = 0x20;
	rig_send(&r, &m);
	rig_nothing(&r);
	assert_int_equal(r.stats.nodes, 0);
	rig_close(&r);
}

/* the other process ended */
static void test_closed(void **state)
{
	struct rig r;

	(void)state;
	rig_open(&r, 4);
	rig_nothing(&r);
	close(r.fd);
	assert_int_equal(net_turn(r.net, 10), -NTM_ECLOSED);
	net_free(r.net);
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

	rig_network();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
