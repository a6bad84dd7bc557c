/* SPDX-License-Identifier: MIT */
/* test_stream - what goes in at one TUN comes out at the other, packet for packet */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fixture.h"

#define ROUNDS	  60
#define PER_ROUND 12

static uint64_t seed;
static struct packet_list sent, got;

static int setup(void **state)
{
	const char *given = getenv("TEST_SEED");

	seed = given ? strtoull(given, NULL, 0) : 20;
	print_message("TEST_SEED=%llu\n", (unsigned long long)seed);
	*state = calloc(1, sizeof(struct net));
	net_up(*state, true);
	return 0;
}

static int teardown(void **state)
{
	packet_list_clear(&sent);
	packet_list_clear(&got);
	net_down(*state);
	free(*state);
	return 0;
}

/* Write a packet at side 0 and note what it stands for. */
static void put(struct net *net, const struct spec *s)
{
	static uint8_t pkt[PACKET_BYTES];
	struct virtio_net_hdr vh;
	size_t len = packet_build(s, &vh, pkt);

	packet_expand(&vh, pkt, len, &sent);
	net_write(net, 0, &vh, pkt, len);
}

/* Return: writes that it took */
static size_t compare(struct net *net)
{
	size_t writes;

	net_settle(net);
	writes = net_collect(net, 1, &got);
	packet_lists_equal(&sent, &got);
	packet_list_clear(&sent);
	packet_list_clear(&got);
	return writes;
}

struct flow {
	struct spec s;
};

/* The next packet of a flow: bulk, a single, an ACK, an end, a retransmission. */
static void put_random(struct net *net, struct flow *f)
{
	struct spec *s = &f->s;
	uint32_t what = rnd(&seed) % 10;

	s->payload_seed = rnd(&seed);
	s->partial = rnd(&seed) % 8 != 0;
	s->gso = 0;
	s->flags = 0x10;
	s->ip_id++;
	s->payload = rnd(&seed) % 1200 + 1;
	if (what < 3 && s->partial) {
		s->gso = (uint16_t)(rnd(&seed) % 1000 + 200);
		s->payload = rnd(&seed) % 40000 + 1;
		if (s->proto == 17 && s->payload > s->gso * 60u)
			s->payload = s->gso * 60u;
	} else if (what == 4) {
		s->payload = 0;
		s->ack += rnd(&seed) % 3;
	} else if (what == 5) {
		s->flags |= rnd(&seed) % 2 ? 0x08 : 0x01;
	} else if (what == 6) {
		s->flags = (uint8_t)rnd(&seed);
		s->window++;
	} else if (what == 7) {
		s->seq -= 100;
	} else if (what == 8) {
		s->option_seed++;
	}
	put(net, s);
	s->seq += s->payload;
}

static void random_round(struct net *net)
{
	struct flow flows[6];

	for (int i = 0; i < 6; i++) {
		flows[i].s = net_spec(0, i % 2 ? 4 : 6, i < 4 ? 6 : 17, 0);
		flows[i].s.sport = (uint16_t)(1000 + i);
		flows[i].s.seq = rnd(&seed);
		flows[i].s.options = rnd(&seed) % 11 * 4;
		flows[i].s.tos = (uint8_t)(rnd(&seed) % 16 << 2);
	}
	for (int i = 0; i < PER_ROUND; i++) {
		int f = (int)(rnd(&seed) % 6), n = (int)(rnd(&seed) % 4);

		while (n-- >= 0)
			put_random(net, &flows[f]);
	}
	compare(net);
}

static void test_random(void **state)
{
	struct net *net = *state;

	for (int i = 0; i < ROUNDS; i++)
		random_round(net);
	assert_true(net_counters(net, 1).rx_packets > ROUNDS * PER_ROUND);
	assert_int_equal(net_counters(net, 1).queue_dropped, 0);
}

static void test_random_without_offloads(void **state)
{
	struct net *net = *state;

	net_offload(net, false, false, false);
	for (int i = 0; i < ROUNDS / 4; i++)
		random_round(net);
	net_offload(net, false, true, true);
	for (int i = 0; i < ROUNDS / 4; i++)
		random_round(net);
	net_offload(net, true, false, true);
	for (int i = 0; i < ROUNDS / 4; i++)
		random_round(net);
}

/* One large write becomes one large write. */
static void test_super_stays_super(void **state)
{
	struct net *net = *state;
	struct spec s = net_spec(0, 6, 6, 40 * 1300);

	s.gso = 1300;
	s.options = 12;
	s.flags |= 0x08;
	put(net, &s);
	assert_int_equal(compare(net), 1);
	s = net_spec(0, 4, 17, 30 * 1000 + 7);
	s.gso = 1000;
	put(net, &s);
	assert_int_equal(compare(net), 1);
	assert_int_equal(net_counters(net, 1).rx_packets, 40 + 31);
}

