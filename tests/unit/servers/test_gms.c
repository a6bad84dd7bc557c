/* SPDX-License-Identifier: MIT */
/* test_gms - a whole GMS and members that come by TLS: epochs, faults, restarts */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/file.h"
#include "gms_rig.h"
#include "servers/datadir.h"

/* --- the tests ------------------------------------------------------------------------------ */

static void life(void **state)
{
	struct group_keys before;
	int i;

	(void)state;
	for (i = 1; i < N; i++)
		assert_int_equal(rig_add(i), 0);
	rig_assert_together(N);
	gms_member_question(&m[0]);
	assert_true(site_wait(&site, rig_confirmed, NULL));
	before = m[3].keys;
	assert_int_equal(rig_remove_one(1, 3), 0);
	rig_assert_together(3);
	assert_true(site_wait(&site, rig_is_gone, &m[3]));
	assert_int_equal(m[3].gone_code, NTM_ENONAME);
	assert_memory_equal(&before, &m[3].keys, sizeof(before));
	assert_memory_not_equal(&before, &m[0].keys, sizeof(before));
	/* and it is told nothing more */
	gms_member_hello(&m[3]);
	assert_true(site_wait(&site, rig_is_gone, &m[3]));
	assert_int_equal(m[3].gone_code, NTM_ENONAME);
	/* by the clock */
	before = m[0].keys;
	assert_int_equal(follow_renew(gms, ledger_find(gms->ledger, gid), true),
			 0);
	rig_assert_together(3);
	assert_memory_not_equal(&before, &m[0].keys, sizeof(before));
	assert_int_equal(group_generation(m[0].g), 2);
	assert_int_equal(m[0].n_unasked, 0);
	gms_member_ack(&m[0]);
	assert_int_equal(rig_wait_ack(&m[0]), 0);
}

static void two_at_once(void **state)
{
	uint32_t three, two;
	struct group_change c[2] = {{.kind = GROUP_REMOVE,
				     .reason = GROUP_REMOVED,
				     .gone = &three,
				     .n_gone = 1},
				    {.kind = GROUP_REMOVE,
				     .reason = GROUP_REMOVED,
				     .gone = &two,
				     .n_gone = 1}};
	int i, first;

	(void)state;
	for (i = 1; i < N; i++)
		assert_int_equal(rig_add(i), 0);
	three = m[3].index;
	two = m[2].index;
	rig_assert_together(N);
	rig_ask_people(&m[0]);
	rig_ask_people(&m[1]);
	/* neither knows of the other's */
	assert_int_equal(gms_member_submit(&m[0], &c[0]), 0);
	assert_int_equal(gms_member_submit(&m[1], &c[1]), 0);
	rig_wait_ack(&m[0]);
	rig_wait_ack(&m[1]);
	first = m[0].ack_code ? 1 : 0;
	assert_int_equal(m[first].ack_code, 0);
	assert_int_equal(m[!first].ack_code, NTM_EAGAIN);
	rig_assert_together(2);
	/* made anew, on what is so now */
	assert_int_equal(rig_submit(&m[!first], &c[!first]), 0);
	rig_assert_together(2);
	assert_int_equal(group_size(m[0].g), 2);
	/* the same bytes once more: the answer had been lost */
	gms_member_send_entry(&m[!first], m[!first].entry, m[!first].entry_len,
			      m[0].gid);
	assert_int_equal(rig_wait_ack(&m[!first]), -NTM_EEXISTS);
}

