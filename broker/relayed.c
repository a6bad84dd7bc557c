/* SPDX-License-Identifier: MIT */
/*
 * relayed - a peer behind a relay: its candidate, and the way to a direct path
 *
 * Theory of operation
 *
 * The relay's address is a candidate that Path Challenges prove as they do any other.
 * It is used when it is the one that answers; everything direct stands before it.
 *
 * While it is in use both sides challenge every direct address of the other at the
 * same time, which opens their NATs: OPEN_TRIES each, close together, when the relay
 * is chosen, at every move and when the peer tells new addresses; afterwards one each
 * every OPEN_EVERY_S. The pause between rounds doubles until a direct path is taken or we
 * move: the peer names the addresses, and must not make us flood anybody there. A challenge that comes from a direct address is returned.
 *
 * A direct one that answers takes over. What is still under way through the relay is
 * slower by half of the difference of both round trips, so our packets wait that long
 * (TAKE_HOLD_MAX_MS at most, less where they would not fit into the queue): TCP sees
 * none overtake another. The peer does the same for its direction, when its own
 * challenge is answered: what comes directly before that moves nothing.
 *
 * A direct path may answer challenges and fail as soon as it carries data. One that
 * failed within BROKE_SOON_S is not taken again for BROKE_AGAIN_MS, which doubles, until
 * one of us moves.
 *
 * Back to the relay. When the direct path falls silent the relay, still bound, is
 * challenged beside the others, and used if nothing direct answers. The peer may know
 * before we do: it tells its addresses through the relay, and we follow, unless our own
 * path has just answered.
 */
#include "broker/relayed.h"

#include <string.h>

#include "broker/path_impl.h"
#include "broker/peer.h"
#include "broker/timers.h"
#include "common/log.h"

static const uint16_t pauses_ms[OPEN_TRIES] = {50, 100, 250, 600, 2000};

bool relayed_is(const struct peer *p)
{
	const struct candidate *c = path_current(p);

	return c && c->relay;
}

uint64_t relayed_pause(unsigned int tries)
{
	return LOOP_MS(pauses_ms[tries < OPEN_TRIES ? tries : OPEN_TRIES - 1]);
}

/* --- opening NATs --------------------------------------------------------------------- */

static bool may_open(struct peer *p)
{
	return relayed_is(p) && p->tunnel && !peer_keys_ended(p) &&
	       (p->state == PEER_UP || p->state == PEER_MOVING);
}

static void challenge_direct(struct peer *p, unsigned int tries)
{
	for (size_t i = 0; i < p->paths.n; i++) {
		struct candidate *c = &p->paths.list[i];

		if (c->relay || !path_routed(p, &c->addr))
			continue;
		path_challenge(p, c, 0);
		c->opening = true;
		c->max = tries;
		c->due_ns = peer_now(p) +
			    (tries > 1 ? relayed_pause(0) : LOOP_S(1));
	}
	path_timer_arm(p);
}

void relayed_open(struct peer *p)
{
	uint64_t now = peer_now(p);
	uint64_t pause = p->paths.open_pause_ns ? p->paths.open_pause_ns
						: LOOP_MS(OPEN_AGAIN_MS);

	if (!may_open(p))
		return;
	if (p->paths.opened_ns && now - p->paths.opened_ns < pause) {
		p->paths.open_again = true;
		return;
	}
	p->paths.open_pause_ns = pause * (p->paths.open_pause_ns ? 2 : 1);
	if (p->paths.open_pause_ns > LOOP_MS(OPEN_AGAIN_MAX_MS))
		p->paths.open_pause_ns = LOOP_MS(OPEN_AGAIN_MAX_MS);
	p->paths.open_again = false;
	p->paths.opened_ns = p->paths.once_ns = now;
	challenge_direct(p, OPEN_TRIES);
}

void relayed_we_are_elsewhere(struct peer *p)
{
	p->paths.open_pause_ns = 0;
	relayed_peer_is_elsewhere(p);
}

bool relayed_returns(struct peer *p, const struct candidate *c)
{
	return !c->relay && may_open(p);
}

/* --- those that fail under data -------------------------------------------------------- */

/* What failed may work now, and what fails now may have had that reason. */
void relayed_peer_is_elsewhere(struct peer *p)
{
	p->paths.moved_ns = peer_now(p);
	for (size_t i = 0; i < p->paths.n; i++)
		p->paths.list[i].not_before_ns = p->paths.list[i].broke_ns = 0;
}

