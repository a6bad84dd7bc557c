/* SPDX-License-Identifier: MIT */
/*
 * ports - what a peer that may not reach everything may open here
 *
 * Owner:    the tunnel; NULL where all is allowed. Context: loop thread.
 * Allowed: TCP that is no new connection, TCP and UDP to the ports of the list, UDP
 * to a local port that has sent to this peer (an answer; each packet keeps it open for
 * PORTS_OPEN_S, as a stateful firewall does), ICMP. Of a UDP datagram in parts the
 * first decides; without it the later ones, which name no port, reach nobody.
 */
#ifndef NTM_BROKER_DATAPATH_PORTS_H
#define NTM_BROKER_DATAPATH_PORTS_H

#include <stdbool.h>

#include "broker/datapath/inner.h"
#include "common/err.h"

#define PORTS_OPEN_S 180 /* for answers, after the last packet either way */

struct ports;

/** Return: 0, -NTM_ENOMEM */
NTM_MUST_CHECK int ports_new(const uint16_t *list, size_t n,
			     struct ports **out);
void ports_free(struct ports *p);
/** replace the list; answers to what was sent stay allowed */
void ports_set(struct ports *p, const uint16_t *list, size_t n);
/** an outgoing packet; @now: loop time */
void ports_sent(struct ports *p, uint64_t now, const uint8_t *pkt,
		const struct inner *in);
/** may this incoming packet pass? */
bool ports_pass(struct ports *p, uint64_t now, const uint8_t *pkt,
		const struct inner *in);

#endif
