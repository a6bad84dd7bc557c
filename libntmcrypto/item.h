/* SPDX-License-Identifier: MIT */
/*
 * item - keys of items for who is away: prekeys, and the shared key K sealed
 * to one, then under a temporal key (docs/exchange.md, Sealing)
 *
 * Owner:    the caller. Context: any thread; nothing is kept.
 * Errors and secrets as in ntmcrypto.h.
 */
#ifndef NTM_LIBNTMCRYPTO_ITEM_H
#define NTM_LIBNTMCRYPTO_ITEM_H

#include "libntmcrypto/ntmcrypto.h"

#define ITEM_ID_LEN   16
#define PREKEY_ID_LEN 8
/** a prekey serves at most that long */
#define PREKEY_LIFE_MAX_S (35 * 86400)
/** a prekey, and what is sealed, may be of the future of who looks at it by that: as much as
 *  certificates begin before they are made */
#define ITEM_CLOCK_S NTMC_CERT_BACKDATE_S
/** the longest life of an item; K sealed longer ago is refused */
#define ITEM_RETENTION_S (30 * 86400)

/**
 * struct prekey - a receiver's key for items
 * @fqdn: the device's name; @sig by its identity, see docs/exchange.md
 */
struct prekey {
	char fqdn[NTMC_FQDN_MAX + 1];
	uint8_t id[PREKEY_ID_LEN];
	uint8_t pub[NTMC_KEY_LEN];
	int64_t not_before, not_after;
	uint8_t sig[NTMC_SIG_LEN];
};

/** fills @p->sig; the other fields are the caller's. Return: 0, -NTM_EINVAL (name
 *  or lifetime) */
NTM_MUST_CHECK int prekey_sign(const struct ntmc_identity *id,
			       struct prekey *p);
/**
 * prekey_verify() - may K be sealed to it?
 * @trust: CAs; @cert, @cert_len: DER of the device's certificate
 * @out:   that certificate; its ed_pub is for the caller to compare with the pin
 *
 * Return: 0; -NTM_EEXPIRED, -NTM_ECLOCK (not its time), -NTM_EINVAL (lives too
 *         long), -NTM_ECERT (of another name, or as ntmc_trust_verify() says, at
 *         not_before), -NTM_EAUTH (signature, or a low-order key)
 */
NTM_MUST_CHECK int prekey_verify(const struct prekey *p,
				 const struct ntmc_trust *trust,
				 const uint8_t *cert, size_t cert_len,
				 int64_t now, struct ntmc_cert *out);

/** struct item_names - what binds a sealed key to its place; borrowed */
struct item_names {
	const uint8_t *item; /* ITEM_ID_LEN */
	const char *sender, *receiver;
};

/* prekey's id | algorithm | Noise X with K, certificate, time, signature */
#define ITEM_KEY_MAX                                                           \
	(PREKEY_ID_LEN + 1 + 96 + NTMC_KEY_LEN + 2 + NTMC_CERT_MAX + 8 +       \
	 NTMC_SIG_LEN)
/** the same under a temporal key: algorithm, sealed, tag */
#define ITEM_SEALED_MAX (1 + ITEM_KEY_MAX + NTMC_TAG_LEN)

/**
 * item_key_wrap() - seal @k to @p
 * @id, @cert: the sender's keys and certificate (DER)
 * @agreed:    NULL, or where their agreement is kept for the next item
 * @out, @len: ITEM_KEY_MAX bytes of room; written
 *
 * Return: 0, -NTM_EINVAL (a name), -NTM_ETOOBIG (certificate), -NTM_EAUTH (@p is a
 *         low-order key), -NTM_ENOMEM
 */
NTM_MUST_CHECK int
item_key_wrap(const struct ntmc_env *env, const struct ntmc_identity *id,
	      const uint8_t *cert, size_t cert_len, const struct item_names *n,
	      const struct prekey *p, const struct ntmc_key *k,
	      struct ntmc_agreed *agreed, uint8_t out[static ITEM_KEY_MAX],
	      size_t *len);
/** which prekey @msg is sealed to; -NTM_EDECODE when it is too short */
NTM_MUST_CHECK int item_key_prekey(const uint8_t *msg, size_t len,
				   uint8_t id[static PREKEY_ID_LEN]);
/**
 * item_key_unwrap() - open it, and verify who sealed it
 * @prekey: private key of the prekey that item_key_prekey() named; @pub: public
 * @agreed: as above
 * @out:    the sender's certificate; its ed_pub is for the caller to compare with
 *          the pin. Written with @k on success only
 *
 * Return: 0, -NTM_EDECODE, -NTM_EAUTH (not to this prekey, for other names, another
 *         item, or not signed by the certificate's identity), -NTM_ECERT (another
 *         name or static key, or as ntmc_trust_verify() says at the time of
 *         sealing), -NTM_ECLOCK (sealed in the future), -NTM_EEXPIRED (too long ago)
 */
NTM_MUST_CHECK int
item_key_unwrap(const struct ntmc_env *env, const struct ntmc_trust *trust,
		const struct item_names *n, const struct ntmc_key *prekey,
		const uint8_t pub[static NTMC_KEY_LEN],
		struct ntmc_agreed *agreed, const uint8_t *msg, size_t len,
		struct ntmc_key *k, struct ntmc_cert *out);

/** the second seal: under derive(@t, Item ID). @out: @len + 17 bytes.
 *  Return: 0, -NTM_ETOOBIG */
NTM_MUST_CHECK int item_temporal_seal(const struct ntmc_key *t,
				      const uint8_t item[static ITEM_ID_LEN],
				      const uint8_t *msg, size_t len,
				      uint8_t *out, size_t *out_len);
/** @out: @len bytes of room. Return: 0, -NTM_EDECODE, -NTM_EAUTH, -NTM_ETOOBIG */
NTM_MUST_CHECK int item_temporal_open(const struct ntmc_key *t,
				      const uint8_t item[static ITEM_ID_LEN],
				      const uint8_t *msg, size_t len,
				      uint8_t *out, size_t *out_len);
/** the name of @t in lists: SHA-256("ntm temporal hash v1" | T) */
void item_temporal_hash(const struct ntmc_key *t,
			uint8_t out[static NTMC_HASH_LEN]);

#endif
