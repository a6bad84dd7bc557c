/* SPDX-License-Identifier: MIT */
/*
 * inbound - what other domains' boxes ask, by way of their DC and ours
 *
 * Owner:   each question, until it is answered. Context: loop thread; the clerk's for
 *          the store.
 * Who asks is the domain that our DC names. Its name is put behind senders, and ours
 * behind receivers: what else a request says can be no more than wrong about that
 * domain's own. The CS must be of it, too, and at addresses that nodes may be sent to.
 */
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "servers/box/state.h"

#define PART 1000 /* bytes of a list of prekeys in one answer */

enum what { WHAT_KEY, WHAT_EXCHANGE, WHAT_PREKEYS };

struct question {
	struct clerk_job job;
	struct clerk_post post;
	struct box *box;
	uint32_t id, part;
	enum what what;
	struct shelf_exchange x;
	struct ntmc_key key;
	char name[FQDN_MAX + 1];
	char *text; /* prekeys */
	int err;
};

static void question_free(struct question *q)
{
	free(q->text);
	ntmc_wipe(q, sizeof(*q));
	free(q);
}

/* --- what it says ------------------------------------------------------------------ */

static bool put(char *to, size_t size, const char *text)
{
	size_t n = strlen(text);

	if (n >= size)
		return false;
	memcpy(to, text, n + 1);
	return true;
}

#define PUT(field, text) put(field, sizeof(field), text)

static int item_take(struct box *b, const char *domain, const char *from,
		     const char *to, struct shelf_item *i)
{
	if (box_join(from, domain, i->from) ||
	    box_join(to, box_domain(b), i->to) || !box_id_ok(i->application) ||
	    !box_id_ok(i->service) || !box_id_ok(i->item))
		return -NTM_EINVAL;
	return 0;
}

static int key_take(struct box *b, const char *domain,
		    const Ntm__TemporalKeyTransfer *m, struct question *q)
{
	struct shelf_item *i = &q->x.i;

	q->what = WHAT_KEY;
	if (!PUT(i->application, m->application) ||
	    !PUT(i->service, m->service) || !PUT(i->item, m->item))
		return -NTM_EINVAL;
	i->expires = m->expires;
	memcpy(q->key.b, m->key.data, NTMC_KEY_LEN);
	return item_take(b, domain, m->from, m->to, i);
}

static int cs_take(struct box *b, const char *domain,
		   const Ntm__ExchangeRequest *m, struct shelf_exchange *x)
{
	if (!fqdn_is_within(m->cs, domain) || !PUT(x->cs, m->cs))
		return -NTM_EPERM;
	for (size_t i = 0;
	     i < m->n_addresses && x->n_addrs < SHELF_CS_ADDRESSES_MAX; i++)
		if (!addr_from_message(m->addresses[i],
				       &x->addrs[x->n_addrs]) &&
		    box_address_ok(b, &x->addrs[x->n_addrs]))
			x->n_addrs++;
	return x->n_addrs ? 0 : -NTM_EINVAL;
}

static int exchange_take(struct box *b, const char *domain,
			 const Ntm__ExchangeRequest *m, struct question *q)
{
	struct shelf_exchange *x = &q->x;
	int err;

	q->what = WHAT_EXCHANGE;
	if (m->kind == NTM__EXCHANGE_KIND__EXCHANGE_STATUS)
		return -NTM_EPERM; /* of the own domain's CS alone */
	if (m->hash.len != sizeof(x->hash) ||
	    m->ticket.len != sizeof(x->ticket) || m->size > INT64_MAX ||
	    !PUT(x->i.application, m->application) ||
	    !PUT(x->i.service, m->service) || !PUT(x->i.item, m->item) ||
	    !PUT(x->message, m->message) || !box_message_ok(x->message))
		return -NTM_EINVAL;
	x->kind = m->kind == NTM__EXCHANGE_KIND__EXCHANGE_KEY ? SHELF_KEY
							      : SHELF_DATA;
	memcpy(x->hash, m->hash.data, sizeof(x->hash));
	memcpy(x->ticket, m->ticket.data, sizeof(x->ticket));
	x->size = m->size;
	x->i.expires = m->expires;
	x->since = m->since;
	err = cs_take(b, domain, m, x);
	return err ? err : item_take(b, domain, m->from, m->to, &x->i);
}

