/* SPDX-License-Identifier: MIT */
/* index - open addressing from a 64-bit hash to handles */
#include "servers/dc/index.h"

#include <stdlib.h>

#define PLACES_MIN 1024u

void index_init(struct index *ix, index_hash_fn *hash, const void *owner)
{
	*ix = (struct index){.hash = hash, .owner = owner};
}

void index_clear(struct index *ix)
{
	free(ix->slots);
	ix->slots = NULL;
	ix->mask = ix->used = 0;
}

static uint32_t home(const struct index *ix, uint32_t handle)
{
	return (uint32_t)ix->hash(ix->owner, handle) & ix->mask;
}

static void place(struct index *ix, uint32_t handle)
{
	uint32_t at = home(ix, handle);

	while (ix->slots[at])
		at = (at + 1) & ix->mask;
	ix->slots[at] = handle;
}

static int grow(struct index *ix)
{
	uint32_t places = ix->slots ? (ix->mask + 1) * 2 : PLACES_MIN;
	uint32_t *old = ix->slots, n = ix->slots ? ix->mask + 1 : 0;
	uint32_t *slots = calloc(places, sizeof(*slots));

	if (!slots)
		return -NTM_ENOMEM;
	ix->slots = slots;
	ix->mask = places - 1;
	for (uint32_t i = 0; i < n; i++)
		if (old[i])
			place(ix, old[i]);
	free(old);
	return 0;
}

int index_add(struct index *ix, uint32_t handle)
{
	if (!ix->slots ||
	    (uint64_t)(ix->used + 1) * 4 > (ix->mask + 1) * 3ull) {
		int r = grow(ix);

		if (r)
			return r;
	}
	place(ix, handle);
	ix->used++;
	return 0;
}

void index_del(struct index *ix, uint32_t handle)
{
	uint32_t at, next;

	if (!ix->slots)
		return;
	at = home(ix, handle);
	while (ix->slots[at] != handle) {
		if (!ix->slots[at])
			return; /* never added */
		at = (at + 1) & ix->mask;
	}
	ix->slots[at] = 0;
	ix->used--;
	/* whoever stands behind and may not stay behind a hole moves into it */
	for (next = (at + 1) & ix->mask; ix->slots[next];
	     next = (next + 1) & ix->mask) {
		uint32_t h = home(ix, ix->slots[next]);

		if (((next - h) & ix->mask) < ((next - at) & ix->mask))
			continue;
		ix->slots[at] = ix->slots[next];
		ix->slots[next] = 0;
		at = next;
	}
}

uint32_t index_first(const struct index *ix, uint64_t hash, uint32_t *at)
{
	if (!ix->slots)
		return 0;
	*at = (uint32_t)hash & ix->mask;
	return ix->slots[*at];
}

uint32_t index_next(const struct index *ix, uint32_t *at)
{
	*at = (*at + 1) & ix->mask;
	return ix->slots[*at];
}
