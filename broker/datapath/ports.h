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
#define PORTS_SAVE_S 60	   /* between two savings of flows that go on */

#define PORTS_SAVED_LEN 3    /* bytes of a saved flow: u16 port | u8 */
#define PORTS_SAVED_MAX 1536 /* bytes that a peer's blob has room for */

struct ports;

/** @all: every port, else those of @list. Return: 0, -NTM_ENOMEM */
NTM_MUST_CHECK int ports_new(bool all, const uint16_t *list, size_t n,
			     struct ports **out);
void ports_free(struct ports *p);
/** admit these from now on; who began which flow is not forgotten. Return: 0; -NTM_ENOMEM:
 *  none of @list is admitted */
NTM_MUST_CHECK int ports_set(struct ports *p, bool all, const uint16_t *list,
			     size_t n);
/** the tunnel sleeps: no more memory than for what is open */
void ports_rest(struct ports *p, uint64_t now);
/** may this outgoing packet leave? @now: loop time */
bool ports_sent(struct ports *p, uint64_t now, const uint8_t *pkt,
		const struct inner *in);
/** may this incoming packet pass? */
bool ports_pass(struct ports *p, uint64_t now, const uint8_t *pkt,
		const struct inner *in);

/** is there anything that ports_save() should save now? */
bool ports_due(const struct ports *p, uint64_t now);
/** who began what, for ports_load(). Return: bytes in @out */
size_t ports_save(struct ports *p, uint64_t now, uint8_t *out, size_t size);
/** @passed: seconds since ports_save(). Admits nothing. Return: 0, -NTM_ENOMEM */
NTM_MUST_CHECK int ports_load(uint64_t now, uint32_t passed,
			      const uint8_t *saved, size_t len,
			      struct ports **out);

#endif
