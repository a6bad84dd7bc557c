/* SPDX-License-Identifier: MIT */
/*
 * callers - nodes' connections to the GMS, and what they say
 *
 * Theory of operation
 *
 * Who a caller is, its TLS certificate says; in which groups it has a part, the groups'
 * logs say, by its identity. It follows a group from its hello on: it is told what it
 * lacks, then each new entry. What it submits must be its own; the ledger decides.
 *
 * A node that has been further than the ledger (which was restored from a backup) is
 * told so, and gives back the entries, which vouch for themselves. RN2 of those epochs
 * is gone: as soon as the ledger is where the node was, it renews.
 */
#include <stdlib.h>
#include <string.h>

#include "common/fqdn.h"
#include "common/log.h"
#include "servers/gms/state.h"

static struct caller *caller_of(struct gms *gms, struct channel *c)
{
	struct caller *ca;

	HASH_FIND_PTR(gms->callers, &c, ca);
	return ca;
}

static void drop_parts(struct caller *ca)
{
	free(ca->parts);
	free(ca->part_bytes);
	ca->parts = NULL;
	ca->part_bytes = NULL;
	ca->n_parts = 0;
}

/* --- answers --------------------------------------------------------------------- */

void caller_send(struct caller *ca, Ntm__Envelope *msg)
{
	int r = channel_send(ca->channel, msg);

	if (r)
		log_debug("gms", "%s: not sent: %s", ca->fqdn, err_text(r));
}

void caller_ack(struct caller *ca, uint32_t txn, int code)
{
	Ntm__Envelope env = NTM__ENVELOPE__INIT;
	Ntm__NtmAck body = NTM__NTM_ACK__INIT;

	env.txn = txn;
	env.body_case = NTM__ENVELOPE__BODY_ACK;
	env.ack = &body;
	body.code = (uint32_t)-code;
	caller_send(ca, &env);
}

void caller_gone(struct caller *ca, const uint8_t *group, int code,
		 uint64_t epoch)
{
	Ntm__Envelope env = NTM__ENVELOPE__INIT;
	Ntm__GroupGone body = NTM__GROUP_GONE__INIT;

	env.body_case = NTM__ENVELOPE__BODY_GROUP_GONE;
	env.group_gone = &body;
	body.group = (ProtobufCBinaryData){GROUP_ID_LEN, (uint8_t *)group};
	body.code = (uint32_t)-code;
	body.epoch = epoch;
	caller_send(ca, &env);
}

void callers_flushed(struct gms *gms, int code)
{
	struct caller *ca, *tmp;
	unsigned int i, n;

	HASH_ITER (hh, gms->callers, ca, tmp) {
		n = ca->n_acks;
		ca->n_acks = 0;
		for (i = 0; i < n; i++)
			caller_ack(ca, ca->acks[i], code);
	}
}

/* @txn is answered when the disk has what was noted */
static void ack_later(struct caller *ca, uint32_t txn)
{
	if (ca->n_acks == GMS_ACKS) {
		caller_ack(ca, txn, -NTM_ERATE);
		return;
	}
	ca->acks[ca->n_acks++] = txn;
	gms_flush_soon(ca->gms);
}

/* --- hello ---------------------------------------------------------------------------- */

/* the group that @id names, and which member of it the caller is */
static int whose(struct caller *ca, const ProtobufCBinaryData *id,
		 struct ledger_group **lg, uint32_t *index)
{
	const struct group_member *m;

	*lg = ledger_find(ca->gms->ledger, id->data);
	if (!*lg)
		return -NTM_ENOTFOUND;
	m = group_find_key(ledger_state(*lg), ca->ed_pub);
	if (!m)
		return -NTM_ENONAME;
	*index = m->index;
	return 0;
}

/* does the node's past agree with ours? */
static int compare(struct caller *ca, const struct ledger_group *lg,
		   const Ntm__GroupHello *m)
{
	uint8_t hash[NTMC_HASH_LEN];
	int r;

	if (!m->epoch)
		return 0;
	if (m->epoch > group_epoch(ledger_state(lg)))
		return -NTM_EAGAIN;
	if (m->hash.len != sizeof(hash))
		return -NTM_EDECODE;
	r = ledger_hash(ca->gms->ledger, lg, m->epoch, hash);
	if (r)
		return r;
	return memcmp(hash, m->hash.data, sizeof(hash)) ? -NTM_EFORK : 0;
}

