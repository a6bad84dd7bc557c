/* SPDX-License-Identifier: MIT */
/*
 * forward - what a thread does with a datagram
 *
 * A message of UDP_GRO holds datagrams of one source, but maybe of several paths or
 * groups. Neighbours of one Path ID, or one group's tag (fanout.c), go through together: one look-up, one check of the
 * source, one charge, one run.
 */
#include <endian.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "servers/rs/state.h"

static uint64_t clock_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

enum kind { KIND_OTHER, KIND_PATH, KIND_GROUP };

static enum kind kind_of(const uint8_t *p, size_t len)
{
	if (len < PACKET_OVERHEAD || p[1] != PACKET_VERSION)
		return KIND_OTHER;
	if (p[0] == PACKET_GROUP)
		return KIND_GROUP;
	return p[0] == PACKET_DATA || p[0] == PACKET_TUNNEL_REQUEST ||
			       p[0] == PACKET_TUNNEL_RESPONSE
		       ? KIND_PATH
		       : KIND_OTHER;
}

static uint32_t datagrams(size_t bytes, size_t size)
{
	return (uint32_t)((bytes + size - 1) / size);
}

size_t forward_charge(struct rs_thread *t, const struct arrival *a,
		      uint32_t account, size_t bytes)
{
	struct quota *q = &t->rs->quota;
	uint32_t n = datagrams(bytes, a->size), go;

	if (!account || !quota_is_on(q))
		return bytes;
	if (quota_is_over(q, account)) {
		STAT_ADD(t->stats.over_day, n);
		return 0;
	}
	go = quota_charge(q, account, n, a->size, clock_ns());
	STAT_ADD(t->stats.over_rate, n - go);
	return go == n ? bytes : (size_t)go * a->size;
}

/* @bytes of datagrams with the same Path ID */
static void forward_run(struct rs_thread *t, const struct arrival *a,
			uint8_t *data, size_t bytes)
{
	struct paths *paths = &t->rs->paths;
	uint32_t n = datagrams(bytes, a->size), h;
	struct path_view v;
	uint64_t id;

	memcpy(&id, data + PACKET_ID_AT, sizeof(id));
	id = be64toh(id);
	h = paths_find(paths, id);
	if (!h) {
		STAT_ADD(t->stats.unknown_path, n);
		return;
	}
	if (!paths_view(paths_at(paths, h), id, &v)) {
		STAT_ADD(t->stats.busy, n);
		return;
	}
	if (!v.sender_bound || !remote_same(&v.sender, &a->from)) {
		STAT_ADD(t->stats.wrong_source, n);
		return;
	}
	if (!v.receiver_bound) {
		STAT_ADD(t->stats.unbound, n);
		return;
	}
	if (!v.receiver_sure) {
		bytes = paths_take_credit(paths_at(paths, h), id, bytes,
					  a->size);
		STAT_ADD(t->stats.over_credit, n - datagrams(bytes, a->size));
	}
	bytes = bytes ? forward_charge(t, a, v.account, bytes) : 0;
	if (!bytes)
		return;
	outbox_add(&t->outbox, h << 1 | (uint32_t)(id & 1), &v.receiver, a->ecn,
		   data, bytes, a->size);
	STAT_ADD(t->stats.forwarded, datagrams(bytes, a->size));
	STAT_ADD(t->stats.forwarded_bytes, bytes);
}

static bool is_peer(const struct signal_peer *s, const struct remote *from,
		    uint64_t id)
{
	const memory_order any = memory_order_relaxed;

	return (atomic_load_explicit(&s->ids[0], any) == id ||
		atomic_load_explicit(&s->ids[1], any) == id) &&
	       atomic_load_explicit(&s->ip[0], any) == from->ip[0] &&
	       atomic_load_explicit(&s->ip[1], any) == from->ip[1] &&
	       atomic_load_explicit(&s->port, any) == from->port;
}

/* To the control thread, if it can be for one of the links. Every node knows the id;
 * from elsewhere than the DC a flood of it would leave no room for the DC's. */
static void forward_signal(struct rs_thread *t, const struct packet_header *h,
			   const struct remote *from, const uint8_t *data,
			   size_t len)
{
	struct rs *rs = t->rs;
	bool known = false;

	for (unsigned int i = 0; i < RS_LINKS_MAX && h->id && !known; i++)
		known = is_peer(&rs->signal_peers[i], from, h->id);
	if (!known || len > PACKET_SIGNAL_MAX) {
		STAT_ADD(t->stats.malformed, 1);
		return;
	}
	if (send(rs->signals[1], data, len, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		STAT_ADD(t->stats.signals_lost, 1);
}

/* a datagram that is not forwarded */
static void forward_other(struct rs_thread *t, struct arrival *a, uint8_t *data,
			  size_t len)
{
	struct packet_header h;

	if (packet_header_get(data, len, &h)) {
		STAT_ADD(t->stats.malformed, 1);
		return;
	}
	switch (h.type) {
	case PACKET_SIGNAL:
		forward_signal(t, &h, &a->from, data, len);
		break;
	case PACKET_HOLE_PUNCH:
		if (h.flags & PACKET_PLACE)
			place_punch_receive(t, a, &h, data, len);
		else
			punch_receive(t, a, &h, data, len);
		break;
	case PACKET_RELAY_PROBE:
		probe_receive(t, a, &h, data, len);
		break;
	default: /* answers, which nobody sends to a relay */
		STAT_ADD(t->stats.malformed, 1);
		break;
	}
}

void forward_arrival(struct rs_thread *t, struct arrival *a)
{
	size_t at = 0, end, len;

	while (at < a->len) {
		uint8_t *p = a->data + at;
		enum kind kind;

		len = a->len - at < a->size ? a->len - at : a->size;
		kind = kind_of(p, len);
		if (kind == KIND_OTHER) {
			forward_other(t, a, p, len);
			at += len;
			continue;
		}
		for (end = at + len; end < a->len; end += len) {
			const uint8_t *q = a->data + end;

			len = a->len - end < a->size ? a->len - end : a->size;
			if (kind_of(q, len) != kind ||
			    memcmp(p + PACKET_ID_AT, q + PACKET_ID_AT,
				   sizeof(uint64_t)))
				break;
		}
		if (kind == KIND_GROUP)
			fanout_run(t, a, p, end - at);
		else
			forward_run(t, a, p, end - at);
		at = end;
	}
}
