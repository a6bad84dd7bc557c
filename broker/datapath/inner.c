/* SPDX-License-Identifier: MIT */
/* inner - what an inner IP packet says about itself */
#include "broker/datapath/inner.h"

#include <netinet/in.h>
#include <string.h>

#include "broker/datapath/checksum.h"

#define IP6_EXTENSIONS_MAX 6
#define TCP_CHECKSUM	   16
#define UDP_CHECKSUM	   6

static void parse_transport(const uint8_t *pkt, struct inner *in)
{
	uint32_t room = in->len - in->l4;

	if (in->fragment)
		return;
	if (in->proto == IPPROTO_TCP && room >= 20) {
		in->l4_len = (pkt[in->l4 + 12] >> 4) * 4;
		in->csum = in->l4 + TCP_CHECKSUM;
		in->transport = in->l4_len >= 20 && in->l4_len <= room;
	} else if (in->proto == IPPROTO_UDP && room >= 8) {
		in->l4_len = 8;
		in->csum = in->l4 + UDP_CHECKSUM;
		in->transport = true;
	}
	if (in->l4 + in->l4_len > INNER_HEADER_MAX)
		in->transport = false;
}

static int parse_ip4(const uint8_t *pkt, size_t len, struct inner *in)
{
	unsigned int header;

	if (len < 20)
		return -NTM_EDECODE;
	header = (pkt[0] & 15) * 4u;
	in->len = get16(pkt + 2);
	if (header < 20 || in->len < header || in->len > len)
		return -NTM_EDECODE;
	in->version = 4;
	in->proto = pkt[9];
	in->fragment = get16(pkt + 6) & 0x3fff;
	in->plain = header == 20;
	in->l4 = (uint16_t)header;
	in->src = pkt + 12;
	in->dst = pkt + 16;
	return 0;
}

/* Steps over the extension headers that a host may send; anything else is the
 * transport as far as we are concerned. */
static void walk_extensions(const uint8_t *pkt, struct inner *in)
{
	uint32_t at = 40, size;
	uint8_t next = pkt[6];

	for (int i = 0; i < IP6_EXTENSIONS_MAX; i++) {
		if (next != IPPROTO_HOPOPTS && next != IPPROTO_ROUTING &&
		    next != IPPROTO_DSTOPTS && next != IPPROTO_FRAGMENT)
			break;
		if (at + 8 > in->len)
			break;
		size = next == IPPROTO_FRAGMENT ? 8 : (pkt[at + 1] + 1u) * 8;
		if (at + size > in->len)
			break;
		if (next == IPPROTO_FRAGMENT)
			in->fragment = true;
		next = pkt[at];
		at += size;
	}
	in->proto = next;
	in->plain = at == 40;
	in->l4 = (uint16_t)at;
}

static int parse_ip6(const uint8_t *pkt, size_t len, struct inner *in)
{
	if (len < 40)
		return -NTM_EDECODE;
	in->len = 40u + get16(pkt + 4);
	if (in->len > len || in->len > 65535)
		return -NTM_EDECODE;
	in->version = 6;
	in->src = pkt + 8;
	in->dst = pkt + 24;
	walk_extensions(pkt, in);
	return 0;
}

int inner_parse(const uint8_t *pkt, size_t len, struct inner *out)
{
	struct inner in = {0};
	int ret = -NTM_EDECODE;

	if (len && pkt[0] >> 4 == 4)
		ret = parse_ip4(pkt, len, &in);
	else if (len && pkt[0] >> 4 == 6)
		ret = parse_ip6(pkt, len, &in);
	if (ret)
		return ret;
	parse_transport(pkt, &in);
	*out = in;
	return 0;
}

uint8_t inner_ecn(const uint8_t *pkt)
{
	return pkt[0] >> 4 == 4 ? pkt[1] & 3 : pkt[1] >> 4 & 3;
}

void inner_set_ecn(uint8_t *pkt, uint8_t ecn)
{
	uint16_t sum;

	if (pkt[0] >> 4 == 6) {
		pkt[1] = (uint8_t)((pkt[1] & ~0x30) | ecn << 4);
		return;
	}
	pkt[1] = (uint8_t)((pkt[1] & ~3) | ecn);
	memset(pkt + 10, 0, 2);
	sum = (uint16_t)~checksum_fold(
		checksum_add(0, pkt, (pkt[0] & 15) * 4u));
	memcpy(pkt + 10, &sum, 2);
}

bool inner_checksum_ok(const uint8_t *pkt, const struct inner *in)
{
	uint32_t len = in->len - in->l4;
	uint64_t sum =
		checksum_pseudo(in->version, in->src, in->dst, in->proto);

	sum += checksum_number(len);
	return checksum_fold(checksum_add(sum, pkt + in->l4, len)) == 0xffff;
}

int inner_part_offset(const uint8_t *pkt, const struct inner *in)
{
	if (in->version == 4)
		return in->plain ? (get16(pkt + 6) & 0x1fff) * 8 : -1;
	return pkt[6] == IPPROTO_FRAGMENT && in->l4 == 48
		       ? get16(pkt + 42) & 0xfff8
		       : -1;
}

bool inner_may_complain(const uint8_t *pkt, const struct inner *in)
{
	uint8_t type = in->l4 < in->len ? pkt[in->l4] : 0;

	if (in->version == 4) {
		if ((in->dst[0] >= 224 && in->dst[0] < 240) ||
		    in->dst[0] == 255 || get16(pkt + 6) & 0x1fff)
			return false;
		/* of ICMP only what asks: an error never causes an error */
		return in->proto != IPPROTO_ICMP || type == 8 || type == 13;
	}
	if (in->dst[0] == 0xff)
		return false;
	return in->proto != IPPROTO_ICMPV6 || type >= 128;
}
