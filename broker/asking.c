/* SPDX-License-Identifier: MIT */
/*
 * asking - a unix socket at which programs of our user ask: one JSON object a line
 *
 * Theory of operation
 *
 * A client is read line by line; a complete line is a struct ask, answered by its server
 * now or later. A client has one at a time: lines behind it wait, in a buffer that grows
 * up to the longest request. What is read meanwhile shows that the client goes: its ask
 * outlives it until the server is done with it (ask_on_gone()), and an answer for nobody
 * is dropped. One that only waits for a change ends with its client.
 *
 * Answers wait in a bounded buffer for a slow reader. A server that answers before what
 * it tells of is on the disk holds them back (@holds): they lie at the end of the buffer
 * until asking_release(). Nothing a client sends ends more than that client.
 *
 * Passwords and keys pass through: lines are wiped when they are taken, answers when they
 * are in the buffer, and the buffers at the end.
 */
#include "broker/asking.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utlist.h>

#include "common/acceptor.h"
#include "common/unixsock.h"

#define SIZE_FIRST 4096

struct client {
	struct client *prev, *next;
	struct asking *server;
	int fd;
	struct loop_io *io;
	struct ask *ask; /* under way; the next line waits */
	char *in, *out;
	size_t in_len, in_size, out_len, out_size;
	size_t held; /* the last bytes of @out: not before asking_release() */
	unsigned int n_held; /* answers */
	bool taking;	     /* lines_take() runs, and takes the next itself */
	bool gone;	     /* freed at the end of the turn */
	struct loop_task next_line, end;
};

struct ask {
	struct asking *server;
	struct client *client; /* NULL: it has gone */
	json_t *request;
	bool waits;
	void (*gone)(void *arg);
	void *gone_arg;
};

struct asking {
	struct loop *loop;
	const struct asking_is *is;
	void *arg;
	struct acceptor *acceptor;
	struct client *clients;
	size_t n;
	uint64_t changes;
};

static void lines_take(struct client *c);

/* --- a client's end ------------------------------------------------------------------- */

static void free_wiped(char *p, size_t len)
{
	if (p)
		explicit_bzero(p, len);
	free(p);
}

/* Room for @need bytes. Not by realloc(), which would leave what was there. */
static bool grow(char **p, size_t len, size_t *size, size_t need)
{
	size_t more = *size ? *size : SIZE_FIRST;
	char *q;

	if (need <= *size)
		return true;
	while (more < need)
		more *= 2;
	q = malloc(more);
	if (!q)
		return false;
	if (len)
		memcpy(q, *p, len);
	free_wiped(*p, *size);
	*p = q;
	*size = more;
	return true;
}

static void client_free(void *arg)
{
	struct client *c = arg;

	free_wiped(c->in, c->in_size);
	free_wiped(c->out, c->out_size);
	free(c);
}

static void ask_free(struct ask *a)
{
	json_decref(a->request);
	free(a);
}

static void turned(const struct asking *s)
{
	if (s->is->turned)
		s->is->turned(s->arg);
}

static void ask_leave(struct ask *a)
{
	a->client = NULL;
	if (a->waits)
		ask_free(a);
	else if (a->gone)
		a->gone(a->gone_arg);
}

static void client_close(struct client *c)
{
	struct asking *s = c->server;
	struct ask *a = c->ask;

	if (c->gone)
		return;
	c->gone = true;
	c->ask = NULL;
	DL_DELETE(s->clients, c);
	s->n--;
	acceptor_set_full(s->acceptor, false);
	loop_io_del(c->io);
	close(c->fd);
	loop_defer_task(s->loop, &c->end);
	if (a)
		ask_leave(a);
	turned(s);
}

/* --- writing --------------------------------------------------------------------------- */

