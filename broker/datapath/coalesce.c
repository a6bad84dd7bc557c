/* SPDX-License-Identifier: MIT */
/*
 * coalesce - received packets, joined into super-packets for the TUN
 *
 * Theory of operation
 *
 * A run is a flow's packets in the order they came. A packet either joins the run
 * of its flow, or that run is written first. What a run cannot hold (pure ACKs,
 * SYN, RST, odd flags, options, fragments) is written alone, after the run of its
 * flow; after all runs when its flow is not known. A run ends by itself with PSH,
 * FIN or a packet shorter than the others, at 64 segments or 65,535 bytes.
 *
 * The packets stay where they were decrypted; a write gathers the first header,
 * rewritten in a copy, and the payloads. If the kernel refuses a super-packet
 * (EINVAL: kernels without UDP_L4; one stable series refused all), its packets
 * are written one by one and that kind is given up.
 *
 * A checksum that came whole is verified before its packet may join, because
 * the join replaces it by one that the kernel trusts.
 */
#include "broker/datapath/coalesce.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "broker/datapath/checksum.h"

#define TCP_SEQ	  4
#define TCP_FLAGS 13
#define TCP_FIN	  0x01
#define TCP_PSH	  0x08
#define TCP_ACK	  0x10

struct run {
	unsigned int count; /* 0: free */
	uint16_t header;    /* IP and transport header */
	uint16_t seg;	    /* payload of all but the last */
	uint32_t payload;   /* in all */
	uint32_t next_seq;  /* TCP */
	struct inner in;    /* of the first */
	bool first_nocsum;
	uint8_t last_flags; /* TCP: PSH and FIN of the last */
	uint8_t *pkt[COALESCE_SEGMENTS];
	uint16_t size[COALESCE_SEGMENTS]; /* payload of each */
};

struct coalesce {
	struct tun *tun;
	bool tcp, udp;
	unsigned int used; /* runs in use */
	unsigned int turn; /* next to be written when all are */
	struct iovec iov[TUN_IOV_MAX];
	struct run run[COALESCE_FLOWS];
};

int coalesce_new(struct tun *tun, struct coalesce **out)
{
	struct coalesce *c = calloc(1, sizeof(*c));

	if (!c)
		return -NTM_ENOMEM;
	c->tun = tun;
	c->tcp = true;
	c->udp = true;
	*out = c;
	return 0;
}

void coalesce_free(struct coalesce *c)
{
	free(c);
}

void coalesce_set(struct coalesce *c, bool tcp, bool udp)
{
	c->tcp = tcp;
	c->udp = udp;
}

static struct virtio_net_hdr header_single(const struct inner *in, bool nocsum)
{
	struct virtio_net_hdr vh = {0};

	if (nocsum) {
		vh.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
		vh.csum_start = in->l4;
		vh.csum_offset = in->csum - in->l4;
	}
	return vh;
}

static void write_single(struct coalesce *c, const uint8_t *pkt,
			 const struct inner *in, bool nocsum)
{
	struct virtio_net_hdr vh = header_single(in, nocsum);

	tun_write(c->tun, &vh, pkt, in->len);
}

/* The kernel refused the super-packet: each for itself. */
static void write_each(struct coalesce *c, const struct run *r)
{
	struct inner in = r->in;

	if (in.proto == IPPROTO_TCP)
		c->tcp = false;
	else
		c->udp = false;
	c->tun->refused++;
	for (unsigned int i = 0; i < r->count; i++) {
		in.len = (uint32_t)r->header + r->size[i];
		/* the packets themselves are as they came */
		write_single(c, r->pkt[i], &in, r->first_nocsum);
	}
}

/* The header of the whole, in @head. */
static void super_header(const struct run *r, uint8_t *head)
{
	uint32_t l4_size = r->in.l4_len + r->payload;
	uint8_t *l4 = head + r->in.l4;
	uint16_t sum;

	memcpy(head, r->pkt[0], r->header);
	if (r->in.version == 4) {
		put16(head + 2, r->header + r->payload);
		memset(head + 10, 0, 2);
		sum = (uint16_t)~checksum_fold(checksum_add(0, head, r->in.l4));
		memcpy(head + 10, &sum, 2);
	} else {
		put16(head + 4, r->header + r->payload - 40);
	}
	if (r->in.proto == IPPROTO_TCP)
		l4[TCP_FLAGS] |= r->last_flags;
	else
		put16(l4 + 4, l4_size);
	sum = checksum_fold(checksum_pseudo(r->in.version, r->in.src, r->in.dst,
					    r->in.proto) +
			    checksum_number(l4_size));
	memcpy(head + r->in.csum, &sum, 2);
}

static void run_write(struct coalesce *c, struct run *r)
{
	struct virtio_net_hdr vh = header_single(&r->in, true);
	uint8_t head[INNER_HEADER_MAX];
	int err;

	c->used--;
	if (r->count == 1) {
		write_single(c, r->pkt[0], &r->in, r->first_nocsum);
		r->count = 0;
		return;
	}
	super_header(r, head);
	vh.hdr_len = r->header;
	vh.gso_size = r->seg;
	if (r->in.proto == IPPROTO_UDP)
		vh.gso_type = VIRTIO_NET_HDR_GSO_UDP_L4;
	else
		vh.gso_type = r->in.version == 4 ? VIRTIO_NET_HDR_GSO_TCPV4
						 : VIRTIO_NET_HDR_GSO_TCPV6;
	c->iov[1].iov_base = head;
	c->iov[1].iov_len = r->header;
	for (unsigned int i = 0; i < r->count; i++) {
		c->iov[i + 2].iov_base = r->pkt[i] + r->header;
		c->iov[i + 2].iov_len = r->size[i];
	}
	err = tun_writev(c->tun, &vh, c->iov, r->count + 2);
	if (err == EINVAL)
		write_each(c, r);
	else if (err)
		c->tun->failed += r->count;
	r->count = 0;
}

