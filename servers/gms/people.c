/* SPDX-License-Identifier: MIT */
/* people - what members say of themselves, and ask of each other */
#include <stdlib.h>
#include <string.h>

#include "servers/gms/state.h"

void people_acked(struct caller *ca, uint32_t txn, const Ntm__GroupAck *m)
{
	struct gms *gms = ca->gms;
	struct ledger_group *lg;
	struct follow *f;
	uint32_t index;
	int r = caller_member(ca, &m->group, &lg, &index);

	if (!r && m->prekey.len)
		r = ledger_prekey(gms->ledger, lg, index, m->prekey.data,
				  m->prekey.len);
	if (r && r != -NTM_EEXISTS) {
		if (txn)
			caller_ack(ca, txn, r);
		return;
	}
	ledger_ack(gms->ledger, lg, index, m->epoch,
		   m->confirmation.len ? m->confirmation.data : NULL);
	caller_ack_later(ca, txn);
	if (m->epoch == group_epoch(ledger_state(lg)))
		follow_wants(gms, lg);
	f = follow_find(ca, lg);
	if (f && f->more && m->epoch == f->told) {
		f->more = false;
		follow_news(f);
	}
}

struct answer {
	Ntm__GroupPerson person[GMS_PEOPLE];
	Ntm__GroupPerson *list[GMS_PEOPLE];
};

/* struct answer_to - a question: members from index @from on; @all: not one answer alone */
struct answer_to {
	ProtobufCBinaryData group;
	uint32_t from;
	bool all;
};

/* Those from index @from on, as many as go into one. Return: where the next one begins, 0
 * after the last */
static uint32_t answer_send(struct caller *ca, uint32_t txn,
			    struct ledger_group *lg, const struct answer_to *q,
			    struct answer *a)
{
	Ntm__Envelope env = NTM__ENVELOPE__INIT;
	Ntm__GroupAnswer body = NTM__GROUP_ANSWER__INIT;
	const struct ledger_person *p;
	size_t i;

	for (i = 0; (p = ledger_person_at(lg, i)); i++) {
		Ntm__GroupPerson *to = &a->person[body.n_people];

		if (p->index < q->from)
			continue;
		if (body.n_people == ca->gms->people_page)
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
	body.group = q->group;
	body.epoch = group_epoch(ledger_state(lg));
	body.people = a->list;
	body.last = !p;
	body.follows = p && q->all;
	env.txn = txn;
	env.body_case = NTM__ENVELOPE__BODY_GROUP_ANSWER;
	env.group_answer = &body;
	caller_send(ca, &env);
	return p ? p->index : 0;
}

void people_question(struct caller *ca, uint32_t txn,
		     const Ntm__GroupQuestion *m)
{
	struct answer_to q = {m->group, m->from, m->all};
	struct ledger_group *lg;
	struct answer *a;
	uint32_t index;
	int r = caller_member(ca, &m->group, &lg, &index);

	a = r ? NULL : calloc(1, sizeof(*a));
	if (!a) {
		caller_ack(ca, txn, r ? r : -NTM_ENOMEM);
		return;
	}
	do
		q.from = answer_send(ca, txn, lg, &q, a);
	while (q.all && q.from);
	free(a);
}

void people_leave(struct caller *ca, uint32_t txn, const Ntm__GroupLeave *m)
{
	struct gms *gms = ca->gms;
	struct ledger_group *lg;
	struct group_leave l;
	uint32_t index;
	int r = caller_member(ca, &m->group, &lg, &index);

	if (!r && m->index != index)
		r = -NTM_EPERM;
	if (!r && ledger_person(lg, index)->leaving) {
		/* said again: all the others know, or hear it at their hello */
		caller_ack(ca, txn, 0);
		return;
	}
	if (!r) {
		l.index = m->index;
		l.epoch = m->epoch;
		memcpy(l.sig, m->signature.data, sizeof(l.sig));
		r = ledger_leave(gms->ledger, lg, &l);
	}
	caller_ack(ca, txn, r);
	if (!r)
		follow_leave(gms, lg, &l);
	if (!r && ledger_is_left(lg))
		follow_end(gms, lg);
}

void people_want(struct caller *ca, uint32_t txn, const Ntm__GroupWant *m)
{
	struct gms *gms = ca->gms;
	struct ledger_group *lg;
	uint32_t index;
	int r = caller_member(ca, &m->group, &lg, &index);

	if (!r && m->index != index)
		r = -NTM_EPERM;
	if (!r)
		r = ledger_want(gms->ledger, lg, index, GMS_WANT_S);
	caller_ack(ca, txn, r);
	if (!r)
		follow_wants(gms, lg);
}