void relayed_broke(struct peer *p, struct candidate *c)
{
	uint64_t now = peer_now(p), since = p->paths.since_ns;

	if (p->paths.carried_ns >= LOOP_S(BROKE_NOT_S))
		c->broke_ns = 0;
	if (c->relay || p->paths.moved_ns > since ||
	    now - since > LOOP_S(BROKE_SOON_S))
		return;
	c->broke_ns = c->broke_ns ? 2 * c->broke_ns : LOOP_MS(BROKE_AGAIN_MS);
	if (c->broke_ns > LOOP_MS(BROKE_AGAIN_MAX_MS))
		c->broke_ns = LOOP_MS(BROKE_AGAIN_MAX_MS);
	c->not_before_ns = now + c->broke_ns;
}

bool relayed_barred(const struct peer *p, const struct candidate *c)
{
	return c->not_before_ns && peer_now(p) < c->not_before_ns;
}

/* their time is over: do they answer? */
static void challenge_barred(struct peer *p)
{
	for (size_t i = 0; i < p->paths.n; i++) {
		struct candidate *c = &p->paths.list[i];

		if (!c->not_before_ns || relayed_barred(p, c))
			continue;
		c->not_before_ns = 0;
		if (!c->relay && !c->due_ns && path_routed(p, &c->addr))
			path_challenge(p, c, 0);
	}
	path_timer_arm(p);
}

/* --- taking over ------------------------------------------------------------------------ */

static void rate_measure(struct peer *p, uint64_t now)
{
	struct dp_counters n;
	uint64_t ns = now - p->paths.rate_ns;

	if (ns < LOOP_MS(PATH_TICK_MS))
		return;
	dp_tunnel_counters(p->tunnel, &n);
	if (p->paths.rate_ns && n.tx_bytes >= p->paths.rate_bytes)
		p->paths.rate = (n.tx_bytes - p->paths.rate_bytes) * 1000 /
				(ns / 1000000);
	p->paths.rate_bytes = n.tx_bytes;
	p->paths.rate_ns = now;
}

/* how long packets wait, ns */
static uint64_t hold_for(const struct peer *p, const struct candidate *cur,
			 const struct candidate *c)
{
	uint64_t ns =
		cur->rtt_ns > c->rtt_ns ? (cur->rtt_ns - c->rtt_ns) / 2 : 0;
	uint64_t room;

	if (ns > LOOP_MS(TAKE_HOLD_MAX_MS))
		ns = LOOP_MS(TAKE_HOLD_MAX_MS);
	if (p->paths.rate) {
		/* half of the queue is for what comes in bursts */
		room = DP_QUEUE_BYTES / 2 * LOOP_S(1) / p->paths.rate;
		if (ns > room)
			ns = room;
	}
	return ns;
}

bool relayed_taking(const struct peer *p)
{
	return addr_is_set(&p->paths.taking);
}

void relayed_take(struct peer *p, struct candidate *c)
{
	struct candidate *cur = path_now(p);
	uint64_t ns;

	if (relayed_taking(p) || relayed_barred(p, c))
		return;
	ns = hold_for(p, cur, c);
	if (!ns || dp_tunnel_state(p->tunnel) != DP_OPEN) {
		path_choose(p, c);
		path_tell(p);
		return;
	}
	p->paths.taking = c->addr;
	dp_tunnel_hold(p->tunnel);
	loop_timer_arm(p->paths.hold, ns);
}

static void hold_due(void *arg)
{
	struct peer *p = arg;
	struct candidate *c = path_find(p, &p->paths.taking);

	addr_clear(&p->paths.taking);
	if (!p->tunnel || p->state != PEER_UP)
		return;
	if (!c || c->state != PATH_PROVEN)
		c = path_now(p);
	if (!c)
		return;
	path_choose(p, c);
	path_tell(p);
}

void relayed_chosen(struct peer *p, const struct candidate *c, bool other)
{
	addr_clear(&p->paths.taking);
	loop_timer_disarm(p->paths.hold);
	if (other && c->relay)
		p->paths.open_again = true; /* at the end of the turn's work */
	if (other && !c->relay) {
		p->paths.relay_heard_ns = peer_now(p);
		p->paths.open_pause_ns = 0;
	}
	if (p->paths.open_again)
		loop_timer_arm(p->paths.open, 0);
}

