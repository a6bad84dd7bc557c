/* SPDX-License-Identifier: MIT */
/* due - rows that are due are looked at when a turn ends, or later */
#include "broker/post/due.h"

static void on_later(void *arg)
{
	due_work(arg);
}

int due_open(struct due *d, struct post *p, void (*work)(void *arg), void *arg)
{
	*d = (struct due){.post = p, .work = work, .arg = arg};
	return loop_timer_new(p->loop, on_later, d, &d->later);
}

void due_close(struct due *d)
{
	loop_timer_free(d->later);
	d->later = NULL;
}

void due_work(struct due *d)
{
	d->woken = false;
	d->working = true;
	loop_timer_disarm(d->later);
	d->work(d->arg);
	d->working = false;
}

void due_wake(struct due *d)
{
	if (d->working) {
		loop_timer_arm(d->later, 0);
		return;
	}
	d->woken = true;
	post_flush_soon(d->post);
}

void due_turn(struct due *d)
{
	if (d->woken)
		due_work(d);
}

void due_later(struct due *d, unsigned int s)
{
	if (!loop_timer_armed(d->later))
		loop_timer_arm(d->later, LOOP_S(s));
}

void due_rest(struct due *d, unsigned int s)
{
	d->woken = false;
	loop_timer_arm(d->later, LOOP_S(s));
}
