/* SPDX-License-Identifier: MIT */
/* offload - cuts a packet of the own kernel into what the path can carry */
#include "broker/datapath/offload.h"

#include <netinet/in.h>
#include <string.h>

#include "broker/datapath/checksum.h"
#include "broker/datapath/datapath.h"
#include "broker/datapath/tun.h"

#define TCP_SEQ	  4
#define TCP_FLAGS 13

#define TCP_FIN 0x01
#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_PSH 0x08
#define TCP_URG 0x20
#define TCP_CWR 0x80

void offload_finish(struct offload *o)
{
	uint16_t sum;

	sum = (uint16_t)~checksum_fold(checksum_add(0, o->pkt + o->csum_start,
						    o->in.len - o->csum_start));
	memcpy(o->pkt + o->csum_at, &sum, 2);
	o->finish = false;
}

static int plan_checksum(const struct virtio_net_hdr *vh, struct offload *o)
{
	uint32_t at = (uint32_t)vh->csum_start + vh->csum_offset;

	if (!(vh->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM))
		return 0;
	o->nocsum = o->in.transport && vh->csum_start == o->in.l4 &&
		    at == o->in.csum;
	if (o->nocsum)
		return 0;
	if (at + 2 > o->in.len || vh->csum_start < 20)
		return -NTM_EDECODE;
	o->finish = true;
	o->csum_start = vh->csum_start;
	o->csum_at = (uint16_t)at;
	return 0;
}

/* What all segments share; the sums leave out what differs. */
static void prepare(struct offload *o)
{
	const struct inner *in = &o->in;
	uint8_t header[60];

	o->pseudo = checksum_pseudo(in->version, in->src, in->dst, in->proto);
	if (in->proto == IPPROTO_TCP)
		o->seq = get32(o->pkt + in->l4 + TCP_SEQ);
	if (in->version == 4) {
		o->ip_id = get16(o->pkt + 4);
		memcpy(header, o->pkt, in->l4);
		memset(header + 2, 0, 4);
		memset(header + 10, 0, 2);
		o->ip_sum = checksum_add(0, header, in->l4);
	}
}

/* May we cut this TCP packet where the sender did not ask for it? */
static bool tcp_divisible(const struct offload *o)
{
	uint8_t whole = TCP_SYN | TCP_RST | TCP_URG;

	return o->in.transport && o->in.proto == IPPROTO_TCP &&
	       !(o->pkt[o->in.l4 + TCP_FLAGS] & whole);
}

static int plan_super(const struct virtio_net_hdr *vh, size_t max,
		      struct offload *o)
{
	uint8_t type = vh->gso_type & ~VIRTIO_NET_HDR_GSO_ECN;
	bool tcp = o->in.proto == IPPROTO_TCP;
	size_t room = max > o->header_len ? max - o->header_len : 0;

	if (!o->in.transport || !vh->gso_size ||
	    (tcp && type != VIRTIO_NET_HDR_GSO_TCPV4 &&
	     type != VIRTIO_NET_HDR_GSO_TCPV6) ||
	    (!tcp && type != VIRTIO_NET_HDR_GSO_UDP_L4))
		return -NTM_EDECODE;
	o->mss = vh->gso_size;
	if (o->mss > room) {
		o->how = OFFLOAD_TOOBIG;
		if (!tcp_divisible(o) || !room)
			return 0;
		o->mss = (uint32_t)room;
	}
	o->how = OFFLOAD_SEGMENTS;
	return 0;
}

static void plan_single(size_t max, struct offload *o)
{
	if (o->in.len <= max) {
		o->how = OFFLOAD_WHOLE;
	} else if (tcp_divisible(o) && max > o->header_len && o->payload) {
		o->how = OFFLOAD_SEGMENTS;
		o->mss = (uint32_t)max - o->header_len;
	} else if (o->in.len <= DP_INNER_MIN_MTU) {
		o->how = OFFLOAD_PARTS;
	} else {
		o->how = OFFLOAD_TOOBIG;
	}
}

int offload_plan(const struct virtio_net_hdr *vh, const struct inner *in,
		 uint8_t *pkt, size_t max, struct offload *out)
{
	struct offload o = {.pkt = pkt, .in = *in, .segments = 1};
	int ret;

	if (in->transport) {
		o.header_len = in->l4 + in->l4_len;
		o.payload = in->len - o.header_len;
	}
	ret = plan_checksum(vh, &o);
	if (ret)
		return ret;
	if (vh->gso_type != VIRTIO_NET_HDR_GSO_NONE)
		ret = plan_super(vh, max, &o);
	else
		plan_single(max, &o);
	if (ret)
		return ret;
	if (o.how == OFFLOAD_SEGMENTS) {
		o.segments = o.payload ? (o.payload + o.mss - 1) / o.mss : 1;
		o.nocsum = true;
		o.finish = false;
		prepare(&o);
	}
	*out = o;
	return 0;
}

static void header_ip(const struct offload *o, uint32_t i, uint32_t len,
		      uint8_t *head)
{
	uint16_t sum, id = (uint16_t)(o->ip_id + i);

	if (o->in.version == 6) {
		put16(head + 4, len - 40);
		return;
	}
	put16(head + 2, len);
	put16(head + 4, id);
	sum = (uint16_t)~checksum_fold(o->ip_sum +
				       checksum_number(len << 16 | id));
	memcpy(head + 10, &sum, 2);
}

uint32_t offload_header(const struct offload *o, uint32_t i, uint8_t *head)
{
	uint32_t done = i * o->mss, left = o->payload - done;
	uint32_t size = left < o->mss ? left : o->mss;
	uint32_t l4_size = o->in.l4_len + size;
	uint8_t *l4 = head + o->in.l4;
	uint16_t sum;

	memcpy(head, o->pkt, o->header_len);
	header_ip(o, i, o->header_len + size, head);
	if (o->in.proto == IPPROTO_TCP) {
		put32(l4 + TCP_SEQ, o->seq + done);
		if (i > 0)
			l4[TCP_FLAGS] &= (uint8_t)~TCP_CWR;
		if (size < left)
			l4[TCP_FLAGS] &= (uint8_t) ~(TCP_FIN | TCP_PSH);
	} else {
		put16(l4 + 4, l4_size);
	}
	sum = checksum_fold(o->pseudo + checksum_number(l4_size));
	memcpy(head + o->in.csum, &sum, 2);
	return size;
}
