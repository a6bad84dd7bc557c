/* SPDX-License-Identifier: MIT */
/*
 * exitrole - the role `exit` becomes the program ntm-exit
 *
 * Context: the role's process, after it has become the folder's owner.
 * That program runs the node's control plane, whose functions have the names of this
 * one's; so it is a program of its own, and gets what it needs as options.
 */
#ifndef NTM_SERVERS_EXITROLE_H
#define NTM_SERVERS_EXITROLE_H

#include "servers/role.h"

/** Return: exit status, only when the program cannot be run */
int exitrole_exec(const char *dir, const struct server_conf *c,
		  const struct role_sockets *s);

#endif
