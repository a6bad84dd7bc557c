/* SPDX-License-Identifier: MIT */
/*
 * groups - the epochs of groups whose packets this relay replicates, and who is there
 *
 * Theory of operation
 *
 * A group packet names its epoch by a tag. Group Direction brings tag, K_relay (the
 * hop's key), how many places there are and the bind key, of which each place's Kpunch
 * is derived. So one datagram says all, however large the group; no name or Node ID
 * comes here, and who is a member of another domain is like any other. A member binds
 * its place by Hole Punch (punch.c) with the key that the GMS gave it alone: no member
 * can take another one's place. It is there only while it echoes cookies, since what is
 * sent to one goes to thousands: no address is written to that did not ask.
 *
 * Each epoch begins with empty places. Whoever was removed has no place in the new
 * one, and nothing has to be taken from him here.
 *
 * Memory. An epoch is allocated by the control thread when it is directed, and linked
 * into its chain by one store. Threads follow chains without a lock. One that is over
 * is taken out by one store, and freed when no thread can stand on it: each thread's
 * counter of turns is odd during a turn, so an even one, or another one than it was, is
 * enough. Turns end in milliseconds; the clock looks every 250.
 *
 * What a thread needs of a place is read under a sequence lock, as with paths: odd
 * while somebody writes. It is written for a few stores, with no call of the system.
 *
 * Limits: epochs at once (rs.groups); GROUPS_PLACES_MAX of each; lifetime as directed,
 * a day at most.
 */
#include "servers/rs/groups.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>

#define READ_TRIES 1000 /* some microseconds */

/* struct group_place.at: port (as in memory) << 16 | listen << 8 | local, and: */
#define AT_BOUND (UINT64_C(1) << 32)

/* --- memory ---------------------------------------------------------------------- */

int groups_init(struct groups *g, uint32_t size)
{
	memset(g, 0, sizeof(*g));
	g->size = size;
	for (g->n_buckets = 16; g->n_buckets < size;)
		g->n_buckets *= 2;
	g->buckets = calloc(g->n_buckets, sizeof(*g->buckets));
	if (!g->buckets)
		return -NTM_ENOMEM;
	ntmc_random(NULL, &g->salt, sizeof(g->salt));
	return 0;
}

static void here_free(struct group_here *h)
{
	ntmc_wipe(h, sizeof(*h));
	free(h);
}

void groups_clear(struct groups *g)
{
	struct group_here *h;

	for (uint32_t i = 0; g->buckets && i < g->n_buckets; i++)
		while ((h = atomic_load(&g->buckets[i]))) {
			atomic_store(&g->buckets[i], atomic_load(&h->next));
			here_free(h);
		}
	while ((h = g->dying)) {
		g->dying = h->dying;
		here_free(h);
	}
	free(g->buckets);
	memset(g, 0, sizeof(*g));
}

void groups_add_thread(struct groups *g, const _Atomic uint64_t *turn)
{
	g->turns[g->n_turns++] = turn;
}

/* Every turn that began before the epoch was taken out has ended. */
static bool is_unseen(const struct groups *g, const struct group_here *h)
{
	for (unsigned int i = 0; i < g->n_turns; i++)
		if (h->turns[i] & 1 && atomic_load(g->turns[i]) == h->turns[i])
			return false;
	return true;
}

static void free_dying(struct groups *g)
{
	struct group_here **at = &g->dying, *h;

	while ((h = *at)) {
		if (!is_unseen(g, h)) {
			at = &h->dying;
			continue;
		}
		*at = h->dying;
		here_free(h);
	}
}

/* --- finding --------------------------------------------------------------------- */

/* tags are hashes; the salt keeps a bad GMS from choosing */
static _Atomic(struct group_here *) *bucket(const struct groups *g,
					    uint64_t tag)
{
	uint64_t h = (tag ^ g->salt) * UINT64_C(0x9e3779b97f4a7c15);

	return &g->buckets[(h >> 32) & (g->n_buckets - 1)];
}

struct group_here *groups_find(const struct groups *g, uint64_t tag)
{
	struct group_here *h;

