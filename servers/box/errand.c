/* SPDX-License-Identifier: MIT */
/*
 * errand - what goes to several receivers: temporal keys, exchange requests
 *
 * Theory of operation
 *
 * Those of this domain come first, in one transaction of the clerk's; then, in the
 * loop thread, each other domain's box is asked by way of the DCs, all at once. When
 * the last one has answered or failed, the request is: a code for each. So of a
 * request that was cut off some receivers may have it; asked again, they say the same.
 */
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "servers/box/state.h"

struct errand *errand_new(struct box *b, struct http_request *q, size_t n)
{
	struct errand *e = calloc(1, sizeof(*e) + n * sizeof(e->to[0]));

	if (!e)
		return NULL;
	e->box = b;
	e->q = q;
	e->n = n;
	for (size_t i = 0; i < n; i++)
		e->to[i].errand = e;
	return e;
}

void errand_free(struct errand *e)
{
	if (!e)
		return;
	ntmc_wipe(e, sizeof(*e) + e->n * sizeof(e->to[0]));
	free(e);
}

static bool has_foreign(const struct errand *e)
{
	for (size_t i = 0; i < e->n; i++)
		if (e->to[i].foreign)
			return true;
	return false;
}

static json_t *results(const struct errand *e)
{
	json_t *list = json_array();

	for (size_t i = 0; i < e->n; i++)
		json_array_append_new(list, json_pack("{s:s, s:i, s:s}", "to",
						      e->to[i].name, "code",
						      -e->to[i].err, "error",
						      err_name(e->to[i].err)));
	/* of other domains' boxes the blob's hash is asked by itself */
	if (e->x.whole && !has_foreign(e))
		return json_pack("{s:o, s:b}", "results", list, "blob", true);
	return json_pack("{s:o}", "results", list);
}

/* @err: the store's, for all */
static void errand_end(struct errand *e, int err)
{
	struct box *b = e->box;

	if (err)
		http_answer_err(e->q, err);
	else
		http_answer_json(e->q, 200, results(e));
	errand_free(e);
	box_answered(b);
}

/* --- other domains -------------------------------------------------------------- */

static void foreign_told(void *arg, int err, const Ntm__BoxResponse *r)
{
	struct receiver *to = arg;

	to->err = err ? err : -(int)r->code;
	if (!--to->errand->waiting)
		errand_end(to->errand, 0);
}

static void ask_key(struct errand *e, struct receiver *to, char *from)
{
	Ntm__TemporalKeyTransfer t = NTM__TEMPORAL_KEY_TRANSFER__INIT;
	Ntm__BoxRequest q = NTM__BOX_REQUEST__INIT;

	t.from = from;
	t.to = to->name;
	t.application = e->x.i.application;
	t.service = e->x.i.service;
	t.item = e->x.i.item;
	t.key = (ProtobufCBinaryData){NTMC_KEY_LEN, to->key.b};
	t.expires = e->x.i.expires;
	q.body_case = NTM__BOX_REQUEST__BODY_TEMPORAL_KEY;
	q.temporal_key = &t;
	box_link_ask(e->box->link, e->x.i.from, to->name, &q, foreign_told, to);
}

static void ask_exchange(struct errand *e, struct receiver *to, char *from)
{
	Ntm__ExchangeRequest x = NTM__EXCHANGE_REQUEST__INIT;
	Ntm__BoxRequest q = NTM__BOX_REQUEST__INIT;
	Ntm__Address a[SHELF_CS_ADDRESSES_MAX], *list[SHELF_CS_ADDRESSES_MAX];

	x.kind = e->x.kind == SHELF_KEY ? NTM__EXCHANGE_KIND__EXCHANGE_KEY
					: NTM__EXCHANGE_KIND__EXCHANGE_DATA;
	x.from = from;
	x.to = to->name;
	x.application = e->x.i.application;
	x.service = e->x.i.service;
	x.item = e->x.i.item;
	x.message = e->x.message;
	x.hash = (ProtobufCBinaryData){sizeof(to->hash), to->hash};
	x.ticket = (ProtobufCBinaryData){sizeof(to->ticket), to->ticket};
	x.size = e->x.size;
	x.cs = e->x.cs;
	for (size_t i = 0; i < e->x.n_addrs; i++) {
		ntm__address__init(&a[i]);
		addr_to_message(&e->x.addrs[i],
				NTM__ADDRESS_KIND__ADDRESS_LOCAL, &a[i]);
		list[i] = &a[i];
	}
	x.n_addresses = e->x.n_addrs;
	x.addresses = list;
	x.expires = e->x.i.expires;
	x.since = e->x.since;
	q.body_case = NTM__BOX_REQUEST__BODY_EXCHANGE;
	q.exchange = &x;
	box_link_ask(e->box->link, e->x.i.from, to->name, &q, foreign_told, to);
}

static void foreign_start(struct clerk_post *post, void *arg)
{
	struct errand *e =
		(struct errand *)((char *)post - offsetof(struct errand, post));
	char from[FQDN_MAX + 1];
	int err = box_cut(e->x.i.from, box_domain(arg), from);

	e->waiting = 1; /* we */
	for (size_t i = 0; i < e->n; i++) {
		struct receiver *to = &e->to[i];

		if (!to->foreign)
			continue;
		e->waiting++;
		if (err)
			foreign_told(to, err, NULL);
		else if (e->keys)
			ask_key(e, to, from);
		else
			ask_exchange(e, to, from);
	}
	if (!--e->waiting)
		errand_end(e, 0);
}

/* --- ours -------------------------------------------------------------------------- */

static int own_work(struct clerk_job *job, struct shelf *s)
{
	struct errand *e = (struct errand *)job;

	for (size_t i = 0; i < e->n; i++) {
		struct receiver *to = &e->to[i];

		if (to->foreign)
			continue;
		memcpy(e->x.i.to, to->name, sizeof(to->name));
		memcpy(e->x.hash, to->hash, sizeof(to->hash));
		memcpy(e->x.ticket, to->ticket, sizeof(to->ticket));
		to->err = e->keys ? shelf_put_key(s, &e->x.i, &to->key)
				  : shelf_put_exchange(s, &e->x);
		if (to->err == -NTM_ESTORE)
			return to->err;
	}
	return 0;
}

static void own_done(struct clerk_job *job, int err)
{
	struct errand *e = (struct errand *)job;

	if (err || !has_foreign(e)) {
		errand_end(e, err);
		return;
	}
	e->post.fn = foreign_start;
	clerk_post(e->box->clerk, &e->post);
}

void errand_start(struct errand *e)
{
	int err;

	for (size_t i = 0; i < e->n; i++)
		e->to[i].foreign = !box_is_own(e->box, e->to[i].name);
	e->job.work = own_work;
	e->job.done = own_done;
	box_opened(e->box);
	err = clerk_ask(e->box->clerk, &e->job);
	if (err)
		errand_end(e, err);
}