/* The relay is in use, or knows us elsewhere: both must know where to look. */
static void open_due(void *arg)
{
	struct peer *p = arg;

	if (!may_open(p))
		return;
	path_tell(p);
	relayed_open(p);
}

/* --- what the peer does --------------------------------------------------------------------- */

/* It says where it is, and that is not where our path leads. A NAT may show us another
 * port than it shows to servers, but hardly another address. */
static bool has_left(struct peer *p, const struct candidate *cur)
{
	for (size_t i = 0; i < p->paths.n_told; i++)
		if (addr_equal_ip(&p->paths.told_addrs[i], &cur->addr))
			return false;
	return p->paths.n_told > 0;
}

/* data came from there, of more bytes than a challenge has */
static void challenge_sender(struct peer *p, struct candidate *c)
{
	if (!c->due_ns && relayed_returns(p, c))
		path_challenge_found(p, c, PATH_CHALLENGE_LEAST);
}

bool relayed_stays(struct peer *p, struct candidate *c, bool told)
{
	struct candidate *cur = path_now(p);

	if (relayed_taking(p) && c == cur)
		return true;
	if (!cur || p->state != PEER_UP || cur->relay == c->relay)
		return false;
	if (cur->relay) {
		if (cur->state != PATH_PROVEN)
			return false;
		/* it has found the direct way; have we? */
		if (path_proven_lately(p, c) && c->state == PATH_PROVEN)
			relayed_take(p, c);
		else
			challenge_sender(p, c);
		return true;
	}
	p->paths.relay_heard_ns = peer_now(p);
	if (told && has_left(p, cur))
		return false;
	if (cur->state == PATH_PROVEN && cur->answered_ns &&
	    peer_now(p) - cur->answered_ns < LOOP_MS(TAKE_FRESH_MS))
		return true;
	if (told)
		return false;
	path_suspect(p, cur);
	return true;
}

/* --- our own move ---------------------------------------------------------------------------- */

bool relayed_we_moved(struct peer *p, struct candidate *cur)
{
	const struct punch *u = punch_at(p, &cur->addr);

	if (!u || u->bound)
		return false;
	dp_tunnel_hold(p->tunnel);
	p->pmtu.raised_ns = 0;
	peer_path_unsure(p);
	path_probe_others(p);
	return true;
}

/* --- the relay's candidate -------------------------------------------------------------------- */

static struct candidate *relay_add(struct peer *p, const struct addr *a)
{
	struct candidate *c = path_add(p, a);

	c->relay = true;
	return c;
}

void relayed_named(struct peer *p, const struct addr *a)
{
	relay_add(p, a);
}

/* No answer is to be awaited from there, or it would be here by now. */
static bool is_hopeless(struct peer *p, const struct candidate *cur)
{
	return cur->state == PATH_DEAD || !path_routed(p, &cur->addr) ||
	       (!cur->relay && cur->state == PATH_PROBING && cur->tries > 1);
}

/* What we sent there before was lost. */
void relayed_bound(struct peer *p, const struct addr *a)
{
	struct candidate *c = relay_add(p, a), *cur = path_now(p);
	const struct punch *u = punch_at(p, a);

	relayed_we_are_elsewhere(p);
	shake_again(p, a);
	if (!p->tunnel || !p->keyed_ns || peer_keys_ended(p))
		return;
	if (p->state != PEER_MOVING && c != cur &&
	    !(cur && cur->state == PATH_SUSPECT))
		return;
	path_challenge(p, c, 0);
	path_timer_arm(p);
	if (c == cur)
		loop_timer_arm(p->paths.open, 0);
	if (p->state != PEER_MOVING || !cur || !u || !u->peer_bound ||
	    !(punch_at(p, &cur->addr) == u || is_hopeless(p, cur)))
		return;
	/* We moved, and the peer is there. What we send and it sends comes through;
	 * the challenge's answer need not be waited for. */
	path_choose(p, c);
	path_steer(p, c);
	path_tell(p);
}

void relayed_gone(struct peer *p, const struct addr *a)
{
	struct candidate *c = path_find(p, a);

	if (!c || !c->relay)
		return;
	if (c == path_now(p))
		c->relay = false; /* it falls silent, as others do */
	else
		path_remove(p, c);
}

