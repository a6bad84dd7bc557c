/* SPDX-License-Identifier: MIT */
/*
 * groupkey - the keys of a group: RN1 and its shares, RN2's seal, the epoch's keys
 * (docs/groups.md, Keys)
 *
 * Owner:    the caller; everything here is by value. What has a _clear() is secret.
 * Context:  member (RN1) and GMS (seals); any thread, one at a time.
 * Errors and secrets as in ntmcrypto.h.
 */
#ifndef NTM_LIBNTMCRYPTO_GROUPKEY_H
#define NTM_LIBNTMCRYPTO_GROUPKEY_H

#include "libntmcrypto/group.h"

#define GROUP_NAME_MAX	  63
#define GROUP_PART_LEN	  (NTMC_KEY_LEN + NTMC_TAG_LEN)
#define GROUP_SEAL_LEN	  172
#define GROUP_CONFIRM_LEN 16
#define GROUP_TAG_LEN	  8
#define GROUP_WELCOME_MAX                                                      \
	(1 + GROUP_ID_LEN + 2 + GROUP_NAME_MAX + 8 + 4 + 2 * NTMC_HASH_LEN)
#define GROUP_CLOCK_S 300 /* clocks may differ by that */

/** 1 to GROUP_NAME_MAX of a-z, 0-9 and inner hyphens */
bool group_name_ok(const char *name);

/* --- RN1 ----------------------------------------------------------------------- */

/** struct group_secret - RN1 as it is in @epoch; secret */
struct group_secret {
	uint8_t id[GROUP_ID_LEN];
	char name[GROUP_NAME_MAX + 1];
	uint64_t epoch;
	uint32_t generation;
	struct ntmc_key rn1;
};
void group_secret_clear(struct group_secret *s);
/** RN1 of a new group, epoch 1. Return: 0, -NTM_EINVAL (name) */
NTM_MUST_CHECK int group_secret_first(struct group_secret *s,
				      const uint8_t id[static GROUP_ID_LEN],
				      const char *name,
				      const struct ntmc_key *share);
/**
 * group_secret_step() - into the epoch that @e begins; @e has applied to the log
 * @share: the fresh share, where the entry commits to one; else not read
 *
 * Return: 0; nothing changed: -NTM_ESTATE (not the next epoch), -NTM_ENOTFOUND (a
 *         share is needed), -NTM_EAUTH (not the share that the author committed to)
 */
NTM_MUST_CHECK int group_secret_step(struct group_secret *s,
				     const struct group_entry *e,
				     const struct ntmc_key *share);

/**
 * group_welcome_put() - RN1 for who joins, and for the own store: to be sealed
 * @hash: th of the secret's epoch
 * @out: wiped by the caller. Return: bytes written
 */
size_t group_welcome_put(const struct group_secret *s,
			 const uint8_t hash[static NTMC_HASH_LEN],
			 uint8_t out[static GROUP_WELCOME_MAX]);
/** Return: 0, -NTM_EDECODE */
NTM_MUST_CHECK int group_welcome_get(const uint8_t *b, size_t len,
				     struct group_secret *s,
				     uint8_t hash[static NTMC_HASH_LEN]);

/* --- shares, sealed to members --------------------------------------------------- */

/** struct group_prekey - for one part, by its member */
struct group_prekey {
	uint8_t pub[NTMC_KEY_LEN];
	uint64_t serial;
	uint8_t sig[NTMC_SIG_LEN];
};
void group_prekey_sign(const struct ntmc_identity *id,
		       const uint8_t group[static GROUP_ID_LEN],
		       struct group_prekey *p);
/** Return: 0, -NTM_EAUTH */
NTM_MUST_CHECK int
group_prekey_verify(const struct group_prekey *p,
		    const uint8_t group[static GROUP_ID_LEN],
		    const uint8_t ed_pub[static NTMC_KEY_LEN]);
void group_prekey_put(const struct group_prekey *p,
		      uint8_t out[static GROUP_PREKEY_LEN]);
/** nothing is verified. Return: 0, -NTM_EDECODE */
NTM_MUST_CHECK int group_prekey_get(const uint8_t *b, size_t len,
				    struct group_prekey *out);

/** struct group_sealer - one ephemeral key for all parts of one entry; secret */
struct group_sealer {
	uint8_t id[GROUP_ID_LEN];
	uint64_t epoch;
	uint32_t generation;
	struct ntmc_key priv;
	uint8_t pub[NTMC_KEY_LEN];
};
/** @epoch, @generation: those that the entry begins */
void group_sealer_open(const struct ntmc_env *env,
		       const uint8_t id[static GROUP_ID_LEN], uint64_t epoch,
		       uint32_t generation, struct group_sealer *out);
void group_sealer_clear(struct group_sealer *s);
/** Return: 0, -NTM_EAUTH (a low-order key) */
NTM_MUST_CHECK int group_part_seal(const struct group_sealer *s, uint32_t index,
				   const uint8_t prekey[static NTMC_KEY_LEN],
				   const struct ntmc_key *share,
				   uint8_t out[static GROUP_PART_LEN]);
