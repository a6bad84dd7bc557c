/* SPDX-License-Identifier: MIT */
/*
 * peer - one node we speak with: its identity, tunnel, keys and paths
 *
 * Theory of operation
 *
 * A peer is made when somebody wants it (a name, a remembered address, a Route
 * Direction, a blob of the keeper). Wanting a tunnel resumes under the secret of
 * the last handshake if there is one, and asks the DC when that is not answered
 * within RESUME_DIRECT_MS (or at once, without a secret).
 *
 *   IDLE/DOWN --connect--> ASKING --route--> SHAKING --answer--> UP
 *                             \--resumption answered------------/
 *   UP --no path answers--> MOVING --a path answers, or a handshake--> UP
 *   any --refused, offline--> DOWN (packets get ICMP unreachable)
 *   UP --no inner packet for IDLE_CLOSE_S--> IDLE (the secret is kept)
 *
 * As CN nothing changes until a valid request came: the route is only expected.
 * Who of both sends the request is the DC's choice, as is the relay (peer_route.c).
 *
 * Checks of identity, pin and policy are made at every handshake, so a withdrawn
 * permission ends a tunnel at the next rekey at the latest; policy changes here
 * act at once (peer_apply_policy()).
 */
#include "broker/peer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/account.h"
#include "broker/domains.h"
#include "broker/exit.h"
#include "broker/groups.h"
#include "broker/pins.h"
#include "broker/policy.h"
#include "broker/resolve.h"
#include "broker/timers.h"
#include "common/log.h"

static const char *const state_names[] = {
	[PEER_IDLE] = "IDLE",	    [PEER_ASKING] = "ASKING",
	[PEER_SHAKING] = "SHAKING", [PEER_UP] = "UP",
	[PEER_MOVING] = "MOVING",   [PEER_DOWN] = "DOWN",
};
_Static_assert(sizeof(state_names) / sizeof(state_names[0]) == PEER_NSTATES,
	       "a name for each state");

const char *peer_state_name(enum peer_state s)
{
	return state_names[s];
}

uint64_t peer_now(const struct peer *p)
{
	return loop_now(p->w->loop);
}

bool peer_we_are_lower(const struct peer *p)
{
	return memcmp(p->w->account->fp, p->fp, NTMC_FP_LEN) < 0;
}

void peer_set_state(struct peer *p, enum peer_state state)
{
	if (p->state == state && state != PEER_DOWN)
		return;
	if (state == PEER_DOWN)
		log_info(p->fqdn, "%s -> DOWN: %s", state_names[p->state],
			 err_text(p->why));
	else
		log_info(p->fqdn, "%s -> %s", state_names[p->state],
			 state_names[state]);
	p->state = state;
	p->state_ns = peer_now(p);
	if (state == PEER_UP || state == PEER_IDLE || state == PEER_DOWN) {
		loop_timer_disarm(p->connect);
		loop_timer_disarm(p->move);
		p->moves = 0;
	}
	if (state == PEER_IDLE || state == PEER_DOWN) {
		loop_timer_disarm(p->rekey);
		loop_timer_disarm(p->old_keys);
		path_stop(p);
		pmtu_stop(p);
	}
	if (state == PEER_UP) {
		p->why = 0;
		peers_tick_arm(p->w->peers);
	}
	if (state == PEER_DOWN)
		loop_timer_arm(p->connect, LOOP_S(DOWN_KEEP_S));
	if (state == PEER_DOWN && p->why == NTM_EOFFLINE)
		exit_lost(p->w->exit, p);
	groups_peer(p->w->groups, p);
	resolve_peer_changed(p->w->resolve, p);
}

/* --- identity and tunnel --------------------------------------------------------------- */

int peer_identify(struct peer *p, const struct node_info *info)
{
	int err = pins_check(p->w->pins, p->fqdn, info->fp);

	if (err)
		return err;
	if (p->known && memcmp(p->fp, info->fp, NTMC_FP_LEN)) {
		/* not pinned (forgotten), and another identity now */
		p->has_secret = p->has_pending = false;
		p->seen_ms = 0;
		peer_save(p); /* nothing, under the fingerprint of before */
	}
	p->known = true;
	memcpy(p->ed_pub, info->ed_pub, NTMC_KEY_LEN);
	memcpy(p->x_pub, info->x_pub, NTMC_KEY_LEN);
	memcpy(p->fp, info->fp, NTMC_FP_LEN);
	if (!p->tunnel) {
		memcpy(p->vip6, info->vip6, 16);
		memcpy(p->vip4, info->vip4, 4);
	}
	for (size_t i = 0; i < info->n_addrs; i++)
		path_add(p, &info->addrs[i]);
	return 0;
}

