/* SPDX-License-Identifier: MIT */
/*
 * channel_listener - accepts sessions, within limits per source and in all
 *
 * Theory of operation
 *
 * Books are kept per source (an IPv4 address, an IPv6 /64): sessions, and of them
 * those whose handshake is not done. Who is over a limit is accepted and closed at
 * once, which costs less than a backlog full of waiting clients of others.
 *
 * Whoever has many sources must not keep the others out by doing nothing. Of
 * handshakes not done there are CHANNEL_HALF_OPEN_MAX, then the oldest ends: an honest
 * one takes a few round trips, and is among the newest for as long. Where all
 * sessions are taken the oldest that showed no certificate ends, if there is one.
 *
 * When descriptors run out, one descriptor kept in reserve is given up to accept
 * and close the first waiting client, so that it is told at once; then accept rests
 * for CHANNEL_ACCEPT_PAUSE_MS, or until a session of ours ends. Otherwise epoll
 * would report the waiting clients again and again.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uthash.h>
#include <utlist.h>

#include "common/channel_impl.h"
#include "common/log.h"

#define ACCEPTS_PER_TURN 32

struct channel_source {
	uint8_t key[16]; /* IPv4-mapped, or the first 64 bits */
	unsigned int sessions, half_open;
	UT_hash_handle hh;
};

struct channel_listener {
	struct loop *loop;
	struct tls_context *ctx;
	int fd, reserve_fd;
	struct loop_io *io;
	struct loop_timer *pause;
	const struct channel_ops *ops;
	void *arg;
	struct channel *sessions, *waiting; /* handshake done; not yet */
	struct channel_source *sources;
	struct channel_listener_stats stats;
	unsigned int room; /* sessions in all */
	struct log_limit starved_log;
	bool closing;
	struct loop_task task;
};

/* --- sources ------------------------------------------------------------------------- */

static void source_key(const struct addr *a, uint8_t key[static 16])
{
	size_t len;
	const uint8_t *ip = addr_ip(a, &len);

	memset(key, 0, 16);
	if (len == 4) {
		key[10] = key[11] = 0xff;
		memcpy(key + 12, ip, 4);
	} else if (len == 16) {
		memcpy(key, ip, 8);
	}
}

static struct channel_source *source_get(struct channel_listener *cl,
					 const struct addr *a)
{
	struct channel_source *s;
	uint8_t key[16];

	source_key(a, key);
	HASH_FIND(hh, cl->sources, key, sizeof(key), s);
	if (s)
		return s;
	s = calloc(1, sizeof(*s));
	if (!s)
		return NULL;
	memcpy(s->key, key, sizeof(key));
	HASH_ADD(hh, cl->sources, key, sizeof(s->key), s);
	return s;
}

static void source_put(struct channel_listener *cl, struct channel_source *s)
{
	if (s->sessions)
		return;
	HASH_DEL(cl->sources, s);
	free(s);
}

/* --- end ------------------------------------------------------------------------------ */

static void listener_free(struct channel_listener *cl)
{
	loop_io_del(cl->io);
	loop_timer_free(cl->pause);
	if (cl->fd >= 0)
		close(cl->fd);
	if (cl->reserve_fd >= 0)
		close(cl->reserve_fd);
	free(cl);
}

/* Deferred behind the sessions it closed, and again until the last is gone. */
static void on_end_of_turn(void *arg)
{
	struct channel_listener *cl = arg;

	if (!cl->sessions && !cl->waiting)
		listener_free(cl);
}

void channel_listener_close(struct channel_listener *cl)
{
	struct channel *c, *next;

	if (!cl || cl->closing)
		return;
	cl->closing = true;
	loop_io_set(cl->io, 0);
	loop_timer_disarm(cl->pause);
	DL_FOREACH_SAFE (cl->sessions, c, next)
		channel_close(c);
	DL_FOREACH_SAFE (cl->waiting, c, next)
		channel_close(c);
	loop_defer_task(cl->loop, &cl->task);
}

/* --- accept --------------------------------------------------------------------------- */

static void resume(void *arg)
{
	struct channel_listener *cl = arg;

	if (cl->closing || !cl->stats.paused)
		return;
	if (cl->reserve_fd < 0)
		cl->reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	cl->stats.paused = false;
	loop_timer_disarm(cl->pause);
	loop_io_set(cl->io, LOOP_READ);
}

static void starve(struct channel_listener *cl)
{
	int fd;

	if (log_allowed(&cl->starved_log))
		log_warn("listener",
			 "out of descriptors or memory: %s; accept rests",
			 strerror(errno));
	if (cl->reserve_fd >= 0) {
		close(cl->reserve_fd);
		fd = accept4(cl->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fd >= 0) {
			close(fd);
			cl->stats.starved++;
		}
		cl->reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	}
	cl->stats.paused = true;
	loop_io_set(cl->io, 0);
	loop_timer_arm(cl->pause, LOOP_MS(CHANNEL_ACCEPT_PAUSE_MS));
}