/**
 * group_part_open() - the member's side
 * @sealer: the ephemeral public key
 * @prekey, @prekey_pub: its own, private and public: kept, as to make the public one
 *          anew costs half as much as the rest
 * Return: 0, -NTM_EAUTH. That it is the share which the entry commits to is asked by
 *         group_secret_step()
 */
NTM_MUST_CHECK int
group_part_open(const struct group_entry *e, uint32_t index,
		const uint8_t sealer[static NTMC_KEY_LEN],
		const struct ntmc_key *prekey,
		const uint8_t prekey_pub[static NTMC_KEY_LEN],
		const uint8_t part[static GROUP_PART_LEN],
		struct ntmc_key *share);

/* --- RN2 ----------------------------------------------------------------------- */

/** the GMS's word on the epoch that @g is in; @id: the GMS's identity.
 *  Return: 0, -NTM_EINVAL (times) */
NTM_MUST_CHECK int group_seal_make(const struct ntmc_identity *id,
				   const struct group *g,
				   const struct ntmc_key *rn2,
				   int64_t not_before, int64_t not_after,
				   uint8_t out[static GROUP_SEAL_LEN]);
/**
 * group_seal_check() - may RN2 be used?
 * @now: by the GMS's clock, as far as it is known
 * @not_after: nothing is sent later than that without a newer word of the GMS; what the
 *             seal says, but at most the policy's max_age_s from @now on
 *
 * Return: 0; -NTM_EDECODE; -NTM_ENOTFOUND (another group), -NTM_ESTATE (an epoch that
 *         is over), -NTM_EAGAIN (one that has not come), -NTM_EFORK (another past);
 *         -NTM_EAUTH (not the GMS's, or not this RN2); -NTM_ECLOCK, -NTM_EEXPIRED
 */
NTM_MUST_CHECK int group_seal_check(const struct group *g, const uint8_t *seal,
				    size_t len, const struct ntmc_key *rn2,
				    int64_t now, int64_t *not_after);
/**
 * group_seal_read() - what a seal says that the GMS has signed for whomever
 * @hash: th of @epoch
 * Return: 0, -NTM_EDECODE, -NTM_ENOTFOUND (another group's), -NTM_EAUTH (not the GMS's)
 */
NTM_MUST_CHECK int group_seal_read(const struct group *g, const uint8_t *seal,
				   size_t len, uint64_t *epoch,
				   uint8_t hash[static NTMC_HASH_LEN]);
/** group_seal_check() of a seal that group_seal_read() has taken, with @g as it is: the
 *  signature, which is most of the work, is not verified again */
NTM_MUST_CHECK int group_seal_check_read(
	const struct group *g, const uint8_t seal[static GROUP_SEAL_LEN],
	const struct ntmc_key *rn2, int64_t now, int64_t *not_after);
/** seconds since 1970 by the GMS's clock: it made this RN2 then. @seal was checked */
int64_t group_seal_since(const uint8_t seal[static GROUP_SEAL_LEN]);
/** do two seals prove that the GMS gave two answers for one epoch? */
bool group_seals_conflict(const struct group *g,
			  const uint8_t a[static GROUP_SEAL_LEN],
			  const uint8_t b[static GROUP_SEAL_LEN]);

/* --- the epoch's keys --------------------------------------------------------------- */

/** struct group_keys - what GK is good for, in one epoch; secret */
struct group_keys {
	uint8_t id[GROUP_ID_LEN];
	uint64_t epoch;
	uint8_t hash[NTMC_HASH_LEN];
	struct ntmc_key confirm, control, data, exporter;
	struct ntmc_key relay;
	uint8_t tag[GROUP_TAG_LEN];
};
void group_keys_clear(struct group_keys *k);
/** @g and @s are in one epoch. GK is wiped before it returns.
 *  Return: 0, -NTM_ESTATE */
NTM_MUST_CHECK int group_keys_derive(const struct group_secret *s,
				     const struct group *g,
				     const struct ntmc_key *rn2,
				     struct group_keys *out);
/** the part that the GMS can make as well: the relay's key and the tag */
void group_relay_derive(const struct ntmc_key *rn2,
			const uint8_t id[static GROUP_ID_LEN], uint64_t epoch,
			struct ntmc_key *relay,
			uint8_t tag[static GROUP_TAG_LEN]);

void group_confirm(const struct group_keys *k, uint32_t index,
		   uint8_t tag[static GROUP_CONFIRM_LEN]);
/** Return: 0, -NTM_EAUTH */
NTM_MUST_CHECK int group_confirmed(const struct group_keys *k, uint32_t index,
				   const uint8_t tag[static GROUP_CONFIRM_LEN]);
/** six groups of five digits for two people to compare */
NTM_MUST_CHECK int group_verify_code(const struct group_keys *k,
				     const struct group *g,
				     char text[static NTMC_VERIFY_TEXT_LEN]);
/** a key for other programs. Return: 0, -NTM_EINVAL (lengths) */
NTM_MUST_CHECK int group_export(const struct group_keys *k, const char *label,
				const void *context, size_t context_len,
				void *out, size_t len);

#endif
