/* SPDX-License-Identifier: MIT */
/*
 * clerk - the thread that owns the box's store, and what it tells the loop
 *
 * Theory of operation
 *
 * Threads of HTTP and the loop append jobs to a list under a lock. The clerk takes the
 * whole list, up to BATCH_MAX, runs it as one transaction, and calls each job's done()
 * behind the commit: nobody hears of success before the disk has it, and a burst of
 * requests costs one fsync. While a batch of requests brings its jobs (clerk_hold()) it
 * does not begin with the first of them. A job that fails by its own fault has changed nothing, or
 * nothing that is wrong to keep; one that fails by the store fails the whole batch.
 *
 * What is for the loop thread (numbers of lists, questions for the DC) goes to a second
 * list, and an eventfd wakes the loop.
 */
#include "servers/box/clerk.h"

#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"

#define BATCH_MAX 1024
#define WAIT_MS	  20

struct change {
	struct clerk_post post;
	uint32_t serial;
	char fqdn[FQDN_MAX + 1];
};

struct clerk {
	struct loop *loop;
	struct shelf *shelf;
	const struct clerk_ops *ops;
	void *arg;
	struct loop_io *io;
	int wake;
	bool running;
	pthread_t thread;
	pthread_mutex_t lock; /* everything below */
	pthread_cond_t more;
	struct clerk_job *head, **tail;
	unsigned int n, held;
	bool stop;
	struct clerk_post *posts, **posts_tail;
	uint64_t jobs, commits, failed;
};

/* --- to the loop ----------------------------------------------------------------- */

void clerk_post(struct clerk *c, struct clerk_post *post)
{
	static const uint64_t one = 1;

	post->next = NULL;
	pthread_mutex_lock(&c->lock);
	*c->posts_tail = post;
	c->posts_tail = &post->next;
	pthread_mutex_unlock(&c->lock);
	/* fails only when it is full: then the loop wakes anyway */
	(void)!write(c->wake, &one, sizeof(one));
}

static void tell_change(struct clerk_post *post, void *arg)
{
	struct change *x = (struct change *)post;
	struct clerk *c = arg;

	c->ops->changed(c->arg, x->fqdn, x->serial);
	free(x);
}

static void run_posts(struct clerk *c)
{
	struct clerk_post *p, *next;

	pthread_mutex_lock(&c->lock);
	p = c->posts;
	c->posts = NULL;
	c->posts_tail = &c->posts;
	pthread_mutex_unlock(&c->lock);
	for (; p; p = next) {
		next = p->next;
		p->fn(p, p->fn == tell_change ? c : c->arg);
	}
}

void clerk_wait(struct clerk *c)
{
	struct pollfd p = {c->wake, POLLIN, 0};
	uint64_t n;

	/* an answer of the clerk's own posts nothing: so not for ever */
	if (poll(&p, 1, WAIT_MS) > 0)
		(void)!read(c->wake, &n, sizeof(n));
	run_posts(c);
}

static void woken(void *arg, int fd, unsigned int events)
{
	uint64_t n;

	(void)events;
	(void)!read(fd, &n, sizeof(n));
	run_posts(arg);
}

/* --- the thread --------------------------------------------------------------------- */

static void changed(void *arg, const char *fqdn, uint32_t serial)
{
	struct clerk *c = arg;
	struct change *x = calloc(1, sizeof(*x));

	if (!x) { /* the device hears of it when the box is started next */
		log_err("clerk", "out of memory: %s is not told", fqdn);
		return;
	}
	x->post.fn = tell_change;
	x->serial = serial;
	snprintf(x->fqdn, sizeof(x->fqdn), "%s", fqdn);
	clerk_post(c, &x->post);
}

/* Return: 0: durable; else nothing of it happened */
static int run_batch(struct clerk *c, struct clerk_job *batch)
{
	struct timespec t;
	int r;

	clock_gettime(CLOCK_REALTIME, &t);
	r = shelf_begin(c->shelf, t.tv_sec);
	for (struct clerk_job *j = batch; !r && j; j = j->next) {
		j->err = j->work(j, c->shelf);
		if (j->err == -NTM_ESTORE)
			r = -NTM_ESTORE;
	}
	if (!r)
		r = shelf_commit(c->shelf, changed, c);
	if (r)
		shelf_rollback(c->shelf);
	return r;
}

static void finish_batch(struct clerk *c, struct clerk_job *batch, int err)
{
	struct clerk_job *next;
	unsigned int n = 0;

	for (struct clerk_job *j = batch; j; j = next) {
		next = j->next;
		j->done(j, err ? err : j->err);
		n++;
	}
	pthread_mutex_lock(&c->lock);
	c->jobs += n;
	c->commits += !err;
	c->failed += err != 0;
	pthread_mutex_unlock(&c->lock);
}

