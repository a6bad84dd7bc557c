/* SPDX-License-Identifier: MIT */
/*
 * unixsock - sockets in a folder where processes of one user meet, and who is at the end
 *
 * libc only: the keeper links it. Descriptors are close-on-exec and do not block.
 */
#ifndef NTM_COMMON_UNIXSOCK_H
#define NTM_COMMON_UNIXSOCK_H

#include <stdbool.h>
#include <sys/un.h>

#include "common/err.h"

/** @dir/@name. Return: 0, -NTM_EINVAL: it is too long for a socket's address */
NTM_MUST_CHECK int unixsock_path(const char *dir, const char *name,
				 struct sockaddr_un *out);
/**
 * unixsock_listen() - a listening socket at @dir/@name, with mode 0600 from the first moment
 * @type: SOCK_STREAM, SOCK_SEQPACKET
 *
 * What was there before is removed: the caller knows that whoever made it is gone.
 * Return: 0, -NTM_EINVAL (too long), -NTM_ESYSTEM (errno says why)
 */
NTM_MUST_CHECK int unixsock_listen(const char *dir, const char *name, int type,
				   int backlog, int *fd);
/**
 * unixsock_dial() - a connection to @dir/@name
 * Return: 0, -NTM_EINVAL (too long), -NTM_ESYSTEM, -NTM_ECLOSED (nobody listens, or
 *         somebody of another user)
 */
NTM_MUST_CHECK int unixsock_dial(const char *dir, const char *name, int type,
				 int *fd);
/** stands a socket at @dir/@name? One that listens may have lost its file meanwhile */
bool unixsock_is_there(const char *dir, const char *name);
/** is the process at the other end of @fd (it had connected, or listened) of our user? */
bool unixsock_is_ours(int fd);
/** the same, or root's */
bool unixsock_is_ours_or_root(int fd);

#endif
