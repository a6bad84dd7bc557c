/* SPDX-License-Identifier: MIT */
/*
 * groupplace - this node's place at the relay of a group, kept by Hole Punching
 *
 * Owner:    groups.c, one of each group. Context: loop thread.
 * States:   none; asked (punched, no cookie has gone back yet); bound (the relay sends us
 *           what comes for the group, and the data path sends there).
 */
#ifndef NTM_BROKER_GROUPPLACE_H
#define NTM_BROKER_GROUPPLACE_H

#include <stdbool.h>

#include "broker/groupword.h"
#include "broker/worker.h"

#define GROUPPLACE_EVERY_S 10 /* a bound place is punched */
#define GROUPPLACE_LOST	   3  /* unanswered punches: the relay is not used */

struct dp_group;
struct groupplace;

NTM_MUST_CHECK int groupplace_new(struct worker *w, struct dp_group *dp,
				  struct groupplace **out);
/** leaves its place; NULL is fine */
void groupplace_free(struct groupplace *p);
/** ntm-member names the relay of an epoch (GROUPWORD_RELAY), whose tag is @tag; the
 *  same again: nothing. The place of an epoch before lapses there. Return: 0, -NTM_ENOMEM */
NTM_MUST_CHECK int groupplace_set(struct groupplace *p,
				  const struct groupword *word, uint64_t tag);
/** another epoch has come: this one's place lapses at the relay, while others may still
 *  send under it; what the data path knows of it stays */
void groupplace_forget(struct groupplace *p);
/** a Hole Punch Ack with PACKET_PLACE. Return: false: not of this place */
bool groupplace_datagram(struct groupplace *p, const struct packet_header *h,
			 uint8_t *buf, size_t len);
/** we have moved, or slept: punch now */
void groupplace_again(struct groupplace *p);
/** is it bound, and does the relay answer? */
bool groupplace_is_bound(const struct groupplace *p);

#endif
