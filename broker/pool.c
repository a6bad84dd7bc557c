/* SPDX-License-Identifier: MIT */
/*
 * pool - hands sockets of the namespace to shims, singly and in advance
 *
 * Theory of operation
 *
 * A client connects, is checked by SO_PEERCRED, and asks SOCKET any number of
 * times, or POOL once. A pool's send buffer is kept full of messages with one
 * fresh socket each; the shim takes one without waiting for us. The kernel says
 * EPOLLOUT when most of the buffer has been taken: then it is filled again.
 *
 * Every descriptor in flight counts against our RLIMIT_NOFILE (the keeper raised it
 * to the hard limit). When that is reached (ETOOMANYREFS) pools are short; they are
 * tried again each second, and shims ask SOCKET while theirs is empty.
 */
#include "broker/pool.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/fdmsg.h"
#include "broker/inside.h"
#include "common/unixsock.h"
#include "preload/shimproto.h"

#define EVENTS_MAX     64
#define STARVED_TRY_MS 1000

/**
 * enum client_state - of one connection
 * @CLIENT_FREE:  slot unused
 * @CLIENT_ASKS:  answers SOCKET; a POOL request makes it CLIENT_POOL
 * @CLIENT_POOL:  kept full until it hangs up; says nothing more
 */
enum client_state { CLIENT_FREE, CLIENT_ASKS, CLIENT_POOL };

struct client {
	enum client_state state;
	int fd;
	int domain, type, protocol; /* POOL */
	bool v6only;
};

struct pool {
	int epoll, link, listener;
	bool paused;  /* no slot or descriptor left: not accepting */
	bool starved; /* some pool could not be filled */
	size_t used;
	struct client client[POOL_CLIENTS_MAX];
};

/* epoll's data: a slot, or one of the two others */
#define TAG_LINK     (UINT64_MAX)
#define TAG_LISTENER (UINT64_MAX - 1)

static int watch(struct pool *p, int op, int fd, uint32_t events, uint64_t tag)
{
	struct epoll_event ev = {.events = events, .data.u64 = tag};

	return epoll_ctl(p->epoll, op, fd, &ev);
}

static void listener_resume(struct pool *p)
{
	if (p->paused && p->listener >= 0 &&
	    watch(p, EPOLL_CTL_MOD, p->listener, EPOLLIN, TAG_LISTENER) == 0)
		p->paused = false;
}

static void listener_pause(struct pool *p)
{
	if (watch(p, EPOLL_CTL_MOD, p->listener, 0, TAG_LISTENER) == 0)
		p->paused = true;
}

static void client_end(struct pool *p, struct client *c)
{
	close(c->fd);
	*c = (struct client){.fd = -1};
	p->used--;
	listener_resume(p);
}

static void listener_ready(struct pool *p)
{
	static const int sndbuf = POOL_SNDBUF;
	size_t slot;
	int fd;

	if (p->used == POOL_CLIENTS_MAX) {
		listener_pause(p);
		return;
	}
	fd = accept4(p->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd < 0) {
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS)
			listener_pause(p); /* until a client leaves */
		return;
	}
	/* our user is 0 here and everybody else 65534; see inside.c */
	if (!unixsock_is_ours(fd)) {
		close(fd);
		return;
	}
	for (slot = 0; p->client[slot].state != CLIENT_FREE; slot++)
		;
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &sndbuf, sizeof(sndbuf));
	if (watch(p, EPOLL_CTL_ADD, fd, EPOLLIN, slot) < 0) {
		close(fd);
		return;
	}
	p->client[slot] = (struct client){.state = CLIENT_ASKS, .fd = fd};
	p->used++;
}

static int socket_make(const struct client *c, int *fd)
{
	static const int on = 1;
	int err = inside_socket(c->domain, c->type, c->protocol, fd);

	if (!err && c->v6only && c->domain == AF_INET6)
		(void)setsockopt(*fd, IPPROTO_IPV6, IPV6_V6ONLY, &on,
				 sizeof(on));
	return err;
}

/* Fills until the buffer is full. false: the client is gone. */
static bool pool_fill(struct pool *p, struct client *c)
{
	static const uint8_t msg[2] = {SHIM_VERSION, SHIM_POOL};
	int fd, err;

	for (;;) {
		err = -socket_make(c, &fd);
		if (!err) {
			err = shim_msg_send(c->fd, msg, sizeof(msg), fd);
			close(fd);
		}
		switch (err) {
		case 0:
			continue;
		case -EAGAIN:
			return true;
		case -ETOOMANYREFS:
		case -EMFILE:
		case -ENFILE:
		case -ENOBUFS:
		case -ENOMEM:
			p->starved = true;
			return true;
		default:
			return false;
		}
	}
}

static enum ntm_err err_from(int sys)
{
	switch (sys) {
	case 0:
		return NTM_EOK;
	case EPERM:
		return NTM_EPERM;
	case EMFILE:
	case ENFILE:
	case ENOBUFS:
	case ENOMEM:
		return NTM_ELIMIT;
	default:
		return NTM_EINVAL;
	}
}

