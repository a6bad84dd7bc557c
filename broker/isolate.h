/* SPDX-License-Identifier: MIT */
/*
 * isolate - what the worker may still do once it listens to the network
 *
 * Context: once, before the loop.
 *   Should:  leave every call that is needed from now on, each with its reason.
 *   Mustn't: leave a way to run a program, to trace another process, to change
 *            namespaces or credentials, to mount, to load code into the kernel.
 * A call that is not on the list is refused with EPERM rather than deadly: a
 * forgotten one costs one feature, not every connection of the person.
 */
#ifndef NTM_BROKER_ISOLATE_H
#define NTM_BROKER_ISOLATE_H

#include <stddef.h>

#include "common/err.h"

/** no core dumps, no new privileges, the list of system calls; of every thread.
 *  Return: 0, -NTM_ESYSTEM with @why */
NTM_MUST_CHECK int isolate_worker(char *why, size_t why_size);

#endif
