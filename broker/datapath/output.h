/* SPDX-License-Identifier: MIT */
/*
 * output - a packet from the TUN to its tunnel, its queue, or an ICMP error
 *
 * Owner:    none of its own; works on struct datapath. Context: loop thread.
 */
#ifndef NTM_BROKER_DATAPATH_OUTPUT_H
#define NTM_BROKER_DATAPATH_OUTPUT_H

#include "broker/datapath/state.h"

/** one packet of @len bytes at dp->packet, as the TUN gave it */
void output_packet(struct datapath *dp, const struct virtio_net_hdr *vh,
		   size_t len);
/** the path is another: what was sent last may be lost, so send the tail again,
 *  when output_resume() can */
void output_again(struct dp_tunnel *t);
/** send what waits, as far as it goes now */
void output_resume(struct dp_tunnel *t);
/** the same for every tunnel that a full socket held up */
void output_resume_all(struct datapath *dp);
/** a datagram sealed for a group, to the peer: by itself, or inside the tunnel where
 *  that is relayed. Return: it left; false: it waits in the queue */
bool output_grouped(struct dp_tunnel *t, const uint8_t *data, uint32_t len,
		    uint8_t ecn);
/** answer all that waits with ICMP unreachable, or just drop it */
void output_reject_queue(struct dp_tunnel *t, bool reject);
/** have the owner told at the end of the turn */
void output_event(struct dp_tunnel *t, unsigned int event);
/** for batch_ops */
void output_failed(void *dp, const struct batch_run *run, int err);

#endif
