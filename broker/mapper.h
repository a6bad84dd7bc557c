/* SPDX-License-Identifier: MIT */
/*
 * mapper - the keeper's child that asks the router for a mapping: ntm-portmap
 *
 * Owner:    the keeper. Context: its one thread. One at a time; a new one ends the
 * one before. It lives for one question, PORTMAP_LIMIT_S at most, and may outlive the
 * keeper by that: the last question is to delete the mapping.
 */
#ifndef NTM_BROKER_MAPPER_H
#define NTM_BROKER_MAPPER_H

#include <sys/types.h>

#include "common/err.h"

/** struct mapper - @pid: 0: none runs */
struct mapper {
	pid_t pid;
};

/**
 * mapper_start() - start it
 * @worker: path of ntm-worker; ntm-portmap lies beside it
 * @fd:     the socket to ask it over, for the worker; the caller closes it
 *
 * Return: 0, -NTM_ESYSTEM
 */
NTM_MUST_CHECK int mapper_start(struct mapper *m, const char *worker, int *fd);
/** a child died: was it this one? */
void mapper_check(struct mapper *m);

#endif
