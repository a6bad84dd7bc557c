/* SPDX-License-Identifier: MIT */
/*
 * posterlink - a child of the keeper as the worker has it started: ntm-post, ntm-member
 *
 * Theory of operation
 *
 * Such a child is there only while it has something to do. The keeper starts it; its
 * owner here decides when, and it is started when a connection waits for it, too, also
 * while nobody is logged in. Its listening sockets and the link lie in the keeper's
 * store, so that neither our death nor its own loses a connection that waits, and the
 * worker after us goes on with it. While none runs we watch the sockets.
 *
 * One that ends with work left is started again, at once, then after 1, 2, 4 ... 60 s;
 * one that ran for longer than that begins anew. One that runs and whose link nobody has
 * (a worker died between its start and the store) is ended, and another one started.
 */
#include "broker/posterlink.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "broker/account.h"
#include "common/fdmsg.h"
#include "common/log.h"
#include "common/unixsock.h"

#define BACKLOG	    64
#define PAUSE_MAX_S 60

/* struct listening - a socket that waits for the child */
struct listening {
	struct posterlink *l;
	int fd; /* -1: none */
	struct loop_io *io;
};

struct posterlink {
	struct worker *w;
	enum poster_kind kind;
	const struct poster_is *is;
	const struct posterlink_ops *ops;
	void *arg;
	enum posterlink_state state;
	struct listening at[POSTER_MAX];
	int link;
	struct loop_io *io;
	struct loop_timer *pause;
	unsigned int deaths; /* in a row, with work left */
	uint64_t began_ns;
};

/* --- state ------------------------------------------------------------------------------- */

const char *posterlink_state_text(enum posterlink_state s)
{
	static const char *const texts[POSTERLINK_STATES] = {
		[POSTERLINK_IDLE] = "idle",
		[POSTERLINK_RUNNING] = "running",
		[POSTERLINK_PAUSE] = "pause",
	};

	return texts[s];
}

enum posterlink_state posterlink_state(const struct posterlink *l)
{
	return l->state;
}

static void set_state(struct posterlink *l, enum posterlink_state s)
{
	if (s != l->state)
		log_debug(l->is->folder, "%s -> %s",
			  posterlink_state_text(l->state),
			  posterlink_state_text(s));
	l->state = s;
	for (int i = 0; i < POSTER_MAX; i++)
		if (l->at[i].io)
			loop_io_set(l->at[i].io,
				    s == POSTERLINK_IDLE ? LOOP_READ : 0);
}

static void pause_begin(struct posterlink *l, unsigned int s)
{
	set_state(l, POSTERLINK_PAUSE);
	loop_timer_arm(l->pause, LOOP_S(s));
}

static void pause_over(void *arg)
{
	struct posterlink *l = arg;

	if (l->state == POSTERLINK_PAUSE)
		set_state(l, POSTERLINK_IDLE);
	posterlink_work(l);
}

/* --- its end ------------------------------------------------------------------------------- */

static void link_drop(struct posterlink *l)
{
	char key[KEEPER_KEY_MAX];

	loop_io_del(l->io);
	if (l->link >= 0)
		close(l->link);
	l->io = NULL;
	l->link = -1;
	poster_key_link(l->kind, key);
	if (keeper_fd_del(l->w->keeper, key))
		log_debug(l->is->folder, "the keeper had no link");
}

static void again_later(struct posterlink *l)
{
	unsigned int s =
		l->deaths ? 1u << (l->deaths < 7 ? l->deaths - 1 : 6) : 0;

	if (s > PAUSE_MAX_S)
		s = PAUSE_MAX_S;
	l->deaths++;
	log_warn(l->is->folder, "%s ended with work left; again in %u s",
		 l->is->program, s);
	pause_begin(l, s);
}

static void ended(struct posterlink *l)
{
	enum posterlink_end end = l->ops->ended(l->arg);

	link_drop(l);
	set_state(l, POSTERLINK_IDLE);
	if (loop_now(l->w->loop) - l->began_ns > LOOP_S(PAUSE_MAX_S) ||
	    end != POSTERLINK_LEFT)
		l->deaths = 0;
	if (end == POSTERLINK_LEFT)
		again_later(l);
	else if (end == POSTERLINK_NEWS)
		posterlink_work(l);
}

