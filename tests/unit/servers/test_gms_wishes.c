/* SPDX-License-Identifier: MIT */
/*
 * test_gms_wishes - who wants a welcome again, who leaves last, what an administrator
 * sees and wishes
 */
#include <stdio.h>
#include <string.h>

#include "gms_rig.h"

#define WAIT_S 60

static struct ledger_group *lg(void)
{
	return ledger_find(gms->ledger, gid);
}

static int want(struct gms_member *who)
{
	gms_member_want(who);
	return rig_wait_ack(who);
}

static bool is_wanted(void *arg)
{
	(void)arg;
	return m[0].n_wants + m[1].n_wants + m[2].n_wants + m[3].n_wants > 0;
}

/* its word on the epoch has left */
static bool has_spoken(void *arg)
{
	return !loop_timer_armed(((struct gms_member *)arg)->ack);
}

static void all_in(int n)
{
	for (int i = 1; i < n; i++)
		assert_int_equal(rig_add(i), 0);
	rig_assert_together(n);
	for (int i = 0; i < n; i++) {
		assert_true(site_wait(&site, has_spoken, &m[i]));
		rig_ask_people(&m[i]); /* and has been heard */
	}
}

/* a minute goes by for the wishes */
static void age_wishes(void)
{
	struct ledger_person *p =
		(struct ledger_person *)ledger_person(lg(), m[2].index);

	p->asked -= WAIT_S;
}

/* one of those who are there is told, one alone, and not again before its time */
static void wanted(void **state)
{
	unsigned int seen[N] = {0};

	(void)state;
	all_in(N);
	assert_int_equal(want(&m[2]), 0);
	assert_true(site_wait(&site, is_wanted, NULL));
	assert_int_equal(want(&m[2]), -NTM_ERATE);
	rig_ask_people(&m[0]);
	rig_ask_people(&m[1]);
	rig_ask_people(&m[3]);
	assert_int_equal(m[0].n_wants + m[1].n_wants + m[3].n_wants, 1);
	assert_int_equal(m[2].n_wants, 0);
	/* whoever cannot, is another one some time: each of three within 64 times */
	for (int i = 0; i < 64 && !(seen[0] && seen[1] && seen[3]); i++) {
		for (int k = 0; k < N; k++)
			m[k].n_wants = 0;
		age_wishes();
		assert_int_equal(want(&m[2]), 0);
		assert_true(site_wait(&site, is_wanted, NULL));
		for (int k = 0; k < N; k++) {
			seen[k] += m[k].n_wants;
			if (m[k].n_wants)
				assert_int_equal(m[k].wanting, m[2].index);
		}
	}
	assert_true(seen[0] && seen[1] && seen[3]);
	assert_int_equal(seen[2], 0);
}

static void goes(int i)
{
	channel_close(m[i].channel);
	m[i].channel = NULL;
	m[i].open = false;
}

static bool follows_none(void *arg)
{
	return !ledger_arg(arg);
}

static bool wants_nothing(void *arg)
{
	return !ledger_person(lg(), ((struct gms_member *)arg)->index)->wants;
}

/* nobody is there: it waits for who comes and has the epoch, if it is wanted still */
static void wanted_later(void **state)
{
	(void)state;
	all_in(3);
	goes(0);
	goes(1);
	goes(2);
	assert_true(site_wait(&site, follows_none, lg()));
	rig_connect_all(3);
	assert_int_equal(want(&m[2]), 0);
	assert_false(is_wanted(NULL));
	gms_member_hello(&m[0]);
	/* its word comes with news alone: nothing is new but that RN2 is told again */
	assert_true(site_wait(&site, is_wanted, NULL));
	assert_int_equal(m[0].n_wants, 1);
	/* it has its welcome, and the epoch: no more of it */
	age_wishes();
	m[2].epoch = 0;
	gms_member_hello(&m[2]);
	rig_wait_key(&m[2]);
	assert_true(site_wait(&site, wants_nothing, &m[2]));
	m[0].n_wants = 0;
	m[0].epoch = 0;
	gms_member_hello(&m[0]);
	rig_wait_key(&m[0]);
	rig_ask_people(&m[0]);
	assert_int_equal(m[0].n_wants, 0);
}

