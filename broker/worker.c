/* SPDX-License-Identifier: MIT */
/* worker - the node's control plane, put together; events between its parts */
#include "broker/worker.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/account.h"
#include "broker/brokerconf.h"
#include "broker/domains.h"
#include "broker/early.h"
#include "broker/gate.h"
#include "broker/groups.h"
#include "broker/keepalive.h"
#include "broker/exit.h"
#include "broker/login.h"
#include "broker/notify.h"
#include "broker/peer.h"
#include "broker/pins.h"
#include "broker/policy.h"
#include "broker/portmap.h"
#include "broker/memberlink.h"
#include "broker/postlink.h"
#include "broker/relay.h"
#include "broker/relayed.h"
#include "broker/resolve.h"
#include "broker/session.h"
#include "broker/timers.h"
#include "broker/writer.h"
#include "common/log.h"
#include "preload/shimproto.h"

/* ours takes two places on the page, the aliases and each domain's /64 one */
#define RANGES_MAX (SHIM_RANGES_MAX - 1)
/* and groups', one of whose entries takes two */
#define DOMAINS_MAX (RANGES_MAX - 1 - GROUPS_RANGES)

uint64_t worker_now_ms(const struct worker *w)
{
	return loop_now(w->loop) / 1000000;
}

int64_t worker_wall(const struct worker *w)
{
	return ntmc_now(&w->env->crypto);
}

uint64_t worker_wall_ms(const struct worker *w)
{
	return (uint64_t)worker_wall(w) * 1000;
}

/* --- the data path's reports ------------------------------------------------------------ */

static void on_signal(void *arg, uint8_t *buf, size_t len,
		      const struct addr *from)
{
	struct worker *w = arg;
	struct packet_header h;

	if (packet_header_get(buf, len, &h))
		return;
	switch (h.type) {
	case PACKET_SIGNAL:
		session_datagram(w->session, &h, buf, len, from);
		break;
	case PACKET_TUNNEL_REQUEST:
	case PACKET_TUNNEL_RESPONSE:
		shake_datagram(w, &h, buf, len, from);
		break;
	case PACKET_HOLE_PUNCH_ACK:
		if (h.flags & PACKET_PLACE)
			groups_datagram(w->groups, &h, buf, len);
		else
			punch_datagram(w, &h, buf, len);
		break;
	case PACKET_RELAY_PROBE_ACK:
		relays_datagram(w->relays, &h, buf, len);
		break;
	default:
		break;
	}
}

/* no virtual address of anybody's domain */
static bool is_general(const struct worker *w, const struct addr *dst)
{
	const struct ntmc_trust_domain *d = &w->account->constraint;
	const struct dp_range r = {.ip = {d->prefix4[0], d->prefix4[1],
					  d->prefix4[2], d->prefix4[3]},
				   .len = (uint8_t)d->prefix4_len};
	struct general g = {.ranges = {r, {.len = 16}}, .n = 2};
	const uint8_t *ip;
	size_t len;

	ip = addr_ip(dst, &len);
	domains_alias_range(w, g.ranges[1].ip);
	return w->account->logged_in && ip &&
	       general_is(&g, len == 4 ? 4 : 6, ip);
}

static bool on_no_tunnel(void *arg, const struct addr *dst)
{
	struct worker *w = arg;

	return resolve_packet(w->resolve, dst) ||
	       (is_general(w, dst) && exit_packet(w->exit, dst));
}

static void on_control(void *arg, struct dp_tunnel *t, const uint8_t *msg,
		       size_t len, const struct addr *from, size_t wire_len)
{
	(void)arg;
	peer_control(dp_tunnel_arg(t), msg, len, from, wire_len);
}

static void on_unknown(void *arg, uint64_t path_id, const struct addr *from)
{
	struct worker *w = arg;
	struct peer *p = peers_find_path(w->peers, path_id);

	if (p)
		peer_unknown(p, from);
}

