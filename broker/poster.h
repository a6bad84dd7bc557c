/* SPDX-License-Identifier: MIT */
/*
 * poster - the keeper's children beside the worker: ntm-post (items), ntm-member (groups)
 *
 * Owner:    the keeper. Context: its one thread. One of each at a time; they outlive
 * workers, and end by themselves when nothing is left to do. The worker says when they
 * are started (postlink.h, memberlink.h), and puts their listening sockets into the
 * keeper's store before.
 */
#ifndef NTM_BROKER_POSTER_H
#define NTM_BROKER_POSTER_H

#include <sys/types.h>

#include "broker/keeper.h"
#include "broker/keeper_link.h"
#include "broker/keeper_store.h"

/* keys of the store, in the order in which the child gets the sockets; what it is told
 * in LISTEN_FDNAMES is what stands behind the last / */
#define POSTER_PREFIX "post/l/"
#define POSTER_NAMES                                                           \
	{                                                                      \
		"post", "tcp6", "tcp4"                                         \
	}
#define POSTER_MAX	  3
#define POSTER_MEMBER_KEY "member/l/member"

/** struct poster - @pid: 0: none runs */
struct poster {
	enum poster_kind kind;
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
