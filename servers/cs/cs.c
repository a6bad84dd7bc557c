/* SPDX-License-Identifier: MIT */
/*
 * cs - the Cache Server: start, stop, clock
 *
 * Theory of operation
 *
 *   HTTP's threads   what nodes ask: tokens in memory, look-ups in the store by a
 *                    connection that reads, data to and from files
 *   desk             writes the store, several requests in a commit; syncs files
 *   exchange         tells the box what the store says it is to be told
 *   loop             accept, the AS's tokens, the clock, admin
 *
 * Nothing is answered with success before it is on the disk. A blob that came with its
 * keys is a row of the store; others are files, whose names the store knows. Where the
 * two differ after a crash or a restore, the store is right: a blob that it does not know
 * is deleted after a day (an upload at the next start: its number may be given anew), an
 * item whose blob is not there is called lost, so that its sender sees it.
 */
#include "servers/cs/cs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/file.h"
#include "common/log.h"
#include "servers/cs/state.h"
#include "servers/datadir.h"
#include "servers/renewal.h"

#define DAILY_S	     86400
#define WARN_DAYS    30
#define CLOCK_S	     60
#define HOURLY	     60	  /* turns of the clock */
#define DAILY	     1440 /* the same */
#define ORPHAN_S     DAILY_S
#define UNFINISHED_S (7 * DAILY_S)
#define SWEEP_MAX    64

/* --- what time ends
 * -------------------------------------------------------------- */

/* struct sweep - a job that looks for what nobody needs any more */
struct sweep {
	struct desk_job job;
	struct cs *cs;
	struct items *s; /* while it runs */
	int64_t now, after;
	bool orphans;
	size_t n;
	struct {
		struct item item;
		bool used;
	} gone[SWEEP_MAX];
};

static void take(void *arg, const struct item *item)
{
	struct sweep *w = arg;

	if (w->n < SWEEP_MAX)
		w->gone[w->n++].item = *item;
}

static void take_unfinished(void *arg, const struct item *item)
{
	struct sweep *w = arg;
	int64_t last = item->created, mtime;

	if (blobs_uploaded(w->cs->blobs, item->number, &mtime) && mtime > last)
		last = mtime;
	if (last + UNFINISHED_S < w->now)
		take(w, item);
	w->after = item->number;
}

/* those that nobody has sent a byte of for long, some hundreds at a time */
static int find_unfinished(struct sweep *w)
{
	int64_t before;
	int r;

	do {
		before = w->after;
		r = items_of_state(w->s, ITEM_OPEN, w->after, SWEEP_MAX,
				   take_unfinished, w);
	} while (!r && w->after != before && w->n < SWEEP_MAX);
	return r;
}

static void look_at_file(void *arg, const struct blobs_file *f)
{
	struct sweep *w = arg;
	struct item item;
	int r;

	if (f->mtime + ORPHAN_S > w->now)
		return;
	if (!f->upload) {
		r = items_use_blob(w->s, f->hash);
		if (!r)
			blobs_remove(w->cs->blobs, f->hash);
	} else {
		r = items_get(w->s, f->number, &item);
		if (!r)
			r = item.state == ITEM_OPEN ||
			    item.state == ITEM_COMPLETE;
		else if (r == -NTM_ENOTFOUND)
			r = 0;
		if (!r)
			blobs_remove_upload(w->cs->blobs, f->number);
	}
	if (!r) {
		atomic_fetch_add(&w->cs->stats.orphans, 1);
		log_info("cs", "a file that no item needs is deleted");
	}
}

static int sweep_run(struct desk_job *job, struct items *s)
{
	struct sweep *w = (struct sweep *)job;
	int r;

	w->s = s;
	w->n = 0;
	w->after = 0;
	if (w->orphans) {
		w->orphans = false;
		if (blobs_each(w->cs->blobs, look_at_file, w))
			log_err("cs", "the folder of blobs cannot be read");
	}
	r = items_expired(s, w->now, SWEEP_MAX, take, w);
	if (!r && w->n < SWEEP_MAX)
		r = find_unfinished(w);
	for (size_t i = 0; !r && i < w->n; i++)
		r = items_forget(s, w->gone[i].item.number);
	for (size_t i = 0; !r && i < w->n; i++) {
		int used = w->gone[i].item.has_hash
				   ? items_use_blob(s, w->gone[i].item.hash)
				   : 0;

		w->gone[i].used = used;
		r = used < 0 ? used : 0;
	}
	return r;
}

