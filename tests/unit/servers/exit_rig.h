/* SPDX-License-Identifier: MIT */
/*
 * exit_rig - the exit's net process between a played node and hosts of this machine
 *
 * Owner:    a test. The node's packets are made by hand, as its data path would write
 *           them; the hosts are sockets on loopback, which exit.allow opens here and
 *           nothing else would.
 */
#ifndef NTM_TESTS_EXIT_RIG_H
#define NTM_TESTS_EXIT_RIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/datapath/inner.h"
#include "servers/exit/net.h"
#include "servers/exit/seam.h"

#define RIG_MTU 1416

struct rig {
	struct net *net;
	struct net_stats stats;
	int fd;
	struct virtio_net_hdr vh; /* of what came last */
	uint8_t pkt[SEAM_PACKET_MAX];
	struct inner in;
};

extern const uint8_t rig_node4[4], rig_other4[4], rig_host4[4];
extern const uint8_t rig_node6[16], rig_host6[16];

struct made {
	uint8_t b[2048];
	size_t len;
};

/** a network of our own, where ping sockets are allowed, if there may be one */
void rig_network(void);
/** @sockets: of one node */
void rig_open(struct rig *r, unsigned int sockets);
void rig_close(struct rig *r);
void ip_make(struct made *m, const void *src, const void *dst, bool six,
	     uint8_t proto, size_t l4_len);
void udp_make(struct made *m, bool six, const void *src, const void *dst,
	      uint16_t port, uint16_t to, const char *text);
void tcp_make(struct made *m, const void *src, const void *dst, uint16_t port,
	      uint16_t to, uint32_t seq, uint32_t ack, uint8_t flags,
	      const char *text);
void echo_make(struct made *m, bool six, const void *src, const void *dst,
	       uint16_t id, uint16_t seq);
/** to the net process; the checksum is left open, as a tunnel leaves it */
void rig_send(struct rig *r, const struct made *m);
/** the next packet for the node, in @r; false: none came */
bool rig_next(struct rig *r);
/** everything sent is dealt with, and nothing comes */
void rig_nothing(struct rig *r);
void rig_prohibited(struct rig *r, bool six);
int rig_host(bool six, int type, uint16_t *port);
/** turns until @fd can be read */
void rig_await(struct rig *r, int fd);

#endif
