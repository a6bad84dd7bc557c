/* SPDX-License-Identifier: MIT */
/*
 * alias - a peer's virtual IPv4 address under another one here, in packets both ways
 *
 * Owner:    the caller's packet, changed in place. Context: any; keeps no state.
 * Domains lease from ranges that overlap (all begin with the same default), so a peer
 * of another domain is shown to our programs under an address of our own choice. On
 * the wire there is always its own.
 */
#ifndef NTM_BROKER_DATAPATH_ALIAS_H
#define NTM_BROKER_DATAPATH_ALIAS_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/datapath/inner.h"

/**
 * alias_to_peer() - a packet of ours: destination @shown becomes @own
 * @partial: the transport checksum holds the pseudo-header's sum only
 * The packet that an ICMP error quotes came from the peer: its source is changed.
 */
void alias_to_peer(uint8_t *pkt, const struct inner *in,
		   const uint8_t shown[static 4], const uint8_t own[static 4],
		   bool partial);
/** a packet of the peer: source @own becomes @shown; quoted destinations, too */
void alias_from_peer(uint8_t *pkt, const struct inner *in,
		     const uint8_t shown[static 4], const uint8_t own[static 4],
		     bool partial);

#endif