	if (!g->buckets)
		return NULL;
	/* sequentially consistent, as the turn before it: whoever is not seen in
	 * a turn does not see what was taken out */
	for (h = atomic_load(bucket(g, tag)); h && h->tag != tag;)
		h = atomic_load(&h->next);
	return h;
}

/* --- the control thread ------------------------------------------------------------ */

static struct group_here *here_new(const struct group_direction *d)
{
	struct group_here *h =
		calloc(1, sizeof(*h) + d->places * sizeof(h->places[0]));

	if (!h)
		return NULL;
	h->tag = d->tag;
	memcpy(h->relay_key.b, d->relay_key, NTMC_KEY_LEN);
	memcpy(h->bind_key.b, d->bind_key, NTMC_KEY_LEN);
	h->aead = d->aead;
	h->account = d->account;
	h->owner = d->owner;
	h->n = d->places;
	return h;
}

static bool is_same(const struct group_here *h, const struct group_direction *d)
{
	return h->n == d->places && h->aead == d->aead &&
	       h->account == d->account &&
	       ntmc_equal(h->relay_key.b, d->relay_key, NTMC_KEY_LEN) &&
	       ntmc_equal(h->bind_key.b, d->bind_key, NTMC_KEY_LEN);
}

int groups_put(struct groups *g, const struct group_direction *d,
	       uint32_t now_s, uint32_t *old)
{
	struct group_here *h = groups_find(g, d->tag), *fresh;
	_Atomic(struct group_here *) *b = bucket(g, d->tag);

	*old = 0;
	if (h && h->owner != d->owner)
		return -NTM_EEXISTS;
	if (h && is_same(h, d)) {
		*old = d->account;
		atomic_store(&h->ends_s, now_s + d->lifetime_s);
		return 0;
	}
	if (!h && g->used >= g->size)
		return -NTM_ELIMIT;
	fresh = here_new(d);
	if (!fresh)
		return -NTM_ENOMEM;
	if (h) {
		*old = h->account;
		groups_end(g, h);
	}
	fresh->number = ++g->last_number;
	atomic_store(&fresh->ends_s, now_s + d->lifetime_s);
	atomic_store(&fresh->next, atomic_load(b));
	atomic_store(b, fresh);
	g->used++;
	return 0;
}

void groups_end(struct groups *g, struct group_here *h)
{
	_Atomic(struct group_here *) *at = bucket(g, h->tag);

	while (atomic_load(at) != h)
		at = &atomic_load(at)->next;
	atomic_store(at, atomic_load(&h->next));
	for (unsigned int i = 0; i < g->n_turns; i++)
		h->turns[i] = atomic_load(g->turns[i]);
	h->dying = g->dying;
	g->dying = h;
	g->used--;
}

uint32_t groups_end_account(struct groups *g, uint8_t owner, uint32_t account,
			    groups_fn *gone, void *arg)
{
	struct group_here *h, *next;
	uint32_t n = 0;

	for (uint32_t i = 0; account && i < g->n_buckets; i++)
		for (h = atomic_load(&g->buckets[i]); h; h = next) {
			next = atomic_load(&h->next);
			if (h->owner != owner || h->account != account)
				continue;
			gone(arg, h);
			groups_end(g, h);
			n++;
		}
	return n;
}

static void place_lock(struct group_place *p)
{
	for (unsigned int i = 0;; i++) {
		uint32_t v =
			atomic_load_explicit(&p->lock, memory_order_relaxed);

		if (!(v & 1) &&
		    atomic_compare_exchange_weak_explicit(&p->lock, &v, v + 1,
							  memory_order_acquire,
							  memory_order_relaxed))
			break;
		if (i > READ_TRIES) /* its holder may wait for this CPU */
			sched_yield();
	}
	/* readers see it odd before they see what is written */
	atomic_thread_fence(memory_order_release);
}

static void place_unlock(struct group_place *p)
{
	atomic_fetch_add_explicit(&p->lock, 1, memory_order_release);
}

static uint64_t load(const _Atomic uint64_t *v)
{
	return atomic_load_explicit(v, memory_order_relaxed);
}

