/* SPDX-License-Identifier: MIT */
/* test_tunnel - states, queueing, rejection, sizes, sources, what is reported */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "fixture.h"

/* --- waiting ------------------------------------------------------------------------ */

static void test_held_then_open(void **state)
{
	struct net *net = *state;
	struct spec s = net_spec(0, 6, 6, 30000);

	dp_tunnel_hold(net->n[0].t);
	assert_int_equal(dp_tunnel_state(net->n[0].t), DP_HELD);
	s.gso = 1000;
	net_send(net, 0, &s);
	s = net_spec(0, 4, 17, 100);
	net_send(net, 0, &s);
	assert_int_equal(net_get(net, 1), 0);
	dp_tunnel_open(net->n[0].t, &net->n[1].at);
	assert_int_equal(net_get(net, 1), 31);
	assert_int_equal(net_counters(net, 0).queue_dropped, 0);
}

static void test_queue_drops_oldest(void **state)
{
	struct net *net = *state;
	struct spec s = net_spec(0, 4, 17, 1000);
	unsigned int n = DP_QUEUE_BYTES / 1028 + 20;

	dp_tunnel_hold(net->n[0].t);
	for (unsigned int i = 0; i < n; i++) {
		s.dport = (uint16_t)i;
		net_send(net, 0, &s);
		if (i % 50 == 0)
			net_settle(net);
	}
	net_settle(net);
	assert_int_equal(net_counters(net, 0).queue_dropped, 20);
	dp_tunnel_open(net->n[0].t, &net->n[1].at);
	assert_int_equal(net_get(net, 1), n - 20);
	assert_int_equal(net_got.p[0].bytes[23],
			 20); /* the first that is left */
	assert_int_equal(net_got.p[0].bytes[22], 0);
}

static void test_new_packets_stay_behind(void **state)
{
	struct net *net = *state;
	struct spec s = net_spec(0, 4, 17, 100);

	dp_tunnel_hold(net->n[0].t);
	s.payload_seed = 1;
	net_send(net, 0, &s);
	net_settle(net);
	s.payload_seed = 2;
	net_send(net, 0, &s);
	dp_tunnel_open(net->n[0].t, &net->n[1].at);
	s.payload_seed = 3;
	net_send(net, 0, &s);
	assert_int_equal(net_get(net, 1), 3);
	for (int i = 0; i < 3; i++) {
		uint64_t seed = (uint64_t)i + 1;

		assert_int_equal(net_got.p[i].bytes[28], (uint8_t)rnd(&seed));
	}
}

static void test_budget(void **state)
{
	struct net *net = *state;
	struct spec s = net_spec(0, 4, 17, 100);

	dp_tunnel_set_budget(net->n[0].t, 600);
	for (int i = 0; i < 10; i++)
		net_send(net, 0, &s);
	assert_in_range(net_get(net, 1), 1, 600 / (128 + PACKET_OVERHEAD));
	assert_int_equal(net_counters(net, 1).rx_packets, 3);
	/* what is left of the first, and this */
	dp_tunnel_add_budget(net->n[0].t, 128 + PACKET_OVERHEAD);
	net_get(net, 1);
	assert_int_equal(net_counters(net, 1).rx_packets, 4);
	dp_tunnel_set_budget(net->n[0].t, UINT64_MAX);
	dp_tunnel_add_budget(net->n[0].t, 1);
	assert_true(net_get(net, 1) >= 6);
	assert_int_equal(net_counters(net, 1).rx_packets, 10);
}

/* The route goes away under a running stream: what the kernel refused waits. */
static void test_dead_route(void **state)
{
	struct net *net = *state;
	struct spec s = net_spec(0, 6, 6, 20000);
	struct addr nowhere;

	/* no IPv6 socket: the send fails as one without a route does */
	assert_int_equal(addr_parse("[2001:db8::1]:9", 0, &nowhere), 0);
	dp_tunnel_open(net->n[0].t, &nowhere);
	s.gso = 1000;
	net_send(net, 0, &s);
	net_settle(net);
	assert_int_equal(net->n[0].errors, 1);
	assert_int_equal(net->n[0].error, EAFNOSUPPORT);
	s.seq += s.payload;
	net_send(net, 0, &s);
	net_settle(net);
	assert_int_equal(net->n[0].errors, 1); /* rate-limited */
	dp_tunnel_open(net->n[0].t, &net->n[1].at);
	assert_int_equal(net_get(net, 1), 40);
	assert_int_equal(net_counters(net, 0).queue_dropped, 0);
}

