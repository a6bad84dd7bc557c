/* SPDX-License-Identifier: MIT */
/*
 * quota - what each account may send through this relay: a rate, a daily amount
 *
 * Owner:   struct rs; memory is taken at the start. Context: the control thread
 *          gets and puts accounts and starts a day; any thread charges, without a
 *          lock. An account is charged for what its nodes send.
 * Limits:  QUOTA_BURST_MS of the rate may come at once, QUOTA_BURST_MIN bytes at
 *          least. A day is one of UTC.
 */
#ifndef NTM_SERVERS_RS_QUOTA_H
#define NTM_SERVERS_RS_QUOTA_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"
#include "servers/keyhash.h"

#define QUOTA_NAME_MAX	253 /* a label; of another domain account.domain */
#define QUOTA_BURST_MS	250
#define QUOTA_BURST_MIN 131072

struct quota_account {
	_Atomic uint64_t paid_ns; /* time paid for by what was sent */
	_Atomic uint64_t today;	  /* bytes */
	uint32_t next, refs;	  /* paths' ends of it */
	uint32_t fresh; /* paths it asked for that no end was ever bound to */
	char name[QUOTA_NAME_MAX + 1]; /* "": place not in use */
};

struct quota {
	uint32_t size, used, n_buckets, free, top;
	uint32_t *buckets;
	struct quota_account *all; /* handle - 1 */
	struct keyhash hash;
	int64_t day;
	/* 0: none. Written by the control thread, read by all */
	_Atomic uint64_t rate, daily;
};

/** @size: accounts. Return: 0, -NTM_ENOMEM */
NTM_MUST_CHECK int quota_init(struct quota *q, uint32_t size);
void quota_clear(struct quota *q);
size_t quota_bytes(uint32_t size);
/** bytes a second, bytes a day; 0: any */
void quota_set(struct quota *q, uint64_t rate, uint64_t daily);
/** for one end of a path; "" is nobody: *@out 0. Return: 0, -NTM_ELIMIT */
NTM_MUST_CHECK int quota_get(struct quota *q, const char *name, uint32_t *out);
/** 0 is fine. The account is remembered until the day is over */
void quota_put(struct quota *q, uint32_t handle);
/** control thread: @n more paths of it, or less, that nobody is bound to yet; 0 is
 *  nobody. Return: how many there are */
uint32_t quota_fresh(struct quota *q, uint32_t handle, int n);
/** handle, or 0: nothing known of it */
uint32_t quota_find(const struct quota *q, const char *name);
/** a new day: forget the amounts, and accounts without paths */
void quota_day(struct quota *q, int64_t day);

/** is anything limited? */
static inline bool quota_is_on(const struct quota *q)
{
	return atomic_load_explicit(&q->rate, memory_order_relaxed) ||
	       atomic_load_explicit(&q->daily, memory_order_relaxed);
}
/**
 * quota_charge() - any thread: @n datagrams of @size bytes, one after the other
 * @now_ns: monotonic
 *
 * Return: how many of them may go; those are charged
 */
uint32_t quota_charge(struct quota *q, uint32_t handle, uint32_t n,
		      uint32_t size, uint64_t now_ns);
/** has it used up its day? */
bool quota_is_over(const struct quota *q, uint32_t handle);

#endif
