/* SPDX-License-Identifier: MIT */
/*
 * output - a packet from the TUN to its tunnel, its queue, or an ICMP error
 *
 * Theory of operation
 *
 * A packet is parsed once, its source held against our lease, its tunnel found by
 * destination. If the tunnel can send, the packet is planned (offload.c), sealed
 * straight into the batch and forgotten; a super-packet is sent at once, since it
 * fills a send alone. Otherwise it waits in the tunnel's queue, and so does every
 * packet behind it, so that order holds.
 *
 * A tunnel can send when it is OPEN, has keys with counters left, bytes of budget,
 * and a route. When the kernel says there is none (the address has just gone, and
 * the owner has not heard yet), the datagrams it refused go into the queue sealed,
 * and the tunnel stalls until dp_tunnel_open() or DP_STALL_NS: an outage costs time,
 * not packets.
 *
 * What was sent to a peer that had just left is lost all the same, and a TCP
 * stream would find out by its timer, which may have backed off to seconds. So a
 * tunnel keeps a copy of its tail, the last TCP segment with payload, and sends it
 * once more, under a new counter, when it is opened towards an address: the
 * receiver answers any segment out of place at once, its SACK says what is
 * missing, and the sender recovers in one round trip. TCP takes a segment twice
 * without harm. A datagram would arrive twice, so nothing else is kept.
 */
#include "broker/datapath/output.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "broker/datapath/alias.h"
#include "broker/datapath/group_move.h"
#include "broker/datapath/offload.h"
#include "broker/datapath/refusal.h"
#include "broker/datapath/seal.h"

#define TCP_FLAGS 13
#define TCP_SYN	  0x02
#define TCP_RST	  0x04

void output_event(struct dp_tunnel *t, unsigned int event)
{
	struct datapath *dp = t->dp;

	if (!t->events) {
		t->next_event = dp->events;
		dp->events = t;
	}
	t->events |= event;
	dp_defer(dp);
}

/* --- sealing into the batch -------------------------------------------------- */

static void count_sent(struct dp_tunnel *t, uint32_t inner, uint32_t datagram)
{
	t->n.tx_datagrams++;
	t->n.tx_bytes += inner;
	if (t->budget != UINT64_MAX)
		t->budget -= t->budget < datagram ? t->budget : datagram;
}

/* false: no room or no keys; the rest of the packet is lost */
static bool emit(struct dp_tunnel *t, uint8_t flags, uint8_t ecn,
		 const void *head, size_t head_len, const void *body,
		 size_t body_len)
{
	struct batch *b = t->dp->batch;
	uint32_t len = (uint32_t)(head_len + body_len);
	uint8_t *dst = batch_room(b, len + PACKET_OVERHEAD);

	if (!dst)
		return false;
	len = seal_datagram(t, flags, head, head_len, body, body_len, dst);
	if (!len)
		return false;
	batch_commit(b, t, &t->remote, len, ecn);
	count_sent(t, len - PACKET_OVERHEAD, len);
	return true;
}

/* --- the tail ------------------------------------------------------------------ */

/* May this packet be a tail: TCP that carries data and opens or breaks nothing? */
static bool tail_fits(const struct offload *o)
{
	const struct inner *in = &o->in;

	return in->transport && in->proto == IPPROTO_TCP && o->payload &&
	       !(o->pkt[in->l4 + TCP_FLAGS] & (TCP_SYN | TCP_RST));
}

/* Keep a segment, as it goes to the peer. */
static void tail_keep(struct dp_tunnel *t, const struct offload *o,
		      const uint8_t *head, const uint8_t *body, uint32_t size)
{
	struct dp_tail *tail = &t->tail;

	tail->len = 0;
	tail->due = false;
	if (o->header_len + size > sizeof(tail->bytes))
		return;
	memcpy(tail->bytes, head, o->header_len);
	memcpy(tail->bytes + o->header_len, body, size);
	tail->len = (uint16_t)(o->header_len + size);
	tail->at = loop_now(t->dp->loop);
	tail->vh = (struct virtio_net_hdr){0};
	if (o->nocsum) {
		tail->vh.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
		tail->vh.csum_start = o->in.l4;
		tail->vh.csum_offset = o->in.csum - o->in.l4;
	}
}

/* --- sealing a planned packet ---------------------------------------------------- */

/* The headers of segment @i, where possible right before its payload, over
 * that of the segment before, which is sealed by now: then nothing need be moved
 * to seal. */
static uint8_t *place_header(const struct offload *o, uint32_t i,
			     uint8_t *spare, uint32_t *size)
{
	uint8_t *head = spare;

	if (i > 0 && o->mss >= o->header_len)
		head = o->pkt + (size_t)i * o->mss;
	*size = offload_header(o, i, head);
	return head;
}

