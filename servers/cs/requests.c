/* SPDX-License-Identifier: MIT */
/* requests - what nodes may ask of the Cache Server, and how they are known */
#include <stdlib.h>
#include <string.h>

#include "servers/cs/state.h"

void cs_answer(struct cs *cs, struct http_request *q, int err)
{
	(void)cs;
	if (err == -NTM_EAGAIN)
		http_answer_error(q, 507, -NTM_ELIMIT,
				  "the account's space at the Cache Server is "
				  "used up; cancel what is not needed",
				  NULL);
	else if (err == -NTM_ELIMIT)
		http_answer_error(q, 507, -NTM_ELIMIT,
				  "too many items of the account wait at the "
				  "Cache Server; cancel what is not needed",
				  NULL);
	else if (err == -NTM_EOFFLINE)
		http_answer_error(q, 503, err,
				  "this Cache Server takes no new items: its "
				  "administrator empties it",
				  NULL);
	else
		http_answer_err(q, err);
}

void cs_answer_offset(struct http_request *q, int err, const char *text,
		      uint64_t have)
{
	http_answer_error(q, 409, err, text,
			  json_pack("{s:I}", "offset", (json_int_t)have));
}

json_t *cs_base64(const uint8_t *data, size_t len)
{
	char *text = malloc(NTMC_BASE64URL_LEN(len) + 4);
	json_t *j;

	if (!text)
		return NULL;
	ntmc_base64url_encode(data, len, text);
	j = json_string(text);
	free(text);
	return j;
}

bool cs_bytes(const json_t *object, const char *key, uint8_t *out, size_t len)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text && !ntmc_base64url_decode(text, out, len);
}

bool cs_sender_ok(struct cs *cs, struct http_request *q)
{
	const struct http_fields *f = http_fields(q);
	int r = tokens_check(cs->tokens, f->node, f->token, ntmc_now(NULL));

	if (!r) {
		http_proven(q);
		return true;
	}
	if (r == -NTM_EAGAIN)
		http_answer_error(q, 503, r,
				  "the Cache Server has yet to hear from the "
				  "Account Server; try again",
				  NULL);
	else
		http_answer_error(
			q, 401, r,
			r == -NTM_EEXPIRED
				? "the token has expired; log in"
				: "not a token of this node, or one that "
				  "has expired; log in",
			NULL);
	return false;
}

/* before a body is read: memory is for those that we know */
static void sender_start(struct http_request *q, void *arg)
{
	(void)cs_sender_ok(arg, q);
}

bool cs_find_item(struct cs *cs, struct http_request *q, struct item *out)
{
	const struct http_fields *f = http_fields(q);
	int r;

	if (!f->application[0] || !f->service[0] ||
	    (f->item[0] && strcmp(f->item, http_param(q, 0)))) {
		http_answer_error(q, 400, -NTM_EINVAL,
				  "NTM-Application and NTM-Service are needed "
				  "here, and NTM-Item is the path's",
				  NULL);
		return false;
	}
	pthread_mutex_lock(&cs->lock);
	r = items_find(cs->reader, f->node, f->application, f->service,
		       http_param(q, 0), out);
	pthread_mutex_unlock(&cs->lock);
	if (r)
		http_answer_err(q, r);
	return !r;
}

/* A device of ours loses its tickets with its token; of others their domain knows. */
static bool is_gone(struct cs *cs, const char *name)
{
	enum tokens_state state;

	if (!fqdn_is_within(name, cs->cert.domain.domain))
		return false;
	state = tokens_state(cs->tokens, name);
	return state == TOKENS_WITHDRAWN || state == TOKENS_NOBODY;
}

bool cs_ticket(struct cs *cs, struct http_request *q, struct item *item,
	       struct receiver *r)
{
	const struct http_fields *f = http_fields(q);
	int err;

