/* SPDX-License-Identifier: MIT */
/*
 * paths - the relayed paths: who is at either end, under which keys they punch
 *
 * Theory of operation
 *
 * Places lie in one array; a bucket holds the handle of the first of its chain.
 * The control thread alone changes chains. It publishes a new path by storing its
 * handle last, and takes one out by one store; a reader that stands on a path just
 * taken out still finds the rest of the chain, since a place lies idle for
 * REUSE_AFTER_S before it is used again, unless all are in use. Should a reader
 * sleep for that long, it walks into another chain, meets no path of its id (or the
 * right one), and is stopped by WALK_MAX: a packet is lost, nothing else.
 * Chains and not open addressing: a deletion there moves other entries or leaves
 * tombstones that somebody must sweep under the readers' feet.
 *
 * What a reader needs of an end (address, port, account) are atomic words under a
 * sequence lock: odd while somebody writes; a reader that saw it odd or changed
 * reads again, VIEW_TRIES times at most, so that a writer that was preempted costs
 * packets of its path and not a processor.
 *
 * An end is bound where a punch of it came from, but whoever knows its keys may write
 * any source into a packet, be it an address that was its own yesterday. So an end is
 * sure only while cookies come back from where it is; while it is not, it gets
 * PATHS_CREDIT bytes in all, which is enough for a handshake and a first window. A
 * cookie alone fills that again.
 *
 * The same word is the writers' lock. They hold it for a few stores, with no call
 * of the system and no cryptography inside: keys are copied out first.
 */
#include "servers/rs/paths.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "servers/keyhash.h"

#define WALK_MAX      64   /* of a chain; half-full buckets hold one or two */
#define VIEW_TRIES    1000 /* some microseconds */
#define REUSE_AFTER_S 2

/* struct path_end.at: port (as in memory) << 16 | listen << 8 | local, and: */
#define AT_BOUND (UINT64_C(1) << 32)
#define AT_SURE	 (UINT64_C(1) << 33)

/* --- memory ------------------------------------------------------------------ */

size_t paths_bytes(uint32_t size)
{
	return size * sizeof(struct path) +
	       keyhash_buckets(size) * sizeof(uint32_t);
}

int paths_init(struct paths *p, uint32_t size)
{
	memset(p, 0, sizeof(*p));
	if (!size || size > PATHS_MAX)
		return -NTM_EINVAL;
	p->size = size;
	p->n_buckets = keyhash_buckets(size);
	/* untouched pages of these cost nothing until paths lie there */
	p->all = calloc(size, sizeof(*p->all));
	p->buckets = calloc(p->n_buckets, sizeof(*p->buckets));
	if (!p->all || !p->buckets) {
		paths_clear(p);
		return -NTM_ENOMEM;
	}
	ntmc_random(NULL, &p->salt, sizeof(p->salt));
	return 0;
}

void paths_clear(struct paths *p)
{
	if (p->all)
		ntmc_wipe(p->all, p->top * sizeof(*p->all));
	free(p->all);
	free(p->buckets);
	memset(p, 0, sizeof(*p));
}

/* --- finding ----------------------------------------------------------------- */

/* Path IDs are the DC's random numbers; the salt keeps a bad DC from choosing */
static _Atomic uint32_t *bucket(const struct paths *p, uint64_t id)
{
	uint64_t h = ((id >> 1) ^ p->salt) * UINT64_C(0x9e3779b97f4a7c15);

	return &p->buckets[(h >> 32) & (p->n_buckets - 1)];
}

uint32_t paths_find(const struct paths *p, uint64_t id)
{
	uint32_t h = atomic_load_explicit(bucket(p, id), memory_order_acquire);

	id &= ~UINT64_C(1);
	for (unsigned int i = 0; h && i < WALK_MAX; i++) {
		struct path *path = paths_at(p, h);

		if (atomic_load_explicit(&path->id, memory_order_relaxed) == id)
			return h;
		h = atomic_load_explicit(&path->next, memory_order_acquire);
	}
	return 0;
}

/* --- ends -------------------------------------------------------------------- */

static uint64_t load(const _Atomic uint64_t *v)
{
	return atomic_load_explicit(v, memory_order_relaxed);
}

static void store(_Atomic uint64_t *v, uint64_t value)
{
	atomic_store_explicit(v, value, memory_order_relaxed);
}

