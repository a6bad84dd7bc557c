/* SPDX-License-Identifier: MIT */
/*
 * limiter - growing delay for whoever fails: per account, per source
 *
 * Owner:   the AS, one for accounts and one for sources. Context: loop thread.
 * LIMITER_FREE failures are free, then each one doubles the wait from 1 s up to
 * the limiter's maximum; LIMITER_FORGET_S without a failure forgets. A fixed table
 * of buckets under a keyed hash: a flood of names neither grows it nor pushes an
 * attacked name out; two names in one bucket share a delay.
 */
#ifndef NTM_SERVERS_AS_LIMITER_H
#define NTM_SERVERS_AS_LIMITER_H

#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

#define LIMITER_FREE	 3
#define LIMITER_FORGET_S 900
#define LIMITER_BUCKETS	 16384

struct limiter;

/** @max_wait_s: the longest delay */
NTM_MUST_CHECK int limiter_new(unsigned int max_wait_s, struct limiter **out);
void limiter_free(struct limiter *l);
/** seconds @key must still wait; 0: go on. @now: monotonic ns, loop_now() */
unsigned int limiter_wait_s(const struct limiter *l, const void *key,
			    size_t len, uint64_t now);
/** one more failure. Counted before the password is checked, and taken back by
 *  limiter_success(), so that parallel guesses cannot outrun it */
void limiter_failure(struct limiter *l, const void *key, size_t len,
		     uint64_t now);
void limiter_success(struct limiter *l, const void *key, size_t len);
/** take one failure back, no more: for a source, or an attacker with an account
 *  of his own would clear his record with it */
void limiter_take_back(struct limiter *l, const void *key, size_t len);

#endif
