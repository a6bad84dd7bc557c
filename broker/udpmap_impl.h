/* SPDX-License-Identifier: MIT */
/*
 * udpmap_impl - what udpmap.c, udpflow.c and udpmove.c share
 *
 * Owner:    these three. Context: worker's loop thread.
 */
#ifndef NTM_BROKER_UDPMAP_IMPL_H
#define NTM_BROKER_UDPMAP_IMPL_H

#include <netinet/in.h>
#include <sys/queue.h>

#include "broker/announced.h"
#include "broker/sockdiag.h"
#include "broker/udpmap.h"

/* V6ONLY flows have the low numbers, which are ports; see struct shim_flow */
#define UDP_FLOWS6 (65536 - SHIM_UDPALIAS6_PORT)

union udp_endpoint {
	struct sockaddr sa;
	struct sockaddr_in in4;
	struct sockaddr_in6 in6;
};

/**
 * struct udp_side - a socket inside the namespace, bound to a virtual address
 * @fd: -1: this family has no virtual address, or the server does not serve it
 */
struct udp_side {
	struct udp_server *server;
	int fd;
	struct loop_io *io;
	union udp_endpoint bound;
};

/** struct udp_server - one wildcard port; @socks: the programs' sockets on it */
struct udp_server {
	LIST_ENTRY(udp_server) link;
	struct udpmap *map;
	uint16_t domain, port;
	bool v6only;
	struct udp_side side4, side6;
	struct announced socks;
};

/**
 * struct udp_flow - what the page does not say of a flow
 * @server: NULL: free
 * @used:   loop time in seconds; of a free one: when it was freed
 * @fd:     V6ONLY: host socket on ::1 and the flow's port; else -1
 */
struct udp_flow {
	STAILQ_ENTRY(udp_flow) link; /* free */
	struct udp_server *server;
	uint32_t used;
	int fd;
	struct loop_io *io;
	uint64_t checked; /* loop time of the last owner check, ns */
	bool owned;	  /* its result */
};
STAILQ_HEAD(udp_flow_list, udp_flow);

/** struct udp_range - flow numbers of one kind; fresh ones are taken only while
 *  no rested one is there, so that few pages are ever touched */
struct udp_range {
	uint32_t next, end;
	struct udp_flow_list rested;
};

struct udp_batch;

struct udpmap {
	struct loop *loop;
	struct keeper_link *keeper;
	struct page *page;
	struct shim_stats *stats;
	struct sockdiag *diag;
	struct loop_timer *alive, *expire;
	int host; /* all flows but V6ONLY ones, told apart by IP_PKTINFO */
	uint16_t host_port;
	struct loop_io *host_io;
	uint8_t vip6[16], vip4[4];
	LIST_HEAD(, udp_server) servers;
	size_t n_servers;
	struct udp_range range4, range6;
	uint16_t per_peer[4096]; /* flows by hash of the peer's address */
	struct udp_batch *batch;
	struct udp_flow flow[SHIM_FLOWS];
};

/* udpmap.c */

/** would the program that announced the flow's server receive what we send from
 *  its alias? Another user's socket may be connected to that alias alone. A yes
 *  holds for OWNED_NS: an answer is not asked for again that its request had */
bool udp_flow_owned(struct udpmap *u, uint32_t number);
struct udp_server *udp_server_find(struct udpmap *u, bool v6only,
				   uint16_t port);
void udp_buffers_set(int fd);

/* udpflow.c */

/** the flow of @peer with @s, made when missing. false: none can be made */
bool udp_flow_get(struct udp_server *s, const struct shim_addr *peer,
		  uint32_t *number);
void udp_flow_end(struct udpmap *u, uint32_t number);
/** @fd becomes the V6ONLY flow's. false: it does not */
bool udp_flow_socket_take(struct udpmap *u, uint32_t number, int fd);
void udp_flows_expire(void *arg); /* udpmap */
/** those of the page whose server and sockets were restored; drops the others */
void udp_flows_restore(struct udpmap *u);
/** loop time in seconds, for .used */
uint32_t udp_now_s(const struct udpmap *u);

/* udpmove.c */

NTM_MUST_CHECK int udp_batch_new(struct udp_batch **out);
void udp_batch_free(struct udp_batch *b);
void udp_inside_ready(void *arg, int fd, unsigned int events); /* udp_side */
void udp_host_ready(void *arg, int fd, unsigned int events);   /* udpmap */
void udp_flow_ready(void *arg, int fd, unsigned int events);   /* udpmap */

#endif