static void sweep_done(struct desk_job *job, int err)
{
	struct sweep *w = (struct sweep *)job;
	struct cs *cs = w->cs;

	if (err)
		log_err("cs", "what has expired stays: %s", err_text(err));
	for (size_t i = 0; !err && i < w->n; i++)
		cs_drop_blob(cs, &w->gone[i].item, w->gone[i].used);
	if (!err)
		atomic_fetch_add(&cs->stats.expired, w->n);
	if (!err && w->n == SWEEP_MAX)
		desk_do(cs->desk, job);
	else
		free(w);
}

static void sweep(struct cs *cs, bool orphans)
{
	struct sweep *w = calloc(1, sizeof(*w));

	if (!w)
		return;
	w->job = (struct desk_job){.run = sweep_run, .done = sweep_done};
	w->cs = cs;
	w->now = loop_wall(cs->loop);
	w->orphans = orphans;
	desk_do(cs->desk, &w->job);
}

/* --- the certificate, where the AS is elsewhere -------------------------------------- */

static void look_at_certificate(struct cs *cs)
{
	if (!servercert_is_stale(cs->env->dir, "cs", &cs->cert))
		return;
	log_info("cs", "new server certificate");
	cs->restart = true;
	loop_stop(cs->loop);
}

static void renew(struct cs *cs)
{
	int64_t left = cs->cert.not_after - loop_wall(cs->loop);

	if (tokens_are_fed(cs->tokens) &&
	    renewal_ask(cs->env->dir, "cs", cs->env->conf, &cs->cert,
			loop_wall(cs->loop), tokens_send, cs->tokens))
		log_warn("cs", "the certificate cannot be renewed");
	if (left < WARN_DAYS * DAILY_S)
		log_warn("cs",
			 "the certificate ends in %lld days; see `cs renew` in "
			 "ntm-server(8)",
			 (long long)(left / DAILY_S));
}

static void on_listed(void *arg)
{
	renew(arg);
}

static void on_certificate(void *arg, const Ntm__CertificateResponse *m)
{
	struct cs *cs = arg;

	if (!renewal_take(cs->env->dir, "cs", &cs->cert, loop_wall(cs->loop),
			  m))
		look_at_certificate(cs);
}

static const struct tokens_ops tokens_ops = {
	.listed = on_listed,
	.certificate = on_certificate,
};

static void tick(void *arg)
{
	struct cs *cs = arg;
	bool held = clockguard_holds(&cs->guard, cs->loop, "cs");

	cs->turns++;
	uploads_sweep(cs->uploads, http_now_s());
	if (!held)
		sweep(cs, cs->turns % DAILY == 0);
	if (cs->turns % HOURLY == 0) {
		renew(cs);
		look_at_certificate(cs);
	}
	loop_timer_arm(cs->clock, LOOP_S(CLOCK_S));
}

/* --- start
 * ---------------------------------------------------------------------------
 */

struct check {
	struct cs *cs;
	struct items *s;
	int64_t after;
	size_t n;
	int64_t lost[SWEEP_MAX];
};

static void check_item(void *arg, const struct item *item)
{
	struct check *c = arg;

	c->after = item->number;
	if (!item->small && blobs_settle(c->cs->blobs, item->number, item->hash,
					 item->size) == -NTM_ENOTFOUND)
		c->lost[c->n++] = item->number;
}

static void check_upload(void *arg, const struct blobs_file *f)
{
	struct check *c = arg;
	struct item item;

	if (items_get(c->s, f->number, &item) == -NTM_ENOTFOUND) {
		log_info("cs", "an upload that no item knows is deleted");
		blobs_remove_upload(c->cs->blobs, f->number);
	}
}

