/* SPDX-License-Identifier: MIT */
/* rate - how many answers by UDP one network gets: we are no reflector */
#include "servers/dns/rate.h"

#include <stdlib.h>
#include <string.h>

#include "servers/keyhash.h"

#define NS     1000000000u
#define V4_LEN 3 /* bytes of a network: /24 */
#define V6_LEN 7 /* /56 */

/* @due: when the next answer is, if they go at their rate; it may lie one second
 * ahead of the clock, no more */
struct bucket {
	uint64_t due;
	unsigned int over;
};

struct rate {
	struct keyhash hash;
	uint64_t gap; /* ns between answers; 0: no limit */
	unsigned int slip;
	struct bucket buckets[RATE_BUCKETS];
};

int rate_new(unsigned int per_s, unsigned int slip, struct rate **out)
{
	struct rate *r = calloc(1, sizeof(*r));

	if (!r)
		return -NTM_ENOMEM;
	keyhash_init(&r->hash);
	r->gap = per_s ? NS / per_s : 0;
	r->slip = slip;
	*out = r;
	return 0;
}

void rate_free(struct rate *r)
{
	free(r);
}

/* An IPv4 address in an IPv6 one (a socket for both) is what it says. */
static struct bucket *bucket_of(struct rate *r, const struct addr *from)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	uint8_t key[1 + V6_LEN] = {4};
	const uint8_t *ip;
	size_t len;

	ip = addr_ip(from, &len);
	if (ip && len == 16 && !memcmp(ip, mapped, sizeof(mapped))) {
		ip += sizeof(mapped);
		len = 4;
	}
	if (ip && len == 16)
		key[0] = 6;
	if (ip)
		memcpy(key + 1, ip, len == 4 ? V4_LEN : V6_LEN);
	return &r->buckets[keyhash(&r->hash, key, sizeof(key)) % RATE_BUCKETS];
}

enum rate_verdict rate_query(struct rate *r, const struct addr *from,
			     uint64_t now)
{
	struct bucket *b;

	if (!r->gap)
		return RATE_ANSWER;
	b = bucket_of(r, from);
	if (b->due < now)
		b->due = now;
	if (b->due - now < NS) {
		b->due += r->gap;
		return RATE_ANSWER;
	}
	b->over++;
	return r->slip && b->over % r->slip == 0 ? RATE_TRUNCATE : RATE_DROP;
}
