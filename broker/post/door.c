/* SPDX-License-Identifier: MIT */
/*
 * door - port 4507 of our virtual addresses: devices that have an item for us, now
 *
 * Theory of operation
 *
 * The listening sockets are the keeper's, made inside the virtual network, and stay
 * when we end: who connects then has us started. A connection that is accepted is not
 * read before the worker has said whose virtual address that is; who may not connect
 * in is closed then, unread. The others go to libmicrohttpd, which runs on our loop:
 * its epoll descriptor is watched, and it is called when that is readable, or when it
 * has something left to do.
 *
 * libmicrohttpd's own time-out begins anew with every byte. So each second the loop
 * looks at all connections (enum door_phase) and shuts down the sockets of those that
 * are too slow.
 *
 * A connection is in the list from accept until libmicrohttpd is about to close it.
 */
#include "broker/post/door.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "broker/post/arrival.h"
#include "broker/post/door_impl.h"
#include "broker/post/link.h"
#include "common/acceptor.h"
#include "common/log.h"

#define POOL (192u << 10) /* of a connection; the kernel gives what is used */

struct door {
	struct post *post;
	struct MHD_Daemon *daemon;
	struct acceptor *acceptor;
	struct loop_io *io;
	struct loop_timer *run, *clock;
	struct door_conn *conns, *adding;
	size_t n_conns;
};

static void phase_set(struct door_conn *c, enum door_phase phase)
{
	c->phase = phase;
	c->since_ns = c->mark_ns = loop_now(c->door->post->loop);
	c->mark_moved = c->moved;
}

/* --- the list
 * ------------------------------------------------------------------------------ */

static void conn_remove(struct door_conn *c)
{
	struct door_conn **at = &c->door->conns;

	while (*at && *at != c)
		at = &(*at)->next;
	if (*at) {
		*at = c->next;
		c->door->n_conns--;
	}
	post_check_idle(c->door->post);
	free(c);
}

/* one that libmicrohttpd does not have */
static void conn_refuse(struct door_conn *c, const char *why)
{
	char text[ADDR_TEXT_LEN];

	log_debug("door", "%s: %s", addr_format_ip(&c->from, text), why);
	close(c->fd);
	conn_remove(c);
}

static size_t conns_of(const struct door *d, const struct addr *from)
{
	const struct door_conn *c;
	size_t n = 0;

	for (c = d->conns; c; c = c->next)
		n += addr_equal_ip(&c->from, from);
	return n;
}

bool door_busy(const struct door *d)
{
	const struct door_conn *c;

	for (c = d ? d->conns : NULL; c; c = c->next)
		if (c->phase != DOOR_IDLE)
			return true;
	return false;
}

/* --- what libmicrohttpd calls
 * --------------------------------------------------------------- */

static void on_connection(void *arg, struct MHD_Connection *mhd, void **context,
			  enum MHD_ConnectionNotificationCode code)
{
	struct door *d = arg;

	(void)mhd;
	if (code == MHD_CONNECTION_NOTIFY_STARTED) {
		*context = d->adding;
		d->adding = NULL;
	} else if (*context) {
		conn_remove(*context);
		*context = NULL;
	}
}

static enum MHD_Result on_access(void *arg, struct MHD_Connection *mhd,
				 const char *url, const char *method,
				 const char *version, const char *data,
				 size_t *size, void **request)
{
	struct door *d = arg;
	struct door_request *q = *request;
	struct door_conn *c;
	bool goes_on;

	(void)version;
	if (!q) {
		c = MHD_get_connection_info(mhd,
					    MHD_CONNECTION_INFO_SOCKET_CONTEXT)
			    ->socket_context;
		phase_set(c, DOOR_MOVING);
		*request = q = door_request_new(d->post, c, mhd, method, url);
		if (!q)
			return MHD_NO;
		return door_request_early(q) ? door_request_answer(q) : MHD_YES;
	}
	if (*size) {
		goes_on = door_request_body(q, (const uint8_t *)data, *size);
		*size = 0;
		return goes_on ? MHD_YES : MHD_NO;
	}
	door_request_done(q);
	return door_request_answer(q);
}

