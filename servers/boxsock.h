/* SPDX-License-Identifier: MIT */
/*
 * boxsock - messages between the DC and the box beside it: DIR/dc-box.sock
 *
 * Owner:   one end each, its role's process. Context: loop thread.
 * SEQPACKET, one BoxLink (common/ntm.proto) a message; 0600, and SO_PEERCRED: root or
 * our own user. The DC listens. What cannot be written at once waits, up to
 * BOXSOCK_QUEUE_MAX messages; what does not decode ends the link.
 */
#ifndef NTM_SERVERS_BOXSOCK_H
#define NTM_SERVERS_BOXSOCK_H

#include "common/err.h"
#include "common/loop.h"
#include "common/ntm.pb-c.h"

#define BOXSOCK_MESSAGE_MAX 65536
#define BOXSOCK_QUEUE_MAX   4096
#define BOXSOCK_NODES_MAX   100 /* in one BoxNodes or BoxGone */

struct boxsock;

/**
 * struct boxsock_ops - what the owner is told, never inside a call of its own
 * @message: checked; borrowed for the call
 * @closed:  the other end is gone, or spoke nonsense. Nothing follows; the owner
 *           calls boxsock_close()
 * @drained: nothing waits to be written any more; may be NULL
 */
struct boxsock_ops {
	void (*message)(void *arg, const Ntm__BoxLink *msg);
	void (*closed)(void *arg);
	void (*drained)(void *arg);
};

/** a socket left over is replaced. Return: 0, -NTM_EINVAL (the path is too long),
 *  -NTM_ESYSTEM */
NTM_MUST_CHECK int boxsock_listen(const char *dir, int *fd);
void boxsock_unlink(const char *dir);
/** one that waits at @fd, when it may. Return: 0, -NTM_EAGAIN, -NTM_EPERM */
NTM_MUST_CHECK int boxsock_accept(int fd, int *out);
/** Return: 0, -NTM_ENOTFOUND (nobody listens) */
NTM_MUST_CHECK int boxsock_connect(const char *dir, int *fd);

/** @fd: taken over on success */
NTM_MUST_CHECK int boxsock_new(struct loop *l, int fd,
			       const struct boxsock_ops *ops, void *arg,
			       struct boxsock **out);
/** the memory goes at the end of the turn; NULL is fine */
void boxsock_close(struct boxsock *b);
/** Return: 0, -NTM_ELIMIT (too many wait), -NTM_ENOMEM, -NTM_ETOOBIG */
NTM_MUST_CHECK int boxsock_send(struct boxsock *b, const Ntm__BoxLink *msg);
bool boxsock_is_idle(const struct boxsock *b);

#endif
