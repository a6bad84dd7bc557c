/* SPDX-License-Identifier: MIT */
/*
 * peer_route - what a direction begins: who sends the Tunnel Request, and by which relay
 *
 * Theory of operation
 *
 * The DC tells CN first, and MN with its answer. One of both is to SEND, the other one
 * WAITs: the one that cannot be reached sends; if both can, or neither, it is MN. Bit 0
 * of the Path ID says who asked first (0 MN, 1 CN) whoever sends, and stays with the
 * tunnel: who asks for a MOVE tells the DC which end it is, and the DC tells the other.
 *
 * CN may be told to send before MN has its answer: early.c keeps the request at MN.
 *
 * A relay that the direction names is punched before anything is sent, and the request
 * goes there beside the peer's own addresses. If it is not answered, MN asks again with
 * reason MOVE and the same Path ID: after RELAY_ASK_MS when no relay was named, after
 * RELAY_AGAIN_MS when one was. Where the domain has no relay nothing is asked again.
 */
#include <string.h>

#include "broker/early.h"
#include "broker/peer.h"
#include "broker/timers.h"
#include "common/log.h"

static bool same(const struct route *a, const struct route *b)
{
	return a->path_id == b->path_id &&
	       ntmc_equal(a->ktun.b, b->ktun.b, NTMC_KEY_LEN);
}

/* The direction's place among those expected: its own, or the oldest. Both may have
 * asked for one Path ID; nobody knows which of the two the other one takes.
 * Return: 0, -NTM_EEXISTS */
static int expect_add(struct peer *p, const struct route *r)
{
	struct route *slot = &p->expect[0];
	int err;

	for (size_t i = 0; i < PEER_EXPECT_MAX; i++) {
		if (same(&p->expect[i], r)) {
			slot = &p->expect[i];
			break;
		}
		if (p->expect[i].expires_ns < slot->expires_ns)
			slot = &p->expect[i];
	}
	*slot = *r;
	err = peer_index(p);
	if (err)
		ntmc_wipe(slot, sizeof(*slot));
	else
		peers_tick_arm(p->w->peers);
	return err;
}

static bool expected(const struct peer *p, const struct route *r)
{
	for (size_t i = 0; i < PEER_EXPECT_MAX; i++)
		if (same(&p->expect[i], r))
			return true;
	return false;
}

static void relay_take(struct peer *p, const struct route *r)
{
	if (!r->relay.n)
		return;
	relays_met(p->w->relays, r->relay.id);
	punch_route(p, r);
	peer_save(p);
}

static void shaking(struct peer *p, const struct route *r)
{
	if (p->state == PEER_ASKING || p->state == PEER_IDLE ||
	    p->state == PEER_DOWN) {
		peer_set_state(p, PEER_SHAKING);
		p->moves = 0;
		if (!loop_timer_armed(p->connect))
			loop_timer_arm(p->connect, LOOP_MS(CONNECT_LIMIT_MS));
	}
	if (p->state == PEER_SHAKING)
		loop_timer_arm(p->move, LOOP_MS(r->relay.n ? RELAY_AGAIN_MS
							   : RELAY_ASK_MS));
}

static int route_go(struct peer *p, const struct route *r)
{
	p->route_path = r->path_id | r->bit;
	relay_take(p, r);
	if (p->state == PEER_MOVING)
		path_probe(p, true);
	if (r->send)
		return shake_start(p, SHAKE_DIRECT, r);
	return expect_add(p, r);
}

void peer_route(struct peer *p, const struct route *route)
{
	struct route r = *route;
	int err;

	if (strcmp(p->fqdn, r.peer.fqdn))
		return;
	err = peer_identify(p, &r.peer);
	if (!err && p->state == PEER_UP) {
		/* it came up meanwhile; but the relay has new keys */
		if ((p->path_id & ~1ull) == r.path_id)
			relay_take(p, &r);
		goto out;
	}
	if (!err)
		err = route_go(p, &r);
	if (err) {
		peer_fail(p, err);
		goto out;
	}
	shaking(p, &r);
	early_feed(p->w->early, r.path_id);
out:
	ntmc_wipe(&r, sizeof(r));
}

int peer_expect(struct peer *p, const struct route *route)
{
	struct route r = *route;
	bool again;
	int err = peer_identify(p, &r.peer);

	if (err)
		goto out;
	again = expected(p, &r);
	err = expect_add(p, &r);
	if (err || again)
		goto out;
	relay_take(p, &r);
	/* It has moved and could not tell us itself: our packets may reach it. */
	if (r.move && p->tunnel && p->keyed_ns &&
	    (p->path_id & ~1ull) == r.path_id)
		path_probe(p, true);
	/* our own direction's request goes on beside it: either will do */
	if (r.send &&
	    (!shake_running(p, SHAKE_DIRECT) || shake_path(p) == r.path_id))
		err = shake_start(p, SHAKE_DIRECT, &r);
out:
	ntmc_wipe(&r, sizeof(r));
	return -err;
}

bool peer_wants_relay(struct peer *p)
{
	if (p->moves > 1)
		return false;
	p->moves++;
	loop_timer_arm(p->move, LOOP_MS(RELAY_AGAIN_MS));
	if (relays_count(p->w->relays))
		return true;
	/* one that came after us? */
	loop_timer_arm(p->move, LOOP_MS(RELAY_ASK_MS));
	relays_ask(p->w->relays);
	return false;
}
