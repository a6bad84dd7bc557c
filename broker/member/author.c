/* SPDX-License-Identifier: MIT */
/*
 * author - what a member wants of its group: entries, parts, made anew
 *
 * Theory of operation
 *
 * A wish is made into an entry of the log's end as we know it. An entry that commits to a
 * share needs all members' prekeys first. Its share is on the disk before it leaves: if we
 * end here, the entry may come back to us as news, without a part, as its author has the
 * share. Another one's entry may be first: the GMS says AGAIN, the news says which, and the
 * wish is made anew from there, without members that have gone meanwhile. So it is where
 * somebody has told the GMS of its first prekey since we asked: it lacks a part then.
 *
 * Whom a person wants removed is in the store until it is done, or cannot be: a device that
 * is put out while it waits for the GMS goes on after its start. Whom its person wants
 * removed meanwhile goes with them. What the device wants by itself makes room for it, as
 * long as the GMS has not been given that.
 */
#include <stdlib.h>
#include <string.h>

#include "broker/member/member_impl.h"
#include "common/log.h"
#include "libntmcrypto/wire.h"

/* --- wishes -------------------------------------------------------------------------- */

static void change_clear(struct group_change *c)
{
	size_t i;

	for (i = 0; c->joiners && i < c->n_joiners; i++)
		free((char *)c->joiners[i].fqdn);
	free((void *)c->joiners);
	free((void *)c->gone);
	free((void *)c->leave);
	free((void *)c->policy);
	memset(c, 0, sizeof(*c));
}

static void *copy_of(const void *p, size_t len)
{
	void *to = p && len ? malloc(len) : NULL;

	return to ? memcpy(to, p, len) : NULL;
}

static bool copy_joiners(struct group_change *to, const struct group_change *c)
{
	struct group_joiner *j = copy_of(c->joiners, c->n_joiners * sizeof(*j));
	bool ok = j;
	size_t i;

	for (i = 0; j && i < c->n_joiners; i++) {
		j[i].fqdn = strdup(c->joiners[i].fqdn);
		ok = ok && j[i].fqdn;
	}
	to->joiners = j;
	to->n_joiners = j ? c->n_joiners : 0;
	return ok;
}

