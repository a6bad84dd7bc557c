/* SPDX-License-Identifier: MIT */
/*
 * chain - objects of a slab in an order, linked by their handles
 *
 * Owner:   by value beside its slab; several chains may share one. Context: loop thread.
 * An object that can stand in a chain begins so, and stands in one at a time:
 *
 *   uint32_t slab_link;
 *   struct chain_link link;      (whatever its name)
 */
#ifndef NTM_SERVERS_DC_CHAIN_H
#define NTM_SERVERS_DC_CHAIN_H

#include "servers/dc/slab.h"

/** struct chain_link - the handles beside it; 0: none */
struct chain_link {
	uint32_t prev, next;
};

/** struct chain - zeroed: empty */
struct chain {
	uint32_t head, tail;
};

/** @h: stands in no chain */
void chain_append(struct chain *c, const struct slab *s, uint32_t h);
/** @h: stands in @c */
void chain_remove(struct chain *c, const struct slab *s, uint32_t h);

#endif
