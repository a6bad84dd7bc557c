/* SPDX-License-Identifier: MIT */
/* group_out - packets of the TUN to a group: cut, sealed once, sent to each member */
#include <netinet/in.h>
#include <string.h>

#include "broker/datapath/checksum.h"
#include "broker/datapath/cut.h"
#include "broker/datapath/group_impl.h"
#include "broker/datapath/group_move.h"
#include "broker/datapath/offload.h"
#include "broker/datapath/output.h"

/* What a group's datagram has beside the inner packet, at most: signature, hop, too */
#define MORE GROUP_PACKET_MORE

static struct dp_tunnel *tunnel_of(const struct dp_group *g,
				   const struct group_row *row)
{
	struct dp_tunnel *t = NULL;

	if (row->met)
		HASH_FIND(hh_vip6, g->dp->by_vip6, row->vip6, 16, t);
	return t;
}

/* --- the relay ----------------------------------------------------------------------------- */

static bool is_there(const struct group_relay *r, size_t place)
{
	return r && place < GROUP_MEMBERS_MAX &&
	       r->places[place / 8] >> place % 8 & 1;
}

/* of the epoch that is sent under, where we and somebody else are at it; else NULL */
static const struct group_relay *relay_of(const struct dp_group *g)
{
	const struct group_relay *r = NULL;
	bool we = false, others = false;

	for (unsigned int i = 0; i < 2; i++)
		if (g->relays[i].epoch && g->relays[i].epoch == g->epoch)
			r = &g->relays[i];
	for (size_t i = 0; r && i < g->n; i++)
		*(g->rows[i].index == g->own ? &we : &others) |= is_there(r, i);
	return we && others ? r : NULL;
}

/* The datagrams are those of one burst: neighbours of one size are one send. */
static void send_to_relay(struct dp_group *g, const struct group_burst *b,
			  const struct group_relay *r)
{
	for (unsigned int i = 0; i < b->n; i++) {
		uint8_t *room;

		if (b->at[i].whom == GROUP_FOR_JOINED)
			continue; /* it has no hop, and nobody's place there */
		room = batch_room(g->dp->batch, b->at[i].len);
		if (!room)
			return; /* the socket is full: lost, as on the way */
		memcpy(room, b->buf + b->at[i].off, b->at[i].len);
		batch_commit(g->dp->batch, NULL, &r->at, b->at[i].len,
			     b->at[i].ecn);
		g->n_of.tx_relayed++;
	}
}

/* --- the burst -------------------------------------------------------------------------- */

/* The largest inner packet that fits a datagram to each member */
static uint32_t room_for(const struct dp_group *g)
{
	uint32_t least = PACKET_DATA_MAX, mtu;
	const struct dp_tunnel *t;

	for (size_t i = 0; i < g->n; i++) {
		t = g->rows[i].index == g->own ? NULL
					       : tunnel_of(g, &g->rows[i]);
		if (!t)
			continue;
		mtu = t->mtu - (t->relayed ? PACKET_OVERHEAD : 0);
		if (mtu < least)
			least = mtu;
	}
	if (least == PACKET_DATA_MAX ||
	    (relay_of(g) && least > DP_MTU_DEFAULT)) /* nobody knows its way */
		least = DP_MTU_DEFAULT;
	return least < GROUP_INNER_MIN + MORE ? GROUP_INNER_MIN : least - MORE;
}

static uint8_t whom(const struct group_row *row)
{
	return row->since ? GROUP_FOR_JOINED : GROUP_FOR_OLD;
}

static void send_to(struct dp_group *g, const struct group_burst *b,
		    const struct group_row *row, struct dp_tunnel *t)
{
	for (unsigned int i = 0; i < b->n; i++) {
		if (!(b->at[i].whom & whom(row)))
			continue;
		g->n_of.tx_datagrams++;
		g->n_of.waited += !output_grouped(t, b->buf + b->at[i].off,
						  b->at[i].len, b->at[i].ecn);
	}
}

static void missed_keep(struct dp_group *g, const struct group_burst *b)
{
	struct group_missed *m = g->missed;
	uint64_t now = loop_now(g->dp->loop);

	if (!m)
		return;
	if (m->n && now - m->since > DP_GROUP_MISSED)
		m->n = m->used = 0;
	if (!m->n)
		m->since = now;
	for (unsigned int i = 0; i < b->n && m->n < GROUP_BURST; i++) {
		struct group_sealed s = b->at[i];

		if (m->used + s.len > sizeof(m->buf))
			break;
		memcpy(m->buf + m->used, b->buf + s.off, s.len);
		s.off = m->used;
		m->used += s.len;
		m->at[m->n++] = s;
	}
}

