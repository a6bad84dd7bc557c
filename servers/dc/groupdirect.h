/* SPDX-License-Identifier: MIT */
/*
 * groupdirect - which relay replicates an epoch of a group: from a GMS, to an RS
 *
 * Owner:   struct dc. Context: loop thread. Nothing is kept of a group but while its
 *          relay is asked.
 */
#ifndef NTM_SERVERS_DC_GROUPDIRECT_H
#define NTM_SERVERS_DC_GROUPDIRECT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/channel.h"
#include "common/err.h"

#define GROUPDIRECT_MAX	   256 /* asked for at once */
#define GROUPDIRECT_LINKS  8
#define GROUPDIRECT_TRY_MS 250
#define GROUPDIRECT_TRIES  4
#define GROUPDIRECT_RELAYS 2 /* that are tried */

/* txns of Group Directions to relays have both bits: ABROAD_TXN and WITHDRAW_TXN */
#define GROUP_TXN 0xc0000000u

struct dc;
struct groupdirect;

NTM_MUST_CHECK int groupdirect_new(struct dc *dc, struct groupdirect **out);
void groupdirect_free(struct groupdirect *g);

/** is it a channel of a GMS of our domain? By our CA, and named one below the domain */
bool groupdirect_is_gms(const struct dc *dc, const struct channel *c);
/** @c: such a one */
void groupdirect_link_open(struct dc *dc, struct channel *c);
/** these: false when @c is no GMS's */
bool groupdirect_link_message(struct dc *dc, struct channel *c,
			      const Ntm__Envelope *msg);
bool groupdirect_link_closed(struct dc *dc, struct channel *c);
/** a relay's answer to @txn, which is one of GROUP_TXN; unknown ones are ignored */
void groupdirect_relay_ack(struct dc *dc, uint16_t relay, uint32_t txn,
			   int code);
/** new reference */
json_t *groupdirect_admin(struct dc *dc);

#endif
