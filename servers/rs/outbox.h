/* SPDX-License-Identifier: MIT */
/*
 * outbox - what a thread is about to send: runs of datagrams, then one system call
 *
 * A run is datagrams of one size (the last may be shorter) to one destination, where
 * they lie in the thread's receive buffers: nothing is copied. A run of several is
 * one UDP_SEGMENT message; all messages of a socket leave by sendmmsg().
 * Owner:   a thread. Context: that thread; others read @stats.
 * Order:   datagrams of one key leave in the order they were added.
 */
#ifndef NTM_SERVERS_RS_OUTBOX_H
#define NTM_SERVERS_RS_OUTBOX_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "servers/rs/locals.h"
#include "servers/rs/paths.h"
#include "servers/role.h"

#define OUTBOX_RUNS	128
#define OUTBOX_SEGMENTS 64    /* what every kernel with UDP_SEGMENT takes */
#define OUTBOX_BYTES	65000 /* and in all */
#define OUTBOX_KEYS	256   /* a power of two */

/** struct outbox_stats - written by the thread, read by the control thread */
struct outbox_stats {
	_Atomic uint64_t packets, bytes; /* sent */
	_Atomic uint64_t lost;		 /* packets the kernel did not take */
	_Atomic uint64_t
		fallbacks; /* runs sent one by one: UDP_SEGMENT failed */
	_Atomic uint64_t messages; /* handed to the kernel */
};
#define STAT_ADD(counter, n)                                                   \
	atomic_store_explicit(                                                 \
		&(counter),                                                    \
		atomic_load_explicit(&(counter), memory_order_relaxed) + (n),  \
		memory_order_relaxed)

struct outbox_run {
	struct remote to;
	uint32_t key, bytes;
	uint16_t size, n, n_iov;
	uint8_t ecn;
	bool closed; /* its last datagram is shorter: nothing may follow */
	socklen_t name_len;
	struct sockaddr_in6 name;
	uint8_t control[128] __attribute__((aligned(sizeof(size_t))));
	struct iovec iov[OUTBOX_SEGMENTS];
};

struct outbox {
	const struct locals *locals;
	size_t n_sockets;
	int fds[ROLE_SOCKETS_MAX]; /* by struct remote.listen */
	sa_family_t family[ROLE_SOCKETS_MAX];
	bool gso;
	struct outbox_stats stats;
	unsigned int n;
	uint8_t open[OUTBOX_KEYS]; /* newest run of a key, + 1 */
	struct mmsghdr msgs[OUTBOX_RUNS];
	uint8_t msg_run[OUTBOX_RUNS];
	struct outbox_run runs[OUTBOX_RUNS];
};

/** @fds: one socket a listening address; stay the caller's. Return: 0,
 *  -NTM_ESYSTEM */
NTM_MUST_CHECK int outbox_init(struct outbox *o, const int *fds, size_t n,
			       const struct locals *locals);
/**
 * outbox_add() - datagrams to one destination, one after the other in memory
 * @key:   of the destination, e.g. path and end: what has one key may be merged;
 *         0: goes alone
 * @data:  @bytes bytes in datagrams of @size, the last may be shorter; stays as it is
 *         until the flush
 * May flush what was added before.
 */
void outbox_add(struct outbox *o, uint32_t key, const struct remote *to,
		uint8_t ecn, uint8_t *data, size_t bytes, uint16_t size);
void outbox_flush(struct outbox *o);
/** adds to @m's control messages by which of our addresses it leaves to @to; room
 *  behind msg_controllen for one struct in6_pktinfo */
void outbox_local(const struct outbox *o, const struct remote *to,
		  struct msghdr *m);

#endif
