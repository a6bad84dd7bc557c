/* SPDX-License-Identifier: MIT */
/*
 * blob - an item's data, sealed in chunks, from any chunk on
 *
 * Theory of operation
 *
 * Key and iv come of K and the Item ID alone, and each chunk's nonce of its
 * index: so the same payload gives the same blob, and a sender that was killed
 * makes the rest of it again. The price: who seals another payload under the
 * same K repeats nonces. The caller must not (it keeps the tag of each chunk that it
 * has sent, and sends under a new K when a file has changed); nothing here could
 * notice.
 *
 * Additional data is header, index and kind: 0 a chunk, 1 the last, 2 the seal.
 * The number of chunks follows from the blob's size, so a blob that is cut or
 * grown has its last chunk, or its seal, at the wrong index. The seal signs the
 * hash of all bytes before it (blobsum.h): whoever else has K, because it received
 * the item, cannot sign. The hash runs with the chunks, and is in a saved state.
 */
#include "libntmcrypto/blob.h"

#include <stdlib.h>
#include <string.h>

#include "libntmcrypto/aead.h"
#include "libntmcrypto/blobsum.h"

#define AD_LEN (BLOB_HEADER + 8 + 1)

static const uint8_t magic[9] = {'n', 't', 'm', ' ', 'i', 't', 'e', 'm', 2};

enum chunk_kind { CHUNK_MIDDLE, CHUNK_LAST, CHUNK_SEAL };

/**
 * enum blob_step
 * @BLOB_CHUNKS: index says which is next. Leaves by: the last chunk, a failure
 * @BLOB_END:    the seal is next.         Leaves by: it, a failure
 * @BLOB_DONE:   hash is known
 * @BLOB_DEAD:   something did not open; only blob_free()
 */
enum blob_step { BLOB_CHUNKS, BLOB_END, BLOB_DONE, BLOB_DEAD };

struct blob {
	struct ntmc_aead *aead;
	uint8_t iv[AEAD_NONCE_LEN];
	uint8_t header[BLOB_HEADER];
	bool sealing;
	enum blob_step step;
	uint64_t payload, chunks, index;
	struct blobsum *sum;
	uint8_t hash[NTMC_HASH_LEN];
};

static uint64_t chunks_of(uint64_t payload)
{
	return (payload + BLOB_CHUNK - 1) / BLOB_CHUNK;
}

size_t blob_part_max(uint64_t payload)
{
	size_t chunk = payload < BLOB_CHUNK ? (size_t)payload : BLOB_CHUNK;

	return chunk + NTMC_TAG_LEN > BLOB_SEAL ? chunk + NTMC_TAG_LEN
						: BLOB_SEAL;
}

uint64_t blob_size(uint64_t payload)
{
	return BLOB_HEADER + payload + chunks_of(payload) * NTMC_TAG_LEN +
	       BLOB_SEAL;
}

int blob_payload(uint64_t size, uint64_t *payload)
{
	uint64_t body, chunks;

	if (size <= BLOB_HEADER + BLOB_SEAL + NTMC_TAG_LEN ||
	    size > blob_size(BLOB_PAYLOAD_MAX))
		return -NTM_EDECODE;
	body = size - BLOB_HEADER - BLOB_SEAL;
	chunks = (body + BLOB_SEALED - 1) / BLOB_SEALED;
	if (body <= (chunks - 1) * BLOB_SEALED + NTMC_TAG_LEN)
		return -NTM_EDECODE; /* a last chunk of nothing but its tag */
	*payload = body - chunks * NTMC_TAG_LEN;
	return 0;
}

static void put64(uint8_t *p, uint64_t v)
{
	for (int i = 7; i >= 0; i--)
		*p++ = (uint8_t)(v >> 8 * i);
}

static uint64_t get64(const uint8_t *p)
{
	uint64_t v = 0;

	for (int i = 0; i < 8; i++)
		v = v << 8 | p[i];
	return v;
}

