/* SPDX-License-Identifier: MIT */
/*
 * refusal - what a program of this machine is told of its packet that goes nowhere
 *
 * ICMP errors and TCP resets, back by the TUN, as from the address that was written to; at
 * most 1000 in a second. What cannot be answered (an error itself, say) is dropped.
 *
 * Owner:    none of its own; works on struct datapath. Context: loop thread.
 */
#ifndef NTM_BROKER_DATAPATH_REFUSAL_H
#define NTM_BROKER_DATAPATH_REFUSAL_H

#include "broker/datapath/offload.h"
#include "broker/datapath/state.h"

/** there is no way. @t: its tunnel; NULL: it has none */
void refusal_unreachable(struct datapath *dp, struct dp_tunnel *t,
			 const uint8_t *pkt, const struct inner *in);
/** it is of a connection that the peer began, and may not have any more. Counted */
void refusal_ended(struct dp_tunnel *t, const uint8_t *pkt,
		   const struct inner *in);
/** it does not fit, and may not be cut. Counted */
void refusal_too_big(struct dp_tunnel *t, const struct offload *o);

#endif
