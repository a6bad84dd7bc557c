/* SPDX-License-Identifier: MIT */
/*
 * memberlink - ntm-member, as the worker has it started and tells it what happens
 *
 * Theory of operation
 *
 * ntm-member holds groups' keys, and runs while this device is in a group or an
 * invitation waits: it says "keep" then, and a file of its store is there. Else it is
 * started when somebody connects to member.sock or an item for it has come, and ends by
 * itself. The listening socket and the link lie in the keeper's store, as ntm-post's do.
 *
 * One that ends with its last word "keep" is started again, at once, then after 1, 2, 4
 * ... 60 s; one that ran for longer than that begins anew.
 */
#include "broker/memberlink.h"

#include <errno.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "broker/account.h"
#include "broker/keeper_link.h"
#include "broker/poster.h"
#include "common/log.h"

#define KEY_LINK    "member/link"
#define KEY_PREFIX  "member/"
#define STORE_FILE  "member/groups.db" /* in the state folder */
#define BACKLOG	    16
#define PAUSE_MAX_S 60

struct memberlink {
	struct worker *w;
	enum memberlink_state state;
	int socket, link;
	struct loop_io *socket_io, *link_io;
	struct loop_timer *pause;
	bool keep, items, looked;
	unsigned int deaths;
	uint64_t began_ns;
};

static void set_state(struct memberlink *m, enum memberlink_state s)
{
	static const char *const texts[] = {
		[MEMBERLINK_IDLE] = "idle",
		[MEMBERLINK_RUNNING] = "running",
		[MEMBERLINK_PAUSE] = "pause",
	};

	if (s != m->state)
		log_debug("member", "%s -> %s", texts[m->state], texts[s]);
	m->state = s;
	if (m->socket_io)
		loop_io_set(m->socket_io, s == MEMBERLINK_IDLE ? LOOP_READ : 0);
}

static void tell(struct memberlink *m, const char *event)
{
	char text[64];
	int n = snprintf(text, sizeof(text), "{\"event\":\"%s\"}", event);

	if (m->state == MEMBERLINK_RUNNING &&
	    send(m->link, text, (size_t)n, MSG_NOSIGNAL | MSG_DONTWAIT) != n)
		log_debug("member", "ntm-member does not read");
}

/* --- its end ----------------------------------------------------------------------- */

static void link_drop(struct memberlink *m)
{
	loop_io_del(m->link_io);
	if (m->link >= 0)
		close(m->link);
	m->link_io = NULL;
	m->link = -1;
	if (keeper_fd_del(m->w->keeper, KEY_LINK))
		log_debug("member", "the keeper had no link");
}

static void ended(struct memberlink *m)
{
	unsigned int s;

	link_drop(m);
	set_state(m, MEMBERLINK_IDLE);
	if (loop_now(m->w->loop) - m->began_ns > LOOP_S(PAUSE_MAX_S))
		m->deaths = 0;
	if (!m->keep && !m->items) {
		m->deaths = 0;
		return;
	}
	s = m->deaths ? 1u << (m->deaths < 7 ? m->deaths - 1 : 6) : 0;
	s = s < PAUSE_MAX_S ? s : PAUSE_MAX_S;
	if (m->keep)
		log_warn("member", "ntm-member ended; again in %u s", s);
	m->deaths++;
	set_state(m, MEMBERLINK_PAUSE);
	loop_timer_arm(m->pause, LOOP_S(s));
}

static void link_ready(void *arg, int fd, unsigned int events)
{
	struct memberlink *m = arg;
	char buf[MEMBERLINK_MESSAGE_MAX];
	ssize_t n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT);
	const char *what;
	json_t *o;

	(void)events;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		ended(m);
		return;
	}
	o = json_loadb(buf, (size_t)n, 0, NULL);
	what = json_string_value(json_object_get(o, "say"));
	if (what && !strcmp(what, "keep"))
		m->keep = true;
	else if (what && !strcmp(what, "idle"))
		m->keep = false;
	json_decref(o);
}

/* --- its start ---------------------------------------------------------------------- */

static int link_use(struct memberlink *m, int fd)
{
	int err = loop_io_add(m->w->loop, fd, LOOP_READ, false, link_ready, m,
			      &m->link_io);

	if (err) {
		close(fd);
		return err;
	}
	m->link = fd;
	/* what it said to a worker before us we do not know */
	m->keep = true;
	loop_timer_disarm(m->pause);
	set_state(m, MEMBERLINK_RUNNING);
	return 0;
}

