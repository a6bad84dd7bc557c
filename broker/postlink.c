/* SPDX-License-Identifier: MIT */
/*
 * postlink - ntm-post, as the worker has it started and tells it what happens
 *
 * Theory of operation
 *
 * Sending and receiving items is the business of ntm-post, a process that is there
 * only while it has something to do. The keeper starts it; this decides when. Three
 * listening sockets stand ready for it: one for `ntm send` and other programs in the
 * runtime folder, and one on each virtual address, for those who have an item for us
 * while both are online. They lie in the keeper's store, so that neither our death nor
 * ntm-post's loses a connection that waits; while no ntm-post runs we watch them.
 *
 * It is started when a connection waits, also while nobody is logged in; when the number of our cache list has changed
 * and is not 0; once after the worker's start or a login, as it may have left work; and
 * when the time has come that it named at its end. It tells us over the link:
 *   busy: it has work. If it dies then it is started again, at once, then after
 *         1, 2, 4 ... 60 s; one that ran for longer than that begins anew;
 *   group: an item of application ntm-group is here: ntm-member is told;
 *   idle: it ends. It says how many of our messages it has read: where there are more,
 *         it is started again.
 * The link, too, lies in the keeper's store: the worker after us goes on with it. What
 * an ntm-post of a worker before said before we came we may not know: it counts as
 * busy.
 */
#include "broker/postlink.h"

#include <errno.h>
#include <jansson.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "broker/account.h"
#include "broker/memberlink.h"
#include "broker/poster.h"
#include "broker/resolve.h"
#include "broker/session.h"
#include "common/log.h"

#define KEY_LINK    "post/link"
#define KEY_PREFIX  "post/"
#define BACKLOG	    64
#define PAUSE_MAX_S 60
#define AGAIN_MIN_S 1
#define AGAIN_MAX_S (40 * 86400)

enum { AT_POST, AT_TCP6, AT_TCP4 };

/* struct listening - a socket that waits for ntm-post */
struct listening {
	struct postlink *p;
	int fd; /* -1: none */
	struct loop_io *io;
};

struct postlink {
	struct worker *w;
	enum postlink_state state;
	struct listening at[POSTER_MAX];
	uint8_t vip6[16], vip4[4]; /* that the sockets are bound to */
	int link;
	struct loop_io *io;
	struct loop_timer *pause, *again;
	bool busy, idle;	 /* what it said last; @idle: it ends */
	unsigned int sent, read; /* messages to it */
	unsigned int deaths;	 /* in a row, with work left */
	uint64_t began_ns;
	bool looked; /* it was started once since the login */
	uint32_t serial;
	unsigned int starts;
};

static const char *const names[POSTER_MAX] = POSTER_NAMES;

static void start(struct postlink *p);

static void set_state(struct postlink *p, enum postlink_state s)
{
	static const char *const texts[] = {
		[POSTLINK_IDLE] = "idle",
		[POSTLINK_RUNNING] = "running",
		[POSTLINK_PAUSE] = "pause",
	};

	if (s != p->state)
		log_debug("post", "%s -> %s", texts[p->state], texts[s]);
	p->state = s;
	for (int i = 0; i < POSTER_MAX; i++)
		if (p->at[i].io)
			loop_io_set(p->at[i].io,
				    s == POSTLINK_IDLE ? LOOP_READ : 0);
}

/* --- messages ------------------------------------------------------------------------ */

static void tell(struct postlink *p, json_t *o)
{
	char *text = json_dumps(o, JSON_COMPACT);
	size_t len = text ? strlen(text) : 0;

	json_decref(o);
	if (p->state == POSTLINK_RUNNING && len &&
	    send(p->link, text, len, MSG_NOSIGNAL | MSG_DONTWAIT) !=
		    (ssize_t)len)
		log_debug("post", "ntm-post does not read");
	p->sent++; /* one that is lost makes it start again */
	free(text);
}

static void tell_event(struct postlink *p, const char *event)
{
	if (p && p->state == POSTLINK_RUNNING)
		tell(p, json_pack("{s:s}", "event", event));
}

/* who is at the other end of a connection to its port */
static void tell_who(struct postlink *p, const char *address)
{
	const char *name = NULL;
	struct addr a;

	if (address && !addr_parse(address, 0, &a))
		name = resolve_reverse(p->w->resolve, &a);
	if (address)
		tell(p, json_pack("{s:s, s:s, s:s?}", "event", "who", "address",
				  address, "name", name));
}