static void away(void **state)
{
	struct group_change refresh = {.kind = GROUP_REFRESH};
	int i;

	(void)state;
	for (i = 1; i < N; i++)
		assert_int_equal(rig_add(i), 0);
	channel_close(m[2].channel);
	m[2].channel = NULL;
	m[2].open = false;
	for (i = 0; i < 4; i++) {
		assert_int_equal(rig_submit(&m[i % 2], &refresh), 0);
		rig_wait_key(&m[0]);
		rig_wait_key(&m[1]);
	}
	assert_int_equal(rig_remove_one(0, 3), 0);
	rig_wait_key(&m[0]);
	/* the GMS ends meanwhile, too */
	rig_stop();
	stage_gms_start();
	rig_connect_all(3);
	for (i = 0; i < 3; i++)
		gms_member_hello(&m[i]);
	rig_assert_together(3);
	assert_int_equal(rig_submit(&m[2], &refresh), 0);
	rig_assert_together(3);
	gms_member_question(&m[0]);
	assert_true(site_wait(&site, rig_confirmed, NULL));
}

static void leaving(void **state)
{
	struct group_change c = {.kind = GROUP_REMOVE, .reason = GROUP_LEFT};

	(void)state;
	assert_int_equal(rig_add(1), 0);
	assert_int_equal(rig_add(2), 0);
	gms_member_leave(&m[0]);
	assert_int_equal(rig_wait_ack(&m[0]), 0);
	/* whoever comes later hears of it, too; nobody needs a right for that */
	channel_close(m[2].channel);
	m[2].channel = NULL;
	m[2].open = false;
	rig_connect_all(N);
	gms_member_hello(&m[2]);
	rig_wait_key(&m[2]);
	rig_ask_people(&m[2]);
	assert_int_equal(m[1].n_leaves, 1);
	assert_int_equal(m[2].n_leaves, 1);
	/* said again: once is enough for those who know */
	gms_member_leave(&m[0]);
	assert_int_equal(rig_wait_ack(&m[0]), 0);
	rig_ask_people(&m[2]);
	assert_int_equal(m[2].n_leaves, 1);
	c.leave = &m[2].leave;
	assert_int_equal(rig_submit(&m[2], &c), 0);
	assert_true(site_wait(&site, rig_is_gone, &m[0]));
	rig_wait_key(&m[1]);
	rig_wait_key(&m[2]);
	assert_memory_equal(&m[1].keys, &m[2].keys, sizeof(m[1].keys));
}

/* the GMS comes back with a store of yesterday */
static void old_backup(void **state)
{
	struct group_change refresh = {.kind = GROUP_REFRESH};
	struct group_change policy = {.kind = GROUP_POLICY,
				      .policy = &group_policy_default};
	static uint8_t entry[3][GROUP_ENTRY_MAX];
	size_t len[3];
	int i;

	(void)state;
	assert_int_equal(rig_add(1), 0);
	rig_stop();
	stage_copy("gms/gms.db", "backup");
	stage_gms_start();
	rig_connect_all(2);
	gms_member_hello(&m[0]);
	gms_member_hello(&m[1]);
	rig_assert_together(2);
	for (i = 0; i < 3; i++) {
		assert_int_equal(rig_submit(&m[0], i == 1 ? &policy : &refresh),
				 0);
		memcpy(entry[i], m[0].entry, m[0].entry_len);
		len[i] = m[0].entry_len;
		rig_assert_together(2);
	}
	rig_stop();
	stage_copy("backup", "gms/gms.db");
	stage_gms_start();
	rig_connect_all(2);
	gms_member_hello(&m[1]);
	assert_true(site_wait(&site, rig_is_gone, &m[1]));
	assert_int_equal(m[1].gone_code, NTM_EAGAIN);
	assert_int_equal(m[1].gone_epoch, 2);
	/* another one could give it back as well, and need not */
	gms_member_hello(&m[0]);
	assert_true(site_wait(&site, rig_is_gone, &m[0]));
	assert_int_equal(m[0].gone_code, NTM_EAGAIN);
	for (i = 0; i < 3; i++) {
		/* not in another order */
		gms_member_send_entry(&m[1], entry[(i + 1) % 3],
				      len[(i + 1) % 3], m[1].gid);
		if ((i + 1) % 3 > i)
			assert_int_not_equal(rig_wait_ack(&m[1]), 0);
		else
			rig_wait_ack(&m[1]);
		gms_member_send_entry(&m[1], entry[i], len[i],
				      i == 1 ? NULL : m[1].gid);
		assert_int_equal(rig_wait_ack(&m[1]), 0);
	}
	/* RN2 of those epochs is never made a second time: another epoch */
	rig_wait_key(&m[1]);
	assert_int_equal(m[1].epoch, 6);
	rig_assert_together(2);
	/* nor is it let write without parts any more */
	gms_member_send_entry(&m[0], entry[0], len[0], m[0].gid);
	assert_int_not_equal(rig_wait_ack(&m[0]), 0);
	assert_int_equal(gms->stats.repaired, 3);
	assert_int_equal(rig_submit(&m[0], &refresh), 0);
	rig_assert_together(2);
}

