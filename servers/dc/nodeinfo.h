/* SPDX-License-Identifier: MIT */
/*
 * nodeinfo - what one node is told of another: who it is, and where
 *
 * Owner:   the caller, on its stack; the message borrows from the node and from here.
 */
#ifndef NTM_SERVERS_DC_NODEINFO_H
#define NTM_SERVERS_DC_NODEINFO_H

#include "servers/dc/state.h"

struct nodeinfo {
	Ntm__NodeInfo msg;
	Ntm__Address address[DC_NODE_ADDRESSES], *list[DC_NODE_ADDRESSES];
	struct addr addrs[DC_NODE_ADDRESSES];
	uint8_t vip6[16], vip4[4];
};

/** who it is, not where */
void nodeinfo_fill(struct dc *dc, const struct node *n, struct nodeinfo *out);
/** where: the observed address first, then its own */
void nodeinfo_fill_addresses(struct dc *dc, const struct node *n,
			     struct nodeinfo *out);

#endif