static bool answer(struct client *c, uint8_t op, enum ntm_err err, int fd)
{
	struct shim_answer ans = {.op = op, .err = err};
	uint8_t buf[SHIM_MSG_MAX];
	int n = shim_answer_put(&ans, buf);

	return n > 0 && shim_msg_send(c->fd, buf, (size_t)n, fd) == 0;
}

static bool request(struct pool *p, struct client *c,
		    const struct shim_request *req)
{
	struct client want = {.domain = req->domain,
			      .type = req->type,
			      .protocol = req->protocol,
			      .v6only = req->v6only};
	int fd = -1, err;
	bool ok;

	if (req->op != SHIM_SOCKET && req->op != SHIM_POOL)
		return answer(c, req->op, NTM_EPERM, -1);
	err = socket_make(&want, &fd);
	if (req->op == SHIM_SOCKET || err) {
		ok = answer(c, req->op, err_from(err), fd);
		if (fd >= 0)
			close(fd);
		return ok;
	}
	close(fd); /* only proved that the pool can be filled */
	if (!answer(c, req->op, NTM_EOK, -1))
		return false;
	want.state = CLIENT_POOL;
	want.fd = c->fd;
	*c = want;
	/* EPOLLIN stays, for the hang-up */
	return watch(p, EPOLL_CTL_MOD, c->fd, EPOLLIN | EPOLLOUT | EPOLLET,
		     (uint64_t)(c - p->client)) == 0;
}

/* Everything the client has said. false: it is gone, or speaks nonsense. */
static bool client_read(struct pool *p, struct client *c)
{
	struct shim_request req;
	uint8_t buf[SHIM_MSG_MAX];
	ssize_t n;
	int fd;

	for (;;) {
		n = shim_msg_recv(c->fd, buf, sizeof(buf), &fd, MSG_DONTWAIT);
		if (fd >= 0)
			close(fd);
		if (n < 0)
			return n == -EAGAIN || n == -EINTR;
		if (n == 0 || c->state != CLIENT_ASKS ||
		    shim_request_get(buf, (size_t)n, &req) ||
		    !request(p, c, &req))
			return false;
		if (c->state == CLIENT_POOL)
			return pool_fill(p, c);
	}
}

static void client_ready(struct pool *p, struct client *c, uint32_t events)
{
	bool ok = true;

	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
		ok = client_read(p, c);
	if (ok && events & EPOLLOUT && c->state == CLIENT_POOL)
		ok = pool_fill(p, c);
	if (!ok)
		client_end(p, c);
}

static void listener_set(struct pool *p, int fd)
{
	if (p->listener >= 0)
		close(p->listener);
	p->listener = fd;
	p->paused = false;
	(void)watch(p, EPOLL_CTL_ADD, fd, EPOLLIN, TAG_LISTENER);
}

/* false: the parent is gone. */
static bool link_ready(struct pool *p)
{
	struct inside_request req;
	int fds[FDMSG_MAX], fd = -1;
	int32_t err;
	size_t n_fds;
	ssize_t n;
	bool ok;

	n = fdmsg_recv(p->link, &req, sizeof(req), fds, &n_fds, MSG_DONTWAIT);
	if (n == -NTM_EAGAIN)
		return true;
	if (n != sizeof(req))
		return false;
	if (req.op == INSIDE_LISTENER && n_fds == 1) {
		listener_set(p, fds[0]);
		return true;
	}
	while (n_fds)
		close(fds[--n_fds]);
	err = inside_socket(req.domain, req.type, req.protocol, &fd);
	ok = fdmsg_send(p->link, &err, sizeof(err), NULL, 0, &fd, !err, 0) == 0;
	if (fd >= 0)
		close(fd);
	return ok;
}

static void starved_retry(struct pool *p)
{
	size_t i;

	p->starved = false;
	for (i = 0; i < POOL_CLIENTS_MAX; i++)
		if (p->client[i].state == CLIENT_POOL &&
		    !pool_fill(p, &p->client[i]))
			client_end(p, &p->client[i]);
	listener_resume(p);
}

int pool_run(int link)
{
	static struct pool p; /* 24 KB; this process has no other */
	struct epoll_event ev[EVENTS_MAX];
	int i, n;

	p.link = link;
	p.listener = -1;
	p.epoll = epoll_create1(EPOLL_CLOEXEC);
	if (p.epoll < 0 || watch(&p, EPOLL_CTL_ADD, link, EPOLLIN, TAG_LINK))
		return 1;
	for (;;) {
		n = epoll_wait(p.epoll, ev, EVENTS_MAX,
			       p.starved || p.paused ? STARVED_TRY_MS : -1);
		if (n < 0 && errno != EINTR)
			return 1;
		if (n == 0)
			starved_retry(&p);
		for (i = 0; i < n; i++) {
			if (ev[i].data.u64 == TAG_LINK) {
				if (!link_ready(&p))
					return 0;
			} else if (ev[i].data.u64 == TAG_LISTENER) {
				listener_ready(&p);
			} else if (p.client[ev[i].data.u64].state) {
				client_ready(&p, &p.client[ev[i].data.u64],
					     ev[i].events);
			}
		}
	}
}