/* Is the blob of every complete item here? */
static int check_blobs(struct cs *cs)
{
	struct check c = {.cs = cs};
	struct items *s;
	int64_t before;
	int r = items_open(cs->db, &s);

	if (r)
		return r;
	c.s = s;
	r = blobs_uploads(cs->blobs, check_upload, &c);
	do {
		before = c.after;
		c.n = 0;
		if (!r)
			r = items_begin(s);
		if (!r)
			r = items_of_state(s, ITEM_COMPLETE, c.after, SWEEP_MAX,
					   check_item, &c);
		for (size_t i = 0; !r && i < c.n; i++) {
			log_warn("cs", "the data of item %lld is not here",
				 (long long)c.lost[i]);
			r = items_lose(s, c.lost[i]);
			atomic_fetch_add(&cs->stats.lost, 1);
		}
		if (!r)
			r = items_commit(s);
	} while (!r && c.after != before);
	items_close(s);
	return r;
}

static int write_pem(struct cs *cs, const char *name, const char *text,
		     char *path, size_t size)
{
	if (snprintf(path, size, "%s/%s", cs->dir, name) >= (int)size)
		return -NTM_EINVAL;
	return file_write(path, text, strlen(text), 0600);
}

/* the exchange's thread */
static void load(void *arg, struct exchange_load *out)
{
	struct cs *cs = arg;
	struct items_totals t = {.open = 0};
	uint64_t room = 0;

	pthread_mutex_lock(&cs->lock);
	if (items_totals(cs->reader, &t))
		log_err("cs", "the store cannot be read");
	pthread_mutex_unlock(&cs->lock);
	if (!blobs_room(cs->blobs, &room) && room > CS_ROOM_SPARED)
		out->room = room - CS_ROOM_SPARED;
	out->items = t.open + t.complete;
	out->bytes = t.bytes;
	out->draining = atomic_load(&cs->draining);
}

static int own_name(struct cs *cs, char out[static FQDN_MAX + 1])
{
	uint8_t der[NTMC_CERT_MAX];
	struct ntmc_cert cert;
	size_t len;
	int r = servercert_der(cs->env->dir, "cs", der, &len);

	if (!r)
		r = ntmc_cert_parse(der, len, &cert);
	if (!r)
		strcpy(out, cert.fqdn);
	return r;
}

static int open_exchange(struct cs *cs)
{
	const struct server_conf *c = cs->env->conf;
	struct exchange_conf *x = calloc(1, sizeof(*x));
	struct server_ways box[SERVERCONF_ADDRESSES_MAX] = {{.n = 0}};
	struct addr own[SERVERCONF_ADDRESSES_MAX];
	int n = serverconf_announced(c->cs_address, c->cs_listen,
				     (uint16_t)c->cs_port, own),
	    n_box = serverconf_ways(c->cs_box, (uint16_t)c->box_port, box),
	    r = 0;

	if (!x)
		return -NTM_ENOMEM;
	if (n < 1 || n_box < 0)
		r = -NTM_ECONF;
	if (!r && !n_box) {
		r = serverconf_own_dc(c, &box[0].a[0]);
		addr_set_port(&box[0].a[0], (uint16_t)c->box_port);
		box[0].n = 1;
	}
	if (!r)
		r = own_name(cs, x->name);
	for (int i = 0; !r && i < n && i < EXCHANGE_ADDRESSES; i++)
		x->own[x->n_own++] = own[i];
	x->desk = cs->desk;
	strcpy(x->db, cs->db);
	strcpy(x->domain, cs->cert.domain.domain);
	x->load = load;
	x->arg = cs;
	if (!r) {
		x->box = box[0];
		r = write_pem(cs, "ca.pem", cs->pem.ca, x->ca, sizeof(x->ca));
	}
	if (!r)
		r = write_pem(cs, "server.pem", cs->pem.certificate,
			      x->certificate, sizeof(x->certificate));
	if (!r)
		r = write_pem(cs, "key.pem", cs->pem.key, x->key,
			      sizeof(x->key));
	if (!r)
		r = exchange_new(x, &cs->exchange);
	free(x);
	return r;
}

static void hold(void *arg, bool on)
{
	desk_hold(((struct cs *)arg)->desk, on);
}

