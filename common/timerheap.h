/* SPDX-License-Identifier: MIT */
/*
 * timerheap - timers in the order they are due; the inside of loop.c
 *
 * Owner:    struct loop. Entries are embedded in their owner's memory.
 * Context:  loop thread. Arm and disarm O(log n); no allocation once the heap has
 *           room, which is made when an entry is made (timerheap_reserve()).
 */
#ifndef NTM_COMMON_TIMERHEAP_H
#define NTM_COMMON_TIMERHEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

/** struct timerheap_entry - @at: place + 1, 0 when not armed; @seq breaks ties */
struct timerheap_entry {
	uint64_t due, seq;
	size_t at;
};

struct timerheap {
	struct timerheap_entry **entries;
	size_t n, size, reserved;
	uint64_t seq; /* of the next entry armed */
};

/** room for one entry more / less; Return: 0, -NTM_ENOMEM */
NTM_MUST_CHECK int timerheap_reserve(struct timerheap *h);
void timerheap_unreserve(struct timerheap *h);
void timerheap_clear(struct timerheap *h);
/** armed already: moved */
void timerheap_put(struct timerheap *h, struct timerheap_entry *e,
		   uint64_t due);
void timerheap_del(struct timerheap *h, struct timerheap_entry *e);
/** the first one due; NULL when none */
struct timerheap_entry *timerheap_peek(const struct timerheap *h);

#endif