static void on_confirmed(void *arg, struct dp_tunnel *t, uint8_t phase,
			 const struct addr *from, size_t wire_len)
{
	(void)arg;
	peer_confirmed(dp_tunnel_arg(t), phase, from, wire_len);
}

static void on_moved(void *arg, struct dp_tunnel *t, const struct addr *from,
		     size_t wire_len)
{
	(void)arg;
	path_peer_moved(dp_tunnel_arg(t), from, wire_len, false);
}

static void on_rekey_due(void *arg, struct dp_tunnel *t)
{
	(void)arg;
	peer_rekey(dp_tunnel_arg(t));
}

static void on_send_error(void *arg, struct dp_tunnel *t, int err)
{
	struct peer *p = dp_tunnel_arg(t);

	(void)arg;
	if (err == EMSGSIZE)
		pmtu_too_big(p);
	else if (p->state == PEER_UP)
		path_we_moved(p, false); /* is there a route still? */
}

static void on_group_wants(void *arg, struct dp_group *g, uint32_t index)
{
	struct worker *w = arg;

	groups_wants(w->groups, g, index);
}

static void on_group_control(void *arg, struct dp_group *g, uint64_t epoch,
			     uint32_t index, const uint8_t *text, size_t len)
{
	struct worker *w = arg;

	groups_control(w->groups, g, epoch, index, text, len);
}

/* The keeper makes another TUN where need be, and another worker. */
static void on_broken(void *arg)
{
	struct worker *w = arg;

	w->broken = true;
	loop_stop(w->loop);
}

const struct dp_ops worker_dp_ops = {
	.signal = on_signal,
	.no_tunnel = on_no_tunnel,
	.control = on_control,
	.unknown_path = on_unknown,
	.confirmed = on_confirmed,
	.moved = on_moved,
	.rekey_due = on_rekey_due,
	.send_error = on_send_error,
	.group_wants = on_group_wants,
	.group_control = on_group_control,
	.broken = on_broken,
};

/* --- events ------------------------------------------------------------------------------------ */

static void ranges_fill(const struct account *a, struct engine_config *c)
{
	memset(c, 0, sizeof(*c));
	memcpy(c->vip6, a->cert.vip6, 16);
	memcpy(c->vip4, a->cert.vip4, 4);
	memcpy(c->prefix6, a->constraint.prefix6, 16);
	c->prefix6_len = 64;
	memcpy(c->prefix4, a->constraint.prefix4, 4);
	c->prefix4_len = (uint8_t)a->constraint.prefix4_len;
	c->mtu = WORKER_MTU;
}

/* struct ranges - for the page: ours, the aliases, then each other domain's /64, or all
 * of fd6e::/16 where they are too many */
struct ranges {
	struct engine_config c[RANGES_MAX];
	size_t n, domains;
};

static void range_add(void *arg, const struct ntmc_trust_domain *d)
{
	struct ranges *r = arg;

	if (r->domains++ == 0)
		return; /* ours comes first and is there */
	if (r->n == DOMAINS_MAX) {
		r->c[r->n - 1].prefix6_len = 16;
		return;
	}
	memcpy(r->c[r->n].prefix6, d->prefix6, 16);
	r->c[r->n++].prefix6_len = 64;
}

static int page_use(struct worker *w)
{
	const struct account *a = w->account;
	struct ranges r = {.n = 2};

	if (!w->shim)
		return 0;
	ranges_fill(a, &r.c[0]);
	domains_alias_range(w, r.c[1].prefix4);
	r.c[1].prefix4_len = 16;
	ntmc_trust_each(a->trust, range_add, &r);
	r.n += groups_ranges(w->groups, &r.c[r.n]);
	return shimserver_configure(w->shim, a->cert.vip6, a->cert.vip4, r.c,
				    r.n);
}

