/* SPDX-License-Identifier: MIT */
/*
 * clerk - the thread that owns the box's store, and what it tells the loop
 *
 * Owner:   struct box. Context: clerk_ask() and clerk_post() from any thread.
 * What is asked while a commit waits for the disk shares the next one.
 */
#ifndef NTM_SERVERS_BOX_CLERK_H
#define NTM_SERVERS_BOX_CLERK_H

#include "common/loop.h"
#include "servers/box/shelf.h"

#define CLERK_QUEUE_MAX 65536

struct clerk;

/** struct clerk_ops - in the loop thread, in order */
struct clerk_ops {
	/** a list's number is another one, durably */
	void (*changed)(void *arg, const char *fqdn, uint32_t serial);
};

/**
 * struct clerk_job - embedded in what it is about, which it keeps alive
 * @work: in the clerk's thread, within a transaction. Return: 0, or a negative enum
 *        ntm_err; -NTM_ESTORE ends the transaction for all that share it
 * @done: in the clerk's thread, once it is durable; @err: what @work returned, or
 *        -NTM_ESTORE, -NTM_ECLOSED (the box ends). May free the job
 */
struct clerk_job {
	int (*work)(struct clerk_job *job, struct shelf *s);
	void (*done)(struct clerk_job *job, int err);
	int err;
	struct clerk_job *next;
};

/** struct clerk_post - something for the loop thread; @fn may free it */
struct clerk_post {
	void (*fn)(struct clerk_post *post, void *arg);
	struct clerk_post *next;
};

/** @shelf: taken on success. @arg: of @ops and of posts */
NTM_MUST_CHECK int clerk_new(struct loop *l, struct shelf *shelf,
			     const struct clerk_ops *ops, void *arg,
			     struct clerk **out);
/** does what was asked, then ends; what is posted after that is run here */
void clerk_free(struct clerk *c);
/** Return: 0: @done will be called; -NTM_ELIMIT */
NTM_MUST_CHECK int clerk_ask(struct clerk *c, struct clerk_job *job);
/** more is about to be asked (@on), or has been: that may share a commit, for which the
 *  clerk waits CLERK_HOLD_MS at most. Each @on has its end; any thread */
#define CLERK_HOLD_MS 5
void clerk_hold(struct clerk *c, bool on);
/** runs what was posted, or waits for it a while; for who ends, in the loop thread */
void clerk_wait(struct clerk *c);
/** @post runs in the loop thread, in the order of posts and changes */
void clerk_post(struct clerk *c, struct clerk_post *post);

/** struct clerk_stats - @failed: transactions */
struct clerk_stats {
	uint64_t jobs, commits, failed;
	unsigned int waiting;
};
void clerk_status(struct clerk *c, struct clerk_stats *out);

#endif