/* --- making one
 * ------------------------------------------------------------------ */

/* HKDF(K, salt Item ID, "ntm item data v1"): key and iv */
static int keys_make(struct blob *b, const struct ntmc_key *k,
		     const uint8_t *item)
{
	uint8_t prk[NTMC_HASH_LEN], out[NTMC_KEY_LEN + AEAD_NONCE_LEN];
	struct ntmc_key key;
	int r;

	r = ntmc_hkdf_extract(item, ITEM_ID_LEN, k->b, sizeof(k->b), prk);
	if (!r)
		r = ntmc_hkdf_expand(prk, "ntm item data v1", 16, out,
				     sizeof(out));
	if (!r) {
		memcpy(key.b, out, sizeof(key.b));
		memcpy(b->iv, out + NTMC_KEY_LEN, sizeof(b->iv));
		r = ntmc_aead_new((enum ntmc_aead_alg)b->header[9], &key,
				  &b->aead);
		ntmc_key_clear(&key);
	}
	ntmc_wipe(prk, sizeof(prk));
	ntmc_wipe(out, sizeof(out));
	return r;
}

static int blob_new(const struct ntmc_key *k, const uint8_t *item,
		    const uint8_t *header, uint64_t payload, bool sealing,
		    struct blob **out)
{
	struct blob *b = calloc(1, sizeof(*b));
	int r;

	if (!b)
		return -NTM_ENOMEM;
	memcpy(b->header, header, sizeof(b->header));
	b->payload = payload;
	b->chunks = chunks_of(payload);
	b->sealing = sealing;
	r = keys_make(b, k, item);
	if (!r)
		r = blobsum_new(&b->sum);
	if (r) {
		blob_free(b);
		return r;
	}
	blobsum_add(b->sum, b->header, sizeof(b->header));
	*out = b;
	return 0;
}

/* magic, version, algorithm, zeros */
static int header_check(const uint8_t *h, const uint8_t *item)
{
	static const uint8_t zero[6];

	if (memcmp(h, magic, 8) || memcmp(h + 10, zero, sizeof(zero)))
		return -NTM_EDECODE;
	if (h[8] != magic[8])
		return -NTM_EVERSION;
	if (h[9] != NTMC_AES_256_GCM && h[9] != NTMC_CHACHA20_POLY1305)
		return -NTM_EDECODE;
	return memcmp(h + 16, item, ITEM_ID_LEN) ? -NTM_EAUTH : 0;
}

int blob_seal_new(enum ntmc_aead_alg alg, const struct ntmc_key *k,
		  const uint8_t item[static ITEM_ID_LEN], uint64_t payload,
		  struct blob **out)
{
	uint8_t header[BLOB_HEADER] = {0};

	if (!payload || payload > BLOB_PAYLOAD_MAX)
		return -NTM_EINVAL;
	memcpy(header, magic, sizeof(magic));
	header[9] = (uint8_t)alg;
	memcpy(header + 16, item, ITEM_ID_LEN);
	return blob_new(k, item, header, payload, true, out);
}

int blob_open_new(const struct ntmc_key *k,
		  const uint8_t item[static ITEM_ID_LEN],
		  const uint8_t header[static BLOB_HEADER], uint64_t size,
		  struct blob **out)
{
	uint64_t payload;
	int r = blob_payload(size, &payload);

	if (!r)
		r = header_check(header, item);
	return r ? r : blob_new(k, item, header, payload, false, out);
}

void blob_free(struct blob *b)
{
	if (!b)
		return;
	ntmc_aead_free(b->aead);
	blobsum_free(b->sum);
	ntmc_wipe(b, sizeof(*b));
	free(b);
}

/* --- states
 * ---------------------------------------------------------------------- */