static void tunnel_drop(struct peer *p, bool reject)
{
	if (p->tunnel && reject) { /* its streams may outlive it */
		dp_tail_free(p->tail);
		p->tail = dp_tunnel_tail(p->tunnel);
	}
	if (p->tunnel) {
		dp_ports_free(p->ports);
		p->ports = dp_tunnel_take_ports(p->tunnel);
		dp_tunnel_close(p->tunnel, reject);
	}
	p->tunnel = NULL;
	p->keyed_ns = 0;
	p->has_pending = false;
	ntmc_key_clear(&p->pending);
	shake_forget(p);
}

/* Another peer has one of our addresses: leases are given anew, newest wins. */
static void evict(struct peer *p)
{
	struct addr vip;
	struct dp_tunnel *t;
	struct peer *other;

	for (int i = 0; i < 2; i++) {
		if (addr_from_ip(i ? p->shown4 : p->vip6, i ? 4 : 16, 0,
				 &vip) ||
		    !dp_tunnel_find(p->w->dp, &vip, &t))
			continue;
		other = dp_tunnel_arg(t);
		if (other != p)
			peer_close(other, 0, false);
	}
}

static int tunnel_new(struct peer *p)
{
	return dp_tunnel_new_shown(p->w->dp, p->vip6, p->vip4, p->shown4, p,
				   &p->tunnel);
}

int peer_tunnel(struct peer *p)
{
	int err;

	if (p->tunnel)
		return 0;
	domains_show(p);
	err = tunnel_new(p);
	if (err == -NTM_EEXISTS) {
		evict(p);
		err = tunnel_new(p);
	}
	if (err) {
		p->tunnel = NULL;
		return err;
	}
	dp_tunnel_give_ports(p->tunnel, p->ports);
	p->ports = NULL;
	if (p->path_id && dp_tunnel_set_path_id(p->tunnel, p->path_id)) {
		tunnel_drop(p, false);
		return -NTM_EEXISTS;
	}
	if (p->tail)
		dp_tunnel_set_tail(p->tunnel, p->tail);
	dp_tail_free(p->tail);
	p->tail = NULL;
	if (p->pmtu.size)
		dp_tunnel_set_mtu(p->tunnel, p->pmtu.size);
	p->inner_packets = 0;
	p->inner_ns = peer_now(p);
	peer_apply_policy(p);
	exit_tunnel(p->w->exit, p);
	return 0;
}

/* the tunnel of this certificate and Path ID */
int peer_tunnel_for(struct peer *p, const struct ntmc_cert *cert,
		    uint64_t path_id)
{
	int err;

	if (memcmp(p->vip6, cert->vip6, 16) || memcmp(p->vip4, cert->vip4, 4)) {
		tunnel_drop(p, false);
		memcpy(p->vip6, cert->vip6, 16);
		memcpy(p->vip4, cert->vip4, 4);
	}
	err = pins_learn(p->w->pins, p->fqdn, p->fp, p->vip6, p->vip4);
	if (!err)
		err = peer_tunnel(p);
	if (!err && p->path_id != path_id)
		err = dp_tunnel_set_path_id(p->tunnel, path_id);
	if (err)
		return err;
	p->path_id = path_id;
	p->route_path = path_id;
	p->cert_expires = cert->not_after;
	return peer_index(p);
}

/* --- wanting it ------------------------------------------------------------------------ */

static void peer_wake(struct peer *p)
{
	int err = 0;

	peer_set_state(p, PEER_ASKING);
	loop_timer_arm(p->connect, LOOP_MS(CONNECT_LIMIT_MS));
	if (p->has_secret && !shake_start(p, SHAKE_RESUME, NULL))
		loop_timer_arm(p->move, LOOP_MS(RESUME_DIRECT_MS));
	else
		err = peer_ask(p, false);
	if (err)
		peer_fail(p, err);
}

void peer_resume(struct peer *p)
{
	int err = peer_tunnel(p);

	punch_resume(p);
	if (err)
		peer_fail(p, err);
	else
		peer_wake(p);
}

void peer_connect(struct peer *p)
{
	if (!p->outward) {
		p->outward = true;
		peer_apply_policy(p);
	}
	if (p->state == PEER_IDLE || p->state == PEER_DOWN)
		peer_wake(p);
}

static void connect_due(void *arg)
{
	struct peer *p = arg;

	if (p->state == PEER_DOWN)
		peer_set_state(p, PEER_IDLE);
	else if (p->state == PEER_IDLE)
		tunnel_drop(p, true); /* an answer never confirmed */
	else if (p->state == PEER_ASKING || p->state == PEER_SHAKING)
		peer_fail(p, p->state == PEER_ASKING ? NTM_ETIMEOUT
						     : NTM_EUNREACHABLE);
}

