/* SPDX-License-Identifier: MIT */
/*
 * clock - does our clock agree with our servers'?
 *
 * A clock that is wrong, as of a machine whose battery is empty, would end what waits and
 * wipe its keys. So nothing ends by its time until the box or a Cache Server of our domain
 * has answered, believed by its certificate, and the Date of its answer is within a day of
 * our clock. What was heard goes on with the time since, so a clock that is set wrong
 * later is noticed too. Other domains' servers have no say.
 */
#include <stdlib.h>

#include "broker/post/outbox.h"
#include "broker/post/post.h"

#define APART_S 86400

static int64_t since_s(const struct post *p)
{
	return (int64_t)(loop_now(p->loop) / LOOP_S(1));
}

bool post_clock_agrees(const struct post *p)
{
	return p->dated &&
	       llabs(post_now(p) - p->date_base - since_s(p)) <= APART_S;
}

void post_clock_heard(void *arg, int64_t date)
{
	struct post *p = arg;

	p->date_base = date - since_s(p);
	p->dated = true;
	if (post_clock_agrees(p))
		outbox_clock_agrees(p->outbox);
}
