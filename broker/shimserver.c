/* SPDX-License-Identifier: MIT */
/*
 * shimserver - answers the shims: names, doorbells, UDP flows; writes the page
 *
 * Theory of operation
 *
 * A client is one connection on broker.sock, checked by SO_PEERCRED. It asks one
 * thing at a time; each request has a row in the table of handlers and is answered
 * at once, but RESOLVE: it is held as a ticket until struct shim_names answers. A
 * client that hangs up meanwhile cancels it; one that asks on is dropped.
 *
 * The listening socket is kept over restarts of the worker, so a shim that asks
 * meanwhile only waits. Its limits (requests.def) are the shim's.
 */
#include "broker/shimserver.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/resource.h>
#include <unistd.h>

#include "broker/listener.h"
#include "broker/page.h"
#include "broker/udpmap.h"
#include "common/log.h"
#include "common/unixsock.h"
#include "preload/shimproto.h"

#define CLIENTS_MAX	    1024
#define CLIENTS_PER_PROCESS 256
#define ACCEPTS		    64 /* a turn */
#define ACCEPT_PAUSE_NS	    LOOP_MS(50)
#define BACKLOG		    1024
#define SHIM_KEYS	    "shim/" /* all of ours in the keeper's stores */
#define SOCKET_KEY	    SHIM_KEYS "broker.sock"

/**
 * struct shim_ticket - a client; the ticket of its one request
 * @held: a RESOLVE is being looked up
 */
struct shim_ticket {
	LIST_ENTRY(shim_ticket) link; /* free, or connected */
	struct shimserver *server;
	int fd;
	struct loop_io *io;
	pid_t pid;
	bool held;
};
LIST_HEAD(client_list, shim_ticket);

struct shimserver {
	struct loop *loop;
	struct keeper_link *keeper;
	struct shim_names names;
	struct shim_stats stats;
	struct page *page;
	struct listeners *listeners;
	struct udpmap *udp;
	int listener;
	struct loop_io *listener_io;
	struct loop_timer *resume;
	struct client_list free, clients;
	unsigned int max; /* of clients */
	struct shim_ticket slab[CLIENTS_MAX];
};

/* --- answers ------------------------------------------------------------------------- */

/* What cannot be answered is hung up; the handler of the connection ends it. */
static void answer(struct shim_ticket *c, const struct shim_answer *ans, int fd)
{
	uint8_t buf[SHIM_MSG_MAX];
	int n = shim_answer_put(ans, buf);

	if (ans->err)
		c->server->stats.refused++;
	if (n < 0 || shim_msg_send(c->fd, buf, (size_t)n, fd))
		(void)shutdown(c->fd, SHUT_RDWR);
}

void shimserver_resolved(struct shimserver *s, struct shim_ticket *ticket,
			 int err, const char *canonical,
			 const uint8_t vip6[static 16],
			 const uint8_t vip4[static 4])
{
	struct shim_answer ans = {.op = SHIM_RESOLVE, .err = err};
	size_t n = !err && canonical ? strlen(canonical) : 0;

	(void)s;
	if (n > SHIM_NAME_MAX)
		n = 0;
	if (n)
		memcpy(ans.name, canonical, n);
	if (!err) {
		memcpy(ans.vip6, vip6, sizeof(ans.vip6));
		memcpy(ans.vip4, vip4, sizeof(ans.vip4));
	}
	ticket->held = false;
	answer(ticket, &ans, -1);
}

/* --- handlers: each returns 0 or negative; positive: answered later --------------------- */

#define HELD 1

struct reply {
	struct shim_answer ans;
	int fd;	  /* sent along and closed */
	int bell; /* CLAIM: the doorbell, reset once the answer is on its way */
};

static int do_resolve(struct shimserver *s, struct shim_ticket *c,
		      const struct shim_request *req, struct reply *r)
{
	(void)r;
	c->held = true;
	s->names.resolve(s->names.arg, req->name, c);
	return HELD;
}

