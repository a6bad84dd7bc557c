/* SPDX-License-Identifier: MIT */
/* requests - what nodes ask of the Cache Server, but for the data itself */
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "servers/cs/state.h"

#define LIST_MAX     1000
#define LIFETIME_MIN 60

/* --- what they have in common ------------------------------------------------------- */

void cs_answer(struct cs *cs, struct http_request *q, int err)
{
	(void)cs;
	if (err == -NTM_ETOOBIG)
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

	if (!r)
		return true;
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
	    item->expires > ntmc_now(NULL))
		return true;
	if (err && err != -NTM_ENOTFOUND)
		http_answer_err(q, err);
	else
		http_answer_error(q, 401, -NTM_EAUTH,
				  "not a ticket of this node, or its item is "
				  "gone",
				  NULL);
	return false;
}

void cs_drop_blob(struct cs *cs, const struct item *item, bool used)
{
	uploads_end(cs->uploads, item->number);
	blobs_remove_upload(cs->blobs, item->number);
	if (item->has_hash && !used)
		blobs_remove(cs->blobs, item->hash);
}

/* --- an item as JSON ------------------------------------------------------------------ */

static void add_receiver(void *arg, const struct receiver *r)
{
	json_array_append_new(
		arg, json_pack("{s:s, s:s, s:I, s:i, s:s}", "name", r->name,
			       "state", receiver_state_name(r->state), "at",
			       (json_int_t)r->at, "code", r->code, "error",
			       err_name(r->code)));
}

static json_t *item_json(struct cs *cs, const struct item *i)
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

static void get_item(struct http_request *q, void *arg)
{
	struct cs *cs = arg;
	struct item item;
	json_t *j;

	if (!cs_sender_ok(cs, q) || !cs_find_item(cs, q, &item))
		return;
	j = item_json(cs, &item);
	if (j)
		http_answer_json(q, 200, j);
	else
		http_answer_err(q, -NTM_ESTORE);
}

/* --- the sender's list ------------------------------------------------------------------ */

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
		json_array_append_new(all, item_json(cs, &l->items[i]));
	return json_pack("{s:o, s:b}", "items", all, "more", l->n > limit);
}

static void get_items(struct http_request *q, void *arg)
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

/* --- keys: an item begins ------------------------------------------------------------------ */

struct add {
	struct desk_job job;
	struct cs *cs;
	struct http_request *q;
	struct item item;
	char account[FQDN_MAX + 1];
	struct items_limits limits;
	bool was_there;
	size_t n;
	struct receiver r[];
};

static int add_run(struct desk_job *job, struct items *s)
{
	struct add *a = (struct add *)job;
	int r = items_add(s, &a->item, a->account, a->r, a->n, &a->limits);

	a->was_there = r == 1;
	return r == 1 ? 0 : r;
}

static void add_done(struct desk_job *job, int err)
{
	struct add *a = (struct add *)job;
	struct cs *cs = a->cs;

	if (err == -NTM_EEXISTS)
		http_answer_error(a->q, 409, err,
				  "there is another item of this name", NULL);
	else if (err)
		cs_answer(cs, a->q, err);
	else
		http_answer_json(
			a->q, a->was_there ? 200 : 201,
			json_pack("{s:I, s:I}", "offset",
				  (json_int_t)uploads_offset(cs->uploads,
							     a->item.number),
				  "expires", (json_int_t)a->item.expires));
	if (!err && !a->was_there) {
		atomic_fetch_add(&cs->stats.items, 1);
		exchange_wake(cs->exchange);
	}
	ntmc_wipe(a, sizeof(*a) + a->n * sizeof(a->r[0]));
	free(a);
}

static bool key_bytes(const json_t *entry, struct receiver *r)
{
	const char *text = json_string_value(json_object_get(entry, "key"));
	size_t digits = text ? strlen(text) : 0;

	r->key_len = digits * 3 / 4;
	return r->key_len && r->key_len <= ITEMS_KEY_MAX &&
	       !ntmc_base64url_decode(text, r->key, r->key_len);
}

