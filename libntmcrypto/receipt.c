/* SPDX-License-Identifier: MIT */
/*
 * receipt - a receiver's signed word on an item
 *
 * Theory of operation
 *
 * The receiver's identity signs which item, of whom, for whom, as which blob, and what
 * became of it: so the word fits no other item, receiver, sender, blob or outcome. A
 * bare signature would let every server that hands it on prove to others who got what
 * from whom. So it travels under a key of K, which sender and receivers have, and
 * servers have not. That key is made of all that is signed, too: no two receipts share
 * one, and the nonce can be 0.
 */
#include "libntmcrypto/receipt.h"

#include <string.h>

#include "libntmcrypto/aead.h"
#include "libntmcrypto/wire.h"

#define TEXT_MAX                                                               \
	(19 + ITEM_ID_LEN + 2 * (2 + NTMC_FQDN_MAX) + NTMC_HASH_LEN + 2)

static const uint8_t zero_nonce[AEAD_NONCE_LEN];

static bool name_ok(const char *name)
{
	size_t len = name ? strlen(name) : 0;

	return len && len <= NTMC_FQDN_MAX;
}

/* what is signed. Return: its length, 0: @r is none */
static size_t text_put(const struct receipt *r, uint8_t b[static TEXT_MAX])
{
	struct wire_out w = wire_out(b, TEXT_MAX);

	if (!name_ok(r->names.sender) || !name_ok(r->names.receiver) ||
	    r->code > UINT16_MAX)
		return 0;
	wire_put_label(&w, "ntm item receipt v1");
	wire_put(&w, r->names.item, ITEM_ID_LEN);
	wire_put_name(&w, r->names.sender);
	wire_put_name(&w, r->names.receiver);
	wire_put(&w, r->blob, NTMC_HASH_LEN);
	wire_put_number(&w, r->code, 2);
	return w.full ? 0 : w.len;
}

static int key_make(const struct ntmc_key *k, const struct receipt *r,
		    const uint8_t *text, size_t len, struct ntmc_key *out)
{
	uint8_t hash[NTMC_HASH_LEN];

	ntmc_sha256(text, len, hash);
	return ntmc_derive(k, r->names.item, ITEM_ID_LEN,
			   "ntm item receipt key v1", hash, sizeof(hash), out);
}

int receipt_sign(const struct ntmc_identity *id, const struct ntmc_key *k,
		 const struct receipt *r, uint8_t out[static RECEIPT_LEN])
{
	enum ntmc_aead_alg alg = ntmc_aead_preferred();
	uint8_t text[TEXT_MAX], sig[NTMC_SIG_LEN];
	size_t len = text_put(r, text);
	struct ntmc_key key;
	int err = len ? key_make(k, r, text, len, &key) : -NTM_EINVAL;

	if (err)
		return err;
	ntmc_ed25519_sign(&id->ed_priv, id->ed_pub, text, len, sig);
	out[0] = (uint8_t)alg;
	err = aead_encrypt(alg, &key, zero_nonce, NULL, 0, sig, sizeof(sig),
			   out + 1);
	ntmc_key_clear(&key);
	return err;
}

int receipt_verify(const uint8_t ed_pub[static NTMC_KEY_LEN],
		   const struct ntmc_key *k, const struct receipt *r,
		   const uint8_t *msg, size_t len)
{
	uint8_t text[TEXT_MAX], sig[NTMC_SIG_LEN];
	size_t text_len = text_put(r, text);
	struct ntmc_key key;
	int err;

	if (!text_len)
		return -NTM_EINVAL;
	if (len != RECEIPT_LEN ||
	    (msg[0] != NTMC_AES_256_GCM && msg[0] != NTMC_CHACHA20_POLY1305))
		return -NTM_EDECODE;
	err = key_make(k, r, text, text_len, &key);
	if (err)
		return err;
	err = aead_decrypt((enum ntmc_aead_alg)msg[0], &key, zero_nonce, NULL,
			   0, msg + 1, len - 1, sig);
	ntmc_key_clear(&key);
	if (!err)
		err = ntmc_ed25519_verify(ed_pub, text, text_len, sig);
	return err;
}
