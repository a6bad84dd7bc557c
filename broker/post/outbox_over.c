/* SPDX-License-Identifier: MIT */
/*
 * outbox_over - rows that have had their time: what waits ends, what was shown goes
 *
 * Looked for at a start and when online again, but done only when our clock is known to
 * be right (clock.c): what ends so has lost its keys.
 */
#include "broker/post/outbox_impl.h"
#include "common/log.h"

#define LATE_S	86400		 /* words of the last minute come later */
#define SHOWN_S ITEM_RETENTION_S /* after its end, in `ntm outbox` */

int outbox_rest_fail(struct post *p, int64_t id, enum post_statement which,
		     int err)
{
	const enum post_statement all[] = {which, NAME_REST};
	struct store *st = p->store;
	int r = 0;

	for (size_t i = 0; !r && i < 2; i++) {
		store_bind_int(st, all[i], 1, id);
		store_bind_int(st, all[i], 2, -err);
		store_bind_int(st, all[i], 3, post_now(p));
		r = store_run(st, all[i]);
	}
	store_bind_int(st, NAME_DONE_ALL, 1, id);
	return r ? r : store_run(st, NAME_DONE_ALL);
}

static size_t ids_of(struct store *st, enum post_statement which,
		     int64_t before, int64_t ids[static 64])
{
	size_t n = 0;

	store_bind_int(st, which, 1, before);
	while (n < 64 && store_step(st, which) > 0)
		ids[n++] = store_int(st, which, 0);
	store_reset(st, which);
	return n;
}

/* Who has not fetched it by now never will: its key is not kept for them. */
int outbox_row_late(struct post *p, int64_t id)
{
	int r = outbox_rest_fail(p, id, TO_LATE, -NTM_EEXPIRED);

	return r ? r
		 : outbox_row_end(
			   p, id, OUT_ENDED, -NTM_EEXPIRED,
			   "not everybody fetched it before its time was over");
}

static int row_delete(struct post *p, int64_t id)
{
	static const enum post_statement all[] = {TO_DELETE, NAME_DELETE,
						  OUT_DELETE};
	int r = store_begin(p->store);
	size_t i;

	if (r)
		return r;
	for (i = 0; !r && i < 3; i++) {
		store_bind_int(p->store, all[i], 1, id);
		r = store_run(p->store, all[i]);
	}
	if (!r)
		r = store_commit(p->store);
	if (r)
		store_rollback(p->store);
	return r;
}

void outbox_over(struct outbox *o)
{
	struct post *p = o->post;
	int64_t now = post_now(p), ids[64];
	size_t n, i;
	int r = 0;

	if (!o->tidy || !post_clock_agrees(p))
		return;
	o->tidy = false;
	n = ids_of(p->store, OUT_LATE, now - LATE_S, ids);
	for (i = 0; !r && i < n; i++)
		r = outbox_row_late(p, ids[i]);
	n = ids_of(p->store, OUT_EXPIRED, now - SHOWN_S, ids);
	for (i = 0; !r && i < n; i++)
		r = row_delete(p, ids[i]);
	if (r)
		log_err("outbox", "the store cannot be written");
}

void outbox_tidy(struct outbox *o)
{
	struct post *p = o->post;
	int64_t now = post_now(p);

	store_bind_int(p->store, OUT_SOON, 1, NTM_EUNREACHABLE);
	store_bind_int(p->store, OUT_SOON, 2, NTM_ETIMEOUT);
	store_bind_int(p->store, OUT_SOON, 3, NTM_ECLOSED);
	store_bind_int(p->store, OUT_SOON, 4, now + POST_WAIT_MAX_S);
	if (store_run(p->store, OUT_SOON))
		log_err("outbox", "the store cannot be written");
	o->tidy = true;
	outbox_over(o);
}

void outbox_clock_agrees(struct outbox *o)
{
	if (o && o->tidy)
		due_wake(&o->due);
}
