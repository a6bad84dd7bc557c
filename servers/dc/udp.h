/* SPDX-License-Identifier: MIT */
/*
 * udp - the DC's sockets in batches: 64 datagrams a system call, both ways
 *
 * Owner:   struct dc. Context: loop thread. Memory is taken once, at the start.
 * A datagram leaves from the local address its node has spoken to: a machine with
 * several addresses would else answer from one that the node's NAT does not know.
 */
#ifndef NTM_SERVERS_DC_UDP_H
#define NTM_SERVERS_DC_UDP_H

#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "common/loop.h"
#include "common/packet.h"
#include "servers/dc/nodes.h"
#include "servers/role.h"

#define UDP_BATCH      64
#define UDP_LOCALS_MAX 255

struct udp;
/** one datagram: @buf is destroyed at will; @from names it for the answer */
typedef void udp_fn(void *arg, const struct endpoint *from, uint8_t *buf,
		    size_t len);

struct udp_stats {
	uint64_t received, sent, truncated, send_failed;
};

/** @fds: bound, non-blocking UDP sockets of either family; taken over on success */
NTM_MUST_CHECK int udp_new(struct loop *l, const int *fds, size_t n, udp_fn *fn,
			   void *arg, struct udp **out);
void udp_free(struct udp *u);
/**
 * udp_slot() - where to build the next datagram to @to
 * Return: PACKET_SIGNAL_MAX bytes, valid until udp_commit() or the next slot of
 *         that socket; NULL when @to is none of ours
 */
uint8_t *udp_slot(struct udp *u, const struct endpoint *to);
/** it is complete; leaves with the batch, at the latest at the end of the turn */
void udp_commit(struct udp *u, const struct endpoint *to, size_t len);
/** an endpoint for @to, by the first socket of its family. Return: false: there is
 *  none */
bool udp_endpoint(const struct udp *u, const struct addr *to,
		  struct endpoint *out);
void udp_flush(struct udp *u);
const struct udp_stats *udp_stats(const struct udp *u);

#endif
