/* SPDX-License-Identifier: MIT */
/*
 * icmp - error messages: to our own kernel as the peer would send them, or to a peer
 *
 * Owner:    the caller's buffer. Context: any; keeps no state.
 * RFC 792, RFC 1191, RFC 1812 4.3.2, RFC 4443.
 */
#ifndef NTM_BROKER_DATAPATH_ICMP_H
#define NTM_BROKER_DATAPATH_ICMP_H

#include "broker/datapath/inner.h"

#define ICMP_ERROR_MAX 1280 /* bytes of the largest error made here */

/**
 * icmp_unreachable() - the peer cannot be reached, in the code that makes the kernel
 *                      tell the program: host or address unreachable; of UDP host
 *                      prohibited (IPv4), port unreachable (IPv6)
 * @pkt, @in: the packet it answers; the error comes from its destination
 * @out:      the whole IP packet
 *
 * Return: bytes; 0 when nothing may answer that packet
 */
size_t icmp_unreachable(const uint8_t *pkt, const struct inner *in,
			uint8_t out[static ICMP_ERROR_MAX]);
/** communication administratively prohibited: to a peer that may not reach a port */
size_t icmp_prohibited(const uint8_t *pkt, const struct inner *in,
		       uint8_t out[static ICMP_ERROR_MAX]);
/** Packet Too Big (ICMPv6 type 2; ICMP type 3 code 4); @mtu: of inner packets */
size_t icmp_too_big(const uint8_t *pkt, const struct inner *in, uint32_t mtu,
		    uint8_t out[static ICMP_ERROR_MAX]);

#endif
