/* SPDX-License-Identifier: MIT */
/*
 * api - the box's routes: what nodes and Cache Servers ask, checked
 *
 * Owner:   the framework; each request its own. Context: threads of HTTP; work() in
 *          the clerk's.
 * docs/exchange.yaml says what goes in and out. A node is who it says if the AS has
 * told us its token; a Cache Server, if its certificate has that role.
 */
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "libntmcrypto/item.h"
#include "servers/box/state.h"

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

static const char *text_of(json_t *o, const char *key)
{
	return json_string_value(json_object_get(o, key));
}

static bool copy(json_t *o, const char *key, char *out, size_t size)
{
	const char *text = text_of(o, key);

	if (!text || strlen(text) >= size ||
	    strlen(text) != json_string_length(json_object_get(o, key)))
		return false;
	strcpy(out, text);
	return true;
}

#define COPY(o, key, field) copy(o, key, field, sizeof(field))

static bool bytes(json_t *o, const char *key, uint8_t *out, size_t len)
{
	const char *text = text_of(o, key);

	return text && !ntmc_base64url_decode(text, out, len);
}

static bool number(json_t *o, const char *key, int64_t *out)
{
	json_t *v = json_object_get(o, key);

	*out = json_integer_value(v);
	return json_is_integer(v) && *out >= 0;
}

/* 0 where it is left out */
static bool number_or_none(json_t *o, const char *key, int64_t *out)
{
	*out = 0;
	return !json_object_get(o, key) || number(o, key, out);
}

static void refuse(struct http_request *q, const char *text)
{
	http_answer_error(q, 400, -NTM_EINVAL, text, NULL);
}

/* --- simple questions to the clerk ------------------------------------------------- */

/* struct call - one question; @o or @text is the answer, none: an empty one */
struct call {
	struct clerk_job job;
	struct box *box;
	struct http_request *q;
	char node[FQDN_MAX + 1];
	uint8_t hash[32];
	int64_t number;
	unsigned int limit;
	struct shelf_device *device;
	struct shelf_server *server;
	json_t *o;
	char *text;
};

static struct call *call_new(struct box *b, struct http_request *q)
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