static int do_reverse(struct shimserver *s, struct shim_ticket *c,
		      const struct shim_request *req, struct reply *r)
{
	const char *name;
	struct shim_addr a = req->remote;
	struct addr vip;

	(void)c;
	shim_addr_unmap(&a);
	if (addr_from_ip(a.addr, a.family == AF_INET ? 4 : 16, a.port, &vip))
		return -NTM_EINVAL;
	name = s->names.reverse(s->names.arg, &vip);
	if (!name)
		return -NTM_ENONAME;
	if (strlen(name) > SHIM_NAME_MAX)
		return -NTM_ETOOBIG;
	strcpy(r->ans.name, name);
	return 0;
}

static int do_hint(struct shimserver *s, struct shim_ticket *c,
		   const struct shim_request *req, struct reply *r)
{
	(void)c;
	(void)r;
	s->names.hint(s->names.arg, req->name);
	return 0;
}

static int do_exit(struct shimserver *s, struct shim_ticket *c,
		   const struct shim_request *req, struct reply *r)
{
	struct shim_addr a = req->remote;
	struct addr dst;

	(void)c;
	(void)r;
	shim_addr_unmap(&a);
	if (addr_from_ip(a.addr, a.family == AF_INET ? 4 : 16, a.port, &dst))
		return -NTM_EINVAL;
	return s->names.exit(s->names.arg, req->type, &dst);
}

static int do_listen(struct shimserver *s, struct shim_ticket *c,
		     const struct shim_request *req, struct reply *r)
{
	(void)c;
	(void)r;
	return listeners_announce(s->listeners, req);
}

static int do_claim(struct shimserver *s, struct shim_ticket *c,
		    const struct shim_request *req, struct reply *r)
{
	(void)c;
	return listeners_claim(s->listeners, req, &r->fd, &r->bell,
			       &r->ans.addr);
}

static int do_udpbind(struct shimserver *s, struct shim_ticket *c,
		      const struct shim_request *req, struct reply *r)
{
	(void)c;
	(void)r;
	return udpmap_announce(s->udp, req);
}

static int do_udpalias(struct shimserver *s, struct shim_ticket *c,
		       const struct shim_request *req, struct reply *r)
{
	struct sockaddr_storage ss;
	socklen_t len = shim_addr_to(&req->remote, &ss);

	(void)c;
	return udpmap_alias(s->udp, req,
			    shim_page_virtual(page_map(s->page),
					      (struct sockaddr *)&ss, len),
			    &r->ans.addr);
}

static int (*const handlers[])(struct shimserver *, struct shim_ticket *,
			       const struct shim_request *, struct reply *) = {
	[SHIM_RESOLVE] = do_resolve, [SHIM_REVERSE] = do_reverse,
	[SHIM_LISTEN] = do_listen,   [SHIM_CLAIM] = do_claim,
	[SHIM_UDPBIND] = do_udpbind, [SHIM_UDPALIAS] = do_udpalias,
	[SHIM_EXIT] = do_exit,	     [SHIM_HINT] = do_hint,
};

static void dispatch(struct shim_ticket *c, const struct shim_request *req)
{
	struct shimserver *s = c->server;
	struct reply r = {.ans = {.op = req->op}, .fd = -1, .bell = -1};
	int err = -NTM_EPERM; /* SOCKET and POOL are the keeper's */

	s->stats.requests++;
	if (req->op < sizeof(handlers) / sizeof(handlers[0]) &&
	    handlers[req->op])
		err = handlers[req->op](s, c, req, &r);
	if (err != HELD) {
		r.ans.err = -err;
		answer(c, &r.ans, r.fd);
	}
	if (r.fd >= 0)
		close(r.fd);
	if (r.bell >= 0)
		doorbell_reset(r.bell);
}

/* --- clients --------------------------------------------------------------------------------- */

static void client_end(struct shim_ticket *c)
{
	struct shimserver *s = c->server;

	if (c->held)
		s->names.cancel(s->names.arg, c);
	loop_io_del(c->io);
	close(c->fd);
	LIST_REMOVE(c, link);
	*c = (struct shim_ticket){.fd = -1};
	LIST_INSERT_HEAD(&s->free, c, link);
}

