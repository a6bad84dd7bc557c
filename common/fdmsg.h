/* SPDX-License-Identifier: MIT */
/*
 * fdmsg - one message with some descriptors over a Unix SEQPACKET socket
 *
 * Owner:    stateless. Context: keeper, inside process, worker.
 */
#ifndef NTM_COMMON_FDMSG_H
#define NTM_COMMON_FDMSG_H

#include <stddef.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "common/err.h"

#define FDMSG_MAX 5 /* descriptors in one message */

/**
 * fdmsg_send() - both parts as one message, descriptors duplicated to the peer
 * Blocks as the socket does (SO_SNDTIMEO), but with MSG_DONTWAIT in @flags; never raises
 * SIGPIPE.
 * Return: 0, -NTM_ECLOSED, -NTM_EAGAIN, -NTM_ESYSTEM
 */
NTM_MUST_CHECK int fdmsg_send(int sock, const void *head, size_t head_len,
			      const void *body, size_t body_len, const int *fds,
			      size_t n_fds, int flags);
/**
 * fdmsg_recv() - one message
 * @fds:   FDMSG_MAX places; close-on-exec; the caller's
 * @n_fds: set to how many came, 0 on error
 * @flags: MSG_DONTWAIT or 0
 * Return: bytes, -NTM_ECLOSED (hang-up), -NTM_EAGAIN, -NTM_ETOOBIG (cut; its
 *         descriptors are closed), -NTM_ESYSTEM
 */
NTM_MUST_CHECK ssize_t fdmsg_recv(int sock, void *buf, size_t size,
				  int fds[static FDMSG_MAX], size_t *n_fds,
				  int flags);
/** waits at most @timeout_ms for something to read. Return: 0, -NTM_ETIMEOUT */
NTM_MUST_CHECK int fdmsg_wait(int sock, int timeout_ms);

#endif
