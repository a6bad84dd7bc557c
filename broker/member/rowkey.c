/* SPDX-License-Identifier: MIT */
/* rowkey - the key of a store's secret rows, made of the device's identity */
#include "broker/member/rowkey.h"

#include <string.h>

int rowkey_init(struct rowkey *k, const struct ntmc_env *env, const char *label,
		const struct ntmc_identity *id)
{
	k->env = env;
	return ntmc_hkdf_extract(label, strlen(label), id->ed_priv.b,
				 sizeof(id->ed_priv.b), k->key.b);
}

void rowkey_clear(struct rowkey *k)
{
	ntmc_key_clear(&k->key);
}

int rowkey_seal(const struct rowkey *k, const void *ad, size_t ad_len,
		uint8_t *b, size_t len)
{
	struct ntmc_key once;
	int r;

	ntmc_random(k->env, b, ROWKEY_SALT);
	r = ntmc_hkdf_expand(k->key.b, b, ROWKEY_SALT, once.b, sizeof(once.b));
	if (!r)
		r = ntmc_seal_once(NTMC_AES_256_GCM, &once, 0, ad, ad_len,
				   b + ROWKEY_SALT, len);
	ntmc_key_clear(&once);
	return r;
}

int rowkey_open(const struct rowkey *k, const void *ad, size_t ad_len,
		uint8_t *b, size_t len)
{
	struct ntmc_key once;
	int r = ntmc_hkdf_expand(k->key.b, b, ROWKEY_SALT, once.b,
				 sizeof(once.b));

	if (!r)
		r = ntmc_open_once(NTMC_AES_256_GCM, &once, 0, ad, ad_len,
				   b + ROWKEY_SALT, len - ROWKEY_SALT);
	ntmc_key_clear(&once);
	return r;
}