/* role (1), zeros (7), header, payload, index, the hash's */
void blob_save(const struct blob *b, struct blob_state *state)
{
	uint8_t *p = state->b;

	memset(p, 0, sizeof(state->b));
	p[0] = b->sealing ? 1 : 2;
	memcpy(p + 8, b->header, BLOB_HEADER);
	put64(p + 40, b->payload);
	put64(p + 48, b->index);
	blobsum_save(b->sum, p + 56);
}

int blob_resume(const struct ntmc_key *k,
		const uint8_t item[static ITEM_ID_LEN],
		const struct blob_state *state, struct blob **out)
{
	const uint8_t *p = state->b;
	uint64_t payload = get64(p + 40), index = get64(p + 48);
	struct blob *b;
	int r;

	if ((p[0] != 1 && p[0] != 2) || header_check(p + 8, item) || !payload ||
	    payload > BLOB_PAYLOAD_MAX || index > chunks_of(payload))
		return -NTM_EDECODE;
	r = blob_new(k, item, p + 8, payload, p[0] == 1, &b);
	if (r)
		return r;
	b->index = index;
	if (index == b->chunks)
		b->step = BLOB_END;
	blobsum_load(b->sum, blob_at(b), p + 56);
	*out = b;
	return 0;
}

/* --- where
 * ----------------------------------------------------------------------- */

uint64_t blob_payload_len(const struct blob *b)
{
	return b->payload;
}

uint64_t blob_payload_at(const struct blob *b)
{
	uint64_t at = b->index * BLOB_CHUNK;

	return at < b->payload ? at : b->payload;
}

uint64_t blob_at(const struct blob *b)
{
	return BLOB_HEADER + blob_payload_at(b) + b->index * NTMC_TAG_LEN;
}

size_t blob_next(const struct blob *b)
{
	uint64_t left = b->payload - blob_payload_at(b);

	return left < BLOB_CHUNK ? (size_t)left : BLOB_CHUNK;
}

void blob_header(const struct blob *b, uint8_t out[static BLOB_HEADER])
{
	memcpy(out, b->header, BLOB_HEADER);
}

/* --- chunks
 * ---------------------------------------------------------------------- */

static void chunk_bind(const struct blob *b, enum chunk_kind kind,
		       uint8_t ad[static AD_LEN],
		       uint8_t nonce[static AEAD_NONCE_LEN])
{
	memcpy(ad, b->header, BLOB_HEADER);
	put64(ad + BLOB_HEADER, b->index);
	ad[AD_LEN - 1] = (uint8_t)kind;
	memcpy(nonce, b->iv, AEAD_NONCE_LEN);
	for (int i = 0; i < 8; i++)
		nonce[4 + i] ^= ad[BLOB_HEADER + i];
}

static enum chunk_kind chunk_kind(const struct blob *b)
{
	return b->index + 1 == b->chunks ? CHUNK_LAST : CHUNK_MIDDLE;
}

static void chunk_done(struct blob *b)
{
	if (++b->index == b->chunks)
		b->step = BLOB_END;
}

int blob_seal_chunk(struct blob *b, uint8_t *buf, size_t len)
{
	uint8_t ad[AD_LEN], nonce[AEAD_NONCE_LEN];
	int r;

	if (!b->sealing || b->step != BLOB_CHUNKS)
		return -NTM_ESTATE;
	if (len != blob_next(b))
		return -NTM_EINVAL;
	chunk_bind(b, chunk_kind(b), ad, nonce);
	r = aead_seal_nonce(b->aead, nonce, ad, sizeof(ad), buf, len);
	if (r)
		return r;
	blobsum_add(b->sum, buf, len + NTMC_TAG_LEN);
	chunk_done(b);
	return 0;
}

