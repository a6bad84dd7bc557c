/* SPDX-License-Identifier: MIT */
/* kdf - SHA-256, HMAC, HKDF and the project's labelled subkeys, on Nettle */
#include "libntmcrypto/ntmcrypto.h"

#include <nettle/hkdf.h>
#include <nettle/hmac.h>
#include <nettle/sha2.h>
#include <string.h>

#define EXPAND_MAX (255 * NTMC_HASH_LEN) /* RFC 5869 section 2.3 */

void ntmc_sha256(const void *data, size_t len,
		 uint8_t out[static NTMC_HASH_LEN])
{
	struct sha256_ctx ctx;

	sha256_init(&ctx);
	sha256_update(&ctx, len, data);
	sha256_digest(&ctx, NTMC_HASH_LEN, out);
	ntmc_wipe(&ctx, sizeof(ctx));
}

void ntmc_hmac(const void *key, size_t key_len, const void *data, size_t len,
	       uint8_t out[static NTMC_HASH_LEN])
{
	struct hmac_sha256_ctx ctx;

	hmac_sha256_set_key(&ctx, key_len, key);
	hmac_sha256_update(&ctx, len, data);
	hmac_sha256_digest(&ctx, NTMC_HASH_LEN, out);
	ntmc_wipe(&ctx, sizeof(ctx));
}

int ntmc_hkdf_extract(const void *salt, size_t salt_len, const void *ikm,
		      size_t ikm_len, uint8_t prk[static NTMC_HASH_LEN])
{
	static const uint8_t no_salt[NTMC_HASH_LEN];

	if ((!salt && salt_len) || (!ikm && ikm_len))
		return -NTM_EINVAL;
	if (!salt_len) {
		salt = no_salt;
		salt_len = sizeof(no_salt);
	}
	ntmc_hmac(salt, salt_len, ikm, ikm_len, prk);
	return 0;
}

int ntmc_hkdf_expand(const uint8_t prk[static NTMC_HASH_LEN], const void *info,
		     size_t info_len, void *out, size_t out_len)
{
	struct hmac_sha256_ctx ctx;

	if (out_len > EXPAND_MAX || (!info && info_len))
		return -NTM_EINVAL;
	if (!out_len)
		return 0;
	hmac_sha256_set_key(&ctx, NTMC_HASH_LEN, prk);
	hkdf_expand(&ctx, (nettle_hash_update_func *)hmac_sha256_update,
		    (nettle_hash_digest_func *)hmac_sha256_digest,
		    NTMC_HASH_LEN, info_len, info, out_len, out);
	ntmc_wipe(&ctx, sizeof(ctx));
	return 0;
}

int ntmc_derive(const struct ntmc_key *ikm, const void *salt, size_t salt_len,
		const char *label, const void *context, size_t context_len,
		struct ntmc_key *out)
{
	size_t label_len = strlen(label);
	uint8_t prk[NTMC_HASH_LEN], t[NTMC_HASH_LEN], lp[2];
	static const uint8_t one = 1;
	struct hmac_sha256_ctx ctx;
	int r;

	if (label_len > UINT16_MAX || (!context && context_len))
		return -NTM_EINVAL;
	r = ntmc_hkdf_extract(salt, salt_len, ikm->b, sizeof(ikm->b), prk);
	if (r)
		return r;

	/*
	 * HKDF-Expand of one block is HMAC(prk, info || 1). Feeding info in
	 * pieces keeps its length free without a buffer to hold it.
	 */
	lp[0] = (uint8_t)(label_len >> 8);
	lp[1] = (uint8_t)label_len;
	hmac_sha256_set_key(&ctx, sizeof(prk), prk);
	hmac_sha256_update(&ctx, sizeof(lp), lp);
	hmac_sha256_update(&ctx, label_len, (const uint8_t *)label);
	hmac_sha256_update(&ctx, context_len, context);
	hmac_sha256_update(&ctx, 1, &one);
	hmac_sha256_digest(&ctx, sizeof(t), t);

	memcpy(out->b, t, sizeof(out->b));
	ntmc_wipe(&ctx, sizeof(ctx));
	ntmc_wipe(prk, sizeof(prk));
	ntmc_wipe(t, sizeof(t));
	return 0;
}
