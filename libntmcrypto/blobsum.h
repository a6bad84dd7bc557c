/* SPDX-License-Identifier: MIT */
/*
 * blobsum - the name of a blob: a hash of its pieces' hashes, as it comes
 *
 * Owner:    the caller: one struct blobsum for one blob.
 * Context:  any process, one thread at a time. No errors but of memory.
 *
 *   name = SHA-256("ntm blob name v1" | SHA-256(piece 0) | .. | bytes of all (8))
 *
 * Piece 0 is the first 32 bytes, the header; all others have 4097, a sixteenth of a
 * sealed chunk, and the last one what is left. So a chunk is sixteen pieces, which are
 * hashed at once (manyhash.h), and no piece is open between two chunks.
 */
#ifndef NTM_LIBNTMCRYPTO_BLOBSUM_H
#define NTM_LIBNTMCRYPTO_BLOBSUM_H

#include "libntmcrypto/ntmcrypto.h"

#define BLOBSUM_FIRST 32
#define BLOBSUM_PIECE 4097

struct blobsum;

/** Return: 0, -NTM_ENOMEM */
NTM_MUST_CHECK int blobsum_new(struct blobsum **out);
void blobsum_free(struct blobsum *s); /* NULL is fine */
void blobsum_add(struct blobsum *s, const void *data, size_t len);
/** of all bytes so far; more may follow */
void blobsum_name(const struct blobsum *s, uint8_t out[static NTMC_HASH_LEN]);
/** as new */
void blobsum_reset(struct blobsum *s);
/** of @len bytes that are here */
void blobsum_of(const void *data, size_t len,
		uint8_t out[static NTMC_HASH_LEN]);

/** where one stands after @len bytes, which the state does not say itself */
#define BLOBSUM_STATE 192
void blobsum_save(const struct blobsum *s, uint8_t out[static BLOBSUM_STATE]);
void blobsum_load(struct blobsum *s, uint64_t len,
		  const uint8_t in[static BLOBSUM_STATE]);

#endif
