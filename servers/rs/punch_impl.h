/* SPDX-License-Identifier: MIT */
/*
 * punch_impl - what the two kinds of Hole Punch share: of a path, of a group's place
 *
 * Context: a forwarding thread, between punch.c and placepunch.c.
 */
#ifndef NTM_SERVERS_RS_PUNCH_IMPL_H
#define NTM_SERVERS_RS_PUNCH_IMPL_H

#include "servers/rs/state.h"

/** struct punch_verdict - what became of a punch; @places: borrowed */
struct punch_verdict {
	bool old, bound, sure, peer_bound;
	int code, peer_code;
	ProtobufCBinaryData places;
};

/** the punch inside @buf, in the thread's arena until the next one; NULL: not one */
const Ntm__HolePunch *punch_open(struct rs_thread *t,
				 const struct packet_header *h,
				 const struct datagram_keys *keys, uint8_t *buf,
				 size_t len);
/** is @echo a cookie that was sent to @at for @id of late? */
bool punch_cookie(const struct rs *rs, const struct remote *at, uint64_t id,
		  const ProtobufCBinaryData *echo);
/** the answer, in place of the punch of @len bytes in @buf, if it is not longer */
void punch_answer(struct rs_thread *t, struct arrival *a,
		  const struct packet_header *h,
		  const struct datagram_keys *keys, const Ntm__HolePunch *q,
		  const struct punch_verdict *v, uint8_t *buf, size_t len);

#endif
