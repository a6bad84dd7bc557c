/* SPDX-License-Identifier: MIT */
/*
 * outbox_impl - shared by outbox.c (jobs), outbox_order.c (orders) and outbox_heard.c (what
 * became of them)
 *
 * Owner: outbox.c. Context: loop thread.
 */
#ifndef NTM_BROKER_POST_OUTBOX_IMPL_H
#define NTM_BROKER_POST_OUTBOX_IMPL_H

#include "broker/post/sending.h"

struct outbox {
	struct post *post;
	struct sending *jobs;
	size_t n_jobs;
	struct loop_timer *due;
	struct left *left;
	struct asking *askings;
};

/* struct asking - a CS is asked what became of an item */
struct asking {
	struct outbox *outbox;
	struct web_call *call;
	int64_t id;
	void (*done)(void *arg, int err);
	void *arg;
	struct asking *next;
};

/** the row's next state, and what it needs no more is gone. Return: 0, -NTM_ESTORE */
NTM_MUST_CHECK int outbox_row_end(struct post *p, int64_t id,
				  enum out_state state, int err,
				  const char *text);
/** its time is over: who has not fetched it never will. Return: 0, -NTM_ESTORE */
NTM_MUST_CHECK int outbox_row_late(struct post *p, int64_t id);
/** Return: enum out_state, or an error */
NTM_MUST_CHECK int outbox_row_state(struct outbox *o, int64_t id);
/** the job of item @id; NULL: none */
struct sending *outbox_job_find(struct outbox *o, int64_t id);
/** is it still where it waits? Asked some hours after it was sent, and again.
 *  Return: 0, or why it cannot be asked */
NTM_MUST_CHECK int outbox_still_there(struct outbox *o, int64_t id);
void outbox_asking_free(struct asking *a);

#endif