void posterlink_forgive(struct posterlink *l)
{
	l->deaths = 0;
}

/* --- messages -------------------------------------------------------------------------------- */

static void link_ready(void *arg, int fd, unsigned int events)
{
	struct posterlink *l = arg;
	char buf[POSTERLINK_MESSAGE_MAX];
	ssize_t n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT);
	const char *what;
	json_t *o;

	(void)events;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		ended(l);
		return;
	}
	o = json_loadb(buf, (size_t)n, 0, NULL);
	what = json_string_value(json_object_get(o, "say"));
	if (what)
		l->ops->said(l->arg, what, o);
	json_decref(o);
}

void posterlink_tell(struct posterlink *l, json_t *message, int fd)
{
	char *text = json_dumps(message, JSON_COMPACT);
	size_t len = text ? strlen(text) : 0;

	json_decref(message);
	if (l->state == POSTERLINK_RUNNING && len &&
	    fdmsg_send(l->link, text, len, NULL, 0, &fd, fd >= 0, MSG_DONTWAIT))
		log_debug(l->is->folder, "%s does not read", l->is->program);
	free(text);
}

/* --- its start ------------------------------------------------------------------------------- */

/* @fd: taken */
static int link_use(struct posterlink *l, int fd)
{
	int err = loop_io_add(l->w->loop, fd, LOOP_READ, false, link_ready, l,
			      &l->io);

	if (err) {
		close(fd);
		return err;
	}
	l->link = fd;
	l->ops->linked(l->arg);
	loop_timer_disarm(l->pause);
	set_state(l, POSTERLINK_RUNNING);
	return 0;
}

static void start_failed(struct posterlink *l, int err)
{
	/* one runs whose link we do not have: a worker before us died too early */
	if (err == -NTM_EEXISTS && !keeper_post_end(l->w->keeper, l->kind)) {
		pause_begin(l, 1);
		return;
	}
	log_warn(l->is->folder, "%s cannot be started: %s", l->is->program,
		 err_text(err));
	pause_begin(l, PAUSE_MAX_S);
}

void posterlink_begin(struct posterlink *l)
{
	char key[KEEPER_KEY_MAX];
	int fd = -1, err;

	if (l->state != POSTERLINK_IDLE)
		return;
	poster_key_link(l->kind, key);
	err = keeper_post(l->w->keeper, l->kind, &fd);
	if (!err && keeper_fd_put(l->w->keeper, key, fd))
		log_warn(l->is->folder, "the keeper does not keep %s's link",
			 l->is->program);
	if (!err)
		err = link_use(l, fd);
	if (err) {
		start_failed(l, err);
		return;
	}
	l->began_ns = loop_now(l->w->loop);
	if (l->ops->started)
		l->ops->started(l->arg);
}

void posterlink_work(struct posterlink *l)
{
	if (l->w->account->logged_in)
		posterlink_begin(l);
}

void posterlink_stop(struct posterlink *l)
{
	if (l->state == POSTERLINK_RUNNING &&
	    keeper_post_end(l->w->keeper, l->kind))
		log_debug(l->is->folder, "%s was not ended", l->is->program);
}

/* --- sockets that wait --------------------------------------------------------------------------- */

static void connection_waits(void *arg, int fd, unsigned int events)
{
	struct listening *at = arg;

	/* logged out, too: what is here can be taken, and the rest is refused */
	(void)fd, (void)events;
	posterlink_begin(at->l);
}

int posterlink_socket(const struct posterlink *l, int i)
{
	return l->at[i].fd;
}

void posterlink_unlisten(struct posterlink *l, int i)
{
	struct listening *at = &l->at[i];
	char key[KEEPER_KEY_MAX];

	if (at->fd < 0)
		return;
	loop_io_del(at->io);
	close(at->fd);
	at->io = NULL;
	at->fd = -1;
	poster_key(l->kind, i, key);
	if (keeper_fd_del(l->w->keeper, key))
		log_debug(l->is->folder, "the keeper had no %s", key);
}

