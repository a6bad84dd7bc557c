/* SPDX-License-Identifier: MIT */
/* limiter - growing delay for whoever fails: per account, per source */
#include "servers/as/limiter.h"

#include <stdlib.h>

#include "servers/keyhash.h"

#define NS 1000000000u

struct bucket {
	uint64_t until, last; /* monotonic ns; 0: never */
	unsigned int failures;
};

struct limiter {
	struct keyhash hash;
	unsigned int max_wait_s;
	struct bucket buckets[LIMITER_BUCKETS];
};

int limiter_new(unsigned int max_wait_s, struct limiter **out)
{
	struct limiter *l = calloc(1, sizeof(*l));

	if (!l)
		return -NTM_ENOMEM;
	keyhash_init(&l->hash);
	l->max_wait_s = max_wait_s;
	*out = l;
	return 0;
}

void limiter_free(struct limiter *l)
{
	free(l);
}

static size_t bucket_of(const struct limiter *l, const void *key, size_t len)
{
	return keyhash(&l->hash, key, len) % LIMITER_BUCKETS;
}

unsigned int limiter_wait_s(const struct limiter *l, const void *key,
			    size_t len, uint64_t now)
{
	const struct bucket *b = &l->buckets[bucket_of(l, key, len)];

	if (b->until <= now)
		return 0;
	return (unsigned int)((b->until - now + NS - 1) / NS);
}

void limiter_failure(struct limiter *l, const void *key, size_t len,
		     uint64_t now)
{
	struct bucket *b = &l->buckets[bucket_of(l, key, len)];
	uint64_t wait;

	if (b->last && now - b->last > (uint64_t)LIMITER_FORGET_S * NS)
		b->failures = 0;
	b->last = now;
	if (++b->failures < LIMITER_FREE)
		return;
	wait = b->failures - LIMITER_FREE < 16
		       ? 1u << (b->failures - LIMITER_FREE)
		       : l->max_wait_s;
	if (wait > l->max_wait_s)
		wait = l->max_wait_s;
	b->until = now + wait * NS;
}

void limiter_success(struct limiter *l, const void *key, size_t len)
{
	struct bucket *b = &l->buckets[bucket_of(l, key, len)];

	b->failures = 0;
	b->until = b->last = 0;
}

void limiter_take_back(struct limiter *l, const void *key, size_t len)
{
	struct bucket *b = &l->buckets[bucket_of(l, key, len)];

	if (b->failures)
		b->failures--;
	b->until = 0;
}
