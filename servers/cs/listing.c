/* SPDX-License-Identifier: MIT */
/* listing - items as their sender sees them: one, and all of it */
#include <stdlib.h>

#include "servers/cs/state.h"

#define LIST_MAX 1000

static void add_receiver(void *arg, const struct receiver *r)
{
	json_t *j = json_pack("{s:s, s:s, s:I, s:i, s:s}", "name", r->name,
			      "state", receiver_state_name(r->state), "at",
			      (json_int_t)r->at, "code", r->code, "error",
			      err_name(r->code));

	if (r->has_receipt)
		json_object_set_new(j, "receipt",
				    cs_base64(r->receipt, RECEIPT_LEN));
	json_array_append_new(arg, j);
}

json_t *cs_item_json(struct cs *cs, const struct item *i)
{
	json_t *to = json_array(), *j;
	uint64_t offset = i->state == ITEM_OPEN
				  ? uploads_offset(cs->uploads, i->number)
			  : i->has_hash ? i->size
					: 0;
	int r;

	pthread_mutex_lock(&cs->lock);
	r = items_receivers(cs->reader, i->number, add_receiver, to);
	pthread_mutex_unlock(&cs->lock);
	if (r) {
		json_decref(to);
		return NULL;
	}
	j = json_pack("{s:I, s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:s, s:o}",
		      "number", (json_int_t)i->number, "item", i->item,
		      "application", i->application, "service", i->service,
		      "state", item_state_name(i->state), "offset",
		      (json_int_t)offset, "size", (json_int_t)i->size,
		      "created", (json_int_t)i->created, "expires",
		      (json_int_t)i->expires, "message", i->message, "to", to);
	if (j)
		json_object_set_new(j, "hash",
				    i->has_hash
					    ? cs_base64(i->hash, NTMC_HASH_LEN)
					    : json_null());
	return j;
}

void cs_get_item(struct http_request *q, void *arg)
{
	struct cs *cs = arg;
	struct item item;
	json_t *j;

	if (!cs_sender_ok(cs, q) || !cs_find_item(cs, q, &item))
		return;
	j = cs_item_json(cs, &item);
	if (j)
		http_answer_json(q, 200, j);
	else
		http_answer_err(q, -NTM_ESTORE);
}

/* --- the list -------------------------------------------------------------------- */

struct list {
	struct item *items;
	size_t n;
};

static void add_item(void *arg, const struct item *item)
{
	struct list *l = arg;

	l->items[l->n++] = *item;
}

static json_t *list_json(struct cs *cs, const struct list *l, size_t limit)
{
	json_t *all = json_array();
	size_t n = l->n > limit ? limit : l->n;

	for (size_t i = 0; i < n; i++)
		json_array_append_new(all, cs_item_json(cs, &l->items[i]));
	return json_pack("{s:o, s:b}", "items", all, "more", l->n > limit);
}

void cs_get_items(struct http_request *q, void *arg)
{
	struct cs *cs = arg;
	uint64_t after = 0, limit = LIST_MAX;
	struct list l = {.n = 0};
	json_t *j = NULL;
	int r = http_query_number(q, "after", &after);

	if (!cs_sender_ok(cs, q))
		return;
	if (r != -NTM_EDECODE)
		r = http_query_number(q, "limit", &limit);
	if (r == -NTM_EDECODE || !limit || limit > LIST_MAX) {
		http_answer_error(q, 400, -NTM_EINVAL,
				  "after is a number, limit one from 1 to 1000",
				  NULL);
		return;
	}
	l.items = calloc(limit + 1, sizeof(*l.items));
	r = l.items ? 0 : -NTM_ENOMEM;
	pthread_mutex_lock(&cs->lock);
	if (!r)
		r = items_list(cs->reader, http_fields(q)->node, (int64_t)after,
			       (unsigned int)limit + 1, add_item, &l);
	pthread_mutex_unlock(&cs->lock);
	/* a thousand items with all their receivers keep nobody else waiting */
	if (!r)
		j = list_json(cs, &l, limit);
	free(l.items);
	if (r)
		http_answer_err(q, r);
	else
		http_answer_json(q, 200, j);
}
