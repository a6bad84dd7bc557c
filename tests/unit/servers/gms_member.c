/* SPDX-License-Identifier: MIT */
/* gms_member - a member of one group as a GMS sees it */
#include "tests/unit/servers/gms_member.h"

#include <stdlib.h>
#include <string.h>

#include "libntmcrypto/groupnode.h"

#define PARTS	      400     /* in one message */
#define ACK_SPREAD_NS 500000u /* for each member */

static void send_it(struct gms_member *m, Ntm__Envelope *e)
{
	int r = channel_send(m->channel, e);

	if (r && !m->trouble)
		m->trouble = r;
}

static void ack_due(void *arg);

static ProtobufCBinaryData bytes(const void *p, size_t len)
{
	return (ProtobufCBinaryData){len, (uint8_t *)p};
}

static void new_prekey(struct gms_member *m)
{
	m->priv[1] = m->priv[0];
	memcpy(m->pub[1], m->pub[0], NTMC_KEY_LEN);
	ntmc_x25519_keygen(NULL, &m->priv[0], m->pub[0]);
	memcpy(m->prekey.pub, m->pub[0], NTMC_KEY_LEN);
	m->prekey.serial++;
	group_prekey_sign(m->id, m->gid, &m->prekey);
}

void gms_member_init(struct gms_member *m, struct loop *loop,
		     const struct ntmc_identity *id, const char *fqdn,
		     struct tls_context *tls,
		     const uint8_t gid[static GROUP_ID_LEN])
{
	memset(m, 0, sizeof(*m));
	m->loop = loop;
	m->id = id;
	m->tls = tls;
	strcpy(m->fqdn, fqdn);
	memcpy(m->gid, gid, sizeof(m->gid));
	m->trouble = loop_timer_new(loop, ack_due, m, &m->ack);
	if (!m->trouble)
		m->trouble = group_prekeys_new(&m->genuine);
	new_prekey(m);
}

void gms_member_clear(struct gms_member *m)
{
	if (m->channel)
		channel_close(m->channel);
	loop_timer_free(m->ack);
	group_free(m->g);
	free(m->prekeys);
	free(m->confirmations);
	free(m->acked);
	group_prekeys_free(m->genuine);
}

/* --- what the GMS says -------------------------------------------------------------- */

static int open_part(struct gms_member *m, const struct group_entry *e,
		     const Ntm__GroupLogged *l, struct ntmc_key *share)
{
	int i, r = -NTM_ENOTFOUND;

	if (e->author == m->index) {
		*share = m->share;
		return 0;
	}
	for (i = 0; r && i < 2 && l->part.len; i++)
		r = group_part_open(e, m->index, l->sealer.data, &m->priv[i],
				    m->pub[i], l->part.data, share);
	m->used |= !r;
	return r;
}

static int take_entry(struct gms_member *m, const Ntm__GroupLogged *l)
{
	struct ntmc_key share;
	struct group_entry e;
	int r = group_apply(m->g, l->entry.data, l->entry.len, NULL);

	if (r == -NTM_EEXISTS)
		return 0;
	if (!r)
		r = group_entry_get(l->entry.data, l->entry.len, &e);
	if (!r && e.kind == GROUP_CREATE)
		return 0; /* the founder has its secret */
	if (!r && e.commitment)
		r = open_part(m, &e, l, &share);
	return r ? r : group_secret_step(&m->secret, &e, &share);
}

static void ack(struct gms_member *m, uint64_t epoch, bool with_key,
		uint32_t txn)
{
	Ntm__Envelope e = NTM__ENVELOPE__INIT;
	Ntm__GroupAck body = NTM__GROUP_ACK__INIT;
	uint8_t tag[GROUP_CONFIRM_LEN], prekey[GROUP_PREKEY_LEN];

	body.group = bytes(m->gid, sizeof(m->gid));
	body.epoch = epoch;
	group_prekey_put(&m->prekey, prekey);
	body.prekey = bytes(prekey, sizeof(prekey));
	if (with_key) {
		group_confirm(&m->keys, m->index, tag);
		body.confirmation = bytes(tag, sizeof(tag));
	}
	e.txn = txn;
	e.body_case = NTM__ENVELOPE__BODY_GROUP_ACK;
	e.group_ack = &body;
	send_it(m, &e);
}