static void call_start(struct call *c,
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

/* @after, @limit of a list */
static bool page_of(struct http_request *q, struct call *c)
{
	uint64_t after = 0, limit = BOX_PAGE;
	int a = http_query_number(q, "after", &after),
	    l = http_query_number(q, "limit", &limit);

	if ((a && a != -NTM_ENOTFOUND) || (l && l != -NTM_ENOTFOUND) ||
	    !limit || limit > SHELF_PAGE_MAX) {
		refuse(q, "after and limit are numbers, limit from 1 to 20000");
		free(c);
		return false;
	}
	c->number = (int64_t)after;
	c->limit = (unsigned int)limit;
	return true;
}

/* --- prekeys -------------------------------------------------------------------------- */

static int put_work(struct clerk_job *job, struct shelf *s)
{
	return shelf_put_device(s, ((struct call *)job)->device);
}

/* what a sender checks, too: so that a device hears at once that it errs */
static int prekey_take(struct box *b, const char *fqdn, json_t *o,
		       struct shelf_prekey *out, uint8_t *fp)
{
	struct prekey p = {.not_before = 0};
	const char *text = text_of(o, "certificate");
	size_t digits = text ? strlen(text) : 0;
	struct ntmc_cert cert;

	out->cert_len = digits * 3 / 4;
	if (!digits || out->cert_len > sizeof(out->cert) ||
	    ntmc_base64url_decode(text, out->cert, out->cert_len) ||
	    !bytes(o, "id", out->id, sizeof(out->id)) ||
	    !bytes(o, "key", out->key, sizeof(out->key)) ||
	    !bytes(o, "signature", out->sig, sizeof(out->sig)) ||
	    !number(o, "not_before", &out->not_before) ||
	    !number(o, "not_after", &out->not_after))
		return -NTM_EDECODE;
	strcpy(p.fqdn, fqdn);
	memcpy(p.id, out->id, sizeof(p.id));
	memcpy(p.pub, out->key, sizeof(p.pub));
	memcpy(p.sig, out->sig, sizeof(p.sig));
	p.not_before = out->not_before;
	p.not_after = out->not_after;
	if (prekey_verify(&p, b->cert.trust, out->cert, out->cert_len,
			  box_now(), &cert))
		return -NTM_EINVAL;
	ntmc_fingerprint(cert.ed_pub, fp);
	return 0;
}

static int prekeys_take(struct box *b, json_t *list, struct shelf_device *d)
{
	uint8_t fp[NTMC_FP_LEN];
	json_t *one;
	size_t i;
	int err;

	d->n = json_array_size(list);
	if (!d->n || d->n > SHELF_PREKEYS_MAX)
		return -NTM_EINVAL;
	json_array_foreach(list, i, one)
	{
		err = prekey_take(b, d->fqdn, one, &d->prekeys[i], fp);
		if (err)
			return err;
		if (i && memcmp(fp, d->fp, sizeof(fp)))
			return -NTM_EINVAL; /* of two identities */
		memcpy(d->fp, fp, sizeof(fp));
	}
	return 0;
}

static void prekeys_put(struct http_request *q, void *arg)
{
	struct box *b = arg;
	struct call *c = call_new(b, q);
	int err;

	if (!c)
		return;
	c->device = calloc(1, sizeof(*c->device));
	if (!c->device) {
		http_answer_err(q, -NTM_ENOMEM);
		free(c);
		return;
	}
	strcpy(c->device->fqdn, c->node);
	err = prekeys_take(b, json_object_get(http_json(q), "prekeys"),
			   c->device);
	if (!err) {
		call_start(c, put_work);
		return;
	}
	refuse(q,
	       err == -NTM_EDECODE
		       ? "a prekey lacks a field, or one has the wrong form"
		       : "1 to 8 prekeys of one identity, each valid now and "
			 "signed by the certificate beside it");
	free(c->device);
	free(c);
}

static int prekeys_work(struct clerk_job *job, struct shelf *s)
{
	struct call *c = (struct call *)job;

	return shelf_prekeys(s, c->node, &c->text);
}

static void prekeys_get(struct http_request *q, void *arg)
{
	struct box *b = arg;
	char name[FQDN_MAX + 1];
	struct call *c;

	if (fqdn_normalize(http_param(q, 0), name)) {
		http_answer_err(q, -NTM_ENONAME);
	} else if (!box_is_own(b, name)) {
		ask_prekeys(b, q, name);
	} else {
		c = call_new(b, q);
		if (!c)
			return;
		strcpy(c->node, name);
		call_start(c, prekeys_work);
	}
}

/* --- temporal keys ------------------------------------------------------------------------ */

static bool is_receiver(const struct http_fields *f, const char *name)
{
	for (size_t i = 0; i < f->n_to; i++)
		if (!strcmp(f->to[i], name))
			return true;
	return false;
}

static bool is_twice(const struct errand *e, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!strcmp(e->to[i].name, e->to[n].name))
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
		    is_twice(e, i))
			return "keys and NTM-To name the same devices, once";
		if (!bytes(one, "key", to->key.b, NTMC_KEY_LEN))
			return "a key is 32 bytes, base64url";
	}
	return NULL;
}

