/* SPDX-License-Identifier: MIT */
/*
 * control - the control socket: one JSON object a line (docs/control.md)
 *
 * Theory of operation
 *
 * A client is read line by line; a complete line is a call, answered by its command
 * now or later. A client has one call at a time: reading pauses meanwhile. The call
 * outlives the client until its command is done with it: a client that goes away
 * tells the command (control_on_gone()), and an answer for nobody is dropped.
 * Answers wait in a bounded buffer for a slow reader. Nothing a client sends ends
 * more than that client.
 */
#include "broker/control.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/log.h"
#include "common/unixsock.h"

#define CONTROL_BACKLOG 16
#define KEEPER_KEY	"control"

struct client {
	struct control *control;
	int fd;
	struct loop_io *io;
	struct control_call *call;
	char *in;
	size_t in_len;
	char *out;
	size_t out_len;
	bool gone; /* to be freed at the end of the turn */
	struct loop_task task;
	struct client *next;
};

struct control_call {
	struct client *client; /* NULL: went away */
	struct control *control;
	json_t *request;
	void (*gone)(void *arg);
	void *gone_arg;
};

struct control {
	struct worker *w;
	struct handover *handover;
	int fd;
	struct loop_io *io;
	struct client *clients;
	size_t n_clients;
};

static const struct command {
	const char *name;
	control_fn *fn;
} commands[] = {
	{"status", control_status}, {"peers", control_peers},
	{"login", control_login},   {"logout", control_logout},
	{"passwd", control_passwd}, {"devices", control_devices},
	{"revoke", control_revoke}, {"ping", control_ping},
	{"verify", control_verify}, {"allow", control_allow},
	{"forget", control_forget}, {"netcheck", control_netcheck},
	{"down", control_down},	    {"exit", control_exit},
	{"push", control_push},
};

/* --- a client's end ------------------------------------------------------------------- */

static void client_free(void *arg)
{
	struct client *cl = arg;

	if (cl->in)
		ntmc_wipe(cl->in, CONTROL_LINE_MAX);
	free(cl->in);
	free(cl->out);
	free(cl);
}

static void client_close(struct client *cl)
{
	struct client **at = &cl->control->clients;
	struct control_call *call = cl->call;

	if (cl->gone)
		return;
	cl->gone = true;
	while (*at && *at != cl)
		at = &(*at)->next;
	if (*at)
		*at = cl->next;
	cl->control->n_clients--;
	if (cl->control->io && cl->control->n_clients < CONTROL_CLIENTS_MAX)
		loop_io_set(cl->control->io, LOOP_READ);
	loop_io_del(cl->io);
	close(cl->fd);
	cl->task.fn = client_free;
	cl->task.arg = cl;
	loop_defer_task(cl->control->w->loop, &cl->task);
	if (call) {
		call->client = NULL;
		if (call->gone)
			call->gone(call->gone_arg);
	}
}

/* --- writing --------------------------------------------------------------------------- */

static void client_flush(struct client *cl)
{
	ssize_t n;

	while (cl->out_len) {
		n = send(cl->fd, cl->out, cl->out_len,
			 MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			break;
		if (n < 0) {
			client_close(cl);
			return;
		}
		cl->out_len -= (size_t)n;
		memmove(cl->out, cl->out + n, cl->out_len);
	}
	loop_io_set(cl->io, (cl->call ? 0 : LOOP_READ) |
				    (cl->out_len ? LOOP_WRITE : 0) | LOOP_READ);
}

static void client_write(struct client *cl, const json_t *obj)
{
	char *text = json_dumps(obj, JSON_COMPACT), *more;
	size_t len = text ? strlen(text) : 0;

	if (!text || cl->out_len + len + 1 > CONTROL_QUEUE_MAX)
		goto err_close;
	more = realloc(cl->out, cl->out_len + len + 1);
	if (!more)
		goto err_close;
	memcpy(more + cl->out_len, text, len);
	more[cl->out_len + len] = '\n';
	cl->out = more;
	cl->out_len += len + 1;
	free(text);
	client_flush(cl);
	return;

err_close:
	free(text);
	client_close(cl);
}

/* --- calls ------------------------------------------------------------------------------- */

struct worker *control_worker(struct control_call *call)
{
	return call->control->w;
}

struct handover *control_handover(struct control_call *call)
{
	return call->control->handover;
}

const json_t *control_request(const struct control_call *call)
{
	return call->request;
}

const char *control_text(const struct control_call *call, const char *key)
{
	const char *s = json_string_value(json_object_get(call->request, key));

	return s ? s : "";
}

void control_on_gone(struct control_call *call, void (*fn)(void *arg),
		     void *arg)
{
	call->gone = fn;
	call->gone_arg = arg;
}

void control_progress(struct control_call *call, json_t *fields)
{
	if (fields && call->client)
		client_write(call->client, fields);
	json_decref(fields);
}

static void client_lines(struct client *cl);

static void call_end(struct control_call *call, json_t *answer)
{
	struct client *cl = call->client;

	/* passwords stand in requests */
	json_decref(call->request);
	free(call);
	if (cl) {
		cl->call = NULL;
		if (answer)
			client_write(cl, answer);
		else
			client_close(cl);
		if (!cl->gone)
			client_lines(cl);
	}
	json_decref(answer);
}

void control_answer(struct control_call *call, json_t *fields)
{
	json_t *answer = fields ? fields : json_object();

	if (answer)
		json_object_set_new(answer, "ok", json_true());
	call_end(call, answer);
}

void control_fail(struct control_call *call, int err, const char *why)
{
	call_end(call,
		 json_pack("{s:b, s:s, s:s}", "ok", 0, "error", err_name(err),
			   "text", why && *why ? why : err_text(err)));
}

static void call_start(struct client *cl, const char *line, size_t len)
{
	json_t *request = json_loadb(line, len, JSON_REJECT_DUPLICATES, NULL);
	struct control_call *call = calloc(1, sizeof(*call));
	const char *cmd;

	if (!call) {
		json_decref(request);
		client_close(cl);
		return;
	}
	call->client = cl;
	call->control = cl->control;
	call->request = request;
	cl->call = call;
	if (!json_is_object(request)) {
		control_fail(call, NTM_EDECODE, "that is not one JSON object");
		return;
	}
	cmd = control_text(call, "cmd");
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (!strcmp(commands[i].name, cmd)) {
			commands[i].fn(call);
			return;
		}
	}
	control_fail(call, NTM_EINVAL,
		     "this broker does not know the command, it is of another "
		     "version; run `ntm down`, then `ntm up`");
}

