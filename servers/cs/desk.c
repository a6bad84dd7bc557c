/* SPDX-License-Identifier: MIT */
/*
 * desk - the Cache Server's threads that wait for the disk
 *
 * Theory of operation
 *
 * The writer takes all jobs that wait, runs them in one transaction, each in a
 * savepoint, commits, and calls them back in their order. So what a client is told is
 * on the disk, and a hundred clients wait for one fsync. While a batch of requests brings
 * its jobs (desk_hold()) it does not begin with the first of them. When the commit fails (a full
 * disk) each job runs once more alone: one that makes the store smaller may succeed
 * where the others cannot.
 *
 * Errands are what takes long with one file (fsync, hashes of it again): ERRANDS
 * threads, so that a large file does not keep small ones waiting.
 *
 * desk_free() ends when both lists are empty and nobody works: an errand may bring a
 * job, and a job an errand.
 */
#include "servers/cs/desk.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <time.h>

#include "common/log.h"

#define ERRANDS 4
#define THREADS (1 + ERRANDS)

struct desk {
	struct items *items;
	pthread_t threads[THREADS];
	unsigned int n_threads;

	pthread_mutex_t lock;		   /* below */
	pthread_cond_t more, more_errands; /* for the writer; for the others */
	unsigned int held;
	struct desk_job *jobs, **jobs_tail;
	struct desk_errand *errands, **errands_tail;
	unsigned int busy;
	bool stop;
	struct desk_stats stats;
};

/* --- the writer ------------------------------------------------------------------- */

static void run_in_savepoint(struct items *s, struct desk_job *job)
{
	int r = items_job_begin(s);

	job->err = r ? r : job->run(job, s);
	if (!r)
		r = items_job_end(s, !job->err);
	if (r)
		job->err = r;
}

/* Return: 0, or why nothing of it is on the disk */
static int transact(struct items *s, struct desk_job *jobs, bool one)
{
	int r = items_begin(s);

	for (struct desk_job *j = jobs; !r && j; j = one ? NULL : j->next)
		if (j->run)
			run_in_savepoint(s, j);
	if (!r)
		r = items_commit(s);
	if (r)
		items_rollback(s);
	return r;
}

static unsigned int run_jobs(struct desk *d, struct desk_job *jobs)
{
	int r = transact(d->items, jobs, false);
	unsigned int n = 0;

	for (struct desk_job *j = jobs, *next; j; j = next) {
		next = j->next;
		if (r) {
			int alone = transact(d->items, j, true);

			if (alone)
				j->err = alone;
		}
		n++;
		j->done(j, j->err);
	}
	return n;
}

static bool is_idle(const struct desk *d)
{
	return !d->jobs && !d->errands && !d->busy;
}

/* what both kinds of threads do after a piece of work; under the lock */
static void work_done(struct desk *d)
{
	d->busy--;
	if (d->stop && is_idle(d)) {
		pthread_cond_signal(&d->more);
		pthread_cond_broadcast(&d->more_errands);
	}
}

/* the others of the first job's batch, for a moment; under the lock */
static void await_others(struct desk *d)
{
	struct timespec end;
	int r = 0;

	if (!d->held)
		return;
	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_nsec += DESK_HOLD_MS * 1000000;
	end.tv_sec += end.tv_nsec / 1000000000;
	end.tv_nsec %= 1000000000;
	while (d->held && !r)
		r = pthread_cond_timedwait(&d->more, &d->lock, &end);
}

static void *writer(void *arg)
{
	struct desk *d = arg;

	prctl(PR_SET_NAME, "cs-desk");
	pthread_mutex_lock(&d->lock);
	for (;;) {
		struct desk_job *jobs;
		unsigned int n;

		if (!d->jobs) {
			if (d->stop && is_idle(d))
				break;
			pthread_cond_wait(&d->more, &d->lock);
			continue;
		}
		await_others(d);
		jobs = d->jobs;
		d->jobs = NULL;
		d->jobs_tail = &d->jobs;
		d->busy++;
		pthread_mutex_unlock(&d->lock);
		n = run_jobs(d, jobs);
		pthread_mutex_lock(&d->lock);
		d->stats.jobs += n;
		d->stats.commits++;
		work_done(d);
	}
	pthread_mutex_unlock(&d->lock);
	return NULL;
}

