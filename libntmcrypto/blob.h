/* SPDX-License-Identifier: MIT */
/*
 * blob - an item's data, sealed in chunks, from any chunk on
 *
 * Owner:    the caller: one struct blob seals or opens one item.
 * Context:  any process, one thread at a time.
 * States:   header, chunks 0 .. n-1 in order, seal; what is not its turn gets
 *           -NTM_ESTATE. A chunk that does not open ends it: start again from a
 *           saved state.
 * The format stands in docs/exchange.md, Sealing.
 */
#ifndef NTM_LIBNTMCRYPTO_BLOB_H
#define NTM_LIBNTMCRYPTO_BLOB_H

#include "libntmcrypto/item.h"

#define BLOB_HEADER	 32
#define BLOB_CHUNK	 65536
#define BLOB_SEALED	 (BLOB_CHUNK + NTMC_TAG_LEN)
#define BLOB_SEAL	 (8 + NTMC_SIG_LEN + NTMC_TAG_LEN)
#define BLOB_PAYLOAD_MAX (UINT64_C(1) << 48)

/** bytes of the blob of a payload of 1 .. BLOB_PAYLOAD_MAX bytes */
uint64_t blob_size(uint64_t payload);
/** the reverse: 0, or -NTM_EDECODE when no blob has that size */
NTM_MUST_CHECK int blob_payload(uint64_t size, uint64_t *payload);
/** bytes of the longest of its parts: header, a chunk with its tag, seal */
size_t blob_part_max(uint64_t payload);

struct blob;

/** struct blob_state - where one stands: no secret, for a store */
#define BLOB_STATE 248
struct blob_state {
	uint8_t b[BLOB_STATE];
};

/**
 * blob_seal_new() - the sender's side, before the header
 * @payload: bytes that will follow
 * Return: 0, -NTM_EINVAL, -NTM_ENOMEM
 */
NTM_MUST_CHECK int blob_seal_new(enum ntmc_aead_alg alg,
				 const struct ntmc_key *k,
				 const uint8_t item[static ITEM_ID_LEN],
				 uint64_t payload, struct blob **out);
/**
 * blob_open_new() - the receiver's side, after the header
 * @header: the first BLOB_HEADER bytes; @size: of the whole blob
 * Return: 0, -NTM_EDECODE (header or size), -NTM_EVERSION, -NTM_EAUTH (another
 *         item's), -NTM_ENOMEM
 */
NTM_MUST_CHECK int blob_open_new(const struct ntmc_key *k,
				 const uint8_t item[static ITEM_ID_LEN],
				 const uint8_t header[static BLOB_HEADER],
				 uint64_t size, struct blob **out);
/** go on where blob_save() was called, either side.
 *  Return: 0, -NTM_EDECODE (no state, or of another item or payload), -NTM_ENOMEM */
NTM_MUST_CHECK int blob_resume(const struct ntmc_key *k,
			       const uint8_t item[static ITEM_ID_LEN],
			       const struct blob_state *state,
			       struct blob **out);
void blob_save(const struct blob *b, struct blob_state *state);
void blob_free(struct blob *b); /* wipes; NULL is fine */

uint64_t blob_payload_len(const struct blob *b);
/** where the next chunk begins, in the payload and in the blob */
uint64_t blob_payload_at(const struct blob *b);
uint64_t blob_at(const struct blob *b);
/** plaintext bytes of the next chunk; 0: now the seal */
size_t blob_next(const struct blob *b);

/** the sender's first bytes; needs to be called only to have them */
void blob_header(const struct blob *b, uint8_t out[static BLOB_HEADER]);
/** in place: blob_next() bytes of plaintext, room for the tag behind them.
 *  Return: 0, -NTM_ESTATE, -NTM_EINVAL (another @len) */
NTM_MUST_CHECK int blob_seal_chunk(struct blob *b, uint8_t *buf, size_t len);
/** in place: blob_next() bytes and the tag. Return: 0, -NTM_EAUTH (wiped),
 *  -NTM_ESTATE, -NTM_EINVAL */
NTM_MUST_CHECK int blob_open_chunk(struct blob *b, uint8_t *buf, size_t len);

/** the end, signed by the sender. Return: 0, -NTM_ESTATE, -NTM_EINVAL (@sender) */
NTM_MUST_CHECK int blob_seal_end(struct blob *b, const struct ntmc_identity *id,
				 const char *sender,
				 uint8_t out[static BLOB_SEAL]);
/** @buf is opened in place. Return: 0: all of the blob is the sender's;
 *  -NTM_EAUTH, -NTM_ESTATE, -NTM_EINVAL */
NTM_MUST_CHECK int blob_open_end(struct blob *b,
				 const uint8_t ed_pub[static NTMC_KEY_LEN],
				 const char *sender,
				 uint8_t buf[static BLOB_SEAL]);
/** the hash of all of it, its name (blobsum.h); after the end. Return: 0, -NTM_ESTATE */
NTM_MUST_CHECK int blob_hash(const struct blob *b,
			     uint8_t out[static NTMC_HASH_LEN]);

#endif