	pthread_mutex_lock(&cs->lock);
	err = items_by_ticket(cs->reader, f->token, item, r);
	pthread_mutex_unlock(&cs->lock);
	if (!err && !strcmp(r->name, f->node) && !is_gone(cs, r->name) &&
	    item->expires > ntmc_now(NULL)) {
		http_proven(q);
		return true;
	}
	if (err && err != -NTM_ENOTFOUND)
		http_answer_err(q, err);
	else
		http_answer_error(q, 401, -NTM_EAUTH,
				  "not a ticket of this node, or its item is "
				  "gone",
				  NULL);
	return false;
}

int cs_small(struct cs *cs, const struct item *item, uint8_t **out)
{
	uint8_t *data =
		item->size <= ITEMS_SMALL_MAX ? malloc(item->size) : NULL;
	int r = data ? 0 : -NTM_ENOMEM;

	pthread_mutex_lock(&cs->lock);
	if (!r)
		r = items_small_get(cs->reader, item->number, data, item->size);
	pthread_mutex_unlock(&cs->lock);
	if (r)
		free(data);
	else
		*out = data;
	return r;
}

void cs_drop_blob(struct cs *cs, const struct item *item, bool used)
{
	uploads_end(cs->uploads, item->number);
	if (item->small) /* it went with its row */
		return;
	blobs_remove_upload(cs->blobs, item->number);
	if (item->has_hash && !used)
		blobs_remove(cs->blobs, item->hash);
}

/* the token of the first one: a sender's, or a receiver's ticket */
static void batch_start(struct http_request *q, void *arg)
{
	const struct http_fields *f = http_fields(q);
	struct cs *cs = arg;
	struct receiver r;
	struct item item;

	if (tokens_check(cs->tokens, f->node, f->token, ntmc_now(NULL)))
		(void)cs_ticket(cs, q, &item, &r);
	else
		http_proven(q);
}

/* --- the table ------------------------------------------------------------------------------------- */

const struct http_route cs_routes[] = {
	{.method = "POST",
	 .path = "/v1/items/{}/keys",
	 .flags = HTTP_NODE | HTTP_ITEM | HTTP_JSON | HTTP_BATCH,
	 .body_max = CS_KEY_JSON_MAX,
	 .start = sender_start,
	 .done = cs_post_keys},
	{.method = "PATCH",
	 .path = "/v1/items/{}/data",
	 .flags = HTTP_NODE | HTTP_BATCH,
	 .body_max = INT64_MAX,
	 .start = cs_data_start,
	 .body = cs_data_body,
	 .done = cs_data_done},
	{.method = "POST",
	 .path = "/v1/items/{}/complete",
	 .flags = HTTP_NODE | HTTP_JSON | HTTP_BATCH,
	 .body_max = 1024,
	 .start = sender_start,
	 .done = cs_complete},
	{.method = "GET",
	 .path = "/v1/items/{}",
	 .flags = HTTP_NODE | HTTP_BATCH,
	 .done = cs_get_item},
	{.method = "GET",
	 .path = "/v1/items",
	 .flags = HTTP_NODE,
	 .done = cs_get_items},
	{.method = "DELETE",
	 .path = "/v1/items/{}",
	 .flags = HTTP_NODE | HTTP_BATCH,
	 .done = cs_delete_item},
	{.method = "GET",
	 .path = "/v1/keys/{}",
	 .flags = HTTP_NODE | HTTP_BATCH,
	 .done = cs_get_key},
	{.method = "GET",
	 .path = "/v1/data/{}",
	 .flags = HTTP_NODE | HTTP_BATCH,
	 .done = cs_get_data},
	{.method = "POST",
	 .path = "/v1/confirmations",
	 .flags = HTTP_NODE | HTTP_JSON | HTTP_BATCH,
	 .body_max = 1024,
	 .done = cs_post_confirmation},
	{.method = "POST",
	 .path = "/v1/batch",
	 .flags = HTTP_NODE | HTTP_JSON,
	 .body_max = HTTP_BATCH_BODY,
	 .start = batch_start,
	 .done = http_batch},
};
const size_t cs_n_routes = sizeof(cs_routes) / sizeof(cs_routes[0]);
