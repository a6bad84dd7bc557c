/* SPDX-License-Identifier: MIT */
/* shelf_read - what the box answers of what it keeps */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/jsontext.h"
#include "common/log.h"
#include "servers/box/shelf_impl.h"

#define B64_LEN(n) (((n)*4 + 2) / 3 + 1) /* with its end */

/* --- fields -------------------------------------------------------------------------- */

static void put_field(struct jsontext *t, const char *name, const char *value)
{
	jsontext_put(t, ",\"");
	jsontext_put(t, name);
	jsontext_put(t, "\":");
	jsontext_string(t, value);
}

static void put_number(struct jsontext *t, const char *name, int64_t v)
{
	jsontext_put(t, ",\"");
	jsontext_put(t, name);
	jsontext_put(t, "\":");
	jsontext_number(t, v);
}

static void put_null(struct jsontext *t, const char *name)
{
	jsontext_put(t, ",\"");
	jsontext_put(t, name);
	jsontext_put(t, "\":null");
}

/* none, where there are none */
static void put_bytes(struct jsontext *t, const char *name, struct store *st,
		      enum shelf_statement n, int column)
{
	uint8_t b[NTMC_CERT_MAX];
	char b64[B64_LEN(NTMC_CERT_MAX)];
	size_t len = store_blob(st, n, column, b, sizeof(b));

	if (!len || len > sizeof(b)) {
		put_null(t, name);
		return;
	}
	ntmc_base64url_encode(b, len, b64);
	put_field(t, name, b64);
}

static int text_take(struct jsontext *t, int err, char **out)
{
	*out = jsontext_take(t);
	if (!*out)
		return err ? err : -NTM_ENOMEM;
	if (err) {
		free(*out);
		*out = NULL;
	}
	return err;
}

/* --- prekeys --------------------------------------------------------------------------- */

/* Those that can be sent nothing, as they have been off for too long. Return: how many,
 * or -NTM_ESTORE */
static int put_offline(struct shelf *s, const char *name, struct jsontext *t)
{
	struct store *st = s->store;
	int r, n = 0;

	store_bind_text(st, DEVICES_WITHOUT, 1, name);
	store_bind_int(st, DEVICES_WITHOUT, 2, s->now);
	store_bind_int(st, DEVICES_WITHOUT, 3, SHELF_DEVICES_MAX);
	while ((r = store_step(st, DEVICES_WITHOUT)) > 0) {
		jsontext_put(t, n++ ? "," : ",\"offline\":[");
		jsontext_string(t, store_text(st, DEVICES_WITHOUT, 0));
	}
	jsontext_put(t, n ? "]" : "");
	return r ? r : n;
}

int shelf_prekeys(struct shelf *s, const char *name, char **out)
{
	struct store *st = s->store;
	struct jsontext t = {.p = NULL};
	int r, n = 0, offline = 0;

	jsontext_put(&t, "{\"prekeys\":[");
	store_bind_text(st, PREKEYS_OF, 1, name);
	store_bind_int(st, PREKEYS_OF, 2, s->now);
	store_bind_int(st, PREKEYS_OF, 3, SHELF_DEVICES_MAX);
	while ((r = store_step(st, PREKEYS_OF)) > 0) {
		jsontext_put(&t, n++ ? ",{\"name\":" : "{\"name\":");
		jsontext_string(&t, store_text(st, PREKEYS_OF, 0));
		put_bytes(&t, "certificate", st, PREKEYS_OF, 1);
		put_bytes(&t, "id", st, PREKEYS_OF, 2);
		put_bytes(&t, "key", st, PREKEYS_OF, 3);
		put_number(&t, "not_before", store_int(st, PREKEYS_OF, 4));
		put_number(&t, "not_after", store_int(st, PREKEYS_OF, 5));
		put_bytes(&t, "signature", st, PREKEYS_OF, 6);
		jsontext_put(&t, "}");
	}
	jsontext_put(&t, "]");
	if (!r)
		offline = put_offline(s, name, &t);
	if (offline < 0)
		r = offline;
	jsontext_put(&t, "}");
	return text_take(&t,
			 r	   ? r
			 : n	   ? 0
			 : offline ? -NTM_EOFFLINE
				   : -NTM_ENONAME,
			 out);
}

/* --- temporal keys ------------------------------------------------------------------------ */

static json_t *bytes_json(struct store *st, enum shelf_statement n, int column,
			  size_t len)
{
	uint8_t b[NTMC_KEY_LEN];
	char b64[B64_LEN(sizeof(b))];
	json_t *o;

	if (len > sizeof(b) || store_blob(st, n, column, b, len) != len)
		return json_null();
	ntmc_base64url_encode(b, len, b64);
	o = json_string(b64);
	ntmc_wipe(b, sizeof(b));
	ntmc_wipe(b64, sizeof(b64));
	return o;
}

