/* SPDX-License-Identifier: MIT */
/*
 * grouppacket_impl - what sender and receiver of group packets share
 *
 * Context: inside libntmcrypto only.
 */
#ifndef NTM_LIBNTMCRYPTO_GROUPPACKET_IMPL_H
#define NTM_LIBNTMCRYPTO_GROUPPACKET_IMPL_H

#include "libntmcrypto/grouppacket.h"
#include "libntmcrypto/wire.h"

#define GROUP_SALT_S	   60 /* a salt is used for so long, by its sender */
#define GROUP_SALT_PACKETS (UINT64_C(1) << 27)
#define GROUP_SALT_SKEW_S  (GROUP_SALT_S + GROUP_CLOCK_S)

/** struct group_header - the 36 bytes */
struct group_header {
	unsigned int flags;
	uint8_t tag[GROUP_TAG_LEN];
	uint64_t counter;
	uint32_t index;
	uint8_t salt[GROUP_SALT_LEN];
};
void group_header_put(const struct group_header *h,
		      uint8_t out[static GROUP_PACKET_HEADER]);
/** Return: 0, -NTM_EDECODE (short, another type or version, unknown flags) */
NTM_MUST_CHECK int group_header_get(const uint8_t *b, size_t len,
				    struct group_header *out);

/** the key of one sender and salt. Return: 0, -NTM_ENOMEM, -NTM_EINVAL (@alg) */
NTM_MUST_CHECK int group_sender_key(const struct ntmc_key *k, uint32_t index,
				    const uint8_t salt[static GROUP_SALT_LEN],
				    enum ntmc_aead_alg alg,
				    struct ntmc_aead **out);
void group_hop_put(const struct ntmc_key *relay, const uint8_t *packet,
		   const uint8_t *tag, uint8_t out[static GROUP_HOP_LEN]);

#define GROUP_DATA_TEXT 128
/** what a signed packet's signature is over; Return: bytes */
size_t group_data_text(const uint8_t *id, uint64_t epoch, const uint8_t *header,
		       const uint8_t *data, size_t len,
		       uint8_t out[static GROUP_DATA_TEXT]);
#define GROUP_BATCH_TEXT (128 + GROUP_BATCH_MAX * NTMC_TAG_LEN)
/** and a batch's; @list: first, n, tags, of @len bytes */
size_t group_batch_text(const uint8_t *id, uint64_t epoch, uint32_t index,
			const uint8_t *salt, const uint8_t *list, size_t len,
			uint8_t out[static GROUP_BATCH_TEXT]);

#endif
