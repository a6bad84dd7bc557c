/* SPDX-License-Identifier: MIT */
/*
 * exchange_due - which rows go together next, and which are under way
 *
 * Theory of operation
 *
 * Rows of one item and kind are one exchange request (an entry), and many of those one
 * question. NEAR_RUNNING questions of receivers in our domain run at a time: what becomes
 * due meanwhile goes together when one has ended, so a single item waits for nobody and
 * of many the box sees few requests. A receiver of another domain is asked of by way of
 * the DCs, which may take long: such an entry is a question by itself, and more of them
 * may run, so that nobody waits for a domain that is not his.
 *
 * Each account that sends has its turn: at first so many rows of each go, then what is left
 * of any, beginning behind the account where the last look ended. Of the questions that
 * may be slow one account has FAR_ACCOUNT at most. So whoever has a hundred thousand rows
 * of a domain that does not answer keeps himself waiting, and nobody else. A box that is
 * away is tried with one row after the other, in order of their numbers.
 *
 * Rows of questions that run, or whose jobs do, are in a table, so that none is asked
 * twice at once.
 */
#include "servers/cs/exchange_impl.h"

#include <stdlib.h>
#include <string.h>
#include <uthash.h>
#include <utlist.h>

#include "common/log.h"

#define RECEIVERS_MAX 64   /* of one exchange request */
#define DUE_MAX	      2048 /* of one account, in one look */
#define DUE_TURN      16   /* of each account first */
#define LOOK_MAX      8192 /* of all */
#define NEAR_RUNNING  2
#define FAR_RUNNING   (EXCHANGE_RUNNING - NEAR_RUNNING)
#define FAR_ACCOUNT   (FAR_RUNNING / 4)

/* a row that somebody is at */
struct flying {
	UT_hash_handle hh;
	int64_t id;
};

/* --- rows that fly: under the lock ---------------------------------------------------- */

static bool is_flying(struct exchange *x, int64_t id)
{
	struct flying *f;

	HASH_FIND(hh, x->flying, &id, sizeof(id), f);
	return f;
}

static bool fly(struct exchange *x, int64_t id)
{
	struct flying *f = calloc(1, sizeof(*f));

	if (!f)
		return false;
	f->id = id;
	HASH_ADD(hh, x->flying, id, sizeof(f->id), f);
	return true;
}

static void land(struct exchange *x, int64_t id)
{
	struct flying *f;

	HASH_FIND(hh, x->flying, &id, sizeof(id), f);
	if (!f)
		return;
	HASH_DEL(x->flying, f);
	free(f);
}

void question_free(struct question *q)
{
	pthread_mutex_lock(&q->x->lock);
	for (size_t i = 0; i < q->n; i++)
		land(q->x, q->asks[i].id);
	pthread_mutex_unlock(&q->x->lock);
	if (q->easy)
		curl_easy_cleanup(q->easy);
	if (q->body)
		ntmc_wipe(q->body, strlen(q->body));
	free(q->body);
	free(q);
}

/* --- what goes together ---------------------------------------------------------------- */

/* struct due - @open: being filled, near and far; @room: how many more there may be;
 * @account: whose rows are looked at, "": of all; @seen: rows so far; @full: no more go */
struct due {
	struct exchange *x;
	char account[FQDN_MAX + 1];
	unsigned int seen;
	bool full;
	size_t entries_max;
	struct question *open[2];
	struct question *ready[EXCHANGE_RUNNING];
	size_t n_ready, room[2];
};

static bool is_far(const struct exchange *x, const struct ask *a)
{
	return a->kind != ASK_STATUS &&
	       !fqdn_is_within(a->name, x->conf.domain);
}

/* is @a one more receiver of what was said last? */
static bool is_same(const struct question *q, const struct ask *a)
{
	const struct entry *e =
		q->n_entries ? &q->entries[q->n_entries - 1] : NULL;

	return e && a->kind != ASK_STATUS && e->n < RECEIVERS_MAX &&
	       q->asks[e->first].number == a->number &&
	       q->asks[e->first].kind == a->kind;
}

static bool has_room(const struct due *d, const struct question *q,
		     const struct ask *a)
{
	size_t most = q->far ? 1 : d->entries_max;

	return q->n < ROWS_MAX && (is_same(q, a) || q->n_entries < most);
}

static void add(struct question *q, const struct ask *a)
{
	if (!is_same(q, a))
		q->entries[q->n_entries++] = (struct entry){.first = q->n};
	q->entries[q->n_entries - 1].n++;
	q->asks[q->n++] = *a;
}

static void close_question(struct due *d, bool far)
{
	struct question *q = d->open[far];

	d->open[far] = NULL;
	if (q && q->n)
		d->ready[d->n_ready++] = q;
	else
		free(q); /* out of memory: no row of it flies */
}

