/* SPDX-License-Identifier: MIT */
/*
 * poster_child - how a child of the keeper begins and ends: ntm-post, ntm-member (poster.h)
 *
 * It is started with the options and the environment that poster.c makes: the folders,
 * and from descriptor 3 on the link to the worker and the sockets that wait for it, as
 * systemd hands them over.
 *
 * Owner: its main(). Context: before the loop runs, and after it.
 */
#ifndef NTM_BROKER_POSTER_CHILD_H
#define NTM_BROKER_POSTER_CHILD_H

#include "common/log.h"
#include "common/loop.h"

/** struct poster_child - @config, @state, @rundir: folders, of argv; @link: a SEQPACKET
 *  socket to the worker, for who uses it first to close */
struct poster_child {
	const char *config, *state, *rundir;
	int link;
	enum log_level level;
	struct loop *loop;
	struct loop_signal *term;
};

/** a socket by its name (POSTER_NAMES), for whoever takes it. Return: false: it is not
 *  known here, and is closed */
typedef bool poster_child_take(void *arg, const char *name, int fd);

/**
 * poster_child_begin() - options, sockets, signals, the log as @program
 * @take: called for each socket beside the link; none is inherited by what we start
 *
 * Return: 0, or the exit status 2: said on standard error that the keeper starts it
 */
NTM_MUST_CHECK int poster_child_begin(struct poster_child *c,
				      const char *program, int argc,
				      char **argv, poster_child_take *take,
				      void *arg);
/** SIGTERM ends the loop. Return: as loop_signal_add() */
NTM_MUST_CHECK int poster_child_heed(struct poster_child *c);
/**
 * poster_child_run() - make the loop, call @run, free it; then close the log
 * @run: all between loop_new() and loop_free()
 * Return: the exit status
 */
int poster_child_run(struct poster_child *c, int (*run)(void *arg), void *arg);

#endif
