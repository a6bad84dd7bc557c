/* SPDX-License-Identifier: MIT */
/*
 * aead - the AEAD with an explicit nonce: one-shot for noise.c, by handle for blob.c
 *
 * Owner:    none; keeps no state, wipes its key schedule.
 * Context:  inside libntmcrypto only.
 */
#ifndef NTM_LIBNTMCRYPTO_AEAD_H
#define NTM_LIBNTMCRYPTO_AEAD_H

#include "libntmcrypto/ntmcrypto.h"

#define AEAD_NONCE_LEN 12

/**
 * aead_encrypt() - @out = ciphertext and tag
 * @in:  @len bytes; may equal @out, may not overlap it otherwise
 * @out: @len + NTMC_TAG_LEN bytes
 */
NTM_MUST_CHECK int aead_encrypt(enum ntmc_aead_alg alg,
				const struct ntmc_key *key,
				const uint8_t nonce[static AEAD_NONCE_LEN],
				const void *ad, size_t ad_len,
				const uint8_t *in, size_t len, uint8_t *out);
/**
 * aead_decrypt() - check the tag, and give the plaintext
 * @in:  @len bytes of ciphertext and tag; may equal @out
 * @out: @len - NTMC_TAG_LEN bytes; wiped on failure
 *
 * Return: 0, -NTM_EAUTH, -NTM_EINVAL when shorter than a tag
 */
NTM_MUST_CHECK int aead_decrypt(enum ntmc_aead_alg alg,
				const struct ntmc_key *key,
				const uint8_t nonce[static AEAD_NONCE_LEN],
				const void *ad, size_t ad_len,
				const uint8_t *in, size_t len, uint8_t *out);

/** ntmc_aead_seal() and ntmc_aead_open() with an explicit nonce */
NTM_MUST_CHECK int aead_seal_nonce(struct ntmc_aead *a,
				   const uint8_t nonce[static AEAD_NONCE_LEN],
				   const void *ad, size_t ad_len, uint8_t *buf,
				   size_t len);
NTM_MUST_CHECK int aead_open_nonce(struct ntmc_aead *a,
				   const uint8_t nonce[static AEAD_NONCE_LEN],
				   const void *ad, size_t ad_len, uint8_t *buf,
				   size_t len);

#endif
