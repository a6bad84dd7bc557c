/* SPDX-License-Identifier: MIT */
/*
 * portmap_proto - what the worker and ntm-portmap say to each other
 *
 * Over a SEQPACKET pair that the keeper made: one question, one answer, the end. Both
 * programs come from one build and one host, so numbers are in host order, addresses
 * in network order; the version refuses another build.
 */
#ifndef NTM_BROKER_PORTMAP_PROTO_H
#define NTM_BROKER_PORTMAP_PROTO_H

#include <stdint.h>

#include "broker/pcp.h"

#define PORTMAP_PROTO_VERSION 1
#define PORTMAP_LIMIT_S	      20 /* then the kernel ends it */

enum portmap_protocol {
	PORTMAP_PCP,
	PORTMAP_NATPMP,
	PORTMAP_UPNP,
	PORTMAP_PROTOCOLS,
	PORTMAP_NO_PROTOCOL = PORTMAP_PROTOCOLS
};

/**
 * enum portmap_why - what came of one protocol
 * @PORTMAP_UNASKED: not tried
 * @PORTMAP_DONE:    mapped, or deleted
 * @PORTMAP_NO_ANSWER, @PORTMAP_NO_SERVICE: silence; the router has no such port
 * @PORTMAP_DENIED:  it says no
 * @PORTMAP_GARBAGE: what came back is no answer
 * @PORTMAP_FAILED:  here: no socket, no memory
 */
enum portmap_why {
	PORTMAP_UNASKED,
	PORTMAP_DONE,
	PORTMAP_NO_ANSWER,
	PORTMAP_NO_SERVICE,
	PORTMAP_DENIED,
	PORTMAP_GARBAGE,
	PORTMAP_FAILED,
	PORTMAP_WHYS
};

/**
 * struct portmap_ask - a mapping of UDP
 * @life_s:  0: delete the one that @first made
 * @source:  our address on the way to the router
 * @gateway: the router; 0.0.0.0: the default one
 * @first:   asked before the others; PORTMAP_NO_PROTOCOL: in their order
 * @outer_port: wished for
 */
struct portmap_ask {
	uint32_t version, life_s, first;
	uint8_t source[4], gateway[4];
	uint16_t inner_port, outer_port;
	uint8_t nonce[PCP_NONCE_LEN];
};

/** struct portmap_say - @protocol: that made it; PORTMAP_NO_PROTOCOL: none did.
 *  @routed: 0: there is no router on the way from @source; @why: of each */
struct portmap_say {
	uint32_t version, protocol, life_s, routed;
	uint8_t outer[4];
	uint16_t outer_port;
	uint8_t why[PORTMAP_PROTOCOLS];
};

#endif
