/* SPDX-License-Identifier: MIT */
/* keyhash - a keyed 64-bit hash for tables that strangers can fill */
#include "servers/keyhash.h"

#include <endian.h>
#include <string.h>

#include "libntmcrypto/ntmcrypto.h"

static inline uint64_t rotl(uint64_t x, unsigned int n)
{
	return (x << n) | (x >> (64 - n));
}

static inline void sip_round(uint64_t v[4])
{
	v[0] += v[1];
	v[1] = rotl(v[1], 13) ^ v[0];
	v[0] = rotl(v[0], 32);
	v[2] += v[3];
	v[3] = rotl(v[3], 16) ^ v[2];
	v[0] += v[3];
	v[3] = rotl(v[3], 21) ^ v[0];
	v[2] += v[1];
	v[1] = rotl(v[1], 17) ^ v[2];
	v[2] = rotl(v[2], 32);
}

void keyhash_init(struct keyhash *k)
{
	ntmc_random(NULL, k, sizeof(*k));
}

uint64_t keyhash(const struct keyhash *k, const void *data, size_t len)
{
	uint64_t v[4] = {
		k->k0 ^ 0x736f6d6570736575u, k->k1 ^ 0x646f72616e646f6du,
		k->k0 ^ 0x6c7967656e657261u, k->k1 ^ 0x7465646279746573u};
	const uint8_t *p = data;
	uint64_t m = 0;
	size_t left = len;

	for (; left >= 8; left -= 8, p += 8) {
		memcpy(&m, p, 8);
		m = le64toh(m);
		v[3] ^= m;
		sip_round(v);
		v[0] ^= m;
	}
	m = (uint64_t)len << 56;
	for (size_t i = 0; i < left; i++)
		m |= (uint64_t)p[i] << (8 * i);
	v[3] ^= m;
	sip_round(v);
	v[0] ^= m;
	v[2] ^= 0xff;
	sip_round(v);
	sip_round(v);
	sip_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

uint32_t keyhash_buckets(uint32_t size)
{
	uint32_t n = 16;

	while (n < size)
		n *= 2;
	return n;
}