static void flush(struct client *c)
{
	ssize_t n;

	while (c->out_len > c->held) {
		n = send(c->fd, c->out, c->out_len - c->held,
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
		explicit_bzero(c->out + c->out_len, (size_t)n);
	}
	loop_io_set(c->io, LOOP_READ | (c->out_len > c->held ? LOOP_WRITE : 0));
}

/* @text: taken; NULL: there was no memory for it */
static void put(struct client *c, char *text)
{
	const struct asking *s = c->server;
	size_t len = text ? strlen(text) : 0;

	if (!text || c->out_len + len >= s->is->queue_max ||
	    !grow(&c->out, c->out_len, &c->out_size, c->out_len + len + 1)) {
		free_wiped(text, len);
		client_close(c);
		return;
	}
	memcpy(c->out + c->out_len, text, len);
	c->out[c->out_len + len] = '\n';
	c->out_len += len + 1;
	free_wiped(text, len);
	if (c->held || (s->is->holds && s->is->holds(s->arg))) {
		c->held += len + 1;
		c->n_held++;
	}
	flush(c);
}

static char *text_of(const json_t *j)
{
	return j ? json_dumps(j, JSON_COMPACT) : NULL;
}

static json_t *refusal(int err, const char *why)
{
	return json_pack("{s:b, s:s, s:s}", "ok", 0, "error", err_name(err),
			 "text", why && *why ? why : err_text(err));
}

static void client_release(struct client *c, int err)
{
	unsigned int n = c->n_held;
	json_t *j;

	c->n_held = 0;
	if (!err) {
		c->held = 0;
		flush(c);
		return;
	}
	c->out_len -= c->held;
	explicit_bzero(c->out + c->out_len, c->held);
	c->held = 0;
	j = refusal(err, NULL);
	while (n-- && !c->gone)
		put(c, text_of(j));
	json_decref(j);
}

void asking_release(struct asking *s, int err)
{
	struct client *c, *tmp;

	if (!s)
		return;
	DL_FOREACH_SAFE (s->clients, c, tmp)
		if (c->n_held)
			client_release(c, err);
}

/* --- one request --------------------------------------------------------------------- */

void *ask_owner(const struct ask *a)
{
	return a->server->arg;
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

void ask_on_gone(struct ask *a, void (*fn)(void *arg), void *arg)
{
	a->gone = fn;
	a->gone_arg = arg;
}

void ask_say(struct ask *a, char *text)
{
	struct client *c = a->client;

	if (!c) {
		free_wiped(text, text ? strlen(text) : 0);
	} else {
		c->ask = NULL;
		put(c, text);
		/* later: who answers may be amid a walk over what it asks for */
		if (!c->gone && !c->taking && c->in_len)
			loop_defer_task(c->server->loop, &c->next_line);
	}
	ask_free(a);
}

static void ask_over(struct ask *a, json_t *answer)
{
	ask_say(a, text_of(answer));
	json_decref(answer);
}

void ask_answer(struct ask *a, json_t *fields)
{
	json_t *answer = fields ? fields : json_object();

	if (answer)
		json_object_set_new(answer, "ok", json_true());
	ask_over(a, answer);
}

void ask_fail(struct ask *a, int err, const char *why)
{
	ask_over(a, refusal(err, why));
}

void ask_progress(struct ask *a, json_t *fields)
{
	if (fields && a->client)
		put(a->client, text_of(fields));
	json_decref(fields);
}

void ask_dispatch(struct ask *a, const struct ask_command *table, size_t n,
		  const char *unknown)
{
	const char *name = ask_text(a, "cmd");

	if (!json_is_object(a->request)) {
		ask_fail(a, -NTM_EDECODE, "that is not one JSON object");
		return;
	}
	for (size_t i = 0; i < n; i++)
		if (!strcmp(table[i].name, name)) {
			table[i].fn(a);
			return;
		}
	ask_fail(a, -NTM_EINVAL, unknown);
}

/* --- waiting for a change ---------------------------------------------------------------- */

static void changes_answer(struct ask *a)
{
	a->waits = false;
	ask_answer(a, json_pack("{s:I}", "changes", asking_changes(a->server)));
}

void ask_wait(struct ask *a)
{
	const json_t *seen = json_object_get(a->request, "seen");

	if (seen && json_integer_value(seen) != asking_changes(a->server))
		changes_answer(a);
	else
		a->waits = true;
}

json_int_t asking_changes(const struct asking *s)
{
	return s ? (json_int_t)s->changes : 0;
}

void asking_changed(struct asking *s)
{
	struct client *c, *tmp;

	if (!s)
		return;
	s->changes++;
	DL_FOREACH_SAFE (s->clients, c, tmp)
		if (c->ask && c->ask->waits)
			changes_answer(c->ask);
}

/* --- reading ------------------------------------------------------------------------------- */

static void line_take(struct client *c, const char *line, size_t len)
{
	struct ask *a = calloc(1, sizeof(*a));

	if (!a) {
		client_close(c);
		return;
	}
	a->server = c->server;
	a->client = c;
	a->request = json_loadb(line, len, JSON_REJECT_DUPLICATES, NULL);
	c->ask = a;
	c->server->is->request(a);
}

static void lines_take(struct client *c)
{
	size_t at = 0, len;
	char *end;

	c->taking = true;
	while (!c->gone && !c->ask &&
	       (end = memchr(c->in + at, '\n', c->in_len - at))) {
		len = (size_t)(end - c->in) - at;
		line_take(c, c->in + at, len);
		at += len + 1;
	}
	c->taking = false;
	c->in_len -= at;
	memmove(c->in, c->in + at, c->in_len);
	explicit_bzero(c->in + c->in_len, at);
}

static void next_line(void *arg)
{
	struct client *c = arg;

	if (!c->gone)
		lines_take(c);
}

static bool in_grow(struct client *c)
{
	size_t need = c->in_size ? 2 * c->in_size : SIZE_FIRST;

	return need <= c->server->is->line_max &&
	       grow(&c->in, c->in_len, &c->in_size, need);
}

static void client_ready(void *arg, int fd, unsigned int events)
{
	struct client *c = arg;
	ssize_t n;

	if (events & LOOP_WRITE)
		flush(c);
	if (c->gone || !(events & LOOP_READ))
		return;
	if (c->in_len == c->in_size && !in_grow(c)) {
		client_close(c); /* a line longer than any request */
		return;
	}
	n = recv(fd, c->in + c->in_len, c->in_size - c->in_len, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		client_close(c);
		return;
	}
	c->in_len += (size_t)n;
	lines_take(c);
}

/* --- clients -------------------------------------------------------------------------------- */

static void comes(void *arg, int fd, const struct addr *from)
{
	struct asking *s = arg;
	struct client *c = NULL;

	(void)from;
	if (unixsock_is_ours(fd))
		c = calloc(1, sizeof(*c));
	if (!c || loop_io_add(s->loop, fd, LOOP_READ, false, client_ready, c,
			      &c->io)) {
		free(c);
		close(fd);
		return;
	}
	c->server = s;
	c->fd = fd;
	c->next_line = (struct loop_task){.fn = next_line, .arg = c};
	c->end = (struct loop_task){.fn = client_free, .arg = c};
	DL_APPEND(s->clients, c);
	if (++s->n == s->is->clients_max)
		acceptor_set_full(s->acceptor, true);
	turned(s);
}

/* --- life ------------------------------------------------------------------------------------ */

int asking_open(struct loop *loop, int fd, const struct asking_is *is,
		void *arg, struct asking **out)
{
	struct asking *s = calloc(1, sizeof(*s));
	int err = s ? 0 : -NTM_ENOMEM;

	if (!err)
		err = acceptor_new(loop, "asking", comes, s, &s->acceptor);
	if (!err)
		err = acceptor_add(s->acceptor, fd);
	if (err) {
		if (s)
			acceptor_free(s->acceptor);
		free(s);
		return err;
	}
	s->loop = loop;
	s->is = is;
	s->arg = arg;
	s->changes = (uint64_t)loop_wall(loop) << 20;
	*out = s;
	return 0;
}

void asking_close(struct asking *s)
{
	if (!s)
		return;
	while (s->clients)
		client_close(s->clients);
	acceptor_free(s->acceptor);
	free(s);
}

bool asking_busy(const struct asking *s)
{
	return s && s->clients;
}