static void keys_post(struct http_request *q, void *arg)
{
	const struct http_fields *f = http_fields(q);
	json_t *o = http_json(q), *list = json_object_get(o, "keys");
	const char *wrong = NULL;
	struct errand *e;
	int64_t expires;

	if (json_array_size(list) != f->n_to || f->n_to > BOX_RECEIVERS_MAX ||
	    !number(o, "expires", &expires)) {
		refuse(q, "keys: one for each of NTM-To; expires: a time");
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
	refuse(q, wrong);
	errand_free(e);
}

static int keys_work(struct clerk_job *job, struct shelf *s)
{
	struct call *c = (struct call *)job;

	c->o = shelf_keys(s, c->node, c->number, c->limit);
	return c->o ? 0 : -NTM_ESTORE;
}

static void keys_get(struct http_request *q, void *arg)
{
	struct call *c = call_new(arg, q);

	if (c && page_of(q, c))
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

static void key_get(struct http_request *q, void *arg)
{
	by_hash(q, arg, key_work);
}

static void key_delete(struct http_request *q, void *arg)
{
	by_hash(q, arg, key_delete_work);
}

/* --- the cache list ------------------------------------------------------------------------ */

static int list_work(struct clerk_job *job, struct shelf *s)
{
	struct call *c = (struct call *)job;

	return shelf_list(s, c->node, c->number, c->limit, &c->text);
}

static void cache_get(struct http_request *q, void *arg)
{
	struct call *c = call_new(arg, q);

	if (c && page_of(q, c))
		call_start(c, list_work);
}

static int entry_delete_work(struct clerk_job *job, struct shelf *s)
{
	struct call *c = (struct call *)job;

	return shelf_delete_entry(s, c->node, c->number);
}

static void cache_delete(struct http_request *q, void *arg)
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

/* --- exchange requests of Cache Servers ------------------------------------------------------- */

/* Return: how many, 0: they are none */
static size_t addresses_take(json_t *list,
			     struct addr out[static SHELF_CS_ADDRESSES_MAX])
{
	json_t *one;
	size_t i;

	if (!json_array_size(list) ||
	    json_array_size(list) > SHELF_CS_ADDRESSES_MAX)
		return 0;
	json_array_foreach(list, i, one)
	{
		const char *text = json_string_value(one);

		if (!text || addr_parse(text, 0, &out[i]) ||
		    !addr_port(&out[i]))
			return 0;
	}
	return i;
}

static bool kind_take(json_t *o, enum shelf_kind *out)
{
	static const char *const names[] = {
		[SHELF_KEY] = "key",
		[SHELF_DATA] = "data",
		[SHELF_STATUS] = "status",
	};
	const char *text = text_of(o, "kind");

	for (size_t i = 0; text && i < sizeof(names) / sizeof(names[0]); i++)
		if (!strcmp(text, names[i])) {
			*out = (enum shelf_kind)i;
			return true;
		}
	return false;
}

static bool own_device(const struct box *b, const char *name)
{
	char local[FQDN_MAX + 1];

	return !box_cut(name, box_domain(b), local);
}

static const char *exchange_take(const struct box *b,
				 const struct ntmc_cert *cs, json_t *o,
				 struct shelf_exchange *x)
{
	json_t *server = json_object_get(o, "cs");
	int64_t size = 0;

	x->n_addrs =
		addresses_take(json_object_get(server, "addresses"), x->addrs);
	if (!kind_take(o, &x->kind))
		return "kind is key, data or status";
	if (!COPY(o, "from", x->i.from) || !fqdn_is_valid(x->i.from) ||
	    (x->kind != SHELF_STATUS && !own_device(b, x->i.from)))
		return "from is a device of this domain";
	if (!COPY(o, "application", x->i.application) ||
	    !box_id_ok(x->i.application) || !COPY(o, "service", x->i.service) ||
	    !box_id_ok(x->i.service) || !COPY(o, "item", x->i.item) ||
	    !box_id_ok(x->i.item))
		return "application, service and item are IDs";
	if (json_object_get(o, "message") &&
	    (!COPY(o, "message", x->message) || !box_message_ok(x->message)))
		return "message is at most 256 bytes without control "
		       "characters";
	if (!number(o, "expires", &x->i.expires))
		return "expires is a time";
	if (!number_or_none(o, "since", &x->since))
		return "since is a time";
	if (!COPY(server, "name", x->cs) || strcmp(x->cs, cs->fqdn) ||
	    !x->n_addrs)
		return "cs: the name in your certificate, and 1 to 4 addresses";
	if (x->kind == SHELF_DATA &&
	    (!bytes(o, "hash", x->hash, sizeof(x->hash)) ||
	     !number(o, "size", &size)))
		return "data has a hash and a size";
	x->size = (uint64_t)size;
	return NULL;
}

static const char *receivers_take(struct box *b, json_t *list, struct errand *e)
{
	json_t *one;
	size_t i;

	json_array_foreach(list, i, one)
	{
		struct receiver *to = &e->to[i];

		if (!COPY(one, "name", to->name) || !fqdn_is_valid(to->name) ||
		    is_twice(e, i))
			return "to: devices, each once";
		if (e->x.kind == SHELF_STATUS) {
			if (!own_device(b, to->name))
				return "status is for devices of this domain";
			continue;
		}
		if (!bytes(one, "ticket", to->ticket, sizeof(to->ticket)))
			return "a ticket is 32 bytes, base64url";
		if (e->x.kind == SHELF_DATA)
			memcpy(to->hash, e->x.hash, sizeof(to->hash));
		else if (!bytes(one, "hash", to->hash, sizeof(to->hash)))
			return "a key has a hash";
	}
	return NULL;
}

static void exchange_post(struct http_request *q, void *arg)
{
	json_t *o = http_json(q), *list = json_object_get(o, "to");
	size_t n = json_array_size(list);
	const char *wrong;
	struct errand *e;

	if (!n || n > BOX_RECEIVERS_MAX) {
		refuse(q, "to: 1 to 64 receivers");
		return;
	}
	e = errand_new(arg, q, n);
	if (!e) {
		http_answer_err(q, -NTM_ENOMEM);
		return;
	}
	wrong = exchange_take(arg, http_peer(q), o, &e->x);
	if (!wrong)
		wrong = receivers_take(arg, list, e);
	if (!wrong) {
		errand_start(e);
		return;
	}
	refuse(q, wrong);
	errand_free(e);
}

/* --- Cache Servers there are ------------------------------------------------------------------ */

static int server_work(struct clerk_job *job, struct shelf *s)
{
	struct call *c = (struct call *)job;

	return shelf_put_server(s, c->server);
}

static const char *server_take(const struct ntmc_cert *cs, json_t *o,
			       struct shelf_server *x)
{
	int64_t room, items, bytes_used;

	x->n_addrs = addresses_take(json_object_get(o, "addresses"), x->addrs);
	if (!COPY(o, "name", x->name) || strcmp(x->name, cs->fqdn) ||
	    !x->n_addrs)
		return "the name in your certificate, and 1 to 4 addresses";
	if (!number_or_none(o, "room", &room) ||
	    !number_or_none(o, "items", &items) ||
	    !number_or_none(o, "bytes", &bytes_used))
		return "room, items and bytes are numbers";
	x->room = (uint64_t)room;
	x->items = (uint64_t)items;
	x->bytes = (uint64_t)bytes_used;
	x->draining = json_is_true(json_object_get(o, "draining"));
	ntmc_fingerprint(cs->ed_pub, x->fp);
	return NULL;
}

static void servers_post(struct http_request *q, void *arg)
{
	struct call *c = call_new(arg, q);
	const char *wrong;

	if (!c)
		return;
	c->server = calloc(1, sizeof(*c->server));
	if (!c->server) {
		http_answer_err(q, -NTM_ENOMEM);
		free(c);
		return;
	}
	wrong = server_take(http_peer(q), http_json(q), c->server);
	if (!wrong) {
		call_start(c, server_work);
		return;
	}
	refuse(q, wrong);
	free(c->server);
	free(c);
}

static int servers_work(struct clerk_job *job, struct shelf *s)
{
	struct call *c = (struct call *)job;

	c->o = shelf_servers(s, box_is_removed, c->box, false);
	return c->o ? 0 : -NTM_ESTORE;
}

static void servers_get(struct http_request *q, void *arg)
{
	struct call *c = call_new(arg, q);

	if (c)
		call_start(c, servers_work);
}

/* --- the table ----------------------------------------------------------------------------------- */

#define KEYS_POST (HTTP_NODE | HTTP_ITEM | HTTP_JSON | HTTP_BATCH)

/* clang-format off */
const struct http_route box_routes[] = {
	{ "PUT", "/v1/prekeys", HTTP_NODE | HTTP_JSON, 0, BOX_BODY_MAX,
	  node_start, NULL, prekeys_put },
	{ "GET", "/v1/prekeys/{}", HTTP_NODE, 0, 0,
	  node_start, NULL, prekeys_get },
	{ "POST", "/v1/temporal-keys", KEYS_POST, 0,
	  BOX_BODY_MAX, node_start, NULL, keys_post },
	{ "GET", "/v1/temporal-keys", HTTP_NODE, 0, 0,
	  node_start, NULL, keys_get },
	{ "GET", "/v1/temporal-keys/{}", HTTP_NODE | HTTP_BATCH, 0, 0,
	  node_start, NULL, key_get },
	{ "DELETE", "/v1/temporal-keys/{}", HTTP_NODE | HTTP_BATCH, 0, 0,
	  node_start, NULL, key_delete },
	{ "GET", "/v1/cache", HTTP_NODE, 0, 0, node_start, NULL, cache_get },
	{ "DELETE", "/v1/cache/{}", HTTP_NODE | HTTP_BATCH, 0, 0,
	  node_start, NULL, cache_delete },
	{ "GET", "/v1/servers", HTTP_NODE, 0, 0,
	  node_start, NULL, servers_get },
	{ "POST", "/v1/servers", HTTP_JSON, NTMC_ROLE_CS, BOX_BODY_MAX,
	  server_start, NULL, servers_post },
	{ "POST", "/v1/exchange", HTTP_JSON, NTMC_ROLE_CS, BOX_BODY_MAX,
	  server_start, NULL, exchange_post },
	{ "POST", "/v1/batch", HTTP_NODE | HTTP_JSON, 0, HTTP_BATCH_BODY,
	  node_start, NULL, http_batch },
};
/* clang-format on */
const size_t box_n_routes = sizeof(box_routes) / sizeof(box_routes[0]);