static int prekeys_take(struct box *b, const Ntm__PrekeyRequest *m,
			struct question *q)
{
	size_t n = strlen(m->name);

	q->what = WHAT_PREKEYS;
	q->part = m->part;
	if (n + 1 + strlen(box_domain(b)) > FQDN_MAX)
		return -NTM_EINVAL;
	memcpy(q->name, m->name, n);
	q->name[n] = '.';
	strcpy(q->name + n + 1, box_domain(b));
	return 0;
}

static int question_take(struct box *b, const Ntm__BoxQuestion *m,
			 struct question *q)
{
	const Ntm__BoxRequest *r = m->request;

	if (!m->domain[0] || fqdn_is_within(m->domain, box_domain(b)))
		return -NTM_EPERM;
	switch (r->body_case) {
	case NTM__BOX_REQUEST__BODY_TEMPORAL_KEY:
		return key_take(b, m->domain, r->temporal_key, q);
	case NTM__BOX_REQUEST__BODY_EXCHANGE:
		return exchange_take(b, m->domain, r->exchange, q);
	case NTM__BOX_REQUEST__BODY_PREKEYS:
		return prekeys_take(b, r->prekeys, q);
	case NTM__BOX_REQUEST__BODY__NOT_SET:
	default:
		return -NTM_EINVAL;
	}
}

/* --- the answer ---------------------------------------------------------------------- */

static void prekeys_part(const struct question *q, Ntm__BoxResponse *r,
			 uint8_t hash[static 32])
{
	size_t len = strlen(q->text), at = (size_t)q->part * PART;

	if (at >= len || len > SHELF_PREKEYS_TEXT_MAX) {
		r->code = NTM_EINVAL;
		return;
	}
	ntmc_sha256(q->text, len, hash);
	r->hash = (ProtobufCBinaryData){8, hash};
	r->parts = (uint32_t)((len + PART - 1) / PART);
	r->prekeys = (ProtobufCBinaryData){len - at < PART ? len - at : PART,
					   (uint8_t *)q->text + at};
}

static void answer(struct box *b, struct question *q)
{
	Ntm__BoxResponse r = NTM__BOX_RESPONSE__INIT;
	uint8_t hash[32];

	r.code = (uint32_t)-q->err;
	if (!q->err && q->what == WHAT_PREKEYS)
		prekeys_part(q, &r, hash);
	b->foreign_refused += r.code != 0;
	box_link_answer(b->link, q->id, &r);
	question_free(q);
}

static void answer_post(struct clerk_post *post, void *arg)
{
	answer(arg, (struct question *)((char *)post -
					offsetof(struct question, post)));
}

static int work(struct clerk_job *job, struct shelf *s)
{
	struct question *q = (struct question *)job;

	switch (q->what) {
	case WHAT_KEY:
		return shelf_put_key(s, &q->x.i, &q->key);
	case WHAT_EXCHANGE:
		return shelf_put_exchange(s, &q->x);
	case WHAT_PREKEYS:
	default:
		return shelf_prekeys(s, q->name, &q->text);
	}
}

static void done(struct clerk_job *job, int err)
{
	struct question *q = (struct question *)job;

	q->err = err;
	q->post.fn = answer_post;
	clerk_post(q->box->clerk, &q->post);
}

void inbound_question(struct box *b, const Ntm__BoxQuestion *m)
{
	struct question *q = calloc(1, sizeof(*q));
	int err;

	if (!q)
		return; /* asked again */
	b->foreign_in++;
	q->box = b;
	q->id = m->id;
	q->job.work = work;
	q->job.done = done;
	err = question_take(b, m, q);
	if (err)
		log_debug("inbound", "%s: refused: %s", m->domain,
			  err_text(err));
	else
		err = clerk_ask(b->clerk, &q->job);
	if (!err)
		return; /* it is the clerk's */
	q->err = err;
	answer(b, q);
}
