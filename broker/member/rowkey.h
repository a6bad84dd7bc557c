/* SPDX-License-Identifier: MIT */
/*
 * rowkey - the key of a store's secret rows, made of the device's identity
 *
 * The file alone opens nothing. Each sealing has a key of its own, made with ROWKEY_SALT
 * random bytes that stand in front of it, so that no nonce comes twice, not in a copy of
 * the file that lives on somewhere else either. What a row is bound to (where it lies, of
 * which epoch) is its additional data: in another's place it does not open.
 *
 * Owner:    a store, embedded; rowkey_clear() wipes it. Context: any.
 */
#ifndef NTM_BROKER_MEMBER_ROWKEY_H
#define NTM_BROKER_MEMBER_ROWKEY_H

#include "libntmcrypto/ntmcrypto.h"

#define ROWKEY_SALT 16
/* a sealed row is longer by so much */
#define ROWKEY_EXTRA (ROWKEY_SALT + NTMC_TAG_LEN)

/** struct rowkey - secret; @env: where salts come from, borrowed */
struct rowkey {
	const struct ntmc_env *env;
	struct ntmc_key key;
};

/** @label: of the store, so that no two have one key. Return: 0, or as
 *  ntmc_hkdf_extract() */
NTM_MUST_CHECK int rowkey_init(struct rowkey *k, const struct ntmc_env *env,
			       const char *label,
			       const struct ntmc_identity *id);
void rowkey_clear(struct rowkey *k);
/** @b: the row at ROWKEY_SALT, @len bytes, and room for a tag. Return: 0 and
 *  @len + ROWKEY_EXTRA bytes there, or as ntmc_seal_once() */
NTM_MUST_CHECK int rowkey_seal(const struct rowkey *k, const void *ad,
			       size_t ad_len, uint8_t *b, size_t len);
/** @b: @len bytes, ROWKEY_EXTRA at least. Return: 0 and the row at ROWKEY_SALT, or
 *  as ntmc_open_once() */
NTM_MUST_CHECK int rowkey_open(const struct rowkey *k, const void *ad,
			       size_t ad_len, uint8_t *b, size_t len);

#endif
