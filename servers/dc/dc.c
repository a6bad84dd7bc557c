/* SPDX-License-Identifier: MIT */
/* dc - the Direction Coordinator: start, stop, sweep of what expired */
#include "servers/dc/dc.h"

#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "servers/datadir.h"
#include "servers/dc/abroad.h"
#include "servers/dc/boxlink.h"
#include "servers/dc/courier.h"
#include "servers/dc/finder.h"
#include "servers/dc/exits.h"
#include "servers/dc/groupdirect.h"
#include "servers/dc/pathid.h"
#include "servers/dc/state.h"
#include "servers/dc/way.h"
#include "servers/push/push.h"

#define BOOT_MAX      ((UINT64_C(1) << 24) - 1)
#define SWEEP_EVERY_S 1
#define SWEEP_ROUND_S 600 /* every session is looked at this often */
#define PRUNE_EVERY_S 3600
/* A node that slept that long and still has its tunnels hears of the withdrawal; what
 * was withdrawn earlier has no certificate left that anybody accepts. */
#define REVOCATION_KEEP_S (DC_SESSION_MAX_S + 86400)

/* --- state -------------------------------------------------------------------- */

bool dc_is_online(struct dc *dc, const struct node *n)
{
	uint32_t limit =
		DC_OFFLINE_AFTER *
		(n->keepalive_s ? n->keepalive_s : dc->conf->dc_keepalive);

	return dc_is_asleep(n) ||
	       (n->session && n->flags & NODE_PROVEN &&
		!(n->flags & NODE_REVOKED) &&
		(n->wakeup || dc_now_s(dc) - n->heard_s <= limit));
}

bool dc_is_asleep(const struct node *n)
{
	return n->session && !(n->flags & (NODE_PROVEN | NODE_REVOKED)) &&
	       n->wakeup == NTM__WAKEUP__WAKEUP_PUSH && n->push;
}

int dc_add_revocation(struct dc *dc, const struct dc_revocation *r)
{
	if (dc->n_revocations == dc->room_revocations) {
		size_t room =
			dc->room_revocations ? dc->room_revocations * 2 : 64;
		struct dc_revocation *list =
			realloc(dc->revocations, room * sizeof(*list));

		if (!list)
			return -NTM_ENOMEM;
		dc->revocations = list;
		dc->room_revocations = room;
	}
	dc->revocations[dc->n_revocations++] = *r;
	return 0;
}

void dc_remove_revocation(struct dc *dc, const uint8_t fp[static NTMC_FP_LEN])
{
	for (size_t i = 0; i < dc->n_revocations; i++) {
		if (memcmp(dc->revocations[i].fp, fp, NTMC_FP_LEN))
			continue;
		memmove(dc->revocations + i, dc->revocations + i + 1,
			(--dc->n_revocations - i) * sizeof(*dc->revocations));
		return;
	}
}

/* --- what the last process left ------------------------------------------------- */

static int load_node(void *arg, const struct journal_node *n)
{
	struct dc *dc = arg;
	struct node_keys k = {.fqdn = n->fqdn,
			      .ed_pub = n->ed_pub,
			      .x_pub = n->x_pub,
			      .x_sig = n->x_sig,
			      .vip6_host = n->vip6_host,
			      .vip4 = n->vip4};
	uint32_t h;

	return nodes_put(&dc->nodes, &k, &h);
}

static int load_session(void *arg, const char *fqdn,
			const struct journal_session *s)
{
	struct dc *dc = arg;
	uint32_t h = nodes_find(&dc->nodes, fqdn);

	if (!h ||
	    (s->aead != NTMC_AES_256_GCM && s->aead != NTMC_CHACHA20_POLY1305))
		return 0;
	return nodes_add_session(&dc->nodes, h, s->node_id, &s->kntmdc, s->aead,
				 s->expires);
}

