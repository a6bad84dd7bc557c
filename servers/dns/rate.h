/* SPDX-License-Identifier: MIT */
/*
 * rate - how many answers by UDP one network gets: we are no reflector
 *
 * Owner:   the dns process. Context: loop thread.
 * The source of a query by UDP may be forged, and an answer is larger. So each /24 of
 * IPv4 and /56 of IPv6 gets so many a second, a second's worth at once. Of those
 * beyond every so-many-th slips through as a truncated answer, no larger than the
 * query: a resolver that really asked comes back by TCP, which proves its address.
 * The others are dropped. A fixed table under a keyed hash: a flood of sources does
 * not grow it; two networks in one bucket share a rate.
 */
#ifndef NTM_SERVERS_DNS_RATE_H
#define NTM_SERVERS_DNS_RATE_H

#include <stdint.h>

#include "common/addr.h"
#include "common/err.h"

#define RATE_BUCKETS  8192
#define RATE_MAX      100000 /* answers a second */
#define RATE_SLIP_MAX 100

enum rate_verdict { RATE_ANSWER, RATE_TRUNCATE, RATE_DROP };

struct rate;

/** @per_s: answers a second, 0: any number; @slip: every so-many-th of the others is
 *  truncated, 0: none */
NTM_MUST_CHECK int rate_new(unsigned int per_s, unsigned int slip,
			    struct rate **out);
void rate_free(struct rate *r);
/** one query of @from; @now: monotonic ns, loop_now() */
enum rate_verdict rate_query(struct rate *r, const struct addr *from,
			     uint64_t now);

#endif
