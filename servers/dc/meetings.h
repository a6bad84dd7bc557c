/* SPDX-License-Identifier: MIT */
/*
 * meetings - which nodes of ours met which identities of other domains, for a day
 *
 * Owner:   struct guests. Context: loop thread.
 * MEETINGS_MAX for all domains together. When they are used up, whoever has most
 * gives up its oldest: no domain can make another's be forgotten. A meeting is there
 * once, however often they meet, and 64 bytes long.
 */
#ifndef NTM_SERVERS_DC_MEETINGS_H
#define NTM_SERVERS_DC_MEETINGS_H

#include <stdint.h>

#include "common/err.h"
#include "libntmcrypto/ntmcrypto.h"
#include "servers/dc/domains.h"

#define MEETINGS_MAX 65536
#define MEETING_S    86400

struct dc;
struct meetings;

/** @node: handle of ours. @fp: of the other one; valid during the call */
typedef void meetings_fn(struct dc *dc, struct domain *d, uint32_t node,
			 const uint8_t fp[static NTMC_FP_LEN]);

NTM_MUST_CHECK int meetings_new(struct dc *dc, struct meetings **out);
void meetings_free(struct meetings *m);
/** @node has met @fp of @d, now. Without memory it is forgotten */
void meetings_add(struct meetings *m, struct domain *d, uint32_t node,
		  const uint8_t fp[static NTMC_FP_LEN]);
/**
 * meetings_end() - @fn for each of our nodes that met @fp of @d; all are forgotten,
 *                  so that nobody is told twice
 * Return: was there any, of nodes that are there still or not?
 */
bool meetings_end(struct meetings *m, struct domain *d,
		  const uint8_t fp[static NTMC_FP_LEN], meetings_fn *fn);
/** the same for all of @d; @fn NULL: they are forgotten, and that is all */
void meetings_end_all(struct meetings *m, struct domain *d, meetings_fn *fn);
/** @fn for each whom @node has met; none is forgotten */
void meetings_of_node(struct meetings *m, uint32_t node, meetings_fn *fn);
/** forget those of @d that are older than MEETING_S */
void meetings_expire(struct meetings *m, struct domain *d);
/** how many there are */
uint32_t meetings_count(const struct meetings *m);

#endif