/* Return: AT_BOUND, AT_SURE */
static uint64_t end_read(const struct path_end *e, struct remote *out)
{
	uint64_t at = load(&e->at);

	out->ip[0] = load(&e->ip[0]);
	out->ip[1] = load(&e->ip[1]);
	out->port = (uint16_t)(at >> 16);
	out->listen = (uint8_t)(at >> 8);
	out->local = (uint8_t)at;
	return at & (AT_BOUND | AT_SURE);
}

bool paths_view(const struct path *path, uint64_t id, struct path_view *out)
{
	const struct path_end *to = &path->end[id & 1],
			      *from = &path->end[~id & 1];
	uint64_t found, how;

	for (unsigned int i = 0; i < VIEW_TRIES; i++) {
		uint32_t before =
			atomic_load_explicit(&path->lock, memory_order_acquire);

		if (before & 1)
			continue;
		found = load(&path->id);
		how = end_read(to, &out->receiver);
		out->receiver_bound = how & AT_BOUND;
		out->receiver_sure = how & AT_SURE;
		out->sender_bound = end_read(from, &out->sender) & AT_BOUND;
		out->account = atomic_load_explicit(&from->account,
						    memory_order_relaxed);
		atomic_thread_fence(memory_order_acquire);
		if (atomic_load_explicit(&path->lock, memory_order_relaxed) ==
		    before)
			return found == (id & ~UINT64_C(1));
	}
	return false;
}

size_t paths_take_credit(struct path *path, uint64_t id, size_t bytes,
			 uint16_t size)
{
	_Atomic uint32_t *credit = &path->end[id & 1].credit;
	uint32_t was = atomic_load_explicit(credit, memory_order_relaxed), take;

	do {
		take = bytes <= was ? (uint32_t)bytes : was / size * size;
	} while (take && !atomic_compare_exchange_weak_explicit(
				 credit, &was, was - take, memory_order_relaxed,
				 memory_order_relaxed));
	return take;
}

void paths_lock(struct path *path)
{
	for (unsigned int i = 0;; i++) {
		uint32_t v =
			atomic_load_explicit(&path->lock, memory_order_relaxed);

		if (!(v & 1) &&
		    atomic_compare_exchange_weak_explicit(
			    &path->lock, &v, v + 1, memory_order_acquire,
			    memory_order_relaxed))
			break;
		if (i > VIEW_TRIES) /* its holder may wait for this CPU */
			sched_yield();
	}
	/* readers see it odd before they see what is written */
	atomic_thread_fence(memory_order_release);
}

void paths_unlock(struct path *path)
{
	atomic_fetch_add_explicit(&path->lock, 1, memory_order_release);
}

void paths_bind(struct path_end *e, const struct remote *at, bool cookie,
		uint32_t now_s)
{
	bool sure = cookie || (paths_is_at(e, at) && paths_is_sure(e));

	if (cookie) {
		e->sure_s = now_s;
		atomic_store_explicit(&e->credit, PATHS_CREDIT,
				      memory_order_relaxed);
	}
	store(&e->ip[0], at->ip[0]);
	store(&e->ip[1], at->ip[1]);
	store(&e->at, AT_BOUND | (sure ? AT_SURE : 0) |
			      (uint64_t)at->port << 16 |
			      (uint64_t)at->listen << 8 | at->local);
	e->heard_s = now_s;
}

void paths_unbind(struct path_end *e)
{
	store(&e->at, 0);
	store(&e->ip[0], 0);
	store(&e->ip[1], 0);
	e->heard_s = 0;
}

bool paths_is_bound(const struct path_end *e)
{
	return load(&e->at) & AT_BOUND;
}

bool paths_is_sure(const struct path_end *e)
{
	return load(&e->at) & AT_SURE;
}

bool paths_is_at(const struct path_end *e, const struct remote *at)
{
	struct remote now;

	return end_read(e, &now) & AT_BOUND && remote_same(&now, at);
}

/* --- the control thread ---------------------------------------------------------- */

static uint32_t place_take(struct paths *p, uint32_t now_s)
{
	uint32_t h = p->free_first;

	if (p->top < p->size &&
	    (!h || now_s - paths_at(p, h)->freed_s < REUSE_AFTER_S))
		return ++p->top;
	if (!h)
		return 0;
	p->free_first = paths_at(p, h)->next_free;
	if (!p->free_first)
		p->free_last = 0;
	return h;
}

static void write_keys(struct path *path, const struct path_keys *k)
{
	path->aead = (uint8_t)k->aead;
	path->owner = k->owner;
	for (int i = 0; i < 2; i++) {
		struct path_end *e = &path->end[i];

		/* what was recorded under other keys does not open any more */
		if (!ntmc_equal(&e->up, &k->end[i].up, sizeof(e->up)))
			e->sent_ms = 0;
		e->up = k->end[i].up;
		e->down = k->end[i].down;
		memcpy(e->proven, k->proven[i], sizeof(e->proven));
		atomic_store_explicit(&e->account, k->account[i],
				      memory_order_relaxed);
	}
}

