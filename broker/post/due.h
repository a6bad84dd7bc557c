/* SPDX-License-Identifier: MIT */
/*
 * due - when rows are looked at that are due: at the end of the turn in which they came to
 * be so, before its commit, so that what begins shares it; or at a later time
 *
 * Owner: the outbox and the inbox have one each. Context: loop thread.
 */
#ifndef NTM_BROKER_POST_DUE_H
#define NTM_BROKER_POST_DUE_H

#include "broker/post/post.h"

struct due {
	struct post *post;
	void (*work)(void *arg);
	void *arg;
	struct loop_timer *later;
	bool woken, working;
};

/** @work(@arg) looks at them. Return: 0, -NTM_ENOMEM */
NTM_MUST_CHECK int due_open(struct due *d, struct post *p,
			    void (*work)(void *arg), void *arg);
void due_close(struct due *d);
/** looks at once; when to look again @work says anew */
void due_work(struct due *d);
/** some may be due: at the end of this turn; while @work runs, of the next one, so that rows
 *  that end at once do not keep the loop */
void due_wake(struct due *d);
/** this turn ends: works if it was woken */
void due_turn(struct due *d);
/** said by @work: in @s seconds, if nothing comes before */
void due_later(struct due *d, unsigned int s);
/** not before @s seconds, but for what wakes it then */
void due_rest(struct due *d, unsigned int s);

#endif
