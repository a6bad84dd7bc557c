/* SPDX-License-Identifier: MIT */
/* test_tail - the last TCP segment is sent again when a tunnel is opened anew */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fixture.h"

/* Open again, and collect what the other side gets by that alone. */
static size_t reopen(struct net *net)
{
	net_get(net, 1);
	dp_tunnel_open(net->n[0].t, &net->n[1].at);
	return net_get(net, 1);
}

static void same_packet(const struct packet *p, const uint8_t *bytes,
			size_t len)
{
	assert_int_equal(p->len, len);
	assert_true(p->checksum_ok);
	assert_memory_equal(p->bytes, bytes, len);
}

/* The last segment of what was sent last, byte for byte, each time. */
static void tail_of(struct net *net, unsigned int version, uint16_t gso,
		    uint32_t payload)
{
	struct spec s = net_spec(0, version, 6, payload);
	struct dp_counters n = net_counters(net, 0);
	struct packet last;

	s.gso = gso;
	net_send(net, 0, &s);
	net_get(net, 1);
	last = net_got.p[net_got.n - 1];
	last.bytes = memcpy(malloc(last.len), last.bytes, last.len);
	for (unsigned int i = 1; i <= 2; i++) {
		assert_int_equal(reopen(net), 1);
		same_packet(&net_got.p[0], last.bytes, last.len);
		assert_int_equal(net_counters(net, 0).tails, n.tails + i);
	}
	free(last.bytes);
}

static void test_tail_is_sent_again(void **state)
{
	tail_of(*state, 6, 0, 700);
	tail_of(*state, 4, 0, 700);
	tail_of(*state, 6, 1000, 20300);
	tail_of(*state, 4, 1000, 20300);
	/* cut here, not by the sender: the last piece */
	dp_tunnel_set_mtu(((struct net *)*state)->n[0].t, 1000);
	tail_of(*state, 6, 0, 1100);
	assert_int_equal(net_counters(*state, 1).replayed, 0);
}

/* Nothing that would arrive twice, opens, breaks, or only acknowledges. */
static void test_tail_is_data_of_tcp_alone(void **state)
{
	struct net *net = *state;
	struct spec s = net_spec(0, 4, 17, 700);

	net_send(net, 0, &s); /* UDP */
	assert_int_equal(reopen(net), 0);
	s = net_spec(0, 4, 6, 0);
	net_send(net, 0, &s); /* no payload */
	assert_int_equal(reopen(net), 0);
	s = net_spec(0, 4, 6, 100);
	s.flags = 0x12; /* SYN, ACK */
	net_send(net, 0, &s);
	assert_int_equal(reopen(net), 0);
	s.flags = 0x14; /* RST, ACK */
	net_send(net, 0, &s);
	assert_int_equal(reopen(net), 0);
	assert_int_equal(net_counters(net, 0).tails, 0);
	s.flags = 0x10;
	net_send(net, 0, &s);
	assert_int_equal(reopen(net), 1);
}

static void test_tail_ages(void **state)
{
	struct net *net = *state;
	struct spec s = net_spec(0, 6, 6, 500);

	net_send(net, 0, &s);
	net_get(net, 1);
	net->now += LOOP_S(899);
	assert_int_equal(reopen(net), 1); /* which makes it no younger */
	net->now += LOOP_S(1);
	assert_int_equal(reopen(net), 0);
}

/* Queued data is sent anyway, and says as much; the tail waits for the budget. */
static void test_tail_beside_queue_and_budget(void **state)
{
	struct net *net = *state;
	struct spec s = net_spec(0, 6, 6, 500);

	net_send(net, 0, &s);
	net_get(net, 1);
	dp_tunnel_hold(net->n[0].t);
	s.seq += 500;
	net_send(net, 0, &s);
	assert_int_equal(reopen(net), 1);
	assert_int_equal(net_counters(net, 0).tails, 0);
	dp_tunnel_set_budget(net->n[0].t, 100);
	assert_int_equal(reopen(net), 0);
	dp_tunnel_set_budget(net->n[0].t, UINT64_MAX);
	assert_int_equal(net_get(net, 1), 1);
	assert_int_equal(net_counters(net, 0).tails, 1);
	dp_tunnel_set_budget(net->n[0].t, UINT64_MAX);
	assert_int_equal(net_get(net, 1), 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, net_setup, net_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_tail_is_sent_again),
		T(test_tail_is_data_of_tcp_alone),
		T(test_tail_ages),
		T(test_tail_beside_queue_and_budget),
	};

	return cmocka_run_group_tests_name("tail", tests, NULL, NULL);
}