/* a member that has gone another way is told so, and is given nothing */
static void forked(void **state)
{
	struct group_change refresh = {.kind = GROUP_REFRESH};
	struct ntmc_key share = {{1}};
	uint8_t entry[GROUP_ENTRY_MAX];
	unsigned int news;
	size_t len;

	(void)state;
	assert_int_equal(rig_add(1), 0);
	refresh.share = &share;
	assert_int_equal(
		group_make(NULL, m[1].g, m[1].id, &refresh, entry, &len, NULL),
		0);
	assert_int_equal(group_apply(m[1].g, entry, len, NULL), 0);
	assert_int_equal(rig_submit(&m[0], &refresh), 0);
	rig_wait_key(&m[0]);
	news = m[1].n_news;
	gms_member_hello(&m[1]);
	assert_true(site_wait(&site, rig_is_gone, &m[1]));
	assert_int_equal(m[1].gone_code, NTM_EFORK);
	assert_true(m[1].n_news <= news + 1);
}

static void strangers(void **state)
{
	struct group_change refresh = {.kind = GROUP_REFRESH};
	uint8_t entry[GROUP_ENTRY_MAX];
	size_t len;
	int i, r = 0;

	(void)state;
	assert_int_equal(rig_add(1), 0);
	/* no member at all */
	gms_member_hello(&m[2]);
	assert_true(site_wait(&site, rig_is_gone, &m[2]));
	assert_int_equal(m[2].gone_code, NTM_ENONAME);
	/* another one's entry, to hand it in first with parts of one's own */
	refresh.share = &m[0].share;
	assert_int_equal(
		group_make(NULL, m[0].g, m[0].id, &refresh, entry, &len, NULL),
		0);
	gms_member_send_entry(&m[1], entry, len, m[0].gid);
	assert_int_equal(rig_wait_ack(&m[1]), -NTM_EPERM);
	gms_member_send_entry(&m[2], entry, len, m[0].gid);
	assert_int_equal(rig_wait_ack(&m[2]), -NTM_ENONAME);
	/* its own, that leaves somebody out */
	gms_member_send_entry(&m[0], entry, len, m[0].gid);
	assert_int_equal(rig_wait_ack(&m[0]), -NTM_EINVAL);
	/* a group in another one's name, and the same one again */
	gms_member_send_entry(&m[2], entry, 40, NULL);
	assert_int_equal(rig_wait_ack(&m[2]), -NTM_EDECODE);
	/* too much of it */
	for (i = 0; i < 20 && r != -NTM_ERATE; i++) {
		gms_member_send_entry(&m[3], entry, len, m[0].gid);
		r = rig_wait_ack(&m[3]);
	}
	assert_int_equal(r, -NTM_ERATE);
	assert_int_equal(i, 11);
	/* a second connection of one device: the first follows no more */
	memcpy(&m[2].gid, m[1].gid, sizeof(m[2].gid));
	assert_int_equal(group_epoch(m[0].g), 2);
}

