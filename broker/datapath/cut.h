/* SPDX-License-Identifier: MIT */
/*
 * cut - an IP packet in fragments, where a datagram cannot hold it
 *
 * Owner:    borrows the packet. Context: any; keeps no state.
 * For packets of our own kernel to many: it has no path MTU for them. What is a
 * fragment already is cut further; the receivers' kernels put all together.
 */
#ifndef NTM_BROKER_DATAPATH_CUT_H
#define NTM_BROKER_DATAPATH_CUT_H

#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

#define CUT_MAX 9216 /* bytes of a fragment */

/**
 * cut_packet() - @fn for each fragment, in order
 * @pkt: @len bytes, an IP packet that is longer than @max
 * @max: bytes of a fragment, at most; CUT_MAX at most
 * @ident: of IPv6 fragments that this makes: another one for each packet
 *
 * Return: 0; -NTM_EDECODE: not IP, IPv6 with extension headers but a fragment's, or no
 *         room for headers and 8 bytes. @fn was not called then
 */
NTM_MUST_CHECK int
cut_packet(const uint8_t *pkt, size_t len, size_t max, uint32_t ident,
	   void (*fn)(void *arg, const uint8_t *pkt, size_t len), void *arg);

#endif