/* several parts of one news may be to one prekey: it is drawn anew once */
static void ack_due(void *arg)
{
	struct gms_member *m = arg;

	if (!m->channel)
		return; /* the next hello says it */
	if (m->used)
		new_prekey(m);
	m->used = false;
	ack(m, m->epoch, true, 0); /* nobody waits for its answer */
}

/*
 * Not all at once: at the GMS a thousand acknowledgements, each with a prekey to be
 * verified, would stand before the news of who waits for them still.
 */
static void ack_soon(struct gms_member *m)
{
	uint32_t r;

	ntmc_random(NULL, &r, sizeof(r));
	if (!loop_timer_armed(m->ack))
		loop_timer_arm(m->ack, r % (group_size(m->g) * ACK_SPREAD_NS));
}

/* who has Kngms takes RN2 in no other way */
static int take_rn2(struct gms_member *m, const Ntm__GroupNews *n,
		    struct ntmc_key *rn2)
{
	struct group_rn2_place at = {.epoch = group_epoch(m->g),
				     .index = m->index};

	m->sealed = m->key_id != 0;
	if (m->sealed != (n->rn2_sealed.len > 0) ||
	    m->sealed == (n->rn2.len > 0))
		return -NTM_EDECODE;
	memcpy(at.group, m->gid, sizeof(at.group));
	if (m->sealed)
		return group_rn2_open(&m->kngms, &at, n->rn2_sealed.data, rn2);
	memcpy(rn2->b, n->rn2.data, sizeof(rn2->b));
	return 0;
}

static int take_news(struct gms_member *m, const Ntm__GroupNews *n)
{
	struct ntmc_key rn2;
	int64_t not_after;
	int r = 0;
	size_t i;

	m->n_news++;
	for (i = 0; !r && i < n->n_entries; i++)
		r = take_entry(m, n->entries[i]);
	if (r || !n->seal.len) {
		if (!r)
			ack(m, group_epoch(m->g), false, 0);
		return r;
	}
	r = take_rn2(m, n, &rn2);
	if (!r)
		r = group_seal_check(m->g, n->seal.data, n->seal.len, &rn2,
				     n->now, &not_after);
	if (!r)
		r = group_keys_derive(&m->secret, m->g, &rn2, &m->keys);
	if (r)
		return r;
	memcpy(m->seal, n->seal.data, sizeof(m->seal));
	m->has_seal = true;
	m->epoch = group_epoch(m->g);
	m->key_ns = loop_now_exact(m->loop);
	ack_soon(m);
	return 0;
}

static void take_answer(struct gms_member *m, const Ntm__GroupAnswer *a)
{
	size_t i, n = group_size(m->g);

	if (!m->prekeys) {
		m->prekeys = calloc(GROUP_MEMBERS_MAX, sizeof(*m->prekeys));
		m->confirmations =
			calloc(GROUP_MEMBERS_MAX, sizeof(*m->confirmations));
		m->acked = calloc(GROUP_MEMBERS_MAX, sizeof(*m->acked));
	}
	for (i = 0; i < a->n_people && m->n_people < n; i++) {
		const Ntm__GroupPerson *p = a->people[i];
		size_t at = m->n_people++;

		memset(m->prekeys[at], 0, GROUP_PREKEY_LEN);
		if (p->prekey.len)
			memcpy(m->prekeys[at], p->prekey.data,
			       GROUP_PREKEY_LEN);
		if (p->confirmation.len)
			memcpy(m->confirmations[at], p->confirmation.data,
			       GROUP_CONFIRM_LEN);
		m->acked[at] = p->acked;
	}
	m->answered = a->last;
	if (!a->last && a->n_people) {
		Ntm__Envelope e = NTM__ENVELOPE__INIT;
		Ntm__GroupQuestion q = NTM__GROUP_QUESTION__INIT;

		q.group = bytes(m->gid, sizeof(m->gid));
		q.from = a->people[a->n_people - 1]->index + 1;
		e.body_case = NTM__ENVELOPE__BODY_GROUP_QUESTION;
		e.group_question = &q;
		send_it(m, &e);
	}
}

