/* SPDX-License-Identifier: MIT */
/* keys - an item begins with the sealed keys of its receivers, who fetch them */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "libntmcrypto/blobsum.h"
#include "servers/cs/state.h"

#define LIFETIME_MIN 60

struct add {
	struct desk_job job;
	struct cs *cs;
	struct http_request *q;
	struct item item;
	char account[FQDN_MAX + 1];
	struct items_limits limits;
	bool was_there, grew, completes;
	uint8_t *data; /* all of it; NULL: it comes later */
	size_t data_len;
	uint8_t hash[NTMC_HASH_LEN];
	size_t n;
	struct receiver r[];
};

static int add_run(struct desk_job *job, struct items *s)
{
	struct add *a = (struct add *)job;
	struct items_small small = {a->data, a->hash, a->data_len};
	int r = items_add(s, &a->item, a->account, a->r, a->n,
			  a->data ? &small : NULL, &a->limits);

	a->was_there = r > 0;
	a->grew = r == 2;
	a->completes = a->data && (r == 0 || r == 3);
	return r > 0 ? 0 : r;
}

static json_int_t offset_of(struct cs *cs, const struct item *item)
{
	return (json_int_t)(item->state == ITEM_OPEN
				    ? uploads_offset(cs->uploads, item->number)
				    : item->size);
}

static void add_free(struct add *a)
{
	free(a->data);
	ntmc_wipe(a, sizeof(*a) + a->n * sizeof(a->r[0]));
	free(a);
}

/* What came of it before, by other requests, is of no use any more. */
static void whole_came(struct add *a)
{
	struct cs *cs = a->cs;

	uploads_end(cs->uploads, a->item.number);
	if (a->was_there)
		blobs_remove_upload(cs->blobs, a->item.number);
	atomic_fetch_add(&cs->stats.complete, 1);
	atomic_fetch_add_explicit(&cs->stats.bytes_in, a->data_len,
				  memory_order_relaxed);
}

static void add_done(struct desk_job *job, int err)
{
	struct add *a = (struct add *)job;
	struct cs *cs = a->cs;

	if (!err && a->completes)
		whole_came(a);
	char text[100];

	snprintf(text, sizeof(text),
		 "an item may have %llu MB at most at this Cache Server",
		 (unsigned long long)(a->limits.bytes / 1000000));
	if (err == -NTM_EEXISTS)
		http_answer_error(a->q, 409, err,
				  "there is another item of this name", NULL);
	else if (err == -NTM_ETOOBIG)
		http_answer_error(a->q, 413, err, text, NULL);
	else if (err)
		cs_answer(cs, a->q, err);
	else
		http_answer_json(a->q, a->was_there ? 200 : 201,
				 json_pack("{s:I, s:I}", "offset",
					   offset_of(cs, &a->item), "expires",
					   (json_int_t)a->item.expires));
	if (!err && !a->was_there)
		atomic_fetch_add(&cs->stats.items, 1);
	if (!err && (!a->was_there || a->grew || a->completes))
		exchange_wake(cs->exchange);
	add_free(a);
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

/* all of a small one. Return: what is wrong, or NULL */
static const char *read_data(const json_t *body, struct add *a)
{
	const char *text = json_string_value(json_object_get(body, "data"));
	uint8_t hash[NTMC_HASH_LEN];
	size_t len = text ? strlen(text) * 3 / 4 : 0;

	if (!json_object_get(body, "data"))
		return NULL;
	if (!len || len > ITEMS_SMALL_MAX || len != a->item.size)
		return "data is all of the blob, of at most 16384 bytes";
	a->data = malloc(len);
	a->data_len = len;
	if (!a->data || ntmc_base64url_decode(text, a->data, len) ||
	    !cs_bytes(body, "hash", a->hash, NTMC_HASH_LEN))
		return "data and hash are in base64url";
	blobsum_of(a->data, len, hash);
	return memcmp(hash, a->hash, sizeof(hash)) ? "the data has another hash"
						   : NULL;
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
	if (!*wrong)
		*wrong = read_data(http_json(q), a);
	if (!*wrong && (strcmp(f->item, http_param(q, 0)) ||
			fqdn_split(f->node, cs->cert.domain.domain, &parts)))
		*wrong = "NTM-Item is the path's";
	if (*wrong) {
		add_free(a);
		return NULL;
	}
	strcpy(a->account, parts.account);
	return a;
}

void cs_post_keys(struct http_request *q, void *arg)
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
		add_free(a);
		return;
	}
	desk_do(cs->desk, &a->job);
}

/* --- fetched ----------------------------------------------------------------------- */

/* With its key, where it is asked for, and small; else it is asked for by itself */
static void data_put(struct cs *cs, const struct http_request *q,
		     const struct item *item, json_t *j)
{
	const char *with = http_header(q, "NTM-With");
	uint8_t *data;

	if (!with || strcmp(with, "data") || item->state != ITEM_COMPLETE ||
	    !item->small || cs_small(cs, item, &data))
		return;
	json_object_set_new(j, "data", cs_base64(data, item->size));
	free(data);
}

void cs_get_key(struct http_request *q, void *arg)
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
	if (j) {
		json_object_set_new(
			j, "hash",
			item.has_hash ? cs_base64(item.hash, NTMC_HASH_LEN)
				      : json_null());
		data_put(cs, q, &item, j);
	}
	http_answer_json(q, 200, j);
}
