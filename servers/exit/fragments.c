/* SPDX-License-Identifier: MIT */
/* fragments - datagrams that are larger than the tunnel: put together, and cut */
#include "servers/exit/fragments.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "broker/datapath/checksum.h"

#define PACKET_MAX 65535
#define UNIT	   8 /* offsets count these */
#define UNITS	   (65536 / UNIT)
#define HEADER6	   40
#define MORE4	   0x2000
#define LIFE_NS	   (FRAGMENTS_LIFE_S * UINT64_C(1000000000))

/* struct part - what one packet says about itself */
struct part {
	uint32_t ident, offset, len;
	bool more;
	uint8_t proto;
	uint8_t header; /* of the whole packet */
	const uint8_t *data;
};

/* struct slot - a datagram being put together. @began: 0: free; @total: bytes behind
 * the IP header, 0: not known yet; @have: of them here; @got: a bit a UNIT */
struct slot {
	uint64_t began;
	uint8_t version, proto, header;
	uint8_t src[16], dst[16];
	uint32_t ident, total, have;
	uint8_t got[UNITS / 8];
	uint8_t bytes[HEADER6 + PACKET_MAX];
};

struct fragments {
	struct slot slots[FRAGMENTS_MAX];
};

int fragments_new(struct fragments **out)
{
	*out = calloc(1, sizeof(**out));
	return *out ? 0 : -NTM_ENOMEM;
}

void fragments_free(struct fragments *f)
{
	free(f);
}

/* --- putting together -------------------------------------------------------------- */

static bool part_parse(const uint8_t *pkt, const struct inner *in,
		       struct part *p)
{
	uint16_t field;

	if (in->version == 4) {
		if (!in->plain)
			return false;
		field = get16(pkt + 6);
		*p = (struct part){.ident = get16(pkt + 4),
				   .offset = (field & 0x1fffu) * UNIT,
				   .more = field & MORE4,
				   .proto = pkt[9],
				   .header = 20};
	} else {
		/* the fragment header alone, right behind the IP header */
		if (pkt[6] != IPPROTO_FRAGMENT || in->l4 != FRAGMENTS_HEADER)
			return false;
		field = get16(pkt + 42);
		*p = (struct part){.ident = get32(pkt + 44),
				   .offset = field & 0xfff8u,
				   .more = field & 1,
				   .proto = pkt[HEADER6],
				   .header = HEADER6};
	}
	p->data = pkt + in->l4;
	p->len = in->len - in->l4;
	return p->len && (!p->more || !(p->len % UNIT)) &&
	       p->header + p->offset + p->len <= PACKET_MAX &&
	       (p->proto == IPPROTO_UDP ||
		p->proto == (in->version == 4 ? IPPROTO_ICMP : IPPROTO_ICMPV6));
}

static size_t ip_len(const struct inner *in)
{
	return in->version == 4 ? 4 : 16;
}

static bool is_of(const struct slot *s, const struct inner *in)
{
	return s->began && s->version == in->version &&
	       !memcmp(s->src, in->src, ip_len(in));
}

/* A free place or one that is out of date; else, of this node when it has enough, the
 * oldest. */
static struct slot *slot_choose(struct fragments *f, uint64_t now_ns,
				const struct inner *in)
{
	struct slot *oldest = &f->slots[0], *own = NULL, *s;
	unsigned int n_own = 0;

	for (size_t i = 0; i < FRAGMENTS_MAX; i++) {
		s = &f->slots[i];
		if (s->began && now_ns - s->began > LIFE_NS)
			s->began = 0;
		if (s->began < oldest->began)
			oldest = s;
		if (!is_of(s, in))
			continue;
		n_own++;
		if (!own || s->began < own->began)
			own = s;
	}
	return n_own >= FRAGMENTS_NODE ? own : oldest;
}

static struct slot *slot_get(struct fragments *f, uint64_t now_ns,
			     const struct inner *in, const struct part *p)
{
	struct slot *s;

	for (size_t i = 0; i < FRAGMENTS_MAX; i++) {
		s = &f->slots[i];
		if (is_of(s, in) && s->ident == p->ident &&
		    s->proto == p->proto &&
		    !memcmp(s->dst, in->dst, ip_len(in)) &&
		    now_ns - s->began <= LIFE_NS)
			return s;
	}
	s = slot_choose(f, now_ns, in);
	memset(s, 0, offsetof(struct slot, bytes));
	s->began = now_ns ? now_ns : 1;
	s->version = in->version;
	s->proto = p->proto;
	s->header = p->header;
	s->ident = p->ident;
	memcpy(s->src, in->src, ip_len(in));
	memcpy(s->dst, in->dst, ip_len(in));
	return s;
}

