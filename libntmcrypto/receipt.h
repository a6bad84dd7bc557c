/* SPDX-License-Identifier: MIT */
/*
 * receipt - a receiver's signed word that it has an item, or refuses it, which the sender
 * alone can read (docs/exchange.md, Receipt)
 *
 * Owner:    the caller. Context: any thread; nothing is kept.
 * Errors and secrets as in ntmcrypto.h.
 */
#ifndef NTM_LIBNTMCRYPTO_RECEIPT_H
#define NTM_LIBNTMCRYPTO_RECEIPT_H

#include "libntmcrypto/item.h"

/** algorithm | signature, sealed | tag */
#define RECEIPT_LEN (1 + NTMC_SIG_LEN + NTMC_TAG_LEN)

/**
 * struct receipt - what is said of one item; borrowed
 * @blob: the name of the blob that it is said of, NTMC_HASH_LEN bytes
 * @code: 0: it is here, whole and verified; else why not, a positive enum ntm_err
 */
struct receipt {
	struct item_names names;
	const uint8_t *blob;
	unsigned int code;
};

/**
 * receipt_sign() - @r, said by its receiver
 * @id: the receiver's; @k: the item's K, which hides the signature from servers
 * Return: 0, -NTM_EINVAL (a name, or a code above 65535), -NTM_ENOMEM
 */
NTM_MUST_CHECK int receipt_sign(const struct ntmc_identity *id,
				const struct ntmc_key *k,
				const struct receipt *r,
				uint8_t out[static RECEIPT_LEN]);
/**
 * receipt_verify() - does @msg say @r, by the receiver's own key?
 * @ed_pub: the identity that signed the prekey which K was sealed to
 * Return: 0; -NTM_EDECODE (no receipt), -NTM_EAUTH (of something else, by somebody
 *         else, or under another K), -NTM_EINVAL, -NTM_ENOMEM
 */
NTM_MUST_CHECK int receipt_verify(const uint8_t ed_pub[static NTMC_KEY_LEN],
				  const struct ntmc_key *k,
				  const struct receipt *r, const uint8_t *msg,
				  size_t len);

#endif