void relayed_rerouted(struct peer *p)
{
	if (relayed_is(p))
		addr_clear(&p->paths.source);
	path_we_moved(p, false);
}

/* --- looking after it --------------------------------------------------------------------------- */

void relayed_tick(struct peer *p)
{
	uint64_t now = peer_now(p);

	if (!may_open(p))
		return;
	rate_measure(p, now);
	if (p->paths.open_again)
		relayed_open(p);
	challenge_barred(p);
	if (now - p->paths.once_ns < LOOP_S(OPEN_EVERY_S))
		return;
	p->paths.once_ns = now;
	challenge_direct(p, 1);
}

size_t relayed_seen(const struct peer *p, struct addr *out, size_t max)
{
	struct addr list[ADDR_REMOTES_MAX];
	const struct worker_env *env = p->w->env;
	size_t n, k, i, j, kept = 0;

	/* punches are the fresher ones */
	n = punch_observed(p, out, max / 2);
	k = relays_observed(p->w->relays, list, ADDR_REMOTES_MAX);
	for (i = 0; i < k && n < max / 2; i++) {
		for (j = 0; j < n && !addr_equal(&out[j], &list[i]); j++)
			;
		if (j == n)
			out[n++] = list[i];
	}
	k = env->locals(env->ctx, list, ADDR_REMOTES_MAX);
	for (i = 0; i < n; i++) {
		for (j = 0; j < k; j++)
			if (addr_equal_ip(&out[i], &list[j]) &&
			    addr_port(&out[i]) == p->w->udp_port)
				break;
		if (j == k)
			out[kept++] = out[i];
	}
	return kept;
}

/* --- why it is relayed ---------------------------------------------------------------------------- */

static bool family_lacks(struct peer *p, int family)
{
	for (size_t i = 0; i < p->paths.n; i++)
		if (!p->paths.list[i].relay &&
		    p->paths.list[i].addr.sa.sa_family == family)
			return false;
	return true;
}

static const char *family_why(struct peer *p)
{
	bool any = false;

	for (size_t i = 0; i < p->paths.n; i++)
		any |= !p->paths.list[i].relay &&
		       path_routed(p, &p->paths.list[i].addr);
	if (any)
		return NULL;
	if (family_lacks(p, AF_INET))
		return family_lacks(p, AF_INET6)
			       ? "the peer has told no address of its own"
			       : "the peer has IPv6 only, and we do not";
	return family_lacks(p, AF_INET6)
		       ? "the peer has IPv4 only, and we do not"
		       : "there is no route to the peer's addresses";
}

const char *relayed_why(const struct peer *p)
{
	const Ntm__NatMapping blocked = NTM__NAT_MAPPING__MAPPING_BLOCKED;
	bool ours = relays_told_mapping(p->w->relays) ==
		    NTM__NAT_MAPPING__MAPPING_DEPENDENT;
	bool theirs =
		p->paths.peer_mapping == NTM__NAT_MAPPING__MAPPING_DEPENDENT;
	const char *why = family_why((struct peer *)p);

	if (relays_told_mapping(p->w->relays) == blocked)
		return "no UDP passes here: by TLS to the relay";
	if (p->paths.peer_mapping == blocked)
		return "no UDP passes where the peer is";
	if (why)
		return why;
	if (peer_now(p) - p->paths.since_ns < LOOP_S(OPEN_NEWS_S))
		return "no direct answer yet";
	if (ours && theirs)
		return "both NATs map by destination";
	if (ours)
		return "our NAT maps by destination, and no direct address "
		       "answers";
	if (theirs)
		return "the peer's NAT maps by destination, and no direct "
		       "address answers";
	return "no direct address answers: a NAT or firewall lets nothing in";
}

/* --- life ------------------------------------------------------------------------------------------- */

int relayed_init(struct peer *p)
{
	int err = loop_timer_new(p->w->loop, hold_due, p, &p->paths.hold);

	return err ? err
		   : loop_timer_new(p->w->loop, open_due, p, &p->paths.open);
}

void relayed_stop(struct peer *p)
{
	loop_timer_disarm(p->paths.hold);
	loop_timer_disarm(p->paths.open);
	addr_clear(&p->paths.taking);
	p->paths.open_again = false;
}