/* Return: bytes that are new; 0: all of it was here; -1: only some of it was */
static int slot_mark(struct slot *s, const struct part *p)
{
	uint32_t from = p->offset / UNIT;
	uint32_t to = (p->offset + p->len + UNIT - 1) / UNIT, known = 0;

	for (uint32_t i = from; i < to; i++)
		known += s->got[i / 8] >> (i % 8) & 1;
	if (known)
		return known == to - from ? 0 : -1;
	for (uint32_t i = from; i < to; i++)
		s->got[i / 8] |= (uint8_t)(1 << i % 8);
	return (int)p->len;
}

/* The header of the first part, as if there had been no parts. */
static void header_put(struct slot *s, const uint8_t *pkt)
{
	memcpy(s->bytes, pkt, s->header);
	if (s->version == 4)
		memset(s->bytes + 6, 0, 2);
	else
		s->bytes[6] = s->proto;
}

static int slot_finish(struct slot *s, uint8_t **out)
{
	uint16_t sum;

	if (s->version == 4) {
		put16(s->bytes + 2, s->header + s->total);
		memset(s->bytes + 10, 0, 2);
		sum = (uint16_t)~checksum_fold(checksum_add(0, s->bytes, 20));
		memcpy(s->bytes + 10, &sum, 2);
	} else {
		put16(s->bytes + 4, s->total);
	}
	s->began = 0;
	*out = s->bytes;
	return (int)(s->header + s->total);
}

int fragments_add(struct fragments *f, uint64_t now_ns, const uint8_t *pkt,
		  const struct inner *in, uint8_t **out)
{
	struct slot *s;
	struct part p;
	int fresh;

	if (!in->fragment || !part_parse(pkt, in, &p))
		return -NTM_EDECODE;
	s = slot_get(f, now_ns, in, &p);
	fresh = slot_mark(s, &p);
	if (!fresh)
		return 0;
	if (!p.more && !s->total)
		s->total = p.offset + p.len;
	else if (!p.more)
		fresh = -1; /* it ends twice */
	if (fresh < 0 || (s->total && p.offset + p.len > s->total)) {
		s->began = 0;
		return -NTM_EDECODE;
	}
	memcpy(s->bytes + s->header + p.offset, p.data, p.len);
	if (!p.offset)
		header_put(s, pkt);
	s->have += p.len;
	if (s->total && s->have > s->total) { /* a part before was beyond it */
		s->began = 0;
		return -NTM_EDECODE;
	}
	return s->total && s->have == s->total ? slot_finish(s, out) : 0;
}

/* --- cutting ------------------------------------------------------------------------ */

static size_t cut_header(const uint8_t *pkt, const struct inner *in,
			 uint32_t ident, uint32_t offset, uint32_t len,
			 bool more, uint8_t head[static FRAGMENTS_HEADER])
{
	uint16_t sum;

	memcpy(head, pkt, in->version == 4 ? 20 : HEADER6);
	if (in->version == 4) {
		put16(head + 2, 20 + len);
		put16(head + 4, ident & 0xffff);
		put16(head + 6, offset / UNIT | (more ? MORE4 : 0u));
		memset(head + 10, 0, 2);
		sum = (uint16_t)~checksum_fold(checksum_add(0, head, 20));
		memcpy(head + 10, &sum, 2);
		return 20;
	}
	put16(head + 4, FRAGMENTS_HEADER - HEADER6 + len);
	head[6] = IPPROTO_FRAGMENT;
	head[HEADER6] = in->proto;
	head[HEADER6 + 1] = 0;
	put16(head + 42, offset | more);
	put32(head + 44, ident);
	return FRAGMENTS_HEADER;
}

void fragments_cut(const uint8_t *pkt, const struct inner *in, uint32_t mtu,
		   uint32_t ident, fragments_fn *fn, void *arg)
{
	uint32_t room = mtu - (in->version == 4 ? 20 : FRAGMENTS_HEADER);
	uint32_t left = in->len - in->l4, offset = 0, n;
	uint8_t head[FRAGMENTS_HEADER];

	if (!in->plain || in->fragment)
		return;
	room -= room % UNIT;
	while (left) {
		n = left < room ? left : room;
		left -= n;
		fn(arg, head,
		   cut_header(pkt, in, ident, offset, n, left > 0, head),
		   pkt + in->l4 + offset, n);
		offset += n;
	}
}
