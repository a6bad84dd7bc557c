/* SPDX-License-Identifier: MIT */
/*
 * punch - a peer's relay: our end of the path there, kept alive by Hole Punching
 *
 * Theory of operation
 *
 * A direction that names a relay gives us an end there. It is punched at once, under
 * our end's key of Ktun: with that the relay knows where we are, and the NAT in front
 * of us lets the relay's packets in. Where the relay does not know our address from
 * the DC it answers with a cookie, which the next punch brings back; only then is the
 * end bound. Where it does, it forwards little until a cookie is back, so that is
 * brought at once, too, and each later punch brings the cookie of the last answer.
 * Punches go on every PUNCH_EVERY_S, and at once after a move of ours and
 * after a restart of the worker, which finds Ktun in the keeper.
 *
 * An answer counts when it opens under our end's key and names a punch later than any
 * answered: a recorded answer changes nothing, nor does anything forged.
 *
 * The relay's address is a candidate of the peer like others (path.h), with the flag
 * relay; relayed.c says when it is used. While no answer comes the next address of the
 * relay to which there is a route is tried; after PUNCH_SILENT_TRIES the DC is asked for
 * the way anew, before the relay forgets us.
 *
 * Two ends are kept, because directions of both sides may cross: until the newest is
 * bound the one before goes on. An end is left when a direct path has stood for
 * PUNCH_DIRECT_S and nothing came by the relay for PUNCH_HEARD_S, when the tunnel ends
 * or changes its Path ID, or when the relay is silent and not in use.
 */
#include "broker/punch_impl.h"

#include <string.h>

#include "broker/account.h"
#include "broker/peer.h"
#include "broker/relayed.h"
#include "broker/timers.h"
#include "common/log.h"

#define ACK_ROOM 96 /* an answer's body is never larger */

static void punch_due(void *arg);

/* --- sending --------------------------------------------------------------------------- */

static bool source_of(const struct punch *u, const struct addr *remote,
		      struct addr *source)
{
	const struct worker_env *env = u->p->w->env;
	unsigned int mtu;

	return !env->route(env->ctx, remote, source, &mtu);
}

/* The address to which there is a route, @skip places after the one in use. */
static bool address_choose(struct punch *u, size_t skip)
{
	for (size_t i = 0; i < u->relay.n; i++) {
		size_t at = (u->at + skip + i) % u->relay.n;

		if (!source_of(u, &u->relay.addrs[at], &u->source))
			continue;
		u->at = at;
		return true;
	}
	addr_clear(&u->source);
	return false;
}

static void address_prefer(struct punch *u)
{
	struct addr best;

	if (!relays_prefer(u->p->w->relays, u->relay.id, &best))
		return;
	for (size_t i = 0; i < u->relay.n; i++)
		if (addr_equal(&u->relay.addrs[i], &best))
			u->at = i;
}

static void punch_pack(struct punch *u, bool leave, Ntm__HolePunch *msg)
{
	static uint8_t zeros[ACK_ROOM];
	size_t len;

	ntm__hole_punch__init(msg);
	u->sent_ms = account_sent_ms(u->p->w->account);
	msg->sent_ms = u->sent_ms;
	msg->leave = leave;
	if (u->has_cookie) {
		msg->cookie.data = u->cookie;
		msg->cookie.len = sizeof(u->cookie);
	}
	len = ntm__hole_punch__get_packed_size(msg);
	msg->padding.data = zeros;
	msg->padding.len = len + 2 < ACK_ROOM ? ACK_ROOM - len - 2 : 0;
}

static void punch_send(struct punch *u, bool leave)
{
	struct worker *w = u->p->w;
	struct packet_header h = {.type = PACKET_HOLE_PUNCH, .id = u->path_id};
	uint8_t buf[PACKET_SIGNAL_MAX];
	Ntm__HolePunch msg;
	int n;

	punch_pack(u, leave, &msg);
	ntmc_random(&w->env->crypto, &h.counter, sizeof(h.counter));
	n = datagram_seal(&h, u->aead, &u->keys.up, &msg.base, buf);
	u->sent_ns = loop_now_exact(w->loop);
	if (n < 0 ||
	    datapath_send(w->dp, buf, (size_t)n, &u->relay.addrs[u->at]))
		log_debug(u->p->fqdn, "a punch could not be sent");
	u->has_cookie = false; /* said once */
}

