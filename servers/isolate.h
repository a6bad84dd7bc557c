/* SPDX-License-Identifier: MIT */
/*
 * isolate - what a role's process may still do once it runs
 *
 * Stages, in this order, between fork() and the role's first byte:
 *   isolate_user()     becomes the data folder's owner, without capabilities.
 *                      Should: have its sockets. Mustn't: have opened its store.
 *   isolate_syscalls() leaves a list of system calls (isolate.c gives each one's
 *                      reason). Should: be the owner. Mustn't: have threads.
 * and, for those that read strangers' bytes and need nothing of the disk:
 *   isolate_seal()     no file is opened any more, and nobody reached but by IP.
 *                      Should: have read all that it needs. Mustn't: have read a
 *                      stranger's byte.
 */
#ifndef NTM_SERVERS_ISOLATE_H
#define NTM_SERVERS_ISOLATE_H

#include "common/err.h"

/** Return: 0, -NTM_EPERM */
NTM_MUST_CHECK int isolate_user(const char *dir);
/**
 * isolate_syscalls() - for the whole process and what it starts
 * @role: "as" and "rs" may connect (to the DC); "as", "dc" and "cs" write files; all but
 *        "dns" have threads
 * Return: 0, -NTM_ESYSTEM
 */
NTM_MUST_CHECK int isolate_syscalls(const char *role);
/** all threads: no path is opened, no socket made but of IPv4 and IPv6. The owner's keys
 *  and the other roles' admin sockets are out of reach then. Return: 0, -NTM_ESYSTEM */
NTM_MUST_CHECK int isolate_seal(void);
/** no core file, and at most @mib of data: a stranger's answer cannot fill the machine.
 *  Without the limit of data in a build with sanitizers, whose shadow is data as well.
 *  Return: 0, -NTM_ESYSTEM */
NTM_MUST_CHECK int isolate_memory(unsigned int mib);

#endif
