/* SPDX-License-Identifier: MIT */
/*
 * thread - a forwarding thread: its sockets, buffers, counters
 *
 * Owner:   struct rs, control thread; thread_free() ends it first.
 * Context: everything but new, free and the counters is the thread's own. Memory is
 *          taken at the start; nothing is allocated, locked or logged for a packet.
 */
#ifndef NTM_SERVERS_RS_THREAD_H
#define NTM_SERVERS_RS_THREAD_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "common/err.h"
#include "common/packet.h"
#include "servers/role.h"
#include "servers/rs/outbox.h"

#define THREAD_BATCH	   64
#define THREAD_BATCH_LARGE 8 /* messages, while they hold much each */
#define THREAD_MESSAGE_MAX 65536
#define THREAD_ARENA	   4096 /* protobuf-c's memory while a punch is looked at */

struct rs;

/** struct rs_stats - written by the thread, read by the control thread. Datagrams */
struct rs_stats {
	_Atomic uint64_t received;
	_Atomic uint64_t forwarded, forwarded_bytes; /* handed to the outbox */
	_Atomic uint64_t punches, probes;
	/* dropped, and why */
	_Atomic uint64_t malformed, unknown_path, wrong_source, unbound;
	_Atomic uint64_t over_rate, over_day, over_credit, busy;
	_Atomic uint64_t bad_punch, old_punch, short_punch;
	_Atomic uint64_t signals_lost;
	/* of groups: taken from members, and sent on; dropped, and why */
	_Atomic uint64_t group_packets, group_copies;
	_Atomic uint64_t unknown_group, bad_hop, not_member;
};

/** struct arrival - one message of recvmmsg(): datagrams of one source and size */
struct arrival {
	struct remote from; /* local: 0 until arrival_local() */
	uint8_t *data;
	size_t len;
	uint16_t size; /* of each datagram; the last may be shorter */
	uint8_t ecn;
	const struct cmsghdr *info; /* IP_PKTINFO, IPV6_PKTINFO, or NULL */
};

struct rs_thread {
	struct rs *rs;
	pthread_t thread;
	bool running;
	int stop; /* eventfd */
	size_t n_sockets;
	int fds[ROLE_SOCKETS_MAX];
	sa_family_t family[ROLE_SOCKETS_MAX];
	struct outbox outbox;
	struct rs_stats stats;
	unsigned int vlen;     /* messages asked for at once */
	_Atomic uint64_t turn; /* odd: it may look at a group; see groups.c */
	uint32_t fan_first;    /* fanout.c */
	size_t arena_used;
	uint8_t arena[THREAD_ARENA] __attribute__((aligned(16)));
	struct mmsghdr in[THREAD_BATCH];
	struct iovec in_iov[THREAD_BATCH];
	struct sockaddr_in6 in_from[THREAD_BATCH];
	uint8_t in_control[THREAD_BATCH][128]
		__attribute__((aligned(sizeof(size_t))));
	uint8_t *in_buf;
};

/** @fds: one socket of each listening address, taken over on success.
 *  Return: 0, -NTM_ENOMEM, -NTM_ESYSTEM */
NTM_MUST_CHECK int thread_new(struct rs *rs, const int *fds, size_t n,
			      struct rs_thread **out);
void thread_free(struct rs_thread *t);
/** nanoseconds of processor it has used */
uint64_t thread_cpu_ns(const struct rs_thread *t);
/** what its sockets have: reads and forwards until they are empty, or a while.
 *  For the thread, and for a fuzzer that has none. */
void thread_receive(struct rs_thread *t, size_t socket);

/** fill in @a->from.local: an answer leaves from the address that was asked */
void arrival_local(struct rs_thread *t, struct arrival *a);

/* forward.c */
/** all datagrams of @a; what goes out lies in the outbox */
void forward_arrival(struct rs_thread *t, struct arrival *a);
/** of @bytes in datagrams of a->size, how many @account may still send; those are
 *  charged, the others counted */
size_t forward_charge(struct rs_thread *t, const struct arrival *a,
		      uint32_t account, size_t bytes);

/* fanout.c */
/** @bytes of group packets with one tag, from a->data or behind it */
void fanout_run(struct rs_thread *t, const struct arrival *a, uint8_t *data,
		size_t bytes);

#endif
