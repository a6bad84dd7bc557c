/* SPDX-License-Identifier: MIT */
/*
 * loop - the event loop: descriptors, timers, signals, deferred work
 *
 * Theory of operation
 *
 * libevent waits (epoll) and says which descriptors are ready; loop.c decides the
 * order. libevent's own priorities are not used: with them one busy descriptor of
 * the higher priority keeps all others waiting for as long as it stays busy, and
 * its timers with them. Here the callbacks of libevent only put a struct loop_io
 * on one of two ready lists. When libevent returns, the turn runs the high list,
 * the timers that are due, the other list and the deferred work, each once.
 *
 * Reading and writing are two libevent events of one descriptor, so that turning
 * one of them on or off is one epoll_ctl() and none when nothing changes.
 *
 * Timers live in a heap of ours (timerheap), by loop_now(). A timerfd wakes the
 * loop for the first of them; it is set only when the first becomes earlier or has
 * fired, so a timer that is pushed back again and again costs no system call. A
 * test's clock replaces the real one; then the timerfd rests and the test turns
 * the loop itself.
 *
 * A handler may delete any descriptor, timer or signal, its own too: what is still
 * on a ready list leaves it, and nothing of an object is touched after its handler
 * was called.
 */
#include "common/loop.h"

#include <event2/event.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"
#include "common/timerheap.h"

#define NS_PER_S 1000000000u

TAILQ_HEAD(ready_list, loop_io);

enum { READY_HIGH, READY_NORMAL, READY_NLISTS };

struct loop {
	struct event_base *base;
	struct ready_list ready[READY_NLISTS];
	struct timerheap timers;
	int timer_fd;
	struct event *timer_event;
	uint64_t timer_fd_due; /* 0: at rest */
	uint64_t now;	       /* of this turn; 0: not asked yet */
	struct loop_task *tasks, **tasks_end;
	bool stop;
	uint64_t (*mono_ns)(void *);
	int64_t (*wall_s)(void *);
	void *clock_arg;
};

struct loop_io {
	TAILQ_ENTRY(loop_io) link;
	struct loop *loop;
	struct event *read, *write;
	int fd;
	unsigned int events, ready; /* wanted; seen in this turn */
	int list;
	loop_io_fn *fn;
	void *arg;
};

struct loop_timer {
	struct timerheap_entry entry; /* first: the heap's entry is the timer */
	struct loop *loop;
	loop_fn *fn;
	void *arg;
};

struct loop_signal {
	struct event *event;
	loop_fn *fn;
	void *arg;
};

/* --- clock ------------------------------------------------------------------ */

