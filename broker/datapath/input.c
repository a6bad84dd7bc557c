/* SPDX-License-Identifier: MIT */
/*
 * input - datagrams from the outer sockets: opened, checked, handed on
 *
 * Theory of operation
 *
 * Each datagram of a read is dealt with in order. What is not DATA goes to the
 * owner. DATA: tunnel by Path ID, keys by phase, replay window, open in place,
 * mark. Until then nothing is believed; strangers cost one AEAD at most. Behind
 * it: the first packet under a phase confirms it; the newest packet from another
 * address is reported; then the content, a control message, half a packet or a
 * packet. A packet must come from the tunnel's addresses (general.h), go to ours, and be for a
 * port that this peer may reach (ports.h); its
 * length is what its IP header says (what follows is padding).
 *
 * The owner may close the tunnel in any call; its state says so afterwards.
 *
 * ECN as RFC 6040, normal mode: congestion marked outside is marked inside, and
 * what cannot carry the mark is dropped.
 */
#include "broker/datapath/input.h"

#include <string.h>

#include "broker/datapath/alias.h"
#include "broker/datapath/group_move.h"
#include "broker/datapath/icmp.h"
#include "broker/datapath/output.h"
#include "broker/datapath/reset.h"
#include "broker/datapath/seal.h"
#include "broker/datapath/tunnel.h"

#define REFUSE_PER_S 50
#define FLAGS_KNOWN                                                            \
	(PACKET_NOCSUM | PACKET_PART | PACKET_LAST | PACKET_CONTROL |          \
	 PACKET_INNER)

/* One datagram on its way through. */
struct arrival {
	struct packet_header h;
	uint8_t *body;
	size_t len;
	uint32_t wire_len;
	uint8_t ecn;
	const struct addr *from;
};

static bool apply_ecn(uint8_t *pkt, uint8_t outer)
{
	uint8_t ecn = inner_ecn(pkt);

	if (outer == INNER_ECN_CE && ecn == 0)
		return false;
	if (outer == INNER_ECN_CE || (outer == 1 && ecn == 2))
		inner_set_ecn(pkt, outer);
	return true;
}

/* What the peer began goes no further: our program's end of it, too. */
static void end_here(struct dp_tunnel *t, const uint8_t *pkt,
		     const struct inner *in)
{
	static const struct virtio_net_hdr none;
	uint8_t rst[RESET_MAX];
	size_t len = reset_on(pkt, in, rst);
	struct inner rst_in;

	if (!len)
		return;
	if (t->alias && !inner_parse(rst, len, &rst_in))
		alias_from_peer(rst, &rst_in, t->shown4, t->vip4, false);
	tun_write(&t->dp->tun, &none, rst, len);
}

/* A port that this peer may not reach: say so, or its program waits for minutes. */
static void refuse_port(struct dp_tunnel *t, const uint8_t *pkt,
			const struct inner *in)
{
	uint8_t icmp[ICMP_ERROR_MAX], buf[ICMP_ERROR_MAX + PACKET_OVERHEAD];
	size_t len;
	uint32_t size;

	t->n.bad_port++;
	if (t->closed || t->dp->mute || !seal_ready(t) ||
	    !addr_is_set(&t->remote) ||
	    !dp_limit_ok(&t->dp->limit_refuse, loop_now(t->dp->loop),
			 REFUSE_PER_S))
		return;
	end_here(t, pkt, in);
	len = reset_back(pkt, in, icmp);
	if (!len)
		len = icmp_prohibited(pkt, in, icmp);
	if (!len || len + PACKET_OVERHEAD > t->mtu)
		return;
	size = seal_datagram(t, 0, NULL, 0, icmp, len, buf);
	if (size && !datapath_send(t->dp, buf, size, &t->remote))
		t->n.tx_datagrams++;
}

/* Of another domain's slice, perhaps, which nobody named as virtual. */
static bool is_peers(const struct datapath *dp, const struct inner *in)
{
	const struct dp_tunnel *other = NULL;

	if (in->version == 4)
		HASH_FIND(hh_vip4, dp->by_vip4, in->src, 4, other);
	return other != NULL;
}

static bool source_fits(const struct dp_tunnel *t, const struct inner *in)
{
	if (in->version == 4 ? t->has_vip4 && !memcmp(in->src, t->vip4, 4)
			     : t->has_vip6 && !memcmp(in->src, t->vip6, 16))
		return true;
	/* through the exit come general hosts, and nobody's peer */
	return t->dp->general.exit == t &&
	       general_is(&t->dp->general, in->version, in->src) &&
	       !is_peers(t->dp, in);
}

static bool is_for_us(const struct datapath *dp, const struct inner *in)
{
	return dp->general.serves ||
	       (in->version == 4 ? !memcmp(in->dst, dp->vip4, 4)
				 : !memcmp(in->dst, dp->vip6, 16));
}

