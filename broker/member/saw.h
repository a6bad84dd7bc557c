/* SPDX-License-Identifier: MIT */
/*
 * saw - what a member noticed: the last NODE_SAW_MAX, for its person, over a start as well
 *
 * Owner: struct part. Context: loop thread. asks_show.c shows them.
 */
#ifndef NTM_BROKER_MEMBER_SAW_H
#define NTM_BROKER_MEMBER_SAW_H

#include "broker/member/node.h"

/** as struct member_ops says; the journal has it, too */
void saw_add(struct part *p, enum member_saw what, uint32_t who, uint64_t epoch,
	     int code);
/** those of before; nothing where they cannot be read */
void saw_load(struct part *p);
/** what is new goes to the store; @p as the timer's */
void saw_keep(void *p);

#endif
