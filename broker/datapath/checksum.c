/* SPDX-License-Identifier: MIT */
/* checksum - the Internet checksum (RFC 1071) and its pseudo-headers */
#include "broker/datapath/checksum.h"

#include <arpa/inet.h>
#include <string.h>

/* 32-bit words into a 64-bit sum: no carry is lost below 2^32 words. */
uint64_t checksum_add(uint64_t sum, const void *data, size_t len)
{
	const uint8_t *p = data;
	uint32_t w[4];
	uint16_t half;

	for (; len >= 16; len -= 16, p += 16) {
		memcpy(w, p, 16);
		sum += (uint64_t)w[0] + w[1] + w[2] + w[3];
	}
	for (; len >= 4; len -= 4, p += 4) {
		memcpy(w, p, 4);
		sum += w[0];
	}
	if (len >= 2) {
		memcpy(&half, p, 2);
		sum += half;
		p += 2;
		len -= 2;
	}
	if (len) {
		half = 0;
		memcpy(&half, p, 1);
		sum += half;
	}
	return sum;
}

uint16_t checksum_fold(uint64_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

uint64_t checksum_number(uint32_t v)
{
	return htonl(v);
}

uint64_t checksum_pseudo(unsigned int ip_version, const uint8_t *src,
			 const uint8_t *dst, uint8_t proto)
{
	size_t len = ip_version == 4 ? 4 : 16;
	uint64_t sum = checksum_number(proto);

	sum = checksum_add(sum, src, len);
	return checksum_add(sum, dst, len);
}
