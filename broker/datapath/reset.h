/* SPDX-License-Identifier: MIT */
/*
 * reset - TCP segments that end a connection which is not permitted any more
 *
 * Owner:    the caller's buffer. Context: any; keeps no state.
 * RFC 9293 3.10.7, RFC 5961 3: a RST counts where its number is the next awaited.
 */
#ifndef NTM_BROKER_DATAPATH_RESET_H
#define NTM_BROKER_DATAPATH_RESET_H

#include "broker/datapath/inner.h"

#define RESET_MAX 60

/** to the sender of a segment, from its receiver; @out: the whole IP packet.
 *  Return: bytes; 0: no TCP, a RST, or a segment without ACK, which ends nothing */
size_t reset_back(const uint8_t *pkt, const struct inner *in,
		  uint8_t out[static RESET_MAX]);
/** to the receiver of a segment, in its place. Return: as above */
size_t reset_on(const uint8_t *pkt, const struct inner *in,
		uint8_t out[static RESET_MAX]);

#endif