static void take_relay(struct gms_member *m, const Ntm__GroupRelay *r)
{
	m->n_relays++;
	m->relay_epoch = r->epoch;
	m->relay_place = r->place;
	m->relay_addresses = r->n_addresses;
	memcpy(m->relay_key, r->key.data, r->key.len);
	if (r->n_addresses && addr_from_message(r->addresses[0], &m->relay_at))
		m->trouble = -NTM_EDECODE;
}

static void on_message(struct channel *c, const Ntm__Envelope *msg, void *arg)
{
	struct gms_member *m = arg;
	int r = 0;

	(void)c;
	if (msg->body_case == NTM__ENVELOPE__BODY_GROUP_NEWS) {
		r = take_news(m, msg->group_news);
	} else if (msg->body_case == NTM__ENVELOPE__BODY_GROUP_GONE) {
		m->gone_code = msg->group_gone->code;
		m->gone_epoch = msg->group_gone->epoch;
	} else if (msg->body_case == NTM__ENVELOPE__BODY_GROUP_ANSWER) {
		take_answer(m, msg->group_answer);
	} else if (msg->body_case == NTM__ENVELOPE__BODY_GROUP_LEAVE) {
		m->leave.index = msg->group_leave->index;
		m->leave.epoch = msg->group_leave->epoch;
		memcpy(m->leave.sig, msg->group_leave->signature.data,
		       sizeof(m->leave.sig));
		m->n_leaves++;
	} else if (msg->body_case == NTM__ENVELOPE__BODY_GROUP_WANT) {
		m->wanting = msg->group_want->index;
		m->n_wants++;
	} else if (msg->body_case == NTM__ENVELOPE__BODY_GROUP_PLANS) {
		m->n_plans = (unsigned int)msg->group_plans->n_plans;
		m->n_told++;
		if (m->n_plans)
			memcpy(m->plan, msg->group_plans->plans[0]->id.data,
			       sizeof(m->plan));
	} else if (msg->body_case == NTM__ENVELOPE__BODY_GROUP_RELAY) {
		take_relay(m, msg->group_relay);
	} else if (msg->body_case == NTM__ENVELOPE__BODY_ACK && !msg->txn) {
		m->n_unasked++;
	} else if (msg->body_case == NTM__ENVELOPE__BODY_ACK &&
		   msg->txn == m->txn) {
		m->ack_code = msg->ack->code;
		m->asked = false;
	}
	if (r && !m->trouble)
		m->trouble = r;
}

static void on_open(struct channel *c, void *arg)
{
	struct gms_member *m = arg;

	(void)c;
	m->open = true;
}

static void on_closed(struct channel *c, int err, void *arg)
{
	struct gms_member *m = arg;

	if (m->channel != c)
		return;
	m->open = false;
	m->closed = err ? err : -NTM_ECLOSED;
	m->channel = NULL;
}

static const struct channel_ops ops = {
	.open = on_open, .message = on_message, .closed = on_closed};

int gms_member_connect(struct gms_member *m, const struct addr *at)
{
	m->closed = 0;
	return channel_connect(m->loop, m->tls, &at->sa, addr_len(at), &ops, m,
			       &m->channel);
}

/* --- what it says ------------------------------------------------------------------------ */

void gms_member_hello(struct gms_member *m)
{
	Ntm__Envelope e = NTM__ENVELOPE__INIT;
	Ntm__GroupHello body = NTM__GROUP_HELLO__INIT;
	uint8_t prekey[GROUP_PREKEY_LEN];

	if (m->used)
		new_prekey(m);
	m->used = false;
	group_prekey_put(&m->prekey, prekey);
	body.group = bytes(m->gid, sizeof(m->gid));
	body.prekey = bytes(prekey, sizeof(prekey));
	body.node_id = m->node_id;
	body.key_id = m->key_id;
	if (m->g && group_epoch(m->g)) {
		body.epoch = group_epoch(m->g);
		body.hash = bytes(group_hash(m->g), NTMC_HASH_LEN);
	}
	body.epoch += m->invented;
	if (m->has_seal)
		body.seal = bytes(m->seal, sizeof(m->seal));
	e.body_case = NTM__ENVELOPE__BODY_GROUP_HELLO;
	e.group_hello = &body;
	m->gone_code = 0;
	send_it(m, &e);
}

