/* SPDX-License-Identifier: MIT */
/*
 * finder - where the DC of a domain is, and which CA speaks for it, by DNS
 *
 * Owner:   struct dc. Context: loop thread; libunbound resolves in a thread of its own
 *          and wakes the loop.
 * Asked are TXT of _ntm.DOMAIN (only where nobody added the domain: then DNSSEC must
 * have validated it), SRV of _dc._ntm.DOMAIN, and A and AAAA of its target. Bogus
 * answers are errors, whoever added what. libunbound's cache keeps them by their TTL.
 */
#ifndef NTM_SERVERS_DC_FINDER_H
#define NTM_SERVERS_DC_FINDER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"
#include "libntmcrypto/ntmcrypto.h"
#include "servers/serverconf.h"

#define FINDER_MAX     64 /* domains looked for at one time */
#define FINDER_WHY_MAX 200
#define FINDER_TTL_MIN 30 /* an answer is used so long in any case, s */
#define FINDER_TTL_MAX 86400

struct dc;
struct finder;

/** struct finder_answer - @err: 0, or -NTM_ENONAME (there is none), -NTM_EAUTH (forged),
 *  -NTM_EUNVERIFIED (nobody vouches), -NTM_EUNREACHABLE, with @why */
struct finder_answer {
	int err;
	char why[FINDER_WHY_MAX];
	uint8_t fp[NTMC_FP_LEN]; /* where it was asked for */
	struct server_ways ways;
	unsigned int ttl_s;
};

typedef void finder_fn(struct dc *dc, uint16_t number,
		       const struct finder_answer *a);

/** @dc: its configuration: dc.resolver, dc.hints, dc.anchor. Return: 0, -NTM_ENOMEM,
 *  -NTM_ECONF (said why) */
NTM_MUST_CHECK int finder_new(struct dc *dc, struct finder **out);
void finder_free(struct finder *f);
/** is there a trust anchor, so that DNS can vouch for a CA? */
bool finder_vouches(const struct finder *f);
/**
 * finder_find() - look for @domain; @number comes back with the answer
 * @max: not when so many are under way; at most FINDER_MAX
 * Return: 0: @fn is called once, later, unless cancelled; -NTM_ELIMIT, -NTM_ESYSTEM
 */
NTM_MUST_CHECK int finder_find(struct finder *f, const char *domain,
			       uint16_t number, bool need_ca, size_t max,
			       finder_fn *fn);
void finder_cancel(struct finder *f, uint16_t number);

#endif