static int load_revocation(void *arg, const struct journal_revocation *r)
{
	struct dc_revocation v = {.serial = r->serial, .at = r->at};
	struct dc *dc = arg;
	uint32_t h = nodes_find_fp(&dc->nodes, r->fp);

	/* as it was left; a box that was away names it yet, and hears so */
	if (h)
		nodes_at(&dc->nodes, h)->flags |= NODE_REVOKED;
	memcpy(v.fp, r->fp, NTMC_FP_LEN);
	return dc_add_revocation(dc, &v);
}

static int load_push(void *arg, const char *fqdn, int kind, const char *token)
{
	struct dc *dc = arg;
	uint32_t h = nodes_find(&dc->nodes, fqdn);
	struct node *n = h ? nodes_at(&dc->nodes, h) : NULL;

	if (!n || !*token || kind <= 0 ||
	    !push_offers(dc->conf, (Ntm__PushKind)kind))
		return 0;
	n->push = strdup(token);
	if (!n->push)
		return -NTM_ENOMEM;
	n->push_kind = (uint8_t)kind;
	n->wakeup = NTM__WAKEUP__WAKEUP_PUSH;
	return 0;
}

static const struct journal_load_ops load_ops = {
	.node = load_node,
	.session = load_session,
	.push = load_push,
	.revocation = load_revocation,
};

/* --- the clock ------------------------------------------------------------------- */

void dc_prune(struct dc *dc, int64_t now)
{
	int64_t before = now - REVOCATION_KEEP_S;
	size_t gone = 0;

	while (gone < dc->n_revocations && dc->revocations[gone].at < before)
		gone++;
	if (gone) {
		dc->n_revocations -= gone;
		memmove(dc->revocations, dc->revocations + gone,
			dc->n_revocations * sizeof(*dc->revocations));
	}
	journal_prune(dc->journal, before, now);
}

static void renew_certificate(struct dc *dc)
{
	if (servercert_is_stale(dc->env->dir, "dc", &dc->cert)) {
		log_info("dc", "new server certificate");
		dc->restart = true;
		loop_stop(dc->loop);
	}
}

/* a slice of the sessions each second; a million never at once */
static void dc_sweep(void *arg)
{
	struct dc *dc = arg;
	uint32_t top = dc->nodes.sessions.top;
	int64_t now = loop_wall(dc->loop);

	for (uint32_t i = 0; i < top / SWEEP_ROUND_S + 1 && top; i++) {
		struct session *s;

		if (++dc->sweep_at > top)
			dc->sweep_at = 1;
		s = nodes_session(&dc->nodes, dc->sweep_at);
		if (!s->node || s->expires > now)
			continue;
		if (nodes_at(&dc->nodes, s->node)->wakeup ==
		    NTM__WAKEUP__WAKEUP_NS)
			notify_drop(dc, s->node_id);
		nodes_drop_session(&dc->nodes, dc->sweep_at);
	}
	notify_sweep(dc, loop_now(dc->loop));
	relays_sweep(dc, loop_now(dc->loop));
	domains_sweep(dc, loop_now(dc->loop));
	if (dc_now_s(dc) >= dc->prune_s) {
		dc->prune_s = dc_now_s(dc) + PRUNE_EVERY_S;
		dc_prune(dc, loop_wall(dc->loop));
		renew_certificate(dc);
	}
	loop_timer_arm(dc->sweep, LOOP_S(SWEEP_EVERY_S));
}

/* --- start and stop ------------------------------------------------------------------ */

