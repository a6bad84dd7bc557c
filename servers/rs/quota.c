/* SPDX-License-Identifier: MIT */
/*
 * quota - what each account may send through this relay: a rate, a daily amount
 *
 * The rate is one word an account: the time up to which it has paid. A byte costs
 * 1/rate seconds; who is in debt by less than the burst may send. So a charge is one
 * compare-and-swap, whatever the number of threads.
 */
#include "servers/rs/quota.h"

#include <stdlib.h>
#include <string.h>

#define NS 1000000000u

size_t quota_bytes(uint32_t size)
{
	return size * sizeof(struct quota_account) +
	       keyhash_buckets(size) * sizeof(uint32_t);
}

int quota_init(struct quota *q, uint32_t size)
{
	memset(q, 0, sizeof(*q));
	q->size = size;
	q->n_buckets = keyhash_buckets(size);
	q->all = calloc(size, sizeof(*q->all));
	q->buckets = calloc(q->n_buckets, sizeof(*q->buckets));
	if (!q->all || !q->buckets) {
		quota_clear(q);
		return -NTM_ENOMEM;
	}
	keyhash_init(&q->hash);
	return 0;
}

void quota_clear(struct quota *q)
{
	free(q->all);
	free(q->buckets);
	memset(q, 0, sizeof(*q));
}

void quota_set(struct quota *q, uint64_t rate, uint64_t daily)
{
	atomic_store_explicit(&q->rate, rate, memory_order_relaxed);
	atomic_store_explicit(&q->daily, daily, memory_order_relaxed);
}

/* --- accounts: the control thread -------------------------------------------------- */

static struct quota_account *at(const struct quota *q, uint32_t handle)
{
	return &q->all[handle - 1];
}

static uint32_t *bucket(const struct quota *q, const char *name)
{
	return &q->buckets[keyhash(&q->hash, name, strlen(name)) &
			   (q->n_buckets - 1)];
}

uint32_t quota_fresh(struct quota *q, uint32_t handle, int n)
{
	if (!handle)
		return 0;
	at(q, handle)->fresh += (uint32_t)n;
	return at(q, handle)->fresh;
}

uint32_t quota_find(const struct quota *q, const char *name)
{
	uint32_t h = *bucket(q, name);

	while (h && strcmp(at(q, h)->name, name))
		h = at(q, h)->next;
	return h;
}

int quota_get(struct quota *q, const char *name, uint32_t *out)
{
	struct quota_account *a;
	uint32_t h, *b;

	*out = 0;
	if (!*name)
		return 0;
	h = quota_find(q, name);
	if (!h) {
		if (strlen(name) > QUOTA_NAME_MAX ||
		    (!q->free && q->top == q->size))
			return -NTM_ELIMIT;
		b = bucket(q, name);
		h = q->free ? q->free : ++q->top;
		a = at(q, h);
		q->free = q->free ? a->next : 0;
		memset(a, 0, sizeof(*a));
		strcpy(a->name, name);
		a->next = *b;
		*b = h;
		q->used++;
	}
	at(q, h)->refs++;
	*out = h;
	return 0;
}

void quota_put(struct quota *q, uint32_t handle)
{
	if (handle)
		at(q, handle)->refs--;
}

static void forget(struct quota *q, uint32_t h)
{
	struct quota_account *a = at(q, h);
	uint32_t *p = bucket(q, a->name);

	while (*p != h)
		p = &at(q, *p)->next;
	*p = a->next;
	a->name[0] = '\0';
	a->next = q->free;
	q->free = h;
	q->used--;
}

void quota_day(struct quota *q, int64_t day)
{
	if (day == q->day)
		return;
	q->day = day;
	for (uint32_t h = 1; h <= q->top; h++) {
		atomic_store_explicit(&at(q, h)->today, 0,
				      memory_order_relaxed);
		if (at(q, h)->name[0] && !at(q, h)->refs)
			forget(q, h);
	}
}

/* --- charging: any thread ------------------------------------------------------------ */

/* how many of @n datagrams the rate lets through; they are paid for */
static uint32_t charge_rate(struct quota_account *a, uint64_t rate, uint32_t n,
			    uint32_t size, uint64_t now)
{
	uint64_t burst = rate * QUOTA_BURST_MS / 1000, cost, paid, from;
	uint32_t go;

	if (burst < QUOTA_BURST_MIN)
		burst = QUOTA_BURST_MIN;
	burst = (uint64_t)((double)burst * NS / (double)rate);
	cost = (uint64_t)((double)size * NS / (double)rate) + 1;
	paid = atomic_load_explicit(&a->paid_ns, memory_order_relaxed);
	do {
		from = paid > now ? paid : now;
		if (from - now >= burst)
			return 0;
		go = n;
		if ((from - now) + go * cost > burst)
			go = (uint32_t)((burst - (from - now)) / cost);
		if (!go)
			return 0;
	} while (!atomic_compare_exchange_weak_explicit(
		&a->paid_ns, &paid, from + go * cost, memory_order_relaxed,
		memory_order_relaxed));
	return go;
}

uint32_t quota_charge(struct quota *q, uint32_t handle, uint32_t n,
		      uint32_t size, uint64_t now_ns)
{
	uint64_t rate = atomic_load_explicit(&q->rate, memory_order_relaxed);
	struct quota_account *a;

	if (!handle)
		return n;
	a = at(q, handle);
	if (quota_is_over(q, handle))
		return 0;
	if (rate)
		n = charge_rate(a, rate, n, size, now_ns);
	atomic_fetch_add_explicit(&a->today, (uint64_t)n * size,
				  memory_order_relaxed);
	return n;
}

bool quota_is_over(const struct quota *q, uint32_t handle)
{
	uint64_t daily = atomic_load_explicit(&q->daily, memory_order_relaxed);

	return daily && handle &&
	       atomic_load_explicit(&at(q, handle)->today,
				    memory_order_relaxed) >= daily;
}
