/* SPDX-License-Identifier: MIT */
/*
 * direct - an item on its way straight to the receivers that are online
 *
 * Owner:    struct sending, before it asks for anything else, and where a long upload is
 *           needed no more (sending_look.c). Context: loop thread.
 * States:   an attempt for each receiver, a few at a time; sending_step() goes on when
 *           the last is over. Whom it did not reach gets the item by a CS.
 */
#ifndef NTM_BROKER_POST_DIRECT_H
#define NTM_BROKER_POST_DIRECT_H

#include "broker/post/outbox.h"

#define DIRECT_AT_ONCE	  4    /* of one item */
#define DIRECT_CONNECT_MS 3000 /* name, tunnel and connection */
#define DIRECT_STALL_S	  15   /* without a byte: it is gone */
#define DIRECT_FINISH_S                                                        \
	120 /* for the last word: the receiver's disk may be slow */

struct direct;
struct sending;

/** to those who wait for it and have not been tried. Return: 1 attempts run, 0 there is
 *  nobody, or an error */
NTM_MUST_CHECK int direct_start(struct sending *s);
/** all attempts are over: the job goes on */
void direct_done(struct sending *s);
/** @d: s->direct */
void direct_free(struct direct *d);
/** bytes of the blob that the one who is furthest has; 0: nobody is reached */
uint64_t direct_sent(const struct direct *d);

#endif
