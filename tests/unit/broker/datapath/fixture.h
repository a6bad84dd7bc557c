/* SPDX-License-Identifier: MIT */
/*
 * fixture - two data paths on one loop: packet sockets for TUNs, UDP on loopback
 *
 * Owner:    the test. The clock is the test's: it moves by net.now alone.
 */
#ifndef NTM_TESTS_DATAPATH_FIXTURE_H
#define NTM_TESTS_DATAPATH_FIXTURE_H

#include "broker/datapath/datapath.h"
#include "packets.h"

#define CONTROL_MAX 256

/** struct node - one side, and what its data path reported */
struct node {
	struct net *net;
	int tun; /* our end of its TUN */
	int dp_tun, udp;
	struct addr at;
	struct datapath *dp;
	struct dp_tunnel *t;
	unsigned int signals, asked, controls, unknowns, confirms, moves;
	unsigned int rekeys, errors, broken, wants, heard;
	uint32_t wanted, heard_of; /* members of a group, by index */
	uint8_t confirmed_phase;
	int error;
	bool accept; /* answer of no_tunnel: make a tunnel to the other side */
	bool close_in_control;
	struct addr moved_to, asked_for;
	uint8_t control[CONTROL_MAX];
	size_t control_len;
};

struct net {
	struct loop *loop;
	uint64_t now;
	struct node n[2];
};

/** a and b with a lease each; tunnels, keys and paths where @tunnels */
void net_up(struct net *net, bool tunnels);
void net_down(struct net *net);
/** until nothing moves any more */
void net_settle(struct net *net);
/** keys of @phase for side @i; every phase has its own */
void net_keys(struct net *net, int i, uint8_t phase, bool confirmed);
void net_tunnel(struct net *net, int i);
void net_offload(struct net *net, bool gso, bool gro, bool join);
/** a packet of the kernel of side @i */
void net_write(struct net *net, int i, const struct virtio_net_hdr *vh,
	       const uint8_t *pkt, size_t len);
/** what the kernel of side @i gets; false: nothing more */
bool net_read(struct net *net, int i, struct virtio_net_hdr *vh, uint8_t *pkt,
	      size_t *len);
/** all that the kernel of side @i gets, expanded. Return: writes seen */
size_t net_collect(struct net *net, int i, struct packet_list *list);
/** a spec from side 0 to side 1 (or back) with usual values */
struct spec net_spec(int from, unsigned int version, uint8_t proto,
		     uint32_t payload);
/** the bytes of a spec, written at side @i */
void net_send(struct net *net, int i, const struct spec *s);
struct dp_counters net_counters(struct net *net, int i);

/* --- of tests whose state is a net --- */
int net_setup(void **state);
/** without tunnels */
int net_setup_bare(void **state);
int net_teardown(void **state);
/** what the kernel of side @i got since the last time, in net_got. Return: how many */
size_t net_get(struct net *net, int i);
extern struct packet_list net_got;

#endif
