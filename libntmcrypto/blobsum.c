/* SPDX-License-Identifier: MIT */
/*
 * blobsum - the name of a blob: a hash of its pieces' hashes, as it comes
 *
 * Theory of operation
 *
 * Two levels, always: what goes into the name is a label, hashes and a length, and what
 * goes into a hash there is a piece of the blob. No hash of a piece is ever taken for a
 * name, so bytes that look like hashes gain nothing. Two blobs of one name have the same
 * number of pieces, as the length of what is hashed says, and so the same pieces, or else
 * two texts of one SHA-256 are known.
 *
 * Two contexts of Nettle run, that of the name and that of the piece which is open. A
 * piece that is here as a whole, when none is open, goes with others of its kind. A saved
 * state has both contexts, written out field by field; count and fill of their last
 * blocks follow from the number of bytes.
 */
#include "libntmcrypto/blobsum.h"

#include <nettle/sha2.h>
#include <stdlib.h>
#include <string.h>

#include "libntmcrypto/manyhash.h"

#define LABEL	  "ntm blob name v1"
#define LABEL_LEN 16

struct blobsum {
	struct sha256_ctx name, piece;
	uint64_t len;
};

static void sum_init(struct blobsum *s)
{
	sha256_init(&s->name);
	sha256_update(&s->name, LABEL_LEN, (const uint8_t *)LABEL);
	sha256_init(&s->piece);
	s->len = 0;
}

/* of the piece that is open, or would begin: bytes that it has, and pieces before it */
static size_t piece_has(uint64_t len, uint64_t *before)
{
	if (len < BLOBSUM_FIRST) {
		*before = 0;
		return (size_t)len;
	}
	*before = 1 + (len - BLOBSUM_FIRST) / BLOBSUM_PIECE;
	return (size_t)((len - BLOBSUM_FIRST) % BLOBSUM_PIECE);
}

int blobsum_new(struct blobsum **out)
{
	struct blobsum *s = malloc(sizeof(*s));

	if (!s)
		return -NTM_ENOMEM;
	sum_init(s);
	*out = s;
	return 0;
}

void blobsum_free(struct blobsum *s)
{
	free(s);
}

void blobsum_reset(struct blobsum *s)
{
	sum_init(s);
}

static void piece_end(struct blobsum *s)
{
	uint8_t hash[NTMC_HASH_LEN];

	sha256_digest(&s->piece, sizeof(hash), hash); /* begins anew */
	sha256_update(&s->name, sizeof(hash), hash);
}

/* Return: bytes that were taken */
static size_t whole_pieces(struct blobsum *s, const uint8_t *data, size_t len)
{
	uint8_t hashes[MANYHASH_MAX * NTMC_HASH_LEN];
	size_t n = len / BLOBSUM_PIECE;

	if (n > MANYHASH_MAX)
		n = MANYHASH_MAX;
	manyhash(data, BLOBSUM_PIECE, n, hashes);
	sha256_update(&s->name, n * NTMC_HASH_LEN, hashes);
	return n * BLOBSUM_PIECE;
}

void blobsum_add(struct blobsum *s, const void *data, size_t len)
{
	const uint8_t *p = data;
	uint64_t before;
	size_t has, left, n;

	while (len) {
		has = piece_has(s->len, &before);
		left = (before ? BLOBSUM_PIECE : BLOBSUM_FIRST) - has;
		if (before && !has && len >= BLOBSUM_PIECE) {
			n = whole_pieces(s, p, len);
		} else {
			n = len < left ? len : left;
			sha256_update(&s->piece, n, p);
			if (n == left)
				piece_end(s);
		}
		s->len += n;
		p += n;
		len -= n;
	}
}

void blobsum_name(const struct blobsum *s, uint8_t out[static NTMC_HASH_LEN])
{
	struct blobsum end = *s;
	uint8_t len[8];
	uint64_t before;

	if (piece_has(end.len, &before))
		piece_end(&end);
	for (int i = 0; i < 8; i++)
		len[i] = (uint8_t)(end.len >> (56 - 8 * i));
	sha256_update(&end.name, sizeof(len), len);
	sha256_digest(&end.name, NTMC_HASH_LEN, out);
}

void blobsum_of(const void *data, size_t len, uint8_t out[static NTMC_HASH_LEN])
{
	struct blobsum s;

	sum_init(&s);
	blobsum_add(&s, data, len);
	blobsum_name(&s, out);
}

/* --- states: words (32) and last block (64), of the name and of the piece --- */

static void sha_save(const struct sha256_ctx *c, uint8_t *p)
{
	memset(p, 0, BLOBSUM_STATE / 2);
	for (int i = 0; i < 8; i++) {
		p[4 * i] = (uint8_t)(c->state[i] >> 24);
		p[4 * i + 1] = (uint8_t)(c->state[i] >> 16);
		p[4 * i + 2] = (uint8_t)(c->state[i] >> 8);
		p[4 * i + 3] = (uint8_t)c->state[i];
	}
	memcpy(p + 32, c->block, c->index);
}

static void sha_load(struct sha256_ctx *c, uint64_t len, const uint8_t *p)
{
	for (int i = 0; i < 8; i++)
		c->state[i] = (uint32_t)p[4 * i] << 24 |
			      (uint32_t)p[4 * i + 1] << 16 |
			      (uint32_t)p[4 * i + 2] << 8 | p[4 * i + 3];
	c->count = len / SHA256_BLOCK_SIZE;
	c->index = (unsigned int)(len % SHA256_BLOCK_SIZE);
	memcpy(c->block, p + 32, SHA256_BLOCK_SIZE);
}

void blobsum_save(const struct blobsum *s, uint8_t out[static BLOBSUM_STATE])
{
	sha_save(&s->name, out);
	sha_save(&s->piece, out + BLOBSUM_STATE / 2);
}

void blobsum_load(struct blobsum *s, uint64_t len,
		  const uint8_t in[static BLOBSUM_STATE])
{
	uint64_t before;
	size_t has = piece_has(len, &before);

	s->len = len;
	sha_load(&s->name, LABEL_LEN + before * NTMC_HASH_LEN, in);
	sha_load(&s->piece, has, in + BLOBSUM_STATE / 2);
}