static void on_completed(void *arg, struct MHD_Connection *mhd, void **request,
			 enum MHD_RequestTerminationCode why)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(
		mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

	(void)arg, (void)why;
	door_request_free(*request);
	*request = NULL;
	if (info && info->socket_context) {
		phase_set(info->socket_context, DOOR_IDLE);
		post_check_idle(((struct door *)arg)->post);
	}
}

static void on_log(void *arg, const char *fmt, va_list ap)
	__attribute__((format(printf, 2, 0)));
static void on_log(void *arg, const char *fmt, va_list ap)
{
	char line[256];

	(void)arg;
	vsnprintf(line, sizeof(line), fmt, ap);
	line[strcspn(line, "\n")] = '\0';
	log_debug("door", "%s", line);
}

static void run(void *arg)
{
	struct door *d = arg;
	MHD_UNSIGNED_LONG_LONG ms;

	MHD_run(d->daemon);
	/* what it has read already wakes no descriptor */
	if (MHD_get_timeout(d->daemon, &ms) == MHD_YES && !ms)
		loop_timer_arm(d->run, 0);
}

static void on_epoll(void *arg, int fd, unsigned int events)
{
	(void)fd, (void)events;
	run(arg);
}

/* --- who comes
 * ------------------------------------------------------------------------------- */

static void conn_start(struct door_conn *c, const char *name)
{
	struct door *d = c->door;

	if (!name || strlen(name) > FQDN_MAX) {
		conn_refuse(c, "no device of a tunnel");
		return;
	}
	strcpy(c->name, name);
	if (!who_allows(&d->post->who, name)) {
		conn_refuse(c, "it may not connect in");
		return;
	}
	log_debug("door", "%s comes", name);
	phase_set(c, DOOR_HEADER);
	d->adding = c;
	if (MHD_add_connection(d->daemon, c->fd, &c->from.sa,
			       addr_len(&c->from)) == MHD_YES) {
		loop_timer_arm(d->run, 0);
		return;
	}
	/* the descriptor is closed; was the connection told to us? */
	if (d->adding) {
		d->adding = NULL;
		conn_remove(c);
	}
}

void door_name(struct door *d, const char *address, const char *name)
{
	struct door_conn *c, *next;
	struct addr a;

	if (!d || !address || addr_parse(address, 0, &a))
		return;
	for (c = d->conns; c; c = next) {
		next = c->next;
		if (c->phase == DOOR_ASKING && addr_equal_ip(&c->from, &a))
			conn_start(c, name);
	}
}

static void comes(void *arg, int fd, const struct addr *from)
{
	struct door *d = arg;
	struct door_conn *c = NULL;
	char text[ADDR_TEXT_LEN];
	int on = 1;

	if (!from) {
		close(fd);
		return;
	}
	if (d->n_conns < DOOR_CONNS_MAX && conns_of(d, from) < DOOR_PER_SOURCE)
		c = calloc(1, sizeof(*c));
	if (!c) {
		log_debug("door", "%s: too many connections",
			  addr_format_ip(from, text));
		close(fd);
		return;
	}
	c->door = d;
	c->fd = fd;
	c->from = *from;
	c->next = d->conns;
	d->conns = c;
	d->n_conns++;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	phase_set(c, DOOR_ASKING);
	if (!loop_timer_armed(d->clock))
		loop_timer_arm(d->clock, LOOP_S(1));
	post_check_idle(d->post);
	link_who(d->post->link, addr_format_ip(from, text));
}

/* --- clock
 * ----------------------------------------------------------------------------------- */

