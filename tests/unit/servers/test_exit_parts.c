/* SPDX-License-Identifier: MIT */
/* test_exit_parts - datagrams larger than the tunnel, through an exit, both ways */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "broker/datapath/checksum.h"
#include "broker/datapath/icmp.h"
#include "servers/exit/fragments.h"
#include "tests/unit/servers/exit_rig.h"

#define BIG	  5000
#define PARTS_MAX 64
#define PORT	  5000

/* struct parts - a packet as it was cut */
struct parts {
	uint8_t b[PARTS_MAX][2048];
	size_t len[PARTS_MAX], n;
};

static void keep(void *arg, const uint8_t *header, size_t header_len,
		 const uint8_t *body, size_t len)
{
	struct parts *p = arg;

	assert_true(p->n < PARTS_MAX);
	memcpy(p->b[p->n], header, header_len);
	memcpy(p->b[p->n] + header_len, body, len);
	p->len[p->n++] = header_len + len;
}

/* a datagram of @n bytes, the checksum whole, as the node's kernel cuts it */
static void big_make(struct parts *out, bool six, const void *dst,
		     uint16_t port, uint16_t to, size_t n, uint32_t ident)
{
	static uint8_t pkt[65535];
	size_t head = six ? 40 : 20, len = 8 + n;
	struct inner in;
	struct made m;
	uint16_t sum;

	udp_make(&m, six, six ? rig_node6 : rig_node4, dst, port, to, "");
	memcpy(pkt, m.b, head + 8);
	for (size_t i = 0; i < n; i++)
		pkt[head + 8 + i] = (uint8_t)(i * 7);
	if (six)
		put16(pkt + 4, (uint32_t)len);
	else
		put16(pkt + 2, (uint32_t)(20 + len));
	put16(pkt + head + 4, (uint32_t)len);
	assert_int_equal(inner_parse(pkt, head + len, &in), 0);
	sum = (uint16_t)~checksum_fold(checksum_add(
		checksum_pseudo(in.version, in.src, in.dst, in.proto) +
			checksum_number((uint32_t)len),
		pkt + in.l4, len));
	memcpy(pkt + in.csum, &sum, 2);
	out->n = 0;
	fragments_cut(pkt, &in, RIG_MTU, ident, keep, out);
}

static void send_part(struct rig *r, const struct parts *p, size_t i)
{
	struct virtio_net_hdr vh = {0};
	struct iovec iov[2] = {{&vh, sizeof(vh)}, {(void *)p->b[i], p->len[i]}};

	assert_int_equal(writev(r->fd, iov, 2), sizeof(vh) + p->len[i]);
}

static void send_all(struct rig *r, const struct parts *p)
{
	for (size_t i = 0; i < p->n; i++)
		send_part(r, p, i);
}

/* what the host sends, put together from parts of at most @mtu bytes. Return: bytes of
 * the datagram */
static size_t whole(struct rig *r, uint32_t mtu, uint8_t **pkt,
		    struct fragments *f)
{
	struct inner in;
	int n = 0;

	while (!n) {
		assert_true(rig_next(r));
		assert_true(r->in.len <= mtu);
		assert_true(r->in.fragment);
		n = fragments_add(f, 1, r->pkt, &r->in, pkt);
	}
	assert_true(n > 0);
	assert_int_equal(inner_parse(*pkt, (size_t)n, &in), 0);
	assert_true(inner_checksum_ok(*pkt, &in));
	*pkt += in.l4 + 8;
	return in.len - in.l4 - 8;
}

static void both_ways(bool six)
{
	const void *dst = six ? rig_host6 : rig_host4;
	struct sockaddr_storage from;
	socklen_t len = sizeof(from);
	static struct parts p;
	struct fragments *f;
	uint8_t buf[BIG + 1], *pkt;
	uint16_t port;
	struct rig r;
	int host;

	rig_open(&r, 8);
	assert_int_equal(fragments_new(&f), 0);
	host = rig_host(six, SOCK_DGRAM, &port);
	big_make(&p, six, dst, PORT, port, BIG, 1);
	assert_int_equal(p.n, 4);
	for (size_t i = p.n; i-- > 0;) { /* in any order, and some twice */
		send_part(&r, &p, i);
		if (i)
			send_part(&r, &p, i);
	}
	rig_await(&r, host);
	assert_int_equal(recvfrom(host, buf, sizeof(buf), 0,
				  (struct sockaddr *)&from, &len),
			 BIG);
	for (size_t i = 0; i < BIG; i++)
		assert_int_equal(buf[i], (uint8_t)(i * 7));
	assert_int_equal(
		sendto(host, buf, BIG, 0, (struct sockaddr *)&from, len), BIG);
	assert_int_equal(whole(&r, RIG_MTU, &pkt, f), BIG);
	assert_memory_equal(pkt, buf, BIG);
	assert_int_equal(r.stats.malformed, 0);
	close(host);
	fragments_free(f);
	rig_close(&r);
}

