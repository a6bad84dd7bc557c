/* SPDX-License-Identifier: MIT */
/*
 * posterlink - a child of the keeper as the worker has it started: ntm-post, ntm-member
 *
 * Owner:    postlink.c and memberlink.c, which know when it is needed and what its words
 *           mean. Context: loop thread.
 * States:   see enum posterlink_state. Only posterlink.c writes it.
 */
#ifndef NTM_BROKER_POSTERLINK_H
#define NTM_BROKER_POSTERLINK_H

#include <jansson.h>
#include <stdbool.h>

#include "broker/poster.h"
#include "broker/worker.h"

#define POSTERLINK_MESSAGE_MAX 4096

/**
 * enum posterlink_state - of the one child of this kind
 * @POSTERLINK_IDLE:    none runs, and nothing asks for it. Leaves by: a connection that
 *                      waits, posterlink_begin(), posterlink_work()
 * @POSTERLINK_RUNNING: it runs.                            Leaves by: its end
 * @POSTERLINK_PAUSE:   it ended with work left, or could not start. Leaves by: time
 */
enum posterlink_state {
	POSTERLINK_IDLE,
	POSTERLINK_RUNNING,
	POSTERLINK_PAUSE,
	POSTERLINK_STATES
};
const char *posterlink_state_text(enum posterlink_state s);

/** enum posterlink_end - what the end of a child leaves
 *  @POSTERLINK_DONE: nothing. @POSTERLINK_NEWS: what it has not heard of: the next one is
 *  started at once. @POSTERLINK_LEFT: its work: the next one comes after a pause */
enum posterlink_end { POSTERLINK_DONE, POSTERLINK_NEWS, POSTERLINK_LEFT };

/** struct posterlink_ops - @linked: one runs, by us or by a worker before us, whose words
 *  we have not heard; @started: by us: it is to be told where it stands, may be NULL;
 *  @said: a message {"say": @what, ...}; @ended: as far as its last words say */
struct posterlink_ops {
	void (*linked)(void *arg);
	void (*started)(void *arg);
	void (*said)(void *arg, const char *what, const json_t *message);
	enum posterlink_end (*ended)(void *arg);
};

struct posterlink;

/** is there one beside this program? */
bool posterlink_is_installed(enum poster_kind kind);
/**
 * posterlink_new() - take over what a worker before this one left, listen at the kind's
 *                    socket in the runtime folder (names[0], ".sock")
 * @ops: outlives it; ops->linked() may be called from here
 * Return: 0, -NTM_ENOMEM
 */
NTM_MUST_CHECK int posterlink_new(struct worker *w, enum poster_kind kind,
				  const struct posterlink_ops *ops, void *arg,
				  struct posterlink **out);
/** what the keeper has stays there, for the next worker. NULL is fine */
void posterlink_free(struct posterlink *l);

enum posterlink_state posterlink_state(const struct posterlink *l);
/** somebody waits for it. Nothing where one runs, or a pause is on */
void posterlink_begin(struct posterlink *l);
/** the same, for its own work, of which there is none without a login */
void posterlink_work(struct posterlink *l);
/** the one that runs, if any, is to end */
void posterlink_stop(struct posterlink *l);
/** one that has done its work: what died before it is forgotten */
void posterlink_forgive(struct posterlink *l);
/** @message: taken; nothing where none runs. @fd: goes with it, stays the caller's; -1 */
void posterlink_tell(struct posterlink *l, json_t *message, int fd);

/* --- sockets that wait for it, by their place in the kind's names --- */
/** the descriptor, borrowed; -1: none */
int posterlink_socket(const struct posterlink *l, int i);
/** @fd: taken; kept by the keeper and watched while none runs */
void posterlink_listen(struct posterlink *l, int i, int fd);
void posterlink_unlisten(struct posterlink *l, int i);
/** the one in the runtime folder, where there is none yet */
void posterlink_listen_local(struct posterlink *l);

#endif