static void open_question(struct due *d, bool far)
{
	struct question *q = d->room[far] ? calloc(1, sizeof(*q)) : NULL;

	if (!q)
		return;
	d->room[far]--;
	q->x = d->x;
	q->far = far;
	strcpy(q->account, d->account);
	d->open[far] = q;
}

/* Has its account all the slow ones that it may have? */
static bool is_over_share(const struct due *d, const struct ask *a)
{
	const struct question *q;
	unsigned int n = 0;

	if (!*d->account || (d->open[1] && has_room(d, d->open[1], a)))
		return false;
	DL_FOREACH (d->x->questions, q)
		n += q->far && !strcmp(q->account, d->account);
	for (size_t i = 0; i < d->n_ready; i++)
		n += d->ready[i]->far &&
		     !strcmp(d->ready[i]->account, d->account);
	n += d->open[1] && !strcmp(d->open[1]->account, d->account);
	return n >= FAR_ACCOUNT;
}

/* Return: is there room for more? */
static bool take(void *arg, const struct ask *a)
{
	struct due *d = arg;
	bool far = is_far(d->x, a);

	pthread_mutex_lock(&d->x->lock);
	if (!is_flying(d->x, a->id) && (!far || !is_over_share(d, a))) {
		if (d->open[far] && !has_room(d, d->open[far], a))
			close_question(d, far);
		if (!d->open[far])
			open_question(d, far);
		if (d->open[far] && fly(d->x, a->id))
			add(d->open[far], a);
	}
	pthread_mutex_unlock(&d->x->lock);
	d->full = !(d->open[0] || d->open[1] || d->room[0] || d->room[1]) ||
		  ++d->seen >= LOOK_MAX;
	return !d->full;
}

/* what waits, to @d; behind the row @after. Return: is there anything? */
static bool find_due(struct due *d, int64_t after)
{
	if (items_asks_due(d->x->items, ntmc_now(NULL), after, DUE_MAX, take,
			   d))
		log_err("cs", "the store cannot be read");
	close_question(d, false);
	close_question(d, true);
	return d->n_ready;
}

/* At most @most rows of each account, from the one behind x->turn round to itself.
 * Return: 0, -NTM_ESTORE */
static int find_of_each(struct due *d, unsigned int most)
{
	char next[FQDN_MAX + 1];
	bool round = false;
	int r = 0;

	strcpy(d->account, d->x->turn);
	while (!r && !d->full) {
		r = items_asks_account(d->x->items, d->account, next);
		if (r || (round && strcmp(next, d->x->turn) > 0))
			break;
		strcpy(d->account, next);
		if (*next)
			r = items_asks_of(d->x->items, next, ntmc_now(NULL),
					  most, take, d);
		else if (round)
			break;
		else
			round = true;
	}
	return r;
}

/* what waits, to @d, of each account in its turn */
static void find_turns(struct due *d)
{
	int r = find_of_each(d, DUE_TURN);

	/* where it ended for want of room others go on */
	if (d->full)
		strcpy(d->x->turn, d->account);
	else if (!r)
		r = find_of_each(d, DUE_MAX);
	if (r)
		log_err("cs", "the store cannot be read");
	close_question(d, false);
	close_question(d, true);
}

/* Return: may anything be asked now? */
static bool find_room(const struct exchange *x, struct due *d)
{
	unsigned int near = x->running[0], far = x->running[1];

	if (exchange_mono_s() < x->pause_until)
		return false;
	if (x->pause_s) {
		d->entries_max = 1;
		d->room[0] = d->room[1] = 1;
		return !near && !far;
	}
	d->entries_max = ENTRIES_MAX;
	d->room[0] = near < NEAR_RUNNING ? NEAR_RUNNING - near : 0;
	d->room[1] = far < FAR_RUNNING ? FAR_RUNNING - far : 0;
	return d->room[0] || d->room[1];
}

/* A box that was away is asked one thing first: what waits longest, near or far. */
static void keep_first(struct due *d)
{
	size_t first = 0;

	for (size_t i = 1; i < d->n_ready; i++)
		if (d->ready[i]->asks[0].id < d->ready[first]->asks[0].id)
			first = i;
	for (size_t i = 0; i < d->n_ready; i++)
		if (i != first)
			question_free(d->ready[i]);
	d->ready[0] = d->ready[first];
	d->n_ready = 1;
}

void exchange_ask_due(struct exchange *x)
{
	struct due d = {.x = x};

	if (!find_room(x, &d))
		return;
	if (!x->pause_s)
		find_turns(&d);
	else if (!find_due(&d, x->failed))
		(void)find_due(&d, 0);
	if (x->pause_s && d.n_ready)
		keep_first(&d);
	for (size_t i = 0; i < d.n_ready; i++) {
		struct question *q = d.ready[i];

		if (!exchange_body(x, q) ||
		    exchange_send(x, q, "/v1/exchanges"))
			question_free(q);
	}
}
