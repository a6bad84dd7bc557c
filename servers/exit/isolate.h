/* SPDX-License-Identifier: MIT */
/*
 * isolate - what the exit's net process may still do
 *
 * Context: once, in the child, before it reads the first packet.
 *   Should:  open sockets to hosts, read this machine's addresses.
 *   Mustn't: open files, run programs, see other processes, hold the other process's
 *            descriptors.
 */
#ifndef NTM_SERVERS_EXIT_ISOLATE_H
#define NTM_SERVERS_EXIT_ISOLATE_H

#include "common/err.h"

/** Return: 0, -NTM_ESYSTEM: it must not run */
NTM_MUST_CHECK int exit_isolate_net(void);

#endif
