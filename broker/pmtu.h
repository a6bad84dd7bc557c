/* SPDX-License-Identifier: MIT */
/*
 * pmtu - how large a datagram to the peer may be: probing upwards, black holes
 *
 * Owner:    the peer, by value. Context: loop thread. Method of RFC 8899: padded
 * Path Challenges; no ICMP is believed. Sizes are UDP payloads.
 */
#ifndef NTM_BROKER_PMTU_H
#define NTM_BROKER_PMTU_H

#include <stdbool.h>
#include <stdint.h>

#include "common/loop.h"
#include "common/ntm.pb-c.h"

#define PMTU_BASE  1200u /* passes nearly everywhere; used until proven better */
#define PMTU_FLOOR 700u	 /* two parts of an inner packet of 1280 */

struct peer;

/**
 * struct pmtu - @size: in use; @probe: being tried, 0 none; @good, @bad: bounds of
 * the search (bad: smallest known not to pass, 0 none); @checking: only whether
 * the size in use passes; @raised_ns: end of the last search
 */
struct pmtu {
	unsigned int size, probe, good, bad;
	unsigned int tries;
	bool checking;
	uint64_t cookie, sent_ns, raised_ns;
	struct loop_timer *timer;
};

int pmtu_init(struct peer *p);
void pmtu_clear(struct peer *p);
/** the path is new, or may carry more: start a search at the route's own size */
void pmtu_start(struct peer *p);
/** is the size in use still carried? For a suspect path */
void pmtu_check(struct peer *p);
/** a Path Response with a cookie of ours. Return: it was one */
bool pmtu_answered(struct peer *p, const Ntm__PathResponse *r);
void pmtu_stop(struct peer *p);
/** the kernel refused a datagram as too large */
void pmtu_too_big(struct peer *p);

#endif
