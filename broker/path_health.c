/* SPDX-License-Identifier: MIT */
/*
 * path_health - does the path in use still work, and who takes over when it does not
 *
 * Theory of operation
 *
 * While we send inner packets and hear nothing for PATH_SILENCE_MS the current path is
 * SUSPECT: it is challenged, with a packet as large as the data's too (pmtu_check()),
 * and so are all others. PATH_SUSPECT_TRIES unanswered: DEAD; whoever answered takes
 * over, else the peer is MOVING. Who has nothing to send asks once, PATH_TAIL_MS after
 * the last inner packet: its NAT may have forgotten it. A wake from sleep is taken for a
 * move.
 */
#include "broker/path.h"

#include "broker/keepalive.h"
#include "broker/path_impl.h"
#include "broker/peer.h"
#include "broker/relayed.h"
#include "broker/timers.h"

/* --- the end of a round ------------------------------------------------------------------- */

/* the relay stands behind what is direct, but before what failed lately */
static int rank(const struct peer *p, const struct candidate *c)
{
	return c->relay ? 1 : relayed_barred(p, c) ? 2 : 0;
}

/* one that answered since @since_ns, by rank, then nearest first */
static struct candidate *answering(struct peer *p, uint64_t since_ns)
{
	struct candidate *best = NULL;

	for (size_t i = 0; i < p->paths.n; i++) {
		struct candidate *c = &p->paths.list[i];

		if (c == path_now(p) || c->state != PATH_PROVEN ||
		    c->answered_ns < since_ns)
			continue;
		if (!best ||
		    (rank(p, c) != rank(p, best) ? rank(p, c) < rank(p, best)
						 : c->rtt_ns < best->rtt_ns))
			best = c;
	}
	return best;
}

static void current_dead(struct peer *p)
{
	struct candidate *c = answering(p, path_now(p)->sent_ns[0]);

	relayed_broke(p, path_now(p));
	path_set_state(p, path_now(p), PATH_DEAD);
	if (c) {
		path_choose(p, c);
		path_tell(p);
		if (p->state == PEER_MOVING)
			peer_path_up(p);
	} else if (p->state == PEER_UP) {
		peer_path_lost(p);
	} else if (p->tunnel) {
		dp_tunnel_hold(p->tunnel);
	}
}

static void candidate_due(struct peer *p, struct candidate *c)
{
	bool is_current = c == path_now(p);
	unsigned int max =
		c->state == PATH_SUSPECT ? PATH_SUSPECT_TRIES : c->max;

	if (c->tries < max) {
		if (c->state == PATH_SUSPECT && c->tries + 1 < max)
			pmtu_check(p);
		if (c->relay && c->tries == 1)
			punch_again(p, &c->addr);
		path_challenge_send(p, c, 0);
		return;
	}
	c->due_ns = 0;
	if (is_current)
		current_dead(p);
	else
		path_set_state(p, c, PATH_DEAD);
}

void path_timer_due(void *arg)
{
	struct peer *p = arg;
	uint64_t now = peer_now(p);

	for (size_t i = 0; i < p->paths.n; i++) {
		struct candidate *c = &p->paths.list[i];

		if (c->due_ns && c->due_ns <= now)
			candidate_due(p, c);
	}
	path_timer_arm(p);
}

/* --- silence -------------------------------------------------------------------------------- */

/* Does the path in use still work? All others are asked beside it. */
void path_suspect(struct peer *p, struct candidate *cur)
{
	if (cur->state == PATH_SUSPECT ||
	    (cur->due_ns && cur->state != PATH_PROVEN))
		return;
	path_set_state(p, cur, PATH_SUSPECT);
	if (cur->relay)
		punch_again(p, &cur->addr);
	path_challenge(p, cur, 0);
	pmtu_check(p);
	for (size_t i = 0; i < p->paths.n; i++) {
		struct candidate *c = &p->paths.list[i];

		if (c != cur && !c->due_ns && path_routed(p, &c->addr))
			path_challenge(p, c, 0);
	}
	path_timer_arm(p);
}

/* since when have we sent and heard nothing; 0: all is well */
static uint64_t silence(struct peer *p, const struct dp_counters *n)
{
	if (n->last_tx_ns <= n->last_rx_ns ||
	    n->last_rx_ns != p->paths.last_rx_ns) {
		p->paths.last_rx_ns = n->last_rx_ns;
		p->paths.silent_ns = 0;
	}
	if (n->last_tx_ns > n->last_rx_ns && !p->paths.silent_ns)
		p->paths.silent_ns = n->last_tx_ns;
	return p->paths.silent_ns;
}

/* Packets came, and then none: our NAT may have forgotten us, and we would have no
 * reason to send. One challenge tells, and opens the NAT again. */
static void tail(struct peer *p, const struct candidate *cur, uint64_t now)
{
	if (p->paths.tail_ns == p->inner_ns ||
	    now - p->inner_ns < LOOP_MS(PATH_TAIL_MS))
		return;
	p->paths.tail_ns = p->inner_ns;
	if (!cur->due_ns)
		path_probe(p, false);
}

static void keep(struct peer *p, const struct candidate *cur, uint64_t now)
{
	if (now - p->paths.kept_ns <=
	    LOOP_S(keepalive_path_s(p->w->keepalive, cur->addr.sa.sa_family)))
		return;
	p->paths.kept_ns = now;
	if (!cur->due_ns)
		path_probe(p, false);
	if (p->pmtu.raised_ns && now - p->pmtu.raised_ns > LOOP_S(PMTU_RAISE_S))
		pmtu_start(p);
}

void path_tick(struct peer *p)
{
	struct candidate *cur = path_now(p);
	struct dp_counters n;
	uint64_t now = peer_now(p), limit, since;

	if (!p->tunnel)
		return;
	dp_tunnel_counters(p->tunnel, &n);
	if (n.tx_packets + n.rx_packets != p->inner_packets) {
		p->inner_packets = n.tx_packets + n.rx_packets;
		p->inner_ns = now;
	}
	if (p->state != PEER_UP || !cur)
		return;
	if (n.rx_packets != p->paths.carried)
		p->paths.carried_ns += LOOP_MS(PATH_TICK_MS);
	p->paths.carried = n.rx_packets;
	since = silence(p, &n);
	limit = path_rtt(cur) * 3;
	if (limit < LOOP_MS(PATH_SILENCE_MS))
		limit = LOOP_MS(PATH_SILENCE_MS);
	if (since && now - since > limit)
		path_suspect(p, cur);
	relayed_tick(p);
	tail(p, cur, now);
	keep(p, cur, now);
}

void path_woke(struct peer *p)
{
	addr_clear(&p->paths.source); /* whichever it is, it is another one */
	path_we_moved(p, true);
}
