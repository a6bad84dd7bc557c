/* SPDX-License-Identifier: MIT */
/*
 * group_move - what the data path does for groups with each packet
 *
 * Context: loop thread; inside the data path only.
 */
#ifndef NTM_BROKER_DATAPATH_GROUP_MOVE_H
#define NTM_BROKER_DATAPATH_GROUP_MOVE_H

#include "broker/datapath/state.h"

/** is the destination in one of the two ranges that groups have? */
static inline bool group_is_range(const struct inner *in)
{
	static const uint8_t six[4] = {0xff, 0x38, 0x00, 0x40};

	if (in->version == 4)
		return in->dst[0] == 239 && (in->dst[1] & 0xfc) == 192;
	return !memcmp(in->dst, six, sizeof(six));
}

/** a packet of the TUN, in dp->packet, from our lease */
void group_output(struct datapath *dp, const struct virtio_net_hdr *vh,
		  const struct inner *in);
/** what is sealed goes to the members */
void group_flush(struct datapath *dp);
/**
 * group_input() - a whole datagram of a group; destroyed
 * @inside: it came in the member's tunnel: @from is nobody's
 * What is written to the TUN stays where it lies until coalesce_flush().
 */
void group_input(struct datapath *dp, uint8_t *data, size_t len, uint8_t ecn,
		 const struct addr *from, bool inside);
void group_free_all(struct datapath *dp);

#endif
