/* SPDX-License-Identifier: MIT */
/*
 * test_gms_faults - entries that are forged, said again or out of order; names that are
 * none; too many; a clock that is put back; and a GMS that is killed at any moment
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gms_rig.h"

#define KILLS 12

static struct ledger_group *lg(void)
{
	return ledger_find(gms->ledger, gid);
}

static int hand_in(struct gms_member *who, const uint8_t *entry, size_t len)
{
	pace_sweep(gms, true);
	gms_member_send_entry(who, entry, len, NULL);
	return rig_wait_ack(who);
}

/* --- entries ------------------------------------------------------------------------ */

/* a policy entry of @who, as it would be next */
static size_t policy_entry(const struct gms_member *who, uint32_t renew_s,
			   uint8_t *out)
{
	struct group_policy p = group_policy_default;
	struct group_change c = {.kind = GROUP_POLICY, .policy = &p};
	size_t len;

	p.renew_s = renew_s;
	assert_int_equal(group_make(NULL, who->g, who->id, &c, out, &len, NULL),
			 0);
	return len;
}

/* each byte of it counts, and what is refused leaves nothing behind */
static void forged(void **state)
{
	uint8_t entry[GROUP_ENTRY_MAX];
	size_t len, i;

	(void)state;
	assert_int_equal(rig_add(1), 0);
	len = policy_entry(&m[0], 120, entry);
	for (i = 0; i < len; i++) {
		entry[i] ^= 1;
		assert_int_not_equal(hand_in(&m[0], entry, len), 0);
		entry[i] ^= 1;
		if (i > 0 && i % 8 == 0)
			assert_int_not_equal(hand_in(&m[0], entry, i), 0);
	}
	assert_int_equal(group_epoch(ledger_state(lg())), 2);
	assert_int_equal(group_policy(ledger_state(lg()))->renew_s, 3600);
	assert_true(m[0].channel && m[1].channel);
	assert_int_equal(hand_in(&m[0], entry, len), 0);
	rig_assert_together(2);
	assert_int_equal(group_policy(ledger_state(lg()))->renew_s, 120);
}

/* all that was ever said, once more, in each order; and what is to come, too early */
static void again_and_out_of_order(void **state)
{
	static uint8_t said[5][GROUP_ENTRY_MAX];
	uint8_t hash[NTMC_HASH_LEN];
	struct group *ahead = NULL;
	size_t len[5], i, saved;
	uint8_t *b;
	int r;

	(void)state;
	assert_int_equal(rig_add(1), 0);
	for (i = 0; i < 3; i++) {
		len[i] = policy_entry(&m[0], 100 + (uint32_t)i, said[i]);
		assert_int_equal(hand_in(&m[0], said[i], len[i]), 0);
		rig_assert_together(2);
	}
	/* two that follow each other, made without the GMS */
	assert_int_equal(group_save(m[0].g, NULL, 0, &saved), 0);
	b = malloc(saved);
	assert_non_null(b);
	assert_int_equal(group_save(m[0].g, b, saved, &saved), 0);
	assert_int_equal(group_load(b, saved, &ahead), 0);
	free(b);
	len[3] = policy_entry(&m[0], 103, said[3]);
	assert_int_equal(group_apply(ahead, said[3], len[3], NULL), 0);
	{
		struct group_policy p = group_policy_default;
		struct group_change c = {.kind = GROUP_POLICY, .policy = &p};

		assert_int_equal(group_make(NULL, ahead, m[0].id, &c, said[4],
					    &len[4], NULL),
				 0);
	}
	group_free(ahead);
	memcpy(hash, group_hash(ledger_state(lg())), sizeof(hash));
	for (i = 0; i < 5; i++) {
		if (i == 3)
			continue;
		r = hand_in(&m[0], said[i], len[i]);
		assert_int_equal(r, i == 2 ? -NTM_EEXISTS : -NTM_EAGAIN);
		/* nor in another member's name */
		assert_int_not_equal(hand_in(&m[1], said[i], len[i]), 0);
	}
	assert_memory_equal(group_hash(ledger_state(lg())), hash, sizeof(hash));
	assert_int_equal(hand_in(&m[0], said[3], len[3]), 0);
	assert_int_equal(hand_in(&m[0], said[4], len[4]), 0);
	rig_assert_together(2);
}

/* --- names ---------------------------------------------------------------------------- */

