/* SPDX-License-Identifier: MIT */
/*
 * reach - how nodes are reached: by themselves, or through which relay
 *
 * Owner:   what a node measured is kept in its struct node. Context: loop thread.
 */
#ifndef NTM_SERVERS_DC_REACH_H
#define NTM_SERVERS_DC_REACH_H

#include <stdbool.h>
#include <stdint.h>

#include "servers/dc/relays.h"

#define REACH_IP4      1
#define REACH_IP6      2
#define REACH_TOLD_MAX 4 /* relays named to a node */

/** struct reach_relay - a relay as nodes are told of it; borrows from struct relay */
struct reach_relay {
	Ntm__Relay msg;
	Ntm__Address address[RELAY_ADDRESSES_MAX], *list[RELAY_ADDRESSES_MAX];
};
void reach_fill_relay(const struct relay *r, struct reach_relay *out);

/** which families @addr adds: REACH_IP4, REACH_IP6 */
uint8_t reach_family(const struct addr *addr);
/** after n->at and n->addrs were set: what that and @q say about the way to it */
void reach_note(struct dc *dc, struct node *n,
		const Ntm__RegistrationRequest *q);
/** neither can reach the other by itself */
/** round trip between two nodes, us, as far as the relays that both measure tell */
uint32_t reach_between(const struct node *a, const struct node *b);
bool reach_needs_relay(const struct node *mn, const struct node *cn);
/** it is CN that sends the Tunnel Request */
bool reach_cn_sends(const struct node *mn, const struct node *cn);
/**
 * reach_choose() - the relay with the shortest way between both
 * @never:      not this one; 0: none
 * @rather_not: this one only if there is no other; 0: none
 *
 * Return: its number, 0 when there is none
 */
uint16_t reach_choose(struct dc *dc, const struct node *mn,
		      const struct node *cn, uint16_t never,
		      uint16_t rather_not);
/** those that have a gate, for a node that logs in. Return: how many */
size_t reach_gates(struct dc *dc,
		   struct reach_relay out[static REACH_TOLD_MAX]);
/** relays for @n to measure: those nearest to it, then by turns. Return: how many */
size_t reach_tell(struct dc *dc, const struct node *n,
		  struct reach_relay out[static REACH_TOLD_MAX]);

#endif