/* the keys, one for each name of NTM-To. Return: false: they are not */
static bool read_keys(const struct http_fields *f, const json_t *body,
		      struct add *a)
{
	const json_t *keys = json_object_get(body, "keys"), *entry;
	size_t i;

	if (json_array_size(keys) != f->n_to)
		return false;
	json_array_foreach(keys, i, entry)
	{
		const char *to =
			json_string_value(json_object_get(entry, "to"));
		size_t k = 0;

		while (to && k < f->n_to && strcmp(f->to[k], to))
			k++;
		if (!to || k == f->n_to || a->r[k].name[0] ||
		    !key_bytes(entry, &a->r[k]))
			return false;
		strcpy(a->r[k].name, to);
	}
	return true;
}

/* size and expiry. Return: what is wrong, or NULL */
static const char *read_item(struct cs *cs, const struct http_fields *f,
			     const json_t *body, struct item *item)
{
	const json_t *size = json_object_get(body, "size"),
		     *expires = json_object_get(body, "expires");
	int64_t now = ntmc_now(NULL), last = now + atomic_load(&cs->lifetime);

	if (!json_is_integer(size) || json_integer_value(size) < 1)
		return "size is the number of bytes of the blob";
	item->size = (uint64_t)json_integer_value(size);
	item->created = now;
	item->expires = last;
	if (expires && !json_is_integer(expires))
		return "expires is a number of seconds since 1970";
	if (expires && json_integer_value(expires) < last)
		item->expires = json_integer_value(expires);
	if (item->expires < now + LIFETIME_MIN)
		return "expires is in the past, or in less than a minute";
	strcpy(item->sender, f->node);
	strcpy(item->application, f->application);
	strcpy(item->service, f->service);
	strcpy(item->item, f->item);
	strcpy(item->message, f->message);
	return NULL;
}

static struct add *add_new(struct cs *cs, struct http_request *q,
			   const char **wrong)
{
	const struct http_fields *f = http_fields(q);
	struct add *a = calloc(1, sizeof(*a) + f->n_to * sizeof(a->r[0]));
	struct fqdn_parts parts;

	*wrong = NULL;
	if (!a)
		return NULL;
	*a = (struct add){.job = {.run = add_run, .done = add_done},
			  .cs = cs,
			  .q = q,
			  .limits = {.bytes = atomic_load(&cs->quota),
				     .n = ITEMS_WAITING_MAX,
				     .closed = atomic_load(&cs->draining)},
			  .n = f->n_to};
	*wrong = read_item(cs, f, http_json(q), &a->item);
	if (!*wrong && !read_keys(f, http_json(q), a))
		*wrong = "keys has one of 1 to 2048 bytes for each name of "
			 "NTM-To";
	if (!*wrong && (strcmp(f->item, http_param(q, 0)) ||
			fqdn_split(f->node, cs->cert.domain.domain, &parts)))
		*wrong = "NTM-Item is the path's";
	if (*wrong) {
		free(a);
		return NULL;
	}
	strcpy(a->account, parts.account);
	return a;
}

static void post_keys(struct http_request *q, void *arg)
{
	struct cs *cs = arg;
	const char *wrong;
	uint64_t room;
	struct add *a;
	int r;

	a = add_new(cs, q, &wrong);
	if (!a) {
		if (wrong)
			http_answer_error(q, 400, -NTM_EINVAL, wrong, NULL);
		else
			http_answer_err(q, -NTM_ENOMEM);
		return;
	}
	r = blobs_room(cs->blobs, &room);
	if (r || room < CS_ROOM_SPARED ||
	    a->item.size > room - CS_ROOM_SPARED) {
		http_answer_error(q, 507, -NTM_ESTORE,
				  "the Cache Server's disk is full; its "
				  "administrator has been told",
				  NULL);
		log_err("cs", "no room for an item of %s",
			http_fields(q)->node);
		free(a);
		return;
	}
	desk_do(cs->desk, &a->job);
}

/* --- an item ends ---------------------------------------------------------------------------- */