static void client_lines(struct client *cl)
{
	char *end, *line;
	size_t len;

	while (!cl->call && !cl->gone &&
	       (end = memchr(cl->in, '\n', cl->in_len))) {
		len = (size_t)(end - cl->in);
		line = malloc(len + 1);
		if (!line) {
			client_close(cl);
			return;
		}
		memcpy(line, cl->in, len);
		cl->in_len -= len + 1;
		memmove(cl->in, end + 1, cl->in_len);
		ntmc_wipe(cl->in + cl->in_len, len + 1);
		call_start(cl, line, len);
		ntmc_wipe(line, len);
		free(line);
	}
}

static void client_ready(void *arg, int fd, unsigned int events)
{
	struct client *cl = arg;
	ssize_t n;

	if (events & LOOP_WRITE)
		client_flush(cl);
	if (cl->gone || !(events & LOOP_READ))
		return;
	n = recv(fd, cl->in + cl->in_len, CONTROL_LINE_MAX - cl->in_len,
		 MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		client_close(cl);
		return;
	}
	cl->in_len += (size_t)n;
	client_lines(cl);
	if (!cl->gone && cl->in_len == CONTROL_LINE_MAX)
		client_close(cl); /* a line longer than any request */
}

/* --- clients ----------------------------------------------------------------------------- */

static void client_new(struct control *c, int fd)
{
	struct client *cl = calloc(1, sizeof(*cl));

	if (!cl)
		goto err_close;
	cl->control = c;
	cl->fd = fd;
	cl->in = malloc(CONTROL_LINE_MAX);
	if (!cl->in || loop_io_add(c->w->loop, fd, LOOP_READ, false,
				   client_ready, cl, &cl->io))
		goto err_free;
	cl->next = c->clients;
	c->clients = cl;
	if (++c->n_clients == CONTROL_CLIENTS_MAX)
		loop_io_set(c->io, 0);
	return;

err_free:
	free(cl->in);
	free(cl);
err_close:
	close(fd);
}

static void on_connection(void *arg, int fd, unsigned int events)
{
	struct control *c = arg;
	int client = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)events;
	if (client < 0)
		return;
	if (unixsock_is_ours(client))
		client_new(c, client);
	else
		close(client);
}

static int listen_make(struct worker *w)
{
	int fd;

	if (unixsock_listen(keeper_rundir(w->keeper), CONTROL_SOCKET,
			    SOCK_STREAM, CONTROL_BACKLOG, &fd))
		return -1;
	if (keeper_fd_put(w->keeper, KEEPER_KEY, fd)) {
		close(fd);
		return -1;
	}
	return fd;
}

int control_open(struct worker *w, struct handover *h, int listen_fd,
		 struct control **out)
{
	struct control *c = calloc(1, sizeof(*c));
	int err = -NTM_ESYSTEM;

	if (!c)
		return -NTM_ENOMEM;
	c->w = w;
	c->handover = h;
	c->fd = listen_fd >= 0 ? listen_fd : listen_make(w);
	if (c->fd >= 0)
		err = loop_io_add(w->loop, c->fd, LOOP_READ, false,
				  on_connection, c, &c->io);
	if (err) {
		if (c->fd >= 0)
			close(c->fd);
		free(c);
		return err;
	}
	*out = c;
	return 0;
}

void control_close(struct control *c)
{
	if (!c)
		return;
	while (c->clients)
		client_close(c->clients);
	loop_io_del(c->io);
	close(c->fd);
	free(c);
}
