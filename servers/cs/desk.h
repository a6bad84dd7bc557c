/* SPDX-License-Identifier: MIT */
/*
 * desk - the Cache Server's threads that wait for the disk: one writes the store, a few
 * others sync files
 *
 * Owner:   the role. Context: jobs come from any thread and run in the desk's.
 * Jobs that come while a commit is under way share the next one.
 */
#ifndef NTM_SERVERS_CS_DESK_H
#define NTM_SERVERS_CS_DESK_H

#include <stdbool.h>

#include "common/err.h"
#include "servers/cs/items.h"

struct desk;

/**
 * struct desk_job - embedded in what the caller keeps until done() was called
 * @run:  reads and writes the store; an error undoes what it wrote. May run again when
 *        the transaction of others has failed. NULL: none
 * @done: when it is on the disk, or not: @err. May free the job, may bring others
 * @next, @err: the desk's
 */
struct desk_job {
	int (*run)(struct desk_job *job, struct items *s);
	void (*done)(struct desk_job *job, int err);
	struct desk_job *next;
	int err;
};

/** struct desk_errand - the same for a thread that syncs and hashes files */
struct desk_errand {
	void (*run)(struct desk_errand *e);
	struct desk_errand *next;
};

/** Return: 0, -NTM_ESTORE, -NTM_EVERSION, -NTM_ENOMEM */
NTM_MUST_CHECK int desk_new(const char *path, struct desk **out);
/** what is queued, and what that brings, is done before it returns */
void desk_free(struct desk *d);
void desk_do(struct desk *d, struct desk_job *job);
void desk_send(struct desk *d, struct desk_errand *e);
/** more jobs are about to come (@on), or have come: those may share a commit, for which
 *  the writer waits DESK_HOLD_MS at most. Each @on has its end */
#define DESK_HOLD_MS 5
void desk_hold(struct desk *d, bool on);

/** struct desk_stats - since the start */
struct desk_stats {
	uint64_t jobs, commits;
};
void desk_status(struct desk *d, struct desk_stats *out);

#endif
