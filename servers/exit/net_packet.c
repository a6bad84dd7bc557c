/* SPDX-License-Identifier: MIT */
/*
 * net_packet - what becomes of a node's packet
 *
 * Theory of operation
 *
 * Each packet's destination is asked of the filter (filter.h), its port too; TCP and UDP
 * then go to the node's stack, made with its first packet, echo requests to echo.c, and
 * nothing else anywhere. Parts of a datagram wait in fragments.c until they are one:
 * libslirp would keep any number of them, and ask nobody about ports and sockets. What
 * is refused is answered with "administratively prohibited" from our own virtual
 * address, so that a program hears at once.
 */
#include <netinet/in.h>

#include "broker/datapath/checksum.h"
#include "servers/exit/net_impl.h"
#include "servers/exit/recover.h"

#define NODE_MTU_S 600

/* Return: 0, -NTM_EPERM (forbidden), -NTM_EDECODE */
static int may_pass(struct net *n, const uint8_t *pkt, const struct inner *in)
{
	uint8_t dst[16];

	if (!in->plain && in->version == 6)
		return -NTM_EDECODE; /* libslirp knows no extension headers */
	filter_widen(in->dst, in->version == 4 ? 4 : 16, dst);
	/* before this machine is known nothing is known to be foreign */
	if ((n->conf.look && !n->knows) ||
	    !filter_address(&n->conf.filter, dst))
		return -NTM_EPERM;
	if (!in->transport)
		return -NTM_EDECODE;
	return filter_port(&n->conf.filter, get16(pkt + in->l4 + 2))
		       ? 0
		       : -NTM_EPERM;
}

/* An open connection heeds no "prohibited". Return: the packet was of one */
static bool end_connection(struct net *n, const uint8_t *pkt,
			   const struct inner *in)
{
	uint8_t reset[RECOVER_ACK];
	size_t len = 0;

	if (in->proto == IPPROTO_TCP && in->transport)
		len = recover_answer(pkt, in, reset);
	if (len)
		net_send(n, NULL, reset, len);
	return len > 0;
}

/* the node of a packet, which its account may send now. Return: 0, -NTM_ELIMIT,
 * -NTM_EAGAIN: not now, and it is dropped */
static int take(struct net *n, const struct inner *in, struct node **out)
{
	struct node *node = net_node_get(n, in);

	if (!node)
		return -NTM_ELIMIT;
	node->used_ns = n->now_ns;
	*out = node;
	if (share_is_closed(node->share)) {
		COUNT(n, over_day);
		return -NTM_EDISABLED;
	}
	if (share_up(n->shares, node->share, n->now_ns, in->len))
		return 0;
	COUNT(n, over_rate);
	return -NTM_EAGAIN;
}

static int pass(struct net *n, uint8_t *pkt, const struct inner *in)
{
	struct node *node;

	int err = take(n, in, &node);

	return err ? err : stack_input(node->stack, pkt, in);
}

static bool is_icmp(const struct inner *in)
{
	return in->proto == IPPROTO_ICMP || in->proto == IPPROTO_ICMPV6;
}

/* The data path says that a packet to this node was too large: the next one is cut. A
 * node that says so itself harms itself alone. */
static bool is_too_big(struct net *n, const uint8_t *pkt,
		       const struct inner *in)
{
	const uint8_t *icmp = pkt + in->l4;
	bool four = in->version == 4;
	struct node *node;
	uint32_t mtu;

	if (in->len - in->l4 < 8 || icmp[0] != (four ? 3 : 2) ||
	    icmp[1] != (four ? 4 : 0))
		return false;
	mtu = four ? get16(icmp + 6) : get32(icmp + 4);
	node = net_node_get(n, in);
	if (node && mtu < n->conf.mtu) {
		node->mtu = mtu < NODE_MTU_MIN ? NODE_MTU_MIN : mtu;
		node->mtu_until = n->now_ns + NODE_MTU_S * UINT64_C(1000000000);
	}
	return true;
}

static int ping(struct net *n, const uint8_t *pkt, const struct inner *in)
{
	struct node *node;
	uint8_t dst[16];
	int err;

	if (is_too_big(n, pkt, in))
		return 0;
	filter_widen(in->dst, in->version == 4 ? 4 : 16, dst);
	if ((n->conf.look && !n->knows) ||
	    !filter_address(&n->conf.filter, dst))
		return -NTM_EPERM;
	err = take(n, in, &node);
	if (err)
		return err;
	err = echo_input(n->echo, pkt, in);
	if (err == -NTM_EPERM)
		COUNT(n, echo_denied);
	return err == -NTM_EINVAL ? -NTM_EDECODE : err;
}

/* A packet, or what a part makes whole, in its place. Return: 0; -NTM_EDECODE;
 * -NTM_EAGAIN: more parts are awaited */
static int parse(struct net *n, uint8_t **pkt, size_t len, struct inner *in)
{
	int r = inner_parse(*pkt, len, in);

	if (r)
		return r;
	COUNT(n, packets_in);
	atomic_fetch_add_explicit(&n->stats->bytes_in, in->len,
				  memory_order_relaxed);
	if (!in->fragment)
		return 0;
	r = fragments_add(n->fragments, n->now_ns, *pkt, in, pkt);
	if (r <= 0)
		return r ? r : -NTM_EAGAIN;
	return inner_parse(*pkt, (size_t)r, in);
}

void net_packet(struct net *n, const struct virtio_net_hdr *vh, uint8_t *pkt,
		size_t len)
{
	struct inner in;
	int err = parse(n, &pkt, len, &in);

	if (!err) {
		seam_complete(vh, pkt, &in);
		if (is_icmp(&in)) {
			err = ping(n, pkt, &in);
		} else {
			err = may_pass(n, pkt, &in);
			if (!err)
				err = pass(n, pkt, &in);
		}
	}
	switch (err) {
	case 0:
	case -NTM_EAGAIN:
		return;
	case -NTM_EPERM:
		COUNT(n, forbidden);
		net_refuse(n, pkt, &in);
		return;
	case -NTM_ELIMIT:
		COUNT(n, over_limit);
		net_refuse(n, pkt, &in);
		return;
	case -NTM_EDISABLED:
		if (!end_connection(n, pkt, &in))
			net_refuse(n, pkt, &in);
		return;
	default:
		COUNT(n, malformed);
	}
}
