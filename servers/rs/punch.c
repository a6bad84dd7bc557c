/* SPDX-License-Identifier: MIT */
/*
 * punch - Hole Punch: proves an end, binds it
 *
 * Theory of operation
 *
 * A thread handles a punch in its turn among the packets of that source, so what a
 * node sends behind its punch finds the end bound. Unknown Path IDs cost a look-up,
 * known ones one AEAD check with keys copied out of the path; nothing is kept before
 * that. An end is bound to
 *  - an address whose IP the DC has proven: at once, but not sure (paths.c): the
 *    answer asks for the cookie back;
 *  - any other: when a punch from there echoes the cookie of an answer sent there, a
 *    MAC of address, Path ID and time under a secret of the process;
 *  - the address it is bound to already: of course.
 * So nobody makes the RS send to an address whose owner did not ask: an answer goes
 * there, never longer than the punch, and nothing else. Each answer brings a cookie for
 * the next punch: who has left an address, or shares it with others, does not keep it.
 *
 * sent_ms must be later than any seen from that end: whoever records punches and
 * sends them again from elsewhere gets no answer.
 */
#include <string.h>

#include "servers/rs/punch_impl.h"

struct cookie_input {
	uint64_t ip[2], id;
	uint32_t time_s, port;
};

static void *arena_alloc(void *arg, size_t size)
{
	struct rs_thread *t = arg;
	void *p = t->arena + t->arena_used;

	size = (size + 15) & ~(size_t)15;
	if (size > THREAD_ARENA - t->arena_used)
		return NULL; /* unpacking fails: not a punch */
	t->arena_used += size;
	return p;
}

static void arena_free(void *arg, void *p)
{
	(void)arg;
	(void)p; /* all at once, with the next one */
}

/* --- cookie ------------------------------------------------------------------- */

static void cookie_make(const struct rs *rs, const struct remote *at,
			uint64_t id, uint32_t time_s,
			uint8_t out[static RS_COOKIE_LEN])
{
	struct cookie_input in = {.ip = {at->ip[0], at->ip[1]},
				  .id = id,
				  .time_s = time_s,
				  .port = at->port};
	uint8_t mac[NTMC_HASH_LEN];

	ntmc_hmac(rs->cookie_key.b, NTMC_KEY_LEN, &in, sizeof(in), mac);
	memcpy(out, &time_s, 4);
	memcpy(out + 4, mac, RS_COOKIE_LEN - 4);
}

bool punch_cookie(const struct rs *rs, const struct remote *at, uint64_t id,
		  const ProtobufCBinaryData *echo)
{
	uint8_t want[RS_COOKIE_LEN];
	uint32_t time_s;

	if (echo->len != RS_COOKIE_LEN)
		return false;
	memcpy(&time_s, echo->data, 4);
	if (rs_now_s(rs) - time_s > RS_COOKIE_S)
		return false;
	cookie_make(rs, at, id, time_s, want);
	return ntmc_equal(want, echo->data, RS_COOKIE_LEN);
}

/* --- keys and decision --------------------------------------------------------- */

static bool keys_copy(struct path *path, uint64_t id, struct datagram_keys *out,
		      uint32_t account[2])
{
	const struct path_end *e = &path->end[id & 1];
	bool same;

	paths_lock(path);
	same = atomic_load(&path->id) == (id & ~UINT64_C(1));
	out->aead = path->aead;
	out->up = e->up;
	out->down = e->down;
	account[0] = atomic_load(&e->account);
	account[1] = atomic_load(&path->end[~id & 1].account);
	paths_unlock(path);
	return same;
}

/* @cookie: the punch echoed one that is good for where it came from */
static void decide(struct rs *rs, struct path *path, uint64_t id,
		   const struct remote *from, const Ntm__HolePunch *q,
		   bool cookie, struct punch_verdict *out)
{
	struct path_end *e = &path->end[id & 1];

	paths_lock(path);
	out->old = atomic_load(&path->id) != (id & ~UINT64_C(1)) ||
		   q->sent_ms <= e->sent_ms;
	if (!out->old) {
		e->sent_ms = q->sent_ms;
		if (q->leave || out->code)
			paths_unbind(e);
		else if (cookie || paths_is_at(e, from) ||
			 !memcmp(e->proven, from->ip, sizeof(e->proven)))
			paths_bind(e, from, cookie, rs_now_s(rs));
		out->bound = paths_is_at(e, from);
		out->sure = out->bound && paths_is_sure(e);
		out->peer_bound = paths_is_bound(&path->end[~id & 1]);
	}
	paths_unlock(path);
}

/* --- the answer ------------------------------------------------------------------ */