/* A socket that is full stops the reading, and nothing is lost by it. */
static void test_back_pressure(void **state)
{
	struct net *net = *state;
	struct spec s = net_spec(0, 6, 6, 60000);
	unsigned int expect = 0;
	int small = 4096;

	assert_int_equal(setsockopt(net->n[0].udp, SOL_SOCKET, SO_SNDBUF,
				    &small, sizeof(small)),
			 0);
	s.gso = 1300;
	for (int i = 0; i < 20; i++) {
		net_send(net, 0, &s);
		s.seq += s.payload;
		expect += 47;
	}
	assert_int_equal(net_get(net, 1), expect);
	assert_int_equal(net_counters(net, 0).queue_dropped, 0);
}

/* A kernel that passed the test and refuses UDP_SEGMENT all the same. */
static void test_gso_refused(void **state)
{
	struct net *net = *state;
	struct spec s = net_spec(0, 6, 6, 60000);
	struct dp_totals n;
	int on = 1;

	/* without checksums Linux does not cut: EINVAL */
	assert_int_equal(setsockopt(net->n[0].udp, SOL_SOCKET, SO_NO_CHECK, &on,
				    sizeof(on)),
			 0);
	s.gso = 1300;
	net_send(net, 0, &s);
	net_send(net, 0, &s);
	assert_int_equal(net_get(net, 1), 2 * 47);
	datapath_totals(net->n[0].dp, &n);
	/* 45 segments fill a send: two runs of the first super-packet */
	assert_in_range(n.gso_fallbacks, 1, 2);
	assert_int_equal(n.gso_on, 0);
	assert_int_equal(net->n[0].errors, 0);
}

/* --- rejecting ------------------------------------------------------------------------- */

static void assert_unreachable(const struct packet *p, unsigned int version)
{
	const uint8_t *icmp = p->bytes + (version == 4 ? 20 : 40);

	assert_int_equal(p->bytes[0] >> 4, version);
	assert_int_equal(icmp[0], version == 4 ? 3 : 1);
	assert_int_equal(icmp[1], version == 4 ? 1 : 3);
}

static void test_no_tunnel_rejected(void **state)
{
	struct net *net = *state;
	struct spec s = net_spec(0, 4, 6, 0);

	s.flags = 2;
	net_send(net, 0, &s);
	assert_int_equal(net_get(net, 0), 1);
	assert_unreachable(&net_got.p[0], 4);
	assert_memory_equal(net_got.p[0].bytes + 12, vip4_b, 4);
	assert_memory_equal(net_got.p[0].bytes + 16, vip4_a, 4);
	s = net_spec(0, 6, 6, 0);
	net_send(net, 0, &s);
	assert_int_equal(net_get(net, 0), 1);
	assert_unreachable(&net_got.p[0], 6);
	assert_memory_equal(net_got.p[0].bytes + 8, vip6_b, 16);
	assert_int_equal(net->n[0].asked, 2);
}

static void test_no_tunnel_accepted(void **state)
{
	struct net *net = *state;
	struct spec s = net_spec(0, 6, 6, 0);

	net->n[0].accept = true;
	net_send(net, 0, &s);
	assert_int_equal(net_get(net, 0), 0);
	assert_int_equal(net->n[0].asked, 1);
	net_send(net, 0, &s);
	net_settle(net);
	assert_int_equal(net->n[0].asked, 1); /* it has one now */
	dp_tunnel_close(net->n[0].t, true);
	assert_int_equal(net_get(net, 0), 2);
	assert_unreachable(&net_got.p[0], 6);
	assert_unreachable(&net_got.p[1], 6);
}

static void test_kernel_chatter_is_no_contact(void **state)
{
	static const uint8_t group[16] = {0xff, 2, [15] = 2};
	static const uint8_t local[16] = {0xfe, 0x80, [15] = 2};
	static const uint8_t mdns[4] = {224, 0, 0, 251};
	struct net *net = *state;
	struct spec s = net_spec(0, 6, 17, 10);

	s.dst = group;
	net_send(net, 0, &s);
	s.dst = local;
	net_send(net, 0, &s);
	s = net_spec(0, 4, 17, 10);
	s.dst = mdns;
	net_send(net, 0, &s);
	assert_int_equal(net_get(net, 0), 0);
	assert_int_equal(net->n[0].asked, 0);
}

/* --- addresses ----------------------------------------------------------------------------- */

static void test_source_outside_lease(void **state)
{
	static const uint8_t other6[16] = {0xfd, 0x6e, [15] = 0xc};
	static const uint8_t other4[4] = {198, 18, 0, 9};
	struct net *net = *state;
	struct spec s = net_spec(0, 6, 17, 10);

	s.src = other6;
	net_send(net, 0, &s);
	s = net_spec(0, 4, 17, 10);
	s.src = other4;
	net_send(net, 0, &s);
	assert_int_equal(net_get(net, 1), 0);
	assert_int_equal(net_counters(net, 0).bad_lease, 2);
}

