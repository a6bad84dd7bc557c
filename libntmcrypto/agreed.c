/* SPDX-License-Identifier: MIT */
/*
 * agreed - X25519 of two keys that both stay, reckoned once
 *
 * A Noise message mixes the agreement of both static keys, and of a hundred items from one
 * device to another's prekey it is the same each time. What an outsider needs besides, the
 * agreement with the message's own key, is never kept.
 */
#include <string.h>

#include "libntmcrypto/ntmcrypto.h"

int ntmc_agreed_x25519(struct ntmc_agreed *a, const struct ntmc_key *priv,
		       const uint8_t own[static NTMC_KEY_LEN],
		       const uint8_t peer[static NTMC_KEY_LEN],
		       struct ntmc_key *shared)
{
	struct ntmc_agreement *x;
	int err;

	if (!a)
		return ntmc_x25519(priv, peer, shared);
	for (x = a->list; x < a->list + NTMC_AGREED_MAX; x++) {
		if (x->used && !memcmp(x->own, own, NTMC_KEY_LEN) &&
		    !memcmp(x->peer, peer, NTMC_KEY_LEN)) {
			*shared = x->key;
			return 0;
		}
	}
	err = ntmc_x25519(priv, peer, shared);
	if (err)
		return err;
	x = &a->list[a->next++ % NTMC_AGREED_MAX];
	memcpy(x->own, own, NTMC_KEY_LEN);
	memcpy(x->peer, peer, NTMC_KEY_LEN);
	x->key = *shared;
	x->used = true;
	return 0;
}

void ntmc_agreed_clear(struct ntmc_agreed *a)
{
	ntmc_wipe(a, sizeof(*a));
}