static bool emit_segments(struct dp_tunnel *t, const struct offload *o,
			  uint8_t ecn)
{
	uint8_t spare[INNER_HEADER_MAX], *head;
	const uint8_t *body = o->pkt + o->header_len;
	uint32_t size;

	for (uint32_t i = 0; i < o->segments; i++) {
		head = place_header(o, i, spare, &size);
		if (!emit(t, PACKET_NOCSUM, ecn, head, o->header_len, body,
			  size))
			return false;
		if (i + 1 == o->segments && tail_fits(o))
			tail_keep(t, o, head, body, size);
		body += size;
	}
	batch_flush(t->dp->batch);
	return true;
}

static bool emit_parts(struct dp_tunnel *t, const struct offload *o,
		       uint8_t flags, uint8_t ecn)
{
	uint32_t half = (o->in.len + 1) / 2;
	uint8_t head[PACKET_PART_LEN];

	t->n.parts++;
	put16(head, t->part_ident++);
	put16(head + 2, 0);
	if (!emit(t, flags | PACKET_PART, ecn, head, sizeof(head), o->pkt,
		  half))
		return false;
	put16(head + 2, half);
	return emit(t, flags | PACKET_PART | PACKET_LAST, ecn, head,
		    sizeof(head), o->pkt + half, o->in.len - half);
}

static void transmit(struct dp_tunnel *t, struct offload *o)
{
	uint8_t flags = o->nocsum ? PACKET_NOCSUM : 0;
	uint8_t ecn = inner_ecn(o->pkt);
	bool sent = true;

	if (o->finish)
		offload_finish(o);
	switch (o->how) {
	case OFFLOAD_WHOLE:
		sent = emit(t, flags, ecn, NULL, 0, o->pkt, o->in.len);
		if (tail_fits(o))
			tail_keep(t, o, o->pkt, o->pkt + o->header_len,
				  o->payload);
		break;
	case OFFLOAD_SEGMENTS:
		sent = emit_segments(t, o, ecn);
		break;
	case OFFLOAD_PARTS:
		sent = emit_parts(t, o, flags, ecn);
		break;
	case OFFLOAD_TOOBIG:
		refusal_too_big(t, o);
		return;
	}
	t->n.tx_packets += o->segments;
	t->n.last_tx_ns = loop_now(t->dp->loop);
	if (!sent)
		t->n.queue_dropped++;
}

/* --- queueing ------------------------------------------------------------------ */

static bool sendable(struct dp_tunnel *t)
{
	if (t->state != DP_OPEN || !seal_ready(t) ||
	    batch_blocked(t->dp->batch))
		return false;
	if (t->stalled_until) {
		if (loop_now(t->dp->loop) < t->stalled_until)
			return false;
		t->stalled_until = 0;
	}
	return true;
}

/* Bytes that a planned packet costs outside, at most. */
static uint64_t cost(const struct offload *o)
{
	return (uint64_t)o->in.len +
	       (uint64_t)(o->segments + 1) * (PACKET_OVERHEAD + o->header_len);
}

static void join_backlog(struct dp_tunnel *t)
{
	if (t->backlog)
		return;
	t->backlog = true;
	t->next_backlog = t->dp->backlog;
	t->dp->backlog = t;
}

static void enqueue(struct dp_tunnel *t, const struct queue_record *rec,
		    const void *bytes)
{
	t->n.queue_dropped +=
		queue_push(t->dp->pool, &t->queue, rec, bytes, t->draining);
	if (batch_blocked(t->dp->batch))
		join_backlog(t);
}

/* false: it must wait after all */
static bool send_packet(struct dp_tunnel *t, const struct virtio_net_hdr *vh,
			const struct inner *in, uint8_t *pkt)
{
	struct offload o;

	if (offload_plan(vh, in, pkt, t->mtu - PACKET_OVERHEAD, &o)) {
		t->dp->totals.malformed++;
		return true;
	}
	if (t->budget != UINT64_MAX && cost(&o) > t->budget &&
	    o.how != OFFLOAD_TOOBIG)
		return false;
	transmit(t, &o);
	return true;
}

static bool send_sealed(struct dp_tunnel *t, const struct queue_record *rec,
			const uint8_t *data)
{
	struct batch *b = t->dp->batch;
	uint32_t len, done = 0;
	uint8_t *dst;

	if (t->budget < rec->len)
		return false;
	while (done < rec->len) {
		len = rec->len - done < rec->seg ? rec->len - done : rec->seg;
		dst = batch_room(b, len);
		if (!dst)
			break;
		memcpy(dst, data + done, len);
		batch_commit(b, t, &t->remote, len, rec->ecn);
		if (t->budget != UINT64_MAX)
			t->budget -= len;
		done += len;
	}
	return true;
}

