/* SPDX-License-Identifier: MIT */
/*
 * poster - the keeper's child that sends and receives items: ntm-post
 *
 * Owner:    the keeper. Context: its one thread. One at a time; it outlives workers,
 * and ends by itself when nothing is left to do. The worker says when it is started
 * (postlink.h), and puts its listening sockets into the keeper's store before.
 */
#ifndef NTM_BROKER_POSTER_H
#define NTM_BROKER_POSTER_H

#include <sys/types.h>

#include "broker/keeper.h"
#include "broker/keeper_store.h"

/* keys of the store, in the order in which ntm-post gets the sockets; what it is told
 * in LISTEN_FDNAMES is what stands behind the last / */
#define POSTER_PREFIX "post/l/"
#define POSTER_NAMES                                                           \
	{                                                                      \
		"post", "tcp6", "tcp4"                                         \
	}
#define POSTER_MAX 3

/** struct poster - @pid: 0: none runs */
struct poster {
	pid_t pid;
};

/**
 * poster_start() - start it, beside ntm-worker, with what the store has
 * @fd: the socket to speak with it, for the worker; the caller closes it
 *
 * Return: 0, -NTM_EEXISTS (one runs), -NTM_ENOTFOUND (it is not installed),
 *         -NTM_ESYSTEM
 */
NTM_MUST_CHECK int poster_start(struct poster *p,
				const struct keeper_options *opt,
				const struct keeper_store *store, int *fd);
/** it is to end in order (SIGTERM) */
void poster_end(const struct poster *p);
/** a child died: was it this one? */
void poster_check(struct poster *p);

#endif