static json_t *key_json(struct store *st, enum shelf_statement n)
{
	return json_pack("{s:I, s:s, s:s, s:s, s:s, s:I, s:o}", "number",
			 (json_int_t)store_int(st, n, 0), "from",
			 store_text(st, n, 1), "application",
			 store_text(st, n, 2), "service", store_text(st, n, 3),
			 "item", store_text(st, n, 4), "expires",
			 (json_int_t)store_int(st, n, 5), "hash",
			 bytes_json(st, n, 6, 32));
}

json_t *shelf_keys(struct shelf *s, const char *fqdn, int64_t after,
		   unsigned int limit)
{
	json_t *list = json_array();
	unsigned int n = 0;
	int r;

	store_bind_text(s->store, KEY_EACH, 1, fqdn);
	store_bind_int(s->store, KEY_EACH, 2, after);
	store_bind_int(s->store, KEY_EACH, 3, (int64_t)limit + 1);
	while ((r = store_step(s->store, KEY_EACH)) > 0)
		if (n++ < limit)
			json_array_append_new(list,
					      key_json(s->store, KEY_EACH));
	if (r) {
		json_decref(list);
		return NULL;
	}
	return json_pack("{s:o, s:b}", "keys", list, "more", n > limit);
}

json_t *shelf_key(struct shelf *s, const char *fqdn,
		  const uint8_t hash[static 32], int *err)
{
	json_t *o;
	int r;

	store_bind_text(s->store, KEY_BY_HASH, 1, fqdn);
	store_bind_blob(s->store, KEY_BY_HASH, 2, hash, 32);
	r = store_step(s->store, KEY_BY_HASH);
	*err = r < 0 ? r : 0;
	if (r <= 0)
		return NULL;
	o = key_json(s->store, KEY_BY_HASH);
	json_object_set_new(o, "key",
			    bytes_json(s->store, KEY_BY_HASH, 7, NTMC_KEY_LEN));
	store_reset(s->store, KEY_BY_HASH);
	return o;
}

/* --- the cache list -------------------------------------------------------------------------- */

static void put_entry(struct jsontext *t, struct store *st)
{
	int64_t size = store_int(st, ENTRY_EACH, 10);

	jsontext_put(t, "{\"id\":");
	jsontext_number(t, store_int(st, ENTRY_EACH, 0));
	put_number(t, "number", store_int(st, ENTRY_EACH, 1));
	jsontext_put(t, store_int(st, ENTRY_EACH, 2) ? ",\"kind\":\"status\""
						     : ",\"kind\":\"item\"");
	put_field(t, "from", store_text(st, ENTRY_EACH, 3));
	put_field(t, "application", store_text(st, ENTRY_EACH, 4));
	put_field(t, "service", store_text(st, ENTRY_EACH, 5));
	put_field(t, "item", store_text(st, ENTRY_EACH, 6));
	put_field(t, "message", store_text(st, ENTRY_EACH, 7));
	put_bytes(t, "key_hash", st, ENTRY_EACH, 8);
	put_bytes(t, "data_hash", st, ENTRY_EACH, 9);
	if (size >= 0)
		put_number(t, "size", size);
	else
		put_null(t, "size");
	put_bytes(t, "ticket", st, ENTRY_EACH, 11);
	jsontext_put(t, ",\"cs\":{\"name\":");
	jsontext_string(t, store_text(st, ENTRY_EACH, 12));
	jsontext_put(t, ",\"addresses\":[");
	jsontext_put(t,
		     store_text(st, ENTRY_EACH, 13)); /* of our own writing */
	jsontext_put(t, "]}");
	put_number(t, "at", store_int(st, ENTRY_EACH, 14));
	put_number(t, "expires", store_int(st, ENTRY_EACH, 15));
	put_bytes(t, "temporal_hash", st, ENTRY_EACH, 16);
	jsontext_put(t, "}");
}

static int64_t serial_now(struct shelf *s, const char *fqdn)
{
	int64_t v = 0;
	int r;

	store_bind_text(s->store, SERIAL, 1, fqdn);
	r = store_step(s->store, SERIAL);
	if (r > 0) {
		v = store_int(s->store, SERIAL, 0);
		store_reset(s->store, SERIAL);
	}
	return r < 0 ? r : v;
}

