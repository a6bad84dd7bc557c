/* SPDX-License-Identifier: MIT */
/* test_keys - key phases, counters, replay, forgery, ECN, malformed content */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "broker/datapath/seal.h"
#include "fixture.h"

#define DATAGRAM 2048

/* A datagram as side 0 would seal it, of a UDP packet to side 1. */
static size_t make(struct net *net, uint8_t flags, uint8_t tos, uint8_t *out)
{
	struct spec s = net_spec(0, 4, 17, 100);
	struct virtio_net_hdr vh;
	uint8_t pkt[DATAGRAM];
	size_t len;

	s.tos = tos;
	len = packet_build(&s, &vh, pkt);
	return seal_datagram(net->n[0].t, flags, NULL, 0, pkt, len, out);
}

static void deliver(struct net *net, const uint8_t *datagram, size_t len)
{
	assert_int_equal(
		datapath_send(net->n[0].dp, datagram, len, &net->n[1].at), 0);
}

static void test_replay(void **state)
{
	struct net *net = *state;
	uint8_t d[10][DATAGRAM];
	size_t len[10];

	for (int i = 0; i < 10; i++)
		len[i] = make(net, PACKET_NOCSUM, 0, d[i]);
	for (int i = 9; i >= 0; i--) /* late is fine, twice is not */
		deliver(net, d[i], len[i]);
	assert_int_equal(net_get(net, 1), 10);
	for (int i = 0; i < 10; i++)
		deliver(net, d[i], len[i]);
	assert_int_equal(net_get(net, 1), 0);
	/* the opened copies went back sealed: d[] is ours, so all are replays */
	assert_int_equal(net_counters(net, 1).replayed, 10);
}

static void test_too_old(void **state)
{
	struct net *net = *state;
	uint8_t old[DATAGRAM], young[DATAGRAM];
	size_t len = make(net, PACKET_NOCSUM, 0, old);

	net->n[0].t->send->counter += NTMC_REPLAY_WINDOW + 64;
	deliver(net, young, make(net, PACKET_NOCSUM, 0, young));
	assert_int_equal(net_get(net, 1), 1);
	deliver(net, old, len);
	assert_int_equal(net_get(net, 1), 0);
	assert_int_equal(net_counters(net, 1).replayed, 1);
}

/* Every byte counts; a forged counter does not move the window. */
static void test_forged(void **state)
{
	struct net *net = *state;
	uint8_t d[DATAGRAM], bad[DATAGRAM];
	size_t len = make(net, PACKET_NOCSUM, 0, d);
	struct dp_totals n;

	for (size_t i = 0; i < len; i++) {
		memcpy(bad, d, len);
		bad[i] ^= 0x10;
		deliver(net, bad, len);
	}
	for (size_t i = 0; i < len; i++)
		deliver(net, d, i);
	assert_int_equal(net_get(net, 1), 0);
	assert_int_equal(net_counters(net, 1).rx_datagrams, 0);
	datapath_totals(net->n[1].dp, &n);
	assert_true(n.sum.bad_auth > 100);
	deliver(net, d, len);
	assert_int_equal(net_get(net, 1), 1);
}

static void test_confirmation(void **state)
{
	struct net *net = *state;
	struct spec s = net_spec(1, 4, 17, 100);

	/* side 1 answers a handshake: it keeps sending under phase 1 */
	net_keys(net, 1, 2, false);
	net_send(net, 1, &s);
	assert_int_equal(net_get(net, 0), 1);
	assert_int_equal(net->n[1].t->send->phase, 1);
	/* side 0 began it: it moves at once, and that confirms */
	net_keys(net, 0, 2, true);
	assert_int_equal(net->n[0].t->send->phase, 2);
	assert_int_equal(dp_tunnel_send_control(net->n[0].t, NULL, 0, NULL), 0);
	net_settle(net);
	assert_int_equal(net->n[1].confirms, 1);
	assert_int_equal(net->n[1].confirmed_phase, 2);
	assert_int_equal(net->n[1].t->send->phase, 2);
	/* once only, and the older keys still open */
	assert_int_equal(dp_tunnel_send_control(net->n[0].t, NULL, 0, NULL), 0);
	net->n[0].t->send = net->n[0].t->phase[1];
	assert_int_equal(dp_tunnel_send_control(net->n[0].t, NULL, 0, NULL), 0);
	net_settle(net);
	assert_int_equal(net->n[1].controls, 3);
	assert_int_equal(net->n[1].confirms,
			 2); /* of phase 1, also new to it */
	assert_int_equal(net->n[1].t->send->phase, 2);
}