static void observed(const struct remote *from, Ntm__Address *out)
{
	static const uint8_t prefix4[12] = {[10] = 0xff, [11] = 0xff};
	uint8_t *ip = (uint8_t *)from->ip;

	out->ip = memcmp(ip, prefix4, sizeof(prefix4))
			  ? (ProtobufCBinaryData){16, ip}
			  : (ProtobufCBinaryData){4, ip + 12};
	out->port = ntohs(from->port);
	out->kind = NTM__ADDRESS_KIND__ADDRESS_OBSERVED;
}

void punch_answer(struct rs_thread *t, struct arrival *a,
		  const struct packet_header *h,
		  const struct datagram_keys *keys, const Ntm__HolePunch *q,
		  const struct punch_verdict *v, uint8_t *buf, size_t len)
{
	struct packet_header ah = {.type = PACKET_HOLE_PUNCH_ACK,
				   .flags = h->flags & PACKET_PLACE,
				   .id = h->id};
	Ntm__HolePunchAck ack = NTM__HOLE_PUNCH_ACK__INIT;
	Ntm__Address at = NTM__ADDRESS__INIT;
	uint8_t cookie[RS_COOKIE_LEN], out[PACKET_SIGNAL_MAX];
	int n;

	observed(&a->from, &at);
	ack.sent_ms = q->sent_ms;
	ack.code = (uint32_t)-v->code;
	ack.peer_code = (uint32_t)-v->peer_code;
	ack.bound = v->bound;
	ack.echo = v->bound && !v->sure;
	ack.peer_bound = v->peer_bound;
	ack.places = v->places;
	ack.observed = &at;
	ack.lifetime_s = PATHS_LIFETIME_S;
	if (!v->code && !q->leave) {
		cookie_make(t->rs, &a->from, h->id, rs_now_s(t->rs), cookie);
		ack.cookie = (ProtobufCBinaryData){sizeof(cookie), cookie};
	}
	ntmc_random(NULL, &ah.counter, sizeof(ah.counter));
	n = datagram_seal(&ah, keys->aead, &keys->down, &ack.base, out);
	if (n < 0 || (size_t)n > len) {
		STAT_ADD(t->stats.short_punch, 1);
		return;
	}
	memcpy(buf, out, (size_t)n);
	arrival_local(t, a);
	outbox_add(&t->outbox, 0, &a->from, 0, buf, (size_t)n, (uint16_t)n);
}

const Ntm__HolePunch *punch_open(struct rs_thread *t,
				 const struct packet_header *h,
				 const struct datagram_keys *keys, uint8_t *buf,
				 size_t len)
{
	ProtobufCAllocator arena = {arena_alloc, arena_free, t};
	Ntm__HolePunch *q;

	if (len > PACKET_SIGNAL_MAX ||
	    ntmc_open_once(keys->aead, &keys->up, h->counter, buf,
			   PACKET_HEADER_LEN, buf + PACKET_HEADER_LEN,
			   len - PACKET_HEADER_LEN))
		return NULL;
	t->arena_used = 0;
	q = ntm__hole_punch__unpack(&arena, len - PACKET_OVERHEAD,
				    buf + PACKET_HEADER_LEN);
	return q && !datagram_check(&q->base) ? q : NULL;
}

void punch_receive(struct rs_thread *t, struct arrival *a,
		   const struct packet_header *h, uint8_t *buf, size_t len)
{
	struct rs *rs = t->rs;
	uint32_t handle = paths_find(&rs->paths, h->id), account[2];
	struct datagram_keys keys;
	const Ntm__HolePunch *q;
	struct punch_verdict v = {.code = 0};
	struct path *path;

	if (!handle || !keys_copy(path = paths_at(&rs->paths, handle), h->id,
				  &keys, account)) {
		STAT_ADD(t->stats.unknown_path, 1);
		return;
	}
	q = punch_open(t, h, &keys, buf, len);
	if (!q) {
		STAT_ADD(t->stats.bad_punch, 1);
	} else {
		arrival_local(t, a);
		if (quota_is_over(&rs->quota, account[0]))
			v.code = -NTM_ELIMIT;
		if (quota_is_over(&rs->quota, account[1]))
			v.peer_code = -NTM_ELIMIT;
		decide(rs, path, h->id, &a->from, q,
		       punch_cookie(rs, &a->from, h->id, &q->cookie), &v);
		STAT_ADD(t->stats.punches, 1);
		if (v.old)
			STAT_ADD(t->stats.old_punch, 1);
		else
			punch_answer(t, a, h, &keys, q, &v, buf, len);
	}
	datagram_keys_clear(&keys);
}