/* A group's datagram, as it is, or within one of the tunnel. false: it must wait */
static bool send_grouped(struct dp_tunnel *t, const uint8_t *data, uint32_t len,
			 uint8_t ecn)
{
	uint8_t *dst;

	if (t->budget != UINT64_MAX && t->budget < len + PACKET_OVERHEAD)
		return false;
	/* for whoever looks after paths it is traffic like any */
	t->n.tx_packets++;
	t->n.last_tx_ns = loop_now(t->dp->loop);
	if (t->relayed) {
		if (!emit(t, PACKET_INNER, ecn, NULL, 0, data, len))
			t->n.queue_dropped++;
		return true;
	}
	dst = batch_room(t->dp->batch, len);
	if (!dst) {
		t->n.queue_dropped++;
		return true;
	}
	memcpy(dst, data, len);
	batch_commit(t->dp->batch, t, &t->remote, len, ecn);
	count_sent(t, len, len);
	return true;
}

bool output_grouped(struct dp_tunnel *t, const uint8_t *data, uint32_t len,
		    uint8_t ecn)
{
	struct queue_record rec = {.len = len, .kind = QUEUE_GROUP, .ecn = ecn};

	if (!queue_empty(&t->queue))
		output_resume(t);
	if (queue_empty(&t->queue) && sendable(t) &&
	    send_grouped(t, data, len, ecn))
		return true;
	enqueue(t, &rec, data);
	return false;
}

void output_again(struct dp_tunnel *t)
{
	struct dp_tail *tail = &t->tail;

	tail->due =
		tail->len && loop_now(t->dp->loop) - tail->at < DP_TAIL_LIFE_NS;
}

/* Behind what was queued; data among that makes the tail superfluous. Sending
 * keeps it as the tail again: so from a copy, and with its first time. */
static void send_tail(struct dp_tunnel *t)
{
	struct dp_tail tail;
	struct inner in;

	if (!t->tail.due || !queue_empty(&t->queue) || !sendable(t))
		return;
	tail = t->tail;
	if (inner_parse(tail.bytes, tail.len, &in) == 0 &&
	    !send_packet(t, &tail.vh, &in, tail.bytes))
		return;
	t->tail.due = false;
	t->tail.at = tail.at;
	t->n.tails++;
	batch_flush(t->dp->batch);
}

static void drain_queue(struct dp_tunnel *t)
{
	struct datapath *dp = t->dp;
	struct queue_record rec;
	struct inner in;
	uint8_t *bytes;

	t->draining = true;
	while (sendable(t) && queue_peek(dp->pool, &t->queue, &rec, &bytes)) {
		if (rec.kind == QUEUE_SEALED) {
			if (!send_sealed(t, &rec, bytes))
				break;
		} else if (rec.kind == QUEUE_GROUP) {
			if (!send_grouped(t, bytes, rec.len, rec.ecn))
				break;
		} else if (inner_parse(bytes, rec.len, &in) == 0 &&
			   !send_packet(t, &rec.vh, &in, bytes)) {
			break;
		}
		queue_pop(dp->pool, &t->queue);
	}
	batch_flush(dp->batch);
	t->draining = false;
	if (batch_blocked(dp->batch) && !queue_empty(&t->queue))
		join_backlog(t);
}

void output_resume(struct dp_tunnel *t)
{
	if (t->draining)
		return;
	if (!queue_empty(&t->queue))
		drain_queue(t);
	send_tail(t);
}

void output_resume_all(struct datapath *dp)
{
	struct dp_tunnel *t;

	while (dp->backlog && !batch_blocked(dp->batch)) {
		t = dp->backlog;
		dp->backlog = t->next_backlog;
		t->backlog = false;
		output_resume(t);
	}
}

void output_reject_queue(struct dp_tunnel *t, bool with_icmp)
{
	struct datapath *dp = t->dp;
	struct queue_record rec;
	struct inner in;
	uint8_t *bytes;

	while (with_icmp && queue_peek(dp->pool, &t->queue, &rec, &bytes)) {
		if (rec.kind == QUEUE_PACKET &&
		    inner_parse(bytes, rec.len, &in) == 0)
			refusal_unreachable(dp, t, bytes, &in);
		queue_pop(dp->pool, &t->queue);
	}
	queue_clear(dp->pool, &t->queue);
}

static bool route_is_gone(int err)
{
	return err == ENETUNREACH || err == EHOSTUNREACH || err == ENETDOWN ||
	       err == EADDRNOTAVAIL || err == EAFNOSUPPORT;
}

