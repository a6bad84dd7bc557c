/* SPDX-License-Identifier: MIT */
/*
 * vaes - AES-256-GCM by Intel's IPsec library, for CPUs with VAES and AVX-512
 *
 * Owner:    struct ntmc_aead. Context: inside libntmcrypto only; a key belongs to
 *           one thread at a time.
 * GnuTLS 3.7 has no code for these instructions; on such a CPU this seals 1400
 * bytes in well under half the time. Where CPU or library lack it, every call
 * says so and GnuTLS serves.
 */
#ifndef NTM_LIBNTMCRYPTO_VAES_H
#define NTM_LIBNTMCRYPTO_VAES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libntmcrypto/ntmcrypto.h"

struct vaes_key;

/** a key schedule, or NULL: not on this CPU, not in this build, no memory */
struct vaes_key *vaes_key_new(const struct ntmc_key *key);
void vaes_key_free(struct vaes_key *k); /* wipes; NULL is fine */
/** @out: @len bytes and the tag; may equal @in, may not overlap it otherwise */
void vaes_seal(struct vaes_key *k, const uint8_t nonce[static 12],
	       const void *ad, size_t ad_len, const uint8_t *in, size_t len,
	       uint8_t *out);
/** in place; @buf: @len bytes, then the tag. false: forged, @buf is garbage */
bool vaes_open(struct vaes_key *k, const uint8_t nonce[static 12],
	       const void *ad, size_t ad_len, uint8_t *buf, size_t len);

#endif