static void hello(struct caller *ca, const Ntm__GroupHello *m)
{
	struct gms *gms = ca->gms;
	struct ledger_group *lg = NULL;
	struct follow *f = NULL;
	uint32_t index = 0;
	int r = whose(ca, &m->group, &lg, &index);
	int past = r ? r : compare(ca, lg, m);

	if (!r && m->prekey.len) {
		r = ledger_prekey(gms->ledger, lg, index, m->prekey.data,
				  m->prekey.len);
		if (r == -NTM_EEXISTS)
			r = 0;
		gms_flush_soon(gms);
	}
	gms->stats.forks += past == -NTM_EFORK;
	if (!r && past && past != -NTM_EAGAIN)
		r = past;
	if (!r)
		f = follow_find(ca, lg);
	if (!r && !f)
		r = follow_new(ca, lg, index, &f);
	if (r) {
		caller_gone(ca, m->group.data, r,
			    lg ? group_epoch(ledger_state(lg)) : 0);
		return;
	}
	follow_only(f);
	f->told = m->epoch;
	f->more = false;
	f->ahead = past ? m->epoch : 0;
	if (past) {
		log_warn("gms",
			 "%s has been in epoch %llu of a group that is in %llu "
			 "here: this store is an old one, and is brought up to "
			 "date",
			 ca->fqdn, (unsigned long long)m->epoch,
			 (unsigned long long)group_epoch(ledger_state(lg)));
		caller_gone(ca, m->group.data, past,
			    group_epoch(ledger_state(lg)));
		return;
	}
	ledger_ack(gms->ledger, lg, index, m->epoch, NULL);
	gms_flush_soon(gms);
	follow_leaves(f);
	if (follow_renew(gms, lg, false) || f->told == m->epoch)
		follow_news(f);
}

/* --- entries ---------------------------------------------------------------------------- */

static int by_index(const void *a, const void *b)
{
	uint32_t x = ((const struct ledger_part *)a)->index;
	uint32_t y = ((const struct ledger_part *)b)->index;

	return (x > y) - (x < y);
}

static void take_parts(struct caller *ca, const Ntm__GroupParts *m)
{
	size_t i, n;

	if (memcmp(ca->group, m->group.data, GROUP_ID_LEN) ||
	    ca->epoch != m->epoch)
		drop_parts(ca);
	memcpy(ca->group, m->group.data, GROUP_ID_LEN);
	ca->epoch = m->epoch;
	if (!ca->parts) {
		ca->parts = calloc(GROUP_MEMBERS_MAX, sizeof(*ca->parts));
		ca->part_bytes = calloc(GROUP_MEMBERS_MAX, GROUP_PART_LEN);
	}
	if (!ca->parts || !ca->part_bytes ||
	    m->n_parts > GROUP_MEMBERS_MAX - ca->n_parts) {
		drop_parts(ca);
		return;
	}
	for (i = 0; i < m->n_parts; i++) {
		n = ca->n_parts++;
		memcpy(ca->part_bytes + n * GROUP_PART_LEN,
		       m->parts[i]->part.data, GROUP_PART_LEN);
		ca->parts[n].index = m->parts[i]->index;
		ca->parts[n].part = ca->part_bytes + n * GROUP_PART_LEN;
	}
}

static int create(struct caller *ca, const Ntm__GroupSubmit *m)
{
	struct gms *gms = ca->gms;
	struct ledger_group *lg;

	if (!fqdn_is_within(ca->fqdn, gms->conf->domain))
		return -NTM_ENOTOURS;
	if (ledger_founded(gms->ledger, ca->ed_pub) >= GMS_FOUNDED)
		return -NTM_ELIMIT;
	return ledger_create(gms->ledger, ca->ed_pub, ca->fqdn, m->entry.data,
			     m->entry.len, &lg);
}

/* what a restored store lacks: as soon as it has it all, a new RN2 */
static int repair(struct caller *ca, struct follow *f,
		  const Ntm__GroupSubmit *m)
{
	struct gms *gms = ca->gms;
	int r = ledger_append(gms->ledger, f->lg, m->entry.data, m->entry.len,
			      m->sealer.len ? m->sealer.data : NULL, NULL, 0,
			      true, NULL);

	if (r)
		return r;
	gms->stats.repaired++;
	if (group_epoch(ledger_state(f->lg)) < f->ahead)
		return 0;
	f->told = f->ahead;
	f->ahead = 0;
	return follow_renew(gms, f->lg, true);
}

