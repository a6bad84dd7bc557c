/* SPDX-License-Identifier: MIT */
/*
 * net - the exit's process without keys: filters nodes' packets, ends their TCP and UDP
 *
 * Owner:    main.c forks it; a test may run one in a thread of its own.
 * Context:  one thread, one poll().
 */
#ifndef NTM_SERVERS_EXIT_NET_H
#define NTM_SERVERS_EXIT_NET_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "servers/exit/filter.h"

#define NET_NODES_MAX 1024
#define NET_IDLE_S    600 /* without socket and packet: the node's stack goes */
#define NET_SILENT_S                                                           \
	86400 /* without a packet of the node: its connections, too */

/** struct net_conf
 *  @mtu:     inner MTU of the nodes: TCP to them is cut to it
 *  @look:    keep .own and .links of the filter as this machine is (not in tests) */
struct net_conf {
	struct filter filter;
	unsigned int sockets; /* of one node */
	uint64_t rate;	      /* bytes a second of one account; 0: any */
	unsigned int mtu;
	bool look;
};

#define NET_OPEN 65536

/** struct net_stats - in memory shared with the process that holds the keys, which
 *  shows them; written by one, read by the other */
struct net_stats {
	_Atomic uint64_t nodes, sockets;
	_Atomic uint64_t packets_in, packets_out, bytes_in, bytes_out;
	_Atomic uint64_t malformed, forbidden, over_limit, unsolicited, lost;
	_Atomic uint64_t over_rate, over_day;
	_Atomic uint64_t echo_denied; /* this machine allows no ping sockets */
	_Atomic uint64_t sockets_max; /* of all */
	/* sockets of the node with that number (SEAM_ACCOUNT), when last asked */
	_Atomic uint16_t open[NET_OPEN];
};

struct net;

/** @fd: the net end of the seam, taken. Return: 0, -NTM_ENOMEM, -NTM_ESYSTEM */
NTM_MUST_CHECK int net_new(const struct net_conf *conf, int fd,
			   struct net_stats *stats, struct net **out);
/** closes the seam */
void net_free(struct net *n);
/** one turn: waits at most @limit_ms. Return: 0, -NTM_ECLOSED: the other end is gone */
NTM_MUST_CHECK int net_turn(struct net *n, int limit_ms);
/** one message of the seam; for net_turn() and the fuzzer. @msg: destroyed */
void net_message(struct net *n, uint8_t *msg, size_t len);

#endif