static void deliver(struct dp_tunnel *t, uint8_t *pkt, size_t len,
		    uint8_t flags, uint8_t ecn)
{
	struct datapath *dp = t->dp;
	bool nocsum = flags & PACKET_NOCSUM;
	struct inner in;

	if (inner_parse(pkt, len, &in) || (nocsum && !in.transport)) {
		dp->totals.malformed++;
		return;
	}
	if (!source_fits(t, &in)) {
		t->n.bad_source++;
		return;
	}
	if (!is_for_us(dp, &in)) {
		t->n.bad_lease++;
		return;
	}
	if (t->closed ||
	    (t->ports && !ports_pass(t->ports, loop_now(dp->loop), pkt, &in))) {
		refuse_port(t, pkt, &in);
		return;
	}
	if (ecn && !apply_ecn(pkt, ecn))
		return;
	t->n.rx_packets++;
	t->n.rx_bytes += in.len;
	if (t->alias)
		alias_from_peer(pkt, &in, t->shown4, t->vip4, nocsum);
	coalesce_add(dp->coalesce, pkt, &in, nocsum);
}

static void deliver_part(struct dp_tunnel *t, const struct arrival *a)
{
	struct datapath *dp = t->dp;
	uint8_t whole[DP_INNER_MIN_MTU];
	uint8_t flags = a->h.flags & PACKET_NOCSUM;
	int len;

	if (a->len < PACKET_PART_LEN) {
		dp->totals.malformed++;
		return;
	}
	len = parts_add(dp->parts, &t->parts, loop_now(dp->loop),
			get16(a->body), get16(a->body + 2),
			a->h.flags & PACKET_LAST, a->body + PACKET_PART_LEN,
			a->len - PACKET_PART_LEN, &flags, whole);
	if (len == -NTM_EDECODE)
		dp->totals.malformed++;
	if (len <= 0)
		return;
	t->n.parts++;
	deliver(t, whole, (size_t)len, flags, a->ecn);
	coalesce_flush(dp->coalesce); /* @whole goes */
}

static void deliver_content(struct dp_tunnel *t, const struct arrival *a)
{
	uint8_t flags = a->h.flags;

	if (flags & ~FLAGS_KNOWN ||
	    (flags & PACKET_CONTROL && flags != PACKET_CONTROL) ||
	    (flags & PACKET_INNER && flags != PACKET_INNER) ||
	    (flags & PACKET_LAST && !(flags & PACKET_PART)))
		t->dp->totals.malformed++;
	else if (flags & PACKET_CONTROL)
		t->dp->ops->control(t->dp->arg, t, a->body, a->len, a->from,
				    a->wire_len);
	else if (flags & PACKET_INNER)
		group_input(t->dp, a->body, a->len, a->ecn, a->from, true);
	else if (flags & PACKET_PART)
		deliver_part(t, a);
	else
		deliver(t, a->body, a->len, flags, a->ecn);
}

/* What an authenticated packet tells besides its content. */
static void learn(struct dp_tunnel *t, struct dp_phase *p,
		  const struct arrival *a, bool newest)
{
	struct datapath *dp = t->dp;

	if (seal_heard(t, p)) {
		dp->ops->confirmed(dp->arg, t, a->h.phase, a->from,
				   a->wire_len);
		if (t->state == DP_DEAD)
			return;
		output_resume(t);
	}
	if (!newest || a->h.flags & PACKET_CONTROL ||
	    t->moved_turn == dp->turn ||
	    !memcmp(a->from, &t->remote, sizeof(t->remote)) ||
	    (t->send && p != t->send && p->order < t->send->order))
		return;
	t->moved_turn = dp->turn;
	dp->ops->moved(dp->arg, t, a->from, a->wire_len);
}

static void input_data(struct datapath *dp, struct arrival *a)
{
	struct dp_tunnel *t = tunnel_by_path(dp, a->h.id);
	struct dp_phase *p;
	bool newest;

	if (!t) {
		dp->totals.unknown_path++;
		dp->ops->unknown_path(dp->arg, a->h.id, a->from);
		return;
	}
	p = seal_find(t, a->h.phase);
	if (!p) {
		t->n.no_keys++;
		dp->ops->unknown_path(dp->arg, a->h.id, a->from);
		return;
	}
	if (!ntmc_replay_check(&p->replay, a->h.counter)) {
		t->n.replayed++;
		return;
	}
	if (ntmc_aead_open(p->recv, a->h.counter, a->body - PACKET_HEADER_LEN,
			   PACKET_HEADER_LEN, a->body, a->len)) {
		t->n.bad_auth++;
		return;
	}
	newest = a->h.counter >= p->replay.last;
	if (!ntmc_replay_mark(&p->replay, a->h.counter)) {
		t->n.replayed++;
		return;
	}
	a->len -= NTMC_TAG_LEN;
	t->n.rx_datagrams++;
	t->n.last_rx_ns = loop_now(dp->loop);
	learn(t, p, a, newest);
	if (t->state != DP_DEAD)
		deliver_content(t, a);
}

void input_read(struct datapath *dp, struct udp_read *r)
{
	struct arrival a = {.ecn = r->ecn, .from = &r->from};
	uint32_t done, len;

	for (done = 0; done < r->len; done += len) {
		len = r->len - done < r->seg ? r->len - done : r->seg;
		if (packet_header_get(r->data + done, len, &a.h)) {
			dp->totals.malformed++;
			continue;
		}
		if (a.h.type == PACKET_GROUP) {
			group_input(dp, r->data + done, len, r->ecn, &r->from,
				    false);
			continue;
		}
		if (a.h.type != PACKET_DATA) {
			dp->ops->signal(dp->arg, r->data + done, len, &r->from);
			continue;
		}
		a.body = r->data + done + PACKET_HEADER_LEN;
		a.len = len - PACKET_HEADER_LEN;
		a.wire_len = len;
		input_data(dp, &a);
	}
}
