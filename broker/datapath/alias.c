/* SPDX-License-Identifier: MIT */
/* alias - a peer's virtual IPv4 address under another one here, in packets both ways */
#include "broker/datapath/alias.h"

#include <netinet/in.h>
#include <string.h>

#include "broker/datapath/checksum.h"

#define SRC	12
#define DST	16
#define IP_SUM	10
#define QUOTED	8 /* behind the ICMP header */
#define TCP_SUM 16
#define UDP_SUM 6

/* RFC 1624; a partial sum is not complemented */
static uint16_t update(const uint8_t *field, const uint8_t *from,
		       const uint8_t *to, bool partial)
{
	uint8_t less[4];
	uint16_t sum;

	for (int i = 0; i < 4; i++)
		less[i] = (uint8_t)~from[i];
	memcpy(&sum, field, sizeof(sum));
	if (!partial)
		sum = (uint16_t)~sum;
	sum = checksum_fold(checksum_add(checksum_add(sum, less, 4), to, 4));
	return partial ? sum : (uint16_t)~sum;
}

static void put_sum(uint8_t *field, uint16_t sum)
{
	memcpy(field, &sum, sizeof(sum));
}

/* the transport checksum covers the addresses; later fragments have none */
static void fix_transport(uint8_t *pkt, const struct inner *in,
			  const uint8_t *from, const uint8_t *to, bool partial)
{
	uint8_t *l4 = pkt + in->l4;
	uint32_t room = in->len - in->l4;
	uint16_t sum;

	if (get16(pkt + 6) & 0x1fff)
		return;
	if (in->proto == IPPROTO_TCP && room >= TCP_SUM + 2) {
		put_sum(l4 + TCP_SUM, update(l4 + TCP_SUM, from, to, partial));
	} else if (in->proto == IPPROTO_UDP && room >= UDP_SUM + 2 &&
		   (partial || get16(l4 + UDP_SUM))) {
		sum = update(l4 + UDP_SUM, from, to, partial);
		put_sum(l4 + UDP_SUM, !partial && !sum ? 0xffff : sum);
	}
}

static void swap(uint8_t *ip, unsigned int at, const uint8_t *from,
		 const uint8_t *to)
{
	put_sum(ip + IP_SUM, update(ip + IP_SUM, from, to, false));
	memcpy(ip + at, to, 4);
}

static bool is_error(uint8_t type)
{
	return type == 3 || type == 4 || type == 5 || type == 11 || type == 12;
}

/* The ICMP checksum stays: what the address adds, the quoted header's sum takes. */
static void fix_quoted(uint8_t *pkt, const struct inner *in, unsigned int at,
		       const uint8_t *from, const uint8_t *to)
{
	uint8_t *icmp = pkt + in->l4, *quoted = icmp + QUOTED;

	if (in->proto != IPPROTO_ICMP || in->fragment ||
	    in->len - in->l4 < QUOTED + 20 || !is_error(icmp[0]) ||
	    quoted[0] >> 4 != 4 || memcmp(quoted + at, from, 4) != 0)
		return;
	swap(quoted, at, from, to);
}

void alias_to_peer(uint8_t *pkt, const struct inner *in,
		   const uint8_t shown[static 4], const uint8_t own[static 4],
		   bool partial)
{
	if (in->version != 4 || memcmp(pkt + DST, shown, 4) != 0)
		return;
	fix_transport(pkt, in, shown, own, partial);
	swap(pkt, DST, shown, own);
	fix_quoted(pkt, in, SRC, shown, own);
}

void alias_from_peer(uint8_t *pkt, const struct inner *in,
		     const uint8_t shown[static 4], const uint8_t own[static 4],
		     bool partial)
{
	if (in->version != 4 || memcmp(pkt + SRC, own, 4) != 0)
		return;
	fix_transport(pkt, in, own, shown, partial);
	swap(pkt, SRC, own, shown);
	fix_quoted(pkt, in, DST, own, shown);
}
