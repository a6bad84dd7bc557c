/* SPDX-License-Identifier: MIT */
/*
 * listener - wildcard TCP listeners of programs, reachable on the virtual address
 *
 * Theory of operation
 *
 *   peer --- listener in the namespace          program's listener on the host
 *              accept                                       ^
 *              |  doorbell: connect from 127.77.x.y to 127.0.0.1:port
 *              |  (V6ONLY: ::1, source port from 61000)     |
 *              +---- struct doorbell ---- CLAIM of the program's shim
 *
 * This file keeps the listeners, doorbell.c what they accept. A listener is one port;
 * several sockets of the program may stand behind it (SO_REUSEPORT). Every ALIVE_NS the
 * kernel is asked which of them are still there; with the last, the listener ends.
 *
 * Listeners survive the worker: the socket lies in the keeper's fd store under a
 * key that says everything but the inodes, which are in a blob of the same key.
 */
#include "broker/listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "broker/listener_impl.h"
#include "common/log.h"

#define ALIVE_NS LOOP_S(1) /* between looks for ended listeners */

/* --- listeners -------------------------------------------------------------------------------- */

static void listener_key(const struct listener *l, char key[KEEPER_KEY_MAX])
{
	snprintf(key, KEEPER_KEY_MAX, "shim/l/%u/%u/%u", l->domain, l->v6only,
		 l->port);
}

/* What the key does not say; read back by the next worker. */
struct listener_blob {
	uint32_t backlog;
	uint8_t defer;
	uint8_t pad[3];
	uint64_t inodes[ANNOUNCED_MAX];
};

static void listener_save(struct listeners *ls, const struct listener *l)
{
	struct listener_blob blob = {.backlog = l->backlog, .defer = l->defer};
	char key[KEEPER_KEY_MAX];

	memcpy(blob.inodes, l->socks.inode,
	       l->socks.n * sizeof(l->socks.inode[0]));
	listener_key(l, key);
	if (keeper_blob_put(ls->keeper, key, &blob,
			    offsetof(struct listener_blob, inodes) +
				    l->socks.n * sizeof(blob.inodes[0])))
		log_warn(key, "the keeper did not note it");
}

static struct listener *listener_find(struct listeners *ls, uint16_t domain,
				      bool v6only, uint16_t port)
{
	struct listener *l;

	LIST_FOREACH(l, &ls->all, link)
	if (l->port == port && l->domain == domain && l->v6only == v6only)
		return l;
	return NULL;
}

static void listener_end(struct listeners *ls, struct listener *l)
{
	struct doorbell *b, *next;
	char key[KEEPER_KEY_MAX];

	for (b = TAILQ_FIRST(&ls->ringing); b; b = next) {
		next = TAILQ_NEXT(b, link);
		if (b->listener == l)
			doorbell_drop(ls, b);
	}
	listener_key(l, key);
	log_debug(key, "ended");
	if (keeper_fd_del(ls->keeper, key) || keeper_blob_del(ls->keeper, key))
		log_debug(key, "the keeper did not have it");
	LIST_REMOVE(l, link);
	ls->n--;
	ls->stats->listeners = ls->n;
	loop_io_del(l->io);
	close(l->fd);
	free(l);
}

/* The listener inside, not yet heard by anybody. Return: 0 or negative. */
static int inside_listen(struct listeners *ls, const struct shim_request *req,
			 int *out)
{
	static const int on = 1;
	int v6only = req->v6only;
	union listener_endpoint e;
	socklen_t len = sizeof(e.in4);
	int fd, err;

	err = keeper_socket(ls->keeper, req->domain, SOCK_STREAM, 0, &fd);
	if (err)
		return err;
	memset(&e, 0, sizeof(e));
	e.sa.sa_family = req->domain;
	if (req->domain == AF_INET6) {
		e.in6.sin6_port = htons(req->local.port);
		len = sizeof(e.in6);
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6only,
				 sizeof(v6only));
	} else {
		e.in4.sin_port = htons(req->local.port);
	}
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, &e.sa, len) < 0 || listen(fd, (int)req->backlog) < 0) {
		err = errno == EADDRINUSE ? -NTM_EEXISTS : -NTM_ESYSTEM;
		close(fd);
		return err;
	}
	*out = fd;
	return 0;
}

static int listener_new(struct listeners *ls, uint16_t domain, bool v6only,
			uint16_t port, int fd, struct listener **out)
{
	struct listener *l;
	int flags = fcntl(fd, F_GETFL);

	if (ls->n == LISTENERS_MAX)
		return -NTM_ELIMIT;
	l = calloc(1, sizeof(*l));
	if (!l)
		return -NTM_ENOMEM;
	l->owner = ls;
	l->domain = domain;
	l->v6only = v6only;
	l->port = port;
	l->fd = fd;
	if (fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ||
	    loop_io_add(ls->loop, fd, LOOP_READ, false, doorbells_ready, l,
			&l->io)) {
		free(l);
		return -NTM_ESYSTEM;
	}
	LIST_INSERT_HEAD(&ls->all, l, link);
	ls->n++;
	ls->stats->listeners = ls->n;
	if (!loop_timer_armed(ls->alive))
		loop_timer_arm(ls->alive, ALIVE_NS);
	*out = l;
	return 0;
}

static int listener_make(struct listeners *ls, const struct shim_request *req,
			 struct listener **out)
{
	char key[KEEPER_KEY_MAX];
	int fd, err = inside_listen(ls, req, &fd);

