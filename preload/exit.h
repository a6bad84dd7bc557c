/* SPDX-License-Identifier: MIT */
/*
 * exit - hosts that are no nodes, reached through the domain's exit
 *
 * Owner:    none of its own. Context: any thread. Only under `ntm-run --exit`; else a
 * hook pays one load for it.
 */
#ifndef NTM_PRELOAD_EXIT_H
#define NTM_PRELOAD_EXIT_H

#include <stdbool.h>
#include <sys/socket.h>

#include "preload/shim.h"

/**
 * enum exit_way - what becomes of a socket that is to speak with a general host
 * @EXIT_DIRECT: it stays on the host
 * @EXIT_SWAP:   a socket of the namespace takes its place
 * @EXIT_REFUSE: neither: ENETUNREACH (`relay`, and no exit)
 */
enum exit_way { EXIT_DIRECT, EXIT_SWAP, EXIT_REFUSE };

/** exit_wanted() - no system call; false without --exit and for what is plainly here */
static inline bool exit_wanted(const struct sockaddr *sa)
{
	return shim.exit != SHIM_EXIT_DIRECT && sa &&
	       (sa->sa_family == AF_INET || sa->sa_family == AF_INET6);
}

/** @connects: connect(), else a send to @sa. Keeps errno */
enum exit_way exit_way(int fd, const struct sockaddr *sa, socklen_t len,
		       bool connects);

#endif