/* @fd: taken. @keep: the keeper does not have it yet */
static void socket_use(struct posterlink *l, int i, int fd, bool keep)
{
	struct listening *at = &l->at[i];
	char key[KEEPER_KEY_MAX];
	int err;

	poster_key(l->kind, i, key);
	at->fd = fd;
	err = loop_io_add(l->w->loop, fd,
			  l->state == POSTERLINK_IDLE ? LOOP_READ : 0, false,
			  connection_waits, at, &at->io);
	if (!err && keep)
		err = keeper_fd_put(l->w->keeper, key, fd);
	if (err) {
		log_warn(l->is->folder, "nobody can connect to %s: %s",
			 l->is->program, err_text(err));
		posterlink_unlisten(l, i);
	}
}

void posterlink_listen(struct posterlink *l, int i, int fd)
{
	socket_use(l, i, fd, true);
}

void posterlink_listen_local(struct posterlink *l)
{
	const char *dir = keeper_rundir(l->w->keeper);
	char name[32];
	int fd;

	if (l->at[0].fd >= 0)
		return;
	snprintf(name, sizeof(name), "%s.sock", l->is->names[0]);
	if (unixsock_listen(dir, name, SOCK_STREAM, BACKLOG, &fd))
		log_warn(l->is->folder, "%s/%s: %s", dir, name,
			 strerror(errno));
	else
		socket_use(l, 0, fd, true);
}

/* --- life ----------------------------------------------------------------------------------------- */

bool posterlink_is_installed(enum poster_kind kind)
{
	char path[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 16);
	char *slash;

	if (n <= 0)
		return false;
	path[n] = '\0';
	slash = strrchr(path, '/');
	if (!slash)
		return false;
	snprintf(slash + 1, sizeof(path) - (size_t)(slash + 1 - path), "%s",
		 poster_kinds[kind].program);
	return access(path, X_OK) == 0;
}

static void left_over(void *arg, const char *key, int fd)
{
	struct posterlink *l = arg;
	char name[KEEPER_KEY_MAX];

	for (int i = 0; i < POSTER_MAX && l->is->names[i]; i++) {
		poster_key(l->kind, i, name);
		if (strcmp(key, name) || l->at[i].fd >= 0)
			continue;
		socket_use(l, i, fd, false);
		return;
	}
	poster_key_link(l->kind, name);
	if (strcmp(key, name) || l->link >= 0)
		close(fd);
	else if (link_use(l, fd))
		log_warn(l->is->folder, "the link with %s is lost",
			 l->is->program);
}

int posterlink_new(struct worker *w, enum poster_kind kind,
		   const struct posterlink_ops *ops, void *arg,
		   struct posterlink **out)
{
	struct posterlink *l = calloc(1, sizeof(*l));
	char prefix[KEEPER_KEY_MAX];
	int err;

	if (!l)
		return -NTM_ENOMEM;
	*l = (struct posterlink){.w = w,
				 .kind = kind,
				 .is = &poster_kinds[kind],
				 .ops = ops,
				 .arg = arg,
				 .link = -1};
	for (int i = 0; i < POSTER_MAX; i++)
		l->at[i] = (struct listening){.l = l, .fd = -1};
	err = loop_timer_new(w->loop, pause_over, l, &l->pause);
	if (err) {
		free(l);
		return err;
	}
	snprintf(prefix, sizeof(prefix), "%s/", l->is->folder);
	keeper_fd_each(w->keeper, prefix, left_over, l);
	posterlink_listen_local(l);
	*out = l;
	return 0;
}

void posterlink_free(struct posterlink *l)
{
	if (!l)
		return;
	for (int i = 0; i < POSTER_MAX; i++) {
		loop_io_del(l->at[i].io);
		if (l->at[i].fd >= 0)
			close(l->at[i].fd);
	}
	loop_io_del(l->io);
	if (l->link >= 0)
		close(l->link);
	loop_timer_free(l->pause);
	free(l);
}
