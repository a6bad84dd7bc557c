/* SPDX-License-Identifier: MIT */
/* admin - what an administrator asks of the Cache Server: status, draining */
#include <string.h>

#include "common/log.h"
#include "servers/cs/state.h"
#include "servers/datadir.h"
#include "servers/drainfile.h"

#define DRAIN_FILE   "cs/draining"
#define ACCOUNTS_MAX 100 /* in a status */
#define DAY_S	     86400

/* --- draining, over restarts: a maintenance begins with one --------------------------- */

void cs_drain_load(struct cs *cs)
{
	char path[DATADIR_PATH_MAX];

	if (datadir_path(cs->env->dir, DRAIN_FILE, path) ||
	    !drainfile_read(path))
		return;
	atomic_store(&cs->draining, true);
	log_warn("cs", "draining, as before: takes no new items; see `cs "
		       "undrain` in ntm-server(8)");
}

static void drain(struct cs *cs, bool draining)
{
	char path[DATADIR_PATH_MAX];

	atomic_store(&cs->draining, draining);
	if (!datadir_path(cs->env->dir, DRAIN_FILE, path))
		drainfile_write(path, "cs", draining);
	log_info("cs", "%s", draining ? "draining" : "takes new items");
	exchange_register(cs->exchange);
}

/* --- status -------------------------------------------------------------------------- */

static void add_account(void *arg, const char *name, uint64_t bytes, uint64_t n)
{
	json_array_append_new(arg, json_pack("{s:s, s:I, s:I}", "name", name,
					     "bytes", (json_int_t)bytes,
					     "items", (json_int_t)n));
}

static int add_items(struct cs *cs, json_t *o)
{
	struct items_totals t = {.open = 0};
	json_t *accounts = json_array();
	int64_t now = loop_wall(cs->loop);
	uint64_t room = 0;
	int r;

	pthread_mutex_lock(&cs->lock);
	r = items_totals(cs->reader, &t);
	if (!r)
		r = items_accounts(cs->reader, ACCOUNTS_MAX, add_account,
				   accounts);
	pthread_mutex_unlock(&cs->lock);
	if (!r)
		r = blobs_room(cs->blobs, &room);
#define SET(name, x) json_object_set_new(o, name, json_integer((json_int_t)(x)))
	SET("open", t.open);
	SET("complete", t.complete);
	SET("bytes", t.bytes);
	SET("quota", atomic_load(&cs->quota));
	SET("oldest_s", t.oldest ? now - t.oldest : 0);
	SET("disk_free", room);
	SET("asks", t.asks);
	json_object_set_new(o, "accounts", accounts);
	return r;
}

static void add_counters(struct cs *cs, json_t *o)
{
	struct exchange_stats x;
	struct http_stats h;
	struct desk_stats d;

	http_status(cs->http, &h);
	desk_status(cs->desk, &d);
	exchange_status(cs->exchange, &x);
	json_object_set_new(o, "box", json_boolean(x.reached));
	SET("asked", x.asked);
	SET("refused", x.refused);
	SET("items", cs->stats.items);
	SET("confirmed", cs->stats.confirmed);
	SET("cancelled", cs->stats.cancelled);
	SET("expired", cs->stats.expired);
	SET("lost", cs->stats.lost);
	SET("bytes_in", cs->stats.bytes_in);
	SET("connections", h.connections);
	SET("requests", h.requests);
	SET("errors", h.errors);
	SET("slow", h.slow);
	SET("evicted", h.evicted);
	SET("refused_source", h.refused_source);
	SET("commits", d.commits);
}

json_t *cs_admin(struct cs *cs, const char *command, json_t *request)
{
	bool to_drain = !strcmp(command, "drain");
	json_t *o;
	int r;

	(void)request;
	if (to_drain || !strcmp(command, "undrain"))
		drain(cs, to_drain);
	else if (strcmp(command, "status"))
		return NULL;
	o = json_pack("{s:b, s:b}", "as_link", tokens_are_fed(cs->tokens),
		      "draining", (int)atomic_load(&cs->draining));
	SET("nodes", tokens_count(cs->tokens));
	r = add_items(cs, o);
	add_counters(cs, o);
	SET("certificate_days",
	    (cs->cert.not_after - loop_wall(cs->loop)) / DAY_S);
#undef SET
	json_object_set_new(o, "ok", json_boolean(!r));
	return o;
}
