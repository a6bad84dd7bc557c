/* SPDX-License-Identifier: MIT */
/*
 * http_crowd - the connections of an HTTP server: counted by source, and who must go
 *
 * Theory of operation
 *
 * A connection is in the table from accept until libmicrohttpd is about to close it,
 * both under the lock: a descriptor that is in the table, and begun, is open. Who must
 * go has its socket shut down; its thread then reads an end, and closes it. Until then
 * it is `going`, and counts no more, but for HTTP_GOING_MAX of them.
 *
 * Who has shown no token, ticket or certificate that is right is a stranger. Anybody can
 * make strangers, so they never keep others out: where a source, or the server, has as
 * many connections as it may, the stranger that came first goes for the one that comes.
 * An honest client is one too until its first request; it has the time in which as many
 * others come as there are places. Where there is no stranger the known one goes that has
 * asked nothing for longest; only where all ask something is somebody refused. Who shows
 * a wrong token is a stranger again.
 *
 * libmicrohttpd's own time-out begins anew with every byte, so that a byte now and then
 * holds a connection for ever. So each second all are looked at (enum http_phase), and
 * those that are too slow go.
 */
#include "servers/http_crowd.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <utlist.h>

struct source {
	UT_hash_handle hh;
	uint8_t ip[HTTP_SOURCE_LEN];
	unsigned int n, going;
	struct http_conn *strangers; /* who came first is first */
	size_t held;
};

struct http_crowd {
	const struct http_conf *conf;
	pthread_mutex_t lock; /* all below */
	struct http_conn *conns, *strangers;
	struct source *sources;
	unsigned int going;
	uint64_t slow, evicted;
	size_t held;
};

struct http_crowd *http_crowd_new(const struct http_conf *conf)
{
	struct http_crowd *w = calloc(1, sizeof(*w));

	if (!w)
		return NULL;
	w->conf = conf;
	pthread_mutex_init(&w->lock, NULL);
	return w;
}

/* --- under the lock
 * ------------------------------------------------------------------------- */

static struct source *source_get(struct http_crowd *w, const uint8_t *ip)
{
	struct source *s;

	HASH_FIND(hh, w->sources, ip, HTTP_SOURCE_LEN, s);
	if (s)
		return s;
	s = calloc(1, sizeof(*s));
	if (!s)
		return NULL;
	memcpy(s->ip, ip, HTTP_SOURCE_LEN);
	HASH_ADD(hh, w->sources, ip, HTTP_SOURCE_LEN, s);
	return s;
}

static void source_put(struct http_crowd *w, struct source *s)
{
	if (s->n || s->held)
		return;
	HASH_DEL(w->sources, s);
	free(s);
}

static void join_strangers(struct http_crowd *w, struct http_conn *c)
{
	c->stranger = true;
	DL_APPEND2(w->strangers, c, prev, next);
	DL_APPEND2(c->of->strangers, c, of_prev, of_next);
}

/* no stranger any more */
static void leave_strangers(struct http_crowd *w, struct http_conn *c)
{
	if (!c->stranger)
		return;
	c->stranger = false;
	DL_DELETE2(w->strangers, c, prev, next);
	DL_DELETE2(c->of->strangers, c, of_prev, of_next);
}

static void conn_remove(struct http_crowd *w, struct http_conn *c)
{
	struct source *s = c->of;

	leave_strangers(w, c);
	s->n--;
	s->going -= c->going;
	w->going -= c->going;
	source_put(w, s);
	HASH_DEL(w->conns, c);
	free(c->peer);
	free(c);
}

static void conn_end(struct http_crowd *w, struct http_conn *c)
{
	leave_strangers(w, c);
	shutdown(c->fd, SHUT_RDWR);
	c->going = true;
	c->of->going++;
	w->going++;
}

/* What libmicrohttpd has not begun it may have closed; what the role works at has been
 * asked by somebody. */