static bool evict(struct channel_listener *cl, struct channel *list)
{
	struct channel *c;

	DL_FOREACH (list, c)
		if (c->state != CHANNEL_DEAD && !channel_peer(c)) {
			channel_close(c);
			cl->stats.evicted++;
			return true;
		}
	return false;
}

/* Return: false: there is no room for one more */
static bool make_room(struct channel_listener *cl)
{
	if (cl->stats.half_open >= CHANNEL_HALF_OPEN_MAX)
		(void)evict(cl, cl->waiting);
	return cl->stats.sessions < cl->room || evict(cl, cl->waiting) ||
	       evict(cl, cl->sessions);
}

/* @fd belongs to a session now, or is closed. */
static void admit(struct channel_listener *cl, int fd,
		  const struct sockaddr *remote, socklen_t len)
{
	struct channel_source *s;
	struct channel *c;
	struct addr a;

	cl->stats.accepted++;
	if (addr_from_sockaddr(remote, len, &a))
		addr_clear(&a);
	s = source_get(cl, &a);
	if (!s) {
		cl->stats.starved++;
		goto err_fd;
	}
	if (s->half_open >= CHANNEL_HALF_OPEN_SOURCE ||
	    s->sessions >= CHANNEL_SOURCE_MAX) {
		cl->stats.refused_source++;
		goto err_source;
	}
	if (!make_room(cl)) {
		cl->stats.refused_total++;
		goto err_source;
	}
	if (channel_new_take(cl->loop, cl->ctx, fd, remote, len, cl, cl->ops,
			     cl->arg, &c)) {
		cl->stats.starved++;
		goto err_source;
	}
	c->source = s;
	s->sessions++;
	s->half_open++;
	cl->stats.sessions++;
	cl->stats.half_open++;
	DL_APPEND(cl->waiting, c);
	return;
err_source:
	source_put(cl, s);
err_fd:
	close(fd);
}

static void on_readable(void *arg, int fd, unsigned int events)
{
	struct channel_listener *cl = arg;
	struct sockaddr_storage remote;
	socklen_t len;
	int i, client;

	(void)events;
	for (i = 0; i < ACCEPTS_PER_TURN; i++) {
		len = sizeof(remote);
		client = accept4(fd, (struct sockaddr *)&remote, &len,
				 SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (client >= 0)
			admit(cl, client, (struct sockaddr *)&remote, len);
		else if (errno == EMFILE || errno == ENFILE ||
			 errno == ENOBUFS || errno == ENOMEM)
			return starve(cl);
		else if (errno != EINTR && errno != ECONNABORTED)
			return;
	}
}

void channel_listener_opened(struct channel *c)
{
	DL_DELETE(c->listener->waiting, c);
	DL_APPEND(c->listener->sessions, c);
	c->listener->stats.opened++;
	c->listener->stats.half_open--;
	c->source->half_open--;
}

void channel_listener_gone(struct channel *c)
{
	struct channel_listener *cl = c->listener;

	if (!c->source)
		return; /* never admitted */
	c->source->sessions--;
	if (!c->opened) {
		c->source->half_open--;
		cl->stats.half_open--;
	}
	source_put(cl, c->source);
	cl->stats.sessions--;
	if (c->opened)
		DL_DELETE(cl->sessions, c);
	else
		DL_DELETE(cl->waiting, c);
	if (cl->closing)
		loop_defer_task(cl->loop, &cl->task);
	else if (cl->stats.paused)
		loop_timer_arm(cl->pause, 0);
}

int channel_listen_take(struct loop *l, struct tls_context *ctx, int fd,
			const struct channel_ops *ops, void *arg,
			struct channel_listener **out)
{
	struct channel_listener *cl = calloc(1, sizeof(*cl));
	int flags = fcntl(fd, F_GETFL), ret = -NTM_ESYSTEM;

	if (!cl)
		return -NTM_ENOMEM;
	cl->loop = l;
	cl->ctx = ctx;
	cl->ops = ops;
	cl->arg = arg;
	cl->fd = -1;
	cl->room = CHANNEL_SESSIONS_MAX;
	cl->task = (struct loop_task){.fn = on_end_of_turn, .arg = cl};
	cl->starved_log = (struct log_limit){.burst = 3, .per_s = 60};
	cl->reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (cl->reserve_fd < 0 || flags < 0 ||
	    fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		goto err_listener;
	ret = loop_timer_new(l, resume, cl, &cl->pause);
	if (ret == 0)
		ret = loop_io_add(l, fd, LOOP_READ, false, on_readable, cl,
				  &cl->io);
	if (ret)
		goto err_listener;
	cl->fd = fd;
	*out = cl;
	return 0;
err_listener:
	listener_free(cl);
	return ret;
}

void channel_listener_set_context(struct channel_listener *cl,
				  struct tls_context *ctx)
{
	cl->ctx = ctx;
}

void channel_listener_set_room(struct channel_listener *cl, unsigned int n)
{
	cl->room = n;
}

void channel_listener_stats(const struct channel_listener *cl,
			    struct channel_listener_stats *out)
{
	*out = cl->stats;
}
