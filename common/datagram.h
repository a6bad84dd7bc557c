/* SPDX-License-Identifier: MIT */
/*
 * datagram - sealed signalling datagrams: pack a protobuf message, seal, and back
 *
 * Owner:    stateless but for the counters the caller keeps.
 * Context:  broker worker, DC. No allocation beyond protobuf-c's unpack.
 * Keys:     docs/protocol.md, Keys: derived once per session, per direction.
 */
#ifndef NTM_COMMON_DATAGRAM_H
#define NTM_COMMON_DATAGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "common/ntm.pb-c.h"
#include "common/packet.h"
#include "libntmcrypto/ntmcrypto.h"

/** struct datagram_keys - of one session; @up node->DC, @down DC->node, or as the
 *  functions below say */
struct datagram_keys {
	enum ntmc_aead_alg aead;
	struct ntmc_key up, down;
};

/** "ntm node->dc v1" and "ntm dc->node v1" from Kntmdc, salted with the Node ID */
NTM_MUST_CHECK int datagram_keys_derive(const struct ntmc_key *kntmdc,
					uint64_t node_id,
					enum ntmc_aead_alg aead,
					struct datagram_keys *out);
void datagram_keys_clear(struct datagram_keys *k);

/** "ntm tunnel request v1" / "ntm tunnel response v1" from Ktun (or, resuming,
 *  "ntm resume request v1" / "ntm resume response v1" from the resumption
 *  secret), salted with the Path ID, bit 0 clear: @up seals requests, @down
 *  responses */
NTM_MUST_CHECK int datagram_tunnel_keys(const struct ntmc_key *secret,
					uint64_t path_id, bool resume,
					enum ntmc_aead_alg aead,
					struct datagram_keys *out);

/** "ntm rs->dc v1" (@up) and "ntm dc->rs v1" from Kdcrs, salted with the RS's id */
NTM_MUST_CHECK int datagram_relay_keys(const struct ntmc_key *kdcrs,
				       uint64_t id, enum ntmc_aead_alg aead,
				       struct datagram_keys *out);

/** "ntm dc->dc ask v1" (@up: of who made the key) and "ntm dc->dc answer v1" from
 *  Kdcdc, salted with its id */
NTM_MUST_CHECK int datagram_domain_keys(const struct ntmc_key *kdcdc,
					uint64_t id, enum ntmc_aead_alg aead,
					struct datagram_keys *out);

/** Kntmns, "ntm kntmns v1" from Kdcns, salted with the Node ID */
NTM_MUST_CHECK int datagram_notify_secret(const struct ntmc_key *kdcns,
					  uint64_t node_id,
					  struct ntmc_key *kntmns);

/** Kpunch, "ntm punch v1" from Ktun, salted with the Path ID, bit 0 clear: what the RS
 *  gets. Ktun itself would let it answer Tunnel Requests, with a refusal */
NTM_MUST_CHECK int datagram_punch_secret(const struct ntmc_key *ktun,
					 uint64_t path_id,
					 struct ntmc_key *kpunch);
/** Hole Punching of the end that bit 0 of @path_id names (0 MN, 1 CN), from Kpunch,
 *  salted with the Path ID, bit 0 clear: @up seals HolePunch, @down HolePunchAck */
NTM_MUST_CHECK int datagram_punch_keys(const struct ntmc_key *kpunch,
				       uint64_t path_id,
				       enum ntmc_aead_alg aead,
				       struct datagram_keys *out);
/** Kpunch of a place in an epoch of a group, "ntm group place v1" from the key that GMS
 *  and RS share of it, salted with the tag, context the u32 place */
NTM_MUST_CHECK int datagram_place_secret(const struct ntmc_key *bind,
					 uint64_t tag, uint32_t place,
					 struct ntmc_key *kpunch);
/** its Hole Punching: "ntm group punch v1" (@up) and "ntm group punch ack v1", salted
 *  with the tag */
NTM_MUST_CHECK int datagram_place_keys(const struct ntmc_key *kpunch,
				       uint64_t tag, enum ntmc_aead_alg aead,
				       struct datagram_keys *out);
/** the same for a node, which has Ktun */
NTM_MUST_CHECK int datagram_punch_keys_of(const struct ntmc_key *ktun,
					  uint64_t path_id,
					  enum ntmc_aead_alg aead,
					  struct datagram_keys *out);

/**
 * datagram_seal() - pack and seal a message
 * @h:   complete header; h->counter never used before under @key
 * @msg: a Signal, TunnelMessage, HolePunch or HolePunchAck
 * @buf: PACKET_SIGNAL_MAX bytes
 * Return: bytes to send, or -NTM_ETOOBIG
 */
NTM_MUST_CHECK int datagram_seal(const struct packet_header *h,
				 enum ntmc_aead_alg aead,
				 const struct ntmc_key *key,
				 const ProtobufCMessage *msg, uint8_t *buf);

/**
 * datagram_open() - check, decrypt in place and unpack
 * @buf, @len: the whole datagram as received; destroyed
 * @desc:      of one of those
 * @out:       freed by datagram_free(); limits (lengths of keys, counts) are
 *             checked by datagram_check() here: what comes out is sane
 * Return: 0, -NTM_EAUTH, -NTM_EDECODE
 */
NTM_MUST_CHECK int
datagram_open(const struct packet_header *h, enum ntmc_aead_alg aead,
	      const struct ntmc_key *key, uint8_t *buf, size_t len,
	      const ProtobufCMessageDescriptor *desc, ProtobufCMessage **out);

/**
 * datagram_unpack() - decode and check a message that came authenticated by other
 * means: a Noise payload, the body of a data packet, a frame
 * @out: freed by datagram_free(); fields that ntm.proto does not know are gone
 *
 * Return: 0, -NTM_EDECODE
 */
NTM_MUST_CHECK int datagram_unpack(const ProtobufCMessageDescriptor *desc,
				   const void *data, size_t len,
				   ProtobufCMessage **out);
/** wipes every string and byte field (keys, passwords), then frees; NULL is fine */
void datagram_free(ProtobufCMessage *msg);

/** bytes of a datagram with a Registration Request, at least: those of an answer to
 *  an address not proven yet, which is never larger than what came from there */
#define DATAGRAM_REGISTRATION_MIN 160
/** zeros in a MappingRequest without cookie, for the same reason */
#define DATAGRAM_MAPPING_PADDING 64
/** pads @msg, a complete Signal with a Registration Request; borrows static zeros */
void datagram_pad_registration(Ntm__Signal *msg);

/** the limits of ntm.proto's comments: key sizes, address sizes, repeat counts,
 *  FQDN form. Signal, TunnelMessage, Envelope, payloads. 0 or -NTM_EDECODE */
NTM_MUST_CHECK int datagram_check(const ProtobufCMessage *msg);

#endif
