/* SPDX-License-Identifier: MIT */
/*
 * visitor - one who came by a stream socket, until it is silent for too long or goes
 *
 * Owner:    struct visitor stands first in the caller's struct of one connection; the
 *           list is the caller's. What ends leaves the list at once and is freed at the
 *           end of the turn by the list's @free, which may look at the rest of it.
 * Context:  loop thread.
 */
#ifndef NTM_SERVERS_VISITOR_H
#define NTM_SERVERS_VISITOR_H

#include <stddef.h>

#include "common/loop.h"

struct visitor;

/** struct visitors - those of one listener, the oldest first. @idle_s: without a sign
 *  of life; @free: frees what a visitor stands in, whose socket is closed by then */
struct visitors {
	struct loop *loop;
	unsigned int idle_s, n;
	struct visitor *first;
	void (*free)(struct visitor *v);
};

/** struct visitor - @out_len: bytes of an answer; @out_done: of them, sent */
struct visitor {
	struct visitor *prev, *next;
	struct visitors *all;
	int fd;
	struct loop_io *io;
	struct loop_timer *timer;
	struct loop_task end;
	size_t out_len, out_done;
};

/** @v, zeroed, joins @all; @fd is its own now; @ready is called with @v.
 *  Return: 0, or an error: @fd and @v are still the caller's */
NTM_MUST_CHECK int visitor_new(struct visitors *all, struct visitor *v, int fd,
			       loop_io_fn *ready);
/** out of the list; freed at the end of the turn. Twice is once */
void visitor_end(struct visitor *v);
/** a sign of life */
void visitor_wake(struct visitor *v);
/** more bytes behind the @len that are in @buf of @size. Return: there are; false also
 *  when it ended */
bool visitor_read(struct visitor *v, void *buf, size_t size, size_t *len);
/** what is left of the answer @out. Return: false: it ended. True and @out_len 0: all
 *  was sent; else @ready is called when more can be */
bool visitor_write(struct visitor *v, const void *out);

#endif
