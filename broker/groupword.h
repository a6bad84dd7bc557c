/* SPDX-License-Identifier: MIT */
/*
 * groupword - what ntm-member and ntm-worker say to each other: keys of groups
 *
 * Owner:    whoever decoded a struct groupword clears it. Context: both processes.
 * Link:     SEQPACKET, the socket GROUPWORD_SOCKET of the runtime folder, where the
 *           worker listens. ntm-member connects; a later connection ends the one
 *           before. Connected, it says EPOCH for each of its groups, then ALL: what the
 *           worker had beside these it forgets. When the worker ends, so does the
 *           connection: ntm-member connects again. When ntm-member ends, the worker
 *           uses each epoch for as long as it was told to; the next ntm-member, which
 *           has no key before the GMS has spoken, says KEEP until then.
 * A message is u8 kind | body, numbers big-endian. An epoch travels in a memfd, as the
 * names of 2048 members fit no message.
 *
 *   1 EPOCH    member -> worker   nothing; a descriptor, with
 *              u8 2 | lp(name) | lp(domain) | prefix (8) | u32 index | u32 valid_s | u64 now |
 *              K_data (32) | K_control (32) | K_relay (32) | tag (8) | group_save()
 *   2 VALID    member -> worker   GroupID | u64 epoch | u32 valid_s | u64 now
 *   3 END      member -> worker   GroupID
 *   4 ALL      member -> worker   nothing
 *   5 CONTROL  both               GroupID | u64 epoch | u32 sender's index | text
 *   6 RELAY    member -> worker   GroupID | u64 epoch | u32 place | u8 AEAD | key (32) |
 *                                 u8 count | up to 4 x (u8 4 or 16 | address | u16
 *                                 port); none: no relay any more
 *   7 KEEP     member -> worker   GroupID
 */
#ifndef NTM_BROKER_GROUPWORD_H
#define NTM_BROKER_GROUPWORD_H

#include "libntmcrypto/groupkey.h"

#define GROUPWORD_SOCKET "group.sock"
/* groups of a node */
#define GROUPWORD_GROUPS_MAX 64
#define GROUPWORD_TEXT_MAX   1024
#define GROUPWORD_MAX	     (1 + GROUP_ID_LEN + 8 + 4 + GROUPWORD_TEXT_MAX)
/* of an epoch's descriptor: 2048 members with the longest names */
#define GROUPWORD_EPOCH_MAX  (1024 * 1024)
#define GROUPWORD_PREFIX_LEN 8
#define GROUPWORD_RELAYS_MAX 4
#define GROUPWORD_NOW_MAX    ((int64_t)1 << 52)

/**
 * enum groupword_kind
 * @GROUPWORD_EPOCH:   from now on this epoch; the one before opens for keep_s more
 * @GROUPWORD_VALID:   the GMS has said again that the epoch is the last
 * @GROUPWORD_END:     send and open nothing more: we left, were removed, or froze
 * @GROUPWORD_ALL:     each group that there is has been said since the connection
 * @GROUPWORD_CONTROL: a group control packet: one to be sent (index: ours), or one that
 *                     came, whose sender's signature holds
 * @GROUPWORD_RELAY:   where packets of the epoch are replicated, and our place there
 * @GROUPWORD_KEEP:    the group is there, nothing is known of its epoch yet: what the
 *                     worker has is good for as long as it was told. Behind END: it is
 *                     there, and has no key now
 */
enum groupword_kind {
	GROUPWORD_EPOCH = 1,
	GROUPWORD_VALID,
	GROUPWORD_END,
	GROUPWORD_ALL,
	GROUPWORD_CONTROL,
	GROUPWORD_RELAY,
	GROUPWORD_KEEP,
};

/**
 * struct groupword_epoch - of one group; secret
 * @name:    of the group; @domain: whose NAME.group.DOMAIN it is
 * @prefix:  the first 8 bytes of the domain's virtual IPv6 addresses
 * @index:   this node's
 * @valid_s: seconds from now, until the seal's not_after; nothing is sent later
 * @now:     seconds since 1970 by the GMS's clock, which all members' packets go by
 * @keys:    id, epoch, hash, data, control, relay, tag; the rest is zeros
 * @group:   its members, policy, epoch, hash; borrowed when it is sent, owned by who
 *           has decoded it
 */
struct groupword_epoch {
	char name[GROUP_NAME_MAX + 1], domain[NTMC_FQDN_MAX + 1];
	uint8_t prefix[GROUPWORD_PREFIX_LEN];
	uint32_t index, valid_s;
	int64_t now;
	struct group_keys keys;
	struct group *group;
};
/** wipes; frees @group */
void groupword_epoch_clear(struct groupword_epoch *e);
/** @out: GROUPWORD_EPOCH_MAX bytes, wiped by the caller. Return: 0, -NTM_ETOOBIG,
 *  -NTM_ESTATE (the keys are of another epoch than the group) */
NTM_MUST_CHECK int groupword_epoch_put(const struct groupword_epoch *e,
				       uint8_t *out, size_t *len);
/** Return: 0, -NTM_EDECODE, -NTM_ENOMEM; @out is set on success only */
NTM_MUST_CHECK int groupword_epoch_get(const uint8_t *b, size_t len,
				       struct groupword_epoch *out);
/** make the descriptor and send it. Return: 0, -NTM_ECLOSED, -NTM_EAGAIN,
 *  -NTM_ESYSTEM, -NTM_ENOMEM, groupword_epoch_put()'s */
NTM_MUST_CHECK int groupword_epoch_send(int sock,
					const struct groupword_epoch *e);
/** what the descriptor holds; @fd stays open. Return: 0, -NTM_EDECODE, -NTM_ENOMEM */
NTM_MUST_CHECK int groupword_epoch_read(int fd, struct groupword_epoch *out);

/** struct groupword_relay - an address of a relay */
struct groupword_relay {
	uint8_t ip_len, ip[16]; /* 4 or 16 */
	uint16_t port;
};

/**
 * struct groupword - a message but for EPOCH's descriptor
 * Fields beyond its kind's are zeros. @text: in the message; GROUPWORD_TEXT_MAX at most
 * @index: of RELAY the place; @key: its Kpunch, secret
 */
struct groupword {
	enum groupword_kind kind;
	uint8_t id[GROUP_ID_LEN];
	uint64_t epoch;
	uint32_t index, valid_s;
	int64_t now;
	const uint8_t *text;
	size_t text_len;
	enum ntmc_aead_alg aead;
	uint8_t key[NTMC_KEY_LEN];
	struct groupword_relay relays[GROUPWORD_RELAYS_MAX];
	size_t n_relays;
};
/** Return: bytes written; 0: @w is impossible */
size_t groupword_put(const struct groupword *w,
		     uint8_t out[static GROUPWORD_MAX]);
/** Return: 0, -NTM_EDECODE */
NTM_MUST_CHECK int groupword_get(const uint8_t *b, size_t len,
				 struct groupword *out);
/** not EPOCH. Return: 0, -NTM_EINVAL, -NTM_ECLOSED, -NTM_EAGAIN, -NTM_ESYSTEM */
NTM_MUST_CHECK int groupword_send(int sock, const struct groupword *w);

#endif