static int open_nodes(struct dc *dc)
{
	struct server_slice slice;
	char db[DATADIR_PATH_MAX];
	int r = servercert_load(dc->env->dir, "dc", &dc->cert);

	if (!r)
		r = pathid_key(dc->env->dir, &dc->path_key);
	if (r)
		return r;
	slice.len = dc->cert.domain.prefix4_len;
	memcpy(slice.prefix, dc->cert.domain.prefix4, 4);
	r = nodes_init(&dc->nodes, dc->cert.domain.prefix6, &slice);
	if (!r)
		r = pairs_init(&dc->pairs);
	if (!r)
		r = datadir_file(dc->env->dir, DATADIR_DC_DB, db);
	if (!r)
		r = journal_open(db, true, &dc->journal);
	if (r)
		return r;
	dc->boot = journal_boot(dc->journal);
	dc->serial = dc->serial_given = journal_serial(dc->journal);
	if (dc->boot > BOOT_MAX) {
		log_err("dc", "16 million starts: make a new store");
		return -NTM_ELIMIT;
	}
	r = journal_load(dc->journal, &load_ops, dc, loop_wall(dc->loop));
	dc->forgot_pairs = dc->nodes.sessions.used;
	if (!r)
		log_info("dc", "boot %llu: %u nodes, %u sessions",
			 (unsigned long long)dc->boot, dc->nodes.nodes.used,
			 dc->nodes.sessions.used);
	return r;
}

static void close_nodes(struct dc *dc)
{
	pairs_clear(&dc->pairs);
	nodes_clear(&dc->nodes);
	free(dc->revocations);
	servercert_clear(&dc->cert);
	ntmc_key_clear(&dc->challenge_key);
	ntmc_key_clear(&dc->path_key);
	free(dc);
}

static int dc_open_domains(struct dc *dc)
{
	int r = finder_new(dc, &dc->finder);

	if (!r)
		r = domains_new(dc, &dc->domains);
	if (!r)
		r = abroad_new(dc, &dc->abroad);
	if (!r)
		r = guests_new(dc, &dc->guests);
	return r ? r : peersfile_load(dc);
}

static int dc_open(struct dc *dc)
{
	const struct role_sockets *s = &dc->env->sockets;
	int r = open_nodes(dc);

	if (!r)
		r = ways_new(&dc->ways);
	if (!r)
		r = directions_new(dc, &dc->directions);
	if (!r)
		r = withdrawals_new(dc, &dc->withdrawals);
	if (!r)
		r = relays_new(dc, &dc->relays);
	if (!r)
		r = notify_new(&dc->notify);
	if (!r)
		r = groupdirect_new(dc, &dc->groupdirect);
	if (!r)
		r = dc_open_domains(dc);
	if (!r)
		r = exits_new(dc, &dc->exits);
	if (!r)
		r = courier_new(dc, &dc->courier);
	if (!r)
		r = boxlink_new(dc, &dc->boxlink);
	if (!r)
		withdraw_restart(dc);
	if (!r)
		r = journal_start(dc->journal, dc->loop);
	if (!r)
		r = loop_timer_new(dc->loop, dc_sweep, dc, &dc->sweep);
	if (!r)
		r = udp_new(dc->loop, s->udp, s->n_udp, signal_receive, dc,
			    &dc->udp);
	for (size_t i = 0; !r && i < s->n_tcp; i++)
		r = channel_listen_take(dc->loop, dc->cert.tls, s->tcp[i],
					&serverlink_ops, dc, &dc->listeners[i]);
	return r;
}

int dc_new(const struct role_env *env, struct dc **out)
{
	struct dc *dc = calloc(1, sizeof(*dc));
	int r;

	if (!dc)
		return -NTM_ENOMEM;
	dc->env = env;
	dc->loop = env->loop;
	dc->conf = env->conf;
	dc->start_s = (uint32_t)(loop_now(dc->loop) / 1000000000u);
	dc->prune_s = dc_now_s(dc) + PRUNE_EVERY_S;
	ntmc_key_random(NULL, &dc->challenge_key);
	r = dc_open(dc);
	if (r) {
		log_err("dc", "cannot start: %s", err_text(r));
		dc_free(dc);
		return r;
	}
	loop_timer_arm(dc->sweep, LOOP_S(SWEEP_EVERY_S));
	*out = dc;
	return 0;
}

