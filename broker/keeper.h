/* SPDX-License-Identifier: MIT */
/*
 * keeper - the process that stays: engine, outer sockets, stores, and the worker's
 *          life
 *
 * Owner:    main(). Context: its own process, host namespaces, one thread, no libevent.
 * Parses no network bytes and links no cryptography.
 */
#ifndef NTM_BROKER_KEEPER_H
#define NTM_BROKER_KEEPER_H

#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

/** struct keeper_options - what the command line said
 *  @rundir:  where the sockets go; exists
 *  @worker:  path of the worker program
 *  @port:    outer UDP port; 0: that of the last run, else any
 *  @log_level: passed on to the worker */
struct keeper_options {
	const char *rundir, *config, *state, *worker, *log_level;
	uint16_t port;
};

struct keeper;

/**
 * keeper_new() - engine, sockets, keeper.sock; no worker yet
 * @why: @why_size bytes: one sentence on failure
 * Return: 0, -NTM_ENOENGINE, -NTM_ESYSTEM, -NTM_EEXISTS (port taken) ...
 */
NTM_MUST_CHECK int keeper_new(const struct keeper_options *opt,
			      struct keeper **out, char *why, size_t why_size);
/**
 * keeper_run() - run workers until SIGTERM, SIGINT or a worker's wish
 * @ready: called once: with NULL when the first worker serves, or with a sentence
 *         when none will; keeper_run() then ends
 * Return: exit status
 */
int keeper_run(struct keeper *k, void (*ready)(void *arg, const char *why),
	       void *arg);
void keeper_free(struct keeper *k);

#endif