void group_make_up(struct dp_group *g, struct group_row *row)
{
	const struct group_missed *m = g->missed;
	struct dp_tunnel *t = row->missed ? tunnel_of(g, row) : NULL;
	uint8_t what = row->missed;

	if (!t)
		return;
	row->missed = 0;
	if (!m || loop_now(g->dp->loop) - m->since > DP_GROUP_MISSED)
		return;
	for (unsigned int i = 0; i < m->n; i++) {
		if (!(m->at[i].whom & what))
			continue;
		g->n_of.tx_datagrams++;
		g->n_of.waited++;
		output_grouped(t, m->buf + m->at[i].off, m->at[i].len,
			       m->at[i].ecn);
	}
	batch_flush(g->dp->batch);
}

void group_flush(struct datapath *dp)
{
	struct group_burst *b = dp->groups ? &dp->groups->burst : NULL;
	struct dp_group *g = b ? b->g : NULL;
	const struct group_relay *relay;
	struct dp_tunnel *t;
	bool missed = false;

	if (!g)
		return;
	b->g = NULL;
	relay = b->hop ? relay_of(g) : NULL;
	if (relay)
		send_to_relay(g, b, relay);
	for (size_t i = 0; i < g->n; i++) {
		if (g->rows[i].index == g->own || is_there(relay, i))
			continue;
		t = tunnel_of(g, &g->rows[i]);
		if (!t && b->quiet)
			continue;
		if (!t) {
			group_ask(g, &g->rows[i]);
			t = tunnel_of(g, &g->rows[i]);
		}
		if (t) {
			group_make_up(g, &g->rows[i]);
			send_to(g, b, &g->rows[i], t);
		} else {
			g->n_of.no_tunnel += b->n;
			if (!g->rows[i].missed)
				g->rows[i].missed = whom(&g->rows[i]);
			missed = true;
		}
	}
	if (missed)
		missed_keep(g, b);
	b->n = 0;
	b->used = 0;
}

/* Room for a datagram of @g in the burst */
static uint8_t *burst_room(struct dp_group *g, size_t len)
{
	struct group_burst *b = &g->dp->groups->burst;

	if (b->g && (b->g != g || b->n == GROUP_BURST ||
		     b->used + len > sizeof(b->buf)))
		group_flush(g->dp);
	if (!b->g) {
		b->g = g;
		b->n = 0;
		b->used = 0;
		b->room = room_for(g);
		b->hop = relay_of(g) != NULL;
		b->quiet = false;
	}
	return b->buf + b->used;
}

static void burst_add(struct dp_group *g, size_t len, uint8_t ecn, uint8_t to)
{
	struct group_burst *b = &g->dp->groups->burst;

	b->at[b->n++] = (struct group_sealed){b->used, (uint16_t)len, ecn, to};
	b->used += (uint32_t)len;
}

/* --- sealing ---------------------------------------------------------------------------- */

/* struct audience - for whom a sender seals, and the relay's flag, with the room that
 * burst_room() gave */
struct audience {
	struct group_sender *sender;
	uint8_t whom;
};

static unsigned int hop(const struct dp_group *g, const struct audience *to)
{
	return g->dp->groups->burst.hop && to->whom != GROUP_FOR_JOINED
		       ? GROUP_PACKET_HOP
		       : 0;
}

/* Return: how many */
static unsigned int audiences(const struct dp_group *g,
			      struct audience out[static 2])
{
	bool two = g->next && g->joined;

	out[0] = (struct audience){g->sender,
				   two ? GROUP_FOR_OLD : GROUP_FOR_ALL};
	out[1] = (struct audience){g->next, GROUP_FOR_JOINED};
	return two ? 2 : 1;
}

static void sign(struct dp_group *g, const struct audience *to)
{
	uint8_t *at;
	size_t len;

	if (!to->sender || !group_sender_pending(to->sender))
		return;
	at = burst_room(g, GROUP_BATCH_LEN);
	if (!group_sender_batch(to->sender, hop(g, to), at, &len))
		burst_add(g, len, 0, to->whom);
}

void group_sign(struct dp_group *g)
{
	struct audience to[2];
	unsigned int n = audiences(g, to);

	for (unsigned int i = 0; i < n; i++)
		sign(g, &to[i]);
	g->batch_at = 0;
}

/* @len bytes of inner packet lie behind the header in the burst's room */
static int seal_here(struct dp_group *g, const struct audience *to,
		     unsigned int flags, uint8_t *at, size_t len, uint8_t ecn)
{
	size_t size;
	int r = group_sender_seal(to->sender, flags | hop(g, to), at, len,
				  &size);

	if (r)
		return r;
	burst_add(g, size, ecn, to->whom);
	if (!g->batch_at && group_sender_pending(to->sender)) {
		g->batch_at = loop_now(g->dp->loop) + LOOP_MS(GROUP_BATCH_MS);
		group_arm(g);
	}
	return 0;
}

