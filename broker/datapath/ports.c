/* SPDX-License-Identifier: MIT */
/* ports - what a peer that may not reach everything may open here */
#include "broker/datapath/ports.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "common/loop.h"

#define TCP_FLAGS 13 /* offset in the TCP header */
#define TCP_SYN	  0x02
#define TCP_ACK	  0x10

/* @open: a bit a port; @used: second in which a port last was, 0 never. Pages of it
 * that no port of a program touches do not exist. */
struct ports {
	uint8_t open[65536 / 8];
	uint32_t used[65536];
};

static bool test(const uint8_t *map, uint16_t port)
{
	return map[port / 8] >> (port % 8) & 1;
}

static void set(uint8_t *map, uint16_t port)
{
	map[port / 8] |= (uint8_t)(1 << (port % 8));
}

int ports_new(const uint16_t *list, size_t n, struct ports **out)
{
	struct ports *p = calloc(1, sizeof(*p));

	if (!p)
		return -NTM_ENOMEM;
	ports_set(p, list, n);
	*out = p;
	return 0;
}

void ports_free(struct ports *p)
{
	free(p);
}

void ports_set(struct ports *p, const uint16_t *list, size_t n)
{
	memset(p->open, 0, sizeof(p->open));
	for (size_t i = 0; i < n; i++)
		set(p->open, list[i]);
}

static uint32_t seconds(uint64_t now)
{
	return (uint32_t)(now / LOOP_S(1)) + 1;
}

/* Does it begin a UDP datagram, whole or in parts? Then its ports can be read. */
static bool is_udp_head(const uint8_t *pkt, const struct inner *in)
{
	if (in->proto != IPPROTO_UDP)
		return false;
	return in->transport || (in->fragment && in->len - in->l4 >= 8 &&
				 inner_part_offset(pkt, in) == 0);
}

void ports_sent(struct ports *p, uint64_t now, const uint8_t *pkt,
		const struct inner *in)
{
	if (is_udp_head(pkt, in))
		p->used[get16(pkt + in->l4)] = seconds(now);
}

/* An answer, and as such one more use of the port? */
static bool is_answer(struct ports *p, uint64_t now, uint16_t port)
{
	uint32_t s = seconds(now);

	if (!p->used[port] || s - p->used[port] > PORTS_OPEN_S)
		return false;
	p->used[port] = s;
	return true;
}

bool ports_pass(struct ports *p, uint64_t now, const uint8_t *pkt,
		const struct inner *in)
{
	uint16_t port;

	if (in->proto == IPPROTO_ICMP || in->proto == IPPROTO_ICMPV6)
		return true;
	if (in->fragment && in->proto == IPPROTO_UDP &&
	    inner_part_offset(pkt, in) > 0)
		return true;
	if (!in->transport && !is_udp_head(pkt, in))
		return false;
	port = get16(pkt + in->l4 + 2);
	if (test(p->open, port))
		return true;
	if (in->proto == IPPROTO_UDP)
		return is_answer(p, now, port);
	return (pkt[in->l4 + TCP_FLAGS] & (TCP_SYN | TCP_ACK)) != TCP_SYN;
}
