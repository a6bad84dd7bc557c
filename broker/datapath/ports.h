/* SPDX-License-Identifier: MIT */
/*
 * ports - what a peer may open here, and who began what is open
 *
 * Owner:    the tunnel, or the peer between two tunnels. Context: loop thread.
 * Admitted: TCP and UDP to the ports of the list, or to all. Besides, whatever is
 * admitted: what belongs to flows that we began, ICMP, the end of a connection (RST).
 * Of a UDP datagram in parts the first decides; without it the later ones, which name
 * no port, reach nobody.
 */
#ifndef NTM_BROKER_DATAPATH_PORTS_H
#define NTM_BROKER_DATAPATH_PORTS_H

#include <stdbool.h>

#include "broker/datapath/inner.h"
#include "common/err.h"

#define PORTS_OPEN_S 180   /* a UDP flow, after its last packet either way */
#define PORTS_OURS   32768 /* the kernel gives connect() none below (Linux) */

struct ports;

/** @all: every port, else those of @list. Return: 0, -NTM_ENOMEM */
NTM_MUST_CHECK int ports_new(bool all, const uint16_t *list, size_t n,
			     struct ports **out);
void ports_free(struct ports *p);
/** admit these from now on; who began which flow is not forgotten */
void ports_set(struct ports *p, bool all, const uint16_t *list, size_t n);
/** may this outgoing packet leave? @now: loop time */
bool ports_sent(struct ports *p, uint64_t now, const uint8_t *pkt,
		const struct inner *in);
/** may this incoming packet pass? */
bool ports_pass(struct ports *p, uint64_t now, const uint8_t *pkt,
		const struct inner *in);

#endif