/* One now, and the next when its time comes. */
static void punch_go(struct punch *u)
{
	uint64_t pause = u->tries ? (uint64_t)PUNCH_FIRST_MS
					    << (u->tries < 7 ? u->tries - 1 : 6)
				  : PUNCH_SECOND_MS;

	if (u->tries && u->tries % PUNCH_TRIES == 0)
		(void)address_choose(u, 1);
	else if (!addr_is_set(&u->source))
		(void)address_choose(u, 0);
	if (addr_is_set(&u->source))
		punch_send(u, false);
	u->tries++;
	if (pause > PUNCH_RETRY_MAX_MS)
		pause = PUNCH_RETRY_MAX_MS;
	loop_timer_arm(u->timer, LOOP_MS(pause));
}

/* --- life of one end --------------------------------------------------------------------- */

/* @leave: tell the relay, unless another of our ends there has the same Path ID */
static void punch_drop(struct punch *u, bool leave)
{
	struct peer *p = u->p;
	struct loop_timer *timer = u->timer;
	struct route_relay relay = u->relay;

	for (size_t i = 0; i < PUNCHES_MAX; i++) {
		const struct punch *o = &p->punches.list[i];

		if (o != u && o->path_id == u->path_id &&
		    o->relay.id == u->relay.id)
			leave = false;
	}
	if (leave && u->answered_ns && addr_is_set(&u->source))
		punch_send(u, true);
	loop_timer_disarm(timer);
	ntmc_wipe(u, sizeof(*u));
	u->p = p;
	u->timer = timer;
	for (size_t i = 0; i < relay.n; i++)
		if (!punch_owns(p, &relay.addrs[i]))
			relayed_gone(p, &relay.addrs[i]);
}

static void swap(struct punch *x, struct punch *y)
{
	struct punch t = *x;
	struct loop_timer *tx = x->timer, *ty = y->timer;

	*x = *y;
	*y = t;
	x->timer = tx;
	y->timer = ty;
	ntmc_wipe(&t, sizeof(t));
}

static void rearm(struct punch *u)
{
	loop_timer_disarm(u->timer);
	if (u->path_id)
		loop_timer_arm(u->timer, u->bound ? LOOP_S(PUNCH_EVERY_S)
						  : LOOP_MS(PUNCH_FIRST_MS));
}

/* A place at the front; the older of both gives way. */
static struct punch *punch_place(struct peer *p)
{
	struct punch *l = p->punches.list;

	if (l[1].path_id)
		punch_drop(&l[1], true);
	if (l[0].path_id) {
		swap(&l[0], &l[1]);
		rearm(&l[1]);
		loop_timer_disarm(l[0].timer);
	}
	return &l[0];
}

int punch_fill(struct punch *u, uint64_t path_id,
	       const struct route_relay *relay, const struct ntmc_key *ktun,
	       enum ntmc_aead_alg aead)
{
	int err = datagram_punch_keys_of(ktun, path_id, aead, &u->keys);

	if (err)
		return err;
	u->path_id = path_id;
	u->relay = *relay;
	u->ktun = *ktun;
	u->aead = aead;
	u->made_ns = loop_now(u->p->w->loop);
	return 0;
}

void punch_route(struct peer *p, const struct route *r)
{
	uint64_t id = r->path_id | r->bit;
	struct punch *u;

	if (!r->relay.n)
		return;
	for (size_t i = 0; i < PUNCHES_MAX; i++) {
		u = &p->punches.list[i];
		if (u->path_id == id && u->relay.id == r->relay.id &&
		    ntmc_equal(u->ktun.b, r->ktun.b, NTMC_KEY_LEN))
			return;
	}
	u = punch_place(p);
	if (punch_fill(u, id, &r->relay, &r->ktun, r->aead)) {
		ntmc_wipe(&u->keys, sizeof(u->keys));
		return;
	}
	address_prefer(u);
	punch_go(u);
	if (addr_is_set(&u->source))
		relayed_named(p, &u->relay.addrs[u->at]);
}

