/* SPDX-License-Identifier: MIT */
/*
 * slab - many equal objects under 32-bit handles, in chunks that never move
 *
 * Owner:   by value in its table. Context: loop thread.
 * A freed place is zeroed and given out again last in, first out. Handle 0 is none.
 * The first four bytes of an object belong to the slab: a uint32_t slab_link.
 */
#ifndef NTM_SERVERS_DC_SLAB_H
#define NTM_SERVERS_DC_SLAB_H

#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

#define SLAB_CHUNK_BITS 12
#define SLAB_CHUNK	(1u << SLAB_CHUNK_BITS)

struct slab {
	uint8_t **chunks;
	size_t item_size;
	uint32_t n_chunks, max; /* max: handles 1 .. max */
	uint32_t top;		/* highest handle ever used */
	uint32_t used, free;	/* @free: head of the free list; 0 none */
};

/** @max: objects at once. Allocates nothing yet */
void slab_init(struct slab *s, size_t item_size, uint32_t max);
void slab_clear(struct slab *s);
/** a zeroed object; Return: its handle, or 0 (@max reached, out of memory) */
uint32_t slab_add(struct slab *s);
void slab_del(struct slab *s, uint32_t handle);

/** @handle: 1 .. @s->top; whether it is in use is the object's own business */
static inline void *slab_at(const struct slab *s, uint32_t handle)
{
	return s->chunks[(handle - 1) >> SLAB_CHUNK_BITS] +
	       (size_t)((handle - 1) & (SLAB_CHUNK - 1)) * s->item_size;
}

#endif
