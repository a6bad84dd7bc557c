/* SPDX-License-Identifier: MIT */
/* test_group_heard - whom a member hears in a group, and what others cost it */
#include "group_stage.h"

#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void test_sources(void **state)
{
	struct stage *s = stage_open(GROUP_AUTH_MAC);
	struct group_sender *tx = stage_sender(s, 0);
	struct spec sp = stage_packet(0, 4, 64);
	uint8_t b[2048];

	(void)state;
	stage_inject(s, b, stage_sealed(tx, &sp, b));
	assert_int_equal(stage_get(s, 1), 1);
	sp.src = stranger4; /* a member that says to be another node */
	stage_inject(s, b, stage_sealed(tx, &sp, b));
	assert_int_equal(stage_counters(s, 1).bad_source, 1);
	sp = net_spec(0, 4, IPPROTO_UDP, 64); /* to us, not to the group */
	stage_inject(s, b, stage_sealed(tx, &sp, b));
	assert_int_equal(stage_counters(s, 1).bad_destination, 1);
	sp = stage_packet(0, 4, 64);
	sp.proto = IPPROTO_TCP;
	stage_inject(s, b, stage_sealed(tx, &sp, b));
	assert_int_equal(stage_counters(s, 1).malformed, 1);
	assert_int_equal(stage_get(s, 1), 0);
	group_sender_free(tx);

	/* one whose addresses nobody has shown us */
	tx = stage_sender(s, 2);
	sp = stage_packet(0, 4, 64);
	stage_inject(s, b, stage_sealed(tx, &sp, b));
	assert_int_equal(stage_counters(s, 1).unmet, 1);
	assert_int_equal(s->net.n[1].wanted, s->c.p[2].index);
	assert_int_equal(stage_get(s, 1), 0);
	group_sender_free(tx);
	stage_close(s);
}

static void test_replays(void **state)
{
	struct stage *s = stage_open(GROUP_AUTH_MAC);
	struct group_sender *tx = stage_sender(s, 0);
	struct spec sp = stage_packet(0, 4, 64);
	uint8_t b[2048], bad[2048];
	size_t len = stage_sealed(tx, &sp, b);

	(void)state;
	stage_inject(s, b, len);
	assert_int_equal(stage_get(s, 1), 1);
	stage_inject(s, b, len);
	assert_int_equal(stage_get(s, 1), 0);
	assert_int_equal(stage_counters(s, 1).rx.replayed, 1);
	len = stage_sealed(tx, &sp, b);
	for (size_t i = 0; i < len; i++) {
		memcpy(bad, b, len);
		bad[i] ^= 1;
		stage_inject(s, bad, len);
		stage_inject(s, b, i);
	}
	assert_int_equal(stage_get(s, 1), 0);
	stage_inject(s, b, len);
	assert_int_equal(stage_get(s, 1), 1);
	group_sender_free(tx);
	stage_close(s);
}

/* strangers: a look-up, or so many keys derived a second and no more */
static void test_strangers(void **state)
{
	struct stage *s = stage_open(GROUP_AUTH_MAC);
	struct group_sender *tx = stage_sender(s, 0);
	struct spec sp = stage_packet(0, 4, 64);
	struct dp_totals t;
	uint8_t b[2048], bad[2048];
	size_t len = stage_sealed(tx, &sp, b);
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	(void)state;
	memcpy(bad, b, len);
	bad[4] ^= 1;
	stage_inject(s, bad, len);
	datapath_totals(s->net.n[1].dp, &t);
	assert_int_equal(t.unknown_group, 1);
	for (unsigned int i = 0; i < DP_GROUP_FRESH_PER_S + 50; i++) {
		memcpy(bad, b, len);
		put32(bad + 30, i); /* a salt of its own */
		assert_int_equal(sendto(fd, bad, len, 0, &s->net.n[1].at.sa,
					addr_len(&s->net.n[1].at)),
				 (int)len);
		if (i % 16 == 0)
			net_settle(&s->net);
	}
	for (int i = 0; i < 8; i++)
		net_settle(&s->net);
	assert_int_equal(stage_counters(s, 1).rx.forged, DP_GROUP_FRESH_PER_S);
	assert_int_equal(stage_counters(s, 1).limited, 50);
	/* the member itself is heard all the same, from where its tunnel is */
	stage_inject(s, b, len);
	assert_int_equal(stage_get(s, 1), 1);
	close(fd);
	group_sender_free(tx);
	stage_close(s);
}

static void test_not_ours(void **state)
{
	static const uint8_t other[4] = {239, 193, 9, 9};
	struct stage *s = stage_open(GROUP_AUTH_MAC);
	struct spec sp = stage_packet(0, 4, 64);
	struct dp_group *g;

	(void)state;
	sp.dst = other;
	net_send(&s->net, 0, &sp);
	sp = stage_packet(0, 4, 64);
	sp.src = stranger4; /* not our lease */
	net_send(&s->net, 0, &sp);
	sp = stage_packet(0, 4, 64);
	sp.proto = IPPROTO_TCP;
	net_send(&s->net, 0, &sp);
	assert_int_equal(stage_get(s, 1), 0);
	assert_int_equal(stage_counters(s, 0).tx_packets, 0);
	/* an address is one group's */
	assert_int_equal(dp_group_new(s->net.n[0].dp, &s->c.env, s, &g), 0);
	assert_int_equal(dp_group_set_addresses(g, group6, other),
			 -NTM_EEXISTS);
	dp_group_free(g);
	/* gone: nothing comes in, and nothing breaks */
	dp_group_free(s->g[1]);
	sp = stage_packet(0, 4, 64);
	net_send(&s->net, 0, &sp);
	assert_int_equal(stage_get(s, 1), 0);
	stage_close(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sources),
		cmocka_unit_test(test_replays),
		cmocka_unit_test(test_strangers),
		cmocka_unit_test(test_not_ours),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
