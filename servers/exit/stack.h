/* SPDX-License-Identifier: MIT */
/*
 * stack - one node's TCP and UDP, ended here: an instance of libslirp and its limits
 *
 * Owner:    net.c's table of nodes. Context: the net process's one thread.
 * libslirp speaks Ethernet with a guest; the guest is the node, and what libslirp asks
 * about it (ARP, neighbour discovery) is answered here.
 */
#ifndef NTM_SERVERS_EXIT_STACK_H
#define NTM_SERVERS_EXIT_STACK_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/datapath/inner.h"
#include "common/err.h"

#define STACK_FLOWS	  1024	/* UDP: places for who may answer */
#define STACK_FLOW_LIFE_S 240	/* as long as libslirp keeps a socket */
#define STACK_MTU	  65521 /* of libslirp; the data path cuts */
#define STACK_MSS	  16384 /* of its segments; see docs/benchmarks.md */

struct stack;

/** struct stack_env - what all nodes share; outlives them
 *  @deliver: a packet for the node, whole and with its checksums; @pkt writable
 *  @now_ns:  monotonic */
struct stack_env {
	void (*deliver)(void *arg, uint8_t *pkt, size_t len);
	uint64_t (*now_ns)(void *arg);
	unsigned int sockets_max; /* of one node */
	unsigned int all_max;	  /* of all nodes */
	unsigned int all;	  /* open now, of all */
	uint64_t unsolicited;	  /* datagrams from whom nobody asked */
	void *arg;
};

/** struct polled - the descriptors of one turn, of all nodes */
struct polled {
	struct pollfd *fds;
	size_t n, max;
	bool full; /* no memory: what is left out waits a turn */
};
/** Return: index, or -1: no memory */
int polled_add(struct polled *p, int fd, short events);

NTM_MUST_CHECK int stack_new(struct stack_env *env,
			     const uint8_t vip4[static 4],
			     const uint8_t vip6[static 16], struct stack **out);
void stack_free(struct stack *s);
/**
 * stack_input() - a TCP or UDP packet of the node, filtered, checksums whole
 * @pkt: @len bytes, changed (MSS)
 * Return: 0; -NTM_ELIMIT: a new connection, and there are enough; -NTM_EINVAL: no
 *         packet for libslirp
 */
NTM_MUST_CHECK int stack_input(struct stack *s, uint8_t *pkt,
			       const struct inner *in);
/** whose sockets they are: counted there, too; NULL: nobody's. Borrowed */
void stack_set_owner(struct stack *s, unsigned int *sockets);
/** before poll(): its descriptors, and *@timeout_ms made less where it must wake */
void stack_fill(struct stack *s, struct polled *p, uint32_t *timeout_ms);
/** after poll() */
void stack_poll(struct stack *s, struct polled *p);
/** the node's tunnel has a path again */
void stack_path(struct stack *s);
/** a reset of each TCP connection, for the node: they end with the stack */
void stack_reset(struct stack *s,
		 void (*fn)(void *arg, uint8_t *pkt, size_t len), void *arg);
unsigned int stack_sockets(const struct stack *s);

#endif
