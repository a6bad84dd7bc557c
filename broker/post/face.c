/* SPDX-License-Identifier: MIT */
/*
 * face - post.sock: what `ntm send` and programs ask of ntm-post
 *
 * Theory of operation
 *
 * A client is read line by line, and each line is answered before the next is read;
 * only `wait` is answered later, at the next change. Answers wait in a bounded buffer
 * for a slow reader, and until what they tell of is on the disk. Nothing a client sends ends more than that client.
 */
#include "broker/post/face.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/unixsock.h"

struct client {
	struct face *face;
	int fd;
	struct loop_io *io;
	char *in, *out;
	size_t in_len, in_size, out_len;
	size_t held; /* the last bytes of @out: not before face_release() */
	unsigned int n_held; /* answers */
	bool waits, gone;
	struct loop_task task;
	struct client *next;
};

struct face {
	struct post *post;
	int fd;
	struct loop_io *io;
	struct loop_timer *pause; /* no descriptor was left for a client */
	struct client *clients;
	size_t n_clients;
	uint64_t changes;
};

static void client_free(void *arg)
{
	struct client *c = arg;

	free(c->in);
	free(c->out);
	free(c);
}

static void client_close(struct client *c)
{
	struct client **at = &c->face->clients;

	if (c->gone)
		return;
	c->gone = true;
	while (*at && *at != c)
		at = &(*at)->next;
	if (*at)
		*at = c->next;
	if (c->face->n_clients-- == FACE_CLIENTS_MAX)
		loop_io_set(c->face->io, LOOP_READ);
	loop_io_del(c->io);
	close(c->fd);
	c->task.fn = client_free;
	c->task.arg = c;
	loop_defer_task(c->face->post->loop, &c->task);
	post_check_idle(c->face->post);
}

static void client_flush(struct client *c)
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
	}
	loop_io_set(c->io, LOOP_READ | (c->out_len > c->held ? LOOP_WRITE : 0));
}

/* @text is taken; NULL: there was no memory for it */
static void client_say(struct client *c, char *text)
{
	char *more;
	size_t len = text ? strlen(text) : 0;

	more = text && c->out_len + len < FACE_QUEUE_MAX
		       ? realloc(c->out, c->out_len + len + 1)
		       : NULL;
	if (!more) {
		free(text);
		client_close(c);
		return;
	}
	c->out = more;
	memcpy(c->out + c->out_len, text, len);
	c->out[c->out_len + len] = '\n';
	c->out_len += len + 1;
	free(text);
	if (c->held || post_flush_due(c->face->post)) {
		c->held += len + 1;
		c->n_held++;
	}
	client_flush(c);
}

static void client_answer(struct client *c, const json_t *answer)
{
	client_say(c, answer ? json_dumps(answer, JSON_COMPACT) : NULL);
}

static void client_release(struct client *c, int err)
{
	unsigned int n = c->n_held;
	json_t *refusal;

	c->n_held = 0;
	if (!err) {
		c->held = 0;
		client_flush(c);
		return;
	}
	c->out_len -= c->held;
	c->held = 0;
	refusal = json_pack("{s:b, s:s, s:s}", "ok", 0, "error", err_name(err),
			    "text", err_text(err));
	while (n-- && !c->gone)
		client_answer(c, refusal);
	json_decref(refusal);
}

void face_release(struct face *f, int err)
{
	struct client *c, *next;

	for (c = f ? f->clients : NULL; c; c = next) {
		next = c->next;
		if (c->n_held)
			client_release(c, err);
	}
}

static void line_take(struct client *c, const char *line, size_t len)
{
	json_t *request = json_loadb(line, len, 0, NULL);
	char *answer = face_command(c->face->post, request, &c->waits);

	json_decref(request);
	if (!c->waits)
		client_say(c, answer);
}

static void lines_take(struct client *c)
{
	size_t at = 0, len;
	char *end;

	while (!c->gone && !c->waits &&
	       (end = memchr(c->in + at, '\n', c->in_len - at))) {
		len = (size_t)(end - c->in) - at;
		line_take(c, c->in + at, len);
		at += len + 1;
	}
	c->in_len -= at;
	memmove(c->in, c->in + at, c->in_len);
}

static void client_ready(void *arg, int fd, unsigned int events)
{
	struct client *c = arg;
	char *more;
	ssize_t n;

	if (events & LOOP_WRITE)
		client_flush(c);
	if (c->gone || !(events & LOOP_READ))
		return;
	if (c->in_len == c->in_size) {
		more = c->in_size < FACE_LINE_MAX
			       ? realloc(c->in,
					 c->in_size ? 2 * c->in_size : 4096)
			       : NULL;
		if (!more) {
			client_close(c); /* a line longer than any request */
			return;
		}
		c->in = more;
		c->in_size = c->in_size ? 2 * c->in_size : 4096;
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

static void on_connection(void *arg, int fd, unsigned int events)
{
	struct face *f = arg;
	int s = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct client *c;

	(void)events;
	if (s < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOMEM ||
		      errno == ENOBUFS)) {
		/* until a client that goes makes room, or a second is over */
		loop_io_set(f->io, 0);
		loop_timer_arm(f->pause, LOOP_S(1));
	}
	if (s < 0)
		return;
	c = unixsock_is_ours(s) ? calloc(1, sizeof(*c)) : NULL;
	if (!c || loop_io_add(f->post->loop, s, LOOP_READ, false, client_ready,
			      c, &c->io)) {
		free(c);
		close(s);
		return;
	}
	c->face = f;
	c->fd = s;
	c->next = f->clients;
	f->clients = c;
	if (++f->n_clients == FACE_CLIENTS_MAX)
		loop_io_set(f->io, 0);
}

static void on_pause_over(void *arg)
{
	struct face *f = arg;

	if (f->n_clients < FACE_CLIENTS_MAX)
		loop_io_set(f->io, LOOP_READ);
}

int face_open(struct post *p, int listen_fd, struct face **out)
{
	struct face *f = calloc(1, sizeof(*f));

	if (!f)
		return -NTM_ENOMEM;
	f->post = p;
	f->fd = listen_fd;
	f->changes = (uint64_t)post_now(p) << 20; /* none is ever met again */
	if (loop_timer_new(p->loop, on_pause_over, f, &f->pause) ||
	    loop_io_add(p->loop, listen_fd, LOOP_READ, false, on_connection, f,
			&f->io)) {
		loop_timer_free(f->pause);
		free(f);
		return -NTM_ENOMEM;
	}
	*out = f;
	return 0;
}

void face_close(struct face *f)
{
	if (!f)
		return;
	while (f->clients)
		client_close(f->clients);
	loop_io_del(f->io);
	loop_timer_free(f->pause);
	close(f->fd);
	free(f);
}

json_int_t face_changes(const struct face *f)
{
	return f ? (json_int_t)f->changes : 0;
}

bool face_busy(const struct face *f)
{
	return f && f->clients;
}

void face_changed(struct face *f)
{
	struct client *c, *next;
	json_t *answer;

	if (f)
		f->changes++;
	for (c = f ? f->clients : NULL; c; c = next) {
		next = c->next;
		if (!c->waits)
			continue;
		c->waits = false;
		answer = json_pack("{s:b, s:I}", "ok", 1, "changes",
				   (json_int_t)f->changes);
		client_answer(c, answer);
		json_decref(answer);
	}
}
