/* SPDX-License-Identifier: MIT */
/*
 * direct - an item on its way straight to the receivers that are online
 *
 * Theory of operation
 *
 * Each receiver whose prekey is known is asked by its name, through the tunnel, as a
 * Cache Server would be asked: keys, data from the offset on that it names, completion.
 * Its answer to the last is the confirmation, and stands in the store before anything
 * else is done. Whether somebody is online nobody asks before: who does not answer in
 * DIRECT_CONNECT_MS is not there, and gets the item by a Cache Server.
 *
 * A connection that breaks in the middle is made again, as its other end may only have
 * been started anew: the receiver says where it goes on. After AGAIN_MAX times without
 * a byte between them the receiver is given up, here. It keeps what it has; the blob is
 * the same by every way.
 *
 * A small one goes all at once, its blob beside its key, and many such together
 * (web_together.c): one question, and one wait for the receiver's disk. Who cannot take
 * that says where it goes on, as of a large one.
 *
 * Of an item that is cancelled those who have a part of it are told.
 *
 * direct.c has the attempts of one item, direct_attempt.c what one receiver is asked first
 * and how that ends, direct_data.c the blob's way to it and its last word.
 */
#include "broker/post/direct.h"

#include <stdlib.h>

#include "broker/post/absent.h"
#include "broker/post/direct_impl.h"

void direct_free(struct direct *d)
{
	struct attempt *x, *next;

	for (x = d ? d->attempts : NULL; x; x = next) {
		next = x->next;
		attempt_free(x);
	}
	free(d);
}

void direct_done(struct sending *s)
{
	direct_free(s->direct);
	s->direct = NULL;
	sending_step(s);
}

/* The next that waits; none is left: the job goes on, in another turn. */
static void attempts_run(struct direct *d)
{
	unsigned int running = 0;
	struct attempt *x;

	for (x = d->attempts; x; x = x->next)
		running += x->running;
	for (x = d->attempts; x && running < DIRECT_AT_ONCE; x = x->next) {
		if (x->running || x->over)
			continue;
		x->running = true;
		running++;
		loop_timer_arm(x->turn, 0);
	}
	if (!running)
		loop_timer_arm(d->s->turn, 0);
}

void attempt_over(struct attempt *x)
{
	x->over = true;
	x->running = false;
	if (x->seal)
		sealing_close(x->seal);
	attempts_run(x->direct);
}

/* Is this one to be asked? Of a CS's receivers only who waits alone, while that has not
 * all of it: one of several that is named there no more would change the others' item */
static bool is_meant(const struct direct *d, struct store *st)
{
	int64_t state = store_int(st, TO_LIST, 1);
	int64_t direct = store_int(st, TO_LIST, 5);
	bool posted = store_int(st, TO_LIST, 6);

	if (d->withdraws)
		return direct == 1 && state < TO_RECEIVED;
	return (!posted || d->alone) &&
	       (state == TO_FOUND || state == TO_READY);
}

static bool is_absent(const struct direct *d, struct store *st)
{
	const struct post *p = d->s->post;

	return !d->withdraws && absent_is(p->absent, store_text(st, TO_LIST, 0),
					  loop_now(p->loop));
}

int direct_start(struct sending *s)
{
	struct store *st = s->post->store;
	struct direct *d;
	int r = 1;

	if (!s->post->link && !s->post->door_at)
		return 0; /* no worker, no tunnel */
	d = calloc(1, sizeof(*d));
	if (!d)
		return -NTM_ENOMEM;
	d->s = s;
	d->withdraws = s->state != OUT_OPEN; /* cancelled, or failed */
	d->alone = sending_alone(s);
	store_bind_int(st, TO_LIST, 1, s->id);
	while (r > 0 && (r = store_step(st, TO_LIST)) > 0)
		if (is_meant(d, st) && !is_absent(d, st) &&
		    !attempt_new(d, store_text(st, TO_LIST, 0))) {
			store_reset(st, TO_LIST);
			r = -NTM_ENOMEM;
		}
	if (r < 0 || !d->attempts) {
		direct_free(d);
		return r;
	}
	s->direct = d;
	attempts_run(d);
	return 1;
}

uint64_t direct_sent(const struct direct *d)
{
	const struct attempt *x;
	uint64_t most = 0, at;

	for (x = d ? d->attempts : NULL; x; x = x->next) {
		at = x->offset + (x->sends && x->call ? web_moved(x->call) : 0);
		if (!x->over && at > most)
			most = at;
	}
	return most;
}
