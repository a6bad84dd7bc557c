/* SPDX-License-Identifier: MIT */
/*
 * news - what the GMS says of a group: entries, shares, seals
 *
 * Theory of operation
 *
 * News is taken whole or not at all: entries are applied and RN1 is stepped in memory,
 * log and state are written in one transaction, and only then the epoch's key is made and
 * given out. Where any of it fails, the store's state comes back, and what was wrong is
 * named. An entry that commits to a share we cannot open does not count for us: we stay
 * where we were, and say so.
 *
 * Who joins has RN1 of the welcome's epoch and no log: entries up to there are applied
 * without keys, and th must be the welcome's when it is reached.
 */
#include <string.h>

#include "broker/member/member_impl.h"
#include "libntmcrypto/groupnode.h"

/* memory, and what was not committed, go back to what the disk has */
static void back(struct member *m, const struct member_own *before)
{
	struct member_own own;
	struct group *g = NULL;
	int r;

	memberstore_rollback(m->s.store);
	m->own = *before;
	if (m->welcome_epoch) {
		r = group_new(&g);
	} else {
		r = memberstore_get(m->s.store, m->id, &g, &own);
		member_own_clear(&own);
	}
	if (r)
		return;
	group_free(m->g);
	m->g = g;
}

static int find_share(struct member *m, const struct group_entry *e,
		      const Ntm__GroupLogged *l, struct ntmc_key *share)
{
	/* who joins is in the log here, and knows its index when all of it is taken */
	const struct group_member *me = group_find_key(m->g, m->s.id->ed_pub);
	uint8_t hash[NTMC_HASH_LEN];
	int i, r = -NTM_ENOTFOUND;

	ntmc_sha256(l->entry.data, l->entry.len, hash);
	if (m->own.waiting && !memcmp(hash, m->own.entry_hash, sizeof(hash))) {
		*share = m->own.share;
		return 0;
	}
	for (i = 0; r && me && i < 2 && l->part.len; i++)
		r = group_part_open(e, me->index, l->sealer.data,
				    &m->own.prekey[i].priv,
				    m->own.prekey[i].pub, l->part.data, share);
	m->own.used |= !r;
	return r;
}

/* RN1 into the epoch that @e begins, which the log is in already */
static int step(struct member *m, const struct group_entry *e,
		const Ntm__GroupLogged *l)
{
	struct ntmc_key share = {{0}};
	int r = 0;

	if (e->epoch == m->past_epoch &&
	    memcmp(group_hash(m->g), m->past_hash, NTMC_HASH_LEN)) {
		member_named(m, MEMBER_SAW_FORK, e->author, e->epoch,
			     -NTM_EFORK);
		return -NTM_EFORK;
	}
	if (e->epoch < m->welcome_epoch)
		return 0;
	if (e->epoch == m->welcome_epoch) {
		if (memcmp(group_hash(m->g), m->welcome_hash, NTMC_HASH_LEN)) {
			member_named(m, MEMBER_SAW_FORK, e->author, e->epoch,
				     -NTM_EFORK);
			return -NTM_EFORK;
		}
		m->welcome_epoch = 0;
		return 0;
	}
	if (e->commitment)
		r = find_share(m, e, l, &share);
	if (!r)
		r = group_secret_step(&m->own.secret, e, &share);
	ntmc_key_clear(&share);
	if (r) {
		/* who has never been in a log can ask nobody for a welcome */
		member_named(m,
			     m->index == GROUP_SERVER ? MEMBER_SAW_LATE
						      : MEMBER_SAW_SHUT_OUT,
			     e->author, e->epoch, r);
		m->shut_out = true;
	}
	return r;
}

static int take_entry(struct member *m, const Ntm__GroupLogged *l)
{
	enum group_why why = GROUP_FINE;
	struct group_entry e;
	int r = group_entry_get(l->entry.data, l->entry.len, &e);

	if (!r)
		r = group_apply(m->g, l->entry.data, l->entry.len, &why);
	if (why == GROUP_SEEN)
		return 0;
	if (r) {
		member_named(m,
			     why == GROUP_FORK ? MEMBER_SAW_FORK
					       : MEMBER_SAW_FORGED,
			     GROUP_SERVER, group_epoch(m->g), r);
		return r;
	}
	if (memcmp(group_id(m->g), m->id, GROUP_ID_LEN))
		return -NTM_ENOTFOUND;
	r = step(m, &e, l);
	if (!r)
		r = memberstore_log_put(m->s.store, m->id, e.epoch,
					l->entry.data, l->entry.len,
					l->sealer.len ? l->sealer.data : NULL);
	return r == -NTM_EEXISTS ? 0 : r;
}

