/* SPDX-License-Identifier: MIT */
/*
 * writer - small files to the disk, beside the loop
 *
 * Theory of operation
 *
 * The loop appends a job to a list under a lock, or exchanges the bytes of the one
 * that waits for the same path. The thread takes the first job of the list, writes
 * its file (new one beside it, fsync, rename, fsync of the folder) and puts it on
 * the done list; an eventfd wakes the loop, which calls back in that order. A job is
 * on one of three places: ->todo, ->busy, ->done. The loop frees it.
 *
 * The thread takes no signals: SIGTERM and the like are the loop's. It starts before
 * the worker is confined, and is confined with it (isolate.c).
 */
#include "broker/writer.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/file.h"
#include "libntmcrypto/ntmcrypto.h"

/* struct waiter - one who asked for a job, in order */
struct waiter {
	struct waiter *next;
	writer_fn *fn;
	void *arg;
};

struct job {
	struct job *next;
	char *path;
	uint8_t *data;
	size_t len;
	struct waiter *waiters, **waiters_tail;
	int err;
};

struct writer {
	struct loop_io *io;
	int wake;
	bool running;
	pthread_t thread;

	pthread_mutex_t lock; /* everything below */
	pthread_cond_t more, less;
	struct job *todo, *busy, *done, **done_tail;
	bool stop;
};

/* --- the thread ------------------------------------------------------------------- */

static void write_first(struct writer *w)
{
	struct job *job = w->todo;
	uint64_t one = 1;

	w->todo = job->next;
	job->next = NULL;
	w->busy = job;
	pthread_mutex_unlock(&w->lock);
	job->err = file_write(job->path, job->data, job->len, 0600);
	pthread_mutex_lock(&w->lock);
	w->busy = NULL;
	*w->done_tail = job;
	w->done_tail = &job->next;
	pthread_cond_broadcast(&w->less);
	if (write(w->wake, &one, sizeof(one)) < 0)
		return; /* counter full: the loop is woken anyway */
}

static void *writer_thread(void *arg)
{
	struct writer *w = arg;

	pthread_mutex_lock(&w->lock);
	for (;;) {
		while (!w->todo && !w->stop)
			pthread_cond_wait(&w->more, &w->lock);
		if (!w->todo)
			break; /* told to stop, and all is written */
		write_first(w);
	}
	pthread_mutex_unlock(&w->lock);
	return NULL;
}

/* --- the loop ------------------------------------------------------------------------ */

static void data_free(uint8_t *data, size_t len)
{
	if (!data)
		return;
	ntmc_wipe(data, len);
	free(data);
}

/* @call: its waiters are told */
static void job_end(struct job *job, bool call)
{
	struct waiter *w;

	while ((w = job->waiters)) {
		job->waiters = w->next;
		if (call)
			w->fn(w->arg, job->err);
		free(w);
	}
	data_free(job->data, job->len);
	free(job->path);
	free(job);
}

/* What callbacks ask for anew is not among it. */
static void done_end(struct writer *w, bool call)
{
	struct job *list, *job;

	pthread_mutex_lock(&w->lock);
	list = w->done;
	w->done = NULL;
	w->done_tail = &w->done;
	pthread_mutex_unlock(&w->lock);
	while ((job = list)) {
		list = job->next;
		job_end(job, call);
	}
}

static void on_wake(void *arg, int fd, unsigned int events)
{
	uint64_t count;

	(void)events;
	if (read(fd, &count, sizeof(count)) == sizeof(count))
		done_end(arg, true);
}

int writer_flush(struct writer *w)
{
	int err = 0;

	pthread_mutex_lock(&w->lock);
	while (w->todo || w->busy)
		pthread_cond_wait(&w->less, &w->lock);
	for (const struct job *job = w->done; job && !err; job = job->next)
		err = job->err;
	pthread_mutex_unlock(&w->lock);
	return err;
}

static bool idle(struct writer *w)
{
	bool none;

	pthread_mutex_lock(&w->lock);
	none = !w->todo && !w->busy && !w->done;
	pthread_mutex_unlock(&w->lock);
	return none;
}

void writer_finish(struct writer *w)
{
	while (w && !idle(w)) {
		(void)!writer_flush(w); /* each hears of its own */
		done_end(w, true);
	}
}

/* --- asking ---------------------------------------------------------------------------- */

static struct waiter *waiter_new(writer_fn *fn, void *arg)
{
	struct waiter *w = calloc(1, sizeof(*w));

	if (w) {
		w->fn = fn;
		w->arg = arg;
	}
	return w;
}

static struct job *job_new(const char *path)
{
	struct job *job = calloc(1, sizeof(*job));

	if (!job)
		return NULL;
	job->waiters_tail = &job->waiters;
	job->path = strdup(path);
	if (job->path)
		return job;
	free(job);
	return NULL;
}

/* Locked. The job that waits for @path, at the end of the list if it is new. */
static int job_get(struct writer *w, const char *path, struct job **out)
{
	struct job **at = &w->todo;
	unsigned int n = 0;

	for (; *at; at = &(*at)->next, n++) {
		if (!strcmp((*at)->path, path)) {
			*out = *at;
			return 0;
		}
	}
	if (n == WRITER_JOBS_MAX)
		return -NTM_ELIMIT;
	*at = job_new(path);
	*out = *at;
	return *at ? 0 : -NTM_ENOMEM;
}

int writer_replace(struct writer *w, const char *path, uint8_t *data,
		   size_t len, writer_fn *fn, void *arg)
{
	struct waiter *asks = fn ? waiter_new(fn, arg) : NULL;
	struct job *job;
	int err = fn && !asks ? -NTM_ENOMEM : 0;

	pthread_mutex_lock(&w->lock);
	if (!err)
		err = job_get(w, path, &job);
	if (!err) {
		data_free(job->data, job->len);
		job->data = data;
		job->len = len;
		if (asks) {
			*job->waiters_tail = asks;
			job->waiters_tail = &asks->next;
		}
		pthread_cond_signal(&w->more);
	}
	pthread_mutex_unlock(&w->lock);
	if (err) {
		data_free(data, len);
		free(asks);
	}
	return err;
}

/* --- life --------------------------------------------------------------------------------- */

static int thread_start(struct writer *w)
{
	sigset_t all, old;
	int err;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	err = pthread_create(&w->thread, NULL, writer_thread, w);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	w->running = !err;
	return err ? -NTM_ESYSTEM : 0;
}

int writer_new(struct loop *l, struct writer **out)
{
	struct writer *w = calloc(1, sizeof(*w));
	int err;

	if (!w)
		return -NTM_ENOMEM;
	w->done_tail = &w->done;
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->more, NULL);
	pthread_cond_init(&w->less, NULL);
	w->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	err = w->wake < 0 ? -NTM_ESYSTEM
			  : loop_io_add(l, w->wake, LOOP_READ, false, on_wake,
					w, &w->io);
	if (!err)
		err = thread_start(w);
	if (err) {
		writer_free(w);
		return err;
	}
	*out = w;
	return 0;
}

void writer_free(struct writer *w)
{
	if (!w)
		return;
	pthread_mutex_lock(&w->lock);
	w->stop = true;
	pthread_cond_signal(&w->more);
	pthread_mutex_unlock(&w->lock);
	if (w->running)
		pthread_join(w->thread, NULL);
	done_end(w, false);
	loop_io_del(w->io);
	if (w->wake >= 0)
		close(w->wake);
	pthread_cond_destroy(&w->less);
	pthread_cond_destroy(&w->more);
	pthread_mutex_destroy(&w->lock);
	free(w);
}