/* the later connection of a device ends the earlier one */
static void clone(void **state)
{
	static struct gms_member copy;

	(void)state;
	assert_int_equal(rig_add(1), 0);
	gms_member_init(&copy, site.loop, m[1].id, m[1].fqdn, m[1].tls, gid);
	copy.node_id = m[1].node_id;
	copy.key_id = m[1].key_id;
	copy.kngms = m[1].kngms;
	copy.prekey.serial = m[1].prekey.serial;
	copy.prekey = m[1].prekey;
	copy.priv[0] = m[1].priv[0];
	memcpy(copy.pub[0], m[1].pub[0], sizeof(copy.pub[0]));
	assert_int_equal(gms_member_welcome(&m[1], &copy), 0);
	assert_int_equal(gms_member_connect(&copy, &gms_at), 0);
	assert_true(site_wait(&site, rig_is_open, &copy));
	gms_member_hello(&copy);
	assert_true(site_wait(&site, rig_has_key, &copy));
	assert_true(site_wait(&site, rig_is_gone, &m[1]));
	assert_int_equal(m[1].gone_code, NTM_EEXISTS);
	gms_member_clear(&copy);
}

/* a login names the GMS, and what it shares with it; nobody is given RN2 otherwise */
static void by_login(void **state)
{
	const struct gms_member *founder = &m[0];
	unsigned int news;

	(void)state;
	assert_memory_equal(peers[1].gms_pub, gms->id.ed_pub, NTMC_KEY_LEN);
	assert_string_equal(peers[1].gms_name, "gms." SITE_DOMAIN);
	assert_int_equal(addr_port(&peers[1].gms_at), site.conf.gms_port);
	assert_memory_not_equal(&peers[1].kngms, &peers[2].kngms,
				sizeof(peers[1].kngms));
	assert_true(founder->sealed);
	/* the identity's key alone is not enough */
	news = founder->n_news;
	m[0].key_id = 0;
	rig_connect_anew(0);
	gms_member_hello(&m[0]);
	assert_true(site_wait(&site, rig_is_gone, &m[0]));
	assert_int_equal(m[0].gone_code, NTM_ENOLOGIN);
	/* a key that is none; another Node ID: nothing opens */
	m[0].key_id = 1;
	gms_member_hello(&m[0]);
	assert_true(site_wait(&site, rig_is_gone, &m[0]));
	assert_int_equal(m[0].gone_code, NTM_ENOLOGIN);
	assert_int_equal(founder->n_news, news);
	rig_log_in(0);
	m[0].node_id++;
	gms_member_hello(&m[0]);
	assert_true(site_wait(&site, rig_has_trouble, &m[0]));
	assert_int_equal(m[0].trouble, -NTM_EAUTH);
	/* a later login of the same device; the one before goes on */
	m[0].trouble = 0;
	assert_int_equal(peer_login_cert(&peers[0]), 0);
	assert_int_equal(peers[0].code, 0);
	assert_memory_not_equal(&m[0].kngms, &peers[0].kngms,
				sizeof(m[0].kngms));
	rig_log_in(0);
	m[0].epoch = 0;
	gms_member_hello(&m[0]);
	rig_wait_key(&m[0]);
	/* a hello that names no login takes nothing back, and RN2 in clear is for
	 * nobody of this domain: it goes on under the key of before */
	m[0].key_id = 1;
	gms_member_hello(&m[0]);
	assert_true(site_wait(&site, rig_is_gone, &m[0]));
	assert_int_equal(m[0].gone_code, NTM_ENOLOGIN);
	rig_log_in(0);
	assert_int_equal(follow_renew(gms, ledger_find(gms->ledger, gid), true),
			 0);
	rig_wait_key(&m[0]);
	assert_true(founder->sealed);
}