struct end {
	struct desk_job job;
	struct cs *cs;
	struct http_request *q;
	struct item item;
	char receiver[FQDN_MAX + 1];
	int code;
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
			j = item_json(cs, &e->item);
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

static void delete_item(struct http_request *q, void *arg)
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

/* --- receivers ---------------------------------------------------------------------------------- */

static void get_key(struct http_request *q, void *arg)
{
	struct cs *cs = arg;
	uint8_t hash[NTMC_HASH_LEN];
	struct receiver r;
	struct item item;
	json_t *j;

	if (!cs_ticket(cs, q, &item, &r))
		return;
	if (!r.key_len) {
		http_answer_err(q, -NTM_ENOTFOUND); /* cancelled, or lost */
		return;
	}
	if (http_param_bytes(q, 0, hash, sizeof(hash)) ||
	    memcmp(hash, r.key_hash, sizeof(hash))) {
		http_answer_error(q, 403, -NTM_EPERM,
				  "the ticket is not for this key", NULL);
		return;
	}
	j = json_pack("{s:o, s:s, s:s, s:s, s:s, s:s, s:I}", "key",
		      cs_base64(r.key, r.key_len), "from", item.sender,
		      "application", item.application, "service", item.service,
		      "item", item.item, "message", item.message, "size",
		      (json_int_t)item.size);
	if (j)
		json_object_set_new(
			j, "hash",
			item.has_hash ? cs_base64(item.hash, NTMC_HASH_LEN)
				      : json_null());
	http_answer_json(q, 200, j);
}

static int confirm_run(struct desk_job *job, struct items *s)
{
	struct end *e = (struct end *)job;
	int r = items_confirm(s, e->item.number, e->receiver, e->code,
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

static void post_confirmation(struct http_request *q, void *arg)
{
	struct cs *cs = arg;
	const json_t *code = json_object_get(http_json(q), "code");
	uint8_t hash[NTMC_HASH_LEN];
	struct receiver r;
	struct item item;
	struct end *e;

	if (!cs_ticket(cs, q, &item, &r))
		return;
	if (!json_is_integer(code) || json_integer_value(code) < 0 ||
	    json_integer_value(code) > 65535 ||
	    !cs_bytes(http_json(q), "hash", hash, sizeof(hash))) {
		http_answer_error(q, 400, -NTM_EINVAL,
				  "hash is the blob's, code 0 or an error's "
				  "number",
				  NULL);
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
	e->code = (int)json_integer_value(code);
	e->job = (struct desk_job){.run = confirm_run, .done = confirm_done};
	desk_do(cs->desk, &e->job);
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
}

/* --- the table ------------------------------------------------------------------------------------- */

const struct http_route cs_routes[] = {
	{.method = "POST",
	 .path = "/v1/items/{}/keys",
	 .flags = HTTP_NODE | HTTP_ITEM | HTTP_JSON | HTTP_BATCH,
	 .body_max = CS_KEY_JSON_MAX,
	 .start = sender_start,
	 .done = post_keys},
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
	 .done = get_item},
	{.method = "GET",
	 .path = "/v1/items",
	 .flags = HTTP_NODE,
	 .done = get_items},
	{.method = "DELETE",
	 .path = "/v1/items/{}",
	 .flags = HTTP_NODE | HTTP_BATCH,
	 .done = delete_item},
	{.method = "GET",
	 .path = "/v1/keys/{}",
	 .flags = HTTP_NODE | HTTP_BATCH,
	 .done = get_key},
	{.method = "GET",
	 .path = "/v1/data/{}",
	 .flags = HTTP_NODE | HTTP_BATCH,
	 .done = cs_get_data},
	{.method = "POST",
	 .path = "/v1/confirmations",
	 .flags = HTTP_NODE | HTTP_JSON | HTTP_BATCH,
	 .body_max = 1024,
	 .done = post_confirmation},
	{.method = "POST",
	 .path = "/v1/batch",
	 .flags = HTTP_NODE | HTTP_JSON,
	 .body_max = HTTP_BATCH_BODY,
	 .start = batch_start,
	 .done = http_batch},
};
const size_t cs_n_routes = sizeof(cs_routes) / sizeof(cs_routes[0]);
