/* SPDX-License-Identifier: MIT */
/*
 * loop - the event loop: descriptors, timers, signals, deferred work
 *
 * A thin face of libevent (one event_base); no libevent type leaves loop.c.
 * Owner:    main() makes one and hands it down. Context: one thread.
 * Handlers never block and never free their own object: they defer it, and the
 * end of the loop turn frees.
 * A turn: wait; the high descriptors; due timers; the other descriptors; deferred
 * work. So a busy data path never starves timers or signalling.
 */
#ifndef NTM_COMMON_LOOP_H
#define NTM_COMMON_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"

struct loop;
struct loop_io;
struct loop_timer;
struct loop_signal;

#define LOOP_READ  1u
#define LOOP_WRITE 2u

typedef void loop_io_fn(void *arg, int fd, unsigned int events);
typedef void loop_fn(void *arg);

NTM_MUST_CHECK int loop_new(struct loop **out);
/** runs what is still deferred, then frees; the callers' objects go first */
void loop_free(struct loop *l);
/** runs until loop_stop(); Return: 0 or -NTM_ESYSTEM */
NTM_MUST_CHECK int loop_run(struct loop *l);
void loop_stop(struct loop *l);
/** one turn; @wait: until something happens, else only what is ready. For tests
 *  and for tools that wait for one answer. Under a test's clock timers wake
 *  nobody. */
NTM_MUST_CHECK int loop_turn(struct loop *l, bool wait);

/** monotonic nanoseconds, read at the start of the turn; loop_now_exact() asks
 *  the clock. Tests replace both with loop_set_clock(). */
uint64_t loop_now(struct loop *l);
uint64_t loop_now_exact(struct loop *l);
/** seconds since 1970 by the wall clock (the same override) */
int64_t loop_wall(struct loop *l);
void loop_set_clock(struct loop *l, uint64_t (*mono_ns)(void *),
		    int64_t (*wall_s)(void *), void *arg);

/** @high: runs before the others of the same turn (the data path).
 *  The descriptor stays the caller's. loop_io_set(0) pauses. */
NTM_MUST_CHECK int loop_io_add(struct loop *l, int fd, unsigned int events,
			       bool high, loop_io_fn *fn, void *arg,
			       struct loop_io **out);
void loop_io_set(struct loop_io *io, unsigned int events);
void loop_io_del(struct loop_io *io); /* NULL is fine */

/** one-shot; arm again at will. @ns from loop_now(); freeing NULL is fine */
NTM_MUST_CHECK int loop_timer_new(struct loop *l, loop_fn *fn, void *arg,
				  struct loop_timer **out);
void loop_timer_arm(struct loop_timer *t, uint64_t ns);
void loop_timer_disarm(struct loop_timer *t);
bool loop_timer_armed(const struct loop_timer *t);
void loop_timer_free(struct loop_timer *t);

NTM_MUST_CHECK int loop_signal_add(struct loop *l, int signo, loop_fn *fn,
				   void *arg, struct loop_signal **out);
void loop_signal_del(struct loop_signal *s); /* NULL is fine */

/** run @fn(arg) once, at the end of this turn, in the order deferred; what
 *  deferred work defers runs in the same turn. Return: 0, -NTM_ENOMEM */
NTM_MUST_CHECK int loop_defer(struct loop *l, loop_fn *fn, void *arg);

/**
 * struct loop_task - deferred work that cannot fail, embedded in its object
 * @fn, @arg: set by the owner; the others belong to the loop
 *
 * @fn may free the object that holds the task.
 */
struct loop_task {
	loop_fn *fn;
	void *arg;
	struct loop_task *next;
	bool queued, heap;
};
/** as loop_defer(); a task queued already stays where it is */
void loop_defer_task(struct loop *l, struct loop_task *t);

#define LOOP_MS(n) ((uint64_t)(n)*1000000u)
#define LOOP_S(n)  ((uint64_t)(n)*1000000000u)

#endif
