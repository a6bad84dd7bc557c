/* SPDX-License-Identifier: MIT */
/*
 * isolate - what ntm-post may still do once it handles what others sent
 *
 * Context: once, when all that stays open is open, before the loop.
 *   Should:  leave reading (the person's files are sent), writing below one folder,
 *            sockets, and each system call that is needed, with its reason.
 *   Mustn't: leave a way to write anywhere else, to run a program, to trace another
 *            process, to gain privileges, to leave a dump of keys.
 * The folder's wall is Landlock's, and needs Linux 5.13; the calls' is seccomp's.
 * A call that is not on the list fails with ENOSYS: a library falls back. What only an
 * intruder would try ends the process, which the keeper logs.
 */
#ifndef NTM_BROKER_POST_ISOLATE_H
#define NTM_BROKER_POST_ISOLATE_H

#include "common/err.h"

/**
 * isolate_post() - from now on
 * @dir: the only folder below which anything is written, made or removed; exists
 *
 * Where the kernel lacks one of the two walls that is logged, and the other stands.
 * Return: 0, -NTM_ESYSTEM
 */
NTM_MUST_CHECK int isolate_post(const char *dir);

#endif
