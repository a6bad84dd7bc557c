/* SPDX-License-Identifier: MIT */
/* api_servers - Cache Servers: their exchange requests, and which there are */
#include <stdlib.h>
#include <string.h>

#include "servers/box/api.h"

/* --- exchange requests -------------------------------------------------------------------- */

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
	const char *text = api_text(o, "kind");

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
	json_t *server = json_object_get(o, "cs"),
	       *blob = json_object_get(o, "blob");
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
	if (!api_number(o, "expires", &x->i.expires))
		return "expires is a time";
	if (!api_number_or_none(o, "since", &x->since))
		return "since is a time";
	if (!COPY(server, "name", x->cs) || strcmp(x->cs, cs->fqdn) ||
	    !x->n_addrs)
		return "cs: the name in your certificate, and 1 to 4 addresses";
	if (x->kind == SHELF_DATA &&
	    (!api_bytes(o, "hash", x->hash, sizeof(x->hash)) ||
	     !api_number(o, "size", &size)))
		return "data has a hash and a size";
	x->whole = x->kind == SHELF_KEY && blob;
	if (x->whole && (!api_bytes(blob, "hash", x->blob, sizeof(x->blob)) ||
			 !api_number(blob, "size", &size)))
		return "a blob has a hash and a size";
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
		    api_is_twice(e, i))
			return "to: devices, each once";
		if (e->x.kind == SHELF_STATUS) {
			if (!own_device(b, to->name))
				return "status is for devices of this domain";
			continue;
		}
		if (!api_bytes(one, "ticket", to->ticket, sizeof(to->ticket)))
			return "a ticket is 32 bytes, base64url";
		if (e->x.kind == SHELF_DATA)
			memcpy(to->hash, e->x.hash, sizeof(to->hash));
		else if (!api_bytes(one, "hash", to->hash, sizeof(to->hash)))
			return "a key has a hash";
	}
	return NULL;
}

void api_exchange_post(struct http_request *q, void *arg)
{
	json_t *o = http_json(q), *list = json_object_get(o, "to");
	size_t n = json_array_size(list);
	const char *wrong;
	struct errand *e;

	if (!n || n > BOX_RECEIVERS_MAX) {
		api_refuse(q, "to: 1 to 64 receivers");
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
	api_refuse(q, wrong);
	errand_free(e);
}

/* --- Cache Servers there are ----------------------------------------------------------------- */

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
	if (!api_number_or_none(o, "room", &room) ||
	    !api_number_or_none(o, "items", &items) ||
	    !api_number_or_none(o, "bytes", &bytes_used))
		return "room, items and bytes are numbers";
	x->room = (uint64_t)room;
	x->items = (uint64_t)items;
	x->bytes = (uint64_t)bytes_used;
	x->draining = json_is_true(json_object_get(o, "draining"));
	ntmc_fingerprint(cs->ed_pub, x->fp);
	return NULL;
}

void api_servers_post(struct http_request *q, void *arg)
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
	api_refuse(q, wrong);
	free(c->server);
	free(c);
}

static int servers_work(struct clerk_job *job, struct shelf *s)
{
	struct call *c = (struct call *)job;

	c->o = shelf_servers(s, box_is_removed, c->box, false);
	return c->o ? 0 : -NTM_ESTORE;
}

void api_servers_get(struct http_request *q, void *arg)
{
	struct call *c = call_new(arg, q);

	if (c)
		call_start(c, servers_work);
}