/* Does anything of the peer go by this Path ID still? */
static bool wanted(const struct punch *u)
{
	const struct peer *p = u->p;
	uint64_t id = u->path_id & ~1ull, now = peer_now(p);

	if (p->state != PEER_IDLE && p->state != PEER_DOWN &&
	    ((p->path_id & ~1ull) == id || (p->route_path & ~1ull) == id))
		return true;
	if (shake_path(p) == id)
		return true;
	for (size_t i = 0; i < PEER_EXPECT_MAX; i++)
		if (p->expect[i].path_id == id && p->expect[i].expires_ns > now)
			return true;
	return false;
}

/* Does the other one hold the same end, under the keys that the relay has? */
static bool superseded(const struct punch *u)
{
	const struct punch *o = &u->p->punches.list[0];

	if (o == u)
		o++;
	return o->path_id == u->path_id && o->relay.id == u->relay.id &&
	       o->bound;
}

/* The way is another one for so long that this one is needed no more. */
static bool spare(const struct punch *u)
{
	const struct peer *p = u->p;
	const struct candidate *c = path_current(p);
	uint64_t now = peer_now(p);
	uint64_t heard = u->answered_ns ? u->answered_ns : u->made_ns;
	bool dead = now - heard > LOOP_S(PUNCH_DEAD_S);

	if (dead && superseded(u))
		return true;
	if (p->state != PEER_UP || !c || c->state != PATH_PROVEN ||
	    punch_is_at(u, &c->addr))
		return false;
	if (dead)
		return true;
	return now - u->made_ns > LOOP_S(PUNCH_DIRECT_S) &&
	       now - p->paths.since_ns > LOOP_S(PUNCH_DIRECT_S) &&
	       now - p->paths.relay_heard_ns > LOOP_S(PUNCH_HEARD_S);
}

static void punch_look(struct punch *u)
{
	if (u->path_id && (!wanted(u) || spare(u))) {
		log_debug(u->p->fqdn, "leaves its relay");
		punch_drop(u, true);
		peer_save(u->p);
	}
}

static void punch_due(void *arg)
{
	struct punch *u = arg;

	punch_look(u);
	if (!u->path_id)
		return;
	punch_go(u);
	if (u->tries == PUNCH_SILENT_TRIES && !superseded(u))
		peer_relay_silent(u->p);
}

void punch_tick(struct peer *p)
{
	for (size_t i = 0; i < PUNCHES_MAX; i++)
		punch_look(&p->punches.list[i]);
}

void punch_stop(struct peer *p)
{
	for (size_t i = 0; i < PUNCHES_MAX; i++)
		if (p->punches.list[i].path_id)
			punch_drop(&p->punches.list[i], true);
}

void punch_moved(struct peer *p)
{
	struct addr now;

	for (size_t i = 0; i < PUNCHES_MAX; i++) {
		struct punch *u = &p->punches.list[i];

		if (!u->path_id)
			continue;
		if (source_of(u, &u->relay.addrs[u->at], &now) &&
		    addr_equal_ip(&now, &u->source))
			continue;
		u->bound = u->has_cookie = false;
		u->cookies = u->tries = 0;
		addr_clear(&u->observed); /* that was elsewhere */
		(void)address_choose(u, 0);
		punch_go(u);
	}
}

void punch_woke(struct peer *p)
{
	for (size_t i = 0; i < PUNCHES_MAX; i++)
		addr_clear(&p->punches.list[i].source);
	punch_moved(p);
}

void punch_again(struct peer *p, const struct addr *a)
{
	for (size_t i = 0; i < PUNCHES_MAX; i++) {
		struct punch *u = &p->punches.list[i];

		if (!punch_is_at(u, a) ||
		    loop_now(p->w->loop) - u->sent_ns < LOOP_MS(PUNCH_FIRST_MS))
			continue;
		u->tries = 0;
		punch_go(u);
	}
}

/* --- answers --------------------------------------------------------------------------------- */

int punch_ack_open(const struct datagram_keys *keys,
		   const struct packet_header *h, uint8_t *buf, size_t len,
		   struct punch_answer *out)
{
	struct punch_answer a = {.sent_ms = 0};
	ProtobufCMessage *raw;
	const Ntm__HolePunchAck *m;
	int err = datagram_open(h, keys->aead, &keys->down, buf, len,
				&ntm__hole_punch_ack__descriptor, &raw);