/* --- errands ------------------------------------------------------------------------ */

static void *runner(void *arg)
{
	struct desk *d = arg;

	prctl(PR_SET_NAME, "cs-files");
	pthread_mutex_lock(&d->lock);
	for (;;) {
		struct desk_errand *e = d->errands;

		if (!e) {
			if (d->stop && is_idle(d))
				break;
			pthread_cond_wait(&d->more_errands, &d->lock);
			continue;
		}
		d->errands = e->next;
		if (!d->errands)
			d->errands_tail = &d->errands;
		d->busy++;
		pthread_mutex_unlock(&d->lock);
		e->run(e);
		pthread_mutex_lock(&d->lock);
		work_done(d);
	}
	pthread_mutex_unlock(&d->lock);
	return NULL;
}

/* --- life ---------------------------------------------------------------------------- */

int desk_new(const char *path, struct desk **out)
{
	struct desk *d = calloc(1, sizeof(*d));
	pthread_condattr_t clock;
	int r;

	if (!d)
		return -NTM_ENOMEM;
	pthread_mutex_init(&d->lock, NULL);
	pthread_condattr_init(&clock);
	pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
	pthread_cond_init(&d->more, &clock);
	pthread_condattr_destroy(&clock);
	pthread_cond_init(&d->more_errands, NULL);
	d->jobs_tail = &d->jobs;
	d->errands_tail = &d->errands;
	r = items_open(path, &d->items);
	while (!r && d->n_threads < THREADS) {
		if (pthread_create(&d->threads[d->n_threads], NULL,
				   d->n_threads ? runner : writer, d))
			r = -NTM_ESYSTEM;
		d->n_threads += !r;
	}
	if (r)
		desk_free(d);
	else
		*out = d;
	return r;
}

void desk_free(struct desk *d)
{
	if (!d)
		return;
	pthread_mutex_lock(&d->lock);
	d->stop = true;
	pthread_cond_signal(&d->more);
	pthread_cond_broadcast(&d->more_errands);
	pthread_mutex_unlock(&d->lock);
	for (unsigned int i = 0; i < d->n_threads; i++)
		pthread_join(d->threads[i], NULL);
	items_close(d->items);
	pthread_cond_destroy(&d->more);
	pthread_cond_destroy(&d->more_errands);
	pthread_mutex_destroy(&d->lock);
	free(d);
}

void desk_do(struct desk *d, struct desk_job *job)
{
	job->next = NULL;
	job->err = 0;
	pthread_mutex_lock(&d->lock);
	if (!d->jobs) /* else it has been woken, or looks before it waits */
		pthread_cond_signal(&d->more);
	*d->jobs_tail = job;
	d->jobs_tail = &job->next;
	pthread_mutex_unlock(&d->lock);
}

void desk_send(struct desk *d, struct desk_errand *e)
{
	e->next = NULL;
	pthread_mutex_lock(&d->lock);
	*d->errands_tail = e;
	d->errands_tail = &e->next;
	pthread_cond_signal(&d->more_errands);
	pthread_mutex_unlock(&d->lock);
}

void desk_hold(struct desk *d, bool on)
{
	pthread_mutex_lock(&d->lock);
	if (on)
		d->held++;
	else if (!--d->held)
		pthread_cond_signal(&d->more);
	pthread_mutex_unlock(&d->lock);
}

void desk_status(struct desk *d, struct desk_stats *out)
{
	pthread_mutex_lock(&d->lock);
	*out = d->stats;
	pthread_mutex_unlock(&d->lock);
}
