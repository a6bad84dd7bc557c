/* SPDX-License-Identifier: MIT */
/*
 * index - open addressing from a 64-bit hash to handles; 4 bytes a place
 *
 * Owner:   by value in its table. Context: loop thread.
 * Keeps handles only: the owner says an object's hash and compares keys. Linear
 * probing, at most 3/4 full, deletion by shifting back (no tombstones).
 *
 *   for (h = index_first(ix, hash, &at); h; h = index_next(ix, &at))
 *           if (key of h is the one) ...
 */
#ifndef NTM_SERVERS_DC_INDEX_H
#define NTM_SERVERS_DC_INDEX_H

#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

/** the hash of the object that @handle names */
typedef uint64_t index_hash_fn(const void *owner, uint32_t handle);

struct index {
	uint32_t *slots, mask, used; /* @mask: places - 1; slots NULL: empty */
	index_hash_fn *hash;
	const void *owner;
};

void index_init(struct index *ix, index_hash_fn *hash, const void *owner);
void index_clear(struct index *ix);
/** Return: 0, -NTM_ENOMEM */
NTM_MUST_CHECK int index_add(struct index *ix, uint32_t handle);
/** must be called while the object still has the hash it was added with */
void index_del(struct index *ix, uint32_t handle);

/** candidates with this hash, and others: compare. 0 at the end */
uint32_t index_first(const struct index *ix, uint64_t hash, uint32_t *at);
uint32_t index_next(const struct index *ix, uint32_t *at);

#endif