static int seal_for(struct dp_group *g, const struct audience *to,
		    unsigned int flags, const uint8_t *pkt, size_t len,
		    uint8_t ecn)
{
	uint8_t *at;
	int r;

	for (unsigned int i = 0; i < 2; i++) {
		at = burst_room(g, len + GROUP_PACKET_MORE);
		memcpy(at + GROUP_PACKET_HEADER, pkt, len);
		r = seal_here(g, to, flags, at, len, ecn);
		if (r != -NTM_ESTATE)
			break;
		sign(g, to); /* a batch must go first */
	}
	return r;
}

static int seal(struct dp_group *g, unsigned int flags, const uint8_t *pkt,
		size_t len, uint8_t ecn)
{
	struct audience to[2];
	unsigned int n = audiences(g, to);
	int r = seal_for(g, &to[0], flags, pkt, len, ecn);

	if (!r && n == 2)
		r = seal_for(g, &to[1], flags, pkt, len, ecn);
	return r;
}

static bool may_send(struct dp_group *g)
{
	group_switch(g);
	if (g->sender && loop_now(g->dp->loop) < g->until)
		return true;
	g->n_of.frozen++;
	return false;
}

int dp_group_control(struct dp_group *g, const uint8_t *text, size_t len)
{
	int r;

	if (len > DP_GROUP_TEXT)
		return -NTM_ETOOBIG;
	if (!may_send(g))
		return -NTM_ESTATE;
	group_flush(g->dp);
	r = seal(g, GROUP_PACKET_CONTROL, text, len, 0);
	g->dp->groups->burst.quiet = true;
	group_flush(g->dp);
	batch_flush(g->dp->batch);
	return r;
}

/* --- what the TUN gives -------------------------------------------------------------------- */

static void piece(void *arg, const uint8_t *pkt, size_t len)
{
	struct dp_group *g = arg;

	if (!seal(g, 0, pkt, len, inner_ecn(pkt)))
		g->n_of.tx_bytes += len;
}

/* One packet with its checksum whole */
static void send_packet(struct dp_group *g, const uint8_t *pkt, size_t len)
{
	struct group_burst *b = &g->dp->groups->burst;

	g->n_of.tx_packets++;
	(void)burst_room(g, len + GROUP_PACKET_MORE); /* for ->room */
	if (len <= b->room)
		piece(g, pkt, len);
	else if (cut_packet(pkt, len, b->room, g->ident++, piece, g))
		g->n_of.malformed++;
}

/* The receivers' kernels are given no hint: what ours left open is completed. */
static void checksum_finish(uint8_t *pkt, size_t len, const struct inner *in)
{
	uint16_t sum = (uint16_t)~checksum_fold(
		checksum_add(0, pkt + in->l4, len - in->l4));

	if (!sum && in->proto == IPPROTO_UDP)
		sum = 0xffff;
	memcpy(pkt + in->csum, &sum, 2);
}

static void send_segments(struct dp_group *g, const struct offload *o)
{
	uint8_t whole[PACKET_DATA_MAX];
	const uint8_t *body = o->pkt + o->header_len;
	uint32_t size, len;

	if (o->header_len + o->mss > sizeof(whole)) {
		g->n_of.malformed++;
		return;
	}
	for (uint32_t i = 0; i < o->segments; i++) {
		size = offload_header(o, i, whole);
		len = o->header_len + size;
		memcpy(whole + o->header_len, body, size);
		checksum_finish(whole, len, &o->in);
		send_packet(g, whole, len);
		body += size;
	}
}

/* UDP, and what belongs to a datagram that was cut: nothing else is meant for many */
static bool is_for_many(const struct inner *in)
{
	return in->proto == IPPROTO_UDP && (in->transport || in->fragment);
}

void group_output(struct datapath *dp, const struct virtio_net_hdr *vh,
		  const struct inner *in)
{
	struct dp_group *g = group_by_address(dp, in);
	struct offload o;

	if (!g || !is_for_many(in)) {
		dp->totals.unroutable++;
		return;
	}
	if (!may_send(g))
		return;
	if (offload_plan(vh, in, dp->packet, TUN_PACKET_MAX, &o)) {
		dp->totals.malformed++;
		return;
	}
	if (o.how == OFFLOAD_SEGMENTS) {
		send_segments(g, &o);
		return;
	}
	if (o.nocsum)
		checksum_finish(dp->packet, in->len, in);
	else if (o.finish)
		offload_finish(&o);
	send_packet(g, dp->packet, in->len);
}
