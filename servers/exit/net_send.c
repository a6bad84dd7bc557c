/* SPDX-License-Identifier: MIT */
/*
 * net_send - packets towards the nodes
 *
 * Theory of operation
 *
 * What libslirp sends to a node leaves at once, as one message. When the seam is full
 * we wait for up to SEND_WAIT_MS: the other process is slow, and this is how TCP feels
 * it; what then does not go is lost, and counted.
 */
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/uio.h>

#include "broker/datapath/icmp.h"
#include "servers/exit/net_impl.h"

#define SEND_WAIT_MS 200
#define REFUSALS_S   1000

static void send_message(struct net *n, const struct iovec *iov, int count)
{
	struct pollfd p = {.fd = n->fd, .events = POLLOUT};
	ssize_t r;

	do {
		r = writev(n->fd, iov, count);
	} while (r < 0 && errno == EINTR);
	if (r < 0 && errno == EAGAIN && poll(&p, 1, SEND_WAIT_MS) > 0)
		r = writev(n->fd, iov, count);
	if (r < 0)
		COUNT(n, lost);
}

static void send_part(void *arg, const uint8_t *header, size_t header_len,
		      const uint8_t *body, size_t len)
{
	static const struct virtio_net_hdr none;
	const struct iovec iov[3] = {{(void *)&none, sizeof(none)},
				     {(void *)header, header_len},
				     {(void *)body, len}};

	send_message(arg, iov, 3);
}

/* what fits into its tunnel, as far as it has told */
static uint32_t mtu_of(struct net *n, const struct node *node)
{
	return node && node->mtu && n->now_ns < node->mtu_until ? node->mtu
								: n->conf.mtu;
}

void net_send(struct net *n, struct node *node, uint8_t *pkt, size_t len)
{
	struct virtio_net_hdr vh;
	struct inner in;
	const struct iovec iov[2] = {{&vh, sizeof(vh)}, {pkt, len}};
	uint32_t mtu;

	if (len > SEAM_PACKET_MAX || inner_parse(pkt, len, &in))
		return;
	COUNT(n, packets_out);
	atomic_fetch_add_explicit(&n->stats->bytes_out, len,
				  memory_order_relaxed);
	/* TCP is cut by the data path, which knows better */
	if (in.proto != IPPROTO_TCP && in.len > NODE_MTU_MIN) {
		mtu = mtu_of(n, node);
		if (in.len > mtu) {
			fragments_cut(pkt, &in, mtu, n->ident++, send_part, n);
			return;
		}
	}
	seam_super(&in, n->conf.mtu, &vh);
	send_message(n, iov, 2);
}

void net_deliver(void *arg, uint8_t *pkt, size_t len)
{
	struct net *n = arg;
	struct node *node;

	if (pkt[0] >> 4 == 4)
		node = net_node_find(n, pkt + 16, 4);
	else
		node = net_node_find(n, pkt + 24, 16);
	if (node && !share_down(n->shares, node->share, n->now_ns, len))
		COUNT(n, over_rate);
	else
		net_send(n, node, pkt, len);
}

/* From our own address: that of the refused destination may be one that the node's
 * kernel takes from nobody, like 127.0.0.1. */
void net_refuse(struct net *n, uint8_t *pkt, const struct inner *in)
{
	uint8_t icmp[ICMP_ERROR_MAX];
	struct inner from = *in;
	size_t len;

	if (n->now_ns - n->refused_ns > UINT64_C(1000000000)) {
		n->refused_ns = n->now_ns;
		n->refused = 0;
	}
	if (!n->has_self || n->refused++ >= REFUSALS_S)
		return;
	if (in->dst[0] >= 224 && in->version == 4)
		return;
	from.dst = in->version == 4 ? n->vip4 : n->vip6;
	len = icmp_prohibited(pkt, &from, icmp);
	if (len)
		net_send(n, NULL, icmp, len);
}