static int open_http(struct cs *cs)
{
	const struct role_sockets *s = &cs->env->sockets;
	struct http_conf c = {
		.loop = cs->loop,
		.name = "cs",
		.fds = s->tcp,
		.n_fds = s->n_tcp,
		.key = cs->pem.key,
		.certificate = cs->pem.certificate,
		.trust = cs->cert.trust,
		.domain = cs->cert.domain.domain,
		.hold = hold,
		.routes = cs_routes,
		.n_routes = cs_n_routes,
		.arg = cs,
		.connections = cs->env->conf->cs_connections,
		.per_source = cs->env->conf->cs_source_connections,
	};

	return http_new(&c, &cs->http);
}

static int open_store(struct cs *cs)
{
	int r = datadir_path(cs->env->dir, "cs", cs->dir);

	if (!r)
		r = file_make_folder(cs->dir, 0700);
	if (!r)
		r = datadir_file(cs->env->dir, DATADIR_CS_DB, cs->db);
	if (!r)
		r = blobs_open(cs->dir, &cs->blobs);
	if (!r)
		r = check_blobs(cs);
	if (!r)
		r = desk_new(cs->db, &cs->desk);
	if (!r)
		r = uploads_new(cs->blobs, cs->desk, &cs->uploads);
	if (!r)
		r = items_open(cs->db, &cs->reader);
	return r;
}

static int cs_open(struct cs *cs)
{
	struct server_ways as;
	int r = servercert_load(cs->env->dir, "cs", &cs->cert);

	if (!r)
		r = servercert_pem(cs->env->dir, "cs", &cs->pem);
	if (!r)
		r = tokens_find_as(cs->env->conf, cs->env->conf->cs_as, &as);
	if (!r)
		r = tokens_new(cs->loop, cs->cert.tls, "cs", &as, &tokens_ops,
			       cs, &cs->tokens);
	if (!r)
		r = open_store(cs);
	if (!r)
		r = open_exchange(cs);
	if (!r)
		r = loop_timer_new(cs->loop, tick, cs, &cs->clock);
	if (!r)
		r = open_http(cs);
	return r;
}

int cs_new(const struct role_env *env, struct cs **out)
{
	struct cs *cs = calloc(1, sizeof(*cs));
	int r;

	if (!cs)
		return -NTM_ENOMEM;
	cs->env = env;
	cs->loop = env->loop;
	pthread_mutex_init(&cs->lock, NULL);
	cs_reload(cs, env->conf);
	cs_drain_load(cs);
	r = cs_open(cs);
	if (r) {
		log_err("cs", "cannot start: %s", err_text(r));
		cs_free(cs);
		return r;
	}
	(void)clockguard_holds(&cs->guard, cs->loop, "cs");
	sweep(cs, true);
	loop_timer_arm(cs->clock, LOOP_S(CLOCK_S));
	*out = cs;
	return 0;
}

/* deferred behind the end of the channel, which uses the certificate */
static void cs_destroy(void *arg)
{
	struct cs *cs = arg;

	servercert_clear(&cs->cert);
	servercert_pem_clear(&cs->pem);
	pthread_mutex_destroy(&cs->lock);
	free(cs);
}

void cs_free(struct cs *cs)
{
	if (!cs)
		return;
	/* no more jobs; those that there are are done, and their requests answered */
	if (cs->http)
		http_pause(cs->http);
	exchange_stop(cs->exchange);
	desk_free(cs->desk);
	http_free(cs->http);
	exchange_free(cs->exchange);
	uploads_free(cs->uploads);
	blobs_close(cs->blobs);
	items_close(cs->reader);
	tokens_free(cs->tokens);
	loop_timer_free(cs->clock);
	cs->destroy = (struct loop_task){.fn = cs_destroy, .arg = cs};
	loop_defer_task(cs->loop, &cs->destroy);
}

void cs_reload(struct cs *cs, const struct server_conf *conf)
{
	atomic_store(&cs->quota, conf->cs_quota);
	atomic_store(&cs->lifetime, conf->cs_lifetime);
}

bool cs_wants_restart(const struct cs *cs)
{
	return cs->restart;
}
