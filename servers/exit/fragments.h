/* SPDX-License-Identifier: MIT */
/*
 * fragments - datagrams that are larger than the tunnel: put together, and cut
 *
 * Owner:    net.c. Context: the net process's one thread.
 * Of a node UDP and ICMP come in parts; filter, limits and libslirp see whole datagrams
 * only. Memory is taken at the start, FRAGMENTS_MAX datagrams; a new one takes the
 * place of its own node's oldest, or of the oldest of all. A datagram whose parts
 * overlap is dropped (RFC 5722). Towards a node what is too large is cut as a host
 * would cut it (RFC 791, RFC 8200 4.5).
 */
#ifndef NTM_SERVERS_EXIT_FRAGMENTS_H
#define NTM_SERVERS_EXIT_FRAGMENTS_H

#include <stddef.h>
#include <stdint.h>

#include "broker/datapath/inner.h"
#include "common/err.h"

#define FRAGMENTS_MAX	 64
#define FRAGMENTS_NODE	 8 /* of one source address */
#define FRAGMENTS_LIFE_S 15
#define FRAGMENTS_HEADER 48 /* IPv6 and its fragment header */

struct fragments;

NTM_MUST_CHECK int fragments_new(struct fragments **out);
void fragments_free(struct fragments *f);
/**
 * fragments_add() - a part: @in->fragment
 * @out: the whole packet, as if it had never been cut; until the next call. Writable
 * Return: its bytes; 0: more parts are awaited; -NTM_EDECODE: no part of UDP or ICMP,
 *         with options, overlapping, or too large
 */
NTM_MUST_CHECK int fragments_add(struct fragments *f, uint64_t now_ns,
				 const uint8_t *pkt, const struct inner *in,
				 uint8_t **out);

/** one part: a header of @header_len bytes and a piece of the packet */
typedef void fragments_fn(void *arg, const uint8_t *header, size_t header_len,
			  const uint8_t *body, size_t len);
/**
 * fragments_cut() - a whole packet in parts of at most @mtu bytes
 * @mtu:   1280 or more
 * @ident: another one for each packet
 * Packets with IPv4 options or IPv6 extension headers are not cut: nothing is called.
 */
void fragments_cut(const uint8_t *pkt, const struct inner *in, uint32_t mtu,
		   uint32_t ident, fragments_fn *fn, void *arg);

#endif
