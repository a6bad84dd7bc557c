/* SPDX-License-Identifier: MIT */
/* cut - an IP packet in fragments, where a datagram cannot hold it */
#include "broker/datapath/cut.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <string.h>

#include "broker/datapath/checksum.h"
#include "broker/datapath/inner.h"

#define IP6_LEN	       40
#define FRAGMENT_LEN   8
#define MORE_4	       0x2000
#define OFFSET_4       0x1fff
#define MORE_6	       1
#define OFFSET_6       0xfff8
#define IP4_OPTION_EOL 0
#define IP4_OPTION_NOP 1
#define IP4_OPTION_ALL 0x80 /* to be copied into every fragment */

/* struct cut - @head: bytes before the payload in each fragment; @base: where the
 *  packet's payload begins in the datagram; @more: there is more behind the packet */
struct cut {
	uint8_t buf[CUT_MAX];
	size_t head, room;
	uint32_t base;
	bool more;
};

/* Options that are for the first fragment alone become padding in the later ones. */
static void options_drop(uint8_t *head, size_t len)
{
	size_t i = 20, n;

	while (i < len && head[i] != IP4_OPTION_EOL) {
		n = head[i] == IP4_OPTION_NOP || i + 1 >= len ? 1 : head[i + 1];
		if (!n || i + n > len)
			return;
		if (!(head[i] & IP4_OPTION_ALL))
			memset(head + i, IP4_OPTION_NOP, n);
		i += n;
	}
}

static void head_4(struct cut *c, size_t size, uint32_t at, bool last)
{
	bool more = !last || c->more;
	uint16_t sum;

	put16(c->buf + 2, (uint32_t)(c->head + size));
	put16(c->buf + 6, (at >> 3) | (more ? MORE_4 : 0));
	if (at)
		options_drop(c->buf, c->head);
	memset(c->buf + 10, 0, 2);
	sum = (uint16_t)~checksum_fold(checksum_add(0, c->buf, c->head));
	memcpy(c->buf + 10, &sum, 2);
}

static void head_6(struct cut *c, size_t size, uint32_t at, bool last)
{
	bool more = !last || c->more;

	put16(c->buf + 4, (uint32_t)(c->head - IP6_LEN + size));
	put16(c->buf + IP6_LEN + 2, at | (more ? MORE_6 : 0));
}

/* Return: the packet's bytes before its payload; 0: it cannot be cut */
static size_t open_4(struct cut *c, const uint8_t *pkt, size_t len)
{
	size_t head = (pkt[0] & 15) * 4u;
	uint16_t off;

	if (len < 20 || head < 20 || head > len)
		return 0;
	off = get16(pkt + 6);
	c->head = head;
	c->base = (off & OFFSET_4) * 8u;
	c->more = off & MORE_4;
	memcpy(c->buf, pkt, head);
	return head;
}

static size_t open_6(struct cut *c, const uint8_t *pkt, size_t len,
		     uint32_t ident)
{
	c->head = IP6_LEN + FRAGMENT_LEN;
	if (len < c->head)
		return 0;
	memcpy(c->buf, pkt, IP6_LEN);
	if (pkt[6] == IPPROTO_FRAGMENT) {
		memcpy(c->buf + IP6_LEN, pkt + IP6_LEN, FRAGMENT_LEN);
		c->base = get16(pkt + IP6_LEN + 2) & OFFSET_6;
		c->more = pkt[IP6_LEN + 3] & MORE_6;
		return c->head;
	}
	if (pkt[6] != IPPROTO_UDP)
		return 0;
	c->buf[6] = IPPROTO_FRAGMENT;
	c->buf[IP6_LEN] = IPPROTO_UDP;
	c->buf[IP6_LEN + 1] = 0;
	put32(c->buf + IP6_LEN + 4, ident);
	return IP6_LEN;
}

int cut_packet(const uint8_t *pkt, size_t len, size_t max, uint32_t ident,
	       void (*fn)(void *arg, const uint8_t *pkt, size_t len), void *arg)
{
	struct cut c = {.base = 0};
	bool four = len && pkt[0] >> 4 == 4;
	size_t at, size;

	if (!len || (!four && pkt[0] >> 4 != 6) || max > CUT_MAX)
		return -NTM_EDECODE;
	at = four ? open_4(&c, pkt, len) : open_6(&c, pkt, len, ident);
	if (!at || max < c.head + 8 || c.base + (len - at) > 65535)
		return -NTM_EDECODE;
	c.room = (max - c.head) & ~(size_t)7;
	for (uint32_t done = 0; at < len; at += size, done += (uint32_t)size) {
		size = len - at < c.room ? len - at : c.room;
		if (four)
			head_4(&c, size, c.base + done, at + size == len);
		else
			head_6(&c, size, c.base + done, at + size == len);
		memcpy(c.buf + c.head, pkt + at, size);
		fn(arg, c.buf, c.head + size);
	}
	return 0;
}
