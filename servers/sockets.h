/* SPDX-License-Identifier: MIT */
/*
 * sockets - bind what a role listens on, before privileges are dropped
 *
 * Owner:   the supervisor keeps the descriptors for as long as it runs, so that a
 *          role that is started again finds its queue of datagrams and clients.
 * An IPv6 wildcard is skipped (with a warning) on a machine without IPv6.
 */
#ifndef NTM_SERVERS_SOCKETS_H
#define NTM_SERVERS_SOCKETS_H

#include "common/err.h"
#include "servers/role.h"

#define SOCKETS_ERROR_LEN 256

/**
 * sockets_bind() - all sockets of @r, and its admin socket in @dir
 * @error: SOCKETS_ERROR_LEN bytes: one sentence on failure
 * Return: 0, -NTM_EPERM, -NTM_EEXISTS (address in use), -NTM_ESYSTEM
 */
NTM_MUST_CHECK int sockets_bind(const struct role *r,
				const struct server_conf *c, const char *dir,
				struct role_sockets *out,
				char error[static SOCKETS_ERROR_LEN]);
/** an end for each. Return: 0, -NTM_ESYSTEM */
NTM_MUST_CHECK int sockets_pair(struct role_sockets *a, struct role_sockets *b);
void sockets_close(struct role_sockets *s);

#endif
