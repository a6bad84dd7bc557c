/* SPDX-License-Identifier: MIT */
/* acceptor - takes connections from listening sockets, and rests when none can be had */
#include "common/acceptor.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/log.h"

struct acceptor {
	struct loop *loop;
	const char *name;
	acceptor_fn *fn;
	void *arg;
	int fds[ACCEPTOR_SOCKETS_MAX];
	struct loop_io *io[ACCEPTOR_SOCKETS_MAX];
	size_t n;
	struct loop_timer *pause;
	struct log_limit rest_log;
	bool full, rests, forgotten;
};

static void listen_set(struct acceptor *a)
{
	for (size_t i = 0; i < a->n; i++)
		loop_io_set(a->io[i], a->full || a->rests ? 0 : LOOP_READ);
}

static void rest(struct acceptor *a)
{
	if (log_allowed(&a->rest_log))
		log_warn(a->name, "accept rests: %s", strerror(errno));
	a->rests = true;
	loop_timer_arm(a->pause, LOOP_MS(ACCEPTOR_PAUSE_MS));
	listen_set(a);
}

static void pause_over(void *arg)
{
	struct acceptor *a = arg;

	a->rests = false;
	listen_set(a);
}

void acceptor_set_full(struct acceptor *a, bool full)
{
	a->full = full;
	a->rests = false;
	loop_timer_disarm(a->pause);
	listen_set(a);
}

static void acceptable(void *arg, int fd, unsigned int events)
{
	struct acceptor *a = arg;

	(void)events;
	for (int i = 0; i < ACCEPTOR_PER_TURN && !a->full; i++) {
		struct sockaddr_storage ss;
		socklen_t len = sizeof(ss);
		struct addr from;
		int s = accept4(fd, (struct sockaddr *)&ss, &len,
				SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (s >= 0) {
			bool ip = !addr_from_sockaddr((struct sockaddr *)&ss,
						      len, &from);

			a->fn(a->arg, s, ip ? &from : NULL);
		} else if (errno == EMFILE || errno == ENFILE ||
			   errno == ENOBUFS || errno == ENOMEM) {
			rest(a);
			return;
		} else if (errno != EINTR && errno != ECONNABORTED) {
			return;
		}
	}
}

int acceptor_new(struct loop *l, const char *name, acceptor_fn *fn, void *arg,
		 struct acceptor **out)
{
	struct acceptor *a = calloc(1, sizeof(*a));
	int err;

	if (!a)
		return -NTM_ENOMEM;
	a->loop = l;
	a->name = name;
	a->fn = fn;
	a->arg = arg;
	a->rest_log = (struct log_limit){.burst = 3, .per_s = 60};
	err = loop_timer_new(l, pause_over, a, &a->pause);
	if (err) {
		free(a);
		return err;
	}
	*out = a;
	return 0;
}

int acceptor_add(struct acceptor *a, int fd)
{
	int err;

	if (a->n == ACCEPTOR_SOCKETS_MAX)
		return -NTM_ELIMIT;
	err = loop_io_add(a->loop, fd, a->full || a->rests ? 0 : LOOP_READ,
			  false, acceptable, a, &a->io[a->n]);
	if (err)
		return err;
	a->fds[a->n++] = fd;
	return 0;
}

void acceptor_forget(struct acceptor *a)
{
	if (a)
		a->forgotten = true;
}

void acceptor_free(struct acceptor *a)
{
	if (!a)
		return;
	for (size_t i = 0; i < a->n; i++) {
		loop_io_del(a->io[i]);
		if (!a->forgotten)
			close(a->fds[i]);
	}
	loop_timer_free(a->pause);
	free(a);
}
