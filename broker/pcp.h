/* SPDX-License-Identifier: MIT */
/*
 * pcp - the MAP request of the Port Control Protocol (RFC 6887) and its answer
 *
 * Owner:    the caller's buffers. Context: any; no state.
 * One fixed layout, 60 bytes both ways, IPv4 alone: an address stands in 16 bytes as
 * ::ffff:a.b.c.d. No option is sent, none is expected; those in an answer are left
 * alone.
 */
#ifndef NTM_BROKER_PCP_H
#define NTM_BROKER_PCP_H

#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

#define PCP_PORT       5351
#define PCP_MAP_LEN    60
#define PCP_ANSWER_MAX 1100 /* RFC 6887, 7 */
#define PCP_NONCE_LEN  12

/**
 * struct pcp_map - a mapping of UDP
 * @client:     of the request: the address it is sent from, network order
 * @life_s:     asked for, 0 deletes; granted, or how long the error stands
 * @inner_port: ours
 * @outer_port: wished for, 0: none; given
 * @outer:      wished for, 0.0.0.0: none; given
 * @result:     of an answer: 0, or RFC 6887's code
 */
struct pcp_map {
	uint8_t nonce[PCP_NONCE_LEN];
	uint8_t client[4], outer[4];
	uint32_t life_s;
	uint16_t inner_port, outer_port;
	uint8_t result;
};

void pcp_map_put(const struct pcp_map *m, uint8_t buf[static PCP_MAP_LEN]);
/**
 * pcp_map_get() - an answer to @ask
 * @out: untouched unless 0 is returned
 *
 * Return: 0, look at @out->result; -NTM_EVERSION: a router of another version, which
 * a NAT-PMP one is; -NTM_EDECODE: no answer to it
 */
NTM_MUST_CHECK int pcp_map_get(const uint8_t *buf, size_t len,
			       const struct pcp_map *ask, struct pcp_map *out);

#endif
