/* SPDX-License-Identifier: MIT */
/* test_group - packets to a group: sealed once, taken once, whatever the ways */
#include "group_stage.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

/* --- there and back ---------------------------------------------------------------------- */

static void test_arrives(void **state)
{
	static const uint32_t sizes[] = {0, 1, 100, 1200};
	enum group_auth auth;

	(void)state;
	for (auth = GROUP_AUTH_MAC; auth <= GROUP_AUTH_BATCH; auth++) {
		struct stage *s = stage_open(auth);

		for (unsigned int k = 0; k < 4; k++) {
			for (int from = 0; from < 2; from++) {
				struct spec sp = stage_packet(
					from, k & 1 ? 6 : 4, sizes[k]);

				sp.partial = k & 2;
				net_send(&s->net, from, &sp);
				assert_int_equal(stage_get(s, !from), 1);
				stage_check(s, 0, &sp);
			}
		}
		assert_int_equal(stage_counters(s, 0).rx_packets, 4);
		assert_int_equal(stage_counters(s, 0).tx_packets, 4);
		/* person 2 has no tunnel, and was asked for at both ends */
		assert_true(stage_counters(s, 0).no_tunnel >= 4);
		assert_true(s->net.n[0].wants && s->net.n[1].wants);
		assert_int_equal(s->net.n[0].wanted, s->c.p[2].index);
		stage_close(s);
	}
}

static void test_super(void **state)
{
	struct stage *s = stage_open(GROUP_AUTH_MAC);
	struct spec sp = stage_packet(0, 6, 30000);

	(void)state;
	sp.gso = 1000;
	net_send(&s->net, 0, &sp);
	assert_int_equal(stage_get(s, 1), 30);
	for (size_t i = 0; i < 30; i++)
		assert_true(s->got.p[i].checksum_ok);
	assert_int_equal(stage_counters(s, 1).rx_packets, 30);
	stage_close(s);
}

/* what no datagram holds travels in fragments */
static void test_large(void **state)
{
	struct stage *s = stage_open(GROUP_AUTH_MAC);
	struct spec sp = stage_packet(0, 4, 1380);
	size_t sum = 0;

	(void)state;
	net_send(&s->net, 0, &sp); /* 1408 + 36 + 16 = 1460 > 1452 */
	assert_int_equal(stage_get(s, 1), 2);
	for (size_t i = 0; i < 2; i++)
		sum += s->got.p[i].len - 20u;
	assert_int_equal(sum, 1380 + 8);
	stage_close(s);
}

static void test_control(void **state)
{
	struct stage *s = stage_open(GROUP_AUTH_MAC);

	(void)state;
	assert_int_equal(dp_group_control(s->g[0], (uint8_t *)"hello", 5), 0);
	net_settle(&s->net);
	assert_int_equal(s->net.n[1].heard, 1);
	assert_int_equal(s->net.n[1].heard_of, s->c.p[0].index);
	assert_int_equal(s->net.n[1].control_len, 5);
	assert_memory_equal(s->net.n[1].control, "hello", 5);
	assert_int_equal(stage_get(s, 1), 0); /* nothing of it in the TUN */
	stage_close(s);
}

static void test_batch(void **state)
{
	struct stage *s = stage_open(GROUP_AUTH_BATCH);
	struct spec sp = stage_packet(0, 4, 64);

	(void)state;
	for (int i = 0; i < 40; i++)
		net_send(&s->net, 0, &sp);
	assert_int_equal(stage_get(s, 1), 40);
	assert_int_equal(stage_counters(s, 1).rx.signed_ok, 32);
	s->net.now += LOOP_MS(GROUP_BATCH_MS) + 1;
	net_settle(&s->net);
	assert_int_equal(stage_counters(s, 1).rx.signed_ok, 40);
	assert_int_equal(stage_counters(s, 1).rx.signed_bad, 0);
	stage_close(s);
}

/* --- tunnels ------------------------------------------------------------------------------- */

static void test_waits(void **state)
{
	struct stage *s = stage_open(GROUP_AUTH_MAC);
	struct spec sp = stage_packet(0, 6, 64);

	(void)state;
	dp_tunnel_hold(s->net.n[0].t);
	for (int i = 0; i < 3; i++)
		net_send(&s->net, 0, &sp);
	assert_int_equal(stage_get(s, 1), 0);
	assert_int_equal(stage_counters(s, 0).waited, 3);
	dp_tunnel_open(s->net.n[0].t, &s->net.n[1].at);
	assert_int_equal(stage_get(s, 1), 3);
	stage_check(s, 2, &sp);
	stage_close(s);
}

/* no relay passes on a group's datagram: it travels inside one of the tunnel */
static void test_relayed(void **state)
{
	struct stage *s = stage_open(GROUP_AUTH_MAC);
	struct spec sp = stage_packet(0, 6, 1200);
	struct dp_counters n;

	(void)state;
	dp_tunnel_set_relayed(s->net.n[0].t, true);
	net_send(&s->net, 0, &sp);
	assert_int_equal(stage_get(s, 1), 1);
	n = net_counters(&s->net, 1);
	assert_true(n.rx_datagrams > 0);   /* the tunnel's */
	assert_int_equal(n.rx_packets, 1); /* traffic, to keep the path by */
	/* and every one fits the path */
	sp.payload = 100;
	net_send(&s->net, 0, &sp);
	assert_int_equal(stage_get(s, 1), 1);
	stage_check(s, 0, &sp);
	stage_close(s);
}

