/* SPDX-License-Identifier: MIT */
/*
 * sockopts - socket options carried from one socket to another
 *
 * Context: any thread. Best effort: what the kernel refuses is left out.
 */
#ifndef NTM_PRELOAD_SOCKOPTS_H
#define NTM_PRELOAD_SOCKOPTS_H

#include "preload/pool.h"

/**
 * enum sockopts_case - why options are copied
 * @SOCKOPTS_SWAP:   both sockets are fresh: everything
 * @SOCKOPTS_ACCEPT: both are connected: only what a listener bequeaths
 */
enum sockopts_case { SOCKOPTS_SWAP = 1, SOCKOPTS_ACCEPT = 2 };

/** sockopts_copy() - make @to behave as @from does. Changes errno. */
void sockopts_copy(int from, int to, const struct sock_kind *kind,
		   enum sockopts_case why);

/** sockopts_copy_flags() - O_NONBLOCK, O_ASYNC and the signal owner. Changes
 *  errno. Close-on-exec is dup3()'s. */
void sockopts_copy_flags(int from, int to);

#endif