static bool may_go(struct http_conn *c)
{
	enum http_phase phase = atomic_load(&c->phase);

	return phase != HTTP_NEW && phase != HTTP_WORKING;
}

/* Of a source (NULL: of all) the one between requests that has waited longest for one.
 * Rare: whoever comes next is a stranger, and goes first. */
static struct http_conn *longest_idle(struct http_crowd *w,
				      const struct source *s)
{
	struct http_conn *c, *tmp, *found = NULL;

	HASH_ITER (hh, w->conns, c, tmp)
		if (!c->going && (!s || c->of == s) &&
		    atomic_load(&c->phase) == HTTP_WAITING &&
		    (!found ||
		     atomic_load(&c->since) < atomic_load(&found->since)))
			found = c;
	return found;
}

/* One of a source (NULL: of all) goes. Return: false: none of them can */
static bool evict(struct http_crowd *w, const struct source *s)
{
	struct http_conn *c = s ? s->strangers : w->strangers;

	while (c && !may_go(c))
		c = s ? c->of_next : c->next;
	if (!c)
		c = longest_idle(w, s);
	if (!c)
		return false;
	conn_end(w, c);
	w->evicted++;
	return true;
}

static int make_room(struct http_crowd *w, struct source *s)
{
	const struct http_conf *conf = w->conf;

	if (HASH_COUNT(w->conns) >= conf->connections + HTTP_GOING_MAX)
		return -NTM_EAGAIN;
	if (s->n - s->going >= conf->per_source)
		return evict(w, s) ? 0 : -NTM_ELIMIT;
	if (HASH_COUNT(w->conns) - w->going >= conf->connections)
		return evict(w, NULL) ? 0 : -NTM_EAGAIN;
	return 0;
}

static int conn_add(struct http_crowd *w, int fd, const uint8_t *ip)
{
	struct http_conn *c;
	struct source *s;
	int err;

	HASH_FIND_INT(w->conns, &fd, c);
	if (c) /* libmicrohttpd closed it before it had begun */
		conn_remove(w, c);
	s = source_get(w, ip);
	if (!s)
		return -NTM_ENOMEM;
	err = make_room(w, s);
	c = err ? NULL : calloc(1, sizeof(*c));
	if (!c) {
		source_put(w, s);
		return err ? err : -NTM_ENOMEM;
	}
	s->n++;
	c->fd = fd;
	c->of = s;
	join_strangers(w, c);
	memcpy(c->source, ip, HTTP_SOURCE_LEN);
	http_phase_set(c, HTTP_NEW);
	HASH_ADD_INT(w->conns, fd, c);
	return 0;
}

/* --- public
 * --------------------------------------------------------------------------------- */

void http_crowd_free(struct http_crowd *w)
{
	struct http_conn *c, *tmp;

	if (!w)
		return;
	HASH_ITER (hh, w->conns, c, tmp)
		conn_remove(w, c);
	pthread_mutex_destroy(&w->lock);
	free(w);
}

int http_crowd_add(struct http_crowd *w, int fd,
		   const uint8_t source[static HTTP_SOURCE_LEN])
{
	int r;

	pthread_mutex_lock(&w->lock);
	r = conn_add(w, fd, source);
	pthread_mutex_unlock(&w->lock);
	return r;
}

struct http_conn *http_crowd_begun(struct http_crowd *w, int fd)
{
	struct http_conn *c;

	pthread_mutex_lock(&w->lock);
	HASH_FIND_INT(w->conns, &fd, c);
	if (c)
		http_phase_set(c, HTTP_FIRST);
	pthread_mutex_unlock(&w->lock);
	return c;
}

void http_crowd_remove(struct http_crowd *w, struct http_conn *c)
{
	pthread_mutex_lock(&w->lock);
	conn_remove(w, c);
	pthread_mutex_unlock(&w->lock);
}

void http_crowd_forget(struct http_crowd *w, int fd)
{
	struct http_conn *c;

	pthread_mutex_lock(&w->lock);
	HASH_FIND_INT(w->conns, &fd, c);
	if (c)
		conn_remove(w, c);
	pthread_mutex_unlock(&w->lock);
}