static int append(struct caller *ca, const Ntm__GroupSubmit *m,
		  const struct group_entry *e)
{
	struct gms *gms = ca->gms;
	ProtobufCBinaryData id = {GROUP_ID_LEN, (uint8_t *)e->id};
	struct ledger_group *lg;
	struct follow *f;
	uint32_t index;
	bool fits;
	int r = whose(ca, &id, &lg, &index);

	if (r)
		return r;
	f = follow_find(ca, lg);
	if (f && f->ahead)
		return repair(ca, f, m);
	if (e->author != index)
		return -NTM_EPERM;
	fits = !memcmp(ca->group, e->id, GROUP_ID_LEN) && ca->epoch == e->epoch;
	qsort(ca->parts, ca->n_parts, sizeof(*ca->parts), by_index);
	r = ledger_append(gms->ledger, lg, m->entry.data, m->entry.len,
			  m->sealer.len ? m->sealer.data : NULL,
			  fits ? ca->parts : NULL, fits ? ca->n_parts : 0,
			  false, NULL);
	/* of a past that is over: another one was first, the news says which */
	return r == -NTM_EFORK || r == -NTM_ESTATE ? -NTM_EAGAIN : r;
}

static bool too_often(struct caller *ca, const struct group_entry *e)
{
	int64_t now = ntmc_now(NULL);
	struct ledger_group *lg = ledger_find(ca->gms->ledger, e->id);
	struct follow *f = lg ? follow_find(ca, lg) : NULL;

	if (now - ca->window >= GMS_WINDOW_S || now < ca->window) {
		ca->window = now;
		ca->n_entries = 0;
	}
	return !(f && f->ahead) && ca->n_entries++ >= GMS_ENTRIES;
}

static void submit(struct caller *ca, uint32_t txn, const Ntm__GroupSubmit *m)
{
	struct gms *gms = ca->gms;
	struct ledger_group *lg;
	struct group_entry e;
	int r = group_entry_get(m->entry.data, m->entry.len, &e);

	if (!r && too_often(ca, &e))
		r = -NTM_ERATE;
	if (!r)
		r = e.kind == GROUP_CREATE ? create(ca, m) : append(ca, m, &e);
	drop_parts(ca);
	caller_ack(ca, txn, r);
	if (r) {
		gms->stats.refused++;
		log_debug("gms", "%s: an entry is refused: %s", ca->fqdn,
			  err_text(r));
		return;
	}
	gms->stats.entries++;
	lg = ledger_find(gms->ledger, e.id);
	if (lg)
		follow_push(gms, lg);
}

/* --- what else a member says --------------------------------------------------------------- */

static void acked(struct caller *ca, uint32_t txn, const Ntm__GroupAck *m)
{
	struct gms *gms = ca->gms;
	struct ledger_group *lg;
	struct follow *f;
	uint32_t index;
	int r = whose(ca, &m->group, &lg, &index);

	if (!r && m->prekey.len)
		r = ledger_prekey(gms->ledger, lg, index, m->prekey.data,
				  m->prekey.len);
	if (r && r != -NTM_EEXISTS) {
		caller_ack(ca, txn, r);
		return;
	}
	ledger_ack(gms->ledger, lg, index, m->epoch,
		   m->confirmation.len ? m->confirmation.data : NULL);
	ack_later(ca, txn);
	f = follow_find(ca, lg);
	if (f && f->more && m->epoch == f->told) {
		f->more = false;
		follow_news(f);
	}
}

struct answer {
	Ntm__GroupPerson person[200];
	Ntm__GroupPerson *list[200];
};