static bool is_slow(struct door_conn *c, uint64_t now)
{
	uint64_t age = now - c->since_ns;

	switch (c->phase) {
	case DOOR_ASKING:
		return age >= LOOP_S(DOOR_ASKING_S);
	case DOOR_HEADER:
		return age >= LOOP_S(DOOR_HEADER_S);
	case DOOR_IDLE:
		return age >= LOOP_S(DOOR_IDLE_S);
	case DOOR_MOVING:
		if (now - c->mark_ns < LOOP_S(DOOR_STALL_S))
			return false;
		if (c->moved - c->mark_moved < DOOR_STALL_BYTES)
			return true;
		c->mark_ns = now;
		c->mark_moved = c->moved;
		return false;
	}
	return false;
}

/* libmicrohttpd reads an end only after bytes: one that came with the last of them it
 * does not see */
static bool is_gone(const struct door_conn *c)
{
	char byte;

	return c->phase == DOOR_MOVING &&
	       !recv(c->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
}

static void tick(void *arg)
{
	struct door *d = arg;
	uint64_t now = loop_now(d->post->loop);
	struct door_conn *c, *next;

	for (c = d->conns; c; c = next) {
		next = c->next;
		if (!is_slow(c, now) && !is_gone(c))
			continue;
		if (c->phase == DOOR_ASKING)
			conn_refuse(c, "the worker does not know it");
		else
			shutdown(c->fd, SHUT_RDWR); /* libmicrohttpd closes */
	}
	arrival_tick(d->post);
	if (d->conns || inbox_busy(d->post->inbox))
		loop_timer_arm(d->clock, LOOP_S(1));
}

/* --- life
 * ------------------------------------------------------------------------------------ */

static int daemon_start(struct door *d)
{
	const union MHD_DaemonInfo *info;

	d->daemon = MHD_start_daemon(
		MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET | MHD_USE_ERROR_LOG, 0,
		NULL, NULL, on_access, d, MHD_OPTION_EXTERNAL_LOGGER, on_log, d,
		MHD_OPTION_NOTIFY_CONNECTION, on_connection, d,
		MHD_OPTION_NOTIFY_COMPLETED, on_completed, d,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)POOL,
		MHD_OPTION_CONNECTION_LIMIT, DOOR_CONNS_MAX + 1,
		MHD_OPTION_CONNECTION_TIMEOUT, 0u, MHD_OPTION_END);
	info = d->daemon ? MHD_get_daemon_info(d->daemon,
					       MHD_DAEMON_INFO_EPOLL_FD)
			 : NULL;
	if (!info)
		return -NTM_ESYSTEM;
	return loop_io_add(d->post->loop, info->epoll_fd, LOOP_READ, false,
			   on_epoll, d, &d->io);
}

int door_listen(struct door *d, int fd)
{
	if (!d)
		return -NTM_EINVAL;
	/* the keeper's sockets block */
	return fcntl(fd, F_SETFL, O_NONBLOCK) ? -NTM_ESYSTEM
					      : acceptor_add(d->acceptor, fd);
}

static int parts_make(struct door *d, const int *fds, size_t n)
{
	struct loop *l = d->post->loop;
	int err = loop_timer_new(l, run, d, &d->run);

	if (!err)
		err = loop_timer_new(l, tick, d, &d->clock);
	if (!err)
		err = acceptor_new(l, "door", comes, d, &d->acceptor);
	if (!err)
		err = daemon_start(d);
	for (size_t i = 0; !err && i < n && i < DOOR_FDS_MAX; i++)
		err = door_listen(d, fds[i]);
	return err;
}

int door_open(struct post *p, const int *fds, size_t n, struct door **out)
{
	struct door *d = calloc(1, sizeof(*d));
	int err;

	if (!d)
		return -NTM_ENOMEM;
	d->post = p;
	err = parts_make(d, fds, n);
	if (err) {
		acceptor_forget(d->acceptor); /* they stay the caller's */
		door_close(d);
		return err;
	}
	*out = d;
	return 0;
}

void door_close(struct door *d)
{
	if (!d)
		return;
	acceptor_free(d->acceptor);
	loop_io_del(d->io);
	if (d->daemon)
		MHD_stop_daemon(d->daemon);
	while (d->conns)
		conn_refuse(d->conns, "we end");
	loop_timer_free(d->run);
	loop_timer_free(d->clock);
	free(d);
}
