/* SPDX-License-Identifier: MIT */
/*
 * grouppacket - packets to a group: sealed once, opened by each member
 * (docs/groups.md, Packets)
 *
 * Owner:    the caller: a struct group_sender lives for one epoch of one process, a
 *           struct group_receiver as long as the node is a member.
 * Context:  the data path; one thread at a time. Nothing is allocated for a packet,
 *           but for the first one of a salt.
 * A packet: header 36 | sealed | AEAD tag 16 | hop 8, to a relay.
 */
#ifndef NTM_LIBNTMCRYPTO_GROUPPACKET_H
#define NTM_LIBNTMCRYPTO_GROUPPACKET_H

#include "libntmcrypto/groupkey.h"

#define GROUP_PACKET_TYPE   9
#define GROUP_PACKET_HEADER 36
#define GROUP_HOP_LEN	    8
/* what a packet may be longer than what is in it */
#define GROUP_PACKET_MORE                                                      \
	(GROUP_PACKET_HEADER + NTMC_SIG_LEN + NTMC_TAG_LEN + GROUP_HOP_LEN)
#define GROUP_SALT_LEN	 12
#define GROUP_BATCH_MAX	 32 /* packets that one signature speaks for */
#define GROUP_BATCH_MS	 100
#define GROUP_EPOCHS_MAX 4 /* that a receiver has keys of at one time */
/* of a batch packet */
#define GROUP_BATCH_LEN                                                        \
	(GROUP_PACKET_MORE + 8 + 1 + GROUP_BATCH_MAX * NTMC_TAG_LEN)

#define GROUP_PACKET_CHACHA  0x01u
#define GROUP_PACKET_SIGNED  0x02u
#define GROUP_PACKET_BATCH   0x04u
#define GROUP_PACKET_CONTROL 0x08u
#define GROUP_PACKET_HOP     0x10u

/* --- sending -------------------------------------------------------------------- */

struct group_sender;

/**
 * group_sender_new() - with a salt of its own: nothing of it may be stored
 * @k:     keys of the epoch; copied
 * @id:    the member's identity; borrowed
 * Return: 0, -NTM_ENOMEM
 */
NTM_MUST_CHECK int group_sender_new(const struct ntmc_env *env,
				    const struct group_keys *k,
				    const struct ntmc_identity *id,
				    uint32_t index, enum group_auth auth,
				    struct group_sender **out);
void group_sender_free(struct group_sender *s); /* wipes; NULL is fine */
/**
 * group_sender_seal() - one packet, in place
 * @buf:   GROUP_PACKET_HEADER bytes of room, @len bytes of plaintext, room for the
 *         rest of GROUP_PACKET_MORE
 * @flags: GROUP_PACKET_CONTROL (always signed), GROUP_PACKET_HOP
 * @packet_len: of the whole
 *
 * Return: 0, -NTM_ESTATE (a batch must be sent first), -NTM_ENOMEM, -NTM_EINVAL
 */
NTM_MUST_CHECK int group_sender_seal(struct group_sender *s, unsigned int flags,
				     uint8_t *buf, size_t len,
				     size_t *packet_len);
/** packets that no batch speaks for yet */
unsigned int group_sender_pending(const struct group_sender *s);
/** sign for them. @buf: GROUP_BATCH_LEN bytes. Return: as group_sender_seal();
 *  -NTM_ESTATE: there are none */
NTM_MUST_CHECK int group_sender_batch(struct group_sender *s,
				      unsigned int flags, uint8_t *buf,
				      size_t *packet_len);

/* --- receiving ------------------------------------------------------------------- */

struct group_receiver;

/** struct group_receiver_stats - since it was made */
struct group_receiver_stats {
	uint64_t opened, replayed, forged, strangers, old, unknown;
	uint64_t signed_ok, signed_bad; /* packets, by sign or batch */
	uint64_t unsigned_;		/* for which no batch came */
};

NTM_MUST_CHECK int group_receiver_new(const struct ntmc_env *env,
				      struct group_receiver **out);
void group_receiver_free(struct group_receiver *r); /* wipes; NULL is fine */
/**
 * group_receiver_begin() - a new epoch; those before, GROUP_EPOCHS_MAX - 1 at most, open
 * for keep_s more
 * @k: copied; @g: its members are who may send from now on, in whichever epoch
 * Return: 0, -NTM_ESTATE (not a later epoch), -NTM_ENOMEM: nothing changed
 */
NTM_MUST_CHECK int group_receiver_begin(struct group_receiver *r,
					const struct group_keys *k,
					const struct group *g);
/** wipe what is over; also when a packet comes. Return: seconds until the next of the
 *  epochs before ends, 0: there is none */
unsigned int group_receiver_sweep(struct group_receiver *r);
/** is @tag one of this group's? */
bool group_receiver_knows(const struct group_receiver *r,
			  const uint8_t tag[static GROUP_TAG_LEN]);

/** has the packet a salt of a member that we have not opened anything under? Then to
 *  open it takes two keys more; its sender may be anybody */
bool group_receiver_is_new(const struct group_receiver *r, const uint8_t *buf,
			   size_t len);

/** struct group_opened - @data leads into the packet */
struct group_opened {
	uint64_t epoch;
	uint32_t index;
	unsigned int flags;
	uint8_t *data;
	size_t len;
};
/**
 * group_receiver_open() - in place
 * @out: of a batch packet @len is 0
 *
 * Return: 0; -NTM_EDECODE; -NTM_ENOTFOUND (tag), -NTM_ENONAME (no member, any more),
 *         -NTM_EEXISTS (replayed), -NTM_ECLOCK (its salt is too old or new),
 *         -NTM_EAUTH (wiped), -NTM_ENOMEM
 */
NTM_MUST_CHECK int group_receiver_open(struct group_receiver *r, uint8_t *buf,
				       size_t len, struct group_opened *out);
const struct group_receiver_stats *
group_receiver_stats(const struct group_receiver *r);

/* --- the relay ------------------------------------------------------------------ */

/** tag and hop of a packet: may it be replicated? Return: 0, -NTM_EDECODE, -NTM_EAUTH */
NTM_MUST_CHECK int group_hop_check(const struct ntmc_key *relay,
				   const uint8_t tag[static GROUP_TAG_LEN],
				   const uint8_t *packet, size_t len);

#endif
