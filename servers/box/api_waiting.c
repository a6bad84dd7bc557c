/* SPDX-License-Identifier: MIT */
/* api_waiting - what waits for a node: temporal keys and its cache list */
#include <stdlib.h>
#include <string.h>

#include "servers/box/api.h"

/* --- temporal keys -------------------------------------------------------------------- */

static bool is_receiver(const struct http_fields *f, const char *name)
{
	for (size_t i = 0; i < f->n_to; i++)
		if (!strcmp(f->to[i], name))
			return true;
	return false;
}

static const char *keys_take(const struct http_fields *f, json_t *list,
			     struct errand *e)
{
	json_t *one;
	size_t i;

	json_array_foreach(list, i, one)
	{
		struct receiver *to = &e->to[i];

		if (!COPY(one, "to", to->name) || !is_receiver(f, to->name) ||
		    api_is_twice(e, i))
			return "keys and NTM-To name the same devices, once";
		if (!api_bytes(one, "key", to->key.b, NTMC_KEY_LEN))
			return "a key is 32 bytes, base64url";
	}
	return NULL;
}

void api_keys_post(struct http_request *q, void *arg)
{
	const struct http_fields *f = http_fields(q);
	json_t *o = http_json(q), *list = json_object_get(o, "keys");
	const char *wrong = NULL;
	struct errand *e;
	int64_t expires;

	if (json_array_size(list) != f->n_to || f->n_to > BOX_RECEIVERS_MAX ||
	    !api_number(o, "expires", &expires)) {
		api_refuse(q, "keys: one for each of NTM-To; expires: a time");
		return;
	}
	e = errand_new(arg, q, f->n_to);
	if (!e) {
		http_answer_err(q, -NTM_ENOMEM);
		return;
	}
	e->keys = true;
	strcpy(e->x.i.from, f->node);
	strcpy(e->x.i.application, f->application);
	strcpy(e->x.i.service, f->service);
	strcpy(e->x.i.item, f->item);
	e->x.i.expires = expires;
	wrong = keys_take(f, list, e);
	if (!wrong) {
		errand_start(e);
		return;
	}
	api_refuse(q, wrong);
	errand_free(e);
}

static int keys_work(struct clerk_job *job, struct shelf *s)
{
	struct call *c = (struct call *)job;

	c->o = shelf_keys(s, c->node, c->number, c->limit);
	return c->o ? 0 : -NTM_ESTORE;
}

void api_keys_get(struct http_request *q, void *arg)
{
	struct call *c = call_new(arg, q);

	if (c && call_page(q, c))
		call_start(c, keys_work);
}

static int key_work(struct clerk_job *job, struct shelf *s)
{
	struct call *c = (struct call *)job;
	int err;

	c->o = shelf_key(s, c->node, c->hash, &err);
	return c->o ? 0 : err ? err : -NTM_ENOTFOUND;
}

static int key_delete_work(struct clerk_job *job, struct shelf *s)
{
	struct call *c = (struct call *)job;

	return shelf_delete_key(s, c->node, c->hash);
}

static void by_hash(struct http_request *q, void *arg,
		    int (*work)(struct clerk_job *job, struct shelf *s))
{
	struct call *c = call_new(arg, q);

	if (!c)
		return;
	if (http_param_bytes(q, 0, c->hash, sizeof(c->hash))) {
		http_answer_err(q, -NTM_ENOTFOUND);
		free(c);
		return;
	}
	call_start(c, work);
}

void api_key_get(struct http_request *q, void *arg)
{
	by_hash(q, arg, key_work);
}

void api_key_delete(struct http_request *q, void *arg)
{
	by_hash(q, arg, key_delete_work);
}

/* --- the cache list ---------------------------------------------------------------------- */

static int list_work(struct clerk_job *job, struct shelf *s)
{
	struct call *c = (struct call *)job;

	return shelf_list(s, c->node, c->number, c->limit, &c->text);
}

void api_cache_get(struct http_request *q, void *arg)
{
	struct call *c = call_new(arg, q);

	if (c && call_page(q, c))
		call_start(c, list_work);
}

static int entry_delete_work(struct clerk_job *job, struct shelf *s)
{
	struct call *c = (struct call *)job;

	return shelf_delete_entry(s, c->node, c->number);
}

void api_cache_delete(struct http_request *q, void *arg)
{
	struct call *c = call_new(arg, q);
	const char *text = http_param(q, 0);
	char *end = NULL;

	if (!c)
		return;
	c->number = strtoll(text, &end, 10);
	if (c->number <= 0 || *end || text[0] == '+') {
		http_answer_err(q, -NTM_ENOTFOUND);
		free(c);
		return;
	}
	call_start(c, entry_delete_work);
}
