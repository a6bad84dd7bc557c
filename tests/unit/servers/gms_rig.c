/* SPDX-License-Identifier: MIT */
/* gms_rig - a whole GMS, its AS and members that come by TLS */
#include "tests/unit/servers/gms_rig.h"

#include "servers/gms/ledger_impl.h"

struct peer peers[N];
struct tls_context *tls[N];
struct gms_member m[N];
uint8_t gid[GROUP_ID_LEN] = {7, 7};

/* --- the server --------------------------------------------------------------------- */

static bool all_closed(void *arg)
{
	int i;

	(void)arg;
	for (i = 0; i < N; i++)
		if (m[i].channel)
			return false;
	return true;
}

void rig_stop(void)
{
	stage_gms_stop();
	assert_true(site_wait(&site, all_closed, NULL));
}

/* --- waiting ------------------------------------------------------------------------- */

bool rig_is_open(void *arg)
{
	return ((struct gms_member *)arg)->open;
}

bool rig_is_acked(void *arg)
{
	return !((struct gms_member *)arg)->asked;
}

bool rig_is_answered(void *arg)
{
	return ((struct gms_member *)arg)->answered;
}

bool rig_is_gone(void *arg)
{
	return ((struct gms_member *)arg)->gone_code;
}

bool rig_has_key(void *arg)
{
	const struct gms_member *who = arg;

	return who->epoch == group_epoch(ledger_state(
				     ledger_find(gms->ledger, gid))) ||
	       who->trouble;
}

bool rig_is_closed(void *arg)
{
	return !((struct gms_member *)arg)->channel;
}

bool rig_has_trouble(void *arg)
{
	return ((struct gms_member *)arg)->trouble;
}

void rig_wait_key(struct gms_member *who)
{
	assert_true(site_wait(&site, rig_has_key, who));
	assert_int_equal(who->trouble, 0);
}

int rig_wait_ack(struct gms_member *who)
{
	assert_true(site_wait(&site, rig_is_acked, who));
	return -(int)who->ack_code;
}

void rig_connect_all(int n)
{
	for (int i = 0; i < n; i++) {
		if (m[i].channel)
			continue;
		assert_int_equal(gms_member_connect(&m[i], &gms_at), 0);
		assert_true(site_wait(&site, rig_is_open, &m[i]));
	}
}

void rig_connect_anew(int i)
{
	channel_close(m[i].channel);
	m[i].channel = NULL;
	m[i].open = false;
	assert_int_equal(gms_member_connect(&m[i], &gms_at), 0);
	assert_true(site_wait(&site, rig_is_open, &m[i]));
}

/* all of @n have one key, and each confirms it to the first */
void rig_assert_together(int n)
{
	struct gms_member *a = &m[0];
	int i;

	for (i = 0; i < n; i++) {
		rig_wait_key(&m[i]);
		assert_memory_equal(&m[i].keys, &a->keys, sizeof(a->keys));
	}
}

bool rig_confirmed(void *arg)
{
	struct gms_member *a = &m[0];
	size_t i, n = group_size(a->g), ok = 0;

	(void)arg;
	if (!a->answered)
		return false;
	for (i = 0; i < n; i++)
		ok += a->acked[i] == a->epoch &&
		      !group_confirmed(&a->keys, group_at(a->g, i)->index,
				       a->confirmations[i]);
	if (ok < n)
		gms_member_question(a);
	return ok == n;
}

void rig_ask_people(struct gms_member *who)
{
	gms_member_question(who);
	assert_true(site_wait(&site, rig_is_answered, who));
	assert_int_equal(who->n_people, group_size(who->g));
}

int rig_submit(struct gms_member *who, struct group_change *c)
{
	pace_sweep(gms, true); /* the limit has a test of its own */
	rig_ask_people(who);
	assert_int_equal(gms_member_submit(who, c), 0);
	return rig_wait_ack(who);
}

int rig_add(int who)
{
	struct group_joiner j = {.rights = GROUP_MAY_REMOVE,
				 .fqdn = m[who].fqdn};
	struct group_change c = {
		.kind = GROUP_ADD, .joiners = &j, .n_joiners = 1};
	int r;

	ntmc_random(NULL, j.token, sizeof(j.token));
	memcpy(j.ed_pub, m[who].id->ed_pub, sizeof(j.ed_pub));
	r = rig_submit(&m[0], &c);
	if (r)
		return r;
	rig_wait_key(&m[0]);
	assert_int_equal(gms_member_welcome(&m[0], &m[who]), 0);
	gms_member_hello(&m[who]);
	rig_wait_key(&m[who]);
	return 0;
}

int rig_remove_one(int author, int who)
{
	struct group_change c = {.kind = GROUP_REMOVE,
				 .reason = GROUP_REMOVED,
				 .gone = &m[who].index,
				 .n_gone = 1};

	return rig_submit(&m[author], &c);
}

void rig_age(struct ledger_group *lg, int64_t s)
{
	lg->renewed -= s;
}

/* what the login gave: RN2 comes under it */
void rig_log_in(int i)
{
	m[i].node_id = peers[i].node_id;
	m[i].key_id = peers[i].key_id;
	m[i].kngms = peers[i].kngms;
}

/* --- the stage ---------------------------------------------------------------------------- */

/* accounts and devices: once; a group for each test */
int rig_site_up(void **state)
{
	(void)state;
	stage_up();
	for (int i = 0; i < N; i++)
		stage_device(i, &peers[i], &tls[i]);
	return 0;
}

int rig_site_down(void **state)
{
	(void)state;
	for (int i = 0; i < N; i++)
		stage_device_end(&peers[i], tls[i]);
	stage_down();
	return 0;
}

int rig_setup(void **state)
{
	int i;

	(void)state;
	stage_gms_start();
	gid[2]++;
	for (i = 0; i < N; i++) {
		gms_member_init(&m[i], site.loop, &peers[i].id, peers[i].fqdn,
				tls[i], gid);
		rig_log_in(i);
	}
	rig_connect_all(N);
	assert_int_equal(
		gms_member_create(&m[0], gms->id.ed_pub, &group_policy_default),
		0);
	assert_int_equal(rig_wait_ack(&m[0]), 0);
	gms_member_hello(&m[0]);
	rig_wait_key(&m[0]);
	return 0;
}

int rig_teardown(void **state)
{
	int i;

	(void)state;
	for (i = 0; i < N; i++)
		gms_member_clear(&m[i]);
	stage_gms_stop();
	return 0;
}
