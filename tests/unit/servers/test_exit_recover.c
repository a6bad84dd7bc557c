/* SPDX-License-Identifier: MIT */
/* test_exit_recover - what a node lost by a move comes again at once, not by a timer */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "broker/datapath/checksum.h"
#include "servers/exit/recover.h"
#include "tests/unit/servers/exit_rig.h"

#define MUCH	 60000
#define LIMIT_MS 400 /* libslirp's timer takes 1000 at least */

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void path_again(struct rig *r)
{
	struct seam_control c = {.mark = SEAM_CONTROL, .op = SEAM_PATH};

	memcpy(c.vip4, rig_node4, 4);
	memcpy(c.vip6, rig_node6, 16);
	assert_int_equal(write(r->fd, &c, sizeof(c)), sizeof(c));
}

/* the node's end of one connection */
struct tcp {
	uint16_t port, to;
	uint32_t seq, ack;
};

static void tcp_ack(struct rig *r, const struct tcp *t)
{
	struct made m;

	tcp_make(&m, rig_node4, rig_host4, t->port, t->to, t->seq, t->ack, 0x10,
		 "");
	rig_send(r, &m);
}

static int tcp_connect(struct rig *r, struct tcp *t, int listener)
{
	struct made m;

	tcp_make(&m, rig_node4, rig_host4, t->port, t->to, t->seq++, 0, 2, "");
	rig_send(r, &m);
	assert_true(rig_next(r));
	t->ack = get32(r->pkt + r->in.l4 + 4) + 1;
	tcp_ack(r, t);
	rig_await(r, listener);
	return accept(listener, NULL, NULL);
}

/* all that is sent without an answer. Return: bytes */
static size_t lose(struct rig *r)
{
	size_t lost = 0;

	/* until nothing comes for a while; a timer of libslirp would bring more */
	for (uint64_t end = now_ms() + 100; now_ms() < end;) {
		ssize_t n = read(r->fd, r->pkt, sizeof(r->pkt));

		if (n > 0)
			lost += (size_t)n - sizeof(r->vh) - 40;
		assert_int_equal(net_turn(r->net, n > 0 ? 0 : 1), 0);
	}
	return lost;
}

/* what comes in order is acknowledged, all else is not kept. Return: bytes */
static size_t take(struct rig *r, struct tcp *t, size_t want)
{
	size_t got = 0, n;

	while (got < want && rig_next(r)) {
		n = r->in.len - r->in.l4 - r->in.l4_len;
		if (n && get32(r->pkt + r->in.l4 + 4) == t->ack) {
			got += n;
			t->ack += (uint32_t)n;
		}
		tcp_ack(r, t);
	}
	return got;
}

static void test_at_once(void **state)
{
	static uint8_t much[MUCH];
	struct tcp t = {.port = 6000, .seq = 1000},
		   u = {.port = 6001, .seq = 5000};
	int listener, host, other;
	uint64_t start;
	struct rig r;

	(void)state;
	rig_open(&r, 8);
	listener = rig_host(false, SOCK_STREAM, &t.to);
	u.to = t.to;
	host = tcp_connect(&r, &t, listener);
	other = tcp_connect(&r, &u, listener);
	assert_int_equal(send(host, much, sizeof(much), 0), sizeof(much));
	assert_int_equal(lose(&r), MUCH);
	start = now_ms();
	path_again(&r);
	assert_int_equal(take(&r, &t, MUCH), MUCH);
	assert_true(now_ms() - start < LIMIT_MS);
	/* the other one had nothing on its way, and works */
	assert_int_equal(send(other, much, 100, 0), 100);
	assert_int_equal(take(&r, &u, 100), 100);
	close(host);
	close(other);
	close(listener);
	rig_close(&r);
}

/* A path that comes back while nothing was lost changes nothing. */
static void test_nothing_lost(void **state)
{
	static uint8_t much[MUCH];
	struct tcp t = {.port = 6000, .seq = 1000};
	int listener, host;
	struct rig r;

	(void)state;
	rig_open(&r, 8);
	listener = rig_host(false, SOCK_STREAM, &t.to);
	host = tcp_connect(&r, &t, listener);
	assert_int_equal(send(host, much, sizeof(much), 0), sizeof(much));
	assert_int_equal(take(&r, &t, MUCH), MUCH);
	path_again(&r);
	rig_nothing(&r);
	path_again(&r);
	assert_int_equal(send(host, much, 1000, 0), 1000);
	assert_int_equal(take(&r, &t, 1000), 1000);
	close(host);
	close(listener);
	rig_close(&r);
}

