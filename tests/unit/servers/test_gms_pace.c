/* SPDX-License-Identifier: MIT */
/* test_gms_pace - how much of a GMS one device has; and that nobody honest hits the bound */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gms_rig.h"

#define MORE  100 /* than at once: two seconds of them */
#define GIVEN 60  /* entries to a restored GMS */

static unsigned int news_of_one; /* until @arg has heard so many */

static bool has_news(void *arg)
{
	return ((struct gms_member *)arg)->n_news >= news_of_one;
}

static bool is_slowed(void *arg)
{
	return gms->stats.slowed == *(uint64_t *)arg;
}

/* One that asks in a loop waits for what it has asked too much, and loses nothing; others do
 * not wait for it, and by more connections, or another one, it is no faster. */
static void loop_of_one(void **state)
{
	static struct gms_member second;
	unsigned int before, i;
	uint64_t one = 1, two = 2, begin;

	(void)state;
	assert_int_equal(rig_add(1), 0);
	rig_assert_together(2);
	pace_sweep(gms, true);
	before = m[1].n_news;
	begin = loop_now_exact(site.loop);
	for (i = 0; i < GMS_SAID + MORE; i++)
		gms_member_hello(&m[1]);
	news_of_one = before + GMS_SAID;
	assert_true(site_wait(&site, has_news, &m[1]));
	assert_true(site_wait(&site, is_slowed, &one));
	rig_ask_people(&m[0]);
	assert_true(m[1].n_news < before + GMS_SAID + MORE);
	gms_member_init(&second, site.loop, m[1].id, m[1].fqdn, m[1].tls, gid);
	assert_int_equal(gms_member_connect(&second, &gms_at), 0);
	for (i = 0; i < MORE; i++)
		gms_member_plans(&second, NULL);
	assert_true(site_wait(&site, is_slowed, &two));
	rig_ask_people(&m[0]);
	assert_true(m[1].n_news < before + GMS_SAID + MORE);
	/* all is done in the end, and not before its time */
	news_of_one = before + GMS_SAID + MORE;
	assert_true(site_wait(&site, has_news, &m[1]));
	gms_member_ack(&second);
	rig_wait_ack(&second);
	assert_int_equal(second.n_plans + m[1].trouble, 0);
	assert_true(loop_now_exact(site.loop) - begin >=
		    (2 * MORE - 2) * LOOP_S(1) / GMS_SAID_S);
	/* one that ends leaves the next one of its device nothing */
	channel_close(second.channel);
	second.channel = NULL;
	assert_int_equal(gms_member_connect(&second, &gms_at), 0);
	for (i = 0; i < MORE; i++)
		gms_member_plans(&second, NULL);
	gms_member_ack(&second);
	rig_wait_ack(&second);
	assert_true(loop_now_exact(site.loop) - begin >=
		    (3 * MORE - 2) * LOOP_S(1) / GMS_SAID_S);
	assert_int_equal(m[0].closed + m[1].closed, 0);
	gms_member_clear(&second);
	rig_assert_together(2);
}

/* the most that a device says in one of its rounds: 64 groups of 2048, in each of which it
 * may remove members; after a restart of the GMS it is less */
static void round_of_many(void **state)
{
	unsigned int i, k;

	(void)state;
	assert_int_equal(rig_add(1), 0);
	rig_assert_together(2);
	pace_sweep(gms, true);
	for (i = 0; i < GMS_FOLLOWED; i++) {
		gms_member_hello(&m[1]);
		for (k = 0; k < 11; k++)
			gms_member_question(&m[1]);
		gms_member_ack(&m[1]);
	}
	assert_int_equal(rig_wait_ack(&m[1]), 0);
	assert_int_equal(gms->stats.slowed, 0);
}

/* what a GMS that was restored lacks is no burden: it is taken as fast as it comes */
static void giving_back(void **state)
{
	struct group_policy p = group_policy_default;
	struct group_change c = {.kind = GROUP_POLICY, .policy = &p};
	static uint8_t entry[GIVEN][512];
	size_t len[GIVEN];
	unsigned int i;

	(void)state;
	rig_stop();
	stage_copy("gms/gms.db", "backup");
	stage_gms_start();
	rig_connect_all(1);
	gms_member_hello(&m[0]);
	rig_wait_key(&m[0]);
	for (i = 0; i < GIVEN; i++) {
		p.renew_s = 3600 - i;
		assert_int_equal(rig_submit(&m[0], &c), 0);
		rig_wait_key(&m[0]);
		len[i] = m[0].entry_len;
		assert_true(len[i] <= sizeof(entry[i]));
		memcpy(entry[i], m[0].entry, len[i]);
	}
	rig_stop();
	stage_copy("backup", "gms/gms.db");
	stage_gms_start();
	rig_connect_all(1);
	for (i = 0; i < GMS_SAID - 1; i++)
		gms_member_ack(&m[0]);
	gms_member_hello(&m[0]);
	assert_true(site_wait(&site, rig_is_gone, &m[0]));
	assert_int_equal(m[0].gone_code, NTM_EAGAIN);
	for (i = 0; i < GIVEN; i++) {
		gms_member_send_entry(&m[0], entry[i], len[i], NULL);
		assert_int_equal(rig_wait_ack(&m[0]), 0);
	}
	assert_int_equal(gms->stats.repaired, GIVEN);
	assert_int_equal(gms->stats.slowed, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)
		T(loop_of_one),
		T(round_of_many),
		T(giving_back),
	};

	return cmocka_run_group_tests(tests, rig_site_up, rig_site_down);
}
