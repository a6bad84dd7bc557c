/* SPDX-License-Identifier: MIT */
/* asks - member.sock: what `ntm-group` asks of ntm-member */
#include "broker/member/asks.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <utlist.h>

#include "common/log.h"
#include "common/unixsock.h"

struct client {
	struct client *prev, *next;
	struct asks *asks;
	int fd;
	struct loop_io *io;
	char *in, *out;
	size_t in_len, out_len;
	struct ask *ask; /* under way; the next line waits */
	bool gone;
	struct loop_task task;
};

struct ask {
	struct asks *asks;
	struct client *client; /* NULL: it has gone */
	json_t *request;
	bool waits;
};

struct asks {
	struct node *node;
	int fd;
	struct loop_io *io;
	struct client *clients;
	unsigned int n;
	uint64_t changes;
};

static void lines_take(struct client *c);

static void client_free(void *arg)
{
	struct client *c = arg;

	free(c->in);
	free(c->out);
	free(c);
}

static void ask_free(struct ask *a)
{
	json_decref(a->request);
	free(a);
}

static void client_close(struct client *c)
{
	struct asks *all = c->asks;
	struct part *p;

	if (c->gone)
		return;
	c->gone = true;
	if (c->ask) {
		c->ask->client = NULL;
		DL_FOREACH (all->node->parts, p)
			part_forget(p, c->ask);
		if (c->ask->waits)
			ask_free(c->ask);
		c->ask = NULL;
	}
	DL_DELETE(all->clients, c);
	if (all->n-- == ASKS_CLIENTS_MAX)
		loop_io_set(all->io, LOOP_READ);
	loop_io_del(c->io);
	close(c->fd);
	c->task = (struct loop_task){.fn = client_free, .arg = c};
	loop_defer_task(all->node->loop, &c->task);
	node_check_idle(all->node);
}

static void flush(struct client *c)
{
	ssize_t n;

	while (c->out_len) {
		n = send(c->fd, c->out, c->out_len,
			 MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			break;
		if (n < 0) {
			client_close(c);
			return;
		}
		c->out_len -= (size_t)n;
		memmove(c->out, c->out + n, c->out_len);
	}
	loop_io_set(c->io, LOOP_READ | (c->out_len ? LOOP_WRITE : 0));
}

static void put(struct client *c, const json_t *j)
{
	char *text = json_dumps(j, JSON_COMPACT), *more = NULL;
	size_t len = text ? strlen(text) : 0;

	if (text && c->out_len + len < ASKS_QUEUE_MAX)
		more = realloc(c->out, c->out_len + len + 1);
	if (!more) {
		free(text);
		client_close(c);
		return;
	}
	c->out = more;
	memcpy(c->out + c->out_len, text, len);
	c->out[c->out_len + len] = '\n';
	c->out_len += len + 1;
	ntmc_wipe(text, len);
	free(text);
	flush(c);
}

/* --- one request --------------------------------------------------------------------- */

struct node *ask_node(struct ask *a)
{
	return a->asks->node;
}

const json_t *ask_request(const struct ask *a)
{
	return a->request;
}

const char *ask_text(const struct ask *a, const char *key)
{
	const char *s = json_string_value(json_object_get(a->request, key));

	return s ? s : "";
}

bool ask_lives(const struct ask *a)
{
	return a->client;
}

static void next_line(void *arg)
{
	struct client *c = arg;

	if (!c->gone)
		lines_take(c);
}

static void ask_over(struct ask *a, json_t *answer)
{
	struct client *c = a->client;

	if (c) {
		c->ask = NULL;
		put(c, answer);
	}
	json_decref(answer);
	ask_free(a);
	if (c && !c->gone && c->in_len &&
	    loop_defer(c->asks->node->loop, next_line, c))
		client_close(c);
}

void ask_answer(struct ask *a, json_t *fields)
{
	json_t *j = fields ? fields : json_object();

	json_object_set_new(j, "ok", json_true());
	ask_over(a, j);
}

void ask_fail(struct ask *a, int err, const char *why)
{
	ask_over(a,
		 json_pack("{s:b, s:s, s:s}", "ok", 0, "error", err_name(err),
			   "text", why ? why : err_text(err)));
}

static void changes_answer(struct ask *a)
{
	ask_answer(a,
		   json_pack("{s:I}", "changes", (json_int_t)a->asks->changes));
}

void ask_wait(struct ask *a)
{
	const json_t *seen = json_object_get(a->request, "seen");

	if (seen && json_integer_value(seen) != (json_int_t)a->asks->changes)
		changes_answer(a);
	else
		a->waits = true;
}

void asks_changed(struct asks *all)
{
	struct client *c, *tmp;

	if (!all)
		return;
	all->changes++;
	DL_FOREACH_SAFE (all->clients, c, tmp)
		if (c->ask && c->ask->waits)
			changes_answer(c->ask);
}

/* --- clients -------------------------------------------------------------------------- */

static void lines_take(struct client *c)
{
	char *end = c->in_len ? memchr(c->in, '\n', c->in_len) : NULL;
	struct ask *a;
	size_t len;

	if (c->ask || !end)
		return;
	a = calloc(1, sizeof(*a));
	if (!a) {
		client_close(c);
		return;
	}
	len = (size_t)(end - c->in);
	a->asks = c->asks;
	a->client = c;
	a->request = json_loadb(c->in, len, 0, NULL);
	c->in_len -= len + 1;
	memmove(c->in, end + 1, c->in_len);
	c->ask = a;
	asks_command(a);
}

static void client_ready(void *arg, int fd, unsigned int events)
{
	struct client *c = arg;
	ssize_t n;

	if (events & LOOP_WRITE)
		flush(c);
	if (c->gone || !(events & LOOP_READ))
		return;
	if (c->in_len == ASKS_LINE_MAX) {
		client_close(c); /* a line longer than any request */
		return;
	}
	n = recv(fd, c->in + c->in_len, ASKS_LINE_MAX - c->in_len,
		 MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		client_close(c);
		return;
	}
	c->in_len += (size_t)n;
	lines_take(c);
}

static void on_connection(void *arg, int fd, unsigned int events)
{
	struct asks *all = arg;
	int s = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct client *c;

	(void)events;
	if (s < 0)
		return;
	c = unixsock_is_ours(s) ? calloc(1, sizeof(*c)) : NULL;
	if (c)
		c->in = malloc(ASKS_LINE_MAX);
	if (!c || !c->in ||
	    loop_io_add(all->node->loop, s, LOOP_READ, false, client_ready, c,
			&c->io)) {
		if (c)
			client_free(c);
		close(s);
		return;
	}
	c->asks = all;
	c->fd = s;
	DL_APPEND(all->clients, c);
	if (++all->n == ASKS_CLIENTS_MAX)
		loop_io_set(all->io, 0);
	node_check_idle(all->node);
}

int asks_open(struct node *n, int fd, struct asks **out)
{
	struct asks *all = calloc(1, sizeof(*all));

	if (!all)
		return -NTM_ENOMEM;
	all->node = n;
	all->fd = fd;
	if (loop_io_add(n->loop, fd, LOOP_READ, false, on_connection, all,
			&all->io)) {
		free(all);
		return -NTM_ENOMEM;
	}
	*out = all;
	return 0;
}

void asks_close(struct asks *all)
{
	if (!all)
		return;
	while (all->clients)
		client_close(all->clients);
	loop_io_del(all->io);
	close(all->fd);
	free(all);
}

bool asks_busy(const struct asks *all)
{
	return all && all->clients;
}
