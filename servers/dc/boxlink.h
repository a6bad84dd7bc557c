/* SPDX-License-Identifier: MIT */
/*
 * boxlink - the DC's link with the box beside it, and what it tells nodes of it
 *
 * Owner:   struct dc. Context: loop thread. Of a node nothing is kept but the number
 *          of its cache list (node.cache_serial), in memory: the box says it again.
 */
#ifndef NTM_SERVERS_DC_BOXLINK_H
#define NTM_SERVERS_DC_BOXLINK_H

#include <jansson.h>

#include "servers/dc/nodes.h"

#define BOXLINK_NOTICES_MAX 4095 /* one chunk of the slab */
#define BOXLINK_NOTICE_MS   500
#define BOXLINK_NOTICES	    10 /* then a keep-alive's answer must do */

/* txns of Box Notices have both bits: ABROAD_TXN and WITHDRAW_TXN */
#define BOXLINK_TXN 0xc0000000u

struct dc;
struct boxlink;

NTM_MUST_CHECK int boxlink_new(struct dc *dc, struct boxlink **out);
void boxlink_free(struct boxlink *b);
/** another domain's box asks. Return: false: ours is not there */
bool boxlink_question(struct dc *dc, uint32_t id, const char *domain,
		      const Ntm__BoxRequest *q);
/** an answer to our box's question */
void boxlink_answer(struct dc *dc, uint32_t id, const Ntm__BoxResponse *r);
/** the node was withdrawn: the box forgets what it keeps for it */
void boxlink_gone(struct dc *dc, const char *fqdn);

/** the node has come, and asks what waits for it */
void boxlink_fetch(struct dc *dc, uint32_t session);
/** its NTM ACK to a Box Notice; others are ignored */
void boxlink_acked(struct dc *dc, uint32_t session, uint32_t txn);
/** new reference */
json_t *boxlink_admin(struct dc *dc);

#endif
