/* SPDX-License-Identifier: MIT */
/*
 * peer_ask - when the DC is asked for the way to a peer, and what a lost path begins
 *
 * Theory of operation
 *
 * Beside a resumption that nobody answers the DC is asked after RESUME_DIRECT_MS, beside
 * a Tunnel Request as peer_route.c says. A peer that has lost its path is MOVING: packets
 * wait, every address is challenged, and the DC is asked
 *  - at once where silence has killed the path, or there is no route to any address;
 *  - after two round trips, PATH_MOVE_DIRECT_MS at most, where we have moved and the peer
 *    may answer by itself;
 * and again every PATH_MOVE_AGAIN_MS, doubling. Who has just moved is to be registered
 * first: what is asked meanwhile leaves when the session is ONLINE, and is taken back if
 * the peer was found before.
 */
#include "broker/path_impl.h"
#include "broker/peer.h"
#include "broker/relayed.h"
#include "broker/session.h"
#include "broker/timers.h"
#include "common/log.h"

#define PEER_MOVE_PATIENCE_S                                                   \
	5 /* a moving peer said to be offline may be moving too */

static void peer_directed(void *arg, int err, const struct route *r)
{
	struct peer *p = arg;

	p->direction = 0;
	if (!err)
		peer_route(p, r);
	else if (p->state == PEER_ASKING)
		peer_fail(p, err);
	else if (p->state == PEER_MOVING && err != -NTM_ETIMEOUT &&
		 err != -NTM_ELIMIT && err != -NTM_ENOLOGIN &&
		 peer_now(p) - p->state_ns > LOOP_S(PEER_MOVE_PATIENCE_S))
		peer_fail(p, err);
}

/* Found before the question could leave. One that has left goes on: it may change the
 * relay's keys. */
static void ask_take_back(struct peer *p)
{
	if (!p->direction || !p->ask_waits ||
	    session_state(p->w->session) == SESSION_ONLINE)
		return;
	direction_cancel(p->w, p->direction);
	p->direction = 0;
}

int peer_ask(struct peer *p, bool move)
{
	if (p->direction)
		return 0;
	p->ask_waits = session_state(p->w->session) != SESSION_ONLINE;
	return direction_request(p->w, p->fqdn, move,
				 !move			    ? 0
				 : p->state == PEER_SHAKING ? p->route_path
							    : p->path_id,
				 peer_directed, p, &p->direction);
}

void peer_look_again(struct peer *p)
{
	if (p->state != PEER_MOVING || (!p->moves && loop_timer_armed(p->move)))
		return;
	p->moves = 0;
	loop_timer_arm(p->move, LOOP_MS(PATH_MOVE_DIRECT_MIN_MS));
}

void peer_relay_silent(struct peer *p)
{
	if (p->state == PEER_UP && relayed_is(p) && peer_ask(p, true))
		log_debug(p->fqdn, "the DC cannot be asked now");
}

/* Beside a resumption or a move that nobody answers: ask the DC. */
void peer_move_due(void *arg)
{
	struct peer *p = arg;
	uint64_t pause = (uint64_t)PATH_MOVE_AGAIN_MS << p->moves;
	int err;

	if (p->state == PEER_ASKING) {
		if (p->pending_kept && shake_running(p, SHAKE_RESUME)) {
			peer_swap_secrets(p);
			shake_stop(p);
			err = shake_start(p, SHAKE_RESUME, NULL);
			log_debug(p->fqdn, "the other secret: %s",
				  err_text(err));
		}
		err = peer_ask(p, false);
		if (err)
			peer_fail(p, err);
		return;
	}
	if (p->state == PEER_SHAKING && peer_wants_relay(p) &&
	    peer_ask(p, true))
		log_debug(p->fqdn, "the DC cannot be asked now");
	if (p->state != PEER_MOVING)
		return;
	if (peer_ask(p, p->tunnel && p->keyed_ns))
		log_debug(p->fqdn, "the DC cannot be asked now");
	if (p->moves)
		path_probe(p, true);
	if (p->moves < 5)
		p->moves++;
	if (pause > PATH_MOVE_AGAIN_MAX_MS)
		pause = PATH_MOVE_AGAIN_MAX_MS;
	loop_timer_arm(p->move, LOOP_MS(pause));
}

void peer_path_up(struct peer *p)
{
	/* A path is nothing without keys: rekey_due() and the DC go on. */
	if (p->state != PEER_MOVING || peer_keys_ended(p))
		return;
	ask_take_back(p);
	peer_set_state(p, PEER_UP);
	path_tell(p);
	peer_save(p);
}

void peer_path_lost(struct peer *p)
{
	if (p->state != PEER_UP)
		return;
	peer_set_state(p, PEER_MOVING);
	dp_tunnel_hold(p->tunnel);
	path_probe(p, true);
	loop_timer_arm(p->move, 0);
}

/* How long the peer may take to answer by itself */
static uint64_t patience(struct peer *p)
{
	uint64_t ns;
	size_t i = 0;

	while (i < p->paths.n && !path_routed(p, &p->paths.list[i].addr))
		i++;
	if (i == p->paths.n)
		return 0;
	ns = 2 * path_rtt(path_now(p) ? path_now(p) : &p->paths.list[i]);
	if (ns < LOOP_MS(PATH_MOVE_DIRECT_MIN_MS))
		return LOOP_MS(PATH_MOVE_DIRECT_MIN_MS);
	return ns < LOOP_MS(PATH_MOVE_DIRECT_MS) ? ns
						 : LOOP_MS(PATH_MOVE_DIRECT_MS);
}

/* We have moved, and send on; the old remote is asked whether it hears us. */
void peer_path_unsure(struct peer *p)
{
	if (p->state == PEER_UP)
		peer_set_state(p, PEER_MOVING);
	if (p->state == PEER_MOVING) {
		p->moves = 0;
		loop_timer_arm(p->move, patience(p));
	}
}