static void said(struct postlink *p, json_t *o)
{
	const char *what = json_string_value(json_object_get(o, "say"));
	json_int_t again = json_integer_value(json_object_get(o, "again_s"));

	if (what && !strcmp(what, "who")) {
		tell_who(p, json_string_value(json_object_get(o, "address")));
	} else if (what && !strcmp(what, "group")) {
		memberlink_items(p->w->memberlink);
	} else if (what && !strcmp(what, "busy")) {
		p->busy = true;
		p->idle = false;
	} else if (what && !strcmp(what, "idle")) {
		p->busy = false;
		p->idle = true;
		p->deaths = 0;
		p->read = (unsigned int)json_integer_value(
			json_object_get(o, "events"));
		loop_timer_disarm(p->again);
		if (again >= AGAIN_MIN_S)
			loop_timer_arm(
				p->again,
				LOOP_S((uint64_t)(again < AGAIN_MAX_S
							  ? again
							  : AGAIN_MAX_S)));
	}
}

/* --- its end --------------------------------------------------------------------------- */

static void link_drop(struct postlink *p)
{
	loop_io_del(p->io);
	if (p->link >= 0)
		close(p->link);
	p->io = NULL;
	p->link = -1;
	if (keeper_fd_del(p->w->keeper, KEY_LINK))
		log_debug("post", "the keeper had no link");
}

static void ended(struct postlink *p)
{
	bool left = p->busy || !p->idle;
	bool news = p->idle && p->sent != p->read;
	unsigned int s;

	link_drop(p);
	set_state(p, POSTLINK_IDLE);
	if (loop_now(p->w->loop) - p->began_ns > LOOP_S(PAUSE_MAX_S))
		p->deaths = 0;
	if (left) {
		s = p->deaths ? 1u << (p->deaths < 7 ? p->deaths - 1 : 6) : 0;
		p->deaths++;
		log_warn("post", "ntm-post ended with work left; again in %u s",
			 s < PAUSE_MAX_S ? s : PAUSE_MAX_S);
		set_state(p, POSTLINK_PAUSE);
		loop_timer_arm(p->pause,
			       LOOP_S(s < PAUSE_MAX_S ? s : PAUSE_MAX_S));
	} else if (news) {
		start(p);
	}
}

static void link_ready(void *arg, int fd, unsigned int events)
{
	struct postlink *p = arg;
	char buf[POSTLINK_MESSAGE_MAX];
	ssize_t n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT);
	json_t *o;

	(void)events;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		ended(p);
		return;
	}
	o = json_loadb(buf, (size_t)n, 0, NULL);
	if (o)
		said(p, o);
	json_decref(o);
}

/* --- its start -------------------------------------------------------------------------- */

static int link_use(struct postlink *p, int fd)
{
	int err = loop_io_add(p->w->loop, fd, LOOP_READ, false, link_ready, p,
			      &p->io);

	if (err) {
		close(fd);
		return err;
	}
	p->link = fd;
	p->busy = p->idle = false;
	loop_timer_disarm(p->pause);
	set_state(p, POSTLINK_RUNNING);
	return 0;
}

static void start_failed(struct postlink *p, int err)
{
	/* one runs whose link we do not have: a worker before us died too early */
	if (err == -NTM_EEXISTS &&
	    !keeper_post_end(p->w->keeper, POSTER_ITEMS)) {
		set_state(p, POSTLINK_PAUSE);
		loop_timer_arm(p->pause, LOOP_S(1));
		return;
	}
	log_warn("post", "ntm-post cannot be started: %s", err_text(err));
	set_state(p, POSTLINK_PAUSE);
	loop_timer_arm(p->pause, LOOP_S(PAUSE_MAX_S));
}

static void begin(struct postlink *p)
{
	int fd = -1, err;

	if (p->state != POSTLINK_IDLE)
		return;
	err = keeper_post(p->w->keeper, POSTER_ITEMS, &fd);
	if (!err && keeper_fd_put(p->w->keeper, KEY_LINK, fd))
		log_warn("post", "the keeper does not keep ntm-post's link");
	if (!err)
		err = link_use(p, fd);
	if (err) {
		start_failed(p, err);
		return;
	}
	p->starts++;
	p->began_ns = loop_now(p->w->loop);
	p->sent = p->read = 0;
	tell(p, json_pack("{s:s, s:b, s:I}", "event", "start", "online",
			  session_state(p->w->session) == SESSION_ONLINE,
			  "serial", (json_int_t)p->serial));
}

