/* SPDX-License-Identifier: MIT */
/*
 * fuzz_alias - any packet, with one address shown for another: there and back it is the
 * same, nothing outside of it is touched, and checksums that were right stay right
 */
#include <netinet/in.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "broker/datapath/alias.h"
#include "broker/datapath/checksum.h"
#include "broker/datapath/inner.h"

#define PACKET_MAX 2048
#define GUARD	   16

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint16_t ip_sum(const uint8_t *pkt)
{
	return checksum_fold(checksum_add(0, pkt, (pkt[0] & 15) * 4u));
}

/* of the pseudo-header and what follows; 0xffff: right */
static uint16_t l4_sum(const uint8_t *pkt, const struct inner *in)
{
	uint32_t len = in->len - in->l4;
	uint8_t tail[4] = {0, in->proto, (uint8_t)(len >> 8), (uint8_t)len};
	uint64_t sum = checksum_add(0, pkt + 12, 8);

	sum = checksum_add(sum, tail, sizeof(tail));
	return checksum_fold(checksum_add(sum, pkt + in->l4, len));
}

static bool has_l4(const uint8_t *pkt, const struct inner *in)
{
	uint32_t len = in->len - in->l4;

	if ((get16(pkt + 6) & 0x3fff) != 0) /* a part alone has no right sum */
		return false;
	return (in->proto == IPPROTO_TCP && len >= 20) ||
	       (in->proto == IPPROTO_UDP && len >= 8 &&
		get16(pkt + in->l4 + 6));
}

static void set_sum(uint8_t *p, uint16_t v)
{
	memcpy(p, &v, sizeof(v));
}

/* what is hard to guess: sums that are right */
static void repair(uint8_t *pkt, size_t size)
{
	struct inner in;
	uint8_t *sum;

	if (inner_parse(pkt, size, &in) || in.version != 4)
		return;
	set_sum(pkt + 10, 0);
	set_sum(pkt + 10, (uint16_t)~ip_sum(pkt));
	if (!has_l4(pkt, &in))
		return;
	sum = pkt + in.l4 + (in.proto == IPPROTO_TCP ? 16 : 6);
	set_sum(sum, 0);
	set_sum(sum, (uint16_t)~l4_sum(pkt, &in));
}

static void check(uint8_t *pkt, size_t size, bool from, const uint8_t *a,
		  const uint8_t *b)
{
	uint8_t was[PACKET_MAX];
	struct inner in;
	bool ip_right, l4_right;

	if (inner_parse(pkt, size, &in) || in.version != 4)
		return;
	memcpy(was, pkt, size);
	ip_right = ip_sum(pkt) == 0xffff;
	l4_right = has_l4(pkt, &in) && l4_sum(pkt, &in) == 0xffff;
	if (from)
		alias_from_peer(pkt, &in, b, a, false);
	else
		alias_to_peer(pkt, &in, a, b, false);
	if (ip_right && ip_sum(pkt) != 0xffff)
		abort();
	if (l4_right && l4_sum(pkt, &in) != 0xffff)
		abort();
	if (memcmp(was + in.len, pkt + in.len, size - in.len) != 0)
		abort();
	if (!memcmp(was, pkt, size))
		return; /* not that address */
	if (memcmp(pkt + (from ? 12 : 16), from ? a : b, 4) != 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t buf[PACKET_MAX + GUARD], other[4] = {241, 64, 1, 2}, addr[4];
	static const uint8_t guard[GUARD];

	if (size < 21 || size > PACKET_MAX)
		return 0;
	memset(buf, 0, sizeof(buf));
	for (int i = 0; i < 4; i++) {
		int from = i & 1;

		memcpy(buf, data, size);
		if (i & 2)
			repair(buf, size);
		memcpy(addr, buf + (from ? 12 : 16), 4);
		if (!memcmp(addr, other, 4))
			other[3]++;
		/* from: its own address is @addr; else the shown one is */
		check(buf, size, from, from ? other : addr,
		      from ? addr : other);
		if (memcmp(buf + size, guard, GUARD) != 0)
			abort();
		memset(buf, 0, sizeof(buf));
	}
	return 0;
}