/* the others of the first job's batch, for a moment; under the lock */
static void await_others(struct clerk *c)
{
	struct timespec end;
	int r = 0;

	if (!c->held)
		return;
	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_nsec += CLERK_HOLD_MS * 1000000;
	end.tv_sec += end.tv_nsec / 1000000000;
	end.tv_nsec %= 1000000000;
	while (c->held && !c->stop && !r)
		r = pthread_cond_timedwait(&c->more, &c->lock, &end);
}

/* NULL: it is time to end, and nothing is left */
static struct clerk_job *take_batch(struct clerk *c)
{
	struct clerk_job *batch, *last;
	unsigned int n = 1;

	pthread_mutex_lock(&c->lock);
	while (!c->head && !c->stop)
		pthread_cond_wait(&c->more, &c->lock);
	if (c->head)
		await_others(c);
	batch = last = c->head;
	if (batch) {
		for (; last->next && n < BATCH_MAX; n++)
			last = last->next;
		c->head = last->next;
		if (!c->head)
			c->tail = &c->head;
		last->next = NULL;
		c->n -= n;
	}
	pthread_mutex_unlock(&c->lock);
	return batch;
}

static void *thread_main(void *arg)
{
	struct clerk *c = arg;
	struct clerk_job *batch;

	while ((batch = take_batch(c)))
		finish_batch(c, batch, run_batch(c, batch));
	return NULL;
}

/* --- questions, life ------------------------------------------------------------------- */

int clerk_ask(struct clerk *c, struct clerk_job *job)
{
	int r = 0;

	job->next = NULL;
	job->err = 0;
	pthread_mutex_lock(&c->lock);
	if (c->n == CLERK_QUEUE_MAX || c->stop) {
		r = -NTM_ELIMIT;
	} else {
		if (!c->head) /* else it has been woken, or looks before it waits */
			pthread_cond_signal(&c->more);
		*c->tail = job;
		c->tail = &job->next;
		c->n++;
	}
	pthread_mutex_unlock(&c->lock);
	return r;
}

void clerk_hold(struct clerk *c, bool on)
{
	pthread_mutex_lock(&c->lock);
	if (on)
		c->held++;
	else if (!--c->held)
		pthread_cond_signal(&c->more);
	pthread_mutex_unlock(&c->lock);
}

void clerk_status(struct clerk *c, struct clerk_stats *out)
{
	pthread_mutex_lock(&c->lock);
	*out = (struct clerk_stats){.jobs = c->jobs,
				    .commits = c->commits,
				    .failed = c->failed,
				    .waiting = c->n};
	pthread_mutex_unlock(&c->lock);
}

int clerk_new(struct loop *l, struct shelf *shelf, const struct clerk_ops *ops,
	      void *arg, struct clerk **out)
{
	struct clerk *c = calloc(1, sizeof(*c));
	pthread_condattr_t clock;
	int r = -NTM_ESYSTEM;

	if (!c)
		return -NTM_ENOMEM;
	c->loop = l;
	c->ops = ops;
	c->arg = arg;
	c->tail = &c->head;
	c->posts_tail = &c->posts;
	pthread_mutex_init(&c->lock, NULL);
	pthread_condattr_init(&clock);
	pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
	pthread_cond_init(&c->more, &clock);
	pthread_condattr_destroy(&clock);
	c->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (c->wake >= 0)
		r = loop_io_add(l, c->wake, LOOP_READ, false, woken, c, &c->io);
	if (!r) {
		c->shelf = shelf;
		if (pthread_create(&c->thread, NULL, thread_main, c))
			r = -NTM_ESYSTEM;
	}
	c->running = !r;
	if (r) {
		c->shelf = NULL; /* the caller's still */
		clerk_free(c);
		return r;
	}
	*out = c;
	return 0;
}

void clerk_free(struct clerk *c)
{
	if (!c)
		return;
	pthread_mutex_lock(&c->lock);
	c->stop = true;
	pthread_cond_signal(&c->more);
	pthread_mutex_unlock(&c->lock);
	if (c->running)
		pthread_join(c->thread, NULL);
	run_posts(c);
	loop_io_del(c->io);
	if (c->wake >= 0)
		close(c->wake);
	shelf_close(c->shelf);
	pthread_cond_destroy(&c->more);
	pthread_mutex_destroy(&c->lock);
	free(c);
}
