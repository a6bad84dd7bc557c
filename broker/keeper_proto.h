/* SPDX-License-Identifier: MIT */
/*
 * keeper_proto - what worker and keeper say to each other over their socketpair
 *
 * Both come from one build and one host, so numbers are in host order; the version
 * refuses a worker of another build. A message is struct keeper_msg and at most
 * KEEPER_BLOB_MAX bytes. Every request gets one answer with the same @op, but
 * FD_EACH and BLOB_EACH: an answer for each entry and a last one with @last; and BEAT,
 * which gets none.
 */
#ifndef NTM_BROKER_KEEPER_PROTO_H
#define NTM_BROKER_KEEPER_PROTO_H

#include <stdint.h>

#include "broker/keeper_link.h"

#define KEEPER_PROTO_VERSION 5
#define KEEPER_REPLY_MS	     2000

enum keeper_op {
	KEEPER_HELLO = 1, /* a: generation, b: UDP port, c: bit 0 udp4, 1 udp6;
			   * body: runtime folder; descriptors: TUN, those */
	KEEPER_READY,
	KEEPER_REFUSE, /* body: why */
	KEEPER_QUIT,
	KEEPER_CONFIGURE, /* body: struct engine_config */
	KEEPER_SOCKET,	  /* a: domain, b: type, c: protocol */
	KEEPER_UDP,	  /* a: port; answered as HELLO is, without TUN */
	KEEPER_FD_PUT,	  /* key and a descriptor */
	KEEPER_FD_DEL,
	KEEPER_FD_EACH,	 /* key: prefix */
	KEEPER_BLOB_PUT, /* key; body: the blob */
	KEEPER_BLOB_DEL,
	KEEPER_BLOB_EACH,
	KEEPER_BEAT,	/* the loop turns */
	KEEPER_PORTMAP, /* answered with a socket to a new ntm-portmap */
	KEEPER_POST,	/* the same to a new ntm-post or, b: 1, ntm-member, see
			 * poster.h; a: 1: the one that runs is to end */
	KEEPER_NOPS
};

struct keeper_msg {
	uint32_t version, op;
	int32_t err; /* answers: 0 or negative enum ntm_err */
	uint32_t last;
	uint32_t a, b, c;
	char key[KEEPER_KEY_MAX]; /* NUL-terminated */
};

#endif
