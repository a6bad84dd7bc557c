/* SPDX-License-Identifier: MIT */
/* gms - the Group Management Server: start, stop, clock, admin */
#include "servers/gms/gms.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <utlist.h>

#include "common/fqdn.h"
#include "common/log.h"
#include "common/wipefree.h"
#include "servers/datadir.h"
#include "servers/gms/state.h"

#define DAILY_S	    86400
#define CERT_LOOK_S 3600
#define DESCRIPTORS 64 /* beside those of nodes */

static void flush(void *arg)
{
	struct gms *gms = arg;
	int r = ledger_flush(gms->ledger);

	gms->flushing = false;
	if (r)
		log_err("gms", "what members say cannot be written: %s",
			err_text(r));
	callers_flushed(gms, r);
}

void gms_flush_soon(struct gms *gms)
{
	if (gms->flushing)
		return;
	gms->flushing = true;
	loop_timer_arm(gms->flush, LOOP_MS(GMS_FLUSH_MS));
}

/* nobody is left who could ask for it */
static void wipe(struct gms *gms, struct ledger_group *lg)
{
	int64_t now = loop_wall(gms->loop);
	int r;

	if (gms->held || now - ledger_ended(lg) < GMS_KEEP_S)
		return;
	r = ledger_wipe(gms->ledger, lg);
	if (r)
		log_err("gms", "a group that has ended stays: %s", err_text(r));
}

static void look_at(void *arg, struct ledger_group *lg)
{
	struct gms *gms = arg;

	if (ledger_ended(lg)) {
		wipe(gms, lg);
		return;
	}
	if (ledger_is_left(lg)) {
		follow_end(gms, lg);
		return;
	}
	replica_look(gms, lg);
	/* of whom nobody is here nobody needs one; it is logged where it fails */
	if (ledger_arg(lg) && follow_renew(gms, lg, false))
		return;
}

/* The domain of a node whose CA is not ours: any but this one, or a CA that somebody
 * made would name nodes of ours. */
static int accept_domain(void *arg, const struct ntmc_trust_domain *d)
{
	const char *ours = ((struct gms *)arg)->conf->domain;

	return fqdn_is_within(d->domain, ours) ||
			       fqdn_is_within(ours, d->domain)
		       ? -NTM_ECONSTRAINT
		       : 0;
}

static int load_certificate(struct gms *gms, struct servercert *out)
{
	int r = servercert_load(gms->env->dir, "gms", out);

	if (!r)
		tls_context_set_accept_nodes(out->tls, accept_domain, gms);
	return r;
}

/* Without a restart, which would end every connection. The certificate before goes with
 * the next one; its sessions have ended by then. */
static void look_at_certificate(struct gms *gms)
{
	struct servercert fresh;

	if (!servercert_is_stale(gms->env->dir, "gms", &gms->cert))
		return;
	if (load_certificate(gms, &fresh)) {
		log_err("gms", "the new certificate cannot be used");
		return;
	}
	log_info("gms", "new server certificate");
	servercert_clear(&gms->cert_before);
	gms->cert_before = gms->cert;
	gms->cert = fresh;
	asfeed_set_tls(gms->asfeed, gms->cert.tls);
	replica_set_tls(gms->replica, gms->cert.tls);
	for (size_t i = 0; i < ROLE_SOCKETS_MAX; i++)
		if (gms->listeners[i])
			channel_listener_set_context(gms->listeners[i],
						     gms->cert.tls);
}

static void tick(void *arg)
{
	struct gms *gms = arg;

	if (loop_wall(gms->loop) >= gms->look) {
		gms->look = loop_wall(gms->loop) + CERT_LOOK_S;
		look_at_certificate(gms);
		defined_tidy(gms);
	}
	pace_sweep(gms, false);
	gms->held = clockguard_holds(&gms->guard, gms->loop, "gms");
	ledger_each(gms->ledger, look_at, gms);
	ledger_tidy(gms->ledger);
	loop_timer_arm(gms->clock, LOOP_S(1));
}

/* --- start ------------------------------------------------------------------------- */

static int open_ledger(struct gms *gms)
{
	char path[DATADIR_PATH_MAX];
	int r = datadir_file(gms->env->dir, DATADIR_GMS_KEY, path);

	/* a test's process may have used SQLite before */
	if (wipefree())
		log_debug("gms", "what SQLite gives back is not wiped");
	if (!r)
		r = ntmc_identity_load(path, &gms->id);
	if (!r)
		r = datadir_file(gms->env->dir, DATADIR_GMS_DB, path);
	if (!r)
		r = ledger_open(path, &gms->id, NULL, &gms->ledger);
	return r ? r : defined_open(gms);
}

static int gms_open(struct gms *gms)
{
	const struct role_sockets *s = &gms->env->sockets;
	unsigned int room;
	int r = load_certificate(gms, &gms->cert);

	if (!r)
		r = follow_open(gms);
	if (!r)
		r = open_ledger(gms);
	if (!r)
		r = asfeed_new(gms, &gms->asfeed);
	if (!r)
		r = replica_new(gms, &gms->replica);
	if (!r)
		r = loop_timer_new(gms->loop, tick, gms, &gms->clock);
	if (!r)
		r = loop_timer_new(gms->loop, flush, gms, &gms->flush);
	for (size_t i = 0; !r && i < s->n_tcp; i++)
		r = channel_listen_take(gms->loop, gms->cert.tls, s->tcp[i],
					&caller_ops, gms, &gms->listeners[i]);
	room = role_want_descriptors("gms", GMS_SESSIONS + DESCRIPTORS,
				     "members' connections");
	room = room > 2 * DESCRIPTORS ? room - DESCRIPTORS : DESCRIPTORS;
	for (size_t i = 0; !r && i < s->n_tcp; i++)
		channel_listener_set_room(gms->listeners[i], room);
	return r;
}