void http_crowd_prove(struct http_crowd *w, struct http_conn *c)
{
	if (atomic_exchange(&c->proven, true))
		return;
	pthread_mutex_lock(&w->lock);
	leave_strangers(w, c);
	pthread_mutex_unlock(&w->lock);
}

void http_crowd_doubt(struct http_crowd *w, struct http_conn *c)
{
	if (!atomic_exchange(&c->proven, false))
		return;
	pthread_mutex_lock(&w->lock);
	if (!c->going && !c->stranger)
		join_strangers(w, c);
	pthread_mutex_unlock(&w->lock);
}

bool http_crowd_hold(struct http_crowd *w,
		     const uint8_t source[static HTTP_SOURCE_LEN], size_t len)
{
	struct source *s;
	bool ok;

	pthread_mutex_lock(&w->lock);
	s = source_get(w, source);
	ok = s && len <= HTTP_HELD_MAX - w->held &&
	     s->held + len <= HTTP_HELD_MAX / 4;
	if (ok) {
		s->held += len;
		w->held += len;
	} else if (s) {
		source_put(w, s);
	}
	pthread_mutex_unlock(&w->lock);
	return ok;
}

void http_crowd_let_go(struct http_crowd *w,
		       const uint8_t source[static HTTP_SOURCE_LEN], size_t len)
{
	struct source *s;

	pthread_mutex_lock(&w->lock);
	w->held -= len;
	HASH_FIND(hh, w->sources, source, HTTP_SOURCE_LEN, s);
	if (s) {
		s->held -= len;
		source_put(w, s);
	}
	pthread_mutex_unlock(&w->lock);
}

void http_crowd_status(struct http_crowd *w, struct http_stats *out)
{
	pthread_mutex_lock(&w->lock);
	out->connections = HASH_COUNT(w->conns);
	out->held = w->held;
	out->slow = w->slow;
	out->evicted = w->evicted;
	pthread_mutex_unlock(&w->lock);
}

/* --- who is too slow
 * ------------------------------------------------------------------------ */

/* Has it moved too little for too long? */
static bool stalls(struct http_crowd *w, struct http_conn *c, uint32_t now)
{
	uint32_t since = atomic_load(&c->since);
	uint64_t moved = atomic_load(&c->moved);

	if (c->mark_since != since) {
		c->mark_since = since;
		c->mark_at = since;
		c->mark_moved = moved;
	}
	if (now - c->mark_at < w->conf->stall_s)
		return false;
	if (moved - c->mark_moved < HTTP_STALL_BYTES)
		return true;
	c->mark_at = now;
	c->mark_moved = moved;
	return false;
}

/* @most: of those that ask nothing, where there is a crowd */
static bool is_slow(struct http_crowd *w, struct http_conn *c, uint32_t now,
		    uint32_t most)
{
	uint32_t age = now - atomic_load(&c->since);

	switch (atomic_load(&c->phase)) {
	case HTTP_FIRST:
		return age >= w->conf->header_s || age >= most;
	case HTTP_WAITING:
		return age >= w->conf->idle_s || age >= most;
	case HTTP_MOVING:
		return stalls(w, c, now);
	case HTTP_NEW:
	case HTTP_WORKING:
		return false;
	}
	return false;
}

void http_crowd_tick(struct http_crowd *w, uint32_t now_s)
{
	struct http_conn *c, *tmp;
	uint32_t most;

	pthread_mutex_lock(&w->lock);
	most = HASH_COUNT(w->conns) > w->conf->connections / 4 * 3
		       ? HTTP_CROWDED_S
		       : UINT32_MAX;
	HASH_ITER (hh, w->conns, c, tmp) {
		if (!c->going && is_slow(w, c, now_s, most)) {
			w->slow++;
			conn_end(w, c);
		}
	}
	pthread_mutex_unlock(&w->lock);
}