static uint64_t real_mono_ns(void *arg)
{
	struct timespec ts;

	(void)arg;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

static int64_t real_wall_s(void *arg)
{
	(void)arg;
	return (int64_t)time(NULL);
}

uint64_t loop_now_exact(struct loop *l)
{
	return l->mono_ns(l->clock_arg);
}

uint64_t loop_now(struct loop *l)
{
	if (!l->now)
		l->now = loop_now_exact(l);
	return l->now;
}

int64_t loop_wall(struct loop *l)
{
	return l->wall_s(l->clock_arg);
}

void loop_set_clock(struct loop *l, uint64_t (*mono_ns)(void *),
		    int64_t (*wall_s)(void *), void *arg)
{
	l->mono_ns = mono_ns ? mono_ns : real_mono_ns;
	l->wall_s = wall_s ? wall_s : real_wall_s;
	l->clock_arg = arg;
	l->now = 0;
}

/* --- deferred work ----------------------------------------------------------- */

void loop_defer_task(struct loop *l, struct loop_task *t)
{
	if (t->queued)
		return;
	t->queued = true;
	t->next = NULL;
	*l->tasks_end = t;
	l->tasks_end = &t->next;
}

int loop_defer(struct loop *l, loop_fn *fn, void *arg)
{
	struct loop_task *t = calloc(1, sizeof(*t));

	if (!t)
		return -NTM_ENOMEM;
	t->fn = fn;
	t->arg = arg;
	t->heap = true;
	loop_defer_task(l, t);
	return 0;
}

static void run_tasks(struct loop *l)
{
	struct loop_task *t;
	loop_fn *fn;
	void *arg;

	while ((t = l->tasks)) {
		l->tasks = t->next;
		if (!l->tasks)
			l->tasks_end = &l->tasks;
		t->queued = false;
		fn = t->fn;
		arg = t->arg;
		if (t->heap)
			free(t);
		fn(arg);
	}
}

/* --- timers ------------------------------------------------------------------ */

int loop_timer_new(struct loop *l, loop_fn *fn, void *arg,
		   struct loop_timer **out)
{
	struct loop_timer *t = calloc(1, sizeof(*t));

	if (!t || timerheap_reserve(&l->timers)) {
		free(t);
		return -NTM_ENOMEM;
	}
	t->loop = l;
	t->fn = fn;
	t->arg = arg;
	*out = t;
	return 0;
}

void loop_timer_arm(struct loop_timer *t, uint64_t ns)
{
	uint64_t now = loop_now(t->loop);

	timerheap_put(&t->loop->timers, &t->entry,
		      ns > UINT64_MAX - now ? UINT64_MAX : now + ns);
}

void loop_timer_disarm(struct loop_timer *t)
{
	timerheap_del(&t->loop->timers, &t->entry);
}

bool loop_timer_armed(const struct loop_timer *t)
{
	return t->entry.at != 0;
}

void loop_timer_free(struct loop_timer *t)
{
	if (!t)
		return;
	loop_timer_disarm(t);
	timerheap_unreserve(&t->loop->timers);
	free(t);
}

/* Timers armed by these handlers wait for the next turn, even when due: they sort
 * behind all that were armed before @end. */
static void run_timers(struct loop *l)
{
	uint64_t end = l->timers.seq, now = loop_now(l);
	struct timerheap_entry *e;
	struct loop_timer *t;

	while ((e = timerheap_peek(&l->timers)) && e->due <= now &&
	       e->seq < end) {
		t = (struct loop_timer *)e;
		timerheap_del(&l->timers, e);
		t->fn(t->arg);
	}
}

/* CLOCK_MONOTONIC, absolute; a time that has passed wakes at once. */
static void timer_fd_set(struct loop *l)
{
	struct timerheap_entry *e = timerheap_peek(&l->timers);
	struct itimerspec its = {{0, 0}, {0, 0}};

	if (l->mono_ns != real_mono_ns || !e ||
	    (l->timer_fd_due && e->due >= l->timer_fd_due))
		return;
	its.it_value.tv_sec = (time_t)(e->due / NS_PER_S);
	its.it_value.tv_nsec = (long)(e->due % NS_PER_S);
	timerfd_settime(l->timer_fd, TFD_TIMER_ABSTIME, &its, NULL);
	l->timer_fd_due = e->due;
}

/* Only wakes the loop; run_timers() finds out who is due. */
static void on_timer_fd(evutil_socket_t fd, short what, void *arg)
{
	struct loop *l = arg;
	uint64_t expirations;

	(void)what;
	if (read(fd, &expirations, sizeof(expirations)) > 0)
		l->timer_fd_due = 0;
}

/* --- descriptors -------------------------------------------------------------- */

static void io_ready(struct loop_io *io, unsigned int event)
{
	if (!io->ready)
		TAILQ_INSERT_TAIL(&io->loop->ready[io->list], io, link);
	io->ready |= event;
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	io_ready(arg, LOOP_READ);
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	io_ready(arg, LOOP_WRITE);
}

int loop_io_add(struct loop *l, int fd, unsigned int events, bool high,
		loop_io_fn *fn, void *arg, struct loop_io **out)
{
	struct loop_io *io = calloc(1, sizeof(*io));

	if (!io)
		return -NTM_ENOMEM;
	io->loop = l;
	io->fd = fd;
	io->list = high ? READY_HIGH : READY_NORMAL;
	io->fn = fn;
	io->arg = arg;
	io->read =
		event_new(l->base, fd, EV_READ | EV_PERSIST, on_readable, io);
	io->write =
		event_new(l->base, fd, EV_WRITE | EV_PERSIST, on_writable, io);
	if (!io->read || !io->write)
		goto err_io;
	/* the first time a failure can be told: no descriptor, no epoll for it */
	if (((events & LOOP_READ) && event_add(io->read, NULL)) ||
	    ((events & LOOP_WRITE) && event_add(io->write, NULL)))
		goto err_io;
	io->events = events;
	*out = io;
	return 0;
err_io:
	loop_io_del(io);
	return -NTM_ESYSTEM;
}

static void io_toggle(struct event *e, bool was, bool is)
{
	if (is && !was)
		event_add(e, NULL);
	else if (was && !is)
		event_del(e);
}

void loop_io_set(struct loop_io *io, unsigned int events)
{
	io_toggle(io->read, io->events & LOOP_READ, events & LOOP_READ);
	io_toggle(io->write, io->events & LOOP_WRITE, events & LOOP_WRITE);
	io->events = events;
	if (io->ready && !(io->ready & events))
		TAILQ_REMOVE(&io->loop->ready[io->list], io, link);
	io->ready &= events;
}

void loop_io_del(struct loop_io *io)
{
	if (!io)
		return;
	if (io->ready)
		TAILQ_REMOVE(&io->loop->ready[io->list], io, link);
	if (io->read)
		event_free(io->read);
	if (io->write)
		event_free(io->write);
	free(io);
}

static void run_ready(struct ready_list *list)
{
	struct loop_io *io;
	unsigned int events;

	while ((io = TAILQ_FIRST(list))) {
		TAILQ_REMOVE(list, io, link);
		events = io->ready;
		io->ready = 0;
		io->fn(io->arg, io->fd, events);
	}
}

/* --- signals ------------------------------------------------------------------ */

static void on_signal(evutil_socket_t signo, short what, void *arg)
{
	struct loop_signal *s = arg;

	(void)signo;
	(void)what;
	s->fn(s->arg);
}

int loop_signal_add(struct loop *l, int signo, loop_fn *fn, void *arg,
		    struct loop_signal **out)
{
	struct loop_signal *s = calloc(1, sizeof(*s));

	if (!s)
		return -NTM_ENOMEM;
	s->fn = fn;
	s->arg = arg;
	s->event = evsignal_new(l->base, signo, on_signal, s);
	if (!s->event || event_add(s->event, NULL)) {
		loop_signal_del(s);
		return -NTM_ESYSTEM;
	}
	*out = s;
	return 0;
}

void loop_signal_del(struct loop_signal *s)
{
	if (!s)
		return;
	if (s->event)
		event_free(s->event);
	free(s);
}

/* libevent would print to standard error. */
static void on_libevent_log(int severity, const char *text)
{
	log_at(severity >= EVENT_LOG_WARN ? LOG_WARN : LOG_DEBUG, "loop", "%s",
	       text);
}

/* --- the loop ------------------------------------------------------------------ */

int loop_new(struct loop **out)
{
	struct loop *l = calloc(1, sizeof(*l));
	struct event_config *conf = event_config_new();

	if (!l || !conf)
		goto err_alloc;
	event_set_log_callback(on_libevent_log);
	TAILQ_INIT(&l->ready[READY_HIGH]);
	TAILQ_INIT(&l->ready[READY_NORMAL]);
	l->tasks_end = &l->tasks;
	loop_set_clock(l, NULL, NULL, NULL);
	/* one thread: no locks; no timers of libevent: no clock per turn */
	event_config_set_flag(conf, EVENT_BASE_FLAG_NOLOCK |
					    EVENT_BASE_FLAG_NO_CACHE_TIME);
	l->base = event_base_new_with_config(conf);
	if (!l->base)
		goto err_alloc;
	l->timer_fd =
		timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (l->timer_fd < 0)
		goto err_base;
	l->timer_event = event_new(l->base, l->timer_fd, EV_READ | EV_PERSIST,
				   on_timer_fd, l);
	if (!l->timer_event || event_add(l->timer_event, NULL))
		goto err_timer;
	event_config_free(conf);
	*out = l;
	return 0;
err_timer:
	if (l->timer_event)
		event_free(l->timer_event);
	close(l->timer_fd);
err_base:
	event_base_free(l->base);
err_alloc:
	if (conf)
		event_config_free(conf);
	free(l);
	return -NTM_ESYSTEM;
}

void loop_free(struct loop *l)
{
	if (!l)
		return;
	run_tasks(l);
	event_free(l->timer_event);
	close(l->timer_fd);
	event_base_free(l->base);
	timerheap_clear(&l->timers);
	free(l);
}

int loop_turn(struct loop *l, bool wait)
{
	int ret;

	/* what was deferred or made ready between turns does not wait */
	if (l->tasks || !TAILQ_EMPTY(&l->ready[READY_HIGH]) ||
	    !TAILQ_EMPTY(&l->ready[READY_NORMAL]))
		wait = false;
	timer_fd_set(l);
	l->now = 0;
	/* without ONCE libevent would come back only when nothing is ready */
	ret = event_base_loop(l->base,
			      EVLOOP_ONCE | (wait ? 0 : EVLOOP_NONBLOCK));
	l->now = 0;
	loop_now(l);
	run_ready(&l->ready[READY_HIGH]);
	run_timers(l);
	run_ready(&l->ready[READY_NORMAL]);
	run_tasks(l);
	return ret < 0 ? -NTM_ESYSTEM : 0;
}

int loop_run(struct loop *l)
{
	int ret = 0;

	while (!l->stop && ret == 0)
		ret = loop_turn(l, true);
	l->stop = false;
	return ret;
}

void loop_stop(struct loop *l)
{
	l->stop = true;
}