/* deferred behind the ends of all channels, which look for their link */
static void dc_destroy(void *arg)
{
	struct dc *dc = arg;

	aslinks_free(dc);
	relays_free(dc->relays);
	notify_free(dc->notify);
	groupdirect_free(dc->groupdirect);
	domains_free(dc->domains);
	exits_free(dc->exits);
	close_nodes(dc);
}

void dc_free(struct dc *dc)
{
	if (!dc)
		return;
	for (size_t i = 0; i < ROLE_SOCKETS_MAX; i++)
		if (dc->listeners[i])
			channel_listener_close(dc->listeners[i]);
	wake_close(dc);
	/* now, not at the end of the turn: its callbacks use what goes next */
	journal_close(dc->journal);
	loop_timer_free(dc->sweep);
	directions_free(dc->directions);
	ways_free(dc->ways);
	finder_free(dc->finder);
	boxlink_free(dc->boxlink);
	courier_free(dc->courier);
	abroad_free(dc->abroad);
	guests_free(dc->guests);
	domains_close(dc->domains);
	withdrawals_free(dc->withdrawals);
	udp_free(dc->udp);
	dc->destroy = (struct loop_task){.fn = dc_destroy, .arg = dc};
	loop_defer_task(dc->loop, &dc->destroy);
}

void dc_reload(struct dc *dc, const struct server_conf *conf)
{
	dc->conf = conf;
}

bool dc_wants_restart(const struct dc *dc)
{
	return dc->restart;
}

json_t *dc_admin(struct dc *dc, const char *command, json_t *request)
{
	const struct udp_stats *u = udp_stats(dc->udp);
	const struct dc_stats *s = &dc->stats;
	unsigned int online = 0,
		     mapping[NTM__NAT_MAPPING__MAPPING_BLOCKED + 1] = {0};
	json_t *o;

	if (!strcmp(command, "removed"))
		return json_pack(
			"{s:b, s:i}", "ok", 1, "ended",
			(int)(relays_end_removed(dc) + notify_end_removed(dc)));
	if (strcmp(command, "status"))
		return peersfile_admin(dc, command, request);
	for (uint32_t h = 1; h <= dc->nodes.nodes.top; h++) {
		const struct node *n = nodes_at(&dc->nodes, h);

		if (!n->fqdn || !dc_is_online(dc, n))
			continue;
		online++;
		mapping[n->mapping]++;
	}
#define N(x) (json_int_t)(x)
	o = json_pack(
		"{s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I,"
		" s:I, s:I, s:I, s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:o, "
		"s:o}",
		"ok", 1, "boot", N(dc->boot), "nodes", N(dc->nodes.nodes.used),
		"online", N(online), "sessions", N(dc->nodes.sessions.used),
		"vip4_free", N(dc->nodes.vip4_free), "revocation_serial",
		N(dc->serial), "keepalives", N(s->keepalives), "registrations",
		N(s->registrations), "directions", N(s->directions),
		"directions_refused", N(s->directions_refused), "withdrawals",
		N(s->withdrawals), "received", N(u->received), "sent",
		N(u->sent), "dropped",
		N(s->bad_datagrams + s->replays + s->unknown_sessions +
		  u->truncated),
		"as_link", dc->links != NULL, "mapping_none", N(mapping[1]),
		"mapping_independent", N(mapping[2]), "mapping_dependent",
		N(mapping[3]), "directions_relayed", N(s->directions_relayed),
		"relays_silent", N(dc->relays->silent), "relays_usable",
		N(relays_usable(dc)), "relays", relays_admin(dc), "notifiers",
		notify_admin(dc), "domains", domains_admin(dc));
	json_object_set_new(o, "mapping_blocked", json_integer(N(mapping[4])));
	json_object_set_new(o, "box", boxlink_admin(dc));
	json_object_set_new(o, "groups", groupdirect_admin(dc));
	json_object_set_new(o, "foreign_paths",
			    json_integer(N(s->foreign_paths)));
#undef N
	return o;
}
