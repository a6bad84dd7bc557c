/* SPDX-License-Identifier: MIT */
/*
 * inbox_person - what is said of an item here: that it is wanted, was taken, is not wanted
 *
 * By `ntm receive`, `ntm drop` and programs. What is not wanted and not here yet is
 * refused, so that its sender hears of it; what is here is removed.
 */
#include "broker/post/inbox.h"
#include "broker/post/inbox_impl.h"
#include "common/log.h"

/* Return: the row's state, or an error */
static int state_of(struct inbox *b, int64_t id)
{
	struct store *st = b->post->store;
	int r;

	store_bind_int(st, IN_GET, 1, id);
	r = store_step(st, IN_GET);
	if (r <= 0)
		return r ? r : -NTM_ENOTFOUND;
	r = (int)store_int(st, IN_GET, 6);
	store_reset(st, IN_GET);
	return r;
}

int inbox_want(struct inbox *b, int64_t id)
{
	int r = state_of(b, id);

	if (r < 0)
		return r;
	if (r != IN_LISTED && r != IN_HELD)
		return -NTM_EEXISTS;
	store_bind_int(b->post->store, IN_WANT, 1, id);
	r = store_run(b->post->store, IN_WANT);
	due_wake(&b->due);
	return r;
}

int inbox_taken(struct inbox *b, int64_t id)
{
	int r = state_of(b, id);

	if (r == IN_HAVE)
		r = inbox_row_state(b->post, id, IN_TAKEN, 0, NULL);
	else if (r >= 0)
		r = -NTM_ESTATE;
	if (r)
		return r;
	inbox_folder_remove(b->post, id);
	/* its sender may have made another one meanwhile */
	if (inbox_known_again(b, id))
		log_err("inbox", "the store cannot be written");
	due_wake(&b->due);
	return 0;
}

/* It is not here, and is to stay away: its sender is told so, with our word on it where
 * K is known. Not where its domain is not: then no server of that domain can be spoken
 * to, and the item goes off the list without a word */
static int decline(struct inbox *b, int64_t id, bool *told)
{
	struct fetching *f = inbox_job(b, id);
	struct store *st = b->post->store;
	int r;

	if (f)
		fetching_free(f);
	f = inbox_job_new(b, id, false);
	if (!f)
		return -NTM_ENOMEM;
	store_bind_int(st, IN_GET, 1, id);
	r = store_step(st, IN_GET);
	if (r > 0) {
		*told = inbox_job_fill(f) != -NTM_ECERT;
		store_reset(st, IN_GET);
	}
	if (r <= 0) {
		fetching_free(f);
		return r ? r : -NTM_ENOTFOUND;
	}
	fetching_state(f, IN_DROPPED, -NTM_EDECLINED, NULL);
	r = state_of(b, id);
	return r < 0 ? r : r == IN_DROPPED ? 0 : -NTM_ESTORE;
}

int inbox_drop(struct inbox *b, int64_t id, bool *told)
{
	int r = state_of(b, id);

	*told = true;
	if (r < 0)
		return r;
	switch ((enum in_state)r) {
	case IN_LISTED:
	case IN_HELD:
		return decline(b, id, told);
	case IN_HAVE:
		return inbox_taken(b, id);
	case IN_REFUSED:
		store_bind_int(b->post->store, IN_HIDE, 1, id);
		return store_run(b->post->store, IN_HIDE);
	case IN_TAKEN:
	case IN_DROPPED:
		break;
	}
	return -NTM_ENOTFOUND;
}
