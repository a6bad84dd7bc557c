/* SPDX-License-Identifier: MIT */
/*
 * groupinvite - an invitation to a group, and its acceptance (docs/groups.md,
 * Invitation)
 *
 * Owner:    the caller; by value. Context: any thread.
 * Both travel in items, sealed and signed by their sender; their own signatures bind
 * them to identities, group and time beside that.
 */
#ifndef NTM_LIBNTMCRYPTO_GROUPINVITE_H
#define NTM_LIBNTMCRYPTO_GROUPINVITE_H

#include "libntmcrypto/groupkey.h"

#define GROUP_INVITE_LIFE_S (30 * 86400)
#define GROUP_WAYS_MAX	    255
#define GROUP_INVITE_MAX                                                       \
	(1 + GROUP_ID_LEN + 2 + GROUP_NAME_MAX + 3 * NTMC_KEY_LEN +            \
	 3 * (2 + NTMC_FQDN_MAX) + 2 + GROUP_WAYS_MAX + 1 + 8 +                \
	 GROUP_TOKEN_LEN + NTMC_SIG_LEN)
#define GROUP_ACCEPT_LEN                                                       \
	(1 + GROUP_ID_LEN + GROUP_TOKEN_LEN + GROUP_PREKEY_LEN + NTMC_SIG_LEN)

/**
 * struct group_invite
 * @ways: where the GMS is, ADDRESS:PORT|ADDRESS:PORT
 * @expires: seconds since 1970
 */
struct group_invite {
	uint8_t id[GROUP_ID_LEN];
	char name[GROUP_NAME_MAX + 1];
	uint8_t server_key[NTMC_KEY_LEN];
	char server[NTMC_FQDN_MAX + 1], ways[GROUP_WAYS_MAX + 1];
	char inviter[NTMC_FQDN_MAX + 1], invitee[NTMC_FQDN_MAX + 1];
	uint8_t inviter_key[NTMC_KEY_LEN], invitee_key[NTMC_KEY_LEN];
	uint8_t rights;
	int64_t expires;
	uint8_t token[GROUP_TOKEN_LEN];
};

/** Return: 0, -NTM_EINVAL (a name, a time) */
NTM_MUST_CHECK int group_invite_make(const struct ntmc_identity *inviter,
				     const struct group_invite *i,
				     uint8_t out[static GROUP_INVITE_MAX],
				     size_t *len);
/**
 * group_invite_get() - read and verify; that the inviter's key is the pinned one is
 * for the caller to ask
 * @me: the invitee's own key
 * Return: 0, -NTM_EDECODE, -NTM_EAUTH, -NTM_ENOTOURS (another's), -NTM_EEXPIRED,
 *         -NTM_ECLOCK (lives too long from now)
 */
NTM_MUST_CHECK int group_invite_get(const uint8_t *b, size_t len,
				    const uint8_t me[static NTMC_KEY_LEN],
				    int64_t now, struct group_invite *out);

/** read one that was taken before, and verify its signature alone.
 *  Return: 0, -NTM_EDECODE, -NTM_EAUTH */
NTM_MUST_CHECK int group_invite_open(const uint8_t *b, size_t len,
				     struct group_invite *out);

/** struct group_accept - @prekey: the first group prekey, signed */
struct group_accept {
	uint8_t id[GROUP_ID_LEN], token[GROUP_TOKEN_LEN];
	struct group_prekey prekey;
};
void group_accept_make(const struct ntmc_identity *invitee,
		       const struct group_accept *a,
		       uint8_t out[static GROUP_ACCEPT_LEN]);
/** @invite: the one that was sent. Return: 0, -NTM_EDECODE, -NTM_ENOTFOUND (another
 *  group or token), -NTM_EAUTH, -NTM_EEXPIRED */
NTM_MUST_CHECK int group_accept_get(const uint8_t *b, size_t len,
				    const struct group_invite *invite,
				    int64_t now, struct group_accept *out);

#endif