static void test_both_ways(void **state)
{
	(void)state;
	both_ways(false);
	both_ways(true);
}

/* The data path says that less fits than usual: what comes next is cut. */
static void test_narrow(void **state)
{
	uint8_t icmp[ICMP_ERROR_MAX], buf[1380], *pkt;
	struct sockaddr_storage from;
	socklen_t len = sizeof(from);
	struct fragments *f;
	struct made m = {.len = 0};
	uint16_t port;
	struct rig r;
	int host;

	(void)state;
	rig_open(&r, 8);
	assert_int_equal(fragments_new(&f), 0);
	host = rig_host(false, SOCK_DGRAM, &port);
	udp_make(&m, false, rig_node4, rig_host4, PORT, port, "?");
	rig_send(&r, &m);
	rig_await(&r, host);
	assert_int_equal(recvfrom(host, buf, sizeof(buf), 0,
				  (struct sockaddr *)&from, &len),
			 1);
	memset(buf, 'x', sizeof(buf));
	assert_int_equal(sendto(host, buf, sizeof(buf), 0,
				(struct sockaddr *)&from, len),
			 sizeof(buf));
	assert_true(rig_next(&r));
	assert_int_equal(r.in.len, 28 + sizeof(buf)); /* whole, as it fits */
	m.len = icmp_too_big(r.pkt, &r.in, 1300, icmp);
	memcpy(m.b, icmp, m.len);
	rig_send(&r, &m);
	rig_nothing(&r);
	assert_int_equal(sendto(host, buf, sizeof(buf), 0,
				(struct sockaddr *)&from, len),
			 sizeof(buf));
	assert_int_equal(whole(&r, 1300, &pkt, f), sizeof(buf));
	assert_memory_equal(pkt, buf, sizeof(buf));
	/* less than what always passes nobody needs to be told */
	assert_int_equal(sendto(host, buf, sizeof(buf), 0,
				(struct sockaddr *)&from, len),
			 sizeof(buf));
	assert_true(rig_next(&r));
	m.len = icmp_too_big(r.pkt, &r.in, 68, icmp);
	memcpy(m.b, icmp, m.len);
	rig_send(&r, &m);
	assert_true(rig_next(&r)); /* the other part of the last one */
	rig_nothing(&r);
	assert_int_equal(sendto(host, buf, sizeof(buf), 0,
				(struct sockaddr *)&from, len),
			 sizeof(buf));
	assert_true(rig_next(&r));
	assert_int_equal(r.in.len, 1276); /* 1280, in units of 8 */
	close(host);
	fragments_free(f);
	rig_close(&r);
}

/* Parts hide neither a port nor a socket. */
static void test_held_to_limits(void **state)
{
	static const uint8_t open4[4] = {203, 0, 113, 5};
	static struct parts p;
	uint16_t port;
	struct rig r;
	int host = rig_host(false, SOCK_DGRAM, &port);

	(void)state;
	rig_open(&r, 4);
	big_make(&p, false, open4, PORT, 25, 2000, 1);
	send_all(&r, &p);
	rig_prohibited(&r, false);
	assert_int_equal(r.stats.forbidden, 1);
	for (uint16_t i = 0; i < 4; i++) {
		big_make(&p, false, rig_host4, (uint16_t)(PORT + i), port, 2000,
			 2u + i);
		send_all(&r, &p);
	}
	rig_nothing(&r);
	assert_int_equal(r.stats.sockets, 4);
	big_make(&p, false, rig_host4, PORT + 9, port, 2000, 9);
	send_all(&r, &p);
	rig_prohibited(&r, false);
	assert_int_equal(r.stats.over_limit, 1);
	assert_int_equal(r.stats.sockets, 4);
	close(host);
	rig_close(&r);
}