void coalesce_flush(struct coalesce *c)
{
	for (unsigned int i = 0; c->used && i < COALESCE_FLOWS; i++) {
		if (c->run[i].count)
			run_write(c, &c->run[i]);
	}
}

/* Addresses and ports: one flow whatever else differs. */
static bool same_flow(const struct run *r, const uint8_t *pkt,
		      const struct inner *in)
{
	size_t len = in->version == 4 ? 4 : 16;

	return r->in.version == in->version && r->in.proto == in->proto &&
	       !memcmp(r->pkt[0] + r->in.l4, pkt + in->l4, 4) &&
	       !memcmp(r->in.src, in->src, len) &&
	       !memcmp(r->in.dst, in->dst, len);
}

static struct run *find_run(struct coalesce *c, const uint8_t *pkt,
			    const struct inner *in)
{
	unsigned int left = c->used;

	for (unsigned int i = 0; left && i < COALESCE_FLOWS; i++) {
		if (!c->run[i].count)
			continue;
		if (same_flow(&c->run[i], pkt, in))
			return &c->run[i];
		left--;
	}
	return NULL;
}

/* Can it be part of any super-packet? */
static bool joinable(const struct coalesce *c, const uint8_t *pkt,
		     const struct inner *in, uint32_t payload, bool nocsum)
{
	uint8_t flags;

	/* of the IPv4 flags only "don't fragment" may be set */
	if (!in->plain || (in->version == 4 && get16(pkt + 6) & 0xbfff))
		return false;
	if (!payload)
		return false;
	if (in->proto == IPPROTO_TCP) {
		flags = pkt[in->l4 + TCP_FLAGS];
		if (!c->tcp || pkt[in->l4 + 12] & 15 ||
		    (flags & ~(TCP_PSH | TCP_FIN)) != TCP_ACK)
			return false;
	} else if (!c->udp || get16(pkt + in->l4 + 4) != in->len - in->l4 ||
		   (!nocsum && !get16(pkt + in->csum))) {
		return false;
	}
	return nocsum || inner_checksum_ok(pkt, in);
}

/* Header bytes that must be equal; both packets are joinable. */
static bool same_headers(const struct run *r, const uint8_t *b)
{
	const uint8_t *a = r->pkt[0], *ta = a + r->in.l4, *tb = b + r->in.l4;

	if (r->in.version == 4) {
		if (memcmp(a, b, 2) || memcmp(a + 6, b + 6, 3))
			return false;
	} else if (memcmp(a, b, 4) || a[7] != b[7]) {
		return false;
	}
	if (r->in.proto == IPPROTO_UDP)
		return true;
	/* acknowledgement, data offset, window; then urgent and options */
	return !memcmp(ta + 8, tb + 8, 5) && !memcmp(ta + 14, tb + 14, 2) &&
	       !memcmp(ta + 18, tb + 18, r->in.l4_len - 18u);
}

static bool continues(const struct run *r, const uint8_t *pkt,
		      const struct inner *in, uint32_t payload, bool nocsum)
{
	if (r->header != in->l4 + in->l4_len || payload > r->seg ||
	    r->header + r->payload + payload > TUN_PACKET_MAX ||
	    r->first_nocsum != nocsum || !same_headers(r, pkt))
		return false;
	return in->proto != IPPROTO_TCP ||
	       get32(pkt + in->l4 + TCP_SEQ) == r->next_seq;
}

/* Append, and write the run when nothing more can follow. */
static void run_append(struct coalesce *c, struct run *r, uint8_t *pkt,
		       const struct inner *in, uint32_t payload)
{
	uint8_t flags = 0;

	if (in->proto == IPPROTO_TCP) {
		flags = pkt[in->l4 + TCP_FLAGS] & (TCP_PSH | TCP_FIN);
		r->next_seq = get32(pkt + in->l4 + TCP_SEQ) + payload;
	}
	r->pkt[r->count] = pkt;
	r->size[r->count] = (uint16_t)payload;
	r->payload += payload;
	r->last_flags = flags;
	r->count++;
	if (payload < r->seg || flags || r->count == COALESCE_SEGMENTS)
		run_write(c, r);
}

static struct run *free_run(struct coalesce *c)
{
	struct run *r;

	for (unsigned int i = 0; i < COALESCE_FLOWS; i++) {
		if (!c->run[i].count)
			return &c->run[i];
	}
	r = &c->run[c->turn++ % COALESCE_FLOWS];
	run_write(c, r);
	return r;
}

void coalesce_add(struct coalesce *c, uint8_t *pkt, const struct inner *in,
		  bool nocsum)
{
	uint32_t payload;
	struct run *r;

	if (!in->transport) {
		coalesce_flush(c);
		write_single(c, pkt, in, nocsum);
		return;
	}
	payload = in->len - in->l4 - in->l4_len;
	r = find_run(c, pkt, in);
	if (!joinable(c, pkt, in, payload, nocsum)) {
		if (r)
			run_write(c, r);
		write_single(c, pkt, in, nocsum);
		return;
	}
	if (r && !continues(r, pkt, in, payload, nocsum)) {
		run_write(c, r);
		r = NULL;
	}
	if (!r) {
		r = free_run(c);
		r->count = 0;
		r->in = *in;
		r->header = in->l4 + in->l4_len;
		r->seg = (uint16_t)payload;
		r->payload = 0;
		r->first_nocsum = nocsum;
		c->used++;
	}
	run_append(c, r, pkt, in, payload);
}