/* One request, if it is there. false: the connection is over. */
static bool client_read(struct shim_ticket *c)
{
	struct shim_request req;
	uint8_t buf[SHIM_MSG_MAX];
	int fd;
	ssize_t n = shim_msg_recv(c->fd, buf, sizeof(buf), &fd, MSG_DONTWAIT);

	if (fd >= 0)
		close(fd);
	if (n == -EAGAIN || n == -EINTR)
		return true;
	if (n <= 0 || c->held || shim_request_get(buf, (size_t)n, &req))
		return false;
	dispatch(c, &req);
	/* they are many, and each comes on a connection of its own */
	return req.op != SHIM_CLAIM;
}

static void client_ready(void *arg, int fd, unsigned int events)
{
	struct shim_ticket *c = arg;

	(void)fd;
	(void)events;
	if (!client_read(c))
		client_end(c);
}

/* Is the one at the other end of our user, and not greedy? */
static bool client_welcome(struct shimserver *s, int fd, pid_t *pid)
{
	const struct shim_ticket *c;
	struct ucred cred;
	socklen_t len = sizeof(cred);
	unsigned int n = 0;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0 ||
	    cred.uid != getuid())
		return false;
	LIST_FOREACH(c, &s->clients, link)
	n += c->pid == cred.pid;
	*pid = cred.pid;
	return n < CLIENTS_PER_PROCESS && n < s->max / 2;
}

static void client_new(struct shimserver *s, int fd)
{
	struct shim_ticket *c = LIST_FIRST(&s->free);
	pid_t pid;

	if (!client_welcome(s, fd, &pid)) {
		s->stats.refused++;
		close(fd);
		return;
	}
	LIST_REMOVE(c, link);
	c->server = s;
	c->fd = fd;
	c->pid = pid;
	LIST_INSERT_HEAD(&s->clients, c, link);
	/* most have asked by now: one turn of the loop saved */
	if (!client_read(c) ||
	    loop_io_add(s->loop, fd, LOOP_READ, false, client_ready, c, &c->io))
		client_end(c);
}

static void listener_ready(void *arg, int fd, unsigned int events)
{
	struct shimserver *s = arg;
	int i, conn = -1;

	(void)events;
	for (i = 0; i < ACCEPTS && !LIST_EMPTY(&s->free); i++) {
		conn = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (conn < 0)
			break;
		client_new(s, conn);
	}
	if (LIST_EMPTY(&s->free) || (conn < 0 && errno != EAGAIN &&
				     errno != ECONNABORTED && errno != EINTR)) {
		loop_io_set(s->listener_io, 0);
		loop_timer_arm(s->resume, ACCEPT_PAUSE_NS);
	}
}

static void listener_resume(void *arg)
{
	struct shimserver *s = arg;

	loop_io_set(s->listener_io, LOOP_READ);
}

/* --- beginning and end --------------------------------------------------------------------------- */

/* Inherited, unless somebody removed the file meanwhile. */
static int listener_open(struct shimserver *s)
{
	const char *dir = keeper_rundir(s->keeper);
	int fd, err;

	if (s->listener >= 0 && unixsock_is_there(dir, SHIM_BROKER_SOCKET))
		return 0;
	err = unixsock_listen(dir, SHIM_BROKER_SOCKET, SOCK_SEQPACKET, BACKLOG,
			      &fd);
	if (err)
		return err;
	if (s->listener >= 0)
		close(s->listener);
	s->listener = fd;
	return keeper_fd_put(s->keeper, SOCKET_KEY, fd);
}

static void restore_fd(void *arg, const char *key, int fd)
{
	struct shimserver *s = arg;

	if (!strcmp(key, SOCKET_KEY) && s->listener < 0)
		s->listener = fd;
	else if (!listeners_restore_fd(s->listeners, key, fd) &&
		 !udpmap_restore_fd(s->udp, key, fd))
		close(fd);
}

static void restore_blob(void *arg, const char *key, const void *data,
			 size_t len)
{
	struct shimserver *s = arg;

	if (!listeners_restore_blob(s->listeners, key, data, len))
		(void)udpmap_restore_blob(s->udp, key, data, len);
}

