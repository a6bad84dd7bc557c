/* SPDX-License-Identifier: MIT */
/*
 * journal - the DC's durable side: leases, sessions, push tokens, withdrawals, boot number
 *
 * Theory of operation
 *
 * The loop appends jobs to a list under a lock. The thread takes the whole list,
 * runs it as one transaction and puts it on the done list; an eventfd wakes the
 * loop, which calls back in the order the jobs were made. So a burst of ten
 * thousand logins costs a few commits, and a slow disk delays answers to the AS,
 * never a keep-alive.
 */
#include "servers/dc/journal.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/log.h"
#include "common/store.h"
#include "servers/dc/dcstore.h"

struct journal {
	struct store *store;
	uint64_t boot, serial;
	struct loop_io *io;
	int wake;
	bool running;
	pthread_t thread;

	pthread_mutex_t lock; /* everything below */
	pthread_cond_t more;
	struct job *todo, **todo_tail, *done, **done_tail;
	unsigned int waiting;
	bool stop;
};

/* --- opening ---------------------------------------------------------------- */

int journal_open(const char *path, bool start, struct journal **out)
{
	struct journal *j = calloc(1, sizeof(*j));
	int r;

	if (!j)
		return -NTM_ENOMEM;
	j->wake = -1;
	j->todo_tail = &j->todo;
	j->done_tail = &j->done;
	pthread_mutex_init(&j->lock, NULL);
	pthread_cond_init(&j->more, NULL);
	r = dcstore_open(path, start, &j->store, &j->boot, &j->serial);
	if (r) {
		journal_close(j);
		return r;
	}
	*out = j;
	return 0;
}

int journal_forget_sessions(struct journal *j)
{
	return dcstore_forget_sessions(j->store);
}

int journal_backup(struct journal *j, const char *path)
{
	return store_backup(j->store, path);
}

uint64_t journal_boot(const struct journal *j)
{
	return j->boot;
}

uint64_t journal_serial(const struct journal *j)
{
	return j->serial;
}

int journal_load(struct journal *j, const struct journal_load_ops *ops,
		 void *arg, int64_t now)
{
	return dcstore_load(j->store, ops, arg, now);
}

/* --- the thread ---------------------------------------------------------------- */

/* one bad job must not fail the others for ever: alone they may succeed */
static void write_each(struct store *s, struct job *list)
{
	struct job *next;

	for (struct job *job = list; job; job = next) {
		next = job->next;
		job->next = NULL;
		job->err = dcstore_write(s, job);
		job->next = next;
	}
}

static void *journal_thread(void *arg)
{
	struct journal *j = arg;
	struct job *list, **end;
	uint64_t one = 1;

	pthread_mutex_lock(&j->lock);
	for (;;) {
		while (!j->todo && !j->stop)
			pthread_cond_wait(&j->more, &j->lock);
		list = j->todo;
		if (!list)
			break; /* told to stop, and all is written */
		j->todo = NULL;
		j->todo_tail = &j->todo;
		j->waiting = 0;
		pthread_mutex_unlock(&j->lock);
		if (dcstore_write(j->store, list))
			write_each(j->store, list);
		pthread_mutex_lock(&j->lock);
		*j->done_tail = list;
		for (end = &list; *end; end = &(*end)->next)
			;
		j->done_tail = list ? end : j->done_tail;
		if (write(j->wake, &one, sizeof(one)) < 0)
			continue; /* counter full: the loop is woken anyway */
	}
	pthread_mutex_unlock(&j->lock);
	return NULL;
}

static void job_free(struct job *job)
{
	ntmc_key_clear(&job->session.kntmdc);
	free(job->token);
	free(job);
}

static void journal_finished(void *arg, int fd, unsigned int events)
{
	struct journal *j = arg;
	struct job *list, *job;
	uint64_t count;

	(void)events;
	if (read(fd, &count, sizeof(count)) < 0)
		return;
	pthread_mutex_lock(&j->lock);
	list = j->done;
	j->done = NULL;
	j->done_tail = &j->done;
	pthread_mutex_unlock(&j->lock);
	while ((job = list)) {
		list = job->next;
		if (job->fn)
			job->fn(job->arg, job->err);
		job_free(job);
	}
}

