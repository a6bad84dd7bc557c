/* SPDX-License-Identifier: MIT */
/*
 * member_begin - how a member begins and ends: founded, welcomed, loaded, freed
 *
 * A founder has the group as its first entry makes it, on the disk with it. Who was
 * welcomed has RN1 and no log: the GMS brings that, and it must lead to what the welcome
 * names. Who is loaded has all but keys.
 */
#include "broker/member/member_impl.h"

#include <stdlib.h>
#include <string.h>

static int make(const struct member_setup *setup, struct member **out)
{
	struct member *m = calloc(1, sizeof(*m));
	int r = m ? 0 : -NTM_ENOMEM;

	if (r)
		return r;
	m->s = *setup;
	m->index = GROUP_SERVER;
	m->people = calloc(GROUP_MEMBERS_MAX, sizeof(*m->people));
	m->confirmed = calloc(GROUP_MEMBERS_MAX, sizeof(*m->confirmed));
	m->heard_of = calloc(GROUP_MEMBERS_MAX, sizeof(*m->heard_of));
	r = m->people && m->confirmed && m->heard_of
		    ? group_prekeys_new(&m->genuine)
		    : -NTM_ENOMEM;
	if (!r)
		r = silence_new(&m->silence);
	if (!r)
		r = loop_timer_new(setup->loop, straight_due, m, &m->straight);
	if (!r)
		r = loop_timer_new(setup->loop, hello_ack, m, &m->ack);
	if (!r)
		r = loop_timer_new(setup->loop, member_silent, m, &m->silent);
	if (!r)
		r = loop_timer_new(setup->loop, duty_turn, m, &m->turn);
	if (!r)
		r = loop_timer_new(setup->loop, duty_leaves, m, &m->leaves_due);
	if (!r)
		r = loop_timer_new(setup->loop, hello_again, m, &m->again);
	if (!r)
		r = loop_timer_new(setup->loop, duty_want, m, &m->want);
	if (!r)
		r = loop_timer_new(setup->loop, witness_due, m, &m->told);
	if (r)
		member_free(m);
	else
		*out = m;
	return r;
}

void member_free(struct member *m)
{
	if (!m)
		return;
	m->wish.ours = true;  /* nobody is told any more */
	m->wish.kept = false; /* in the store it stays */
	author_end(m, -NTM_ECLOSED);
	loop_timer_free(m->ack);
	loop_timer_free(m->silent);
	loop_timer_free(m->turn);
	loop_timer_free(m->leaves_due);
	loop_timer_free(m->again);
	loop_timer_free(m->want);
	loop_timer_free(m->told);
	group_prekeys_free(m->genuine);
	group_free(m->g);
	free(m->people);
	free(m->confirmed);
	free(m->heard_of);
	silence_free(m->silence);
	loop_timer_free(m->straight);
	ntmc_wipe(m, sizeof(*m));
	free(m);
}

/* the group as its first entry makes it; on the disk with it */
static int found(struct member *m, const char *name,
		 const struct group_change *c)
{
	uint8_t entry[GROUP_ENTRY_MAX];
	size_t len;
	int r = group_new(&m->g);

	if (!r)
		r = group_make(m->s.env, m->g, m->s.id, c, entry, &len, NULL);
	if (!r)
		r = group_apply(m->g, entry, len, NULL);
	if (!r)
		r = group_secret_first(&m->own.secret, m->id, name, c->share);
	if (r)
		return r;
	m->index = 0;
	member_new_prekey(m);
	r = memberstore_begin(m->s.store);
	if (!r)
		r = memberstore_log_put(m->s.store, m->id, 1, entry, len, NULL);
	if (!r)
		r = memberstore_put(m->s.store, m->g, &m->own);
	if (!r)
		r = memberstore_commit(m->s.store);
	if (r)
		memberstore_rollback(m->s.store);
	return r;
}

int member_found(const struct member_setup *setup, const char *name,
		 const char *fqdn, const char *server,
		 const uint8_t *server_key, const struct group_policy *policy,
		 struct member **out)
{
	struct group_change c = {.kind = GROUP_CREATE,
				 .fqdn = fqdn,
				 .server = server,
				 .server_key = server_key,
				 .policy = policy};
	struct ntmc_key share;
	struct member *m;
	int r = make(setup, &m);

	if (r)
		return r;
	ntmc_random(setup->env, m->id, sizeof(m->id));
	ntmc_key_random(setup->env, &share);
	c.id = m->id;
	c.share = &share;
	r = group_name_ok(name) ? found(m, name, &c) : -NTM_EINVAL;
	ntmc_key_clear(&share);
	if (r)
		member_free(m);
	else
		*out = m;
	return r;
}

int member_join(const struct member_setup *setup, const uint8_t *welcome,
		size_t len, const struct member_prekey *prekey, uint64_t serial,
		struct member **out)
{
	struct member *m;
	int r = make(setup, &m);

	if (r)
		return r;
	r = group_welcome_get(welcome, len, &m->own.secret, m->welcome_hash);
	if (!r)
		r = group_new(&m->g);
	if (r) {
		member_free(m);
		return r;
	}
	memcpy(m->id, m->own.secret.id, sizeof(m->id));
	m->welcome_epoch = m->own.secret.epoch;
	m->own.prekey[0] = *prekey;
	m->own.serial = serial;
	*out = m;
	return 0;
}

int member_rejoin(struct member *m, const uint8_t *welcome, size_t len)
{
	uint8_t hash[NTMC_HASH_LEN];
	struct group_secret s;
	struct group *g;
	int r = group_welcome_get(welcome, len, &s, hash);

	if (!r && (!m->wants || s.epoch <= group_epoch(m->g)))
		r = -NTM_ESTATE;
	if (!r && memcmp(s.id, m->id, sizeof(s.id)))
		r = -NTM_ENOTFOUND;
	if (!r)
		r = group_new(&g);
	if (!r) {
		if (group_epoch(m->g)) { /* else it is the second welcome */
			m->past_epoch = group_epoch(m->g);
			memcpy(m->past_hash, group_hash(m->g), NTMC_HASH_LEN);
		}
		group_free(m->g);
		m->g = g;
		m->own.secret = s;
		m->own.waiting = false;
		/* what the GMS has is a later one, which went with our disk */
		m->own.used = true;
		m->welcome_epoch = s.epoch;
		memcpy(m->welcome_hash, hash, sizeof(hash));
		m->wants = false;
		loop_timer_disarm(m->want);
		if (m->online)
			member_hello(m);
	}
	group_secret_clear(&s);
	return r;
}

int member_load(const struct member_setup *setup,
		const uint8_t id[static GROUP_ID_LEN], struct member **out)
{
	const struct group_member *me;
	struct member *m;
	int r = make(setup, &m);

	if (r)
		return r;
	memcpy(m->id, id, sizeof(m->id));
	r = memberstore_get(setup->store, id, &m->g, &m->own);
	me = r ? NULL : group_find_key(m->g, setup->id->ed_pub);
	if (!r && !me)
		r = -NTM_EAUTH;
	if (r) {
		member_free(m);
		return r;
	}
	m->index = me->index;
	m->leaving = m->own.leaving;
	if (m->own.forked)
		m->state = MEMBER_FORKED;
	silence_load(m);
	if (memberstore_seal_get(setup->store, id, m->seal))
		memset(m->seal, 0, sizeof(m->seal));
	if (!m->leaving && !m->own.forked) {
		witness_load(m);
		author_load(m);
	}
	*out = m;
	return 0;
}
