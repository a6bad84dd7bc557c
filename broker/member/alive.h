/* SPDX-License-Identifier: MIT */
/*
 * alive - who is about to be evicted is asked whether it is there (docs/groups.md)
 *
 * Owner:    struct node. Context: loop thread. By items, straight or by a Cache Server: a
 *           GMS that says nothing of a member does not carry them.
 */
#ifndef NTM_BROKER_MEMBER_ALIVE_H
#define NTM_BROKER_MEMBER_ALIVE_H

#include "broker/member/papers.h"

/** an item for the member at @index, which answers; member_asked() when ntm-post has it */
void alive_ask(struct part *p, uint32_t index);
/** a signed item of @who came, whatever is in it */
void alive_sign(struct part *p, const struct group_member *who);
/** @from asks, or answers. Return: 0; -NTM_ENOTFOUND (of no group that we share),
 *  -NTM_EDECODE */
NTM_MUST_CHECK int alive_take(struct papers *all, const char *from,
			      const uint8_t *b, size_t len);

#endif
