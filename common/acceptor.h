/* SPDX-License-Identifier: MIT */
/*
 * acceptor - takes connections from listening sockets, and rests when none can be had
 *
 * Where descriptors or memory run out accept() fails, and the socket stays readable: the
 * loop would turn without end. So accept rests then, for ACCEPTOR_PAUSE_MS or until it is
 * said that there is room again.
 *
 * Owner: whoever serves the connections. Context: loop thread.
 */
#ifndef NTM_COMMON_ACCEPTOR_H
#define NTM_COMMON_ACCEPTOR_H

#include "common/addr.h"
#include "common/loop.h"

#define ACCEPTOR_SOCKETS_MAX 16
#define ACCEPTOR_PER_TURN    64 /* of one socket, before others have their turn */
#define ACCEPTOR_PAUSE_MS    250

struct acceptor;

/** @fd: taken; does not block, close-on-exec. @from: NULL where it has no IP address */
typedef void acceptor_fn(void *arg, int fd, const struct addr *from);

/** @name: in the log. Return: 0, -NTM_ENOMEM */
NTM_MUST_CHECK int acceptor_new(struct loop *l, const char *name,
				acceptor_fn *fn, void *arg,
				struct acceptor **out);
/** stops and closes its sockets. NULL is fine */
void acceptor_free(struct acceptor *a);
/** @fd: listens, does not block; taken on success. Return: 0, -NTM_ELIMIT, -NTM_ENOMEM */
NTM_MUST_CHECK int acceptor_add(struct acceptor *a, int fd);
/** its sockets are the caller's again: acceptor_free() closes none. NULL is fine */
void acceptor_forget(struct acceptor *a);
/** @full: nobody is accepted until there is room; else at once, also after a rest */
void acceptor_set_full(struct acceptor *a, bool full);

#endif
