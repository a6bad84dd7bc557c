/* SPDX-License-Identifier: MIT */
/*
 * inner - what an inner IP packet says about itself
 *
 * Owner:    borrows the packet. Context: any; keeps no state.
 * Both sides use it: on packets of the own kernel, and on those of peers, which
 * may hold anything: every offset it gives lies inside the packet.
 */
#ifndef NTM_BROKER_DATAPATH_INNER_H
#define NTM_BROKER_DATAPATH_INNER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

#define INNER_HEADER_MAX 256 /* IP with extensions and transport header */

#define INNER_ECN_CE 3

/**
 * struct inner - a parsed packet
 * @version:   4 or 6
 * @proto:     of the transport header at @l4
 * @fragment:  part of a fragmented packet: nothing is known beyond IP
 * @transport: TCP or UDP with a whole header: @l4, @l4_len, @csum are valid
 * @plain:     no IPv4 options and no IPv6 extension headers
 * @l4:        offset behind the IP headers
 * @l4_len:    bytes of the transport header
 * @csum:      offset of the transport checksum
 * @len:       bytes by the IP header; at most what was given
 */
struct inner {
	uint8_t version;
	uint8_t proto;
	bool fragment, transport, plain;
	uint16_t l4, l4_len, csum;
	uint32_t len;
	const uint8_t *src, *dst;
};

/** Return: 0, -NTM_EDECODE: not IP, or shorter than it says */
NTM_MUST_CHECK int inner_parse(const uint8_t *pkt, size_t len,
			       struct inner *out);
/** the two ECN bits (RFC 3168) */
uint8_t inner_ecn(const uint8_t *pkt);
/** sets them; keeps the IPv4 header checksum right */
void inner_set_ecn(uint8_t *pkt, uint8_t ecn);
/** does the transport checksum hold? @in->transport must be set */
bool inner_checksum_ok(const uint8_t *pkt, const struct inner *in);
/** of a part of a datagram: where in it this one begins; -1: not to be said, for it has
 *  options or extension headers beside. Only the part at 0 names ports */
int inner_part_offset(const uint8_t *pkt, const struct inner *in);
/** may an ICMP error answer it? Not: ICMP errors, later fragments, multicast */
bool inner_may_complain(const uint8_t *pkt, const struct inner *in);

static inline uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static inline uint32_t get32(const uint8_t *p)
{
	return (uint32_t)get16(p) << 16 | get16(p + 2);
}

static inline void put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static inline void put32(uint8_t *p, uint32_t v)
{
	put16(p, v >> 16);
	put16(p + 2, v);
}

#endif