/* of the same two accounts, whichever end they are */
static bool same_accounts(const struct path *path, const struct path_keys *k)
{
	uint32_t a = atomic_load(&path->end[0].account);
	uint32_t b = atomic_load(&path->end[1].account);

	return (a == k->account[0] && b == k->account[1]) ||
	       (a == k->account[1] && b == k->account[0]);
}

int paths_put(struct paths *p, const struct path_keys *k, uint32_t now_s,
	      uint32_t old[2])
{
	_Atomic uint32_t *b = bucket(p, k->id);
	uint32_t h = paths_find(p, k->id);
	struct path *path;

	old[0] = old[1] = 0;
	if (h) {
		path = paths_at(p, h);
		if (path->owner != k->owner || !same_accounts(path, k))
			return -NTM_EEXISTS;
		for (int i = 0; i < 2; i++)
			old[i] = atomic_load(&path->end[i].account);
		paths_lock(path);
		write_keys(path, k);
		path->made_s = now_s;
		paths_unlock(path);
		return 0;
	}
	h = place_take(p, now_s);
	if (!h)
		return -NTM_ELIMIT;
	path = paths_at(p, h);
	paths_lock(path);
	for (int i = 0; i < 2; i++) {
		paths_unbind(&path->end[i]);
		path->end[i].sent_ms = 0;
		atomic_store_explicit(&path->end[i].credit, PATHS_CREDIT,
				      memory_order_relaxed);
	}
	write_keys(path, k);
	path->made_s = now_s;
	store(&path->id, k->id);
	paths_unlock(path);
	atomic_store_explicit(&path->next, atomic_load(b),
			      memory_order_relaxed);
	atomic_store_explicit(b, h, memory_order_release);
	p->used++;
	return 0;
}

static void chain_remove(struct paths *p, uint32_t h)
{
	struct path *path = paths_at(p, h);
	_Atomic uint32_t *at = bucket(p, load(&path->id));

	while (atomic_load(at) != h)
		at = &paths_at(p, atomic_load(at))->next;
	atomic_store_explicit(at, atomic_load(&path->next),
			      memory_order_release);
}

void paths_remove(struct paths *p, uint32_t handle, uint32_t now_s)
{
	struct path *path = paths_at(p, handle);

	chain_remove(p, handle);
	paths_lock(path);
	for (int i = 0; i < 2; i++) {
		paths_unbind(&path->end[i]);
		ntmc_key_clear(&path->end[i].up);
		ntmc_key_clear(&path->end[i].down);
		atomic_store_explicit(&path->end[i].account, 0,
				      memory_order_relaxed);
	}
	store(&path->id, 0);
	path->fresh = 0;
	path->freed_s = now_s;
	path->next_free = 0;
	paths_unlock(path);
	if (p->free_last)
		paths_at(p, p->free_last)->next_free = handle;
	else
		p->free_first = handle;
	p->free_last = handle;
	p->used--;
}

/* Return: is the path over? */
static bool path_age(struct path *path, uint32_t now_s)
{
	bool over = now_s - path->made_s > PATHS_LIFETIME_S;

	paths_lock(path);
	for (int i = 0; i < 2; i++) {
		struct path_end *e = &path->end[i];

		if (e->heard_s && now_s - e->heard_s > PATHS_LIFETIME_S)
			paths_unbind(e);
		if (paths_is_sure(e) && now_s - e->sure_s > PATHS_SURE_S)
			store(&e->at, load(&e->at) & ~AT_SURE);
		over = over && !paths_is_bound(e);
	}
	paths_unlock(path);
	return over;
}

void paths_sweep(struct paths *p, uint32_t n, uint32_t now_s, paths_fn *gone,
		 paths_fn *bound, void *arg)
{
	if (n > p->top)
		n = p->top;
	while (n--) {
		struct path *path;

		if (++p->swept > p->top)
			p->swept = 1;
		path = paths_at(p, p->swept);
		if (!load(&path->id))
			continue;
		if (path->fresh && (paths_is_bound(&path->end[0]) ||
				    paths_is_bound(&path->end[1]))) {
			bound(arg, path);
			path->fresh = 0;
		}
		if (!path_age(path, now_s))
			continue;
		gone(arg, path);
		paths_remove(p, p->swept, now_s);
	}
}
