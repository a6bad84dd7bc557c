/* SPDX-License-Identifier: MIT */
/*
 * recent - who was answered of late: each member once in a while, and so many of them
 *
 * Owner:    struct part, one for each kind of item that is answered. Context: loop thread.
 * Limits:   RECENT_MAX places. Where all are taken nobody else is answered until one is
 *           free: none makes room for another, or two in turn would be answered always.
 */
#ifndef NTM_BROKER_MEMBER_RECENT_H
#define NTM_BROKER_MEMBER_RECENT_H

#include <stdbool.h>
#include <stdint.h>

#define RECENT_MAX 16

/** struct recent - zeros: nobody; @until: monotonic ns */
struct recent {
	struct {
		uint64_t until;
		uint32_t index;
	} of[RECENT_MAX];
};

/** may the member at @index be answered now? It is noted then, for @pause ns.
 *  @now: loop_now_exact() */
bool recent_take(struct recent *r, uint32_t index, uint64_t now,
		 uint64_t pause);

#endif