/* for another one; by who is none; of a group that is none */
static void wanted_wrongly(void **state)
{
	uint32_t own;

	(void)state;
	all_in(3);
	own = m[1].index;
	m[1].index = m[2].index;
	assert_int_equal(want(&m[1]), -NTM_EPERM);
	m[1].index = own;
	assert_int_equal(want(&m[3]), -NTM_ENONAME);
	m[3].gid[15] ^= 1;
	assert_int_equal(want(&m[3]), -NTM_ENOTFOUND);
	assert_false(is_wanted(NULL));
}

static json_t *listed(void)
{
	json_t *request = json_object(), *answer, *g, *found = NULL;
	char id[2 * GROUP_ID_LEN + 1];
	size_t i;

	for (i = 0; i < GROUP_ID_LEN; i++)
		snprintf(id + 2 * i, 3, "%02x", gid[i]);
	answer = gms_admin(gms, "list", request);
	json_array_foreach(
		json_object_get(answer, "groups"), i,
		g) if (!strcmp(json_string_value(json_object_get(g, "id")), id))
		found = json_incref(g);
	json_decref(answer);
	json_decref(request);
	return found;
}

static long long number(const char *key)
{
	json_t *g = listed();
	long long n = json_is_true(json_object_get(g, key))
			      ? 1
			      : json_integer_value(json_object_get(g, key));

	assert_non_null(g);
	json_decref(g);
	return n;
}

static void is_listed(void **state)
{
	(void)state;
	all_in(3);
	assert_int_equal(number("members"), 3);
	assert_int_equal(number("here"), 3);
	assert_int_equal(number("confirmed"), 3);
	assert_int_equal(number("epoch"), 3);
	assert_int_equal(number("generation"), group_generation(m[0].g));
	assert_int_equal(number("leaving"), 0);
	assert_int_equal(number("ended"), 0);
	goes(2);
	gms_member_leave(&m[1]);
	assert_int_equal(rig_wait_ack(&m[1]), 0);
	assert_int_equal(number("leaving"), 1);
	assert_int_equal(number("here"), 2);
}

static int leave(int i)
{
	gms_member_leave(&m[i]);
	return rig_wait_ack(&m[i]);
}

/* who leaves last ends the group; its log stays for a time, then nothing does */
static void last_leaves(void **state)
{
	static const struct ntmc_key none;
	struct group_change refresh = {.kind = GROUP_REFRESH};
	size_t founded = ledger_founded(gms->ledger, m[0].id->ed_pub);
	struct ledger_group *was;
	uint64_t epoch;

	(void)state;
	all_in(2);
	epoch = m[0].epoch;
	assert_int_equal(leave(0), 0);
	assert_int_equal(number("ended"), 0);
	assert_int_equal(leave(1), 0);
	assert_int_equal(number("ended"), 1);
	assert_true(site_wait(&site, rig_is_gone, &m[0]));
	assert_true(site_wait(&site, rig_is_gone, &m[1]));
	assert_int_equal(m[0].gone_code, NTM_EEXPIRED);
	assert_int_equal(m[0].gone_epoch, epoch);
	assert_memory_equal(ledger_rn2(lg()), &none, sizeof(none));
	assert_int_equal(ledger_founded(gms->ledger, m[0].id->ed_pub),
			 founded - 1);
	/* nothing more comes of it, over a restart too */
	assert_int_equal(gms_member_submit(&m[0], &refresh), 0);
	assert_int_equal(rig_wait_ack(&m[0]), -NTM_EEXPIRED);
	rig_stop();
	stage_gms_start();
	rig_connect_all(2);
	gms_member_hello(&m[0]);
	assert_true(site_wait(&site, rig_is_gone, &m[0]));
	assert_int_equal(m[0].gone_code, NTM_EEXPIRED);
	assert_int_equal(follow_renew(gms, lg(), true), -NTM_EEXPIRED);
	was = lg();
	assert_int_equal(ledger_wipe(gms->ledger, was), 0);
	assert_null(lg());
	rig_stop();
	stage_gms_start();
	rig_connect_all(1);
	assert_null(lg());
	gms_member_hello(&m[0]);
	assert_true(site_wait(&site, rig_is_gone, &m[0]));
	assert_int_equal(m[0].gone_code, NTM_ENOTFOUND);
}

