/* SPDX-License-Identifier: MIT */
/*
 * isolate - what the worker may still do once it listens to the network
 *
 * Context: once, before the loop. A call that is not on the list ends the process
 * (the keeper starts the next one): nothing foreign gets a new program or a file.
 */
#ifndef NTM_BROKER_ISOLATE_H
#define NTM_BROKER_ISOLATE_H

#include <stddef.h>

#include "common/err.h"

/** no core dumps, no new privileges, the list of system calls.
 *  Return: 0, -NTM_ESYSTEM with @why; a kernel without seccomp is logged, and fine */
NTM_MUST_CHECK int isolate_worker(char *why, size_t why_size);

#endif