static void begin(struct memberlink *m)
{
	int fd = -1, err;

	if (m->state != MEMBERLINK_IDLE)
		return;
	err = keeper_post(m->w->keeper, POSTER_GROUPS, &fd);
	if (!err && keeper_fd_put(m->w->keeper, KEY_LINK, fd))
		log_warn("member", "the keeper does not keep the link");
	if (!err)
		err = link_use(m, fd);
	if (!err) {
		m->items = false;
		m->began_ns = loop_now(m->w->loop);
		return;
	}
	/* one runs whose link we do not have: a worker before us died too early */
	if (err == -NTM_EEXISTS &&
	    !keeper_post_end(m->w->keeper, POSTER_GROUPS)) {
		set_state(m, MEMBERLINK_PAUSE);
		loop_timer_arm(m->pause, LOOP_S(1));
		return;
	}
	log_warn("member", "ntm-member cannot be started: %s", err_text(err));
	set_state(m, MEMBERLINK_PAUSE);
	loop_timer_arm(m->pause, LOOP_S(PAUSE_MAX_S));
}

static void pause_over(void *arg)
{
	struct memberlink *m = arg;

	if (m->state == MEMBERLINK_PAUSE)
		set_state(m, MEMBERLINK_IDLE);
	if (m->w->account->logged_in)
		begin(m);
}

static void connection_waits(void *arg, int fd, unsigned int events)
{
	(void)fd, (void)events;
	begin(arg);
}

/* --- the socket of ntm-group ------------------------------------------------------------ */

/* @fd: taken */
static void socket_use(struct memberlink *m, int fd, bool keep)
{
	int err = loop_io_add(m->w->loop, fd, LOOP_READ, false,
			      connection_waits, m, &m->socket_io);

	if (!err && keep)
		err = keeper_fd_put(m->w->keeper, POSTER_MEMBER_KEY, fd);
	m->socket = fd;
	if (!err) {
		set_state(m, m->state);
		return;
	}
	log_warn("member", "nobody can connect to ntm-member: %s",
		 err_text(err));
	loop_io_del(m->socket_io);
	m->socket_io = NULL;
	close(fd);
	m->socket = -1;
}

static void listen_local(struct memberlink *m)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	int fd, n = snprintf(un.sun_path, sizeof(un.sun_path),
			     "%s/" MEMBERLINK_SOCKET,
			     keeper_rundir(m->w->keeper));

	if (m->socket >= 0 || n < 0 || n >= (int)sizeof(un.sun_path))
		return;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return;
	unlink(un.sun_path); /* a killed broker's */
	if (fchmod(fd, 0600) || bind(fd, (struct sockaddr *)&un, sizeof(un)) ||
	    listen(fd, BACKLOG)) {
		log_warn("member", "%s: %s", un.sun_path, strerror(errno));
		close(fd);
		return;
	}
	socket_use(m, fd, true);
}

/* --- events ------------------------------------------------------------------------------- */

static bool has_store(const struct memberlink *m)
{
	char path[PATH_MAX];

	return snprintf(path, sizeof(path), "%s/" STORE_FILE,
			m->w->account->state_dir) < (int)sizeof(path) &&
	       !access(path, F_OK);
}

void memberlink_session(struct memberlink *m)
{
	if (!m)
		return;
	tell(m, "session");
	if (m->w->account->logged_in && has_store(m))
		begin(m);
}

void memberlink_online(struct memberlink *m)
{
	if (!m)
		return;
	tell(m, "online");
	/* a saved session: nobody has logged in since the start */
	if (!m->looked && m->w->account->logged_in && has_store(m))
		begin(m);
	m->looked = true;
}

void memberlink_items(struct memberlink *m)
{
	if (!m)
		return;
	m->items = m->state != MEMBERLINK_RUNNING;
	tell(m, "items");
	begin(m);
}

/* --- life ------------------------------------------------------------------------------------ */

bool memberlink_is_installed(void)
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
	strcpy(slash + 1, "ntm-member");
	return access(path, X_OK) == 0;
}

static void left_over(void *arg, const char *key, int fd)
{
	struct memberlink *m = arg;

	if (!strcmp(key, POSTER_MEMBER_KEY) && m->socket < 0)
		socket_use(m, fd, false);
	else if (strcmp(key, KEY_LINK) || m->link >= 0)
		close(fd);
	else if (link_use(m, fd))
		log_warn("member", "the link with ntm-member is lost");
	else
		m->looked = true;
}

int memberlink_new(struct worker *w, struct memberlink **out)
{
	struct memberlink *m = calloc(1, sizeof(*m));
	int err;

	if (!m)
		return -NTM_ENOMEM;
	m->w = w;
	m->link = m->socket = -1;
	err = loop_timer_new(w->loop, pause_over, m, &m->pause);
	if (err) {
		free(m);
		return err;
	}
	keeper_fd_each(w->keeper, KEY_PREFIX, left_over, m);
	listen_local(m);
	*out = m;
	return 0;
}

/* what the keeper has stays there, for the next worker */
void memberlink_free(struct memberlink *m)
{
	if (!m)
		return;
	loop_timer_free(m->pause);
	loop_io_del(m->socket_io);
	loop_io_del(m->link_io);
	if (m->socket >= 0)
		close(m->socket);
	if (m->link >= 0)
		close(m->link);
	free(m);
}