/* is our own entry among them? It is over then, whoever told us */
static bool is_ours(const struct member *m, const Ntm__GroupNews *n)
{
	uint8_t hash[NTMC_HASH_LEN];
	size_t i;

	for (i = 0; m->own.waiting && i < n->n_entries; i++) {
		ntmc_sha256(n->entries[i]->entry.data, n->entries[i]->entry.len,
			    hash);
		if (!memcmp(hash, m->own.entry_hash, sizeof(hash)))
			return true;
	}
	return false;
}

/* the server's own word that it was in this epoch: it is shown to it if it ever forgets */
static bool is_sealed(const struct member *m, const Ntm__GroupNews *n)
{
	uint8_t hash[NTMC_HASH_LEN];
	uint64_t epoch;

	return n->seal.len == GROUP_SEAL_LEN && !m->welcome_epoch &&
	       !group_seal_read(m->g, n->seal.data, n->seal.len, &epoch,
				hash) &&
	       epoch == group_epoch(m->g) &&
	       !memcmp(hash, group_hash(m->g), sizeof(hash));
}

/* @sealed: the seal is of this epoch, and its signature the server's */
static int take_entries(struct member *m, const Ntm__GroupNews *n, bool ours,
			bool *sealed)
{
	struct member_own before = m->own;
	uint64_t welcome = m->welcome_epoch;
	const struct group_member *me;
	size_t i;
	int r = memberstore_begin(m->s.store);

	for (i = 0; !r && i < n->n_entries; i++)
		r = take_entry(m, n->entries[i]);
	if (!r && ours) {
		m->own.waiting = false;
		ntmc_key_clear(&m->own.share);
	}
	me = r ? NULL : group_find_key(m->g, m->s.id->ed_pub);
	if (me)
		m->index = me->index;
	else if (!r && !m->welcome_epoch)
		r = -NTM_ENONAME;
	if (!r && !m->welcome_epoch)
		r = memberstore_put(m->s.store, m->g, &m->own);
	*sealed = !r && is_sealed(m, n);
	if (*sealed)
		r = memberstore_seal_put(m->s.store, m->id, n->seal.data);
	if (!r)
		r = memberstore_commit(m->s.store);
	if (r) {
		m->welcome_epoch = welcome;
		back(m, &before);
	}
	member_own_clear(&before);
	return r;
}

static int rn2_of(const struct member *m, const Ntm__GroupNews *n,
		  struct ntmc_key *out)
{
	struct group_rn2_place at = {.epoch = group_epoch(m->g),
				     .index = m->index};

	if (n->rn2.len == sizeof(out->b)) {
		memcpy(out->b, n->rn2.data, sizeof(out->b));
		return 0;
	}
	if (n->rn2_sealed.len != GROUP_RN2_SEALED_LEN)
		return -NTM_EDECODE;
	memcpy(at.group, m->id, sizeof(at.group));
	return group_rn2_open(&m->login.key, &at, n->rn2_sealed.data, out);
}

/* @read: is_sealed() has said so; what it refused is looked at again, to be named */
static int take_seal(struct member *m, const Ntm__GroupNews *n, bool read)
{
	struct ntmc_key rn2;
	int r = m->welcome_epoch ? -NTM_EAGAIN : rn2_of(m, n, &rn2);

	if (!r && read)
		r = group_seal_check_read(m->g, n->seal.data, &rn2, n->now,
					  &m->not_after);
	else if (!r)
		r = group_seal_check(m->g, n->seal.data, n->seal.len, &rn2,
				     n->now, &m->not_after);
	/* two RN2s for one epoch: it tells others something else */
	if (!r && group_seals_conflict(m->g, n->seal.data, m->seal))
		r = -NTM_EFORK;
	if (!r)
		memcpy(m->seal, n->seal.data, sizeof(m->seal));
	m->heard = n->now;
	if (!r)
		r = group_keys_derive(&m->own.secret, m->g, &rn2, &m->keys);
	ntmc_key_clear(&rn2);
	/* the GMS has signed both; an entry of another past may be anybody's bytes */
	if (r == -NTM_EFORK)
		member_keep_fork(m);
	if (r)
		member_named(
			m, r == -NTM_EFORK ? MEMBER_SAW_FORK : MEMBER_SAW_SEAL,
			GROUP_SERVER, group_epoch(m->g), r);
	return r;
}