/* for its own work, of which there is none without a login */
static void start(struct postlink *p)
{
	if (p->w->account->logged_in)
		begin(p);
}

static void pause_over(void *arg)
{
	struct postlink *p = arg;

	if (p->state == POSTLINK_PAUSE)
		set_state(p, POSTLINK_IDLE);
	start(p);
}

static void again(void *arg)
{
	start(arg);
}

/* --- sockets that wait ---------------------------------------------------------------------- */

static void connection_waits(void *arg, int fd, unsigned int events)
{
	struct listening *l = arg;

	/* logged out, too: what is here can be taken, and the rest is refused */
	(void)fd, (void)events;
	begin(l->p);
}

static void listening_drop(struct postlink *p, int i)
{
	struct listening *l = &p->at[i];
	char key[KEEPER_KEY_MAX];

	if (l->fd < 0)
		return;
	loop_io_del(l->io);
	close(l->fd);
	l->io = NULL;
	l->fd = -1;
	snprintf(key, sizeof(key), POSTER_PREFIX "%s", names[i]);
	if (keeper_fd_del(p->w->keeper, key))
		log_debug("post", "the keeper had no %s", key);
}

/* @fd: taken */
static void listening_use(struct postlink *p, int i, int fd, bool keep)
{
	struct listening *l = &p->at[i];
	char key[KEEPER_KEY_MAX];
	int err;

	snprintf(key, sizeof(key), POSTER_PREFIX "%s", names[i]);
	*l = (struct listening){.p = p, .fd = fd};
	err = loop_io_add(p->w->loop, fd,
			  p->state == POSTLINK_IDLE ? LOOP_READ : 0, false,
			  connection_waits, l, &l->io);
	if (!err && keep)
		err = keeper_fd_put(p->w->keeper, key, fd);
	if (err) {
		log_warn("post", "nobody can connect to ntm-post: %s",
			 err_text(err));
		listening_drop(p, i);
	}
}

static void listen_local(struct postlink *p)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	int fd, n = snprintf(un.sun_path, sizeof(un.sun_path),
			     "%s/" POSTLINK_SOCKET,
			     keeper_rundir(p->w->keeper));

	if (p->at[AT_POST].fd >= 0 || n < 0 || n >= (int)sizeof(un.sun_path))
		return;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return;
	unlink(un.sun_path); /* a killed broker's */
	if (fchmod(fd, 0600) || bind(fd, (struct sockaddr *)&un, sizeof(un)) ||
	    listen(fd, BACKLOG)) {
		log_warn("post", "%s: %s", un.sun_path, strerror(errno));
		close(fd);
		return;
	}
	listening_use(p, AT_POST, fd, true);
}

/* a socket inside the namespace, on one of our virtual addresses */
static void listen_virtual(struct postlink *p, int i, const struct addr *a)
{
	static const int on = 1;
	int fd, family = a->sa.sa_family;
	int err = keeper_socket(p->w->keeper, family, SOCK_STREAM, 0, &fd);

	if (err) {
		log_warn("post", "no socket for other nodes: %s",
			 err_text(err));
		return;
	}
	/* the address may not be there yet, or be tried for doubles */
	if (family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_FREEBIND, &on, sizeof(on));
	else
		setsockopt(fd, IPPROTO_IP, IP_FREEBIND, &on, sizeof(on));
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, &a->sa, addr_len(a)) || listen(fd, BACKLOG)) {
		log_warn("post", "port %u of our virtual address: %s",
			 POSTLINK_PORT, strerror(errno));
		close(fd);
		return;
	}
	listening_use(p, i, fd, true);
}

static void listen_all(struct postlink *p)
{
	static const uint8_t none[4];
	const struct ntmc_cert *c = &p->w->account->cert;
	bool moved =
		memcmp(p->vip6, c->vip6, 16) || memcmp(p->vip4, c->vip4, 4);
	struct addr a;

	listen_local(p);
	if (moved && (p->at[AT_TCP6].fd >= 0 || p->at[AT_TCP4].fd >= 0)) {
		listening_drop(p, AT_TCP6);
		listening_drop(p, AT_TCP4);
		/* the one that runs has the old ones */
		if (p->state == POSTLINK_RUNNING &&
		    keeper_post_end(p->w->keeper, POSTER_ITEMS))
			log_debug("post", "ntm-post was not ended");
	}
	memcpy(p->vip6, c->vip6, sizeof(p->vip6));
	memcpy(p->vip4, c->vip4, sizeof(p->vip4));
	if (p->at[AT_TCP6].fd < 0 &&
	    !addr_from_ip(c->vip6, 16, POSTLINK_PORT, &a))
		listen_virtual(p, AT_TCP6, &a);
	if (p->at[AT_TCP4].fd < 0 && memcmp(c->vip4, none, 4) &&
	    !addr_from_ip(c->vip4, 4, POSTLINK_PORT, &a))
		listen_virtual(p, AT_TCP4, &a);
}

