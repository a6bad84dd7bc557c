/* SPDX-License-Identifier: MIT */
/*
 * box - the DC's HTTPS side: start, stop, sweep, admin
 *
 * Theory of operation
 *
 * HTTP's threads check what is asked (api.c) and give it to the clerk, whose thread
 * owns the store and answers behind its commit. What another domain must be asked goes
 * to the loop thread, which has the link with the DC. So no thread of HTTP waits for a
 * disk or for another domain, and requests that wait cost a connection each.
 *
 * The store may be that of an old backup: numbers of lists follow the time (shelf.h),
 * entries that were fetched since are seen again and deleted again, and what is
 * missing the Cache Servers, whose requests it was, do not know of: like every receiver
 * who lost a message, those items are sent again by people.
 *
 * The end: no new connections, requests that come are refused, those under way are
 * answered, then HTTP ends, and the clerk.
 */
#include "servers/box/state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "common/log.h"
#include "servers/datadir.h"
#include "servers/removed.h"

#define SWEEP_MORE_MS 100

/* --- names, and what a request may say --------------------------------------------- */

const char *box_domain(const struct box *b)
{
	return b->cert.domain.domain;
}

bool box_is_own(const struct box *b, const char *name)
{
	return fqdn_is_within(name, box_domain(b));
}

int box_join(const char *local, const char *domain,
	     char out[static FQDN_MAX + 1])
{
	int n = snprintf(out, FQDN_MAX + 1, "%s.%s", local, domain);
	char cut[FQDN_MAX + 1];

	return n > FQDN_MAX ? -NTM_EINVAL : box_cut(out, domain, cut);
}

int box_cut(const char *fqdn, const char *domain, char out[static FQDN_MAX + 1])
{
	struct fqdn_parts parts;
	int n;

	if (!fqdn_is_valid(fqdn) || fqdn_split(fqdn, domain, &parts) ||
	    !parts.device[0])
		return -NTM_EINVAL;
	n = snprintf(out, FQDN_MAX + 1, "%s.%s", parts.device, parts.account);
	return n > FQDN_MAX ? -NTM_EINVAL : 0;
}

bool box_id_ok(const char *id)
{
	size_t n = strlen(id);

	return n && n <= SHELF_ID_MAX &&
	       strspn(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
			  "0123456789._-") == n;
}

bool box_message_ok(const char *text)
{
	json_t *o = json_string(text); /* NULL: no UTF-8 */

	json_decref(o);
	for (; o && *text; text++)
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			return false;
	return o != NULL;
}

bool box_address_ok(const struct box *b, const struct addr *a)
{
	return addr_port(a) &&
	       (b->conf->dc_loopback || addr_is_usable_remote(a));
}

bool box_is_removed(void *arg, const uint8_t *fp)
{
	return removed_has(((const struct box *)arg)->env->dir, fp);
}

int64_t box_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return t.tv_sec;
}

void box_opened(struct box *b)
{
	__atomic_add_fetch(&b->open, 1, __ATOMIC_ACQ_REL);
}

void box_answered(struct box *b)
{
	__atomic_sub_fetch(&b->open, 1, __ATOMIC_ACQ_REL);
}

/* --- the clerk's and the AS's word ----------------------------------------------------- */

static void changed(void *arg, const char *fqdn, uint32_t serial)
{
	struct box *b = arg;

	box_link_changed(b->link, fqdn, serial);
}

static const struct clerk_ops clerk_ops = {.changed = changed};

static void token_changed(void *arg, const char *fqdn, enum tokens_state state)
{
	if (state == TOKENS_WITHDRAWN)
		box_forget(arg, fqdn);
}

static const struct tokens_ops tokens_ops = {.changed = token_changed};

/* --- the clock ---------------------------------------------------------------------------- */

struct sweeping {
	struct clerk_job job;
	struct clerk_post post;
	struct box *box;
	bool held; /* nothing expires now */
	int n;
	struct shelf_counts counts;
};