void output_failed(void *arg, const struct batch_run *run, int err)
{
	struct datapath *dp = arg;
	struct dp_tunnel *t = run->t;
	struct queue_record rec = {.len = run->len,
				   .seg = run->seg,
				   .kind = QUEUE_SEALED,
				   .ecn = run->ecn};
	uint64_t now = loop_now(dp->loop);

	if (!t)
		return;
	if (route_is_gone(err)) {
		t->stalled_until = now + DP_STALL_NS;
		enqueue(t, &rec, run->data);
	}
	if (t->error_told && now - t->error_told < DP_ERROR_GAP_NS)
		return;
	t->error_told = now;
	t->error = err;
	output_event(t, DP_EVENT_ERROR);
}

/* --- from the TUN --------------------------------------------------------------- */

static bool from_lease(const struct datapath *dp, const struct inner *in)
{
	if (dp->general.serves)
		return true;
	return in->version == 4 ? !memcmp(in->src, dp->vip4, 4)
				: !memcmp(in->src, dp->vip6, 16);
}

/* A destination that can be a peer's. The kernel sends MLD and the like too. */
static bool may_be_peer(const struct inner *in)
{
	if (in->version == 4)
		return (in->dst[0] < 224 || in->dst[0] >= 240) &&
		       in->dst[0] != 255 && in->dst[0] != 127 &&
		       in->dst[0] != 0;
	return in->dst[0] != 0xff && (in->dst[0] != 0xfe || in->dst[1] < 0x80);
}

static struct dp_tunnel *find_by_vip(struct datapath *dp, unsigned int version,
				     const uint8_t *ip)
{
	struct dp_tunnel *t = dp->last_out;

	if (version == 4) {
		if (t && t->has_vip4 && !memcmp(t->shown4, ip, 4))
			return t;
		HASH_FIND(hh_vip4, dp->by_vip4, ip, 4, t);
	} else {
		if (t && t->has_vip6 && !memcmp(t->vip6, ip, 16))
			return t;
		HASH_FIND(hh_vip6, dp->by_vip6, ip, 16, t);
	}
	if (t)
		dp->last_out = t;
	return t;
}

bool dp_tunnel_find(struct datapath *dp, const struct addr *vip,
		    struct dp_tunnel **out)
{
	struct dp_tunnel *t;
	const uint8_t *ip;
	size_t len;

	ip = addr_ip(vip, &len);
	t = ip ? find_by_vip(dp, len == 4 ? 4 : 6, ip) : NULL;
	if (t)
		*out = t;
	return t != NULL;
}

/* A peer's tunnel, or the exit's for general hosts. */
static struct dp_tunnel *find(struct datapath *dp, const struct inner *in)
{
	struct dp_tunnel *t = find_by_vip(dp, in->version, in->dst);

	if (!t && dp->general.exit &&
	    general_is(&dp->general, in->version, in->dst))
		t = dp->general.exit;
	return t;
}

static struct dp_tunnel *ask_owner(struct datapath *dp, const struct inner *in)
{
	struct addr dst;

	if (addr_from_ip(in->dst, in->version == 4 ? 4 : 16, 0, &dst) ||
	    !dp->ops->no_tunnel(dp->arg, &dst))
		return NULL;
	return find(dp, in);
}

void output_packet(struct datapath *dp, const struct virtio_net_hdr *vh,
		   size_t len)
{
	struct queue_record rec = {
		.len = (uint32_t)len, .kind = QUEUE_PACKET, .vh = *vh};
	struct dp_tunnel *t;
	struct inner in;

	if (inner_parse(dp->packet, len, &in)) {
		dp->totals.malformed++;
		return;
	}
	if (group_is_range(&in) && from_lease(dp, &in)) {
		group_output(dp, vh, &in);
		return;
	}
	if (!may_be_peer(&in)) {
		dp->totals.unroutable++;
		return;
	}
	t = find(dp, &in);
	if (!from_lease(dp, &in)) {
		if (t)
			t->n.bad_lease++;
		else
			dp->totals.sum.bad_lease++;
		return;
	}
	if (!t)
		t = ask_owner(dp, &in);
	if (!t) {
		dp->totals.unroutable++;
		refusal_unreachable(dp, NULL, dp->packet, &in);
		return;
	}
	if (t->alias)
		alias_to_peer(dp->packet, &in, t->shown4, t->vip4,
			      vh->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM);
	if (t->ports &&
	    !ports_sent(t->ports, loop_now(dp->loop), dp->packet, &in)) {
		refusal_ended(t, dp->packet, &in);
		return;
	}
	if (!queue_empty(&t->queue))
		output_resume(t);
	if (!queue_empty(&t->queue) || !sendable(t) ||
	    !send_packet(t, vh, &in, dp->packet))
		enqueue(t, &rec, dp->packet);
}