/* --- events ------------------------------------------------------------------------------------ */

void postlink_logged_in(struct postlink *p)
{
	if (!p)
		return;
	listen_all(p);
	p->looked = false;
	set_state(p, p->state); /* watch again */
	tell_event(p, "session");
	if (session_state(p->w->session) == SESSION_ONLINE)
		postlink_online(p);
}

void postlink_logged_out(struct postlink *p)
{
	if (!p)
		return;
	p->serial = 0;
	loop_timer_disarm(p->again);
	tell_event(p, "session");
}

void postlink_online(struct postlink *p)
{
	if (!p)
		return;
	listen_all(p); /* a session that was saved: nobody has logged in */
	tell_event(p, "online");
	if (!p->looked)
		start(p);
	p->looked = true;
}

void postlink_serial(struct postlink *p, uint32_t serial)
{
	bool news = p && serial && serial != p->serial;

	if (p)
		p->serial = serial;
	if (!news)
		return;
	if (p->state == POSTLINK_RUNNING) {
		tell(p, json_pack("{s:s, s:I}", "event", "notice", "serial",
				  (json_int_t)serial));
		return;
	}
	listen_all(p); /* of a saved session it comes before we are online */
	start(p);
}

void postlink_policy(struct postlink *p)
{
	tell_event(p, "policy");
}

void postlink_status(const struct postlink *p, struct postlink_status *out)
{
	memset(out, 0, sizeof(*out));
	if (!p)
		return;
	out->state = p->state;
	out->serial = p->serial;
	out->starts = p->starts;
}

/* --- life ----------------------------------------------------------------------------------------- */

bool postlink_is_installed(void)
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
	strcpy(slash + 1, "ntm-post");
	return access(path, X_OK) == 0;
}

static void addresses_of(struct postlink *p, int fd)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);

	if (getsockname(fd, (struct sockaddr *)&ss, &len))
		return;
	if (ss.ss_family == AF_INET6)
		memcpy(p->vip6, &((struct sockaddr_in6 *)&ss)->sin6_addr, 16);
	else if (ss.ss_family == AF_INET)
		memcpy(p->vip4, &((struct sockaddr_in *)&ss)->sin_addr, 4);
}

static void left_over(void *arg, const char *key, int fd)
{
	struct postlink *p = arg;

	for (int i = 0; i < POSTER_MAX; i++) {
		if (strncmp(key, POSTER_PREFIX, strlen(POSTER_PREFIX)) ||
		    strcmp(key + strlen(POSTER_PREFIX), names[i]) ||
		    p->at[i].fd >= 0)
			continue;
		addresses_of(p, fd);
		listening_use(p, i, fd, false);
		return;
	}
	if (strcmp(key, KEY_LINK) || p->link >= 0)
		close(fd);
	else if (link_use(p, fd))
		log_warn("post", "the link with ntm-post is lost");
	else
		p->looked = true;
}

int postlink_new(struct worker *w, struct postlink **out)
{
	struct postlink *p;
	int err;

	p = calloc(1, sizeof(*p));
	if (!p)
		return -NTM_ENOMEM;
	p->w = w;
	p->link = -1;
	for (int i = 0; i < POSTER_MAX; i++)
		p->at[i].fd = -1;
	err = loop_timer_new(w->loop, pause_over, p, &p->pause);
	if (!err)
		err = loop_timer_new(w->loop, again, p, &p->again);
	if (err) {
		postlink_free(p);
		return err;
	}
	keeper_fd_each(w->keeper, KEY_PREFIX, left_over, p);
	listen_local(p);
	*out = p;
	return 0;
}

/* what the keeper has stays there, for the next worker */
void postlink_free(struct postlink *p)
{
	if (!p)
		return;
	for (int i = 0; i < POSTER_MAX; i++) {
		loop_io_del(p->at[i].io);
		if (p->at[i].fd >= 0)
			close(p->at[i].fd);
	}
	loop_io_del(p->io);
	if (p->link >= 0)
		close(p->link);
	loop_timer_free(p->pause);
	loop_timer_free(p->again);
	free(p);
}