static void test_small_udp_joined(void **state)
{
	struct net *net = *state;
	struct spec s = net_spec(0, 4, 17, 92);

	for (int i = 0; i < 60; i++)
		put(net, &s);
	assert_int_equal(compare(net), 1);
}

/* The path is smaller than the kernel's segments: TCP is cut again. */
static void test_tcp_recut(void **state)
{
	struct net *net = *state;
	struct spec s = net_spec(0, 6, 6, 20000);
	uint32_t next = s.seq, bytes = 0;

	dp_tunnel_set_mtu(net->n[0].t, 1200);
	s.gso = 1356;
	s.flags |= 0x09;
	net_send(net, 0, &s);
	net_settle(net);
	net_collect(net, 1, &got);
	for (size_t i = 0; i < got.n; i++) {
		const uint8_t *p = got.p[i].bytes;
		uint32_t seq = (uint32_t)p[44] << 24 | p[45] << 16 |
			       p[46] << 8 | p[47];

		assert_true(got.p[i].checksum_ok);
		assert_true(got.p[i].len <= 1200 - PACKET_OVERHEAD);
		assert_int_equal(seq, next);
		assert_int_equal(p[53], i + 1 < got.n ? 0x10 : 0x19);
		next += got.p[i].len - 60u;
		bytes += got.p[i].len - 60u;
	}
	assert_int_equal(bytes, 20000);
	assert_int_equal(net_counters(net, 0).too_big, 0);
}

/* A single TCP packet that is too large, whole checksum and all. */
static void test_tcp_single_recut(void **state)
{
	struct net *net = *state;
	struct spec s = net_spec(0, 4, 6, 1300);

	dp_tunnel_set_mtu(net->n[0].t, 1200);
	s.partial = false;
	net_send(net, 0, &s);
	net_settle(net);
	net_collect(net, 1, &got);
	assert_int_equal(got.n, 2);
	assert_int_equal(got.p[0].len + got.p[1].len, 1300 + 2 * 40);
	assert_true(got.p[0].checksum_ok && got.p[1].checksum_ok);
}

/* A checksum that was wrong stays wrong, and alone. */
static void test_wrong_checksum_stays(void **state)
{
	static uint8_t pkt[PACKET_BYTES];
	struct net *net = *state;
	struct spec s = net_spec(0, 4, 17, 500);
	struct virtio_net_hdr vh;
	size_t len;

	s.partial = false;
	put(net, &s);
	len = packet_build(&s, &vh, pkt);
	pkt[100] ^= 1;
	packet_expand(&vh, pkt, len, &sent);
	assert_false(sent.p[1].checksum_ok);
	net_write(net, 0, &vh, pkt, len);
	put(net, &s);
	assert_int_equal(compare(net), 3);
}

static void test_other_protocols(void **state)
{
	static uint8_t pkt[PACKET_BYTES];
	struct net *net = *state;
	struct spec s = net_spec(0, 4, 17, 800);
	struct virtio_net_hdr vh;
	size_t len;

	s.partial = false;
	put(net, &s);
	s.proto = 1; /* ICMP, ports and all: content does not matter */
	len = packet_build(&s, &vh, pkt);
	packet_expand(&vh, pkt, len, &sent);
	net_write(net, 0, &vh, pkt, len);
	s.proto = 17;
	len = packet_build(&s, &vh, pkt);
	pkt[6] = 0x20; /* a first fragment */
	pkt[10] += 0x20;
	packet_expand(&vh, pkt, len, &sent);
	net_write(net, 0, &vh, pkt, len);
	assert_int_equal(compare(net), 3);
}

/* Loss and reordering outside must not disturb what the flows say: packets are
 * held back at the sender's kernel instead, which comes to the same. */
static void test_gap_ends_run(void **state)
{
	struct net *net = *state;
	struct spec s = net_spec(0, 6, 6, 1000);

	for (int i = 0; i < 10; i++) {
		if (i == 5)
			s.seq += 1000;
		put(net, &s);
		s.seq += 1000;
	}
	assert_int_equal(compare(net), 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_random, setup, teardown),
		cmocka_unit_test_setup_teardown(test_random_without_offloads,
						setup, teardown),
		cmocka_unit_test_setup_teardown(test_super_stays_super, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_small_udp_joined, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_tcp_recut, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_tcp_single_recut, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_wrong_checksum_stays,
						setup, teardown),
		cmocka_unit_test_setup_teardown(test_other_protocols, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_gap_ends_run, setup,
						teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