static void test_waits_for_confirmation(void **state)
{
	struct net *net = *state;
	struct spec s = net_spec(1, 4, 17, 100);

	dp_tunnel_close(net->n[1].t, false);
	net_tunnel(net, 1);
	net_keys(net, 1, 1, false);
	dp_tunnel_open(net->n[1].t, &net->n[0].at);
	net_send(net, 1, &s);
	assert_int_equal(net_get(net, 0), 0);
	assert_int_equal(dp_tunnel_send_control(net->n[1].t, NULL, 0, NULL),
			 -NTM_ESTATE);
	assert_int_equal(dp_tunnel_send_control(net->n[0].t, NULL, 0, NULL), 0);
	assert_int_equal(net_get(net, 0), 1);
}

static void test_three_phases(void **state)
{
	struct net *net = *state;
	uint8_t phases[3];
	uint8_t d[DATAGRAM];
	size_t len = make(net, PACKET_NOCSUM, 0, d);

	for (uint8_t p = 2; p <= 4; p++)
		net_keys(net, 1, p, true);
	assert_int_equal(dp_tunnel_phases(net->n[1].t, phases), 3);
	assert_int_equal(phases[0], 4);
	assert_int_equal(phases[2], 2);
	deliver(net, d, len); /* phase 1 is gone */
	assert_int_equal(net_get(net, 1), 0);
	assert_int_equal(net_counters(net, 1).no_keys, 1);
	assert_int_equal(net->n[1].unknowns, 1);
	dp_tunnel_drop_old_keys(net->n[1].t);
	assert_int_equal(dp_tunnel_phases(net->n[1].t, phases), 1);
	assert_int_equal(phases[0], 4);
	/* what is not confirmed yet is not old */
	net_keys(net, 1, 12, false);
	dp_tunnel_drop_old_keys(net->n[1].t);
	assert_int_equal(dp_tunnel_phases(net->n[1].t, phases), 2);
	assert_int_equal(phases[0], 12);
	/* the sending phase outlives newer ones that nobody confirmed */
	for (uint8_t p = 5; p <= 8; p++)
		net_keys(net, 1, p, false);
	assert_int_equal(dp_tunnel_phases(net->n[1].t, phases), 3);
	assert_int_equal(net->n[1].t->send->phase, 4);
	assert_int_equal(phases[0], 8);
	/* the same number again replaces */
	net_keys(net, 1, 8, true);
	assert_int_equal(dp_tunnel_phases(net->n[1].t, phases), 3);
	assert_int_equal(net->n[1].t->send->counter, 0);
}

static void test_rekey_and_stop(void **state)
{
	struct net *net = *state;
	struct spec s = net_spec(0, 4, 17, 100);

	net->n[0].t->send->counter = DP_REKEY_PACKETS - 2;
	net_send(net, 0, &s);
	assert_int_equal(net_get(net, 1), 1);
	assert_int_equal(net->n[0].rekeys, 0);
	for (int i = 0; i < 3; i++)
		net_send(net, 0, &s);
	assert_int_equal(net_get(net, 1), 3);
	assert_int_equal(net->n[0].rekeys, 1);
	net->n[0].t->send->counter = DP_STOP_PACKETS - 1;
	net_send(net, 0, &s);
	net_send(net, 0, &s);
	assert_int_equal(net_get(net, 1), 1);
	assert_int_equal(dp_tunnel_send_control(net->n[0].t, NULL, 0, NULL),
			 -NTM_ESTATE);
	net_keys(net, 1, 2, false);
	net_keys(net, 0, 2, true); /* the waiting one leaves */
	assert_int_equal(net_get(net, 1), 1);
	assert_int_equal(net->n[0].rekeys, 1);
}

