/* SPDX-License-Identifier: MIT */
/*
 * listener_impl - what listener.c and doorbell.c share
 *
 * Owner:    these two. Context: worker's loop thread.
 */
#ifndef NTM_BROKER_LISTENER_IMPL_H
#define NTM_BROKER_LISTENER_IMPL_H

#include <netinet/in.h>
#include <sys/queue.h>

#include "broker/listener.h"
#include "broker/announced.h"
#include "broker/sockdiag.h"

/* out of memory is an answer, not an end */
#define HASH_NONFATAL_OOM	   1
#define uthash_nonfatal_oom(entry) ((entry)->lost = true)
#include <uthash.h>

/** struct listener - one port; @socks: the programs' sockets on it */
struct listener {
	LIST_ENTRY(listener) link;
	struct listeners *owner;
	uint16_t domain, port;
	bool v6only, defer;
	uint32_t backlog;
	int fd;
	struct loop_io *io;
	struct announced socks;
	unsigned int ringing;
	bool paused;
};

struct bell_key {
	uint32_t ip; /* of the doorbell, network order; 0: ::1 */
	uint16_t port, listener;
};

/** struct doorbell - an accepted connection that waits to be claimed */
struct doorbell {
	TAILQ_ENTRY(doorbell) link; /* free or ringing, oldest first */
	UT_hash_handle hh;
	bool lost;	/* could not be hashed */
	bool byte_owed; /* for a deferring listener; not sent yet */
	struct bell_key key;
	struct listener *listener;
	int bell, conn;
	uint64_t born, accepted; /* 0: still in the program's queue */
	struct shim_addr peer;
};
TAILQ_HEAD(bell_list, doorbell);

struct listeners {
	struct loop *loop;
	struct keeper_link *keeper;
	struct shim_stats *stats;
	struct sockdiag *diag;
	LIST_HEAD(, listener) all;
	size_t n;
	struct loop_timer *alive, *sweep;
	struct doorbell *bells; /* by their four addresses */
	struct bell_list free, ringing;
	unsigned int n_ringing, max_ringing;
	uint32_t next_source; /* 127.77.x.y, or ::1's port, turn by turn */
	bool starved;	      /* no descriptors: all paused until a sweep */
	struct doorbell slab[DOORBELLS_MAX];
};

union listener_endpoint {
	struct sockaddr sa;
	struct sockaddr_in in4;
	struct sockaddr_in6 in6;
};

/* doorbell.c, for listener.c */

void doorbells_init(struct listeners *ls);
/** give a doorbell up and reset its connection */
void doorbell_drop(struct listeners *ls, struct doorbell *b);
void doorbells_ready(void *arg, int fd, unsigned int events); /* a listener's */
void doorbells_sweep(void *arg);			      /* listeners */

#endif
