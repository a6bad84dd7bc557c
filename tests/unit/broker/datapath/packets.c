/* SPDX-License-Identifier: MIT */
/* packets - inner packets for the tests, and an oracle that knows the RFCs alone */
#include "packets.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#ifndef VIRTIO_NET_HDR_GSO_UDP_L4
#define VIRTIO_NET_HDR_GSO_UDP_L4 5
#endif

const uint8_t vip6_a[16] = {0xfd, 0x6e, [15] = 0xa};
const uint8_t vip6_b[16] = {0xfd, 0x6e, [15] = 0xb};
const uint8_t vip4_a[4] = {198, 18, 0, 1};
const uint8_t vip4_b[4] = {198, 18, 0, 2};

uint32_t rnd(uint64_t *state)
{
	*state = *state * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(*state >> 33);
}

static void be16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void be32(uint8_t *p, uint32_t v)
{
	be16(p, v >> 16);
	be16(p + 2, v);
}

static uint32_t rd16(const uint8_t *p)
{
	return (uint32_t)p[0] << 8 | p[1];
}

static uint32_t rd32(const uint8_t *p)
{
	return rd16(p) << 16 | rd16(p + 2);
}

/* RFC 1071, byte by byte, as numbers of the host. */
static uint32_t sum_bytes(const uint8_t *p, size_t len)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < len; i++)
		sum += i % 2 ? p[i] : (uint32_t)p[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint32_t)sum;
}

static uint32_t add_sums(uint32_t a, uint32_t b)
{
	a += b;
	return (a & 0xffff) + (a >> 16);
}

/* Where things are; the oracle's own reading of a packet without extensions. */
struct layout {
	bool ip6;
	uint8_t proto;
	size_t l4, header, csum;
};

static struct layout layout_of(const uint8_t *p)
{
	struct layout l = {.ip6 = p[0] >> 4 == 6};

	l.l4 = l.ip6 ? 40 : (p[0] & 15) * 4u;
	l.proto = l.ip6 ? p[6] : p[9];
	if (l.proto == 6) {
		l.header = l.l4 + (p[l.l4 + 12] >> 4) * 4u;
		l.csum = l.l4 + 16;
	} else {
		l.header = l.l4 + 8;
		l.csum = l.l4 + 6;
	}
	return l;
}

static uint32_t pseudo(const uint8_t *p, const struct layout *l, size_t l4_len)
{
	uint32_t sum = l->ip6 ? sum_bytes(p + 8, 32) : sum_bytes(p + 12, 8);

	sum = add_sums(sum, (uint32_t)(l4_len >> 16));
	return add_sums(add_sums(sum, (uint32_t)(l4_len & 0xffff)), l->proto);
}

static void set_lengths(uint8_t *p, const struct layout *l, size_t len)
{
	if (l->ip6) {
		be16(p + 4, (uint32_t)len - 40);
	} else {
		be16(p + 2, (uint32_t)len);
		be16(p + 10, 0);
		be16(p + 10, ~sum_bytes(p, l->l4));
	}
	if (l->proto == 17)
		be16(p + l->l4 + 4, (uint32_t)(len - l->l4));
}

static void full_checksum(uint8_t *p, const struct layout *l, size_t len)
{
	uint32_t sum;

	be16(p + l->csum, 0);
	sum = add_sums(pseudo(p, l, len - l->l4),
		       sum_bytes(p + l->l4, len - l->l4));
	be16(p + l->csum, ~sum);
}

static bool transport_ok(const uint8_t *p, size_t len)
{
	struct layout l = layout_of(p);
	uint32_t sum = add_sums(pseudo(p, &l, len - l.l4),
				sum_bytes(p + l.l4, len - l.l4));

	return sum == 0xffff;
}

static void build_transport(const struct spec *s, uint8_t *l4)
{
	uint64_t seed = s->option_seed;

	be16(l4, s->sport);
	be16(l4 + 2, s->dport);
	if (s->proto != 6)
		return;
	be32(l4 + 4, s->seq);
	be32(l4 + 8, s->ack);
	l4[12] = (uint8_t)((20 + s->options) / 4 << 4);
	l4[13] = s->flags;
	be16(l4 + 14, s->window);
	for (unsigned int i = 0; i < s->options; i++)
		l4[20 + i] = (uint8_t)rnd(&seed);
}

size_t packet_build(const struct spec *s, struct virtio_net_hdr *vh,
		    uint8_t *buf)
{
	bool ip6 = s->version == 6;
	size_t l4 = ip6 ? 40 : 20;
	size_t header = l4 + (s->proto == 6 ? 20 + s->options : 8);
	size_t len = header + s->payload;
	uint64_t seed = s->payload_seed;
	struct layout l;

	memset(vh, 0, sizeof(*vh));
	memset(buf, 0, header);
	if (ip6) {
		be16(buf, 0x6000u | (uint32_t)s->tos << 4);
		buf[6] = s->proto;
		buf[7] = s->ttl;
		memcpy(buf + 8, s->src, 16);
		memcpy(buf + 24, s->dst, 16);
	} else {
		buf[0] = 0x45;
		buf[1] = s->tos;
		be16(buf + 4, s->ip_id);
		buf[6] = 0x40;
		buf[8] = s->ttl;
		buf[9] = s->proto;
		memcpy(buf + 12, s->src, 4);
		memcpy(buf + 16, s->dst, 4);
	}
	build_transport(s, buf + l4);
	for (size_t i = header; i < len; i++)
		buf[i] = (uint8_t)rnd(&seed);
	l = layout_of(buf);
	set_lengths(buf, &l, len);
	if (!s->partial) {
		full_checksum(buf, &l, len);
		return len;
	}
	be16(buf + l.csum, pseudo(buf, &l, len - l.l4));
	vh->flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
	vh->csum_start = (uint16_t)l.l4;
	vh->csum_offset = (uint16_t)(l.csum - l.l4);
	vh->hdr_len = (uint16_t)header;
	if (s->gso && s->payload > s->gso) {
		vh->gso_size = s->gso;
		vh->gso_type = s->proto == 17 ? VIRTIO_NET_HDR_GSO_UDP_L4
			       : ip6	      ? VIRTIO_NET_HDR_GSO_TCPV6
					      : VIRTIO_NET_HDR_GSO_TCPV4;
	}
	return len;
}