int gms_new(const struct role_env *env, struct gms **out)
{
	struct gms *gms = calloc(1, sizeof(*gms));
	int r;

	if (!gms)
		return -NTM_ENOMEM;
	gms->env = env;
	gms->loop = env->loop;
	gms->conf = env->conf;
	gms->people_page = GMS_PEOPLE;
	r = gms_open(gms);
	if (r) {
		log_err("gms", "cannot start: %s", err_text(r));
		gms_free(gms);
		return r;
	}
	log_info("gms", "%zu groups", ledger_count(gms->ledger));
	loop_timer_arm(gms->clock, LOOP_S(1));
	*out = gms;
	return 0;
}

/* deferred behind the ends of all channels, which look for their caller */
static void gms_destroy(void *arg)
{
	struct gms *gms = arg;

	if (gms->ledger && ledger_flush(gms->ledger))
		log_err("gms", "what members said last is not on the disk");
	defined_close(gms);
	ledger_close(gms->ledger);
	servercert_clear(&gms->cert);
	servercert_clear(&gms->cert_before);
	ntmc_identity_clear(&gms->id);
	pace_sweep(gms, true);
	free(gms->news);
	free(gms);
}

void gms_free(struct gms *gms)
{
	if (!gms)
		return;
	for (size_t i = 0; i < ROLE_SOCKETS_MAX; i++)
		if (gms->listeners[i])
			channel_listener_close(gms->listeners[i]);
	asfeed_free(gms->asfeed);
	gms->asfeed = NULL;
	replica_free(gms->replica);
	gms->replica = NULL;
	loop_timer_free(gms->clock);
	loop_timer_free(gms->flush);
	gms->destroy = (struct loop_task){.fn = gms_destroy, .arg = gms};
	loop_defer_task(gms->loop, &gms->destroy);
}

/* a group as an administrator sees it: he too learns no name of it */
static void list_one(void *arg, struct ledger_group *lg)
{
	const struct group *g = ledger_state(lg);
	uint64_t epoch = group_epoch(g);
	const struct ledger_person *p;
	char id[2 * GROUP_ID_LEN + 1];
	unsigned int confirmed = 0, leaving = 0;
	struct follow *f, *head = ledger_arg(lg);
	int64_t seen = 0;
	int here = 0;
	size_t i;

	for (i = 0; i < GROUP_ID_LEN; i++)
		sprintf(id + 2 * i, "%02x", group_id(g)[i]);
	for (i = 0; (p = ledger_person_at(lg, i)); i++) {
		confirmed += p->acked == epoch;
		leaving += p->leaving;
		if (p->seen > seen)
			seen = p->seen;
	}
	DL_COUNT(head, f, here);
	json_array_append_new(
		arg,
		json_pack("{s:s, s:I, s:I, s:I, s:i, s:i, s:i, s:I, s:I, "
			  "s:b}",
			  "id", id, "epoch", (json_int_t)epoch, "generation",
			  (json_int_t)group_generation(g), "members",
			  (json_int_t)group_size(g), "here", here, "confirmed",
			  (int)confirmed, "leaving", (int)leaving, "renewed",
			  (json_int_t)ledger_renewed(lg), "seen",
			  (json_int_t)seen, "ended", ledger_ended(lg) != 0));
}

static json_t *list(struct gms *gms)
{
	json_t *groups = json_array();

	ledger_each(gms->ledger, list_one, groups);
	return json_pack("{s:b, s:I, s:o, s:o}", "ok", 1, "now",
			 (json_int_t)loop_wall(gms->loop), "groups", groups,
			 "defined", defined_list(gms));
}

json_t *gms_admin(struct gms *gms, const char *command, json_t *request)
{
	const struct gms_stats *s = &gms->stats;

	if (!strcmp(command, "list"))
		return list(gms);
	if (strcmp(command, "status"))
		return defined_admin(gms, command, request);
#define N(x) (json_int_t)(x)
	return json_pack(
		"{s:b, s:b, s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, "
		"s:I, "
		"s:I, s:I}",
		"ok", 1, "as_link", asfeed_is_fed(gms->asfeed), "dc_link",
		replica_is_linked(gms->replica), "relayed",
		N(replica_count(gms->replica)), "groups",
		N(ledger_count(gms->ledger)), "nodes",
		N(HASH_COUNT(gms->callers)), "entries", N(s->entries),
		"refused", N(s->refused), "renewals", N(s->renewals), "news",
		N(s->news), "repaired", N(s->repaired), "forks", N(s->forks),
		"wants", N(s->wants), "slowed", N(s->slowed),
		"certificate_days",
		N((gms->cert.not_after - loop_wall(gms->loop)) / DAILY_S));
#undef N
}