static void segment(uint8_t *pkt, bool to_node, uint32_t seq, uint32_t ack,
		    uint8_t flags, uint32_t payload)
{
	uint8_t *tcp = pkt + 40;

	memset(pkt, 0, 2048);
	pkt[0] = 0x60;
	put16(pkt + 4, 20 + payload);
	pkt[6] = IPPROTO_TCP;
	memcpy(pkt + 8, to_node ? rig_host6 : rig_node6, 16);
	memcpy(pkt + 24, to_node ? rig_node6 : rig_host6, 16);
	put16(tcp, to_node ? 80 : 6000);
	put16(tcp + 2, to_node ? 6000 : 80);
	put32(tcp + 4, seq);
	put32(tcp + 8, ack);
	tcp[12] = 0x50;
	tcp[13] = flags;
	put16(tcp + 14, 4321);
}

struct kept {
	struct recover_acks acks;
	size_t n;
};

static void keep(void *arg, const struct recover_acks *acks)
{
	struct kept *k = arg;

	k->acks = *acks;
	k->n++;
}

/* the acknowledgement that is repeated, of IPv6, around the end of the numbers */
static void test_made(void **state)
{
	struct recover_acks out;
	struct kept a = {.n = 0};
	uint8_t pkt[2048];
	struct recover *r;
	struct inner in;

	(void)state;
	assert_int_equal(recover_new(&r), 0);
#define SENT(...)                                                              \
	do {                                                                   \
		segment(pkt, true, __VA_ARGS__);                               \
		assert_int_equal(inner_parse(pkt, sizeof(pkt), &in), 0);       \
		recover_sent(r, pkt, &in);                                     \
	} while (0)
#define HEARD(...)                                                             \
	(segment(pkt, false, __VA_ARGS__),                                     \
	 inner_parse(pkt, sizeof(pkt), &in)                                    \
		 ? 0                                                           \
		 : recover_heard(r, pkt, &in, &out))
	SENT(0xfffffff0u, 101, 0x12, 0);
	assert_int_equal(HEARD(101, 0xfffffff1u, 0x10, 0), 0);
	recover_path(r, 1, keep, &a);
	assert_int_equal(a.n, 0); /* all is acknowledged */
	for (uint32_t i = 0; i < 3; i++)
		SENT(0xfffffff1u + i * 1000, 101, 0x10, 1000);
	assert_int_equal(HEARD(101, 0xfffffff1u, 0x18, 50), 0);
	recover_path(r, UINT64_C(1000000000), keep, &a);
	assert_int_equal(a.n, 1);
	for (int i = 0; i < RECOVER_ACKS; i++) {
		const uint8_t *ack = a.acks.pkt[i];

		assert_int_equal(inner_parse(ack, a.acks.len, &in), 0);
		assert_true(in.transport && inner_checksum_ok(ack, &in));
		assert_int_equal(get32(ack + 44), 151);
		assert_int_equal(get32(ack + 48), 0xfffffff1u);
		assert_int_equal(get16(ack + 54), i ? 4321 : 4320);
	}
	recover_path(r, UINT64_C(1001000000), keep, &a);
	assert_int_equal(a.n, 1); /* not twice at once */
	assert_int_equal(HEARD(151, 0xfffffff1u, 0x10, 0), 0); /* no news */
	assert_int_equal(HEARD(151, 985, 0x10, 0), 1);	       /* a part */
	assert_int_equal(get32(out.pkt[4] + 48), 985);
	assert_int_equal(HEARD(151, 5000, 0x10, 0), 0); /* never sent */
	assert_int_equal(HEARD(151, 2985, 0x10, 0), 0); /* all */
	assert_int_equal(HEARD(151, 2985, 0x14, 0), 0); /* reset: gone */
	SENT(2985, 151, 0x10, 10);
	recover_path(r, UINT64_C(2000000000), keep, &a);
	assert_int_equal(a.n, 1);
	recover_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_at_once),
		cmocka_unit_test(test_nothing_lost),
		cmocka_unit_test(test_made),
	};

	rig_network();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