static int sweep_work(struct clerk_job *job, struct shelf *s)
{
	struct sweeping *x = (struct sweeping *)job;

	x->n = x->held ? 0 : shelf_expire(s);
	return x->n < 0 ? x->n : shelf_count(s, &x->counts);
}

static void sweep_over(struct clerk_post *post, void *arg)
{
	struct sweeping *x =
		(struct sweeping *)((char *)post -
				    offsetof(struct sweeping, post));
	struct box *b = arg;

	b->counts = x->counts;
	if (!b->ending)
		loop_timer_arm(b->sweep, x->n >= SHELF_EXPIRE_MAX
						 ? LOOP_MS(SWEEP_MORE_MS)
						 : LOOP_S(BOX_SWEEP_S));
	free(x);
}

static void sweep_done(struct clerk_job *job, int err)
{
	struct sweeping *x = (struct sweeping *)job;

	if (err)
		x->n = 0; /* again next time */
	x->post.fn = sweep_over;
	clerk_post(x->box->clerk, &x->post);
}

static void sweep(void *arg)
{
	struct box *b = arg;
	struct sweeping *x = calloc(1, sizeof(*x));

	if (servercert_is_stale(b->env->dir, "box", &b->cert)) {
		log_info("box", "new server certificate");
		b->restart = true;
		loop_stop(b->loop);
	}
	if (x) {
		x->box = b;
		x->held = clockguard_holds(&b->guard, b->loop, "box");
		x->job.work = sweep_work;
		x->job.done = sweep_done;
	}
	if (!x || clerk_ask(b->clerk, &x->job)) {
		free(x);
		loop_timer_arm(b->sweep, LOOP_S(BOX_SWEEP_S));
	}
}

/* --- start ------------------------------------------------------------------------------------ */

static int open_clerk(struct box *b)
{
	char db[DATADIR_PATH_MAX];
	struct shelf *s;
	int r = datadir_file(b->env->dir, DATADIR_BOX_DB, db);

	if (!r)
		r = shelf_open(db, &s);
	if (r)
		return r;
	r = clerk_new(b->loop, s, &clerk_ops, b, &b->clerk);
	if (r)
		shelf_close(s);
	return r;
}

/* of the same folder as the DC, which takes no channel of theirs */
static bool is_removed(void *arg, const struct ntmc_cert *peer)
{
	const struct box *b = arg;
	uint8_t fp[NTMC_FP_LEN];

	ntmc_fingerprint(peer->ed_pub, fp);
	return removed_has(b->env->dir, fp);
}

static void hold(void *arg, bool on)
{
	clerk_hold(((struct box *)arg)->clerk, on);
}

static int open_http(struct box *b)
{
	const struct role_sockets *s = &b->env->sockets;
	struct http_conf c = {.loop = b->loop,
			      .name = "box",
			      .fds = s->tcp,
			      .n_fds = s->n_tcp,
			      .key = b->pem.key,
			      .certificate = b->pem.certificate,
			      .ca = b->pem.ca,
			      .trust = b->cert.trust,
			      .domain = box_domain(b),
			      .refuses = is_removed,
			      .hold = hold,
			      .routes = box_routes,
			      .n_routes = box_n_routes,
			      .arg = b};

	return http_new(&c, &b->http);
}

static int box_open(struct box *b)
{
	struct server_ways as;
	int r = servercert_load(b->env->dir, "box", &b->cert);

	if (!r)
		r = servercert_pem(b->env->dir, "box", &b->pem);
	if (!r)
		r = open_clerk(b);
	if (!r)
		r = box_link_new(b, &b->link);
	if (!r)
		r = loop_timer_new(b->loop, sweep, b, &b->sweep);
	if (!r)
		r = tokens_find_as(b->conf, b->conf->box_as, &as);
	if (!r)
		r = tokens_new(b->loop, b->cert.tls, "box", &as, &tokens_ops, b,
			       &b->tokens);
	if (!r)
		r = open_http(b);
	return r;
}