int blob_open_chunk(struct blob *b, uint8_t *buf, size_t len)
{
	uint8_t ad[AD_LEN], nonce[AEAD_NONCE_LEN];
	int r;

	if (b->sealing || b->step != BLOB_CHUNKS)
		return -NTM_ESTATE;
	if (len != blob_next(b) + NTMC_TAG_LEN)
		return -NTM_EINVAL;
	blobsum_add(b->sum, buf, len);
	chunk_bind(b, chunk_kind(b), ad, nonce);
	r = aead_open_nonce(b->aead, nonce, ad, sizeof(ad), buf, len);
	if (r) {
		b->step = BLOB_DEAD;
		return r;
	}
	chunk_done(b);
	return 0;
}

/* --- the seal
 * -------------------------------------------------------------------- */

/* what is signed, with the hash of all bytes so far */
static int seal_text(const struct blob *b, const char *sender, uint8_t *text,
		     size_t *len)
{
	size_t n = strlen(sender), at = 0;

	if (!n || n > NTMC_FQDN_MAX)
		return -NTM_EINVAL;
	memcpy(text, "ntm item blob v2", 16);
	at += 16;
	memcpy(text + at, b->header + 16, ITEM_ID_LEN);
	at += ITEM_ID_LEN;
	text[at++] = (uint8_t)(n >> 8);
	text[at++] = (uint8_t)n;
	memcpy(text + at, sender, n);
	at += n;
	blobsum_name(b->sum, text + at);
	at += NTMC_HASH_LEN;
	put64(text + at, b->payload);
	*len = at + 8;
	return 0;
}

#define SEAL_TEXT_MAX (16 + ITEM_ID_LEN + 2 + NTMC_FQDN_MAX + NTMC_HASH_LEN + 8)

static void seal_done(struct blob *b)
{
	blobsum_name(b->sum, b->hash);
	b->step = BLOB_DONE;
}

int blob_seal_end(struct blob *b, const struct ntmc_identity *id,
		  const char *sender, uint8_t out[static BLOB_SEAL])
{
	uint8_t text[SEAL_TEXT_MAX], ad[AD_LEN], nonce[AEAD_NONCE_LEN];
	size_t len;
	int r;

	if (!b->sealing || b->step != BLOB_END)
		return -NTM_ESTATE;
	r = seal_text(b, sender, text, &len);
	if (r)
		return r;
	put64(out, b->payload);
	ntmc_ed25519_sign(&id->ed_priv, id->ed_pub, text, len, out + 8);
	chunk_bind(b, CHUNK_SEAL, ad, nonce);
	r = aead_seal_nonce(b->aead, nonce, ad, sizeof(ad), out,
			    BLOB_SEAL - NTMC_TAG_LEN);
	if (r)
		return r;
	blobsum_add(b->sum, out, BLOB_SEAL);
	seal_done(b);
	return 0;
}

int blob_open_end(struct blob *b, const uint8_t ed_pub[static NTMC_KEY_LEN],
		  const char *sender, uint8_t buf[static BLOB_SEAL])
{
	uint8_t text[SEAL_TEXT_MAX], ad[AD_LEN], nonce[AEAD_NONCE_LEN];
	size_t len;
	int r;

	if (b->sealing || b->step != BLOB_END)
		return -NTM_ESTATE;
	r = seal_text(b, sender, text, &len);
	if (r)
		return r;
	blobsum_add(b->sum, buf, BLOB_SEAL);
	chunk_bind(b, CHUNK_SEAL, ad, nonce);
	r = aead_open_nonce(b->aead, nonce, ad, sizeof(ad), buf, BLOB_SEAL);
	if (!r && get64(buf) != b->payload)
		r = -NTM_EAUTH;
	if (!r)
		r = ntmc_ed25519_verify(ed_pub, text, len, buf + 8);
	if (r)
		b->step = BLOB_DEAD;
	else
		seal_done(b);
	return r;
}

int blob_hash(const struct blob *b, uint8_t out[static NTMC_HASH_LEN])
{
	if (b->step != BLOB_DONE)
		return -NTM_ESTATE;
	memcpy(out, b->hash, NTMC_HASH_LEN);
	return 0;
}