	if (err)
		return err;
	m = (Ntm__HolePunchAck *)raw;
	a.sent_ms = m->sent_ms;
	a.code = (int)m->code;
	a.peer_code = (int)m->peer_code;
	a.echo = m->echo;
	a.bound = m->bound;
	a.peer_bound = m->peer_bound;
	a.has_cookie = m->cookie.len == sizeof(a.cookie);
	if (a.has_cookie)
		memcpy(a.cookie, m->cookie.data, sizeof(a.cookie));
	if (!m->observed || addr_from_message(m->observed, &a.observed))
		addr_clear(&a.observed);
	datagram_free(raw);
	*out = a;
	return 0;
}

static void limit_note(struct punch *u, const struct punch_answer *a)
{
	if (a->code && a->code != u->code)
		log_warn(u->p->fqdn, "the relay forwards no more: %s",
			 err_text(a->code));
	if (a->peer_code && a->peer_code != u->peer_code)
		log_warn(u->p->fqdn, "the relay forwards no more for it: %s",
			 err_text(a->peer_code));
	u->code = a->code;
	u->peer_code = a->peer_code;
}

static void punch_answered(struct punch *u, const struct punch_answer *a)
{
	struct peer *p = u->p;
	/* bound from elsewhere: a NAT has forgotten us, and what we sent is lost */
	bool was = u->bound && addr_equal(&u->observed, &a->observed);

	if (a->sent_ms == u->sent_ms)
		u->rtt_ns = loop_now_exact(p->w->loop) - u->sent_ns;
	u->acked_ms = a->sent_ms;
	u->answered_ns = peer_now(p);
	u->observed = a->observed;
	u->peer_bound = a->peer_bound;
	u->bound = a->bound;
	u->tries = 0;
	limit_note(u, a);
	if (a->bound && !a->echo)
		u->cookies = 0;
	loop_timer_arm(u->timer, LOOP_S(PUNCH_EVERY_S));
	u->has_cookie = a->has_cookie;
	if (a->has_cookie)
		memcpy(u->cookie, a->cookie, sizeof(u->cookie));
	if ((!a->bound || a->echo) && a->has_cookie) {
		if (u->cookies++ < PUNCH_COOKIES)
			punch_go(u);
		else
			loop_timer_arm(u->timer, LOOP_MS(PUNCH_RETRY_MAX_MS));
	}
	if (a->bound && !was)
		relayed_bound(p, &u->relay.addrs[u->at]);
}

void punch_datagram(struct worker *w, const struct packet_header *h,
		    uint8_t *buf, size_t len)
{
	struct peer *p = peers_find_path(w->peers, h->id);
	uint8_t copy[PACKET_SIGNAL_MAX]; /* a failed opening destroys it */
	struct punch_answer a;

	for (size_t i = 0; p && i < PUNCHES_MAX; i++) {
		struct punch *u = &p->punches.list[i];

		if (u->path_id != h->id || len > sizeof(copy))
			continue;
		memcpy(copy, buf, len);
		if (punch_ack_open(&u->keys, h, copy, len, &a))
			continue;
		if (a.sent_ms > u->acked_ms && a.sent_ms <= u->sent_ms)
			punch_answered(u, &a);
		return;
	}
}

void punch_resume(struct peer *p)
{
	for (size_t i = 0; i < PUNCHES_MAX; i++)
		if (p->punches.list[i].path_id)
			punch_go(&p->punches.list[i]);
}

/* --- life ------------------------------------------------------------------------------------------ */

int punch_init(struct peer *p)
{
	int err = 0;

	for (size_t i = 0; i < PUNCHES_MAX && !err; i++) {
		struct punch *u = &p->punches.list[i];

		u->p = p;
		err = loop_timer_new(p->w->loop, punch_due, u, &u->timer);
	}
	return err;
}

void punch_clear(struct peer *p)
{
	for (size_t i = 0; i < PUNCHES_MAX; i++) {
		struct punch *u = &p->punches.list[i];

		loop_timer_free(u->timer);
		ntmc_wipe(u, sizeof(*u));
	}
}