	if (err)
		return err;
	err = listener_new(ls, req->domain, req->v6only, req->local.port, fd,
			   out);
	if (err) {
		close(fd);
		return err;
	}
	listener_key(*out, key);
	if (keeper_fd_put(ls->keeper, key, fd))
		log_warn(key, "the keeper did not take it");
	return 0;
}

/* --- are the announced sockets there? --------------------------------------------------------- */

static void alive_check(void *arg);

/* The port may be held for a listener of another kind that has just ended. */
static int listener_make_again(struct listeners *ls,
			       const struct shim_request *req,
			       struct listener **out)
{
	int err = listener_make(ls, req, out);

	if (err != -NTM_EEXISTS)
		return err;
	alive_check(ls);
	return listener_make(ls, req, out);
}

int listeners_announce(struct listeners *ls, const struct shim_request *req)
{
	struct listener *l;
	int err;

	if ((req->domain != AF_INET && req->domain != AF_INET6) ||
	    (req->domain == AF_INET && req->v6only) ||
	    req->type != SOCK_STREAM || !req->local.port)
		return -NTM_EINVAL;
	err = announced_check(ls->diag, IPPROTO_TCP, req);
	if (err)
		return err;
	l = listener_find(ls, req->domain, req->v6only, req->local.port);
	err = l ? 0 : listener_make_again(ls, req, &l);
	if (err)
		return err;
	/* announced again: by another of a group, or with other options */
	if (!announced_add(&l->socks, req->inode))
		return -NTM_ELIMIT;
	l->defer = req->defer;
	if (l->backlog != req->backlog) {
		l->backlog = req->backlog;
		(void)listen(l->fd, (int)req->backlog);
	}
	listener_save(ls, l);
	return 0;
}

static void alive_cb(void *arg, const struct sockdiag_info *info)
{
	struct listeners *ls = arg;
	struct listener *l;

	LIST_FOREACH(l, &ls->all, link)
	if (l->port == info->port)
		announced_see(&l->socks, info);
}

static void alive_check(void *arg)
{
	struct listeners *ls = arg;
	struct listener *l, *next;
	bool changed;

	LIST_FOREACH(l, &ls->all, link)
	announced_unsee(&l->socks);
	if (sockdiag_each(ls->diag, AF_INET, IPPROTO_TCP, alive_cb, ls) == 0 &&
	    sockdiag_each(ls->diag, AF_INET6, IPPROTO_TCP, alive_cb, ls) == 0)
		for (l = LIST_FIRST(&ls->all); l; l = next) {
			next = LIST_NEXT(l, link);
			if (!announced_keep_seen(&l->socks, &changed))
				listener_end(ls, l);
			else if (changed)
				listener_save(ls, l);
		}
	if (ls->n)
		loop_timer_arm(ls->alive, ALIVE_NS);
}

/* --- beginning, taking over, end ----------------------------------------------------------------- */

int listeners_new(struct loop *l, struct keeper_link *k,
		  struct shim_stats *stats, struct listeners **out)
{
	struct listeners *ls = calloc(1, sizeof(*ls));
	int err;

	if (!ls)
		return -NTM_ENOMEM;
	ls->loop = l;
	ls->keeper = k;
	ls->stats = stats;
	LIST_INIT(&ls->all);
	doorbells_init(ls);
	err = sockdiag_new(&ls->diag);
	if (!err)
		err = loop_timer_new(l, alive_check, ls, &ls->alive);
	if (!err)
		err = loop_timer_new(l, doorbells_sweep, ls, &ls->sweep);
	if (err) {
		listeners_free(ls);
		return err;
	}
	*out = ls;
	return 0;
}

/* The keeper keeps the listeners: a next worker goes on with them. */
void listeners_free(struct listeners *ls)
{
	struct listener *l;

	if (!ls)
		return;
	while (!TAILQ_EMPTY(&ls->ringing))
		doorbell_drop(ls, TAILQ_FIRST(&ls->ringing));
	while ((l = LIST_FIRST(&ls->all))) {
		LIST_REMOVE(l, link);
		loop_io_del(l->io);
		close(l->fd);
		free(l);
	}
	if (ls->alive)
		loop_timer_free(ls->alive);
	if (ls->sweep)
		loop_timer_free(ls->sweep);
	sockdiag_free(ls->diag);
	free(ls);
}

static bool key_parse(const char *key, unsigned int *domain,
		      unsigned int *v6only, unsigned int *port)
{
	return sscanf(key, "shim/l/%u/%u/%u", domain, v6only, port) == 3;
}

bool listeners_restore_fd(struct listeners *ls, const char *key, int fd)
{
	unsigned int domain, v6only, port;
	struct listener *l;

	if (!key_parse(key, &domain, &v6only, &port))
		return false;
	if (listener_new(ls, (uint16_t)domain, v6only, (uint16_t)port, fd, &l))
		close(fd);
	return true;
}

bool listeners_restore_blob(struct listeners *ls, const char *key,
			    const void *data, size_t len)
{
	const size_t head = offsetof(struct listener_blob, inodes);
	unsigned int domain, v6only, port;
	struct listener_blob blob;
	struct listener *l;

	if (!key_parse(key, &domain, &v6only, &port))
		return false;
	l = listener_find(ls, (uint16_t)domain, v6only, (uint16_t)port);
	if (!l || len < head || len > sizeof(blob))
		return true;
	memset(&blob, 0, sizeof(blob));
	memcpy(&blob, data, len);
	l->backlog = blob.backlog;
	l->defer = blob.defer;
	announced_set(&l->socks, blob.inodes, len - head);
	return true;
}