static int lease_use(struct worker *w)
{
	const struct account *a = w->account;
	struct engine_config c;
	struct dp_range virtual[2];
	int err;

	ranges_fill(a, &c);
	err = keeper_configure(w->keeper, &c);
	if (err)
		return err;
	datapath_set_lease(w->dp, a->cert.vip6, a->cert.vip4);
	virtual[0].len = c.prefix4_len;
	memcpy(virtual[0].ip, c.prefix4, sizeof(virtual[0].ip));
	virtual[1].len = 16;
	domains_alias_range(w, virtual[1].ip);
	datapath_set_virtual(w->dp, virtual, 2);
	domains_trust(w);
	return page_use(w);
}

void worker_ranges(struct worker *w)
{
	if (w->account->logged_in && page_use(w))
		log_warn("worker", "the page could not be changed");
}

int worker_logged_in(struct worker *w)
{
	int err = lease_use(w);

	if (!err)
		err = session_start(w->session);
	login_renew_arm(w->login);
	postlink_logged_in(w->postlink);
	groups_again(w->groups);
	memberlink_session(w->memberlink);
	return err;
}

void worker_logged_out(struct worker *w, int code)
{
	static const uint8_t none[16];

	if (code)
		log_warn("account", "the session ended: %s", err_text(code));
	peers_drop_all(w->peers);
	portmap_end(w->portmap);
	gate_forget(w->gate);
	session_stop(w->session);
	relays_forget(w->relays);
	exit_forget(w->exit);
	groups_forget(w->groups);
	account_forget(w->account, code);
	postlink_logged_out(w->postlink);
	memberlink_session(w->memberlink);
	login_renew_arm(w->login);
	datapath_set_lease(w->dp, none, none);
	if (w->shim && shimserver_configure(w->shim, none, none, NULL, 0))
		log_warn("worker", "the page could not be changed");
}

static void look_again(void *arg, struct peer *p)
{
	(void)arg;
	peer_look_again(p);
}

void worker_online(struct worker *w)
{
	struct addr dc;
	char text[ADDR_TEXT_LEN];

	if (session_dc(w->session, &dc))
		log_info("session", "registered with %s",
			 addr_format(&dc, text));
	peers_each(w->peers, look_again, NULL);
	gate_online(w->gate);
	portmap_look(w->portmap);
	domains_look(w);
	postlink_online(w->postlink);
	memberlink_online(w->memberlink);
}

static void reroute_one(void *arg, struct peer *p)
{
	(void)arg;
	punch_woke(p); /* first: the relay must know where we are */
	relayed_rerouted(p);
}

void worker_rerouted(struct worker *w)
{
	relays_rerouted(w->relays);
	peers_each(w->peers, reroute_one, NULL);
}

static void withdraw_one(void *arg, struct peer *p)
{
	const uint8_t *fp = arg;

	if (p->known && !memcmp(p->fp, fp, NTMC_FP_LEN))
		peer_withdraw(p);
}

void worker_withdraw(struct worker *w, const uint8_t *fp)
{
	if (!memcmp(w->account->fp, fp, NTMC_FP_LEN))
		worker_logged_out(w, NTM_EDISABLED);
	else
		peers_each(w->peers, withdraw_one, (void *)fp);
}

static void move_one(void *arg, struct peer *p)
{
	const bool *changed = arg;

	punch_moved(p); /* first: the relay must know where we are */
	path_we_moved(p, *changed);
}

/* Much that happens to interfaces and routes is no business of ours. */
static bool locals_changed(struct worker *w)
{
	struct addr now[ADDR_REMOTES_MAX] = {0};
	size_t n = w->env->locals(w->env->ctx, now, ADDR_REMOTES_MAX);

	if (n == w->n_locals && !memcmp(now, w->locals, sizeof(now)))
		return false;
	memcpy(w->locals, now, sizeof(now));
	w->n_locals = n;
	return true;
}

void worker_moved(struct worker *w)
{
	bool changed;

	changed = locals_changed(w);
	if (!w->account->logged_in)
		return;
	gate_moved(w->gate);
	exit_moved(w->exit);
	/* first these: what was seen of us elsewhere is told to no peer */
	session_moved(w->session, changed);
	if (changed)
		notify_moved(w->notify);
	relays_moved(w->relays);
	peers_each(w->peers, move_one, &changed);
	groups_moved(w->groups);
	portmap_look(w->portmap);
	login_moved(w->login);
}