static void place_set(struct group_place *p, const struct remote *at)
{
	atomic_store_explicit(&p->ip[0], at ? at->ip[0] : 0,
			      memory_order_relaxed);
	atomic_store_explicit(&p->ip[1], at ? at->ip[1] : 0,
			      memory_order_relaxed);
	atomic_store_explicit(&p->at,
			      at ? AT_BOUND | (uint64_t)at->port << 16 |
					      (uint64_t)at->listen << 8 |
					      at->local
				 : 0,
			      memory_order_relaxed);
}

static void sweep_places(struct group_here *h, uint32_t now_s)
{
	for (uint32_t i = 0; i < h->n; i++) {
		struct group_place *p = &h->places[i];

		if (!(load(&p->at) & AT_BOUND) ||
		    now_s - atomic_load(&p->heard_s) <= GROUPS_PLACE_S)
			continue;
		place_lock(p);
		if (now_s - atomic_load(&p->heard_s) > GROUPS_PLACE_S)
			place_set(p, NULL);
		place_unlock(p);
	}
}

void groups_sweep(struct groups *g, uint32_t now_s, groups_fn *gone, void *arg)
{
	struct group_here *h, *next;

	free_dying(g);
	if (now_s == g->swept_s)
		return;
	g->swept_s = now_s;
	for (uint32_t i = 0; g->used && i < g->n_buckets; i++)
		for (h = atomic_load(&g->buckets[i]); h; h = next) {
			next = atomic_load(&h->next);
			if (now_s < atomic_load(&h->ends_s)) {
				sweep_places(h, now_s);
				continue;
			}
			gone(arg, h);
			groups_end(g, h);
		}
}

/* --- places -------------------------------------------------------------------------- */

bool groups_at(const struct group_place *p, struct remote *out)
{
	uint64_t at;

	for (unsigned int i = 0; i < READ_TRIES; i++) {
		uint32_t before =
			atomic_load_explicit(&p->lock, memory_order_acquire);

		if (before & 1)
			continue;
		at = load(&p->at);
		out->ip[0] = load(&p->ip[0]);
		out->ip[1] = load(&p->ip[1]);
		atomic_thread_fence(memory_order_acquire);
		if (atomic_load_explicit(&p->lock, memory_order_relaxed) !=
		    before)
			continue;
		out->port = (uint16_t)(at >> 16);
		out->listen = (uint8_t)(at >> 8);
		out->local = (uint8_t)at;
		return at & AT_BOUND;
	}
	return false;
}

int groups_place_keys(const struct group_here *h, uint32_t place,
		      struct datagram_keys *out)
{
	struct ntmc_key kpunch;
	int r = datagram_place_secret(&h->bind_key, h->tag, place, &kpunch);

	if (!r)
		r = datagram_place_keys(&kpunch, h->tag, h->aead, out);
	ntmc_key_clear(&kpunch);
	return r;
}

bool groups_punch(struct group_place *p, enum group_wish wish,
		  const struct remote *from, uint64_t sent_ms, uint32_t now_s,
		  bool *bound)
{
	struct remote at;
	bool good;

	*bound = false;
	place_lock(p);
	good = sent_ms > p->sent_ms;
	if (good) {
		p->sent_ms = sent_ms;
		if (wish == GROUP_WISH_LEAVE)
			place_set(p, NULL);
		if (wish == GROUP_WISH_BIND) {
			place_set(p, from);
			atomic_store(&p->heard_s, now_s);
		}
	}
	place_unlock(p);
	if (good)
		*bound = groups_at(p, &at) && remote_same(&at, from);
	return good;
}

size_t groups_places(const struct group_here *h,
		     uint8_t out[static GROUPS_PLACES_MAX / 8])
{
	size_t len = (h->n + 7) / 8;

	memset(out, 0, len);
	for (uint32_t i = 0; i < h->n; i++)
		if (load(&h->places[i].at) & AT_BOUND)
			out[i / 8] |= (uint8_t)(1u << i % 8);
	return len;
}

uint32_t groups_bound(const struct groups *g)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < g->n_buckets; i++)
		for (const struct group_here *h = atomic_load(&g->buckets[i]);
		     h; h = atomic_load(&h->next))
			for (uint32_t k = 0; k < h->n; k++)
				n += (load(&h->places[k].at) & AT_BOUND) != 0;
	return n;
}
