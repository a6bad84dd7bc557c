/* SPDX-License-Identifier: MIT */
/*
 * peer_keys - a peer's keys: from which handshake, confirmed, renewed, at their end
 *
 * Theory of operation
 *
 * Keys of our own request seal at once. An answered request gives keys that open at once
 * and seal after the peer used them (peer_confirmed()); until then the old secret counts
 * as well. Keys of before open for OLD_KEYS_S more.
 *
 * Keys are renewed by resumption over the path in use: the lower fingerprint at
 * REKEY_LOW_S, the other at REKEY_HIGH_S. REKEY_STOP_S is the end of a key: it carries
 * nothing more, not even control messages; packets wait for new keys. Where no inner
 * packet came for IDLE_CLOSE_S nothing is renewed: the tunnel goes to sleep.
 */
#include "broker/peer.h"

#include "broker/pins.h"
#include "broker/relayed.h"
#include "broker/timers.h"
#include "common/log.h"

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

static void rekey_arm(struct peer *p)
{
	loop_timer_arm(p->rekey, LOOP_S(peer_we_are_lower(p) ? REKEY_LOW_S
							     : REKEY_HIGH_S));
}

bool peer_keys_ended(const struct peer *p)
{
	return p->keyed_ns && peer_now(p) - p->keyed_ns >= LOOP_S(REKEY_STOP_S);
}

/* --- of a handshake ------------------------------------------------------------------- */

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
		err = peer_tunnel_for(p, cert, path_id);
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
	int err = peer_tunnel_for(p, &rq->cert, path_id);

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

/* --- renewed ---------------------------------------------------------------------------- */

void peer_old_keys_due(void *arg)
{
	struct peer *p = arg;

	if (p->tunnel)
		dp_tunnel_drop_old_keys(p->tunnel);
	if (!p->has_pending) /* else it may be asked for still */
		shake_forget(p);
}

void peer_rekey_due(void *arg)
{
	struct peer *p = arg;
	uint64_t pause = LOOP_S(REKEY_RETRY_S);
	uint64_t end = p->keyed_ns + LOOP_S(REKEY_STOP_S);

	if (p->state != PEER_UP && p->state != PEER_MOVING)
		return;
	if (peer_now(p) - p->inner_ns > LOOP_S(IDLE_CLOSE_S)) {
		peer_farewell(p, 0);
		peer_sleep(p);
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
