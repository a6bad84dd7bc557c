/* SPDX-License-Identifier: MIT */
/*
 * courier - what boxes of two domains ask each other, carried by their DCs
 *
 * Owner:   struct dc. Context: loop thread.
 */
#ifndef NTM_SERVERS_DC_COURIER_H
#define NTM_SERVERS_DC_COURIER_H

#include <jansson.h>

#include "servers/dc/domains.h"

#define COURIER_ASKS_MAX                                                       \
	1024 /* of our box under way; of one domain a quarter */
#define COURIER_ASKED_MAX   4096 /* of other domains' boxes; of one a quarter */
#define COURIER_TICK_MS	    250
#define COURIER_LOOK_TICKS  20 /* to find the other DC */
#define COURIER_ASK_TICKS   12 /* for its answer */
#define COURIER_ASKED_TICKS 20 /* for our box's */

struct courier;

NTM_MUST_CHECK int courier_new(struct dc *dc, struct courier **out);
void courier_free(struct courier *c);
/** our box asks; it gets exactly one answer, as long as its link stands */
void courier_ask(struct dc *dc, const Ntm__BoxQuestion *q);
/** our box answers what courier_request() gave it */
void courier_told(struct dc *dc, const Ntm__BoxAnswer *a);
/** the link with our box is gone: nobody waits for an answer */
void courier_forget(struct dc *dc);
/** @d's DC, under its key: a request for our box */
void courier_request(struct dc *dc, struct domain *d, uint32_t txn,
		     const Ntm__BoxRequest *q);
/** @d's DC, under our key: an answer */
void courier_response(struct dc *dc, struct domain *d, uint32_t txn,
		      const Ntm__BoxResponse *r);
/** it has a key now, or has failed */
void courier_domain_changed(struct dc *dc, struct domain *d);
/** new reference */
json_t *courier_admin(struct dc *dc);

#endif
