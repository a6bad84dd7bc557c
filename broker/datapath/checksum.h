/* SPDX-License-Identifier: MIT */
/*
 * checksum - the Internet checksum (RFC 1071) and its pseudo-headers
 *
 * Owner:    the caller's bytes. Context: any; keeps no state.
 * A sum is 16-bit words in memory order, added without end carry into 64 bits;
 * checksum_fold() brings it to 16 bits that can be stored with memcpy().
 */
#ifndef NTM_BROKER_DATAPATH_CHECKSUM_H
#define NTM_BROKER_DATAPATH_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

/** add @len bytes to @sum; a last odd byte counts as if followed by zero */
uint64_t checksum_add(uint64_t sum, const void *data, size_t len);
/** the 16-bit sum in memory order, not complemented */
uint16_t checksum_fold(uint64_t sum);
/** addresses and protocol, without the length; @ip_version: 4 or 6 */
uint64_t checksum_pseudo(unsigned int ip_version, const uint8_t *src,
			 const uint8_t *dst, uint8_t proto);
/** @v, a number of the host, as it adds into a sum */
uint64_t checksum_number(uint32_t v);

#endif
