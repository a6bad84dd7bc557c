/* SPDX-License-Identifier: MIT */
/* slab - many equal objects under 32-bit handles, in chunks that never move */
#include "servers/dc/slab.h"

#include <stdlib.h>
#include <string.h>

void slab_init(struct slab *s, size_t item_size, uint32_t max)
{
	*s = (struct slab){.item_size = item_size, .max = max};
}

void slab_clear(struct slab *s)
{
	for (uint32_t i = 0; i < s->n_chunks; i++)
		free(s->chunks[i]);
	free(s->chunks);
	slab_init(s, s->item_size, s->max);
}

static int slab_grow(struct slab *s)
{
	uint8_t **chunks, *chunk;

	chunks = realloc(s->chunks, (s->n_chunks + 1) * sizeof(*chunks));
	if (!chunks)
		return -NTM_ENOMEM;
	s->chunks = chunks;
	chunk = calloc(SLAB_CHUNK, s->item_size);
	if (!chunk)
		return -NTM_ENOMEM;
	s->chunks[s->n_chunks++] = chunk;
	return 0;
}

uint32_t slab_add(struct slab *s)
{
	uint32_t handle = s->free;
	uint8_t *item;

	if (s->used == s->max)
		return 0;
	if (handle) {
		item = slab_at(s, handle);
		memcpy(&s->free, item, sizeof(s->free));
		memset(item, 0, sizeof(s->free));
	} else {
		if (s->top == s->n_chunks * SLAB_CHUNK && slab_grow(s))
			return 0;
		handle = ++s->top;
	}
	s->used++;
	return handle;
}

void slab_del(struct slab *s, uint32_t handle)
{
	uint8_t *item = slab_at(s, handle);

	explicit_bzero(item, s->item_size);
	memcpy(item, &s->free, sizeof(s->free));
	s->free = handle;
	s->used--;
}