void gms_member_question(struct gms_member *m)
{
	Ntm__Envelope e = NTM__ENVELOPE__INIT;
	Ntm__GroupQuestion body = NTM__GROUP_QUESTION__INIT;

	m->answered = false;
	m->n_people = 0;
	body.group = bytes(m->gid, sizeof(m->gid));
	e.body_case = NTM__ENVELOPE__BODY_GROUP_QUESTION;
	e.group_question = &body;
	send_it(m, &e);
}

void gms_member_send_entry(struct gms_member *m, const uint8_t *entry,
			   size_t len, const uint8_t *sealer)
{
	Ntm__Envelope e = NTM__ENVELOPE__INIT;
	Ntm__GroupSubmit body = NTM__GROUP_SUBMIT__INIT;

	body.entry = bytes(entry, len);
	if (sealer)
		body.sealer = bytes(sealer, NTMC_KEY_LEN);
	e.txn = ++m->txn;
	e.body_case = NTM__ENVELOPE__BODY_GROUP_SUBMIT;
	e.group_submit = &body;
	m->asked = true;
	send_it(m, &e);
}

int gms_member_create(struct gms_member *m, const uint8_t *server_key,
		      const struct group_policy *policy)
{
	struct group_change c = {.kind = GROUP_CREATE,
				 .id = m->gid,
				 .fqdn = m->fqdn,
				 .server_key = server_key,
				 .server = "gms.example.org",
				 .policy = policy};
	struct ntmc_key share;
	int r = group_new(&m->g);

	ntmc_key_random(NULL, &share);
	c.share = &share;
	if (!r)
		r = group_make(NULL, m->g, m->id, &c, m->entry, &m->entry_len,
			       NULL);
	if (!r)
		r = group_apply(m->g, m->entry, m->entry_len, NULL);
	if (!r)
		r = group_secret_first(&m->secret, m->gid, "band", &share);
	if (!r)
		gms_member_send_entry(m, m->entry, m->entry_len, NULL);
	return r;
}

/* who has not said hello yet has told none */
static bool has_prekey(const struct gms_member *m, size_t i)
{
	static const uint8_t none[GROUP_PREKEY_LEN];

	return memcmp(m->prekeys[i], none, sizeof(none)) != 0;
}

int gms_member_prepare(struct gms_member *m)
{
	struct group_prekey p;
	size_t i;
	int r = 0;

	for (i = 0; !r && i < m->n_people; i++)
		if (has_prekey(m, i))
			r = group_prekeys_take(
				m->genuine, m->g, group_at(m->g, i)->index,
				m->prekeys[i], GROUP_PREKEY_LEN, &p);
	return r;
}

static int send_parts(struct gms_member *m, const struct group_entry *e,
		      struct group_sealer *s)
{
	static uint8_t b[PARTS][GROUP_PART_LEN];
	static Ntm__GroupPart part[PARTS];
	static Ntm__GroupPart *list[PARTS];
	Ntm__Envelope env = NTM__ENVELOPE__INIT;
	Ntm__GroupParts body = NTM__GROUP_PARTS__INIT;
	size_t i;
	int r = 0;

