/* SPDX-License-Identifier: MIT */
/*
 * group_in - datagrams of groups: opened, checked, into the TUN
 *
 * A stranger's costs a look-up of its tag. Who has seen a tag on the way can make us
 * derive two keys for each salt that it makes up: unless the datagram came from where
 * the member's tunnel is, there are DP_GROUP_FRESH_PER_S of these and no more.
 */
#include <netinet/in.h>
#include <string.h>

#include "broker/datapath/alias.h"
#include "broker/datapath/group_impl.h"
#include "broker/datapath/group_move.h"

#define TAG_AT	 4
#define INDEX_AT 20

static struct dp_tunnel *tunnel_of(const struct datapath *dp,
				   const struct group_row *row)
{
	struct dp_tunnel *t = NULL;

	if (row->met)
		HASH_FIND(hh_vip6, dp->by_vip6, row->vip6, 16, t);
	return t;
}

/* For whoever looks after the path it is traffic: of the member, from where it is. */
static void count_heard(struct dp_tunnel *t, const struct inner *in,
			const struct addr *from, bool inside)
{
	if (!inside && memcmp(&t->remote, from, sizeof(*from)))
		return;
	t->n.rx_packets++;
	t->n.rx_bytes += in->len;
	if (inside)
		return; /* its datagram is counted */
	t->n.rx_datagrams++;
	t->n.last_rx_ns = loop_now(t->dp->loop);
}

/* May it be opened, or could it be one of a flood? */
static bool is_expected(struct dp_group *g, const uint8_t *data, size_t len,
			const struct addr *from)
{
	const struct group_row *row;
	const struct dp_tunnel *t;

	if (!group_receiver_is_new(g->receiver, data, len))
		return true;
	row = group_row(g, get32(data + INDEX_AT));
	t = row ? tunnel_of(g->dp, row) : NULL;
	if (t && !memcmp(&t->remote, from, sizeof(*from)))
		return true;
	if (dp_limit_ok(&g->fresh, loop_now(g->dp->loop), DP_GROUP_FRESH_PER_S))
		return true;
	g->n_of.limited++;
	return false;
}

static bool mark_ecn(uint8_t *pkt, uint8_t outer)
{
	uint8_t ecn = inner_ecn(pkt);

	if (outer == INNER_ECN_CE && ecn == 0)
		return false;
	if (outer == INNER_ECN_CE || (outer == 1 && ecn == 2))
		inner_set_ecn(pkt, outer);
	return true;
}

static bool is_for_group(const struct dp_group *g, const struct inner *in)
{
	return in->version == 4 ? g->has_vip4 && !memcmp(in->dst, g->vip4, 4)
				: g->has_vip6 && !memcmp(in->dst, g->vip6, 16);
}

static bool is_from(const struct group_row *row, const struct inner *in)
{
	return in->version == 4 ? !memcmp(in->src, row->vip4, 4)
				: !memcmp(in->src, row->vip6, 16);
}

/* struct heard - a datagram on its way: @from nobody's where it came @inside a tunnel */
struct heard {
	const struct addr *from;
	uint8_t ecn;
	bool inside;
};

static void deliver(struct dp_group *g, struct group_row *row, uint8_t *pkt,
		    size_t len, const struct heard *h)
{
	struct dp_tunnel *t;
	struct inner in;

	if (inner_parse(pkt, len, &in) || in.proto != IPPROTO_UDP ||
	    !(in.transport || in.fragment)) {
		g->n_of.malformed++;
		return;
	}
	if (!row->met) {
		g->n_of.unmet++;
		group_ask(g, row);
		return;
	}
	if (!is_from(row, &in)) {
		g->n_of.bad_source++;
		return;
	}
	if (!is_for_group(g, &in)) {
		g->n_of.bad_destination++;
		return;
	}
	if (h->ecn && !mark_ecn(pkt, h->ecn))
		return;
	g->n_of.rx_packets++;
	g->n_of.rx_bytes += in.len;
	t = tunnel_of(g->dp, row);
	if (t)
		count_heard(t, &in, h->from, h->inside);
	if (t && t->alias)
		alias_from_peer(pkt, &in, t->shown4, t->vip4, false);
	coalesce_add(g->dp->coalesce, pkt, &in, false);
}

void group_input(struct datapath *dp, uint8_t *data, size_t len, uint8_t ecn,
		 const struct addr *from, bool inside)
{
	const struct heard h = {from, ecn, inside};
	struct group_tag *tag = NULL;
	struct group_opened o;
	struct group_row *row;
	struct dp_group *g;

	if (!dp->groups)
		return;
	if (len >= TAG_AT + GROUP_TAG_LEN)
		HASH_FIND(hh, dp->groups->by_tag, data + TAG_AT, GROUP_TAG_LEN,
			  tag);
	if (!tag) {
		dp->groups->unknown++;
		return;
	}
	g = tag->g;
	if (!inside && !is_expected(g, data, len, from))
		return;
	if (group_receiver_open(g->receiver, data, len, &o) || !o.len)
		return; /* counted there */
	row = group_row(g, o.index);
	if (!row || o.index == g->own)
		return; /* gone with the last entry; our own, sent back */
	if (!(o.flags & GROUP_PACKET_CONTROL))
		deliver(g, row, o.data, o.len, &h);
	else if (dp->ops->group_control && o.len <= DP_GROUP_TEXT)
		dp->ops->group_control(dp->arg, g, o.epoch, o.index, o.data,
				       o.len);
}
