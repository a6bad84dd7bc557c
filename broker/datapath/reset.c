/* SPDX-License-Identifier: MIT */
/* reset - TCP segments that end a connection which is not permitted any more */
#include "broker/datapath/reset.h"

#include <netinet/in.h>
#include <string.h>

#include "broker/datapath/checksum.h"

#define HOP_LIMIT 64
#define TCP_LEN	  20
#define TCP_FLAGS 13 /* offset in the TCP header */
#define TCP_SUM	  16
#define TCP_RST	  0x04
#define TCP_ACK	  0x10

static bool may_reset(const uint8_t *pkt, const struct inner *in)
{
	return in->transport && in->proto == IPPROTO_TCP &&
	       (pkt[in->l4 + TCP_FLAGS] & (TCP_RST | TCP_ACK)) == TCP_ACK;
}

static size_t ip_header(const struct inner *in, const uint8_t *src,
			const uint8_t *dst, uint8_t *out)
{
	uint16_t check;

	if (in->version == 6) {
		out[0] = 0x60;
		put16(out + 4, TCP_LEN);
		out[6] = IPPROTO_TCP;
		out[7] = HOP_LIMIT;
		memcpy(out + 8, src, 16);
		memcpy(out + 24, dst, 16);
		return 40;
	}
	out[0] = 0x45;
	put16(out + 2, 20 + TCP_LEN);
	out[8] = HOP_LIMIT;
	out[9] = IPPROTO_TCP;
	memcpy(out + 12, src, 4);
	memcpy(out + 16, dst, 4);
	check = (uint16_t)~checksum_fold(checksum_add(0, out, 20));
	memcpy(out + 10, &check, 2);
	return 20;
}

static size_t make(const struct inner *in, const uint8_t *src,
		   const uint8_t *dst, const uint8_t ports[static 4],
		   uint32_t seq, uint8_t *out)
{
	uint16_t check;
	uint64_t sum;
	uint8_t *tcp;
	size_t len;

	memset(out, 0, RESET_MAX);
	len = ip_header(in, src, dst, out);
	tcp = out + len;
	memcpy(tcp, ports, 4);
	put32(tcp + 4, seq);
	tcp[12] = TCP_LEN / 4 << 4;
	tcp[TCP_FLAGS] = TCP_RST;
	sum = checksum_pseudo(in->version, src, dst, IPPROTO_TCP);
	sum += checksum_number(TCP_LEN);
	check = (uint16_t)~checksum_fold(checksum_add(sum, tcp, TCP_LEN));
	memcpy(tcp + TCP_SUM, &check, 2);
	return len + TCP_LEN;
}

size_t reset_back(const uint8_t *pkt, const struct inner *in,
		  uint8_t out[static RESET_MAX])
{
	const uint8_t *tcp = pkt + in->l4;
	uint8_t ports[4];

	if (!may_reset(pkt, in))
		return 0;
	memcpy(ports, tcp + 2, 2);
	memcpy(ports + 2, tcp, 2);
	return make(in, in->dst, in->src, ports, get32(tcp + 8), out);
}

size_t reset_on(const uint8_t *pkt, const struct inner *in,
		uint8_t out[static RESET_MAX])
{
	const uint8_t *tcp = pkt + in->l4;

	if (!may_reset(pkt, in))
		return 0;
	return make(in, in->src, in->dst, tcp, get32(tcp + 4), out);
}
