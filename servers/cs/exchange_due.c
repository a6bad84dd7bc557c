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
 * Rows of questions that run, or whose jobs do, are in a table, so that none is asked
 * twice at once.
 */
#include "servers/cs/exchange_impl.h"

#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "common/log.h"

#define RECEIVERS_MAX 64 /* of one exchange request */
#define DUE_MAX	      2048
#define NEAR_RUNNING  2
#define FAR_RUNNING   (EXCHANGE_RUNNING - NEAR_RUNNING)

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

/* struct due - @open: being filled, near and far; @room: how many more there may be */
struct due {
	struct exchange *x;
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
	d->open[far] = q;
}

/* Return: is there room for more? */
static bool take(void *arg, const struct ask *a)
{
	struct due *d = arg;
	bool far = is_far(d->x, a);

	pthread_mutex_lock(&d->x->lock);
	if (!is_flying(d->x, a->id)) {
		if (d->open[far] && !has_room(d, d->open[far], a))
			close_question(d, far);
		if (!d->open[far])
			open_question(d, far);
		if (d->open[far] && fly(d->x, a->id))
			add(d->open[far], a);
	}
	pthread_mutex_unlock(&d->x->lock);
	return d->open[0] || d->open[1] || d->room[0] || d->room[1];
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
	if (!x->pause_s || !find_due(&d, x->failed))
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