/* --- what an administrator wishes -------------------------------------------------------- */

static bool is_told(void *arg)
{
	return ((struct gms_member *)arg)->n_told;
}

/* how many groups @who is asked to found, when it has said that @done is */
static unsigned int plans(struct gms_member *who, const uint8_t *done)
{
	gms_member_plans(who, done);
	assert_true(site_wait(&site, is_told, who));
	return who->n_plans;
}

/* Return: was it taken? */
static bool admin(const char *command, const char *name, const char *founder)
{
	json_t *ask = json_pack("{s:s, s:s, s:[{s:s, s:i}]}", "name", name,
				"founder", founder, "members", "name",
				"desk.bob.example.org", "rights", 1);
	json_t *answer = gms_admin(gms, command, ask);
	bool ok = json_is_true(json_object_get(answer, "ok"));

	json_decref(answer);
	json_decref(ask);
	return ok;
}

/* of the first that is defined */
static const char *plan_state(void)
{
	static char text[16];
	json_t *answer = gms_admin(gms, "list", NULL);
	json_t *first = json_array_get(json_object_get(answer, "defined"), 0);

	snprintf(text, sizeof(text), "%s",
		 json_string_value(json_object_get(first, "state")));
	json_decref(answer);
	return text;
}

/* a group that was defined: only its founder is asked, and only its word counts */
static void defined(void **state)
{
	uint8_t id[GROUP_ID_LEN];
	unsigned int i;
	char name[8];

	(void)state;
	rig_connect_all(2);
	assert_int_equal(plans(&m[0], NULL), 0);
	m[0].n_told = 0;
	assert_true(admin("define", "band", m[0].fqdn));
	assert_true(site_wait(&site, is_told, &m[0])); /* unasked */
	assert_int_equal(m[0].n_plans, 1);
	memcpy(id, m[0].plan, sizeof(id));
	assert_int_equal(plans(&m[1], id),
			 0); /* who is not asked ends nothing */
	assert_string_equal(plan_state(), "waits");
	assert_false(admin("define", "band", m[1].fqdn));

	rig_stop();
	stage_gms_start();
	rig_connect_all(2);
	assert_int_equal(plans(&m[0], NULL), 1);
	assert_memory_equal(m[0].plan, id, sizeof(id));
	assert_int_equal(plans(&m[0], id), 0);
	assert_string_equal(plan_state(), "founded");
	assert_int_equal(plans(&m[0], id), 0); /* twice changes nothing */
	assert_true(admin("define", "band", m[1].fqdn));
	assert_true(admin("undefine", "band", ""));
	assert_false(admin("undefine", "band", ""));
	assert_int_equal(plans(&m[1], NULL), 0);

	for (i = 0; i < 16; i++) {
		snprintf(name, sizeof(name), "g%u", i);
		assert_true(admin("define", name, m[1].fqdn));
	}
	assert_false(admin("define", "more", m[1].fqdn));
	assert_int_equal(plans(&m[1], NULL), 16);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)
		T(wanted),    T(wanted_later), T(wanted_wrongly),
		T(is_listed), T(last_leaves),  T(defined),
	};

	return cmocka_run_group_tests(tests, rig_site_up, rig_site_down);
}
