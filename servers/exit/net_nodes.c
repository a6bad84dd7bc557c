/* SPDX-License-Identifier: MIT */
/* net_nodes - the nodes that send: a stack and a share for each address of theirs */
#include <stdlib.h>

#include "common/log.h"
#include "servers/exit/net_impl.h"

struct node *net_node_find(struct net *n, const void *ip, size_t len)
{
	struct node *node;
	uint8_t vip[16];

	filter_widen(ip, len, vip);
	HASH_FIND(hh, n->nodes, vip, sizeof(vip), node);
	return node;
}

void net_node_free(struct net *n, struct node *node)
{
	HASH_DEL(n->nodes, node);
	stack_free(node->stack);
	share_put(n->shares, node->share);
	free(node);
	n->stats->nodes = HASH_COUNT(n->nodes);
}

static void send_reset(void *arg, uint8_t *pkt, size_t len)
{
	net_send(arg, NULL, pkt, len);
}

static int node_stack(struct net *n, struct node *node)
{
	static const uint8_t none[16];
	const uint8_t *ip = node->vip;
	bool four = filter_is4(ip);

	return stack_new(&n->env, four ? ip + 12 : none, four ? none : ip,
			 &node->stack);
}

/* Its connections end, and its programs hear so. Without memory it is gone. */
static void node_reset(struct net *n, struct node *node)
{
	stack_reset(node->stack, send_reset, n);
	stack_free(node->stack);
	node->stack = NULL;
	if (!node_stack(n, node)) {
		stack_set_owner(node->stack, share_sockets(node->share));
		return;
	}
	net_node_free(n, node);
}

static struct node *node_idle(struct net *n)
{
	struct node *node, *tmp, *idle = NULL;

	HASH_ITER (hh, n->nodes, node, tmp)
		if (!stack_sockets(node->stack) &&
		    (!idle || node->used_ns < idle->used_ns))
			idle = node;
	return idle;
}

struct node *net_node_get(struct net *n, const struct inner *in)
{
	bool four = in->version == 4;
	struct node *node = net_node_find(n, in->src, four ? 4 : 16);

	if (node)
		return node;
	if (HASH_COUNT(n->nodes) >= NET_NODES_MAX) {
		node = node_idle(n);
		if (!node)
			return NULL;
		net_node_free(n, node);
	}
	node = calloc(1, sizeof(*node));
	if (!node)
		return NULL;
	filter_widen(in->src, four ? 4 : 16, node->vip);
	node->share = share_get(n->shares, 0);
	if (!node->share || node_stack(n, node)) {
		share_put(n->shares, node->share);
		free(node);
		return NULL;
	}
	stack_set_owner(node->stack, share_sockets(node->share));
	HASH_ADD(hh, n->nodes, vip, sizeof(node->vip), node);
	n->stats->nodes = HASH_COUNT(n->nodes);
	return node;
}

void net_node_forget(struct net *n, const void *ip, size_t len)
{
	struct node *node = net_node_find(n, ip, len);

	if (node)
		net_node_free(n, node);
	echo_forget(n->echo, ip, len);
}

void net_nodes_expire(struct net *n)
{
	struct node *node, *tmp;

	HASH_ITER (hh, n->nodes, node, tmp) {
		uint64_t idle = (n->now_ns - node->used_ns) / 1000000000;

		if (idle > NET_SILENT_S ||
		    (idle > NET_IDLE_S && !stack_sockets(node->stack)))
			net_node_free(n, node);
	}
}

void net_node_path(struct net *n, const void *ip, size_t len)
{
	struct node *node = net_node_find(n, ip, len);

	if (node)
		stack_path(node->stack);
}

/* Until now it had a share of its own, or is another's. Return: its sockets */
unsigned int net_node_account(struct net *n, const void *ip, size_t len,
			      const struct seam_control *c)
{
	struct node *node = net_node_find(n, ip, len);
	unsigned int sockets;
	struct share *share;

	if (!node)
		return 0;
	if (!share_is_of(node->share, c->account)) {
		share = share_get(n->shares, c->account);
		if (!share)
			return 1; /* told again in a second */
		stack_set_owner(node->stack, share_sockets(share));
		share_put(n->shares, node->share);
		node->share = share;
	}
	share_close(node->share, c->closed);
	sockets = stack_sockets(node->stack);
	if (c->closed && sockets)
		node_reset(n, node);
	return sockets;
}