int box_new(const struct role_env *env, struct box **out)
{
	struct box *b = calloc(1, sizeof(*b));
	int r;

	if (!b)
		return -NTM_ENOMEM;
	b->env = env;
	b->loop = env->loop;
	b->conf = env->conf;
	r = box_open(b);
	if (r) {
		log_err("box", "cannot start: %s", err_text(r));
		box_free(b);
		return r;
	}
	(void)clockguard_holds(&b->guard, b->loop, "box");
	loop_timer_arm(b->sweep, LOOP_S(1));
	*out = b;
	return 0;
}

/* --- stop -------------------------------------------------------------------------------------- */

/* deferred behind the ends of channels, which use the certificate */
static void box_destroy(void *arg)
{
	struct box *b = arg;

	servercert_clear(&b->cert);
	servercert_pem_clear(&b->pem);
	free(b);
}

void box_free(struct box *b)
{
	struct box_link *l;

	if (!b)
		return;
	__atomic_store_n(&b->ending, true, __ATOMIC_RELEASE);
	if (b->http)
		http_pause(b->http);
	l = b->link;
	b->link = NULL; /* who asks from now on hears that there is none */
	box_link_free(l);
	while (__atomic_load_n(&b->open, __ATOMIC_ACQUIRE))
		clerk_wait(b->clerk);
	if (b->http)
		http_free(b->http);
	tokens_free(b->tokens);
	clerk_free(b->clerk);
	loop_timer_free(b->sweep);
	b->destroy = (struct loop_task){.fn = box_destroy, .arg = b};
	loop_defer_task(b->loop, &b->destroy);
}

void box_reload(struct box *b, const struct server_conf *conf)
{
	b->conf = conf;
}

bool box_wants_restart(const struct box *b)
{
	return b->restart;
}

/* --- admin -------------------------------------------------------------------------------------- */

static long long store_bytes(const struct box *b)
{
	char db[DATADIR_PATH_MAX];
	struct stat st;

	return datadir_file(b->env->dir, DATADIR_BOX_DB, db) || stat(db, &st)
		       ? 0
		       : (long long)st.st_size;
}

/* by a connection of our own: the clerk's is its thread's */
static json_t *servers(struct box *b)
{
	char db[DATADIR_PATH_MAX];
	struct shelf *s;
	json_t *o = NULL;
	int r = datadir_file(b->env->dir, DATADIR_BOX_DB, db);

	if (!r)
		r = shelf_open(db, &s);
	if (r)
		return json_pack("{s:b}", "ok", 0);
	r = shelf_begin(s, box_now());
	if (!r) {
		o = shelf_servers(s, box_is_removed, b, true);
		shelf_rollback(s);
	}
	shelf_close(s);
	return o ? o : json_pack("{s:b}", "ok", 0);
}

json_t *box_admin(struct box *b, const char *command, json_t *request)
{
	struct clerk_stats c;
	struct http_stats h;

	(void)request;
	if (!strcmp(command, "servers"))
		return servers(b);
	if (strcmp(command, "status"))
		return NULL;
	clerk_status(b->clerk, &c);
	http_status(b->http, &h);
#define N(x) (json_int_t)(x)
	return json_pack(
		"{s:b, s:b, s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I,"
		" s:I, s:I, s:I, s:I, s:I}",
		"ok", 1, "dc_link", box_link_is_up(b->link), "as_link",
		tokens_are_fed(b->tokens), "tokens", N(tokens_count(b->tokens)),
		"devices", N(b->counts.devices), "prekeys",
		N(b->counts.prekeys), "temporal_keys", N(b->counts.keys),
		"entries", N(b->counts.entries), "store_bytes",
		N(store_bytes(b)), "jobs", N(c.jobs), "commits", N(c.commits),
		"failed", N(c.failed), "foreign", N(b->foreign_in),
		"foreign_refused", N(b->foreign_refused), "connections",
		N(h.connections), "requests", N(h.requests), "errors",
		N(h.errors));
#undef N
}