static void test_asks(void **state)
{
	struct stage *s = stage_open(GROUP_AUTH_MAC);
	struct spec sp = stage_packet(0, 4, 64);
	unsigned int before;

	(void)state;
	for (int i = 0; i < 10; i++) {
		net_send(&s->net, 0, &sp);
		stage_get(s, 1);
	}
	assert_int_equal(s->net.n[0].wants, 1);
	before = s->net.n[0].wants;
	for (int i = 0; i < 60; i++) {
		s->net.now += LOOP_S(1);
		net_send(&s->net, 0, &sp);
		stage_get(s, 1);
	}
	/* after 1, 2, 4, 8, then each 16 s */
	assert_in_range(s->net.n[0].wants - before, 5, 8);
	stage_close(s);
}

/* a member that nobody has met: its first words are kept until it is */
static void test_missed(void **state)
{
	struct stage *s = stage_open(GROUP_AUTH_MAC);
	struct spec sp = stage_packet(0, 6, 64);

	(void)state;
	/* once more, without the addresses */
	dp_group_free(s->g[0]);
	assert_int_equal(dp_group_new(s->net.n[0].dp, &s->c.env, s, &s->g[0]),
			 0);
	assert_int_equal(dp_group_set_addresses(s->g[0], group6, group4), 0);
	stage_epoch(s, 0);
	dp_group_until(s->g[0], UINT64_MAX);
	for (int i = 0; i < 3; i++)
		net_send(&s->net, 0, &sp);
	assert_int_equal(stage_get(s, 1), 0);
	s->net.now += LOOP_S(1);
	dp_group_meet(s->g[0], s->c.p[1].index, vip6_b, vip4_b);
	assert_int_equal(stage_get(s, 1), 3);
	stage_check(s, 2, &sp);
	dp_group_meet(s->g[0], s->c.p[1].index, vip6_b, vip4_b);
	assert_int_equal(stage_get(s, 1), 0); /* once */
	stage_close(s);
}

static void test_frozen(void **state)
{
	struct stage *s = stage_open(GROUP_AUTH_MAC);
	struct spec sp = stage_packet(0, 4, 64);

	(void)state;
	dp_group_until(s->g[0], s->net.now + LOOP_S(10));
	net_send(&s->net, 0, &sp);
	assert_int_equal(stage_get(s, 1), 1);
	s->net.now += LOOP_S(11);
	net_send(&s->net, 0, &sp);
	assert_int_equal(stage_get(s, 1), 0);
	assert_int_equal(stage_counters(s, 0).frozen, 1);
	stage_close(s);
}

/* --- by a relay ------------------------------------------------------------------------------ */

/* once to the relay for who is there, to the others as ever; nobody gets it twice */
static void test_replicated(void **state)
{
	/* positions of persons 0, 1, 2: whom the relay has, whether it gets it */
	static const struct {
		uint8_t places;
		size_t by_relay;
		uint64_t straight;
	} cases[] = {{3, 1, 0}, {7, 1, 0}, {1, 0, 1}, {6, 0, 1}, {5, 1, 1}};
	enum group_auth auth;

	(void)state;
	for (auth = GROUP_AUTH_MAC; auth <= GROUP_AUTH_BATCH; auth++) {
		struct stage *s = stage_open(auth);
		uint64_t e = s->c.p[0].keys.epoch, was;
		struct spec sp = stage_packet(0, 4, 100);
		struct addr at;
		int fd = stage_relay(&at);

		for (unsigned int i = 0; i < 5; i++) {
			dp_group_relay(s->g[0], e, &at, &cases[i].places, 1);
			was = stage_counters(s, 0).tx_datagrams;
			sp.payload = 100 + i;
			net_send(&s->net, 0, &sp);
			net_settle(&s->net);
			assert_int_equal(stage_pass_on(s, fd, &s->c.p[0].keys),
					 cases[i].by_relay);
			assert_int_equal(stage_counters(s, 0).tx_datagrams -
						 was,
					 cases[i].straight);
			assert_int_equal(stage_get(s, 1), 1);
			stage_check(s, 0, &sp);
		}
		/* of another epoch, and of none */
		dp_group_relay(s->g[0], e, NULL, NULL, 0);
		dp_group_relay(s->g[0], e + 1, &at, &cases[0].places, 1);
		net_send(&s->net, 0, &sp);
		net_settle(&s->net);
		assert_int_equal(stage_pass_on(s, fd, &s->c.p[0].keys), 0);
		assert_int_equal(stage_get(s, 1), 1);
		assert_int_equal(stage_counters(s, 1).rx.replayed,
				 1); /* of the last */
		close(fd);
		stage_close(s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_arrives),
		cmocka_unit_test(test_super),
		cmocka_unit_test(test_large),
		cmocka_unit_test(test_control),
		cmocka_unit_test(test_batch),
		cmocka_unit_test(test_waits),
		cmocka_unit_test(test_relayed),
		cmocka_unit_test(test_asks),
		cmocka_unit_test(test_missed),
		cmocka_unit_test(test_frozen),
		cmocka_unit_test(test_replicated),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