/* What peers, relays and NATs knew of us may be gone; our own timers have not noticed. */
static void wake_one(void *arg, struct peer *p)
{
	const unsigned int *slept_s = arg;

	punch_woke(p);
	path_woke(p);
	if (*slept_s >= REKEY_LOW_S)
		peer_rekey(
			p); /* the other side has dropped these keys, or will */
}

void worker_woke(struct worker *w, unsigned int slept_s)
{
	if (!w->account->logged_in)
		return;
	log_info("worker", "woke after %u s: all paths are looked at", slept_s);
	locals_changed(w);
	peers_each(w->peers, wake_one, &slept_s);
	groups_slept(w->groups, slept_s);
	groups_moved(w->groups);
	session_woke(w->session);
	notify_moved(w->notify);
	login_moved(w->login);
}

/* --- life ---------------------------------------------------------------------------------------- */

int worker_init(struct worker *w, const char *config, const char *state,
		char *why, size_t why_size)
{
	struct brokerconf conf;
	int err;

	w->started_ns = loop_now(w->loop);
	snprintf(why, why_size, "the writer of files could not start");
	err = writer_new(w->loop, &w->writer);
	if (!err)
		err = account_open(w->env, state, &w->account, why, why_size);
	if (!err)
		err = policy_open(w->writer, config, &w->policy, why, why_size);
	if (!err)
		err = brokerconf_read(config, &conf, why, why_size);
	if (err)
		return err;
	err = pins_open(w->loop, w->writer, state, &w->env->crypto, &w->pins);
	if (err) {
		snprintf(why, why_size, "%s/known cannot be used: %s", state,
			 err_text(err));
		return err;
	}
	err = keepalive_new(w, &w->keepalive);
	if (!err)
		err = notify_new(w, conf.keepalive, &w->notify);
	if (!err)
		err = session_new(w, &w->session);
	if (!err)
		err = relays_new(w, &w->relays);
	if (!err)
		err = gate_new(w, state, &w->gate);
	if (!err)
		err = portmap_new(w, conf.portmap, &w->portmap);
	if (!err)
		err = early_new(w, &w->early);
	if (!err)
		err = peers_new(w, &w->peers);
	if (!err)
		err = resolve_new(w, &w->resolve);
	if (!err)
		err = exit_new(w, state, &w->exit);
	if (!err)
		err = groups_new(w, &w->groups);
	if (!err)
		err = domains_new(w, &w->domains);
	if (!err)
		err = login_new(w, &w->login);
	if (err)
		snprintf(why, why_size, "%s", err_text(err));
	return err;
}

int worker_start(struct worker *w)
{
	int err;

	(void)locals_changed(w); /* since now */
	if (!w->account->logged_in)
		return 0;
	err = lease_use(w);
	if (err)
		return err;
	peers_restore(w->peers);
	err = session_start(w->session);
	login_renew_arm(w->login);
	return err;
}

static void goodbye_one(void *arg, struct peer *p)
{
	(void)arg;
	if (p->state == PEER_UP || p->state == PEER_MOVING)
		peer_close(p, NTM_EOFFLINE, true);
}

void worker_say_goodbye(struct worker *w)
{
	portmap_end(w->portmap);
	peers_each(w->peers, goodbye_one, NULL);
}

void worker_clear(struct worker *w)
{
	writer_finish(w->writer); /* its callers are still there */
	groups_free(w->groups);
	w->groups = NULL;
	exit_free(w->exit);
	resolve_free(w->resolve);
	w->resolve = NULL;
	login_free(w->login);
	domains_free(w->domains);
	peers_free(w->peers);
	early_free(w->early);
	keepalive_free(w->keepalive);
	notify_free(w->notify);
	session_free(w->session);
	portmap_free(w->portmap);
	gate_free(w->gate);
	relays_free(w->relays);
	pins_free(w->pins);
	policy_free(w->policy);
	account_free(w->account);
	writer_free(w->writer);
}
