/* SPDX-License-Identifier: MIT */
/*
 * frame - sealed Signals on a TCP connection between a node and its NS
 *
 * Owner:    none: functions on the caller's bytes.
 * Context:  broker worker, NS. docs/protocol.md, Notification.
 *
 *   NS -> node  greeting: 16 random bytes
 *   node -> NS  hello: u64 key id | u64 Node ID | 16 random bytes
 *   both        frames: u16 length | datagram (packet.h), in order: the counters
 *               are 0, 1, 2 ... each way
 *
 * The keys are of this connection alone: of Kntmns and both random numbers.
 */
#ifndef NTM_COMMON_FRAME_H
#define NTM_COMMON_FRAME_H

#include "common/datagram.h"

#define FRAME_GREETING_LEN 16
#define FRAME_HELLO_LEN	   32
#define FRAME_MAX	   514 /* with its length */

/** struct frame_hello - what a node says first */
struct frame_hello {
	uint64_t key_id, node_id;
	uint8_t random[16];
};

void frame_hello_put(const struct frame_hello *h,
		     uint8_t buf[static FRAME_HELLO_LEN]);
void frame_hello_get(const uint8_t buf[static FRAME_HELLO_LEN],
		     struct frame_hello *out);

/** @up: node -> NS, @down: NS -> node */
NTM_MUST_CHECK int frame_keys(const struct ntmc_key *kntmns,
			      const uint8_t greeting[static FRAME_GREETING_LEN],
			      const uint8_t random[static 16],
			      enum ntmc_aead_alg aead,
			      struct datagram_keys *out);
/** Return: bytes to send, or -NTM_ETOOBIG */
NTM_MUST_CHECK int frame_seal(uint64_t node_id, uint64_t counter,
			      enum ntmc_aead_alg aead,
			      const struct ntmc_key *key,
			      const Ntm__Signal *msg,
			      uint8_t buf[static FRAME_MAX]);
/** length of the frame that begins at @buf. Return: bytes, 0: more must come,
 *  -NTM_EDECODE: it is none */
NTM_MUST_CHECK int frame_len(const uint8_t *buf, size_t len);
/** @buf: a whole frame; destroyed. @out: freed by datagram_free().
 *  Return: 0, -NTM_EDECODE, -NTM_EAUTH */
NTM_MUST_CHECK int frame_open(uint64_t node_id, uint64_t counter,
			      enum ntmc_aead_alg aead,
			      const struct ntmc_key *key, uint8_t *buf,
			      size_t len, Ntm__Signal **out);

#endif