static int shimserver_start(struct shimserver *s)
{
	struct keeper_link *k = s->keeper;
	int err;

	err = page_open(keeper_rundir(k), keeper_generation(k) > 1, &s->page);
	if (!err)
		err = listeners_new(s->loop, k, &s->stats, &s->listeners);
	if (!err)
		err = udpmap_new(s->loop, k, s->page, &s->stats, &s->udp);
	if (err)
		return err;
	keeper_fd_each(k, SHIM_KEYS, restore_fd, s);
	keeper_blob_each(k, restore_blob, s);
	err = udpmap_restored(s->udp);
	if (!err)
		err = listener_open(s);
	if (!err)
		err = loop_timer_new(s->loop, listener_resume, s, &s->resume);
	if (!err)
		err = loop_io_add(s->loop, s->listener, LOOP_READ, false,
				  listener_ready, s, &s->listener_io);
	return err;
}

/* A quarter of what we may open: programs that hold on to us leave the rest. */
static unsigned int clients_max(void)
{
	struct rlimit rl;

	if (getrlimit(RLIMIT_NOFILE, &rl) < 0 || rl.rlim_cur == RLIM_INFINITY ||
	    rl.rlim_cur / 4 >= CLIENTS_MAX)
		return CLIENTS_MAX;
	return rl.rlim_cur / 4 < 16 ? 16 : (unsigned int)rl.rlim_cur / 4;
}

int shimserver_new(struct loop *l, struct keeper_link *k,
		   const struct shim_names *names, struct shimserver **out)
{
	struct shimserver *s = calloc(1, sizeof(*s));
	int err, i;

	if (!s)
		return -NTM_ENOMEM;
	s->loop = l;
	s->keeper = k;
	s->names = *names;
	s->listener = -1;
	LIST_INIT(&s->free);
	LIST_INIT(&s->clients);
	s->max = clients_max();
	for (i = (int)s->max - 1; i >= 0; i--)
		LIST_INSERT_HEAD(&s->free, &s->slab[i], link);
	err = shimserver_start(s);
	if (err) {
		shimserver_free(s);
		return err;
	}
	*out = s;
	return 0;
}

void shimserver_free(struct shimserver *s)
{
	if (!s)
		return;
	while (!LIST_EMPTY(&s->clients))
		client_end(LIST_FIRST(&s->clients));
	loop_io_del(s->listener_io);
	if (s->resume)
		loop_timer_free(s->resume);
	if (s->listener >= 0)
		close(s->listener);
	udpmap_free(s->udp);
	listeners_free(s->listeners);
	if (s->page)
		page_close(s->page);
	free(s);
}

/* --- configuration -------------------------------------------------------------------------------- */

static size_t range_put(struct shim_range *r, int family, const uint8_t *prefix,
			unsigned int len)
{
	if (!len)
		return 0;
	*r = (struct shim_range){.family = (uint16_t)family,
				 .prefix_len = (uint16_t)len};
	memcpy(r->addr, prefix, family == AF_INET ? 4 : 16);
	return 1;
}

int shimserver_configure(struct shimserver *s, const uint8_t vip6[static 16],
			 const uint8_t vip4[static 4],
			 const struct engine_config *ranges, size_t n_ranges)
{
	struct shim_range out[SHIM_RANGES_MAX + 1];
	size_t i, n = 0;

	for (i = 0; i < n_ranges; i++) {
		if (n + !!ranges[i].prefix6_len + !!ranges[i].prefix4_len >
		    SHIM_RANGES_MAX)
			return -NTM_ELIMIT;
		n += range_put(&out[n], AF_INET6, ranges[i].prefix6,
			       ranges[i].prefix6_len);
		n += range_put(&out[n], AF_INET, ranges[i].prefix4,
			       ranges[i].prefix4_len);
	}
	page_set_ranges(s->page, out, n);
	udpmap_configure(s->udp, vip6, vip4);
	return 0;
}

void shimserver_stats(const struct shimserver *s, struct shim_stats *out)
{
	*out = s->stats;
}
