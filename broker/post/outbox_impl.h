/* SPDX-License-Identifier: MIT */
/*
 * outbox_impl - shared by outbox.c (jobs), outbox_order.c (orders), outbox_heard.c (what
 * became of them) and outbox_over.c (what has had its time)
 *
 * Owner: outbox.c. Context: loop thread.
 */
#ifndef NTM_BROKER_POST_OUTBOX_IMPL_H
#define NTM_BROKER_POST_OUTBOX_IMPL_H

#include "broker/post/due.h"
#include "broker/post/sending.h"

struct outbox {
	struct post *post;
	struct sending *jobs;
	size_t n_jobs;
	struct due due;
	struct left *left;
	struct asking *askings;
	bool tidy; /* what has had its time is to end, when the clock is known to be right */
};

/* struct asking - a CS is asked what became of an item */
struct asking {
	struct outbox *outbox;
	struct web_call *call;
	int64_t id;
	bool left; /* the item was taken away from it: that it has none says nothing */
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
/** those that are not found yet, and with @which those receivers, get nothing, because of
 *  @err. Return: 0, -NTM_ESTORE */
NTM_MUST_CHECK int outbox_rest_fail(struct post *p, int64_t id,
				    enum post_statement which, int err);
/** ends what outbox_tidy() asked for, if the clock is known to be right */
void outbox_over(struct outbox *o);
/** Return: enum out_state, or an error */
NTM_MUST_CHECK int outbox_row_state(struct outbox *o, int64_t id);
/** the job of item @id; NULL: none */
struct sending *outbox_job_find(struct outbox *o, int64_t id);
/** is it still where it waits? Asked some hours after it was sent, and again.
 *  Return: 0, or why it cannot be asked */
NTM_MUST_CHECK int outbox_still_there(struct outbox *o, int64_t id);
void outbox_asking_free(struct asking *a);

#endif
