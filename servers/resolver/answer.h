/* SPDX-License-Identifier: MIT */
/*
 * answer - what the DC asks of the resolver process, and what that says
 *
 * Over a SEQPACKET pair that the supervisor made: one question, one answer, in any
 * order; an answer with id 0 says that the process has begun anew, and knows of no
 * question. Both come from one program on one host, so numbers are in host order.
 * What it says is a stranger's all the same: it has read DNS. Context: both processes.
 */
#ifndef NTM_SERVERS_RESOLVER_ANSWER_H
#define NTM_SERVERS_RESOLVER_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "common/fqdn.h"
#include "libntmcrypto/ntmcrypto.h"
#include "servers/serverconf.h"

#define ANSWER_VERSION 1
#define ANSWER_WHY_MAX 200
#define ANSWER_TTL_MIN 30 /* an answer is used so long in any case, s */
#define ANSWER_TTL_MAX 86400

/** struct finder_ask - @id: not 0. @need_ca: the _ntm TXT record, validated, too */
struct finder_ask {
	uint32_t version, id;
	uint8_t need_ca;
	char domain[FQDN_MAX + 1];
};

/** struct finder_way - @len: 4 or 16 bytes of @ip */
struct finder_way {
	uint8_t ip[16], len;
	uint16_t port;
};

/** struct finder_say - as struct finder_answer, on its way */
struct finder_say {
	uint32_t version, id, code, ttl_s, n_ways;
	uint8_t fp[NTMC_FP_LEN];
	struct finder_way ways[SERVERCONF_WAYS_MAX];
	char why[ANSWER_WHY_MAX];
};

/** struct finder_answer - @err: 0, or -NTM_ENONAME (there is none), -NTM_EAUTH (forged),
 *  -NTM_EUNVERIFIED (nobody vouches), -NTM_EDECODE, -NTM_EUNREACHABLE, with @why */
struct finder_answer {
	int err;
	char why[ANSWER_WHY_MAX];
	uint8_t fp[NTMC_FP_LEN]; /* where it was asked for */
	struct server_ways ways;
	unsigned int ttl_s;
};

/** Return: 0, -NTM_EDECODE: @out is as it was */
NTM_MUST_CHECK int answer_ask_take(const void *buf, size_t len,
				   struct finder_ask *out);
/** @a: what was found out about question @id */
void answer_put(const struct finder_answer *a, uint32_t id,
		struct finder_say *out);
/**
 * answer_take() - the DC's side
 * @loopback: 127.0.0.1 and the like may be used, too
 * @id:       0: it has begun anew, and @out is not set
 *
 * Return: 0, -NTM_EDECODE: not from our resolver, nothing is set. An error that it
 * may not give becomes UNREACHABLE, and @why has printable ASCII alone.
 */
NTM_MUST_CHECK int answer_take(const void *buf, size_t len, bool loopback,
			       uint32_t *id, struct finder_answer *out);

#endif