/* an add entry whose name is written over with @name, signed anew */
static int add_named(const char *name)
{
	static const char label[] = "ntm group entry v1";
	static const char rest[] = ".person9.example.org";
	uint8_t entry[GROUP_ENTRY_MAX], text[GROUP_ENTRY_MAX + sizeof(label)],
		*place;
	char usual[64] = "ddddddddddddd";
	struct group_joiner j = {.rights = 0, .fqdn = usual};
	struct group_change c = {
		.kind = GROUP_ADD, .joiners = &j, .n_joiners = 1};
	struct ntmc_identity id;
	size_t len, body;

	strcpy(usual + strlen(name) - strlen(rest), rest);
	assert_int_equal(strlen(usual), strlen(name));
	ntmc_identity_new(NULL, &id);
	ntmc_random(NULL, j.token, sizeof(j.token));
	memcpy(j.ed_pub, id.ed_pub, sizeof(j.ed_pub));
	assert_int_equal(
		group_make(NULL, m[0].g, m[0].id, &c, entry, &len, NULL), 0);
	place = memmem(entry, len, usual, strlen(usual));
	assert_non_null(place);
	memcpy(place, name, strlen(name));
	body = len - NTMC_SIG_LEN;
	memcpy(text, label, sizeof(label) - 1);
	memcpy(text + sizeof(label) - 1, entry, body);
	ntmc_ed25519_sign(&m[0].id->ed_priv, m[0].id->ed_pub, text,
			  sizeof(label) - 1 + body, entry + body);
	return hand_in(&m[0], entry, len);
}