int journal_start(struct journal *j, struct loop *l)
{
	int r;

	j->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (j->wake < 0)
		return -NTM_ESYSTEM;
	r = loop_io_add(l, j->wake, LOOP_READ, false, journal_finished, j,
			&j->io);
	if (r)
		return r;
	if (pthread_create(&j->thread, NULL, journal_thread, j))
		return -NTM_ESYSTEM;
	j->running = true;
	return 0;
}

static void jobs_free(struct job *job)
{
	struct job *next;

	for (; job; job = next) {
		next = job->next;
		if (job->fn)
			job->fn(job->arg, -NTM_ECLOSED);
		job_free(job);
	}
}

void journal_close(struct journal *j)
{
	if (!j)
		return;
	pthread_mutex_lock(&j->lock);
	j->stop = true;
	pthread_cond_signal(&j->more);
	pthread_mutex_unlock(&j->lock);
	if (j->running)
		pthread_join(j->thread, NULL);
	jobs_free(j->todo);
	jobs_free(j->done);
	loop_io_del(j->io);
	if (j->wake >= 0)
		close(j->wake);
	store_close(j->store);
	pthread_cond_destroy(&j->more);
	pthread_mutex_destroy(&j->lock);
	free(j);
}

/* --- jobs ------------------------------------------------------------------------ */

static struct job *job_new(enum job_kind kind, size_t n)
{
	struct job *job =
		calloc(1, sizeof(*job) + n * sizeof(job->revocations[0]));

	if (job) {
		job->kind = kind;
		job->n = n;
	}
	return job;
}

static int job_add(struct journal *j, struct job *job)
{
	int r = 0;

	pthread_mutex_lock(&j->lock);
	if (j->waiting == JOURNAL_QUEUE_MAX) {
		r = -NTM_ELIMIT;
	} else {
		j->waiting++;
		*j->todo_tail = job;
		j->todo_tail = &job->next;
		pthread_cond_signal(&j->more);
	}
	pthread_mutex_unlock(&j->lock);
	if (r)
		job_free(job);
	return r;
}

int journal_session(struct journal *j, const struct journal_node *n,
		    const struct journal_session *s, bool replace,
		    journal_fn *fn, void *arg)
{
	struct job *job = job_new(JOB_SESSION, 0);

	if (!job)
		return -NTM_ENOMEM;
	job->node = *n;
	job->session = *s;
	job->flag = replace;
	job->fn = fn;
	job->arg = arg;
	return job_add(j, job);
}

void journal_drop(struct journal *j, uint64_t node_id)
{
	struct job *job = job_new(JOB_DROP, 0);

	if (!job)
		return;
	job->a = (int64_t)node_id;
	if (job_add(j, job))
		log_debug("journal", "a session that ended stays for a day");
}

void journal_push(struct journal *j, const char *fqdn, int kind,
		  const char *token)
{
	struct job *job = job_new(JOB_PUSH, 0);

	if (!job)
		return;
	snprintf(job->node.fqdn, sizeof(job->node.fqdn), "%s", fqdn);
	job->a = kind;
	job->token = token ? strdup(token) : NULL;
	if (token && !job->token)
		job_free(job);
	else if (job_add(j, job))
		log_debug("journal", "a push token is in memory alone");
}

int journal_revoke(struct journal *j, const struct journal_revocation *r,
		   size_t n, bool release, journal_fn *fn, void *arg)
{
	struct job *job = job_new(JOB_REVOKE, n);

	if (!job)
		return -NTM_ENOMEM;
	memcpy(job->revocations, r, n * sizeof(*r));
	job->flag = release;
	job->fn = fn;
	job->arg = arg;
	return job_add(j, job);
}

void journal_prune(struct journal *j, int64_t revoked_before, int64_t now)
{
	struct job *job = job_new(JOB_PRUNE, 0);

	if (!job)
		return;
	job->a = revoked_before;
	job->b = now;
	if (job_add(j, job))
		log_debug("journal", "not pruned this time");
}