/* Congestion marked outside: RFC 6040. */
static void test_ecn(void **state)
{
	struct net *net = *state;
	uint8_t d[DATAGRAM];
	int tos = 3;
	struct spec s = net_spec(0, 4, 17, 100);

	s.tos = 0xb8 | 2; /* ECT(0), and a DSCP that stays inside */
	net_send(net, 0, &s);
	assert_int_equal(net_get(net, 1), 1);
	assert_int_equal(net_got.p[0].bytes[1], 0xba);
	assert_int_equal(setsockopt(net->n[0].udp, IPPROTO_IP, IP_TOS, &tos,
				    sizeof(tos)),
			 0);
	deliver(net, d, make(net, PACKET_NOCSUM, 0xba, d));
	assert_int_equal(net_get(net, 1), 1);
	assert_int_equal(net_got.p[0].bytes[1], 0xbb);
	deliver(net, d, make(net, PACKET_NOCSUM, 0xb8, d)); /* cannot say */
	assert_int_equal(net_get(net, 1), 0);
	/* what we send carries the mark outside: the sender's option loses */
	s.tos = 1;
	net_send(net, 0, &s);
	assert_int_equal(net_get(net, 1), 1);
	assert_int_equal(net_got.p[0].bytes[1], 1);
}

static void test_malformed_content(void **state)
{
	static const uint8_t flags[] = {
		PACKET_CONTROL | PACKET_PART,
		PACKET_LAST,
		PACKET_INNER | PACKET_PART,
		0x20,
		0x80,
		PACKET_PART, /* whose offset is not 0 */
	};
	struct net *net = *state;
	struct dp_totals n;
	uint8_t d[DATAGRAM], junk[64] = {0x45};
	size_t len;

	for (size_t i = 0; i < sizeof(flags); i++)
		deliver(net, d, make(net, flags[i], 0, d));
	len = seal_datagram(net->n[0].t, 0, NULL, 0, junk, sizeof(junk), d);
	deliver(net, d, len);
	len = seal_datagram(net->n[0].t, 0, NULL, 0, NULL, 0, d);
	deliver(net, d, len);
	/* ICMP has no checksum that a receiver could complete */
	junk[0] = 0x60;
	junk[5] = 24;
	junk[6] = 58;
	len = seal_datagram(net->n[0].t, PACKET_NOCSUM, NULL, 0, junk,
			    sizeof(junk), d);
	deliver(net, d, len);
	assert_int_equal(net_get(net, 1), 0);
	datapath_totals(net->n[1].dp, &n);
	assert_int_equal(n.malformed, sizeof(flags) + 3);
}

/* Bytes behind the inner packet are padding. */
static void test_padding(void **state)
{
	struct net *net = *state;
	struct spec s = net_spec(0, 6, 6, 100);
	struct virtio_net_hdr vh;
	uint8_t pkt[DATAGRAM], d[DATAGRAM];
	size_t len = packet_build(&s, &vh, pkt);

	memset(pkt + len, 0xee, 50);
	len = seal_datagram(net->n[0].t, PACKET_NOCSUM, NULL, 0, pkt, len + 50,
			    d);
	deliver(net, d, len);
	assert_int_equal(net_get(net, 1), 1);
	assert_int_equal(net_got.p[0].len, 160);
	assert_true(net_got.p[0].checksum_ok);
}

/* Too old to carry anything; a newer phase waits for its first packet. */
static void test_stop(void **state)
{
	struct net *net = *state;
	struct spec s = net_spec(1, 4, 17, 100);
	uint8_t phases[3];

	net_keys(net, 1, 2, false);
	dp_tunnel_stop(net->n[1].t);
	assert_int_equal(dp_tunnel_phases(net->n[1].t, phases), 1);
	assert_int_equal(phases[0], 2);
	assert_int_equal(dp_tunnel_send_control(net->n[1].t, NULL, 0, NULL),
			 -NTM_ESTATE);
	net_send(net, 1, &s);
	assert_int_equal(net_get(net, 0), 0);
	dp_tunnel_stop(net->n[1].t); /* there is none any more */
	assert_int_equal(dp_tunnel_phases(net->n[1].t, phases), 1);
	/* the peer has the new keys: what waited goes out */
	net_keys(net, 0, 2, true);
	assert_int_equal(dp_tunnel_send_control(net->n[0].t, NULL, 0, NULL), 0);
	net_settle(net);
	assert_int_equal(net->n[1].confirms, 1);
	assert_int_equal(net_get(net, 0), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, net_setup, net_teardown)
		T(test_replay),
		T(test_too_old),
		T(test_forged),
		T(test_confirmation),
		T(test_waits_for_confirmation),
		T(test_three_phases),
		T(test_rekey_and_stop),
		T(test_stop),
		T(test_ecn),
		T(test_malformed_content),
		T(test_padding),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
