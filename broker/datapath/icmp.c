/* SPDX-License-Identifier: MIT */
/* icmp - error messages: to our own kernel as the peer would send them, or to a peer */
#include "broker/datapath/icmp.h"

#include <netinet/in.h>
#include <string.h>

#include "broker/datapath/checksum.h"

#define ERROR4_MAX 576 /* RFC 1812: no larger than this */
#define HOP_LIMIT  64

struct message {
	uint8_t type, code;
	uint32_t rest; /* the second word */
};

static void finish(uint8_t *icmp, size_t len, uint64_t sum)
{
	uint16_t check = (uint16_t)~checksum_fold(checksum_add(sum, icmp, len));

	memcpy(icmp + 2, &check, 2);
}

static size_t make4(const uint8_t *pkt, const struct inner *in,
		    const struct message *m, uint8_t *out)
{
	size_t quote = in->len;
	uint16_t check;

	if (quote > ERROR4_MAX - 28)
		quote = ERROR4_MAX - 28;
	memset(out, 0, 28);
	out[0] = 0x45;
	put16(out + 2, (uint32_t)(28 + quote));
	out[8] = HOP_LIMIT;
	out[9] = IPPROTO_ICMP;
	memcpy(out + 12, in->dst, 4);
	memcpy(out + 16, in->src, 4);
	check = (uint16_t)~checksum_fold(checksum_add(0, out, 20));
	memcpy(out + 10, &check, 2);
	out[20] = m->type;
	out[21] = m->code;
	put32(out + 24, m->rest);
	memcpy(out + 28, pkt, quote);
	finish(out + 20, 8 + quote, 0);
	return 28 + quote;
}

static size_t make6(const uint8_t *pkt, const struct inner *in,
		    const struct message *m, uint8_t *out)
{
	size_t quote = in->len;
	uint64_t sum;

	if (quote > ICMP_ERROR_MAX - 48)
		quote = ICMP_ERROR_MAX - 48;
	memset(out, 0, 48);
	out[0] = 0x60;
	put16(out + 4, (uint32_t)(8 + quote));
	out[6] = IPPROTO_ICMPV6;
	out[7] = HOP_LIMIT;
	memcpy(out + 8, in->dst, 16);
	memcpy(out + 24, in->src, 16);
	out[40] = m->type;
	out[41] = m->code;
	put32(out + 44, m->rest);
	memcpy(out + 48, pkt, quote);
	sum = checksum_pseudo(6, out + 8, out + 24, IPPROTO_ICMPV6);
	sum += checksum_number((uint32_t)(8 + quote));
	finish(out + 40, 8 + quote, sum);
	return 48 + quote;
}

static size_t make(const uint8_t *pkt, const struct inner *in,
		   const struct message *m4, const struct message *m6,
		   uint8_t *out)
{
	if (!inner_may_complain(pkt, in))
		return 0;
	return in->version == 4 ? make4(pkt, in, m4, out)
				: make6(pkt, in, m6, out);
}

size_t icmp_unreachable(const uint8_t *pkt, const struct inner *in,
			uint8_t out[static ICMP_ERROR_MAX])
{
	/* codes that connect() reports as EHOSTUNREACH at once */
	static const struct message m4 = {3, 1, 0}, m6 = {1, 3, 0};
	/* A connected UDP socket is told of few codes, unless it asked for all
	 * (IP_RECVERR): host prohibited is EHOSTUNREACH; of IPv6 only port
	 * unreachable, ECONNREFUSED, is not about permission. */
	static const struct message u4 = {3, 10, 0}, u6 = {1, 4, 0};
	bool udp = in->proto == IPPROTO_UDP;

	return make(pkt, in, udp ? &u4 : &m4, udp ? &u6 : &m6, out);
}

size_t icmp_prohibited(const uint8_t *pkt, const struct inner *in,
		       uint8_t out[static ICMP_ERROR_MAX])
{
	/* connect() ends with EHOSTUNREACH (IPv4), EACCES (IPv6) */
	static const struct message m4 = {3, 13, 0}, m6 = {1, 1, 0};

	return make(pkt, in, &m4, &m6, out);
}

size_t icmp_too_big(const uint8_t *pkt, const struct inner *in, uint32_t mtu,
		    uint8_t out[static ICMP_ERROR_MAX])
{
	struct message m4 = {3, 4, mtu & 0xffff}, m6 = {2, 0, mtu};

	return make(pkt, in, &m4, &m6, out);
}
