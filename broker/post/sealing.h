/* SPDX-License-Identifier: MIT */
/*
 * sealing - an item's blob, made while it is sent, from any offset on
 *
 * Owner:    the caller: one for each receiver of bytes, a CS or a device. Context: loop
 *           thread; waits for the disk.
 * The bytes are the same however often they are made, as the files have not changed.
 */
#ifndef NTM_BROKER_POST_SEALING_H
#define NTM_BROKER_POST_SEALING_H

#include <jansson.h>

#include "broker/post/pack.h"
#include "broker/post/post.h"
#include "libntmcrypto/blob.h"

#define SEALING_SAVE (64u << 20) /* bytes sealed between two saved states */

/** struct sealing_of - the row: which item; borrowed while a sealing is open */
struct sealing_of {
	struct post *post;
	int64_t id;
	const struct ntmc_key *k;
	const uint8_t *item; /* ITEM_ID_LEN */
	uint64_t payload;
};

/**
 * struct sealing - all zero, or open
 * @pack:   what is read, and @tags, a descriptor (tags.h); or @small, all of the payload
 * @skip:   sealed bytes before the offset, not to be sent
 * @sealed: as long as a chunk of this one, while it is open; @used of @have bytes were read
 * @hash:   of the blob, once @hashed
 */
struct sealing {
	struct sealing_of of;
	struct pack *pack;
	int tags;
	uint8_t *small;
	struct blob *blob;
	uint64_t skip, saved_at;
	uint8_t *sealed;
	size_t have, used;
	uint8_t hash[NTMC_HASH_LEN];
	bool hashed;
};

/** to read from @offset on; sealing_forward() goes there.
 *  Return: 0, -NTM_ESTORE, -NTM_ENOMEM, as pack_open() */
NTM_MUST_CHECK int sealing_open(struct sealing *z, const struct sealing_of *of,
				uint64_t offset);
/** seal again what is not to be sent, some of it a turn.
 *  Return: 1 there is more of it, 0 the offset is reached, or an error */
NTM_MUST_CHECK int sealing_forward(struct sealing *z);
/** the next bytes. Return: how many, 0 behind the end; as pack_read() */
NTM_MUST_CHECK long sealing_read(struct sealing *z, uint8_t *buf, size_t size);
/** all of it, @size bytes, and its hash, as "data" and "hash" of @into; it is open then, read to
 *  its end. Return: as sealing_open() and sealing_read(), -NTM_ESTATE (another size) */
NTM_MUST_CHECK int sealing_whole(struct sealing *z, const struct sealing_of *of,
				 uint64_t size, json_t *into);
/** all of it was read: the hash is known */
bool sealing_over(const struct sealing *z);
void sealing_close(struct sealing *z);

#endif
