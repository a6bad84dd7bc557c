/* SPDX-License-Identifier: MIT */
/*
 * groupnode - Kngms: what the AS lets a node and the GMS of its domain share
 * (docs/groups.md, GMS)
 *
 * Owner:    the caller; keys are by value and secret. Context: AS, GMS, member; any
 *           thread.
 * Nothing is kept for a node: AS and GMS have one key, and what a login gives is made
 * of it, of the login's Node ID and of the node's identity.
 */
#ifndef NTM_LIBNTMCRYPTO_GROUPNODE_H
#define NTM_LIBNTMCRYPTO_GROUPNODE_H

#include "libntmcrypto/group.h"

#define GROUP_RN2_SALT_LEN   16
#define GROUP_RN2_SEALED_LEN (GROUP_RN2_SALT_LEN + NTMC_KEY_LEN + NTMC_TAG_LEN)

/** Kngms. @shared: of AS and GMS. Return: 0, -NTM_ENOMEM */
NTM_MUST_CHECK int group_node_key(const struct ntmc_key *shared,
				  uint64_t node_id,
				  const uint8_t ed_pub[static NTMC_KEY_LEN],
				  struct ntmc_key *kngms);

/** struct group_rn2_place - for whom, and in which epoch, an RN2 is */
struct group_rn2_place {
	uint8_t group[GROUP_ID_LEN];
	uint64_t epoch;
	uint32_t index;
};
/** Return: 0, -NTM_ENOMEM */
NTM_MUST_CHECK int group_rn2_seal(const struct ntmc_env *env,
				  const struct ntmc_key *kngms,
				  const struct group_rn2_place *at,
				  const struct ntmc_key *rn2,
				  uint8_t out[static GROUP_RN2_SEALED_LEN]);
/** Return: 0, -NTM_EAUTH (another key, group, epoch or member), -NTM_ENOMEM */
NTM_MUST_CHECK int
group_rn2_open(const struct ntmc_key *kngms, const struct group_rn2_place *at,
	       const uint8_t sealed[static GROUP_RN2_SEALED_LEN],
	       struct ntmc_key *rn2);

#endif
