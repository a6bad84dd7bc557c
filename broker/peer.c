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
 * An answered request gives keys that open at once and seal after the peer used
 * them (peer_confirmed()); until then the old secret counts as well.
 *
 * Keys are renewed by resumption over the path in use: the lower fingerprint at
 * REKEY_LOW_S, the other at REKEY_HIGH_S. REKEY_STOP_S is the end of a key: it
 * carries nothing more, not even control messages; packets wait for new keys.
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
#include "broker/relayed.h"
#include "broker/resolve.h"
#include "broker/session.h"
#include "broker/timers.h"
#include "common/datagram.h"
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
static int tunnel_for(struct peer *p, const struct ntmc_cert *cert,
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

void peer_swap_secrets(struct peer *p)
{
	enum ntmc_aead_alg aead = p->aead;
	struct ntmc_key secret = p->secret;

	p->secret = p->pending;
	p->aead = p->pending_aead;
	p->pending = secret;
	p->pending_aead = aead;
	ntmc_key_clear(&secret);
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

/* --- keys ------------------------------------------------------------------------------ */

static void rekey_arm(struct peer *p)
{
	loop_timer_arm(p->rekey, LOOP_S(peer_we_are_lower(p) ? REKEY_LOW_S
							     : REKEY_HIGH_S));
}

bool peer_keys_ended(const struct peer *p)
{
	return p->keyed_ns && peer_now(p) - p->keyed_ns >= LOOP_S(REKEY_STOP_S);
}

/* New keys carry the traffic from now on. */
static void keys_work(struct peer *p, const struct ntmc_key *secret)
{
	p->secret = *secret;
	p->has_secret = true;
	p->has_pending = p->pending_kept = false;
	ntmc_key_clear(&p->pending);
	p->keyed_ns = peer_now(p);
	rekey_arm(p);
	loop_timer_arm(p->old_keys, LOOP_S(OLD_KEYS_S));
}

void peer_keyed(struct peer *p, struct handshake_keys *k,
		const struct ntmc_cert *cert, const struct handshake_from *from,
		uint64_t path_id)
{
	int err = pins_check(p->w->pins, p->fqdn, p->fp);

	if (!err)
		err = tunnel_for(p, cert, path_id);
	if (!err)
		err = dp_tunnel_add_keys(p->tunnel, k->phase, k->aead, &k->send,
					 &k->recv, true);
	if (err) {
		peer_fail(p, err);
		return;
	}
	p->aead = k->aead;
	keys_work(p, &k->resume);
	/* before the peer hears that it may forget the old secret */
	peer_save(p);
	if (p->state == PEER_UP && !from->directed) {
		path_probe(p,
			   false); /* the peer moves to the new keys with it */
	} else {
		path_use(p, from->addr, from->wire_len, from->asked);
		peer_set_state(p, PEER_UP);
		path_probe(p, path_current(p)->state != PATH_PROVEN);
		path_tell(p);
		peer_save(p); /* the state and where it is */
	}
}

int peer_answered(struct peer *p, struct handshake_keys *k,
		  const struct handshake_request *rq, const struct addr *from,
		  uint64_t path_id)
{
	int err = tunnel_for(p, &rq->cert, path_id);

	if (!err)
		err = dp_tunnel_add_keys(p->tunnel, k->phase, k->aead, &k->send,
					 &k->recv, false);
	if (err)
		return err;
	p->pending_aead = k->aead;
	p->seen_ms = rq->sent_ms;
	p->pending = k->resume;
	p->has_pending = true;
	p->pending_kept = false;
	p->pending_phase = k->phase;
	path_add(p, from);
	/* It may vanish before it uses them: then this tunnel must not keep
	 * the packets that would ask for another. */
	if (p->state == PEER_DOWN)
		peer_set_state(p, PEER_IDLE);
	if (p->state == PEER_IDLE)
		loop_timer_arm(p->connect, LOOP_MS(CONNECT_LIMIT_MS));
	peer_save(p); /* the peer may soon know no other secret */
	/* It has no keys at all: it was restarted. What we seal under the old
	 * ones is lost, so it waits for the new. */
	if (!rq->n_phases && p->state == PEER_UP) {
		peer_set_state(p, PEER_MOVING);
		dp_tunnel_hold(p->tunnel);
		loop_timer_arm(p->move, LOOP_MS(PATH_MOVE_DIRECT_MS));
	}
	return 0;
}

void peer_confirmed(struct peer *p, uint8_t phase, const struct addr *from,
		    size_t wire_len)
{
	struct ntmc_key secret = p->pending;

	if (!p->has_pending || phase != p->pending_phase)
		return;
	shake_settled(p);
	p->aead = p->pending_aead;
	keys_work(p, &secret);
	ntmc_key_clear(&secret);
	/* up, but in a tunnel made anew (another lease): it has no path yet */
	if (p->state != PEER_UP || dp_tunnel_state(p->tunnel) != DP_OPEN) {
		path_use(p, from, wire_len, shake_answered_at(p, from));
		peer_set_state(p, PEER_UP);
		path_probe(p, path_current(p)->state != PATH_PROVEN);
		if (relayed_is(p))
			path_tell(p); /* both look for the direct way */
	}
	peer_save(p);
}

static void old_keys_due(void *arg)
{
	struct peer *p = arg;

	if (p->tunnel)
		dp_tunnel_drop_old_keys(p->tunnel);
	if (!p->has_pending) /* else it may be asked for still */
		shake_forget(p);
}

static void close_tell(struct peer *p, int code)
{
	Ntm__TunnelControl msg = NTM__TUNNEL_CONTROL__INIT;
	Ntm__TunnelClose c = NTM__TUNNEL_CLOSE__INIT;

	c.code = (uint32_t)code;
	msg.body_case = NTM__TUNNEL_CONTROL__BODY_CLOSE;
	msg.close = &c;
	if (p->tunnel && peer_control_send(p, &msg, NULL))
		log_debug(p->fqdn, "no farewell");
}

/* Nobody needs the tunnel; the next packet of either side resumes it. */
static void sleep_now(struct peer *p)
{
	punch_stop(p);
	tunnel_drop(p, false);
	shake_stop(p);
	peer_set_state(p, PEER_IDLE);
	peer_save(p);
}

static void rekey_due(void *arg)
{
	struct peer *p = arg;
	uint64_t pause = LOOP_S(REKEY_RETRY_S);
	uint64_t end = p->keyed_ns + LOOP_S(REKEY_STOP_S);

	if (p->state != PEER_UP && p->state != PEER_MOVING)
		return;
	if (peer_now(p) - p->inner_ns > LOOP_S(IDLE_CLOSE_S)) {
		close_tell(p, 0);
		sleep_now(p);
		return;
	}
	if (peer_keys_ended(p)) {
		dp_tunnel_stop(p->tunnel);
		peer_path_lost(p);
	} else if (p->keyed_ns && end - peer_now(p) < pause) {
		pause = end - peer_now(p);
	}
	if (shake_start(p, SHAKE_RESUME, NULL))
		log_debug(p->fqdn, "rekey could not start");
	loop_timer_arm(p->rekey, pause);
}

void peer_rekey(struct peer *p)
{
	if (p->state == PEER_UP)
		loop_timer_arm(p->rekey, 0);
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
		close_tell(p, code ? code : NTM_EOFFLINE);
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

/* --- paths ------------------------------------------------------------------------------ */

int peer_control_send(struct peer *p, const Ntm__TunnelControl *msg,
		      const struct addr *to)
{
	uint8_t buf[PACKET_SIGNAL_MAX];
	size_t len = ntm__tunnel_control__get_packed_size(msg);

	if (!p->tunnel)
		return -NTM_ESTATE;
	if (len > sizeof(buf) - PACKET_OVERHEAD)
		return -NTM_ETOOBIG;
	ntm__tunnel_control__pack(msg, buf);
	return dp_tunnel_send_control(p->tunnel, buf, len, to);
}

static void echo(struct peer *p, const Ntm__Echo *e, const struct addr *from,
		 size_t wire_len)
{
	Ntm__TunnelControl msg = NTM__TUNNEL_CONTROL__INIT;
	Ntm__Echo reply = NTM__ECHO__INIT;

	if (e->reply) {
		if (p->w->echo_fn)
			p->w->echo_fn(p->w, e->cookie);
		return;
	}
	reply.cookie = e->cookie;
	reply.reply = true;
	if (wire_len <= PACKET_SIGNAL_MAX)
		reply.padding = e->padding;
	msg.body_case = NTM__TUNNEL_CONTROL__BODY_ECHO;
	msg.echo = &reply;
	if (peer_control_send(p, &msg, NULL) &&
	    peer_control_send(p, &msg, from))
		log_debug(p->fqdn, "an echo could not be sent");
}

static void closed_by_peer(struct peer *p, int code)
{
	if (!code) {
		if (p->state == PEER_UP)
			sleep_now(p);
		return;
	}
	log_info(p->fqdn, "it closed the tunnel: %s", err_text(code));
	peer_close(p, code, false);
}

void peer_control(struct peer *p, const uint8_t *buf, size_t len,
		  const struct addr *from, size_t wire_len)
{
	ProtobufCMessage *raw;
	const Ntm__TunnelControl *msg;

	if (datagram_unpack(&ntm__tunnel_control__descriptor, buf, len, &raw))
		return;
	msg = (Ntm__TunnelControl *)raw;
	switch (msg->body_case) {
	case NTM__TUNNEL_CONTROL__BODY_CHALLENGE:
		path_challenged(p, msg->challenge, from, wire_len);
		break;
	case NTM__TUNNEL_CONTROL__BODY_RESPONSE:
		if (!pmtu_answered(p, msg->response))
			path_answered(p, msg->response, from);
		break;
	case NTM__TUNNEL_CONTROL__BODY_CLOSE:
		closed_by_peer(p, (int)msg->close->code);
		break;
	case NTM__TUNNEL_CONTROL__BODY_ADDRESSES:
		path_addresses(p, msg->addresses, from, wire_len);
		break;
	case NTM__TUNNEL_CONTROL__BODY_ECHO:
		echo(p, msg->echo, from, wire_len);
		break;
	case NTM__TUNNEL_CONTROL__BODY__NOT_SET:
	default:
		break;
	}
	datagram_free(raw);
}

void peer_apply_policy(struct peer *p)
{
	struct policy_grant g;

	policy_check(p->w->policy, p->w->account->fqdn, p->fqdn, &g);
	if (!g.in && !p->outward && p->tunnel) {
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
	err = loop_timer_new(l, rekey_due, p, &p->rekey);
	if (!err)
		err = loop_timer_new(l, connect_due, p, &p->connect);
	if (!err)
		err = loop_timer_new(l, peer_move_due, p, &p->move);
	if (!err)
		err = loop_timer_new(l, old_keys_due, p, &p->old_keys);
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
