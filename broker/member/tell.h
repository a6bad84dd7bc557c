/* SPDX-License-Identifier: MIT */
/*
 * tell - members show each other what the server has signed for them
 *
 * Owner:   node; a part has the timer. Context: loop thread.
 */
#ifndef NTM_BROKER_MEMBER_TELL_H
#define NTM_BROKER_MEMBER_TELL_H

#include "broker/member/papers.h"

/** there is a new epoch: one of the others is shown its seal in some seconds */
void tell_soon(struct part *p);
/** it is time, for the epoch and for the next round; @part as the timers' */
void tell_due(void *part);
void tell_again(void *part);
/** one has come, @len bytes at @b. Return: 0, -NTM_ENOTFOUND (of no member of a group
 *  that we are in), -NTM_EDECODE, -NTM_EAUTH */
NTM_MUST_CHECK int tell_take(struct papers *all, const char *from,
			     const uint8_t *b, size_t len);

#endif
