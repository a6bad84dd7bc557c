/* SPDX-License-Identifier: MIT */
/*
 * asking - a unix socket at which programs of our user ask: one JSON object a line
 *
 * control.sock of the worker, post.sock of ntm-post, member.sock of ntm-member
 * (docs/control.md). Who serves one gives its limits and what a request is answered with.
 *
 * Owner:    control.c, post/face.c, member/asks.c. Context: loop thread. Clients of
 *           another user are refused by SO_PEERCRED. A struct asking that is NULL is one
 *           that nobody has opened: it has no clients.
 */
#ifndef NTM_BROKER_ASKING_H
#define NTM_BROKER_ASKING_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/loop.h"

struct asking;
struct ask;

typedef void ask_fn(struct ask *a);

/** struct asking_is - @line_max: of a request, a power of two from 4096 on; @queue_max:
 *  answers that a client has not read; @request: a line has come: to be answered now or
 *  later; @turned: a client came or went, may be NULL; @holds: are answers to wait for
 *  asking_release() now? May be NULL: never */
struct asking_is {
	size_t clients_max, line_max, queue_max;
	ask_fn *request;
	void (*turned)(void *arg);
	bool (*holds)(void *arg);
};

/**
 * asking_open() - serve clients of @fd, which listens
 * @fd: taken on success. @is: outlives it. @arg: of its functions, and ask_owner()
 * Return: 0, -NTM_ENOMEM
 */
NTM_MUST_CHECK int asking_open(struct loop *loop, int fd,
			       const struct asking_is *is, void *arg,
			       struct asking **out);
void asking_close(struct asking *s);
/** is there a client? */
bool asking_busy(const struct asking *s);
/** a number that each change makes larger; none that is told is ever met again, also
 *  not after a restart */
json_int_t asking_changes(const struct asking *s);
/** something is other than it was: who waits for that is answered */
void asking_changed(struct asking *s);
/** what was answered while @holds may leave; with @err it is refused instead */
void asking_release(struct asking *s, int err);

/* --- one request: over, and freed, when it is answered, also where its client has gone --- */

/** the @arg of asking_open() */
void *ask_owner(const struct ask *a);
/** NULL: it was no JSON */
const json_t *ask_request(const struct ask *a);
/** "" where there is none */
const char *ask_text(const struct ask *a, const char *key);
/** does anybody wait for it still? */
bool ask_lives(const struct ask *a);
/** what to do when its client goes before it is answered; NULL: nothing. It is to be
 *  answered even so */
void ask_on_gone(struct ask *a, void (*fn)(void *arg), void *arg);

/** "ok": true, and @fields (taken; may be NULL) */
void ask_answer(struct ask *a, json_t *fields);
/** "ok": false; @why NULL or "": the error's own text */
void ask_fail(struct ask *a, int err, const char *why);
/** an answer that is text already: taken; NULL: there was no memory for it, and the client
 *  is hung up on */
void ask_say(struct ask *a, char *text);
/** a line before the last; @fields taken */
void ask_progress(struct ask *a, json_t *fields);
/** "changes" is answered at the next asking_changed(); now where the request has another
 *  number as "seen". Without "seen" it waits */
void ask_wait(struct ask *a);

/** struct ask_command - a row of a server's table */
struct ask_command {
	const char *name;
	ask_fn *fn;
};
/** the row that "cmd" names; or it is refused, with @unknown where there is none such */
void ask_dispatch(struct ask *a, const struct ask_command *table, size_t n,
		  const char *unknown);

#endif
