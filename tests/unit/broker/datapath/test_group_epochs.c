/* SPDX-License-Identifier: MIT */
/* test_group_epochs - packets to a group while its epochs change */
#include "group_stage.h"

#include <unistd.h>

/* the removed one at once; the others send under the new epoch at once, too */
static void test_removed(void **state)
{
	struct stage *s = stage_open(GROUP_AUTH_MAC);
	struct group_sender *tx = stage_sender(s, 2),
			    *late = stage_sender(s, 0);
	struct spec sp = stage_packet(0, 4, 64);
	uint64_t before = dp_group_sends(s->g[0]);
	uint8_t b[2048];

	(void)state;
	dp_group_meet(s->g[1], s->c.p[2].index, vip6_a, vip4_a);
	stage_inject(s, b, stage_sealed(tx, &sp, b));
	assert_int_equal(stage_get(s, 1), 1);
	circle_remove(&s->c, 0, 2);
	stage_epoch(s, 1);
	stage_epoch(s, 0);
	stage_inject(s, b, stage_sealed(tx, &sp, b));
	assert_int_equal(stage_get(s, 1), 0);
	assert_int_equal(stage_counters(s, 1).rx.strangers, 1);
	/* on its way still: of a member, under the epoch before */
	stage_inject(s, b, stage_sealed(late, &sp, b));
	assert_int_equal(stage_get(s, 1), 1);
	assert_int_equal(dp_group_sends(s->g[0]), before + 1);
	net_send(&s->net, 0, &sp);
	assert_int_equal(stage_get(s, 1), 1);
	group_sender_free(tx);
	group_sender_free(late);
	stage_close(s);
}

/* nobody has gone: who is late with the news loses nothing for a second */
static void test_renewed(void **state)
{
	struct stage *s = stage_open(GROUP_AUTH_MAC);
	struct spec sp = stage_packet(0, 4, 64);
	uint64_t before = dp_group_sends(s->g[0]);

	(void)state;
	circle_timer(&s->c);
	stage_epoch(s, 0); /* node 1 does not know yet */
	net_send(&s->net, 0, &sp);
	assert_int_equal(stage_get(s, 1), 1);
	assert_int_equal(dp_group_sends(s->g[0]), before);
	stage_epoch(s, 1);
	s->net.now += DP_GROUP_SWITCH + 1;
	net_send(&s->net, 0, &sp);
	assert_int_equal(stage_get(s, 1), 1);
	assert_int_equal(dp_group_sends(s->g[0]), before + 1);
	/* two, one behind the other: the first is never sent under, as who was late
	 * with it cannot get it any more; both wait no longer than a second */
	circle_timer(&s->c);
	stage_epoch(s, 0);
	circle_timer(&s->c);
	stage_epoch(s, 0);
	net_send(&s->net, 0, &sp);
	assert_int_equal(stage_get(s, 1), 1);
	stage_epoch(s, 1);
	net_send(&s->net, 0, &sp);
	assert_int_equal(stage_get(s, 1), 1);
	assert_int_equal(dp_group_sends(s->g[0]), before + 1);
	/* the same again: not a later one */
	assert_int_equal(dp_group_epoch(s->g[0], &s->c.p[0].keys, s->c.p[0].g,
					&s->c.p[0].id, s->c.p[0].index),
			 -NTM_ESTATE);
	net_send(&s->net, 0, &sp);
	assert_int_equal(stage_get(s, 1), 1);
	s->net.now += DP_GROUP_SWITCH + 1;
	net_send(&s->net, 0, &sp);
	assert_int_equal(stage_get(s, 1), 1);
	assert_int_equal(dp_group_sends(s->g[0]), before + 3);
	stage_close(s);
}

/* so many in a second that receivers would forget what is sent under */
static void test_many(void **state)
{
	struct stage *s = stage_open(GROUP_AUTH_MAC);
	struct spec sp = stage_packet(0, 4, 64);
	uint64_t sends = dp_group_sends(s->g[0]);

	(void)state;
	for (unsigned int i = 0; i < 3 * GROUP_EPOCHS_MAX; i++) {
		circle_timer(&s->c);
		stage_epoch(s, 0);
		net_send(&s->net, 0, &sp);
		assert_int_equal(stage_get(s, 1), 1);
		assert_true(s->c.p[0].keys.epoch - dp_group_sends(s->g[0]) <
			    GROUP_EPOCHS_MAX);
		stage_epoch(s, 1);
		net_send(&s->net, 0, &sp);
		assert_int_equal(stage_get(s, 1), 1);
	}
	assert_true(dp_group_sends(s->g[0]) > sends);
	stage_close(s);
}

/* node 1's member is removed, and joins again: as another one, without its past */
static void rejoin(struct stage *s)
{
	dp_group_free(s->g[1]);
	circle_remove(&s->c, 0, 1);
	stage_epoch(s, 0);
	circle_add(&s->c, 0, 1, 0);
	stage_epoch(s, 0);
	stage_join(s, 1);
}