static int by_number(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

/* in order of index, each once, as an entry has them: who wants it need not know. Return:
 * how many */
static size_t in_order(uint32_t *gone, size_t n)
{
	size_t i, k = 0;

	qsort(gone, n, sizeof(*gone), by_number);
	for (i = 0; i < n; i++)
		if (!k || gone[i] != gone[k - 1])
			gone[k++] = gone[i];
	return k;
}

/* only what belongs to its kind is read, so only that is copied */
static int change_copy(struct group_change *to, const struct group_change *c)
{
	bool ok = true;

	memset(to, 0, sizeof(*to));
	to->kind = c->kind;
	to->reason = c->reason;
	to->index = c->index;
	to->rights = c->rights;
	if (c->kind == GROUP_ADD && c->n_joiners <= GROUP_JOIN_MAX) {
		ok = copy_joiners(to, c);
	} else if (c->kind == GROUP_POLICY) {
		to->policy = copy_of(c->policy, sizeof(*c->policy));
		ok = to->policy;
	} else if (c->kind == GROUP_REMOVE && c->reason == GROUP_LEFT) {
		to->leave = copy_of(c->leave, sizeof(*c->leave));
		ok = to->leave;
	} else if (c->kind == GROUP_REMOVE) {
		uint32_t *gone = copy_of(c->gone, c->n_gone * sizeof(*c->gone));

		to->n_gone = gone ? in_order(gone, c->n_gone) : 0;
		to->gone = gone;
		ok = gone;
	}
	if (!ok)
		change_clear(to);
	return ok ? 0 : -NTM_ENOMEM;
}

void author_end(struct member *m, int code)
{
	bool ours = m->wish.ours;

	if (!m->wish.state)
		return;
	/* nobody else knows that it is due */
	if (ours && code && m->wish.c.kind == GROUP_REFRESH)
		loop_timer_arm(m->turn, LOOP_S(MEMBER_TURN_S));
	if (m->wish.kept &&
	    memberstore_note_put(m->s.store, m->id, NOTE_REMOVAL, NULL, 0))
		log_err("member", "%s: a removal that is over stays written",
			m->own.secret.name);
	change_clear(&m->wish.c);
	memset(&m->wish, 0, sizeof(m->wish));
	if (!ours)
		m->s.ops->done(m->s.arg, code);
}

static bool is_removal(const struct group_change *c)
{
	return c->kind == GROUP_REMOVE && c->reason == GROUP_REMOVED;
}

static int keep_removal(struct member *m)
{
	const struct group_change *c = &m->wish.c;
	uint8_t body[MEMBERSTORE_NOTE_MAX];
	struct wire_out w = wire_out(body, sizeof(body));
	size_t i;

	for (i = 0; i < c->n_gone; i++)
		wire_put_number(&w, c->gone[i], 4);
	m->wish.kept = true;
	return memberstore_note_put(m->s.store, m->id, NOTE_REMOVAL, body,
				    w.len);
}

void author_load(struct member *m)
{
	uint32_t gone[GROUP_GONE_MAX];
	struct group_change c = {
		.kind = GROUP_REMOVE, .reason = GROUP_REMOVED, .gone = gone};
	uint8_t body[MEMBERSTORE_NOTE_MAX];
	struct wire_in w;
	size_t len;

	if (memberstore_note_get(m->s.store, m->id, NOTE_REMOVAL, body, &len))
		return;
	for (w = wire_in(body, len); w.left >= 4; c.n_gone++)
		gone[c.n_gone] = (uint32_t)wire_get_number(&w, 4);
	if (author_want(m, &c, false))
		log_warn("member", "%s: a removal that waits cannot be made",
			 m->own.secret.name);
}

/* An entry of it as things are */
static int would_apply(struct member *m, const struct group_change *c)
{
	struct group_change made = *c;
	uint8_t entry[GROUP_ENTRY_MAX];
	struct ntmc_key share;
	size_t len;
	int r;

	ntmc_key_random(m->s.env, &share);
	made.share = &share;
	r = group_make(m->s.env, m->g, m->s.id, &made, entry, &len, NULL);
	ntmc_key_clear(&share);
	return r;
}

static bool takes_in(const struct member *m, const struct group_change *c)
{
	return m->wish.kept && m->wish.state != WISH_SUBMITTED && is_removal(c);
}

/* Who is wished away beside those of the removal that waits goes with them: it may wait for
 * long. What would be refused is refused here, or it took the others with it. */
static int take_in(struct member *m, const struct group_change *c)
{
	uint32_t gone[2 * GROUP_GONE_MAX];
	struct group_change was = m->wish.c, both = was;
	size_t i, n = 0;
	int r;

	if (c->n_gone > GROUP_GONE_MAX)
		return -NTM_EINVAL;
	for (i = 0; i < was.n_gone; i++)
		if (group_find(m->g, was.gone[i]))
			gone[n++] = was.gone[i];
	memcpy(gone + n, c->gone, c->n_gone * sizeof(*gone));
	both.gone = gone;
	both.n_gone = in_order(gone, n + c->n_gone);
	r = both.n_gone > GROUP_GONE_MAX ? -NTM_EAGAIN : would_apply(m, &both);
	if (!r)
		r = change_copy(&m->wish.c, &both);
	if (!r) {
		r = keep_removal(m);
		change_clear(r ? &m->wish.c : &was);
	}
	if (r)
		m->wish.c = was;
	else
		author_go(m);
	return r;
}

/* Does what is wished already make room for @c? */
static bool makes_room(const struct member *m, const struct group_change *c)
{
	return is_removal(c) && m->wish.state != WISH_SUBMITTED &&
	       (m->wish.ours || m->wish.c.kind == GROUP_ADD);
}

int author_want(struct member *m, const struct group_change *c, bool ours)
{
	int r;

	if (m->state == MEMBER_OUT || m->state == MEMBER_FORKED || m->leaving)
		return -NTM_ESTATE;
	/* moving to another GMS needs the owner to connect elsewhere */
	if (c->kind == GROUP_CREATE || c->kind == GROUP_RENEW ||
	    c->kind == GROUP_MOVE)
		return -NTM_EINVAL;
	if (!ours && takes_in(m, c))
		return take_in(m, c);
	if (m->wish.state && !ours && makes_room(m, c))
		author_end(m, -NTM_EAGAIN);
	if (m->wish.state)
		return -NTM_EAGAIN;
	r = change_copy(&m->wish.c, c);
	if (r)
		return r;
	m->wish.ours = ours;
	m->wish.state = WISH_WAITS;
	r = !ours && is_removal(c) ? keep_removal(m) : 0;
	if (r) {
		change_clear(&m->wish.c);
		memset(&m->wish, 0, sizeof(m->wish));
		return r;
	}
	author_go(m);
	return 0;
}

int member_submit(struct member *m, const struct group_change *c)
{
	return author_want(m, c, false);
}

/* what others have done already is not wanted any more. Return: nothing is left */
static bool is_done(struct member *m)
{
	struct group_change *c = &m->wish.c;
	uint32_t *gone = (uint32_t *)c->gone;
	size_t i, n = 0;

	if (c->kind != GROUP_REMOVE)
		return false;
	if (c->reason == GROUP_LEFT)
		return !group_find(m->g, c->leave->index);
	for (i = 0; i < c->n_gone; i++)
		if (group_find(m->g, gone[i]))
			gone[n++] = gone[i];
	c->n_gone = n;
	return !n;
}

void author_go(struct member *m)
{
	if (m->state != MEMBER_JOINED || !m->online || !m->wish.state)
		return;
	/* while it is submitted only news of its own epoch ends it, or AGAIN */
	if (m->wish.state != WISH_WAITS)
		return;
	if (is_done(m)) {
		author_end(m, 0);
		return;
	}
	if (m->wish.tries++ == MEMBER_TRIES) {
		author_end(m, -NTM_EAGAIN);
		return;
	}
	m->wish.state = WISH_ASKS;
	/* the pages of two answers, one beside the other, make none: what is on its way
	 * is ours as well */
	if (!m->asking ||
	    loop_now(m->s.loop) - m->asked > LOOP_S(MEMBER_ANSWER_S))
		author_ask(m);
}

/* --- prekeys ------------------------------------------------------------------------ */

static void ask_from(struct member *m, uint32_t from)
{
	Ntm__Envelope e = NTM__ENVELOPE__INIT;
	Ntm__GroupQuestion body = NTM__GROUP_QUESTION__INIT;

	body.group = member_bytes(m->id, sizeof(m->id));
	body.from = from;
	body.all = true;
	e.body_case = NTM__ENVELOPE__BODY_GROUP_QUESTION;
	e.group_question = &body;
	member_say(m, &e);
}

void author_ask(struct member *m)
{
	m->asking = true;
	m->skips = false;
	m->asked = loop_now(m->s.loop);
	m->n_people = 0;
	ask_from(m, 0);
}

static bool has_prekey(const struct member *m, size_t i)
{
	static const uint8_t none[GROUP_PREKEY_LEN];

	return memcmp(m->people[i], none, sizeof(none)) != 0;
}

/* a member's prekey, checked; what is not its own is named, and nothing is sealed to it */
static int prekey_of(struct member *m, size_t i, struct group_prekey *out)
{
	uint32_t index = group_at(m->g, i)->index;
	int r = group_prekeys_take(m->genuine, m->g, index, m->people[i],
				   GROUP_PREKEY_LEN, out);

	if (r)
		member_named(m, MEMBER_SAW_PREKEY, index, group_epoch(m->g), r);
	return r;
}

/* --- the entry ----------------------------------------------------------------------- */

static void send_parts(struct member *m, uint64_t epoch, Ntm__GroupPart **list,
		       size_t n)
{
	Ntm__Envelope e = NTM__ENVELOPE__INIT;
	Ntm__GroupParts body = NTM__GROUP_PARTS__INIT;

	body.group = member_bytes(m->id, sizeof(m->id));
	body.epoch = epoch;
	body.parts = list;
	body.n_parts = n;
	e.body_case = NTM__ENVELOPE__BODY_GROUP_PARTS;
	e.group_parts = &body;
	member_say(m, &e);
}

/** struct parts - one message of them */
struct parts {
	uint8_t b[MEMBER_PARTS][GROUP_PART_LEN];
	Ntm__GroupPart part[MEMBER_PARTS], *list[MEMBER_PARTS];
	size_t n;
};

/* Who has no prekey that a share can be sealed to gets bytes that open for nobody, and asks
 * for a welcome: no member keeps an entry from being made, and least of all its own
 * removal. The GMS may have given us another one than its own, too. */
static int seal_one(struct member *m, size_t i, const struct group_sealer *s,
		    uint8_t out[static GROUP_PART_LEN])
{
	uint32_t index = group_at(m->g, i)->index;
	struct group_prekey k;
	int r = prekey_of(m, i, &k);

	if (!r) {
		r = group_part_seal(s, index, k.pub, &m->own.share, out);
		if (r)
			member_named(m, MEMBER_SAW_PREKEY, index,
				     group_epoch(m->g), r);
	}
	if (!r || r == -NTM_ENOMEM)
		return r;
	ntmc_random(m->s.env, out, GROUP_PART_LEN);
	return 0;
}

static int seal_all(struct member *m, const struct group_entry *e,
		    const struct group_sealer *s, struct parts *p)
{
	size_t i;
	int r = 0;

	for (i = 0; !r && i < m->n_people; i++) {
		uint32_t index = group_at(m->g, i)->index;

		if (index == m->index || group_entry_removes(e, index) ||
		    !has_prekey(m, i))
			continue;
		r = seal_one(m, i, s, p->b[p->n]);
		ntm__group_part__init(&p->part[p->n]);
		p->part[p->n].index = index;
		p->part[p->n].part = member_bytes(p->b[p->n], GROUP_PART_LEN);
		p->list[p->n] = &p->part[p->n];
		if (!r && ++p->n == MEMBER_PARTS) {
			send_parts(m, e->epoch, p->list, p->n);
			p->n = 0;
		}
	}
	if (!r && p->n)
		send_parts(m, e->epoch, p->list, p->n);
	return r;
}

static void send_entry(struct member *m, const uint8_t *entry, size_t len,
		       const uint8_t *sealer)
{
	const struct group_change *c = &m->wish.c;
	ProtobufCBinaryData prekeys[GROUP_JOIN_MAX];
	Ntm__Envelope e = NTM__ENVELOPE__INIT;
	Ntm__GroupSubmit body = NTM__GROUP_SUBMIT__INIT;
	size_t i;

	/* so whoever makes a generation before they come has a part for them */
	for (i = 0; c->kind == GROUP_ADD && i < c->n_joiners; i++)
		prekeys[body.n_prekeys++] =
			member_bytes(c->joiners[i].prekey, GROUP_PREKEY_LEN);
	body.prekeys = prekeys;
	body.entry = member_bytes(entry, len);
	if (sealer)
		body.sealer = member_bytes(sealer, NTMC_KEY_LEN);
	m->wish.txn = ++m->txn;
	e.txn = m->wish.txn;
	e.body_case = NTM__ENVELOPE__BODY_GROUP_SUBMIT;
	e.group_submit = &body;
	member_say(m, &e);
}

/* the share is on the disk before anybody has the entry */
static int keep_share(struct member *m, const uint8_t *entry, size_t len)
{
	ntmc_sha256(entry, len, m->own.entry_hash);
	m->own.waiting = true;
	return memberstore_put(m->s.store, m->g, &m->own);
}

static int submit(struct member *m)
{
	uint8_t entry[GROUP_ENTRY_MAX];
	struct parts *p = calloc(1, sizeof(*p));
	struct group_sealer s;
	struct group_entry e;
	size_t len;
	int r = p ? 0 : -NTM_ENOMEM;

	ntmc_key_random(m->s.env, &m->own.share);
	m->wish.c.share = &m->own.share;
	if (!r)
		r = group_make(m->s.env, m->g, m->s.id, &m->wish.c, entry, &len,
			       NULL);
	if (!r)
		r = group_entry_get(entry, len, &e);
	if (!r)
		r = keep_share(m, entry, len);
	if (!r) {
		m->wish.epoch = e.epoch;
		group_sealer_open(m->s.env, m->id, e.epoch, e.generation, &s);
		if (e.commitment)
			r = seal_all(m, &e, &s, p);
		if (!r)
			send_entry(m, entry, len, e.commitment ? s.pub : NULL);
		group_sealer_clear(&s);
	}
	free(p);
	return r;
}

/* the GMS cannot make it, and may only keep it back */
static void confirmed(struct member *m, size_t i, const Ntm__GroupPerson *p)
{
	bool ok = m->keys.epoch && p->acked == m->keys.epoch &&
		  p->confirmation.len == GROUP_CONFIRM_LEN &&
		  !group_confirmed(&m->keys, p->index, p->confirmation.data);

	m->confirmed[i] = ok ? m->keys.epoch : 0;
}

/* Return: false: it does not fit to the log as we know it */
static bool take_people(struct member *m, const Ntm__GroupAnswer *a)
{
	size_t i, n = group_size(m->g);

	if (a->epoch != group_epoch(m->g) || (!a->last && !a->n_people))
		return false;
	for (i = 0; i < a->n_people; i++) {
		const Ntm__GroupPerson *p = a->people[i];
		uint8_t *to = m->people[m->n_people];

		if (m->n_people == n ||
		    p->index != group_at(m->g, m->n_people)->index)
			return false;
		m->n_people++;
		memset(to, 0, GROUP_PREKEY_LEN);
		if (p->prekey.len == GROUP_PREKEY_LEN)
			memcpy(to, p->prekey.data, GROUP_PREKEY_LEN);
		confirmed(m, m->n_people - 1, p);
		silence_told(m, m->n_people - 1, p->seen);
	}
	return !a->last || m->n_people == n;
}

/* ahead of time; what is wrong is named */
static void check_all(struct member *m)
{
	struct group_prekey k;
	size_t i;

	for (i = 0; i < m->n_people; i++)
		if (has_prekey(m, i) && prekey_of(m, i, &k) == -NTM_ENOMEM)
			return;
}

void author_answer(struct member *m, const Ntm__GroupAnswer *a)
{
	int r;

	if (!m->asking)
		return;
	if (!m->skips && !take_people(m, a))
		m->skips = true;
	/* asked anew before its last one came, their rest would be taken for the new one's */
	if (a->follows && !a->last)
		return;
	if (m->skips) {
		m->asking = false;
		if (m->wish.state == WISH_ASKS)
			m->wish.state = WISH_WAITS;
		/* of an epoch to come: its news will begin the wish anew */
		if (a->epoch <= group_epoch(m->g))
			author_go(m);
		return;
	}
	if (!a->last) {
		ask_from(m, a->people[a->n_people - 1]->index + 1);
		return;
	}
	m->asking = false;
	silence_look(m);
	m->s.ops->people(m->s.arg);
	if (m->wish.state != WISH_ASKS) {
		check_all(m);
		duty_evict(m);
		return;
	}
	m->wish.state = WISH_SUBMITTED;
	r = submit(m);
	if (r)
		author_end(m, r);
}

/* --- what became of it --------------------------------------------------------------- */

static bool seals_parts(const struct group_change *c)
{
	return c->kind == GROUP_REMOVE || c->kind == GROUP_REFRESH;
}

void author_acked(struct member *m, int code)
{
	if (m->wish.state != WISH_SUBMITTED || !code || code == -NTM_EEXISTS)
		return; /* the news ends it */
	if (code == -NTM_EINVAL && seals_parts(&m->wish.c) &&
	    ++m->wish.short_of < MEMBER_PARTS_TRIES) {
		m->wish.state = WISH_WAITS;
		author_go(m);
		return;
	}
	if (code != -NTM_EAGAIN) {
		author_end(m, code);
		return;
	}
	m->wish.state = WISH_WAITS;
	/* the news of who was first is here already, or will begin it anew */
	if (group_epoch(m->g) >= m->wish.epoch)
		author_go(m);
}

void author_took(struct member *m)
{
	/* one of before the last start is nobody's wish any more */
	if (m->wish.epoch)
		author_end(m, 0);
}
