/* SPDX-License-Identifier: MIT */
/*
 * manyhash - SHA-256 of several pieces of one length at once
 *
 * Owner:    none. Context: inside libntmcrypto only; any thread.
 * One SHA-256 waits for itself: each block needs the one before. Sixteen of them side by
 * side in AVX-512, by Intel's IPsec library, do 2.3 times as many bytes a second as one
 * by the CPU's own SHA instructions. Where CPU or library lack it, Nettle makes one after
 * the other: the same hashes.
 */
#ifndef NTM_LIBNTMCRYPTO_MANYHASH_H
#define NTM_LIBNTMCRYPTO_MANYHASH_H

#include "libntmcrypto/ntmcrypto.h"

#define MANYHASH_MAX	 16
#define MANYHASH_LEN_MAX 65534 /* the library counts in 16 bits */

/**
 * manyhash() - the hashes of @n pieces that lie one behind the other
 * @len: bytes of each, 1 .. MANYHASH_LEN_MAX; @n: at most MANYHASH_MAX
 * @out: @n hashes, one behind the other
 */
void manyhash(const uint8_t *data, size_t len, size_t n, uint8_t *out);
/** the same by Nettle alone, for tests */
void manyhash_plain(const uint8_t *data, size_t len, size_t n, uint8_t *out);

#endif
