/* SPDX-License-Identifier: MIT */
/*
 * isolate - what a role's process may still do once it runs
 *
 * Stages, in this order, between fork() and the role's first byte:
 *   isolate_user()     becomes the data folder's owner, without capabilities.
 *                      Should: have its sockets. Mustn't: have opened its store.
 *   isolate_syscalls() leaves a list of system calls (isolate.c gives each one's
 *                      reason). Should: be the owner. Mustn't: have threads.
 */
#ifndef NTM_SERVERS_ISOLATE_H
#define NTM_SERVERS_ISOLATE_H

#include "common/err.h"

/** Return: 0, -NTM_EPERM */
NTM_MUST_CHECK int isolate_user(const char *dir);
/**
 * isolate_syscalls() - for the whole process and what it starts
 * @role: "as" and "rs" may connect (to the DC); "as" and "dc" write files; all but
 *        "dns" have threads
 * Return: 0, -NTM_ESYSTEM
 */
NTM_MUST_CHECK int isolate_syscalls(const char *role);

#endif
