/* SPDX-License-Identifier: MIT */
/*
 * test_gms_restored - a GMS with a store of another day: who gives back what it lacks, and
 * who is further than whoever came first
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gms_rig.h"

#define FIRST 2 /* the backup's epoch; m[0] comes to LAST, m[1] to HALF */
#define HALF  4
#define LAST  6

static uint8_t entry[LAST + 1][2048];
static size_t entry_len[LAST + 1];
static unsigned int news_of[2];

static struct ledger_group *lg(void)
{
	return ledger_find(gms->ledger, gid);
}

static uint64_t epoch(void)
{
	return group_epoch(ledger_state(lg()));
}

static void away(struct gms_member *who)
{
	channel_close(who->channel);
	who->channel = NULL;
	who->open = false;
}

/* m[0] goes on to @to */
static void go_on(uint64_t to, int together)
{
	struct group_change refresh = {.kind = GROUP_REFRESH};

	while (m[0].epoch < to) {
		assert_int_equal(rig_submit(&m[0], &refresh), 0);
		rig_assert_together(together);
		assert_true(m[0].entry_len <= sizeof(entry[0]));
		memcpy(entry[m[0].epoch], m[0].entry, m[0].entry_len);
		entry_len[m[0].epoch] = m[0].entry_len;
	}
}

/* the GMS is in FIRST again; m[0] has been in LAST, m[1] in HALF, m[2] in FIRST */
static void restored(void)
{
	assert_int_equal(rig_add(1), 0);
	rig_stop();
	stage_copy("gms/gms.db", "backup");
	stage_gms_start();
	rig_connect_all(2);
	for (int i = 0; i < 2; i++)
		gms_member_hello(&m[i]);
	rig_assert_together(2);
	go_on(HALF, 2);
	away(&m[1]);
	go_on(LAST, 1);
	rig_stop();
	stage_copy("backup", "gms/gms.db");
	stage_gms_start();
	assert_int_equal(epoch(), FIRST);
}

/* @i says hello and is told that it is further */
static void comes(int i)
{
	if (!m[i].channel) {
		assert_int_equal(gms_member_connect(&m[i], &gms_at), 0);
		assert_true(site_wait(&site, rig_is_open, &m[i]));
	}
	gms_member_hello(&m[i]);
	assert_true(site_wait(&site, rig_is_gone, &m[i]));
	assert_int_equal(m[i].gone_code, NTM_EAGAIN);
	if (i < 2)
		news_of[i] = m[i].n_news;
}

/* @i gives back from @from to @to; Return: the last answer */
static int gives(int i, uint64_t from, uint64_t to)
{
	int r = 0;

	for (; from <= to; from++) {
		gms_member_send_entry(&m[i], entry[from], entry_len[from],
				      m[i].gid);
		r = rig_wait_ack(&m[i]);
	}
	return r;
}

/* of no epoch that was given back was anybody told */
static void assert_nothing_told(void)
{
	assert_int_equal(m[0].n_news, news_of[0]);
	assert_int_equal(m[1].n_news, news_of[1]);
}

/* the first to come lacks something as well: who has it is waited for */
static void first_is_not_last(void **state)
{
	struct group_change refresh = {.kind = GROUP_REFRESH};

	(void)state;
	restored();
	comes(1);
	comes(0);
	assert_int_equal(gives(1, FIRST + 1, HALF), 0);
	assert_int_equal(epoch(), HALF);
	assert_nothing_told();
	/* by none of the ways in which news comes */
	gms_member_hello(&m[1]);
	rig_ask_people(&m[1]);
	assert_nothing_told();
	/* nor does another's entry come between */
	assert_int_equal(rig_submit(&m[1], &refresh), -NTM_EAGAIN);
	assert_int_equal(epoch(), HALF);
	for (uint64_t e = FIRST + 1; e <= HALF; e++)
		assert_int_equal(gives(0, e, e), -NTM_EEXISTS);
	assert_int_equal(gives(0, HALF + 1, LAST), 0);
	assert_int_equal(epoch(), LAST + 1);
	rig_assert_together(1);
	assert_int_equal(m[0].epoch, LAST + 1);
	assert_int_equal(gms->stats.repaired, LAST - FIRST);
	assert_int_equal(gms->stats.forks, 0);
}

/* and the one that is further passes it: no second seal of the epoch where it was */
static void overtaken(void **state)
{
	(void)state;
	restored();
	comes(0);
	comes(1);
	assert_int_equal(gives(0, FIRST + 1, HALF), 0);
	rig_ask_people(&m[1]);
	assert_nothing_told();
	assert_int_equal(gives(0, HALF + 1, LAST), 0);
	assert_int_equal(epoch(), LAST + 1);
	rig_assert_together(1);
	assert_int_equal(m[0].trouble, 0);
}

static bool is_time(void *arg)
{
	return loop_now_exact(site.loop) >= *(uint64_t *)arg;
}

static bool is_further(void *arg)
{
	return epoch() > *(uint64_t *)arg;
}

/* A backup is older than renew_s: nothing but who gives moves it on, for as long as it does
 * give. */
static void overdue(void **state)
{
	uint64_t before = FIRST, soon;
	struct caller *ca, *tmp;

	(void)state;
	restored();
	rig_age(lg(), 86400);
	comes(0);
	soon = loop_now_exact(site.loop) + LOOP_MS(1500);
	/* its clock looks at groups once a second */
	assert_true(site_wait(&site, is_time, &soon));
	assert_int_equal(epoch(), FIRST);
	/* who gives nothing holds nobody up for long */
	HASH_ITER (hh, gms->callers, ca, tmp)
		for (unsigned int i = 0; i < ca->n_follows; i++)
			ca->follows[i]->gave -= LOOP_S(GMS_GIVE_S);
	assert_true(site_wait(&site, is_further, &before));
	/* the group has gone another way: that one is told so, at once */
	assert_int_equal(gives(0, FIRST + 1, FIRST + 1), -NTM_EFORK);
	assert_int_equal(m[0].gone_code, NTM_EFORK);
	comes(1);
	assert_int_equal(gives(1, FIRST + 2, FIRST + 2), -NTM_EFORK);
	assert_int_equal(m[1].gone_code, NTM_EFORK);
	assert_int_equal(gms->stats.forks, 2);
}

/* whoever gave half of it has gone: the others are not left without a key */
static void gone_half_way(void **state)
{
	uint64_t half = HALF;

	(void)state;
	restored();
	comes(0);
	assert_int_equal(gives(0, FIRST + 1, HALF), 0);
	assert_int_equal(epoch(), HALF);
	away(&m[0]);
	assert_int_equal(gms_member_connect(&m[1], &gms_at), 0);
	assert_true(site_wait(&site, rig_is_open, &m[1]));
	gms_member_hello(&m[1]);
	assert_true(site_wait(&site, is_further, &half));
	rig_wait_key(&m[1]);
	assert_int_equal(m[1].epoch, HALF + 1);
	assert_int_equal(m[1].trouble, 0);
	/* the way that it had gone is over, and it hears of it */
	comes(0);
	assert_int_equal(gives(0, HALF + 1, HALF + 1), -NTM_EFORK);
	assert_int_equal(m[0].gone_code, NTM_EFORK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)
		T(first_is_not_last),
		T(overtaken),
		T(overdue),
		T(gone_half_way),
	};

	return cmocka_run_group_tests(tests, rig_site_up, rig_site_down);
}
