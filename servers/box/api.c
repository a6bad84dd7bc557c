/* SPDX-License-Identifier: MIT */
/*
 * api - the box's routes: who may ask, and what all requests have in common
 *
 * Owner:   the framework; each request its own. Context: threads of HTTP; work() in
 *          the clerk's.
 * docs/exchange.yaml says what goes in and out. A node is who it says if the AS has
 * told us its token; a Cache Server, if its certificate has that role.
 */
#include <stdlib.h>
#include <string.h>

#include "servers/box/api.h"

/* --- what a request says -------------------------------------------------------- */

static bool is_allowed(struct http_request *q, struct box *b)
{
	const struct http_fields *f = http_fields(q);
	int err;

	if (__atomic_load_n(&b->ending, __ATOMIC_ACQUIRE)) {
		http_answer_later(q, -NTM_EAGAIN, 5, "the box is stopping");
		return false;
	}
	err = tokens_check(b->tokens, f->node, f->token, box_now());
	if (err == -NTM_EAGAIN)
		http_answer_later(q, err, 5,
				  "the box has not heard from the AS yet");
	else if (err)
		http_answer_error(q, 401, err,
				  "not a token of this node, or one that has "
				  "expired; log in",
				  NULL);
	else
		http_proven(q);
	return !err;
}

static void node_start(struct http_request *q, void *arg)
{
	(void)is_allowed(q, arg);
}

static void server_start(struct http_request *q, void *arg)
{
	struct box *b = arg;

	if (__atomic_load_n(&b->ending, __ATOMIC_ACQUIRE))
		http_answer_later(q, -NTM_EAGAIN, 5, "the box is stopping");
}

const char *api_text(json_t *o, const char *key)
{
	return json_string_value(json_object_get(o, key));
}

bool api_copy(json_t *o, const char *key, char *out, size_t size)
{
	const char *text = api_text(o, key);

	if (!text || strlen(text) >= size ||
	    strlen(text) != json_string_length(json_object_get(o, key)))
		return false;
	strcpy(out, text);
	return true;
}

bool api_bytes(json_t *o, const char *key, uint8_t *out, size_t len)
{
	const char *text = api_text(o, key);

	return text && !ntmc_base64url_decode(text, out, len);
}

bool api_number(json_t *o, const char *key, int64_t *out)
{
	json_t *v = json_object_get(o, key);

	*out = json_integer_value(v);
	return json_is_integer(v) && *out >= 0;
}

bool api_number_or_none(json_t *o, const char *key, int64_t *out)
{
	*out = 0;
	return !json_object_get(o, key) || api_number(o, key, out);
}

void api_refuse(struct http_request *q, const char *text)
{
	http_answer_error(q, 400, -NTM_EINVAL, text, NULL);
}

bool api_is_twice(const struct errand *e, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!strcmp(e->to[i].name, e->to[n].name))
			return true;
	return false;
}

/* --- simple questions to the clerk ------------------------------------------------- */

struct call *call_new(struct box *b, struct http_request *q)
{
	struct call *c = calloc(1, sizeof(*c));

	if (!c) {
		http_answer_err(q, -NTM_ENOMEM);
		return NULL;
	}
	c->box = b;
	c->q = q;
	strcpy(c->node, http_fields(q)->node);
	return c;
}

static void call_done(struct clerk_job *job, int err)
{
	struct call *c = (struct call *)job;
	struct box *b = c->box;

	if (err) {
		http_answer_err(c->q, err);
		json_decref(c->o);
		free(c->text);
	} else if (c->text) {
		http_answer_text(c->q, 200, c->text);
	} else if (c->o) {
		http_answer_json(c->q, 200, c->o);
	} else {
		http_answer_json(c->q, 200, json_object());
	}
	free(c->device);
	free(c->server);
	free(c);
	box_answered(b);
}

void call_start(struct call *c,
		int (*work)(struct clerk_job *job, struct shelf *s))
{
	int err;

	c->job.work = work;
	c->job.done = call_done;
	box_opened(c->box);
	err = clerk_ask(c->box->clerk, &c->job);
	if (err)
		call_done(&c->job, err);
}

bool call_page(struct http_request *q, struct call *c)
{
	uint64_t after = 0, limit = BOX_PAGE;
	int a = http_query_number(q, "after", &after),
	    l = http_query_number(q, "limit", &limit);

	if ((a && a != -NTM_ENOTFOUND) || (l && l != -NTM_ENOTFOUND) ||
	    !limit || limit > SHELF_PAGE_MAX) {
		api_refuse(
			q,
			"after and limit are numbers, limit from 1 to 20000");
		free(c);
		return false;
	}
	c->number = (int64_t)after;
	c->limit = (unsigned int)limit;
	return true;
}

/* --- the table ----------------------------------------------------------------------------------- */

#define KEYS_POST (HTTP_NODE | HTTP_ITEM | HTTP_JSON | HTTP_BATCH)

/* clang-format off */
const struct http_route box_routes[] = {
	{ "PUT", "/v1/prekeys", HTTP_NODE | HTTP_JSON, 0, BOX_BODY_MAX,
	  node_start, NULL, api_prekeys_put },
	{ "GET", "/v1/prekeys/{}", HTTP_NODE, 0, 0,
	  node_start, NULL, api_prekeys_get },
	{ "POST", "/v1/temporal-keys", KEYS_POST, 0,
	  BOX_BODY_MAX, node_start, NULL, api_keys_post },
	{ "GET", "/v1/temporal-keys", HTTP_NODE, 0, 0,
	  node_start, NULL, api_keys_get },
	{ "GET", "/v1/temporal-keys/{}", HTTP_NODE | HTTP_BATCH, 0, 0,
	  node_start, NULL, api_key_get },
	{ "DELETE", "/v1/temporal-keys/{}", HTTP_NODE | HTTP_BATCH, 0, 0,
	  node_start, NULL, api_key_delete },
	{ "GET", "/v1/cache", HTTP_NODE, 0, 0, node_start, NULL, api_cache_get },
	{ "DELETE", "/v1/cache/{}", HTTP_NODE | HTTP_BATCH, 0, 0,
	  node_start, NULL, api_cache_delete },
	{ "GET", "/v1/servers", HTTP_NODE, 0, 0,
	  node_start, NULL, api_servers_get },
	{ "POST", "/v1/servers", HTTP_JSON, NTMC_ROLE_CS, BOX_BODY_MAX,
	  server_start, NULL, api_servers_post },
	{ "POST", "/v1/exchange", HTTP_JSON | HTTP_BATCH, NTMC_ROLE_CS,
	  BOX_BODY_MAX, server_start, NULL, api_exchange_post },
	{ "POST", "/v1/exchanges", HTTP_JSON, NTMC_ROLE_CS, HTTP_BATCH_BODY,
	  server_start, NULL, http_batch },
	{ "POST", "/v1/batch", HTTP_NODE | HTTP_JSON, 0, HTTP_BATCH_BODY,
	  node_start, NULL, http_batch },
};
/* clang-format on */
const size_t box_n_routes = sizeof(box_routes) / sizeof(box_routes[0]);