/* A peer that sends in another's name, or to another. */
static void test_forged_inner_addresses(void **state)
{
	static const uint8_t other6[16] = {0xfd, 0x6e, [15] = 0xc};
	static const uint8_t other4[4] = {198, 18, 0, 9};
	struct net *net = *state;
	struct spec s = net_spec(0, 6, 17, 10);

	datapath_set_lease(net->n[0].dp, other6, other4);
	s.src = other6;
	net_send(net, 0, &s);
	s = net_spec(0, 4, 17, 10);
	s.src = other4;
	net_send(net, 0, &s);
	assert_int_equal(net_get(net, 1), 0);
	assert_int_equal(net_counters(net, 1).bad_source, 2);
	datapath_set_lease(net->n[0].dp, vip6_a, vip4_a);
	datapath_set_lease(net->n[1].dp, other6, other4);
	s = net_spec(0, 4, 17, 10);
	net_send(net, 0, &s);
	assert_int_equal(net_get(net, 1), 0);
	assert_int_equal(net_counters(net, 1).bad_lease, 1);
}

static void test_one_tunnel_an_address(void **state)
{
	static const uint8_t none[16];
	struct net *net = *state;
	struct dp_tunnel *t = NULL;
	struct addr vip;

	assert_int_equal(dp_tunnel_new(net->n[0].dp, vip6_b, none, NULL, &t),
			 -NTM_EEXISTS);
	assert_int_equal(dp_tunnel_new(net->n[0].dp, none, vip4_b, NULL, &t),
			 -NTM_EEXISTS);
	assert_int_equal(addr_from_ip(vip4_b, 4, 0, &vip), 0);
	assert_true(dp_tunnel_find(net->n[0].dp, &vip, &t));
	assert_ptr_equal(t, net->n[0].t);
	assert_ptr_equal(dp_tunnel_arg(t), &net->n[0]);
	assert_int_equal(addr_from_ip(vip4_a, 4, 0, &vip), 0);
	assert_false(dp_tunnel_find(net->n[0].dp, &vip, &t));
	dp_tunnel_close(net->n[0].t, false);
	assert_int_equal(dp_tunnel_new(net->n[0].dp, vip6_b, vip4_b, NULL, &t),
			 0);
}

/* --- sizes ------------------------------------------------------------------------------------ */

static void test_parts(void **state)
{
	struct net *net = *state;
	unsigned int sizes[] = {1165, 1166, 1279, 1280};
	struct spec s;

	for (int i = 0; i < 2; i++)
		dp_tunnel_set_mtu(net->n[i].t, 1200);
	for (unsigned int i = 0; i < 4; i++) {
		s = net_spec(0, 6, 17, sizes[i] - 48);
		net_send(net, 0, &s);
		s.partial = false;
		net_send(net, 0, &s);
	}
	assert_int_equal(net_get(net, 1), 8);
	for (unsigned int i = 0; i < 8; i++) {
		assert_true(net_got.p[i].checksum_ok);
		assert_int_equal(net_got.p[i].len, sizes[i / 2]);
	}
	assert_int_equal(net_counters(net, 0).parts, 8);
	assert_int_equal(net_counters(net, 1).parts, 8);
	/* the smallest path there is */
	dp_tunnel_set_mtu(net->n[0].t, 1);
	s = net_spec(0, 4, 17, 1280 - 28);
	net_send(net, 0, &s);
	assert_int_equal(net_get(net, 1), 1);
	assert_int_equal(net_got.p[0].len, 1280);
	assert_true(net_got.p[0].checksum_ok);
}

static void test_packet_too_big(void **state)
{
	struct net *net = *state;
	struct spec s = net_spec(0, 6, 17, 1281 - 48);
	const uint8_t *icmp;

	dp_tunnel_set_mtu(net->n[0].t, 1200);
	net_send(net, 0, &s);
	assert_int_equal(net_get(net, 0), 1);
	icmp = net_got.p[0].bytes + 40;
	assert_int_equal(icmp[0], 2);
	assert_int_equal(icmp[6] << 8 | icmp[7], 1280);
	assert_memory_equal(net_got.p[0].bytes + 8, vip6_b, 16);
	dp_tunnel_set_mtu(net->n[0].t, 1400);
	s = net_spec(0, 4, 17, 1365 - 28);
	net_send(net, 0, &s);
	assert_int_equal(net_get(net, 0), 1);
	icmp = net_got.p[0].bytes + 20;
	assert_int_equal(icmp[0], 3);
	assert_int_equal(icmp[1], 4);
	assert_int_equal(icmp[6] << 8 | icmp[7], 1364);
	/* a UDP super-packet whose pieces are too large */
	s = net_spec(0, 4, 17, 6000);
	s.gso = 1350;
	net_send(net, 0, &s);
	assert_int_equal(net_get(net, 0), 1);
	assert_int_equal(net_got.p[0].bytes[21], 4);
	assert_int_equal(net_counters(net, 0).too_big, 3);
	assert_int_equal(net_get(net, 1), 0);
}

