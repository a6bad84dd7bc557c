/* SPDX-License-Identifier: MIT */
/*
 * child - run a program to its end, from within any process
 *
 * For libntmclient, whose process is not ours: it may ignore SIGCHLD, so that the kernel
 * keeps no status, or reap whatever ends, from a handler or another thread. It notices
 * nothing of this child, and keeps nothing from us.
 * Context:  any thread; blocks until the program has ended.
 */
#ifndef NTM_WRAPPERS_CHILD_H
#define NTM_WRAPPERS_CHILD_H

#include "common/err.h"

#define CHILD_NOT_RUN 127

/**
 * child_run() - run @file, which is looked for in PATH where it has no slash
 * @argv: ends with NULL. It gets our environment, and descriptors that are not
 *        close-on-exec
 *
 * Return: its exit status, CHILD_NOT_RUN where it could not be run, 128 and the signal
 *         that ended it, or -NTM_ESYSTEM
 */
NTM_MUST_CHECK int child_run(const char *file, char *const argv[]);

#endif
