/* SPDX-License-Identifier: MIT */
/* path_health - is the path in use still good: silence, idleness, and after a sleep */
#include "broker/keepalive.h"
#include "broker/path_impl.h"
#include "broker/peer.h"
#include "broker/relayed.h"
#include "broker/timers.h"

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
