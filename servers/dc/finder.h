/* SPDX-License-Identifier: MIT */
/*
 * finder - where the DC of a domain is, and which CA speaks for it: asks the resolver
 *
 * Owner:   struct dc. Context: loop thread. DNS is read by a process beside ours that
 *          has no key (servers/resolver); what it says is held against its form here.
 *          When that process ends, all that was asked fails, and the next one is there
 *          in a moment.
 */
#ifndef NTM_SERVERS_DC_FINDER_H
#define NTM_SERVERS_DC_FINDER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"
#include "servers/resolver/answer.h"

#define FINDER_MAX 64 /* domains looked for at one time */

struct dc;
struct finder;

typedef void finder_fn(struct dc *dc, uint16_t number,
		       const struct finder_answer *a);

/** @dc: its environment (the pair) and configuration (dc.anchor). Return: 0,
 *  -NTM_ENOMEM, -NTM_ESYSTEM */
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