	body.group = bytes(m->gid, sizeof(m->gid));
	body.epoch = e->epoch;
	body.parts = list;
	env.body_case = NTM__ENVELOPE__BODY_GROUP_PARTS;
	env.group_parts = &body;
	for (i = 0; !r && i < m->n_people; i++) {
		const struct group_member *who = group_at(m->g, i);
		size_t n = body.n_parts;
		struct group_prekey p;

		if (who->index == m->index ||
		    group_entry_removes(e, who->index))
			continue;
		if (!has_prekey(m, i))
			continue;
		r = group_prekeys_take(m->genuine, m->g, who->index,
				       m->prekeys[i], GROUP_PREKEY_LEN, &p);
		if (!r)
			r = group_part_seal(s, who->index, p.pub, &m->share,
					    b[n]);
		ntm__group_part__init(&part[n]);
		part[n].index = who->index;
		part[n].part = bytes(b[n], GROUP_PART_LEN);
		list[n] = &part[n];
		if (++body.n_parts == PARTS) {
			send_it(m, &env);
			body.n_parts = 0;
		}
	}
	if (!r && body.n_parts)
		send_it(m, &env);
	return r;
}

int gms_member_submit(struct gms_member *m, struct group_change *c)
{
	struct group_sealer s;
	struct group_entry e;
	int r;

	ntmc_key_random(NULL, &m->share);
	c->share = &m->share;
	r = group_make(NULL, m->g, m->id, c, m->entry, &m->entry_len, NULL);
	if (!r)
		r = group_entry_get(m->entry, m->entry_len, &e);
	if (r)
		return r;
	group_sealer_open(NULL, m->gid, e.epoch, e.generation, &s);
	if (e.commitment)
		r = send_parts(m, &e, &s);
	if (!r)
		gms_member_send_entry(m, m->entry, m->entry_len,
				      e.commitment ? s.pub : NULL);
	group_sealer_clear(&s);
	return r;
}

void gms_member_leave(struct gms_member *m)
{
	Ntm__Envelope e = NTM__ENVELOPE__INIT;
	Ntm__GroupLeave body = NTM__GROUP_LEAVE__INIT;
	struct group_leave l;

	group_leave_sign(m->id, m->g, m->index, &l);
	body.group = bytes(m->gid, sizeof(m->gid));
	body.index = l.index;
	body.epoch = l.epoch;
	body.signature = bytes(l.sig, sizeof(l.sig));
	e.txn = ++m->txn;
	e.body_case = NTM__ENVELOPE__BODY_GROUP_LEAVE;
	e.group_leave = &body;
	m->asked = true;
	send_it(m, &e);
}

void gms_member_ack(struct gms_member *m)
{
	m->asked = true;
	ack(m, m->epoch, true, ++m->txn);
}

void gms_member_want(struct gms_member *m)
{
	Ntm__Envelope e = NTM__ENVELOPE__INIT;
	Ntm__GroupWant body = NTM__GROUP_WANT__INIT;

	body.group = bytes(m->gid, sizeof(m->gid));
	body.index = m->index;
	e.txn = ++m->txn;
	e.body_case = NTM__ENVELOPE__BODY_GROUP_WANT;
	e.group_want = &body;
	m->asked = true;
	send_it(m, &e);
}

void gms_member_plans(struct gms_member *m, const uint8_t *done)
{
	Ntm__Envelope e = NTM__ENVELOPE__INIT;
	Ntm__GroupPlanQuestion body = NTM__GROUP_PLAN_QUESTION__INIT;

	if (done)
		body.done = bytes(done, GROUP_ID_LEN);
	e.body_case = NTM__ENVELOPE__BODY_GROUP_PLAN_QUESTION;
	e.group_plan_question = &body;
	m->n_told = 0;
	send_it(m, &e);
}

int gms_member_welcome(const struct gms_member *from, struct gms_member *to)
{
	const struct group_member *me;
	size_t len;
	uint8_t *b;
	int r = group_save(from->g, NULL, 0, &len);

	if (r)
		return r;
	b = malloc(len);
	if (!b)
		return -NTM_ENOMEM;
	r = group_save(from->g, b, len, &len);
	group_free(to->g);
	to->g = NULL;
	if (!r)
		r = group_load(b, len, &to->g);
	free(b);
	if (r)
		return r;
	to->secret = from->secret;
	me = group_find_key(to->g, to->id->ed_pub);
	if (!me)
		return -NTM_ENONAME;
	to->index = me->index;
	return 0;
}