/* the AS is away: both ends go on, over a restart of the GMS; then it withdraws */
static void without_as(void **state)
{
	char name[64];

	(void)state;
	assert_int_equal(rig_add(1), 0);
	site_stop_as(&site);
	rig_stop();
	stage_gms_start();
	rig_connect_all(2);
	gms_member_hello(&m[0]);
	gms_member_hello(&m[1]);
	rig_assert_together(2);
	site_start_as(&site);
	assert_true(site_wait(&site, stage_is_fed, NULL));
	snprintf(name, sizeof(name), "person1");
	site_admin(&site, "account-disable", name);
	assert_true(site_wait(&site, rig_is_closed, &m[1]));
	assert_int_equal(gms_member_connect(&m[1], &gms_at), 0);
	assert_true(site_wait(&site, rig_is_closed, &m[1]));
	assert_false(rig_is_closed(&m[0]));
	site_admin(&site, "account-enable", name);
	assert_int_equal(peer_login_cert(&peers[1]), 0);
}

/* the AS's key is as old as that of any login may be */
static void age_key(void)
{
	char path[DATADIR_PATH_MAX], text[4096], *made;
	uint8_t *data;
	size_t len;

	assert_int_equal(datadir_path(site.dir, "as/groupmanagers", path), 0);
	assert_int_equal(file_read(path, sizeof(text) - 64, &data, &len), 0);
	memcpy(text, data, len);
	text[len] = 0;
	file_free(data, len);
	made = strrchr(text, ' ');
	assert_non_null(made);
	sprintf(made, " %lld\n",
		(long long)ntmc_now(NULL) - site.conf.as_lifetime);
	assert_int_equal(file_write(path, text, strlen(text), 0600), 0);
}

/* the AS knows its GMS after a restart; a new key is drawn when that one is there */
static void keys_change(void **state)
{
	uint64_t before = peers[0].key_id;
	char *roles = site.conf.roles;

	(void)state;
	assert_int_equal(rig_add(1), 0);
	rig_stop();
	site_stop_as(&site);
	age_key();
	site.conf.roles = (char[]){"as, dc"}; /* the GMS is elsewhere */
	site_start_as(&site);
	site_wait_link(&site);
	assert_int_equal(peer_login_cert(&peers[0]), 0);
	assert_int_equal(peers[0].key_id, before);
	stage_gms_start();
	assert_true(site_wait(&site, stage_is_fed, NULL));
	assert_int_equal(peer_login_cert(&peers[0]), 0);
	assert_int_not_equal(peers[0].key_id, 0);
	assert_int_not_equal(peers[0].key_id, before);
	/* a login of before is as good */
	rig_log_in(0);
	rig_connect_all(2);
	gms_member_hello(&m[0]);
	gms_member_hello(&m[1]);
	rig_assert_together(2);
	assert_true(m[0].sealed && m[1].sealed);
	site.conf.roles = roles;
}

/* a GMS of the AS's own machine is named before it has come for the first time */
static void named_early(void **state)
{
	char path[DATADIR_PATH_MAX], *roles = site.conf.roles;
	uint64_t before = peers[0].key_id;

	(void)state;
	rig_stop();
	site_stop_as(&site);
	assert_int_equal(datadir_path(site.dir, "as/groupmanagers", path), 0);
	assert_int_equal(unlink(path), 0);
	site.conf.roles = (char[]){"as, dc, gms"};
	site_start_as(&site);
	site_wait_link(&site);
	assert_int_equal(peer_login_cert(&peers[0]), 0);
	assert_int_not_equal(peers[0].key_id, 0);
	assert_int_not_equal(peers[0].key_id, before);
	assert_int_equal(addr_port(&peers[0].gms_at), site.conf.gms_port);
	site.conf.roles = roles;
	stage_gms_start();
	assert_true(site_wait(&site, stage_is_fed, NULL));
	rig_log_in(0);
	rig_connect_all(1);
	gms_member_hello(&m[0]);
	rig_wait_key(&m[0]);
	assert_true(m[0].sealed);
	assert_memory_equal(peers[0].gms_pub, gms->id.ed_pub, NTMC_KEY_LEN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)
		T(life),       T(two_at_once), T(away),	       T(leaving),
		T(old_backup), T(forked),      T(strangers),   T(clone),
		T(by_login),   T(without_as),  T(keys_change), T(named_early),
	};

	return cmocka_run_group_tests(tests, rig_site_up, rig_site_down);
}