void peer_shake_over(struct peer *p, enum shake_kind kind)
{
	if (kind == SHAKE_DIRECT && p->state == PEER_SHAKING)
		peer_fail(p, NTM_EUNREACHABLE);
	/* ASKING: the DC is asked beside it. UP, MOVING: their timers go on. */
}

/* Anybody may have sent it: its source becomes no candidate, and gets one datagram
 * at most, none while the peer is known to be elsewhere. */
void peer_unknown(struct peer *p, const struct addr *from)
{
	const struct candidate *cur = path_current(p);
	bool elsewhere =
		p->state == PEER_UP && cur && cur->state == PATH_PROVEN;
	uint64_t now = peer_now(p);

	if (!p->has_secret || p->shake ||
	    (p->unknown_ns && now - p->unknown_ns < LOOP_S(1)))
		return;
	p->unknown_ns = now;
	if (p->state == PEER_IDLE || p->state == PEER_DOWN)
		peer_wake(p);
	else if (shake_start(p, SHAKE_RESUME, NULL))
		log_debug(p->fqdn, "resumption could not start");
	if (!elsewhere)
		shake_also(p, from);
}

/* --- the end of it --------------------------------------------------------------------- */

void peer_sleep(struct peer *p)
{
	punch_stop(p);
	tunnel_drop(p, false);
	shake_stop(p);
	peer_set_state(p, PEER_IDLE);
	peer_save(p);
}

void peer_fail(struct peer *p, int err)
{
	p->why = err < 0 ? -err : err;
	punch_stop(p);
	shake_stop(p);
	direction_cancel(p->w, p->direction);
	p->direction = 0;
	tunnel_drop(p, true);
	peer_set_state(p, PEER_DOWN);
	peer_save(p);
}

static void secret_forget(struct peer *p)
{
	p->has_secret = false;
	ntmc_key_clear(&p->secret);
	p->path_id = 0;
	if (peer_index(p))
		log_debug(p->fqdn, "index");
}

void peer_close(struct peer *p, int code, bool tell)
{
	if (tell)
		peer_farewell(p, code ? code : NTM_EOFFLINE);
	punch_stop(p);
	shake_stop(p);
	direction_cancel(p->w, p->direction);
	p->direction = 0;
	tunnel_drop(p, true);
	dp_tail_free(p->tail); /* by somebody's word: its streams end, too */
	p->tail = NULL;
	secret_forget(p);
	p->why = code;
	peer_set_state(p, code ? PEER_DOWN : PEER_IDLE);
	peer_save(p);
}

void peer_withdraw(struct peer *p)
{
	log_info(p->fqdn, "its identity was withdrawn");
	ntmc_wipe(p->expect, sizeof(p->expect));
	peer_close(p, NTM_EDISABLED, true);
}

void peer_apply_policy(struct peer *p)
{
	struct policy_grant g;

	policy_check(p->w->policy, p->w->account->fqdn, p->fqdn, &g);
	if (!g.in && !p->outward && p->tunnel && groups_known(p->w->groups)) {
		peer_close(p, NTM_EPOLICY, true);
		return;
	}
	if (p->tunnel)
		dp_tunnel_set_ports(p->tunnel, g.all, g.ports, g.n_ports);
}

/* --- life ------------------------------------------------------------------------------- */

int peer_init(struct peer *p, struct worker *w, const char *fqdn)
{
	struct loop *l = w->loop;
	int err;

	p->w = w;
	snprintf(p->fqdn, sizeof(p->fqdn), "%s", fqdn);
	p->aead = ntmc_aead_preferred();
	err = loop_timer_new(l, peer_rekey_due, p, &p->rekey);
	if (!err)
		err = loop_timer_new(l, connect_due, p, &p->connect);
	if (!err)
		err = loop_timer_new(l, peer_move_due, p, &p->move);
	if (!err)
		err = loop_timer_new(l, peer_old_keys_due, p, &p->old_keys);
	if (!err)
		err = path_init(p);
	if (!err)
		err = punch_init(p);
	if (!err)
		err = pmtu_init(p);
	return err;
}

void peer_clear(struct peer *p)
{
	dp_tail_free(p->tail);
	shake_stop(p);
	if (p->direction)
		direction_cancel(p->w, p->direction);
	tunnel_drop(p, false);
	dp_ports_free(p->ports);
	path_clear(p);
	punch_clear(p);
	pmtu_clear(p);
	loop_timer_free(p->rekey);
	loop_timer_free(p->connect);
	loop_timer_free(p->move);
	loop_timer_free(p->old_keys);
	ntmc_wipe(p->expect, sizeof(p->expect));
	ntmc_key_clear(&p->secret);
	ntmc_key_clear(&p->pending);
}
