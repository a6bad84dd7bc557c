/* SPDX-License-Identifier: MIT */
/*
 * keyhash - a keyed 64-bit hash for tables that strangers can fill
 *
 * SipHash-1-3 (Aumasson and Bernstein, "SipHash: a fast short-input PRF", 2012)
 * under a random key of the process, so that nobody can choose colliding names.
 * Not a MAC: those come from libntmcrypto. Context: any thread.
 */
#ifndef NTM_SERVERS_KEYHASH_H
#define NTM_SERVERS_KEYHASH_H

#include <stddef.h>
#include <stdint.h>

struct keyhash {
	uint64_t k0, k1;
};

void keyhash_init(struct keyhash *k);
uint64_t keyhash(const struct keyhash *k, const void *data, size_t len);
/** buckets of a table of @size: a power of two, 16 at least */
uint32_t keyhash_buckets(uint32_t size);

#endif
