/* SPDX-License-Identifier: MIT */
/*
 * net_impl - the net process, as net.c and its parts see it
 *
 *   net.c         turns, messages of the seam, life
 *   net_nodes.c   who sends: a stack and a share for each
 *   net_packet.c  what becomes of a node's packet
 *   net_send.c    what nodes are sent
 *
 * Owner: struct net has all. Context: its one thread.
 */
#ifndef NTM_SERVERS_EXIT_NET_IMPL_H
#define NTM_SERVERS_EXIT_NET_IMPL_H

#include <uthash.h>

#include "broker/datapath/inner.h"
#include "servers/exit/echo.h"
#include "servers/exit/fragments.h"
#include "servers/exit/net.h"
#include "servers/exit/seam.h"
#include "servers/exit/share.h"
#include "servers/exit/stack.h"

#define NODE_MTU_MIN 1280 /* always fits */

#define COUNT(n, field)                                                        \
	atomic_fetch_add_explicit(&(n)->stats->field, 1, memory_order_relaxed)

/* struct node - by one of its two addresses; which belong together nobody tells us, so
 * IPv4 and IPv6 of a node have a stack each */
struct node {
	uint8_t vip[16]; /* widened */
	struct stack *stack;
	struct share *share;
	uint64_t used_ns;
	uint64_t mtu_until;
	uint32_t mtu; /* what the data path said fits; 0: nothing */
	bool polled;
	UT_hash_handle hh;
};

struct net {
	struct net_conf conf;
	struct net_stats *stats;
	int fd;
	struct stack_env env;
	struct echo *echo;
	struct fragments *fragments;
	struct shares *shares;
	uint32_t ident; /* of datagrams that are cut */
	struct node *nodes;
	struct polled polled;
	uint64_t now_ns, looked_ns, refused_ns;
	bool knows; /* this machine's addresses */
	bool said;  /* that they cannot be read */
	unsigned int refused;
	bool has_self;
	uint8_t vip4[4], vip6[16]; /* ours */
	uint8_t msg[sizeof(struct virtio_net_hdr) + SEAM_PACKET_MAX];
};

/* --- net_nodes.c --- */

/** @ip: of 4 or 16 bytes. Return: NULL: it has sent nothing */
struct node *net_node_find(struct net *n, const void *ip, size_t len);
/** of a packet's source, made with its first one. NULL: no room, no memory */
struct node *net_node_get(struct net *n, const struct inner *in);
void net_node_free(struct net *n, struct node *node);
/** withdrawn: all of it ends */
void net_node_forget(struct net *n, const void *ip, size_t len);
/** who has been silent for long */
void net_nodes_expire(struct net *n);
/** its way is another one, or answers again */
void net_node_path(struct net *n, const void *ip, size_t len);
/** SEAM_ACCOUNT: whose it is, and whether its day is over. Return: its sockets */
unsigned int net_node_account(struct net *n, const void *ip, size_t len,
			      const struct seam_control *c);

/* --- net_packet.c --- */

/** a packet of a node, with what the seam says of it. @pkt: destroyed */
void net_packet(struct net *n, const struct virtio_net_hdr *vh, uint8_t *pkt,
		size_t len);

/* --- net_send.c --- */

/** at once, in parts if it must. @node: whose it is; NULL: one that has nothing but
 *  this packet. @pkt: destroyed */
void net_send(struct net *n, struct node *node, uint8_t *pkt, size_t len);
/** stack_env.deliver: by the account's share */
void net_deliver(void *arg, uint8_t *pkt, size_t len);
/** "administratively prohibited", REFUSALS_S a second */
void net_refuse(struct net *n, uint8_t *pkt, const struct inner *in);

#endif
