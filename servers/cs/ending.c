/* SPDX-License-Identifier: MIT */
/* ending - an item ends: its sender cancels it, or its receivers confirm it */
#include <stdlib.h>
#include <string.h>

#include "servers/cs/state.h"

struct end {
	struct desk_job job;
	struct cs *cs;
	struct http_request *q;
	struct item item;
	char receiver[FQDN_MAX + 1];
	int code;
	bool has_receipt;
	uint8_t receipt
		[RECEIPT_LEN]; /* the sender's to read: it is not looked at */
	bool used, over;
};

static int cancel_run(struct desk_job *job, struct items *s)
{
	struct end *e = (struct end *)job;
	int r = items_get(s, e->item.number, &e->item), used;

	if (!r)
		r = items_cancel(s, e->item.number);
	if (r || !e->item.has_hash)
		return r;
	used = items_use_blob(s, e->item.hash);
	e->used = used;
	return used < 0 ? used : 0;
}

static void cancel_done(struct desk_job *job, int err)
{
	struct end *e = (struct end *)job;
	struct cs *cs = e->cs;
	json_t *j = NULL;
	int r = err;

	if (!err) {
		cs_drop_blob(cs, &e->item, e->used);
		atomic_fetch_add(&cs->stats.cancelled, 1);
		pthread_mutex_lock(&cs->lock);
		r = items_get(cs->reader, e->item.number, &e->item);
		pthread_mutex_unlock(&cs->lock);
		if (!r)
			j = cs_item_json(cs, &e->item);
	}
	if (r)
		cs_answer(cs, e->q, r);
	else
		http_answer_json(e->q, 200, j);
	free(e);
}

static struct end *end_new(struct cs *cs, struct http_request *q,
			   const struct item *item)
{
	struct end *e = calloc(1, sizeof(*e));

	if (!e) {
		http_answer_err(q, -NTM_ENOMEM);
		return NULL;
	}
	e->cs = cs;
	e->q = q;
	e->item = *item;
	return e;
}

void cs_delete_item(struct http_request *q, void *arg)
{
	struct cs *cs = arg;
	struct item item;
	struct end *e;

	if (!cs_sender_ok(cs, q) || !cs_find_item(cs, q, &item))
		return;
	e = end_new(cs, q, &item);
	if (!e)
		return;
	e->job = (struct desk_job){.run = cancel_run, .done = cancel_done};
	desk_do(cs->desk, &e->job);
}

/* --- confirmed --------------------------------------------------------------------- */

static int confirm_run(struct desk_job *job, struct items *s)
{
	struct end *e = (struct end *)job;
	int r = items_confirm(s, e->item.number, e->receiver, e->code,
			      e->has_receipt ? e->receipt : NULL,
			      ntmc_now(NULL), &e->over),
	    used;

	if (r || !e->over)
		return r;
	used = items_use_blob(s, e->item.hash);
	e->used = used;
	return used < 0 ? used : 0;
}

static void confirm_done(struct desk_job *job, int err)
{
	struct end *e = (struct end *)job;
	struct cs *cs = e->cs;

	if (!err && e->over)
		cs_drop_blob(cs, &e->item, e->used);
	if (err) {
		cs_answer(cs, e->q, err);
	} else {
		atomic_fetch_add(&cs->stats.confirmed, 1);
		http_answer_json(e->q, 200, json_object());
		exchange_wake(cs->exchange);
	}
	free(e);
}

/* Return: what is wrong with the body, or NULL */
static const char *read_word(const json_t *body, uint8_t hash[NTMC_HASH_LEN],
			     struct end *e)
{
	const json_t *code = json_object_get(body, "code");

	if (!json_is_integer(code) || json_integer_value(code) < 0 ||
	    json_integer_value(code) > 65535 ||
	    !cs_bytes(body, "hash", hash, NTMC_HASH_LEN))
		return "hash is the blob's, code 0 or an error's number";
	e->code = (int)json_integer_value(code);
	e->has_receipt = json_object_get(body, "receipt");
	return e->has_receipt && !cs_bytes(body, "receipt", e->receipt,
					   RECEIPT_LEN)
		       ? "receipt has 81 bytes"
		       : NULL;
}

void cs_post_confirmation(struct http_request *q, void *arg)
{
	struct cs *cs = arg;
	uint8_t hash[NTMC_HASH_LEN];
	struct end word = {.code = 0}, *e;
	const char *wrong;
	struct receiver r;
	struct item item;

	if (!cs_ticket(cs, q, &item, &r))
		return;
	wrong = read_word(http_json(q), hash, &word);
	if (wrong) {
		http_answer_error(q, 400, -NTM_EINVAL, wrong, NULL);
		return;
	}
	if (!item.has_hash || memcmp(hash, item.hash, sizeof(hash))) {
		http_answer_error(q, 409, -NTM_ESTATE,
				  "the item's data has another hash", NULL);
		return;
	}
	e = end_new(cs, q, &item);
	if (!e)
		return;
	strcpy(e->receiver, r.name);
	e->code = word.code;
	e->has_receipt = word.has_receipt;
	memcpy(e->receipt, word.receipt, sizeof(e->receipt));
	e->job = (struct desk_job){.run = confirm_run, .done = confirm_done};
	desk_do(cs->desk, &e->job);
}