static void question(struct caller *ca, uint32_t txn,
		     const Ntm__GroupQuestion *m)
{
	Ntm__Envelope env = NTM__ENVELOPE__INIT;
	Ntm__GroupAnswer body = NTM__GROUP_ANSWER__INIT;
	const struct ledger_person *p;
	struct ledger_group *lg;
	struct answer *a;
	uint32_t index;
	size_t i;
	int r = whose(ca, &m->group, &lg, &index);

	a = r ? NULL : calloc(1, sizeof(*a));
	if (!a) {
		caller_ack(ca, txn, r ? r : -NTM_ENOMEM);
		return;
	}
	for (i = 0; (p = ledger_person_at(lg, i)); i++) {
		Ntm__GroupPerson *to = &a->person[body.n_people];

		if (p->index < m->from)
			continue;
		if (body.n_people == 200)
			break;
		ntm__group_person__init(to);
		to->index = p->index;
		if (p->serial)
			to->prekey = (ProtobufCBinaryData){
				GROUP_PREKEY_LEN, (uint8_t *)p->prekey};
		to->acked = p->acked;
		to->confirmation = (ProtobufCBinaryData){
			GROUP_CONFIRM_LEN, (uint8_t *)p->confirmation};
		to->seen = p->seen;
		a->list[body.n_people++] = to;
	}
	body.group = m->group;
	body.epoch = group_epoch(ledger_state(lg));
	body.people = a->list;
	body.last = !p;
	env.txn = txn;
	env.body_case = NTM__ENVELOPE__BODY_GROUP_ANSWER;
	env.group_answer = &body;
	caller_send(ca, &env);
	free(a);
}

static void leave(struct caller *ca, uint32_t txn, const Ntm__GroupLeave *m)
{
	struct gms *gms = ca->gms;
	struct ledger_group *lg;
	struct group_leave l;
	uint32_t index;
	int r = whose(ca, &m->group, &lg, &index);

	if (!r && m->index != index)
		r = -NTM_EPERM;
	if (!r) {
		l.index = m->index;
		l.epoch = m->epoch;
		memcpy(l.sig, m->signature.data, sizeof(l.sig));
		r = ledger_leave(gms->ledger, lg, &l);
	}
	caller_ack(ca, txn, r);
	if (!r)
		follow_leave(gms, lg, &l);
}

/* --- the connection ----------------------------------------------------------------------- */

static void opened(struct channel *c, void *arg)
{
	const struct ntmc_cert *peer = channel_peer(c);
	struct gms *gms = arg;
	struct caller *ca;

	if (!peer || peer->kind != NTMC_CERT_NODE) {
		channel_close(c);
		return;
	}
	ca = calloc(1, sizeof(*ca));
	if (!ca) {
		channel_close(c);
		return;
	}
	ca->gms = gms;
	ca->channel = c;
	memcpy(ca->ed_pub, peer->ed_pub, sizeof(ca->ed_pub));
	memcpy(ca->fqdn, peer->fqdn, sizeof(ca->fqdn));
	channel_set_idle(c, GMS_IDLE_S);
	HASH_ADD_PTR(gms->callers, channel, ca);
}

static void message(struct channel *c, const Ntm__Envelope *msg, void *arg)
{
	struct caller *ca = caller_of(arg, c);

	if (!ca)
		return;
	switch (msg->body_case) {
	case NTM__ENVELOPE__BODY_GROUP_HELLO:
		hello(ca, msg->group_hello);
		break;
	case NTM__ENVELOPE__BODY_GROUP_PARTS:
		take_parts(ca, msg->group_parts);
		break;
	case NTM__ENVELOPE__BODY_GROUP_SUBMIT:
		submit(ca, msg->txn, msg->group_submit);
		break;
	case NTM__ENVELOPE__BODY_GROUP_ACK:
		acked(ca, msg->txn, msg->group_ack);
		break;
	case NTM__ENVELOPE__BODY_GROUP_QUESTION:
		question(ca, msg->txn, msg->group_question);
		break;
	case NTM__ENVELOPE__BODY_GROUP_LEAVE:
		leave(ca, msg->txn, msg->group_leave);
		break;
	default:
		channel_close(c);
	}
}

static void closed(struct channel *c, int err, void *arg)
{
	struct gms *gms = arg;
	struct caller *ca = caller_of(gms, c);

	if (!ca) {
		log_debug("gms", "handshake failed: %s", err_text(err));
		return;
	}
	while (ca->n_follows)
		follow_free(ca->follows[0]);
	drop_parts(ca);
	HASH_DEL(gms->callers, ca);
	free(ca);
}

const struct channel_ops caller_ops = {
	.open = opened,
	.message = message,
	.closed = closed,
};
