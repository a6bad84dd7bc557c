/* SPDX-License-Identifier: MIT */
/*
 * keysharing - Key Sharing: one server gives another the key of their datagrams
 *
 * Owner:    none; the key stays the caller's. Context: the channel's loop thread.
 */
#ifndef NTM_COMMON_KEYSHARING_H
#define NTM_COMMON_KEYSHARING_H

#include "common/channel.h"
#include "libntmcrypto/ntmcrypto.h"

/** struct keysharing - @txn: of the request, 0: none; @id: names the key in headers */
struct keysharing {
	uint32_t txn;
	uint64_t id;
	const struct ntmc_key *key;
	enum ntmc_aead_alg aead;
	uint32_t lifetime_s;
};

/** Return: 0, or what channel_send() says */
NTM_MUST_CHECK int keysharing_send(struct channel *c,
				   const struct keysharing *k);

#endif