/* more of it follows when this is acknowledged */
static void ask_on(struct member *m)
{
	Ntm__Envelope e = NTM__ENVELOPE__INIT;
	Ntm__GroupAck body = NTM__GROUP_ACK__INIT;

	body.group = member_bytes(m->id, sizeof(m->id));
	body.epoch = group_epoch(m->g);
	e.body_case = NTM__ENVELOPE__BODY_GROUP_ACK;
	e.group_ack = &body;
	member_say(m, &e);
}

void news_take(struct member *m, const Ntm__GroupNews *n)
{
	bool ours = is_ours(m, n), sealed;
	int r = take_entries(m, n, ours, &sealed);

	if (!r && !n->seal.len) {
		ask_on(m);
		return;
	}
	if (!r)
		r = take_seal(m, n, sealed);
	if (r) {
		if (m->shut_out && !m->keys.epoch)
			/* a key of before our start is of an epoch that is over */
			m->s.ops->keys(m->s.arg, NULL, m->index);
		member_stop(m, r == -NTM_EFORK ? MEMBER_FORKED : MEMBER_BEHIND);
		if (m->shut_out && !m->wants && m->index != GROUP_SERVER) {
			m->wants = true;
			duty_want(m);
		}
		m->shut_out = false;
		return;
	}
	m->wants = false;
	m->past_epoch = 0;
	if (witness_held(m)) {
		member_stop(m, MEMBER_FROZEN);
		return;
	}
	m->s.ops->keys(m->s.arg, &m->keys, m->index);
	member_set_state(m, MEMBER_JOINED);
	member_clocks(m, n->now);
	if (ours)
		author_took(m);
	author_go(m);
}

/* Who is removed is told of a later epoch than its own, and who joins of the one it joins
 * with at least. */
static bool is_of_before(const struct member *m, const Ntm__GroupGone *g)
{
	uint64_t ours = group_epoch(m->g);

	if (m->welcome_epoch > ours)
		ours = m->welcome_epoch;
	return g->epoch < ours || (g->code == NTM_ENONAME && g->epoch == ours);
}

void news_gone(struct member *m, const Ntm__GroupGone *g)
{
	switch (g->code) {
	case NTM_EAGAIN:
		member_named(m, MEMBER_SAW_ROLLBACK, GROUP_SERVER, g->epoch,
			     -NTM_EAGAIN);
		duty_repair(m, g->epoch);
		return;
	case NTM_EFORK:
		member_named(m, MEMBER_SAW_FORK, GROUP_SERVER, g->epoch,
			     -NTM_EFORK);
		member_stop(m, MEMBER_FORKED);
		return;
	case NTM_ENOLOGIN:
		/* it hears of a new login a moment after us */
		member_stop(m, MEMBER_BEHIND);
		loop_timer_arm(m->again, LOOP_S(MEMBER_AGAIN_S));
		return;
	case NTM_EEXISTS:
		member_named(m, MEMBER_SAW_CLONE, m->index, g->epoch, 0);
		member_stop(m, MEMBER_BEHIND);
		return;
	case NTM_ENOTFOUND:
		/* of a store that was lost, perhaps: what we have is kept */
		member_named(m, MEMBER_SAW_UNKNOWN, GROUP_SERVER,
			     group_epoch(m->g), -NTM_ENOTFOUND);
		member_stop(m, MEMBER_BEHIND);
		return;
	case NTM_ENONAME:
	case NTM_EEXPIRED: /* all have left */
		if (is_of_before(m, g)) {
			/* a store of before we came: others will bring it up to date */
			member_named(m, MEMBER_SAW_ROLLBACK, GROUP_SERVER,
				     g->epoch, -NTM_EAGAIN);
			member_stop(m, MEMBER_BEHIND);
			loop_timer_arm(m->again, LOOP_S(MEMBER_LATER_S));
			return;
		}
		member_stop(m, MEMBER_OUT);
		return;
	default:
		member_stop(m, MEMBER_BEHIND);
	}
}