/* Parts that never become whole take no other node's place. */
static void test_unfinished(void **state)
{
	static struct parts p, mine;
	uint16_t port;
	struct rig r;
	int host = rig_host(true, SOCK_DGRAM, &port);

	(void)state;
	rig_open(&r, 4);
	big_make(&mine, true, rig_host6, PORT, port, 2000, 77);
	send_part(&r, &mine, 0);
	for (uint32_t i = 0; i < 4 * FRAGMENTS_MAX; i++) {
		big_make(&p, false, rig_host4, PORT, port, 2000, 1000 + i);
		send_part(&r, &p, i % 2);
		assert_int_equal(net_turn(r.net, 0), 0);
	}
	send_part(&r, &mine, 1);
	rig_await(&r, host);
	assert_int_equal(r.stats.sockets, 1);
	close(host);
	rig_close(&r);
}

static void test_bad(void **state)
{
	static struct parts p, q;
	uint16_t port;
	struct rig r;
	int host = rig_host(false, SOCK_DGRAM, &port);

	(void)state;
	rig_open(&r, 4);
	/* an overlap: the whole datagram is gone */
	big_make(&p, false, rig_host4, PORT, port, 4000, 1);
	q = p;
	put16(q.b[1] + 6, get16(q.b[1] + 6) - 1);
	send_part(&r, &p, 0);
	send_part(&r, &q, 1);
	send_part(&r, &p, 1);
	send_part(&r, &p, 2);
	rig_nothing(&r);
	assert_int_equal(r.stats.malformed, 1);
	/* beyond the end of IP, beyond its own end, a piece of no whole unit */
	big_make(&p, false, rig_host4, PORT, port, 4000, 2);
	put16(p.b[1] + 6, 0x3fff);
	send_part(&r, &p, 1);
	big_make(&p, false, rig_host4, PORT, port, 4000, 3);
	send_part(&r, &p, 2);
	put16(p.b[0] + 6, 0x2000 | 8000 / 8);
	send_part(&r, &p, 0);
	big_make(&p, false, rig_host4, PORT, port, 4000, 4);
	p.len[0]--;
	put16(p.b[0] + 2, (uint32_t)p.len[0]);
	send_part(&r, &p, 0);
	/* TCP is never in parts */
	big_make(&p, false, rig_host4, PORT, port, 4000, 5);
	p.b[0][9] = IPPROTO_TCP;
	send_part(&r, &p, 0);
	rig_nothing(&r);
	assert_int_equal(r.stats.malformed, 5);
	assert_int_equal(r.stats.sockets, 0);
	/* cut off at every byte */
	big_make(&p, false, rig_host4, PORT, port, 2000, 6);
	for (size_t n = p.len[1]; n > 0; n--) {
		p.len[1] = n - 1;
		if (n > 1)
			send_part(&r, &p, 1);
		assert_int_equal(net_turn(r.net, 0), 0);
	}
	assert_int_equal(r.stats.sockets, 0);
	close(host);
	rig_close(&r);
}

/* an echo of 3000 bytes comes back */
static void test_echo(void **state)
{
	struct fragments *f;
	static struct parts p;
	struct made m;
	uint8_t *pkt;
	struct inner in;
	struct rig r;

	(void)state;
	rig_open(&r, 4);
	assert_int_equal(fragments_new(&f), 0);
	echo_make(&m, false, rig_node4, rig_host4, 4711, 3);
	put16(m.b + 2, 28 + 1900);
	assert_int_equal(inner_parse(m.b, sizeof(m.b), &in), 0);
	p.n = 0;
	fragments_cut(m.b, &in, RIG_MTU, 1, keep, &p);
	send_all(&r, &p);
	if (!rig_next(&r) || r.stats.echo_denied) {
		assert_int_equal(r.stats.echo_denied, 1);
		fragments_free(f);
		rig_close(&r);
		skip();
	}
	assert_int_equal(fragments_add(f, 1, r.pkt, &r.in, &pkt), 0);
	assert_true(rig_next(&r));
	assert_int_equal(fragments_add(f, 1, r.pkt, &r.in, &pkt), 28 + 1900);
	assert_int_equal(pkt[20], 0);
	assert_int_equal(get16(pkt + 24), 4711);
	fragments_free(f);
	rig_close(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_both_ways),
		cmocka_unit_test(test_narrow),
		cmocka_unit_test(test_held_to_limits),
		cmocka_unit_test(test_unfinished),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_echo),
	};

	rig_network();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