/* --- reports ---------------------------------------------------------------------------------- */

static void test_control(void **state)
{
	struct net *net = *state;
	uint8_t msg[3] = {1, 2, 3};

	assert_int_equal(dp_tunnel_send_control(net->n[0].t, msg, 3, NULL), 0);
	assert_int_equal(
		dp_tunnel_send_control(net->n[0].t, msg, 0, &net->n[1].at), 0);
	net_settle(net);
	assert_int_equal(net->n[1].controls, 2);
	assert_int_equal(net->n[1].control_len, 0);
	assert_memory_equal(net->n[1].control, msg, 3);
	assert_int_equal(net_get(net, 1), 0);
	assert_int_equal(
		dp_tunnel_send_control(net->n[0].t, msg, PACKET_DATA_MAX, NULL),
		-NTM_ETOOBIG);
}

static void test_closed_inside_a_report(void **state)
{
	struct net *net = *state;
	struct spec s = net_spec(0, 4, 17, 100);
	uint8_t msg[1] = {0};

	net->n[1].close_in_control = true;
	assert_int_equal(dp_tunnel_send_control(net->n[0].t, msg, 1, NULL), 0);
	for (int i = 0; i < 5; i++)
		net_send(net, 0, &s);
	assert_int_equal(net_get(net, 1), 0);
	assert_int_equal(net->n[1].controls, 1);
	assert_true(net->n[1].unknowns > 0);
}

static void test_moved(void **state)
{
	struct net *net = *state;
	struct spec s = net_spec(0, 4, 17, 100);
	struct addr elsewhere;

	assert_int_equal(addr_parse("127.0.0.1:9", 0, &elsewhere), 0);
	dp_tunnel_open(net->n[1].t, &elsewhere);
	/* a control message is a probe: it moves nobody */
	assert_int_equal(dp_tunnel_send_control(net->n[0].t, NULL, 0, NULL), 0);
	net_settle(net);
	assert_int_equal(net->n[1].controls, 1);
	assert_int_equal(net->n[1].moves, 0);
	for (int i = 0; i < 3; i++)
		net_send(net, 0, &s);
	assert_int_equal(net_get(net, 1), 3);
	assert_int_equal(net->n[1].moves, 1); /* once a turn */
	assert_true(addr_equal(&net->n[1].moved_to, &net->n[0].at));
}

static void test_signals_and_strangers(void **state)
{
	struct net *net = *state;
	struct packet_header h = {.type = PACKET_SIGNAL};
	struct dp_totals n;
	uint8_t buf[100] = {0};

	packet_header_put(&h, buf);
	assert_int_equal(
		datapath_send(net->n[0].dp, buf, sizeof(buf), &net->n[1].at),
		0);
	net_settle(net);
	assert_int_equal(net->n[1].signals, 1);
	h.type = PACKET_DATA;
	h.id = 99;
	packet_header_put(&h, buf);
	for (int i = 0; i < 100; i++)
		assert_int_equal(datapath_send(net->n[0].dp, buf, sizeof(buf),
					       &net->n[1].at),
				 0);
	assert_int_equal(datapath_send(net->n[0].dp, buf, 10, &net->n[1].at),
			 0);
	net_settle(net);
	assert_int_equal(net->n[1].unknowns,
			 100); /* the owner limits, per peer */
	datapath_totals(net->n[1].dp, &n);
	assert_int_equal(n.unknown_path, 100);
	assert_int_equal(n.malformed, 1);
	assert_int_equal(n.gso_on, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f)	cmocka_unit_test_setup_teardown(f, net_setup, net_teardown)
#define BARE(f) cmocka_unit_test_setup_teardown(f, net_setup_bare, net_teardown)
		T(test_held_then_open),
		T(test_queue_drops_oldest),
		T(test_new_packets_stay_behind),
		T(test_budget),
		T(test_dead_route),
		T(test_back_pressure),
		T(test_gso_refused),
		BARE(test_no_tunnel_rejected),
		BARE(test_no_tunnel_accepted),
		BARE(test_kernel_chatter_is_no_contact),
		T(test_source_outside_lease),
		T(test_forged_inner_addresses),
		T(test_one_tunnel_an_address),
		T(test_parts),
		T(test_packet_too_big),
		T(test_control),
		T(test_closed_inside_a_report),
		T(test_moved),
		T(test_signals_and_strangers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