static void names(void **state)
{
	static const char *const bad[] = {
		"desk.person9.example.or\n",
		"desk.pe\033[1m9.example.org",
		"desk.person9.example.oRg",
		"desk.person9\x7f"
		"example.org",
		"desk.pers\xd0\xben.example.org",
		"desk.person9..xample.org",
		".esk.person9.example.org",
		"desk.person9.example.or.",
		"desk person9.example.org",
		"desk.person9.example.o/g",
		"-esk.person9.example.org",
		"desk.perso\xe2\x80\xae.example.org",
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(add_named(bad[i]), -NTM_EDECODE);
	assert_int_equal(group_size(ledger_state(lg())), 1);
	/* so it was the name alone */
	assert_int_equal(add_named("desk.person9.example.org"), 0);
}

/* --- too many ---------------------------------------------------------------------------- */

/* invites of one account a thousand: at the GMS each is an entry, of which a device has
 * ten in ten seconds, however often it connects and whatever group it writes to */
static void thousand(void **state)
{
	static struct gms_member second;
	uint8_t entry[GROUP_ENTRY_MAX];
	unsigned int i, done = 0;
	size_t len;
	int r = 0;

	(void)state;
	assert_int_equal(rig_add(1), 0);
	pace_sweep(gms, true);
	for (i = 0; i < 1000 && r != -NTM_ERATE; i++) {
		len = policy_entry(&m[0], 60 + i, entry);
		gms_member_send_entry(&m[0], entry, len, NULL);
		r = rig_wait_ack(&m[0]);
		if (!r)
			rig_wait_key(&m[0]);
		done += !r;
	}
	assert_int_equal(done, GMS_ENTRIES);
	gms_member_init(&second, site.loop, m[0].id, m[0].fqdn, m[0].tls, gid);
	assert_int_equal(gms_member_connect(&second, &gms_at), 0);
	assert_true(site_wait(&site, rig_is_open, &second));
	gms_member_send_entry(&second, entry, len, NULL);
	assert_int_equal(rig_wait_ack(&second), -NTM_ERATE);
	gms_member_clear(&second);
	/* another member is not kept waiting */
	gms_member_send_entry(&m[1], entry, len, NULL);
	assert_int_equal(rig_wait_ack(&m[1]), -NTM_EPERM);
	rig_assert_together(2);
}

/* --- the clock ------------------------------------------------------------------------------ */

/* it was ahead when RN2 was made, and is right again: there is a new one at once, which
 * members can use; nobody waits for the time that will not come */
static void clock_back(void **state)
{
	struct ledger_group *g;
	uint64_t before;
	int64_t not_after;

	(void)state;
	assert_int_equal(rig_add(1), 0);
	rig_assert_together(2);
	g = lg();
	before = m[0].epoch;
	assert_int_equal(follow_renew(gms, g, false), 0);
	assert_int_equal(group_epoch(ledger_state(g)), before);
	rig_age(g, -86400 * 400);
	assert_int_equal(follow_renew(gms, g, false), 0);
	assert_int_equal(group_epoch(ledger_state(g)), before + 1);
	rig_assert_together(2);
	assert_int_equal(group_seal_check(m[0].g, ledger_seal(g),
					  GROUP_SEAL_LEN, ledger_rn2(g),
					  ntmc_now(NULL), &not_after),
			 0);
	/* once for however long nobody was there */
	rig_age(g, 86400 * 400);
	assert_int_equal(follow_renew(gms, g, false), 0);
	assert_int_equal(follow_renew(gms, g, false), 0);
	assert_int_equal(group_epoch(ledger_state(g)), before + 2);
	rig_assert_together(2);
}

/* --- killed ---------------------------------------------------------------------------------- */

static int listening;

/* a GMS in a process of its own, which does not end by itself */
static pid_t start_child(void)
{
	pid_t pid = fork();
	struct gms *own;

	assert_true(pid >= 0);
	if (pid)
		return pid;
	site_new_loop(&site);
	memset(&env, 0, sizeof(env));
	env.loop = site.loop;
	env.dir = site.dir;
	env.conf = &site.conf;
	env.sockets.tcp[0] = dup(listening);
	env.sockets.n_tcp = 1;
	env.sockets.admin = -1;
	if (gms_new(&env, &own))
		_exit(1);
	for (;;)
		if (loop_turn(site.loop, true))
			_exit(2);
}

static bool both_know(void *arg)
{
	(void)arg;
	return m[0].trouble || m[1].trouble ||
	       (m[0].epoch && m[0].epoch == group_epoch(m[0].g) &&
		m[1].epoch == group_epoch(m[0].g) &&
		group_epoch(m[1].g) == group_epoch(m[0].g));
}

static bool both_closed(void *arg)
{
	(void)arg;
	return !m[0].channel && !m[1].channel;
}

static bool never(void *arg)
{
	return loop_now_exact(site.loop) >= *(uint64_t *)arg;
}

/* one life of it: both catch up, one writes, and at some moment it dies.
 * Return: the entry was acknowledged */
static bool one_life(unsigned int ms)
{
	struct group_change refresh = {.kind = GROUP_REFRESH};
	pid_t pid = start_child();
	uint64_t until;
	int i;

	for (i = 0; i < 2; i++) {
		m[i].epoch = 0;
		assert_int_equal(gms_member_connect(&m[i], &gms_at), 0);
		assert_true(site_wait(&site, rig_is_open, &m[i]));
		gms_member_hello(&m[i]);
	}
	assert_true(site_wait(&site, both_know, NULL));
	assert_int_equal(m[0].trouble, 0);
	assert_int_equal(m[1].trouble, 0);
	gms_member_question(&m[0]);
	assert_true(site_wait(&site, rig_is_answered, &m[0]));
	assert_int_equal(gms_member_submit(&m[0], &refresh), 0);
	until = loop_now_exact(site.loop) + LOOP_MS(ms);
	assert_true(site_wait(&site, never, &until));
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_true(site_wait(&site, both_closed, NULL));
	m[0].open = m[1].open = false;
	return !m[0].asked && !m[0].ack_code;
}

static bool reread(void *arg, const struct ledger_logged *e)
{
	assert_int_equal(group_apply(arg, e->entry, e->len, NULL), 0);
	return true;
}

static void killed(void **state)
{
	uint64_t epoch = 2, acked = 2;
	struct group *read;
	unsigned int i, lives = 0;

	(void)state;
	assert_int_equal(rig_add(1), 0);
	rig_assert_together(2);
	listening = dup(env.sockets.tcp[0]);
	assert_true(listening >= 0);
	rig_stop();
	for (i = 0; i < KILLS; i++) {
		bool was_acked = one_life(i * 2);

		/* what was told or acknowledged is on the disk: nothing goes back */
		assert_true(group_epoch(m[0].g) >= epoch);
		epoch = group_epoch(m[0].g);
		acked += was_acked;
		lives++;
	}
	close(listening);
	stage_gms_start();
	assert_true(group_epoch(ledger_state(lg())) >= acked);
	assert_true(group_epoch(ledger_state(lg())) >= epoch);
	assert_true(group_epoch(ledger_state(lg())) <= 2 + lives);
	assert_int_equal(group_new(&read), 0);
	assert_int_equal(ledger_read(gms->ledger, lg(), 0, 0, reread, read), 0);
	assert_memory_equal(group_hash(read), group_hash(ledger_state(lg())),
			    NTMC_HASH_LEN);
	group_free(read);
	rig_connect_all(2);
	gms_member_hello(&m[0]);
	gms_member_hello(&m[1]);
	rig_assert_together(2);
}

/* a member says that the GMS has been restored, to write an entry that nobody else gets a
 * share of: without the GMS's own seal of that epoch nothing is taken */
static void invented(void **state)
{
	struct group_change refresh = {.kind = GROUP_REFRESH};
	struct ntmc_key share = {{1}};
	uint8_t entry[GROUP_ENTRY_MAX];
	size_t len;

	(void)state;
	assert_int_equal(rig_add(1), 0);
	rig_assert_together(2);
	refresh.share = &share;
	assert_int_equal(
		group_make(NULL, m[1].g, m[1].id, &refresh, entry, &len, NULL),
		0);
	m[1].invented = 1;
	/* with a seal of this epoch, with one that was changed, and with none */
	for (int i = 0; i < 3; i++) {
		m[1].seal[GROUP_ID_LEN + 7] += i == 1;
		m[1].has_seal = i < 2;
		gms_member_hello(&m[1]);
		assert_true(site_wait(&site, rig_is_gone, &m[1]));
		assert_int_equal(m[1].gone_code, NTM_EAGAIN);
		gms_member_send_entry(&m[1], entry, len, m[1].gid);
		assert_int_not_equal(rig_wait_ack(&m[1]), 0);
	}
	/* nor is it let write more than others */
	for (int i = 0; i < GMS_ENTRIES; i++) {
		gms_member_send_entry(&m[1], entry, len, m[1].gid);
		assert_int_not_equal(rig_wait_ack(&m[1]), 0);
	}
	assert_int_equal(m[1].ack_code, NTM_ERATE);
	assert_int_equal(gms->stats.repaired, 0);
	pace_sweep(gms, true);
	m[1].invented = 0;
	gms_member_hello(&m[1]);
	rig_assert_together(2);
	assert_int_equal(rig_submit(&m[0], &refresh), 0);
	rig_assert_together(2);
}

static void send_parts(struct gms_member *who, size_t n)
{
	static uint8_t bytes[GROUP_PART_LEN];
	Ntm__Envelope e = NTM__ENVELOPE__INIT;
	Ntm__GroupParts body = NTM__GROUP_PARTS__INIT;
	Ntm__GroupPart part[8], *list[8];

	for (size_t i = 0; i < n; i++) {
		ntm__group_part__init(&part[i]);
		part[i].part = (ProtobufCBinaryData){sizeof(bytes), bytes};
		part[i].index = (uint32_t)i;
		list[i] = &part[i];
	}
	body.group = (ProtobufCBinaryData){GROUP_ID_LEN, m[0].gid};
	body.epoch = group_epoch(m[0].g) + 1;
	body.parts = list;
	body.n_parts = n;
	e.body_case = NTM__ENVELOPE__BODY_GROUP_PARTS;
	e.group_parts = &body;
	assert_int_equal(channel_send(who->channel, &e), 0);
}

/* Return: parts that are kept, of whoever; all connections */
static size_t parts_kept(void)
{
	struct caller *ca, *tmp;
	size_t n = 0;

	HASH_ITER (hh, gms->callers, ca, tmp)
		n += ca->parts ? 1 + ca->n_parts : 0;
	return n;
}

/* a member has as many parts kept as its group has members, nobody else any */
static void parts(void **state)
{
	(void)state;
	assert_int_equal(rig_add(1), 0);
	rig_assert_together(2);
	rig_connect_all(3);
	send_parts(&m[2], 2);
	gms_member_hello(&m[2]);
	assert_true(site_wait(&site, rig_is_gone, &m[2]));
	assert_int_equal(m[2].gone_code, NTM_ENONAME);
	assert_int_equal(parts_kept(), 0);
	send_parts(&m[1], 2);
	rig_ask_people(&m[1]);
	assert_int_equal(parts_kept(), 3);
	send_parts(&m[1], 1);
	rig_ask_people(&m[1]);
	assert_int_equal(parts_kept(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)
		T(forged),     T(again_and_out_of_order),
		T(names),      T(thousand),
		T(clock_back), T(killed),
		T(invented),   T(parts),
	};

	return cmocka_run_group_tests(tests, rig_site_up, rig_site_down);
}
