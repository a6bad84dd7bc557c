/* SPDX-License-Identifier: MIT */
/*
 * keeper_impl - between keeper.c (its life and its worker's) and keeper_requests.c
 *
 * Owner: keeper.c. Context: the one thread of the keeper.
 */
#ifndef NTM_BROKER_KEEPER_IMPL_H
#define NTM_BROKER_KEEPER_IMPL_H

#include "broker/engine.h"
#include "broker/keeper.h"
#include "broker/keeper_store.h"
#include "broker/mapper.h"
#include "broker/outer.h"
#include "broker/poster.h"
#include "broker/watchdog.h"

/**
 * enum worker_state - of the one worker
 * @WORKER_NONE:  to be started at .start_at
 * @WORKER_UP:    runs; not yet serving.     Leaves by: READY, REFUSE, death
 * @WORKER_READY: serves.                    Leaves by: death
 */
enum worker_state { WORKER_NONE, WORKER_UP, WORKER_READY };

struct worker {
	enum worker_state state;
	pid_t pid;
	int link;
	uint32_t generation;
	uint64_t started, start_at;
	unsigned int quick; /* quick deaths in a row */
	bool refused;
};

struct keeper {
	const struct keeper_options *opt;
	struct engine *engine;
	struct outer outer;
	struct keeper_store *store;
	struct worker worker;
	struct watchdog watchdog; /* of a worker that is ready */
	struct mapper mapper;
	struct poster posters[POSTER_KINDS];
	int signals, listener;
	uint64_t repair_at; /* not before */
	bool ending;
	uint64_t end_at; /* when the worker is killed */
	int status;
	void (*ready)(void *arg, const char *why);
	void *ready_arg;
};

uint64_t keeper_now_ns(void);
/** whoever waits for the start is told, once. @why NULL: it serves */
void keeper_report_ready(struct keeper *k, const char *why);
/** the worker and the other children are to end; then the keeper does, with @status */
void keeper_end_begin(struct keeper *k, int status);
/** one request of the worker. Return: 0: read and answered; -NTM_EAGAIN: there is none;
 *  else the link is lost */
NTM_MUST_CHECK int keeper_request_read(struct keeper *k);

#endif