int shelf_list(struct shelf *s, const char *fqdn, int64_t after,
	       unsigned int limit, char **out)
{
	int64_t serial = serial_now(s, fqdn);
	struct jsontext t = {.p = NULL};
	unsigned int n = 0;
	int r;

	if (serial < 0)
		return (int)serial;
	jsontext_put(&t, "{\"serial\":");
	jsontext_number(&t, serial);
	jsontext_put(&t, ",\"entries\":[");
	store_bind_text(s->store, ENTRY_EACH, 1, fqdn);
	store_bind_int(s->store, ENTRY_EACH, 2, after);
	store_bind_int(s->store, ENTRY_EACH, 3, (int64_t)limit + 1);
	while ((r = store_step(s->store, ENTRY_EACH)) > 0) {
		if (n++ >= limit)
			continue;
		if (n > 1)
			jsontext_put(&t, ",");
		put_entry(&t, s->store);
	}
	jsontext_put(&t, n > limit ? "],\"more\":true}" : "],\"more\":false}");
	return text_take(&t, r, out);
}

/* --- others ------------------------------------------------------------------------------------ */

/* what nodes are told of a server, and with @all an administrator */
static json_t *server_json(struct shelf *s, const uint8_t *fp, bool all)
{
	struct store *st = s->store;
	char text[SHELF_ADDRESSES_TEXT + 3], digits[NTMC_FP_TEXT_LEN];
	json_t *o;

	snprintf(text, sizeof(text), "[%s]", store_text(st, SERVER_EACH, 1));
	o = json_pack("{s:s, s:o, s:I, s:I}", "name",
		      store_text(st, SERVER_EACH, 0), "addresses",
		      json_loads(text, 0, NULL), "room",
		      (json_int_t)store_int(st, SERVER_EACH, 4), "age_s",
		      (json_int_t)(s->now - store_int(st, SERVER_EACH, 2)));
	if (!o || !all)
		return o;
	ntmc_fingerprint_text(fp, digits);
	json_object_set_new(o, "fingerprint", json_string(digits));
	json_object_set_new(o, "items",
			    json_integer(store_int(st, SERVER_EACH, 5)));
	json_object_set_new(o, "bytes",
			    json_integer(store_int(st, SERVER_EACH, 6)));
	json_object_set_new(o, "draining",
			    json_boolean(store_int(st, SERVER_EACH, 7)));
	return o;
}

json_t *shelf_servers(struct shelf *s,
		      bool (*removed)(void *arg, const uint8_t *fp), void *arg,
		      bool all)
{
	json_t *list = json_array();
	uint8_t fp[NTMC_FP_LEN];
	int r;

	store_bind_int(s->store, SERVER_EACH, 1, s->now - SHELF_SERVER_S);
	while ((r = store_step(s->store, SERVER_EACH)) > 0) {
		if (store_blob(s->store, SERVER_EACH, 3, fp, sizeof(fp)) !=
			    sizeof(fp) ||
		    (!all && store_int(s->store, SERVER_EACH, 7)) ||
		    removed(arg, fp))
			continue;
		json_array_append_new(list, server_json(s, fp, all));
	}
	if (r) {
		json_decref(list);
		return NULL;
	}
	return json_pack("{s:o}", "servers", list);
}

int shelf_named(struct shelf *s, const char *after, struct shelf_named *out,
		size_t max)
{
	int r, n = 0;

	store_bind_text(s->store, DEVICE_EACH, 1, after);
	store_bind_int(s->store, DEVICE_EACH, 2, (int64_t)max);
	while ((r = store_step(s->store, DEVICE_EACH)) > 0) {
		struct shelf_named *x = &out[n];

		if ((size_t)n == max)
			continue;
		n++;
		memset(x, 0, sizeof(*x));
		snprintf(x->fqdn, sizeof(x->fqdn), "%s",
			 store_text(s->store, DEVICE_EACH, 0));
		x->has_fp = store_blob(s->store, DEVICE_EACH, 1, x->fp,
				       NTMC_FP_LEN) == NTMC_FP_LEN;
		x->serial = (uint32_t)store_int(s->store, DEVICE_EACH, 2);
	}
	return r ? r : n;
}

int shelf_count(struct shelf *s, struct shelf_counts *out)
{
	int r = store_step(s->store, COUNT);

	if (r <= 0)
		return r ? r : -NTM_ESTORE;
	out->devices = store_int(s->store, COUNT, 0);
	out->prekeys = store_int(s->store, COUNT, 1);
	out->keys = store_int(s->store, COUNT, 2);
	out->entries = store_int(s->store, COUNT, 3);
	store_reset(s->store, COUNT);
	return 0;
}
