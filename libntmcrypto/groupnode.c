/* SPDX-License-Identifier: MIT */
/* groupnode - Kngms: what the AS lets a node and the GMS of its domain share */
#include "libntmcrypto/groupnode.h"

#include <string.h>

#include "libntmcrypto/wire.h"

int group_node_key(const struct ntmc_key *shared, uint64_t node_id,
		   const uint8_t ed_pub[static NTMC_KEY_LEN],
		   struct ntmc_key *kngms)
{
	uint8_t salt[8];
	struct wire_out w = wire_out(salt, sizeof(salt));

	wire_put_number(&w, node_id, 8);
	return ntmc_derive(shared, salt, sizeof(salt), "ntm kngms v1", ed_pub,
			   NTMC_KEY_LEN, kngms);
}

/* A key for one use: the salt is new each time, also where a GMS that was restored
 * makes another RN2 for an epoch that it had sealed one for. */
static int rn2_key(const struct ntmc_key *kngms,
		   const struct group_rn2_place *at,
		   const uint8_t salt[static GROUP_RN2_SALT_LEN],
		   struct ntmc_key *out)
{
	uint8_t text[GROUP_ID_LEN + 12];
	struct wire_out w = wire_out(text, sizeof(text));

	wire_put(&w, at->group, sizeof(at->group));
	wire_put_number(&w, at->epoch, 8);
	wire_put_number(&w, at->index, 4);
	return ntmc_derive(kngms, salt, GROUP_RN2_SALT_LEN,
			   "ntm group rn2 to node v1", text, w.len, out);
}

int group_rn2_seal(const struct ntmc_env *env, const struct ntmc_key *kngms,
		   const struct group_rn2_place *at, const struct ntmc_key *rn2,
		   uint8_t out[static GROUP_RN2_SEALED_LEN])
{
	uint8_t *sealed = out + GROUP_RN2_SALT_LEN;
	struct ntmc_key key;
	int r;

	ntmc_random(env, out, GROUP_RN2_SALT_LEN);
	r = rn2_key(kngms, at, out, &key);
	memcpy(sealed, rn2->b, sizeof(rn2->b));
	if (!r)
		r = ntmc_seal_once(NTMC_AES_256_GCM, &key, 0, NULL, 0, sealed,
				   sizeof(rn2->b));
	if (r)
		ntmc_wipe(out, GROUP_RN2_SEALED_LEN);
	ntmc_key_clear(&key);
	return r;
}

int group_rn2_open(const struct ntmc_key *kngms,
		   const struct group_rn2_place *at,
		   const uint8_t sealed[static GROUP_RN2_SEALED_LEN],
		   struct ntmc_key *rn2)
{
	uint8_t text[NTMC_KEY_LEN + NTMC_TAG_LEN];
	struct ntmc_key key;
	int r = rn2_key(kngms, at, sealed, &key);

	memcpy(text, sealed + GROUP_RN2_SALT_LEN, sizeof(text));
	if (!r)
		r = ntmc_open_once(NTMC_AES_256_GCM, &key, 0, NULL, 0, text,
				   sizeof(text));
	if (!r)
		memcpy(rn2->b, text, sizeof(rn2->b));
	ntmc_wipe(text, sizeof(text));
	ntmc_key_clear(&key);
	return r;
}