/* who has joined cannot open what is sent under the epoch before: it waits for nothing */
static void test_joined(void **state)
{
	enum group_auth auth;

	(void)state;
	for (auth = GROUP_AUTH_MAC; auth <= GROUP_AUTH_BATCH; auth++) {
		struct stage *s = stage_open(auth);
		struct spec sp = stage_packet(0, 6, 64);
		uint64_t was;

		rejoin(s);
		was = dp_group_sends(s->g[0]);
		assert_int_equal(s->c.p[0].keys.epoch, was + 1);
		/* kept until it is met, then straight */
		for (int i = 0; i < 3; i++)
			net_send(&s->net, 0, &sp);
		assert_int_equal(stage_get(s, 1), 0);
		dp_group_meet(s->g[0], s->c.p[1].index, vip6_b, vip4_b);
		assert_int_equal(stage_get(s, 1), 3);
		for (int i = 0; i < 40; i++)
			net_send(&s->net, 0, &sp);
		assert_int_equal(stage_get(s, 1), 40);
		stage_check(s, 39, &sp);
		assert_int_equal(dp_group_sends(s->g[0]), was);
		s->net.now += DP_GROUP_SWITCH + 1;
		net_send(&s->net, 0, &sp);
		assert_int_equal(stage_get(s, 1), 1);
		assert_int_equal(dp_group_sends(s->g[0]), was + 1);
		s->net.now += LOOP_MS(GROUP_BATCH_MS) + 1;
		net_settle(&s->net);
		assert_int_equal(stage_counters(s, 1).rx.signed_ok,
				 auth == GROUP_AUTH_MAC ? 0 : 44);
		assert_int_equal(stage_counters(s, 1).rx.signed_bad, 0);
		assert_int_equal(stage_counters(s, 1).rx.replayed, 0);
		stage_close(s);
	}
}

/* others join while it does: the GMS gives it the key of the newest epoch alone, whichever
 * of these it came with; it hears what is sent from the first packet on */
static void test_joined_late(void **state)
{
	(void)state;
	for (unsigned int others = 1; others < 2 * GROUP_EPOCHS_MAX; others++) {
		struct stage *s = stage_open(GROUP_AUTH_MAC);
		struct spec sp = stage_packet(0, 4, 64);

		dp_group_free(s->g[1]);
		circle_remove(&s->c, 0, 1);
		stage_epoch(s, 0);
		circle_add(&s->c, 0, 1, 0);
		stage_epoch(s, 0);
		dp_group_meet(s->g[0], s->c.p[1].index, vip6_b, vip4_b);
		for (unsigned int i = 0; i < others; i++) {
			circle_timer(&s->c);
			stage_epoch(s, 0);
		}
		stage_join(s, 1);
		net_send(&s->net, 0, &sp);
		assert_int_equal(stage_get(s, 1), 1);
		s->net.now += DP_GROUP_SWITCH + 1;
		net_send(&s->net, 0, &sp);
		assert_int_equal(stage_get(s, 1), 1);
		stage_close(s);
	}
}

/* and for the others all is as it was: one copy, straight or by the relay */
static void test_others_join(void **state)
{
	static const uint8_t places = 3; /* of persons 0 and 1 */
	struct stage *s = stage_open(GROUP_AUTH_BATCH);
	struct spec sp = stage_packet(0, 4, 64);
	struct group_keys before = s->c.p[0].keys;
	struct addr at;
	int fd = stage_relay(&at);

	(void)state;
	dp_group_relay(s->g[0], before.epoch, &at, &places, 1);
	circle_add(&s->c, 0, 3, 0);
	stage_epoch(s, 0);
	net_send(&s->net, 0, &sp);
	net_settle(&s->net);
	assert_int_equal(stage_pass_on(s, fd, &before), 1);
	assert_int_equal(stage_get(s, 1), 1);
	dp_group_relay(s->g[0], before.epoch, NULL, NULL, 0);
	net_send(&s->net, 0, &sp);
	assert_int_equal(stage_get(s, 1), 1);
	/* two that come one behind the other; the relay is that of the epoch before both */
	dp_group_relay(s->g[0], before.epoch, &at, &places, 1);
	dp_group_relay(s->g[0], before.epoch + 1, &at, &places, 1);
	stage_epoch(s, 1);
	circle_add(&s->c, 0, 4, 0);
	stage_epoch(s, 0);
	stage_epoch(s, 1);
	dp_group_relay(s->g[0], before.epoch + 2, &at, &places, 1);
	net_send(&s->net, 0, &sp);
	net_settle(&s->net);
	/* and the batch that signs those before */
	assert_int_equal(stage_pass_on(s, fd, &before), 2);
	assert_int_equal(stage_get(s, 1), 1);
	assert_int_equal(stage_counters(s, 1).rx.replayed, 0);
	close(fd);
	stage_close(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_removed),
		cmocka_unit_test(test_renewed),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_joined),
		cmocka_unit_test(test_joined_late),
		cmocka_unit_test(test_others_join),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