static void append(struct packet_list *list, const uint8_t *pkt, size_t len,
		   bool ok)
{
	struct packet *p = &list->p[list->n];

	assert_true(list->n < PACKETS_MAX);
	p->bytes = malloc(len);
	assert_non_null(p->bytes);
	memcpy(p->bytes, pkt, len);
	p->len = (uint16_t)len;
	p->checksum_ok = ok;
	list->n++;
}

static void expand_super(const struct virtio_net_hdr *vh, const uint8_t *pkt,
			 size_t len, struct packet_list *list)
{
	struct layout l = layout_of(pkt);
	size_t total = len - l.header, done = 0, size;
	uint8_t *seg = malloc(len);

	assert_non_null(seg);
	for (unsigned int i = 0; done < total; i++, done += size) {
		size = total - done < vh->gso_size ? total - done
						   : vh->gso_size;
		memcpy(seg, pkt, l.header);
		memcpy(seg + l.header, pkt + l.header + done, size);
		if (!l.ip6)
			be16(seg + 4, rd16(pkt + 4) + i);
		if (l.proto == 6) {
			be32(seg + l.l4 + 4,
			     rd32(pkt + l.l4 + 4) + (uint32_t)done);
			if (i > 0)
				seg[l.l4 + 13] &= 0x7f;
			if (done + size < total)
				seg[l.l4 + 13] &= 0xf6;
		}
		set_lengths(seg, &l, l.header + size);
		full_checksum(seg, &l, l.header + size);
		append(list, seg, l.header + size, true);
	}
	free(seg);
}

void packet_expand(const struct virtio_net_hdr *vh, const uint8_t *pkt,
		   size_t len, struct packet_list *list)
{
	struct layout l;
	bool fragment;
	uint8_t *copy;

	l = layout_of(pkt);
	assert_int_equal(len, l.ip6 ? rd16(pkt + 4) + 40 : rd16(pkt + 2));
	if (!l.ip6)
		assert_int_equal(sum_bytes(pkt, l.l4), 0xffff);
	if (vh->gso_type != VIRTIO_NET_HDR_GSO_NONE) {
		assert_true(vh->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM);
		assert_true(vh->gso_size > 0);
		assert_int_equal(vh->hdr_len, l.header);
	}
	if (vh->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) {
		assert_int_equal(vh->csum_start, l.l4);
		assert_int_equal(vh->csum_start + vh->csum_offset, l.csum);
		assert_int_equal(rd16(pkt + l.csum),
				 pseudo(pkt, &l, len - l.l4));
	}
	if (vh->gso_type != VIRTIO_NET_HDR_GSO_NONE) {
		expand_super(vh, pkt, len, list);
		return;
	}
	copy = malloc(len);
	assert_non_null(copy);
	memcpy(copy, pkt, len);
	if (vh->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM)
		full_checksum(copy, &l, len);
	fragment = !l.ip6 && rd16(pkt + 6) & 0x3fff;
	append(list, copy, len,
	       (l.proto != 6 && l.proto != 17) || fragment ||
		       transport_ok(copy, len));
	free(copy);
}

void packet_list_clear(struct packet_list *list)
{
	while (list->n)
		free(list->p[--list->n].bytes);
}

uint64_t packet_flow(const struct packet *p)
{
	struct layout l = layout_of(p->bytes);
	bool fragment = !l.ip6 && rd16(p->bytes + 6) & 0x3fff;

	if ((l.proto != 6 && l.proto != 17) || fragment)
		return (uint64_t)l.proto << 40 | (uint64_t)l.ip6 << 48;
	return (uint64_t)l.ip6 << 48 | (uint64_t)l.proto << 40 |
	       rd32(p->bytes + l.l4);
}

static void without_ident(struct packet *p)
{
	struct layout l = layout_of(p->bytes);

	if (l.ip6)
		return;
	be16(p->bytes + 4, 0);
	be16(p->bytes + 10, 0);
}

void packet_lists_equal(const struct packet_list *a,
			const struct packet_list *b)
{
	bool *taken = calloc(b->n + 1, sizeof(bool));
	uint64_t flow;
	size_t j;

	assert_non_null(taken);
	assert_int_equal(a->n, b->n);
	for (size_t i = 0; i < a->n; i++) {
		struct packet x = a->p[i], y;

		flow = packet_flow(&x);
		for (j = 0; j < b->n; j++) {
			if (!taken[j] && packet_flow(&b->p[j]) == flow)
				break;
		}
		assert_true(j < b->n);
		taken[j] = true;
		y = b->p[j];
		assert_int_equal(x.len, y.len);
		assert_int_equal(x.checksum_ok, y.checksum_ok);
		without_ident(&x);
		without_ident(&y);
		assert_memory_equal(x.bytes, y.bytes, x.len);
	}
	free(taken);
}
