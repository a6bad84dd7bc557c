/* SPDX-License-Identifier: MIT */
/*
 * ports - what a peer may open here, and who began what is open
 *
 * Theory of operation
 *
 * A permission that is taken back ends what the peer began by it, in both directions,
 * and nothing that we began. So it is noted who began, for each local port, also while
 * everything is admitted: of TCP by the SYN, of UDP by who sent first after
 * PORTS_OPEN_S of silence. A peer's first packet counts only where it is admitted.
 *
 * Of a TCP port that no SYN has told of (the worker was started anew, the connection
 * is older) the number decides: the kernel takes the ports of connect() from
 * PORTS_OURS on, and servers have theirs below.
 *
 * A local port is one program's, as a rule; one that listens on a port and connects
 * to the same peer from it has for both who began last.
 */
#include "broker/datapath/ports.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "common/loop.h"

#define TCP_FLAGS  13 /* offset in the TCP header */
#define TCP_SYN	   0x02
#define TCP_RST	   0x04
#define TCP_ACK	   0x10
#define UDP_THEIRS (1u << 31)

/*
 * @open, @ours, @theirs: a bit a port; of TCP we began from it last, or the peer to it
 * @used:  of UDP: second in which a port last was, 0 never; UDP_THEIRS: the peer began
 * Pages of it that no port of a program touches do not exist.
 */
struct ports {
	bool all;
	uint8_t open[65536 / 8], ours[65536 / 8], theirs[65536 / 8];
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

static void unset(uint8_t *map, uint16_t port)
{
	map[port / 8] &= (uint8_t) ~(1 << (port % 8));
}

int ports_new(bool all, const uint16_t *list, size_t n, struct ports **out)
{
	struct ports *p = calloc(1, sizeof(*p));

	if (!p)
		return -NTM_ENOMEM;
	ports_set(p, all, list, n);
	*out = p;
	return 0;
}

void ports_free(struct ports *p)
{
	free(p);
}

void ports_set(struct ports *p, bool all, const uint16_t *list, size_t n)
{
	p->all = all;
	memset(p->open, 0, sizeof(p->open));
	for (size_t i = 0; i < n; i++)
		set(p->open, list[i]);
}

static bool admitted(const struct ports *p, uint16_t port)
{
	return p->all || test(p->open, port);
}

/* Does it begin a UDP datagram, whole or in parts? Then its ports can be read. */
static bool is_udp_head(const uint8_t *pkt, const struct inner *in)
{
	if (in->proto != IPPROTO_UDP)
		return false;
	return in->transport || (in->fragment && in->len - in->l4 >= 8 &&
				 inner_part_offset(pkt, in) == 0);
}

/* --- UDP ----------------------------------------------------------------------- */

static uint32_t seconds(uint64_t now)
{
	return (uint32_t)(now / LOOP_S(1)) + 1;
}

static bool is_alive(uint32_t used, uint32_t s)
{
	return used && s - (used & ~UDP_THEIRS) <= PORTS_OPEN_S;
}

static bool udp_sent(struct ports *p, uint32_t s, uint16_t port)
{
	uint32_t *used = &p->used[port];

	if (!is_alive(*used, s) || !(*used & UDP_THEIRS)) {
		*used = s;
		return true;
	}
	*used = s | UDP_THEIRS; /* an answer, or one to who was admitted */
	return admitted(p, port);
}

static bool udp_pass(struct ports *p, uint32_t s, uint16_t port)
{
	uint32_t *used = &p->used[port];

	if (is_alive(*used, s) && !(*used & UDP_THEIRS))
		*used = s;
	else if (admitted(p, port))
		*used = s | UDP_THEIRS;
	else
		return false;
	return true;
}

/* --- TCP ----------------------------------------------------------------------- */

static bool is_ours(const struct ports *p, uint16_t port)
{
	return test(p->ours, port) ||
	       (port >= PORTS_OURS && !test(p->theirs, port));
}

static bool tcp_sent(struct ports *p, uint8_t flags, uint16_t port)
{
	if ((flags & (TCP_SYN | TCP_ACK)) == TCP_SYN) {
		set(p->ours, port);
		unset(p->theirs, port);
		return true;
	}
	return flags & TCP_RST || admitted(p, port) || is_ours(p, port);
}

static bool tcp_pass(struct ports *p, uint8_t flags, uint16_t port)
{
	if ((flags & (TCP_SYN | TCP_ACK)) == TCP_SYN) {
		if (!admitted(p, port))
			return false;
		set(p->theirs, port);
		unset(p->ours, port);
		return true;
	}
	return flags & TCP_RST || admitted(p, port) || is_ours(p, port);
}

/* --- both ways ------------------------------------------------------------------ */

bool ports_sent(struct ports *p, uint64_t now, const uint8_t *pkt,
		const struct inner *in)
{
	if (is_udp_head(pkt, in))
		return udp_sent(p, seconds(now), get16(pkt + in->l4));
	if (in->transport) /* TCP */
		return tcp_sent(p, pkt[in->l4 + TCP_FLAGS],
				get16(pkt + in->l4));
	return true;
}

bool ports_pass(struct ports *p, uint64_t now, const uint8_t *pkt,
		const struct inner *in)
{
	if (in->proto == IPPROTO_ICMP || in->proto == IPPROTO_ICMPV6)
		return true;
	if (in->fragment && in->proto == IPPROTO_UDP &&
	    inner_part_offset(pkt, in) > 0)
		return true;
	if (is_udp_head(pkt, in))
		return udp_pass(p, seconds(now), get16(pkt + in->l4 + 2));
	if (in->transport)
		return tcp_pass(p, pkt[in->l4 + TCP_FLAGS],
				get16(pkt + in->l4 + 2));
	return p->all;
}
